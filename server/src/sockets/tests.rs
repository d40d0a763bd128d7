//! Real sockets on loopback, and an upper side that takes notes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener as StdListener, TcpStream, UdpSocket};
use std::time::Duration;

use mio::{Events, Poll};

use super::*;

const PROFILE: ProfileId = ProfileId(3);
const UDP: ListenerId = ListenerId(1);
const TCP: ListenerId = ListenerId(2);

/// Turns that a test waits for what must come; each is at most 100 ms long.
const TURNS_MAX: usize = 50;

#[derive(Debug, PartialEq, Eq)]
enum Note {
    Datagram(ListenerId, SocketAddr, Bytes),
    Accepted(ListenerId),
    Connected(ConnectionId),
    ConnectFailed(ConnectionId),
    Stream(ConnectionId, Vec<u8>),
    Closed(ConnectionId),
    TransportError(ListenerId, SocketAddr),
}

#[derive(Default)]
struct Notes(Vec<Note>);

impl Upper for Notes {
    fn datagram(&mut self, listener: ListenerId, source: SocketAddr, bytes: Bytes) {
        self.0.push(Note::Datagram(listener, source, bytes));
    }

    fn accepted(&mut self, listener: ListenerId, _source: SocketAddr) -> Option<ConnectionId> {
        self.0.push(Note::Accepted(listener));
        Some(ConnectionId(100))
    }

    fn connected(&mut self, connection: ConnectionId, _local: SocketAddr) {
        self.0.push(Note::Connected(connection));
    }

    fn connect_failed(&mut self, connection: ConnectionId) {
        self.0.push(Note::ConnectFailed(connection));
    }

    fn stream(&mut self, connection: ConnectionId, bytes: &[u8]) {
        match self.0.last_mut() {
            Some(Note::Stream(of, so_far)) if *of == connection => so_far.extend(bytes),
            _ => self.0.push(Note::Stream(connection, bytes.to_vec())),
        }
    }

    fn closed(&mut self, connection: ConnectionId) {
        self.0.push(Note::Closed(connection));
    }

    fn transport_error(&mut self, listener: ListenerId, destination: SocketAddr) {
        self.0.push(Note::TransportError(listener, destination));
    }
}

struct World {
    poll: Poll,
    sockets: Sockets,
    notes: Notes,
}

impl World {
    fn new(host: &str) -> World {
        let poll = Poll::new().expect("polls");
        let mut sockets = Sockets::new(poll.registry().try_clone().expect("clones"));
        assert!(sockets.listen(&listeners(host)).is_empty());
        World { poll, sockets, notes: Notes::default() }
    }

    fn local(&self, id: ListenerId) -> SocketAddr {
        self.sockets.bound().find(|(bound, ..)| *bound == id).expect("bound").2
    }

    fn transmit(&mut self, transmit: Transmit) {
        self.sockets.transmit(transmit, &mut self.notes);
        self.sockets.flush(&mut self.notes);
    }

    /// Turns until something is noted that fits.
    fn wait(&mut self, fits: impl Fn(&Note) -> bool) {
        let mut events = Events::with_capacity(64);
        for _ in 0..TURNS_MAX {
            if self.notes.0.iter().any(&fits) {
                return;
            }
            self.sockets.handle_unfinished(&mut self.notes);
            self.poll.poll(&mut events, Some(Duration::from_millis(100))).expect("polls");
            for event in &events {
                self.sockets.handle_ready(event, &mut self.notes);
            }
        }
        panic!("it did not come; noted: {:?}", self.notes.0);
    }
}

fn listeners(host: &str) -> Vec<(ProfileId, ListenerSettings)> {
    let local: SocketAddr = format!("{host}:0").parse().expect("an address");
    let of = |id, transport| (PROFILE, ListenerSettings::new(id, transport, local));
    vec![of(UDP, Transport::Udp), of(TCP, Transport::Tcp)]
}

