//! What the writer shows to readers: the newest view, which each reader pins for as long as it needs it.
//!
//! Tests: `publish/schedules.rs` goes through every schedule of three threads, up to three preemptions each.
//!
//! # Invariants
//!
//! - R1. A reader gets one view, whole: never an end of one and the segments of another.
//! - R2. A pinned view stays as it is and where it is, whatever is published meanwhile. It is dropped once, by whoever lets
//!   go of it last.
//! - R3. Whoever looks, finds nothing new and waits is woken by the next news: no publication falls in between.
//! - R4. Readers and the writer keep each other waiting for the exchange of one pointer, and for nothing else (law L7).
//!
//! # Not here
//!
//! That ends never go back: the writer publishes under its own lock, and knows no smaller end later.

use bulla_vfs::Signal;
use bulla_vfs::sync::{PoisonError, RwLock};
use std::sync::Arc;

/// The newest view, and the signal that there is news in it.
pub(crate) struct Published<V> {
    newest: RwLock<Arc<V>>,
    signal: Arc<Signal>,
}

impl<V> Published<V> {
    pub(crate) fn new(first: V) -> Self {
        Self { newest: RwLock::new(Arc::new(first)), signal: Arc::new(Signal::new()) }
    }

    /// The newest view, pinned until it is dropped.
    pub(crate) fn pin(&self) -> Arc<V> {
        Arc::clone(&self.newest.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest view, and what to hand to [`wait`](Signal::wait) if it is not new enough (R3).
    pub(crate) fn look(&self) -> (u64, Arc<V>) {
        // In this order: what is published after the count was read ends the wait, whether the view has it or not.
        let seen = self.signal.current();
        (seen, self.pin())
    }

    /// Shows `view` from now on. Whoever waits is woken if `is_news` says so of the view before it and this one. One
    /// caller at a time, so that the newest view is the last one.
    pub(crate) fn publish(&self, view: V, is_news: impl FnOnce(&V, &V) -> bool) {
        let view = Arc::new(view);
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        let is_news = is_news(&newest, &view);
        let before = std::mem::replace(&mut *newest, view);
        drop(newest);
        if is_news {
            self.signal.notify();
        }
        // Last, since it may close files (R4).
        drop(before);
    }

    pub(crate) fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }
}

#[cfg(all(test, loom))]
mod schedules;
