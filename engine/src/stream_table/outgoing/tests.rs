//! What one peer receives, whatever happens to those who speak to it.

use core::time::Duration;

use proptest::prelude::*;

use super::*;

const RATE_HZ: u32 = 8_000;
const ONE: StreamId = StreamId::new(0, 1);
const OTHER: StreamId = StreamId::new(0, 2);

fn outgoing() -> Outgoing {
    Outgoing::new(&mut Random::new(7))
}

fn audio(ssrc: u32, sequence_number: u16, timestamp: u32) -> RtpHeader {
    RtpHeader { marker: false, payload_type: 0, sequence_number, timestamp, ssrc }
}

/// Sends packets of one stream, 20 ms apart; what left.
fn send(outgoing: &mut Outgoing, packets: impl IntoIterator<Item = RtpHeader>) -> Vec<RtpHeader> {
    let start = outgoing.sent_at.map_or(Tick::ZERO, |at| at + Duration::from_millis(20));
    let packets = packets.into_iter().enumerate();
    let at = |count: usize| start + Duration::from_millis(20 * count as u64);
    packets.filter_map(|(count, header)| outgoing.relay(at(count), ONE, header, RATE_HZ)).collect()
}

/// Sequence numbers and timestamps relative to the first.
fn relative(sent: &[RtpHeader]) -> Vec<(u16, u32)> {
    let first = sent[0];
    let numbers = |header: &RtpHeader| {
        (
            header.sequence_number.wrapping_sub(first.sequence_number),
            header.timestamp.wrapping_sub(first.timestamp),
        )
    };
    sent.iter().map(numbers).collect()
}

#[test]
fn loss_reordering_and_duplicates_of_one_source_pass_as_they_came() {
    let mut outgoing = outgoing();
    let numbers = [65_534, 65_535, 2, 0, 1, 1, 1, 3, 150];
    let packets = numbers.map(|number: u16| audio(9, number, 160 * u32::from(number.wrapping_add(2))));
    let sent = send(&mut outgoing, packets);
    let expected = numbers.map(|number| (number.wrapping_add(2), 160 * u32::from(number.wrapping_add(2))));
    assert_eq!(relative(&sent), expected);
    assert!(sent.iter().all(|header| header.ssrc == sent[0].ssrc && header.ssrc != 9));
    assert_eq!(sent.iter().filter(|header| header.marker).count(), 1);
    assert!(sent[0].marker);
}

#[test]
fn a_new_source_goes_on_without_a_gap_and_time_goes_on_by_the_clock() {
    let mut outgoing = outgoing();
    send(&mut outgoing, [audio(1, 10, 1_000), audio(1, 11, 1_160)]);
    let last = outgoing;
    let at = Tick::from_millis(20 + 500);
    let first = outgoing.relay(at, ONE, audio(2, 50_000, 7), RATE_HZ).expect("it has a number");
    assert_eq!(first.sequence_number, last.sequence_number.wrapping_add(1));
    assert_eq!(first.timestamp.wrapping_sub(last.timestamp), 4_000, "half a second has passed");
    assert!(first.marker);
    assert_eq!(first.ssrc, last.ssrc);
    let second = outgoing.relay(at, ONE, audio(2, 50_001, 167), RATE_HZ).expect("it has a number");
    assert_eq!(relative(&[first, second]), [(0, 0), (1, 160)]);
    assert!(!second.marker);
}

#[test]
fn the_same_ssrc_by_another_stream_is_another_source() {
    let mut outgoing = outgoing();
    let sent = send(&mut outgoing, [audio(1, 10, 1_000)]);
    let next =
        outgoing.relay(Tick::from_millis(20), OTHER, audio(1, 500, 9_000), RATE_HZ).expect("it has a number");
    assert_eq!(relative(&[sent[0], next]), [(0, 0), (1, 160)]);
    assert!(next.marker);
}

#[test]
fn late_packets_of_the_source_before_keep_their_places() {
    let mut outgoing = outgoing();
    let packets =
        [audio(1, 10, 1_600), audio(1, 12, 1_920), audio(2, 900, 5), audio(1, 11, 1_760), audio(2, 901, 165)];
    let sent = send(&mut outgoing, packets);
    assert_eq!(relative(&sent).iter().map(|&(number, _)| number).collect::<Vec<_>>(), [0, 2, 3, 1, 4]);
    assert_eq!(relative(&sent)[3].1, 160);
    assert!(!sent[3].marker && !sent[4].marker);
}

