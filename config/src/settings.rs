//! Typed settings: `<param name="…" value="…"/>` children read by name, each mistake told at its place.
//!
//! A reader asks for what it knows; what nobody asked for is told at the end with the name it probably meant.

use crate::boolean::{is_false, is_true};
use crate::nearest::nearest;
use crate::place::Place;
use crate::problem::Problems;
use crate::tree::Element;
use core::time::Duration;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What a number without a unit means as a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
}

impl Unit {
    fn milliseconds(self) -> u64 {
        match self {
            Unit::Milliseconds => 1,
            Unit::Seconds => 1_000,
            Unit::Minutes => 60_000,
            Unit::Hours => 3_600_000,
        }
    }

    fn named(name: &str) -> Option<Unit> {
        match name {
            "ms" => Some(Unit::Milliseconds),
            "s" => Some(Unit::Seconds),
            "m" => Some(Unit::Minutes),
            "h" => Some(Unit::Hours),
            _ => None,
        }
    }
}

/// The parameters of one element. Names compare without case; of a repeated one the last counts.
#[derive(Debug)]
pub struct Settings<'a> {
    entries: Vec<Entry<'a>>,
    known: Vec<String>,
    problems: Problems,
}

#[derive(Debug)]
struct Entry<'a> {
    element: &'a Element,
    name: &'a str,
    value: &'a str,
    asked: bool,
}

impl<'a> Settings<'a> {
    /// The `<param>` children of an element, such as `<settings>`.
    pub fn new(element: &'a Element) -> Settings<'a> {
        Settings::of(element, "param")
    }

    /// No parameters: every getter gives its default. For an element that is not there.
    pub fn empty() -> Settings<'a> {
        Settings { entries: Vec::new(), known: Vec::new(), problems: Problems::new() }
    }

    /// The children of another name, such as `<variable>`.
    pub fn of(element: &'a Element, child_name: &str) -> Settings<'a> {
        let mut settings = Settings::empty();
        for child in element.children() {
            if child.name() != child_name {
                settings.tell_other_child(child, child_name);
                continue;
            }
            let Some(name) = child.attribute("name") else {
                settings
                    .problems
                    .warning(child.place(), format!("a `<{child_name}>` without a name has no effect"));
                continue;
            };
            let value = child.attribute("value").unwrap_or_default();
            settings.entries.push(Entry { element: child, name, value, asked: false });
        }
        settings
    }

    /// Only a misspelt `<param>` is told; elements of other kinds have readers of their own.
    fn tell_other_child(&mut self, child: &Element, child_name: &str) {
        if let Some(near) = nearest(child.name(), [child_name]) {
            let what = format!("`<{}>` has no effect", child.name());
            self.problems.warning_expecting(child.place(), what, format!("`<{near}>`"));
        }
    }

    fn last(&mut self, name: &str) -> Option<(&'a str, &'a Element)> {
        self.known.push(name.to_owned());
        let mut found: Option<(&'a str, &'a Element)> = None;
        for entry in self.entries.iter_mut().filter(|entry| entry.name.eq_ignore_ascii_case(name)) {
            if let Some((_, before)) = found.filter(|_| !entry.asked) {
                let what =
                    format!("`{name}` is given again: this one counts, not the one at {}", before.place());
                self.problems.warning(entry.element.place(), what);
            }
            entry.asked = true;
            found = Some((entry.value, entry.element));
        }
        found
    }

    /// A parameter's text; the empty text is a text.
    pub fn text(&mut self, name: &str) -> Option<&'a str> {
        self.last(name).map(|(value, _)| value)
    }

