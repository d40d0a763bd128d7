//! What is going to happen, in order of time, and of asking where times are equal.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use clock::Tick;
use link::{Command, Report};
use switch::{Answer, AskId, Request};

use crate::network::Datagram;
use crate::script::Script;
use crate::streams::Arrival;

/// Something that happens.
pub(super) enum Happening {
    /// A datagram arrives.
    Datagram(Datagram),
    /// Something arrives by a stream.
    Stream { stream: usize, arrival: Arrival },
    /// A worker reads its queue.
    Commands { worker: usize, commands: Vec<Command> },
    /// The switch reads a worker's queue.
    Reports { worker: usize, reports: Vec<Report> },
    /// The world outside answers.
    Answer { ask: AskId, answer: Answer },
    /// A phone calls.
    Call { phone: usize, number: u16, to: String, script: Box<Script> },
    /// All connections break.
    Break,
    /// An operator orders.
    Order { which: usize, order: Box<dyn FnOnce(String) -> Request>, disturbs: bool },
}

/// The order of things.
#[derive(Default)]
pub(super) struct Queue {
    order: BinaryHeap<Reverse<(Tick, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Tick, happening: Happening) {
        self.next += 1;
        self.order.push(Reverse((at, self.next)));
        self.happenings.insert(self.next, happening);
    }

    pub(super) fn next_at(&self) -> Option<Tick> {
        self.order.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn pop_due(&mut self, now: Tick) -> Option<Happening> {
        if self.next_at().is_none_or(|at| at > now) {
            return None;
        }
        let Reverse((_, serial)) = self.order.pop()?;
        self.happenings.remove(&serial)
    }
}