#[test]
fn two_sources_that_talk_across_each_other_never_get_one_number_twice() {
    let mut outgoing = outgoing();
    let packets = (0..50).map(|count: u16| {
        audio(u32::from(count % 2), 1_000 * (count % 2) + count / 2, u32::from(count) * 160)
    });
    let sent = send(&mut outgoing, packets);
    let numbers: Vec<u16> = relative(&sent).iter().map(|&(number, _)| number).collect();
    assert_eq!(numbers, (0..50).collect::<Vec<u16>>());
}

#[test]
fn what_a_new_source_sent_before_the_packet_it_began_by_has_no_number_left() {
    let mut outgoing = outgoing();
    // Before anything was sent all numbers are free.
    let first = send(&mut outgoing, [audio(1, 10, 1_600), audio(1, 9, 1_440), audio(1, 11, 1_760)]);
    assert_eq!(relative(&first), [(0, 0), (u16::MAX, 160_u32.wrapping_neg()), (1, 160)]);
    let packets =
        [audio(2, 501, 160), audio(2, 500, 0), audio(2, 503, 480), audio(2, 502, 320), audio(2, 500, 0)];
    let second = send(&mut outgoing, packets);
    let all = [&first[2..], &second].concat();
    assert_eq!(relative(&all), [(0, 0), (1, 160), (3, 480), (2, 320)]);
    // The first source's last packet comes again: its number is its own.
    let again = send(&mut outgoing, [audio(1, 11, 1_760), audio(1, 10, 1_600)]);
    assert_eq!(again[0], RtpHeader { marker: false, ..first[2] });
    assert_eq!(again.len(), 2);
}

#[test]
fn a_restart_of_the_numbering_is_a_new_source() {
    let mut outgoing = outgoing();
    let sent = send(&mut outgoing, [audio(1, 10, 1_000), audio(1, 30_000, 90), audio(1, 30_001, 250)]);
    assert_eq!(relative(&sent), [(0, 0), (1, 160), (2, 320)]);
    assert!(sent[1].marker && !sent[2].marker);
}

#[test]
fn timestamps_that_fall_back_far_go_on_and_those_that_leap_ahead_leap() {
    let mut outgoing = outgoing();
    let leap = 160 + 1_000_000;
    let packets = [audio(1, 1, 5_000_000), audio(1, 2, 5_000_000 + leap), audio(1, 3, 400), audio(1, 4, 640)];
    let sent = send(&mut outgoing, packets);
    assert_eq!(relative(&sent), [(0, 0), (1, leap), (2, leap + 160), (3, leap + 400)]);
}

#[test]
fn telephone_events_keep_the_timestamp_of_their_beginning_between_running_audio() {
    let mut outgoing = outgoing();
    let event = |number, timestamp| RtpHeader { payload_type: 101, ..audio(1, number, timestamp) };
    let packets =
        [audio(1, 1, 160), event(2, 320), audio(1, 3, 480), event(4, 320), audio(1, 5, 640), event(6, 320)];
    let sent = send(&mut outgoing, packets);
    assert_eq!(relative(&sent).iter().map(|&(_, at)| at).collect::<Vec<_>>(), [0, 160, 320, 160, 480, 160]);
}

#[test]
fn a_pause_of_our_own_making_leaves_no_gap() {
    let mut outgoing = outgoing();
    let before = send(&mut outgoing, [audio(1, 10, 1_600)]);
    outgoing.break_off();
    let after = outgoing
        .relay(Tick::from_millis(2_000), ONE, audio(1, 110, 17_600), RATE_HZ)
        .expect("it has a number");
    assert_eq!(relative(&[before[0], after]), [(0, 0), (1, 16_000)]);
    assert!(after.marker);
}

