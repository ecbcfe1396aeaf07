//! Waking those who wait for more.
//!
//! # Invariants
//!
//! - G1. A `notify` after `current` or `wait` returned `seen` ends every later `wait(seen, ..)` at once: no wake-up falls
//!   between looking and waiting.

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError, wait_timeout_while};
use std::time::Duration;

/// A counter that can be waited on. A blocking iterator reads it, looks for new records, and if there are none waits for
/// the counter to move on.
///
/// Waits in real time, whatever [`Clock`](crate::Clock) the host has.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use bulla_vfs::Signal;
///
/// let signal = Signal::new();
/// let seen = signal.current();
/// signal.notify();
/// assert_ne!(signal.wait(seen, Duration::MAX), seen); // Does not wait: the counter has moved on already.
/// ```
#[derive(Debug)]
pub struct Signal {
    count: Mutex<u64>,
    moved: Condvar,
}

impl Signal {
    /// A signal that was never given.
    #[must_use]
    pub fn new() -> Signal {
        Signal { count: Mutex::new(0), moved: Condvar::new() }
    }

    /// How often the signal was given; to hand to [`wait`](Signal::wait).
    #[must_use]
    pub fn current(&self) -> u64 {
        *self.count()
    }

    /// Gives the signal and wakes everybody who waits.
    pub fn notify(&self) {
        let mut count = self.count();
        *count = count.wrapping_add(1);
        drop(count);
        self.moved.notify_all();
    }

    /// Waits until the count is another than `seen`, for `timeout` at most, and gives the count. Returns at once when it
    /// is another already.
    pub fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        *wait_timeout_while(&self.moved, self.count(), timeout, |count| *count == seen)
    }

    fn count(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Signal {
    fn default() -> Signal {
        Signal::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    #[test]
    fn waiting_ends_at_the_timeout_with_the_same_count() {
        let signal = Signal::new();
        let start = Instant::now();
        assert_eq!(signal.wait(0, Duration::from_millis(20)), 0);
        assert!(start.elapsed() >= Duration::from_millis(20));
    }

    /// G1.
    #[test]
    fn a_signal_given_before_the_wait_is_not_lost() {
        let signal = Signal::new();
        let seen = signal.current();
        signal.notify();
        signal.notify();
        assert_eq!(signal.wait(seen, Duration::MAX), 2);
    }

    /// Without the wake-up this test would never end.
    #[test]
    fn everybody_who_waits_is_woken() {
        let signal = Signal::new();
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| signal.wait(0, Duration::MAX))).collect();
            thread::sleep(Duration::from_millis(20));
            signal.notify();
            for waiter in waiting {
                assert_eq!(waiter.join().unwrap(), 1);
            }
        });
    }
}
