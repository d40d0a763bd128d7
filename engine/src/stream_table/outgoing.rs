//! Continuity of what one peer receives (RFC 3550 §5.1), whoever speaks to it.
//!
//! ```text
//!   source A  seq 10 11 12 · 14   ts 800 960 1120 · 1440
//!                 │ offset found when A began; the same for all of A
//!   we send      71 72 73 · 75         one SSRC, gaps and reordering as they came
//!   source B  seq  5  6                a new source, a restart, a prompt before:
//!   we send      76 77                 goes on where the last ended, marker set, time by the clock
//! ```
//!
//! Within one source only an offset is added, so that loss, reordering and duplicates pass as they are. Where the source
//! changes, its numbers jump beyond what a network does, or its timestamps jump backwards, new offsets are found. No
//! number is ever given to packets of two sources: what a new source sent before the packet by which it began, and what
//! comes after that, has no number left and is dropped.

use clock::Tick;
use link::StreamId;
use link::state::OutgoingState;

use super::random::Random;
use crate::rtp::RtpHeader;

/// Lead of a sequence number up to which packets in between count as lost: a minute of 20 ms frames, `MAX_DROPOUT` of RFC
/// 3550 §A.1.
const SEQUENCE_LEAD_MAX: i16 = 3_000;

/// Lag of a sequence number up to which a packet counts as late or duplicated. More than `MAX_MISORDER` of RFC 3550 §A.1,
/// which counts; here the price of too little is an order that is lost.
const SEQUENCE_LAG_MAX: i16 = 1_000;

/// How far timestamps may lie behind the newest one sent without being a jump, in clock units. Telephone-events keep the
/// timestamp of their beginning for up to 65,535 units (RFC 4733 §2.3.3) and may come in a row.
const TIMESTAMP_LAG_MAX: u32 = 1 << 18;

/// Largest distance of two packets' timestamps that can be the length of a packet, in seconds' parts: 120 ms.
const STEP_PARTS: u32 = 8;

/// First sequence numbers stay below this, so that a receiver of SRTP cannot lose count (RFC 3711 §3.3.1).
const FIRST_SEQUENCE_MAX: u32 = 1 << 15;

const _: () = assert!(SEQUENCE_LAG_MAX < SEQUENCE_LEAD_MAX);

/// What has been sent to one peer, and how the present source is mapped onto it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    ssrc: u32,
    /// Newest sequence number sent; before anything was sent, the one before the first.
    sequence_number: u16,
    /// Newest timestamp sent; before anything was sent, the first.
    timestamp: u32,
    /// When the newest packet was sent; `None` before the first.
    sent_at: Option<Tick>,
    /// Distance of timestamps from packet to packet, once one was seen.
    step: Option<u32>,
    following: Option<Following>,
    /// The source before, and the last sequence number that was its own: packets of it may still come late.
    previous: Option<(Following, u16)>,
}

/// A source and what is added to its numbers.
#[derive(Clone, Copy, Debug)]
struct Following {
    /// The stream it comes by; unknown after a move, and then any.
    stream: Option<StreamId>,
    ssrc: u32,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// How many numbers behind the newest one are its own, up to [`SEQUENCE_LAG_MAX`].
    late_max: u16,
}

impl Following {
    fn is(&self, stream: StreamId, ssrc: u32) -> bool {
        self.ssrc == ssrc && self.stream.is_none_or(|known| known == stream)
    }
}

impl Outgoing {
    /// A stream that has sent nothing.
    pub(super) fn new(random: &mut Random) -> Outgoing {
        Outgoing {
            ssrc: random.number(),
            sequence_number: random.below(FIRST_SEQUENCE_MAX) as u16,
            timestamp: random.number(),
            sent_at: None,
            step: None,
            following: None,
            previous: None,
        }
    }

    /// Goes on where another worker left off.
    pub(super) fn from_state(now: Tick, state: &OutgoingState) -> Outgoing {
        let following = state.following.map(|(ssrc, sequence_offset, timestamp_offset)| Following {
            stream: None,
            ssrc,
            sequence_offset,
            timestamp_offset,
            late_max: state.late_max.min(SEQUENCE_LAG_MAX.unsigned_abs()),
        });
        Outgoing {
            ssrc: state.ssrc,
            sequence_number: state.sequence_number,
            timestamp: state.timestamp,
            sent_at: state.started.then_some(now),
            step: None,
            following,
            previous: None,
        }
    }

    /// What another worker needs to go on.
    pub(super) fn state(&self) -> OutgoingState {
        OutgoingState {
            ssrc: self.ssrc,
            sequence_number: self.sequence_number,
            timestamp: self.timestamp,
            following: self
                .following
                .map(|source| (source.ssrc, source.sequence_offset, source.timestamp_offset)),
            late_max: self.following.map_or(0, |source| source.late_max),
            started: self.sent_at.is_some(),
        }
    }

    /// Forgets the source: what it sends next goes on without a gap. For pauses that are our own doing.
    pub(super) fn break_off(&mut self) {
        self.following = None;
        self.previous = None;
    }

