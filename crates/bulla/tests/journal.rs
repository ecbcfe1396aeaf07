//! The journal over many rotations: a state row after each, and the same tables whatever was cut off behind them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod common;

use bulla::wire::SegmentHeader;
use bulla::{
    Event, Host, Item, LogReader, MemVfs, Options, Position, Query, TableInfo, Verdict, VerifyOptions, verify,
};
use common::Watched;
use std::path::Path;
use std::sync::Arc;

fn options(host: &Host) -> Options {
    Options::new().host(host.clone()).journal_segment_bytes_max(4 << 10)
}

fn verdict(host: &Host) -> bulla::VerifyReport {
    verify("/shop", &VerifyOptions { host: host.clone(), ..VerifyOptions::default() }, &mut |_| {}).unwrap()
}

/// The first byte of a row is its variant, and 8 is a state row.
fn state_rows(host: &Host) -> Vec<Position> {
    let log = LogReader::open(host, Path::new("/shop/journal")).unwrap();
    let mut cursor = log.snapshot().unwrap().cursor(&Query::new());
    let mut found = Vec::new();
    while let Some(item) = cursor.next() {
        if let Item::Record(record) = item.unwrap()
            && record.payload().unwrap()[0] == 8
        {
            found.push(record.position);
        }
    }
    found
}

#[test]
fn a_state_row_follows_each_rotation_and_opening_agrees_with_it() {
    let host = Host::memory();
    let mut infos: Vec<TableInfo> = Vec::new();
    for round in 0..6 {
        let store = options(&host).open("/shop").unwrap();
        assert_eq!(store.tables(), infos, "round {round}");
        for number in 0..12 {
            let name = format!("table-{:02}", round * 12 + number);
            store.table::<Event>(&name).unwrap().append(&Event::default()).unwrap();
        }
        store.close().unwrap();
        let reader = bulla::Reader::open_on(&host, "/shop").unwrap();
        infos = reader.tables().unwrap();
        assert_eq!(infos.len(), (round + 1) * 12);
        assert!(infos.iter().all(|table| table.head.is_some()), "round {round}");
    }
    let log = LogReader::open(&host, Path::new("/shop/journal")).unwrap();
    let segments = log.snapshot().unwrap().segments().unwrap();
    assert!(segments.len() > 3, "{}", segments.len());
    let states = state_rows(&host);
    assert!(states.len() > 1, "{states:?}");
    let last = states.last().unwrap();
    assert!(segments.iter().rev().take(2).any(|segment| segment.positions.contains(last)), "{states:?}");
    let report = verdict(&host);
    assert_eq!(report.exit_code(), 0, "{report:?}");
}

/// Also where a crash comes between a rotation and its state row.
#[test]
fn a_crash_anywhere_leaves_a_journal_that_opens_and_is_intact() {
    let watched = Watched::new(23);
    let store = options(&watched.host()).open("/shop").unwrap();
    for number in 0..40 {
        store.table::<Event>(&format!("table-{number:02}")).unwrap();
    }
    let mut count = 0;
    let crashes = watched.crashes();
    // The tables come in the order of their names, so a crash leaves the first so many.
    for (index, disk) in crashes.into_iter().enumerate().skip(1) {
        let host = Host { fs: Arc::new(disk), ..Host::memory() };
        let store = options(&host).open("/shop").unwrap_or_else(|error| panic!("{index}: {error:?}"));
        let names: Vec<_> = store.tables().into_iter().map(|table| table.name).collect();
        assert_eq!(names, (0..names.len()).map(|number| format!("table-{number:02}")).collect::<Vec<_>>(), "{index}");
        assert!(names.len() >= count, "{index}");
        count = names.len();
        store.close().unwrap();
        let report = verdict(&host);
        assert_eq!(report.exit_code(), 0, "{index}: {report:?}");
    }
    assert!(count > 30, "{count}");
    assert!(!state_rows(&watched.host()).is_empty(), "the journal never began a segment");
}

