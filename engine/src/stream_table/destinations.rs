//! Where packets may be sent at all, whatever SDP says: never a reflection, never to many, never to ourselves.

use std::net::{IpAddr, SocketAddr};

/// Ports below this are services (DNS, NTP …) that answer; no RTP is received there.
const PORT_MIN: u16 = 1_024;

/// The ports that media of this process may use, on its own addresses.
#[derive(Clone, Debug)]
pub(super) struct Destinations {
    addresses: Vec<IpAddr>,
    port_start: u16,
    port_end: u16,
}

impl Destinations {
    pub(super) fn new(addresses: &[IpAddr], port_start: u16, port_end: u16) -> Destinations {
        let addresses = addresses.iter().map(IpAddr::to_canonical).collect();
        // Ports are used in pairs, an even one first: what does not make a pair is not ours.
        let (port_start, port_end) =
            (port_start.saturating_add(port_start % 2), port_end.saturating_sub(1) | 1);
        Destinations { addresses, port_start, port_end }
    }

    /// The address, if packets may be sent there from `local`. An unspecified address in SDP means hold (RFC 3264
    /// §8.4), so nothing is sent there either.
    pub(super) fn admit(&self, local: SocketAddr, remote: Option<SocketAddr>) -> Option<SocketAddr> {
        remote.filter(|remote| {
            let ip = remote.ip().to_canonical();
            let is_one_host = !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast(ip);
            is_one_host
                && remote.port() >= PORT_MIN
                && remote.is_ipv4() == local.is_ipv4()
                && !self.is_own(ip, remote.port())
        })
    }

    /// Any port of the range counts, bound or not and whichever worker has it: two streams that send to one another's
    /// socket would send for ever.
    fn is_own(&self, ip: IpAddr, port: u16) -> bool {
        (self.port_start..=self.port_end).contains(&port) && self.addresses.contains(&ip)
    }
}

/// Broadcast of one's own network; that of others depends on masks that nobody here knows.
fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

/// Whether both name the same port of the same host. Flow labels and scopes of IPv6, which SDP cannot say, do not count.
pub(super) fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip() == other.ip()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(local: &str, remote: &str) -> bool {
        let own = [IpAddr::from([192, 0, 2, 1]), "2001:db8::1".parse().expect("an address")];
        let destinations = Destinations::new(&own, 16_384, 32_768);
        let address = |text: &str| text.parse().expect("a socket address");
        destinations.admit(address(local), Some(address(remote))).is_some()
    }

    #[test]
    fn nothing_is_sent_where_no_single_peer_can_be() {
        const LOCAL: &str = "192.0.2.1:16384";
        for remote in [
            "0.0.0.0:4000",
            "255.255.255.255:4000",
            "224.0.1.1:4000",
            "239.255.255.255:4000",
            "198.51.100.7:0",
            "198.51.100.7:53",
            "198.51.100.7:1023",
            "192.0.2.1:16384",
            "192.0.2.1:32767",
            "[2001:db8::2]:4000",
        ] {
            assert!(!admit(LOCAL, remote), "{remote}");
        }
        for remote in ["198.51.100.7:1024", "192.0.2.1:16383", "192.0.2.1:32768", "127.0.0.1:20000"] {
            assert!(admit(LOCAL, remote), "{remote}");
        }
    }

    #[test]
    fn the_same_holds_for_ipv6_and_for_ipv4_in_its_clothes() {
        const LOCAL: &str = "[2001:db8::1]:16384";
        for remote in
            ["[::]:4000", "[ff02::1]:4000", "[::ffff:255.255.255.255]:4000", "[::ffff:0.0.0.0]:4000"]
        {
            assert!(!admit(LOCAL, remote), "{remote}");
        }
        assert!(!admit(LOCAL, "[2001:db8::1]:20000"));
        assert!(!admit(LOCAL, "[::ffff:192.0.2.1]:20000"));
        assert!(!admit(LOCAL, "198.51.100.7:4000"), "the other family");
        assert!(admit(LOCAL, "[2001:db8::2]:20000"));
    }

    #[test]
    fn scopes_and_flow_labels_make_no_difference() {
        let one: SocketAddr = "[fe80::1%3]:4000".parse().expect("a socket address");
        let other = "[fe80::1]:4000".parse().expect("a socket address");
        assert!(is_same(one, other));
        assert!(!is_same(one, "[fe80::1]:4001".parse().expect("a socket address")));
    }
}
