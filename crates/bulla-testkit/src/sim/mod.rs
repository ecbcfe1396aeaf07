//! A disk worse than any real one, decided by one seed.
//!
//! It keeps apart what readers see, what a sync made durable and what is on its way, by file and by directory, and from
//! that gives every state a crash may leave ([`DiskState::crashes`]). Calls go wrong when told to ([`Fault`]), and what
//! is at rest rots on demand ([`Image::rot`]). docs/DURABILITY.md, A1 to A5, is what it holds to, and no more.
//!
//! # Invariants
//!
//! - D1. The seed and the calls decide everything.
//! - D2. A crash leaves what A1 promises; anything else of a crash state is up to the seed.
//! - D3. A call that fails changes nothing, except that a failed write may have written a part and a failed sync drops
//!   what it should have made durable.

mod clock;
mod crash;
mod fault;
mod file;
mod image;
mod names;
mod sectors;

pub use clock::SimClock;
pub use crash::{Crash, CrashPlan};
pub use fault::{Call, Fault, Harm};
pub use file::Change;
pub use image::{Image, Rot};
pub use sectors::{SECTOR, Sectors};

use crate::Random;
use bulla_vfs::{DirEntry, Metadata, OpenMode, Vfs, VfsFile, VfsLock};
use file::SimFile;
use names::{Inode, Node, ROOT, SimDir, Tree};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Everything on a disk at one moment: durable, on its way, and seen. Cheap to copy.
#[derive(Clone, Debug)]
pub struct DiskState {
    tree: Tree,
}

/// A call that changed the disk, or what of it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number among all calls.
    pub number: u64,
    /// What it was.
    pub call: Call,
    /// What it was about: for a handle the path it was opened under.
    pub path: PathBuf,
    /// Whether it succeeded; a write or sync that failed may have changed something nevertheless.
    pub is_ok: bool,
}

/// What is called after each operation, outside the disk's lock.
type Watcher = Box<dyn FnMut(&DiskState, &Operation) + Send>;

struct Inner {
    state: DiskState,
    random: Random,
    locked: BTreeSet<Inode>,
    capacity: Option<u64>,
    fault: Option<Fault>,
    fault_count: u64,
    calls: Vec<Call>,
    call_count: u64,
}

