//! What developers run: `cargo xtask ci`, `cargo xtask tidy`, `cargo xtask licences`, `cargo xtask mutate`.
//!
//! This file only routes. `ci` is the list of steps that CI runs; `tidy` holds the rules that neither rustc nor clippy
//! can; `licences` judges every crate we would ship; `mutate` proves that the simulated worlds can fail.

#![forbid(unsafe_code)]

mod ci;
mod licences;
mod mutate;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What developers of Crosspoint run.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything CI checks: format, clippy, documentation, tidy, licences, and the tests.
    Ci(ci::Options),
    /// Breaks the switch in one named way at a time and demands that the simulated worlds notice.
    Mutate(mutate::Options),
    /// The house rules: edges between rooms, pure rooms, the unsafe fence, lengths, opening comments, paths.
    Tidy,
    /// Judges the licence of every crate in the dependency graph against the allow-list.
    Licences,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Ci(options) => ci::run(&options),
        Task::Mutate(options) => mutate::run(&options),
        Task::Tidy => tidy::run(),
        Task::Licences => licences::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
