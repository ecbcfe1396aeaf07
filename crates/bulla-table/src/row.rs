//! A row and what surrounds it: on the way in, owned on the way out, and borrowed on the way out.

use crate::TableError;
use crate::codec::from_postcard;
use bulla_log::Durability;
use bulla_wire::{Kind, Position, Record, SchemaId, Time};
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in any of the forms that callers have: [`SystemTime`], [`Time`], or `i64` nanoseconds since the Unix epoch.
///
/// A [`SystemTime`] outside the years 1677 to 2262 becomes the nearest one inside, whose nanoseconds fit an `i64`.
///
/// # Examples
///
/// ```
/// use bulla_table::{Time, Timestamp};
/// use std::time::{Duration, UNIX_EPOCH};
/// assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_nanos(5)), Timestamp::from(-5));
/// assert_eq!(Time::from(Timestamp::from(7)), Time(7));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(Time);

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        Self(time)
    }
}

impl From<i64> for Timestamp {
    fn from(nanoseconds: i64) -> Self {
        Self(Time(nanoseconds))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let nanoseconds = |distance: Duration| i64::try_from(distance.as_nanos()).ok();
        Self(Time(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => nanoseconds(after).unwrap_or(i64::MAX),
            Err(before) => nanoseconds(before.duration()).map_or(i64::MIN, |distance| -distance),
        }))
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.0
    }
}

/// What a caller says of a row besides the row itself. Everything has a default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "options do nothing until a row is appended with them"]
pub struct RowOptions {
    pub(crate) time: Option<Time>,
    pub(crate) kind: Kind,
    pub(crate) durability: Option<Durability>,
    pub(crate) expected: Option<Position>,
}

impl RowOptions {
    /// The time is the table's clock's, the kind 0, the durability the table's, and any position will do.
    pub fn new() -> Self {
        Self::default()
    }

    /// When it happened. Rows need not be appended in the order of their times.
    pub fn time(mut self, time: impl Into<Timestamp>) -> Self {
        self.time = Some(time.into().into());
        self
    }

    /// What kind of row it is, for queries to tell apart: the caller's own number, below 128. Appending with a larger
    /// one fails, since those are the engine's.
    pub fn kind(mut self, kind: u8) -> Self {
        self.kind = Kind(kind);
        self
    }

    /// What the call waits for.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// The call appends only if the row lands at `position`, and otherwise fails with a conflict
    /// ([`TableError::is_conflict`]). So of several writers that looked at the same state, one goes on and the others
    /// hear of it. The engine's own records take positions as well: after a conflict read again, and try again with the
    /// position the error names.
    pub fn expect_next(mut self, position: Position) -> Self {
        self.expected = Some(position);
        self
    }
}

/// A row as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// Its ordinal in the log. The engine's own records are counted too, so positions of rows may have holes.
    pub position: Position,
    /// When it happened, as its writer said.
    pub time: Time,
    /// The caller's number for what kind of row it is.
    pub kind: Kind,
    /// The schema it was written under; `row` has been upgraded from it.
    pub schema: SchemaId,
    /// The row.
    pub row: T,
}

/// A row that lies where it was read, for as long as the walk stands there.
#[derive(Clone, Copy, Debug)]
pub struct RowRef<'a> {
    record: Record<'a>,
    table: &'a Arc<str>,
    expected: SchemaId,
}

impl<'a> RowRef<'a> {
    pub(crate) fn new(record: Record<'a>, table: &'a Arc<str>, expected: SchemaId) -> Self {
        Self { record, table, expected }
    }

    /// Its ordinal in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.record.position
    }

    /// When it happened, as its writer said.
    #[must_use]
    pub fn time(&self) -> Time {
        self.record.time
    }

    /// The caller's number for what kind of row it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.record.kind
    }

    /// The schema it was written under.
    #[must_use]
    pub fn schema(&self) -> SchemaId {
        self.record.schema
    }

    /// The row's bytes as they were appended, or `None` when they were erased.
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.record.payload()
    }

    /// Length of the payload in bytes; that of an erased one is still known.
    #[must_use]
    pub fn payload_len(&self) -> u32 {
        self.record.payload_len()
    }

    /// Reads the row as postcard into a type that may borrow from it, such as one with `&str` fields. No upgrade is
    /// tried, and an overlong integer passes where [`Postcard`](crate::Postcard) would refuse it, because the type need
    /// not know how to serialise.
    ///
    /// # Errors
    ///
    /// [`TableError::UnknownSchema`] when the row has another schema than the table writes, [`TableError::Redacted`]
    /// when its payload was erased, [`TableError::Decode`] when the bytes are not exactly one `U`.
    pub fn decode<U: Deserialize<'a>>(&self) -> Result<U, TableError> {
        let Record { position, schema, .. } = self.record;
        let table = || Arc::clone(self.table);
        if schema != self.expected {
            return Err(TableError::UnknownSchema { table: table(), position, found: schema, expected: self.expected });
        }
        let bytes = self.payload().ok_or_else(|| TableError::Redacted { table: table(), position })?;
        from_postcard(bytes).map_err(|source| TableError::Decode { table: table(), position, schema, source })
    }
}
