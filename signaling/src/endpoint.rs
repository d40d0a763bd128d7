//! The endpoint: all of SIP between the octets of a shell and the decisions of an owner (RFC 3261 §8, §16.1, §18).
//!
//! ```text
//!            handle_datagram, handle_stream …                      invite, answer, hangup …
//!  shell ──────────▶ receive ──▶ servers ──▶ session ──▶ Event ──▶ owner ──▶ session
//!        ◀── Transmit ◀── errand ◀── clients ◀── Order ◀──┴──────────────────────┘
//! ```
//!
//! Nothing here knows a clock, a socket or what a call is for. Inputs are handled to the end: afterwards the caller
//! takes what `poll_transmit` and `poll_event` have, until both are empty, and looks at `next_deadline`.

mod arena;
mod call;
mod client;
mod compose;
mod connection;
mod counters;
mod errand;
mod event;
mod ids;
mod owner;
mod profile;
mod receive;
mod server;
mod settings;
mod stream;
mod target;
mod timers;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use clock::{Now, Tick};

use arena::Arena;
use client::Clients;
use compose::Contact;
use connection::{Connections, Written};
use errand::{Errand, Kind, Query};
use profile::Profiles;
use server::Servers;
use timers::{Armed, Owner, Timers};

use crate::random::{Random, Seed, Token};
use crate::session::{Order, Purpose, Session};
use crate::transaction::Output;

pub use call::{Account, Body, Hangup, Invite, InviteError, Reply, RequestError};
pub use counters::Counters;
pub use event::{Event, FailureOrigin, Transmit};
pub use ids::{ConnectionId, LegId, ListenerId, ProfileId, QueryId, RequestId, Source, Transport};
pub use settings::{
    Advertised, CONNECT_MS_MAX, CONNECTIONS_MAX, LEGS_MAX, Limits, ListenerSettings, ProfileSettings,
    QUERIES_MAX, RECV_REQUESTS_PER_SECOND_MAX, RESOLVE_MS_MAX, STREAM_IDLE_MS_MAX, STREAM_PARTIAL_MS_MAX,
    TCP_REFUSED_MS, TRANSACTIONS_PER_PROFILE_MAX,
};

/// All profiles of one control thread with their transactions, legs and connections.
pub struct Endpoint {
    profiles: Profiles,
    limits: Limits,
    random: Random,
    /// Key of the To tags that leave no state.
    secret: [u8; 16],
    legs: Arena<Leg>,
    /// Legs by our tag, which is in every request inside a dialog.
    tags: HashMap<Token, LegId>,
    clients: Clients,
    servers: Servers,
    connections: Connections,
    queries: Arena<Query>,
    timers: Timers,
    /// What sessions want done and have not seen done yet.
    work: VecDeque<(LegId, Work)>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    counters: Counters,
    requests_made: u64,
    /// Outboxes, kept for their memory.
    orders: Vec<Order>,
    outputs: Vec<Output>,
}

/// What exists, for an audit that everything ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Legs.
    pub legs: usize,
    /// Dialogs, early ones included.
    pub dialogs: usize,
    /// Client and server transactions.
    pub transactions: usize,
    /// Running timers.
    pub timers: usize,
    /// Stream connections.
    pub connections: usize,
    /// Questions to the resolver.
    pub queries: usize,
}

/// A leg and what the endpoint knows beside its session.
#[derive(Debug)]
struct Leg {
    profile: ProfileId,
    session: Session,
    contact: Contact,
    /// The Contact that the peer was told.
    contact_uri: Option<String>,
    affinity: Option<Affinity>,
    /// The last host that was resolved for this leg.
    resolved: Option<(String, Vec<IpAddr>)>,
    armed: Armed,
}

/// The way that a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    Datagram { listener: ListenerId, destination: SocketAddr },
    Stream(ConnectionId),
}

/// The socket that a leg came by; it is kept where nothing speaks against it.
#[derive(Clone, Copy, Debug)]
struct Affinity {
    listener: Option<ListenerId>,
    connection: Option<ConnectionId>,
}

/// A step still to be done for a leg.
#[derive(Debug)]
enum Work {
    Order(Order),
    Lost { purpose: Purpose, origin: FailureOrigin },
}

