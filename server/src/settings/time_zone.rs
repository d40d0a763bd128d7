//! `timezones.conf`, and which zone stamps are written in.

use config::{Element, Problems};
use jiff::tz::TimeZone;

use super::Context;

/// The zone of stamps: the global `timezone` by the rule that `timezones.conf` gives it, or by its own name; without
/// the global the machine's zone. `None` is UTC.
pub fn read(
    configuration: Option<&Element>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<String> {
    let zones = configuration.and_then(|configuration| configuration.child("timezones"));
    let mut rule = None;
    let wanted = context.globals.get("timezone").filter(|name| !name.is_empty());
    for zone in zones.into_iter().flat_map(|zones| zones.children_named("zone")) {
        let (Some(name), Some(value)) = (zone.attribute("name"), zone.attribute("value")) else {
            problems.warning(zone.place(), "a `<zone>` needs a name and a value");
            continue;
        };
        if !is_rule(value) {
            problems.warning_expecting(
                zone.place_of("value"),
                format!("`{value}` is no rule of a time zone"),
                "a POSIX rule",
            );
        } else if wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(name)) {
            rule.get_or_insert_with(|| value.to_owned());
        }
    }
    let Some(wanted) = wanted else { return TimeZone::system().iana_name().map(str::to_owned) };
    if rule.is_some() {
        return rule;
    }
    if TimeZone::get(wanted).is_ok() || is_rule(wanted) {
        return Some(wanted.to_owned());
    }
    problems.warning(
        None,
        format!("the global variable `timezone` is `{wanted}`, which is no time zone: UTC is used"),
    );
    None
}

fn is_rule(text: &str) -> bool {
    TimeZone::posix(text).is_ok()
}
