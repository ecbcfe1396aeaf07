//! What the writer and recovery bring to the disk: with which calls, how many of them, where frames begin and end, and
//! which call was it that failed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::large_stack_arrays)]

#[path = "support/common.rs"]
mod common;
#[path = "support/faulty.rs"]
mod faulty;

use bulla_log::{Durability, Log, LogError, LogOptions, Outcome, TailKind};
use bulla_segment::Tail;
use bulla_testkit::{Call, Harm, SimDisk};
use bulla_vfs::MemVfs;
use bulla_wire::Role;
use common::{ID, create, dir, disk_of, edit, files, frames, host, open_for_reading, options, row, segments, with};
use faulty::{Fault, Faulty, Operation};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

const AHEAD: usize = 256 << 10;
const MARK: usize = 64;

/// A log whose one segment is large, on a disk that keeps a record of its calls.
fn large() -> (Faulty, Log) {
    let faulty = Faulty::new(MemVfs::new());
    let log = create(faulty.clone(), &LogOptions::new().origin("test/log"));
    (faulty, log)
}

/// What `run` did: the lengths of its writes, and 0 for each sync.
fn calls(faulty: &Faulty, run: impl FnOnce()) -> Vec<usize> {
    let before = faulty.done().len();
    run();
    let done = faulty.done();
    let calls = done[before..].iter().map(|operation| match operation {
        Operation::Write { len, .. } => *len,
        Operation::Sync(_) => 0,
        other => panic!("neither a write nor a sync: {other:?}"),
    });
    calls.collect()
}

fn append(log: &Log, payload: &[u8], durability: Durability) {
    log.append(&row(payload), with(durability)).unwrap();
}

/// What the frame of a record adds to its payload of between 16 KiB and 2 MiB, if the whole is a multiple of 8, as every
/// frame is.
fn overhead() -> usize {
    let (faulty, log) = large();
    let payload = vec![7; 50_000];
    let calls = calls(&faulty, || append(&log, &payload, Durability::Flushed));
    calls[0] - payload.len()
}

/// A record that was flushed is one write, and no sync, whatever was made durable before it.
#[test]
fn a_flushed_record_costs_one_write_and_no_sync() {
    let (faulty, log) = large();
    let submit = |payload| log.submit(&[row(payload)], with(Durability::Flushed)).unwrap();
    let (first, second) = (submit(b"first"), submit(b"second"));
    // The sync covers more than this asked for.
    first.wait(Durability::Durable).unwrap();
    assert_eq!(second.outcome(), Outcome::Durable);
    let flushed = calls(&faulty, || append(&log, b"third", Durability::Flushed));
    assert!(matches!(flushed[..], [len] if len > MARK), "{flushed:?}");
    let durable = calls(&faulty, || append(&log, b"fourth", Durability::Durable));
    assert!(matches!(durable[..], [len, 0, MARK] if len > MARK), "{durable:?}");
    assert_eq!(calls(&faulty, || log.sync().unwrap()), [], "everything is durable already");
}

/// A ticket that was not asked to wait brings nothing to the disk, nor does one of no records.
#[test]
fn a_ticket_that_waits_for_nothing_writes_nothing() {
    let (faulty, log) = large();
    let ticket = log.submit(&[row(b"submitted")], with(Durability::Flushed)).unwrap();
    let empty = log.submit(&[], with(Durability::Flushed)).unwrap();
    let calls = calls(&faulty, || {
        ticket.wait(Durability::Buffered).unwrap();
        empty.wait(Durability::Flushed).unwrap();
        empty.wait(Durability::Durable).unwrap();
    });
    assert_eq!((calls, ticket.outcome()), (vec![], Outcome::Pending));
}

/// Zeros are written ahead with a sync that changes the file's length anyway, unless the group is so large that its own
/// bytes are what the sync costs.
#[test]
fn zeros_ahead_come_with_the_small_group_that_uses_up_the_last_ones() {
    let overhead = overhead();
    // The first group of a life with no zeros left: from 64 KiB on it leaves none.
    for (len, is_ahead) in [((64 << 10) - 8, true), (64 << 10, false)] {
        let (faulty, log) = large();
        append(&log, &vec![7; 300_000], Durability::Durable);
        let payload = vec![7; len - overhead];
        let calls = calls(&faulty, || append(&log, &payload, Durability::Durable));
        assert_eq!(calls, if is_ahead { vec![len, AHEAD, 0, MARK] } else { vec![len, 0, MARK] });
    }
    // A group that ends where the zeros do is still written in place of them; 8 bytes more change the length.
    for beyond in [0, 8] {
        let (faulty, log) = large();
        append(&log, &vec![7; 220_000], Durability::Durable);
        let path = segments(&faulty.disk)[0].clone();
        let end = Tail::scan(&open_for_reading(&faulty.disk, &path)).unwrap().extent.end_offset as usize;
        let len = faulty.disk.read_file(&path).unwrap().len() - end + beyond;
        assert!(len > 20_000 && len < 64 << 10, "{len}");
        let payload = vec![7; len - overhead];
        let calls = calls(&faulty, || append(&log, &payload, Durability::Durable));
        assert_eq!(calls, if beyond > 0 { vec![len, AHEAD, 0, MARK] } else { vec![len, 0, MARK] });
    }
}

