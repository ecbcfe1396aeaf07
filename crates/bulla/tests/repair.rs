//! What a repair makes of a damaged store: everything that validates, a receipt for the rest, and no change to the old one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::single_range_in_vec_init,
    clippy::cloned_ref_to_slice_refs,
    reason = "a test fails by panicking"
)]

mod common;

use common::copy;

use bulla::segment::SegmentFile;
use bulla::vfs::OpenMode;
use bulla::wire::{FrameHeader, Role};
use bulla::{
    Break, Error, Host, Item, Kind, MemVfs, Options, Query, Raw, RawTable, Reader, RepairOptions, RepairReport,
    TableOptions, Verdict, VerifyOptions, VerifyReport, Vfs, repair, verify,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const OLD: &str = "/old";
const NEW: &str = "/new";

fn host_of(disk: &MemVfs) -> Host {
    Host { fs: Arc::new(disk.clone()), ..Host::memory() }
}

/// Row `number` of table `table`.
fn payload(table: &str, number: u64) -> Vec<u8> {
    [format!("{table} {number:05} ").as_bytes(), &[b'x'; 150]].concat()
}

fn table(store: &bulla::Store, name: &str) -> RawTable {
    store.table_with::<Vec<u8>, Raw>(name, &TableOptions::new().erasable(name == "right")).unwrap()
}

/// A store with the tables `left` and `right`, closed, of `count` rows each in segments of 8 KiB.
fn store(count: u64) -> MemVfs {
    let disk = MemVfs::new();
    let store = Options::new().host(host_of(&disk)).name("shop").segment_bytes_max(8 << 10).open(OLD).unwrap();
    for name in ["left", "right"] {
        let table = table(&store, name);
        for number in 0..count {
            table.append(&payload(name, number)).unwrap();
        }
    }
    store.close().unwrap();
    disk
}

fn files(disk: &MemVfs, dir: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut files, mut todo) = (BTreeMap::new(), vec![PathBuf::from(dir)]);
    while let Some(dir) = todo.pop() {
        for entry in disk.list(&dir).unwrap_or_default() {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                todo.push(path);
            } else {
                files.insert(path.clone(), disk.read_file(&path).unwrap());
            }
        }
    }
    files
}

fn edit(disk: &MemVfs, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = disk.read_file(path).unwrap();
    change(&mut bytes);
    disk.write_file(path, &bytes).unwrap();
}

fn remove_all(disk: &MemVfs, dir: &Path) {
    for entry in disk.list(dir).unwrap() {
        let path = dir.join(entry.name);
        if entry.is_dir { remove_all(disk, &path) } else { disk.remove_file(&path).unwrap() }
    }
    disk.remove_dir(dir).unwrap();
}

fn log_dir(disk: &MemVfs, store: &str, table: &str) -> PathBuf {
    let dir = Path::new(store).join("tables").join(table);
    dir.join(&disk.list(&dir).unwrap()[0].name)
}

fn segments(disk: &MemVfs, dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = disk.list(dir).unwrap().into_iter().map(|entry| dir.join(entry.name)).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths
}

/// Where each data frame of a sound segment is, and its positions.
fn frames(disk: &MemVfs, path: &Path) -> Vec<(Range<usize>, Range<u64>)> {
    let segment = SegmentFile::open(&host_of(disk), path, OpenMode::Read).unwrap();
    let bytes = disk.read_file(path).unwrap();
    let (mut found, mut offset) = (Vec::new(), segment.frames_offset());
    while let Ok(header) = FrameHeader::decode(&bytes[offset as usize..], segment.seed(), offset) {
        let end = offset + header.frame_len();
        if matches!(header.role, Role::Data { .. }) {
            found.push((offset as usize..end as usize, header.base.0..header.end().0));
        }
        offset = end;
    }
    found
}

