//! Cuts a byte stream into messages by Content-Length (RFC 3261 §18.3) and counts keep-alives (RFC 5626 §3.5.1).
//!
//! Whoever disagrees with his neighbour on where a message ends can be made to read a request that nobody sent. So
//! the framer does not guess: two Content-Lengths, one that is no number, or a line break that is not CRLF end the
//! connection. The memory of a connection stays below [`MESSAGE_BYTES_MAX`] and what was pushed last.

use bytes::{Buf, Bytes, BytesMut};

use crate::header_name::HeaderName;
use crate::message::{MESSAGE_BYTES_MAX, begins_like_sip};
use crate::text::{is_token_byte, number};
use crate::uri::URI_BYTES_MAX;

/// Longest start line. It has room for the longest URI, a method and a version.
pub const START_LINE_BYTES_MAX: usize = 2 * URI_BYTES_MAX;

const _: () = assert!(START_LINE_BYTES_MAX < MESSAGE_BYTES_MAX);

/// Why a stream cannot be read any further; the connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Something other than SIP: TLS, HTTP, noise.
    #[error("not SIP")]
    NotSip,
    /// A message longer than [`MESSAGE_BYTES_MAX`]; over our limit.
    #[error("a message longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// A carriage return or line feed that stands alone in a head.
    #[error("a line break that is not CRLF")]
    LineBreak,
    /// Content-Length is no number.
    #[error("a malformed Content-Length")]
    ContentLength,
    /// Two Content-Lengths, equal or not: the mark of request smuggling.
    #[error("more than one Content-Length")]
    TwoContentLengths,
}

/// The receiving side of one connection.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// How much of `buffer` holds no end of the head.
    scanned: usize,
    start_line_seen: bool,
    /// Length of the whole message, once its head is complete.
    whole: Option<usize>,
    pings: u32,
    stopped: Option<FramingError>,
    refused: Option<Bytes>,
}

impl StreamFramer {
    /// A framer for a new connection.
    pub fn new() -> StreamFramer {
        StreamFramer::default()
    }

    /// Takes what was read. Afterwards [`StreamFramer::poll_message`] is called until it returns `None`.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.stopped.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole message, `None` if it is still on its way.
    ///
    /// A message without Content-Length has no body, though RFC 3261 §20.14 asks for the header: what follows either
    /// begins another message or ends the connection. After an error each call returns it again.
    pub fn poll_message(&mut self) -> Result<Option<Bytes>, FramingError> {
        match self.stopped {
            Some(error) => Err(error),
            None => self.cut().inspect_err(|&error| self.stop(error)),
        }
    }

    /// How many pings (double CRLFs between messages) came since the last call. Each is owed one CRLF; one pong for
    /// all of a read is enough.
    pub fn take_pings(&mut self) -> u32 {
        std::mem::take(&mut self.pings)
    }

    /// Whether part of a message waits for the rest: only then a slow sender is suspect.
    pub fn is_mid_message(&self) -> bool {
        self.buffer.iter().any(|b| !matches!(b, b'\r' | b'\n'))
    }

    /// The head of the message that made the framer stop, if it was complete. [`Message::parse`] refuses it, and the
    /// refusal knows the answer to its sender.
    ///
    /// [`Message::parse`]: crate::message::Message::parse
    pub fn refused(&self) -> Option<&Bytes> {
        self.refused.as_ref()
    }

    fn cut(&mut self) -> Result<Option<Bytes>, FramingError> {
        let whole = match self.whole {
            Some(whole) => whole,
            None => match self.find_end()? {
                Some(whole) => whole,
                None => return Ok(None),
            },
        };
        self.whole = Some(whole);
        if self.buffer.len() < whole {
            return Ok(None);
        }
        // A copy of its own size: a message that is kept for a transaction's time must not pin the read buffer.
        let message = Bytes::copy_from_slice(&self.buffer[..whole]);
        self.buffer.advance(whole);
        (self.scanned, self.start_line_seen, self.whole) = (0, false, None);
        Ok(Some(message))
    }

    /// Looks for the end of the head in what has not been looked at. Returns the length of the whole message.
    fn find_end(&mut self) -> Result<Option<usize>, FramingError> {
        if self.scanned == 0 {
            self.skip_line_breaks();
        }
        match self.buffer.first() {
            None => return Ok(None),
            Some(b'\r') if b"\r\n\r\n".starts_with(&self.buffer) => return Ok(None), // may become a ping
            Some(&first) if !is_token_byte(first) => return Err(FramingError::NotSip),
            Some(_) => {}
        }
        self.check_start_line()?;
        // The end of the head may lie across the border of two reads.
        let from = self.scanned.saturating_sub(3);
        let Some(at) = memchr::memmem::find(&self.buffer[from..], b"\r\n\r\n") else {
            self.scanned = self.buffer.len();
            return if self.scanned > MESSAGE_BYTES_MAX { Err(FramingError::TooLong) } else { Ok(None) };
        };
        let head_len = from + at + 4;
        let body_len = content_length(&self.buffer[..head_len - 2]).inspect_err(|_| self.refuse(head_len))?;
        let whole = head_len.saturating_add(body_len);
        if whole > MESSAGE_BYTES_MAX {
            self.refuse(head_len);
            return Err(FramingError::TooLong);
        }
        Ok(Some(whole))
    }

