//! The expression of a condition as a PCRE2 pattern (dialplan.md §5.2): plain, Asterisk's `_…` or `/…/flags`.
//!
//! The search is unanchored and goes over bytes. It is limited, so that no pattern takes more than a fraction of a
//! millisecond on any subject (faults.md D3); a search that meets a limit has found nothing and says so.

use std::ops::Range;

use pcre2::bytes::{Regex, RegexBuilder};

use crate::text::Text;

/// Steps and depth of a search. PCRE2 takes the lowest limit that a pattern states, so an operator's own may only
/// be lower. With it `^(a+)+$` gives up after 16 µs.
const LIMITS: &str = "(*LIMIT_MATCH=10000)(*LIMIT_DEPTH=1000)";
/// Length of the regular expression that an Asterisk pattern may become.
const ASTERISK_LEN_MAX: usize = 255;
/// PCRE2_ERROR_JIT_STACKLIMIT: the machine stack that compiled code has is used up, the interpreter's is larger.
const ERROR_JIT_STACK: i32 = -46;

/// Why an expression is no pattern. It never matches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A `/` at the beginning without one at the end.
    #[error("the pattern begins with a slash and has no closing one")]
    Unclosed,
    /// PCRE2's complaint.
    #[error("the pattern does not compile: {0}")]
    Syntax(String),
}

/// A search took more steps than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the search was given up at its limit")]
pub struct LimitHit;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    source: Source,
    has_group: bool,
}

#[derive(Clone, Debug)]
struct Source {
    pattern: String,
    ignores_case: bool,
    dot_matches_newline: bool,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Captures {
    subject: Text,
    groups: Vec<Option<Range<usize>>>,
}

impl Pattern {
    /// Compiles for many searches, to machine code where that is possible.
    pub fn compile(expression: &Text) -> Result<Pattern, PatternError> {
        Pattern::build(expression, true)
    }

    /// Compiles for one search, for which machine code does not pay.
    pub fn compile_once(expression: &Text) -> Result<Pattern, PatternError> {
        Pattern::build(expression, false)
    }

    fn build(expression: &Text, is_lasting: bool) -> Result<Pattern, PatternError> {
        let source = Source::of(expression)?;
        let regex = source.compile(is_lasting)?;
        Ok(Pattern { regex, source, has_group: has_group(expression) })
    }

    /// Whether the expression has an opening parenthesis, even an escaped one: the captures are used then.
    pub fn has_group(&self) -> bool {
        self.has_group
    }

    /// Searches anywhere in the subject.
    pub fn search(&self, subject: &Text) -> Result<Option<Captures>, LimitHit> {
        let bytes = subject.as_str().as_bytes();
        // Most searches find nothing, and without captures no memory has to be had for them.
        let found = match self.regex.is_match(bytes) {
            Ok(true) => self.regex.captures(bytes),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => Ok(found.map(|found| Captures::new(subject, &found))),
            Err(error) if error.code() == ERROR_JIT_STACK => self.search_slowly(subject),
            Err(_) => Err(LimitHit),
        }
    }

    fn search_slowly(&self, subject: &Text) -> Result<Option<Captures>, LimitHit> {
        let regex = self.source.compile(false).map_err(|_| LimitHit)?;
        let found = regex.captures(subject.as_str().as_bytes()).map_err(|_| LimitHit)?;
        Ok(found.map(|found| Captures::new(subject, &found)))
    }
}

/// Whether the text of an expression has an opening parenthesis.
pub(crate) fn has_group(expression: &Text) -> bool {
    expression.find_syntax(b'(', 0).is_some()
}

impl Source {
    fn of(expression: &Text) -> Result<Source, PatternError> {
        let mut source =
            Source { pattern: LIMITS.to_owned(), ignores_case: false, dot_matches_newline: false };
        match expression.syntax_at(0) {
            Some(b'_') => push_asterisk(&mut source.pattern, &expression.slice(1..expression.len())),
            Some(b'/') => {
                let end =
                    expression.rfind_syntax(b'/').filter(|&end| end > 0).ok_or(PatternError::Unclosed)?;
                push_regex(&mut source.pattern, &expression.slice(1..end));
                let flags = &expression.as_str()[end + 1..];
                source.ignores_case = flags.contains('i');
                source.dot_matches_newline = flags.contains('s');
            }
            _ => push_regex(&mut source.pattern, expression),
        }
        Ok(source)
    }

