//! A SIP message lying in its receive buffer (RFC 3261 §7).
//!
//! ```text
//!   Bytes ──▶ head found ──▶ index of header lines ──▶ what each message must have ──▶ Message
//!               (one pass)     (16 bytes per line)       (checked once, kept as numbers)
//! ```
//!
//! No text is copied: a [`Message`] is the buffer, an index, and views made on demand. Two kinds of message cost one
//! copy of the head, both rare: folded ones, whose line breaks become spaces (RFC 3261 §7.3.1 says that this is the
//! same message), and ones that are not UTF-8, whose odd bytes are read as Latin-1. The bytes as they came stay
//! reachable through [`Message::received`].
//!
//! After [`Message::parse`] these hold: one From, To, Call-ID and CSeq, each well-formed; a well-formed topmost Via;
//! CSeq and request line name the same method; Content-Length, if there, tells the body's length.

use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;

use crate::header_name::HeaderName;
use crate::method::Method;
use crate::name_addr::{NameAddr, NameAddrError};
use crate::text::split_list;
use crate::uri::{Uri, UriError};
use crate::via::Via;

mod error;
mod index;
mod multipart;
mod parse;
mod salvage;

pub use error::{Fault, ParseError};
pub(crate) use parse::begins_like_sip;
pub use salvage::Salvage;
pub(crate) use salvage::with_tag;

/// Longest message, head and body together; also the longest that UDP can carry.
pub const MESSAGE_BYTES_MAX: usize = 65_536;

/// Most header lines in a message. Real ones have 10 to 40; 34 Vias (RFC 4475 §3.1.1.7) leave room.
pub const HEADERS_MAX: usize = 256;

/// Longest Call-ID, tag and branch. Dialogs and transactions store them.
pub const IDENTIFIER_BYTES_MAX: usize = 512;

/// Header lines whose index lies in the message itself.
const SLOTS_INLINE: usize = 24;

/// A request or a response.
#[derive(Clone, Debug)]
pub struct Message {
    received: Bytes,
    head: ByteString,
    body: Bytes,
    slots: SmallVec<[Slot; SLOTS_INLINE]>,
    start: Start,
    cseq: u32,
    method: Method,
    max_forwards: Option<u8>,
}

/// The start line, proved.
#[derive(Clone, Debug)]
enum Start {
    Request { uri: Span },
    Response { status: u16, phrase: Span },
}

/// Where a piece of text lies in the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

/// Where one header line lies in the head.
#[derive(Clone, Copy, Debug)]
struct Slot {
    name: HeaderName,
    name_span: Span,
    value_span: Span,
}

impl Message {
    /// Parses one whole message: a datagram, or what the [`StreamFramer`](crate::framing::StreamFramer) cut out.
    ///
    /// Bytes behind the body that Content-Length announces are left out (RFC 3261 §18.3).
    pub fn parse(bytes: Bytes) -> Result<Message, ParseError> {
        parse::parse(bytes)
    }

    /// The message as it came.
    pub fn received(&self) -> &Bytes {
        &self.received
    }

    /// Whether it is a request; otherwise it is a response.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The method: of a response, that of the request it answers (both stand in CSeq).
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The Request-URI as written; empty in a response.
    pub fn request_uri(&self) -> &str {
        match self.start {
            Start::Request { uri } => self.text(uri),
            Start::Response { .. } => "",
        }
    }

