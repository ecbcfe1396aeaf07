//! What verification says of whole, damaged, incomplete and torn logs. Edits with right checksums: `verify_tamper.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "support/build.rs"]
mod build;
#[path = "support/faulty.rs"]
mod faulty;

use build::{DIR, Edited, LogBuilder, ORIGIN, row};
use bulla_chain::{Digest, TreeHead};
use bulla_log::{Expectation, Finding, Level, LogReport, Progress, Verdict, verify_log, verify_log_with};
use bulla_vfs::{DirEntry, Host, MemVfs, Metadata, OpenMode, Vfs, VfsFile, VfsLock};
use bulla_wire::{FRAME_MAGIC, LogId, Position};
use faulty::Faulty;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const ID: LogId = LogId([3; 16]);

/// The report, which is the same whatever the number of workers.
fn check(host: &Host, level: Level, expect: &Expectation) -> LogReport {
    let [report, two, five] =
        [1, 2, 5].map(|workers| verify_log_with(workers, host, Path::new(DIR), level, expect, &mut |_| {}));
    assert_eq!((&report, &report), (&two, &five));
    report
}

fn check_full(log: &LogBuilder) -> LogReport {
    check(&log.host, Level::Full, &Expectation::default())
}

/// Three segments of a few frames each, the last one active.
fn small(erasable: bool) -> LogBuilder {
    let mut log = LogBuilder::new(ID, erasable);
    for segment in 0..3 {
        if segment > 0 {
            log.rotate();
        }
        let time = 100 * segment;
        log.frame(&[row(time + 5, b"first"), row(time - 7, b"")], false);
        log.frame(&[row(time, b"begins a batch")], true);
        log.frame(&[row(time + 9, b"ends it")], false);
    }
    log
}

fn closed(erasable: bool) -> LogBuilder {
    let mut log = small(erasable);
    log.finish(false);
    log
}

fn copy_of(log: &LogBuilder) -> (MemVfs, Host) {
    let disk = MemVfs::new();
    let host = Host { fs: Arc::new(disk.clone()), ..log.host.clone() };
    host.fs.create_dir(Path::new(DIR)).unwrap();
    for path in log.paths() {
        disk.write_file(&path, &log.disk.read_file(&path).unwrap()).unwrap();
    }
    (disk, host)
}

fn remarks(report: &LogReport) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.verdict == Verdict::Intact).collect()
}

#[test]
fn a_closed_log_is_intact_and_everything_is_counted() {
    for (erasable, workers) in [(false, 1), (true, 1), (false, 4)] {
        let log = closed(erasable);
        let head = log.frontier.head();
        let heads = [log.heads.clone(), vec![TreeHead::EMPTY, head]].concat();
        let expect = Expectation { id: Some(ID), origin: Some(ORIGIN.to_owned()), heads, ..Expectation::default() };
        let mut last = Progress::default();
        let report = verify_log_with(workers, &log.host, Path::new(DIR), Level::Full, &expect, &mut |now| {
            assert!(now.bytes_checked >= last.bytes_checked && now.records_checked >= last.records_checked);
            last = now;
        });
        assert_eq!((&report.findings, &report.not_checked), (&vec![], &vec![]));
        assert_eq!((report.verdict(), report.first_bad()), (Verdict::Intact, None));
        assert_eq!((report.id, report.origin.as_deref(), report.floor), (Some(ID), Some(ORIGIN), Position(0)));
        assert_eq!((report.head, report.is_head_computed, report.segments), (Some(head), true, 3));
        assert_eq!((report.records_checked, report.caller_records), (15, 12));
        assert_eq!(last.bytes_checked, report.bytes_checked);
        assert_eq!(last.records_checked, 15);
        let bytes: usize = log.paths().iter().map(|path| log.disk.read_file(path).unwrap().len()).sum();
        assert_eq!((report.bytes_checked, last.bytes_total), (bytes as u64, bytes as u64));

        let report = check(&log.host, Level::Structure, &expect);
        assert_eq!(report.findings, []);
        assert_eq!((report.head, report.is_head_computed), (Some(head), false));
        assert_eq!(report.origin.as_deref(), Some(ORIGIN));
        assert_eq!(report.not_checked.len(), 1, "{:?}", report.not_checked);
    }
}

