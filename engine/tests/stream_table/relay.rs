//! What a relay does to a packet, and what it refuses.

use codecs::g711;
use engine::Slot;
use engine::stream_table::{DropReason, Verdict};
use link::{Command, Direction, PayloadMap, PayloadRule, Report, RtcpPlan, StreamMode, Transform};

use crate::world::{Talker, World, address, one_stream, plan, rtp, small};

const ALICE: &str = "198.51.100.1:4000";
const BOB: &str = "198.51.100.2:6000";

#[test]
fn audio_passes_both_ways_under_our_own_numbers_with_its_content() {
    let mut world = World::new(small(), 1);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut alice = Talker::new(ALICE, 0x1111, 0xaa);
    let mut bob = Talker::new(BOB, 0x2222, 0xbb);
    for _ in 0..500 {
        let (from_alice, from_bob) = (alice.speak(), bob.speak());
        world.packet(alice.address, a.local, &from_alice);
        world.packet(bob.address, b.local, &from_bob);
        world.pass(20);
    }
    let to_bob = world.take_sent_to(bob.address);
    assert!(to_bob.iter().all(|sent| sent.from == b.local));
    assert_ne!(to_bob[0].bytes[8..12], 0x1111_u32.to_be_bytes(), "our own SSRC");
    let heard = one_stream(&to_bob);
    assert_eq!(heard.len(), 500);
    for (frame, payload) in heard.iter().enumerate() {
        assert_eq!((payload[0], &payload[1..3]), (0xaa, &(frame as u16).to_be_bytes()[..]));
    }
    assert_eq!(one_stream(&world.take_sent_to(alice.address)).len(), 500);
    let figures = world.statistics(a.id);
    assert_eq!((figures.received_packets, figures.received_bytes), (500, 80_000));
    assert_eq!((figures.sent_packets, figures.sent_bytes), (500, 80_000));
    assert_eq!((figures.lost_packets, figures.jitter_us), (0, 0));
    world.assert_nothing_is_left(&[a.id, b.id]);
}

#[test]
fn payload_types_are_mapped_transcoded_or_refused() {
    let mut world = World::new(small(), 2);
    let (a, _) = world.call(ALICE, BOB, |plan| {
        plan.payload_map = PayloadMap::default();
        plan.payload_map.push(PayloadRule { from: 0, to: 8, transform: Transform::UlawToAlaw });
        plan.payload_map.push(PayloadRule { from: 8, to: 0, transform: Transform::AlawToUlaw });
        plan.payload_map.push(PayloadRule { from: 96, to: 101, transform: Transform::Keep });
    });
    let codes: Vec<u8> = (0..=255).collect();
    for (payload_type, transform, expected) in
        [(0, g711::ulaw_to_alaw as fn(&mut [u8]), 8), (8, g711::alaw_to_ulaw, 0), (96, |_| (), 101)]
    {
        // Contributing source, extension and padding are no audio.
        let mut bytes = rtp(payload_type, 1, 1, 1, &[7, 7, 7, 7, 0xbe, 0xde, 0, 1, 8, 8, 8, 8]);
        bytes[0] |= 0x31;
        bytes.extend_from_slice(&codes);
        bytes.extend_from_slice(&[0, 0, 3]);
        world.packet(address(ALICE), a.local, &bytes);
        let sent = world.sent.pop().expect("it passes").bytes;
        let mut payload = codes.clone();
        transform(&mut payload);
        assert_eq!(sent[1] & 0x7f, expected);
        assert_eq!(sent[12..24], bytes[12..24]);
        assert_eq!(sent[24..280], payload);
        assert_eq!((sent.len(), &sent[280..]), (bytes.len(), &[0, 0, 3][..]));
    }
    assert_eq!(world.dropped(address(ALICE), a.local, &rtp(3, 4, 1, 1, &[1; 33])), DropReason::PayloadType);
    let figures = world.statistics(a.id);
    assert_eq!((figures.received_packets, figures.dropped_payload_type), (3, 1));
}

