//! What came in: told apart, judged, and given to the transaction, the leg or nobody.
//!
//! ```text
//!   octets ─▶ rate ─▶ parse ─▶ response ─▶ client transaction
//!                       └─▶ request ─▶ known transaction: a copy, its ACK, its CANCEL
//!                                  ├─▶ To has a tag: a leg's dialog, else 481
//!                                  ├─▶ INVITE: judged, then a new leg
//!                                  └─▶ else: answered here and forgotten
//! ```
//!
//! What is answered and forgotten leaves no state behind, so that a flood costs nothing but itself (faults.md O1,
//! A15): its To tag is a keyed hash of the request, the same for each copy (RFC 3261 §8.2.7).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use bytes::Bytes;
use clock::Tick;

use super::call::Reply;
use super::compose;
use super::ids::{LegId, ListenerId, Source, Transport};
use super::server::{key_of, reply_path};
use super::{Affinity, Endpoint, Leg};
use crate::dialog::contact_of;
use crate::message::Message;
use crate::random::Token;
use crate::session::Session;
use crate::{HeaderName, Method, Scheme};

/// What a caller is told who meets a limit, in seconds (sip.md §3).
const RETRY_AFTER_S: &str = "300";

impl Endpoint {
    /// Octets of one message have come.
    pub(super) fn receive(&mut self, now: Tick, source: Source, bytes: Bytes) {
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            self.counters.keep_alives += 1;
            return;
        }
        let is_response = bytes.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
        let profile = self.profiles.get_mut(source.profile);
        if !is_response && !profile.is_some_and(|profile| profile.admit(now)) {
            self.counters.rate_limited += 1;
            return;
        }
        match Message::parse(bytes) {
            Ok(message) if message.is_request() => {
                self.counters.requests_received += 1;
                self.handle_request(now, source, message);
            }
            Ok(message) => {
                self.counters.responses_received += 1;
                self.handle_response(now, message);
            }
            Err(error) => {
                self.counters.malformed += 1;
                let tag = self.passing_tag(&error.salvage().and_then(|salvage| salvage.call_id.as_deref()));
                let path = reply_path(source, error.top_via().as_ref());
                if let (Some(answer), Some(path)) = (error.answer(source.address, &tag), path) {
                    self.counters.malformed_answered += 1;
                    self.transmit(now, path, answer);
                }
            }
        }
    }

    fn handle_request(&mut self, now: Tick, source: Source, request: Message) {
        let key = key_of(&request);
        match (self.servers.find(&key), request.method()) {
            (Some(server), Method::Ack) => {
                if self.handle_server_ack(now, server) {
                    self.handle_ack(request);
                }
            }
            (Some(server), Method::Cancel) => self.handle_cancel(now, source, server, request),
            (Some(server), _) => self.handle_retransmission(now, server),
            (None, Method::Ack) => self.handle_ack(request),
            (None, Method::Cancel) => self.refuse_unknown_dialog(now, source, &request),
            (None, _) if request.to().tag().is_some() => {
                self.handle_inside_request(now, source, key, request);
            }
            (None, Method::Invite) => self.handle_new_invite(now, source, key, request),
            (None, _) => self.handle_passing_request(now, source, &request),
        }
    }

    /// An ACK that no transaction keeps to itself.
    fn handle_ack(&mut self, request: Message) {
        let leg = self.leg_of(&request);
        let was_awaited =
            leg.and_then(|leg| self.tell(leg, |session, _, out| session.handle_ack(request, out)));
        if was_awaited != Some(true) {
            self.counters.stray_acks += 1;
        }
    }

    /// A CANCEL whose INVITE is known (RFC 3261 §9.2): 200 whether or not it comes in time.
    fn handle_cancel(&mut self, now: Tick, source: Source, server: u64, request: Message) {
        let Some(leg) = self.servers.leg(server) else { return };
        let tag = self.servers.tag(server).map(|tag| tag.to_string());
        let tag = tag.unwrap_or_else(|| self.passing_tag(&request.call_id()));
        self.answer_in_passing(now, source, &request, &Reply::new(200), &tag);
        self.tell(leg, |session, _, out| session.handle_cancel(server, request, out));
    }

    /// A request whose To has a tag.
    fn handle_inside_request(&mut self, now: Tick, source: Source, key: String, request: Message) {
        if matches!(request.method(), Method::Other(_)) {
            return self.refuse_method(now, source, &request);
        }
        let Some(leg) = self.leg_of(&request) else {
            return self.refuse_unknown_dialog(now, source, &request);
        };
        if self.profiles.get(source.profile).is_some_and(|profile| !profile.allows(request.method())) {
            return self.refuse_method(now, source, &request);
        }
        if let Some(reply) = self.unsupported(source, &request) {
            self.counters.unsupported_requests += 1;
            return self.answer_in_passing(now, source, &request, &reply, "");
        }
        if *request.method() != Method::Bye && self.is_full(source) {
            return self.answer_in_passing(now, source, &request, &busy(), "");
        }
        let Some(path) = reply_path(source, Some(&request.top_via())) else { return };
        let is_invite = *request.method() == Method::Invite;
        let server = self.serve((source, path), leg, key, request.clone());
        if is_invite {
            self.send_trying(now, server);
        }
        let refused =
            self.tell(leg, |session, random, out| session.handle_request(now, server, request, random, out));
        match refused.flatten() {
            Some(481) => self.counters.unknown_dialogs += 1,
            Some(_) => self.counters.refused_in_dialog += 1,
            None => {}
        }
    }

    /// An INVITE outside a dialog: what can be judged here is judged in RFC 3261 §8.2's order.
    fn handle_new_invite(&mut self, now: Tick, source: Source, key: String, request: Message) {
        let path = reply_path(source, Some(&request.top_via()));
        let refusal = self.refusal_of_invite(source, &request);
        let (None, Some(path)) = (&refusal, path) else {
            return self.answer_here(now, source, &request, &refusal.unwrap_or_else(busy));
        };
        let Some(profile) = self.profiles.get(source.profile) else { return };
        let timing = profile.timing;
        let contact = compose::Contact { user: profile.settings.contact_user.clone(), params: String::new() };
        let came_by = source.listener.and_then(|listener| profile.listener(listener));
        let identity = came_by.or_else(|| profile.stream_identity(source.address.ip().to_canonical()));
        let contact_uri = identity.map(|listener| contact.uri(listener, source.transport));
        let local_tag = self.random.token();
        let leg = LegId(self.legs.next_key());
        let server = self.serve((source, path), leg, key, request.clone());
        self.servers.set_tag(server, local_tag);
        let orders = &mut self.orders;
        let session = Session::called(leg, timing, local_tag, (server, source), request, orders);
        let affinity = Affinity {
            listener: source.listener.filter(|_| source.transport == Transport::Udp),
            connection: source.connection,
        };
        let mut entry = Leg::new(source.profile, contact, session);
        entry.contact_uri = contact_uri;
        entry.affinity = Some(affinity);
        self.legs.insert(entry);
        self.tags.insert(local_tag, leg);
        self.send_trying(now, server);
        self.tell(leg, |_, _, _| ());
    }

    /// Why an INVITE is not passed on to the owner.
    fn refusal_of_invite(&mut self, source: Source, request: &Message) -> Option<Reply> {
        if let Some(reply) = foreign_scheme(request) {
            self.counters.unsupported_requests += 1;
            return Some(reply);
        }
        if self.servers.is_merged(request) {
            self.counters.merged_requests += 1;
            return Some(Reply::new(482));
        }
        if request.max_forwards() == Some(0) {
            self.counters.too_many_hops += 1;
            return Some(Reply::new(483));
        }
        if let Some(reply) = self.unsupported(source, request) {
            self.counters.unsupported_requests += 1;
            return Some(reply);
        }
        if !has_contact(request) {
            self.counters.missing_contacts += 1;
            return Some(Reply {
                phrase: Some("Missing or Malformed Contact".to_string()),
                ..Reply::new(400)
            });
        }
        let profile = self.profiles.get(source.profile);
        let is_busy = profile.is_none_or(|profile| profile.is_retired || profile.is_busy());
        if is_busy || self.legs.len() >= self.limits.legs_max || self.is_full(source) {
            self.counters.invites_over_limit += 1;
            return Some(busy());
        }
        None
    }

    /// A request outside any dialog that begins none: answered and forgotten.
    fn handle_passing_request(&mut self, now: Tick, source: Source, request: &Message) {
        match request.method() {
            Method::Options => {
                let reply = match foreign_scheme(request).or_else(|| self.unsupported(source, request)) {
                    Some(reply) => {
                        self.counters.unsupported_requests += 1;
                        reply
                    }
                    None => compose::options_reply(),
                };
                self.answer_here(now, source, request, &reply);
            }
            Method::Bye | Method::Update | Method::Info | Method::Prack => {
                self.refuse_unknown_dialog(now, source, request);
            }
            _ => self.refuse_method(now, source, request),
        }
    }

    /// The answer to a request that needs what we cannot do: options (420), media types (415).
    fn unsupported(&self, source: Source, request: &Message) -> Option<Reply> {
        let supported = &self.profiles.get(source.profile)?.settings.supported;
        let is_known = |option: &&str| supported.iter().any(|known| known.eq_ignore_ascii_case(option));
        let unknown: Vec<&str> = request.require().filter(|option| !is_known(option)).collect();
        if !unknown.is_empty() {
            return Some(Reply::new(420).with_header("Unsupported", unknown.join(", ")));
        }
        let must_read = matches!(request.method(), Method::Invite | Method::Update);
        if must_read && !request.body().is_empty() && !is_readable(request) {
            return Some(compose::unsupported_media_reply());
        }
        None
    }

    /// 405 with Allow for a method that we know and do not take here, 489 for a subscription, 501 for one nobody knows.
    fn refuse_method(&mut self, now: Tick, source: Source, request: &Message) {
        self.counters.refused_methods += 1;
        let Some(profile) = self.profiles.get(source.profile) else { return };
        let status = match request.method() {
            Method::Other(_) => 501,
            Method::Subscribe => 489,
            _ => 405,
        };
        let reply = Reply::new(status).with_header("Allow", profile.allow_without(request.method()));
        self.answer_here(now, source, request, &reply);
    }

    fn refuse_unknown_dialog(&mut self, now: Tick, source: Source, request: &Message) {
        self.counters.unknown_dialogs += 1;
        self.answer_here(now, source, request, &Reply::new(481));
    }

    fn answer_here(&mut self, now: Tick, source: Source, request: &Message, reply: &Reply) {
        let tag = self.passing_tag(&(request.call_id(), request.top_via().branch(), request.cseq().0));
        self.answer_in_passing(now, source, request, reply, &tag);
    }

    /// Answers without a transaction.
    fn answer_in_passing(&mut self, now: Tick, source: Source, request: &Message, reply: &Reply, tag: &str) {
        let Some(path) = reply_path(source, Some(&request.top_via())) else { return };
        let Some(profile) = self.profiles.get(source.profile) else { return };
        let left_out = &mut self.counters.headers_left_out;
        let bytes = compose::response(profile, request, reply, (tag, None), source.address, left_out);
        self.counters.responses_sent += 1;
        self.transmit(now, path, bytes);
    }

    /// The leg that a request with our tag in To belongs to.
    fn leg_of(&self, request: &Message) -> Option<LegId> {
        let tag = Token::parse(request.to().tag()?)?;
        let leg = *self.tags.get(&tag)?;
        let session = &self.legs.get(leg.0)?.session;
        (session.call_id() == request.call_id()).then_some(leg)
    }

    /// A To tag for an answer that leaves no state.
    fn passing_tag(&self, identity: &impl Hash) -> String {
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        identity.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    fn is_full(&self, source: Source) -> bool {
        let max = self.limits.transactions_per_profile_max;
        self.profiles.get(source.profile).is_some_and(|profile| profile.transactions >= max)
    }

    /// Where a datagram came from.
    pub(super) fn datagram_source(&self, listener: ListenerId, address: SocketAddr) -> Option<Source> {
        let profile = self.profiles.of_listener(listener)?.id();
        let listener = Some(listener);
        Some(Source { profile, listener, connection: None, address, transport: Transport::Udp })
    }
}

fn busy() -> Reply {
    Reply::new(503).with_header("Retry-After", RETRY_AFTER_S)
}

/// The answer to a Request-URI of a scheme that nobody here dials (RFC 3261 §8.2.2.1).
fn foreign_scheme(request: &Message) -> Option<Reply> {
    request.uri().is_ok_and(|uri| uri.scheme == Scheme::Other).then(|| Reply::new(416))
}

/// Whether requests of ours could reach the sender of an INVITE. RFC 2543 knew calls without Contact, and its elements
/// give themselves away by their branch (RFC 4475 §3.4.1).
fn has_contact(request: &Message) -> bool {
    let is_old = !request.top_via().has_unique_branch() && request.contacts().next().is_none();
    is_old || contact_of(request).is_some()
}

/// Whether the owner can be expected to read the body: SDP or something with parts, and not encoded.
fn is_readable(request: &Message) -> bool {
    let encodings = request.header(HeaderName::ContentEncoding);
    if encodings.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return false;
    }
    let Some(media_type) = request.content_type() else { return false };
    let name = media_type.split(';').next().unwrap_or("").trim();
    name.eq_ignore_ascii_case("application/sdp")
        || name.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}
