//! End-to-end: the built binary `crosspoint` on loopback, real SIPp on both sides of it, our own senders for the audio.
//!
//! Each test has a [`site::Site`] of its own (addresses, directory), generates a configuration, starts the switch and
//! runs scenarios of `tests/sipp/`. What a world of the simulator can show is shown there; here stands what needs the
//! real program: sockets, both transports, records on disk, signals, and another vendor's idea of SIP.

#![forbid(unsafe_code)]

mod attackers;
mod calls;
mod conf;
mod failures;
mod harness;
mod hostile;
mod media_abuse;
mod peers;
mod perf;
mod phones;
mod records;
mod signals;
mod sip_abuse;
mod sip_injection;
mod sipp;
mod site;
mod switch;
mod tcp_abuse;
mod wait;
