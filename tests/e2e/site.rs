//! Where one test takes place: loopback addresses and a directory of its own, so that tests run side by side.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

static SITES: AtomicU8 = AtomicU8::new(1);

/// One test's place. Its directory is removed when the test passed, and kept and named when it failed.
pub struct Site {
    directory: PathBuf,
    net: Net,
    has_switch: bool,
}

/// The addresses of a site.
enum Net {
    /// Each party has an address of its own: 127.A.B.x.
    V4 { a: u8, b: u8 },
    /// There is one loopback address: parties differ by their ports, 200 of which begin here.
    V6 { base: u16 },
}

impl Site {
    /// A new place for the test `name`.
    pub fn new(name: &str) -> Site {
        // 127.32–223.x: apart from the addresses that people type, and different for every process and test.
        let a = 32 + (std::process::id() % 192) as u8;
        Site::at(name, Net::V4 { a, b: SITES.fetch_add(1, Ordering::Relaxed) })
    }

    /// A new place on the IPv6 loopback address. One test at a time can have it.
    pub fn ipv6(name: &str) -> Site {
        // Below the ports that the kernel gives to those who ask for any.
        let base = 30_000 + (std::process::id() % 13) as u16 * 200;
        Site::at(name, Net::V6 { base })
    }

    /// A place where SIPp calls SIPp.
    pub fn without_switch(name: &str) -> Site {
        let mut site = Site::new(name);
        site.has_switch = false;
        site
    }

    fn at(name: &str, net: Net) -> Site {
        let directory = std::env::temp_dir().join(format!("crosspoint-e2e-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for the test");
        Site { directory, net, has_switch: true }
    }

    /// The test's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the switch listens.
    pub fn switch(&self) -> SocketAddr {
        self.party(1, 5_060, 0)
    }

    /// Whom a caller calls.
    pub fn called(&self) -> SocketAddr {
        if self.has_switch { self.switch() } else { self.callee() }
    }

    /// Where SIPp calls from.
    pub fn caller(&self) -> SocketAddr {
        self.party(2, 5_061, 1)
    }

    /// Where SIPp is called.
    pub fn callee(&self) -> SocketAddr {
        self.party(3, 5_090, 2)
    }

    /// A second called side, for failover and forks.
    pub fn other_callee(&self) -> SocketAddr {
        self.party(4, 5_091, 3)
    }

    /// The first RTP port of the callers; each call takes the next even one.
    pub fn caller_audio(&self) -> SocketAddr {
        self.party(2, 10_000, 10)
    }

    /// The first RTP port of the callees.
    pub fn callee_audio(&self) -> SocketAddr {
        self.party(3, 10_000, 50)
    }

    /// The first and the last RTP port of the switch.
    pub fn rtp_ports(&self) -> (u16, u16) {
        (self.party(1, 20_000, 90).port(), self.party(1, 20_998, 198).port())
    }

    fn party(&self, host: u8, port: u16, offset: u16) -> SocketAddr {
        match self.net {
            Net::V4 { a, b } => SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, a, b, host)), port),
            Net::V6 { base } => SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), base + offset),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what the test left: {}", self.directory.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}
