//! What was received of one peer: RFC 3550 §A.1 (sequence numbers), §A.3 (loss) and §A.8 (jitter).

use clock::Tick;
use link::StreamStatistics;
use link::state::IncomingState;

use super::outgoing::clock_units;
use super::shell::DropReason;
use crate::rtp::RtpHeader;

/// Lead up to which packets in between count as lost (RFC 3550 §A.1).
const MAX_DROPOUT: u16 = 3_000;

/// Lag up to which a packet counts as late (RFC 3550 §A.1).
const MAX_MISORDER: u16 = 100;

/// The peer's numbering, and what follows from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Incoming {
    state: IncomingState,
    /// Whether `state.transit` is of this clock.
    has_transit: bool,
    last_timestamp: u32,
    /// The number that would prove a restart of the numbering.
    restart: Option<u16>,
    /// Lost of what came before: other SSRCs, earlier numberings.
    lost_before: i64,
    clock_rate_hz: u32,
    /// Largest `state.jitter_scaled`; microseconds are only made for a report.
    jitter_scaled_max: u32,
    /// Largest jitter before a move.
    jitter_us_max: u32,
}

impl Incoming {
    /// Goes on where another worker left off. Its clock may have another origin, so the first packet says nothing of
    /// jitter.
    pub(super) fn from_state(state: &IncomingState, statistics: &StreamStatistics) -> Incoming {
        let mut incoming =
            Incoming { state: *state, jitter_us_max: statistics.jitter_us_max, ..Incoming::default() };
        incoming.lost_before = statistics.lost_packets - incoming.lost_now();
        incoming
    }

    /// What another worker needs to go on.
    pub(super) fn state(&self) -> IncomingState {
        self.state
    }

    /// SSRC of the peer's newest packet.
    pub(super) fn ssrc(&self) -> Option<u32> {
        self.state.ssrc
    }

    /// Counts a packet of the peer.
    pub(super) fn update(&mut self, now: Tick, header: RtpHeader, clock_rate_hz: u32) {
        self.clock_rate_hz = clock_rate_hz;
        if self.state.ssrc != Some(header.ssrc) {
            self.begin(header.ssrc, header.sequence_number);
        } else if !self.count(header.sequence_number) {
            return;
        }
        self.state.packets = self.state.packets.wrapping_add(1);
        self.measure(now, header.timestamp, clock_rate_hz);
    }

    /// Fills in loss and jitter.
    pub(super) fn report(&self, statistics: &mut StreamStatistics) {
        statistics.lost_packets = self.lost_before + self.lost_now();
        statistics.jitter_us = self.jitter_us(self.state.jitter_scaled);
        statistics.jitter_us_max = self.jitter_us_max.max(self.jitter_us(self.jitter_scaled_max));
    }

    /// A new numbering: `init_seq` of RFC 3550 §A.1.
    fn begin(&mut self, ssrc: u32, sequence_number: u16) {
        self.lost_before += self.lost_now();
        let sequence = u32::from(sequence_number);
        self.state = IncomingState {
            ssrc: Some(ssrc),
            base_sequence: sequence,
            highest_sequence: sequence,
            packets: 0,
            transit: 0,
            // The network has not become another because the source has.
            jitter_scaled: self.state.jitter_scaled,
        };
        self.has_transit = false;
        self.restart = None;
    }

    /// `update_seq` of RFC 3550 §A.1, without its probation: the source address has been checked. False: the packet is
    /// out of all order, and not counted unless the next one follows it.
    fn count(&mut self, sequence_number: u16) -> bool {
        let lead = sequence_number.wrapping_sub(self.state.highest_sequence as u16);
        if lead < MAX_DROPOUT {
            self.state.highest_sequence = self.state.highest_sequence.wrapping_add(u32::from(lead));
        } else if lead <= u16::MAX - MAX_MISORDER {
            if self.restart != Some(sequence_number) {
                self.restart = Some(sequence_number.wrapping_add(1));
                return false;
            }
            let ssrc = self.state.ssrc.unwrap_or_default();
            self.begin(ssrc, sequence_number);
        }
        true
    }

    /// RFC 3550 §A.8. Packets of one instant (telephone-events, the packets of a picture) say nothing of the network.
    fn measure(&mut self, now: Tick, timestamp: u32, clock_rate_hz: u32) {
        if self.has_transit && timestamp == self.last_timestamp {
            return;
        }
        self.last_timestamp = timestamp;
        let transit = clock_units(now, clock_rate_hz).wrapping_sub(timestamp) as i32;
        let before = self.state.transit as i32;
        self.state.transit = i64::from(transit);
        if !self.has_transit {
            self.has_transit = true;
            return;
        }
        let difference = transit.wrapping_sub(before).unsigned_abs();
        // A jump of the timestamps is not jitter: more than a second of deviation is left out.
        if difference > clock_rate_hz {
            return;
        }
        let scaled = self.state.jitter_scaled;
        self.state.jitter_scaled = scaled + difference - ((scaled + 8) >> 4);
        self.jitter_scaled_max = self.jitter_scaled_max.max(self.state.jitter_scaled);
    }

    /// RFC 3550 §A.3: expected less received, of the present numbering.
    fn lost_now(&self) -> i64 {
        if self.state.ssrc.is_none() {
            return 0;
        }
        let expected = i64::from(self.state.highest_sequence) - i64::from(self.state.base_sequence) + 1;
        expected - i64::from(self.state.packets)
    }

