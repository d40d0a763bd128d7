//! The section `directory`: domains and their users, as far as something here asks for them.

use std::net::IpAddr;

use config::{Element, Problems};
use switch::AccessNode;

/// Users and groups may be nested so deep; the reference has groups within domains.
const DEPTH_MAX: usize = 8;

/// The directory.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Domains in the order of the file.
    pub domains: Vec<Domain>,
}

/// One domain.
#[derive(Clone, Debug, Default)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// Networks of users who are known by their address (`cidr`).
    pub networks: Vec<AccessNode>,
}

impl Directory {
    /// The domain of a name.
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.name.eq_ignore_ascii_case(name))
    }
}

/// Reads the section.
pub fn read(section: Option<&Element>, problems: &mut Problems) -> Directory {
    let mut directory = Directory::default();
    for element in section.into_iter().flat_map(|section| section.children_named("domain")) {
        let Some(name) = element.attribute("name").filter(|name| !name.is_empty()) else {
            problems.warning(element.place(), "a `<domain>` without a name has no effect");
            continue;
        };
        let mut domain = Domain { name: name.to_owned(), networks: Vec::new() };
        read_users(element, &mut domain, DEPTH_MAX, problems);
        directory.domains.push(domain);
    }
    directory
}

fn read_users(parent: &Element, domain: &mut Domain, depth_left: usize, problems: &mut Problems) {
    for child in parent.children() {
        match child.name() {
            "groups" | "group" | "users" if depth_left > 0 => {
                read_users(child, domain, depth_left - 1, problems)
            }
            "user" => read_user(child, domain, problems),
            _ => {}
        }
    }
}

fn read_user(user: &Element, domain: &mut Domain, problems: &mut Problems) {
    let Some(list) = user.attribute("cidr") else { return };
    for network in list.split(',').map(str::trim).filter(|network| !network.is_empty()) {
        match AccessNode::parse(network, true) {
            Some(node) => domain.networks.push(node),
            None => {
                let what = format!("`cidr` is `{network}`");
                problems.error_expecting(user.place_of("cidr"), what, "a network such as 192.0.2.0/24");
            }
        }
    }
}

/// The network that an address and a mask make.
pub fn network_of(address: &str, mask: &str, allow: bool) -> Option<AccessNode> {
    let (address, mask): (IpAddr, IpAddr) = (address.trim().parse().ok()?, mask.trim().parse().ok()?);
    let bits = match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    AccessNode::parse(&format!("{address}/{bits}"), allow)
}
