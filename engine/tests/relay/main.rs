//! Started workers relay real packets on loopback. Every test runs on both back ends.

mod world;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::{BackEnd, BackEndChoice};
use link::{Command, Report, StreamMode, WorkerId};
use world::{
    Leg, PATIENCE, World, address, io_uring_is_permitted, is_silent, on_both, phone, plan, rtp, settings,
};

const W0: WorkerId = WorkerId(0);
const W1: WorkerId = WorkerId(1);

/// Sends a packet and hears it at the other phone.
fn pass(from: &UdpSocket, leg: &Leg, to: &UdpSocket, via: &Leg, number: u16) {
    let packet = rtp(7, number);
    from.send_to(&packet, leg.local).expect("sent");
    let mut heard = [0; 2_048];
    let (len, source) = to.recv_from(&mut heard).expect("it came through");
    assert_eq!(source, via.local);
    assert_eq!(heard[12..len], packet[12..], "packet {number}");
}

#[test]
fn io_uring_is_chosen_wherever_the_kernel_permits_it() {
    let world = World::start(&settings(70, BackEndChoice::Auto));
    if io_uring_is_permitted() {
        assert_eq!(world.back_end(), BackEnd::IoUring, "{:?}", world.engine.fallback_reason());
        assert_eq!(world.engine.fallback_reason(), None);
    } else {
        assert_eq!(world.back_end(), BackEnd::Mmsg);
        assert!(world.engine.fallback_reason().is_some(), "the reason must be told");
    }
}

#[test]
fn a_forced_back_end_is_the_one_that_runs() {
    on_both(71, |settings| {
        let wanted = match settings.back_end {
            BackEndChoice::Mmsg => BackEnd::Mmsg,
            _ => BackEnd::IoUring,
        };
        assert_eq!(World::start(&settings).back_end(), wanted);
    });
}

#[test]
fn audio_passes_both_ways_byte_for_byte_in_opaque_mode() {
    on_both(72, |settings| {
        let mut world = World::start(&settings);
        let (left, right) = (phone(72), phone(72));
        let [a, b] = world.join(W0, [address(&left), address(&right)], StreamMode::Opaque);
        let mut heard = [0; 2_048];
        for number in 0..200 {
            for (from, leg, to, via) in [(&left, &a, &right, &b), (&right, &b, &left, &a)] {
                let packet = rtp(9, number);
                from.send_to(&packet, leg.local).expect("sent");
                let (len, source) = to.recv_from(&mut heard).expect("it came through");
                assert_eq!((&heard[..len], source), (&packet[..], via.local));
            }
        }
    });
}

#[test]
fn audio_passes_both_ways_under_one_ssrc_and_continuous_numbers_in_rewrite_mode() {
    on_both(73, |settings| {
        let mut world = World::start(&settings);
        let (left, right) = (phone(73), phone(73));
        let [a, b] = world.join(W0, [address(&left), address(&right)], StreamMode::Rewrite);
        let mut first: Option<(u16, u32, Vec<u8>)> = None;
        let mut heard = [0; 2_048];
        for number in 0..200_u16 {
            pass(&right, &b, &left, &a, number);
            let packet = rtp(0x1234_5678, number);
            left.send_to(&packet, a.local).expect("sent");
            let (len, _) = right.recv_from(&mut heard).expect("it came through");
            assert_eq!(len, packet.len());
            assert_eq!(heard[12..len], packet[12..]);
            let sequence = u16::from_be_bytes([heard[2], heard[3]]);
            let timestamp = u32::from_be_bytes([heard[4], heard[5], heard[6], heard[7]]);
            let ssrc = heard[8..12].to_vec();
            let (sequence0, timestamp0, ssrc0) = first.get_or_insert((sequence, timestamp, ssrc.clone()));
            assert_eq!(sequence.wrapping_sub(*sequence0), number);
            assert_eq!(timestamp.wrapping_sub(*timestamp0), u32::from(number) * 160);
            assert_eq!(&ssrc, ssrc0);
        }
    });
}

