//! A world: the switch, its media workers, phones, the network between them, and a clock that jumps from deadline to
//! deadline. One seed decides everything.
//!
//! ```text
//!   phones ◀── network, streams ──▶ switch ◀── commands, reports (a little late) ──▶ workers ◀── network ──▶ phones
//! ```
//! `step` finds what happens next, lets it happen, and carries what came of it to where it belongs.

mod audit;
mod ladder;
mod moving;
mod queue;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clock::{Now, Tick};
use link::Prompt;
use signaling::{ListenerId, Transport};
use switch::{Event, EventKind, Record, Request, Switch};

use crate::fault::Fault;
use crate::media_worker::{MediaWorker, Sockets};
use crate::network::{Datagram, Network, Quality};
use crate::phone::{Leg, Phone, Role};
use crate::random::Random;
use crate::script::Script;
use crate::streams::Stream;
use crate::voice::Voice;

use self::ladder::Ladder;
use self::queue::{Happening, Queue};

/// When every world begins.
pub const START: Tick = Tick::from_millis(1_000);

/// No scenario lasts longer than this.
const TIME_MAX: Duration = Duration::from_secs(1_800);

/// No scenario has more steps than this: what has, goes round in circles.
const STEPS_MAX: u64 = 3_000_000;

/// How long the workers' own timers are followed when nothing else goes on: until ports have rested, and more.
const AFTERLIFE: Duration = Duration::from_secs(20);

/// What a raw party answers to what it receives: after how long, to whom, what.
pub type Respond = Box<dyn FnMut(Tick, SocketAddr, &[u8]) -> Vec<(Duration, SocketAddr, Vec<u8>)>>;

/// A party that is no phone: it sends what a test makes up.
struct Raw {
    address: SocketAddr,
    respond: Respond,
    received: Vec<(Tick, Vec<u8>)>,
}

/// What the audits let pass, because the scenario means it to happen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tolerance {
    /// Audio is stopped and started, so that numbers do not run with places.
    pub breaks: bool,
    /// Calls are moved about, so that legs hear other calls' voices.
    pub strangers: bool,
    /// Packets are passed on as they are, so that SSRCs and codecs are those of whoever speaks.
    pub foreign_ssrcs: bool,
    /// Stories that may panic.
    pub panics: u64,
}

/// What became of one packet of audio.
#[derive(Clone, Copy, Debug)]
struct Fate {
    sent_at: Tick,
    lost: bool,
    doubled: bool,
    heard: u16,
}

/// What `Setup` hands over.
pub(crate) struct Parts {
    pub(crate) seed: u64,
    pub(crate) now: Now,
    pub(crate) random: Random,
    pub(crate) switch: Switch,
    pub(crate) listeners: Vec<(ListenerId, Transport, SocketAddr)>,
    pub(crate) workers: Vec<MediaWorker>,
    pub(crate) sockets: Sockets,
    pub(crate) phones: Vec<Phone>,
    pub(crate) network: Network,
    pub(crate) prompts: BTreeMap<String, Arc<Prompt>>,
    pub(crate) fault: Option<Fault>,
}

/// Everything.
pub struct World {
    seed: u64,
    now: Now,
    random: Random,
    /// The switch under test.
    pub switch: Switch,
    listeners: Vec<(ListenerId, Transport, SocketAddr)>,
    workers: Vec<MediaWorker>,
    sockets: Sockets,
    /// The phones, for their scripts and what they saw.
    pub phones: Vec<Phone>,
    raws: Vec<Raw>,
    /// The network.
    pub network: Network,
    streams: Vec<Stream>,
    queue: Queue,
    ladder: Ladder,
    events: Vec<Event>,
    fates: BTreeMap<Voice, Vec<Fate>>,
    /// When the switch first sent BYE to a call, by Call-ID.
    byes: BTreeMap<String, Tick>,
    sent_before: std::collections::BTreeSet<Bytes>,
    prompts: BTreeMap<String, Arc<Prompt>>,
    /// How long a prompt takes to load.
    pub prompt_delay: Duration,
    /// Names that resolve, and to what.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    fault: Option<Fault>,
    steps: u64,
    /// Inputs that the switch was given.
    turns: u64,
    next_call: u16,
    /// The network tells the switch of datagrams that arrive where nobody is.
    pub tells_unreachable: bool,
    /// What the audits let pass.
    pub tolerates: Tolerance,
    /// From here on audio is the scenario's own affair: somebody outside gave an order.
    disturbed_at: Option<Tick>,
    /// When anybody but a worker last had something to do.
    busy_at: Tick,
    notes: Vec<String>,
    /// The ladder was printed.
    is_told: Cell<bool>,
}

