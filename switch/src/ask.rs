//! What the switch cannot know by itself: asked by an event, answered by an event, always with a time limit.

use core::time::Duration;
use std::net::IpAddr;
use std::sync::Arc;

use link::Prompt;
use signaling::QueryId;

/// How long a prompt may take to load before the playing of it has failed.
pub const PROMPT_WAIT_MAX: Duration = Duration::from_secs(5);

/// A question to the service thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Addresses of a host name, for `signaling`.
    Resolve {
        /// What signaling called its question.
        query: QueryId,
        /// The name.
        host: String,
    },
    /// A sound file, decoded.
    Prompt {
        /// Its path, with `sound_prefix` put in front already.
        path: String,
    },
}

/// The answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Ask::Resolve`]; an empty list is as good as a failure.
    Resolved(Vec<IpAddr>),
    /// To [`Ask::Prompt`]: the samples, or why there are none.
    Prompt(Result<Arc<Prompt>, String>),
}

/// An order from outside: an operator, a script, a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Sends a channel to another extension.
    Transfer {
        /// Which channel.
        uuid: String,
        /// Where to.
        destination: String,
        /// By which dialplan; `None`: XML.
        dialplan: Option<String>,
        /// In which context; `None`: its own.
        context: Option<String>,
    },
    /// Ends a channel.
    Hangup {
        /// Which channel.
        uuid: String,
        /// Why.
        cause: crate::Cause,
    },
    /// Ends all channels.
    HangupAll {
        /// Why.
        cause: crate::Cause,
    },
    /// Parks a channel.
    Park {
        /// Which channel.
        uuid: String,
    },
    /// Moves a channel's audio, and its partner's, to another media worker.
    MoveMedia {
        /// Which channel.
        uuid: String,
        /// Where to.
        worker: link::WorkerId,
    },
    /// Runs an application on top of what a channel does.
    Execute {
        /// Which channel.
        uuid: String,
        /// Application.
        application: String,
        /// Its data, not expanded yet.
        data: String,
    },
}

/// Why an order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefused {
    /// There is no such channel, or it has ended.
    #[error("no such channel")]
    NoSuchChannel,
}
