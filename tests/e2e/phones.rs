//! The audio of SIPp's calls: SIPp signals, this sends and receives RTP for both ends and judges every packet.
//!
//! SIPp's scenarios log `media CALL IP PORT` as soon as a call may talk; the log is read while it grows. Each end
//! sends its packets 20 ms apart. A packet says in its payload whose it is and the how-manieth, and fills the rest
//! with a pattern of both, so that a lost, doubled, swapped, foreign or changed packet is told apart.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::site::Site;

/// One packet's worth of G.711 at 20 ms.
const PAYLOAD_LEN: usize = 160;
const HEADER_LEN: usize = 12;
const PTIME: Duration = Duration::from_millis(20);
/// How often SIPp's logs are looked at.
const LOG_INTERVAL: Duration = Duration::from_millis(5);
/// After the calls ended, packets still on their way are waited for this long since the last one.
const DRAIN: Duration = Duration::from_millis(500);

/// Which end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that sent the INVITE.
    Caller,
    /// The one that was called.
    Callee,
}

/// What one end of one call saw.
#[derive(Debug)]
pub struct Report {
    pub side: Side,
    pub call: u32,
    pub sent: u32,
    /// Different packets of the other end that came.
    pub received: u32,
    /// The first few that did not come.
    pub missing: Vec<u32>,
    pub duplicates: u32,
    /// The end that spoke to this one.
    pub peer: Option<u32>,
    /// What was wrong with packets, the first few in words.
    pub faults: Vec<String>,
    pub fault_count: u32,
}

/// The running phones.
pub struct Phones {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Report>>,
    /// SIPp's injection files: caller's and callee's.
    pub injections: [PathBuf; 2],
    /// Where SIPp is to log: caller's and callee's.
    pub logs: [PathBuf; 2],
}

impl Phones {
    /// Binds a port per end and call at `site`, writes SIPp's injection files and begins to listen.
    pub fn start(site: &Site, calls: u32, packets: u32) -> Phones {
        let directory = site.directory();
        let logs = [directory.join("caller.log"), directory.join("callee.log")];
        let injections = [directory.join("caller.csv"), directory.join("callee.csv")];
        let poll = Poll::new().expect("a poll");
        let mut ends = Vec::new();
        for (side, first, injection) in [
            (Side::Caller, site.caller_audio(), &injections[0]),
            (Side::Callee, site.callee_audio(), &injections[1]),
        ] {
            let mut lines = String::from("SEQUENTIAL\n");
            for call in 0..calls {
                let port = first.port() + u16::try_from(2 * call).expect("few calls");
                lines.push_str(&format!("{};{port};{call}\n", first.ip()));
                ends.push(End::bind(side, call, SocketAddr::new(first.ip(), port), packets));
            }
            std::fs::write(injection, lines).expect("an injection file");
        }
        for (index, end) in ends.iter_mut().enumerate() {
            poll.registry().register(&mut end.socket, Token(index), Interest::READABLE).expect("registered");
        }
        let stop = Arc::new(AtomicBool::new(false));
        let tails = logs.clone().map(|path| Tail { path, read: 0, rest: String::new() });
        let desk = Desk { poll, ends, tails, stop: Arc::clone(&stop), calls };
        let thread = std::thread::spawn(move || desk.run());
        Phones { stop, thread, injections, logs }
    }

    /// Tells the phones that SIPp is done; what is still on its way is waited for.
    pub fn finish(self) -> Vec<Report> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().expect("the phones did not panic")
    }
}

/// Every end sent and received `packets`, each of the same one other end, which heard it in turn.
pub fn assert_all_heard(reports: &[Report], packets: u32) {
    let calls = reports.len() / 2;
    let mut bad: Vec<String> = Vec::new();
    for report in reports {
        let complete = report.sent == packets && report.received == packets && report.missing.is_empty();
        if !complete || report.fault_count > 0 || report.duplicates > 0 {
            bad.push(format!("{report:?}"));
        }
        let others = match report.side {
            Side::Caller => &reports[calls..],
            Side::Callee => &reports[..calls],
        };
        let peer = report.peer.and_then(|peer| others.iter().find(|other| other.call == peer));
        if peer.and_then(|peer| peer.peer) != Some(report.call) {
            bad.push(format!(
                "{:?} {} and its peer {:?} did not hear each other",
                report.side, report.call, report.peer
            ));
        }
    }
    assert!(
        bad.is_empty(),
        "{} of {} ends:\n{}",
        bad.len(),
        reports.len(),
        bad[..bad.len().min(10)].join("\n")
    );
}

