//! The way from a leaf, or from an earlier tree, up to a root: which subtrees are met beside it.
//!
//! # Invariants
//!
//! - W1. Steps and start together cover every leaf of the tree once.
//! - W2. A way has at most 64 steps, since each doubles what is covered or is the last one to the right.

use super::ProofError;
use std::ops::Range;

/// A complete subtree: 2^height leaves, from `index << height` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeAddress {
    /// 0 for a leaf; at most 63.
    pub height: u8,
    /// How many subtrees of this height are to the left.
    pub index: u64,
}

impl NodeAddress {
    /// The largest complete subtrees that `range` is made of, from the left, if it begins where a subtree of its length
    /// may: what the bits of its length say.
    pub(crate) fn complete_in(range: Range<u64>) -> impl Iterator<Item = Self> {
        let len = range.end - range.start;
        let heights = (0..64_u8).rev().filter(move |height| len >> height & 1 == 1);
        heights.map(move |height| {
            // The larger powers of two of the length lie to the left.
            let left = len >> height >> 1 << 1 << height;
            Self { height, index: (range.start + left) >> height }
        })
    }

    /// The first leaf after this subtree; `None` beyond 2^64.
    #[must_use]
    pub fn end(self) -> Option<u64> {
        let len = 1_u64.checked_shl(self.height.into())?;
        self.index.checked_add(1)?.checked_mul(len)
    }
}

/// A subtree beside the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) range: Range<u64>,
    /// Whether it lies to the left of what is below.
    pub(super) is_left: bool,
}

/// From the bottom up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// What the way begins with.
    pub(super) start: Range<u64>,
    pub(super) steps: Vec<Step>,
}

impl Way {
    /// From the leaf at `index` to the root of the tree of `size` leaves: PATH of RFC 6962.
    pub(super) fn to_leaf(index: u64, size: u64) -> Result<Self, ProofError> {
        if index >= size {
            return Err(ProofError::Index { index, size });
        }
        Ok(Self::down(size, index, |range| range.end - range.start == 1))
    }

    /// From the tree of `old` leaves to that of `new` leaves: PROOF of RFC 6962. `None` when nothing is to be proven with
    /// hashes, because the earlier tree is empty or is the later one.
    pub(super) fn to_tree(old: u64, new: u64) -> Result<Option<Self>, ProofError> {
        match old {
            _ if old > new => Err(ProofError::Shrinks { old, new }),
            0 => Ok(None),
            _ if old == new => Ok(None),
            _ => Ok(Some(Self::down(new, old - 1, |range| range.end == old))),
        }
    }

    /// Whether the way begins with the whole earlier tree.
    pub(super) fn is_whole(&self) -> bool {
        self.start.start == 0
    }

    /// From the root of `size` leaves down towards `leaf`, until the subtree that holds it is the one to begin with.
    fn down(size: u64, leaf: u64, is_start: impl Fn(&Range<u64>) -> bool) -> Self {
        let (mut range, mut steps) = (0..size, Vec::new());
        while !is_start(&range) {
            let len = range.end - range.start;
            // The largest power of two smaller than the length; a range that may be split has two leaves at least.
            let split = range.start + (1 << (len - 1).ilog2());
            let is_left = leaf >= split;
            let (left, right) = (range.start..split, split..range.end);
            let (beside, on) = if is_left { (left, right) } else { (right, left) };
            steps.push(Step { range: beside, is_left });
            range = on;
        }
        steps.reverse();
        Self { start: range, steps }
    }
}
