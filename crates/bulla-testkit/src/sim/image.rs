//! A disk at rest: what a crash left, and what time does to it.

use super::sectors::{SECTOR, Sectors};
use crate::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Directories and files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Every directory, the root included.
    pub dirs: BTreeSet<PathBuf>,
    /// Every file.
    pub files: BTreeMap<PathBuf, Sectors>,
}

/// What can become of bytes at rest (A5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rot {
    /// One bit flips.
    Bit,
    /// One byte becomes another.
    Byte,
    /// A sector reads as zeros.
    ZeroSector,
    /// Eight sectors do, the first of which is aligned to 4 KiB.
    ZeroPage,
    /// Two sectors change places.
    SwapSectors,
    /// A sector reads as another one of the same file.
    CopySector,
    /// The end is cut off.
    Truncate,
}

impl Rot {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Bit, Self::Byte, Self::ZeroSector, Self::ZeroPage, Self::SwapSectors, Self::CopySector, Self::Truncate];
}

impl Image {
    /// A number that tells images apart.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.dirs.hash(&mut hasher);
        for (path, bytes) in &self.files {
            (path, bytes.fingerprint()).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Lets bytes below `end` of a file rot; gives the range of bytes that changed, or `None` if that changed nothing.
    ///
    /// # Panics
    ///
    /// If there is no such file, or `end` is 0.
    pub fn rot(&mut self, path: &Path, end: usize, rot: Rot, random: &mut Random) -> Option<std::ops::Range<usize>> {
        let file = self.files.get_mut(path).expect("BUG: rot in a file that is not there");
        let before = file.to_vec();
        let mut bytes = before.clone();
        let at = random.below(end as u64) as usize;
        let sector = at / SECTOR;
        let sectors = end.div_ceil(SECTOR) as u64;
        let within = |index: usize| index * SECTOR..((index + 1) * SECTOR).min(before.len());
        match rot {
            Rot::Bit => bytes[at] ^= 1 << random.below(8),
            Rot::Byte => bytes[at] = random.next_u64() as u8,
            Rot::ZeroSector => bytes[within(sector)].fill(0),
            Rot::ZeroPage => {
                let first = sector / 8 * 8;
                bytes[first * SECTOR..((first + 8) * SECTOR).min(before.len())].fill(0);
            }
            Rot::SwapSectors | Rot::CopySector => {
                let other = random.below(sectors) as usize;
                let len = within(sector).len().min(within(other).len());
                let (here, there) = (sector * SECTOR, other * SECTOR);
                bytes[here..here + len].copy_from_slice(&before[there..there + len]);
                if rot == Rot::SwapSectors {
                    bytes[there..there + len].copy_from_slice(&before[here..here + len]);
                }
            }
            Rot::Truncate => bytes.truncate(at),
        }
        let len = bytes.len();
        let differs = |index: &usize| bytes.get(*index) != before.get(*index);
        let first = (0..before.len()).find(differs)?;
        let last = (0..before.len()).rev().find(differs)?;
        *file = Sectors::of(&bytes);
        file.set_len(len);
        Some(first..last + 1)
    }
}
