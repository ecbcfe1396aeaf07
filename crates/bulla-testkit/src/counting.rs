//! A file system that counts what is asked of it.

use bulla_vfs::{DirEntry, Metadata, OpenMode, Vfs, VfsFile, VfsLock};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What was asked of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that read.
    pub reads: u64,
    /// Bytes they gave.
    pub bytes_read: u64,
    /// Calls that wrote or cut.
    pub writes: u64,
    /// Bytes they took.
    pub bytes_written: u64,
    /// Syncs.
    pub syncs: u64,
}

type Shared = Arc<Mutex<BTreeMap<PathBuf, Counts>>>;

/// Passes everything on, and counts it by the path a file was opened under.
#[derive(Clone, Debug)]
pub struct CountingVfs {
    inner: Arc<dyn Vfs>,
    counts: Shared,
}

impl CountingVfs {
    /// Counts what is asked of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Vfs>) -> Self {
        Self { inner, counts: Shared::default() }
    }

    /// What was asked of every file since the last call, and starts over.
    #[must_use]
    pub fn take(&self) -> BTreeMap<PathBuf, Counts> {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Vfs for CountingVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let inner = self.inner.open(path, mode)?;
        Ok(Arc::new(CountingFile { inner, path: path.to_owned(), counts: Arc::clone(&self.counts) }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.inner.metadata(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.inner.lock(path)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_space(dir)
    }
}

#[derive(Debug)]
struct CountingFile {
    inner: Arc<dyn VfsFile>,
    path: PathBuf,
    counts: Shared,
}

impl CountingFile {
    fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(self.path.clone()).or_default());
    }
}

impl VfsFile for CountingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = self.inner.read_at(buffer, offset)?;
        self.count(|counts| {
            counts.reads += 1;
            counts.bytes_read += len as u64;
        });
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let len = self.inner.write_at(bytes, offset)?;
        self.count(|counts| {
            counts.writes += 1;
            counts.bytes_written += len as u64;
        });
        Ok(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.count(|counts| counts.writes += 1);
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.count(|counts| counts.syncs += 1);
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.count(|counts| counts.syncs += 1);
        self.inner.sync_all()
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.inner.drop_cache()
    }
}
