//! What only a head tells: older states put back, ends cut or rewritten with the witness beside them destroyed, and a
//! whole store made anew. The journal holds each table's head; what is to tell of the journal must be held elsewhere.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

use bulla::vfs::{SeededRandom, Vfs};
use bulla::{
    Finding, Host, ManualClock, MemVfs, Options, Raw, Reader, Table, TableOptions, TreeHead, Verdict, VerifyOptions,
    VerifyReport, verify,
};
use bulla_testkit::Edited;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const STORE: &str = "/shop";

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A disk and a host whose randomness is always the same, as somebody has it who copies ids and secrets.
fn host(disk: &MemVfs) -> Host {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
    Host::new(Arc::new(disk.clone()), clock, Arc::new(SeededRandom::new(5)))
}

/// Appends these payments, and closes; gives the head.
fn append(disk: &MemVfs, payments: &[&str]) -> TreeHead {
    let store = Options::new().host(host(disk)).open(STORE).unwrap();
    let table: Table<Vec<u8>, Raw> = store.table_with("payments", &TableOptions::new()).unwrap();
    for payment in payments {
        table.append(&payment.as_bytes().to_vec()).unwrap();
    }
    let head = table.view().head().unwrap();
    drop(table);
    store.close().unwrap();
    head
}

fn files(disk: &MemVfs, dir: &Path) -> Files {
    let mut files = Files::new();
    for entry in disk.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            files.extend(self::files(disk, &path));
        } else {
            files.insert(path.clone(), disk.read_file(&path).unwrap());
        }
    }
    files
}

/// Puts the files below `dir` back to what they were.
fn put_back(disk: &MemVfs, dir: &Path, then: &Files) {
    for path in files(disk, dir).into_keys() {
        disk.remove_file(&path).unwrap();
    }
    for (path, bytes) in then.iter().filter(|(path, _)| path.starts_with(dir)) {
        disk.write_file(path, bytes).unwrap();
    }
}

fn check(disk: &MemVfs) -> VerifyReport {
    verify(STORE, &VerifyOptions { host: host(disk), ..VerifyOptions::default() }, &mut |_| {}).unwrap()
}

fn bad(report: &VerifyReport) -> Vec<(&str, Verdict, Option<u64>)> {
    let bad = |finding: &&Finding| finding.verdict != Verdict::Intact;
    let logs = report.logs.iter();
    logs.flat_map(|log| log.findings.iter().filter(bad).map(|finding| (&*log.log, finding)))
        .map(|(log, finding)| (log, finding.verdict, finding.position.map(|position| position.0)))
        .collect()
}

fn contains(disk: &MemVfs, head: &TreeHead) -> bool {
    let reader = Reader::open_on(&host(disk), STORE).unwrap();
    reader.raw("payments").unwrap().contains_head(head).unwrap()
}

#[test]
fn a_table_put_back_alone_is_missed_by_the_journal() {
    let disk = MemVfs::new();
    append(&disk, &["ana 10", "bo 20"]);
    let then = files(&disk, Path::new(STORE));
    append(&disk, &["ana 11"]);
    assert_eq!(check(&disk).verdict(), Verdict::Intact);
    put_back(&disk, &Path::new(STORE).join("tables"), &then);
    // Genesis and two payments are there; the third one is not.
    assert_eq!(bad(&check(&disk)), [("payments", Verdict::Missing, Some(3))]);
    let store = Options::new().host(host(&disk)).open(STORE).unwrap();
    assert!(store.raw_view("payments").unwrap_err().is_damage(), "a writer would go on behind an old end");
}

/// Nothing inside the directory can tell; a head kept elsewhere can.
#[test]
fn a_whole_store_put_back_is_told_by_a_head_held_elsewhere() {
    let disk = MemVfs::new();
    let old = append(&disk, &["ana 10", "bo 20"]);
    let then = files(&disk, Path::new(STORE));
    let held = append(&disk, &["ana 11"]);
    assert!(contains(&disk, &old) && contains(&disk, &held));
    put_back(&disk, Path::new(STORE), &then);
    assert_eq!(check(&disk).verdict(), Verdict::Intact);
    assert!(contains(&disk, &old) && !contains(&disk, &held));
}

#[test]
fn records_changed_behind_a_destroyed_close_frame_contradict_the_journal() {
    let disk = MemVfs::new();
    append(&disk, &["ana 10", "bo 20"]);
    let tables = files(&disk, &Path::new(STORE).join("tables"));
    let (path, bytes) = tables.first_key_value().unwrap();
    let mut edited = Edited::parse(bytes);
    edited.replace(1, b"ana 10", b"ana 90");
    // Without index and close frame it is a log that was not closed.
    edited.frames.truncate(edited.frames.len() - 2);
    disk.write_file(path, &edited.bytes()).unwrap();
    // The journal's head, and the noted checkpoint.
    assert_eq!(bad(&check(&disk)), [("payments", Verdict::Tampered, Some(3)); 2]);
    // Without what was noted, and without what the journal learned at closing, nothing tells.
    for dir in [path.parent().unwrap(), &Path::new(STORE).join("journal")] {
        disk.remove_file(&dir.join("checkpoints")).unwrap();
    }
    assert_eq!(bad(&check(&disk)), [("payments", Verdict::Tampered, Some(3))]);
    let journal = Path::new(STORE).join("journal/00000000000000000000.seg");
    let mut edited = Edited::parse(&disk.read_file(&journal).unwrap());
    edited.frames.truncate(edited.frames.len() - 3);
    disk.write_file(&journal, &edited.bytes()).unwrap();
    assert_eq!(check(&disk).verdict(), Verdict::Intact);
}

/// The owner of the directory writes another history, with the ids and secrets of the first.
#[test]
fn a_rebuilt_store_is_intact_and_does_not_hold_the_head_of_the_first() {
    let (first, rebuilt) = (MemVfs::new(), MemVfs::new());
    let held = append(&first, &["ana 10", "bo 20", "ana 11"]);
    let forged = append(&rebuilt, &["ana 90", "bo 20", "ana 11"]);
    assert_eq!(files(&first, Path::new(STORE)).into_keys().collect::<Vec<_>>(), {
        files(&rebuilt, Path::new(STORE)).into_keys().collect::<Vec<_>>()
    });
    assert_eq!((check(&rebuilt).verdict(), forged.size), (Verdict::Intact, held.size));
    assert!(contains(&first, &held) && contains(&rebuilt, &forged));
    assert!(!contains(&rebuilt, &held) && !contains(&first, &forged));
}
