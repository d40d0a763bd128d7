//! Requests inside a call, both ways, and what happens when they meet (RFC 3261 §12.2, §14; RFC 3311 §5).

use core::time::Duration;

use clock::Tick;

use super::called::has_session_body;
use super::{
    Draft, Final, Flight, Headers, OURS_MAX, Order, Purpose, Session, Stage, THEIRS_MAX, Theirs, ToAck,
    Unacked,
};
use crate::Method;
use crate::dialog::contact_of;
use crate::endpoint::{Body, Event, Reply, RequestError, RequestId};
use crate::message::Message;
use crate::random::Random;
use crate::transaction::Class;

/// Longest Retry-After for an overlapping request, in seconds (RFC 3261 §14.2).
const OVERLAP_RETRY_S_MAX: u32 = 10;
/// Grain of the wait after glare (RFC 3261 §14.1).
const GLARE_UNIT: Duration = Duration::from_millis(10);

impl Session {
    /// A request has come whose To tag is ours. Methods that nobody here takes have been refused before. Returns the
    /// status that it is refused with, if it is.
    pub(crate) fn handle_request(
        &mut self,
        now: Tick,
        server: u64,
        request: Message,
        random: &mut Random,
        out: &mut Vec<Order>,
    ) -> Option<u16> {
        if let Some(reply) = self.refusal(&request, random) {
            let status = reply.status;
            out.push(Order::Respond { server, reply });
            return Some(status);
        }
        if *request.method() == Method::Bye {
            self.handle_bye(now, server, request, out);
            return None;
        }
        self.theirs.push(Theirs {
            server,
            method: request.method().clone(),
            cseq: request.cseq().0,
            has_body: has_session_body(&request),
            target: contact_of(&request).map(Into::into),
        });
        self.emit(Event::Request { leg: self.leg, id: RequestId(server), request }, out);
        None
    }

    /// Why a request is not passed on to the owner: no such dialog (any more), overtaken, or in the way of another.
    fn refusal(&mut self, request: &Message, random: &mut Random) -> Option<Reply> {
        let from = request.from();
        let remote_tag = from.tag().unwrap_or("");
        let Some(dialog) = self.dialogs.iter_mut().find(|dialog| dialog.remote_tag() == remote_tag) else {
            return Some(Reply::new(481));
        };
        if dialog.accept_cseq(request.cseq().0).is_err() {
            return Some(Reply::new(500));
        }
        if *request.method() == Method::Bye {
            return None;
        }
        if !self.is_wanted() {
            return Some(Reply::new(481));
        }
        Some(match self.collision(request)? {
            Collision::Glare => Reply::new(491),
            Collision::Overlap => {
                Reply::new(500).with_header("Retry-After", random.between(0, OVERLAP_RETRY_S_MAX).to_string())
            }
        })
    }

    /// The owner answers a request of the peer.
    pub(crate) fn respond(&mut self, server: u64, reply: Reply, out: &mut Vec<Order>) {
        let Some(at) = self.theirs.iter().position(|theirs| theirs.server == server) else { return };
        let class = Class::of(reply.status);
        if class != Class::Provisional {
            let theirs = self.theirs.remove(at);
            if class == Class::Success {
                self.accept(&theirs);
            }
        }
        out.push(Order::Respond { server, reply });
    }

    /// The owner asks something of the peer.
    pub(crate) fn request(
        &mut self,
        id: RequestId,
        method: Method,
        (headers, body): (Headers, Option<Body>),
        out: &mut Vec<Order>,
    ) -> Result<(), RequestError> {
        match (&self.stage, &method) {
            (_, Method::Ack | Method::Bye | Method::Cancel) => return Err(RequestError::Method),
            (Stage::Confirmed, Method::Invite) if self.is_inviting() => return Err(RequestError::Busy),
            (Stage::Confirmed, _) => {}
            (Stage::Calling { hangup: None } | Stage::Proceeding | Stage::Called { .. }, Method::Invite) => {
                return Err(RequestError::Method);
            }
            (Stage::Calling { hangup: None } | Stage::Proceeding | Stage::Called { .. }, _) => {}
            (
                Stage::Calling { hangup: Some(_) }
                | Stage::Cancelling { .. }
                | Stage::Lingering { .. }
                | Stage::Leaving
                | Stage::Over,
                _,
            ) => return Err(RequestError::Leg),
        }
        if self.ours.len() >= OURS_MAX {
            return Err(RequestError::Limit);
        }
        let dialog = self.dialogs.last_mut().ok_or(RequestError::Dialog)?;
        let draft = Draft { headers, body, ..dialog.request(method) };
        self.send(Purpose::Request(id), draft, out);
        Ok(())
    }

    /// The owner acknowledges a 2xx: to the INVITE that began the leg, or to the re-INVITE `id`.
    pub(crate) fn ack(&mut self, id: Option<RequestId>, body: Option<Body>, out: &mut Vec<Order>) {
        if let Some(at) = self.to_ack.iter().position(|to_ack| to_ack.id == id) {
            let to_ack = self.to_ack.remove(at);
            self.ack_one(to_ack, body, out);
        }
    }

