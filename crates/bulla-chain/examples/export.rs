//! Writes a log's tree for others to check: tiles, entries, checkpoints and proofs, as C2SP's `tlog-tiles` lays them out.
//!
//! `cargo run --release -p bulla-chain --features ed25519 --example export -- DIR`, where DIR must not exist yet.
#![allow(clippy::indexing_slicing, reason = "a tile lies in its level")]

use bulla_chain::{
    AddCheckpoint, Checkpoint, ConsistencyProof, ConsistencyText, Digest, Entry, Frontier, InclusionProof,
    InclusionText, Note, NoteSigner, ShownCheckpoint, Tile, TileError, TileReader, TreeHead, body_digest,
};
use bulla_wire::{Kind, Position, SchemaId, Time};
use std::error::Error;
use std::path::Path;
use std::{env, fs, io};

const ORIGIN: &str = "acme/logins/07070707";
/// Full tiles at two levels, and partial ones at three.
const SIZE: u64 = 70_000;
/// What somebody kept of the log when it was shorter.
const OLD_SIZE: u64 = 12_345;
/// A record in the last tile, one in a full tile, and the first.
const PROVEN: [u64; 3] = [69_999, 40_000, 0];

fn main() -> Result<(), Box<dyn Error>> {
    let dir = env::args_os().nth(1).ok_or("where to?")?;
    let dir = Path::new(&dir);
    fs::create_dir(dir)?;
    // A key that everybody knows, for a log that nobody needs.
    let signer = NoteSigner::from_seed("acme", &[7; 32])?;
    fs::write(dir.join("key"), signer.to_secret_text())?;
    fs::write(dir.join("key.pub"), signer.verifier().to_string())?;

    let (head, old_head) = write_tiles(dir)?;
    let sign = |head| -> Result<ShownCheckpoint, Box<dyn Error>> {
        let text = Checkpoint::new(ORIGIN, head)?.to_string();
        let signature = signer.sign(&text);
        Ok(ShownCheckpoint::signed(Note::new(text, vec![signature])?)?)
    };
    let (checkpoint, old_checkpoint) = (sign(head)?, sign(old_head)?);
    fs::write(dir.join("checkpoint"), checkpoint.to_string())?;
    fs::write(dir.join("checkpoint.old"), old_checkpoint.to_string())?;

    // Proofs are made from the tiles, which are checked on the way as a stranger's would be.
    let mut reader = TileReader::open(head, |tile: &Tile| fs::read(dir.join(tile.to_string())))?;
    for index in PROVEN {
        let proof = InclusionProof::prove(index, head.size, |node| reader.node(node))?;
        let text = InclusionText { extra: entry(index).encode().into(), proof, checkpoint: checkpoint.clone() };
        fs::write(dir.join(format!("{index}.tlog-proof")), text.to_string())?;
    }
    let proof = ConsistencyProof::prove(old_head.size, head.size, |node| -> Result<Digest, TileError<io::Error>> {
        reader.node(node)
    })?;
    let request = AddCheckpoint { old_size: old_head.size, proof: proof.clone(), checkpoint: checkpoint.clone() };
    fs::write(dir.join("add-checkpoint"), request.to_string())?;
    let text = ConsistencyText { proof, old: old_checkpoint, new: checkpoint };
    fs::write(dir.join("consistency"), text.to_string())?;
    Ok(())
}

fn entry(position: u64) -> Entry {
    Entry {
        kind: Kind::ROW,
        salted: false,
        schema: SchemaId(1),
        position: Position(position),
        time: Time(1_700_000_000_000_000_000 + i64::try_from(position).expect("positions here are small")),
        body: body_digest(format!("login {position}").as_bytes()),
    }
}

/// Every tile of the tree, and the entries under its leaves.
fn write_tiles(dir: &Path) -> Result<(TreeHead, TreeHead), Box<dyn Error>> {
    let (mut frontier, mut old_head) = (Frontier::new(), TreeHead::EMPTY);
    // A row of hashes for each level of tiles: the leaves, the roots over 256 of them, and so on.
    let mut levels: Vec<Vec<Digest>> = vec![Vec::new()];
    for position in 0..SIZE {
        let leaf = entry(position).leaf();
        frontier.push(leaf);
        if frontier.size() == OLD_SIZE {
            old_head = frontier.head();
        }
        levels[0].push(leaf);
    }
    while levels.last().is_some_and(|level| level.len() >= 256) {
        let roots = levels.last().expect("there is one").chunks_exact(256).map(|tile| {
            let mut subtree = Frontier::new();
            for hash in tile {
                subtree.push(*hash);
            }
            subtree.root()
        });
        let roots = roots.collect();
        levels.push(roots);
    }
    for tile in Tile::all(SIZE) {
        let first = usize::try_from(tile.index() * 256)?;
        let hashes = &levels[usize::from(tile.level())][first..first + usize::from(tile.width())];
        write(dir, &tile.to_string(), hashes.iter().flat_map(|hash| hash.0).collect())?;
        if tile.level() == 0 {
            let positions = tile.nodes().map(|node| node.index);
            let behind_length = |position| [&54_u16.to_be_bytes()[..], &entry(position).encode()].concat();
            write(dir, &tile.entries_path(), positions.flat_map(behind_length).collect())?;
        }
    }
    Ok((frontier.head(), old_head))
}

fn write(dir: &Path, path: &str, bytes: Vec<u8>) -> io::Result<()> {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().expect("it is below the directory"))?;
    fs::write(path, bytes)
}
