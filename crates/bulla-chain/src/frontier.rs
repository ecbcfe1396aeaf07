//! The frontier: all of the tree that appending still needs.
//!
//! A tree of n leaves is a row of complete subtrees, one for each bit that is set in n, the largest to the left.
//! Their roots determine the root of the whole tree, and of every larger tree once its further leaves are known. So a
//! segment header that carries them makes its segment verifiable alone.
//! Bytes: docs/FORMAT.md, "Frontier and tree head".
//!
//! # Invariants
//!
//! - N1. There are exactly as many hashes as bits set in the size.
//! - N2. The root is that of RFC 6962 over the leaves pushed, in order.
//! - N3. A frontier made from the parts of another goes on exactly as that one would.

use std::fmt;

use crate::digest::Digest;
use crate::error::FrontierError;
use crate::proof::NodeAddress;
use crate::tree::{TreeHead, node, row_root};

/// As many as a `u64` has bits.
const HASHES_MAX: usize = 64;

/// The roots of a tree's complete subtrees, from which appending goes on. Two kilobytes, in place.
///
/// # Examples
///
/// ```
/// use bulla_chain::{Digest, Frontier};
/// let mut frontier = Frontier::new();
/// for leaf in 0..6 {
///     frontier.push(Digest([leaf; 32]));
/// }
/// assert_eq!(frontier.hashes().len(), 2); // A subtree of four leaves and one of two.
///
/// let mut copy = Frontier::from_parts(frontier.size(), &frontier.to_bytes())?;
/// copy.push(Digest([6; 32]));
/// frontier.push(Digest([6; 32]));
/// assert_eq!(copy.head(), frontier.head());
/// # Ok::<(), bulla_chain::FrontierError>(())
/// ```
#[derive(Clone)]
pub struct Frontier {
    size: u64,
    /// The first `size.count_ones()` count; those after them are left over from smaller trees.
    hashes: [Digest; HASHES_MAX],
}

impl Frontier {
    /// The frontier of the tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self { size: 0, hashes: [Digest::ZERO; HASHES_MAX] }
    }

    /// The frontier of a tree of `size` leaves from its hashes, as [`to_bytes`](Self::to_bytes) gives them.
    ///
    /// That they are the right hashes cannot be seen from them: compare [`head`](Self::head) with a trusted one.
    ///
    /// # Errors
    ///
    /// [`FrontierError`] when there are not as many hashes as bits set in `size`.
    pub fn from_parts(size: u64, hashes: &[[u8; 32]]) -> Result<Self, FrontierError> {
        let found = hashes.len() as u64;
        if found != u64::from(size.count_ones()) {
            return Err(FrontierError { size, found });
        }
        let mut frontier = Self { size, ..Self::new() };
        for (target, hash) in frontier.hashes.iter_mut().zip(hashes) {
            *target = Digest(*hash);
        }
        Ok(frontier)
    }

    /// The frontier of the tree of `size` leaves, from the roots of complete subtrees, each asked for once.
    ///
    /// # Errors
    ///
    /// The first that `nodes` gives.
    pub fn from_nodes<E>(size: u64, mut nodes: impl FnMut(NodeAddress) -> Result<Digest, E>) -> Result<Self, E> {
        let mut frontier = Self { size, ..Self::new() };
        for (target, address) in frontier.hashes.iter_mut().zip(NodeAddress::complete_in(0..size)) {
            *target = nodes(address)?;
        }
        Ok(frontier)
    }

    /// How many leaves have been pushed.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, the largest (leftmost) first: at most 64.
    #[must_use]
    pub fn hashes(&self) -> &[Digest] {
        let (hashes, _) = self.hashes.split_at(self.size.count_ones() as usize);
        hashes
    }

    /// The same hashes as plain bytes, as a segment header holds them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<[u8; 32]> {
        self.hashes().iter().map(|hash| hash.0).collect()
    }

    /// Appends a leaf. Cost: one node on average, at most 63; no allocation.
    ///
    /// # Panics
    ///
    /// When the tree has 2^64 - 1 leaves, more than a log has positions for.
    pub fn push(&mut self, leaf: Digest) {
        self.push_with(leaf, |_, _| {});
    }

    /// Appends a leaf, and says which inner nodes it completes, from the bottom up.
    ///
    /// # Panics
    ///
    /// As [`push`](Self::push).
    pub fn push_with(&mut self, leaf: Digest, mut completed: impl FnMut(NodeAddress, Digest)) {
        let size = self.size.checked_add(1).expect("BUG: a tree has at most 2^64 - 1 leaves");
        // The new leaf completes one subtree for each bit set at the low end of the old size.
        let complete = self.size.trailing_ones() as usize;
        let (kept, joined) = self.hashes().split_at(self.hashes().len() - complete);
        let slot = kept.len();
        let mut top = leaf;
        for (height, left) in (1..).zip(joined.iter().rev()) {
            top = node(left, &top);
            completed(NodeAddress { height, index: (size >> height) - 1 }, top);
        }
        // Fewer than 64 bits are set in a size that can still grow, so there is always a slot.
        *self.hashes.get_mut(slot).expect("BUG: a frontier has at most 64 hashes") = top;
        self.size = size;
    }

    /// The roots of the complete subtrees with their places, the largest first.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeAddress, Digest)> {
        NodeAddress::complete_in(0..self.size).zip(self.hashes().iter().copied())
    }

    /// The root over all leaves pushed. Cost: one node for each hash but the first.
    #[must_use]
    pub fn root(&self) -> Digest {
        row_root(self.hashes())
    }

    /// Size and root together.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Frontier {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size && self.hashes() == other.hashes()
    }
}