    fn compile(&self, is_lasting: bool) -> Result<Regex, PatternError> {
        RegexBuilder::new()
            .caseless(self.ignores_case)
            .dotall(self.dot_matches_newline)
            .jit_if_available(is_lasting)
            .build(&self.pattern)
            .map_err(|error| {
                let at = error.offset().map_or(0, |offset| offset.saturating_sub(LIMITS.len()));
                let text = error.to_string();
                // "PCRE2: error compiling pattern at offset 12: what is wrong"
                let what = text.splitn(3, ": ").nth(2).unwrap_or(&text);
                PatternError::Syntax(format!("{what} at position {at}"))
            })
    }
}

/// Writes an expression, its atoms as bytes that stand for themselves, also between `\Q` and `\E` or after a
/// backslash that the operator left before them.
fn push_regex(pattern: &mut String, expression: &Text) {
    let string = expression.as_str();
    let mut done = 0;
    let mut is_quoting = false;
    for atom in expression.atoms() {
        let is_escaping = follow_quoting(&string[done..atom.start], &mut is_quoting);
        pattern.push_str(&string[done..atom.start]);
        if is_escaping {
            pattern.push('\\');
        }
        if is_quoting {
            pattern.push_str("\\E");
        }
        string[atom.clone()].bytes().for_each(|byte| push_literal(pattern, byte));
        if is_quoting {
            pattern.push_str("\\Q");
        }
        done = atom.end;
    }
    pattern.push_str(&string[done..]);
}

/// Follows `\Q` and `\E` through a part of a pattern; says whether it ends with a backslash that would escape
/// what follows.
fn follow_quoting(part: &str, is_quoting: &mut bool) -> bool {
    let bytes = part.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'\\', Some(b'E')) if *is_quoting => *is_quoting = false,
            (b'\\', Some(b'Q')) if !*is_quoting => *is_quoting = true,
            (b'\\', None) if !*is_quoting => return true,
            (b'\\', Some(_)) if !*is_quoting => {}
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    false
}

/// Translates Asterisk's wildcards; everything else keeps its meaning in a regular expression.
fn push_asterisk(pattern: &mut String, wildcards: &Text) {
    pattern.push('^');
    let mut len = 2;
    for (at, character) in wildcards.as_str().char_indices() {
        let is_atom = wildcards.is_atom_at(at);
        let translated = match character {
            'N' if !is_atom => "[2-9]",
            'X' if !is_atom => "[0-9]",
            'Z' if !is_atom => "[1-9]",
            '.' if !is_atom => ".*",
            _ => &wildcards.as_str()[at..at + character.len_utf8()],
        };
        len += translated.len();
        if len > ASTERISK_LEN_MAX {
            break;
        }
        if is_atom {
            translated.bytes().for_each(|byte| push_literal(pattern, byte));
        } else {
            pattern.push_str(translated);
        }
    }
    pattern.push('$');
}

fn push_literal(pattern: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    pattern.push_str("\\x");
    pattern.push(char::from(HEX[usize::from(byte >> 4)]));
    pattern.push(char::from(HEX[usize::from(byte & 15)]));
}

impl Captures {
    fn new(subject: &Text, found: &pcre2::bytes::Captures<'_>) -> Captures {
        let range = |group: usize| found.get(group).map(|group| group.start()..group.end());
        Captures { subject: subject.clone(), groups: (0..found.len()).map(range).collect() }
    }

    /// The captures of a pattern that did not match: every group is empty.
    pub(crate) fn none(subject: Text) -> Captures {
        Captures { subject, groups: Vec::new() }
    }

    /// The text of a group, with its provenance; group 0 is the matched part. `None` if it took no part.
    pub fn group(&self, number: usize) -> Option<Text> {
        self.groups.get(number)?.clone().map(|range| self.subject.slice(range))
    }

    /// Length in bytes of what was searched.
    pub(crate) fn subject_len(&self) -> usize {
        self.subject.len()
    }

    /// One more than the number of the highest group that took part.
    pub(crate) fn count(&self) -> usize {
        self.groups.iter().rposition(Option::is_some).map_or(0, |highest| highest + 1)
    }

