//! A ring's sockets and the state of their receives.
//!
//! ```text
//!            attach          armed by the next wait
//!   Closed ──────────▶ Unarmed ─────────▶ Armed ──detach──▶ Ending ──last completion──▶ Closed
//!                        ▲                  │
//!                        └── ended by an ───┘
//!                            error, by want of buffers, or by the kernel
//! ```
//!
//! A multishot receive may end at any time. It is armed again at the next wait, so that nothing stays deaf after an
//! overload; one that fails again and again without a packet in between rests for [`REST`], so that nothing spins.
//!
//! **Porches.** A socket that has settled on one peer is connected to it, which spares the kernel a search for the
//! socket and a route per packet. Others are then heard on a second socket of the same address and port, the porch, so
//! that they are counted and get no ICMP. The porch is closed before the socket is unconnected: what the peer sends
//! always lands in the same socket, and none of it is lost by these changes.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use clock::Tick;
use link::WorkerCounters;

use super::queue::{Kind, Queue, Target, Ticket};
use crate::slot::Slot;
use crate::socket;

/// Errors in a row, without a packet in between, after which a receive rests before it is armed again.
const ERRORS_IN_ROW_MAX: u8 = 8;

/// How long it rests.
const REST: Duration = Duration::from_millis(10);

/// Whether a socket is received on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is no socket.
    Closed,
    /// To be armed at the next wait, or resting.
    Unarmed,
    /// The kernel has a receive.
    Armed,
    /// The receive is being cancelled.
    Ending,
}

/// One place for a socket.
#[derive(Debug)]
struct Receiver {
    socket: Option<OwnedFd>,
    phase: Phase,
    generation: u16,
    errors_in_row: u8,
    /// Whom it is connected to.
    peer: Option<SocketAddr>,
    /// Whom it is to be connected to: differs from `peer` while the old porch is closing.
    wanted: Option<SocketAddr>,
    /// The porch of a socket, the socket of a porch.
    other: Option<Slot>,
}

/// All places: those of the table's slots first, then those of the porches.
pub(super) struct Receivers {
    places: Vec<Receiver>,
    slots: usize,
    free_porches: Vec<Slot>,
    to_arm: Vec<Slot>,
    resting: Vec<Slot>,
    rest_until: Option<Tick>,
    /// Receives that are being cancelled.
    ending: usize,
    ended: Vec<Slot>,
}

impl Receivers {
    /// Room for `slots` sockets, `porches` of which can be connected.
    pub(super) fn new(slots: usize, porches: usize) -> Receivers {
        let closed = || Receiver {
            socket: None,
            phase: Phase::Closed,
            generation: 0,
            errors_in_row: 0,
            peer: None,
            wanted: None,
            other: None,
        };
        let all = slots + porches;
        Receivers {
            places: std::iter::repeat_with(closed).take(all).collect(),
            slots,
            free_porches: (slots..all).map(|at| Slot(at as u32)).collect(),
            to_arm: Vec::with_capacity(all),
            resting: Vec::with_capacity(all),
            rest_until: None,
            ending: 0,
            ended: Vec::with_capacity(all),
        }
    }

    /// What a slot is doing; `None`: there is no such slot.
    pub(super) fn phase(&self, slot: Slot) -> Option<Phase> {
        self.places.get(slot.index()).filter(|_| slot.index() < self.slots).map(|receiver| receiver.phase)
    }

    /// Puts a socket into a closed place, to be armed at the next wait.
    pub(super) fn put(&mut self, place: Slot, socket: OwnedFd) {
        let receiver = &mut self.places[place.index()];
        receiver.socket = Some(socket);
        receiver.phase = Phase::Unarmed;
        receiver.generation = receiver.generation.wrapping_add(1);
        receiver.errors_in_row = 0;
        self.to_arm.push(place);
    }

    /// Ends the receive of a slot, and of its porch.
    pub(super) fn end(&mut self, queue: &mut Queue, slot: Slot) {
        self.places[slot.index()].wanted = None;
        if let Some(porch) = self.places[slot.index()].other {
            self.end_one(queue, porch);
        }
        self.end_one(queue, slot);
    }

    /// Connects a slot to its only peer as soon as that is possible. It stays unconnected where it is not.
    pub(super) fn settle(&mut self, slot: Slot, peer: SocketAddr) {
        self.places[slot.index()].wanted = Some(peer);
        self.connect(slot);
    }

    /// Hears everybody on the slot's socket again.
    pub(super) fn unsettle(&mut self, queue: &mut Queue, slot: Slot) {
        self.places[slot.index()].wanted = None;
        if let Some(porch) = self.places[slot.index()].other {
            self.end_one(queue, porch);
        }
    }

    /// Queues the receives that are to be armed.
    pub(super) fn arm(&mut self, queue: &mut Queue) {
        while let Some(place) = self.to_arm.pop() {
            let receiver = &mut self.places[place.index()];
            if receiver.phase != Phase::Unarmed {
                continue;
            }
            let target = match &receiver.socket {
                Some(porch) if place.index() >= self.slots => Target::Socket(porch.as_fd()),
                _ => Target::Fixed(place),
            };
            let ticket = Ticket { kind: Kind::Receive, generation: receiver.generation, place };
            if !queue.receive(target, ticket) {
                // No room: this enter makes some, and the rest follows at the next.
                self.to_arm.push(place);
                return;
            }
            receiver.phase = Phase::Armed;
        }
    }

