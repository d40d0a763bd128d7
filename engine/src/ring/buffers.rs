//! The memory that packets lie in: a ring of buffers provided to the kernel, and spares for packets of our own.
//!
//! ```text
//!   provided ──completion──▶ Buffer ──give_back──▶ provided        each id is in one place only
//!   spare    ──take_spare──▶ Buffer ──give_back──▶ spare
//! ```
//!
//! A [`Buffer`] is the right to touch one piece of this memory. It cannot be copied: whoever holds it is alone with
//! the bytes, until the kernel or the spares have it back.
//!
//! One buffer holds, one after the other, what a multishot `recvmsg` writes: a header of 16 bytes, the source
//! address ([`NAME_BYTES`]), the packet. The address field is later reused for the destination.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::net::SocketAddr;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use crate::address::{NAME_BYTES, read_name, write_name};
use crate::mover::{Heard, PACKET_BYTES_MAX};

/// Bytes from one buffer to the next: an odd number of cache lines, so that the first lines of the buffers, the
/// only ones that audio touches, spread over all sets of the caches.
const STRIDE: usize = 33 * 64;

/// `sizeof(struct io_uring_recvmsg_out)`: lengths of name, control data and payload, and flags.
const HEADER_BYTES: usize = 16;

/// Where the packet begins.
const PACKET_AT: usize = HEADER_BYTES + NAME_BYTES;

const _: () = assert!(STRIDE - PACKET_AT == PACKET_BYTES_MAX && (STRIDE / 64) % 2 == 1);

/// `mmap`ed by the kernel's rules: the ring of entries begins on a page.
const PAGE_BYTES: usize = 4_096;

/// The right to one buffer.
#[derive(Debug)]
pub(super) struct Buffer {
    id: u16,
}

/// All buffers of a worker.
pub(super) struct Buffers {
    entries: Pages,
    packets: Pages,
    /// How many are provided to the kernel: a power of two; ids from here on are spares.
    provided: u16,
    tail: u16,
    spares: Vec<u16>,
}

impl Buffers {
    /// Allocates `provided` (a power of two, at most 32,768) and `spares` buffers, and fills the ring of entries.
    pub(super) fn new(provided: u16, spares: u16) -> Buffers {
        assert!(provided.is_power_of_two() && provided <= 1 << 15, "the kernel's rule for provided buffers");
        let all = usize::from(provided) + usize::from(spares);
        assert!(all <= usize::from(u16::MAX), "ids have 16 bits");
        let mut buffers = Buffers {
            entries: Pages::new(usize::from(provided) * size_of::<BufRingEntry>()),
            packets: Pages::new(all * STRIDE),
            provided,
            tail: 0,
            spares: (provided..provided + spares).collect(),
        };
        for id in 0..provided {
            buffers.provide(id);
        }
        buffers.publish();
        buffers
    }

    /// Registers the ring of entries as group `group`.
    pub(super) fn register(&self, submitter: &Submitter<'_>, group: u16) -> std::io::Result<()> {
        let at = self.entries.at.as_ptr() as u64;
        // SAFETY: the pages hold `provided` entries, and `Queue`, which owns both, drops its ring before them.
        unsafe { submitter.register_buf_ring_with_flags(at, self.provided, group, 0) }
    }

    /// The right to a buffer that the kernel has just filled.
    ///
    /// # Safety
    ///
    /// `id` must come from a completion that is looked at for the first time.
    pub(super) unsafe fn claim(&self, id: u16) -> Buffer {
        assert!(id < self.provided, "the kernel named a buffer that it was never given");
        Buffer { id }
    }

    /// A buffer for a packet of our own; `None` when all are on their way.
    pub(super) fn take_spare(&mut self, packet: &[u8]) -> Option<Buffer> {
        let buffer = Buffer { id: self.spares.pop()? };
        self.bytes(&buffer)[PACKET_AT..][..packet.len()].copy_from_slice(packet);
        Some(buffer)
    }