#[test]
fn loss_upstream_stays_visible_downstream() {
    let mut world = World::new(small(), 3);
    let (a, _) = world.call(ALICE, BOB, |_| ());
    let mut alice = Talker::new(ALICE, 5, 1);
    for count in 0..100 {
        let bytes = alice.speak();
        if count % 10 != 7 {
            world.packet(alice.address, a.local, &bytes);
        }
    }
    let sent = world.take_sent_to(address(BOB));
    let numbers: Vec<u16> = sent.iter().map(crate::world::Sent::number).collect();
    let gaps = numbers.windows(2).filter(|pair| pair[1].wrapping_sub(pair[0]) == 2).count();
    assert_eq!((numbers.len(), gaps), (90, 10));
    assert_eq!(world.statistics(a.id).lost_packets, 10);
}

#[test]
fn an_opaque_stream_changes_no_byte_and_takes_anything_from_its_peer() {
    let mut world = World::new(small(), 4);
    let (a, b) = world.call(ALICE, BOB, |plan| plan.mode = StreamMode::Opaque);
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let mut datagrams = vec![vec![0], stun.to_vec(), vec![0x80, 200, 0, 1, 0, 0, 0, 1], vec![0xff; 1_400]];
    datagrams.push(rtp(77, 1, 2, 3, b"anything"));
    for bytes in &datagrams {
        world.packet(address(ALICE), a.local, bytes);
    }
    let passed: Vec<_> = world.take_sent_to(address(BOB)).into_iter().map(|sent| sent.bytes).collect();
    assert_eq!(passed, datagrams);
    assert_eq!(world.dropped(address(ALICE), a.local, &[]), DropReason::Malformed);
    assert_eq!(world.statistics(a.id).received_packets, 5);
    assert_eq!(world.statistics(b.id).sent_packets, 5);
}

#[test]
fn a_stretch_of_opaque_packets_leaves_no_gap_in_our_own_numbering() {
    let mut world = World::new(small(), 4);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut alice = Talker::new(ALICE, 0xa11ce, 0xaa);
    for mode in [StreamMode::Rewrite, StreamMode::Opaque, StreamMode::Rewrite] {
        world.command(Command::Update {
            stream: a.id,
            plan: link::StreamPlan { mode, ..plan(ALICE, Some(b.id)) },
        });
        for _ in 0..50 {
            world.packet(alice.address, a.local, &alice.speak());
            world.pass(20);
        }
    }
    let sent = world.take_sent_to(address(BOB));
    let ours: Vec<_> =
        sent.into_iter().filter(|sent| sent.bytes[8..12] != 0xa11ce_u32.to_be_bytes()).collect();
    assert_eq!(one_stream(&ours).len(), 100);
}

#[test]
fn hold_is_obeyed_both_ways_and_leaves_no_gap_behind() {
    let mut world = World::new(small(), 5);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut alice = Talker::new(ALICE, 9, 1);
    let mut say = |world: &mut World, count: usize| {
        let mut verdicts = Vec::new();
        for _ in 0..count {
            verdicts.extend(world.packet(alice.address, a.local, &alice.speak()));
            world.pass(20);
        }
        verdicts
    };
    say(&mut world, 10);
    let held = |world: &mut World, leg: crate::world::Leg, remote: &str, other, direction| {
        let plan = link::StreamPlan { direction, ..plan(remote, Some(other)) };
        world.command(Command::Update { stream: leg.id, plan });
    };
    held(&mut world, a, ALICE, b.id, Direction { send: true, receive: false });
    let verdicts = say(&mut world, 10);
    assert_eq!(verdicts, [Verdict::Drop(DropReason::OnHold); 10]);
    held(&mut world, a, ALICE, b.id, Direction::BOTH);
    say(&mut world, 10);
    held(&mut world, b, BOB, a.id, Direction { send: false, receive: true });
    let verdicts = say(&mut world, 10);
    assert_eq!(verdicts, [Verdict::Drop(DropReason::PartnerBusy); 10]);
    held(&mut world, b, BOB, a.id, Direction::BOTH);
    say(&mut world, 10);
    let sent = world.take_sent_to(address(BOB));
    assert_eq!(one_stream(&sent).len(), 30);
    let timestamp = |nth: usize| u32::from_be_bytes([4, 5, 6, 7].map(|byte: usize| sent[nth].bytes[byte]));
    assert_eq!(timestamp(10).wrapping_sub(timestamp(9)), 11 * 160, "time has passed all the same");
    assert_eq!(world.statistics(a.id).dropped_undeliverable, 20);
}

