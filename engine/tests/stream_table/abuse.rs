//! Attacks on a running call (M1 to M10 of the list of faults, and what belongs to them): each with several seeds, from
//! another host and from another port of the victim's, against a shell that connects its sockets and one that does not.
//!
//! After each attack: every packet of the two parties has arrived, in one stream; nothing else was sent to anybody.

use std::net::SocketAddr;

use engine::stream_table::DropReason;
use link::{Command, Learning, Report, RtcpPlan, StreamMode};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::world::{Leg, Talker, World, address, one_stream, plan, rtp, small};

const ALICE: &str = "198.51.100.1:4000";
const BOB: &str = "198.51.100.2:6000";
const STRANGER: &str = "203.0.113.66:6666";
/// The victim's host: behind the same NAT, or a spoofed one.
const NEIGHBOUR: &str = "198.51.100.1:4444";

/// A call under way, and the one who disturbs it.
struct Scene {
    world: World,
    a: Leg,
    b: Leg,
    alice: Talker,
    bob: Talker,
    mallory: SocketAddr,
    random: ChaCha8Rng,
}

impl Scene {
    fn new(seed: u64, mode: StreamMode, rtcp: RtcpPlan, mallory: &str) -> Scene {
        let mut world = World::new(small(), seed);
        let (a, b) = world.call(ALICE, BOB, |plan| {
            plan.mode = mode;
            plan.rtcp = rtcp;
        });
        let (alice, bob) = (Talker::new(ALICE, 0xa11ce, 0xaa), Talker::new(BOB, 0xb0b, 0xbb));
        let random = ChaCha8Rng::seed_from_u64(seed);
        Scene { world, a, b, alice, bob, mallory: address(mallory), random }
    }