/// Index pages of 512 entries, and the last, partial one.
#[test]
fn a_log_with_several_index_pages_is_intact() {
    let mut log = LogBuilder::new(ID, false);
    let payload = vec![7; 5000];
    for time in 0..1100 {
        log.frame(&[row(time, &payload)], false);
    }
    log.rotate();
    log.finish(false);
    let report = check_full(&log);
    assert_eq!((report.verdict(), report.records_checked), (Verdict::Intact, 1102));
    // Logs that are built by hand have no spine.
    assert!(matches!(&report.findings[..], [one] if one.what.starts_with("there is no spine")), "{report:?}");
    // The structure alone is known without reading what lies between header and index, and the count says so.
    let report = check(&log.host, Level::Structure, &Expectation::default());
    assert_eq!(report.findings, []);
    let window = 256 << 10;
    assert!((window..window + 3_000).contains(&report.bytes_checked), "{} bytes", report.bytes_checked);
}

/// Progress is told every 4 MiB and the rest of a frame: often enough for a bar, and not with each frame.
#[test]
fn progress_is_told_every_few_megabytes() {
    let mut log = LogBuilder::new(ID, false);
    let payload = vec![7; 100_000];
    for time in 0..140 {
        log.frame(&[row(time, &payload)], false);
        if time == 20 {
            log.rotate();
        }
    }
    log.finish(false);
    let (mut told, mut records) = (vec![0], 0);
    let report = verify_log(&log.host, Path::new(DIR), Level::Full, &Expectation::default(), &mut |now| {
        told.push(now.bytes_checked);
        assert!((records..=142).contains(&now.records_checked), "{now:?}");
        records = now.records_checked;
    });
    assert_eq!((told.last(), records), (Some(&report.bytes_checked), 142));
    assert!(told.is_sorted(), "{told:?}");
    assert!(told.windows(2).all(|pair| pair[1] - pair[0] <= (4 << 20) + 101_000), "{told:?}");
    assert!(told.len() < 10, "{told:?}");
}

/// Only a scan tells how an unclosed log ends, so all of it is looked at whatever the level.
#[test]
fn an_unclosed_log_is_read_to_its_end_at_every_level() {
    let mut log = LogBuilder::new(ID, false);
    for time in 0..200 {
        log.frame(&[row(time, &[7; 5_000])], false);
    }
    let path = log.paths()[0].clone();
    let torn = [&log.disk.read_file(&path).unwrap()[..], b"torn"].concat();
    log.disk.write_file(&path, &torn).unwrap();
    for level in [Level::Structure, Level::Full] {
        let report = check(&log.host, level, &Expectation::default());
        assert_eq!((report.verdict(), report.bytes_checked), (Verdict::Intact, torn.len() as u64));
    }
}

/// A segment that was made and not written to: everything there is of it was looked at, and nothing is uncovered.
#[test]
fn a_newest_segment_without_records_is_intact() {
    let mut log = small(false);
    log.begin_next();
    let report = check_full(&log);
    let texts: Vec<_> = remarks(&report).iter().map(|finding| finding.what.as_str()).collect();
    assert!(matches!(texts[..], [what] if what.contains("holds no record yet")), "{texts:?}");
    assert_eq!((report.verdict(), report.not_checked), (Verdict::Intact, Vec::<String>::new()));
    let bytes: usize = log.paths().iter().map(|path| log.disk.read_file(path).unwrap().len()).sum();
    assert_eq!(report.bytes_checked, bytes as u64);
}

/// Every head on the way can be expected, also in the middle of a frame.
#[test]
fn any_earlier_head_is_recomputed() {
    let (mut heads, mut log) = (Vec::new(), LogBuilder::new(ID, false));
    for time in 0..20 {
        heads.push(log.frontier.head());
        log.frame(&[row(time, b"x")], false);
        if time % 6 == 5 {
            log.rotate();
        }
    }
    log.finish(false);
    let report = check(&log.host, Level::Full, &Expectation { heads: heads.clone(), ..Expectation::default() });
    assert_eq!((report.findings, report.not_checked), (vec![], vec![]));

    heads[9].root = Digest([1; 32]);
    let report = check(&log.host, Level::Full, &Expectation { heads: heads.clone(), ..Expectation::default() });
    assert_eq!(report.verdict(), Verdict::Tampered);
    assert_eq!(report.first_bad().unwrap().position, Some(Position(heads[9].size)));

    // The structure alone knows the roots at the ends of segments, and says so of the others.
    heads.remove(9);
    let report = check(&log.host, Level::Structure, &Expectation { heads, ..Expectation::default() });
    assert_eq!(report.findings, []);
    assert!(report.not_checked.len() > 2 && report.not_checked.len() < 20, "{:?}", report.not_checked);
}

