//! What can be asked of a log at one moment.

use crate::cursor::Cursor;
use crate::error::LogError;
use crate::query::{Item, Query, SegmentInfo};
use crate::tree::Hasher;
use crate::verified::Authenticator;
use crate::view::View;
use bulla_chain::{Frontier, Genesis, TreeHead};
use bulla_segment::SegmentFile;
use bulla_vfs::OpenMode;
use bulla_wire::{Kind, LogId, Position, Record, TimeBounds, WireError};
use std::sync::Arc;

/// A fixed readable view of a log.
///
/// It ends at what was published when it was made: records that reached the kernel. It takes no lock that a writer waits
/// on, never shows anything newer, and keeps the segments it needs. Cheap to clone.
///
/// # Examples
///
/// ```
/// use bulla_log::{AppendOptions, Durability, Item, Log, LogOptions, NewRow, Order, Query};
/// use bulla_vfs::Host;
/// use bulla_wire::{Kind, LogId, Position, SchemaId, Time};
/// use std::path::Path;
///
/// let log = Log::create(&Host::memory(), Path::new("/log"), LogId([1; 16]), &LogOptions::new())?;
/// let flushed = AppendOptions { durability: Durability::Flushed, ..AppendOptions::default() };
/// for time in [10, 20, 30] {
///     log.append(&NewRow { kind: Kind::ROW, time: Time(time), schema: SchemaId(0), payload: b"row" }, flushed)?;
/// }
/// let snapshot = log.snapshot();
/// log.append(&NewRow { kind: Kind::ROW, time: Time(40), schema: SchemaId(0), payload: b"later" }, flushed)?;
///
/// // Newest first, from time 15 on. What was appended since is not in the snapshot.
/// let query = Query { from_time: Some(Time(15)), order: Order::Descending, ..Query::new() };
/// let mut cursor = snapshot.cursor(&query);
/// let mut times = Vec::new();
/// while let Some(item) = cursor.next() {
///     if let Item::Record(record) = item? {
///         times.push(record.time.0);
///     }
/// }
/// assert_eq!(times, [30, 20]);
/// assert_eq!(snapshot.get(Position(1), |record| record.time)?, Some(Time(10)));
/// assert_eq!(snapshot.durable().end(), Position(1));
/// # Ok::<(), bulla_log::LogError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Snapshot {
    view: Arc<View>,
    end: Position,
    /// The head that records are held against before they are given out.
    trusted: Option<TreeHead>,
}

impl Snapshot {
    pub(crate) fn new(view: Arc<View>) -> Self {
        let end = view.end;
        Self { view, end, trusted: None }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Where a walk ends: behind the last record, or behind what is known to be lost there.
    pub(crate) fn reach(&self) -> Position {
        match &self.view.lost {
            Some(lost) if self.end == self.view.end => lost.end.max(self.end),
            _ => self.end,
        }
    }

    /// The log.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.view.shared.id
    }

    /// The first position still kept.
    #[must_use]
    pub fn floor(&self) -> Position {
        self.view.floor
    }

    /// The position after the last readable record.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// The position below which everything was synced when the snapshot was made.
    #[must_use]
    pub fn durable_end(&self) -> Position {
        self.view.durable_end
    }

    /// The same view, ending at its durable end.
    #[must_use]
    pub fn durable(&self) -> Self {
        Self { end: self.end.min(self.view.durable_end), ..self.clone() }
    }

    /// The same view, ending at `head`, of which cursors and [`get`](Self::get) give out only records that this head
    /// vouches for: each is hashed, and found at its position in the tree with this head, before it is returned.
    ///
    /// Reads a block of 256 records for the records of it, and tiles of the spine. That a query by time or kind leaves
    /// nothing out is not proven.
    ///
    /// # Errors
    ///
    /// [`LogError::NoSuchHead`] above the durable end, [`LogError::Unproven`] when the log never had this head, and
    /// whatever keeps its records from being read. Cursors fail with `Unproven` at a record that is another one.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulla_log::{AppendOptions, Item, Log, LogOptions, NewRow, Query, TreeHead};
    /// use bulla_vfs::Host;
    /// use bulla_wire::{Kind, LogId, SchemaId, Time};
    /// use std::path::Path;
    ///
    /// let log = Log::create(&Host::memory(), Path::new("/log"), LogId([1; 16]), &LogOptions::new())?;
    /// log.append(&NewRow { kind: Kind::ROW, time: Time(5), schema: SchemaId(0), payload: b"row" }, AppendOptions::default())?;
    /// let held = log.head()?; // Signed, and kept where nobody who can write the log can write.
    ///
    /// let proven = log.snapshot().verified(held)?;
    /// let mut cursor = proven.cursor(&Query::new());
    /// assert!(matches!(cursor.next(), Some(Ok(Item::Record(record))) if record.payload() == Some(b"row")));
    /// assert!(log.snapshot().verified(TreeHead { size: 1, ..held }).is_err());
    /// # Ok::<(), bulla_log::LogError>(())
    /// ```
    pub fn verified(&self, head: TreeHead) -> Result<Self, LogError> {
        let durable = self.durable();
        if head.size > durable.end.0 {
            return Err(LogError::NoSuchHead { asked: head.size, size: durable.end.0 });
        }
        Authenticator::new(Self { trusted: None, ..durable.clone() }, head).check_head()?;
        Ok(Self { end: Position(head.size), trusted: Some(head), ..durable })
    }

    /// What holds records against the head that is trusted, if one is.
    pub(crate) fn authenticator(&self) -> Option<Authenticator> {
        self.trusted.map(|head| Authenticator::new(Self { trusted: None, ..self.clone() }, head))
    }