impl World {
    pub(crate) fn assemble(parts: Parts) -> World {
        let mut world = World {
            seed: parts.seed,
            now: parts.now,
            random: parts.random,
            switch: parts.switch,
            listeners: parts.listeners,
            workers: parts.workers,
            sockets: parts.sockets,
            phones: parts.phones,
            raws: Vec::new(),
            network: parts.network,
            streams: Vec::new(),
            queue: Queue::default(),
            ladder: Ladder::default(),
            events: Vec::new(),
            fates: BTreeMap::new(),
            byes: BTreeMap::new(),
            sent_before: std::collections::BTreeSet::new(),
            prompts: parts.prompts,
            prompt_delay: Duration::from_millis(3),
            hosts: BTreeMap::new(),
            fault: parts.fault,
            steps: 0,
            turns: 0,
            next_call: 1,
            tells_unreachable: false,
            tolerates: Tolerance::default(),
            disturbed_at: None,
            busy_at: parts.now.tick,
            notes: Vec::new(),
            is_told: Cell::new(false),
        };
        for worker in 0..world.workers.len() {
            world.workers[worker].handle_commands(world.now.tick, Vec::new(), &mut world.sockets);
        }
        world.settle();
        world
    }

    /// The time.
    pub fn now(&self) -> Tick {
        self.now.tick
    }

    /// The time by both clocks.
    pub fn time(&self) -> Now {
        self.now
    }

    /// Inputs that the switch was given so far.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// What the switch said, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The way to a phone is different from the others.
    pub fn set_quality(&mut self, phone: usize, quality: Quality) {
        self.phones[phone].expects_order = quality.keeps_order();
        self.network.set_quality(self.phones[phone].sip.ip(), quality);
    }

    /// A phone calls a number now. Gives the number of the call.
    pub fn call(&mut self, phone: usize, to: &str, script: Script) -> u16 {
        self.call_after(Duration::ZERO, phone, to, script)
    }

    /// A phone calls a number after a while.
    pub fn call_after(&mut self, after: Duration, phone: usize, to: &str, script: Script) -> u16 {
        let number = self.next_call;
        self.next_call += 1;
        let call = Happening::Call { phone, number, to: to.to_owned(), script: Box::new(script) };
        self.queue.push(self.now.tick + after, call);
        number
    }

    /// Something is ordered of the switch after a while; `which` of the channels that there are then, in order of
    /// their making.
    pub fn order_after(
        &mut self,
        after: Duration,
        which: usize,
        order: impl FnOnce(String) -> Request + 'static,
    ) {
        self.queue
            .push(self.now.tick + after, Happening::Order { which, order: Box::new(order), disturbs: true });
    }

    /// The same, of an order that must not be heard in the audio.
    pub fn order_quietly_after(
        &mut self,
        after: Duration,
        which: usize,
        order: impl FnOnce(String) -> Request + 'static,
    ) {
        self.queue
            .push(self.now.tick + after, Happening::Order { which, order: Box::new(order), disturbs: false });
    }

    /// Something is ordered of the switch now. False when there is no such channel.
    pub fn order(&mut self, which: usize, order: impl FnOnce(String) -> Request) -> bool {
        self.disturbed_at.get_or_insert(self.now.tick);
        self.obey(which, order)
    }

    fn obey(&mut self, which: usize, order: impl FnOnce(String) -> Request) -> bool {
        let Some(uuid) = self.switch.channels().get(which).map(ToString::to_string) else { return false };
        self.turns += 1;
        let taken = self.switch.handle_request(self.now, order(uuid)).is_ok();
        self.settle();
        taken
    }

    /// Audio is the scenario's own affair.
    pub fn leave_audio_alone(&mut self) {
        self.disturbed_at = Some(Tick::ZERO);
    }

    /// All that was sent and said.
    pub fn tell(&self) -> String {
        self.ladder.tell(&self.events)
    }

    /// Every connection that stands breaks.
    pub fn break_streams(&mut self) {
        for stream in &mut self.streams {
            if let Some(connection) = stream.connection.filter(|_| !stream.is_closed) {
                self.switch.handle_closed(self.now, connection);
            }
            stream.is_closed = true;
        }
        self.settle();
    }

    /// The same after a while. Messages on their way are lost.
    pub fn break_streams_after(&mut self, after: Duration) {
        for phone in &mut self.phones {
            phone.expects_order = false;
        }
        self.queue.push(self.now.tick + after, Happening::Break);
    }

    /// A word for whoever has to read what went wrong.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// All phones that have this part in a call leave it now.
    pub fn hang_up(&mut self, call: u16, role: Role) {
        self.disturbed_at.get_or_insert(self.now.tick);
        for phone in &mut self.phones {
            phone.leave(self.now.tick, call, role);
        }
        self.settle();
    }

    /// A party at `address` that does as `respond` says.
    pub fn raw(&mut self, address: SocketAddr, respond: Respond) {
        self.raws.push(Raw { address, respond, received: Vec::new() });
    }

    /// A datagram out of nowhere.
    pub fn throw(&mut self, after: Duration, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let datagram = Datagram { from, to, bytes: Bytes::from(bytes), tag: None };
        self.queue.push(self.now.tick + after, Happening::Datagram(datagram));
    }

