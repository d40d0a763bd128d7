//! One call as one phone knows it.

use bytes::Bytes;
use clock::Tick;

use super::media::Media;
use crate::script::{Do, Script, When};
use crate::voice::{CALLER, PROMPT, Voice};

/// Which end of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It sent the INVITE.
    Caller,
    /// It received the INVITE.
    Callee,
}

/// How far the call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// INVITE sent, nothing heard.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// CANCEL sent, or to be sent as soon as anything is heard.
    Cancelling,
    /// INVITE received, no final answer yet.
    Ringing,
    /// 200 sent, no ACK yet.
    Answering,
    /// The dialog stands.
    Up,
    /// BYE sent.
    Leaving,
    /// Over.
    Ended,
}

/// How a call ended, as one phone saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A final response of 300 or above, received or sent.
    Refused(u16),
    /// The INVITE was cancelled: 487.
    Cancelled,
    /// Our BYE, answered.
    HungUp,
    /// The other side's BYE.
    HungUpByPeer,
    /// Nobody answered our request.
    TimedOut,
}

/// What happened in a call, for the tests to ask.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Responses to our INVITE below 200: when, status, with SDP or not.
    pub progress: Vec<(Tick, u16, bool)>,
    /// First final response to the INVITE, sent or received.
    pub status: Option<u16>,
    /// Reason of what ended the call: final response, CANCEL or BYE of the other side.
    pub reason: Option<String>,
    /// When the 200 was sent or received.
    pub answered_at: Option<Tick>,
    /// When the ACK was sent or received.
    pub acknowledged_at: Option<Tick>,
    /// A CANCEL came.
    pub cancelled: bool,
    /// Nobody acknowledged our 200.
    pub unacknowledged: bool,
    /// How it ended.
    pub end: Option<End>,
    /// When.
    pub ended_at: Option<Tick>,
    /// When somebody first did something that stops or changes audio.
    pub stopped_at: Option<Tick>,
    /// Headers of the INVITE that came.
    pub invite: Vec<(String, String)>,
    /// Headers of the final response to our INVITE.
    pub response: Vec<(String, String)>,
    /// Final responses to our requests inside the dialog, in order: method, status, when.
    pub inside: Vec<(String, u16, Tick)>,
    /// Requests of the other side inside the dialog: method, with SDP or not, when.
    pub asked: Vec<(String, bool, Tick)>,
    /// Retransmissions of requests that came.
    pub copies: u32,
}

/// A re-INVITE of ours without a final answer.
#[derive(Clone, Debug)]
pub(super) struct Reinvite {
    pub(super) branch: String,
    pub(super) cseq: u32,
    /// What it offers; `None`: it asks for an offer.
    pub(super) way: Option<crate::script::Way>,
    pub(super) tries: u32,
}

/// One call of one phone.
#[derive(Clone, Debug)]
pub struct Leg {
    /// Number of the call in the world; both ends know it by the caller's number.
    pub number: u16,
    /// Which end.
    pub role: Role,
    /// How far.
    pub state: State,
    /// What it is to do.
    pub script: Script,
    /// Its audio.
    pub media: Media,
    /// What happened.
    pub log: Log,
    /// When it began.
    pub started_at: Tick,
    /// Its name.
    pub call_id: String,
    pub(super) dialled: String,
    pub(super) local_tag: String,
    pub(super) remote_tag: String,
    /// Our From without tag.
    pub(super) local_uri: String,
    /// Their To without tag.
    pub(super) remote_uri: String,
    pub(super) remote_target: String,
    pub(super) cseq: u32,
    pub(super) remote_cseq: u32,
    pub(super) invite_branch: String,
    pub(super) invite_cseq: u32,
    /// Via, From, To, Call-ID and CSeq lines of the INVITE that came, to answer it by.
    pub(super) invite_head: String,
    pub(super) invite_source: Option<std::net::SocketAddr>,
    pub(super) invite_sdp: String,
    /// Our answer to the INVITE's offer, once made; early and final answers are the same.
    pub(super) answer_sdp: Option<String>,
    /// The ACK of the 200, sent again whenever the 200 comes again.
    pub(super) ack: Option<Bytes>,
    /// Wants to hang up as soon as anything is heard of the INVITE.
    pub(super) wants_cancel: bool,
    /// Our 2xx of this CSeq offered; its ACK must answer.
    pub(super) offered_in: Option<u32>,
    pub(super) reinvite: Option<Reinvite>,
    /// An UPDATE with an offer of ours has no answer yet.
    pub(super) updating: bool,
    /// The latest ACK of a re-INVITE: CSeq and message.
    pub(super) reinvite_ack: Option<(u32, Bytes)>,
    pub(super) agenda: Vec<(Tick, Do)>,
}

impl Log {
    /// Audio is not what it was from here on.
    pub fn stop(&mut self, now: Tick) {
        self.stopped_at.get_or_insert(now);
    }
}

impl Leg {
    pub(super) fn new(role: Role, number: u16, script: Script, media: Media) -> Leg {
        Leg {
            number,
            role,
            state: if role == Role::Caller { State::Calling } else { State::Ringing },
            script,
            media,
            log: Log::default(),
            started_at: Tick::ZERO,
            call_id: String::new(),
            dialled: String::new(),
            local_tag: String::new(),
            remote_tag: String::new(),
            local_uri: String::new(),
            remote_uri: String::new(),
            remote_target: String::new(),
            cseq: 0,
            remote_cseq: 0,
            invite_branch: String::new(),
            invite_cseq: 0,
            invite_head: String::new(),
            invite_source: None,
            invite_sdp: String::new(),
            answer_sdp: None,
            ack: None,
            wants_cancel: false,
            offered_in: None,
            reinvite: None,
            updating: false,
            reinvite_ack: None,
            agenda: Vec::new(),
        }
    }

    /// Whether this voice may be heard here: prompts, and the other end of the same call once there is audio.
    pub fn may_hear(&self, voice: Voice) -> bool {
        if voice.speaker == PROMPT {
            return true;
        }
        let other_end = (self.role == Role::Caller) != (voice.speaker == CALLER);
        voice.call == self.number && other_end
    }

    /// Whether an offer of ours has no answer yet, or one that we asked for has not come (RFC 3264 §4).
    pub(super) fn is_offering(&self) -> bool {
        self.reinvite.is_some() || self.updating || self.offered_in.is_some()
    }

    /// The next step that is due.
    pub(super) fn due(&mut self, now: Tick) -> Option<Do> {
        let place =
            self.agenda.iter().enumerate().filter(|(_, (at, _))| *at <= now).min_by_key(|(_, (at, _))| *at);
        place.map(|(place, _)| place).map(|place| self.agenda.remove(place).1)
    }

    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.agenda.iter().map(|(at, _)| *at).chain(self.media.next_deadline()).min()
    }

    /// Steps that are counted from the answer begin.
    pub(super) fn answered(&mut self, now: Tick) {
        self.log.answered_at = Some(now);
        for (when, what) in &self.script.steps {
            if let When::Answer(after) = when {
                self.agenda.push((now + *after, what.clone()));
            }
        }
    }

    /// Whom the INVITE that came was for.
    pub fn dialled(&self) -> &str {
        &self.dialled
    }

    /// The value of a header of the INVITE that came.
    pub fn invite_header(&self, name: &str) -> Option<&str> {
        let mut found = self.log.invite.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }
}
