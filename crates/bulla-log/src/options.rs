//! How a log is opened and how a record is appended.

use crate::error::LogError;
use bulla_chain::{Predecessor, TreeHead};
use bulla_wire::limits::{
    FRAME_TARGET_BYTES, RECORD_BYTES_MAX, RECORD_BYTES_MAX_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
};
use bulla_wire::{Kind, Position, SchemaId, Time};
use std::fmt;
use std::io;
use std::sync::Arc;

/// What an acknowledged record survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Nothing yet: the record is in this process's memory. It reaches the kernel after 1 MiB, on flush, on close and,
    /// best effort, when the last handle is dropped.
    Buffered,
    /// The end of this process: the record reached the kernel.
    Flushed,
    /// Power loss: a sync that covers the record returned.
    #[default]
    Durable,
}

/// Gives the journal's durable head, which every seal carries. Called while the log is locked, as the next two are: none
/// of them may call the log's own methods, but for those that only read a snapshot or head.
pub type JournalHead = Arc<dyn Fn() -> Option<TreeHead> + Send + Sync>;

/// Makes room on a full disk, once, for a step that must not fail for lack of it; says whether it did.
pub type MakeRoom = Arc<dyn Fn() -> bool + Send + Sync>;

/// Says whether this process is still the one that may write: the store's lock is in place and is held by it.
pub type Guard = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Hears where the log ends once an append has done what it promised: on the caller's thread, with nothing locked. It may
/// call the log's own methods.
pub type AfterAppend = Arc<dyn Fn(Position) + Send + Sync>;

/// How a log is created or opened.
#[derive(Clone)]
#[must_use = "options do nothing until a log is opened with them"]
pub struct LogOptions {
    pub(crate) segment_bytes_max: u64,
    pub(crate) record_bytes_max: u32,
    pub(crate) frame_target_bytes: u32,
    pub(crate) erasable: bool,
    pub(crate) origin: String,
    pub(crate) predecessor: Option<Predecessor>,
    pub(crate) known_durable_end: Position,
    pub(crate) journal_head: Option<JournalHead>,
    pub(crate) make_room: Option<MakeRoom>,
    pub(crate) guard: Option<Guard>,
    pub(crate) process_guard: Option<Guard>,
    pub(crate) after_append: Option<AfterAppend>,
}

impl LogOptions {
    /// Segments of 64 MiB, records of at most 1 MiB, frames of 4 KiB, not erasable, no origin.
    pub fn new() -> Self {
        Self {
            segment_bytes_max: 64 << 20,
            record_bytes_max: RECORD_BYTES_MAX_DEFAULT,
            frame_target_bytes: FRAME_TARGET_BYTES,
            erasable: false,
            origin: String::new(),
            predecessor: None,
            known_durable_end: Position::ZERO,
            journal_head: None,
            make_room: None,
            guard: None,
            process_guard: None,
            after_append: None,
        }
    }

    /// File bytes at which a segment is sealed and the next begun, clamped to 4 KiB..=16 GiB. One batch may exceed it.
    pub fn segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        self
    }

    /// Largest payload taken, in bytes, at most 64 MiB. Memory of a writer and of each cursor is bounded by a fixed part and
    /// three times this.
    pub fn record_bytes_max(mut self, bytes: u32) -> Self {
        self.record_bytes_max = bytes.min(RECORD_BYTES_MAX);
        self
    }

    /// Body length at which a frame is closed, in bytes.
    pub fn frame_target_bytes(mut self, bytes: u32) -> Self {
        self.frame_target_bytes = bytes.clamp(1, 1 << 20);
        self
    }

    /// Whether records carry salts, so that a short payload cannot be guessed from its digest once it was redacted.
    /// Settled when the log is created.
    pub fn erasable(mut self, erasable: bool) -> Self {
        self.erasable = erasable;
        self
    }

    /// What the log is called in its genesis record and checkpoints, at most 1,024 bytes. Settled when the log is created.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// The log that this one continues, with a reason of at most 4,096 bytes. Settled when the log is created.
    pub fn predecessor(mut self, predecessor: Predecessor) -> Self {
        self.predecessor = Some(predecessor);
        self
    }

    /// An end that the caller knows to have been durable, from a journal or checkpoint: recovery treats the loss of a
    /// position below it as damage.
    pub fn known_durable_end(mut self, end: Position) -> Self {
        self.known_durable_end = end;
        self
    }

    /// What to call when a footer, close frame, new segment, seal, recovery record or quarantine file lacks space; that
    /// step is then tried once more.
    pub fn make_room(mut self, make_room: MakeRoom) -> Self {
        self.make_room = Some(make_room);
        self
    }

    /// What to ask before a segment is sealed and before a log is closed; a refusal poisons the log.
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// What to ask before anything is written and before a thread waits for another that writes: whether this is still the
    /// process that opened the log, and not its fork. It is asked often, and so must cost little; a refusal poisons the
    /// log.
    pub fn process_guard(mut self, guard: Guard) -> Self {
        self.process_guard = Some(guard);
        self
    }

    /// What to call at the end of each [`append`](crate::Log::append) and [`append_batch`](crate::Log::append_batch) that
    /// succeeded.
    pub fn after_append(mut self, after_append: AfterAppend) -> Self {
        self.after_append = Some(after_append);
        self
    }

    /// Tries `step`, and once more if it lacked space and room could be made.
    pub(crate) fn with_room<T>(&self, mut step: impl FnMut() -> Result<T, LogError>) -> Result<T, LogError> {
        match step() {
            Err(error)
                if error.is_refused_for_space() && self.make_room.as_ref().is_some_and(|make_room| make_room()) =>
            {
                step()
            }
            other => other,
        }
    }

    /// Where seals get the journal's head from.
    pub fn journal_head(mut self, head: JournalHead) -> Self {
        self.journal_head = Some(head);
        self
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogOptions")
            .field("segment_bytes_max", &self.segment_bytes_max)
            .field("record_bytes_max", &self.record_bytes_max)
            .field("erasable", &self.erasable)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// A record to append. Its position follows from where it lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRow<'a> {
    /// The caller's kind, below 128.
    pub kind: Kind,
    /// The logical time.
    pub time: Time,
    /// The shape of the payload.
    pub schema: SchemaId,
    /// The bytes to keep.
    pub payload: &'a [u8],
}

/// How one call appends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "options do nothing until a record is appended with them"]
pub struct AppendOptions {
    /// What the call waits for.
    pub durability: Durability,
    /// The call fails with [`LogError::Conflict`](crate::LogError::Conflict) unless this is the next position. Should the
    /// call itself begin a segment, the seal takes that position and the records follow it.
    pub expected: Option<Position>,
}
