//! The leg that we begin: our INVITE until its final answer (RFC 3261 §13.2, §9.1).

use clock::Tick;

use super::{Draft, EARLY_DIALOGS_MAX, Final, Flight, Order, Purpose, Session, Stage, ToAck};
use crate::HeaderName;
use crate::dialog::Dialog;
use crate::digest::{Challenge, Key, Secret};
use crate::endpoint::{Account, Event, FailureOrigin, LegId};
use crate::message::Message;
use crate::random::{Random, Token};
use crate::transaction::{Class, Timing};

impl Session {
    /// Begins a leg with `draft`, which carries everything but our tag.
    pub(crate) fn call(
        (leg, timing): (LegId, Timing),
        local_tag: Token,
        account: Option<Account>,
        draft: Draft,
        out: &mut Vec<Order>,
    ) -> Session {
        let mut session = Session {
            leg,
            timing,
            call_id: (*draft.call_id).into(),
            local_tag,
            is_caller: true,
            account,
            stage: Stage::Calling { hangup: None },
            dialogs: Vec::new(),
            ours: Vec::new(),
            theirs: Vec::new(),
            unacked: None,
            to_ack: Vec::new(),
        };
        session.send(Purpose::Invite, draft, out);
        session
    }

    /// A provisional response to a request of ours; only the first INVITE's are of interest.
    pub(crate) fn handle_provisional(
        &mut self,
        now: Tick,
        purpose: Purpose,
        draft: &Draft,
        response: Message,
        out: &mut Vec<Order>,
    ) {
        if purpose != Purpose::Invite {
            return;
        }
        match &mut self.stage {
            Stage::Calling { hangup: Some(headers) } => {
                let headers = std::mem::take(headers);
                return self.cancel(now, headers, out);
            }
            Stage::Calling { hangup: None } => self.stage = Stage::Proceeding,
            Stage::Proceeding => {}
            Stage::Cancelling { .. }
            | Stage::Called { .. }
            | Stage::Confirmed
            | Stage::Lingering { .. }
            | Stage::Leaving
            | Stage::Over => return,
        }
        if response.status() > 100 {
            self.learn_early_dialog(draft, &response);
            self.emit(Event::Provisional { leg: self.leg, response }, out);
        }
    }

    /// The final answer to a request of ours.
    pub(crate) fn handle_final(&mut self, now: Tick, last: Final, random: &mut Random, out: &mut Vec<Order>) {
        let Final { purpose, client, draft, response } = last;
        let draft = match self.authorize(purpose, draft, &response, random, out) {
            Some(draft) => draft,
            None => return, // sent again with credentials
        };
        match (purpose, Class::of(response.status())) {
            (Purpose::Invite, Class::Success) => self.handle_accepted(client, &draft, response, out),
            (Purpose::Invite, _) => {
                self.take_ours(purpose);
                self.fail(response.status(), FailureOrigin::Peer, Some(response), out);
            }
            (Purpose::Bye, _) => {
                self.take_ours(purpose);
                self.end(out);
            }
            (Purpose::Request(id), _) => {
                let last = Final { purpose, client, draft, response };
                self.handle_request_final(now, id, last, random, out);
            }
            (Purpose::Unowned, _) => {}
        }
    }

    /// Whether a 2xx of that fork waits for the owner's `ack`.
    pub(crate) fn waits_for_owner(&self, client: u64, remote_tag: &str) -> bool {
        self.to_ack.iter().any(|to_ack| to_ack.client == client && *to_ack.remote_tag == *remote_tag)
    }

