//! A disk that cannot read some of its bytes, or has no room for another file.

use bulla_vfs::{DirEntry, MemVfs, Metadata, OpenMode, Vfs, VfsFile, VfsLock};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A disk whose files cannot be read from an offset on, and on which perhaps none can be made.
#[derive(Debug)]
pub(crate) struct Failing {
    pub(crate) disk: MemVfs,
    pub(crate) fails_at: u64,
    pub(crate) refuses_creation: bool,
}

#[derive(Debug)]
struct FailingFile {
    file: Arc<dyn VfsFile>,
    fails_at: u64,
}

impl VfsFile for FailingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        // A read that begins before the bad place is short, as on a disk.
        let room = self.fails_at.saturating_sub(offset).min(buffer.len() as u64) as usize;
        if room == 0 && !buffer.is_empty() && offset < self.file.len()? {
            return Err(io::Error::other("the medium failed"));
        }
        self.file.read_at(&mut buffer[..room], offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.file.drop_cache()
    }
}

impl Vfs for Failing {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        if self.refuses_creation && mode == OpenMode::Create {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = self.disk.open(path, mode)?;
        Ok(Arc::new(FailingFile { file, fails_at: self.fails_at }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.disk.metadata(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.disk.lock(path)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_space(dir)
    }
}
