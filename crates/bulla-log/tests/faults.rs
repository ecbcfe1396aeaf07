//! A disk that fails or is full at every operation: each call says `Ok` or why not, what was acknowledged stays, and a
//! poisoned log takes nothing more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::large_stack_arrays)]

#[path = "support/common.rs"]
mod common;
#[path = "support/faulty.rs"]
mod faulty;

use bulla_log::{Durability, Log, LogError, LogOptions, NewRow, Outcome, TailKind};
use bulla_vfs::MemVfs;
use bulla_wire::Position;
use common::{all, dir, host, open, options, row, rows, with};
use faulty::{Fault, Faulty, Operation};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a run on a faulty disk was told.
#[derive(Debug, Default)]
struct Run {
    label: String,
    /// Records acknowledged, in order; the first `durable` of them as durable.
    acknowledged: Vec<(u64, Vec<u8>)>,
    durable: usize,
    /// Records of the call that failed for good.
    indeterminate: Vec<(u64, Vec<u8>)>,
    no_space: u32,
    poisoned: u32,
    was_poisoned_before_close: bool,
}

impl Run {
    fn append(&mut self, log: &Log, durability: Durability, sizes: &[usize]) {
        let number = self.acknowledged.len();
        let payloads: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(index, size)| format!("{number}+{index} {}", "y".repeat(*size)).into_bytes())
            .collect();
        let batch: Vec<NewRow<'_>> = payloads.iter().map(|payload| row(payload)).collect();
        let (before, rotations) = (log.next_position(), log.rotations());
        let was_poisoned = log.is_poisoned();
        match log.append_batch(&batch, with(durability)) {
            Ok(positions) => {
                assert!(!was_poisoned, "{}: an append after poison", self.label);
                self.acknowledged.extend((positions.start.0..).zip(payloads));
                if durability == Durability::Durable {
                    self.durable = self.acknowledged.len();
                }
            }
            Err(error) => {
                if !was_poisoned && log.is_poisoned() {
                    let end = log.next_position().0;
                    self.indeterminate = (end.saturating_sub(payloads.len() as u64)..).zip(payloads).collect();
                }
                if !log.is_poisoned() && log.rotations() == rotations {
                    let is_seal_due = log.next_position().0 == before.0 + 1;
                    assert!(
                        log.next_position() == before || is_seal_due,
                        "{}: {error} moved {before} to {}",
                        self.label,
                        log.next_position()
                    );
                }
                self.failed(log, &error, was_poisoned);
            }
        }
    }

    fn settled(&mut self, log: &Log, was_poisoned: bool, result: Result<(), LogError>) {
        match result {
            Ok(()) => self.durable = self.acknowledged.len(),
            Err(error) => self.failed(log, &error, was_poisoned),
        }
    }

    fn failed(&mut self, log: &Log, error: &LogError, was_poisoned: bool) {
        let label = &self.label;
        assert!(!error.is_damage(), "{label}: {error}");
        if was_poisoned {
            let LogError::Poisoned { indeterminate, .. } = error else { panic!("{label}: {error:?} after poison") };
            assert_eq!(indeterminate.start, log.durable_end(), "{label}");
            assert_eq!(indeterminate.end, log.next_position(), "{label}");
        } else if log.is_poisoned() {
            self.poisoned += 1;
        } else {
            assert!(matches!(error, LogError::NoSpace { .. }), "{label}: {error:?}");
            self.no_space += 1;
        }
    }

    /// The life of a log that exists already.
    fn live(&mut self, faulty: &Faulty, log: Log) {
        self.append(&log, Durability::Durable, &[100]);
        self.append(&log, Durability::Buffered, &[10]);
        self.append(&log, Durability::Flushed, &[20]);
        self.append(&log, Durability::Durable, &[300; 30]);
        let was_poisoned = log.is_poisoned();
        self.settled(&log, was_poisoned, log.rotate());
        for size in [5, 900, 50] {
            self.append(&log, Durability::Buffered, &[size]);
        }
        let was_poisoned = log.is_poisoned();
        self.settled(&log, was_poisoned, log.sync());
        self.append(&log, Durability::Durable, &[70_000]);
        self.append(&log, Durability::Durable, &[70]);
        self.append(&log, Durability::Buffered, &[71]);
        let was_poisoned = log.is_poisoned();
        self.was_poisoned_before_close = was_poisoned;
        let closed = log.close();
        let is_closed = closed.is_ok();
        self.settled(&log, was_poisoned, closed);
        if !is_closed {
            if log.is_poisoned() {
                assert!(log.close().unwrap_err().is_poisoned(), "{}", self.label);
            }
            return;
        }
        assert!(matches!(log.append(&row(b"late"), with(Durability::Buffered)), Err(LogError::Closed { .. })));
        drop(log);
        if let Ok(log) = Log::open(&host(faulty.clone()), dir(), &options()) {
            self.append(&log, Durability::Durable, &[1]);
            self.append(&log, Durability::Durable, &[2]);
            let was_poisoned = log.is_poisoned();
            self.settled(&log, was_poisoned, log.close());
        }
    }

    /// Opens what is left in the same uptime, and again after a power cut.
    fn check(&self, disk: &MemVfs) {
        let label = &self.label;
        let possible: Vec<_> = self.acknowledged.iter().chain(&self.indeterminate).cloned().collect();
        let durable = &self.acknowledged[..self.durable];
        let after = disk.crash();
        for (disk, label) in [(&after, format!("{label}, power cut")), (disk, format!("{label}, reopened"))] {
            let log = open(disk).unwrap_or_else(|error| panic!("{label}: {error} {error:?}"));
            let mut found = rows(&log.snapshot());
            all(&log.snapshot());
            assert!(found.starts_with(durable), "{label}: {found:?} lacks some of {durable:?}");
            assert!(possible.starts_with(&found), "{label}: {found:?} is no prefix of {possible:?}");
            if self.was_poisoned_before_close {
                assert_ne!(log.recovery().tail, TailKind::Clean, "{label}: a poisoned log was closed");
            }
            // What the first life left in the cache alone must not be built on.
            let position = log.append(&row(b"after"), with(Durability::Durable)).unwrap();
            found.push((position.0, b"after".to_vec()));
            let disk = disk.crash();
            drop(log);
            let log = open(&disk).unwrap_or_else(|error| panic!("{label}, then a power cut: {error} {error:?}"));
            assert_eq!(rows(&log.snapshot()), found, "{label}, then a power cut");
        }
    }
}

