//! Seeded random values for the tests: what a seed gave once, it gives always.

use crate::{FrameSeed, SegmentNumber};

/// The `SplitMix64` generator.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    pub(crate) fn next_i64(&mut self) -> i64 {
        self.next_u64().cast_signed()
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next_u64() % end
    }

    /// Fewer than `end` bytes.
    pub(crate) fn bytes_below(&mut self, end: u64) -> Vec<u8> {
        (0..self.below(end)).map(|_| self.next_u64() as u8).collect()
    }
}

/// The seed of segment 3 in a log of a fixed secret.
pub(crate) fn frame_seed() -> FrameSeed {
    FrameSeed::new(&[7; 16], SegmentNumber(3))
}
