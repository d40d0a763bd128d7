//! What a stream table is made with.

use core::time::Duration;
use std::net::IpAddr;

use link::WorkerId;

/// Rest of a port after its stream has ended. Long enough that what was on its way has come and the peer has learned
/// of the end; what still comes after that fails the source check of the next call.
pub const PORT_REST_MS: u64 = 3_000;

/// Everything that a table must know before its first packet.
#[derive(Clone, Debug)]
pub struct TableSettings {
    /// The worker, numbered from 0 below `workers`; decides which part of the port range is its own.
    pub worker: WorkerId,
    /// How many workers share the range.
    pub workers: u16,
    /// Local media addresses, in the order of [`link::AddressId`].
    pub addresses: Vec<IpAddr>,
    /// First port of the range.
    pub port_start: u16,
    /// Last port of the range, included. An RTP port is even and has its odd neighbour inside the range.
    pub port_end: u16,
    /// Bound sockets kept ready per address.
    pub stock_per_address: usize,
    /// Streams this worker may have.
    pub streams_max: usize,
    /// Packets of the table's own making that may be on their way at once.
    pub packets_max: usize,
    /// How long an ended port is left alone.
    pub port_rest: Duration,
}

impl Default for TableSettings {
    fn default() -> TableSettings {
        TableSettings {
            worker: WorkerId(0),
            workers: 1,
            addresses: vec![IpAddr::from([127, 0, 0, 1])],
            port_start: 16_384,
            port_end: 32_768,
            stock_per_address: 32,
            streams_max: 8_192,
            packets_max: 1_024,
            port_rest: Duration::from_millis(PORT_REST_MS),
        }
    }
}
