//! Bytes nobody can foresee, and bytes that repeat.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random bytes.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills `buffer`.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give; what is in `buffer` is then not random and must not be used.
    fn fill(&self, buffer: &mut [u8]) -> io::Result<()>;
}

/// The system's generator, fit for salts and keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, buffer: &mut [u8]) -> io::Result<()> {
        getrandom::fill(buffer)
            .map_err(|error| error.raw_os_error().map_or_else(|| io::Error::other(error), io::Error::from_raw_os_error))
    }
}

/// The same bytes for the same seed, for tests and examples. Never for real salts or secrets: whoever sees eight bytes
/// knows all the others.
///
/// Each call of [`fill`](Random::fill) starts a new word, so two calls of four bytes give other bytes than one of eight.
/// Source: splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014; words are
/// little-endian.
///
/// # Examples
///
/// ```
/// use bulla_vfs::{Random, SeededRandom};
/// let (mut first, mut second) = ([0; 12], [0; 12]);
/// SeededRandom::new(7).fill(&mut first)?;
/// SeededRandom::new(7).fill(&mut second)?;
/// assert_eq!(first, second);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct SeededRandom {
    state: AtomicU64,
}

/// What splitmix64 adds to its state for each word.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl SeededRandom {
    /// The source of the bytes that belong to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> SeededRandom {
        SeededRandom { state: AtomicU64::new(seed) }
    }

    fn next_u64(&self) -> u64 {
        let word = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) -> io::Result<()> {
        for chunk in buffer.chunks_mut(size_of::<u64>()) {
            for (byte, random) in chunk.iter_mut().zip(self.next_u64().to_le_bytes()) {
                *byte = random;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of other implementations of splitmix64 for this seed.
    #[test]
    fn the_seed_1234567_gives_the_published_words() {
        let random = SeededRandom::new(1_234_567);
        for expected in [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423_u64] {
            assert_eq!(random.next_u64(), expected);
        }
    }

    #[test]
    fn every_length_is_filled_to_its_end() {
        let word = 6_457_827_717_110_365_317_u64.to_le_bytes();
        for len in 0..=word.len() {
            let mut buffer = vec![0; len];
            SeededRandom::new(1_234_567).fill(&mut buffer).unwrap();
            assert_eq!(buffer, word[..len]);
        }
    }

    #[test]
    fn the_system_does_not_repeat_itself() {
        let (mut first, mut second) = ([0; 32], [0; 32]);
        OsRandom.fill(&mut first).unwrap();
        OsRandom.fill(&mut second).unwrap();
        assert_ne!(first, second);
        assert_ne!(first, [0; 32]);
    }
}
