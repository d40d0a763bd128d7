//! Stream connections: taken up, read, closed (RFC 3261 §18.3, RFC 5626 §3.5.1).

use std::net::SocketAddr;

use bytes::Bytes;
use clock::{Now, Tick};

use super::event::Transmit;
use super::ids::{ConnectionId, ListenerId, Source, Transport};
use super::timers::Owner;
use super::{Endpoint, Path};

/// What a ping is answered with.
const PONG: &[u8] = b"\r\n";

impl Endpoint {
    /// A peer has opened a connection to `listener`. When there are too many already, `Close` follows at once.
    pub fn handle_accepted(&mut self, now: Now, listener: ListenerId, source: SocketAddr) -> ConnectionId {
        let Some(profile) = self.profiles.of_listener(listener).map(super::profile::Profile::id) else {
            self.counters.unknown_socket += 1;
            return self.refuse_connection();
        };
        if self.connections.len() >= self.limits.connections_max {
            self.counters.connections_over_limit += 1;
            return self.refuse_connection();
        }
        self.counters.connections_accepted += 1;
        let connection = self.connections.accept(now.tick, profile, listener, source);
        self.arm_connection(connection);
        connection
    }

    /// A connection that we asked for is up; what waited for it leaves.
    pub fn handle_connected(&mut self, now: Now, connection: ConnectionId, _local: SocketAddr) {
        for bytes in self.connections.connected(now.tick, connection) {
            self.transmits.push_back(Transmit::Stream { connection, bytes });
        }
        self.arm_connection(connection);
        self.settle(now.tick);
    }

    /// A connection that we asked for did not come up.
    pub fn handle_connect_failed(&mut self, now: Now, connection: ConnectionId) {
        if self.drop_connection(connection) {
            self.counters.connections_failed += 1;
            self.break_path(now.tick, Path::Stream(connection));
            self.settle(now.tick);
        }
    }

    /// Octets have come by a connection; they may hold no message, one, many, or parts.
    pub fn handle_stream(&mut self, now: Now, connection: ConnectionId, bytes: &[u8]) {
        let Some(entry) = self.connections.get_mut(connection) else {
            self.counters.unknown_socket += 1;
            return;
        };
        let source = Source {
            profile: entry.profile,
            listener: entry.listener,
            connection: Some(connection),
            address: entry.remote,
            transport: Transport::Tcp,
        };
        entry.framer.push(bytes);
        let mut was_whole = false;
        // The connection may go while one of its messages is handled, so it is looked up each time.
        while let Some(entry) = self.connections.get_mut(connection) {
            match entry.framer.poll_message() {
                Ok(Some(message)) => {
                    was_whole = true;
                    self.receive(now.tick, source, message);
                    self.settle(now.tick);
                }
                Ok(None) => break,
                Err(_) => return self.stop_reading(now.tick, source, connection),
            }
        }
        self.finish_reading(now.tick, connection, was_whole);
    }

    /// The peer, or the network, has closed a connection.
    pub fn handle_closed(&mut self, now: Now, connection: ConnectionId) {
        let was_connecting = self.connections.get_mut(connection).is_some_and(|entry| entry.is_connecting());
        if was_connecting {
            return self.handle_connect_failed(now, connection);
        }
        if self.drop_connection(connection) {
            self.resume_elsewhere(now.tick, connection);
            self.settle(now.tick);
        }
    }

    /// A connection has stood too long without anything whole, or did not come up in time.
    pub(super) fn wake_connection(&mut self, now: Tick, connection: ConnectionId) {
        let Some(entry) = self.connections.get_mut(connection) else { return };
        if entry.next_deadline().0 > now {
            return self.arm_connection(connection);
        }
        match entry.is_connecting() {
            true => self.counters.connections_failed += 1,
            false => self.counters.connections_idle += 1,
        }
        self.transmits.push_back(Transmit::Close { connection });
        self.drop_connection(connection);
        self.break_path(now, Path::Stream(connection));
    }

    /// Sets a connection's timer anew.
    pub(super) fn arm_connection(&mut self, connection: ConnectionId) {
        if let Some(entry) = self.connections.get_mut(connection) {
            let deadline = Some(entry.next_deadline());
            self.timers.arm(Owner::Connection(connection.0), &mut entry.armed, deadline);
        }
    }

    /// We have written to a connection.
    pub(super) fn note_output(&mut self, now: Tick, connection: ConnectionId) {
        if let Some(entry) = self.connections.get_mut(connection) {
            entry.note_output(now);
        }
        self.arm_connection(connection);
    }

    fn finish_reading(&mut self, now: Tick, connection: ConnectionId, was_whole: bool) {
        let Some(entry) = self.connections.get_mut(connection) else { return };
        let pings = entry.framer.take_pings();
        self.counters.keep_alives += u64::from(pings);
        entry.note_input(now, was_whole || pings > 0);
        self.arm_connection(connection);
        if pings > 0 {
            self.transmit(now, Path::Stream(connection), Bytes::from_static(PONG));
        }
    }

    /// No message boundary can be trusted any more: the peer is told, if its head could be read, and left.
    fn stop_reading(&mut self, now: Tick, source: Source, connection: ConnectionId) {
        self.counters.framing_errors += 1;
        let refused = self.connections.get_mut(connection).and_then(|entry| entry.framer.refused().cloned());
        if let Some(head) = refused {
            self.receive(now, source, head);
        }
        self.transmits.push_back(Transmit::Close { connection });
        self.drop_connection(connection);
        self.resume_elsewhere(now, connection);
        self.settle(now);
    }

    fn refuse_connection(&mut self) -> ConnectionId {
        let connection = self.connections.reserve();
        self.transmits.push_back(Transmit::Close { connection });
        connection
    }

    fn drop_connection(&mut self, connection: ConnectionId) -> bool {
        let Some(mut entry) = self.connections.remove(connection) else { return false };
        self.timers.arm(Owner::Connection(connection.0), &mut entry.armed, None);
        true
    }
}
