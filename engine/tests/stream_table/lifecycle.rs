//! Streams and ports come, go, run out and are all accounted for.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use engine::stream_table::{Action, BindError, Census, REPORTS_WAITING_MAX, StreamTable, TableSettings};
use link::{Command, PortId, Refusal, Report, RtcpPlan, StreamId, StreamMode, WorkerId};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::world::{Leg, Talker, World, address, plan, rtp, small};

const ALICE: &str = "198.51.100.1:4000";

fn refusals(world: &mut World) -> Vec<Refusal> {
    let refusal = |report| match report {
        Report::Refused { why, .. } => Some(why),
        _ => None,
    };
    std::mem::take(&mut world.reports).into_iter().filter_map(refusal).collect()
}

fn open(world: &mut World) -> Leg {
    let id = world.name();
    world.open(id, plan(ALICE, None))
}

#[test]
fn m19_a_range_that_is_used_up_is_told_and_recovers_without_a_leak() {
    let mut settings = small();
    (settings.port_start, settings.port_end, settings.stock_per_address) = (20_000, 20_015, 4);
    let mut world = World::new(settings, 1);
    for round in 0..5 {
        let mut legs = Vec::new();
        while !world.stock.is_empty() {
            legs.push(open(&mut world));
        }
        assert_eq!(legs.len(), 8, "round {round}");
        let locals: BTreeSet<SocketAddr> = legs.iter().map(|leg| leg.local).collect();
        assert_eq!(locals.len(), 8);
        assert!(locals.iter().all(|local| local.port() % 2 == 0));
        let told = world.reports.drain(..).filter(|report| matches!(report, Report::PortsExhausted { .. }));
        assert_eq!(told.count(), 1);
        let ids: Vec<StreamId> = legs.iter().map(|leg| leg.id).collect();
        world.assert_nothing_is_left(&ids);
        assert_eq!(world.stock.len(), 4);
    }
}

#[test]
fn every_address_has_its_own_stock() {
    let mut settings = small();
    settings.addresses.push("2001:db8::1".parse().expect("an address"));
    let world = World::new(settings, 2);
    assert_eq!(world.stock.iter().filter(|(_, local)| local.is_ipv6()).count(), 8);
    assert_eq!(world.stock.len(), 16);
    let ready = world.reports.iter().filter_map(|report| match report {
        Report::PortReady { address, local, .. } => Some((address.0 == 1, local.is_ipv6())),
        _ => None,
    });
    assert!(ready.into_iter().all(|(second, is_ipv6)| second == is_ipv6));
}

#[test]
fn a_system_without_sockets_is_asked_again_and_a_taken_port_is_left_alone() {
    let mut settings = small();
    (settings.port_start, settings.port_end) = (20_000, 20_003);
    let mut world = World::new(settings, 3);
    let legs = [open(&mut world), open(&mut world)];
    world.is_out_of_sockets = true;
    for leg in legs {
        world.command(Command::Close { stream: leg.id });
    }
    world.pass(10_000);
    assert_eq!(world.stock.len(), 0);
    assert!(world.reports.iter().any(|report| matches!(report, Report::PortsExhausted { .. })));
    world.is_out_of_sockets = false;
    world.taken.push(legs[0].local);
    world.pass(2_000);
    assert_eq!(world.stock.iter().map(|port| port.1).collect::<Vec<_>>(), [legs[1].local]);
    world.taken.clear();
    world.pass(31_000);
    assert_eq!(world.stock.len(), 2);
}

#[test]
fn a_refused_open_takes_its_port_back() {
    let mut settings = small();
    settings.streams_max = 2;
    let mut world = World::new(settings, 4);
    let (first, _) = (open(&mut world), open(&mut world));
    let (port, _) = world.stock.pop_front().expect("the stock is not empty");
    let third = world.name();
    world.command(Command::Open { stream: third, port, plan: plan(ALICE, None) });
    assert_eq!(refusals(&mut world), [Refusal::TooManyStreams]);
    let (port, _) = world.stock.pop_front().expect("the stock is not empty");
    world.command(Command::Open { stream: first.id, port, plan: plan(ALICE, None) });
    assert_eq!(refusals(&mut world), [Refusal::StreamExists]);
    world.command(Command::Open { stream: third, port: PortId(999), plan: plan(ALICE, None) });
    world.command(Command::Open { stream: third, port: first.port, plan: plan(ALICE, None) });
    assert_eq!(refusals(&mut world), [Refusal::TooManyStreams; 2]);
    world.command(Command::Close { stream: first.id });
    world.command(Command::Open { stream: third, port: PortId(999), plan: plan(ALICE, None) });
    for command in [
        Command::Update { stream: third, plan: plan(ALICE, None) },
        Command::Close { stream: third },
        Command::Query { stream: third },
        Command::Release { stream: third },
    ] {
        world.command(command);
    }
    assert_eq!(refusals(&mut world)[..2], [Refusal::UnknownPort, Refusal::UnknownStream]);
    let second = StreamId::new(0, 2);
    world.assert_nothing_is_left(&[second]);
}

