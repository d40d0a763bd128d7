//! A phone that is called: its answers, and being cancelled (RFC 3261 §9.2, §13.3, §17.2.1).

use std::net::SocketAddr;

use clock::Tick;

use super::calling::NUMBER_BASE;
use super::leg::{End, Role, State};
use super::write::head_of;
use super::{Carrier, Key, Output, Phone};
use crate::script::{OnCancel, Script, s};
use crate::sip::{Sip, inside_brackets, user};

impl Phone {
    pub(super) fn take_invite(&mut self, now: Tick, from: SocketAddr, invite: &Sip<'_>) {
        if self.by_call_id.contains_key(invite.call_id()) {
            return self.complain(now, "a second INVITE of one call".to_owned());
        }
        let number =
            invite.from_user().parse::<u16>().ok().and_then(|number| number.checked_sub(NUMBER_BASE));
        if number.is_none() {
            self.complain(now, format!("a caller without a number: {:?}", invite.header("From")));
        }
        let script = self.script_of(user(invite.uri()));
        let mut leg = self.new_leg(now, Role::Callee, number.unwrap_or(0), script);
        leg.dialled = invite.uri().to_owned();
        leg.call_id = invite.call_id().to_owned();
        leg.remote_tag = invite.from_tag().to_owned();
        leg.remote_uri = without_tag(invite.header("From").unwrap_or_default());
        leg.local_uri = without_tag(invite.header("To").unwrap_or_default());
        leg.remote_target = invite.contact().unwrap_or_default().to_owned();
        leg.invite_branch = invite.branch().to_owned();
        (leg.invite_cseq, leg.remote_cseq) = (invite.cseq().0, invite.cseq().0);
        leg.cseq = 100;
        leg.invite_head = head_of(invite);
        leg.invite_source = Some(from);
        leg.invite_sdp = invite.body.to_owned();
        leg.log.invite = invite.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        if !invite.has_sdp() {
            self.complain(now, "an INVITE without SDP".to_owned());
        }
        let index = self.legs.len();
        self.by_call_id.insert(leg.call_id.clone(), index);
        self.legs.push(leg);
        if self.legs[index].script.tries && !self.legs[index].script.silent {
            let bytes = self.write_answer(&self.legs[index].invite_head.clone(), 100, "", &[], None);
            self.respond_to_invite(now, index, bytes);
        }
    }

    fn script_of(&mut self, user: &str) -> Script {
        let fallback = || Script::answers(s(1));
        let Some(scripts) = self.scripts.get_mut(user) else { return fallback() };
        if scripts.len() > 1 { scripts.pop_front() } else { scripts.front().cloned() }
            .unwrap_or_else(fallback)
    }

    /// A provisional response.
    pub(super) fn progress(&mut self, now: Tick, leg: usize, status: u16, with_sdp: bool) {
        if self.legs[leg].state != State::Ringing {
            return;
        }
        let sdp = if with_sdp { self.answer_of_invite(now, leg) } else { None };
        if with_sdp && sdp.is_none() {
            return self.refuse(now, leg, 488, None);
        }
        let (head, tag) = (self.legs[leg].invite_head.clone(), self.legs[leg].local_tag.clone());
        let bytes = self.write_answer(&head, status, &tag, &[], sdp.as_deref());
        self.respond_to_invite(now, leg, bytes);
    }

    /// 200.
    pub(super) fn answer(&mut self, now: Tick, leg: usize) {
        if self.legs[leg].state != State::Ringing {
            return;
        }
        let Some(sdp) = self.answer_of_invite(now, leg) else { return self.refuse(now, leg, 488, None) };
        let known = &mut self.legs[leg];
        known.state = State::Answering;
        known.log.status = Some(200);
        known.answered(now);
        let (head, tag, cseq) = (known.invite_head.clone(), known.local_tag.clone(), known.invite_cseq);
        let bytes = self.write_answer(&head, 200, &tag, &[], Some(&sdp));
        self.keep_for_copies(leg, &bytes);
        let to = self.legs[leg].invite_source.unwrap_or(self.switch);
        self.send_repeatedly(now, Key::Answer(leg, cseq), leg, to, bytes);
    }

