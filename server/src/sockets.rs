//! SIP sockets: bytes between the kernel and whoever understands them.
//!
//! Nothing here knows SIP. What arrives is handed to an [`Upper`]; what is to leave comes as
//! [`Transmit`]. mio tells of readiness once, so each socket is read until it would block or its
//! share of the turn is used up; in the second case it is read again in the next turn.

mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use mio::event::Event;
use mio::{Interest, Registry, Token};
use signaling::{ConnectionId, ListenerId, ListenerSettings, ProfileId, Transmit, Transport};
use slab::Slab;

use crate::batch::Batch;
use tcp::{Connection, Read, TcpListener};
use udp::UdpListener;

/// Tokens of listeners begin here; what is below belongs to the loop.
const LISTENER_TOKENS: usize = 1 << 16;
/// Tokens of connections begin here.
const CONNECTION_TOKENS: usize = 1 << 32;
/// SIP connections over TCP, both ways. A carrier has some per peer; phones behind proxies add thousands.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Connections taken from one listener in one turn.
const ACCEPTS_PER_TURN_MAX: usize = 64;

const _: () = assert!(CONNECTION_TOKENS > LISTENER_TOKENS && CONNECTIONS_MAX < LISTENER_TOKENS);

/// Who takes what arrives.
pub trait Upper {
    /// A datagram came.
    fn datagram(&mut self, listener: ListenerId, source: SocketAddr, bytes: Bytes);
    /// A peer connected; it gets the name that is returned, or is turned away.
    fn accepted(&mut self, listener: ListenerId, source: SocketAddr) -> Option<ConnectionId>;
    /// A connection that was asked for stands.
    fn connected(&mut self, connection: ConnectionId, local: SocketAddr);
    /// A connection that was asked for does not come about.
    fn connect_failed(&mut self, connection: ConnectionId);
    /// Bytes came.
    fn stream(&mut self, connection: ConnectionId, bytes: &[u8]);
    /// The peer ended the connection, or it broke.
    fn closed(&mut self, connection: ConnectionId);
    /// A datagram could not be delivered (RFC 3261 §18.4).
    fn transport_error(&mut self, listener: ListenerId, destination: SocketAddr);
}

/// What was dropped or refused here, and how much passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounters {
    /// Datagrams taken from the system.
    pub datagrams_received: u64,
    /// Datagrams given to the system.
    pub datagrams_sent: u64,
    /// Datagrams that the system refused, or that ICMP reported as undeliverable.
    pub datagrams_undeliverable: u64,
    /// Datagrams dropped because a socket's queue was full.
    pub datagrams_over_limit: u64,
    /// Connections refused because there were [`CONNECTIONS_MAX`].
    pub connections_over_limit: u64,
    /// Connections ended because the peer did not read.
    pub connections_unread: u64,
    /// Times the system had no descriptor for a connection.
    pub accepts_failed: u64,
}

impl SocketCounters {
    /// All of them by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        [
            ("datagrams_received", self.datagrams_received),
            ("datagrams_sent", self.datagrams_sent),
            ("datagrams_undeliverable", self.datagrams_undeliverable),
            ("datagrams_over_limit", self.datagrams_over_limit),
            ("connections_over_limit", self.connections_over_limit),
            ("connections_unread", self.connections_unread),
            ("accepts_failed", self.accepts_failed),
        ]
        .into_iter()
    }
}

enum Listener {
    Udp(UdpListener),
    Tcp(TcpListener),
}

/// A listener that could not be bound.
#[derive(Debug)]
pub struct BindFailure {
    /// Which.
    pub listener: ListenerId,
    /// Where it should have been.
    pub local: SocketAddr,
    /// By which transport.
    pub transport: Transport,
    /// Why not.
    pub error: io::Error,
}

impl std::fmt::Display for BindFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let transport = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        let why = match self.error.kind() {
            io::ErrorKind::AddrInUse => "the port is in use by another program".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine does not have the address".to_owned(),
            io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
            _ => self.error.to_string(),
        };
        write!(f, "{transport} {}: {why}", self.local)
    }
}

