//! A stream at rest: all that another worker, or another process, needs to go on with it without a gap.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use crate::{AddressId, PlaybackId, PortId, Prompt, StreamPlan, StreamStatistics};

/// A socket on its way from one owner to the next.
pub type Socket = OwnedFd;

/// A stream between two workers.
#[derive(Debug)]
pub struct StreamState {
    /// The RTP socket; `None` in a simulated world, where sockets are numbers.
    pub socket: Option<Socket>,
    /// The RTCP socket, where there is one.
    pub rtcp_socket: Option<Socket>,
    /// Where it is bound.
    pub local: SocketAddr,
    /// Which of the configured addresses that is.
    pub address: AddressId,
    /// The port's name at the worker it came from, to which the number goes back in the end.
    pub port: PortId,
    /// The plan it followed last.
    pub plan: StreamPlan,
    /// The destination that holds now: signalled, or learned.
    pub destination: Option<SocketAddr>,
    /// Whether the source window is still open, and what it has counted.
    pub learning: LearningState,
    /// What has been sent to the peer.
    pub outgoing: OutgoingState,
    /// What has been received from the peer.
    pub incoming: IncomingState,
    /// A prompt that is being played.
    pub playback: Option<PlaybackState>,
    /// Figures so far.
    pub statistics: StreamStatistics,
}

/// Source learning in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearningState {
    /// No other source can be learned until the plan's generation changes.
    pub closed: bool,
    /// Packets seen in the window.
    pub seen: u8,
    /// The candidate and its run of packets.
    pub candidate: Option<(SocketAddr, u8)>,
}

/// Continuity of what is sent: RFC 3550 §5.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutgoingState {
    /// Our SSRC towards the peer.
    pub ssrc: u32,
    /// Last sequence number sent.
    pub sequence_number: u16,
    /// Last timestamp sent.
    pub timestamp: u32,
    /// Source whose numbering is being followed: SSRC, and the offsets added to its numbers.
    pub following: Option<(u32, u16, u32)>,
    /// How many numbers behind the newest one belong to that source; what is further behind was another's.
    pub late_max: u16,
    /// Whether anything has been sent.
    pub started: bool,
}

/// RFC 3550 appendix A.1 and A.8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IncomingState {
    /// SSRC of the peer.
    pub ssrc: Option<u32>,
    /// First extended sequence number.
    pub base_sequence: u32,
    /// Highest extended sequence number.
    pub highest_sequence: u32,
    /// Packets received of this SSRC.
    pub packets: u32,
    /// Relative transit time of the last packet, in timestamp units.
    pub transit: i64,
    /// Jitter times 16, in timestamp units.
    pub jitter_scaled: u32,
}

/// A prompt part of which has been played.
#[derive(Debug)]
pub struct PlaybackState {
    /// Its name.
    pub playback: PlaybackId,
    /// What is played.
    pub prompt: std::sync::Arc<Prompt>,
    /// Next sample.
    pub position_samples: usize,
    /// Rounds left; 0: for ever.
    pub rounds_left: u32,
    /// Nanoseconds until the next packet is due.
    pub next_in_ns: u64,
    /// Samples sent so far, rounds before this one included.
    pub sent_samples: u64,
}
