//! The bytes of one file in memory: what readers see, and what a crash would leave.

use std::collections::BTreeSet;
use std::io;
use std::mem;

/// How finely the difference between current and durable bytes is kept, so that a sync after a small append to a large
/// file costs little.
const PAGE_LEN: usize = 4096;

/// One file.
///
/// The durable bytes follow from the current ones at each sync: the same length, the dirty pages copied.
#[derive(Debug, Default)]
pub(super) struct FileNode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Numbers of the pages written since the last sync.
    dirty: BTreeSet<usize>,
    /// Whether a current name leads here.
    pub(super) is_linked: bool,
    /// How many open files and locks are held on it.
    pub(super) handle_count: usize,
}

impl FileNode {
    /// An empty file that a name leads to.
    pub(super) fn linked() -> FileNode {
        FileNode { is_linked: true, ..FileNode::default() }
    }

    /// The file as a crash leaves it.
    pub(super) fn after_crash(&self) -> FileNode {
        FileNode { bytes: self.durable.clone(), durable: self.durable.clone(), ..FileNode::linked() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Copies what there is at `offset`.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> usize {
        let rest = usize::try_from(offset).ok().and_then(|start| self.bytes.get(start..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        count
    }

    /// Writes as much as fits when the file may grow by `room`.
    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64, room: u64) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let fits = self.len().saturating_add(room).saturating_sub(offset);
        let bytes = bytes.get(..usize::try_from(fits).unwrap_or(usize::MAX)).unwrap_or(bytes);
        if bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = start.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.grow(end)?;
        if let Some(target) = self.bytes.get_mut(start..end) {
            target.copy_from_slice(bytes);
        }
        self.mark_dirty(start, end);
        Ok(bytes.len())
    }

    /// Cuts, or extends with zeros by at most `room`.
    pub(super) fn set_len(&mut self, len: u64, room: u64) -> io::Result<()> {
        if len.saturating_sub(self.len()) > room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.grow(len)?;
        self.bytes.truncate(len);
        Ok(())
    }

    /// Makes bytes and length durable.
    pub(super) fn sync(&mut self) {
        self.durable.resize(self.bytes.len(), 0);
        for page in mem::take(&mut self.dirty) {
            let start = page * PAGE_LEN;
            let end = self.bytes.len().min(start + PAGE_LEN);
            // A page may have been cut off after it was written.
            if let (Some(to), Some(from)) = (self.durable.get_mut(start..end), self.bytes.get(start..end)) {
                to.copy_from_slice(from);
            }
        }
    }

    fn grow(&mut self, len: usize) -> io::Result<()> {
        let old_len = self.bytes.len();
        if let Some(additional) = len.checked_sub(old_len).filter(|additional| *additional > 0) {
            self.bytes.try_reserve(additional).map_err(|_| io::ErrorKind::StorageFull)?;
            self.bytes.resize(len, 0);
            self.mark_dirty(old_len, len);
        }
        Ok(())
    }

    fn mark_dirty(&mut self, start: usize, end: usize) {
        self.dirty.extend(start / PAGE_LEN..end.div_ceil(PAGE_LEN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Random, SeededRandom};

    /// The durable bytes are those at the last sync, whatever was cut, grown and overwritten around page borders.
    #[test]
    fn a_sync_makes_exactly_the_current_bytes_durable() {
        for seed in 0..64 {
            let random = SeededRandom::new(seed);
            let below = |limit: u64| {
                let mut word = [0; 8];
                random.fill(&mut word).unwrap();
                u64::from_le_bytes(word) % limit
            };
            let (mut file, mut synced) = (FileNode::default(), Vec::new());
            for step in 0..200_u8 {
                match below(4) {
                    0 => file.set_len(below(20_000), u64::MAX).unwrap(),
                    1 => {
                        file.sync();
                        synced = file.bytes.clone();
                    }
                    _ => {
                        let bytes = vec![step; usize::try_from(below(6_000)).unwrap()];
                        assert_eq!(file.write_at(&bytes, below(20_000), u64::MAX).unwrap(), bytes.len());
                    }
                }
                assert_eq!(file.durable, synced, "seed {seed}, step {step}");
            }
        }
    }

    #[test]
    fn lengths_no_memory_holds_are_errors() {
        let mut file = FileNode::default();
        for result in [file.set_len(u64::MAX, u64::MAX), file.write_at(b"x", u64::MAX, u64::MAX).map(drop)] {
            assert!(crate::is_full(&result.unwrap_err()));
        }
        assert_eq!(file.len(), 0);
    }
}