    /// The final answer to a request that the owner sent.
    pub(super) fn handle_request_final(
        &mut self,
        now: Tick,
        id: RequestId,
        last: Final,
        random: &mut Random,
        out: &mut Vec<Order>,
    ) {
        let Final { purpose, client, draft, response } = last;
        let status = response.status();
        let may_rest = self.is_wanted() && matches!(draft.method, Method::Invite | Method::Update);
        if status == 491 && may_rest {
            let until = now + glare_wait(self.is_caller, random);
            let ours = self.ours.iter_mut().find(|ours| ours.purpose == purpose && !ours.glared);
            if let Some(ours) = ours {
                ours.glared = true;
                ours.flight = Flight::Resting { until, draft };
                return;
            }
        }
        self.take_ours(purpose);
        if Class::of(status) == Class::Success && matches!(draft.method, Method::Invite | Method::Update) {
            self.note_accepted((id, client), &draft, &response);
        }
        if self.is_wanted() {
            self.emit(Event::Response { leg: self.leg, id, response: Some(response), status }, out);
        } else {
            self.ack_rest(out);
        }
    }

    /// Sends what glare had delayed (RFC 3261 §14.1). While an INVITE of the peer is in progress it waits again.
    pub(super) fn wake_rested(&mut self, now: Tick, random: &mut Random, out: &mut Vec<Order>) {
        let is_due = |flight: &Flight| matches!(flight, Flight::Resting { until, .. } if *until <= now);
        while let Some(at) = self.ours.iter().position(|ours| is_due(&ours.flight)) {
            let must_wait = self.ours[at].method == Method::Invite && self.is_inviting();
            let wait = glare_wait(self.is_caller, random);
            let ours = &mut self.ours[at];
            let Flight::Resting { until, draft } = &mut ours.flight else { return };
            if must_wait {
                *until = now + wait.max(GLARE_UNIT);
                continue;
            }
            let Some(dialog) = self.dialogs.last_mut() else { return };
            dialog.renew(draft);
            let (purpose, draft) = (ours.purpose, draft.clone());
            ours.flight = Flight::Ordered;
            out.push(Order::Send { purpose, draft });
        }
    }

    /// What stands in the way of a re-INVITE or UPDATE of the peer.
    fn collision(&self, request: &Message) -> Option<Collision> {
        let has_body = has_session_body(request);
        let is_first_open = matches!(self.stage, Stage::Called { .. });
        let is_calling = matches!(self.stage, Stage::Calling { .. } | Stage::Proceeding);
        let theirs = |wanted: fn(&Theirs) -> bool| is_first_open || self.theirs.iter().any(wanted);
        match request.method() {
            _ if self.theirs.len() >= THEIRS_MAX => Some(Collision::Overlap),
            Method::Invite if theirs(|theirs| theirs.method == Method::Invite) => Some(Collision::Overlap),
            // Until the ACK has come the last offer and answer are not settled (RFC 5407 §3.1.4).
            Method::Invite if is_calling || self.is_inviting() => Some(Collision::Glare),
            // Only an UPDATE with an offer can collide (RFC 3311 §5.2).
            Method::Update if has_body && theirs(|theirs| theirs.has_body) => Some(Collision::Overlap),
            Method::Update if has_body && (is_calling || self.has_offer_out()) => Some(Collision::Glare),
            _ => None,
        }
    }

    /// Whether an INVITE of either side is not finished. One that rests after glare does not count.
    fn is_inviting(&self) -> bool {
        let in_the_air = |ours: &super::Ours| {
            ours.method == Method::Invite && !matches!(ours.flight, Flight::Resting { .. })
        };
        self.unacked.is_some()
            || !self.to_ack.is_empty()
            || self.ours.iter().any(in_the_air)
            || self.theirs.iter().any(|theirs| theirs.method == Method::Invite)
    }

    fn has_offer_out(&self) -> bool {
        self.ours.iter().any(|ours| {
            ours.has_body
                && matches!(ours.method, Method::Invite | Method::Update)
                && !matches!(ours.flight, Flight::Resting { .. })
        })
    }

    /// We accepted a request of the peer: its target counts, and a re-INVITE waits for its ACK.
    fn accept(&mut self, theirs: &Theirs) {
        if !matches!(theirs.method, Method::Invite | Method::Update) {
            return;
        }
        if let (Some(target), Some(dialog)) = (&theirs.target, self.dialogs.last_mut()) {
            dialog.set_target(target);
        }
        if theirs.method == Method::Invite {
            self.unacked = Some(Unacked { server: theirs.server, cseq: theirs.cseq, first: false });
        }
    }

    /// The peer accepted a request of ours: its target counts, and a re-INVITE waits for the owner's `ack`.
    fn note_accepted(&mut self, (id, client): (RequestId, u64), draft: &Draft, response: &Message) {
        let Some(dialog) = self.dialogs.last_mut() else { return };
        dialog.refresh_target(response);
        if draft.method == Method::Invite {
            self.to_ack.push(ToAck {
                client,
                id: Some(id),
                remote_tag: dialog.remote_tag().into(),
                cseq: draft.cseq,
                authorization: draft.authorization.clone(),
            });
        }
    }
}

/// How two requests meet.
enum Collision {
    /// Ours is in the air (491).
    Glare,
    /// An earlier one of theirs has no answer yet (500).
    Overlap,
}

/// How long to wait before a request refused with 491 is sent again, in units of 10 ms (RFC 3261 §14.1).
fn glare_wait(is_caller: bool, random: &mut Random) -> Duration {
    let (low, high) = if is_caller { (210, 400) } else { (0, 200) };
    GLARE_UNIT * random.between(low, high)
}
