//! Peers that say exactly what a test tells them, well-formed or not: SIP as text over plain sockets.
//!
//! SIPp speaks properly; these need not. They know no transactions and repeat nothing, which loopback allows.

#![allow(dead_code, reason = "a toolbox: each family of tests takes the tools it needs")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The longest wait for a message that must come. Far beyond what a busy machine needs.
pub const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Within this an OPTIONS must be answered, whatever else goes on (faults.md).
pub const ALIVE_MAX: Duration = Duration::from_secs(1);
/// Room for what comes while a test looks elsewhere, in bytes.
const RECEIVE_BUFFER_LEN: usize = 8 << 20;

/// How long one of two ends is listened to before the other one.
const TURN: Duration = Duration::from_millis(5);

static NAMES: AtomicU32 = AtomicU32::new(1);

/// A different word each time, for branches, tags and Call-IDs.
pub fn unique() -> String {
    format!("{}x{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed))
}

/// One end that speaks SIP over UDP.
pub struct Peer {
    pub socket: UdpSocket,
    pub local: SocketAddr,
}

impl Peer {
    pub fn bind(local: SocketAddr) -> Peer {
        let socket = UdpSocket::bind(local).unwrap_or_else(|error| panic!("{local}: {error}"));
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_LEN);
        let local = socket.local_addr().expect("an address");
        Peer { socket, local }
    }

    pub fn send(&self, to: SocketAddr, message: impl AsRef<[u8]>) {
        let message = message.as_ref();
        self.socket
            .send_to(message, to)
            .unwrap_or_else(|error| panic!("{} bytes from {} to {to}: {error}", message.len(), self.local));
    }

    /// The next message if one is there, or comes within `limit`.
    pub fn receive(&self, limit: Duration) -> Option<String> {
        let mut buffer = vec![0; 65_536];
        // A timeout of zero would mean none at all.
        self.socket.set_read_timeout(Some(limit.max(Duration::from_micros(1)))).expect("a timeout");
        let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// Waits for a message that is `wanted`; what comes before it is passed over.
    pub fn expect(&self, what: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        let until = Instant::now() + ANSWER_MAX;
        let mut others = Vec::new();
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match self.receive(left) {
                Some(message) if wanted(&message) => return message,
                Some(message) => others.push(message.lines().next().unwrap_or_default().to_owned()),
                None => {}
            }
        }
        panic!("{} waited for {what}; it heard {others:?}", self.local);
    }

    /// Waits for a final or provisional response of this status to the request of this Call-ID and method.
    pub fn expect_status(&self, expected: u16, call_id: &str, method: &str) -> String {
        self.expect(&format!("{expected} to {method} of {call_id}"), |message| {
            is_answer(message, call_id, method) && status(message) == Some(expected)
        })
    }

    /// Waits for the final response to the request of this Call-ID and method, whatever it is.
    pub fn expect_final(&self, call_id: &str, method: &str) -> String {
        self.expect(&format!("a final response to {method} of {call_id}"), |message| {
            is_answer(message, call_id, method) && status(message).is_some_and(|status| status >= 200)
        })
    }

    /// Takes a call, lets it be cancelled or hung up.
    fn answer_as_one_who_takes_calls(&self, switch: SocketAddr, request: &str, body: &str) {
        let body = if request.starts_with("INVITE ") { body } else { "" };
        if !request.starts_with("ACK ") && status(request).is_none() {
            self.send(switch, response(request, "200 OK", self.local, "", body));
        }
    }

    /// Waits for a request.
    pub fn expect_request(&self, method: &str) -> String {
        self.expect(method, |message| message.starts_with(&format!("{method} ")))
    }
}

/// Asks OPTIONS from an address that has nothing to do with anything; the answer must come within [`ALIVE_MAX`].
pub fn assert_alive(switch: SocketAddr, from: IpAddr) {
    let peer = Peer::bind(SocketAddr::new(from, 0));
    let name = unique();
    let asked = Instant::now();
    peer.send(switch, request("OPTIONS", switch, peer.local, &name));
    let answer = peer.expect_final(&name, "OPTIONS");
    let waited = asked.elapsed();
    assert_eq!(status(&answer), Some(200), "{answer}");
    assert!(waited <= ALIVE_MAX, "OPTIONS was answered after {waited:?}");
}

