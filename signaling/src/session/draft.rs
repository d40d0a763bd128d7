//! A request before it has a Via: what is known while its way is still being found.

use std::sync::Arc;

use crate::endpoint::{Body, RequestId, Transport};
use crate::{HeaderName, Method};

/// Max-Forwards of requests that begin here (RFC 3261 §8.1.1.6).
pub(crate) const MAX_FORWARDS: u8 = 70;

/// Everything of a request but Via and Contact, which depend on the way that it takes.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(crate) method: Method,
    pub(crate) request_uri: String,
    /// Values of Route, first hop first.
    pub(crate) routes: Vec<String>,
    /// The URI that says where to send it.
    pub(crate) hop: String,
    /// The transport that the owner insists on.
    pub(crate) transport: Option<Transport>,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) call_id: Arc<str>,
    pub(crate) cseq: u32,
    pub(crate) max_forwards: u8,
    /// Credentials for a challenge.
    pub(crate) authorization: Option<(HeaderName, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Body>,
}

/// Which of a leg's requests a transaction carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The INVITE that began the leg.
    Invite,
    /// The BYE that ends it.
    Bye,
    /// One inside the call, asked for by the owner.
    Request(RequestId),
    /// A CANCEL, or the BYE of a fork that nobody wants: its answer interests nobody.
    Unowned,
}

impl Draft {
    /// A bare request that is sent to its Request-URI.
    pub(crate) fn new(method: Method, request_uri: String, from: String, to: String) -> Draft {
        Draft {
            method,
            routes: Vec::new(),
            hop: request_uri.clone(),
            request_uri,
            transport: None,
            from,
            to,
            call_id: "".into(),
            cseq: 0,
            max_forwards: MAX_FORWARDS,
            authorization: None,
            headers: Vec::new(),
            body: None,
        }
    }

    /// The same with our tag in From.
    pub(crate) fn with_from_tag(mut self, tag: &str) -> Draft {
        self.from = format!("{};tag={tag}", self.from);
        self
    }

    /// The ACK for a 2xx to this INVITE when no dialog is left to make it: the same way, the same credentials.
    pub(crate) fn orphan_ack(&self) -> Draft {
        Draft {
            method: Method::Ack,
            max_forwards: MAX_FORWARDS,
            headers: Vec::new(),
            body: None,
            ..self.clone()
        }
    }
}
