//! The switch as its shell sees it: bytes, reports and orders in; bytes, commands and events out.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use clock::{Now, Tick};
use dialplan::Text;
use link::{Command, Report, WorkerId};
use signaling::{ConnectionId, Endpoint, ListenerId, Transmit};

use crate::ask::{Answer, Ask, Request, RequestRefused};
use crate::channel::{Interjection, Replacement};
use crate::core::Core;
use crate::settings::Configuration;
use crate::story::Stories;
use crate::{AskId, Cause, Counters, Event, EventKind};

/// The back-to-back user agent: every call of one control thread.
pub struct Switch {
    core: Rc<RefCell<Core>>,
    stories: Stories,
    /// Stories were left awake by the last turn.
    unfinished: bool,
}

/// What is alive, for audits: all zero when every call has ended well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Channels that exist.
    pub channels: usize,
    /// Stories that are being told.
    pub stories: usize,
    /// Bridges that stand.
    pub bridges: usize,
    /// Media streams not closed.
    pub streams: usize,
    /// Timers of stories.
    pub timers: usize,
    /// Questions without an answer.
    pub asks: usize,
}

impl Switch {
    /// A switch without calls. `seed` decides names and choices; the endpoint has a seed of its own.
    pub fn new(configuration: Arc<Configuration>, endpoint: Endpoint, seed: u64) -> Switch {
        let core = Core::new(configuration, endpoint, seed);
        Switch { core: Rc::new(RefCell::new(core)), stories: Stories::default(), unfinished: false }
    }

    /// A datagram arrived.
    pub fn handle_datagram(&mut self, now: Now, listener: ListenerId, source: SocketAddr, bytes: Bytes) {
        self.turn(now, |core| core.endpoint.handle_datagram(now, listener, source, bytes));
    }

    /// A connection was accepted; gives it its name.
    pub fn handle_accepted(&mut self, now: Now, listener: ListenerId, source: SocketAddr) -> ConnectionId {
        self.turn(now, |core| core.endpoint.handle_accepted(now, listener, source))
    }

    /// A connection that signaling asked for stands.
    pub fn handle_connected(&mut self, now: Now, connection: ConnectionId, local: SocketAddr) {
        self.turn(now, |core| core.endpoint.handle_connected(now, connection, local));
    }

    /// A connection that signaling asked for does not come about.
    pub fn handle_connect_failed(&mut self, now: Now, connection: ConnectionId) {
        self.turn(now, |core| core.endpoint.handle_connect_failed(now, connection));
    }

    /// Bytes arrived on a connection.
    pub fn handle_stream(&mut self, now: Now, connection: ConnectionId, bytes: &[u8]) {
        self.turn(now, |core| core.endpoint.handle_stream(now, connection, bytes));
    }

    /// A connection is gone.
    pub fn handle_closed(&mut self, now: Now, connection: ConnectionId) {
        self.turn(now, |core| core.endpoint.handle_closed(now, connection));
    }

    /// A datagram could not be delivered.
    pub fn handle_transport_error(&mut self, now: Now, listener: ListenerId, destination: SocketAddr) {
        self.turn(now, |core| core.endpoint.handle_transport_error(now, listener, destination));
    }

    /// A worker said something.
    pub fn handle_report(&mut self, now: Now, worker: WorkerId, report: Report) {
        self.turn(now, |core| core.take_report(worker, report));
    }

    /// The world outside answers a question.
    pub fn handle_answer(&mut self, now: Now, id: AskId, answer: Answer) {
        self.turn(now, |core| core.take_answer(id, answer));
    }

    /// An order from outside.
    pub fn handle_request(&mut self, now: Now, request: Request) -> Result<(), RequestRefused> {
        self.turn(now, |core| carry_out(core, request))
    }

    /// Time has come to the next deadline, or past it.
    pub fn handle_timeout(&mut self, now: Now) {
        self.turn(now, |core| {
            core.endpoint.handle_timeout(now);
            while let Some((at, id)) = core.timers.first().copied().filter(|(at, _)| *at <= now.tick) {
                core.timers.remove(&(at, id));
                core.wake(id);
            }
        });
    }

