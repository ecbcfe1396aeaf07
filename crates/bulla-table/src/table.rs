//! The writing side of a table.

use crate::{Codec, Postcard, Raw, RowOptions, Schema, TableError, View};
use bulla_log::{AppendOptions, Durability, Log, LogError, NewRow, Source, Ticket};
use bulla_wire::limits::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX};
use bulla_wire::{Position, Time};
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Where the time of a row comes from when its writer gives none.
type RowClock = Arc<dyn Fn() -> Time + Send + Sync>;

/// A table one can append to, and, being a [`View`], read. Clones share the log, and any number of threads may use it at
/// once; their commits are gathered.
///
/// # Durability
///
/// What an append survives once it returned is said by the [`Durability`] of the call, or else of the table.
///
/// # Errors
///
/// Every method that appends fails with [`TableError::Encode`] when a row has no bytes, with [`TableError::Log`] when a
/// row or batch exceeds a limit, the kind is the engine's, the disk is full ([`is_full`](TableError::is_full)) or the
/// condition on the position does not hold ([`is_conflict`](TableError::is_conflict)): nothing was appended then, and the
/// table still takes rows. When a write or sync failed, it is not known what the disk holds, and the log takes nothing
/// until it is opened again ([`is_poisoned`](TableError::is_poisoned)).
///
/// # Examples
///
/// ```
/// use bulla_table::{Durability, Log, LogId, RowOptions, Schema, Table, Time};
/// use bulla_vfs::Host;
/// use serde::{Deserialize, Serialize};
/// use std::{path::Path, sync::Arc};
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct Login { user: String, successful: bool }
///
/// let host = Host::memory();
/// let log = Log::create(&host, Path::new("/logins"), LogId([7; 16]), &Default::default())?;
/// let clock = Arc::clone(&host.clock);
/// let logins: Table<Login> =
///     Table::new(log, "logins", Schema::default(), Arc::new(move || Time(clock.now())), Durability::Durable);
///
/// let position = logins.append(&Login { user: "ada".into(), successful: true })?;
/// assert_eq!(logins.get(position)?.expect("it is durable").row.user, "ada");
///
/// // When it happened, and that nothing else has happened in between:
/// let options = RowOptions::new().time(1_700_000_000_000_000_000).expect_next(position);
/// let error = logins.append_with(&Login { user: "eve".into(), successful: false }, &options).expect_err("taken");
/// assert!(error.is_conflict());
/// assert_eq!(logins.len()?, 1);
/// # Ok::<(), bulla_table::TableError>(())
/// ```
pub struct Table<T, C = Postcard> {
    view: View<T, C>,
    log: Log,
    clock: RowClock,
    durability: Durability,
}

/// A table of rows that are bytes, kept as they were received.
pub type RawTable = Table<Vec<u8>, Raw>;

impl<T, C> Table<T, C> {
    /// A table of the rows of `log`. The name is for messages. `clock` gives the time of a row, and `durability` says
    /// what an append waits for, unless the caller of the append says so.
    pub fn new(
        log: Log,
        name: impl Into<Arc<str>>,
        schema: Schema<T>,
        clock: RowClock,
        durability: Durability,
    ) -> Self {
        Self { view: View::new(Source::Writer(log.clone()), name, schema), log, clock, durability }
    }

    /// Hands what was appended to the kernel.
    ///
    /// # Durability
    ///
    /// Everything appended before survives the end of this process, not power loss.
    ///
    /// # Errors
    ///
    /// As appending.
    pub fn flush(&self) -> Result<(), TableError> {
        Ok(self.log.flush()?)
    }

    /// Makes what was appended durable.
    ///
    /// # Durability
    ///
    /// Everything appended before survives power loss.
    ///
    /// # Errors
    ///
    /// As appending.
    pub fn sync(&self) -> Result<(), TableError> {
        Ok(self.log.sync()?)
    }

    /// Seals the active segment and begins the next.
    ///
    /// # Durability
    ///
    /// Everything appended before, and the new segment, survive power loss.
    ///
    /// # Errors
    ///
    /// As appending.
    pub fn rotate(&self) -> Result<(), TableError> {
        Ok(self.log.rotate()?)
    }

    /// Where the next record goes: what to expect in [`RowOptions::expect_next`]. The engine's own records take
    /// positions too.
    #[must_use]
    pub fn next_position(&self) -> Position {
        self.log.next_position()
    }

    /// Whether an earlier failure stopped the log from taking rows.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.log.is_poisoned()
    }

    /// The log below.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The reading side, for those who must not append.
    #[must_use]
    pub fn view(&self) -> &View<T, C> {
        &self.view
    }

    fn append_options(&self, options: &RowOptions) -> AppendOptions {
        AppendOptions { durability: options.durability.unwrap_or(self.durability), expected: options.expected }
    }

    /// The time of a row: the caller's, or else the clock's.
    fn time(&self, options: &RowOptions) -> Time {
        options.time.unwrap_or_else(|| (self.clock)())
    }
}

