//! Which frame may follow which.
//!
//! # Invariants
//!
//! - Q1. Positions are dense: a frame begins where the one before it ends.
//! - Q2. Epochs and durable ends never fall along a file, so bytes of an earlier life do not come back.
//!   Frames that may be overwritten (marks, index and summary, a run without its last frame) do not bind the next one.
//! - Q3. After a mark comes nothing, after an index page only pages and the summary, after the summary nothing.

use bulla_wire::{Epoch, FrameHeader, Position, Role, SegmentHeader, WireError};

/// How far a row of frames is in order.
#[derive(Clone, Debug)]
pub struct Sequence {
    next: Position,
    epoch: Epoch,
    durable_end: Position,
    last: Option<Role>,
    /// What frames that may be overwritten said. The next frame need not reach it: it may have risen within a run that
    /// lost its last frame, and whoever reads the run again begins at its first.
    met: (Epoch, Position),
}

impl Sequence {
    /// Before the first frame of the segment with `header`. That the segment exists proves what is below it durable.
    #[must_use]
    pub fn new(header: &SegmentHeader) -> Self {
        Self {
            next: header.base,
            epoch: header.epoch,
            durable_end: header.base,
            last: None,
            met: (header.epoch, header.base),
        }
    }

    /// Behind the last record of a segment that was cleanly closed at `next` in `epoch`.
    #[must_use]
    pub fn after_close(next: Position, epoch: Epoch) -> Self {
        Self { next, epoch, durable_end: next, last: None, met: (epoch, next) }
    }

    /// The position of the next record.
    #[must_use]
    pub fn next(&self) -> Position {
        self.next
    }

    /// The highest epoch of any frame so far.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch.max(self.met.0)
    }

    /// The highest durable end any frame so far gave proof of.
    #[must_use]
    pub fn durable_end(&self) -> Position {
        self.durable_end.max(self.met.1)
    }

    /// Epoch and durable end that the next frame must reach.
    pub(crate) fn order(&self) -> (Epoch, Position) {
        (self.epoch, self.durable_end)
    }

    /// Remembers what was met by `later`, which went on from here.
    pub(crate) fn learn(&mut self, later: &Self) {
        self.met = (later.epoch(), later.durable_end());
    }

    /// Takes the next frame, or says which rule it breaks and stays where it was.
    ///
    /// # Errors
    ///
    /// [`WireError::Invalid`].
    pub fn take(&mut self, header: &FrameHeader) -> Result<(), WireError> {
        let invalid = |field, value| Err(WireError::Invalid { what: "frame", field, value });
        if header.base != self.next {
            return invalid("base position out of order", header.base.0);
        }
        if header.epoch < self.epoch {
            return invalid("fallen epoch", u64::from(header.epoch.0));
        }
        if header.durable_end < self.durable_end {
            return invalid("fallen durable end", header.durable_end.0);
        }
        let follows = match self.last {
            None | Some(Role::Data { more: false }) => true,
            Some(Role::Data { more: true }) => matches!(header.role, Role::Data { .. }),
            Some(Role::Mark | Role::Footer | Role::Close) => false,
            Some(Role::Index) => matches!(header.role, Role::Index | Role::Footer | Role::Close),
        };
        if !follows {
            return invalid("role out of order at position", header.base.0);
        }
        self.next = header.end();
        self.epoch = header.epoch;
        self.durable_end = header.durable_end;
        self.last = Some(header.role);
        Ok(())
    }
}
