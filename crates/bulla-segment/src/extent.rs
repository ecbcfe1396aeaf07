//! What a segment's frames amount to: how far they reach, and their index.
//!
//! The writer, the recovery scan and a reader beside a live writer all grow an [`Extent`] frame by frame, so that they
//! agree by construction.
//!
//! # Invariants
//!
//! - E1. Only data frames count. A run of frames counts with its last one, but for what is salvaged from damage.
//! - E2. [`Extent::rollback`] gives exactly what the extent was at the mark.
//! - E3. Full pages are shared and never change; only entries of the last, partial page do.

use bulla_wire::limits::INDEX_PAGE_ENTRIES_MAX;
use bulla_wire::{FrameHeader, IndexBuilder, IndexEntry, Position, Time, TimeBounds};
use std::sync::Arc;

const PAGE: usize = INDEX_PAGE_ENTRIES_MAX as usize;

/// Sums over the caller's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there are.
    pub caller_count: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Bounds of their times.
    pub times: TimeBounds,
}

/// How far the data frames of a segment reach, and what is in them.
#[derive(Clone, Debug)]
pub struct Extent {
    /// The position after the last record.
    pub end: Position,
    /// The offset after the last data frame.
    pub end_offset: u64,
    /// Sums over the caller's records.
    pub tally: Tally,
    pages: Vec<Arc<[IndexEntry]>>,
    tail: Vec<IndexEntry>,
    builder: IndexBuilder,
}

/// An earlier state of an [`Extent`].
#[derive(Clone, Debug)]
pub struct ExtentMark {
    end: Position,
    end_offset: u64,
    tally: Tally,
    entry_count: usize,
    last: Option<IndexEntry>,
    builder: IndexBuilder,
}

impl ExtentMark {
    /// The position after the last record then.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// The offset after the last data frame then.
    #[must_use]
    pub fn end_offset(&self) -> u64 {
        self.end_offset
    }
}

impl Extent {
    /// The extent of a segment without frames.
    #[must_use]
    pub fn new(base: Position, frames_offset: u64) -> Self {
        Self {
            end: base,
            end_offset: frames_offset,
            tally: Tally::default(),
            pages: Vec::new(),
            tail: Vec::new(),
            builder: IndexBuilder::default(),
        }
    }

    /// The extent of a cleanly closed segment, from its close frame and the pages before it.
    #[must_use]
    pub fn from_index(end: Position, end_offset: u64, tally: Tally, entries: Vec<IndexEntry>) -> Self {
        let mut extent = Self::new(end, end_offset);
        extent.tally = tally;
        // The last entry's frames reach to the end of the data.
        let covered = entries.last().map_or(0, |last| end_offset.saturating_sub(last.offset));
        extent.builder = IndexBuilder::covering(covered);
        for entry in entries {
            extent.push_entry(entry);
        }
        extent
    }

    /// Adds the data frame with `header`, which begins where the last one ends, with `caller_count` records of the
    /// caller's and their `payload_bytes`.
    pub fn add(&mut self, header: &FrameHeader, caller_count: u64, payload_bytes: u64) {
        match self.builder.add(header, self.end_offset) {
            Some(entry) => self.push_entry(entry),
            None => {
                if let Some(last) = self.tail.last_mut() {
                    last.times.merge(header.times);
                }
            }
        }
        self.end = header.end();
        self.end_offset += header.frame_len();
        self.tally.caller_count += caller_count;
        // What a close frame says of this is any number; only verification counts again.
        self.tally.payload_bytes = self.tally.payload_bytes.saturating_add(payload_bytes);
        self.tally.times.merge(header.times);
    }

    /// Goes on at `offset` with position `next`, although the last frame ends before. An entry of its own stands for
    /// positions that are passed over, whatever the times; the next frame begins another.
    pub(crate) fn skip_to(&mut self, next: Position, offset: u64) {
        if next > self.end {
            let times = TimeBounds { min: Time(i64::MIN), max: Time(i64::MAX) };
            self.push_entry(IndexEntry { first: self.end, times, offset: self.end_offset });
        }
        self.builder = IndexBuilder::default();
        (self.end, self.end_offset) = (next, offset);
    }

    /// Remembers the present state.
    #[must_use]
    pub fn mark(&self) -> ExtentMark {
        ExtentMark {
            end: self.end,
            end_offset: self.end_offset,
            tally: self.tally,
            entry_count: self.pages.len() * PAGE + self.tail.len(),
            last: self.tail.last().copied(),
            builder: self.builder.clone(),
        }
    }

