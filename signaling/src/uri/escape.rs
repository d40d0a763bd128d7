//! Percent escapes of URIs (RFC 3261 §19.1.2).

use std::borrow::Cow;

/// Whether each `%` is followed by two hexadecimal digits.
pub(super) fn is_well_formed(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'%', bytes).all(|at| escaped_byte(bytes, at).is_some())
}

/// Undoes the escapes of `text` once: `%2541` becomes `%41` and not `A` (RFC 4475 §3.1.1.3).
///
/// If the result were not UTF-8, `text` comes back as it is. NUL and line breaks can come out; whoever writes the
/// result into a message goes through the [`Builder`](crate::builder::Builder), which lets none of them pass.
pub fn unescape(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if memchr::memchr(b'%', bytes).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match escaped_byte(bytes, at) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Escapes what may not stand in a user part (RFC 3261 §25.1 `user`), `%` itself included.
pub fn encode_user(text: &str) -> Cow<'_, str> {
    encode(text, |b| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
            || matches!(b, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/')
    })
}

/// Escapes what may not stand in the name or the value of a URI parameter (RFC 3261 §25.1, `pname` and `pvalue`).
pub fn encode_param(text: &str) -> Cow<'_, str> {
    encode(text, |b| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
            || matches!(b, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$')
    })
}

/// Escapes each byte of `text` that `allowed` does not allow.
pub(crate) fn encode(text: &str, allowed: impl Fn(u8) -> bool) -> Cow<'_, str> {
    if text.bytes().all(&allowed) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if allowed(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(hex_digit(byte >> 4));
            encoded.push(hex_digit(byte & 15));
        }
    }
    Cow::Owned(encoded)
}

/// The byte that the escape at `at` stands for.
fn escaped_byte(bytes: &[u8], at: usize) -> Option<u8> {
    let &[b'%', high, low] = bytes.get(at..at + 3)? else {
        return None;
    };
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn hex_digit(value: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(value & 15)])
}
