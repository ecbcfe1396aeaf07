//! One segment, on its own: its header, how it ends, and its frames.
//!
//! # Invariants
//!
//! - S1. A segment is judged by nothing but its own bytes, so that a bad neighbour does not condemn it: its tree goes on
//!   from the frontier in its own header.
//! - S2. What lies past everything proven durable at the end of the newest segment is a remark, and bytes that a live
//!   writer is about to change are not looked at.

use super::facts::{Facts, check_footer_alone, check_header_alone};
use super::walk::{Range, Walk, Walked};
use super::{describe, verdict_of_segment};
use crate::report::{Findings, Level, Verdict};
use bulla_chain::Frontier;
use bulla_segment::{Newest, SegmentError, SegmentFile, Stop, Summary, Tail, Verdict as TailVerdict};
use bulla_vfs::{Host, OpenMode};
use bulla_wire::{LogId, Position, SegmentHeader};
use std::path::PathBuf;

/// How often the end of the newest segment is looked at again while it grows.
const RESCANS_MAX: usize = 4;

/// A file with a segment's name.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) name: String,
    /// The position in its name.
    pub(super) base: Position,
    /// The position in the name of the one after it; the newest has none after it.
    pub(super) next_base: Option<Position>,
}

/// What the verification of all segments is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    pub(super) host: &'a Host,
    pub(super) level: Level,
    /// The log that the segments must belong to.
    pub(super) id: Option<LogId>,
    /// Segments that end at or below this size are not read beyond their header.
    pub(super) since: u64,
    /// Sizes at which the root is wanted, in order.
    pub(super) sizes: &'a [u64],
}

/// What was found out about one segment.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) name: String,
    pub(super) findings: Findings,
    pub(super) not_checked: Vec<String>,
    /// The header, if it is one of this log's.
    pub(super) header: Option<SegmentHeader>,
    pub(super) frames_offset: u64,
    /// Footer or close frame.
    pub(super) summary: Option<Summary>,
    pub(super) walked: Option<Walked>,
    /// What the segment amounts to, as far as that is known.
    pub(super) facts: Option<Facts>,
    /// The position after the last record, if anything tells.
    pub(super) end: Option<Position>,
    pub(super) bytes_checked: u64,
    /// Whether a crash left the file before its header was durable.
    pub(super) is_interrupted: bool,
    /// Whether nothing but its header was to be read.
    pub(super) is_below_since: bool,
}

impl Examined {
    pub(super) fn is_whole(&self) -> bool {
        self.walked.as_ref().is_some_and(|walked| walked.is_whole)
    }
}

/// Checks the segment of `candidate`; `tick` hears of bytes and records so far.
pub(super) fn check(task: Task<'_>, candidate: &Candidate, tick: &mut dyn FnMut(u64, u64)) -> Examined {
    let mut checked = Examined {
        name: candidate.name.clone(),
        findings: Findings::new(&candidate.name),
        not_checked: Vec::new(),
        header: None,
        frames_offset: 0,
        summary: None,
        walked: None,
        facts: None,
        end: None,
        bytes_checked: 0,
        is_interrupted: false,
        is_below_since: candidate.next_base.is_some_and(|next| next.0 <= task.since),
    };
    if let Err(error) = checked.run(task, candidate, tick) {
        let position = checked.header.as_ref().map_or(candidate.base, |header| header.base);
        checked.findings.add(verdict_of_segment(&error), position, error.offset(), describe(&error));
        checked.not_checked.push(format!("what follows in segment {}", candidate.name));
        checked.walked = None;
        checked.facts = None;
    }
    checked
}

