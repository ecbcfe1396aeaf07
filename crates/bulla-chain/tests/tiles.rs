//! The tree in tiles: their paths, their hashes, and a reader that believes none of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod naive;

use bulla_chain::{ConsistencyProof, Digest, InclusionProof, NodeAddress, Tile, TileError, TileReader};
use naive::{Tree, leaf};
use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;

/// Full tiles at two levels and partial ones at three: C2SP's example.
const SIZE: u64 = 70_000;

type Tiles = HashMap<Tile, Vec<u8>>;

fn export(tree: &Tree, size: u64) -> Tiles {
    let mut nodes = tree.nodes(size);
    Tile::all(size).map(|tile| (tile, tile.nodes().flat_map(|node| nodes(node).unwrap().0).collect())).collect()
}

type Fetch<'a> = Box<dyn FnMut(&Tile) -> Result<Vec<u8>, io::Error> + 'a>;

fn reader<'a>(tree: &Tree, size: u64, tiles: &'a Tiles) -> Result<TileReader<Fetch<'a>>, TileError<io::Error>> {
    let fetch = |tile: &Tile| tiles.get(tile).cloned().ok_or_else(|| io::ErrorKind::NotFound.into());
    TileReader::open(tree.head(size), Box::new(fetch))
}

#[test]
fn a_tree_has_the_tiles_that_its_size_says() {
    let paths = |size| Tile::all(size).map(|tile| tile.to_string()).collect::<Vec<_>>();
    assert_eq!(paths(0), [""; 0]);
    assert_eq!(paths(1), ["tile/0/000.p/1"]);
    assert_eq!(paths(255), ["tile/0/000.p/255"]);
    assert_eq!(paths(256), ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(paths(257), ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]);
    let all: Vec<_> = Tile::all(SIZE).collect();
    assert_eq!(all.len(), 274 + 2 + 1);
    assert_eq!(all.iter().map(|tile| u64::from(tile.width())).sum::<u64>(), SIZE + 273 + 1);
    for (index, path) in [
        (999, "tile/3/999"),
        (1_000, "tile/3/x001/000"),
        (1_234_067, "tile/3/x001/x234/067"),
        (u64::MAX >> 32, "tile/3/x004/x294/x967/295"),
    ] {
        assert_eq!(Tile::full(3, index).to_string(), path);
    }
    assert_eq!(Tile::edge(7, u64::MAX).unwrap().to_string(), "tile/7/000.p/255");
    assert_eq!(Tile::edge(0, SIZE).unwrap().entries_path(), "tile/entries/273.p/112");
}

/// Every complete subtree, for sizes around every border of tiles.
#[test]
fn every_node_is_read_from_tiles() {
    let tree = Tree::of(SIZE);
    for size in [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 1_000, 65_535, 65_536, 65_537, SIZE] {
        let tiles = export(&tree, size);
        let mut reader = reader(&tree, size, &tiles).unwrap();
        let mut nodes = tree.nodes(size);
        for height in 0..20 {
            let count = size >> height;
            for index in (0..count).filter(|index| index % 97 == 0 || index + 3 > count) {
                let address = NodeAddress { height, index };
                assert_eq!(reader.node(address).unwrap(), nodes(address).unwrap(), "{address:?} of {size}");
            }
            let address = NodeAddress { height, index: count };
            assert_eq!(
                reader.node(address).unwrap_err().to_string(),
                TileError::<Infallible>::Incomplete { address, size }.to_string()
            );
        }
    }
    let tiles = Tiles::new();
    let mut empty = reader(&tree, 0, &tiles).unwrap();
    for (height, index) in [(63, 0), (63, u64::MAX), (64, 0), (255, 0), (0, u64::MAX)] {
        assert!(matches!(empty.node(NodeAddress { height, index }), Err(TileError::Incomplete { .. })));
    }
}

/// One flipped bit in any hash of any tile: whatever is read of that tile, or of one below it, is refused.
///
/// A widely used reader counted the hashes of the right edge where it meant tiles, and so did not check the first tiles
/// behind those: in a tree of 70,000 leaves it gave out whatever three of them held (CVE-2026-56865).
#[test]
fn a_forged_tile_is_never_read() {
    let tree = Tree::of(SIZE);
    let honest = export(&tree, SIZE);
    for tile in Tile::all(SIZE).filter(|tile| tile.level() > 0 || tile.index() % 31 == 0 || tile.index() > 250) {
        let last = usize::from(tile.width()) - 1;
        for place in [0, 1.min(last), last / 2, last] {
            let mut tiles = honest.clone();
            tiles.get_mut(&tile).unwrap()[place * 32 + 7] ^= 0x10;
            let forged = tile.nodes().nth(place).unwrap();
            match reader(&tree, SIZE, &tiles) {
                Err(error) => assert!(tile.width() < 256 && matches!(error, TileError::Edge { .. }), "{tile}: {error}"),
                Ok(mut reader) => {
                    let mut read = |address| match reader.node(address) {
                        Err(TileError::Forged { tile: found, .. }) => assert_eq!(found, tile),
                        other => panic!("{address:?} of {tile}: {other:?}"),
                    };
                    read(forged);
                    // Also asked for otherwise: another hash of it, what is above the hash, and a leaf below it.
                    read(tile.nodes().last().unwrap());
                    read(NodeAddress { height: forged.height + 1, index: forged.index / 2 });
                    read(NodeAddress { height: 0, index: forged.index << forged.height });
                }
            }
        }
    }
}

