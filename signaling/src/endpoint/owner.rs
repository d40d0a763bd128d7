//! What the owner of a leg can do with it.

use clock::{Now, Tick};

use super::call::{Body, Hangup, Invite, InviteError, Reply, RequestError};
use super::compose::Contact;
use super::ids::{LegId, RequestId};
use super::profile::Profile;
use super::target::{Target, TargetError, hop_uri};
use super::{Endpoint, Leg};
use crate::dialog::{self, Dialog};
use crate::message::IDENTIFIER_BYTES_MAX;
use crate::session::{Draft, Session};
use crate::transaction::Class;
use crate::{Method, NameAddr, Uri};

/// Marks ids of our own requests, so that they are never mistaken for those of a peer's.
const OUR_REQUEST: u64 = 1 << 63;

impl Endpoint {
    /// Begins a call.
    pub fn invite(&mut self, now: Now, invite: Invite) -> Result<LegId, InviteError> {
        let profile = self.profiles.get(invite.profile).filter(|profile| !profile.is_retired);
        let profile = profile.ok_or(InviteError::Profile)?;
        let has_room = profile.transactions < self.limits.transactions_per_profile_max;
        if !has_room || self.legs.len() >= self.limits.legs_max {
            self.counters.requests_over_limit += 1;
            return Err(InviteError::Limit);
        }
        let timing = profile.timing;
        let contact = contact_of(profile, &invite);
        let (id, account, local_tag) = (invite.profile, invite.credentials.clone(), self.random.token());
        if invite.call_id.as_ref().is_some_and(|call_id| !is_call_id(call_id)) {
            return Err(InviteError::CallId);
        }
        let call_id = invite.call_id.clone().unwrap_or_else(|| self.random.token().to_string());
        let draft = Draft { call_id: call_id.into(), ..draft_of(invite)? }.with_from_tag(local_tag.as_str());
        let leg = LegId(self.legs.next_key());
        let session = Session::call((leg, timing), local_tag, account, draft, &mut self.orders);
        self.legs.insert(Leg::new(id, contact, session));
        self.tags.insert(local_tag, leg);
        self.tell(leg, |_, _, _| ());
        self.settle(now.tick);
        Ok(leg)
    }

    /// Sends a provisional response to the INVITE that began a leg.
    pub fn provisional(&mut self, now: Now, leg: LegId, reply: Reply) {
        debug_assert_eq!(Class::of(reply.status), Class::Provisional);
        self.reply(now.tick, leg, reply);
    }

    /// Accepts the INVITE that began a leg, with a 2xx.
    pub fn answer(&mut self, now: Now, leg: LegId, reply: Reply) {
        debug_assert_eq!(Class::of(reply.status), Class::Success);
        self.reply(now.tick, leg, reply);
    }

    /// Refuses the INVITE that began a leg, with 300 or more. `Ended` follows.
    pub fn refuse(&mut self, now: Now, leg: LegId, reply: Reply) {
        debug_assert_eq!(Class::of(reply.status), Class::Failure);
        self.reply(now.tick, leg, reply);
    }

    /// Acknowledges a 2xx: to the INVITE that began the leg, or to the re-INVITE `id`.
    pub fn ack(&mut self, now: Now, leg: LegId, id: Option<RequestId>, body: Option<Body>) {
        self.tell(leg, |session, _, out| session.ack(id, body, out));
        self.settle(now.tick);
    }

    /// Sends a request inside the call. Its final answer comes as an event.
    pub fn request(
        &mut self,
        now: Now,
        leg: LegId,
        method: Method,
        headers: Vec<(String, String)>,
        body: Option<Body>,
    ) -> Result<RequestId, RequestError> {
        self.requests_made += 1;
        let id = RequestId(OUR_REQUEST | self.requests_made);
        let sent = self.tell(leg, |session, _, out| session.request(id, method, (headers, body), out));
        let sent = sent.unwrap_or(Err(RequestError::Leg));
        if sent == Err(RequestError::Limit) {
            self.counters.requests_over_limit += 1;
        }
        self.settle(now.tick);
        sent.map(|()| id)
    }

