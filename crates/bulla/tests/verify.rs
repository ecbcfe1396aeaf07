//! What verification says of stores that are whole, and of stores that somebody or something was at.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

use bulla::{Event, Host, Level, MemVfs, Options, Reader, Verdict, VerifyOptions, VerifyReport, verify};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const STORE: &str = "/shop";

/// A store of two closed tables, `left` and `right`, with three segments each.
fn store() -> (MemVfs, Host) {
    let disk = MemVfs::new();
    let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
    let store = Options::new().host(host.clone()).open(STORE).unwrap();
    for name in ["left", "right"] {
        let table = store.table::<Event>(name).unwrap();
        for number in 0..6 {
            table.append(&Event::new("ana", "count", number.to_string())).unwrap();
            if number % 2 == 1 && number < 5 {
                table.rotate().unwrap();
            }
        }
    }
    store.close().unwrap();
    (disk, host)
}

fn check(host: &Host) -> VerifyReport {
    verify(STORE, &VerifyOptions { host: host.clone(), ..VerifyOptions::default() }, &mut |_| {}).unwrap()
}

fn log_dir(host: &Host, table: &str) -> PathBuf {
    let dir = Path::new(STORE).join("tables").join(table);
    dir.join(&host.fs.list(&dir).unwrap()[0].name)
}

fn segments(host: &Host, dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = host.fs.list(dir).unwrap().into_iter().map(|entry| dir.join(entry.name)).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths
}

fn remove_dir_all(host: &Host, dir: &Path) {
    for entry in host.fs.list(dir).unwrap() {
        let path = dir.join(entry.name);
        if entry.is_dir { remove_dir_all(host, &path) } else { host.fs.remove_file(&path).unwrap() }
    }
    host.fs.remove_dir(dir).unwrap();
}

#[test]
fn a_whole_store_is_intact_and_every_record_is_counted() {
    let (_, host) = store();
    for level in [Level::Structure, Level::Full] {
        let mut last = None;
        let options = VerifyOptions { level, host: host.clone(), ..VerifyOptions::default() };
        let report = verify(STORE, &options, &mut |progress| last = Some(progress)).unwrap();
        assert_eq!((report.verdict(), report.exit_code()), (Verdict::Intact, 0), "{report:?}");
        let names: Vec<_> = report.logs.iter().map(|log| log.log.as_str()).collect();
        assert_eq!(names, ["journal", "left", "right"]);
        for log in &report.logs {
            assert!(log.first_bad().is_none() && log.root.is_some(), "{log:?}");
        }
        if level == Level::Full {
            for log in &report.logs {
                assert_eq!(Some(log.records_checked), log.size, "{log:?}");
            }
            let progress = last.unwrap();
            assert_eq!(progress.bytes_checked, report.logs.iter().map(|log| log.bytes_checked).sum::<u64>());
            assert!(progress.bytes_checked <= progress.bytes_total);
        }
    }
}

#[test]
fn only_the_tables_asked_for_are_verified_and_unknown_ones_are_an_error() {
    let (_, host) = store();
    let options = VerifyOptions { tables: vec!["right".into()], host, ..VerifyOptions::default() };
    let report = verify(STORE, &options, &mut |_| {}).unwrap();
    assert_eq!(report.logs.iter().map(|log| log.log.as_str()).collect::<Vec<_>>(), ["journal", "right"]);
    let options = VerifyOptions { tables: vec!["centre".into()], ..options };
    assert!(verify(STORE, &options, &mut |_| {}).unwrap_err().is_missing());
}

#[test]
fn a_table_whose_directory_is_gone_is_missing() {
    let (_, host) = store();
    remove_dir_all(&host, &Path::new(STORE).join("tables/left"));
    let report = check(&host);
    assert_eq!((report.verdict(), report.exit_code()), (Verdict::Missing, 1));
    assert_eq!((report.logs[1].log.as_str(), report.logs[1].verdict()), ("left", Verdict::Missing));
    assert_eq!(report.logs[2].verdict(), Verdict::Intact, "{report:?}");

    let store = Options::new().host(host.clone()).open(STORE).unwrap();
    let error = store.table::<Event>("left").unwrap_err();
    assert!(error.is_missing() && error.is_damage(), "{error:?}");
    assert!(host.fs.metadata(&Path::new(STORE).join("tables/left")).is_err(), "it was made again");
}

/// Without its directories the journal's own segments tell: tables are there that nobody names.
#[test]
fn a_store_without_its_journal_is_missing_it() {
    let (_, host) = store();
    remove_dir_all(&host, &Path::new(STORE).join("journal"));
    let report = check(&host);
    assert_eq!((report.verdict(), report.exit_code()), (Verdict::Missing, 1));
    assert_eq!(report.logs.len(), 3, "{report:?}");
    let error = Options::new().host(host).open(STORE).unwrap_err();
    assert!(error.is_missing(), "{error:?}");
}