/// All SIP sockets of the process.
pub struct Sockets {
    registry: Registry,
    listeners: Slab<Listener>,
    /// Where the connections of a profile leave from.
    origins: HashMap<ProfileId, SocketAddr>,
    connections: Slab<Connection>,
    by_name: HashMap<ConnectionId, usize>,
    /// Sockets whose share of the last turn was used up.
    again: Vec<Token>,
    batch: Batch,
    buffer: Vec<u8>,
    counters: SocketCounters,
}

impl Sockets {
    /// None yet.
    pub fn new(registry: Registry) -> Sockets {
        Sockets {
            registry,
            listeners: Slab::new(),
            origins: HashMap::new(),
            connections: Slab::new(),
            by_name: HashMap::new(),
            again: Vec::new(),
            batch: Batch::default(),
            buffer: vec![0; tcp::READ_LEN_MAX],
            counters: SocketCounters::default(),
        }
    }

    /// Binds the listeners that are not there yet and ends those that are not named. Those that cannot be bound are
    /// returned, and what was bound beside them for the same profile is let go: half a profile (TCP without UDP) looks
    /// alive and answers nobody. All other profiles work.
    pub fn listen(&mut self, wanted: &[(ProfileId, ListenerSettings)]) -> Vec<BindFailure> {
        self.end_unnamed(wanted);
        self.origins.clear();
        let mut failures = Vec::new();
        let mut failed = Vec::new();
        let mut bound = Vec::new();
        for (profile, settings) in wanted {
            self.origins.entry(*profile).or_insert(settings.local);
            if self.listeners.iter().any(|(_, listener)| listener.id() == settings.id) {
                continue;
            }
            let ListenerSettings { id, local, transport, .. } = *settings;
            match self.bind(settings) {
                Ok(()) => bound.push((*profile, id)),
                Err(error) => {
                    failed.push(*profile);
                    failures.push(BindFailure { listener: id, local, transport, error });
                }
            }
        }
        bound.retain(|(profile, _)| failed.contains(profile));
        self.end_listeners(|listener| bound.iter().any(|(_, id)| *id == listener.id()));
        failures
    }

    /// Whether a reload has left sockets behind that wait for their calls to end.
    pub fn has_retired(&self) -> bool {
        self.listeners.iter().any(|(_, listener)| listener.is_retired())
    }

    /// Ends sockets that a reload has left behind.
    pub fn end_retired(&mut self) {
        self.end_listeners(|listener| listener.is_retired());
    }

    /// Whether the token is one of ours.
    pub fn owns(token: Token) -> bool {
        token.0 >= LISTENER_TOKENS
    }

    /// Whether a socket has more to read, so that the loop must not sleep.
    pub fn is_unfinished(&self) -> bool {
        !self.again.is_empty()
    }

    /// Handles a socket that became ready.
    pub fn handle_ready(&mut self, event: &Event, upper: &mut dyn Upper) {
        let token = event.token();
        if event.is_writable() {
            self.handle_writable(token, upper);
        }
        if event.is_error()
            && token.0 < CONNECTION_TOKENS
            && let Some(Listener::Udp(listener)) = self.listeners.get(token.0 - LISTENER_TOKENS)
        {
            listener.take_errors(&mut self.counters, upper);
        }
        if event.is_readable() || event.is_error() || event.is_read_closed() {
            self.handle_readable(token, upper);
        }
    }

    /// Reads on where the last turn stopped.
    pub fn handle_unfinished(&mut self, upper: &mut dyn Upper) {
        for token in std::mem::take(&mut self.again) {
            self.handle_readable(token, upper);
        }
    }

