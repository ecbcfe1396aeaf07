//! Verification: one log held against itself, and against what the caller knows from elsewhere.
//!
//! Each segment is checked on its own ([`segment`], [`walk`]); here they are held against each other: numbers and
//! positions without gaps, each footer, header and seal against the records before it ([`facts`]), then the floor, the
//! genesis and the heads expected.
//!
//! # Invariants
//!
//! - V1. Nothing is changed, created or locked, so that a read-only copy or a log beside its live writer will do.
//! - V2. The first error ends nothing: every frame that can be read is judged.
//! - V3. Memory is bounded by a frame window and the index of one segment for each worker, the results of at most
//!   [`WAITING_MAX`] segments more, and the names of the files.
//! - V4. Every position from 0 to the end is accounted for: by a record read, a finding, or a line in `not_checked`.
//! - V5. The report is the same whatever the number of workers: a segment is judged by its own bytes, and the results are
//!   linked in order.
//! - V6. What lies below a trusted head is not read and said not to be checked. The records from there on are hashed on top
//!   of the tree in the header before them, and only if that gives the trusted head at its size is the end computed.
//! - V7. A cache that disagrees with the records is tampering, and one that is not there is a remark.
//!
//! # Not here
//!
//! Signatures and checkpoints, and which logs a store must have.

mod facts;
mod records;
mod segment;
mod spine;
mod walk;

use crate::report::{Expectation, Finding, Findings, Level, LogReport, Progress, Verdict};
use bulla_chain::{Digest, Genesis, Predecessor, TreeHead};
use bulla_segment::{SegmentError, SegmentFile, parse_segment_file_name, segment_file_name};
#[cfg(doc)]
use bulla_vfs::WAITING_MAX;
use bulla_vfs::{Host, OpenMode, Step, in_order};
use bulla_wire::{LogId, Position, SegmentHeader, SegmentNumber, WireError};
use facts::{Follower, footer_head, head_below, settle};
use segment::{Candidate, Examined, Task, check};
use spine::SpineCheck;
use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::Path;

/// Verifies the log in `dir`, without a lock and changing nothing. `progress` is called now and then.
///
/// Whatever goes wrong is a finding in the report, an unreadable directory too. What a writer appends after a segment was
/// opened here is not looked at.
///
/// Cost: [`Level::Full`] reads every byte once (the newest segment twice, unless it was closed) and hashes every record;
/// [`Level::Structure`] reads headers, footers, the first frame of each segment, and the newest segment unless it was
/// closed.
///
/// One segment after another, on the caller's thread; [`verify_log_with`] uses several.
pub fn verify_log(
    host: &Host,
    dir: &Path,
    level: Level,
    expect: &Expectation,
    progress: &mut dyn FnMut(Progress),
) -> LogReport {
    verify_log_with(1, host, dir, level, expect, progress)
}

