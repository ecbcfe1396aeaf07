//! The bytes of a bulla log: values to bytes and back, and nothing else.
//!
//! A log is a row of segment files. Each begins with a [`SegmentHeader`]; then come frames, each a [`FrameHeader`] with
//! a body; a data frame's body holds records ([`Records`], [`FrameBuilder`]). Once the segment is sealed, its index
//! ([`IndexEntry`], in pages) and a [`Footer`] follow, as frames too, so that one scanner reads everything.
//!
//! docs/FORMAT.md has every byte, with test vectors that this crate's tests read. This crate performs no input or
//! output, knows no clock and no hash, and trusts no byte it decodes: lengths are checked before they are used,
//! decoding never panics, and what it allocates is bounded by the limits in [`limits`].
//!
//! # Examples
//!
//! ```
//! use bulla_wire::{
//!     Epoch, FRAME_HEADER_LEN, FrameBuilder, FrameHeader, FramePlace, FrameSeed, Kind, NewRecord, Position, Records,
//!     SchemaId, SegmentNumber, Time,
//! };
//!
//! let seed = FrameSeed::new(&[7; 16], SegmentNumber(0));
//! let mut builder = FrameBuilder::default();
//! builder.push(&NewRecord { kind: Kind::ROW, time: Time(1), schema: SchemaId(0), salt: None, payload: b"first" });
//! let place = FramePlace {
//!     seed: &seed,
//!     offset: 128,
//!     epoch: Epoch(1),
//!     base: Position(0),
//!     durable_end: Position(0),
//!     more: false,
//! };
//! let mut bytes = Vec::new();
//! builder.finish(&place, &mut bytes);
//!
//! let header = FrameHeader::decode(&bytes, &seed, 128)?;
//! let body = header.check_body(&bytes[FRAME_HEADER_LEN as usize..], &seed, 128)?;
//! let record = Records::new(&header, header.plain_body(body)?).next().expect("the frame holds one record")?;
//! assert_eq!((record.position, record.payload()), (Position(0), Some(&b"first"[..])));
//! # Ok::<(), bulla_wire::WireError>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]
#![allow(
    clippy::cast_possible_truncation,
    reason = "lengths are bounded by the limits, and masks keep the low bits on purpose"
)]

mod checksum;
mod error;
mod fields;
mod footer;
mod frame;
mod index;
pub mod limits;
mod record;
mod segment_header;
mod spine;
#[cfg(test)]
mod testing;
mod value;
mod varint;

pub use checksum::FrameSeed;
pub use error::WireError;
pub use footer::{Footer, PageRef, TRAILER_LEN, TRAILER_MAGIC};
pub use frame::{Codec, FRAME_ALIGNMENT, FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, Role, find_frame};
pub use index::{INDEX_ENTRY_LEN, IndexBuilder, IndexEntry, decode_page, encode_page};
pub use record::{Content, FrameBuilder, FramePlace, NewRecord, Record, Records};
pub use segment_header::{FORMAT_VERSION, SEGMENT_HEADER_LEN_MIN, SEGMENT_MAGIC, SegmentHeader};
pub use spine::{SPINE_HEADER_LEN, SPINE_HEIGHTS, SPINE_MAGIC, SPINE_TILE_LEN, SpineHeader, spine_offset};
pub use value::{Epoch, Kind, LogId, Position, SchemaId, SegmentNumber, Time, TimeBounds};

/// The example of README.md, kept true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