    /// Line breaks between messages: two in a row are a ping, one is the end of the last message's neighbour.
    fn skip_line_breaks(&mut self) {
        while self.buffer.starts_with(b"\r\n\r\n") {
            self.pings = self.pings.saturating_add(1);
            self.buffer.advance(4);
        }
        if self.buffer.starts_with(b"\r\n") && !matches!(self.buffer.get(2), None | Some(b'\r')) {
            self.buffer.advance(2);
        }
    }

    fn check_start_line(&mut self) -> Result<(), FramingError> {
        if self.start_line_seen {
            return Ok(());
        }
        match memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
            Some(_) if !begins_like_sip(&self.buffer) => Err(FramingError::NotSip),
            Some(_) => {
                self.start_line_seen = true;
                Ok(())
            }
            None if self.buffer.len() > START_LINE_BYTES_MAX => Err(FramingError::TooLong),
            None => Ok(()),
        }
    }

    fn refuse(&mut self, head_len: usize) {
        self.refused = Some(Bytes::copy_from_slice(&self.buffer[..head_len.min(MESSAGE_BYTES_MAX)]));
    }

    fn stop(&mut self, error: FramingError) {
        self.stopped = Some(error);
        self.buffer = BytesMut::new();
    }
}

/// What the one Content-Length of `head` says; 0 without any. `head` ends with the CRLF of its last line.
fn content_length(head: &[u8]) -> Result<usize, FramingError> {
    let mut found: Option<Vec<u8>> = None;
    let mut in_length = false;
    for line in head.split_inclusive(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r\n").ok_or(FramingError::LineBreak)?;
        if memchr::memchr(b'\r', line).is_some() {
            return Err(FramingError::LineBreak);
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            if let (true, Some(value)) = (in_length, found.as_mut()) {
                value.extend_from_slice(line);
            }
            continue;
        }
        let colon = memchr::memchr(b':', line).unwrap_or(0);
        let name = std::str::from_utf8(line[..colon].trim_ascii_end()).unwrap_or("");
        in_length = HeaderName::parse(name) == HeaderName::ContentLength;
        if in_length && found.replace(line[colon + 1..].to_vec()).is_some() {
            return Err(FramingError::TwoContentLengths);
        }
    }
    let Some(value) = found else {
        return Ok(0);
    };
    let digits = std::str::from_utf8(value.trim_ascii()).unwrap_or("");
    number(digits).and_then(|length| usize::try_from(length).ok()).ok_or(FramingError::ContentLength)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn message(call_id: &str, extra: &str, body: &str) -> String {
        format!(
            "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
             To: <sip:a@b>\r\nCall-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\n{extra}\r\n{body}"
        )
    }

    fn all(framer: &mut StreamFramer) -> Vec<Bytes> {
        std::iter::from_fn(|| framer.poll_message().expect("framed")).collect()
    }

    fn error_of(bytes: &[u8]) -> (FramingError, Option<Bytes>) {
        let mut framer = StreamFramer::new();
        framer.push(bytes);
        let error = framer.poll_message().expect_err("must stop");
        framer.push(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n");
        assert_eq!(framer.poll_message(), Err(error), "a stopped framer stays stopped");
        (error, framer.refused().cloned())
    }

    #[test]
    fn pipelined_messages_come_out_in_order_however_they_are_cut() {
        let texts = [
            message("1", "Content-Length: 4\r\n", "\r\n\r\n"),
            message("2", "L:0\r\n", ""),
            message("3", "", ""),
            message("4", "Content-Length \t:\r\n  3\r\n", "abc"),
        ];
        let stream = texts.concat();
        for step in [1, 2, 3, 7, 64, stream.len()] {
            let mut framer = StreamFramer::new();
            let mut out = Vec::new();
            for chunk in stream.as_bytes().chunks(step) {
                framer.push(chunk);
                out.extend(all(&mut framer));
            }
            assert_eq!(out, texts, "in steps of {step}");
            assert!(!framer.is_mid_message());
            assert_eq!(framer.take_pings(), 0, "line breaks in a body are no pings");
        }
    }

    #[test]
    fn double_line_breaks_between_messages_are_pings() {
        let mut framer = StreamFramer::new();
        framer.push(b"\r\n\r\n\r\n\r\n\r\n");
        framer.push(message("1", "l: 0\r\n", "").as_bytes());
        assert_eq!(all(&mut framer).len(), 1);
        assert_eq!(framer.take_pings(), 2);
        framer.push(b"\r\n\r");
        assert!(all(&mut framer).is_empty() && !framer.is_mid_message());
        framer.push(b"\n");
        assert!(all(&mut framer).is_empty());
        assert_eq!(framer.take_pings(), 1);
    }

    #[test]
    fn a_stated_length_that_cannot_be_trusted_stops_the_stream_and_is_answered() {
        let cases = [
            ("Content-Length: 0\r\nContent-Length: 60\r\n", FramingError::TwoContentLengths),
            ("Content-Length: 0\r\nl: 0\r\n", FramingError::TwoContentLengths),
            ("Content-Length: -1\r\n", FramingError::ContentLength),
            ("Content-Length: 5 5\r\n", FramingError::ContentLength),
            ("Content-Length: +5\r\n", FramingError::ContentLength),
            ("Content-Length: 99999999999999999999\r\n", FramingError::ContentLength),
            ("Content-Length:\r\n", FramingError::ContentLength),
            ("Content-Length: 4294967297\r\n", FramingError::TooLong),
            ("X: a\nContent-Length: 5\r\n", FramingError::LineBreak),
            ("X: a\rContent-Length: 5\r\n", FramingError::LineBreak),
        ];
        for (extra, expected) in cases {
            let (error, refused) = error_of(message("1", extra, "").as_bytes());
            assert_eq!(error, expected, "{extra}");
            let refusal = Message::parse(refused.expect("a complete head")).expect_err("refused there, too");
            let answer = refusal.answer("192.0.2.1:9".parse().expect("an address"), "t").expect("answerable");
            assert!(answer.starts_with(b"SIP/2.0 400 "), "{extra}");
        }
    }

    #[test]
    fn other_protocols_and_noise_stop_the_stream_at_once() {
        for noise in [&b"\x16\x03\x01\x02\x00"[..], b"GET / HTTP/1.1\r\n", b"\0", b"v=0\r\n", b"<xml>", b" x"]
        {
            assert_eq!(error_of(noise), (FramingError::NotSip, None));
        }
    }

    #[test]
    fn a_connection_never_holds_more_than_a_message() {
        let endless_line = "A".repeat(START_LINE_BYTES_MAX + 1);
        assert_eq!(error_of(endless_line.as_bytes()).0, FramingError::TooLong);
        let mut framer = StreamFramer::new();
        framer.push(b"OPTIONS sip:a@b SIP/2.0\r\n");
        let mut pushed = 0;
        while framer.poll_message() == Ok(None) {
            framer.push(&b"X: y\r\n".repeat(100));
            pushed += 600;
        }
        assert!(pushed <= MESSAGE_BYTES_MAX + 600);
        assert_eq!(framer.poll_message(), Err(FramingError::TooLong));
    }

    #[test]
    fn one_byte_at_a_time_costs_linear_time() {
        let start = std::time::Instant::now();
        let mut framer = StreamFramer::new();
        let text = message("1", &format!("X: {}\r\nl: 20000\r\n", "y".repeat(30_000)), &"b".repeat(20_000));
        let mut out = 0;
        for byte in text.as_bytes() {
            framer.push(&[*byte]);
            out += all(&mut framer).len();
        }
        assert_eq!(out, 1);
        assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
    }

    #[test]
    fn mutated_streams_are_cut_alike_in_all_steps() {
        let seed = message("1", "Content-Length: 4\r\n", "abcd") + "\r\n\r\n" + &message("2", "l: 0\r\n", "");
        let pieces =
            ["\r\n", "\r", "\n", "\r\n\r\n", "l: 3\r\n", " ", ":", "9", "Content-Length", "\0", "SIP/2.0"];
        let mut random = crate::testing::Random::new(1);
        let mut stopped = 0;
        for round in 0..5_000 {
            let stream = random.mutated(seed.as_bytes(), &pieces);
            let cut = |step: usize| {
                let mut framer = StreamFramer::new();
                let mut out = Vec::new();
                for chunk in stream.chunks(step) {
                    framer.push(chunk);
                    while let Ok(Some(message)) = framer.poll_message() {
                        out.push(message);
                    }
                }
                (out, framer.poll_message().err())
            };
            let whole = cut(usize::MAX);
            stopped += u32::from(whole.1.is_some());
            assert_eq!(cut(1 + random.below(9)), whole, "round {round}");
        }
        assert!((500..4_500).contains(&stopped), "{stopped} stopped");
    }
}
