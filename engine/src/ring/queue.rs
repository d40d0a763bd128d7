//! The two queues of one io_uring, and the memory that requests point into.
//!
//! Everything here keeps one promise to the kernel: what a queued request points at stays where it is, and stays
//! untouched, until the kernel has taken the request. A packet to be sent is therefore given away as a [`Buffer`],
//! and returns to the kernel's ring only after an enter that has emptied the submission queue: a datagram socket
//! copies the packet while the request is submitted (`MSG_DONTWAIT` keeps it from being put off).

use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::RingError;
use super::buffers::{Buffer, Buffers, Pages};
use crate::address::NAME_BYTES;
use crate::slot::Slot;

/// Requests that can be queued between two enters: sends of one turn, cancels, receives armed anew.
const SUBMISSIONS: u32 = 2_048;

/// Completions that can wait. More than there are buffers and slots in any usual setting; beyond it the kernel
/// keeps a list (`IORING_FEAT_NODROP`) and ends multishot receives, which are armed again.
const COMPLETIONS: u32 = 16_384;

/// Packets of our own (prompts) that can be on their way between two enters.
const SPARE_BUFFERS: u16 = 512;

/// The only buffer group.
const GROUP: u16 = 0;

/// `IORING_RECVSEND_POLL_FIRST`, which the crate does not name: wait for the socket before the first attempt.
const POLL_FIRST: u16 = 1;

/// How long the kernel may take to end all requests when a ring is closed. It takes microseconds.
const CANCEL_MS_MAX: u64 = 1_000;

/// Completions copied out of the queue at a time.
const COPIED_AT_ONCE: usize = 64;

/// Where in the fixed memory the word is that reading the wake-up descriptor fills.
const WAKE_WORD_AT: usize = 256;

const _: () = assert!(size_of::<libc::msghdr>() <= WAKE_WORD_AT);

/// What a request was, and which socket it belongs to. Travels as user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) kind: Kind,
    /// Counts the sockets that the place has had, so that nothing late is charged to the next one.
    pub(super) generation: u16,
    /// A slot, or beyond the slots the place of a porch.
    pub(super) place: Slot,
}

/// What a request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Receive,
    Send,
    Cancel,
    Wake,
}

/// What is received on.
pub(super) enum Target<'a> {
    /// A slot's socket, among the fixed files.
    Fixed(Slot),
    /// One that is not registered, because nothing is sent by it.
    Socket(BorrowedFd<'a>),
}

/// A request that has ended, or a multishot receive that has brought a packet.
pub(super) struct Completion {
    pub(super) ticket: Ticket,
    /// Bytes written, or the negated error number.
    pub(super) result: i32,
    pub(super) buffer: Option<Buffer>,
    /// Whether the same request will bring more.
    pub(super) more: bool,
}

/// One io_uring with its memory. Dropped top down: the ring before the memory.
pub(super) struct Queue {
    ring: IoUring,
    /// Buffers whose send is queued and not yet taken by the kernel.
    leaving: Vec<Buffer>,
    /// All packets.
    pub(super) buffers: Buffers,
    /// The message header that all receives share, and the wake-up word.
    fixed: Pages,
}

