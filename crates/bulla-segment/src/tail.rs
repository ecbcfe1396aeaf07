//! What the end of a segment without a footer is: the scan, and the verdict on it.
//!
//! docs/DURABILITY.md has the table that [`Tail::verdict`] is; A1 to A5 there are what it assumes of disks.
//!
//! # Invariants
//!
//! - T1. The extent is the longest valid prefix; a run of frames without its last one is invalid from its first on.
//! - T2. W is the highest durable end that any valid header gives proof of, before or behind the bad place.
//!   So does the highest epoch, which no later writer may take again.
//! - T3. Damage is what is missing below W, or nonsense under sound checksums; everything else is what a crash may leave.
//! - T4. Where a valid header is of a later version, before or behind the bad place, there is no verdict.

use crate::error::SegmentError;
use crate::extent::{Extent, ExtentMark};
use crate::file::SegmentFile;
use crate::scan::{FrameScanner, Scanned};
use crate::sequence::Sequence;
use crate::summary::Summary;
use bulla_wire::{Epoch, FrameHeader, Position, Records, Role, WireError};
use std::ops::Range;

/// How the valid part of a segment ends.
#[derive(Clone, Debug)]
pub enum Stop {
    /// With the file, or with zeros up to its end.
    End,
    /// With a close frame or footer.
    Summary(Box<Summary>),
    /// With bytes that are no frame, or none that may stand here.
    Invalid(Invalid),
}

/// The first place that is not valid.
#[derive(Clone, Debug)]
pub struct Invalid {
    /// Where it is.
    pub offset: u64,
    /// What is wrong there.
    pub error: WireError,
    /// The highest durable end that valid headers at or behind the place claim.
    pub claimed: Position,
    /// The highest epoch of those headers.
    pub epoch: Epoch,
    /// The end of the last byte of the file that is not zero.
    pub non_zero_end: u64,
    /// Whether the checksums hold, so that this is what some writer wrote: no crash leaves it.
    pub is_written: bool,
}

/// What a scan found in a segment without a footer.
#[derive(Clone, Debug)]
pub struct Tail {
    /// The whole frames.
    pub extent: Extent,
    /// The order of the valid frames, from which a later scan may go on.
    pub sequence: Sequence,
    /// How the frames end.
    pub stop: Stop,
    /// Bytes read.
    pub bytes_read: u64,
}

/// What the end of a segment means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing but whole frames, and zeros at most.
    Whole,
    /// A close frame ends it.
    Closed,
    /// A footer ends it: a rotation was interrupted, or nothing was appended since.
    Sealed,
    /// What a crash leaves: bytes past everything proven durable.
    Torn,
    /// Positions proven durable are gone or wrong.
    Damaged {
        /// The positions.
        lost: Range<Position>,
    },
}

impl Tail {
    /// Scans `segment` from its first frame to the end of the file, past zeros.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`]; [`SegmentError::Newer`] or [`SegmentError::Unsupported`] where a valid frame needs a later
    /// version or another build, since nothing may be concluded from the rest.
    pub fn scan(segment: &SegmentFile) -> Result<Self, SegmentError> {
        let extent = Extent::new(segment.header().base, segment.frames_offset());
        Self::scan_from(segment, extent, Sequence::new(segment.header()))
    }

    /// Scans on from where `extent` and `sequence` end, as a reader beside a live writer does.
    ///
    /// # Errors
    ///
    /// As [`scan`](Self::scan).
    pub fn scan_from(segment: &SegmentFile, extent: Extent, sequence: Sequence) -> Result<Self, SegmentError> {
        let mut scanner = FrameScanner::new(segment, extent.end_offset)?;
        let data = sequence.clone();
        let mut scan = Scan { segment, extent, sequence, data, run: None };
        let stop = scan.run(&mut scanner)?;
        if let Some(mark) = scan.run.take() {
            scan.extent.rollback(mark);
        }
        // Frames that hold no record, and those of a broken run, may be overwritten; what they prove stays proof.
        let mut sequence = scan.data;
        sequence.learn(&scan.sequence);
        Ok(Self { extent: scan.extent, sequence, stop, bytes_read: scanner.bytes_read() })
    }

    /// The position from which nothing is valid.
    #[must_use]
    pub fn end(&self) -> Position {
        self.extent.end
    }

    /// The highest epoch met, before or behind the first invalid place: a writer that took one of them again could get
    /// bytes of that earlier life back.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        let met = match &self.stop {
            Stop::Invalid(invalid) => invalid.epoch,
            Stop::Summary(_) | Stop::End => Epoch(0),
        };
        self.sequence.epoch().max(met)
    }

    /// The highest durable end proven: by the frames, by what lies behind the first invalid place, and by `known`,
    /// which the caller has from elsewhere.
    #[must_use]
    pub fn proven_end(&self, known: Position) -> Position {
        let claimed = match &self.stop {
            Stop::Invalid(invalid) => invalid.claimed,
            Stop::Summary(summary) => summary.footer.end,
            Stop::End => Position::ZERO,
        };
        self.sequence.durable_end().max(claimed).max(known)
    }

    /// The verdict, given what the caller knows from elsewhere to have been durable.
    #[must_use]
    pub fn verdict(&self, known: Position) -> Verdict {
        let (end, proven) = (self.end(), self.proven_end(known));
        if end < proven {
            return Verdict::Damaged { lost: end..proven };
        }
        match &self.stop {
            Stop::End => Verdict::Whole,
            Stop::Summary(summary) if summary.is_sealed => Verdict::Sealed,
            Stop::Summary(_) => Verdict::Closed,
            Stop::Invalid(invalid) if invalid.is_written => {
                Verdict::Damaged { lost: end..Position(end.0.saturating_add(1)) }
            }
            Stop::Invalid(_) => Verdict::Torn,
        }
    }
}

