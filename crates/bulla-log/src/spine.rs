//! Nodes of the history tree at heights 8, 16 and 24, kept in a file so that a proof is made from a few short reads.
//!
//! Bytes: docs/FORMAT.md, "Spine". Steps and what a crash leaves: docs/DURABILITY.md, W3 and W4.
//!
//! # Invariants
//!
//! - S1. The spine is a cache: without it, or with one that is wrong or cannot be read, every answer is the same and takes
//!   longer.
//! - S2. Before a footer or close frame is written, every node that it covers is in the file and synced; unless the disk
//!   was full or the file could not be read, and then the nodes are missing, not wrong.
//! - S3. A node is right or missing, or somebody changed it: whoever uses one checks what comes of it against a root.

use crate::error::{LogError, io};
use crate::log::Inner;
use crate::snapshot::{catch_up, frontier_of};
use crate::tree::Hasher;
use crate::writer::Writer;
use bulla_chain::{Digest, NodeAddress};
use bulla_segment::SegmentFile;
use bulla_vfs::sync::PoisonError;
use bulla_vfs::{Host, OpenMode, VfsFile, read_up_to_at, write_all_at};
use bulla_wire::{
    LogId, Position, SPINE_HEADER_LEN, SPINE_HEIGHTS, SPINE_TILE_LEN, SpineHeader, WireError, spine_offset,
};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file's name in the log's directory.
pub(crate) const SPINE: &str = "spine";
const NODE_LEN: usize = 32;
/// Nodes in a tile.
pub(crate) const TILE_NODES: u64 = SPINE_TILE_LEN / NODE_LEN as u64;

/// A node and its place in the tree.
pub(crate) type Node = (NodeAddress, Digest);

/// Whether nodes of this height are kept.
pub(crate) fn is_kept(height: u8) -> bool {
    SPINE_HEIGHTS.contains(&height)
}

/// A log's spine, open.
#[derive(Clone, Debug)]
pub(crate) struct Spine {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
}

/// What lies where a log's spine belongs.
enum Found {
    Nothing,
    /// Its header is not one, or another log's.
    Useless(Spine),
    /// A later version wrote it, and it stays as it is.
    Newer,
    /// It cannot be opened, or its header cannot be read. It stays as it is too.
    Unreadable(LogError),
    Spine(Spine),
}

impl Spine {
    /// The spine of the log in `dir`, to read; `None` if there is none that could be used.
    pub(crate) fn open(host: &Host, dir: &Path, log: LogId) -> Result<Option<Self>, LogError> {
        match find(host, dir, log, OpenMode::Read) {
            Found::Spine(spine) => Ok(Some(spine)),
            Found::Unreadable(error) => Err(error),
            Found::Nothing | Found::Useless(_) | Found::Newer => Ok(None),
        }
    }

    /// One tile: as many nodes as the file has of it; those of zeros were not written.
    pub(crate) fn tile(&self, height: u8, tile: u64) -> Result<Vec<Digest>, LogError> {
        let Some(offset) = tile.checked_mul(TILE_NODES).and_then(|index| spine_offset(height, index)) else {
            return Ok(Vec::new());
        };
        let mut bytes = vec![0; SPINE_TILE_LEN as usize];
        let len = read_up_to_at(&*self.file, &mut bytes, offset).map_err(io("read", &self.path))?;
        let (nodes, _) = bytes.get(..len).unwrap_or_default().as_chunks::<NODE_LEN>();
        Ok(nodes.iter().copied().map(Digest).collect())
    }
}

/// Writes nodes, and makes them durable; `false` if there is a file that cannot be read, of which nothing is changed. One
/// caller at a time.
///
/// # Errors
///
/// An I/O failure. One that [is for lack of space](LogError::is_refused_for_space) leaves the file as long as it was.
pub(crate) fn write(host: &Host, dir: &Path, log: LogId, nodes: &[Node]) -> Result<bool, LogError> {
    let runs = runs(nodes);
    if runs.is_empty() {
        return Ok(true);
    }
    let (spine, is_new) = match find(host, dir, log, OpenMode::Write) {
        Found::Newer => return Ok(true),
        Found::Unreadable(error) => {
            tracing::warn!(dir = %dir.display(), %error, "the spine cannot be read and is left as it is");
            return Ok(false);
        }
        Found::Spine(spine) => (spine, false),
        Found::Useless(spine) => {
            spine.file.set_len(0).map_err(io("set the length of", &spine.path))?;
            (spine, true)
        }
        Found::Nothing => {
            let path = dir.join(SPINE);
            let file = host.fs.open(&path, OpenMode::Create).map_err(io("create", &path))?;
            (Spine { file, path }, true)
        }
    };
    let Spine { file, path } = &spine;
    let len = file.len().map_err(io("measure", path))?;
    let header = is_new.then(|| (0, SpineHeader { log }.encode()));
    for (offset, bytes) in header.into_iter().chain(runs) {
        if let Err(error) = write_all_at(&**file, &bytes, offset) {
            // Half a node behind the end would be a wrong one once the file grows past it.
            file.set_len(len).map_err(io("set the length of", path))?;
            return Err(io("write", path)(error));
        }
    }
    file.sync_data().map_err(io("sync", path))?;
    if is_new {
        host.fs.sync_dir(dir).map_err(io("sync", dir))?;
    }
    Ok(true)
}

