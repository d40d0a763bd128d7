//! The io_uring back end: one ring, fixed files, multishot receives into provided buffers, sends in place.
//!
//! ```text
//!            attach          armed by the next wait
//!   Closed ──────────▶ Unarmed ─────────▶ Armed ──detach──▶ Ending ──last completion──▶ Closed
//!                        ▲                  │                                   (poll_detached)
//!                        └── ended by an ───┘
//!                            error, by want of buffers, or by the kernel
//! ```
//!
//! A multishot receive may end at any time. It is armed again at the next wait, so that nothing stays deaf after an
//! overload; one that fails again and again without a packet in between rests for [`REST`], so that nothing spins.
//! Sockets that are taken out together leave together: a packet that one of them received in its last moment can
//! still leave by the other.

mod buffers;
mod queue;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use clock::Tick;
use link::WorkerCounters;

use crate::mover::{Heard, PACKET_BYTES_MAX};
use crate::pace::Wait;
use crate::slot::Slot;
use crate::stream_table::Verdict;
use buffers::Buffer;
use queue::{Completion, Kind, Queue, Ticket};

/// Completions taken in one turn, so that commands and deadlines are never far.
const COMPLETIONS_PER_TURN_MAX: usize = 1_024;

/// Requests that a turn leaves free for arming and cancelling.
const ROOM_KEPT: usize = 256;

/// Errors in a row, without a packet in between, after which a receive rests before it is armed again.
const ERRORS_IN_ROW_MAX: u8 = 8;

/// How long it rests.
const REST: Duration = Duration::from_millis(10);

