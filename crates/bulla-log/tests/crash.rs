//! Power cuts, and kills, after every operation of a log's life. Law L1 is what must hold; docs/DURABILITY.md says which
//! states of the disk are possible.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::large_stack_arrays)]

#[path = "support/common.rs"]
mod common;
#[path = "support/faulty.rs"]
mod faulty;

use bulla_chain::Recovery;
use bulla_log::{Durability, Log, LogError, NewRow, TailKind};
use bulla_vfs::MemVfs;
use bulla_wire::Kind;
use common::{all, dir, disk_of, files, host, options, row, rows, with};
use faulty::{Faulty, Operation};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What the workload knows while it runs.
#[derive(Clone, Debug, Default)]
struct Told {
    submitted: Vec<(u64, Vec<u8>)>,
    batches: Vec<Range<u64>>,
    /// Records acknowledged as durable, and as flushed.
    durable: usize,
    flushed: usize,
    is_created: bool,
}

/// A disk as a crash could leave it, and what had been promised by then.
struct Image {
    label: String,
    disk: MemVfs,
    /// Records that must be there.
    kept: usize,
    is_created: bool,
}

fn payload(index: usize) -> Vec<u8> {
    format!("record {index} {}", "x".repeat(index * 131 % 700)).into_bytes()
}

/// Runs `step` on records that it numbers itself, and books what was acknowledged.
fn append(log: &Log, told: &Mutex<Told>, durability: Durability, count: usize) {
    let first = told.lock().unwrap().submitted.len();
    let payloads: Vec<_> = (first..first + count).map(payload).collect();
    let batch: Vec<NewRow<'_>> = payloads.iter().map(|payload| row(payload)).collect();
    let positions = log.append_batch(&batch, with(durability)).unwrap();
    let mut told = told.lock().unwrap();
    told.submitted.extend((positions.start.0..).zip(payloads.iter().cloned()));
    told.batches.push(positions.start.0..positions.end.0);
    let end = told.submitted.len();
    match durability {
        Durability::Durable => (told.durable, told.flushed) = (end, end),
        Durability::Flushed => told.flushed = end,
        Durability::Buffered => {}
    }
}

/// Every kind of step there is.
fn live(faulty: &Faulty, told: &Mutex<Told>) {
    let log = common::create(faulty.clone(), &options());
    told.lock().unwrap().is_created = true;
    let done = |told: &Mutex<Told>| {
        let mut told = told.lock().unwrap();
        (told.durable, told.flushed) = (told.submitted.len(), told.submitted.len());
    };
    append(&log, told, Durability::Durable, 1);
    append(&log, told, Durability::Buffered, 1);
    append(&log, told, Durability::Buffered, 1);
    append(&log, told, Durability::Flushed, 1);
    append(&log, told, Durability::Durable, 30);
    log.rotate().unwrap();
    done(told);
    append(&log, told, Durability::Flushed, 2);
    append(&log, told, Durability::Durable, 1);
    for _ in 0..12 {
        append(&log, told, Durability::Buffered, 1);
    }
    log.sync().unwrap();
    done(told);
    append(&log, told, Durability::Buffered, 1);
    log.close().unwrap();
    done(told);
    let log = Log::open(&host(faulty.clone()), dir(), &options()).unwrap();
    append(&log, told, Durability::Durable, 1);
    append(&log, told, Durability::Flushed, 40);
    append(&log, told, Durability::Durable, 1);
    log.rotate().unwrap();
    done(told);
    log.close().unwrap();
    let log = Log::open(&host(faulty.clone()), dir(), &options()).unwrap();
    append(&log, told, Durability::Flushed, 1);
    append(&log, told, Durability::Durable, 2);
}

