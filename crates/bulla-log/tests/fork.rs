//! A forked process that goes on with its parent's log. It is played by a guard that begins to refuse.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/common.rs"]
mod common;
#[path = "support/faulty.rs"]
mod faulty;

use bulla_log::{Durability, Log, LogError};
use bulla_vfs::MemVfs;
use common::{options, row, with};
use faulty::{Fault, Faulty};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A fork has its parent's log, and no right to it: whatever it would write is refused before it reaches the file, by call,
/// by rotation and by dropping the handle.
#[test]
fn a_fork_writes_nothing() {
    type Attempt = fn(&Log) -> Result<(), LogError>;
    let attempts: [Attempt; 7] = [
        |log| log.append(&row(b"durable"), with(Durability::Durable)).map(drop),
        |log| log.append(&row(b"flushed"), with(Durability::Flushed)).map(drop),
        |log| log.submit(&[row(b"submitted")], with(Durability::Durable))?.wait(Durability::Durable),
        Log::flush,
        Log::sync,
        Log::rotate,
        Log::close,
    ];
    for attempt in attempts {
        let (log, disk, is_fork) = with_process_guard();
        log.append(&row(b"parent's, not written yet"), with(Durability::Buffered)).unwrap();
        let before = (common::files(&disk.disk), disk.disk.operations());
        is_fork.store(true, Ordering::Relaxed);
        let error = attempt(&log).unwrap_err();
        assert!(matches!(error, LogError::Io { action: "keep the lock for", .. }), "{error:?}");
        assert!(log.append(&row(b"late"), with(Durability::Buffered)).unwrap_err().is_poisoned());
        drop(log);
        assert!(before == (common::files(&disk.disk), disk.disk.operations()), "a fork wrote");
    }
    let (log, disk, is_fork) = with_process_guard();
    log.append(&row(b"parent's, not written yet"), with(Durability::Buffered)).unwrap();
    let before = common::files(&disk.disk);
    is_fork.store(true, Ordering::Relaxed);
    drop(log);
    assert!(before == common::files(&disk.disk), "a fork wrote when its handle was dropped");
}

/// A thread that led in the parent does not exist in the fork, and nobody may wait for it there.
#[test]
fn a_fork_waits_for_no_thread_of_its_parent() {
    let (log, disk, is_fork) = with_process_guard();
    disk.set_fault(Some(Fault { at: 0, kind: ErrorKind::Other, for_good: false, quarters_written: 0 }));
    disk.before_fault({
        let log = log.clone();
        move || {
            // The leader is here, in the middle of its write, and does not get on.
            is_fork.store(true, Ordering::Relaxed);
            assert!(log.append(&row(b"waits"), with(Durability::Flushed)).unwrap_err().is_poisoned());
            assert!(log.close().unwrap_err().is_poisoned());
        }
    });
    log.append(&row(b"leads"), with(Durability::Durable)).unwrap_err();
}

/// A log on a disk that can fail, and what makes its process another one.
fn with_process_guard() -> (Log, Faulty, Arc<AtomicBool>) {
    let (disk, is_fork) = (Faulty::new(MemVfs::new()), Arc::new(AtomicBool::new(false)));
    let asked = Arc::clone(&is_fork);
    let refused = || Err(std::io::Error::other("the lock belongs to the parent process"));
    let guard = move || if asked.load(Ordering::Relaxed) { refused() } else { Ok(()) };
    let log = common::create(disk.clone(), &options().process_guard(Arc::new(guard)));
    (log, disk, is_fork)
}
