//! The end of a leg: what is sent, what the partner learns, what is let go.
//!
//! The final response to a caller follows one rule, in this order of strength: a status that `respond` asked for;
//! the status with which the called leg that decided the outcome was refused; the status of the cause.

use dialplan::Text;
use signaling::{Hangup, Reply};

use crate::channel::{LegEnd, Replacement};
use crate::core::Core;
use crate::{Cause, ChannelId, EventKind, headers};

/// The Reason of a leg that lost the race (RFC 3326 §3.1).
const COMPLETED_ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// How a leg ended by its peer's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerEnd {
    Bye,
    Cancel,
    Refused { status: u16 },
}

impl PeerEnd {
    fn disposition(self) -> &'static str {
        match self {
            PeerEnd::Bye => "recv_bye",
            PeerEnd::Cancel => "recv_cancel",
            PeerEnd::Refused { .. } => "recv_refuse",
        }
    }
}

impl Core {
    /// Ends a leg from our side and tells its peer, in whatever way its state asks for. Once only.
    pub(crate) fn hangup(&mut self, id: ChannelId, cause: Cause) {
        if !self.channels.get(&id).is_some_and(|channel| channel.is_up()) {
            return;
        }
        // An offer that still waits is answered before the BYE: its ACK has to carry an answer.
        self.end_relay(id);
        if let Some(partner) = self.partner(id) {
            self.end_relay(partner);
        }
        self.channels.entry(id).and_modify(|channel| channel.hangup = Some(cause));
        let disposition = self.tell_peer(id, cause);
        self.end(id, cause, disposition);
    }

