//! What a hunt tried, for those who ask why a call went where it went.

use std::fmt;

use config::Place;

use crate::action::Action;
use crate::dialplan::{Condition, Context, Expression, Extension, Field, Match};
use crate::hunt::matching::Matched;
use crate::text::Text;

/// Entries of one trace; a hunt that is longer loses its end.
pub const ENTRIES_MAX: usize = 100_000;

/// One thing that was tried. `Display` is one line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceEntry {
    /// An extension is looked at.
    Extension {
        /// The context in which it stands.
        context: String,
        /// Its name.
        name: String,
        /// Where it stands.
        place: Place,
    },
    /// A condition without field.
    Unconditional {
        /// Whether its time attributes hold; `None` if it has none.
        time_holds: Option<bool>,
        /// Its word for `break`.
        break_when: &'static str,
        /// Where it stands.
        place: Place,
    },
    /// A pattern was searched for.
    Pattern {
        /// Whether it was found.
        matched: bool,
        /// Whether the condition's time attributes hold; `None` if it has none.
        time_holds: Option<bool>,
        /// The field as written.
        field: String,
        /// What was searched.
        subject: Text,
        /// What was searched for, expanded.
        expression: Text,
        /// The condition's word for `break`.
        break_when: &'static str,
        /// Where the condition stands.
        place: Place,
    },
    /// An action is taken.
    Action {
        /// The action, captures put in.
        action: Action,
        /// It is run now and not queued.
        is_inline: bool,
        /// It is an anti-action.
        is_anti: bool,
    },
    /// The action just taken is not queued after all.
    Dropped {
        /// The application.
        application: String,
    },
    /// An extension is done with.
    Result {
        /// Its name.
        name: String,
        /// Whether it matched.
        matched: bool,
    },
}

#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) is_kept: bool,
    pub(super) entries: Vec<TraceEntry>,
}

impl Trace {
    pub(super) fn extension(&mut self, context: &Context, extension: &Extension) {
        self.push(|| TraceEntry::Extension {
            context: context.name.clone(),
            name: extension.name.clone(),
            place: extension.place.clone(),
        });
    }

    pub(super) fn no_field(&mut self, condition: &Condition, time_holds: Option<bool>) {
        self.push(|| TraceEntry::Unconditional {
            time_holds,
            break_when: condition.break_when.word(),
            place: condition.place.clone(),
        });
    }

    pub(super) fn pattern(
        &mut self,
        condition: &Condition,
        test: &Match,
        time_holds: Option<bool>,
        matched: &Matched,
    ) {
        self.push(|| TraceEntry::Pattern {
            matched: matched.captures.is_some(),
            time_holds,
            field: field_name(test).to_owned(),
            subject: matched.subject.clone(),
            expression: matched.expanded.clone().unwrap_or_else(|| expression_of(test).clone()),
            break_when: condition.break_when.word(),
            place: condition.place.clone(),
        });
    }

    pub(super) fn action(&mut self, action: &Action, is_inline: bool, is_anti: bool) {
        self.push(|| TraceEntry::Action { action: action.clone(), is_inline, is_anti });
    }

    pub(super) fn dropped(&mut self, action: &Action) {
        self.push(|| TraceEntry::Dropped { application: action.application.clone() });
    }

    pub(super) fn result(&mut self, extension: &Extension, matched: bool) {
        self.push(|| TraceEntry::Result { name: extension.name.clone(), matched });
    }

    fn push(&mut self, entry: impl FnOnce() -> TraceEntry) {
        if self.is_kept && self.entries.len() < ENTRIES_MAX {
            self.entries.push(entry());
        }
    }
}

fn field_name(test: &Match) -> &str {
    match &test.field {
        Field::Profile(name) => name,
        Field::Expanded(text) => text.as_str(),
    }
}

fn expression_of(test: &Match) -> &Text {
    match &test.expression {
        Expression::Fixed { text, .. } | Expression::Expanded(text) => text,
    }
}

impl fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = |matched: bool| if matched { "PASS" } else { "FAIL" };
        match self {
            TraceEntry::Extension { context, name, .. } => write!(f, "{context} -> {name}"),
            TraceEntry::Unconditional { time_holds: None, .. } => f.write_str("Absolute Condition"),
            TraceEntry::Unconditional { time_holds: Some(holds), break_when, .. } => {
                write!(f, "Date/Time Match ({}) break={break_when}", verdict(*holds))
            }
            TraceEntry::Pattern { matched, field, subject, expression, break_when, .. } => {
                write!(
                    f,
                    "Regex ({}) {field}({subject}) =~ /{expression}/ break={break_when}",
                    verdict(*matched)
                )
            }
            TraceEntry::Action { action, is_inline, is_anti } => {
                let kind = if *is_anti { "anti-action" } else { "action" };
                let inline = if *is_inline { " inline" } else { "" };
                write!(f, "{kind} {}({}){inline}", action.application, action.data)
            }
            TraceEntry::Dropped { application } => write!(f, "dropped {application}"),
            TraceEntry::Result { name, matched } => {
                write!(f, "{name} {}", if *matched { "matched" } else { "did not match" })
            }
        }
    }
}