/// No single wrong byte passes: at least a remark, and that only where a crash can leave the byte: in the close frame,
/// and in the index that is synced together with it.
#[test]
fn every_flipped_byte_is_reported() {
    for erasable in [false, true] {
        let log = closed(erasable);
        let (disk, host) = copy_of(&log);
        let newest = log.edit(2);
        let close_offset = newest.offset(newest.frames.len() - 1);
        let index_offset = newest.offset(newest.frames.len() - 2);
        for (index, path) in log.paths().into_iter().enumerate() {
            let original = disk.read_file(&path).unwrap();
            for at in 0..original.len() {
                let mut bytes = original.clone();
                bytes[at] ^= 1 << (at % 8);
                disk.write_file(&path, &bytes).unwrap();
                let report = check(&host, Level::Full, &Expectation::default());
                assert!(!report.findings.is_empty(), "byte {at} of segment {index} passed");
                if index == 2 && at as u64 >= index_offset {
                    assert_eq!(report.verdict(), Verdict::Intact, "byte {at} behind the records: {report:?}");
                    assert_eq!((report.head, report.is_head_computed), (Some(log.frontier.head()), true));
                    let is_covered = report.not_checked.is_empty();
                    assert_eq!(is_covered, (at as u64) < close_offset, "byte {at}: {:?}", report.not_checked);
                } else {
                    let expected = if at == 9 { Verdict::Newer } else { Verdict::Damaged };
                    assert_eq!(report.verdict(), expected, "byte {at} of segment {index}: {:?}", report.findings);
                    let bad = report.first_bad().unwrap();
                    assert_eq!(bad.segment.as_deref(), path.file_name().unwrap().to_str());
                }
            }
            disk.write_file(&path, &original).unwrap();
        }
    }
}

/// A flipped byte condemns its frame; everything else is still read, and the later segments are judged on their own.
#[test]
fn verification_goes_on_behind_a_bad_frame() {
    let log = closed(false);
    let edited = log.edit(1);
    let path = log.paths()[1].clone();
    let original = log.disk.read_file(&path).unwrap();
    // A bad body leaves the header, which names the positions; a bad header is stepped over to the next one.
    for inside in [70, 10] {
        let mut bytes = original.clone();
        let offset = edited.offset(1);
        bytes[offset as usize + inside] ^= 1;
        log.disk.write_file(&path, &bytes).unwrap();
        let report = check_full(&log);
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        let bad = report.first_bad().unwrap();
        assert_eq!((bad.verdict, bad.position, bad.offset), (Verdict::Damaged, Some(Position(6)), Some(offset)));
        assert!(bad.what.starts_with("positions 6..8 cannot be read"), "{}", bad.what);
        assert_eq!(report.records_checked, 13);
        assert_eq!((report.head, report.is_head_computed), (Some(log.frontier.head()), false));
        assert_eq!(report.not_checked.len(), 1);
    }
}

#[test]
fn missing_segments_are_named() {
    for (index, expected) in [(0, "0..5 are missing"), (1, "positions from 5 to 10")] {
        let log = closed(false);
        log.remove(index);
        for level in [Level::Structure, Level::Full] {
            let report = check(&log.host, level, &Expectation::default());
            assert_eq!(report.verdict(), Verdict::Missing);
            let bad = report.first_bad().unwrap();
            assert!(bad.what.contains(expected), "{}", bad.what);
            assert_eq!(bad.position, Some(Position(5 * index as u64)));
            assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
            assert!(!report.is_head_computed);
        }
    }
    // That the newest one is gone shows only to somebody who holds a head.
    let log = closed(false);
    log.remove(2);
    for level in [Level::Structure, Level::Full] {
        let report = check(&log.host, level, &Expectation::default());
        assert_eq!((report.verdict(), remarks(&report).len()), (Verdict::Intact, 1));
        let expect = Expectation { heads: vec![log.frontier.head()], ..Expectation::default() };
        let report = check(&log.host, level, &expect);
        assert_eq!(report.verdict(), Verdict::Missing);
        assert!(report.first_bad().unwrap().what.starts_with("positions 10..15 are missing"));
    }
    // Nor is there a log without segments, or without a directory.
    (0..2).for_each(|_| log.remove(0));
    assert_eq!(check_full(&log).verdict(), Verdict::Missing);
    log.host.fs.remove_dir(Path::new(DIR)).unwrap();
    assert_eq!(check_full(&log).verdict(), Verdict::Missing);
}