/// Why a ring could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The system refused a ring: forbidden (containers do so by default), unknown, or lacking what we ask for.
    #[error("io_uring_setup was refused: {0}")]
    Setup(#[source] io::Error),
    /// The kernel is too old.
    #[error("this kernel's io_uring lacks {0}")]
    Lacking(&'static str),
    /// Files or buffers could not be registered.
    #[error("io_uring_register of {what} failed: {error}")]
    Register {
        /// What was to be registered.
        what: &'static str,
        /// The system's answer.
        error: io::Error,
    },
    /// Waiting failed in a way that will not pass.
    #[error("io_uring_enter failed: {0}")]
    Enter(#[source] io::Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    /// To be armed at the next wait, or resting.
    Unarmed,
    Armed,
    Ending,
}

/// A slot's socket and its receive.
#[derive(Debug)]
struct Receiver {
    socket: Option<OwnedFd>,
    phase: Phase,
    generation: u16,
    errors_in_row: u8,
}

/// One worker's ring. Lives and dies on the thread that made it.
pub(crate) struct Ring {
    queue: Queue,
    wake: OwnedFd,
    wake_due: bool,
    receivers: Receivers,
    counters: WorkerCounters,
}

/// The sockets and what is to be done about them; apart from the queue, so that both can be borrowed at once.
struct Receivers {
    slots: Vec<Receiver>,
    to_arm: Vec<Slot>,
    resting: Vec<Slot>,
    rest_until: Option<Tick>,
    /// Sockets whose receive is being cancelled.
    ending: usize,
    ended: Vec<Slot>,
    detached: VecDeque<(Slot, OwnedFd)>,
    send_failed: VecDeque<Slot>,
}

impl Ring {
    /// Opens a ring for `slots` sockets and `buffers` receive buffers (a power of two). `wake` is an eventfd in
    /// blocking mode; writing to it ends a wait.
    pub(crate) fn open(slots: u32, buffers: u16, wake: OwnedFd) -> Result<Ring, RingError> {
        let queue = Queue::open(slots, buffers)?;
        let receivers = Receivers::new(slots as usize);
        let counters = WorkerCounters::default();
        Ok(Ring { queue, wake, wake_due: true, receivers, counters })
    }

    /// Takes a bound socket (blocking mode) and receives on it from the next wait on.
    pub(crate) fn attach(&mut self, slot: Slot, socket: OwnedFd) -> Result<(), (io::Error, OwnedFd)> {
        let Some(receiver) = self.receivers.slots.get_mut(slot.index()) else {
            return Err((io::ErrorKind::InvalidInput.into(), socket));
        };
        assert!(receiver.phase == Phase::Closed, "the stream table never reuses a slot that is still taken");
        if let Err(error) = self.queue.set_file(slot, Some(socket.as_fd())) {
            return Err((error, socket));
        }
        receiver.socket = Some(socket);
        receiver.phase = Phase::Unarmed;
        receiver.generation = receiver.generation.wrapping_add(1);
        receiver.errors_in_row = 0;
        self.receivers.to_arm.push(slot);
        Ok(())
    }

    /// Ends a socket's receive. It comes out of [`poll_detached`](Ring::poll_detached) when all that it received
    /// has been taken. False: there is none.
    pub(crate) fn detach(&mut self, slot: Slot) -> bool {
        let Some(receiver) = self.receivers.slots.get_mut(slot.index()) else { return false };
        match receiver.phase {
            Phase::Closed | Phase::Ending => return false,
            Phase::Unarmed => self.receivers.ended.push(slot),
            Phase::Armed => {
                self.receivers.ending += 1;
                let queued = self.queue.cancel(slot, receiver.generation);
                assert!(queued || self.cancel_after_flush(slot), "a flushed queue has room");
            }
        }
        self.receivers.slots[slot.index()].phase = Phase::Ending;
        true
    }

    /// A socket that has left, with nothing of it on its way any more.
    pub(crate) fn poll_detached(&mut self) -> Option<(Slot, OwnedFd)> {
        if self.receivers.ending == 0 && !self.receivers.ended.is_empty() {
            self.let_go();
        }
        self.receivers.detached.pop_front()
    }

    /// A slot by which a packet could not be sent.
    pub(crate) fn poll_send_failed(&mut self) -> Option<Slot> {
        self.receivers.send_failed.pop_front()
    }

    /// When a receive that rests is to be armed again.
    pub(crate) fn next_deadline(&self) -> Option<Tick> {
        self.receivers.rest_until
    }

    /// What went wrong so far.
    pub(crate) fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// Submits the turn's sends and waits.
    pub(crate) fn wait(&mut self, wait: Wait) -> Result<(), RingError> {
        self.arm();
        self.queue.enter(wait.events, wait.at_most)
    }

    /// Hands every received packet to `relay`, at most a turn's worth, and queues what it forwards. The result is
    /// the number of packets.
    pub(crate) fn take(
        &mut self,
        now: Tick,
        mut relay: impl FnMut(Slot, SocketAddr, Heard<'_>) -> Verdict,
    ) -> usize {
        self.receivers.wake_rested(now);
        let Ring { queue, receivers, counters, wake_due, .. } = self;
        let (mut left, mut packets) = (COMPLETIONS_PER_TURN_MAX, 0);
        while left > 0 {
            let limit = left.min(queue.room().saturating_sub(ROOM_KEPT));
            let mut taken = 0;
            let any = queue.take(limit, |queue, completion| {
                taken += 1;
                match completion.ticket.kind {
                    Kind::Receive => {
                        packets += receivers.received(queue, counters, completion, &mut relay, now)
                    }
                    Kind::Send => receivers.not_sent(counters, completion.ticket),
                    Kind::Cancel => (),
                    Kind::Wake => *wake_due = true,
                }
            });
            if !any {
                break;
            }
            left -= taken;
        }
        packets
    }

    /// Queues a packet of our own.
    pub(crate) fn send(&mut self, slot: Slot, to: SocketAddr, packet: &[u8]) {
        if packet.len() > PACKET_BYTES_MAX || !self.receivers.is_open(slot) {
            return self.receivers.charge(&mut self.counters, slot);
        }
        let spare = self.queue.buffers.take_spare(packet).or_else(|| {
            // All spares are queued: the kernel copies and returns them.
            let flushed = self.queue.enter(0, None).is_ok();
            flushed.then(|| self.queue.buffers.take_spare(packet)).flatten()
        });
        let Some(spare) = spare else { return self.receivers.charge(&mut self.counters, slot) };
        let ticket = self.receivers.send_ticket(slot);
        if self.queue.room() == 0 && self.queue.enter(0, None).is_err() {
            return self.queue.buffers.give_back(spare);
        }
        if !self.queue.send(ticket, spare, packet.len(), to) {
            self.receivers.charge(&mut self.counters, slot);
        }
    }

    fn arm(&mut self) {
        if self.wake_due {
            self.wake_due = !self.queue.read_wake(self.wake.as_fd());
        }
        while let Some(slot) = self.receivers.to_arm.pop() {
            let receiver = &mut self.receivers.slots[slot.index()];
            if receiver.phase != Phase::Unarmed {
                continue;
            }
            let fresh = receiver.errors_in_row == 0;
            if !self.queue.receive(slot, receiver.generation, fresh) {
                // No room: this enter makes some, and the rest follows at the next.
                self.receivers.to_arm.push(slot);
                break;
            }
            receiver.phase = Phase::Armed;
        }
    }

    fn cancel_after_flush(&mut self, slot: Slot) -> bool {
        let generation = self.receivers.slots[slot.index()].generation;
        self.queue.enter(0, None).is_ok() && self.queue.cancel(slot, generation)
    }

    /// Takes ended sockets out of the fixed files. Sends queued for them are submitted first.
    fn let_go(&mut self) {
        if !self.queue.is_flushed() && self.queue.enter(0, None).is_err() {
            return;
        }
        for slot in self.receivers.ended.drain(..) {
            let receiver = &mut self.receivers.slots[slot.index()];
            receiver.phase = Phase::Closed;
            // Can only fail for a place outside the table, which attach has ruled out.
            let _ = self.queue.set_file(slot, None);
            self.receivers.detached.extend(receiver.socket.take().map(|socket| (slot, socket)));
        }
    }
}

impl Receivers {
    fn new(slots: usize) -> Receivers {
        let closed = || Receiver { socket: None, phase: Phase::Closed, generation: 0, errors_in_row: 0 };
        Receivers {
            slots: std::iter::repeat_with(closed).take(slots).collect(),
            to_arm: Vec::with_capacity(slots),
            resting: Vec::with_capacity(slots),
            rest_until: None,
            ending: 0,
            ended: Vec::with_capacity(slots),
            detached: VecDeque::with_capacity(slots),
            send_failed: VecDeque::with_capacity(COMPLETIONS_PER_TURN_MAX),
        }
    }

    /// A packet, or the end of a receive, or both. The result is the number of packets.
    fn received(
        &mut self,
        queue: &mut Queue,
        counters: &mut WorkerCounters,
        completion: Completion,
        relay: &mut impl FnMut(Slot, SocketAddr, Heard<'_>) -> Verdict,
        now: Tick,
    ) -> usize {
        let Completion { ticket, result, buffer, more } = completion;
        let receiver = &mut self.slots[ticket.slot.index()];
        debug_assert_eq!(
            receiver.generation, ticket.generation,
            "a slot is closed after its last completion"
        );
        let packets = usize::from(buffer.is_some());
        if let Some(buffer) = buffer {
            receiver.errors_in_row = 0;
            let written = usize::try_from(result).unwrap_or(0);
            self.packet(queue, counters, ticket.slot, (buffer, written), relay);
        }
        if !more {
            self.receive_ended(counters, ticket.slot, result, now);
        }
        packets
    }

    fn packet(
        &mut self,
        queue: &mut Queue,
        counters: &mut WorkerCounters,
        slot: Slot,
        (buffer, written): (Buffer, usize),
        relay: &mut impl FnMut(Slot, SocketAddr, Heard<'_>) -> Verdict,
    ) {
        let (from, heard, len) = queue.buffers.datagram(&buffer, written);
        if matches!(heard, Heard::Truncated) {
            counters.dropped_oversized += 1;
        }
        let verdict = from.map(|from| relay(slot, from, heard));
        match verdict {
            Some(Verdict::Forward { slot, to }) if self.is_open(slot) => {
                if !queue.send(self.send_ticket(slot), buffer, len, to) {
                    self.charge(counters, slot);
                }
                return;
            }
            Some(Verdict::Forward { slot, .. }) => self.charge(counters, slot),
            Some(Verdict::Drop(_)) => (),
            None => counters.dropped_unowned += 1,
        }
        queue.buffers.give_back(buffer);
    }

    fn receive_ended(&mut self, counters: &mut WorkerCounters, slot: Slot, result: i32, now: Tick) {
        let receiver = &mut self.slots[slot.index()];
        if receiver.phase == Phase::Ending {
            self.ending -= 1;
            self.ended.push(slot);
            return;
        }
        receiver.phase = Phase::Unarmed;
        if result >= 0 {
            return self.to_arm.push(slot);
        }
        if -result == libc::ENOBUFS {
            // Buffers come back with the next enter; what waits in the socket is read then.
            counters.buffers_exhausted += 1;
            return self.to_arm.push(slot);
        }
        counters.receive_errors += 1;
        receiver.errors_in_row = receiver.errors_in_row.saturating_add(1);
        if receiver.errors_in_row <= ERRORS_IN_ROW_MAX {
            return self.to_arm.push(slot);
        }
        self.resting.push(slot);
        self.rest_until.get_or_insert(now + REST);
    }

    fn wake_rested(&mut self, now: Tick) {
        if self.rest_until.is_some_and(|until| until <= now) {
            self.rest_until = None;
            self.to_arm.append(&mut self.resting);
        }
    }

    fn not_sent(&mut self, counters: &mut WorkerCounters, ticket: Ticket) {
        if self.slots[ticket.slot.index()].generation == ticket.generation {
            self.charge(counters, ticket.slot);
        } else {
            counters.send_errors += 1;
        }
    }

    fn charge(&mut self, counters: &mut WorkerCounters, slot: Slot) {
        counters.send_errors += 1;
        if self.send_failed.len() < self.send_failed.capacity() {
            self.send_failed.push_back(slot);
        }
    }

    /// While a socket is ending, packets can still leave by it.
    fn is_open(&self, slot: Slot) -> bool {
        self.slots.get(slot.index()).is_some_and(|receiver| receiver.phase != Phase::Closed)
    }

    fn send_ticket(&self, slot: Slot) -> Ticket {
        Ticket { kind: Kind::Send, generation: self.slots[slot.index()].generation, slot }
    }
}
