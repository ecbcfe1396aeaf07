//! Inclusion and consistency proofs, as in RFC 6962, sections 2.1.1 and 2.1.2 (RFC 9162, 2.1.3 and 2.1.4).
//!
//! Both are the roots of the subtrees that a verifier lacks, from the bottom up. Which subtrees these are follows from
//! index and sizes alone, so one description of the way up ([`way`]) serves whoever makes a proof and whoever checks it;
//! a proof of another length is refused before anything is hashed.
//! Bytes and text: docs/FORMAT.md, "Proofs".
//!
//! # Invariants
//!
//! - P1. A proof verifies only if a tree with the given root has that leaf at that index, or those leaves as a prefix, as
//!   long as nobody finds two inputs with one SHA-256.
//! - P2. The root alone does not say how large its tree is: trees of several sizes can be read into one root. Whoever
//!   verifies against a [`TreeHead`] must have size and root from the same trusted source; a checkpoint signs both.
//! - P3. Verifying allocates at most 64 steps, whatever the proof holds.
//!
//! # Example
//!
//! ```
//! use bulla_chain::{Digest, Frontier, InclusionProof, NodeAddress, node};
//! use std::convert::Infallible;
//! let leaves = [Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];
//! let mut frontier = Frontier::new();
//! leaves.iter().for_each(|leaf| frontier.push(*leaf));
//!
//! // A proof is made from complete subtrees, wherever they are kept.
//! let nodes = |address: NodeAddress| Ok::<_, Infallible>(match (address.height, address.index) {
//!     (0, index) => leaves[index as usize],
//!     _ => node(&leaves[0], &leaves[1]),
//! });
//! let proof = InclusionProof::prove(2, 3, nodes)?;
//! assert_eq!(proof.verify(&leaves[2], &frontier.head()), Ok(()));
//! assert!(proof.verify(&leaves[1], &frontier.head()).is_err());
//! # Ok::<(), bulla_chain::ProveError<Infallible>>(())
//! ```

mod text;
mod way;

use crate::digest::Digest;
use crate::tree::{TreeHead, node, row_root};
use way::{Step, Way};

pub use text::{AddCheckpoint, ConsistencyText, InclusionText, ProofTextError, ShownCheckpoint};
pub use way::NodeAddress;

/// The most hashes a proof has in any text: trees of up to 2^63 leaves, as C2SP's `tlog-witness` says.
pub const PROOF_HASHES_MAX: usize = 63;

/// That a leaf is at an index of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's index, which in a bulla log is the record's position.
    pub index: u64,
    /// From the leaf's sibling up to the root's child.
    pub hashes: Vec<Digest>,
}

/// That one tree is the beginning of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// From the bottom up; empty when a size is 0 or both are equal.
    pub hashes: Vec<Digest>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum ProofError {
    /// The tree has no such leaf.
    #[error("index {index} is beyond a tree of {size} leaves")]
    Index { index: u64, size: u64 },
    /// The later tree is the smaller one.
    #[error("a tree of {new} leaves does not continue one of {old}")]
    Shrinks { old: u64, new: u64 },
    /// More or fewer hashes than the way up takes.
    #[error("the proof has {found} hashes where these sizes take {expected}")]
    Length { expected: u64, found: u64 },
    /// The hashes lead elsewhere.
    #[error("the proof leads to root {found}, not to {expected}")]
    Root { expected: Digest, found: Digest },
    /// The hashes do not hold the earlier tree.
    #[error("the proof holds an earlier tree with root {found}, not with {expected}")]
    OldRoot { expected: Digest, found: Digest },
}

/// Why a proof could not be made: what was asked for does not exist, or a node could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum ProveError<E: std::error::Error + 'static> {
    /// No tree has what was asked for.
    #[error(transparent)]
    Asked(ProofError),
    /// A node could not be had.
    #[error("the subtree of 2^{} leaves with index {} cannot be read", address.height, address.index)]
    Node { address: NodeAddress, source: E },
}

