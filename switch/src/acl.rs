//! Access lists: which networks may do something.

use std::net::IpAddr;

/// A list of networks; the most specific one that holds an address decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessList {
    /// What holds for addresses in no network.
    pub default_allow: bool,
    /// Networks and their verdicts.
    pub nodes: Vec<AccessNode>,
}

/// One network of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessNode {
    /// Any address of the network.
    pub network: IpAddr,
    /// Length of its prefix, in bits.
    pub prefix_bits: u8,
    /// Whether its addresses are allowed.
    pub allow: bool,
}

impl AccessNode {
    /// Reads `a.b.c.d/n`, or a single address.
    pub fn parse(text: &str, allow: bool) -> Option<AccessNode> {
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let network: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let bits_max = if network.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|bits| *bits <= bits_max)?,
            None => bits_max,
        };
        Some(AccessNode { network, prefix_bits, allow })
    }

    /// Whether the network holds the address.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_bits)).unwrap_or(0);
                u32::from(network) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_bits)).unwrap_or(0);
                u128::from(network) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }
}

impl AccessList {
    /// Whether the list lets an address pass.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.nodes
            .iter()
            .filter(|node| node.holds(address))
            .max_by_key(|node| node.prefix_bits)
            .map_or(self.default_allow, |node| node.allow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(default_allow: bool, nodes: &[(&str, bool)]) -> AccessList {
        let nodes = nodes.iter().map(|(net, allow)| AccessNode::parse(net, *allow).unwrap()).collect();
        AccessList { default_allow, nodes }
    }

    #[test]
    fn the_most_specific_network_decides_and_the_default_the_rest() {
        let list =
            list(false, &[("10.0.0.0/8", true), ("10.1.0.0/16", false), ("::1", true), ("0.0.0.0/0", false)]);
        let allows = |address: &str| list.allows(address.parse().unwrap());
        assert!(allows("10.2.3.4"));
        assert!(!allows("10.1.3.4"));
        assert!(!allows("192.0.2.1"));
        assert!(allows("::1"));
        assert!(!allows("::2"));
        assert!(allows("::ffff:10.9.9.9"));
    }

    #[test]
    fn nonsense_is_no_network() {
        assert_eq!(AccessNode::parse("10.0.0.0/33", true), None);
        assert_eq!(AccessNode::parse("example.com", true), None);
    }
}