    /// Answers a request of the peer inside the call.
    pub fn respond(&mut self, now: Now, id: RequestId, reply: Reply) {
        if let Some(leg) = self.servers.leg(id.0) {
            self.tell(leg, |session, _, out| session.respond(id.0, reply, out));
            self.settle(now.tick);
        }
    }

    /// Ends a leg in whatever way its state asks for; `headers` go into the BYE, CANCEL or refusal. Events of its
    /// past are no longer told; `Failed` (of an INVITE that was cancelled) and `Ended` still are.
    pub fn hangup(&mut self, now: Now, leg: LegId, headers: Vec<(String, String)>) -> Hangup {
        let done = self.tell(leg, |session, _, out| session.hangup(now.tick, headers, out));
        self.settle(now.tick);
        done.unwrap_or(Hangup::Nothing)
    }

    /// The Contact URI that the peer was told.
    pub fn local_contact(&self, leg: LegId) -> Option<&str> {
        self.legs.get(leg.0)?.contact_uri.as_deref()
    }

    /// The Call-ID, our tag and the peer's tag; the last is empty while there is none.
    pub fn dialog_ids(&self, leg: LegId) -> Option<(String, String, String)> {
        let session = &self.legs.get(leg.0)?.session;
        let remote_tag = session.dialog().map_or("", Dialog::remote_tag);
        Some((session.call_id().to_string(), session.local_tag().to_string(), remote_tag.to_string()))
    }

    /// Where the peer wants its requests: its Contact.
    pub fn remote_target(&self, leg: LegId) -> Option<&str> {
        self.legs.get(leg.0)?.session.dialog().map(Dialog::remote_target)
    }

    /// The peer as we name it in To, its tag included.
    pub fn remote_party(&self, leg: LegId) -> Option<&str> {
        self.legs.get(leg.0)?.session.dialog().map(Dialog::remote_party)
    }

    /// Ourselves as we are named in From of our requests, our tag included.
    pub fn local_party(&self, leg: LegId) -> Option<&str> {
        self.legs.get(leg.0)?.session.dialog().map(Dialog::local_party)
    }

    fn reply(&mut self, now: Tick, leg: LegId, reply: Reply) {
        self.tell(leg, |session, _, out| session.answer(reply, out));
        self.settle(now);
    }
}

/// What [`Message::parse`](crate::Message::parse) takes for a Call-ID: our own must come back.
fn is_call_id(text: &str) -> bool {
    (1..=IDENTIFIER_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn contact_of(profile: &Profile, invite: &Invite) -> Contact {
    let user = invite.contact_user.clone().unwrap_or_else(|| profile.settings.contact_user.clone());
    let semicolon = match invite.contact_params.as_str() {
        "" => "",
        params if params.starts_with(';') => "",
        _ => ";",
    };
    Contact { user, params: format!("{semicolon}{}", invite.contact_params) }
}

/// The INVITE as far as the owner's words say it; refused where they name no party or no place.
fn draft_of(invite: Invite) -> Result<Draft, InviteError> {
    Uri::parse(&invite.request_uri).map_err(|_| InviteError::RequestUri)?;
    let is_party = |text: &str| NameAddr::parse(text).is_ok();
    if !is_party(&invite.from) || !is_party(&invite.to) {
        return Err(InviteError::Party);
    }
    let (request_uri, routes, hop) = dialog::route(invite.request_uri, invite.route);
    let (hop, blame) = match &invite.next_hop {
        Some(next_hop) => (hop_uri(next_hop), InviteError::NextHop),
        None if routes.is_empty() => (hop, InviteError::RequestUri),
        None => (hop, InviteError::NextHop),
    };
    Target::of(&hop).map_err(|error| match error {
        TargetError::Transport => InviteError::Transport,
        TargetError::Malformed | TargetError::Scheme => blame,
    })?;
    Ok(Draft {
        routes,
        hop,
        transport: invite.transport,
        cseq: 1,
        max_forwards: invite.max_forwards,
        headers: invite.headers,
        body: invite.body,
        ..Draft::new(Method::Invite, request_uri, invite.from, invite.to)
    })
}
