//! Both back ends must do the same. Real sockets on loopback; a closure stands where the table stands otherwise.

use std::cell::{Cell, RefCell};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::*;
use crate::bell::Bell;
use crate::socket;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Few buffers, so that they are easily used up.
const BUFFERS: u16 = 64;

struct Rig {
    mover: Mover,
    bell: Bell,
    start: Instant,
    left: Vec<(Slot, OwnedFd)>,
}

impl Rig {
    fn on(back_end: BackEnd) -> Rig {
        let slots = 8;
        let bell = Bell::blocking().expect("an eventfd");
        let wake = bell.try_clone().expect("a descriptor").into();
        let mover = match back_end {
            BackEnd::IoUring => {
                Mover::Ring(Ring::open(slots, 4, BUFFERS, wake).expect("io_uring is permitted here"))
            }
            BackEnd::Mmsg => Mover::Mmsg(Mmsg::open(slots, 4, wake).expect("epoll")),
        };
        Rig { mover, bell, start: Instant::now(), left: Vec::new() }
    }

    /// Binds a socket in a slot.
    fn open(&mut self, slot: u32, host: &str) -> SocketAddr {
        // Bound by number, as the stream table does it. Another test may take the free port meanwhile.
        let bind = || {
            let free = address(&phone(host));
            Some((free, socket::bind(free, 1 << 20).ok()?))
        };
        let (local, socket) = (0..100).find_map(|_| bind()).expect("a free port");
        self.attach(slot, socket);
        local
    }

    fn attach(&mut self, slot: u32, socket: OwnedFd) {
        self.mover.attach(Slot(slot), socket).map_err(|(error, _)| error).expect("a free slot");
    }

    /// One turn that waits for one event, but not for ever.
    fn turn(&mut self, relay: impl FnMut(Slot, SocketAddr, Heard<'_>) -> Verdict) -> usize {
        let wait = Wait { events: 1, at_most: Some(Duration::from_millis(20)) };
        self.mover.wait(wait).expect("the back end works");
        let now = Tick::ZERO + self.start.elapsed();
        let packets = self.mover.take_with(now, relay);
        self.left.extend(std::iter::from_fn(|| self.mover.poll_detached()));
        packets
    }

    /// Turns until `done`, and once more, so that what was forwarded is sent.
    fn turn_until(
        &mut self,
        mut relay: impl FnMut(Slot, SocketAddr, Heard<'_>) -> Verdict,
        done: impl Fn(&Rig) -> bool,
    ) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "it never came");
            self.turn(&mut relay);
        }
        self.mover.wait(Wait::NOT).expect("the back end works");
    }

    /// Takes a socket out.
    fn detach(
        &mut self,
        slot: u32,
        mut relay: impl FnMut(Slot, SocketAddr, Heard<'_>) -> Verdict,
    ) -> OwnedFd {
        assert!(self.mover.detach(Slot(slot)), "there is one");
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some((left, socket)) = self.left.pop() {
                assert_eq!(left, Slot(slot));
                return socket;
            }
            assert!(Instant::now() < end, "it never left");
            self.turn(&mut relay);
        }
    }
}

/// Runs a test on both back ends. io_uring may be forbidden where tests run; a test of `start` finds out when it is
/// permitted and not used.
fn on_both(test: impl Fn(BackEnd)) {
    let wake = Bell::blocking().expect("an eventfd").into();
    if Ring::open(1, 0, BUFFERS, wake).is_ok() {
        test(BackEnd::IoUring);
    }
    test(BackEnd::Mmsg);
}

fn phone(host: &str) -> UdpSocket {
    let phone = UdpSocket::bind((host, 0)).expect("a free port");
    phone.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    phone
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("it is bound")
}

fn drop_all(_: Slot, _: SocketAddr, _: Heard<'_>) -> Verdict {
    Verdict::Drop(DropReason::NoStream)
}

