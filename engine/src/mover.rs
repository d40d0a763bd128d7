//! What moves bytes between the kernel and a stream table: one of the two back ends, chosen once per turn and not
//! per packet.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use clock::Tick;
use link::WorkerCounters;

use crate::mmsg::Mmsg;
use crate::pace::Wait;
use crate::ring::{Ring, RingError};
use crate::slot::Slot;
use crate::stream_table::{DropReason, StreamTable, Verdict};

/// Longest datagram that is passed on. More than an Ethernet frame holds; anything longer is dropped and counted.
pub(crate) const PACKET_BYTES_MAX: usize = 2_068;

/// How a worker talks to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackEnd {
    /// One io_uring per worker.
    IoUring,
    /// epoll, `recvmmsg` and `sendmmsg`.
    Mmsg,
}

impl BackEnd {
    /// As it is written in settings and logs.
    pub const fn name(self) -> &'static str {
        match self {
            BackEnd::IoUring => "io_uring",
            BackEnd::Mmsg => "mmsg",
        }
    }
}

/// What a socket gave.
pub(crate) enum Heard<'a> {
    /// A whole datagram in place.
    Packet(&'a mut [u8]),
    /// One that was longer than its buffer. What there is of it is not shown.
    Truncated,
}

/// Either back end.
#[expect(clippy::large_enum_variant, reason = "one per worker, never moved after its start")]
pub(crate) enum Mover {
    Ring(Ring),
    Mmsg(Mmsg),
}

/// Why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoverError {
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("epoll failed: {0}")]
    Mmsg(#[from] io::Error),
}

impl Mover {
    /// Which one it is.
    pub(crate) fn back_end(&self) -> BackEnd {
        match self {
            Mover::Ring(_) => BackEnd::IoUring,
            Mover::Mmsg(_) => BackEnd::Mmsg,
        }
    }

    /// Takes a bound socket, in blocking mode, and receives on it from the next wait on.
    pub(crate) fn attach(&mut self, slot: Slot, socket: OwnedFd) -> Result<(), (io::Error, OwnedFd)> {
        match self {
            Mover::Ring(ring) => ring.attach(slot, socket),
            Mover::Mmsg(mmsg) => mmsg.attach(slot, socket),
        }
    }

    /// Ends a socket's receive; it comes out of `poll_detached` when all that it gave has been taken. False: there is
    /// none.
    pub(crate) fn detach(&mut self, slot: Slot) -> bool {
        match self {
            Mover::Ring(ring) => ring.detach(slot),
            Mover::Mmsg(mmsg) => mmsg.detach(slot),
        }
    }

    /// Connects a slot's socket to the only peer that counts, and goes on hearing others, if there is room for that.
    pub(crate) fn settle(&mut self, slot: Slot, peer: SocketAddr) {
        match self {
            Mover::Ring(ring) => ring.settle(slot, peer),
            Mover::Mmsg(mmsg) => mmsg.settle(slot, peer),
        }
    }

    /// Takes that back.
    pub(crate) fn unsettle(&mut self, slot: Slot) {
        match self {
            Mover::Ring(ring) => ring.unsettle(slot),
            Mover::Mmsg(mmsg) => mmsg.unsettle(slot),
        }
    }

    /// A socket that has left.
    pub(crate) fn poll_detached(&mut self) -> Option<(Slot, OwnedFd)> {
        match self {
            Mover::Ring(ring) => ring.poll_detached(),
            Mover::Mmsg(mmsg) => mmsg.poll_detached(),
        }
    }

    /// A slot by which a packet could not be sent.
    pub(crate) fn poll_send_failed(&mut self) -> Option<Slot> {
        match self {
            Mover::Ring(ring) => ring.poll_send_failed(),
            Mover::Mmsg(mmsg) => mmsg.poll_send_failed(),
        }
    }

    /// When a socket that rests after errors is to be tried again.
    pub(crate) fn next_deadline(&self) -> Option<Tick> {
        match self {
            Mover::Ring(ring) => ring.next_deadline(),
            Mover::Mmsg(mmsg) => mmsg.next_deadline(),
        }
    }

    /// What went wrong so far.
    pub(crate) fn counters(&self) -> &WorkerCounters {
        match self {
            Mover::Ring(ring) => ring.counters(),
            Mover::Mmsg(mmsg) => mmsg.counters(),
        }
    }

    /// Submits the turn's sends, then waits.
    pub(crate) fn wait(&mut self, wait: Wait) -> Result<(), MoverError> {
        match self {
            Mover::Ring(ring) => Ok(ring.wait(wait)?),
            Mover::Mmsg(mmsg) => Ok(mmsg.wait(wait)?),
        }
    }

    /// Hands the turn's packets to the table and sends what it forwards. The result is the number of packets.
    pub(crate) fn take(&mut self, now: Tick, table: &mut StreamTable) -> usize {
        self.take_with(now, |slot, from, heard| match heard {
            Heard::Packet(packet) => table.handle_packet(now, slot, from, packet),
            Heard::Truncated => {
                table.truncated(now, slot, from);
                Verdict::Drop(DropReason::Truncated)
            }
        })
    }

    fn take_with(&mut self, now: Tick, relay: impl FnMut(Slot, SocketAddr, Heard<'_>) -> Verdict) -> usize {
        match self {
            Mover::Ring(ring) => ring.take(now, relay),
            Mover::Mmsg(mmsg) => mmsg.take(now, relay),
        }
    }

    /// Sends a packet of our own.
    pub(crate) fn send(&mut self, slot: Slot, to: SocketAddr, packet: &[u8]) {
        match self {
            Mover::Ring(ring) => ring.send(slot, to, packet),
            Mover::Mmsg(mmsg) => mmsg.send(slot, to, packet),
        }
    }
}

#[cfg(test)]
mod tests;
