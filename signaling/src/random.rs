//! What must not be guessed (tags, branches, Call-IDs, client nonces) and what must be spread (back-off), all from
//! one seed.
//!
//! ChaCha with 12 rounds, a cryptographic generator: a shell that seeds it from the operating system gets tags that
//! nobody predicts, a test that seeds it with a number gets the same call to the byte.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Octets of a [`Token`]: 100 bits in base 32, above the 32 that RFC 3261 §19.3 asks for.
pub const TOKEN_LEN: usize = 20;

/// Thirty-two characters that are tokens in SIP and differ in no more than their case-insensitive form.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// What a generator starts from.
#[derive(Clone, Copy)]
pub struct Seed([u8; 32]);

/// Deterministic source of tokens and random waits.
pub struct Random(ChaCha12Rng);

/// A short random word that fits everywhere SIP wants a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token([u8; TOKEN_LEN]);

impl Random {
    /// A generator that says the same for the same seed.
    pub fn new(seed: Seed) -> Random {
        Random(ChaCha12Rng::from_seed(seed.0))
    }

    /// A fresh token.
    pub fn token(&mut self) -> Token {
        let mut octets = [0_u8; TOKEN_LEN];
        self.0.fill_bytes(&mut octets);
        for octet in &mut octets {
            *octet = ALPHABET[usize::from(*octet % 32)];
        }
        Token(octets)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        let span = u64::from(high.saturating_sub(low)) + 1;
        // The bias of the remainder is below 2^-32 here: the draw has 64 bits, the span at most 33.
        low + u32::try_from(self.0.next_u64() % span).unwrap_or(0)
    }

    /// Sixteen octets, for a secret.
    pub fn secret(&mut self) -> [u8; 16] {
        let mut octets = [0; 16];
        self.0.fill_bytes(&mut octets);
        octets
    }
}

impl Token {
    /// The token that `text` is, when it has the form of ours.
    pub fn parse(text: &str) -> Option<Token> {
        text.as_bytes().try_into().ok().map(Token)
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        // Ours are ASCII by construction; a foreign one came from a `str` and was not cut.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<[u8; 32]> for Seed {
    fn from(octets: [u8; 32]) -> Seed {
        Seed(octets)
    }
}

impl From<u64> for Seed {
    /// For tests: a seed that can be printed and typed in again.
    fn from(number: u64) -> Seed {
        let mut octets = [0; 32];
        octets[..8].copy_from_slice(&number.to_le_bytes());
        Seed(octets)
    }
}

impl core::fmt::Display for Token {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::fmt::Debug for Token {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_says_the_same_and_another_one_does_not() {
        let words = |seed: u64| {
            let mut random = Random::new(seed.into());
            [random.token(), random.token()]
        };
        assert_eq!(words(7), words(7));
        assert_ne!(words(7), words(8));
        assert_ne!(words(7)[0], words(7)[1]);
    }

    #[test]
    fn a_number_stays_between_its_bounds_and_reaches_both() {
        let mut random = Random::new(1.into());
        let drawn: Vec<u32> = (0..1_000).map(|_| random.between(3, 6)).collect();
        assert!(drawn.iter().all(|number| (3..=6).contains(number)));
        assert!(drawn.contains(&3) && drawn.contains(&6));
    }

    #[test]
    fn only_words_of_our_length_are_tokens_of_ours() {
        let token = Random::new(1.into()).token();
        assert_eq!(Token::parse(token.as_str()), Some(token));
        assert_eq!(Token::parse("short"), None);
    }
}
