//! The attributes of one tag.

use super::references::{Kind, resolve};
use super::{Attributes, Refused};
use crate::limits::ATTRIBUTES_MAX;
use crate::problem::Problems;
use crate::source::Source;
use crate::tree::Attribute;
use std::ops::Range;

/// Reads what stands between a tag's name and its end. After an error the rest of the tag is given up; when
/// the tag may have swallowed another, nothing after it can be relied on.
pub(super) fn read(
    source: &Source,
    range: Range<usize>,
    element: &str,
    problems: &mut Problems,
) -> Result<Attributes, Refused> {
    let mut cursor = Cursor { source, at: range.start, end: range.end, suspect: None };
    let mut attributes = Attributes::new();
    loop {
        let blanks = cursor.skip_blanks();
        if cursor.rest().is_empty() {
            return Ok(attributes);
        }
        if blanks == 0 && !attributes.is_empty() && !cursor.rest().starts_with(['"', '\'', '<', '=']) {
            let place = source.place(cursor.at);
            problems.warning_expecting(place, "no blank between two attributes", "a blank");
        }
        let attribute = match cursor.attribute(problems) {
            Ok(attribute) => attribute,
            Err(fault) => {
                cursor.tell(&fault, element, problems);
                let swallows = fault.swallows || cursor.suspect.is_some();
                return if swallows { Err(Refused) } else { Ok(attributes) };
            }
        };
        if attributes.len() >= ATTRIBUTES_MAX {
            problems
                .error(attribute.place, format!("`<{element}>` has more than {ATTRIBUTES_MAX} attributes"));
            return Ok(attributes);
        }
        if attributes.iter().any(|other: &Attribute| other.name == attribute.name) {
            let what = format!("a second `{}` in `<{element}>`: the first counts", attribute.name);
            problems.warning(attribute.place, what);
            continue;
        }
        attributes.push(attribute);
    }
}

/// What is wrong with an attribute, and the offset where it shows.
struct Fault {
    at: usize,
    what: String,
    expected: &'static str,
    /// Whether another tag was taken for a part of this one.
    swallows: bool,
}

struct Cursor<'a> {
    source: &'a Source,
    at: usize,
    end: usize,
    /// A value that holds `<` and a line break, with its name: if the tag goes wrong after it, its closing
    /// quote was forgotten and the next tag's quote was taken for it.
    suspect: Option<(String, usize)>,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.source.text()[self.at..self.end]
    }

    fn skip_blanks(&mut self) -> usize {
        let rest = self.rest();
        let blanks = rest.len() - rest.trim_ascii_start().len();
        self.at += blanks;
        blanks
    }

    fn attribute(&mut self, problems: &mut Problems) -> Result<Attribute, Fault> {
        let rest = self.rest();
        let name_at = self.at;
        let name_len = rest
            .find(|letter: char| letter.is_ascii_whitespace() || "=\"'<>/".contains(letter))
            .unwrap_or(rest.len());
        let name = &rest[..name_len];
        if name.is_empty() {
            return Err(self.fault_of_name(rest));
        }
        self.at += name_len;
        self.skip_blanks();
        if !self.rest().starts_with('=') {
            let what = format!("attribute `{name}` has no value");
            return Err(Fault { at: name_at, what, expected: "`=\"…\"`", swallows: false });
        }
        self.at += 1;
        self.skip_blanks();
        let Some(quote) = self.rest().chars().next().filter(|first| matches!(first, '"' | '\'')) else {
            let what = format!("the value of attribute `{name}` is not quoted");
            return Err(Fault { at: self.at, what, expected: "`\"`", swallows: false });
        };
        let quote_at = self.at;
        self.at += 1;
        let start = self.at;
        let Some(len) = self.rest().find(quote) else {
            self.suspect.get_or_insert((name.to_owned(), quote_at));
            return Err(Fault { at: quote_at, what: String::new(), expected: "a quote", swallows: true });
        };
        self.at += len + 1;
        let raw = &self.source.text()[start..start + len];
        if raw.contains('<') && raw.contains('\n') {
            self.suspect.get_or_insert((name.to_owned(), quote_at));
        }
        let mut value = String::with_capacity(len);
        resolve(self.source, start..start + len, Kind::Attribute, problems, &mut value);
        Ok(Attribute { name: name.into(), value: value.into(), place: self.source.place(start) })
    }

    fn fault_of_name(&self, rest: &str) -> Fault {
        let (what, expected) = match rest.chars().next() {
            Some('<') => ("another tag begins within this one", "`>`"),
            Some('/') => ("a `/` that does not end the tag", "`/>`"),
            _ => ("text that is no attribute", "`name=\"value\"`"),
        };
        Fault { at: self.at, what: what.to_owned(), expected, swallows: rest.starts_with('<') }
    }

    fn tell(&self, fault: &Fault, element: &str, problems: &mut Problems) {
        match &self.suspect {
            Some((name, at)) => {
                let what =
                    format!("the value of attribute `{name}` in `<{element}>`, begun here, is not closed");
                problems.error_expecting(self.source.place(*at), what, "a closing quote");
            }
            None => {
                let what = format!("in `<{element}>`: {}", fault.what);
                problems.error_expecting(self.source.place(fault.at), what, fault.expected);
            }
        }
    }
}
