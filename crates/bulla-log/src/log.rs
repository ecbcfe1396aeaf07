//! A log open for writing: the handle, and what it can be asked.

use crate::error::LogError;
use crate::options::{Durability, Guard, LogOptions};
use crate::publish::Published;
use crate::recovery::RecoveryReport;
use crate::snapshot::{Snapshot, catch_up};
use crate::tree::Hasher;
use crate::unwind::entered;
use crate::view::{Shared, View};
use crate::writer::{State, Writer};
use bulla_chain::{Frontier, Genesis, TreeHead};
use bulla_vfs::Signal;
use bulla_vfs::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use bulla_wire::{LogId, Position};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Bytes that buffered records may come to before the next append writes them.
pub(crate) const BUFFERED_BYTES_MAX: usize = 1 << 20;

/// A log open for writing. Clones share it, and every method takes `&self`.
///
/// The caller holds the store's lock: a log must be open for writing once.
///
/// # Examples
///
/// ```
/// use bulla_log::{AppendOptions, Durability, Log, LogOptions, NewRow};
/// use bulla_vfs::Host;
/// use bulla_wire::{Kind, LogId, Position, SchemaId, Time};
/// use std::path::Path;
///
/// let (host, dir) = (Host::memory(), Path::new("/log"));
/// let log = Log::create(&host, dir, LogId([1; 16]), &LogOptions::new().origin("example/log"))?;
/// let row = |payload| NewRow { kind: Kind::ROW, time: Time(5), schema: SchemaId(0), payload };
///
/// // Durable unless told otherwise. Position 0 is the genesis record.
/// assert_eq!(log.append(&row(b"one"), AppendOptions::default())?, Position(1));
/// // All or none, here on condition that nobody appended in between.
/// let options = AppendOptions { durability: Durability::Flushed, expected: Some(Position(2)) };
/// assert_eq!(log.append_batch(&[row(b"two"), row(b"three")], options)?, Position(2)..Position(4));
/// assert!(log.append(&row(b"late"), options).unwrap_err().is_conflict());
/// log.close()?;
///
/// let log = Log::open(&host, dir, &LogOptions::new())?;
/// assert_eq!(log.next_position(), Position(4));
/// assert_eq!(log.head()?.size, 4);
/// # Ok::<(), bulla_log::LogError>(())
/// ```
#[derive(Clone)]
pub struct Log {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: LogOptions,
    pub(crate) erasable: bool,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) changed: Condvar,
    pub(crate) tree: Mutex<Tree>,
    pub(crate) published: Published<View>,
    /// From where on the spine is being written anew, if it is. Held while the spine is written.
    pub(crate) spine: Mutex<Option<Position>>,
    pub(crate) report: RecoveryReport,
}

/// The history tree on its way: how far it is hashed, and what it was at the last sync.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) hasher: Hasher,
    pub(crate) durable: Frontier,
}

impl Tree {
    /// What is hashed is durable, and readers can see it.
    pub(crate) fn keep_durable(&mut self) {
        self.durable = self.hasher.frontier().clone();
    }
}

impl Log {
    /// Which log this is.
    #[must_use]
    pub fn id(&self) -> LogId {
        self.inner.shared.id
    }

