//! Opening a media socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::mmsg::forbid_fragments;
use crate::stream_table::BindError;

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
    fn an_address_of_another_machine_is_named_as_such() {
        let local = "192.0.2.1:4000".parse().expect("an address");
        assert_eq!(bind(local, 65_536).err(), Some(BindError::NoAddress));
    }
}