impl Examined {
    fn run(
        &mut self,
        task: Task<'_>,
        candidate: &Candidate,
        tick: &mut dyn FnMut(u64, u64),
    ) -> Result<(), SegmentError> {
        let is_newest = candidate.next_base.is_none();
        let Some(file) = self.open(task, candidate, is_newest)? else { return Ok(()) };
        let header = file.header();
        check_header_alone(header, &mut self.findings);
        let Ok(frontier) = Frontier::from_parts(header.base.0, &header.frontier) else { return Ok(()) };
        self.header = Some(header.clone());
        self.frames_offset = file.frames_offset();
        self.bytes_checked = self.frames_offset;
        if self.is_below_since {
            return Ok(());
        }

        let mut range = self.ending(&file, candidate)?;
        if task.level == Level::Structure {
            // The first frame holds the genesis or the seal.
            range = Range { limit: range.limit.min(self.frames_offset + 1), end: None, ..range };
        }
        let found_before = self.findings.worst();
        let mut walked = Walk::new(&file, range, frontier, task.sizes, &mut self.findings).run(tick)?;
        walked.is_whole &= task.level == Level::Full;
        // Some bytes are read more than once, to find the end and then to walk there.
        self.bytes_checked = (self.bytes_checked + walked.bytes_read).min(file.file_len()?);
        if walked.records == 0 && self.summary.is_some() && self.findings.worst() == found_before {
            self.findings.add(Verdict::Tampered, header.base, None, "the segment was closed without a record");
        }
        if walked.is_whole {
            self.facts = Some(Facts::of_records(header, &walked.extent, &walked.frontier));
        } else {
            self.facts = self.summary.as_ref().map(|summary| Facts::of_footer(&summary.footer));
            if task.level == Level::Full {
                let what = "root, counts and index, because not every frame of it could be read in order";
                self.not_checked.push(format!("segment {}: {what}", self.name));
            }
        }
        self.walked = Some(walked);
        Ok(())
    }

    /// Opens the file, unless there is nothing to read in it.
    fn open(
        &mut self,
        task: Task<'_>,
        candidate: &Candidate,
        is_newest: bool,
    ) -> Result<Option<SegmentFile>, SegmentError> {
        let file = if is_newest {
            match SegmentFile::open_newest(task.host, &candidate.path, OpenMode::Read)? {
                Newest::Whole(file) => file,
                Newest::Interrupted => {
                    self.is_interrupted = true;
                    let what = "a crash interrupted the creation of this segment; it holds no record";
                    self.findings.add(Verdict::Intact, candidate.base, 0, what);
                    return Ok(None);
                }
            }
        } else {
            SegmentFile::open(task.host, &candidate.path, OpenMode::Read)?
        };
        if task.id.is_some_and(|id| id != file.header().log) {
            let what = format!("the segment belongs to log {}", file.header().log);
            self.findings.add(Verdict::Tampered, candidate.base, 0, what);
            self.not_checked.push(format!("segment {}, which belongs to another log", self.name));
            return Ok(None);
        }
        Ok(Some(file))
    }

    /// Finds out how the segment ends, and so how far its frames are to be walked.
    fn ending(&mut self, file: &SegmentFile, candidate: &Candidate) -> Result<Range, SegmentError> {
        let len = file.file_len()?;
        if let Some(summary) = file.read_summary()? {
            return Ok(self.summarised(file, candidate, summary, len));
        }
        let Some(next_base) = candidate.next_base else { return self.unsummarised(file, candidate) };
        let what = "the segment does not end with a footer, though another one follows it";
        self.findings.add(Verdict::Damaged, next_base, len, what);
        self.end = Some(next_base);
        Ok(Range { limit: len, proven: None, is_closed: true, end: Some(next_base), summary: None })
    }

    fn summarised(&mut self, file: &SegmentFile, candidate: &Candidate, summary: Summary, limit: u64) -> Range {
        let footer = &summary.footer;
        check_footer_alone(footer, file.header(), &mut self.findings);
        if summary.epoch < file.header().epoch {
            self.findings.add(Verdict::Tampered, footer.end, footer.offset, "the footer's epoch is below the header's");
        }
        match (summary.is_sealed, candidate.next_base) {
            (false, Some(_)) => {
                let what = "the segment ends with a close frame, though another one follows it";
                self.findings.add(Verdict::Tampered, footer.end, footer.offset, what);
            }
            (true, None) => {
                let what = "the newest segment is sealed and no segment follows it: a rotation was interrupted";
                self.findings.add(Verdict::Intact, footer.end, footer.offset, what);
            }
            (false, None) | (true, Some(_)) => {}
        }
        self.bytes_checked += limit.saturating_sub(footer.offset);
        self.end = Some(footer.end);
        // Index and summary are synced together, so at the end of a log a crash may keep the one without the other.
        let proven = candidate.next_base.is_none().then_some(footer.end);
        let range = Range { limit, proven, is_closed: true, end: Some(footer.end), summary: Some(footer.offset) };
        self.summary = Some(summary);
        range
    }