    /// Takes a buffer back. The kernel sees it after the next [`publish`](Buffers::publish).
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        if buffer.id < self.provided { self.provide(buffer.id) } else { self.spares.push(buffer.id) }
    }

    /// Shows the kernel all buffers that were given back.
    pub(super) fn publish(&mut self) {
        let entries = self.entries.at.as_ptr().cast::<BufRingEntry>();
        // SAFETY: the first entry exists, and `entries` is page-aligned; its tail field is ours to write atomically.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(entries).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// What a multishot `recvmsg` wrote into the buffer, its length, and its source if that is usable; `written` is
    /// the completion's result.
    pub(super) fn datagram(
        &mut self,
        buffer: &Buffer,
        written: usize,
    ) -> (Option<SocketAddr>, Heard<'_>, usize) {
        let bytes = self.bytes(buffer);
        let field = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (name_len, flags) = (field(0) as usize, field(12));
        let from = read_name(&bytes[HEADER_BYTES..][..name_len.min(NAME_BYTES)]);
        if flags & libc::MSG_TRUNC as u32 != 0 {
            return (from, Heard::Truncated, 0);
        }
        let packet = bytes.get_mut(PACKET_AT..written).unwrap_or_default();
        let len = packet.len();
        (from, Heard::Packet(packet), len)
    }

    /// Where the packet begins.
    pub(super) fn packet(&mut self, buffer: &Buffer) -> *const u8 {
        self.bytes(buffer)[PACKET_AT..].as_ptr()
    }

    /// Writes a destination in front of the packet. The result is where, and its length.
    pub(super) fn address_to(&mut self, buffer: &Buffer, to: SocketAddr) -> (*const u8, u32) {
        let (_, behind) = self.bytes(buffer).split_at_mut(HEADER_BYTES);
        let name = behind.first_chunk_mut().expect("the name's field has its length");
        let name_len = write_name(name, to);
        (name.as_ptr(), name_len)
    }

    fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        let at = usize::from(buffer.id) * STRIDE;
        // SAFETY: every id lies within the allocation; holding its only `Buffer` means that the kernel does not
        // write there, and borrowing all of `self` that nobody else here looks at it.
        unsafe { std::slice::from_raw_parts_mut(self.packets.at.as_ptr().add(at), STRIDE) }
    }

    fn provide(&mut self, id: u16) {
        let place = usize::from(self.tail & (self.provided - 1));
        let address = self.packets.at.as_ptr() as u64 + u64::from(id) * STRIDE as u64;
        // SAFETY: `place` is below `provided`. The kernel does not read an entry at or past the published tail, and
        // there are never more ids than entries, so that this one was consumed.
        let entry = unsafe { &mut *self.entries.at.as_ptr().cast::<BufRingEntry>().add(place) };
        entry.set_addr(address);
        entry.set_len(STRIDE as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }
}

/// Zeroed, page-aligned memory that does not move, every page of it present.
pub(super) struct Pages {
    /// Its first byte.
    pub(super) at: NonNull<u8>,
    layout: Layout,
}

impl Pages {
    /// At least `bytes` of it.
    pub(super) fn new(bytes: usize) -> Pages {
        let layout = Layout::from_size_align(bytes.next_multiple_of(PAGE_BYTES), PAGE_BYTES)
            .expect("sizes here are bounded far below the address space");
        // SAFETY: the layout is not empty: no caller asks for 0 bytes, and sizes are rounded up.
        let at = NonNull::new(unsafe { alloc_zeroed(layout) });
        let pages = Pages { at: at.unwrap_or_else(|| handle_alloc_error(layout)), layout };
        for page in (0..layout.size()).step_by(PAGE_BYTES) {
            // SAFETY: within the allocation, which nobody else knows yet. Writing makes the page present, so that
            // no packet ever waits for one.
            unsafe { pages.at.as_ptr().add(page).write_volatile(0) };
        }
        pages
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout. `Queue` ends all requests before it drops its memory.
        unsafe { dealloc(self.at.as_ptr(), self.layout) }
    }
}
