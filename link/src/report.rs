//! What a worker tells the control plane.

use std::net::SocketAddr;

use crate::{AddressId, PlaybackId, PortId, StreamId};

/// Something the control plane has to know.
#[derive(Debug)]
pub enum Report {
    /// A bound socket joined the stock. Only such a port is ever written into SDP.
    PortReady {
        /// Its name.
        port: PortId,
        /// Which of the configured addresses it is bound to.
        address: AddressId,
        /// Where it is bound.
        local: SocketAddr,
    },
    /// No further port of this address can be bound now: range used up, or the system refused.
    PortsExhausted {
        /// Which address.
        address: AddressId,
    },
    /// The first accepted packet since the stream was opened or its remote changed.
    FirstPacket {
        /// Which stream.
        stream: StreamId,
        /// Where it came from.
        from: SocketAddr,
    },
    /// The destination was changed to a source that proved itself.
    Learned {
        /// Which stream.
        stream: StreamId,
        /// The new destination.
        remote: SocketAddr,
    },
    /// Nothing acceptable came for the plan's `silence_ms_max`. Said once per silence.
    Silent {
        /// Which stream.
        stream: StreamId,
        /// How long, by now.
        silence_ms: u32,
    },
    /// A prompt came to its end, was stopped, or was replaced.
    PlaybackEnded {
        /// Which stream.
        stream: StreamId,
        /// Which playing.
        playback: PlaybackId,
        /// Whether it was played to its end.
        complete: bool,
        /// How much of it was sent.
        played_ms: u32,
    },
    /// Answer to a query.
    Statistics {
        /// Which stream.
        stream: StreamId,
        /// Its figures so far.
        statistics: StreamStatistics,
    },
    /// A stream has ended; its port is resting.
    Closed {
        /// Which stream.
        stream: StreamId,
        /// Its final figures.
        statistics: StreamStatistics,
    },
    /// A stream was taken out of this worker.
    Released {
        /// Which stream.
        stream: StreamId,
        /// All that another worker needs to go on.
        state: Box<crate::state::StreamState>,
    },
    /// A command named something that is not here.
    Refused {
        /// What the command spoke of.
        stream: StreamId,
        /// Why not.
        why: Refusal,
    },
    /// The worker's load, about once a second while it has work.
    Load {
        /// Thousandths of wall time the worker was busy.
        busy_per_mille: u16,
        /// Streams it has.
        streams: u32,
        /// What went wrong since the worker began that belongs to no single stream.
        counters: WorkerCounters,
    },
    /// The worker has ended.
    Stopped,
}

/// Why a worker did not do as told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No stream of that name is here.
    #[error("no such stream on this worker")]
    UnknownStream,
    /// The name is taken.
    #[error("a stream of that name is here already")]
    StreamExists,
    /// The port is not in this worker's stock.
    #[error("no such port in this worker's stock")]
    UnknownPort,
    /// The table is full.
    #[error("the worker has as many streams as it may have")]
    TooManyStreams,
    /// The RTCP port next to the RTP port could not be bound.
    #[error("the RTCP port could not be bound")]
    RtcpPortTaken,
}

/// Faults of a worker's back end since it began. They belong to no stream, or the stream cannot be named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerCounters {
    /// Datagrams dropped because they did not fit a receive buffer: never cut, never passed on.
    pub dropped_oversized: u64,
    /// Datagrams dropped because they came after their socket's stream had gone, or without a usable source.
    pub dropped_unowned: u64,
    /// Receives that ended with an error of the socket (mostly ICMP) and were armed again.
    pub receive_errors: u64,
    /// Receives that ended because all buffers were in use, and were armed again: the sign of an overload.
    pub buffers_exhausted: u64,
    /// Packets that the system did not take.
    pub send_errors: u64,
    /// Sockets that could not be opened or bound.
    pub bind_errors: u64,
    /// Reports of figures left out because the control plane did not fetch its reports.
    pub reports_dropped: u64,
}

/// Figures of one stream, both ways. Counters never wrap in a call's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStatistics {
    /// Packets accepted from the peer.
    pub received_packets: u64,
    /// Their payload, without headers.
    pub received_bytes: u64,
    /// Packets sent to the peer.
    pub sent_packets: u64,
    /// Their payload, without headers.
    pub sent_bytes: u64,
    /// Packets that never came, RFC 3550 §A.3: expected less received; negative with duplicates.
    pub lost_packets: i64,
    /// Interarrival jitter, RFC 3550 §6.4.1, in microseconds.
    pub jitter_us: u32,
    /// Largest jitter seen, in microseconds.
    pub jitter_us_max: u32,
    /// Dropped: came from an address that neither SDP named nor learning proved.
    pub dropped_foreign: u64,
    /// Dropped: not RTP where RTP was expected.
    pub dropped_malformed: u64,
    /// Dropped: a payload type that was not negotiated.
    pub dropped_payload_type: u64,
    /// Dropped: the partner was missing, on hold or being played to.
    pub dropped_undeliverable: u64,
    /// Dropped: the system did not take the packet.
    pub dropped_send_failed: u64,
    /// RTCP packets relayed from this peer.
    pub rtcp_packets: u64,
}
