//! The writer's state: what has been given a position and where it stands on its way to the disk.
//!
//! Nothing here waits or touches a file, but for [`Writer::take_group`]'s caller; `commit.rs` moves the bytes.
//!
//! # Invariants
//!
//! - W1. `durable_end <= written_end <= next`; positions are given in order and without gaps.
//! - W2. `pending` holds whole frames, the first of which goes to `pending_offset`; runs are in it whole.
//! - W3. Behind a record that its caller still waits for come only records whose callers wait too, so that a write which
//!   is taken back takes nothing back that was acknowledged.
//! - W4. A frame's durable end is what the last good sync covered when the frame was closed.

use crate::error::LogError;
use crate::view::{ActiveView, Opened, Sealed, Shared, View};
use bulla_chain::Seal;
use bulla_segment::{Active, ExtentMark, Tally};
use bulla_wire::{
    Codec, Epoch, FrameBuilder, FrameHeader, FramePlace, NewRecord, Position, Role, SegmentHeader, TimeBounds,
};
use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Whether a log takes records.
#[derive(Debug)]
pub(crate) enum State {
    Open,
    Poisoned { cause: String, indeterminate: Range<Position> },
    Closed,
}

/// Shared by everything submitted between two writes that were taken back.
#[derive(Debug, Default)]
pub(crate) struct Life {
    taken_back: OnceLock<(Position, io::ErrorKind)>,
}

impl Life {
    /// Why the record at `position` was never written, if it was not.
    pub(crate) fn refusal(&self, position: Position) -> Option<io::Error> {
        self.taken_back.get().filter(|(from, _)| position >= *from).map(|(_, kind)| io::Error::from(*kind))
    }
}

/// Where the first record begins that a caller still waits for.
#[derive(Debug)]
pub(crate) struct Waiting {
    mark: ExtentMark,
    pending_len: usize,
}

/// Frames on their way to the file.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) bytes: Vec<u8>,
    pub(crate) offset: u64,
    pub(crate) end: Position,
    tally: Tally,
    waiting: Option<Waiting>,
}

/// Everything that changes while a log is open for writing.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and most combinations of them occur")]
pub(crate) struct Writer {
    pub(crate) state: State,
    pub(crate) active: Option<Active>,
    /// The header of the newest segment: where the log's floor is, too.
    pub(crate) header: SegmentHeader,
    pub(crate) sealed: Arc<[Arc<Sealed>]>,
    pub(crate) epoch: Epoch,
    pub(crate) next: Position,
    pub(crate) written_end: Position,
    pub(crate) durable_end: Position,
    /// What a seal that must come first in the active segment commits to.
    pub(crate) seal_due: Option<Seal>,
    /// Bytes behind the last record must be cut, durably, before the first write.
    pub(crate) cut_before_write: bool,
    /// What must be cut is a close frame, with which the log still ends.
    pub(crate) ends_with_summary: bool,
    /// Someone writes or syncs right now, without the lock.
    pub(crate) is_committing: bool,
    /// A rotation or close waits for everything to be durable; nothing is appended meanwhile.
    pub(crate) is_rotating: bool,
    /// Some caller waits for a sync up to here.
    pub(crate) durable_wanted: Position,
    pub(crate) rotations: u64,
    pub(crate) life: Arc<Life>,
    builder: FrameBuilder,
    builder_tally: (u64, u64),
    pending: Vec<u8>,
    pending_offset: u64,
    spare: Vec<u8>,
    waiting: Option<Waiting>,
    /// The group being written holds records that callers wait for.
    has_waiting_in_flight: bool,
    written_tally: Tally,
}

impl Writer {
    pub(crate) fn new(
        active: Option<Active>,
        header: SegmentHeader,
        sealed: Arc<[Arc<Sealed>]>,
        epoch: Epoch,
        end: Position,
    ) -> Self {
        let mut writer = Self {
            state: State::Open,
            active: None,
            header,
            sealed,
            epoch,
            next: end,
            written_end: end,
            durable_end: end,
            seal_due: None,
            cut_before_write: false,
            ends_with_summary: false,
            is_committing: false,
            is_rotating: false,
            durable_wanted: Position::ZERO,
            rotations: 0,
            life: Arc::default(),
            builder: FrameBuilder::default(),
            builder_tally: (0, 0),
            pending: Vec::new(),
            pending_offset: 0,
            spare: Vec::new(),
            waiting: None,
            has_waiting_in_flight: false,
            written_tally: Tally::default(),
        };
        if let Some(active) = active {
            writer.set_active(active);
        }
        writer
    }

