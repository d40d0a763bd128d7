//! The boolean words of every variable and parameter (dialplan.md §1.3).

pub use config::{is_false, is_true};
