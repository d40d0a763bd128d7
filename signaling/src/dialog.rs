//! A dialog: what two peers know of each other between an INVITE and a BYE (RFC 3261 §12).
//!
//! ```text
//!   INVITE in  ──▶ Dialog::from_request   route set = Record-Route as it stands        (§12.1.1)
//!   INVITE out ──▶ Dialog::from_response  route set = Record-Route reversed            (§12.1.2)
//!   each request in it: CSeq rises (§12.2.1.1, §12.2.2); INVITE and UPDATE move the target (§12.2.1.2)
//! ```

use std::sync::Arc;

use crate::message::Message;
use crate::random::Token;
use crate::session::draft::Draft;
use crate::{HeaderName, Method, NameAddr};

/// Entries of a route set that we keep; a request with more is answered, but nothing is routed by what is beyond.
pub const ROUTES_MAX: usize = 32;

/// State of one dialog. Text is kept as it goes into headers, ready to be written.
#[derive(Clone, Debug)]
pub struct Dialog {
    call_id: Arc<str>,
    local_tag: Token,
    remote_tag: Box<str>,
    /// Value of From in our requests, tag included.
    local: Box<str>,
    /// Value of To in our requests, tag included.
    remote: Box<str>,
    remote_target: Box<str>,
    route_set: Box<[Box<str>]>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
}

/// A request came whose CSeq is below one that we have seen (RFC 3261 §12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfOrder;

impl Dialog {
    /// The dialog that our response with `local_tag` makes of `request` (§12.1.1).
    pub fn from_request(request: &Message, local_tag: Token) -> Dialog {
        let to = request.header(HeaderName::To).unwrap_or("");
        Dialog {
            call_id: request.call_id().into(),
            local_tag,
            remote_tag: request.from().tag().unwrap_or("").into(),
            local: format!("{to};tag={local_tag}").into(),
            remote: request.header(HeaderName::From).unwrap_or("").into(),
            // An INVITE without a usable Contact has been refused before; its From is a last resort.
            remote_target: contact_of(request).unwrap_or(request.from().uri.as_str()).into(),
            route_set: request.record_routes().take(ROUTES_MAX).map(Into::into).collect(),
            local_cseq: 0,
            remote_cseq: Some(request.cseq().0),
        }
    }

    /// The dialog that `response` to our INVITE makes (§12.1.2). `local` is the From that we sent; `fallback` is the
    /// Request-URI, for a peer that forgets its Contact.
    pub fn from_response(response: &Message, local_tag: Token, local: &str, fallback: &str) -> Dialog {
        let mut route_set: Vec<Box<str>> =
            response.record_routes().take(ROUTES_MAX).map(Into::into).collect();
        route_set.reverse();
        Dialog {
            call_id: response.call_id().into(),
            local_tag,
            remote_tag: response.to().tag().unwrap_or("").into(),
            local: local.into(),
            remote: response.header(HeaderName::To).unwrap_or("").into(),
            remote_target: contact_of(response).unwrap_or(fallback).into(),
            route_set: route_set.into(),
            local_cseq: response.cseq().0,
            remote_cseq: None,
        }
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Our tag.
    pub fn local_tag(&self) -> Token {
        self.local_tag
    }

    /// The peer's tag; empty for one that does not know tags (RFC 3261 §12.1.1).
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// Where the peer wants its requests.
    pub fn remote_target(&self) -> &str {
        &self.remote_target
    }

    /// The peer as we name it in To, tag included.
    pub fn remote_party(&self) -> &str {
        &self.remote
    }

    /// Ourselves as we are named in From, tag included.
    pub fn local_party(&self) -> &str {
        &self.local
    }

    /// Takes note of a request's CSeq; refuses one that has been overtaken.
    pub fn accept_cseq(&mut self, cseq: u32) -> Result<(), OutOfOrder> {
        if self.remote_cseq.is_some_and(|seen| cseq < seen) {
            return Err(OutOfOrder);
        }
        self.remote_cseq = Some(cseq);
        Ok(())
    }

    /// Moves the target to the Contact of an accepted INVITE or UPDATE, if it has one (§12.2.1.2, §12.2.2).
    pub fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = contact_of(message) {
            self.set_target(target);
        }
    }

    /// Moves the target to a URI that [`contact_of`] found.
    pub fn set_target(&mut self, target: &str) {
        if *self.remote_target != *target {
            self.remote_target = target.into();
        }
    }

    /// The next request of ours, with the next CSeq (§12.2.1.1).
    pub fn request(&mut self, method: Method) -> Draft {
        self.local_cseq += 1;
        self.draft(method, self.local_cseq)
    }

    /// The ACK for a 2xx to the INVITE of that CSeq (§13.2.2.4).
    pub fn ack(&self, cseq: u32) -> Draft {
        self.draft(Method::Ack, cseq)
    }

    /// Renews a request of ours that is to be sent again with credentials or after glare: next CSeq, present target.
    pub fn renew(&mut self, draft: &mut Draft) {
        let Draft { request_uri, routes, hop, cseq, .. } = self.request(draft.method.clone());
        (draft.request_uri, draft.routes, draft.hop, draft.cseq) = (request_uri, routes, hop, cseq);
    }

