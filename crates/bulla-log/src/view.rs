//! A fixed readable view of a log: its segments, how far they reach, and where their indexes are.
//!
//! # Invariants
//!
//! - V1. A view never changes. The writer publishes a new one; readers share the old ones (law L7).
//! - V2. Nothing at or beyond a view's end is yielded, whatever the files hold by now.
//! - V3. Bounds of a sealed segment are read once and kept: 16 bytes each. Its pages are read when needed and not kept.

use crate::error::LogError;
use crate::inventory::Inventory;
use crate::query::SegmentInfo;
use bulla_segment::{Extent, Hole, Salvage, SegmentError, SegmentFile, Tail, Tally, segment_file_name};
use bulla_vfs::sync::{Mutex, PoisonError};
use bulla_vfs::{Host, OpenMode};
use bulla_wire::{Footer, IndexEntry, LogId, PageRef, Position, SegmentNumber, WireError};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Sealed segments kept open for the next reader.
const OPEN_SEGMENTS_MAX: usize = 16;

/// What a log is at one moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) shared: Arc<Shared>,
    /// Every segment but the active one, in order.
    pub(crate) sealed: Arc<[Arc<Sealed>]>,
    pub(crate) active: Option<ActiveView>,
    pub(crate) floor: Position,
    pub(crate) end: Position,
    pub(crate) durable_end: Position,
    /// Positions of the newest segment, or above it, that were proven durable and cannot be read: from the first to the
    /// last, whatever can be read between. Empty if only its header cannot be read.
    pub(crate) lost: Option<Range<Position>>,
}

/// What all views of a log share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) host: Host,
    pub(crate) dir: PathBuf,
    pub(crate) id: LogId,
    open: Mutex<Vec<Arc<Opened>>>,
    /// Whether somebody missed a node in the spine, or found a wrong one.
    is_spine_doubted: AtomicBool,
}

/// A segment other than the active one, known by its name alone until it is read.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) path: PathBuf,
    pub(crate) positions: Range<Position>,
    facts: OnceLock<SegmentInfo>,
}

/// A segment open for reading, with the way to its index.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: SegmentFile,
    pub(crate) positions: Range<Position>,
    /// Where what can be read ends: before the positions do if the rest is lost.
    pub(crate) readable_end: Position,
    /// Where the data frames end.
    pub(crate) data_end: u64,
    pub(crate) index: Index,
    /// Whether the header or the index was made up for.
    pub(crate) is_salvaged: bool,
}

/// Where the index of a segment is.
#[derive(Debug)]
pub(crate) enum Index {
    /// In pages of the file, named by the footer.
    Footer(Box<Footer>),
    /// In memory: full pages, and the last, partial one. Entries may stand for holes.
    Memory { pages: Vec<Arc<[IndexEntry]>>, refs: OnceLock<Vec<PageRef>>, holes: Arc<[Hole]> },
}

/// The active segment as far as it was published.
#[derive(Clone, Debug)]
pub(crate) struct ActiveView {
    pub(crate) opened: Arc<Opened>,
    pub(crate) tally: Tally,
}

impl Shared {
    pub(crate) fn new(host: Host, dir: PathBuf, id: LogId) -> Arc<Self> {
        Arc::new(Self { host, dir, id, open: Mutex::new(Vec::new()), is_spine_doubted: AtomicBool::new(false) })
    }

    /// The spine is to be written anew by whoever may.
    pub(crate) fn doubt_spine(&self) {
        self.is_spine_doubted.store(true, Ordering::Relaxed);
    }

    /// Whether the spine was doubted since this was last asked.
    pub(crate) fn take_spine_doubt(&self) -> bool {
        self.is_spine_doubted.swap(false, Ordering::Relaxed)
    }

