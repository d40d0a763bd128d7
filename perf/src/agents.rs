//! The phones: those that call, and those that the target rings. They share one SIP endpoint with two profiles.
//!
//! ```text
//!  caller   Waiting ─due─▶ Calling ──2xx──▶ Talking ─hold─▶ Ending ─▶ Over
//!                             └──≥300, no answer───────────────────────▲
//!  callee   Ringing ─ring─▶ Answered ──ACK──▶ Talking ──BYE──────────▶ Over
//! ```
//!
//! A call is measured from the moment when it should have started, so that a harness or a target that stalls cannot
//! hide the wait of those behind it.

mod callee;
mod caller;
mod figures;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;

use clock::{Now, Tick};
use codecs::AudioCodec;
use mio::Registry;
use signaling::endpoint::{Body, Endpoint, Event, LegId, ProfileId, Reply};
use signaling::sdp::{Direction, Media as MediaLine, MediaKind, RtpMap, Session};
use signaling::{Message, Method};

use crate::media::{EndId, Media, PTIME};
use crate::plan::Plan;
use crate::time::Clock;
use callee::Callee;
use caller::Caller;
pub use figures::{Figures, Outcome};

/// The profile that calls leave by.
pub const CALLING: ProfileId = ProfileId(0);
/// The profile that is rung.
pub const ANSWERING: ProfileId = ProfileId(1);

/// What an event or a deadline may touch besides the agents themselves.
pub struct Surroundings<'a> {
    /// For the sockets of new ends.
    pub registry: &'a Registry,
    /// For ends that read what is left.
    pub clock: &'a Clock,
}

/// All phones of a run.
pub struct Agents {
    plan: Plan,
    endpoint: Endpoint,
    media: Media,
    started: Tick,
    callers: Vec<Caller>,
    callees: Vec<Callee>,
    legs: BTreeMap<LegId, Party>,
    deeds: BinaryHeap<Reverse<(Tick, Deed)>>,
    figures: Figures,
    stopping: bool,
}

/// Whose leg it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Party {
    Caller(usize),
    Callee(usize),
}

/// What is done at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    /// A caller has talked long enough.
    HangUp(usize),
    /// A callee has rung long enough.
    Answer(usize),
}

impl Agents {
    /// Phones that begin to call at `started`.
    pub fn new(plan: Plan, endpoint: Endpoint, started: Tick) -> Agents {
        let payload_type = plan.codec.and_then(|codec| codec.parameters().static_payload_type).unwrap_or(0);
        Agents {
            plan,
            endpoint,
            media: Media::new(payload_type),
            started,
            callers: Vec::new(),
            callees: Vec::new(),
            legs: BTreeMap::new(),
            deeds: BinaryHeap::new(),
            figures: Figures::new(),
            stopping: false,
        }
    }

    /// Takes what the endpoint says.
    pub fn handle_event(&mut self, now: Now, event: Event, around: &Surroundings<'_>) {
        if let Event::Invite { leg, request, .. } = &event {
            return self.ring(now, *leg, request, around);
        }
        let Some(party) = event.leg().and_then(|leg| self.legs.get(&leg).copied()) else {
            return; // a leg that we refused, or a name to resolve, which we never ask for
        };
        match (party, event) {
            (_, Event::Request { id, request, .. }) => self.respond(now, id, &request),
            (_, Event::Ended { leg }) => {
                self.legs.remove(&leg);
                self.over(party, around);
            }
            (Party::Caller(index), event) => self.handle_caller_event(now, index, event),
            (Party::Callee(index), event) => self.handle_callee_event(now, index, event),
        }
    }

    /// Starts the calls that are due, and does what else is due.
    pub fn handle_timeout(&mut self, now: Now, around: &Surroundings<'_>) {
        self.media.handle_timeout(around.clock);
        while !self.stopping && self.next_call().is_some_and(|due| due <= now.tick) {
            self.call(now, around);
        }
        while let Some(Reverse((_, deed))) =
            self.deeds.peek().copied().filter(|Reverse((due, _))| *due <= now.tick)
        {
            self.deeds.pop();
            match deed {
                Deed::HangUp(index) => self.hang_up(now, index),
                Deed::Answer(index) => self.answer(now, index),
            }
        }
    }

