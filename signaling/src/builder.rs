//! Writes messages. What goes in as a value stays a value: no line break and no NUL gets through.

use std::net::SocketAddr;

use core::fmt::Write;

use bytes::Bytes;

use crate::header_name::HeaderName;
use crate::message::{Message, with_tag};
use crate::method::Method;
use crate::text::{is_token, split_first, split_list};
use crate::uri::encode;

/// A message being written: start line first, then headers in the order of the calls.
///
/// Line breaks and NUL in a value become spaces; a header whose name is no token, or that the builder writes itself
/// (Content-Length), is left out. [`Builder::repairs`] counts both.
#[derive(Clone, Debug)]
pub struct Builder {
    text: String,
    body: Option<(String, Bytes)>,
    repairs: u32,
}

/// Room for a usual head, so that writing one allocates once.
const HEAD_BYTES_USUAL: usize = 1024;

impl Builder {
    /// A request. What may not stand in a URI is percent-escaped.
    pub fn request(method: &Method, uri: &str) -> Builder {
        let mut builder = Builder::empty();
        let uri = encode(uri, |b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"'));
        let _ = write!(builder.text, "{method} {uri} SIP/2.0\r\n"); // a String takes everything
        builder
    }

    /// A response. An empty `phrase` stays empty.
    pub fn response(status: u16, phrase: &str) -> Builder {
        let mut builder = Builder::empty();
        let _ = write!(builder.text, "SIP/2.0 {status:03} ");
        builder.push_value(phrase);
        builder.text.push_str("\r\n");
        builder
    }

    /// A response to `request` with the headers that each response repeats: Via, From, To, Call-ID, CSeq
    /// (RFC 3261 §8.2.6.2). `to_tag` is added unless To has a tag; `source` is written into the topmost Via.
    pub fn answer(request: &Message, status: u16, phrase: &str, to_tag: &str, source: SocketAddr) -> Builder {
        let mut lines = request.headers(HeaderName::Via).filter(|line| split_list(line).next().is_some());
        let (_, beside_top) = split_first(lines.next().unwrap_or(""));
        let builder = Builder::response(status, phrase)
            .header(HeaderName::Via, &request.top_via().with_source(source))
            .list(HeaderName::Via, [beside_top])
            .each(HeaderName::Via, lines);
        let to = request.header(HeaderName::To).unwrap_or("");
        let to = if to_tag.is_empty() { to.to_owned() } else { with_tag(to, to_tag) };
        builder
            .header(HeaderName::From, request.header(HeaderName::From).unwrap_or(""))
            .header(HeaderName::To, &to)
            .header(HeaderName::CallId, request.call_id())
            .header(HeaderName::CSeq, request.header(HeaderName::CSeq).unwrap_or(""))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: &str) -> Builder {
        let name = name.as_ref();
        if !is_token(name) || HeaderName::parse(name) == HeaderName::ContentLength {
            self.repairs += 1;
            return self;
        }
        self.text.push_str(name);
        self.text.push_str(": ");
        self.push_value(value);
        self.text.push_str("\r\n");
        self
    }

    /// Adds a header if there is a value.
    #[must_use]
    pub fn header_opt(self, name: impl AsRef<str>, value: Option<&str>) -> Builder {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Adds each of `headers`.
    #[must_use]
    pub fn headers<'a>(self, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Builder {
        headers.into_iter().fold(self, |builder, (name, value)| builder.header(name, value))
    }

    /// Adds one header line per value.
    #[must_use]
    pub fn each<'a>(self, name: HeaderName, values: impl IntoIterator<Item = &'a str>) -> Builder {
        values.into_iter().fold(self, |builder, value| builder.header(name, value))
    }

    /// Adds one header with the values joined by commas; none without values.
    #[must_use]
    pub fn list<'a>(self, name: HeaderName, values: impl IntoIterator<Item = &'a str>) -> Builder {
        let joined = values.into_iter().collect::<Vec<_>>().join(", ");
        if joined.is_empty() { self } else { self.header(name, &joined) }
    }

    /// Sets the body; Content-Type and Content-Length are written by [`Builder::finish`].
    #[must_use]
    pub fn body(mut self, content_type: &str, body: Bytes) -> Builder {
        self.body = Some((content_type.to_owned(), body));
        self
    }

    /// How many values and headers had to be repaired or left out so far; a caller may count them.
    pub fn repairs(&self) -> u32 {
        self.repairs
    }

    /// The finished message.
    pub fn finish(mut self) -> Bytes {
        let body = match self.body.take() {
            Some((content_type, body)) => {
                self = self.header(HeaderName::ContentType, &content_type);
                body
            }
            None => Bytes::new(),
        };
        let _ = write!(self.text, "Content-Length: {}\r\n\r\n", body.len());
        let mut bytes = self.text.into_bytes();
        bytes.extend_from_slice(&body);
        Bytes::from(bytes)
    }

    fn empty() -> Builder {
        Builder { text: String::with_capacity(HEAD_BYTES_USUAL), body: None, repairs: 0 }
    }

    fn push_value(&mut self, value: &str) {
        let value = value.trim_matches([' ', '\t']);
        if memchr::memchr3(b'\r', b'\n', 0, value.as_bytes()).is_none() {
            return self.text.push_str(value);
        }
        self.repairs += 1;
        self.text.extend(value.chars().map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c }));
    }
}

#[cfg(test)]
mod tests;