/// A simulated disk. Clones share it.
#[derive(Clone)]
pub struct SimDisk {
    inner: Arc<Mutex<Inner>>,
    watcher: Arc<Mutex<Option<Watcher>>>,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_state(seed, DiskState { tree: Tree::new() })
    }

    /// A disk that holds an image, all of it durable.
    #[must_use]
    pub fn of(seed: u64, image: &Image) -> Self {
        Self::with_state(seed, DiskState::of(image))
    }

    fn with_state(seed: u64, state: DiskState) -> Self {
        let inner = Inner {
            state,
            random: Random::new(seed),
            locked: BTreeSet::new(),
            capacity: None,
            fault: None,
            fault_count: 0,
            calls: Vec::new(),
            call_count: 0,
        };
        Self { inner: Arc::new(Mutex::new(inner)), watcher: Arc::default() }
    }

    /// Everything on the disk now.
    #[must_use]
    pub fn state(&self) -> DiskState {
        self.inner().state.clone()
    }

    /// What the next reader would see, as an image of its own.
    #[must_use]
    pub fn seen(&self) -> Image {
        self.inner().state.seen()
    }

    /// Limits the bytes of all files together.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.inner().capacity = bytes;
    }

    /// What goes wrong from now on; calls are counted from the disk's beginning.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.inner().fault = fault;
    }

    /// How many calls there were so far.
    #[must_use]
    pub fn call_count(&self) -> u64 {
        self.inner().call_count
    }

    /// How many calls went wrong so far.
    #[must_use]
    pub fn fault_count(&self) -> u64 {
        self.inner().fault_count
    }

    /// Every call so far, in order: the number of a call is its place here.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.inner().calls.clone()
    }

    /// Calls `watcher` after each operation that changed something.
    pub fn watch(&self, watcher: impl FnMut(&DiskState, &Operation) + Send + 'static) {
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(watcher));
    }

    /// Ends the watching, and drops what watched.
    pub fn unwatch(&self) {
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out one call; `run` hears how it goes wrong, if it does.
    fn call<T>(
        &self,
        call: Call,
        path: &Path,
        run: impl FnOnce(&mut Inner, u64, Option<Harm>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut inner = self.inner();
        let number = inner.call_count;
        inner.call_count += 1;
        inner.calls.push(call);
        let harm = inner.harm(number, call);
        let result = match harm.and_then(Harm::error) {
            // These two do something before they fail.
            Some(error) if !matches!(call, Call::Write | Call::Sync) => Err(error),
            _ => run(&mut inner, number, harm),
        };
        if call.is_change() && (result.is_ok() || harm.is_some()) {
            let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(watcher) = &mut *watcher {
                let state = inner.state.clone();
                drop(inner);
                watcher(&state, &Operation { number, call, path: path.to_owned(), is_ok: result.is_ok() });
            }
        }
        result
    }
}

impl Inner {
    fn harm(&mut self, number: u64, call: Call) -> Option<Harm> {
        let fault = self.fault.filter(|fault| number >= fault.at && fault.harm.befalls(call))?;
        if !fault.for_good {
            self.fault = None;
        }
        self.fault_count += 1;
        Some(fault.harm)
    }

    fn room(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.state.tree.used()))
    }

    fn write(&mut self, inode: Inode, number: u64, bytes: &[u8], offset: u64, harm: Option<Harm>) -> io::Result<usize> {
        let room = self.room();
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let draw = self.random.next_u64() as usize;
        let file = self.state.tree.file_mut(inode)?;
        let fits = (file.current.len() as u64).saturating_add(room).saturating_sub(offset);
        let fitting = bytes.len().min(usize::try_from(fits).unwrap_or(usize::MAX));
        if fitting == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let (count, at) = match harm {
            Some(Harm::ShortWrite) if fitting > 1 => (1 + draw % (fitting - 1), start),
            // What a failed write leaves in the file is anything up to all of it.
            Some(harm) if harm.error().is_some() && harm != Harm::Interrupted => (draw % (fitting + 1), start),
            Some(Harm::Interrupted | Harm::LostWrite) => (0, start),
            Some(Harm::MisdirectedWrite) => (fitting, draw % (file.current.len() + 1) / SECTOR * SECTOR),
            _ => (fitting, start),
        };
        if count > 0 {
            file.change(number, Change::Write { offset: at, bytes: Sectors::of(&bytes[..count]) });
        }
        match harm.and_then(Harm::error) {
            Some(error) => Err(error),
            None if harm == Some(Harm::LostWrite) => Ok(fitting),
            None => Ok(count),
        }
    }

    fn set_len(&mut self, inode: Inode, number: u64, len: u64) -> io::Result<()> {
        let room = self.room();
        let file = self.state.tree.file_mut(inode)?;
        if len.saturating_sub(file.current.len() as u64) > room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        file.change(number, Change::SetLen(len));
        Ok(())
    }

    fn sync(&mut self, inode: Inode, harm: Option<Harm>) -> io::Result<()> {
        let file = match &mut self.state.tree.nodes[inode] {
            Node::File(file) => file,
            Node::Dir(_) => return Err(io::ErrorKind::IsADirectory.into()),
        };
        if let Some(error) = harm.and_then(Harm::error) {
            file.fail_sync(&mut self.random);
            Err(error)
        } else {
            file.sync();
            Ok(())
        }
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").field("call_count", &self.inner().call_count).finish_non_exhaustive()
    }
}

impl Vfs for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let call = match mode {
            OpenMode::Read => Call::OpenRead,
            OpenMode::Write => Call::OpenWrite,
            OpenMode::Create => Call::Create,
        };
        let inode = self.call(call, path, |inner, _, _| {
            let tree = &mut inner.state.tree;
            let inode = match mode {
                OpenMode::Read | OpenMode::Write => tree.find(path)?,
                OpenMode::Create => tree.create(path, Node::File(SimFile::default()))?,
            };
            tree.file(inode).map(|_| inode)
        })?;
        let (disk, path) = (self.clone(), path.to_owned());
        Ok(Arc::new(SimHandle { disk, inode, path, is_writable: mode != OpenMode::Read }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call(Call::CreateDir, path, |inner, _, _| {
            inner.state.tree.create(path, Node::Dir(SimDir::default())).map(drop)
        })
    }

    /// In an order of its own each time (A5).
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.call(Call::List, dir, |inner, _, _| {
            let tree = &inner.state.tree;
            let names = &tree.dir(tree.find(dir)?)?.current;
            let mut entries: Vec<_> = names
                .iter()
                .map(|(name, &inode)| DirEntry {
                    name: name.clone(),
                    is_dir: matches!(tree.nodes[inode], Node::Dir(_)),
                })
                .collect();
            for last in (1..entries.len()).rev() {
                let other = inner.random.below(last as u64 + 1) as usize;
                entries.swap(last, other);
            }
            Ok(entries)
        })
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.call(Call::Metadata, path, |inner, _, _| {
            let tree = &inner.state.tree;
            Ok(match &tree.nodes[tree.find(path)?] {
                Node::File(file) => Metadata { len: file.current.len() as u64, is_dir: false },
                Node::Dir(_) => Metadata { len: 0, is_dir: true },
            })
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Rename, to, |inner, _, _| inner.state.tree.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove, path, |inner, _, _| inner.state.tree.remove(path, false))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove, path, |inner, _, _| inner.state.tree.remove(path, true))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call(Call::SyncDir, path, |inner, _, _| inner.state.tree.sync_dir(path))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        let inode = self.call(Call::Lock, path, |inner, _, _| {
            let tree = &mut inner.state.tree;
            let inode = tree.find(path).or_else(|_| tree.create(path, Node::File(SimFile::default())))?;
            tree.file(inode)?;
            if inner.locked.insert(inode) { Ok(inode) } else { Err(io::ErrorKind::WouldBlock.into()) }
        })?;
        Ok(Box::new(SimLock { disk: self.clone(), inode, path: path.to_owned() }))
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.call(Call::FreeSpace, dir, |inner, _, _| {
            inner.state.tree.dir(inner.state.tree.find(dir)?)?;
            Ok(inner.room())
        })
    }
}

