//! The store's lock, shared by everything that writes.
//!
//! # Invariants
//!
//! - K1. The lock is held as long as any log of the store can write: each log keeps a handle (in the guard it asks at
//!   each rotation), so that a table outliving its store still shuts out another writer, and a closed store, whose logs
//!   refuse everything, lets the next one in.

use crate::due::Due;
use crate::error::{Error, io};
use crate::layout::{Layout, sync_dir};
use crate::reserve;
use bulla_log::{Log, LogOptions};
use bulla_vfs::{Host, VfsLock};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The lock on a store's `LOCK` file.
#[derive(Debug)]
pub(crate) struct StoreLock {
    dir: PathBuf,
    held: Mutex<Option<Box<dyn VfsLock>>>,
}

impl StoreLock {
    pub(crate) fn acquire(host: &Host, layout: &Layout) -> Result<Arc<Self>, Error> {
        let path = layout.lock();
        let held = host.fs.lock(&path).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => Error::Locked { dir: layout.dir.clone() },
            _ => io("lock", &path)(error),
        })?;
        // The file may be new.
        sync_dir(host, &layout.dir)?;
        Ok(Arc::new(Self { dir: layout.dir.clone(), held: Mutex::new(Some(held)) }))
    }

    /// Whether nobody else can have the store. Asked before everything that creates or removes.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.ask(|lock| lock.check())
    }

    /// Whether this is the process that locked. Asked before every write.
    fn check_process(&self) -> Result<(), Error> {
        self.ask(|lock| lock.check_process())
    }

    fn ask(&self, question: fn(&dyn VfsLock) -> std::io::Result<()>) -> Result<(), Error> {
        match &*self.held() {
            Some(lock) => question(&**lock).map_err(|source| Error::LockLost { dir: self.dir.clone(), source }),
            None => Err(Error::Closed { dir: self.dir.clone() }),
        }
    }

    /// Lets the next writer in. The caller has closed every log (K1).
    pub(crate) fn release(&self) {
        drop(self.held().take());
    }

    fn held(&self) -> MutexGuard<'_, Option<Box<dyn VfsLock>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Options that tie a log to its store: it keeps the lock (K1), asks for it at each rotation and for its process at each
/// write, its seals carry the
/// journal's head unless it is the journal itself, and make a checkpoint due, and on a full disk it is given the reserve.
pub(crate) fn bound_to_store(
    layout: &Layout,
    lock: &Arc<StoreLock>,
    host: &Host,
    journal: Option<&Log>,
    due: &Arc<Due>,
) -> LogOptions {
    let (journal, due) = (journal.cloned(), Arc::clone(due));
    // Asked for when a seal is made.
    let head = move || {
        due.sealed();
        journal.as_ref()?.head().ok()
    };
    let (own, lock) = (Arc::clone(lock), Arc::clone(lock));
    let process_guard = move || own.check_process().map_err(std::io::Error::other);
    let guard = move || lock.check().map_err(std::io::Error::other);
    let (host, layout) = (host.clone(), layout.clone());
    let make_room = move || reserve::give_up(&host, &layout);
    LogOptions::new()
        .journal_head(Arc::new(head))
        .make_room(Arc::new(make_room))
        .guard(Arc::new(guard))
        .process_guard(Arc::new(process_guard))
}
