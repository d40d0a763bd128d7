//! Opening a media socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::mmsg::{disconnect, forbid_fragments};
use crate::stream_table::BindError;

/// Receive buffer of a porch: strangers are counted, not kept.
const PORCH_BUFFER_BYTES: usize = 8_192;

/// Opens a UDP socket bound to `local` and to nothing else. Fails when the port is taken, also by ourselves: two
/// sockets on one port would steal each other's packets, so `SO_REUSEADDR` stays off.
///
/// It stays in blocking mode. io_uring would answer a receive on a non-blocking socket with `EAGAIN` instead of
/// waiting; the other back end says `MSG_DONTWAIT` each time.
pub(crate) fn bind(local: SocketAddr, receive_buffer_bytes: usize) -> Result<OwnedFd, BindError> {
    open(local, receive_buffer_bytes).map_err(|error| blame(&error))
}

fn open(local: SocketAddr, receive_buffer_bytes: usize) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    forbid_fragments(socket.as_fd(), local.is_ipv6())?;
    socket.set_recv_buffer_size(receive_buffer_bytes)?;
    socket.bind(&local.into())?;
    Ok(socket.into())
}

/// Connects a bound socket to its only peer. The result is its porch: a second socket of the same address and port that
/// hears everybody else.
///
/// Two sockets may share a port only if both say so (`SO_REUSEADDR`) while the second is bound; right after it neither
/// does any more, so that the port stays closed to everybody else. The socket is connected first: a porch that was
/// bound earlier would take the peer's packets meanwhile. A stranger may get an ICMP error in between, which is all.
pub(crate) fn settle(socket: BorrowedFd<'_>, peer: SocketAddr) -> io::Result<OwnedFd> {
    let shared = SockRef::from(&socket);
    shared.set_reuse_address(true)?;
    let porch = shared.connect(&peer.into()).and_then(|()| open_porch(&shared));
    if porch.is_err() {
        unsettle(socket);
    }
    // It was possible to switch it on.
    let _ = shared.set_reuse_address(false);
    porch
}

/// Unconnects a socket, whose porch is closed by now. It stays bound, because it was bound to a port by number, and
/// what lies in it stays there.
pub(crate) fn unsettle(socket: BorrowedFd<'_>) {
    // Linux knows no reason to refuse it.
    let _ = disconnect(socket);
}

fn open_porch(shared: &Socket) -> io::Result<OwnedFd> {
    let local = shared.local_addr()?;
    let porch = Socket::new(local.domain(), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv6() {
        porch.set_only_v6(true)?;
    }
    porch.set_recv_buffer_size(PORCH_BUFFER_BYTES)?;
    porch.set_reuse_address(true)?;
    porch.bind(&local)?;
    porch.set_reuse_address(false)?;
    Ok(porch.into())
}

/// What a failure means for the table. Descriptors or memory that are lacking come back; a taken port may not.
pub(crate) fn blame(error: &io::Error) -> BindError {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => BindError::InUse,
        Some(libc::EADDRNOTAVAIL | libc::ENODEV) => BindError::NoAddress,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC) => {
            BindError::NoResources
        }
        _ if error.kind() == io::ErrorKind::InvalidInput => BindError::NoResources,
        _ => BindError::Refused,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_taken_port_is_refused_and_free_again_when_its_owner_is_gone() {
        for host in ["127.0.61.3:0", "[::1]:0"] {
            let other = UdpSocket::bind(host).expect("a free port");
            let local = other.local_addr().expect("it is bound");
            assert_eq!(bind(local, 65_536).err(), Some(BindError::InUse));
            drop(other);
            let ours = bind(local, 65_536).expect("free again");
            assert_eq!(bind(local, 65_536).err(), Some(BindError::InUse), "ours is not shared either");
            drop(ours);
        }
    }

    #[test]
    fn a_settled_socket_hears_its_peer_and_its_porch_everybody_else() {
        for host in ["127.0.61.4:0", "[::1]:0"] {
            // A port that the system chose would be lost with the connection; ours are always named.
            let free = UdpSocket::bind(host).and_then(|socket| socket.local_addr()).expect("a free port");
            let socket = UdpSocket::from(bind(free, 65_536).expect("still free"));
            socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).expect("a time limit");
            let (peer, stranger) =
                (UdpSocket::bind(host).expect("a port"), UdpSocket::bind(host).expect("a port"));
            let local = socket.local_addr().expect("it is bound");
            peer.send_to(b"before", local).expect("sent");
            for round in 0..3 {
                let porch = settle(socket.as_fd(), peer.local_addr().expect("it is bound")).expect("settled");
                let porch = UdpSocket::from(porch);
                porch.set_read_timeout(Some(std::time::Duration::from_secs(5))).expect("a time limit");
                assert_eq!(
                    bind(local, 65_536).err(),
                    Some(BindError::InUse),
                    "the port is not free for others"
                );
                peer.send_to(b"peer", local).expect("sent");
                stranger.send_to(b"stranger", local).expect("sent");
                let mut packet = [0; 16];
                if round == 0 {
                    assert_eq!(socket.recv(&mut packet).expect("kept"), 6);
                }
                assert_eq!(socket.recv(&mut packet).expect("heard"), 4);
                assert_eq!(porch.recv(&mut packet).expect("heard"), 8);
                drop(porch);
                unsettle(socket.as_fd());
                stranger.send_to(b"hello", local).expect("sent");
                assert_eq!(socket.recv(&mut packet).expect("heard again"), 5);
                assert_eq!(socket.local_addr().expect("still bound"), local);
            }
        }
    }

    #[test]
    fn an_address_of_another_machine_is_named_as_such() {
        let local = "192.0.2.1:4000".parse().expect("an address");
        assert_eq!(bind(local, 65_536).err(), Some(BindError::NoAddress));
    }
}