/// The thread's state: all ends and SIPp's logs.
struct Desk {
    poll: Poll,
    ends: Vec<End>,
    tails: [Tail; 2],
    stop: Arc<AtomicBool>,
    calls: u32,
}

impl Desk {
    fn run(mut self) -> Vec<Report> {
        let mut events = Events::with_capacity(256);
        let mut last_packet = Instant::now();
        let mut next_log = Instant::now();
        loop {
            let now = Instant::now();
            let due = self.ends.iter().filter_map(End::due).min().unwrap_or(next_log).min(next_log);
            self.poll.poll(&mut events, Some(due.saturating_duration_since(now))).expect("polled");
            let now = Instant::now();
            for event in &events {
                if self.ends[event.token().0].receive() {
                    last_packet = now;
                }
            }
            if now >= next_log {
                self.read_logs(now);
                next_log = now + LOG_INTERVAL;
            }
            self.ends.iter_mut().for_each(|end| end.send(now));
            if self.stop.load(Ordering::Acquire) && (self.is_complete() || now > last_packet + DRAIN) {
                return self.ends.into_iter().map(End::into_report).collect();
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.ends.iter().all(|end| end.report.sent == end.packets && end.report.received == end.packets)
    }

    fn read_logs(&mut self, now: Instant) {
        for (side, tail) in self.tails.iter_mut().enumerate() {
            for line in tail.lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                let ["media", call, ip, port] = words[..] else {
                    continue;
                };
                let call: usize = call.parse().expect("a call's number");
                let remote = SocketAddr::new(ip.parse().expect("an address"), port.parse().expect("a port"));
                let end = &mut self.ends[side * self.calls as usize + call];
                // Early media already began: the answer says the same again.
                if end.remote.is_none() {
                    end.remote = Some((remote, now));
                }
            }
        }
    }
}

/// A log file that grows.
struct Tail {
    path: PathBuf,
    read: u64,
    rest: String,
}

impl Tail {
    fn lines(&mut self) -> Vec<String> {
        let Ok(mut file) = File::open(&self.path) else {
            return Vec::new(); // SIPp has logged nothing yet
        };
        let mut new = String::new();
        file.seek(SeekFrom::Start(self.read)).expect("a place in the log");
        self.read += file.read_to_string(&mut new).expect("the log is text") as u64;
        self.rest.push_str(&new);
        let complete = self.rest.rfind('\n').map_or(0, |at| at + 1);
        let lines = self.rest[..complete].lines().map(str::to_owned).collect();
        self.rest.drain(..complete);
        lines
    }
}

/// One end of one call.
struct End {
    socket: UdpSocket,
    /// Where to send, and since when.
    remote: Option<(SocketAddr, Instant)>,
    packets: u32,
    heard: BTreeSet<u32>,
    /// SSRC, and sequence number and timestamp of the peer's first packet, once one was heard.
    stream: Option<(u32, u16, u32)>,
    report: Report,
}

impl End {
    fn bind(side: Side, call: u32, address: SocketAddr, packets: u32) -> End {
        let socket = UdpSocket::bind(address).expect("an RTP port of this test's own address");
        let report = Report {
            side,
            call,
            sent: 0,
            received: 0,
            missing: Vec::new(),
            duplicates: 0,
            peer: None,
            faults: Vec::new(),
            fault_count: 0,
        };
        End { socket, remote: None, packets, heard: BTreeSet::new(), stream: None, report }
    }

    fn into_report(self) -> Report {
        let missing = (0..self.packets).filter(|index| !self.heard.contains(index)).take(5).collect();
        Report { missing, ..self.report }
    }

    fn due(&self) -> Option<Instant> {
        let (_, since) = self.remote?;
        (self.report.sent < self.packets).then(|| since + PTIME * self.report.sent)
    }

    fn send(&mut self, now: Instant) {
        while self.due().is_some_and(|due| due <= now) {
            let (remote, _) = self.remote.expect("due only with a remote");
            let packet = packet(self.report.side, self.report.call, self.report.sent);
            match self.socket.send_to(&packet, remote) {
                Ok(_) => self.report.sent += 1,
                Err(error) => return self.fault(format!("cannot send to {remote}: {error}")),
            }
        }
    }

    /// Takes all that waits; whether there was anything.
    fn receive(&mut self) -> bool {
        let mut buffer = [0; 2048];
        let mut any = false;
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            any = true;
            if let Err(fault) = self.judge(&buffer[..length]) {
                self.fault(format!("{length} bytes from {from}: {fault}"));
            }
        }
        any
    }

