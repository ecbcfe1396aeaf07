//! Bringing records to the disk: one caller leads, writes once, syncs once, and tells the rest.
//!
//! docs/DURABILITY.md, W2, W5 and W6, says what a crash at each step leaves.
//!
//! # Invariants
//!
//! - M1. One leader at a time; it holds no lock while it writes and syncs.
//! - M2. Frames go to the file in one positional write, in order; what vouches for them is written after their sync.
//! - M3. A failed write or sync poisons the log, unless the write was refused for lack of space and could be taken back
//!   whole before its sync.
//! - M4. fsync is never tried again.

use crate::error::LogError;
use crate::log::Inner;
use crate::options::Durability;
use crate::snapshot::catch_up;
use crate::unwind::{Locked, Unlocked};
use crate::writer::{Group, Writer};
use bulla_segment::{SegmentError, SegmentFile};
use bulla_vfs::sync::MutexGuard;
use bulla_wire::Position;
use std::error::Error;
use std::io;

/// Zeros written ahead of the tail with a small sync, so that the next ones change no metadata.
const ZERO_AHEAD_BYTES: u64 = 256 << 10;
/// Groups of at least this size do not profit from zeros ahead.
const SMALL_GROUP_BYTES: usize = 64 << 10;
static ZEROS: [u8; ZERO_AHEAD_BYTES as usize] = [0; ZERO_AHEAD_BYTES as usize];

/// What the file needs besides the group's bytes.
struct Plan {
    file: SegmentFile,
    /// Cut what lies behind the records first.
    cut: bool,
    sync: bool,
    /// Where the zeros ahead end.
    zero_end: u64,
    /// Where the segment is sealed, so that zeros behind it would be of no use.
    zero_end_max: u64,
}