/// Payloads of the caller's records, with their positions.
fn rows(disk: &MemVfs, store: &str, table: &str) -> Vec<(u64, Vec<u8>)> {
    let view = Reader::open_on(&host_of(disk), store).unwrap().raw(table).unwrap();
    let snapshot = view.snapshot().unwrap();
    let mut cursor = snapshot.cursor(&Query::new());
    let mut rows = Vec::new();
    while let Some(item) = cursor.next() {
        let Item::Record(record) = item.unwrap() else { panic!("a gap in a repaired store") };
        rows.push((record.position.0, record.payload().unwrap().to_vec()));
    }
    rows
}

fn breaks(disk: &MemVfs, store: &str, table: &str) -> Vec<Break> {
    let view = Reader::open_on(&host_of(disk), store).unwrap().raw(table).unwrap();
    let snapshot = view.snapshot().unwrap();
    let mut cursor = snapshot.cursor(&Query { engine: true, kind: Some(Kind::BREAK), ..Query::new() });
    let mut found = Vec::new();
    while let Some(item) = cursor.next() {
        let Item::Record(record) = item.unwrap() else { panic!("a gap in a repaired store") };
        found.push(Break::decode(record.payload().unwrap()).unwrap());
    }
    found
}

fn check(disk: &MemVfs, store: &str) -> VerifyReport {
    verify(store, &VerifyOptions { host: host_of(disk), ..VerifyOptions::default() }, &mut |_| {}).unwrap()
}

fn options(disk: &MemVfs) -> RepairOptions {
    RepairOptions { into: Some(NEW.into()), who: "ana".into(), host: host_of(disk), ..RepairOptions::default() }
}

fn ranges(report: &RepairReport, log: &str) -> Vec<Range<u64>> {
    let log = report.logs.iter().find(|found| found.log == log).unwrap();
    log.losses.iter().map(|loss| loss.positions.start.0..loss.positions.end.0).collect()
}

/// Repairs the damaged `disk`, whose tables held `before`, and checks everything about the result. `lost` are the positions
/// that the table `left` lost.
#[track_caller]
fn check_repair(disk: &MemVfs, before: &MemVfs, lost: &[Range<u64>], label: &str) -> RepairReport {
    let old = files(disk, OLD);
    let dry = repair(OLD, &RepairOptions { dry_run: true, ..options(disk) }, &mut |_| {}).unwrap();
    assert!(dry.is_needed && dry.into.is_none() && disk.list(Path::new(NEW)).is_err(), "{label}: a dry run wrote");
    let report = repair(OLD, &options(disk), &mut |_| {}).unwrap_or_else(|error| panic!("{label}: {error:?}"));
    assert!(files(disk, OLD) == old, "{label}: the old store changed");
    assert_eq!(ranges(&report, "left"), lost, "{label}");
    for (dry, done) in dry.logs.iter().zip(&report.logs) {
        assert_eq!((&dry.log, dry.records, &dry.losses), (&done.log, done.records, &done.losses), "{label}");
    }
    for name in ["left", "right"] {
        let lost = if name == "left" { lost } else { &[] };
        let kept: Vec<_> = rows(before, OLD, name);
        let kept = kept.into_iter().filter(|(at, _)| !lost.iter().any(|range| range.contains(at)));
        let kept: Vec<_> = kept.map(|(_, payload)| payload).collect();
        let found: Vec<_> = rows(disk, NEW, name).into_iter().map(|(_, payload)| payload).collect();
        assert!(found == kept, "{label}: {name} has {} rows, not {}", found.len(), kept.len());
    }
    let gaps = report.gaps();
    let is_repaired = |disk: &MemVfs, when: &str| {
        let found = check(disk, NEW);
        assert_eq!(
            (found.verdict(), found.exit_code(), found.gaps()),
            (Verdict::Repaired, 0, gaps),
            "{label}, {when}: {found:#?}"
        );
        let receipts = found.logs.iter().flat_map(|log| &log.findings);
        let receipts = receipts.filter(|finding| finding.verdict == Verdict::Repaired).count();
        assert_eq!(
            receipts,
            report.logs.iter().map(|log| log.losses.len()).sum::<usize>(),
            "{label}, {when}: {found:#?}"
        );
        let structure =
            VerifyOptions { level: bulla::Level::Structure, host: host_of(disk), ..VerifyOptions::default() };
        assert_eq!(verify(NEW, &structure, &mut |_| {}).unwrap().verdict(), Verdict::Repaired, "{label}, {when}");
    };
    is_repaired(disk, "at once");
    is_repaired(&disk.crash(), "after a power cut");
    // For ever: after appends, rotations, closing and opening again.
    for round in 0..2 {
        let store = Options::new().host(host_of(disk)).open(NEW).unwrap();
        assert_eq!(store.name(), "shop", "{label}");
        for name in ["left", "right"] {
            let table = table(&store, name);
            for number in 0..40 {
                table.append(&payload(name, 90_000 + number)).unwrap();
            }
            table.rotate().unwrap();
        }
        store.close().unwrap();
        is_repaired(disk, &format!("after round {round}"));
    }
    report
}

