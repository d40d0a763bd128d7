//! One entry of a Via header: which way a request came, and where its response goes (RFC 3261 §20.42, RFC 3581).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use core::fmt::Write;

use crate::params::Params;
use crate::text::{LWS, is_token, trim};
use crate::uri::{Host, UriError, split_host_port};

/// What a branch begins with when it was made to RFC 3261 §8.1.1.7 and so names its transaction.
pub const BRANCH_COOKIE: &str = "z9hG4bK";

/// One Via entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport as written: `UDP`, `tcp`, or one that we do not know.
    pub transport: &'a str,
    /// Host of sent-by.
    pub host: Host<'a>,
    /// Port of sent-by.
    pub port: Option<u16>,
    /// All its parameters.
    pub params: Params<'a>,
}

/// Why an entry is no Via. All of these are the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViaError {
    /// Not `SIP/2.0/TRANSPORT`.
    #[error("not SIP/2.0/TRANSPORT")]
    Protocol,
    /// No sent-by, or a malformed one.
    #[error("sent-by has {0}")]
    SentBy(#[from] UriError),
    /// Its parameters are no parameters.
    #[error("malformed parameters")]
    Params,
}

impl<'a> Via<'a> {
    /// Parses one entry. White space may stand around slashes and colons (RFC 3261 §25.1 `SLASH`, `COLON`).
    pub fn parse(text: &'a str) -> Result<Via<'a>, ViaError> {
        let mut parts = text.splitn(3, '/');
        let (name, version) = (parts.next().map(trim), parts.next().map(trim));
        let rest = parts.next().ok_or(ViaError::Protocol)?;
        if !name.is_some_and(|name| name.eq_ignore_ascii_case("SIP")) || version != Some("2.0") {
            return Err(ViaError::Protocol);
        }
        let (transport, rest) = trim(rest).split_once(LWS).ok_or(ViaError::Protocol)?;
        if !is_token(transport) {
            return Err(ViaError::Protocol);
        }
        let (sent_by, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let (host, port) = split_sent_by(trim(sent_by))?;
        let params = Params::parse_header(params).ok_or(ViaError::Params)?;
        Ok(Via { transport, host, port, params })
    }

    /// The branch parameter; empty ones count as none.
    pub fn branch(&self) -> Option<&'a str> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// Whether the branch names its transaction: cookie and something behind it (RFC 4475 §3.2.1).
    pub fn has_unique_branch(&self) -> bool {
        self.branch().is_some_and(|branch| branch.len() > BRANCH_COOKIE.len() && has_cookie(branch))
    }

    /// The received parameter as an address, with or without brackets (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => text.parse().ok(),
        }
    }

    /// Whether the sender asks for a response to its source port (RFC 3581 §3).
    pub fn wants_rport(&self) -> bool {
        self.params.has("rport")
    }

    /// The value of rport, once somebody has filled it in.
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport")?.parse().ok()
    }

    /// The maddr parameter as written.
    pub fn maddr(&self) -> Option<&'a str> {
        self.params.get("maddr")
    }

    /// This entry as it goes back in a response to a request that came from `source`.
    ///
    /// `received` is added when sent-by is not the source's address, or rport was asked for (RFC 3261 §18.2.1,
    /// RFC 3581 §4). Values that the sender wrote there himself are replaced: only the socket tells the truth.
    pub fn with_source(&self, source: SocketAddr) -> String {
        let address = source.ip().to_canonical();
        let mut text = String::with_capacity(self.params.as_str().len() + 96);
        text.push_str("SIP/2.0/");
        text.push_str(self.transport);
        text.push(' ');
        text.push_str(&crate::uri::format_host_port(self.host.as_str(), self.port));
        for param in self.params.iter() {
            let ours = ["received", "rport"].iter().any(|name| param.name.eq_ignore_ascii_case(name));
            if !ours {
                text.push(';');
                text.push_str(param.name);
                if let Some(value) = param.value {
                    text.push('=');
                    text.push_str(value);
                }
            }
        }
        // Writing to a String cannot fail.
        if self.wants_rport() {
            let _ = write!(text, ";received={address};rport={}", source.port());
        } else if self.host.address().map(|host| host.to_canonical()) != Some(address) {
            let _ = write!(text, ";received={address}");
        }
        text
    }
}