fn faults() -> impl Iterator<Item = (ErrorKind, bool, usize)> {
    [ErrorKind::Other, ErrorKind::StorageFull]
        .into_iter()
        .flat_map(|kind| [(kind, false, 0), (kind, false, 2), (kind, true, 0), (kind, true, 3)])
}

/// M3, M4 and W3 of the writer.
///
/// Three bugs were found by this. A footer whose sync had failed was believed when the log was opened again in the same
/// uptime, and a segment was built on it that a power cut then left without its predecessor's end. A segment whose
/// directory sync had failed took acknowledged records under a name that a power cut took away. And a sync that failed
/// of a full disk was tried again.
#[test]
fn a_fault_at_any_operation_is_told_and_nothing_acknowledged_is_lost() {
    let (mut no_space, mut poisoned) = (0, 0);
    for (kind, for_good, quarters_written) in faults() {
        for at in 0.. {
            let faulty = Faulty::new(MemVfs::new());
            let log = common::create(faulty.clone(), &options());
            let fault = Fault { at, kind, for_good, quarters_written };
            faulty.set_fault(Some(fault));
            let mut run = Run { label: format!("{fault:?}"), ..Run::default() };
            run.live(&faulty, log);
            let is_over = faulty.count() <= at;
            faulty.set_fault(None);
            run.check(&faulty.disk);
            no_space += run.no_space;
            poisoned += run.poisoned;
            if is_over {
                assert!(at > 30 && run.no_space + run.poisoned == 0, "{at} operations");
                break;
            }
        }
    }
    assert!(no_space > 20 && poisoned > 20, "{no_space} refusals, {poisoned} poisoned");
}

