//! Checking a proof's text for somebody who has neither the log nor any reason to believe the text.
//!
//! # Invariants
//!
//! - H1. Origin and keys come from whoever checks, never from the proof.
//! - H2. What is not signed by one of those keys is never called signed; a checkpoint without any signature makes a proof
//!   that holds for whoever knows the head from elsewhere, and is told apart.

use crate::digest::{body_digest, salted_body_digest};
use crate::entry::Entry;
use crate::error::EntryError;
use crate::note::{NoteError, Verified, VerifierKey};
use crate::proof::{ConsistencyText, InclusionText, ProofError, ProofTextError, ShownCheckpoint};
use crate::tree::TreeHead;
use bulla_wire::Position;

/// What whoever checks a proof knows without it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say their names")]
pub struct Expected<'a> {
    pub origin: &'a str,
    pub keys: &'a [VerifierKey],
    /// The record's payload, if it is at hand.
    pub payload: Option<&'a [u8]>,
}

/// What a proof proves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum Proven {
    /// The record with this entry is in the log.
    Included {
        entry: Entry,
        head: TreeHead,
        signed: Option<Vec<Verified>>,
        /// Whether the payload was compared with the entry.
        has_payload: bool,
    },
    /// The log with one head continues the log with the other.
    Consistent { old: TreeHead, new: TreeHead, signed: Option<Vec<Verified>> },
}

/// Why a text proves nothing to whoever checks it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum CheckError {
    /// Not the text of a proof.
    #[error(transparent)]
    Text(#[from] ProofTextError),
    /// The checkpoint of another log.
    #[error("the checkpoint is of {found:?}, not of {expected:?}")]
    Origin { expected: String, found: String },
    /// A checkpoint that none of the keys signed, or that somebody signed in the name of one of them.
    #[error("the checkpoint is not to be believed")]
    Note(#[from] NoteError),
    /// Hashes that lead elsewhere.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// No record beside the proof, or something else.
    #[error("the proof has {bytes} bytes where a record's entry belongs")]
    Extra { bytes: u64 },
    /// What stands there as an entry is none.
    #[error("what stands in the proof as the record's entry is none")]
    Entry(#[from] EntryError),
    /// The entry of another record.
    #[error("the entry in the proof is of position {found}, not {index}")]
    Position { index: u64, found: Position },
    /// A payload that cannot be compared, since its salt is not here.
    #[error("the proof lacks the salt that the record's payload was hashed with")]
    NoSalt,
    /// Another payload than the record's.
    #[error("the payload is not that of the record")]
    Payload,
    /// A payload where none is proven.
    #[error("a consistency proof says nothing of any record")]
    NoRecord,
}

impl Proven {
    /// Whether a key of the caller's vouches for it.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.signed().is_some()
    }

    /// Who of the caller's keys signed, and when they say; of the later checkpoint, where there are two.
    #[must_use]
    pub fn signed(&self) -> Option<&[Verified]> {
        let (Self::Included { signed, .. } | Self::Consistent { signed, .. }) = self;
        signed.as_deref()
    }
}

/// Checks a proof's text, of either kind, against what the caller knows.
///
/// # Examples
///
/// ```
/// use bulla_chain::{CheckError, Expected, check_proof};
/// let expected = Expected { origin: "acme/logins/07070707", keys: &[], payload: None };
/// assert!(matches!(check_proof(b"trust me", &expected), Err(CheckError::Text(_))));
/// ```
pub fn check_proof(text: &[u8], expected: &Expected<'_>) -> Result<Proven, CheckError> {
    if text.starts_with(ConsistencyText::FIRST_LINE.as_bytes()) {
        consistent(&ConsistencyText::parse(text)?, expected)
    } else {
        included(&InclusionText::parse(text)?, expected)
    }
}

fn included(text: &InclusionText, expected: &Expected<'_>) -> Result<Proven, CheckError> {
    let signed = signed(&text.checkpoint, expected)?;
    let (bytes, salt) = text.extra.split_first_chunk::<{ Entry::LEN }>().ok_or_else(|| extra(text))?;
    let entry = Entry::decode(bytes)?;
    let salt = match salt {
        [] => None,
        salt if entry.salted => Some(salt.try_into().map_err(|_| extra(text))?),
        _ => return Err(extra(text)),
    };
    let index = text.proof.index;
    if entry.position.0 != index {
        return Err(CheckError::Position { index, found: entry.position });
    }
    let head = text.checkpoint.head();
    text.proof.verify(&entry.leaf(), &head)?;
    if let Some(payload) = expected.payload {
        let body = match (entry.salted, salt) {
            (false, _) => body_digest(payload),
            (true, Some(salt)) => salted_body_digest(salt, payload),
            (true, None) => return Err(CheckError::NoSalt),
        };
        if body != entry.body {
            return Err(CheckError::Payload);
        }
    }
    Ok(Proven::Included { entry, head, signed, has_payload: expected.payload.is_some() })
}

fn extra(text: &InclusionText) -> CheckError {
    CheckError::Extra { bytes: text.extra.len() as u64 }
}

fn consistent(text: &ConsistencyText, expected: &Expected<'_>) -> Result<Proven, CheckError> {
    let (old_signed, new_signed) = (signed(&text.old, expected)?, signed(&text.new, expected)?);
    if expected.payload.is_some() {
        return Err(CheckError::NoRecord);
    }
    let (old, new) = (text.old.head(), text.new.head());
    text.proof.verify(&old, &new)?;
    // Only what both are is said of the proof.
    Ok(Proven::Consistent { old, new, signed: old_signed.and(new_signed) })
}

/// Who of the caller's keys signed; `None` when there is no signature at all.
fn signed(shown: &ShownCheckpoint, expected: &Expected<'_>) -> Result<Option<Vec<Verified>>, CheckError> {
    let found = shown.checkpoint().origin();
    if found != expected.origin {
        return Err(CheckError::Origin { expected: expected.origin.to_owned(), found: found.to_owned() });
    }
    Ok(shown.note().map(|note| note.verify(expected.keys)).transpose()?)
}
