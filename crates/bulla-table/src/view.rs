//! The reading side of a table.

use crate::{Codec, CursorToken, Entry, Postcard, QueryBuilder, Raw, Schema, TableError, Tail};
use bulla_log::{LogError, Order, SegmentInfo, Snapshot, Source, TreeHead};
use bulla_wire::Position;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A table one can read, whoever writes it. Clones share it, and any number of threads may use it at once.
///
/// Queries and [`get`](Self::get) see what was flushed, in the state of the moment they are called in; only a
/// [`tail`](Self::tail) waits until rows are durable. Reading never holds up the writer.
///
/// # Errors
///
/// Every method that reads fails with [`TableError::Log`] when the log cannot be read: the system refused, or the bytes
/// it reads are damaged or of a newer format. Damage elsewhere in the log does not concern it.
pub struct View<T, C = Postcard> {
    pub(crate) source: Source,
    pub(crate) name: Arc<str>,
    pub(crate) schema: Schema<T>,
    /// The head that vouches for every row given out.
    trusted: Option<TreeHead>,
    codec: PhantomData<fn() -> C>,
}

/// A view of rows that are bytes, kept as they were received.
pub type RawView = View<Vec<u8>, Raw>;

impl<T, C> View<T, C> {
    /// A view of the log `source`. The name is for messages; the schema says how rows are read.
    pub fn new(source: Source, name: impl Into<Arc<str>>, schema: Schema<T>) -> Self {
        Self { source, name: name.into(), schema, trusted: None, codec: PhantomData }
    }

    /// The same view as far as `head` goes, of which every row is held against it before it is given out: `head` is one
    /// that the caller got from where nobody who can write the store can write, such as a checkpoint.
    ///
    /// Queries, [`get`](Self::get) and tails then fail with [`TableError::Log`] at a row that is not the one the head is
    /// over, whatever its checksums say, and end where the head ends. That a query by time leaves nothing out is not
    /// proven.
    ///
    /// # Errors
    ///
    /// See [`View`]; and when the log is shorter than the head, or never had it.
    pub fn verified(&self, head: TreeHead) -> Result<Self, TableError> {
        self.source.snapshot()?.verified(head)?;
        Ok(Self { trusted: Some(head), ..self.clone() })
    }

    /// Where a verified view ends.
    pub(crate) fn trusted_end(&self) -> Option<Position> {
        self.trusted.map(|head| Position(head.size))
    }

    /// The table's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The log below.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The schema rows are read as.
    pub fn schema(&self) -> &Schema<T> {
        &self.schema
    }

    /// Begins a query. Without any narrowing it yields every row, oldest first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bulla_table::{Durability, Log, LogId, Schema, Table, Time};
    /// # use std::{path::Path, sync::Arc};
    /// # let host = bulla_vfs::Host::memory();
    /// # let log = Log::create(&host, Path::new("/log"), LogId([1; 16]), &Default::default())?;
    /// # let table: Table<String> = Table::new(log, "doors", Schema::default(), Arc::new(|| Time(0)), Durability::Durable);
    /// use bulla_table::RowOptions;
    ///
    /// for (time, row) in [(10, "opened"), (30, "closed"), (20, "checked")] {
    ///     table.append_with(&row.to_owned(), &RowOptions::new().time(time))?;
    /// }
    /// // From 15 on, newest first: in the order of appending, whatever the times say.
    /// let rows = table.query().from_time(15).descending().iter()?;
    /// let found: Vec<String> = rows.map(|entry| Ok(entry?.row)).collect::<Result<_, bulla_table::TableError>>()?;
    /// assert_eq!(found, ["checked", "closed"]);
    /// # Ok::<(), bulla_table::TableError>(())
    /// ```
    pub fn query(&self) -> QueryBuilder<T, C> {
        QueryBuilder::new(self.clone())
    }

    /// Follows the table from position `from` on: what is there, then what comes. Begin at [`floor`](Self::floor) for
    /// everything, at [`durable_end`](Self::durable_end) for what is still to come.
    pub fn tail(&self, from: Position) -> Tail<T, C> {
        Tail::new(self.clone(), from)
    }

    /// The token of a walk that stands at `place`: for those who walk over a [`snapshot`](Self::snapshot) by themselves
    /// and hand out tokens as queries do. Oldest first, `place` is the first position still to look at; newest first, the
    /// one above it.
    #[must_use]
    pub fn token(&self, order: Order, place: Position) -> CursorToken {
        CursorToken { log: self.source.id(), order, edge: place }
    }

    /// Where the walk of `token` stood, in the sense of [`token`](Self::token).
    ///
    /// # Errors
    ///
    /// [`TableError::TokenOfOtherLog`] and [`TableError::TokenOfOtherOrder`] when it was not a walk over this table in
    /// this order.
    pub fn place(&self, order: Order, token: &CursorToken) -> Result<Position, TableError> {
        let log = self.source.id();
        if token.log != log {
            let table = Arc::clone(&self.name);
            return Err(TableError::TokenOfOtherLog { table, token: *token, found: token.log, expected: log });
        }
        if token.order != order {
            return Err(TableError::TokenOfOtherOrder { token: *token, found: token.order, expected: order });
        }
        Ok(token.edge)
    }

