//! What a log refuses, and what its own records and counters say.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::large_stack_arrays)]

#[path = "support/common.rs"]
mod common;

use bulla_chain::{Predecessor, Seal, TreeHead};
use bulla_log::{AppendOptions, Durability, Item, Log, LogError, LogOptions, NewRow, Query, TailKind};
use bulla_testkit::{CountingVfs, Edited};
use bulla_vfs::MemVfs;
use bulla_wire::{Content, Epoch, FrameHeader, Kind, LogId, Position, SchemaId, Time};
use common::{ID, all, create, dir, files, host, open, open_for_reading, options, remove, row, rows, segments, with};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn records_of_an_erasable_log_have_salts_of_their_own() {
    for erasable in [true, false] {
        let disk = MemVfs::new();
        let log = create(disk, &options().erasable(erasable));
        assert_eq!(log.is_erasable(), erasable);
        for _ in 0..50 {
            log.append_batch(&[row(b"same"), row(b"same")], with(Durability::Buffered)).unwrap();
        }
        log.sync().unwrap();
        let mut cursor = {
            let snapshot = log.snapshot();
            snapshot.cursor(&Query::new())
        };
        let mut salts = BTreeSet::new();
        let mut count = 0;
        while let Some(item) = cursor.next() {
            let Item::Record(record) = item.unwrap() else { panic!() };
            let Content::Payload { salt, bytes } = record.content else { panic!() };
            assert_eq!((bytes, record.salted), (&b"same"[..], erasable));
            salts.extend(salt.copied());
            count += 1;
        }
        assert_eq!((count, salts.len()), (100, if erasable { 100 } else { 0 }));
        assert_eq!(log.genesis().unwrap().erasable, erasable);
    }
}

#[test]
fn heads_are_stable_across_close_crash_and_rotation() {
    let disk = MemVfs::new();
    let mut log = create(disk.clone(), &options().erasable(true));
    let mut heads = vec![log.head().unwrap()];
    for number in 0..60_u8 {
        log.append(&row(&[number; 150]), with(Durability::Durable)).unwrap();
        heads.push(log.head().unwrap());
        match number % 20 {
            5 => log.rotate().unwrap(),
            10 => {
                log.close().unwrap();
                log = open(&disk).unwrap();
                assert_eq!(log.head().unwrap(), *heads.last().unwrap());
            }
            15 => {
                drop(log);
                log = open(&disk).unwrap();
                assert_eq!(log.head().unwrap(), *heads.last().unwrap(), "hashed again from the segment's start");
            }
            _ => {}
        }
    }
    let snapshot = log.snapshot();
    for head in &heads {
        assert_eq!(snapshot.head_at(Position(head.size)).unwrap(), *head);
    }
    let error = snapshot.head_at(Position(snapshot.end().0 + 1)).unwrap_err();
    assert!(matches!(error, LogError::NoSuchHead { .. }));
    // A head asked for above the durable end is none of the log's own.
    log.append(&row(b"flushed"), with(Durability::Flushed)).unwrap();
    assert_eq!(log.head().unwrap().size, log.durable_end().0);
}

#[test]
fn what_is_refused_takes_no_position() {
    let disk = MemVfs::new();
    let log = create(disk, &options().record_bytes_max(1000));
    let next = log.next_position();
    let durable = with(Durability::Durable);
    let expecting = |position| AppendOptions { expected: Some(Position(position)), ..durable };
    let error = log.append(&row(b"x"), expecting(next.0 + 1)).unwrap_err();
    assert!(error.is_conflict() && error.position() == Some(next), "{error:?}");
    let error = log.append(&row(&[0; 1001]), durable).unwrap_err();
    assert!(matches!(error, LogError::TooLarge { len: 1001, max: 1000, .. }), "{error:?}");
    for kind in [128, 130, 255] {
        let error = log.append(&NewRow { kind: Kind(kind), ..row(b"x") }, durable).unwrap_err();
        assert!(matches!(error, LogError::EngineKind { .. }), "{error:?}");
    }
    let payload = [0; 1000];
    let error = log.append_batch(&vec![row(&payload); 16_778], durable).unwrap_err();
    assert!(matches!(error, LogError::TooLarge { what: "batch in bytes", .. }), "{error:?}");
    let error = log.append_batch(&vec![row(b""); (1 << 20) + 1], durable).unwrap_err();
    assert!(matches!(error, LogError::TooLarge { what: "batch in records", .. }), "{error:?}");
    // One bad row spoils its batch.
    assert!(log.append_batch(&[row(b"good"), row(&[0; 1001])], durable).is_err());
    assert_eq!(log.append_batch(&[], durable).unwrap(), next..next);
    assert!(log.append_batch(&[], expecting(0)).unwrap_err().is_conflict());
    assert_eq!((log.next_position(), rows(&log.snapshot())), (next, vec![]));
    assert_eq!(log.append(&row(&[0; 1000]), expecting(next.0)).unwrap(), next);
    let kinds = [0, 1, 127].map(|kind| NewRow { kind: Kind(kind), ..row(b"") });
    log.append_batch(&kinds, durable).unwrap();
    assert_eq!(rows(&log.snapshot()).len(), 4);
    assert!(!log.is_poisoned());
}

