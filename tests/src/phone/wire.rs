//! What comes from the wire: judged, told apart from copies, and passed to whom it concerns.

use std::net::SocketAddr;

use bytes::Bytes;
use clock::Tick;

use super::{Key, Phone, Role, Served, State};
use crate::sip::Sip;

impl Phone {
    pub(super) fn take_request(&mut self, now: Tick, from: SocketAddr, request: &Sip<'_>, bytes: &Bytes) {
        self.judge_request(now, request);
        let method = request.method();
        if method == "ACK" {
            return self.take_ack(now, request);
        }
        let key = (request.branch().to_owned(), method.to_owned());
        if let Some(served) = self.served.get(&key) {
            let is_copy = served.request == *bytes;
            let response = served.response.clone();
            if !is_copy {
                self.complain(now, format!("a {method} under a branch that was used before"));
            }
            if let Some(&leg) = self.by_call_id.get(request.call_id()) {
                self.legs[leg].log.copies += 1;
            }
            if let Some((to, bytes)) = response {
                self.out.push(super::Output::Sip { to, bytes });
            }
            return;
        }
        self.served.insert(key, Served { request: bytes.clone(), response: None });
        match (method, request.to_tag().is_empty()) {
            ("INVITE", true) => self.take_invite(now, from, request),
            ("CANCEL", _) => self.take_cancel(now, from, request),
            ("OPTIONS", true) => self.respond(now, from, request, 200, None),
            (_, true) => {
                self.complain(now, format!("a {method} outside a dialog"));
                self.respond(now, from, request, 481, None);
            }
            (_, false) => self.take_inside(now, from, request),
        }
    }

    pub(super) fn take_response(&mut self, now: Tick, response: &Sip<'_>, _: &Bytes) {
        let Some(&leg) = self.by_call_id.get(response.call_id()) else {
            return self.complain(now, format!("a response for nobody: {}", response.start));
        };
        self.judge_response(now, leg, response);
        let (cseq, method) = response.cseq();
        let branch = response.branch();
        let known = &self.legs[leg];
        match method {
            "INVITE" if branch == known.invite_branch && known.role == Role::Caller => {
                self.invite_answered(now, leg, response);
            }
            "INVITE" if known.reinvite.as_ref().is_some_and(|reinvite| reinvite.branch == branch) => {
                self.reinvite_answered(now, leg, response);
            }
            "INVITE" => {
                // The answer to an earlier re-INVITE again: its ACK was lost.
                let ack = known.reinvite_ack.clone().filter(|(acked, _)| *acked == cseq);
                if let (Some((_, bytes)), 200..) = (ack, response.status()) {
                    self.send_inside(now, leg, bytes);
                }
            }
            "CANCEL" => {
                self.repeats.remove(&Key::Request(branch.to_owned(), method.to_owned()));
            }
            _ => self.answered_inside(now, leg, response),
        }
    }

    /// Sends a response and keeps it for copies of the request.
    pub(super) fn respond(
        &mut self,
        now: Tick,
        to: SocketAddr,
        request: &Sip<'_>,
        status: u16,
        sdp: Option<&str>,
    ) {
        let tag = match self.by_call_id.get(request.call_id()) {
            Some(&leg) => self.legs[leg].local_tag.clone(),
            None => "nobody".to_owned(),
        };
        let bytes = self.write_response(request, status, &tag, sdp);
        let key = (request.branch().to_owned(), request.method().to_owned());
        self.keep_response(now, key, to, bytes);
    }

    pub(super) fn keep_response(&mut self, _: Tick, key: (String, String), to: SocketAddr, bytes: Bytes) {
        if let Some(served) = self.served.get_mut(&key) {
            served.response = Some((to, bytes.clone()));
        }
        self.out.push(super::Output::Sip { to, bytes });
    }

