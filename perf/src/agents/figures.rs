//! What is counted over a run.

use std::collections::BTreeMap;

use clock::Tick;
use hdrhistogram::Histogram;

use crate::media::{delay_histogram, record};

/// How a call went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, talked, and hung up by the caller.
    Completed,
    /// It came to nothing: a status (`486`), or a word for what took its place.
    Failed(String),
    /// It was answered, but the far end hung up before the caller did.
    EndedEarly,
    /// It was answered without a place to send audio to.
    NoAudio,
    /// The run ended before the call did.
    Unfinished,
}

/// The counts and histograms of all calls.
pub struct Figures {
    /// Calls that were placed.
    pub offered: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that ended as they should.
    pub completed: u64,
    /// Calls that came to nothing, by status.
    pub failures: BTreeMap<String, u64>,
    /// Answered calls that the far end ended before its time.
    pub ended_early: u64,
    /// Calls that were still there when the run ended.
    pub unfinished: u64,
    /// Calls that the target placed to the far end.
    pub rung: u64,
    /// Of these, calls whose ACK came.
    pub acknowledged: u64,
    /// Requests inside of calls.
    pub requests_inside: u64,
    /// From when the call should have started to the first response that says it rings, in microseconds.
    pub ringing_us: Histogram<u64>,
    /// From when the call should have started to its answer, in microseconds.
    pub answer_us: Histogram<u64>,
}

impl Figures {
    /// Nothing counted yet.
    pub fn new() -> Figures {
        Figures {
            offered: 0,
            answered: 0,
            completed: 0,
            failures: BTreeMap::new(),
            ended_early: 0,
            unfinished: 0,
            rung: 0,
            acknowledged: 0,
            requests_inside: 0,
            ringing_us: delay_histogram(),
            answer_us: delay_histogram(),
        }
    }

    /// A call rings.
    pub fn ringing(&mut self, due: Tick, now: Tick) {
        record(&mut self.ringing_us, now - due);
    }

    /// A call is answered.
    pub fn answered(&mut self, due: Tick, now: Tick) {
        self.answered += 1;
        record(&mut self.answer_us, now - due);
    }

    /// A call is over.
    pub fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Completed => self.completed += 1,
            Outcome::EndedEarly => self.ended_early += 1,
            Outcome::Unfinished => self.unfinished += 1,
            Outcome::Failed(status) => *self.failures.entry(status).or_default() += 1,
            Outcome::NoAudio => *self.failures.entry("answered without audio".to_owned()).or_default() += 1,
        }
    }
}
