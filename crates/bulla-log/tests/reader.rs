//! What a reader looks at again, and what that costs, while files come, go and change under it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/common.rs"]
mod common;
#[path = "support/faulty.rs"]
mod faulty;

use bulla_log::{Durability, Log, LogError, LogReader, Snapshot};
use bulla_segment::segment_file_name;
use bulla_testkit::CountingVfs;
use bulla_vfs::{MemVfs, Vfs};
use bulla_wire::{LogId, Position};
use common::{ID, create, dir, disk_of, edit, files, host, open, options, remove, row, rows, segments, with};
use faulty::Faulty;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn append(log: &Log, payload: &[u8]) -> Position {
    log.append(&row(payload), with(Durability::Durable)).unwrap()
}

fn reader(fs: impl Vfs + 'static) -> LogReader {
    LogReader::open(&host(fs), dir()).unwrap()
}

fn ends(snapshot: &Snapshot) -> (u64, u64) {
    (snapshot.end().0, snapshot.durable_end().0)
}

/// A log of two segments, the second with one row behind its seal at position 3.
fn two_segments() -> (MemVfs, Log) {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    append(&log, b"first");
    append(&log, b"second");
    log.rotate().unwrap();
    append(&log, b"third");
    (disk, log)
}

/// D4. However long the log is, a look costs what was appended since the last one, and a frame's header if nothing was.
#[test]
fn looking_again_costs_what_was_appended() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options().segment_bytes_max(1 << 30));
    for _ in 0..60 {
        append(&log, &vec![1; 60_000]);
    }
    let counting = CountingVfs::new(Arc::new(disk));
    let reader = reader(counting.clone());
    let look = || {
        drop(counting.take());
        let snapshot = reader.snapshot().unwrap();
        assert_eq!(ends(&snapshot), (log.next_position().0, log.next_position().0));
        counting.take().values().map(|counts| counts.bytes_read).sum::<u64>()
    };
    for number in 0..5 {
        append(&log, &[2; 100]);
        let grown = look();
        let settled = look();
        assert!(grown < 2_000_000 && settled < 2_000_000, "{number}: {grown} and {settled} bytes");
        let unchanged = look();
        assert!(unchanged <= 64, "{number}: {unchanged} bytes");
    }
    log.rotate().unwrap();
    look();
    // Behind a footer nothing grows.
    log.close().unwrap();
    assert!(look() < 2_000_000);
}

/// How many looks at `newest` a reader took to open, or to take another snapshot once the log has a segment more, while
/// the first `refused` openings of that segment end as `refuse` says.
fn looks(
    beside: bool,
    refused: usize,
    refuse: impl Fn(&MemVfs, bool) -> io::Result<()> + Send + Sync + 'static,
) -> (Result<u64, LogError>, usize) {
    let (disk, log) = two_segments();
    let newest = segments(&disk)[1].clone();
    let hidden = disk.read_file(&newest).unwrap();
    let faulty = Faulty::new(disk.clone());
    let early = beside.then(|| {
        remove(&disk, &newest);
        let reader = reader(faulty.clone());
        disk.write_file(&newest, &hidden).unwrap();
        reader
    });
    let opened = Arc::new(AtomicUsize::new(0));
    faulty.before_open({
        let opened = Arc::clone(&opened);
        move |path| {
            if path == newest { refuse(&disk, opened.fetch_add(1, Ordering::Relaxed) < refused) } else { Ok(()) }
        }
    });
    let found = match early {
        Some(reader) => reader.snapshot(),
        None => LogReader::open(&host(faulty.clone()), dir()).and_then(|reader| {
            faulty.before_open(|_| Ok(()));
            reader.snapshot()
        }),
    };
    drop(log);
    (found.map(|snapshot| snapshot.end().0), opened.load(Ordering::Relaxed))
}

/// A file may go between the listing and its opening, and another one come. The comment said so, and that it would be
/// looked for again, but what was not there to be opened was told as a failure of the disk at once.
#[test]
fn a_file_that_went_while_one_looked_is_looked_for_again() {
    for beside in [false, true] {
        let gone = |_: &MemVfs, refuses| if refuses { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) };
        for refused in 0..3 {
            let (found, opened) = looks(beside, refused, gone);
            assert_eq!((found.unwrap(), opened), (5, refused + 1), "beside: {beside}");
        }
        let (found, opened) = looks(beside, 3, gone);
        assert!(matches!(found, Err(LogError::Missing { position: Position(3), .. })), "{found:?}");
        assert_eq!(opened, 3, "beside: {beside}");
    }
}

/// What the disk refuses is told at once, and not taken for damage that older segments could be read without.
#[test]
fn a_refusal_of_the_disk_is_told_at_once() {
    for beside in [false, true] {
        let (found, opened) =
            looks(beside, 1, |_, refuses| if refuses { Err(io::Error::other("bad sector")) } else { Ok(()) });
        let error = found.unwrap_err();
        assert!(!error.is_damage() && !error.is_missing() && format!("{error:?}").contains("bad sector"), "{error:?}");
        assert_eq!(opened, 1, "beside: {beside}");
    }
    // Nor is the segment read anew from its beginning because its file was refused once.
    let (disk, log) = two_segments();
    let faulty = Faulty::new(disk);
    let reader = reader(faulty.clone());
    append(&log, b"fourth");
    let opened = Arc::new(AtomicUsize::new(0));
    faulty.before_open({
        let opened = Arc::clone(&opened);
        move |_| if opened.fetch_add(1, Ordering::Relaxed) == 0 { Err(io::Error::other("bad sector")) } else { Ok(()) }
    });
    assert!(reader.snapshot().is_err());
    assert_eq!(opened.load(Ordering::Relaxed), 1);
    assert_eq!(ends(&reader.snapshot().unwrap()), (6, 6));
}