/// A request outside of dialogs, named by its Call-ID.
pub fn request(method: &str, to: SocketAddr, from: SocketAddr, name: &str) -> String {
    format!(
        "{method} sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{name}\r\n\
         From: <sip:peer@{from}>;tag=f{name}\r\nTo: <sip:{to}>\r\nCall-ID: {name}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:peer@{from}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

/// An INVITE that a test can bend: its parts are written as they are.
#[derive(Clone)]
pub struct Invite {
    /// Request-URI.
    pub uri: String,
    pub from: SocketAddr,
    /// Display name and URI of From, without the tag.
    pub party: String,
    pub name: String,
    pub max_forwards: u8,
    /// More headers, each with its CRLF.
    pub headers: String,
    pub body: String,
}

impl Invite {
    pub fn new(number: &str, to: SocketAddr, from: SocketAddr, body: &str) -> Invite {
        Invite {
            uri: format!("sip:{number}@{to}"),
            from,
            party: format!("\"Peer\" <sip:900@{}>", from.ip()),
            name: unique(),
            max_forwards: 70,
            headers: String::new(),
            body: body.to_owned(),
        }
    }

    pub fn with_party(mut self, party: &str) -> Invite {
        party.clone_into(&mut self.party);
        self
    }

    pub fn with_headers(mut self, headers: &str) -> Invite {
        headers.clone_into(&mut self.headers);
        self
    }

    pub fn text(&self) -> String {
        self.request("INVITE", 1, None)
    }

    /// CANCEL of it (RFC 3261 §9.1).
    pub fn cancel(&self) -> String {
        self.bodyless("CANCEL", &self.uri, 1, None, &format!("z9hG4bK{}", self.name))
    }

    /// ACK of a refusal, in the INVITE's own transaction.
    pub fn ack_of_refusal(&self, response: &str) -> String {
        self.bodyless("ACK", &self.uri, 1, header(response, "To"), &format!("z9hG4bK{}", self.name))
    }

    /// A request inside the dialog that `answer`, a 2xx, has made.
    pub fn inside(&self, method: &str, cseq: u32, answer: &str) -> String {
        let contact = header(answer, "Contact").expect("a Contact in a 2xx");
        let uri = contact.trim_start_matches('<').split('>').next().unwrap_or_default();
        self.bodyless(method, uri, cseq, header(answer, "To"), &format!("z9hG4bK{}", unique()))
    }

    fn request(&self, method: &str, cseq: u32, to: Option<&str>) -> String {
        let head = self.head(method, &self.uri, cseq, to, &format!("z9hG4bK{}", self.name));
        let contact = format!("Contact: <sip:peer@{}>\r\n", self.from);
        let kind = if self.body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let (headers, body) = (&self.headers, &self.body);
        format!("{head}{contact}{headers}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
    }

    fn bodyless(&self, method: &str, uri: &str, cseq: u32, to: Option<&str>, branch: &str) -> String {
        format!("{}Content-Length: 0\r\n\r\n", self.head(method, uri, cseq, to, branch))
    }

    fn head(&self, method: &str, uri: &str, cseq: u32, to: Option<&str>, branch: &str) -> String {
        let Invite { from, party, name, max_forwards, uri: own_uri, .. } = self;
        let to = to.map_or_else(|| format!("<{own_uri}>"), str::to_owned);
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch={branch}\r\n\
             From: {party};tag=f{name}\r\nTo: {to}\r\nCall-ID: {name}\r\nCSeq: {cseq} {method}\r\n\
             Max-Forwards: {max_forwards}\r\n"
        )
    }
}

/// A response to `request`, with its Via, Record-Route, From, To, Call-ID and CSeq.
pub fn response(request: &str, status_line: &str, local: SocketAddr, headers: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status_line}\r\n");
    for line in request.split("\r\n").take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
        if ["via", "record-route", "from", "call-id", "cseq"].contains(&name.as_str()) {
            text += &format!("{line}\r\n");
        } else if name == "to" {
            // The same tag for each response to the same request, as a proper end has it.
            let tag = header(request, "Call-ID").unwrap_or_default();
            let tag = tag.split('@').next().unwrap_or_default();
            let tag = if line.contains(";tag=") {
                String::new()
            } else {
                format!(";tag=t{}", tag.replace('-', ""))
            };
            text += &format!("{line}{tag}\r\n");
        }
    }
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    text + &format!(
        "Contact: <sip:callee@{local}>\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// SDP of one audio stream: µ-law and telephone-events, received at `audio`.
pub fn sdp(audio: SocketAddr) -> String {
    let family = if audio.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n",
        ip = audio.ip(),
        port = audio.port(),
    )
}

/// Where the SDP of a message wants its audio.
pub fn audio_address(message: &str) -> SocketAddr {
    let field = |prefix: &str| {
        let line = message.lines().find_map(|line| line.strip_prefix(prefix));
        line.unwrap_or_else(|| panic!("no {prefix} in {message}")).split(' ').next().unwrap_or_default()
    };
    let ip = message.lines().find_map(|line| line.strip_prefix("c=IN IP")).map(|rest| rest[2..].trim());
    let ip = ip.unwrap_or_else(|| panic!("no c= in {message}"));
    SocketAddr::new(ip.parse().expect("an address"), field("m=audio ").parse().expect("a port"))
}

/// The status of a response.
pub fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// The first header of that name.
pub fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    headers(message, name).next()
}

