//! What the owner of a leg hands to the endpoint.

use core::fmt;

use bytes::Bytes;

use super::ids::{ProfileId, Transport};

/// A body and its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Value of Content-Type.
    pub content_type: String,
    /// The octets.
    pub bytes: Bytes,
}

impl Body {
    /// An SDP body.
    pub fn sdp(bytes: impl Into<Bytes>) -> Body {
        Body { content_type: "application/sdp".to_string(), bytes: bytes.into() }
    }
}

/// Who we are to a peer that challenges us.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
    /// The realm that they belong to. A challenge of another realm is not answered (faults.md A1); `None` answers any
    /// and is for owners who trust the next hop.
    pub realm: Option<String>,
}

impl Account {
    /// Whether it may answer a challenge of `realm`.
    pub fn is_for(&self, realm: &str) -> bool {
        self.realm.as_ref().is_none_or(|own| own == realm)
    }
}

impl fmt::Debug for Account {
    /// Never shows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// A new call.
///
/// Headers that the endpoint writes itself (Via, From, To, Call-ID, CSeq, Contact, Route, Max-Forwards,
/// Content-Length …) are left out of `headers` when they stand there.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The profile that it leaves by.
    pub profile: ProfileId,
    /// The Request-URI.
    pub request_uri: String,
    /// Values of Route headers, first hop first. A first entry without `lr` is a strict router (RFC 3261 §12.2.1.1).
    pub route: Vec<String>,
    /// `host`, `host:port` or `host:port;transport=tcp`: where to send when neither Route nor Request-URI says it
    /// (FreeSWITCH's `fs_path`); a SIP URI serves, too.
    pub next_hop: Option<String>,
    /// The transport to use whatever the URI says.
    pub transport: Option<Transport>,
    /// Value of From, without a tag.
    pub from: String,
    /// Value of To.
    pub to: String,
    /// The Call-ID; `None` has one made.
    pub call_id: Option<String>,
    /// User part of Contact; `None` takes the profile's.
    pub contact_user: Option<String>,
    /// Further URI parameters of Contact, such as `;gw=NAME`; empty for none.
    pub contact_params: String,
    /// Value of Max-Forwards.
    pub max_forwards: u8,
    /// Further headers in their order.
    pub headers: Vec<(String, String)>,
    /// The offer, if it is made now.
    pub body: Option<Body>,
    /// Answers a 401 or 407 in this leg, once per request.
    pub credentials: Option<Account>,
}

impl Invite {
    /// A call with all that is optional left out.
    pub fn new(profile: ProfileId, request_uri: String, from: String, to: String) -> Invite {
        Invite {
            profile,
            request_uri,
            route: Vec::new(),
            next_hop: None,
            transport: None,
            from,
            to,
            call_id: None,
            contact_user: None,
            contact_params: String::new(),
            max_forwards: 70,
            headers: Vec::new(),
            body: None,
            credentials: None,
        }
    }
}

/// An answer to a request. The same headers as in [`Invite::headers`] are left out; a Contact is kept in a 3xx.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The reason phrase; `None` takes the standard one.
    pub phrase: Option<String>,
    /// Further headers in their order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Body>,
}

impl Reply {
    /// A bare status.
    pub fn new(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    /// The same with a body.
    pub fn with_body(mut self, body: Body) -> Reply {
        self.body = Some(body);
        self
    }

    /// The same with a header more.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// What [`Endpoint::hangup`](super::Endpoint::hangup) could do in the leg's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// A BYE left.
    SentBye,
    /// The caller has not yet acknowledged our 2xx; the BYE follows its ACK or the end of waiting (RFC 3261 §15).
    ByePending,
    /// A CANCEL left.
    SentCancel,
    /// No provisional response has come yet; the CANCEL follows the first one (RFC 3261 §9.1).
    CancelPending,
    /// The caller's INVITE had no final answer; it was refused with 480.
    Refused,
    /// There was nothing to end, or it is ending already.
    Nothing,
}

/// Why a call was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// No such profile: our bug or a reload that took it away.
    #[error("no such profile")]
    Profile,
    /// The Request-URI is none, or of a scheme that names no place (`tel:` needs a next hop).
    #[error("malformed or unroutable Request-URI")]
    RequestUri,
    /// The next hop, or the first Route, names no place.
    #[error("malformed next hop")]
    NextHop,
    /// From or To is malformed.
    #[error("malformed From or To")]
    Party,
    /// The Call-ID is empty, too long, or holds what no Call-ID may.
    #[error("malformed Call-ID")]
    CallId,
    /// A transport that we do not speak.
    #[error("unsupported transport")]
    Transport,
    /// As many legs or transactions as we allow.
    #[error("over our limit")]
    Limit,
}

/// Why a request was not sent in a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No such leg, or it is ending.
    #[error("the leg is gone")]
    Leg,
    /// No dialog stands yet in which to send it.
    #[error("no dialog yet")]
    Dialog,
    /// INVITE, ACK, BYE and CANCEL of a call have methods of their own; a re-INVITE needs a confirmed dialog.
    #[error("not in this state")]
    Method,
    /// Another INVITE of either side is not finished (RFC 3261 §14.1).
    #[error("another INVITE is in progress")]
    Busy,
    /// Too many requests of this leg wait for answers.
    #[error("over our limit")]
    Limit,
}
