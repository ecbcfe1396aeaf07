//! A file elsewhere.

use super::{AnchorError, AnchorSink, Anchored, Receipt, Taken, folder, io};
use crate::checkpoints;
use bulla_vfs::Host;
use std::path::PathBuf;

/// Appends checkpoints to a file: on another disk, a share that only takes appends, whatever who attacks the store
/// cannot write. The file is what `bulla verify --checkpoint` takes, through
/// [`read_checkpoints`](super::read_checkpoints).
///
/// A checkpoint handed over again is there twice. Directories that are missing are made.
///
/// # Durability
///
/// An entry is synced, and the file's name too, before it counts as taken. The file appears with its first entry in it;
/// what a crash left of a later one is cut off before the next is written.
#[derive(Debug)]
pub struct FileSink {
    name: String,
    host: Host,
    path: PathBuf,
}

impl FileSink {
    /// A sink of this name that appends to `path`.
    #[must_use]
    pub fn new(host: &Host, name: &str, path: impl Into<PathBuf>) -> Self {
        Self { name: name.to_owned(), host: host.clone(), path: path.into() }
    }
}

impl AnchorSink for FileSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, anchored: &mut Anchored<'_>) -> Result<Taken, AnchorError> {
        let store = |error| AnchorError::Store(Box::new(error));
        let shown = anchored.shown();
        match checkpoints::read_file(&self.host, &self.path).map_err(store)? {
            Some(notes) if !notes.entries.is_empty() => {
                checkpoints::append_to(&self.host, &self.path, shown).map_err(store)?;
            }
            // A first entry is never there in part, so this is somebody's file, and nothing of it is cut off.
            Some(_) if self.host.fs.metadata(&self.path).map_err(io("measure", &self.path))?.len > 0 => {
                let what = format!("{} holds something else than checkpoints", self.path.display());
                return Err(AnchorError::Refused { what });
            }
            _ => {
                let bytes = checkpoints::encode(shown).map_err(|what| AnchorError::Refused { what })?;
                folder::write(&self.host, &self.path, &bytes)?;
            }
        }
        Ok(Taken { shown: shown.clone(), receipt: Receipt::None })
    }
}
