//! Requests inside a dialog: answered here, or passed on to the other leg (`sip.md` §7, `media.md` §2).
//!
//! ```text
//!   default mode      re-INVITE, UPDATE ─▶ answered here
//!   proxy, bypass     re-INVITE ─▶ re-INVITE to the partner ─▶ its answer is our answer
//!                     without SDP: the partner's offer goes back in our 200, the ACK's SDP in our ACK
//!   bypass after bridge: re-INVITE without SDP to A ─▶ A's offer to B ─▶ B's answer in the ACK to A
//! ```

use bytes::Bytes;
use signaling::{Message, Method, Reply, RequestId};

use crate::core::Core;
use crate::media::{MediaMode, sdp_body, sdp_of};
use crate::{ChannelId, EventKind, LogLevel};

/// A request that waits for another leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relay {
    /// The peer's request `theirs` waits for the partner's answer to our request `ours`.
    Passing { theirs: RequestId, ours: RequestId, partner: ChannelId, without_sdp: bool },
    /// The partner's offer went out in our 200; the ACK's SDP goes in the ACK to `ours`.
    AwaitingAck { ours: RequestId, partner: ChannelId },
    /// Bypass after bridge: this leg was asked for its offer.
    Asked { ours: RequestId, partner: ChannelId },
    /// Bypass after bridge: this leg's offer, of `ours`, was sent to the partner as `offered`.
    Offered { ours: RequestId, offered: RequestId, partner: ChannelId },
}

impl Core {
    /// A request of the peer inside its dialog.
    pub(crate) fn request_of_peer(&mut self, id: ChannelId, request_id: RequestId, request: &Message) {
        match request.method() {
            Method::Invite => self.changed_session(id, request_id, request),
            Method::Update if sdp_body(request).is_some() => self.changed_session(id, request_id, request),
            Method::Update | Method::Info | Method::Options => self.reply(request_id, 200, None),
            // Transfers asked for by a peer are not there yet.
            Method::Refer => self.reply(request_id, 403, None),
            Method::Message | Method::Notify => self.reply(request_id, 405, None),
            _ => self.reply(request_id, 501, None),
        }
    }

    fn reply(&mut self, request_id: RequestId, status: u16, body: Option<Bytes>) {
        let reply = Reply { status, phrase: None, headers: Vec::new(), body: body.map(sdp_of) };
        self.endpoint.respond(self.now, request_id, reply);
    }

    /// A re-INVITE, or an UPDATE with SDP.
    fn changed_session(&mut self, id: ChannelId, request_id: RequestId, request: &Message) {
        let body = sdp_body(request);
        let partner = self.partner(id);
        let Some(channel) = self.channels.get(&id) else { return self.reply(request_id, 481, None) };
        if channel.relay.is_some() || partner.is_some_and(|partner| self.is_relaying(partner)) {
            return self.reply(request_id, 491, None);
        }
        if channel.media.mode == MediaMode::Default {
            return self.changed_here(id, request_id, body);
        }
        match partner.filter(|partner| self.is_answered(*partner)) {
            Some(partner) => self.pass_on(id, partner, request_id, body),
            None => self.reply(request_id, 488, None),
        }
    }

    fn is_relaying(&self, id: ChannelId) -> bool {
        self.channels.get(&id).is_some_and(|channel| channel.relay.is_some())
    }

    /// Default mode: a new address, another direction, perhaps another codec; 488 leaves all as it was.
    fn changed_here(&mut self, id: ChannelId, request_id: RequestId, body: Option<Bytes>) {
        let Some(body) = body else { return self.offer_again(id, request_id) };
        let Some(channel) = self.channels.get(&id) else { return };
        let before = (channel.media.remote.clone(), channel.media.remote_body.clone());
        if !self.take_remote_body(id, body) || !self.choose_again(id) {
            if let Some(channel) = self.channels.get_mut(&id) {
                (channel.media.remote, channel.media.remote_body) = before;
            }
            return self.reply(request_id, 488, None);
        }
        let answer = self.offer_of_chosen(id).and_then(|offer| self.write_body(id, &offer, true));
        match answer {
            Some(answer) => self.reply(request_id, 200, Some(answer)),
            None => self.reply(request_id, 488, None),
        }
        self.note_hold(id);
        self.plan_media(id);
        if let Some(partner) = self.partner(id) {
            self.plan_media(partner);
        }
    }

