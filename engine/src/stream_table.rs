//! All media decisions of one worker, without a socket, a clock or a thread.
//!
//! A table is fed by a *shell*: one of the two back ends, or the simulator's network. This page is the contract
//! between them.
//!
//! ```text
//!   control plane ── Command ──▶ ┌─────────────┐ ── Report ──▶ control plane
//!                                │ StreamTable │
//!        socket ── packet ─────▶ └─────────────┘ ── Verdict, Action ──▶ socket
//! ```
//!
//! **A turn** of a shell is: read the clock once; [`handle_command`](StreamTable::handle_command) for some commands, and
//! carry out [`poll_action`](StreamTable::poll_action) until `None`, because packets may leave by a socket that a command
//! has brought; [`handle_packet`](StreamTable::handle_packet) for what was received;
//! [`handle_timeout`](StreamTable::handle_timeout) when [`next_deadline`](StreamTable::next_deadline) has come; the actions
//! again; pass on [`poll_report`](StreamTable::poll_report) as far as the queue has room. Time never runs backwards. Right
//! after [`new`](StreamTable::new) actions wait already: the first ports to bind.
//!
//! **Slots.** A [`Slot`] names a socket from its `Bind` or `PutIn` to its end. Each `Bind` and `PutIn` is answered
//! by [`bound`](StreamTable::bound) before a later action of the same slot is carried out; after a failure the slot is
//! free. Each `Unbind` is answered by [`unbound`](StreamTable::unbound) and each `TakeOut` by
//! [`taken_out`](StreamTable::taken_out), at any later time; only then the number is used again. Until then packets may
//! be handed in for it, and are dropped and counted when nobody wants them.
//!
//! **Packets.** `handle_packet` gets the whole datagram as it was received, and where it came from, and changes it in
//! place. `Forward` means: send exactly this buffer through that slot, in the order of the verdicts. A datagram that was
//! cut by the receive buffer is not handed in: [`truncated`](StreamTable::truncated) counts it. A packet that the system
//! did not take is told by [`send_failed`](StreamTable::send_failed); nothing is sent again. `ECONNREFUSED` and its like
//! on a socket are soft: the receive goes on.
//!
//! **Connecting.** After `Settled` a shell may connect the socket for speed. It should keep hearing others on the same
//! address and port, so that they are counted and no ICMP is sent; if it does not, the table still works, because it
//! says `Unsettled` in time whenever somebody else has to be heard. The two may come at any time, in turns, and concern
//! RTP slots only.
//!
//! **Moving.** Between `TakeOut` and `taken_out` packets still come in for the slot and are still sent through it. So that
//! no packet between two legs is lost that leave together, sockets whose `TakeOut` came in one turn are handed over
//! together: none before the receive of all has ended and what it gave was handed in.
//!
//! **Reports.** Commands are not handed in while [`reports_waiting`](StreamTable::reports_waiting) is above
//! [`REPORTS_WAITING_MAX`]. So a control plane that does not read its reports stops being obeyed, and no memory grows.
//! Packets cause no queue to grow: what they have to say is kept as marks on their stream.
//!
//! **The end.** After [`Command::Stop`] each stream is reported closed, all slots are unbound, the
//! last report is `Stopped`, and [`is_stopped`](StreamTable::is_stopped) is true.
//!
//! Nothing here logs; `handle_packet` does not allocate, lock, format or call through `dyn`.

mod budget;
mod commands;
mod destinations;
mod learning;
mod moves;
mod outgoing;
mod packets;
mod playback;
mod ports;
mod random;
mod settings;
mod shell;
mod slots;
mod statistics;
mod stream;
mod timeouts;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use clock::Tick;
use link::{Command, Refusal, Report, Socket, StreamId};
use slab::Slab;

use self::destinations::Destinations;
use self::ports::Ports;
use self::random::Random;
use self::slots::{Role, Slots};
use self::stream::Stream;
use self::timeouts::TimerKind;
use self::timers::Timers;
use crate::slot::Slot;

