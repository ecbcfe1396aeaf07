//! The seam between bulla and the world: files, locks, clocks and randomness.
//!
//! Every layer above takes a [`Host`] and touches nothing else. A host is a file system ([`Vfs`]), a [`Clock`] and a
//! source of [`Random`] bytes, so that a test can run a whole store on a disk it may cut the power of, at a time it
//! sets, with numbers it can repeat. What the traits promise of a disk is docs/DURABILITY.md, A1 to A5.
//!
//! | to have | take |
//! | --- | --- |
//! | the machine as it is | [`Host::os`]: [`OsVfs`], [`OsClock`], [`OsRandom`] |
//! | a disk in memory that obeys syncs and forgets the rest at a crash | [`MemVfs`], or [`Host::memory`] |
//! | time and randomness that repeat | [`ManualClock`], [`SeededRandom`] |
//! | whole reads and writes over files that may do less | [`read_exact_at`], [`read_up_to_at`], [`write_all_at`] |
//! | to wake those who wait for more | [`Signal`] |
//! | pieces of work done by several threads, results in order | [`in_order`] |
//! | to hand something to another program, or another machine, within limits | [`Program`], [`exchange`] |
//! | locks in whose place a checker of schedules can put its own | [`sync`] |
//!
//! # Invariants
//!
//! - V1. Reads and writes are positional. No handle has a cursor that two callers could race for, and nothing is ever
//!   opened for appending, because then the offset of a write would be the kernel's choice.
//! - V2. Each call is one attempt. It may do less than asked and may be interrupted; the loops exist once, in this
//!   crate, above the trait.
//! - V3. An error is the error of the system, untouched, so that its kind and code can be matched.
//! - V4. A lock excludes every other holder, in this process too, and is released by dropping it; its file is never
//!   unlinked.
//!
//! # Not here
//!
//! What is stored in the files, and what to do about an error. Memory maps, whose faults no caller can handle.
//!
//! # Examples
//!
//! ```
//! use std::path::Path;
//! use bulla_vfs::{MemVfs, OpenMode, Vfs, read_exact_at, write_all_at};
//!
//! let disk = MemVfs::new();
//! let file = disk.open(Path::new("/log"), OpenMode::Create)?;
//! write_all_at(&*file, b"kept", 0)?;
//! file.sync_data()?; // The bytes are durable now,
//! disk.sync_dir(Path::new("/"))?; // and the name is.
//! write_all_at(&*file, b"lost", 4)?;
//!
//! let after = disk.crash();
//! assert_eq!(after.read_file(Path::new("/log"))?, b"kept");
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking"))]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this crate is the seam: the one place where files, clocks and sleep are touched"
)]

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod clock;
mod io_loops;
mod lock;
mod memory;
mod net;
mod os;
mod process;
mod random;
mod signal;
pub mod sync;
mod workers;

pub use clock::{Clock, ManualClock, OsClock};
pub use io_loops::{is_full, read_exact_at, read_up_to_at, write_all_at};
pub use lock::VfsLock;
pub use memory::{MemOperations, MemVfs};
pub use net::exchange;
pub use os::OsVfs;
pub use process::{Program, Ran, STDERR_BYTES_MAX};
pub use random::{OsRandom, Random, SeededRandom};
pub use signal::Signal;
pub use workers::{Step, WAITING_MAX, in_order, parallelism};

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Everything a store needs from outside, injected. Cheap to clone.
///
/// # Examples
///
/// A test that wants to hold the disk and the clock in its own hands keeps a clone of each:
///
/// ```
/// use std::sync::Arc;
/// use bulla_vfs::{Clock, Host, ManualClock, MemVfs, SeededRandom};
///
/// let (disk, clock) = (MemVfs::new(), ManualClock::new(1_000));
/// let host = Host::new(Arc::new(disk.clone()), Arc::new(clock.clone()), Arc::new(SeededRandom::new(7)));
/// clock.set(2_000);
/// assert_eq!(host.clock.now(), 2_000);
/// ```
#[derive(Clone, Debug)]
pub struct Host {
    /// Where files are.
    pub fs: Arc<dyn Vfs>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where salts and identifiers come from.
    pub random: Arc<dyn Random>,
}

impl Host {
    /// A host of the three given parts.
    #[must_use]
    pub fn new(fs: Arc<dyn Vfs>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Host {
        Host { fs, clock, random }
    }

    /// The machine as it is.
    #[must_use]
    pub fn os() -> Host {
        Host::new(Arc::new(OsVfs), Arc::new(OsClock), Arc::new(OsRandom))
    }

    /// An empty disk in memory, with the machine's clock and randomness. Two calls give two disks, and clones share one.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    /// use bulla_vfs::{Host, OpenMode};
    ///
    /// let (host, other) = (Host::memory(), Host::memory());
    /// host.fs.open(Path::new("/file"), OpenMode::Create)?;
    /// assert_eq!(host.clone().fs.list(Path::new("/"))?.len(), 1);
    /// assert!(other.fs.list(Path::new("/"))?.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn memory() -> Host {
        Host::new(Arc::new(MemVfs::new()), Arc::new(OsClock), Arc::new(OsRandom))
    }
}