#[test]
fn a_stranger_reaches_nobody_and_hears_nothing() {
    on_both(74, |settings| {
        let mut world = World::start(&settings);
        let (left, right, stranger) = (phone(74), phone(74), phone(74));
        let [a, b] = world.join(W0, [address(&left), address(&right)], StreamMode::Rewrite);
        for number in 0..50 {
            pass(&left, &a, &right, &b, number);
            pass(&right, &b, &left, &a, number);
            for port in [a.local, b.local] {
                stranger.send_to(&rtp(7, number), port).expect("sent");
                stranger.send_to(b"\x16\xfe\xff not RTP at all", port).expect("sent");
            }
        }
        // Behind everything that the stranger has sent.
        pass(&left, &a, &right, &b, 50);
        pass(&right, &b, &left, &a, 50);
        assert!(is_silent(&left) && is_silent(&right) && is_silent(&stranger));
        let statistics = world.statistics(W0, a.stream);
        assert_eq!(statistics.dropped_foreign + statistics.dropped_malformed, 100);
        assert_eq!((statistics.received_packets, statistics.sent_packets), (51, 51));
    });
}

#[test]
fn running_audio_moves_between_two_workers_without_a_loss() {
    const MOVES: usize = 30;
    on_both(75, |mut settings| {
        settings.workers = Some(2);
        let mut world = World::start(&settings);
        let (left, right) = (phone(75), phone(75));
        let legs = world.join(W0, [address(&left), address(&right)], StreamMode::Rewrite);
        // To a phone that was never heard only so much is sent.
        let [a, b] = legs;
        pass(&left, &a, &right, &b, 0);
        pass(&right, &b, &left, &a, 0);
        let [to_right, to_left] = [Talk::default(), Talk::default()];
        std::thread::scope(|scope| {
            scope.spawn(|| to_right.talk(&left, a));
            scope.spawn(|| to_left.talk(&right, b));
            let listeners = [scope.spawn(|| to_right.listen(&right)), scope.spawn(|| to_left.listen(&left))];
            for number in 0..MOVES {
                let (from, to) = if number % 2 == 0 { (W0, W1) } else { (W1, W0) };
                move_streams(&mut world, legs, from, to);
                to_right.runs_on();
                to_left.runs_on();
            }
            to_right.done.store(true, Ordering::Release);
            to_left.done.store(true, Ordering::Release);
            for listener in listeners {
                listener.join().expect("no packet is missing");
            }
        });
    });
}

/// Audio one way, as fast as it is heard.
#[derive(Default)]
struct Talk {
    heard: AtomicU64,
    done: AtomicBool,
}

impl Talk {
    /// Packets that may be on their way: more than a turn moves, fewer than a socket holds.
    const WINDOW: u64 = 32;

    /// What the last packet says.
    const LAST: u8 = 0xee;

    fn talk(&self, phone: &UdpSocket, leg: Leg) {
        let end = Instant::now() + PATIENCE;
        for number in 0_u64.. {
            while number >= self.heard.load(Ordering::Acquire) + Self::WINDOW {
                if Instant::now() > end {
                    return;
                }
                std::thread::yield_now();
            }
            let mut packet = rtp(5, number as u16);
            let last = self.done.load(Ordering::Acquire);
            packet[14] = if last { Self::LAST } else { 0 };
            phone.send_to(&packet, leg.local).expect("sent");
            if last {
                return;
            }
        }
    }

    /// Waits until much more was heard than can have been on its way.
    fn runs_on(&self) {
        let enough = self.heard.load(Ordering::Acquire) + 2 * Self::WINDOW;
        let end = Instant::now() + PATIENCE;
        while self.heard.load(Ordering::Acquire) < enough {
            assert!(Instant::now() < end, "audio has stopped");
            std::thread::yield_now();
        }
    }