#[test]
fn nothing_is_done_to_a_store_that_is_whole() {
    let disk = store(20);
    let before = files(&disk, "/");
    let report = repair(OLD, &options(&disk), &mut |_| {}).unwrap();
    assert_eq!(report, RepairReport::default());
    // A torn tail is what a crash leaves: opening recovers it.
    let host = host_of(&disk);
    let newest = segments(&disk, &log_dir(&disk, OLD, "left")).pop().unwrap();
    let store = Options::new().host(host.clone()).open(OLD).unwrap();
    table(&store, "left").append(&payload("left", 99)).unwrap();
    assert!(repair(OLD, &options(&disk), &mut |_| {}).unwrap_err().is_locked(), "a writer is at work");
    drop(store);
    edit(&disk, &newest, |bytes| bytes.truncate(bytes.len() - 3));
    assert!(!repair(OLD, &options(&disk), &mut |_| {}).unwrap().is_needed);
    assert!(disk.list(Path::new(NEW)).is_err() && before.len() == files(&disk, "/").len());
}

#[test]
fn a_new_store_needs_an_empty_directory_outside_the_old_one() {
    let disk = store(20);
    let host = host_of(&disk);
    let path = segments(&disk, &log_dir(&disk, OLD, "left"))[0].clone();
    edit(&disk, &path, |bytes| bytes[2000] ^= 1);
    disk.create_dir(Path::new("/full")).unwrap();
    disk.write_file(Path::new("/full/letter"), b"dear reader").unwrap();
    let before = files(&disk, "/");
    for into in ["/full", "/full/letter", "/old", "/old/new"] {
        let options = RepairOptions { into: Some(into.into()), host: host.clone(), ..RepairOptions::default() };
        let error = repair(OLD, &options, &mut |_| {}).unwrap_err();
        assert!(matches!(error, Error::NotEmpty { .. }), "{into}: {error:?}");
    }
    assert!(files(&disk, "/") == before);
    disk.create_dir(Path::new(NEW)).unwrap();
    assert!(repair(OLD, &options(&disk), &mut |_| {}).unwrap().into.is_some(), "an empty directory will do");
}

