//! Proofs against the definitions of RFC 6962, word for word, and against every forgery of one bit.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod naive;

use bulla_chain::{ConsistencyProof, Digest, InclusionProof, NodeAddress, ProofError, ProveError, TreeHead};
use naive::{Tree, leaf};
use std::convert::Infallible;
use std::io;

const SIZES: u64 = 300;

/// The one proof there is for each index of each size verifies, and is what the definition says.
#[test]
fn every_leaf_of_every_size_is_proven() {
    let tree = Tree::of(SIZES);
    for size in 1..=SIZES {
        let head = tree.head(size);
        for index in 0..size {
            let proof = InclusionProof::prove(index, size, tree.nodes(size)).unwrap();
            assert_eq!(proof, InclusionProof { index, hashes: tree.path(index, 0..size) });
            assert_eq!(proof.verify(&leaf(index), &head), Ok(()), "leaf {index} of {size}");
        }
    }
}

#[test]
fn every_pair_of_sizes_is_proven() {
    let tree = Tree::of(SIZES);
    for new in 0..=SIZES {
        for old in 0..=new {
            let proof = ConsistencyProof::prove(old, new, tree.nodes(new)).unwrap();
            assert_eq!(proof.hashes, tree.proof(old, new), "{old} to {new}");
            assert_eq!(proof.verify(&tree.head(old), &tree.head(new)), Ok(()), "{old} to {new}");
        }
    }
}

