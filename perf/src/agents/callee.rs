//! The called side of a call: rings, answers, talks, and is hung up on.

use clock::Now;
use signaling::Message;
use signaling::endpoint::{Event, LegId, Reply};

use super::{Agents, Deed, Party, Surroundings};
use crate::media::{EndId, Side};

/// One called phone.
pub struct Callee {
    leg: Option<LegId>,
    end: Option<EndId>,
    invite: Message,
}

impl Callee {
    /// The leg is gone; so is its end.
    pub fn end_over(&mut self) -> Option<EndId> {
        self.leg = None;
        self.end.take()
    }
}

impl Agents {
    /// A call comes in: rings now, and answers when it has rung long enough.
    pub(super) fn ring(&mut self, now: Now, leg: LegId, invite: &Message, around: &Surroundings<'_>) {
        self.figures.rung += 1;
        let end = match self.media.open(around.registry, Side::Callee, self.plan.answer.ip()) {
            Ok(end) => end,
            // No socket left on this machine.
            Err(_) => return self.endpoint.refuse(now, leg, Reply::new(503)),
        };
        let index = self.callees.len();
        self.callees.push(Callee { leg: Some(leg), end: Some(end), invite: invite.clone() });
        self.legs.insert(leg, Party::Callee(index));
        self.endpoint.provisional(now, leg, Reply::new(180));
        if self.plan.ring.is_zero() {
            self.answer(now, index);
        } else {
            self.deeds.push(std::cmp::Reverse((now.tick + self.plan.ring, Deed::Answer(index))));
        }
    }

    /// It has rung long enough. The caller may have given up meanwhile.
    pub(super) fn answer(&mut self, now: Now, index: usize) {
        let callee = &self.callees[index];
        if let (Some(leg), Some(end)) = (callee.leg, callee.end) {
            let body = self.description(end);
            self.endpoint.answer(now, leg, Reply::new(200).with_body(body));
        }
    }

    pub(super) fn handle_callee_event(&mut self, now: Now, index: usize, event: Event) {
        match event {
            Event::Acknowledged { request, .. } => {
                self.figures.acknowledged += 1;
                let callee = &self.callees[index];
                let (end, invite) = (callee.end, callee.invite.clone());
                // The offer came with the INVITE, or, when that had none, the answer comes with the ACK.
                let described = if invite.body().is_empty() { &request } else { &invite };
                if let Some(end) = end {
                    self.talk(now, end, described);
                }
            }
            Event::AckMissing { leg } => {
                self.endpoint.hangup(now, leg, Vec::new());
            }
            Event::Cancelled { .. } | Event::Bye { .. } => {}
            Event::Response { .. } | Event::RequestCancelled { .. } => {}
            // These belong to calling legs, or were taken before.
            Event::Invite { .. }
            | Event::Provisional { .. }
            | Event::Answered { .. }
            | Event::Failed { .. }
            | Event::Request { .. }
            | Event::Ended { .. }
            | Event::Resolve { .. } => {}
        }
    }
}
