//! The frontier's root is the Merkle tree hash of RFC 6962, section 2.1, for every prefix of a sequence of leaves.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use bulla_chain::{Digest, Frontier, TreeHead};
use sha2::Sha256;

/// The definition, word for word, over data that is not hashed yet.
fn tree_hash(data: &[Vec<u8>]) -> Digest {
    match data {
        [] => hash(&[]),
        [one] => leaf_hash(one),
        more => {
            // The largest power of two smaller than the number of leaves.
            let split = more.len().next_power_of_two() / 2;
            hash(&[&[0x01], &tree_hash(&more[..split]).0, &tree_hash(&more[split..]).0])
        }
    }
}

fn leaf_hash(data: &[u8]) -> Digest {
    hash(&[&[0x00], data])
}

fn hash(parts: &[&[u8]]) -> Digest {
    use sha2::Digest as _;
    Digest(Sha256::digest(parts.concat()).into())
}

/// N2 and N3: also through the bytes of the frontier, as at the start of each segment.
#[test]
fn every_prefix_has_the_root_of_the_naive_tree() {
    let data: Vec<Vec<u8>> = (0..=300_u16).map(|i| i.to_le_bytes().repeat(usize::from(i % 5))).collect();
    let mut frontier = Frontier::new();
    for size in 0..=300 {
        let expected = TreeHead { size: size as u64, root: tree_hash(&data[..size]) };
        assert_eq!(frontier.head(), expected);
        assert_eq!(frontier.hashes().len(), size.count_ones() as usize, "size {size}");

        let mut reopened = Frontier::from_parts(frontier.size(), &frontier.to_bytes()).unwrap();
        assert_eq!(reopened, frontier);
        let leaf = leaf_hash(&data[size]);
        frontier.push(leaf);
        reopened.push(leaf);
        assert_eq!(reopened, frontier, "size {size} and one more");
    }
}

/// Each hash of a frontier is the root of its own complete subtree.
#[test]
fn a_frontier_is_made_of_complete_subtrees() {
    let data: Vec<Vec<u8>> = (0..=255_u8).map(|i| vec![i]).collect();
    let mut frontier = Frontier::new();
    for (index, item) in data.iter().enumerate() {
        frontier.push(leaf_hash(item));
        let size = index + 1;
        let mut start = 0;
        let mut expected = Vec::new();
        for height in (0..=8).rev().filter(|height| size >> height & 1 == 1) {
            expected.push(tree_hash(&data[start..start + (1 << height)]));
            start += 1 << height;
        }
        assert_eq!(frontier.hashes(), expected, "size {size}");
    }
}

/// The inputs and roots published with the reference implementation of certificate transparency.
#[test]
fn the_published_roots_come_out() {
    let inputs: [&[u8]; 8] = [
        &[],
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ];
    let heads = [
        "0:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "1:6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "2:fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "3:aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "4:d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "5:4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "6:76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "7:ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "8:5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    let mut heads = heads.into_iter();
    assert_eq!(frontier.head().to_string(), heads.next().unwrap());
    for (input, head) in inputs.into_iter().zip(heads) {
        frontier.push(leaf_hash(input));
        assert_eq!(frontier.head().to_string(), head);
    }
    assert_eq!(frontier.size(), 8);
}
