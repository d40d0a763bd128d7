//! Gives an endpoint any datagrams, cut apart at form feeds, beside a call of ours and answers to its own requests.
//! Whatever they say, responses go to their source only, and a while after the last of them nothing is left.
#![no_main]

use bytes::Bytes;
use clock::{Now, Tick};
use core::time::Duration;
use libfuzzer_sys::fuzz_target;
use signaling::{
    Census, Endpoint, Event, Invite, LegId, ListenerId, ListenerSettings, ProfileId, ProfileSettings, Reply, Transmit,
    Transport,
};

const LISTENER: ListenerId = ListenerId(1);

struct World {
    endpoint: Endpoint,
    now: Now,
    legs: Vec<LegId>,
    /// Our last request, into which an input that begins with `R` is turned as a response.
    request: String,
    /// Our tag in the last response; it stands for `TAG!` in an input, which could not guess it.
    tag: String,
}

impl World {
    fn new() -> World {
        let mut settings = ProfileSettings::new(ProfileId(1), "fuzz");
        let local = ([192, 0, 2, 1], 5060).into();
        settings.listeners = vec![ListenerSettings::new(LISTENER, Transport::Udp, local)];
        let mut world = World {
            endpoint: Endpoint::new(vec![settings], 1),
            now: Now::default(),
            legs: Vec::new(),
            request: String::new(),
            tag: String::new(),
        };
        let call = Invite::new(ProfileId(1), "sip:b@192.0.2.9".into(), "<sip:a@x>".into(), "<sip:b@y>".into());
        world.legs.extend(world.endpoint.invite(world.now, call));
        world.drain();
        world
    }

    fn receive(&mut self, part: &[u8]) {
        let source = ([192, 0, 2, 9], 5060).into();
        let bytes = match part.split_first() {
            // `R180 text`: a response to our own request, else nothing would ever match it.
            Some((b'R', rest)) => {
                let (status, headers) = rest.split_at(rest.len().min(3));
                let request = self.request.split_once("\r\n").map_or("", |split| split.1);
                let head = request.split("Content-Length").next().unwrap_or("");
                let mut text = format!("SIP/2.0 {} X\r\n{head}", String::from_utf8_lossy(status)).into_bytes();
                text.extend_from_slice(headers);
                text.extend_from_slice(b"\r\n\r\n");
                text
            }
            _ => String::from_utf8_lossy(part).replace("TAG!", &self.tag).into_bytes(),
        };
        self.endpoint.handle_datagram(self.now, LISTENER, source, Bytes::from(bytes));
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            let Transmit::Datagram { destination, bytes, .. } = transmit else { continue };
            let text = String::from_utf8_lossy(&bytes);
            if text.starts_with("SIP/2.0 ") {
                assert_eq!(destination.ip().to_string(), "192.0.2.9");
                let to = text.lines().find(|line| line.starts_with("To: "));
                let tag = to.and_then(|to| to.rsplit_once(";tag="));
                self.tag = tag.map_or(String::new(), |tag| tag.1.to_owned());
            } else {
                self.request = text.into_owned();
            }
        }
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Invite { leg, .. } => {
                    self.legs.push(leg);
                    self.endpoint.answer(self.now, leg, Reply::new(200));
                }
                Event::Answered { leg, .. } => self.endpoint.ack(self.now, leg, None, None),
                Event::Request { id, .. } => self.endpoint.respond(self.now, id, Reply::new(200)),
                Event::Resolve { query, .. } => self.endpoint.handle_resolved(self.now, query, Err(())),
                _ => {}
            }
        }
    }

    fn pass(&mut self, millis: u64) {
        let end = self.now.tick + Duration::from_millis(millis);
        while let Some((due, _)) = self.endpoint.next_deadline().filter(|(due, _)| *due <= end) {
            self.move_to(due);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.move_to(end);
    }

    fn move_to(&mut self, tick: Tick) {
        self.now = self.now + tick.since(self.now.tick);
    }
}

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    for part in data.split(|byte| *byte == 0x0c) {
        world.receive(part);
        world.pass(100);
    }
    for leg in std::mem::take(&mut world.legs) {
        world.endpoint.hangup(world.now, leg, Vec::new());
    }
    world.pass(200_000);
    assert_eq!(world.endpoint.census(), Census::default());
});
