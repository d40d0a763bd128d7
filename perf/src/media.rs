//! The audio of all calls: one socket per end, packets paced 20 ms apart, every received one judged.
//!
//! Nothing here knows SIP. An end is opened before its SDP is written, started when its call may talk, and closed
//! when its call is over; its counts go into the direction that it received from.

pub mod packet;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clock::Tick;
use hdrhistogram::Histogram;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use crate::time::Clock;
use packet::{PACKET_LEN, PacketError, Stamp};

/// Between two packets of an end.
pub const PTIME: Duration = Duration::from_millis(20);

/// Tokens of ends begin here; those below belong to SIP.
pub const TOKEN_FIRST: usize = 16;

/// Delays above this many microseconds are counted as this.
const DELAY_US_MAX: u64 = 60_000_000;

/// One end of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndId(u32);

/// Which way packets went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// An end that calls.
    Caller,
    /// An end that is called.
    Callee,
}

/// What one side received, all ends together, and what the other side sent to it.
pub struct Direction {
    /// Packets that the sending ends sent.
    pub sent: u64,
    /// Different packets that arrived as they were sent.
    pub received: u64,
    /// Packets that arrived again.
    pub duplicates: u64,
    /// Packets that arrived after a later one of the same end.
    pub reordered: u64,
    /// Packets with a changed payload, or that were no packets of ours.
    pub corrupt: u64,
    /// Packets of an end that does not belong to this call.
    pub foreign: u64,
    /// From sending to receiving, in microseconds.
    pub delay_us: Histogram<u64>,
}

/// All ends.
pub struct Media {
    ends: Vec<End>,
    due: BinaryHeap<Reverse<(Tick, EndId)>>,
    payload_type: u8,
    to_caller: Direction,
    to_callee: Direction,
    /// How late packets left, in microseconds: the harness's own pace.
    pub late_us: Histogram<u64>,
    /// Packets that the kernel did not take.
    pub send_errors: u64,
}

struct End {
    side: Side,
    /// `None` once the call is over.
    socket: Option<UdpSocket>,
    local: SocketAddr,
    remote: Option<SocketAddr>,
    started: Tick,
    sent: u32,
    to_send: u32,
    /// The end that this one hears.
    peer: Option<u32>,
    /// A bit for each packet of the peer that came.
    heard: Vec<u64>,
    highest: Option<u32>,
}

impl Media {
    /// No ends yet; packets will carry this payload type.
    pub fn new(payload_type: u8) -> Media {
        Media {
            ends: Vec::new(),
            due: BinaryHeap::new(),
            payload_type,
            to_caller: Direction::new(),
            to_callee: Direction::new(),
            late_us: delay_histogram(),
            send_errors: 0,
        }
    }

    /// Opens an end at `local`, on a port that the kernel chooses.
    pub fn open(&mut self, registry: &Registry, side: Side, local: IpAddr) -> std::io::Result<EndId> {
        let mut socket = UdpSocket::bind(SocketAddr::new(local, 0))?;
        let id = EndId(u32::try_from(self.ends.len()).expect("two ends per call, and calls are bounded"));
        registry.register(&mut socket, Token(TOKEN_FIRST + self.ends.len()), Interest::READABLE)?;
        let local = socket.local_addr()?;
        self.ends.push(End {
            side,
            socket: Some(socket),
            local,
            remote: None,
            started: Tick::ZERO,
            sent: 0,
            to_send: 0,
            peer: None,
            heard: Vec::new(),
            highest: None,
        });
        Ok(id)
    }

    /// From now on `end` sends `packets` packets to `remote`.
    pub fn start(&mut self, now: Tick, end: EndId, remote: SocketAddr, packets: u32) {
        let id = end;
        let end = &mut self.ends[id.0 as usize];
        if end.remote.is_none() {
            (end.remote, end.started, end.to_send) = (Some(remote), now, packets);
            self.due.push(Reverse((now, id)));
        }
    }

    /// The call of `end` is over: it sends and receives no more.
    pub fn close(&mut self, registry: &Registry, clock: &Clock, end: EndId) {
        self.receive(clock, end);
        let end = &mut self.ends[end.0 as usize];
        if let Some(mut socket) = end.socket.take() {
            // It is closed in the next moment; what the poll says of it no longer matters.
            let _ = registry.deregister(&mut socket);
        }
        end.to_send = end.sent;
        end.heard = Vec::new();
    }

