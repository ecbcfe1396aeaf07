//! Walking the frames of a file in order, through one bounded window.
//!
//! # Invariants
//!
//! - N1. A scan looks at each byte once and holds one window: 256 KiB, or the largest frame met.
//! - N2. After a bad place, [`FrameScanner::resync`] never looks for frames inside the body of a valid header.
//!
//! # Not here
//!
//! Whether a frame follows from the one before it ([`Sequence`](crate::Sequence)).

use crate::error::SegmentError;
use crate::file::SegmentFile;
use bulla_wire::{FRAME_ALIGNMENT, FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, FrameSeed, WireError};

/// Bytes read at a time.
const WINDOW_BYTES: usize = 256 << 10;

/// What lies at the scanner's offset.
#[derive(Debug)]
pub enum Scanned<'a> {
    /// A frame whose checksums hold.
    Frame {
        /// Where it begins.
        offset: u64,
        /// Its header.
        header: FrameHeader,
        /// Its body as stored.
        stored: &'a [u8],
    },
    /// The end of the file, at a frame border.
    End,
    /// A header of zeros, which ends the log for readers; other bytes may still follow it.
    Zeros,
    /// No valid frame. If only its body is bad, the header is there.
    Invalid {
        /// What is wrong.
        error: WireError,
        /// The header, if its own checksum holds.
        header: Option<FrameHeader>,
    },
}

/// Yields the frames of a segment in order of offset.
#[derive(Debug)]
pub struct FrameScanner<'a> {
    segment: &'a SegmentFile,
    offset: u64,
    limit: u64,
    window: Vec<u8>,
    window_start: u64,
    bytes_read: u64,
    newer: Option<(u64, WireError)>,
}

impl<'a> FrameScanner<'a> {
    /// Scans `segment` from `offset` up to what is the end of the file now.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`].
    pub fn new(segment: &'a SegmentFile, offset: u64) -> Result<Self, SegmentError> {
        let limit = segment.file_len()?;
        Ok(Self { segment, offset, limit, window: Vec::new(), window_start: offset, bytes_read: 0, newer: None })
    }

    /// Where the next frame is looked for.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes read from the file so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Reads the frame at the offset, and moves behind it if it is valid.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`] only: wrong bytes are an answer.
    pub fn next_frame(&mut self) -> Result<Scanned<'_>, SegmentError> {
        let (segment, offset) = (self.segment, self.offset);
        let head = self.fill(offset, FRAME_HEADER_LEN as usize)?;
        if head.is_empty() {
            return Ok(Scanned::End);
        }
        if FrameHeader::is_zero(head) {
            return Ok(Scanned::Zeros);
        }
        let header = match FrameHeader::decode(head, segment.seed(), offset) {
            Ok(header) => header,
            Err(error) => return Ok(Scanned::Invalid { error, header: None }),
        };
        // The header's checksum holds and its lengths are within the limits, so this allocates at most one frame.
        self.fill(offset, header.frame_len() as usize)?;
        let start = (offset - self.window_start) as usize + FRAME_HEADER_LEN as usize;
        let rest = self.window.get(start..).unwrap_or_default();
        match header.check_body(rest, segment.seed(), offset) {
            Ok(stored) => {
                self.offset += header.frame_len();
                Ok(Scanned::Frame { offset, header, stored })
            }
            Err(error) => Ok(Scanned::Invalid { error, header: Some(header) }),
        }
    }

    /// Moves on to the next valid header: from the offset, or from behind the frame of `skip`, which begins there.
    /// `false` if the file holds none.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`].
    pub fn resync(&mut self, skip: Option<&FrameHeader>) -> Result<bool, SegmentError> {
        let seed = self.segment.seed().clone();
        let mut start = self.offset.saturating_add(skip.map_or(0, FrameHeader::frame_len));
        while start < self.limit {
            start = start.next_multiple_of(FRAME_ALIGNMENT);
            let window = self.fill(start, WINDOW_BYTES)?;
            let (found, newer) = find_header(window, start, &seed);
            self.newer = self.newer.take().or(newer);
            if let Some(offset) = found {
                self.offset = offset;
                return Ok(true);
            }
            // The last bytes may be the beginning of a header, so they are looked at again with what follows.
            start += WINDOW_BYTES as u64 - FRAME_HEADER_LEN;
        }
        self.offset = self.limit;
        Ok(false)
    }

    /// The error for the first header of a later version that [`resync`](Self::resync) passed over.
    pub(crate) fn passed_newer(&self) -> Option<SegmentError> {
        let (offset, error) = self.newer.clone()?;
        Some(self.segment.error_at(offset, self.segment.header().base, error))
    }

    /// Gives the bytes from `offset` on, `len` of them or as many as there are.
    fn fill(&mut self, offset: u64, len: usize) -> Result<&[u8], SegmentError> {
        let window_end = self.window_start + self.window.len() as u64;
        let wanted_end = offset.saturating_add(len as u64).min(self.limit);
        if offset < self.window_start || wanted_end > window_end {
            // What is there already is kept; reading whole windows keeps the number of calls down.
            let is_inside = (self.window_start..window_end).contains(&offset);
            let passed = if is_inside { (offset - self.window_start) as usize } else { self.window.len() };
            self.window.drain(..passed);
            self.window_start = offset;
            let kept = self.window.len();
            let goal = (len.max(WINDOW_BYTES) as u64).min(self.limit.saturating_sub(offset)) as usize;
            self.window.resize(goal.max(kept), 0);
            let read =
                self.segment.read_up_to(self.window.get_mut(kept..).unwrap_or_default(), offset + kept as u64)?;
            self.window.truncate(kept + read);
            self.bytes_read += read as u64;
        }
        let rest = self.window.get((offset - self.window_start) as usize..).unwrap_or_default();
        Ok(rest.get(..len).unwrap_or(rest))
    }
}

/// The offset of the first valid header in `window`, which lies at `start`, and the first header before it that a later
/// version wrote: its checksum holds, but what it claims cannot be read.
fn find_header(window: &[u8], start: u64, seed: &FrameSeed) -> (Option<u64>, Option<(u64, WireError)>) {
    let mut newer = None;
    let mut rest = window;
    while let Some(candidate) = rest.get(..FRAME_HEADER_LEN as usize) {
        let offset = start + (window.len() - rest.len()) as u64;
        if candidate.starts_with(&FRAME_MAGIC) {
            match FrameHeader::decode(candidate, seed, offset) {
                Ok(_) => return (Some(offset), newer),
                Err(error) if error.is_newer() && newer.is_none() => newer = Some((offset, error)),
                Err(_) => {}
            }
        }
        rest = rest.get(FRAME_ALIGNMENT as usize..).unwrap_or_default();
    }
    (None, newer)
}
