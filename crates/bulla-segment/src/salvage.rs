//! What can still be read of a damaged segment: the valid frames behind a bad place too, and what is missing between.
//!
//! # Invariants
//!
//! - G1. Everything that a [`Tail`] holds is in the salvage, and what is proven durable and valid behind it.
//! - G2. Every position below the end is in a frame or in a hole, and in one only.
//! - G3. Positions, epochs and durable ends rise along the file. Where lives of the log contradict each other, the later
//!   one is believed, and of the earlier one nothing that it wrote from there on.
//! - G4. A frame that is not proven durable counts only if it follows the frame before it without a bad place between.
//! - G5. Nothing looks for frames inside the body of a valid header.
//!
//! It costs, above an extent, one [`Hole`] and one entry of the index for each bad place.

use crate::error::SegmentError;
use crate::extent::{Extent, ExtentMark};
use crate::file::SegmentFile;
use crate::scan::{FrameScanner, Scanned};
use crate::tail::{Tail, tally_records};
use bulla_wire::{Epoch, FrameHeader, Position, Role, WireError};
use std::ops::Range;

/// A bad place between valid frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Positions without a frame; none where the bytes are bad and nothing is missing.
    pub positions: Range<Position>,
    /// From the end of the frame before it to the next one.
    pub offsets: Range<u64>,
    /// Where the first bad byte was looked at, and what is wrong there.
    pub bad: (u64, WireError),
}

/// What could be read of a segment.
#[derive(Clone, Debug)]
pub struct Salvage {
    /// The frames. An entry of the index stands for each hole with positions in it.
    pub extent: Extent,
    /// The bad places between frames, in order.
    pub holes: Vec<Hole>,
    /// Bytes read.
    pub bytes_read: u64,
}

/// Frames between two holes: what was there before them, and the highest epoch among them.
struct Island {
    before: ExtentMark,
    holes: usize,
    order: (Epoch, Position),
    epoch: Epoch,
}

struct Walk {
    salvage: Salvage,
    islands: Vec<Island>,
    /// Epoch and durable end of the last frame taken.
    order: (Epoch, Position),
    /// The first bad place since then.
    bad: Option<(u64, WireError)>,
    proven: Position,
}

impl Salvage {
    /// Goes on where `tail`, a scan of `segment`, came to an end. Positions below `proven` were durable; what lies above
    /// is a torn tail unless it follows in order (G4).
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`]; [`SegmentError::Newer`] or [`SegmentError::Unsupported`] where a valid frame needs a later
    /// version or another build.
    pub fn scan(segment: &SegmentFile, tail: &Tail, proven: Position) -> Result<Self, SegmentError> {
        let extent = tail.extent.clone();
        let mut scanner = FrameScanner::new(segment, extent.end_offset)?;
        let salvage = Self { extent, holes: Vec::new(), bytes_read: 0 };
        // What the tail learnt from frames that it gave back binds nobody.
        let order = tail.sequence.order();
        let mut walk = Walk { salvage, islands: Vec::new(), order, bad: None, proven };
        loop {
            let offset = scanner.offset();
            let skip = match scanner.next_frame()? {
                Scanned::End => break,
                Scanned::Frame { header, stored, .. } => match walk.take(&header, stored, offset) {
                    Err(error) if error.is_newer() || error.is_unsupported() => {
                        return Err(segment.error_at(offset, walk.salvage.extent.end, error));
                    }
                    Err(error) => {
                        walk.bad.get_or_insert((offset, error));
                        continue;
                    }
                    Ok(()) => continue,
                },
                Scanned::Zeros => {
                    walk.bad.get_or_insert((offset, bad("zeros in place of a header at", offset)));
                    None
                }
                // A header of a later version too: `resync` passes over it, and the scanner remembers.
                Scanned::Invalid { error, header } => {
                    walk.bad.get_or_insert((offset, error));
                    header
                }
            };
            if !scanner.resync(skip.as_ref())? {
                break;
            }
        }
        walk.salvage.bytes_read = scanner.bytes_read();
        scanner.passed_newer().map_or(Ok(walk.salvage), Err)
    }
}

impl Walk {
    fn take(&mut self, header: &FrameHeader, stored: &[u8], offset: u64) -> Result<(), WireError> {
        if !matches!(header.role, Role::Data { .. }) {
            return Ok(());
        }
        let (caller_count, payload_bytes) = tally_records(header, stored)?;
        self.give_back_to(header);
        let end = self.salvage.extent.end;
        let is_next = header.base == end && self.bad.is_none();
        if header.base < end || !(is_next || header.base < self.proven) {
            return Err(bad("base position out of order", header.base.0));
        }
        if header.epoch < self.order.0 {
            return Err(bad("fallen epoch", u64::from(header.epoch.0)));
        }
        if header.durable_end < self.order.1 {
            return Err(bad("fallen durable end", header.durable_end.0));
        }
        if !is_next || offset != self.salvage.extent.end_offset {
            self.cross(header.base, offset);
        }
        if let Some(island) = self.islands.last_mut() {
            island.epoch = header.epoch;
        }
        self.order = (header.epoch, header.durable_end);
        self.salvage.extent.add(header, caller_count, payload_bytes);
        Ok(())
    }

    /// Leaves a hole up to the frame of `next` at `offset`, which begins an island.
    fn cross(&mut self, next: Position, offset: u64) {
        let Salvage { extent, holes, .. } = &mut self.salvage;
        let before = extent.mark();
        self.islands.push(Island { before, holes: holes.len(), order: self.order, epoch: Epoch(0) });
        let at = extent.end_offset;
        let bad = self.bad.take().unwrap_or_else(|| (at, bad("no frame for position", extent.end.0)));
        holes.push(Hole { positions: extent.end..next, offsets: at..offset, bad });
        extent.skip_to(next, offset);
    }

    /// G3. A later life wrote the frame of `header` where islands of earlier ones reach further: they had been cut off.
    fn give_back_to(&mut self, header: &FrameHeader) {
        while let Some(island) =
            self.islands.pop_if(|island| island.epoch < header.epoch && self.salvage.extent.end > header.base)
        {
            let hole = self.salvage.holes.get(island.holes).map(|hole| hole.bad.clone());
            self.bad = hole.or_else(|| self.bad.take());
            self.salvage.holes.truncate(island.holes);
            self.salvage.extent.rollback(island.before);
            self.order = island.order;
        }
    }
}

fn bad(field: &'static str, value: u64) -> WireError {
    WireError::Invalid { what: "frame", field, value }
}