/// All headers of that name.
pub fn headers<'a>(message: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = message.split("\r\n").skip(1).take_while(|line| !line.is_empty());
    lines.filter_map(move |line| {
        let (found, value) = line.split_once(':')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn is_answer(message: &str, call_id: &str, method: &str) -> bool {
    status(message).is_some()
        && header(message, "Call-ID") == Some(call_id)
        && header(message, "CSeq").is_some_and(|cseq| cseq.ends_with(method))
}

/// A call that is up, with an end on each side.
pub struct Call {
    pub invite: Invite,
    /// The 2xx that the caller got.
    pub answer: String,
    /// The INVITE that the callee got.
    pub offer: String,
}

impl Call {
    /// Calls `number` and answers at the other end.
    pub fn establish(switch: SocketAddr, ends: [&Peer; 2], number: &str, bodies: [&str; 2]) -> Call {
        let [caller, callee] = ends;
        Call::begin(Invite::new(number, switch, caller.local, bodies[0]), switch, [caller, callee], bodies[1])
    }

    /// Sends this INVITE and answers at the other end; a refusal is a fault.
    pub fn begin(invite: Invite, switch: SocketAddr, ends: [&Peer; 2], answer: &str) -> Call {
        Call::attempt(invite, switch, ends, answer)
            .unwrap_or_else(|refusal| panic!("the call was refused:\n{refusal}"))
    }

    /// Sends this INVITE and answers whatever comes at the other end. An error is the final response of a refusal.
    pub fn attempt(
        invite: Invite,
        switch: SocketAddr,
        ends: [&Peer; 2],
        answer: &str,
    ) -> Result<Call, String> {
        let [caller, callee] = ends;
        caller.send(switch, invite.text());
        let begun = Instant::now();
        let mut offer = None;
        let mut is_acknowledged = false;
        while begun.elapsed() < ANSWER_MAX {
            if let Some(request) = callee.receive(TURN) {
                callee.answer_as_one_who_takes_calls(switch, &request, answer);
                is_acknowledged |= request.starts_with("ACK ");
                if request.starts_with("INVITE ") {
                    offer = Some(request);
                }
            }
            let Some(message) = caller.receive(TURN).filter(|m| is_answer(m, &invite.name, "INVITE")) else {
                continue;
            };
            match (status(&message), offer.take()) {
                (Some(200..300), Some(offer)) => {
                    caller.send(switch, invite.inside("ACK", 1, &message));
                    if !is_acknowledged {
                        callee.expect_request("ACK");
                    }
                    return Ok(Call { invite, answer: message, offer });
                }
                (Some(300..), _) => {
                    caller.send(switch, invite.ack_of_refusal(&message));
                    return Err(message);
                }
                (_, unanswered) => offer = unanswered,
            }
        }
        panic!("{}: no final response to INVITE within {ANSWER_MAX:?}", caller.local);
    }

    /// Where the switch takes the caller's and the callee's audio.
    pub fn media(&self) -> [SocketAddr; 2] {
        [audio_address(&self.answer), audio_address(&self.offer)]
    }

    /// The caller hangs up; the callee hears of it.
    pub fn hang_up(self, switch: SocketAddr, ends: [&Peer; 2]) {
        let [caller, callee] = ends;
        caller.send(switch, self.invite.inside("BYE", 2, &self.answer));
        let bye = callee.expect_request("BYE");
        callee.send(switch, response(&bye, "200 OK", callee.local, "", ""));
        caller.expect_status(200, &self.invite.name, "BYE");
    }
}

/// Resident memory of a process in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process of ours");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    kib << 10
}

/// Processor time that a process has used, user and system.
pub fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process of ours");
    // The name in brackets may hold anything; behind it utime and stime are the 12th and 13th field (proc(5)), in
    // ticks of 10 ms on every Linux that there is.
    let rest = stat.rsplit_once(')').expect("a name").1;
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