    /// Sends, connects or closes. Datagrams leave with the next [`Sockets::flush`].
    pub fn transmit(&mut self, transmit: Transmit, upper: &mut dyn Upper) {
        match transmit {
            Transmit::Datagram { listener, destination, bytes } => {
                self.queue_datagram(listener, destination, bytes, upper)
            }
            Transmit::Connect { connection, profile, destination } => {
                if self.connect(connection, profile, destination).is_err() {
                    upper.connect_failed(connection);
                }
            }
            Transmit::Stream { connection, bytes } => {
                let Some(&key) = self.by_name.get(&connection) else { return };
                if self.connections[key].write(bytes).is_err() {
                    self.counters.connections_unread += 1;
                    self.end_connection(key);
                    upper.closed(connection);
                }
            }
            Transmit::Close { connection } => {
                if let Some(&key) = self.by_name.get(&connection) {
                    self.end_connection(key);
                }
            }
        }
    }

    /// Gives all queued datagrams to the system.
    pub fn flush(&mut self, upper: &mut dyn Upper) {
        for (_, listener) in &mut self.listeners {
            if let Listener::Udp(listener) = listener {
                listener.flush(&mut self.batch, &mut self.counters, upper);
            }
        }
    }

    /// Figures so far.
    pub fn counters(&self) -> &SocketCounters {
        &self.counters
    }

    /// Where listeners are bound; those that a reload has taken away are left out.
    pub fn bound(&self) -> impl Iterator<Item = (ListenerId, Transport, SocketAddr)> {
        let listeners = self.listeners.iter().map(|(_, listener)| listener);
        listeners.filter(|listener| !listener.is_retired()).map(|listener| match listener {
            Listener::Udp(udp) => (udp.id, Transport::Udp, udp.local),
            Listener::Tcp(tcp) => (tcp.id, Transport::Tcp, tcp.local),
        })
    }

    /// Ends listeners that are not named. A UDP socket stays while there may be calls on it, unless its address is
    /// wanted under another name.
    fn end_unnamed(&mut self, wanted: &[(ProfileId, ListenerSettings)]) {
        let is_named = |id, local| wanted.iter().any(|(_, named)| named.id == id && named.local == local);
        let is_claimed =
            |local| wanted.iter().any(|(_, named)| named.local == local && named.transport == Transport::Udp);
        self.end_listeners(|listener| match listener {
            Listener::Tcp(tcp) => !is_named(tcp.id, tcp.local),
            Listener::Udp(udp) => {
                udp.is_retired = !is_named(udp.id, udp.local);
                udp.is_retired && is_claimed(udp.local)
            }
        });
    }

    fn end_listeners(&mut self, mut is_over: impl FnMut(&mut Listener) -> bool) {
        let registry = &self.registry;
        self.listeners.retain(|_, listener| {
            if !is_over(listener) {
                return true;
            }
            // Dropping the socket ends it all the same.
            let _ = match listener {
                Listener::Udp(udp) => registry.deregister(&mut udp.socket),
                Listener::Tcp(tcp) => registry.deregister(&mut tcp.socket),
            };
            false
        });
    }

    fn bind(&mut self, settings: &ListenerSettings) -> io::Result<()> {
        let entry = self.listeners.vacant_entry();
        let token = Token(LISTENER_TOKENS + entry.key());
        let interest = Interest::READABLE | Interest::WRITABLE;
        match settings.transport {
            Transport::Udp => {
                let mut listener = UdpListener::bind(settings.id, settings.local)?;
                self.registry.register(&mut listener.socket, token, interest)?;
                entry.insert(Listener::Udp(listener));
            }
            Transport::Tcp => {
                let mut listener = TcpListener::bind(settings.id, settings.local)?;
                self.registry.register(&mut listener.socket, token, Interest::READABLE)?;
                entry.insert(Listener::Tcp(listener));
            }
        }
        Ok(())
    }

    fn queue_datagram(
        &mut self,
        id: ListenerId,
        destination: SocketAddr,
        bytes: Bytes,
        upper: &mut dyn Upper,
    ) {
        let listener = self.listeners.iter_mut().find_map(|(_, listener)| match listener {
            Listener::Udp(listener) if listener.id == id => Some(listener),
            Listener::Udp(_) | Listener::Tcp(_) => None,
        });
        let Some(listener) = listener else {
            self.counters.datagrams_undeliverable += 1;
            return upper.transport_error(id, destination);
        };
        if listener.queue(destination, bytes).is_err() {
            self.counters.datagrams_over_limit += 1;
        }
    }

