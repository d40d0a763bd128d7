//! What a phone hears, packet by packet, and what must be true of all of it together.

use std::net::SocketAddr;

use clock::Tick;

use crate::script::Codec;
use crate::voice::{self, PROMPT, Voice};

/// Complaints one ear writes down; the rest would say the same.
const COMPLAINTS_MAX: usize = 20;

/// One packet of audio that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When.
    pub at: Tick,
    /// From where.
    pub from: SocketAddr,
    /// SSRC.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Timestamp units per packet of the codec it came in.
    pub step: u32,
    /// Who said it.
    pub voice: Voice,
    /// Its place in what that voice said.
    pub index: u32,
}

/// A telephone-event packet that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// When.
    pub at: Tick,
    /// Payload type.
    pub payload_type: u8,
    /// Which.
    pub digit: u8,
}

/// Everything one leg heard.
#[derive(Clone, Debug, Default)]
pub struct Ear {
    /// Audio, in order of arrival.
    pub heard: Vec<Heard>,
    /// Telephone-events, in order of arrival.
    pub digits: Vec<Digit>,
    /// What was wrong with single packets.
    pub complaints: Vec<String>,
    /// Packets of a payload type that was not agreed on.
    pub unagreed: Vec<(Tick, u8)>,
}

/// What an ear expects of a packet.
pub struct Expectation<'a> {
    /// Codecs that were agreed on in this call, each with the payload type that we told the other side.
    pub codecs: &'a [Codec],
    /// Our payload type of telephone-events.
    pub event_payload_type: Option<u8>,
}

impl Ear {
    /// Takes a packet. Gives who said it, when it is as it should be.
    pub fn hear(
        &mut self,
        at: Tick,
        from: SocketAddr,
        packet: &[u8],
        expected: &Expectation<'_>,
    ) -> Option<(Voice, u32)> {
        match self.listen(at, from, packet, expected) {
            Ok(heard) => heard,
            Err(why) => {
                self.complain(format!("{at:?} from {from}: {why}"));
                None
            }
        }
    }

    fn listen(
        &mut self,
        at: Tick,
        from: SocketAddr,
        packet: &[u8],
        expected: &Expectation<'_>,
    ) -> Result<Option<(Voice, u32)>, String> {
        if packet.len() < 12 || packet[0] != 0x80 {
            return Err(format!("not plain RTP: {:02x?}", &packet[..packet.len().min(4)]));
        }
        let payload_type = packet[1] & 0x7f;
        let long =
            |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        if expected.event_payload_type == Some(payload_type) {
            self.digits.push(Digit { at, payload_type, digit: packet.get(12).copied().unwrap_or(0xff) });
            return Ok(None);
        }
        let codec = expected.codecs.iter().find(|codec| codec.payload_type == payload_type);
        let Some(codec) = codec else {
            self.unagreed.push((at, payload_type));
            return Ok(None);
        };
        let (voice, index) =
            voice::read(&packet[12..], codec.law).map_err(|garbled| format!("garbled audio: {garbled:?}"))?;
        self.heard.push(Heard {
            at,
            from,
            ssrc: long(8),
            sequence: u16::from_be_bytes([packet[2], packet[3]]),
            timestamp: long(4),
            step: codec.timestamp_step,
            voice,
            index,
        });
        Ok(Some((voice, index)))
    }

    /// Writes down what is wrong.
    pub fn complain(&mut self, what: String) {
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(what);
        }
    }

    /// Places of a voice that were heard in a span of time, in order and each once.
    pub fn places(&self, voice: Voice, from: Tick, to: Tick) -> Vec<u32> {
        let in_time = |heard: &&Heard| heard.voice == voice && heard.at >= from && heard.at < to;
        let mut places: Vec<u32> = self.heard.iter().filter(in_time).map(|heard| heard.index).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Places of a prompt that were heard.
    pub fn prompt(&self, number: u16) -> Vec<u32> {
        self.places(Voice::of_prompt(number), Tick::ZERO, Tick::from_nanos(u64::MAX))
    }

    /// Whether anything of a voice was heard.
    pub fn has_heard(&self, voice: Voice) -> bool {
        self.heard.iter().any(|heard| heard.voice == voice)
    }

    /// Addresses that were heard though no SDP ever named them. Audio may come before the SDP does (RFC 3264 §5.1),
    /// so this can only be asked in the end.
    pub fn strangers(&self, named: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut strangers: Vec<SocketAddr> =
            self.heard.iter().map(|heard| heard.from).filter(|from| !named.contains(from)).collect();
        strangers.sort_unstable();
        strangers.dedup();
        strangers
    }

    /// Whether what came from each address was one stream (RFC 3550 §5.1).
    pub fn continuity(&self) -> Continuity {
        let mut continuity = Continuity::default();
        let mut sources: Vec<SocketAddr> = self.heard.iter().map(|heard| heard.from).collect();
        sources.sort_unstable();
        sources.dedup();
        for source in sources {
            let heard: Vec<&Heard> = self.heard.iter().filter(|heard| heard.from == source).collect();
            one_source(source, &heard, &mut continuity);
        }
        continuity
    }
}

