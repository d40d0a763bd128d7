//! What all stories share: channels, bridges, the endpoint, timers, and the ways to change them.
//!
//! A meeting place: it keeps and finds. What it means that a leg rings or a stream fell silent is decided in
//! `signals.rs`, `reports.rs`, `hangup.rs` and the stories.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use clock::{Now, Tick};
use dialplan::Text;
use jiff::tz::TimeZone;
use signaling::{Endpoint, LegId};

use crate::ask::{Answer, Ask};
use crate::bridge::Bridge;
use crate::channel::{Channel, Interjection, Replacement};
use crate::desk::MediaDesk;
use crate::event::{EventKind, EventRing, LogLevel};
use crate::random::Random;
use crate::settings::Configuration;
use crate::story::{Beginning, INTERJECTIONS_MAX};
use crate::{AskId, BridgeId, ChannelId, Counters, Uuid, record};

/// Questions that may be open at once; a further one is answered with nothing.
pub const ASKS_MAX: usize = 16_384;

/// State of one switch. Reached by stories through [`Call`](crate::call::Call), a step at a time.
pub(crate) struct Core {
    pub(crate) now: Now,
    pub(crate) configuration: Arc<Configuration>,
    /// Zone of stamps and time conditions, unless a call has one of its own.
    pub(crate) zone: TimeZone,
    pub(crate) endpoint: Endpoint,
    pub(crate) channels: BTreeMap<ChannelId, Channel>,
    pub(crate) by_leg: HashMap<LegId, ChannelId>,
    pub(crate) by_uuid: HashMap<Uuid, ChannelId>,
    pub(crate) bridges: BTreeMap<BridgeId, Bridge>,
    pub(crate) desk: MediaDesk,
    /// Channels whose story may be able to go on.
    pub(crate) ready: BTreeSet<ChannelId>,
    /// Channels whose story has not begun.
    pub(crate) beginnings: BTreeMap<ChannelId, Beginning>,
    pub(crate) timers: BTreeSet<(Tick, ChannelId)>,
    pub(crate) asks: VecDeque<(AskId, Ask)>,
    pub(crate) open_asks: BTreeMap<AskId, Asker>,
    pub(crate) answers: BTreeMap<AskId, Answer>,
    pub(crate) events: EventRing,
    pub(crate) counters: Counters,
    pub(crate) random: Random,
    pub(crate) admission: crate::admission::Admission,
    next_channel: u64,
    next_bridge: u64,
    next_ask: u64,
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asker {
    Channel(ChannelId),
    Signaling(signaling::QueryId),
}

impl Core {
    pub(crate) fn new(configuration: Arc<Configuration>, endpoint: Endpoint, seed: u64) -> Core {
        Core {
            now: Now::default(),
            zone: record::zone_of(&configuration),
            configuration,
            endpoint,
            channels: BTreeMap::new(),
            by_leg: HashMap::new(),
            by_uuid: HashMap::new(),
            bridges: BTreeMap::new(),
            desk: MediaDesk::default(),
            ready: BTreeSet::new(),
            beginnings: BTreeMap::new(),
            timers: BTreeSet::new(),
            asks: VecDeque::new(),
            open_asks: BTreeMap::new(),
            answers: BTreeMap::new(),
            events: EventRing::default(),
            counters: Counters::default(),
            random: Random::new(seed),
            admission: crate::admission::Admission::default(),
            next_channel: 0,
            next_bridge: 0,
            next_ask: 0,
        }
    }

    pub(crate) fn next_channel_id(&mut self) -> ChannelId {
        self.next_channel += 1;
        ChannelId(self.next_channel)
    }

    pub(crate) fn next_bridge_id(&mut self) -> BridgeId {
        self.next_bridge += 1;
        BridgeId(self.next_bridge)
    }

    /// Puts a new channel in the tables and lets its story begin in the next turn.
    pub(crate) fn enter(&mut self, channel: Channel, beginning: Beginning) {
        let (id, uuid, inbound) = (channel.id, channel.uuid.clone(), channel.inbound);
        if let Some(sip) = &channel.sip {
            self.by_leg.insert(sip.leg, id);
        }
        self.by_uuid.insert(uuid.clone(), id);
        let name = channel.name.clone();
        self.channels.insert(id, channel);
        self.beginnings.insert(id, beginning);
        self.counters.channels_created += 1;
        self.events.say(self.now, Some(uuid), EventKind::Created { name, inbound });
        self.wake(id);
    }

    /// Lets a channel's story look again at what it waits for.
    pub(crate) fn wake(&mut self, id: ChannelId) {
        self.ready.insert(id);
    }

