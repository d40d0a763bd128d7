//! Finding the way for a request of ours.
//!
//! ```text
//!   Errand ──numeric host──────────────▶ addresses ──▶ path ──▶ Via ──▶ transaction, or ACK alone
//!      └──name──▶ Query ──resolved────────▲    ▲  │none left              │broken
//!                   └─no such host ▶ failed ◀──┼──┘                       │
//!                                              └──next address, or UDP ◀──┘
//! ```

use core::time::Duration;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use clock::Tick;

use super::client::{Branch, Cargo};
use super::compose::{self, UDP_REQUEST_BYTES_MAX};
use super::event::{Event, FailureOrigin, Transmit};
use super::ids::{ConnectionId, LegId, ProfileId, QueryId, Transport};
use super::settings::{ListenerSettings, RESOLVE_MS_MAX};
use super::target::{Target, TargetHost};
use super::timers::{Armed, Owner};
use super::{Affinity, Endpoint, Path};
use crate::NameAddr;
use crate::random::Token;
use crate::session::{Draft, Purpose};

/// Addresses of one name that are tried in turn (faults.md T19: an answer of 200 addresses).
const ADDRESSES_MAX: usize = 4;

/// A request whose way is being found.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) profile: ProfileId,
    pub(super) leg: Option<LegId>,
    pub(super) kind: Kind,
    pub(super) draft: Box<Draft>,
    pub(super) affinity: Option<Affinity>,
}

/// How a request is carried.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// In a transaction of its own.
    Transaction(Purpose),
    /// As the ACK for a 2xx, kept by the INVITE's transaction for each copy.
    Ack { invite: u64 },
}

/// Where a request may go, in turn.
#[derive(Debug, Default)]
pub(super) struct Route {
    transport: Option<Transport>,
    addresses: VecDeque<SocketAddr>,
    /// TCP was our own idea, for the request's length; here UDP is still to be tried.
    udp_left: Option<SocketAddr>,
}

/// A question to the resolver.
#[derive(Debug)]
pub(super) struct Query {
    errand: Errand,
    host: String,
    deadline: Tick,
    armed: Armed,
}

/// A request ready to leave.
struct Wire {
    path: Path,
    branch: Token,
    via: String,
    contact: Option<String>,
    bytes: Bytes,
}

impl Endpoint {
    /// Sets out with an errand: has its destination resolved where that is a name.
    pub(super) fn set_out(&mut self, now: Tick, errand: Errand) {
        let Ok(target) = Target::of(&errand.draft.hop) else {
            return self.give_up(&errand, FailureOrigin::Transport);
        };
        let leg = errand.leg.and_then(|leg| self.legs.get(leg.0));
        let addresses = match (&target.host, leg.and_then(|leg| leg.resolved.as_ref())) {
            (TargetHost::Address(address), _) => vec![*address],
            (TargetHost::Name(name), Some((host, addresses))) if host == name => addresses.clone(),
            (TargetHost::Name(name), _) => return self.ask_resolver(now, errand, name.clone()),
        };
        self.advance(now, errand, Route::new(&target, &addresses));
    }

    /// Takes the first way that is open.
    pub(super) fn advance(&mut self, now: Tick, errand: Errand, mut route: Route) {
        let transport = errand.draft.transport.or(route.transport);
        loop {
            let (address, transport) = match (route.udp_left.take(), route.addresses.front()) {
                (Some(address), _) => (address, Some(Transport::Udp)),
                (None, Some(address)) => (*address, transport),
                (None, None) => return self.give_up(&errand, FailureOrigin::Transport),
            };
            if route.addresses.front() == Some(&address) {
                route.addresses.pop_front();
            }
            if let Some(wire) = self.prepare(now, &errand, &mut route, address, transport) {
                return self.launch(now, errand, route, address, wire);
            }
        }
    }

    /// The resolver has answered, or has not in time.
    pub(super) fn close_query(&mut self, now: Tick, query: QueryId, answer: Result<Vec<IpAddr>, ()>) {
        let Some(Query { errand, host, mut armed, .. }) = self.queries.remove(query.0) else { return };
        self.timers.arm(Owner::Query(query.0), &mut armed, None);
        let mut addresses = answer.unwrap_or_default();
        addresses.truncate(ADDRESSES_MAX);
        let target = Target::of(&errand.draft.hop).ok().filter(|_| !addresses.is_empty());
        let Some(target) = target else {
            self.counters.unresolved_hosts += 1;
            return self.give_up(&errand, FailureOrigin::Resolution);
        };
        if let Some(leg) = errand.leg.and_then(|leg| self.legs.get_mut(leg.0)) {
            leg.resolved = Some((host, addresses.clone()));
        }
        self.advance(now, errand, Route::new(&target, &addresses));
    }