#[test]
fn packets_cross_between_two_slots_rewritten_in_place_on_both_address_families() {
    on_both(|back_end| {
        for host in ["127.0.0.1", "::1"] {
            let mut rig = Rig::on(back_end);
            let (left, right) = (phone(host), phone(host));
            let (left_at, right_at) = (address(&left), address(&right));
            let (left_port, right_port) = (rig.open(3, host), rig.open(5, host));
            for round in 0..200_u8 {
                left.send_to(&[round, 1, 2, 3], left_port).expect("sent");
                right.send_to(&[round, 7], right_port).expect("sent");
                let heard = RefCell::new(Vec::new());
                let relay = |slot, from, packet: Heard<'_>| {
                    let Heard::Packet(packet) = packet else { panic!("cut") };
                    heard.borrow_mut().push((slot, from));
                    packet[0] ^= 0xff;
                    match slot {
                        Slot(3) => Verdict::Forward { slot: Slot(5), to: right_at },
                        _ => Verdict::Forward { slot: Slot(3), to: left_at },
                    }
                };
                rig.turn_until(relay, |_| heard.borrow().len() == 2);
                heard.borrow_mut().sort();
                assert_eq!(heard.into_inner(), [(Slot(3), left_at), (Slot(5), right_at)], "{back_end:?}");
                let mut buffer = [0; 64];
                let (len, from) = right.recv_from(&mut buffer).expect("it came");
                assert_eq!((&buffer[..len], from), (&[!round, 1, 2, 3][..], right_port));
                let (len, from) = left.recv_from(&mut buffer).expect("it came");
                assert_eq!((&buffer[..len], from), (&[!round, 7][..], left_port));
            }
        }
    });
}

#[test]
fn a_datagram_of_the_largest_size_passes_whole_and_a_longer_one_not_at_all() {
    on_both(|back_end| {
        let mut rig = Rig::on(back_end);
        let (sender, receiver) = (phone("127.0.0.1"), phone("127.0.0.1"));
        let to = address(&receiver);
        let port = rig.open(0, "127.0.0.1");
        let long: Vec<u8> = (0..PACKET_BYTES_MAX + 1).map(|at| at as u8).collect();
        for packet in [&long[..], &long[..0], &long[..PACKET_BYTES_MAX]] {
            sender.send_to(packet, port).expect("sent");
        }
        let (passed, cut) = (Cell::new(0), Cell::new(0));
        let relay = |_, _, heard: Heard<'_>| match heard {
            Heard::Packet(_) => {
                passed.set(passed.get() + 1);
                Verdict::Forward { slot: Slot(0), to }
            }
            Heard::Truncated => {
                cut.set(cut.get() + 1);
                Verdict::Drop(DropReason::Truncated)
            }
        };
        rig.turn_until(relay, |_| passed.get() + cut.get() == 3);
        assert_eq!((passed.get(), cut.get()), (2, 1), "{back_end:?}");
        assert_eq!(rig.mover.counters().dropped_oversized, 1);
        let mut buffer = vec![0; 4_096];
        assert_eq!(receiver.recv(&mut buffer).expect("the empty one"), 0);
        assert_eq!(receiver.recv(&mut buffer).expect("the whole one"), PACKET_BYTES_MAX);
        assert_eq!(&buffer[..PACKET_BYTES_MAX], &long[..PACKET_BYTES_MAX]);
    });
}

#[test]
fn after_an_overload_every_socket_hears_again() {
    on_both(|back_end| {
        let mut rig = Rig::on(back_end);
        let sender = phone("127.0.0.1");
        let ports: Vec<SocketAddr> = (0..4).map(|slot| rig.open(slot, "127.0.0.1")).collect();
        rig.turn(drop_all);
        // Many times the buffers, on all sockets at once, before anything is taken.
        for burst in 0..3 {
            for _ in 0..u32::from(BUFFERS) * 2 {
                for port in &ports {
                    sender.send_to(b"flood", port).expect("sent");
                }
            }
            let flood = Cell::new(0);
            let count = |_, _, _: Heard<'_>| {
                flood.set(flood.get() + 1);
                Verdict::Drop(DropReason::NoStream)
            };
            rig.turn_until(count, |_| flood.get() == u32::from(BUFFERS) * 2 * 4);
            for (slot, port) in ports.iter().enumerate() {
                sender.send_to(b"after", port).expect("sent");
                let heard = Cell::new(None);
                let listen = |slot, _, _: Heard<'_>| {
                    heard.set(Some(slot));
                    Verdict::Drop(DropReason::NoStream)
                };
                rig.turn_until(listen, |_| heard.get().is_some());
                assert_eq!(heard.get(), Some(Slot(slot as u32)), "{back_end:?}, burst {burst}");
            }
        }
        if back_end == BackEnd::IoUring {
            assert!(rig.mover.counters().buffers_exhausted > 0, "the buffers were never used up");
        }
    });
}

