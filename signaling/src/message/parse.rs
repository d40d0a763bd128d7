//! From bytes to a proved [`Message`].

use bytes::Bytes;
use bytestring::ByteString;

use super::index::{Index, index};
use super::{Fault, IDENTIFIER_BYTES_MAX, MESSAGE_BYTES_MAX, Message, ParseError, Span, Start};
use crate::header_name::HeaderName;
use crate::method::Method;
use crate::name_addr::NameAddr;
use crate::text::{LWS, number};
use crate::uri::{Uri, UriError};
use crate::via::Via;

/// What a message must have, in numbers.
struct Proved {
    start: Start,
    cseq: u32,
    method: Method,
    max_forwards: Option<u8>,
}

pub(super) fn parse(received: Bytes) -> Result<Message, ParseError> {
    // Line breaks before the start line are no fault (RFC 3261 §7.5).
    let skipped = received.iter().take_while(|&&b| matches!(b, b'\r' | b'\n')).count();
    if skipped == received.len() {
        return Err(ParseError::new(Fault::KeepAlive, None));
    }
    if received.len() > MESSAGE_BYTES_MAX {
        return Err(ParseError::new(Fault::TooLong, None));
    }
    let bytes = received.slice(skipped..);
    if !begins_like_sip(&bytes) {
        return Err(ParseError::new(Fault::NotSip, None));
    }
    let refuse = |fault| ParseError::new(fault, Some(&bytes));
    let blank = memchr::memmem::find(&bytes, b"\r\n\r\n").ok_or_else(|| refuse(Fault::NoBlankLine))?;
    let head_end = blank + 2;
    let Index { head, start, slots } = index(head_text(bytes.slice(..head_end))).map_err(refuse)?;
    let mut message = Message {
        received: received.clone(),
        head,
        body: bytes.slice(head_end + 2..),
        slots,
        start: Start::Request { uri: Span::default() },
        cseq: 0,
        method: Method::Ack,
        max_forwards: None,
    };
    let Proved { start, cseq, method, max_forwards } = prove(&message, start).map_err(refuse)?;
    message.body = body(&message).map_err(refuse)?;
    Ok(Message { start, cseq, method, max_forwards, ..message })
}

/// Whether the first line could be a start line: SIP's version is its first or its last word.
pub(crate) fn begins_like_sip(bytes: &[u8]) -> bool {
    let line = &bytes[..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())];
    let is_version = |word: Option<&[u8]>| word.is_some_and(|word| word.get(..4).is_some_and(is_sip_slash));
    let line = line.trim_ascii_end();
    is_version(Some(line)) || is_version(line.rsplit(|&b| b == b' ').next())
}

fn is_sip_slash(start: &[u8]) -> bool {
    start.eq_ignore_ascii_case(b"SIP/")
}

/// The head as text: the buffer itself, or a copy whose odd bytes are read as Latin-1.
///
/// Exception: RFC 3261 §25.1 allows UTF-8 only. Phones that write names in Latin-1 are common enough to be heard.
fn head_text(head: Bytes) -> ByteString {
    ByteString::try_from(head.clone()).unwrap_or_else(|_| {
        let mut text = String::with_capacity(head.len() + 64);
        for chunk in head.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|&byte| char::from(byte)));
        }
        ByteString::from(text)
    })
}

fn prove(message: &Message, start: Span) -> Result<Proved, Fault> {
    let line = message.text(start);
    let (start, request_method) = if is_sip_slash(&line.as_bytes()[..line.len().min(4)]) {
        status_line(line)?
    } else {
        request_line(line)?
    };
    refuse_repeated(message)?;
    let top = message.vias().next().ok_or(Fault::Missing(HeaderName::Via))?;
    let via = Via::parse(top).map_err(Fault::Via)?;
    within(HeaderName::Via, via.branch())?;
    person(message, HeaderName::From)?;
    person(message, HeaderName::To)?;
    let call_id = required(message, HeaderName::CallId)?;
    // Lenient: any visible characters, though the grammar leaves out a few (RFC 3261 §25.1 `callid`).
    if call_id.is_empty() || !call_id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Fault::Malformed(HeaderName::CallId));
    }
    within(HeaderName::CallId, Some(call_id))?;
    let (cseq, method) =
        cseq(required(message, HeaderName::CSeq)?).ok_or(Fault::Malformed(HeaderName::CSeq))?;
    if request_method.is_some_and(|requested| requested != method) {
        return Err(Fault::MethodMismatch);
    }
    let max_forwards = match message.header(HeaderName::MaxForwards) {
        Some(hops) => {
            let hops = number(hops).and_then(|hops| u8::try_from(hops).ok());
            Some(hops.ok_or(Fault::Malformed(HeaderName::MaxForwards))?)
        }
        None => None,
    };
    Ok(Proved { start, cseq, method, max_forwards })
}