    /// The header under which a packet of a source leaves; `None`: another source has had its number. `clock_rate_hz` is
    /// that of the source.
    pub(super) fn relay(
        &mut self,
        now: Tick,
        stream: StreamId,
        header: RtpHeader,
        clock_rate_hz: u32,
    ) -> Option<RtpHeader> {
        if let Some(source) = self.following.filter(|source| source.is(stream, header.ssrc)) {
            let source = Following { stream: Some(stream), ..source };
            match self.lead(source, header.sequence_number, self.sequence_number) {
                Some(lead) if lead > 0 => return Some(self.follow(now, source, header, clock_rate_hz)),
                Some(lead) => return self.number_late(source, header, lead),
                None => (),
            }
        }
        if let Some((source, last)) = self.previous.filter(|(source, _)| source.is(stream, header.ssrc))
            && let Some(lead @ ..=0) = self.lead(source, header.sequence_number, last)
        {
            return self.number_late(source, header, lead);
        }
        self.previous = self.following.map(|source| (source, self.sequence_number));
        // Before the very first packet all numbers are free.
        let late_max = if self.sent_at.is_none() { SEQUENCE_LAG_MAX.unsigned_abs() } else { 0 };
        let began = self.begin(now, header.payload_type, clock_rate_hz);
        self.following = Some(Following {
            stream: Some(stream),
            ssrc: header.ssrc,
            sequence_offset: began.sequence_number.wrapping_sub(header.sequence_number),
            timestamp_offset: began.timestamp.wrapping_sub(header.timestamp),
            late_max,
        });
        Some(began)
    }

    /// The header of the first packet after a change: no gap in sequence, timestamps by the time that has passed.
    pub(super) fn begin(&mut self, now: Tick, payload_type: u8, clock_rate_hz: u32) -> RtpHeader {
        self.sequence_number = self.sequence_number.wrapping_add(1);
        if let Some(sent_at) = self.sent_at {
            self.timestamp = self.timestamp.wrapping_add(self.advance(now, sent_at, clock_rate_hz));
        }
        self.sent_at = Some(now);
        self.header(true, payload_type)
    }

    /// The header of a packet of our own that comes `samples` after the one before.
    pub(super) fn go_on(&mut self, now: Tick, payload_type: u8, samples: u32) -> RtpHeader {
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(samples);
        self.sent_at = Some(now);
        self.step = Some(samples);
        self.header(false, payload_type)
    }

    /// How far ahead of `newest` a packet of `source` would be sent; `None` when that is a jump.
    fn lead(&self, source: Following, sequence_number: u16, newest: u16) -> Option<i16> {
        let sequence_number = sequence_number.wrapping_add(source.sequence_offset);
        let lead = sequence_number.wrapping_sub(newest) as i16;
        (-SEQUENCE_LAG_MAX..=SEQUENCE_LEAD_MAX).contains(&lead).then_some(lead)
    }

    /// A packet of the source that is being followed, newer than all before.
    fn follow(
        &mut self,
        now: Tick,
        mut source: Following,
        header: RtpHeader,
        clock_rate_hz: u32,
    ) -> RtpHeader {
        let sequence_number = header.sequence_number.wrapping_add(source.sequence_offset);
        let lead = sequence_number.wrapping_sub(self.sequence_number);
        let mut timestamp = header.timestamp.wrapping_add(source.timestamp_offset);
        let ahead = timestamp.wrapping_sub(self.timestamp) as i32;
        if ahead < 0 && ahead.unsigned_abs() > TIMESTAMP_LAG_MAX {
            let sent_at = self.sent_at.unwrap_or(now);
            timestamp = self.timestamp.wrapping_add(self.advance(now, sent_at, clock_rate_hz));
            source.timestamp_offset = timestamp.wrapping_sub(header.timestamp);
            self.timestamp = timestamp;
        } else if ahead > 0 {
            self.timestamp = timestamp;
            self.step = step(lead, ahead, clock_rate_hz).or(self.step);
        }
        self.sequence_number = sequence_number;
        self.sent_at = Some(now);
        source.late_max = source.late_max.saturating_add(lead).min(SEQUENCE_LAG_MAX.unsigned_abs());
        self.following = Some(source);
        RtpHeader { sequence_number, timestamp, ssrc: self.ssrc, ..header }
    }

    /// A packet that others of its source have overtaken, or a copy of the newest one.
    fn number_late(&self, source: Following, header: RtpHeader, lead: i16) -> Option<RtpHeader> {
        (lead.unsigned_abs() <= source.late_max).then_some(RtpHeader {
            sequence_number: header.sequence_number.wrapping_add(source.sequence_offset),
            timestamp: header.timestamp.wrapping_add(source.timestamp_offset),
            ssrc: self.ssrc,
            ..header
        })
    }

    /// How much later in the stream's time it is now than at its newest packet; at least one packet's length.
    fn advance(&self, now: Tick, sent_at: Tick, clock_rate_hz: u32) -> u32 {
        let elapsed = clock_units(now, clock_rate_hz).wrapping_sub(clock_units(sent_at, clock_rate_hz));
        let step = self.step.unwrap_or(clock_rate_hz / 50);
        // More than 2³¹ units is a pause of hours; any value is as good as another then.
        elapsed.max(step)
    }

    fn header(&self, marker: bool, payload_type: u8) -> RtpHeader {
        RtpHeader {
            marker,
            payload_type,
            sequence_number: self.sequence_number,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        }
    }
}

/// The length of a packet, if two that followed upon one another can tell.
fn step(lead: u16, ahead: i32, clock_rate_hz: u32) -> Option<u32> {
    let ahead = ahead.unsigned_abs();
    (lead == 1 && ahead <= clock_rate_hz / STEP_PARTS).then_some(ahead)
}

/// A point in time in units of an RTP clock, modulo 2³². Only differences mean something.
pub(super) fn clock_units(at: Tick, clock_rate_hz: u32) -> u32 {
    const NANOS_PER_SECOND: u64 = 1_000_000_000;
    let (seconds, nanos) = (at.as_nanos() / NANOS_PER_SECOND, at.as_nanos() % NANOS_PER_SECOND);
    let rate = u64::from(clock_rate_hz);
    // 2³² · 10⁹ fits 64 bits; the product of the seconds may wrap, which the modulus allows.
    (seconds.wrapping_mul(rate).wrapping_add(nanos * rate / NANOS_PER_SECOND)) as u32
}

#[cfg(test)]
mod tests;