    /// When [`Switch::handle_timeout`] has to be called at the latest, and for what.
    pub fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        let core = self.core.borrow();
        if self.unfinished {
            return Some((core.now.tick, "stories left awake"));
        }
        let story = core.timers.first().map(|(at, _)| (*at, "story"));
        [story, core.endpoint.next_deadline()].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// The next message to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.core.borrow_mut().endpoint.poll_transmit()
    }

    /// The next command to a worker.
    pub fn poll_command(&mut self) -> Option<(WorkerId, Command)> {
        self.core.borrow_mut().desk.poll_command()
    }

    /// The next question to the world outside.
    pub fn poll_ask(&mut self) -> Option<(AskId, Ask)> {
        self.core.borrow_mut().asks.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.borrow_mut().events.poll()
    }

    /// New calls are decided by a new configuration; running ones keep their dialplan.
    pub fn reload(&mut self, now: Now, configuration: Arc<Configuration>) {
        self.turn(now, |core| {
            core.zone = crate::record::zone_of(&configuration);
            core.configuration = configuration;
        });
    }

    /// Signaling's side of a new configuration; call it together with [`Switch::reload`].
    pub fn set_profiles(&mut self, now: Now, profiles: Vec<signaling::ProfileSettings>) {
        self.turn(now, |core| core.endpoint.set_profiles(profiles));
    }

    /// Takes no new calls: they are answered 503 with Retry-After.
    pub fn drain(&mut self, now: Now) {
        self.turn(now, |core| {
            core.admission.drain();
            core.events.say(now, None, EventKind::Draining);
        });
    }

    /// Lets the story of a channel panic, to prove that it takes no other call with it. Nothing in the program calls this;
    /// tests do. False when there is no such channel.
    pub fn break_story(&mut self, now: Now, uuid: &str) -> bool {
        self.turn(now, |core| {
            let id = core
                .find_uuid(uuid)
                .filter(|id| core.channels.get(id).is_some_and(|channel| channel.is_up()));
            if let Some(id) = id {
                core.replace(id, Replacement::Broken);
            }
            id.is_some()
        })
    }

    /// Whether new calls are refused.
    pub fn is_draining(&self) -> bool {
        self.core.borrow().admission.is_draining()
    }

    /// What is alive.
    pub fn census(&self) -> Census {
        let core = self.core.borrow();
        Census {
            channels: core.channels.len(),
            stories: self.stories.len(),
            bridges: core.bridges.len(),
            streams: core.desk.streams(),
            timers: core.timers.len(),
            asks: core.open_asks.len(),
        }
    }

    /// What is alive in signaling.
    pub fn signaling_census(&self) -> signaling::Census {
        self.core.borrow().endpoint.census()
    }

    /// Counters of the switch.
    pub fn counters(&self) -> Counters {
        let core = self.core.borrow();
        Counters { events_dropped: core.events.dropped, ..core.counters }
    }

    /// Counters of signaling, by name.
    pub fn signaling_counters(&self) -> Vec<(&'static str, u64)> {
        self.core.borrow().endpoint.counters().iter().collect()
    }

    /// Names of all channels, in order of their making.
    pub fn channels(&self) -> Vec<crate::Uuid> {
        self.core.borrow().channels.values().map(|channel| channel.uuid.clone()).collect()
    }

    /// A variable of a channel, as its dialplan would see it.
    pub fn variable(&self, uuid: &str, name: &str) -> Option<String> {
        let core = self.core.borrow();
        let id = core.find_uuid(uuid)?;
        core.variable(id, name).map(|value| value.as_str().to_owned())
    }

    /// One input, and everything that follows from it.
    fn turn<T>(&mut self, now: Now, input: impl FnOnce(&mut Core) -> T) -> T {
        let result = {
            let mut core = self.core.borrow_mut();
            core.now = now;
            let result = input(&mut core);
            core.take_signals();
            result
        };
        loop {
            self.unfinished = self.stories.run(&self.core);
            let mut core = self.core.borrow_mut();
            core.take_signals();
            if self.unfinished || core.ready.is_empty() {
                return result;
            }
        }
    }
}

fn carry_out(core: &mut Core, request: Request) -> Result<(), RequestRefused> {
    let find = |core: &Core, uuid: &str| {
        core.find_uuid(uuid)
            .filter(|id| core.channels.get(id).is_some_and(|channel| channel.is_up()))
            .ok_or(RequestRefused::NoSuchChannel)
    };
    match request {
        Request::Transfer { uuid, destination, dialplan, context } => {
            let id = find(core, &uuid)?;
            let dialplan = dialplan.map(Text::trusted);
            let context = context.map(Text::trusted);
            core.transfer(id, &Text::trusted(destination), dialplan.as_ref(), context.as_ref());
        }
        Request::Hangup { uuid, cause } => {
            let id = find(core, &uuid)?;
            core.hangup(id, cause);
        }
        Request::HangupAll { cause } => hangup_all(core, cause),
        Request::Park { uuid } => {
            let id = find(core, &uuid)?;
            core.unbridge(id, None);
            core.replace(id, Replacement::Park);
        }
        Request::MoveMedia { uuid, worker } => {
            let id = find(core, &uuid)?;
            core.move_media(id, worker);
        }
        Request::Execute { uuid, application, data } => {
            let id = find(core, &uuid)?;
            core.interject(id, Interjection { application, data: Text::trusted(data) });
        }
    }
    Ok(())
}

fn hangup_all(core: &mut Core, cause: Cause) {
    let all: Vec<_> = core.channels.keys().copied().collect();
    for id in all {
        core.hangup(id, cause);
    }
}
