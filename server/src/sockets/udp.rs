//! One UDP socket of a profile.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use bytes::Bytes;
use mio::net::UdpSocket;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use signaling::ListenerId;
use socket2::{Domain, Protocol, Socket, Type};

use super::{SocketCounters, Upper};
use crate::batch::{Batch, DATAGRAMS_PER_BATCH, is_would_block, socket_address};

/// Datagrams that wait for the system to take them; beyond, SIP's own retransmission must help.
const DATAGRAMS_WAITING_MAX: usize = 16_384;
/// Batches read from one socket in one turn, so that one flooded profile does not starve another.
const BATCHES_PER_TURN_MAX: usize = 8;
/// Kernel buffer asked for: half a second of 10,000 calls per second. The system may give less.
const KERNEL_BUFFER_LEN: usize = 8 << 20;
/// ICMP errors taken at a time; a flood of them must not hold the turn.
const ICMP_ERRORS_PER_TURN_MAX: usize = 256;
/// How often the head of the queue is tried. The first errors may be about datagrams sent before it.
const ATTEMPTS_MAX: u8 = 3;

/// A bound socket and what waits to leave by it.
pub struct UdpListener {
    pub id: ListenerId,
    pub local: SocketAddr,
    pub socket: UdpSocket,
    /// A reload has taken it away; it stays while calls may need it to end.
    pub is_retired: bool,
    waiting: VecDeque<(SocketAddr, Bytes)>,
    attempts: u8,
}

/// The queue was full.
pub struct QueueFull;

impl UdpListener {
    pub fn bind(id: ListenerId, local: SocketAddr) -> io::Result<UdpListener> {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        }
        // What the system does not grant is not worth a failure.
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER_LEN);
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER_LEN);
        socket.bind(&local.into())?;
        let socket = UdpSocket::from_std(socket.into());
        // A test asks for port 0.
        let local = socket.local_addr()?;
        Ok(UdpListener { id, local, socket, is_retired: false, waiting: VecDeque::new(), attempts: 0 })
    }

    /// Takes what has arrived; true when the turn's share was used up before the socket was empty.
    pub fn receive(
        &mut self,
        batch: &mut Batch,
        counters: &mut SocketCounters,
        upper: &mut dyn Upper,
    ) -> bool {
        for _ in 0..BATCHES_PER_TURN_MAX {
            let take = |source: SocketAddr, bytes| upper.datagram(self.id, source, bytes);
            match batch.receive(self.socket.as_fd(), take) {
                Ok(count) => {
                    counters.datagrams_received += count as u64;
                    if count < DATAGRAMS_PER_BATCH {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error that came meanwhile, or a signal: the datagrams are still there.
                Err(_) => self.take_errors(counters, upper),
            }
        }
        true
    }

    /// Puts a datagram behind the others.
    pub fn queue(&mut self, destination: SocketAddr, bytes: Bytes) -> Result<(), QueueFull> {
        if self.waiting.len() >= DATAGRAMS_WAITING_MAX {
            return Err(QueueFull);
        }
        self.waiting.push_back((destination, bytes));
        Ok(())
    }

    /// Gives the system what waits. What it does not take now goes when mio says that it would.
    pub fn flush(&mut self, batch: &mut Batch, counters: &mut SocketCounters, upper: &mut dyn Upper) {
        while !self.waiting.is_empty() {
            let waiting = self.waiting.iter().map(|(destination, bytes)| (*destination, bytes));
            match batch.send(self.socket.as_fd(), waiting) {
                Ok(count) => {
                    counters.datagrams_sent += count as u64;
                    self.waiting.drain(..count);
                    self.attempts = 0;
                }
                Err(error) if is_would_block(&error) => return,
                Err(_) => self.handle_refused(counters, upper),
            }
        }
    }

    /// With error reports on, the system also says by a failed call that an earlier datagram was undeliverable.
    /// Only what fails again and again is itself to blame.
    fn handle_refused(&mut self, counters: &mut SocketCounters, upper: &mut dyn Upper) {
        self.take_errors(counters, upper);
        self.attempts += 1;
        if self.attempts < ATTEMPTS_MAX {
            return;
        }
        self.attempts = 0;
        if let Some((destination, _)) = self.waiting.pop_front() {
            counters.datagrams_undeliverable += 1;
            upper.transport_error(self.id, destination);
        }
    }

    /// Reads which destinations ICMP reported as unreachable.
    pub fn take_errors(&self, counters: &mut SocketCounters, upper: &mut dyn Upper) {
        for _ in 0..ICMP_ERRORS_PER_TURN_MAX {
            let mut data = [0; 64];
            let mut slices = [IoSliceMut::new(&mut data)];
            let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let fd = self.socket.as_raw_fd();
            let Ok(message) = recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut control), flags) else {
                return;
            };
            let is_icmp = message.cmsgs().is_ok_and(|mut all| all.any(|one| is_unreachable(&one)));
            // The address of a message from the error queue is the one that we had sent to.
            if let Some(destination) = message.address.as_ref().and_then(socket_address)
                && is_icmp
            {
                counters.datagrams_undeliverable += 1;
                upper.transport_error(self.id, destination);
            }
        }
    }
}

/// Whether a control message says that a destination cannot be reached. A datagram that was too long for the path
/// is the system's to break up.
fn is_unreachable(message: &ControlMessageOwned) -> bool {
    match message {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            error.ee_errno != libc::EMSGSIZE as u32
        }
        _ => false,
    }
}
