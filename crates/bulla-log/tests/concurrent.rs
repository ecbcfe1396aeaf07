//! Many threads on one log, and readers beside them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::large_stack_arrays)]

#[path = "support/common.rs"]
mod common;
#[path = "support/faulty.rs"]
mod faulty;

use bulla_log::{Durability, Item, Log, LogError, LogReader, Order, Query, Snapshot, Source, TailKind};
use bulla_vfs::{MemVfs, OpenMode, Vfs};
use bulla_wire::Position;
use common::{all, create, dir, edit, files, host, open, options, row, rows, segments, with};
use faulty::Faulty;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const THREADS: usize = 8;
const EACH: usize = 200;

fn payload(thread: usize, number: usize) -> Vec<u8> {
    format!("{thread}/{number} {}", "z".repeat(number % 90)).into_bytes()
}

/// Runs `each` in all threads and gives what they gave.
fn in_threads<T: Send>(each: impl Fn(usize) -> Vec<T> + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let handles: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let each = &each;
                    move || each(thread)
                })
            })
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
    })
}

/// M1: one leader writes and syncs for all who wait.
#[test]
fn durable_appends_of_many_threads_are_dense_and_share_syncs() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options().segment_bytes_max(1 << 30));
    let before = disk.operations().syncs;
    let mut told = in_threads(|thread| {
        (0..EACH)
            .map(|number| {
                let payload = payload(thread, number);
                (log.append(&row(&payload), with(Durability::Durable)).unwrap().0, payload)
            })
            .collect()
    });
    let syncs = disk.operations().syncs - before;
    assert!(syncs <= (THREADS * EACH) as u64, "{syncs} syncs for {} records", THREADS * EACH);
    told.sort();
    let positions: Vec<_> = told.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, (1..=(THREADS * EACH) as u64).collect::<Vec<_>>());
    assert_eq!(rows(&log.snapshot()), told);
    assert_eq!(log.head().unwrap(), log.snapshot().head_at(log.durable_end()).unwrap());
    assert_eq!(rows(&open(&disk.crash()).unwrap().snapshot()), told, "acknowledged means durable");
}

/// A buffered record costs no sync, and a sync covers them all.
#[test]
fn buffered_records_share_one_write_and_one_sync() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options().segment_bytes_max(1 << 30));
    let before = disk.operations();
    for number in 0..1000 {
        log.append(&row(&payload(0, number)), with(Durability::Buffered)).unwrap();
    }
    assert_eq!(disk.operations().writes, before.writes);
    assert_eq!(rows(&log.snapshot()), vec![], "what is buffered cannot be read yet");
    log.flush().unwrap();
    assert_eq!((disk.operations().writes, disk.operations().syncs), (before.writes + 1, before.syncs));
    assert_eq!((rows(&log.snapshot()).len(), log.durable_end().0), (1000, 1));
    log.sync().unwrap();
    assert_eq!(disk.operations().syncs, before.syncs + 1);
    assert_eq!(log.durable_end().0, 1001);
    // More than 1 MiB is not kept back.
    for _ in 0..5 {
        log.append(&row(&[1; 400_000]), with(Durability::Buffered)).unwrap();
    }
    assert!(rows(&log.snapshot()).len() >= 1003);
    drop(log);
    assert_eq!(rows(&open(&disk).unwrap().snapshot()).len(), 1005, "dropping the last handle flushes");
}

/// Checks that `now` goes on where `seen` ended, and that what it holds was submitted.
fn check_prefix(seen: &mut Vec<(u64, Vec<u8>)>, snapshot: &Snapshot) {
    let now = rows(snapshot);
    assert!(now.starts_with(seen), "a later snapshot lost records");
    all(snapshot);
    let query = Query { order: Order::Descending, ..Query::new() };
    let mut cursor = snapshot.cursor(&query);
    for (position, payload) in now.iter().rev().take(20) {
        let Some(Ok(Item::Record(record))) = cursor.next() else { panic!("position {position} is missing") };
        assert_eq!((record.position.0, record.payload().unwrap()), (*position, &payload[..]));
    }
    *seen = now;
}

