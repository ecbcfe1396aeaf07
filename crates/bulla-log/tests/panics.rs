//! A thread that panics at work on a log takes the log with it, and nobody else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/common.rs"]
mod common;
#[path = "support/faulty.rs"]
mod faulty;

use bulla_log::{Durability, Log};
use bulla_vfs::MemVfs;
use common::{create, open, options, row, rows, with};
use faulty::{Fault, Faulty, Operation};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs `call`, which must end.
fn in_time<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(call()));
    receiver.recv_timeout(Duration::from_secs(20)).expect("somebody waits for ever")
}

/// Whoever led a commit or rotation when the disk's code panicked left everybody else waiting for it, and the log's end
/// waited for itself.
#[test]
fn a_panic_in_a_leader_poisons_the_log_and_lets_nobody_wait() {
    type Call = (&'static str, fn(&Log));
    let calls: [Call; 3] = [
        ("append", |log| drop(log.append(&row(&[1; 50]), with(Durability::Durable)))),
        ("rotate", |log| drop(log.rotate())),
        ("close", |log| drop(log.close())),
    ];
    for (name, call) in calls {
        for at in 0.. {
            let disk = MemVfs::new();
            let faulty = Faulty::new(disk.clone());
            let log = create(faulty.clone(), &options());
            log.append(&row(b"kept"), with(Durability::Durable)).unwrap();
            log.append(&row(b"buffered"), with(Durability::Buffered)).unwrap();
            faulty.set_fault(Some(Fault { at, kind: ErrorKind::Other, for_good: false, quarters_written: 0 }));
            faulty.before_fault(|| panic!("planted"));
            let has_panicked = catch_unwind(AssertUnwindSafe(|| call(&log))).is_err();
            if !has_panicked {
                break;
            }
            let other = log.clone();
            let error = in_time(move || other.append(&row(b"late"), with(Durability::Durable)).unwrap_err());
            assert!(error.is_poisoned() && log.is_poisoned(), "{name}, operation {at}: {error}");
            in_time(move || drop(log));
            bulla_vfs::Vfs::sync_dir(&disk, std::path::Path::new("/")).unwrap();
            let after = open(&disk).unwrap();
            assert_eq!(rows(&after.snapshot())[0].1, b"kept", "{name}, operation {at}");
        }
    }
}

/// Who waits for a leader that panics while it holds the lock is told, too: here the mark behind a commit is at fault, and
/// somebody came during the sync before it.
#[test]
fn a_panic_under_the_lock_wakes_those_who_wait() {
    let faulty = Faulty::new(MemVfs::new());
    let log = create(faulty.clone(), &options());
    log.append(&row(b"buffered"), with(Durability::Buffered)).unwrap();
    let (sender, told) = mpsc::channel();
    let mut late = Some((log.clone(), sender));
    faulty.watch(move |_, operation| {
        if !matches!(operation, Operation::Sync(_)) {
            return;
        }
        if let Some((log, sender)) = late.take() {
            thread::spawn(move || sender.send(log.append(&row(b"late"), with(Durability::Durable))));
            // Long enough for it to wait; if it comes too late, it finds the log poisoned instead.
            thread::sleep(Duration::from_millis(50));
        }
    });
    faulty.set_fault(Some(Fault { at: 2, kind: ErrorKind::Other, for_good: false, quarters_written: 0 }));
    faulty.before_fault(|| panic!("planted"));
    assert!(catch_unwind(AssertUnwindSafe(|| log.rotate())).is_err());
    let told = told.recv_timeout(Duration::from_secs(20)).expect("somebody waits for ever");
    assert!(told.unwrap_err().is_poisoned());
}