impl Endpoint {
    /// An endpoint of these profiles. A shell seeds it with 32 octets of the operating system, a test with a number.
    pub fn new(profiles: Vec<ProfileSettings>, seed: impl Into<Seed>) -> Endpoint {
        let mut random = Random::new(seed.into());
        let secret = random.secret();
        let mut endpoint = Endpoint {
            profiles: Profiles::default(),
            limits: Limits::default(),
            random,
            secret,
            legs: Arena::new(),
            tags: HashMap::new(),
            clients: Clients::new(),
            servers: Servers::new(),
            connections: Connections::new(),
            queries: Arena::new(),
            timers: Timers::default(),
            work: VecDeque::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            requests_made: 0,
            orders: Vec::new(),
            outputs: Vec::new(),
        };
        endpoint.profiles.set(profiles, |_| false);
        endpoint
    }

    /// Takes the profiles of a new configuration. Legs of a profile that is gone end in peace; it takes no new ones.
    pub fn set_profiles(&mut self, profiles: Vec<ProfileSettings>) {
        let used: BTreeSet<ProfileId> = self.legs.iter().map(|(_, leg)| leg.profile).collect();
        self.profiles.set(profiles, |id| used.contains(&id));
    }

    /// Sets limits other than the default ones.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A datagram has come in by `listener`.
    pub fn handle_datagram(&mut self, now: Now, listener: ListenerId, source: SocketAddr, bytes: Bytes) {
        self.counters.datagrams_received += 1;
        let Some(source) = self.datagram_source(listener, source) else {
            self.counters.unknown_socket += 1;
            return;
        };
        self.receive(now.tick, source, bytes);
        self.settle(now.tick);
    }

    /// The network says that a datagram sent by `listener` cannot reach `destination` (RFC 3261 §18.4).
    pub fn handle_transport_error(&mut self, now: Now, listener: ListenerId, destination: SocketAddr) {
        self.counters.transport_errors += 1;
        self.break_path(now.tick, Path::Datagram { listener, destination });
        self.settle(now.tick);
    }

    /// The shell has resolved the host of a [`Event::Resolve`], or could not.
    pub fn handle_resolved(&mut self, now: Now, query: QueryId, answer: Result<Vec<IpAddr>, ()>) {
        self.close_query(now.tick, query, answer);
        self.settle(now.tick);
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(owner) = self.timers.pop_due(now.tick) {
            match owner {
                Owner::Client(key) => self.wake_client(now.tick, key),
                Owner::Server(key) => self.wake_server(now.tick, key),
                Owner::Leg(key) => {
                    self.tell(LegId(key), |session, random, out| {
                        session.handle_timeout(now.tick, random, out);
                    });
                }
                Owner::Connection(key) => self.wake_connection(now.tick, ConnectionId(key)),
                Owner::Query(key) => self.wake_query(now.tick, key),
            }
            self.settle(now.tick);
        }
    }

