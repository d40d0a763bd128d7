//! What a dialplan names that does not exist here: endpoint types, profiles, gateways, variables. Only warnings: the call
//! that reaches such a place fails, all others do not.

mod variables;

use config::{Element, Place, Problems, nearest};
use dialplan::{DialString, Text};
use switch::Gateway;

use super::profile::SipProfile;

/// Applications whose data is a dial string.
const CALLERS: [&str; 2] = ["bridge", "originate"];

/// Walks the section.
pub fn check(
    section: &Element,
    profiles: &[SipProfile],
    gateways: &[(String, Gateway)],
    problems: &mut Problems,
) {
    let mut known = Known { profiles, gateways, variables: variables::Variables::default() };
    known.variables.note_reads(section);
    known.walk(section, problems);
}

struct Known<'a> {
    profiles: &'a [SipProfile],
    gateways: &'a [(String, Gateway)],
    variables: variables::Variables,
}

impl Known<'_> {
    fn walk(&mut self, element: &Element, problems: &mut Problems) {
        if matches!(element.name(), "action" | "anti-action") {
            self.check_action(element, problems);
        }
        for child in element.children() {
            self.walk(child, problems);
        }
    }

    fn check_action(&mut self, action: &Element, problems: &mut Problems) {
        let application = action.attribute("application").unwrap_or_default();
        // Data may stand between the tags, too.
        let data = action.attribute("data").filter(|data| !data.is_empty()).unwrap_or(action.text()).trim();
        let place = action.place_of("data");
        if CALLERS.iter().any(|caller| caller.eq_ignore_ascii_case(application)) {
            return self.check_dial_string(data, &place, problems);
        }
        if let Some(name) = variables::set_by(application, data) {
            self.variables.check(name, &place, problems);
        }
    }

    fn check_dial_string(&mut self, data: &str, place: &Place, problems: &mut Problems) {
        let parsed = match DialString::parse(&Text::trusted(data)) {
            Ok(parsed) => parsed,
            // What is put together when the call is there may be right then.
            Err(_) if data.contains('$') => return,
            Err(error) => return problems.warning(place.clone(), format!("this dial string fails: {error}")),
        };
        let mut assignments: Vec<&str> = parsed.variables.iter().map(|one| one.name.as_str()).collect();
        for thread in &parsed.threads {
            assignments.extend(thread.variables.iter().map(|one| one.name.as_str()));
            for leg in thread.attempts.iter().flat_map(|group| &group.legs) {
                assignments.extend(leg.variables.iter().map(|one| one.name.as_str()));
                self.check_leg(&leg.endpoint_type, leg.data.as_str(), place, problems);
            }
        }
        for name in assignments {
            self.variables.check(name, place, problems);
        }
    }

    fn check_leg(&self, kind: &str, data: &str, place: &Place, problems: &mut Problems) {
        if kind.contains('$') || kind.is_empty() {
            return;
        }
        let kinds: Vec<&str> = switch::endpoint_kinds().collect();
        if !kinds.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
            return warn(
                place,
                format!("endpoint type `{kind}` does not exist here"),
                nearest(kind, kinds),
                problems,
            );
        }
        if !kind.eq_ignore_ascii_case("sofia") {
            return;
        }
        let mut parts = data.split('/');
        match (parts.next(), parts.next()) {
            (Some("gateway"), Some(name)) if !name.contains('$') => self.check_gateway(name, place, problems),
            (Some(name), _) if !name.contains('$') && name != "gateway" => {
                self.check_profile(name, place, problems)
            }
            _ => {}
        }
    }

    fn check_gateway(&self, name: &str, place: &Place, problems: &mut Problems) {
        // `PROFILE::NAME` is a gateway of one profile.
        let name = name.rsplit("::").next().unwrap_or(name);
        let names = || self.gateways.iter().map(|(_, gateway)| gateway.name.as_str());
        if !names().any(|known| known == name) {
            warn(place, format!("there is no gateway `{name}`"), nearest(name, names()), problems);
        }
    }

    fn check_profile(&self, name: &str, place: &Place, problems: &mut Problems) {
        if !self.profiles.iter().any(|profile| profile.calls.is_called(name)) {
            let names = self.profiles.iter().map(|profile| profile.calls.name.as_str());
            warn(place, format!("there is no profile `{name}`"), nearest(name, names), problems);
        }
    }
}

fn warn(place: &Place, what: String, near: Option<&str>, problems: &mut Problems) {
    match near {
        Some(near) => problems.warning_expecting(place.clone(), what, format!("`{near}`")),
        None => problems.warning(place.clone(), what),
    }
}