    /// The end whose socket `token` names.
    pub fn end_of(&self, token: Token) -> Option<EndId> {
        let index = token.0.checked_sub(TOKEN_FIRST).filter(|index| *index < self.ends.len())?;
        u32::try_from(index).ok().map(EndId)
    }

    /// Sends what is due. An end that is late sends all it missed at once, as a stalled phone would.
    pub fn handle_timeout(&mut self, clock: &Clock) {
        let now = clock.now().tick;
        while let Some(Reverse((due, id))) = self.due.peek().copied().filter(|Reverse((due, _))| *due <= now)
        {
            self.due.pop();
            let end = &mut self.ends[id.0 as usize];
            let (Some(socket), Some(remote)) = (&end.socket, end.remote) else {
                continue; // the call ended first
            };
            if end.sent >= end.to_send {
                continue;
            }
            let sent_at = clock.now().tick;
            let mut bytes = [0; PACKET_LEN];
            packet::write(Stamp { sender: id.0, number: end.sent, sent_at }, self.payload_type, &mut bytes);
            if socket.send_to(&bytes, remote).is_err() {
                self.send_errors += 1;
            }
            // A packet that the kernel refused counts as sent: the far end misses it all the same.
            end.sent += 1;
            record(&mut self.late_us, sent_at - due);
            if end.sent < end.to_send {
                self.due.push(Reverse((end.started + PTIME * end.sent, id)));
            }
            match end.side {
                Side::Caller => self.to_callee.sent += 1,
                Side::Callee => self.to_caller.sent += 1,
            }
        }
    }

    /// When the next packet is due.
    pub fn next_deadline(&self) -> Option<Tick> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes all that waits at `end`.
    pub fn receive(&mut self, clock: &Clock, end: EndId) {
        let mut buffer = [0; 2048];
        loop {
            let Some(socket) = &self.ends[end.0 as usize].socket else {
                return;
            };
            match socket.recv_from(&mut buffer) {
                Ok((length, _)) => self.judge(clock.now().tick, end, &buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // An ICMP error of an earlier packet: said once per packet, so the loop ends.
                Err(_) => {}
            }
        }
    }

    fn judge(&mut self, now: Tick, id: EndId, bytes: &[u8]) {
        let end = &mut self.ends[id.0 as usize];
        let side = end.side;
        let direction = match side {
            Side::Caller => &mut self.to_caller,
            Side::Callee => &mut self.to_callee,
        };
        let stamp = match packet::read(bytes, self.payload_type) {
            Ok(stamp) => stamp,
            Err(PacketError::Form | PacketError::Changed) => {
                direction.corrupt += 1;
                return;
            }
        };
        if *end.peer.get_or_insert(stamp.sender) != stamp.sender {
            direction.foreign += 1;
            return;
        }
        if !end.hear(stamp.number) {
            direction.duplicates += 1;
            return;
        }
        direction.received += 1;
        direction.reordered += u64::from(end.highest.is_some_and(|highest| stamp.number < highest));
        end.highest = end.highest.max(Some(stamp.number));
        record(&mut direction.delay_us, now - stamp.sent_at);
        // Who heard me must be whom I hear, and on the other side.
        let peer = self.ends.get(stamp.sender as usize);
        if !peer.is_some_and(|peer| peer.side != side && peer.peer.is_none_or(|heard| heard == id.0)) {
            let direction = match side {
                Side::Caller => &mut self.to_caller,
                Side::Callee => &mut self.to_callee,
            };
            direction.foreign += 1;
        }
    }

    /// Where `end` listens.
    pub fn local(&self, end: EndId) -> SocketAddr {
        self.ends[end.0 as usize].local
    }

    /// What callers received, and callees.
    pub fn directions(&self) -> (&Direction, &Direction) {
        (&self.to_caller, &self.to_callee)
    }
}

impl End {
    /// Notes packet `number`; false when it came before. A number beyond what can be sent was never sent.
    fn hear(&mut self, number: u32) -> bool {
        let (word, bit) = (number as usize / 64, 1_u64 << (number % 64));
        if word >= self.heard.len() {
            self.heard.resize(word + 1, 0);
        }
        let is_new = self.heard[word] & bit == 0;
        self.heard[word] |= bit;
        is_new
    }
}

impl Direction {
    fn new() -> Direction {
        Direction {
            sent: 0,
            received: 0,
            duplicates: 0,
            reordered: 0,
            corrupt: 0,
            foreign: 0,
            delay_us: delay_histogram(),
        }
    }