    /// Opens a sealed segment, or finds it still open from the last time; `bytes_read` counts what that took.
    /// `lenient` accepts a segment whose header or footer is unreadable, the latter by scanning its frames.
    pub(crate) fn open(&self, sealed: &Sealed, lenient: bool, bytes_read: &mut u64) -> Result<Arc<Opened>, LogError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) =
            open.iter().position(|opened| opened.positions == sealed.positions && (lenient || !opened.is_salvaged))
        {
            let opened = open.remove(found);
            open.push(Arc::clone(&opened));
            return Ok(opened);
        }
        // The lock is not held while the disk is read: it may take long, and others have their own segments to open.
        drop(open);
        Ok(self.keep(self.read_sealed(sealed, lenient, bytes_read)?))
    }

    /// Keeps a segment open for the next reader, in place of an earlier opening.
    fn keep(&self, opened: Opened) -> Arc<Opened> {
        let opened = Arc::new(opened);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| other.positions != opened.positions);
        if open.len() >= OPEN_SEGMENTS_MAX {
            open.remove(0);
        }
        open.push(Arc::clone(&opened));
        opened
    }

    /// Opens again by scanning its frames a segment whose index turned out to be unreadable.
    pub(crate) fn salvage(&self, opened: &Opened, bytes_read: &mut u64) -> Result<Arc<Opened>, LogError> {
        Ok(self.keep(Opened::salvaged(opened.file.clone(), opened.positions.clone(), bytes_read)?))
    }

    /// The file of a sealed segment; `lenient` accepts an unreadable header.
    fn open_file(&self, sealed: &Sealed, lenient: bool) -> Result<SegmentFile, LogError> {
        let error = match SegmentFile::open(&self.host, &sealed.path, OpenMode::Read) {
            Err(error) if error.is_not_found() => {
                return Err(LogError::Missing { dir: self.dir.clone(), position: sealed.positions.start });
            }
            Err(error) if lenient && error.is_damage() => error,
            opened => return Ok(opened?),
        };
        let inventory = Inventory::read(&self.host, &self.dir)?;
        inventory.open_without_header(&self.host, sealed.positions.start)?.ok_or_else(|| error.into())
    }

    fn read_sealed(&self, sealed: &Sealed, lenient: bool, bytes_read: &mut u64) -> Result<Opened, LogError> {
        let file = self.open_file(sealed, lenient)?;
        *bytes_read += file.frames_offset();
        let no_footer =
            |value| WireError::Invalid { what: "footer", field: "end position unlike the next base", value };
        let found = if file.header().log == self.id {
            match file.read_summary()? {
                Some(summary) if summary.footer.end == sealed.positions.end => Ok(summary.footer),
                Some(summary) => Err(no_footer(summary.footer.end.0)),
                None => Err(WireError::Magic { what: "footer" }),
            }
        } else {
            let name = segment_file_name(sealed.positions.start);
            let what = format!("segment {name} belongs to log {}", file.header().log);
            return Err(LogError::Mismatch { dir: self.dir.clone(), what });
        };
        match found {
            Ok(footer) => {
                *bytes_read += file.file_len()?.saturating_sub(footer.offset);
                let positions = sealed.positions.clone();
                let (data_end, readable_end) = (footer.data_end, footer.end);
                let (is_salvaged, index) = (file.header_error().is_some(), Index::Footer(Box::new(footer)));
                Ok(Opened { file, positions, readable_end, data_end, index, is_salvaged })
            }
            Err(_) if lenient => Opened::salvaged(file, sealed.positions.clone(), bytes_read),
            Err(error) => {
                let len = file.file_len()?;
                Err(file.error_at(len, sealed.positions.start, error).into())
            }
        }
    }
}

impl Sealed {
    pub(crate) fn new(path: PathBuf, positions: Range<Position>) -> Self {
        Self { path, positions, facts: OnceLock::new() }
    }

    /// What the footer says; read once.
    pub(crate) fn facts(&self, shared: &Shared, bytes_read: &mut u64) -> Result<&SegmentInfo, LogError> {
        if let Some(facts) = self.facts.get() {
            return Ok(facts);
        }
        let opened = shared.open(self, false, bytes_read)?;
        let Index::Footer(footer) = &opened.index else {
            let error =
                opened.file.error_at(opened.data_end, opened.positions.start, WireError::Magic { what: "footer" });
            return Err(error.into());
        };
        let tally =
            Tally { caller_count: footer.caller_count, payload_bytes: footer.payload_bytes, times: footer.times };
        let info = opened.info(opened.positions.clone(), &tally, true)?;
        Ok(self.facts.get_or_init(|| info))
    }
}

impl Opened {
    /// A segment whose index is in memory. The extent may hold frames beyond `data_end`, which are not there yet;
    /// `positions` may reach beyond what the extent holds: the rest is lost.
    pub(crate) fn in_memory(
        file: SegmentFile,
        extent: &Extent,
        holes: Arc<[Hole]>,
        positions: Range<Position>,
        data_end: u64,
    ) -> Self {
        let (full, last) = extent.index();
        let mut pages = full.to_vec();
        if !last.is_empty() {
            pages.push(last.into());
        }
        let readable_end = extent.end.min(positions.end);
        let (is_salvaged, index) =
            (file.header_error().is_some(), Index::Memory { pages, refs: OnceLock::new(), holes });
        Self { file, positions, readable_end, data_end, index, is_salvaged }
    }

