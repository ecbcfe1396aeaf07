//! What can go wrong with a store, and the questions callers ask of it.

use crate::layout::{NAME_BYTES_MAX, NameOf};
use bulla_chain::{Digest, SignError, TreeHead};
use bulla_log::LogError;
use bulla_table::{CodecError, TableError};
use bulla_wire::Position;
use std::io;
use std::path::{Path, PathBuf};

/// Why a store, a table or a row could not be opened, read or written.
///
/// The causes are in [`source`](std::error::Error::source); the predicates look through them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum Error {
    /// A row could not be read or appended.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A log is at fault.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// There is no store, or only the beginnings of one that a crash interrupted, and none was to be created.
    #[error("no store in {}", dir.display())]
    NoSuchStore { dir: PathBuf },
    /// Something else is there. Nothing was touched.
    #[error("{} is not a store", dir.display())]
    NotAStore { dir: PathBuf },
    /// A new store was asked for and one is there.
    #[error("{} is a store already", dir.display())]
    AlreadyAStore { dir: PathBuf },
    /// A directory that is to be filled is not empty, or lies where it must not. Nothing was touched.
    #[error("{} is not an empty directory outside the store", dir.display())]
    NotEmpty { dir: PathBuf },
    /// A store that is to be repaired was tampered with, which no repair mends. Nothing was written.
    #[error("store {} was tampered with, not damaged: {what}", dir.display())]
    Tampered { dir: PathBuf, what: String },
    /// A part of a store that is to be repaired cannot be judged by this version, or the system refuses to read it.
    #[error("store {} cannot be repaired: {what}", dir.display())]
    NotRepairable { dir: PathBuf, what: String, is_newer: bool },
    /// Another writer, in this process or another, has the store open.
    #[error("store {} is locked by another writer", dir.display())]
    Locked { dir: PathBuf },
    /// The lock file was replaced, or this process was forked: somebody else may be writing.
    #[error("the lock of store {} is no longer held", dir.display())]
    LockLost { dir: PathBuf, source: io::Error },
    /// Tables are there, and the journal that names them is not.
    #[error("the journal of store {} is missing", dir.display())]
    JournalMissing { dir: PathBuf },
    /// A journal record cannot be read.
    #[error("journal record at position {position} of store {} cannot be read", dir.display())]
    JournalRecord { dir: PathBuf, position: Position, source: CodecError },
    /// A journal record contradicts those before it.
    #[error("journal record at position {position} of store {} is wrong: {what}", dir.display())]
    JournalContradiction { dir: PathBuf, position: Position, what: String },
    /// A later version of bulla wrote a journal record.
    #[error("journal record at position {position} of store {} is of a newer format: {what}", dir.display())]
    JournalNewer { dir: PathBuf, position: Position, what: String },
    /// A name breaks the rules.
    #[error(
        "{name:?} cannot name a {of}: 1 to {NAME_BYTES_MAX} of a-z 0-9 . _ - that do not begin with a dot, \
         and \"journal\" is the store's own"
    )]
    BadName { of: NameOf, name: String },
    /// The journal names no such table.
    #[error("no table {table} in store {}", dir.display())]
    NoSuchTable { dir: PathBuf, table: String },
    /// No table of the store has that origin.
    #[error("no table of store {} has the origin {origin:?}", dir.display())]
    NoSuchOrigin { dir: PathBuf, origin: String },
    /// The journal names the table, and its directory is gone.
    #[error("table {table} is missing: {} is gone", dir.display())]
    TableMissing { table: String, dir: PathBuf },
    /// The table was created otherwise than the caller asks for.
    #[error("table {table} was created with {what} {found}, not {asked}")]
    TableDiffers { table: String, what: &'static str, found: String, asked: String },
    /// A checkpoint cannot be noted.
    #[error("no checkpoint can be noted in {}: {what}", path.display())]
    Checkpoint { path: PathBuf, what: String },
    /// A checkpoint that the caller holds has a signature in the name of one of the caller's keys that the key did not make.
    #[error("the checkpoint of {origin} that is held is forged")]
    ForgedCheckpoint { origin: String, source: bulla_chain::NoteError },
    /// The store's checkpoints are signed, and whoever opened it brought no signer. What was appended is safe.
    #[error("store {} signs its checkpoints, and its key was not given; it was in {file:?}", dir.display())]
    KeyNeeded { dir: PathBuf, file: String },
    /// The signer has another key than the store.
    #[error("store {} signs with the key {found}, not with {asked}", dir.display())]
    OtherKey { dir: PathBuf, found: String, asked: String },
    /// The signer refused, or could not be asked.
    #[error("no checkpoint of {origin} is signed")]
    NotSigned { origin: String, source: SignError },
    /// A key file, or what is remembered beside it, is not what it must be.
    #[error("{}: {what}", path.display())]
    KeyFile { path: PathBuf, what: String },
    /// Another process, or another signer in this one, has the key file.
    #[error("the key file {} is in use by another signer", path.display())]
    KeyInUse { path: PathBuf },
    /// The log ends below a head that somebody holds: an older state was put back. Nothing was written.
    #[error("{origin} has {size} records, and a head of {} is held", held.size)]
    HeldMissing { origin: String, held: TreeHead, size: u64 },
    /// The log has another root than a head that somebody holds: it is another history. Nothing was written.
    #[error("{origin} has the root {found} at {}, and the root {} is held", held.size, held.root)]
    HeldFork { origin: String, held: Box<TreeHead>, found: Digest },
    /// The store was closed, and other handles of it were alive: what they do from now on fails.
    #[error("store {} was closed while other handles were alive", dir.display())]
    StillShared { dir: PathBuf },
    /// The store was closed through another handle.
    #[error("store {} is closed", dir.display())]
    Closed { dir: PathBuf },
}