pub use settings::{PORT_REST_MS, TableSettings};
pub use shell::{Action, BindError, DropReason, PACKET_BYTES_MAX, PacketBuf, Verdict};

/// Reports that may wait before commands are no longer handed in.
pub const REPORTS_WAITING_MAX: usize = 1_024;

/// The streams, ports and timers of one worker.
#[derive(Debug)]
pub struct StreamTable {
    streams_max: usize,
    stage: Stage,
    destinations: Destinations,
    random: Random,
    slots: Slots,
    ports: Ports,
    streams: Slab<Stream>,
    names: BTreeMap<StreamId, usize>,
    timers: Timers,
    /// Buffers for packets of our own; those out are with the shell.
    packets: Vec<PacketBuf>,
    packets_max: usize,
    actions: VecDeque<Action>,
    reports: VecDeque<Report>,
    /// Streams that have something to say to the control plane, each once.
    marked: VecDeque<usize>,
    /// Streams whose shell has something to hear of their sole peer, each once.
    settling: VecDeque<usize>,
    counters: Counters,
}

/// Whether the worker is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    /// `Stop` was obeyed; sockets are being closed.
    Stopping,
    Stopped,
}

/// What a table holds, for audits: when the last call has ended, the last port has rested and
/// [`StreamTable::handle_timeout`] was called after that, all but `slots`, `ports_ready` and `ports_free` are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Streams, moving ones included.
    pub streams: usize,
    /// Slots in use: ports being bound, in stock, of streams, and those whose end the shell has not yet told.
    pub slots: usize,
    /// Ports being bound.
    pub ports_binding: usize,
    /// Ports reported and not used.
    pub ports_ready: usize,
    /// Ports of streams.
    pub ports_used: usize,
    /// Ports whose streams have moved elsewhere.
    pub ports_lent: usize,
    /// Ports at rest.
    pub ports_resting: usize,
    /// Ports nobody has.
    pub ports_free: usize,
    /// Packet buffers in the hands of the shell, or waiting in actions.
    pub packets_out: usize,
    /// Timers running.
    pub timers: usize,
    /// Actions not yet fetched.
    pub actions: usize,
    /// Reports not yet fetched.
    pub reports: usize,
}

/// What the table has counted since it was made; streams that have ended are included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets dropped, indexed by [`DropReason`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Prompt packets left out because all packet buffers were on their way.
    pub packets_exhausted: u64,
    /// Sends that the shell reported as failed.
    pub sends_failed: u64,
}

impl Counters {
    /// Packets dropped for one reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }
}

impl StreamTable {
    /// Makes a table and takes all the memory that packets will need; `seed` decides its SSRCs, first numbers and the
    /// order of its ports. The first ports to bind wait as actions.
    pub fn new(settings: TableSettings, seed: u64) -> StreamTable {
        let stock = settings.stock_per_address * settings.addresses.len();
        // Each stream may have two sockets; a stock may be bound while the sockets of the one before still close.
        let slots = 2 * settings.streams_max + 2 * stock;
        let mut table = StreamTable {
            streams_max: settings.streams_max,
            stage: Stage::Running,
            destinations: Destinations::new(&settings.addresses, settings.port_start, settings.port_end),
            random: Random::new(seed),
            slots: Slots::new(slots),
            ports: Ports::new(&settings),
            streams: Slab::with_capacity(settings.streams_max),
            names: BTreeMap::new(),
            timers: Timers::new(settings.streams_max * TimerKind::ALL.len()),
            packets: (0..settings.packets_max).map(|_| PacketBuf::new()).collect(),
            packets_max: settings.packets_max,
            actions: VecDeque::with_capacity(slots + settings.packets_max),
            reports: VecDeque::with_capacity(REPORTS_WAITING_MAX + settings.streams_max),
            marked: VecDeque::with_capacity(settings.streams_max),
            settling: VecDeque::with_capacity(settings.streams_max),
            counters: Counters::default(),
        };
        table.replenish(Tick::ZERO);
        table
    }

    /// Highest slot there can be, plus one.
    pub fn slots_max(&self) -> usize {
        self.slots.count()
    }

