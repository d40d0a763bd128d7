//! The packet path is bare: once a call is up, packets cost no memory, whatever becomes of them.
//!
//! The allocator counts for the whole process, so this is a program of its own: the test harness has a second thread,
//! which takes memory when it likes.

use std::alloc::System;
use std::net::SocketAddr;
use std::time::Duration;

use clock::Tick;
use engine::Slot;
use engine::rtp::{HEADER_BYTES, RtpHeader};
use engine::stream_table::{Action, StreamTable, TableSettings, Verdict};
use link::{
    Command, Direction, Learning, PayloadMap, PayloadRule, PortId, Report, RtcpPlan, StreamId, StreamMode,
    StreamPlan, Transform,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: u64 = 50;
const PACKETS: u32 = 100_000;
const STRANGER: &str = "203.0.113.1:9000";

struct Shell {
    table: StreamTable,
    now: Tick,
    ports: Vec<PortId>,
    forwarded: u64,
    dropped: u64,
}

impl Shell {
    fn pump(&mut self) {
        while let Some(action) = self.table.poll_action() {
            match action {
                Action::Bind { slot, .. } => self.table.bound(self.now, slot, Ok(())),
                Action::Send { packet, .. } => self.table.recycle(packet),
                _ => (),
            }
        }
        while let Some(report) = self.table.poll_report() {
            if let Report::PortReady { port, .. } = report {
                self.ports.push(port);
            }
        }
    }

    fn packet(&mut self, slot: u32, from: SocketAddr, packet: &mut [u8]) {
        match self.table.handle_packet(self.now, Slot(slot), from, packet) {
            Verdict::Forward { .. } => self.forwarded += 1,
            Verdict::Drop(_) => self.dropped += 1,
        }
    }
}

fn peer(stream: u64, generation: u32) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, generation as u8], 4_000 + 2 * stream as u16))
}

fn plan(stream: u64) -> StreamPlan {
    let mut payload_map = PayloadMap::default();
    payload_map.push(PayloadRule { from: 0, to: 8, transform: Transform::UlawToAlaw });
    payload_map.push(PayloadRule { from: 101, to: 96, transform: Transform::Keep });
    StreamPlan {
        remote: Some(peer(stream, 1)),
        generation: 1,
        learning: Learning::Window {
            packets: 3,
            window_packets: 20,
            signalling_peer: None,
            same_host_only: false,
        },
        mode: if stream % 8 < 4 { StreamMode::Rewrite } else { StreamMode::Opaque },
        // Partners are neighbours; the last one has none.
        forward_to: (stream < 2 * CALLS - 1).then(|| StreamId::new(0, stream ^ 1)),
        payload_map,
        play_as: None,
        direction: Direction { send: stream != 10, receive: stream != 13 },
        rtcp: if stream.is_multiple_of(4) { RtcpPlan::Mux } else { RtcpPlan::Off },
        silence_ms_max: 100,
    }
}

fn rtp(buffer: &mut [u8; 172], number: u32, payload_type: u8, ssrc: u32) {
    let header = RtpHeader {
        marker: false,
        payload_type,
        sequence_number: number as u16,
        timestamp: number.wrapping_mul(160),
        ssrc,
    };
    header.write_new(buffer.first_chunk_mut().expect("twelve bytes"));
    buffer[HEADER_BYTES..].fill(0x55);
}

/// All that can become of packets: passed on, rewritten, transcoded, learned, rebound, dropped for each reason.
fn traffic(shell: &mut Shell, slots: &[u32], packets: u32) {
    let stranger: SocketAddr = STRANGER.parse().expect("an address");
    let mut buffer = [0; 172];
    for number in 0..packets {
        let stream = u64::from(number) % (2 * CALLS);
        let slot = slots[stream as usize];
        let round = number / (2 * CALLS as u32);
        // After a while another port of the host, after that another host: rebinding and windows that are closed.
        let mut from = peer(stream, 1);
        if stream.is_multiple_of(3) && round % 200 > 100 {
            from.set_port(from.port() + 20_000);
        }
        match number % 11 {
            7 => rtp(&mut buffer, number, 33, 5),
            _ => rtp(&mut buffer, round, 0, stream as u32 + round / 300),
        }
        match number % 13 {
            0 => buffer[0] = 0x40,
            1 => buffer[..8].copy_from_slice(&[0x80, 203, 0, 1, 1, 2, 3, 4]),
            _ => (),
        }
        let len = if number % 13 == 1 { 8 } else { 172 };
        shell.packet(slot, from, &mut buffer[..len]);
        rtp(&mut buffer, number, 0, number);
        shell.packet(slot, stranger, &mut buffer);
        if number % 100 == 0 {
            shell.now += Duration::from_millis(20);
            shell.table.handle_timeout(shell.now);
            shell.pump();
        }
    }
}

fn main() {
    packets_cost_no_memory();
    println!("test packets_cost_no_memory ... ok");
}

fn packets_cost_no_memory() {
    let settings = TableSettings {
        stock_per_address: 2 * CALLS as usize + 4,
        streams_max: 2 * CALLS as usize,
        ..TableSettings::default()
    };
    let table = StreamTable::new(settings, 1);
    let mut shell = Shell { table, now: Tick::from_millis(1), ports: Vec::new(), forwarded: 0, dropped: 0 };
    shell.pump();
    // The first slots were bound in order, so that the nth port has the nth slot.
    let slots: Vec<u32> = (0..2 * CALLS as u32).collect();
    for stream in 0..2 * CALLS {
        let (id, port) = (StreamId::new(0, stream), shell.ports[stream as usize]);
        shell.table.handle_command(shell.now, Command::Open { stream: id, port, plan: plan(stream) });
        shell.pump();
    }
    let region = Region::new(ALLOCATOR);
    // Even the first packets take nothing: all memory was taken at the start.
    traffic(&mut shell, &slots, PACKETS);
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations, change.deallocations), (0, 0, 0), "{change:?}");
    assert!(shell.forwarded > u64::from(PACKETS / 2), "{} forwarded", shell.forwarded);
    let counters = shell.table.counters();
    let kinds = counters.dropped.iter().filter(|&&count| count > 0).count();
    assert!(kinds >= 7, "the traffic should meet most reasons: {counters:?}");
    assert_eq!(counters.dropped.iter().sum::<u64>(), shell.dropped);
}
