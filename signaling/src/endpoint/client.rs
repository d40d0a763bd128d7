//! Client transactions of an endpoint: what carries our requests, and what their answers set off.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use clock::Tick;

use super::arena::Arena;
use super::compose;
use super::errand::{Errand, Kind, Route};
use super::event::FailureOrigin;
use super::ids::{ConnectionId, LegId, ProfileId};
use super::settings::TCP_REFUSED_MS;
use super::target::PORT;
use super::timers::{Armed, Owner};
use super::{Affinity, Endpoint, Path, Work};
use crate::dialog::Dialog;
use crate::message::Message;
use crate::random::Token;
use crate::session::{Draft, Final, Headers, Purpose};
use crate::transaction::{Carriage, Class, ClientInvite, ClientNonInvite, Output};
use crate::{Method, Via};

/// Destinations remembered for having refused TCP.
const TCP_REFUSED_MAX: usize = 1_024;

/// All client transactions.
#[derive(Debug)]
pub(super) struct Clients {
    arena: Arena<Client>,
    by_branch: HashMap<(Token, Branch), u64>,
    /// Those that nobody has answered, by the path that may turn out broken.
    unanswered: BTreeSet<(Path, u64)>,
    tcp_refused: BTreeMap<SocketAddr, Tick>,
}

/// A CANCEL has the branch of its INVITE; all else differ by branch alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Branch {
    Cancel,
    Request,
}

/// One client transaction.
#[derive(Debug)]
struct Client {
    machine: Machine,
    cargo: Cargo,
    /// The ACKs to its 2xx, one for each fork.
    acks: Vec<SentAck>,
    armed: Armed,
}

/// What a client transaction carries, and which way.
#[derive(Debug)]
pub(super) struct Cargo {
    pub(super) profile: ProfileId,
    pub(super) leg: Option<LegId>,
    pub(super) purpose: Purpose,
    pub(super) branch: (Token, Branch),
    pub(super) call_id: Arc<str>,
    pub(super) path: Path,
    /// The peer's address, for a second connection.
    pub(super) address: SocketAddr,
    pub(super) via: String,
    /// What was sent; it goes to the session with the final answer.
    pub(super) draft: Option<Box<Draft>>,
    pub(super) affinity: Option<Affinity>,
    /// Where to go when this way turns out broken.
    pub(super) rest: Route,
    /// It has been sent again on a new connection.
    pub(super) is_resent: bool,
}

#[derive(Debug)]
enum Machine {
    Invite(ClientInvite),
    NonInvite(ClientNonInvite),
}

#[derive(Debug)]
struct SentAck {
    remote_tag: Box<str>,
    path: Path,
    bytes: Bytes,
}

