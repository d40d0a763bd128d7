//! What an endpoint is told about itself: profiles with their listeners, and its limits.

use core::fmt;
use std::net::SocketAddr;

use crate::Method;
use crate::transaction::{T1_MS, T1X64_MS, T2_MS, T4_MS, Timing};

use super::ids::{ListenerId, ProfileId, Transport};

/// Requests that a profile takes per second before it drops (FreeSWITCH's default).
pub const RECV_REQUESTS_PER_SECOND_MAX: u32 = 1_000;
/// Legs that an endpoint carries at once. A leg is a few kilobytes, so this is below a gigabyte.
pub const LEGS_MAX: usize = 200_000;
/// Transactions of one profile, client and server together. An ended call leaves a few of them for 32 s.
pub const TRANSACTIONS_PER_PROFILE_MAX: usize = 1_000_000;
/// Stream connections. Descriptors bound them as well; a carrier has tens.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Questions to the resolver that wait at once.
pub const QUERIES_MAX: usize = 10_000;
/// How long a question to the resolver may wait, in milliseconds (faults.md T19).
pub const RESOLVE_MS_MAX: u64 = 10_000;
/// How long a connection may take to come up, in milliseconds; well below timer B, so that UDP can still be tried.
pub const CONNECT_MS_MAX: u64 = 4_000;
/// How long a connection may stand without a whole message or a keep-alive, in milliseconds.
pub const STREAM_IDLE_MS_MAX: u64 = 600_000;
/// How long a connection may take for its first message, and for the rest of one begun, in milliseconds (T1, T2).
pub const STREAM_PARTIAL_MS_MAX: u64 = 30_000;
/// How long a destination that refused TCP is spared a second attempt for a long request, in milliseconds.
pub const TCP_REFUSED_MS: u64 = 300_000;

const _: () = assert!(CONNECT_MS_MAX < T1X64_MS as u64);
const _: () = assert!(STREAM_PARTIAL_MS_MAX < STREAM_IDLE_MS_MAX);

/// One SIP profile.
#[derive(Clone, Debug)]
pub struct ProfileSettings {
    /// Its id; stays the same over a reload.
    pub id: ProfileId,
    /// Its name, for people.
    pub name: String,
    /// Where it listens. Requests leave by the first listener of the right transport and address family.
    pub listeners: Vec<ListenerSettings>,
    /// Value of User-Agent and Server; `None` leaves both out.
    pub user_agent: Option<String>,
    /// User part of its Contact.
    pub contact_user: String,
    /// T1, in milliseconds.
    pub t1_ms: u32,
    /// T2, in milliseconds.
    pub t2_ms: u32,
    /// T4, in milliseconds.
    pub t4_ms: u32,
    /// 64·T1, in milliseconds.
    pub t1x64_ms: u32,
    /// INVITEs without a final answer at once; 0 is no limit.
    pub max_proceeding: u32,
    /// Requests per second above which further ones are dropped; 0 is no limit.
    pub max_recv_requests_per_second: u32,
    /// Methods that peers may use, in the order of the Allow header.
    pub allow: Vec<Method>,
    /// Option tags for the Supported header.
    pub supported: Vec<String>,
}

/// One listening address of a profile.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// Its id; unique over all profiles.
    pub id: ListenerId,
    /// What it speaks.
    pub transport: Transport,
    /// The address it is bound to.
    pub local: SocketAddr,
    /// The address that peers are told (Via, Contact).
    pub advertised: Advertised,
}

/// Host and port as peers are told them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// An address or a name; an IPv6 address stands in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What an endpoint refuses to exceed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Legs at once.
    pub legs_max: usize,
    /// Transactions of one profile at once.
    pub transactions_per_profile_max: usize,
    /// Stream connections at once.
    pub connections_max: usize,
    /// Questions to the resolver at once.
    pub queries_max: usize,
}

impl ProfileSettings {
    /// A profile with everything at its default and no listener.
    pub fn new(id: ProfileId, name: impl Into<String>) -> ProfileSettings {
        ProfileSettings {
            id,
            name: name.into(),
            listeners: Vec::new(),
            user_agent: None,
            contact_user: "crosspoint".to_string(),
            t1_ms: T1_MS,
            t2_ms: T2_MS,
            t4_ms: T4_MS,
            t1x64_ms: T1X64_MS,
            max_proceeding: 0,
            max_recv_requests_per_second: RECV_REQUESTS_PER_SECOND_MAX,
            allow: default_allow(),
            supported: Vec::new(),
        }
    }

    /// Its timers' base values.
    pub fn timing(&self) -> Timing {
        Timing { t1_ms: self.t1_ms, t2_ms: self.t2_ms, t4_ms: self.t4_ms, t1x64_ms: self.t1x64_ms }
    }
}

impl ListenerSettings {
    /// A listener that tells peers the address it is bound to.
    pub fn new(id: ListenerId, transport: Transport, local: SocketAddr) -> ListenerSettings {
        ListenerSettings { id, transport, local, advertised: local.into() }
    }
}

impl From<SocketAddr> for Advertised {
    fn from(address: SocketAddr) -> Advertised {
        let host = match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        Advertised { host, port: address.port() }
    }
}

impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            legs_max: LEGS_MAX,
            transactions_per_profile_max: TRANSACTIONS_PER_PROFILE_MAX,
            connections_max: CONNECTIONS_MAX,
            queries_max: QUERIES_MAX,
        }
    }
}

/// What a transit switch takes inside and outside a call.
fn default_allow() -> Vec<Method> {
    use Method::{Ack, Bye, Cancel, Info, Invite, Message, Notify, Options, Refer, Update};
    vec![Invite, Ack, Bye, Cancel, Options, Info, Update, Refer, Notify, Message]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_advertised_in_brackets() {
        let local: SocketAddr = "[2001:db8::1]:5060".parse().expect("an address");
        assert_eq!(Advertised::from(local).to_string(), "[2001:db8::1]:5060");
        let local: SocketAddr = "192.0.2.1:5080".parse().expect("an address");
        assert_eq!(Advertised::from(local).to_string(), "192.0.2.1:5080");
    }
}
