//! Seeded checksums: a frame is valid only where it was written.
//!
//! # Invariants
//!
//! - K1. Every checksum of a frame is CRC-32 (ISO-HDLC, as in zlib) over `secret || segment number || offset || bytes`:
//!   a frame copied to another log, segment or offset, or carried in a payload, does not validate there.
//!
//! # Not here
//!
//! Protection against edits. The secret lies in the segment header; a checksum finds accidents, the tree finds edits.

use crate::SegmentNumber;
use crc32fast::Hasher;

/// What the checksums of one segment's frames begin with.
#[derive(Clone, Debug)]
pub struct FrameSeed {
    prefix: Hasher,
}

impl FrameSeed {
    /// The seed of segment `number` in a log whose header carries `secret`.
    #[must_use]
    pub fn new(secret: &[u8; 16], number: SegmentNumber) -> Self {
        let mut prefix = Hasher::new();
        prefix.update(secret);
        prefix.update(&number.0.to_le_bytes());
        Self { prefix }
    }

    /// The checksum of `bytes` in the frame that begins at `offset`.
    #[must_use]
    pub fn checksum(&self, offset: u64, bytes: &[u8]) -> u32 {
        let mut hasher = self.prefix.clone();
        hasher.update(&offset.to_le_bytes());
        hasher.update(bytes);
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// K1, against the definition.
    #[test]
    fn a_checksum_is_the_crc_of_the_concatenation() {
        let (secret, offset) = ([7; 16], 4096_u64);
        let mut whole = secret.to_vec();
        whole.extend(3_u64.to_le_bytes());
        whole.extend(offset.to_le_bytes());
        whole.extend(b"frame");
        let seed = FrameSeed::new(&secret, SegmentNumber(3));
        assert_eq!(seed.checksum(offset, b"frame"), crc32fast::hash(&whole));
        assert_ne!(seed.checksum(offset + 8, b"frame"), crc32fast::hash(&whole));
        assert_ne!(FrameSeed::new(&secret, SegmentNumber(4)).checksum(offset, b"frame"), crc32fast::hash(&whole));
    }
}
