//! A shell without sockets: what the table sends is kept for looking at, and what it asks for is done at once.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use clock::Tick;
use codecs::AudioCodec;
use engine::stream_table::{Action, BindError, Census, DropReason, StreamTable, TableSettings, Verdict};
use engine::{Slot, rtp};
use link::{
    AudioFormat, Command, Direction, Learning, PayloadMap, PayloadRule, PortId, Report, RtcpPlan, Socket,
    StreamId, StreamMode, StreamPlan, StreamState, StreamStatistics, Transform,
};

/// A packet that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at: Tick,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

impl Sent {
    /// The RTP sequence number.
    pub fn number(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }
}

/// One worker's table and what surrounds it.
pub struct World {
    pub table: StreamTable,
    pub now: Tick,
    pub sent: Vec<Sent>,
    pub reports: Vec<Report>,
    /// Ports reported as ready and not used yet.
    pub stock: VecDeque<(PortId, SocketAddr)>,
    pub sockets: BTreeMap<SocketAddr, Slot>,
    /// The peer that a socket is connected to. With `connects`, packets from others never reach the table.
    pub connected: BTreeMap<SocketAddr, SocketAddr>,
    pub connects: bool,
    /// Addresses that cannot be bound.
    pub taken: Vec<SocketAddr>,
    /// Nothing can be bound.
    pub is_out_of_sockets: bool,
    serial: u64,
}

/// A stream and its place.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    pub id: StreamId,
    pub port: PortId,
    pub local: SocketAddr,
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}

/// Settings of a small worker on 192.0.2.1.
pub fn small() -> TableSettings {
    TableSettings {
        addresses: vec!["192.0.2.1".parse().expect("an address")],
        port_start: 20_000,
        port_end: 20_199,
        stock_per_address: 8,
        streams_max: 32,
        packets_max: 64,
        ..TableSettings::default()
    }
}

/// Both ways, PCMU, PCMA and events as they are, learning on.
pub fn plan(remote: &str, forward_to: Option<StreamId>) -> StreamPlan {
    let mut payload_map = PayloadMap::default();
    for payload_type in [0, 8, 101] {
        payload_map.push(PayloadRule { from: payload_type, to: payload_type, transform: Transform::Keep });
    }
    StreamPlan {
        remote: Some(address(remote)),
        generation: 1,
        learning: Learning::Window {
            packets: 10,
            window_packets: 20,
            signalling_peer: None,
            same_host_only: false,
        },
        mode: StreamMode::Rewrite,
        forward_to,
        payload_map,
        play_as: Some(AudioFormat { codec: AudioCodec::Pcmu, payload_type: 0, ptime_ms: 20 }),
        direction: Direction::BOTH,
        rtcp: RtcpPlan::Off,
        silence_ms_max: 0,
    }
}

/// An RTP packet.
pub fn rtp(payload_type: u8, sequence_number: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let header = rtp::RtpHeader { marker: false, payload_type, sequence_number, timestamp, ssrc };
    let mut bytes = vec![0; rtp::HEADER_BYTES];
    header.write_new(bytes.first_chunk_mut().expect("twelve bytes"));
    bytes.extend_from_slice(payload);
    bytes
}

/// One party's side of a call: what it sends, frame by frame.
#[derive(Clone, Debug)]
pub struct Talker {
    pub address: SocketAddr,
    pub ssrc: u32,
    pub sequence_number: u16,
    pub timestamp: u32,
    /// First byte of each payload, so that content can be told apart; the next two count frames.
    pub mark: u8,
    pub frames: u16,
}

impl Talker {
    pub fn new(text: &str, ssrc: u32, mark: u8) -> Talker {
        let (sequence_number, timestamp) = ((ssrc >> 3) as u16, ssrc.wrapping_mul(7));
        Talker { address: address(text), ssrc, sequence_number, timestamp, mark, frames: 0 }
    }

    /// The next packet.
    pub fn speak(&mut self) -> Vec<u8> {
        let mut payload = [self.mark; 160];
        payload[1..3].copy_from_slice(&self.frames.to_be_bytes());
        let bytes = rtp(0, self.sequence_number, self.timestamp, self.ssrc, &payload);
        self.frames += 1;
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        bytes
    }
}