/// An empty batch once made the buffered record behind it wait for a write, as if somebody waited before it.
#[test]
fn an_empty_batch_leaves_no_trace() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    let writes = disk.operations().writes;
    log.append_batch(&[], with(Durability::Durable)).unwrap();
    log.append(&row(b"buffered"), with(Durability::Buffered)).unwrap();
    assert_eq!(disk.operations().writes, writes);
}

#[test]
fn a_largest_batch_is_one_piece_in_one_segment() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    let payload = vec![5; 1 << 20];
    let positions = log.append_batch(&vec![row(&payload); 16], with(Durability::Durable)).unwrap();
    assert_eq!(positions.end.0 - positions.start.0, 16);
    let segments = log.snapshot().segments().unwrap();
    let holding: Vec<_> = segments.iter().filter(|segment| segment.caller_count > 0).collect();
    assert_eq!((holding.len(), holding[0].caller_count, holding[0].payload_bytes), (1, 16, 16 << 20));
    log.close().unwrap();
    assert_eq!(rows(&open(&disk).unwrap().snapshot()).len(), 16);
}

/// As many records as a batch may have are taken; `what_is_refused_takes_no_position` has one more.
#[test]
fn a_batch_of_the_most_records_is_taken() {
    let log = create(MemVfs::new(), &LogOptions::new().origin("test/log"));
    let positions = log.append_batch(&vec![row(b""); 1 << 20], with(Durability::Buffered)).unwrap();
    assert_eq!(positions.end.0 - positions.start.0, 1 << 20);
}

/// A small sync leaves zeros ahead, so that the ones behind it change bytes and no length, which costs a disk more. There
/// are none beyond the size at which the segment is sealed, and a large group, which changes the length anyway, leaves none.
#[test]
fn small_syncs_leave_zeros_ahead_and_the_next_ones_change_no_length() {
    const AHEAD: usize = 256 << 10;
    const LARGEST: usize = 600 << 10;
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options().segment_bytes_max(LARGEST as u64));
    let read = || disk.read_file(&segments(&disk)[0]).unwrap();
    let mut lens = BTreeSet::new();
    while segments(&disk).len() == 1 {
        lens.insert(read().len());
        log.append(&row(&[7; 1_000]), with(Durability::Durable)).unwrap();
    }
    let lens: Vec<_> = lens.into_iter().collect();
    assert!((3..=4).contains(&lens.len()), "{lens:?}");
    assert!(lens[1] - lens[0] >= AHEAD && lens[1] - lens[0] < AHEAD + 2_000, "{lens:?}");
    assert_eq!(lens.last(), Some(&LARGEST));

    let disk = MemVfs::new();
    let log = create(disk.clone(), &LogOptions::new().origin("test/log"));
    let read = || disk.read_file(&segments(&disk)[0]).unwrap();
    let is_zero_ahead = |bytes: &[u8]| bytes[bytes.len() - 8..] == [0; 8];
    log.append(&row(&vec![7; 600 << 10]), with(Durability::Durable)).unwrap();
    assert!(!is_zero_ahead(&read()), "after a large group");
    log.append(&row(&[7; 1_000]), with(Durability::Flushed)).unwrap();
    assert!(!is_zero_ahead(&read()), "without a sync");
    log.append(&row(&[7; 1_000]), with(Durability::Durable)).unwrap();
    assert!(is_zero_ahead(&read()), "after a small group");
}

