//! The io_uring back end: one ring, fixed files, multishot receives into provided buffers, sends in place.
//!
//! A turn submits what the last one queued, waits, takes completions, hands packets to the table and queues what it
//! forwards: one system call. Sockets that are taken out together leave together: a packet that one of them received
//! in its last moment can still leave by the other.

mod buffers;
mod probe;
mod queue;
mod receivers;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use clock::Tick;
use link::WorkerCounters;

use crate::mover::{Heard, PACKET_BYTES_MAX};
use crate::pace::Wait;
use crate::slot::Slot;
use crate::stream_table::Verdict;
use buffers::Buffer;
use queue::{Completion, Kind, Queue};
use receivers::{Phase, Receivers};

/// Completions taken in one turn, so that commands and deadlines are never far.
const COMPLETIONS_PER_TURN_MAX: usize = 1_024;

/// Requests that a turn leaves free for arming and cancelling.
const ROOM_KEPT: usize = 256;

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

/// One worker's ring. Lives and dies on the thread that made it.
pub(crate) struct Ring {
    queue: Queue,
    wake: OwnedFd,
    wake_due: bool,
    receivers: Receivers,
    detached: VecDeque<(Slot, OwnedFd)>,
    faults: Faults,
}

/// What went wrong, and by which slots packets could not leave; apart from the rest, so that it can be written to while
/// that is borrowed.
struct Faults {
    counters: WorkerCounters,
    send_failed: VecDeque<Slot>,
}

impl Ring {
    /// Opens a ring for `slots` sockets, `porches` of which can be connected, and `buffers` receive buffers (a power of
    /// two). `wake` is an eventfd in blocking mode; writing to it ends a wait.
    pub(crate) fn open(slots: u32, porches: usize, buffers: u16, wake: OwnedFd) -> Result<Ring, RingError> {
        let queue = Queue::open(slots, buffers)?;
        let slots = slots as usize;
        Ok(Ring {
            queue,
            wake,
            wake_due: true,
            receivers: Receivers::new(slots, porches),
            detached: VecDeque::with_capacity(slots),
            faults: Faults {
                counters: WorkerCounters::default(),
                send_failed: VecDeque::with_capacity(COMPLETIONS_PER_TURN_MAX),
            },
        })
    }

    /// Takes a bound socket (blocking mode) and receives on it from the next wait on.
    pub(crate) fn attach(&mut self, slot: Slot, socket: OwnedFd) -> Result<(), (io::Error, OwnedFd)> {
        let Some(phase) = self.receivers.phase(slot) else {
            return Err((io::ErrorKind::InvalidInput.into(), socket));
        };
        assert!(phase == Phase::Closed, "the stream table never reuses a slot that is still taken");
        if let Err(error) = self.queue.set_file(slot, Some(socket.as_fd())) {
            return Err((error, socket));
        }
        self.receivers.put(slot, socket);
        Ok(())
    }

    /// Ends a socket's receive. It comes out of [`poll_detached`](Ring::poll_detached) when all that it received
    /// has been taken. False: there is none.
    pub(crate) fn detach(&mut self, slot: Slot) -> bool {
        let is_open = matches!(self.receivers.phase(slot), Some(Phase::Unarmed | Phase::Armed));
        if is_open {
            self.receivers.end(&mut self.queue, slot);
        }
        is_open
    }

    /// Connects a slot's socket to the only peer that counts, and goes on hearing others.
    pub(crate) fn settle(&mut self, slot: Slot, peer: SocketAddr) {
        self.receivers.settle(slot, peer);
    }

    /// Takes that back.
    pub(crate) fn unsettle(&mut self, slot: Slot) {
        self.receivers.unsettle(&mut self.queue, slot);
    }

    /// A socket that has left, unconnected, with nothing of it on its way any more.
    pub(crate) fn poll_detached(&mut self) -> Option<(Slot, OwnedFd)> {
        if self.receivers.can_let_go() && self.flush() {
            let Ring { queue, receivers, detached, .. } = self;
            receivers.let_go(queue, |slot, socket| detached.push_back((slot, socket)));
        }
        self.detached.pop_front()
    }

