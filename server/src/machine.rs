//! What must be known of the machine: its name, its addresses, how many descriptors it lets us have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::ifaddrs::getifaddrs;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::SockaddrStorage;

/// An address of the documentation range (RFC 5737); asking for the route to it sends nothing.
const ELSEWHERE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The same of RFC 3849.
const ELSEWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// What settings may ask about the machine; tests have their own.
pub trait Machine {
    /// Whether sockets can be bound to the address.
    fn has_address(&self, address: IpAddr) -> bool;
    /// The address packets leave from when nothing else is said.
    fn default_address(&self, v6: bool) -> IpAddr;
    /// The machine's name.
    fn hostname(&self) -> String;
    /// The length of the network prefix on the interface of an address, in bits.
    fn prefix_bits(&self, address: IpAddr) -> Option<u8>;
}

/// The machine we run on.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn has_address(&self, address: IpAddr) -> bool {
        UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
    }

    fn default_address(&self, v6: bool) -> IpAddr {
        let (any, elsewhere, loopback): (IpAddr, IpAddr, IpAddr) = if v6 {
            (Ipv6Addr::UNSPECIFIED.into(), ELSEWHERE_V6.into(), Ipv6Addr::LOCALHOST.into())
        } else {
            (Ipv4Addr::UNSPECIFIED.into(), ELSEWHERE_V4.into(), Ipv4Addr::LOCALHOST.into())
        };
        let routed = || {
            let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
            socket.connect(SocketAddr::new(elsewhere, 9)).ok()?;
            Some(socket.local_addr().ok()?.ip())
        };
        routed().or_else(|| interface_addresses().find(|ip| ip.is_ipv6() == v6)).unwrap_or(loopback)
    }

    fn hostname(&self) -> String {
        nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
            .unwrap_or_else(|| "localhost".to_owned())
    }

    fn prefix_bits(&self, address: IpAddr) -> Option<u8> {
        let interface = getifaddrs().ok()?.find(|i| i.address.and_then(ip_of) == Some(address))?;
        Some(match ip_of(interface.netmask?)? {
            IpAddr::V4(mask) => mask.to_bits().count_ones() as u8,
            IpAddr::V6(mask) => mask.to_bits().count_ones() as u8,
        })
    }
}

/// Addresses of the interfaces that a peer could reach, in the kernel's order.
fn interface_addresses() -> impl Iterator<Item = IpAddr> {
    let all = getifaddrs().ok().into_iter().flatten().filter_map(|interface| interface.address);
    all.filter_map(ip_of).filter(|ip| match ip {
        IpAddr::V4(v4) => !v4.is_loopback(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    })
}

fn ip_of(address: SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// How many file descriptors this process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit that holds now.
    pub allowed: u64,
    /// What the configuration would need.
    pub wanted: u64,
}

impl Descriptors {
    /// By how much the limit falls short; 0 when it suffices.
    pub fn missing(self) -> u64 {
        self.wanted.saturating_sub(self.allowed)
    }
}

/// Raises the limit of open files to its hard limit, and that, where we may, to what is wanted.
pub fn raise_descriptors(wanted: u64) -> Descriptors {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Descriptors { allowed: 1_024, wanted };
    };
    if soft < wanted && hard < wanted {
        // Only root may raise the hard limit; a refusal leaves what was.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted);
    }
    if soft < hard {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard.max(soft));
    }
    let allowed = getrlimit(Resource::RLIMIT_NOFILE).map_or(soft, |(soft, _)| soft);
    Descriptors { allowed, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_here_and_documentation_addresses_are_not() {
        assert!(ThisMachine.has_address(Ipv4Addr::LOCALHOST.into()));
        assert!(!ThisMachine.has_address(ELSEWHERE_V4.into()));
        assert!(ThisMachine.has_address(ThisMachine.default_address(false)));
        assert!(!ThisMachine.hostname().is_empty());
        assert_eq!(ThisMachine.prefix_bits(Ipv4Addr::LOCALHOST.into()), Some(8));
    }

    #[test]
    fn the_limit_of_descriptors_is_raised_or_what_is_missing_is_said() {
        let descriptors = raise_descriptors(256);
        assert_eq!(descriptors.missing(), 256u64.saturating_sub(descriptors.allowed));
        assert_eq!(Descriptors { allowed: 1_000, wanted: 4_000 }.missing(), 3_000);
    }
}
