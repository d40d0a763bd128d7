//! CPU per relayed RTP packet and added delay: both back ends of the engine, and rtpengine, side by side.
//!
//! ```text
//! cargo bench -p benches --bench relay -- [--streams 2,200,2000] [--rounds 5] [--seconds 5]
//!                                         [--systems io_uring,mmsg,rtpengine,io_uring-unconnected,…]
//! ```
//!
//! On a machine that does other things at the same time, start it under `chrt -f 10`, or the delays are those of the
//! scheduler.
//!
//! One system at a time relays 172-byte packets, 50 per second and stream, between phones on loopback, each with a
//! port of its own. Phones run on the first core, the relay on the second. Rounds are interleaved (every system once,
//! then every system again), so that what the machine does besides hits all alike. CPU is what the relay's threads
//! used, receive interrupts of the packets it sends included; the kernel splits it into user and system by sampling at
//! its timer's rate, so the split is rough for few streams. The delay is from just before the phone's send to the
//! arrival at the other phone's socket (`SO_TIMESTAMPNS`).

mod cpu;
mod crosspoint;
mod load;
mod rtpengine;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use engine::BackEndChoice;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use cpu::Cpu;
use load::{Heard, Phones};

/// Long enough for caches, routes, the batching of the worker, and source learning.
const WARM_UP: Duration = Duration::from_millis(1_500);

#[derive(Parser)]
struct Arguments {
    /// Numbers of streams; two make a call.
    #[arg(long, value_delimiter = ',', default_value = "2,200,2000")]
    streams: Vec<usize>,
    /// How often each combination is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each measurement takes.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Which systems.
    #[arg(long, value_delimiter = ',', default_value = "io_uring,mmsg,rtpengine")]
    systems: Vec<String>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A relay under measurement. It ends when it is dropped.
trait Relay {
    /// Where each phone sends to, in the order of the phones.
    fn ports(&self) -> &[std::net::SocketAddr];
    /// CPU used so far.
    fn cpu(&self) -> Result<Cpu>;
}

/// One measurement.
pub struct Sample {
    cpu: Cpu,
    heard: Heard,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        // `cargo test --all-targets` comes by without it, and must not be kept waiting.
        println!("measures only when started by `cargo bench`");
        return Ok(());
    }
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    ensure!(cores.len() >= 2, "needs two cores: one for the phones, one for the relay");
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let mut samples: BTreeMap<(usize, usize), Vec<Sample>> = BTreeMap::new();
    for round in 0..arguments.rounds {
        for (row, &streams) in arguments.streams.iter().enumerate() {
            for (column, system) in arguments.systems.iter().enumerate() {
                eprintln!("round {} of {}: {system}, {streams} streams", round + 1, arguments.rounds);
                let sample = measure(system, streams, Duration::from_secs(arguments.seconds))
                    .with_context(|| format!("{system} with {streams} streams"))?;
                samples.entry((row, column)).or_default().push(sample);
            }
        }
    }
    for ((row, column), samples) in &samples {
        table::print(
            &arguments.systems[*column],
            arguments.streams[*row],
            samples,
            (*row, *column) == (0, 0),
        );
    }
    Ok(())
}

fn measure(system: &str, streams: usize, time: Duration) -> Result<Sample> {
    ensure!(streams >= 2 && streams.is_multiple_of(2), "two streams make a call");
    let mut phones = Phones::new(streams)?;
    let relay: Box<dyn Relay> = match system {
        "io_uring" => Box::new(crosspoint::start(BackEndChoice::IoUring, true, phones.addresses())?),
        "mmsg" => Box::new(crosspoint::start(BackEndChoice::Mmsg, true, phones.addresses())?),
        "io_uring-unconnected" => {
            Box::new(crosspoint::start(BackEndChoice::IoUring, false, phones.addresses())?)
        }
        "mmsg-unconnected" => Box::new(crosspoint::start(BackEndChoice::Mmsg, false, phones.addresses())?),
        "rtpengine" => Box::new(rtpengine::start(phones.addresses())?),
        other => anyhow::bail!(
            "unknown system {other}: io_uring, mmsg (or either with -unconnected), or rtpengine"
        ),
    };
    phones.call(relay.ports());
    phones.talk(WARM_UP)?;
    let before = relay.cpu()?;
    let heard = phones.talk(time)?;
    let cpu = relay.cpu()?.since(before);
    Ok(Sample { cpu, heard })
}