    fn connect(&mut self, name: ConnectionId, profile: ProfileId, destination: SocketAddr) -> io::Result<()> {
        if self.connections.len() >= CONNECTIONS_MAX {
            self.counters.connections_over_limit += 1;
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let origin = self.origins.get(&profile).map(|local| local.ip());
        let connection = Connection::connect(name, origin, destination)?;
        self.adopt(connection)
    }

    fn adopt(&mut self, mut connection: Connection) -> io::Result<()> {
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut connection.stream, Token(CONNECTION_TOKENS + key), interest)?;
        self.by_name.insert(connection.name, key);
        entry.insert(connection);
        Ok(())
    }

    fn end_connection(&mut self, key: usize) {
        let Some(mut connection) = self.connections.try_remove(key) else { return };
        self.by_name.remove(&connection.name);
        let _ = self.registry.deregister(&mut connection.stream);
    }

    fn handle_writable(&mut self, token: Token, upper: &mut dyn Upper) {
        if token.0 < CONNECTION_TOKENS {
            // Queued datagrams go out with the flush at the end of the turn.
            return;
        }
        let key = token.0 - CONNECTION_TOKENS;
        let Some(connection) = self.connections.get_mut(key) else { return };
        let name = connection.name;
        match connection.handle_writable() {
            Ok(Some(local)) => upper.connected(name, local),
            Ok(None) => {}
            Err(_) => {
                let was_open = connection.is_open();
                self.end_connection(key);
                if was_open { upper.closed(name) } else { upper.connect_failed(name) }
            }
        }
    }

    fn handle_readable(&mut self, token: Token, upper: &mut dyn Upper) {
        if token.0 >= CONNECTION_TOKENS {
            return self.read_connection(token, upper);
        }
        let unfinished = match self.listeners.get_mut(token.0 - LISTENER_TOKENS) {
            Some(Listener::Udp(listener)) => listener.receive(&mut self.batch, &mut self.counters, upper),
            Some(Listener::Tcp(_)) => self.accept(token, upper),
            None => false,
        };
        if unfinished {
            self.again.push(token);
        }
    }

    /// Takes waiting connections; true when there may be more.
    fn accept(&mut self, token: Token, upper: &mut dyn Upper) -> bool {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let Some(Listener::Tcp(listener)) = self.listeners.get(token.0 - LISTENER_TOKENS) else {
                return false;
            };
            let id = listener.id;
            let (stream, source) = match listener.socket.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                // No descriptor is left. The peer's next attempt makes us try again; trying now would only spin.
                Err(_) => {
                    self.counters.accepts_failed += 1;
                    return false;
                }
            };
            if self.connections.len() >= CONNECTIONS_MAX {
                self.counters.connections_over_limit += 1;
                continue;
            }
            let Some(name) = upper.accepted(id, source) else { continue };
            if self.adopt(Connection::accepted(name, stream)).is_err() {
                upper.closed(name);
            }
        }
        true
    }

    fn read_connection(&mut self, token: Token, upper: &mut dyn Upper) {
        let key = token.0 - CONNECTION_TOKENS;
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.is_open() {
            return; // A failed connect tells of itself as writable, too.
        }
        let name = connection.name;
        let buffer = &mut self.buffer;
        match connection.read(buffer, |bytes| upper.stream(name, bytes)) {
            Read::Drained => {}
            Read::More => self.again.push(token),
            Read::Ended => {
                self.end_connection(key);
                upper.closed(name);
            }
        }
    }
}

impl Listener {
    fn id(&self) -> ListenerId {
        match self {
            Listener::Udp(udp) => udp.id,
            Listener::Tcp(tcp) => tcp.id,
        }
    }

    fn is_retired(&self) -> bool {
        matches!(self, Listener::Udp(udp) if udp.is_retired)
    }
}