    /// The Request-URI in its parts; an error in a response only.
    pub fn uri(&self) -> Result<Uri<'_>, UriError> {
        Uri::parse(self.request_uri())
    }

    /// The status code; 0 in a request.
    pub fn status(&self) -> u16 {
        match self.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => status,
        }
    }

    /// The reason phrase, which may be empty.
    pub fn phrase(&self) -> &str {
        match self.start {
            Start::Request { .. } => "",
            Start::Response { phrase, .. } => self.text(phrase),
        }
    }

    /// The value of the first header of that name.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers(name).next()
    }

    /// The values of each header line of that name, in order.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.slots.iter().filter(move |slot| slot.name == name).map(|slot| self.text(slot.value_span))
    }

    /// The value of the first header of that name, known or not, in full or compact form.
    pub fn header_named(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// The values of each header line of that name, known or not, in full or compact form.
    pub fn headers_named<'m, 'n>(&'m self, name: &'n str) -> impl Iterator<Item = &'m str> + use<'m, 'n> {
        let known = HeaderName::parse(name);
        self.slots
            .iter()
            .filter(move |slot| match known {
                HeaderName::Other => {
                    slot.name == HeaderName::Other && self.text(slot.name_span).eq_ignore_ascii_case(name)
                }
                known => slot.name == known,
            })
            .map(|slot| self.text(slot.value_span))
    }

    /// Each header line in order: name and value as written, the value trimmed.
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.slots.iter().map(|slot| (self.text(slot.name_span), self.text(slot.value_span)))
    }

    /// Each header line in order, with the name we know it by.
    pub fn known_headers(&self) -> impl Iterator<Item = (HeaderName, &str)> {
        self.slots.iter().map(|slot| (slot.name, self.text(slot.value_span)))
    }

    /// The entries of a comma-separated header over all its lines, in order.
    pub fn list(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.headers(name).flat_map(split_list)
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        self.header(HeaderName::CallId).unwrap_or("")
    }

    /// The number and method of CSeq.
    pub fn cseq(&self) -> (u32, &Method) {
        (self.cseq, &self.method)
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Via<'_> {
        let entry = self.vias().next().unwrap_or("");
        Via::parse(entry).expect("parse() proved the topmost Via")
    }

    /// Each Via entry as written, topmost first. Only the first is proved to be well-formed.
    pub fn vias(&self) -> impl Iterator<Item = &str> {
        self.list(HeaderName::Via)
    }

    /// Who sends the request.
    pub fn from(&self) -> NameAddr<'_> {
        NameAddr::parse(self.header(HeaderName::From).unwrap_or("")).expect("parse() proved From")
    }

    /// To whom the request goes.
    pub fn to(&self) -> NameAddr<'_> {
        NameAddr::parse(self.header(HeaderName::To).unwrap_or("")).expect("parse() proved To")
    }

    /// The Contact entries. They are not proved: who needs them answers 400 for an error.
    pub fn contacts(&self) -> impl Iterator<Item = Result<NameAddr<'_>, NameAddrError>> {
        self.list(HeaderName::Contact).map(NameAddr::parse)
    }

    /// Max-Forwards, if there.
    pub fn max_forwards(&self) -> Option<u8> {
        self.max_forwards
    }

    /// The Route entries as written, first hop first.
    pub fn routes(&self) -> impl Iterator<Item = &str> {
        self.list(HeaderName::Route)
    }

    /// The Record-Route entries as written, in the message's order.
    pub fn record_routes(&self) -> impl Iterator<Item = &str> {
        self.list(HeaderName::RecordRoute)
    }

    /// The option tags of Require.
    pub fn require(&self) -> impl Iterator<Item = &str> {
        self.list(HeaderName::Require)
    }

    /// The option tags of Supported.
    pub fn supported(&self) -> impl Iterator<Item = &str> {
        self.list(HeaderName::Supported)
    }

    /// The methods of Allow.
    pub fn allow(&self) -> impl Iterator<Item = &str> {
        self.list(HeaderName::Allow)
    }

    /// Whether the list header `name` has `token`, compared without regard to case.
    pub fn has_token(&self, name: HeaderName, token: &str) -> bool {
        self.list(name).any(|entry| entry.eq_ignore_ascii_case(token))
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The Content-Type as written, parameters included.
    pub fn content_type(&self) -> Option<&str> {
        self.header(HeaderName::ContentType)
    }

    /// Whether Content-Type names `media_type` (`application/sdp`), whatever its parameters.
    pub fn has_body_type(&self, media_type: &str) -> bool {
        self.content_type().is_some_and(|value| multipart::is_type(value, media_type))
    }

    /// The body of that type: the whole one, or the first such part of a `multipart/…` body. Parts inside parts are
    /// not looked at.
    pub fn body_of_type(&self, media_type: &str) -> Option<Bytes> {
        if self.has_body_type(media_type) {
            return Some(self.body.clone());
        }
        multipart::part(self.content_type()?, &self.body, media_type)
    }

    fn text(&self, span: Span) -> &str {
        &self.head[span.range()]
    }
}

impl Span {
    /// Heads are shorter than 2 × [`MESSAGE_BYTES_MAX`], so that positions always fit.
    fn new(range: Range<usize>) -> Span {
        let position = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Span { start: position(range.start), end: position(range.end) }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[cfg(test)]
mod tests;
