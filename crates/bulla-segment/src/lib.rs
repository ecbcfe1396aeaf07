//! One file of a bulla log: create, append, seal, scan, recover and read.
//!
//! A [`SegmentFile`] is an open file with a valid header. The writer's is an [`Active`], which ends with a close frame or
//! a footer; [`SegmentFile::read_summary`] finds that frame again without reading anything else. Where there is none, a
//! [`Tail`] is what a scan of the frames found, and [`Tail::verdict`] tells a torn tail from damage.
//!
//! This crate knows one file and nothing of the others, and hashes nothing: `bulla-log` makes one log of many segments.
//!
//! # Examples
//!
//! ```
//! use bulla_segment::{Active, SegmentFile, Tail, Verdict};
//! use bulla_vfs::Host;
//! use bulla_wire::{
//!     Epoch, FrameBuilder, FramePlace, Kind, LogId, NewRecord, Position, SchemaId, SegmentHeader, SegmentNumber, Time,
//! };
//! use std::path::Path;
//!
//! let header = SegmentHeader {
//!     log: LogId([1; 16]),
//!     secret: [2; 16],
//!     number: SegmentNumber(0),
//!     base: Position(0),
//!     floor: Position(0),
//!     prune: None,
//!     epoch: Epoch(1),
//!     erasable: false,
//!     root: [0; 32],
//!     frontier: vec![],
//! };
//! let host = Host::memory();
//! let mut segment = Active::empty(SegmentFile::create(&host, Path::new("/"), header)?);
//!
//! let mut builder = FrameBuilder::default();
//! builder.push(&NewRecord { kind: Kind::ROW, time: Time(5), schema: SchemaId(0), salt: None, payload: b"row" });
//! let place = FramePlace {
//!     seed: segment.file.seed(),
//!     offset: segment.extent.end_offset,
//!     epoch: Epoch(1),
//!     base: segment.extent.end,
//!     durable_end: Position(0),
//!     more: false,
//! };
//! let mut bytes = Vec::new();
//! let frame = builder.finish(&place, &mut bytes);
//! segment.file.write(&bytes, segment.extent.end_offset)?;
//! segment.file.sync()?;
//! segment.extent.add(&frame, 1, 3);
//!
//! let tail = Tail::scan(&segment.file)?;
//! assert_eq!(tail.end(), Position(1));
//! assert_eq!(tail.verdict(Position(1)), Verdict::Whole);
//! assert_eq!(tail.verdict(Position(2)), Verdict::Damaged { lost: Position(1)..Position(2) });
//! # Ok::<(), bulla_segment::SegmentError>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]
#![allow(clippy::cast_possible_truncation, reason = "lengths are held against the limits of the format before a cast")]

mod active;
mod error;
mod extent;
mod file;
mod names;
mod salvage;
mod scan;
mod sequence;
mod summary;
mod tail;

pub use active::{Active, EndFacts};
pub use error::SegmentError;
pub use extent::{Extent, ExtentMark, Tally};
pub use file::{Newest, SegmentFile};
pub use names::{NEXT_TEMPORARY, parse_segment_file_name, segment_file_name};
pub use salvage::{Hole, Salvage};
pub use scan::{FrameScanner, Scanned};
pub use sequence::Sequence;
pub use summary::Summary;
pub use tail::{Invalid, Stop, Tail, Verdict, tally_records};
