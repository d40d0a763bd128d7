//! An endpoint on a bench: the test plays the peer, the owner, the resolver and the clock.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clock::{Now, Tick};

use crate::endpoint::*;
use crate::{HeaderName, Message};

/// Listener of the one profile.
pub const UDP: ListenerId = ListenerId(1);
/// Its TCP sibling, where a test wants one.
pub const TCP: ListenerId = ListenerId(2);
/// The one profile.
pub const PROFILE: ProfileId = ProfileId(1);

pub struct Bench {
    pub endpoint: Endpoint,
    pub now: Now,
}

/// Our address.
pub fn us() -> SocketAddr {
    ([192, 0, 2, 1], 5060).into()
}

/// The peer's.
pub fn peer() -> SocketAddr {
    ([192, 0, 2, 9], 5070).into()
}

/// A profile that listens on UDP.
pub fn profile() -> ProfileSettings {
    ProfileSettings {
        listeners: vec![ListenerSettings::new(UDP, Transport::Udp, us())],
        user_agent: Some("bench".to_string()),
        contact_user: "gw".to_string(),
        ..ProfileSettings::new(PROFILE, "bench")
    }
}

/// A profile that listens on UDP and TCP.
pub fn profile_with_tcp() -> ProfileSettings {
    let mut profile = profile();
    profile.listeners.push(ListenerSettings::new(TCP, Transport::Tcp, us()));
    profile
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with(profile())
    }

    pub fn with(profile: ProfileSettings) -> Bench {
        Bench { endpoint: Endpoint::new(vec![profile], 1), now: Now::default() }
    }

    /// The peer sends.
    pub fn receive(&mut self, text: &str) {
        self.receive_from(peer(), text);
    }

    pub fn receive_from(&mut self, source: SocketAddr, text: &str) {
        let bytes = Bytes::from(text.replace("\r\n", "\n").replace('\n', "\r\n"));
        self.endpoint.handle_datagram(self.now, UDP, source, bytes);
    }

    /// What the endpoint has sent since the last call, as messages.
    pub fn sent(&mut self) -> Vec<Message> {
        let mut sent = Vec::new();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            match transmit {
                Transmit::Datagram { bytes, .. } | Transmit::Stream { bytes, .. } => {
                    sent.push(Message::parse(bytes).expect("we write messages that we can read"));
                }
                other => panic!("a datagram was expected, not {other:?}"),
            }
        }
        sent
    }

    /// The same in short: `100 INVITE`, `BYE`.
    pub fn sent_lines(&mut self) -> Vec<String> {
        self.sent().iter().map(line).collect()
    }

    /// The only message sent since the last call.
    pub fn sent_one(&mut self) -> Message {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{:?}", sent.iter().map(line).collect::<Vec<_>>());
        sent.remove(0)
    }

    pub fn transmits(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.endpoint.poll_transmit()).collect()
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    /// Events since the last call by their names.
    pub fn event_names(&mut self) -> Vec<String> {
        self.events().iter().map(name).collect()
    }

    /// Lets time pass, running each timer when it is due.
    pub fn pass(&mut self, millis: u64) {
        let end = self.now.tick + Duration::from_millis(millis);
        while let Some((due, _)) = self.endpoint.next_deadline().filter(|(due, _)| *due <= end) {
            self.move_to(due);
            self.endpoint.handle_timeout(self.now);
        }
        self.move_to(end);
    }

    /// Lets so much time pass that everything has ended, and sees that nothing is left.
    pub fn expect_nothing_left(&mut self) {
        self.pass(120_000);
        assert_eq!(self.endpoint.census(), Census::default());
    }

    /// A leg that the peer began, and what it was told: nothing yet.
    pub fn called(&mut self) -> LegId {
        self.receive(&invite());
        let events = self.events();
        let [Event::Invite { leg, .. }] = events[..] else { panic!("{events:?}") };
        self.transmits();
        leg
    }

    /// A call that the peer began and that is up. Returns our tag, too.
    pub fn called_and_up(&mut self) -> (LegId, String) {
        let leg = self.called();
        self.endpoint.answer(self.now, leg, Reply::new(200));
        let ok = self.sent_one();
        let tag = ok.to().tag().expect("our tag").to_string();
        self.receive(&inside("ACK", 1, &tag));
        assert_eq!(self.event_names(), ["Acknowledged"]);
        (leg, tag)
    }

    /// A call of ours; the INVITE as it left.
    pub fn calling(&mut self) -> (LegId, Message) {
        let leg = self.endpoint.invite(self.now, call()).expect("a good call");
        (leg, self.sent_one())
    }

    /// A call of ours that the peer has answered and we have acknowledged.
    pub fn calling_and_up(&mut self) -> (LegId, Message) {
        let (leg, invite) = self.calling();
        self.receive(&answer(&invite, 200, "peer", CONTACT));
        assert_eq!(self.event_names(), ["Answered"]);
        self.endpoint.ack(self.now, leg, None, None);
        assert_eq!(self.sent_lines(), ["ACK"]);
        (leg, invite)
    }

    fn move_to(&mut self, tick: Tick) {
        self.now = self.now + tick.since(self.now.tick);
    }
}

