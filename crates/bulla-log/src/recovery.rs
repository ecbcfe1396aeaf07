//! What opening for writing does about the end of a log. docs/DURABILITY.md, "Recovery", is the table.
//!
//! # Invariants
//!
//! - R1. Nothing is changed before the verdict, and nothing at all when it is damage.
//! - R2. Bytes are copied to quarantine, durably, before they are cut; the cut is durable before the new epoch's first
//!   frame; the record that names the file comes first of all. Each step may be repeated after a crash.
//! - R3. A second recovery changes no byte.

use crate::error::{LogError, io};
use crate::inventory::{Inventory, QUARANTINE};
use crate::options::LogOptions;
use crate::snapshot::frontier_of;
use bulla_chain::{Digest, Frontier, Recovery, StreamDigest};
use bulla_segment::{Active, Invalid, NEXT_TEMPORARY, Newest, SegmentFile, Stop, Summary, Tail, Verdict};
use bulla_vfs::{Host, OpenMode, write_all_at};
use bulla_wire::{Epoch, Position, SegmentHeader};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What was found at the end of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TailKind {
    /// It was closed cleanly.
    #[default]
    Clean,
    /// It was not closed, and ends with whole frames, followed by zeros at most.
    Unclosed,
    /// Bytes of unfinished writes followed the last whole frame; they were set aside and cut off.
    Torn,
    /// The newest segment's creation had been interrupted; it held nothing and was made again.
    InterruptedCreation,
    /// The newest segment is sealed and has no successor yet.
    Sealed,
}

/// What opening a log for writing found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// What was at the end.
    pub tail: TailKind,
    /// The first position cut off, if bytes were.
    pub cut_from: Option<Position>,
    /// Bytes set aside.
    pub quarantined_bytes: u64,
    /// The file that holds them.
    pub quarantine: Option<PathBuf>,
    /// Whether what was cut off may have been acknowledged as durable: damage inside the last synced group of a log that
    /// was not closed cannot be told from a torn write.
    pub may_have_been_acknowledged: bool,
}

/// A log's end, ready to go on from.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) inventory: Inventory,
    pub(crate) end: Position,
    /// The newest segment, if it takes records.
    pub(crate) active: Option<Active>,
    /// The header of the newest segment.
    pub(crate) header: SegmentHeader,
    /// What ends the newest segment if it is sealed, or the one before it if the newest is empty: what a seal that is
    /// still due commits to.
    pub(crate) predecessor: Option<Summary>,
    /// The tree as far as it is known without reading records.
    pub(crate) frontier: Frontier,
    /// The highest epoch in the log.
    pub(crate) epoch: Epoch,
    /// Whether bytes behind the last record must go before the first write.
    pub(crate) cut_before_write: bool,
    /// The records that recovery owes the log: one for each quarantine file that none names yet.
    pub(crate) owed: Vec<Recovery>,
    pub(crate) report: RecoveryReport,
}

/// Opens the end of the log in `dir`, and carries out the first two steps of the cut if one is needed.
pub(crate) fn open(host: &Host, dir: &Path, options: &LogOptions) -> Result<Opened, LogError> {
    let mut inventory = Inventory::read(host, dir)?;
    let newest = inventory.newest()?;
    let (file, was_interrupted) = match SegmentFile::open_newest(host, &inventory.path(newest), OpenMode::Write)? {
        Newest::Whole(file) => (file, false),
        Newest::Interrupted => {
            // Without a segment before it there is no identity to make it again with.
            inventory.bases.pop();
            let before = inventory.newest()?;
            (SegmentFile::open(host, &inventory.path(before), OpenMode::Write)?, true)
        }
    };
    inventory.check(host, &file)?;
    if was_interrupted {
        check_sealed_at(&inventory, &file, newest)?;
    }
    let mut opened = end_of(host, inventory, file, options)?;
    if was_interrupted {
        opened.report.tail = TailKind::InterruptedCreation;
    }
    if opened.end < options.known_durable_end {
        let lost = opened.end..options.known_durable_end;
        let (segment, offset) = match &opened.active {
            Some(active) => (active.file.path().to_owned(), active.extent.end_offset),
            None => (opened.inventory.path(opened.header.base), 0),
        };
        let evidence = format!("the caller knows positions below {} to be durable", options.known_durable_end);
        return Err(LogError::Damaged { dir: dir.to_owned(), segment, offset, lost, evidence });
    }
    if opened.inventory.has_temporary {
        let temporary = dir.join(NEXT_TEMPORARY);
        host.fs.remove_file(&temporary).map_err(io("remove", &temporary))?;
    }
    opened.owed = unrecorded_quarantine(host, dir, &opened)?;
    Ok(opened)
}

