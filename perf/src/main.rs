//! `crosspoint-perf`: places calls and answers them, checks their audio at both ends, reports.
//!
//! [`plan`] is what a run will do, [`run`] the loop around it, [`agents`] the phones on both sides of the target,
//! [`media`] their audio, [`process`] what the kernel counts for the target, [`report`] what comes out.

#![forbid(unsafe_code)]

mod agents;
mod cli;
mod media;
mod plan;
mod process;
mod report;
mod run;
mod sockets;
mod target;
mod time;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use cli::{Arguments, Command, RunArguments};

/// Something that was asked for did not happen.
const VIOLATED: u8 = 1;
/// Nothing could be measured.
const NOT_MEASURED: u8 = 2;

fn main() -> ExitCode {
    let Command::Run(arguments) = Arguments::parse().command;
    match measure(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(VIOLATED),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(NOT_MEASURED)
        }
    }
}

/// Runs and reports; whether all went as it should.
fn measure(arguments: &RunArguments) -> Result<bool> {
    let plan = plan::Plan::new(arguments)?;
    if !arguments.wait.is_zero() {
        plan.target.await_answer(plan.local, arguments.wait)?;
    }
    let report = run::run(plan)?;
    print!("{report}");
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report).context("cannot write the report as JSON")?;
        std::fs::write(path, json + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(report.complaints().is_empty())
}