/// Bit flips and zeroed blocks in frames, in the newest segment and in sealed ones, closed and not.
#[test]
fn frames_that_are_lost_are_gaps_and_the_others_are_kept() {
    let sound = store(120);
    let dir = log_dir(&sound, OLD, "left");
    let paths = segments(&sound, &dir);
    assert!(paths.len() >= 3);
    for (which, path) in [("sealed", &paths[1]), ("newest", paths.last().unwrap())] {
        let frames = frames(&sound, path);
        let hit = frames[frames.len() / 2].clone();
        let disk = copy(&sound);
        edit(&disk, path, |bytes| bytes[hit.0.start + 70] ^= 1);
        let report = check_repair(&disk, &sound, &[hit.1.clone()], which);
        let [broken] = &breaks(&disk, NEW, "left")[..] else { panic!("one break") };
        assert_eq!((broken.who.as_str(), broken.resumes_at.map(|at| at.0)), ("ana", Some(hit.1.end)));
        assert_eq!(Some(broken.source), report.logs[1].source);
        let root = Reader::open_on(&host_of(&sound), OLD).unwrap().raw("left").unwrap().snapshot().unwrap();
        let root = root.head_at(bulla::Position(hit.1.start)).unwrap().root;
        assert_eq!(broken.source_root, Some(root), "the head below the gap");
    }
    let frames = frames(&sound, &paths[1]);
    let disk = copy(&sound);
    edit(&disk, &paths[1], |bytes| bytes[frames[2].0.start..frames[6].0.end].fill(0));
    check_repair(&disk, &sound, &[frames[2].1.start..frames[6].1.end], "a zeroed block");
    let disk = copy(&sound);
    for index in [1, 4, 9] {
        edit(&disk, &paths[1], |bytes| bytes[frames[index].0.start] ^= 1);
    }
    let lost: Vec<_> = [1, 4, 9].iter().map(|index| frames[*index].1.clone()).collect();
    check_repair(&disk, &sound, &lost, "three frames");
}

/// A store that was damaged before anybody closed it.
#[test]
fn an_unclosed_store_is_repaired_up_to_its_durable_end() {
    let disk = MemVfs::new();
    let store = Options::new().host(host_of(&disk)).name("shop").open(OLD).unwrap();
    for name in ["left", "right"] {
        let table = table(&store, name);
        for number in 0..50 {
            table.append(&payload(name, number)).unwrap();
        }
    }
    drop(store);
    let disk = copy(&disk);
    let sound = copy(&disk);
    let path = segments(&disk, &log_dir(&disk, OLD, "left")).pop().unwrap();
    let frames = frames(&disk, &path);
    edit(&disk, &path, |bytes| bytes[frames[7].0.start] ^= 1);
    check_repair(&disk, &sound, &[frames[7].1.clone()], "in the middle");

    let disk = copy(&sound);
    edit(&disk, &path, |bytes| bytes[frames[50].0.start] ^= 1);
    check_repair(&disk, &sound, &[50..51], "the last one");
    let [broken] = &breaks(&disk, NEW, "left")[..] else { panic!("one break") };
    assert!(broken.is_open && broken.resumes_at.is_none(), "nothing says that the log ended there: {broken:?}");
}

/// What holds no record can be damaged too: nothing is lost, and still the store says for ever that it was repaired.
#[test]
fn damage_without_loss_leaves_a_receipt() {
    let sound = store(120);
    let paths = segments(&sound, &log_dir(&sound, OLD, "left"));
    let segment = SegmentFile::open(&host_of(&sound), &paths[1], OpenMode::Read).unwrap();
    let footer = segment.read_summary().unwrap().unwrap().footer;
    let places = [("header", 20), ("footer", footer.offset as usize), ("index", footer.pages[0].offset as usize)];
    for (name, at) in places {
        let disk = copy(&sound);
        edit(&disk, &paths[1], |bytes| bytes[at] ^= 1);
        let report = check_repair(&disk, &sound, &[ranges_end(&sound)], name);
        assert_eq!(report.gaps(), 0);
    }
    let disk = copy(&sound);
    edit(&disk, paths.last().unwrap(), |bytes| bytes[20] ^= 1);
    check_repair(&disk, &sound, &[ranges_end(&sound)], "the newest header");
}

/// The empty range at the end of the table `left`.
fn ranges_end(sound: &MemVfs) -> Range<u64> {
    let end = Reader::open_on(&host_of(sound), OLD).unwrap().raw("left").unwrap().snapshot().unwrap().end().0;
    end..end
}