fn end_of(host: &Host, inventory: Inventory, file: SegmentFile, options: &LogOptions) -> Result<Opened, LogError> {
    let header = file.header().clone();
    let predecessor = predecessor_of(host, &inventory, &header)?;
    let mut opened = Opened {
        inventory,
        end: header.base,
        active: None,
        frontier: frontier_of(&file)?,
        epoch: header.epoch,
        header,
        predecessor,
        cut_before_write: false,
        owed: Vec::new(),
        report: RecoveryReport::default(),
    };
    // Everything that a close frame speaks of was durable before it was written, and nothing is built on the frame.
    if let Some((active, summary)) = summarised_end(&file)?.filter(|(_, summary)| !summary.is_sealed) {
        return opened.summarised(active, summary);
    }
    // What a failed or interrupted sync left in the cache, a footer or a name too, must not pass for what is on disk.
    file.sync_and_drop_cache()?;
    let dir = opened.inventory.dir.clone();
    host.fs.sync_dir(&dir).map_err(io("sync", &dir))?;
    if let Some((active, summary)) = summarised_end(&file)? {
        return opened.summarised(active, summary);
    }
    let tail = Tail::scan(&file)?;
    let verdict = tail.verdict(options.known_durable_end);
    opened.end = tail.end();
    opened.epoch = tail.epoch();
    match (verdict, &tail.stop) {
        (Verdict::Damaged { lost }, stop) => return Err(damaged(&opened, &file, &tail, stop, lost, options)),
        (Verdict::Torn, Stop::Invalid(invalid)) => {
            let invalid = invalid.clone();
            opened.report.tail = TailKind::Torn;
            opened.cut(host, &file, &tail, &invalid, options)?;
            opened.active = Some(Active::new(file, tail.extent));
        }
        (_, Stop::Summary(summary)) => {
            let summary = (**summary).clone();
            // Zeros written ahead are still behind the summary: the cut of a rotation or close was lost.
            if summary.is_sealed {
                file.set_len(summary.footer.offset + summary_len(&summary))?;
                file.sync()?;
            }
            return opened.summarised(Active::new(file, tail.extent), summary);
        }
        _ => {
            opened.report.tail = TailKind::Unclosed;
            opened.cut_before_write = file.last_non_zero(tail.extent.end_offset)?.is_some();
            let zero_end = file.file_len()?;
            let mut active = Active::new(file, tail.extent);
            if !opened.cut_before_write {
                active.zero_end = active.zero_end.max(zero_end);
            }
            opened.active = Some(active);
        }
    }
    Ok(opened)
}

impl Opened {
    /// The end as the footer or close frame of `newest` says it.
    fn summarised(mut self, newest: Active, summary: Summary) -> Result<Self, LogError> {
        if !can_be_sealed(&summary) {
            let what = format!("the end of segment {} has times without records", newest.file.path().display());
            return Err(LogError::Mismatch { dir: self.inventory.dir.clone(), what });
        }
        let frontier = Frontier::from_parts(summary.footer.end.0, &summary.footer.frontier);
        self.frontier = frontier.map_err(|_| LogError::Mismatch {
            dir: self.inventory.dir.clone(),
            what: format!("the end of segment {} has no frontier", newest.file.path().display()),
        })?;
        self.end = summary.footer.end;
        self.epoch = summary.epoch;
        if summary.is_sealed {
            self.report.tail = TailKind::Sealed;
            self.predecessor = Some(summary);
        } else {
            self.active = Some(newest);
            self.cut_before_write = true;
        }
        Ok(self)
    }

