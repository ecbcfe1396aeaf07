//! `bulla repair`, and what the other verbs say of a repaired store.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::format_collect, reason = "short inputs, plainly written")]

mod support;

use std::fs;
use support::{TestStore, bulla, contents};

/// A store whose table `t` lost a few lines in the middle of a sealed segment.
fn damaged() -> (TestStore, Vec<u8>) {
    let store = TestStore::with(&["--segment-bytes", "16384"]);
    let lines: String = (0..1000).map(|number| format!("line {number:06} {}\n", "q".repeat(80))).collect();
    for piece in lines.as_bytes().chunks(lines.len() / 4) {
        store.ingest_text("t", piece).expect(0);
    }
    store.ingest_text("whole", b"one\ntwo\n").expect(0);
    let path = &store.segments("t")[1];
    let mut bytes = fs::read(path).unwrap();
    bytes[6000] ^= 0x10;
    fs::write(path, bytes).unwrap();
    (store, lines.into_bytes())
}

#[test]
fn a_damaged_store_is_repaired_elsewhere_and_says_so_for_ever() {
    let (store, lines) = damaged();
    let before = contents(&store.dir);
    let into = store.temporary.path().join("repaired");
    let into = into.to_str().unwrap();
    for arguments in [&[][..], &["--dry-run"], &["--dry-run", "--into", into]] {
        let ran = store.run("repair", arguments).expect(4);
        assert!(ran.text().contains("would be repaired, 1 gap"), "{}", ran.text());
    }
    assert!(fs::metadata(into).is_err());
    let ran = store.run("repair", &["--into", into, "--by", "ana", "--reason", "disk\u{1b}", "--json"]).expect(0);
    assert!(contents(&store.dir) == before, "the damaged store is as it was");
    let report = ran.json();
    assert_eq!((report["needed"].as_bool(), report["into"].as_str()), (Some(true), Some(into)), "{report:#}");
    let logs = report["logs"].as_array().unwrap();
    let names: Vec<_> = logs.iter().map(|log| log["log"].as_str().unwrap()).collect();
    assert_eq!(names, ["journal", "t", "whole"]);
    let lost = &logs[1]["lost"][0];
    let (from, to) = (lost["from"].as_u64().unwrap(), lost["to"].as_u64().unwrap());
    let gap = store.run("cat", &["t", "--format", "ndjson"]).expect(4).ndjson();
    let gap = gap.iter().find_map(|row| row.get("gap")).unwrap().clone();
    assert_eq!((gap["from"].as_u64(), gap["to"].as_u64()), (Some(from), Some(to)));

    let kept = store.run("cat", &["t", "--format", "raw"]).expect(4).out;
    assert!(bulla(&["cat", into, "t", "--format", "raw"]).expect(0).out == kept && kept.len() < lines.len());
    assert_eq!(bulla(&["cat", into, "whole", "--format", "raw"]).expect(0).out, b"one\ntwo\n");
    bulla(&["stat", into]).expect(0);

    for _ in 0..2 {
        let text = bulla(&["verify", into]).expect(0).text();
        assert!(text.contains("repaired, 1 gap, trust structure"), "{text}");
        assert!(text.contains(&format!("lost positions {from}..{to}")) && text.contains("repaired by ana"), "{text}");
        assert!(text.contains("disk\\u{1b}") && !text.contains('\u{1b}'), "{text}");
        let ran = bulla(&["verify", into, "--json", "--require", "complete"]).expect(6);
        let report = ran.json();
        assert_eq!(report["verdict"], "repaired");
        let receipts: Vec<_> = report["logs"].as_array().unwrap().iter().map(|log| log["receipt"].clone()).collect();
        assert_eq!(receipts, ["none", "self-asserted", "none"]);
        assert!(report["logs"][1]["first_bad"].is_null(), "{report:#}");
        bulla(&["verify", into, "--require", "structure"]).expect(0);
        // Nothing that is written later covers it up.
        support::bulla_with(&["ingest", into, "--table", "t", "--format", "text"], &lines).expect(0);
    }
    let records = bulla(&["cat", into, "t", "--all", "--format", "ndjson"]).expect(0).ndjson();
    assert_eq!(records.iter().filter(|record| record["kind"] == 134).count(), 1);
    bulla(&["verify", store.path(), "--require", "complete"]).expect(4);
}

/// Only the text of the two paths was compared, so that a path with dots or a link in it led a repair to write its new
/// store into the damaged one.
#[test]
fn no_path_leads_a_repair_into_the_store_it_reads() {
    let (store, _) = damaged();
    let before = contents(&store.dir);
    let beside = store.temporary.path().join("beside");
    fs::create_dir(&beside).unwrap();
    let name = store.dir.file_name().unwrap();
    let mut ways = vec![
        beside.join("..").join(name).join("new"),
        store.temporary.path().join("missing").join("..").join(name).join("new"),
    ];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&store.dir, beside.join("link")).unwrap();
        ways.push(beside.join("link/new"));
        ways.push(beside.join("link/a/b"));
    }
    for into in ways {
        store.run("repair", &["--into", into.to_str().unwrap()]).expect(8);
        assert!(contents(&store.dir) == before, "{} led into the damaged store", into.display());
    }
    store.run("repair", &["--into", beside.join("../new").to_str().unwrap()]).expect(0);
}

#[test]
fn what_needs_no_repair_or_may_not_be_repaired_is_refused() {
    let store = TestStore::new();
    store.ingest_text("t", b"one\n").expect(0);
    let into = store.temporary.path().join("new");
    let into = into.to_str().unwrap();
    assert_eq!(store.run("repair", &[]).expect(0).text().trim(), "nothing to repair");
    store.run("repair", &["--into", into]).expect(7);
    assert!(fs::metadata(into).is_err());
    bulla(&["repair", "/nowhere/at/all"]).expect(3);
    store.run("repair", &["--codec", "t"]).expect(2);
    for (demand, exit) in [("signed", 6), ("anchored", 6), ("nonsense", 2)] {
        store.run("verify", &["--require", demand]).expect(exit);
    }
    let (damaged, _) = damaged();
    let full = damaged.temporary.path().to_str().unwrap();
    assert!(damaged.run("repair", &["--into", full]).expect(8).err.contains("empty directory"));
    damaged.run("repair", &["--into", &format!("{}/sub", damaged.path())]).expect(8);
    let mut bytes = fs::read(&damaged.segments("t")[0]).unwrap();
    bytes[8] = 9;
    fs::write(&damaged.segments("t")[0], bytes).unwrap();
    damaged.run("repair", &["--into", into]).expect(3);
    assert!(fs::metadata(into).is_err());
}

/// A journal that is lost names no table; their directories do.
#[test]
fn a_store_without_its_journal_is_repaired() {
    let store = TestStore::new();
    store.ingest_text("t", b"one\ntwo\n").expect(0);
    fs::remove_dir_all(store.dir.join("journal")).unwrap();
    let into = store.temporary.path().join("new");
    let into = into.to_str().unwrap();
    let ran = store.run("repair", &["--into", into]).expect(0);
    assert!(ran.text().contains("rows are taken for raw"), "{}", ran.text());
    assert_eq!(bulla(&["cat", into, "t", "--format", "raw"]).expect(0).out, b"one\ntwo\n");
    support::bulla_with(&["ingest", into, "--table", "t", "--format", "text"], b"three\n").expect(0);
    bulla(&["verify", into]).expect(0);
    bulla(&["verify", into, "--require", "complete"]).expect(6);
}