#[test]
fn missing_segments_and_tables_are_gaps() {
    let sound = store(160);
    let dir = log_dir(&sound, OLD, "left");
    let paths = segments(&sound, &dir);
    let base =
        |index: usize| SegmentFile::open(&host_of(&sound), &paths[index], OpenMode::Read).unwrap().header().base.0;
    let end = ranges_end(&sound).end;
    for (label, index) in [("oldest", 0), ("middle", 1), ("newest", paths.len() - 1)] {
        let disk = copy(&sound);
        disk.remove_file(&paths[index]).unwrap();
        let to = if index + 1 < paths.len() { base(index + 1) } else { end };
        check_repair(&disk, &sound, &[base(index)..to], label);
    }
    let disk = copy(&sound);
    for path in &paths {
        disk.remove_file(path).unwrap();
    }
    check_repair(&disk, &sound, &[0..end], "all segments");
    let disk = copy(&sound);
    remove_all(&disk, &Path::new(OLD).join("tables/left"));
    check_repair(&disk, &sound, &[0..end], "the directory");
    let info = Reader::open_on(&host_of(&disk), NEW).unwrap().tables().unwrap();
    assert_eq!(
        info.iter().map(|table| (table.name.as_str(), table.erasable)).collect::<Vec<_>>(),
        [("left", false), ("right", true)]
    );
}

/// Tables that a damaged journal does not name any more are found by their directories.
#[test]
fn a_damaged_journal_is_made_anew() {
    let sound = store(60);
    let journal = segments(&sound, &Path::new(OLD).join("journal")).pop().unwrap();
    let frames = frames(&sound, &journal);
    for (index, (bytes, _)) in frames.iter().enumerate() {
        let disk = copy(&sound);
        edit(&disk, &journal, |file| file[bytes.start + 66] ^= 1);
        let report = check_repair(&disk, &sound, &[], &format!("journal frame {index}"));
        assert_eq!(report.logs[0].losses.len(), 1, "frame {index}: {report:?}");
    }
    for gone in [false, true] {
        let disk = copy(&sound);
        if gone {
            remove_all(&disk, &Path::new(OLD).join("journal"));
        } else {
            edit(&disk, &journal, |file| file[20] ^= 1);
        }
        let report = check_repair(&disk, &sound, &[], "no journal");
        assert_eq!((report.logs[0].losses.len(), report.notes.len()), (1, 2), "{report:?}");
    }
    let disk = copy(&sound);
    remove_all(&disk, &Path::new(OLD).join("journal"));
    let codecs = [("left".to_owned(), "postcard".to_owned())].into();
    repair(OLD, &RepairOptions { codecs, ..options(&disk) }, &mut |_| {}).unwrap();
    let tables = Reader::open_on(&host_of(&disk), NEW).unwrap().tables().unwrap();
    assert_eq!(tables.iter().map(|table| table.codec.as_str()).collect::<Vec<_>>(), ["postcard", "raw"]);
}