impl Queue {
    /// Sets up a ring with `files` places for fixed files and `provided` receive buffers.
    pub(super) fn open(files: u32, provided: u16) -> Result<Queue, RingError> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)
            .map_err(RingError::Setup)?;
        if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
            return Err(RingError::Lacking("timed waits"));
        }
        let registered = |what| move |error| RingError::Register { what, error };
        ring.submitter().register_files_sparse(files).map_err(registered("fixed files"))?;
        let buffers = Buffers::new(provided, SPARE_BUFFERS);
        buffers.register(&ring.submitter(), GROUP).map_err(registered("receive buffers"))?;
        // Saves looking up the descriptor at each enter; a kernel without it does as well.
        let _ = ring.submitter().register_ring_fd();
        let fixed = Pages::new(WAKE_WORD_AT + size_of::<u64>());
        // SAFETY: all zeroes is a valid message header: no name, no vector, no control data.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_namelen = NAME_BYTES as u32;
        // SAFETY: the page is large enough, aligned, and nobody else's.
        unsafe { fixed.at.as_ptr().cast::<libc::msghdr>().write(header) };
        Ok(Queue { ring, leaving: Vec::with_capacity(SUBMISSIONS as usize), buffers, fixed })
    }

    /// Puts a socket into its place among the fixed files, or takes it out.
    pub(super) fn set_file(&mut self, slot: Slot, fd: Option<BorrowedFd<'_>>) -> std::io::Result<()> {
        const NONE: RawFd = -1;
        let fd = fd.map_or(NONE, |fd| fd.as_raw_fd());
        self.ring.submitter().register_files_update(slot.0, &[fd]).map(drop)
    }

    /// Requests that can still be queued before the next enter.
    pub(super) fn room(&mut self) -> usize {
        let submission = self.ring.submission();
        submission.capacity() - submission.len()
    }

    /// Whether the kernel has taken all that was queued.
    pub(super) fn is_flushed(&mut self) -> bool {
        self.ring.submission().is_empty()
    }

    /// Queues a multishot receive. False: no room.
    pub(super) fn receive(&mut self, target: Target<'_>, ticket: Ticket) -> bool {
        let header = self.fixed.at.as_ptr().cast::<libc::msghdr>();
        let receive = match target {
            Target::Fixed(slot) => opcode::RecvMsgMulti::new(Fixed(slot.0), header, GROUP),
            Target::Socket(fd) => opcode::RecvMsgMulti::new(Fd(fd.as_raw_fd()), header, GROUP),
        };
        let request = receive.ioprio(POLL_FIRST).build().user_data(ticket.encode());
        // SAFETY: points at the shared header, which lives as long as the ring and is never written again.
        unsafe { self.push(&request) }
    }

    /// Queues the end of a place's receive, after an enter if there is no room before it.
    pub(super) fn cancel(&mut self, place: Slot, generation: u16) {
        let receive = Ticket { kind: Kind::Receive, generation, place };
        let ticket = Ticket { kind: Kind::Cancel, ..receive };
        let request = opcode::AsyncCancel::new(receive.encode()).build().user_data(ticket.encode());
        // SAFETY: points at nothing.
        let push = |queue: &mut Queue| unsafe { queue.push(&request) };
        if !push(self) {
            // An error shows at the next enter, too.
            let _ = self.enter(0, None);
            assert!(push(self), "an enter leaves room");
        }
    }

    /// Queues reading the wake-up descriptor. False: no room.
    pub(super) fn read_wake(&mut self, fd: BorrowedFd<'_>) -> bool {
        let word = self.fixed.at.as_ptr().wrapping_add(WAKE_WORD_AT);
        let request = opcode::Read::new(Fd(fd.as_raw_fd()), word, size_of::<u64>() as u32).build();
        let ticket = Ticket { kind: Kind::Wake, generation: 0, place: Slot(0) };
        // SAFETY: the word lives as long as the ring, and nobody reads it.
        unsafe { self.push(&request.user_data(ticket.encode())) }
    }

    /// Queues the sending of a packet in place; `None`: to the peer that the socket is connected to. False: no room;
    /// the buffer has gone back.
    pub(super) fn send(
        &mut self,
        socket: Ticket,
        buffer: Buffer,
        len: usize,
        to: Option<SocketAddr>,
    ) -> bool {
        let packet = self.buffers.packet(&buffer);
        let mut send = opcode::Send::new(Fixed(socket.place.0), packet, len as u32).flags(libc::MSG_DONTWAIT);
        if let Some(to) = to {
            let (name, name_len) = self.buffers.address_to(&buffer, to);
            send = send.dest_addr(name.cast()).dest_addr_len(name_len);
        }
        let request = send.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(socket.encode());
        // SAFETY: points into `buffer`, which is kept in `leaving` until the kernel has taken the request.
        let queued = unsafe { self.push(&request) };
        if queued {
            self.leaving.push(buffer)
        } else {
            self.buffers.give_back(buffer)
        }
        queued
    }

    /// Submits all that is queued, then waits for `events` completions (0: not at all) or for `at_most`.
    pub(super) fn enter(&mut self, events: usize, at_most: Option<Duration>) -> Result<(), RingError> {
        self.buffers.publish();
        let submitter = self.ring.submitter();
        let entered = match at_most {
            _ if events == 0 => submitter.submit(),
            None => submitter.submit_and_wait(events),
            Some(at_most) => {
                let timespec = Timespec::from(at_most);
                submitter.submit_with_args(events, &SubmitArgs::new().timespec(&timespec))
            }
        };
        if let Err(error) = entered
            && !is_passing(&error)
        {
            return Err(RingError::Enter(error));
        }
        if self.is_flushed() {
            self.leaving.drain(..).for_each(|buffer| self.buffers.give_back(buffer));
        }
        Ok(())
    }

    /// Takes up to `limit` completions. False: none was there.
    pub(super) fn take(&mut self, limit: usize, mut each: impl FnMut(&mut Queue, Completion)) -> bool {
        let mut copies = [const { MaybeUninit::uninit() }; COPIED_AT_ONCE];
        let copies = self.ring.completion().fill(&mut copies[..limit.min(COPIED_AT_ONCE)]);
        for copy in copies.iter() {
            let Some(ticket) = Ticket::decode(copy.user_data()) else { continue };
            // SAFETY: `fill` has advanced the queue; this completion is seen here and never again.
            let claim = |id| unsafe { self.buffers.claim(id) };
            let buffer = cqueue::buffer_select(copy.flags()).map(claim);
            let more = cqueue::more(copy.flags());
            each(self, Completion { ticket, result: copy.result(), buffer, more });
        }
        !copies.is_empty()
    }

    /// # Safety
    ///
    /// Whatever `request` points at must stay valid until the kernel has taken it, and for a receive or a read
    /// until it has ended.
    unsafe fn push(&mut self, request: &squeue::Entry) -> bool {
        // SAFETY: the caller's promise, handed on.
        unsafe { self.ring.submission().push(request).is_ok() }
    }
}

