//! A call made of maps, for tests.

use std::collections::BTreeMap;

use clock::Wall;
use jiff::tz::TimeZone;

use crate::scope::{HuntScope, Party, Scope};
use crate::text::Text;

/// Variables hold arrays; a scalar is an array of one that knows no elements.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) variables: BTreeMap<String, Vec<Text>>,
    pub(crate) fields: BTreeMap<String, Text>,
    pub(crate) globals: BTreeMap<String, Text>,
    pub(crate) now: Wall,
    pub(crate) zone: TimeZone,
    pub(crate) may_call_functions: bool,
}

impl Call {
    pub(crate) fn new() -> Call {
        let empty = BTreeMap::new;
        // Friday, 2026-11-20 10:00:00 UTC.
        let now = Wall::from_micros(1_795_168_800_000_000);
        Call {
            variables: empty(),
            fields: BTreeMap::new(),
            globals: BTreeMap::new(),
            now,
            zone: TimeZone::UTC,
            may_call_functions: true,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Text>) -> Call {
        self.set(name, value.into());
        self
    }

    pub(crate) fn with_field(mut self, name: &str, value: impl Into<Text>) -> Call {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn with_global(mut self, name: &str, value: impl Into<Text>) -> Call {
        self.globals.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: Text) {
        let name = name.to_ascii_lowercase();
        if value.is_empty() {
            self.variables.remove(&name);
        } else {
            self.variables.insert(name, vec![value]);
        }
    }
}

impl Scope for Call {
    fn variable(&self, name: &str) -> Option<Text> {
        let values = self.variables.get(&name.to_ascii_lowercase())?;
        if let [value] = values.as_slice() {
            return Some(value.clone());
        }
        let mut text = Text::trusted("ARRAY::");
        for (index, value) in values.iter().enumerate() {
            text.push_str(if index > 0 { "|:" } else { "" });
            text.push_text(value);
        }
        Some(text)
    }

    fn element(&self, name: &str, index: usize) -> Option<Text> {
        self.variables.get(&name.to_ascii_lowercase())?.get(index).cloned()
    }

    fn field(&self, name: &str) -> Option<Text> {
        self.fields.get(&name.to_ascii_lowercase()).cloned()
    }

    fn party_field(&self, party: Party, name: &str) -> Option<Text> {
        let party = if party == Party::Originator { "originator" } else { "originatee" };
        Some(Text::trusted(format!("{party}'s {name}")))
    }

    fn global(&self, name: &str) -> Option<Text> {
        self.globals.get(&name.to_ascii_lowercase()).cloned()
    }

    fn now(&self) -> Wall {
        self.now
    }

    fn zone(&self) -> TimeZone {
        self.zone.clone()
    }

    fn may_call_functions(&self) -> bool {
        self.may_call_functions
    }
}

impl HuntScope for Call {
    fn set_captures(&mut self, name: &str, values: Vec<Text>) {
        let name = name.to_ascii_lowercase();
        if values.is_empty() {
            self.variables.remove(&name);
        } else {
            self.variables.insert(name, values);
        }
    }

    fn clear_captures(&mut self, prefix: &str) {
        let prefix = prefix.to_ascii_lowercase();
        self.variables.retain(|name, _| !name.starts_with(&prefix));
    }
}
