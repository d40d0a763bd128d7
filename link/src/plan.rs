//! What a stream is to do, said completely: a worker needs nothing but the last plan to rebuild a stream.

use std::net::SocketAddr;

use codecs::AudioCodec;

use crate::StreamId;

/// Payload types one leg can have mapped. Eight codecs and telephone-events in one answer are beyond any call
/// that was seen; what is above is left out of the map and therefore dropped.
pub const PAYLOAD_RULES_MAX: usize = 8;

/// Everything a worker must know of a stream. Small, `Copy`, and sent whole on every change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamPlan {
    /// Where the peer's SDP says it receives; `None`: nothing is sent and nothing from anywhere is delivered.
    pub remote: Option<SocketAddr>,
    /// Counts changes of the remote description. A new number arms source learning again.
    pub generation: u16,
    /// How another source than `remote` may prove itself.
    pub learning: Learning,
    /// Whether the header is made anew or not a byte is changed.
    pub mode: StreamMode,
    /// The stream, on the same worker, through which accepted packets leave.
    pub forward_to: Option<StreamId>,
    /// Received payload types that may pass, and what becomes of them. Not looked at in [`StreamMode::Opaque`].
    pub payload_map: PayloadMap,
    /// What prompts are encoded to for this stream's peer; `None`: nothing can be played.
    pub play_as: Option<AudioFormat>,
    /// Which ways audio may flow (hold).
    pub direction: Direction,
    /// RTCP of this stream.
    pub rtcp: RtcpPlan,
    /// Report [`Report::Silent`](crate::Report::Silent) after so long without an accepted packet; 0: never.
    pub silence_ms_max: u32,
}

/// Source learning (symmetric RTP), hardened. The signalled address always wins; another may take its place
/// only inside a bounded window, counted per source, and only while the signalled one has not been heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// Only the signalled address, ever.
    Off,
    /// Another source is taken after `packets` valid packets in a row from it, if the signalled address has been
    /// silent; the window closes after `window_packets` packets from anywhere.
    Window {
        /// Packets needed from one and the same source.
        packets: u8,
        /// Packets from all sources after which learning ends.
        window_packets: u8,
        /// Only sources whose IP address equals that of the signalled media or this one (the signalling
        /// peer's) may be learned at all when `same_host_only` is set.
        signalling_peer: Option<std::net::IpAddr>,
        /// Whether strangers' addresses are out of the question.
        same_host_only: bool,
    },
}

/// How a packet is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamMode {
    /// Own SSRC, continuous sequence numbers and timestamps; payload types by the map.
    Rewrite,
    /// Not a byte changes; any datagram passes.
    Opaque,
}

/// Which ways audio may flow between us and this stream's peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// We may send to the peer.
    pub send: bool,
    /// What the peer sends is taken.
    pub receive: bool,
}

impl Direction {
    /// Both ways.
    pub const BOTH: Direction = Direction { send: true, receive: true };
}

/// RTCP of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPlan {
    /// No RTCP socket; RTCP on the RTP port is dropped in [`StreamMode::Rewrite`].
    Off,
    /// Relayed unchanged between the partners' RTCP ports (RTP port + 1) to this address.
    Relay {
        /// Where the peer receives RTCP.
        remote: SocketAddr,
    },
    /// Relayed on the RTP port (RFC 5761).
    Mux,
}

/// One received payload type and what it becomes at the partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadRule {
    /// Payload type on arrival.
    pub from: u8,
    /// Payload type at the partner.
    pub to: u8,
    /// What is done to the payload.
    pub transform: Transform,
}

/// What is done to a payload on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transform {
    /// Nothing.
    #[default]
    Keep,
    /// µ-law to A-law, ITU-T G.711 table 3.
    UlawToAlaw,
    /// A-law to µ-law, ITU-T G.711 table 4.
    AlawToUlaw,
}

/// RTP clock of nearly every telephone codec, and of a map that says nothing else.
pub const CLOCK_RATE_HZ_DEFAULT: u32 = 8_000;

/// Up to [`PAYLOAD_RULES_MAX`] rules, in place, and the RTP clock that their payload types share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadMap {
    rules: [PayloadRule; PAYLOAD_RULES_MAX],
    len: u8,
    clock_rate_hz: u32,
}

impl Default for PayloadMap {
    fn default() -> PayloadMap {
        PayloadMap::EMPTY
    }
}

impl PayloadMap {
    /// Nothing passes.
    pub const EMPTY: PayloadMap = PayloadMap {
        rules: [PayloadRule { from: 0, to: 0, transform: Transform::Keep }; PAYLOAD_RULES_MAX],
        len: 0,
        clock_rate_hz: CLOCK_RATE_HZ_DEFAULT,
    };

    /// Adds a rule; false when the map is full or has one for `rule.from` already (the first stays).
    pub fn push(&mut self, rule: PayloadRule) -> bool {
        if self.find(rule.from).is_some() {
            return false;
        }
        let Some(free) = self.rules.get_mut(usize::from(self.len)) else { return false };
        *free = rule;
        self.len += 1;
        true
    }

    /// Says the RTP clock of the received audio, with which jitter and pauses are measured; 0 leaves it as it is.
    pub fn set_clock_rate_hz(&mut self, clock_rate_hz: u32) {
        if clock_rate_hz > 0 {
            self.clock_rate_hz = clock_rate_hz;
        }
    }

    /// RTP clock of the received audio.
    pub fn clock_rate_hz(&self) -> u32 {
        self.clock_rate_hz
    }

    /// The rule for a received payload type.
    pub fn find(&self, from: u8) -> Option<PayloadRule> {
        self.rules().iter().copied().find(|rule| rule.from == from)
    }

    /// All rules, in the order in which they were added.
    pub fn rules(&self) -> &[PayloadRule] {
        &self.rules[..usize::from(self.len)]
    }
}

/// The encoding a stream's peer wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// Codec; only those `codecs` can encode are ever put here.
    pub codec: AudioCodec,
    /// RTP payload type towards the peer.
    pub payload_type: u8,
    /// Audio per packet.
    pub ptime_ms: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_for_a_payload_type_stays_and_a_full_map_refuses() {
        let mut map = PayloadMap::default();
        assert!(map.push(PayloadRule { from: 0, to: 8, transform: Transform::UlawToAlaw }));
        assert!(!map.push(PayloadRule { from: 0, to: 0, transform: Transform::Keep }));
        for from in 1..PAYLOAD_RULES_MAX as u8 {
            assert!(map.push(PayloadRule { from, to: from, transform: Transform::Keep }));
        }
        assert!(!map.push(PayloadRule { from: 100, to: 100, transform: Transform::Keep }));
        assert_eq!(map.find(0).map(|rule| rule.to), Some(8));
        assert_eq!(map.find(100), None);
    }
}
