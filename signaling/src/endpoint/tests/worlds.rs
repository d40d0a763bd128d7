//! Whole worlds: two endpoints and a network between them that loses, delays, reorders and duplicates, under one seed.
//! Owners do anything at any time. In the end nothing may be left on either side.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use clock::{Now, Tick};

use crate::Method;
use crate::endpoint::*;
use crate::random::Random;

const LISTENER: ListenerId = ListenerId(1);
const STREAMS: ListenerId = ListenerId(2);
const PROFILE: ProfileId = ProfileId(1);

/// What the network does.
#[derive(Clone, Copy, Debug)]
struct Weather {
    loss_percent: u32,
    duplicate_percent: u32,
    delay_ms_max: u32,
    is_tcp: bool,
    /// Some hosts are names, some of which do not resolve or not in time, and some losses are told by ICMP.
    is_odd: bool,
}

struct World {
    now: Now,
    random: Random,
    weather: Weather,
    sides: [Side; 2],
    /// What is under way, in order of arrival.
    network: BTreeMap<(Tick, u64), Parcel>,
    sent: u64,
}

struct Side {
    endpoint: Endpoint,
    address: SocketAddr,
    legs: BTreeMap<LegId, Leg>,
    /// Requests that wait for the owner.
    waiting: Vec<RequestId>,
    /// Our end of each connection, by the other side's.
    peers: BTreeMap<ConnectionId, ConnectionId>,
    established: u32,
    ended: u32,
}

/// What an owner remembers of a leg.
#[derive(Clone, Copy, Debug, Default)]
struct Leg {
    is_called: bool,
    is_up: bool,
    is_hung_up: bool,
}

enum Parcel {
    Datagram {
        to: usize,
        bytes: Bytes,
    },
    Stream {
        to: usize,
        connection: ConnectionId,
        bytes: Bytes,
    },
    Closed {
        to: usize,
        connection: ConnectionId,
    },
    /// The resolver's word; `None` when there is no such host.
    Resolved {
        to: usize,
        query: QueryId,
        address: Option<IpAddr>,
    },
    /// ICMP says that something could not be delivered.
    Unreachable {
        to: usize,
        destination: SocketAddr,
    },
}