    /// Steps 1 and 2 of the cut: copy what follows the last whole frame, then cut it off.
    fn cut(
        &mut self,
        host: &Host,
        file: &SegmentFile,
        tail: &Tail,
        invalid: &Invalid,
        options: &LogOptions,
    ) -> Result<(), LogError> {
        let bytes = tail.extent.end_offset..invalid.non_zero_end;
        tracing::warn!(
            segment = %file.path().display(), offset = bytes.start, bytes = bytes.end - bytes.start,
            position = self.end.0, "setting aside a torn tail"
        );
        let path = options.with_room(|| quarantine(host, &self.inventory.dir, file, &bytes, self.end))?;
        file.set_len(bytes.start)?;
        file.sync()?;
        self.report = RecoveryReport {
            tail: TailKind::Torn,
            cut_from: Some(self.end),
            quarantined_bytes: bytes.end - bytes.start,
            quarantine: Some(path),
            may_have_been_acknowledged: true,
        };
        Ok(())
    }
}

/// What the file ends with, if it is a whole footer or close frame with a whole index. They are synced together, so a
/// crash may keep the one without the other.
fn summarised_end(file: &SegmentFile) -> Result<Option<(Active, Summary)>, LogError> {
    let Some(summary) = file.read_summary()? else { return Ok(None) };
    match Active::from_close(file.clone(), &summary) {
        Ok(active) => Ok(Some((active, summary))),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A segment is made only once the one before it is sealed, so that a creation can be interrupted only there (R1).
fn check_sealed_at(inventory: &Inventory, file: &SegmentFile, next: Position) -> Result<(), LogError> {
    match file.read_summary()? {
        Some(summary) if summary.is_sealed && summary.footer.end == next => Ok(()),
        _ => Err(LogError::Damaged {
            dir: inventory.dir.clone(),
            segment: file.path().to_owned(),
            offset: file.file_len()?,
            lost: file.header().base..next,
            evidence: "a later segment was begun, and this one has no footer that ends there".to_owned(),
        }),
    }
}

/// Whether a seal may repeat what the summary counts: no writer makes one that has times without records, or the reverse.
fn can_be_sealed(summary: &Summary) -> bool {
    (summary.footer.caller_count == 0) == summary.footer.times.is_empty()
}

/// Bytes of the frame of a footer.
fn summary_len(summary: &Summary) -> u64 {
    bulla_wire::FRAME_HEADER_LEN + summary.footer.encode().len() as u64
}

/// What ends the segment before the newest; a rotation has sealed it, or the log is damaged.
fn predecessor_of(host: &Host, inventory: &Inventory, newest: &SegmentHeader) -> Result<Option<Summary>, LogError> {
    let Some(base) = inventory.bases.iter().rev().copied().find(|base| *base < newest.base) else { return Ok(None) };
    let file = SegmentFile::open(host, &inventory.path(base), OpenMode::Read)?;
    let summary = file.read_summary()?.filter(|summary| summary.is_sealed && summary.footer.end == newest.base);
    match summary.filter(can_be_sealed) {
        Some(summary) => Ok(Some(summary)),
        None => Err(LogError::Damaged {
            dir: inventory.dir.clone(),
            segment: file.path().to_owned(),
            offset: file.file_len()?,
            lost: base..newest.base,
            evidence: "a later segment exists, so this one was sealed, and its footer cannot be read".to_owned(),
        }),
    }
}

fn damaged(
    opened: &Opened,
    file: &SegmentFile,
    tail: &Tail,
    stop: &Stop,
    lost: Range<Position>,
    options: &LogOptions,
) -> LogError {
    let (offset, what) = match stop {
        Stop::Invalid(invalid) => (invalid.offset, invalid.error.to_string()),
        Stop::End | Stop::Summary(_) => (tail.extent.end_offset, "the file ends".to_owned()),
    };
    let proof = if options.known_durable_end == lost.end { "the caller knows" } else { "frames of the segment prove" };
    LogError::Damaged {
        dir: opened.inventory.dir.clone(),
        segment: file.path().to_owned(),
        offset,
        evidence: format!("{what}, and {proof} positions below {} to be durable", lost.end),
        lost,
    }
}

/// Copies `bytes` of the segment to the quarantine, under a name that says where they were and what they are.
fn quarantine(
    host: &Host,
    dir: &Path,
    file: &SegmentFile,
    bytes: &Range<u64>,
    position: Position,
) -> Result<PathBuf, LogError> {
    let home = dir.join(QUARANTINE);
    match host.fs.create_dir(&home) {
        Ok(()) => host.fs.sync_dir(dir).map_err(io("sync", dir))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io("create", &home)(error)),
    }
    let temporary = home.join(NEXT_TEMPORARY);
    let copy = match host.fs.open(&temporary, OpenMode::Create) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => host.fs.open(&temporary, OpenMode::Write),
        other => other,
    }
    .map_err(io("create", &temporary))?;
    copy.set_len(0).map_err(io("write", &temporary))?;
    let mut digest = StreamDigest::quarantine();
    let mut buffer = vec![0; 64 << 10];
    let mut offset = bytes.start;
    loop {
        let len = buffer.len().min(usize::try_from(bytes.end - offset).unwrap_or(usize::MAX));
        let read = file.read_up_to(buffer.get_mut(..len).unwrap_or_default(), offset)?;
        let part = buffer.get(..read).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        write_all_at(&*copy, part, offset - bytes.start).map_err(io("write", &temporary))?;
        digest.update(part);
        offset += read as u64;
    }
    let digest = digest.finish();
    copy.sync_all().map_err(io("sync", &temporary))?;
    let path = home.join(quarantine_name(file.header().base, position, &digest));
    host.fs.rename(&temporary, &path).map_err(io("name", &path))?;
    host.fs.sync_dir(&home).map_err(io("sync", &home))?;
    Ok(path)
}

