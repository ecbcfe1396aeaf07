//! A resumable walk over a snapshot, in either direction.
//!
//! The walk goes down from segments to pages of the index, to entries, to frames, to records, and at each step leaves
//! out what its bounds say cannot be wanted.
//!
//! # Invariants
//!
//! - C1. It holds two pages of the index, one window of frames (64 KiB, or one entry's frames if they are larger) and the
//!   places of one frame's records; never a segment.
//! - C2. Segments, pages, entries and frames whose positions or times lie outside the query are not read.
//! - C3. Every position of the range is yielded, filtered out, or part of an error or gap: none is passed over silently.
//! - C4. After an error the cursor keeps returning that error.

use crate::error::LogError;
use crate::frames::{FrameSpan, Window, parse_frames};
use crate::located::Located;
use crate::query::{Gap, Item, Order, Query, ReadStats};
use crate::snapshot::Snapshot;
use crate::verified::Authenticator;
use crate::view::Opened;
use bulla_segment::SegmentError;
use bulla_wire::limits::{FRAME_BODY_MAX, INDEX_STRIDE_BYTES};
use bulla_wire::{FRAME_HEADER_LEN, FrameHeader, IndexEntry, Position, Records, TimeBounds, WireError};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Most that lies under one entry: frames that do not fill it, and the one that does.
const ENTRY_BYTES_MAX: u64 = INDEX_STRIDE_BYTES + FRAME_HEADER_LEN + FRAME_BODY_MAX as u64;

/// A walk over the records of a [`Snapshot`].
///
/// It is resumed by making another cursor from the last position yielded: positions never change.
#[derive(Debug)]
pub struct Cursor {
    snapshot: Snapshot,
    query: Query,
    /// Positions still to be accounted for: ascending from its start, descending from its end.
    rest: Range<Position>,
    segment: Option<Current>,
    window: Window,
    spans: VecDeque<FrameSpan>,
    records: VecDeque<Located>,
    stats: ReadStats,
    /// What every record must pass before it is given out, if the snapshot trusts a head.
    authenticator: Option<Box<Authenticator>>,
    failed: Option<Arc<LogError>>,
}

/// The segment the cursor is in, and the entries of the index page it is at.
#[derive(Debug)]
struct Current {
    opened: Arc<Opened>,
    /// Pages that may hold something wanted.
    pages: VecDeque<usize>,
    /// Entries of the page the cursor is at that may.
    entries: VecDeque<Entry>,
    /// The pages read last: where a page's last frames end is said by the first entry of the page behind it.
    recent: Vec<(usize, Arc<[IndexEntry]>)>,
    /// The positions behind the last frame that are lost, if they come after everything else.
    behind: Option<FrameSpan>,
}

/// An entry of the index with its ends.
#[derive(Clone, Debug)]
struct Entry {
    positions: Range<Position>,
    offsets: Range<u64>,
    /// Where what is wrong, if no frame is there.
    hole: Option<(u64, WireError)>,
}

impl Entry {
    fn len(&self) -> u64 {
        self.offsets.end.saturating_sub(self.offsets.start)
    }
}

impl Current {
    fn page(&mut self, ordinal: usize, stats: &mut ReadStats) -> Result<Arc<[IndexEntry]>, SegmentError> {
        if let Some((_, entries)) = self.recent.iter().find(|(found, _)| *found == ordinal) {
            return Ok(Arc::clone(entries));
        }
        let entries = self.opened.page(ordinal, stats)?;
        // Whichever way the walk goes, the page beside this one is asked for next.
        self.recent.retain(|(found, _)| found.abs_diff(ordinal) <= 1);
        self.recent.push((ordinal, Arc::clone(&entries)));
        Ok(entries)
    }
}

/// What one step of the walk came to.
enum Step {
    Record(Located),
    Gap(Gap),
    End,
}

impl Cursor {
    pub(crate) fn new(snapshot: Snapshot, query: Query) -> Self {
        let from = query.from.unwrap_or_default().max(snapshot.floor());
        let to = query.to.unwrap_or(snapshot.reach()).min(snapshot.reach());
        let is_never = query.from_time.zip(query.to_time).is_some_and(|(from, to)| from >= to);
        let rest = from..if is_never { from } else { to.max(from) };
        let authenticator = snapshot.authenticator().map(Box::new);
        Self {
            authenticator,
            snapshot,
            query,
            rest,
            segment: None,
            window: Window::default(),
            spans: VecDeque::new(),
            records: VecDeque::new(),
            stats: ReadStats::default(),
            failed: None,
        }
    }

