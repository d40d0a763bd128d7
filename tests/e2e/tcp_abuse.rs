//! TCP under attack: slow, endless, contradictory, idle, reset and deaf connections (faults.md T1 to T7, S2, S6, S14).

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::attackers::Random;
use crate::conf::Conf;
use crate::hostile;
use crate::peers::{
    ALIVE_MAX, ANSWER_MAX, assert_alive, header, request, resident_bytes, sdp, status, unique,
};
use crate::site::Site;
use crate::switch::Switch;

/// Bytes that a peer may get rid of before an endless message is cut off. Most of them lie in the kernel's buffers.
const ENDLESS_BYTES_MAX: usize = 4 << 20;
/// What an attack may leave behind in memory.
const GROWTH_BYTES_MAX: u64 = 32 << 20;

/// A connection that speaks SIP as text.
struct Line {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Line {
    fn open(to: SocketAddr, from: IpAddr) -> Line {
        let domain = socket2::Domain::for_address(to);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(from, 0).into()).expect("an address of the test's own");
        socket.connect(&to.into()).unwrap_or_else(|error| panic!("{to}: {error}"));
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).expect("no delay");
        Line { stream, read: Vec::new() }
    }

    fn local(&self) -> SocketAddr {
        self.stream.local_addr().expect("an address")
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the connection stands");
    }

    /// A request with a Via of this connection.
    fn request(&self, method: &str, to: SocketAddr, name: &str) -> String {
        request(method, to, self.local(), name).replace("SIP/2.0/UDP", "SIP/2.0/TCP")
    }

    /// The next message; `None` when the other side has closed.
    fn next(&mut self, limit: Duration) -> Option<String> {
        let until = Instant::now() + limit;
        let mut buffer = [0; 65_536];
        loop {
            if let Some(length) = whole(&self.read) {
                let message = self.read.drain(..length).collect::<Vec<u8>>();
                return Some(String::from_utf8_lossy(&message).into_owned());
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "nothing came within {limit:?}; {} bytes are no message",
                self.read.len()
            );
            self.stream.set_read_timeout(Some(left)).expect("a timeout");
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.read.extend(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Reads on until the other side closes.
    fn until_closed(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next(ANSWER_MAX)).collect()
    }

    /// Ends the connection by a reset.
    fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("lingers not");
    }
}

/// The length of the message that `bytes` begin with, if all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let body: usize = header(&text, "Content-Length")?.parse().ok()?;
    (bytes.len() >= head + body).then_some(head + body)
}

/// OPTIONS over a connection of its own is answered in time.
fn assert_alive_over_tcp(switch: SocketAddr, from: IpAddr) {
    let asked = Instant::now();
    let mut line = Line::open(switch, from);
    line.send(line.request("OPTIONS", switch, &unique()));
    let answer = line.next(ANSWER_MAX).expect("an answer");
    assert_eq!(status(&answer), Some(200), "{answer}");
    assert!(asked.elapsed() <= ALIVE_MAX, "OPTIONS over TCP was answered after {:?}", asked.elapsed());
}

struct Stage {
    site: Site,
    switch: Switch,
}

impl Stage {
    /// A switch that answers every number with 486, and says nothing of floods.
    fn new(name: &str) -> Stage {
        let site = Site::new(name);
        let conf = Conf::new(&site).profile("max-recv-requests-per-second", "0");
        let switch = Switch::start(&site, &conf.extension("(?s).*", &[("respond", "486 Busy Here")]));
        Stage { site, switch }
    }

    fn open(&self) -> Line {
        Line::open(self.site.switch(), self.site.caller().ip())
    }

    fn assert_alive(&self) {
        assert_alive(self.site.switch(), self.site.other_callee().ip());
        assert_alive_over_tcp(self.site.switch(), self.site.other_callee().ip());
    }

    /// It serves, has given back what it took for connections, and nothing of a call is left.
    fn finish(self) -> String {
        self.assert_alive();
        crate::wait::until("its ends of all connections to be closed", Duration::from_secs(10), || {
            (connections(self.site.switch()) == 0).then_some(())
        });
        self.switch.stop_empty()
    }
}