/// Applies a part of the last write on top of what was there before, at sectors of 512 bytes.
fn torn(before: &MemVfs, after: &MemVfs, path: &Path, range: Range<u64>) -> Vec<(String, MemVfs)> {
    let (old, new) = (before.read_file(path).unwrap_or_default(), after.read_file(path).unwrap());
    let mut borders = vec![range.start];
    let mut at = (range.start + 1).next_multiple_of(512);
    while at < range.end {
        borders.push(at);
        at += 512;
    }
    borders.push(range.end);
    let sectors: Vec<_> = borders.windows(2).map(|pair| pair[0] as usize..pair[1] as usize).collect();
    let count = sectors.len();
    let keep = |label: &str, is_kept: &dyn Fn(usize) -> bool| {
        let mut bytes = old.clone();
        bytes.resize(bytes.len().max(new.len()), 0);
        bytes.truncate(new.len());
        for (index, sector) in sectors.iter().enumerate() {
            if is_kept(index) {
                bytes[sector.clone()].copy_from_slice(&new[sector.clone()]);
            }
        }
        let mut image = files(after);
        image.insert(path.to_owned(), bytes);
        (label.to_owned(), disk_of(&image))
    };
    let mut variants = vec![
        keep("prefix", &|index| index < count / 2),
        keep("first sector", &|index| index == 0),
        keep("suffix", &|index| index >= count / 2),
        keep("all but the first sector", &|index| index > 0),
        keep("all but the last sector", &|index| index + 1 < count),
        keep("even", &|index| index.is_multiple_of(2)),
        keep("odd", &|index| !index.is_multiple_of(2)),
        keep("middle zeroed", &|index| index == 0 || index + 1 == count),
    ];
    // A file that a crash left shorter.
    let mut image = files(after);
    let mut bytes = new.clone();
    bytes.truncate(old.len().max((range.start + (range.end - range.start) / 2) as usize));
    image.insert(path.to_owned(), bytes);
    variants.push(("length between".to_owned(), disk_of(&image)));
    variants
}

/// Calls `take` with what crashes after each operation of `run` could leave.
fn images(disk: &MemVfs, told: &Arc<Mutex<Told>>, run: impl FnOnce(&Faulty), take: impl FnMut(Image) + Send + 'static) {
    let (faulty, mut take, mut seen) = (Faulty::new(disk.clone()), take, HashSet::new());
    let mut last = disk_of(&files(disk));
    let told = Arc::clone(told);
    faulty.watch(move |disk, operation| {
        let Told { durable, flushed, is_created, .. } = *told.lock().unwrap();
        let now = disk_of(&files(disk));
        let mut add = |what: &str, disk: MemVfs, kept| {
            let mut hasher = DefaultHasher::new();
            (files(&disk), kept, is_created).hash(&mut hasher);
            if seen.insert(hasher.finish()) {
                take(Image { label: format!("{what} after {operation:?}, {kept} kept"), disk, kept, is_created });
            }
        };
        add("power cut", disk.crash(), durable);
        add("kill", disk_of(&files(disk)), flushed);
        if let Operation::Write { path, offset, len } = operation {
            // Of the zeros written ahead, some are as good as all.
            let len = (*len as u64).min(16 << 10);
            for (what, disk) in torn(&last, &now, path, *offset..offset + len) {
                add(&what, disk, durable);
            }
        }
        last = now;
    });
    run(&faulty);
}

fn quarantined(disk: &MemVfs) -> Vec<(PathBuf, Vec<u8>)> {
    files(disk).into_iter().filter(|(path, _)| path.starts_with("/log/quarantine")).collect()
}

/// The recovery records of a log and the files they name are one to one.
fn check_quarantine(log: &Log, disk: &MemVfs, label: &str) {
    let mut named = Vec::new();
    for (_, kind, payload) in all(&log.snapshot()) {
        if kind == Kind::RECOVERY {
            let record = Recovery::decode(&payload).unwrap();
            let digest: String = record.quarantine.unwrap().to_string().chars().take(16).collect();
            named.push((digest, record.quarantined_bytes));
        }
    }
    let mut found: Vec<_> = quarantined(disk)
        .into_iter()
        .map(|(path, bytes)| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name.rsplit('-').next().unwrap().to_owned(), bytes.len() as u64)
        })
        .collect();
    named.sort();
    found.sort();
    assert_eq!(named, found, "{label}: recovery records and quarantine files");
}

