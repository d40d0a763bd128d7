//! The two written forms of a directive: `<X-PRE-PROCESS cmd="…" data="…"/>` and `<!--#cmd arg-->`.

use std::ops::Range;

/// What a line holds of the element form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tagged {
    /// The word does not occur: an ordinary line.
    Absent,
    /// The word occurs, but no `<` stands before it: how operators switch a directive off.
    Disabled,
    /// A directive without `cmd="…"` and then `data="…"`; where the tag begins.
    Incomplete(usize),
    /// A directive.
    Given(Given),
}

/// Where the parts of a directive stand in its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// The whole element, from `<` to `>`.
    pub(super) tag: Range<usize>,
    pub(super) command: Range<usize>,
    pub(super) data: Range<usize>,
}

const WORD: &str = "X-PRE-PROCESS";

/// Looks for the element form: the first occurrence of the word counts, in any case.
pub(super) fn tagged(line: &str) -> Tagged {
    let Some(word) = find_word(line) else { return Tagged::Absent };
    if !line[..word].ends_with('<') {
        return Tagged::Disabled;
    }
    let start = word - 1;
    let after_word = word + WORD.len();
    let Some(command) = quoted(line, after_word, "cmd") else { return Tagged::Incomplete(start) };
    let Some(data) = quoted(line, command.end + 1, "data") else { return Tagged::Incomplete(start) };
    let end = line[data.end..].find('>').map_or(line.len(), |at| data.end + at + 1);
    Tagged::Given(Given { tag: start..end, command, data })
}

fn find_word(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let word = WORD.as_bytes();
    memchr::memchr2_iter(b'X', b'x', bytes)
        .find(|&at| bytes.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word)))
}

/// The text between the double quotes after the first `name="`, searched from an offset on.
fn quoted(line: &str, from: usize, name: &str) -> Option<Range<usize>> {
    line.get(from..)?.match_indices(name).find_map(|(at, _)| {
        let mut start = from + at + name.len();
        for sign in ['=', '"'] {
            start += blanks(&line[start..]);
            line[start..].strip_prefix(sign)?;
            start += 1;
        }
        let len = line[start..].find('"')?;
        Some(start..start + len)
    })
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// A directive in a comment: `<!--#cmd arg-->`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Commented {
    /// From `<!--#` to where the comment ends, or to the end of the line.
    pub(super) comment: Range<usize>,
    /// Whether the comment ends on this line.
    pub(super) closed: bool,
    pub(super) command: Range<usize>,
    pub(super) argument: Range<usize>,
}

/// Looks for the comment form.
pub(super) fn commented(line: &str) -> Option<Commented> {
    const OPEN: &str = "<!--#";
    let start = line.find(OPEN)?;
    let inner = start + OPEN.len();
    let close = line[inner..].find("-->").map(|at| inner + at);
    let inner_end = close.unwrap_or(line.len());
    let content = &line[inner..inner_end];
    let command_len = content.find([' ', '\t']).unwrap_or(content.len());
    let argument = inner + command_len;
    Some(Commented {
        comment: start..close.map_or(line.len(), |at| at + 3),
        closed: close.is_some(),
        command: inner..argument,
        argument: unquoted(line, argument..inner_end),
    })
}

/// Takes blanks and the quotes off.
fn unquoted(line: &str, range: Range<usize>) -> Range<usize> {
    let text = &line[range.clone()];
    if let Some(open) = text.find('"') {
        let start = range.start + open + 1;
        let len = line[start..range.end].find('"').unwrap_or(range.end - start);
        return start..start + len;
    }
    let start = range.end - text.trim_start().len();
    start..start + text.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> Option<(&str, &str)> {
        match tagged(line) {
            Tagged::Given(given) => Some((&line[given.command], &line[given.data])),
            _ => None,
        }
    }

    #[test]
    fn the_element_form_is_read_in_any_case_with_anything_around_it() {
        assert_eq!(
            parts(r#"  <X-PRE-PROCESS cmd="set" data="a=b > c"/> <!-- x -->"#),
            Some(("set", "a=b > c"))
        );
        assert_eq!(parts(r#"<x-pre-process cmd = "set" data= "a=b" >"#), Some(("set", "a=b")));
        assert_eq!(parts(r#"<X-PRE-PROCESS cmd="set" of="data" data="é=ü"/>"#), Some(("set", "é=ü")));
    }

    #[test]
    fn other_spellings_are_no_directive() {
        assert_eq!(tagged("<param name=\"x\"/>"), Tagged::Absent);
        assert_eq!(tagged("<X-NO-PRE-PROCESS cmd=\"set\" data=\"a=b\"/>"), Tagged::Absent);
        assert_eq!(tagged("<XX-PRE-PROCESS cmd=\"set\" data=\"a=b\"/>"), Tagged::Disabled);
        assert_eq!(tagged("X-PRE-PROCESS"), Tagged::Disabled);
        assert_eq!(tagged(" <X-PRE-PROCESS data=\"a=b\" cmd=\"set\"/>"), Tagged::Incomplete(1));
        assert_eq!(tagged("<X-PRE-PROCESS cmd='set' data='a=b'/>"), Tagged::Incomplete(0));
        assert_eq!(tagged("<X-PRE-PROCESS cmd=\"set\" data=\"a=b"), Tagged::Incomplete(0));
    }

    #[test]
    fn the_comment_form_is_read_with_or_without_quotes_and_end() {
        let read = |line: &'static str| {
            commented(line).map(|found| (&line[found.command], &line[found.argument], found.closed))
        };
        assert_eq!(read("a <!--#set \"old=style\"--> b"), Some(("set", "old=style", true)));
        assert_eq!(read("<!--#include   x/*.xml  -->"), Some(("include", "x/*.xml", true)));
        assert_eq!(read("<!--#comment"), Some(("comment", "", false)));
        assert_eq!(read("<!-- #set a=b -->"), None);
    }
}
