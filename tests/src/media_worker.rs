//! A media worker without sockets: the real stream table, moved by the world.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use clock::Tick;
use engine::stream_table::{Action, BindError, StreamTable, TableSettings};
use engine::{Slot, stream_table::Verdict};
use link::{Command, Report};

use crate::fault::Fault;
use crate::network::Datagram;
use crate::random::Random;

/// All sockets of all workers, by address: bound, or on their way from one worker to another.
pub type Sockets = BTreeMap<SocketAddr, Socket>;

/// A socket that does not exist.
#[derive(Debug)]
pub enum Socket {
    /// Kept by a worker.
    Bound {
        /// Which.
        worker: usize,
        /// Where it keeps it.
        slot: Slot,
    },
    /// Between two workers; what arrives waits.
    Moving(Vec<Datagram>),
}

/// A worker.
#[derive(Debug)]
pub struct MediaWorker {
    index: usize,
    /// Its table.
    pub table: StreamTable,
    /// Ports it has, in whatever state.
    pub ports: usize,
    locals: BTreeMap<Slot, SocketAddr>,
    /// Peers of connected sockets: this shell connects, and then hears nobody else.
    connected: BTreeMap<Slot, SocketAddr>,
    connects: bool,
    /// Ports that another program has.
    taken: Vec<u16>,
    fault: Option<Fault>,
    random: Random,
    sent: Vec<Datagram>,
    /// What waited in sockets that have just been put in.
    waiting: Vec<(Slot, Datagram)>,
}

impl MediaWorker {
    /// A worker that binds its first ports at once.
    pub fn new(
        index: usize,
        settings: TableSettings,
        taken: Vec<u16>,
        fault: Option<Fault>,
        mut random: Random,
    ) -> MediaWorker {
        let table = StreamTable::new(settings, random.number());
        let connects = random.chance(500);
        let census = table.census();
        MediaWorker {
            index,
            ports: census.ports_binding + census.ports_free,
            table,
            locals: BTreeMap::new(),
            connected: BTreeMap::new(),
            connects,
            taken,
            fault,
            random,
            sent: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// What came down the queue in one turn.
    pub fn handle_commands(&mut self, now: Tick, commands: Vec<Command>, sockets: &mut Sockets) {
        for command in commands {
            let command = match self.fault {
                Some(fault) => fault.spoil_command(command),
                None => Some(command),
            };
            if let Some(command) = command {
                self.table.handle_command(now, command);
            }
        }
        self.carry_out(now, sockets);
    }

    /// A packet came in by a socket.
    pub fn handle_packet(&mut self, now: Tick, slot: Slot, packet: Datagram, sockets: &mut Sockets) {
        self.take_packet(now, slot, packet);
        self.carry_out(now, sockets);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Tick, sockets: &mut Sockets) {
        self.table.handle_timeout(now);
        self.carry_out(now, sockets);
    }

    /// When that has to be done next.
    pub fn next_deadline(&self) -> Option<Tick> {
        if self.fault == Some(Fault::MediaTimerForgotten) {
            return None;
        }
        self.table.next_deadline().map(|(at, _)| at)
    }

    /// What it sent since it was asked last.
    pub fn take_sent(&mut self) -> Vec<Datagram> {
        std::mem::take(&mut self.sent)
    }

    /// What it has to say.
    pub fn take_reports(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some(report) = self.table.poll_report() {
            if self.fault != Some(Fault::ReportLost) || !matches!(report, Report::Closed { .. }) {
                reports.push(report);
            }
        }
        reports
    }

    fn take_packet(&mut self, now: Tick, slot: Slot, packet: Datagram) {
        if self.connected.get(&slot).is_some_and(|peer| *peer != packet.from) {
            return;
        }
        let mut bytes = packet.bytes.to_vec();
        if let Verdict::Forward { slot, to } = self.table.handle_packet(now, slot, packet.from, &mut bytes) {
            let from = self.locals[&slot];
            let spoiled = self.spoil(bytes, &packet.bytes);
            let sent =
                spoiled.into_iter().map(|bytes| Datagram { from, to, bytes: bytes.into(), tag: packet.tag });
            self.sent.extend(sent);
        }
    }

    /// What leaves instead of a packet if a fault is on.
    fn spoil(&mut self, mut bytes: Vec<u8>, received: &[u8]) -> Vec<Vec<u8>> {
        match self.fault {
            Some(Fault::PacketLost) if self.random.chance(1) => return Vec::new(),
            Some(Fault::PacketDoubled) if self.random.chance(1) => return vec![bytes.clone(), bytes],
            Some(Fault::PacketChanged) if self.random.chance(1) => {
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
            }
            Some(Fault::SsrcPassedOn) => {
                if let (Some(place), Some(source)) = (bytes.get_mut(8..12), received.get(8..12)) {
                    place.copy_from_slice(source);
                }
            }
            _ => {}
        }
        vec![bytes]
    }

    /// Carries out what the table asks for; then what lay in sockets that were put in is handed in.
    fn carry_out(&mut self, now: Tick, sockets: &mut Sockets) {
        loop {
            while let Some(action) = self.table.poll_action() {
                self.act(now, action, sockets);
            }
            if self.waiting.is_empty() {
                return;
            }
            for (slot, packet) in std::mem::take(&mut self.waiting) {
                self.take_packet(now, slot, packet);
            }
        }
    }

    fn act(&mut self, now: Tick, action: Action, sockets: &mut Sockets) {
        match action {
            Action::Bind { slot, local } => {
                let free = !sockets.contains_key(&local) && !self.taken.contains(&local.port());
                if free {
                    sockets.insert(local, Socket::Bound { worker: self.index, slot });
                    self.locals.insert(slot, local);
                }
                self.table.bound(now, slot, if free { Ok(()) } else { Err(BindError::InUse) });
            }
            Action::Unbind { slot } => {
                if let Some(local) = self.locals.remove(&slot) {
                    sockets.remove(&local);
                }
                self.connected.remove(&slot);
                if self.fault != Some(Fault::PortNotReturned) {
                    self.table.unbound(now, slot);
                }
            }
            Action::Send { slot, to, packet } => {
                let from = self.locals[&slot];
                self.sent.push(Datagram { from, to, bytes: packet.to_vec().into(), tag: None });
                self.table.recycle(packet);
            }
            Action::Settled { slot, peer } => {
                if self.connects {
                    self.connected.insert(slot, peer);
                }
            }
            Action::Unsettled { slot } => {
                self.connected.remove(&slot);
            }
            Action::TakeOut { slot } => {
                self.connected.remove(&slot);
                if let Some(local) = self.locals.remove(&slot) {
                    sockets.insert(local, Socket::Moving(Vec::new()));
                }
                self.table.taken_out(now, slot, None);
            }
            Action::PutIn { slot, local, .. } => {
                self.locals.insert(slot, local);
                let before = sockets.insert(local, Socket::Bound { worker: self.index, slot });
                let came_from_elsewhere = matches!(before, Some(Socket::Moving(_)));
                self.table.bound(
                    now,
                    slot,
                    if came_from_elsewhere { Ok(()) } else { Err(BindError::Refused) },
                );
                if let Some(Socket::Moving(waiting)) = before {
                    self.waiting.extend(waiting.into_iter().map(|packet| (slot, packet)));
                }
            }
        }
    }
}
