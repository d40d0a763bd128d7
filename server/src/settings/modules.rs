//! `modules.conf`: which modules a configuration asks for. Ours are built in; the others do not exist here.

use config::{Element, Problems, nearest};

/// Modules of the reference whose work this program does.
const BUILT_IN: [&str; 12] = [
    "mod_cdr_csv",
    "mod_commands",
    "mod_console",
    "mod_dialplan_xml",
    "mod_dptools",
    "mod_expr",
    "mod_logfile",
    "mod_native_file",
    "mod_sndfile",
    "mod_sofia",
    "mod_syslog",
    "mod_timerfd",
];

/// Warns of modules that are not built in.
pub fn read(configuration: Option<&Element>, problems: &mut Problems) {
    let modules = configuration.and_then(|configuration| configuration.child("modules"));
    for load in modules.into_iter().flat_map(|modules| modules.children_named("load")) {
        let Some(module) = load.attribute("module") else {
            problems.warning(load.place(), "a `<load>` without a module has no effect");
            continue;
        };
        if BUILT_IN.contains(&module) {
            continue;
        }
        let what = format!("module `{module}` does not exist here");
        match nearest(module, BUILT_IN) {
            Some(near) => problems.warning_expecting(load.place_of("module"), what, format!("`{near}`")),
            None => problems.warning(load.place_of("module"), what),
        }
    }
}