/// As [`verify_log`], with up to `workers` segments checked at a time (V5). `progress` is called on the caller's thread
/// alone.
pub fn verify_log_with(
    workers: usize,
    host: &Host,
    dir: &Path,
    level: Level,
    expect: &Expectation,
    progress: &mut dyn FnMut(Progress),
) -> LogReport {
    let candidates = match list(host, dir) {
        Ok(candidates) if !candidates.is_empty() => candidates,
        found => return without_segments(found.err()),
    };
    let bytes_total = candidates.iter().filter_map(|candidate| host.fs.metadata(&candidate.path).ok()).map(|m| m.len);
    let mut told = Told { bytes_total: bytes_total.sum(), ..Told::default() };
    let mut heads: Vec<_> = expect.heads.iter().copied().chain(expect.since).collect();
    heads.sort_by_key(|head| head.size);
    heads.dedup();
    let mut sizes: Vec<_> = heads.iter().map(|head| head.size).chain(expect.sizes.iter().copied()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let since = expect.since.map_or(0, |head| head.size);
    let task = Task { host, level, id: most_common_id(host, &candidates), since, sizes: &sizes };
    let mut linker = Linker { report: LogReport { id: task.id, ..LogReport::default() }, ..Linker::new(level) };
    linker.spine = (level == Level::Full).then(|| SpineCheck::new(host, dir, task.id));
    linker.report.segments = candidates.len() as u64;
    let examine = |index: usize, tell: &mut dyn FnMut((u64, u64))| {
        let candidate = candidates.get(index)?;
        let mut tick = |bytes, records| tell((bytes, records));
        let mut checked = check(task, candidate, &mut tick);
        if candidate.next_base.is_none() && checked.findings.worst() > Verdict::Repaired {
            // A writer that opened the log meanwhile replaces its close frame by records; looking again tells.
            checked = check(task, candidate, &mut tick);
        }
        Some(checked)
    };
    in_order(workers, candidates.len(), examine, |step| {
        match step {
            Step::Progress(index, done) => drop(told.under_way.insert(index, done)),
            Step::Done(index, checked) => {
                told.under_way.remove(&index);
                if let Some(checked) = checked {
                    linker.link(checked);
                }
            }
        }
        progress(told.progress(&linker.report));
    });
    linker.finish(&candidates, expect, &heads)
}

/// What `progress` was told last; it never goes back, though a segment may be looked at twice.
#[derive(Default)]
struct Told {
    bytes_total: u64,
    bytes_checked: u64,
    records_checked: u64,
    /// Bytes and records of the segments that are not linked yet, by index.
    under_way: BTreeMap<usize, (u64, u64)>,
}

impl Told {
    fn progress(&mut self, linked: &LogReport) -> Progress {
        let bytes: u64 = self.under_way.values().map(|(bytes, _)| bytes).sum();
        let records: u64 = self.under_way.values().map(|(_, records)| records).sum();
        self.bytes_checked = self.bytes_checked.max(linked.bytes_checked + bytes);
        self.records_checked = self.records_checked.max(linked.records_checked + records);
        let Self { bytes_total, bytes_checked, records_checked, .. } = *self;
        Progress { bytes_checked, bytes_total, records_checked }
    }
}

/// The files with a segment's name, in order of position.
fn list(host: &Host, dir: &Path) -> io::Result<Vec<Candidate>> {
    let mut names: Vec<_> = host
        .fs
        .list(dir)?
        .into_iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| parse_segment_file_name(&entry.name))
        .collect();
    names.sort_unstable();
    let next_bases = names.iter().skip(1).copied().map(Some).chain([None]);
    let candidates = names.iter().zip(next_bases).map(|(base, next_base)| {
        let name = segment_file_name(*base);
        Candidate { path: dir.join(&name), name, base: *base, next_base }
    });
    Ok(candidates.collect())
}

fn without_segments(error: Option<io::Error>) -> LogReport {
    let (verdict, what) = match error {
        None => (Verdict::Missing, "the directory holds no segment".to_owned()),
        Some(error) if error.kind() == io::ErrorKind::NotFound => {
            (Verdict::Missing, "the log's directory is missing".to_owned())
        }
        Some(error) => (Verdict::Unreadable, format!("the log's directory cannot be listed: {error}")),
    };
    let finding = Finding { verdict, position: None, segment: None, offset: None, what };
    LogReport { findings: vec![finding], ..LogReport::default() }
}

/// The id that most headers have, so that a segment of another log is found out wherever it stands.
fn most_common_id(host: &Host, candidates: &[Candidate]) -> Option<LogId> {
    let mut counts = BTreeMap::<LogId, u64>::new();
    for candidate in candidates {
        if let Ok(file) = SegmentFile::open(host, &candidate.path, OpenMode::Read) {
            *counts.entry(file.header().log).or_default() += 1;
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(id, _)| id)
}

/// Holds segments against each other, one after another.
struct Linker<'a> {
    level: Level,
    report: LogReport,
    previous: Option<Examined>,
    /// The number of the last segment that has one, and how many files ago that was.
    last_number: Option<(SegmentNumber, u64)>,
    genesis: Option<Genesis>,
    /// The newest claim of a floor, with the position of its prune record.
    floor: Option<(Position, Position)>,
    is_pruned: bool,
    /// Whether every record from the first segment on was read, and each header continues the tree computed before it.
    is_whole: bool,
    /// Whether every record of the segments there are was read.
    is_read: bool,
    /// Roots found, by size; the first one found counts.
    roots: BTreeMap<u64, Digest>,
    /// Unless nothing is computed that it could be held against.
    spine: Option<SpineCheck<'a>>,
}