#[test]
fn a_creation_that_fails_anywhere_can_be_done_again() {
    for (kind, for_good, quarters_written) in faults() {
        for at in 0.. {
            let faulty = Faulty::new(MemVfs::new());
            let fault = Fault { at, kind, for_good, quarters_written };
            faulty.set_fault(Some(fault));
            let created = Log::create(&host(faulty.clone()), dir(), common::ID, &options());
            let is_over = faulty.count() <= at;
            faulty.set_fault(None);
            let is_created = created.is_ok();
            drop(created);
            bulla_vfs::Vfs::sync_dir(&faulty.disk, std::path::Path::new("/")).unwrap();
            for disk in [faulty.disk.crash(), faulty.disk.clone()] {
                let log = match open(&disk) {
                    Err(LogError::NotFound { .. }) if !is_created => {
                        Log::create(&host(disk.clone()), dir(), common::ID, &options())
                            .unwrap_or_else(|error| panic!("{fault:?}: {error} {error:?}"))
                    }
                    other => other.unwrap_or_else(|error| panic!("{fault:?}: {error} {error:?}")),
                };
                assert_eq!(log.genesis().unwrap().origin, "test/log", "{fault:?}");
                log.append(&row(b"first"), with(Durability::Durable)).unwrap();
                bulla_vfs::Vfs::sync_dir(&disk, std::path::Path::new("/")).unwrap();
                let log = open(&disk.crash()).unwrap();
                assert_eq!(rows(&log.snapshot()).last().unwrap().1, b"first", "{fault:?}");
            }
            if is_over {
                break;
            }
        }
    }
}

/// W5: what the later callers of a poisoned log are told, and what becomes of tickets.
#[test]
fn tickets_end_as_durable_not_written_or_indeterminate() {
    let faulty = Faulty::new(MemVfs::new());
    let log = common::create(faulty.clone(), &options());
    let submit = |payload: &[u8]| log.submit(&[row(payload)], with(Durability::Durable)).unwrap();
    let first = submit(b"first");
    assert_eq!(first.outcome(), Outcome::Pending);
    first.wait(Durability::Flushed).unwrap();
    assert_eq!(first.outcome(), Outcome::Flushed);
    first.wait(Durability::Durable).unwrap();
    assert_eq!(first.outcome(), Outcome::Durable);

    let refused = submit(b"refused");
    faulty.set_fault(Some(Fault { at: 0, kind: ErrorKind::StorageFull, for_good: false, quarters_written: 1 }));
    let error = refused.wait(Durability::Durable).unwrap_err();
    assert!(matches!(error, LogError::NoSpace { .. }) && error.is_full(), "{error:?}");
    assert_eq!(refused.outcome(), Outcome::NotWritten);
    let again = submit(b"again");
    assert_eq!(again.positions(), refused.positions(), "positions that were taken back are given again");
    again.wait(Durability::Durable).unwrap();
    assert_eq!((again.outcome(), refused.outcome()), (Outcome::Durable, Outcome::NotWritten));
    assert!(refused.wait(Durability::Durable).unwrap_err().is_full());

    let (one, two) = (submit(b"one"), submit(b"two"));
    faulty.set_fault(Some(Fault { at: 1, kind: ErrorKind::Other, for_good: false, quarters_written: 0 }));
    assert!(one.wait(Durability::Durable).is_err());
    assert!(log.is_poisoned());
    assert_eq!((one.outcome(), two.outcome()), (Outcome::Indeterminate, Outcome::Indeterminate));
    assert_eq!(again.outcome(), Outcome::Durable);
    let error = two.wait(Durability::Durable).unwrap_err();
    let LogError::Poisoned { indeterminate, cause, .. } = error else { panic!("{error:?}") };
    assert_eq!(indeterminate, one.positions().start..two.positions().end);
    assert!(cause.starts_with("cannot ") && cause.contains(".seg: "), "what failed, and of what: {cause}");
    assert!(log.flush().unwrap_err().is_poisoned() && log.rotate().unwrap_err().is_poisoned());
}