    /// When to call `handle_timeout`, and for which timer.
    pub fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        self.timers.next_deadline()
    }

    /// What the shell should send next.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What the owner should know next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What has been counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What exists now. Every index is as long as what it leads to; a longer one would be a leak that nobody sees.
    pub fn census(&self) -> Census {
        debug_assert_eq!(self.tags.len(), self.legs.len());
        debug_assert!(self.clients.is_consistent() && self.servers.is_consistent());
        let counted = (self.profiles.transactions(), self.profiles.proceeding());
        debug_assert_eq!(counted, (self.clients.len() + self.servers.len(), self.servers.open_invites()));
        Census {
            legs: self.legs.len(),
            dialogs: self.legs.iter().map(|(_, leg)| leg.session.dialogs_len()).sum(),
            transactions: self.clients.len() + self.servers.len(),
            timers: self.timers.len(),
            connections: self.connections.len(),
            queries: self.queries.len(),
        }
    }

    /// Whether one of our listeners is there. Media is never sent to it, whatever SDP says: what is relayed unchanged could
    /// be a request, and it would come from ourselves.
    pub fn listens_at(&self, address: SocketAddr) -> bool {
        self.profiles.listen_at(address)
    }

    /// Says something to a leg's session and takes its orders. `None` when the leg is gone.
    fn tell<R>(
        &mut self,
        leg: LegId,
        say: impl FnOnce(&mut Session, &mut Random, &mut Vec<Order>) -> R,
    ) -> Option<R> {
        let entry = self.legs.get_mut(leg.0)?;
        let said = say(&mut entry.session, &mut self.random, &mut self.orders);
        self.timers.arm(Owner::Leg(leg.0), &mut entry.armed, entry.session.next_deadline());
        self.work.extend(self.orders.drain(..).map(|order| (leg, Work::Order(order))));
        Some(said)
    }

    /// Does what sessions have ordered, until nothing is left.
    fn settle(&mut self, now: Tick) {
        while let Some((leg, work)) = self.work.pop_front() {
            match work {
                Work::Order(order) => self.perform(now, leg, order),
                Work::Lost { purpose, origin } => {
                    self.tell(leg, |session, _, out| session.handle_failure(purpose, origin, out));
                }
            }
        }
    }

    fn perform(&mut self, now: Tick, leg: LegId, order: Order) {
        match order {
            Order::Send { purpose, draft } => {
                let kind = Kind::Transaction(purpose);
                if let Some(errand) = self.errand(leg, kind, draft) {
                    self.set_out(now, errand);
                }
            }
            Order::Ack { client, draft } => {
                if let Some(errand) = self.errand(leg, Kind::Ack { invite: client }, draft) {
                    self.set_out(now, errand);
                }
            }
            Order::Cancel { client, headers } => self.cancel_client(now, client, &headers),
            Order::Abandon { client } => self.abandon_client(client),
            Order::Orphan { client } => self.orphan_client(now, client),
            Order::Forget { query } => self.forget_query(query),
            Order::Respond { server, reply } => self.respond_server(now, server, &reply),
            Order::StopAnswer { server } => self.stop_answer(server),
            Order::Emit(event) => self.events.push_back(*event),
            Order::End => self.forget_leg(leg),
        }
    }

    fn errand(&self, leg: LegId, kind: Kind, draft: Box<crate::session::Draft>) -> Option<Errand> {
        let entry = self.legs.get(leg.0)?;
        Some(Errand { profile: entry.profile, leg: Some(leg), kind, draft, affinity: entry.affinity })
    }

    fn forget_leg(&mut self, leg: LegId) {
        let Some(mut entry) = self.legs.remove(leg.0) else { return };
        self.timers.arm(Owner::Leg(leg.0), &mut entry.armed, None);
        self.tags.remove(&entry.session.local_tag());
    }

    /// Sends octets by `path`; what finds no way is counted.
    fn transmit(&mut self, now: Tick, path: Path, bytes: Bytes) {
        if !self.try_transmit(now, path, bytes) {
            self.counters.undeliverable += 1;
        }
    }

    /// Sends octets that have been sent before.
    fn transmit_again(&mut self, now: Tick, path: Path, bytes: Bytes) {
        self.counters.retransmissions_sent += 1;
        self.transmit(now, path, bytes);
    }

    /// Sends octets by `path`, unless that is gone.
    fn try_transmit(&mut self, now: Tick, path: Path, bytes: Bytes) -> bool {
        debug_assert!(!bytes.is_empty(), "a message has octets");
        match path {
            Path::Datagram { listener, destination } => {
                self.transmits.push_back(Transmit::Datagram { listener, destination, bytes });
                true
            }
            Path::Stream(connection) => match self.connections.write(connection, &bytes) {
                Written::Now => {
                    self.transmits.push_back(Transmit::Stream { connection, bytes });
                    self.note_output(now, connection);
                    true
                }
                Written::Queued => true,
                Written::Lost => false,
            },
        }
    }
}

impl Leg {
    fn new(profile: ProfileId, contact: Contact, session: Session) -> Leg {
        Leg {
            profile,
            session,
            contact,
            contact_uri: None,
            affinity: None,
            resolved: None,
            armed: Armed::default(),
        }
    }
}

impl Affinity {
    fn of(path: Path) -> Affinity {
        match path {
            Path::Datagram { listener, .. } => Affinity { listener: Some(listener), connection: None },
            Path::Stream(connection) => Affinity { listener: None, connection: Some(connection) },
        }
    }
}

#[cfg(test)]
mod tests;
