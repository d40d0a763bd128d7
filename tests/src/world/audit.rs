//! What must be true of every world when nothing is left to happen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use clock::Tick;
use switch::{Census, EventKind};

use super::World;
use crate::phone::{Leg, Role, State};
use crate::script::ms;
use crate::setup::SWITCH;

/// Complaints that are printed of one world.
const COMPLAINTS_MAX: usize = 30;

/// From the answer until audio is checked for completeness: commands and their way.
const SETTLING: Duration = ms(40);

/// What was said of one channel.
#[derive(Default)]
struct Life {
    created: u32,
    hung_up: u32,
    recorded: u32,
    destroyed: u32,
}

impl World {
    /// Looks whether all is as it must be.
    ///
    /// # Panics
    /// When it is not: with what is wrong, the seed, and the ladder of messages.
    pub fn audit(&self) {
        let mut wrong = Vec::new();
        self.audit_switch(&mut wrong);
        self.audit_workers(&mut wrong);
        self.audit_lives(&mut wrong);
        self.audit_phones(&mut wrong);
        self.audit_audio(&mut wrong);
        if !wrong.is_empty() {
            self.fail(&wrong);
        }
    }

    /// Ends the test with all that is known.
    ///
    /// # Panics
    /// Always.
    pub fn fail(&self, wrong: &[String]) -> ! {
        let shown: Vec<&str> = wrong.iter().take(COMPLAINTS_MAX).map(String::as_str).collect();
        let ladder = self.ladder.tell(&self.events);
        self.is_told.set(true);
        let fault = self.fault.map(|fault| format!(", fault {fault}")).unwrap_or_default();
        panic!(
            "seed {}{fault}{}, {:?}, turn {}: {} wrong\n  {}\n\n{ladder}",
            self.seed,
            self.notes.iter().map(|note| format!(", {note}")).collect::<String>(),
            self.now.tick,
            self.turns,
            wrong.len(),
            shown.join("\n  ")
        );
    }

    /// Who is not at rest, for a world that goes on for ever.
    pub(super) fn who_lives(&self) -> String {
        let phones: Vec<(usize, u16, State)> = self
            .phones
            .iter()
            .flat_map(|phone| phone.legs.iter().map(move |leg| (phone.index, leg.number, leg.state)))
            .filter(|(.., state)| *state != State::Ended)
            .collect();
        format!(
            "phones {phones:?}, {:?}, {:?}, next deadline {:?}",
            self.switch.census(),
            self.switch.signaling_census(),
            self.switch.next_deadline()
        )
    }

    fn audit_switch(&self, wrong: &mut Vec<String>) {
        let census = self.switch.census();
        if census != Census::default() {
            wrong.push(format!("the switch is left with {census:?}"));
        }
        let census = self.switch.signaling_census();
        if census != signaling::Census::default() {
            wrong.push(format!("signaling is left with {census:?}"));
        }
        let counters = self.switch.counters();
        if counters.story_panics > self.tolerates.panics {
            wrong.push(format!("{} stories panicked", counters.story_panics));
        }
        if counters.commands_refused > 0 {
            wrong.push(format!("workers refused {} commands", counters.commands_refused));
        }
        if counters.channels_created != counters.channels_ended {
            wrong.push(format!(
                "channels: {} made, {} ended",
                counters.channels_created, counters.channels_ended
            ));
        }
    }

    fn audit_workers(&self, wrong: &mut Vec<String>) {
        let mut slots = 0;
        for (worker, media) in self.workers.iter().enumerate() {
            let census = media.table.census();
            let at_rest = engine::stream_table::Census {
                slots: census.ports_ready,
                ports_ready: census.ports_ready,
                // A port that has rested long enough counts as resting until it is wanted.
                ports_resting: census.ports_resting,
                ports_free: census.ports_free,
                ..Default::default()
            };
            let ports = census.ports_ready + census.ports_resting + census.ports_free;
            if census != at_rest || ports != media.ports {
                wrong.push(format!("worker {worker} is left with {census:?}"));
            }
            slots += census.slots;
        }
        if self.sockets.len() != slots {
            wrong.push(format!("{} sockets, {slots} slots", self.sockets.len()));
        }
    }

    fn audit_lives(&self, wrong: &mut Vec<String>) {
        let mut lives: BTreeMap<&str, Life> = BTreeMap::new();
        for (place, event) in self.events.iter().enumerate() {
            if event.sequence != place as u64 + 1 && self.fault.is_none() {
                wrong.push(format!("event {} stands at place {place}", event.sequence));
                break;
            }
            let Some(uuid) = &event.channel else { continue };
            let life = lives.entry(uuid.as_str()).or_default();
            if life.created == 0 && !matches!(event.kind, EventKind::Created { .. }) {
                wrong.push(format!("{uuid}: {:?} before it was created", event.kind));
            }
            if life.destroyed > 0 {
                wrong.push(format!("{uuid}: {:?} after it was destroyed", event.kind));
            }
            match event.kind {
                EventKind::Created { .. } => life.created += 1,
                EventKind::Hangup { .. } => life.hung_up += 1,
                EventKind::Record(_) => life.recorded += 1,
                EventKind::Destroyed => life.destroyed += 1,
                _ => {}
            }
        }
        for (uuid, life) in lives {
            let counts = [life.created, life.hung_up, life.recorded, life.destroyed];
            if counts != [1; 4] {
                wrong.push(format!("{uuid}: created, hung up, recorded, destroyed: {counts:?} times"));
            }
        }
    }

    fn audit_phones(&self, wrong: &mut Vec<String>) {
        for phone in &self.phones {
            wrong.extend(phone.violations.iter().cloned());
            if !phone.is_idle() {
                let open: Vec<_> = phone.legs.iter().map(|leg| (leg.number, leg.state)).collect();
                wrong.push(format!("phone {} is not idle: {open:?}", phone.index));
            }
            for leg in &phone.legs {
                self.audit_ear(phone.index, leg, wrong);
            }
        }
    }

