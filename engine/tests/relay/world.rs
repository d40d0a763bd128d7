//! Workers with real sockets, and phones that talk through them.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use engine::{BackEnd, BackEndChoice, Engine, MediaSettings};
use link::{
    Command, Direction, Learning, PayloadMap, PayloadRule, PortId, Report, RtcpPlan, StreamId, StreamMode,
    StreamPlan, StreamStatistics, Transform, WorkerId,
};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

/// Longer than anything here takes; a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Started workers, and what they have said.
pub struct World {
    pub engine: Engine,
    ports: VecDeque<Port>,
    reports: VecDeque<(WorkerId, Report)>,
    poll: Poll,
    streams: u64,
}

/// A reported port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    pub worker: WorkerId,
    pub port: PortId,
    pub local: SocketAddr,
}

/// Settings for a test that has the loopback address 127.0.`net`.1 to itself, so that tests that run at the same time
/// never take each other's ports.
pub fn settings(net: u8, choice: BackEndChoice) -> MediaSettings {
    MediaSettings {
        addresses: vec![IpAddr::V4(Ipv4Addr::new(127, 0, net, 1))],
        port_start: 20_000,
        port_end: 20_999,
        workers: Some(1),
        back_end: choice,
        streams_max: 64,
        stock_per_address: 8,
        packet_buffers: 256,
        ..MediaSettings::default()
    }
}

/// Runs a test on io_uring, where that is permitted, and on the second back end; `net` differs between the two.
pub fn on_both(net: u8, test: impl Fn(MediaSettings)) {
    if io_uring_is_permitted() {
        test(settings(net, BackEndChoice::IoUring));
    }
    test(settings(net, BackEndChoice::Mmsg));
}

/// Asks the kernel itself, with what the engine needs: the flags of Linux 6.1. On a thread of its own, because the end
/// of a ring interrupts system calls of the thread that made it.
pub fn io_uring_is_permitted() -> bool {
    let ask = || <io_uring::IoUring>::builder().setup_single_issuer().setup_defer_taskrun().build(8).is_ok();
    std::thread::spawn(ask).join().expect("asking does not panic")
}

impl World {
    pub fn start(settings: &MediaSettings) -> World {
        let engine = engine::start(settings, 42).expect("workers start");
        let poll = Poll::new().expect("epoll");
        for (number, link) in engine.links.iter().enumerate() {
            let fd = std::os::fd::AsFd::as_fd(&link.report_fd()).as_raw_fd();
            let registry = poll.registry();
            registry.register(&mut SourceFd(&fd), Token(number), Interest::READABLE).expect("an eventfd");
        }
        World { engine, ports: VecDeque::new(), reports: VecDeque::new(), poll, streams: 0 }
    }

    pub fn back_end(&self) -> BackEnd {
        self.engine.back_end()
    }

