//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A SIP back-to-back user agent and media engine for carriers.
#[derive(Debug, Parser)]
#[command(name = "crosspoint", version, about, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the switch in the foreground.
    ///
    /// Prints one line on standard output when calls can be placed. SIGTERM and SIGINT drain it (a second one ends
    /// it at once), SIGHUP loads the configuration again and rotates the records.
    Run(RunOptions),
    /// Load everything and print every problem as `file:line:column: what, expected …`.
    ///
    /// Exit status: 0 when the configuration can be used, 1 when not.
    Check(CheckOptions),
}

/// Which configuration is meant, and where its directories are.
#[derive(Args, Clone, Debug)]
pub struct ConfigurationOptions {
    /// Directory with freeswitch.xml.
    #[arg(long, value_name = "DIR")]
    pub conf: PathBuf,
    /// Directory that sounds, records and the rest lie in; by default the one around DIR, for a DIR below /etc
    /// /var/lib/crosspoint.
    #[arg(long, value_name = "DIR")]
    pub base_dir: Option<PathBuf>,
    /// Directory of call records; by default `log` in the base directory, for a DIR below /etc
    /// /var/log/crosspoint.
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
    /// Directory of prompts; by default `sounds` in the base directory.
    #[arg(long, value_name = "DIR")]
    pub sounds_dir: Option<PathBuf>,
    /// Run the shell commands that the configuration names (`exec`, `exec-set`).
    #[arg(long)]
    pub allow_exec: bool,
}

/// Options of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// Which configuration.
    #[command(flatten)]
    pub configuration: ConfigurationOptions,
    /// How packets are moved; overrides `media-back-end` of switch.conf.
    #[arg(long, value_name = "KIND")]
    pub media_back_end: Option<MediaBackEnd>,
    /// Media threads; by default one per core but one, and at least one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// What is logged: error, warn, info, debug, trace, or `room=level,…`.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log: String,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub log_format: LogFormat,
}

/// Options of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckOptions {
    /// Which configuration.
    #[command(flatten)]
    pub configuration: ConfigurationOptions,
    /// Exit with 1 on warnings, too.
    #[arg(long)]
    pub strict: bool,
}

/// How packets are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MediaBackEnd {
    /// io_uring where it is permitted, else mmsg.
    Auto,
    /// io_uring or nothing.
    IoUring,
    /// recvmmsg, sendmmsg and epoll.
    Mmsg,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_helps_on_every_level() {
        Cli::command().debug_assert();
        for arguments in
            [["crosspoint", "--help", ""], ["crosspoint", "run", "--help"], ["crosspoint", "check", "--help"]]
        {
            let arguments = arguments.iter().filter(|argument| !argument.is_empty());
            let error = Cli::try_parse_from(arguments).expect_err("help is told as an error");
            assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelp);
        }
    }

    #[test]
    fn run_takes_a_back_end_and_a_number_of_workers() {
        let line = ["crosspoint", "run", "--conf", "x", "--media-back-end", "io-uring", "--workers", "3"];
        let Ok(Cli { command: Command::Run(options) }) = Cli::try_parse_from(line) else {
            panic!("does not parse")
        };
        assert_eq!((options.media_back_end, options.workers), (Some(MediaBackEnd::IoUring), Some(3)));
        assert!(Cli::try_parse_from(["crosspoint", "run", "--conf", "x", "--workers", "0"]).is_err());
        assert!(Cli::try_parse_from(["crosspoint", "run"]).is_err());
    }
}
