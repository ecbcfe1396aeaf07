//! What a repair takes from a damaged log, and what it writes in place of the rest.
//!
//! # Invariants
//!
//! - R1. Every record that can be read is handed on once, in order, but for those of the engine that speak of the damaged
//!   log's own segments; every position that cannot be read is in one loss, and neighbouring ones are one.
//! - R2. A loss comes right before the record that was found next.
//! - R3. A break record says what the log was below it: nothing can come between its head and itself.
//!
//! # Not here
//!
//! Which logs a store has, and when the repaired ones become it.

use crate::error::LogError;
use crate::log::Log;
use crate::options::{AppendOptions, Durability, NewRow};
use crate::query::{Item, Query};
use crate::snapshot::Snapshot;
use crate::tree::Hasher;
use bulla_chain::{Break, Digest, Frontier};
use bulla_segment::SegmentError;
use bulla_wire::limits::RECORD_OVERHEAD_MAX;
use bulla_wire::{Kind, LogId, NewRecord, Position, Record};
use std::ops::Range;
use std::path::Path;

/// Positions of a log that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The positions; empty if something else than records was damaged.
    pub positions: Range<Position>,
    /// Whether more may be lost behind them.
    pub is_open: bool,
    /// The position of the record that is handed on next; `None` if none is.
    pub resumes_at: Option<Position>,
    /// The root of the tree below them, if every record from 0 on could be read.
    pub root: Option<Digest>,
    /// What was found first, in one line.
    pub cause: String,
}

/// What [`salvage`] hands on.
#[derive(Debug)]
pub enum Salvaged<'a> {
    /// A record of the caller's, or the break record of an earlier repair.
    Record(&'a Record<'a>),
    /// Positions that cannot be read.
    Loss(&'a Loss),
}

/// Losses that wait for the next record.
struct Pending {
    losses: Vec<Loss>,
    /// The tree over everything so far, as long as nothing is missing.
    hasher: Option<Hasher>,
}

impl Pending {
    fn lose(&mut self, positions: Range<Position>, cause: &LogError) {
        let root = self.hasher.take().filter(|hasher| hasher.next() == positions.start);
        match self.losses.last_mut() {
            Some(last) if last.positions.end == positions.start => last.positions.end = positions.end,
            _ => {
                let root = root.map(|hasher| hasher.frontier().root());
                let cause = describe(cause);
                self.losses.push(Loss { positions, is_open: false, resumes_at: None, root, cause });
            }
        }
    }
}

