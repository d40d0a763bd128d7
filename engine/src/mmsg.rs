//! The second back end, for where io_uring is not permitted: epoll, `recvmmsg`, `sendmmsg`.
//!
//! It keeps the same sockets in the same slots as `Ring` and has the same methods. Each ready socket costs one
//! receiving and one sending system call per turn; packets of one burst share them. epoll is level-triggered: what a
//! turn leaves behind is reported again, so that no socket can be forgotten after an overload.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use clock::Tick;
use link::WorkerCounters;

use crate::address::{NAME_BYTES, read_name, write_name};
use crate::mover::{Heard, PACKET_BYTES_MAX};
use crate::pace::Wait;
use crate::slot::Slot;
use crate::socket;
use crate::stream_table::Verdict;

/// Datagrams taken from one socket in one turn: a stream sends one in 20 ms, so more is a backlog.
const DATAGRAMS_PER_CALL: usize = 8;

/// Ready sockets served in one turn.
const SOCKETS_PER_TURN_MAX: usize = 256;

/// Errors in a row, without a packet in between, after which a socket rests.
const ERRORS_IN_ROW_MAX: u8 = 8;

/// How long it rests.
const REST: Duration = Duration::from_millis(10);

/// epoll's word for the wake-up descriptor; all others are slots,
const WAKE: u64 = u64::MAX;

/// or slots whose porch is meant.
const PORCH: u64 = 1 << 32;

/// One worker's sockets under epoll.
pub(crate) struct Mmsg {
    epoll: OwnedFd,
    wake: OwnedFd,
    sockets: Vec<Socket>,
    /// How many more sockets can be connected.
    free_porches: usize,
    events: Vec<libc::epoll_event>,
    /// How many of `events` the last wait has filled.
    ready: usize,
    batch: Batch,
    resting: Vec<Slot>,
    rest_until: Option<Tick>,
    detached: VecDeque<(Slot, OwnedFd)>,
    send_failed: VecDeque<Slot>,
    counters: WorkerCounters,
}

#[derive(Debug, Default)]
struct Socket {
    fd: Option<OwnedFd>,
    errors_in_row: u8,
    /// Whom it is connected to, and the second socket on which others are heard meanwhile: see `ring/receivers.rs`.
    settled: Option<(SocketAddr, OwnedFd)>,
}

