//! Which records a cursor yields, in which order.

use bulla_wire::{Kind, Position, Record, Time};
use std::ops::Range;

/// The direction of a walk over positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// A selection of a log's records. Everything is included unless it is narrowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a query does nothing until a cursor is made with it"]
pub struct Query {
    /// The first position wanted.
    pub from: Option<Position>,
    /// The position after the last one wanted.
    pub to: Option<Position>,
    /// The least time wanted, inclusive.
    pub from_time: Option<Time>,
    /// The time from which on nothing is wanted.
    pub to_time: Option<Time>,
    /// The only kind wanted.
    pub kind: Option<Kind>,
    /// Which end to begin at.
    pub order: Order,
    /// Whether the engine's own records are wanted too.
    pub engine: bool,
    /// Whether damage is stepped over: the cursor then yields [`Item::Gap`] for what it could not read and goes on.
    /// Otherwise it fails there, and keeps failing.
    pub gaps: bool,
}

impl Query {
    /// Every record of the caller's, oldest first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a record passes the filters on time and kind; positions are the cursor's own business.
    pub(crate) fn admits(&self, kind: Kind, time: Time) -> bool {
        (self.engine || !kind.is_engine())
            && self.kind.is_none_or(|wanted| wanted == kind)
            && self.from_time.is_none_or(|from| from <= time)
            && self.to_time.is_none_or(|to| time < to)
    }
}

/// What a cursor yields.
#[derive(Debug)]
pub enum Item<'a> {
    /// A record, borrowed from the cursor's buffer.
    Record(Record<'a>),
    /// Positions that could not be read; only if the query asks for gaps.
    Gap(Gap),
}

/// Positions that could not be read, and why.
#[derive(Debug)]
pub struct Gap {
    /// The positions.
    pub positions: Range<Position>,
    /// What was found in their place.
    pub cause: crate::LogError,
}

/// What a cursor has read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Segments whose footer or index was looked at.
    pub segments_opened: u64,
    /// Segments of which the header or the index was unreadable, so that the frames had to be found without. Each may
    /// count more than once.
    pub segments_salvaged: u64,
    /// Index pages read from files.
    pub index_pages_read: u64,
    /// Frames whose body was read and checked.
    pub frames_read: u64,
    /// Bytes read from files, footers and index pages included.
    pub bytes_read: u64,
}

/// What is known of one segment without reading its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The segment's number, counted from 0.
    pub number: bulla_wire::SegmentNumber,
    /// Its file.
    pub path: std::path::PathBuf,
    /// Its positions.
    pub positions: Range<Position>,
    /// The caller's records in it.
    pub caller_count: u64,
    /// Payload bytes of the caller's records.
    pub payload_bytes: u64,
    /// Bounds of the caller's records.
    pub times: bulla_wire::TimeBounds,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Whether it is closed for ever.
    pub is_sealed: bool,
}
