//! Where a socket is kept: the name that the stream table and the back ends share.

/// A place for one socket of a worker. The stream table assigns it; a back end keeps the socket there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl Slot {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