    fn jitter_us(&self, scaled: u32) -> u32 {
        let rate = u64::from(self.clock_rate_hz.max(1));
        u32::try_from(u64::from(scaled >> 4) * 1_000_000 / rate).unwrap_or(u32::MAX)
    }
}

/// Counts a dropped packet with the stream it came for.
pub(super) fn count_drop(statistics: &mut StreamStatistics, reason: DropReason) {
    let counter = match reason {
        DropReason::Foreign => &mut statistics.dropped_foreign,
        DropReason::Malformed | DropReason::Truncated | DropReason::Rtcp => &mut statistics.dropped_malformed,
        DropReason::PayloadType => &mut statistics.dropped_payload_type,
        DropReason::NoStream
        | DropReason::OnHold
        | DropReason::NoPartner
        | DropReason::PartnerBusy
        | DropReason::NoDestination
        | DropReason::Unproven
        | DropReason::Late => &mut statistics.dropped_undeliverable,
    };
    *counter += 1;
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const RATE_HZ: u32 = 8_000;

    /// Feeds packets `(sequence number, ssrc)` 20 ms apart, each as late as `late_us` says.
    fn feed(incoming: &mut Incoming, packets: &[(u16, u32)], late_us: &[u64]) -> StreamStatistics {
        for (count, &(sequence_number, ssrc)) in packets.iter().enumerate() {
            let late = late_us.get(count).copied().unwrap_or(0);
            let now = Tick::from_millis(20 * count as u64) + Duration::from_micros(late);
            let header =
                RtpHeader { sequence_number, ssrc, timestamp: 160 * count as u32, ..RtpHeader::default() };
            incoming.update(now, header, RATE_HZ);
        }
        let mut statistics = StreamStatistics::default();
        incoming.report(&mut statistics);
        statistics
    }

    #[test]
    fn loss_is_expected_less_received_across_a_wrap_and_duplicates_make_it_negative() {
        let mut incoming = Incoming::default();
        let wrap = [65_533, 65_534, 1, 2].map(|number| (number, 7));
        assert_eq!(feed(&mut incoming, &wrap, &[]).lost_packets, 2);
        // The two come after all, and one comes twice.
        let late = [65_535, 0, 0].map(|number| (number, 7));
        assert_eq!(feed(&mut incoming, &late, &[]).lost_packets, -1);
    }

    #[test]
    fn loss_of_an_earlier_source_is_kept_and_a_change_of_source_is_no_loss() {
        let mut incoming = Incoming::default();
        assert_eq!(feed(&mut incoming, &[(10, 1), (12, 1), (40_000, 2), (40_001, 2)], &[]).lost_packets, 1);
    }

    #[test]
    fn a_restart_counts_from_its_second_packet_and_a_stray_number_not_at_all() {
        let mut incoming = Incoming::default();
        assert_eq!(feed(&mut incoming, &[(10, 1), (30_000, 1), (11, 1), (12, 1)], &[]).lost_packets, 0);
        assert_eq!(feed(&mut incoming, &[(40_000, 1), (40_001, 1), (40_002, 1)], &[]).lost_packets, 0);
        assert_eq!(incoming.state().packets, 2, "of the new numbering");
    }

    #[test]
    fn jitter_is_that_of_the_rfc() {
        let packets: Vec<_> = (0..200).map(|number| (number, 1)).collect();
        let steady = feed(&mut Incoming::default(), &packets, &[700; 200]);
        assert_eq!((steady.jitter_us, steady.jitter_us_max), (0, 0));
        // Alternately on time and 10 ms late: |D| is always 10 ms, and the mean comes to it.
        let late: Vec<u64> = (0..200).map(|number| (number % 2) * 10_000).collect();
        let shaken = feed(&mut Incoming::default(), &packets, &late);
        assert!((9_000..=10_000).contains(&shaken.jitter_us), "{}", shaken.jitter_us);
        assert!(shaken.jitter_us_max >= shaken.jitter_us);
    }

    #[test]
    fn a_timestamp_jump_and_an_event_are_not_jitter() {
        let mut incoming = Incoming::default();
        let mut at = |now_ms: u64, sequence_number: u16, timestamp: u32| {
            let header = RtpHeader { sequence_number, timestamp, ssrc: 1, ..RtpHeader::default() };
            incoming.update(Tick::from_millis(now_ms), header, RATE_HZ);
            let mut statistics = StreamStatistics::default();
            incoming.report(&mut statistics);
            statistics.jitter_us
        };
        at(0, 1, 0);
        at(20, 2, 160);
        assert_eq!(at(40, 3, 160), 0, "the same instant");
        assert_eq!(at(60, 4, 900_000), 0, "a jump");
        assert_eq!(at(80, 5, 900_160), 0);
    }

    #[test]
    fn figures_go_on_after_a_move() {
        let mut incoming = Incoming::default();
        let before = feed(&mut incoming, &[(10, 1), (12, 1), (40_000, 2), (40_002, 2)], &[0, 3_000, 0, 0]);
        assert_eq!(before.lost_packets, 2);
        let mut moved = Incoming::from_state(&incoming.state(), &before);
        let after = feed(&mut moved, &[(40_003, 2), (40_005, 2)], &[]);
        assert_eq!(after.lost_packets, 3);
        assert_eq!(after.jitter_us_max, before.jitter_us_max);
    }
}
