//! Streams that move between two workers while audio runs: nothing is lost, nothing jumps.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::stream_table::{Census, TableSettings};
use link::{
    Command, PlaybackId, Prompt, Refusal, Report, RtcpPlan, StreamId, StreamMode, StreamPlan, WorkerId,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::world::{Leg, Sent, Talker, World, address, one_stream, plan, rtp, small};

const ALICE: &str = "198.51.100.1:4000";
const BOB: &str = "198.51.100.2:6000";

/// Two workers and the kernel, which keeps what comes for a socket while nobody reads it.
struct Host {
    workers: [World; 2],
    kernel: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    sent: Vec<Sent>,
}

impl Host {
    fn new(seed: u64) -> Host {
        let worker = |worker: u16| {
            let settings = TableSettings { worker: WorkerId(worker), workers: 2, ..small() };
            World::new(settings, seed + u64::from(worker))
        };
        Host { workers: [worker(0), worker(1)], kernel: Vec::new(), sent: Vec::new() }
    }

    fn packet(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.kernel.push((from, to, bytes));
        self.deliver();
    }

    /// Hands over what lies in sockets that somebody reads.
    fn deliver(&mut self) {
        for (from, to, bytes) in std::mem::take(&mut self.kernel) {
            let reader = self.workers.iter_mut().find(|worker| worker.sockets.contains_key(&to));
            match reader {
                Some(reader) => drop(reader.packet(from, to, &bytes)),
                None => self.kernel.push((from, to, bytes)),
            }
            self.collect();
        }
    }

    fn collect(&mut self) {
        self.workers.iter_mut().for_each(|worker| self.sent.append(&mut worker.sent));
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.workers.iter_mut().for_each(|worker| worker.pass(1));
            self.collect();
        }
    }

    /// Moves streams from one worker to the other, with some time in between.
    fn carry(&mut self, streams: &[(StreamId, StreamPlan)], from: usize, gap_ms: u64) {
        let names: Vec<StreamId> = streams.iter().map(|stream| stream.0).collect();
        let released = self.workers[from].release(&names);
        assert_eq!(released.len(), streams.len());
        self.pass(gap_ms);
        for (stream, state) in released {
            let plan = streams.iter().find(|(name, _)| *name == stream).expect("it was asked for").1;
            self.workers[1 - from].command(Command::Adopt { stream, state, plan });
        }
        self.deliver();
    }

    fn take_sent_to(&mut self, to: SocketAddr) -> Vec<Sent> {
        let (wanted, rest) = std::mem::take(&mut self.sent).into_iter().partition(|sent| sent.to == to);
        self.sent = rest;
        wanted
    }

    /// Ends everything where it is now, gives ports back to their owners, and audits both workers.
    fn assert_nothing_is_left(&mut self, legs: &[Leg], at: usize) {
        for leg in legs {
            self.workers[at].command(Command::Close { stream: leg.id });
            let owner = usize::from(leg.port.worker().0);
            self.workers[owner].command(Command::ReturnPort { port: leg.port });
        }
        for worker in &mut self.workers {
            worker.assert_nothing_is_left(&[]);
            let census = worker.table.census();
            assert_eq!(census.ports_free + census.ports_ready, 50);
        }
    }
}

