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
//! **A turn** of a shell is: read the clock once; [`handle_command`](StreamTable::handle_command) for some commands;
//! [`handle_packet`](StreamTable::handle_packet) for what was received; [`handle_timeout`](StreamTable::handle_timeout)
//! when [`next_deadline`](StreamTable::next_deadline) has come; carry out [`poll_action`](StreamTable::poll_action) until
//! `None`; pass on [`poll_report`](StreamTable::poll_report) as far as the queue has room. Time never runs backwards.
//! Right after [`new`](StreamTable::new) actions wait already: the first ports to bind.
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
//! **The end.** After [`Command::Stop`](link::Command::Stop) each stream is reported closed, all slots are unbound, the
//! last report is `Stopped`, and [`is_stopped`](StreamTable::is_stopped) is true.
//!
//! Nothing here logs; `handle_packet` does not allocate, lock, format or call through `dyn`.

mod settings;
mod shell;

use std::net::SocketAddr;

use clock::Tick;
use link::{Command, Report, Socket};

use crate::slot::Slot;

pub use settings::{PORT_REST_MS, TableSettings};
pub use shell::{Action, BindError, DropReason, PACKET_BYTES_MAX, PacketBuf, Verdict};

/// Reports that may wait before commands are no longer handed in.
pub const REPORTS_WAITING_MAX: usize = 1_024;

/// The streams, ports and timers of one worker.
#[derive(Debug)]
pub struct StreamTable {
    settings: TableSettings,
}

/// What a table holds, for audits: after the last call all but `ports_ready`, `ports_free` and their slots are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Streams, moving ones included.
    pub streams: usize,
    /// Slots in use: ports being bound, in stock, and of streams.
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

/// Packets dropped, by reason, since the table was made; streams that have ended are included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Indexed by [`DropReason`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Prompt packets left out because all packet buffers were on their way.
    pub packets_exhausted: u64,
    /// Sends that the shell reported as failed.
    pub sends_failed: u64,
}

impl StreamTable {
    /// Makes a table; `seed` decides its SSRCs, first numbers and the order of its ports.
    pub fn new(settings: TableSettings, seed: u64) -> StreamTable {
        let _ = seed;
        StreamTable { settings }
    }

    /// Highest slot there can be, plus one.
    pub fn slots_max(&self) -> usize {
        self.settings.streams_max * 2 + self.settings.stock_per_address * self.settings.addresses.len()
    }

    /// Obeys the control plane.
    pub fn handle_command(&mut self, now: Tick, command: Command) {
        let _ = (now, command);
    }

    /// Decides on a received datagram and rewrites it in place.
    pub fn handle_packet(&mut self, now: Tick, slot: Slot, from: SocketAddr, packet: &mut [u8]) -> Verdict {
        let _ = (now, slot, from, packet);
        Verdict::Drop(DropReason::NoStream)
    }

    /// Counts a datagram that was too long for the shell's buffer.
    pub fn truncated(&mut self, now: Tick, slot: Slot, from: SocketAddr) {
        let _ = (now, slot, from);
    }

    /// Answers `Bind` or `PutIn`.
    pub fn bound(&mut self, now: Tick, slot: Slot, result: Result<(), BindError>) {
        let _ = (now, slot, result);
    }

    /// Answers `Unbind`.
    pub fn unbound(&mut self, now: Tick, slot: Slot) {
        let _ = (now, slot);
    }

    /// Answers `TakeOut`.
    pub fn taken_out(&mut self, now: Tick, slot: Slot, socket: Option<Socket>) {
        let _ = (now, slot, socket);
    }

    /// Says that the system did not take a packet sent through `slot`.
    pub fn send_failed(&mut self, now: Tick, slot: Slot) {
        let _ = (now, slot);
    }

    /// Does what is due. Bounded: what is left is due at once again.
    pub fn handle_timeout(&mut self, now: Tick) {
        let _ = now;
    }

    /// Takes back the buffer of a `Send`.
    pub fn recycle(&mut self, packet: PacketBuf) {
        drop(packet);
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        None
    }

    /// The next thing to tell the control plane.
    pub fn poll_report(&mut self) -> Option<Report> {
        None
    }

    /// When `handle_timeout` is to be called next, and for what.
    pub fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        None
    }

    /// How many reports wait.
    pub fn reports_waiting(&self) -> usize {
        0
    }

    /// Streams this worker has, for its load report.
    pub fn streams(&self) -> usize {
        0
    }

    /// Whether `Stop` was obeyed and nothing is left.
    pub fn is_stopped(&self) -> bool {
        false
    }

    /// What the table holds.
    pub fn census(&self) -> Census {
        Census::default()
    }

    /// What the table has counted.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}
