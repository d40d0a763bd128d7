//! Numbers that a stranger cannot guess, from a seed that the shell brings.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded generator. SSRCs, first numbers and the order of ports come from it (RFC 3550 §5.1, §8.1 and §9.1: they
/// shall be hard to guess), so it is a cryptographic one.
#[derive(Debug)]
pub(super) struct Random(ChaCha8Rng);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Any number.
    pub(super) fn number(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A number below `bound`; 0 when there is none. The bias of the multiplication is below 2⁻³² · bound.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.number()) * u64::from(bound)) >> 32) as u32
    }
}