/// M3. Zeros ahead and marks are a matter of speed: that there is no room for them is nobody's concern. Any other failure
/// of their writes is one of the disk, and the log takes nothing more.
#[test]
fn zeros_and_marks_want_no_room_but_a_sound_disk() {
    for (at, kind, is_told, is_poisoned) in [
        (1, ErrorKind::StorageFull, false, false),
        (3, ErrorKind::StorageFull, false, false),
        (1, ErrorKind::Other, true, true),
        (3, ErrorKind::Other, false, true),
    ] {
        let faulty = Faulty::new(MemVfs::new());
        let log = common::create(faulty.clone(), &LogOptions::new().origin("test/log"));
        // So large a group leaves no zeros, so that the next one does.
        log.append(&row(&[1; 270_000]), with(Durability::Durable)).unwrap();
        let before = faulty.done().len();
        log.append(&row(&[2; 600]), with(Durability::Durable)).unwrap();
        log.append(&row(&[2; 270_000]), with(Durability::Durable)).unwrap();
        let done = faulty.done();
        let [Operation::Write { .. }, Operation::Write { len: 262_144, .. }, Operation::Sync(_), mark, ..] =
            &done[before..]
        else {
            panic!("{done:?}")
        };
        assert!(matches!(mark, Operation::Write { len: 64, .. }), "{mark:?}");

        faulty.set_fault(Some(Fault { at, kind, for_good: false, quarters_written: 2 }));
        let appended = log.append(&row(&[3; 600]), with(Durability::Durable));
        assert_eq!((appended.is_err(), log.is_poisoned()), (is_told, is_poisoned), "{kind} at {at}: {appended:?}");
    }
}

/// W3 of the writer: a group that is refused takes back only what its callers still wait for.
#[test]
fn what_was_acknowledged_as_buffered_outlives_a_refusal_behind_it() {
    let faulty = Faulty::new(MemVfs::new());
    let log = common::create(faulty.clone(), &options());
    let kept = log.append(&row(b"kept"), with(Durability::Buffered)).unwrap();
    faulty.set_fault(Some(Fault { at: 0, kind: ErrorKind::StorageFull, for_good: false, quarters_written: 2 }));
    assert!(log.append(&row(b"refused"), with(Durability::Durable)).unwrap_err().is_full());
    assert_eq!(log.next_position(), Position(kept.0 + 1));
    log.append(&row(b"next"), with(Durability::Durable)).unwrap();
    let expected = vec![(kept.0, b"kept".to_vec()), (kept.0 + 1, b"next".to_vec())];
    assert_eq!(rows(&log.snapshot()), expected);
    assert_eq!(rows(&open(&faulty.disk.crash()).unwrap().snapshot()), expected);
}

/// The same, when the buffered record comes behind the one that is refused: its call waits, so that it is told.
#[test]
fn a_buffered_record_behind_a_waited_for_one_is_refused_with_it() {
    let faulty = Faulty::new(MemVfs::new());
    let log = common::create(faulty.clone(), &options());
    faulty.set_fault(Some(Fault { at: 0, kind: ErrorKind::StorageFull, for_good: true, quarters_written: 1 }));
    let ticket = log.submit(&[row(b"first")], with(Durability::Durable)).unwrap();
    assert!(log.append(&row(b"behind"), with(Durability::Buffered)).unwrap_err().is_full());
    assert_eq!(ticket.outcome(), Outcome::NotWritten);
    faulty.set_fault(None);
    let position = log.append(&row(b"next"), with(Durability::Durable)).unwrap();
    assert_eq!(rows(&log.snapshot()), vec![(position.0, b"next".to_vec())]);
}

/// A call whose record was in the file and lacked only a sync led for others, whose records the full disk refused. It was
/// told that its own was taken back, while the log kept it: whoever appended again had it twice.
#[test]
fn a_written_record_is_made_durable_when_there_is_no_room_for_the_ones_behind() {
    for behind in [Durability::Flushed, Durability::Buffered] {
        let faulty = Faulty::new(MemVfs::new());
        let log = common::create(faulty.clone(), &options());
        let first = log.submit(&[row(b"first")], with(Durability::Durable)).unwrap();
        first.wait(Durability::Flushed).unwrap();
        let second = match behind {
            Durability::Buffered => log.append(&row(b"second"), with(behind)).map(|_| None).unwrap(),
            _ => Some(log.submit(&[row(b"second")], with(behind)).unwrap()),
        };
        faulty.set_fault(Some(Fault { at: 0, kind: ErrorKind::StorageFull, for_good: true, quarters_written: 1 }));
        first.wait(Durability::Durable).unwrap();
        assert_eq!((first.outcome(), log.durable_end()), (Outcome::Durable, first.positions().end));
        assert_eq!(log.head().unwrap().size, log.durable_end().0);
        faulty.set_fault(None);
        if let Some(second) = &second {
            assert_eq!(second.outcome(), Outcome::NotWritten);
        }
        log.append(&row(b"third"), with(Durability::Durable)).unwrap();
        let kept: Vec<_> = rows(&open(&faulty.disk.crash()).unwrap().snapshot()).into_iter().map(|row| row.1).collect();
        let expected: &[&[u8]] =
            if second.is_some() { &[b"first", b"third"] } else { &[b"first", b"second", b"third"] };
        assert_eq!(kept, expected, "{behind:?}");
    }
}

