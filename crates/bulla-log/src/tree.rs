//! From records to leaves: where frames meet the history tree.
//!
//! # Invariants
//!
//! - H1. A leaf is over what is stored, salt included, or over the digest that a redacted record kept.
//! - H2. [`Hasher::absorb`] takes frames in order and without gaps; the frontier's size is the next position.
//! - H3. Nodes that the spine keeps stay with the hasher until somebody takes them: 32 bytes for 256 records.

use crate::spine::{Node, is_kept};
use bulla_chain::{Digest, Entry, Frontier, body_digest, salted_body_digest};
use bulla_wire::{Content, FRAME_HEADER_LEN, FrameHeader, FrameSeed, Position, Record, Records, Role, WireError};

/// The tree leaf of a record.
pub(crate) fn leaf_of(record: &Record<'_>) -> Digest {
    entry_of(record).leaf()
}

/// The record's fields, with its payload's digest.
pub(crate) fn entry_of(record: &Record<'_>) -> Entry {
    let body = match record.content {
        Content::Payload { salt: None, bytes } => body_digest(bytes),
        Content::Payload { salt: Some(salt), bytes } => salted_body_digest(salt, bytes),
        Content::Redacted { digest, .. } => Digest(*digest),
    };
    Entry {
        kind: record.kind,
        salted: record.salted,
        schema: record.schema,
        position: record.position,
        time: record.time,
        body,
    }
}

/// The history tree, as far as its records have been hashed.
#[derive(Clone, Debug)]
pub(crate) struct Hasher {
    frontier: Frontier,
    completed: Vec<Node>,
}

impl Hasher {
    pub(crate) fn new(frontier: Frontier) -> Self {
        Self { frontier, completed: Vec::new() }
    }

    pub(crate) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Nodes for the spine that were completed since they were last taken (H3).
    pub(crate) fn completed(&self) -> &[Node] {
        &self.completed
    }

    pub(crate) fn take_completed(&mut self) -> Vec<Node> {
        std::mem::take(&mut self.completed)
    }

    /// The position of the next record to hash.
    pub(crate) fn next(&self) -> Position {
        Position(self.frontier.size())
    }

    pub(crate) fn push(&mut self, record: &Record<'_>) {
        assert!(record.position == self.next(), "BUG: hashed out of order");
        let completed = &mut self.completed;
        self.frontier.push_with(leaf_of(record), |at, digest| {
            if is_kept(at.height) {
                completed.push((at, digest));
            }
        });
    }

    /// Hashes the records of finished frames straight from the bytes that go to disk; they lie at `offset` in the
    /// segment of `seed`.
    pub(crate) fn absorb(&mut self, frames: &[u8], seed: &FrameSeed, mut offset: u64) -> Result<(), WireError> {
        let mut rest = frames;
        while !rest.is_empty() {
            let header = FrameHeader::decode(rest, seed, offset)?;
            let short = WireError::Short { what: "frame", needed: header.frame_len(), available: rest.len() as u64 };
            let (frame, behind) = rest.split_at_checked(header.frame_len() as usize).ok_or(short)?;
            if matches!(header.role, Role::Data { .. }) {
                let body = frame.get(FRAME_HEADER_LEN as usize..).unwrap_or_default();
                let stored = body.get(..header.stored_len as usize).unwrap_or(body);
                for record in Records::new(&header, header.plain_body(stored)?) {
                    self.push(&record?);
                }
            }
            offset += header.frame_len();
            rest = behind;
        }
        Ok(())
    }
}
