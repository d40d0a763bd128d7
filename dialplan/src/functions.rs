//! Functions that memory answers during an expansion (dialplan.md §16).
//!
//! The table holds those that need nothing but their argument, the time and the call's variables. The others
//! (directory, registrations, hash, limits, other channels …) are asked for outside. Results keep provenance: what
//! is copied out of an atom is an atom.

use crate::scope::Scope;
use crate::text::Text;

mod cond;
mod encoding;
mod expr;
mod lists;
mod network;
mod regex;
mod time;

/// Answers a call from its trimmed argument.
type Function = fn(&Text, &dyn Scope) -> Text;

/// Sorted by name.
const FUNCTIONS: &[(&str, Function)] = &[
    ("coalesce", |text, _| lists::coalesce(text)),
    ("cond", |text, _| cond::cond(text)),
    ("echo", |text, _| text.clone()),
    ("escape", |text, _| encoding::escape(text)),
    ("expr", expr::expr),
    ("global_getvar", global_getvar),
    ("is_lan_addr", |text, _| network::is_lan_addr(text)),
    ("md5", |text, _| encoding::md5(text)),
    ("quote_shell_arg", |text, _| encoding::quote_shell_arg(text)),
    ("regex", |text, _| regex::regex(text)),
    ("replace", |text, _| lists::replace(text)),
    ("sql_escape", |text, _| encoding::sql_escape(text)),
    ("strepoch", |text, scope| time::strepoch(text, scope, 1_000_000)),
    ("strftime", time::strftime),
    ("strftime_tz", time::strftime_tz),
    ("strmicroepoch", |text, scope| time::strepoch(text, scope, 1)),
    ("tolower", |text, _| text.map_ascii(str::make_ascii_lowercase)),
    ("toupper", |text, _| text.map_ascii(str::make_ascii_uppercase)),
    ("url_decode", |text, _| encoding::url_decode(text)),
    ("url_encode", |text, _| encoding::url_encode(text)),
];

/// The result of the function of this lower-case name; `None` if it is not answered here.
pub(crate) fn answer(name: &str, arguments: &Text, scope: &dyn Scope) -> Option<Text> {
    let index = FUNCTIONS.binary_search_by_key(&name, |&(name, _)| name).ok()?;
    // Without a name it shows all globals, which the outside knows.
    if name == "global_getvar" && arguments.is_empty() {
        return None;
    }
    Some(FUNCTIONS[index].1(arguments, scope))
}

/// The names of the functions that are answered during an expansion, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|&(name, _)| name)
}

fn global_getvar(text: &Text, scope: &dyn Scope) -> Text {
    scope.global(text.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(FUNCTIONS.is_sorted_by_key(|&(name, _)| name));
    }
}
