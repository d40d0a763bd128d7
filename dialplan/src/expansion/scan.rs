//! The scanner of an expansion: where a reference begins and ends, and what backslashes and dollars mean.

use std::ops::Range;

use super::Cut;
use super::leading_integer;
use crate::text::Text;

/// One piece of a text, and where the next one begins.
pub(super) enum Piece {
    /// These bytes are copied.
    Copy(Range<usize>, usize),
    /// A reference; this stands between its braces.
    Reference(Range<usize>, usize),
}

/// Whether any rule of expansion applies to the text at all (dialplan.md §15.1).
pub(super) fn is_expandable(text: &Text) -> bool {
    let bytes = text.as_str().as_bytes();
    bytes.iter().enumerate().any(|(at, &byte)| match byte {
        b'\\' => begins_escape(text, at),
        b'$' => begins_reference(text, at),
        _ => false,
    })
}

fn begins_escape(text: &Text, at: usize) -> bool {
    let next = text.syntax_at(at + 1);
    text.syntax_at(at).is_some() && matches!(next, Some(b'\\' | b'n' | b's' | b't' | b'\''))
}

fn begins_reference(text: &Text, at: usize) -> bool {
    if text.syntax_at(at).is_none() {
        return false;
    }
    let mut brace = at + 1;
    while text.syntax_at(brace) == Some(b'\\') {
        brace += 1;
    }
    text.syntax_at(brace) == Some(b'{')
}

/// The piece that begins at `at`, which lies within the text. Directly after a reference a backslash is ordinary.
pub(super) fn next(text: &Text, at: usize, after_reference: bool) -> Piece {
    let second = text.syntax_at(at + 1);
    match text.syntax_at(at) {
        Some(b'\\') if !after_reference => match second {
            // `\$` is a dollar and takes a second one with it.
            Some(b'$') if text.syntax_at(at + 2) == Some(b'$') => Piece::Copy(at + 1..at + 2, at + 3),
            Some(b'$') => Piece::Copy(at + 1..at + 2, at + 2),
            Some(b'\'') => Piece::Copy(at..at, at + 2),
            Some(b'\\') => Piece::Copy(at..at + 1, at + 2),
            _ => Piece::Copy(at..at + 1, at + 1),
        },
        Some(b'$') => match (second, text.syntax_at(at + 2)) {
            (Some(b'{'), _) => reference(text, at + 2),
            (Some(b'$'), Some(b'{')) => reference(text, at + 3),
            (Some(b'$'), _) => Piece::Copy(at..at + 1, at + 2),
            _ => Piece::Copy(at..at + 1, at + 1),
        },
        _ => {
            let end = end_of_run(text, at + 1);
            Piece::Copy(at..end, end)
        }
    }
}

fn end_of_run(text: &Text, from: usize) -> usize {
    let mut end = from;
    while end < text.len() && !matches!(text.syntax_at(end), Some(b'\\' | b'$')) {
        end += 1;
    }
    end
}

/// The reference whose opening brace stands before `start`. Nested braces count, except one directly after the
/// opening; one that is not closed takes the rest of the text.
fn reference(text: &Text, start: usize) -> Piece {
    let mut depth = 1;
    for at in start..text.len() {
        match text.syntax_at(at) {
            Some(b'}') if depth == 1 => return Piece::Reference(start..at, at + 1),
            Some(b'}') => depth -= 1,
            Some(b'{') if at != start => depth += 1,
            _ => {}
        }
    }
    Piece::Reference(start..text.len(), text.len())
}

/// Splits `name(arguments)…` or `name arguments`; `None` for a variable (dialplan.md §15.4). With a parenthesis what
/// follows the closing one is lost; with a blank the argument ends at the first parenthesis that closes one.
pub(super) fn split_call(body: &Text) -> Option<(Text, Text)> {
    let opening = (0..body.len()).find(|&at| matches!(body.syntax_at(at), Some(b' ' | b'(')))?;
    let mut depth = usize::from(body.syntax_at(opening) == Some(b'('));
    let mut end = body.len();
    for at in opening + 1..body.len() {
        match body.syntax_at(at) {
            Some(b'(') => depth += 1,
            Some(b')') if depth == 1 => {
                end = at;
                break;
            }
            Some(b')') if depth > 1 => depth -= 1,
            _ => {}
        }
    }
    Some((body.slice(0..opening), body.slice(opening + 1..end)))
}

/// `CMD ARGS` of `expand`.
pub(super) fn split_command(text: &Text) -> (Text, Text) {
    let end = text.find_syntax(b' ', 0).unwrap_or(text.len());
    (text.slice(0..end), text.slice(end + 1..text.len()).trim_syntax())
}

/// `name[index]:offset:length`.
pub(super) struct VariableReference {
    pub(super) name: String,
    pub(super) index: Option<usize>,
    pub(super) cut: Cut,
}

impl VariableReference {
    pub(super) fn parse(text: &Text) -> VariableReference {
        let mut cut = Cut::default();
        let mut name = text.clone();
        if let Some(colon) = text.find_syntax(b':', 0) {
            name.truncate(colon);
            cut.offset = leading_integer(&text.as_str()[colon + 1..]);
            if let Some(second) = text.find_syntax(b':', colon + 1) {
                cut.length = leading_integer(&text.as_str()[second + 1..]);
            }
        }
        let mut index = None;
        if let Some(bracket) = name.find_syntax(b'[', 0)
            && name.find_syntax(b']', bracket).is_some()
        {
            index = usize::try_from(leading_integer(&name.as_str()[bracket + 1..])).ok();
            name.truncate(bracket);
        }
        VariableReference { name: name.into_string(), index, cut }
    }
}