/// A crash may leave anything behind the last frame that is proven durable, and the log is intact nevertheless.
#[test]
fn torn_and_zero_tails_are_remarks() {
    let log = small(false);
    let path = log.paths()[2].clone();
    let whole = log.disk.read_file(&path).unwrap();
    let report = check_full(&log);
    assert_eq!((report.verdict(), report.findings.len()), (Verdict::Intact, 0));
    assert_eq!((report.head, report.is_head_computed), (Some(log.frontier.head()), true));
    assert_eq!(report.not_checked, ["positions 10..15 are covered by no seal or close frame"]);

    let zeros = [&whole[..], &[0; 4096]].concat();
    let garbage = [&zeros[..], b"garbage"].concat();
    let torn = whole[..whole.len() - 3].to_vec();
    for (bytes, size) in [(zeros, 15), (garbage, 15), (torn, 13)] {
        log.disk.write_file(&path, &bytes).unwrap();
        for level in [Level::Structure, Level::Full] {
            let report = check(&log.host, level, &Expectation::default());
            assert_eq!(report.verdict(), Verdict::Intact);
            assert_eq!(remarks(&report)[0].position, Some(Position(size)), "{:?}", report.findings);
            if level == Level::Full {
                assert_eq!(report.head.unwrap().size, size);
                assert_eq!(report.records_checked, size);
            }
        }
    }
}

/// The frame behind the bad one claims a durable end above it, so no crash made it bad.
#[test]
fn a_bad_frame_below_the_durable_end_of_an_unclosed_log_is_damage() {
    let log = small(false);
    let path = log.paths()[2].clone();
    let offset = log.edit(2).offset(1);
    let mut bytes = log.disk.read_file(&path).unwrap();
    bytes[offset as usize + 70] ^= 1;
    log.disk.write_file(&path, &bytes).unwrap();
    for level in [Level::Structure, Level::Full] {
        let report = check(&log.host, level, &Expectation::default());
        let bad = report.first_bad().unwrap();
        assert_eq!((bad.verdict, bad.position, bad.offset), (Verdict::Damaged, Some(Position(11)), Some(offset)));
        assert_eq!(report.verdict(), Verdict::Damaged);
    }
}

/// Records that are none, under checksums that hold: some writer wrote that and no crash left it, so it is no torn tail,
/// although nothing proves it durable.
#[test]
fn nonsense_at_the_end_of_an_unclosed_log_is_tampering() {
    let log = small(false);
    let mut newest = log.edit(2);
    let last = newest.frames.len() - 1;
    newest.frames[last].0.record_count += 1;
    let offset = newest.offset(last);
    log.put(2, &newest);
    for level in [Level::Structure, Level::Full] {
        let report = check(&log.host, level, &Expectation::default());
        let bad = report.first_bad().unwrap();
        // The batch begins in the frame before.
        assert_eq!((bad.verdict, bad.position, bad.offset), (Verdict::Tampered, Some(Position(13)), Some(offset)));
        assert_eq!(report.verdict(), Verdict::Tampered, "{:?}", report.findings);
    }
}

#[test]
fn an_interrupted_creation_or_rotation_is_a_remark() {
    for (len, fill) in [(0, 0), (64, 0), (200, 0)] {
        let log = small(false);
        log.disk.write_file(&log.paths()[2], &vec![fill; len]).unwrap();
        let report = check_full(&log);
        assert_eq!((report.verdict(), remarks(&report).len()), (Verdict::Intact, 1), "{:?}", report.findings);
        assert_eq!((report.records_checked, report.head), (10, Some(log.heads[1])));
    }
    // A header alone: the seal was not written yet.
    let log = small(false);
    let mut header = log.edit(2);
    header.frames.clear();
    log.put(2, &header);
    let report = check_full(&log);
    assert_eq!((report.verdict(), remarks(&report).len()), (Verdict::Intact, 1), "{:?}", report.findings);
    assert_eq!((report.head, report.is_head_computed), (Some(log.heads[1]), true));
    // Not even a genesis: nothing was created, unless somebody knows better.
    (0..2).for_each(|_| log.remove(0));
    log.remove(0);
    log.disk.write_file(&Path::new(DIR).join("00000000000000000000.seg"), b"").unwrap();
    assert_eq!(check_full(&log).verdict(), Verdict::Intact);
    let expect = Expectation { id: Some(ID), ..Expectation::default() };
    assert_eq!(check(&log.host, Level::Full, &expect).verdict(), Verdict::Missing);
}

