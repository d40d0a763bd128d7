//! A scripted SIP party with its own, independent idea of RFC 3261: what it sends is right unless its script says
//! otherwise, and whatever the switch sends to it is judged.
//!
//! ```text
//!   wire ──▶ wire.rs judges ──▶ calling.rs (INVITE out), called.rs (INVITE in), inside.rs (the dialog)
//!   script ─▶ agenda of the leg ──▶ the same three        repeats: whatever is sent again until answered
//! ```

mod called;
mod calling;
mod inside;
pub mod leg;
pub mod media;
mod wire;
mod write;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clock::Tick;

use crate::random::Random;
use crate::script::{Do, Script, When, ms, s};
use crate::sip::Sip;
use crate::voice::Voice;

pub use leg::{End, Leg, Log, Role, State};

/// T1 of RFC 3261 §17.1.1.1.
pub const T1: Duration = ms(500);
/// T2 of RFC 3261 §17.1.2.2.
pub const T2: Duration = s(4);
/// 64·T1: after this nobody waits any more.
pub const T1X64: Duration = s(32);

/// Complaints one phone writes down.
const VIOLATIONS_MAX: usize = 50;

/// First RTP port of a phone; each leg takes two.
const RTP_PORT_FIRST: u16 = 40_000;

/// How a phone carries SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Datagrams.
    Udp,
    /// A stream to the switch.
    Tcp,
}

/// Which packet of whose audio something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Who says it.
    pub voice: Voice,
    /// Its place.
    pub index: u32,
}

/// What a phone sends.
#[derive(Clone, Debug)]
pub enum Output {
    /// SIP, by the phone's carrier.
    Sip {
        /// To whom.
        to: SocketAddr,
        /// What.
        bytes: Bytes,
    },
    /// A packet on an RTP socket.
    Rtp {
        /// Which socket.
        from: SocketAddr,
        /// To whom.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
        /// Which audio that is.
        tag: Option<Tag>,
    },
}

/// A SIP party.
#[derive(Debug)]
pub struct Phone {
    /// Its number among the world's phones.
    pub index: usize,
    /// Its SIP address.
    pub sip: SocketAddr,
    /// Where its calls go.
    pub switch: SocketAddr,
    /// What it speaks.
    pub carrier: Carrier,
    /// Its calls, ended ones too, in order.
    pub legs: Vec<Leg>,
    /// What was wrong with what it received.
    pub violations: Vec<String>,
    /// The network keeps the order of messages.
    pub expects_order: bool,
    random: Random,
    by_call_id: BTreeMap<String, usize>,
    repeats: BTreeMap<Key, Repeat>,
    served: BTreeMap<(String, String), Served>,
    scripts: BTreeMap<String, VecDeque<Script>>,
    out: Vec<Output>,
}

/// What a repeated message is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// A request of ours, by its branch and method.
    Request(String, String),
    /// A 2xx of ours to an INVITE, by leg and CSeq, until the ACK.
    Answer(usize, u32),
    /// A refusal of ours of an INVITE, by its branch, until the ACK.
    Refusal(String),
}

/// A message that is sent again until something comes back.
#[derive(Debug)]
struct Repeat {
    leg: usize,
    to: SocketAddr,
    bytes: Bytes,
    /// `None`: it is not sent again (any more), only waited for.
    next_at: Option<Tick>,
    interval: Duration,
    interval_max: Duration,
    give_up_at: Tick,
}

/// A request of the switch that was seen, and what it was answered.
#[derive(Debug)]
struct Served {
    request: Bytes,
    response: Option<(SocketAddr, Bytes)>,
}

impl Phone {
    /// A phone that has no calls.
    pub fn new(index: usize, sip: SocketAddr, switch: SocketAddr, carrier: Carrier, random: Random) -> Phone {
        Phone {
            index,
            sip,
            switch,
            carrier,
            legs: Vec::new(),
            violations: Vec::new(),
            expects_order: true,
            random,
            by_call_id: BTreeMap::new(),
            repeats: BTreeMap::new(),
            served: BTreeMap::new(),
            scripts: BTreeMap::new(),
            out: Vec::new(),
        }
    }

    /// What it does when `user` is called; several scripts are used up in order, the last one stays.
    pub fn expect(&mut self, user: &str, script: Script) {
        self.scripts.entry(user.to_owned()).or_default().push_back(script);
    }

