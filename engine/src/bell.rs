//! The bell at the other side's door: an eventfd, rung only when that side sleeps.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Wakes whoever waits for its descriptor to become readable.
#[derive(Debug)]
pub(crate) struct Bell(File);

impl Bell {
    /// One whose reading waits: io_uring wants it so.
    pub(crate) fn blocking() -> io::Result<Bell> {
        Bell::with(EfdFlags::EFD_CLOEXEC)
    }

    /// One whose reading never waits.
    pub(crate) fn polled() -> io::Result<Bell> {
        Bell::with(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
    }

    /// The same bell for the other side.
    pub(crate) fn try_clone(&self) -> io::Result<Bell> {
        Ok(Bell(self.0.try_clone()?))
    }

    /// Rings. It cannot fail: only a count of 2^64 - 2 unheard rings would be in the way.
    pub(crate) fn ring(&self) {
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Forgets earlier rings.
    pub(crate) fn clear(&self) {
        let _ = (&self.0).read(&mut [0; 8]);
    }

    fn with(flags: EfdFlags) -> io::Result<Bell> {
        Ok(Bell(File::from(OwnedFd::from(EventFd::from_flags(flags)?))))
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Bell> for OwnedFd {
    fn from(bell: Bell) -> OwnedFd {
        bell.0.into()
    }
}
