//! A log opened read-only: beside a live writer, after a crash, or on a medium that cannot be written.
//!
//! # Invariants
//!
//! - D1. It takes no lock, creates nothing and changes nothing.
//! - D2. A snapshot holds whole valid frames, durable or not; [`Snapshot::durable`] ends at the highest durable end that
//!   could be read.
//! - D3. A damaged log still opens: what validates can be read, also behind a bad place if it was proven durable, and in
//!   a segment without a readable header; the rest are gaps, segments that are missing included.
//! - D4. Looking again costs what was appended since, unless the writer recovered meanwhile.
//! - D5. A writer at work is never taken for damage: what looks damaged is looked at until two looks agree.

use crate::error::LogError;
use crate::inventory::Inventory;
use crate::snapshot::Snapshot;
use crate::view::{ActiveView, Opened, Shared, View};
use bulla_segment::{
    Active, Extent, FrameScanner, Hole, Newest, Salvage, Scanned, SegmentFile, Sequence, Stop, Tail, Verdict,
};
use bulla_vfs::sync::{Mutex, PoisonError};
use bulla_vfs::{Host, OpenMode};
use bulla_wire::{FRAME_HEADER_LEN, FrameHeader, LogId, Position, WireError};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// How often the log is looked at when a writer may have been at work on it.
const LOOKS_MAX: u32 = 3;
/// How often a tail is scanned while a writer adds to it faster than it can be read.
const SCANS_MAX: u32 = 16;

/// A log opened read-only. Needs no lock and creates nothing. Clones share what they have read.
///
/// # Examples
///
/// ```
/// use bulla_log::{AppendOptions, Durability, Log, LogOptions, LogReader, NewRow};
/// use bulla_vfs::Host;
/// use bulla_wire::{Kind, LogId, Position, SchemaId, Time};
/// use std::path::Path;
///
/// let (host, dir) = (Host::memory(), Path::new("/log"));
/// let log = Log::create(&host, dir, LogId([1; 16]), &LogOptions::new())?;
/// let reader = LogReader::open(&host, dir)?;
///
/// let row = NewRow { kind: Kind::ROW, time: Time(5), schema: SchemaId(0), payload: b"row" };
/// log.append(&row, AppendOptions { durability: Durability::Flushed, ..AppendOptions::default() })?;
/// // What is whole can be read; what is durable is known as well.
/// assert_eq!(reader.snapshot()?.end(), Position(2));
/// assert_eq!(reader.snapshot()?.durable().end(), Position(1));
/// log.sync()?;
/// assert_eq!(reader.snapshot()?.durable().end(), Position(2));
/// # Ok::<(), bulla_log::LogError>(())
/// ```
#[derive(Clone)]
pub struct LogReader {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    seen: Mutex<Seen>,
}

/// What the last look found.
struct Seen {
    bases: Vec<Position>,
    view: Arc<View>,
    growing: Option<Growing>,
}

/// An active segment, and how far it was read.
struct Growing {
    file: SegmentFile,
    extent: Extent,
    sequence: Sequence,
    /// Bad places between the frames of the extent.
    holes: Arc<[Hole]>,
    /// The last data frame, to notice that a recovery replaced it.
    last: Option<(u64, FrameHeader)>,
    /// What lay behind the last frame before a scan that found nothing new there, to notice at little cost that nothing
    /// changed. Nothing after any other scan: a write under way may show its header before its body.
    behind: Option<Vec<u8>>,
}

impl LogReader {
    /// Opens the log in `dir` for reading.
    ///
    /// # Errors
    ///
    /// [`LogError::NotFound`], a newer format, I/O failures, and damage if no segment at all has a readable header. Other
    /// damage is no error here: at the end of the log [`Snapshot::is_damaged`] says so, and a cursor finds the rest.
    pub fn open(host: &Host, dir: &Path) -> Result<Self, LogError> {
        let seen = look(host, dir, None)?;
        let shared = Arc::clone(&seen.view.shared);
        Ok(Self { inner: Arc::new(Inner { shared, seen: Mutex::new(seen) }) })
    }

    /// Which log this is.
    #[must_use]
    pub fn id(&self) -> LogId {
        self.inner.shared.id
    }

    /// Where its files are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.shared.dir
    }

    pub(crate) fn host(&self) -> &Host {
        &self.inner.shared.host
    }

    /// What is there now: looks at the directory, and reads on from where the last snapshot ended.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn snapshot(&self) -> Result<Snapshot, LogError> {
        let shared = &self.inner.shared;
        let mut seen = self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let inventory = Inventory::read(&shared.host, &shared.dir)?;
        let is_same = inventory.bases == seen.bases;
        if !is_same || !seen.grow(&shared.host)? {
            let mut again = look(&shared.host, &shared.dir, Some(shared))?;
            // What proved it may have been a mark, which is overwritten; what was durable stays so.
            let durable_end = seen.view.durable_end.min(again.view.end).max(again.view.durable_end);
            again.view = Arc::new(View { durable_end, ..View::clone(&again.view) });
            *seen = again;
        }
        Ok(Snapshot::new(Arc::clone(&seen.view)))
    }
}