impl Inner {
    /// S2. Writes the nodes that were completed since the last time; everything they are over is durable.
    pub(crate) fn write_spine(&self, writer: &mut Writer) -> Result<(), LogError> {
        let nodes = self.tree().hasher.take_completed();
        let mending = self.spine.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.options.with_room(|| self.write_nodes(&nodes));
        drop(mending);
        match written {
            Err(error) if error.is_refused_for_space() => {
                tracing::warn!(dir = %self.shared.dir.display(), %error, "the spine lacks nodes until there is room");
                self.shared.doubt_spine();
                Ok(())
            }
            Err(error) => Err(self.fail(writer, error)),
            Ok(true) => Ok(()),
            Ok(false) => {
                self.shared.doubt_spine();
                Ok(())
            }
        }
    }

    fn write_nodes(&self, nodes: &[Node]) -> Result<bool, LogError> {
        write(&self.shared.host, &self.shared.dir, self.shared.id, nodes)
    }

    /// Writes what one segment adds to a spine that is missing, too short, or was found to be wrong; whether more is left.
    pub(crate) fn mend_spine(&self) -> Result<bool, LogError> {
        let snapshot = self.snapshot().durable();
        let mut mending = self.spine.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.take_spine_doubt() {
            *mending = Some(snapshot.floor());
        }
        let Some(from) = *mending else { return Ok(false) };
        // Hashing takes a while, and a rotation may want to write meanwhile.
        drop(mending);
        let view = snapshot.view();
        let active = view.active.as_ref().map(|active| &active.opened.file).filter(|file| file.header().base <= from);
        let sealed = view.sealed.iter().find(|sealed| sealed.positions.contains(&from));
        let (frontier, end) = match (active, sealed) {
            (Some(file), _) => (Some(frontier_of(file)?), snapshot.end()),
            (None, Some(found)) => {
                let file = SegmentFile::open(&self.shared.host, &found.path, OpenMode::Read)?;
                (Some(frontier_of(&file)?), found.positions.end)
            }
            (None, None) => (None, snapshot.end()),
        };
        let mut nodes = Vec::new();
        if let Some(frontier) = frontier {
            let mut hasher = Hasher::new(frontier);
            catch_up(&snapshot, &mut hasher, end)?;
            nodes = hasher.take_completed();
        }
        let mut mending = self.spine.lock().unwrap_or_else(PoisonError::into_inner);
        let is_written = self.write_nodes(&nodes)?;
        // Where nothing can be written, whoever misses a node next asks for it again.
        let is_more = is_written && end < snapshot.end();
        // Somebody else may have come further meanwhile, or begun anew.
        if *mending == Some(from) {
            *mending = is_more.then_some(end);
        }
        Ok(is_more)
    }

    /// Asks for the length of the spine; one that cannot reach as far as a tree of `size` leaves is to be mended.
    pub(crate) fn look_at_spine(&self, size: Position) {
        let Some(last) = (size.0 >> 8).checked_sub(1).and_then(|index| spine_offset(8, index)) else { return };
        let found = self.shared.host.fs.metadata(&self.shared.dir.join(SPINE));
        let is_short = match found {
            Ok(found) => found.len < last + NODE_LEN as u64,
            // What cannot be asked for will be missed by whoever wants it.
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        if is_short {
            self.shared.doubt_spine();
        }
    }
}

/// Nodes as the fewest writes, in the order of offsets.
fn runs(nodes: &[Node]) -> Vec<(u64, Vec<u8>)> {
    let places =
        nodes.iter().filter_map(|(address, digest)| Some((spine_offset(address.height, address.index)?, digest)));
    let places: BTreeMap<u64, &Digest> = places.collect();
    let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
    for (offset, digest) in places {
        match runs.last_mut() {
            Some((start, bytes)) if *start + bytes.len() as u64 == offset => bytes.extend_from_slice(&digest.0),
            _ => runs.push((offset, digest.0.to_vec())),
        }
    }
    runs
}

fn find(host: &Host, dir: &Path, log: LogId, mode: OpenMode) -> Found {
    let path = dir.join(SPINE);
    let file = match host.fs.open(&path, mode) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Found::Nothing,
        Err(error) => return Found::Unreadable(io("open", &path)(error)),
    };
    let mut bytes = [0; SPINE_HEADER_LEN];
    let len = match read_up_to_at(&*file, &mut bytes, 0) {
        Ok(len) => len,
        Err(error) => return Found::Unreadable(io("read", &path)(error)),
    };
    let spine = Spine { file, path };
    match SpineHeader::decode(bytes.get(..len).unwrap_or_default()) {
        Ok(header) if header.log == log => Found::Spine(spine),
        Err(WireError::Newer { .. }) => Found::Newer,
        Ok(_) | Err(_) => Found::Useless(spine),
    }
}
