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

#[cfg(test)]
mod tests {
    use super::*;

    /// One error, one class: what callers ask is true of the errors it is meant for and of no other.
    #[test]
    fn an_error_is_of_one_class_and_says_where() {
        let path = Path::new("/log/00000000000000000000.seg");
        let io = |kind: io::ErrorKind| io("write", path)(kind.into());
        let at = |source| SegmentError::at(path, 640, Position(9), source);
        let cases = [
            (io(io::ErrorKind::Other), [false; 4], None, "cannot write /log/00000000000000000000.seg"),
            (
                io(io::ErrorKind::NotFound),
                [false, false, false, true],
                None,
                "cannot write /log/00000000000000000000.seg",
            ),
            (
                io(io::ErrorKind::StorageFull),
                [false, false, true, false],
                None,
                "cannot write /log/00000000000000000000.seg",
            ),
            (
                at(WireError::Magic { what: "frame header" }),
                [true, false, false, false],
                Some(640),
                "damaged segment /log/00000000000000000000.seg at offset 640, position 9",
            ),
            (
                at(WireError::Newer { what: "frame header", field: "flags", value: 32 }),
                [false, true, false, false],
                Some(640),
                "/log/00000000000000000000.seg at offset 640 is of a newer format",
            ),
            (
                at(WireError::Unsupported { name: "lz4" }),
                [false, true, false, false],
                Some(640),
                "cannot read /log/00000000000000000000.seg at offset 640 with this build",
            ),
        ];
        for (error, classes, offset, text) in cases {
            let found = [error.is_damage(), error.is_newer(), error.is_full(), error.is_not_found()];
            assert_eq!((found, error.offset(), error.path()), (classes, offset, path), "{error:?}");
            assert_eq!(error.to_string(), text);
        }
    }
}
