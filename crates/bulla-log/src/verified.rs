//! Reading only what a trusted head vouches for.
//!
//! # Invariants
//!
//! - A1. A record is given out only after its leaf was found, at its position, in the tree whose head the caller trusts.
//! - A2. Nothing else is trusted: every hash comes through a [`TileReader`], whether the spine or the records gave it.
//! - A3. A wrong or missing spine costs time and changes no answer.
//!
//! # Not here
//!
//! That nothing was left out of a query by time or kind, whose index nobody authenticates: a walk over all records from
//! the floor to the head accounts for every position.

use crate::error::LogError;
use crate::prove::Prover;
use crate::snapshot::Snapshot;
use crate::tree::leaf_of;
use bulla_chain::{Digest, NodeAddress, Tile, TileError, TileReader, TreeHead};
use bulla_wire::Record;
use std::fmt;

type Tiles = TileReader<Box<dyn FnMut(&Tile) -> Result<Vec<u8>, LogError> + Send>>;

/// Holds records against a head.
pub(crate) struct Authenticator {
    snapshot: Snapshot,
    head: TreeHead,
    tiles: Option<Tiles>,
    /// Whether the spine led elsewhere, and only records are read.
    is_spineless: bool,
}

impl Authenticator {
    /// For records of `snapshot`, which itself trusts nothing.
    pub(crate) fn new(snapshot: Snapshot, head: TreeHead) -> Self {
        Self { snapshot, head, tiles: None, is_spineless: false }
    }

    /// A1. Fails with [`LogError::Unproven`] for a record that the head does not vouch for.
    pub(crate) fn check(&mut self, record: &Record<'_>) -> Result<(), LogError> {
        let expected = self.leaf(record.position.0)?;
        let found = leaf_of(record);
        if expected == found {
            return Ok(());
        }
        let what = format!("the record at position {} has leaf {found}, not {expected}", record.position);
        Err(self.unproven(what))
    }

    /// Whether the log's tree has the head at all.
    pub(crate) fn check_head(&mut self) -> Result<(), LogError> {
        if self.head.size == 0 {
            let is_empty = self.head == TreeHead::EMPTY;
            return if is_empty { Ok(()) } else { Err(self.unproven("a tree without leaves has another root".into())) };
        }
        self.leaf(self.head.size - 1).map(drop)
    }

    fn leaf(&mut self, index: u64) -> Result<Digest, LogError> {
        loop {
            let tiles = match &mut self.tiles {
                Some(tiles) => Ok(tiles),
                empty => {
                    let prover = Prover::at_head(self.snapshot.clone(), self.head, self.is_spineless);
                    open(prover, self.head).map(|tiles| empty.insert(tiles))
                }
            };
            match tiles.and_then(|tiles| tiles.node(NodeAddress { height: 0, index })) {
                Ok(leaf) => return Ok(leaf),
                Err(TileError::Fetch { source, .. }) => return Err(source),
                // A3.
                Err(_) if !self.is_spineless => {
                    self.is_spineless = true;
                    self.tiles = None;
                }
                Err(error) => return Err(self.unproven(error.to_string())),
            }
        }
    }

    fn unproven(&self, what: String) -> LogError {
        LogError::Unproven { dir: self.snapshot.view().dir().to_owned(), head: self.head, what }
    }
}

fn open(mut prover: Prover, head: TreeHead) -> Result<Tiles, TileError<LogError>> {
    TileReader::open(head, Box::new(move |tile: &Tile| prover.tile(tile)))
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("head", &self.head).finish_non_exhaustive()
    }
}
