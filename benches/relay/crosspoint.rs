//! The engine as a relay: one worker, two streams per call, headers rewritten, sources checked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use engine::{BackEndChoice, Engine, MediaSettings};
use link::{
    Command, Direction, Learning, PayloadMap, PayloadRule, PortId, Report, RtcpPlan, StreamId, StreamMode,
    StreamPlan, Transform,
};

use crate::Relay;
use crate::cpu::{self, Cpu};

/// How long a port may take to become ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running engine with its calls.
pub struct Crosspoint {
    ports: Vec<SocketAddr>,
    _engine: Engine,
}

/// Starts one worker and joins the phones in pairs.
pub fn start(back_end: BackEndChoice, connect: bool, phones: &[SocketAddr]) -> Result<Crosspoint> {
    let settings = MediaSettings {
        addresses: vec![IpAddr::V4(Ipv4Addr::new(127, 0, 99, 1))],
        port_start: 10_000,
        port_end: 60_000,
        workers: Some(1),
        back_end,
        connect,
        stock_per_address: 256,
        ..MediaSettings::default()
    };
    let mut engine = engine::start(&settings, 1)?;
    let mut ports = Vec::new();
    for (number, remote) in phones.iter().enumerate() {
        let (port, local) = next_port(&mut engine)?;
        let stream = name(number);
        let plan = plan(*remote, name(number ^ 1));
        engine.links[0]
            .send(Command::Open { stream, port, plan })
            .ok()
            .context("the command queue is full")?;
        ports.push(local);
    }
    Ok(Crosspoint { ports, _engine: engine })
}

impl Relay for Crosspoint {
    fn ports(&self) -> &[SocketAddr] {
        &self.ports
    }

    fn cpu(&self) -> Result<Cpu> {
        cpu::of_threads(Path::new("/proc/self"), "media-")
    }
}

fn name(number: usize) -> StreamId {
    StreamId::new(0, number as u64)
}

fn next_port(engine: &mut Engine) -> Result<(PortId, SocketAddr)> {
    let end = Instant::now() + PATIENCE;
    loop {
        while let Some(report) = engine.links[0].poll_report() {
            if let Report::PortReady { port, local, .. } = report {
                return Ok((port, local));
            }
        }
        ensure!(Instant::now() < end, "no port became ready");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn plan(remote: SocketAddr, forward_to: StreamId) -> StreamPlan {
    let mut payload_map = PayloadMap::EMPTY;
    payload_map.push(PayloadRule { from: 0, to: 0, transform: Transform::Keep });
    StreamPlan {
        remote: Some(remote),
        generation: 0,
        learning: Learning::Off,
        mode: StreamMode::Rewrite,
        forward_to: Some(forward_to),
        payload_map,
        play_as: None,
        direction: Direction::BOTH,
        rtcp: RtcpPlan::Off,
        silence_ms_max: 0,
    }
}
