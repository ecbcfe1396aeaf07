//! Every frame of one segment, judged and hashed in one pass.
//!
//! # Invariants
//!
//! - W1. One window of frames is held, and the segment's index; each byte is read once.
//! - W2. Nothing ends a walk early but the system's refusal to read: after a bad place it goes on with the next frame.
//! - W3. A leaf enters the tree only if every leaf before it did; after a gap nothing is computed any more.
//! - W4. What a crash can leave past everything proven durable is a remark. Wrong content under right checksums is
//!   nothing that a crash leaves, and neither is a second summary.
//! - W5. Every page of the index that a reader would believe is compared, whatever lies around it.

use super::records;
use crate::report::{Findings, Verdict};
use crate::spine::{Node, is_kept};
use crate::tree::leaf_of;
use bulla_chain::{Break, Frontier, Genesis, Seal, TreeHead};
use bulla_segment::{Extent, FrameScanner, Scanned, SegmentError, SegmentFile, Sequence, Summary};
use bulla_wire::{
    Codec, FrameHeader, IndexEntry, Kind, PageRef, Position, Records, Role, TimeBounds, WireError, decode_page,
};

/// Bytes of frames between two reports of progress.
const TICK_BYTES: u64 = 4 << 20;

/// How far a walk goes, and what it may expect there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    /// Frames beginning at or after this offset are not looked at.
    pub(super) limit: u64,
    /// Everything below was proven durable; `None` for everything in the file.
    pub(super) proven: Option<Position>,
    /// Whether footer or close frame vouches for everything up to it, so that only bad checksums can be a crash's work.
    pub(super) is_closed: bool,
    /// The position after the last record of the segment, if something names it and the walk is to reach it.
    pub(super) end: Option<Position>,
    /// Where the footer or close frame begins that ends the file, if one does.
    pub(super) summary: Option<u64>,
}

/// What a walk found besides findings.
#[derive(Clone, Debug)]
pub(super) struct Walked {
    /// Whether every record up to the end was read and every frame was in order, so that extent and frontier are right.
    pub(super) is_whole: bool,
    pub(super) extent: Extent,
    pub(super) frontier: Frontier,
    pub(super) records: u64,
    pub(super) caller_records: u64,
    pub(super) genesis: Option<Genesis>,
    pub(super) seal: Option<Seal>,
    /// Whether there is a record of kind [`Kind::PRUNE`].
    pub(super) is_pruned: bool,
    /// Records of kind [`Kind::BREAK`], and those of them that lost something.
    pub(super) breaks: u64,
    pub(super) gaps: u64,
    /// Computed nodes of the heights that a spine keeps, in the order in which they were completed.
    pub(super) nodes: Vec<Node>,
    /// The computed heads at the sizes asked for.
    pub(super) heads: Vec<TreeHead>,
    pub(super) bytes_read: u64,
}

/// A bad place that no good frame has followed yet.
struct Gap {
    verdict: Verdict,
    offset: u64,
    what: String,
}

