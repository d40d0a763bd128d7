//! The list of steps that CI runs, one progress line each, the tests last so that their closing lines end the output.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::{licences, tidy, workspace};

/// Which steps to run.
#[derive(Args)]
pub struct Options {
    /// Run only these steps (may be given more than once).
    #[arg(long, value_enum)]
    only: Vec<Step>,
    /// Leave these steps out (may be given more than once).
    #[arg(long, value_enum)]
    except: Vec<Step>,
}

/// One step of the run, in the order in which they run: the quick ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// `cargo fmt --check`.
    Format,
    /// `cargo xtask tidy`.
    Tidy,
    /// `shellcheck` over all scripts, where it is installed.
    Shell,
    /// `cargo xtask licences`.
    Licences,
    /// `cargo clippy` over all targets, warnings are errors.
    Clippy,
    /// `cargo doc`, warnings are errors.
    Docs,
    /// The README's test command, `make test`.
    Tests,
}

const STEPS: [Step; 7] =
    [Step::Format, Step::Tidy, Step::Shell, Step::Licences, Step::Clippy, Step::Docs, Step::Tests];

/// Runs the chosen steps and stops at the first that fails.
pub fn run(options: &Options) -> Result<()> {
    let chosen: Vec<Step> = STEPS
        .into_iter()
        .filter(|step| options.only.is_empty() || options.only.contains(step))
        .filter(|step| !options.except.contains(step))
        .collect();
    let root = workspace::root();
    let started = Instant::now();
    for (position, step) in chosen.iter().enumerate() {
        println!("==> [{}/{}] {}", position + 1, chosen.len(), step.title());
        let step_started = Instant::now();
        step.run(&root).with_context(|| format!("ci: {} failed", step.title()))?;
        println!("    done in {:.1} s", step_started.elapsed().as_secs_f64());
    }
    println!("==> ci: {} steps passed in {:.0} s", chosen.len(), started.elapsed().as_secs_f64());
    Ok(())
}

impl Step {
    fn title(self) -> &'static str {
        match self {
            Step::Format => "format",
            Step::Tidy => "tidy",
            Step::Shell => "shell scripts",
            Step::Licences => "licences",
            Step::Clippy => "clippy",
            Step::Docs => "documentation",
            Step::Tests => "tests (make test)",
        }
    }

    fn run(self, root: &Path) -> Result<()> {
        match self {
            Step::Format => cargo(root, &["fmt", "--all", "--check"], &[]),
            Step::Tidy => tidy::run(),
            Step::Shell => shell(root),
            Step::Licences => licences::run(),
            Step::Clippy => cargo(
                root,
                &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"],
                &[],
            ),
            // Private items too: what a `//!` line promises to link to must exist. The binaries of two packages
            // do not share a name with a library, so no page overwrites another.
            Step::Docs => cargo(
                root,
                &["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"],
                &[("RUSTDOCFLAGS", "-D warnings")],
            ),
            Step::Tests => execute(Command::new("make").arg("test").current_dir(root)),
        }
    }
}

fn cargo(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(arguments).envs(environment.iter().copied()).current_dir(root);
    execute(&mut command)
}

fn shell(root: &Path) -> Result<()> {
    if Command::new("shellcheck").arg("--version").output().is_err() {
        println!("    skipped: shellcheck is not installed (scripts/packages.sh ci installs it)");
        return Ok(());
    }
    let is_script = |name: &String| name.ends_with(".sh") || name.starts_with(".ci/");
    let scripts = workspace::files()?.into_iter().filter(is_script);
    execute(Command::new("shellcheck").args(scripts).current_dir(root))
}

fn execute(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}
