//! Hosts and ports: names, IPv4 addresses, IPv6 references in brackets (RFC 3261 §25.1, RFC 5118 §4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use core::fmt;

use super::UriError;

/// A host as written: a name, an IPv4 address, or an IPv6 reference with its brackets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host<'a>(&'a str);

impl<'a> Host<'a> {
    /// Proves that `text` is a host. Names may hold underscores, which the grammar forbids and the field uses.
    pub fn parse(text: &'a str) -> Result<Host<'a>, UriError> {
        let legal = match text.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok()),
            None => {
                !text.is_empty()
                    && !text.starts_with(['-', '.'])
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
            }
        };
        if legal { Ok(Host(text)) } else { Err(UriError::Host) }
    }

    /// The host as written, an IPv6 reference in brackets.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// The host as an address; `None` for a name.
    pub fn address(&self) -> Option<IpAddr> {
        match self.0.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => self.0.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port`. No white space is taken.
pub fn split_host_port(text: &str) -> Result<(Host<'_>, Option<u16>), UriError> {
    // The colon of the port is looked for behind the bracket: `[2001:db8::10:5070]` has none (RFC 5118 §4.3).
    let colon = match text.find(']') {
        Some(bracket) => text[bracket..].find(':').map(|at| at + bracket),
        None => text.find(':'),
    };
    let Some(colon) = colon else {
        return Ok((Host::parse(text)?, None));
    };
    let host = Host::parse(&text[..colon])?;
    Ok((host, Some(parse_port(&text[colon + 1..])?)))
}

/// `host` or `host:port`; an IPv6 address without brackets gets them.
pub fn format_host_port(host: &str, port: Option<u16>) -> String {
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    let host = if bare_v6 { format!("[{host}]") } else { host.to_owned() };
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

pub(crate) fn parse_port(text: &str) -> Result<u16, UriError> {
    crate::text::number(text).and_then(|port| u16::try_from(port).ok()).ok_or(UriError::Port)
}
