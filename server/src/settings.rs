//! The configuration's files as plain values: one module per `*.conf`.
//!
//! ```text
//!   freeswitch.xml ─▶ config::load ─▶ tree ─▶ one reader per part ─▶ Settings ─▶ assemble ─▶ switch, signaling, engine
//!                                               └─▶ problems: errors refuse the whole, warnings are told
//! ```
//!
//! An *error* makes the meaning uncertain: not well-formed, a broken include, a value of the wrong type. A *warning* is
//! about what does not exist here; all else works, and only the call that reaches it fails.

pub mod acl;
pub mod assemble;
pub mod cdr_csv;
pub mod core;
mod dialplan_lint;
pub mod directory;
pub mod gateway;
mod modules;
pub mod profile;
pub mod sofia;
#[cfg(test)]
mod tests;
pub mod time_zone;

use std::collections::BTreeMap;
use std::sync::Arc;

use ::config::{Document, Element, Files, Globals, LoadOptions, Problems, nearest};
use dialplan::{CompileOptions, Dialplan};
use switch::{AccessList, Gateway};

use crate::globals::{Directories, built_in};
use crate::machine::Machine;
use cdr_csv::RecordSettings;
use core::CoreSettings;
use profile::SipProfile;

/// Sections that are read.
const SECTIONS: [&str; 3] = ["configuration", "dialplan", "directory"];
/// Files of the section `configuration` that are read.
const CONFIGURATIONS: [&str; 6] =
    ["acl.conf", "cdr_csv.conf", "modules.conf", "sofia.conf", "switch.conf", "timezones.conf"];

/// Everything that a configuration says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Variables that every call sees.
    pub globals: Globals,
    /// `switch.conf`.
    pub core: CoreSettings,
    /// Profiles of `sofia.conf`.
    pub profiles: Vec<SipProfile>,
    /// Gateways of all profiles, each with the name of its profile.
    pub gateways: Vec<(String, Gateway)>,
    /// Access lists of `acl.conf`, and the built-in ones.
    pub access_lists: BTreeMap<String, AccessList>,
    /// `cdr_csv.conf`.
    pub records: Option<RecordSettings>,
    /// Zone of stamps.
    pub time_zone: Option<String>,
    /// The section `dialplan`.
    pub dialplan: Arc<Dialplan>,
    /// Numbers that reach exactly one extension of the first profile's context, with its name: what to try first.
    pub numbers_to_dial: Vec<(String, String)>,
}

/// What loading came to.
#[derive(Debug)]
pub struct Loaded {
    /// `None` when there are errors.
    pub settings: Option<Settings>,
    /// What was found, in the order in which it was found.
    pub problems: Problems,
}

/// What a part's reader may look at beside its own element.
pub struct Context<'a> {
    /// The machine.
    pub machine: &'a dyn Machine,
    /// Variables after loading.
    pub globals: &'a Globals,
    /// Where things lie.
    pub directories: &'a Directories,
}

/// Loads `freeswitch.xml` of `directories.conf` and reads all of it.
pub fn load(files: &dyn Files, directories: &Directories, machine: &dyn Machine, allow_exec: bool) -> Loaded {
    let root = directories.conf.join("freeswitch.xml").to_string_lossy().into_owned();
    let options = LoadOptions {
        allow_exec,
        default_route_address: Some(machine.default_address(false).to_string()),
        ..LoadOptions::default()
    };
    let ::config::Loaded { document, globals, mut problems } =
        ::config::load(files, &root, built_in(directories, machine), &options);
    let Some(document) = document else { return Loaded { settings: None, problems } };
    let context = Context { machine, globals: &globals, directories };
    let settings = read(&document, &context, &mut problems);
    let settings = (!problems.has_errors()).then_some(settings);
    Loaded { settings, problems }
}

fn read(document: &Document, context: &Context<'_>, problems: &mut Problems) -> Settings {
    warn_of_unread(document.root(), "section", &SECTIONS, problems);
    if let Some(section) = document.section("configuration") {
        warn_of_unread(section, "configuration", &CONFIGURATIONS, problems);
    }
    modules::read(document.configuration("modules.conf"), problems);
    let directory = directory::read(document.section("directory"), problems);
    let core = core::read(document.configuration("switch.conf"), context, problems);
    let (profiles, gateways) = sofia::read(document.configuration("sofia.conf"), context, problems);
    let access_lists = acl::read(document.configuration("acl.conf"), &directory, context, problems);
    let records = cdr_csv::read(document.configuration("cdr_csv.conf"), context, problems);
    let time_zone = time_zone::read(document.configuration("timezones.conf"), context, problems);
    sofia::check_access_lists(&profiles, &access_lists, problems);
    let dialplan = Arc::new(read_dialplan(document, &profiles, &gateways, problems));
    let numbers_to_dial = numbers_to_dial(document, &profiles);
    let globals = context.globals.clone();
    Settings {
        globals,
        core,
        profiles,
        gateways,
        access_lists,
        records,
        time_zone,
        dialplan,
        numbers_to_dial,
    }
}

fn read_dialplan(
    document: &Document,
    profiles: &[SipProfile],
    gateways: &[(String, Gateway)],
    problems: &mut Problems,
) -> Dialplan {
    let Some(section) = document.section("dialplan") else {
        problems.warning(document.root().place(), "there is no section `dialplan`: no call can be routed");
        return Dialplan::default();
    };
    sofia::check_contexts(profiles, gateways, section, problems);
    dialplan_lint::check(section, profiles, gateways, problems);
    let applications: Vec<&str> = switch::application_names().collect();
    let options = CompileOptions { applications: Some(&applications), inline_applications: None };
    Dialplan::compile(section, &options, problems)
}

fn numbers_to_dial(document: &Document, profiles: &[SipProfile]) -> Vec<(String, String)> {
    let context = profiles.first().and_then(|profile| {
        let is_it = |context: &&Element| {
            context.attribute("name").is_some_and(|name| name.eq_ignore_ascii_case(&profile.calls.context))
        };
        document.section("dialplan")?.children_named("context").find(is_it)
    });
    context.map(crate::ready::literal_numbers).unwrap_or_default()
}

/// Warns of children that nobody reads.
fn warn_of_unread(parent: &Element, kind: &str, known: &[&str], problems: &mut Problems) {
    for child in parent.children_named(kind) {
        let Some(name) = child.attribute("name") else { continue };
        if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            continue;
        }
        let what = format!("{kind} `{name}` has no effect here");
        match nearest(name, known.iter().copied()) {
            Some(near) => problems.warning_expecting(child.place_of("name"), what, format!("`{near}`")),
            None => problems.warning(child.place_of("name"), what),
        }
    }
}