    /// A question has waited long enough.
    pub(super) fn wake_query(&mut self, now: Tick, query: u64) {
        if self.queries.get(query).is_some_and(|query| query.deadline <= now) {
            self.close_query(now, QueryId(query), Err(()));
        }
    }

    /// Forgets a question whose answer nobody wants.
    pub(super) fn forget_query(&mut self, query: u64) {
        if let Some(mut forgotten) = self.queries.remove(query) {
            self.timers.arm(Owner::Query(query), &mut forgotten.armed, None);
        }
    }

    /// A connection of `profile` to `address`: the one that is there, the leg's own to that host, or a new one.
    pub(super) fn connection_to(
        &mut self,
        now: Tick,
        profile: ProfileId,
        address: SocketAddr,
        affinity: Option<Affinity>,
    ) -> Option<ConnectionId> {
        if let Some(known) = self.connections.find(profile, address) {
            return Some(known);
        }
        if let Some(own) = affinity.and_then(|affinity| self.stream_kept(affinity, address.ip())) {
            return Some(own);
        }
        if self.connections.len() >= self.limits.connections_max {
            self.counters.connections_over_limit += 1;
            return None;
        }
        let connection = self.connections.open(now, profile, address);
        self.counters.connections_opened += 1;
        self.transmits.push_back(Transmit::Connect { connection, profile, destination: address });
        self.arm_connection(connection);
        Some(connection)
    }

    fn ask_resolver(&mut self, now: Tick, errand: Errand, host: String) {
        if self.queries.len() >= self.limits.queries_max {
            self.counters.requests_over_limit += 1;
            return self.give_up(&errand, FailureOrigin::Resolution);
        }
        let deadline = now + Duration::from_millis(RESOLVE_MS_MAX);
        let (leg, kind) = (errand.leg, errand.kind);
        let query = Query { errand, host: host.clone(), deadline, armed: Armed::default() };
        let key = self.queries.insert(query);
        if let Some(query) = self.queries.get_mut(key) {
            self.timers.arm(Owner::Query(key), &mut query.armed, Some((deadline, "resolve")));
        }
        if let (Some(leg), Kind::Transaction(purpose)) = (leg, kind) {
            self.tell(leg, |session, _, _| session.note_query(purpose, key));
        }
        self.events.push_back(Event::Resolve { query: QueryId(key), host });
    }

    /// Writes the request for one address, or finds that no way leads there.
    fn prepare(
        &mut self,
        now: Tick,
        errand: &Errand,
        route: &mut Route,
        address: SocketAddr,
        transport: Option<Transport>,
    ) -> Option<Wire> {
        let kept = errand.affinity.and_then(|affinity| self.stream_kept(affinity, address.ip()));
        match transport {
            Some(Transport::Udp) => self.write_datagram(errand, address),
            Some(Transport::Tcp) => self.write_stream(now, errand, address),
            // Nobody names a transport: a leg that lives on a stream to this host stays there.
            None if kept.is_some() => self.write_stream(now, errand, address),
            None => {
                let Some(wire) = self.write_datagram(errand, address) else {
                    return self.write_stream(now, errand, address);
                };
                if wire.bytes.len() <= UDP_REQUEST_BYTES_MAX || !self.may_prefer_stream(now, errand, address)
                {
                    return Some(wire);
                }
                match self.write_stream(now, errand, address) {
                    Some(stream) => {
                        route.udp_left = Some(address);
                        Some(stream)
                    }
                    None => Some(wire),
                }
            }
        }
    }

    /// Whether a long request to `address` may try TCP first (RFC 3261 §18.1.1). An ACK has no transaction that
    /// could fall back to UDP, so it does not.
    fn may_prefer_stream(&self, now: Tick, errand: &Errand, address: SocketAddr) -> bool {
        let profile = self.profiles.get(errand.profile);
        let listens = profile.and_then(|profile| profile.listener_for(Transport::Tcp, address.ip(), None));
        matches!(errand.kind, Kind::Transaction(_))
            && listens.is_some()
            && !self.clients.refuses_tcp(now, address)
    }

