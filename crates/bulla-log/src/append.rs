//! Giving records their positions.
//!
//! # Invariants
//!
//! - P1. A call's records get consecutive positions under one lock, after the decision whether to rotate.
//! - P2. Nothing is encoded before every limit was checked, so a refused call leaves the log as it was.

use crate::error::{LogError, io};
use crate::log::{BUFFERED_BYTES_MAX, Log};
use crate::options::{AppendOptions, Durability, NewRow};
use crate::ticket::Ticket;
use crate::writer::Writer;
use bulla_vfs::sync::MutexGuard;
use bulla_wire::limits::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, RECORD_OVERHEAD_MAX};
use bulla_wire::{NewRecord, Position};
use std::ops::Range;
use std::sync::Arc;

impl Log {
    /// Appends one record and waits for what `options.durability` says; gives its position.
    ///
    /// # Durability
    ///
    /// See [`Durability`]. A record that was acknowledged `Durable` survives power loss.
    ///
    /// # Errors
    ///
    /// [`LogError::Conflict`], [`LogError::TooLarge`], [`LogError::EngineKind`] and [`LogError::NoSpace`] leave the log as
    /// it was. After any other failure of a write or sync the log is poisoned.
    pub fn append(&self, row: &NewRow<'_>, options: AppendOptions) -> Result<Position, LogError> {
        Ok(self.append_batch(std::slice::from_ref(row), options)?.start)
    }

    /// Appends all rows or none, at consecutive positions, and waits for what `options.durability` says. An empty batch
    /// gives an empty range.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); a batch exceeds its limits at 16 MiB of payloads, unless one record is larger, or at
    /// 1,048,576 records.
    pub fn append_batch(&self, rows: &[NewRow<'_>], options: AppendOptions) -> Result<Range<Position>, LogError> {
        let ticket = self.enqueue(rows, options, options.durability)?;
        ticket.wait(options.durability)?;
        if let Some(after_append) = &self.inner.options.after_append {
            after_append(ticket.positions().end);
        }
        Ok(ticket.positions())
    }

    /// Gives rows their positions and returns at once; the ticket says what becomes of them. They are written when the
    /// ticket is waited on, or with whatever is written next.
    ///
    /// # Errors
    ///
    /// As [`append_batch`](Self::append_batch).
    pub fn submit(&self, rows: &[NewRow<'_>], options: AppendOptions) -> Result<Ticket, LogError> {
        self.enqueue(rows, options, Durability::Flushed)
    }

    fn enqueue(&self, rows: &[NewRow<'_>], options: AppendOptions, durability: Durability) -> Result<Ticket, LogError> {
        let bytes = self.check_rows(rows)?;
        let salts = self.salts(rows.len())?;
        let records: Vec<_> = rows
            .iter()
            .enumerate()
            .map(|(index, row)| NewRecord {
                kind: row.kind,
                time: row.time,
                schema: row.schema,
                salt: salts.get(index).copied(),
                payload: row.payload,
            })
            .collect();
        let mut writer = self.ready(bytes, options.expected)?;
        if writer.next.0.checked_add(rows.len() as u64).is_none_or(|end| end == u64::MAX) {
            return Err(LogError::Exhausted { dir: self.dir().to_owned(), what: "position" });
        }
        let is_waited_for = !rows.is_empty() && (durability > Durability::Buffered || writer.has_waiting());
        if is_waited_for {
            writer.begin_waiting();
        }
        let first = writer.next;
        writer.push_all(&records, self.inner.options.frame_target_bytes as usize);
        let ticket = Ticket::new(Arc::clone(&self.inner), Arc::clone(&writer.life), first..writer.next);
        drop(writer);
        if is_waited_for && durability == Durability::Buffered {
            ticket.wait(Durability::Flushed)?;
        }
        Ok(ticket)
    }

    /// Checks rows against the limits; gives what they may take in a segment.
    fn check_rows(&self, rows: &[NewRow<'_>]) -> Result<u64, LogError> {
        let mut bytes = 0_u64;
        for row in rows {
            let (len, max) = (row.payload.len() as u64, u64::from(self.inner.options.record_bytes_max));
            if len > max {
                return Err(LogError::TooLarge { what: "record in bytes", len, max });
            }
            if row.kind.is_engine() {
                return Err(LogError::EngineKind { kind: row.kind.0 });
            }
            bytes += len;
        }
        let max = BATCH_BYTES_MAX.max(u64::from(self.inner.options.record_bytes_max));
        if bytes > max {
            return Err(LogError::TooLarge { what: "batch in bytes", len: bytes, max });
        }
        if rows.len() as u64 > BATCH_RECORDS_MAX {
            let len = rows.len() as u64;
            return Err(LogError::TooLarge { what: "batch in records", len, max: BATCH_RECORDS_MAX });
        }
        Ok(bytes + rows.len() as u64 * u64::from(RECORD_OVERHEAD_MAX) / 4)
    }

    fn salts(&self, count: usize) -> Result<Vec<[u8; 16]>, LogError> {
        if !self.inner.erasable {
            return Ok(Vec::new());
        }
        let mut salts = vec![[0; 16]; count];
        let random = &self.inner.shared.host.random;
        random.fill(salts.as_flattened_mut()).map_err(io("draw salts for", self.dir()))?;
        Ok(salts)
    }

    /// The writer, open, with an active segment that has room for `bytes`, its seal in place, if its next position was
    /// the expected one. The engine's own records that this call brings about do not count against it.
    pub(crate) fn ready(&self, bytes: u64, mut expected: Option<Position>) -> Result<MutexGuard<'_, Writer>, LogError> {
        let inner = &*self.inner;
        let mut writer = inner.lock();
        loop {
            writer.check_open(self.dir())?;
            if writer.is_rotating {
                writer = inner.wait(writer);
                continue;
            }
            if let Some(expected) = expected.filter(|expected| *expected != writer.next) {
                return Err(LogError::Conflict { expected, actual: writer.next });
            }
            if writer.pending_bytes() >= BUFFERED_BYTES_MAX {
                let end = writer.next;
                writer = inner.commit(writer, end, Durability::Flushed)?;
                continue;
            }
            // From here to the next turn nobody else appends: a rotation shuts the others out.
            let is_ready = if writer.active.is_none() {
                inner.begin_segment(&mut writer)?;
                false
            } else if writer.is_full_with(bytes, inner.options.segment_bytes_max) {
                writer = inner.rotate(writer)?;
                false
            } else {
                inner.push_due_seal(&mut writer);
                true
            };
            expected = expected.map(|_| writer.next);
            if is_ready {
                return Ok(writer);
            }
        }
    }
}