#[test]
fn datagrams_go_both_ways_over_both_families() {
    for host in ["127.0.0.1", "[::1]"] {
        let mut world = World::new(host);
        let peer = UdpSocket::bind(format!("{host}:0")).expect("binds");
        peer.set_read_timeout(Some(Duration::from_secs(5))).expect("sets");
        let source = peer.local_addr().expect("bound");
        peer.send_to(b"ping", world.local(UDP)).expect("sends");
        world.wait(|note| *note == Note::Datagram(UDP, source, Bytes::from_static(b"ping")));
        for text in ["one", "two"] {
            world.transmit(Transmit::Datagram {
                listener: UDP,
                destination: source,
                bytes: Bytes::from(text),
            });
            let mut buffer = [0; 10];
            let (len, from) = peer.recv_from(&mut buffer).expect("arrives");
            assert_eq!((&buffer[..len], from), (text.as_bytes(), world.local(UDP)));
        }
        assert_eq!(world.sockets.counters().datagrams_received, 1);
        assert_eq!(world.sockets.counters().datagrams_sent, 2);
    }
}

#[test]
fn a_port_that_nobody_listens_on_is_reported_and_does_not_disturb_the_next_datagram() {
    let mut world = World::new("127.0.0.1");
    let nobody = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("an address");
    let peer = UdpSocket::bind("127.0.0.1:0").expect("binds");
    peer.set_read_timeout(Some(Duration::from_secs(5))).expect("sets");
    let destination = peer.local_addr().expect("bound");
    for to in [nobody, destination] {
        world.transmit(Transmit::Datagram {
            listener: UDP,
            destination: to,
            bytes: Bytes::from_static(b"x"),
        });
    }
    peer.recv_from(&mut [0; 10]).expect("arrives");
    world.wait(|note| *note == Note::TransportError(UDP, nobody));
    assert!(!world.notes.0.contains(&Note::TransportError(UDP, destination)));
    world.transmit(Transmit::Datagram { listener: ListenerId(9), destination, bytes: Bytes::new() });
    assert!(world.notes.0.contains(&Note::TransportError(ListenerId(9), destination)));
}

#[test]
fn an_accepted_connection_is_read_answered_and_ended_by_the_peer() {
    let mut world = World::new("127.0.0.1");
    let mut peer = TcpStream::connect(world.local(TCP)).expect("connects");
    // More than one turn's share.
    let sent: Vec<u8> = (0..600_000u32).map(|at| at as u8).collect();
    let expected = sent.clone();
    let writer = std::thread::spawn(move || {
        peer.write_all(&sent).expect("writes");
        peer
    });
    world.wait(|note| *note == Note::Stream(ConnectionId(100), expected.clone()));
    assert_eq!(world.notes.0[0], Note::Accepted(TCP));
    let mut peer = writer.join().expect("joins");
    world.transmit(Transmit::Stream { connection: ConnectionId(100), bytes: Bytes::from_static(b"answer") });
    let mut answer = [0; 6];
    peer.read_exact(&mut answer).expect("reads");
    assert_eq!(&answer, b"answer");
    drop(peer);
    world.wait(|note| *note == Note::Closed(ConnectionId(100)));
    assert!(world.sockets.connections.is_empty());
}

#[test]
fn what_is_written_before_a_connection_stands_leaves_when_it_does() {
    let mut world = World::new("127.0.0.1");
    let listener = StdListener::bind("127.0.0.1:0").expect("binds");
    let destination = listener.local_addr().expect("bound");
    let connection = ConnectionId(7);
    world.transmit(Transmit::Connect { connection, profile: PROFILE, destination });
    world.transmit(Transmit::Stream { connection, bytes: Bytes::from_static(b"INVITE") });
    world.wait(|note| *note == Note::Connected(connection));
    let (mut peer, _) = listener.accept().expect("accepts");
    let mut bytes = [0; 6];
    peer.read_exact(&mut bytes).expect("reads");
    assert_eq!(&bytes, b"INVITE");
    world.transmit(Transmit::Close { connection });
    assert_eq!(peer.read(&mut bytes).expect("ends"), 0);
    assert!(!world.notes.0.contains(&Note::Closed(connection)));
}

