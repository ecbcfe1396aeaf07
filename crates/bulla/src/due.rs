//! When a checkpoint is made without being asked for.
//!
//! # Invariants
//!
//! - U1. A seal makes one due, and so do the records and the time that [`Every`] says, until it is made.
//! - U2. By records and time at most one is made a second, since the journal keeps a row of each; after a failure it is
//!   tried again after [`RETRY_PAUSE_NANOS`], whatever made it due.
//! - U3. Asking costs a few loads, and the clock only where it can matter.

use bulla_vfs::Clock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The least time between two checkpoints of a log by records or time.
const PAUSE_NANOS: u64 = 1_000_000_000;
/// The time after which a checkpoint that failed is tried again.
const RETRY_PAUSE_NANOS: u64 = 10_000_000_000;

/// How often, beyond seals and closing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Every {
    pub(crate) records: Option<u64>,
    pub(crate) nanos: Option<u64>,
}

impl Every {
    pub(crate) fn new(records: Option<u64>, time: Option<Duration>) -> Self {
        let nanos = time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        Self { records: records.map(|records| records.max(1)), nanos }
    }
}

/// What a log's next checkpoint waits for.
#[derive(Debug)]
pub(crate) struct Due {
    is_sealed: AtomicBool,
    has_failed: AtomicBool,
    /// The size that was checkpointed last, or that the log had when it was opened.
    size: AtomicU64,
    /// When that was, or the last attempt.
    time: AtomicI64,
    failure: Mutex<Option<String>>,
}

impl Due {
    /// For a log of which this much is checkpointed.
    pub(crate) fn new(size: u64, clock: &dyn Clock) -> Self {
        Self {
            is_sealed: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            size: AtomicU64::new(size),
            time: AtomicI64::new(clock.now()),
            failure: Mutex::new(None),
        }
    }

    /// A segment was sealed. Called with the log locked.
    pub(crate) fn sealed(&self) {
        self.is_sealed.store(true, Ordering::Release);
    }

    /// U1 to U3, for a log that ends at `end`.
    pub(crate) fn is_due(&self, end: u64, every: Every, clock: &dyn Clock) -> bool {
        let has_failed = self.has_failed.load(Ordering::Acquire);
        let is_sealed = self.is_sealed.load(Ordering::Acquire);
        if is_sealed && !has_failed {
            return true;
        }
        let added = end.saturating_sub(self.size.load(Ordering::Acquire));
        let is_wanted = added > 0 && every.records.is_some_and(|records| added >= records);
        if !(is_wanted || is_sealed || has_failed || added > 0 && every.nanos.is_some()) {
            return false;
        }
        // A clock that was set back must not keep us waiting.
        let passed = clock.now().abs_diff(self.time.load(Ordering::Acquire));
        if has_failed {
            return passed >= RETRY_PAUSE_NANOS;
        }
        let is_time = added > 0 && every.nanos.is_some_and(|nanos| passed >= nanos);
        (is_wanted || is_time) && passed >= PAUSE_NANOS
    }

    /// To be said before the log is looked at, so that a seal from here on makes another due.
    pub(crate) fn begin(&self) {
        self.is_sealed.store(false, Ordering::Release);
    }

    pub(crate) fn made(&self, size: u64, clock: &dyn Clock) {
        self.size.store(size, Ordering::Release);
        self.time.store(clock.now(), Ordering::Release);
        self.has_failed.store(false, Ordering::Release);
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn failed(&self, why: String, clock: &dyn Clock) {
        self.time.store(clock.now(), Ordering::Release);
        self.has_failed.store(true, Ordering::Release);
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Why the last attempt failed, until one succeeds.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulla_vfs::ManualClock;

    const SECOND: i64 = 1_000_000_000;

    /// U1 and U2.
    #[test]
    fn records_and_time_make_one_due_at_most_once_a_second() {
        let clock = ManualClock::new(0);
        let (by_records, by_time) = (Every::new(Some(10), None), Every::new(None, Some(Duration::from_secs(5))));
        let due = Due::new(100, &clock);
        clock.set(SECOND);
        for (end, is_due) in [(100, false), (109, false), (110, true)] {
            assert_eq!(due.is_due(end, by_records, &clock), is_due, "{end}");
        }
        clock.set(SECOND - 1);
        assert!(!due.is_due(110, by_records, &clock));
        for (time, end, is_due) in [(5 * SECOND - 1, 101, false), (5 * SECOND, 101, true), (9 * SECOND, 100, false)] {
            clock.set(time);
            assert_eq!(due.is_due(end, by_time, &clock), is_due, "{time} {end}");
        }
        due.made(110, &clock);
        assert!(!due.is_due(111, by_time, &clock) && !due.is_due(119, by_records, &clock));
        assert!(!due.is_due(1_000, Every::default(), &clock));
        // Set back by a day.
        clock.set(-86_400 * SECOND);
        assert!(due.is_due(111, by_time, &clock));
    }

    /// U1 and U2.
    #[test]
    fn a_seal_makes_one_due_at_once_and_a_failure_after_a_pause() {
        let clock = ManualClock::new(0);
        let due = Due::new(0, &clock);
        due.sealed();
        assert!(due.is_due(0, Every::default(), &clock));
        due.begin();
        due.failed("no".into(), &clock);
        due.sealed();
        assert_eq!(due.failure().as_deref(), Some("no"));
        clock.set(10 * SECOND - 1);
        assert!(!due.is_due(1, Every::default(), &clock));
        clock.set(10 * SECOND);
        assert!(due.is_due(1, Every::default(), &clock));
        due.begin();
        due.made(1, &clock);
        assert!(!due.is_due(1, Every::default(), &clock) && due.failure().is_none());
    }
}