    /// Goes back to an earlier state.
    pub fn rollback(&mut self, mark: ExtentMark) {
        while self.pages.len() * PAGE >= mark.entry_count.max(1) {
            self.tail = self.pages.pop().map(|page| page.to_vec()).unwrap_or_default();
        }
        self.tail.truncate(mark.entry_count - self.pages.len() * PAGE);
        if let (Some(place), Some(last)) = (self.tail.last_mut(), mark.last) {
            *place = last;
        }
        self.end = mark.end;
        self.end_offset = mark.end_offset;
        self.tally = mark.tally;
        self.builder = mark.builder;
    }

    /// The index as pages: full ones, and the entries of the last, partial one.
    #[must_use]
    pub fn index(&self) -> (&[Arc<[IndexEntry]>], &[IndexEntry]) {
        (&self.pages, &self.tail)
    }

    /// All entries of the index, in order.
    pub fn entries(&self) -> impl Iterator<Item = &IndexEntry> {
        self.pages.iter().flat_map(|page| page.iter()).chain(&self.tail)
    }

    fn push_entry(&mut self, entry: IndexEntry) {
        if self.tail.len() == PAGE {
            self.pages.push(std::mem::take(&mut self.tail).into());
        }
        self.tail.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulla_wire::{Codec, Epoch, Role};

    fn frame(extent: &Extent, bytes: u32) -> FrameHeader {
        let time = Time(extent.end_offset.cast_signed());
        FrameHeader {
            role: Role::Data { more: false },
            codec: Codec::None,
            stored_len: bytes,
            plain_len: bytes,
            record_count: 3,
            epoch: Epoch(1),
            base: extent.end,
            durable_end: Position(0),
            times: TimeBounds { min: time, max: time },
            body_checksum: 0,
        }
    }

    /// E2, with marks on both sides of page borders.
    #[test]
    fn a_rollback_gives_what_was() {
        let mut extent = Extent::new(Position(5), 128);
        let mut states = Vec::new();
        for step in 0..1_200_u32 {
            states.push((extent.clone(), extent.mark()));
            let header = frame(&extent, if step % 7 == 0 { 100 } else { 5_000 });
            extent.add(&header, 2, 50);
        }
        for (state, mark) in states.into_iter().rev().step_by(97) {
            extent.rollback(mark);
            assert_eq!(format!("{extent:?}"), format!("{state:?}"));
        }
    }

    /// A mark says where the extent ended, and an extent counts the records and bytes of all its frames.
    #[test]
    fn an_extent_adds_up_its_frames_and_a_mark_says_where_it_ended() {
        let mut extent = Extent::new(Position(5), 128);
        let mut end_offset = 128;
        for step in 0..9 {
            let mark = extent.mark();
            assert_eq!((mark.end(), mark.end_offset()), (Position(5 + 3 * step), end_offset));
            assert_eq!((extent.tally.caller_count, extent.tally.payload_bytes), (2 * step, 50 * step));
            let header = frame(&extent, 101);
            end_offset += header.frame_len();
            extent.add(&header, 2, 50);
        }
        assert_eq!((extent.tally.times.min, extent.tally.times.max.0 < end_offset.cast_signed()), (Time(128), true));
    }

    /// What is passed over has an entry of its own, which meets every time; where no position is missing there is none,
    /// since positions rise from entry to entry. The frame behind begins an entry either way.
    #[test]
    fn positions_that_are_passed_over_have_an_entry_that_meets_every_time() {
        for (next, firsts) in [(5 + 3, vec![5, 8]), (5 + 4, vec![5, 8, 9]), (5 + 900, vec![5, 8, 905])] {
            let mut extent = Extent::new(Position(5), 128);
            extent.add(&frame(&extent, 100), 1, 1);
            let (end, end_offset) = (extent.end, extent.end_offset);
            extent.skip_to(Position(next), 4_096);
            assert_eq!((extent.end, extent.end_offset), (Position(next), 4_096));
            extent.add(&frame(&extent, 100), 1, 1);
            let entries: Vec<_> = extent.entries().copied().collect();
            assert_eq!(entries.iter().map(|entry| entry.first.0).collect::<Vec<_>>(), firsts);
            if let [_, passed, _] = entries[..] {
                assert_eq!((passed.first, passed.offset), (end, end_offset));
                assert_eq!(passed.times, TimeBounds { min: Time(i64::MIN), max: Time(i64::MAX) });
            }
            assert_eq!(entries.last().unwrap().offset, 4_096);
        }
    }

    /// A reopened segment groups its next frames as the writer would have.
    #[test]
    fn an_extent_from_its_index_goes_on_alike() {
        let mut grown = Extent::new(Position(0), 128);
        for step in 0..600_u32 {
            let read = Extent::from_index(grown.end, grown.end_offset, grown.tally, grown.entries().copied().collect());
            assert_eq!(format!("{read:?}"), format!("{grown:?}"), "after {step} frames");
            let header = frame(&grown, 64 * (step % 90) + 1);
            grown.add(&header, 1, 1);
        }
    }
}