    fn judge(&mut self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() != HEADER_LEN + PAYLOAD_LEN {
            return Err("not as long as what was sent".to_owned());
        }
        if bytes[0] != 0x80 || bytes[1] & 0x7f != 0 {
            return Err(format!("its header begins with {:02x} {:02x}", bytes[0], bytes[1]));
        }
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (side, call, index) = (word(12), word(16), word(20));
        let other = match self.report.side {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        };
        if side != other as u32 || index >= self.packets || *self.report.peer.get_or_insert(call) != call {
            return Err(format!("it is number {index} of call {call} of side {side}"));
        }
        if bytes[HEADER_LEN..] != packet(other, call, index)[HEADER_LEN..] {
            return Err(format!("the content of number {index} was changed"));
        }
        self.check_continuity(index, u16::from_be_bytes([bytes[2], bytes[3]]), word(4), word(8))?;
        if self.heard.insert(index) {
            self.report.received += 1;
        } else {
            self.report.duplicates += 1;
        }
        Ok(())
    }

    /// Sequence numbers and timestamps run with the count of packets, whatever they began with.
    fn check_continuity(
        &mut self,
        index: u32,
        sequence: u16,
        timestamp: u32,
        ssrc: u32,
    ) -> Result<(), String> {
        let first_sequence = sequence.wrapping_sub(index as u16);
        let first_timestamp = timestamp.wrapping_sub(index * PAYLOAD_LEN as u32);
        let expected = *self.stream.get_or_insert((ssrc, first_sequence, first_timestamp));
        if expected == (ssrc, first_sequence, first_timestamp) {
            return Ok(());
        }
        Err(format!("number {index} has ssrc {ssrc:08x}, sequence {sequence}, timestamp {timestamp}: a jump"))
    }

    fn fault(&mut self, what: String) {
        self.report.fault_count += 1;
        if self.report.faults.len() < 3 {
            self.report.faults.push(what);
        }
    }
}

/// The RTP packet number `index` that `side` of `call` sends. Sequence number and timestamp begin so that both wrap
/// while the call talks.
pub fn packet(side: Side, call: u32, index: u32) -> [u8; HEADER_LEN + PAYLOAD_LEN] {
    let mut bytes = [0; HEADER_LEN + PAYLOAD_LEN];
    let sequence = 65_500_u16.wrapping_add(index as u16);
    let timestamp = (u32::MAX - 5_000).wrapping_add(index * PAYLOAD_LEN as u32);
    bytes[0] = 0x80;
    bytes[1] = if index == 0 { 0x80 } else { 0 };
    bytes[2..4].copy_from_slice(&sequence.to_be_bytes());
    bytes[4..8].copy_from_slice(&timestamp.to_be_bytes());
    bytes[8..12].copy_from_slice(&(0xC0DE_0000 + 2 * call + side as u32).to_be_bytes());
    bytes[12..16].copy_from_slice(&(side as u32).to_be_bytes());
    bytes[16..20].copy_from_slice(&call.to_be_bytes());
    bytes[20..24].copy_from_slice(&index.to_be_bytes());
    let mut state = 2 * u64::from(call) + side as u64 + (u64::from(index) << 32);
    for byte in &mut bytes[24..] {
        // Knuth's MMIX constants; any pattern that differs between packets would do.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = (state >> 56) as u8;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end() -> End {
        End::bind(Side::Caller, 7, "127.0.0.1:0".parse().expect("an address"), 10)
    }

    #[test]
    fn a_changed_foreign_or_doubled_packet_is_told_apart() {
        let mut end = end();
        assert_eq!(end.judge(&packet(Side::Callee, 3, 0)), Ok(()));
        let mut changed = packet(Side::Callee, 3, 1);
        changed[100] ^= 1;
        assert!(end.judge(&changed).expect_err("changed").contains("content"));
        assert!(end.judge(&packet(Side::Callee, 4, 1)).is_err(), "another call's packet");
        assert!(end.judge(&packet(Side::Caller, 7, 1)).is_err(), "its own echo");
        assert_eq!(end.judge(&packet(Side::Callee, 3, 0)), Ok(()));
        assert_eq!((end.report.received, end.report.duplicates), (1, 1));
    }

    #[test]
    fn a_jump_of_sequence_or_timestamp_is_found() {
        let mut end = end();
        assert_eq!(end.judge(&packet(Side::Callee, 3, 0)), Ok(()));
        let mut jumped = packet(Side::Callee, 3, 1);
        jumped[3] ^= 4;
        assert!(end.judge(&jumped).expect_err("jumped").contains("a jump"));
    }
}
