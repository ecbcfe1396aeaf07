//! Proofs from a log: that a record is in it, and that it continues what it was.
//!
//! A proof is a few nodes of the history tree. Those at the right edge are the frontier's, those above blocks of 256
//! records the [`spine`](crate::spine)'s, and those within a block are computed from its records.
//!
//! # Invariants
//!
//! - P1. Nothing is proven above the durable end (law L11).
//! - P2. A proof is verified before it is returned: against the head asked for, and that against the newest one.
//! - P3. A spine that is wrong or missing or cannot be read changes no proof. What contradicts the head without it is the records.
//! - P4. Memory: two blocks of entries, two tiles a height, and the nodes that are not in the spine yet.

use crate::error::LogError;
use crate::log::Log;
use crate::query::{Item, Query};
use crate::snapshot::{Snapshot, catch_up, frontier_of};
use crate::spine::{Node, Spine, TILE_NODES, is_kept};
use crate::tree::{Hasher, entry_of};
use crate::view::Shared;
use bulla_chain::{
    ConsistencyProof, Digest, Entry, Frontier, InclusionProof, NodeAddress, ProofError, ProveError, Tile, TreeHead,
    node,
};
use bulla_segment::SegmentFile;
use bulla_vfs::OpenMode;
use bulla_wire::{Content, Position};
use std::collections::BTreeMap;

/// Records of which one spine node is over the tree of.
const BLOCK_RECORDS: u64 = TILE_NODES;
/// Blocks kept: that of the record, and that at the edge of an earlier head.
const BLOCKS_MAX: usize = 2;
/// Tiles kept: at each height that of the record, and that at the edge of an earlier head.
const TILES_MAX: usize = 6;

/// That a record is in a log, with what is needed to tell others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The record's fields, payload's digest included: what its leaf is made of.
    pub entry: Entry,
    /// The salt that the payload was hashed with, in an erasable log and while the payload is there.
    pub salt: Option<[u8; 16]>,
    /// The way from the leaf to the root.
    pub proof: InclusionProof,
    /// The head that it leads to.
    pub head: TreeHead,
}

/// What making proofs has read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProofStats {
    /// Blocks of 256 records read.
    pub blocks_read: u64,
    /// Frames read for them, and bytes of segment files.
    pub frames_read: u64,
    /// See `frames_read`.
    pub segment_bytes_read: u64,
    /// Tiles of the spine read, of 8,192 bytes at most.
    pub tiles_read: u64,
    /// Bytes of the spine read.
    pub tile_bytes_read: u64,
}

/// Makes proofs from a log as it was at one moment.
///
/// # Examples
///
/// ```
/// use bulla_log::{AppendOptions, Log, LogOptions, NewRow};
/// use bulla_vfs::Host;
/// use bulla_wire::{Kind, LogId, Position, SchemaId, Time};
/// use std::path::Path;
///
/// let log = Log::create(&Host::memory(), Path::new("/log"), LogId([1; 16]), &LogOptions::new())?;
/// let held = log.head()?;
/// log.append(&NewRow { kind: Kind::ROW, time: Time(5), schema: SchemaId(0), payload: b"row" }, AppendOptions::default())?;
///
/// let mut prover = log.prover()?;
/// let head = prover.head();
/// let shown = prover.inclusion(Position(1), head.size)?;
/// assert_eq!(shown.proof.verify(&shown.entry.leaf(), &head), Ok(()));
/// let grown = prover.consistency(held.size, head.size)?;
/// assert_eq!(grown.verify(&held, &head), Ok(()));
/// # Ok::<(), bulla_log::LogError>(())
/// ```
#[derive(Debug)]
pub struct Prover {
    snapshot: Snapshot,
    head: TreeHead,
    /// Nodes that need not be read: the frontier's, and those completed since the spine was written.
    known: BTreeMap<(u8, u64), Digest>,
    spine: Option<Spine>,
    tiles: Vec<(u8, u64, Vec<Digest>)>,
    blocks: Vec<(u64, Vec<Proven>)>,
    stats: ProofStats,
}

/// An entry of a block.
#[derive(Clone, Copy, Debug)]
struct Proven {
    leaf: Digest,
    entry: Entry,
    salt: Option<[u8; 16]>,
}

