//! Server transactions of an endpoint: requests of peers until their answers are settled.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use clock::Tick;

use super::arena::Arena;
use super::call::Reply;
use super::compose;
use super::ids::{LegId, Source, Transport};
use super::target::PORT;
use super::timers::{Armed, Owner};
use super::{Endpoint, Path};
use crate::message::Message;
use crate::random::Token;
use crate::session::answer::Answer;
use crate::transaction::{Carriage, Class, Output, ServerInvite, ServerNonInvite};
use crate::{Method, Via};

/// All server transactions.
#[derive(Debug)]
pub(super) struct Servers {
    arena: Arena<Server>,
    by_key: HashMap<Arc<str>, u64>,
    /// INVITEs outside a dialog by what a second copy on another way has in common with them (RFC 3261 §8.2.2.2).
    by_identity: HashMap<Arc<str>, u64>,
}

/// One server transaction.
#[derive(Debug)]
struct Server {
    machine: Machine,
    source: Source,
    path: Path,
    /// Where a stream's responses go when it is gone.
    fallback: SocketAddr,
    leg: LegId,
    /// The leg's tag: responses that come after the leg has gone must have it, too (RFC 3261 §9.2).
    tag: Option<Token>,
    key: Arc<str>,
    identity: Option<Arc<str>>,
    /// The request, until it has a final answer.
    request: Option<Message>,
    /// Our 2xx to an INVITE, until its ACK comes.
    answer: Option<Answer>,
    armed: Armed,
}

#[derive(Debug)]
enum Machine {
    Invite(ServerInvite),
    NonInvite(ServerNonInvite),
}

impl Servers {
    /// No transactions.
    pub(super) fn new() -> Servers {
        Servers { arena: Arena::new(), by_key: HashMap::new(), by_identity: HashMap::new() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.arena.len()
    }

    /// Whether no index leads to transactions that are gone.
    pub(super) fn is_consistent(&self) -> bool {
        let identities = self.arena.iter().filter(|(_, server)| server.identity.is_some()).count();
        self.by_key.len() == self.arena.len() && self.by_identity.len() == identities
    }

    /// INVITEs without a final answer.
    pub(super) fn open_invites(&self) -> usize {
        let is_open = |server: &Server| match &server.machine {
            Machine::Invite(machine) => machine.is_open(),
            Machine::NonInvite(_) => false,
        };
        self.arena.iter().filter(|(_, server)| is_open(server)).count()
    }

    /// The transaction of that key.
    pub(super) fn find(&self, key: &str) -> Option<u64> {
        self.by_key.get(key).copied()
    }

    /// Whether the same INVITE has come by another way.
    pub(super) fn is_merged(&self, request: &Message) -> bool {
        self.by_identity.contains_key(&*identity(request))
    }

    /// The leg that a transaction belongs to.
    pub(super) fn leg(&self, server: u64) -> Option<LegId> {
        self.arena.get(server).map(|server| server.leg)
    }

    /// The leg of a new call is not in the tables when its INVITE begins to be served.
    pub(super) fn set_tag(&mut self, server: u64, tag: Token) {
        if let Some(server) = self.arena.get_mut(server) {
            server.tag = Some(tag);
        }
    }

    pub(super) fn tag(&self, server: u64) -> Option<Token> {
        self.arena.get(server)?.tag
    }
}

/// What names the transaction of a request (RFC 3261 §17.2.3). An ACK and a CANCEL have the key of their INVITE.
pub(super) fn key_of(request: &Message) -> String {
    let via = request.top_via();
    let method = match request.method() {
        Method::Ack | Method::Cancel => Method::Invite.as_str(),
        method => method.as_str(),
    };
    let (host, port) = (via.host.as_str(), via.port.unwrap_or(PORT));
    let branch = via.branch().unwrap_or("");
    let host = host.to_ascii_lowercase();
    if via.has_unique_branch() {
        return format!("{branch}\n{host}:{port}\n{method}");
    }
    // A sender of RFC 2543: everything that must be equal stands in the key.
    let from_tag = request.from().tag().unwrap_or("").to_string();
    let (cseq, call_id, uri) = (request.cseq().0, request.call_id(), request.request_uri());
    format!("{branch}\n{host}:{port}\n{method}\n{call_id}\n{from_tag}\n{cseq}\n{uri}")
}

fn identity(request: &Message) -> String {
    let from = request.from();
    format!("{}\n{}\n{}", request.call_id(), from.tag().unwrap_or(""), request.cseq().0)
}

impl Endpoint {
    /// Begins a server transaction for `request`, which belongs to `leg`.
    pub(super) fn serve(&mut self, way: (Source, Path), leg: LegId, key: String, request: Message) -> u64 {
        let (source, path) = way;
        let timing = self.profiles.get(source.profile).map(|profile| profile.timing).unwrap_or_default();
        let carriage = match source.transport {
            Transport::Udp => Carriage::Unreliable,
            Transport::Tcp => Carriage::Reliable,
        };
        let is_invite = *request.method() == Method::Invite;
        let machine = match is_invite {
            true => Machine::Invite(ServerInvite::start(carriage, timing)),
            false => Machine::NonInvite(ServerNonInvite::start(carriage, timing)),
        };
        let key: Arc<str> = key.into();
        let is_first = is_invite && request.to().tag().is_none();
        let identity: Option<Arc<str>> = is_first.then(|| identity(&request).into());
        let tag = self.legs.get(leg.0).map(|leg| leg.session.local_tag());
        let server = self.servers.arena.insert(Server {
            machine,
            source,
            path,
            fallback: fallback_of(source, &request.top_via()),
            leg,
            tag,
            key: key.clone(),
            identity: identity.clone(),
            request: Some(request),
            answer: None,
            armed: Armed::default(),
        });
        self.servers.by_key.insert(key, server);
        if let Some(identity) = identity {
            self.servers.by_identity.insert(identity, server);
        }
        if let Some(profile) = self.profiles.get_mut(source.profile) {
            profile.transactions += 1;
            profile.proceeding += u32::from(is_invite);
        }
        server
    }

