//! `cargo xtask mutate`: breaks the switch in one named way at a time, and demands that the simulated worlds notice.
//!
//! The faults live in `tests/src/fault.rs`: the world's mover does wrongly what the switch asks of it, so that nothing of
//! them exists in the switch. A fault that no test finds is a hole in the tests, and an error here.

use std::fs;
use std::process::{Command, Output};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::workspace;

/// Where the faults are named.
const FAULTS_FILE: &str = "tests/src/fault.rs";

/// Environment variable that switches one on.
const FAULT: &str = "CROSSPOINT_FAULT";

/// Environment variable that says how many random worlds are run.
const WORLDS: &str = "CROSSPOINT_WORLDS";

/// Fewer would be a file that was not understood.
const FAULTS_MIN: usize = 12;

/// Which faults, and how hard they are looked for.
#[derive(Args)]
pub struct Options {
    /// Try only this fault (may be given more than once).
    #[arg(long)]
    only: Vec<String>,
    /// Random worlds that are run beside the named scenarios.
    #[arg(long, default_value_t = 300)]
    worlds: u64,
    /// Name the faults and do nothing.
    #[arg(long)]
    list: bool,
}

/// Tries each fault.
pub fn run(options: &Options) -> Result<()> {
    let faults = faults()?;
    if options.list {
        faults.iter().for_each(|name| println!("{name}"));
        return Ok(());
    }
    if let Some(unknown) = options.only.iter().find(|name| !faults.contains(name)) {
        bail!("there is no fault {unknown:?}; --list names them");
    }
    println!("==> without a fault");
    let sound = worlds(options, None)?;
    ensure!(sound.status.success(), "the worlds fail without a fault: mend that first");
    let chosen = faults.iter().filter(|name| options.only.is_empty() || options.only.contains(name));
    let mut survivors = Vec::new();
    let mut tried = 0;
    for name in chosen {
        tried += 1;
        if !is_found(options, name)? {
            survivors.push(name.as_str());
        }
    }
    ensure!(survivors.is_empty(), "no test finds {}", survivors.join(", "));
    println!("==> all of {tried} faults are found");
    Ok(())
}

fn is_found(options: &Options, name: &str) -> Result<bool> {
    let started = Instant::now();
    let output = worlds(options, Some(name))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED")).collect();
    // A run that breaks off without naming a test has found nothing that could be trusted.
    ensure!(output.status.success() == failed.is_empty(), "{name}: the tests broke off: {text}");
    let seconds = started.elapsed().as_secs_f64();
    match failed.first() {
        Some(first) => {
            println!("    {name:<26} found by {:>3} tests, as {first} ({seconds:.1} s)", failed.len())
        }
        None => println!("    {name:<26} NOT FOUND ({seconds:.1} s)"),
    }
    Ok(!failed.is_empty())
}

fn worlds(options: &Options, fault: Option<&str>) -> Result<Output> {
    let mut command: Command = workspace::cargo();
    command
        .args(["test", "--quiet", "--package", "tests", "--test", "worlds", "--", "--format", "pretty"])
        .env(WORLDS, options.worlds.to_string())
        .env(FAULT, fault.unwrap_or_default())
        .env("RUST_BACKTRACE", "0")
        .current_dir(workspace::root());
    command.output().with_context(|| format!("cannot run {command:?}"))
}

/// The names in the list of faults: lines as `Variant = "name";`.
fn faults() -> Result<Vec<String>> {
    let path = workspace::root().join(FAULTS_FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let names: Vec<String> = text
        .lines()
        .filter_map(|line| line.trim().strip_suffix("\";")?.split_once(" = \""))
        .filter(|(variant, _)| variant.chars().all(char::is_alphabetic))
        .map(|(_, name)| name.to_owned())
        .collect();
    ensure!(names.len() >= FAULTS_MIN, "only {} faults are named in {FAULTS_FILE}", names.len());
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faults_are_read_from_their_list() {
        let names = faults().unwrap();
        assert!(names.iter().any(|name| name == "cancel-not-sent"));
        assert!(
            names.iter().all(|name| name.chars().all(|c| c == '-' || c.is_ascii_lowercase())),
            "{names:?}"
        );
    }
}
