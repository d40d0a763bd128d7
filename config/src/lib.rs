//! FreeSWITCH's XML configuration as a tree whose every node knows its file, line and column.
//!
//! ```text
//!  freeswitch.xml ─▶ preprocess ─▶ one text + source map ─▶ reader ─▶ Document ─▶ Settings, dialplan …
//!      includes,        lines: $${}, set, include,             │
//!      globals          dropped lines, directives              └─▶ Problems, each with its place
//! ```
//!
//! Nothing here touches a disk: the caller hands in [`Files`]. Nothing is logged: what should be said is a
//! [`Problem`]. A configuration with one [`Severity::Error`] yields no [`Document`], so that a reload is
//! either whole or refused.
#![forbid(unsafe_code)]

mod boolean;
mod files;
mod globals;
pub mod limits;
mod load;
mod nearest;
mod path;
mod pattern;
mod place;
mod preprocess;
mod problem;
mod reader;
mod settings;
mod source;
mod tree;

pub use boolean::{is_false, is_true};
pub use files::{Files, MemoryFiles};
pub use globals::Globals;
pub use load::{LoadOptions, Loaded, load, parse_plain};
pub use nearest::nearest;
pub use pattern::{has_wildcard, matches};
pub use place::Place;
pub use problem::{Problem, Problems, Severity};
pub use settings::{Settings, Unit};
pub use tree::{Document, Element};
