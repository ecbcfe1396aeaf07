//! Work in pieces, done by several threads and handed over in order.
//!
//! The one place where the libraries start threads. They end before the call does, and how many there are is the
//! caller's choice, so that a library still starts none of its own accord.
//!
//! # Invariants
//!
//! - O1. The sink hears of every piece once, in order, on the caller's thread, whatever the number of workers.
//! - O2. At most `workers +` [`WAITING_MAX`] pieces are begun and not yet handed over.
//! - O3. A panic of a piece or of the sink ends the call with that panic, and no thread outlives it.

use std::any::Any;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Pieces that may wait for an earlier one to be handed over, besides those being worked on.
pub const WAITING_MAX: usize = 2;

/// Messages on their way to the caller's thread, of each worker.
const MESSAGES_PER_WORKER: usize = 8;

/// What the sink of [`in_order`] hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<P, T> {
    /// The piece with this index is under way; comes in any order.
    Progress(usize, P),
    /// The piece with this index is done; comes in order.
    Done(usize, T),
}

/// How many threads the machine runs at once; 1 if it does not say.
#[must_use]
pub fn parallelism() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Does the pieces of work `0..count`, up to `workers` of them at a time, and gives their results to `sink` in order.
///
/// `work` is given the index and a way to tell how far it has come. With one worker, or where the system gives no thread,
/// everything happens on the caller's thread.
///
/// # Panics
///
/// With the panic of `work` or `sink`, once every thread has ended (O3).
///
/// # Examples
///
/// ```
/// use bulla_vfs::{Step, in_order};
/// let mut squares = Vec::new();
/// in_order(3, 5, |index, _: &mut dyn FnMut(())| index * index, |step| {
///     if let Step::Done(_, square) = step {
///         squares.push(square);
///     }
/// });
/// assert_eq!(squares, [0, 1, 4, 9, 16]);
/// ```
pub fn in_order<P: Send, T: Send>(
    workers: usize,
    count: usize,
    work: impl Fn(usize, &mut dyn FnMut(P)) -> T + Sync,
    mut sink: impl FnMut(Step<P, T>),
) {
    let workers = workers.min(count);
    let mut handed = 0;
    if workers > 1 {
        let queue =
            Queue { state: Mutex::new(State { next: 0, end: workers + WAITING_MAX }), moved: Condvar::new(), count };
        thread::scope(|scope| {
            // However this ends, nobody waits for more work.
            let _end = End(&queue);
            let (sender, receiver) = sync_channel(workers * MESSAGES_PER_WORKER);
            for _ in 0..workers {
                let (queue, work, sender) = (&queue, &work, sender.clone());
                if thread::Builder::new().spawn_scoped(scope, move || queue.serve(work, &sender)).is_err() {
                    break;
                }
            }
            drop(sender);
            handed = queue.hand_over(&receiver, &mut sink);
        });
    }
    for index in handed..count {
        let result = work(index, &mut |progress| sink(Step::Progress(index, progress)));
        sink(Step::Done(index, result));
    }
}

/// What is still to be done, shared by the workers.
struct Queue {
    state: Mutex<State>,
    moved: Condvar,
    count: usize,
}

struct State {
    /// The piece that the next idle worker begins.
    next: usize,
    /// O2. Where workers stop and wait for pieces to be handed over; 0 once it is over.
    end: usize,
}