/// A file cut anywhere, or zeroed from there on, is damaged or torn, and nothing panics.
#[test]
fn cut_files_are_damaged_unless_a_crash_can_leave_them() {
    let log = closed(false);
    let (disk, host) = copy_of(&log);
    for (index, path) in log.paths().into_iter().enumerate() {
        let original = disk.read_file(&path).unwrap();
        for len in (0..original.len()).step_by(3) {
            let mut zeroed = original.clone();
            zeroed[len..].fill(0);
            for bytes in [&original[..len], &zeroed] {
                disk.write_file(&path, bytes).unwrap();
                let report = check(&host, Level::Full, &Expectation::default());
                let expected = if index == 2 { Verdict::Intact } else { Verdict::Damaged };
                assert_eq!(report.verdict(), expected, "segment {index} at {len}: {:?}", report.findings);
                assert!(index == 2 || report.first_bad().is_some());
            }
        }
        disk.write_file(&path, &original).unwrap();
    }
}

/// A writer that appends, closes, opens again and rotates must never look like damage to somebody verifying beside it.
#[test]
fn beside_a_live_writer_nothing_is_damaged() {
    let mut log = LogBuilder::new(ID, false);
    let host = log.host.clone();
    let payload = vec![5; 700];
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for step in 0..1500 {
                log.frame(&[row(step, &payload), row(step, b"x")], step % 3 == 0);
                match step % 60 {
                    20 | 40 => {
                        log.finish(false);
                        log.reopen();
                    }
                    59 => log.rotate(),
                    _ => {}
                }
            }
            log
        });
        let (mut size, mut rounds) = (0, 0);
        while !writer.is_finished() {
            rounds += 1;
            let level = if rounds % 2 == 0 { Level::Full } else { Level::Structure };
            let workers = 1 + rounds % 3;
            let report = verify_log_with(workers, &host, Path::new(DIR), level, &Expectation::default(), &mut |_| {});
            assert_eq!(report.verdict(), Verdict::Intact, "{:?}", report.findings);
            if let Some(head) = report.head {
                assert!(head.size >= size, "{} after {size}", head.size);
                size = head.size;
            }
        }
        let log = writer.join().unwrap();
        let report = check_full(&log);
        assert_eq!(report.head, Some(log.frontier.head()));
    });
}

/// Whoever reads slower than a writer writes meets, at each look, bytes that are about to be a frame. Here each read finds
/// one frame more, and the frames behind the bad place say that it was durable: with the next look it is.
#[test]
fn a_place_that_goes_on_becoming_valid_is_not_judged() {
    let mut log = LogBuilder::new(ID, false);
    for time in 0..200 {
        log.frame(&[row(time, b"x")], false);
    }
    let newest = log.edit(0);
    let offsets: Vec<_> = (2..200).map(|index| newest.offset(index)).collect();
    let file = log.disk.open(&log.paths()[0], OpenMode::Write).unwrap();
    for offset in &offsets {
        assert_eq!(file.write_at(b"?", *offset).unwrap(), 1);
    }
    assert_eq!(check_full(&log).verdict(), Verdict::Damaged, "when nobody writes");

    let faulty = Faulty::new(log.disk.clone());
    let next = AtomicUsize::new(0);
    faulty.before_read(move || {
        if let Some(offset) = offsets.get(next.fetch_add(1, Ordering::Relaxed)) {
            file.write_at(&FRAME_MAGIC[..1], *offset).unwrap();
        }
    });
    let host = Host { fs: Arc::new(faulty), ..log.host.clone() };
    let report = verify_log(&host, Path::new(DIR), Level::Full, &Expectation::default(), &mut |_| {});
    assert_eq!(report.verdict(), Verdict::Intact, "{:?}", report.findings);
}

/// A disk that refuses to open one file.
#[derive(Debug)]
struct Refusing(MemVfs, PathBuf);

impl Vfs for Refusing {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        if path == self.1 { Err(io::Error::other("bad sector")) } else { self.0.open(path, mode) }
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        if dir == self.1 { Err(io::Error::other("bad sector")) } else { self.0.list(dir) }
    }
    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.0.metadata(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.0.lock(path)
    }
    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.0.free_space(dir)
    }
}

