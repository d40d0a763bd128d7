//! TCP between phones and the switch: ordered, late, and cut where nobody expects it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clock::Tick;
use signaling::ConnectionId;

use crate::random::Random;

/// First port that phones connect from.
const PORT_FIRST: u16 = 50_000;

/// Something that arrives by a stream, or happens to one.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// A phone's connection reaches the switch's listener.
    AtListener,
    /// The switch's own connection stands.
    Connected,
    /// Octets for the switch.
    ForSwitch(Bytes),
    /// Octets for the phone.
    ForPhone(Bytes),
    /// The phone's end was closed by the switch.
    Closed,
}

/// A connection between one phone and the switch.
#[derive(Debug)]
pub struct Stream {
    /// The phone.
    pub phone: usize,
    /// Its end.
    pub address: SocketAddr,
    /// What the switch calls it, once it knows it.
    pub connection: Option<ConnectionId>,
    /// It can carry nothing more.
    pub is_closed: bool,
    /// Nothing arrives before what was sent before.
    to_switch_at: Tick,
    to_phone_at: Tick,
    /// Octets that are no whole message yet.
    received: Vec<u8>,
}

impl Stream {
    /// The `number`th stream of the world.
    pub fn new(phone: usize, sip: SocketAddr, number: usize, connection: Option<ConnectionId>) -> Stream {
        Stream {
            phone,
            address: SocketAddr::new(sip.ip(), PORT_FIRST + number as u16),
            connection,
            is_closed: false,
            to_switch_at: Tick::ZERO,
            to_phone_at: Tick::ZERO,
            received: Vec::new(),
        }
    }

    /// When something sent now arrives at the switch (`true`) or the phone.
    pub fn arrival(&mut self, now: Tick, delay: Duration, at_switch: bool) -> Tick {
        let last = if at_switch { &mut self.to_switch_at } else { &mut self.to_phone_at };
        *last = (now + delay).max(*last);
        *last
    }

    /// Takes octets for the phone; gives the messages that are whole.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Bytes> {
        self.received.extend_from_slice(bytes);
        let mut messages = Vec::new();
        while let Some(len) = message_len(&self.received) {
            let rest = self.received.split_off(len);
            messages.push(Bytes::from(std::mem::replace(&mut self.received, rest)));
        }
        messages
    }
}

/// Cuts octets into segments as a network might.
pub fn segments(bytes: &Bytes, random: &mut Random) -> Vec<Bytes> {
    let mut segments = Vec::new();
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        let whole = random.chance(700);
        let len = if whole { rest.len() } else { random.between(1, rest.len() as u64) as usize };
        segments.push(rest.split_to(len));
    }
    segments
}

fn message_len(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with("content-length:"))?;
    let body: usize = line.split_once(':')?.1.trim().parse().ok()?;
    (bytes.len() >= head + body).then_some(head + body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_however_they_were_cut() {
        let one = b"BYE x SIP/2.0\r\nContent-Length: 3\r\n\r\nabc";
        let two = Bytes::from([one.as_slice(), one.as_slice()].concat());
        let mut random = Random::new(3);
        let mut stream = Stream::new(0, "192.0.2.1:5060".parse().unwrap(), 0, None);
        let mut messages = Vec::new();
        for segment in segments(&two, &mut random) {
            messages.extend(stream.receive(&segment));
        }
        assert_eq!(messages, [one.as_slice(), one.as_slice()]);
    }
}
