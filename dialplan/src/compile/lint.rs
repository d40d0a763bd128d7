//! What a dialplan says that its author cannot have meant.

use config::{Element, Problems, nearest};

use super::CompileOptions;
use crate::times;

/// Tells problems, each with its place.
pub(super) struct Lint<'a> {
    pub(super) options: &'a CompileOptions<'a>,
    pub(super) problems: &'a mut Problems,
}

/// Attributes that old documents name, and what is meant.
const RENAMED: [(&str, &str); 1] = [("minday", "minute-of-day")];
const CONDITION: [&str; 5] = ["field", "expression", "break", "require-nested", "regex"];
const CONDITION_CHILDREN: [&str; 5] = ["action", "anti-action", "condition", "expression", "regex"];
const ACTION: [&str; 4] = ["application", "data", "inline", "loop"];

impl Lint<'_> {
    /// A warning at an attribute, or at the element if it has none of that name.
    pub(super) fn warn(&mut self, element: &Element, attribute: &str, what: &str) {
        self.problems.warning(element.place_of(attribute), what);
    }

    pub(super) fn warn_expecting(&mut self, element: &Element, attribute: &str, what: &str, expected: &str) {
        self.problems.warning_expecting(element.place_of(attribute), what, expected);
    }

    /// Tells attributes that nobody reads.
    pub(super) fn attributes(&mut self, element: &Element, known: &[&str], knows_times: bool) {
        for (name, _) in element.attributes() {
            let is_time = knows_times && times::ATTRIBUTES.contains(&name);
            if known.contains(&name) || is_time {
                continue;
            }
            let what = format!("`{name}` is no attribute of <{}> and has no effect", element.name());
            let place = element.place_of(name);
            let times = if knows_times { &times::ATTRIBUTES[..] } else { &[] };
            let candidates = known.iter().chain(times).copied();
            let renamed = RENAMED.iter().find(|(old, _)| knows_times && *old == name).map(|&(_, new)| new);
            match renamed.or_else(|| nearest(name, candidates)) {
                Some(meant) => self.problems.warning_expecting(place, what, format!("perhaps `{meant}`")),
                None => self.problems.warning(place, what),
            }
        }
    }

    /// Tells children that nobody reads.
    pub(super) fn children(&mut self, element: &Element, known: &[&str]) {
        for child in element.children().iter().filter(|child| !known.contains(&child.name())) {
            let what = format!("<{}> has no effect in <{}>", child.name(), element.name());
            self.problems.warning(child.place(), what);
        }
    }

    pub(super) fn condition(&mut self, element: &Element) {
        self.attributes(element, &CONDITION, true);
        self.children(element, &CONDITION_CHILDREN);
        let has_regex = element.attribute("regex").is_some();
        if !has_regex && let Some(child) = element.child("regex") {
            self.problems
                .warning(child.place(), "<regex> has no effect in a condition without attribute `regex`");
        }
        if has_regex && (element.attribute("field").is_some() || element.attribute("expression").is_some()) {
            let what = "`field` and `expression` have no effect in a condition with attribute `regex`";
            self.problems.warning(element.place(), what);
        }
    }

    /// A condition that is always true although it has an expression.
    pub(super) fn absolute(&mut self, element: &Element) {
        let has_expression =
            element.attribute("expression").is_some() || element.child("expression").is_some();
        if has_expression {
            self.warn(element, "expression", "a condition without `field` is true whatever its expression");
        }
    }

    pub(super) fn action(&mut self, element: &Element, is_inline: bool, count: i64) {
        self.attributes(element, &ACTION, false);
        let Some(application) = element.attribute("application") else {
            return self.warn(element, "", "an action without attribute `application`");
        };
        if count <= 0 {
            self.warn_expecting(element, "loop", "the action is never taken", "a number above 0");
        }
        if element.attribute("data").is_some() && !element.text().is_empty() {
            self.warn(element, "data", "the element's content takes the place of `data`");
        }
        let is_in = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(application));
        let (applications, inline) = (self.options.applications, self.options.inline_applications);
        if let Some(names) = applications.filter(|names| !is_in(names)) {
            let what = format!("there is no application `{application}`");
            match nearest(application, names.iter().copied()) {
                Some(meant) => {
                    self.warn_expecting(element, "application", &what, &format!("perhaps `{meant}`"))
                }
                None => self.warn(element, "application", &what),
            }
        } else if is_inline && inline.is_some_and(|names| !is_in(names)) {
            let what = format!("`{application}` may not run inline: it is neither run nor queued");
            self.warn(element, "application", &what);
        }
    }
}