    /// Begins to append to `active`.
    pub(crate) fn set_active(&mut self, active: Active) {
        self.pending_offset = active.extent.end_offset;
        self.written_tally = active.extent.tally;
        self.active = Some(active);
    }

    /// Fails if the log takes no records any more.
    pub(crate) fn check_open(&self, dir: &std::path::Path) -> Result<(), LogError> {
        match &self.state {
            State::Open => Ok(()),
            State::Closed => Err(LogError::Closed { dir: dir.to_owned() }),
            State::Poisoned { cause, indeterminate } => Err(LogError::Poisoned {
                dir: dir.to_owned(),
                cause: cause.clone(),
                indeterminate: indeterminate.clone(),
            }),
        }
    }

    /// Bytes that wait to be written, the open frame included.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.len() + self.builder.body_len()
    }

    /// Whether everything given a position is durable.
    pub(crate) fn is_settled(&self) -> bool {
        !self.is_committing && self.durable_end == self.next
    }

    /// Whether a buffered record would stand behind one that its caller still waits for.
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting.is_some() || self.has_waiting_in_flight
    }

    /// Whether the active segment holds frames and `bytes` more would exceed `max`.
    pub(crate) fn is_full_with(&self, bytes: u64, max: u64) -> bool {
        self.active.as_ref().is_some_and(|active| {
            let base = active.file.header().base;
            let len = active.extent.end_offset + self.builder.body_len() as u64;
            // A segment with nothing but its first engine record is never sealed for being too small.
            self.next.0 > base.0 + 1 && len.saturating_add(bytes) > max
        })
    }

    /// Begins a stretch of records that callers wait for, unless one has begun.
    pub(crate) fn begin_waiting(&mut self) {
        if self.waiting.is_none() {
            self.finish_frame(false);
            self.waiting = self
                .active
                .as_ref()
                .map(|active| Waiting { mark: active.extent.mark(), pending_len: self.pending.len() });
        }
    }

    /// Adds records at the next positions, all of them in one run of frames.
    pub(crate) fn push_all(&mut self, records: &[NewRecord<'_>], frame_target: usize) {
        let is_batch = records.len() > 1;
        for (index, record) in records.iter().enumerate() {
            let is_last = index + 1 == records.len();
            // A record that fills a frame by itself, or a batch that may not fit, begins a new one.
            if record.payload.len() >= frame_target || (is_batch && index == 0) {
                self.finish_frame(index > 0);
            }
            self.builder.push(record);
            self.next = Position(self.next.0 + 1);
            if !record.kind.is_engine() {
                self.builder_tally.0 += 1;
                self.builder_tally.1 += record.payload.len() as u64;
            }
            if self.builder.body_len() >= frame_target || self.builder.is_full() || (is_batch && is_last) {
                self.finish_frame(!is_last);
            }
        }
    }

    /// Closes the open frame, if it holds records.
    pub(crate) fn finish_frame(&mut self, more: bool) {
        let Some(active) = self.active.as_mut().filter(|_| self.builder.record_count() > 0) else { return };
        let place = FramePlace {
            seed: active.file.seed(),
            offset: active.extent.end_offset,
            epoch: self.epoch,
            base: Position(self.next.0 - u64::from(self.builder.record_count())),
            durable_end: self.durable_end,
            more,
        };
        let header = self.builder.finish(&place, &mut self.pending);
        let (caller_count, payload_bytes) = std::mem::take(&mut self.builder_tally);
        active.extent.add(&header, caller_count, payload_bytes);
    }

    /// Takes what waits to be written; the caller brings it to the file and then settles it.
    pub(crate) fn take_group(&mut self) -> Group {
        self.finish_frame(false);
        let bytes = std::mem::replace(&mut self.pending, std::mem::take(&mut self.spare));
        let offset = self.pending_offset;
        self.pending_offset += bytes.len() as u64;
        self.is_committing = true;
        let waiting = self.waiting.take();
        self.has_waiting_in_flight = waiting.is_some();
        let tally = self.active.as_ref().map(|active| active.extent.tally).unwrap_or_default();
        Group { bytes, offset, end: self.next, tally, waiting }
    }

    /// A group of nothing, for a sync of what is written.
    pub(crate) fn take_nothing(&mut self) -> Group {
        self.is_committing = true;
        let (offset, end, tally) = (self.pending_offset, self.written_end, self.written_tally);
        Group { bytes: Vec::new(), offset, end, tally, waiting: None }
    }

    /// The group is in the file, and durable if it was synced.
    pub(crate) fn settle(&mut self, mut group: Group, is_synced: bool) {
        self.is_committing = false;
        self.has_waiting_in_flight = false;
        self.written_end = group.end;
        self.written_tally = group.tally;
        if is_synced {
            self.durable_end = group.end;
        }
        group.bytes.clear();
        self.spare = group.bytes;
    }

    /// The group was refused for lack of space and the file is as before it: what callers wait for is forgotten, what
    /// was acknowledged waits on.
    pub(crate) fn take_back(&mut self, mut group: Group, kind: io::ErrorKind) {
        self.is_committing = false;
        self.has_waiting_in_flight = false;
        self.pending_offset = group.offset;
        if let Some(active) = &mut self.active {
            active.zero_end = group.offset;
        }
        if let Some(waiting) = group.waiting.take() {
            group.bytes.truncate(waiting.pending_len);
            self.pending = group.bytes;
            self.forget(waiting.mark, kind);
        } else {
            let len = group.bytes.len();
            group.bytes.append(&mut self.pending);
            self.pending = group.bytes;
            if let Some(waiting) = &mut self.waiting {
                waiting.pending_len += len;
            }
        }
    }

    fn forget(&mut self, mark: ExtentMark, kind: io::ErrorKind) {
        self.builder.clear();
        self.builder_tally = (0, 0);
        self.waiting = None;
        self.next = mark.end();
        self.durable_wanted = self.durable_wanted.min(self.next);
        let life = std::mem::take(&mut self.life);
        // A life ends once, here, and the writer has let go of it.
        let _ = life.taken_back.set((self.next, kind));
        if let Some(active) = &mut self.active {
            active.extent.rollback(mark);
        }
    }

    /// A header without records that carries the durable end to readers in other processes.
    pub(crate) fn mark(&self) -> Option<(Vec<u8>, &Active)> {
        let active = self.active.as_ref()?;
        let header = FrameHeader {
            role: Role::Mark,
            codec: Codec::None,
            stored_len: 0,
            plain_len: 0,
            record_count: 0,
            epoch: self.epoch,
            base: self.next,
            durable_end: self.durable_end,
            times: TimeBounds::EMPTY,
            body_checksum: 0,
        };
        let mut bytes = Vec::with_capacity(bulla_wire::FRAME_HEADER_LEN as usize);
        header.encode(&[], active.file.seed(), self.pending_offset, &mut bytes);
        Some((bytes, active))
    }

    /// Takes no records any more; says what is indeterminate from now on.
    pub(crate) fn poison(&mut self, cause: String) {
        self.is_committing = false;
        self.is_rotating = false;
        if matches!(self.state, State::Open) {
            tracing::error!(cause, "the log takes no records until it is opened again");
            self.state = State::Poisoned { cause, indeterminate: self.durable_end..self.next };
        }
    }

    /// What can be read now.
    pub(crate) fn view(&self, shared: &Arc<Shared>) -> View {
        let active = self.active.as_ref().map(|active| {
            let positions = active.file.header().base..self.written_end;
            let opened =
                Opened::in_memory(active.file.clone(), &active.extent, Arc::default(), positions, self.pending_offset);
            ActiveView { opened: Arc::new(opened), tally: self.written_tally }
        });
        View {
            shared: Arc::clone(shared),
            sealed: Arc::clone(&self.sealed),
            active,
            floor: self.header.floor,
            end: self.written_end,
            durable_end: self.durable_end,
            lost: None,
        }
    }
}