/// The cookie is compared without regard to case, because tokens are (RFC 3261 §7.3.1).
fn has_cookie(branch: &str) -> bool {
    branch.get(..BRANCH_COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(BRANCH_COOKIE))
}

/// Splits sent-by, in which the colon may have white space around it.
fn split_sent_by(text: &str) -> Result<(Host<'_>, Option<u16>), UriError> {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && (host.ends_with(LWS) || port.starts_with(LWS)) => {
            Ok((Host::parse(trim(host))?, Some(crate::uri::parse_port(trim(port))?)))
        }
        _ => split_host_port(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(text: &str) -> Via<'_> {
        Via::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn white_space_may_stand_around_each_delimiter() {
        let v = via("SIP  / 2.0  / TCP     spindle.example.com : 5070  ;  branch  =   z9hG4bK9ikj8  ");
        assert_eq!((v.transport, v.host.as_str(), v.port), ("TCP", "spindle.example.com", Some(5070)));
        assert_eq!(v.branch(), Some("z9hG4bK9ikj8"));
        assert_eq!(via("SIP/2.0/UDP [2001:db8::9:1] : 6050").port, Some(6050));
    }

    #[test]
    fn received_is_an_address_with_and_without_brackets() {
        let address = "2001:db8::9:255".parse().ok();
        assert_eq!(via("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255]").received(), address);
        assert_eq!(via("SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255").received(), address);
        assert_eq!(via("SIP/2.0/UDP h;received=nonsense").received(), None);
    }

    #[test]
    fn a_branch_is_unique_only_with_something_behind_the_cookie() {
        assert!(via("SIP/2.0/UDP h;branch=z9hG4bKa").has_unique_branch());
        for text in ["SIP/2.0/UDP h;branch=z9hG4bK", "SIP/2.0/UDP h;branch=390skdjuw", "SIP/2.0/UDP h"] {
            assert!(!via(text).has_unique_branch(), "{text}");
        }
    }

    #[test]
    fn a_response_tells_the_source_when_asked_or_when_it_differs() {
        let source = "192.0.2.7:40000".parse().expect("an address");
        let back = |text| via(text).with_source(source);
        assert_eq!(back("SIP/2.0/UDP 192.0.2.7:5060;branch=z"), "SIP/2.0/UDP 192.0.2.7:5060;branch=z");
        assert_eq!(
            back("SIP/2.0/UDP a.example;branch=z"),
            "SIP/2.0/UDP a.example;branch=z;received=192.0.2.7"
        );
        assert_eq!(
            back("SIP / 2.0/UDP 192.0.2.7 ; rport; branch=z;received=1.1.1.1"),
            "SIP/2.0/UDP 192.0.2.7;branch=z;received=192.0.2.7;rport=40000"
        );
        let mapped = "[::ffff:192.0.2.7]:40000".parse().expect("an address");
        assert_eq!(
            via("SIP/2.0/UDP 192.0.2.7;x=\"a;b\"").with_source(mapped),
            "SIP/2.0/UDP 192.0.2.7;x=\"a;b\""
        );
    }

    #[test]
    fn broken_entries_are_refused() {
        for (text, error) in [
            ("", ViaError::Protocol),
            ("SIP/2.0/UDP", ViaError::Protocol),
            ("SIP/7.0/UDP h", ViaError::Protocol),
            ("HTTP/2.0/UDP h", ViaError::Protocol),
            ("SIP/2.0/U;P h", ViaError::Protocol),
            ("SIP/2.0/UDP ;branch=z", ViaError::SentBy(UriError::Host)),
            ("SIP/2.0/UDP a b", ViaError::SentBy(UriError::Host)),
            ("SIP/2.0/UDP h:99999", ViaError::SentBy(UriError::Port)),
            ("SIP/2.0/UDP 2001:db8::1", ViaError::SentBy(UriError::Port)),
            ("SIP/2.0/UDP 192.0.2.15;;", ViaError::Params),
        ] {
            assert_eq!(Via::parse(text), Err(error), "{text}");
        }
    }
}
