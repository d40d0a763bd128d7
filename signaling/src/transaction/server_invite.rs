//! Server INVITE transaction: RFC 3261 §17.2.1, with the Accepted state of RFC 6026 §7.1.
//!
//! ```text
//!   INVITE ──▶ Proceeding ──300–699──▶ Completed ──ACK──▶ Confirmed     G: resend at T1, 2·T1 … T2  (UDP)
//!                  │                       │H                │I         H: no ACK in 64·T1
//!                 2xx                      │                 │          I: T4 (TCP 0), absorb ACKs
//!                  └──▶ Accepted ──L──▶ Terminated ◀─────────┘          L: 64·T1, absorb INVITEs
//! ```
//!
//! Outputs: `Send` (responses), `Deliver` (an ACK that followed a 2xx on the same branch), `TimedOut` (H).

use core::time::Duration;

use bytes::Bytes;
use clock::Tick;

use super::{Carriage, Class, Output, Timing};

/// One INVITE that we received.
#[derive(Debug)]
pub struct ServerInvite {
    state: State,
    timing: Timing,
    carriage: Carriage,
}

#[derive(Debug)]
enum State {
    Proceeding { last: Option<Bytes> },
    Completed { response: Bytes, resend: Option<Resend>, give_up_at: Tick },
    Confirmed { until: Tick },
    Accepted { until: Tick },
    Terminated,
}

/// Timer G.
#[derive(Clone, Copy, Debug)]
struct Resend {
    at: Tick,
    after: Duration,
}

impl ServerInvite {
    /// An INVITE that matched no transaction has come.
    pub fn start(carriage: Carriage, timing: Timing) -> ServerInvite {
        ServerInvite { state: State::Proceeding { last: None }, timing, carriage }
    }

