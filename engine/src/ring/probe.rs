//! Whether a ring that could be opened also carries packets: a datagram to ourselves.
//!
//! Kernels differ in which requests know which fields (a destination in a send came with Linux 6.1), filters in which
//! requests they let through. Only a packet that arrives proves all of it at once.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use clock::Tick;

use super::{Ring, RingError};
use crate::pace::Wait;
use crate::slot::Slot;
use crate::socket;
use crate::stream_table::{DropReason, Verdict};

/// A packet on loopback needs microseconds; a machine that is very busy may need this long.
const ATTEMPTS: usize = 50;

/// How long each of them waits.
const ATTEMPT: Duration = Duration::from_millis(10);

/// Any slot does: the ring is new.
const SLOT: Slot = Slot(0);

impl Ring {
    /// Sends a packet to ourselves. A machine without loopback proves nothing, and passes.
    pub(crate) fn probe(&mut self) -> Result<(), RingError> {
        let Some((local, socket)) = loopback() else { return Ok(()) };
        if self.attach(SLOT, socket).is_err() {
            return Err(RingError::Lacking("places for sockets"));
        }
        self.send(SLOT, local, b"probe");
        let heard = Cell::new(false);
        self.turn_until(&heard, |_| heard.get())?;
        self.detach(SLOT);
        let gone = Cell::new(false);
        self.turn_until(&heard, |ring| {
            gone.set(gone.get() || ring.poll_detached().is_some());
            gone.get()
        })?;
        match heard.get() && gone.get() {
            true => Ok(()),
            false => Err(RingError::Lacking("a way for datagrams")),
        }
    }

    fn turn_until(
        &mut self,
        heard: &Cell<bool>,
        mut done: impl FnMut(&mut Ring) -> bool,
    ) -> Result<(), RingError> {
        for _ in 0..ATTEMPTS {
            if done(self) {
                break;
            }
            self.wait(Wait { events: 1, at_most: Some(ATTEMPT) })?;
            self.take(Tick::ZERO, |_, _, _| {
                heard.set(true);
                Verdict::Drop(DropReason::NoStream)
            });
        }
        Ok(())
    }
}

/// A socket on loopback, if ordinary packets can be sent there.
fn loopback() -> Option<(SocketAddr, std::os::fd::OwnedFd)> {
    let socket = UdpSocket::from(socket::bind((Ipv4Addr::LOCALHOST, 0).into(), 1 << 16).ok()?);
    let local = socket.local_addr().ok()?;
    socket.set_read_timeout(Some(ATTEMPT)).ok()?;
    socket.send_to(b"ordinary", local).ok()?;
    socket.recv(&mut [0; 16]).ok()?;
    Some((local, socket.into()))
}
