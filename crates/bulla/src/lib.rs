//! An embedded, tamper-evident, append-only log store: one dependency, one directory, no server.
//!
//! A [`Store`] is a directory of tables. A [`Table`] takes rows of any serde type, keeps them in order for ever, gives
//! each a [`Position`], and hashes them into one history tree, so that whoever edits, drops or reorders a row on disk
//! is found out by [`verify`]. What [`append`](Table::append) acknowledged is there after a crash.
//!
//! ```
//! use bulla::{Error, Store};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Debug)]
//! struct Login { user: String, ok: bool }
//!
//! fn main() -> Result<(), Error> {
//!     let store = Store::in_memory()?; // Or Store::open("audit"), a directory.
//!     let logins = store.table::<Login>("logins")?;
//!     logins.append(&Login { user: "ana".into(), ok: true })?; // On the disk when this returns.
//!     for entry in logins.query().descending().limit(10).iter()? {
//!         println!("{:?}", entry?.row);
//!     }
//!     store.close()
//! }
//! ```
//!
//! # Where things are
//!
//! | to | take |
//! | --- | --- |
//! | write and read | [`Store`], [`Options`], [`Table`], [`TableOptions`] |
//! | read beside a writer, or from a copy on a read-only medium | [`Reader`], [`View`] |
//! | check everything | [`verify`], [`VerifyReport`] |
//! | keep checkpoints where a store's writer cannot reach | [`AnchorSink`], [`Anchors`] |
//! | make a store of what is left of a damaged one | [`repair`](repair()), [`RepairReport`] |
//! | keep an audit trail without a type of one's own | [`Event`] |
//! | keep bytes as they were received | [`RawTable`], [`RawView`] |
//! | upgrade rows of an older shape | [`Schema`] |
//! | look into a single segment file | [`segment`], [`wire`] |
//!
//! # Invariants
//!
//! - B1. Nothing is created, changed or removed in a directory that is not a store.
//! - B2. One writer: every log a store hands out keeps the store's lock until the log is closed or dropped.
//! - B3. A table exists from the moment its journal record is durable. What lies on disk without one is removed if it
//!   holds no record of the caller's, and left and reported otherwise; what has one and is gone is missing, and is
//!   never made again.
//! - B4. Reading creates nothing, needs no lock and no writable medium.
//!
//! # Not here
//!
//! Threads, and work between calls: deferred work is done by [`Store::maintain`] when the program finds the time.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking"))]

mod anchor;
mod checkpoints;
mod due;
mod error;
mod event;
#[cfg(feature = "ed25519")]
mod file_signer;
mod held;
mod journal;
mod keys;
mod layout;
mod lock;
mod making;
mod open;
mod options;
mod reader;
mod repair;
mod replace;
mod report;
mod reserve;
mod store;
mod verify;

pub use anchor::{
    AnchorError, AnchorLag, AnchorSink, Anchored, AnchoredLog, Anchors, COMMAND_TIME_MAX, CommandSink, FileSink,
    HeldCheckpoints, RETRY_AFTER_MAX, RETRY_AFTER_MIN, Receipt, Taken, TimestampSink, read_checkpoints,
};
#[cfg(feature = "ed25519")]
pub use anchor::{WITNESS_TIME_MAX, WitnessFolderSink, WitnessSink};
pub use error::Error;
pub use event::{EVENT_SCHEMA, Event};
#[cfg(feature = "ed25519")]
pub use file_signer::FileSigner;
pub use journal::{StoreKey, TableInfo};
pub use keys::SharedSigner;
pub use layout::NameOf;
pub use making::CheckpointLag;
pub use options::{Options, TableOptions};
pub use reader::Reader;
pub use repair::{LogRepair, RepairOptions, RepairReport, repair};
pub use report::{FirstBad, LogVerdict, Require, Trust, TrustLevel, VerifyReport};
pub use store::Store;
pub use verify::{VerifyOptions, verify};

pub use bulla_chain::{Break, Digest, Genesis, ShownCheckpoint, Signer, TreeHead, VerifierKey};
pub use bulla_log::{
    Cursor, Durability, Finding, Gap, Inclusion, Item, Level, Log, LogError, LogReader, Loss, Order, Outcome, Progress,
    ProofStats, Prover, Query, ReadStats, RecoveryReport, SegmentInfo, Snapshot, Source, TailKind, Ticket, Verdict,
};
pub use bulla_table::{
    Codec, CodecError, CursorToken, Entry, Page, ParseTokenError, Postcard, QueryBuilder, Raw, RawTable, RawView,
    RowOptions, RowRef, RowWalk, Rows, Schema, Table, TableError, Tail, Timestamp, Upgrade, View,
};
pub use bulla_vfs::{Clock, Host, ManualClock, MemVfs, OsVfs, Vfs};
pub use bulla_wire::{Content, Kind, LogId, Position, Record, SchemaId, SegmentNumber, Time, TimeBounds};

/// The bytes of a segment file: headers, frames, records, footers.
pub mod wire {
    #[doc(no_inline)]
    pub use bulla_wire::*;
}

/// One segment file: scanned frame by frame, as `bulla inspect` does.
pub mod segment {
    #[doc(no_inline)]
    pub use bulla_segment::*;
}

/// The history tree: digests, entries, heads and the engine's own records.
pub mod chain {
    #[doc(no_inline)]
    pub use bulla_chain::*;
}

/// The seam to the world: files, clocks, randomness.
pub mod vfs {
    #[doc(no_inline)]
    pub use bulla_vfs::*;
}

/// The example of README.md, kept true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The example of the workspace's README.md, kept true.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct RootReadme;