    /// The same INVITE has come again: its sender has not seen our last answer.
    ///
    /// In Accepted it is absorbed: the 2xx is resent by the transaction user until its ACK comes (RFC 6026 §7.1).
    pub fn handle_retransmission(&mut self, out: &mut Vec<Output>) {
        match &self.state {
            State::Proceeding { last: Some(response) } | State::Completed { response, .. } => {
                out.push(Output::Send(response.clone()));
            }
            State::Proceeding { last: None }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    /// An ACK has come that matches this transaction (§17.2.3).
    pub fn handle_ack(&mut self, now: Tick, out: &mut Vec<Output>) {
        match &self.state {
            State::Completed { .. } => {
                self.state = match self.carriage {
                    Carriage::Unreliable => State::Confirmed { until: now + self.timing.t4() },
                    Carriage::Reliable => State::Terminated,
                }
            }
            State::Accepted { .. } => out.push(Output::Deliver),
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => {}
        }
    }

    /// The user answers. A second final answer is not sent.
    pub fn respond(&mut self, now: Tick, status: u16, response: Bytes, out: &mut Vec<Output>) {
        let State::Proceeding { .. } = self.state else { return };
        out.push(Output::Send(response.clone()));
        let t1 = self.timing.t1();
        self.state = match Class::of(status) {
            Class::Provisional => State::Proceeding { last: Some(response) },
            Class::Success => State::Accepted { until: now + self.timing.t1x64() },
            Class::Failure => State::Completed {
                response,
                resend: match self.carriage {
                    Carriage::Unreliable => Some(Resend { at: now + t1, after: t1 }),
                    Carriage::Reliable => None,
                },
                give_up_at: now + self.timing.t1x64(),
            },
        };
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, now: Tick, out: &mut Vec<Output>) {
        match &mut self.state {
            State::Completed { give_up_at, .. } if *give_up_at <= now => {
                self.state = State::Terminated;
                out.push(Output::TimedOut);
            }
            State::Completed { response, resend: Some(resend), .. } if resend.at <= now => {
                resend.after = self.timing.doubled(resend.after);
                resend.at = now + resend.after;
                out.push(Output::Send(response.clone()));
            }
            State::Confirmed { until } | State::Accepted { until } if *until <= now => {
                self.state = State::Terminated;
            }
            State::Proceeding { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    /// No final answer has been given yet.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// When to call `handle_timeout`, and for which of RFC 3261's timers.
    pub fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        match &self.state {
            State::Completed { resend: Some(resend), give_up_at, .. } if resend.at < *give_up_at => {
                Some((resend.at, "G"))
            }
            State::Completed { give_up_at, .. } => Some((*give_up_at, "H")),
            State::Confirmed { until } => Some((*until, "I")),
            State::Accepted { until } => Some((*until, "L")),
            State::Proceeding { .. } | State::Terminated => None,
        }
    }

    /// Nothing more will come of it; it may be forgotten.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::snapshot::{self, Machine};

    impl Machine for ServerInvite {
        fn input(&mut self, now: Tick, input: &str, out: &mut Vec<Output>) {
            match input {
                "timer" => self.handle_timeout(now, out),
                "INVITE" => self.handle_retransmission(out),
                "ACK" => self.handle_ack(now, out),
                status => {
                    let code = status.parse().expect("a status code");
                    self.respond(now, code, Bytes::copy_from_slice(status.as_bytes()), out);
                }
            }
        }

        fn state(&self) -> String {
            let name = match self.state {
                State::Proceeding { .. } => "Proceeding",
                State::Completed { .. } => "Completed",
                State::Confirmed { .. } => "Confirmed",
                State::Accepted { .. } => "Accepted",
                State::Terminated => "Terminated",
            };
            snapshot::state_with_timer(name, self.next_deadline())
        }
    }

    fn start(carriage: Carriage) -> ServerInvite {
        ServerInvite::start(carriage, Timing::default())
    }

    #[test]
    fn transitions() {
        let table = snapshot::table(
            &[
                ("Proceeding", &["100"]),
                ("Completed", &["486"]),
                ("Confirmed", &["486", "ACK"]),
                ("Accepted", &["200"]),
            ],
            &["INVITE", "ACK", "180", "200", "503", "timer"],
            |_| start(Carriage::Unreliable),
        );
        assert_eq!(
            table,
            "\
Proceeding + INVITE = Send(100) / Proceeding
Proceeding + ACK = / Proceeding
Proceeding + 180 = Send(180) / Proceeding
Proceeding + 200 = Send(200) / Accepted L@32000
Proceeding + 503 = Send(503) / Completed G@500
Proceeding + timer = / Proceeding
Completed + INVITE = Send(486) / Completed G@500
Completed + ACK = / Confirmed I@5000
Completed + 180 = / Completed G@500
Completed + 200 = / Completed G@500
Completed + 503 = / Completed G@500
Completed + timer = Send(486) / Completed G@1500
Confirmed + INVITE = / Confirmed I@5000
Confirmed + ACK = / Confirmed I@5000
Confirmed + 180 = / Confirmed I@5000
Confirmed + 200 = / Confirmed I@5000
Confirmed + 503 = / Confirmed I@5000
Confirmed + timer = / Terminated
Accepted + INVITE = / Accepted L@32000
Accepted + ACK = Deliver / Accepted L@32000
Accepted + 180 = / Accepted L@32000
Accepted + 200 = / Accepted L@32000
Accepted + 503 = / Accepted L@32000
Accepted + timer = / Terminated
"
        );
    }

    #[test]
    fn refusal_is_resent_up_to_every_t2_until_acknowledged() {
        let mut out = Vec::new();
        let mut invite = start(Carriage::Unreliable);
        invite.respond(Tick::ZERO, 486, Bytes::from_static(b"486"), &mut out);
        for after_ms in [500, 1_500, 3_500, 7_500, 11_500] {
            assert_eq!(invite.next_deadline(), Some((Tick::from_millis(after_ms), "G")));
            invite.handle_timeout(Tick::from_millis(after_ms), &mut out);
        }
        assert_eq!(out.len(), 6);
        invite.handle_ack(Tick::from_millis(12_000), &mut out);
        assert_eq!(invite.next_deadline(), Some((Tick::from_millis(17_000), "I")));
        invite.handle_timeout(Tick::from_millis(17_000), &mut out);
        assert!(invite.is_over());
        assert_eq!(out.len(), 6);
    }

    #[test]
    fn refusal_nobody_acknowledges_is_given_up_after_64_t1() {
        let mut out = Vec::new();
        let mut invite = start(Carriage::Unreliable);
        invite.respond(Tick::ZERO, 503, Bytes::from_static(b"503"), &mut out);
        while let Some((due, _)) = invite.next_deadline() {
            invite.handle_timeout(due, &mut out);
        }
        assert_eq!(out.last(), Some(&Output::TimedOut));
    }

    #[test]
    fn over_tcp_a_refusal_is_sent_once_and_its_ack_ends_it() {
        let mut out = Vec::new();
        let mut invite = start(Carriage::Reliable);
        invite.respond(Tick::ZERO, 486, Bytes::from_static(b"486"), &mut out);
        assert_eq!(invite.next_deadline(), Some((Tick::from_millis(32_000), "H")));
        invite.handle_ack(Tick::from_millis(1), &mut out);
        assert!(invite.is_over());
    }
}
