//! Audio of one leg: its SDP, what it says, and its ear.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use clock::Tick;

use super::{Output, Tag};
use crate::ear::{Ear, Expectation};
use crate::random::Random;
use crate::script::{Codec, Script, Way, ms};
use crate::voice::Voice;

/// Distance of two packets.
const PACKET_EVERY: std::time::Duration = ms(20);

/// What a NAT adds to port numbers.
pub const NAT_PORT_OFFSET: u16 = 10_000;

/// Packets of one telephone-event.
const DIGIT_PACKETS: u32 = 3;

/// What the other side's SDP says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Where it receives audio; `None`: port 0 or an unspecified address.
    pub audio: Option<SocketAddr>,
    /// Codec names with their payload types, in its order.
    pub codecs: Vec<(String, u8)>,
    /// Its direction.
    pub way: Way,
    /// Session id and version of `o=`.
    pub origin: (String, u64),
}

/// Audio of one leg.
#[derive(Clone, Debug)]
pub struct Media {
    /// Our RTP socket, as our SDP names it.
    pub local: SocketAddr,
    /// Where packets really come from.
    outside: SocketAddr,
    /// The other side as it described itself last.
    pub remote: Option<Described>,
    /// What the other side has sent us descriptions of, in order.
    pub described: Vec<Described>,
    /// Every address it ever named.
    pub sources: Vec<SocketAddr>,
    /// Codecs that were agreed on, as we number them.
    agreed: Vec<Codec>,
    /// The one we send, as the other side numbers it.
    sends: Option<Codec>,
    /// Telephone-events as the other side numbers them.
    sends_events_as: Option<u8>,
    /// Direction that we want.
    pub way: Way,
    version: u64,
    our_event_payload_type: Option<u8>,
    /// What was heard.
    pub ear: Ear,
    /// Who speaks here.
    pub voice: Voice,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Packets said.
    pub said: u32,
    hushed: bool,
    next_at: Option<Tick>,
}

impl Media {
    /// Of a leg whose RTP socket is `local`.
    pub fn new(local: SocketAddr, voice: Voice, script: &Script, random: &mut Random) -> Media {
        let mut outside = local;
        if script.behind_nat {
            outside.set_port(local.port() + NAT_PORT_OFFSET);
        }
        Media {
            local,
            outside,
            remote: None,
            described: Vec::new(),
            sources: Vec::new(),
            agreed: Vec::new(),
            sends: None,
            sends_events_as: None,
            way: Way::SendRecv,
            version: 1,
            our_event_payload_type: script.event_payload_type,
            ear: Ear::default(),
            voice,
            ssrc: random.number() as u32,
            sequence: random.below(1 << 15) as u16,
            timestamp: random.number() as u32,
            said: 0,
            hushed: !script.talks,
            next_at: None,
        }
    }

    /// An offer of all that we have.
    pub fn offer(&mut self, script: &Script) -> String {
        self.agreed = union(&self.agreed, &script.codecs);
        self.our_event_payload_type = script.event_payload_type;
        self.write(&script.codecs.clone(), script.event_payload_type, self.way)
    }

    /// An answer to the other side's offer, or `None` when no codec fits.
    pub fn answer(&mut self, offer: &str, script: &Script) -> Option<String> {
        let described = read(offer)?;
        let (ours, theirs) = described.codecs.iter().find_map(|(name, theirs)| {
            let ours = script.codecs.iter().find(|codec| codec.name.eq_ignore_ascii_case(name))?;
            Some((*ours, *theirs))
        })?;
        let event =
            described.codecs.iter().find(|(name, _)| name.starts_with("telephone-event")).map(|(_, n)| *n);
        let our_event = match event {
            Some(theirs) if !script.insists_on_event_payload_type => Some(theirs),
            Some(_) => script.event_payload_type,
            None => None,
        };
        let chosen = ours.numbered(theirs);
        self.agreed = union(&self.agreed, &[chosen]);
        (self.sends, self.sends_events_as) = (Some(chosen), event);
        self.our_event_payload_type = our_event;
        let way = Way::of(
            self.way.sends() && described.way.receives(),
            self.way.receives() && described.way.sends(),
        );
        self.describe(described);
        Some(self.write(&[chosen], our_event, way))
    }

    /// Takes the other side's answer to our offer.
    pub fn take_answer(&mut self, answer: &str, script: &Script) -> Result<(), String> {
        let described = read(answer).ok_or("the answer is no SDP of audio")?;
        let chosen = described.codecs.iter().find_map(|(name, theirs)| {
            let ours = script.codecs.iter().find(|codec| codec.name.eq_ignore_ascii_case(name))?;
            Some(ours.numbered(*theirs))
        });
        let chosen =
            chosen.ok_or_else(|| format!("the answer names no codec of ours: {:?}", described.codecs))?;
        if described.way.sends() && !self.way.receives() || described.way.receives() && !self.way.sends() {
            return Err(format!("{:?} is no answer to {:?}", described.way, self.way));
        }
        self.sends = Some(chosen);
        self.sends_events_as =
            described.codecs.iter().find(|(name, _)| name.starts_with("telephone-event")).map(|(_, n)| *n);
        self.describe(described);
        Ok(())
    }

    /// Begins to speak, or goes on, if there is somebody to speak to.
    pub fn open(&mut self, now: Tick, phase: std::time::Duration) {
        if self.next_at.is_none() {
            self.next_at = Some(now + phase);
        }
    }

    /// Stops for good.
    pub fn close(&mut self) {
        self.next_at = None;
    }

    /// Speaks, or does not.
    pub fn hush(&mut self, hushed: bool) {
        self.hushed = hushed;
    }