    /// The newest segment, not closed, or being written at this moment.
    fn unsummarised(&mut self, file: &SegmentFile, candidate: &Candidate) -> Result<Range, SegmentError> {
        let (tail, is_growing) = scan_tail(file)?;
        let (end, data_end) = (tail.end(), tail.extent.end_offset);
        self.bytes_checked += tail.bytes_read;
        if let Stop::Summary(summary) = tail.stop {
            let what = "zeros follow the footer or close frame";
            self.findings.add(Verdict::Intact, summary.footer.end, summary.footer.offset, what);
            let limit = file.file_len()?;
            return Ok(self.summarised(file, candidate, *summary, limit));
        }
        self.end = Some(end);
        let base = file.header().base;
        if end > base {
            let what = format!("positions {base}..{end} are covered by no seal or close frame");
            self.not_checked.push(what);
        }
        let proven = tail.proven_end(Position::ZERO);
        let whole = Range { limit: data_end, proven: Some(proven), is_closed: false, end: Some(end), summary: None };
        match (tail.verdict(Position::ZERO), &tail.stop) {
            (TailVerdict::Damaged { lost }, _) if !is_growing => {
                let limit = file.file_len()?;
                let (offset, verdict, what) = match &tail.stop {
                    Stop::Invalid(invalid) if invalid.is_written => {
                        (invalid.offset, Verdict::Tampered, invalid.error.to_string())
                    }
                    Stop::Invalid(invalid) => (invalid.offset, Verdict::Damaged, invalid.error.to_string()),
                    Stop::End | Stop::Summary(_) => (data_end, Verdict::Damaged, "the frames end here".to_owned()),
                };
                let what = format!("positions {}..{} were proven durable and are lost: {what}", lost.start, lost.end);
                self.findings.add(verdict, lost.start, offset, what);
                return Ok(Range {
                    limit,
                    proven: Some(lost.end),
                    is_closed: false,
                    end: Some(lost.end),
                    summary: None,
                });
            }
            (_, Stop::Invalid(invalid)) => {
                let bytes = invalid.non_zero_end.saturating_sub(data_end);
                let error = &invalid.error;
                let what =
                    format!("torn tail: {bytes} bytes follow the last whole frame, none proven durable: {error}");
                self.findings.add(Verdict::Intact, end, invalid.offset, what);
            }
            (_, Stop::End | Stop::Summary(_)) => {
                let zeros = file.file_len()?.saturating_sub(data_end);
                if zeros > 0 {
                    let what = format!("the log was not closed: no record in its last {zeros} bytes");
                    self.findings.add(Verdict::Intact, end, data_end, what);
                }
            }
        }
        if end == base {
            let what = "the segment holds no record yet: its creation was the last thing that happened";
            self.findings.add(Verdict::Intact, base, data_end, what);
        }
        Ok(whole)
    }
}

/// Scans to the end. A place that becomes valid while one looks at it was being written and is not judged; the flag
/// says that it went on like this until patience ended.
fn scan_tail(file: &SegmentFile) -> Result<(Tail, bool), SegmentError> {
    let mut tail = Tail::scan(file)?;
    for _ in 0..RESCANS_MAX {
        if !matches!(tail.stop, Stop::Invalid(_)) {
            return Ok((tail, false));
        }
        let again = Tail::scan_from(file, tail.extent.clone(), tail.sequence.clone())?;
        let has_grown = again.extent.end_offset > tail.extent.end_offset;
        tail = Tail { bytes_read: tail.bytes_read + again.bytes_read, ..again };
        if !has_grown {
            return Ok((tail, false));
        }
    }
    Ok((tail, true))
}
