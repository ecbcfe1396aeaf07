//! The exclusive lock on a file, and the watch over its identity (docs/DURABILITY.md, W7).
//!
//! An advisory lock belongs to a file, not to its name. Whoever unlinks the lock file and makes a new one lets a second
//! writer in beside the first, and a forked child shares its parent's lock without having asked for it. Neither can be
//! prevented, so both are checked for.
//!
//! # Invariants
//!
//! - K1. When `acquire` returns, the path named the locked file at a moment after it was locked.
//! - K2. `check` says `Ok` only when the path names the locked file still and the caller is the process that locked it.
//! - K3. A forked child never releases its parent's lock, and a lock dropped by its owner is released even while a child
//!   still holds a copy of the descriptor.
//!
//! fs2 is called by path because std has methods of the same names.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// How often a lock file may be replaced while it is being locked before that is an error.
const ATTEMPT_COUNT_MAX: usize = 16;

/// An exclusive lock that is held; dropping releases it.
pub trait VfsLock: Send + Sync + fmt::Debug {
    /// Whether this is still the lock: the path names the file that was locked (same device and inode), and this is the
    /// process that locked it. Where files have no inode numbers, only that the path exists.
    ///
    /// # Errors
    ///
    /// When it is not, or when the path cannot be looked at. Somebody else may then hold a lock under the same name, so
    /// the caller must stop writing.
    fn check(&self) -> io::Result<()>;

    /// Whether this is the process that locked; the cheap part of [`check`](Self::check), to be asked before every write.
    /// Asks for the whole unless overridden.
    ///
    /// # Errors
    ///
    /// When it is another: a forked child, which must not write.
    fn check_process(&self) -> io::Result<()> {
        self.check()
    }
}

/// A lock on a file of the machine.
#[derive(Debug)]
pub(crate) struct OsLock {
    file: File,
    /// Absolute, so that a later change of the working directory does not make it name another file.
    path: PathBuf,
    process: u32,
}

impl OsLock {
    /// Locks the file at `path`, which is created when missing.
    pub(crate) fn acquire(path: &Path) -> io::Result<OsLock> {
        OsLock::acquire_with(path, |path| {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
        })
    }

    fn acquire_with(path: &Path, mut open: impl FnMut(&Path) -> io::Result<File>) -> io::Result<OsLock> {
        let path = std::path::absolute(path)?;
        for _ in 0..ATTEMPT_COUNT_MAX {
            let file = open(&path)?;
            fs2::FileExt::try_lock_exclusive(&file).map_err(contended)?;
            let lock = OsLock { file, path: path.clone(), process: std::process::id() };
            // Between opening and locking, the holder before us may have lost the file to somebody who unlinked it.
            if lock.is_at_path()? {
                return Ok(lock);
            }
        }
        Err(io::Error::other("the lock file is replaced again and again"))
    }

    #[cfg(unix)]
    fn is_at_path(&self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let held = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(named) => Ok((held.dev(), held.ino()) == (named.dev(), named.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Without inode numbers in std, a file put in the place of another is not noticed.
    #[cfg(not(unix))]
    fn is_at_path(&self) -> io::Result<bool> {
        fs::exists(&self.path)
    }
}

impl VfsLock for OsLock {
    fn check(&self) -> io::Result<()> {
        self.check_process()?;
        if self.is_at_path()? { Ok(()) } else { Err(replaced()) }
    }

    fn check_process(&self) -> io::Result<()> {
        check_process(self.process)
    }
}

impl Drop for OsLock {
    /// K3. Closing the file is not enough, since a child that is about to `exec` may hold a copy of it for a moment.
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // Should unlocking fail, closing the file, which follows, releases as well.
            drop(fs2::FileExt::unlock(&self.file));
        }
    }
}

/// Refuses a process other than the one that locked.
pub(crate) fn check_process(process: u32) -> io::Result<()> {
    if process == std::process::id() { Ok(()) } else { Err(io::Error::other("the lock belongs to the parent process")) }
}

/// The path names another file than the locked one, or none.
pub(crate) fn replaced() -> io::Error {
    io::Error::other("the lock file was removed or replaced")
}

/// Gives contention one kind on every system: Windows reports it under a code of its own, without a kind.
fn contended(error: io::Error) -> io::Error {
    if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() {
        io::Error::new(io::ErrorKind::WouldBlock, error)
    } else {
        error
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn create(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    }

    /// K1. The file is unlinked between open and lock: the lock lands on the file that has the name in the end.
    #[test]
    fn a_file_replaced_while_it_is_locked_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let mut opened = 0;
        let lock = OsLock::acquire_with(&path, |path| {
            opened += 1;
            let file = create(path)?;
            if opened < 3 {
                fs::remove_file(path)?;
            }
            Ok(file)
        });
        lock.unwrap().check().unwrap();
        assert_eq!(opened, 3);
    }

    #[test]
    fn a_file_replaced_for_ever_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = 0;
        let lock = OsLock::acquire_with(&dir.path().join("LOCK"), |path| {
            opened += 1;
            let file = create(path)?;
            fs::remove_file(path)?;
            Ok(file)
        });
        assert!(lock.is_err());
        assert_eq!(opened, ATTEMPT_COUNT_MAX);
    }

    /// K2 and K3. A child is played by another process id and the descriptor it would share by a duplicate.
    #[test]
    fn a_forked_child_is_refused_and_does_not_release() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let mut lock = OsLock::acquire(&path).unwrap();
        let shared = lock.file.try_clone().unwrap();
        lock.process = std::process::id().wrapping_add(1);
        assert!(lock.check().is_err() && lock.check_process().is_err());
        drop(lock);
        assert_eq!(OsLock::acquire(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(shared);
        OsLock::acquire(&path).unwrap();
    }

    /// K2. What is asked before every write does not look at the disk, and so misses a file that was replaced.
    #[test]
    fn the_owner_passes_the_cheap_check_whatever_the_path_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let lock = OsLock::acquire(&path).unwrap();
        fs::remove_file(&path).unwrap();
        lock.check_process().unwrap();
        assert!(lock.check().is_err());
    }

    /// K3. The owner's drop releases although the descriptor lives on elsewhere.
    #[test]
    fn the_owner_releases_while_a_child_holds_the_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let lock = OsLock::acquire(&path).unwrap();
        let shared = lock.file.try_clone().unwrap();
        drop(lock);
        OsLock::acquire(&path).unwrap();
        drop(shared);
    }
}
