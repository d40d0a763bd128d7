//! Names of things that cross the border between an endpoint, its owner and its shell.

use core::fmt;
use std::net::SocketAddr;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub $inner);

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{}", self.0)
                }
            }
        )*
    };
}

ids! {
    /// A profile, named by whoever configures the endpoint.
    ProfileId(u16);
    /// A bound socket (UDP) or a listening one (TCP), named by whoever configures the endpoint.
    ListenerId(u32);
    /// A stream connection, named by the endpoint and never reused.
    ConnectionId(u64);
    /// One side of a call: an INVITE session with one peer. Named by the endpoint and never reused.
    LegId(u64);
    /// A request inside a leg, ours or the peer's. Named by the endpoint and never reused within a leg.
    RequestId(u64);
    /// A question to the resolver, named by the endpoint and never reused.
    QueryId(u64);
}

/// How SIP is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
}

impl Transport {
    /// As it stands in a Via.
    pub const fn via_name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }

    /// As it stands in a URI's `transport` parameter.
    pub const fn uri_name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }

    /// The transport that a Via or a URI names, if we speak it.
    pub fn parse(name: &str) -> Option<Transport> {
        [Transport::Udp, Transport::Tcp].into_iter().find(|known| known.via_name().eq_ignore_ascii_case(name))
    }
}

/// Where a message came from. Only the socket's word counts here, never a header's (faults.md A10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The profile that received it.
    pub profile: ProfileId,
    /// The listener it came in by; `None` on a connection that we opened.
    pub listener: Option<ListenerId>,
    /// The connection it came in by; `None` for a datagram.
    pub connection: Option<ConnectionId>,
    /// The peer's address.
    pub address: SocketAddr,
    /// The transport it came by.
    pub transport: Transport,
}
