//! Every schedule of three threads on a whole log, up to three preemptions each: `cargo xtask loom`.
//!
//! The log is the real one, on a disk in memory; every lock, wait, read and write is a place where loom may let another
//! thread go on. What is small enough to be gone through with nothing around it is in `src/publish/schedules.rs`.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use bulla_log::{Durability, Log, LogError, Source, TailKind};
use bulla_vfs::MemVfs;
use bulla_wire::Position;
use common::{all, create, open, options, row, rows, with};
use loom::thread::{Builder, JoinHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Words on the stack of a thread. A log's calls do not fit on those that loom gives unless asked.
const STACK_WORDS: usize = 1 << 16;

fn spawn<T: Send + 'static>(log: &Log, work: impl FnOnce(&Log) -> T + Send + 'static) -> JoinHandle<T> {
    let log = log.clone();
    Builder::new().stack_size(STACK_WORDS).spawn(move || work(&log)).unwrap()
}

/// Runs `test` on a new log in every schedule with at most three preemptions, of which there are at least `least`.
fn check(least: usize, test: impl Fn(&MemVfs, &Log) + Copy + Send + Sync + 'static) {
    let schedules = Arc::new(AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 100_000;
    builder.check({
        let schedules = Arc::clone(&schedules);
        move || {
            schedules.fetch_add(1, Ordering::Relaxed);
            let first = Builder::new().stack_size(STACK_WORDS);
            let first = first.spawn(move || {
                let disk = MemVfs::new();
                test(&disk, &create(disk.clone(), &options()));
            });
            first.unwrap().join().unwrap();
        }
    });
    let schedules = schedules.load(Ordering::Relaxed);
    assert!(schedules >= least, "{schedules} schedules are fewer than these threads have");
}

/// M1. Whoever comes while another leads waits, and is written for or leads in turn.
#[test]
fn durable_appends_elect_one_leader_at_a_time() {
    check(1_000, |disk, log| {
        let append = |payload: &'static [u8]| {
            move |log: &Log| (log.append(&row(payload), with(Durability::Durable)).unwrap().0, payload.to_vec())
        };
        let threads = [spawn(log, append(b"one")), spawn(log, append(b"two"))];
        let mut told = vec![append(b"three")(log)];
        told.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
        told.sort();
        assert_eq!(rows(&log.snapshot()), told);
        assert_eq!(rows(&open(&disk.crash()).unwrap().snapshot()), told, "acknowledged means durable");
    });
}

/// L7 and G3. A reader pins what there is while one thread appends and one rotates.
#[test]
fn a_reader_sees_whole_views_while_others_append_and_rotate() {
    check(2_000, |_, log| {
        log.append(&row(b"zero"), with(Durability::Flushed)).unwrap();
        let append = spawn(log, |log| log.append(&row(b"one"), with(Durability::Durable)).unwrap());
        let rotate = spawn(log, |log| log.rotate().unwrap());
        let (mut seen, mut durable_end) = (Vec::new(), Position::ZERO);
        for _ in 0..2 {
            let snapshot = log.snapshot();
            let now = all(&snapshot);
            assert!(now.starts_with(&seen), "a later snapshot lost records");
            assert!(durable_end <= snapshot.durable_end() && snapshot.durable_end() <= snapshot.end());
            (seen, durable_end) = (now, snapshot.durable_end());
        }
        append.join().unwrap();
        rotate.join().unwrap();
        assert_eq!(log.snapshot().segments().unwrap().len(), 2);
        assert_eq!(rows(&log.snapshot()).len(), 2);
    });
}

/// R3. Time stands still here: a wake-up that is lost is a deadlock.
#[test]
fn whoever_waits_for_a_record_is_woken_when_it_is_durable() {
    check(300, |_, log| {
        let next = log.next_position();
        let buffer = spawn(log, |log| log.append(&row(b"one"), with(Durability::Buffered)).map(drop).unwrap());
        let sync = spawn(log, |log| log.append(&row(b"two"), with(Durability::Durable)).map(drop).unwrap());
        let end = Source::Writer(log.clone()).wait_durable(next, Duration::MAX).unwrap();
        assert!(end > next && log.durable_end() >= end);
        buffer.join().unwrap();
        sync.join().unwrap();
    });
}

/// G3. What was acknowledged before a close is in the log, what came after was refused, and nobody waits.
#[test]
fn a_close_among_appends_and_a_rotation_ends_them_all() {
    check(200, |disk, log| {
        let append = spawn(log, |log| match log.append(&row(b"one"), with(Durability::Flushed)) {
            Ok(position) => vec![position.0],
            Err(LogError::Closed { .. }) => vec![],
            Err(error) => panic!("{error:?}"),
        });
        let close = spawn(log, |log| log.close().unwrap());
        assert!(matches!(log.rotate(), Ok(()) | Err(LogError::Closed { .. })));
        let told = append.join().unwrap();
        close.join().unwrap();
        let log = open(&disk.crash()).unwrap();
        assert_eq!(log.recovery().tail, TailKind::Clean);
        assert_eq!(rows(&log.snapshot()).iter().map(|(position, _)| *position).collect::<Vec<_>>(), told);
    });
}
