//! Which rows are wanted, and the three ways to get them.

use crate::walk::Meter;
use crate::{Codec, CursorToken, Entry, Postcard, RowWalk, Rows, TableError, Timestamp, View};
use bulla_log::{Cursor, Order, Query};
use bulla_wire::{Kind, Position};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Most rows of a page whose query sets no limit.
const PAGE_ROWS_MAX_DEFAULT: u64 = 1_000;
/// Most payload bytes of a page whose query sets no limit, unless its first row is larger.
const PAGE_BYTES_MAX_DEFAULT: u64 = 16 << 20;

/// A question to a table. Everything is wanted unless it is narrowed, oldest first unless it is turned around.
///
/// The order is that of positions, which is the order of appending; times only filter. Segments and frames outside the
/// range of times or positions are not read.
#[must_use = "a query does nothing until it is asked for rows"]
pub struct QueryBuilder<T, C = Postcard> {
    view: View<T, C>,
    query: Query,
    limit: Option<u64>,
    limit_bytes: Option<u64>,
    after: Option<CursorToken>,
}

/// Some rows of a query, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, in the order of the query.
    pub entries: Vec<Entry<T>>,
    /// What to continue [`after`](QueryBuilder::after), or `None` when no row was left as the page was read.
    pub next: Option<CursorToken>,
}

impl<T, C> QueryBuilder<T, C> {
    pub(crate) fn new(view: View<T, C>) -> Self {
        Self { view, query: Query::new(), limit: None, limit_bytes: None, after: None }
    }

    /// Only rows of this time or a later one.
    pub fn from_time(mut self, time: impl Into<Timestamp>) -> Self {
        self.query.from_time = Some(time.into().into());
        self
    }

    /// Only rows of an earlier time than this.
    pub fn to_time(mut self, time: impl Into<Timestamp>) -> Self {
        self.query.to_time = Some(time.into().into());
        self
    }

    /// Only rows at these positions.
    pub fn positions(mut self, positions: Range<Position>) -> Self {
        self.query.from = Some(positions.start);
        self.query.to = Some(positions.end);
        self
    }

    /// Only rows of this kind. Kinds from 128 on are the engine's, and no row has one.
    pub fn kind(mut self, kind: u8) -> Self {
        self.query.kind = Some(Kind(kind));
        self
    }

    /// Which end to begin at.
    pub fn order(mut self, order: Order) -> Self {
        self.query.order = order;
        self
    }

    /// Newest first.
    pub fn descending(self) -> Self {
        self.order(Order::Descending)
    }

    /// At most this many rows.
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// At most this many bytes of payload in all. One row is always given, however large it is, so that a walk that is
    /// continued from its token gets on.
    pub fn limit_bytes(mut self, payload_bytes: u64) -> Self {
        self.limit_bytes = Some(payload_bytes);
        self
    }

    /// Continues another walk where it stood. Give the same filters again: the token knows only the log, the direction and
    /// the position. Limits may differ. Rows pruned since are left out.
    pub fn after(mut self, token: &CursorToken) -> Self {
        self.after = Some(*token);
        self
    }

    /// The rows, borrowed one at a time, for those who want the bytes or decode into types that borrow.
    ///
    /// # Errors
    ///
    /// [`TableError::TokenOfOtherLog`] and [`TableError::TokenOfOtherOrder`] when the token of [`after`](Self::after)
    /// belongs to another walk; otherwise see [`View`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use bulla_table::{Durability, Log, LogId, Schema, Table, Time};
    /// # use std::{path::Path, sync::Arc};
    /// # let host = bulla_vfs::Host::memory();
    /// # let log = Log::create(&host, Path::new("/log"), LogId([1; 16]), &Default::default())?;
    /// # type Row = (String, u32);
    /// # let table: Table<Row> = Table::new(log, "logins", Schema::default(), Arc::new(|| Time(0)), Durability::Durable);
    /// table.append_batch(&[("ada".to_owned(), 3), ("grace".to_owned(), 4)])?;
    /// let mut rows = table.query().rows()?;
    /// let mut attempts = 0;
    /// while let Some(row) = rows.next() {
    ///     let (_user, count): (&str, u32) = row?.decode()?; // The name stays where it was read.
    ///     attempts += count;
    /// }
    /// assert_eq!(attempts, 7);
    /// # Ok::<(), bulla_table::TableError>(())
    /// ```
    pub fn rows(self) -> Result<RowWalk, TableError> {
        let (cursor, meter) = self.start()?;
        Ok(RowWalk::new(Arc::clone(&self.view.name), self.view.schema.id(), cursor, meter))
    }

    /// Takes the snapshot, and the token into account.
    fn start(&self) -> Result<(Cursor, Meter), TableError> {
        let snapshot = self.view.snapshot()?;
        let mut query = self.query.clone();
        if let Some(token) = self.after {
            let place = self.view.place(query.order, &token)?;
            match query.order {
                Order::Ascending => query.from = Some(query.from.map_or(place, |from| from.max(place))),
                Order::Descending => query.to = Some(query.to.map_or(place, |to| to.min(place))),
            }
        }
        let meter = Meter::new(&snapshot, &query, self.limit, self.limit_bytes);
        Ok((snapshot.cursor(&query), meter))
    }
}

impl<T, C: Codec<T>> QueryBuilder<T, C> {
    /// The rows, one after the other.
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    #[expect(clippy::iter_not_returning_iterator, reason = "beginning may fail, and then there is nothing to iterate")]
    pub fn iter(self) -> Result<Rows<T, C>, TableError> {
        let (cursor, meter) = self.start()?;
        Ok(Rows::new(self.view, cursor, meter))
    }

    /// As many rows as the limits allow, at once, and the token to go on with. Without any limit of the query's, at most
    /// 1,000 rows, and without one by bytes, at most 16 MiB of payload, or a single larger row.
    ///
    /// Looks whether a row is left, so that no page but the first is ever empty.
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows), and whatever a row fails with ([`View::get`]); the rows before it are then lost to this
    /// call.
    pub fn page(mut self) -> Result<Page<T>, TableError> {
        if self.limit.is_none() && self.limit_bytes.is_none() {
            self.limit = Some(PAGE_ROWS_MAX_DEFAULT);
        }
        self.limit_bytes.get_or_insert(PAGE_BYTES_MAX_DEFAULT);
        let mut rows = self.iter()?;
        let entries = rows.by_ref().collect::<Result<Vec<_>, TableError>>()?;
        let token = rows.token();
        Ok(Page { entries, next: rows.has_more().then_some(token) })
    }
}

impl<T, C> fmt::Debug for QueryBuilder<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryBuilder")
            .field("view", &self.view)
            .field("query", &self.query)
            .field("limit", &self.limit)
            .field("limit_bytes", &self.limit_bytes)
            .field("after", &self.after)
            .finish()
    }
}
