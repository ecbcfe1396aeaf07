//! A disk that keeps what a power failure would have left after a sync, and what the end of the process would have left
//! after any operation, and whose syncs can be made to fail.
#![allow(dead_code, reason = "each test file uses a part of it")]

use bulla::vfs::{DirEntry, Metadata, OpenMode, Vfs, VfsFile, VfsLock};
use bulla::{Host, MemVfs};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A [`MemVfs`], and what it would hold after a crash after every so many syncs: only syncs change that.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) disk: MemVfs,
    crashes: Arc<Mutex<(usize, Vec<MemVfs>)>>,
    stride: usize,
    failing: Arc<Mutex<Option<&'static str>>>,
    kills: Arc<Mutex<Option<Vec<MemVfs>>>>,
}

impl Watched {
    pub(crate) fn new(stride: usize) -> Self {
        Self::on(MemVfs::new(), stride)
    }

    pub(crate) fn on(disk: MemVfs, stride: usize) -> Self {
        Self {
            crashes: Arc::new(Mutex::new((0, vec![disk.crash()]))),
            disk,
            stride,
            failing: Arc::default(),
            kills: Arc::default(),
        }
    }

    pub(crate) fn host(&self) -> Host {
        Host { fs: Arc::new(self.clone()), ..Host::memory() }
    }

    pub(crate) fn crashes(&self) -> Vec<MemVfs> {
        self.crashes.lock().unwrap().1.clone()
    }

    /// Keeps a copy of the disk after every operation that changes it, from now on.
    pub(crate) fn watch_kills(&self) {
        *self.kills.lock().unwrap() = Some(Vec::new());
    }

    pub(crate) fn kills(&self) -> Vec<MemVfs> {
        self.kills.lock().unwrap().clone().unwrap_or_default()
    }

    fn changed<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Some(kills) = &mut *self.kills.lock().unwrap() {
            kills.push(copy(&self.disk));
        }
        result
    }

    /// Lets every sync of a file below a directory of that name fail from now on; `None` mends the disk.
    pub(crate) fn fail_syncs(&self, dir: Option<&'static str>) {
        *self.failing.lock().unwrap() = dir;
    }

    fn sync(&self, path: &Path, synced: io::Result<()>) -> io::Result<()> {
        let failing = *self.failing.lock().unwrap();
        if failing.is_some_and(|dir| path.components().any(|name| name.as_os_str() == dir)) {
            return Err(io::Error::other("the disk is dying"));
        }
        self.note(synced)
    }

    fn note(&self, result: io::Result<()>) -> io::Result<()> {
        let (sync_count, crashes) = &mut *self.crashes.lock().unwrap();
        *sync_count += 1;
        if sync_count.is_multiple_of(self.stride) {
            crashes.push(self.disk.crash());
        }
        result
    }
}

/// Another disk with the same content, empty directories included, all of it durable.
pub(crate) fn copy(disk: &MemVfs) -> MemVfs {
    let (copied, mut todo) = (MemVfs::new(), vec![PathBuf::from("/")]);
    while let Some(dir) = todo.pop() {
        for entry in disk.list(&dir).unwrap() {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                copied.create_dir(&path).unwrap();
                todo.push(path);
            } else {
                copied.write_file(&path, &disk.read_file(&path).unwrap()).unwrap();
            }
        }
        copied.sync_dir(&dir).unwrap();
    }
    copied
}

impl Vfs for Watched {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let file = self.disk.open(path, mode)?;
        if mode == OpenMode::Create {
            self.changed(Ok(()))?;
        }
        Ok(Arc::new(WatchedFile { file, path: path.to_owned(), watched: self.clone() }))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.changed(self.disk.create_dir(path))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }
    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.disk.metadata(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.changed(self.disk.rename(from, to))
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.changed(self.disk.remove_file(path))
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.changed(self.disk.remove_dir(path))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.note(self.disk.sync_dir(path))
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.disk.lock(path)
    }
    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_space(dir)
    }
}

#[derive(Debug)]
struct WatchedFile {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    watched: Watched,
}

impl VfsFile for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.watched.changed(self.file.write_at(bytes, offset))
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.watched.changed(self.file.set_len(len))
    }
    fn sync_data(&self) -> io::Result<()> {
        self.watched.sync(&self.path, self.file.sync_data())
    }
    fn sync_all(&self) -> io::Result<()> {
        self.watched.sync(&self.path, self.file.sync_all())
    }
    fn drop_cache(&self) -> io::Result<()> {
        self.file.drop_cache()
    }
}
