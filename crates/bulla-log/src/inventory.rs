//! Which segment files a directory holds, and whether they are all there.
//!
//! # Invariants
//!
//! - I1. Listings come in any order and with foreign files among them; names alone decide what is a segment.
//! - I2. Files wholly below the floor are ignored: a prune whose unlinks were lost leaves them.
//! - I3. Opening looks at the oldest and the newest header; the numbers between them must all be there.

use crate::error::{LogError, io};
use crate::view::Sealed;
use bulla_segment::{NEXT_TEMPORARY, SegmentFile, parse_segment_file_name, segment_file_name};
use bulla_vfs::{Host, OpenMode};
use bulla_wire::{Position, SegmentNumber};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory inside a log's own where recovery sets bytes aside.
pub(crate) const QUARANTINE: &str = "quarantine";

/// The segment files of a log, in order.
#[derive(Debug)]
pub(crate) struct Inventory {
    pub(crate) dir: PathBuf,
    pub(crate) bases: Vec<Position>,
    /// Whether a creation left its temporary file.
    pub(crate) has_temporary: bool,
}

impl Inventory {
    pub(crate) fn read(host: &Host, dir: &Path) -> Result<Self, LogError> {
        let entries = host.fs.list(dir).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => LogError::NotFound { dir: dir.to_owned() },
            _ => io("list", dir)(error),
        })?;
        let mut bases: Vec<_> = entries.iter().filter_map(|entry| parse_segment_file_name(&entry.name)).collect();
        bases.sort_unstable();
        let has_temporary = entries.iter().any(|entry| entry.name == NEXT_TEMPORARY);
        Ok(Self { dir: dir.to_owned(), bases, has_temporary })
    }

    pub(crate) fn path(&self, base: Position) -> PathBuf {
        self.dir.join(segment_file_name(base))
    }

    pub(crate) fn newest(&self) -> Result<Position, LogError> {
        self.bases.last().copied().ok_or_else(|| LogError::NotFound { dir: self.dir.clone() })
    }

    /// The segment at `base`, whose header is unreadable, opened with what the header of the nearest readable one says
    /// of both; `None` if there is none or no frame bears it out.
    pub(crate) fn open_without_header(&self, host: &Host, base: Position) -> Result<Option<SegmentFile>, LogError> {
        let Some(at) = self.bases.iter().position(|found| *found == base) else { return Ok(None) };
        for distance in 1..self.bases.len() {
            let (below, above) = (at.checked_sub(distance), at.checked_add(distance));
            for (index, to_here) in [(below, u64::checked_add as fn(u64, u64) -> _), (above, u64::checked_sub)] {
                let Some(path) = index.and_then(|index| self.bases.get(index)).map(|base| self.path(*base)) else {
                    continue;
                };
                let Ok(neighbour) = SegmentFile::open(host, &path, OpenMode::Read) else { continue };
                let header = neighbour.header();
                let Some(number) = to_here(header.number.0, distance as u64) else { continue };
                let found = SegmentFile::open_without_header(host, &self.path(base), header, SegmentNumber(number))?;
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Forgets what lies wholly below the floor (I2).
    pub(crate) fn forget_below(&mut self, floor: Position) {
        self.bases.retain(|base| *base >= floor);
    }

    /// Forgets what lies wholly below the floor, and checks that no number is missing up to `newest`.
    pub(crate) fn check(&mut self, host: &Host, newest: &SegmentFile) -> Result<(), LogError> {
        let floor = newest.header().floor;
        self.forget_below(floor);
        let missing = |position| LogError::Missing { dir: self.dir.clone(), position };
        let oldest = self.bases.first().copied().ok_or_else(|| missing(floor))?;
        if oldest != floor {
            return Err(missing(floor));
        }
        let oldest = if oldest == newest.header().base {
            newest.clone()
        } else {
            SegmentFile::open(host, &self.path(oldest), OpenMode::Read)?
        };
        if oldest.header().log != newest.header().log {
            let what = format!("its segments belong to logs {} and {}", oldest.header().log, newest.header().log);
            return Err(LogError::Mismatch { dir: self.dir.clone(), what });
        }
        let between = newest.header().number.0.checked_sub(oldest.header().number.0);
        if between != Some(self.bases.len() as u64 - 1) {
            return Err(missing(self.first_missing(host, &oldest)?));
        }
        Ok(())
    }

    /// Where the gap in the numbers is. Looks at every header, since something is wrong already.
    fn first_missing(&self, host: &Host, oldest: &SegmentFile) -> Result<Position, LogError> {
        let mut expected = oldest.header().number.0;
        let mut end = oldest.header().base;
        for base in &self.bases {
            let segment = SegmentFile::open(host, &self.path(*base), OpenMode::Read)?;
            if segment.header().number.0 != expected {
                break;
            }
            expected = expected.saturating_add(1);
            end = segment.read_summary()?.map_or(*base, |summary| summary.footer.end);
        }
        Ok(end)
    }

    /// Every segment below `end` that begins below it, each reaching to the next one's base.
    pub(crate) fn sealed(&self, end: Position) -> Arc<[Arc<Sealed>]> {
        let ends = self.bases.iter().skip(1).copied().chain([end]);
        let all = self.bases.iter().zip(ends).filter(|(base, _)| **base < end);
        all.map(|(base, next)| Arc::new(Sealed::new(self.path(*base), *base..next.min(end)))).collect()
    }
}