    /// The groups as an array variable takes them one by one: one that took no part is skipped, and an empty one
    /// deletes what is there so far (dialplan.md §8).
    pub(crate) fn pushed(&self) -> Vec<Text> {
        let mut values = Vec::new();
        for range in self.groups.iter().flatten() {
            let value = self.subject.slice(range.clone());
            if value.is_empty() {
                values.clear();
            } else {
                values.push(value);
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(expression: impl Into<Text>, subject: &str) -> bool {
        let pattern = Pattern::compile(&expression.into()).unwrap();
        pattern.search(&Text::trusted(subject)).unwrap().is_some()
    }

    fn with_atom(before: &str, atom: &str, after: &str) -> Text {
        let mut text = Text::trusted(before);
        text.push_network(atom);
        text.push_str(after);
        text
    }

    #[test]
    fn a_search_is_unanchored_and_has_case() {
        assert!(matches("501|502$", "99502"));
        assert!(!matches("abc", "ABC"));
        assert!(matches("", "anything"));
    }

    #[test]
    fn slashes_carry_flags() {
        assert!(matches("/^abc$/i", "ABC"));
        assert!(matches("/a/b/", "xa/b"));
        assert!(!matches("/a.c/", "a\nc") && matches("/a.c/s", "a\nc"));
        assert_eq!(Pattern::compile(&"/^100$".into()).unwrap_err(), PatternError::Unclosed);
    }

    #[test]
    fn asterisk_wildcards_are_anchored() {
        assert!(matches("_NXX", "200") && !matches("_NXX", "111") && !matches("_NXX", "4111"));
        assert!(matches("_100.", "100") && matches("_0[1-3]X", "027"));
        assert!(Pattern::compile(&"_+1(NXX)X.".into()).is_err());
    }

    #[test]
    fn an_atom_in_a_pattern_stands_for_itself() {
        assert!(!matches(with_atom("^", ".*", "$"), "abc"));
        assert!(matches(with_atom("^", ".*", "$"), ".*"));
        assert!(matches(with_atom("[", "a-c]", "]"), "-") && !matches(with_atom("[", "a-c]", "]"), "b"));
        assert!(!matches(with_atom("^a{", "3", "}$"), "aaa"));
        assert!(matches(with_atom("^(x)\\1", "0", "$"), "xx0"));
        assert!(matches(with_atom("_", "N", "X"), "N5") && !matches(with_atom("_", "N", "X"), "55"));
        assert!(matches(with_atom("", "_X", ""), "a_X"));
        assert!(matches(with_atom("", "/a/i", ""), "/a/i"));
    }

    #[test]
    fn an_atom_cannot_leave_the_operators_quotes() {
        assert!(matches(with_atom("^\\Q.", "a\\E.*", ".\\E$"), ".a\\E.*."));
        assert!(matches(with_atom("^\\", ".", "$"), "\\."));
        assert!(!matches(with_atom("^\\", ".", "$"), "\\x"));
    }

    #[test]
    fn a_parenthesis_of_an_atom_is_none() {
        assert!(Pattern::compile(&"\\(".into()).unwrap().has_group());
        assert!(!Pattern::compile(&with_atom("^", "(", "")).unwrap().has_group());
    }

    #[test]
    fn captures_keep_their_provenance() {
        let pattern = Pattern::compile(&"^(.)(x)?(.*)$".into()).unwrap();
        let found = pattern.search(&with_atom("a", "bc", "")).unwrap().unwrap();
        assert_eq!(found.group(1), Some(Text::trusted("a")));
        assert_eq!(found.group(2), None);
        assert_eq!(found.group(3), Some(Text::network("bc")));
        assert_eq!((found.group(4), found.count()), (None, 4));
    }

    #[test]
    fn catastrophic_patterns_give_up_quickly() {
        let subject = Text::trusted("a".repeat(3_000) + "!");
        for expression in ["^(a+)+$", "^(a|aa)+$", "^(a*)*$", "^(?:a?){30}a{3000}$|(a+)+$"] {
            let pattern = Pattern::compile(&expression.into()).unwrap();
            assert!(pattern.search(&subject).is_err(), "{expression}");
            let pattern = Pattern::compile_once(&expression.into()).unwrap();
            assert!(pattern.search(&subject).is_err(), "{expression}");
        }
    }

    #[test]
    fn an_operators_lower_limit_counts_and_a_higher_one_does_not() {
        let subject = Text::trusted("a".repeat(24) + "!");
        assert!(
            Pattern::compile(&"(*LIMIT_MATCH=1000000000)^(a+)+$".into()).unwrap().search(&subject).is_err()
        );
        assert!(Pattern::compile(&"(*LIMIT_MATCH=1)^(?:a|b)*a!".into()).unwrap().search(&subject).is_err());
    }
}