    /// Where its files are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.shared.dir
    }

    /// Whether its records carry salts.
    #[must_use]
    pub fn is_erasable(&self) -> bool {
        self.inner.erasable
    }

    /// What the log said of itself when it was created; read from its first record.
    ///
    /// # Errors
    ///
    /// Whatever keeps the record from being read; [`LogError::Pruned`] once it was pruned.
    pub fn genesis(&self) -> Result<Genesis, LogError> {
        self.snapshot().genesis()
    }

    /// Brings everything appended so far to the kernel, where it survives the end of this process.
    ///
    /// # Errors
    ///
    /// [`LogError::NoSpace`], after which what was buffered waits on, or a failure that poisons the log.
    pub fn flush(&self) -> Result<(), LogError> {
        self.settle(Durability::Flushed)
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn sync(&self) -> Result<(), LogError> {
        self.settle(Durability::Durable)
    }

    fn settle(&self, durability: Durability) -> Result<(), LogError> {
        let writer = self.inner.lock();
        writer.check_open(self.dir())?;
        let end = writer.next;
        self.inner.commit(writer, end, durability).map(drop)
    }

    /// Seals the active segment and begins the next one; everything appended so far is durable when this returns. A
    /// segment that holds nothing but its seal is left as it is.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn rotate(&self) -> Result<(), LogError> {
        let inner = &*self.inner;
        let mut writer = inner.lock();
        while writer.is_rotating {
            writer = inner.wait(writer);
        }
        writer.check_open(self.dir())?;
        if writer.active.is_none() {
            inner.begin_segment(&mut writer)?;
        } else if writer.is_full_with(u64::MAX, 0) {
            writer = inner.rotate(writer)?;
        }
        inner.push_due_seal(&mut writer);
        drop(writer);
        inner.options.with_room(|| self.sync())
    }

    /// What can be read now: everything that reached the kernel. It never waits for the writer; what is still buffered
    /// is not in it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.inner.snapshot()
    }

    /// Where the next record goes.
    #[must_use]
    pub fn next_position(&self) -> Position {
        self.inner.lock().next
    }

    /// Everything below this position has been synced.
    #[must_use]
    pub fn durable_end(&self) -> Position {
        self.snapshot().durable_end()
    }

    /// The first position still kept.
    #[must_use]
    pub fn floor(&self) -> Position {
        self.snapshot().floor()
    }

    /// The tree head at the durable end.
    ///
    /// # Errors
    ///
    /// After an unclean end the active segment's records are hashed when a head is first asked for: whatever keeps them
    /// from being read.
    pub fn head(&self) -> Result<TreeHead, LogError> {
        let snapshot = self.snapshot();
        let end = snapshot.durable_end();
        let mut tree = self.inner.tree();
        if tree.durable.size() < end.0 && tree.hasher.next() <= end {
            catch_up(&snapshot, &mut tree.hasher, end)?;
            tree.keep_durable();
        }
        let durable = tree.durable.head();
        drop(tree);
        // A commit may have gone on meanwhile; what it made durable is durable.
        if durable.size >= end.0 { Ok(durable) } else { snapshot.head_at(end) }
    }

    /// Whether an earlier failure stopped the log from taking records.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        matches!(self.inner.lock().state, State::Poisoned { .. })
    }

    /// Segments begun since the log was opened.
    #[must_use]
    pub fn rotations(&self) -> u64 {
        self.inner.lock().rotations
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.inner.report
    }

    /// Does one bounded step of deferred work: brings what is buffered to the kernel, and where the spine was found to be
    /// missing or wrong, writes what one segment adds to it. `true` if more is left.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush); and whatever keeps the spine from being written, after which the log goes on.
    pub fn maintain(&self) -> Result<bool, LogError> {
        self.flush()?;
        self.inner.mend_spine()
    }

    /// Notified whenever more became durable, and when the log was closed or poisoned.
    #[must_use]
    pub fn signal(&self) -> Arc<Signal> {
        Arc::clone(self.inner.published.signal())
    }

    /// Makes everything durable, leaves a close frame, and takes no records from now on, through any clone. Closing a
    /// closed log does nothing.
    ///
    /// # Errors
    ///
    /// [`LogError::NoSpace`], after which the log is still open; [`LogError::Poisoned`], after which nothing was written;
    /// or a failure that poisons the log.
    pub fn close(&self) -> Result<(), LogError> {
        self.inner.close()
    }
}

impl Inner {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Writer> {
        entered(self.writer.lock())
    }

    /// Waits for a change. In a fork, where nobody is left to bring one, the log is poisoned instead.
    pub(crate) fn wait<'a>(&'a self, mut writer: MutexGuard<'a, Writer>) -> MutexGuard<'a, Writer> {
        if self.check_process(&mut writer).is_err() {
            return writer;
        }
        entered(self.changed.wait(writer))
    }

    /// Asks whether this is the process that opened the log.
    pub(crate) fn check_process(&self, writer: &mut Writer) -> Result<(), LogError> {
        self.ask(self.options.process_guard.as_ref(), writer)
    }

    /// Asks `guard`; a refusal poisons.
    pub(crate) fn ask(&self, guard: Option<&Guard>, writer: &mut Writer) -> Result<(), LogError> {
        match guard.map_or(Ok(()), |guard| guard()) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(writer, crate::error::io("keep the lock for", &self.shared.dir)(error))),
        }
    }

    pub(crate) fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.published.pin())
    }

    /// Shows readers where the writer stands.
    pub(crate) fn publish(&self, writer: &Writer) {
        self.published.publish(writer.view(&self.shared), |before, now| before.durable_end != now.durable_end);
    }

    /// Wakes everybody who waits for this log.
    pub(crate) fn wake_all(&self) {
        self.changed.notify_all();
        self.published.signal().notify();
    }

    /// Poisons the writer and gives back the cause.
    pub(crate) fn fail(&self, writer: &mut Writer, error: LogError) -> LogError {
        writer.poison(crate::commit::chain_of(&error));
        self.wake_all();
        error
    }
}

impl Drop for Inner {
    /// Best effort: what is still buffered reaches the kernel. Only `close` can say whether it did.
    fn drop(&mut self) {
        let writer = self.lock();
        if matches!(writer.state, State::Open) {
            let end = writer.next;
            if let Err(error) = self.commit(writer, end, Durability::Flushed) {
                tracing::error!(dir = %self.shared.dir.display(), %error, "buffered records were lost");
            }
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("id", &self.id()).field("dir", &self.dir()).finish_non_exhaustive()
    }
}
