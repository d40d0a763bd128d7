//! A phone that calls: INVITE, its answers, CANCEL (RFC 3261 §9.1, §13.2, §17.1.1).

use clock::Tick;

use super::leg::{End, Role, State};
use super::write::{Request, address_of};
use super::{Key, Output, Phone};
use crate::script::Script;
use crate::sip::Sip;

/// A caller's number is this plus the number of the call.
pub const NUMBER_BASE: u16 = 7_000;

impl Phone {
    /// Calls `to`. Gives the leg's number.
    pub fn call(&mut self, now: Tick, number: u16, to: &str, script: Script) -> usize {
        let mut leg = self.new_leg(now, Role::Caller, number, script);
        leg.call_id = format!("call-{number}@{}", self.sip.ip());
        leg.local_uri = format!("<sip:{}@{}>", NUMBER_BASE + number, self.sip.ip());
        leg.remote_uri = format!("<sip:{to}@{}>", self.switch.ip());
        let transport = if self.carrier == super::Carrier::Tcp { ";transport=tcp" } else { "" };
        leg.remote_target = format!("sip:{to}@{}{transport}", self.switch);
        leg.invite_branch = self.new_branch();
        leg.invite_cseq = 1;
        leg.cseq = 1;
        let index = self.legs.len();
        self.by_call_id.insert(leg.call_id.clone(), index);
        self.legs.push(leg);
        let script = self.legs[index].script.clone();
        let sdp = self.legs[index].media.offer(&script);
        let branch = self.legs[index].invite_branch.clone();
        let bytes = self.write_request(
            index,
            &Request {
                method: "INVITE",
                branch: &branch,
                cseq: 1,
                headers: &script.headers,
                sdp: Some(&sdp),
            },
        );
        let key = Key::Request(branch, "INVITE".to_owned());
        self.send_repeatedly(now, key, index, self.switch, bytes);
        index
    }

    /// Takes the call back. Before anything was heard nothing can be sent (RFC 3261 §9.1).
    pub(super) fn cancel(&mut self, now: Tick, leg: usize) {
        let state = std::mem::replace(&mut self.legs[leg].state, State::Cancelling);
        self.legs[leg].wants_cancel = true;
        self.legs[leg].log.stop(now);
        if state == State::Proceeding {
            self.send_cancel(now, leg);
        }
    }

    fn send_cancel(&mut self, now: Tick, leg: usize) {
        self.legs[leg].wants_cancel = false;
        let branch = self.legs[leg].invite_branch.clone();
        let cseq = self.legs[leg].invite_cseq;
        // A CANCEL has the INVITE's To, without a tag (RFC 3261 §9.1).
        let tag = std::mem::take(&mut self.legs[leg].remote_tag);
        let request = Request { method: "CANCEL", branch: &branch, cseq, headers: &[], sdp: None };
        let bytes = self.write_request(leg, &request);
        self.legs[leg].remote_tag = tag;
        // If the INVITE is not answered in 64·T1 after this, it never will be.
        if let Some(invite) = self.repeats.get_mut(&Key::Request(branch.clone(), "INVITE".to_owned())) {
            invite.give_up_at = now + super::T1X64;
        }
        let key = Key::Request(branch, "CANCEL".to_owned());
        self.send_repeatedly(now, key, leg, self.switch, bytes);
    }

    /// A response to the INVITE that began the call.
    pub(super) fn invite_answered(&mut self, now: Tick, leg: usize, response: &Sip<'_>) {
        let status = response.status();
        match status {
            100..200 => self.progressed(now, leg, response),
            200..300 => self.accepted(now, leg, response),
            _ => self.refused(now, leg, response),
        }
    }

    fn progressed(&mut self, now: Tick, leg: usize, response: &Sip<'_>) {
        let key = Key::Request(self.legs[leg].invite_branch.clone(), "INVITE".to_owned());
        self.stop_repeating(&key);
        if let Some(invite) = self.repeats.get_mut(&key)
            && self.legs[leg].state == State::Calling
        {
            // A call that proceeds has no timer B; the script has its own patience.
            invite.give_up_at = now + self.legs[leg].script.gives_up_after + super::T1X64;
        }
        let status = response.status();
        let known = &mut self.legs[leg];
        match known.state {
            State::Calling => known.state = State::Proceeding,
            State::Proceeding | State::Cancelling => {}
            // Overtaken by the final response.
            State::Ringing | State::Answering | State::Up | State::Leaving | State::Ended => return,
        }
        if status > 100 {
            known.log.progress.push((now, status, response.has_sdp()));
        }
        if known.wants_cancel {
            return self.send_cancel(now, leg);
        }
        if response.has_sdp() {
            self.take_answer_of_invite(now, leg, response.body);
        }
    }

    fn take_answer_of_invite(&mut self, now: Tick, leg: usize, body: &str) {
        let phase = self.phase();
        let known = &mut self.legs[leg];
        let script = known.script.clone();
        match known.media.take_answer(body, &script) {
            Ok(()) => known.media.open(now, phase),
            Err(why) => self.complain(now, why),
        }
    }

