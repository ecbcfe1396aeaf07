//! The frames under one entry of the index: reading them, and finding them again behind a bad place.

use crate::error::LogError;
use crate::query::ReadStats;
use bulla_segment::{SegmentError, SegmentFile};
use bulla_wire::{FRAME_ALIGNMENT, FRAME_HEADER_LEN, FrameHeader, FrameSeed, Position, Role, WireError};
use std::collections::VecDeque;
use std::ops::Range;

/// A part of a segment file in memory.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    /// Bytes read in one call where the frames wanted lie side by side.
    pub(crate) const BYTES: u64 = 64 << 10;

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where in [`bytes`](Self::bytes) the byte at `offset` of the file is.
    pub(crate) fn index_of(&self, offset: u64) -> usize {
        usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX)
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Makes the window hold `needed`, if it does not yet, by reading `reach`, which includes it. At the end of the
    /// file the window is shorter.
    pub(crate) fn load(
        &mut self,
        file: &SegmentFile,
        needed: &Range<u64>,
        reach: Range<u64>,
        stats: &mut ReadStats,
    ) -> Result<(), SegmentError> {
        if needed.start >= self.start && needed.end <= self.start + self.bytes.len() as u64 {
            return Ok(());
        }
        self.start = reach.start;
        self.bytes.resize(usize::try_from(reach.end - reach.start).unwrap_or(usize::MAX), 0);
        let len = file.read_up_to(&mut self.bytes, reach.start)?;
        self.bytes.truncate(len);
        stats.bytes_read += len as u64;
        Ok(())
    }

    fn range(&self, offsets: &Range<u64>) -> &[u8] {
        let rest = self.bytes.get(self.index_of(offsets.start)..).unwrap_or_default();
        let len = usize::try_from(offsets.end.saturating_sub(offsets.start)).unwrap_or(usize::MAX);
        rest.get(..len).unwrap_or(rest)
    }
}

/// One step through the frames of an entry.
#[derive(Debug)]
pub(crate) enum FrameSpan {
    /// A frame whose header is valid; its body has not been looked at.
    Frame { offset: u64, header: FrameHeader },
    /// Positions for which there is no frame.
    Gap { positions: Range<Position>, cause: LogError },
}

/// Splits what lies at `offsets` of the window into frames, which must hold exactly `positions`.
pub(crate) fn parse_frames(
    file: &SegmentFile,
    window: &Window,
    offsets: &Range<u64>,
    positions: &Range<Position>,
) -> VecDeque<FrameSpan> {
    let bytes = window.range(offsets);
    let (mut spans, mut expected, mut offset) = (VecDeque::new(), positions.start, offsets.start);
    let mut bad: Option<(u64, WireError)> = None;
    let index_of = |offset: u64| usize::try_from(offset - offsets.start).unwrap_or(usize::MAX);
    loop {
        let rest = bytes.get(index_of(offset)..).unwrap_or_default();
        if rest.is_empty() || expected >= positions.end {
            break;
        }
        let header = match FrameHeader::decode(rest, file.seed(), offset) {
            Ok(header) => header,
            Err(error) => {
                if error.is_newer() {
                    bad = Some((offset, error));
                    break;
                }
                bad.get_or_insert((offset, error));
                let Some(next) = next_header(bytes, offsets.start, offset + FRAME_ALIGNMENT, file.seed()) else {
                    break;
                };
                offset = next;
                continue;
            }
        };
        let (here, len) = (offset, header.frame_len());
        offset += len;
        // Frames that several entries share may begin before the entry.
        if !matches!(header.role, Role::Data { .. }) || header.end() <= expected {
            continue;
        }
        // It would carry the walk past the entries in between, which are then nowhere accounted for.
        if header.base >= positions.end {
            let error = WireError::Invalid { what: "frame", field: "base position out of order", value: header.base.0 };
            bad.get_or_insert((here, error));
            continue;
        }
        let (gap, bad) = (expected..header.base, bad.take());
        if !gap.is_empty() {
            spans.push_back(gap_span(file, gap, bad, here));
        }
        expected = header.end();
        spans.push_back(FrameSpan::Frame { offset: here, header });
    }
    let gap = expected..positions.end;
    if !gap.is_empty() {
        spans.push_back(gap_span(file, gap, bad, offset));
    }
    spans
}

/// Where the next header is whose checksum holds, also one of a later version: nothing may be called damage behind it.
fn next_header(bytes: &[u8], start: u64, from: u64, seed: &FrameSeed) -> Option<u64> {
    let index = usize::try_from(from.checked_sub(start)?).ok()?;
    let candidates = bytes.get(index..)?.windows(FRAME_HEADER_LEN as usize).step_by(FRAME_ALIGNMENT as usize);
    let mut offsets = (from..).step_by(FRAME_ALIGNMENT as usize).zip(candidates);
    let found = offsets.find(|(offset, candidate)| {
        FrameHeader::decode(candidate, seed, *offset).map_or_else(|error| error.is_newer(), |_| true)
    });
    found.map(|(offset, _)| offset)
}

fn gap_span(file: &SegmentFile, positions: Range<Position>, bad: Option<(u64, WireError)>, offset: u64) -> FrameSpan {
    let missing = WireError::Invalid { what: "segment", field: "no frame for position", value: positions.start.0 };
    let (offset, error) = bad.unwrap_or((offset, missing));
    let cause = file.error_at(offset, positions.start, error).into();
    FrameSpan::Gap { positions, cause }
}
