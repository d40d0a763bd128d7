//! The shell around the switch: command line, files, sockets, threads and the clock.
//!
//! ```text
//!   run ─▶ settings ─▶ engine (media workers) ─▶ sockets ─▶ service thread ─▶ control loop
//!                                                                  ▲               │
//!                                                                  └─ asks, records┘
//! ```
//!
//! Nothing is decided here that concerns a call: bytes, time and answers are carried to `switch`, and what it wants
//! done is done.

pub mod batch;
pub mod check;
pub mod cli;
pub mod events;
pub mod fence;
pub mod files;
pub mod globals;
pub mod logging;
pub mod r#loop;
pub mod machine;
pub mod ready;
pub mod reload;
pub mod run;
pub mod service;
pub mod settings;
pub mod signals;
pub mod sockets;
#[cfg(test)]
mod testing;
pub mod time;