/// What one ear heard, as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Continuity {
    /// How often numbers did not run with what was said.
    pub breaks: usize,
    /// Addresses that changed their SSRC.
    pub ssrcs: Vec<String>,
    /// An order that does not fit, and numbers used twice for different things.
    pub disorder: Vec<String>,
}

fn one_source(source: SocketAddr, heard: &[&Heard], found: &mut Continuity) {
    let first = heard[0];
    if let Some(other) = heard.iter().find(|other| other.ssrc != first.ssrc) {
        found.ssrcs.push(format!("{source} changed its SSRC from {:x} to {:x}", first.ssrc, other.ssrc));
    }
    // Numbers relative to the first packet; reordering may put some before it.
    let relative = |heard: &Heard| heard.sequence.wrapping_sub(first.sequence).cast_signed();
    let mut ordered: Vec<&Heard> = heard.to_vec();
    ordered.sort_by_key(|heard| relative(heard));
    for pair in ordered.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        let numbers = i64::from(relative(after)) - i64::from(relative(before));
        let time = after.timestamp.wrapping_sub(before.timestamp).cast_signed();
        if numbers == 0 {
            if (before.voice, before.index) != (after.voice, after.index) {
                found.disorder.push(format!("{source} used a number twice: {before:?}, {after:?}"));
            }
            continue;
        }
        if time <= 0 {
            found.disorder.push(format!("{source}: time runs backwards: {before:?}, {after:?}"));
        }
        let same_voice = before.voice == after.voice;
        // A prompt may be played again; nobody else says anything twice.
        if same_voice && after.index <= before.index && before.voice.speaker != PROMPT {
            found.disorder.push(format!("{source}: order is lost: {before:?}, {after:?}"));
        }
        let places = i64::from(after.index) - i64::from(before.index);
        let steady = same_voice && places == numbers && i64::from(time) == places * i64::from(after.step);
        if !steady {
            found.breaks += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::Law;

    const VOICE: Voice = Voice { call: 1, take: 0, speaker: 0 };

    fn heard(sequence: u16, index: u32) -> Heard {
        let timestamp = index * 160;
        let from = "192.0.2.1:4000".parse().unwrap();
        Heard { at: Tick::ZERO, from, ssrc: 1, sequence, timestamp, step: 160, voice: VOICE, index }
    }

    #[test]
    fn loss_reordering_and_duplicates_are_no_breaks() {
        let heard = [(65_534, 10), (0, 12), (65_535, 11), (0, 12), (3, 15)].map(|(n, i)| heard(n, i));
        let ear = Ear { heard: heard.to_vec(), ..Ear::default() };
        assert_eq!(ear.continuity(), Continuity::default());
    }

    #[test]
    fn a_gap_that_the_speaker_did_not_leave_is_a_break() {
        let ear = Ear { heard: vec![heard(5, 10), heard(6, 12)], ..Ear::default() };
        assert_eq!(ear.continuity(), Continuity { breaks: 1, ..Continuity::default() });
    }

    #[test]
    fn a_number_used_twice_and_another_ssrc_are_noticed() {
        let ear = Ear { heard: vec![heard(5, 10), heard(5, 11)], ..Ear::default() };
        assert_eq!(ear.continuity().disorder.len(), 1);
        let other = Heard { ssrc: 2, ..heard(6, 11) };
        let ear = Ear { heard: vec![heard(5, 10), other], ..Ear::default() };
        assert_eq!(ear.continuity().ssrcs.len(), 1);
    }

    #[test]
    fn a_packet_is_judged_by_its_source_its_type_and_its_samples() {
        let mut ear = Ear::default();
        let from: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let expected = Expectation { codecs: &[Codec::PCMU], event_payload_type: Some(101) };
        let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9];
        packet.extend(VOICE.packet(3, Law::Ulaw));
        assert_eq!(ear.hear(Tick::ZERO, from, &packet, &expected), Some((VOICE, 3)));
        assert_eq!(ear.strangers(&[from]), []);
        assert_eq!(ear.strangers(&[]), [from]);
        packet[1] = 8;
        assert_eq!(ear.hear(Tick::ZERO, from, &packet, &expected), None);
        packet[1] = 0;
        packet[40] ^= 1;
        assert_eq!(ear.hear(Tick::ZERO, from, &packet, &expected), None);
        assert_eq!((ear.complaints.len(), ear.unagreed.len()), (1, 1));
    }
}