/// `METHOD SP Request-URI SP SIP/2.0`, not a space more (RFC 3261 §7.1).
fn request_line(line: &str) -> Result<(Start, Option<Method>), Fault> {
    let mut words = line.split(' ');
    let (Some(method), Some(uri), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Fault::StartLine);
    };
    let uri_start = method.len() + 1;
    let method = Method::parse(method).ok_or(Fault::StartLine)?;
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(Fault::Version);
    }
    let parsed = Uri::parse(uri).map_err(Fault::RequestUri)?;
    // They would become ours (RFC 3261 §19.1.1 table 1).
    if parsed.headers.is_some() {
        return Err(Fault::RequestUri(UriError::Headers));
    }
    let uri = Span::new(uri_start..uri_start + uri.len());
    Ok((Start::Request { uri }, Some(method)))
}

/// `SIP/2.0 SP three digits [SP phrase]` (RFC 3261 §7.2).
fn status_line(line: &str) -> Result<(Start, Option<Method>), Fault> {
    let (version, rest) = line.split_once(' ').ok_or(Fault::StartLine)?;
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(Fault::Version);
    }
    let (status, phrase) = rest.split_once(' ').unwrap_or((rest, ""));
    let digits = (status.len() == 3).then(|| number(status)).flatten();
    let status = digits.and_then(|status| u16::try_from(status).ok()).ok_or(Fault::Status)?;
    if !(100..700).contains(&status) {
        return Err(Fault::Status);
    }
    let phrase = Span::new(line.len() - phrase.len()..line.len());
    Ok((Start::Response { status, phrase }, None))
}

/// Two From or two Content-Length headers would let two elements read two different messages.
fn refuse_repeated(message: &Message) -> Result<(), Fault> {
    let mut seen = 0_u128;
    for (name, _) in message.known_headers().filter(|(name, _)| name.is_single()) {
        let bit = 1 << (name as u32);
        if seen & bit != 0 {
            return Err(Fault::Repeated(name));
        }
        seen |= bit;
    }
    Ok(())
}

fn required(message: &Message, name: HeaderName) -> Result<&str, Fault> {
    message.header(name).ok_or(Fault::Missing(name))
}

/// From and To: well-formed, with one tag at most (two would name two dialogs).
fn person(message: &Message, name: HeaderName) -> Result<(), Fault> {
    let person = NameAddr::parse(required(message, name)?).map_err(|error| Fault::NameAddr(name, error))?;
    let tags = person.params.iter().filter(|param| param.name.eq_ignore_ascii_case("tag")).count();
    if tags > 1 {
        return Err(Fault::Malformed(name));
    }
    within(name, person.tag())
}

fn within(name: HeaderName, identifier: Option<&str>) -> Result<(), Fault> {
    match identifier {
        Some(text) if text.len() > IDENTIFIER_BYTES_MAX => Err(Fault::IdentifierTooLong(name)),
        _ => Ok(()),
    }
}

/// A number below 2³² and a method (RFC 3261 §20.16; §8.1.1.5 asks for 2³¹, which not all callers keep).
fn cseq(value: &str) -> Option<(u32, Method)> {
    let (digits, method) = value.split_once(LWS)?;
    let sequence = u32::try_from(number(digits)?).ok()?;
    Some((sequence, Method::parse(method.trim_start_matches(LWS))?))
}

/// As much body as Content-Length says, or all there is (RFC 3261 §18.3).
fn body(message: &Message) -> Result<Bytes, Fault> {
    let Some(length) = message.header(HeaderName::ContentLength) else {
        return Ok(message.body.clone());
    };
    let length = number(length).ok_or(Fault::Malformed(HeaderName::ContentLength))?;
    match usize::try_from(length) {
        Ok(length) if length <= message.body.len() => Ok(message.body.slice(..length)),
        _ => Err(Fault::BodyTruncated),
    }
}