    /// How many rows are kept, erased ones included: those from the floor on, without the engine's own records. Costs
    /// one look at each segment's footer.
    ///
    /// # Errors
    ///
    /// See [`View`].
    pub fn len(&self) -> Result<u64, TableError> {
        Ok(self.snapshot()?.caller_count()?)
    }

    /// Whether no row is kept.
    ///
    /// # Errors
    ///
    /// See [`View`].
    pub fn is_empty(&self) -> Result<bool, TableError> {
        Ok(self.len()? == 0)
    }

    /// The tree head over everything below the durable end: what to keep elsewhere, and to ask for again with
    /// [`contains_head`](Self::contains_head).
    ///
    /// # Errors
    ///
    /// See [`View`].
    pub fn head(&self) -> Result<TreeHead, TableError> {
        Ok(match &self.source {
            Source::Writer(log) => log.head()?,
            Source::Reader(reader) => {
                let snapshot = reader.snapshot()?;
                snapshot.head_at(snapshot.durable_end())?
            }
        })
    }

    /// Whether the log is a continuation of the one that had `head`: its first `head.size` records are the same, in the
    /// same order. A log that is shorter by now is not.
    ///
    /// It hashes the records from the start of the segment that holds the head, and takes what that segment's header
    /// says of everything before it; a full verification checks that too.
    ///
    /// # Errors
    ///
    /// See [`View`]; and when the records that would tell were pruned.
    pub fn contains_head(&self, head: &TreeHead) -> Result<bool, TableError> {
        match self.snapshot()?.head_at(Position(head.size)) {
            Ok(found) => Ok(found == *head),
            Err(LogError::NoSuchHead { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The first position still kept.
    ///
    /// # Errors
    ///
    /// See [`View`].
    pub fn floor(&self) -> Result<Position, TableError> {
        Ok(self.snapshot()?.floor())
    }

    /// The position below which everything survives power loss.
    ///
    /// # Errors
    ///
    /// See [`View`].
    pub fn durable_end(&self) -> Result<Position, TableError> {
        Ok(self.snapshot()?.durable_end())
    }

    /// Bytes of all segment files.
    ///
    /// # Errors
    ///
    /// See [`View`].
    pub fn disk_bytes(&self) -> Result<u64, TableError> {
        Ok(self.snapshot()?.disk_bytes()?)
    }

    /// The segments, oldest first, each with the bounds of its positions and times.
    ///
    /// # Errors
    ///
    /// See [`View`].
    pub fn segments(&self) -> Result<Vec<SegmentInfo>, TableError> {
        Ok(self.snapshot()?.segments()?)
    }

    /// The log as it is now, for everything a table does not do.
    ///
    /// # Errors
    ///
    /// See [`View`].
    pub fn snapshot(&self) -> Result<Snapshot, TableError> {
        let snapshot = self.source.snapshot()?;
        Ok(match self.trusted {
            Some(head) => snapshot.verified(head)?,
            None => snapshot,
        })
    }
}

impl<T, C: Codec<T>> View<T, C> {
    /// The row at `position`, or `None` when the log does not reach that far or an engine record is there.
    ///
    /// # Errors
    ///
    /// Besides those of [`View`]: [`is_pruned`](TableError::is_pruned) below the floor, [`TableError::Redacted`] when the
    /// payload was erased, [`TableError::Decode`] and [`TableError::UnknownSchema`] when the bytes are not a row of this type.
    pub fn get(&self, position: Position) -> Result<Option<Entry<T>>, TableError> {
        let entry = self.snapshot()?.get(position, |record| {
            if record.kind.is_engine() {
                return Ok(None);
            }
            let erased = || TableError::Redacted { table: Arc::clone(&self.name), position };
            self.entry(record, record.payload().ok_or_else(erased)?).map(Some)
        })?;
        entry.unwrap_or(Ok(None))
    }

    /// Reads the row of a record whose payload is `payload`.
    pub(crate) fn entry(&self, record: &bulla_wire::Record<'_>, payload: &[u8]) -> Result<Entry<T>, TableError> {
        let &bulla_wire::Record { position, time, kind, schema, .. } = record;
        let row = self.schema.decode::<C>(&self.name, position, schema, payload)?;
        Ok(Entry { position, time, kind, schema, row })
    }
}

// Derived, these two would demand the same of `T` and `C`, of which a view holds none.
impl<T, C> Clone for View<T, C> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            name: Arc::clone(&self.name),
            schema: self.schema.clone(),
            trusted: self.trusted,
            codec: PhantomData,
        }
    }
}

impl<T, C> fmt::Debug for View<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("name", &self.name)
            .field("log", &self.source.id())
            .field("schema", &self.schema)
            .field("trusted", &self.trusted)
            .finish()
    }
}
