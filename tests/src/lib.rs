//! Whole-system scenarios in one process under one seed, and end-to-end tests against real programs.
//!
//! A scenario builds a [`Setup`], makes a [`World`] of it, lets phones call by their [`script`]s and runs it; the world's
//! audit then looks whether anything is left or wrong. What a test asserts beyond that is the scenario's own point.

pub mod chance;
pub mod ear;
pub mod fault;
pub mod media_worker;
pub mod model;
pub mod network;
pub mod phone;
pub mod random;
pub mod script;
pub mod setup;
pub mod sip;
pub mod streams;
pub mod voice;
pub mod world;

pub use fault::Fault;
pub use network::{Passing, Quality};
pub use phone::{Carrier, End, Role};
pub use script::{Codec, Do, OnCancel, Script, Way, When, ms, s};
pub use setup::{PROMPT_LENGTH, PROMPT_PACKETS, Setup, dial, phone_address};
pub use world::World;
