//! One file of the simulated disk: what readers see, what is durable, and what is on its way.
//!
//! # Invariants
//!
//! - F1. What readers see is the durable bytes with every pending change over them, but after a failed sync: then it is
//!   what it was, until the cache is dropped.
//! - F2. A sync that returns `Ok` makes durable what is pending, and nothing else: what a failed sync dropped is gone.

use super::sectors::Sectors;
use crate::Random;

/// A change that no sync has covered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Bytes at an offset.
    Write {
        /// Where.
        offset: usize,
        /// What, in a file of its own so that copies share it.
        bytes: Sectors,
    },
    /// A new length.
    SetLen(usize),
}

impl Change {
    /// Carries the change out.
    pub(super) fn apply(&self, to: &mut Sectors) {
        match self {
            Self::Write { offset, bytes } => to.write_from(*offset, bytes),
            Self::SetLen(len) => to.set_len(*len),
        }
    }
}

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct SimFile {
    /// What readers see.
    pub(super) current: Sectors,
    /// What the last good sync made durable.
    pub(super) durable: Sectors,
    /// Since then, in order, with the number of the operation.
    pub(super) pending: Vec<(u64, Change)>,
    /// What blocks of this file held before they were cut off: what may come back when it grows again.
    pub(super) stale: Sectors,
    /// Readers see what a failed sync dropped.
    pub(super) is_phantom: bool,
}

impl SimFile {
    /// A file that is durable as it is.
    pub(super) fn settled(bytes: Sectors) -> Self {
        Self { current: bytes.clone(), durable: bytes, ..Self::default() }
    }

    pub(super) fn change(&mut self, number: u64, change: Change) {
        if let Change::SetLen(len) = change {
            self.remember(len);
        }
        change.apply(&mut self.current);
        self.pending.push((number, change));
    }

    /// Keeps what a cut to `len` frees.
    fn remember(&mut self, len: usize) {
        let end = self.current.non_zero_end();
        if len < end {
            let mut freed = vec![0; end - len];
            self.current.read(len, &mut freed);
            self.stale.write(len, &freed);
        }
    }

    /// F2.
    pub(super) fn sync(&mut self) {
        let mut durable = std::mem::take(&mut self.durable);
        for (_, change) in self.pending.drain(..) {
            change.apply(&mut durable);
        }
        self.durable = durable;
    }

    /// A sync that fails: of what is pending some pages may have reached the disk, the rest is dropped, and readers see
    /// all of it still (A3).
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        let kept = match random.below(3) {
            // The usual case: nothing reached the disk.
            0 | 1 => 0,
            _ => random.below(self.pending.len() as u64 + 1) as usize,
        };
        let mut durable = std::mem::take(&mut self.durable);
        for (_, change) in self.pending.drain(..).take(kept) {
            change.apply(&mut durable);
        }
        self.durable = durable;
        self.is_phantom = true;
    }

    /// Readers see the disk's truth again; pages not yet written stay.
    pub(super) fn drop_cache(&mut self) {
        if self.is_phantom {
            let mut current = self.durable.clone();
            for (_, change) in &self.pending {
                change.apply(&mut current);
            }
            self.current = current;
            self.is_phantom = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: &mut SimFile, offset: usize, bytes: &[u8]) {
        file.change(0, Change::Write { offset, bytes: Sectors::of(bytes) });
    }

    /// A3: the failed sync's bytes are seen until the cache is dropped, and the next good sync does not bring them back.
    #[test]
    fn what_a_failed_sync_dropped_is_gone_although_it_is_seen() {
        for seed in 0..16 {
            let mut file = SimFile::settled(Sectors::of(b"kept"));
            write(&mut file, 4, b"lost");
            file.fail_sync(&mut Random::new(seed));
            assert_eq!(file.current.to_vec(), b"keptlost");
            write(&mut file, 8, b"late");
            file.sync();
            assert_eq!(file.current.to_vec(), b"keptlostlate");
            let durable = file.durable.to_vec();
            assert!(durable == b"kept\0\0\0\0late" || durable == b"keptlostlate", "seed {seed}: {durable:?}");
            file.drop_cache();
            assert_eq!(file.current.to_vec(), durable);
        }
    }

    #[test]
    fn what_was_cut_off_is_remembered_as_what_may_come_back() {
        let mut file = SimFile::settled(Sectors::of(b"0123456789"));
        file.change(0, Change::SetLen(4));
        write(&mut file, 4, b"ab");
        assert_eq!(file.current.to_vec(), b"0123ab");
        assert_eq!(file.stale.to_vec(), b"\0\0\0\x00456789");
        file.drop_cache();
        assert_eq!(file.current.to_vec(), b"0123ab", "pages that wait to be written stay");
    }
}