#[test]
fn both_legs_move_to_and_fro_under_running_audio_without_loss_or_jump() {
    for seed in 0..12 {
        let mode = [StreamMode::Rewrite, StreamMode::Opaque][seed as usize % 2];
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut below = |bound: u64| u64::from(random.next_u32()) % bound;
        let mut host = Host::new(seed);
        let (a, b) = host.workers[0].call(ALICE, BOB, |plan| plan.mode = mode);
        let plans = [(a.id, b.id, ALICE), (b.id, a.id, BOB)]
            .map(|(id, partner, remote)| (id, StreamPlan { mode, ..plan(remote, Some(partner)) }));
        let (mut alice, mut bob) = (Talker::new(ALICE, 0xa11ce, 0xaa), Talker::new(BOB, 0xb0b, 0xbb));
        let (mut at, mut moves) = (0, 0);
        for _ in 0..1_500 {
            host.packet(alice.address, a.local, alice.speak());
            let first = below(20);
            host.pass(first);
            host.packet(bob.address, b.local, bob.speak());
            if below(20) == 0 {
                host.carry(&plans, at, below(60));
                (at, moves) = (1 - at, moves + 1);
            }
            host.pass(20 - first);
        }
        assert!(moves > 40, "{moves} moves");
        assert_eq!(host.kernel.len(), 0);
        for (talker, listener) in [(&alice, &bob), (&bob, &alice)] {
            let sent = host.take_sent_to(listener.address);
            let payloads = match mode {
                StreamMode::Rewrite => one_stream(&sent),
                StreamMode::Opaque => sent.iter().map(|sent| sent.bytes[12..].to_vec()).collect(),
            };
            let frames: Vec<u16> =
                payloads.iter().map(|payload| u16::from_be_bytes([payload[1], payload[2]])).collect();
            assert_eq!(frames, (0..talker.frames).collect::<Vec<_>>(), "seed {seed}");
        }
        assert_eq!(host.sent, []);
        let figures = host.workers[at].statistics(a.id);
        assert_eq!((figures.received_packets, figures.lost_packets), (1_500, 0));
        assert_eq!(figures.dropped_undeliverable, 0);
        host.assert_nothing_is_left(&[a, b], at);
    }
}

#[test]
fn a_relayed_stream_moves_timestamps_and_all() {
    let mut host = Host::new(3);
    let (a, b) = host.workers[0].call(ALICE, BOB, |_| ());
    let plans = [(a.id, plan(ALICE, Some(b.id))), (b.id, plan(BOB, Some(a.id)))];
    let mut alice = Talker::new(ALICE, 1, 0xaa);
    for frame in 0..100 {
        let bytes = alice.speak();
        // Three are lost before the move and two after it.
        if ![20, 21, 40, 60, 80].contains(&frame) {
            host.packet(alice.address, a.local, bytes);
        }
        if frame == 50 {
            host.carry(&plans, 0, 10);
        }
        host.pass(20);
    }
    let sent = host.take_sent_to(address(BOB));
    let field = |sent: &Sent, at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| sent.bytes[at + byte]));
    for pair in sent.windows(2) {
        let ahead = field(&pair[1], 4).wrapping_sub(field(&pair[0], 4));
        assert_eq!(ahead, 160 * u32::from(pair[1].number().wrapping_sub(pair[0].number())));
    }
    assert_eq!(sent[94].number().wrapping_sub(sent[0].number()), 99);
    assert_eq!(host.workers[1].statistics(a.id).lost_packets, 5);
    assert_eq!(
        sent.iter().filter(|sent| sent.bytes[1] & 0x80 != 0).count(),
        1,
        "one marker, at the beginning"
    );
    host.assert_nothing_is_left(&[a, b], 1);
}

#[test]
fn a_prompt_goes_on_where_it_was_without_a_sample_too_few_or_too_many() {
    let mut host = Host::new(4);
    let id = host.workers[0].name();
    let leg = host.workers[0].open(id, plan(ALICE, None));
    let prompt =
        Arc::new(Prompt { samples: (0..16_000).map(|number| (number as i16).wrapping_mul(7)).collect() });
    let (playback, again) = (PlaybackId(9), Arc::clone(&prompt));
    host.workers[0].command(Command::Play { stream: id, playback, prompt: again, times: 1 });
    let mut at = 0;
    for gap_ms in [0, 5, 33, 61, 17, 90, 2] {
        host.pass(117);
        host.carry(&[(id, plan(ALICE, None))], at, gap_ms);
        at = 1 - at;
    }
    host.pass(3_000);
    let sent = host.take_sent_to(address(ALICE));
    let expected: Vec<u8> = prompt.samples.iter().map(|&sample| codecs::g711::encode_ulaw(sample)).collect();
    assert_eq!(one_stream(&sent).concat(), expected);
    let ended = host.workers.iter().flat_map(|worker| &worker.reports).filter_map(|report| match report {
        Report::PlaybackEnded { complete, played_ms, .. } => Some((*complete, *played_ms)),
        _ => None,
    });
    assert_eq!(ended.collect::<Vec<_>>(), [(true, 2_000)]);
    host.assert_nothing_is_left(&[leg], at);
}

