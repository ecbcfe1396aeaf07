//! Finding and reading what a segment ends with: footer or close frame, and the pages of the index.
//!
//! # Invariants
//!
//! - Y1. [`SegmentFile::read_summary`] reads the last 16 bytes and that one frame, whatever the file's length.
//! - Y2. A page is believed only if its entries are what the footer says of them.

use crate::error::SegmentError;
use crate::file::SegmentFile;
use bulla_wire::limits::{FOOTER_BODY_MAX, INDEX_PAGE_ENTRIES_MAX};
use bulla_wire::{
    Epoch, FRAME_ALIGNMENT, FRAME_HEADER_LEN, Footer, FrameHeader, INDEX_ENTRY_LEN, IndexEntry, PageRef, Role,
    TRAILER_LEN, WireError, decode_page,
};

/// The frame that ends a sealed or cleanly closed segment.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Whether it seals the segment; otherwise it is a close frame and the segment takes further records.
    pub is_sealed: bool,
    /// What the frame says.
    pub footer: Footer,
    /// The epoch that wrote it.
    pub epoch: Epoch,
}

impl SegmentFile {
    /// The frame that ends the file, if it is a whole footer or close frame: reads that frame and nothing else.
    ///
    /// `None` says only that the file does not end so; what it ends with is for a scan to find out.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`], or [`SegmentError::Newer`] for a frame that a later version wrote.
    pub fn read_summary(&self) -> Result<Option<Summary>, SegmentError> {
        const FRAME_MAX: u64 = FRAME_HEADER_LEN + FOOTER_BODY_MAX as u64;
        let (len, frames) = (self.file_len()?, self.frames_offset());
        let mut last = [0; TRAILER_LEN as usize];
        let Some(trailer) = len.checked_sub(TRAILER_LEN) else { return Ok(None) };
        if self.read_up_to(&mut last, trailer)? != last.len() {
            return Ok(None);
        }
        let Some(offset) = Footer::trailer_offset(&last) else { return Ok(None) };
        let is_possible = offset >= frames && offset.is_multiple_of(FRAME_ALIGNMENT);
        let Some(frame_len) = len.checked_sub(offset).filter(|len| is_possible && *len <= FRAME_MAX) else {
            return Ok(None);
        };
        let mut bytes = vec![0; frame_len as usize];
        if self.read_up_to(&mut bytes, offset)? != bytes.len() {
            return Ok(None);
        }
        match FrameHeader::decode(&bytes, self.seed(), offset) {
            Ok(header) if header.frame_len() == frame_len => {
                let rest = bytes.get(FRAME_HEADER_LEN as usize..).unwrap_or_default();
                let body = header.check_body(rest, self.seed(), offset);
                Ok(body.and_then(|body| self.decode_summary(&header, body, offset)).ok())
            }
            Err(error) if error.is_newer() => Err(self.error_at(offset, self.header().base, error)),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// Decodes the body of the frame with `header` at `offset`, which must be a footer or close frame of this segment.
    ///
    /// # Errors
    ///
    /// [`WireError`] for what is wrong with it.
    pub fn decode_summary(&self, header: &FrameHeader, body: &[u8], offset: u64) -> Result<Summary, WireError> {
        let is_sealed = match header.role {
            Role::Footer => true,
            Role::Close => false,
            Role::Data { .. } | Role::Mark | Role::Index => return Err(WireError::Magic { what: "footer" }),
        };
        let footer = Footer::decode(body, offset)?;
        let invalid = |field, value| Err(WireError::Invalid { what: "footer", field, value });
        if footer.number != self.header().number {
            return invalid("segment number", footer.number.0);
        }
        if footer.base != self.header().base {
            return invalid("base position", footer.base.0);
        }
        if footer.end != header.base {
            return invalid("end position", footer.end.0);
        }
        if footer.data_end < self.frames_offset() || footer.data_end > offset {
            return invalid("end of data", footer.data_end);
        }
        Ok(Summary { is_sealed, footer, epoch: header.epoch })
    }

    /// Reads and checks one page of the index.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`], or [`SegmentError::Damaged`] if the page is not what the footer says of it.
    pub fn read_page(&self, page: &PageRef) -> Result<Vec<IndexEntry>, SegmentError> {
        // A reference that `Footer::decode` gave is within the limit; one that a caller made must not allocate more.
        let entry_count = page.entry_count.min(INDEX_PAGE_ENTRIES_MAX);
        let len = FRAME_HEADER_LEN + u64::from(entry_count) * u64::from(INDEX_ENTRY_LEN);
        let mut bytes = vec![0; len as usize];
        let len = self.read_up_to(&mut bytes, page.offset)?;
        self.decode_index_page(bytes.get(..len).unwrap_or_default(), page)
            .map_err(|error| self.error_at(page.offset, page.first, error))
    }

    fn decode_index_page(&self, bytes: &[u8], page: &PageRef) -> Result<Vec<IndexEntry>, WireError> {
        let header = FrameHeader::decode(bytes, self.seed(), page.offset)?;
        let rest = bytes.get(FRAME_HEADER_LEN as usize..).unwrap_or_default();
        let entries = decode_page(header.check_body(rest, self.seed(), page.offset)?)?;
        if header.role != Role::Index || PageRef::of(&entries, page.offset).as_ref() != Some(page) {
            return Err(WireError::Invalid {
                what: "index page",
                field: "entries unlike its footer at",
                value: page.first.0,
            });
        }
        Ok(entries)
    }
}