    /// The next record or gap, borrowed until the next call; `None` at the end of the range.
    ///
    /// Time filters apply to every record that is yielded, also to the engine's.
    ///
    /// # Errors
    ///
    /// [`LogError`] where the log cannot be read; unless the query asks for gaps, damage too. Every later call returns
    /// the same.
    #[expect(clippy::should_implement_trait, reason = "the item borrows from the cursor, which Iterator cannot say")]
    pub fn next(&mut self) -> Option<Result<Item<'_>, LogError>> {
        if let Some(error) = &self.failed {
            return Some(Err(LogError::Repeated { source: Arc::clone(error) }));
        }
        match self.step().and_then(|step| self.authenticated(step)) {
            Ok(Step::Record(located)) => {
                // What was located in the window is still there until the next step.
                let record = located.record(self.window.bytes());
                record.map(|record| Ok(Item::Record(record)))
            }
            Ok(Step::Gap(gap)) => Some(Ok(Item::Gap(gap))),
            Ok(Step::End) => None,
            Err(error) => {
                let error = Arc::new(error);
                self.failed = Some(Arc::clone(&error));
                Some(Err(LogError::Repeated { source: error }))
            }
        }
    }

    /// What has been read so far.
    #[must_use]
    pub fn stats(&self) -> ReadStats {
        self.stats
    }

    /// The step, if what it found is what the trusted head vouches for.
    fn authenticated(&mut self, step: Step) -> Result<Step, LogError> {
        if let (Some(authenticator), Step::Record(located)) = (&mut self.authenticator, &step)
            && let Some(record) = located.record(self.window.bytes())
        {
            authenticator.check(&record)?;
        }
        Ok(step)
    }

    fn is_ascending(&self) -> bool {
        self.query.order == Order::Ascending
    }

    fn step(&mut self) -> Result<Step, LogError> {
        loop {
            let next = if self.is_ascending() { self.records.pop_front() } else { self.records.pop_back() };
            if let Some(located) = next {
                return Ok(Step::Record(located));
            }
            let span = if self.is_ascending() { self.spans.pop_front() } else { self.spans.pop_back() };
            if let Some(span) = span {
                if let Some(gap) = self.enter_frame(span)? {
                    return Ok(Step::Gap(gap));
                }
                continue;
            }
            let Some(current) = &mut self.segment else {
                if !self.enter_segment()? {
                    return Ok(Step::End);
                }
                continue;
            };
            let next = if self.query.order == Order::Ascending {
                current.entries.pop_front()
            } else {
                current.entries.pop_back()
            };
            if let Some(entry) = next {
                self.enter_entry(&entry)?;
                continue;
            }
            let next =
                if self.query.order == Order::Ascending { current.pages.pop_front() } else { current.pages.pop_back() };
            if let Some(ordinal) = next {
                if let Some(gap) = self.enter_page(ordinal)? {
                    return Ok(Step::Gap(gap));
                }
            } else if let Some(lost) = current.behind.take() {
                self.spans.push_back(lost);
            } else {
                let positions = current.opened.positions.clone();
                self.segment = None;
                self.pass(&positions);
            }
        }
    }

    /// Opens the next segment that may hold something wanted; `false` if none is left.
    fn enter_segment(&mut self) -> Result<bool, LogError> {
        while self.rest.start < self.rest.end {
            let at = if self.is_ascending() { self.rest.start } else { Position(self.rest.end.0 - 1) };
            let view = self.snapshot.view();
            let Some(found) = view.sealed.iter().find(|sealed| sealed.positions.contains(&at)) else {
                let Some(active) = view.active.as_ref().filter(|active| at >= active.opened.positions.start) else {
                    let (dir, positions) = (view.dir().to_owned(), view.uncovered(at));
                    let cause = LogError::Missing { dir, position: positions.start };
                    self.spans.push_back(FrameSpan::Gap { positions, cause });
                    return Ok(true);
                };
                let opened = Arc::clone(&active.opened);
                if let Some(error) = opened.file.header_error().filter(|_| !self.query.gaps) {
                    return Err(error.into());
                }
                if self.wants_times(active.tally.times) || view.lost.is_some() {
                    self.begin_segment(opened);
                } else {
                    self.pass(&opened.positions);
                }
                return Ok(true);
            };
            let found = Arc::clone(found);
            let shared = Arc::clone(&view.shared);
            // A segment that cannot tell its times is opened, which says why or does without.
            if self.has_time_filter()
                && let Ok(facts) = found.facts(&shared, &mut self.stats.bytes_read)
                && !self.wants_times(facts.times)
            {
                self.pass(&found.positions);
                continue;
            }
            match shared.open(&found, self.query.gaps, &mut self.stats.bytes_read) {
                Ok(opened) => self.begin_segment(opened),
                // The whole segment is a gap, or an error: what the frames would have been.
                Err(cause) => self.spans.push_back(FrameSpan::Gap { positions: found.positions.clone(), cause }),
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn begin_segment(&mut self, opened: Arc<Opened>) {
        self.stats.segments_opened += 1;
        self.stats.segments_salvaged += u64::from(opened.is_salvaged);
        self.window.clear();
        let pages = opened.pages();
        let ends = pages.iter().skip(1).map(|page| page.first).chain([opened.readable_end]);
        let wanted = pages.iter().zip(ends).enumerate().filter(|(_, (page, end))| {
            let begins_inside = page.first < self.rest.end.min(opened.positions.end);
            begins_inside && *end > self.rest.start && self.wants_times(page.times)
        });
        let wanted = wanted.map(|(ordinal, _)| ordinal).collect();
        let is_whole = pages.first().is_none_or(|page| page.first == opened.positions.start);
        let readable_end = if is_whole { opened.readable_end } else { opened.positions.start };
        let lost = readable_end..opened.positions.end;
        let mut behind = (!lost.is_empty()).then(|| {
            let error = WireError::Invalid { what: "segment", field: "no frame for position", value: lost.start.0 };
            let cause = opened.file.error_at(opened.data_end, lost.start, error).into();
            FrameSpan::Gap { positions: lost, cause }
        });
        if !self.is_ascending() {
            self.spans.extend(behind.take());
        }
        let pages = if is_whole { wanted } else { VecDeque::new() };
        self.segment = Some(Current { opened, pages, entries: VecDeque::new(), recent: Vec::new(), behind });
    }

    /// Takes a page's entries that may hold something wanted.
    fn enter_page(&mut self, ordinal: usize) -> Result<Option<Gap>, LogError> {
        let Some(current) = &mut self.segment else { return Ok(None) };
        let opened = Arc::clone(&current.opened);
        let Some(page) = opened.pages().get(ordinal) else { return Ok(None) };
        let next = opened.pages().get(ordinal + 1);
        let end = next.map_or(opened.readable_end, |next| next.first.min(opened.readable_end));
        let rest_end = self.rest.end;
        let read = current.page(ordinal, &mut self.stats).and_then(|entries| {
            let is_last_wanted = entries.last().is_some_and(|last| last.first < rest_end);
            let behind = match next.filter(|_| is_last_wanted) {
                Some(_) => current.page(ordinal + 1, &mut self.stats)?.first().map(|entry| entry.offset),
                None => None,
            };
            Ok((entries, behind.unwrap_or(opened.data_end)))
        });
        let (entries, end_offset) = match read {
            Ok(read) => read,
            Err(error) => return self.without_index(&opened, page.first..end, error),
        };
        let wanted = self.wanted_entries(&opened, &entries, end, end_offset);
        if wanted.iter().any(|entry| entry.hole.is_none() && !(1..=ENTRY_BYTES_MAX).contains(&entry.len())) {
            let error = WireError::Invalid { what: "index page", field: "distance of offsets at", value: page.first.0 };
            return self.without_index(&opened, page.first..end, opened.file.error_at(page.offset, page.first, error));
        }
        if let Some(current) = &mut self.segment {
            current.entries = wanted;
        }
        Ok(None)
    }

    /// Goes on without the index of the segment, whose page for `positions` is damaged: by scanning the frames if gaps
    /// are asked for.
    fn without_index(
        &mut self,
        opened: &Arc<Opened>,
        positions: Range<Position>,
        error: SegmentError,
    ) -> Result<Option<Gap>, LogError> {
        if !self.query.gaps || !error.is_damage() || opened.is_salvaged {
            return self.gap(positions, error.into());
        }
        let shared = Arc::clone(&self.snapshot.view().shared);
        let salvaged = shared.salvage(opened, &mut self.stats.bytes_read)?;
        self.begin_segment(salvaged);
        Ok(None)
    }

    fn wanted_entries(
        &self,
        opened: &Opened,
        entries: &[IndexEntry],
        end: Position,
        end_offset: u64,
    ) -> VecDeque<Entry> {
        let followers = entries.iter().skip(1).map(|entry| (entry.first, entry.offset)).chain([(end, end_offset)]);
        let both = entries.iter().zip(followers);
        // An index may go on behind where the next segment begins; what it says of that part counts for nothing.
        both.filter(|(entry, (next, _))| {
            entry.first < self.rest.end.min(end) && *next > self.rest.start && self.wants_times(entry.times)
        })
        .map(|(entry, (next, end_offset))| {
            let (positions, offsets) = (entry.first..next.min(end), entry.offset..end_offset.min(opened.data_end));
            match opened.hole_before(end_offset) {
                // The entry before a hole without bytes ends where the hole does, but is not the hole's.
                Some(hole) if hole.positions.start == entry.first => {
                    Entry { positions, offsets, hole: Some(hole.bad.clone()) }
                }
                // Bad bytes with no position among them lie between its frames and the next entry's.
                Some(hole) => Entry { positions, offsets: offsets.start..hole.offsets.start, hole: None },
                None => Entry { positions, offsets, hole: None },
            }
        })
        .collect()
    }

    /// Reads an entry's frames, if they are not in the window, and splits them.
    fn enter_entry(&mut self, entry: &Entry) -> Result<(), LogError> {
        let Some(current) = &self.segment else { return Ok(()) };
        let opened = Arc::clone(&current.opened);
        // Frames that several entries share begin before the entry's own first record.
        let offsets = entry.offsets.clone();
        if let Some((offset, error)) = &entry.hole {
            let positions = entry.positions.clone();
            let cause = opened.file.error_at(*offset, positions.start, error.clone()).into();
            self.spans.push_back(FrameSpan::Gap { positions, cause });
            return Ok(());
        }
        let ahead = self.wanted_reach(offsets.clone());
        self.window.load(&opened.file, &offsets, ahead, &mut self.stats)?;
        self.spans = parse_frames(&opened.file, &self.window, &offsets, &entry.positions);
        Ok(())
    }

    /// How far to read around `offsets` in one call: over the neighbouring entries that are wanted as well.
    fn wanted_reach(&self, offsets: Range<u64>) -> Range<u64> {
        let Some(current) = &self.segment else { return offsets };
        let mut reach = offsets;
        if self.query.order == Order::Ascending {
            for entry in &current.entries {
                if entry.hole.is_some()
                    || entry.offsets.start > reach.end
                    || entry.offsets.end - reach.start > Window::BYTES
                {
                    break;
                }
                reach.end = entry.offsets.end;
            }
        } else {
            for entry in current.entries.iter().rev() {
                if entry.hole.is_some()
                    || entry.offsets.end < reach.start
                    || reach.end - entry.offsets.start > Window::BYTES
                {
                    break;
                }
                reach.start = entry.offsets.start;
            }
        }
        reach
    }

    /// Checks and decodes a frame, unless its header says that nothing in it is wanted.
    fn enter_frame(&mut self, span: FrameSpan) -> Result<Option<Gap>, LogError> {
        let (offset, header) = match span {
            FrameSpan::Frame { offset, header } => (offset, header),
            FrameSpan::Gap { positions, cause } => return self.gap(positions, cause),
        };
        let positions = header.base..header.end();
        let is_wanted = positions.start < self.rest.end && positions.end > self.rest.start;
        if is_wanted
            && self.wants_times(header.times)
            && let Err(error) = self.decode_frame(offset, &header)
        {
            let Some(current) = &self.segment else { return Ok(None) };
            let error = current.opened.file.error_at(offset, header.base, error);
            self.records.clear();
            return self.gap(positions, error.into());
        }
        self.pass(&positions);
        Ok(None)
    }

    fn decode_frame(&mut self, offset: u64, header: &FrameHeader) -> Result<(), WireError> {
        let Some(current) = &self.segment else { return Ok(()) };
        let start = self.window.index_of(offset) + FRAME_HEADER_LEN as usize;
        let rest = self.window.bytes().get(start..).unwrap_or_default();
        self.stats.frames_read += 1;
        let stored = header.check_body(rest, current.opened.file.seed(), offset)?;
        let plain = header.plain_body(stored)?;
        for record in Records::new(header, plain) {
            let record = record?;
            if self.rest.contains(&record.position) && self.query.admits(record.kind, record.time) {
                self.records.push_back(Located::new(&record, start, plain));
            }
        }
        Ok(())
    }

    /// Accounts for positions that were yielded or filtered out.
    fn pass(&mut self, positions: &Range<Position>) {
        if self.is_ascending() {
            self.rest.start = self.rest.start.max(positions.end).min(self.rest.end);
        } else {
            self.rest.end = self.rest.end.min(positions.start).max(self.rest.start);
        }
    }

    /// Passes over what cannot be read if gaps are asked for, or nothing in it is; otherwise fails.
    fn gap(&mut self, positions: Range<Position>, cause: LogError) -> Result<Option<Gap>, LogError> {
        let wanted = positions.start.max(self.rest.start)..positions.end.min(self.rest.end);
        if wanted.start >= wanted.end {
            return Ok(None);
        }
        if !self.query.gaps || !cause.is_damage() {
            return Err(cause);
        }
        self.pass(&positions);
        Ok(Some(Gap { positions: wanted, cause }))
    }

    fn has_time_filter(&self) -> bool {
        self.query.from_time.is_some() || self.query.to_time.is_some()
    }

    /// Whether bounds of the caller's records meet the query. The engine's records have times outside any bounds.
    fn wants_times(&self, times: TimeBounds) -> bool {
        !self.has_time_filter() || self.query.engine || times.meets(self.query.from_time, self.query.to_time)
    }
}