impl World {
    fn new(seed: u64, weather: Weather) -> World {
        let side = |last: u8| {
            let address = SocketAddr::from(([10, 0, 0, last], 5060));
            let listeners = vec![
                ListenerSettings::new(LISTENER, Transport::Udp, address),
                ListenerSettings::new(STREAMS, Transport::Tcp, address),
            ];
            let profile = ProfileSettings {
                listeners,
                max_recv_requests_per_second: 0,
                ..ProfileSettings::new(PROFILE, "world")
            };
            Side {
                endpoint: Endpoint::new(vec![profile], seed.wrapping_mul(2) + u64::from(last)),
                address,
                legs: BTreeMap::new(),
                waiting: Vec::new(),
                peers: BTreeMap::new(),
                established: 0,
                ended: 0,
            }
        };
        World {
            now: Now::default(),
            random: Random::new(seed.into()),
            weather,
            sides: [side(1), side(2)],
            network: BTreeMap::new(),
            sent: 0,
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.between(1, 100) <= percent
    }

    /// Begins calls and lets owners act at random for `seconds`, then hangs up everything and waits for the end.
    fn live(&mut self, calls: u32, seconds: u64) {
        let end = Tick::from_millis(seconds * 1_000);
        let pause_ms = u32::try_from(seconds * 1_000 / u64::from(calls)).expect("small");
        let mut begun = 0;
        while self.now.tick < end {
            let pause = Duration::from_millis(u64::from(self.random.between(0, pause_ms)));
            self.run_until((self.now.tick + pause).min(end));
            if begun < calls {
                begun += 1;
                self.call();
            }
            for side in 0..2 {
                self.act(side);
            }
        }
        // Calls that never got a final answer are for their owner to end; so are the ones that are up.
        for _ in 0..3 {
            for side in 0..2 {
                self.act_on_requests(side, true);
                let legs: Vec<LegId> = self.sides[side].legs.keys().copied().collect();
                for leg in legs {
                    self.hang_up(side, leg);
                }
            }
            self.run_until(self.now.tick + Duration::from_secs(150));
        }
        for side in &mut self.sides {
            for connection in std::mem::take(&mut side.peers).into_keys() {
                side.endpoint.handle_closed(self.now, connection);
            }
        }
        self.run_until(self.now.tick + Duration::from_secs(150));
    }

    fn call(&mut self) {
        let from = usize::from(self.chance(50));
        let to = self.sides[1 - from].address;
        let transport = if self.weather.is_tcp { ";transport=tcp" } else { "" };
        let host = if self.weather.is_odd && self.chance(20) {
            "world.example".to_string()
        } else {
            to.ip().to_string()
        };
        let mut invite = Invite::new(
            PROFILE,
            format!("sip:b@{host}{transport}"),
            "<sip:a@world>".to_string(),
            "<sip:b@world>".to_string(),
        );
        invite.body = Some(Body::sdp("v=0\r\n"));
        let now = self.now;
        let side = &mut self.sides[from];
        let leg = side.endpoint.invite(now, invite).expect("a good call");
        side.legs.insert(leg, Leg::default());
        self.flush();
    }

    /// One owner does something to one of its legs, or to none.
    fn act(&mut self, side: usize) {
        self.act_on_requests(side, false);
        let count = self.sides[side].legs.len();
        if count == 0 {
            return;
        }
        let at =
            usize::try_from(self.random.between(0, u32::try_from(count - 1).expect("small"))).expect("small");
        let Some((leg, state)) = self.sides[side].legs.iter().nth(at).map(|(leg, state)| (*leg, *state))
        else {
            return;
        };
        let dice = self.random.between(0, 99);
        let (now, endpoint) = (self.now, &mut self.sides[side].endpoint);
        match (state, dice) {
            (Leg { is_hung_up: true, .. }, _) => {}
            (Leg { is_called: true, is_up: false, .. }, 0..20) => {
                endpoint.provisional(now, leg, Reply::new(180));
            }
            (Leg { is_called: true, is_up: false, .. }, 20..70) => {
                endpoint.answer(now, leg, Reply::new(200).with_body(Body::sdp("v=0\r\n")));
                self.sides[side].legs.entry(leg).and_modify(|leg| leg.is_up = true);
            }
            (Leg { is_called: true, is_up: false, .. }, 70..80) => endpoint.refuse(now, leg, Reply::new(486)),
            (Leg { is_up: true, .. }, 0..40) => {
                let offer = Some(Body::sdp("v=0\r\n"));
                let _ = endpoint.request(now, leg, Method::Invite, Vec::new(), offer); // may be busy
            }
            (Leg { is_up: true, .. }, 40..50) => {
                let _ = endpoint.request(now, leg, Method::Info, Vec::new(), None);
            }
            (Leg { is_up: true, .. }, 50..60) => {
                let _ = endpoint.request(now, leg, Method::Update, Vec::new(), Some(Body::sdp("v=0\r\n")));
            }
            (_, 80..) => self.hang_up(side, leg),
            _ => {}
        }
        self.flush();
    }

    fn act_on_requests(&mut self, side: usize, all: bool) {
        for id in std::mem::take(&mut self.sides[side].waiting) {
            match self.random.between(0, 3) {
                0 if !all => self.sides[side].waiting.push(id),
                1 => self.sides[side].endpoint.respond(self.now, id, Reply::new(488)),
                _ => self.sides[side].endpoint.respond(self.now, id, Reply::new(200)),
            }
        }
        self.flush();
    }

    fn hang_up(&mut self, side: usize, leg: LegId) {
        let now = self.now;
        self.sides[side].legs.entry(leg).and_modify(|leg| leg.is_hung_up = true);
        self.sides[side].endpoint.hangup(now, leg, Vec::new());
        self.flush();
    }

    /// Moves time from deadline to deadline.
    fn run_until(&mut self, end: Tick) {
        loop {
            let arrival = self.network.first_key_value().map(|((at, _), _)| *at);
            let timers = self.sides.iter().filter_map(|side| side.endpoint.next_deadline().map(|(at, _)| at));
            let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else { break };
            self.now = self.now + next.since(self.now.tick);
            if arrival == Some(next)
                && let Some((_, parcel)) = self.network.pop_first()
            {
                self.arrive(parcel);
            }
            for side in &mut self.sides {
                side.endpoint.handle_timeout(self.now);
            }
            self.flush();
        }
        self.now = self.now + end.since(self.now.tick);
    }

    fn arrive(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Datagram { to, bytes } => {
                let source = self.sides[1 - to].address;
                self.sides[to].endpoint.handle_datagram(self.now, LISTENER, source, bytes);
            }
            Parcel::Stream { to, connection, bytes } => {
                self.sides[to].endpoint.handle_stream(self.now, connection, &bytes);
            }
            Parcel::Resolved { to, query, address } => {
                let answer = address.map(|address| vec![address]).ok_or(());
                self.sides[to].endpoint.handle_resolved(self.now, query, answer);
            }
            Parcel::Unreachable { to, destination } => {
                self.sides[to].endpoint.handle_transport_error(self.now, LISTENER, destination);
            }
            Parcel::Closed { to, connection } => {
                self.sides[to].peers.remove(&connection);
                self.sides[to].endpoint.handle_closed(self.now, connection);
            }
        }
    }