    fn write_datagram(&mut self, errand: &Errand, address: SocketAddr) -> Option<Wire> {
        let preferred = errand.affinity.and_then(|affinity| affinity.listener);
        let profile = self.profiles.get(errand.profile)?;
        let listener = profile.listener_for(Transport::Udp, address.ip(), preferred)?.clone();
        let path = Path::Datagram { listener: listener.id, destination: address };
        self.write(errand, &listener, Transport::Udp, path)
    }

    fn write_stream(&mut self, now: Tick, errand: &Errand, address: SocketAddr) -> Option<Wire> {
        let listener = self.profiles.get(errand.profile)?.stream_identity(address.ip())?.clone();
        let connection = self.connection_to(now, errand.profile, address, errand.affinity)?;
        self.write(errand, &listener, Transport::Tcp, Path::Stream(connection))
    }

    fn write(
        &mut self,
        errand: &Errand,
        listener: &ListenerSettings,
        transport: Transport,
        path: Path,
    ) -> Option<Wire> {
        let profile = self.profiles.get(errand.profile)?;
        let branch = self.random.token();
        let via = compose::via(listener, transport, branch);
        let contact = self.contact_for(errand, listener, transport);
        let left_out = &mut self.counters.headers_left_out;
        let bytes = compose::request(profile, &errand.draft, &via, contact.as_deref(), left_out);
        Some(Wire { path, branch, via, contact, bytes })
    }

    /// The Contact of a request. The INVITE that begins a leg fixes it for all that follow.
    fn contact_for(
        &self,
        errand: &Errand,
        listener: &ListenerSettings,
        transport: Transport,
    ) -> Option<String> {
        if !compose::wants_contact(&errand.draft.method) {
            return None;
        }
        let leg = self.legs.get(errand.leg?.0)?;
        let is_first = matches!(errand.kind, Kind::Transaction(Purpose::Invite));
        leg.contact_uri.clone().filter(|_| !is_first).or_else(|| Some(leg.contact.uri(listener, transport)))
    }

    fn launch(&mut self, now: Tick, errand: Errand, rest: Route, address: SocketAddr, wire: Wire) {
        let Wire { path, branch, via, contact, bytes } = wire;
        let Errand { profile, leg, kind, draft, affinity } = errand;
        let purpose = match kind {
            Kind::Transaction(purpose) => purpose,
            Kind::Ack { invite } => {
                let remote_tag = NameAddr::parse(&draft.to).ok().and_then(|to| to.tag()).unwrap_or("");
                self.clients.keep_ack(invite, remote_tag, path, bytes.clone());
                self.counters.requests_sent += 1;
                return self.transmit(now, path, bytes);
            }
        };
        if let (Some(leg), Purpose::Invite) = (leg.and_then(|leg| self.legs.get_mut(leg.0)), purpose) {
            leg.contact_uri = contact;
            leg.affinity = Some(Affinity::of(path));
        }
        let method = draft.method.clone();
        let cargo = Cargo {
            profile,
            leg,
            purpose,
            branch: (branch, Branch::Request),
            call_id: draft.call_id.clone(),
            path,
            address,
            via,
            draft: Some(draft),
            affinity,
            rest,
            is_resent: false,
        };
        let client = self.begin(now, cargo, &method, bytes);
        if let Some(leg) = leg {
            self.tell(leg, |session, _, _| session.note_sent(purpose, client));
        }
    }

    /// The connection of a leg, while it stands and leads to the host in question.
    fn stream_kept(&self, affinity: Affinity, host: IpAddr) -> Option<ConnectionId> {
        let connection = affinity.connection?;
        let remote = self.connections.remote(connection)?;
        (remote.ip().to_canonical() == host).then_some(connection)
    }

    fn give_up(&mut self, errand: &Errand, origin: FailureOrigin) {
        match errand.kind {
            Kind::Transaction(purpose) => self.lose(errand.leg, purpose, origin),
            Kind::Ack { .. } => self.counters.undeliverable += 1,
        }
    }
}

impl Route {
    /// The addresses that `target` has turned out to have.
    fn new(target: &Target, addresses: &[IpAddr]) -> Route {
        let addresses = addresses.iter().map(|address| SocketAddr::new(address.to_canonical(), target.port));
        Route { transport: target.transport, addresses: addresses.collect(), udp_left: None }
    }

    /// Whether nothing is left to try.
    pub(super) fn is_empty(&self) -> bool {
        self.udp_left.is_none() && self.addresses.is_empty()
    }

    /// Whether the way just tried was TCP for the request's length only.
    pub(super) fn is_second_transport(&self) -> bool {
        self.udp_left.is_some()
    }
}