impl Clients {
    /// No transactions.
    pub(super) fn new() -> Clients {
        Clients {
            arena: Arena::new(),
            by_branch: HashMap::new(),
            unanswered: BTreeSet::new(),
            tcp_refused: BTreeMap::new(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.arena.len()
    }

    /// Whether no index leads to transactions that are gone.
    pub(super) fn is_consistent(&self) -> bool {
        let leads = |(_, key): &(Path, u64)| self.arena.get(*key).is_some();
        self.by_branch.len() == self.arena.len() && self.unanswered.iter().all(leads)
    }

    /// Whether a destination has refused TCP lately.
    pub(super) fn refuses_tcp(&self, now: Tick, address: SocketAddr) -> bool {
        self.tcp_refused.get(&address).is_some_and(|until| now < *until)
    }

    /// The transaction that a response belongs to (RFC 3261 §17.1.3).
    fn find(&self, response: &Message) -> Option<u64> {
        let branch = response.top_via().branch()?;
        let token = Token::parse(branch.get(crate::via::BRANCH_COOKIE.len()..)?)?;
        let kind = if *response.method() == Method::Cancel { Branch::Cancel } else { Branch::Request };
        let key = *self.by_branch.get(&(token, kind))?;
        let client = self.arena.get(key)?;
        let is_invite = *response.method() == Method::Invite;
        let is_same = matches!(client.machine, Machine::Invite(_)) == is_invite
            && *client.cargo.call_id == *response.call_id()
            && is_sent_by(&response.top_via(), &client.cargo.via);
        is_same.then_some(key)
    }

    /// Those that wait on a path without an answer.
    fn waiting_on(&self, path: Path) -> Vec<u64> {
        self.unanswered.range((path, 0)..=(path, u64::MAX)).map(|(_, key)| *key).collect()
    }

    fn note_tcp_refused(&mut self, now: Tick, address: SocketAddr) {
        self.tcp_refused.retain(|_, until| now < *until);
        if self.tcp_refused.len() < TCP_REFUSED_MAX {
            self.tcp_refused.insert(address, now + Duration::from_millis(TCP_REFUSED_MS));
        }
    }

    /// Keeps the ACK to a fork's 2xx for its copies, as long as the INVITE's transaction hears of them.
    pub(super) fn keep_ack(&mut self, invite: u64, remote_tag: &str, path: Path, bytes: Bytes) {
        if let Some(client) = self.arena.get_mut(invite) {
            client.acks.push(SentAck { remote_tag: remote_tag.into(), path, bytes });
        }
    }
}

impl Endpoint {
    /// Begins a client transaction.
    pub(super) fn begin(&mut self, now: Tick, cargo: Cargo, method: &Method, bytes: Bytes) -> u64 {
        let carriage = cargo.path.carriage();
        let timing = self.profiles.get(cargo.profile).map(|profile| profile.timing).unwrap_or_default();
        let mut outputs = std::mem::take(&mut self.outputs);
        let machine = match method {
            Method::Invite => {
                Machine::Invite(ClientInvite::start(now, bytes, carriage, timing, &mut outputs))
            }
            _ => Machine::NonInvite(ClientNonInvite::start(now, bytes, carriage, timing, &mut outputs)),
        };
        let (path, branch, profile) = (cargo.path, cargo.branch, cargo.profile);
        let client = Client { machine, cargo, acks: Vec::new(), armed: Armed::default() };
        let key = self.clients.arena.insert(client);
        self.clients.by_branch.insert(branch, key);
        self.clients.unanswered.insert((path, key));
        if let Some(profile) = self.profiles.get_mut(profile) {
            profile.transactions += 1;
        }
        self.counters.requests_sent += 1;
        for output in outputs.drain(..) {
            if let Output::Send(bytes) = output {
                self.transmit(now, path, bytes);
            }
        }
        self.outputs = outputs;
        self.tidy_client(key);
        key
    }

    /// A response has come.
    pub(super) fn handle_response(&mut self, now: Tick, response: Message) {
        let key = self.clients.find(&response);
        let Some((key, client)) = key.and_then(|key| Some((key, self.clients.arena.get_mut(key)?))) else {
            self.counters.stray_responses += 1;
            return;
        };
        let path = client.cargo.path;
        self.clients.unanswered.remove(&(path, key));
        let mut outputs = std::mem::take(&mut self.outputs);
        match &mut client.machine {
            Machine::Invite(machine) => {
                let Cargo { draft, via, .. } = &client.cargo;
                let ack = || {
                    let draft = draft.as_deref();
                    draft.map(|draft| compose::ack_refusal(draft, via, &response)).unwrap_or_default()
                };
                machine.handle_response(now, response.status(), ack, &mut outputs);
            }
            Machine::NonInvite(machine) => machine.handle_response(now, response.status(), &mut outputs),
        }
        let is_wanted = outputs.contains(&Output::Deliver);
        for output in outputs.drain(..) {
            if let Output::Send(bytes) = output {
                self.transmit_again(now, path, bytes);
            }
        }
        self.outputs = outputs;
        if is_wanted {
            self.deliver(now, key, response);
        }
        self.tidy_client(key);
    }

    /// A timer of a client transaction is due.
    pub(super) fn wake_client(&mut self, now: Tick, key: u64) {
        let Some(client) = self.clients.arena.get_mut(key) else { return };
        let mut outputs = std::mem::take(&mut self.outputs);
        match &mut client.machine {
            Machine::Invite(machine) => machine.handle_timeout(now, &mut outputs),
            Machine::NonInvite(machine) => machine.handle_timeout(now, &mut outputs),
        }
        let Cargo { path, leg, purpose, .. } = client.cargo;
        for output in outputs.drain(..) {
            match output {
                Output::Send(bytes) => self.transmit_again(now, path, bytes),
                Output::TimedOut => {
                    self.counters.client_timeouts += 1;
                    self.lose(leg, purpose, FailureOrigin::Timeout);
                }
                Output::Deliver | Output::Broken => {}
            }
        }
        self.outputs = outputs;
        self.tidy_client(key);
    }

    /// A path has turned out broken: what nobody has answered on it is tried elsewhere, or has failed.
    pub(super) fn break_path(&mut self, now: Tick, path: Path) {
        for key in self.clients.waiting_on(path) {
            self.fail_over(now, key);
        }
    }

    /// A connection that was up is gone. What nobody has answered on it is sent again on a new one, once: it may
    /// just have been closed for idleness (faults.md N8).
    pub(super) fn resume_elsewhere(&mut self, now: Tick, gone: ConnectionId) {
        for key in self.clients.waiting_on(Path::Stream(gone)) {
            let resumed = self.resume(now, key, gone);
            if resumed.is_none() {
                self.fail_over(now, key);
            }
        }
    }

    /// Sends the CANCEL for the INVITE in that transaction, the same way and with the same branch.
    pub(super) fn cancel_client(&mut self, now: Tick, key: u64, headers: &Headers) {
        let Some(client) = self.clients.arena.get(key) else { return };
        let Cargo { profile, path, address, ref via, ref call_id, branch: (token, _), .. } = client.cargo;
        let Some(draft) = client.cargo.draft.as_deref() else { return };
        let bytes = compose::cancel(draft, via, headers, &mut self.counters.headers_left_out);
        let cargo = Cargo {
            profile,
            leg: None,
            purpose: Purpose::Unowned,
            branch: (token, Branch::Cancel),
            call_id: call_id.clone(),
            path,
            address,
            via: via.clone(),
            draft: None,
            affinity: None,
            rest: Route::default(),
            is_resent: false,
        };
        self.begin(now, cargo, &Method::Cancel, bytes);
    }

    /// Forgets a transaction whose answer will not come.
    pub(super) fn abandon_client(&mut self, key: u64) {
        if let Some(Client { machine: Machine::Invite(machine), .. }) = self.clients.arena.get_mut(key) {
            machine.abandon();
        }
        self.tidy_client(key);
    }

    /// Nobody waits for the answer to that re-INVITE any more.
    pub(super) fn orphan_client(&mut self, now: Tick, key: u64) {
        if let Some(Client { machine: Machine::Invite(machine), .. }) = self.clients.arena.get_mut(key) {
            machine.orphan(now);
        }
        self.tidy_client(key);
    }

    /// Gives a response to the session that waits for it, or does what is right when none does.
    fn deliver(&mut self, now: Tick, key: u64, response: Message) {
        let Some(client) = self.clients.arena.get_mut(key) else { return };
        let (leg, purpose) =
            (client.cargo.leg.filter(|leg| self.legs.get(leg.0).is_some()), client.cargo.purpose);
        let is_invite = matches!(client.machine, Machine::Invite(_));
        match Class::of(response.status()) {
            Class::Provisional => {
                // The draft stays here until the final answer; the session looks at it only.
                let Some(leg) = leg else { return };
                let Some(draft) = client.cargo.draft.take() else { return };
                self.tell(leg, |session, _, out| {
                    session.handle_provisional(now, purpose, &draft, response, out);
                });
                if let Some(client) = self.clients.arena.get_mut(key) {
                    client.cargo.draft = Some(draft);
                }
            }
            Class::Success if is_invite => self.deliver_answer(now, key, leg, response),
            Class::Success | Class::Failure => {
                if let Some((leg, draft)) = leg.zip(client.cargo.draft.take()) {
                    self.tell(leg, |session, random, out| {
                        session.handle_final(
                            now,
                            Final { purpose, client: key, draft, response },
                            random,
                            out,
                        );
                    });
                }
            }
        }
    }

    /// A 2xx to an INVITE: the first, a copy, or one of another fork (RFC 3261 §13.2.2.4).
    fn deliver_answer(&mut self, now: Tick, key: u64, leg: Option<LegId>, response: Message) {
        let Some(client) = self.clients.arena.get_mut(key) else { return };
        let (purpose, profile) = (client.cargo.purpose, client.cargo.profile);
        let remote_tag = response.to().tag().unwrap_or("").to_string();
        if let Some(ack) = client.acks.iter().find(|ack| *ack.remote_tag == *remote_tag) {
            let (path, bytes) = (ack.path, ack.bytes.clone());
            return self.transmit_again(now, path, bytes);
        }
        let draft = client.cargo.draft.take();
        match (leg, draft) {
            (Some(leg), Some(draft)) => {
                self.tell(leg, |session, random, out| {
                    session.handle_final(now, Final { purpose, client: key, draft, response }, random, out);
                });
            }
            (Some(leg), None) if self.waits_for_owner(leg, key, &remote_tag) => {}
            (None, Some(draft)) if purpose != Purpose::Invite => {
                // A re-INVITE of a leg that has ended meanwhile: the peer has our BYE, and gets its ACK.
                let ack = Draft { to: response_to(&response), ..draft.orphan_ack() };
                self.run(now, profile, Kind::Ack { invite: key }, ack);
            }
            (_, None) if purpose != Purpose::Invite => {}
            (_, draft) => self.end_fork(now, key, profile, draft, &response),
        }
    }

    /// Another fork has answered, or one that nobody waits for any more: it gets ACK and BYE.
    fn end_fork(
        &mut self,
        now: Tick,
        key: u64,
        profile: ProfileId,
        draft: Option<Box<Draft>>,
        response: &Message,
    ) {
        let from = response.from();
        let Some(local_tag) = from.tag().and_then(Token::parse) else { return };
        self.counters.forks_ended += 1;
        let local = response.header(crate::HeaderName::From).unwrap_or("");
        let mut dialog = Dialog::from_response(response, local_tag, local, response.to().uri.as_str());
        let authorization = draft.and_then(|draft| draft.authorization);
        let ack = Draft { authorization, ..dialog.ack(response.cseq().0) };
        let bye = dialog.request(Method::Bye);
        self.run(now, profile, Kind::Ack { invite: key }, ack);
        self.run(now, profile, Kind::Transaction(Purpose::Unowned), bye);
    }

    /// Sets out with a request that belongs to no leg.
    fn run(&mut self, now: Tick, profile: ProfileId, kind: Kind, draft: Draft) {
        self.set_out(now, Errand { profile, leg: None, kind, draft: Box::new(draft), affinity: None });
    }

    fn waits_for_owner(&self, leg: LegId, client: u64, remote_tag: &str) -> bool {
        self.legs.get(leg.0).is_some_and(|leg| leg.session.waits_for_owner(client, remote_tag))
    }

    /// Takes a transaction off its broken path and tries the next address or transport.
    fn fail_over(&mut self, now: Tick, key: u64) {
        let Some(client) = self.clients.arena.get_mut(key) else { return };
        let mut outputs = std::mem::take(&mut self.outputs);
        match &mut client.machine {
            Machine::Invite(machine) => machine.handle_transport_error(&mut outputs),
            Machine::NonInvite(machine) => machine.handle_transport_error(&mut outputs),
        }
        let is_broken = outputs.contains(&Output::Broken);
        outputs.clear();
        self.outputs = outputs;
        let cargo = &mut client.cargo;
        let (leg, purpose, profile) = (cargo.leg, cargo.purpose, cargo.profile);
        let (draft, affinity, rest) = (cargo.draft.take(), cargo.affinity, std::mem::take(&mut cargo.rest));
        if rest.is_second_transport() {
            let address = cargo.address;
            self.clients.note_tcp_refused(now, address);
        }
        self.tidy_client(key);
        let session = leg.and_then(|leg| self.legs.get(leg.0)).map(|leg| &leg.session);
        // Only a BYE is still to be delivered for somebody who has hung up.
        let is_wanted =
            leg.is_none() || session.is_some_and(|session| purpose == Purpose::Bye || session.is_wanted());
        match draft {
            Some(draft) if is_broken && is_wanted && !rest.is_empty() => {
                self.counters.failovers += 1;
                let kind = Kind::Transaction(purpose);
                self.advance(now, Errand { profile, leg, kind, draft, affinity }, rest);
            }
            _ if is_broken => self.lose(leg, purpose, FailureOrigin::Transport),
            _ => {}
        }
    }

    /// Sends an unanswered request again on a new connection; `None` when that is not possible (any more).
    fn resume(&mut self, now: Tick, key: u64, gone: ConnectionId) -> Option<()> {
        let client = self.clients.arena.get_mut(key).filter(|client| !client.cargo.is_resent)?;
        client.cargo.is_resent = true;
        let Cargo { profile, address, .. } = client.cargo;
        let bytes = match &client.machine {
            Machine::Invite(machine) => machine.unanswered().cloned()?,
            Machine::NonInvite(machine) => machine.unanswered().cloned()?,
        };
        let path = Path::Stream(self.connection_to(now, profile, address, None)?);
        self.clients.unanswered.remove(&(Path::Stream(gone), key));
        self.clients.unanswered.insert((path, key));
        self.clients.arena.get_mut(key)?.cargo.path = path;
        self.transmit_again(now, path, bytes);
        Some(())
    }

    /// Tells a leg that a request of its came to nothing.
    pub(super) fn lose(&mut self, leg: Option<LegId>, purpose: Purpose, origin: FailureOrigin) {
        if let Some(leg) = leg {
            self.work.push_back((leg, Work::Lost { purpose, origin }));
        }
    }

    /// Sets a transaction's timer anew, or forgets it when it is over.
    fn tidy_client(&mut self, key: u64) {
        let Some(client) = self.clients.arena.get_mut(key) else { return };
        let (deadline, is_over) = match &client.machine {
            Machine::Invite(machine) => (machine.next_deadline(), machine.is_over()),
            Machine::NonInvite(machine) => (machine.next_deadline(), machine.is_over()),
        };
        self.timers.arm(Owner::Client(key), &mut client.armed, deadline);
        if !is_over {
            return;
        }
        let Cargo { branch, path, profile, .. } = client.cargo;
        self.clients.arena.remove(key);
        self.clients.by_branch.remove(&branch);
        self.clients.unanswered.remove(&(path, key));
        if let Some(profile) = self.profiles.get_mut(profile) {
            profile.transactions = profile.transactions.saturating_sub(1);
        }
    }
}

impl Path {
    fn carriage(self) -> Carriage {
        match self {
            Path::Datagram { .. } => Carriage::Unreliable,
            Path::Stream(_) => Carriage::Reliable,
        }
    }
}

/// Whether a response's topmost Via is the one that we wrote (RFC 3261 §18.1.2).
fn is_sent_by(via: &Via<'_>, ours: &str) -> bool {
    let port = |via: &Via<'_>| via.port.unwrap_or(PORT);
    Via::parse(ours).is_ok_and(|ours| {
        ours.host.as_str().eq_ignore_ascii_case(via.host.as_str()) && port(&ours) == port(via)
    })
}

fn response_to(response: &Message) -> String {
    response.header(crate::HeaderName::To).unwrap_or("").to_string()
}
