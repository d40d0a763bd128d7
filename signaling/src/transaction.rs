//! The four transaction machines of RFC 3261 §17, as corrected by RFC 6026.
//!
//! A machine knows octets, classes of status and time; it does not know headers. Its caller matches messages to it
//! (§17.1.3, §17.2.3), gives it what it cannot make itself (the ACK to a refusal), sends what it asks to be sent
//! and passes on to its user what it says to deliver.

pub mod client_invite;
pub mod client_non_invite;
pub mod server_invite;
pub mod server_non_invite;
#[cfg(test)]
mod snapshot;

use core::time::Duration;

use bytes::Bytes;

pub use client_invite::ClientInvite;
pub use client_non_invite::ClientNonInvite;
pub use server_invite::ServerInvite;
pub use server_non_invite::ServerNonInvite;

/// RFC 3261's estimate of the round trip, in milliseconds.
pub const T1_MS: u32 = 500;
/// Longest interval between retransmissions of a non-INVITE request and of a final answer to INVITE.
pub const T2_MS: u32 = 4_000;
/// How long a message may live in the network.
pub const T4_MS: u32 = 5_000;
/// 64·T1: how long one side tries before it gives up.
pub const T1X64_MS: u32 = 32_000;

/// The base values that every timer of RFC 3261 (table 4) is computed from; a profile may set its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// T1, in milliseconds.
    pub t1_ms: u32,
    /// T2, in milliseconds.
    pub t2_ms: u32,
    /// T4, in milliseconds.
    pub t4_ms: u32,
    /// 64·T1, which FreeSWITCH lets an operator set apart from T1; in milliseconds.
    pub t1x64_ms: u32,
}

impl Timing {
    /// T1.
    pub const fn t1(self) -> Duration {
        Duration::from_millis(self.t1_ms as u64)
    }

    /// T2.
    pub const fn t2(self) -> Duration {
        Duration::from_millis(self.t2_ms as u64)
    }

    /// T4.
    pub const fn t4(self) -> Duration {
        Duration::from_millis(self.t4_ms as u64)
    }

    /// 64·T1.
    pub const fn t1x64(self) -> Duration {
        Duration::from_millis(self.t1x64_ms as u64)
    }

    /// Twice `interval`, but no more than T2.
    pub fn doubled(self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2())
    }
}

impl Default for Timing {
    fn default() -> Timing {
        Timing { t1_ms: T1_MS, t2_ms: T2_MS, t4_ms: T4_MS, t1x64_ms: T1X64_MS }
    }
}

/// What the network below a transaction does about loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// UDP: the transaction retransmits and waits for late copies.
    Unreliable,
    /// TCP: nothing is retransmitted, nothing is waited for.
    Reliable,
}

impl Carriage {
    /// `wait` on an unreliable transport, nothing on a reliable one (timers D, I, J, K).
    pub const fn wait(self, wait: Duration) -> Duration {
        match self {
            Carriage::Unreliable => wait,
            Carriage::Reliable => Duration::ZERO,
        }
    }
}

/// Class of a response's status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 100–199.
    Provisional,
    /// 200–299.
    Success,
    /// 300–699.
    Failure,
}

impl Class {
    /// The class of `status`; codes outside 100–699 never come out of the parser and count as failures.
    pub const fn of(status: u16) -> Class {
        match status {
            100..=199 => Class::Provisional,
            200..=299 => Class::Success,
            _ => Class::Failure,
        }
    }
}

/// What a machine wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these octets the way the transaction's first message went.
    Send(Bytes),
    /// The message just fed belongs to the transaction's user.
    Deliver,
    /// Nobody answered in time (timers B and F), or nobody acknowledged (timer H).
    TimedOut,
    /// The transport below failed before an answer came (RFC 3261 §18.4).
    Broken,
}
