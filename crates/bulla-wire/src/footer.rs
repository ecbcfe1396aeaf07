//! The summary at the end of a sealed segment (footer) or of a cleanly closed active one (close frame).
//!
//! Bytes: docs/FORMAT.md, "Footer". The body ends with the frame's own offset and a magic, so that whoever holds a
//! file finds its summary from the last 16 bytes and reads nothing else.
//!
//! # Invariants
//!
//! - T1. What `encode` writes, `decode` returns.
//! - T2. Everything here is a cache: full verification computes it again from the records.
//! - T3. The body is a multiple of 8 long, so the frame has no padding and the trailer ends the file.

use crate::fields::{Fields, put_times, put_u32, put_u64};
use crate::limits::{FOOTER_BODY_MAX, INDEX_PAGE_ENTRIES_MAX};
use crate::{IndexEntry, Position, SegmentNumber, TimeBounds, WireError};

/// Ends every footer and close frame.
pub const TRAILER_MAGIC: [u8; 8] = *b"bullaend";
/// Bytes of the trailer: the offset of the frame, and the magic.
pub const TRAILER_LEN: u64 = 16;

const NO_PRUNE: u64 = u64::MAX;
const WHAT: &str = "footer";
const PAGE_LEN: usize = 40;
const FIXED_LEN: usize = 152;

/// Where one page of the index is and what it spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRef {
    /// First position under the page.
    pub first: Position,
    /// Bounds of the caller's records under the page.
    pub times: TimeBounds,
    /// Where the page's frame begins in the file.
    pub offset: u64,
    /// Entries in the page.
    pub entry_count: u32,
}

impl PageRef {
    /// The reference to a page of `entries` whose frame begins at `offset`; `None` for a page without entries.
    #[must_use]
    pub fn of(entries: &[IndexEntry], offset: u64) -> Option<Self> {
        let mut times = TimeBounds::EMPTY;
        for entry in entries {
            times.merge(entry.times);
        }
        let first = entries.first()?.first;
        Some(Self { first, times, offset, entry_count: u32::try_from(entries.len()).ok()? })
    }
}

/// What a segment holds, as its last frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    /// The segment's number.
    pub number: SegmentNumber,
    /// Its first position.
    pub base: Position,
    /// The position after its last record.
    pub end: Position,
    /// Where the last data frame ends in the file, and the index begins.
    pub data_end: u64,
    /// The caller's records in the segment.
    pub caller_count: u64,
    /// Payload bytes of the caller's records.
    pub payload_bytes: u64,
    /// Bounds of the caller's records.
    pub times: TimeBounds,
    /// The log's floor when this was written.
    pub floor: Position,
    /// Where the record that moved the floor there is, if the log was ever pruned.
    pub prune: Option<Position>,
    /// Digest of the index's logical column.
    pub index_digest: [u8; 32],
    /// Root of the history tree at `end`.
    pub root: [u8; 32],
    /// The pages of the index, in order.
    pub pages: Vec<PageRef>,
    /// Roots of the complete subtrees below `end`, largest first.
    pub frontier: Vec<[u8; 32]>,
    /// Where this frame begins in the file.
    pub offset: u64,
}

impl Footer {
    /// The offset that the last 16 bytes of a file name, if they are a trailer. It is believed only after the frame
    /// there was checked.
    #[must_use]
    pub fn trailer_offset(last: &[u8; TRAILER_LEN as usize]) -> Option<u64> {
        let (offset, magic) = last.split_first_chunk::<8>()?;
        (magic == TRAILER_MAGIC).then(|| u64::from_le_bytes(*offset))
    }