#[test]
fn without_a_partner_or_a_destination_packets_are_dropped_and_counted() {
    let mut world = World::new(small(), 6);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut alice = Talker::new(ALICE, 9, 1);
    let bytes = alice.speak();
    let mut nowhere = plan(BOB, Some(a.id));
    nowhere.remote = None;
    world.command(Command::Update { stream: b.id, plan: nowhere });
    assert_eq!(world.dropped(alice.address, a.local, &bytes), DropReason::NoDestination);
    world.command(Command::Close { stream: b.id });
    assert_eq!(world.dropped(alice.address, a.local, &bytes), DropReason::NoPartner);
    assert_eq!(world.statistics(a.id).dropped_undeliverable, 2);
    // A partner that comes later under the name that the plan says is found.
    let again = world.open(b.id, plan(BOB, Some(a.id)));
    assert!(matches!(world.packet(alice.address, a.local, &bytes), Some(Verdict::Forward { .. })));
    assert_eq!(world.sent.last().map(|sent| sent.from), Some(again.local));
    let stock = world.stock[0].1;
    assert_eq!(world.dropped(alice.address, stock, &bytes), DropReason::NoStream);
    let mut bytes = alice.speak();
    let verdict = world.table.handle_packet(world.now, Slot(u32::MAX), alice.address, &mut bytes);
    assert_eq!(verdict, Verdict::Drop(DropReason::NoStream));
}

#[test]
fn a_stream_that_forwards_to_itself_is_an_echo() {
    let mut world = World::new(small(), 7);
    let id = world.name();
    let leg = world.open(id, plan(ALICE, Some(id)));
    let mut alice = Talker::new(ALICE, 9, 1);
    for _ in 0..5 {
        world.packet(alice.address, leg.local, &alice.speak());
    }
    assert_eq!(one_stream(&world.take_sent_to(alice.address)).len(), 5);
}

/// A receiver report, then a BYE.
const RTCP: [u8; 16] = [0x80, 201, 0, 1, 1, 2, 3, 4, 0x81, 203, 0, 1, 1, 2, 3, 4];

#[test]
fn rtcp_on_the_rtp_port_passes_only_where_both_plans_have_it_there() {
    let mut world = World::new(small(), 8);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    assert_eq!(world.dropped(address(ALICE), a.local, &RTCP), DropReason::Rtcp);
    let muxed = |remote, other| link::StreamPlan { rtcp: RtcpPlan::Mux, ..plan(remote, Some(other)) };
    world.command(Command::Update { stream: a.id, plan: muxed(ALICE, b.id) });
    assert_eq!(world.dropped(address(ALICE), a.local, &RTCP), DropReason::Rtcp);
    world.command(Command::Update { stream: b.id, plan: muxed(BOB, a.id) });
    world.command(Command::Update { stream: a.id, plan: plan(ALICE, Some(b.id)) });
    assert_eq!(world.dropped(address(ALICE), a.local, &RTCP), DropReason::Rtcp);
    world.command(Command::Update { stream: a.id, plan: muxed(ALICE, b.id) });
    world.packet(address(ALICE), a.local, &RTCP);
    let sent = world.take_sent_to(address(BOB));
    assert_eq!((sent[0].from, &sent[0].bytes[..]), (b.local, &RTCP[..]));
    assert_eq!(world.dropped(address(ALICE), a.local, &RTCP[..11]), DropReason::Malformed);
    let figures = world.statistics(a.id);
    assert_eq!((figures.rtcp_packets, figures.received_packets), (1, 0));
}

