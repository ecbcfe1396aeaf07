//! What can go wrong with one segment file.

use bulla_wire::{Position, WireError};
use std::io;
use std::path::{Path, PathBuf};

/// Why a segment could not be opened, read, appended to or sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum SegmentError {
    /// The system refused. After a failed write or sync the segment is spent: open it again.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// Wrong bytes where no crash can leave them.
    #[error("damaged segment {} at offset {offset}, position {position}", path.display())]
    Damaged { path: PathBuf, offset: u64, position: Position, source: WireError },
    /// A later version of the format wrote this; nothing is wrong with it.
    #[error("{} at offset {offset} is of a newer format", path.display())]
    Newer { path: PathBuf, offset: u64, source: WireError },
    /// This build lacks what is needed to read this; nothing is wrong with it.
    #[error("cannot read {} at offset {offset} with this build", path.display())]
    Unsupported { path: PathBuf, offset: u64, source: WireError },
}

impl SegmentError {
    /// The segment file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::Damaged { path, .. }
            | Self::Newer { path, .. }
            | Self::Unsupported { path, .. } => path,
        }
    }

    /// Where in the file, if the file's bytes are at fault.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Io { .. } => None,
            Self::Damaged { offset, .. } | Self::Newer { offset, .. } | Self::Unsupported { offset, .. } => {
                Some(*offset)
            }
        }
    }

    /// Whether bytes are wrong where no crash can leave them.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// Whether a later version of the format wrote the file, or a feature this build lacks.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Newer { .. } | Self::Unsupported { .. })
    }

    /// Whether the disk, a quota or a limit on file size is exhausted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if bulla_vfs::is_full(source))
    }

    /// Whether the file is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// The error for bytes at `offset` that are not what must be there: newer and unsupported ones are told apart.
    pub(crate) fn at(path: &Path, offset: u64, position: Position, source: WireError) -> Self {
        let path = path.to_owned();
        if source.is_newer() {
            Self::Newer { path, offset, source }
        } else if source.is_unsupported() {
            Self::Unsupported { path, offset, source }
        } else {
            Self::Damaged { path, offset, position, source }
        }
    }
}

/// Makes the closure that turns an I/O error into a [`SegmentError::Io`].
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SegmentError {
    move |source| SegmentError::Io { action, path: path.to_owned(), source }
}