impl Linker<'_> {
    fn new(level: Level) -> Self {
        Self {
            level,
            report: LogReport::default(),
            previous: None,
            last_number: None,
            genesis: None,
            floor: None,
            is_pruned: false,
            is_whole: true,
            is_read: true,
            roots: BTreeMap::new(),
            spine: None,
        }
    }

    fn find(&mut self, verdict: Verdict, position: Option<Position>, segment: Option<String>, what: String) {
        self.report.findings.push(Finding { verdict, position, segment, offset: None, what });
    }

    /// Takes the next segment.
    fn link(&mut self, mut checked: Examined) {
        let findings = std::mem::replace(&mut checked.findings, Findings::new(&checked.name));
        self.report.findings.extend(findings.into_vec());
        self.report.not_checked.append(&mut checked.not_checked);
        self.report.bytes_checked += checked.bytes_checked;
        if checked.is_interrupted {
            return;
        }
        if let Some(header) = checked.header.clone() {
            self.link_header(&checked, &header);
        } else {
            self.settle_previous(None);
            self.last_number = self.last_number.map(|(number, files)| (number, files + 1));
        }
        self.is_whole &= checked.is_whole() || checked.is_below_since;
        self.is_read &= checked.is_whole();
        if let Some(walked) = &mut checked.walked {
            self.report.records_checked += walked.records;
            self.report.caller_records += walked.caller_records;
            self.is_pruned |= walked.is_pruned;
            self.report.breaks += walked.breaks;
            self.report.gaps += walked.gaps;
            for head in &walked.heads {
                self.roots.entry(head.size).or_insert(head.root);
            }
            self.genesis = self.genesis.take().or_else(|| walked.genesis.take());
            let nodes = std::mem::take(&mut walked.nodes);
            let is_written = self.is_whole && checked.summary.is_some();
            if let Some(spine) = self.spine.as_mut().filter(|_| is_written) {
                spine.compare(&nodes);
            }
        }
        if let Some(head) = checked.facts.as_ref().map(|facts| facts.head) {
            self.roots.entry(head.size).or_insert(head.root);
        }
        self.previous = Some(checked);
    }

    fn link_header(&mut self, checked: &Examined, header: &SegmentHeader) {
        let tampered = |what: &str| (Verdict::Tampered, Some(header.base), Some(checked.name.clone()), what.to_owned());
        let mut found = Vec::new();
        let mut follows = false;
        if let Some((number, files)) = self.last_number {
            let expected = number.0.saturating_add(files);
            follows = files == 1 && header.number.0 == expected;
            if header.number.0 > expected {
                let from = self.previous.as_ref().filter(|_| files == 1).and_then(|previous| previous.end);
                let from_text = from.map_or_else(|| "somewhere".to_owned(), |from| from.to_string());
                let what = format!(
                    "segments {expected}..{} are missing, with positions from {from_text} to {}",
                    header.number, header.base
                );
                found.push((Verdict::Missing, from.or(Some(header.base)), from.map(segment_file_name), what));
            } else if header.number.0 < expected {
                found.push(tampered(&format!("segment number {} where {expected} must be", header.number)));
            }
        }
        self.last_number = Some((header.number, 1));
        if self.floor.is_some() && header.prune.is_none() {
            found.push(tampered("the floor has fallen"));
        }
        let footer = checked.summary.as_ref().map(|summary| &summary.footer);
        let claims =
            [(header.floor, header.prune)].into_iter().chain(footer.map(|footer| (footer.floor, footer.prune)));
        // A floor of 0 is none, whatever it claims to come from.
        for (floor, prune) in claims.filter(|(floor, _)| *floor > Position::ZERO) {
            self.floor = prune.map(|prune| (floor, prune)).or(self.floor);
        }
        if let Some(Examined { header: Some(before), summary, end, .. }) = &self.previous {
            if before.secret != header.secret || before.erasable != header.erasable {
                found.push(tampered("frame secret or erasability are not those of the segment before"));
            }
            if header.epoch < summary.as_ref().map_or(before.epoch, |summary| summary.epoch) {
                found.push(tampered("the header's epoch is below that of the segment before"));
            }
            if follows && let Some(end) = end.filter(|end| *end != header.base) {
                found.push(tampered(&format!("the segment before ends at position {end}")));
                follows = false;
            }
        }
        for (verdict, position, segment, what) in found {
            self.find(verdict, position, segment, what);
        }
        self.roots.entry(header.base.0).or_insert(Digest(header.root));
        let before = self.previous.as_ref().and_then(|previous| previous.facts.as_ref());
        self.is_whole &= match before {
            Some(facts) => facts.are_computed && facts.head == head_below(header) && facts.frontier == header.frontier,
            // What was not read on purpose ends where the next header says, or the head given as since is not in it.
            None => {
                header.base == Position::ZERO || follows && self.previous.as_ref().is_some_and(|p| p.is_below_since)
            }
        };
        let seal = checked.walked.as_ref().and_then(|walked| walked.seal.as_ref());
        let follower = Follower { name: &checked.name, header, seal, offset: checked.frames_offset };
        self.settle_previous(Some(follower).filter(|_| follows));
    }

    /// Compares what is told of the previous segment's end, once everything that tells of it is known.
    fn settle_previous(&mut self, follower: Option<Follower<'_>>) {
        let Some(previous) = &self.previous else { return };
        let Some(facts) = &previous.facts else { return };
        let footer = previous.summary.as_ref().map(|summary| &summary.footer);
        let (own, next) = settle(&previous.name, facts, previous.frames_offset, footer, follower);
        self.report.findings.extend(own.into_vec());
        self.report.findings.extend(next.into_vec());
    }

    fn finish(mut self, candidates: &[Candidate], expect: &Expectation, heads: &[TreeHead]) -> LogReport {
        self.settle_previous(None);
        if self.level == Level::Structure {
            let what = "records, frames, index pages and the spine were not read, nor anything computed from them";
            self.report.not_checked.push(what.to_owned());
        }
        self.check_floor(candidates);
        self.check_genesis(candidates, expect);
        self.check_heads(heads);
        self.check_since(candidates, expect);
        self.report.roots = expect.sizes.iter().filter_map(|&size| self.head_at(size)).collect();
        self.report.roots.sort_unstable_by_key(|head| head.size);
        self.report.roots.dedup();
        if let Some(previous) = &self.previous {
            self.report.head = match (&previous.facts, &previous.summary) {
                (Some(facts), _) => Some(facts.head),
                (None, Some(summary)) => Some(footer_head(&summary.footer)),
                (None, None) => None,
            };
            self.report.is_head_computed = self.is_whole && self.report.head.is_some();
        }
        let mut report = self.report;
        report.findings.extend(self.spine.map(SpineCheck::finish).into_iter().flat_map(Findings::into_vec));
        report.findings.sort_by_key(|finding| finding.position.map_or(u64::MAX, |position| position.0));
        report
    }

    /// Everything below the oldest segment must be covered by a prune record.
    fn check_floor(&mut self, candidates: &[Candidate]) {
        let oldest = candidates.first().map_or(Position::ZERO, |candidate| candidate.base);
        let mut kept_from = Position::ZERO;
        if let Some((floor, at)) = self.floor {
            self.report.floor = floor;
            if self.is_read && !self.is_pruned {
                let what = format!("the floor {floor} is claimed from a prune record at position {at}, where none is");
                self.find(Verdict::Tampered, Some(at), None, what);
            } else {
                let what = format!("positions below {floor} were pruned by a later version, whose receipt is not read");
                self.find(Verdict::Newer, Some(Position::ZERO), None, what);
                self.report.not_checked.push(format!("positions 0..{floor}"));
                kept_from = floor;
            }
        }
        if oldest > kept_from {
            let what = format!("positions {kept_from}..{oldest} are missing, and no prune record covers them");
            self.find(Verdict::Missing, Some(kept_from), Some(segment_file_name(kept_from)), what);
        }
    }

    /// The first record says which log this is.
    fn check_genesis(&mut self, candidates: &[Candidate], expect: &Expectation) {
        let name = segment_file_name(Position::ZERO);
        let mut found = Vec::new();
        if expect.id.is_some() && self.report.id.is_some() && expect.id != self.report.id {
            found.push((Verdict::Tampered, "the log is another one than expected".to_owned()));
        }
        if let Some(genesis) = self.genesis.take() {
            if Some(genesis.log) != self.report.id {
                found.push((Verdict::Tampered, format!("the genesis is that of log {}", genesis.log)));
            }
            let header = self.previous.as_ref().and_then(|previous| previous.header.as_ref());
            if header.is_some_and(|header| header.erasable != genesis.erasable) {
                found.push((Verdict::Tampered, "genesis and headers differ in whether the log is erasable".to_owned()));
            }
            if let Some(expected) = expect.origin.as_ref().filter(|expected| **expected != genesis.origin) {
                found.push((Verdict::Tampered, format!("the origin is {}, not {expected}", genesis.origin)));
            }
            if let Some(predecessor) = &genesis.predecessor {
                found.push(self.continues(predecessor));
            }
            self.report.origin = Some(genesis.origin);
        } else if let [Candidate { base: Position::ZERO, .. }] = candidates
            && self.previous.as_ref().is_none_or(|previous| previous.end == Some(Position::ZERO))
            && self.report.findings.iter().all(|finding| finding.verdict == Verdict::Intact)
        {
            // A crash during creation leaves this, but nobody then knows of the log yet.
            let verdict = if expect.is_nothing() { Verdict::Intact } else { Verdict::Missing };
            found.push((verdict, "the log has no genesis record: its creation was interrupted".to_owned()));
        }
        for (verdict, what) in found {
            self.find(verdict, Some(Position::ZERO), Some(name.clone()), what);
        }
    }

    /// That the log continues another is a remark, unless a repair wrote it whose break records were not read.
    fn continues(&self, predecessor: &Predecessor) -> (Verdict, String) {
        let Predecessor { log, head, reason } = predecessor;
        let is_repair = reason == Predecessor::REPAIR && self.report.breaks == 0;
        let verdict = if is_repair { Verdict::Repaired } else { Verdict::Intact };
        (verdict, format!("the log continues log {log}, which claimed the head {head}: {reason}"))
    }

    /// The head at a size, if anything tells it.
    fn head_at(&self, size: u64) -> Option<TreeHead> {
        if size == 0 {
            return Some(TreeHead::EMPTY);
        }
        self.roots.get(&size).map(|&root| TreeHead { size, root })
    }

    /// What lies below the trusted head was not read; that the head is the log's own, [`Self::check_heads`] sees to.
    fn check_since(&mut self, candidates: &[Candidate], expect: &Expectation) {
        let Some(since) = expect.since else { return };
        self.is_whole &= self.head_at(since.size) == Some(since);
        let first = candidates.iter().rfind(|candidate| candidate.base.0 <= since.size);
        if let Some(first) = first.filter(|first| first.base > Position::ZERO) {
            let what = format!("records 0..{}, which the head {since} stands for", first.base);
            self.report.not_checked.push(what);
        }
    }

    /// The log must continue every head that somebody holds.
    fn check_heads(&mut self, heads: &[TreeHead]) {
        let end = match &self.previous {
            Some(previous) => previous.end,
            None => Some(Position::ZERO),
        };
        for head in heads {
            let position = Some(Position(head.size));
            if let Some(TreeHead { root, .. }) = self.head_at(head.size) {
                if root != head.root {
                    self.find(
                        Verdict::Tampered,
                        position,
                        None,
                        format!("the expected head {head} has the root {root} here"),
                    );
                }
            } else if let Some(end) = end.filter(|end| end.0 < head.size) {
                let what = format!("positions {end}..{} are missing: the head {head} is expected", head.size);
                self.find(Verdict::Missing, Some(end), None, what);
            } else {
                self.report.not_checked.push(format!("the expected head {head}, whose root could not be computed"));
            }
        }
    }
}