    /// Sends 100 Trying at once: the owner may take longer than T1 to have anything to say.
    pub(super) fn send_trying(&mut self, now: Tick, server: u64) {
        let Some(Server { request: Some(request), source, .. }) = self.servers.arena.get(server) else {
            return;
        };
        let bytes = compose::trying(request, source.address);
        self.drive(now, server, true, |machine, out| machine.respond(now, 100, bytes, out));
    }

    /// Answers a request; a 2xx to INVITE is resent until its ACK comes.
    pub(super) fn respond_server(&mut self, now: Tick, server: u64, reply: &Reply) {
        let Some(entry) = self.servers.arena.get_mut(server) else { return };
        let Some(request) = entry.request.take() else { return };
        let Some(profile) = self.profiles.get_mut(entry.source.profile) else { return };
        let is_invite = *request.method() == Method::Invite;
        let class = Class::of(reply.status);
        if is_invite && class != Class::Provisional {
            profile.proceeding = profile.proceeding.saturating_sub(1);
        }
        let leg = self.legs.get(entry.leg.0);
        let to_tag = leg.map(|leg| leg.session.local_tag());
        let to_tag = to_tag.as_ref().map_or("", |tag| tag.as_str());
        let who = (to_tag, leg.and_then(|leg| leg.contact_uri.as_deref()));
        let left_out = &mut self.counters.headers_left_out;
        let bytes = compose::response(profile, &request, reply, who, entry.source.address, left_out);
        if class == Class::Provisional {
            entry.request = Some(request);
        }
        if is_invite && class == Class::Success {
            entry.answer = Some(Answer::start(now, bytes.clone(), profile.timing));
        }
        self.drive(now, server, true, |machine, out| machine.respond(now, reply.status, bytes, out));
    }

    /// The ACK to our 2xx has come, or nobody needs it any more.
    pub(super) fn stop_answer(&mut self, server: u64) {
        if let Some(entry) = self.servers.arena.get_mut(server) {
            entry.answer = None;
        }
        self.tidy_server(server);
    }

    /// The same request has come again.
    pub(super) fn handle_retransmission(&mut self, now: Tick, server: u64) {
        self.counters.retransmissions_received += 1;
        self.drive(now, server, false, Machine::handle_retransmission);
    }

    /// An ACK of that transaction's branch has come. Says whether it acknowledges a 2xx, and so is the leg's.
    pub(super) fn handle_server_ack(&mut self, now: Tick, server: u64) -> bool {
        let mut outputs = std::mem::take(&mut self.outputs);
        if let Some(Server { machine: Machine::Invite(machine), .. }) = self.servers.arena.get_mut(server) {
            machine.handle_ack(now, &mut outputs);
        }
        let is_for_leg = outputs.contains(&Output::Deliver);
        outputs.clear();
        self.outputs = outputs;
        self.tidy_server(server);
        is_for_leg
    }

    /// A timer of a server transaction is due: its machine's, or that of a 2xx without ACK.
    pub(super) fn wake_server(&mut self, now: Tick, server: u64) {
        let Some(entry) = self.servers.arena.get_mut(server) else { return };
        let leg = entry.leg;
        if let Some(mut answer) = entry.answer.take_if(|answer| answer.next_deadline().0 <= now) {
            let mut is_missing = false;
            self.drive(now, server, false, |_, out| {
                answer.handle_timeout(now, out);
                is_missing = out.contains(&Output::TimedOut);
                out.retain(|output| *output != Output::TimedOut);
            });
            if is_missing {
                self.counters.unacknowledged_answers += 1;
                self.tell(leg, |session, _, out| session.handle_ack_missing(server, out));
            } else if let Some(entry) = self.servers.arena.get_mut(server) {
                entry.answer = Some(answer);
            }
        }
        self.drive(now, server, false, |machine, out| machine.handle_timeout(now, out));
    }

