//! The SIP sockets of a run: one for calling, one for answering.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use signaling::endpoint::ListenerId;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// What the kernel keeps for us while we are busy with audio; it gives what it allows.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// One bound SIP socket.
pub struct SipSocket {
    /// As the endpoint knows it.
    pub listener: ListenerId,
    /// Where it is bound.
    pub local: SocketAddr,
    socket: UdpSocket,
    /// Datagrams that the kernel did not take.
    pub send_errors: u64,
}

impl SipSocket {
    /// Binds to `local`; its token is the listener's number.
    pub fn bind(registry: &Registry, listener: ListenerId, local: SocketAddr) -> Result<SipSocket> {
        let open = || -> std::io::Result<std::net::UdpSocket> {
            let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_nonblocking(true)?;
            // Less than asked for is no fault: retransmission makes up for it.
            let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
            socket.bind(&SockAddr::from(local))?;
            Ok(socket.into())
        };
        let socket = open().with_context(|| format!("cannot bind SIP to {local}"))?;
        let local = socket.local_addr().context("a bound socket without an address")?;
        let mut socket = UdpSocket::from_std(socket);
        registry.register(&mut socket, Token(listener.0 as usize), Interest::READABLE)?;
        Ok(SipSocket { listener, local, socket, send_errors: 0 })
    }

    /// Hands every waiting datagram to `take`.
    pub fn receive(&self, buffer: &mut [u8], mut take: impl FnMut(SocketAddr, Bytes)) {
        loop {
            match self.socket.recv_from(buffer) {
                Ok((length, from)) => take(from, Bytes::copy_from_slice(&buffer[..length])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The word of ICMP about an earlier datagram; retransmission and timer B judge the peer.
                Err(_) => {}
            }
        }
    }

    /// Sends a datagram.
    pub fn send(&mut self, destination: SocketAddr, bytes: &[u8]) {
        if self.socket.send_to(bytes, destination).is_err() {
            self.send_errors += 1;
        }
    }
}