impl Inner {
    /// Waits until everything below `end` is as durable as asked, and leads if nobody else does.
    pub(crate) fn commit<'a>(
        &'a self,
        mut writer: MutexGuard<'a, Writer>,
        end: Position,
        durability: Durability,
    ) -> Result<MutexGuard<'a, Writer>, LogError> {
        if durability == Durability::Durable {
            writer.durable_wanted = writer.durable_wanted.max(end);
        }
        loop {
            let reached = if durability == Durability::Durable { writer.durable_end } else { writer.written_end };
            // `end` may have been taken back meanwhile; nothing is left to wait for then.
            if reached >= end.min(writer.next) {
                return Ok(writer);
            }
            writer.check_open(&self.shared.dir)?;
            writer = if writer.is_committing { self.wait(writer) } else { self.lead(writer, durability)? };
        }
    }

    /// Writes everything that waits, syncs if anybody wants that, and publishes.
    pub(crate) fn lead<'a>(
        &'a self,
        mut writer: MutexGuard<'a, Writer>,
        durability: Durability,
    ) -> Result<MutexGuard<'a, Writer>, LogError> {
        self.check_process(&mut writer)?;
        let sync = durability == Durability::Durable || writer.durable_wanted > writer.durable_end;
        let group = writer.take_group();
        self.lead_with(writer, group, sync)
    }

    /// Makes durable what is written, and publishes; what waits to be written waits on. For those whose records are in the
    /// file when there is no room for the ones behind.
    pub(crate) fn lead_written<'a>(
        &'a self,
        mut writer: MutexGuard<'a, Writer>,
    ) -> Result<MutexGuard<'a, Writer>, LogError> {
        self.check_process(&mut writer)?;
        let group = writer.take_nothing();
        self.lead_with(writer, group, true)
    }

    fn lead_with<'a>(
        &'a self,
        mut writer: MutexGuard<'a, Writer>,
        group: Group,
        sync: bool,
    ) -> Result<MutexGuard<'a, Writer>, LogError> {
        let Some(active) = &writer.active else {
            // Without an active segment everything is sealed, and so durable.
            writer.settle(group, true);
            return Ok(writer);
        };
        let mut plan = Plan {
            file: active.file.clone(),
            cut: writer.cut_before_write && !group.bytes.is_empty(),
            sync,
            zero_end: active.zero_end,
            zero_end_max: self.options.segment_bytes_max,
        };
        drop(writer);
        let unlocked = Unlocked(self);
        let written = Self::bring(&mut plan, &group);
        let hashed = if written.is_ok() { self.hash(&plan.file, &group) } else { Ok(()) };
        drop(unlocked);
        let mut writer = self.lock();
        let _locked = Locked(self);
        match written {
            Ok(()) => {
                if plan.cut {
                    writer.cut_before_write = false;
                }
                if let Some(active) = &mut writer.active {
                    active.zero_end = plan.zero_end;
                }
                writer.settle(group, plan.sync);
                if plan.sync {
                    self.leave_mark(&mut writer);
                }
                self.publish(&writer);
                match hashed {
                    // Not before readers see the records: whoever has a head finds what it is of.
                    Ok(()) if plan.sync => self.tree().keep_durable(),
                    Ok(()) => {}
                    // The records are where they should be, but nothing can vouch for them any more.
                    Err(error) => drop(self.fail(&mut writer, error)),
                }
                self.changed.notify_all();
                Ok(writer)
            }
            Err(error) => Err(self.refused(&mut writer, &plan, group, error)),
        }
    }

    /// The I/O of one group. On success `plan.zero_end` is where the file's zeros end.
    fn bring(plan: &mut Plan, group: &Group) -> Result<(), SegmentError> {
        if plan.cut {
            plan.file.set_len(group.offset)?;
            plan.file.sync()?;
            plan.zero_end = group.offset;
        }
        let end = group.offset + group.bytes.len() as u64;
        if !group.bytes.is_empty() {
            plan.file.write(&group.bytes, group.offset)?;
        }
        let ahead = plan.zero_end_max.saturating_sub(end).min(ZERO_AHEAD_BYTES) as usize;
        if plan.sync && end > plan.zero_end && group.bytes.len() < SMALL_GROUP_BYTES {
            match plan.file.write(ZEROS.get(..ahead).unwrap_or(&ZEROS), end) {
                Ok(()) => plan.zero_end = end + ahead as u64,
                // Zeros ahead are a matter of speed; a part of them does no harm.
                Err(error) if error.is_full() => {}
                Err(error) => return Err(error),
            }
        }
        plan.zero_end = plan.zero_end.max(end);
        if plan.sync { plan.file.sync() } else { Ok(()) }
    }

    /// Hashes the group's records; what came before them too, if that was put off when the log was opened.
    fn hash(&self, file: &SegmentFile, group: &Group) -> Result<(), LogError> {
        let mut tree = self.tree();
        let snapshot = self.snapshot();
        if tree.hasher.next() < snapshot.end() {
            catch_up(&snapshot, &mut tree.hasher, snapshot.end())?;
        }
        let absorbed = tree.hasher.absorb(&group.bytes, file.seed(), group.offset);
        absorbed.map_err(|error| file.error_at(group.offset, snapshot.end(), error))?;
        Ok(())
    }

    /// Carries the durable end to readers in other processes, when no frame waits that would. Not synced: the next frame
    /// overwrites it.
    fn leave_mark(&self, writer: &mut Writer) {
        if writer.pending_bytes() > 0 {
            return;
        }
        let Some((bytes, active)) = writer.mark() else { return };
        match active.file.write(&bytes, active.extent.end_offset) {
            Ok(()) => {}
            Err(error) if error.is_full() => {}
            Err(error) => {
                self.fail(writer, error.into());
            }
        }
    }

    /// A write or sync failed. Lack of space before the sync is taken back; everything else poisons.
    fn refused(&self, writer: &mut Writer, plan: &Plan, group: Group, error: SegmentError) -> LogError {
        let (is_before_sync, kind) = match &error {
            SegmentError::Io { action: "write", source, .. } => (true, source.kind()),
            _ => (false, io::ErrorKind::Other),
        };
        if is_before_sync && error.is_full() {
            match plan.file.set_len(group.offset) {
                Ok(()) => {
                    if plan.cut {
                        writer.cut_before_write = false;
                    }
                    writer.take_back(group, kind);
                    self.changed.notify_all();
                    return LogError::NoSpace { dir: self.shared.dir.clone(), source: io::Error::from(kind) };
                }
                Err(second) => return self.fail(writer, second.into()),
            }
        }
        self.fail(writer, error.into())
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