#[test]
fn a_socket_that_is_taken_out_keeps_what_it_has_not_handed_in() {
    on_both(|back_end| {
        let mut rig = Rig::on(back_end);
        let sender = phone("127.0.0.1");
        let port = rig.open(2, "127.0.0.1");
        rig.turn(drop_all);
        let numbers = RefCell::new(Vec::new());
        let note = |_, _, heard: Heard<'_>| {
            let Heard::Packet(packet) = heard else { panic!("cut") };
            numbers.borrow_mut().push(packet[0]);
            Verdict::Drop(DropReason::NoStream)
        };
        for number in 0..100 {
            sender.send_to(&[number], port).expect("sent");
            if number % 10 == 9 {
                let socket = rig.detach(2, note);
                assert!(rig.left.is_empty());
                sender.send_to(&[100 + number], port).expect("sent");
                rig.turn(note);
                rig.attach(2, socket);
            }
        }
        rig.turn_until(note, |_| numbers.borrow().len() == 110);
        let audio = numbers.borrow().iter().copied().filter(|number| *number < 100).collect::<Vec<u8>>();
        assert_eq!(audio, (0..100).collect::<Vec<u8>>(), "{back_end:?}");
    });
}

#[test]
fn a_detached_socket_is_the_last_of_its_port() {
    on_both(|back_end| {
        let mut rig = Rig::on(back_end);
        for _ in 0..3 {
            let port = rig.open(1, "127.0.61.1");
            rig.turn(drop_all);
            drop(rig.detach(1, drop_all));
            UdpSocket::bind(port).expect("nobody holds it");
            assert!(!rig.mover.detach(Slot(1)), "it is gone");
        }
    });
}

#[test]
fn a_settled_slot_hears_and_reaches_everybody_and_loses_nothing_when_it_settles_and_unsettles() {
    on_both(|back_end| {
        let mut rig = Rig::on(back_end);
        let (peer, stranger) = (phone("127.0.0.1"), phone("127.0.0.1"));
        let local = rig.open(0, "127.0.0.1");
        rig.turn(drop_all);
        let (from_peer, from_stranger) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let echo = |slot, from, packet: Heard<'_>| {
            assert_eq!(slot, Slot(0));
            let Heard::Packet(packet) = packet else { panic!("cut") };
            let heard = if from == address(&peer) { &from_peer } else { &from_stranger };
            heard.borrow_mut().push(packet[0]);
            Verdict::Forward { slot, to: from }
        };
        let mut packet = [0; 4];
        for round in 0..100_u8 {
            // What is sent while the socket changes lies in the kernel, and must not be lost.
            peer.send_to(&[round], local).expect("sent");
            match round % 4 {
                0 | 1 => rig.mover.settle(Slot(0), address(&peer)),
                2 => rig.mover.unsettle(Slot(0)),
                _ => (),
            }
            rig.turn_until(echo, |_| from_peer.borrow().len() == usize::from(round) + 1);
            let (len, from) = peer.recv_from(&mut packet).expect("it came back");
            assert_eq!((&packet[..len], from), (&[round][..], local), "{back_end:?}");
            // A stranger's packet may be lost with a porch that is closing; he is heard all the same.
            from_stranger.borrow_mut().clear();
            rig.turn_until(echo, |_| {
                stranger.send_to(&[round], local).expect("sent");
                !from_stranger.borrow().is_empty()
            });
        }
        assert_eq!(*from_peer.borrow(), (0..100).collect::<Vec<u8>>(), "{back_end:?}");
        // As the table does when the peer changes.
        for new in [&peer, &stranger, &peer] {
            rig.mover.unsettle(Slot(0));
            rig.mover.settle(Slot(0), address(new));
            from_stranger.borrow_mut().clear();
            rig.turn_until(echo, |_| {
                stranger.send_to(b"s", local).expect("sent");
                !from_stranger.borrow().is_empty()
            });
        }
        // Taken out while settled, it is an ordinary socket again, and the only one of its port.
        rig.mover.settle(Slot(0), address(&peer));
        let socket = UdpSocket::from(rig.detach(0, drop_all));
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        stranger.send_to(b"s", local).expect("sent");
        assert_eq!(socket.recv(&mut [0; 4]).expect("it hears everybody"), 1);
        assert!(socket.peer_addr().is_err());
    });
}