impl Log {
    /// Makes proofs of everything below the durable end.
    ///
    /// # Errors
    ///
    /// As [`head`](Self::head).
    pub fn prover(&self) -> Result<Prover, LogError> {
        let (frontier, recent) = {
            self.head()?;
            let tree = self.inner.tree();
            let durable = tree.durable.clone();
            let recent = tree.hasher.completed().iter().copied();
            // What is hashed and not durable yet is nobody's business.
            (durable.clone(), recent.filter(|(address, _)| is_below(*address, durable.size())).collect())
        };
        // What became durable was published before the tree said so.
        Ok(Prover::new(self.snapshot(), &frontier, recent))
    }
}

impl Snapshot {
    /// Makes proofs of everything below the snapshot's durable end. Unless the log was closed there, this hashes the
    /// records of the newest segment.
    ///
    /// # Errors
    ///
    /// Whatever keeps those records, or the end of the newest segment, from being read.
    pub fn prover(&self) -> Result<Prover, LogError> {
        let durable = self.durable();
        let (frontier, recent) = durable.frontier_and_nodes()?;
        Ok(Prover::new(durable, &frontier, recent))
    }

    /// The frontier at the end, with the nodes that were computed on the way there.
    fn frontier_and_nodes(&self) -> Result<(Frontier, Vec<Node>), LogError> {
        let (view, size) = (self.view(), self.end());
        let newest = match &view.active {
            Some(active) => Some(active.opened.file.clone()),
            None => match view.sealed.last() {
                Some(last) => Some(SegmentFile::open(&view.shared.host, &last.path, OpenMode::Read)?),
                None => None,
            },
        };
        let summary = match &newest {
            Some(file) => file.read_summary()?.filter(|summary| summary.footer.end == size),
            None => None,
        };
        if let Some(summary) = summary {
            let frontier = Frontier::from_parts(size.0, &summary.footer.frontier).ok();
            if let Some(frontier) = frontier.filter(|frontier| frontier.root().0 == summary.footer.root) {
                return Ok((frontier, Vec::new()));
            }
        }
        match newest.filter(|file| file.header().base <= size) {
            Some(file) => {
                let mut hasher = Hasher::new(frontier_of(&file)?);
                catch_up(self, &mut hasher, size)?;
                Ok((hasher.frontier().clone(), hasher.completed().to_vec()))
            }
            None => Ok((self.frontier_at(size)?, Vec::new())),
        }
    }
}

impl Prover {
    fn new(snapshot: Snapshot, frontier: &Frontier, recent: Vec<Node>) -> Self {
        let shared = &snapshot.view().shared;
        let spine = if frontier.size() < BLOCK_RECORDS { None } else { spine_of(shared) };
        let known = frontier.nodes().chain(recent).map(|(at, digest)| ((at.height, at.index), digest)).collect();
        Self {
            head: frontier.head(),
            snapshot,
            known,
            spine,
            tiles: Vec::new(),
            blocks: Vec::new(),
            stats: ProofStats::default(),
        }
    }

    /// A prover that takes a head's word for the end, and knows no node yet: whoever uses it checks every one.
    pub(crate) fn at_head(snapshot: Snapshot, head: TreeHead, is_spineless: bool) -> Self {
        let shared = &snapshot.view().shared;
        let spine = if is_spineless { None } else { spine_of(shared) };
        let (known, stats) = (BTreeMap::new(), ProofStats::default());
        Self { snapshot, head, known, spine, tiles: Vec::new(), blocks: Vec::new(), stats }
    }