#[test]
fn rtcp_ports_are_bound_on_request_and_relayed_between_their_addresses_only() {
    let mut world = World::new(small(), 9);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let sockets = world.sockets.len();
    let with_rtcp = |remote, rtcp, other| {
        let rtcp = RtcpPlan::Relay { remote: address(rtcp) };
        link::StreamPlan { rtcp, ..plan(remote, Some(other)) }
    };
    world.command(Command::Update { stream: a.id, plan: with_rtcp(ALICE, "198.51.100.1:4001", b.id) });
    world.command(Command::Update { stream: b.id, plan: with_rtcp(BOB, "198.51.100.2:6001", a.id) });
    assert_eq!(world.sockets.len(), sockets + 2);
    let rtcp_local = |leg: crate::world::Leg| {
        let mut local = leg.local;
        local.set_port(local.port() + 1);
        local
    };
    world.packet(address("198.51.100.1:4001"), rtcp_local(a), &RTCP);
    let sent = world.take_sent_to(address("198.51.100.2:6001"));
    assert_eq!((sent.len(), sent[0].from, &sent[0].bytes[..]), (1, rtcp_local(b), &RTCP[..]));
    for stranger in ["198.51.100.1:4000", "198.51.100.1:4003", "203.0.113.5:4001"] {
        assert_eq!(world.dropped(address(stranger), rtcp_local(a), &RTCP), DropReason::Foreign);
    }
    world.command(Command::Update { stream: a.id, plan: plan(ALICE, Some(b.id)) });
    assert_eq!(world.sockets.len(), sockets + 1);
    assert_eq!(world.dropped(address("198.51.100.2:6001"), rtcp_local(b), &RTCP), DropReason::Rtcp);
    world.assert_nothing_is_left(&[a.id, b.id]);
}

#[test]
fn a_taken_rtcp_port_is_told_and_the_stream_goes_on_without() {
    let mut world = World::new(small(), 10);
    let mut rtcp = world.stock[0].1;
    rtcp.set_port(rtcp.port() + 1);
    world.taken.push(rtcp);
    let (a, b) =
        world.call(ALICE, BOB, |plan| plan.rtcp = RtcpPlan::Relay { remote: address("198.51.100.1:4001") });
    let refusals = world
        .reports
        .iter()
        .filter(|report| matches!(report, Report::Refused { stream, .. } if *stream == a.id));
    assert_eq!(refusals.count(), 1);
    let mut alice = Talker::new(ALICE, 1, 1);
    world.packet(alice.address, a.local, &alice.speak());
    assert_eq!(world.take_sent_to(address(BOB)).len(), 1);
    world.assert_nothing_is_left(&[a.id, b.id]);
}

#[test]
fn the_first_packet_of_each_description_is_reported_once() {
    let mut world = World::new(small(), 11);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut alice = Talker::new(ALICE, 1, 1);
    let firsts = |world: &World| {
        world.reports.iter().filter(|report| matches!(report, Report::FirstPacket { .. })).count()
    };
    for _ in 0..3 {
        world.packet(alice.address, a.local, &alice.speak());
    }
    assert_eq!(firsts(&world), 1);
    let again = link::StreamPlan { generation: 2, ..plan(ALICE, Some(b.id)) };
    world.command(Command::Update { stream: a.id, plan: again });
    for _ in 0..3 {
        world.packet(alice.address, a.local, &alice.speak());
    }
    assert_eq!(firsts(&world), 2);
}

