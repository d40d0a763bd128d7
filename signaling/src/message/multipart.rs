//! Finds one part of a multipart body (RFC 2046 §5.1, RFC 5621 §3): an SDP beside an ISUP or a location.
//!
//! One level deep and one pass: parts that are multipart themselves are opaque, however many there are.

use bytes::Bytes;
use memchr::memmem::Finder;

use crate::params::Params;
use crate::text::trim;

/// Longest boundary that RFC 2046 §5.1.1 allows.
const BOUNDARY_BYTES_MAX: usize = 70;

/// Most parts that are looked at. Real bodies have two or three.
const PARTS_MAX: usize = 16;

/// Whether the Content-Type `value` names `media_type`, whatever its parameters.
pub(super) fn is_type(value: &str, media_type: &str) -> bool {
    trim(value.split(';').next().unwrap_or("")).eq_ignore_ascii_case(media_type)
}

/// The first part of `body` that has `media_type`, if `content_type` is multipart with a usable boundary.
pub(super) fn part(content_type: &str, body: &Bytes, media_type: &str) -> Option<Bytes> {
    let (name, params) = content_type.split_at(content_type.find(';')?);
    if !trim(name).get(..10)?.eq_ignore_ascii_case("multipart/") {
        return None;
    }
    let boundary = Params::parse_header(params)?.get_unquoted("boundary")?;
    if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
        return None;
    }
    let delimiter = format!("\r\n--{boundary}");
    let finder = Finder::new(&delimiter);
    // The first delimiter may open the body, without the line break that belongs to the others.
    let mut at = if body.starts_with(&delimiter.as_bytes()[2..]) {
        delimiter.len() - 2
    } else {
        finder.find(body)? + delimiter.len()
    };
    for _ in 0..PARTS_MAX {
        if body[at..].starts_with(b"--") {
            return None; // the last delimiter
        }
        let start = at + memchr::memmem::find(&body[at..], b"\r\n")? + 2;
        // The delimiter may begin with the line break of the one before: a part with nothing in it.
        let end = start - 2 + finder.find(&body[start - 2..])?;
        if let Some(content) = content_of(&body.slice(start..end.max(start)), media_type) {
            return Some(content);
        }
        at = end + delimiter.len();
    }
    None
}

/// The content behind the part's headers, if it has `media_type`.
fn content_of(part: &Bytes, media_type: &str) -> Option<Bytes> {
    let (head_len, content_start) = match memchr::memmem::find(part, b"\r\n\r\n") {
        _ if part.starts_with(b"\r\n") => return None, // no headers: text/plain
        Some(blank) => (blank, blank + 4),
        None => return None,
    };
    let head = std::str::from_utf8(&part[..head_len]).ok()?;
    let of_type = head.split("\r\n").filter_map(|line| line.split_once(':')).any(|(name, value)| {
        trim(name).eq_ignore_ascii_case("Content-Type") && is_type(trim(value), media_type)
    });
    of_type.then(|| part.slice(content_start..))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "multipart/mixed; boundary=\"a b\"";

    fn sdp_of(content_type: &str, body: &str) -> Option<String> {
        let part = part(content_type, &Bytes::from(body.to_owned()), "application/sdp")?;
        Some(String::from_utf8_lossy(&part).into_owned())
    }

    #[test]
    fn the_first_part_of_the_type_is_found() {
        let body = "preamble\r\n--a b\r\nContent-Type: application/ISUP;version=x\r\n\r\n\u{1}\u{2}\r\n\r\n--a b \r\n\
            Content-Disposition: session\r\ncontent-TYPE : Application/SDP ;x=y\r\n\r\nv=0\r\ns=-\r\n\r\n--a b\r\n\
            Content-Type: application/sdp\r\n\r\nsecond\r\n--a b--\r\nepilogue";
        assert_eq!(sdp_of(MIXED, body).as_deref(), Some("v=0\r\ns=-\r\n"));
        assert_eq!(sdp_of(MIXED, &body[10..]).as_deref(), Some("v=0\r\ns=-\r\n"));
        assert_eq!(sdp_of("application/mixed;boundary=\"a b\"", body), None);
    }

    #[test]
    fn broken_bodies_have_no_parts() {
        let sdp = "Content-Type: application/sdp\r\n\r\nv=0";
        for (content_type, body) in [
            ("multipart/mixed", format!("--a b\r\n{sdp}\r\n--a b--")),
            ("multipart/mixed;boundary=\"\"", format!("--\r\n{sdp}\r\n----")),
            ("multipart/mixed;boundary", format!("--\r\n{sdp}\r\n----")),
            (MIXED, String::new()),
            (MIXED, format!("--a b\r\n{sdp}")),
            (MIXED, "--a b".to_owned()),
            (MIXED, "--a b\r\n--a b\r\n--a b--".to_owned()),
            (MIXED, format!("--a b\r\n\r\n{sdp}\r\n--a b--")),
            (MIXED, format!("--a b--\r\n{sdp}\r\n--a b--")),
            (MIXED, format!("{}\r\n--a b\r\n{sdp}\r\n--a b--", "\r\n--a b\r\nX: y\r\n".repeat(PARTS_MAX))),
        ] {
            assert_eq!(sdp_of(content_type, &body), None, "{content_type} {body}");
        }
        let nested = format!(
            "--a b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n--c\r\n{sdp}\r\n--c--\r\n--a b--"
        );
        assert_eq!(sdp_of(MIXED, &nested), None);
    }
}