#[test]
fn a_learned_source_and_an_rtcp_socket_move_along() {
    let mut host = Host::new(6);
    let rtcp = RtcpPlan::Relay { remote: address("198.51.100.1:4001") };
    let (a, b) = host.workers[0].call("198.51.100.1:9000", BOB, |plan| plan.rtcp = rtcp);
    let plans = [
        (a.id, StreamPlan { rtcp, ..plan("198.51.100.1:9000", Some(b.id)) }),
        (b.id, StreamPlan { rtcp, ..plan(BOB, Some(a.id)) }),
    ];
    let mut alice = Talker::new(ALICE, 1, 0xaa);
    for _ in 0..20 {
        host.packet(alice.address, a.local, alice.speak());
        host.pass(20);
    }
    assert_eq!(host.take_sent_to(address(BOB)).len(), 11);
    host.carry(&plans, 0, 10);
    // The window was closed, and a move does not open it.
    let stranger = rtp(0, 1, 1, 1, &[0xee; 160]);
    (0..50).for_each(|_| host.packet(address("203.0.113.5:5000"), a.local, stranger.clone()));
    host.packet(alice.address, a.local, alice.speak());
    host.packet(address(BOB), b.local, Talker::new(BOB, 2, 0xbb).speak());
    let mut rtcp_local = a.local;
    rtcp_local.set_port(rtcp_local.port() + 1);
    host.packet(address("198.51.100.1:4001"), rtcp_local, vec![0x80, 201, 0, 1, 1, 2, 3, 4]);
    assert_eq!(host.take_sent_to(address(BOB)).len(), 1);
    assert_eq!(host.take_sent_to(alice.address).len(), 1, "the learned destination");
    assert_eq!(host.take_sent_to(address("198.51.100.1:4001")).len(), 1, "by Bob's RTCP port");
    assert_eq!(host.sent, []);
    host.assert_nothing_is_left(&[a, b], 1);
}

#[test]
fn a_leg_that_leaves_alone_leaves_its_partner_behind() {
    let mut host = Host::new(7);
    let (a, b) = host.workers[0].call(ALICE, BOB, |_| ());
    let (mut alice, mut bob) = (Talker::new(ALICE, 1, 0xaa), Talker::new(BOB, 2, 0xbb));
    host.carry(&[(a.id, plan(ALICE, Some(b.id)))], 0, 0);
    host.packet(alice.address, a.local, alice.speak());
    host.packet(bob.address, b.local, bob.speak());
    assert_eq!(host.sent, []);
    host.carry(&[(b.id, plan(BOB, Some(a.id)))], 0, 0);
    host.packet(alice.address, a.local, alice.speak());
    host.packet(bob.address, b.local, bob.speak());
    assert_eq!((host.take_sent_to(alice.address).len(), host.take_sent_to(bob.address).len()), (1, 1));
    host.assert_nothing_is_left(&[a, b], 1);
}

#[test]
fn packets_pass_until_the_socket_is_out() {
    let mut world = World::new(small(), 8);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut alice = Talker::new(ALICE, 1, 0xaa);
    let (slot_a, slot_b) = (world.sockets[&a.local], world.sockets[&b.local]);
    for stream in [a.id, b.id] {
        world.table.handle_command(world.now, Command::Release { stream });
    }
    for _ in 0..3 {
        let mut bytes = alice.speak();
        let verdict = world.table.handle_packet(world.now, slot_a, alice.address, &mut bytes);
        assert!(matches!(verdict, engine::stream_table::Verdict::Forward { slot, .. } if slot == slot_b));
    }
    world.pump();
    assert_eq!(world.table.census().ports_lent, 2);
}