#[test]
fn what_cannot_be_read_is_not_called_damaged() {
    let log = closed(false);
    for path in log.paths().into_iter().chain([PathBuf::from(DIR)]) {
        let host = Host { fs: Arc::new(Refusing(log.disk.clone(), path)), ..log.host.clone() };
        for level in [Level::Structure, Level::Full] {
            let report = check(&host, level, &Expectation::default());
            assert_eq!((report.verdict(), report.findings.len()), (Verdict::Unreadable, 1), "{:?}", report.findings);
            assert!(report.findings[0].what.ends_with("bad sector"));
        }
    }
}

/// From a trusted head on: what lies below is passed over and named, the head itself is computed, and what comes behind
/// it is judged as ever.
#[test]
fn since_a_trusted_head_only_what_follows_is_read() {
    let log = closed(false);
    let (at_five, at_ten, end) = (log.heads[0], log.heads[1], log.frontier.head());
    let inner = {
        let expect = Expectation { sizes: vec![7, 99], ..Expectation::default() };
        let report = check(&log.host, Level::Full, &expect);
        assert_eq!((report.findings.len(), report.roots.len(), report.roots[0].size), (0, 1, 7));
        report.roots[0]
    };
    let since = |head: TreeHead| Expectation { since: Some(head), ..Expectation::default() };
    for (head, read_from) in [(TreeHead::EMPTY, 0), (at_five, 5), (inner, 5), (at_ten, 10), (end, 10)] {
        let report = check(&log.host, Level::Full, &since(head));
        assert_eq!((&report.findings, report.records_checked), (&vec![], 15 - read_from), "since {head}");
        assert_eq!((report.head, report.is_head_computed), (Some(end), true), "since {head}");
        let expected = (read_from > 0).then(|| format!("records 0..{read_from}, which the head {head} stands for"));
        assert_eq!(report.not_checked, expected.into_iter().collect::<Vec<_>>());
    }

    // Another root, at a border, within a segment, at the end and of nothing at all, and a head above the log.
    for head in [TreeHead::EMPTY, at_five, inner, end] {
        let other = TreeHead { root: Digest([1; 32]), ..head };
        let report = check(&log.host, Level::Full, &since(other));
        let bad = report.first_bad().unwrap();
        assert_eq!((bad.verdict, bad.position), (Verdict::Tampered, Some(Position(head.size))), "since {other}");
        assert!(!report.is_head_computed);
    }
    let above = TreeHead { size: 16, ..end };
    let report = check(&log.host, Level::Full, &since(above));
    let bad = report.first_bad().unwrap();
    assert_eq!((bad.verdict, bad.position), (Verdict::Missing, Some(Position(15))), "{:?}", report.findings);
}

/// The trusted head says nothing of what follows it, and does not excuse what is gone below it.
#[test]
fn since_a_trusted_head_edits_behind_it_and_missing_files_are_found() {
    let log = closed(false);
    let at_five = log.heads[0];
    let expect = Expectation { since: Some(at_five), ..Expectation::default() };
    let (disk, host) = copy_of(&log);
    let paths = log.paths();
    let mut edited = Edited::parse(&disk.read_file(&paths[1]).unwrap());
    edited.replace(1, b"first", b"forst");
    disk.write_file(&paths[1], &edited.bytes()).unwrap();
    let report = check(&host, Level::Full, &expect);
    let bad = report.first_bad().unwrap();
    assert_eq!((bad.verdict, bad.position), (Verdict::Tampered, Some(Position(5))), "{:?}", report.findings);

    // The same edit below the head is nobody's business, and the report says so.
    let expect_later = Expectation { since: Some(log.heads[1]), ..Expectation::default() };
    let report = check(&host, Level::Full, &expect_later);
    assert_eq!((report.verdict(), report.not_checked.len()), (Verdict::Intact, 1), "{:?}", report.findings);

    for index in [0, 1] {
        let (disk, host) = copy_of(&log);
        disk.remove_file(&paths[index]).unwrap();
        let report = check(&host, Level::Full, &expect_later);
        let bad = report.first_bad().unwrap();
        assert_eq!(bad.verdict, Verdict::Missing, "{:?}", report.findings);
        assert!(bad.position.is_some_and(|position| position.0 <= 10), "{bad:?}");
    }
}
