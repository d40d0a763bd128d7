//! The grammar that all SIP headers share (RFC 3261 §25.1): tokens, quoted strings, comma-separated lists.
//!
//! Everything here walks its input once. Values have been unfolded before, so white space is SP and HTAB only.

use std::borrow::Cow;

/// White space inside an unfolded header value.
pub(crate) const LWS: [char; 2] = [' ', '\t'];

/// Whether `byte` may stand in a token (RFC 3261 §25.1).
pub const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// Whether `text` is a token: not empty, nothing but token characters.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Takes the white space off both ends of an unfolded value.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(LWS)
}

/// Where the quoted string that begins `text` ends: the index behind its closing quote.
pub(crate) fn quoted_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// The content of a quoted string, escapes taken out; text that is not quoted comes back as it is.
pub fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next()),
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

/// `text` as a quoted string. Line breaks and NUL, which no quoting can carry, become spaces.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '\r' | '\n' | '\0' => quoted.push(' '),
            '"' | '\\' => quoted.extend(['\\', c]),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// The number a run of digits stands for; `None` for anything else and beyond `u64`.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// The entries of a comma-separated value. Commas inside quoted strings and `<…>` do not separate.
///
/// Entries come trimmed; empty ones (`a,,b`) are left out, as RFC 9110 §5.6.1 advises and the field does.
pub fn split_list(value: &str) -> List<'_> {
    List { rest: value }
}

/// The first entry of a comma-separated value, and what follows its comma.
pub(crate) fn split_first(value: &str) -> (&str, &str) {
    let mut list = split_list(value);
    let first = list.next().unwrap_or("");
    (first, trim(list.rest))
}

/// What [`split_list`] returns.
#[derive(Clone, Debug)]
pub struct List<'a> {
    rest: &'a str,
}

impl<'a> Iterator for List<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        while !self.rest.is_empty() {
            let end = entry_end(self.rest);
            let entry = trim(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or("");
            if !entry.is_empty() {
                return Some(entry);
            }
        }
        None
    }
}

/// Where the first entry of a list ends: at a comma of its own level, or with the text.
fn entry_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut quoted, mut bracketed) = (0, false, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' if !bracketed => quoted = !quoted,
            b'<' if !quoted => bracketed = true,
            b'>' if !quoted => bracketed = false,
            b',' if !quoted && !bracketed => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_separate() {
        let value = r#" "Bell, A." <sip:a,b@x> , <sip:c@y>;q="1,2" ,, "a\",b" <sip:d@z>"#;
        let entries: Vec<_> = split_list(value).collect();
        assert_eq!(entries, [r#""Bell, A." <sip:a,b@x>"#, r#"<sip:c@y>;q="1,2""#, r#""a\",b" <sip:d@z>"#]);
    }

    #[test]
    fn an_unfinished_quote_swallows_the_rest_and_nothing_more() {
        assert_eq!(split_list(r#""a, b"#).collect::<Vec<_>>(), [r#""a, b"#]);
        assert_eq!(split_list("").count(), 0);
        assert_eq!(split_list(",,,").count(), 0);
    }

    #[test]
    fn quoting_is_undone_by_unquoting() {
        for text in ["", "plain", r#"a"b\c"#, "späť", "tab\there"] {
            assert_eq!(unquote(&quote(text)), text);
        }
        assert_eq!(quote("a\r\nVia: x\0"), "\"a  Via: x \"");
    }

    #[test]
    fn a_quoted_string_ends_at_its_unescaped_quote() {
        assert_eq!(quoted_end(r#""a\"b" c"#), Some(6));
        assert_eq!(quoted_end(r#""a\""#), None);
        assert_eq!(quoted_end(r#""a\"#), None);
        assert_eq!(quoted_end("a"), None);
    }
}
