//! A channel: one leg of a call, as data. What it does is told by its story (`story.rs`).

use std::collections::VecDeque;
use std::sync::Arc;

use clock::Wall;
use dialplan::{Action, Dialplan, Text};
use signaling::{LegId, Message, ProfileId, RequestId, Source};

use crate::media::Media;
use crate::{BridgeId, CallerProfile, Cause, ChannelId, Uuid, Variables};

/// Everything known of one leg.
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    pub(crate) uuid: Uuid,
    /// It came in, rather than was called.
    pub(crate) inbound: bool,
    /// Display name, as `sofia/external/1000@192.0.2.1`.
    pub(crate) name: String,
    pub(crate) profile: CallerProfile,
    pub(crate) variables: Variables,
    pub(crate) sip: Option<SipLeg>,
    pub(crate) media: Media,
    /// How far set-up has come.
    pub(crate) ringing: bool,
    pub(crate) early: bool,
    pub(crate) answered: bool,
    /// The ACK of our 200 has come.
    pub(crate) acknowledged: bool,
    pub(crate) stamps: Stamps,
    /// Set once, when it ends.
    pub(crate) hangup: Option<Cause>,
    /// Final status a `respond` asked for; it rules over every other.
    pub(crate) respond_status: Option<(u16, Option<String>)>,
    /// The leg that is calling this one, until they are joined or it gives up.
    pub(crate) originator: Option<ChannelId>,
    /// How the legs ended that this channel called in its present attempt.
    pub(crate) leg_ends: Vec<LegEnd>,
    /// Whether another leg ever called this one, or this one another (for `legs=` of records).
    pub(crate) had_originator: bool,
    pub(crate) had_originatee: bool,
    pub(crate) bridge: Option<BridgeId>,
    /// How the last bridge ended; read by the story that waited for it.
    pub(crate) bridge_end: Option<BridgeEnd>,
    /// A bridge that failed with NO_USER_RESPONSE was passed over because no variable said otherwise: if the
    /// dialplan has nothing more to say, this is why the call ends.
    pub(crate) passed_over: Option<Cause>,
    /// Action lists being run, innermost last.
    pub(crate) frames: Vec<Frame>,
    /// The configuration's dialplan at the time of the first hunt; kept for the whole call.
    pub(crate) dialplan: Arc<Dialplan>,
    /// What the story is to be replaced by at its next await.
    pub(crate) replacement: Option<Replacement>,
    /// Applications to be run on top of the story.
    pub(crate) interjections: VecDeque<Interjection>,
    /// Transfers and loops still allowed.
    pub(crate) max_forwards: u8,
    pub(crate) parked: bool,
    /// Requests of the peer that wait for another leg's answer, and the like (`relay.rs`).
    pub(crate) relay: Option<crate::relay::Relay>,
    /// A re-INVITE of ours that went out without SDP: its 2xx carries an offer, its ACK has to answer.
    pub(crate) asked_without_sdp: Option<RequestId>,
}

/// The dialog of a channel.
pub(crate) struct SipLeg {
    pub(crate) leg: LegId,
    pub(crate) profile: ProfileId,
    /// Nothing more can be sent: the peer has ended it, or a final response went out.
    pub(crate) over: bool,
    /// The INVITE as it came in (inbound), and where from.
    pub(crate) invite: Option<Message>,
    pub(crate) source: Option<Source>,
    /// An offer of ours waits in our 2xx for the ACK that carries the answer.
    pub(crate) offered_in_2xx: bool,
}

/// How a leg ended that never was joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LegEnd {
    pub(crate) leg: ChannelId,
    pub(crate) cause: Cause,
    /// The final response it was refused with.
    pub(crate) status: Option<u16>,
}

/// When what happened; `None`: never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamps {
    pub(crate) created: Wall,
    pub(crate) profile_created: Wall,
    pub(crate) progress: Option<Wall>,
    pub(crate) progress_media: Option<Wall>,
    pub(crate) answered: Option<Wall>,
    pub(crate) bridged: Option<Wall>,
    pub(crate) ended: Option<Wall>,
}

/// One action list in progress.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) actions: Arc<[Action]>,
    pub(crate) next: usize,
}

/// How a bridge ended, as seen by one of its two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BridgeEnd {
    /// The other side's cause, if it ended; `None`: it was taken away.
    pub(crate) cause: Option<Cause>,
    /// Whether the called side (B) was ever answered.
    pub(crate) called_answered: bool,
}

/// What comes instead of the present story.
#[derive(Clone, Debug)]
pub(crate) enum Replacement {
    /// Hunt anew with the profile as it stands now.
    Route,
    /// Wait for control from outside.
    Park,
    /// The channel ends.
    Farewell,
    /// The story panics: for tests of the fence.
    Broken,
}

/// An application that runs on top of the story.
#[derive(Clone, Debug)]
pub(crate) struct Interjection {
    pub(crate) application: String,
    pub(crate) data: Text,
}

/// What a channel is made of; all else has not happened yet.
pub(crate) struct Birth {
    pub(crate) id: ChannelId,
    pub(crate) uuid: Uuid,
    pub(crate) inbound: bool,
    pub(crate) name: String,
    pub(crate) profile: CallerProfile,
    pub(crate) variables: Variables,
    pub(crate) media: Media,
    pub(crate) dialplan: Arc<Dialplan>,
    pub(crate) max_forwards: u8,
    pub(crate) now: Wall,
}

impl Channel {
    /// A channel to which nothing has happened.
    pub(crate) fn new(birth: Birth) -> Channel {
        let mut variables = birth.variables;
        variables.set("channel_name", Text::network(birth.name.as_str()));
        variables.set_str("uuid", birth.uuid.as_str());
        Channel {
            id: birth.id,
            uuid: birth.uuid,
            inbound: birth.inbound,
            name: birth.name,
            profile: birth.profile,
            variables,
            sip: None,
            media: birth.media,
            ringing: false,
            early: false,
            answered: false,
            acknowledged: false,
            stamps: Stamps { created: birth.now, profile_created: birth.now, ..Stamps::default() },
            hangup: None,
            respond_status: None,
            originator: None,
            leg_ends: Vec::new(),
            had_originator: false,
            had_originatee: false,
            bridge: None,
            bridge_end: None,
            passed_over: None,
            frames: Vec::new(),
            dialplan: birth.dialplan,
            replacement: None,
            interjections: VecDeque::new(),
            max_forwards: birth.max_forwards,
            parked: false,
            relay: None,
            asked_without_sdp: None,
        }
    }

    /// Whether it can still do something.
    pub(crate) fn is_up(&self) -> bool {
        self.hangup.is_none()
    }

    /// Whether SDP may be exchanged already.
    pub(crate) fn has_media(&self) -> bool {
        self.answered || self.early
    }

    pub(crate) fn leg(&self) -> Option<LegId> {
        self.sip.as_ref().filter(|sip| !sip.over).map(|sip| sip.leg)
    }

    pub(crate) fn profile_id(&self) -> Option<ProfileId> {
        self.sip.as_ref().map(|sip| sip.profile)
    }
}
