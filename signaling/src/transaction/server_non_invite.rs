//! Server transaction of every other method: RFC 3261 §17.2.2.
//!
//! ```text
//!   request ──▶ Trying ──1xx──▶ Proceeding
//!                  │                │
//!               200–699          200–699
//!                  └──▶ Completed ◀─┘        J: 64·T1 (TCP 0), answer copies with the same response
//!                           │J
//!                           └──▶ Terminated
//! ```
//!
//! Outputs: `Send` (responses).

use bytes::Bytes;
use clock::Tick;

use super::{Carriage, Class, Output, Timing};

/// One request other than INVITE and ACK that we received.
#[derive(Debug)]
pub struct ServerNonInvite {
    state: State,
    timing: Timing,
    carriage: Carriage,
}

#[derive(Debug)]
enum State {
    Trying,
    Proceeding { last: Bytes },
    Completed { response: Bytes, until: Tick },
    Terminated,
}

impl ServerNonInvite {
    /// A request that matched no transaction has come.
    pub fn start(carriage: Carriage, timing: Timing) -> ServerNonInvite {
        ServerNonInvite { state: State::Trying, timing, carriage }
    }

    /// The same request has come again.
    pub fn handle_retransmission(&mut self, out: &mut Vec<Output>) {
        match &self.state {
            State::Proceeding { last: response } | State::Completed { response, .. } => {
                out.push(Output::Send(response.clone()));
            }
            State::Trying | State::Terminated => {}
        }
    }

    /// The user answers. A second final answer is not sent.
    pub fn respond(&mut self, now: Tick, status: u16, response: Bytes, out: &mut Vec<Output>) {
        match (&self.state, Class::of(status)) {
            (State::Trying | State::Proceeding { .. }, Class::Provisional) => {
                self.state = State::Proceeding { last: response.clone() };
            }
            (State::Trying | State::Proceeding { .. }, Class::Success | Class::Failure) => {
                self.state = match self.carriage {
                    Carriage::Unreliable => {
                        State::Completed { response: response.clone(), until: now + self.timing.t1x64() }
                    }
                    Carriage::Reliable => State::Terminated,
                };
            }
            (State::Completed { .. } | State::Terminated, _) => return, // answered already
        }
        out.push(Output::Send(response));
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, now: Tick) {
        match self.state {
            State::Completed { until, .. } if until <= now => self.state = State::Terminated,
            State::Trying | State::Proceeding { .. } | State::Completed { .. } | State::Terminated => {}
        }
    }

    /// No final answer has been given yet.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding { .. })
    }

    /// When to call `handle_timeout`, and for which of RFC 3261's timers.
    pub fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        match self.state {
            State::Completed { until, .. } => Some((until, "J")),
            State::Trying | State::Proceeding { .. } | State::Terminated => None,
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

    impl Machine for ServerNonInvite {
        fn input(&mut self, now: Tick, input: &str, out: &mut Vec<Output>) {
            match input {
                "timer" => self.handle_timeout(now),
                "request" => self.handle_retransmission(out),
                status => {
                    let code = status.parse().expect("a status code");
                    self.respond(now, code, Bytes::copy_from_slice(status.as_bytes()), out);
                }
            }
        }

        fn state(&self) -> String {
            let name = match self.state {
                State::Trying => "Trying",
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
            &["request", "100", "200", "488", "timer"],
            |_| ServerNonInvite::start(Carriage::Unreliable, Timing::default()),
        );
        assert_eq!(
            table,
            "\
Trying + request = / Trying
Trying + 100 = Send(100) / Proceeding
Trying + 200 = Send(200) / Completed J@32000
Trying + 488 = Send(488) / Completed J@32000
Trying + timer = / Trying
Proceeding + request = Send(100) / Proceeding
Proceeding + 100 = Send(100) / Proceeding
Proceeding + 200 = Send(200) / Completed J@32000
Proceeding + 488 = Send(488) / Completed J@32000
Proceeding + timer = / Proceeding
Completed + request = Send(200) / Completed J@32000
Completed + 100 = / Completed J@32000
Completed + 200 = / Completed J@32000
Completed + 488 = / Completed J@32000
Completed + timer = / Terminated
"
        );
    }

    #[test]
    fn over_tcp_it_ends_with_its_answer() {
        let mut out = Vec::new();
        let mut options = ServerNonInvite::start(Carriage::Reliable, Timing::default());
        options.respond(Tick::ZERO, 200, Bytes::from_static(b"200"), &mut out);
        assert_eq!(out, [Output::Send(Bytes::from_static(b"200"))]);
        assert!(options.is_over());
    }
}
