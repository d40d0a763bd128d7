//! `&amp;`, `&#228;` and their like, and the bare signs that should have been written so.

use crate::problem::Problems;
use crate::source::Source;
use std::ops::Range;

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Between quotes: white space becomes blanks (XML 1.0 §3.3.3), and a bare `<` is told.
    Attribute,
    /// Between tags.
    Text,
}

/// Longest reference: a name of XML's five, or a number.
const REFERENCE_BYTES_MAX: usize = 32;

/// Adds a part of the source to `out`, its references resolved. What looks like a reference but is none
/// stays as it is written, as in FreeSWITCH; it is told once per text.
pub(super) fn resolve(
    source: &Source,
    range: Range<usize>,
    kind: Kind,
    problems: &mut Problems,
    out: &mut String,
) {
    let raw = &source.text()[range.clone()];
    let mut told = [false; 2];
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '<', '\n', '\t', '\r']) {
        out.push_str(&rest[..at]);
        let offset = range.start + raw.len() - rest.len() + at;
        rest = &rest[at..];
        let (taken, resolved) = match rest.as_bytes()[0] {
            b'&' => match reference(rest) {
                Reference::To(letter, len) => (len, letter),
                Reference::Unknown(len) => {
                    tell(&mut told[0], || {
                        let what = format!("`{}` is not known and stays as it is", &rest[..len]);
                        problems.warning_expecting(source.place(offset), what, "`&amp;` for a plain `&`");
                    });
                    (1, '&')
                }
                Reference::Bare => {
                    tell(&mut told[0], || {
                        problems.warning_expecting(source.place(offset), "a bare `&`", "`&amp;`");
                    });
                    (1, '&')
                }
            },
            b'<' => {
                tell(&mut told[1], || {
                    problems.warning_expecting(source.place(offset), "a bare `<`", "`&lt;`");
                });
                (1, '<')
            }
            white if kind == Kind::Text => (1, char::from(white)),
            _ => (1, ' '),
        };
        out.push(resolved);
        rest = &rest[taken..];
    }
    out.push_str(rest);
}

fn tell(told: &mut bool, tell: impl FnOnce()) {
    if !std::mem::replace(told, true) {
        tell();
    }
}

enum Reference {
    To(char, usize),
    /// Written like a reference of this length, to nothing known.
    Unknown(usize),
    Bare,
}

/// Reads the reference that a text begins with.
fn reference(text: &str) -> Reference {
    let Some(end) = text.bytes().take(REFERENCE_BYTES_MAX).position(|byte| byte == b';') else {
        return Reference::Bare;
    };
    let name = &text[1..end];
    let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'#');
    let letter = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => numbered(name),
    };
    match letter {
        Some(letter) => Reference::To(letter, end + 1),
        None if is_word => Reference::Unknown(end + 1),
        None => Reference::Bare,
    }
}

/// `#228` or `#xe4`; NUL is no character of XML.
fn numbered(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok()?,
        None if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        _ => return None,
    };
    char::from_u32(code).filter(|letter| *letter != '\0')
}
