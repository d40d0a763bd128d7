//! `cdr_csv.conf`: which legs are written to which files in which form.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::{Element, Problems, Settings, nearest};

use super::Context;
use crate::service::records::Template;

/// Used where no template is configured. The columns are those that readers of the reference's files expect.
const BUILT_IN_COLUMNS: [&str; 18] = [
    "accountcode",
    "caller_id_number",
    "destination_number",
    "context",
    "caller_id",
    "channel_name",
    "bridge_channel",
    "last_app",
    "last_arg",
    "start_stamp",
    "answer_stamp",
    "end_stamp",
    "duration",
    "billsec",
    "hangup_cause",
    "amaflags",
    "uuid",
    "userfield",
];

/// Which legs get a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Legs {
    /// Legs without an originator.
    A,
    /// Legs without an originatee.
    B,
    /// All.
    Both,
}

/// How records are written.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordSettings {
    /// `<log-base>/cdr-csv`.
    pub directory: PathBuf,
    /// Which legs.
    pub legs: Legs,
    /// The template of `Master.csv`.
    pub default_template: Template,
    /// Templates by name, for files of account codes.
    pub templates: BTreeMap<String, Template>,
    /// Whether SIGHUP begins new files.
    pub rotate_on_hup: bool,
    /// No files of account codes.
    pub master_file_only: bool,
}

/// Reads the configuration; `None` when there is none, and then nothing is written.
pub fn read(
    configuration: Option<&Element>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<RecordSettings> {
    let configuration = configuration?;
    let mut settings = configuration.child("settings").map_or_else(Settings::empty, Settings::new);
    let log_base = settings.text("log-base").filter(|base| !base.is_empty());
    let base = log_base.map_or_else(|| context.directories.log.clone(), PathBuf::from);
    let templates = read_templates(configuration.child("templates"), problems);
    let wanted = settings.text("default-template").filter(|name| !name.is_empty());
    let default_template = match wanted.map(|name| (name, templates.get(name))) {
        None => built_in(),
        Some((_, Some(template))) => template.clone(),
        Some((name, None)) => {
            warn_of_missing(&settings, name, &templates, problems);
            built_in()
        }
    };
    let legs = [("a", Legs::A), ("b", Legs::B), ("ab", Legs::Both), ("ba", Legs::Both)];
    let records = RecordSettings {
        directory: base.join("cdr-csv"),
        legs: settings.choice("legs", Legs::A, &legs),
        default_template,
        templates,
        rotate_on_hup: settings.boolean("rotate-on-hup", false),
        master_file_only: settings.boolean("master-file-only", false),
    };
    settings.accept(&["debug"]);
    settings.finish(problems);
    Some(records)
}

fn built_in() -> Template {
    let columns: Vec<String> = BUILT_IN_COLUMNS.iter().map(|name| format!("\"${{{name}}}\"")).collect();
    Template::parse(&format!("{};", columns.join(",")))
}

fn read_templates(parent: Option<&Element>, problems: &mut Problems) -> BTreeMap<String, Template> {
    let mut templates = BTreeMap::new();
    for element in parent.into_iter().flat_map(|parent| parent.children_named("template")) {
        match element.attribute("name").filter(|name| !name.is_empty()) {
            Some(name) => {
                templates.insert(name.to_owned(), Template::parse(element.text().trim()));
            }
            None => problems.warning(element.place(), "a `<template>` without a name has no effect"),
        }
    }
    templates
}

fn warn_of_missing(
    settings: &Settings<'_>,
    name: &str,
    templates: &BTreeMap<String, Template>,
    problems: &mut Problems,
) {
    let what = format!("there is no template `{name}`; the built-in one is used");
    let place = settings.place("default-template");
    match nearest(name, templates.keys().map(String::as_str)) {
        Some(near) => problems.warning_expecting(place, what, format!("`{near}`")),
        None => problems.warning(place, what),
    }
}