/// The receipts of an earlier repair are evidence, and survive a later one.
#[test]
fn a_repaired_store_can_be_damaged_and_repaired_again() {
    let sound = store(60);
    let path = segments(&sound, &log_dir(&sound, OLD, "left"))[0].clone();
    let hit = frames(&sound, &path)[9].clone();
    let disk = copy(&sound);
    edit(&disk, &path, |bytes| bytes[hit.0.start] ^= 1);
    check_repair(&disk, &sound, &[hit.1.clone()], "first");
    let first = breaks(&disk, NEW, "left");
    let kept = rows(&disk, NEW, "left");

    let path = segments(&disk, &log_dir(&disk, NEW, "left"))[1].clone();
    let second = frames(&disk, &path)[3].clone();
    edit(&disk, &path, |bytes| bytes[second.0.start] ^= 1);
    let again = RepairOptions { into: Some("/newer".into()), who: "ben".into(), ..options(&disk) };
    let report = repair(NEW, &again, &mut |_| {}).unwrap();
    assert_eq!(ranges(&report, "left"), [second.1.clone()]);
    let both = breaks(&disk, "/newer", "left");
    assert_eq!((&both[0], both.len(), both[1].who.as_str()), (&first[0], 2, "ben"));
    assert_eq!(both[1].source, first[0].log, "one generation after the other");
    let expected: Vec<_> = kept.into_iter().filter(|(at, _)| !second.1.contains(at)).map(|(_, row)| row).collect();
    assert!(rows(&disk, "/newer", "left").into_iter().map(|(_, row)| row).eq(expected));
    let found = check(&disk, "/newer");
    assert_eq!((found.verdict(), found.gaps()), (Verdict::Repaired, 2), "{found:#?}");
}

/// Tampering is no damage, and what a later version wrote is not for this one to copy.
#[test]
fn what_is_not_damage_is_refused() {
    let sound = store(60);
    let path = segments(&sound, &log_dir(&sound, OLD, "left"))[0].clone();
    let disk = copy(&sound);
    edit(&disk, &path, |bytes| bytes[8] = 9);
    let error = repair(OLD, &options(&disk), &mut |_| {}).unwrap_err();
    assert!(error.is_newer() && !error.is_damage(), "{error:?}");
    let disk = copy(&sound);
    let (left, right) = (log_dir(&disk, OLD, "left"), log_dir(&disk, OLD, "right"));
    let (bytes, other) = (disk.read_file(&segments(&disk, &left)[0]).unwrap(), segments(&disk, &right)[0].clone());
    disk.write_file(&other, &bytes).unwrap();
    let error = repair(OLD, &options(&disk), &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Tampered { .. }), "{error:?}");
    assert!(disk.list(Path::new(NEW)).is_err());
}

/// A repair that is cut short anywhere leaves something that nobody takes for a store, or all of it.
#[test]
fn a_crash_anywhere_leaves_no_store_or_the_whole_one() {
    let sound = store(60);
    let watched = common::Watched::on(copy(&sound), 1);
    watched.watch_kills();
    let path = segments(&sound, &log_dir(&sound, OLD, "left"))[0].clone();
    edit(&watched.disk, &path, |bytes| bytes[2000] ^= 1);
    repair(OLD, &RepairOptions { host: watched.host(), ..options(&watched.disk) }, &mut |_| {}).unwrap();
    let mut counts = [0, 0];
    for (number, image) in watched.crashes().iter().chain(&watched.kills()).enumerate() {
        let host = host_of(image);
        let is_store = Reader::open_on(&host, NEW).is_ok();
        counts[usize::from(is_store)] += 1;
        if is_store {
            assert_eq!(check(image, NEW).verdict(), Verdict::Repaired, "image {number}");
            assert_eq!(rows(image, NEW, "right").len(), 60, "image {number}");
        } else {
            let before = files(image, "/");
            let error = Reader::open_on(&host, NEW).unwrap_err();
            assert!(error.is_not_a_store() || matches!(error, Error::NoSuchStore { .. }), "image {number}: {error:?}");
            let opened = Options::new().host(host.clone()).create(false).open(NEW);
            assert!(opened.is_err() && files(image, "/") == before, "image {number}");
            let error =
                repair(NEW, &RepairOptions { into: Some("/newer".into()), host, ..options(image) }, &mut |_| {});
            assert!(error.is_err(), "image {number}: an unfinished repair is no damaged store");
        }
    }
    assert!(counts[0] > 20 && counts[1] >= 1, "{counts:?}");
}