    /// Ends a leg whose peer has ended it already.
    pub(crate) fn ended_by_peer(
        &mut self,
        id: ChannelId,
        cause: Cause,
        how: PeerEnd,
        reason: Option<String>,
    ) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if let Some(sip) = &mut channel.sip {
            sip.over = true;
        }
        if !channel.is_up() {
            return;
        }
        channel.hangup = Some(cause);
        if let PeerEnd::Refused { status } = how {
            channel.variables.set_str("sip_term_status", status.to_string());
            channel.variables.set_str("sip_invite_failure_status", status.to_string());
            channel.variables.set_str("proto_specific_hangup_cause", format!("sip:{status}"));
        }
        let peer = self.peer(id);
        if let Some(reason) = reason {
            // A received reason goes out again, word for word, on the other leg.
            for side in [Some(id), peer].into_iter().flatten() {
                if let Some(channel) = self.channels.get_mut(&side) {
                    channel.variables.set("sip_reason", Text::network(reason.as_str()));
                }
            }
        }
        let told = match how {
            PeerEnd::Refused { status } => Some(status),
            PeerEnd::Bye => Some(200),
            PeerEnd::Cancel => None,
        };
        if let (Some(status), Some(peer)) = (told, peer.and_then(|peer| self.channels.get_mut(&peer))) {
            peer.variables.set_str("last_bridge_proto_specific_hangup_cause", format!("sip:{status}"));
            if status >= 300 {
                peer.variables.set_str("sip_invite_failure_status", status.to_string());
            }
        }
        self.end(id, cause, Some(how.disposition()));
    }

    /// What all endings have in common.
    fn end(&mut self, id: ChannelId, cause: Cause, disposition: Option<&'static str>) {
        let now = self.now.wall;
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.stamps.ended = Some(now);
            channel.parked = false;
            channel.variables.set_str("hangup_cause", cause.name());
            channel.variables.set_str("hangup_cause_q850", cause.q850().to_string());
            if let Some(disposition) = disposition {
                channel.variables.set_str("sip_hangup_disposition", disposition);
            }
        }
        self.say(id, EventKind::Hangup { cause });
        self.end_relay(id);
        self.unbridge(id, Some(cause));
        self.tell_originator(id, cause);
        self.close_media(id);
        self.replace(id, Replacement::Farewell);
    }

    /// The leg that called this one learns how it ended; the channel itself may be gone when it looks.
    fn tell_originator(&mut self, id: ChannelId, cause: Cause) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(originator) = channel.originator.take() else { return };
        let status =
            channel.variables.number("sip_invite_failure_status").and_then(|n| u16::try_from(n).ok());
        let note = format!("{};{cause}", channel.uuid);
        if let Some(caller) = self.channels.get_mut(&originator) {
            caller.leg_ends.push(LegEnd { leg: id, cause, status });
            caller.variables.push("originate_causes", Text::trusted(note));
        }
        self.wake(originator);
    }

    /// Sends BYE, CANCEL or a final response; gives the disposition.
    fn tell_peer(&mut self, id: ChannelId, cause: Cause) -> Option<&'static str> {
        let channel = self.channels.get(&id)?;
        let leg = channel.leg()?;
        let (inbound, answered) = (channel.inbound, channel.answered);
        let reason = self.reason_header(id, cause);
        let mut extra = headers::custom(&channel.variables, "sip_bye_h_");
        if inbound && !answered {
            extra.extend(headers::custom(&channel.variables, "sip_rh_"));
        }
        extra.extend(reason.map(|reason| ("Reason".to_owned(), reason)));
        let now = self.now;
        let disposition = if inbound && !answered {
            let (status, phrase) = self.final_status(id, cause);
            self.endpoint.refuse(now, leg, Reply { status, phrase, headers: extra, body: None });
            Some("send_refuse")
        } else {
            match self.endpoint.hangup(now, leg, extra) {
                Hangup::SentBye | Hangup::ByePending => Some("send_bye"),
                Hangup::SentCancel | Hangup::CancelPending => Some("send_cancel"),
                Hangup::Refused => Some("send_refuse"),
                Hangup::Nothing => None,
            }
        };
        if let Some(sip) = self.channels.get_mut(&id).and_then(|channel| channel.sip.as_mut()) {
            sip.over = true;
        }
        disposition
    }

    /// The complete rule of the final response.
    fn final_status(&self, id: ChannelId, cause: Cause) -> (u16, Option<String>) {
        let Some(channel) = self.channels.get(&id) else { return (cause.sip_status(), None) };
        if let Some((status, phrase)) = &channel.respond_status {
            return (*status, phrase.clone());
        }
        let remote = channel
            .variables
            .text("last_bridge_proto_specific_hangup_cause")
            .and_then(|text| text.strip_prefix("sip:").and_then(|status| status.parse::<u16>().ok()))
            .filter(|status| (300..700).contains(status))
            // A redirect without its Contact says nothing to the caller; the cause says more.
            .filter(|status| *status >= 400);
        match remote.filter(|_| !channel.variables.is_true("sip_ignore_remote_cause")) {
            Some(status) => (status, None),
            None => (cause.sip_status(), None),
        }
    }

    fn reason_header(&self, id: ChannelId, cause: Cause) -> Option<String> {
        let channel = self.channels.get(&id)?;
        if self
            .variable(id, "disable_q850_reason")
            .is_some_and(|value| dialplan::boolean::is_true(value.as_str()))
        {
            return None;
        }
        if cause == Cause::LOSE_RACE || cause == Cause::PICKED_OFF {
            let silent = self
                .variable(id, "ignore_completed_elsewhere")
                .is_some_and(|value| dialplan::boolean::is_true(value.as_str()));
            if !silent && !channel.answered {
                return Some(COMPLETED_ELSEWHERE.to_owned());
            }
            return None;
        }
        match channel.variables.text("sip_reason") {
            Some(received) => Some(received),
            None => Some(cause.reason_header()).filter(|_| cause != Cause::NONE),
        }
    }
}

/// Reads the cause of a Reason header; only protocols that carry Q.850 numbers count.
pub(crate) fn cause_of_reason(reason: &str) -> Option<Cause> {
    let mut parts = reason.split(';').map(str::trim);
    let protocol = parts.next()?;
    let known = ["Q.850", "FreeSWITCH", "Crosspoint"].iter().any(|name| name.eq_ignore_ascii_case(protocol));
    let number = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("cause").then(|| value.trim().parse::<u16>().ok()).flatten()
    })?;
    (known && number > 0).then(|| Cause::from_number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_q850_reasons_change_the_cause() {
        assert_eq!(cause_of_reason("Q.850;cause=34;text=\"x\""), Some(Cause::NORMAL_CIRCUIT_CONGESTION));
        assert_eq!(cause_of_reason("q.850 ; Cause = 17"), Some(Cause::USER_BUSY));
        assert_eq!(cause_of_reason("SIP;cause=200;text=\"Call completed elsewhere\""), None);
        assert_eq!(cause_of_reason("Q.850;cause=x"), None);
    }
}
