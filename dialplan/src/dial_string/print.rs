//! Writing a dial string: the steps of reading it, backwards.

use super::parse::{THREAD_DELIMITER, closed_brackets, closing_of};
use super::{Assignment, DialString, Group, Leg, Thread};
use crate::text::Text;
use crate::tokenizer::escape;

pub(super) fn print(dial_string: &DialString) -> Text {
    let mut out = block(&dial_string.variables, b'<');
    for (index, thread) in dial_string.threads.iter().enumerate() {
        if index > 0 {
            out.push_str(THREAD_DELIMITER);
        }
        out.push_text(&without_thread_delimiters(&print_thread(thread)));
    }
    out
}

fn print_thread(thread: &Thread) -> Text {
    let groups: Vec<Text> = thread.attempts.iter().map(print_group).collect();
    let attempts = joined(&groups, b'|', |group| escape(group, b'|', &[]));
    let mut out = block(&thread.variables, b'{');
    // At the front a bracket would begin a block, and a blank that keeps `^^` away would be skipped. An empty attempt
    // before them is none.
    if matches!(attempts.syntax_at(0), Some(b'{' | b'<' | b' ')) {
        out.push('|');
    }
    out.push_text(&attempts);
    out
}

fn print_group(group: &Group) -> Text {
    let legs: Vec<Text> = group.legs.iter().map(print_leg).collect();
    let is_open = |leg: &Text| missing_brackets(leg, b'[') != (0, 0);
    if legs.len() < 2 || !legs.iter().any(is_open) {
        return joined(&legs, b',', |leg| escape(leg, b',', &closed_brackets(leg)));
    }
    // A bracket that one leg opens and another closes would hold the comma between them.
    let mut out = Text::trusted("^^;");
    for (index, leg) in legs.iter().enumerate() {
        out.push_str(if index > 0 { ";" } else { "" });
        out.push_text(&escape(leg, b';', &[]));
    }
    out
}

fn print_leg(leg: &Leg) -> Text {
    let mut out = block(&leg.variables, b'[');
    out.push_str(&leg.endpoint_type);
    out.push('/');
    out.push_text(&leg.data);
    out
}

/// A block of variables; nothing if there are none.
fn block(variables: &[Assignment], opening: u8) -> Text {
    if variables.is_empty() {
        return Text::new();
    }
    let items: Vec<Text> = variables.iter().map(print_assignment).collect();
    let list = joined(&items, b',', |item| escape(item, b',', &[]));
    let mut out = Text::trusted(char::from(opening));
    // Brackets that a value leaves open or closes alone are paired by items that are no variables.
    let (missing_before, missing_after) = missing_brackets(&list, opening);
    push_items(&mut out, opening, missing_before, "", ",");
    out.push_text(&list);
    push_items(&mut out, closing_of(opening), missing_after, ",", "");
    out.push(char::from(closing_of(opening)));
    out
}

fn push_items(out: &mut Text, bracket: u8, count: usize, before: &str, after: &str) {
    if count > 0 {
        out.push_str(before);
        (0..count).for_each(|_| out.push(char::from(bracket)));
        out.push_str(after);
    }
}

/// How many opening brackets are needed before a list and how many closing ones after it.
fn missing_brackets(list: &Text, opening: u8) -> (usize, usize) {
    let mut before = 0;
    let mut open = 0_usize;
    for at in 0..list.len() {
        match list.syntax_at(at) {
            Some(byte) if byte == opening => open += 1,
            Some(byte) if byte == closing_of(opening) && open > 0 => open -= 1,
            Some(byte) if byte == closing_of(opening) => before += 1,
            _ => {}
        }
    }
    (before, open)
}

fn print_assignment(assignment: &Assignment) -> Text {
    let mut out = escape(&Text::trusted(assignment.name.as_str()), b'=', &[]);
    out.push('=');
    out.push_text(&escape(&assignment.value, b'=', &[]));
    out
}