    /// A parameter's text, or a default where it is missing or empty.
    pub fn text_or(&mut self, name: &str, default: &'a str) -> &'a str {
        self.text(name).filter(|text| !text.is_empty()).unwrap_or(default)
    }

    /// The values of a parameter that may be repeated, in order.
    pub fn all(&mut self, name: &str) -> Vec<&'a str> {
        self.known.push(name.to_owned());
        let of_name = |entry: &&mut Entry<'a>| entry.name.eq_ignore_ascii_case(name);
        let take = |entry: &mut Entry<'a>| {
            entry.asked = true;
            entry.value
        };
        self.entries.iter_mut().filter(of_name).map(take).collect()
    }

    /// The items of a list parted by commas, without blanks around them and without empty ones.
    pub fn list(&mut self, name: &str) -> Vec<&'a str> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    /// A parameter that is on or off, in any of the words for it.
    pub fn boolean(&mut self, name: &str, default: bool) -> bool {
        let read = |text: &str| match (is_true(text), is_false(text)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        self.parsed(name, "`true` or `false`", read).unwrap_or(default)
    }

    /// A number within a range.
    pub fn number<T>(&mut self, name: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display,
    {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        let read = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        self.parsed(name, &expected, read).unwrap_or(default)
    }

    /// A duration: a number in the given unit, or one with its own (`250ms`, `30s`, `5m`, `1h`).
    pub fn duration(
        &mut self,
        name: &str,
        unit: Unit,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let expected = format!("{:?} to {:?}", range.start(), range.end());
        let read = |text: &str| {
            let digits_len = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
            let (digits, suffix) = text.split_at(digits_len);
            let unit = if suffix.is_empty() { unit } else { Unit::named(suffix.trim_start())? };
            let ms = digits.parse::<u64>().ok()?.checked_mul(unit.milliseconds())?;
            Some(Duration::from_millis(ms)).filter(|duration| range.contains(duration))
        };
        self.parsed(name, &expected, read).unwrap_or(default)
    }

    /// One of a few words, compared without case.
    pub fn choice<T: Copy>(&mut self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        let read = |text: &str| {
            choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|&(_, choice)| choice)
        };
        self.parsed(name, &words.join(", "), read).unwrap_or(default)
    }

    /// A value of the caller's own kind. `None` when the parameter is missing, empty (a `$${}` that is not
    /// set leaves nothing) or wrong; what is wrong is told with what was expected.
    pub fn parsed<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let (value, element) = self.last(name)?;
        let text = value.trim();
        if text.is_empty() {
            return None;
        }
        let result = read(text);
        if result.is_none() {
            let what = format!("`{name}` is `{text}`");
            self.problems.error_expecting(element.place_of("value"), what, expected);
        }
        result
    }

    /// Where a parameter's value stands, for findings of the caller's own.
    pub fn place(&self, name: &str) -> Option<Place> {
        let of_name = |entry: &&Entry<'a>| entry.name.eq_ignore_ascii_case(name);
        self.entries.iter().rev().find(of_name).map(|entry| entry.element.place_of("value"))
    }

    /// Refuses a parameter's value for a reason of the caller's own.
    pub fn error(&mut self, name: &str, what: &str) {
        let place = self.place(name);
        self.problems.error(place, format!("`{name}`: {what}"));
    }

    /// Parameters that are known and need no reading here.
    pub fn accept(&mut self, names: &[&str]) {
        for name in names {
            self.known.push((*name).to_owned());
            let of_name = |entry: &&mut Entry<'a>| entry.name.eq_ignore_ascii_case(name);
            self.entries.iter_mut().filter(of_name).for_each(|entry| entry.asked = true);
        }
    }

    /// Parameters of FreeSWITCH that have no effect here: each one that is given is told.
    pub fn without_effect(&mut self, names: &[&str]) {
        for name in names {
            for entry in self.entries.iter_mut().filter(|entry| entry.name.eq_ignore_ascii_case(name)) {
                entry.asked = true;
                self.problems.warning(entry.element.place(), format!("`{name}` has no effect here"));
            }
            self.known.push((*name).to_owned());
        }
    }

    /// Names and values that nobody has asked for yet, in order.
    pub fn unread(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.entries.iter().filter(|entry| !entry.asked).map(|entry| (entry.name, entry.value))
    }

    /// Hands over what was found, and a warning for each parameter that nobody has asked for.
    pub fn finish(mut self, problems: &mut Problems) {
        for entry in self.entries.iter().filter(|entry| !entry.asked) {
            let what = format!("unknown parameter `{}`", entry.name);
            let place = entry.element.place_of("name");
            match nearest(entry.name, self.known.iter().map(String::as_str)) {
                Some(near) => self.problems.warning_expecting(place, what, format!("`{near}`")),
                None => self.problems.warning(place, what),
            }
        }
        problems.append(self.problems);
    }
}