pub const CONTACT: &str = "Contact: <sip:callee@192.0.2.9:5070>\n";

/// A call to the peer.
pub fn call() -> Invite {
    Invite::new(
        PROFILE,
        "sip:4930@192.0.2.9:5070".into(),
        "<sip:a@us.example>".into(),
        "<sip:4930@them>".into(),
    )
}

/// The peer's INVITE.
pub fn invite() -> String {
    invite_with("")
}

/// The peer's INVITE with further headers, each ended by a line break.
pub fn invite_with(headers: &str) -> String {
    format!(
        "INVITE sip:4930@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK-invite\n\
         Max-Forwards: 70\nFrom: <sip:caller@them>;tag=peer\nTo: <sip:4930@us>\nCall-ID: call-1\nCSeq: 1 INVITE\n\
         Contact: <sip:caller@192.0.2.9:5070>\n{headers}Content-Length: 0\n\n"
    )
}

/// A CANCEL for it.
pub fn cancel() -> String {
    invite().replace("INVITE", "CANCEL")
}

/// A request of the peer in the dialog that it began.
pub fn inside(method: &str, cseq: u32, our_tag: &str) -> String {
    inside_with(method, cseq, our_tag, "Content-Length: 0\n\n")
}

/// The same with the end of the message given.
pub fn inside_with(method: &str, cseq: u32, our_tag: &str, rest: &str) -> String {
    format!(
        "{method} sip:gw@192.0.2.1:5060 SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK-{method}-{cseq}\nMax-Forwards: 70\n\
         From: <sip:caller@them>;tag=peer\nTo: <sip:4930@us>;tag={our_tag}\nCall-ID: call-1\nCSeq: {cseq} {method}\n\
         Contact: <sip:caller@192.0.2.9:5070>\n{rest}"
    )
}

/// An offer, as the end of a message.
pub const OFFER: &str = "Content-Type: application/sdp\nContent-Length: 4\n\nv=0\n";

/// A request of the peer in a dialog that we began by `invite`, where the peer's tag is `peer`.
pub fn back(method: &str, cseq: u32, invite: &Message, rest: &str) -> String {
    let (call_id, from) = (invite.call_id(), invite.header(HeaderName::From).expect("From"));
    format!(
        "{method} sip:gw@192.0.2.1:5060 SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK-{method}-{cseq}\nMax-Forwards: 70\n\
         From: <sip:4930@them>;tag=peer\nTo: {from}\nCall-ID: {call_id}\nCSeq: {cseq} {method}\n\
         Contact: <sip:callee@192.0.2.9:5070>\n{rest}"
    )
}

/// The peer's response to a request of ours; an empty tag leaves To as it is.
pub fn answer(request: &Message, status: u16, tag: &str, headers: &str) -> String {
    let header = |name| request.header(name).expect("in every request");
    let to = header(HeaderName::To);
    let tag = if tag.is_empty() || to.contains("tag=") { String::new() } else { format!(";tag={tag}") };
    format!(
        "SIP/2.0 {status} X\nVia: {}\nFrom: {}\nTo: {to}{tag}\nCall-ID: {}\nCSeq: {}\n{headers}Content-Length: 0\n\n",
        header(HeaderName::Via),
        header(HeaderName::From),
        request.call_id(),
        header(HeaderName::CSeq),
    )
}

/// A message in short.
pub fn line(message: &Message) -> String {
    match message.is_request() {
        true => message.method().to_string(),
        false => format!("{} {}", message.status(), message.method()),
    }
}

/// An event's name.
pub fn name(event: &Event) -> String {
    match event {
        Event::Failed { status, origin, .. } => format!("Failed({status} {origin:?})"),
        Event::Response { status, .. } => format!("Response({status})"),
        Event::Request { request, .. } => format!("Request({})", request.method()),
        Event::Provisional { response, .. } => format!("Provisional({})", response.status()),
        other => {
            let text = format!("{other:?}");
            text.split([' ', '{']).next().expect("a name").to_string()
        }
    }
}