    /// Listens until the last packet. Contents and sequence numbers must follow one another.
    fn listen(&self, phone: &UdpSocket) {
        let mut packet = [0; 2_048];
        let mut offset = None;
        for number in 0_u64.. {
            phone.recv(&mut packet).expect("audio goes on");
            let content = u16::from_be_bytes([packet[12], packet[13]]);
            assert_eq!(content, number as u16, "a packet is missing");
            let sequence = u16::from_be_bytes([packet[2], packet[3]]);
            let ahead = sequence.wrapping_sub(content);
            assert_eq!(ahead, *offset.get_or_insert(ahead), "the sequence numbers jump");
            self.heard.store(number + 1, Ordering::Release);
            if packet[14] == Self::LAST {
                return;
            }
        }
    }
}

fn move_streams(world: &mut World, legs: [Leg; 2], from: WorkerId, to: WorkerId) {
    let release = legs.map(|leg| Command::Release { stream: leg.stream });
    world.send(from, Command::Both(Box::new(release)));
    let adopt = legs.map(|leg| {
        let is_it =
            |report: &Report| matches!(report, Report::Released { stream, .. } if *stream == leg.stream);
        let (worker, Report::Released { state, .. }) = world.wait(is_it) else {
            unreachable!("it was asked for")
        };
        assert_eq!(worker, from);
        Command::Adopt { stream: leg.stream, state, plan: leg.plan }
    });
    world.send(to, Command::Both(Box::new(adopt)));
}

#[test]
fn a_range_that_is_used_up_is_reported_and_its_ports_return_after_their_rest() {
    on_both(76, |mut settings| {
        settings.port_end = settings.port_start + 7;
        settings.port_rest = Duration::from_millis(50);
        let mut world = World::start(&settings);
        let peer = phone(76);
        let ports = [(); 4].map(|()| world.port(W0));
        let streams = ports.map(|port| {
            let stream = world.name();
            let plan = plan(address(&peer), stream, StreamMode::Rewrite);
            world.send(W0, Command::Open { stream, port: port.port, plan });
            stream
        });
        world.wait(|report| matches!(report, Report::PortsExhausted { .. }));
        for stream in streams {
            world.send(W0, Command::Close { stream });
        }
        let again = [(); 4].map(|()| world.port(W0));
        let mut numbers = [ports.map(|port| port.local.port()), again.map(|port| port.local.port())];
        numbers.iter_mut().for_each(|ports| ports.sort_unstable());
        assert_eq!(numbers[0], numbers[1]);
        assert!(numbers[0].iter().all(|port| port % 2 == 0));
    });
}

#[test]
fn a_port_that_another_program_has_is_left_out() {
    on_both(77, |mut settings| {
        settings.port_end = settings.port_start + 7;
        let taken = UdpSocket::bind((settings.addresses[0], settings.port_start + 2)).expect("it is free");
        let mut world = World::start(&settings);
        let ports = [(); 3].map(|()| world.port(W0));
        assert!(ports.iter().all(|port| port.local != address(&taken)));
        for port in ports {
            let stream = world.name();
            let plan = plan(address(&taken), stream, StreamMode::Rewrite);
            world.send(W0, Command::Open { stream, port: port.port, plan });
        }
        world.wait(|report| matches!(report, Report::PortsExhausted { .. }));
    });
}

#[test]
fn audio_goes_on_after_an_overload() {
    on_both(78, |mut settings| {
        settings.packet_buffers = 64;
        let mut world = World::start(&settings);
        let (left, right, stranger) = (phone(78), phone(78), phone(78));
        let [a, b] = world.join(W0, [address(&left), address(&right)], StreamMode::Opaque);
        let others: Vec<[Leg; 2]> =
            (0..8).map(|_| world.join(W0, [address(&left), address(&right)], StreamMode::Opaque)).collect();
        for number in 0..5 {
            for _ in 0..2_000 {
                for leg in others.iter().flatten() {
                    stranger.send_to(&[0; 172], leg.local).expect("sent");
                }
            }
            // These were not flooded, and lose nothing.
            pass(&left, &a, &right, &b, number);
            pass(&right, &b, &left, &a, number);
            // Where the flood still lies in the kernel's buffer, a packet may be lost; the next ones are not.
            for [c, d] in &others {
                pass_in_the_end(&left, c, &right, d, number);
                pass_in_the_end(&right, d, &left, c, number);
            }
        }
    });
}