impl<T, C: Codec<T>> Table<T, C> {
    /// Appends a row and gives its position.
    ///
    /// # Errors
    ///
    /// See [`Table`].
    pub fn append(&self, row: &T) -> Result<Position, TableError> {
        self.append_with(row, &RowOptions::new())
    }

    /// Appends a row with a time, kind, durability or condition of the caller's.
    ///
    /// # Errors
    ///
    /// See [`Table`].
    pub fn append_with(&self, row: &T, options: &RowOptions) -> Result<Position, TableError> {
        let payload = self.encode(row)?;
        Ok(self.log.append(&self.new_row(&payload, self.time(options), options), self.append_options(options))?)
    }

    /// Appends all rows or none, at consecutive positions. They share one time, the clock's.
    ///
    /// Limits: the payloads of a batch are together at most 16 MiB, unless it is a single larger row.
    ///
    /// # Errors
    ///
    /// See [`Table`].
    pub fn append_batch<'a>(&self, rows: impl IntoIterator<Item = &'a T>) -> Result<Range<Position>, TableError>
    where
        T: 'a,
    {
        self.append_batch_with(rows, &RowOptions::new())
    }

    /// As [`append_batch`](Self::append_batch), with a time, kind, durability or condition of the caller's. The condition
    /// is on the first position.
    ///
    /// # Errors
    ///
    /// See [`Table`].
    pub fn append_batch_with<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a T>,
        options: &RowOptions,
    ) -> Result<Range<Position>, TableError>
    where
        T: 'a,
    {
        let time = self.time(options);
        self.append_batch_at(rows.into_iter().map(|row| (time, row)), options)
    }

    /// As [`append_batch_with`](Self::append_batch_with), each row with a time of its own; the one in `options` is not
    /// used.
    ///
    /// # Errors
    ///
    /// See [`Table`].
    pub fn append_batch_at<'a>(
        &self,
        rows: impl IntoIterator<Item = (Time, &'a T)>,
        options: &RowOptions,
    ) -> Result<Range<Position>, TableError>
    where
        T: 'a,
    {
        let (mut payloads, mut ends) = (Vec::new(), Vec::new());
        for (time, row) in rows {
            self.encode_into(row, &mut payloads)?;
            ends.push((time, payloads.len()));
            // The log refuses such a batch; refusing it here too keeps an endless iterator from filling the memory.
            let (bytes, count) = (payloads.len() as u64, ends.len() as u64);
            if bytes > BATCH_BYTES_MAX && count > 1 {
                return Err(LogError::TooLarge { what: "batch in bytes", len: bytes, max: BATCH_BYTES_MAX }.into());
            }
            if count > BATCH_RECORDS_MAX {
                return Err(LogError::TooLarge { what: "batch in rows", len: count, max: BATCH_RECORDS_MAX }.into());
            }
        }
        let mut rest = payloads.as_slice();
        let mut start = 0;
        let mut batch = Vec::with_capacity(ends.len());
        for (time, end) in ends {
            let (payload, after) = rest.split_at_checked(end - start).unwrap_or((rest, &[]));
            batch.push(self.new_row(payload, time, options));
            (rest, start) = (after, end);
        }
        Ok(self.log.append_batch(&batch, self.append_options(options))?)
    }

    /// Appends a row without waiting for anything, and gives a ticket to wait on.
    ///
    /// # Durability
    ///
    /// None by itself: [`Ticket::wait`] says what is reached.
    ///
    /// # Errors
    ///
    /// See [`Table`].
    pub fn submit(&self, row: &T, options: &RowOptions) -> Result<Ticket, TableError> {
        let payload = self.encode(row)?;
        let row = self.new_row(&payload, self.time(options), options);
        Ok(self.log.submit(&[row], self.append_options(options))?)
    }

    fn encode(&self, row: &T) -> Result<Vec<u8>, TableError> {
        let mut payload = Vec::new();
        self.encode_into(row, &mut payload)?;
        Ok(payload)
    }

    fn encode_into(&self, row: &T, out: &mut Vec<u8>) -> Result<(), TableError> {
        C::encode(row, out).map_err(|source| TableError::Encode { table: Arc::clone(&self.view.name), source })
    }

    fn new_row<'a>(&self, payload: &'a [u8], time: Time, options: &RowOptions) -> NewRow<'a> {
        NewRow { kind: options.kind, time, schema: self.view.schema.id(), payload }
    }
}

impl<T, C> Deref for Table<T, C> {
    type Target = View<T, C>;

    fn deref(&self) -> &View<T, C> {
        &self.view
    }
}

// Derived, these two would demand the same of `T` and `C`, of which a table holds none.
impl<T, C> Clone for Table<T, C> {
    fn clone(&self) -> Self {
        Self {
            view: self.view.clone(),
            log: self.log.clone(),
            clock: Arc::clone(&self.clock),
            durability: self.durability,
        }
    }
}

impl<T, C> fmt::Debug for Table<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("view", &self.view).field("durability", &self.durability).finish_non_exhaustive()
    }
}