impl Eq for Frontier {}

impl fmt::Debug for Frontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frontier").field("size", &self.size).field("hashes", &self.hashes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N1.
    #[test]
    fn the_count_of_hashes_must_fit_the_size() {
        let hashes = [[5; 32]; 66];
        for (size, expected) in [(0, 0), (1, 1), (2, 1), (3, 2), (255, 8), (256, 1), (u64::MAX, 64)] {
            for found in 0..=66 {
                let frontier = Frontier::from_parts(size, &hashes[..found]);
                if found == expected {
                    assert_eq!(frontier.unwrap().to_bytes(), hashes[..found]);
                } else {
                    assert_eq!(frontier, Err(FrontierError { size, found: found as u64 }));
                }
            }
        }
    }

    /// Every inner node is told once, when its last leaf comes, and is what its leaves add up to.
    #[test]
    fn completed_nodes_are_told_with_their_places() {
        let mut told = std::collections::BTreeMap::new();
        let mut frontier = Frontier::new();
        for leaf in 0..100_u8 {
            frontier.push_with(Digest([leaf; 32]), |address, digest| {
                assert_eq!(address.end(), Some(u64::from(leaf) + 1));
                assert_eq!(told.insert((address.height, address.index), digest), None);
            });
            for (address, digest) in frontier.nodes().filter(|(address, _)| address.height > 0) {
                assert_eq!(told.get(&(address.height, address.index)), Some(&digest));
            }
            let again = Frontier::from_nodes(frontier.size(), |address| match address.height {
                0 => Ok(Digest([leaf; 32])),
                height => told.get(&(height, address.index)).copied().ok_or(address),
            });
            assert_eq!(again, Ok(frontier.clone()));
        }
        assert_eq!(told.len(), 50 + 25 + 12 + 6 + 3 + 1);
        for ((height, index), digest) in &told {
            let leaf = |index: u64| Digest([index.to_le_bytes()[0]; 32]);
            let child = |index| if *height == 1 { leaf(index) } else { told[&(height - 1, index)] };
            assert_eq!(*digest, node(&child(2 * index), &child(2 * index + 1)));
        }
    }

    /// What is left over in unused slots is no part of the value.
    #[test]
    fn leftovers_do_not_show() {
        let mut frontier = Frontier::new();
        for leaf in 0..8 {
            frontier.push(Digest([leaf; 32]));
        }
        let copy = Frontier::from_parts(8, &frontier.to_bytes()).unwrap();
        assert_ne!(copy.hashes, frontier.hashes);
        assert_eq!(copy, frontier);
        assert_eq!(format!("{copy:?}"), format!("{frontier:?}"));
    }

    /// The largest carry there is: 63 nodes in one push, and the longest frontier right after.
    #[test]
    fn the_largest_sizes_work() {
        let mut frontier = Frontier::from_parts((1 << 63) - 1, &[[1; 32]; 63]).unwrap();
        frontier.push(Digest([2; 32]));
        let expected = (0..63).fold(Digest([2; 32]), |right, _| node(&Digest([1; 32]), &right));
        assert_eq!(frontier.hashes(), [expected]);
        assert_eq!(frontier.head(), TreeHead { size: 1 << 63, root: expected });

        let mut frontier = Frontier::from_parts(u64::MAX - 1, &[[1; 32]; 63]).unwrap();
        frontier.push(Digest([2; 32]));
        assert_eq!((frontier.size(), frontier.hashes().len()), (u64::MAX, 64));
        assert_eq!(frontier.root(), expected);
    }

    #[test]
    #[should_panic(expected = "BUG: a tree has at most 2^64 - 1 leaves")]
    fn the_tree_ends_with_the_number_line() {
        Frontier::from_parts(u64::MAX, &[[1; 32]; 64]).unwrap().push(Digest::ZERO);
    }
}