/// The durable end goes to other processes with the next frame, or with a mark if no frame waits.
#[test]
fn a_mark_is_left_only_where_no_frame_waits() {
    let (faulty, log) = large();
    let meanwhile = Arc::new(Mutex::new(None));
    faulty.watch({
        let (log, meanwhile) = (log.clone(), Arc::clone(&meanwhile));
        move |_, operation| {
            let mut meanwhile = meanwhile.lock().unwrap();
            if matches!(operation, Operation::Sync(_)) && meanwhile.is_none() {
                *meanwhile = Some(log.submit(&[row(b"meanwhile")], with(Durability::Flushed)).unwrap());
            }
        }
    });
    let first = calls(&faulty, || append(&log, b"first", Durability::Durable));
    assert!(matches!(first[..], [_, 0]), "{first:?}");
    let ticket = meanwhile.lock().unwrap().take().unwrap();
    ticket.wait(Durability::Flushed).unwrap();
    let path = segments(&faulty.disk)[0].clone();
    let (_, last) = frames(&faulty.disk, &path).pop().unwrap();
    assert_eq!((last.base, last.durable_end), (ticket.positions().start, ticket.positions().start));
}

/// The frames of the one segment behind the genesis: how many records each holds, and whether the batch goes on.
fn shape(disk: &MemVfs) -> Vec<(u32, bool)> {
    let frames = frames(disk, &segments(disk)[0]);
    let data = frames.iter().skip(1).filter_map(|(_, header)| match header.role {
        Role::Data { more } => Some((header.record_count, more)),
        _ => None,
    });
    data.collect()
}

/// A frame ends with the record that brings it to its target; a record that is as long as that has one of its own. A batch
/// is one run of frames that holds nobody else's records.
#[test]
fn frames_end_at_their_target_and_batches_hold_nothing_else() {
    const TARGET: usize = 200;
    let (small, big, third) = (&[1; 10][..], &[2; TARGET][..], &[3; TARGET / 3][..]);
    for (calls, expected) in [
        // Single records share a frame, until it is long enough.
        (vec![vec![small], vec![small], vec![small]], vec![(3, false)]),
        (vec![vec![third]; 7], vec![(3, false), (3, false), (1, false)]),
        // A large one does not wait for the frame to fill, and nothing comes behind it.
        (vec![vec![small], vec![small], vec![big], vec![small]], vec![(2, false), (1, false), (1, false)]),
        (vec![vec![big], vec![big]], vec![(1, false), (1, false)]),
        // One byte less, and it is a record like others.
        (vec![vec![small], vec![&big[1..]], vec![small]], vec![(2, false), (1, false)]),
        // A batch neither goes on with a frame nor lets others go on with its last.
        (vec![vec![small], vec![small, small], vec![small]], vec![(1, false), (2, false), (1, false)]),
        (vec![vec![small, small], vec![small, small]], vec![(2, false), (2, false)]),
        // However many frames it takes, every one but the last says that it goes on.
        (vec![vec![third; 7]], vec![(3, true), (3, true), (1, false)]),
        (vec![vec![small, big, small]], vec![(1, true), (1, true), (1, false)]),
        (vec![vec![small], vec![big, small, big]], vec![(1, false), (1, true), (1, true), (1, false)]),
        (vec![vec![third; 3]], vec![(3, false)]),
    ] {
        let disk = MemVfs::new();
        let log = create(disk.clone(), &options().segment_bytes_max(1 << 20).frame_target_bytes(TARGET as u32));
        for payloads in &calls {
            let batch: Vec<_> = payloads.iter().map(|payload| row(payload)).collect();
            log.append_batch(&batch, with(Durability::Buffered)).unwrap();
        }
        log.sync().unwrap();
        let lens: Vec<Vec<_>> = calls.iter().map(|batch| batch.iter().map(|payload| payload.len()).collect()).collect();
        assert_eq!(shape(&disk), expected, "{lens:?}");
    }
}

/// A frame takes 65,536 records and no more, however short they are.
#[test]
fn a_frame_of_the_most_records_ends_before_its_target() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &LogOptions::new().origin("test/log").frame_target_bytes(1 << 20));
    log.append_batch(&vec![row(b""); (1 << 16) + 1], with(Durability::Durable)).unwrap();
    assert_eq!(shape(&disk), [(1 << 16, true), (1, false)]);
}

/// A segment is sealed when what comes would exceed its size, and not when it would just reach it. For each record 16
/// bytes are counted besides its payload.
#[test]
fn a_segment_is_filled_to_its_size_and_not_beyond() {
    const LARGEST: usize = 16 << 10;
    for beyond in [0, 1] {
        let disk = MemVfs::new();
        let log = create(disk.clone(), &options().segment_bytes_max(LARGEST as u64));
        append(&log, b"first", Durability::Durable);
        let path = segments(&disk)[0].clone();
        let end = Tail::scan(&open_for_reading(&disk, &path)).unwrap().extent.end_offset as usize;
        append(&log, &vec![7; LARGEST - end - 16 + beyond], Durability::Durable);
        assert_eq!(log.rotations(), beyond as u64);
    }
}