    /// The frame body.
    ///
    /// # Panics
    ///
    /// If the frontier has not one digest for each bit set in `end`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.frontier.len() == self.end.0.count_ones() as usize, "BUG: frontier does not fit the end");
        let mut out = Vec::with_capacity(
            FIXED_LEN + self.pages.len() * PAGE_LEN + self.frontier.len() * 32 + TRAILER_LEN as usize,
        );
        for value in [self.number.0, self.base.0, self.end.0, self.data_end, self.caller_count, self.payload_bytes] {
            put_u64(&mut out, value);
        }
        put_times(&mut out, self.times);
        put_u64(&mut out, self.floor.0);
        put_u64(&mut out, self.prune.map_or(NO_PRUNE, |position| position.0));
        out.extend_from_slice(&self.index_digest);
        out.extend_from_slice(&self.root);
        put_u32(&mut out, self.pages.len() as u32);
        put_u32(&mut out, self.frontier.len() as u32);
        for page in &self.pages {
            put_u64(&mut out, page.first.0);
            put_times(&mut out, page.times);
            put_u64(&mut out, page.offset);
            put_u32(&mut out, page.entry_count);
            put_u32(&mut out, 0);
        }
        out.extend_from_slice(self.frontier.as_flattened());
        put_u64(&mut out, self.offset);
        out.extend_from_slice(&TRAILER_MAGIC);
        out
    }

    /// Decodes the body of the footer or close frame that begins at `offset`.
    ///
    /// # Errors
    ///
    /// [`WireError::Short`] or [`WireError::Invalid`]. Counts are held against the body's length before anything is
    /// allocated.
    pub fn decode(body: &[u8], offset: u64) -> Result<Self, WireError> {
        let mut fields = Fields::new(WHAT, body);
        let number = SegmentNumber(fields.u64()?);
        let base = fields.position()?;
        let end = fields.position()?;
        let data_end = fields.u64()?;
        let caller_count = fields.u64()?;
        let payload_bytes = fields.u64()?;
        let times = fields.times()?;
        let floor = fields.position()?;
        let prune = fields.u64()?;
        let index_digest = fields.array()?;
        let root = fields.array()?;
        let page_count = fields.u32()?;
        let frontier_count = fields.u32()?;
        if base > end {
            return Err(fields.invalid("end below its base", end.0));
        }
        if caller_count > end.0 - base.0 {
            return Err(fields.invalid("caller count", caller_count));
        }
        if page_count > FOOTER_BODY_MAX / PAGE_LEN as u32 {
            return Err(fields.invalid("page count", u64::from(page_count)));
        }
        if frontier_count != end.0.count_ones() {
            return Err(fields.invalid("frontier count", u64::from(frontier_count)));
        }
        let mut page_fields = Fields::new(WHAT, fields.bytes(page_count as usize * PAGE_LEN)?);
        let mut pages: Vec<PageRef> = Vec::with_capacity(page_count as usize);
        for _ in 0..page_count {
            let page = PageRef {
                first: page_fields.position()?,
                times: page_fields.times()?,
                offset: page_fields.u64()?,
                entry_count: page_fields.u32()?,
            };
            page_fields.zeros(4, "reserved")?;
            let follows = pages.last().is_none_or(|last| last.first < page.first && last.offset < page.offset);
            if !follows || page.first < base || page.first >= end || page.offset < data_end || page.offset >= offset {
                return Err(fields.invalid("page out of order at", page.first.0));
            }
            if page.entry_count == 0 || page.entry_count > INDEX_PAGE_ENTRIES_MAX {
                return Err(fields.invalid("entry count", u64::from(page.entry_count)));
            }
            pages.push(page);
        }
        let frontier = fields.bytes(frontier_count as usize * 32)?.as_chunks().0.to_vec();
        let own_offset = fields.u64()?;
        if own_offset != offset {
            return Err(fields.invalid("offset", own_offset));
        }
        if fields.array()? != TRAILER_MAGIC {
            return Err(WireError::Magic { what: "trailer" });
        }
        fields.end()?;
        Ok(Self {
            number,
            base,
            end,
            data_end,
            caller_count,
            payload_bytes,
            times,
            floor,
            prune: (prune != NO_PRUNE).then_some(Position(prune)),
            index_digest,
            root,
            pages,
            frontier,
            offset,
        })
    }
}

const _: () = assert!(FIXED_LEN.is_multiple_of(8) && PAGE_LEN.is_multiple_of(8), "T3");

#[cfg(test)]
mod tests;
