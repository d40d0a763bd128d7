//! Rewrites a description that is passed on while its media is relayed as opaque packets (proxy mode).
//!
//! Line by line, whatever the directions say: `o=`, `s=`, `c=` and the ports of `m=` become ours, so that both peers
//! send to the relay. What would lead them around it is taken out: ICE and its candidates, `a=rtcp` (the relay does
//! not carry a port of its own for RTCP) and the older inventions for the same purpose. All other lines pass as they
//! are, byte for byte, keys and fingerprints included.

use std::net::IpAddr;

use bytes::Bytes;

use super::parse::is_line;
use super::print::Word;
use super::{Connection, MediaKind, SdpError};

/// What stands in a rewritten description.
#[derive(Clone, Copy, Debug)]
pub struct Relay<'a> {
    /// The user of `o=` and `s=`.
    pub user: &'a str,
    /// The session id of `o=`; the same for the whole call.
    pub session_id: u64,
    /// The version of `o=`; the caller raises it with each changed body.
    pub version: u64,
    /// The address that we advertise.
    pub address: IpAddr,
    /// Our ports.
    pub ports: RelayPorts,
}

/// The relay's port of each kind; `None` where that kind is not relayed. Lines of such a kind, and of kinds that no
/// relay knows, are declined by port 0: their port at our address would be another call's.
#[derive(Clone, Copy, Debug, Default)]
pub struct RelayPorts {
    /// `m=audio`
    pub audio: Option<u16>,
    /// `m=video`
    pub video: Option<u16>,
    /// `m=image`
    pub image: Option<u16>,
    /// `m=text`
    pub text: Option<u16>,
}

/// Attributes that name addresses or ask for them to be tried.
const AROUND_THE_RELAY: [&[u8]; 12] = [
    b"rtcp",
    b"candidate",
    b"remote-candidates",
    b"end-of-candidates",
    b"ice-ufrag",
    b"ice-pwd",
    b"ice-options",
    b"ice-lite",
    b"ice-mismatch",
    b"ice-pacing",
    b"alt",
    b"source-filter",
];

/// The body as it goes to the other side.
pub fn rewrite(body: &[u8], relay: &Relay<'_>) -> Result<Bytes, SdpError> {
    let mut out = Vec::with_capacity(body.len() + 128);
    let mut first = true;
    for (at, line) in (1..).zip(body.split(|&b| b == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let version = line.strip_prefix(b"v=").map(<[u8]>::trim_ascii);
        if std::mem::take(&mut first) && version != Some(b"0") {
            return Err(SdpError::Version);
        }
        if !is_line(line) {
            return Err(SdpError::Line(at));
        }
        match line {
            [b'o', b'=', ..] => push_line(&mut out, &relay.origin()),
            [b's', b'=', ..] => push_line(&mut out, &format!("s={}", Word(relay.user))),
            [b'c', b'=', value @ ..] => match relay.connection(value) {
                Some(ours) => push_line(&mut out, &ours),
                None => push_raw(&mut out, line),
            },
            [b'm', b'=', value @ ..] => push_raw(&mut out, &relay.media(value).ok_or(SdpError::Media(at))?),
            [b'a', b'=', value @ ..] if leads_around(value) => {}
            other => push_raw(&mut out, other),
        }
    }
    if first { Err(SdpError::Version) } else { Ok(Bytes::from(out)) }
}

impl Relay<'_> {
    fn origin(&self) -> String {
        let connection = Connection::new(self.address);
        format!("o={} {} {} {connection}", Word(self.user), self.session_id, self.version)
    }

    /// Our `c=`; `None` keeps the line: 0.0.0.0 names nobody and says "hold" to the other side (RFC 3264 §8.4).
    fn connection(&self, value: &[u8]) -> Option<String> {
        let address = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(2);
        let address = address.and_then(|address| std::str::from_utf8(address).ok()?.parse::<IpAddr>().ok());
        let holds = address.is_some_and(|address| address.is_unspecified());
        (!holds).then(|| format!("c={}", Connection::new(self.address)))
    }

    /// The media line with our port; the rest of it stays, a port count goes.
    fn media(&self, value: &[u8]) -> Option<Vec<u8>> {
        let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let kind = words.next()?;
        let port = String::from_utf8_lossy(words.next()?);
        let port = port.split('/').next().and_then(crate::text::number);
        let theirs = port.and_then(|port| u16::try_from(port).ok())?;
        let ours = if theirs == 0 { 0 } else { self.ports.of(kind).unwrap_or(0) };
        let mut line = [b"m=", kind, b" ", ours.to_string().as_bytes()].concat();
        for word in words {
            line.push(b' ');
            line.extend_from_slice(word);
        }
        Some(line)
    }
}

impl RelayPorts {
    fn of(&self, kind: &[u8]) -> Option<u16> {
        let Ok(kind) = std::str::from_utf8(kind).ok()?.parse::<MediaKind>();
        match kind {
            MediaKind::Audio => self.audio,
            MediaKind::Video => self.video,
            MediaKind::Image => self.image,
            MediaKind::Text => self.text,
            MediaKind::Other(_) => None,
        }
    }
}

fn leads_around(attribute: &[u8]) -> bool {
    let name = attribute.split(|&b| b == b':').next().unwrap_or(attribute).trim_ascii();
    AROUND_THE_RELAY.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn push_line(out: &mut Vec<u8>, line: &str) {
    push_raw(out, line.as_bytes());
}

fn push_raw(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(line);
    out.extend_from_slice(b"\r\n");
}
