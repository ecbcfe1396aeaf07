//! Ending a segment: sealing it and beginning the next, or closing the log.
//!
//! docs/DURABILITY.md, W3 and W4, says what a crash at each step leaves.
//!
//! # Invariants
//!
//! - G1. Everything given a position is durable before index and footer or close frame are written (law L11).
//! - G2. The seal is the first record of the next segment.
//! - G3. The spine has what the segment adds to it before footer or close frame say that the segment is whole; a full disk
//!   costs the spine, and nothing else.
//! - G4. Nobody appends meanwhile, and nobody waits for ever: every way out lets the others go on.

use crate::error::LogError;
use crate::log::Inner;
use crate::options::Durability;
use crate::snapshot::catch_up;
use crate::unwind::Locked;
use crate::view::{Sealed, next_number};
use crate::writer::{State, Writer};
use bulla_chain::{Digest, Seal, StreamDigest, TreeHead};
use bulla_segment::{Active, EndFacts, NEXT_TEMPORARY, SegmentFile};
use bulla_vfs::sync::MutexGuard;
use bulla_wire::{Footer, Kind, NewRecord, SchemaId, SegmentHeader, Time};
use std::sync::Arc;

impl Inner {
    /// Seals the active segment and begins the next. Everything given a position is durable first.
    pub(crate) fn rotate<'a>(&'a self, mut writer: MutexGuard<'a, Writer>) -> Result<MutexGuard<'a, Writer>, LogError> {
        writer = self.settle_all(writer)?;
        let _locked = Locked(self);
        let rotated = self.seal_and_begin(&mut writer);
        writer.is_rotating = false;
        self.changed.notify_all();
        rotated.map(|()| writer)
    }

    /// Keeps others from appending and brings everything to the disk.
    fn settle_all<'a>(&'a self, mut writer: MutexGuard<'a, Writer>) -> Result<MutexGuard<'a, Writer>, LogError> {
        writer.is_rotating = true;
        loop {
            let settled = if writer.is_committing {
                writer = self.wait(writer);
                writer.check_open(&self.shared.dir)
            } else if writer.is_settled() {
                return Ok(writer);
            } else {
                match self.lead(writer, Durability::Durable) {
                    Ok(led) => {
                        writer = led;
                        writer.check_open(&self.shared.dir)
                    }
                    Err(error) => {
                        writer = self.lock();
                        Err(error)
                    }
                }
            };
            if let Err(error) = settled {
                writer.is_rotating = false;
                self.changed.notify_all();
                return Err(error);
            }
        }
    }

    /// Asks whether this process may still write.
    fn check_guard(&self, writer: &mut Writer) -> Result<(), LogError> {
        self.ask(self.options.guard.as_ref(), writer)
    }

    fn seal_and_begin(&self, writer: &mut Writer) -> Result<(), LogError> {
        self.check_guard(writer)?;
        let facts = self.end_facts(writer)?;
        self.write_spine(writer)?;
        // The footer overwrites a close frame that is still there, and what takes the footer back takes both.
        writer.ends_with_summary = false;
        let Some((file, footer)) = self.end_active(writer, &facts, true)? else { return Ok(()) };
        let positions = footer.base..footer.end;
        let path = file.path().to_owned();
        writer.seal_due = Some(seal_of(&footer));
        writer.sealed = writer.sealed.iter().cloned().chain([Arc::new(Sealed::new(path, positions))]).collect();
        writer.active = None;
        writer.cut_before_write = false;
        self.publish(writer);
        tracing::info!(dir = %self.shared.dir.display(), end = footer.end.0, "sealed a segment");
        self.begin_segment(writer)?;
        self.push_due_seal(writer);
        Ok(())
    }

    /// Writes footer or close frame behind the active segment, if there is one, making room for it if need be.
    /// [`LogError::NoSpace`] leaves the segment as it was; anything else poisons.
    fn end_active(
        &self,
        writer: &mut Writer,
        facts: &EndFacts,
        seal: bool,
    ) -> Result<Option<(SegmentFile, Footer)>, LogError> {
        let Some(active) = &mut writer.active else { return Ok(None) };
        let ended = match self.options.with_room(|| active.end(facts, seal).map_err(LogError::from)) {
            Err(error) if error.is_refused_for_space() => match active.take_back() {
                Ok(()) => return Err(error.or_no_space(&self.shared.dir)),
                Err(second) => Err(second.into()),
            },
            other => other,
        };
        let file = active.file.clone();
        ended.map(|footer| Some((file, footer))).map_err(|error| self.fail(writer, error))
    }

