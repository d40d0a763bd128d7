//! Functions that write characters another way: `url_encode`, `url_decode`, `escape`, `sql_escape`.

use md5::Digest;

use crate::text::Text;

/// Percent-encodes; an upper-case `%HH` that is there already stays.
pub(super) fn url_encode(text: &Text) -> Text {
    let bytes = text.as_str().as_bytes();
    rewrite(text, |at| {
        let byte = bytes[at];
        let is_encoded = byte == b'%'
            && bytes
                .get(at + 1..at + 3)
                .is_some_and(|hex| hex.iter().all(|&h| matches!(h, b'0'..=b'9' | b'A'..=b'F')));
        if is_encoded || !is_url_unsafe(byte) {
            return None;
        }
        Some((1, format!("%{byte:02X}")))
    })
}

fn is_url_unsafe(byte: u8) -> bool {
    !(0x20..0x7F).contains(&byte) || b" #%&+:;<=>?@[\\]^`{|}\"".contains(&byte)
}

/// Decodes `%hh`. Bytes that do not make characters become U+FFFD.
pub(super) fn url_decode(text: &Text) -> Text {
    let bytes = text.as_str().as_bytes();
    let mut out = Text::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let is_atom = text.is_atom_at(at);
        // A run of encoded bytes may make one character, so it is decoded as a whole.
        let mut decoded = Vec::new();
        while let Some(byte) = encoded_byte(bytes, at)
            && text.is_atom_at(at) == is_atom
            && text.is_atom_at(at + 2) == is_atom
        {
            decoded.push(byte);
            at += 3;
        }
        if at == start {
            at += 1;
            while at < bytes.len() && bytes[at] != b'%' {
                at += 1;
            }
            out.push_slice(text, start..at);
        } else if is_atom {
            out.push_network(&String::from_utf8_lossy(&decoded));
        } else {
            out.push_str(&String::from_utf8_lossy(&decoded));
        }
    }
    out
}

fn encoded_byte(bytes: &[u8], at: usize) -> Option<u8> {
    let &[b'%', high, low] = bytes.get(at..at + 3)? else { return None };
    let digit = |hex: u8| char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Writes line ends, tabs, blanks and dollars as backslash sequences.
pub(super) fn escape(text: &Text) -> Text {
    let bytes = text.as_str().as_bytes();
    rewrite(text, |at| {
        let escaped = match bytes[at] {
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            b' ' => "\\s",
            b'$' => "\\$",
            _ => return None,
        };
        Some((1, escaped.to_owned()))
    })
}

/// Doubles single quotes.
pub(super) fn sql_escape(text: &Text) -> Text {
    let bytes = text.as_str().as_bytes();
    rewrite(text, |at| (bytes[at] == b'\'').then(|| (1, "''".to_owned())))
}

/// The MD5 digest in hexadecimal digits, which are nobody's syntax.
pub(super) fn md5(text: &Text) -> Text {
    if text.is_empty() {
        return Text::trusted("!err!");
    }
    let digest = md5::Md5::digest(text.as_str().as_bytes());
    Text::trusted(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Between single quotes, in which a shell reads nothing.
pub(super) fn quote_shell_arg(text: &Text) -> Text {
    let bytes = text.as_str().as_bytes();
    let mut out = Text::trusted("'");
    out.push_text(&rewrite(text, |at| (bytes[at] == b'\'').then(|| (1, "'\\''".to_owned()))));
    out.push('\'');
    out
}

/// Copies `text`, replacing what `of` says at a byte: how many bytes, by what. The replacement has the provenance of
/// what it replaces.
pub(super) fn rewrite(text: &Text, of: impl Fn(usize) -> Option<(usize, String)>) -> Text {
    let mut out = Text::new();
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        let Some((len, replacement)) = of(at) else {
            at += 1;
            continue;
        };
        out.push_slice(text, copied..at);
        if text.is_atom_at(at) {
            out.push_network(&replacement);
        } else {
            out.push_str(&replacement);
        }
        at += len;
        copied = at;
    }
    out.push_slice(text, copied..text.len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_encode_leaves_what_is_encoded() {
        assert_eq!(url_encode(&Text::trusted("a b%2Fc%2fd'/~é")).as_str(), "a%20b%2Fc%252fd'/~%C3%A9");
    }

    #[test]
    fn url_decode_leaves_what_is_not_encoded() {
        assert_eq!(url_decode(&Text::trusted("a%20b%26c%3Dd+e%zz%")).as_str(), "a b&c=d+e%zz%");
        assert_eq!(url_decode(&Text::trusted("%C3%A9%ff")).as_str(), "é\u{FFFD}");
    }

    #[test]
    fn what_is_decoded_from_an_atom_is_an_atom() {
        let mut text = Text::trusted("%2C");
        text.push_network("%2C");
        assert_eq!(format!("{:?}", url_decode(&text)), "\",‹,›\"");
        assert_eq!(format!("{:?}", escape(&Text::network("a $"))), "\"‹a\\\\s\\\\$›\"");
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(sql_escape(&Text::trusted("O'Neill")).as_str(), "O''Neill");
        assert_eq!(quote_shell_arg(&Text::trusted("it's")).as_str(), "'it'\\''s'");
    }

    #[test]
    fn digests_are_hexadecimal() {
        assert_eq!(md5(&Text::network("abc")), Text::trusted("900150983cd24fb0d6963f7d28e17f72"));
        assert_eq!(md5(&Text::new()).as_str(), "!err!");
    }
}