    fn handle_accepted(&mut self, client: u64, draft: &Draft, response: Message, out: &mut Vec<Order>) {
        self.take_ours(Purpose::Invite);
        // The 2xx decides on the route set anew, and all other forks are off (RFC 3261 §13.2.2.4).
        let dialog = Dialog::from_response(&response, self.local_tag, &draft.from, &draft.request_uri);
        self.to_ack.push(ToAck {
            client,
            id: None,
            remote_tag: dialog.remote_tag().into(),
            cseq: draft.cseq,
            authorization: draft.authorization.clone(),
        });
        self.dialogs = vec![dialog];
        match std::mem::replace(&mut self.stage, Stage::Confirmed) {
            Stage::Calling { hangup: None } | Stage::Proceeding => {
                self.emit(Event::Answered { leg: self.leg, response }, out);
            }
            // The 2xx crossed our CANCEL, or came where a provisional response was to release it.
            Stage::Calling { hangup: Some(mut headers) } | Stage::Cancelling { mut headers, .. } => {
                // The Reason said why an unanswered call was taken back; of an answered one it would not be true.
                headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Reason"));
                self.leave(headers, out);
            }
            // No INVITE of ours is in the air in these.
            Stage::Called { .. }
            | Stage::Confirmed
            | Stage::Lingering { .. }
            | Stage::Leaving
            | Stage::Over => {}
        }
    }

    /// Several forks may ring; the one that spoke last stands last, and its SDP is the one that counts.
    fn learn_early_dialog(&mut self, draft: &Draft, response: &Message) {
        let Some(tag) = response.to().tag() else { return };
        if let Some(at) = self.dialogs.iter().position(|dialog| dialog.remote_tag() == tag) {
            let mut known = self.dialogs.remove(at);
            known.refresh_target(response);
            return self.dialogs.push(known);
        }
        if self.dialogs.len() < EARLY_DIALOGS_MAX {
            let dialog = Dialog::from_response(response, self.local_tag, &draft.from, &draft.request_uri);
            self.dialogs.push(dialog);
        }
    }

    /// Sends the request again with credentials when `response` asks for those that we have (RFC 3261 §22.2), once.
    /// Otherwise hands the draft back.
    fn authorize(
        &mut self,
        purpose: Purpose,
        mut draft: Box<Draft>,
        response: &Message,
        random: &mut Random,
        out: &mut Vec<Order>,
    ) -> Option<Box<Draft>> {
        if !matches!(response.status(), 401 | 407) || self.is_giving_up(purpose) {
            return Some(draft);
        }
        let Some(ours) = self.ours.iter_mut().find(|ours| ours.purpose == purpose && !ours.authorized) else {
            return Some(draft);
        };
        let Some(authorization) = answer_challenge(self.account.as_ref(), &draft, response, random) else {
            return Some(draft);
        };
        ours.authorized = true;
        ours.flight = Flight::Ordered;
        draft.authorization = Some(authorization);
        match self.dialogs.first_mut() {
            Some(dialog) if purpose != Purpose::Invite => dialog.renew(&mut draft),
            _ => {
                // Still outside a dialog: the same request with the next number. Early dialogs are off.
                draft.cseq += 1;
                self.dialogs.clear();
                self.stage = Stage::Calling { hangup: None };
            }
        }
        out.push(Order::Send { purpose, draft });
        None
    }

    /// A challenge to an INVITE that nobody wants any more ends it as well as any refusal.
    fn is_giving_up(&self, purpose: Purpose) -> bool {
        purpose == Purpose::Invite
            && matches!(self.stage, Stage::Calling { hangup: Some(_) } | Stage::Cancelling { .. })
    }
}

/// The header that answers a challenge, if it asks for what `account` is for. A far end that asks with another realm
/// gets nothing (faults.md A1).
fn answer_challenge(
    account: Option<&Account>,
    draft: &Draft,
    response: &Message,
    random: &mut Random,
) -> Option<(HeaderName, String)> {
    let account = account?;
    let (asked_by, answered_by) = match response.status() {
        401 => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
        _ => (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization),
    };
    let mut challenges = response.headers(asked_by).filter_map(|value| Challenge::parse(value).ok());
    let challenge = challenges.find(|challenge| account.is_for(&challenge.realm))?;
    let secret = Secret { username: &account.username, key: Key::Password(&account.password) };
    let cnonce = random.token();
    let proof = challenge.answer(secret, draft.method.as_str(), &draft.request_uri, 1, cnonce.as_str());
    Some((answered_by, proof.to_string()))
}
