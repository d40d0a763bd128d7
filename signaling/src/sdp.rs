//! Session descriptions (RFC 8866) as SIP endpoints exchange them.
//!
//! [`Session`] keeps what negotiation looks at: origin, connections, bandwidth, attributes and media, in order. Lines
//! that say nothing to an endpoint (`i=`, `u=`, `e=`, `p=`, `t=`, `r=`, `z=`, `k=`) are read and left out. A body that
//! is passed on is not taken apart and put together again: [`proxy`] rewrites it line by line.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

pub mod filter;
mod media;
mod parse;
mod print;
pub mod proxy;

pub use media::{Media, MediaKind, RtpMap};

/// Most media descriptions. Two audio and two video lines are seen; a conference system may send a dozen.
pub const MEDIA_MAX: usize = 32;

/// Most attribute lines in a whole description. A browser's offer with many candidates has some 300.
pub const ATTRIBUTES_MAX: usize = 1024;

/// Most formats of one media line: all payload types there are.
pub const FORMATS_MAX: usize = 128;

/// A session description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// `o=`
    pub origin: Origin,
    /// `s=`; `-` when it was empty.
    pub name: String,
    /// `c=` of the session.
    pub connection: Option<Connection>,
    /// Each `b=` of the session.
    pub bandwidth: Vec<String>,
    /// Each `a=` of the session.
    pub attributes: Vec<Attribute>,
    /// Each `m=` with what belongs to it.
    pub media: Vec<Media>,
}

/// The originator and version of a description (RFC 8866 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// One word; `-` for none.
    pub username: String,
    /// Digits, by the grammar; kept as written because not all keep to it.
    pub session_id: String,
    /// Rises with each change of the description (RFC 3264 §8).
    pub version: String,
    /// The address family and address as written.
    pub connection: Connection,
}

/// An address as `c=` and `o=` write it (RFC 8866 §5.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `IP4` or `IP6`.
    pub family: Family,
    /// An address or a host name, without time to live.
    pub host: String,
}

/// The address type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `IP4`
    Ip4,
    /// `IP6`
    Ip6,
}

/// `a=name` or `a=name:value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// What stands before the colon.
    pub name: String,
    /// What stands behind it.
    pub value: Option<String>,
}

/// Who sends (RFC 8866 §6.7), seen from the describing side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    #[default]
    SendRecv,
    /// Only the describing side.
    SendOnly,
    /// Only the other side.
    RecvOnly,
    /// Nobody.
    Inactive,
}

/// Why a body is no description that we take. Unless a variant says otherwise the sender broke RFC 8866.
/// Lines are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// It does not begin with `v=0`.
    #[error("the description does not begin with v=0")]
    Version,
    /// A line that is not `letter=value`, or holds NUL or a lone CR.
    #[error("line {0} is malformed")]
    Line(u32),
    /// An `o=` without its six parts.
    #[error("line {0}: a malformed origin")]
    Origin(u32),
    /// A `c=` that is not `IN IP4|IP6 address`.
    #[error("line {0}: a malformed connection")]
    Connection(u32),
    /// An `m=` without kind, port and protocol.
    #[error("line {0}: a malformed media description")]
    Media(u32),
    /// More than [`MEDIA_MAX`] media descriptions; over our limit.
    #[error("more than {MEDIA_MAX} media descriptions")]
    TooManyMedia,
    /// More than [`ATTRIBUTES_MAX`] attributes; over our limit.
    #[error("more than {ATTRIBUTES_MAX} attributes")]
    TooManyAttributes,
    /// More than [`FORMATS_MAX`] formats in a media line; over our limit.
    #[error("line {0}: more than {FORMATS_MAX} formats")]
    TooManyFormats(u32),
}

impl Session {
    /// Parses a body. Lines end with CRLF or LF; bytes that are not UTF-8 are replaced.
    pub fn parse(body: &[u8]) -> Result<Session, SdpError> {
        parse::parse(&String::from_utf8_lossy(body))
    }