/// Escaped fields with the delimiter between them.
fn joined(fields: &[Text], delimiter: u8, escaped: impl Fn(&Text) -> Text) -> Text {
    let mut out = Text::new();
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(char::from(delimiter));
        }
        let field = escaped(field);
        // It would name another delimiter; a blank before it is dropped when the field is cleaned.
        if index == 0 && field.has_syntax("^^", 0) {
            out.push(' ');
        }
        out.push_text(&field);
    }
    out
}

/// Breaks each `:_:` by a pair of quotes, which cleaning removes.
fn without_thread_delimiters(text: &Text) -> Text {
    let mut out = Text::new();
    let mut copied = 0;
    for at in 2..text.len() {
        if text.has_syntax(THREAD_DELIMITER, at - 2) {
            out.push_slice(text, copied..at);
            out.push_str("''");
            copied = at;
        }
    }
    out.push_slice(text, copied..text.len());
    // With what stands behind the thread it would begin one too early.
    if text.has_syntax(":_", text.len().saturating_sub(2)) {
        out.push_str("''");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_dial_string_is_printed_as_it_is_written() {
        for text in [
            "sofia/ext/100@10.0.0.1,sofia/ext/101@10.0.0.1",
            "sofia/gateway/a/49301|sofia/gateway/b/49301",
            "{t=1}[leg_timeout=5]error/USER_BUSY,[leg_timeout=9]loopback/9",
            "<ignore=1>{a=1}user/1000:_:{a=2}user/2000",
        ] {
            let parsed = DialString::parse(&Text::trusted(text)).unwrap();
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn what_parses_prints_to_what_parses_the_same() {
        let pieces = [
            "sofia/", "a", "/", ",", "|", ":_:", ":", "_", "{", "}", "[", "]", "<", ">", "=", "'", "\\", " ",
            "^^", "^", ";", "x=1", "é", "\n", "\\s", "''", "{a=1}", "[b=2]", "<c=3>", "$", "\"",
        ];
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut parsed_count = 0;
        for _ in 0..20_000 {
            let mut text = Text::new();
            for _ in 0..1 + next(&mut random) % 14 {
                let piece = pieces[usize::try_from(next(&mut random)).unwrap() % pieces.len()];
                if next(&mut random).is_multiple_of(8) {
                    text.push_network(piece)
                } else {
                    text.push_str(piece)
                }
            }
            let Ok(parsed) = DialString::parse(&text) else { continue };
            parsed_count += 1;
            let printed = parsed.to_text();
            assert_eq!(DialString::parse(&printed).as_ref(), Ok(&parsed), "{text:?} printed {printed:?}");
            let plain = Text::trusted(parsed.to_string());
            assert_eq!(DialString::parse(&plain), Ok(parsed.into_trusted()), "{text:?} printed {plain:?}");
        }
        assert!(parsed_count > 10_000, "{parsed_count}");
    }

    #[test]
    fn values_of_any_kind_survive_in_every_block() {
        let values = [
            "", " ", " a ", "a,b", "a=b", "it's", "\\", "\\n", "{", "}}", "[x", "]", "<<", ">", ":_:", "^^:",
            "|", "'", "é\n",
        ];
        let assignments: Vec<Assignment> = (values.iter())
            .map(|&value| Assignment { name: format!("n{value}"), value: value.into() })
            .filter(|assignment| !assignment.name.ends_with(' '))
            .collect();
        let leg =
            Leg { variables: assignments.clone(), endpoint_type: "sofia".into(), data: " a|b,c:_: ".into() };
        let thread =
            Thread { variables: assignments.clone(), attempts: vec![Group { legs: vec![leg.clone(), leg] }] };
        let dial_string = DialString { variables: assignments, threads: vec![thread.clone(), thread] };
        assert_eq!(DialString::parse(&dial_string.to_text()), Ok(dial_string));
    }

    fn next(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state >> 33
    }
}
