//! Proofs as text, to be kept and checked far from the log: C2SP's `tlog-proof`, the body of a witness's `add-checkpoint`,
//! and a consistency proof with both of its checkpoints.
//!
//! Bytes: docs/FORMAT.md, "Proofs as text".
//!
//! # Invariants
//!
//! - X1. What parses is shown as the bytes that were parsed.
//! - X2. Nothing in a text is believed for being there: a checkpoint is what its signatures make it.

use super::{ConsistencyProof, InclusionProof, PROOF_HASHES_MAX};
use crate::checkpoint::{Checkpoint, CheckpointError, digest_from_base64, plain_number};
use crate::note::{NOTE_BYTES_MAX, Note, NoteError, from_base64, is_signature_line, to_base64};
use crate::{Digest, TreeHead};
use std::fmt;
use std::str::FromStr;

const INCLUSION: &str = "c2sp.org/tlog-proof@v1";
/// The longest text: two notes, and what the hashes and a record's entry take.
const TEXT_BYTES_MAX: usize = 2 * NOTE_BYTES_MAX + (64 << 10);
/// The most that may stand beside a proof: far more than an entry and a salt.
const EXTRA_BYTES_MAX: usize = 16 << 10;

/// A checkpoint as it stands in a proof: signed, or, from a store without a key, not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCheckpoint {
    checkpoint: Checkpoint,
    note: Option<Note>,
}

/// That a record is in a log, for whoever has neither: C2SP's `tlog-proof`.
///
/// `extra` is anybody's; bulla puts the record's [`Entry`](crate::Entry) there, and its salt behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say their names")]
pub struct InclusionText {
    pub extra: Vec<u8>,
    pub proof: InclusionProof,
    pub checkpoint: ShownCheckpoint,
}

/// That one checkpoint of a log continues another, with both.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say their names")]
pub struct ConsistencyText {
    pub proof: ConsistencyProof,
    pub old: ShownCheckpoint,
    pub new: ShownCheckpoint,
}

/// What a witness, and any signer that remembers, is asked with: C2SP's `add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say their names")]
pub struct AddCheckpoint {
    /// How much of the log the witness has seen, as who asks believes.
    pub old_size: u64,
    pub proof: ConsistencyProof,
    pub checkpoint: ShownCheckpoint,
}

/// Why bytes are not a proof's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum ProofTextError {
    /// More than any proof takes.
    #[error("a proof of {bytes} bytes where {TEXT_BYTES_MAX} are allowed")]
    TooLong { bytes: u64 },
    /// Not UTF-8.
    #[error("a proof is text, and byte {at} is not")]
    NotText { at: u64 },
    /// A first line that begins no proof of this kind.
    #[error("this does not begin as a proof of this kind")]
    Kind,
    /// A line that is not what belongs there.
    #[error("line {line} of the proof is not {expected}")]
    Line { line: u64, expected: &'static str },
    /// More hashes than a tree can need.
    #[error("a proof has at most {PROOF_HASHES_MAX} hashes")]
    TooManyHashes,
    /// No checkpoint where one belongs, or something behind the last.
    #[error("a proof of this kind ends with {expected} checkpoints")]
    Checkpoints { expected: u8 },
    /// What stands there as a checkpoint is none.
    #[error("the checkpoint in the proof is none")]
    Checkpoint(#[from] CheckpointError),
    /// What stands there as a signed checkpoint is no note.
    #[error("the checkpoint in the proof is no note")]
    Note(#[from] NoteError),
}

impl ShownCheckpoint {
    /// A checkpoint that nobody signed.
    #[must_use]
    pub fn unsigned(checkpoint: Checkpoint) -> Self {
        Self { checkpoint, note: None }
    }

    /// A signed note, if its text is a checkpoint. Whether the signatures are good is another question.
    pub fn signed(note: Note) -> Result<Self, CheckpointError> {
        Ok(Self { checkpoint: note.text().parse()?, note: Some(note) })
    }

    /// What it says.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The head it says.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.checkpoint.head()
    }

    /// The note, unless nobody signed.
    #[must_use]
    pub fn note(&self) -> Option<&Note> {
        self.note.as_ref()
    }

    /// Reads a note, or the text alone where nobody signed.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofTextError> {
        let mut blocks = Blocks::of(bytes)?;
        let shown = blocks.checkpoint(1)?;
        blocks.end(1)?;
        Ok(shown)
    }
}

impl fmt::Display for ShownCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.note {
            Some(note) => note.fmt(f),
            None => self.checkpoint.fmt(f),
        }
    }
}

impl InclusionText {
    /// Reads a proof from bytes that may be anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofTextError> {
        let mut blocks = Blocks::of(bytes)?;
        let mut lines = blocks.lines();
        if lines.next() != Some(INCLUSION) {
            return Err(ProofTextError::Kind);
        }
        let (mut number, mut line) = (2, lines.next());
        let mut extra = Vec::new();
        if let Some(base64) = line.and_then(|line| line.strip_prefix("extra ")) {
            let bytes = if base64.len() > EXTRA_BYTES_MAX { None } else { from_base64(base64) };
            let expected = "extra data in base64, at most 16 KiB of it";
            extra = bytes.filter(|bytes| !bytes.is_empty()).ok_or(ProofTextError::Line { line: number, expected })?;
            (number, line) = (3, lines.next());
        }
        let index = line.and_then(|line| line.strip_prefix("index ")).and_then(plain_number);
        let index = index.ok_or(ProofTextError::Line { line: number, expected: "an index" })?;
        let hashes = hashes(number + 1, lines)?;
        let checkpoint = blocks.checkpoint(1)?;
        blocks.end(1)?;
        Ok(Self { extra, proof: InclusionProof { index, hashes }, checkpoint })
    }
}