/// Law L1 on one image.
fn check(image: &Image, told: &Told) {
    let label = &image.label;
    let log = match common::open(&image.disk) {
        Ok(log) => log,
        Err(LogError::NotFound { .. }) if !image.is_created => {
            // What an interrupted creation left is gone on with.
            if bulla_vfs::Vfs::metadata(&image.disk, Path::new("/")).is_ok() {
                let log = Log::create(&host(image.disk.clone()), dir(), common::ID, &options()).unwrap();
                check_quarantine(&log, &image.disk, label);
            }
            return;
        }
        Err(error) => panic!("{label}: {error} {error:?}"),
    };
    let found = rows(&log.snapshot());
    all(&log.snapshot());
    assert!(found.len() >= image.kept, "{label}: {} records, {} were acknowledged", found.len(), image.kept);
    assert!(told.submitted.starts_with(&found), "{label}: not a prefix of what was submitted: {found:?}");
    for batch in &told.batches {
        let count = found.iter().filter(|(position, _)| batch.contains(position)).count() as u64;
        assert!(count == 0 || count == batch.end - batch.start, "{label}: {count} records of batch {batch:?}");
    }
    let report = log.recovery().clone();
    assert_eq!(report.quarantine.is_some(), report.tail == TailKind::Torn, "{label}: {report:?}");
    if let Some(path) = &report.quarantine {
        assert_eq!(image.disk.read_file(path).unwrap().len() as u64, report.quarantined_bytes, "{label}");
        assert!(report.may_have_been_acknowledged && report.cut_from.is_some(), "{label}: {report:?}");
    }
    check_quarantine(&log, &image.disk, label);
    assert_eq!(log.head().unwrap(), log.snapshot().head_at(log.durable_end()).unwrap(), "{label}");
    drop(log);
    let bytes = files(&image.disk);
    let again = common::open(&image.disk).unwrap();
    assert_eq!(rows(&again.snapshot()), found, "{label}");
    drop(again);
    assert!(bytes == files(&image.disk), "{label}: a second recovery changed the disk");
    // What was recovered, and what is appended now, survives the next crash.
    let log = common::open(&image.disk).unwrap();
    let position = log.append(&row(b"after"), with(Durability::Durable)).unwrap();
    let disk = image.disk.crash();
    drop(log);
    let log = common::open(&disk).unwrap_or_else(|error| panic!("{label}: {error} {error:?}"));
    let mut expected = found;
    expected.push((position.0, b"after".to_vec()));
    assert_eq!(rows(&log.snapshot()), expected, "{label}: after a second crash");
    check_quarantine(&log, &disk, label);
    log.rotate().unwrap();
    log.close().unwrap();
    let log = common::open(&disk).unwrap();
    assert_eq!(log.recovery().tail, TailKind::Clean, "{label}");
    assert_eq!(rows(&log.snapshot()), expected, "{label}");
}

/// What the workload submits, from a run of its own: images need to know what was still to come.
fn submitted() -> Told {
    let told = Mutex::new(Told::default());
    live(&Faulty::new(MemVfs::new()), &told);
    told.into_inner().unwrap()
}

/// R1 to R3 of recovery, and law L1.
#[test]
fn every_crash_leaves_a_prefix_with_everything_acknowledged() {
    let (told, whole) = (Arc::default(), submitted());
    let counts = Arc::new(Mutex::new((0, 0)));
    let take = {
        let counts = Arc::clone(&counts);
        move |image: Image| {
            check(&image, &whole);
            let mut counts = counts.lock().unwrap();
            counts.0 += 1;
            counts.1 += usize::from(!quarantined(&image.disk).is_empty());
        }
    };
    images(&MemVfs::new(), &told, |faulty| live(faulty, &told), take);
    let (count, torn) = *counts.lock().unwrap();
    assert!(count > 200 && torn > 50, "{count} images, {torn} of them had something to cut off");
}

