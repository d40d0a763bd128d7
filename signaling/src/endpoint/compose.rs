//! Writes our requests and responses. Which headers stand in them, and in which order, is decided here.

use std::net::SocketAddr;

use bytes::Bytes;

use super::call::Reply;
use super::ids::Transport;
use super::profile::Profile;
use super::settings::ListenerSettings;
use crate::builder::Builder;
use crate::message::Message;
use crate::random::Token;
use crate::session::{Draft, Headers};
use crate::via::BRANCH_COOKIE;
use crate::{HeaderName, Method, status};

/// Longest request that goes by UDP when a stream could carry it (RFC 3261 §18.1.1 for an unknown path MTU).
pub(super) const UDP_REQUEST_BYTES_MAX: usize = 1_300;

/// What a 415 tells of bodies that we read.
const ACCEPT: &str = "application/sdp, multipart/mixed";

/// Who we are to one peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Contact {
    pub(super) user: String,
    /// Further URI parameters with their semicolons.
    pub(super) params: String,
}

impl Contact {
    /// The URI under which `listener` reaches us; `transport` is named where it is not SIP's default.
    pub(super) fn uri(&self, listener: &ListenerSettings, transport: Transport) -> String {
        let transport = match transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
        };
        let Contact { user, params } = self;
        let user = crate::uri::encode_user(user);
        let at = if user.is_empty() { "" } else { "@" };
        format!("sip:{user}{at}{}{transport}{params}", listener.advertised)
    }
}

/// Our Via of a request that leaves by `listener`.
pub(super) fn via(listener: &ListenerSettings, transport: Transport, branch: Token) -> String {
    format!("SIP/2.0/{} {};rport;branch={BRANCH_COOKIE}{branch}", transport.via_name(), listener.advertised)
}

/// A request with its Via; `left_out` counts headers that the owner may not set.
pub(super) fn request(
    profile: &Profile,
    draft: &Draft,
    via: &str,
    contact: Option<&str>,
    left_out: &mut u64,
) -> Bytes {
    let is_ack = draft.method == Method::Ack;
    let mut builder = head(draft, &draft.method, via, draft.max_forwards);
    if let Some(contact) = contact {
        builder = builder.header(HeaderName::Contact, &format!("<{contact}>"));
    }
    if tells_abilities(&draft.method) {
        builder = abilities(builder, profile, &draft.headers);
    }
    if !is_ack {
        builder = identify(builder, HeaderName::UserAgent, profile, &draft.headers);
    }
    if let Some((name, value)) = &draft.authorization {
        builder = builder.header(*name, value);
    }
    builder = extra(builder, &draft.headers, |name| is_ours(name) || name == HeaderName::Contact, left_out);
    if let Some(body) = &draft.body {
        builder = builder.body(&body.content_type, body.bytes.clone());
    }
    builder.finish()
}

/// The CANCEL for an INVITE: its Request-URI, its way, its identity (RFC 3261 §9.1).
pub(super) fn cancel(draft: &Draft, via: &str, headers: &Headers, left_out: &mut u64) -> Bytes {
    let builder = head(draft, &Method::Cancel, via, crate::session::draft::MAX_FORWARDS);
    extra(builder, headers, |name| is_ours(name) || name == HeaderName::Contact, left_out).finish()
}

/// The ACK for a refusal: as the INVITE, but with the To of the response (RFC 3261 §17.1.1.3).
pub(super) fn ack_refusal(draft: &Draft, via: &str, response: &Message) -> Bytes {
    let to = response.header(HeaderName::To).unwrap_or(&draft.to).to_string();
    let mut builder = Builder::request(&Method::Ack, &draft.request_uri).header(HeaderName::Via, via);
    builder = builder.each(HeaderName::Route, draft.routes.iter().map(String::as_str));
    builder
        .header(HeaderName::MaxForwards, &crate::session::draft::MAX_FORWARDS.to_string())
        .header(HeaderName::From, &draft.from)
        .header(HeaderName::To, &to)
        .header(HeaderName::CallId, &draft.call_id)
        .header(HeaderName::CSeq, &format!("{} ACK", draft.cseq))
        .finish()
}

/// 100 Trying (RFC 3261 §8.2.6.1).
pub(super) fn trying(request: &Message, source: SocketAddr) -> Bytes {
    Builder::answer(request, 100, status::phrase(100), "", source)
        .header_opt(HeaderName::Timestamp, request.header(HeaderName::Timestamp))
        .finish()
}

