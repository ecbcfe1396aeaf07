//! Verification of logs that the real writer made: over a life of crashes, and beside the writer at work.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "support/faulty.rs"]
mod faulty;

use bulla_chain::{Predecessor, TreeHead};
use bulla_log::{
    AppendOptions, Durability, Expectation, Level, Log, LogOptions, LogReport, Loss, NewRow, Verdict, verify_log,
};
use bulla_vfs::{Host, MemVfs};
use bulla_wire::{Kind, LogId, Position, SchemaId, SegmentHeader, Time};
use faulty::Faulty;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

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
        let mut expect = Expectation { id: Some(ID), origin: Some("test/log".to_owned()), ..Expectation::default() };
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

/// A closed log of two segments on its disk, with a break record if it `is_repaired`, and the paths of the segments.
fn two_segments(options: &LogOptions, is_repaired: bool) -> (MemVfs, Vec<PathBuf>) {
    let disk = MemVfs::new();
    let log = Log::create(&host(&disk), Path::new("/log"), ID, options).unwrap();
    append(&log, 1, Durability::Durable);
    log.rotate().unwrap();
    append(&log, 2, Durability::Durable);
    if is_repaired {
        let positions = Position(3)..Position(4);
        let loss = Loss { positions, is_open: false, resumes_at: None, root: None, cause: "bit rot".to_owned() };
        log.append_break(LogId([9; 16]), &loss, "ana").unwrap();
    }
    let paths = log.snapshot().segments().unwrap().into_iter().map(|segment| segment.path).collect();
    log.close().unwrap();
    (disk, paths)
}

/// Verifies, `opening` each file as that says, which hears of how often that one was opened before. Gives also how often
/// each was.
fn verify_opening(
    disk: &MemVfs,
    opening: impl Fn(&Path, u64) -> io::Result<()> + Send + Sync + 'static,
) -> (LogReport, Vec<u64>) {
    let faulty = Faulty::new(disk.clone());
    let counts = Arc::new(Mutex::new(BTreeMap::<PathBuf, u64>::new()));
    faulty.before_open({
        let counts = Arc::clone(&counts);
        move |path| {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry(path.to_owned()).or_default();
            *count += 1;
            opening(path, *count - 1)
        }
    });
    let host = Host { fs: Arc::new(faulty), ..Host::memory() };
    let report = verify_log(&host, Path::new("/log"), Level::Full, &Expectation::default(), &mut |_| {});
    let counts = counts.lock().unwrap().values().copied().collect();
    (report, counts)
}

/// A writer that comes back takes the close frame off while one reads. So the newest segment is looked at again if it
/// looks bad, and only that: others are not written to, and what is not bad does not become better.
#[test]
fn only_a_newest_segment_that_looks_bad_is_looked_at_again() {
    for is_repaired in [false, true] {
        let expected = if is_repaired { Verdict::Repaired } else { Verdict::Intact };
        let (disk, paths) = two_segments(&LogOptions::new(), is_repaired);
        let (report, openings) = verify_opening(&disk, |_, _| Ok(()));
        // The first opening is for the log's id.
        assert_eq!((report.verdict(), &openings[..]), (expected, &[2, 2][..]), "{:?}", report.findings);
        for (segment, expected, openings) in [(0, Verdict::Damaged, [2, 2]), (1, expected, [2, 3])] {
            let path = paths[segment].clone();
            let original = disk.read_file(&path).unwrap();
            let (whole, mut bad) = (original.clone(), original.clone());
            let at = bad.len() / 2;
            bad[at..at + 4].iter_mut().for_each(|byte| *byte ^= 1);
            let (beside, harmed) = (disk.clone(), path.clone());
            let (report, found) = verify_opening(&disk, move |opened, before| {
                if opened == harmed {
                    beside.write_file(&harmed, if before == 1 { &bad } else { &whole })?;
                }
                Ok(())
            });
            assert_eq!((report.verdict(), &found[..]), (expected, &openings[..]), "{:?}", report.findings);
            disk.write_file(&path, &original).unwrap();
        }
    }
}

/// What a finding says of a file that cannot be opened is the system's reason, and of one that can be read what is wrong in
/// it; the path stands beside it.
#[test]
fn a_finding_says_why_a_segment_was_not_read() {
    let (disk, paths) = two_segments(&LogOptions::new(), false);
    for (kind, expected) in [(io::ErrorKind::NotFound, Verdict::Missing), (io::ErrorKind::Other, Verdict::Unreadable)] {
        let path = paths[0].clone();
        let (report, _) = verify_opening(&disk, move |opened, before| {
            if opened == path && before == 1 { Err(io::Error::new(kind, "no such luck")) } else { Ok(()) }
        });
        let bad = report.first_bad().unwrap();
        assert_eq!((bad.verdict, bad.what.as_str()), (expected, "the segment cannot be read: no such luck"));
        assert_eq!((bad.position, bad.offset), (Some(Position(0)), None));
    }
    let mut bytes = disk.read_file(&paths[0]).unwrap();
    bytes[20] ^= 1;
    disk.write_file(&paths[0], &bytes).unwrap();
    let (report, _) = verify_opening(&disk, |_, _| Ok(()));
    let bad = report.first_bad().unwrap();
    assert_eq!((bad.verdict, bad.offset), (Verdict::Damaged, Some(0)));
    assert!(bad.what.starts_with("checksum of segment header is "), "{}", bad.what);
}

/// That a log continues another is a remark. One that a repair wrote is whole and yet not what was: its break records say
/// so, or the remark does if it has none.
#[test]
fn a_log_that_continues_another_says_so() {
    let head = TreeHead { size: 7, ..TreeHead::EMPTY };
    for (reason, is_repaired, own, whole) in [
        ("a new year", false, Verdict::Intact, Verdict::Intact),
        ("a new year", true, Verdict::Intact, Verdict::Repaired),
        (Predecessor::REPAIR, false, Verdict::Repaired, Verdict::Repaired),
        (Predecessor::REPAIR, true, Verdict::Intact, Verdict::Repaired),
    ] {
        let predecessor = Predecessor { log: LogId([9; 16]), head, reason: reason.to_owned() };
        let (disk, _) = two_segments(&LogOptions::new().predecessor(predecessor), is_repaired);
        let (report, _) = verify_opening(&disk, |_, _| Ok(()));
        assert_eq!((report.verdict(), report.breaks), (whole, u64::from(is_repaired)), "{:?}", report.findings);
        let finding = &report.findings[0];
        let what = format!("the log continues log {}, which claimed the head {head}: {reason}", LogId([9; 16]));
        assert_eq!((finding.verdict, finding.position, &finding.what), (own, Some(Position(0)), &what));
    }
}