/// What was put below `tables` is not made a table by a repair of something else.
#[test]
fn a_log_that_a_whole_journal_does_not_name_is_not_taken_along() {
    let sound = store(60);
    let disk = copy(&sound);
    let path = segments(&disk, &log_dir(&disk, OLD, "left"))[0].clone();
    let hit = frames(&sound, &path)[4].clone();
    edit(&disk, &path, |bytes| bytes[hit.0.start] ^= 1);
    let other = MemVfs::new();
    let foreign = Options::new().host(host_of(&other)).name("shop").open(OLD).unwrap();
    // Ids are drawn from randomness that repeats, and the same ones are in the store.
    for name in ["one", "two", "three", "planted"] {
        table(&foreign, name).append(&payload(name, 1)).unwrap();
    }
    foreign.close().unwrap();
    let source = log_dir(&other, OLD, "planted");
    let planted = Path::new(OLD).join("tables/planted").join(source.file_name().unwrap());
    disk.create_dir(planted.parent().unwrap()).unwrap();
    disk.create_dir(&planted).unwrap();
    for path in segments(&other, &source) {
        disk.write_file(&planted.join(path.file_name().unwrap()), &other.read_file(&path).unwrap()).unwrap();
    }
    let report = check_repair(&disk, &sound, &[hit.1], "planted");
    let [note] = &report.notes[..] else { panic!("{:?}", report.notes) };
    assert!(note.contains("planted") && note.contains("not taken along"), "{note}");
    assert_eq!(Reader::open_on(&host_of(&disk), NEW).unwrap().tables().unwrap().len(), 2);
}

/// Harm of any sort anywhere: a repair gives rows of the old store in order and nothing else, the result is repaired, and
/// the old store is as it was.
#[test]
fn any_accident_can_be_repaired() {
    let sound = store(50);
    let kept: Vec<_> = ["left", "right"].map(|name| rows(&sound, OLD, name)).into();
    let paths: Vec<_> = files(&sound, OLD).into_iter().filter(|(path, _)| path.extension().is_some()).collect();
    let mut counts = BTreeMap::new();
    let mut harm = |label: String, change: &dyn Fn(&MemVfs)| {
        let disk = copy(&sound);
        change(&disk);
        let before = files(&disk, OLD);
        let verdict = check(&disk, OLD).verdict();
        let repaired = repair(OLD, &options(&disk), &mut |_| {});
        assert!(files(&disk, OLD) == before, "{label}: the old store changed");
        let report = match repaired {
            Ok(report) => report,
            Err(error) => {
                assert!(error.is_newer() && verdict == Verdict::Newer, "{label}, {verdict}: {error:?}");
                return;
            }
        };
        *counts.entry(verdict.to_string()).or_insert(0) += 1;
        assert_eq!(report.is_needed, verdict > Verdict::Repaired, "{label}");
        if !report.is_needed {
            return;
        }
        let found = check(&disk, NEW);
        assert_eq!(found.verdict(), Verdict::Repaired, "{label}: {found:#?}");
        let tables: Vec<_> = Reader::open_on(&host_of(&disk), NEW).unwrap().tables().unwrap();
        assert_eq!(tables.len(), 2, "{label}");
        for (table, kept) in tables.iter().zip(&kept) {
            let found = rows(&disk, NEW, &table.name);
            let mut rest = kept.iter();
            assert!(found.iter().all(|(_, row)| rest.any(|(_, other)| other == row)), "{label}: {}", table.name);
            assert!(found.len() == kept.len() || report.gaps() > 0, "{label}: lost in silence");
        }
    };
    for (path, bytes) in &paths {
        for at in (0..bytes.len()).step_by(101) {
            harm(format!("bit at {at} of {}", path.display()), &|disk| {
                edit(disk, path, |bytes| bytes[at] ^= 1 << (at % 8));
            });
        }
        for at in (0..bytes.len()).step_by(1536) {
            for block in [512, 4096] {
                harm(format!("{block} zeros at {at} of {}", path.display()), &|disk| {
                    edit(disk, path, |bytes| {
                        let end = (at + block).min(bytes.len());
                        bytes[at..end].fill(0);
                    });
                });
            }
            harm(format!("{} cut at {at}", path.display()), &|disk| edit(disk, path, |bytes| bytes.truncate(at)));
        }
        harm(format!("{} gone", path.display()), &|disk| disk.remove_file(path).unwrap());
        for (other, _) in &paths {
            harm(format!("a bit of {} and {}", path.display(), other.display()), &|disk| {
                edit(disk, path, |bytes| {
                    let at = 1800.min(bytes.len() - 1);
                    bytes[at] ^= 1;
                });
                edit(disk, other, |bytes| bytes[300] ^= 4);
            });
        }
    }
    assert!(counts["damaged"] > 300 && counts["missing"] >= 3, "{counts:?}");
}