/// Whoever lost the lock writes no end: the guard is asked before a segment is sealed and before a log is closed, and its
/// refusal is final.
#[test]
fn nothing_is_sealed_or_closed_that_the_guard_refuses() {
    let (asked, is_allowed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(true)));
    let options = options().guard({
        let (asked, is_allowed) = (Arc::clone(&asked), Arc::clone(&is_allowed));
        Arc::new(move || {
            asked.fetch_add(1, Ordering::Relaxed);
            if is_allowed.load(Ordering::Relaxed) { Ok(()) } else { Err(ErrorKind::PermissionDenied.into()) }
        })
    });
    for end in [Log::rotate, Log::close] {
        for allowed in [true, false] {
            is_allowed.store(true, Ordering::Relaxed);
            let faulty = Faulty::new(MemVfs::new());
            let log = create(faulty.clone(), &options);
            append(&log, b"row", Durability::Durable);
            assert_eq!(asked.swap(0, Ordering::Relaxed), 0, "an append asks nothing");
            is_allowed.store(allowed, Ordering::Relaxed);
            let before = faulty.done().len();
            let ended = end(&log);
            assert_eq!((ended.is_ok(), log.is_poisoned()), (allowed, !allowed), "{ended:?}");
            assert_eq!((faulty.done().len() > before, asked.swap(0, Ordering::Relaxed)), (allowed, 1));
        }
    }
}

fn assert_io(error: &LogError, path: &Path, kind: ErrorKind) {
    let LogError::Io { source, .. } = error else { panic!("{error:?}") };
    assert_eq!((error.path(), source.kind()), (Some(path), kind));
}

/// The error that the disk gave is told, of the path it was about.
#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let faulty = Faulty::new(MemVfs::new());
    faulty.set_fault(Some(Fault { at: 0, kind: ErrorKind::PermissionDenied, for_good: false, quarters_written: 0 }));
    let error = Log::create(&host(faulty.clone()), dir(), ID, &options()).unwrap_err();
    assert_io(&error, dir(), ErrorKind::PermissionDenied);
    assert!(faulty.done().is_empty());
}

/// The same when a torn tail cannot be set aside, and the tail is left as it was for the next opening.
#[test]
fn a_quarantine_that_cannot_be_made_is_named() {
    let torn = MemVfs::new();
    append(&create(torn.clone(), &options()), b"row", Durability::Durable);
    let path = segments(&torn)[0].clone();
    let end = Tail::scan(&open_for_reading(&torn, &path)).unwrap().extent.end_offset as usize;
    edit(&torn, &path, |bytes| {
        bytes.truncate(end);
        bytes.extend([7; 100]);
    });
    let open = |faulty: &Faulty| Log::open(&host(faulty.clone()), dir(), &options());
    let whole = Faulty::new(disk_of(&files(&torn)));
    assert_eq!(open(&whole).unwrap().recovery().tail, TailKind::Torn);
    let mut made = 0;
    for (at, operation) in (0..).zip(whole.done()) {
        let (Operation::CreateDir(path) | Operation::Create(path)) = operation else { continue };
        made += 1;
        let faulty = Faulty::new(disk_of(&files(&torn)));
        let kind = ErrorKind::PermissionDenied;
        faulty.set_fault(Some(Fault { at, kind, for_good: false, quarters_written: 0 }));
        assert_io(&open(&faulty).unwrap_err(), &path, kind);
        let segment = &segments(&torn)[0];
        assert_eq!(faulty.disk.read_file(segment).unwrap(), torn.read_file(segment).unwrap());
        assert_eq!(open(&faulty).unwrap().recovery().tail, TailKind::Torn);
    }
    assert_eq!(made, 2, "the directory and the file");
}

/// A quarantine that cannot be looked into may hold what no record names yet: that is no reason to go on without.
#[test]
fn a_quarantine_that_cannot_be_listed_stops_an_opening() {
    let disk = SimDisk::new(1);
    append(&create(disk.clone(), &options()), b"row", Durability::Durable);
    let open = |disk: &SimDisk| Log::open(&host(disk.clone()), dir(), &options());
    let image = disk.seen();
    let whole = SimDisk::of(1, &image);
    open(&whole).unwrap();
    let lists: Vec<_> = (0..).zip(whole.calls()).filter(|(_, call)| *call == Call::List).map(|(at, _)| at).collect();
    assert_eq!(lists.len(), 2, "of the log and of its quarantine");
    for (at, path) in lists.into_iter().zip([dir().to_owned(), dir().join("quarantine")]) {
        let disk = SimDisk::of(1, &image);
        disk.set_fault(Some(bulla_testkit::Fault { at, harm: Harm::Io, for_good: false }));
        let error = open(&disk).unwrap_err();
        assert_eq!(error.path(), Some(&*path), "{error:?}");
        assert!(matches!(error, LogError::Io { action: "list", .. }), "{error:?}");
    }
}