    /// The newest head that anything can be proven of: that at the durable end.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.head
    }

    /// What was read so far.
    #[must_use]
    pub fn stats(&self) -> ProofStats {
        self.stats
    }

    /// The head the log had with `size` records, proven to be the beginning of the newest one.
    ///
    /// # Errors
    ///
    /// As [`inclusion`](Self::inclusion).
    pub fn head_at(&mut self, size: u64) -> Result<TreeHead, LogError> {
        self.check_size(size)?;
        self.verified(|prover| {
            let head = prover.head_of(size)?;
            let proof = ConsistencyProof::prove(size, prover.head.size, |at| prover.node(at)).map_err(of_nodes)?;
            Ok(proof.verify(&head, &prover.head).map(|()| head))
        })
    }

    /// The proof that the record at `position` was in the log when it had `size` records.
    ///
    /// Reads at most one block of 256 records for the newest head and two for an earlier one, and as many tiles of the
    /// spine at each of its heights, if the spine is whole.
    ///
    /// # Errors
    ///
    /// [`LogError::NoSuchHead`] above the durable end, [`LogError::NoSuchRecord`] at or above `size`,
    /// [`LogError::Pruned`] below the floor, [`LogError::Unproven`] when the records contradict the head, and whatever
    /// keeps them from being read.
    pub fn inclusion(&mut self, position: Position, size: u64) -> Result<Inclusion, LogError> {
        let head = self.head_at(size)?;
        if position.0 >= size {
            return Err(LogError::NoSuchRecord { asked: position, size });
        }
        self.verified(|prover| {
            let found = prover.entry(position)?;
            let proof = InclusionProof::prove(position.0, size, |at| prover.node(at)).map_err(of_nodes)?;
            let verified = proof.verify(&found.leaf, &head);
            Ok(verified.map(|()| Inclusion { entry: found.entry, salt: found.salt, proof, head }))
        })
    }

    /// The proof that the log with `new` records continues what it was with `old`.
    ///
    /// # Errors
    ///
    /// As [`inclusion`](Self::inclusion); [`LogError::NoSuchHead`] also when `old` is above `new`.
    pub fn consistency(&mut self, old: u64, new: u64) -> Result<ConsistencyProof, LogError> {
        if old > new {
            return Err(LogError::NoSuchHead { asked: old, size: new });
        }
        let (old, new) = (self.head_at(old)?, self.head_at(new)?);
        self.verified(|prover| {
            let proof = ConsistencyProof::prove(old.size, new.size, |at| prover.node(at)).map_err(of_nodes)?;
            Ok(proof.verify(&old, &new).map(|()| proof))
        })
    }

    /// The bytes of a tile of the tree, as C2SP's `tlog-tiles` has them. Not verified: [`bulla_chain::TileReader`] does.
    ///
    /// # Errors
    ///
    /// [`LogError::NoSuchHead`] for a tile that the newest tree does not have, and whatever keeps it from being read.
    pub fn tile(&mut self, tile: &Tile) -> Result<Vec<u8>, LogError> {
        let nodes: Vec<_> = tile.nodes().map(|at| self.node(at)).collect::<Result<_, _>>()?;
        Ok(nodes.iter().flat_map(|digest| digest.0).collect())
    }

    /// The entry of the record at `position`, read and not verified.
    ///
    /// # Errors
    ///
    /// [`LogError::NoSuchRecord`] at or above the durable end, and whatever keeps the record from being read.
    pub fn entry_at(&mut self, position: Position) -> Result<Entry, LogError> {
        Ok(self.entry(position)?.entry)
    }

    /// Goes on without the spine, from the records alone. Tells the log's writer, if it is in this process, that the spine
    /// is to be written anew.
    pub(crate) fn without_spine(&mut self) {
        if self.spine.take().is_some() {
            let shared = &self.snapshot.view().shared;
            tracing::warn!(dir = %shared.dir.display(), "the spine is not used: it cannot be read, or contradicts the head");
            shared.doubt_spine();
        }
        self.tiles.clear();
    }

    pub(crate) fn has_spine(&self) -> bool {
        self.spine.is_some()
    }

    /// P2 and P3. What `make` gives if it verifies, with the spine or else without.
    fn verified<T>(
        &mut self,
        mut make: impl FnMut(&mut Self) -> Result<Result<T, ProofError>, LogError>,
    ) -> Result<T, LogError> {
        match make(self)? {
            Ok(proof) => return Ok(proof),
            Err(source) if !self.has_spine() => return Err(self.unproven(source)),
            Err(_) => self.without_spine(),
        }
        make(self)?.map_err(|source| self.unproven(source))
    }

    fn unproven(&self, source: ProofError) -> LogError {
        LogError::Unproven { dir: self.snapshot.view().dir().to_owned(), head: self.head, what: source.to_string() }
    }

    fn check_size(&self, size: u64) -> Result<(), LogError> {
        if size > self.head.size { Err(LogError::NoSuchHead { asked: size, size: self.head.size }) } else { Ok(()) }
    }

    fn head_of(&mut self, size: u64) -> Result<TreeHead, LogError> {
        if size == self.head.size {
            return Ok(self.head);
        }
        Ok(Frontier::from_nodes(size, |at| self.node(at))?.head())
    }

    /// The root of a complete subtree.
    fn node(&mut self, at: NodeAddress) -> Result<Digest, LogError> {
        self.check_size(at.end().unwrap_or(u64::MAX))?;
        if let Some(digest) = self.known.get(&(at.height, at.index)) {
            return Ok(*digest);
        }
        if at.height == 0 {
            return Ok(self.entry(Position(at.index))?.leaf);
        }
        if is_kept(at.height)
            && let Some(digest) = self.kept(at)
        {
            return Ok(digest);
        }
        let child = |side| NodeAddress { height: at.height - 1, index: 2 * at.index + side };
        let (left, right) = (self.node(child(0))?, self.node(child(1))?);
        Ok(node(&left, &right))
    }

    /// The node as the spine has it; `None` if it does not.
    fn kept(&mut self, at: NodeAddress) -> Option<Digest> {
        let Some(spine) = &self.spine else {
            self.snapshot.view().shared.doubt_spine();
            return None;
        };
        let (tile, place) = (at.index / TILE_NODES, (at.index % TILE_NODES) as usize);
        let is_it = |(height, index, _): &&(u8, u64, Vec<Digest>)| (*height, *index) == (at.height, tile);
        let found = if let Some((_, _, nodes)) = self.tiles.iter().find(is_it) {
            nodes.get(place).copied()
        } else {
            let nodes = match spine.tile(at.height, tile) {
                Ok(nodes) => nodes,
                // P3.
                Err(error) => {
                    tracing::warn!(%error, "the spine cannot be read");
                    self.without_spine();
                    return None;
                }
            };
            self.stats.tiles_read += 1;
            self.stats.tile_bytes_read += size_of_val(nodes.as_slice()) as u64;
            let found = nodes.get(place).copied();
            if self.tiles.len() == TILES_MAX {
                self.tiles.remove(0);
            }
            self.tiles.push((at.height, tile, nodes));
            found
        };
        let found = found.filter(|digest| *digest != Digest::ZERO);
        if found.is_none() {
            self.snapshot.view().shared.doubt_spine();
        }
        found
    }

    fn entry(&mut self, position: Position) -> Result<Proven, LogError> {
        let size = self.head.size;
        if position.0 >= size {
            return Err(LogError::NoSuchRecord { asked: position, size });
        }
        let (block, place) = (position.0 / BLOCK_RECORDS, (position.0 % BLOCK_RECORDS) as usize);
        if let Some((_, entries)) = self.blocks.iter().find(|(found, _)| *found == block) {
            return entries.get(place).copied().ok_or(LogError::NoSuchRecord { asked: position, size });
        }
        let entries = self.read_block(block)?;
        let found = entries.get(place).copied().ok_or(LogError::NoSuchRecord { asked: position, size });
        if self.blocks.len() == BLOCKS_MAX {
            self.blocks.remove(0);
        }
        self.blocks.push((block, entries));
        found
    }

    fn read_block(&mut self, block: u64) -> Result<Vec<Proven>, LogError> {
        let from = Position(block * BLOCK_RECORDS);
        if from < self.snapshot.floor() {
            return Err(LogError::Pruned { below: self.snapshot.floor() });
        }
        let to = Position(from.0.saturating_add(BLOCK_RECORDS).min(self.head.size));
        let query = Query { from: Some(from), to: Some(to), engine: true, ..Query::new() };
        let mut cursor = self.snapshot.cursor(&query);
        let mut entries = Vec::with_capacity(BLOCK_RECORDS as usize);
        while let Some(item) = cursor.next() {
            if let Item::Record(record) = item? {
                let entry = entry_of(&record);
                let salt = match record.content {
                    Content::Payload { salt, .. } => salt.copied(),
                    Content::Redacted { .. } => None,
                };
                entries.push(Proven { leaf: entry.leaf(), entry, salt });
            }
        }
        let read = cursor.stats();
        self.stats.blocks_read += 1;
        self.stats.frames_read += read.frames_read;
        self.stats.segment_bytes_read += read.bytes_read;
        Ok(entries)
    }
}

/// P3.
fn spine_of(shared: &Shared) -> Option<Spine> {
    Spine::open(&shared.host, &shared.dir, shared.id).unwrap_or_else(|error| {
        tracing::warn!(dir = %shared.dir.display(), %error, "the spine cannot be read");
        None
    })
}

fn is_below(at: NodeAddress, size: u64) -> bool {
    at.end().is_some_and(|end| end <= size)
}

/// Sizes and positions were checked before, so only a node can be at fault.
fn of_nodes(error: ProveError<LogError>) -> LogError {
    match error {
        ProveError::Node { source, .. } => source,
        other => panic!("BUG: a proof was asked of a tree that is too small: {other}"),
    }
}
