//! Following a table: the rows there are, then the rows that come.
//!
//! # Invariants
//!
//! - F1. Only rows below the durable end are given, so that none can be taken back by a crash.
//! - F2. `next` moves past a position only when its row was given, or when there is none to give (an engine record, an
//!   erased row). An error moves nothing, so the same row fails again (T5).
//! - F3. Waiting is left to the log: this module knows no clock and starts no thread.

use crate::walk::step;
use crate::{Codec, Entry, Postcard, TableError, View};
use bulla_log::{Cursor, LogError, Query};
use bulla_wire::Position;
use std::fmt;
use std::time::Duration;

/// Long enough for ever, and short enough to be added to any clock: 34 years.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);

/// Follows a table from a position on: what [`View::tail`] gives. As an iterator it blocks until the next row is
/// durable, and ends only when none came within the [`timeout`](Self::timeout); ask it again and it goes on.
///
/// Rows are given once they are durable, each once, in the order of positions, across rotation, whether the writer is in
/// this process or in another; from another, within 100 ms. Erased rows are stepped over. To continue after a restart,
/// keep [`position`](Self::position).
///
/// # Errors
///
/// [`is_pruned`](TableError::is_pruned) when rows that were still to come have been pruned: start again at
/// [`View::floor`] and know what is missed. A row that cannot be read fails as in [`View::get`], again and again; a tail
/// from the position behind it gets past it.
///
/// # Examples
///
/// ```
/// # use bulla_table::{Durability, Log, LogId, Schema, Table, Time};
/// # use std::{path::Path, sync::Arc};
/// # let host = bulla_vfs::Host::memory();
/// # let log = Log::create(&host, Path::new("/log"), LogId([1; 16]), &Default::default())?;
/// # let table: Table<String> = Table::new(log, "doors", Schema::default(), Arc::new(|| Time(0)), Durability::Durable);
/// use std::time::Duration;
///
/// table.append(&"opened".to_owned())?;
/// let mut tail = table.tail(table.floor()?).timeout(Duration::from_millis(10));
/// assert_eq!(tail.next().expect("a row")?.row, "opened");
/// assert!(tail.next().is_none()); // Nothing came in time.
///
/// let writer = table.clone();
/// std::thread::spawn(move || writer.append(&"closed".to_owned()));
/// let entry = tail.next_timeout(Duration::from_secs(10))?.expect("it comes");
/// assert_eq!(entry.row, "closed");
/// assert!(tail.position() > entry.position);
/// # Ok::<(), bulla_table::TableError>(())
/// ```
#[must_use = "a tail reads nothing until it is asked for rows"]
pub struct Tail<T, C = Postcard> {
    view: View<T, C>,
    next: Position,
    timeout: Duration,
    window: Option<Window>,
}

/// What was durable when the tail last looked.
struct Window {
    cursor: Cursor,
    end: Position,
}

impl<T, C> Tail<T, C> {
    pub(crate) fn new(view: View<T, C>, from: Position) -> Self {
        Self { view, next: from, timeout: FOR_EVER, window: None }
    }

    /// How long the iterator waits for a row before it ends. Without, it waits for ever.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(FOR_EVER);
        self
    }

    /// The first position not dealt with yet: where another tail goes on after this one.
    #[must_use]
    pub fn position(&self) -> Position {
        self.next
    }

    /// Looks at what is durable by now, waiting for something to be. Gives whether there is anything at `next` or above.
    fn look(&mut self, timeout: Duration) -> Result<bool, TableError> {
        // Nothing comes behind the head that a verified view ends with.
        if self.view.trusted_end().is_some_and(|end| self.next >= end) {
            return Ok(false);
        }
        let source = &self.view.source;
        if source.wait_durable(self.next, timeout)? <= self.next {
            return Ok(false);
        }
        let snapshot = self.view.snapshot()?.durable();
        if self.next < snapshot.floor() {
            return Err(LogError::Pruned { below: snapshot.floor() }.into());
        }
        let query = Query { from: Some(self.next), ..Query::new() };
        self.window = Some(Window { cursor: snapshot.cursor(&query), end: snapshot.end() });
        Ok(true)
    }
}

impl<T, C: Codec<T>> Tail<T, C> {
    /// The next row, waiting for it at most `timeout`; `None` when none came. A record of the engine's that comes in
    /// between, at a rotation for instance, lets the wait begin anew.
    ///
    /// # Errors
    ///
    /// See [`Tail`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Entry<T>>, TableError> {
        loop {
            match self.next_in_window() {
                Ok(None) => {}
                result => {
                    if result.is_err() {
                        // The cursor is past the row, and the next call must meet it again (F2).
                        self.window = None;
                    }
                    return result;
                }
            }
            if !self.look(timeout.min(FOR_EVER))? {
                return Ok(None);
            }
        }
    }

    /// The next row of what is known to be durable.
    fn next_in_window(&mut self) -> Result<Option<Entry<T>>, TableError> {
        let Some(Window { cursor, end }) = &mut self.window else { return Ok(None) };
        while let Some(record) = step(cursor) {
            let record = record?;
            let entry = record.payload().map(|payload| self.view.entry(&record, payload)).transpose()?;
            self.next = record.position.next().unwrap_or(record.position);
            if entry.is_some() {
                return Ok(entry);
            }
        }
        self.next = self.next.max(*end);
        self.window = None;
        Ok(None)
    }
}

impl<T, C: Codec<T>> Iterator for Tail<T, C> {
    type Item = Result<Entry<T>, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_timeout(self.timeout).transpose()
    }
}

impl<T, C> fmt::Debug for Tail<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("view", &self.view).field("next", &self.next).finish_non_exhaustive()
    }
}
