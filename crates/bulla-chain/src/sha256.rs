//! SHA-256 as this crate needs it: one seam over the hash backend.
//!
//! Everything goes through [`compress`], the one call into sha2. Leaves and nodes have a length known in advance, so
//! their blocks are laid out with the padding already in place and cost one and two compressions and nothing else. A
//! hasher for many leaves at once replaces [`leaf`] and [`node`] without touching a caller.
//!
//! # Invariants
//!
//! - H1. The result is SHA-256 (FIPS 180-4) of the concatenated input, however the input is cut into pieces.
//! - H2. Whole blocks are hashed where they lie; only less than a block at each end of a piece is ever copied.

use sha2::block_api::compress256;

use crate::digest::prefix;

const BLOCK_LEN: usize = 64;
const DIGEST_LEN: usize = 32;
const ENTRY_LEN: usize = 54;
/// The bit length that ends the padding, big-endian.
const LENGTH_LEN: usize = 8;

type Block = [u8; BLOCK_LEN];

// Prefix, entry, the padding's first byte and the length fill one block exactly: this is why an entry has 54 bytes.
const _: () = assert!(1 + ENTRY_LEN + 1 + LENGTH_LEN == BLOCK_LEN);

/// The first 32 bits of the fractional parts of the square roots of the first eight primes.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

const LEAF_TEMPLATE: Block = {
    let mut block = [0; BLOCK_LEN];
    block[0] = prefix::LEAF;
    block[1 + ENTRY_LEN] = 0x80;
    // 55 bytes are 440 bits.
    [block[62], block[63]] = (8 * 55_u16).to_be_bytes();
    block
};

const NODE_TEMPLATE: [Block; 2] = {
    let mut blocks = [[0; BLOCK_LEN]; 2];
    blocks[0][0] = prefix::NODE;
    blocks[1][1] = 0x80;
    // 65 bytes are 520 bits.
    [blocks[1][62], blocks[1][63]] = (8 * 65_u16).to_be_bytes();
    blocks
};

/// SHA-256 of the leaf prefix and an encoded entry: one block.
pub(crate) fn leaf(entry: &[u8; ENTRY_LEN]) -> [u8; DIGEST_LEN] {
    let mut block = LEAF_TEMPLATE;
    block[1..=ENTRY_LEN].copy_from_slice(entry);
    let mut state = INITIAL;
    compress(&mut state, &[block]);
    to_bytes(state)
}

/// SHA-256 of the node prefix and both children: two blocks, the second holding one byte of the right child.
pub(crate) fn node(left: &[u8; DIGEST_LEN], right: &[u8; DIGEST_LEN]) -> [u8; DIGEST_LEN] {
    let [mut first, mut second] = NODE_TEMPLATE;
    first[1..33].copy_from_slice(left);
    first[33..].copy_from_slice(&right[..31]);
    second[0] = right[31];
    let mut state = INITIAL;
    compress(&mut state, &[first, second]);
    to_bytes(state)
}

