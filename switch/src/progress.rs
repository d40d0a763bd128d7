//! A caller's leg moves on: ringing, early media, answer.

use signaling::Reply;

use crate::core::Core;
use crate::{Cause, ChannelId, EventKind, LogLevel, headers};

impl Core {
    /// 180 or 182 to a caller that has not been answered. Not after early media: what is heard by then says more.
    pub(crate) fn ring(&mut self, id: ChannelId, status: u16) {
        if self.channels.get(&id).is_some_and(|channel| !channel.early) {
            self.ring_even_after_early_media(id, status);
        }
    }

    /// The same leg that sent early media rings now: its caller may know.
    pub(crate) fn ring_even_after_early_media(&mut self, id: ChannelId, status: u16) {
        let now = self.now;
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if !channel.inbound || channel.answered || channel.ringing {
            return;
        }
        let Some(leg) = channel.leg() else { return };
        channel.ringing = true;
        channel.stamps.progress.get_or_insert(now.wall);
        let headers = headers::custom(&channel.variables, "sip_ph_");
        self.endpoint.provisional(now, leg, Reply { status, phrase: None, headers, body: None });
        self.say(id, EventKind::Progress);
    }

    /// 183 with SDP to a caller; `from`: the leg whose early media it is. False when media cannot be set up.
    pub(crate) fn pre_answer(&mut self, id: ChannelId, from: Option<ChannelId>) -> bool {
        let Some(channel) = self.channels.get(&id) else { return false };
        if !channel.is_up() || !channel.inbound || channel.has_media() {
            return channel.is_up();
        }
        let body = match self.answer_body(id, from) {
            Ok(body) => body,
            Err(cause) => return self.media_failed(id, cause),
        };
        let status =
            if self.sip_profile(id).is_some_and(|profile| profile.early_use_180) { 180 } else { 183 };
        let now = self.now;
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let Some(leg) = channel.leg() else { return false };
        channel.early = true;
        channel.stamps.progress_media.get_or_insert(now.wall);
        channel.variables.set_str("endpoint_disposition", "EARLY MEDIA");
        let headers = headers::custom(&channel.variables, "sip_ph_");
        self.endpoint.provisional(now, leg, Reply { status, phrase: None, headers, body: Some(body) });
        self.say(id, EventKind::ProgressMedia);
        self.plan_media(id);
        self.run_hooks(id, "execute_on_pre_answer");
        self.run_hooks(id, "execute_on_media");
        true
    }

    /// 200 to a caller; `from`: the leg that answered. False when media cannot be set up.
    pub(crate) fn answer(&mut self, id: ChannelId, from: Option<ChannelId>) -> bool {
        let Some(channel) = self.channels.get(&id) else { return false };
        if !channel.is_up() || !channel.inbound || channel.answered {
            return channel.is_up();
        }
        let had_media = channel.early;
        // In default mode the answer is that of the 183 already (RFC 3261 §13.3.1.1); relayed bodies may differ.
        let again = if channel.media.mode == crate::media::MediaMode::Default && had_media {
            channel.media.local_sdp.clone().map(crate::media::sdp_of)
        } else {
            None
        };
        let body = match again.map_or_else(|| self.answer_body(id, from), Ok) {
            Ok(body) => body,
            Err(cause) => return self.media_failed(id, cause),
        };
        let now = self.now;
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let Some(leg) = channel.leg() else { return false };
        channel.answered = true;
        channel.stamps.answered.get_or_insert(now.wall);
        channel.variables.set_str("endpoint_disposition", "ANSWER");
        let headers = headers::custom(&channel.variables, "sip_rh_");
        self.endpoint.answer(now, leg, Reply { status: 200, phrase: None, headers, body: Some(body) });
        self.say(id, EventKind::Answered);
        self.plan_media(id);
        if !had_media {
            self.run_hooks(id, "execute_on_media");
        }
        self.run_hooks(id, "execute_on_answer");
        true
    }

    /// A final status from the dialplan: sent now; what the list still holds runs on.
    pub(crate) fn respond_finally(&mut self, id: ChannelId, status: u16, phrase: Option<String>) {
        let now = self.now;
        let Some(channel) = self.channels.get_mut(&id).filter(|channel| channel.inbound && !channel.answered)
        else {
            return;
        };
        let Some(leg) = channel.leg() else { return };
        channel.respond_status = Some((status, phrase.clone()));
        if let Some(sip) = &mut channel.sip {
            sip.over = true;
        }
        let mut headers = headers::custom(&channel.variables, "sip_rh_");
        if !channel.variables.is_true("disable_q850_reason") {
            headers.push(("Reason".to_owned(), Cause::from_sip_status(status).reason_header()));
        }
        channel.variables.set_str("sip_hangup_disposition", "send_refuse");
        self.endpoint.refuse(now, leg, Reply { status, phrase, headers, body: None });
    }

    pub(crate) fn is_answered(&self, id: ChannelId) -> bool {
        self.channels.get(&id).is_some_and(|channel| channel.answered)
    }

    pub(crate) fn is_ringing(&self, id: ChannelId) -> bool {
        self.channels.get(&id).is_some_and(|channel| channel.ringing)
    }

    fn media_failed(&mut self, id: ChannelId, cause: Cause) -> bool {
        self.log(id, LogLevel::Warning, format!("media could not be set up: {cause}"));
        self.hangup(id, cause);
        false
    }
}
