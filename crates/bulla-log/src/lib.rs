//! Many segment files as one verified log: commit, rotate, snapshot, cursor, recover, verify.
//!
//! A log is a directory of segments. [`Log`] writes it: many threads append, one of them writes and syncs for all who
//! wait, and a full segment is sealed and followed by the next. [`Snapshot`] and [`Cursor`] read it, in either direction,
//! by position or time, without waiting for the writer. [`LogReader`] reads it from another process, damaged or not.
//! [`verify_log`] checks it and says what it did and did not prove.
//!
//! Opening for writing recovers what a crash left, or refuses where no crash can have left it: docs/DURABILITY.md has
//! the table, and docs/ARCHITECTURE.md how the parts of this crate fit together.
//!
//! # Invariants
//!
//! - L1. What recovery returns is a prefix of what was submitted, with everything that was acknowledged as durable in
//!   it, and a batch whole or not at all. Positions are dense.
//! - L5. After a failed write or sync no append succeeds until the log is opened again. The one exception is a write that
//!   was refused for lack of space and could be taken back before its sync.
//! - L7. Readers take no lock that the writer waits on.
//! - L8. Opening costs what the newest segment holds, and after a clean close not even that.
//! - L11. Nothing vouches for a position before a sync that covers it has returned.
//!
//! # Not here
//!
//! What a payload means; the lock that keeps a second process from writing; threads, clocks and files, which come with
//! the [`Host`](bulla_vfs::Host).
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]
#![allow(clippy::cast_possible_truncation, reason = "lengths are held against the limits of the format before a cast")]

mod append;
mod commit;
mod cursor;
mod error;
mod frames;
mod inventory;
mod located;
mod log;
mod open;
mod options;
mod prove;
mod publish;
mod query;
mod reader;
mod recovery;
mod report;
mod rotate;
mod salvage;
mod snapshot;
mod source;
mod spine;
mod ticket;
mod tree;
mod unwind;
mod verified;
mod verify;
mod view;
mod writer;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

// Types of lower layers that signatures here name.
pub use bulla_chain::{
    ConsistencyProof, Digest, EngineRecordError, Entry, Genesis, InclusionProof, Predecessor, Tile, TreeHead,
};
pub use bulla_segment::SegmentError;
pub use cursor::Cursor;
pub use error::LogError;
pub use log::Log;
pub use options::{AfterAppend, AppendOptions, Durability, Guard, JournalHead, LogOptions, MakeRoom, NewRow};
pub use prove::{Inclusion, ProofStats, Prover};
pub use query::{Gap, Item, Order, Query, ReadStats, SegmentInfo};
pub use reader::LogReader;
pub use recovery::{RecoveryReport, TailKind};
pub use report::{Expectation, Finding, Level, LogReport, Progress, Verdict};
pub use salvage::{Loss, Salvaged, salvage};
pub use snapshot::Snapshot;
pub use source::Source;
pub use ticket::{Outcome, Ticket};
pub use verify::{verify_log, verify_log_with};
