//! Client INVITE transaction: RFC 3261 §17.1.1, with the Accepted state of RFC 6026 §7.2.
//!
//! ```text
//!   INVITE ──▶ Calling ──1xx──▶ Proceeding        A: resend at T1, 2·T1, 4·T1 …  (UDP)
//!                 │  └──────┬───────┘ │           B: give up at 64·T1
//!                2xx       2xx    300–699
//!                 │         │         │           M: 64·T1, pass on every fork's 2xx
//!                 └──▶ Accepted   Completed       D: 64·T1 (TCP 0), answer resent finals with ACK
//!                          │M         │D
//!                          └▶ Terminated ◀── B, transport failure, abandoned; orphan: 64·T1 in Proceeding
//! ```
//!
//! Outputs: `Send` (INVITE, ACK to a refusal), `Deliver` (responses), `TimedOut` (B), `Broken`.

use core::time::Duration;

use bytes::Bytes;
use clock::Tick;

use super::{Carriage, Class, Output, Timing};

/// One INVITE that we sent, from the first octet to the last late answer.
#[derive(Debug)]
pub struct ClientInvite {
    state: State,
    timing: Timing,
    carriage: Carriage,
    /// Proceeding ends then, because nobody waits any more.
    orphan_until: Option<Tick>,
}

#[derive(Debug)]
enum State {
    Calling { request: Bytes, resend: Option<Resend>, give_up_at: Tick },
    Proceeding,
    Accepted { until: Tick },
    Completed { ack: Bytes, until: Tick },
    Terminated,
}

/// Timer A.
#[derive(Clone, Copy, Debug)]
struct Resend {
    at: Tick,
    after: Duration,
}

impl ClientInvite {
    /// Sends `request` and waits for answers.
    pub fn start(
        now: Tick,
        request: Bytes,
        carriage: Carriage,
        timing: Timing,
        out: &mut Vec<Output>,
    ) -> ClientInvite {
        out.push(Output::Send(request.clone()));
        let resend = match carriage {
            Carriage::Unreliable => Some(Resend { at: now + timing.t1(), after: timing.t1() }),
            Carriage::Reliable => None,
        };
        let state = State::Calling { request, resend, give_up_at: now + timing.t1x64() };
        ClientInvite { state, timing, carriage, orphan_until: None }
    }

    /// Feeds a response matched to this transaction by branch and CSeq method (§17.1.3). `ack` builds the ACK to
    /// a refusal (§17.1.1.3); it is called for the first one only.
    pub fn handle_response(
        &mut self,
        now: Tick,
        status: u16,
        ack: impl FnOnce() -> Bytes,
        out: &mut Vec<Output>,
    ) {
        use State::{Accepted, Calling, Completed, Proceeding, Terminated};
        let next = match (&self.state, Class::of(status)) {
            (Calling { .. } | Proceeding, Class::Provisional) => Proceeding,
            (Calling { .. } | Proceeding, Class::Success) => Accepted { until: now + self.timing.t1x64() },
            (Calling { .. } | Proceeding, Class::Failure) => {
                let ack = ack();
                out.push(Output::Send(ack.clone()));
                self.completed(now, ack)
            }
            // Every fork's 2xx, and every copy of one, belongs to the transaction user (RFC 6026 §7.2).
            (Accepted { .. }, Class::Success) => return out.push(Output::Deliver),
            (Completed { ack, .. }, Class::Failure) => return out.push(Output::Send(ack.clone())),
            (Accepted { .. }, Class::Provisional | Class::Failure)
            | (Completed { .. }, Class::Provisional | Class::Success)
            | (Terminated, _) => return, // late: dropped
        };
        self.state = next;
        out.push(Output::Deliver);
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, now: Tick, out: &mut Vec<Output>) {
        match &mut self.state {
            State::Calling { give_up_at, .. } if *give_up_at <= now => {
                self.state = State::Terminated;
                out.push(Output::TimedOut);
            }
            State::Calling { request, resend: Some(resend), .. } if resend.at <= now => {
                // Timer A doubles without the ceiling of T2 (§17.1.1.2).
                resend.after *= 2;
                resend.at = now + resend.after;
                out.push(Output::Send(request.clone()));
            }
            State::Accepted { until } | State::Completed { until, .. } if *until <= now => {
                self.state = State::Terminated;
            }
            State::Proceeding if self.orphan_until.is_some_and(|until| until <= now) => {
                self.state = State::Terminated;
            }
            State::Calling { .. }
            | State::Proceeding
            | State::Accepted { .. }
            | State::Completed { .. }
            | State::Terminated => {}
        }
    }

