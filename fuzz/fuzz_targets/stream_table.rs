//! Any packets, from anybody, at any time, into a call: nothing is sent to an address that nobody named, what leaves a
//! rewriting stream is RTP or RTCP, and nothing is left after the call.
#![no_main]

use std::net::SocketAddr;
use std::time::Duration;

use clock::Tick;
use engine::stream_table::{Action, Census, StreamTable, TableSettings, Verdict};
use engine::{Slot, rtcp, rtp};
use libfuzzer_sys::fuzz_target;
use link::{
    AudioFormat, Command, Direction, Learning, PayloadMap, PayloadRule, PlaybackId, PortId, Prompt, Report,
    RtcpPlan, StreamId, StreamMode, StreamPlan, Transform,
};

/// The two parties, their RTCP, another port of the first, and a stranger.
const SOURCES: [&str; 6] = [
    "198.51.100.1:4000",
    "198.51.100.2:6000",
    "198.51.100.1:4001",
    "198.51.100.2:6001",
    "198.51.100.1:4002",
    "203.0.113.9:9000",
];

struct Shell {
    table: StreamTable,
    now: Tick,
    slots: Vec<Slot>,
    ports: Vec<PortId>,
}

fn source(number: u8) -> SocketAddr {
    SOURCES[usize::from(number) % SOURCES.len()].parse().expect("a socket address")
}

fn plan(party: u8, bits: u8) -> StreamPlan {
    let mut payload_map = PayloadMap::default();
    payload_map.push(PayloadRule { from: 0, to: 8, transform: Transform::UlawToAlaw });
    payload_map.push(PayloadRule { from: 8, to: 0, transform: Transform::AlawToUlaw });
    payload_map.push(PayloadRule { from: 101, to: 96, transform: Transform::Keep });
    let rtcp = [RtcpPlan::Off, RtcpPlan::Mux, RtcpPlan::Relay { remote: source(2 + party) }];
    StreamPlan {
        remote: Some(source(party)),
        generation: u16::from(bits >> 6),
        learning: Learning::Window {
            packets: 3,
            window_packets: 9,
            signalling_peer: None,
            same_host_only: bits & 1 == 0,
        },
        mode: if bits & 2 == 0 { StreamMode::Rewrite } else { StreamMode::Opaque },
        forward_to: Some(StreamId::new(0, u64::from(party ^ 1))),
        payload_map,
        play_as: Some(AudioFormat { codec: codecs::AudioCodec::Pcmu, payload_type: 0, ptime_ms: bits }),
        direction: Direction { send: bits & 4 == 0, receive: bits & 8 == 0 },
        rtcp: rtcp[usize::from(bits >> 4) % 3],
        silence_ms_max: u32::from(bits) * 4,
    }
}

impl Shell {
    fn pump(&mut self) {
        self.act();
        while let Some(report) = self.table.poll_report() {
            match report {
                Report::PortReady { port, .. } => self.ports.push(port),
                Report::Released { stream, state } => {
                    let plan = state.plan;
                    self.table.handle_command(self.now, Command::Adopt { stream, state, plan });
                    self.act();
                }
                _ => (),
            }
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.table.poll_action() {
            match action {
                Action::Bind { slot, .. } | Action::PutIn { slot, .. } => {
                    self.slots.push(slot);
                    self.table.bound(self.now, slot, Ok(()));
                }
                Action::Unbind { slot } => {
                    self.slots.retain(|&other| other != slot);
                    self.table.unbound(self.now, slot);
                }
                Action::TakeOut { slot } => {
                    self.slots.retain(|&other| other != slot);
                    self.table.taken_out(self.now, slot, None);
                }
                Action::Send { to, packet, .. } => {
                    assert!(SOURCES.contains(&to.to_string().as_str()));
                    self.table.recycle(packet);
                }
                Action::Settled { .. } | Action::Unsettled { .. } => (),
            }
        }
    }

    fn packet(&mut self, from: u8, to: u8, mode: u8, bytes: &[u8]) {
        let Some(&slot) = self.slots.get(usize::from(to) % self.slots.len().max(1)) else { return };
        let mut bytes = bytes.to_vec();
        let verdict = self.table.handle_packet(self.now, slot, source(from), &mut bytes);
        if let Verdict::Forward { slot, to } = verdict {
            assert!(self.slots.contains(&slot));
            assert!(SOURCES.contains(&to.to_string().as_str()));
            let is_opaque = mode & 2 != 0;
            assert!(is_opaque || rtp::RtpView::parse(&bytes).is_ok() || rtcp::parse(&bytes).is_ok());
        }
        self.pump();
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&bits, mut rest)) = input.split_first() else { return };
    let settings =
        TableSettings { stock_per_address: 3, streams_max: 4, packets_max: 8, ..TableSettings::default() };
    let table = StreamTable::new(settings, u64::from(bits));
    let mut shell = Shell { table, now: Tick::from_millis(1), slots: Vec::new(), ports: Vec::new() };
    shell.pump();
    let streams = [0, 1].map(|party| StreamId::new(0, party));
    for (party, stream) in streams.into_iter().enumerate() {
        let (port, plan) = (shell.ports.remove(0), plan(party as u8, bits));
        shell.table.handle_command(shell.now, Command::Open { stream, port, plan });
        shell.pump();
    }
    while let Some((&[step, first, second], after)) = rest.split_first_chunk() {
        let (bytes, after) = after.split_at(usize::from(second).min(after.len()));
        rest = after;
        let stream = streams[usize::from(first & 1)];
        let command = match step % 8 {
            0..=3 => {
                shell.packet(step >> 2, first, bits, bytes);
                continue;
            }
            4 => {
                shell.now += Duration::from_millis(u64::from(first) * 4);
                shell.table.handle_timeout(shell.now);
                shell.pump();
                continue;
            }
            // The mode stays, so that what leaves can be judged.
            5 => Command::Update { stream, plan: plan(first & 1, (first & !2) | (bits & 2)) },
            6 => {
                let prompt = std::sync::Arc::new(Prompt { samples: vec![7; bytes.len() * 8] });
                Command::Play { stream, playback: PlaybackId(1), prompt, times: u32::from(step >> 6) }
            }
            _ => Command::Release { stream },
        };
        shell.table.handle_command(shell.now, command);
        shell.pump();
    }
    for stream in streams {
        shell.table.handle_command(shell.now, Command::Close { stream });
    }
    shell.pump();
    shell.now += Duration::from_secs(10);
    shell.table.handle_timeout(shell.now);
    shell.pump();
    let census = shell.table.census();
    assert_eq!(Census { slots: 0, ports_ready: 0, ports_free: 0, ..census }, Census::default());
});
