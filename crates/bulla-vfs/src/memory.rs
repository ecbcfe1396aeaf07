//! A disk in memory that obeys syncs, and forgets everything else when it crashes.
//!
//! # Invariants
//!
//! - M1. A file after a crash has the bytes and length of its last sync; a file never synced is empty.
//! - M2. A name after a crash is the one of its directory's last sync: creations, renames and removals since are undone,
//!   each directory by itself. What lies in a directory survives only if the directory's own name does.
//! - M3. A handle keeps working on what it opened, whatever becomes of the name.
//! - M4. One lock per file at a time. A lock does not survive a crash.
//! - M5. With a capacity set, no file grows past it, and what is overwritten in place never fails.
//!
//! # Not here
//!
//! Faults. This disk is as good as a disk may be: a crash loses all that was not synced, never a part of it, and no call
//! fails for reasons of the hardware. Worse disks are built around it, by other implementations of [`Vfs`].

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lock::{check_process, replaced};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::{DirEntry, Metadata, OpenMode, Vfs, VfsFile, VfsLock};

mod disk;
mod file;

use disk::{DirNode, Disk, Inode, Node};

/// A disk in memory. Clones share it.
///
/// Paths are taken as text: absolute and relative ones are the same, `/` and the empty path are the root, which always
/// exists, and `..` removes the name before it. There are no links and no permissions.
///
/// # Durability
///
/// None beyond the process. Within it, [`crash`](MemVfs::crash) gives what a disk would hold after the power failed:
/// what was synced, under the names that were synced, and nothing else.
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use bulla_vfs::{MemVfs, OpenMode, Vfs, write_all_at};
///
/// let disk = MemVfs::new();
/// let file = disk.open(Path::new("/new"), OpenMode::Create)?;
/// write_all_at(&*file, b"bytes", 0)?;
/// file.sync_all()?;
/// // The bytes are durable, the name is not: the directory was never synced.
/// assert!(disk.crash().list(Path::new("/"))?.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct MemVfs {
    disk: Arc<Mutex<Disk>>,
}

/// How often a [`MemVfs`] was called since it was made. Failed calls count as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemOperations {
    /// Calls of [`VfsFile::read_at`].
    pub reads: u64,
    /// Calls of [`VfsFile::write_at`].
    pub writes: u64,
    /// Calls of [`VfsFile::sync_data`] and [`VfsFile::sync_all`].
    pub syncs: u64,
    /// Calls of [`Vfs::sync_dir`].
    pub dir_syncs: u64,
    /// Bytes the reads gave.
    pub bytes_read: u64,
    /// Bytes the writes took.
    pub bytes_written: u64,
}

impl MemVfs {
    /// An empty disk of unlimited capacity.
    #[must_use]
    pub fn new() -> MemVfs {
        MemVfs::of(Disk::new())
    }

    fn of(disk: Disk) -> MemVfs {
        MemVfs { disk: Arc::new(Mutex::new(disk)) }
    }

    /// A new, independent disk that holds what this one would after a power failure now (M1, M2), with the same capacity
    /// and counters at zero. This one goes on as if nothing had happened.
    #[must_use]
    pub fn crash(&self) -> MemVfs {
        MemVfs::of(self.disk().after_crash())
    }

    /// Limits the bytes of all files together (M5). Files that are larger already stay as they are.
    ///
    /// A write that fits only in part is short, and one that does not fit at all fails with `StorageFull`. What lies
    /// between the end of a file and a write counts as written.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().capacity = bytes;
    }

    /// How often this disk was called so far.
    #[must_use]
    pub fn operations(&self) -> MemOperations {
        self.disk().operations
    }

    /// The current bytes of a file. Not counted as an operation.
    ///
    /// # Errors
    ///
    /// As [`Vfs::open`].
    pub fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let disk = self.disk();
        Ok(disk.file(disk.find(path)?)?.bytes().to_vec())
    }

    /// Gives a file, created when missing, these bytes. Its directory must exist. Not counted as an operation.
    ///
    /// # Durability
    ///
    /// The bytes and the names along the path, and no others, are durable when this returns.
    ///
    /// # Errors
    ///
    /// As [`Vfs::open`]; `StorageFull` when the bytes do not fit, which leaves the file empty.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        let inode = disk.find(path).or_else(|_| disk.create_file(path))?;
        disk.file_mut(inode)?.set_len(0, 0)?;
        let room = disk.room();
        let file = disk.file_mut(inode)?;
        file.set_len(bytes.len() as u64, room)?;
        file.write_at(bytes, 0, 0)?;
        file.sync();
        disk.sync_path(path)
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        locked(&self.disk)
    }
}

