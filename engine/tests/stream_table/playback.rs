//! Prompts: paced, encoded, and in line with what is relayed before and after.

use std::sync::Arc;

use codecs::{AudioCodec, g711};
use engine::stream_table::DropReason;
use link::{AudioFormat, Command, Direction, PlaybackId, Prompt, Report, StreamPlan};

use crate::world::{Leg, Sent, Talker, World, address, one_stream, plan, small};

const ALICE: &str = "198.51.100.1:4000";
const BOB: &str = "198.51.100.2:6000";

fn prompt(ms: usize) -> Arc<Prompt> {
    Arc::new(Prompt { samples: (0..ms * 8).map(|number| (number as i16).wrapping_mul(37)).collect() })
}

fn play(world: &mut World, leg: Leg, name: u64, prompt: &Arc<Prompt>, times: u32) {
    let (playback, prompt) = (PlaybackId(name), Arc::clone(prompt));
    world.command(Command::Play { stream: leg.id, playback, prompt, times });
    world.pass(0);
}

/// Ends of prompts: name, complete, milliseconds.
fn ends(world: &mut World) -> Vec<(u64, bool, u32)> {
    let end = |report| match report {
        Report::PlaybackEnded { playback, complete, played_ms, .. } => {
            Some((playback.0, complete, played_ms))
        }
        _ => None,
    };
    std::mem::take(&mut world.reports).into_iter().filter_map(end).collect()
}

fn one_leg(seed: u64, change: impl Fn(&mut StreamPlan)) -> (World, Leg) {
    let mut world = World::new(small(), seed);
    let id = world.name();
    let mut plan = plan(ALICE, None);
    change(&mut plan);
    let leg = world.open(id, plan);
    (world, leg)
}

#[test]
fn a_prompt_is_sent_every_20_ms_sample_by_sample_and_its_end_is_told_when_it_is_over() {
    let (mut world, leg) = one_leg(1, |_| ());
    let prompt = prompt(1_000);
    let start = world.now;
    play(&mut world, leg, 5, &prompt, 1);
    world.pass(999);
    assert_eq!(ends(&mut world), []);
    world.pass(1);
    assert_eq!(ends(&mut world), [(5, true, 1_000)]);
    let sent = world.take_sent_to(address(ALICE));
    for (frame, sent) in sent.iter().enumerate() {
        assert_eq!(sent.at.since(start).as_millis(), 20 * frame as u128);
        assert_eq!(sent.bytes[1], if frame == 0 { 0x80 } else { 0 }, "the marker stands on the first");
    }
    let expected: Vec<u8> = prompt.samples.iter().map(|&sample| g711::encode_ulaw(sample)).collect();
    assert_eq!(one_stream(&sent).concat(), expected);
    assert_eq!(world.statistics(leg.id).sent_packets, 50);
    world.assert_nothing_is_left(&[leg.id]);
}

#[test]
fn frame_length_payload_type_and_law_are_those_of_the_plan() {
    let (mut world, leg) = one_leg(2, |plan| {
        plan.play_as = Some(AudioFormat { codec: AudioCodec::Pcma, payload_type: 96, ptime_ms: 30 });
    });
    play(&mut world, leg, 1, &prompt(90), 1);
    world.pass(90);
    let sent = world.take_sent_to(address(ALICE));
    assert_eq!(sent.iter().map(|sent| sent.bytes.len()).collect::<Vec<_>>(), [252; 3]);
    assert!(sent.iter().all(|sent| sent.bytes[1] & 0x7f == 96));
    assert_eq!(sent[0].bytes[12], g711::encode_alaw(0));
}

#[test]
fn relayed_audio_prompt_and_relayed_audio_are_one_stream_to_the_listener() {
    let mut world = World::new(small(), 3);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut bob = Talker::new(BOB, 1, 0xbb);
    let mut say = |world: &mut World, count: usize| {
        for _ in 0..count {
            world.packet(bob.address, b.local, &bob.speak());
            world.pass(20);
        }
    };
    say(&mut world, 10);
    world.pass(7);
    play(&mut world, a, 1, &prompt(400), 1);
    say(&mut world, 19);
    world.pass(30);
    assert_eq!(ends(&mut world).len(), 1);
    say(&mut world, 10);
    let sent = world.take_sent_to(address(ALICE));
    assert_eq!(one_stream(&sent).len(), 40);
    let timestamp = |sent: &Sent| u32::from_be_bytes([4, 5, 6, 7].map(|byte: usize| sent.bytes[byte]));
    for pair in sent.windows(2) {
        let ahead = u128::from(timestamp(&pair[1]).wrapping_sub(timestamp(&pair[0])));
        let elapsed = pair[1].at.since(pair[0].at).as_millis() * 8;
        assert!(ahead == elapsed.max(160), "{ahead} units in {elapsed}");
    }
    assert_eq!(world.statistics(b.id).dropped_undeliverable, 19, "what Bob said meanwhile");
}

