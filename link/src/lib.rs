//! The border between the control plane and the media workers.
//!
//! Control and workers share nothing but two queues per worker: [`Command`]s down, [`Report`]s up. Ids cross the
//! border, references never do, apart from immutable prompts and moved stream states.

pub mod command;
pub mod ids;
pub mod plan;
pub mod report;
pub mod spsc;
pub mod state;

pub use command::{Command, Prompt};
pub use ids::{AddressId, PlaybackId, PortId, StreamId, WorkerId};
pub use plan::{
    AudioFormat, Direction, Learning, PAYLOAD_RULES_MAX, PayloadMap, PayloadRule, RtcpPlan, StreamMode,
    StreamPlan, Transform,
};
pub use report::{Refusal, Report, StreamStatistics, WorkerCounters};
pub use state::{Socket, StreamState};