#[test]
fn directories_that_changed_places_are_tampered_with() {
    let (_, host) = store();
    let (left, right, spare) = (log_dir(&host, "left"), log_dir(&host, "right"), Path::new("/spare"));
    host.fs.rename(&left, spare).unwrap();
    host.fs.rename(&right, &left).unwrap();
    host.fs.rename(spare, &right).unwrap();
    let report = check(&host);
    assert_eq!((report.verdict(), report.exit_code()), (Verdict::Tampered, 1), "{report:?}");
    let store = Options::new().host(host).open(STORE).unwrap();
    assert!(store.table::<Event>("left").unwrap_err().is_damage());
}

/// Two tables' directories under each other's names were called missing only: each log is where the journal does not
/// look for it, but it knows both.
#[test]
fn tables_that_changed_names_are_tampered_with() {
    let (_, host) = store();
    let tables = Path::new(STORE).join("tables");
    let (left, right, spare) = (tables.join("left"), tables.join("right"), Path::new("/spare"));
    host.fs.rename(&left, spare).unwrap();
    host.fs.rename(&right, &left).unwrap();
    host.fs.rename(spare, &right).unwrap();
    let report = check(&host);
    assert_eq!((report.verdict(), report.exit_code()), (Verdict::Tampered, 1), "{report:?}");
}

#[test]
fn what_nobody_named_is_reported_and_left_and_only_blanks_are_swept() {
    let (disk, host) = store();
    let tables = Path::new(STORE).join("tables");
    // A log with rows under a name the journal does not know, and under one that no table can have.
    for name in ["stray", "NOT-OURS"] {
        let to = tables.join(name);
        host.fs.create_dir(&to).unwrap();
        let (from, to) = (log_dir(&host, "left"), to.join("ab".repeat(16)));
        host.fs.create_dir(&to).unwrap();
        for path in segments(&host, &from) {
            disk.write_file(&to.join(path.file_name().unwrap()), &disk.read_file(&path).unwrap()).unwrap();
        }
    }
    // What an interrupted creation leaves.
    host.fs.create_dir(&tables.join("begun")).unwrap();
    host.fs.create_dir(&tables.join("begun").join("cd".repeat(16))).unwrap();

    let report = check(&host);
    assert_eq!((report.verdict(), report.exit_code()), (Verdict::Missing, 1));
    for name in ["stray", "NOT-OURS"] {
        let log = report.logs.iter().find(|log| log.log == name).unwrap();
        assert_eq!(log.verdict(), Verdict::Missing, "{log:?}");
    }
    let remarks: Vec<_> = report.logs[0].findings.iter().map(|finding| (finding.verdict, &finding.what)).collect();
    assert!(remarks.iter().any(|(verdict, what)| *verdict == Verdict::Intact && what.contains("begun")), "{remarks:?}");

    Options::new().host(host.clone()).open(STORE).unwrap().close().unwrap();
    let names: Vec<_> = host.fs.list(&tables).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["NOT-OURS", "left", "right", "stray"]);
}

/// The newest segments cut away: the journal holds the head the table was closed with.
#[test]
fn rows_cut_off_the_end_are_missed() {
    let (_, host) = store();
    let paths = segments(&host, &log_dir(&host, "right"));
    host.fs.remove_file(paths.last().unwrap()).unwrap();
    let report = check(&host);
    assert_eq!((report.verdict(), report.exit_code()), (Verdict::Missing, 1), "{report:?}");
    let error = Options::new().host(host).open(STORE).unwrap().table::<Event>("right").unwrap_err();
    assert!(error.is_damage(), "{error:?}");
}

#[test]
fn a_flipped_byte_is_damage_and_its_place_is_named() {
    let (disk, host) = store();
    let path = &segments(&host, &log_dir(&host, "left"))[1];
    let mut bytes = disk.read_file(path).unwrap();
    let at = bytes.windows(5).position(|window| window == b"count").unwrap();
    bytes[at] ^= 1;
    disk.write_file(path, &bytes).unwrap();

    let report = check(&host);
    assert_eq!((report.verdict(), report.exit_code()), (Verdict::Damaged, 4), "{report:?}");
    let left = &report.logs[1];
    let bad = left.first_bad().unwrap().0;
    assert_eq!(bad.segment.as_deref().map(Path::new).and_then(Path::file_name), path.file_name());
    assert!(bad.position.is_some() && bad.offset.is_some_and(|offset| offset <= at as u64), "{bad:?}");
    assert_eq!((report.logs[0].verdict(), report.logs[2].verdict()), (Verdict::Intact, Verdict::Intact));
}

/// What the damaged part of the journal said cannot be held against the tables: damage is all there is.
#[test]
fn a_damaged_journal_is_damage_and_the_tables_are_verified_all_the_same() {
    let (disk, host) = store();
    let path = &segments(&host, &Path::new(STORE).join("journal"))[0];
    let mut bytes = disk.read_file(path).unwrap();
    let at = bytes.windows(4).position(|window| window == b"left").unwrap();
    bytes[at] ^= 1;
    disk.write_file(path, &bytes).unwrap();

    let report = check(&host);
    assert_eq!((report.verdict(), report.exit_code()), (Verdict::Damaged, 4), "{report:?}");
    assert_eq!(report.logs[0].verdict(), Verdict::Damaged);
    let tables: Vec<_> = report.logs[1..].iter().map(|log| (log.log.as_str(), log.verdict())).collect();
    assert_eq!(tables, [("left", Verdict::Intact), ("right", Verdict::Intact)], "{report:?}");

    let reader = Reader::open_on(&host, STORE).unwrap();
    assert!(reader.is_damaged());
    assert_eq!(reader.table::<Event>("right").unwrap().len().unwrap(), 6);
    let error = Options::new().host(host).open(STORE).unwrap_err();
    assert!(error.is_damage() && error.position().is_some(), "{error:?}");
}

