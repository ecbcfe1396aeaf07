//! The segment that takes appends, and how it ends: sealed for ever, or closed for now.
//!
//! # Invariants
//!
//! - A1. Index, footer and close frame are written only after a sync that covers every record they speak of (law L11);
//!   the caller has synced before it calls [`Active::end`].
//! - A2. What ends a file is its last byte: zeros written ahead are cut off.
//! - A3. Nobody goes on from a summary unless its index fills the file from the end of data to it: what names another end
//!   of data has records cut in two, or the next frame where none can begin.

use crate::error::SegmentError;
use crate::extent::{Extent, Tally};
use crate::file::SegmentFile;
use crate::summary::Summary;
use bulla_wire::{
    Codec, Epoch, FRAME_HEADER_LEN, Footer, FrameHeader, INDEX_ENTRY_LEN, PageRef, Position, Role, TimeBounds,
    WireError, encode_page,
};

/// Frames of the index gathered before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// A segment that takes records.
#[derive(Clone, Debug)]
pub struct Active {
    /// The file.
    pub file: SegmentFile,
    /// The frames in it, or about to be in it.
    pub extent: Extent,
    /// Up to where the file holds zeros written ahead of the frames.
    pub zero_end: u64,
}

/// What the layers above know of a segment's end.
#[derive(Clone, Debug)]
pub struct EndFacts {
    /// The writer's epoch.
    pub epoch: Epoch,
    /// The log's floor.
    pub floor: Position,
    /// Where the record that moved the floor is.
    pub prune: Option<Position>,
    /// Digest of the index's logical column.
    pub index_digest: [u8; 32],
    /// Root of the history tree at the segment's end.
    pub root: [u8; 32],
    /// The tree's frontier there.
    pub frontier: Vec<[u8; 32]>,
}

impl Active {
    /// A segment with the frames of `extent`.
    #[must_use]
    pub fn new(file: SegmentFile, extent: Extent) -> Self {
        let zero_end = extent.end_offset;
        Self { file, extent, zero_end }
    }

    /// A segment without frames.
    #[must_use]
    pub fn empty(file: SegmentFile) -> Self {
        let extent = Extent::new(file.header().base, file.frames_offset());
        Self::new(file, extent)
    }

    /// The segment that `summary`, its close frame, describes: reads the pages of its index and no frame of records.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`] or [`SegmentError::Damaged`] for a page or its place. A crash within [`Active::end`] may leave the summary
    /// whole and a page not, so what follows is a scan: [`Tail::scan`](crate::Tail::scan) finds the records.
    pub fn from_close(file: SegmentFile, summary: &Summary) -> Result<Self, SegmentError> {
        let footer = &summary.footer;
        check_layout(footer).map_err(|error| file.error_at(footer.offset, footer.end, error))?;
        let mut entries = Vec::new();
        for page in &footer.pages {
            entries.extend(file.read_page(page)?);
        }
        let tally =
            Tally { caller_count: footer.caller_count, payload_bytes: footer.payload_bytes, times: footer.times };
        let extent = Extent::from_index(footer.end, footer.data_end, tally, entries);
        Ok(Self::new(file, extent))
    }

    /// Writes the index and the footer (`seal`) or close frame behind the last record, cuts what lies beyond, syncs.
    ///
    /// # Durability
    ///
    /// When this returns, the file ends with the summary, durably. A crash before leaves the records, and behind them any
    /// part of the index and summary, the summary without a page included; recovery cuts them off.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`]. For lack of space nothing was synced, and [`Active::take_back`] undoes it.
    pub fn end(&self, facts: &EndFacts, seal: bool) -> Result<Footer, SegmentError> {
        let (full, last) = self.extent.index();
        let (end, mut offset) = (self.extent.end, self.extent.end_offset);
        let mut header = FrameHeader {
            role: Role::Index,
            codec: Codec::None,
            stored_len: 0,
            plain_len: 0,
            record_count: 0,
            epoch: facts.epoch,
            base: end,
            durable_end: end,
            times: TimeBounds::EMPTY,
            body_checksum: 0,
        };
        let (mut pages, mut out, mut body) = (Vec::new(), Vec::new(), Vec::new());
        for entries in full.iter().map(|page| &**page).chain(std::iter::once(last)) {
            let frame_offset = offset + out.len() as u64;
            let Some(page) = PageRef::of(entries, frame_offset) else { continue };
            body.clear();
            encode_page(entries, &mut body);
            header.encode(&body, self.file.seed(), frame_offset, &mut out);
            pages.push(page);
            if out.len() >= WRITE_BYTES {
                self.file.write(&out, offset)?;
                offset += out.len() as u64;
                out.clear();
            }
        }
        let frame_offset = offset + out.len() as u64;
        let footer = Footer {
            number: self.file.header().number,
            base: self.file.header().base,
            end,
            data_end: self.extent.end_offset,
            caller_count: self.extent.tally.caller_count,
            payload_bytes: self.extent.tally.payload_bytes,
            times: self.extent.tally.times,
            floor: facts.floor,
            prune: facts.prune,
            index_digest: facts.index_digest,
            root: facts.root,
            pages,
            frontier: facts.frontier.clone(),
            offset: frame_offset,
        };
        header.role = if seal { Role::Footer } else { Role::Close };
        header.encode(&footer.encode(), self.file.seed(), frame_offset, &mut out);
        self.file.write(&out, offset)?;
        self.file.set_len(offset + out.len() as u64)?;
        self.file.sync()?;
        Ok(footer)
    }

    /// Cuts off everything behind the last record, after a write for which there was no room.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`]; what the file ends with is then unknown.
    pub fn take_back(&mut self) -> Result<(), SegmentError> {
        self.file.set_len(self.extent.end_offset)?;
        self.zero_end = self.extent.end_offset;
        Ok(())
    }
}

/// A3.
fn check_layout(footer: &Footer) -> Result<(), WireError> {
    let invalid = |field, value| Err(WireError::Invalid { what: "footer", field, value });
    let mut next = footer.data_end;
    for page in &footer.pages {
        if page.offset != next {
            return invalid("page out of place at", page.offset);
        }
        let len = FRAME_HEADER_LEN + u64::from(page.entry_count) * u64::from(INDEX_ENTRY_LEN);
        // A page's offset is below the summary's, which is one in a file.
        next = next.saturating_add(len);
    }
    if next == footer.offset { Ok(()) } else { invalid("end of data", footer.data_end) }
}
