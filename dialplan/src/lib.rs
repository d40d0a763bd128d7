//! The XML dialplan: provenance of text, expansion, hunting, dial strings.
//!
//! ```text
//!   configuration ──compile──▶ Dialplan ──Hunt──▶ ActionList ──Expansion──▶ data ──DialString──▶ legs
//!        (config)                            │ Ask, RunInline    │ Ask
//!                                            └── the caller answers, whenever it can ──┘
//! ```
//!
//! Everything here is computed from what it is told: a [`Scope`] gives variables, fields and the time, and what memory
//! cannot answer is asked for by a step of the machine. Every text is a [`Text`], which knows what of it came from the
//! network; the only readers of syntax are here, and none of them reads that.
#![forbid(unsafe_code)]

mod action;
pub mod boolean;
mod compile;
mod dial_string;
mod dialplan;
mod expansion;
mod functions;
mod hunt;
mod inline;
mod pattern;
mod scope;
mod substitution;
#[cfg(test)]
mod testing;
mod text;
mod times;
pub mod tokenizer;
mod words;

pub use action::{Action, ActionList};
pub use compile::CompileOptions;
pub use config::Place;
pub use dial_string::{Assignment, DialString, DialStringError, Group, Leg, Thread};
pub use dialplan::Dialplan;
pub use expansion::{ApiCall, Expansion, Step, expand};
pub use functions::names as function_names;
pub use hunt::trace::TraceEntry;
pub use hunt::{Hunt, HuntReport, HuntStep};
pub use inline::parse_inline;
pub use pattern::{Captures, LimitHit, Pattern, PatternError};
pub use scope::{HuntScope, Party, Scope};
pub use substitution::substitute;
pub use text::Text;
pub use times::TimeRule;
