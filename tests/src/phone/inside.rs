//! Inside the dialog: BYE, re-INVITE, UPDATE and the rest, both ways (RFC 3261 §12, §14, §15).

use std::net::SocketAddr;

use clock::Tick;

use super::leg::{End, Reinvite, Role, State};
use super::write::Request;
use super::{Key, Phone};
use crate::script::{Do, Way, ms};
use crate::sip::Sip;

/// How often a re-INVITE is tried when it meets another (RFC 3261 §14.1).
const GLARE_TRIES_MAX: u32 = 4;

impl Phone {
    /// Ends a call that was answered.
    pub(super) fn bye(&mut self, now: Tick, leg: usize) {
        let known = &mut self.legs[leg];
        if matches!(known.state, State::Leaving | State::Ended) {
            return;
        }
        if known.state == State::Answering && !known.log.unacknowledged {
            // RFC 3261 §15: the callee waits for the ACK, or for the end of waiting.
            known.agenda.push((now + ms(100), Do::HangUp));
            return;
        }
        known.state = State::Leaving;
        known.log.stop(now);
        known.agenda.clear();
        known.media.close();
        self.request(now, leg, "BYE", None);
    }

    /// INFO and its like.
    pub(super) fn ask_inside(&mut self, now: Tick, leg: usize, method: &'static str) {
        if self.legs[leg].state == State::Up {
            self.request(now, leg, method, None);
        }
    }

    /// UPDATE with an offer.
    pub(super) fn update(&mut self, now: Tick, leg: usize, way: Way) {
        if self.legs[leg].state == State::Up && !self.legs[leg].is_offering() {
            self.legs[leg].updating = true;
            let sdp = self.offer_anew(now, leg, way);
            self.request(now, leg, "UPDATE", Some(sdp));
        }
    }

    /// A re-INVITE: with an offer, or asking for one.
    pub(super) fn reinvite(&mut self, now: Tick, leg: usize, way: Option<Way>) {
        self.try_reinvite(now, leg, way, 0);
    }

    fn try_reinvite(&mut self, now: Tick, leg: usize, way: Option<Way>, tries: u32) {
        if self.legs[leg].state != State::Up || self.legs[leg].is_offering() {
            return; // one offer at a time (RFC 3264 §4)
        }
        let sdp = way.map(|way| self.offer_anew(now, leg, way));
        let branch = self.request(now, leg, "INVITE", sdp);
        let cseq = self.legs[leg].cseq;
        self.legs[leg].reinvite = Some(Reinvite { branch, cseq, way, tries });
    }

    fn offer_anew(&mut self, now: Tick, leg: usize, way: Way) -> String {
        let known = &mut self.legs[leg];
        known.log.stop(now);
        known.media.way = way;
        let script = known.script.clone();
        known.media.offer(&script)
    }

    fn request(&mut self, now: Tick, leg: usize, method: &str, sdp: Option<String>) -> String {
        self.legs[leg].cseq += 1;
        let (branch, cseq) = (self.new_branch(), self.legs[leg].cseq);
        let request = Request { method, branch: &branch, cseq, headers: &[], sdp: sdp.as_deref() };
        let bytes = self.write_request(leg, &request);
        let to = self.inside_address(now, leg);
        self.send_repeatedly(now, Key::Request(branch.clone(), method.to_owned()), leg, to, bytes);
        branch
    }

    /// A response to something that we asked inside the dialog.
    pub(super) fn answered_inside(&mut self, now: Tick, leg: usize, response: &Sip<'_>) {
        let (_, method) = response.cseq();
        let key = Key::Request(response.branch().to_owned(), method.to_owned());
        if !self.repeats.contains_key(&key) {
            return; // a copy
        }
        let status = response.status();
        if status < 200 {
            return;
        }
        self.repeats.remove(&key);
        self.legs[leg].log.inside.push((method.to_owned(), status, now));
        if method == "BYE" {
            return self.end(now, leg, End::HungUp);
        }
        if method == "UPDATE" {
            self.legs[leg].updating = false;
        }
        if method == "UPDATE" && (200..300).contains(&status) && response.has_sdp() {
            self.take_renewed(now, leg, response.body);
        }
        if matches!(status, 408 | 481) {
            self.bye(now, leg);
        }
    }