/// Sends a packet again and again until it is heard, as a stream does that goes on.
fn pass_in_the_end(from: &UdpSocket, leg: &Leg, to: &UdpSocket, via: &Leg, number: u16) {
    let packet = rtp(8, number);
    let end = Instant::now() + PATIENCE;
    to.set_read_timeout(Some(Duration::from_millis(20))).expect("a time limit");
    let mut heard = [0; 2_048];
    loop {
        assert!(Instant::now() < end, "the stream is dead");
        from.send_to(&packet, leg.local).expect("sent");
        if to.recv_from(&mut heard).is_ok_and(|(_, source)| source == via.local) {
            break;
        }
    }
    // What is heard twice must not be taken for something else.
    while to.recv(&mut heard).is_ok() {}
    to.set_read_timeout(Some(PATIENCE)).expect("a time limit");
}

#[test]
fn a_control_plane_that_does_not_listen_is_refused_commands_and_loses_no_report() {
    on_both(79, |mut settings| {
        (settings.command_queue, settings.report_queue) = (64, 16);
        let mut world = World::start(&settings);
        let (left, right) = (phone(79), phone(79));
        let [a, b] = world.join(W0, [address(&left), address(&right)], StreamMode::Opaque);
        let link = &mut world.engine.links[0];
        let mut asked = 0;
        let mut last_accepted = Instant::now();
        // Until the queue has been full for longer than the worker ever takes for a turn.
        while last_accepted.elapsed() < Duration::from_millis(200) {
            match link.send(Command::Query { stream: a.stream }) {
                Ok(()) => {
                    asked += 1;
                    last_accepted = Instant::now();
                }
                Err(_) => std::thread::yield_now(),
            }
        }
        assert!(link.commands_refused() > 0);
        assert!(asked < 10_000, "it must end");
        // Audio does not care.
        for number in 0..20 {
            pass(&left, &a, &right, &b, number);
            pass(&right, &b, &left, &a, number);
        }
        for _ in 0..asked {
            world.wait(|report| matches!(report, Report::Statistics { .. }));
        }
        world.send(W0, Command::Close { stream: b.stream });
        world.wait(|report| matches!(report, Report::Closed { .. }));
    });
}

#[test]
fn a_worker_with_streams_reports_its_load_and_faults() {
    on_both(80, |settings| {
        let mut world = World::start(&settings);
        let (left, right) = (phone(80), phone(80));
        let [a, _] = world.join(W0, [address(&left), address(&right)], StreamMode::Opaque);
        left.send_to(&[0; 3_000], a.local).expect("sent");
        let is_counted = |report: &Report| matches!(report, Report::Load { streams: 2, counters, .. } if counters.dropped_oversized == 1);
        world.wait(is_counted);
        assert!(is_silent(&right), "an oversized packet is never cut");
    });
}

#[test]
fn stop_ends_all_streams_and_the_worker() {
    on_both(81, |settings| {
        let mut world = World::start(&settings);
        let (left, right) = (phone(81), phone(81));
        let [a, b] = world.join(W0, [address(&left), address(&right)], StreamMode::Opaque);
        pass(&left, &a, &right, &b, 0);
        world.send(W0, Command::Stop);
        world.wait(|report| matches!(report, Report::Stopped));
        let closed = world.reports().filter(|report| matches!(report, Report::Closed { .. })).count();
        assert_eq!(closed, 2);
        let end = Instant::now() + PATIENCE;
        while world.engine.links[0].is_alive() {
            assert!(Instant::now() < end, "the worker's thread goes on");
            std::thread::yield_now();
        }
        UdpSocket::bind(a.local).expect("its port is free");
    });
}
