//! `bulla tiles`: a table's tree as C2SP's `tlog-tiles`, for clients written elsewhere.
//!
//! # Invariants
//!
//! - T1. The checkpoint is written last, and replaced whole: whoever finds it finds every tile under it.
//! - T2. A tile that is there is kept: what is full never changes, and partial ones have the width in their names. One with
//!   other bytes than the table's ends the verb, since the folder is another log's.
//! - T3. Memory is bounded by one tile.

use crate::exit::{Exit, Failure};
use crate::output::line;
use crate::prove::{newest, read_checkpoint};
use crate::{operands, progress::Progress};
use bulla::chain::Tile;
use bulla::{Position, Prover, Reader};
use clap::Args;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Export a table's tree as C2SP tlog-tiles: checkpoint, tiles and entry bundles
#[derive(Args)]
#[command(
    override_usage = "bulla tiles STORE T DIR",
    after_help = "\
Exports the tree of the newest signed checkpoint that the store holds of the table, or of an unsigned one of the table as \
it is. An entry is the 54 bytes that a leaf is the hash of; payloads stay in the store. DIR may hold an earlier export, \
which is gone on with."
)]
pub(crate) struct Arguments {
    /// Store, table and folder; STORE may be left out if $BULLA_STORE is set
    #[arg(value_name = "STORE", num_args = 0..=3)]
    operands: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (store, [name, dir]) = operands::exactly(&arguments.operands, ["T", "DIR"])?;
    let dir = Path::new(&dir);
    let reader = Reader::open(&store)?;
    let (table, mut prover) = reader.prover(&name)?;
    let shown = newest(&reader, &name, &table.origin, prover.head(), Position::ZERO)?;
    let head = shown.head();
    if prover.head_at(head.size)? != head {
        let what = format!("the table contradicts its newest checkpoint, of {} records", head.size);
        return Err(Failure::new(Exit::Negative, what));
    }
    let file = dir.join("checkpoint");
    if file.exists() {
        // An export of another table, or of this one before it was put back, is not written over.
        let earlier = read_checkpoint(&file)?;
        let is_earlier = earlier.checkpoint().origin() == table.origin
            && earlier.head().size <= head.size
            && prover.head_at(earlier.head().size)? == earlier.head();
        if !is_earlier {
            let what = format!("{} is an export that this one does not continue", dir.display());
            return Err(Failure::new(Exit::Negative, what));
        }
    }
    let mut progress = Progress::new();
    let mut written = 0_u64;
    for tile in Tile::all(head.size) {
        put(dir, &tile.to_string(), &prover.tile(&tile)?)?;
        if tile.level() == 0 {
            put(dir, &tile.entries_path(), &bundle(&mut prover, &tile)?)?;
            written += u64::from(tile.width());
            progress.update(written, Some(head.size));
        }
    }
    progress.finish();
    replace(&file, shown.to_string().as_bytes())?;
    line(&format!("{} records of {}", head.size, table.origin))?;
    Ok(Exit::Done)
}

/// The entries under a tile of level 0, each behind its length in two bytes, the high one first.
fn bundle(prover: &mut Prover, tile: &Tile) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    for leaf in tile.nodes() {
        let entry = prover.entry_at(Position(leaf.index))?.encode();
        let len = u16::try_from(entry.len()).expect("BUG: an entry has 54 bytes");
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&entry);
    }
    Ok(bytes)
}

/// T2.
fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let path = dir.join(name);
    match fs::read(&path) {
        Ok(found) if found == bytes => return Ok(()),
        Ok(_) => {
            let what = format!("{} has other bytes than this table's", path.display());
            return Err(Failure::new(Exit::Negative, what));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::io("read", &path, &error)),
    }
    let parent = path.parent().unwrap_or(dir);
    fs::create_dir_all(parent).map_err(|error| Failure::io("create", parent, &error))?;
    replace(&path, bytes)
}

/// A file that is there whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    // Without the sync, a power cut might leave an empty tile under its name.
    let put = |mut file: File| file.write_all(bytes).and_then(|()| file.sync_all());
    let write = File::create(&temporary).and_then(put).and_then(|()| fs::rename(&temporary, path));
    write.map_err(|error| Failure::io("write", path, &error))
}