    /// Whether a story that just waited has to be polled again: something is to run on top, or in its place.
    pub(crate) fn wants_turn(&self, id: ChannelId) -> bool {
        self.channels
            .get(&id)
            .is_some_and(|channel| !channel.interjections.is_empty() || channel.replacement.is_some())
    }

    pub(crate) fn is_replaced(&self, id: ChannelId) -> bool {
        self.channels.get(&id).is_some_and(|channel| channel.replacement.is_some())
    }

    /// Replaces what a channel does at its next await. An ending channel is not called back to life.
    pub(crate) fn replace(&mut self, id: ChannelId, replacement: Replacement) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if !channel.is_up() && !matches!(replacement, Replacement::Farewell) {
            return;
        }
        channel.frames.clear();
        channel.interjections.clear();
        channel.parked = false;
        channel.replacement = Some(replacement);
        self.wake(id);
    }

    /// Runs an application on top of what a channel does.
    pub(crate) fn interject(&mut self, id: ChannelId, interjection: Interjection) {
        let Some(channel) = self.channels.get_mut(&id).filter(|channel| channel.is_up()) else { return };
        if channel.interjections.len() >= INTERJECTIONS_MAX {
            self.counters.interjections_dropped += 1;
            return;
        }
        channel.interjections.push_back(interjection);
        self.wake(id);
    }

    /// The variable as §15.3 finds it: the channel's, then a profile field, then a global one.
    pub(crate) fn variable(&self, id: ChannelId, name: &str) -> Option<Text> {
        if let Some(channel) = self.channels.get(&id) {
            if let Some(value) = channel.variables.get(name) {
                return Some(value);
            }
            if let Some(value) = self.live_variable(channel, name) {
                return Some(value);
            }
            if let Some(value) = channel
                .profile
                .field(name, &channel.uuid, &channel.name)
                .filter(|value| !value.as_str().is_empty())
            {
                return Some(value);
            }
        }
        self.configuration.globals.get(&name.to_ascii_lowercase()).map(|value| Text::trusted(value.as_str()))
    }

    /// Variables that are not stored but known.
    pub(crate) fn live_variable(&self, channel: &Channel, name: &str) -> Option<Text> {
        match name.to_ascii_lowercase().as_str() {
            "direction" => Some(Text::trusted(if channel.inbound { "inbound" } else { "outbound" })),
            // It begins with words of ours and ends with what the caller calls himself.
            "channel_name" => Some(Text::network(channel.name.as_str())),
            _ => None,
        }
    }

    pub(crate) fn say(&mut self, id: ChannelId, kind: EventKind) {
        let uuid = self.channels.get(&id).map(|channel| channel.uuid.clone());
        self.events.say(self.now, uuid, kind);
    }

    pub(crate) fn log(&mut self, id: ChannelId, level: LogLevel, text: String) {
        self.say(id, EventKind::Logged { level, text });
    }

    pub(crate) fn ask(&mut self, id: ChannelId, ask: Ask) -> AskId {
        self.open_ask(Asker::Channel(id), ask)
    }

    pub(crate) fn open_ask(&mut self, asker: Asker, ask: Ask) -> AskId {
        self.next_ask += 1;
        let id = AskId(self.next_ask);
        if self.open_asks.len() >= ASKS_MAX {
            self.counters.asks_refused += 1;
            return id;
        }
        self.open_asks.insert(id, asker);
        self.asks.push_back((id, ask));
        id
    }

    pub(crate) fn forget_ask(&mut self, id: AskId) {
        self.open_asks.remove(&id);
        self.answers.remove(&id);
        self.asks.retain(|(other, _)| *other != id);
    }

    /// Takes an answer to whom it belongs; late ones are dropped.
    pub(crate) fn take_answer(&mut self, id: AskId, answer: Answer) {
        match self.open_asks.remove(&id) {
            Some(Asker::Channel(channel)) => {
                self.answers.insert(id, answer);
                self.wake(channel);
            }
            Some(Asker::Signaling(query)) => {
                let addresses = match answer {
                    Answer::Resolved(addresses) if !addresses.is_empty() => Ok(addresses),
                    Answer::Resolved(_) | Answer::Prompt(_) => Err(()),
                };
                self.endpoint.handle_resolved(self.now, query, addresses);
            }
            None => self.counters.late_answers += 1,
        }
    }

    /// Takes a channel that has ended, been recorded and let go of everything out of the tables.
    pub(crate) fn forget(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.remove(&id) else { return };
        self.by_uuid.remove(&channel.uuid);
        if let Some(sip) = &channel.sip {
            self.by_leg.remove(&sip.leg);
        }
        self.ready.remove(&id);
        self.beginnings.remove(&id);
        self.counters.channels_ended += 1;
        self.events.say(self.now, Some(channel.uuid), EventKind::Destroyed);
    }
}