/// What a batch may need besides its payloads is counted with it: a segment that has no room for it is sealed before, and
/// one that has is not. Records whose every field differs from the last one's take about 18 bytes, others 4.
#[test]
fn a_batch_of_small_records_neither_overfills_nor_wastes_a_segment() {
    const LARGEST: u64 = 64 << 10;
    let times = [Time(i64::MIN), Time(i64::MAX / 3)];
    let rows: Vec<_> = (0..1_600_u32)
        .map(|index| NewRow {
            kind: Kind(index as u8 % 2),
            time: times[index as usize % 2],
            schema: SchemaId(u32::MAX - index),
            payload: b"",
        })
        .collect();
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options().segment_bytes_max(LARGEST));
    for _ in 0..9 {
        log.append_batch(&rows, with(Durability::Durable)).unwrap();
    }
    let segments = log.snapshot().segments().unwrap();
    assert!(segments.len() > 3, "{}", segments.len());
    for segment in &segments[..segments.len() - 1] {
        let batches = segment.caller_count / rows.len() as u64;
        assert_eq!(batches, 2, "a third one would not fit");
        assert_eq!(segment.caller_count, batches * rows.len() as u64, "each is in one piece");
    }
}

#[test]
fn rotating_a_segment_without_records_does_nothing() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    log.rotate().unwrap();
    assert_eq!((log.rotations(), segments(&disk).len()), (0, 1));
    log.append(&row(b"one"), with(Durability::Durable)).unwrap();
    log.rotate().unwrap();
    let before = files(&disk);
    log.rotate().unwrap();
    log.rotate().unwrap();
    assert_eq!((log.rotations(), log.next_position().0), (1, 3));
    assert!(before == files(&disk));
    log.close().unwrap();
    let log = open(&disk).unwrap();
    log.rotate().unwrap();
    assert_eq!((log.rotations(), segments(&disk).len()), (0, 2));
}

/// Every seal commits to the segment before it, and comes first.
#[test]
fn each_segment_begins_with_the_seal_of_the_one_before() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    for number in 0..80_u8 {
        log.append(&row(&[number; 200]), with(Durability::Buffered)).unwrap();
    }
    log.close().unwrap();
    let log = open(&disk).unwrap();
    let snapshot = log.snapshot();
    let infos = snapshot.segments().unwrap();
    assert!(infos.len() > 3);
    let records = all(&snapshot);
    for pair in infos.windows(2) {
        let (_, kind, payload) = &records[usize::try_from(pair[1].positions.start.0).unwrap()];
        assert_eq!(*kind, Kind::SEAL);
        let seal = Seal::decode(payload).unwrap();
        assert_eq!((seal.segment, seal.base), (pair[0].number, pair[0].positions.start));
        assert_eq!((seal.caller_count, seal.payload_bytes), (pair[0].caller_count, pair[0].payload_bytes));
        assert_eq!(seal.head, snapshot.head_at(pair[0].positions.end).unwrap());
    }
    let seals = records.iter().filter(|(_, kind, _)| *kind == Kind::SEAL).count();
    assert_eq!(seals, infos.len() - 1);
}

fn epochs(disk: &MemVfs) -> Vec<Epoch> {
    let mut found = Vec::new();
    for path in segments(disk) {
        let segment = open_for_reading(disk, &path);
        let bytes = disk.read_file(&path).unwrap();
        let mut offset = segment.frames_offset();
        while let Ok(header) = FrameHeader::decode(&bytes[offset as usize..], segment.seed(), offset) {
            found.push(header.epoch);
            offset += header.frame_len();
        }
    }
    found
}

/// W8: an opening that writes takes an epoch of its own, and positions go on.
#[test]
fn epochs_rise_with_every_opening_that_writes() {
    let disk = MemVfs::new();
    let mut log = create(disk.clone(), &options().segment_bytes_max(1 << 20));
    for life in 0..6_u64 {
        let position = log.append(&row(b"life"), with(Durability::Durable)).unwrap();
        assert_eq!(position.0, life + 1);
        if life % 2 == 0 {
            log.close().unwrap();
            assert_eq!(open(&disk).unwrap().recovery().tail, TailKind::Clean);
        }
        drop(log);
        log = open(&disk).unwrap();
    }
    drop(log);
    let epochs = epochs(&disk);
    assert!(epochs.is_sorted(), "{epochs:?}");
    assert_eq!(epochs.iter().collect::<BTreeSet<_>>().len(), 6, "{epochs:?}");
}