    /// A re-INVITE without SDP: our 200 carries what we have, the ACK the answer.
    fn offer_again(&mut self, id: ChannelId, request_id: RequestId) {
        let offer = self.offer_of_chosen(id);
        match offer.as_ref().and_then(|offer| self.write_body(id, offer, false)) {
            Some(body) => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.media.offer = offer;
                    if let Some(sip) = &mut channel.sip {
                        sip.offered_in_2xx = true;
                    }
                }
                self.reply(request_id, 200, Some(body));
            }
            None => self.reply(request_id, 488, None),
        }
    }

    fn note_hold(&mut self, id: ChannelId) {
        let disabled = self.sip_profile(id).is_some_and(|profile| profile.disable_hold)
            || self
                .variable(id, "rtp_disable_hold")
                .is_some_and(|value| dialplan::boolean::is_true(value.as_str()));
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let held = !disabled && channel.media.remote.as_ref().is_some_and(|remote| !remote.receives);
        if std::mem::replace(&mut channel.media.held, held) != held {
            self.say(id, EventKind::Held { held });
        }
    }

    /// Proxy and bypass mode: the partner decides.
    fn pass_on(&mut self, id: ChannelId, partner: ChannelId, theirs: RequestId, body: Option<Bytes>) {
        let without_sdp = body.is_none();
        let body = match body {
            Some(body) => {
                if !self.take_remote_body(id, body.clone()) {
                    return self.reply(theirs, 488, None);
                }
                self.plan_media(id);
                match self.body_for(partner, body) {
                    Some(body) => Some(body),
                    None => return self.reply(theirs, 488, None),
                }
            }
            None => None,
        };
        match self.ask_again(partner, body) {
            Some(ours) => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.relay = Some(Relay::Passing { theirs, ours, partner, without_sdp });
                }
            }
            None => self.reply(theirs, 491, None),
        }
    }

    /// The body as a leg may see it: patched in proxy mode, untouched in bypass mode.
    fn body_for(&mut self, id: ChannelId, body: Bytes) -> Option<Bytes> {
        match self.channels.get(&id)?.media.mode {
            MediaMode::Proxy => self.patched(id, &body).ok(),
            MediaMode::Bypass | MediaMode::Default => Some(body),
        }
    }

    fn ask_again(&mut self, id: ChannelId, body: Option<Bytes>) -> Option<RequestId> {
        let leg = self.channels.get(&id)?.leg()?;
        let without_sdp = body.is_none();
        let ours = self.endpoint.request(self.now, leg, Method::Invite, Vec::new(), body.map(sdp_of)).ok()?;
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.asked_without_sdp = without_sdp.then_some(ours);
        }
        Some(ours)
    }

    /// The final answer to a request of ours inside a dialog.
    pub(crate) fn response_of_peer(
        &mut self,
        id: ChannelId,
        request_id: RequestId,
        status: u16,
        response: Option<&Message>,
    ) {
        let body = response.and_then(sdp_body);
        let Some((owner, relay)) = self.relay_of(id, request_id) else {
            // Nobody waits any more; a 2xx must be acknowledged all the same, and its offer answered.
            let asked =
                self.channels.get(&id).is_some_and(|channel| channel.asked_without_sdp == Some(request_id));
            return match body.filter(|_| asked && (200..300).contains(&status)) {
                Some(offer) => self.keep_media(id, request_id, offer),
                None => self.acknowledge(id, request_id, status, None),
            };
        };
        match relay {
            Relay::Passing { theirs, partner, without_sdp, .. } => {
                self.passed(owner, partner, theirs, request_id, (status, body, without_sdp));
            }
            Relay::Asked { ours, partner } => self.asked(owner, partner, ours, status, body),
            Relay::Offered { ours, offered, partner } => {
                self.offered(owner, partner, (ours, offered), status, body);
            }
            Relay::AwaitingAck { .. } => {}
        }
    }

    /// The relay that waits for an answer which came on leg `id`: the partner's, or the leg's own.
    fn relay_of(&self, id: ChannelId, request_id: RequestId) -> Option<(ChannelId, Relay)> {
        [self.partner(id), Some(id)].into_iter().flatten().find_map(|owner| {
            let relay = self.channels.get(&owner)?.relay?;
            let waits = match relay {
                Relay::Passing { ours, .. } | Relay::Asked { ours, .. } => ours == request_id,
                Relay::Offered { offered, .. } => offered == request_id,
                Relay::AwaitingAck { .. } => false,
            };
            waits.then_some((owner, relay))
        })
    }

    fn acknowledge(&mut self, id: ChannelId, request_id: RequestId, status: u16, body: Option<Bytes>) {
        if !(200..300).contains(&status) {
            return;
        }
        if let Some(leg) = self.channels.get(&id).and_then(|channel| channel.sip.as_ref()).map(|sip| sip.leg)
        {
            self.endpoint.ack(self.now, leg, Some(request_id), body.map(sdp_of));
        }
    }

    fn passed(
        &mut self,
        owner: ChannelId,
        partner: ChannelId,
        theirs: RequestId,
        ours: RequestId,
        (status, body, without_sdp): (u16, Option<Bytes>, bool),
    ) {
        let set = |core: &mut Core, relay| {
            core.channels.entry(owner).and_modify(|channel| channel.relay = relay);
        };
        set(self, None);
        if status >= 300 {
            return self.reply(theirs, status, None);
        }
        let for_owner = body.clone().and_then(|body| {
            self.take_remote_body(partner, body.clone());
            self.plan_media(partner);
            self.body_for(owner, body)
        });
        match (for_owner, without_sdp) {
            (Some(offer), true) => {
                set(self, Some(Relay::AwaitingAck { ours, partner }));
                self.reply(theirs, 200, Some(offer));
            }
            (Some(answer), false) => {
                self.acknowledge(partner, ours, status, None);
                self.reply(theirs, 200, Some(answer));
            }
            (None, _) => {
                self.acknowledge(partner, ours, status, None);
                self.reply(theirs, 488, None);
            }
        }
    }

    /// The ACK of our 2xx.
    pub(crate) fn acknowledged(&mut self, id: ChannelId, request: &Message) {
        let body = sdp_body(request);
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.acknowledged = true;
        if let Some(Relay::AwaitingAck { ours, partner }) = channel.relay {
            channel.relay = None;
            let answer = body.and_then(|body| {
                self.take_remote_body(id, body.clone());
                self.plan_media(id);
                self.body_for(partner, body)
            });
            return self.acknowledge(partner, ours, 200, answer);
        }
        let answers_offer = channel.sip.as_mut().is_some_and(|sip| std::mem::take(&mut sip.offered_in_2xx));
        if let (true, Some(body)) = (answers_offer, body) {
            self.take_remote_body(id, body);
            self.choose_again(id);
            self.note_hold(id);
            self.plan_media(id);
        }
        if let Some(partner) = self.partner(id) {
            self.begin_bypass_after_bridge(id, partner);
        }
    }

    /// `bypass_media_after_bridge`: both have answered and are joined; now let them speak to each other.
    pub(crate) fn begin_bypass_after_bridge(&mut self, caller: ChannelId, called: ChannelId) {
        let ready = |core: &Core, id: ChannelId| {
            core.channels.get(&id).is_some_and(|channel| {
                channel.answered
                    && channel.relay.is_none()
                    && channel.media.mode == MediaMode::Default
                    && (channel.acknowledged || !channel.inbound)
            })
        };
        let wanted = self.channels.get(&caller).is_some_and(|channel| channel.media.bypass_after_bridge);
        if !wanted || !ready(self, caller) || !ready(self, called) || self.partner(caller) != Some(called) {
            return;
        }
        let Some(ours) = self.ask_again(caller, None) else { return };
        if let Some(channel) = self.channels.get_mut(&caller) {
            channel.media.bypass_after_bridge = false;
            channel.relay = Some(Relay::Asked { ours, partner: called });
        }
    }

    fn asked(
        &mut self,
        caller: ChannelId,
        called: ChannelId,
        ours: RequestId,
        status: u16,
        body: Option<Bytes>,
    ) {
        let set = |core: &mut Core, relay| {
            core.channels.entry(caller).and_modify(|channel| channel.relay = relay);
        };
        set(self, None);
        if status >= 300 {
            return self.log(
                caller,
                LogLevel::Notice,
                format!("stays in the media path: {status} to our re-INVITE"),
            );
        }
        let Some(offer) = body else { return self.acknowledge(caller, ours, status, None) };
        match self.ask_again(called, Some(offer.clone())) {
            Some(offered) => {
                self.take_remote_body(caller, offer);
                set(self, Some(Relay::Offered { ours, offered, partner: called }));
            }
            None => self.keep_media(caller, ours, offer),
        }
    }

    fn offered(
        &mut self,
        caller: ChannelId,
        called: ChannelId,
        (ours, offered): (RequestId, RequestId),
        status: u16,
        body: Option<Bytes>,
    ) {
        self.channels.entry(caller).and_modify(|channel| channel.relay = None);
        self.acknowledge(called, offered, status, None);
        let Some(answer) = body.filter(|_| status < 300) else {
            self.log(
                caller,
                LogLevel::Notice,
                format!("stays in the media path: the far end answered {status}"),
            );
            return self.keep_media_as_it_was_offered(caller, ours);
        };
        self.take_remote_body(called, answer.clone());
        self.acknowledge(caller, ours, 200, Some(answer));
        for id in [caller, called] {
            if let Some(channel) = self.channels.get_mut(&id) {
                channel.media.mode = MediaMode::Bypass;
            }
            self.close_media(id);
        }
    }

    /// A leg has offered anew and the other will not have it, or is gone: our own answer keeps us in the path. The
    /// ACK has to carry one (RFC 3261 §13.2.1); without media of ours it declines.
    fn keep_media(&mut self, id: ChannelId, ours: RequestId, offer: Bytes) {
        self.take_remote_body(id, offer);
        self.choose_again(id);
        let answer = self
            .offer_of_chosen(id)
            .and_then(|offer| self.write_body(id, &offer, true))
            .or_else(|| self.declining_body(id));
        self.acknowledge(id, ours, 200, answer);
        self.plan_media(id);
    }

    fn keep_media_as_it_was_offered(&mut self, id: ChannelId, ours: RequestId) {
        match self.channels.get(&id).and_then(|channel| channel.media.remote_body.clone()) {
            Some(offer) => self.keep_media(id, ours, offer),
            None => self.acknowledge(id, ours, 200, None),
        }
    }

    /// The legs part: who still waits is told.
    pub(crate) fn end_relay(&mut self, id: ChannelId) {
        let Some(relay) = self.channels.get_mut(&id).and_then(|channel| channel.relay.take()) else { return };
        match relay {
            Relay::Passing { theirs, .. } => self.reply(theirs, 503, None),
            Relay::AwaitingAck { ours, partner } => self.keep_media_as_it_was_offered(partner, ours),
            Relay::Offered { ours, .. } => self.keep_media_as_it_was_offered(id, ours),
            Relay::Asked { .. } => {}
        }
    }

    /// The peer took its re-INVITE back; signaling has answered it. The partner's answer will be acknowledged.
    pub(crate) fn relay_cancelled(&mut self, id: ChannelId, request_id: RequestId) {
        if let Some(channel) = self.channels.get_mut(&id)
            && matches!(channel.relay, Some(Relay::Passing { theirs, .. }) if theirs == request_id)
        {
            channel.relay = None;
        }
    }
}