#[test]
fn readers_see_prefixes_while_threads_append_and_rotate() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    let (is_over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let told = thread::scope(|scope| {
        for beside in [false, true] {
            let (log, disk, is_over, looks) = (&log, &disk, &is_over, &looks);
            scope.spawn(move || {
                let source = if beside {
                    Source::Reader(LogReader::open(&host(disk.clone()), dir()).unwrap())
                } else {
                    Source::Writer(log.clone())
                };
                let (mut seen, mut durable_end) = (Vec::new(), Position::ZERO);
                loop {
                    let is_last = is_over.load(Ordering::Acquire);
                    let snapshot = source.snapshot().unwrap();
                    assert!(!snapshot.is_damaged(), "a writer at work was taken for damage");
                    assert!(snapshot.durable_end() >= durable_end, "the durable end went back");
                    durable_end = snapshot.durable_end();
                    check_prefix(&mut seen, &snapshot);
                    looks.fetch_add(1, Ordering::Relaxed);
                    if is_last {
                        assert_eq!(durable_end, log.durable_end(), "beside: {beside}");
                        break;
                    }
                }
            });
        }
        let told = in_threads(|thread| {
            (0..EACH)
                .map(|number| {
                    let durability =
                        [Durability::Buffered, Durability::Flushed, Durability::Durable][(thread + number) % 3];
                    if number % 50 == 49 {
                        log.rotate().unwrap();
                    }
                    let payload = payload(thread, number);
                    (log.append(&row(&payload), with(durability)).unwrap().0, payload)
                })
                .collect()
        });
        log.sync().unwrap();
        is_over.store(true, Ordering::Release);
        told
    });
    let told: BTreeSet<_> = told.into_iter().collect();
    assert_eq!(rows(&log.snapshot()), told.into_iter().collect::<Vec<_>>());
    assert!(looks.load(Ordering::Relaxed) > 2 && log.rotations() > 8);
    log.close().unwrap();
    let log = open(&disk).unwrap();
    assert_eq!(log.recovery().tail, TailKind::Clean);
    assert_eq!(rows(&log.snapshot()).len(), THREADS * EACH);
}