impl fmt::Display for InclusionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{INCLUSION}")?;
        if !self.extra.is_empty() {
            writeln!(f, "extra {}", to_base64(&self.extra))?;
        }
        writeln!(f, "index {}", self.proof.index)?;
        write!(f, "{}\n{}", Hashes(&self.proof.hashes), self.checkpoint)
    }
}

impl ConsistencyText {
    /// What tells such a text from others.
    pub(crate) const FIRST_LINE: &str = "bulla/consistency/v1";

    /// Reads a proof from bytes that may be anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofTextError> {
        let mut blocks = Blocks::of(bytes)?;
        let mut lines = blocks.lines();
        if lines.next() != Some(Self::FIRST_LINE) {
            return Err(ProofTextError::Kind);
        }
        let hashes = hashes(2, lines)?;
        let old = blocks.checkpoint(2)?;
        let new = blocks.checkpoint(2)?;
        blocks.end(2)?;
        Ok(Self { proof: ConsistencyProof { hashes }, old, new })
    }
}

impl fmt::Display for ConsistencyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, hashes) = (Self::FIRST_LINE, Hashes(&self.proof.hashes));
        write!(f, "{first}\n{hashes}\n{}\n{}", self.old, self.new)
    }
}

impl AddCheckpoint {
    /// Reads a request from bytes that may be anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofTextError> {
        let mut blocks = Blocks::of(bytes)?;
        let mut lines = blocks.lines();
        let old_size = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(ProofTextError::Kind)?;
        let old_size = plain_number(old_size).ok_or(ProofTextError::Line { line: 1, expected: "a size" })?;
        let hashes = hashes(2, lines)?;
        let checkpoint = blocks.checkpoint(1)?;
        blocks.end(1)?;
        Ok(Self { old_size, proof: ConsistencyProof { hashes }, checkpoint })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "old {}\n{}\n{}", self.old_size, Hashes(&self.proof.hashes), self.checkpoint)
    }
}

struct Hashes<'a>(&'a [Digest]);

impl fmt::Display for Hashes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|hash| writeln!(f, "{}", to_base64(&hash.0)))
    }
}

fn hashes<'a>(first: u64, lines: impl Iterator<Item = &'a str>) -> Result<Vec<Digest>, ProofTextError> {
    let mut hashes = Vec::new();
    for (line, text) in (first..).zip(lines) {
        if hashes.len() == PROOF_HASHES_MAX {
            return Err(ProofTextError::TooManyHashes);
        }
        hashes.push(digest_from_base64(text).ok_or(ProofTextError::Line { line, expected: "a hash in base64" })?);
    }
    Ok(hashes)
}

/// A text in the pieces that blank lines divide it into. A checkpoint is one piece, and its signatures are the next.
struct Blocks<'a> {
    rest: Option<&'a str>,
}

impl<'a> Blocks<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, ProofTextError> {
        if bytes.len() > TEXT_BYTES_MAX {
            return Err(ProofTextError::TooLong { bytes: bytes.len() as u64 });
        }
        let text = str::from_utf8(bytes).map_err(|error| ProofTextError::NotText { at: error.valid_up_to() as u64 })?;
        Ok(Self { rest: Some(text) })
    }

    /// The lines of the next piece.
    fn lines(&mut self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.next().unwrap_or_default().split_terminator('\n')
    }

    /// The next piece, with the newline at its end; the last one with whatever it has there.
    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        let (block, rest) = match text.find("\n\n") {
            Some(at) => (text.get(..=at)?, text.get(at + 2..)),
            None => (text, None),
        };
        self.rest = rest;
        Some(block)
    }

    /// The next checkpoint with its signatures, of so many that are expected.
    fn checkpoint(&mut self, expected: u8) -> Result<ShownCheckpoint, ProofTextError> {
        let text = self.next().ok_or(ProofTextError::Checkpoints { expected })?;
        // An origin that begins as a signature does would be taken for one; no log of bulla's has one.
        if !self.rest.is_some_and(is_signature_line) {
            return Ok(ShownCheckpoint::unsigned(text.parse()?));
        }
        let signatures = self.next().unwrap_or_default();
        Ok(ShownCheckpoint::signed(format!("{text}\n{signatures}").parse()?)?)
    }

    /// Nothing may follow.
    fn end(&self, expected: u8) -> Result<(), ProofTextError> {
        if self.rest.is_none() { Ok(()) } else { Err(ProofTextError::Checkpoints { expected }) }
    }
}

/// As [`ShownCheckpoint::parse`].
impl FromStr for ShownCheckpoint {
    type Err = ProofTextError;

    fn from_str(text: &str) -> Result<Self, ProofTextError> {
        Self::parse(text.as_bytes())
    }
}
