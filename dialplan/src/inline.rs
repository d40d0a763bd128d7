//! The `inline` dialplan, whose destination is the list of applications (dialplan.md §13).

use crate::action::{Action, ActionList};
use crate::text::Text;
use crate::tokenizer::split;

/// Applications of one inline dialplan.
pub const APPLICATIONS_MAX: usize = 128;

/// Reads `app:data,app:data,…`. An item whose application's name came from the network is refused.
pub fn parse_inline(destination: &Text) -> ActionList {
    let (delimiter, list) = match destination.syntax_at(2) {
        Some(own) if own.is_ascii() && destination.has_syntax("m:", 0) && destination.has_syntax(":", 3) => {
            (char::from(own), destination.slice(4..destination.len()))
        }
        _ => (',', destination.clone()),
    };
    let mut actions = ActionList::new("inline");
    for item in split(&list, delimiter, APPLICATIONS_MAX) {
        let colon = item.find_syntax(b':', 0);
        let application = item.slice(0..colon.unwrap_or(item.len()));
        let data = colon.map_or_else(Text::new, |colon| item.slice(colon + 1..item.len()));
        if application.has_atoms() {
            actions.refused += 1;
        } else if !application.is_empty() {
            actions.actions.push(Action { application: application.into_string(), data, place: None });
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(destination: impl Into<Text>) -> String {
        let list = parse_inline(&destination.into());
        let actions: Vec<String> =
            list.actions.iter().map(|a| format!("{}({})", a.application, a.data)).collect();
        actions.join(" ")
    }

    #[test]
    fn items_are_split_at_commas_and_the_first_colon() {
        assert_eq!(read("set:a=1, log:INFO x:y,park"), "set(a=1) log(INFO x:y) park()");
        assert_eq!(read("log:'INFO a, b',hangup"), "log(INFO a, b) hangup()");
        assert_eq!(read("log:INFO a\\, b,hangup"), "log(INFO a, b) hangup()");
    }

    #[test]
    fn another_delimiter_can_be_named() {
        assert_eq!(read("m:^:log:INFO a, b^hangup"), "log(INFO a, b) hangup()");
        assert_eq!(read("^^|log:INFO a, b|hangup"), "log(INFO a, b) hangup()");
    }

    #[test]
    fn the_network_chooses_no_application() {
        let list = parse_inline(&Text::network("set:a=1,park"));
        assert_eq!((list.actions.len(), list.refused), (0, 1));
        let mut text = Text::trusted("log:");
        text.push_network("a,system:x");
        assert_eq!(read(text), "log(a,system:x)");
    }

    #[test]
    fn beyond_the_limit_the_rest_stays_in_the_last() {
        let list = parse_inline(&Text::trusted(["log:x"; 130].join(",")));
        assert_eq!((list.actions.len(), list.actions[127].data.as_str()), (128, "x,log:x,log:x"));
    }
}
