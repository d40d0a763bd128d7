//! What signaling says, taken to the channel it concerns.

use signaling::{Event, FailureOrigin, HeaderName, LegId, Message};

use crate::ask::Ask;
use crate::channel::Interjection;
use crate::core::{Asker, Core};
use crate::hangup::{PeerEnd, cause_of_reason};
use crate::{Cause, ChannelId, EventKind, LogLevel};

impl Core {
    /// Takes every event that signaling has.
    pub(crate) fn take_signals(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            self.take_signal(event);
        }
    }

    fn take_signal(&mut self, event: Event) {
        match event {
            Event::Invite { leg, source, request } => self.take_invite(leg, source, request),
            Event::Resolve { query, host } => {
                self.open_ask(Asker::Signaling(query), Ask::Resolve { query, host });
            }
            Event::Ended { leg } => self.leg_ended(leg),
            Event::Provisional { leg, response } => {
                self.on_leg(leg, |core, id| core.provisional(id, &response))
            }
            Event::Answered { leg, response } => {
                self.on_leg(leg, |core, id| core.answered_by_peer(id, &response))
            }
            Event::Failed { leg, status, origin, response } => {
                self.on_leg(leg, |core, id| core.failed(id, status, origin, response.as_ref()));
            }
            Event::Acknowledged { leg, request } => {
                self.on_leg(leg, |core, id| core.acknowledged(id, &request));
            }
            Event::AckMissing { leg } => {
                self.on_leg(leg, |core, id| core.hangup(id, Cause::RECOVERY_ON_TIMER_EXPIRE));
            }
            Event::Cancelled { leg, request } => self.on_leg(leg, |core, id| {
                let reason = request.as_ref().and_then(reason_of);
                core.ended_by_peer(id, Cause::ORIGINATOR_CANCEL, PeerEnd::Cancel, reason);
            }),
            Event::Bye { leg, request } => self.on_leg(leg, |core, id| core.bye(id, &request)),
            Event::Request { leg, id: request_id, request } => {
                self.on_leg(leg, |core, id| core.request_of_peer(id, request_id, &request));
            }
            Event::RequestCancelled { leg, id: request_id } => {
                self.on_leg(leg, |core, id| core.relay_cancelled(id, request_id));
            }
            Event::Response { leg, id: request_id, response, status } => {
                self.on_leg(leg, |core, id| core.response_of_peer(id, request_id, status, response.as_ref()));
            }
        }
    }

    fn on_leg(&mut self, leg: LegId, then: impl FnOnce(&mut Core, ChannelId)) {
        if let Some(id) = self.by_leg.get(&leg).copied() {
            then(self, id);
            self.wake(id);
        }
    }

    /// 101 to 199 on a leg we called: `sip.md` §6.
    fn provisional(&mut self, id: ChannelId, response: &Message) {
        self.learn_from_response(id, response, "sip_ph_");
        let has_sdp = self.take_answer_body(id, response);
        let ignores_183 = self.ignores_183_without_sdp(id);
        match (response.status(), has_sdp) {
            (180 | 183, true) => self.early_media(id),
            (183, false) if ignores_183 => {}
            (180 | 182 | 183, false) => self.ringing(id, response.status()),
            _ => {}
        }
        self.wake_peer(id);
    }

    fn ringing(&mut self, id: ChannelId, status: u16) {
        let now = self.now.wall;
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let again = std::mem::replace(&mut channel.ringing, true);
        if status == 182 {
            channel.variables.set_str("sip_queued", "true");
        }
        if !again {
            channel.stamps.progress.get_or_insert(now);
            self.say(id, EventKind::Progress);
            self.run_hooks(id, "execute_on_ring");
        }
    }

    fn early_media(&mut self, id: ChannelId) {
        let now = self.now.wall;
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let again = std::mem::replace(&mut channel.early, true);
        if !again {
            channel.stamps.progress_media.get_or_insert(now);
            self.say(id, EventKind::ProgressMedia);
            self.run_hooks(id, "execute_on_pre_answer");
            self.run_hooks(id, "execute_on_media");
        }
        self.plan_media(id);
    }

    fn answered_by_peer(&mut self, id: ChannelId, response: &Message) {
        self.learn_from_response(id, response, "sip_rh_");
        let has_sdp = self.take_answer_body(id, response);
        let now = self.now;
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(leg) = channel.leg() else { return };
        let had_media = channel.early;
        channel.answered = true;
        channel.stamps.answered.get_or_insert(now.wall);
        self.endpoint.ack(now, leg, None, None);
        if !has_sdp && !had_media {
            // RFC 3261 §13.2.1: the 2xx must answer the offer of our INVITE.
            self.log(id, LogLevel::Warning, "the answer carries no SDP".to_owned());
            return self.hangup(id, Cause::INCOMPATIBLE_DESTINATION);
        }
        if !self.media_is_usable(id) {
            self.log(id, LogLevel::Warning, "the answer's SDP names no codec that was offered".to_owned());
            return self.hangup(id, Cause::INCOMPATIBLE_DESTINATION);
        }
        self.say(id, EventKind::Answered);
        self.plan_media(id);
        if !had_media {
            self.run_hooks(id, "execute_on_media");
        }
        self.run_hooks(id, "execute_on_answer");
        self.wake_peer(id);
    }

    fn failed(&mut self, id: ChannelId, status: u16, origin: FailureOrigin, response: Option<&Message>) {
        let reason = response.and_then(reason_of);
        if let Some(response) = response {
            self.learn_from_response(id, response, "sip_rh_");
        }
        let ignores = self
            .variable(id, "ignore_q850_reason")
            .is_some_and(|value| dialplan::boolean::is_true(value.as_str()));
        let cause = reason
            .as_deref()
            .filter(|_| !ignores && status >= 400)
            .and_then(cause_of_reason)
            .unwrap_or(Cause::from_sip_status(status));
        if origin != FailureOrigin::Peer {
            self.log(id, LogLevel::Notice, format!("no answer to the INVITE: {origin:?}, taken as {status}"));
        }
        self.ended_by_peer(id, cause, PeerEnd::Refused { status }, reason);
    }

    fn bye(&mut self, id: ChannelId, request: &Message) {
        self.learn_headers(id, request, "sip_bye_h_");
        let reason = reason_of(request);
        let ignores = self
            .variable(id, "ignore_q850_reason")
            .is_some_and(|value| dialplan::boolean::is_true(value.as_str()));
        let cause = reason
            .as_deref()
            .filter(|_| !ignores)
            .and_then(cause_of_reason)
            .unwrap_or(Cause::NORMAL_CLEARING);
        self.ended_by_peer(id, cause, PeerEnd::Bye, reason);
    }

    /// The dialog is gone. A channel that still believed in it is told so.
    fn leg_ended(&mut self, leg: LegId) {
        let Some(id) = self.by_leg.remove(&leg) else { return };
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if let Some(sip) = &mut channel.sip {
            sip.over = true;
        }
        if channel.is_up() {
            self.hangup(id, Cause::NORMAL_CLEARING);
        }
        self.wake(id);
    }

    /// Wakes whoever is calling this leg, and whoever is joined with it: it may be both at once, when it dials itself.
    pub(crate) fn wake_peer(&mut self, id: ChannelId) {
        let originator = self.channels.get(&id).and_then(|channel| channel.originator);
        for peer in [self.partner(id), originator].into_iter().flatten() {
            self.wake(peer);
        }
    }

    /// `execute_on_*`: every variable whose name begins so, in order of names.
    pub(crate) fn run_hooks(&mut self, id: ChannelId, hook: &str) {
        let Some(channel) = self.channels.get(&id) else { return };
        let hooks = channel.variables.with_prefix(hook);
        for (_, value) in hooks {
            let text = value.as_str();
            let at = text.find([' ', ':']).unwrap_or(text.len());
            let application = text[..at].to_owned();
            let data_at = text[at..].find(|c: char| c != ':' && c != ' ').map_or(text.len(), |n| at + n);
            let data = value.slice(data_at..text.len());
            self.interject(id, Interjection { application, data });
        }
    }

    fn ignores_183_without_sdp(&self, id: ChannelId) -> bool {
        let by_variable = self
            .variable(id, "sip_ignore_183nosdp")
            .is_some_and(|value| dialplan::boolean::is_true(value.as_str()));
        by_variable || self.sip_profile(id).is_some_and(|profile| profile.ignore_183_without_sdp)
    }
}

pub(crate) fn reason_of(message: &Message) -> Option<String> {
    message.header(HeaderName::Reason).map(str::to_owned)
}