#[derive(Debug)]
struct SimHandle {
    disk: SimDisk,
    inode: Inode,
    path: PathBuf,
    is_writable: bool,
}

impl SimHandle {
    fn check_writable(&self) -> io::Result<()> {
        if self.is_writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl VfsFile for SimHandle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.call(Call::Read, &self.path, |inner, _, harm| {
            let draw = inner.random.next_u64() as usize;
            let wanted = match harm {
                Some(Harm::ShortRead) if buffer.len() > 1 => 1 + draw % (buffer.len() - 1),
                _ => buffer.len(),
            };
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            Ok(inner.state.tree.file(self.inode)?.current.read(start, &mut buffer[..wanted]))
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.check_writable()?;
        self.disk
            .call(Call::Write, &self.path, |inner, number, harm| inner.write(self.inode, number, bytes, offset, harm))
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.call(Call::Len, &self.path, |inner, _, _| Ok(inner.state.tree.file(self.inode)?.current.len() as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        self.disk.call(Call::SetLen, &self.path, |inner, number, _| inner.set_len(self.inode, number, len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.call(Call::Sync, &self.path, |inner, _, harm| inner.sync(self.inode, harm))
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.disk.call(Call::DropCache, &self.path, |inner, _, _| {
            inner.state.tree.file_mut(self.inode)?.drop_cache();
            Ok(())
        })
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    inode: Inode,
    path: PathBuf,
}

impl VfsLock for SimLock {
    fn check(&self) -> io::Result<()> {
        let found = self.disk.inner().state.tree.find(&self.path);
        if found.is_ok_and(|inode| inode == self.inode) {
            Ok(())
        } else {
            Err(io::Error::other("the lock file was removed or replaced"))
        }
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.inner().locked.remove(&self.inode);
    }
}

impl DiskState {
    fn of(image: &Image) -> Self {
        let mut tree = Tree::new();
        for path in &image.dirs {
            if path.file_name().is_some() {
                let created = tree.create(path, Node::Dir(SimDir::default()));
                created.expect("BUG: an image holds a directory without the one above it");
            }
        }
        for (path, bytes) in &image.files {
            let created = tree.create(path, Node::File(SimFile::settled(bytes.clone())));
            created.expect("BUG: an image holds a file without its directory");
        }
        for node in &mut tree.nodes {
            if let Node::Dir(dir) = node {
                dir.durable = dir.current.clone();
                dir.pending.clear();
            }
        }
        Self { tree }
    }

    /// What a reader sees: what the end of the process leaves.
    #[must_use]
    pub fn seen(&self) -> Image {
        self.image(|_, dir| dir.current.clone(), |_, file| file.current.clone())
    }

    /// An image made of a choice of names for each directory and of bytes for each file.
    fn image(
        &self,
        names: impl Fn(Inode, &SimDir) -> BTreeMap<OsString, Inode>,
        bytes: impl Fn(Inode, &SimFile) -> Sectors,
    ) -> Image {
        let mut image = Image::default();
        // A directory is entered once, or one moved below itself would have no end.
        let (mut seen, mut todo) = (BTreeSet::from([ROOT]), vec![(ROOT, PathBuf::from("/"))]);
        while let Some((inode, path)) = todo.pop() {
            let Node::Dir(dir) = &self.tree.nodes[inode] else { continue };
            for (name, inode) in names(inode, dir) {
                let path = path.join(name);
                match &self.tree.nodes[inode] {
                    Node::File(file) => {
                        image.files.insert(path, bytes(inode, file));
                    }
                    Node::Dir(_) if seen.insert(inode) => todo.push((inode, path)),
                    Node::Dir(_) => {}
                }
            }
            image.dirs.insert(path);
        }
        image
    }
}
