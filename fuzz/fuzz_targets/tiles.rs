//! A tree in tiles that somebody edited: what the reader gives out is part of the tree, or it gives out nothing.
#![no_main]

use bulla_chain::{Digest, Frontier, NodeAddress, Tile, TileReader, TreeHead, node};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::LazyLock;

/// A level of partial tiles, one more, and full tiles under both.
const SIZES: [u64; 5] = [3, 256, 700, 65_536, 66_000];

struct Tree {
    head: TreeHead,
    tiles: BTreeMap<Tile, Vec<u8>>,
    levels: Vec<Vec<Digest>>,
}

static TREES: LazyLock<Vec<Tree>> = LazyLock::new(|| SIZES.map(tree).into());

fuzz_target!(|data: &[u8]| {
    let [choice, edit_count, rest @ ..] = data else { return };
    let Some(tree) = TREES.get(usize::from(*choice) % SIZES.len()) else { return };
    let (edits, asked) = rest.split_at(rest.len().min(6 * usize::from(*edit_count % 8)));
    let mut edited = BTreeMap::new();
    for edit in edits.chunks_exact(6) {
        let number = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % tree.tiles.len();
        let (tile, bytes) = tree.tiles.iter().nth(number).expect("it is below the count");
        let bytes = edited.entry(*tile).or_insert_with(|| bytes.clone());
        let place = usize::from(u16::from_le_bytes([edit[2], edit[3]]));
        match edit[5] % 3 {
            0 => bytes.truncate(place),
            1 => bytes.push(edit[4]),
            _ => {
                let place = place % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= edit[4];
                }
            }
        }
    }
    let fetch = |tile: &Tile| Ok::<_, Infallible>(edited.get(tile).unwrap_or(&tree.tiles[tile]).clone());
    let Ok(mut reader) = TileReader::open(tree.head, fetch) else {
        assert!(!edited.is_empty(), "honest tiles were refused");
        return;
    };
    for asked in asked.chunks_exact(5).take(32) {
        let height = asked[0] % 70;
        let index =
            u64::from(u32::from_le_bytes([asked[1], asked[2], asked[3], asked[4]])) % (70_000 >> height.min(17)).max(2);
        let truth = tree.levels.get(usize::from(height)).and_then(|level| level.get(usize::try_from(index).ok()?));
        match (reader.node(NodeAddress { height, index }), truth) {
            (Ok(found), Some(truth)) => assert_eq!(found, *truth),
            (Ok(found), None) => panic!("{found} is no node of the tree"),
            (Err(error), Some(_)) => assert!(!edited.is_empty(), "an honest node was refused: {error}"),
            (Err(_), None) => {}
        }
    }
});

fn tree(size: u64) -> Tree {
    let mut level: Vec<Digest> = (0..size)
        .map(|index| {
            let mut leaf = [0xa5; 32];
            leaf[..8].copy_from_slice(&index.to_le_bytes());
            Digest(leaf)
        })
        .collect();
    let mut frontier = Frontier::new();
    level.iter().for_each(|leaf| frontier.push(*leaf));
    let mut levels = Vec::new();
    while !level.is_empty() {
        let above = level.chunks_exact(2).map(|pair| node(&pair[0], &pair[1])).collect();
        levels.push(std::mem::replace(&mut level, above));
    }
    let bytes = |tile: &Tile| {
        let hash = |at: NodeAddress| levels[usize::from(at.height)][usize::try_from(at.index).expect("small")].0;
        tile.nodes().flat_map(hash).collect()
    };
    let tiles = Tile::all(size).map(|tile| (tile, bytes(&tile))).collect();
    Tree { head: frontier.head(), tiles, levels }
}
