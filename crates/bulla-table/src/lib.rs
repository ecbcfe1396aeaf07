//! Typed tables on a bulla log: rows, queries, pages and tails.
//!
//! A [`Table`] appends rows of one type to a log and reads them back; a [`View`] only reads, in the writer's process or
//! in another. Rows are anything serde knows, as postcard, or bytes kept as they came ([`Raw`]), or whatever a
//! [`Codec`] makes of them. Each is stored with a schema id, so that rows written years ago by an older program are
//! still read ([`Schema`]).
//!
//! | to | take |
//! | --- | --- |
//! | append | [`Table::append`], [`Table::append_with`], [`Table::append_batch`], [`Table::submit`] |
//! | read one row | [`View::get`] |
//! | walk, page, continue later | [`View::query`], [`QueryBuilder`], [`CursorToken`] |
//! | follow what is appended | [`View::tail`], [`Tail`] |
//! | know what there is | [`View::len`], [`View::head`], [`View::segments`] |
//!
//! # Invariants
//!
//! - T1. A table adds nothing to a log: whoever knows the log knows the table, and every row is one record.
//! - T2. A batch is appended whole or not at all.
//! - T3. A walk yields every matching row of its snapshot once, in the order of positions, whatever the times say; and
//!   continued from its token, the row after the last one given. Positions, not times, say where a walk stands.
//! - T4. A tail yields durable rows only, each once, none left out.
//! - T5. An iterator that returned an error returns it again, and never steps over the row it failed at.
//! - T6. Memory is bounded by the log's limit on records and the limits the caller gives, never by the log's length.
//!
//! # Not here
//!
//! Files, segments and recovery (`bulla-log`); which tables a store has, and opening them by name (`bulla`).
#![forbid(unsafe_code)]

mod codec;
mod error;
mod query;
mod row;
mod schema;
mod table;
mod tail;
mod token;
mod view;
mod walk;

pub use bulla_log::{
    Digest, Durability, Log, LogError, LogReader, Order, ReadStats, SegmentInfo, Snapshot, Source, Ticket, TreeHead,
};
pub use bulla_wire::{Kind, LogId, Position, SchemaId, Time};
pub use codec::{Codec, CodecError, Postcard, Raw};
pub use error::TableError;
pub use query::{Page, QueryBuilder};
pub use row::{Entry, RowOptions, RowRef, Timestamp};
pub use schema::{Schema, Upgrade};
pub use table::{RawTable, Table};
pub use tail::Tail;
pub use token::{CursorToken, ParseTokenError};
pub use view::{RawView, View};
pub use walk::{RowWalk, Rows};

/// The example of the README, kept true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
