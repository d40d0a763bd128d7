//! The world's dice: SplitMix64, small and the same everywhere.

/// A stream of numbers that a seed decides.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// Another stream, decided by this one's seed and `label` alone: what draws from it does not move the others.
    pub fn fork(&self, label: u64) -> Random {
        let mut random = Random { state: self.state ^ label.wrapping_mul(0xd134_2543_de82_ef95) };
        let state = random.number();
        Random { state }
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.number() % end }
    }

    /// A number from `start` to `last`, both included.
    pub fn between(&mut self, start: u64, last: u64) -> u64 {
        start + self.below(last.saturating_sub(start) + 1)
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.below(1_000) < u64::from(per_mille)
    }

    /// One of them.
    ///
    /// # Panics
    /// When there is nothing to choose from.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_forks_do_not_move_each_other() {
        let mut one = Random::new(7);
        let mut other = Random::new(7);
        let _ = other.fork(1).number();
        assert_eq!(one.number(), other.number());
        assert_ne!(Random::new(7).fork(1).number(), Random::new(7).fork(2).number());
    }
}