#[test]
fn rotate_and_close_from_many_threads_end() {
    for round in 0..20 {
        let disk = MemVfs::new();
        let log = create(disk.clone(), &options());
        let told = in_threads(|thread| {
            let mut told = Vec::new();
            for number in 0..40 {
                if thread < 3 {
                    match log.rotate() {
                        Ok(()) | Err(LogError::Closed { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
                if (thread == 3 || thread == 4) && number == 20 + round {
                    log.close().unwrap();
                }
                let durability = if number % 2 == 0 { Durability::Durable } else { Durability::Buffered };
                match log.append(&row(&payload(thread, number)), with(durability)) {
                    Ok(position) => told.push(position.0),
                    Err(LogError::Closed { .. }) => break,
                    Err(error) => panic!("{error:?}"),
                }
            }
            told
        });
        log.close().unwrap();
        assert!(matches!(log.sync(), Err(LogError::Closed { .. })));
        // Everything acknowledged before the close is durable, what was buffered too.
        let log = open(&disk.crash()).unwrap();
        assert_eq!(log.recovery().tail, TailKind::Clean);
        let found: BTreeSet<_> = rows(&log.snapshot()).into_iter().map(|(position, _)| position).collect();
        assert_eq!(found, told.into_iter().collect());
    }
}

#[test]
fn a_reader_follows_through_close_crash_recovery_and_rotation() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    let reader = LogReader::open(&host(disk.clone()), dir()).unwrap();
    let (mut seen, mut durable_end) = (Vec::new(), Position::ZERO);
    let mut look = |log: &Log, what: &str| {
        for _ in 0..2 {
            let snapshot = reader.snapshot().unwrap();
            assert!(snapshot.durable_end() >= durable_end, "{what}: the durable end went back");
            durable_end = snapshot.durable_end();
            assert_eq!(durable_end, log.durable_end(), "{what}");
            let durable: Vec<_> = rows(&snapshot.durable());
            assert!(durable.starts_with(&seen), "{what}");
            assert_eq!(rows(&snapshot), rows(&log.snapshot()), "{what}");
            seen = durable;
        }
    };
    let mut log = log;
    for round in 0..30 {
        log.append(&row(&payload(round, round)), with(Durability::Durable)).unwrap();
        look(&log, "append");
        log.append(&row(b"flushed"), with(Durability::Flushed)).unwrap();
        look(&log, "flush");
        match round % 5 {
            0 => {
                log.close().unwrap();
                look(&log, "close");
                log = open(&disk).unwrap();
                look(&log, "open after close");
            }
            1 => {
                log.rotate().unwrap();
                look(&log, "rotate");
            }
            2 => {
                // The process ends; what it flushed is there.
                drop(log);
                log = open(&disk).unwrap();
                assert_eq!(log.recovery().tail, TailKind::Unclosed);
                log.append(&row(b"on"), with(Durability::Durable)).unwrap();
                look(&log, "append after a kill");
            }
            3 => {
                log.sync().unwrap();
                drop(log);
                let path = segments(&disk).pop().unwrap();
                edit(&disk, &path, |bytes| {
                    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
                    bytes.resize(bytes.len().max(end + 300), 0);
                    bytes[end.next_multiple_of(8) + 64..end + 300].fill(0xee);
                });
                log = open(&disk).unwrap();
                assert_eq!(log.recovery().tail, TailKind::Torn);
                look(&log, "recovery");
            }
            _ => {
                log.sync().unwrap();
                look(&log, "sync");
            }
        }
    }
}

/// A reader that saw the header of a frame before its body took the unchanged header for an unchanged log, and never saw
/// anything again. The same came of a frame written between its scan and its note of what lay behind.
#[test]
fn a_reader_that_saw_half_a_frame_sees_the_whole_one_later() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    let path = segments(&disk).pop().unwrap();
    let reader = LogReader::open(&host(disk.clone()), dir()).unwrap();
    assert_eq!(rows(&reader.snapshot().unwrap()), vec![]);
    log.append(&row(&[0x5a; 600]), with(Durability::Flushed)).unwrap();
    let whole = disk.read_file(&path).unwrap();
    let start = whole.iter().position(|byte| *byte == 0x5a).unwrap();
    for hidden in [start..whole.len(), start + 100..start + 300] {
        let file = disk.open(&path, OpenMode::Write).unwrap();
        bulla_vfs::write_all_at(&*file, &vec![0; hidden.len()], hidden.start as u64).unwrap();
        for _ in 0..3 {
            let snapshot = reader.snapshot().unwrap();
            assert!(rows(&snapshot).is_empty() && !snapshot.is_damaged());
        }
        bulla_vfs::write_all_at(&*file, &whole[hidden.clone()], hidden.start as u64).unwrap();
    }
    assert_eq!(rows(&reader.snapshot().unwrap()).len(), 1);
    log.append(&row(b"next"), with(Durability::Durable)).unwrap();
    assert_eq!(rows(&reader.snapshot().unwrap()).len(), 2);
    assert_eq!(reader.snapshot().unwrap().durable_end(), log.durable_end());
}

/// A rotation writes the footer over zeros that were written ahead, and then cuts those behind it. Between the two, and for
/// good if the process was killed there, a reader found the footer by scanning, took the segment for sealed, looked for
/// the footer at the end of the file, and called every record of the segment damaged.
#[test]
fn a_footer_with_zeros_behind_it_hides_no_record() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    let beside = LogReader::open(&host(disk.clone()), dir()).unwrap();
    for number in 0..3 {
        log.append(&row(&payload(0, number)), with(Durability::Durable)).unwrap();
    }
    log.close().unwrap();
    let told = rows(&log.snapshot());
    let path = segments(&disk).pop().unwrap();
    let log = open(&disk).unwrap();
    log.rotate().unwrap();
    let sealed = disk.read_file(&path).unwrap();
    common::remove(&disk, &segments(&disk).pop().unwrap());
    edit(&disk, &path, |bytes| bytes.resize(sealed.len() + 1000, 0));
    for reader in [beside, LogReader::open(&host(disk.clone()), dir()).unwrap()] {
        for len in [sealed.len() + 1000, sealed.len() + 1000, sealed.len()] {
            edit(&disk, &path, |bytes| bytes.resize(len, 0));
            let snapshot = reader.snapshot().unwrap();
            assert_eq!(rows(&snapshot), told, "{len} bytes");
            assert_eq!((snapshot.durable_end(), snapshot.is_damaged()), (snapshot.end(), false));
        }
        edit(&disk, &path, |bytes| bytes.resize(sealed.len() + 1000, 0));
    }
}

/// A head was told as soon as its records were synced, a moment before any snapshot had them: whoever asked the next
/// snapshot for the same head was told that there is none.
#[test]
fn a_head_is_of_records_that_the_next_snapshot_has() {
    let faulty = Faulty::new(MemVfs::new());
    let log = create(faulty.clone(), &options());
    let looks = Arc::new(AtomicUsize::new(0));
    faulty.watch({
        let (log, looks) = (log.clone(), Arc::clone(&looks));
        move |_, operation| {
            let (head, snapshot) = (log.head().unwrap(), log.snapshot());
            assert!(head.size <= snapshot.durable_end().0, "{operation:?}");
            looks.fetch_add(1, Ordering::Relaxed);
        }
    });
    for number in 0..3 {
        log.append(&row(&payload(0, number)), with(Durability::Durable)).unwrap();
    }
    // A write, a sync, and the mark behind them.
    assert!(looks.load(Ordering::Relaxed) >= 9);
    assert_eq!(log.head().unwrap(), log.snapshot().head_at(Position(4)).unwrap());
}

/// D5. A scan reads a file in parts, so it may see what was appended behind a place that it read as zeros. That is what
/// damage looks like, and a reader once believed it after three such looks.
#[test]
fn a_writer_that_appends_between_two_reads_is_not_taken_for_damage() {
    for (busy, size) in [4, 8, 12, 16, 24].into_iter().flat_map(|busy| (4..12).map(move |part| (busy, part * 20_000))) {
        let disk = MemVfs::new();
        let log = create(disk.clone(), &options().segment_bytes_max(1 << 30));
        log.append(&row(&vec![1; size]), with(Durability::Durable)).unwrap();
        // Zeros are written ahead, up to behind the part that a scan reads first.
        log.append(&row(b"small"), with(Durability::Durable)).unwrap();
        let beside = Faulty::new(disk.clone());
        let reads = Arc::new(AtomicUsize::new(0));
        beside.before_read({
            let (log, reads) = (log.clone(), Arc::clone(&reads));
            move || {
                if reads.fetch_add(1, Ordering::Relaxed) < busy {
                    for _ in 0..4 {
                        log.append(&row(&[2; 9_000]), with(Durability::Durable)).unwrap();
                    }
                }
            }
        });
        let reader = LogReader::open(&host(beside), dir()).unwrap();
        let mut durable_end = Position::ZERO;
        for _ in 0..3 {
            reads.store(0, Ordering::Relaxed);
            let snapshot = reader.snapshot().unwrap();
            assert!(!snapshot.is_damaged(), "{busy} reads with appends before them");
            assert!(snapshot.durable_end() >= durable_end);
            durable_end = snapshot.durable_end();
        }
        assert_eq!(rows(&reader.snapshot().unwrap()), rows(&log.snapshot()), "{busy}");
    }
}

#[test]
fn waiting_for_a_durable_record_ends_when_it_is_one() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    let reader = Source::Reader(LogReader::open(&host(disk), dir()).unwrap());
    let writer = Source::Writer(log.clone());
    let next = log.next_position();
    assert_eq!(writer.wait_durable(next, Duration::ZERO).unwrap(), next);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| writer.wait_durable(next, Duration::from_secs(60)).unwrap());
        log.append(&row(b"row"), with(Durability::Durable)).unwrap();
        assert_eq!(waiting.join().unwrap().0, next.0 + 1);
    });
    assert_eq!(reader.wait_durable(next, Duration::ZERO).unwrap().0, next.0 + 1);
}

/// D1: a reader leaves the disk as it is.
#[test]
fn readers_change_nothing() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    for number in 0..60 {
        log.append(&row(&payload(0, number)), with(Durability::Durable)).unwrap();
    }
    let before = (files(&disk), disk.operations().writes, disk.operations().syncs);
    let reader = LogReader::open(&host(disk.clone()), dir()).unwrap();
    check_prefix(&mut Vec::new(), &reader.snapshot().unwrap());
    reader.snapshot().unwrap().segments().unwrap();
    assert!(before == (files(&disk), disk.operations().writes, disk.operations().syncs));
}