    /// What a raw party received.
    pub fn received_raw(&self, address: SocketAddr) -> &[(Tick, Vec<u8>)] {
        self.raws.iter().find(|raw| raw.address == address).map_or(&[], |raw| raw.received.as_slice())
    }

    /// The calling end of a call.
    pub fn caller(&self, call: u16) -> &Leg {
        let legs = self.phones.iter().flat_map(|phone| &phone.legs);
        let mut found = legs.filter(|leg| leg.role == Role::Caller && leg.number == call);
        found.next().unwrap_or_else(|| self.fail(&[format!("call {call} was never made")]))
    }

    /// The called ends of a call, in order of phones and of time.
    pub fn callees(&self, call: u16) -> Vec<&Leg> {
        let legs = self.phones.iter().flat_map(|phone| &phone.legs);
        legs.filter(|leg| leg.role == Role::Callee && leg.number == call).collect()
    }

    /// The called end of a call at one phone.
    pub fn callee(&self, call: u16, phone: usize) -> &Leg {
        let mut legs = self.phones[phone].legs.iter();
        let found = legs.find(|leg| leg.role == Role::Callee && leg.number == call);
        found.unwrap_or_else(|| self.fail(&[format!("call {call} never reached phone {phone}")]))
    }

    /// The numbers of all calls.
    pub fn calls(&self) -> impl Iterator<Item = u16> + use<> {
        1..self.next_call
    }

    /// The records, in order of writing.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Record(record) => Some(record.as_ref()),
            _ => None,
        })
    }

    /// Whether there is a record whose variable has this value.
    pub fn is_recorded(&self, name: &str, value: &str) -> bool {
        self.records().any(|record| record.variables.text(name).as_deref() == Some(value))
    }

    /// Lets everything happen, then looks whether all is as it must be.
    pub fn run(&mut self) {
        while self.step() {}
        self.audit();
    }

    /// Lets things happen until a time has come, or nothing more does.
    pub fn run_until(&mut self, after: Duration) {
        let until = self.now.tick + after;
        while self.next_at().is_some_and(|at| at <= until) {
            self.step();
        }
        self.advance(until);
    }

    /// Lets things happen until the switch was given so many inputs. False when it never is.
    pub fn run_turns(&mut self, turns: u64) -> bool {
        while self.turns < turns {
            if !self.step() {
                return false;
            }
        }
        true
    }

    /// Lets the next thing happen. False when nothing is left to happen.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next_at() else { return false };
        self.steps += 1;
        if at > Tick::ZERO + TIME_MAX || self.steps > STEPS_MAX {
            let when = format!("it does not come to rest: {at:?}, {} steps", self.steps);
            self.fail(&[when, self.who_lives()]);
        }
        self.advance(at);
        let now = self.now.tick;
        let worker = self.workers.iter().position(|w| w.next_deadline().is_some_and(|at| at <= now));
        self.busy_at = if worker.is_some() { self.busy_at } else { now };
        if let Some(happening) = self.queue.pop_due(now) {
            self.happen(happening);
        } else if let Some(phone) =
            self.phones.iter().position(|phone| phone.next_deadline().is_some_and(|at| at <= now))
        {
            self.phones[phone].handle_timeout(now);
        } else if let Some(worker) =
            self.workers.iter().position(|w| w.next_deadline().is_some_and(|at| at <= now))
        {
            self.workers[worker].handle_timeout(now, &mut self.sockets);
        } else {
            self.turns += 1;
            self.switch.handle_timeout(self.now);
        }
        self.settle();
        true
    }

    fn advance(&mut self, to: Tick) {
        if to > self.now.tick {
            self.now = self.now + to.since(self.now.tick);
        }
    }

    /// When the next thing happens.
    fn next_at(&self) -> Option<Tick> {
        let phones = self.phones.iter().filter_map(Phone::next_deadline);
        let others = [self.queue.next_at(), self.switch_deadline()];
        let first = phones.chain(others.into_iter().flatten()).min();
        let worker = self.workers.iter().filter_map(MediaWorker::next_deadline).min();
        // Workers look for missing ports for ever; when all others have been silent for long, that is no life.
        let worker = worker.filter(|at| first.is_some() || *at <= self.busy_at + AFTERLIFE);
        first.into_iter().chain(worker).min().map(|at| at.max(self.now.tick))
    }

    fn switch_deadline(&self) -> Option<Tick> {
        let (at, timer) = self.switch.next_deadline()?;
        let is_story = timer == "story";
        let forgotten = match self.fault {
            Some(Fault::StoryTimerForgotten) => is_story,
            Some(Fault::SignalTimerForgotten) => !is_story,
            _ => false,
        };
        (!forgotten).then_some(at)
    }
}

/// A test that fails while a world stands is told what happened in it.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.is_told.get() {
            eprintln!("seed {}\n{}", self.seed, self.ladder.tell(&self.events));
        }
    }
}