/// The same, when the waited-for record comes while the buffered one is being written and refused.
#[test]
fn a_refused_write_of_buffered_records_does_not_mix_with_what_came_meanwhile() {
    let faulty = Faulty::new(MemVfs::new());
    let log = common::create(faulty.clone(), &options());
    let kept = log.append(&row(b"kept"), with(Durability::Buffered)).unwrap();
    faulty.set_fault(Some(Fault { at: 0, kind: ErrorKind::StorageFull, for_good: true, quarters_written: 1 }));
    let meanwhile = Arc::new(std::sync::Mutex::new(None));
    faulty.before_fault({
        let (log, meanwhile) = (log.clone(), Arc::clone(&meanwhile));
        move || *meanwhile.lock().unwrap() = Some(log.submit(&[row(b"meanwhile")], with(Durability::Durable)).unwrap())
    });
    assert!(log.flush().unwrap_err().is_full());
    let ticket = meanwhile.lock().unwrap().take().unwrap();
    assert_eq!(ticket.outcome(), Outcome::Pending, "nobody waited for it yet");
    assert!(ticket.wait(Durability::Durable).unwrap_err().is_full());
    assert_eq!(ticket.outcome(), Outcome::NotWritten);
    faulty.set_fault(None);
    let next = log.append(&row(b"next"), with(Durability::Durable)).unwrap();
    let expected = vec![(kept.0, b"kept".to_vec()), (next.0, b"next".to_vec())];
    assert_eq!(next.0, kept.0 + 1);
    assert_eq!(rows(&open(&faulty.disk.crash()).unwrap().snapshot()), expected);
}

fn used(disk: &MemVfs) -> u64 {
    common::files(disk).values().map(|bytes| bytes.len() as u64).sum()
}

/// W6, at every capacity across a frame, a footer and the header and seal of the next segment.
#[test]
fn a_full_disk_refuses_and_goes_on_once_there_is_room() {
    let (mut refused, mut went) = (0, 0);
    for step in 0..=300 {
        let disk = MemVfs::new();
        let log = common::create(disk.clone(), &options());
        // Zeros written ahead are room too, so they are used up first.
        log.append(&row(&[1; 270_000]), with(Durability::Durable)).unwrap();
        disk.set_capacity(Some(used(&disk) + step * 16));
        let mut expected = rows(&log.snapshot());
        for (payload, durability) in [
            (vec![2; 700], Durability::Durable),
            (vec![3; 40], Durability::Buffered),
            (vec![4; 500], Durability::Flushed),
        ] {
            let next = log.next_position();
            match log.append(&row(&payload), with(durability)) {
                Ok(position) => expected.push((position.0, payload)),
                Err(error) => {
                    assert!(matches!(error, LogError::NoSpace { .. }), "{step}: {error:?}");
                    assert!(log.next_position().0 <= next.0 + 1, "{step}: a refused record kept its position");
                    refused += 1;
                }
            }
        }
        match log.rotate() {
            Ok(()) => went += 1,
            Err(error) => {
                assert!(matches!(error, LogError::NoSpace { .. }), "{step}: {error:?}");
                refused += 1;
            }
        }
        match log.close() {
            Ok(()) => {}
            Err(error) => {
                assert!(matches!(error, LogError::NoSpace { .. }) && !log.is_poisoned(), "{step}: {error:?}");
                disk.set_capacity(None);
                let position = log.append(&row(b"room again"), with(Durability::Durable)).unwrap();
                expected.push((position.0, b"room again".to_vec()));
                log.close().unwrap();
            }
        }
        disk.set_capacity(None);
        for disk in [disk.crash(), disk] {
            let log = open(&disk).unwrap_or_else(|error| panic!("{step}: {error} {error:?}"));
            assert!(matches!(log.recovery().tail, TailKind::Clean | TailKind::Sealed), "{step}: {:?}", log.recovery());
            assert_eq!(rows(&log.snapshot()), expected, "{step}");
            all(&log.snapshot());
            assert_eq!(log.head().unwrap(), log.snapshot().head_at(log.durable_end()).unwrap(), "{step}");
        }
    }
    assert!(refused > 100 && went > 10, "{refused} refused, {went} rotated");
}

