//! What a phone is to do in a call, as data: tests write it, random worlds draw it.

use std::time::Duration;

use crate::voice::Law;

/// Milliseconds.
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Seconds.
pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One phone's part in one call.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it does, and when.
    pub steps: Vec<(When, Do)>,
    /// Codecs it has, the best first.
    pub codecs: Vec<Codec>,
    /// Payload type of telephone-events; `None`: it has none.
    pub event_payload_type: Option<u8>,
    /// It keeps its own number for telephone-events when it answers (RFC 3264 §6.1 permits it).
    pub insists_on_event_payload_type: bool,
    /// It sends audio whenever it may.
    pub talks: bool,
    /// It sends 100 at once.
    pub tries: bool,
    /// It does not answer an INVITE at all.
    pub silent: bool,
    /// It acknowledges a 2xx.
    pub acknowledges: bool,
    /// It is no surprise that nobody acknowledges its final response.
    pub tolerates_no_ack: bool,
    /// What it does when it is cancelled.
    pub on_cancel: OnCancel,
    /// Its audio comes from, and arrives at, another port than its SDP says.
    pub behind_nat: bool,
    /// Headers of its INVITE.
    pub headers: Vec<(String, String)>,
    /// Max-Forwards of its INVITE.
    pub max_forwards: u8,
    /// After this it leaves the call by all means.
    pub gives_up_after: Duration,
}

/// From when a step is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// From the INVITE that was sent or received.
    Invite(Duration),
    /// From the 200 that was sent or received.
    Answer(Duration),
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Do {
    /// A provisional response without SDP.
    Progress(u16),
    /// 183 with SDP, and audio from here on.
    Early,
    /// 200.
    Answer,
    /// A final response, and perhaps a header with it.
    Refuse(u16, Option<(String, String)>),
    /// What ends the call in the state it is in: CANCEL, BYE, or a refusal.
    HangUp,
    /// A re-INVITE that offers audio this way.
    Offer(Way),
    /// A re-INVITE without SDP.
    AskForOffer,
    /// UPDATE with SDP.
    UpdateOffer(Way),
    /// A request inside the dialog: INFO, OPTIONS, UPDATE without SDP …
    Request(&'static str),
    /// A telephone-event of 100 ms.
    Digit(u8),
    /// No audio from here on, until `Speak`.
    Hush,
    /// Audio again.
    Speak,
}

/// Direction of audio, as in SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Both.
    SendRecv,
    /// Only out: the other side is put on hold.
    SendOnly,
    /// Only in.
    RecvOnly,
    /// None.
    Inactive,
}

/// What a callee does on CANCEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// 200 to the CANCEL, 487 to the INVITE.
    Obey,
    /// 200 to both: the answer was on its way.
    AnswerInstead,
    /// 200 to the CANCEL, nothing to the INVITE.
    Ignore,
}

/// A codec of a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    /// Its name in rtpmap, with rate and channels.
    pub name: &'static str,
    /// Its payload type here.
    pub payload_type: u8,
    /// What the samples look like.
    pub law: Law,
    /// Timestamp units per packet of 20 ms.
    pub timestamp_step: u32,
}

impl Codec {
    /// G.711 µ-law.
    pub const PCMU: Codec = Codec { name: "PCMU/8000", payload_type: 0, law: Law::Ulaw, timestamp_step: 160 };
    /// G.711 A-law.
    pub const PCMA: Codec = Codec { name: "PCMA/8000", payload_type: 8, law: Law::Alaw, timestamp_step: 160 };
    /// Something that nobody here can decode: it can only be passed on.
    pub const OPUS: Codec =
        Codec { name: "opus/48000/2", payload_type: 107, law: Law::Ulaw, timestamp_step: 960 };

    /// The same with another number.
    pub const fn numbered(self, payload_type: u8) -> Codec {
        Codec { payload_type, ..self }
    }
}

impl Way {
    /// The attribute.
    pub const fn name(self) -> &'static str {
        match self {
            Way::SendRecv => "sendrecv",
            Way::SendOnly => "sendonly",
            Way::RecvOnly => "recvonly",
            Way::Inactive => "inactive",
        }
    }

    /// Reads the attribute.
    pub fn parse(text: &str) -> Option<Way> {
        [Way::SendRecv, Way::SendOnly, Way::RecvOnly, Way::Inactive]
            .into_iter()
            .find(|way| way.name() == text)
    }

    /// Whether who says this sends.
    pub const fn sends(self) -> bool {
        matches!(self, Way::SendRecv | Way::SendOnly)
    }

    /// Whether who says this receives.
    pub const fn receives(self) -> bool {
        matches!(self, Way::SendRecv | Way::RecvOnly)
    }

    /// The way of who sends and receives so.
    pub const fn of(sends: bool, receives: bool) -> Way {
        match (sends, receives) {
            (true, true) => Way::SendRecv,
            (true, false) => Way::SendOnly,
            (false, true) => Way::RecvOnly,
            (false, false) => Way::Inactive,
        }
    }
}

impl Default for Script {
    fn default() -> Script {
        Script {
            steps: Vec::new(),
            codecs: vec![Codec::PCMU, Codec::PCMA],
            event_payload_type: Some(101),
            insists_on_event_payload_type: false,
            talks: true,
            tries: true,
            silent: false,
            acknowledges: true,
            tolerates_no_ack: false,
            on_cancel: OnCancel::Obey,
            behind_nat: false,
            headers: Vec::new(),
            max_forwards: 70,
            gives_up_after: s(150),
        }
    }
}

impl Script {
    /// A caller that stays until the other side hangs up.
    pub fn caller() -> Script {
        Script::default()
    }

    /// A callee that rings soon and answers so long after the INVITE.
    pub fn answers(after: Duration) -> Script {
        let ring = ms(50).min(after / 2);
        Script::default().at(When::Invite(ring), Do::Progress(180)).at(When::Invite(after), Do::Answer)
    }

    /// A callee that rings, and no more.
    pub fn rings() -> Script {
        Script::default().at(When::Invite(ms(50)), Do::Progress(180))
    }

    /// A callee that refuses so long after the INVITE.
    pub fn refuses(after: Duration, status: u16) -> Script {
        Script::default().at(When::Invite(after), Do::Refuse(status, None))
    }

    /// A callee that sends early media, and no more.
    pub fn early(after: Duration) -> Script {
        Script::default().at(When::Invite(after), Do::Early)
    }

    /// A callee whose INVITEs fall on deaf ears.
    pub fn deaf() -> Script {
        Script { silent: true, ..Script::default() }
    }

    /// One step more.
    #[must_use]
    pub fn at(mut self, when: When, what: Do) -> Script {
        self.steps.push((when, what));
        self
    }

    /// Hangs up so long after the answer.
    #[must_use]
    pub fn hangs_up(self, after: Duration) -> Script {
        self.at(When::Answer(after), Do::HangUp)
    }

    /// Gives up so long after the INVITE, if nobody has answered by then; hangs up otherwise.
    #[must_use]
    pub fn cancels(self, after: Duration) -> Script {
        self.at(When::Invite(after), Do::HangUp)
    }

    /// Other codecs.
    #[must_use]
    pub fn codecs(mut self, codecs: &[Codec]) -> Script {
        self.codecs = codecs.to_vec();
        self
    }

    /// Sends no audio.
    #[must_use]
    pub fn mute(mut self) -> Script {
        self.talks = false;
        self
    }

    /// A header more in its INVITE.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Script {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}