    /// A packet came. The result is the slot it counts for.
    pub(super) fn heard(&mut self, ticket: Ticket) -> Slot {
        let receiver = &mut self.places[ticket.place.index()];
        debug_assert_eq!(
            receiver.generation, ticket.generation,
            "a place is closed after its last completion"
        );
        receiver.errors_in_row = 0;
        receiver.other.filter(|_| ticket.place.index() >= self.slots).unwrap_or(ticket.place)
    }

    /// A receive has ended with `result`.
    pub(super) fn ended(&mut self, counters: &mut WorkerCounters, place: Slot, result: i32, now: Tick) {
        let receiver = &mut self.places[place.index()];
        if receiver.phase == Phase::Ending {
            self.ending -= 1;
            return self.ended.push(place);
        }
        receiver.phase = Phase::Unarmed;
        if result >= 0 {
            return self.to_arm.push(place);
        }
        if -result == libc::ENOBUFS {
            // Buffers come back with the next enter; what waits in the socket is read then.
            counters.buffers_exhausted += 1;
            return self.to_arm.push(place);
        }
        counters.receive_errors += 1;
        receiver.errors_in_row = receiver.errors_in_row.saturating_add(1);
        if receiver.errors_in_row <= ERRORS_IN_ROW_MAX {
            return self.to_arm.push(place);
        }
        self.resting.push(place);
        self.rest_until.get_or_insert(now + REST);
    }

    /// Arms what has rested.
    pub(super) fn wake_rested(&mut self, now: Tick) {
        if self.rest_until.is_some_and(|until| until <= now) {
            self.rest_until = None;
            self.to_arm.append(&mut self.resting);
        }
    }

    /// When a receive has rested.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.rest_until
    }

    /// Whether sockets have ended and none is still ending: those that end together leave together.
    pub(super) fn can_let_go(&self) -> bool {
        self.ending == 0 && !self.ended.is_empty()
    }

    /// Takes the ended sockets out of their places; those of slots are given to `leave`. Nothing may be queued that
    /// uses them.
    pub(super) fn let_go(&mut self, queue: &mut Queue, mut leave: impl FnMut(Slot, OwnedFd)) {
        // Porches have the highest numbers, and are closed first.
        self.ended.sort_unstable();
        while let Some(place) = self.ended.pop() {
            let receiver = &mut self.places[place.index()];
            receiver.phase = Phase::Closed;
            let socket = receiver.socket.take();
            if place.index() < self.slots {
                // Can only fail for a place outside the table, which `attach` has ruled out.
                let _ = queue.set_file(place, None);
                socket.into_iter().for_each(|socket| leave(place, socket));
            } else {
                drop(socket);
                self.porch_closed(place);
            }
        }
    }

    /// The ticket of a send by a slot, and whether it has to be told the destination; `None`: there is no socket. While
    /// a socket is ending, packets can still leave by it.
    pub(super) fn sender(&self, slot: Slot, to: SocketAddr) -> Option<(Ticket, bool)> {
        let receiver = self.places.get(slot.index()).filter(|receiver| receiver.phase != Phase::Closed)?;
        let ticket = Ticket { kind: Kind::Send, generation: receiver.generation, place: slot };
        Some((ticket, receiver.peer != Some(to)))
    }

    /// Whether a place still has the socket that a ticket was made for.
    pub(super) fn is_current(&self, ticket: Ticket) -> bool {
        self.places[ticket.place.index()].generation == ticket.generation
    }

    fn end_one(&mut self, queue: &mut Queue, place: Slot) {
        let receiver = &mut self.places[place.index()];
        match receiver.phase {
            Phase::Closed | Phase::Ending => return,
            Phase::Unarmed => self.ended.push(place),
            Phase::Armed => {
                self.ending += 1;
                queue.cancel(place, receiver.generation);
            }
        }
        receiver.phase = Phase::Ending;
    }

    fn connect(&mut self, slot: Slot) {
        let receiver = &mut self.places[slot.index()];
        let is_open = matches!(receiver.phase, Phase::Unarmed | Phase::Armed);
        let (Some(peer), Some(socket), None) = (receiver.wanted, &receiver.socket, receiver.other) else {
            return;
        };
        let Some(place) = self.free_porches.pop_if(|_| is_open) else { return };
        match socket::settle(socket.as_fd(), peer) {
            Ok(porch) => {
                (receiver.peer, receiver.other) = (Some(peer), Some(place));
                self.places[place.index()].other = Some(slot);
                self.put(place, porch);
            }
            // No descriptor is left, or the route is gone: it works unconnected as well.
            Err(_) => self.free_porches.push(place),
        }
    }

    fn porch_closed(&mut self, porch: Slot) {
        self.free_porches.push(porch);
        let Some(slot) = self.places[porch.index()].other.take() else { return };
        let receiver = &mut self.places[slot.index()];
        (receiver.peer, receiver.other) = (None, None);
        if let Some(socket) = &receiver.socket {
            socket::unsettle(socket.as_fd());
        }
        self.connect(slot);
    }
}