/// A response of a leg, or of the endpoint itself.
pub(super) fn response(
    profile: &Profile,
    request: &Message,
    reply: &Reply,
    (to_tag, contact): (&str, Option<&str>),
    source: SocketAddr,
    left_out: &mut u64,
) -> Bytes {
    let phrase = reply.phrase.as_deref().unwrap_or_else(|| status::phrase(reply.status));
    let mut builder = Builder::answer(request, reply.status, phrase, to_tag, source);
    let establishes = matches!(reply.status, 101..=299) && *request.method() == Method::Invite;
    if establishes && request.to().tag().is_none() {
        builder = builder.each(HeaderName::RecordRoute, request.record_routes());
    }
    let refreshes = matches!(reply.status, 200..=299) && *request.method() == Method::Update;
    let wants_contact = establishes || refreshes;
    if let Some(contact) = contact.filter(|_| wants_contact) {
        builder = builder.header(HeaderName::Contact, &format!("<{contact}>"));
    }
    if matches!(reply.status, 200..=299) && tells_abilities(request.method()) {
        builder = abilities(builder, profile, &reply.headers);
    }
    builder = identify(builder, HeaderName::Server, profile, &reply.headers);
    let is_redirect = matches!(reply.status, 300..=399);
    let keep_out = |name| is_ours(name) || (name == HeaderName::Contact && !is_redirect);
    builder = extra(builder, &reply.headers, keep_out, left_out);
    if let Some(body) = &reply.body {
        builder = builder.body(&body.content_type, body.bytes.clone());
    }
    builder.finish()
}

/// The answer to OPTIONS outside a call (RFC 3261 §11.2).
pub(super) fn options_reply() -> Reply {
    Reply::new(200).with_header("Accept", ACCEPT)
}

/// The answer to a body that we cannot read (RFC 3261 §8.2.3).
pub(super) fn unsupported_media_reply() -> Reply {
    Reply::new(415).with_header("Accept", ACCEPT).with_header("Accept-Encoding", "identity")
}

fn head(draft: &Draft, method: &Method, via: &str, max_forwards: u8) -> Builder {
    Builder::request(method, &draft.request_uri)
        .header(HeaderName::Via, via)
        .each(HeaderName::Route, draft.routes.iter().map(String::as_str))
        .header(HeaderName::MaxForwards, &max_forwards.to_string())
        .header(HeaderName::From, &draft.from)
        .header(HeaderName::To, &draft.to)
        .header(HeaderName::CallId, &draft.call_id)
        .header(HeaderName::CSeq, &format!("{} {method}", draft.cseq))
}

/// Requests, and 2xx to them, that say what we can do.
fn tells_abilities(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Options)
}

/// Requests that tell the peer where ours is (RFC 3261 §12.1.1, RFC 3311 §5.1, RFC 3515 §2.2, RFC 6665 §3).
pub(super) fn wants_contact(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Refer | Method::Notify | Method::Subscribe)
}

fn abilities(builder: Builder, profile: &Profile, headers: &Headers) -> Builder {
    let pairs = [(HeaderName::Allow, &profile.allow), (HeaderName::Supported, &profile.supported)];
    pairs.into_iter().fold(builder, |builder, (name, value)| {
        if value.is_empty() || has(headers, name) { builder } else { builder.header(name, value) }
    })
}

fn identify(builder: Builder, name: HeaderName, profile: &Profile, headers: &Headers) -> Builder {
    let value = profile.settings.user_agent.as_deref().filter(|_| !has(headers, name));
    builder.header_opt(name, value)
}

fn has(headers: &Headers, name: HeaderName) -> bool {
    headers.iter().any(|(known, _)| HeaderName::parse(known) == name)
}

fn extra(
    builder: Builder,
    headers: &Headers,
    keep_out: impl Fn(HeaderName) -> bool,
    left_out: &mut u64,
) -> Builder {
    headers.iter().fold(builder, |builder, (name, value)| {
        if keep_out(HeaderName::parse(name)) {
            *left_out += 1;
            return builder;
        }
        builder.header(name, value)
    })
}

/// Headers that only the endpoint writes: an owner who could set them could break dialogs or smuggle a body.
fn is_ours(name: HeaderName) -> bool {
    matches!(
        name,
        HeaderName::Via
            | HeaderName::From
            | HeaderName::To
            | HeaderName::CallId
            | HeaderName::CSeq
            | HeaderName::Route
            | HeaderName::RecordRoute
            | HeaderName::MaxForwards
            | HeaderName::ContentLength
            | HeaderName::ContentType
    )
}
