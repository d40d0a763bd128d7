//! Phones: one socket per stream, each sending 50 packets per second at its own phase.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

/// One frame of 20 ms.
const FRAME_NS: u64 = 20_000_000;

/// RTP header and 160 bytes of G.711.
const PACKET_BYTES: usize = 172;

/// Where the sending time and the sender's number lie.
const STAMP_AT: usize = 12;
const SENDER_AT: usize = 20;

/// How long packets may still arrive after the last was sent.
const LATE: Duration = Duration::from_millis(300);

/// Gaps shorter than this are spent looking for arrivals; longer ones asleep, for a sleep may end this much late.
const NAP_NS_MIN: u64 = 150_000;

/// All phones of a measurement. They run on the thread that calls [`talk`](Phones::talk).
pub struct Phones {
    sockets: Vec<UdpSocket>,
    addresses: Vec<SocketAddr>,
    sequence: Vec<u16>,
}

/// What arrived.
pub struct Heard {
    /// Packets sent.
    pub sent: u64,
    /// Packets that arrived at the right phone.
    pub received: u64,
    /// From send to arrival.
    pub delay_ns: Histogram<u64>,
}

impl Phones {
    /// Opens `count` of them.
    pub fn new(count: usize) -> Result<Phones> {
        let mut sockets = Vec::with_capacity(count);
        for _ in 0..count {
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 99, 2), 0)).context("a phone's port")?;
            socket.set_nonblocking(true)?;
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
            sockets.push(socket);
        }
        let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<Result<_, _>>()?;
        Ok(Phones { sockets, addresses, sequence: vec![0; count] })
    }

    /// Where each phone hears.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Connects each phone to its port of the relay.
    pub fn call(&self, ports: &[SocketAddr]) {
        for (socket, port) in self.sockets.iter().zip(ports) {
            socket.connect(port).expect("loopback can be reached");
        }
    }

    /// Lets all talk and listen for `time`, on the first core.
    pub fn talk(&mut self, time: Duration) -> Result<Heard> {
        std::thread::scope(|scope| {
            let talk = || {
                if let Some(core) = core_affinity::get_core_ids().unwrap_or_default().first() {
                    core_affinity::set_for_current(*core);
                }
                self.run(time)
            };
            scope.spawn(talk).join().expect("phones do not panic")
        })
    }

    fn run(&mut self, time: Duration) -> Result<Heard> {
        let count = self.sockets.len();
        let mut heard =
            Heard { sent: 0, received: 0, delay_ns: Histogram::new_with_bounds(1, 10_000_000_000, 3)? };
        let spacing_ns = FRAME_NS / count as u64;
        let start = now_ns();
        let packets = time.as_nanos() as u64 / FRAME_NS * count as u64;
        for number in 0..packets {
            let phone = (number % count as u64) as usize;
            let due = start + number / count as u64 * FRAME_NS + phone as u64 * spacing_ns;
            // What this phone was sent has had a frame's time to arrive.
            self.listen(phone, &mut heard)?;
            let mut now = now_ns();
            while now < due {
                if due - now > NAP_NS_MIN {
                    std::thread::sleep(Duration::from_nanos(due - now - NAP_NS_MIN / 2));
                }
                now = now_ns();
            }
            self.send(phone, now);
            heard.sent += 1;
        }
        std::thread::sleep(LATE);
        for phone in 0..count {
            self.listen(phone, &mut heard)?;
        }
        Ok(heard)
    }

    fn send(&mut self, phone: usize, now: u64) {
        let sequence = self.sequence[phone];
        self.sequence[phone] = sequence.wrapping_add(1);
        let mut packet = [0x55; PACKET_BYTES];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(sequence).wrapping_mul(160)).to_be_bytes());
        packet[8..12].copy_from_slice(&(phone as u32 + 1).to_be_bytes());
        packet[STAMP_AT..][..8].copy_from_slice(&now.to_be_bytes());
        packet[SENDER_AT..][..8].copy_from_slice(&(phone as u64).to_be_bytes());
        // A relay that cannot take it loses it, which is counted at the other end.
        let _ = self.sockets[phone].send(&packet);
    }

    fn listen(&mut self, phone: usize, heard: &mut Heard) -> Result<()> {
        let mut packet = [0; 2_048];
        let mut control = cmsg_space!(TimeSpec);
        let socket = self.sockets[phone].as_raw_fd();
        loop {
            let mut parts = [IoSliceMut::new(&mut packet)];
            let message = match recvmsg::<()>(socket, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)
            {
                Err(Errno::EAGAIN) => return Ok(()),
                // A relay that is not there yet, or has gone.
                Err(Errno::ECONNREFUSED) => continue,
                message => message?,
            };
            let arrived = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(at) => {
                    Some(at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64)
                }
                _ => None,
            });
            let len = message.bytes;
            let field = |at: usize| u64::from_be_bytes(packet[at..at + 8].try_into().expect("eight bytes"));
            if len != PACKET_BYTES || field(SENDER_AT) != (phone ^ 1) as u64 {
                continue;
            }
            heard.received += 1;
            let delay = arrived.context("the kernel stamps no packets")?.saturating_sub(field(STAMP_AT));
            heard.delay_ns.saturating_record(delay.max(1));
        }
    }
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64)
}
