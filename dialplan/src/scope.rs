//! What expansion and hunting ask the call about: its variables, its caller profile, the time.

use clock::Wall;
use jiff::tz::TimeZone;

use crate::text::Text;

/// The other party of a call whose profile `${aleg_…}` and `${bleg_…}` read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Who called us into being: `aleg_`.
    Originator,
    /// Whom we called: `bleg_`.
    Originatee,
}

/// A call as its dialplan sees it. Names compare without case.
///
/// Lookup order of a reference (dialplan.md §15.3): [`variable`](Scope::variable) or [`element`](Scope::element),
/// then [`party_field`](Scope::party_field) for `aleg_` and `bleg_` or [`field`](Scope::field), then
/// [`global`](Scope::global).
pub trait Scope {
    /// A scope or channel variable; an array in its printed form `ARRAY::a|:b`.
    fn variable(&self, name: &str) -> Option<Text>;

    /// One element of an array; nothing for a scalar.
    fn element(&self, name: &str, index: usize) -> Option<Text>;

    /// A field of the caller profile (dialplan.md §14).
    fn field(&self, name: &str) -> Option<Text>;

    /// The present time.
    fn now(&self) -> Wall;

    /// A field of the other party's caller profile.
    fn party_field(&self, party: Party, name: &str) -> Option<Text> {
        let _ = (party, name);
        None
    }

    /// A global variable.
    fn global(&self, name: &str) -> Option<Text> {
        let _ = name;
        None
    }

    /// The server's own time zone.
    fn zone(&self) -> TimeZone {
        TimeZone::UTC
    }

    /// Whether functions may be called at all (core parameter `api-expansion`).
    fn may_call_functions(&self) -> bool {
        true
    }

    /// Whether variable `name`, of the channel or else global, is set to a word that means true.
    fn is_set_true(&self, name: &str) -> bool {
        self.variable(name)
            .or_else(|| self.global(name))
            .is_some_and(|value| crate::words::is_true(value.as_str()))
    }
}

/// A call that is being hunted for: captures are written into it.
pub trait HuntScope: Scope {
    /// Replaces variable `name` by an array of these values; by nothing if there are none.
    fn set_captures(&mut self, name: &str, values: Vec<Text>);

    /// Removes every variable whose name begins with `prefix`.
    fn clear_captures(&mut self, prefix: &str);
}
