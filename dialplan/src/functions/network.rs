//! Functions about addresses.

use std::net::IpAddr;

use crate::text::Text;

/// Whether an address is private, link-local or the host's own.
pub(super) fn is_lan_addr(text: &Text) -> Text {
    let is_lan = match text.as_str().parse() {
        Ok(IpAddr::V4(address)) => address.is_private() || address.is_link_local() || address.is_loopback(),
        Ok(IpAddr::V6(address)) => {
            address.is_unique_local() || address.is_unicast_link_local() || address.is_loopback()
        }
        Err(_) => false,
    };
    Text::trusted(if is_lan { "true" } else { "false" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_of_a_lan() {
        for (address, expected) in [
            ("10.1.2.3", "true"),
            ("169.254.1.1", "true"),
            ("::1", "true"),
            ("fd00::1", "true"),
            ("8.8.8.8", "false"),
            ("x", "false"),
        ] {
            assert_eq!(is_lan_addr(&address.into()).as_str(), expected, "{address}");
        }
    }
}
