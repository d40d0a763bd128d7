//! What a run will do: the command line checked and completed, so that nothing of it can fail later.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use codecs::AudioCodec;

use crate::cli::{MediaChoice, RunArguments};
use crate::target::Target;

/// Calls of one run. Each needs two sockets; more than this has to be several runs.
const CALLS_MAX: u32 = 1_000_000;

/// New calls per second. Above it a single thread cannot keep the pace anyhow.
const RATE_MAX: f64 = 20_000.0;

/// Packets of a call carry their number in 32 bits and the run must end on the same day.
const HOLD_MAX: Duration = Duration::from_secs(86_400);

/// A checked run.
pub struct Plan {
    /// Whom to call.
    pub target: Target,
    /// New calls per second.
    pub rate_per_s: f64,
    /// How many calls.
    pub calls: u32,
    /// How long each call talks.
    pub hold: Duration,
    /// How long the far end rings.
    pub ring: Duration,
    /// The audio; `None` for signalling alone.
    pub codec: Option<AudioCodec>,
    /// Where the far end answers.
    pub answer: SocketAddr,
    /// Where calls come from.
    pub local: IpAddr,
    /// The target's process.
    pub pid: Option<u32>,
}

impl Plan {
    /// Checks what was asked for.
    pub fn new(arguments: &RunArguments) -> Result<Plan> {
        let target = Target::parse(&arguments.target, &arguments.number)?;
        if !(arguments.rate > 0.0 && arguments.rate <= RATE_MAX) {
            bail!("--rate {}: expected more than 0 and at most {RATE_MAX}", arguments.rate);
        }
        if !(1..=CALLS_MAX).contains(&arguments.calls) {
            bail!("--calls {}: expected 1 to {CALLS_MAX}", arguments.calls);
        }
        if arguments.hold > HOLD_MAX {
            bail!("--hold: expected at most {} s", HOLD_MAX.as_secs());
        }
        let codec = match arguments.media {
            MediaChoice::Pcmu => Some(AudioCodec::Pcmu),
            MediaChoice::Pcma => Some(AudioCodec::Pcma),
            MediaChoice::None => None,
        };
        let local = match arguments.local {
            Some(local) => local,
            None => route_to(target.address)?,
        };
        if local.is_ipv4() != target.address.is_ipv4() {
            bail!("--local {local} and the target {} are of different families", target.address);
        }
        Ok(Plan {
            target,
            rate_per_s: arguments.rate,
            calls: arguments.calls,
            hold: arguments.hold,
            ring: arguments.ring,
            codec,
            answer: arguments.answer,
            local,
            pid: arguments.pid,
        })
    }

    /// When call number `index` should start, from the start of the run.
    pub fn due(&self, index: u32) -> Duration {
        Duration::from_secs_f64(f64::from(index) / self.rate_per_s)
    }
}

/// The address of ours that the kernel would send from.
fn route_to(target: SocketAddr) -> Result<IpAddr> {
    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).context("cannot open a UDP socket")?;
    socket.connect(target).with_context(|| format!("no route to {target}"))?;
    Ok(socket.local_addr().context("a connected socket without an address")?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_due_at_even_distances_whatever_the_rate() {
        let plan = Plan {
            target: Target::parse("sip:127.0.0.1", "1000").expect("a target"),
            rate_per_s: 3.0,
            calls: 10,
            hold: Duration::from_secs(1),
            ring: Duration::ZERO,
            codec: None,
            answer: ([127, 0, 0, 1], 5080).into(),
            local: [127, 0, 0, 1].into(),
            pid: None,
        };
        assert_eq!(plan.due(0), Duration::ZERO);
        assert_eq!(plan.due(3), Duration::from_secs(1));
        assert_eq!(plan.due(3_000_000), Duration::from_secs(1_000_000));
    }
}