    /// A slot by which a packet could not be sent.
    pub(crate) fn poll_send_failed(&mut self) -> Option<Slot> {
        self.faults.send_failed.pop_front()
    }

    /// When a receive that rests is to be armed again.
    pub(crate) fn next_deadline(&self) -> Option<Tick> {
        self.receivers.next_deadline()
    }

    /// What went wrong so far.
    pub(crate) fn counters(&self) -> &WorkerCounters {
        &self.faults.counters
    }

    /// Submits the turn's sends and waits.
    pub(crate) fn wait(&mut self, wait: Wait) -> Result<(), RingError> {
        if self.wake_due {
            self.wake_due = !self.queue.read_wake(self.wake.as_fd());
        }
        self.receivers.arm(&mut self.queue);
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
        let Ring { queue, receivers, faults, wake_due, .. } = self;
        let (mut left, mut packets) = (COMPLETIONS_PER_TURN_MAX, 0);
        while left > 0 {
            let limit = left.min(queue.room().saturating_sub(ROOM_KEPT));
            let mut taken = 0;
            let any = queue.take(limit, |queue, completion| {
                taken += 1;
                let Completion { ticket, result, buffer, more } = completion;
                match ticket.kind {
                    Kind::Receive => {
                        if let Some(buffer) = buffer {
                            packets += 1;
                            let slot = receivers.heard(ticket);
                            let datagram = (slot, buffer, usize::try_from(result).unwrap_or(0));
                            pass_on(queue, receivers, faults, datagram, &mut relay);
                        }
                        if !more {
                            receivers.ended(&mut faults.counters, ticket.place, result, now);
                        }
                    }
                    Kind::Send if receivers.is_current(ticket) => faults.charge(ticket.place),
                    Kind::Send => faults.counters.send_errors += 1,
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
        let sender = self.receivers.sender(slot, to).filter(|_| packet.len() <= PACKET_BYTES_MAX);
        let Some((ticket, is_told)) = sender else { return self.faults.charge(slot) };
        if self.queue.room() == 0 {
            self.flush();
        }
        let mut spare = self.queue.buffers.take_spare(packet);
        if spare.is_none() && self.flush() {
            // All of them were queued; the kernel has copied and returned them.
            spare = self.queue.buffers.take_spare(packet);
        }
        let to = is_told.then_some(to);
        if !spare.is_some_and(|spare| self.queue.send(ticket, spare, packet.len(), to)) {
            self.faults.charge(slot);
        }
    }

    /// Submits what is queued, so that no request uses a place that is about to change.
    fn flush(&mut self) -> bool {
        self.queue.is_flushed() || (self.queue.enter(0, None).is_ok() && self.queue.is_flushed())
    }
}

/// Asks `relay` about a received packet (the slot, the buffer, how much the kernel wrote), and queues it or gives its
/// buffer back.
fn pass_on(
    queue: &mut Queue,
    receivers: &Receivers,
    faults: &mut Faults,
    (slot, buffer, written): (Slot, Buffer, usize),
    relay: &mut impl FnMut(Slot, SocketAddr, Heard<'_>) -> Verdict,
) {
    let (from, heard, len) = queue.buffers.datagram(&buffer, written);
    if matches!(heard, Heard::Truncated) {
        faults.counters.dropped_oversized += 1;
    }
    match from.map(|from| relay(slot, from, heard)) {
        Some(Verdict::Forward { slot, to }) => {
            if let Some((ticket, is_told)) = receivers.sender(slot, to) {
                if !queue.send(ticket, buffer, len, is_told.then_some(to)) {
                    faults.charge(slot);
                }
                return;
            }
            faults.charge(slot);
        }
        Some(Verdict::Drop(_)) => (),
        None => faults.counters.dropped_unowned += 1,
    }
    queue.buffers.give_back(buffer);
}

impl Faults {
    fn charge(&mut self, slot: Slot) {
        self.counters.send_errors += 1;
        if self.send_failed.len() < self.send_failed.capacity() {
            self.send_failed.push_back(slot);
        }
    }
}