/// Reads the log's end from the beginning of its newest segment, again if a file came or went between the listing and its
/// opening (D5).
fn look(host: &Host, dir: &Path, shared: Option<&Arc<Shared>>) -> Result<Seen, LogError> {
    let mut looks = 1..LOOKS_MAX;
    loop {
        match look_once(host, dir, shared) {
            Err(error) if error.is_damage() && looks.next().is_some() => {}
            seen => return seen,
        }
    }
}

fn look_once(host: &Host, dir: &Path, shared: Option<&Arc<Shared>>) -> Result<Seen, LogError> {
    let mut inventory = Inventory::read(host, dir)?;
    let bases = inventory.bases.clone();
    let (file, unreadable) = newest_readable(host, &mut inventory)?;
    inventory.forget_below(file.header().floor);
    let id = file.header().log;
    let shared = match shared {
        Some(shared) if shared.id == id => Arc::clone(shared),
        Some(shared) => {
            let what = format!("it was log {} and is now {id}", shared.id);
            return Err(LogError::Mismatch { dir: dir.to_owned(), what });
        }
        None => Shared::new(host.clone(), dir.to_owned(), id),
    };
    let floor = file.header().floor;
    let view = |end, durable_end, active, lost, sealed_end| View {
        shared: Arc::clone(&shared),
        sealed: inventory.sealed(sealed_end),
        active,
        floor,
        end,
        durable_end,
        lost,
    };
    if let Some(lost) = unreadable {
        // That later segments were begun proves everything before them durable.
        let end = lost.start;
        return Ok(Seen { bases, view: Arc::new(view(end, end, None, Some(lost), end)), growing: None });
    }
    let base = file.header().base;
    let header_lost = file.header_error().map(|_| base..base);
    if let Some(summary) = file.read_summary()? {
        let end = summary.footer.end;
        // A page that cannot be read is what a crash leaves of an index, or damage of it alone: the frames are scanned
        // instead.
        let active = Active::from_close(file.clone(), &summary);
        if summary.is_sealed && active.is_ok() {
            return Ok(Seen { bases, view: Arc::new(view(end, end, None, header_lost, end)), growing: None });
        }
        if let Ok(active) = active {
            let sequence = Sequence::after_close(end, summary.epoch);
            let growing = Growing::new(file, active.extent, Arc::default(), sequence)?;
            let view = view(end, end, Some(growing.view(end)), header_lost, base);
            return Ok(Seen { bases, view: Arc::new(view), growing: Some(growing) });
        }
    }
    let (tail, lost) = steady_tail(&file)?;
    // A footer may be there, with zeros behind it that a rotation has not cut yet, or never will if it was killed. A
    // footer is found by the end of its file, so the records are read without it.
    let proven = tail.proven_end(Position::ZERO);
    let (extent, holes) = match &lost {
        Some(lost) => {
            let salvage = Salvage::scan(&file, &tail, lost.end)?;
            (salvage.extent, salvage.holes.into())
        }
        None => (tail.extent, Arc::default()),
    };
    let end = extent.end;
    let growing = Growing::new(file, extent, holes, tail.sequence)?;
    let lost = lost.or(header_lost);
    let reach = lost.as_ref().map_or(end, |lost| lost.end.max(end));
    let view = view(end, proven.min(end), Some(growing.view(reach)), lost, base);
    Ok(Seen { bases, view: Arc::new(view), growing: Some(growing) })
}

/// The newest segment whose header can be read, and from where on positions are known to be lost with later ones. Forgets
/// the later ones.
fn newest_readable(host: &Host, inventory: &mut Inventory) -> Result<(SegmentFile, Option<Range<Position>>), LogError> {
    let newest = inventory.newest()?;
    let mut lost: Option<Range<Position>> = None;
    let mut first_error = None;
    while let Some(base) = inventory.bases.last().copied() {
        match SegmentFile::open_newest(host, &inventory.path(base), OpenMode::Read) {
            Ok(Newest::Whole(file)) => return Ok((file, lost)),
            // Nothing was in it yet.
            Ok(Newest::Interrupted) if base == newest => {}
            Ok(Newest::Interrupted) => lost = Some(base..newest.next().unwrap_or(newest)),
            Err(error) if error.is_damage() => {
                if let Some(file) = inventory.open_without_header(host, base)? {
                    return Ok((file, lost));
                }
                lost = Some(base..newest.next().unwrap_or(newest));
                first_error.get_or_insert(error);
            }
            Err(error) if error.is_not_found() => {
                return Err(LogError::Missing { dir: inventory.dir.clone(), position: base });
            }
            Err(error) => return Err(error.into()),
        }
        inventory.bases.pop();
    }
    Err(first_error.map_or_else(|| LogError::NotFound { dir: inventory.dir.clone() }, LogError::from))
}

