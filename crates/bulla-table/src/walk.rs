//! Walks over a snapshot: rows one after the other, owned or borrowed.
//!
//! # Invariants
//!
//! - W1. A walk that has ended stays ended; one that failed fails the same way at every further call (T5).
//! - W2. The edge is moved by a row that was given or erased, and by nothing else but the end of the walk, so that the
//!   token never lies past a row the caller has not seen.
//! - W3. At the end of an ascending walk the edge moves to the end of what is durable, and not to the end of what was
//!   read: positions that no sync covers may be given to other rows after a crash.

use crate::{Codec, CursorToken, Entry, Postcard, RowRef, TableError, View};
use bulla_log::{Cursor, Item, Order, Query, ReadStats, Snapshot};
use bulla_wire::{Position, Record, SchemaId};
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;

/// Whether a walk goes on, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Walking,
    /// As many rows as were asked for have been given. Whether more would follow nobody has looked.
    Enough,
    /// The next row is over the limit by bytes.
    Full,
    /// Every row was walked over.
    Exhausted,
}

/// How far a walk may go and how far it got.
#[derive(Debug)]
pub(crate) struct Meter {
    state: State,
    token: CursorToken,
    /// Where an ascending walk's edge goes when nothing is left (W3).
    last_edge: Position,
    rows_left: u64,
    bytes_left: u64,
    has_given: bool,
}

impl Meter {
    /// The meter of a walk over `snapshot` with `query`, by whose positions a token has been taken into account already.
    pub(crate) fn new(snapshot: &Snapshot, query: &Query, limit: Option<u64>, limit_bytes: Option<u64>) -> Self {
        let bounded = |end: Position| query.to.map_or(end, |to| to.min(end));
        let edge = match query.order {
            Order::Ascending => query.from.unwrap_or(Position::ZERO),
            Order::Descending => bounded(snapshot.end()),
        };
        Self {
            state: if limit == Some(0) { State::Enough } else { State::Walking },
            token: CursorToken { log: snapshot.log_id(), order: query.order, edge },
            last_edge: bounded(snapshot.durable_end()),
            rows_left: limit.unwrap_or(u64::MAX),
            bytes_left: limit_bytes.unwrap_or(u64::MAX),
            has_given: false,
        }
    }

    fn is_walking(&self) -> bool {
        self.state == State::Walking
    }

    /// Whether a row of `len` bytes is within the limit by bytes; the first one always is. If not, the walk ends here.
    fn has_room(&mut self, len: u32) -> bool {
        let has_room = !self.has_given || u64::from(len) <= self.bytes_left;
        if !has_room {
            self.state = State::Full;
        }
        has_room
    }

    /// Counts a row that is given.
    fn give(&mut self, position: Position, len: u32) {
        self.has_given = true;
        self.rows_left -= 1;
        self.bytes_left = self.bytes_left.saturating_sub(u64::from(len));
        if self.rows_left == 0 {
            self.state = State::Enough;
        }
        self.pass(position);
    }

    /// Moves the edge past a position (W2).
    fn pass(&mut self, position: Position) {
        self.token.edge = match self.token.order {
            Order::Ascending => position.next().unwrap_or(position),
            Order::Descending => position,
        };
    }

    /// Nothing is left to walk over.
    fn exhaust(&mut self) {
        self.state = State::Exhausted;
        if self.token.order == Order::Ascending {
            self.token.edge = self.token.edge.max(self.last_edge);
        }
    }
}

/// The next record of the caller's.
pub(crate) fn step(cursor: &mut Cursor) -> Option<Result<Record<'_>, TableError>> {
    Some(match cursor.next()? {
        Ok(Item::Record(record)) => Ok(record),
        // No query here asks for gaps; should one come, it is the error the cursor would have given otherwise.
        Ok(Item::Gap(gap)) => Err(gap.cause.into()),
        Err(error) => Err(error.into()),
    })
}