impl World {
    pub fn new(settings: TableSettings, seed: u64) -> World {
        let mut world = World {
            table: StreamTable::new(settings, seed),
            now: Tick::from_millis(1_000),
            sent: Vec::new(),
            reports: Vec::new(),
            stock: VecDeque::new(),
            sockets: BTreeMap::new(),
            connected: BTreeMap::new(),
            connects: seed % 2 == 1,
            taken: Vec::new(),
            is_out_of_sockets: false,
            serial: 0,
        };
        world.pump();
        world
    }

    /// Carries out what the table wants, and takes its reports.
    pub fn pump(&mut self) {
        let mut leaving = Vec::new();
        loop {
            while let Some(action) = self.table.poll_action() {
                self.carry_out(action, &mut leaving);
            }
            // Sockets that leave in one turn leave together.
            if leaving.is_empty() {
                break;
            }
            for slot in leaving.drain(..) {
                self.forget(slot);
                self.table.taken_out(self.now, slot, None);
            }
        }
        while let Some(report) = self.table.poll_report() {
            if let Report::PortReady { port, local, .. } = report {
                self.stock.push_back((port, local));
            }
            self.reports.push(report);
        }
    }

    fn carry_out(&mut self, action: Action, leaving: &mut Vec<Slot>) {
        match action {
            Action::Bind { slot, local } => {
                let in_use = self.taken.contains(&local) || self.sockets.contains_key(&local);
                let result = match () {
                    () if self.is_out_of_sockets => Err(BindError::NoResources),
                    () if in_use => Err(BindError::InUse),
                    () => Ok(()),
                };
                if result.is_ok() {
                    self.sockets.insert(local, slot);
                }
                self.table.bound(self.now, slot, result);
            }
            Action::PutIn { slot, local, socket } => self.put_in(slot, local, socket),
            Action::Unbind { slot } => {
                self.forget(slot);
                self.table.unbound(self.now, slot);
            }
            Action::TakeOut { slot } => leaving.push(slot),
            Action::Send { slot, to, packet } => {
                let from = self.local(slot);
                self.sent.push(Sent { at: self.now, from, to, bytes: packet.to_vec() });
                self.table.recycle(packet);
            }
            Action::Settled { slot, peer } => {
                let before = self.connected.insert(self.local(slot), peer);
                assert_eq!(before, None, "settled twice");
            }
            Action::Unsettled { slot } => {
                assert!(
                    self.connected.remove(&self.local(slot)).is_some(),
                    "unsettled without having settled"
                );
            }
        }
    }

    fn put_in(&mut self, slot: Slot, local: SocketAddr, socket: Option<Socket>) {
        assert!(socket.is_none(), "there are no sockets in this world");
        assert_eq!(self.sockets.insert(local, slot), None);
        self.table.bound(self.now, slot, Ok(()));
    }

    fn forget(&mut self, slot: Slot) {
        self.sockets.retain(|local, &mut of| {
            if of == slot {
                self.connected.remove(local);
            }
            of != slot
        });
    }

    /// Where a slot is bound.
    pub fn local(&self, slot: Slot) -> SocketAddr {
        let found = self.sockets.iter().find(|&(_, &of)| of == slot);
        *found.expect("the table sends by sockets that it has").0
    }

    pub fn command(&mut self, command: Command) {
        self.table.handle_command(self.now, command);
        self.pump();
    }

    /// The name of a stream to be opened.
    pub fn name(&mut self) -> StreamId {
        self.serial += 1;
        StreamId::new(0, self.serial)
    }

    /// Opens a stream on a port of the stock.
    pub fn open(&mut self, id: StreamId, plan: StreamPlan) -> Leg {
        let (port, local) = self.stock.pop_front().expect("the stock is not empty");
        self.command(Command::Open { stream: id, port, plan });
        Leg { id, port, local }
    }

    /// Two streams that forward to each other.
    pub fn call(&mut self, one: &str, other: &str, change: impl Fn(&mut StreamPlan)) -> (Leg, Leg) {
        let (a, b) = (self.name(), self.name());
        let plans = [(one, b), (other, a)].map(|(remote, partner)| {
            let mut plan = plan(remote, Some(partner));
            change(&mut plan);
            plan
        });
        (self.open(a, plans[0]), self.open(b, plans[1]))
    }

