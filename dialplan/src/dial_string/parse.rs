//! Reading a dial string. The order of the steps is FreeSWITCH's and shows: `|` is split off before `,`, each split
//! takes one layer of quotes and backslashes, and only blocks in front are seen before either.

use std::ops::Range;

use super::{Assignment, DialString, Group, Leg, Thread};
use crate::text::Text;
use crate::tokenizer::{FIELDS_MAX, split, split_holding, split_pair};

/// Parts a dial string into originates that run at once.
pub(super) const THREAD_DELIMITER: &str = ":_:";

/// Why a text is no dial string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialStringError {
    /// There is no leg in it.
    #[error("the dial string is empty")]
    Empty,
    /// A block of variables has no end; this bracket began it.
    #[error("the dial string has a `{0}` without its closing bracket")]
    Unclosed(char),
}

pub(super) fn parse(text: &Text) -> Result<DialString, DialStringError> {
    let mut rest = text.clone();
    let mut dial_string = DialString { variables: take_blocks(&mut rest, b'<')?, threads: Vec::new() };
    for part in split_threads(&rest) {
        let thread = parse_thread(part)?;
        if !thread.attempts.is_empty() {
            dial_string.threads.push(thread);
        }
    }
    if dial_string.threads.is_empty() { Err(DialStringError::Empty) } else { Ok(dial_string) }
}

/// Splits at `:_:`, which nothing protects.
fn split_threads(text: &Text) -> Vec<Text> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(found) = text.find_syntax(b':', at)
        && parts.len() + 1 < FIELDS_MAX
    {
        if text.has_syntax(THREAD_DELIMITER, found) {
            parts.push(text.slice(start..found));
            start = found + THREAD_DELIMITER.len();
            at = start;
        } else {
            at = found + 1;
        }
    }
    parts.push(text.slice(start..text.len()));
    parts
}

fn parse_thread(mut text: Text) -> Result<Thread, DialStringError> {
    let mut variables = take_blocks(&mut text, b'<')?;
    variables.append(&mut take_blocks(&mut text, b'{')?);
    let mut attempts = Vec::new();
    for attempt in split(&text, '|', FIELDS_MAX) {
        let group = parse_group(&attempt)?;
        if !group.legs.is_empty() {
            attempts.push(group);
        }
    }
    Ok(Thread { variables, attempts })
}

fn parse_group(text: &Text) -> Result<Group, DialStringError> {
    let mut legs = Vec::new();
    for leg in split_holding(text, ',', FIELDS_MAX, &closed_brackets(text)) {
        if !leg.is_empty() {
            legs.push(parse_leg(leg)?);
        }
    }
    Ok(Group { legs })
}

fn parse_leg(mut text: Text) -> Result<Leg, DialStringError> {
    let variables = take_blocks(&mut text, b'[')?;
    let slash = text.find_syntax(b'/', 0);
    let endpoint_type = text.slice(0..slash.unwrap_or(text.len()));
    if endpoint_type.has_atoms() {
        return Ok(Leg { variables, endpoint_type: String::new(), data: text });
    }
    let data = slash.map_or_else(Text::new, |slash| text.slice(slash + 1..text.len()));
    Ok(Leg { variables, endpoint_type: endpoint_type.into_string(), data })
}

/// Takes white space and blocks of one kind from the front.
fn take_blocks(text: &mut Text, opening: u8) -> Result<Vec<Assignment>, DialStringError> {
    let mut variables = Vec::new();
    let mut start = 0;
    loop {
        while text.syntax_at(start).is_some_and(|byte| byte.is_ascii_whitespace()) {
            start += 1;
        }
        if text.syntax_at(start) != Some(opening) {
            break;
        }
        let end = end_of_block(text, start).ok_or(DialStringError::Unclosed(char::from(opening)))?;
        variables.append(&mut parse_variables(&text.slice(start + 1..end)));
        start = end + 1;
    }
    *text = text.slice(start..text.len());
    Ok(variables)
}