/// A close frame is cut off before the first write: behind a frame so small that it covers only the index, the rest of it
/// would still end the file.
#[test]
fn a_tiny_record_after_a_clean_close_is_not_hidden_by_the_old_close_frame() {
    let disk = MemVfs::new();
    let log = common::create(disk.clone(), &options());
    log.close().unwrap();
    let log = common::open(&disk).unwrap();
    log.append(&row(b"x"), with(Durability::Flushed)).unwrap();
    let killed = disk_of(&files(&disk));
    drop(log);
    let log = common::open(&killed).unwrap();
    assert_eq!(log.recovery().tail, TailKind::Unclosed);
    assert_eq!(rows(&log.snapshot()), vec![(1, b"x".to_vec())]);
}

/// A log whose last batch reached the disk in part, and what was promised of it. With `is_empty_segment` the batch had
/// begun a segment, and the seal before it is gone too.
fn with_torn_tail(is_empty_segment: bool) -> (MemVfs, Told) {
    let disk = MemVfs::new();
    let told = Mutex::new(Told::default());
    let segment_bytes = if is_empty_segment { 4 << 10 } else { 64 << 10 };
    let log = common::create(disk.clone(), &options().segment_bytes_max(segment_bytes));
    append(&log, &told, Durability::Durable, 3);
    append(&log, &told, Durability::Flushed, 20);
    assert_eq!(log.rotations(), u64::from(is_empty_segment));
    let path = common::segments(&disk).pop().unwrap();
    let mut bytes = disk.read_file(&path).unwrap();
    drop(log);
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end / 2..].fill(0);
    if is_empty_segment {
        let base = bulla_segment::parse_segment_file_name(path.file_name().unwrap()).unwrap();
        bytes[bulla_wire::SegmentHeader::len_at(base) as usize] ^= 1;
    }
    disk.write_file(&path, &bytes).unwrap();
    let mut told = told.into_inner().unwrap();
    told.is_created = true;
    told.flushed = told.durable;
    (disk_of(&files(&disk)), told)
}

/// R2: each step of the cut may be repeated after a crash, and each quarantine file gets one record.
///
/// Two were missed once: when the record's own frame was torn, the bytes of the first recovery were never named, and
/// with frames so small that seal and record had one each, a crash between the two left the file without a record.
#[test]
fn an_interrupted_cut_is_gone_on_with() {
    for (is_empty_segment, frame_target) in [(false, 4096), (false, 1), (true, 4096), (true, 1)] {
        let (disk, told) = with_torn_tail(is_empty_segment);
        let (counts, shared) = (Arc::new(Mutex::new((0, 0))), Arc::new(Mutex::new(told.clone())));
        let recover = move |faulty: &Faulty| {
            let options = options().frame_target_bytes(frame_target);
            let log = Log::open(&host(faulty.clone()), dir(), &options).unwrap();
            assert_eq!(log.recovery().tail, TailKind::Torn);
        };
        let take = {
            let (counts, told, shared) = (Arc::clone(&counts), told.clone(), Arc::clone(&shared));
            move |image: Image| {
                // A recovery of the recovery, interrupted too; the torn states of one in three stand for all.
                let number = counts.lock().unwrap().0;
                if number % 3 == 0 {
                    let (counts, told) = (Arc::clone(&counts), told.clone());
                    let again = move |mut inner: Image| {
                        inner.label = format!("{}, then {}", number, inner.label);
                        check(&inner, &told);
                        counts.lock().unwrap().1 += 1;
                    };
                    let start = disk_of(&files(&image.disk));
                    let run = |faulty: &Faulty| drop(Log::open(&host(faulty.clone()), dir(), &options()).unwrap());
                    images(&start, &shared, run, again);
                }
                check(&image, &told);
                counts.lock().unwrap().0 += 1;
            }
        };
        images(&disk, &shared, recover, take);
        let (once, twice) = *counts.lock().unwrap();
        assert!(once > 15 && twice > 15, "{once} and {twice} images");
    }
}