/// Whatever one bit is flipped of leaf, index, hashes and root: refused. The size is not bound by the root (P2), so a
/// flipped size is refused by its checkpoint: `tests/texts.rs`, `no_bit_of_a_proof_may_be_flipped`.
#[test]
fn a_flipped_bit_of_an_inclusion_proof_is_refused() {
    let tree = Tree::of(SIZES);
    for size in (1..=SIZES).filter(|size| *size < 70 || size % 29 == 0) {
        let head = tree.head(size);
        for index in 0..size {
            let proof = InclusionProof::prove(index, size, tree.nodes(size)).unwrap();
            for bit in 0..64 {
                let moved = InclusionProof { index: index ^ 1 << bit, ..proof.clone() };
                assert!(moved.verify(&leaf(index), &head).is_err(), "bit {bit} of index {index} of {size}");
            }
            for bit in 0..256 {
                let bit_of = |digest: &Digest| flipped(digest, bit);
                assert!(proof.verify(&bit_of(&leaf(index)), &head).is_err());
                assert!(proof.verify(&leaf(index), &TreeHead { root: bit_of(&head.root), ..head }).is_err());
                if bit % 37 == 0 {
                    for place in 0..proof.hashes.len() {
                        let mut forged = proof.clone();
                        forged.hashes[place] = bit_of(&forged.hashes[place]);
                        assert!(matches!(forged.verify(&leaf(index), &head), Err(ProofError::Root { .. })));
                    }
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_of_a_consistency_proof_is_refused() {
    let tree = Tree::of(SIZES);
    for new in (1..=SIZES).filter(|size| *size < 40 || size % 61 == 0) {
        for old in 0..=new {
            let (old_head, new_head) = (tree.head(old), tree.head(new));
            let proof = ConsistencyProof::prove(old, new, tree.nodes(new)).unwrap();
            for bit in (0..256).step_by(7) {
                let forged = TreeHead { root: flipped(&old_head.root, bit), ..old_head };
                assert!(proof.verify(&forged, &new_head).is_err(), "root of {old} before {new}");
                let forged = TreeHead { root: flipped(&new_head.root, bit), ..new_head };
                // Nothing is asked of what comes after nothing.
                assert_eq!(proof.verify(&old_head, &forged).is_ok(), old == 0, "root of {new} after {old}");
                for place in 0..proof.hashes.len() {
                    let mut forged = proof.clone();
                    forged.hashes[place] = flipped(&forged.hashes[place], bit);
                    assert!(forged.verify(&old_head, &new_head).is_err(), "hash {place} of {old} to {new}");
                }
            }
        }
    }
}

/// A proof of another length than its sizes take is refused before anything is hashed, however it is padded or cut.
#[test]
fn a_proof_has_one_length() {
    let tree = Tree::of(SIZES);
    let (old, new) = (tree.head(100), tree.head(237));
    let inclusion = InclusionProof::prove(17, 237, tree.nodes(237)).unwrap();
    let consistency = ConsistencyProof::prove(100, 237, tree.nodes(237)).unwrap();
    let lengths = |hashes: &[Digest]| {
        let mut all: Vec<Vec<Digest>> = (0..hashes.len()).map(|len| hashes[..len].to_vec()).collect();
        all.extend((0..=hashes.len()).map(|place| {
            let mut more = hashes.to_vec();
            more.insert(place, Digest::ZERO);
            more
        }));
        all
    };
    for hashes in lengths(&inclusion.hashes) {
        let expected = ProofError::Length { expected: inclusion.hashes.len() as u64, found: hashes.len() as u64 };
        assert_eq!(InclusionProof { index: 17, hashes }.verify(&leaf(17), &new), Err(expected));
    }
    for hashes in lengths(&consistency.hashes) {
        let expected = ProofError::Length { expected: consistency.hashes.len() as u64, found: hashes.len() as u64 };
        assert_eq!(ConsistencyProof { hashes }.verify(&old, &new), Err(expected));
    }
    // Where nothing is to be proven, nothing may be given.
    let stray = ConsistencyProof { hashes: vec![Digest::ZERO] };
    let expected = Err(ProofError::Length { expected: 0, found: 1 });
    assert_eq!(stray.verify(&TreeHead::EMPTY, &new), expected);
    assert_eq!(stray.verify(&new, &new), expected);
}

#[test]
fn what_no_tree_has_is_neither_made_nor_verified() {
    let tree = Tree::of(8);
    for (index, size) in [(0, 0), (5, 5), (6, 5), (u64::MAX, 5), (u64::MAX, u64::MAX)] {
        let error = ProofError::Index { index, size };
        assert_eq!(InclusionProof::prove(index, size, tree.nodes(8)), Err(ProveError::Asked(error)));
        let head = TreeHead { size, root: Digest::ZERO };
        assert_eq!(InclusionProof { index, hashes: Vec::new() }.verify(&Digest::ZERO, &head), Err(error));
    }
    let error = ProofError::Shrinks { old: 6, new: 5 };
    assert_eq!(ConsistencyProof::prove(6, 5, tree.nodes(8)), Err(ProveError::Asked(error)));
    assert_eq!(ConsistencyProof::default().verify(&tree.head(6), &tree.head(5)), Err(error));
}

/// Nothing but the root of nothing is the head of an empty tree, and an empty log is not the beginning of a forged one.
#[test]
fn every_tree_continues_the_empty_one_and_no_other_of_its_size() {
    let tree = Tree::of(5);
    let none = ConsistencyProof::default();
    assert_eq!(none.verify(&TreeHead::EMPTY, &tree.head(5)), Ok(()));
    assert_eq!(none.verify(&TreeHead::EMPTY, &TreeHead::EMPTY), Ok(()));
    let forged = TreeHead { size: 0, root: tree.head(5).root };
    for new in [tree.head(5), TreeHead::EMPTY, forged] {
        let expected = ProofError::OldRoot { expected: forged.root, found: TreeHead::EMPTY.root };
        assert_eq!(none.verify(&forged, &new), Err(expected));
    }
}

/// The two ends of the number line: the longest ways there are, walked without a tree to walk in.
#[test]
fn the_largest_sizes_work() {
    let zeros = |_: NodeAddress| Ok::<_, Infallible>(Digest::ZERO);
    for (index, size, hashes) in [
        (0, u64::MAX, 64),
        (u64::MAX - 1, u64::MAX, 63),
        (u64::MAX - 1, 1 << 63, 0),
        ((1 << 63) - 1, 1 << 63, 63),
        (1 << 63, (1 << 63) + 1, 1),
    ] {
        match InclusionProof::prove(index, size, zeros) {
            Ok(proof) => {
                assert_eq!(proof.hashes.len(), hashes, "{index} of {size}");
                let root = match proof.verify(&Digest::ZERO, &TreeHead { size, root: Digest::ZERO }) {
                    Err(ProofError::Root { found, .. }) => found,
                    other => panic!("{other:?}"),
                };
                assert_eq!(proof.verify(&Digest::ZERO, &TreeHead { size, root }), Ok(()));
            }
            Err(error) => assert_eq!(error, ProveError::Asked(ProofError::Index { index, size })),
        }
    }
    for (old, new) in [(1, u64::MAX), (u64::MAX - 1, u64::MAX), ((1 << 63) + 1, u64::MAX), (1 << 63, u64::MAX)] {
        let proof = ConsistencyProof::prove(old, new, zeros).unwrap();
        assert!((1..=65).contains(&proof.hashes.len()), "{old} to {new}: {}", proof.hashes.len());
    }
}

/// A subtree at the right edge is asked for in its complete parts, each node once and none that does not exist.
#[test]
fn only_complete_nodes_are_asked_for_and_each_once() {
    for size in 1..=SIZES {
        for index in [0, size / 3, size - 1] {
            let mut asked = Vec::new();
            InclusionProof::prove(index, size, |address| {
                asked.push(address);
                Ok::<_, Infallible>(Digest::ZERO)
            })
            .unwrap();
            let covered: Vec<_> =
                asked.iter().map(|node| node.index << node.height..(node.index + 1) << node.height).collect();
            let mut leaves: Vec<_> = covered.iter().cloned().flatten().collect();
            leaves.sort_unstable();
            let expected: Vec<_> = (0..size).filter(|leaf| *leaf != index).collect();
            assert_eq!(leaves, expected, "what proves {index} of {size}");
        }
    }
}

/// An error of whoever keeps the nodes comes back with the node that could not be read.
#[test]
fn a_node_that_cannot_be_read_is_named() {
    let broken = |address: NodeAddress| {
        if address.height == 2 { Err(io::Error::other("gone")) } else { Ok(Digest::ZERO) }
    };
    let address = NodeAddress { height: 2, index: 1 };
    match InclusionProof::prove(1, 8, broken) {
        Err(ProveError::Node { address: found, source }) => {
            assert_eq!((found, source.to_string().as_str()), (address, "gone"));
        }
        other => panic!("{other:?}"),
    }
    assert!(ConsistencyProof::prove(5, 8, broken).unwrap_err().to_string().contains("2^2 leaves with index 0"));
}

fn flipped(digest: &Digest, bit: usize) -> Digest {
    let mut digest = *digest;
    digest.0[bit / 8] ^= 1 << (bit % 8);
    digest
}