    fn end_facts(&self, writer: &Writer) -> Result<EndFacts, LogError> {
        let mut tree = self.tree();
        let snapshot = self.snapshot();
        // Everything is durable by now. Records of an earlier life are hashed here if nobody asked for a head before.
        catch_up(&snapshot, &mut tree.hasher, snapshot.end())?;
        tree.keep_durable();
        let mut column = StreamDigest::index_column();
        let mut bytes = Vec::new();
        for entry in writer.active.iter().flat_map(|active| active.extent.entries()) {
            bytes.clear();
            entry.encode_logical(&mut bytes);
            column.update(&bytes);
        }
        Ok(EndFacts {
            epoch: writer.epoch,
            floor: writer.header.floor,
            prune: writer.header.prune,
            index_digest: column.finish().0,
            root: tree.durable.root().0,
            frontier: tree.durable.to_bytes(),
        })
    }

    pub(crate) fn close(&self) -> Result<(), LogError> {
        let mut writer = self.lock();
        while writer.is_rotating {
            writer = self.wait(writer);
        }
        if matches!(writer.state, State::Closed) {
            return Ok(());
        }
        writer.check_open(&self.shared.dir)?;
        writer = self.settle_all(writer)?;
        let _locked = Locked(self);
        let ended = self.end_log(&mut writer);
        writer.is_rotating = false;
        if ended.is_ok() {
            writer.state = State::Closed;
            self.publish(&writer);
        }
        self.changed.notify_all();
        self.published.signal().notify();
        ended
    }

    /// Leaves a close frame, unless the log still ends with the one it was opened with, with a footer, or with a segment
    /// that waits for its first record: its seal comes with the first append, and nothing is closed without one.
    fn end_log(&self, writer: &mut Writer) -> Result<(), LogError> {
        let is_untouched = writer.cut_before_write && writer.ends_with_summary;
        let has_records = writer.active.as_ref().is_some_and(|active| active.extent.end > writer.header.base);
        if is_untouched || !has_records {
            return Ok(());
        }
        self.check_guard(writer)?;
        let facts = self.end_facts(writer)?;
        self.write_spine(writer)?;
        self.end_active(writer, &facts, false).map(drop)
    }

    /// Makes the segment behind the sealed ones and begins to append to it.
    pub(crate) fn begin_segment(&self, writer: &mut Writer) -> Result<(), LogError> {
        let dir = &self.shared.dir;
        let frontier = self.tree().durable.clone();
        assert!(frontier.size() == writer.next.0, "BUG: a segment begins behind what is hashed");
        let header = SegmentHeader {
            number: next_number(dir, writer.header.number)?,
            base: writer.next,
            epoch: writer.epoch,
            root: frontier.root().0,
            frontier: frontier.to_bytes(),
            ..writer.header.clone()
        };
        let created = self
            .options
            .with_room(|| SegmentFile::create(&self.shared.host, dir, header.clone()).map_err(LogError::from));
        match created {
            Ok(file) => {
                writer.header = header;
                writer.set_active(Active::empty(file));
                writer.rotations += 1;
                self.publish(writer);
                Ok(())
            }
            Err(error) if error.is_refused_for_space() => {
                // The log ends with a sealed segment, which is whole; the next append tries again.
                let temporary = dir.join(NEXT_TEMPORARY);
                if let Err(error) = self.shared.host.fs.remove_file(&temporary) {
                    tracing::debug!(path = %temporary.display(), %error, "left for the next opening to remove");
                }
                Err(error.or_no_space(dir))
            }
            Err(error) => Err(self.fail(writer, error)),
        }
    }

    /// Appends records of the engine's own, all or none; they are durable with the next sync.
    pub(crate) fn push_engine(&self, writer: &mut Writer, records: &[(Kind, Vec<u8>)]) {
        let time = Time(self.shared.host.clock.now());
        let records: Vec<_> = records
            .iter()
            .map(|(kind, payload)| NewRecord { kind: *kind, time, schema: SchemaId(0), salt: None, payload })
            .collect();
        writer.push_all(&records, self.options.frame_target_bytes as usize);
    }

    /// Appends the seal that must come first in the active segment, if it is not there yet.
    pub(crate) fn push_due_seal(&self, writer: &mut Writer) {
        if let Some(seal) = writer.seal_due.take() {
            self.push_engine(writer, &[self.seal_record(&seal)]);
        }
    }

    pub(crate) fn seal_record(&self, seal: &Seal) -> (Kind, Vec<u8>) {
        let journal = self.options.journal_head.as_ref().and_then(|head| head()).filter(|head| head.size > 0);
        (Kind::SEAL, Seal { journal, ..*seal }.encode())
    }
}

/// What a seal says of the segment that ends with `footer`; the journal's head comes when it is written.
pub(crate) fn seal_of(footer: &Footer) -> Seal {
    Seal {
        segment: footer.number,
        base: footer.base,
        caller_count: footer.caller_count,
        payload_bytes: footer.payload_bytes,
        times: footer.times,
        head: TreeHead { size: footer.end.0, root: Digest(footer.root) },
        index_digest: Digest(footer.index_digest),
        journal: None,
    }
}
