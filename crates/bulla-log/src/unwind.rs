//! What becomes of a log when a thread panics at work on it, in a file system or callback of the caller's, say.
//!
//! # Invariants
//!
//! - U1. The log is poisoned: what the thread was doing is neither done nor undone.
//! - U2. Nobody waits for ever for what that thread would have done.

use crate::log::Inner;
use crate::writer::Writer;
use bulla_vfs::sync::{LockResult, MutexGuard, PoisonError};

/// Held while a thread works without the lock that others wait for.
pub(crate) struct Unlocked<'a>(pub(crate) &'a Inner);

impl Drop for Unlocked<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut writer = self.0.lock();
            poison(&mut writer);
            drop(writer);
            self.0.wake_all();
        }
    }
}

/// Held while a thread works under the lock. It goes before the lock does, so those it wakes find the lock poisoned.
pub(crate) struct Locked<'a>(pub(crate) &'a Inner);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.wake_all();
        }
    }
}

/// The lock, and if a thread panicked under it, a writer that takes no records any more.
pub(crate) fn entered(locked: LockResult<MutexGuard<'_, Writer>>) -> MutexGuard<'_, Writer> {
    let is_poisoned = locked.is_err();
    let mut writer = locked.unwrap_or_else(PoisonError::into_inner);
    if is_poisoned {
        poison(&mut writer);
    }
    writer
}

fn poison(writer: &mut Writer) {
    writer.poison("a thread panicked at work on it".to_owned());
}
