//! Stream connections: which exist, what waits for them, and when they have stood idle too long.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use clock::Tick;

use super::arena::Arena;
use super::ids::{ConnectionId, ListenerId, ProfileId};
use super::settings::{CONNECT_MS_MAX, STREAM_IDLE_MS_MAX, STREAM_PARTIAL_MS_MAX};
use super::timers::Armed;
use crate::framing::StreamFramer;

/// Messages that wait for a connection to come up. More means that nobody will want them any more.
const QUEUE_MAX: usize = 1_024;

/// All connections of an endpoint.
#[derive(Debug)]
pub(super) struct Connections {
    arena: Arena<Connection>,
    /// The latest connection to each peer's address.
    by_remote: BTreeMap<(ProfileId, SocketAddr), ConnectionId>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) profile: ProfileId,
    pub(super) listener: Option<ListenerId>,
    pub(super) remote: SocketAddr,
    pub(super) framer: StreamFramer,
    pub(super) armed: Armed,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Ours; `queue` leaves when it is up.
    Connecting { queue: Vec<Bytes>, give_up_at: Tick },
    /// `until`: when it is closed unless something whole comes.
    Open { until: Tick },
}

/// What became of octets for a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The connection is up: send them.
    Now,
    /// They wait until it is.
    Queued,
    /// There is no such connection, or too much waits for it.
    Lost,
}

impl Connections {
    /// No connections.
    pub(super) fn new() -> Connections {
        Connections { arena: Arena::new(), by_remote: BTreeMap::new() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.arena.len()
    }

    /// Takes up a connection that a peer opened.
    pub(super) fn accept(
        &mut self,
        now: Tick,
        profile: ProfileId,
        listener: ListenerId,
        remote: SocketAddr,
    ) -> ConnectionId {
        let state = State::Open { until: now + Duration::from_millis(STREAM_PARTIAL_MS_MAX) };
        self.insert(profile, Some(listener), remote, state)
    }

    /// An id for a connection that is refused at once.
    pub(super) fn reserve(&mut self) -> ConnectionId {
        let remote = SocketAddr::from(([0, 0, 0, 0], 0));
        let id = self.insert(ProfileId(u16::MAX), None, remote, State::Open { until: Tick::ZERO });
        self.remove(id);
        id
    }

    /// Begins one of ours.
    pub(super) fn open(&mut self, now: Tick, profile: ProfileId, remote: SocketAddr) -> ConnectionId {
        let give_up_at = now + Duration::from_millis(CONNECT_MS_MAX);
        self.insert(profile, None, remote, State::Connecting { queue: Vec::new(), give_up_at })
    }

    /// The connection of that id.
    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.arena.get_mut(id.0)
    }

    /// The peer's address, while the connection stands.
    pub(super) fn remote(&self, id: ConnectionId) -> Option<SocketAddr> {
        self.arena.get(id.0).map(|connection| connection.remote)
    }

    /// A connection of `profile` to `remote`, if there is one.
    pub(super) fn find(&self, profile: ProfileId, remote: SocketAddr) -> Option<ConnectionId> {
        self.by_remote.get(&(profile, remote)).copied()
    }

    /// Says what to do with octets for a connection, and keeps them if they must wait.
    pub(super) fn write(&mut self, id: ConnectionId, bytes: &Bytes) -> Written {
        match self.arena.get_mut(id.0).map(|connection| &mut connection.state) {
            Some(State::Open { .. }) => Written::Now,
            Some(State::Connecting { queue, .. }) if queue.len() < QUEUE_MAX => {
                queue.push(bytes.clone());
                Written::Queued
            }
            Some(State::Connecting { .. }) | None => Written::Lost,
        }
    }

    /// One of ours is up; what waited for it is returned.
    pub(super) fn connected(&mut self, now: Tick, id: ConnectionId) -> Vec<Bytes> {
        let Some(connection) = self.arena.get_mut(id.0) else { return Vec::new() };
        let open = State::Open { until: now + Duration::from_millis(STREAM_IDLE_MS_MAX) };
        match std::mem::replace(&mut connection.state, open) {
            State::Connecting { queue, .. } => queue,
            State::Open { .. } => Vec::new(),
        }
    }

    /// Takes a connection out.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.arena.remove(id.0)?;
        let place = (connection.profile, connection.remote);
        if self.by_remote.get(&place) == Some(&id) {
            self.by_remote.remove(&place);
        }
        Some(connection)
    }

    fn insert(
        &mut self,
        profile: ProfileId,
        listener: Option<ListenerId>,
        remote: SocketAddr,
        state: State,
    ) -> ConnectionId {
        let framer = StreamFramer::new();
        let connection = Connection { profile, listener, remote, framer, armed: Armed::default(), state };
        let id = ConnectionId(self.arena.insert(connection));
        self.by_remote.insert((profile, remote), id);
        id
    }
}

impl Connection {
    /// Something came. What is whole proves a live peer; a message begun has so long to end, however slowly it drips.
    pub(super) fn note_input(&mut self, now: Tick, was_whole: bool) {
        let State::Open { until } = &mut self.state else { return };
        let partial = now + Duration::from_millis(STREAM_PARTIAL_MS_MAX);
        if !self.framer.is_mid_message() {
            if was_whole {
                *until = now + Duration::from_millis(STREAM_IDLE_MS_MAX);
            }
        } else if was_whole || *until > partial {
            *until = partial;
        }
    }

    /// We wrote something: the peer may take its time to answer.
    pub(super) fn note_output(&mut self, now: Tick) {
        if let State::Open { until } = &mut self.state
            && !self.framer.is_mid_message()
        {
            *until = now + Duration::from_millis(STREAM_IDLE_MS_MAX);
        }
    }

    /// Whether it is one of ours that is not up yet.
    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting { .. })
    }

    /// When it is given up.
    pub(super) fn next_deadline(&self) -> (Tick, &'static str) {
        match self.state {
            State::Connecting { give_up_at, .. } => (give_up_at, "connect"),
            State::Open { until } => (until, "idle"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> SocketAddr {
        ([192, 0, 2, 1], 5060).into()
    }

    #[test]
    fn what_is_written_before_a_connection_is_up_waits_for_it() {
        let mut connections = Connections::new();
        let id = connections.open(Tick::ZERO, ProfileId(1), remote());
        assert_eq!(connections.write(id, &Bytes::from_static(b"x")), Written::Queued);
        assert_eq!(connections.connected(Tick::ZERO, id), [Bytes::from_static(b"x")]);
        assert_eq!(connections.write(id, &Bytes::from_static(b"y")), Written::Now);
        assert_eq!(connections.find(ProfileId(1), remote()), Some(id));
        connections.remove(id);
        assert_eq!(connections.find(ProfileId(1), remote()), None);
        assert_eq!(connections.write(id, &Bytes::from_static(b"z")), Written::Lost);
    }

    #[test]
    fn a_dripping_message_does_not_keep_a_connection_open() {
        let mut connections = Connections::new();
        let id = connections.accept(Tick::ZERO, ProfileId(1), ListenerId(1), remote());
        let connection = connections.get_mut(id).expect("there");
        connection.note_input(Tick::ZERO, true);
        connection.framer.push(b"OPTIONS sip:");
        for second in 1..30 {
            connection.note_input(Tick::from_millis(second * 1_000), false);
        }
        assert_eq!(connection.next_deadline().0, Tick::from_millis(1_000 + STREAM_PARTIAL_MS_MAX));
    }
}
