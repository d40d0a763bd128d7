//! What holds for a whole dial: read from `{…}`, and from the caller where the dial string is silent (`bridge.md` §3).

use core::time::Duration;

use dialplan::boolean::{is_false, is_true};
use dialplan::{Assignment, Text};

use crate::Cause;
use crate::call::Call;

/// How long a dial may take when nobody says.
const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// Settings that are read from the caller when the dial string does not have them.
const COPIED_FROM_CALLER: [&str; 7] = [
    "fail_on_single_reject",
    "ignore_early_media",
    "originate_continue_on_timeout",
    "ignore_ring_ready",
    "return_ring_ready",
    "progress_timeout",
    "originate_timeout",
];

/// What holds for the whole dial.
pub(super) struct Settings {
    /// `<…>`, `{…}` and what was copied or exported from the caller, weakest first.
    pub(super) shared: Vec<Assignment>,
    pub(super) call_timeout: Duration,
    pub(super) progress_timeout: Option<Duration>,
    pub(super) ignore_early_media: bool,
    pub(super) ring_ready_on_early: bool,
    pub(super) ignore_ring_ready: bool,
    pub(super) continue_on_timeout: bool,
    /// A single leg that only rings wins.
    pub(super) return_ring_ready: bool,
    pub(super) single_reject: SingleReject,
}

/// `fail_on_single_reject`: whether one leg's end ends its whole attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SingleReject {
    Off,
    /// Whatever its cause; the next attempt follows.
    Any,
    /// Its cause is one of these; no further attempt follows.
    Listed(Vec<Cause>),
    /// Its cause is none of these; no further attempt follows.
    NotListed(Vec<Cause>),
}

impl SingleReject {
    fn parse(text: &str) -> SingleReject {
        let text = text.trim();
        if text.is_empty() || is_false(text) {
            return SingleReject::Off;
        }
        if is_true(text) {
            return SingleReject::Any;
        }
        match text.strip_prefix('!') {
            Some(list) => SingleReject::NotListed(crate::parse_list(list)),
            None => SingleReject::Listed(crate::parse_list(text)),
        }
    }

    pub(super) fn is_met_by(&self, cause: Cause) -> bool {
        match self {
            SingleReject::Off => false,
            SingleReject::Any => true,
            SingleReject::Listed(causes) => causes.contains(&cause),
            SingleReject::NotListed(causes) => !causes.contains(&cause),
        }
    }
}

impl Settings {
    pub(super) fn read(call: &Call, mut shared: Vec<Assignment>) -> Settings {
        for name in COPIED_FROM_CALLER {
            let known = shared.iter().any(|item| item.name.eq_ignore_ascii_case(name));
            if let (false, Some(value)) = (known, call.variable_text(name)) {
                shared.insert(0, Assignment { name: name.to_owned(), value });
            }
        }
        let text = |name: &str| {
            shared
                .iter()
                .rev()
                .find(|item| item.name.eq_ignore_ascii_case(name))
                .map(|item| item.value.as_str())
        };
        let seconds = |value: Option<&str>| {
            value.and_then(|s| s.trim().parse::<u64>().ok()).filter(|s| *s > 0).map(Duration::from_secs)
        };
        let says_yes = |name: &str| text(name).is_some_and(is_true);
        let early = text("ignore_early_media").unwrap_or_default();
        let ring_ready_on_early = early.eq_ignore_ascii_case("ring_ready");
        let consume = early.eq_ignore_ascii_case("consume");
        Settings {
            call_timeout: seconds(text("originate_timeout"))
                .or_else(|| seconds(call.variable("call_timeout").as_deref()))
                .unwrap_or(CALL_TIMEOUT_DEFAULT),
            progress_timeout: seconds(text("progress_timeout")),
            ignore_early_media: is_true(early) || ring_ready_on_early || consume,
            ring_ready_on_early,
            ignore_ring_ready: says_yes("ignore_ring_ready"),
            continue_on_timeout: says_yes("originate_continue_on_timeout"),
            return_ring_ready: says_yes("return_ring_ready"),
            single_reject: SingleReject::parse(text("fail_on_single_reject").unwrap_or_default()),
            shared,
        }
    }
}

/// Variables the caller exports, under the names the called leg gets them by.
pub(super) fn exports(call: &Call, list_name: &str) -> Vec<Assignment> {
    let Some(list) = call.variable(list_name) else { return Vec::new() };
    let (delimiter, list) = match list.strip_prefix("^^") {
        Some(rest) => (rest.chars().next().unwrap_or(','), rest.get(1..).unwrap_or_default().to_owned()),
        None => (',', list),
    };
    let mut found = vec![Assignment { name: list_name.to_owned(), value: Text::trusted(list.as_str()) }];
    for name in list.split(delimiter).map(str::trim).filter(|name| !name.is_empty()) {
        let target = name.strip_prefix("nolocal:").or_else(|| name.strip_prefix("_nolocal_")).unwrap_or(name);
        if let Some(value) = call.variable_text(name) {
            found.push(Assignment { name: target.to_owned(), value });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_reject_is_any_a_list_or_what_is_not_in_the_list() {
        let met = |rule: &str, cause| SingleReject::parse(rule).is_met_by(cause);
        assert!(met("true", Cause::NO_ANSWER));
        assert!(!met("false", Cause::NO_ANSWER));
        assert!(!met("", Cause::NO_ANSWER));
        assert!(met("USER_BUSY,CALL_REJECTED", Cause::CALL_REJECTED));
        assert!(met("^^:17:21", Cause::USER_BUSY));
        assert!(!met("USER_BUSY", Cause::NO_ANSWER));
        assert!(met("!USER_BUSY", Cause::NO_ANSWER));
        assert!(!met("!USER_BUSY", Cause::USER_BUSY));
    }
}
