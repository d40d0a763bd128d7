//! What the media path is started with.

use core::time::Duration;
use std::net::IpAddr;

use link::WorkerId;

use crate::stream_table::{PORT_REST_MS, TableSettings};

/// Workers at most: ids have 16 bits, machines fewer cores.
const WORKERS_MAX: usize = 1_024;

/// Receive buffers of a ring at most: the kernel's limit.
const PACKET_BUFFERS_MAX: u16 = 1 << 15;

/// Files that the rest of the process has open: SIP sockets, connections, logs, records.
const OTHER_FILES: usize = 128;

/// A ring or an epoll, and four eventfds.
const OTHER_FILES_PER_WORKER: usize = 6;

/// Fewer streams than those of one call make no sense.
const STREAMS_MIN: usize = 2;

/// Which back end to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackEndChoice {
    /// io_uring where it is permitted and new enough (Linux 6.1), else the other; the reason can be asked for.
    #[default]
    Auto,
    /// io_uring or an error.
    IoUring,
    /// epoll with `recvmmsg` and `sendmmsg`.
    Mmsg,
}

/// Settings of all workers together, unless said otherwise.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// Local media addresses; [`link::AddressId`] is the index.
    pub addresses: Vec<IpAddr>,
    /// First RTP port.
    pub port_start: u16,
    /// Last port, included.
    pub port_end: u16,
    /// How many workers; `None`: as many as cores, less one, at least one.
    pub workers: Option<usize>,
    /// Which back end.
    pub back_end: BackEndChoice,
    /// Streams per worker.
    pub streams_max: usize,
    /// Bound sockets that each worker keeps ready per address.
    pub stock_per_address: usize,
    /// Packets of its own (prompts) that one worker may have on their way.
    pub packets_max: usize,
    /// How long a port rests after its stream.
    pub port_rest: Duration,
    /// Kernel's receive buffer of each socket. The kernel doubles it and charges some 800 bytes for a small packet,
    /// so 64 KiB hold about three seconds of one stream: what comes later than that is worth nothing.
    pub receive_buffer_bytes: usize,
    /// Whether the socket of a stream that has found its peer is connected to it: cheaper per packet, at the price of a
    /// second descriptor on which strangers are heard. Where descriptors are short, streams do without.
    pub connect: bool,
    /// Receive buffers of each ring; a power of two.
    pub packet_buffers: u16,
    /// Commands that may wait for a worker.
    pub command_queue: usize,
    /// Reports of a worker that may wait for the control plane.
    pub report_queue: usize,
}

impl Default for MediaSettings {
    fn default() -> MediaSettings {
        MediaSettings {
            addresses: vec![IpAddr::from([127, 0, 0, 1])],
            port_start: 16_384,
            port_end: 32_768,
            workers: None,
            back_end: BackEndChoice::Auto,
            streams_max: 8_192,
            stock_per_address: 32,
            packets_max: 1_024,
            port_rest: Duration::from_millis(PORT_REST_MS),
            receive_buffer_bytes: 65_536,
            connect: true,
            packet_buffers: 4_096,
            command_queue: 4_096,
            report_queue: 4_096,
        }
    }
}

/// What one worker may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Streams.
    pub(crate) streams_max: usize,
    /// How many of them may be connected to their peers, which takes a second descriptor.
    pub(crate) connected_max: usize,
}

/// What is wrong with the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Nothing to bind to.
    #[error("no media address")]
    NoAddress,
    /// Not one pair of an even and an odd port.
    #[error("RTP ports {0} to {1} hold no even port with its odd neighbour for each worker")]
    Ports(u16, u16),
    /// Zero workers, or absurdly many.
    #[error("{0} workers: at least 1, at most 1,024")]
    Workers(usize),
    /// The limit of open files leaves no room for streams.
    #[error(
        "{0} open files are too few for {1} workers with their stock of ports; raise the limit by {2} at least"
    )]
    OpenFiles(usize, usize, usize),
    /// Not what the kernel takes.
    #[error("{0} packet buffers: a power of two, at least 64, at most 32,768")]
    PacketBuffers(u16),
}