    /// When the next packet is due.
    pub fn next_deadline(&self) -> Option<Tick> {
        self.next_at.filter(|_| !self.hushed)
    }

    /// Says what is due.
    pub fn handle_timeout(&mut self, now: Tick, out: &mut Vec<Output>) {
        while let Some(due) = self.next_at.filter(|due| *due <= now) {
            self.next_at = Some(due + PACKET_EVERY);
            if self.hushed {
                self.next_at = Some(now + PACKET_EVERY);
            }
            self.speak(out);
        }
    }

    fn speak(&mut self, out: &mut Vec<Output>) {
        let Some((to, codec)) = self.destination() else { return };
        if self.hushed {
            return;
        }
        let payload = self.voice.packet(self.said, codec.law);
        let tag = Some(Tag { voice: self.voice, index: self.said });
        let bytes = self.packet(codec.payload_type, self.timestamp, &payload);
        out.push(Output::Rtp { from: self.outside, to, bytes, tag });
        self.said += 1;
        self.timestamp = self.timestamp.wrapping_add(codec.timestamp_step);
    }

    /// Sends a telephone-event.
    pub fn digit(&mut self, digit: u8, out: &mut Vec<Output>) {
        let (Some((to, _)), Some(payload_type)) = (self.destination(), self.sends_events_as) else { return };
        for packet in 0..DIGIT_PACKETS {
            let end = if packet + 1 == DIGIT_PACKETS { 0x80 } else { 0 };
            let bytes = self.packet(payload_type, self.timestamp, &[digit, end | 10, 3, 32]);
            out.push(Output::Rtp { from: self.outside, to, bytes, tag: None });
        }
        // Its numbers are not those of audio packets any more.
        self.timestamp = self.timestamp.wrapping_add(160);
    }

    /// Whether packets to this address reach us.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        self.outside == address
    }

    /// Hears a packet.
    pub fn hear(&mut self, now: Tick, from: SocketAddr, packet: &[u8]) -> Option<(Voice, u32)> {
        let expected = Expectation { codecs: &self.agreed, event_payload_type: self.our_event_payload_type };
        self.ear.hear(now, from, packet, &expected)
    }

    /// The SSRC under which we speak.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Whether audio may flow from us now.
    pub fn destination(&self) -> Option<(SocketAddr, Codec)> {
        let remote = self.remote.as_ref().filter(|remote| remote.way.receives() && self.way.sends())?;
        Some((remote.audio?, self.sends?))
    }

    fn packet(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x80, payload_type];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        bytes
    }

    fn describe(&mut self, described: Described) {
        self.sources.extend(described.audio.filter(|audio| !self.sources.contains(audio)));
        self.described.push(described.clone());
        self.remote = Some(described);
    }

    fn write(&mut self, codecs: &[Codec], event: Option<u8>, way: Way) -> String {
        let family = if self.local.is_ipv4() { "IP4" } else { "IP6" };
        let ip = self.local.ip();
        let mut numbers = String::new();
        let mut maps = String::new();
        for codec in codecs {
            let _ = write!(numbers, " {}", codec.payload_type);
            let _ = write!(maps, "a=rtpmap:{} {}\r\n", codec.payload_type, codec.name);
        }
        if let Some(event) = event {
            let _ = write!(numbers, " {event}");
            let _ = write!(maps, "a=rtpmap:{event} telephone-event/8000\r\na=fmtp:{event} 0-15\r\n");
        }
        self.version += 1;
        format!(
            "v=0\r\no=- {} {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {} RTP/AVP{numbers}\r\n{maps}a=ptime:20\r\na={}\r\n",
            self.ssrc,
            self.version,
            self.local.port(),
            way.name(),
        )
    }
}

/// Reads what matters here of a session description.
pub fn read(text: &str) -> Option<Described> {
    let (mut ip, mut port, mut numbers, mut way) = (None, None, Vec::new(), Way::SendRecv);
    let mut maps: Vec<(u8, String)> =
        vec![(0, Codec::PCMU.name.to_owned()), (8, Codec::PCMA.name.to_owned())];
    let mut origin = (String::new(), 0);
    for line in text.lines() {
        let (kind, value) = line.split_once('=')?;
        let words: Vec<&str> = value.split(' ').collect();
        match kind {
            "o" => origin = ((*words.get(1)?).to_owned(), words.get(2)?.parse().ok()?),
            "c" => ip = Some(words.get(2)?.parse::<IpAddr>().ok()?),
            "m" if words[0] == "audio" => {
                port = words.get(1).and_then(|port| port.parse::<u16>().ok());
                numbers = words.iter().skip(3).filter_map(|number| number.parse::<u8>().ok()).collect();
            }
            "a" => {
                if let Some((number, name)) =
                    value.strip_prefix("rtpmap:").and_then(|map| map.split_once(' '))
                {
                    maps.push((number.parse().ok()?, name.to_owned()));
                }
                way = Way::parse(value).unwrap_or(way);
            }
            _ => {}
        }
    }
    let port = port?;
    let name =
        |number: u8| maps.iter().rev().find(|(known, _)| *known == number).map(|(_, name)| name.clone());
    let codecs = numbers.iter().filter_map(|number| Some((name(*number)?, *number))).collect();
    let ip = ip.filter(|ip| !ip.is_unspecified());
    let audio = ip.filter(|_| port != 0).map(|ip| SocketAddr::new(ip, port));
    Some(Described { audio, codecs, way, origin })
}

fn union(known: &[Codec], more: &[Codec]) -> Vec<Codec> {
    let mut all = more.to_vec();
    all.extend(known.iter().filter(|codec| !more.iter().any(|new| new.payload_type == codec.payload_type)));
    all
}