/// Counts the caller's records in a frame and the bytes of their payloads.
///
/// # Errors
///
/// What is wrong with the records.
pub fn tally_records(header: &FrameHeader, stored: &[u8]) -> Result<(u64, u64), WireError> {
    let (mut caller_count, mut payload_bytes) = (0, 0);
    for record in Records::new(header, header.plain_body(stored)?) {
        let record = record?;
        if !record.kind.is_engine() {
            caller_count += 1;
            payload_bytes += u64::from(record.payload_len());
        }
    }
    Ok((caller_count, payload_bytes))
}

struct Scan<'a> {
    segment: &'a SegmentFile,
    extent: Extent,
    /// The order after the last valid frame.
    sequence: Sequence,
    /// The order after the last data frame that counts.
    data: Sequence,
    /// The extent before a run whose last frame has not come yet.
    run: Option<ExtentMark>,
}

/// Why a valid frame is not taken, and whether its checksums vouch for what is wrong.
type Refused = (WireError, bool);

impl Scan<'_> {
    /// Takes frames until something else comes, and says what.
    fn run(&mut self, scanner: &mut FrameScanner<'_>) -> Result<Stop, SegmentError> {
        loop {
            let offset = scanner.offset();
            let (refused, passed) = match scanner.next_frame()? {
                Scanned::End | Scanned::Zeros => match self.segment.last_non_zero(offset)? {
                    None if self.run.is_none() => return Ok(Stop::End),
                    // The frames of the run are bytes that a cut would destroy, so this is no clean end.
                    None => {
                        ((bad("batch without its last frame before position", self.sequence.next().0), false), None)
                    }
                    Some(end) => ((bad("bytes behind zeros up to", end), false), None),
                },
                Scanned::Invalid { error, .. } => ((error, false), None),
                Scanned::Frame { offset, header, stored } => match self.take(offset, &header, stored) {
                    Ok(None) => continue,
                    Ok(Some(summary)) => match self.segment.last_non_zero(scanner.offset())? {
                        None => return Ok(Stop::Summary(Box::new(summary))),
                        Some(end) => ((bad("bytes behind the summary up to", end), false), Some(header)),
                    },
                    Err(refused) => (refused, Some(header)),
                },
            };
            let (error, is_written) = refused;
            if error.is_newer() || error.is_unsupported() {
                return Err(self.segment.error_at(offset, self.sequence.next(), error));
            }
            // The frames of a broken run are cut as well, and the last of them may end in zeros.
            let counted_end = self.run.as_ref().map_or(self.extent.end_offset, ExtentMark::end_offset);
            let non_zero_end = self.segment.last_non_zero(counted_end)?.unwrap_or(offset);
            let (claimed, epoch) = claims_behind(scanner, passed.as_ref())?;
            return Ok(Stop::Invalid(Invalid { offset, error, claimed, epoch, non_zero_end, is_written }));
        }
    }

    fn take(&mut self, offset: u64, header: &FrameHeader, stored: &[u8]) -> Result<Option<Summary>, Refused> {
        let mut sequence = self.sequence.clone();
        sequence.take(header).map_err(|error| (error, false))?;
        let written = |error| (error, true);
        let summary = match header.role {
            Role::Data { more } => {
                let (caller_count, payload_bytes) = tally_records(header, stored).map_err(written)?;
                if (caller_count == 0) != header.times.is_empty() {
                    return Err(written(bad("times without records or records without times at", header.base.0)));
                }
                if more && self.run.is_none() {
                    self.run = Some(self.extent.mark());
                }
                self.extent.add(header, caller_count, payload_bytes);
                if !more {
                    self.run = None;
                    self.data = sequence.clone();
                }
                None
            }
            Role::Mark | Role::Index => None,
            Role::Footer | Role::Close => {
                let summary = self.segment.decode_summary(header, stored, offset).map_err(written)?;
                if summary.footer.data_end != self.extent.end_offset {
                    return Err(written(bad("summary with the end of data", summary.footer.data_end)));
                }
                Some(summary)
            }
        };
        self.sequence = sequence;
        Ok(summary)
    }
}

/// The highest durable end and epoch of the valid headers from the scanner's offset on, and of `passed`, a frame before
/// it that is valid in itself but may not stand where it does.
///
/// # Errors
///
/// [`SegmentError::Io`], or [`SegmentError::Newer`] for a header of a later version: what it claims is not known.
fn claims_behind(
    scanner: &mut FrameScanner<'_>,
    passed: Option<&FrameHeader>,
) -> Result<(Position, Epoch), SegmentError> {
    let mut highest = (Position::ZERO, Epoch(0));
    let mut note = |header: &FrameHeader| {
        highest = (highest.0.max(header.durable_end), highest.1.max(header.epoch));
    };
    if let Some(header) = passed {
        note(header);
    }
    let mut skip = None;
    while scanner.resync(skip.as_ref())? {
        skip = match scanner.next_frame()? {
            Scanned::Frame { header, .. } => {
                note(&header);
                None
            }
            Scanned::Invalid { header: Some(header), .. } => {
                note(&header);
                Some(header)
            }
            // `resync` stands on a header that decodes, so the file changed meanwhile.
            Scanned::Invalid { header: None, .. } | Scanned::End | Scanned::Zeros => break,
        };
    }
    scanner.passed_newer().map_or(Ok(highest), Err)
}

fn bad(field: &'static str, value: u64) -> WireError {
    WireError::Invalid { what: "frame", field, value }
}