#[test]
fn a_prompt_between_two_stretches_of_relayed_audio_is_one_stream_with_them() {
    let mut outgoing = outgoing();
    let before = send(&mut outgoing, [audio(1, 10, 1_600)]);
    outgoing.break_off();
    let prompt =
        [outgoing.begin(Tick::from_millis(30), 8, RATE_HZ), outgoing.go_on(Tick::from_millis(50), 8, 160)];
    let after =
        outgoing.relay(Tick::from_millis(75), ONE, audio(1, 13, 2_080), RATE_HZ).expect("it has a number");
    let sent = [before[0], prompt[0], prompt[1], after];
    assert_eq!(relative(&sent), [(0, 0), (1, 240), (2, 400), (3, 600)]);
    assert_eq!(sent.map(|header| header.marker), [true, true, false, true]);
}

#[test]
fn a_move_keeps_the_numbering() {
    let mut outgoing = outgoing();
    let before = send(&mut outgoing, [audio(1, 10, 1_600), audio(1, 11, 1_760)]);
    // The clock of the other side may have begun at another time.
    let mut moved = Outgoing::from_state(Tick::from_millis(1_000_000), &outgoing.state());
    let after = send(&mut moved, [audio(1, 13, 2_080), audio(1, 12, 1_920)]);
    assert_eq!(relative(&[before, after].concat()), [(0, 0), (1, 160), (3, 480), (2, 320)]);
    assert_eq!(moved.state().following.map(|(ssrc, ..)| ssrc), Some(1));
}

#[test]
fn clock_units_never_jump_where_the_clock_does_not() {
    for seconds in [0, 1, 1_000_000, 18_000_000_000] {
        for rate_hz in [8_000, 48_000] {
            let at = Tick::from_nanos(seconds * 1_000_000_000 - u64::from(seconds > 0));
            let later = clock_units(at + Duration::from_millis(20), rate_hz);
            let step = later.wrapping_sub(clock_units(at, rate_hz));
            assert!((rate_hz / 50..=rate_hz / 50 + 1).contains(&step), "{seconds} s, {rate_hz} Hz: {step}");
        }
    }
}

/// What happens to the packets of one peer on their way here.
#[derive(Clone, Debug)]
enum Step {
    Packets { lost: u8, count: u8 },
    NewSource { ssrc: u32, sequence_number: u16, timestamp: u32 },
    Pause { ms: u16 },
    Hold,
    Prompt { frames: u8 },
    Moved,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..20_u8, 1..40_u8).prop_map(|(lost, count)| Step::Packets { lost, count }),
        1 => any::<(u32, u16, u32)>()
            .prop_map(|(ssrc, sequence_number, timestamp)| Step::NewSource { ssrc, sequence_number, timestamp }),
        1 => (0..5_000_u16).prop_map(|ms| Step::Pause { ms }),
        1 => Just(Step::Hold),
        1 => (1..10_u8).prop_map(|frames| Step::Prompt { frames }),
        1 => Just(Step::Moved),
    ]
}