    /// 300 or above.
    pub(super) fn refuse(&mut self, now: Tick, leg: usize, status: u16, header: Option<(String, String)>) {
        let known = &self.legs[leg];
        if known.role != Role::Callee || known.state != State::Ringing {
            return;
        }
        let (head, tag) = (known.invite_head.clone(), known.local_tag.clone());
        let headers: Vec<(String, String)> = header.into_iter().collect();
        let bytes = self.write_answer(&head, status, &tag, &headers, None);
        let branch = known.invite_branch.clone();
        self.legs[leg].log.status = Some(status);
        self.keep_for_copies(leg, &bytes);
        let to = self.legs[leg].invite_source.unwrap_or(self.switch);
        match self.carrier {
            Carrier::Udp => self.send_repeatedly(now, Key::Refusal(branch), leg, to, bytes),
            Carrier::Tcp => self.out.push(Output::Sip { to, bytes }),
        }
        let cancelled = status == 487;
        self.end(now, leg, if cancelled { End::Cancelled } else { End::Refused(status) });
    }

    pub(super) fn take_cancel(&mut self, now: Tick, from: SocketAddr, cancel: &Sip<'_>) {
        let leg = self.by_call_id.get(cancel.call_id()).copied();
        let leg = leg.filter(|leg| self.legs[*leg].invite_branch == cancel.branch());
        let Some(leg) = leg else {
            self.complain(now, "a CANCEL that fits no INVITE".to_owned());
            return self.respond(now, from, cancel, 481, None);
        };
        if cancel.cseq().0 != self.legs[leg].invite_cseq {
            self.complain(now, "a CANCEL with another number than its INVITE".to_owned());
        }
        if !self.legs[leg].log.cancelled {
            self.legs[leg].log.cancelled = true;
            let reason = cancel.header("Reason").map(str::to_owned);
            let log = &mut self.legs[leg].log;
            log.reason = log.reason.take().or(reason);
            log.stop(now);
        }
        if self.legs[leg].script.silent {
            return;
        }
        self.respond(now, from, cancel, 200, None);
        if self.legs[leg].state != State::Ringing {
            return;
        }
        match self.legs[leg].script.on_cancel {
            OnCancel::Obey => self.refuse(now, leg, 487, None),
            OnCancel::AnswerInstead => self.answer(now, leg),
            OnCancel::Ignore => {}
        }
    }

    /// The answer to the INVITE's offer: the same in every response.
    fn answer_of_invite(&mut self, now: Tick, leg: usize) -> Option<String> {
        if let Some(answer) = &self.legs[leg].answer_sdp {
            return Some(answer.clone());
        }
        let phase = self.phase();
        let known = &mut self.legs[leg];
        let (offer, script) = (known.invite_sdp.clone(), known.script.clone());
        let answer = known.media.answer(&offer, &script)?;
        known.media.open(now, phase);
        known.answer_sdp = Some(answer.clone());
        Some(answer)
    }

    fn respond_to_invite(&mut self, _: Tick, leg: usize, bytes: bytes::Bytes) {
        self.keep_for_copies(leg, &bytes);
        let to = self.legs[leg].invite_source.unwrap_or(self.switch);
        self.out.push(Output::Sip { to, bytes });
    }

    fn keep_for_copies(&mut self, leg: usize, bytes: &bytes::Bytes) {
        let known = &self.legs[leg];
        let key = (known.invite_branch.clone(), "INVITE".to_owned());
        if let (Some(served), Some(to)) = (self.served.get_mut(&key), known.invite_source) {
            served.response = Some((to, bytes.clone()));
        }
    }
}

/// A name-addr in brackets without its header parameters.
fn without_tag(value: &str) -> String {
    format!("<{}>", inside_brackets(value))
}
