//! Spreading work over the cores there are.

use std::sync::Mutex;
use std::thread;

/// Hands the items of `work` to as many threads as there are cores; `run` gets each once. The order is not said.
pub(crate) fn spread<T: Send>(work: impl Iterator<Item = T> + Send, run: impl Fn(T) + Sync) {
    let work = Mutex::new(work);
    let next = || work.lock().expect("BUG: a worker panicked while it took its work").next();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(item) = next() {
                    run(item);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn every_item_is_handed_out_once() {
        let sum = AtomicU64::new(0);
        spread(0..1000_u64, |item| {
            sum.fetch_add(item, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 499_500);
    }
}