    /// Gives a machine an input and does what it says. `is_first` tells a first sending from a repetition.
    fn drive(
        &mut self,
        now: Tick,
        server: u64,
        is_first: bool,
        input: impl FnOnce(&mut Machine, &mut Vec<Output>),
    ) {
        let Some(entry) = self.servers.arena.get_mut(server) else { return };
        let mut outputs = std::mem::take(&mut self.outputs);
        input(&mut entry.machine, &mut outputs);
        for output in outputs.drain(..) {
            match output {
                Output::Send(bytes) => self.send_response(now, server, bytes, is_first),
                Output::TimedOut => self.counters.unacknowledged_refusals += 1,
                Output::Deliver | Output::Broken => {}
            }
        }
        self.outputs = outputs;
        self.tidy_server(server);
    }

    /// Sends a response the way its request came; over a new connection when that one is gone (RFC 3261 §18.2.2).
    fn send_response(&mut self, now: Tick, server: u64, bytes: Bytes, is_first: bool) {
        match is_first {
            true => self.counters.responses_sent += 1,
            false => self.counters.retransmissions_sent += 1,
        }
        let Some(Server { path, source, fallback, .. }) = self.servers.arena.get(server) else { return };
        let (path, profile, fallback) = (*path, source.profile, *fallback);
        if self.try_transmit(now, path, bytes.clone()) {
            return;
        }
        let Some(connection) = self.connection_to(now, profile, fallback, None) else {
            self.counters.undeliverable += 1;
            return;
        };
        if let Some(entry) = self.servers.arena.get_mut(server) {
            entry.path = Path::Stream(connection);
        }
        self.transmit(now, Path::Stream(connection), bytes);
    }

    /// Sets a transaction's timer anew, or forgets it when it is over.
    fn tidy_server(&mut self, server: u64) {
        let Some(entry) = self.servers.arena.get_mut(server) else { return };
        let answer = entry.answer.as_ref().map(Answer::next_deadline);
        let deadline = entry.machine.next_deadline().into_iter().chain(answer).min();
        self.timers.arm(Owner::Server(server), &mut entry.armed, deadline);
        if !entry.machine.is_over() || entry.answer.is_some() {
            return;
        }
        let Some(entry) = self.servers.arena.remove(server) else { return };
        self.servers.by_key.remove(&entry.key);
        if let Some(identity) = &entry.identity {
            self.servers.by_identity.remove(identity);
        }
        if let Some(profile) = self.profiles.get_mut(entry.source.profile) {
            profile.transactions = profile.transactions.saturating_sub(1);
        }
    }
}

impl Machine {
    fn respond(&mut self, now: Tick, status: u16, bytes: Bytes, out: &mut Vec<Output>) {
        match self {
            Machine::Invite(machine) => machine.respond(now, status, bytes, out),
            Machine::NonInvite(machine) => machine.respond(now, status, bytes, out),
        }
    }

    fn handle_retransmission(&mut self, out: &mut Vec<Output>) {
        match self {
            Machine::Invite(machine) => machine.handle_retransmission(out),
            Machine::NonInvite(machine) => machine.handle_retransmission(out),
        }
    }

    fn handle_timeout(&mut self, now: Tick, out: &mut Vec<Output>) {
        match self {
            Machine::Invite(machine) => machine.handle_timeout(now, out),
            Machine::NonInvite(machine) => machine.handle_timeout(now),
        }
    }

    fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        match self {
            Machine::Invite(machine) => machine.next_deadline(),
            Machine::NonInvite(machine) => machine.next_deadline(),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Machine::Invite(machine) => machine.is_over(),
            Machine::NonInvite(machine) => machine.is_over(),
        }
    }
}

/// Where responses go that cannot go back by the stream they belong to: the source's address, sent-by's port.
fn fallback_of(source: Source, via: &Via<'_>) -> SocketAddr {
    SocketAddr::new(source.address.ip(), via.port.unwrap_or(PORT))
}

/// Where the responses to a request go (RFC 3261 §18.2.2, RFC 3581 §4): never anywhere but to the host it came from.
pub(super) fn reply_path(source: Source, via: Option<&Via<'_>>) -> Option<Path> {
    match (source.connection, source.listener) {
        (Some(connection), _) => Some(Path::Stream(connection)),
        (None, Some(listener)) => {
            let asked = via.filter(|via| !via.wants_rport()).map(|via| via.port.unwrap_or(PORT));
            let port = asked.unwrap_or(source.address.port());
            Some(Path::Datagram { listener, destination: SocketAddr::new(source.address.ip(), port) })
        }
        (None, None) => None,
    }
}