    fn draft(&self, method: Method, cseq: u32) -> Draft {
        let (request_uri, routes, hop) = self.route();
        Draft {
            routes,
            hop,
            cseq,
            call_id: self.call_id.clone(),
            ..Draft::new(method, request_uri, self.local.to_string(), self.remote.to_string())
        }
    }

    /// Request-URI, Route entries and the URI that says where to send (§12.2.1.1).
    fn route(&self) -> (String, Vec<String>, String) {
        let target = self.remote_target.to_string();
        route(target, self.route_set.iter().map(ToString::to_string).collect())
    }
}

/// Request-URI, Route entries and next hop for a request to `target` by `routes`. When the first entry is a strict
/// router, it takes the Request-URI's place and the target goes to the end (§12.2.1.1).
pub fn route(target: String, mut routes: Vec<String>) -> (String, Vec<String>, String) {
    let Some(first) = routes.first() else {
        return (target.clone(), routes, target);
    };
    let Ok(NameAddr { uri, .. }) = NameAddr::parse(first) else {
        return (target.clone(), routes, target);
    };
    let hop = uri.as_str().to_string();
    if uri.param("lr").is_some() {
        return (target, routes, hop);
    }
    routes.remove(0);
    routes.push(format!("<{target}>"));
    (hop.clone(), routes, hop)
}

/// The URI of a message's first Contact, if it is one that requests can be sent to.
pub fn contact_of(message: &Message) -> Option<&str> {
    let contact = message.contacts().next()?.ok()?;
    contact.uri.is_sip().then(|| contact.uri.as_str())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::random::Random;

    fn message(text: &str) -> Message {
        Message::parse(Bytes::from(text.replace('\n', "\r\n"))).expect("well-formed")
    }

    fn token() -> Token {
        Random::new(1.into()).token()
    }

    fn invite() -> Message {
        message(
            "INVITE sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa\n\
             Record-Route: <sip:p2.example;lr>, <sip:p1.example;lr>\nFrom: <sip:a@x>;tag=remote\nTo: <sip:us@y>\n\
             Call-ID: c1\nCSeq: 7 INVITE\nContact: <sip:a@192.0.2.9:5070>\n\n",
        )
    }

    fn answer() -> Message {
        message(
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\nRecord-Route: <sip:p2.example;lr>\n\
             Record-Route: <sip:p1.example;lr>\nFrom: <sip:us@y>;tag=local\nTo: <sip:b@x>;tag=remote\nCall-ID: c1\n\
             CSeq: 3 INVITE\nContact: <sip:b@192.0.2.8>\n\n",
        )
    }

    #[test]
    fn a_called_dialog_keeps_record_routes_in_their_order() {
        let mut dialog = Dialog::from_request(&invite(), token());
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.routes, ["<sip:p2.example;lr>", "<sip:p1.example;lr>"]);
        assert_eq!(
            (bye.request_uri.as_str(), bye.hop.as_str()),
            ("sip:a@192.0.2.9:5070", "sip:p2.example;lr")
        );
        assert_eq!((bye.to.as_str(), bye.cseq), ("<sip:a@x>;tag=remote", 1));
        assert_eq!(bye.from, format!("<sip:us@y>;tag={}", token()));
    }

    #[test]
    fn a_calling_dialog_reverses_record_routes_and_goes_on_counting() {
        let mut dialog = Dialog::from_response(&answer(), token(), "<sip:us@y>;tag=local", "sip:b@fallback");
        let ack = dialog.ack(3);
        assert_eq!(ack.routes, ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]);
        assert_eq!(ack.cseq, 3);
        assert_eq!(dialog.request(Method::Bye).cseq, 4);
        assert_eq!(dialog.remote_tag(), "remote");
    }

    #[test]
    fn a_strict_router_takes_the_request_uris_place() {
        let routes = vec!["<sip:strict.example>".to_string(), "<sip:loose.example;lr>".to_string()];
        let (uri, routes, hop) = route("sip:b@192.0.2.8".to_string(), routes);
        assert_eq!((uri.as_str(), hop.as_str()), ("sip:strict.example", "sip:strict.example"));
        assert_eq!(routes, ["<sip:loose.example;lr>", "<sip:b@192.0.2.8>"]);
    }

    #[test]
    fn an_overtaken_request_is_told_from_one_in_order() {
        let mut dialog = Dialog::from_request(&invite(), token());
        assert_eq!(dialog.accept_cseq(9), Ok(()));
        assert_eq!(dialog.accept_cseq(8), Err(OutOfOrder));
        assert_eq!(dialog.accept_cseq(10), Ok(()));
    }

    #[test]
    fn a_refresh_moves_the_target_and_a_message_without_contact_does_not() {
        let mut dialog = Dialog::from_request(&invite(), token());
        dialog.refresh_target(&answer());
        assert_eq!(dialog.remote_target(), "sip:b@192.0.2.8");
        dialog.refresh_target(&message(
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\nFrom: <sip:a@x>;tag=1\nTo: <sip:b@x>;tag=2\n\
             Call-ID: c1\nCSeq: 3 UPDATE\n\n",
        ));
        assert_eq!(dialog.remote_target(), "sip:b@192.0.2.8");
    }
}
