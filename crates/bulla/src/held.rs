//! Heads that somebody holds against a log that is about to be written.
//!
//! # Invariants
//!
//! - Q1. A log that ends below a held head, or has another root there, is not written: its directory is as it was.
//! - Q2. What is noted in the store itself proves an end and no root: it makes a shorter log damaged.
//! - Q3. A log that was never made has the empty head, so that a store made anew under an old name is refused as well.

use crate::checkpoints;
use crate::error::Error;
use crate::options::Options;
use bulla_chain::TreeHead;
use bulla_log::{LogError, LogReader};
use bulla_wire::Position;
use std::path::Path;

/// The end that a log must have, by what is held and noted of it (Q2), after Q1 was checked.
pub(crate) fn known_end(options: &Options, dir: &Path, origin: &str) -> Result<Position, Error> {
    let mut held: Vec<_> = options.held.iter().filter(|shown| shown.checkpoint().origin() == origin).collect();
    held.sort_by_key(|shown| shown.head().size);
    let mut heads: Vec<_> = held.into_iter().map(bulla_chain::ShownCheckpoint::head).collect();
    if let Some(signer) = &options.signer {
        let last = signer.lock().last(origin);
        heads.push(last.map_err(|source| Error::NotSigned { origin: origin.to_owned(), source })?);
    }
    heads.retain(|head| head.size > 0);
    check(options, dir, origin, &heads)?;
    let held = heads.iter().map(|head| head.size).max().unwrap_or_default();
    let found = checkpoints::read(&options.host, dir).unwrap_or_else(|error| {
        // It is evidence, and its loss keeps nobody from writing.
        tracing::warn!(log = %dir.display(), %error, "the noted checkpoints cannot be read");
        None
    });
    let notes = found.unwrap_or_default();
    for (offset, what) in &notes.problems {
        tracing::warn!(log = %dir.display(), offset, what, "the noted checkpoints are damaged");
    }
    let ours = notes.entries.iter().filter(|noted| noted.shown.checkpoint().origin() == origin);
    Ok(Position(ours.map(|noted| noted.shown.head().size).max().unwrap_or_default().max(held)))
}

/// Q1 and Q3.
fn check(options: &Options, dir: &Path, origin: &str, heads: &[TreeHead]) -> Result<(), Error> {
    if heads.is_empty() {
        return Ok(());
    }
    let missing = |held: &TreeHead, size| Error::HeldMissing { origin: origin.to_owned(), held: *held, size };
    let snapshot = match LogReader::open(&options.host, dir).and_then(|log| log.snapshot()) {
        Err(LogError::NotFound { .. }) => {
            return heads.iter().max_by_key(|head| head.size).map_or(Ok(()), |held| Err(missing(held, 0)));
        }
        opened => opened?,
    };
    for held in heads {
        if held.size > snapshot.end().0 {
            return Err(missing(held, snapshot.end().0));
        }
        match snapshot.head_at(Position(held.size)) {
            Ok(found) if found == *held => {}
            Ok(found) => {
                return Err(Error::HeldFork { origin: origin.to_owned(), held: Box::new(*held), found: found.root });
            }
            // Whether it was this log's, nobody can say any more.
            Err(error) if error.is_pruned() => {
                tracing::warn!(log = %dir.display(), size = held.size, "a held head lies below the floor");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
