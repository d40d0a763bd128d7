//! The media path: stream table, RTP, and the io_uring and mmsg back ends that feed it.
//!
//! [`start()`] is the only thing that touches the world: it starts the workers. [`StreamTable`] decides about media and
//! is pure.

mod address;
mod bell;
#[allow(unsafe_code)]
mod mmsg;
mod mover;
mod pace;
#[allow(unsafe_code)]
mod ring;
pub mod rtcp;
pub mod rtp;
pub mod settings;
pub mod slot;
mod socket;
pub mod start;
pub mod stream_table;
mod worker;

pub use mover::BackEnd;
pub use ring::RingError;
pub use settings::{BackEndChoice, MediaSettings, SettingsError};
pub use slot::Slot;
pub use start::{Engine, EngineError, WorkerLink, start};
pub use stream_table::StreamTable;
