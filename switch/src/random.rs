//! Seeded randomness of the switch: the same seed gives the same call, to the byte.

/// SplitMix64: small, fast, good enough for choices and names that need not be secret. What has to be
/// unpredictable to peers (tags, branches) is made by `signaling` from a seed of its own.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn uuid(&mut self) -> crate::Uuid {
        crate::Uuid::from_random((u128::from(self.next()) << 64) | u128::from(self.next()))
    }
}
