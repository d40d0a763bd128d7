//! What the control plane asks of a worker.

use std::sync::Arc;

use crate::{PlaybackId, PortId, StreamId, StreamPlan};

/// A request to a worker. Each is answered by a report where the control plane has to know; none can fail in a
/// way that leaves a socket behind.
#[derive(Debug)]
pub enum Command {
    /// Makes a stream of a port that the worker had reported as ready.
    Open {
        /// The new stream's name.
        stream: StreamId,
        /// A port from this worker's stock.
        port: PortId,
        /// What it is to do.
        plan: StreamPlan,
    },
    /// Replaces a stream's plan.
    Update {
        /// Which stream.
        stream: StreamId,
        /// The whole new plan.
        plan: StreamPlan,
    },
    /// Ends a stream. Answered by [`Report::Closed`](crate::Report::Closed); its port rests, then is bound anew.
    Close {
        /// Which stream.
        stream: StreamId,
    },
    /// Asks for [`Report::Statistics`](crate::Report::Statistics).
    Query {
        /// Which stream.
        stream: StreamId,
    },
    /// Plays a prompt to the stream's peer. While it plays, what is forwarded to this stream is dropped and
    /// counted. A second prompt replaces the first, whose end is reported.
    Play {
        /// Which stream.
        stream: StreamId,
        /// Name of this playing.
        playback: PlaybackId,
        /// What to play.
        prompt: Arc<Prompt>,
        /// How often; 0: until stopped.
        times: u32,
    },
    /// Ends a playing early. Answered by [`Report::PlaybackEnded`](crate::Report::PlaybackEnded).
    StopPlay {
        /// Which stream.
        stream: StreamId,
        /// Which playing; another one that runs by now is left alone.
        playback: PlaybackId,
    },
    /// Ends a stream's receive, drains, and answers with [`Report::Released`](crate::Report::Released).
    Release {
        /// Which stream.
        stream: StreamId,
    },
    /// Takes up a stream that another worker released.
    Adopt {
        /// Its name, unchanged.
        stream: StreamId,
        /// All that it was.
        state: Box<crate::state::StreamState>,
        /// What it is to do here.
        plan: StreamPlan,
    },
    /// Gives back a reported port that no stream was made of.
    ReturnPort {
        /// Which port.
        port: PortId,
    },
    /// Two commands between which no packet passes. The two legs of a call that leave a worker together, or come
    /// together, are told so: otherwise what one leg hears while the other is away has nowhere to go and is lost.
    Both(Box<[Command; 2]>),
    /// Ends all streams and the worker.
    Stop,
}

/// A prompt that fits memory: decoded once, shared by all that play it.
#[derive(Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Linear samples at 8,000 Hz, one channel.
    pub samples: Vec<i16>,
}

impl Prompt {
    /// Samples per second of every prompt.
    pub const RATE_HZ: u32 = 8_000;
}