/// The verdict on bytes that are no valid frame; whether the header at least is one tells whose checksum held.
fn verdict_of_frame(error: &WireError, is_header_valid: bool) -> Verdict {
    match error {
        error if error.is_newer() => Verdict::Newer,
        WireError::Invalid { .. } if !is_header_valid => Verdict::Tampered,
        _ => Verdict::Damaged,
    }
}

/// The verdict on content whose checksum holds.
fn verdict_of_content(error: &WireError) -> Verdict {
    if error.is_newer() || error.is_unsupported() { Verdict::Newer } else { Verdict::Tampered }
}

fn verdict_of_segment(error: &SegmentError) -> Verdict {
    match error {
        // The padding follows the checksum and the version is judged before it; everything else is under it.
        SegmentError::Damaged { source: WireError::Invalid { field, .. }, .. }
            if !matches!(*field, "padding" | "version") =>
        {
            Verdict::Tampered
        }
        error if error.is_newer() => Verdict::Newer,
        error if error.is_damage() => Verdict::Damaged,
        error if error.is_not_found() => Verdict::Missing,
        _ => Verdict::Unreadable,
    }
}

/// What is at fault, without the path, which the finding names.
fn describe(error: &SegmentError) -> String {
    match error.source() {
        Some(source) if error.offset().is_none() => format!("the segment cannot be read: {source}"),
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}