/// Where the block that opens at `start` is closed; brackets of its kind nest.
fn end_of_block(text: &Text, start: usize) -> Option<usize> {
    let opening = text.syntax_at(start)?;
    let closing = closing_of(opening);
    let mut depth = 0_usize;
    for at in start..text.len() {
        match text.syntax_at(at) {
            Some(byte) if byte == opening => depth += 1,
            Some(byte) if byte == closing => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The bracket that closes `<`, `{` or `[`: in ASCII it stands two places on, as it does for all of them.
pub(super) const fn closing_of(opening: u8) -> u8 {
    opening + 2
}

/// Items without `=` are no variables, and neither are those whose name is empty or was chosen by the network.
fn parse_variables(body: &Text) -> Vec<Assignment> {
    let items = split(body, ',', usize::MAX).into_iter();
    let pairs = items.filter_map(|item| split_pair(&item, b'='));
    pairs
        .filter(|(name, _)| !name.is_empty() && !name.has_atoms())
        .map(|(name, value)| Assignment { name: name.into_string(), value })
        .collect()
}

/// The outermost pairs of square brackets, within which a comma parts no legs.
pub(super) fn closed_brackets(text: &Text) -> Vec<Range<usize>> {
    let mut closed: Vec<Range<usize>> = Vec::new();
    let mut open = Vec::new();
    for at in 0..text.len() {
        match text.syntax_at(at) {
            Some(b'[') => open.push(at),
            Some(b']') => {
                if let Some(start) = open.pop() {
                    // Pairs within this one are part of it.
                    while closed.last().is_some_and(|inner| inner.start > start) {
                        closed.pop();
                    }
                    closed.push(start..at + 1);
                }
            }
            _ => {}
        }
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> DialString {
        DialString::parse(&Text::trusted(text)).unwrap()
    }

    fn list(variables: &[Assignment]) -> String {
        let items: Vec<String> = variables.iter().map(|v| format!("{}={}", v.name, v.value)).collect();
        items.join(" ")
    }

    /// `type:data` of every leg, groups parted by ` | `, threads by ` // `.
    fn legs(dial_string: &DialString) -> String {
        let leg = |leg: &Leg| format!("{}:{}", leg.endpoint_type, leg.data);
        let group = |group: &Group| group.legs.iter().map(leg).collect::<Vec<_>>().join(" ");
        let thread = |thread: &Thread| thread.attempts.iter().map(group).collect::<Vec<_>>().join(" | ");
        dial_string.threads.iter().map(thread).collect::<Vec<_>>().join(" // ")
    }

    #[test]
    fn commas_ring_together_bars_follow_and_threads_are_apart() {
        assert_eq!(
            legs(&parsed("sofia/a/1,loopback/9|error/x:_: user/2")),
            "sofia:a/1 loopback:9 | error:x // user:2"
        );
    }

    #[test]
    fn blocks_of_one_kind_are_joined() {
        let dial_string = parsed("{a=1}{b=2} {c=3}sofia/x");
        assert_eq!(list(&dial_string.threads[0].variables), "a=1 b=2 c=3");
        let dial_string = parsed(" <z=0> <y=1>{a=1}[b=2] [c=3] sofia/x:_:<w=1>{v=2}user/1");
        assert_eq!(list(&dial_string.variables), "z=0 y=1");
        assert_eq!(list(&dial_string.threads[0].attempts[0].legs[0].variables), "b=2 c=3");
        assert_eq!(list(&dial_string.threads[1].variables), "w=1 v=2");
    }

    #[test]
    fn items_are_cleaned_and_may_have_their_own_delimiter() {
        let of = |text: &str| list(&parsed(text).threads[0].variables);
        assert_eq!(of("{a=1,b='x,y',c=z}t/d"), "a=1 b=x,y c=z");
        assert_eq!(of("{^^:a=x,y:b=2}t/d"), "a=x,y b=2");
        assert_eq!(of("{a = 1 , b= 2 ,c=x=y}t/d"), "a=1 b=2 c=x=y");
        assert_eq!(of("{a='{curly}',b=[sq]}t/d"), "a={curly} b=[sq]");
        assert_eq!(of("{a=,b,=c,d='q\\'s'}t/d"), "a= d=q's");
        assert_eq!(of("{x=${hash(select/a/b)}}t/d"), "x=${hash(select/a/b)}");
    }

    #[test]
    fn quotes_in_square_brackets_are_lost_to_the_split_before() {
        let of = |text: &str| list(&parsed(text).threads[0].attempts[0].legs[0].variables);
        assert_eq!(of("[a=1,b='x,y',c=z]t/d"), "a=1 b=x c=z");
        assert_eq!(of("[^^;c=p,q;a=9]t/d"), "c=p,q a=9");
        assert_eq!(
            of("[^^:absolute_codec_string=PCMA,PCMU:leg_timeout=4]t/d,t/e"),
            "absolute_codec_string=PCMA,PCMU leg_timeout=4"
        );
    }

    #[test]
    fn braces_are_a_block_only_at_the_front() {
        assert_eq!(legs(&parsed("a/b|{x=1}c/d")), "a:b | {x=1}c:d");
        assert_eq!(legs(&parsed("{x=1|y=2}a/b")), "a:b");
    }

    #[test]
    fn a_bar_in_square_brackets_parts_attempts_unless_quoted() {
        assert_eq!(DialString::parse(&"[x=1|y=2]a/b".into()), Err(DialStringError::Unclosed('[')));
        assert_eq!(legs(&parsed("[x='1|y']a/b")), "a:b");
    }

    #[test]
    fn commas_in_any_square_brackets_part_no_legs() {
        assert_eq!(legs(&parsed("sofia/x/[2001:db8::1,2],b/c")), "sofia:x/[2001:db8::1,2] b:c");
        assert_eq!(legs(&parsed("sofia/x/[2001,b/c")), "sofia:x/[2001 b:c");
    }

    #[test]
    fn empty_items_are_no_legs() {
        assert_eq!(legs(&parsed("a/b,,c/d||e/f|:_: :_:g")), "a:b c:d | e:f // g:");
        for text in ["", "  ", "|,|", "{a=1}", "<a=1>:_:"] {
            assert_eq!(DialString::parse(&text.into()), Err(DialStringError::Empty), "{text:?}");
        }
    }

    #[test]
    fn a_block_without_end_is_an_error() {
        for (text, bracket) in [("<a=1", '<'), ("{a={b}x/y", '{'), ("x/y,[a=[]x/y", '['), ("a/b:_:{x", '{')] {
            assert_eq!(DialString::parse(&text.into()), Err(DialStringError::Unclosed(bracket)), "{text}");
        }
    }

    #[test]
    fn the_129th_item_stays_in_the_last() {
        let dial_string = parsed(&["t/x"; 130].join(","));
        let legs = &dial_string.threads[0].attempts[0].legs;
        assert_eq!((legs.len(), legs[127].data.as_str()), (128, "x,t/x,t/x"));
        let dial_string = parsed(&["t/x"; 130].join(":_:"));
        assert_eq!(dial_string.threads.len(), 128);
    }

    #[test]
    fn an_atom_is_never_structure() {
        let attack = "1,loopback/9|{a=1}[b=2]<c=3>:_:x/y'\\ ";
        let mut text = Text::trusted("{n=");
        text.push_network(attack);
        text.push_str("}[m=");
        text.push_network(attack);
        text.push_str("]sofia/x/");
        text.push_network(attack);
        let dial_string = DialString::parse(&text).unwrap();
        let expected_leg = Leg {
            variables: vec![Assignment { name: "m".into(), value: Text::network(attack) }],
            endpoint_type: "sofia".into(),
            data: {
                let mut data = Text::trusted("x/");
                data.push_network(attack);
                data
            },
        };
        let thread = Thread {
            variables: vec![Assignment { name: "n".into(), value: Text::network(attack) }],
            attempts: vec![Group { legs: vec![expected_leg] }],
        };
        assert_eq!(dial_string, DialString { variables: vec![], threads: vec![thread] });
    }

    #[test]
    fn the_network_chooses_neither_type_nor_name() {
        let mut text = Text::trusted("{");
        text.push_network("api_on_answer");
        text.push_str("=1}");
        text.push_network("sofia/x");
        let dial_string = DialString::parse(&text).unwrap();
        assert_eq!(dial_string.threads[0].variables, []);
        let leg = &dial_string.threads[0].attempts[0].legs[0];
        assert_eq!((leg.endpoint_type.as_str(), &leg.data), ("", &Text::network("sofia/x")));
    }
}
