//! The command line: what a user may ask for.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Places SIP calls and answers them, checks their audio at both ends, and reports.
#[derive(Debug, Parser)]
#[command(name = "crosspoint-perf", version, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the harness can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Place calls through a target at a given rate, and play the far end that the target is to ring.
    ///
    /// The target must route the dialled number to the address given by --answer. Exit status: 0 when every call was
    /// answered and every packet arrived unchanged; 1 when not; 2 when nothing could be measured.
    Run(RunArguments),
}

/// Options of `run`.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// Whom to call: sip:HOST, sip:HOST:PORT or sip:NUMBER@HOST
    #[arg(long, value_name = "URI")]
    pub target: String,
    /// The number to dial when the target's URI names none
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    pub number: String,
    /// New calls per second
    #[arg(long, value_name = "CPS", default_value_t = 20.0)]
    pub rate: f64,
    /// How many calls
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub calls: u32,
    /// How long each call talks: 3s, 500ms, 2m
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub hold: Duration,
    /// How long the far end rings before it answers
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub ring: Duration,
    /// The audio of each call, 50 packets per second each way
    #[arg(long, value_enum, default_value_t = MediaChoice::Pcmu)]
    pub media: MediaChoice,
    /// Where the far end answers: the address that the target rings
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5080")]
    pub answer: SocketAddr,
    /// The address to call from; by default the one that leads to the target
    #[arg(long, value_name = "ADDRESS")]
    pub local: Option<IpAddr>,
    /// How long to wait for the target to answer OPTIONS before the first call; 0s does not ask it
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub wait: Duration,
    /// The target's process on this machine, to measure its CPU and memory
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Which audio the calls carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MediaChoice {
    /// G.711 µ-law
    Pcmu,
    /// G.711 A-law
    Pcma,
    /// No packets: signalling alone
    None,
}

/// Reads `3s`, `500ms`, `2m`, or a bare number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let split =
        text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds_per_unit = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("unknown unit {unit:?}; expected ms, s, m or h")),
    };
    let number: f64 =
        number.parse().map_err(|_| "expected a number and a unit, such as 3s or 500ms".to_owned())?;
    Duration::try_from_secs_f64(number * seconds_per_unit).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(duration("3s"), Ok(Duration::from_secs(3)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "-1s", "3 days", "1e400s"] {
            assert!(duration(bad).is_err(), "{bad:?} was read");
        }
    }
}
