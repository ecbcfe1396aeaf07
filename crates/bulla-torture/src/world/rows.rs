//! Rows that say who submitted them, when, and with which others, and that nobody else could have made.

use bulla_testkit::Random;

/// What a row says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The thread that submitted it.
    pub(crate) writer: u32,
    /// The process that submitted it: a row that was lost and submitted again is another one.
    pub(crate) life: u32,
    /// How many rows its writer had submitted before.
    pub(crate) ordinal: u64,
    /// The ordinal of the first row of its batch.
    pub(crate) batch_first: u64,
    /// How many rows its batch has.
    pub(crate) batch_len: u64,
}

const HEAD_BYTES: usize = 32;

impl Row {
    /// The row's bytes, which follow from it and the seed.
    pub(crate) fn bytes(&self, seed: u64) -> Vec<u8> {
        let mut random =
            Random::new(seed ^ self.ordinal.rotate_left(20) ^ (u64::from(self.writer) << 40) ^ u64::from(self.life));
        let bound = if random.below(24) == 0 { 9000 } else { 300 };
        let len = random.below(bound) as usize;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + len + 9);
        bytes.extend(self.writer.to_le_bytes());
        bytes.extend(self.life.to_le_bytes());
        for word in [self.ordinal, self.batch_first, self.batch_len] {
            bytes.extend(word.to_le_bytes());
        }
        while bytes.len() < HEAD_BYTES + len {
            bytes.extend(random.next_u64().to_le_bytes());
        }
        bytes.truncate(HEAD_BYTES + len);
        // No row ends in zeros, so that what lies behind the last one is found by looking for zeros.
        bytes.push(1);
        bytes
    }

    /// The row that has these bytes, if there is one.
    pub(crate) fn read(bytes: &[u8], seed: u64) -> Option<Self> {
        let (words, _) = bytes.get(..HEAD_BYTES)?.as_chunks::<8>();
        let [ids, ordinal, batch_first, batch_len] = words else { return None };
        let ids = u64::from_le_bytes(*ids);
        let row = Self {
            writer: ids as u32,
            life: (ids >> 32) as u32,
            ordinal: u64::from_le_bytes(*ordinal),
            batch_first: u64::from_le_bytes(*batch_first),
            batch_len: u64::from_le_bytes(*batch_len),
        };
        (row.bytes(seed) == bytes).then_some(row)
    }

    /// The rows of a batch.
    pub(crate) fn batch(seed: u64, writer: u32, life: u32, first: u64, len: u64) -> Vec<Vec<u8>> {
        let row = |ordinal| Self { writer, life, ordinal, batch_first: first, batch_len: len };
        (first..first + len).map(|ordinal| row(ordinal).bytes(seed)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_back_and_no_other_bytes_are() {
        for (ordinal, bytes) in Row::batch(5, 2, 7, 10, 50).iter().enumerate() {
            let row = Row { writer: 2, life: 7, ordinal: 10 + ordinal as u64, batch_first: 10, batch_len: 50 };
            assert_eq!(Row::read(bytes, 5), Some(row));
            assert_eq!(Row::read(bytes, 6), None);
            assert_eq!(Row::read(&bytes[..bytes.len() - 1], 5), None);
            let mut edited = bytes.clone();
            edited[4] ^= 1;
            assert_eq!(Row::read(&edited, 5), None);
        }
    }
}