    /// A sealed segment without its footer: whatever frames of it are valid, since all of it was durable.
    fn salvaged(file: SegmentFile, positions: Range<Position>, bytes_read: &mut u64) -> Result<Self, LogError> {
        let tail = Tail::scan(&file)?;
        let salvage = Salvage::scan(&file, &tail, positions.end)?;
        *bytes_read += tail.bytes_read + salvage.bytes_read;
        let data_end = salvage.extent.end_offset;
        let opened = Self::in_memory(file, &salvage.extent, salvage.holes.into(), positions, data_end);
        Ok(Self { is_salvaged: true, ..opened })
    }

    /// The hole between frames that ends at this offset.
    pub(crate) fn hole_before(&self, offset: u64) -> Option<&Hole> {
        let Index::Memory { holes, .. } = &self.index else { return None };
        let found = holes.binary_search_by_key(&offset, |hole| hole.offsets.end).ok()?;
        holes.get(found)
    }

    /// The pages of the index.
    pub(crate) fn pages(&self) -> &[PageRef] {
        match &self.index {
            Index::Footer(footer) => &footer.pages,
            // Pages in memory have no place in the file; their ordinal stands in for it.
            Index::Memory { pages, refs, .. } => refs.get_or_init(|| {
                pages.iter().zip(0..).filter_map(|(page, ordinal)| PageRef::of(page, ordinal)).collect()
            }),
        }
    }

    /// The entries of the page with this ordinal; a page in the file adds to the counts.
    pub(crate) fn page(&self, ordinal: usize, stats: &mut crate::ReadStats) -> Result<Arc<[IndexEntry]>, SegmentError> {
        match &self.index {
            Index::Memory { pages, .. } => Ok(pages.get(ordinal).cloned().unwrap_or_default()),
            Index::Footer(footer) => {
                let Some(page) = footer.pages.get(ordinal) else { return Ok(Arc::default()) };
                stats.index_pages_read += 1;
                stats.bytes_read +=
                    bulla_wire::FRAME_HEADER_LEN + u64::from(page.entry_count) * u64::from(bulla_wire::INDEX_ENTRY_LEN);
                self.file.read_page(page).map(Arc::from)
            }
        }
    }

    fn info(&self, positions: Range<Position>, tally: &Tally, is_sealed: bool) -> Result<SegmentInfo, LogError> {
        Ok(SegmentInfo {
            number: self.file.header().number,
            path: self.file.path().to_owned(),
            positions,
            caller_count: tally.caller_count,
            payload_bytes: tally.payload_bytes,
            times: tally.times,
            file_bytes: self.file.file_len()?,
            is_sealed,
        })
    }
}

impl View {
    /// Facts of every segment, the active one last.
    pub(crate) fn segments(&self) -> Result<Vec<SegmentInfo>, LogError> {
        let mut infos = Vec::with_capacity(self.sealed.len() + 1);
        for sealed in &*self.sealed {
            infos.push(sealed.facts(&self.shared, &mut 0)?.clone());
        }
        if let Some(active) = &self.active {
            infos.push(active.opened.info(active.opened.positions.start..self.end, &active.tally, false)?);
        }
        Ok(infos)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The positions around `at` that no segment holds.
    pub(crate) fn uncovered(&self, at: Position) -> Range<Position> {
        let active = self.active.as_ref().map(|active| &active.opened.positions);
        let all = || self.sealed.iter().map(|sealed| &sealed.positions).chain(active);
        let start = all().map(|positions| positions.end).filter(|end| *end <= at).max();
        let end = all().map(|positions| positions.start).filter(|start| *start > at).min();
        start.unwrap_or(self.floor)..end.unwrap_or(Position(u64::MAX))
    }
}

/// The number after `number`, or the error that there is none.
pub(crate) fn next_number(dir: &Path, number: SegmentNumber) -> Result<SegmentNumber, LogError> {
    let next = number.0.checked_add(1).map(SegmentNumber);
    next.ok_or_else(|| LogError::Exhausted { dir: dir.to_owned(), what: "segment number" })
}
