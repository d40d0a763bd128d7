//! Seeded mutation for the tests of parsers: no dependency, and a failing round can be found again.

/// A xorshift generator.
pub(crate) struct Random(u64);

impl Random {
    /// The same seed gives the same sequence.
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }

    /// `seed` with one to four changes: bytes altered or taken out, `pieces` put in, parts repeated or cut off.
    pub(crate) fn mutated(&mut self, seed: &[u8], pieces: &[&str]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(40)).min(bytes.len());
            match self.below(20) {
                0..5 if at < bytes.len() => bytes[at] = u8::try_from(self.below(256)).expect("below 256"),
                5..9 => drop(bytes.drain(at..end)),
                9..15 => drop(bytes.splice(at..at, pieces[self.below(pieces.len())].bytes())),
                15..19 => {
                    let copy = bytes[at..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    drop(bytes.splice(to..to, copy));
                }
                _ => bytes.truncate(at),
            }
        }
        bytes
    }
}
