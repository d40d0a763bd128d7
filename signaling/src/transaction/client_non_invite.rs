//! Client transaction of every other method: RFC 3261 §17.1.2.
//!
//! ```text
//!   request ──▶ Trying ──1xx──▶ Proceeding       E: resend at T1, 2·T1 … T2; in Proceeding at T2  (UDP)
//!                  │                │            F: give up at 64·T1
//!               200–699          200–699
//!                  └──▶ Completed ◀─┘            K: T4 (TCP 0), absorb resent finals
//!                           │K
//!                           └──▶ Terminated ◀── F, transport failure
//! ```
//!
//! Outputs: `Send` (the request), `Deliver` (responses), `TimedOut` (F), `Broken`.

use core::time::Duration;

use bytes::Bytes;
use clock::Tick;

use super::{Carriage, Class, Output, Timing};

/// One request other than INVITE and ACK that we sent.
#[derive(Debug)]
pub struct ClientNonInvite {
    state: State,
    timing: Timing,
    carriage: Carriage,
}

#[derive(Debug)]
enum State {
    Trying { request: Bytes, resend: Option<Resend>, give_up_at: Tick },
    Proceeding { request: Bytes, resend: Option<Resend>, give_up_at: Tick },
    Completed { until: Tick },
    Terminated,
}

/// Timer E.
#[derive(Clone, Copy, Debug)]
struct Resend {
    at: Tick,
    after: Duration,
}

impl ClientNonInvite {
    /// Sends `request` and waits for answers.
    pub fn start(
        now: Tick,
        request: Bytes,
        carriage: Carriage,
        timing: Timing,
        out: &mut Vec<Output>,
    ) -> ClientNonInvite {
        out.push(Output::Send(request.clone()));
        let resend = match carriage {
            Carriage::Unreliable => Some(Resend { at: now + timing.t1(), after: timing.t1() }),
            Carriage::Reliable => None,
        };
        let state = State::Trying { request, resend, give_up_at: now + timing.t1x64() };
        ClientNonInvite { state, timing, carriage }
    }

    /// Feeds a response matched to this transaction by branch and CSeq method.
    pub fn handle_response(&mut self, now: Tick, status: u16, out: &mut Vec<Output>) {
        let next = match (&self.state, Class::of(status)) {
            (State::Trying { request, resend, give_up_at }, Class::Provisional) => State::Proceeding {
                request: request.clone(),
                // From now on the interval is T2, beginning when timer E next fires (§17.1.2.2).
                resend: resend.map(|resend| Resend { at: resend.at, after: self.timing.t2() }),
                give_up_at: *give_up_at,
            },
            (State::Proceeding { .. }, Class::Provisional) => return out.push(Output::Deliver),
            (State::Trying { .. } | State::Proceeding { .. }, Class::Success | Class::Failure) => {
                match self.carriage {
                    Carriage::Unreliable => State::Completed { until: now + self.timing.t4() },
                    Carriage::Reliable => State::Terminated,
                }
            }
            (State::Completed { .. } | State::Terminated, _) => return, // late: dropped
        };
        self.state = next;
        out.push(Output::Deliver);
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, now: Tick, out: &mut Vec<Output>) {
        match &mut self.state {
            State::Trying { give_up_at, .. } | State::Proceeding { give_up_at, .. } if *give_up_at <= now => {
                self.state = State::Terminated;
                out.push(Output::TimedOut);
            }
            State::Trying { request, resend: Some(resend), .. }
            | State::Proceeding { request, resend: Some(resend), .. }
                if resend.at <= now =>
            {
                resend.after = self.timing.doubled(resend.after);
                resend.at = now + resend.after;
                out.push(Output::Send(request.clone()));
            }
            State::Completed { until } if *until <= now => self.state = State::Terminated,
            State::Trying { .. } | State::Proceeding { .. } | State::Completed { .. } | State::Terminated => {
            }
        }
    }

    /// The transport said that the request cannot be delivered (§17.1.4).
    pub fn handle_transport_error(&mut self, out: &mut Vec<Output>) {
        if let State::Trying { .. } = self.state {
            self.state = State::Terminated;
            out.push(Output::Broken);
        }
    }