/// A row of the journal's that a later version wrote: newer, exit 3, and nothing is opened. Of the three ways to be newer,
/// another kind was not looked at, so that such a record was read as a row of this version, and taken for one if it could
/// be.
#[test]
fn a_journal_row_of_a_later_version_is_newer() {
    let a_table = [&[1, 5][..], b"other", &[9; 16], &[3], b"raw", &[0, 1]].concat();
    for (kind, schema, payload) in [(0, 1, &[5, 1, 2, 3][..]), (0, 2, &a_table), (7, 1, &a_table)] {
        let (_, host) = store();
        let options = bulla_log::LogOptions::new();
        let journal = bulla_log::Log::open(&host, &Path::new(STORE).join("journal"), &options).unwrap();
        let (kind, time, schema) = (bulla::Kind(kind), bulla::Time(0), bulla::SchemaId(schema));
        let row = bulla_log::NewRow { kind, time, schema, payload };
        let position = journal.append(&row, bulla_log::AppendOptions::default()).unwrap();
        journal.close().unwrap();

        let report = check(&host);
        assert_eq!((report.verdict(), report.exit_code()), (Verdict::Newer, 3), "{report:?}");
        let error = Options::new().host(host.clone()).open(STORE).unwrap_err();
        assert!(error.is_newer() && !error.is_damage(), "{error:?}");
        assert_eq!(error.position(), Some(position));
        assert!(bulla::Reader::open_on(&host, STORE).unwrap_err().is_newer());
    }
}

/// The shape machines read, field by field.
#[test]
fn the_report_serialises_as_documented() {
    let (_, host) = store();
    remove_dir_all(&host, &Path::new(STORE).join("tables/left"));
    let report = serde_json::to_value(check(&host)).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&report), ["elapsed_ms", "logs", "trust", "verdict"]);
    assert_eq!((report["verdict"].as_str(), report["trust"].as_str()), (Some("missing"), Some("structure")));
    let (left, right) = (&report["logs"][1], &report["logs"][2]);
    let expected = [
        "anchored_through",
        "bytes_checked",
        "findings",
        "first_bad",
        "floor",
        "log",
        "not_checked",
        "origin",
        "receipt",
        "records_checked",
        "root",
        "segments",
        "signed_through",
        "size",
        "trust",
        "verdict",
    ];
    assert_eq!(keys(left), expected);
    assert_eq!(keys(&left["first_bad"]), ["offset", "position", "segment", "what"]);
    assert_eq!(left["verdict"], "missing");
    assert_eq!(
        (&right["log"], &right["verdict"], &right["receipt"]),
        (&"right".into(), &"intact".into(), &"none".into())
    );
    assert!(right["origin"].as_str().unwrap().starts_with("shop/right/"));
    assert_eq!(right["root"].as_str().unwrap().len(), 64);
    assert_eq!((right["floor"].as_u64(), right["segments"].as_u64()), (Some(0), Some(3)));
    assert!(right["first_bad"].is_null() && right["signed_through"].is_null() && right["anchored_through"].is_null());
}

/// A reader of the log that cannot go on says so at every further call. Verification once asked it for ever, and kept
/// each answer, when a single journal frame called for a codec that this build lacks.
#[test]
fn a_journal_that_this_build_cannot_read_ends_verification_soon() {
    use bulla::wire::{FrameHeader, SegmentHeader};
    let (disk, host) = store();
    let path = segments(&host, &Path::new(STORE).join("journal")).remove(0);
    let mut bytes = disk.read_file(&path).unwrap();
    let header = SegmentHeader::decode(&bytes).unwrap();
    let (seed, mut offset) = (header.seed(), SegmentHeader::len_at(header.base));
    offset += FrameHeader::decode(&bytes[offset as usize..], &seed, offset).unwrap().frame_len();
    // The second frame: codec 1 is LZ4, and what is stored is shorter than what it stands for.
    let at = offset as usize;
    let plain = u32::from_le_bytes(bytes[at + 20..at + 24].try_into().unwrap());
    bytes[at + 14] = 1;
    bytes[at + 20..at + 24].copy_from_slice(&(plain + 1).to_le_bytes());
    let checksum = seed.checksum(offset, &bytes[at + 8..at + 64]).to_le_bytes();
    bytes[at + 4..at + 8].copy_from_slice(&checksum);
    disk.write_file(&path, &bytes).unwrap();
    let report = check(&host);
    assert_eq!(report.verdict(), Verdict::Newer, "{report:?}");
    assert!(report.logs[0].findings.len() < 10, "{report:?}");
}