/// SHA-256 of the concatenation of `parts`, without concatenating them.
pub(crate) fn digest_parts(parts: &[&[u8]]) -> [u8; DIGEST_LEN] {
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

/// SHA-256 over input that arrives in pieces of any length.
#[derive(Clone)]
pub(crate) struct Hasher {
    state: [u32; 8],
    /// The input after the last whole block; the first `len % 64` bytes count.
    pending: Block,
    /// Bytes of input so far. SHA-256 ends at 2^61 of them, some decades of hashing away.
    len: u64,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self { state: INITIAL, pending: [0; BLOCK_LEN], len: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let filled = self.filled();
        self.len += bytes.len() as u64;
        let (_, room) = self.pending.split_at_mut(filled);
        // With nothing pending there is no block to complete, and whole blocks need no copy.
        let wanted = if filled == 0 { 0 } else { room.len() };
        let Some((head, rest)) = bytes.split_at_checked(wanted) else {
            let (target, _) = room.split_at_mut(bytes.len());
            target.copy_from_slice(bytes);
            return;
        };
        if filled != 0 {
            room.copy_from_slice(head);
            compress(&mut self.state, &[self.pending]);
        }
        let (blocks, tail) = rest.as_chunks::<BLOCK_LEN>();
        compress(&mut self.state, blocks);
        let (target, _) = self.pending.split_at_mut(tail.len());
        target.copy_from_slice(tail);
    }

    pub(crate) fn finish(mut self) -> [u8; DIGEST_LEN] {
        let filled = self.filled();
        let (_, padding) = self.pending.split_at_mut(filled);
        padding.fill(0);
        if let Some(first) = padding.first_mut() {
            *first = 0x80;
        }
        if padding.len() <= LENGTH_LEN {
            // The length no longer fits behind the padding's first byte and gets a block of its own.
            compress(&mut self.state, &[self.pending]);
            self.pending = [0; BLOCK_LEN];
        }
        self.pending[BLOCK_LEN - LENGTH_LEN..].copy_from_slice(&(self.len << 3).to_be_bytes());
        compress(&mut self.state, &[self.pending]);
        to_bytes(self.state)
    }

    /// How many bytes of `pending` count: less than a block.
    #[expect(clippy::cast_possible_truncation, reason = "less than 64")]
    fn filled(&self) -> usize {
        (self.len % BLOCK_LEN as u64) as usize
    }
}

/// The one call into the backend.
fn compress(state: &mut [u32; 8], blocks: &[Block]) {
    compress256(state, blocks);
}

fn to_bytes(state: [u32; 8]) -> [u8; DIGEST_LEN] {
    let mut bytes = [0; DIGEST_LEN];
    let (words, _) = bytes.as_chunks_mut::<4>();
    for (target, word) in words.iter_mut().zip(state) {
        *target = word.to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn reference(bytes: &[u8]) -> [u8; DIGEST_LEN] {
        Sha256::digest(bytes).into()
    }

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|i| u8::try_from(i * 167 % 251).unwrap()).collect()
    }

    /// H1 in one piece.
    #[test]
    fn every_length_agrees_with_the_backends_own_digest() {
        for len in 0..=300 {
            let bytes = sample(len);
            assert_eq!(digest_parts(&[&bytes]), reference(&bytes), "length {len}");
        }
    }

    /// H1 in two pieces cut anywhere, and in three with every first length that leaves a block unfinished.
    #[test]
    fn where_the_input_is_cut_makes_no_difference() {
        for len in 0..=300 {
            let bytes = sample(len);
            let expected = reference(&bytes);
            for cut in 0..=len {
                let (left, right) = bytes.split_at(cut);
                assert_eq!(digest_parts(&[left, right]), expected, "length {len}, cut at {cut}");
                let (middle, right) = right.split_at(right.len() / 2);
                assert_eq!(digest_parts(&[left, middle, &[], right]), expected, "length {len}, cuts from {cut}");
            }
            let mut bytewise = Hasher::new();
            for byte in &bytes {
                bytewise.update(&[*byte]);
            }
            assert_eq!(bytewise.finish(), expected, "length {len}, byte by byte");
        }
    }

    #[test]
    fn a_leaf_is_the_hash_of_prefix_and_entry() {
        for seed in 0..=255 {
            let entry: [u8; ENTRY_LEN] = std::array::from_fn(|i| seed ^ sample(ENTRY_LEN)[i]);
            assert_eq!(leaf(&entry), reference(&[&[0x00], &entry[..]].concat()));
        }
    }

    #[test]
    fn a_node_is_the_hash_of_prefix_left_and_right() {
        for seed in 0..=255 {
            let left: [u8; DIGEST_LEN] = std::array::from_fn(|i| seed ^ sample(64)[i]);
            let right: [u8; DIGEST_LEN] = std::array::from_fn(|i| seed ^ sample(64)[32 + i]);
            assert_eq!(node(&left, &right), reference(&[&[0x01], &left[..], &right[..]].concat()));
            assert_ne!(node(&left, &right), node(&right, &left));
        }
    }
}