#[test]
fn no_more_slots_are_connected_than_there_are_porches() {
    on_both(|back_end| {
        let mut rig = Rig::on(back_end);
        let peer = phone("127.0.0.1");
        let ports: Vec<SocketAddr> = (0..6).map(|slot| rig.open(slot, "127.0.0.1")).collect();
        for round in 0..3 {
            (0..6).for_each(|slot| rig.mover.settle(Slot(slot), address(&peer)));
            let heard = Cell::new(0);
            let count = |_, _, _: Heard<'_>| {
                heard.set(heard.get() + 1);
                Verdict::Drop(DropReason::NoStream)
            };
            ports.iter().for_each(|port| assert_eq!(peer.send_to(b"all", port).expect("sent"), 3));
            rig.turn_until(count, |_| heard.get() == 6);
            (0..6).for_each(|slot| rig.mover.unsettle(Slot(slot)));
            ports.iter().for_each(|port| assert_eq!(peer.send_to(b"all", port).expect("sent"), 3));
            rig.turn_until(count, |_| heard.get() == 12);
            assert!(rig.left.is_empty(), "{back_end:?}, round {round}");
        }
    });
}

#[test]
fn refused_packets_neither_deafen_a_socket_nor_make_it_spin() {
    on_both(|back_end| {
        let mut rig = Rig::on(back_end);
        let peer = phone("127.0.61.2");
        let peer_at = address(&peer);
        let local = rig.open(0, "127.0.61.2");
        let socket = rig.detach(0, drop_all);
        // Connected, so that the system tells it of ICMP errors.
        let socket = UdpSocket::from(socket);
        socket.connect(peer_at).expect("connected");
        rig.attach(0, socket.into());
        drop(peer);
        for _ in 0..100 {
            rig.mover.send(Slot(0), peer_at, b"anybody there?");
            rig.turn(drop_all);
        }
        let counters = *rig.mover.counters();
        assert!(counters.receive_errors + counters.send_errors >= 50, "{back_end:?}: {counters:?}");
        let turns = Cell::new(0);
        let end = Instant::now() + Duration::from_millis(200);
        while Instant::now() < end {
            rig.turn(drop_all);
            turns.set(turns.get() + 1);
        }
        assert!(
            turns.get() < 50,
            "{back_end:?}: {} turns in a fifth of a second without a packet",
            turns.get()
        );
        let peer = UdpSocket::bind(peer_at).expect("the port is free again");
        peer.send_to(b"here again", local).expect("sent");
        let heard = Cell::new(false);
        let listen = |_, _, _: Heard<'_>| {
            heard.set(true);
            Verdict::Drop(DropReason::NoStream)
        };
        rig.turn_until(listen, |_| heard.get());
    });
}

#[test]
fn own_packets_beyond_all_spare_buffers_are_all_sent() {
    on_both(|back_end| {
        let mut rig = Rig::on(back_end);
        let peer = phone("127.0.0.1");
        socket2::SockRef::from(&peer).set_recv_buffer_size(4 << 20).expect("a buffer");
        rig.open(0, "127.0.0.1");
        for round in 0..2_000_u16 {
            rig.mover.send(Slot(0), address(&peer), &round.to_be_bytes());
            if round % 100 == 99 {
                rig.mover.wait(Wait::NOT).expect("the back end works");
                for expected in round - 99..=round {
                    let mut packet = [0; 4];
                    assert_eq!(peer.recv(&mut packet).expect("it came"), 2);
                    assert_eq!(&packet[..2], expected.to_be_bytes(), "{back_end:?}");
                }
            }
        }
        for round in 0..700_u16 {
            rig.mover.send(Slot(0), address(&peer), &round.to_be_bytes());
        }
        rig.mover.wait(Wait::NOT).expect("the back end works");
        for expected in 0..700_u16 {
            let mut packet = [0; 4];
            peer.recv(&mut packet).expect("it came");
            assert_eq!(&packet[..2], expected.to_be_bytes(), "{back_end:?}");
        }
        assert_eq!(rig.mover.counters().send_errors, 0);
    });
}

#[test]
fn a_ring_of_the_bell_ends_the_wait_each_time() {
    on_both(|back_end| {
        let mut rig = Rig::on(back_end);
        for _ in 0..20 {
            rig.bell.ring();
            let start = Instant::now();
            rig.mover.wait(Wait { events: 1, at_most: Some(PATIENCE) }).expect("the back end works");
            rig.mover.take_with(Tick::ZERO, drop_all);
            assert!(start.elapsed() < PATIENCE / 2, "{back_end:?}");
        }
    });
}

#[test]
fn a_wait_without_events_ends_in_time() {
    on_both(|back_end| {
        let mut rig = Rig::on(back_end);
        for (events, at_most) in [(1, Duration::from_micros(300)), (64, Duration::from_micros(300))] {
            let start = Instant::now();
            rig.mover.wait(Wait { events, at_most: Some(at_most) }).expect("the back end works");
            let waited = start.elapsed();
            assert!((at_most..PATIENCE / 2).contains(&waited), "{back_end:?}: {waited:?}");
        }
    });
}
