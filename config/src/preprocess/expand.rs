//! `$${name}`: replaced while loading, line by line, by what the variable holds at that line.

use crate::globals::Globals;
use crate::limits::REFERENCES_PER_LINE_MAX;
use crate::source::{Piece, column_count};
use std::borrow::Cow;

/// References without a value that are told of one line.
const UNSET_TOLD_MAX: usize = 16;

/// A line after replacement.
pub(super) struct Expanded<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) pieces: Vec<Piece>,
    /// References without a value.
    pub(super) unset: Vec<Unset<'a>>,
    /// The offset in `text` of a reference that the line does not close; it is kept as it is.
    pub(super) unterminated: Option<usize>,
}

/// A reference in whose place nothing stands.
pub(super) struct Unset<'a> {
    pub(super) name: &'a str,
    /// Where nothing was put in the text.
    pub(super) offset: usize,
    /// Where the reference stood in the file's line.
    pub(super) column: u32,
}

/// The line would grow beyond what is left of the load's limit, or has too many references.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Replaces each `$${name}` of a line; what was put in is not looked at again.
pub(super) fn expand<'a>(
    line: &'a str,
    globals: &Globals,
    bytes_max: usize,
) -> Result<Expanded<'a>, TooLong> {
    let whole = Piece { start: 0, column: 1, replaced: false };
    let mut out =
        Expanded { text: Cow::Borrowed(line), pieces: vec![whole], unset: Vec::new(), unterminated: None };
    let mut rest = line;
    let mut column = 1;
    let mut text = String::new();
    while let Some(at) = rest.find("$${") {
        let Some(name_len) = brace_end(&rest[at + 3..]) else {
            out.unterminated = Some(text.len() + at);
            break;
        };
        if out.pieces.len() > 2 * REFERENCES_PER_LINE_MAX {
            return Err(TooLong);
        }
        text.push_str(&rest[..at]);
        column += column_count(&rest[..at]);
        let name = &rest[at + 3..at + 3 + name_len];
        let after = at + 3 + name_len + 1;
        out.pieces.push(Piece { start: text.len(), column, replaced: true });
        match globals.get(name) {
            Some(value) if text.len() + value.len() > bytes_max => return Err(TooLong),
            Some(value) => text.push_str(value),
            None if out.unset.len() < UNSET_TOLD_MAX => {
                out.unset.push(Unset { name, offset: text.len(), column });
            }
            None => {}
        }
        column += column_count(&rest[at..after]);
        out.pieces.push(Piece { start: text.len(), column, replaced: false });
        rest = &rest[after..];
    }
    if text.len() + rest.len() > bytes_max {
        return Err(TooLong);
    }
    if out.pieces.len() > 1 {
        text.push_str(rest);
        out.text = Cow::Owned(text);
    }
    Ok(out)
}

/// The length of a name up to the brace that closes it.
fn brace_end(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(line: &str) -> String {
        let globals = Globals::new().with("a", "1").with("b", "x$${a}x").with("c${d}", "nested");
        expand(line, &globals, 1_000).map(|out| out.text.into_owned()).expect("within the limit")
    }

    #[test]
    fn references_are_replaced_once_and_unset_ones_by_nothing() {
        assert_eq!(expanded("[$${a}|$${A}|$${none}|${a}]"), "[1|1||${a}]");
        assert_eq!(expanded("$${c${d}}"), "nested");
        assert_eq!(expanded("$$${a} $${"), "$1 $${");
        // The value was defused when it was set, and what is put in is not expanded again.
        assert_eq!(expanded("$${b}"), "x$%{a}x");
    }

    #[test]
    fn an_unterminated_reference_is_kept_and_told() {
        let globals = Globals::new().with("a", "12");
        let out = expand("$${a} $${b", &globals, 1_000).expect("within the limit");
        assert_eq!((out.text.as_ref(), out.unterminated), ("12 $${b", Some(3)));
    }

    #[test]
    fn a_line_does_not_grow_beyond_its_limit() {
        let globals = Globals::new().with("a", &"x".repeat(60));
        assert!(expand("$${a}$${a}", &globals, 120).is_ok());
        assert_eq!(expand("$${a}$${a}", &globals, 119).err(), Some(TooLong));
    }
}
