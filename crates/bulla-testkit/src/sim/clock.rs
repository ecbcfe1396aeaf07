//! A clock that jumps.

use crate::Random;
use bulla_vfs::Clock;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A clock whose time of day jumps both ways, now and then by years, as the seed says (A5). What has passed only grows.
#[derive(Debug)]
pub struct SimClock {
    time: Mutex<(i64, Duration, Random)>,
}

impl SimClock {
    /// A clock of its own for each seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { time: Mutex::new((1_700_000_000_000_000_000, Duration::ZERO, Random::new(seed))) }
    }

    fn tick(&self, passed: Duration) -> (i64, Duration) {
        const DAY: i64 = 86_400_000_000_000;
        let mut time = self.time.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, monotonic, random) = &mut *time;
        let jump = match random.below(16) {
            0 => DAY * 3650,
            1 => -DAY * 3650,
            2 => i64::MAX,
            3 => i64::MIN,
            _ => random.below(1_000_000).cast_signed() - 200_000,
        };
        // From the ends of time it comes back.
        *now = if matches!(*now, i64::MIN | i64::MAX) { 0 } else { now.saturating_add(jump) };
        *monotonic += passed;
        (*now, *monotonic)
    }
}

impl Clock for SimClock {
    fn now(&self) -> i64 {
        self.tick(Duration::from_nanos(1)).0
    }

    fn monotonic(&self) -> Duration {
        self.tick(Duration::from_nanos(1)).1
    }

    fn sleep(&self, duration: Duration) {
        self.tick(duration);
    }
}