/// Hands `take` everything of a log that can be read, and what cannot; gives the number of losses. `known_end` is where the
/// log ended when somebody last looked, a journal say.
///
/// Memory is bounded by a cursor's and the losses between two records.
///
/// # Errors
///
/// What `take` returns, a newer format, and I/O failures.
pub fn salvage<E: From<LogError>>(
    snapshot: &Snapshot,
    known_end: Option<Position>,
    take: &mut dyn FnMut(Salvaged<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    let query = Query { engine: true, gaps: true, ..Query::new() };
    let mut cursor = snapshot.cursor(&query);
    let is_from_zero = snapshot.floor() == Position::ZERO;
    let mut pending = Pending { losses: Vec::new(), hasher: is_from_zero.then(|| Hasher::new(Frontier::new())) };
    let (mut end, mut loss_count) = (snapshot.floor(), 0);
    while let Some(item) = cursor.next() {
        match item? {
            Item::Gap(gap) => {
                end = gap.positions.end;
                pending.lose(gap.positions, &gap.cause);
            }
            Item::Record(record) => {
                if let Some(hasher) = &mut pending.hasher {
                    hasher.push(&record);
                }
                end = Position(record.position.0.saturating_add(1));
                if record.kind.is_engine() && record.kind != Kind::BREAK {
                    continue;
                }
                for mut loss in pending.losses.drain(..) {
                    loss.resumes_at = Some(record.position);
                    loss_count += 1;
                    take(Salvaged::Loss(&loss))?;
                }
                take(Salvaged::Record(&record))?;
            }
        }
    }
    if let Some(known_end) = known_end.filter(|known_end| *known_end > end) {
        let dir = snapshot.view().dir().to_owned();
        pending.lose(end..known_end, &LogError::Missing { dir, position: end });
        end = known_end;
    }
    // Where the log ends in a loss, nothing in it says how far it went.
    if let Some(last) = pending.losses.last_mut().filter(|last| last.positions.end == end) {
        last.is_open = snapshot.is_damaged() && known_end != Some(end);
    }
    for loss in pending.losses {
        loss_count += 1;
        take(Salvaged::Loss(&loss))?;
    }
    Ok(loss_count)
}

impl Log {
    /// Appends what [`salvage`] handed on: the record as it was, but for its position and salt. It waits in memory like any
    /// record that is appended as buffered.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); [`LogError::EngineKind`] for the engine's records but for break records of other logs,
    /// and [`LogError::Mismatch`] for a record whose payload was erased.
    pub fn append_copy(&self, record: &Record<'_>) -> Result<(), LogError> {
        let &Record { kind, time, schema, .. } = record;
        let Some(payload) = record.payload() else {
            let what = format!("the payload of the record at position {} is gone", record.position);
            return Err(LogError::Mismatch { dir: self.dir().to_owned(), what });
        };
        if kind != Kind::BREAK {
            let buffered = AppendOptions { durability: Durability::Buffered, expected: None };
            return self.append(&NewRow { kind, time, schema, payload }, buffered).map(drop);
        }
        if Break::decode(payload).is_ok_and(|broken| broken.log == self.id()) {
            return Err(LogError::EngineKind { kind: kind.0 });
        }
        let mut writer = self.ready(payload.len() as u64 + u64::from(RECORD_OVERHEAD_MAX), None)?;
        let copy = NewRecord { kind, time, schema, salt: None, payload };
        writer.push_all(&[copy], self.inner.options.frame_target_bytes as usize);
        Ok(())
    }

    /// Appends the record of what the repair of the log `source` lost, durably; gives its position.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append). Texts that are too long are cut.
    pub fn append_break(&self, source: LogId, loss: &Loss, who: &str) -> Result<Position, LogError> {
        let mut broken = Break {
            source,
            lost: loss.positions.clone(),
            is_open: loss.is_open,
            resumes_at: loss.resumes_at,
            source_root: loss.root,
            log: self.id(),
            head: self.head()?,
            cause: cut(&loss.cause, Break::CAUSE_BYTES_MAX).to_owned(),
            who: cut(who, Break::WHO_BYTES_MAX).to_owned(),
        };
        loop {
            // R3. A rotation that it needs comes first, and so does everything that waits.
            let len = broken.encode().len() as u64 + u64::from(RECORD_OVERHEAD_MAX);
            drop(self.ready(len, None)?);
            self.sync()?;
            broken.head = self.head()?;
            let mut writer = self.inner.lock();
            writer.check_open(self.dir())?;
            if writer.next.0 != broken.head.size {
                continue;
            }
            let position = writer.next;
            self.inner.push_engine(&mut writer, &[(Kind::BREAK, broken.encode())]);
            drop(self.inner.commit(writer, Position(position.0 + 1), Durability::Durable)?);
            return Ok(position);
        }
    }
}

/// What a loss comes from. Where the store lay is not part of it: the line stays for ever.
fn describe(cause: &LogError) -> String {
    match (cause.first(), cause.path().and_then(Path::file_name)) {
        (LogError::Missing { .. }, _) => "no segment holds them".to_owned(),
        (LogError::Mismatch { what, .. }, _) => what.clone(),
        (LogError::Segment(SegmentError::Damaged { offset, source, .. }), Some(segment)) => {
            format!("{source}, segment {}, offset {offset}", segment.to_string_lossy())
        }
        (error, _) => error.to_string(),
    }
}

/// The longest beginning of `text` that takes at most `bytes_max`.
fn cut(text: &str, bytes_max: u16) -> &str {
    let bytes_max = text.len().min(bytes_max.into());
    (0..=bytes_max).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}