impl MediaSettings {
    /// Proves what the rest relies on.
    pub(crate) fn check(&self, workers: usize) -> Result<(), SettingsError> {
        if self.addresses.is_empty() {
            return Err(SettingsError::NoAddress);
        }
        if workers == 0 || workers > WORKERS_MAX {
            return Err(SettingsError::Workers(workers));
        }
        let first = usize::from(self.port_start).next_multiple_of(2);
        let pairs = (usize::from(self.port_end) + 1).saturating_sub(first) / 2;
        if self.port_start == 0 || pairs < workers {
            return Err(SettingsError::Ports(self.port_start, self.port_end));
        }
        let buffers = self.packet_buffers;
        if !buffers.is_power_of_two() || !(64..=PACKET_BUFFERS_MAX).contains(&buffers) {
            return Err(SettingsError::PacketBuffers(buffers));
        }
        Ok(())
    }

    /// What one of `workers` may have when the process may have `open_files`. All workers' sockets together must be
    /// below the limit; a socket for RTCP is not counted, and refused alone where it is one too many. Besides, a ring
    /// registers a file for each slot of its table, two per stream and per port in stock, and the kernel holds the
    /// number of those of one ring to the same limit. What streams leave over is for connecting them.
    pub(crate) fn limits(&self, open_files: usize, workers: usize) -> Result<Limits, SettingsError> {
        let stock = self.stock_per_address * self.addresses.len();
        let fixed = OTHER_FILES + workers * (OTHER_FILES_PER_WORKER + stock);
        let by_files = open_files.saturating_sub(fixed) / workers;
        let by_slots = (open_files / 2).saturating_sub(stock);
        let streams_max = self.streams_max.min(by_files).min(by_slots);
        if streams_max < STREAMS_MIN {
            let needed = (fixed + workers * STREAMS_MIN).max(2 * (stock + STREAMS_MIN));
            return Err(SettingsError::OpenFiles(open_files, workers, needed));
        }
        let connected_max = if self.connect { streams_max.min(by_files - streams_max) } else { 0 };
        Ok(Limits { streams_max, connected_max })
    }

    /// The table of one of `workers`.
    pub(crate) fn table(&self, worker: u16, workers: u16, limits: Limits) -> TableSettings {
        TableSettings {
            worker: WorkerId(worker),
            workers,
            addresses: self.addresses.clone(),
            port_start: self.port_start,
            port_end: self.port_end,
            stock_per_address: self.stock_per_address,
            streams_max: limits.streams_max,
            packets_max: self.packets_max,
            port_rest: self.port_rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(MediaSettings::default().check(1), Ok(()));
    }

    #[test]
    fn the_limit_of_open_files_bounds_the_streams_and_too_low_a_limit_is_told_with_what_is_lacking() {
        let settings = MediaSettings::default();
        let limits = |files, workers| {
            let limits = settings.limits(files, workers)?;
            Ok((limits.streams_max, limits.connected_max))
        };
        assert_eq!(limits(1 << 20, 4), Ok((8_192, 8_192)));
        assert_eq!(limits(20_000, 1), Ok((8_192, 8_192)));
        assert_eq!(limits(12_000, 1), Ok((5_968, 5_866)));
        assert_eq!(limits(20_000, 4), Ok((4_930, 0)));
        assert_eq!(limits(1_024, 1), Ok((480, 378)));
        assert_eq!(limits(167, 1), Err(SettingsError::OpenFiles(167, 1, 168)));
        assert_eq!(limits(168, 1), Ok((2, 0)));
        let never = MediaSettings { connect: false, ..settings.clone() };
        assert_eq!(never.limits(20_000, 1).map(|limits| limits.connected_max), Ok(0));
    }

    #[test]
    fn each_senseless_setting_is_named() {
        let with = |change: fn(&mut MediaSettings)| {
            let mut settings = MediaSettings::default();
            change(&mut settings);
            settings.check(2)
        };
        assert_eq!(with(|it| it.addresses.clear()), Err(SettingsError::NoAddress));
        assert_eq!(with(|it| it.port_end = 16_386), Err(SettingsError::Ports(16_384, 16_386)));
        assert_eq!(with(|it| it.port_end = 16_387), Ok(()));
        assert_eq!(with(|it| it.port_end = 0), Err(SettingsError::Ports(16_384, 0)));
        assert_eq!(with(|it| it.packet_buffers = 1_000), Err(SettingsError::PacketBuffers(1_000)));
        assert_eq!(MediaSettings::default().check(0), Err(SettingsError::Workers(0)));
    }
}