#[test]
fn a_stream_closed_while_it_leaves_is_closed() {
    let mut world = World::new(small(), 9);
    let (a, b) = world.call(ALICE, BOB, |plan| {
        plan.rtcp = RtcpPlan::Relay { remote: address("198.51.100.1:4001") };
    });
    for stream in [a.id, b.id] {
        world.table.handle_command(world.now, Command::Release { stream });
        world.table.handle_command(world.now, Command::Release { stream });
        world.table.handle_command(world.now, Command::Close { stream });
    }
    world.pump();
    let closed = world.reports.iter().filter(|report| matches!(report, Report::Closed { .. }));
    assert_eq!(closed.count(), 2);
    assert!(!world.reports.iter().any(|report| matches!(report, Report::Released { .. })));
    world.assert_nothing_is_left(&[]);
}

#[test]
fn a_stream_closed_when_half_of_it_has_left_is_closed() {
    for first_is_rtp in [true, false] {
        let mut world = World::new(small(), 9);
        let (a, b) = world.call(ALICE, BOB, |plan| {
            plan.rtcp = RtcpPlan::Relay { remote: address("198.51.100.1:4001") };
        });
        let mut rtcp = a.local;
        rtcp.set_port(rtcp.port() + 1);
        let mut slots = [world.sockets[&a.local], world.sockets[&rtcp]];
        if !first_is_rtp {
            slots.reverse();
        }
        world.table.handle_command(world.now, Command::Release { stream: a.id });
        while world.table.poll_action().is_some() {}
        world.table.taken_out(world.now, slots[0], None);
        world.table.handle_command(world.now, Command::Close { stream: a.id });
        world.table.taken_out(world.now, slots[1], None);
        world.sockets.retain(|&local, _| local != a.local && local != rtcp);
        world.pump();
        world.assert_nothing_is_left(&[b.id]);
    }
}

#[test]
fn a_stream_whose_rtcp_port_turns_out_to_be_taken_leaves_without_it() {
    let mut world = World::new(small(), 9);
    let (port, local) = world.stock.pop_front().expect("the stock is not empty");
    let rtcp = RtcpPlan::Relay { remote: address("198.51.100.1:4001") };
    world.taken.push(SocketAddr::new(local.ip(), local.port() + 1));
    let stream = world.name();
    let plan = StreamPlan { rtcp, ..plan(ALICE, None) };
    world.table.handle_command(world.now, Command::Open { stream, port, plan });
    assert_eq!(world.release(&[stream]).len(), 1);
    world.command(Command::ReturnPort { port });
    world.assert_nothing_is_left(&[]);
}

#[test]
fn what_cannot_be_adopted_is_refused_and_its_port_finds_home() {
    let mut host = Host::new(10);
    let id = host.workers[0].name();
    let leg = host.workers[0].open(id, plan(ALICE, None));
    let other = host.workers[1].name();
    assert_eq!(id, other, "both workers have a stream of that name");
    let theirs = host.workers[1].open(other, plan(BOB, None));
    let (stream, state) = host.workers[0].release(&[id]).pop().expect("it is released");
    host.workers[1].command(Command::Adopt { stream, state, plan: plan(ALICE, None) });
    let refused = host.workers[1].reports.pop();
    assert!(matches!(refused, Some(Report::Refused { why: Refusal::StreamExists, .. })), "{refused:?}");
    assert_eq!(host.workers[0].table.census().ports_lent, 1);
    host.workers[0].command(Command::ReturnPort { port: leg.port });
    host.assert_nothing_is_left(&[theirs], 1);
}

#[test]
fn a_stream_comes_back_to_the_worker_that_bound_its_port() {
    let mut host = Host::new(12);
    let id = host.workers[0].name();
    let leg = host.workers[0].open(id, plan(ALICE, None));
    for from in [0, 1] {
        host.carry(&[(id, plan(ALICE, None))], from, 5);
    }
    let census = host.workers[0].table.census();
    assert_eq!((census.ports_used, census.ports_lent), (1, 0));
    host.workers[0].command(Command::Close { stream: id });
    host.workers[0].now += Duration::from_secs(10);
    host.workers[0].assert_nothing_is_left(&[]);
    assert_eq!(
        host.workers[0].reports.iter().filter(|report| matches!(report, Report::Closed { .. })).count(),
        1
    );
    assert_eq!(
        Census { slots: 0, ports_ready: 0, ports_free: 0, ..host.workers[1].table.census() },
        Census::default()
    );
    let _ = leg;
}