    /// No new calls; those that are up hang up now.
    pub fn stop(&mut self, now: Now) {
        self.stopping = true;
        for index in 0..self.callers.len() {
            self.hang_up(now, index);
        }
    }

    /// The SIP endpoint, for the shell that moves its bytes.
    pub fn endpoint(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// The audio, for the shell that polls its sockets.
    pub fn media(&mut self) -> &mut Media {
        &mut self.media
    }

    /// When there is something to do, the endpoint's deadlines apart.
    pub fn next_deadline(&self) -> Option<Tick> {
        let deed = self.deeds.peek().map(|Reverse((due, _))| *due);
        let call = if self.stopping { None } else { self.next_call() };
        [deed, call, self.media.next_deadline()].into_iter().flatten().min()
    }

    /// Whether every call was placed and every leg is over.
    pub fn is_done(&self) -> bool {
        (self.stopping || self.next_call().is_none()) && self.legs.is_empty()
    }

    /// When the last call should be over, talking and all.
    pub fn expected_end(&self) -> Tick {
        self.started + self.plan.due(self.plan.calls) + self.plan.ring + self.plan.hold + caller::DRAIN
    }

    /// Calls placed, and those of them that are up.
    pub fn progress(&self) -> (usize, usize) {
        (self.callers.len(), self.callers.iter().filter(|caller| caller.is_talking()).count())
    }

    /// What was counted, and the audio, at the end.
    pub fn into_figures(mut self) -> (Plan, Figures, Media) {
        for caller in &self.callers {
            self.figures.count(caller.outcome());
        }
        (self.plan, self.figures, self.media)
    }

    fn next_call(&self) -> Option<Tick> {
        let index = u32::try_from(self.callers.len()).expect("calls are bounded");
        (index < self.plan.calls).then(|| self.started + self.plan.due(index))
    }

    /// Requests inside a call: what asks whether we are there is answered, what would change the call is not.
    fn respond(&mut self, now: Now, id: signaling::endpoint::RequestId, request: &Message) {
        let status = match request.method() {
            Method::Options | Method::Info | Method::Notify | Method::Message => 200,
            // A session refresh without a new description changes nothing.
            Method::Update if request.body().is_empty() => 200,
            _ => 488,
        };
        self.figures.requests_inside += 1;
        self.endpoint.respond(now, id, Reply::new(status));
    }

    fn over(&mut self, party: Party, around: &Surroundings<'_>) {
        let end = match party {
            Party::Caller(index) => self.callers[index].end_over(),
            Party::Callee(index) => self.callees[index].end_over(),
        };
        if let Some(end) = end {
            self.media.close(around.registry, around.clock, end);
        }
    }

    /// How many packets an end sends while it talks; the call hangs up when the last one had time to arrive.
    fn packets(&self) -> u32 {
        match self.plan.codec {
            Some(_) => u32::try_from(self.plan.hold.as_millis() / PTIME.as_millis()).unwrap_or(u32::MAX),
            None => 0,
        }
    }

    /// Starts the audio of `end` towards what `message` describes; whether it describes a place for it.
    fn talk(&mut self, now: Now, end: EndId, message: &Message) -> bool {
        let Some(remote) = remote_of(message) else {
            return false;
        };
        self.media.start(now.tick, end, remote, self.packets());
        true
    }

    /// The description of `end`. Without audio a port is still named: the call must look like one.
    fn description(&self, end: EndId) -> Body {
        let local = self.media.local(end);
        let codec = self.plan.codec.unwrap_or(AudioCodec::Pcmu).parameters();
        let map = RtpMap {
            payload_type: codec.static_payload_type.unwrap_or(0),
            encoding: codec.name,
            clock_rate_hz: codec.clock_rate_hz,
            channels: codec.channels,
        };
        let line = MediaLine::new(MediaKind::Audio, local.port(), "RTP/AVP").with_payload(map, None);
        let mut session = Session::new("perf", u64::from(local.port()), 1, local.ip());
        session.media.push(line.with_direction(Direction::SendRecv));
        Body::sdp(session.to_string())
    }
}

/// Where the description in `message` wants its audio.
fn remote_of(message: &Message) -> Option<SocketAddr> {
    let session = Session::parse(message.body()).ok()?;
    session.remote_address(session.first(&MediaKind::Audio)?)
}