impl InclusionProof {
    /// The proof that the leaf at `index` is in the tree of `size` leaves, from the roots of complete subtrees.
    ///
    /// Asks for each node it needs once; where a subtree at the right edge is not complete, for the complete
    /// ones in it.
    pub fn prove<E: std::error::Error>(
        index: u64,
        size: u64,
        mut nodes: impl FnMut(NodeAddress) -> Result<Digest, E>,
    ) -> Result<Self, ProveError<E>> {
        let way = Way::to_leaf(index, size).map_err(ProveError::Asked)?;
        let hashes = way.steps.iter().map(|step| root_of(step.range.clone(), &mut nodes)).collect::<Result<_, _>>()?;
        Ok(Self { index, hashes })
    }

    /// Whether `leaf` is at this index of the tree with this head, both of which the caller trusts.
    pub fn verify(&self, leaf: &Digest, head: &TreeHead) -> Result<(), ProofError> {
        let way = Way::to_leaf(self.index, head.size)?;
        check_length(way.steps.len(), &self.hashes)?;
        let found = way.steps.iter().zip(&self.hashes).fold(*leaf, |below, (step, hash)| step.join(&below, hash));
        check_root(head.root, found)
    }
}

impl ConsistencyProof {
    /// The proof that the tree of `old` leaves is the beginning of that of `new` leaves.
    ///
    /// Asks for nodes as [`InclusionProof::prove`] does.
    pub fn prove<E: std::error::Error>(
        old: u64,
        new: u64,
        mut nodes: impl FnMut(NodeAddress) -> Result<Digest, E>,
    ) -> Result<Self, ProveError<E>> {
        let Some(way) = Way::to_tree(old, new).map_err(ProveError::Asked)? else { return Ok(Self::default()) };
        let below = (!way.is_whole()).then(|| way.start.clone());
        let ranges = below.into_iter().chain(way.steps.iter().map(|step| step.range.clone()));
        let hashes = ranges.map(|range| root_of(range, &mut nodes)).collect::<Result<_, _>>()?;
        Ok(Self { hashes })
    }

    /// Whether the tree with head `old` is the beginning of that with head `new`.
    ///
    /// Any tree continues the empty one, whose root is part of the check.
    pub fn verify(&self, old: &TreeHead, new: &TreeHead) -> Result<(), ProofError> {
        let Some(way) = Way::to_tree(old.size, new.size)? else {
            check_length(0, &self.hashes)?;
            let expected = if old.size == 0 { TreeHead::EMPTY.root } else { new.root };
            return check_old_root(old.root, expected);
        };
        check_length(way.steps.len() + usize::from(!way.is_whole()), &self.hashes)?;
        // Where the earlier tree is one complete subtree, its root is at hand and not in the proof.
        let (start, hashes) = match self.hashes.split_first() {
            Some((first, rest)) if !way.is_whole() => (*first, rest),
            _ => (old.root, self.hashes.as_slice()),
        };
        let (old_root, new_root) = way.steps.iter().zip(hashes).fold((start, start), |(old, new), (step, hash)| {
            (if step.is_left { node(hash, &old) } else { old }, step.join(&new, hash))
        });
        check_old_root(old.root, old_root)?;
        check_root(new.root, new_root)
    }
}

impl Step {
    /// The subtree that is known so far, joined with the one beside it.
    fn join(&self, below: &Digest, beside: &Digest) -> Digest {
        if self.is_left { node(beside, below) } else { node(below, beside) }
    }
}

/// The root of the subtree over the leaves in `range`, complete or at the right edge.
fn root_of<E: std::error::Error>(
    range: std::ops::Range<u64>,
    nodes: &mut impl FnMut(NodeAddress) -> Result<Digest, E>,
) -> Result<Digest, ProveError<E>> {
    let mut read = |address| nodes(address).map_err(|source| ProveError::Node { address, source });
    let row = NodeAddress::complete_in(range).map(&mut read).collect::<Result<Vec<_>, _>>()?;
    Ok(row_root(&row))
}

fn check_length(expected: usize, hashes: &[Digest]) -> Result<(), ProofError> {
    let (expected, found) = (expected as u64, hashes.len() as u64);
    if expected == found { Ok(()) } else { Err(ProofError::Length { expected, found }) }
}

fn check_root(expected: Digest, found: Digest) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::Root { expected, found }) }
}

fn check_old_root(expected: Digest, found: Digest) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::OldRoot { expected, found }) }
}