/// Scans a tail, and says what is lost of it. What a writer at work makes look damaged was read by the next scan, so it
/// is lost only if two scans in a row end there (D5).
fn steady_tail(file: &SegmentFile) -> Result<(Tail, Option<Range<Position>>), LogError> {
    let mut before = None;
    for _ in 0..SCANS_MAX {
        let tail = Tail::scan(file)?;
        match tail.verdict(Position::ZERO) {
            Verdict::Damaged { lost } if before == Some(lost.start) => return Ok((tail, Some(lost))),
            Verdict::Damaged { lost } => before = Some(lost.start),
            _ => return Ok((tail, None)),
        }
    }
    // Every scan came further than the one before, so this one is as good as any.
    Ok((Tail::scan(file)?, None))
}

impl Seen {
    /// Reads on in the active segment; `false` if it is not what it was, so that everything must be looked at again.
    fn grow(&mut self, host: &Host) -> Result<bool, LogError> {
        let Some(growing) = &mut self.growing else {
            // Nothing grows behind a footer, but a newest segment that could not be read may have become one that can.
            let newest = self.view.sealed.last().map(|sealed| sealed.positions.start);
            return Ok(self.bases.last().copied() == newest);
        };
        // A writer's work may have been taken for damage.
        if self.view.lost.is_some() {
            return Ok(false);
        }
        let behind = growing.look_behind()?;
        if growing.behind.as_ref() == Some(&behind) {
            return Ok(true);
        }
        // The name may belong to another file by now, if a pack or a recovery replaced it.
        let current = match SegmentFile::open(host, growing.file.path(), OpenMode::Read) {
            Err(error) if error.is_damage() || error.is_not_found() => return Ok(false),
            opened => opened?,
        };
        if current.header() != growing.file.header() {
            return Ok(false);
        }
        growing.file = current;
        if !growing.is_unchanged()? {
            return Ok(false);
        }
        let tail = Tail::scan_from(&growing.file, growing.extent.clone(), growing.sequence.clone())?;
        if matches!(tail.verdict(Position::ZERO), Verdict::Damaged { .. }) {
            return Ok(false);
        }
        if let Stop::Summary(summary) = &tail.stop
            && summary.is_sealed
            && growing.file.read_summary()?.is_some()
        {
            return Ok(false);
        }
        let (end, durable_end) = (tail.end(), tail.proven_end(Position::ZERO));
        let is_steady = tail.extent.end_offset == growing.extent.end_offset && !matches!(tail.stop, Stop::Invalid(_));
        growing.behind = is_steady.then_some(behind);
        growing.extent = tail.extent;
        growing.sequence = tail.sequence;
        growing.find_last()?;
        let mut view = View::clone(&self.view);
        view.active = Some(growing.view(end));
        view.end = end;
        view.durable_end = durable_end.min(end);
        self.view = Arc::new(view);
        Ok(true)
    }
}

impl Growing {
    fn new(file: SegmentFile, extent: Extent, holes: Arc<[Hole]>, sequence: Sequence) -> Result<Self, LogError> {
        let mut growing = Self { file, extent, sequence, holes, last: None, behind: None };
        growing.find_last()?;
        Ok(growing)
    }

    fn view(&self, reach: Position) -> ActiveView {
        let positions = self.file.header().base..reach;
        let holes = Arc::clone(&self.holes);
        let opened = Opened::in_memory(self.file.clone(), &self.extent, holes, positions, self.extent.end_offset);
        ActiveView { opened: Arc::new(opened), tally: self.extent.tally }
    }

    /// Finds the last data frame, from the last entry of the index on.
    fn find_last(&mut self) -> Result<(), LogError> {
        let Some(entry) = self.extent.entries().last() else { return Ok(()) };
        let mut scanner = FrameScanner::new(&self.file, entry.offset)?;
        self.last = None;
        while scanner.offset() < self.extent.end_offset {
            match scanner.next_frame()? {
                Scanned::Frame { offset, header, .. } => self.last = Some((offset, header)),
                Scanned::End | Scanned::Zeros | Scanned::Invalid { .. } => break,
            }
        }
        Ok(())
    }

    fn is_unchanged(&self) -> Result<bool, LogError> {
        let Some((offset, header)) = &self.last else { return Ok(true) };
        let mut bytes = [0; FRAME_HEADER_LEN as usize];
        let len = self.file.read_up_to(&mut bytes, *offset)?;
        let found: Result<_, WireError> =
            FrameHeader::decode(bytes.get(..len).unwrap_or_default(), self.file.seed(), *offset);
        Ok(found.as_ref() == Ok(header))
    }

    fn look_behind(&self) -> Result<Vec<u8>, LogError> {
        let mut behind = vec![0; FRAME_HEADER_LEN as usize];
        let len = self.file.read_up_to(&mut behind, self.extent.end_offset)?;
        behind.truncate(len);
        Ok(behind)
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader").field("id", &self.id()).field("dir", &self.dir()).finish_non_exhaustive()
    }
}