    /// Hands out the request again for another connection, as long as nobody has answered it.
    pub fn unanswered(&self) -> Option<&Bytes> {
        match &self.state {
            State::Trying { request, .. } => Some(request),
            State::Proceeding { .. } | State::Completed { .. } | State::Terminated => None,
        }
    }

    /// When to call `handle_timeout`, and for which of RFC 3261's timers.
    pub fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        match &self.state {
            State::Trying { resend: Some(resend), give_up_at, .. }
            | State::Proceeding { resend: Some(resend), give_up_at, .. }
                if resend.at < *give_up_at =>
            {
                Some((resend.at, "E"))
            }
            State::Trying { give_up_at, .. } | State::Proceeding { give_up_at, .. } => {
                Some((*give_up_at, "F"))
            }
            State::Completed { until } => Some((*until, "K")),
            State::Terminated => None,
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

    fn start(carriage: Carriage, out: &mut Vec<Output>) -> ClientNonInvite {
        ClientNonInvite::start(Tick::ZERO, Bytes::from_static(b"BYE"), carriage, Timing::default(), out)
    }

    impl Machine for ClientNonInvite {
        fn input(&mut self, now: Tick, input: &str, out: &mut Vec<Output>) {
            match input {
                "timer" => self.handle_timeout(now, out),
                "transport" => self.handle_transport_error(out),
                status => self.handle_response(now, status.parse().expect("a status code"), out),
            }
        }

        fn state(&self) -> String {
            let name = match self.state {
                State::Trying { .. } => "Trying",
                State::Proceeding { .. } => "Proceeding",
                State::Completed { .. } => "Completed",
                State::Terminated => "Terminated",
            };
            snapshot::state_with_timer(name, self.next_deadline())
        }
    }

    #[test]
    fn transitions() {
        let table = snapshot::table(
            &[("Trying", &[]), ("Proceeding", &["100"]), ("Completed", &["200"])],
            &["100", "200", "481", "timer", "transport"],
            |out| start(Carriage::Unreliable, out),
        );
        assert_eq!(
            table,
            "\
Trying + 100 = Deliver / Proceeding E@500
Trying + 200 = Deliver / Completed K@5000
Trying + 481 = Deliver / Completed K@5000
Trying + timer = Send(BYE) / Trying E@1500
Trying + transport = Broken / Terminated
Proceeding + 100 = Deliver / Proceeding E@500
Proceeding + 200 = Deliver / Completed K@5000
Proceeding + 481 = Deliver / Completed K@5000
Proceeding + timer = Send(BYE) / Proceeding E@4500
Proceeding + transport = / Proceeding E@500
Completed + 100 = / Completed K@5000
Completed + 200 = / Completed K@5000
Completed + 481 = / Completed K@5000
Completed + timer = / Terminated
Completed + transport = / Completed K@5000
"
        );
    }

    #[test]
    fn unanswered_request_is_resent_up_to_every_t2_then_times_out() {
        let mut out = Vec::new();
        let mut bye = start(Carriage::Unreliable, &mut out);
        let mut resent_at_ms = Vec::new();
        while let Some((due, timer)) = bye.next_deadline() {
            bye.handle_timeout(due, &mut out);
            resent_at_ms.push((due.as_millis(), timer));
        }
        let expected = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        let mut expected: Vec<_> = expected.into_iter().map(|at| (at, "E")).collect();
        expected.push((32_000, "F"));
        assert_eq!(resent_at_ms, expected);
        assert_eq!(out.last(), Some(&Output::TimedOut));
    }

    #[test]
    fn over_tcp_it_is_sent_once_and_forgotten_with_its_answer() {
        let mut out = Vec::new();
        let mut bye = start(Carriage::Reliable, &mut out);
        assert_eq!(bye.next_deadline(), Some((Tick::from_millis(32_000), "F")));
        bye.handle_response(Tick::from_millis(5), 200, &mut out);
        assert_eq!(out.len(), 2);
        assert!(bye.is_over());
    }
}