pub(super) struct Walk<'a> {
    segment: &'a SegmentFile,
    range: Range,
    /// Sizes at which the root is wanted, in order.
    sizes: &'a [u64],
    sequence: Sequence,
    gap: Option<Gap>,
    pages: Vec<PageRef>,
    /// Whether something between the last record and the summary could not be read, so that pages are not compared.
    has_lost_page: bool,
    has_summary: bool,
    findings: &'a mut Findings,
    walked: Walked,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        segment: &'a SegmentFile,
        range: Range,
        frontier: Frontier,
        sizes: &'a [u64],
        findings: &'a mut Findings,
    ) -> Self {
        let base = segment.header().base;
        let walked = Walked {
            is_whole: true,
            extent: Extent::new(base, segment.frames_offset()),
            frontier,
            records: 0,
            caller_records: 0,
            genesis: None,
            seal: None,
            is_pruned: false,
            breaks: 0,
            gaps: 0,
            nodes: Vec::new(),
            heads: Vec::new(),
            bytes_read: 0,
        };
        let beyond = sizes.partition_point(|&size| size <= base.0);
        Self {
            segment,
            range,
            sizes: sizes.get(beyond..).unwrap_or_default(),
            sequence: Sequence::new(segment.header()),
            gap: None,
            pages: Vec::new(),
            has_lost_page: false,
            has_summary: false,
            findings,
            walked,
        }
    }

    /// Walks; `tick` hears of bytes and records so far.
    pub(super) fn run(mut self, tick: &mut dyn FnMut(u64, u64)) -> Result<Walked, SegmentError> {
        let mut scanner = FrameScanner::new(self.segment, self.segment.frames_offset())?;
        let mut next_tick = TICK_BYTES;
        while scanner.offset() < self.range.limit && !self.has_summary {
            let offset = scanner.offset();
            let skip = match scanner.next_frame()? {
                Scanned::End => break,
                Scanned::Zeros => {
                    self.bad(Verdict::Damaged, offset, "zeros where a frame must be".to_owned());
                    Some(None)
                }
                Scanned::Invalid { error, header } => {
                    self.bad(super::verdict_of_frame(&error, header.is_some()), offset, error.to_string());
                    Some(header)
                }
                Scanned::Frame { offset, header, stored } => {
                    self.frame(offset, &header, stored);
                    None
                }
            };
            if let Some(header) = skip {
                scanner.resync(header.as_ref())?;
            }
            if scanner.offset() >= next_tick {
                tick(scanner.offset(), self.walked.records);
                next_tick = scanner.offset() + TICK_BYTES;
            }
        }
        self.finish(scanner.offset());
        self.walked.bytes_read = scanner.bytes_read();
        Ok(self.walked)
    }

    /// Takes a bad place. Nothing good came between it and the one before it, so what the last of them loses is what all
    /// of them do, and is known when the next frame comes.
    fn bad(&mut self, verdict: Verdict, offset: u64, what: String) {
        if let Some(Gap { verdict, offset, what }) = self.gap.replace(Gap { verdict, offset, what }) {
            self.find(verdict, self.sequence.next(), offset, what);
        }
    }

    fn frame(&mut self, offset: u64, header: &FrameHeader, stored: &[u8]) {
        let is_past_proof = self.range.proven.is_some_and(|proven| self.sequence.next() >= proven);
        if is_past_proof && header.epoch < self.sequence.epoch() {
            // What was cut off in an earlier life may lie here again, in place of an index that never arrived.
            self.bad(Verdict::Damaged, offset, format!("a frame of the earlier epoch {}", header.epoch.0));
            return;
        }
        if self.gap.is_some() || header.base > self.sequence.next() {
            if self.gap.is_none() {
                let what = format!("a frame at position {} follows", header.base);
                self.gap = Some(Gap { verdict: Verdict::Tampered, offset, what });
            }
            // Where no position is lost and no record follows, what is bad is the index or the summary alone.
            let is_behind_records = header.base == self.sequence.next() && !matches!(header.role, Role::Data { .. });
            self.has_lost_page |= is_behind_records;
            self.close_gap(Some(header.base), is_behind_records);
        }
        if let Err(error) = self.sequence.take(header) {
            self.find(Verdict::Tampered, header.base, offset, error.to_string());
            self.walked.is_whole = false;
            if header.base != self.sequence.next() {
                return;
            }
            self.skip_to(header.end());
        }
        match header.role {
            Role::Data { .. } => self.data(offset, header, stored),
            Role::Mark => {}
            Role::Index => self.page(offset, header, stored),
            Role::Footer | Role::Close => self.summary(offset, header, stored),
        }
    }

    fn data(&mut self, offset: u64, header: &FrameHeader, stored: &[u8]) {
        let (mut times, mut caller_count, mut payload_bytes) = (TimeBounds::EMPTY, 0, 0);
        let mut next = header.base;
        let error = match header.plain_body(stored) {
            Ok(body) => Records::new(header, body).find_map(|record| {
                let record = match record {
                    Ok(record) => record,
                    Err(error) => return Some(error),
                };
                next = Position(record.position.0.saturating_add(1));
                self.walked.records += 1;
                if !record.kind.is_engine() {
                    times.include(record.time);
                    caller_count += 1;
                    payload_bytes += u64::from(record.payload_len());
                }
                self.record(offset, &record);
                None
            }),
            Err(error) => Some(error),
        };
        self.walked.caller_records += caller_count;
        if let Some(error) = error {
            self.find_written(super::verdict_of_content(&error), next, offset, error.to_string());
            self.walked.is_whole = false;
        } else if times != header.times {
            let (stored, min, max) = (header.times, times.min.0, times.max.0);
            let what = format!(
                "times in the frame header are {}..={}, those of its records {min}..={max}",
                stored.min.0, stored.max.0
            );
            self.find_written(Verdict::Tampered, header.base, offset, what);
        }
        // The index is compared with the times that the records have.
        self.walked.extent.add(&FrameHeader { times, ..header.clone() }, caller_count, payload_bytes);
    }

    fn record(&mut self, offset: u64, record: &bulla_wire::Record<'_>) {
        let header = self.segment.header();
        for (verdict, what) in records::check(record, header.erasable) {
            self.find_written(verdict, record.position, offset, what);
        }
        let is_first = record.position == header.base;
        let expected = if header.base == Position::ZERO { Kind::GENESIS } else { Kind::SEAL };
        let is_opening = matches!(record.kind, Kind::GENESIS | Kind::SEAL);
        if is_first && record.kind != expected {
            self.find_written(
                Verdict::Tampered,
                record.position,
                offset,
                "the segment does not begin with its genesis or seal",
            );
        } else if !is_first && is_opening {
            self.find_written(
                Verdict::Tampered,
                record.position,
                offset,
                "a genesis or seal is not a segment's first record",
            );
        }
        match records::read_engine(record) {
            Ok(records::Engine::Genesis(genesis)) if is_first => self.walked.genesis = Some(genesis),
            Ok(records::Engine::Seal(seal)) if is_first => self.walked.seal = Some(*seal),
            Ok(records::Engine::Break(broken)) => self.broken(offset, record.position, &broken),
            Ok(_) => {}
            Err((verdict, what)) => self.find_written(verdict, record.position, offset, what),
        }
        self.walked.is_pruned |= record.kind == Kind::PRUNE;
        if !self.walked.is_whole {
            return;
        }
        let nodes = &mut self.walked.nodes;
        self.walked.frontier.push_with(leaf_of(record), |address, digest| {
            if is_kept(address.height) {
                nodes.push((address, digest));
            }
        });
        while let Some((size, rest)) = self.sizes.split_first().filter(|(size, _)| **size == record.position.0 + 1) {
            debug_assert!(*size == self.walked.frontier.size(), "BUG: W3");
            self.walked.heads.push(self.walked.frontier.head());
            self.sizes = rest;
        }
    }

    /// A break record of this log's own must say what the log was below it; one of an earlier repair speaks of another.
    fn broken(&mut self, offset: u64, position: Position, broken: &Break) {
        let is_own = broken.log == self.segment.header().log;
        let head = self.walked.frontier.head();
        if is_own && broken.head.size != position.0 {
            let what = format!("a break record speaks of the log's head at size {}", broken.head.size);
            self.find_written(Verdict::Tampered, position, offset, what);
        } else if is_own && self.walked.is_whole && broken.head.root != head.root {
            let what = format!("a break record says the root below it is {}, it is {}", broken.head.root, head.root);
            self.find_written(Verdict::Tampered, position, offset, what);
        }
        self.walked.breaks += 1;
        self.walked.gaps += u64::from(!broken.lost.is_empty() || broken.is_open);
        self.find_written(Verdict::Repaired, position, offset, records::describe_break(broken, is_own));
    }

    /// Holds a page of the index against what the frames gave.
    fn page(&mut self, offset: u64, header: &FrameHeader, stored: &[u8]) {
        let entries = match decode_page(stored) {
            Ok(entries) => entries,
            Err(error) => {
                self.find(Verdict::Tampered, header.base, offset, error.to_string());
                self.walked.is_whole = false;
                return;
            }
        };
        let ordinal = self.pages.len();
        self.pages.extend(PageRef::of(&entries, offset));
        if !self.walked.is_whole || self.has_lost_page {
            return;
        }
        self.compare_page(offset, header.base, &entries, ordinal);
    }

    /// Compares the entries of the page at `offset` with those that the frames gave.
    fn compare_page(&mut self, offset: u64, position: Position, entries: &[IndexEntry], ordinal: usize) {
        let expected = index_page(&self.walked.extent, ordinal);
        let differs = entries.iter().zip(expected).find(|(entry, expected)| entry != expected);
        let what = match differs {
            Some((entry, expected)) => {
                format!("index entry {entry:?} must be {expected:?}")
            }
            None if entries.len() == expected.len() => return,
            None => format!("index page has {} entries, must have {}", entries.len(), expected.len()),
        };
        let first = differs.map_or(position, |(_, expected)| expected.first);
        self.find(Verdict::Tampered, first, offset, what);
    }

    fn summary(&mut self, offset: u64, header: &FrameHeader, stored: &[u8]) {
        self.has_summary = true;
        if let Some(last) = self.range.summary.filter(|last| *last != offset) {
            let what = format!("a footer or close frame before the one at offset {last} that ends the file");
            self.find(Verdict::Tampered, header.base, offset, what);
            self.walked.is_whole = false;
            return;
        }
        match self.segment.decode_summary(header, stored, offset) {
            Err(error) => {
                self.find(super::verdict_of_content(&error), header.base, offset, error.to_string());
                self.walked.is_whole = false;
            }
            Ok(Summary { footer, .. }) if self.walked.is_whole => {
                let (full, last) = self.walked.extent.index();
                let page_count = full.len() + usize::from(!last.is_empty());
                if self.has_lost_page {
                    self.pages_named(&footer.pages);
                } else if footer.pages != self.pages || self.pages.len() != page_count {
                    let what = format!("the footer does not name the {page_count} pages of the segment's index");
                    self.find(Verdict::Tampered, header.base, offset, what);
                }
            }
            Ok(_) => {}
        }
    }

    /// W5. Holds the pages that a footer names against what the frames gave, where the walk lost its place among them.
    /// What cannot be read no reader believes either.
    fn pages_named(&mut self, pages: &[PageRef]) {
        for (ordinal, page) in pages.iter().enumerate() {
            if let Ok(entries) = self.segment.read_page(page) {
                self.compare_page(page.offset, page.first, &entries, ordinal);
            }
        }
    }

    /// Reports the open gap, which ends where a frame at `next` follows, or nowhere that is known.
    fn close_gap(&mut self, next: Option<Position>, is_behind_records: bool) {
        let Some(Gap { verdict, offset, what }) = self.gap.take() else { return };
        let position = self.sequence.next();
        let next = next.filter(|next| *next > position);
        let what = match next {
            Some(next) => format!("positions {position}..{next} cannot be read: {what}"),
            None => what,
        };
        self.find(verdict, position, offset, what);
        self.walked.is_whole &= is_behind_records;
        if let Some(next) = next {
            self.skip_to(next);
        }
    }

    /// Takes the positions up to `end` for read. Farther than one frame reaches nothing is skipped; the frame that
    /// follows is then out of order.
    fn skip_to(&mut self, end: Position) {
        let base = self.sequence.next();
        let Some(record_count) = end.0.checked_sub(base.0).and_then(|count| u32::try_from(count).ok()) else { return };
        let stand_in = FrameHeader {
            role: Role::Data { more: false },
            codec: Codec::None,
            stored_len: 0,
            plain_len: 0,
            record_count,
            epoch: self.sequence.epoch(),
            base,
            durable_end: self.sequence.durable_end(),
            times: TimeBounds::EMPTY,
            body_checksum: 0,
        };
        // It can be refused only behind a page or summary, where frames with records have no place anyway.
        let _: Result<(), WireError> = self.sequence.take(&stand_in);
    }

    fn finish(&mut self, offset: u64) {
        let end = self.range.end;
        if self.gap.is_none() && end.is_some_and(|end| self.sequence.next() < end) {
            self.gap = Some(Gap { verdict: Verdict::Damaged, offset, what: "the frames end here".to_owned() });
        }
        self.close_gap(end, false);
    }

    /// Adds a finding, as a remark if a crash can leave it (W4). Behind the durable end of a log that was not closed
    /// that may be valid frames of an earlier life, out of order here.
    fn find(&mut self, verdict: Verdict, position: Position, offset: u64, what: impl Into<String>) {
        let is_leavable = verdict == Verdict::Damaged || !self.range.is_closed;
        let is_tail = is_leavable && self.range.proven.is_some_and(|proven| position >= proven);
        self.findings.add(if is_tail { Verdict::Intact } else { verdict }, position, offset, what);
    }

    /// Adds a finding on what stands under right checksums, so that some writer wrote it as it is.
    fn find_written(&mut self, verdict: Verdict, position: Position, offset: u64, what: impl Into<String>) {
        self.findings.add(verdict, position, offset, what);
    }
}

/// The entries of the index page with this ordinal.
fn index_page(extent: &Extent, ordinal: usize) -> &[IndexEntry] {
    let (full, last) = extent.index();
    match full.get(ordinal) {
        Some(page) => page,
        None if ordinal == full.len() => last,
        None => &[],
    }
}
