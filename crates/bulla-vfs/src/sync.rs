//! The locks behind which a log and a disk in memory keep what threads share: std's, unless a checker of schedules runs
//! the tests.
//!
//! Which thread goes next is a part of the world too. Under `--cfg loom` and `--cfg shuttle` these names are those
//! checkers' own types, which hand every choice to the test; in any other build they are std's, and neither checker is
//! compiled.
//!
//! # Invariants
//!
//! - S1. Whatever is held while another of these locks is taken, or while a file is read, written or closed, comes from
//!   here. A lock of std's would stop the checker itself, which runs all threads of a test in one.
//!
//! # Not here
//!
//! `Arc` and `OnceLock`, which wait for nobody as long as S1 holds for what they run; atomics, of which the logs have none.

#[cfg(loom)]
pub use loom::sync::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(shuttle)]
pub use shuttle::sync::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(any(loom, shuttle)))]
pub use std::sync::{Condvar, Mutex, MutexGuard, RwLock};
pub use std::sync::{LockResult, PoisonError};

use std::time::Duration;

/// Waits on `moved` as long as `condition` says, for `timeout` at most. A checker of schedules knows no time: there the
/// wait ends with the condition only, so that a lost wake-up is a test that cannot end.
pub(crate) fn wait_timeout_while<'a, T>(
    moved: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Duration,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    #[cfg(not(loom))]
    return moved.wait_timeout_while(guard, timeout, condition).unwrap_or_else(PoisonError::into_inner).0;
    #[cfg(loom)]
    {
        let (mut guard, mut condition, _) = (guard, condition, timeout);
        while condition(&mut guard) {
            guard = moved.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        guard
    }
}