    /// Takes what the endpoints have to send and to say, until both are silent.
    fn flush(&mut self) {
        for side in [0, 1, 0, 1] {
            while let Some(transmit) = self.sides[side].endpoint.poll_transmit() {
                self.carry(side, transmit);
            }
            while let Some(event) = self.sides[side].endpoint.poll_event() {
                self.hear(side, event);
            }
            while let Some(transmit) = self.sides[side].endpoint.poll_transmit() {
                self.carry(side, transmit);
            }
        }
    }

    fn carry(&mut self, from: usize, transmit: Transmit) {
        let to = 1 - from;
        match transmit {
            Transmit::Datagram { destination, bytes, .. } => {
                assert_eq!(destination, self.sides[to].address);
                let copies = if self.chance(self.weather.duplicate_percent) { 2 } else { 1 };
                for _ in 0..copies {
                    if !self.chance(self.weather.loss_percent) {
                        self.post(Parcel::Datagram { to, bytes: bytes.clone() });
                    } else if self.weather.is_odd && self.chance(3) {
                        self.post(Parcel::Unreachable { to: from, destination });
                    }
                }
            }
            Transmit::Connect { connection, .. } if self.chance(self.weather.loss_percent) => {
                self.sides[from].endpoint.handle_connect_failed(self.now, connection);
            }
            Transmit::Connect { connection, .. } => {
                let source = self.sides[from].address;
                let other = self.sides[to].endpoint.handle_accepted(self.now, STREAMS, source);
                self.sides[from].peers.insert(connection, other);
                self.sides[to].peers.insert(other, connection);
                let local = self.sides[from].address;
                self.sides[from].endpoint.handle_connected(self.now, connection, local);
            }
            Transmit::Stream { connection, bytes } => {
                let Some(other) = self.sides[from].peers.get(&connection).copied() else { return };
                self.post(Parcel::Stream { to, connection: other, bytes });
                if self.chance(self.weather.loss_percent) {
                    // The connection breaks; what was just written may still arrive.
                    self.sides[from].peers.remove(&connection);
                    self.sides[from].endpoint.handle_closed(self.now, connection);
                    self.post(Parcel::Closed { to, connection: other });
                }
            }
            Transmit::Close { connection } => {
                if let Some(other) = self.sides[from].peers.remove(&connection) {
                    self.post(Parcel::Closed { to, connection: other });
                }
            }
        }
    }

    /// Puts something on its way. Datagrams overtake each other, parts of streams do not.
    fn post(&mut self, parcel: Parcel) {
        self.sent += 1;
        let delay_ms = match parcel {
            Parcel::Resolved { .. } => self.random.between(1, 15_000),
            Parcel::Datagram { .. } | Parcel::Unreachable { .. } => {
                self.random.between(1, self.weather.delay_ms_max)
            }
            Parcel::Stream { .. } | Parcel::Closed { .. } => 10,
        };
        let at = self.now.tick + Duration::from_millis(u64::from(delay_ms));
        self.network.insert((at, self.sent), parcel);
    }