#[test]
fn a_speaker_who_paused_during_the_prompt_goes_on_after_it() {
    let mut world = World::new(small(), 3);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut bob = Talker::new(BOB, 1, 0xbb);
    for _ in 0..3 {
        world.packet(bob.address, b.local, &bob.speak());
        world.pass(20);
        play(&mut world, a, 1, &prompt(100), 1);
        world.pass(200);
    }
    assert_eq!(one_stream(&world.take_sent_to(address(ALICE))).len(), 18);
}

#[test]
fn a_second_prompt_replaces_the_first_and_only_the_named_one_is_stopped() {
    let (mut world, leg) = one_leg(4, |_| ());
    play(&mut world, leg, 1, &prompt(10_000), 1);
    world.pass(95);
    play(&mut world, leg, 2, &prompt(10_000), 0);
    assert_eq!(ends(&mut world), [(1, false, 100)]);
    world.pass(35);
    let stop = |world: &mut World, name| {
        world.command(Command::StopPlay { stream: leg.id, playback: PlaybackId(name) });
    };
    stop(&mut world, 1);
    assert_eq!(ends(&mut world), []);
    stop(&mut world, 2);
    assert_eq!(ends(&mut world), [(2, false, 40)]);
    world.pass(1_000);
    one_stream(&world.take_sent_to(address(ALICE)));
    play(&mut world, leg, 3, &prompt(10_000), 1);
    world.command(Command::Close { stream: leg.id });
    assert_eq!(ends(&mut world), [(3, false, 20)]);
    world.assert_nothing_is_left(&[]);
}

#[test]
fn what_cannot_be_encoded_ends_at_once() {
    let (mut world, leg) = one_leg(5, |plan| plan.play_as = None);
    play(&mut world, leg, 1, &prompt(100), 1);
    assert_eq!(ends(&mut world), [(1, false, 0)]);
    let (mut world, leg) = one_leg(6, |plan| {
        plan.play_as = Some(AudioFormat { codec: AudioCodec::G729, payload_type: 18, ptime_ms: 20 });
    });
    play(&mut world, leg, 1, &prompt(100), 1);
    assert_eq!(ends(&mut world), [(1, false, 0)]);
    let (mut world, leg) = one_leg(7, |_| ());
    play(&mut world, leg, 1, &prompt(0), 0);
    assert_eq!(ends(&mut world), [(1, true, 0)]);
}

#[test]
fn a_prompt_passes_silently_where_nothing_may_be_sent() {
    for change in [
        (|plan: &mut StreamPlan| plan.direction = Direction { send: false, receive: true })
            as fn(&mut StreamPlan),
        |plan| plan.remote = None,
        |plan| plan.remote = Some(address("0.0.0.0:4000")),
    ] {
        let (mut world, leg) = one_leg(8, change);
        play(&mut world, leg, 1, &prompt(200), 1);
        world.pass(200);
        assert_eq!(ends(&mut world), [(1, true, 0)]);
        assert_eq!(world.sent, []);
        world.assert_nothing_is_left(&[leg.id]);
    }
}

#[test]
fn a_stalled_worker_does_not_pour_the_prompt_out_afterwards() {
    let (mut world, leg) = one_leg(9, |_| ());
    play(&mut world, leg, 1, &prompt(10_000), 1);
    world.pass(100);
    world.sent.clear();
    // Five seconds without a turn.
    world.now += std::time::Duration::from_secs(5);
    world.table.handle_timeout(world.now);
    world.pump();
    let sent = world.take_sent_to(address(ALICE));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].bytes[1] & 0x80, 0x80, "a pause ends with the marker");
    world.pass(100);
    assert_eq!(world.take_sent_to(address(ALICE)).len(), 5);
}

#[test]
fn more_prompts_than_buffers_lose_frames_and_say_so_but_keep_their_time() {
    let mut settings = small();
    settings.packets_max = 1;
    let mut world = World::new(settings, 10);
    let legs = [(); 3].map(|()| {
        let id = world.name();
        world.open(id, plan(ALICE, None))
    });
    for leg in legs {
        let (playback, prompt) = (PlaybackId(1), prompt(100));
        world.table.handle_command(world.now, Command::Play { stream: leg.id, playback, prompt, times: 1 });
    }
    world.pass(100);
    assert_eq!(ends(&mut world).iter().filter(|end| end.1).count(), 3);
    assert_eq!(world.table.counters().packets_exhausted, 10);
    assert_eq!(world.sent.len(), 5);
    assert_eq!(world.table.census().packets_out, 0);
}

#[test]
fn relayed_packets_are_refused_while_a_prompt_plays() {
    let mut world = World::new(small(), 11);
    let (a, b) = world.call(ALICE, BOB, |_| ());
    let mut bob = Talker::new(BOB, 1, 0xbb);
    play(&mut world, a, 1, &prompt(100), 1);
    assert_eq!(world.dropped(bob.address, b.local, &bob.speak()), DropReason::PartnerBusy);
    // The other way is free.
    let mut alice = Talker::new(ALICE, 2, 0xaa);
    world.packet(alice.address, a.local, &alice.speak());
    assert_eq!(world.take_sent_to(bob.address).len(), 1);
}
