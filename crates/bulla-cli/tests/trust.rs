//! `verify` with keys, checkpoints and demands: what a store is worth to whoever holds something of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use support::{Ran, bulla, copy};
use tempfile::TempDir;

/// A store with a key, a table `t`, and what somebody keeps elsewhere.
struct Kept {
    dir: TempDir,
}

impl Kept {
    fn new() -> Self {
        let kept = Self { dir: TempDir::new().unwrap() };
        bulla(&["key", "new", &kept.file("key"), "--name", "shop"]).expect(0);
        bulla(&["init", &kept.store(), "--key", &kept.file("key")]).expect(0);
        kept.ingest("one\ntwo\n");
        kept
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn store(&self) -> String {
        self.file("shop")
    }

    fn ingest(&self, lines: &str) {
        fs::write(self.path("lines"), lines).unwrap();
        bulla(&["ingest", &self.store(), "--table", "t", "--format", "text", &self.file("lines")]).expect(0);
    }

    /// Keeps a checkpoint of `t` elsewhere.
    fn keep(&self, name: &str) -> String {
        let ran = bulla(&["checkpoint", &self.store(), "t"]).expect(0);
        fs::write(self.path(name), ran.out).unwrap();
        self.file(name)
    }

    fn verify(&self, more: &[&str]) -> Ran {
        bulla(&[&["verify", &self.store()], more].concat())
    }
}

#[test]
fn what_is_demanded_decides_between_0_and_6() {
    let kept = Kept::new();
    let key = kept.file("key.pub");
    let held = kept.keep("held");
    assert!(kept.verify(&[]).expect(0).text().contains("No checkpoint kept elsewhere was compared"));
    let short = kept.verify(&["--require", "signed"]).expect(6).text();
    assert!(short.contains("of log t are not signed"), "{short}");
    let report = kept.verify(&["--key", &key, "--require", "signed", "--json"]).expect(0).json();
    assert_eq!((report["verdict"].as_str(), report["trust"].as_str()), (Some("intact"), Some("signed")));
    let logs = report["logs"].as_array().unwrap();
    assert!(logs.iter().all(|log| log["signed_through"] == log["size"] && log["anchored_through"].is_null()));
    kept.verify(&["--key", &key, "--require", "anchored"]).expect(6);

    let report = kept.verify(&["--checkpoint", &held, "--json"]).expect(0).json();
    let table = report["logs"].as_array().unwrap().iter().find(|log| log["log"] == "t").unwrap().clone();
    assert_eq!((&table["trust"], &table["anchored_through"]), (&"anchored".into(), &table["size"]));
    assert!(!kept.verify(&["--checkpoint", &held]).expect(0).text().contains("No checkpoint kept elsewhere"));
    let report = kept.verify(&["--since", &held, "--json"]).expect(0).json();
    assert_eq!(report["verdict"], "intact");
}

#[test]
fn a_store_put_back_is_told_by_what_was_kept() {
    let kept = Kept::new();
    copy(&kept.path("shop"), &kept.path("older"));
    kept.ingest("three\n");
    let held = kept.keep("held");
    fs::remove_dir_all(kept.path("shop")).unwrap();
    copy(&kept.path("older"), &kept.path("shop"));
    let report = kept.verify(&["--key", &kept.file("key.pub"), "--require", "signed", "--json"]).expect(0).json();
    assert_eq!(report["trust"], "signed");
    let report = kept.verify(&["--checkpoint", &held, "--json"]).expect(1).json();
    assert_eq!(report["verdict"], "missing");
}

/// `anchor --file` writes a file of entries, and `verify --checkpoint` read it as one checkpoint: without a key it took the
/// oldest for all there was, with the others as further lines of it, so that a store put back to that state was anchored
/// to its head and exit code 0; and with a key nothing of the file was taken at all.
#[test]
fn all_of_an_anchor_file_is_held_against_the_store() {
    let kept = Kept::new();
    let unsigned = kept.file("unsigned");
    bulla(&["init", &unsigned]).expect(0);
    for store in [kept.store(), unsigned] {
        let anchor = format!("{store}.anchor");
        let older = format!("{store}.older");
        let add = |lines: &str| {
            fs::write(kept.path("lines"), lines).unwrap();
            bulla(&["ingest", &store, "--table", "t", "--format", "text", &kept.file("lines")]).expect(0);
            bulla(&["anchor", &store, "t", "--file", &anchor]).expect(0);
        };
        add("three\n");
        copy(Path::new(&store), Path::new(&older));
        add("four\n");
        for (dir, option, exit) in
            [(&store, "--checkpoint", 0), (&store, "--since", 0), (&older, "--checkpoint", 1), (&older, "--since", 1)]
        {
            let ran = bulla(&["verify", dir, "t", option, &anchor, "--json"]).expect(exit);
            assert_eq!(ran.json()["verdict"], if exit == 0 { "intact" } else { "missing" }, "{dir} {option}");
            assert_eq!(ran.err, "", "{dir} {option}");
        }
        // What nobody can read any more at the end is told, and the others count.
        let mut bytes = fs::read(&anchor).unwrap();
        let last = bytes.len() - 1;
        bytes[last] = b'x';
        fs::write(&anchor, bytes).unwrap();
        let ran = bulla(&["verify", &store, "--checkpoint", &anchor]).expect(0);
        assert!(ran.err.contains("no whole checkpoint"), "{}", ran.err);
    }
}

#[test]
fn what_is_no_key_or_checkpoint_is_bad_input() {
    let kept = Kept::new();
    fs::write(kept.path("noise"), "noise\n").unwrap();
    let noise = kept.file("noise");
    for option in ["--key", "--witness", "--checkpoint", "--since"] {
        let ran = kept.verify(&[option, &noise]).expect(8);
        assert!(ran.err.contains(option), "{option}");
        kept.verify(&[option, "/nowhere/at/all"]).expect(5);
    }
    // Signed by somebody else in the name of the key.
    let held = fs::read_to_string(kept.keep("held")).unwrap();
    let forged: Vec<_> = held.lines().collect();
    let size = forged[1].parse::<u64>().unwrap() + 1;
    fs::write(kept.path("forged"), held.replacen(forged[1], &size.to_string(), 1)).unwrap();
    kept.verify(&["--key", &kept.file("key.pub"), "--checkpoint", &kept.file("forged")]).expect(8);
}