/// Rows of a query, owned: what [`QueryBuilder::iter`](crate::QueryBuilder::iter) gives.
///
/// Erased rows are stepped over and count towards no limit; [`RowWalk`] shows them. After an error the same error
/// follows for ever: to go on past a row that cannot be read, begin a new query beyond the error's position.
#[must_use = "a walk reads nothing until it is asked for rows"]
pub struct Rows<T, C = Postcard> {
    view: View<T, C>,
    cursor: Cursor,
    meter: Meter,
    /// Why the last row could not be read (W1). The cursor is past that row already and would go on.
    failed: Option<TableError>,
}

impl<T, C> Rows<T, C> {
    pub(crate) fn new(view: View<T, C>, cursor: Cursor, meter: Meter) -> Self {
        Self { view, cursor, meter, failed: None }
    }

    /// Where to continue: after the last row given. When every row was given and the order is ascending, also after
    /// whatever else is durable by now, so that continuing looks only at what came since.
    #[must_use]
    pub fn token(&self) -> CursorToken {
        self.meter.token
    }

    /// What was read for it so far.
    #[must_use]
    pub fn stats(&self) -> ReadStats {
        self.cursor.stats()
    }

    /// Whether rows are left once the walk has ended. Looks ahead where nobody knows yet, and so takes the walk.
    pub(crate) fn has_more(mut self) -> bool {
        match self.meter.state {
            State::Full => return true,
            State::Exhausted => return false,
            State::Walking | State::Enough => {}
        }
        loop {
            match step(&mut self.cursor) {
                None => return false,
                Some(Ok(record)) if record.payload().is_none() => {}
                // An error is for whoever asks for the row behind it: the rows before it are good.
                Some(_) => return true,
            }
        }
    }
}

impl<T, C: Codec<T>> Iterator for Rows<T, C> {
    type Item = Result<Entry<T>, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.as_ref().and_then(TableError::again) {
            return Some(Err(error));
        }
        while self.meter.is_walking() {
            let record = match step(&mut self.cursor) {
                None => {
                    self.meter.exhaust();
                    break;
                }
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(record)) => record,
            };
            let Some(payload) = record.payload() else {
                self.meter.pass(record.position);
                continue;
            };
            if !self.meter.has_room(record.payload_len()) {
                break;
            }
            let entry = self.view.entry(&record, payload);
            match &entry {
                Ok(_) => self.meter.give(record.position, record.payload_len()),
                Err(error) => self.failed = error.again(),
            }
            return Some(entry);
        }
        None
    }
}

impl<T, C: Codec<T>> FusedIterator for Rows<T, C> {}

impl<T, C> fmt::Debug for Rows<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("view", &self.view).field("meter", &self.meter).finish_non_exhaustive()
    }
}

/// Rows of a query, borrowed: what [`QueryBuilder::rows`](crate::QueryBuilder::rows) gives. Nothing is allocated or
/// copied for a row, so each must be let go before the next one is asked for.
///
/// Erased rows are shown, with [`RowRef::payload`] being `None`, and count towards the limits.
#[derive(Debug)]
#[must_use = "a walk reads nothing until it is asked for rows"]
pub struct RowWalk {
    table: Arc<str>,
    expected: SchemaId,
    cursor: Cursor,
    meter: Meter,
}

impl RowWalk {
    pub(crate) fn new(table: Arc<str>, expected: SchemaId, cursor: Cursor, meter: Meter) -> Self {
        Self { table, expected, cursor, meter }
    }

    /// The next row, or `None` when there is none or a limit is reached. After an error the same one follows for ever.
    ///
    /// # Errors
    ///
    /// When the log cannot be read, see [`View`].
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<Result<RowRef<'_>, TableError>> {
        if !self.meter.is_walking() {
            return None;
        }
        let record = match step(&mut self.cursor) {
            None => {
                self.meter.exhaust();
                return None;
            }
            Some(Err(error)) => return Some(Err(error)),
            Some(Ok(record)) => record,
        };
        if !self.meter.has_room(record.payload_len()) {
            return None;
        }
        self.meter.give(record.position, record.payload_len());
        Some(Ok(RowRef::new(record, &self.table, self.expected)))
    }

    /// Where to continue: as [`Rows::token`].
    #[must_use]
    pub fn token(&self) -> CursorToken {
        self.meter.token
    }

    /// What was read for it so far.
    #[must_use]
    pub fn stats(&self) -> ReadStats {
        self.cursor.stats()
    }
}