/// Two tiles of one level exchanged, each of them honest in its own place.
#[test]
fn a_tile_in_the_place_of_another_is_refused() {
    let tree = Tree::of(SIZE);
    let mut tiles = export(&tree, SIZE);
    let (left, right) = (Tile::full(0, 3), Tile::full(0, 4));
    let bytes = tiles.insert(left, tiles[&right].clone()).unwrap();
    tiles.insert(right, bytes);
    let mut reader = reader(&tree, SIZE, &tiles).unwrap();
    for tile in [left, right] {
        let node = tile.nodes().next().unwrap();
        assert!(matches!(reader.node(node), Err(TileError::Forged { tile: found, .. }) if found == tile));
    }
    assert_eq!(reader.node(NodeAddress { height: 0, index: 5 * 256 }).unwrap(), leaf(5 * 256));
}

#[test]
fn a_missing_tile_and_one_of_another_length_are_named() {
    let tree = Tree::of(SIZE);
    let honest = export(&tree, SIZE);
    for tile in [Tile::full(0, 7), Tile::edge(1, SIZE).unwrap()] {
        for bytes in
            [None, Some(vec![]), Some(honest[&tile][1..].to_vec()), Some([&honest[&tile][..], &[0; 32]].concat())]
        {
            let mut tiles = honest.clone();
            let found = bytes.as_ref().map(|bytes| bytes.len() as u64);
            match bytes {
                Some(bytes) => tiles.insert(tile, bytes),
                None => tiles.remove(&tile),
            };
            let read = reader(&tree, SIZE, &tiles)
                .and_then(|mut reader| reader.node(NodeAddress { height: 0, index: 7 * 256 }));
            match (read.unwrap_err(), found) {
                (TileError::Fetch { tile: named, source }, None) => {
                    assert_eq!((named, source.kind()), (tile, io::ErrorKind::NotFound));
                }
                (TileError::Length { tile: named, found }, Some(expected)) => {
                    assert_eq!((named, found), (tile, expected));
                }
                (error, found) => panic!("{found:?}: {error}"),
            }
        }
    }
}

/// A proof made from tiles costs at most a tile a level, and each only once.
#[test]
fn a_proof_reads_one_tile_a_level() {
    let tree = Tree::of(SIZE);
    let tiles = export(&tree, SIZE);
    let read = RefCell::new(Vec::new());
    let mut reader = TileReader::open(tree.head(SIZE), |tile: &Tile| {
        read.borrow_mut().push(*tile);
        Ok::<_, Infallible>(tiles[tile].clone())
    })
    .unwrap();
    assert_eq!(read.borrow().len(), 3, "the edges");
    for index in [0, 255, 256, 40_000, 65_535, 65_536, SIZE - 1] {
        read.borrow_mut().clear();
        let proof = InclusionProof::prove(index, SIZE, |address| reader.node(address)).unwrap();
        assert_eq!(proof.verify(&leaf(index), &tree.head(SIZE)), Ok(()));
        let levels: Vec<_> = read.borrow().iter().map(Tile::level).collect();
        let mut once = levels.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(levels.len(), once.len(), "tiles read for {index}: {:?}", read.borrow());
    }
    let old = 12_345;
    let proof = ConsistencyProof::prove(old, SIZE, |address| reader.node(address)).unwrap();
    assert_eq!(proof.verify(&tree.head(old), &tree.head(SIZE)), Ok(()));
}

/// The root of another tree, and the same root under another size.
#[test]
fn tiles_of_another_tree_are_refused_at_once() {
    let (tree, mut tiles) = (Tree::of(300), Tiles::new());
    for size in [299, 300] {
        tiles.extend(export(&tree, size));
    }
    let head = bulla_chain::TreeHead { root: Digest::ZERO, ..tree.head(300) };
    let fetch = |tile: &Tile| Ok::<_, Infallible>(tiles[tile].clone());
    assert!(matches!(TileReader::open(head, fetch), Err(TileError::Edge { size: 300, .. })));
    let head = bulla_chain::TreeHead { size: 299, ..tree.head(300) };
    assert!(matches!(TileReader::open(head, fetch), Err(TileError::Edge { size: 299, .. })));
}
