//! A whole log under schedules nobody would wait for: `cargo xtask shuttle`.
//!
//! Shuttle runs all threads of a test in one, and at every lock, wait, read and write of [`MemVfs`] it chooses who goes
//! on: at random, or by priorities that change a few times (PCT), which finds what needs one thread to be very slow. A
//! thread that waits for ever is a deadlock, and fails.
//!
//! The seed is fixed, so a failure repeats; `SHUTTLE_RANDOM_SEED` sets another. Shuttle prints the failing schedule.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/common.rs"]
mod common;
#[path = "support/faulty.rs"]
mod faulty;

use bulla_log::{Durability, Log, LogError, LogReader, Outcome, Query, Source, TailKind};
use bulla_vfs::MemVfs;
use bulla_wire::Position;
use common::{all, create, dir, host, open, options, read, row, rows, segments, with};
use faulty::{Fault, Faulty};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::JoinHandle;
use shuttle::{Config, Runner};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

const SEED: u64 = 0xb011a;
/// Bytes on the stack of a thread.
const STACK_BYTES: usize = 512 << 10;
/// How often priorities change in a schedule of PCT, and one.
const PCT_DEPTH: usize = 4;

/// Runs `test` in `count` random schedules and half as many of PCT.
fn everywhere(count: usize, test: impl Fn() + Copy + Send + Sync + 'static) {
    run(RandomScheduler::new_from_seed(SEED, count), count, test);
    run(PctScheduler::new_from_seed(SEED, PCT_DEPTH, count / 2), count / 2, test);
}

fn run(scheduler: impl Scheduler + 'static, count: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    assert_eq!(Runner::new(scheduler, config).run(test), count, "schedules");
}

fn spawn<T: Send + 'static>(log: &Log, work: impl FnOnce(&Log) -> T + Send + 'static) -> JoinHandle<T> {
    let log = log.clone();
    shuttle::thread::spawn(move || work(&log))
}

/// What a thread was told: positions, payloads, and what it was promised of them.
type Told = BTreeMap<u64, (Vec<u8>, Durability)>;

/// Segments of 4 KiB, so that few of these rows fill one.
fn payload(thread: usize, number: usize) -> Vec<u8> {
    let mut payload = format!("{thread}/{number} ").into_bytes();
    payload.resize(900, b'z');
    payload
}

/// Appends one by one in every durability, and a batch; gives what was acknowledged.
fn append(log: &Log, thread: usize) -> Result<Told, LogError> {
    let mut told = Told::new();
    for (number, durability) in [Durability::Buffered, Durability::Durable, Durability::Flushed].into_iter().enumerate()
    {
        let payload = payload(thread, number);
        told.insert(log.append(&row(&payload), with(durability))?.0, (payload, durability));
    }
    let batch = [payload(thread, 3), payload(thread, 4)];
    let positions = log.append_batch(&batch.each_ref().map(|payload| row(payload)), with(Durability::Durable))?;
    assert_eq!(positions.end.0 - positions.start.0, 2);
    told.extend((positions.start.0..).zip(batch.map(|payload| (payload, Durability::Durable))));
    Ok(told)
}

/// Submits two records, waits for the second, and finds both durable.
fn submit(log: &Log, thread: usize) -> Result<Told, LogError> {
    let payloads = [payload(thread, 0), payload(thread, 1)];
    let first = log.submit(&[row(&payloads[0])], with(Durability::Durable))?;
    let second = log.submit(&[row(&payloads[1])], with(Durability::Durable))?;
    second.wait(Durability::Durable)?;
    assert_eq!((first.outcome(), second.outcome()), (Outcome::Durable, Outcome::Durable));
    assert!(log.durable_end() >= second.positions().end, "an outcome was told before it was shown");
    let positions = [first.positions().start.0, second.positions().start.0];
    Ok(positions.into_iter().zip(payloads.map(|payload| (payload, Durability::Durable))).collect())
}

/// Looks at the log again and again: what was seen stays, ends never fall, and a snapshot is the same when read twice.
fn look(log: &Log, looks: usize) {
    let (mut seen, mut durable_end) = (Vec::new(), Position::ZERO);
    for _ in 0..looks {
        let snapshot = log.snapshot();
        let now = all(&snapshot);
        assert!(now.starts_with(&seen), "a later snapshot lost records");
        assert!(durable_end <= snapshot.durable_end(), "the durable end went back");
        assert!(snapshot.durable_end() <= snapshot.end());
        assert_eq!(all(&snapshot), now, "a snapshot changed");
        (seen, durable_end) = (now, snapshot.durable_end());
        let head = log.head().unwrap();
        assert!(head.size >= durable_end.0);
        assert_eq!(log.snapshot().head_at(Position(head.size)).unwrap(), head, "two answers for one head");
    }
}

