//! The standard tokenizer (dialplan.md §15.5, bridge.md §1.2), used by applications, functions and dial strings.
//!
//! Splitting goes over the text once and looks for delimiters; then each field is cleaned of its quotes, escapes
//! and outer blanks. Atoms hold no syntax: nothing in them is a delimiter, a quote, a backslash or a blank to trim.

use std::ops::Range;

use crate::text::Text;

/// Fields of a list whose items nobody counts: what lies beyond stays in the last field (bridge.md §1.2).
pub const FIELDS_MAX: usize = 128;

/// Splits `text` at `delimiter` into at most `max` fields; the last one keeps the rest.
///
/// Text that begins `^^D` is split at D instead. An empty text has no field, and a delimiter at the end begins none.
/// Delimiters are ASCII; at another character nothing is split.
pub fn split(text: &Text, delimiter: char, max: usize) -> Vec<Text> {
    split_holding(text, delimiter, max, &[])
}

/// Like [`split`], but commas within the `held` ranges, sorted and disjoint, are not looked at.
pub(crate) fn split_holding(text: &Text, delimiter: char, max: usize, held: &[Range<usize>]) -> Vec<Text> {
    let mut fields = Fields { text, delimiter: u8::try_from(delimiter).unwrap_or(0), end: text.len(), held };
    let mut start = 0;
    if text.has_syntax("^^", 0)
        && text.len() > 3
        && let Some(own) = text.syntax_at(2).filter(u8::is_ascii)
    {
        fields.delimiter = own;
        start = 3;
    }
    let ranges = if fields.delimiter == b' ' {
        fields.at_blanks(start, max)
    } else {
        fields.at_delimiters(start, max)
    };
    ranges.into_iter().map(|range| fields.clean(range)).collect()
}

/// Splits at the first delimiter that is neither quoted nor escaped and cleans both sides; `None` without one.
/// Unlike [`split`] it knows an empty second field.
pub(crate) fn split_pair(text: &Text, delimiter: u8) -> Option<(Text, Text)> {
    let fields = Fields { text, delimiter, end: text.len(), held: &[] };
    let first = fields.next_delimiter(0)?;
    Some((fields.clean(0..first), fields.clean(first + 1..text.len())))
}

/// Writes `text` so that splitting at `delimiter` and cleaning give it back as one field.
pub(crate) fn escape(text: &Text, delimiter: u8, held: &[Range<usize>]) -> Text {
    let fields = Fields { text, delimiter, end: text.len(), held };
    let blanks_before = (0..text.len()).take_while(|&at| text.syntax_at(at) == Some(b' ')).count();
    let blanks_after = (0..text.len()).rev().take_while(|&at| text.syntax_at(at) == Some(b' ')).count();
    let mut out = Text::new();
    let mut copied = 0;
    for at in 0..text.len() {
        let is_outer = at < blanks_before || at >= text.len() - blanks_after;
        let replacement = match fields.at(at) {
            Some(b' ') if is_outer => "\\s",
            Some(b'\\') => "\\\\",
            Some(b'\'') => "\\'",
            Some(byte) if byte == delimiter => {
                out.push_slice(text, copied..at);
                out.push('\\');
                copied = at;
                continue;
            }
            _ => continue,
        };
        out.push_slice(text, copied..at);
        out.push_str(replacement);
        copied = at + 1;
    }
    out.push_slice(text, copied..text.len());
    out
}

/// The text under the knife.
struct Fields<'a> {
    text: &'a Text,
    delimiter: u8,
    end: usize,
    held: &'a [Range<usize>],
}

