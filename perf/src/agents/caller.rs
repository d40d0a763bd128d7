//! The calling side of a call.

use std::time::Duration;

use clock::{Now, Tick};
use signaling::Message;
use signaling::endpoint::{Event, FailureOrigin, Invite, LegId};

use super::{Agents, CALLING, Deed, Outcome, Party, Surroundings};
use crate::media::{EndId, Side};

/// After its last packet a caller stays on the line this long, so that what is on its way arrives.
pub const DRAIN: Duration = Duration::from_millis(250);

/// One calling phone.
pub struct Caller {
    due: Tick,
    leg: Option<LegId>,
    end: Option<EndId>,
    rang: bool,
    state: State,
}

enum State {
    Calling,
    Talking,
    /// It hung up, or gave up; the outcome stands.
    Over(Outcome),
}

impl Caller {
    /// Whether it is answered and not yet over.
    pub fn is_talking(&self) -> bool {
        matches!(self.state, State::Talking)
    }

    /// How it went, seen now.
    pub fn outcome(&self) -> Outcome {
        match &self.state {
            State::Calling | State::Talking => Outcome::Unfinished,
            State::Over(outcome) => outcome.clone(),
        }
    }

    /// The leg is gone; so is its end.
    pub fn end_over(&mut self) -> Option<EndId> {
        self.leg = None;
        self.end.take()
    }
}

impl Agents {
    /// Places the next call.
    pub(super) fn call(&mut self, now: Now, around: &Surroundings<'_>) {
        let due = self.next_call().expect("only called when one is due");
        let index = self.callers.len();
        let mut caller = Caller { due, leg: None, end: None, rang: false, state: State::Calling };
        self.figures.offered += 1;
        match self.place(now, index, &mut caller, around) {
            Ok(leg) => {
                caller.leg = Some(leg);
                self.legs.insert(leg, Party::Caller(index));
            }
            Err(reason) => {
                if let Some(end) = caller.end.take() {
                    self.media.close(around.registry, around.clock, end);
                }
                caller.state = State::Over(Outcome::Failed(reason));
            }
        }
        self.callers.push(caller);
    }

    fn place(
        &mut self,
        now: Now,
        index: usize,
        caller: &mut Caller,
        around: &Surroundings<'_>,
    ) -> Result<LegId, String> {
        let end = self.media.open(around.registry, Side::Caller, self.plan.local);
        let end = end.map_err(|error| format!("no socket here: {error}"))?;
        caller.end = Some(end);
        let to = self.plan.target.uri();
        // Different numbers, as different people have; the count makes a capture readable.
        let from = format!("\"perf {index}\" <sip:{}@{}>", 100_000 + index, self.plan.local);
        let mut invite = Invite::new(CALLING, to.clone(), from, format!("<{to}>"));
        invite.body = Some(self.description(end));
        self.endpoint.invite(now, invite).map_err(|error| format!("not placed: {error}"))
    }

    pub(super) fn handle_caller_event(&mut self, now: Now, index: usize, event: Event) {
        match event {
            Event::Provisional { .. } => {
                let caller = &mut self.callers[index];
                if !caller.rang {
                    caller.rang = true;
                    self.figures.ringing(caller.due, now.tick);
                }
            }
            Event::Answered { leg, response } => self.answered(now, index, leg, &response),
            Event::Failed { status, origin, .. } => {
                let word = match origin {
                    FailureOrigin::Peer => status.to_string(),
                    FailureOrigin::Timeout => "no answer in time".to_owned(),
                    FailureOrigin::Transport => "not sent".to_owned(),
                    FailureOrigin::Resolution => "not resolved".to_owned(),
                };
                self.finish(index, Outcome::Failed(word));
            }
            Event::Bye { .. } => self.finish(index, Outcome::EndedEarly),
            Event::Response { .. } | Event::RequestCancelled { .. } => {}
            // These belong to called legs, or were taken before.
            Event::Invite { .. }
            | Event::Acknowledged { .. }
            | Event::AckMissing { .. }
            | Event::Cancelled { .. }
            | Event::Request { .. }
            | Event::Ended { .. }
            | Event::Resolve { .. } => {}
        }
    }

    fn answered(&mut self, now: Now, index: usize, leg: LegId, response: &Message) {
        self.endpoint.ack(now, leg, None, None);
        let caller = &mut self.callers[index];
        let (due, end) = (caller.due, caller.end);
        if matches!(caller.state, State::Over(_)) {
            return; // it gave up in the same moment; the hang-up is on its way
        }
        caller.state = State::Talking;
        self.figures.answered(due, now.tick);
        let talks = end.is_some_and(|end| self.talk(now, end, response));
        if !talks && self.plan.codec.is_some() {
            self.endpoint.hangup(now, leg, Vec::new());
            return self.finish(index, Outcome::NoAudio);
        }
        self.deeds.push(std::cmp::Reverse((now.tick + self.plan.hold + DRAIN, Deed::HangUp(index))));
    }

    /// Ends the call, whatever its state.
    pub(super) fn hang_up(&mut self, now: Now, index: usize) {
        let caller = &self.callers[index];
        let outcome = match caller.state {
            State::Talking => Outcome::Completed,
            State::Calling => Outcome::Unfinished,
            State::Over(_) => return,
        };
        if let Some(leg) = caller.leg {
            self.endpoint.hangup(now, leg, Vec::new());
        }
        self.finish(index, outcome);
    }

    fn finish(&mut self, index: usize, outcome: Outcome) {
        let caller = &mut self.callers[index];
        if !matches!(caller.state, State::Over(_)) {
            caller.state = State::Over(outcome);
        }
    }
}
