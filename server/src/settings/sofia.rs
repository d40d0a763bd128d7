//! `sofia.conf`: profiles with their gateways, and whether what they name exists.

use std::collections::BTreeMap;

use config::{Element, Problems, Settings, nearest};
use switch::{AccessList, AccessNode, Gateway};

use super::profile::SipProfile;
use super::{Context, gateway, profile};

/// Parameters of `<global_settings>` that nothing here depends on.
const GLOBAL_WITHOUT_EFFECT: [&str; 9] = [
    "abort-on-empty-external-ip",
    "auto-restart",
    "capture-server",
    "debug-presence",
    "debug-sla",
    "inbound-reg-in-new-thread",
    "max-reg-threads",
    "rewrite-multicasted-fs-path",
    "tracelevel",
];

/// Profiles, and gateways with the names of their profiles.
pub type Sofia = (Vec<SipProfile>, Vec<(String, Gateway)>);

/// Reads the configuration.
pub fn read(configuration: Option<&Element>, context: &Context<'_>, problems: &mut Problems) -> Sofia {
    let (mut profiles, mut gateways): Sofia = (Vec::new(), Vec::new());
    let Some(configuration) = configuration else {
        problems.warning(None, "there is no `sofia.conf`: nothing is listened on");
        return (profiles, gateways);
    };
    if let Some(element) = configuration.child("global_settings") {
        let mut settings = Settings::new(element);
        settings.accept(&["log-level"]);
        settings.without_effect(&GLOBAL_WITHOUT_EFFECT);
        settings.finish(problems);
    }
    let elements = configuration.child("profiles");
    for element in elements.into_iter().flat_map(|elements| elements.children_named("profile")) {
        let Some(profile) = profile::read(element, context, problems) else { continue };
        if is_taken(&profile, &profiles, problems) {
            continue;
        }
        read_gateways(element, &profile.calls.name, &mut gateways, problems);
        profiles.push(profile);
    }
    if profiles.is_empty() {
        problems.warning(configuration.place(), "there is no profile: nothing is listened on");
    }
    (profiles, gateways)
}

/// Whether a profile before this one has its name, or listens where it would.
fn is_taken(profile: &SipProfile, others: &[SipProfile], problems: &mut Problems) -> bool {
    let name = &profile.calls.name;
    if let Some(other) = others.iter().find(|other| other.calls.name.eq_ignore_ascii_case(name)) {
        let what = format!("this profile `{name}` has no effect: the one at {} counts", other.place);
        problems.warning(profile.place.clone(), what);
        return true;
    }
    let clashes = |other: &&SipProfile| {
        let ours = &profile.endpoint.listeners;
        let same = |theirs: &signaling::ListenerSettings| {
            ours.iter().any(|ours| (ours.local, ours.transport) == (theirs.local, theirs.transport))
        };
        other.endpoint.listeners.iter().any(same)
    };
    let Some(other) = others.iter().find(clashes) else { return false };
    let local = profile.address().map_or_else(String::new, |local| format!(" on {local}"));
    let what =
        format!("profile `{name}` has no effect: profile `{}` listens{local} already", other.calls.name);
    problems.warning(profile.place.clone(), what);
    true
}

fn read_gateways(
    profile: &Element,
    profile_name: &str,
    gateways: &mut Vec<(String, Gateway)>,
    problems: &mut Problems,
) {
    let elements = profile.child("gateways");
    for element in elements.into_iter().flat_map(|elements| elements.children_named("gateway")) {
        let Some(gateway) = gateway::read(element, problems) else { continue };
        if gateways.iter().any(|(_, other)| other.name == gateway.name) {
            let what = format!("this gateway `{}` has no effect: its name is taken", gateway.name);
            problems.warning(element.place_of("name"), what);
            continue;
        }
        gateways.push((profile_name.to_owned(), gateway));
    }
}

/// Warns of access rules that name no list. No address is in a list that does not exist.
pub fn check_access_lists(
    profiles: &[SipProfile],
    lists: &BTreeMap<String, AccessList>,
    problems: &mut Problems,
) {
    for profile in profiles {
        for rule in &profile.calls.inbound_access {
            if lists.contains_key(&rule.list) || AccessNode::parse(&rule.list, true).is_some() {
                continue;
            }
            let what = format!("profile `{}`: there is no access list `{}`", profile.calls.name, rule.list);
            match nearest(&rule.list, lists.keys().map(String::as_str)) {
                Some(near) => {
                    problems.warning_expecting(profile.access_place.clone(), what, format!("`{near}`"))
                }
                None => problems.warning(profile.access_place.clone(), what),
            }
        }
    }
}

/// Warns of contexts that calls would come in by and the dialplan does not have.
pub fn check_contexts(
    profiles: &[SipProfile],
    gateways: &[(String, Gateway)],
    dialplan: &Element,
    problems: &mut Problems,
) {
    let known: Vec<&str> =
        dialplan.children_named("context").filter_map(|context| context.attribute("name")).collect();
    let mut check = |whose: String, place, context: &str| {
        // Names compare without case, and `global` takes what has no context of its own (dialplan.md §3).
        let serves =
            |known: &&str| known.eq_ignore_ascii_case(context) || known.eq_ignore_ascii_case("global");
        let found = known.iter().any(serves);
        if found || context.contains('$') || context == "_domain_" {
            return;
        }
        let what = format!("{whose}: the dialplan has no context `{context}`");
        match nearest(context, known.iter().copied()) {
            Some(near) => problems.warning_expecting(place, what, format!("`{near}`")),
            None => problems.warning(place, what),
        }
    };
    for profile in profiles {
        let whose = format!("profile `{}`", profile.calls.name);
        check(whose, Some(profile.place.clone()), &profile.calls.context);
    }
    for (_, gateway) in gateways {
        if let Some(context) = &gateway.context {
            check(format!("gateway `{}`", gateway.name), None, context);
        }
    }
}
