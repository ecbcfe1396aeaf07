//! What becomes of submitted records.

use crate::error::LogError;
use crate::log::Inner;
use crate::options::Durability;
use crate::writer::{Life, State};
use bulla_wire::Position;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// How submitted records stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// In this process's memory.
    Pending,
    /// With the kernel.
    Flushed,
    /// Durable.
    Durable,
    /// A write or sync failed; they may or may not be there when the log is opened again.
    Indeterminate,
    /// Refused for lack of space, and taken back: they are not in the log.
    NotWritten,
}

/// Records that were given positions and may not be durable yet.
///
/// # Examples
///
/// ```
/// use bulla_log::{AppendOptions, Durability, Log, LogOptions, NewRow, Outcome};
/// use bulla_vfs::Host;
/// use bulla_wire::{Kind, LogId, SchemaId, Time};
/// use std::path::Path;
///
/// let log = Log::create(&Host::memory(), Path::new("/log"), LogId([1; 16]), &LogOptions::new())?;
/// let row = NewRow { kind: Kind::ROW, time: Time(5), schema: SchemaId(0), payload: b"row" };
/// let first = log.submit(&[row], AppendOptions::default())?;
/// let second = log.submit(&[row], AppendOptions::default())?;
/// assert_eq!(first.outcome(), Outcome::Pending);
/// // One sync for both.
/// second.wait(Durability::Durable)?;
/// assert_eq!(first.outcome(), Outcome::Durable);
/// # Ok::<(), bulla_log::LogError>(())
/// ```
#[must_use = "a ticket's records may never be written unless it is waited on"]
pub struct Ticket {
    inner: Arc<Inner>,
    life: Arc<Life>,
    positions: Range<Position>,
}

impl Ticket {
    pub(crate) fn new(inner: Arc<Inner>, life: Arc<Life>, positions: Range<Position>) -> Self {
        Self { inner, life, positions }
    }

    /// The records' positions; theirs only as long as the outcome is not [`Outcome::NotWritten`].
    #[must_use]
    pub fn positions(&self) -> Range<Position> {
        self.positions.clone()
    }

    /// Brings the records as far as `durability` says. The calling thread writes for all who wait.
    ///
    /// # Errors
    ///
    /// [`LogError::NoSpace`] if they were taken back, or the failure that poisoned the log.
    pub fn wait(&self, durability: Durability) -> Result<(), LogError> {
        if durability == Durability::Buffered || self.positions.start == self.positions.end {
            return Ok(());
        }
        let mut writer = self.inner.lock();
        let mut is_full = false;
        loop {
            if let Some(source) = self.life.refusal(self.positions.start) {
                return Err(LogError::NoSpace { dir: self.inner.shared.dir.clone(), source });
            }
            if durability == Durability::Durable {
                writer.durable_wanted = writer.durable_wanted.max(self.positions.end);
            }
            let reached = match durability {
                Durability::Durable => writer.durable_end,
                Durability::Flushed | Durability::Buffered => writer.written_end,
            };
            if reached >= self.positions.end {
                return Ok(());
            }
            writer.check_open(&self.inner.shared.dir)?;
            let led = if writer.is_committing {
                Ok(self.inner.wait(writer))
            } else if is_full && writer.written_end >= self.positions.end {
                self.inner.lead_written(writer)
            } else {
                self.inner.lead(writer, durability)
            };
            writer = match led {
                Ok(writer) => writer,
                // It may be others' records that there was no room for. These are in the file then, and lack a sync.
                Err(LogError::NoSpace { .. }) if !is_full => {
                    is_full = true;
                    self.inner.lock()
                }
                Err(error) => return Err(error),
            };
        }
    }

    /// How the records stand now.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let writer = self.inner.lock();
        if self.life.refusal(self.positions.start).is_some() {
            Outcome::NotWritten
        } else if writer.durable_end >= self.positions.end {
            Outcome::Durable
        } else if matches!(writer.state, State::Poisoned { .. }) {
            Outcome::Indeterminate
        } else if writer.written_end >= self.positions.end {
            Outcome::Flushed
        } else {
            Outcome::Pending
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("positions", &self.positions)
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}