#[test]
fn a_returned_port_rests_and_a_port_in_use_cannot_be_returned() {
    let mut world = World::new(small(), 5);
    let leg = open(&mut world);
    world.command(Command::ReturnPort { port: leg.port });
    world.command(Command::ReturnPort { port: PortId(12_345) });
    let mut alice = Talker::new(ALICE, 1, 1);
    assert!(world.packet(alice.address, leg.local, &alice.speak()).is_some(), "it is still there");
    let (port, local) = world.stock.pop_front().expect("the stock is not empty");
    world.command(Command::ReturnPort { port });
    world.command(Command::ReturnPort { port });
    assert!(!world.sockets.contains_key(&local));
    assert_eq!(world.table.census().ports_resting, 1);
    assert_eq!(world.table.census().ports_ready, 8, "another took its place");
    world.assert_nothing_is_left(&[leg.id]);
}

#[test]
fn stop_ends_everything_whatever_is_under_way() {
    for seed in 0..6 {
        let mut world = World::new(small(), seed);
        let (a, b) = world.call(ALICE, "198.51.100.2:6000", |plan| {
            plan.rtcp = RtcpPlan::Relay { remote: address("198.51.100.1:4001") };
        });
        // One leaves, and what replaces its port is just being bound.
        world.table.handle_command(world.now, Command::Release { stream: a.id });
        world.table.handle_command(world.now, Command::Close { stream: b.id });
        if seed % 3 == 0 {
            world.pump();
        }
        world.command(Command::Stop);
        world.command(Command::Stop);
        assert!(world.table.is_stopped());
        assert!(matches!(world.reports.pop(), Some(Report::Stopped)));
        assert_eq!(world.sockets.len(), 0);
        let census = world.table.census();
        let ports = census.ports_free + census.ports_resting + census.ports_lent;
        assert_eq!((census.slots, census.streams, ports), (0, 0, 100));
        let late = world.name();
        world.command(Command::Open { stream: late, port: a.port, plan: plan(ALICE, None) });
        world.pass(10_000);
        assert!(world.table.is_stopped() && world.sockets.is_empty());
    }
}

#[test]
fn packets_make_no_queue_grow_however_long_nobody_listens() {
    let mut world = World::new(small(), 6);
    let (a, _) = world.call(ALICE, "198.51.100.2:6000", |plan| plan.silence_ms_max = 1);
    let mut alice = Talker::new(ALICE, 1, 1);
    let slot = world.sockets[&a.local];
    for count in 0..20_000 {
        let mut bytes = alice.speak();
        world.now += std::time::Duration::from_millis(if count % 7 == 0 { 700 } else { 20 });
        let _ = world.table.handle_packet(world.now, slot, alice.address, &mut bytes);
        world.table.handle_timeout(world.now);
    }
    let census = world.table.census();
    assert!(census.reports <= 2 && census.actions <= 2, "{census:?}");
}

#[test]
fn what_a_stream_had_to_say_is_said_before_its_end_and_nothing_after_it() {
    let mut world = World::new(small(), 6);
    let (a, b) = world.call(ALICE, "198.51.100.2:6000", |_| ());
    let mut bytes = Talker::new(ALICE, 1, 1).speak();
    let _ = world.table.handle_packet(world.now, world.sockets[&a.local], address(ALICE), &mut bytes);
    world.reports.clear();
    world.command(Command::Close { stream: a.id });
    let [Report::FirstPacket { .. }, Report::Closed { stream, statistics }] = &world.reports[..2] else {
        panic!("{:?}", world.reports);
    };
    assert_eq!((*stream, statistics.received_packets), (a.id, 1));
    assert!(world.connected.is_empty());
    world.assert_nothing_is_left(&[b.id]);
}

#[test]
fn the_settings_bound_the_slots() {
    let settings = TableSettings { streams_max: 4, stock_per_address: 3, ..small() };
    let mut table = StreamTable::new(settings, 1);
    let slots_max = table.slots_max();
    let mut bound = 0;
    while let Some(action) = table.poll_action() {
        let Action::Bind { slot, .. } = action else { panic!("{action:?}") };
        assert!(slot.index() < slots_max);
        table.bound(clock::Tick::ZERO, slot, Err(BindError::NoAddress));
        bound += 1;
    }
    assert_eq!(bound, 3);
    assert_eq!(table.next_deadline().map(|(_, name)| name), Some("port"));
    assert_eq!(Census { ports_free: 0, ..table.census() }, Census { reports: 1, ..Census::default() });
    assert!(table.reports_waiting() < REPORTS_WAITING_MAX);
}

/// Any commands, packets and times in any order, by a control plane that now and then errs.
struct Chaos {
    world: World,
    random: ChaCha8Rng,
    open: Vec<Leg>,
}