/// Positions with the beginnings of payloads, which are all different.
fn short(rows: impl IntoIterator<Item = (u64, Vec<u8>)>) -> Vec<String> {
    let short = |(position, payload): (u64, Vec<u8>)| format!("{position}: {}", String::from_utf8_lossy(&payload[..3]));
    rows.into_iter().map(short).collect()
}

fn payloads(told: &Told) -> Vec<String> {
    short(told.iter().map(|(position, (payload, _))| (*position, payload.clone())))
}

/// What was promised to be durable is there when the power has failed.
fn check_durable(disk: &MemVfs, told: &Told) {
    let after = open(&disk.crash()).unwrap();
    all(&after.snapshot());
    let found: BTreeMap<_, _> = rows(&after.snapshot()).into_iter().collect();
    for (position, (payload, durability)) in told {
        assert!(*durability != Durability::Durable || found.get(position) == Some(payload), "{position} was lost");
    }
}

/// Everything told is there, in its place, once.
fn check_told(log: &Log, disk: &MemVfs, told: &Told) {
    check_durable(disk, told);
    log.flush().unwrap();
    assert_eq!(short(rows(&log.snapshot())), payloads(told));
    all(&log.snapshot());
}

/// Joins the threads; no position was given twice.
fn join(threads: Vec<JoinHandle<Result<Told, LogError>>>) -> Told {
    let mut all = Told::new();
    for told in threads {
        for (position, what) in told.join().unwrap().unwrap() {
            assert!(all.insert(position, what).is_none(), "position {position} was given twice");
        }
    }
    all
}

/// L1, L7, M1, G2: writers of every sort, a reader, and a rotation in between.
#[test]
fn appends_rotations_and_readers_go_together() {
    everywhere(1_000, || {
        let disk = MemVfs::new();
        let log = create(disk.clone(), &options());
        let threads = vec![
            spawn(&log, |log| append(log, 0)),
            spawn(&log, |log| append(log, 1)),
            spawn(&log, |log| submit(log, 2)),
            spawn(&log, |log| log.rotate().map(|()| Told::new())),
        ];
        let reader = spawn(&log, |log| look(log, 3));
        let told = join(threads);
        reader.join().unwrap();
        check_told(&log, &disk, &told);
        assert!(segments(&disk).len() > 1, "nothing was rotated");
        log.close().unwrap();
        let log = open(&disk.crash()).unwrap();
        assert_eq!(log.recovery().tail, TailKind::Clean);
        assert_eq!(rows(&log.snapshot()).len(), told.len());
    });
}

/// D2 and D5: a reader of another process, which shares nothing but the files, takes no writer at work for damage.
#[test]
fn a_reader_beside_the_writer_sees_prefixes() {
    everywhere(500, || {
        let disk = MemVfs::new();
        let log = create(disk.clone(), &options());
        let threads =
            vec![spawn(&log, |log| append(log, 0)), spawn(&log, |log| log.rotate().and_then(|()| submit(log, 1)))];
        let reader = LogReader::open(&host(disk.clone()), dir()).unwrap();
        let (mut seen, mut durable_end) = (Vec::new(), Position::ZERO);
        for _ in 0..4 {
            let snapshot = reader.snapshot().unwrap();
            assert!(!snapshot.is_damaged(), "a writer at work was taken for damage");
            let now = all(&snapshot);
            assert!(now.starts_with(&seen), "a later snapshot lost records");
            assert!(durable_end <= snapshot.durable_end(), "the durable end went back");
            (seen, durable_end) = (now, snapshot.durable_end());
        }
        let told = join(threads);
        check_told(&log, &disk, &told);
        assert_eq!(rows(&reader.snapshot().unwrap()).len(), told.len());
    });
}

/// R3: time stands still here, so a tail whose wake-up is lost waits for ever.
#[test]
fn a_tail_sees_every_durable_record_and_the_close() {
    everywhere(1_000, || {
        let disk = MemVfs::new();
        let log = create(disk, &options());
        let threads = vec![spawn(&log, |log| append(log, 0)), spawn(&log, |log| submit(log, 1))];
        let tail = spawn(&log, |log| {
            let (source, mut next) = (Source::Writer(log.clone()), Position(1));
            while next.0 < 8 {
                let end = source.wait_durable(next, Duration::MAX).unwrap();
                assert!(end > next, "woken for nothing");
                let query = Query { from: Some(next), to: Some(end), engine: true, ..Query::new() };
                let found = read(&log.snapshot().durable(), &query).unwrap();
                assert_eq!(found.len() as u64, end.0 - next.0, "durable and not there");
                next = end;
            }
        });
        join(threads);
        tail.join().unwrap();
        let (signal, seen) = (log.signal(), log.signal().current());
        let closing = spawn(&log, |log| log.close().unwrap());
        assert_ne!(signal.wait(seen, Duration::MAX), seen);
        closing.join().unwrap();
    });
}