    fn hear(&mut self, side: usize, event: Event) {
        let now = self.now;
        let is_known = self.chance(90);
        let other = self.sides[1 - side].address.ip();
        let here = &mut self.sides[side];
        match event {
            Event::Resolve { query, .. } => {
                self.post(Parcel::Resolved { to: side, query, address: is_known.then_some(other) });
            }
            Event::Invite { leg, .. } => {
                let known = here.legs.insert(leg, Leg { is_called: true, ..Leg::default() });
                assert!(known.is_none(), "one call, one leg");
            }
            Event::Answered { leg, .. } => {
                let state = here.legs.get_mut(&leg).expect("a leg that we began");
                assert!(!state.is_up && !state.is_hung_up);
                state.is_up = true;
                here.established += 1;
                here.endpoint.ack(now, leg, None, None);
            }
            Event::Response { leg, id, status, response } => {
                let is_invite = response.is_some_and(|response| *response.method() == Method::Invite);
                if is_invite && matches!(status, 200..=299) {
                    here.endpoint.ack(now, leg, Some(id), None);
                }
            }
            Event::Request { id, leg, .. } => {
                assert!(here.legs.contains_key(&leg));
                here.waiting.push(id);
            }
            Event::AckMissing { leg } => {
                here.endpoint.hangup(now, leg, Vec::new());
            }
            Event::Ended { leg } => {
                assert!(here.legs.remove(&leg).is_some(), "a leg ends once");
                here.ended += 1;
            }
            Event::Bye { leg, .. } | Event::Cancelled { leg, .. } | Event::Failed { leg, .. } => {
                assert!(here.legs.contains_key(&leg));
            }
            Event::Provisional { .. } | Event::Acknowledged { .. } | Event::RequestCancelled { .. } => {}
        }
    }

    fn audit(&self, seed: u64) {
        for side in &self.sides {
            assert!(side.legs.is_empty(), "seed {seed}, {:?}: {:?}", self.weather, side.legs);
            let census = side.endpoint.census();
            assert_eq!(census, Census::default(), "seed {seed}, {:?}", self.weather);
            let counters = side.endpoint.counters();
            assert_eq!((counters.malformed, counters.keep_alives), (0, 0), "seed {seed}");
        }
    }
}

fn weather(seed: u64) -> Weather {
    let mut random = Random::new((seed ^ 0x5eed).into());
    Weather {
        loss_percent: [0, 1, 5, 20, 50][random.between(0, 4) as usize],
        duplicate_percent: random.between(0, 20),
        delay_ms_max: [5, 50, 700, 6_000][random.between(0, 3) as usize],
        is_tcp: random.between(0, 3) == 0,
        is_odd: random.between(0, 1) == 0,
    }
}

#[test]
fn a_thousand_random_sessions_leave_nothing_behind() {
    let mut established = 0;
    for seed in 0..100 {
        let mut world = World::new(seed, weather(seed));
        world.live(10, 60);
        world.audit(seed);
        established += world.sides[0].established + world.sides[1].established;
    }
    assert!(established > 200, "only {established} calls were answered");
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let counters = |seed| {
        let mut world = World::new(seed, weather(seed));
        world.live(10, 30);
        world.sides.map(|side| side.endpoint.counters().clone())
    };
    assert_eq!(counters(5), counters(5));
    assert_ne!(counters(5), counters(6));
}

#[test]
fn calls_over_a_network_that_loses_a_fifth_still_come_about() {
    let weather =
        Weather { loss_percent: 20, duplicate_percent: 5, delay_ms_max: 100, is_tcp: false, is_odd: false };
    let mut answered = 0;
    for seed in 0..200 {
        let mut world = World::new(seed, weather);
        world.call();
        world.run_until(Tick::from_millis(10_000));
        let called = world.sides.iter().position(|side| side.legs.values().any(|leg| leg.is_called));
        let Some(called) = called else { continue };
        let leg = *world.sides[called].legs.keys().next().expect("a leg");
        let now = world.now;
        world.sides[called].endpoint.answer(now, leg, Reply::new(200));
        world.flush();
        world.run_until(Tick::from_millis(25_000));
        answered += world.sides[1 - called].established;
    }
    assert!(answered >= 198, "{answered} of 200");
}