impl Chaos {
    fn below(&mut self, bound: usize) -> usize {
        self.random.next_u32() as usize % bound.max(1)
    }

    fn some_stream(&mut self) -> StreamId {
        let place = self.below(self.open.len() + 1);
        self.open.get(place).map_or(StreamId::new(0, 1), |leg| leg.id)
    }

    fn some_plan(&mut self) -> link::StreamPlan {
        const REMOTES: [&str; 4] = [ALICE, "198.51.100.2:6000", "0.0.0.0:4000", "198.51.100.1:4002"];
        let partner = self.some_stream();
        let mut plan = plan(REMOTES[self.below(4)], Some(partner));
        plan.generation = self.below(3) as u16;
        plan.silence_ms_max = [0, 300][self.below(2)];
        plan.mode = [StreamMode::Rewrite, StreamMode::Opaque][self.below(2)];
        plan.rtcp = [RtcpPlan::Off, RtcpPlan::Mux, RtcpPlan::Relay { remote: address("198.51.100.1:4001") }]
            [self.below(3)];
        plan.direction.send = self.below(4) > 0;
        plan.direction.receive = self.below(4) > 0;
        plan
    }

    fn step(&mut self) {
        let stream = self.some_stream();
        match self.below(14) {
            0 | 1 => {
                let plan = self.some_plan();
                if !self.world.stock.is_empty() {
                    let id = self.world.name();
                    let leg = self.world.open(id, plan);
                    self.open.push(leg);
                }
            }
            2 => {
                let plan = self.some_plan();
                self.world.command(Command::Update { stream, plan });
            }
            3 => self.world.command(Command::Close { stream }),
            4 => {
                let samples = vec![5; self.below(4_000)];
                let prompt = std::sync::Arc::new(link::Prompt { samples });
                let (playback, times) = (link::PlaybackId(1), self.below(3) as u32);
                self.world.command(Command::Play { stream, playback, prompt, times });
            }
            5 => self.world.command(Command::StopPlay { stream, playback: link::PlaybackId(1) }),
            6 => self.world.is_out_of_sockets = self.below(3) == 0,
            7 => {
                if let Some((port, _)) = self.world.stock.pop_front() {
                    self.world.command(Command::ReturnPort { port });
                }
            }
            8 => self.move_out_and_in(stream),
            9 => {
                let ms = self.below(2_000) as u64;
                self.world.pass(ms);
            }
            _ => self.packet(),
        }
    }

    /// Releases a stream and takes it up again, or not.
    fn move_out_and_in(&mut self, stream: StreamId) {
        for (stream, state) in self.world.release(&[stream]) {
            let (port, plan) = (state.port, self.some_plan());
            if self.below(3) > 0 {
                self.world.command(Command::Adopt { stream, state, plan });
            } else {
                self.world.command(Command::ReturnPort { port });
            }
        }
    }

    fn packet(&mut self) {
        let from = [ALICE, "198.51.100.2:6000", "203.0.113.9:9000"][self.below(3)];
        let place = self.below(self.world.sockets.len());
        let Some(&to) = self.world.sockets.keys().nth(place) else { return };
        let number = self.below(1_000);
        let bytes = rtp([0, 8, 101, 77][self.below(4)], number as u16, number as u32 * 160, 5, &[1; 160]);
        self.world.packet(address(from), to, &bytes);
    }
}

#[test]
fn after_any_history_nothing_is_left() {
    for seed in 0..150 {
        let world = World::new(small(), seed);
        let mut chaos = Chaos { world, random: ChaCha8Rng::seed_from_u64(seed), open: Vec::new() };
        for _ in 0..200 {
            chaos.step();
        }
        chaos.world.is_out_of_sockets = false;
        let streams: Vec<StreamId> = chaos.open.iter().map(|leg| leg.id).collect();
        chaos.world.assert_nothing_is_left(&streams);
        let census = chaos.world.table.census();
        assert_eq!(census.ports_free + census.ports_ready, 100, "seed {seed}: a port is lost");
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let history = |seed| {
        let world = World::new(small(), seed);
        let mut chaos = Chaos { world, random: ChaCha8Rng::seed_from_u64(9), open: Vec::new() };
        for _ in 0..200 {
            chaos.step();
        }
        (chaos.world.sent, format!("{:?}", chaos.world.reports))
    };
    assert_eq!(history(3), history(3));
    assert_ne!(history(3).1, history(5).1);
}

#[test]
fn workers_share_the_range_and_name_their_ports() {
    let mut locals = BTreeSet::new();
    for worker in 0..3 {
        let settings =
            TableSettings { worker: WorkerId(worker), workers: 3, stock_per_address: 100, ..small() };
        let world = World::new(settings, u64::from(worker));
        for &(port, local) in &world.stock {
            assert_eq!(port.worker(), WorkerId(worker));
            assert!(locals.insert(local), "two workers have {local}");
        }
    }
    assert_eq!(locals.len(), 100);
}