    fn accepted(&mut self, now: Tick, leg: usize, response: &Sip<'_>) {
        let key = Key::Request(self.legs[leg].invite_branch.clone(), "INVITE".to_owned());
        self.repeats.remove(&key);
        if let Some(ack) = self.legs[leg].ack.clone() {
            return self.send_inside(now, leg, ack);
        }
        let known = &mut self.legs[leg];
        if known.log.answered_at.is_some() {
            return; // a copy, and this phone does not acknowledge
        }
        if let Some(status) = known.log.status.filter(|status| *status >= 300) {
            let what = format!("{} after {status}", response.start);
            return self.complain(now, what);
        }
        known.log.status.get_or_insert(response.status());
        known.log.response =
            response.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        known.remote_tag = response.to_tag().to_owned();
        if let Some(contact) = response.contact() {
            known.remote_target = contact.to_owned();
        }
        let unwanted = matches!(known.state, State::Cancelling | State::Ended);
        if known.script.acknowledges {
            self.acknowledge(now, leg);
        }
        self.legs[leg].answered(now);
        if !response.has_sdp() && self.legs[leg].media.remote.is_none() {
            self.complain(now, "a 200 without SDP".to_owned());
        }
        if response.has_sdp() {
            self.take_answer_of_invite(now, leg, response.body);
        }
        self.legs[leg].state = State::Up;
        if unwanted {
            self.legs[leg].media.close();
            // The 200 crossed our CANCEL: RFC 3261 §9.1 leaves us with a call that nobody wants.
            self.bye(now, leg);
        }
    }

    fn acknowledge(&mut self, now: Tick, leg: usize) {
        let branch = self.new_branch();
        let cseq = self.legs[leg].invite_cseq;
        let request = Request { method: "ACK", branch: &branch, cseq, headers: &[], sdp: None };
        let bytes = self.write_request(leg, &request);
        self.legs[leg].ack = Some(bytes.clone());
        self.legs[leg].log.acknowledged_at = Some(now);
        self.send_inside(now, leg, bytes);
    }

    fn refused(&mut self, now: Tick, leg: usize, response: &Sip<'_>) {
        let known = &self.legs[leg];
        let key = Key::Request(known.invite_branch.clone(), "INVITE".to_owned());
        self.repeats.remove(&key);
        let branch = known.invite_branch.clone();
        let cseq = known.invite_cseq;
        let (status, before) = (response.status(), known.log.status);
        // RFC 3261 §17.1.1.3: the ACK of a refusal has the refusal's To and the INVITE's branch.
        let tag = std::mem::replace(&mut self.legs[leg].remote_tag, response.to_tag().to_owned());
        let target = self.legs[leg].remote_target.clone();
        let request = Request { method: "ACK", branch: &branch, cseq, headers: &[], sdp: None };
        let bytes = self.write_request(leg, &request);
        self.legs[leg].remote_tag = tag;
        self.legs[leg].remote_target = target;
        self.out.push(Output::Sip { to: self.switch, bytes });
        if let Some(before) = before {
            if before != status {
                self.complain(now, format!("{status} after {before}"));
            }
            return;
        }
        let known = &mut self.legs[leg];
        known.log.status = Some(status);
        known.log.reason = response.header("Reason").map(str::to_owned);
        known.log.response =
            response.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let cancelled = known.state == State::Cancelling && status == 487;
        self.end(now, leg, if cancelled { End::Cancelled } else { End::Refused(status) });
    }

    /// Nobody answered a request of ours in time.
    pub(super) fn request_unanswered(&mut self, now: Tick, leg: usize, method: &str) {
        match method {
            "CANCEL" => {}
            "INVITE" if self.legs[leg].reinvite.is_some() => {
                self.legs[leg].reinvite = None;
                self.legs[leg].log.inside.push(("INVITE".to_owned(), 408, now));
                self.bye(now, leg);
            }
            "INVITE" | "BYE" => self.end(now, leg, End::TimedOut),
            _ => {
                self.legs[leg].updating = false;
                self.legs[leg].log.inside.push((method.to_owned(), 408, now));
                self.bye(now, leg);
            }
        }
    }

    /// Sends within the dialog, where its remote target leads.
    pub(super) fn send_inside(&mut self, now: Tick, leg: usize, bytes: bytes::Bytes) {
        let to = self.inside_address(now, leg);
        self.out.push(Output::Sip { to, bytes });
    }

    pub(super) fn inside_address(&mut self, now: Tick, leg: usize) -> std::net::SocketAddr {
        match address_of(&self.legs[leg].remote_target) {
            Some(to) => to,
            None => {
                self.complain(now, format!("a Contact that leads nowhere: {}", self.legs[leg].remote_target));
                self.switch
            }
        }
    }
}