fn quarantine_name(base: Position, position: Position, digest: &Digest) -> String {
    let digest: String = digest.to_string().chars().take(16).collect();
    format!("{:020}-{:020}-{digest}", base.0, position.0)
}

/// The records for quarantine files that none names yet. A record is durable in one piece with whatever comes first at
/// the position where the bytes were cut, so a file without one names the position where the log ends now. There are
/// several if recoveries were interrupted while they wrote their records.
fn unrecorded_quarantine(host: &Host, dir: &Path, opened: &Opened) -> Result<Vec<Recovery>, LogError> {
    let Some(active) = &opened.active else { return Ok(Vec::new()) };
    let home = dir.join(QUARANTINE);
    let entries = match host.fs.list(&home) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("list", &home)(error)),
    };
    let prefix = format!("{:020}-{:020}-", opened.header.base.0, opened.end.0);
    let is_owed = |name: &&OsString| name.to_str().is_some_and(|name| name.starts_with(&prefix));
    let mut names: Vec<_> = entries.iter().map(|entry| &entry.name).filter(is_owed).collect();
    names.sort_unstable();
    let mut owed = Vec::with_capacity(names.len());
    for name in names {
        let (quarantined_bytes, digest) = measure(host, &home.join(name))?;
        owed.push(Recovery {
            segment: opened.header.number,
            offset: active.extent.end_offset,
            position: opened.end,
            quarantined_bytes,
            quarantine: Some(digest),
            may_have_been_acknowledged: true,
        });
    }
    Ok(owed)
}

/// Length and digest of a quarantine file.
fn measure(host: &Host, path: &Path) -> Result<(u64, Digest), LogError> {
    let file = host.fs.open(path, OpenMode::Read).map_err(io("open", path))?;
    let (mut digest, mut buffer, mut len) = (StreamDigest::quarantine(), vec![0; 64 << 10], 0);
    loop {
        let read = bulla_vfs::read_up_to_at(&*file, &mut buffer, len).map_err(io("read", path))?;
        digest.update(buffer.get(..read).unwrap_or_default());
        len += read as u64;
        if read < buffer.len() {
            return Ok((len, digest.finish()));
        }
    }
}
