//! Takes payload types out of a description that is passed on: `bypass_media_sdp_filter`.
//!
//! ```text
//!   filter  = command *("|" command)        each works on what the one before left
//!   command = "remove(" X ")"               takes X out
//!           | "only(" X ")"                 keeps X and telephone-event
//!   X       = a payload type's number, or the name of an encoding
//! ```
//!
//! Only the formats of RTP media lines and the rtpmap and fmtp lines of what went are touched. A media line that would
//! be left empty keeps all it has: without formats it would be malformed. Other words do nothing.

use bytes::Bytes;

use super::{Media, SdpError, Session};
use crate::text::{number, trim};

enum Command<'a> {
    Remove(&'a str),
    Only(&'a str),
}

/// The body with the payload types gone that `filter` takes out.
pub fn filter(body: &[u8], filter: &str) -> Result<Bytes, SdpError> {
    let commands: Vec<Command<'_>> = filter.split('|').filter_map(Command::parse).collect();
    let session = Session::parse(body)?;
    let dropped: Vec<Vec<u8>> = session.media.iter().map(|media| dropped(media, &commands)).collect();
    let mut out = Vec::with_capacity(body.len());
    let mut of_media: &[u8] = &[];
    let mut sections = dropped.iter();
    for line in body.split_inclusive(|&b| b == b'\n') {
        if line.starts_with(b"m=") {
            of_media = sections.next().map_or(&[], Vec::as_slice);
            push_media_line(&mut out, line, of_media);
        } else if !explains(line, of_media) {
            out.extend_from_slice(line);
        }
    }
    Ok(Bytes::from(out))
}

impl<'a> Command<'a> {
    fn parse(word: &'a str) -> Option<Command<'a>> {
        let (verb, operand) = trim(word).strip_suffix(')')?.split_once('(')?;
        let operand = trim(operand);
        match trim(verb) {
            _ if operand.is_empty() => None,
            "remove" => Some(Command::Remove(operand)),
            "only" => Some(Command::Only(operand)),
            _ => None,
        }
    }
}

/// The payload types of `media` that go.
fn dropped(media: &Media, commands: &[Command<'_>]) -> Vec<u8> {
    if !media.is_rtp() {
        return Vec::new();
    }
    let mut kept: Vec<u8> = media.payload_types().collect();
    let before = kept.clone();
    for command in commands {
        let mut left = kept.clone();
        left.retain(|&payload_type| match command {
            Command::Remove(which) => !is_named(media, payload_type, which),
            Command::Only(which) => {
                is_named(media, payload_type, which) || is_named(media, payload_type, "telephone-event")
            }
        });
        // Events alone carry no call.
        if left.iter().any(|&payload_type| !is_named(media, payload_type, "telephone-event")) {
            kept = left;
        }
    }
    before.into_iter().filter(|payload_type| !kept.contains(payload_type)).collect()
}

fn is_named(media: &Media, payload_type: u8, which: &str) -> bool {
    match number(which) {
        Some(wanted) => u64::from(payload_type) == wanted,
        None => media.rtpmap(payload_type).is_some_and(|map| map.encoding.eq_ignore_ascii_case(which)),
    }
}

/// The media line without the formats in `dropped`; what is not touched stays as it is.
fn push_media_line(out: &mut Vec<u8>, line: &[u8], dropped: &[u8]) {
    if dropped.is_empty() {
        return out.extend_from_slice(line);
    }
    let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let kept: Vec<&[u8]> = words
        .enumerate()
        .filter(|(at, word)| *at < 3 || !payload_type(word).is_some_and(|format| dropped.contains(&format)))
        .map(|(_, word)| word)
        .collect();
    out.extend_from_slice(&kept.join(&b' '));
    out.extend_from_slice(b"\r\n");
}

/// Whether `line` is the rtpmap or fmtp of a payload type in `dropped`.
fn explains(line: &[u8], dropped: &[u8]) -> bool {
    let value = [&b"a=rtpmap:"[..], b"a=fmtp:"].into_iter().find_map(|start| line.strip_prefix(start));
    let format = value.and_then(|value| value.trim_ascii().split(u8::is_ascii_whitespace).next());
    format.and_then(payload_type).is_some_and(|format| dropped.contains(&format))
}

fn payload_type(word: &[u8]) -> Option<u8> {
    u8::try_from(number(std::str::from_utf8(word).ok()?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "v=0\r\nm=audio 4000 RTP/AVP 0 8 18 97 101\r\na=rtpmap:97 opus/48000/2\r\na=fmtp:97 x=y\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=fmtp:18 annexb=no\r\n\
        m=video 4002 RTP/AVP 31\r\nm=image 4004 udptl t38\r\n";

    fn filtered(commands: &str) -> String {
        String::from_utf8(filter(BODY.as_bytes(), commands).expect("legal").to_vec()).expect("UTF-8")
    }

    #[test]
    fn removed_payload_types_go_with_what_explains_them() {
        let expected = BODY.replace(" 97", "").replace("a=rtpmap:97 opus/48000/2\r\na=fmtp:97 x=y\r\n", "");
        assert_eq!(filtered("remove(OPUS)"), expected);
        assert_eq!(filtered("remove(97)"), expected);
        assert!(
            filtered("remove(opus)|remove(g729)| remove( 0 )").contains("m=audio 4000 RTP/AVP 8 101\r\n")
        );
        assert!(!filtered("remove(18)").contains("annexb"));
    }

    #[test]
    fn only_keeps_events_beside_what_it_names() {
        let out = filtered("only(PCMA)");
        assert!(out.contains("m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101"), "{out}");
        assert!(out.contains("m=video 4002 RTP/AVP 31\r\n"), "a line that would be empty keeps all: {out}");
    }

    #[test]
    fn what_would_leave_nothing_or_is_no_command_does_nothing() {
        for commands in
            ["", "only(speex)", "remove()", "remove(0,8)", "drop(0)", "remove(0", "|", "only(t38)"]
        {
            assert_eq!(filtered(commands), BODY, "{commands}");
        }
        assert_eq!(filter(b"<xml/>", "remove(0)"), Err(SdpError::Line(1)));
    }
}
