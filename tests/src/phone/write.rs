//! What a phone writes.

use std::fmt::Write;
use std::net::SocketAddr;

use bytes::Bytes;

use super::{Carrier, Phone};
use crate::sip::Sip;

/// Parts of a request.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) branch: &'a str,
    pub(super) cseq: u32,
    pub(super) headers: &'a [(String, String)],
    pub(super) sdp: Option<&'a str>,
}

impl Phone {
    /// A request of a leg, within its dialog or at its beginning.
    pub(super) fn write_request(&self, leg: usize, request: &Request<'_>) -> Bytes {
        let leg = &self.legs[leg];
        let mut text = String::with_capacity(1_000);
        let carrier = self.carrier_name();
        let to_tag =
            if leg.remote_tag.is_empty() { String::new() } else { format!(";tag={}", leg.remote_tag) };
        let _ = write!(
            text,
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{carrier} {sip};rport;branch={branch}\r\n\
             Max-Forwards: {hops}\r\nFrom: {from};tag={from_tag}\r\nTo: {to}{to_tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\n",
            method = request.method,
            uri = leg.remote_target,
            sip = self.sip,
            branch = request.branch,
            hops = leg.script.max_forwards,
            from = leg.local_uri,
            from_tag = leg.local_tag,
            to = leg.remote_uri,
            call_id = leg.call_id,
            cseq = request.cseq,
        );
        if matches!(request.method, "INVITE" | "UPDATE") {
            let _ = write!(text, "Contact: {}\r\n", self.contact());
        }
        if request.method == "INVITE" {
            text.push_str("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE\r\n");
        }
        for (name, value) in request.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        end(text, request.sdp)
    }

    /// A response to a request that lies before us.
    pub(super) fn write_response(
        &self,
        request: &Sip<'_>,
        status: u16,
        tag: &str,
        sdp: Option<&str>,
    ) -> Bytes {
        self.write_answer(&head_of(request), status, tag, &[], sdp)
    }

    /// A response to a request of which the head was kept.
    pub(super) fn write_answer(
        &self,
        head: &str,
        status: u16,
        tag: &str,
        headers: &[(String, String)],
        sdp: Option<&str>,
    ) -> Bytes {
        let mut text = format!("SIP/2.0 {status} {}\r\n", phrase(status));
        for line in head.lines() {
            let needs_tag = line.starts_with("To:") && !line.contains(";tag=") && status > 100;
            let tag = if needs_tag { format!(";tag={tag}") } else { String::new() };
            let _ = write!(text, "{line}{tag}\r\n");
        }
        let is_invite = head.contains(" INVITE") || head.contains(" UPDATE");
        if is_invite && status > 100 && status < 300 {
            let _ = write!(text, "Contact: {}\r\n", self.contact());
        }
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        end(text, sdp)
    }

    fn contact(&self) -> String {
        let transport = if self.carrier == Carrier::Tcp { ";transport=tcp" } else { "" };
        format!("<sip:phone{}@{}{transport}>", self.index, self.sip)
    }

    pub(super) fn carrier_name(&self) -> &'static str {
        match self.carrier {
            Carrier::Udp => "UDP",
            Carrier::Tcp => "TCP",
        }
    }
}

/// The lines of a request that its responses repeat.
pub(super) fn head_of(request: &Sip<'_>) -> String {
    let mut head = String::new();
    for (name, value) in &request.headers {
        if ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"].contains(name) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    head
}

/// Host and port that a URI leads to, when they are numbers.
pub(super) fn address_of(uri: &str) -> Option<SocketAddr> {
    let rest = uri.split_once(':')?.1;
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = host.split([';', '?']).next()?;
    host.parse().ok().or_else(|| format!("{host}:5060").parse().ok())
}

fn end(mut text: String, sdp: Option<&str>) -> Bytes {
    if sdp.is_some() {
        text.push_str("Content-Type: application/sdp\r\n");
    }
    let body = sdp.unwrap_or_default();
    let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
    Bytes::from(text)
}

fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        404 => "Not Found",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        491 => "Request Pending",
        503 => "Service Unavailable",
        _ => "As It Is",
    }
}
