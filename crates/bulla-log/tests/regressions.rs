//! Bugs that were found by letting disks fail at random, each with its story.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "support/common.rs"]
mod common;

use bulla_log::{Durability, LogReader};
use bulla_vfs::MemVfs;
use common::{all, dir, edit, host, options, row, rows, with};
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
