//! The bytes of a file in sectors of 512, shared between copies, so that a disk can be copied at every step.
//!
//! # Invariants
//!
//! - S1. A sector of zeros is `None`, so two equal files compare equal, and zeros cost nothing.
//! - S2. What lies behind the length in the last sector is zero.

use std::ops::Range;
use std::sync::Arc;

/// What a disk writes whole or not at all, bar a torn one.
pub const SECTOR: usize = 512;

type Sector = [u8; SECTOR];

static ZEROS: Sector = [0; SECTOR];

/// The bytes of a file. Copies share what they have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sectors {
    sectors: Vec<Option<Arc<Sector>>>,
    len: usize,
}

impl Sectors {
    /// A file of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut sectors = Self::default();
        sectors.write(0, bytes);
        sectors
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.read(0, &mut bytes);
        bytes
    }

    /// Copies what there is from `offset` on; says how many bytes.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let end = self.len.min(offset.saturating_add(buffer.len()));
        let count = end.saturating_sub(offset);
        let mut done = 0;
        while done < count {
            let at = offset + done;
            let (index, within) = (at / SECTOR, at % SECTOR);
            let take = (SECTOR - within).min(count - done);
            match &self.sectors[index] {
                Some(sector) => buffer[done..done + take].copy_from_slice(&sector[within..within + take]),
                None => buffer[done..done + take].fill(0),
            }
            done += take;
        }
        count
    }

    /// Writes at `offset`, growing the file with zeros if need be.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.set_len(self.len.max(offset + bytes.len()));
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done;
            let (index, within) = (at / SECTOR, at % SECTOR);
            let take = (SECTOR - within).min(bytes.len() - done);
            self.edit(index, within, &bytes[done..done + take]);
            done += take;
        }
    }

    /// Writes another file's bytes at `offset`; zeros over zeros cost nothing.
    pub(super) fn write_from(&mut self, offset: usize, from: &Self) {
        self.set_len(self.len.max(offset + from.len));
        for (index, sector) in from.sectors.iter().enumerate() {
            let start = index * SECTOR;
            let bytes = &sector.as_deref().unwrap_or(&ZEROS)[..SECTOR.min(from.len - start)];
            let at = offset + start;
            let touched = at / SECTOR..(at + bytes.len()).div_ceil(SECTOR);
            if sector.is_some() || self.sectors[touched].iter().any(Option::is_some) {
                self.write(at, bytes);
            }
        }
    }

    /// Whether the sector with this index is the same in both, zeros beyond the end.
    pub(super) fn has_same_sector(&self, other: &Self, index: usize) -> bool {
        let slot = |sectors: &Self| sectors.sectors.get(index).cloned().flatten();
        match (slot(self), slot(other)) {
            (None, None) => true,
            (Some(left), Some(right)) => Arc::ptr_eq(&left, &right) || left == right,
            _ => false,
        }
    }

    /// Cuts, or grows with zeros.
    pub fn set_len(&mut self, len: usize) {
        self.sectors.resize(len.div_ceil(SECTOR), None);
        let within = len % SECTOR;
        if len < self.len && within != 0 {
            let zeros = &ZEROS[within..];
            self.edit(len / SECTOR, within, zeros);
        }
        self.len = len;
    }

    /// The sector with this index, zeros beyond the end.
    #[must_use]
    pub fn sector(&self, index: usize) -> &Sector {
        self.sectors.get(index).and_then(Option::as_deref).unwrap_or(&ZEROS)
    }

    /// Replaces the part of a sector that lies within the length.
    pub fn put_sector(&mut self, index: usize, bytes: &Sector) {
        let start = index * SECTOR;
        let count = self.len.saturating_sub(start).min(SECTOR);
        if count > 0 {
            self.edit(index, 0, &bytes[..count]);
        }
    }

    /// How many sectors the length takes.
    #[must_use]
    pub fn sector_count(&self) -> usize {
        self.sectors.len()
    }

    /// The range of the sector with this index.
    #[must_use]
    pub fn range(index: usize) -> Range<usize> {
        index * SECTOR..(index + 1) * SECTOR
    }

    /// The end of the last byte that is not zero.
    #[must_use]
    pub fn non_zero_end(&self) -> usize {
        let Some(index) = self.sectors.iter().rposition(Option::is_some) else { return 0 };
        let within = self.sector(index).iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        index * SECTOR + within
    }

    /// A number that tells contents apart; files are hashed by the hundred thousand, so it goes word by word.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut sum = self.len as u64;
        let mut mix = |word: u64| sum = (sum.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for (index, sector) in self.sectors.iter().enumerate() {
            if let Some(sector) = sector {
                mix(index as u64);
                for word in sector.as_chunks::<8>().0 {
                    mix(u64::from_le_bytes(*word));
                }
            }
        }
        sum
    }

    fn edit(&mut self, index: usize, within: usize, bytes: &[u8]) {
        let slot = &mut self.sectors[index];
        if slot.is_none() && bytes == &ZEROS[..bytes.len()] {
            return;
        }
        let sector = Arc::make_mut(slot.get_or_insert_with(|| Arc::new(ZEROS)));
        sector[within..within + bytes.len()].copy_from_slice(bytes);
        if *sector == ZEROS {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    /// S1 and S2, against a plain vector.
    #[test]
    fn sectors_are_a_vector_of_bytes() {
        for seed in 0..64 {
            let mut random = Random::new(seed);
            let (mut sectors, mut plain) = (Sectors::default(), Vec::new());
            for step in 0..100_u8 {
                let at = random.below(3000) as usize;
                if random.below(3) == 0 {
                    sectors.set_len(at);
                    plain.resize(at, 0);
                } else {
                    let bytes = vec![step % 3; random.below(1200) as usize];
                    sectors.write(at, &bytes);
                    if !bytes.is_empty() {
                        plain.resize(plain.len().max(at + bytes.len()), 0);
                        plain[at..at + bytes.len()].copy_from_slice(&bytes);
                    }
                }
                assert_eq!(sectors.to_vec(), plain, "seed {seed}, step {step}");
                assert_eq!(sectors, Sectors::of(&plain), "seed {seed}, step {step}");
                let end = plain.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                assert_eq!(sectors.non_zero_end(), end, "seed {seed}, step {step}");
            }
        }
    }
}