/// A log that holds one record in its newest segment, on a disk without room.
fn full(make_room: impl Fn(&MemVfs) -> bool + Send + Sync + 'static) -> (MemVfs, Log, Arc<AtomicU32>) {
    let (disk, calls) = (MemVfs::new(), Arc::new(AtomicU32::new(0)));
    let make_room = {
        let (disk, calls) = (disk.clone(), Arc::clone(&calls));
        move || {
            calls.fetch_add(1, Ordering::Relaxed);
            make_room(&disk)
        }
    };
    let log = common::create(disk.clone(), &options().make_room(Arc::new(make_room)));
    log.append(&row(&[1; 270_000]), with(Durability::Durable)).unwrap();
    disk.set_capacity(Some(used(&disk)));
    (disk, log, calls)
}

#[test]
fn room_is_made_once_and_the_step_tried_again() {
    let more = |disk: &MemVfs| {
        disk.set_capacity(None);
        true
    };
    let (_, log, calls) = full(more);
    log.rotate().unwrap();
    assert_eq!((calls.load(Ordering::Relaxed), log.rotations()), (1, 1));
    let (disk, log, calls) = full(more);
    log.close().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(open(&disk).unwrap().recovery().tail, TailKind::Clean);
    let (_, log, calls) = full(|_| true);
    assert!(log.rotate().unwrap_err().is_full() && !log.is_poisoned());
    assert_eq!(calls.load(Ordering::Relaxed), 1, "room that was no room is not asked for again");
    let (_, log, calls) = full(|_| false);
    assert!(log.rotate().unwrap_err().is_full() && !log.is_poisoned());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    // An append is the caller's to try again.
    assert!(log.append(&row(&[2; 5_000]), with(Durability::Durable)).unwrap_err().is_full());
}

/// A sync that failed of a full disk was tried again once room had been made, and its `Ok` believed (M4, A3).
#[test]
fn a_sync_that_lacks_space_is_final() {
    let faulty = Faulty::new(MemVfs::new());
    let options: LogOptions = options().make_room(Arc::new(|| true));
    let log = common::create(faulty.clone(), &options);
    log.append(&row(b"row"), with(Durability::Durable)).unwrap();
    faulty.set_fault(None);
    log.rotate().unwrap();
    let count = faulty.count();
    let done = faulty.done();
    let operations = &done[done.len() - usize::try_from(count).unwrap()..];
    for (at, operation) in (0..).zip(operations) {
        let faulty = Faulty::new(MemVfs::new());
        let log = common::create(faulty.clone(), &options);
        log.append(&row(b"row"), with(Durability::Durable)).unwrap();
        faulty.set_fault(Some(Fault { at, kind: ErrorKind::StorageFull, for_good: false, quarters_written: 0 }));
        let is_sync = matches!(operation, Operation::Sync(_) | Operation::SyncDir(_));
        let result = log.rotate();
        assert_eq!(log.is_poisoned(), is_sync, "{operation:?}: {result:?}");
        assert_eq!(result.is_err(), is_sync, "{operation:?}: {result:?}");
    }
}

/// A rotation refused for lack of space takes the footer back, and with it the close frame it was written over. The log
/// was then thought to end with that frame still, and closed without one.
#[test]
fn a_close_after_a_refused_rotation_leaves_a_close_frame() {
    let faulty = Faulty::new(MemVfs::new());
    let log = common::create(faulty.clone(), &options());
    log.append(&row(b"row"), with(Durability::Durable)).unwrap();
    log.close().unwrap();
    let log = Log::open(&host(faulty.clone()), dir(), &options()).unwrap();
    faulty.set_fault(Some(Fault { at: 0, kind: ErrorKind::StorageFull, for_good: false, quarters_written: 3 }));
    assert!(matches!(log.rotate(), Err(LogError::NoSpace { .. })));
    log.close().unwrap();
    for disk in [faulty.disk.crash(), faulty.disk.clone()] {
        let log = open(&disk).unwrap();
        assert_eq!(log.recovery().tail, TailKind::Clean);
        assert_eq!(rows(&log.snapshot()).len(), 1);
    }
}