    fn judge_request(&mut self, now: Tick, request: &Sip<'_>) {
        let method = request.method();
        let mut wrong = Vec::new();
        if !request.branch().starts_with("z9hG4bK") {
            wrong.push("has no branch of RFC 3261".to_owned());
        }
        let hops = request.header("Max-Forwards").map(str::parse::<u8>);
        if !matches!(hops, Some(Ok(1..=70))) {
            wrong.push(format!("has Max-Forwards {hops:?}"));
        }
        if request.cseq().1 != method {
            wrong.push("has the CSeq of another method".to_owned());
        }
        if request.from_tag().is_empty() {
            wrong.push("has no From tag".to_owned());
        }
        if request.all("Contact").count() > 1 || request.all("Via").count() != 1 {
            wrong.push("has too many Contacts or Vias".to_owned());
        }
        if matches!(method, "INVITE" | "UPDATE") && request.contact().is_none() {
            wrong.push("has no Contact".to_owned());
        }
        for what in wrong {
            self.complain(now, format!("{method} {what}"));
        }
    }

    fn judge_response(&mut self, now: Tick, leg: usize, response: &Sip<'_>) {
        let leg = &mut self.legs[leg];
        let status = response.status();
        let mut wrong = Vec::new();
        if response.all("Via").count() != 1 {
            wrong.push("has not exactly our Via".to_owned());
        }
        let ours = if response.from_tag() == leg.local_tag { response.to_tag() } else { "" };
        if response.from_tag() != leg.local_tag {
            wrong.push("has not our From tag".to_owned());
        } else if status > 100 && ours.is_empty() {
            wrong.push("has no To tag".to_owned());
        } else if response.cseq().1 == "CANCEL" {
            // Of a CANCEL the tag only should be the same (RFC 3261 §9.2).
        } else if status > 100 && leg.remote_tag.is_empty() {
            leg.remote_tag = ours.to_owned();
        } else if status > 100 && leg.remote_tag != ours {
            wrong.push("has another To tag than before".to_owned());
        }
        if (200..300).contains(&status) && response.cseq().1 == "INVITE" && response.contact().is_none() {
            wrong.push("has no Contact".to_owned());
        }
        let start = response.start.to_owned();
        for what in wrong {
            self.complain(now, format!("{start} {what}"));
        }
    }

    /// An ACK: of a refusal, by its branch; of an answer, by its CSeq.
    fn take_ack(&mut self, now: Tick, ack: &Sip<'_>) {
        let Some(&index) = self.by_call_id.get(ack.call_id()) else {
            return self.complain(now, "an ACK for nobody".to_owned());
        };
        let refusal = Key::Refusal(ack.branch().to_owned());
        if self.repeats.remove(&refusal).is_some() {
            return;
        }
        let (cseq, _) = ack.cseq();
        let was_waiting = self.repeats.remove(&Key::Answer(index, cseq)).is_some();
        let leg = &mut self.legs[index];
        if !was_waiting {
            return; // a copy, or too late
        }
        if ack.branch() == leg.invite_branch {
            self.complain(now, "an ACK of a 2xx under the INVITE's branch (RFC 3261 §17.1.1.3)".to_owned());
        }
        let leg = &mut self.legs[index];
        if cseq == leg.invite_cseq && leg.role == Role::Callee {
            leg.log.acknowledged_at.get_or_insert(now);
            if leg.state == State::Answering {
                leg.state = State::Up;
            }
        }
        if leg.offered_in == Some(cseq) {
            leg.offered_in = None;
            let script = leg.script.clone();
            let taken = match ack.has_sdp() {
                true => leg.media.take_answer(ack.body, &script),
                // Nobody needs it in a call that ends; whether the BYE is on its way only an orderly network tells.
                false if leg.state != State::Up || !self.expects_order => Ok(()),
                false => Err("the ACK carries no answer to our offer".to_owned()),
            };
            if let Err(why) = taken {
                self.complain(now, why);
            }
        }
    }
}