/// G3: a log that is closed among appends and rotations is closed once; what was acknowledged is in it.
#[test]
fn closing_among_appends_leaves_nobody_waiting() {
    everywhere(1_000, || {
        let disk = MemVfs::new();
        let log = create(disk.clone(), &options());
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                spawn(&log, move |log| {
                    let mut told = Vec::new();
                    for number in 0..4 {
                        if thread == 2 && number == 1 {
                            assert!(matches!(log.rotate(), Ok(()) | Err(LogError::Closed { .. })));
                        }
                        let durability = [Durability::Durable, Durability::Buffered, Durability::Flushed][number % 3];
                        match log.append(&row(&payload(thread, number)), with(durability)) {
                            Ok(position) => told.push(position.0),
                            Err(LogError::Closed { .. }) => break,
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                    told
                })
            })
            .collect();
        let closing = spawn(&log, |log| log.close().unwrap());
        log.close().unwrap();
        closing.join().unwrap();
        let mut told: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        told.sort_unstable();
        assert!(matches!(log.sync(), Err(LogError::Closed { .. })));
        let log = open(&disk.crash()).unwrap();
        assert_eq!(log.recovery().tail, TailKind::Clean);
        let found: Vec<_> = rows(&log.snapshot()).into_iter().map(|(position, _)| position).collect();
        assert_eq!(found, told, "what was acknowledged before the close");
    });
}

/// L5, M3 and G3: a disk that fails somewhere ends every call with an answer or an error. What was acknowledged durable is
/// there when the log is opened again, and after a refusal for lack of space the log is what was acknowledged.
#[test]
fn a_failing_disk_leaves_nobody_waiting_and_loses_nothing_acknowledged() {
    everywhere(2_000, || {
        let disk = MemVfs::new();
        let faulty = Faulty::new(disk.clone());
        let log = create(faulty.clone(), &options());
        let kind = if thread_rng().gen_bool(0.5) { ErrorKind::StorageFull } else { ErrorKind::Other };
        let at = thread_rng().gen_range(0..24);
        faulty.set_fault(Some(Fault { at, kind, for_good: true, quarters_written: 2 }));
        let threads: Vec<_> = (0..3)
            .map(|thread| spawn(&log, move |log| (0..3).filter_map(|number| try_append(log, thread, number)).collect()))
            .collect();
        // More becomes durable, or the log is poisoned: either must wake it.
        let waiting = spawn(&log, |log| {
            loop {
                let seen = log.signal().current();
                if log.is_poisoned() || log.durable_end() > Position(1) {
                    break;
                }
                log.signal().wait(seen, Duration::MAX);
            }
        });
        drop(log.rotate());
        let told: Told = threads.into_iter().flat_map(|thread: JoinHandle<Told>| thread.join().unwrap()).collect();
        faulty.set_fault(None);
        if log.is_poisoned() {
            assert!(log.append(&row(b"late"), with(Durability::Buffered)).unwrap_err().is_poisoned());
        } else {
            log.sync().unwrap();
            log.append(&row(b"room again"), with(Durability::Durable)).unwrap();
            let mut found = rows(&log.snapshot());
            assert_eq!(found.pop().unwrap().1, b"room again");
            assert_eq!(short(found), payloads(&told));
        }
        waiting.join().unwrap();
        drop(log);
        check_durable(&disk, &told);
    });
}

/// One record as acknowledged, `None` if it was refused or is indeterminate.
fn try_append(log: &Log, thread: usize, number: usize) -> Option<(u64, (Vec<u8>, Durability))> {
    let durability = [Durability::Durable, Durability::Flushed, Durability::Buffered][(thread + number) % 3];
    let payload = payload(thread, number);
    match log.append(&row(&payload), with(durability)) {
        Ok(position) => Some((position.0, (payload, durability))),
        Err(error) => {
            // A poisoned log stays so; a full one may have room again.
            assert!(error.is_full() || log.is_poisoned(), "{error:?}");
            None
        }
    }
}