    /// A response to our re-INVITE.
    pub(super) fn reinvite_answered(&mut self, now: Tick, leg: usize, response: &Sip<'_>) {
        let key = Key::Request(response.branch().to_owned(), "INVITE".to_owned());
        let status = response.status();
        if status < 200 {
            return self.stop_repeating(&key);
        }
        self.repeats.remove(&key);
        let Some(reinvite) = self.legs[leg].reinvite.take() else { return };
        self.legs[leg].log.inside.push(("INVITE".to_owned(), status, now));
        if (200..300).contains(&status) {
            if let Some(contact) = response.contact() {
                self.legs[leg].remote_target = contact.to_owned();
            }
            let answer = self.settle_reinvite(now, leg, &reinvite, response);
            let branch = self.new_branch();
            let request = Request {
                method: "ACK",
                branch: &branch,
                cseq: reinvite.cseq,
                headers: &[],
                sdp: answer.as_deref(),
            };
            let bytes = self.write_request(leg, &request);
            self.legs[leg].reinvite_ack = Some((reinvite.cseq, bytes.clone()));
            return self.send_inside(now, leg, bytes);
        }
        let branch = reinvite.branch.clone();
        let request =
            Request { method: "ACK", branch: &branch, cseq: reinvite.cseq, headers: &[], sdp: None };
        let bytes = self.write_request(leg, &request);
        self.send_inside(now, leg, bytes);
        // Whoever refused it hears it again if the ACK is lost; the refusal finds its leg by the old branch.
        match status {
            491 if reinvite.tries < GLARE_TRIES_MAX => {
                // RFC 3261 §14.1: the owner of the Call-ID waits longer.
                let wait = match self.legs[leg].role {
                    Role::Caller => ms(self.random.between(2_100, 4_000)),
                    Role::Callee => ms(self.random.between(0, 2_000)),
                };
                let again = reinvite.way.map_or(Do::AskForOffer, Do::Offer);
                self.legs[leg].agenda.push((now + wait, again));
            }
            408 | 481 => self.bye(now, leg),
            _ => {}
        }
    }

    /// Takes what a 2xx to our re-INVITE says; gives the answer that its ACK must carry.
    fn settle_reinvite(
        &mut self,
        now: Tick,
        leg: usize,
        reinvite: &Reinvite,
        response: &Sip<'_>,
    ) -> Option<String> {
        if !response.has_sdp() {
            self.complain(now, "a 200 to a re-INVITE without SDP".to_owned());
            return None;
        }
        if reinvite.way.is_some() {
            self.take_renewed(now, leg, response.body);
            return None;
        }
        let known = &mut self.legs[leg];
        let script = known.script.clone();
        let answer = known.media.answer(response.body, &script);
        if answer.is_none() {
            self.complain(now, "an offer in a 200 that fits nothing".to_owned());
        }
        answer
    }

    fn take_renewed(&mut self, now: Tick, leg: usize, body: &str) {
        let script = self.legs[leg].script.clone();
        if let Err(why) = self.legs[leg].media.take_answer(body, &script) {
            self.complain(now, why);
        }
    }

