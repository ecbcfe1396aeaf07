//! Anchors: what carries a log's newest checkpoint to places that whoever writes the store cannot reach.
//!
//! A checkpoint that lies beside the log it speaks of goes where the log goes: who replaces one replaces the other. An
//! [`AnchorSink`] hands it on, to a file on another disk, a program, an authority that dates it, a witness that signs it.
//! [`Anchors`] is the outbox that remembers what each sink has taken. Nothing is queued: what is to be handed over is
//! read from the logs' `checkpoints` files, so a checkpoint is due from the moment it is noted and until a sink took it
//! or a later one of the same log, which vouches for it.
//!
//! # Invariants
//!
//! - A1. At least once: a checkpoint counts as taken only once the sink said so and its receipt was kept. A crash at any
//!   step leaves a repeat.
//! - A2. Of each log only the newest checkpoint is handed over, and only one that is in `checkpoints`, so that it was
//!   durable, in the journal first, before anybody outside sees it.
//! - A3. What goes wrong is kept with the count of attempts until it goes well, and tried again after
//!   [`RETRY_AFTER_MIN`], then after twice as long each time up to [`RETRY_AFTER_MAX`]. What needs a person is tried
//!   again after the latter. A new process tries at once.
//! - A4. No sink is believed about the log: a receipt counts only for a checkpoint that is noted, and a log whose newest
//!   checkpoint is below what a sink has taken, or beside it, is reported and not handed over.
//! - A5. An anchor that fails never keeps the store from being written or closed.
//!
//! # Not here
//!
//! Threads: the time for it is [`Store::maintain`](crate::Store::maintain)'s, one delivery a call.

mod command;
mod entries;
mod file;
mod folder;
#[cfg(feature = "ed25519")]
mod http;
mod outbox;
mod state;
mod store;
mod timestamp;
#[cfg(feature = "ed25519")]
mod witness;

use crate::error::Error;
use bulla_chain::{ConsistencyProof, NoteSignature, ShownCheckpoint, TreeHead};
use std::io;
use std::path::{Path, PathBuf};

pub use command::{COMMAND_TIME_MAX, CommandSink};
pub use entries::{HeldCheckpoints, read_checkpoints};
pub use file::FileSink;
pub use outbox::{AnchorLag, AnchoredLog, Anchors, RETRY_AFTER_MAX, RETRY_AFTER_MIN};
pub use timestamp::TimestampSink;
#[cfg(feature = "ed25519")]
pub use witness::{WITNESS_TIME_MAX, WitnessFolderSink, WitnessSink};

use outbox::lags;
pub(crate) use store::{Extent, Place, StoreAnchors, places, read_lag};

/// Somewhere a checkpoint is kept, dated or signed, out of reach of who writes the store.
///
/// A sink that who attacks the store can write as well gives nothing.
pub trait AnchorSink: Send {
    /// What it is called in `anchors/` and in reports: as a table may be. Whatever has another name is another sink, and
    /// is handed everything anew.
    fn name(&self) -> &str;

    /// Takes the checkpoint, or says why not. It may be handed over again, after this returned `Ok` too (A1).
    ///
    /// A sink that answers late may give the receipt of an earlier one of [`noted`](Anchored::noted); the newer is due
    /// then as before.
    ///
    /// # Durability
    ///
    /// After `Ok` the checkpoint is not handed over again, so by then it is wherever the sink keeps it, durable.
    fn deliver(&mut self, anchored: &mut Anchored<'_>) -> Result<Taken, AnchorError>;
}

/// A checkpoint to hand over, and what a sink may want with it.
pub struct Anchored<'a> {
    log: &'a mut dyn AnchoredLog,
    noted: &'a [ShownCheckpoint],
    shown: &'a ShownCheckpoint,
    confirmed: Option<TreeHead>,
}

impl Anchored<'_> {
    /// The log's name, which is the checkpoint's first line too.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.shown.checkpoint().origin()
    }

    /// The newest checkpoint, signed or not.
    #[must_use]
    pub fn shown(&self) -> &ShownCheckpoint {
        self.shown
    }

    /// The newest head that this sink took before, if any.
    #[must_use]
    pub fn confirmed(&self) -> Option<TreeHead> {
        self.confirmed
    }

    /// The checkpoints noted for this log, the oldest first, as far back as the file is read.
    #[must_use]
    pub fn noted(&self) -> &[ShownCheckpoint] {
        self.noted
    }

    /// That the checkpoint continues the log as it was with `old` records.
    pub fn proof_from(&mut self, old: u64) -> Result<ConsistencyProof, AnchorError> {
        let new = self.shown.head().size;
        if old == 0 || old == new {
            return Ok(ConsistencyProof::default());
        }
        self.log.prove(old, new).map_err(|error| AnchorError::Store(Box::new(error)))
    }
}

/// What a sink took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The checkpoint it took.
    pub shown: ShownCheckpoint,
    /// What it gave for it.
    pub receipt: Receipt,
}

/// What a sink gives for a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// Nothing.
    None,
    /// Signatures of the checkpoint, which the sink has verified as far as it can: a copy of the checkpoint with them is
    /// noted in the log's `checkpoints`.
    Cosigned(Vec<NoteSignature>),
    /// An answer of a timestamping authority (RFC 3161), kept in `anchors/`. Its signature is not checked here.
    Token(Vec<u8>),
}

/// Why a sink has not taken a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum AnchorError {
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// It could not be asked.
    #[error("{what} cannot be reached")]
    Unreachable { what: String, source: io::Error },
    /// It was asked and failed, which may pass.
    #[error("{what}")]
    Failed { what: String },
    /// It does not want this checkpoint, which will not pass by itself.
    #[error("refused: {what}")]
    Refused { what: String },
    /// It was asked, and the answer is not there yet.
    #[error("waiting for {}", path.display())]
    Waiting { path: PathBuf },
    /// It gave something that is no receipt for this checkpoint.
    #[error("the receipt is worth nothing: {what}")]
    BadReceipt { what: String },
    /// The sink says that the checkpoint does not continue what it has: one of the two is of another history.
    #[error("this is another history than the one anchored before: {what}")]
    Fork { what: String },
    /// The log's newest checkpoint is older than what the sink took, or another one of that size: somebody put back or
    /// rewrote the store, or its `checkpoints`.
    #[error("the newest checkpoint is {noted}, and {taken} was anchored before")]
    Behind { taken: TreeHead, noted: TreeHead },
    /// A file, or the log, could not give the checkpoint or the proof, or keep what was to be kept.
    #[error(transparent)]
    Store(Box<Error>),
}

impl AnchorError {
    /// Whether trying again helps nothing before a person has looked.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Fork { .. } | Self::Behind { .. })
    }

    /// Whether nothing went wrong, and somebody has not answered yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }
}

/// Makes the closure that turns an I/O error into an [`AnchorError::Io`].
fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AnchorError {
    move |source| AnchorError::Io { action, path: path.to_owned(), source }
}