    /// Packets that never arrived whole.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}

/// A histogram of microseconds with three significant digits.
pub fn delay_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, DELAY_US_MAX, 3).expect("these bounds are valid")
}

/// Counts a duration; above the histogram's end it counts as its end.
pub fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    histogram.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use mio::Poll;

    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Two ends that send to each other, three packets each.
    struct Pair {
        poll: Poll,
        clock: Clock,
        media: Media,
        caller: EndId,
        callee: EndId,
    }

    impl Pair {
        fn new() -> Pair {
            let poll = Poll::new().expect("a poll");
            let mut media = Media::new(0);
            let caller = media.open(poll.registry(), Side::Caller, LOCAL).expect("an end");
            let callee = media.open(poll.registry(), Side::Callee, LOCAL).expect("an end");
            Pair { poll, clock: Clock::start(), media, caller, callee }
        }

        /// Hands `bytes` to the caller as if the network had.
        fn hand(&mut self, bytes: &[u8]) {
            self.media.judge(Tick::from_millis(10), self.caller, bytes);
        }

        fn packet(&self, sender: EndId, number: u32) -> [u8; PACKET_LEN] {
            let mut bytes = [0; PACKET_LEN];
            packet::write(Stamp { sender: sender.0, number, sent_at: Tick::from_millis(7) }, 0, &mut bytes);
            bytes
        }
    }

    #[test]
    fn packets_between_two_ends_are_counted_whole_with_their_delay() {
        let mut pair = Pair::new();
        let (caller_at, callee_at) = (pair.media.local(pair.caller), pair.media.local(pair.callee));
        let now = pair.clock.now().tick;
        pair.media.start(now, pair.caller, callee_at, 3);
        pair.media.start(now, pair.callee, caller_at, 3);
        let mut events = mio::Events::with_capacity(16);
        while pair.media.directions().0.received + pair.media.directions().1.received < 6 {
            let wait = pair.media.next_deadline().map(|due| due - pair.clock.now().tick);
            pair.poll.poll(&mut events, wait.or(Some(Duration::from_secs(5)))).expect("polled");
            pair.media.handle_timeout(&pair.clock);
            for event in &events {
                let end = pair.media.end_of(event.token()).expect("an end");
                pair.media.receive(&pair.clock, end);
            }
        }
        let (to_caller, to_callee) = pair.media.directions();
        let faults = |direction: &Direction| direction.lost() + direction.corrupt + direction.foreign;
        assert_eq!((faults(to_caller), faults(to_callee)), (0, 0));
        assert_eq!((to_caller.sent, to_callee.sent, to_caller.delay_us.len()), (3, 3, 3));
    }

    #[test]
    fn each_fault_of_a_packet_has_its_own_count() {
        let mut pair = Pair::new();
        let third = pair.media.open(pair.poll.registry(), Side::Callee, LOCAL).expect("an end");
        let good = pair.packet(pair.callee, 5);
        pair.hand(&good);
        pair.hand(&good);
        let mut changed = pair.packet(pair.callee, 6);
        changed[90] ^= 1;
        pair.hand(&changed);
        pair.hand(b"not RTP");
        let foreign = pair.packet(third, 0);
        pair.hand(&foreign);
        let late = pair.packet(pair.callee, 4);
        pair.hand(&late);
        let to_caller = pair.media.directions().0;
        assert_eq!((to_caller.received, to_caller.duplicates, to_caller.corrupt), (2, 1, 2));
        assert_eq!((to_caller.foreign, to_caller.reordered), (1, 1));
        assert_eq!(to_caller.delay_us.value_at_quantile(0.5) / 10, 300);
    }

    #[test]
    fn an_echo_of_ones_own_packets_is_foreign() {
        let mut pair = Pair::new();
        let echo = pair.packet(pair.caller, 0);
        pair.hand(&echo);
        assert_eq!(pair.media.directions().0.foreign, 1);
    }
}