    /// The same, and whatever was expected before is forgotten.
    pub fn expect_only(&mut self, user: &str, script: Script) {
        self.scripts.remove(user);
        self.expect(user, script);
    }

    /// A datagram, or a message that came by a stream.
    pub fn handle_sip(&mut self, now: Tick, from: SocketAddr, bytes: &Bytes) {
        match Sip::parse(bytes) {
            Ok(message) if message.is_request() => self.take_request(now, from, &message, bytes),
            Ok(message) => self.take_response(now, &message, bytes),
            Err(why) => self.complain(now, format!("from {from}: {why}")),
        }
    }

    /// A packet on the RTP socket of one of its legs.
    pub fn handle_rtp(&mut self, now: Tick, leg: usize, from: SocketAddr, packet: &[u8]) -> Option<Tag> {
        let (voice, index) = self.legs[leg].media.hear(now, from, packet)?;
        Some(Tag { voice, index })
    }

    /// Leaves a call now.
    pub fn leave(&mut self, now: Tick, number: u16, role: Role) {
        for leg in 0..self.legs.len() {
            if self.legs[leg].number == number && self.legs[leg].role == role {
                self.hang_up(now, leg);
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Tick) {
        self.repeat_what_is_due(now);
        for leg in 0..self.legs.len() {
            while let Some(what) = self.legs[leg].due(now) {
                self.act(now, leg, what);
            }
            self.legs[leg].media.handle_timeout(now, &mut self.out);
        }
    }

    /// When `handle_timeout` is to be called next.
    pub fn next_deadline(&self) -> Option<Tick> {
        let repeats = self
            .repeats
            .values()
            .map(|repeat| repeat.next_at.unwrap_or(repeat.give_up_at).min(repeat.give_up_at));
        let legs = self.legs.iter().filter(|leg| leg.state != State::Ended);
        legs.filter_map(Leg::next_deadline).chain(repeats).min()
    }

    /// The next thing it sends.
    pub fn take_output(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// Whether all its calls are over, as far as it knows.
    pub fn is_idle(&self) -> bool {
        self.repeats.is_empty() && self.legs.iter().all(|leg| leg.state == State::Ended || leg.script.silent)
    }

    /// The leg that packets to an address reach.
    pub fn leg_of_socket(&self, address: SocketAddr) -> Option<usize> {
        if address.ip() != self.sip.ip() {
            return None;
        }
        let number = address.port().checked_sub(RTP_PORT_FIRST)? % media::NAT_PORT_OFFSET;
        let leg = usize::from(number / 2);
        self.legs.get(leg).filter(|leg| leg.media.is_at(address)).map(|_| leg)
    }

    fn act(&mut self, now: Tick, leg: usize, what: Do) {
        match what {
            Do::Progress(status) => self.progress(now, leg, status, false),
            Do::Early => self.progress(now, leg, 183, true),
            Do::Answer => self.answer(now, leg),
            Do::Refuse(status, header) => self.refuse(now, leg, status, header),
            Do::HangUp => self.hang_up(now, leg),
            Do::Offer(way) => self.reinvite(now, leg, Some(way)),
            Do::AskForOffer => self.reinvite(now, leg, None),
            Do::UpdateOffer(way) => self.update(now, leg, way),
            Do::Request(method) => self.ask_inside(now, leg, method),
            Do::Digit(digit) => self.legs[leg].media.digit(digit, &mut self.out),
            Do::Hush => self.legs[leg].media.hush(true),
            Do::Speak => self.legs[leg].media.hush(false),
        }
    }

    /// Ends a call in whatever way its state asks for.
    fn hang_up(&mut self, now: Tick, leg: usize) {
        match (self.legs[leg].role, self.legs[leg].state) {
            (Role::Caller, State::Calling | State::Proceeding) => self.cancel(now, leg),
            (Role::Callee, State::Ringing) => {
                // Perhaps nobody waits any more: who was never heard is given up without a CANCEL.
                self.legs[leg].script.tolerates_no_ack = true;
                self.refuse(now, leg, 480, None);
            }
            (_, State::Answering | State::Up) => self.bye(now, leg),
            (Role::Caller, State::Cancelling | State::Ringing)
            | (Role::Callee, State::Calling | State::Proceeding | State::Cancelling)
            | (_, State::Leaving | State::Ended) => {}
        }
    }

    fn repeat_what_is_due(&mut self, now: Tick) {
        let due: Vec<Key> = self
            .repeats
            .iter()
            .filter(|(_, repeat)| repeat.give_up_at <= now || repeat.next_at.is_some_and(|at| at <= now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            let Some(repeat) = self.repeats.get_mut(&key) else { continue };
            if repeat.give_up_at <= now {
                let leg = repeat.leg;
                self.repeats.remove(&key);
                self.gave_up(now, leg, &key);
                continue;
            }
            repeat.interval = (repeat.interval * 2).min(repeat.interval_max);
            repeat.next_at = Some(now + repeat.interval);
            self.out.push(Output::Sip { to: repeat.to, bytes: repeat.bytes.clone() });
        }
    }

    /// Nothing came back in 64·T1.
    fn gave_up(&mut self, now: Tick, leg: usize, key: &Key) {
        match key {
            Key::Request(_, method) => self.request_unanswered(now, leg, method),
            Key::Answer(..) => {
                self.miss_ack(now, leg, "a 200");
                // RFC 3261 §13.3.1.4: the dialog stands, and the session is to be ended.
                self.legs[leg].log.unacknowledged = true;
                self.bye(now, leg);
            }
            Key::Refusal(_) => self.miss_ack(now, leg, "a refusal"),
        }
    }

    fn miss_ack(&mut self, now: Tick, leg: usize, what: &str) {
        if self.expects_order && !self.legs[leg].script.tolerates_no_ack {
            self.complain(now, format!("{what} without an ACK"));
        }
    }

    /// Sends something, and again at T1, 2·T1 … until its key is taken away.
    fn send_repeatedly(&mut self, now: Tick, key: Key, leg: usize, to: SocketAddr, bytes: Bytes) {
        let is_invite = matches!(&key, Key::Request(_, method) if method == "INVITE");
        // A 2xx is repeated end to end, whatever carries it (RFC 3261 §13.3.1.4).
        let repeats = self.carrier == Carrier::Udp || matches!(key, Key::Answer(..));
        let repeat = Repeat {
            leg,
            to,
            bytes: bytes.clone(),
            next_at: repeats.then_some(now + T1),
            interval: T1,
            interval_max: if is_invite { T1X64 } else { T2 },
            give_up_at: now + T1X64,
        };
        self.repeats.insert(key, repeat);
        self.out.push(Output::Sip { to, bytes });
    }

    /// Somebody has heard the request: it is waited for, without sending it again.
    fn stop_repeating(&mut self, key: &Key) {
        if let Some(repeat) = self.repeats.get_mut(key) {
            repeat.next_at = None;
        }
    }

    fn end(&mut self, now: Tick, leg: usize, end: End) {
        self.repeats.retain(|key, repeat| repeat.leg != leg || !matches!(key, Key::Answer(..)));
        let leg = &mut self.legs[leg];
        if leg.state != State::Ended {
            leg.state = State::Ended;
            leg.log.end = Some(end);
            leg.log.ended_at = Some(now);
            leg.log.stop(now);
            leg.media.close();
            leg.agenda.clear();
        }
    }

    fn new_leg(&mut self, now: Tick, role: Role, number: u16, script: Script) -> Leg {
        let port = RTP_PORT_FIRST + 2 * self.legs.len() as u16;
        let local = SocketAddr::new(self.sip.ip(), port);
        let speaker = if role == Role::Caller { crate::voice::CALLER } else { self.index as u8 + 1 };
        let take = self.legs.iter().filter(|leg| leg.number == number && leg.role == role).count();
        let voice = Voice { call: number, take: take as u8, speaker };
        let media = media::Media::new(local, voice, &script, &mut self.random);
        let mut leg = Leg::new(role, number, script, media);
        leg.started_at = now;
        leg.local_tag = format!("{:x}", self.random.number());
        for (when, what) in leg.script.steps.clone() {
            if let When::Invite(after) = when {
                leg.agenda.push((now + after, what));
            }
        }
        if !leg.script.silent {
            leg.agenda.push((now + leg.script.gives_up_after, Do::HangUp));
        }
        leg
    }

    fn new_branch(&mut self) -> String {
        format!("z9hG4bK{:016x}", self.random.number())
    }

    /// A moment within a packet's time, so that phones do not speak in step.
    fn phase(&mut self) -> Duration {
        Duration::from_micros(self.random.below(20_000))
    }

    fn complain(&mut self, now: Tick, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(format!("{now:?} phone {}: {what}", self.index));
        }
    }
}