/// The switch's ends of connections that are neither closed nor only remembered (`TIME_WAIT`), by the kernel's table.
fn connections(switch: SocketAddr) -> usize {
    const TIME_WAIT: &str = "06";
    const LISTEN: &str = "0A";
    let IpAddr::V4(ip) = switch.ip() else { unreachable!("these sites are IPv4") };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), switch.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|row| row[1] == local && ![TIME_WAIT, LISTEN].contains(&row[3])).count()
}

/// T1, T2: others are served beside 300 connections that say nothing and 50 that speak a letter at a time.
#[test]
fn idle_and_slow_connections_hold_up_nobody() {
    let stage = Stage::new("tcp-slow");
    let idle: Vec<Line> = (0..300).map(|_| stage.open()).collect();
    let mut slow: Vec<(Line, Vec<u8>)> = (0..50)
        .map(|_| {
            let line = stage.open();
            let text = line.request("OPTIONS", stage.site.switch(), &unique()).into_bytes();
            (line, text)
        })
        .collect();
    let length = slow.iter().map(|(_, text)| text.len()).min().expect("there are some");
    for at in 0..length - 1 {
        for (line, text) in &mut slow {
            line.send([text[at]]);
        }
        if at % 100 == 0 {
            stage.assert_alive();
        }
    }
    for (line, text) in &mut slow {
        line.send(&text[length - 1..]);
        assert_eq!(line.next(ANSWER_MAX).as_deref().and_then(status), Some(200));
    }
    drop((idle, slow));
    stage.finish();
}

/// T3: who sends without end is cut off long before it costs memory.
#[test]
fn a_header_or_a_body_without_an_end_is_cut_off() {
    let stage = Stage::new("tcp-endless");
    let before = resident_bytes(stage.switch.pid());
    let head = stage.open().request("OPTIONS", stage.site.switch(), &unique());
    let head = head.trim_end().to_owned();
    for (what, begin, piece) in [
        ("a header", format!("{head}\r\nX-A: "), "a".repeat(16_384)),
        ("headers", head.clone(), "\r\nX-A: b".repeat(2_000)),
        ("folds", format!("{head}\r\nX-A: b"), "\r\n c".repeat(4_000)),
        ("a start line", "OPTIONS sip:".to_owned(), "a".repeat(16_384)),
        (
            "a body",
            head.replace("Content-Length: 0", "Content-Length: 2147483647\r\n\r\n"),
            "a".repeat(16_384),
        ),
        ("line breaks", String::new(), "\r\n".repeat(8_192)),
    ] {
        let mut line = stage.open();
        line.stream.set_write_timeout(Some(ANSWER_MAX)).expect("a timeout");
        line.send(&begin);
        let mut sent = 0;
        let is_keep_alive = what == "line breaks";
        while sent < ENDLESS_BYTES_MAX && line.stream.write_all(piece.as_bytes()).is_ok() {
            sent += piece.len();
        }
        // Line breaks are keep-alives (RFC 5626 §3.5.1), of which there may be any number.
        assert!(is_keep_alive || sent < ENDLESS_BYTES_MAX, "{what} went on for {sent} bytes");
        stage.assert_alive();
    }
    let after = resident_bytes(stage.switch.pid());
    assert!(after < before + GROWTH_BYTES_MAX, "memory grew from {before} to {after} bytes");
    stage.finish();
}

/// T7, S14: where a message ends must not be open to doubt; what could be a second one is never looked at.
#[test]
fn contradictory_lengths_are_refused_and_what_lies_behind_is_never_answered() {
    let stage = Stage::new("tcp-smuggling");
    let inner = "smuggled";
    for lengths in [
        "Content-Length: 0\r\nContent-Length: 500",
        "Content-Length: 500\r\nContent-Length: 0",
        "Content-Length: 0\r\nl: 500",
        "Content-Length: -1",
        "Content-Length: 4294967296",
        "Content-Length: 18446744073709551617",
        "Content-Length: 0x0",
        "Content-Length: +0",
        "Content-Length: 0, 0",
        "Content-Length:",
        "Content-Length : 0\r\nContent-Length: 9",
    ] {
        let mut line = stage.open();
        let name = unique();
        let text = line.request("OPTIONS", stage.site.switch(), &name).replace("Content-Length: 0", lengths);
        let second = line.request("OPTIONS", stage.site.switch(), inner);
        line.send(text + &second);
        let answers = line.until_closed();
        assert!(answers.len() <= 1, "{lengths}: {answers:#?}");
        for answer in &answers {
            assert_eq!((status(answer), header(answer, "Call-ID")), (Some(400), Some(&*name)), "{lengths}");
        }
    }
    stage.finish();
}