    /// A datagram from there to one of our sockets. `None`: it did not reach the table.
    pub fn packet(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Option<Verdict> {
        let slot = *self.sockets.get(&to)?;
        if self.connects && self.connected.get(&to).is_some_and(|&peer| peer != from) {
            return None;
        }
        let mut bytes = bytes.to_vec();
        let verdict = self.table.handle_packet(self.now, slot, from, &mut bytes);
        if let Verdict::Forward { slot, to } = verdict {
            let from = self.local(slot);
            self.sent.push(Sent { at: self.now, from, to, bytes });
        }
        self.pump();
        Some(verdict)
    }

    /// As [`World::packet`], for one that must be dropped.
    pub fn dropped(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> DropReason {
        match self.packet(from, to, bytes) {
            Some(Verdict::Drop(reason)) => reason,
            verdict => panic!("not dropped: {verdict:?}"),
        }
    }

    /// Lets time pass, with every deadline on the way.
    pub fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        let mut turns_at_once = 0;
        while let Some((deadline, name)) =
            self.table.next_deadline().filter(|&(deadline, _)| deadline <= until)
        {
            turns_at_once = if deadline > self.now { 0 } else { turns_at_once + 1 };
            assert!(turns_at_once < 1_000, "{name} is due for ever");
            self.now = self.now.max(deadline);
            self.table.handle_timeout(self.now);
            self.pump();
        }
        self.now = until;
        self.table.handle_timeout(until);
        self.pump();
    }

    /// What was sent to an address since the last look.
    pub fn take_sent_to(&mut self, to: SocketAddr) -> Vec<Sent> {
        let (wanted, rest) = std::mem::take(&mut self.sent).into_iter().partition(|sent| sent.to == to);
        self.sent = rest;
        wanted
    }

    /// The figures of a stream.
    pub fn statistics(&mut self, stream: StreamId) -> StreamStatistics {
        self.command(Command::Query { stream });
        match self.reports.pop() {
            Some(Report::Statistics { stream: of, statistics }) if of == stream => statistics,
            report => panic!("not the figures: {report:?}"),
        }
    }

    /// Releases streams together, as one turn.
    pub fn release(&mut self, streams: &[StreamId]) -> Vec<(StreamId, Box<StreamState>)> {
        for &stream in streams {
            self.table.handle_command(self.now, Command::Release { stream });
        }
        self.pump();
        let (released, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.reports)
            .into_iter()
            .partition(|report| matches!(report, Report::Released { .. }));
        self.reports = rest;
        let state = |report| match report {
            Report::Released { stream, state } => (stream, state),
            report => panic!("{report:?}"),
        };
        released.into_iter().map(state).collect()
    }

    /// Ends all streams, lets everything come to rest, and looks for what is left.
    pub fn assert_nothing_is_left(&mut self, streams: &[StreamId]) {
        for &stream in streams {
            self.command(Command::Close { stream });
        }
        self.pass(60_000);
        let census = self.table.census();
        let rest = Census { slots: 0, ports_ready: 0, ports_free: 0, ..census };
        assert_eq!(rest, Census::default(), "{census:?}");
        assert_eq!(census.slots, census.ports_ready);
        assert_eq!(self.stock.len(), census.ports_ready, "a port is ready that nobody will ever use");
        assert_eq!(census.slots, self.sockets.len());
    }
}

/// Panics unless what one peer got is one stream: one SSRC, sequence numbers without gaps, timestamps that never fall
/// back. Returns the payloads.
pub fn one_stream(sent: &[Sent]) -> Vec<Vec<u8>> {
    let views: Vec<_> = sent.iter().map(|sent| rtp_rs::RtpReader::new(&sent.bytes).expect("RTP")).collect();
    for pair in views.windows(2) {
        assert_eq!(pair[0].ssrc(), pair[1].ssrc());
        assert_eq!(pair[0].sequence_number().next(), pair[1].sequence_number());
        let ahead = pair[1].timestamp().wrapping_sub(pair[0].timestamp()) as i32;
        assert!(ahead > 0, "timestamps fall back by {ahead}");
    }
    views.iter().map(|view| view.payload().to_vec()).collect()
}