    /// Obeys the control plane.
    pub fn handle_command(&mut self, now: Tick, command: Command) {
        self.obey(now, command);
    }

    /// Decides on a received datagram and rewrites it in place.
    pub fn handle_packet(&mut self, now: Tick, slot: Slot, from: SocketAddr, packet: &mut [u8]) -> Verdict {
        match self.decide(now, slot, from, packet) {
            Ok((slot, to)) => Verdict::Forward { slot, to },
            Err(reason) => {
                self.counters.dropped[reason as usize] += 1;
                Verdict::Drop(reason)
            }
        }
    }

    /// Counts a datagram that was too long for the shell's buffer.
    pub fn truncated(&mut self, now: Tick, slot: Slot, from: SocketAddr) {
        let reason = self.count_truncated(now, slot, from);
        self.counters.dropped[reason as usize] += 1;
    }

    /// Answers `Bind` or `PutIn`.
    pub fn bound(&mut self, now: Tick, slot: Slot, result: Result<(), BindError>) {
        match (self.slots.role(slot), result) {
            (Role::Binding { address, number }, Ok(())) => {
                let (port, local) = self.ports.bound(address, number, slot);
                self.slots.assign(slot, Role::Stock(port));
                self.reports.push_back(Report::PortReady { port, address, local });
            }
            (Role::Binding { address, number }, Err(error)) => {
                self.ports.bind_failed(now, address, number, error);
                self.slots.give_back(slot);
                self.replenish(now);
            }
            (Role::Rtcp(index), Ok(())) => {
                if let Some(socket) = &mut self.streams[index].rtcp {
                    socket.is_bound = true;
                }
            }
            (Role::Rtcp(index), Err(_)) => self.lose_rtcp(now, index, slot),
            (Role::Rtp(index), Err(_)) => self.lose_socket(now, index),
            // An `Unbind` is under way and will be answered.
            (Role::Ending, _) => (),
            (Role::Rtp(_), Ok(())) | (Role::Free | Role::Stock(_), _) => (),
        }
    }

    /// Answers `Unbind`.
    pub fn unbound(&mut self, now: Tick, slot: Slot) {
        if self.slots.role(slot) == Role::Ending {
            self.forget_slot(now, slot);
        }
    }

    /// Answers `TakeOut`.
    pub fn taken_out(&mut self, now: Tick, slot: Slot, socket: Option<Socket>) {
        self.take_socket(now, slot, socket);
    }

    /// Says that the system did not take a packet sent through `slot`.
    pub fn send_failed(&mut self, _now: Tick, slot: Slot) {
        self.counters.sends_failed += 1;
        if let Role::Rtp(index) = self.slots.role(slot) {
            let statistics = &mut self.streams[index].statistics;
            statistics.sent_packets = statistics.sent_packets.saturating_sub(1);
            statistics.dropped_send_failed += 1;
        }
    }

    /// Does what is due. Bounded: what is left is due at once again.
    pub fn handle_timeout(&mut self, now: Tick) {
        self.run_timers(now);
        self.ports.wake(now);
        self.replenish(now);
    }

    /// Takes back the buffer of a `Send`.
    pub fn recycle(&mut self, packet: PacketBuf) {
        if self.packets.len() < self.packets_max {
            self.packets.push(packet);
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front().or_else(|| self.next_settlement())
    }

    /// The next thing to tell the control plane.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front().or_else(|| self.next_mark())
    }

