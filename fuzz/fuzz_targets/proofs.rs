//! Any sizes and hashes as proofs: this reader and the algorithms of RFC 9162 accept the same ones, also where one of them
//! was honest before a byte of it was changed.
#![no_main]

use bulla_chain::{ConsistencyProof, Digest, InclusionProof, NodeAddress, TreeHead, node};
use bulla_fuzz::compare;
use bulla_reference as reference;
use libfuzzer_sys::fuzz_target;
use std::convert::Infallible;

fuzz_target!(|data: &[u8]| {
    let Some((numbers, rest)) = data.split_first_chunk::<24>() else { return };
    let (numbers, _) = numbers.as_chunks::<8>();
    let [choice, mut old, mut new] = [0, 1, 2].map(|place| u64::from_le_bytes(numbers[place]));
    if choice & 1 == 0 {
        // Small trees, among which honest proofs and their neighbours are.
        (old, new) = (old % 70, new % 70);
    }
    let (hashes, _) = rest.as_chunks::<32>();
    let mut hashes: Vec<Digest> = hashes.iter().take(70).copied().map(Digest).collect();
    let mut heads = [old, new].map(|size| TreeHead { size, root: Digest([1; 32]) });
    if choice & 2 == 0 && old < 70 && new < 70 {
        heads = [old, new].map(head);
        hashes = match choice & 4 {
            0 => InclusionProof::prove(old, new, complete).map_or(hashes, |proof| proof.hashes),
            _ => ConsistencyProof::prove(old, new, complete).map_or(hashes, |proof| proof.hashes),
        };
        if let [place, value, ..] = rest
            && let Some(hash) = hashes.get_mut(usize::from(*place))
        {
            hash.0[usize::from(*value) % 32] ^= *value;
        }
    }
    let (path, join) =
        (compare::digests(&hashes), |left: &[u8; 32], right: &[u8; 32]| node(&Digest(*left), &Digest(*right)).0);

    let proof = InclusionProof { index: old, hashes: hashes.clone() };
    let found = proof.verify(&leaf(old), &heads[1]);
    let expected = reference::is_included(&join, old, leaf(old).0, &path, compare::head(heads[1]));
    assert_eq!(found.is_ok(), expected, "{found:?}");

    let found = ConsistencyProof { hashes }.verify(&heads[0], &heads[1]);
    let empty = TreeHead::EMPTY.root.0;
    let expected = reference::is_consistent(&join, empty, &path, compare::head(heads[0]), compare::head(heads[1]));
    assert_eq!(found.is_ok(), expected, "{found:?}");
});

fn leaf(index: u64) -> Digest {
    let mut leaf = [0xa5; 32];
    leaf[..8].copy_from_slice(&index.to_le_bytes());
    Digest(leaf)
}

fn complete(NodeAddress { height, index }: NodeAddress) -> Result<Digest, Infallible> {
    if height == 0 {
        return Ok(leaf(index));
    }
    let child = |index| complete(NodeAddress { height: height - 1, index });
    Ok(node(&child(2 * index)?, &child(2 * index + 1)?))
}

fn head(size: u64) -> TreeHead {
    let mut frontier = bulla_chain::Frontier::new();
    (0..size).for_each(|index| frontier.push(leaf(index)));
    frontier.head()
}