/// T4.
#[test]
fn five_hundred_requests_in_one_piece_or_in_pieces_of_a_byte_are_answered_in_order() {
    let stage = Stage::new("tcp-pipelined");
    for piece in [usize::MAX, 1] {
        let mut line = stage.open();
        let count = if piece == 1 { 20 } else { 500 };
        let names: Vec<String> = (0..count).map(|_| unique()).collect();
        let all: String =
            names.iter().map(|name| line.request("OPTIONS", stage.site.switch(), name)).collect();
        for bytes in all.as_bytes().chunks(piece.min(all.len())) {
            line.send(bytes);
        }
        for name in &names {
            let answer = line.next(ANSWER_MAX).expect("an answer");
            assert_eq!((status(&answer), header(&answer, "Call-ID")), (Some(200), Some(&**name)));
        }
    }
    stage.finish();
}

/// T5, T6: connections that are reset behind an INVITE, and such as come and go.
#[test]
fn connections_that_break_take_their_calls_with_them_and_nothing_else() {
    let stage = Stage::new("tcp-reset");
    for _ in 0..200 {
        let mut line = stage.open();
        let body = sdp(stage.site.caller_audio());
        let invite = line
            .request("INVITE", stage.site.switch(), &unique())
            .replace("Content-Length: 0\r\n\r\n", "Content-Type: application/sdp\r\n");
        line.send(format!("{invite}Content-Length: {}\r\n\r\n{body}", body.len()));
        line.reset();
        drop(stage.open());
    }
    for number in 0..300 {
        let line = stage.open();
        if number % 2 == 0 {
            let _ = line.stream.shutdown(Shutdown::Write);
        }
    }
    stage.finish();
}

/// A peer that asks and never reads: what waits for him is bounded, and then he is left.
#[test]
fn a_peer_that_never_reads_is_left() {
    let stage = Stage::new("tcp-deaf");
    let before = resident_bytes(stage.switch.pid());
    let mut line = stage.open();
    line.stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let all: String = (0..200).map(|_| line.request("OPTIONS", stage.site.switch(), &unique())).collect();
    // 60,000 requests, whose answers fill any buffer of the kernel's.
    let mut written = 0;
    while written < 300 && line.stream.write_all(all.as_bytes()).is_ok() {
        written += 1;
    }
    assert!(written < 300, "it was never left");
    stage.assert_alive();
    let after = resident_bytes(stage.switch.pid());
    assert!(after < before + GROWTH_BYTES_MAX, "memory grew from {before} to {after} bytes");
    drop(line);
    stage.finish();
}

/// S2, S6: hostile messages and mutations end their own connection at worst.
#[test]
fn hostile_messages_close_their_own_connection_at_worst() {
    let stage = Stage::new("tcp-hostile");
    let mut bystander = stage.open();
    for hostile in hostile::all(stage.site.switch(), stage.site.caller()) {
        let mut line = stage.open();
        // It may be cut off before it has said all.
        let _ = line.stream.write_all(&hostile.bytes);
        let _ = line.stream.shutdown(Shutdown::Write);
        line.until_closed();
    }
    let mut random = Random::new(4_475);
    for _ in 0..60 {
        let mut line = stage.open();
        for _ in 0..10 {
            let bytes = hostile::mutated(&mut random, stage.site.switch(), stage.site.caller());
            let _ = line.stream.write_all(&bytes);
        }
        line.reset();
    }
    bystander.send(bystander.request("OPTIONS", stage.site.switch(), "bystander"));
    assert_eq!(bystander.next(ANSWER_MAX).as_deref().and_then(status), Some(200));
    drop(bystander);
    stage.finish();
}