    /// One frame's time: both speak, and Mallory's datagrams come before, between and after.
    fn frame(&mut self, attack: Attack) {
        for moment in 0..3 {
            for _ in 0..self.below(4) {
                let bytes = attack(self);
                let to = [self.a.local, self.b.local][self.below(2)];
                let mut rtcp = to;
                rtcp.set_port(to.port() + 1);
                let to = [to, to, rtcp][self.below(3)];
                self.world.packet(self.mallory, to, &bytes);
            }
            match moment {
                0 => drop(self.world.packet(self.alice.address, self.a.local, &self.alice.speak())),
                1 => drop(self.world.packet(self.bob.address, self.b.local, &self.bob.speak())),
                _ => self.world.pass(20),
            }
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.next_u32() as usize % bound
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    /// Nothing but the whole call has left.
    fn assert_unharmed(&mut self, mode: StreamMode) {
        for (talker, listener) in [(&self.alice, &self.bob), (&self.bob, &self.alice)] {
            let sent = self.world.take_sent_to(listener.address);
            let payloads = match mode {
                StreamMode::Rewrite => one_stream(&sent),
                StreamMode::Opaque => sent.iter().map(|sent| sent.bytes[12..].to_vec()).collect(),
            };
            assert_eq!(payloads.len(), usize::from(talker.frames));
            for (frame, payload) in payloads.iter().enumerate() {
                assert_eq!((payload[0], &payload[1..3]), (talker.mark, &(frame as u16).to_be_bytes()[..]));
            }
        }
        assert_eq!(self.world.sent, [], "somebody else was sent something");
        assert_eq!(self.world.statistics(self.a.id).lost_packets, 0);
    }
}

type Attack = fn(&mut Scene) -> Vec<u8>;

/// Runs an attack on a call in every way, each seed with another shell and another moment at which it begins.
fn attack(attack: Attack) {
    for seed in 0..6 {
        for mode in [StreamMode::Rewrite, StreamMode::Opaque] {
            for rtcp in
                [RtcpPlan::Off, RtcpPlan::Mux, RtcpPlan::Relay { remote: address("198.51.100.1:4001") }]
            {
                for mallory in [STRANGER, NEIGHBOUR] {
                    let mut scene = Scene::new(seed, mode, rtcp, mallory);
                    let before = scene.world.table.census();
                    for _ in 0..seed {
                        scene.frame(|_| Vec::new());
                    }
                    for _ in 0..100 {
                        scene.frame(attack);
                    }
                    scene.assert_unharmed(mode);
                    let after = scene.world.table.census();
                    assert_eq!((after.slots, after.actions, after.reports), (before.slots, 0, 0));
                    let (a, b) = (scene.a.id, scene.b.id);
                    scene.world.assert_nothing_is_left(&[a, b]);
                }
            }
        }
    }
}

/// Datagrams that are not RTP in as many ways as there are fields.
fn malformed() -> Vec<Vec<u8>> {
    let good = rtp(0, 1, 1, 1, &[0xee; 160]);
    let mut all: Vec<Vec<u8>> = (0..12).map(|len| good[..len].to_vec()).collect();
    let with_first = |first: u8, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[0] = first;
        bytes
    };
    all.extend((0..64).map(|version_0_or_1| with_first(version_0_or_1 * 2, &good)));
    all.extend((0..16).map(|count| with_first(0xc0 | count, &good)));
    // More contributing sources, extension words and padding than there is packet.
    all.extend((1..16).map(|count| with_first(0x80 | count, &good[..12])));
    all.extend([0, 1, 2, 3].map(|cut| with_first(0x90, &good[..12 + cut])));
    let mut extension = with_first(0x90, &good);
    extension[14..16].copy_from_slice(&[0xff, 0xff]);
    all.push(extension);
    for padding in [0, 161, 200, 255] {
        let mut padded = with_first(0xa0, &good);
        padded[171] = padding;
        all.push(padded);
    }
    all.extend([
        with_first(0xa0, &good[..12]),
        with_first(0xbf, &good[..20]),
        vec![0xff; 1_500],
        vec![0; 9_000],
    ]);
    all
}

#[test]
fn m1_malformed_packets_reach_nobody() {
    assert!(malformed().len() >= 120);
    attack(|scene| {
        let all = malformed();
        all[scene.below(all.len())].clone()
    });
}

#[test]
fn m1_malformed_packets_of_the_peer_itself_are_counted_and_change_nothing() {
    let mut scene = Scene::new(3, StreamMode::Rewrite, RtcpPlan::Off, STRANGER);
    scene.frame(|_| Vec::new());
    for bytes in malformed() {
        let reason = scene.world.dropped(scene.alice.address, scene.a.local, &bytes);
        assert!(matches!(reason, DropReason::Malformed | DropReason::Rtcp), "{reason:?}: {bytes:?}");
        scene.frame(|_| Vec::new());
    }
    let figures = scene.world.statistics(scene.a.id);
    assert_eq!(figures.dropped_malformed, malformed().len() as u64);
    scene.assert_unharmed(StreamMode::Rewrite);
}

#[test]
fn m2_m3_rtp_of_a_stranger_is_not_delivered_and_nothing_is_sent_to_him() {
    attack(|scene| {
        let count = scene.world.sent.len();
        rtp(0, count as u16, 160 * count as u32, 0x666, &[0xee; 160])
    });
}

#[test]
fn m4_the_victims_ssrc_and_running_sequence_do_not_help() {
    attack(|scene| {
        let mut next = scene.alice.clone();
        next.mark = 0xee;
        next.speak()
    });
}

#[test]
fn m5_churning_ssrcs_are_not_remembered() {
    attack(|scene| {
        let ssrc = scene.random.next_u32();
        rtp(0, ssrc as u16, ssrc, ssrc, &[0xee; 160])
    });
}

#[test]
fn m7_stun_is_no_proof() {
    attack(|scene| {
        let mut bytes = vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend(scene.bytes(12));
        bytes.extend([0, 0x25, 0, 0, 0, 0x24, 0, 4]);
        bytes
    });
}

#[test]
fn m8_dtls_hellos_and_alerts_are_no_proof() {
    attack(|scene| {
        let kind = [20, 21, 22, 23, 63][scene.below(5)];
        let mut bytes = vec![kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60];
        bytes.extend(scene.bytes(60));
        bytes
    });
}

#[test]
fn m9_junk_of_all_kinds_is_no_proof() {
    attack(|scene| {
        let len = scene.below(1_500);
        scene.bytes(len)
    });
}

#[test]
fn m10_forged_rtcp_has_no_effect() {
    attack(|scene| {
        let ssrc = scene.alice.ssrc.to_be_bytes();
        let packet_type = [200, 201, 203, 204, 205, 206, 207][scene.below(7)];
        let mut bytes = vec![0x81, packet_type, 0, 1];
        bytes.extend(ssrc);
        bytes
    });
}

#[test]
fn m13_telephone_events_of_a_stranger_are_not_delivered() {
    attack(|scene| {
        rtp(101, scene.bob.sequence_number, scene.bob.timestamp, scene.bob.ssrc, &[1, 0x8a, 3, 0x20])
    });
}

#[test]
fn m6_who_comes_first_is_not_who_stays() {
    for seed in 0..40 {
        let mut scene = Scene::new(seed, StreamMode::Rewrite, RtcpPlan::Off, STRANGER);
        for number in 0..scene.below(60) {
            let bytes = rtp(0, number as u16, 160 * number as u32, 0x666, &[0xee; 160]);
            scene.world.packet(scene.mallory, scene.a.local, &bytes);
            scene.world.pass(20);
        }
        // What of Mallory's was heard before anybody spoke went to Bob; it is not part of the call.
        scene.world.take_sent_to(scene.bob.address);
        for number in 100..200_u16 {
            let bob = scene.bob.speak();
            let alice = scene.alice.speak();
            scene.world.packet(scene.bob.address, scene.b.local, &bob);
            scene.world.packet(scene.alice.address, scene.a.local, &alice);
            let bytes = rtp(0, number, 160 * u32::from(number), 0x666, &[0xee; 160]);
            scene.world.packet(scene.mallory, scene.a.local, &bytes);
            scene.world.pass(20);
        }
        let bled = scene.world.take_sent_to(scene.mallory).len();
        assert!(bled <= 5, "seed {seed}: {bled} packets");
        let to_alice = scene.world.take_sent_to(scene.alice.address).len();
        assert_eq!(to_alice + bled, 100);
        let to_bob = one_stream(&scene.world.take_sent_to(scene.bob.address));
        assert_eq!(to_bob.len(), 100);
        assert!(to_bob.iter().all(|payload| payload[0] == 0xaa));
    }
}

#[test]
fn junk_before_anybody_speaks_proves_nothing_and_does_not_close_the_window() {
    for mode in [StreamMode::Rewrite, StreamMode::Opaque] {
        let mut scene = Scene::new(2, mode, RtcpPlan::Off, STRANGER);
        let mut junk: Vec<Vec<u8>> = malformed();
        junk.push(vec![0x80, 203, 0, 1, 1, 2, 3, 4]);
        // STUN and DTLS.
        junk.push(vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        junk.push([&[22, 0xfe, 0xfd][..], &[0; 60]].concat());
        if mode == StreamMode::Rewrite {
            junk.push(rtp(33, 1, 1, 1, &[0xee; 160]));
        }
        for bytes in junk.iter().cycle().take(2_000) {
            let reason = scene.world.dropped(scene.mallory, scene.a.local, bytes);
            assert_eq!(reason, DropReason::Foreign, "{bytes:02x?}");
        }
        // Alice comes from elsewhere than her SDP says, and is learned.
        scene.alice.address = address("198.51.100.77:7777");
        for _ in 0..20 {
            scene.world.packet(scene.alice.address, scene.a.local, &scene.alice.speak());
        }
        assert_eq!(scene.world.take_sent_to(scene.bob.address).len(), 11);
    }
}

/// A window in which only the hosts of SDP and of signalling count.
const SAME_HOST: Learning =
    Learning::Window { packets: 10, window_packets: 20, signalling_peer: None, same_host_only: true };

#[test]
fn a_party_behind_nat_is_learned_among_strangers_who_want_to_be() {
    for seed in 0..10 {
        let mut world = World::new(small(), seed);
        let (a, b) = world.call("198.51.100.1:9000", BOB, |plan| plan.learning = SAME_HOST);
        // Alice's SDP names her host, but NAT gave her another port.
        let mut alice = Talker::new(ALICE, 1, 0xaa);
        let mut bob = Talker::new(BOB, 2, 0xbb);
        for number in 0..100 {
            for _ in 0..5 {
                let bytes = rtp(0, number, u32::from(number), 3, &[0xee; 160]);
                world.packet(address(STRANGER), a.local, &bytes);
            }
            let (from_alice, from_bob) = (alice.speak(), bob.speak());
            world.packet(alice.address, a.local, &from_alice);
            world.packet(bob.address, b.local, &from_bob);
            world.pass(20);
        }
        assert_eq!(world.take_sent_to(address(STRANGER)), []);
        let heard = one_stream(&world.take_sent_to(bob.address));
        assert_eq!(heard.len(), 91, "ten packets prove, and the tenth counts");
        assert_eq!(world.take_sent_to(alice.address).len(), 91);
        let learned = world.reports.iter().filter(|report| {
            matches!(report, Report::Learned { stream, remote } if *stream == a.id && *remote == alice.address)
        });
        assert_eq!(learned.count(), 1);
        world.assert_nothing_is_left(&[a.id, b.id]);
    }
}

#[test]
fn m16_a_nat_rebinding_is_followed_within_a_second_and_a_neighbour_is_not() {
    for seed in 0..10 {
        let mut scene = Scene::new(seed, StreamMode::Rewrite, RtcpPlan::Off, NEIGHBOUR);
        for _ in 0..50 {
            scene.frame(|scene| rtp(0, scene.alice.frames, 0, 0x666, &[0xee; 160]));
        }
        scene.assert_unharmed(StreamMode::Rewrite);
        let rebound = address("198.51.100.1:4002");
        scene.alice.address = rebound;
        let mut followed_after = None;
        for frame in 1..=100 {
            scene.frame(|scene| rtp(0, scene.alice.frames, 0, 0x666, &[0xee; 160]));
            if followed_after.is_none() && !scene.world.take_sent_to(rebound).is_empty() {
                followed_after = Some(frame * 20);
            }
        }
        let followed_after = followed_after.expect("it is followed");
        assert!((500..=1_000).contains(&followed_after), "after {followed_after} ms");
        assert_eq!(scene.world.take_sent_to(scene.mallory), []);
        let heard = scene.world.take_sent_to(scene.bob.address);
        assert!(heard.iter().all(|sent| sent.bytes[12] == 0xaa));
    }
}

#[test]
fn m16_without_learning_nobody_is_followed() {
    let mut world = World::new(small(), 2);
    let (a, _) = world.call(ALICE, BOB, |plan| plan.learning = Learning::Off);
    let mut alice = Talker::new(ALICE, 1, 0xaa);
    world.packet(alice.address, a.local, &alice.speak());
    world.pass(10_000);
    alice.address = address("198.51.100.1:4002");
    for _ in 0..100 {
        assert_eq!(world.dropped(alice.address, a.local, &alice.speak()), DropReason::Foreign);
        world.pass(20);
    }
}

#[test]
fn m15_wraps_jumps_gaps_reordering_and_duplicates_all_pass() {
    for seed in 0..20 {
        let mut scene = Scene::new(seed, StreamMode::Rewrite, RtcpPlan::Off, STRANGER);
        scene.alice.sequence_number = 65_500;
        let (mut count, mut held) = (0, Vec::new());
        for frame in 0..400 {
            match frame {
                // A gap of two seconds, a timestamp that leaps ahead, another SSRC with other numbers.
                100 => scene.alice.sequence_number = scene.alice.sequence_number.wrapping_add(100),
                200 => scene.alice.timestamp = scene.alice.timestamp.wrapping_add(1 << 30),
                300 => {
                    scene.alice = Talker { ssrc: 77, sequence_number: 9, timestamp: 9, ..scene.alice.clone() }
                }
                _ => (),
            }
            let bytes = scene.alice.speak();
            // What is overtaken at the very beginning of a new source has no number left.
            if frame != 300 && scene.below(5) == 0 {
                held.push(bytes);
                continue;
            }
            let copies = if scene.below(10) == 0 { 3 } else { 1 };
            for _ in 0..copies {
                scene.world.packet(scene.alice.address, scene.a.local, &bytes);
                count += 1;
            }
            for late in held.drain(..) {
                scene.world.packet(scene.alice.address, scene.a.local, &late);
                count += 1;
            }
            scene.world.pass(20);
        }
        let sent = scene.world.take_sent_to(scene.bob.address);
        assert_eq!(sent.len(), count);
        assert!(sent.iter().all(|one| one.bytes[8..12] == sent[0].bytes[8..12]), "one SSRC");
    }
}

#[test]
fn m20_packets_of_a_finished_call_do_not_reach_the_next_on_its_port() {
    let mut settings = small();
    (settings.port_start, settings.port_end) = (20_000, 20_003);
    let mut world = World::new(settings, 4);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut alice = Talker::new(ALICE, 1, 0xaa);
    world.packet(alice.address, a.local, &alice.speak());
    for id in [a.id, b.id] {
        world.command(Command::Close { stream: id });
    }
    assert_eq!(world.packet(alice.address, a.local, &alice.speak()), None, "the port rests");
    world.pass(2_999);
    assert!(world.stock.is_empty());
    world.pass(1);
    let (c, d) = world.call("198.51.100.3:4000", "198.51.100.4:4000", |_| ());
    let again = [c, d].into_iter().find(|leg| leg.local == a.local).expect("there are only two ports");
    for _ in 0..20 {
        let reason = world.dropped(alice.address, again.local, &alice.speak());
        assert_eq!(reason, DropReason::Foreign);
        // The right party speaks at the same time.
        let right = if again.id == c.id { "198.51.100.3:4000" } else { "198.51.100.4:4000" };
        world.packet(address(right), again.local, &rtp(0, 1, 1, 9, &[0xcc; 160]));
        world.pass(20);
    }
    world.assert_nothing_is_left(&[c.id, d.id]);
}

#[test]
fn m21_nothing_is_ever_sent_where_no_single_peer_can_be() {
    for remote in [
        "0.0.0.0:4000",
        "255.255.255.255:4000",
        "224.1.2.3:4000",
        "198.51.100.7:0",
        "198.51.100.7:53",
        "192.0.2.1:20000",
        "192.0.2.1:20199",
        "[::]:4000",
        "[2001:db8::1]:4000",
    ] {
        let mut world = World::new(small(), 5);
        let (a, b) = world.call(remote, BOB, |plan| {
            plan.rtcp = RtcpPlan::Relay { remote: address(remote) };
        });
        let mut bob = Talker::new(BOB, 1, 0xbb);
        for _ in 0..5 {
            assert_eq!(world.dropped(bob.address, b.local, &bob.speak()), DropReason::NoDestination);
        }
        // Nor is anything taken from there.
        assert_eq!(world.dropped(address(remote), a.local, &bob.speak()), DropReason::Foreign);
        assert_eq!(world.sent, []);
        world.assert_nothing_is_left(&[a.id, b.id]);
    }
}

#[test]
fn m21_our_own_media_sockets_are_never_learned() {
    let mut world = World::new(small(), 6);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut looped = Talker::new(&world.stock[0].1.to_string(), 1, 0xee);
    for _ in 0..50 {
        assert_eq!(world.dropped(looped.address, a.local, &looped.speak()), DropReason::Foreign);
    }
    world.assert_nothing_is_left(&[a.id, b.id]);
}

#[test]
fn m22_an_address_that_never_spoke_is_not_flooded() {
    let mut world = World::new(small(), 7);
    let (_, b) = world.call(ALICE, BOB, |_| ());
    let mut bob = Talker::new(BOB, 1, 0xbb);
    for _ in 0..5_000 {
        world.packet(bob.address, b.local, &bob.speak());
        world.now += std::time::Duration::from_millis(1);
    }
    let sent = world.take_sent_to(address(ALICE)).len();
    assert!((1_000..=1_200).contains(&sent), "{sent} packets in five seconds");
}

#[test]
fn a_description_that_names_another_address_takes_effect_at_once() {
    let mut scene = Scene::new(8, StreamMode::Rewrite, RtcpPlan::Off, STRANGER);
    for _ in 0..20 {
        scene.frame(|_| Vec::new());
    }
    scene.assert_unharmed(StreamMode::Rewrite);
    let old = scene.alice.clone();
    scene.alice.address = address("198.51.100.9:4000");
    let moved = link::StreamPlan { generation: 2, ..plan("198.51.100.9:4000", Some(scene.b.id)) };
    scene.world.command(Command::Update { stream: scene.a.id, plan: moved });
    scene.world.packet(old.address, scene.a.local, &old.clone().speak());
    let before = scene.alice.frames;
    for _ in 0..20 {
        scene.frame(|_| Vec::new());
    }
    assert_eq!(scene.world.take_sent_to(old.address), []);
    assert_eq!(scene.world.take_sent_to(scene.alice.address).len(), 20);
    let heard = one_stream(&scene.world.take_sent_to(scene.bob.address));
    assert_eq!(heard.len(), usize::from(scene.alice.frames - before));
}
