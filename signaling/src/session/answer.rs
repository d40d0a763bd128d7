//! Our 2xx to an INVITE until its ACK comes (RFC 3261 §13.3.1.4).
//!
//! ```text
//!   2xx sent ──▶ Waiting ──ACK──▶ (dropped)       resend at T1, 2·T1 … T2, over TCP as well
//!                   └──64·T1──▶ TimedOut
//! ```
//!
//! The transaction does not do this, because further on the 2xx may cross proxies and UDP.

use core::time::Duration;

use bytes::Bytes;
use clock::Tick;

use crate::transaction::{Output, Timing};

/// A 2xx that waits for its ACK. Whoever gets the ACK drops it.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Bytes,
    timing: Timing,
    resend_at: Tick,
    resend_after: Duration,
    give_up_at: Tick,
}

impl Answer {
    /// `response` has just been sent for the first time.
    pub(crate) fn start(now: Tick, response: Bytes, timing: Timing) -> Answer {
        Answer {
            response,
            timing,
            resend_at: now + timing.t1(),
            resend_after: timing.t1(),
            give_up_at: now + timing.t1x64(),
        }
    }

    /// Runs what is due; after `TimedOut` it is of no further use.
    pub(crate) fn handle_timeout(&mut self, now: Tick, out: &mut Vec<Output>) {
        if self.give_up_at <= now {
            out.push(Output::TimedOut);
        } else if self.resend_at <= now {
            self.resend_after = self.timing.doubled(self.resend_after);
            self.resend_at = now + self.resend_after;
            out.push(Output::Send(self.response.clone()));
        }
    }

    /// When to call `handle_timeout`.
    pub(crate) fn next_deadline(&self) -> (Tick, &'static str) {
        (self.resend_at.min(self.give_up_at), "2xx")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_2xx_is_resent_up_to_every_t2_and_given_up_after_64_t1() {
        let mut out = Vec::new();
        let mut answer = Answer::start(Tick::ZERO, Bytes::from_static(b"200"), Timing::default());
        let mut resent_at_ms = Vec::new();
        while !out.contains(&Output::TimedOut) {
            let (due, _) = answer.next_deadline();
            answer.handle_timeout(due, &mut out);
            resent_at_ms.push(due.as_millis());
        }
        let expected = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500, 32_000];
        assert_eq!(resent_at_ms, expected);
    }
}
