//! `acl.conf`: access lists, and those that exist without being written down.

use std::collections::BTreeMap;
use std::net::IpAddr;

use config::{Element, Problems};
use switch::{AccessList, AccessNode};

use super::Context;
use super::directory::{Directory, network_of};

/// Private address space (RFC 1918), shared and unique local space, and link-local addresses.
const PRIVATE: [&str; 5] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"];
/// What is nobody's but the machine's own.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// Reads `<network-lists>`.
pub fn read(
    configuration: Option<&Element>,
    directory: &Directory,
    context: &Context<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, AccessList> {
    let mut lists = built_in(context);
    let parent = configuration.and_then(|configuration| configuration.child("network-lists"));
    for element in parent.into_iter().flat_map(|parent| parent.children_named("list")) {
        let Some(name) = element.attribute("name").filter(|name| !name.is_empty()) else {
            problems.warning(element.place(), "a `<list>` without a name has no effect");
            continue;
        };
        let default_allow = verdict(element, "default", problems).unwrap_or(false);
        let nodes = element.children_named("node").flat_map(|node| read_node(node, directory, problems));
        let list = AccessList { default_allow, nodes: nodes.collect() };
        lists.insert(name.to_owned(), list);
    }
    lists
}

fn read_node(node: &Element, directory: &Directory, problems: &mut Problems) -> Vec<AccessNode> {
    let Some(allow) = verdict(node, "type", problems) else { return Vec::new() };
    if let Some(name) = node.attribute("domain") {
        let Some(domain) = directory.domain(name) else {
            problems.warning(node.place_of("domain"), format!("the directory has no domain `{name}`"));
            return Vec::new();
        };
        return domain.networks.iter().map(|network| AccessNode { allow, ..*network }).collect();
    }
    if let Some(list) = node.attribute("cidr") {
        let networks = list.split(',').map(str::trim).filter(|network| !network.is_empty());
        let parsed = networks.map(|network| (network, AccessNode::parse(network, allow)));
        return parsed
            .filter_map(|(network, parsed)| parsed.or_else(|| refuse(node, "cidr", network, problems)))
            .collect();
    }
    let (host, mask) =
        (node.attribute("host").unwrap_or_default(), node.attribute("mask").unwrap_or_default());
    let network = network_of(host, mask, allow);
    network.or_else(|| refuse(node, "host", &format!("{host}/{mask}"), problems)).into_iter().collect()
}

fn refuse(node: &Element, attribute: &str, text: &str, problems: &mut Problems) -> Option<AccessNode> {
    let what = format!("`{text}` is no network");
    problems.error_expecting(node.place_of(attribute), what, "a network such as 192.0.2.0/24");
    None
}

fn verdict(element: &Element, attribute: &str, problems: &mut Problems) -> Option<bool> {
    match element.attribute(attribute)?.to_ascii_lowercase().as_str() {
        "allow" => Some(true),
        "deny" => Some(false),
        other => {
            problems.error_expecting(
                element.place_of(attribute),
                format!("`{attribute}` is `{other}`"),
                "`allow` or `deny`",
            );
            None
        }
    }
}

/// Lists that every configuration may name.
fn built_in(context: &Context<'_>) -> BTreeMap<String, AccessList> {
    let all = |networks: &[&str], allow: bool| {
        networks.iter().filter_map(|n| AccessNode::parse(n, allow)).collect::<Vec<_>>()
    };
    let local: Vec<AccessNode> =
        [false, true].into_iter().filter_map(|v6| local_network(context, v6)).collect();
    let mut lists = BTreeMap::new();
    let mut add = |name: &str, default_allow: bool, nodes: Vec<AccessNode>| {
        lists.insert(name.to_owned(), AccessList { default_allow, nodes });
    };
    add("rfc1918.auto", false, all(&PRIVATE, true));
    let beside_local = local.iter().map(|node| AccessNode { allow: false, ..*node });
    add("nat.auto", false, all(&PRIVATE, true).into_iter().chain(beside_local).collect());
    add("localnet.auto", false, all(&LOOPBACK, true).into_iter().chain(local).collect());
    add("loopback.auto", false, all(&LOOPBACK, true));
    add("wan.auto", true, all(&PRIVATE, false).into_iter().chain(all(&LOOPBACK, false)).collect());
    add("wan_v4.auto", true, [all(&PRIVATE, false), all(&LOOPBACK, false), all(&["::/0"], false)].concat());
    add(
        "wan_v6.auto",
        true,
        [all(&PRIVATE, false), all(&LOOPBACK, false), all(&["0.0.0.0/0"], false)].concat(),
    );
    add("any_v4.auto", false, all(&["0.0.0.0/0"], true));
    add("any_v6.auto", false, all(&["::/0"], true));
    lists
}

/// The network on the interface of the default address.
fn local_network(context: &Context<'_>, v6: bool) -> Option<AccessNode> {
    let address: IpAddr = context.machine.default_address(v6);
    let prefix_bits = context.machine.prefix_bits(address)?;
    Some(AccessNode { network: address, prefix_bits, allow: true })
}