/// The file of a log may be replaced while a reader has it open: by that of another log, which is no later state of the
/// first, or be gone for a moment.
#[test]
fn another_log_in_the_place_of_ones_own_is_a_mismatch() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    append(&log, b"first");
    let faulty = Faulty::new(disk.clone());
    let reader = reader(faulty.clone());
    let other = MemVfs::new();
    let log_id = LogId([8; 16]);
    let made = Log::create(&host(other.clone()), dir(), log_id, &options()).unwrap();
    made.close().unwrap();
    let path = segments(&disk)[0].clone();
    let own = disk.read_file(&path).unwrap();
    disk.write_file(&path, &other.read_file(&path).unwrap()).unwrap();
    let error = reader.snapshot().unwrap_err();
    assert!(
        matches!(&error, LogError::Mismatch { what, .. } if *what == format!("it was log {ID} and is now {log_id}")),
        "{error}"
    );
    // Back again, and gone for the first opening.
    disk.write_file(&path, &own).unwrap();
    let is_gone = AtomicUsize::new(0);
    faulty.before_open(move |_| match is_gone.fetch_add(1, Ordering::Relaxed) {
        0 => Err(io::ErrorKind::NotFound.into()),
        _ => Ok(()),
    });
    assert_eq!(ends(&reader.snapshot().unwrap()), (2, 2));
}

/// A header that goes bad beside a reader is stepped around as it is by a reader that comes later (D3).
#[test]
fn a_header_that_goes_bad_beside_a_reader_hides_no_row() {
    let (disk, log) = two_segments();
    let beside = reader(disk.clone());
    append(&log, b"fourth");
    edit(&disk, &segments(&disk)[1], |bytes| bytes[20] ^= 1);
    for reader in [beside, reader(disk.clone())] {
        let snapshot = reader.snapshot().unwrap();
        assert_eq!((snapshot.end(), snapshot.is_damaged()), (Position(6), true));
    }
}

/// D2. A mark proves what is durable and is never synced: a crash may take it. What a reader told as durable stays that.
#[test]
fn a_durable_end_never_falls_though_its_proof_goes() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    append(&log, b"first");
    append(&log, b"second");
    let reader = reader(disk.clone());
    assert_eq!(ends(&reader.snapshot().unwrap()), (3, 3));
    // The mark is gone, and a new segment's name came without its content.
    let path = segments(&disk)[0].clone();
    let bytes = disk.read_file(&path).unwrap();
    let frames_end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1 - 64;
    edit(&disk, &path, |bytes| bytes.truncate(frames_end.next_multiple_of(8)));
    disk.write_file(&dir().join(segment_file_name(Position(3))), b"").unwrap();
    assert_eq!(
        ends(&LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap()),
        (3, 2),
        "to a stranger"
    );
    assert_eq!(ends(&reader.snapshot().unwrap()), (3, 3));
}

/// A reader that looked while the newest segment held nothing but its name took the sealed one before it for the end. When
/// the next writer made the segment again under the same name, the names were as before, and the reader never saw
/// another row.
#[test]
fn a_segment_made_again_under_its_name_is_noticed() {
    let (disk, log) = two_segments();
    drop(log);
    let newest = segments(&disk)[1].clone();
    disk.write_file(&newest, b"").unwrap();
    let reader = reader(disk.clone());
    for _ in 0..2 {
        assert_eq!(ends(&reader.snapshot().unwrap()), (3, 3));
    }
    let log = open(&disk).unwrap();
    append(&log, b"third again");
    assert_eq!(segments(&disk)[1], newest);
    assert_eq!(rows(&reader.snapshot().unwrap()), rows(&log.snapshot()));
    assert_eq!(ends(&reader.snapshot().unwrap()), (5, 5));
}

/// Only the last file of a log can be one whose creation was interrupted: an empty one before others has lost its records.
#[test]
fn an_empty_file_before_a_later_segment_is_a_loss() {
    let (disk, log) = two_segments();
    log.rotate().unwrap();
    append(&log, b"fourth");
    log.close().unwrap();
    let paths = segments(&disk);
    let disk = disk_of(&files(&disk));
    disk.write_file(&paths[1], b"").unwrap();
    edit(&disk, &paths[2], |bytes| bytes.fill(0xff));
    let snapshot = reader(disk.clone()).snapshot().unwrap();
    assert_eq!((snapshot.end(), snapshot.is_damaged()), (Position(3), true));
    // The last one is.
    disk.write_file(&paths[2], b"").unwrap();
    disk.remove_file(&paths[1]).unwrap();
    let snapshot = reader(disk).snapshot().unwrap();
    assert_eq!((snapshot.end(), snapshot.is_damaged()), (Position(3), false));
}

/// A closed log is not the end of it: the next writer appends in place of the close frame, and readers see that.
#[test]
fn a_reader_of_a_closed_log_sees_what_the_next_writer_appends() {
    let (disk, log) = two_segments();
    log.close().unwrap();
    let reader = reader(disk.clone());
    assert_eq!(ends(&reader.snapshot().unwrap()), (5, 5));
    let log = open(&disk).unwrap();
    append(&log, b"fourth");
    assert_eq!(rows(&reader.snapshot().unwrap()), rows(&log.snapshot()));
    assert_eq!(ends(&reader.snapshot().unwrap()), (6, 6));
}