    /// A bound port of a worker.
    pub fn port(&mut self, worker: WorkerId) -> Port {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.ports.iter().position(|port| port.worker == worker) {
                return self.ports.remove(at).expect("it was found there");
            }
            assert!(Instant::now() < end, "no port became ready");
            self.listen(end);
        }
    }

    /// Waits for a report; others stay for later.
    pub fn wait(&mut self, mut wanted: impl FnMut(&Report) -> bool) -> (WorkerId, Report) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.reports.iter().position(|(_, report)| wanted(report)) {
                return self.reports.remove(at).expect("it was found there");
            }
            assert!(Instant::now() < end, "the report never came; these did: {:?}", self.reports);
            self.listen(end);
        }
    }

    /// Reports that nobody has waited for.
    pub fn reports(&mut self) -> impl Iterator<Item = &Report> {
        self.fetch();
        self.reports.iter().map(|(_, report)| report)
    }

    pub fn send(&mut self, worker: WorkerId, command: Command) {
        self.engine.links[usize::from(worker.0)].send(command).expect("the queue has room");
    }

    /// A stream's name that no other has.
    pub fn name(&mut self) -> StreamId {
        self.streams += 1;
        StreamId::new(0, self.streams)
    }

    /// Joins two phones by two streams of one worker.
    pub fn join(&mut self, worker: WorkerId, phones: [SocketAddr; 2], mode: StreamMode) -> [Leg; 2] {
        let [left_port, right_port] = [self.port(worker), self.port(worker)];
        let [left, right] = [self.name(), self.name()];
        let left_plan = plan(phones[0], right, mode);
        let right_plan = plan(phones[1], left, mode);
        self.send(worker, Command::Open { stream: left, port: left_port.port, plan: left_plan });
        self.send(worker, Command::Open { stream: right, port: right_port.port, plan: right_plan });
        self.statistics(worker, right);
        [
            Leg { stream: left, local: left_port.local, plan: left_plan },
            Leg { stream: right, local: right_port.local, plan: right_plan },
        ]
    }

    /// Asks for a stream's figures. As commands are obeyed in order, this also waits for all that was sent before.
    pub fn statistics(&mut self, worker: WorkerId, stream: StreamId) -> StreamStatistics {
        self.send(worker, Command::Query { stream });
        let is_it =
            |report: &Report| matches!(report, Report::Statistics { stream: of, .. } if *of == stream);
        let (_, Report::Statistics { statistics, .. }) = self.wait(is_it) else {
            unreachable!("it was asked for")
        };
        statistics
    }

    /// Until something is reported, or `end`.
    fn listen(&mut self, end: Instant) {
        let asleep = self.engine.links.iter_mut().all(|link| link.prepare_sleep());
        if asleep {
            let mut events = Events::with_capacity(8);
            let timeout = end.saturating_duration_since(Instant::now());
            // A signal ends it early; the caller looks and comes back.
            let polled = self.poll.poll(&mut events, Some(timeout));
            assert!(polled.is_ok() || polled.is_err_and(|error| error.kind() == ErrorKind::Interrupted));
        }
        self.fetch();
    }

    fn fetch(&mut self) {
        for link in &mut self.engine.links {
            let worker = link.id;
            while let Some(report) = link.poll_report() {
                match report {
                    Report::PortReady { port, local, .. } => {
                        self.ports.push_back(Port { worker, port, local })
                    }
                    report => self.reports.push_back((worker, report)),
                }
            }
        }
    }
}

/// One stream of a joined pair.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    pub stream: StreamId,
    pub local: SocketAddr,
    pub plan: StreamPlan,
}

/// A plan that relays PCMU between `remote` and the stream `forward_to`.
pub fn plan(remote: SocketAddr, forward_to: StreamId, mode: StreamMode) -> StreamPlan {
    let mut payload_map = PayloadMap::EMPTY;
    payload_map.push(PayloadRule { from: 0, to: 0, transform: Transform::Keep });
    StreamPlan {
        remote: Some(remote),
        generation: 0,
        learning: Learning::Off,
        mode,
        forward_to: Some(forward_to),
        payload_map,
        play_as: None,
        direction: Direction::BOTH,
        rtcp: RtcpPlan::Off,
        silence_ms_max: 0,
    }
}

/// A socket on 127.0.`net`.2 with a time limit on receiving.
pub fn phone(net: u8) -> UdpSocket {
    let phone = UdpSocket::bind((Ipv4Addr::new(127, 0, net, 2), 0)).expect("a free port");
    phone.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    phone
}

pub fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("it is bound")
}

/// An RTP packet (RFC 3550 §5.1) of PCMU whose payload says who sent it and which it is.
pub fn rtp(ssrc: u32, number: u16) -> [u8; 172] {
    let mut packet = [ssrc as u8; 172];
    packet[..2].copy_from_slice(&[0x80, 0]);
    packet[2..4].copy_from_slice(&number.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet[12..14].copy_from_slice(&number.to_be_bytes());
    packet
}

/// Whether nothing waits at a phone now.
pub fn is_silent(phone: &UdpSocket) -> bool {
    phone.set_nonblocking(true).expect("a mode");
    let silent = phone.recv(&mut [0; 2_048]).is_err();
    phone.set_nonblocking(false).expect("a mode");
    silent
}
