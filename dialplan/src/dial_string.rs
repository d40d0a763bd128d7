//! Dial strings: who is to be called, in which order, with which variables (bridge.md §1–2).
//!
//! ```text
//!   <all threads>{all legs of a thread}[one leg]type/data,[one leg]type/data|next attempt:_:next thread
//! ```
//!
//! Only the operator's characters are structure. An atom has none, so a dialled number can never become a second leg
//! or a variable; an endpoint type or a variable's name that came from the network is refused.

use std::fmt;

use crate::text::Text;

mod parse;
mod print;

pub use parse::DialStringError;

/// A whole dial string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialString {
    /// `<…>` at the front: for every thread.
    pub variables: Vec<Assignment>,
    /// Independent originates, parted by `:_:`; mostly one. All of them call at once.
    pub threads: Vec<Thread>,
}

/// One originate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// `{…}` (and `<…>` of this thread, before them): for every leg of every attempt.
    pub variables: Vec<Assignment>,
    /// Attempts, parted by `|`: each is made when the one before it has failed.
    pub attempts: Vec<Group>,
}

/// One attempt: legs that ring at once, parted by `,`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// At least one when parsed.
    pub legs: Vec<Leg>,
}

/// One leg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leg {
    /// `[…]`: for this leg alone.
    pub variables: Vec<Assignment>,
    /// What stands before the first `/`: `sofia`, `loopback` … Empty, and so unknown, if it held an atom.
    pub endpoint_type: String,
    /// What stands after the first `/`.
    pub data: Text,
}

/// `name=value`. Where a name comes twice, the last one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The variable's name, never empty.
    pub name: String,
    /// Its value; empty unsets the variable.
    pub value: Text,
}

impl DialString {
    /// Reads a dial string.
    pub fn parse(text: &Text) -> Result<DialString, DialStringError> {
        parse::parse(text)
    }

    /// Writes the dial string so that parsing gives it back, provenance and all.
    ///
    /// That holds for everything that [`parse`](DialString::parse) makes, and for what is made by hand if its endpoint
    /// types are names without slash.
    pub fn to_text(&self) -> Text {
        print::print(self)
    }
}

impl fmt::Display for DialString {
    /// Like [`to_text`](DialString::to_text), for people: a text without provenance, in which syntax is escaped
    /// wherever it came from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&print::print(&self.clone().into_trusted()), f)
    }
}

impl DialString {
    /// The same without provenance.
    fn into_trusted(mut self) -> DialString {
        trust(&mut self.variables);
        for thread in &mut self.threads {
            trust(&mut thread.variables);
            for leg in thread.attempts.iter_mut().flat_map(|group| &mut group.legs) {
                trust(&mut leg.variables);
                leg.data = std::mem::take(&mut leg.data).into_trusted();
            }
        }
        self
    }
}

fn trust(variables: &mut [Assignment]) {
    for variable in variables {
        variable.value = std::mem::take(&mut variable.value).into_trusted();
    }
}