    fn audit_ear(&self, phone: usize, leg: &Leg, wrong: &mut Vec<String>) {
        let who = format!("phone {phone}, call {}, {:?}", leg.number, leg.role);
        let ear = &leg.media.ear;
        wrong.extend(ear.complaints.iter().map(|what| format!("{who}: {what}")));
        if let Some(heard) = ear.heard.iter().find(|heard| !leg.may_hear(heard.voice))
            && !self.tolerates.strangers
        {
            wrong.push(format!("{who} heard somebody else: {heard:?}"));
        }
        // Who was told no address at all may have lost the message that told it; and phones speak to each other directly
        // when audio goes around the switch.
        let ours: SocketAddr = SWITCH.parse().expect("an address by construction");
        let strangers = ear.strangers(&leg.media.sources);
        let strangers =
            strangers.iter().filter(|from| from.ip() == ours.ip() && !leg.media.sources.is_empty());
        wrong.extend(strangers.map(|from| format!("{who}: audio from {from}, which no SDP has named")));
        let continuity = ear.continuity();
        if !self.tolerates.foreign_ssrcs {
            wrong.extend(
                ear.unagreed.first().map(|what| format!("{who}: payload type {what:?} was not agreed on")),
            );
            wrong.extend(continuity.ssrcs.into_iter().map(|what| format!("{who}: {what}")));
            wrong.extend(continuity.disorder.into_iter().map(|what| format!("{who}: {what}")));
        }
        if continuity.breaks > 0 && !self.tolerates.breaks {
            wrong.push(format!("{who}: {} breaks in the numbering of its audio", continuity.breaks));
        }
    }

    /// Between the answer and the end every packet that the network did not take is heard, and none is heard twice.
    fn audit_audio(&self, wrong: &mut Vec<String>) {
        for (voice, fates) in &self.fates {
            let twice = fates.iter().position(|fate| fate.heard > 1 && !fate.doubled);
            wrong.extend(
                twice.map(|place| format!("packet {place} of {voice:?} was heard twice, though sent once")),
            );
        }
        for call in self.calls() {
            let legs =
                || self.phones.iter().flat_map(|phone| &phone.legs).filter(move |leg| leg.number == call);
            let caller = legs().find(|leg| leg.role == Role::Caller);
            let callee = legs().filter(|leg| leg.role == Role::Callee && leg.log.acknowledged_at.is_some());
            let Some(caller) = caller else { continue };
            let callees: Vec<&Leg> = callee.collect();
            // Who was answered twice, by transfers or repeated attempts, is looked at by the scenario itself.
            let [callee] = callees.as_slice() else { continue };
            if caller.script.behind_nat || callee.script.behind_nat {
                continue; // its packets are strangers' until it has proved itself
            }
            let Some((from, to)) = self.steady(caller, callee) else { continue };
            for speaker in [caller, callee] {
                self.audit_voice(speaker, from, to, wrong);
            }
        }
    }

    /// From when to when two legs certainly hear each other.
    fn steady(&self, caller: &Leg, callee: &Leg) -> Option<(Tick, Tick)> {
        let from = caller.log.answered_at?.max(callee.log.acknowledged_at?) + SETTLING;
        let ends = [caller, callee]
            .into_iter()
            .flat_map(|leg| [leg.log.stopped_at, leg.log.ended_at, self.byes.get(&leg.call_id).copied()]);
        let end = ends.flatten().chain(self.disturbed_at).min()?;
        Some((from, end))
    }

    /// When prompts were played to anybody: they take the place of what the other side says.
    fn playing(&self) -> Vec<(Tick, Tick)> {
        let mut spans = Vec::new();
        let mut open: BTreeMap<&str, Tick> = BTreeMap::new();
        for event in &self.events {
            let Some(uuid) = &event.channel else { continue };
            match &event.kind {
                EventKind::Executing { application, .. } if application == "playback" => {
                    open.insert(uuid.as_str(), event.at.tick);
                }
                EventKind::Executed { application } if application == "playback" => {
                    spans.extend(open.remove(uuid.as_str()).map(|begin| (begin, event.at.tick)));
                }
                // It was cut short by something that has no event of its own.
                EventKind::Hangup { .. } | EventKind::Parked | EventKind::Executing { .. } => {
                    spans.extend(open.remove(uuid.as_str()).map(|begin| (begin, event.at.tick)));
                }
                _ => {}
            }
        }
        spans
    }

    fn audit_voice(&self, speaker: &Leg, from: Tick, to: Tick, wrong: &mut Vec<String>) {
        let Some(fates) = self.fates.get(&speaker.media.voice) else { return };
        let quality = |host| self.network.quality(host, host).delay_max();
        let way =
            self.phones.iter().map(|phone| quality(phone.sip.ip())).max().unwrap_or_default() * 2 + ms(1);
        let playing = self.playing();
        let is_drowned = |at: Tick| playing.iter().any(|(begin, end)| at + way >= *begin && at <= *end + way);
        let missing: Vec<usize> = fates
            .iter()
            .enumerate()
            .filter(|(_, fate)| !is_drowned(fate.sent_at))
            .filter(|(_, fate)| fate.sent_at >= from && fate.sent_at + way < to)
            .filter(|(_, fate)| fate.heard == 0 && !fate.lost)
            .map(|(place, _)| place)
            .collect();
        if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
            wrong.push(format!(
                "call {}: {} packets of {:?} were not heard, {first} to {last}, though the network took none of them",
                speaker.number,
                missing.len(),
                speaker.media.voice
            ));
        }
    }
}