/// A journal that cannot be trusted refuses what needs it, and nothing else; the table that was not recorded is swept.
#[test]
fn a_poisoned_journal_creates_no_tables_and_old_ones_go_on() {
    let watched = Watched::new(1);
    let host = watched.host();
    let store = options(&host).open("/shop").unwrap();
    let early = store.table::<Event>("early").unwrap();
    watched.fail_syncs(Some("journal"));
    store.table::<Event>("late").unwrap_err();
    watched.fail_syncs(None);
    assert!(store.table::<Event>("late").unwrap_err().is_poisoned() && store.is_poisoned());
    early.append(&Event::default()).unwrap();
    assert!(store.close().unwrap_err().is_poisoned());

    let store = options(&host).open("/shop").unwrap();
    assert_eq!(store.table::<Event>("early").unwrap().len().unwrap(), 1);
    assert!(store.table::<Event>("late").unwrap().is_empty().unwrap());
    store.close().unwrap();
    let report = verdict(&host);
    assert_eq!(report.exit_code(), 0, "{report:?}");
}

/// Seals name the journal's head, so the journal cannot be put back to an earlier time alone.
#[test]
fn a_journal_rolled_back_alone_is_found() {
    let disk = MemVfs::new();
    let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
    let store = options(&host).open("/shop").unwrap();
    store.table::<Event>("early").unwrap().append(&Event::default()).unwrap();
    store.close().unwrap();
    let before = disk.crash();

    let store = options(&host).open("/shop").unwrap();
    let early = store.table::<Event>("early").unwrap();
    store.table::<Event>("late").unwrap();
    early.append(&Event::default()).unwrap();
    early.rotate().unwrap();
    store.close().unwrap();
    assert_eq!(verdict(&host).exit_code(), 0);

    let journal = Path::new("/shop/journal");
    for entry in host.fs.list(journal).unwrap() {
        host.fs.remove_file(&journal.join(entry.name)).unwrap();
    }
    let old = Host { fs: Arc::new(before.clone()), ..Host::memory() };
    for entry in old.fs.list(journal).unwrap() {
        let path = journal.join(entry.name);
        disk.write_file(&path, &before.read_file(&path).unwrap()).unwrap();
    }
    // Asked for this table alone, so that it is the seal that tells, not the table the journal no longer names.
    let options = VerifyOptions { tables: vec!["early".into()], host, ..VerifyOptions::default() };
    let report = verify("/shop", &options, &mut |_| {}).unwrap();
    assert_eq!(report.exit_code(), 1, "{report:?}");
    assert_eq!(report.logs[0].first_bad().map(|bad| bad.0.verdict), Some(Verdict::Missing), "{report:?}");
}

/// A journal cut within its first rows looked like one whose creation was interrupted: opening set the rest of it aside,
/// cut the file, and only then said that the journal was missing. The tables beside it prove that it was made whole.
#[test]
fn a_journal_that_lost_its_first_rows_is_refused_and_left_as_it_is() {
    let disk = MemVfs::new();
    let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
    let store = options(&host).open("/shop").unwrap();
    store.table::<Event>("trail").unwrap().append(&Event::default()).unwrap();
    store.close().unwrap();
    let path = Path::new("/shop/journal/00000000000000000000.seg");
    let whole = disk.read_file(path).unwrap();
    let names = host.fs.list(Path::new("/shop/journal")).unwrap();
    let first_frame = SegmentHeader::len_at(Position(0)) as usize;
    for len in [first_frame, first_frame + 1, first_frame + 70, first_frame + 130] {
        disk.write_file(path, &whole[..len]).unwrap();
        let error = options(&host).open("/shop").unwrap_err();
        assert!(error.is_damage(), "{len}: {error:?}");
        assert_eq!(disk.read_file(path).unwrap(), whole[..len], "{len}");
        assert_eq!(host.fs.list(Path::new("/shop/journal")).unwrap(), names, "{len}");
    }
    disk.write_file(path, &whole).unwrap();
    assert_eq!(options(&host).open("/shop").unwrap().tables().len(), 1);
}
