//! A log one can read, whoever writes it.

use crate::error::LogError;
use crate::log::Log;
use crate::reader::LogReader;
use crate::snapshot::Snapshot;
use bulla_vfs::Host;
use bulla_wire::{LogId, Position};
use std::time::Duration;

/// How often a reader looks for what another process wrote.
const POLL: Duration = Duration::from_millis(20);

/// A log to read from: the writer's own, or one opened read-only.
#[derive(Clone, Debug)]
pub enum Source {
    /// This process writes it.
    Writer(Log),
    /// Another process may.
    Reader(LogReader),
}

impl Source {
    /// Which log it is.
    #[must_use]
    pub fn id(&self) -> LogId {
        match self {
            Self::Writer(log) => log.id(),
            Self::Reader(reader) => reader.id(),
        }
    }

    /// What can be read now.
    ///
    /// # Errors
    ///
    /// Those of [`LogReader::snapshot`]; the writer's own never fails.
    pub fn snapshot(&self) -> Result<Snapshot, LogError> {
        match self {
            Self::Writer(log) => Ok(log.snapshot()),
            Self::Reader(reader) => reader.snapshot(),
        }
    }

    /// Waits until the record at `position` is durable, for at most `timeout`; gives the durable end. In the writer's
    /// process it is woken; otherwise it looks every 20 ms.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub fn wait_durable(&self, position: Position, timeout: Duration) -> Result<Position, LogError> {
        let clock = &self.host().clock;
        let start = clock.monotonic();
        loop {
            let (seen, durable_end) = match self {
                Self::Writer(log) => {
                    let (seen, view) = log.inner.published.look();
                    (seen, view.durable_end)
                }
                Self::Reader(reader) => (0, reader.snapshot()?.durable_end()),
            };
            let left = timeout.saturating_sub(clock.monotonic().saturating_sub(start));
            if durable_end > position || left.is_zero() {
                return Ok(durable_end);
            }
            match self {
                Self::Writer(log) => {
                    log.inner.published.signal().wait(seen, left);
                }
                Self::Reader(_) => clock.sleep(left.min(POLL)),
            }
        }
    }

    fn host(&self) -> &Host {
        match self {
            Self::Writer(log) => &log.inner.shared.host,
            Self::Reader(reader) => reader.host(),
        }
    }
}
