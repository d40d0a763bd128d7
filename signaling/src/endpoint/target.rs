//! Where a request goes: the host, port and transport that a URI means (RFC 3261 §19.1, RFC 3263 §4).

use std::net::IpAddr;

use crate::{Scheme, Uri};

use super::ids::Transport;

/// SIP's port where none is written.
pub(super) const PORT: u16 = 5060;

/// The destination that a URI names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: TargetHost,
    pub(super) port: u16,
    /// What `transport` says, if it is there.
    pub(super) transport: Option<Transport>,
}

/// A host as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TargetHost {
    Address(IpAddr),
    Name(String),
}

/// Why a URI names no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetError {
    /// Not a URI.
    Malformed,
    /// A scheme that names no host (`tel:`), or one that asks for TLS.
    Scheme,
    /// A transport that we do not speak.
    Transport,
}

impl Target {
    /// The destination that `uri` means. `maddr` is ignored: it would let a peer send us anywhere.
    pub(super) fn of(uri: &str) -> Result<Target, TargetError> {
        let uri = Uri::parse(uri).map_err(|_| TargetError::Malformed)?;
        if uri.scheme != Scheme::Sip {
            return Err(TargetError::Scheme);
        }
        let transport = match uri.param("transport") {
            Some(name) => Some(Transport::parse(name).ok_or(TargetError::Transport)?),
            None => None,
        };
        let host = match uri.address() {
            Some(address) => TargetHost::Address(address.to_canonical()),
            None => TargetHost::Name(uri.host.as_str().to_ascii_lowercase()),
        };
        Ok(Target { host, port: uri.port.unwrap_or(PORT), transport })
    }
}

/// The URI of a next hop that an owner wrote: a SIP URI, or what stands behind its `sip:`.
pub(super) fn hop_uri(next_hop: &str) -> String {
    if next_hop.starts_with("sip:") || next_hop.starts_with("sips:") {
        return next_hop.to_string();
    }
    format!("sip:{next_hop}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_hosts_need_no_resolver_and_ports_have_a_default() {
        let target = Target::of("sip:4930@192.0.2.1").expect("a destination");
        assert_eq!((target.host, target.port), (TargetHost::Address([192, 0, 2, 1].into()), 5060));
        let target =
            Target::of("sip:[2001:db8::1]:5080;transport=TCP;maddr=192.0.2.9").expect("a destination");
        assert_eq!(target.port, 5080);
        assert_eq!(target.transport, Some(Transport::Tcp));
    }

    #[test]
    fn a_next_hop_may_be_written_without_scheme() {
        let target = Target::of(&hop_uri("GW.example:5070;transport=tcp")).expect("a destination");
        assert_eq!(target.host, TargetHost::Name("gw.example".to_string()));
        assert_eq!((target.port, target.transport), (5070, Some(Transport::Tcp)));
    }

    #[test]
    fn what_we_cannot_speak_is_told_apart() {
        assert_eq!(Target::of("tel:+4930"), Err(TargetError::Scheme));
        assert_eq!(Target::of("sips:a@b"), Err(TargetError::Scheme));
        assert_eq!(Target::of("sip:a@b;transport=tls"), Err(TargetError::Transport));
        assert_eq!(Target::of("no uri"), Err(TargetError::Malformed));
    }
}