impl Fields<'_> {
    fn at_delimiters(&self, start: usize, max: usize) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let mut from = start;
        while from < self.end && ranges.len() < max {
            let last = ranges.len() + 1 == max;
            let to = if last { self.end } else { self.next_delimiter(from).unwrap_or(self.end) };
            ranges.push(from..to);
            from = to + 1;
        }
        ranges
    }

    /// A run of blanks is one delimiter, and any quote protects.
    fn at_blanks(&self, start: usize, max: usize) -> Vec<Range<usize>> {
        let skip_blanks = |mut at: usize| {
            while self.at(at) == Some(b' ') {
                at += 1;
            }
            at
        };
        let mut ranges = Vec::new();
        let mut from = start;
        while from < self.end && ranges.len() < max {
            let begin = skip_blanks(from);
            if ranges.len() + 1 == max {
                ranges.push(begin..self.end);
                break;
            }
            let mut quoted = false;
            let mut at = begin;
            while at < self.end {
                match self.at(at) {
                    Some(b'\\') => at += 1,
                    Some(b'\'') => quoted = !quoted,
                    Some(b' ') if !quoted => break,
                    _ => {}
                }
                at += 1;
            }
            let to = at.min(self.end);
            ranges.push(begin..to);
            from = skip_blanks(to);
        }
        ranges
    }

    /// The next delimiter that is neither escaped nor between two quotes.
    fn next_delimiter(&self, from: usize) -> Option<usize> {
        let mut quoted = false;
        let mut at = from;
        while at < self.end {
            match self.at(at) {
                Some(b'\\') => at += 1,
                Some(b'\'') if quoted || self.text.find_syntax(b'\'', at + 1).is_some() => quoted = !quoted,
                Some(byte) if byte == self.delimiter && !quoted => return Some(at),
                _ => {}
            }
            at += 1;
        }
        None
    }

    /// Removes outer blanks, quotes and escapes.
    fn clean(&self, range: Range<usize>) -> Text {
        let field = Fields { end: range.end.min(self.end), ..*self };
        let last_quote = field.last_quote(range.start);
        let mut at = range.start;
        while field.at(at) == Some(b' ') {
            at += 1;
        }
        let mut out = Text::new();
        let mut kept = 0;
        let mut quoted = false;
        while at < field.end {
            let first = field.at(at);
            let unescaped = if first == Some(b'\\') { field.unescaped(at + 1) } else { None };
            if let Some(unescaped) = unescaped {
                out.push(char::from(unescaped));
                kept = out.len();
                at += 2;
            } else if first == Some(b'\'') && (quoted || last_quote.is_some_and(|last| last > at)) {
                quoted = !quoted;
                if quoted {
                    kept = out.len();
                }
                at += 1;
            } else {
                let run = at..field.end_of_run(at);
                at = run.end;
                out.push_slice(self.text, run);
                if first != Some(b' ') || quoted {
                    kept = out.len();
                }
            }
        }
        out.truncate(kept);
        out
    }

    /// The end of the run of bytes from `at` that are copied alike; the first one is copied in any case.
    fn end_of_run(&self, at: usize) -> usize {
        if self.at(at) == Some(b' ') {
            return at + 1;
        }
        let mut end = at + 1;
        while end < self.end && !matches!(self.at(end), Some(b'\\' | b'\'' | b' ')) {
            end += 1;
        }
        end
    }

    fn unescaped(&self, at: usize) -> Option<u8> {
        match self.at(at)? {
            b'n' if self.delimiter != b'n' => Some(b'\n'),
            b'r' if self.delimiter != b'r' => Some(b'\r'),
            b't' if self.delimiter != b't' => Some(b'\t'),
            b's' if self.delimiter != b's' => Some(b' '),
            byte if byte == self.delimiter || matches!(byte, b'\'' | b'"' | b'\\') => Some(byte),
            _ => None,
        }
    }

    fn last_quote(&self, from: usize) -> Option<usize> {
        (from..self.end).rev().find(|&at| self.at(at) == Some(b'\''))
    }

    /// The byte at `at` if it is syntax of this split.
    fn at(&self, at: usize) -> Option<u8> {
        if at >= self.end {
            return None;
        }
        let byte = self.text.syntax_at(at)?;
        let is_held = byte == b',' && {
            let next = self.held.partition_point(|range| range.end <= at);
            self.held.get(next).is_some_and(|range| range.start <= at)
        };
        (!is_held).then_some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str, delimiter: char, max: usize) -> Vec<String> {
        split(&Text::trusted(text), delimiter, max).into_iter().map(Text::into_string).collect()
    }

    #[test]
    fn fields_are_trimmed_and_the_last_keeps_the_rest() {
        assert_eq!(fields(" a , b,c,d ", ',', 3), ["a", "b", "c,d"]);
        assert_eq!(fields("a,,b,", ',', 9), ["a", "", "b"]);
        assert!(fields("", ',', 9).is_empty() && fields("a", ',', 0).is_empty());
    }

    #[test]
    fn quotes_protect_if_they_are_closed() {
        assert_eq!(fields("a,'b, c ' ,d", ',', 9), ["a", "b, c ", "d"]);
        assert_eq!(fields("it's,so", ',', 9), ["it's", "so"]);
        assert_eq!(fields("a'b,c'd", ',', 9), ["ab,cd"]);
        assert_eq!(fields("' '", ',', 9), [" "]);
    }

    #[test]
    fn backslashes_protect_and_name_characters() {
        assert_eq!(fields(r"a\,b,c\n\r\t\sd,\'e\'\x", ',', 9), ["a,b", "c\n\r\t d", "'e'\\x"]);
        assert_eq!(fields(r"a\\,b\", ',', 9), ["a\\", "b\\"]);
        assert_eq!(fields(r#"\"a"b"#, ',', 9), ["\"a\"b"]);
    }

    #[test]
    fn a_list_may_name_its_delimiter() {
        assert_eq!(fields("^^:a:b,c", ',', 9), ["a", "b,c"]);
        assert_eq!(fields("^^:", ',', 9), ["^^:"]);
        assert_eq!(fields("^^ a  b", ',', 9), ["a", "b"]);
    }

    #[test]
    fn blanks_are_one_delimiter_and_any_quote_protects() {
        assert_eq!(fields("  a   'b c'  d e ", ' ', 3), ["a", "b c", "d e"]);
        assert_eq!(fields("a 'b c", ' ', 9), ["a", "'b c"]);
        assert_eq!(fields("a,b", ' ', 9), ["a,b"]);
    }

    #[test]
    fn an_atom_is_one_field_whatever_it_holds() {
        let mut text = Text::network(" a,'b\\ ");
        text.push_str(" ,c");
        let fields = split(&text, ',', 9);
        assert_eq!(fields, [Text::network(" a,'b\\ "), Text::trusted("c")]);
        assert_eq!(split(&Text::network("^^:a:b"), ',', 9).len(), 1);
    }

    #[test]
    fn a_pair_may_have_an_empty_second_part() {
        let pair =
            |text: &str| split_pair(&text.into(), b'=').map(|(a, b)| (a.into_string(), b.into_string()));
        assert_eq!(pair("a = b=c "), Some(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Some(("a".into(), String::new())));
        assert_eq!(pair("a\\=b"), None);
    }

    #[test]
    fn what_is_escaped_is_one_field_again() {
        for text in ["", " a ", "a,b", "it's", "\\", "\\n", "'a','b'", " ", ",,", "\"", "é,"] {
            let text = Text::trusted(text);
            let mut list = Text::trusted("x,");
            list.push_text(&escape(&text, b',', &[]));
            list.push_str(",y");
            assert_eq!(split(&list, ',', 9)[1], text);
        }
    }
}