#[test]
fn a_refused_connection_is_told_as_such() {
    let mut world = World::new("127.0.0.1");
    let nobody = StdListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("an address");
    let connection = ConnectionId(7);
    world.transmit(Transmit::Connect { connection, profile: PROFILE, destination: nobody });
    world.wait(|note| *note == Note::ConnectFailed(connection));
    assert!(world.sockets.by_name.is_empty());
}

#[test]
fn a_peer_that_does_not_read_is_ended_before_it_costs_memory() {
    let mut world = World::new("127.0.0.1");
    let listener = StdListener::bind("127.0.0.1:0").expect("binds");
    let destination = listener.local_addr().expect("bound");
    let connection = ConnectionId(7);
    world.transmit(Transmit::Connect { connection, profile: PROFILE, destination });
    world.wait(|note| *note == Note::Connected(connection));
    let piece = Bytes::from(vec![0; 64 << 10]);
    for _ in 0..1_000 {
        world.transmit(Transmit::Stream { connection, bytes: piece.clone() });
    }
    assert!(world.notes.0.contains(&Note::Closed(connection)));
    assert_eq!(world.sockets.counters().connections_unread, 1);
}

#[test]
fn a_port_in_use_is_said_in_words_and_costs_its_own_profile_only() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let local = taken.local_addr().expect("bound");
    let poll = Poll::new().expect("polls");
    let mut sockets = Sockets::new(poll.registry().try_clone().expect("clones"));
    let mut wanted = listeners("127.0.0.1");
    wanted[0].1.local = local;
    let other = ListenerSettings { id: ListenerId(77), ..wanted[1].1.clone() };
    wanted.push((ProfileId(9), other));
    let failures = sockets.listen(&wanted);
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].to_string(), format!("udp {local}: the port is in use by another program"));
    assert_eq!(
        sockets.bound().map(|(id, ..)| id).collect::<Vec<_>>(),
        [ListenerId(77)],
        "not half a profile"
    );
    wanted[0].1.local = "192.0.2.1:5060".parse().expect("an address");
    let failures = sockets.listen(&wanted);
    assert_eq!(failures[0].to_string(), "udp 192.0.2.1:5060: this machine does not have the address");
}

#[test]
fn a_listener_that_a_reload_takes_away_stays_until_its_calls_have_ended() {
    let mut world = World::new("127.0.0.1");
    let local = world.local(UDP);
    let keep: Vec<_> = listeners("127.0.0.1").drain(1..).collect();
    // Named by where it is bound, as settings with a real port would.
    let tcp = world.local(TCP);
    let keep: Vec<_> = keep
        .into_iter()
        .map(|(profile, settings)| (profile, ListenerSettings { local: tcp, ..settings }))
        .collect();
    assert!(world.sockets.listen(&keep).is_empty());
    assert!(world.sockets.has_retired());
    assert_eq!(world.sockets.bound().map(|(id, ..)| id).collect::<Vec<_>>(), [TCP]);
    let peer = UdpSocket::bind("127.0.0.1:0").expect("binds");
    peer.set_read_timeout(Some(Duration::from_secs(5))).expect("sets");
    let destination = peer.local_addr().expect("bound");
    world.transmit(Transmit::Datagram { listener: UDP, destination, bytes: Bytes::from_static(b"BYE") });
    assert_eq!(peer.recv_from(&mut [0; 3]).expect("arrives").1, local);
    // Another profile that wants the address gets it.
    let other = ListenerSettings::new(ListenerId(5), Transport::Udp, local);
    assert!(world.sockets.listen(&[keep, vec![(ProfileId(4), other)]].concat()).is_empty());
    assert!(!world.sockets.has_retired());
    assert_eq!(world.local(ListenerId(5)), local);
}