impl Error {
    /// Whether bytes are wrong, or files missing, where no crash can leave that.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Table(source) => source.is_damage(),
            Self::Log(source) => source.is_damage(),
            Self::JournalMissing { .. }
            | Self::JournalRecord { .. }
            | Self::JournalContradiction { .. }
            | Self::TableMissing { .. } => true,
            _ => false,
        }
    }

    /// Whether what was asked for, or a part of it, is not there: a store, a table, a segment.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Table(source) => source.is_missing(),
            Self::Log(source) => source.is_missing(),
            Self::NoSuchStore { .. }
            | Self::JournalMissing { .. }
            | Self::NoSuchTable { .. }
            | Self::NoSuchOrigin { .. }
            | Self::TableMissing { .. }
            | Self::HeldMissing { .. } => true,
            _ => false,
        }
    }

    /// Whether what is there contradicts what was proven of it: somebody made it another.
    #[must_use]
    pub fn is_tampered(&self) -> bool {
        matches!(self, Self::Tampered { .. } | Self::HeldFork { .. })
    }

    /// Whether another writer has the store, or another signer the key.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::KeyInUse { .. })
    }

    /// Whether the disk, a quota or a limit on file size is exhausted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Table(source) => source.is_full(),
            Self::Log(source) => source.is_full(),
            Self::Io { source, .. } => bulla_vfs::is_full(source),
            _ => false,
        }
    }

    /// Whether the record asked for was pruned.
    #[must_use]
    pub fn is_pruned(&self) -> bool {
        match self {
            Self::Table(source) => source.is_pruned(),
            Self::Log(source) => source.is_pruned(),
            _ => false,
        }
    }

    /// Whether a later version of bulla, or a build with more features, wrote this.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        match self {
            Self::Table(source) => source.is_newer(),
            Self::Log(source) => source.is_newer(),
            Self::JournalNewer { .. } => true,
            Self::NotRepairable { is_newer, .. } => *is_newer,
            _ => false,
        }
    }

    /// Whether an earlier failure stopped writing until the store is opened again.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        match self {
            Self::Table(source) => source.is_poisoned(),
            Self::Log(source) => source.is_poisoned(),
            Self::LockLost { .. } => true,
            _ => false,
        }
    }

    /// Whether the caller's condition on the next position did not hold.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Table(source) => source.is_conflict(),
            Self::Log(source) => source.is_conflict(),
            _ => false,
        }
    }

    /// Whether the directory holds something that is no store.
    #[must_use]
    pub fn is_not_a_store(&self) -> bool {
        matches!(self, Self::NotAStore { .. })
    }

    /// The file or directory at fault.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Table(source) => source.path(),
            Self::Log(source) => source.path(),
            Self::Io { path, .. }
            | Self::Checkpoint { path, .. }
            | Self::KeyFile { path, .. }
            | Self::KeyInUse { path } => Some(path),
            Self::NoSuchStore { dir }
            | Self::NotAStore { dir }
            | Self::AlreadyAStore { dir }
            | Self::NotEmpty { dir }
            | Self::Tampered { dir, .. }
            | Self::NotRepairable { dir, .. }
            | Self::Locked { dir }
            | Self::LockLost { dir, .. }
            | Self::JournalMissing { dir }
            | Self::JournalRecord { dir, .. }
            | Self::JournalContradiction { dir, .. }
            | Self::JournalNewer { dir, .. }
            | Self::NoSuchTable { dir, .. }
            | Self::NoSuchOrigin { dir, .. }
            | Self::TableMissing { dir, .. }
            | Self::KeyNeeded { dir, .. }
            | Self::OtherKey { dir, .. }
            | Self::StillShared { dir }
            | Self::Closed { dir } => Some(dir),
            Self::BadName { .. }
            | Self::ForgedCheckpoint { .. }
            | Self::TableDiffers { .. }
            | Self::NotSigned { .. }
            | Self::HeldMissing { .. }
            | Self::HeldFork { .. } => None,
        }
    }

    /// The position at fault, where there is one.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Table(source) => source.position(),
            Self::Log(source) => source.position(),
            Self::JournalRecord { position, .. }
            | Self::JournalContradiction { position, .. }
            | Self::JournalNewer { position, .. } => Some(*position),
            _ => None,
        }
    }

    /// The offset in [`path`](Self::path) at fault, where there is one.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Table(source) => source.offset(),
            Self::Log(source) => source.offset(),
            _ => None,
        }
    }
}

impl Error {
    /// The error and its causes. A cause whose words the line ends with already is not said twice.
    pub(crate) fn in_one_line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let words = error.to_string();
            if !line.ends_with(&words) {
                line = format!("{line}: {words}");
            }
            cause = error.source();
        }
        line
    }
}

/// Makes the closure that turns an I/O error into an [`Error::Io`].
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { action, path: path.to_owned(), source }
}