    /// Whether the newest segment, or one that must have followed it, is known to be damaged: positions of it that were
    /// proven durable cannot be read, or its header cannot. What is wrong in older ones, a walk finds.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.view.lost.is_some()
    }

    /// A walk over the records that `query` asks for.
    #[must_use]
    pub fn cursor(&self, query: &Query) -> Cursor {
        Cursor::new(self.clone(), query.clone())
    }

    /// Hands the record at `position` to `read`; `None` at or above the end. Touches the frames of one index entry.
    ///
    /// # Errors
    ///
    /// [`LogError::Pruned`] below the floor, and whatever keeps the record from being read.
    pub fn get<R>(&self, position: Position, read: impl FnOnce(&Record<'_>) -> R) -> Result<Option<R>, LogError> {
        if position < self.floor() {
            return Err(LogError::Pruned { below: self.floor() });
        }
        // A walk that names gaps also reaches a record whose neighbours are damaged.
        let query = Query { from: Some(position), to: position.next(), engine: true, gaps: true, ..Query::new() };
        match self.cursor(&query).next().transpose()? {
            Some(Item::Record(record)) => Ok(Some(read(&record))),
            Some(Item::Gap(gap)) => Err(gap.cause),
            None => Ok(None),
        }
    }

    /// Facts of every segment, oldest first. Reads the footers that were not read before.
    ///
    /// # Errors
    ///
    /// [`LogError`] for a segment whose footer cannot be read.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>, LogError> {
        self.view.segments()
    }

    /// Bytes of all segment files, zeros written ahead included.
    ///
    /// # Errors
    ///
    /// As [`segments`](Self::segments).
    pub fn disk_bytes(&self) -> Result<u64, LogError> {
        Ok(self.segments()?.iter().map(|segment| segment.file_bytes).sum())
    }

    /// The caller's records between floor and published end.
    ///
    /// # Errors
    ///
    /// As [`segments`](Self::segments).
    pub fn caller_count(&self) -> Result<u64, LogError> {
        Ok(self.segments()?.iter().map(|segment| segment.caller_count).sum())
    }

    /// Bounds of the caller's records.
    ///
    /// # Errors
    ///
    /// As [`segments`](Self::segments).
    pub fn times(&self) -> Result<TimeBounds, LogError> {
        let mut times = TimeBounds::EMPTY;
        for segment in self.segments()? {
            times.merge(segment.times);
        }
        Ok(times)
    }

    /// The tree head over the first `size` positions. It hashes the records from the start of a segment up to there.
    ///
    /// # Errors
    ///
    /// [`LogError::NoSuchHead`] above the end, [`LogError::Pruned`] below the floor, and whatever keeps the records from
    /// being read.
    pub fn head_at(&self, size: Position) -> Result<TreeHead, LogError> {
        if size > self.end {
            return Err(LogError::NoSuchHead { asked: size.0, size: self.end.0 });
        }
        if size < self.floor() {
            return Err(LogError::Pruned { below: self.floor() });
        }
        Ok(self.frontier_at(size)?.head())
    }

    /// What the log says of itself in its first record.
    ///
    /// # Errors
    ///
    /// Whatever keeps the record from being read; [`LogError::Pruned`] once it was pruned.
    pub fn genesis(&self) -> Result<Genesis, LogError> {
        let dir = self.view().dir();
        let decoded = self.get(Position::ZERO, |record| match record.payload() {
            Some(payload) if record.kind == Kind::GENESIS => Some(Genesis::decode(payload)),
            _ => None,
        })?;
        match decoded.flatten() {
            Some(Ok(genesis)) => Ok(genesis),
            Some(Err(source)) => Err(LogError::EngineRecord { dir: dir.to_owned(), position: Position::ZERO, source }),
            None => {
                Err(LogError::Mismatch { dir: dir.to_owned(), what: "it begins without a genesis record".to_owned() })
            }
        }
    }

    pub(crate) fn frontier_at(&self, size: Position) -> Result<Frontier, LogError> {
        let active = self.view.active.as_ref().map(|active| &active.opened);
        let start = if let Some(opened) = active.filter(|opened| opened.positions.start <= size) {
            frontier_of(&opened.file)?
        } else {
            // The segment that holds the position, or the last one for the position behind it.
            let found = self.view.sealed.iter().rev().find(|sealed| sealed.positions.start <= size);
            let missing = || LogError::Missing { dir: self.view.dir().to_owned(), position: size };
            let found = found.ok_or_else(missing)?;
            frontier_of(&SegmentFile::open(&self.view.shared.host, &found.path, OpenMode::Read)?)?
        };
        let mut hasher = Hasher::new(start);
        catch_up(self, &mut hasher, size)?;
        Ok(hasher.frontier().clone())
    }
}

/// The frontier at a segment's base.
pub(crate) fn frontier_of(file: &SegmentFile) -> Result<Frontier, LogError> {
    let header = file.header();
    let frontier = Frontier::from_parts(header.base.0, &header.frontier);
    let frontier = frontier.ok().filter(|frontier| frontier.root().0 == header.root);
    frontier.ok_or_else(|| {
        let error =
            WireError::Invalid { what: "segment header", field: "root unlike its frontier at", value: header.base.0 };
        file.error_at(0, header.base, error).into()
    })
}

/// Hashes the records from where `hasher` stands up to `end`.
pub(crate) fn catch_up(snapshot: &Snapshot, hasher: &mut Hasher, end: Position) -> Result<(), LogError> {
    let query = Query { from: Some(hasher.next()), to: Some(end), engine: true, ..Query::new() };
    let mut cursor = snapshot.cursor(&query);
    while let Some(item) = cursor.next() {
        if let Item::Record(record) = item? {
            hasher.push(&record);
        }
    }
    Ok(())
}