    /// The transport said that the request cannot be delivered (§17.1.4). After an answer it means nothing: the
    /// peer is there, and its responses find their own way.
    pub fn handle_transport_error(&mut self, out: &mut Vec<Output>) {
        if let State::Calling { .. } = self.state {
            self.state = State::Terminated;
            out.push(Output::Broken);
        }
    }

    /// Ends a transaction whose CANCEL was not followed by a final answer in 64·T1 (RFC 3261 §9.1).
    pub fn abandon(&mut self) {
        self.state = State::Terminated;
    }

    /// The dialog of this re-INVITE has ended. Its answer is acknowledged if it still comes, for 64·T1 more: RFC 3261
    /// sets no timer in Proceeding, and here no user is left who could.
    pub fn orphan(&mut self, now: Tick) {
        self.orphan_until = Some(now + self.timing.t1x64());
    }

    /// Hands out the request again for another connection, as long as nobody has answered it.
    pub fn unanswered(&self) -> Option<&Bytes> {
        match &self.state {
            State::Calling { request, .. } => Some(request),
            State::Proceeding | State::Accepted { .. } | State::Completed { .. } | State::Terminated => None,
        }
    }

    /// When to call `handle_timeout`, and for which of RFC 3261's timers.
    pub fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        match &self.state {
            State::Calling { resend: Some(resend), give_up_at, .. } if resend.at < *give_up_at => {
                Some((resend.at, "A"))
            }
            State::Calling { give_up_at, .. } => Some((*give_up_at, "B")),
            State::Accepted { until } => Some((*until, "M")),
            State::Completed { until, .. } => Some((*until, "D")),
            State::Proceeding => self.orphan_until.map(|until| (until, "orphan")),
            State::Terminated => None,
        }
    }

    /// Nothing more will come of it; it may be forgotten.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    fn completed(&self, now: Tick, ack: Bytes) -> State {
        match self.carriage {
            Carriage::Unreliable => State::Completed { ack, until: now + self.timing.t1x64() },
            Carriage::Reliable => State::Terminated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::snapshot::{self, Machine};

    fn start(carriage: Carriage, out: &mut Vec<Output>) -> ClientInvite {
        ClientInvite::start(Tick::ZERO, Bytes::from_static(b"INVITE"), carriage, Timing::default(), out)
    }

    fn respond(invite: &mut ClientInvite, at_ms: u64, status: u16, out: &mut Vec<Output>) {
        invite.handle_response(Tick::from_millis(at_ms), status, || Bytes::from_static(b"ACK"), out);
    }

    impl Machine for ClientInvite {
        fn input(&mut self, now: Tick, input: &str, out: &mut Vec<Output>) {
            match input {
                "timer" => self.handle_timeout(now, out),
                "transport" => self.handle_transport_error(out),
                "abandon" => self.abandon(),
                status => {
                    let status = status.parse().expect("a status code");
                    self.handle_response(now, status, || Bytes::from_static(b"ACK"), out);
                }
            }
        }

        fn state(&self) -> String {
            let name = match self.state {
                State::Calling { .. } => "Calling",
                State::Proceeding => "Proceeding",
                State::Accepted { .. } => "Accepted",
                State::Completed { .. } => "Completed",
                State::Terminated => "Terminated",
            };
            snapshot::state_with_timer(name, self.next_deadline())
        }
    }

    #[test]
    fn transitions() {
        let table = snapshot::table(
            &[("Calling", &[]), ("Proceeding", &["180"]), ("Accepted", &["200"]), ("Completed", &["486"])],
            &["100", "200", "486", "timer", "transport", "abandon"],
            |out| start(Carriage::Unreliable, out),
        );
        assert_eq!(
            table,
            "\
Calling + 100 = Deliver / Proceeding
Calling + 200 = Deliver / Accepted M@32000
Calling + 486 = Send(ACK) Deliver / Completed D@32000
Calling + timer = Send(INVITE) / Calling A@1500
Calling + transport = Broken / Terminated
Calling + abandon = / Terminated
Proceeding + 100 = Deliver / Proceeding
Proceeding + 200 = Deliver / Accepted M@32000
Proceeding + 486 = Send(ACK) Deliver / Completed D@32000
Proceeding + timer = / Proceeding
Proceeding + transport = / Proceeding
Proceeding + abandon = / Terminated
Accepted + 100 = / Accepted M@32000
Accepted + 200 = Deliver / Accepted M@32000
Accepted + 486 = / Accepted M@32000
Accepted + timer = / Terminated
Accepted + transport = / Accepted M@32000
Accepted + abandon = / Terminated
Completed + 100 = / Completed D@32000
Completed + 200 = / Completed D@32000
Completed + 486 = Send(ACK) / Completed D@32000
Completed + timer = / Terminated
Completed + transport = / Completed D@32000
Completed + abandon = / Terminated
"
        );
    }

    #[test]
    fn unanswered_invite_is_resent_at_doubling_intervals_then_times_out() {
        let mut out = Vec::new();
        let mut invite = start(Carriage::Unreliable, &mut out);
        for after_ms in [500, 1_500, 3_500, 7_500, 15_500, 31_500] {
            let due = Tick::from_millis(after_ms);
            assert_eq!(invite.next_deadline(), Some((due, "A")));
            invite.handle_timeout(due, &mut out);
        }
        assert_eq!(out.len(), 7);
        assert_eq!(invite.next_deadline(), Some((Tick::from_millis(32_000), "B")));
        invite.handle_timeout(Tick::from_millis(32_000), &mut out);
        assert_eq!(out.last(), Some(&Output::TimedOut));
        assert!(invite.is_over());
    }

    #[test]
    fn over_tcp_nothing_is_resent_and_a_refusal_ends_it_at_once() {
        let mut out = Vec::new();
        let mut invite = start(Carriage::Reliable, &mut out);
        assert_eq!(invite.next_deadline(), Some((Tick::from_millis(32_000), "B")));
        respond(&mut invite, 10, 486, &mut out);
        assert_eq!(out[1..], [Output::Send(Bytes::from_static(b"ACK")), Output::Deliver]);
        assert!(invite.is_over());
    }

    #[test]
    fn an_orphan_is_waited_for_in_proceeding_for_64_t1_and_no_longer() {
        let mut out = Vec::new();
        let mut invite = start(Carriage::Reliable, &mut out);
        respond(&mut invite, 10, 100, &mut out);
        assert_eq!(invite.next_deadline(), None);
        invite.orphan(Tick::from_millis(500));
        assert_eq!(invite.next_deadline(), Some((Tick::from_millis(32_500), "orphan")));
        out.clear();
        invite.handle_timeout(Tick::from_millis(32_500), &mut out);
        assert!(invite.is_over() && out.is_empty());
    }

    #[test]
    fn repeated_486_is_answered_with_the_same_ack_and_not_delivered_again() {
        let mut out = Vec::new();
        let mut invite = start(Carriage::Unreliable, &mut out);
        respond(&mut invite, 10, 486, &mut out);
        out.clear();
        invite.handle_response(Tick::from_millis(600), 486, || unreachable!("the ACK is kept"), &mut out);
        assert_eq!(out, [Output::Send(Bytes::from_static(b"ACK"))]);
    }
}
