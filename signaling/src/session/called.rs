//! The leg that a peer begins: its INVITE until our final answer and the ACK to it (RFC 3261 §13.3).

use clock::Tick;

use super::{Order, Session, Stage, Unacked};
use crate::dialog::Dialog;
use crate::endpoint::{Event, LegId, Reply, RequestId, Source};
use crate::message::Message;
use crate::random::Token;
use crate::transaction::{Class, Timing};
use crate::{HeaderName, Method};

impl Session {
    /// Begins a leg for an INVITE that has been found in order.
    pub(crate) fn called(
        leg: LegId,
        timing: Timing,
        local_tag: Token,
        (server, source): (u64, Source),
        request: Message,
        out: &mut Vec<Order>,
    ) -> Session {
        let session = Session {
            leg,
            timing,
            call_id: request.call_id().into(),
            local_tag,
            is_caller: false,
            account: None,
            stage: Stage::Called { server, cseq: request.cseq().0 },
            dialogs: vec![Dialog::from_request(&request, local_tag)],
            ours: Vec::new(),
            theirs: Vec::new(),
            unacked: None,
            to_ack: Vec::new(),
        };
        session.emit(Event::Invite { leg, source, request }, out);
        session
    }

    /// The owner answers the INVITE that began the leg: provisional, 2xx or refusal.
    pub(crate) fn answer(&mut self, reply: Reply, out: &mut Vec<Order>) {
        let Stage::Called { server, cseq } = self.stage else { return };
        let class = Class::of(reply.status);
        out.push(Order::Respond { server, reply });
        match class {
            Class::Provisional => {}
            Class::Success => {
                self.unacked = Some(Unacked { server, cseq, first: true });
                self.stage = Stage::Confirmed;
            }
            Class::Failure => self.end(out),
        }
    }

    /// The INVITE of that transaction, or a re-INVITE, is cancelled. The CANCEL itself has been answered.
    pub(crate) fn handle_cancel(&mut self, server: u64, request: Message, out: &mut Vec<Order>) {
        match self.stage {
            Stage::Called { server: invite, .. } if invite == server => {
                out.push(Order::Respond { server, reply: Reply::new(487) });
                self.emit(Event::Cancelled { leg: self.leg, request: Some(request) }, out);
                self.end(out);
            }
            _ => {
                let Some(at) = self.theirs.iter().position(|theirs| theirs.server == server) else { return };
                self.theirs.remove(at);
                out.push(Order::Respond { server, reply: Reply::new(487) });
                self.emit(Event::RequestCancelled { leg: self.leg, id: RequestId(server) }, out);
            }
        }
    }

    /// An ACK has come in this leg. Says whether it was waited for.
    pub(crate) fn handle_ack(&mut self, request: Message, out: &mut Vec<Order>) -> bool {
        let from = request.from().tag().unwrap_or("").to_string();
        let waited = self.unacked.filter(|unacked| unacked.cseq == request.cseq().0);
        let Some(unacked) = waited.filter(|_| self.dialogs.iter().any(|dialog| dialog.remote_tag() == from))
        else {
            return false;
        };
        self.unacked = None;
        out.push(Order::StopAnswer { server: unacked.server });
        match &mut self.stage {
            Stage::Lingering { headers } => {
                let headers = std::mem::take(headers);
                self.leave(headers, out);
            }
            Stage::Confirmed => self.emit(Event::Acknowledged { leg: self.leg, request }, out),
            Stage::Calling { .. }
            | Stage::Proceeding
            | Stage::Cancelling { .. }
            | Stage::Called { .. }
            | Stage::Leaving
            | Stage::Over => {}
        }
        true
    }

    /// 64·T1 have passed since our 2xx without an ACK (RFC 3261 §13.3.1.4).
    pub(crate) fn handle_ack_missing(&mut self, server: u64, out: &mut Vec<Order>) {
        if self.unacked.is_none_or(|unacked| unacked.server != server) {
            return;
        }
        self.unacked = None;
        match &mut self.stage {
            Stage::Lingering { headers } => {
                let headers = std::mem::take(headers);
                self.leave(headers, out);
            }
            Stage::Confirmed => self.emit(Event::AckMissing { leg: self.leg }, out),
            Stage::Calling { .. }
            | Stage::Proceeding
            | Stage::Cancelling { .. }
            | Stage::Called { .. }
            | Stage::Leaving
            | Stage::Over => {}
        }
    }

    /// A BYE has come in a dialog of this leg (RFC 3261 §15.1.2).
    pub(super) fn handle_bye(&mut self, now: Tick, server: u64, request: Message, out: &mut Vec<Order>) {
        out.push(Order::Respond { server, reply: Reply::new(200) });
        match self.stage {
            Stage::Called { server: invite, .. } => {
                out.push(Order::Respond { server: invite, reply: Reply::new(487) });
                self.emit(Event::Bye { leg: self.leg, request }, out);
                self.end(out);
            }
            // A callee may not do so, but it can look so when its 2xx was lost (RFC 5407 §3.1.2): the INVITE's
            // answer is still to come and will be acknowledged.
            Stage::Calling { .. } | Stage::Proceeding => {
                self.emit(Event::Bye { leg: self.leg, request }, out);
                self.cancel(now, Vec::new(), out);
            }
            Stage::Confirmed => {
                self.emit(Event::Bye { leg: self.leg, request }, out);
                self.end(out);
            }
            // BYE has crossed BYE, or the hang-up that waits for its moment: nobody needs to be told.
            Stage::Lingering { .. } => self.end(out),
            Stage::Cancelling { .. } | Stage::Leaving | Stage::Over => {}
        }
    }
}

/// Whether a body that counts as an offer or answer is there.
pub(super) fn has_session_body(message: &Message) -> bool {
    !message.body().is_empty()
        && message.header(HeaderName::ContentType).is_some()
        && matches!(message.method(), Method::Invite | Method::Update)
}
