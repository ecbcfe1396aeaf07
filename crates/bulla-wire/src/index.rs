//! The index of a segment: one entry for about every 4 KiB of frames, in pages.
//!
//! Bytes: docs/FORMAT.md, "Index page". The *logical* column (first position, time bounds) is what a seal commits to
//! and never changes; the *physical* column (offset) is a cache of where the frames lie today.
//!
//! # Invariants
//!
//! - X1. What `encode_page` writes, `decode_page` returns.
//! - X2. First positions rise strictly; offsets never fall (several entries may share one compressed frame).
//! - X3. Which frames share an entry follows from their lengths alone ([`IndexBuilder`]), so that a reader computes
//!   the same index from the frames.

use crate::fields::{Fields, put_times, put_u64};
use crate::limits::{INDEX_PAGE_ENTRIES_MAX, INDEX_STRIDE_BYTES};
use crate::{FrameHeader, Position, TimeBounds, WireError};

/// Bytes of one entry: 24 in the logical column, 8 in the physical one.
pub const INDEX_ENTRY_LEN: u32 = 32;

const WHAT: &str = "index page";

/// What lies from one indexed frame up to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Position of the first record.
    pub first: Position,
    /// Bounds of the caller's records.
    pub times: TimeBounds,
    /// Where the first frame begins in the file.
    pub offset: u64,
}

impl IndexEntry {
    /// Appends the entry's part of the logical column, the bytes that an index digest is over.
    pub fn encode_logical(&self, out: &mut Vec<u8>) {
        put_u64(out, self.first.0);
        put_times(out, self.times);
    }
}

/// Appends a page with `entries` to `out`: the logical column, then the physical one.
pub fn encode_page(entries: &[IndexEntry], out: &mut Vec<u8>) {
    for entry in entries {
        entry.encode_logical(out);
    }
    for entry in entries {
        put_u64(out, entry.offset);
    }
}

/// Decodes a page. It allocates at most [`INDEX_PAGE_ENTRIES_MAX`] entries.
///
/// # Errors
///
/// [`WireError::Invalid`] if the length is no page's, an entry is out of order, or times are crossed.
pub fn decode_page(bytes: &[u8]) -> Result<Vec<IndexEntry>, WireError> {
    let mut logical = Fields::new(WHAT, bytes);
    let count = bytes.len() / INDEX_ENTRY_LEN as usize;
    if count == 0 || count > INDEX_PAGE_ENTRIES_MAX as usize || !bytes.len().is_multiple_of(INDEX_ENTRY_LEN as usize) {
        return Err(logical.invalid("length", bytes.len() as u64));
    }
    let mut entries = Vec::with_capacity(count);
    let mut physical = Fields::new(WHAT, bytes.get(count * 24..).unwrap_or_default());
    let mut previous: Option<IndexEntry> = None;
    for _ in 0..count {
        let entry = IndexEntry { first: logical.position()?, times: logical.times()?, offset: physical.u64()? };
        if let Some(previous) = previous {
            if entry.first <= previous.first {
                return Err(logical.invalid("position out of order", entry.first.0));
            }
            if entry.offset < previous.offset {
                return Err(logical.invalid("offset out of order", entry.offset));
            }
        }
        entries.push(entry);
        previous = Some(entry);
    }
    Ok(entries)
}

/// Decides, frame by frame, which frames share an index entry.
///
/// An entry begins at a frame when there is none yet, or when the frames of the last one fill
/// [`INDEX_STRIDE_BYTES`]. Only data frames count.
#[derive(Clone, Debug, Default)]
pub struct IndexBuilder {
    covered_bytes: u64,
}

impl IndexBuilder {
    /// The state after frames of `bytes` together under the last entry, as when a segment is opened again.
    #[must_use]
    pub fn covering(bytes: u64) -> Self {
        Self { covered_bytes: bytes }
    }

    /// Accounts for the data frame with `header` at `offset`: returns the entry it begins, or `None` if the frame
    /// belongs to the last entry, whose times the caller widens with the frame's.
    pub fn add(&mut self, header: &FrameHeader, offset: u64) -> Option<IndexEntry> {
        let begins = self.covered_bytes == 0 || self.covered_bytes >= INDEX_STRIDE_BYTES;
        self.covered_bytes = if begins { 0 } else { self.covered_bytes } + header.frame_len();
        begins.then_some(IndexEntry { first: header.base, times: header.times, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, Epoch, Role, Time};

    fn entries(count: u64) -> Vec<IndexEntry> {
        let times = |index: u64| match index % 3 {
            0 => TimeBounds::EMPTY,
            _ => TimeBounds { min: Time(-5), max: Time(index.cast_signed()) },
        };
        (0..count)
            .map(|index| IndexEntry { first: Position(index * 7), times: times(index), offset: index / 2 * 8 })
            .collect()
    }

    /// X1 and X2.
    #[test]
    fn pages_round_trip_and_disorder_is_refused() {
        for count in [1, 2, 512] {
            let mut bytes = Vec::new();
            encode_page(&entries(count), &mut bytes);
            assert_eq!(decode_page(&bytes), Ok(entries(count)));
        }
        for count in [0, 513] {
            let mut bytes = Vec::new();
            encode_page(&entries(count), &mut bytes);
            assert!(decode_page(&bytes).is_err(), "{count} entries");
        }
        let mut bytes = Vec::new();
        encode_page(&entries(3), &mut bytes);
        assert!(decode_page(&bytes[1..]).is_err());
        let swapped: Vec<_> = entries(3).into_iter().rev().collect();
        bytes.clear();
        encode_page(&swapped, &mut bytes);
        assert!(decode_page(&bytes).is_err());
    }

    /// X2.
    #[test]
    fn equal_offsets_are_taken_and_falling_ones_or_equal_positions_are_not() {
        for (first, offset, holds) in [(8, 512, true), (8, 511, false), (7, 520, false), (6, 520, false)] {
            let entry = |first, offset| IndexEntry { first: Position(first), times: TimeBounds::EMPTY, offset };
            let mut bytes = Vec::new();
            encode_page(&[entry(7, 512), entry(first, offset)], &mut bytes);
            assert_eq!(decode_page(&bytes).is_ok(), holds, "{first} at {offset}");
        }
    }

    /// X3: the frame that fills the stride is the entry's last.
    #[test]
    fn frames_share_an_entry_until_they_fill_the_stride() {
        let mut builder = IndexBuilder::default();
        let lens = [1000, 1000, 1904, 1, 4032, 4024, 4032, 70_000, 8];
        let begins = [true, false, false, true, false, true, false, true, true];
        let (mut offset, mut last_offset) = (128, 128);
        for (index, (len, begins)) in lens.into_iter().zip(begins).enumerate() {
            let header = FrameHeader {
                role: Role::Data { more: index % 2 == 0 },
                codec: Codec::None,
                stored_len: len,
                plain_len: len,
                record_count: 1,
                epoch: Epoch(1),
                base: Position(index as u64),
                durable_end: Position(0),
                times: TimeBounds { min: Time(1), max: Time(2) },
                body_checksum: 0,
            };
            let expected = IndexEntry { first: header.base, times: header.times, offset };
            // What the frames under the last entry add up to is all that a builder remembers.
            let mut resumed = IndexBuilder::covering(offset - last_offset);
            assert_eq!(resumed.add(&header, offset), begins.then_some(expected), "resumed at frame {index}");
            assert_eq!(builder.add(&header, offset), begins.then_some(expected), "frame {index}");
            last_offset = if begins { offset } else { last_offset };
            offset += header.frame_len();
        }
    }
}
