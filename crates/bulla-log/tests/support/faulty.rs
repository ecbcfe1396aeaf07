//! A disk that counts what changes it, fails when told to, and shows what a crash after each step would leave.
#![allow(dead_code, reason = "each test file uses a part of it")]

use bulla_vfs::{DirEntry, MemVfs, Metadata, OpenMode, Vfs, VfsFile, VfsLock};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

/// An operation that changes the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create(PathBuf),
    CreateDir(PathBuf),
    Write { path: PathBuf, offset: u64, len: usize },
    SetLen { path: PathBuf, len: u64 },
    Sync(PathBuf),
    Rename(PathBuf),
    Remove(PathBuf),
    SyncDir(PathBuf),
}

/// The operation with this number fails, counted from 0; if it is `for_good`, all later ones of its sort too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) at: u64,
    pub(crate) kind: io::ErrorKind,
    pub(crate) for_good: bool,
    /// Part of the bytes of a write that fails, in 1/4ths, reaches the file.
    pub(crate) quarters_written: usize,
}

/// What is called after each operation.
type Watcher = Box<dyn FnMut(&MemVfs, &Operation) + Send>;

/// What refuses to open a file, or does something first.
type Opening = Arc<dyn Fn(&Path) -> io::Result<()> + Send + Sync>;

#[derive(Default)]
struct State {
    count: u64,
    fault: Option<Fault>,
    watcher: Option<Watcher>,
    /// What is called once, before an operation fails.
    before_fault: Option<Box<dyn FnOnce() + Send>>,
    /// What is called before each read.
    before_read: Option<Arc<dyn Fn() + Send + Sync>>,
    /// What is asked before each opening.
    before_open: Option<Opening>,
    done: Vec<Operation>,
    /// The names of open files, which renames change.
    names: Vec<Weak<Mutex<PathBuf>>>,
}

/// A [`MemVfs`] with faults. Clones share everything.
#[derive(Clone)]
pub(crate) struct Faulty {
    pub(crate) disk: MemVfs,
    state: Arc<Mutex<State>>,
}

impl Faulty {
    pub(crate) fn new(disk: MemVfs) -> Self {
        Self { disk, state: Arc::default() }
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.state.lock().unwrap();
        state.count = 0;
        state.fault = fault;
    }

    pub(crate) fn watch(&self, watcher: impl FnMut(&MemVfs, &Operation) + Send + 'static) {
        self.state.lock().unwrap().watcher = Some(Box::new(watcher));
    }

    pub(crate) fn before_fault(&self, call: impl FnOnce() + Send + 'static) {
        self.state.lock().unwrap().before_fault = Some(Box::new(call));
    }

    pub(crate) fn before_read(&self, call: impl Fn() + Send + Sync + 'static) {
        self.state.lock().unwrap().before_read = Some(Arc::new(call));
    }

    pub(crate) fn before_open(&self, call: impl Fn(&Path) -> io::Result<()> + Send + Sync + 'static) {
        self.state.lock().unwrap().before_open = Some(Arc::new(call));
    }

    /// Operations since the last [`set_fault`](Self::set_fault).
    pub(crate) fn count(&self) -> u64 {
        self.state.lock().unwrap().count
    }

    /// Everything that succeeded so far.
    pub(crate) fn done(&self) -> Vec<Operation> {
        self.state.lock().unwrap().done.clone()
    }

    /// Counts an operation; the error it fails with, if it is its turn.
    fn fault(&self) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let number = state.count;
        state.count += 1;
        state.fault.filter(|fault| number == fault.at || (fault.for_good && number > fault.at))
    }

    fn run<T>(&self, operation: &Operation, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if let Some(fault) = self.fault() {
            // A full disk still cuts, syncs and removes.
            let is_refused = fault.kind != io::ErrorKind::StorageFull
                || !fault.for_good
                || matches!(operation, Operation::Create(_) | Operation::CreateDir(_) | Operation::Write { .. });
            if is_refused {
                let call = self.state.lock().unwrap().before_fault.take();
                if let Some(call) = call {
                    call();
                }
                return Err(fault.kind.into());
            }
        }
        let result = call();
        if result.is_ok() {
            let mut state = self.state.lock().unwrap();
            state.done.push(operation.clone());
            if let Some(watcher) = &mut state.watcher {
                watcher(&self.disk, operation);
            }
        }
        result
    }
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faulty").finish_non_exhaustive()
    }
}

impl Vfs for Faulty {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let opening = self.state.lock().unwrap().before_open.clone();
        if let Some(opening) = opening {
            opening(path)?;
        }
        let call = || self.disk.open(path, mode);
        let file = match mode {
            // A name that is taken is an answer, not an operation.
            OpenMode::Create if self.disk.metadata(path).is_err() => {
                self.run(&Operation::Create(path.to_owned()), call)?
            }
            OpenMode::Create | OpenMode::Read | OpenMode::Write => call()?,
        };
        let path = Arc::new(Mutex::new(path.to_owned()));
        self.state.lock().unwrap().names.push(Arc::downgrade(&path));
        Ok(Arc::new(FaultyFile { file, path, faulty: self.clone() }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if self.disk.metadata(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.run(&Operation::CreateDir(path.to_owned()), || self.disk.create_dir(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.disk.metadata(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(&Operation::Rename(to.to_owned()), || self.disk.rename(from, to))?;
        for name in self.state.lock().unwrap().names.iter().filter_map(Weak::upgrade) {
            let mut name = name.lock().unwrap();
            if *name == from {
                to.clone_into(&mut name);
            }
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.run(&Operation::Remove(path.to_owned()), || self.disk.remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.run(&Operation::Remove(path.to_owned()), || self.disk.remove_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.run(&Operation::SyncDir(path.to_owned()), || self.disk.sync_dir(path))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.disk.lock(path)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_space(dir)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn VfsFile>,
    path: Arc<Mutex<PathBuf>>,
    faulty: Faulty,
}

impl FaultyFile {
    fn path(&self) -> PathBuf {
        self.path.lock().unwrap().clone()
    }
}

impl VfsFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let call = self.faulty.state.lock().unwrap().before_read.clone();
        if let Some(call) = call {
            call();
        }
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let operation = Operation::Write { path: self.path(), offset, len: bytes.len() };
        let result = self.faulty.run(&operation, || self.file.write_at(bytes, offset));
        if result.is_err() {
            let quarters = self.faulty.state.lock().unwrap().fault.map_or(0, |fault| fault.quarters_written);
            self.file.write_at(&bytes[..bytes.len() * quarters / 4], offset)?;
        }
        result
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let operation = Operation::SetLen { path: self.path(), len };
        self.faulty.run(&operation, || self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faulty.run(&Operation::Sync(self.path()), || self.file.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.faulty.run(&Operation::Sync(self.path()), || self.file.sync_all())
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.file.drop_cache()
    }
}