#[test]
fn a_second_creation_and_an_opening_of_nothing_are_refused() {
    let disk = MemVfs::new();
    assert!(matches!(open(&disk), Err(LogError::NotFound { .. })));
    create(disk.clone(), &options());
    let error = Log::create(&host(disk.clone()), dir(), ID, &options()).unwrap_err();
    assert!(matches!(error, LogError::Mismatch { .. }), "{error:?}");
    let long = LogOptions::new().origin("x".repeat(1025));
    let error = Log::create(&host(MemVfs::new()), dir(), ID, &long).unwrap_err();
    assert!(matches!(error, LogError::TooLarge { .. }), "{error:?}");
    assert_eq!(open(&disk).unwrap().id(), ID);
}

#[test]
fn extreme_times_and_schemas_come_back() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    let times = [i64::MIN, i64::MAX, 0, -1, i64::MAX, i64::MIN];
    for time in times {
        let row = NewRow { time: Time(time), schema: SchemaId(u32::MAX), ..row(b"") };
        log.append(&row, with(Durability::Buffered)).unwrap();
    }
    log.close().unwrap();
    let log = open(&disk).unwrap();
    let snapshot = log.snapshot();
    for (position, time) in (1..).zip(times) {
        let found = snapshot.get(Position(position), |record| (record.time.0, record.schema.0)).unwrap();
        assert_eq!(found, Some((time, u32::MAX)));
    }
    let bounds = snapshot.times().unwrap();
    assert_eq!((bounds.min.0, bounds.max.0), (i64::MIN, i64::MAX));
}

/// A lone writer that expects the position behind its last record was told of a conflict at each rotation: the seal had
/// taken the position, and nobody else had appended. What the call itself brings about is no conflict.
#[test]
fn a_rotation_is_no_conflict_for_the_call_that_brings_it_about() {
    let disk = MemVfs::new();
    let log = create(disk, &options());
    let mut expected = log.next_position();
    for _ in 0..200 {
        let options = AppendOptions { durability: Durability::Buffered, expected: Some(expected) };
        let position = log.append(&row(&[7; 100]), options).unwrap();
        assert!(position >= expected);
        assert!(log.append(&row(b"late"), options).unwrap_err().is_conflict());
        expected = Position(position.0 + 1);
    }
    assert!(log.rotations() > 3);
}

/// The limits of the texts are the longest that are taken, and what a log was created with is in its genesis.
#[test]
fn a_genesis_says_what_the_log_was_created_with() {
    let predecessor = |len| Predecessor { log: LogId([3; 16]), head: TreeHead::EMPTY, reason: "r".repeat(len) };
    let create = |origin: usize, reason: usize| {
        let options = LogOptions::new().origin("o".repeat(origin)).predecessor(predecessor(reason));
        Log::create(&host(MemVfs::new()), dir(), ID, &options)
    };
    let genesis = create(1024, 4096).unwrap().genesis().unwrap();
    assert_eq!((genesis.log, genesis.origin), (ID, "o".repeat(1024)));
    assert_eq!(genesis.predecessor, Some(predecessor(4096)));
    for (origin, reason, refused) in [(1025, 0, "origin in bytes"), (0, 4097, "reason in bytes")] {
        let error = create(origin, reason).unwrap_err();
        assert!(matches!(error, LogError::TooLarge { what, .. } if what == refused), "{error:?}");
    }
}

/// A seal carries the journal's head, unless the journal has no record that one could hold against the log.
#[test]
fn seals_carry_the_head_of_a_journal_that_holds_something() {
    let head = |size| TreeHead { size, ..TreeHead::EMPTY };
    for (given, carried) in [(None, None), (Some(head(0)), None), (Some(head(1)), Some(head(1)))] {
        let log = create(MemVfs::new(), &options().journal_head(Arc::new(move || given)));
        log.append(&row(b"one"), with(Durability::Durable)).unwrap();
        log.rotate().unwrap();
        let (_, kind, seal) = all(&log.snapshot()).pop().unwrap();
        assert_eq!((kind, Seal::decode(&seal).unwrap().journal), (Kind::SEAL, carried));
    }
}