    /// A request of the other side inside the dialog.
    pub(super) fn take_inside(&mut self, now: Tick, from: SocketAddr, request: &Sip<'_>) {
        let Some(&leg) = self.by_call_id.get(request.call_id()) else {
            self.complain(now, format!("{} for an unknown call", request.start));
            return self.respond(now, from, request, 481, None);
        };
        let known = &mut self.legs[leg];
        if request.to_tag() != known.local_tag || request.from_tag() != known.remote_tag {
            let what = format!("{} with tags of another dialog", request.start);
            self.complain(now, what);
            return self.respond(now, from, request, 481, None);
        }
        let (cseq, method) = request.cseq();
        if cseq <= known.remote_cseq && known.remote_cseq > 0 {
            let what = format!("{method} {cseq} after {} (RFC 3261 §12.2.1.1)", known.remote_cseq);
            // What the network put out of order is no fault of the switch.
            if self.expects_order {
                self.complain(now, what);
            }
            let status = if self.legs[leg].state == State::Ended { 481 } else { 500 };
            return match method {
                "INVITE" => self.refuse_reinvite(now, from, leg, request, status),
                _ => self.respond(now, from, request, status, None),
            };
        }
        self.legs[leg].remote_cseq = cseq;
        if method != "BYE" && self.legs[leg].state == State::Ended {
            return match method {
                "INVITE" => self.refuse_reinvite(now, from, leg, request, 481),
                _ => self.respond(now, from, request, 481, None),
            };
        }
        self.legs[leg].log.asked.push((method.to_owned(), request.has_sdp(), now));
        match method {
            "BYE" => self.take_bye(now, from, leg, request),
            "INVITE" => self.take_reinvite(now, from, leg, request),
            "UPDATE" if request.has_sdp() && self.legs[leg].is_offering() => {
                self.respond(now, from, request, 491, None);
            }
            "UPDATE" if request.has_sdp() => {
                let answer = self.answer_anew(now, leg, request);
                let status = if answer.is_some() { 200 } else { 488 };
                self.respond(now, from, request, status, answer.as_deref());
            }
            "INFO" | "OPTIONS" | "UPDATE" => self.respond(now, from, request, 200, None),
            _ => self.respond(now, from, request, 501, None),
        }
    }

    fn take_bye(&mut self, now: Tick, from: SocketAddr, leg: usize, request: &Sip<'_>) {
        let is_over = self.legs[leg].state == State::Ended;
        let status = if is_over { 481 } else { 200 };
        self.respond(now, from, request, status, None);
        if is_over {
            return;
        }
        self.legs[leg].log.reason = request.header("Reason").map(str::to_owned);
        self.end(now, leg, End::HungUpByPeer);
    }

    fn take_reinvite(&mut self, now: Tick, from: SocketAddr, leg: usize, request: &Sip<'_>) {
        if self.legs[leg].is_offering() {
            return self.refuse_reinvite(now, from, leg, request, 491);
        }
        if let Some(contact) = request.contact() {
            self.legs[leg].remote_target = contact.to_owned();
        }
        let sdp = if request.has_sdp() {
            self.answer_anew(now, leg, request)
        } else {
            self.legs[leg].offered_in = Some(request.cseq().0);
            let way = self.legs[leg].media.way;
            Some(self.offer_anew(now, leg, way))
        };
        let Some(sdp) = sdp else { return self.refuse_reinvite(now, from, leg, request, 488) };
        let tag = self.legs[leg].local_tag.clone();
        let bytes = self.write_response(request, 200, &tag, Some(&sdp));
        let key = (request.branch().to_owned(), "INVITE".to_owned());
        if let Some(served) = self.served.get_mut(&key) {
            served.response = Some((from, bytes.clone()));
        }
        self.send_repeatedly(now, Key::Answer(leg, request.cseq().0), leg, from, bytes);
    }

    fn refuse_reinvite(&mut self, now: Tick, from: SocketAddr, leg: usize, request: &Sip<'_>, status: u16) {
        let tag = self.legs[leg].local_tag.clone();
        let bytes = self.write_response(request, status, &tag, None);
        let branch = request.branch().to_owned();
        if let Some(served) = self.served.get_mut(&(branch.clone(), "INVITE".to_owned())) {
            served.response = Some((from, bytes.clone()));
        }
        self.send_repeatedly(now, Key::Refusal(branch), leg, from, bytes);
    }

    fn answer_anew(&mut self, now: Tick, leg: usize, request: &Sip<'_>) -> Option<String> {
        let known = &mut self.legs[leg];
        known.log.stop(now);
        let script = known.script.clone();
        known.media.answer(request.body, &script)
    }
}