impl Drop for Queue {
    /// Ends all requests while the memory they point at still exists, and lets go of the sockets.
    fn drop(&mut self) {
        let at_most = Timespec::from(Duration::from_millis(CANCEL_MS_MAX));
        let submitter = self.ring.submitter();
        // Both can only fail when there is nothing left to cancel or to take out.
        let _ = submitter.register_sync_cancel(Some(at_most), CancelBuilder::any());
        let _ = submitter.unregister_files();
    }
}

impl Ticket {
    fn encode(self) -> u64 {
        let kind = match self.kind {
            Kind::Receive => 1,
            Kind::Send => 2,
            Kind::Cancel => 3,
            Kind::Wake => 4,
        };
        (kind << 56) | (u64::from(self.generation) << 32) | u64::from(self.place.0)
    }

    fn decode(user_data: u64) -> Option<Ticket> {
        let kind = match user_data >> 56 {
            1 => Kind::Receive,
            2 => Kind::Send,
            3 => Kind::Cancel,
            4 => Kind::Wake,
            _ => return None,
        };
        Some(Ticket { kind, generation: (user_data >> 32) as u16, place: Slot(user_data as u32) })
    }
}

/// Whether an enter merely ended early: its time was over, a signal came, completions must be taken first, or
/// memory is short for a moment.
fn is_passing(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_survives_its_way_through_the_kernel() {
        for kind in [Kind::Receive, Kind::Send, Kind::Cancel, Kind::Wake] {
            let ticket = Ticket { kind, generation: 0xbeef, place: Slot(0xdead_beef) };
            assert_eq!(Ticket::decode(ticket.encode()), Some(ticket));
        }
        assert_eq!(Ticket::decode(0), None);
    }
}