    /// When `handle_timeout` is to be called next, and for what.
    pub fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        let timer = self.timers.first().map(|(key, deadline)| (deadline, TimerKind::of(key).name()));
        let ports = self.ports.next_deadline().filter(|_| self.stage == Stage::Running);
        timer.into_iter().chain(ports.map(|deadline| (deadline, "port"))).min()
    }

    /// How many reports wait.
    pub fn reports_waiting(&self) -> usize {
        self.reports.len() + self.marked.len()
    }

    /// Streams this worker has, for its load report.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether `Stop` was obeyed and nothing is left.
    pub fn is_stopped(&self) -> bool {
        self.stage == Stage::Stopped
    }

    /// What the table holds.
    pub fn census(&self) -> Census {
        let [ports_binding, ports_ready, ports_used, ports_lent, ports_resting, ports_free] =
            self.ports.census();
        Census {
            streams: self.streams.len(),
            slots: self.slots.taken(),
            ports_binding,
            ports_ready,
            ports_used,
            ports_lent,
            ports_resting,
            ports_free,
            packets_out: self.packets_max - self.packets.len(),
            timers: self.timers.len(),
            actions: self.actions.len() + self.settling.len(),
            reports: self.reports_waiting(),
        }
    }

    /// What the table has counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Fills the stocks up, and says where that is not possible.
    fn replenish(&mut self, now: Tick) {
        if self.stage != Stage::Running {
            return;
        }
        while let Some((address, number, local)) = self.ports.pick(now, &mut self.random) {
            let Some(slot) = self.slots.take(Role::Binding { address, number }) else {
                self.ports.unpick(address, number);
                break;
            };
            self.actions.push_back(Action::Bind { slot, local });
        }
        while let Some(address) = self.ports.newly_exhausted() {
            self.reports.push_back(Report::PortsExhausted { address });
        }
    }

    /// A slot that was given up is free.
    fn forget_slot(&mut self, now: Tick, slot: Slot) {
        self.slots.give_back(slot);
        self.replenish(now);
        self.end_if_empty();
    }

    /// The RTCP socket of a stream could not be had: the stream goes on without.
    fn lose_rtcp(&mut self, now: Tick, index: usize, slot: Slot) {
        self.slots.give_back(slot);
        let stream = &mut self.streams[index];
        stream.rtcp = None;
        if let Some(leaving) = &mut stream.leaving {
            leaving.expects_rtcp = false;
        }
        let id = stream.id;
        self.refuse(id, Refusal::RtcpPortTaken);
        self.leave_if_complete(now, index);
    }

    /// The socket of a stream that came from elsewhere could not be taken up: the stream is over.
    fn lose_socket(&mut self, now: Tick, index: usize) {
        let slot = self.streams[index].slot;
        self.close(now, index);
        // `close` has asked for an end of what never began; the shell answers that as well.
        debug_assert_eq!(self.slots.role(slot), Role::Ending);
    }

    /// Lists a stream whose marks have something to say.
    fn list_mark(&mut self, index: usize) {
        let marks = &mut self.streams[index].marks;
        if !std::mem::replace(&mut marks.is_listed, true) {
            self.marked.push_back(index);
        }
    }

    fn next_mark(&mut self) -> Option<Report> {
        while let Some(&index) = self.marked.front() {
            let stream = &mut self.streams[index];
            if let Some(report) = stream.take_mark() {
                return Some(report);
            }
            stream.marks.is_listed = false;
            self.marked.pop_front();
        }
        None
    }

    /// Turns the marks of a stream that goes into reports.
    fn flush_marks(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        while let Some(report) = stream.take_mark() {
            self.reports.push_back(report);
        }
        if stream.marks.is_listed {
            self.marked.retain(|&listed| listed != index);
        }
    }

    /// Lists a stream whose sole peer is another than the shell knows.
    fn note_settlement(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        let sole_peer = stream.sole_peer();
        if sole_peer == stream.settled || stream.is_settling {
            return;
        }
        stream.is_settling = true;
        self.settling.push_back(index);
        if sole_peer.is_some() {
            self.watch_rebinding(index);
        }
    }

    fn next_settlement(&mut self) -> Option<Action> {
        while let Some(&index) = self.settling.front() {
            let stream = &mut self.streams[index];
            let slot = stream.slot;
            let sole_peer = stream.sole_peer().filter(|_| stream.leaving.is_none());
            if stream.settled != sole_peer {
                if stream.settled.take().is_some() {
                    return Some(Action::Unsettled { slot });
                }
                stream.settled = sole_peer;
                if let Some(peer) = sole_peer {
                    return Some(Action::Settled { slot, peer });
                }
            }
            stream.is_settling = false;
            self.settling.pop_front();
        }
        None
    }
}
