//! The tree of RFC 6962, section 2.1, as its definitions say it, over leaves that are numbers.
#![allow(dead_code, reason = "each test uses a part")]

use bulla_chain::{Digest, NodeAddress, TreeHead};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Mutex;

/// The leaf with this index.
pub(crate) fn leaf(index: u64) -> Digest {
    hash(&[&[0x00], &entry(index)])
}

/// What is hashed into that leaf.
pub(crate) fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

pub(crate) fn hash(parts: &[&[u8]]) -> Digest {
    Digest(Sha256::digest(parts.concat()).into())
}

/// The complete subtrees over leaves of another kind.
pub(crate) fn nodes_over(leaf: impl Fn(u64) -> Digest) -> impl FnMut(NodeAddress) -> Result<Digest, Infallible> {
    move |address| Ok(complete(&leaf, address))
}

fn complete(leaf: &impl Fn(u64) -> Digest, NodeAddress { height, index }: NodeAddress) -> Digest {
    if height == 0 {
        return leaf(index);
    }
    let child = |index| complete(leaf, NodeAddress { height: height - 1, index });
    hash(&[&[0x01], &child(2 * index).0, &child(2 * index + 1).0])
}

pub(crate) struct Tree {
    size: u64,
    known: Mutex<HashMap<Range<u64>, Digest>>,
}

impl Tree {
    pub(crate) fn of(size: u64) -> Self {
        Self { size, known: Mutex::default() }
    }

    pub(crate) fn head(&self, size: u64) -> TreeHead {
        let root = if size == 0 { hash(&[]) } else { self.root(0..size) };
        TreeHead { size, root }
    }

    /// MTH(D[range]), which is asked for again and again.
    pub(crate) fn root(&self, range: Range<u64>) -> Digest {
        assert!(range.end <= self.size, "{range:?} is beyond the tree");
        let len = range.end - range.start;
        if len == 1 {
            return leaf(range.start);
        }
        if let Some(known) = self.known.lock().unwrap().get(&range) {
            return *known;
        }
        let split = range.start + split(len);
        let root = hash(&[&[0x01], &self.root(range.start..split).0, &self.root(split..range.end).0]);
        self.known.lock().unwrap().insert(range, root);
        root
    }

    /// PATH(m, D[n]).
    pub(crate) fn path(&self, index: u64, range: Range<u64>) -> Vec<Digest> {
        let len = range.end - range.start;
        if len == 1 {
            return Vec::new();
        }
        let split = range.start + split(len);
        let (on, beside) =
            if index < split { (range.start..split, split..range.end) } else { (split..range.end, range.start..split) };
        let mut path = self.path(index, on);
        path.push(self.root(beside));
        path
    }

    /// PROOF(m, D[n]), also where RFC 6962 has none: empty.
    pub(crate) fn proof(&self, old: u64, new: u64) -> Vec<Digest> {
        if old == 0 { Vec::new() } else { self.sub_proof(old, 0..new, true) }
    }

    /// SUBPROOF(m, D[n], b), with `old` counted from the beginning of the tree.
    fn sub_proof(&self, old: u64, range: Range<u64>, is_known: bool) -> Vec<Digest> {
        if old == range.end {
            return if is_known { Vec::new() } else { vec![self.root(range)] };
        }
        let split = range.start + split(range.end - range.start);
        let (mut proof, beside) = if old <= split {
            (self.sub_proof(old, range.start..split, is_known), split..range.end)
        } else {
            (self.sub_proof(old, split..range.end, false), range.start..split)
        };
        proof.push(self.root(beside));
        proof
    }

    /// The complete subtrees of the tree of `size` leaves.
    pub(crate) fn nodes(&self, size: u64) -> impl FnMut(NodeAddress) -> Result<Digest, Infallible> + '_ {
        move |NodeAddress { height, index }| {
            let range = index << height..(index + 1) << height;
            assert!(range.end <= size, "{range:?} is not complete in a tree of {size}");
            Ok(self.root(range))
        }
    }
}

/// The largest power of two smaller than `len`.
fn split(len: u64) -> u64 {
    len.next_power_of_two() / 2
}