/// How [`Vfs::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// To read. The file must exist.
    Read,
    /// To read and write. The file must exist, and keeps what it holds.
    Write,
    /// To read and write. The file must not exist.
    Create,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name, without its directory.
    pub name: OsString,
    /// Whether the name is a directory's. A symbolic link is not followed, and is not a directory.
    pub is_dir: bool,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Length of the file in bytes; without meaning for a directory.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// A file system, reduced to what a log needs. Open to implement, because faulty disks are written outside.
///
/// # Durability
///
/// Nothing here is durable by itself. What [`VfsFile::sync_data`] and [`Vfs::sync_dir`] returned `Ok` for is
/// (docs/DURABILITY.md, A1); everything else may reach the disk in any order, in part, or not at all (A2).
///
/// # Errors
///
/// The kinds named at the methods are promises, on the usual systems, and callers match on them; any call may also
/// fail in any other way the system knows.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Opens a file.
    ///
    /// # Durability
    ///
    /// The name of a created file is durable once [`sync_dir`](Vfs::sync_dir) of its directory returned.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such file or, for [`OpenMode::Create`], no such directory; `AlreadyExists` for
    /// [`OpenMode::Create`] when the name is taken. A directory cannot be opened to write; opened to read, it may fail
    /// only at the first read.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>>;

    /// Creates a directory. Its parent must exist.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when the name is taken, `NotFound` when the parent is missing.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Names everything in a directory, in any order.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Says what a path leads to.
    ///
    /// # Errors
    ///
    /// `NotFound` when it leads to nothing.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// The one path, without links and dots, that leads where this one does, to tell whether one place lies within
    /// another. The path as it is unless overridden, which is right where there are no links.
    ///
    /// # Errors
    ///
    /// `NotFound` when it leads to nothing.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.metadata(path)?;
        Ok(path.to_owned())
    }

    /// Renames a file or directory, replacing what `to` named before. Handles stay with what they opened.
    ///
    /// # Durability
    ///
    /// Durable once the directory, or each of the two, was synced; a crash before leaves either of old and new, in each
    /// directory by itself. Sync the file first, or the new name may lead to a file without its bytes.
    ///
    /// # Errors
    ///
    /// `NotFound` when `from` or the directory of `to` is missing.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name. Open handles keep working.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// `DirectoryNotEmpty` when something is in it, `NotFound` when there is no such directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable: creations, renames and removals. The name of the directory itself is in
    /// its parent.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such directory.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the exclusive lock on the file at `path`, which is created empty when missing and never unlinked. Does not
    /// wait. Another lock in the same process excludes as another process does.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when somebody holds the lock. On a medium or in a directory that cannot be written, the error of
    /// opening the file.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>>;

    /// Bytes that can still be written below `dir` by this user. `u64::MAX` when there is no limit.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such directory.
    fn free_space(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file, shared freely between threads (V1).
#[expect(clippy::len_without_is_empty, reason = "a file is measured, not asked whether it is empty")]
pub trait VfsFile: Send + Sync + fmt::Debug {
    /// Reads at `offset` into `buffer` and says how many bytes. May be short (V2); 0 is the end of the file, or an
    /// empty buffer. [`read_exact_at`] and [`read_up_to_at`] are the loops.
    ///
    /// # Errors
    ///
    /// `Interrupted` when a signal came first.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at `offset` and says how many bytes. May be short (V2); what lies between the end of the file and `offset`
    /// becomes zeros. [`write_all_at`] is the loop.
    ///
    /// # Durability
    ///
    /// None before a sync.
    ///
    /// # Errors
    ///
    /// `Interrupted` when a signal came first; [`is_full`] knows those that mean there is no room. A handle opened to
    /// read refuses.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Length of the file in bytes, as other handles have left it.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn len(&self) -> io::Result<u64>;

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Durability
    ///
    /// None before a sync.
    ///
    /// # Errors
    ///
    /// [`is_full`] knows those that mean there is no room. A handle opened to read refuses.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes bytes and length durable, not the name, and of the rest (times, permissions) only what reading needs.
    ///
    /// # Durability
    ///
    /// Everything written through any handle of this file before the call survives a crash once it returned `Ok`.
    ///
    /// # Errors
    ///
    /// After an error the bytes may be gone although reads still show them, and the next sync may return `Ok`
    /// (docs/DURABILITY.md, A3): the file cannot be trusted until it was read again from the disk. On Windows the handle
    /// must have been opened to write.
    fn sync_data(&self) -> io::Result<()>;

    /// As [`sync_data`](VfsFile::sync_data), with times and permissions.
    ///
    /// # Errors
    ///
    /// As [`sync_data`](VfsFile::sync_data).
    fn sync_all(&self) -> io::Result<()>;

    /// Asks the system to forget the cached pages of this file, so that the next read comes from the disk. A wish: pages
    /// not yet written stay, and where the system knows no such call nothing happens.
    ///
    /// # Errors
    ///
    /// When the system knows the call and refuses it.
    fn drop_cache(&self) -> io::Result<()>;
}
