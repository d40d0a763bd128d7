//! Names of what the switch owns.

use std::fmt;

/// A channel: one leg of a call. Never used twice; stories that wake together run in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u64);

/// Two channels that are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeId(pub u64);

/// A question to the world outside, answered by [`Switch::handle_answer`](crate::Switch::handle_answer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// The name under which a channel is known outside: a random UUID (RFC 9562 version 4), or what
/// `origination_uuid` asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(std::sync::Arc<str>);

impl Uuid {
    /// A version 4 UUID of 128 random bits.
    pub fn from_random(bits: u128) -> Uuid {
        let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        let text = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        Uuid(text.into())
    }

    /// A name given from outside, taken as it is.
    pub fn from_text(text: &str) -> Uuid {
        Uuid(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_uuid_says_version_4_and_the_ietf_variant() {
        let uuid = Uuid::from_random(u128::MAX);
        assert_eq!(uuid.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
