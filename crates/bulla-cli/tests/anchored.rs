//! A store with a key, anchored: handed to a witness and to a file elsewhere, and verified against what they hold.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;
#[path = "../../bulla/tests/anchoring/witness.rs"]
mod witness;

use std::fs;
use std::path::{Path, PathBuf};
use support::{Ran, bulla, copy};
use tempfile::TempDir;
use witness::{Witness, serve, witness_key};

/// What the owner of a store has, key and its memory included, so that the key signs whatever he puts back.
struct Owned {
    dir: TempDir,
}

impl Owned {
    fn new() -> Self {
        let owned = Self { dir: TempDir::new().unwrap() };
        fs::create_dir(owned.dir.path().join("own")).unwrap();
        bulla(&["key", "new", &owned.file("own/key"), "--name", "shop"]).expect(0);
        bulla(&["init", &owned.file("own/store"), "--key", &owned.file("own/key")]).expect(0);
        owned
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn ingest(&self, lines: &str) {
        fs::write(self.path("lines"), lines).unwrap();
        let store = self.file("own/store");
        bulla(&["ingest", &store, "--table", "t", "--format", "text", &self.file("lines")]).expect(0);
    }

    fn run(&self, verb: &str, more: &[&str]) -> Ran {
        bulla(&[&[verb, &self.file("own/store")], more].concat())
    }

    /// Serves a witness that knows the key; where it is asked.
    fn witness(&self) -> String {
        let mut witness =
            Witness::of(fs::read_to_string(self.path("own/key.pub")).unwrap().trim_end().parse().unwrap());
        serve(move |body| witness.answer(body))
    }

    /// What is noted of table `t`.
    fn noted(&self) -> String {
        let log = support::list(&self.path("own/store/tables/t")).remove(0);
        fs::read_to_string(log.join("checkpoints")).unwrap()
    }

    fn replace(&self, with: &str) {
        fs::remove_dir_all(self.path("own")).unwrap();
        copy(&self.path(with), &self.path("own"));
    }
}

fn of_table(ran: &Ran) -> serde_json::Value {
    let report = ran.json();
    let is_table = |log: &&serde_json::Value| log["origin"].as_str().is_some_and(|origin| origin.contains("/t/"));
    report["logs"].as_array().unwrap().iter().find(is_table).unwrap().clone()
}

/// The first checkpoint, then one with a proof made from the log's files; then the store is put back, key and all, and
/// goes on differently: the one history that the witness knows is not this one.
#[test]
fn a_witness_follows_a_store_and_refuses_its_other_history() {
    let owned = Owned::new();
    owned.ingest("one\ntwo\n");
    let (url, key) = (owned.witness(), witness_key().cosigner().to_string());
    let demand = ["--witness", &key, "--require", "anchored"];
    let anchor = ["--witness", &url, "--witness-key", &key, "--json"];
    owned.run("verify", &demand).expect(6);
    let first = of_table(&owned.run("anchor", &anchor).expect(0));
    assert_eq!((&first["due"], &first["confirmed"]), (&false.into(), &first["noted"]));
    owned.run("verify", &demand).expect(0);
    copy(&owned.path("own"), &owned.path("older"));

    owned.ingest("three\nfour\nfive\n");
    let short = owned.run("verify", &demand).expect(6).text();
    assert!(short.contains("of log t are not anchored"), "{short}");
    let second = of_table(&owned.run("anchor", &anchor).expect(0));
    assert!(second["confirmed"].as_u64() > first["confirmed"].as_u64(), "{first} {second}");
    let noted = owned.noted();
    let lines = noted.lines().filter(|line| line.starts_with("\u{2014} witness.example ")).count();
    assert_eq!(lines, 2, "{noted}");
    let report = of_table(&owned.run("verify", &[&demand[..], &["--json"]].concat()).expect(0));
    assert_eq!(report["anchored_through"], report["size"]);

    owned.replace("older");
    // Longer than what the witness has, so that only the proof can tell.
    owned.ingest("other three\nother four\nother five\nother six\n");
    let refused = owned.run("anchor", &anchor).expect(6);
    let refused = of_table(&refused);
    assert_eq!((&refused["due"], &refused["confirmed"]), (&true.into(), &first["confirmed"]));
    let reason = refused["error"].as_str().unwrap();
    assert!(reason.contains("another history") && reason.contains("422"), "{reason}");
    let noted = owned.noted();
    assert_eq!(noted.lines().filter(|line| line.starts_with("\u{2014} witness.example ")).count(), 1, "{noted}");
    owned.run("verify", &demand).expect(6);
}

/// The file that `anchor --file` appends to is what `verify --checkpoint` takes: every log's checkpoints, many of each.
#[test]
fn a_file_elsewhere_tells_a_store_put_back() {
    let owned = Owned::new();
    owned.ingest("one\ntwo\n");
    let elsewhere = owned.file("elsewhere");
    owned.run("anchor", &["--file", &elsewhere]).expect(0);
    copy(&owned.path("own"), &owned.path("older"));
    owned.ingest("three\n");
    owned.run("anchor", &["--file", &elsewhere]).expect(0);
    let entries = fs::read_to_string(&elsewhere).unwrap().matches("\ncrc32 ").count();
    assert!(entries >= 4, "two of the journal and two of the table: {entries}");
    let held = ["--checkpoint", &elsewhere, "--require", "anchored", "--json"];
    let report = of_table(&owned.run("verify", &held).expect(0));
    assert_eq!((report["trust"].as_str(), &report["anchored_through"]), (Some("anchored"), &report["size"]));
    owned.run("verify", &["--since", &elsewhere]).expect(0);

    owned.replace("older");
    owned.run("verify", &[]).expect(0);
    assert_eq!(owned.run("verify", &held).expect(1).json()["verdict"], "missing");
    owned.run("verify", &["--since", &elsewhere]).expect(1);

    // Going on differently is no remedy.
    owned.ingest("other three\nother four\n");
    assert_eq!(owned.run("verify", &held).expect(1).json()["verdict"], "tampered");
}

/// Evidence that is not whole is not passed over: what it would have said is not known.
#[test]
fn a_file_elsewhere_with_a_bad_entry_is_bad_input_and_a_torn_end_is_not() {
    let owned = Owned::new();
    owned.ingest("one\n");
    let elsewhere = owned.file("elsewhere");
    owned.run("anchor", &["--file", &elsewhere]).expect(0);
    let whole = fs::read(&elsewhere).unwrap();
    let write = |bytes: &[u8]| fs::write(Path::new(&elsewhere), bytes).unwrap();
    write(&[&whole[..], b"shop/t/0707"].concat());
    owned.run("verify", &["--checkpoint", &elsewhere]).expect(0);
    let mut flipped = whole.clone();
    flipped[0] ^= 1;
    write(&flipped);
    let ran = owned.run("verify", &["--checkpoint", &elsewhere]).expect(8);
    assert!(ran.err.contains("offset 0") && ran.err.contains("--checkpoint"), "{}", ran.err);
}
