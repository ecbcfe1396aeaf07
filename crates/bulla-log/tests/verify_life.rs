//! Verification of logs that the real writer made: over a life of crashes, and beside the writer at work.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use bulla_log::{AppendOptions, Durability, Expectation, Level, Log, LogOptions, NewRow, Verdict, verify_log};
use bulla_vfs::{Host, MemVfs};
use bulla_wire::{Kind, LogId, SchemaId, SegmentHeader, Time};
use std::path::Path;
use std::sync::Arc;

const ID: LogId = LogId([7; 16]);

fn host(disk: &MemVfs) -> Host {
    Host { fs: Arc::new(disk.clone()), ..Host::memory() }
}

fn append(log: &Log, step: u64, durability: Durability) {
    let payload = vec![step.to_le_bytes()[0]; usize::try_from(step * 37 % 900).unwrap()];
    let time = Time(step.cast_signed());
    let row = NewRow { kind: Kind::ROW, time, schema: SchemaId(1), payload: &payload };
    log.append(&row, AppendOptions { durability, ..AppendOptions::default() }).unwrap();
}

fn durability(step: u64) -> Durability {
    [Durability::Buffered, Durability::Durable, Durability::Flushed][usize::try_from(step % 3).unwrap()]
}

/// After each power cut the log is intact as it lies there, and again once it was recovered; every durable head of the
/// past is found in it.
#[test]
fn power_cuts_leave_intact_logs() {
    for erasable in [false, true] {
        let mut disk = MemVfs::new();
        let options = LogOptions::new().segment_bytes_max(8 << 10).origin("test/log").erasable(erasable);
        let mut log = Log::create(&host(&disk), Path::new("/log"), ID, &options).unwrap();
        bulla_vfs::Vfs::sync_dir(&disk, Path::new("/")).unwrap();
        let mut expect = Expectation { id: Some(ID), origin: Some("test/log".to_owned()), heads: Vec::new() };
        for life in 0..30_u64 {
            for step in 0..life * 7 % 23 {
                append(&log, life * 31 + step, durability(step));
            }
            if life % 5 == 4 {
                log.close().unwrap();
            } else {
                expect.heads.push(log.head().unwrap());
            }
            disk = disk.crash();
            for level in [Level::Structure, Level::Full] {
                let report = verify_log(&host(&disk), Path::new("/log"), level, &expect, &mut |_| {});
                assert_eq!(report.verdict(), Verdict::Intact, "life {life}: {:#?}", report.findings);
                assert!(level == Level::Structure || report.is_head_computed);
            }
            log = Log::open(&host(&disk), Path::new("/log"), &options).unwrap();
        }
        let head = log.head().unwrap();
        log.close().unwrap();
        let report = verify_log(&host(&disk), Path::new("/log"), Level::Full, &expect, &mut |_| {});
        assert_eq!((&report.findings, &report.not_checked, report.head), (&vec![], &vec![], Some(head)));
        assert_eq!(report.records_checked, head.size);
    }
}

/// A power cut between the header of a new segment and its seal left a segment without a record. Opened and closed again
/// without an append, it got a close frame, and verification took the log for tampered with: no writer closes a segment
/// that does not begin with its seal.
#[test]
fn a_segment_that_waits_for_its_seal_can_be_closed() {
    let (disk, dir) = (MemVfs::new(), Path::new("/log"));
    let host = host(&disk);
    let options = LogOptions::new();
    let verdict = || verify_log(&host, dir, Level::Full, &Expectation::default(), &mut |_| {}).verdict();
    let log = Log::create(&host, dir, ID, &options).unwrap();
    append(&log, 1, Durability::Durable);
    log.rotate().unwrap();
    let (newest, head) = (log.snapshot().segments().unwrap().pop().unwrap(), log.head().unwrap());
    drop(log);
    let bytes = disk.read_file(&newest.path).unwrap();
    let header_len = SegmentHeader::len_at(newest.positions.start) as usize;
    disk.write_file(&newest.path, &bytes[..header_len]).unwrap();

    for _ in 0..2 {
        Log::open(&host, dir, &options).unwrap().close().unwrap();
        assert_eq!(verdict(), Verdict::Intact);
    }
    let log = Log::open(&host, dir, &options).unwrap();
    append(&log, 2, Durability::Durable);
    assert_eq!(log.head().unwrap().size, head.size + 1);
    log.close().unwrap();
    assert_eq!(verdict(), Verdict::Intact);
}

/// Zeros ahead of the tail, marks, rotations and closes come and go while one reads.
#[test]
fn a_writer_at_work_looks_intact() {
    let (disk, dir) = (MemVfs::new(), Path::new("/log"));
    let host = host(&disk);
    let options = LogOptions::new().segment_bytes_max(64 << 10);
    let mut log = Log::create(&host, dir, ID, &options).unwrap();
    let reader = host.clone();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for step in 0..1500 {
                append(&log, step, durability(step));
                if step % 100 == 99 {
                    log.close().unwrap();
                    log = Log::open(&host, dir, &options).unwrap();
                }
            }
        });
        let mut level = Level::Full;
        while !writer.is_finished() {
            let report = verify_log(&reader, dir, level, &Expectation::default(), &mut |_| {});
            assert_eq!(report.verdict(), Verdict::Intact, "{:#?}", report.findings);
            level = if level == Level::Full { Level::Structure } else { Level::Full };
        }
    });
}