/// Receipts that the store's key allowed are told from those that anybody can write, by whoever has the public key.
#[cfg(feature = "ed25519")]
#[test]
fn a_repair_that_the_key_allows_is_authorised_and_one_without_is_self_asserted() {
    use bulla::chain::NoteSigner;
    use bulla::{FileSigner, SharedSigner, VerifierKey};

    let keys = MemVfs::new();
    keys.create_dir(Path::new("/keys")).unwrap();
    let signer = |name: &str, seed: u8| {
        let path = format!("/keys/{name}");
        let secret = NoteSigner::from_seed("shop", &[seed; 32]).unwrap().to_secret_text();
        keys.write_file(Path::new(&path), secret.as_bytes()).unwrap();
        Box::new(FileSigner::open_on(&host_of(&keys), path).unwrap())
    };
    let public = |seed| NoteSigner::from_seed("shop", &[seed; 32]).unwrap().verifier();

    let disk = MemVfs::new();
    let options = Options::new().host(host_of(&disk)).name("shop").segment_bytes_max(8 << 10);
    let keyed = options.signer(signer("first", 1)).open(OLD).unwrap();
    let left = table(&keyed, "left");
    for number in 0..200 {
        left.append(&payload("left", number)).unwrap();
    }
    drop(left);
    keyed.close().unwrap();
    let segment = log_dir(&disk, OLD, "left").join("00000000000000000000.seg");
    edit(&disk, &segment, |bytes| bytes[4000] ^= 1);

    let repaired = |into: &str, signer: Option<SharedSigner>| {
        let options =
            RepairOptions { into: Some(into.into()), signer, host: host_of(&disk), ..RepairOptions::default() };
        repair(OLD, &options, &mut |_| {})
    };
    let receipts = |into: &str, key: VerifierKey| {
        let options = VerifyOptions { keys: vec![key], host: host_of(&disk), ..VerifyOptions::default() };
        let report = verify(into, &options, &mut |_| {}).unwrap();
        assert_eq!(report.verdict(), Verdict::Repaired, "{report:#?}");
        report.logs.iter().map(bulla::LogVerdict::receipt).collect::<Vec<_>>()
    };
    repaired("/allowed", Some(SharedSigner::new(signer("first", 1)))).unwrap();
    assert_eq!(receipts("/allowed", public(1)), ["none", "authorised"]);
    assert_eq!(receipts("/allowed", public(2)), ["none", "self-asserted"], "of another key");
    repaired("/asserted", None).unwrap();
    assert_eq!(receipts("/asserted", public(1)), ["none", "self-asserted"]);
    let refused = repaired("/other", Some(SharedSigner::new(signer("second", 2)))).unwrap_err();
    assert!(matches!(refused, Error::OtherKey { .. }), "{refused}");
    assert!(disk.list(Path::new("/other")).is_err(), "nothing was written");

    // Whoever writes the directory can append a row, and cannot sign it: the receipt of one log excuses no other.
    let reader = Reader::open_on(&host_of(&disk), "/allowed").unwrap();
    assert_eq!(reader.key().unwrap(), None, "the old key's journal is another history");
}
