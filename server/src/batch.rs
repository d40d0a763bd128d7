//! Datagrams in batches: recvmmsg and sendmmsg through nix's safe wrappers.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

/// Datagrams taken or given by one system call. The gain of batching is complete at some tens.
pub const DATAGRAMS_PER_BATCH: usize = 32;
/// The longest datagram that UDP can carry; nothing is ever cut.
const DATAGRAM_LEN_MAX: usize = 65_535;

/// Buffers for one thread's datagrams, made once.
pub struct Batch {
    buffers: Vec<u8>,
    headers: MultiHeaders<SockaddrStorage>,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch {
            // Two megabytes of which the system gives only the pages that are touched.
            buffers: vec![0; DATAGRAMS_PER_BATCH * DATAGRAM_LEN_MAX],
            headers: MultiHeaders::preallocate(DATAGRAMS_PER_BATCH, None),
        }
    }
}

impl Batch {
    /// Takes up to [`DATAGRAMS_PER_BATCH`] datagrams and hands each to `take`; returns how many there were.
    pub fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        mut take: impl FnMut(SocketAddr, Bytes),
    ) -> io::Result<usize> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.buffers.chunks_exact_mut(DATAGRAM_LEN_MAX).map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None)?;
        let mut count = 0;
        for datagram in received {
            count += 1;
            let Some(source) = datagram.address.as_ref().and_then(socket_address) else { continue };
            for part in datagram.iovs() {
                take(source, Bytes::copy_from_slice(part));
            }
        }
        Ok(count)
    }

    /// Gives up to [`DATAGRAMS_PER_BATCH`] datagrams from the front of `datagrams` to the system; returns how many
    /// it took. An error is about the first one.
    pub fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = (SocketAddr, &'a Bytes)>,
    ) -> io::Result<usize> {
        let (addresses, slices): (Vec<Option<SockaddrStorage>>, Vec<[IoSlice<'_>; 1]>) = datagrams
            .take(DATAGRAMS_PER_BATCH)
            .map(|(destination, bytes)| (Some(SockaddrStorage::from(destination)), [IoSlice::new(bytes)]))
            .unzip();
        // Written anew each time: what receiving left in the headers must not reach sending.
        let mut headers = MultiHeaders::preallocate(addresses.len(), None);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let sent = sendmmsg(socket.as_raw_fd(), &mut headers, slices.iter(), &addresses, [], flags)?;
        Ok(sent.count())
    }
}

/// What nix calls an address, as the rest of the world calls it.
pub fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port()))))
}

/// Whether an error only says that there is nothing to do now.
pub fn is_would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(Errno::EINTR as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn pair(address: &str) -> (UdpSocket, UdpSocket) {
        (UdpSocket::bind(address).expect("binds"), UdpSocket::bind(address).expect("binds"))
    }

    #[test]
    fn batches_arrive_whole_in_order_and_with_their_source() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (from, to) = pair(address);
            let destination = to.local_addr().expect("bound");
            let mut batch = Batch::default();
            let datagrams: Vec<Bytes> = (0..DATAGRAMS_PER_BATCH + 8)
                .map(|index| Bytes::from(vec![index as u8; 1 + index * 100]))
                .collect();
            let mut sent = 0;
            while sent < datagrams.len() {
                let rest = datagrams[sent..].iter().map(|bytes| (destination, bytes));
                sent += batch.send(from.as_fd(), rest).expect("sends");
            }
            let mut received = Vec::new();
            while let Ok(count) = batch.receive(to.as_fd(), |source, bytes| received.push((source, bytes))) {
                assert!((1..=DATAGRAMS_PER_BATCH).contains(&count));
            }
            assert_eq!(received.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(), datagrams);
            assert!(received.iter().all(|(source, _)| *source == from.local_addr().expect("bound")));
        }
    }

    #[test]
    fn an_empty_socket_would_block_and_an_error_is_about_the_first_datagram() {
        let (from, to) = pair("127.0.0.1:0");
        let mut batch = Batch::default();
        let error = batch.receive(to.as_fd(), |_, _| panic!("nothing was sent")).expect_err("empty");
        assert!(is_would_block(&error));
        let too_long = Bytes::from(vec![0; DATAGRAM_LEN_MAX + 1]);
        let destination = to.local_addr().expect("bound");
        let error = batch.send(from.as_fd(), [(destination, &too_long)].into_iter()).expect_err("too long");
        assert_eq!(error.raw_os_error(), Some(Errno::EMSGSIZE as i32));
    }
}
