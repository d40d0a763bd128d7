//! Names by which the two planes speak of the same thing.

/// A media worker: its index among the workers of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u16);

/// One direction pair of audio of one leg. The control plane names it and never uses a name twice: the upper
/// 16 bits are the shard that made it, the lower 48 a serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// The `serial`th stream of `shard`; only the lower 48 bits of `serial` count.
    pub const fn new(shard: u16, serial: u64) -> StreamId {
        StreamId(((shard as u64) << 48) | (serial & 0xffff_ffff_ffff))
    }

    /// The shard whose control thread owns the stream.
    pub const fn shard(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// The whole name as a number, for tables and logs.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A bound socket that a worker has in stock. Named by the worker and never used twice; the upper 16 bits are the
/// worker, so that a port that has travelled with its stream can be given back where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u64);

impl PortId {
    /// The `serial`th port of `worker`; only the lower 48 bits of `serial` count.
    pub const fn new(worker: WorkerId, serial: u64) -> PortId {
        PortId(((worker.0 as u64) << 48) | (serial & 0xffff_ffff_ffff))
    }

    /// The worker whose range the port number comes from, and to which it is returned.
    pub const fn worker(self) -> WorkerId {
        WorkerId((self.0 >> 48) as u16)
    }
}

/// A local media address: its index in the list that the workers were started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressId(pub u16);

/// One playing of a prompt on a stream, named by the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaybackId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_keeps_shard_and_serial_apart() {
        let id = StreamId::new(7, u64::MAX);
        assert_eq!(id.shard(), 7);
        assert_eq!(StreamId::new(0, 42).as_u64(), 42);
    }

    #[test]
    fn a_port_knows_the_worker_it_belongs_to() {
        assert_eq!(PortId::new(WorkerId(3), u64::MAX).worker(), WorkerId(3));
        assert_eq!(PortId::new(WorkerId(0), 42), PortId(42));
    }
}