proptest! {
    /// However sources alternate and packets overtake one another: no number is ever given to two packets.
    #[test]
    fn no_number_is_given_twice(
        stretches in prop::collection::vec((0..3_u32, 1..8_u16, any::<bool>(), any::<bool>()), 1..60),
        swaps in prop::collection::vec((0..400_usize, 1..12_usize), 0..80),
        seed in any::<u64>(),
    ) {
        let mut next = [5_u16, 20_000, 65_500];
        let mut events = Vec::new();
        for (ssrc, count, is_prompt, is_restart) in stretches {
            if is_restart && is_prompt {
                next[ssrc as usize] = next[ssrc as usize].wrapping_add(10_000);
            }
            for _ in 0..count {
                let number = &mut next[ssrc as usize];
                *number = number.wrapping_add(1);
                events.push(if is_prompt && !is_restart { None } else { Some((ssrc, *number)) });
            }
        }
        // Overtaking, and a copy now and then.
        for (at, distance) in swaps {
            let (one, other) = (at % events.len(), (at + distance) % events.len());
            if distance == 1 {
                events.insert(other, events[one]);
            } else {
                events.swap(one, other);
            }
        }
        let mut outgoing = Outgoing::new(&mut Random::new(seed));
        let mut given = std::collections::BTreeMap::new();
        let mut was_prompt = false;
        for (count, event) in events.into_iter().enumerate() {
            let now = Tick::from_millis(20 * count as u64);
            let content = event.map_or((9, count as u16), |(ssrc, number)| (ssrc, number));
            let header = match event {
                Some((ssrc, number)) => {
                    let header = audio(ssrc, number, u32::from(number).wrapping_mul(160));
                    outgoing.relay(now, ONE, header, RATE_HZ)
                }
                None if was_prompt => Some(outgoing.go_on(now, 0, 160)),
                None => {
                    outgoing.break_off();
                    Some(outgoing.begin(now, 0, RATE_HZ))
                }
            };
            was_prompt = event.is_none();
            if let Some(header) = header {
                let before = given.insert(header.sequence_number, content);
                prop_assert!(before.is_none_or(|before| before == content), "{:?} and {:?}", before, content);
            }
        }
    }

    /// However sources change: one SSRC, sequence numbers that rise by one and by what was lost, and timestamps that
    /// rise with them, never faster than the time that has passed allows.
    #[test]
    fn whatever_happens_the_peer_sees_one_stream(steps in prop::collection::vec(step(), 1..60), seed in any::<u64>()) {
        let mut outgoing = Outgoing::new(&mut Random::new(seed));
        let (mut now, mut source) = (Tick::from_millis(seed % 100_000), audio(1, 0, 0));
        let mut sent: Vec<(Tick, RtpHeader, u16)> = Vec::new();
        // The number that the source has next and what it has lost since its last packet.
        let (mut started, mut lost_since) = (false, 0);
        for step in steps {
            match step {
                Step::Packets { lost, count } => {
                    for skipped in (0..count).map(|nth| if nth == 0 { lost } else { 0 }) {
                        let advance = u32::from(skipped) + 1;
                        now += Duration::from_millis(20 * u64::from(advance));
                        source.sequence_number = source.sequence_number.wrapping_add(advance as u16);
                        source.timestamp = source.timestamp.wrapping_add(160 * advance);
                        lost_since += u16::from(skipped);
                        let header = outgoing.relay(now, ONE, source, RATE_HZ).expect("it has a number");
                        prop_assert_eq!(header.marker, !started);
                        sent.push((now, header, if started { lost_since } else { 0 }));
                        (started, lost_since) = (true, 0);
                    }
                }
                Step::NewSource { ssrc, sequence_number, timestamp } => {
                    // The same SSRC with other numbers is told by the numbers only where they are far away.
                    let ssrc = if ssrc == source.ssrc { ssrc ^ 1 } else { ssrc };
                    source = audio(ssrc, sequence_number, timestamp);
                    (started, lost_since) = (false, 0);
                }
                // A silence: the source's timestamps go on, its sequence numbers do not.
                Step::Pause { ms } => {
                    now += Duration::from_millis(u64::from(ms));
                    source.timestamp = source.timestamp.wrapping_add(u32::from(ms) * 8);
                }
                Step::Hold => {
                    outgoing.break_off();
                    (started, lost_since) = (false, 0);
                }
                Step::Prompt { frames } => {
                    outgoing.break_off();
                    for nth in 0..frames {
                        now += Duration::from_millis(20);
                        let header = match nth {
                            0 => outgoing.begin(now, 0, RATE_HZ),
                            _ => outgoing.go_on(now, 0, 160),
                        };
                        sent.push((now, header, 0));
                    }
                    (started, lost_since) = (false, 0);
                }
                Step::Moved => {
                    outgoing = Outgoing::from_state(now, &outgoing.state());
                }
            }
        }
        for pair in sent.windows(2) {
            let ((before_at, before, _), (at, header, lost)) = (pair[0], pair[1]);
            prop_assert_eq!(header.ssrc, before.ssrc);
            prop_assert_eq!(header.sequence_number, before.sequence_number.wrapping_add(1 + lost));
            let ahead = header.timestamp.wrapping_sub(before.timestamp);
            let elapsed = at.since(before_at).as_millis() as u32 * 8;
            prop_assert!(ahead > 0 && ahead <= elapsed.max(960) + 1, "{} after {} units", ahead, elapsed);
        }
    }
}