#[test]
fn silence_is_reported_once_per_silence_and_never_while_nothing_is_expected() {
    let mut world = World::new(small(), 12);
    let (a, b) = world.call(ALICE, BOB, |plan| plan.silence_ms_max = 3_000);
    let silences = |world: &mut World| {
        let all = std::mem::take(&mut world.reports).into_iter();
        let of_a = all.filter_map(|report| match report {
            Report::Silent { stream, silence_ms } if stream == a.id => Some(silence_ms),
            _ => None,
        });
        of_a.collect::<Vec<_>>()
    };
    let mut alice = Talker::new(ALICE, 1, 1);
    world.pass(2_500);
    world.packet(alice.address, a.local, &alice.speak());
    world.pass(2_999);
    assert_eq!(silences(&mut world), []);
    world.pass(1);
    assert_eq!(silences(&mut world), [3_000]);
    world.pass(60_000);
    assert_eq!(silences(&mut world), []);
    world.packet(alice.address, a.local, &alice.speak());
    world.pass(3_000);
    assert_eq!(silences(&mut world), [3_000]);
    // RTCP and strangers do not count as a sign of life.
    world.packet(alice.address, a.local, &alice.speak());
    world.pass(2_000);
    world.packet(alice.address, a.local, &RTCP);
    world.packet(address("203.0.113.1:9999"), a.local, &alice.speak());
    world.pass(1_000);
    assert_eq!(silences(&mut world), [3_000]);
    let mut held = link::StreamPlan { silence_ms_max: 3_000, ..plan(ALICE, Some(b.id)) };
    held.direction = Direction { send: true, receive: false };
    world.command(Command::Update { stream: a.id, plan: held });
    world.pass(60_000);
    assert_eq!(silences(&mut world), []);
}

#[test]
fn a_shell_is_told_when_one_peer_is_all_that_counts_and_when_it_is_not() {
    let mut world = World::new(small(), 14);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut alice = Talker::new(ALICE, 1, 1);
    assert_eq!(world.connected.get(&a.local), None);
    for _ in 0..3 {
        for _ in 0..100 {
            world.packet(alice.address, a.local, &alice.speak());
            world.pass(20);
        }
        assert_eq!(world.connected.get(&a.local), Some(&alice.address));
        world.pass(479);
        assert_eq!(world.connected.get(&a.local), Some(&alice.address));
        // From now on she might come from another port.
        world.pass(1);
        assert_eq!(world.connected.get(&a.local), None);
        world.pass(5_000);
    }
    world.packet(alice.address, a.local, &alice.speak());
    assert_eq!(world.connected.get(&a.local), Some(&alice.address));
    let moved = link::StreamPlan { generation: 2, ..plan("198.51.100.9:4000", Some(b.id)) };
    world.command(Command::Update { stream: a.id, plan: moved });
    assert_eq!(world.connected.get(&a.local), None);
    // Without learning a silent peer is still the only one.
    let strict = link::StreamPlan { learning: link::Learning::Off, generation: 3, ..plan(ALICE, Some(b.id)) };
    world.command(Command::Update { stream: a.id, plan: strict });
    world.packet(alice.address, a.local, &alice.speak());
    world.pass(60_000);
    assert_eq!(world.connected.get(&a.local), Some(&alice.address));
    assert_eq!(world.table.census().timers, 0);
}

#[test]
fn what_the_system_did_not_take_and_what_was_cut_is_counted() {
    let mut world = World::new(small(), 13);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut alice = Talker::new(ALICE, 1, 1);
    world.packet(alice.address, a.local, &alice.speak());
    let (slot_a, slot_b) = (world.sockets[&a.local], world.sockets[&b.local]);
    world.table.send_failed(world.now, slot_b);
    let figures = world.statistics(b.id);
    assert_eq!((figures.sent_packets, figures.dropped_send_failed), (0, 1));
    world.table.truncated(world.now, slot_a, alice.address);
    world.table.truncated(world.now, slot_a, address("203.0.113.1:9999"));
    let figures = world.statistics(a.id);
    assert_eq!((figures.dropped_malformed, figures.dropped_foreign), (1, 1));
    let counters = world.table.counters();
    assert_eq!(counters.sends_failed, 1);
    assert_eq!(counters.dropped(DropReason::Truncated), 1);
}