enum Message<P, T> {
    Step(Step<P, T>),
    Panicked(Box<dyn Any + Send>),
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of the next piece, once it may be begun; `None` when there is no more.
    fn take(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            if state.end == 0 || state.next >= self.count {
                return None;
            }
            if state.next < state.end {
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What a worker does. A message that nobody receives any more ends it.
    fn serve<P, T>(&self, work: &impl Fn(usize, &mut dyn FnMut(P)) -> T, sender: &SyncSender<Message<P, T>>) {
        while let Some(index) = self.take() {
            let mut tell = |progress| drop(sender.send(Message::Step(Step::Progress(index, progress))));
            let message = match catch_unwind(AssertUnwindSafe(|| work(index, &mut tell))) {
                Ok(result) => Message::Step(Step::Done(index, result)),
                Err(panic) => Message::Panicked(panic),
            };
            if sender.send(message).is_err() {
                return;
            }
        }
    }

    /// Gives everything to the sink as O1 says, and how many pieces there were: none if there is no worker.
    fn hand_over<P, T>(&self, receiver: &Receiver<Message<P, T>>, sink: &mut impl FnMut(Step<P, T>)) -> usize {
        let (mut waiting, mut handed) = (BTreeMap::new(), 0);
        for message in receiver {
            match message {
                Message::Step(Step::Done(index, result)) => drop(waiting.insert(index, result)),
                Message::Step(progress) => sink(progress),
                Message::Panicked(panic) => resume_unwind(panic),
            }
            while let Some(result) = waiting.remove(&handed) {
                sink(Step::Done(handed, result));
                handed += 1;
                self.state().end += 1;
                self.moved.notify_all();
            }
        }
        handed
    }
}

/// Lets waiting workers go when it is dropped.
struct End<'a>(&'a Queue);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.state().end = 0;
        self.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    /// O1 and O2, whichever piece takes longest.
    #[test]
    fn results_come_in_order_and_few_of_them_wait() {
        for workers in [0, 1, 2, 5, 40] {
            for slow in [0, 1, 7] {
                let (begun, handed, caller) = (AtomicUsize::new(0), AtomicUsize::new(0), thread::current().id());
                let work = |index, tell: &mut dyn FnMut(usize)| {
                    let waiting = begun.fetch_add(1, SeqCst) + 1 - handed.load(SeqCst);
                    assert!(waiting <= workers.max(1) + WAITING_MAX + 1, "{waiting} wait for {workers} workers");
                    tell(index * 10);
                    if index % 8 == slow {
                        thread::sleep(Duration::from_millis(2));
                    }
                    index * 100
                };
                let (mut results, mut told) = (Vec::new(), Vec::new());
                in_order(workers, 30, work, |step| {
                    assert_eq!(thread::current().id(), caller);
                    match step {
                        Step::Progress(index, progress) => told.push((index, progress)),
                        Step::Done(index, result) => {
                            handed.fetch_add(1, SeqCst);
                            results.push((index, result));
                        }
                    }
                });
                assert_eq!(results, (0..30).map(|index| (index, index * 100)).collect::<Vec<_>>());
                told.sort_unstable();
                assert_eq!(told, (0..30).map(|index| (index, index * 10)).collect::<Vec<_>>());
            }
        }
        in_order(4, 0, |_, _: &mut dyn FnMut(())| panic!("there is nothing to do"), |_: Step<(), ()>| {});
    }

    /// O3, for a piece in the middle, on whichever thread it is done.
    #[test]
    fn a_panic_of_the_work_reaches_the_caller() {
        for workers in [1, 3] {
            let work = |index, _: &mut dyn FnMut(())| assert!(index != 9, "piece nine");
            let caught = catch_unwind(AssertUnwindSafe(|| in_order(workers, 100, work, |_| {})));
            let caught = caught.expect_err("the panic was swallowed");
            assert_eq!(caught.downcast_ref::<&str>(), Some(&"piece nine"));
        }
    }

    /// O3, while workers wait for the pieces before theirs to be handed over.
    #[test]
    fn a_panic_of_the_sink_reaches_the_caller() {
        for workers in [1, 3] {
            let work = |index, _: &mut dyn FnMut(())| index;
            let sink = |step| assert!(!matches!(step, Step::Done(5, _)), "five is too much");
            let caught = catch_unwind(AssertUnwindSafe(|| in_order(workers, 100, work, sink)));
            let caught = caught.expect_err("the panic was swallowed");
            assert_eq!(caught.downcast_ref::<&str>(), Some(&"five is too much"));
        }
    }
}
