//! What time it is, how much has passed, and waiting.
//!
//! # Invariants
//!
//! - T1. `now` may jump either way, as clocks do; `monotonic` never goes back.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Nanoseconds since the Unix epoch, UTC, negative before it; the nearest `i64` when out of range. Jumps when
    /// somebody sets the clock.
    fn now(&self) -> i64;

    /// Time passed since an arbitrary start, the same for all callers. Never goes back.
    fn monotonic(&self) -> Duration;

    /// Returns once `duration` has passed by [`monotonic`](Clock::monotonic).
    fn sleep(&self, duration: Duration);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsClock;

/// Where [`OsClock::monotonic`] counts from: the first question.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for OsClock {
    fn now(&self) -> i64 {
        since_epoch(SystemTime::now())
    }

    fn monotonic(&self) -> Duration {
        START.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }
}

fn since_epoch(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => nanoseconds(after),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanoseconds| -nanoseconds),
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A clock that stands still until it is moved. For tests and examples. Clones share the time.
///
/// Sleeping moves it, so nothing that waits on this clock takes any real time.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use bulla_vfs::{Clock, ManualClock};
///
/// let clock = ManualClock::new(1_000);
/// clock.sleep(Duration::from_nanos(5));
/// assert_eq!((clock.now(), clock.monotonic()), (1_005, Duration::from_nanos(5)));
/// clock.set(0); // Somebody sets the clock back: no time has passed.
/// assert_eq!((clock.now(), clock.monotonic()), (0, Duration::from_nanos(5)));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    /// `now`, and how much has passed since the clock was made.
    time: Arc<Mutex<(i64, Duration)>>,
}

impl ManualClock {
    /// A clock that shows `now_ns`, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn new(now_ns: i64) -> ManualClock {
        ManualClock { time: Arc::new(Mutex::new((now_ns, Duration::ZERO))) }
    }

    /// Makes [`now`](Clock::now) show `now_ns`, without time passing.
    pub fn set(&self, now_ns: i64) {
        self.time().0 = now_ns;
    }

    /// Lets `duration` pass.
    pub fn advance(&self, duration: Duration) {
        let mut time = self.time();
        *time = (time.0.saturating_add(nanoseconds(duration)), time.1.saturating_add(duration));
    }

    fn time(&self) -> MutexGuard<'_, (i64, Duration)> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> i64 {
        self.time().0
    }

    fn monotonic(&self) -> Duration {
        self.time().1
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_zero_and_times_before_it_are_negative() {
        let table = [
            (UNIX_EPOCH, 0),
            (UNIX_EPOCH + Duration::new(1, 2), 1_000_000_002),
            (UNIX_EPOCH - Duration::new(1, 2), -1_000_000_002),
            (UNIX_EPOCH + Duration::from_secs(1 << 40), i64::MAX),
            (UNIX_EPOCH - Duration::from_secs(1 << 40), i64::MIN),
        ];
        for (time, expected) in table {
            assert_eq!(since_epoch(time), expected, "{time:?}");
        }
    }

    /// T1.
    #[test]
    fn the_machine_sleeps_at_least_as_long_as_asked() {
        let before = OsClock.monotonic();
        OsClock.sleep(Duration::from_millis(2));
        assert!(OsClock.monotonic() >= before + Duration::from_millis(2));
    }

    #[test]
    fn the_machine_has_a_clock_after_2020() {
        assert!(OsClock.now() > 1_577_836_800_000_000_000);
    }

    #[test]
    fn a_manual_clock_saturates_and_is_shared_by_clones() {
        let clock = ManualClock::new(i64::MAX - 1);
        clock.clone().advance(Duration::MAX);
        assert_eq!((clock.now(), clock.monotonic()), (i64::MAX, Duration::MAX));
        clock.sleep(Duration::from_secs(1));
        assert_eq!((clock.now(), clock.monotonic()), (i64::MAX, Duration::MAX));
        clock.set(-5);
        assert_eq!((clock.now(), clock.monotonic()), (-5, Duration::MAX));
    }
}
