//! The program `crosspoint`.

use std::process::ExitCode;

use clap::Parser;
use server::check::check;
use server::cli::{Cli, Command};
use server::run::{run, source};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(options) => run(&options).map(|()| true),
        Command::Check(options) => check(&source(&options.configuration), &mut std::io::stdout().lock())
            .map(|verdict| verdict.passes(options.strict))
            .map_err(anyhow::Error::from),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crosspoint: {error:#}");
            ExitCode::FAILURE
        }
    }
}
