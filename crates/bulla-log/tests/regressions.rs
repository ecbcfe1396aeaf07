//! Bugs that were found by letting disks fail at random, each with its story.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "support/common.rs"]
mod common;

use bulla_log::{Durability, Expectation, Level, Log, LogOptions, LogReader, TailKind, Verdict, verify_log};
use bulla_segment::Tail;
use bulla_vfs::MemVfs;
use bulla_wire::{Epoch, FrameBuilder, FramePlace, Kind, NewRecord, Position, SchemaId, Time};
use common::{all, dir, edit, host, open, options, row, rows, with};
use std::path::PathBuf;

/// A disk, the paths of its segments, and the rows in them.
type Rotated = (MemVfs, Vec<PathBuf>, Vec<(u64, Vec<u8>)>);

/// A log of two segments, the second of which holds nothing but its seal.
fn rotated() -> Rotated {
    let disk = MemVfs::new();
    let log = common::create(disk.clone(), &options());
    for payload in [&b"one"[..], b"two", &[7; 900]] {
        log.append(&row(payload), with(Durability::Durable)).unwrap();
    }
    let expected = rows(&log.snapshot());
    log.rotate().unwrap();
    drop(log);
    let paths = common::segments(&disk);
    assert_eq!(paths.len(), 2);
    (disk, paths, expected)
}

fn assert_reads(disk: &MemVfs, expected: &[(u64, Vec<u8>)]) {
    let reader = LogReader::open(&host(disk.clone()), dir()).unwrap();
    let snapshot = reader.snapshot().unwrap();
    assert!(!snapshot.is_damaged());
    assert_eq!(rows(&snapshot), expected);
    all(&snapshot);
}

/// A writer that was killed between writing a footer and cutting the zeros behind it left a log that readers called
/// damaged until the next writer came: they found the footer by scanning, and then looked for it at the end of the file.
#[test]
fn a_footer_with_zeros_behind_it_is_no_damage_to_readers() {
    let (disk, paths, expected) = rotated();
    common::remove(&disk, &paths[1]);
    edit(&disk, &paths[0], |bytes| bytes.extend([0; 4096]));
    assert_reads(&disk, &expected);
}

/// The same log opened for writing is sealed, and the zeros are gone before anything else: nothing is appended to a sealed
/// segment. Behind a close frame zeros mean as little; the next record goes in their place.
#[test]
fn a_summary_with_zeros_behind_it_is_still_the_end() {
    let (disk, paths, mut expected) = rotated();
    common::remove(&disk, &paths[1]);
    let sealed = disk.read_file(&paths[0]).unwrap();
    edit(&disk, &paths[0], |bytes| bytes.extend([0; 4096]));
    let log = open(&disk).unwrap();
    assert_eq!(log.recovery().tail, TailKind::Sealed);
    assert_eq!(disk.crash().read_file(&paths[0]).unwrap(), sealed);
    let position = log.append(&row(b"next"), with(Durability::Durable)).unwrap();
    expected.push((position.0, b"next".to_vec()));
    log.close().unwrap();
    assert_eq!(disk.read_file(&paths[0]).unwrap(), sealed);

    edit(&disk, &paths[1], |bytes| bytes.extend([0; 4096]));
    let log = open(&disk).unwrap();
    assert_eq!((log.recovery().tail, log.recovery().quarantine.clone()), (TailKind::Clean, None));
    let position = log.append(&row(b"last"), with(Durability::Durable)).unwrap();
    expected.push((position.0, b"last".to_vec()));
    log.close().unwrap();
    assert_reads(&disk, &expected);
}

/// Zeros that a life left ahead of its tail serve the next one: its small syncs change no length.
#[test]
fn zeros_ahead_of_an_unclosed_log_are_used_by_the_next_life() {
    let disk = MemVfs::new();
    let options = LogOptions::new().origin("test/log");
    let log = common::create(disk.clone(), &options);
    log.append(&row(b"first"), with(Durability::Durable)).unwrap();
    drop(log);
    // A mark is no zeros, so it is what a power cut took.
    let path = common::segments(&disk)[0].clone();
    let end = Tail::scan(&common::open_for_reading(&disk, &path)).unwrap().extent.end_offset as usize;
    edit(&disk, &path, |bytes| bytes[end..].fill(0));
    let len = disk.read_file(&path).unwrap().len();
    assert!(len > end + 100_000);
    let log = Log::open(&host(disk.clone()), dir(), &options).unwrap();
    assert_eq!(log.recovery().tail, TailKind::Unclosed);
    for _ in 0..3 {
        log.append(&row(b"next"), with(Durability::Durable)).unwrap();
        assert_eq!(disk.read_file(&path).unwrap().len(), len);
    }
}

/// Power was cut before the sync of an index and its footer, and only the footer arrived: readers believed it, found no
/// index, and called the segment damaged. Every record was there.
#[test]
fn a_footer_without_its_index_is_no_damage_to_readers() {
    let (disk, paths, expected) = rotated();
    common::remove(&disk, &paths[1]);
    let footer = common::open_for_reading(&disk, &paths[0]).read_summary().unwrap().unwrap().footer;
    let page = footer.pages[0].offset as usize;
    edit(&disk, &paths[0], |bytes| bytes[page..page + 64].fill(0));
    assert_reads(&disk, &expected);
}

/// Power was cut while a log was closed: the close frame arrived, its index did not, and in the index's place lay a frame
/// that had been cut off in an earlier life. Verification called that tampering.
#[test]
fn a_frame_of_an_earlier_life_in_place_of_an_index_is_no_tampering() {
    let disk = MemVfs::new();
    common::create(disk.clone(), &options()).close().unwrap();
    let log = open(&disk).unwrap();
    log.append(&row(b"kept"), with(Durability::Durable)).unwrap();
    let expected = rows(&log.snapshot());
    log.close().unwrap();
    let path = common::segments(&disk)[0].clone();
    let segment = common::open_for_reading(&disk, &path);
    let summary = segment.read_summary().unwrap().unwrap();
    assert_eq!(summary.epoch, Epoch(2));
    let mut frame = FrameBuilder::default();
    let (kind, time, schema) = (Kind::ROW, Time(5), SchemaId(1));
    frame.push(&NewRecord { kind, time, schema, salt: None, payload: b"cut" });
    let (offset, base) = (summary.footer.pages[0].offset, summary.footer.end);
    let seed = segment.seed();
    let place = FramePlace { seed, offset, epoch: Epoch(1), base, durable_end: Position(1), more: false };
    let mut bytes = Vec::new();
    frame.finish(&place, &mut bytes);
    assert!(bytes.len() as u64 <= summary.footer.offset - offset, "it fits where the index was");
    edit(&disk, &path, |file| {
        file[offset as usize..summary.footer.offset as usize].fill(0);
        file[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
    });
    let report = verify_log(&host(disk.clone()), dir(), Level::Full, &Expectation::default(), &mut |_| {});
    assert_eq!(report.verdict(), Verdict::Intact, "{:?}", report.findings);
    assert_reads(&disk, &expected);
    assert_eq!(rows(&open(&disk).unwrap().snapshot()), expected);
}