    /// A description of ours without media: `user` for `o=` and `s=`, `address` for `o=` and `c=`.
    pub fn new(user: &str, session_id: u64, version: u64, address: IpAddr) -> Session {
        let connection = Connection::new(address);
        Session {
            origin: Origin {
                username: user.to_owned(),
                session_id: session_id.to_string(),
                version: version.to_string(),
                connection: connection.clone(),
            },
            name: user.to_owned(),
            connection: Some(connection),
            ..Session::default()
        }
    }

    /// The first media description of a kind.
    pub fn first(&self, kind: &MediaKind) -> Option<&Media> {
        self.media.iter().find(|media| media.kind == *kind)
    }

    /// The first session attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.attributes, name)
    }

    /// Who sends in `media`: its own attribute, else the session's, else both (RFC 8866 §6.7).
    pub fn direction(&self, media: &Media) -> Direction {
        media.direction().or_else(|| direction_of(&self.attributes)).unwrap_or_default()
    }

    /// The connection of `media`: its own, else the session's.
    pub fn connection_of<'a>(&'a self, media: &'a Media) -> Option<&'a Connection> {
        media.connection.as_ref().or(self.connection.as_ref())
    }

    /// Where `media` is to be sent. `None` when it is declined (port 0), on hold by 0.0.0.0, behind a host name, or
    /// when nobody may be sent to there at all: multicast and broadcast.
    pub fn remote_address(&self, media: &Media) -> Option<SocketAddr> {
        let address = self.connection_of(media)?.address()?.to_canonical();
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || broadcast || media.port == 0 {
            return None;
        }
        Some(SocketAddr::new(address, media.port))
    }

    /// Whether the describing side holds the call: it does not want to receive, in either way of saying so
    /// (RFC 3264 §8.4 and, of RFC 2543, the address 0.0.0.0).
    pub fn is_hold(&self, media: &Media) -> bool {
        let silent = matches!(self.direction(media), Direction::SendOnly | Direction::Inactive);
        let address = self.connection_of(media).and_then(Connection::address);
        silent || address.is_some_and(|address| address.is_unspecified())
    }
}

impl Connection {
    /// An address of ours.
    pub fn new(address: IpAddr) -> Connection {
        let family = if address.is_ipv4() { Family::Ip4 } else { Family::Ip6 };
        Connection { family, host: address.to_string() }
    }

    /// The address; `None` for a host name.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl Default for Origin {
    /// What stands for an `o=` that was left out.
    fn default() -> Origin {
        Origin {
            username: "-".to_owned(),
            session_id: "0".to_owned(),
            version: "0".to_owned(),
            connection: Connection { family: Family::Ip4, host: "0.0.0.0".to_owned() },
        }
    }
}

impl Family {
    /// `IP4` or `IP6`.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::Ip4 => "IP4",
            Family::Ip6 => "IP6",
        }
    }
}

impl Attribute {
    /// `a=name`
    pub fn flag(name: &str) -> Attribute {
        Attribute { name: name.to_owned(), value: None }
    }

    /// `a=name:value`
    pub fn new(name: &str, value: impl Into<String>) -> Attribute {
        Attribute { name: name.to_owned(), value: Some(value.into()) }
    }
}

impl Direction {
    /// The attribute's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// The same agreement as the other side sees it: our answer when we would send and receive (RFC 3264 §6.1).
    pub fn mirrored(self) -> Direction {
        match self {
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            same => same,
        }
    }
}

impl FromStr for Direction {
    type Err = ();

    fn from_str(name: &str) -> Result<Direction, ()> {
        let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
        all.into_iter().find(|direction| direction.as_str() == name).ok_or(())
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.name == name)
}

fn direction_of(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().find_map(|attribute| attribute.name.parse().ok())
}

#[cfg(test)]
mod tests;