impl Mmsg {
    /// Makes room for `slots` sockets, `porches` of which can be connected. `wake` is an eventfd; writing to it ends a
    /// wait.
    pub(crate) fn open(slots: u32, porches: usize, wake: OwnedFd) -> io::Result<Mmsg> {
        // SAFETY: no pointers.
        let epoll = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: a fresh descriptor that nobody else has.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        watch(&epoll, libc::EPOLL_CTL_ADD, wake.as_fd(), WAKE)?;
        Ok(Mmsg {
            epoll,
            wake,
            sockets: std::iter::repeat_with(Socket::default).take(slots as usize).collect(),
            free_porches: porches,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; SOCKETS_PER_TURN_MAX],
            ready: 0,
            batch: Batch::new(),
            resting: Vec::with_capacity(slots as usize),
            rest_until: None,
            detached: VecDeque::with_capacity(slots as usize),
            send_failed: VecDeque::with_capacity(SOCKETS_PER_TURN_MAX * DATAGRAMS_PER_CALL),
            counters: WorkerCounters::default(),
        })
    }

    /// Takes a bound socket and receives on it.
    pub(crate) fn attach(&mut self, slot: Slot, fd: OwnedFd) -> Result<(), (io::Error, OwnedFd)> {
        let Some(socket) = self.sockets.get_mut(slot.index()) else {
            return Err((io::ErrorKind::InvalidInput.into(), fd));
        };
        assert!(socket.fd.is_none(), "the stream table never reuses a slot that is still taken");
        if let Err(error) = watch(&self.epoll, libc::EPOLL_CTL_ADD, fd.as_fd(), u64::from(slot.0)) {
            return Err((error, fd));
        }
        *socket = Socket { fd: Some(fd), errors_in_row: 0, settled: None };
        Ok(())
    }

    /// Ends a socket's receive. It comes out of [`poll_detached`](Mmsg::poll_detached). False: there is none.
    pub(crate) fn detach(&mut self, slot: Slot) -> bool {
        self.unsettle(slot);
        let Some(fd) = self.sockets.get_mut(slot.index()).and_then(|socket| socket.fd.take()) else {
            return false;
        };
        // Fails only for a socket that rests, which is not watched.
        let _ = watch(&self.epoll, libc::EPOLL_CTL_DEL, fd.as_fd(), 0);
        self.detached.push_back((slot, fd));
        true
    }

    /// Connects a slot's socket to the only peer that counts, and goes on hearing others on its porch.
    pub(crate) fn settle(&mut self, slot: Slot, peer: SocketAddr) {
        self.unsettle(slot);
        let socket = &mut self.sockets[slot.index()];
        let Some(fd) = socket.fd.as_ref().filter(|_| self.free_porches > 0) else { return };
        // Where no descriptor is left, or the route is gone, it works unconnected as well.
        let Ok(porch) = socket::settle(fd.as_fd(), peer) else { return };
        let watched = watch(&self.epoll, libc::EPOLL_CTL_ADD, porch.as_fd(), PORCH | u64::from(slot.0));
        socket.settled = Some((peer, porch));
        self.free_porches -= 1;
        if watched.is_err() {
            self.unsettle(slot);
        }
    }

    /// Takes that back. The porch is closed first, so that the peer is always heard on the same socket.
    pub(crate) fn unsettle(&mut self, slot: Slot) {
        let Some(socket) = self.sockets.get_mut(slot.index()) else { return };
        if socket.settled.take().is_some() {
            self.free_porches += 1;
            socket.fd.iter().for_each(|fd| socket::unsettle(fd.as_fd()));
        }
    }

    /// A socket that has left.
    pub(crate) fn poll_detached(&mut self) -> Option<(Slot, OwnedFd)> {
        self.detached.pop_front()
    }

    /// A slot by which a packet could not be sent.
    pub(crate) fn poll_send_failed(&mut self) -> Option<Slot> {
        self.send_failed.pop_front()
    }

    /// When a socket that rests is to be watched again.
    pub(crate) fn next_deadline(&self) -> Option<Tick> {
        self.rest_until
    }

    /// What went wrong so far.
    pub(crate) fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// Waits. epoll cannot wait for a number of events; a batch is therefore gathered by sleeping for its time,
    /// unless the last turn has left sockets unserved.
    pub(crate) fn wait(&mut self, wait: Wait) -> io::Result<()> {
        let at_most = match wait.at_most {
            Some(at_most) if wait.events > 1 => {
                if self.ready < SOCKETS_PER_TURN_MAX {
                    std::thread::sleep(at_most);
                }
                Some(Duration::ZERO)
            }
            at_most => at_most,
        };
        self.ready = match poll(&self.epoll, &mut self.events, at_most) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            polled => polled?,
        };
        Ok(())
    }

    /// Hands every received packet to `relay`, at most a turn's worth, and sends what it forwards. The result is the
    /// number of packets.
    pub(crate) fn take(
        &mut self,
        now: Tick,
        mut relay: impl FnMut(Slot, SocketAddr, Heard<'_>) -> Verdict,
    ) -> usize {
        self.wake_rested(now);
        let mut packets = 0;
        for at in 0..self.ready {
            match self.events[at].u64 {
                WAKE => self.drain_wake(),
                word => packets += self.take_socket(now, word, &mut relay),
            }
        }
        packets
    }

    /// Sends a packet of our own.
    pub(crate) fn send(&mut self, slot: Slot, to: SocketAddr, packet: &[u8]) {
        let fits = packet.len() <= PACKET_BYTES_MAX;
        if fits {
            self.batch.packets[0][..packet.len()].copy_from_slice(packet);
            self.address(0, packet.len(), slot, to);
        }
        let fd = self.sockets.get(slot.index()).and_then(|socket| socket.fd.as_ref());
        if !fits || fd.is_none_or(|fd| self.batch.send(fd.as_fd(), 0, 1) != 1) {
            self.charge(slot);
        }
    }

    fn take_socket(
        &mut self,
        now: Tick,
        word: u64,
        relay: &mut impl FnMut(Slot, SocketAddr, Heard<'_>) -> Verdict,
    ) -> usize {
        let slot = Slot(word as u32);
        let socket = &mut self.sockets[slot.index()];
        let fd = match word & PORCH {
            0 => socket.fd.as_ref(),
            _ => socket.settled.as_ref().map(|(_, porch)| porch),
        };
        // An event of a socket that has gone since.
        let Some(fd) = fd else { return 0 };
        let received = match self.batch.receive(fd.as_fd()) {
            Ok(received) => received,
            Err(error) => {
                self.receive_failed(now, slot, &error);
                return 0;
            }
        };
        socket.errors_in_row = 0;
        // Packets in a row that leave by the same socket are sent together.
        let mut run: Option<(Slot, usize)> = None;
        for at in 0..received {
            let forward = self.judge(slot, at, relay);
            let same = matches!((run, forward), (Some((slot, _)), Some(next)) if slot == next);
            if !same {
                self.send_run(run, at);
                run = forward.map(|slot| (slot, at));
            }
        }
        self.send_run(run, received);
        received
    }

    /// Asks `relay` about one datagram of the batch and writes its destination.
    fn judge(
        &mut self,
        slot: Slot,
        at: usize,
        relay: &mut impl FnMut(Slot, SocketAddr, Heard<'_>) -> Verdict,
    ) -> Option<Slot> {
        let (from, heard, len) = self.batch.datagram(at);
        if matches!(heard, Heard::Truncated) {
            self.counters.dropped_oversized += 1;
        }
        let Some(from) = from else {
            self.counters.dropped_unowned += 1;
            return None;
        };
        let Verdict::Forward { slot, to } = relay(slot, from, heard) else { return None };
        self.address(at, len, slot, to);
        Some(slot)
    }

    /// Addresses a datagram of the batch; a socket that is connected to its destination need not be told.
    fn address(&mut self, at: usize, len: usize, slot: Slot, to: SocketAddr) {
        let settled = self.sockets.get(slot.index()).and_then(|socket| socket.settled.as_ref());
        let is_told = settled.is_none_or(|(peer, _)| *peer != to);
        self.batch.address(at, len, is_told.then_some(to));
    }

    fn send_run(&mut self, run: Option<(Slot, usize)>, end: usize) {
        let Some((slot, mut from)) = run else { return };
        while from < end {
            let fd = self.sockets.get(slot.index()).and_then(|socket| socket.fd.as_ref());
            let sent = fd.map_or(0, |fd| self.batch.send(fd.as_fd(), from, end - from));
            from += sent;
            if from < end {
                // The first that was not taken: dropped, and the rest is tried.
                self.charge(slot);
                from += 1;
            }
        }
    }

    fn receive_failed(&mut self, now: Tick, slot: Slot, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
            return;
        }
        self.counters.receive_errors += 1;
        let socket = &mut self.sockets[slot.index()];
        socket.errors_in_row = socket.errors_in_row.saturating_add(1);
        if socket.errors_in_row <= ERRORS_IN_ROW_MAX {
            return;
        }
        if let Some(fd) = &socket.fd {
            // Can only fail when it is not watched, which is what is wanted.
            let _ = watch(&self.epoll, libc::EPOLL_CTL_DEL, fd.as_fd(), 0);
        }
        self.resting.push(slot);
        self.rest_until.get_or_insert(now + REST);
    }

    fn wake_rested(&mut self, now: Tick) {
        if self.rest_until.is_none_or(|until| until > now) {
            return;
        }
        self.rest_until = None;
        while let Some(slot) = self.resting.pop() {
            if let Some(fd) = &self.sockets[slot.index()].fd {
                // Fails only when the slot has a new socket since, which is watched already.
                let _ = watch(&self.epoll, libc::EPOLL_CTL_ADD, fd.as_fd(), u64::from(slot.0));
            }
        }
    }

    fn drain_wake(&self) {
        let mut word = [0u8; 8];
        // SAFETY: eight bytes, as an eventfd wants. epoll said that it is readable, so that this does not block.
        // The number does not matter.
        let _ = unsafe { libc::read(self.wake.as_raw_fd(), word.as_mut_ptr().cast(), word.len()) };
    }

    fn charge(&mut self, slot: Slot) {
        self.counters.send_errors += 1;
        if self.send_failed.len() < self.send_failed.capacity() {
            self.send_failed.push_back(slot);
        }
    }
}

/// Datagrams of one call, with the structures that describe them to the kernel.
struct Batch {
    headers: [libc::mmsghdr; DATAGRAMS_PER_CALL],
    vectors: [libc::iovec; DATAGRAMS_PER_CALL],
    names: [[u8; NAME_BYTES]; DATAGRAMS_PER_CALL],
    packets: Box<[[u8; PACKET_BYTES_MAX]; DATAGRAMS_PER_CALL]>,
}

impl Batch {
    fn new() -> Batch {
        Batch {
            // SAFETY: all zeroes is a valid message header: no name, no vector, no control data.
            headers: unsafe { std::mem::zeroed() },
            vectors: [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; DATAGRAMS_PER_CALL],
            names: [[0; NAME_BYTES]; DATAGRAMS_PER_CALL],
            packets: Box::new([[0; PACKET_BYTES_MAX]; DATAGRAMS_PER_CALL]),
        }
    }

    /// Fills the batch from a socket.
    fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for at in 0..DATAGRAMS_PER_CALL {
            self.vectors[at].iov_len = PACKET_BYTES_MAX;
            self.headers[at].msg_hdr.msg_namelen = NAME_BYTES as u32;
        }
        self.point(0, DATAGRAMS_PER_CALL);
        let (headers, count) = (self.headers.as_mut_ptr(), DATAGRAMS_PER_CALL as u32);
        // SAFETY: `point` has just made every header point into `self`, with lengths of what is there.
        let received = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), headers, count, libc::MSG_DONTWAIT as _, ptr::null_mut())
        };
        Ok(checked(received)? as usize)
    }

    /// One received datagram with its length, and its source if that is usable.
    fn datagram(&mut self, at: usize) -> (Option<SocketAddr>, Heard<'_>, usize) {
        let header = &self.headers[at];
        let name_len = (header.msg_hdr.msg_namelen as usize).min(NAME_BYTES);
        let len = (header.msg_len as usize).min(PACKET_BYTES_MAX);
        let heard = match header.msg_hdr.msg_flags & libc::MSG_TRUNC {
            0 => Heard::Packet(&mut self.packets[at][..len]),
            _ => Heard::Truncated,
        };
        (read_name(&self.names[at][..name_len]), heard, len)
    }

    /// Writes length and destination of a datagram that is to be sent.
    fn address(&mut self, at: usize, len: usize, to: Option<SocketAddr>) {
        let name_len = to.map_or(0, |to| write_name(&mut self.names[at], to));
        self.headers[at].msg_hdr.msg_namelen = name_len;
        self.vectors[at].iov_len = len;
    }

    /// Sends `count` datagrams that have been addressed; the result is how many the kernel took.
    fn send(&mut self, socket: BorrowedFd<'_>, from: usize, count: usize) -> usize {
        self.point(from, count);
        let headers = self.headers[from..from + count].as_mut_ptr();
        // SAFETY: `point` has just made these headers point into `self`, with lengths of what is there.
        let sent =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count as u32, libc::MSG_DONTWAIT as _) };
        usize::try_from(sent).unwrap_or(0)
    }

    /// Makes headers and vectors point at their parts of this batch, which may have moved since.
    fn point(&mut self, from: usize, count: usize) {
        for at in from..from + count {
            self.vectors[at].iov_base = self.packets[at].as_mut_ptr().cast();
            let header = &mut self.headers[at].msg_hdr;
            header.msg_name = self.names[at].as_mut_ptr().cast();
            header.msg_iov = &raw mut self.vectors[at];
            header.msg_iovlen = 1;
        }
    }
}

