//! Every schedule of three threads on one [`Published`], up to three preemptions each: `cargo xtask loom`.
//!
//! The payload is as small as a view can be and still tear: an end, and how far the segments reach. Both are relaxed
//! atomics, so nothing but what `publish` and `pin` do makes one thread's stores known to another.

use super::Published;
use bulla_vfs::sync::Mutex;
use loom::model::Builder;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

/// A view with its promises written into it.
struct View {
    /// Where the newest segment begins.
    base: AtomicU64,
    end: AtomicU64,
    durable_end: AtomicU64,
    is_alive: AtomicUsize,
    dropped: Arc<AtomicUsize>,
}

impl View {
    fn new(state: State, dropped: &Arc<AtomicUsize>) -> Self {
        let view = Self {
            base: AtomicU64::new(u64::MAX),
            end: AtomicU64::new(0),
            durable_end: AtomicU64::new(u64::MAX),
            is_alive: AtomicUsize::new(1),
            dropped: Arc::clone(dropped),
        };
        view.base.store(state.base, Relaxed);
        view.end.store(state.end, Relaxed);
        view.durable_end.store(state.durable_end, Relaxed);
        view
    }

    /// R1 and R2: the parts belong together, and nobody has dropped the whole.
    fn check(&self) -> State {
        let (base, end, durable_end) =
            (self.base.load(Relaxed), self.end.load(Relaxed), self.durable_end.load(Relaxed));
        assert!(base <= durable_end && durable_end <= end, "torn: {base} {durable_end} {end}");
        assert_eq!(self.is_alive.load(Relaxed), 1, "a pinned view was dropped");
        State { base, end, durable_end }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        assert_eq!(self.is_alive.swap(0, Relaxed), 1, "a view was dropped twice");
        self.dropped.fetch_add(1, Relaxed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    base: u64,
    end: u64,
    durable_end: u64,
}

/// A log without files: what the writer's lock holds, and what was published of it.
struct Model {
    writer: Mutex<State>,
    published: Published<View>,
    dropped: Arc<AtomicUsize>,
}

impl Model {
    fn new() -> Arc<Self> {
        let (start, dropped) = (State { base: 0, end: 0, durable_end: 0 }, Arc::new(AtomicUsize::new(0)));
        let published = Published::new(View::new(start, &dropped));
        Arc::new(Self { writer: Mutex::new(start), published, dropped })
    }

    /// One step of the writer, published before its lock is let go, as commits and rotations are.
    fn step(&self, change: impl FnOnce(&mut State)) {
        let mut writer = self.writer.lock().unwrap();
        change(&mut writer);
        let view = View::new(*writer, &self.dropped);
        self.published.publish(view, |before, now| before.durable_end.load(Relaxed) != now.durable_end.load(Relaxed));
    }

    fn flush(&self) {
        self.step(|state| state.end += 1);
    }

    fn sync(&self) {
        self.step(|state| {
            state.end += 1;
            state.durable_end = state.end;
        });
    }

    /// Everything is durable before a segment begins behind it.
    fn rotate(&self) {
        self.step(|state| {
            state.durable_end = state.end;
            state.base = state.end;
        });
    }
}

/// Runs `test` in every schedule with at most three preemptions, of which there are at least `least`.
fn check(least: usize, test: impl Fn() + Sync + Send + 'static) {
    let schedules = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check({
        let schedules = Arc::clone(&schedules);
        move || {
            schedules.fetch_add(1, Relaxed);
            test();
        }
    });
    let schedules = schedules.load(Relaxed);
    assert!(schedules >= least, "{schedules} schedules are fewer than these threads have");
}

/// R1 and R2. One thread appends, one rotates, one pins twice and compares.
#[test]
fn pinned_views_stay_whole_while_others_publish_and_rotate() {
    check(200, || {
        let model = Model::new();
        let (appends, rotates) = (Arc::clone(&model), Arc::clone(&model));
        let appends = thread::spawn(move || {
            appends.flush();
            appends.sync();
        });
        let rotates = thread::spawn(move || rotates.rotate());
        let first = model.published.pin();
        let before = first.check();
        let second = model.published.pin();
        let after = second.check();
        assert_eq!(first.check(), before, "a pinned view changed");
        assert!(before.end <= after.end, "the end went back");
        assert!(before.durable_end <= after.durable_end, "the durable end went back");
        appends.join().unwrap();
        rotates.join().unwrap();
        assert_eq!(first.check(), before, "a pinned view changed");
        drop((first, second));
        let last = model.published.pin().check();
        assert_eq!(last.end, 2);
        // Four views were made; all but the newest are unpinned.
        assert_eq!(model.dropped.load(Relaxed), 3);
        let dropped = Arc::clone(&model.dropped);
        drop(model);
        assert_eq!(dropped.load(Relaxed), 4);
    });
}

/// R2. Two readers let go of the same view while it is replaced: it goes once, and not before both have let go.
#[test]
fn the_last_to_let_go_drops_a_view_once() {
    check(200, || {
        let model = Model::new();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    let pinned = model.published.pin();
                    pinned.check();
                    let again = Arc::clone(&pinned);
                    drop(pinned);
                    again.check();
                })
            })
            .collect();
        model.sync();
        model.rotate();
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(model.dropped.load(Relaxed), 2);
    });
}

/// R3. A lost wake-up would leave the reader waiting for ever, which ends the schedule as a deadlock.
#[test]
fn whoever_looks_and_waits_is_woken_by_the_next_news() {
    check(2_000, || {
        let model = Model::new();
        let (syncs, rotates) = (Arc::clone(&model), Arc::clone(&model));
        let syncs = thread::spawn(move || syncs.sync());
        let rotates = thread::spawn(move || {
            rotates.flush();
            rotates.rotate();
        });
        let mut durable_end = 0;
        while durable_end < 2 {
            let (seen, view) = model.published.look();
            let now = view.check();
            assert!(durable_end <= now.durable_end, "the durable end went back");
            durable_end = now.durable_end;
            if durable_end < 2 {
                model.published.signal().wait(seen, Duration::MAX);
            }
        }
        syncs.join().unwrap();
        rotates.join().unwrap();
    });
}

/// R3, from the other side: what a wait that ended lets one see is the news it ended for.
#[test]
fn news_can_be_seen_when_the_wait_ends() {
    check(300, || {
        let model = Model::new();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    let (seen, view) = model.published.look();
                    if view.check().durable_end == 0 {
                        assert_ne!(model.published.signal().wait(seen, Duration::MAX), seen);
                        assert_eq!(model.published.pin().check().durable_end, 1, "woken before the news");
                    }
                })
            })
            .collect();
        model.sync();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}