/// Whoever waits for more is woken by what became durable and by the end of it all, and by nothing else.
#[test]
fn the_signal_tells_of_durable_records_and_of_the_end() {
    for ends_well in [true, false] {
        let is_allowed = Arc::new(AtomicBool::new(true));
        let guard = {
            let is_allowed = Arc::clone(&is_allowed);
            move || if is_allowed.load(Ordering::Relaxed) { Ok(()) } else { Err(ErrorKind::Other.into()) }
        };
        let log = create(MemVfs::new(), &options().guard(Arc::new(guard)));
        let signal = log.signal();
        let seen = signal.current();
        log.append(&row(b"buffered"), with(Durability::Buffered)).unwrap();
        assert!(rows(&log.snapshot()).is_empty());
        assert!(!log.maintain().unwrap(), "one step is all there is to do");
        assert_eq!(rows(&log.snapshot()).len(), 1, "what was buffered is with the kernel");
        assert_eq!(signal.current(), seen, "and not durable");
        log.sync().unwrap();
        assert_ne!(signal.current(), seen);
        let seen = signal.current();
        log.sync().unwrap();
        assert_eq!(signal.current(), seen, "nothing more became durable");
        is_allowed.store(ends_well, Ordering::Relaxed);
        let ended = if ends_well { log.close() } else { log.rotate() };
        assert_eq!((ended.is_ok(), log.is_poisoned()), (ends_well, !ends_well));
        assert_ne!(signal.current(), seen, "closed or poisoned");
    }
}

/// After an unclean end the first head costs a walk through the active segment, and the next one nothing. It is of what is
/// durable, although more was hashed with the record that was only flushed.
#[test]
fn a_head_after_an_unclean_end_is_hashed_once_and_is_of_what_is_durable() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    log.append_batch(&[row(b"one"), row(b"two")], with(Durability::Durable)).unwrap();
    let head = log.head().unwrap();
    drop(log);
    let counting = CountingVfs::new(Arc::new(disk));
    let log = Log::open(&host(counting.clone()), dir(), &options()).unwrap();
    let reads = || counting.take().values().map(|counts| counts.reads).sum::<u64>();
    reads();
    assert_eq!((log.head().unwrap(), reads() > 0), (head, true));
    assert_eq!((log.head().unwrap(), reads()), (head, 0));
    drop(log);
    let log = Log::open(&host(counting.clone()), dir(), &options()).unwrap();
    log.append(&row(b"flushed"), with(Durability::Flushed)).unwrap();
    assert_eq!((log.head().unwrap(), log.durable_end().0), (head, head.size));
    log.sync().unwrap();
    assert_eq!(log.head().unwrap(), log.snapshot().head_at(log.next_position()).unwrap());
}

/// A log whose beginning was pruned begins at its floor, and every later segment says so.
#[test]
fn a_pruned_log_keeps_its_floor() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    log.append(&row(b"pruned"), with(Durability::Durable)).unwrap();
    log.rotate().unwrap();
    log.append(&row(b"kept"), with(Durability::Durable)).unwrap();
    log.close().unwrap();
    let paths = segments(&disk);
    let mut edited = Edited::parse(&disk.read_file(&paths[1]).unwrap());
    let floor = edited.header.base;
    (edited.header.floor, edited.header.prune) = (floor, Some(floor));
    edited.edit_footer(|footer| (footer.floor, footer.prune) = (floor, Some(floor)));
    disk.write_file(&paths[1], &edited.bytes()).unwrap();
    remove(&disk, &paths[0]);

    let log = open(&disk).unwrap();
    log.append(&row(b"next"), with(Durability::Durable)).unwrap();
    log.rotate().unwrap();
    let snapshot = log.snapshot();
    assert_eq!((log.floor(), snapshot.floor()), (floor, floor));
    assert!(snapshot.get(Position(floor.0 - 1), |_| ()).unwrap_err().is_pruned());
    assert_eq!(rows(&snapshot).into_iter().map(|(_, payload)| payload).collect::<Vec<_>>(), [&b"kept"[..], b"next"]);
    log.close().unwrap();
    for path in segments(&disk) {
        let segment = open_for_reading(&disk, &path);
        let footer = segment.read_summary().unwrap().unwrap().footer;
        assert_eq!((segment.header().floor, segment.header().prune), (floor, Some(floor)));
        assert_eq!((footer.floor, footer.prune), (floor, Some(floor)));
    }
}