/// Forbids fragments (`IP_PMTUDISC_DO`): an oversized packet is refused at the send and counted, and the kernel
/// spares itself choosing an identification for every packet.
pub(crate) fn forbid_fragments(socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    let (level, name, value) = match v6 {
        false => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO),
        true => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO),
    };
    let (at, len) = ((&raw const value).cast(), size_of_val(&value) as u32);
    // SAFETY: points at a local integer of the given length.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, at, len) }).map(drop)
}

/// Lets a connected socket hear everybody again. It stays bound, and keeps what lies in it.
pub(crate) fn disconnect(socket: BorrowedFd<'_>) -> io::Result<()> {
    let nobody = libc::sockaddr { sa_family: libc::AF_UNSPEC as u16, sa_data: [0; 14] };
    let len = size_of_val(&nobody) as u32;
    // SAFETY: points at a local name of the given length.
    checked(unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, len) }).map(drop)
}

fn watch(epoll: &OwnedFd, operation: i32, fd: BorrowedFd<'_>, word: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: word };
    // SAFETY: points at a local event.
    checked(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event) })
        .map(drop)
}

/// Waits with nanoseconds where the kernel can (5.11); else with milliseconds, rounded up.
fn poll(epoll: &OwnedFd, events: &mut [libc::epoll_event], at_most: Option<Duration>) -> io::Result<usize> {
    let (fd, at, len) = (epoll.as_raw_fd(), events.as_mut_ptr(), events.len() as i32);
    let whole = at_most.is_none_or(|at_most| at_most.subsec_nanos() % 1_000_000 == 0);
    if let Some(at_most) = at_most.filter(|_| !whole) {
        let (tv_sec, tv_nsec) = (at_most.as_secs() as i64, i64::from(at_most.subsec_nanos()));
        let limit = libc::timespec { tv_sec, tv_nsec };
        let limit = &raw const limit;
        // SAFETY: the events are `len` long, the time is a local, and there is no signal mask.
        let polled =
            unsafe { libc::syscall(libc::SYS_epoll_pwait2, fd, at, len, limit, ptr::null::<u8>(), 0) };
        match checked(polled as i32) {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => (),
            polled => return polled.map(|ready| ready as usize),
        }
    }
    let millis =
        at_most.map_or(-1, |limit| i32::try_from(limit.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX));
    // SAFETY: the events are `len` long.
    checked(unsafe { libc::epoll_wait(fd, at, len, millis) }).map(|ready| ready as usize)
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
