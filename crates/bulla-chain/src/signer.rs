//! The seam to whoever holds a log's key, which may be elsewhere: another process, another user, a machine of its own.
//!
//! # Invariants
//!
//! - G1. A signer is asked as a C2SP witness is, with a proof that the checkpoint continues the newest one it signed, and
//!   signs no other checkpoint. So a log that was rolled back, or rebuilt, gets no signature over a second history.
//! - G2. What it signs beside checkpoints is an authority, whose text is never one of a checkpoint.

use crate::authority::Authority;
use crate::note::{NoteSignature, VerifierKey};
use crate::proof::{AddCheckpoint, ProofError};
use crate::tree::TreeHead;
use std::error::Error;

/// Who signs a log's checkpoints.
///
/// An implementation remembers, for each origin, the newest head it signed, outside the store and durable before the
/// signature is given out; [`AddCheckpoint::continues`] is the check it makes. One that remembers nothing protects from
/// no rollback, and says so in [`remembers`](Self::remembers).
pub trait Signer: Send {
    /// What to check its signatures with.
    fn verifier(&self) -> VerifierKey;

    /// Whether it refuses what does not continue what it signed before, also after a restart.
    fn remembers(&self) -> bool;

    /// The newest head signed for this origin; the empty one if there is none, or nothing is remembered.
    fn last(&self, origin: &str) -> Result<TreeHead, SignError>;

    /// Signs the checkpoint of a request that proves it to continue [`last`](Self::last).
    ///
    /// # Durability
    ///
    /// What is remembered survives power loss when this returns.
    fn sign(&mut self, request: &AddCheckpoint) -> Result<NoteSignature, SignError>;

    /// Signs that an action may be taken: the text of the authority. Whoever can ask for this can allow anything, so an
    /// implementation may ask somebody first, or refuse.
    fn authorise(&mut self, authority: &Authority) -> Result<NoteSignature, SignError>;
}

/// Why a checkpoint was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It does not continue what was signed before.
    #[error("the signer refuses: {0}")]
    Refused(#[from] Refusal),
    /// It allows no actions, or not this one.
    #[error("the signer does not allow the action")]
    NotAllowed,
    /// The signer could not be asked, or could not remember.
    #[error("the signer failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// Why a checkpoint does not continue the newest one that a signer or a witness knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum Refusal {
    /// Who asks believes in another newest checkpoint: a witness's status 409. Ask again with a proof from this size.
    #[error("{} is the newest size signed, not {asked}", last.size)]
    Conflict { last: TreeHead, asked: u64 },
    /// The checkpoint is not proven to be a continuation: a witness's status 422.
    #[error("the checkpoint does not continue the newest one signed: {0}")]
    Fork(ProofError),
}

impl Refusal {
    /// Whether the two cannot both be heads of one log, rather than that somebody is behind.
    #[must_use]
    pub fn is_fork(&self) -> bool {
        matches!(self, Self::Fork(_))
    }
}

impl AddCheckpoint {
    /// Whether the checkpoint continues `last`, the newest head of the same log that whoever is asked has signed.
    ///
    /// Both sizes being equal, both roots must be.
    pub fn continues(&self, last: &TreeHead) -> Result<(), Refusal> {
        if self.old_size != last.size {
            return Err(Refusal::Conflict { last: *last, asked: self.old_size });
        }
        self.proof.verify(last, &self.checkpoint.head()).map_err(Refusal::Fork)
    }
}