/// A panic inside a call leaves at worst a change half made, as on any disk.
fn locked(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for MemVfs {
    fn default() -> MemVfs {
        MemVfs::new()
    }
}

impl fmt::Debug for MemVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = self.disk();
        f.debug_struct("MemVfs")
            .field("node_count", &disk.node_count())
            .field("capacity", &disk.capacity)
            .field("operations", &disk.operations)
            .finish()
    }
}

impl Vfs for MemVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let mut disk = self.disk();
        let inode = match mode {
            OpenMode::Read | OpenMode::Write => disk.find(path)?,
            OpenMode::Create => disk.create_file(path)?,
        };
        disk.acquire(inode)?;
        Ok(Arc::new(MemFile { disk: Arc::clone(&self.disk), inode, is_writable: mode != OpenMode::Read }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk().create(path, Node::Dir(DirNode::default())).map(drop)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let disk = self.disk();
        let names = &disk.dir(disk.find(dir)?)?.names;
        let entry = |(name, &inode): (&OsString, &Inode)| DirEntry {
            name: name.clone(),
            is_dir: matches!(disk.node(inode), Node::Dir(_)),
        };
        Ok(names.iter().map(entry).collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let disk = self.disk();
        Ok(match disk.node(disk.find(path)?) {
            Node::File(file) => Metadata { len: file.len(), is_dir: false },
            Node::Dir(_) => Metadata { len: 0, is_dir: true },
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk().rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk().remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk().remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.operations.dir_syncs += 1;
        disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        let mut disk = self.disk();
        let inode = disk.find(path).or_else(|_| disk.create_file(path))?;
        disk.file(inode)?;
        if !disk.locked.insert(inode) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        disk.acquire(inode)?;
        let (disk, path) = (Arc::clone(&self.disk), path.to_owned());
        Ok(Box::new(MemLock { disk, path, inode, process: std::process::id() }))
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let disk = self.disk();
        disk.dir(disk.find(dir)?)?;
        Ok(disk.room())
    }
}

/// An open file in memory.
struct MemFile {
    disk: Arc<Mutex<Disk>>,
    inode: Inode,
    is_writable: bool,
}

impl MemFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.is_writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl VfsFile for MemFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = locked(&self.disk);
        disk.operations.reads += 1;
        let count = disk.file(self.inode)?.read_at(buffer, offset);
        disk.operations.bytes_read += count as u64;
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut disk = locked(&self.disk);
        disk.operations.writes += 1;
        self.check_writable()?;
        let room = disk.room();
        let count = disk.file_mut(self.inode)?.write_at(bytes, offset, room)?;
        disk.operations.bytes_written += count as u64;
        Ok(count)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(locked(&self.disk).file(self.inode)?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut disk = locked(&self.disk);
        let room = disk.room();
        disk.file_mut(self.inode)?.set_len(len, room)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = locked(&self.disk);
        disk.operations.syncs += 1;
        disk.file_mut(self.inode)?.sync();
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for MemFile {
    fn drop(&mut self) {
        locked(&self.disk).release(self.inode);
    }
}

impl fmt::Debug for MemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemFile")
            .field("inode", &self.inode)
            .field("is_writable", &self.is_writable)
            .finish_non_exhaustive()
    }
}

/// A lock on a file in memory.
struct MemLock {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
    inode: Inode,
    process: u32,
}

impl VfsLock for MemLock {
    fn check(&self) -> io::Result<()> {
        self.check_process()?;
        match locked(&self.disk).find(&self.path) {
            Ok(inode) if inode == self.inode => Ok(()),
            _ => Err(replaced()),
        }
    }

    fn check_process(&self) -> io::Result<()> {
        check_process(self.process)
    }
}

impl Drop for MemLock {
    fn drop(&mut self) {
        let mut disk = locked(&self.disk);
        disk.locked.remove(&self.inode);
        disk.release(self.inode);
    }
}

impl fmt::Debug for MemLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemLock").field("path", &self.path).field("inode", &self.inode).finish_non_exhaustive()
    }
}
