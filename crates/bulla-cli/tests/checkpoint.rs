//! `checkpoint`, `init --key`, `key rotate` and what the verbs that write say about keys.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use bulla::chain::{ShownCheckpoint, VerifierKey};
use std::fs;
use std::path::PathBuf;
use support::{Ran, bulla, bulla_with, command, ran};

struct Keyed {
    temporary: tempfile::TempDir,
}

impl Keyed {
    /// A store with a key, and a line in it.
    fn new() -> Self {
        let keyed = Self { temporary: tempfile::tempdir().unwrap() };
        keyed.key("key");
        bulla(&["init", &keyed.path("store"), "--key", &keyed.path("key")]).expect(0);
        keyed.ingest("one\n", &[]).expect(0);
        keyed
    }

    fn path(&self, name: &str) -> String {
        self.temporary.path().join(name).into_os_string().into_string().unwrap()
    }

    fn key(&self, name: &str) -> VerifierKey {
        let made = bulla(&["key", "new", &self.path(name), "--name", "acme"]).expect(0);
        made.text().trim_end().parse().unwrap()
    }

    fn public(&self, name: &str) -> VerifierKey {
        fs::read_to_string(self.path(name) + ".pub").unwrap().trim_end().parse().unwrap()
    }

    fn ingest(&self, lines: &str, more: &[&str]) -> Ran {
        let store = self.path("store");
        let arguments = [&["ingest", &store, "--table", "logins", "--format", "text"], more].concat();
        bulla_with(&arguments, lines.as_bytes())
    }

    fn checkpoint(&self, more: &[&str]) -> Ran {
        bulla(&[&["checkpoint", &self.path("store"), "logins"], more].concat())
    }
}

fn shown(ran: &Ran) -> ShownCheckpoint {
    ShownCheckpoint::parse(&ran.out).unwrap()
}

fn is_by(shown: &ShownCheckpoint, key: &VerifierKey) -> bool {
    shown.note().is_some_and(|note| note.verify(std::slice::from_ref(key)).is_ok())
}

#[test]
fn a_store_with_a_key_prints_notes_that_its_public_key_checks() {
    let keyed = Keyed::new();
    let made = keyed.checkpoint(&[]).expect(0);
    let note = shown(&made);
    assert!(is_by(&note, &keyed.public("key")));
    assert_eq!(note.head().size, 2);
    // The key names the store.
    assert!(note.checkpoint().origin().starts_with("acme/logins/"), "{}", note.checkpoint().origin());
    // The same head, the same note; and beside a writer, or from a copy, nothing is recorded.
    assert_eq!(keyed.checkpoint(&[]).expect(0).out, made.out);
    assert_eq!(keyed.checkpoint(&["--print"]).expect(0).out, made.out);
    let journal = shown(&bulla(&["checkpoint", &keyed.path("store"), "journal"]).expect(0));
    assert_eq!(journal.checkpoint().origin(), "acme/journal");
    // The manual allows it of the journal, and it was refused as a table of a forbidden name.
    assert_eq!(shown(&bulla(&["checkpoint", &keyed.path("store"), "journal", "--print"]).expect(0)), journal);

    let stat = bulla(&["stat", &keyed.path("store"), "--json"]).expect(0).json();
    assert_eq!(stat["tables"][0]["last_checkpoint"], serde_json::json!({ "size": 2, "signed": true }));
    assert!(bulla(&["stat", &keyed.path("store")]).expect(0).text().contains("size 2, signed"));
}

/// The writer that runs holds the lock, so nothing is recorded, and what is not durable is not shown.
#[test]
fn print_shows_an_unsigned_head_beside_a_live_writer() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("store");
    let store = bulla::Store::open(&dir).unwrap();
    let table = store.table::<String>("logins").unwrap();
    table.append(&"one".to_owned()).unwrap();
    let path = dir.to_str().unwrap();
    bulla(&["checkpoint", path, "logins"]).expect(3);
    let ran = bulla(&["checkpoint", path, "logins", "--print"]).expect(0);
    assert_eq!((shown(&ran).head(), shown(&ran).note()), (table.head().unwrap(), None));
    bulla(&["checkpoint", path, "none", "--print"]).expect(3);
    drop(table);
    store.close().unwrap();
    let noted = bulla(&["checkpoint", path, "logins"]).expect(0);
    assert_eq!(noted.out, ran.out);
    let stat = bulla(&["stat", path, "--json"]).expect(0).json();
    assert_eq!(stat["tables"][0]["last_checkpoint"], serde_json::json!({ "size": 2, "signed": false }));
}

#[test]
fn a_key_that_is_not_there_is_an_io_failure_and_never_an_unsigned_note() {
    let keyed = Keyed::new();
    let other = keyed.path("other");
    bulla(&["init", &other, "--key", &keyed.path("nowhere")]).expect(5);
    assert!(!PathBuf::from(&other).exists());
    fs::rename(keyed.path("key"), keyed.path("moved")).unwrap();
    fs::rename(keyed.path("key") + ".state", keyed.path("moved") + ".state").unwrap();
    assert!(keyed.checkpoint(&[]).expect(5).err.contains("key"));
    let refused = keyed.ingest("two\n", &[]).expect(5);
    assert_eq!(refused.acknowledged(), None);
    // Named by an option, or by the environment.
    keyed.ingest("two\n", &["--key", &keyed.path("moved")]).expect(0);
    let mut with_variable = command(&["checkpoint", &keyed.path("store"), "logins"]);
    with_variable.env("BULLA_KEY", keyed.path("moved"));
    let note = shown(&ran(with_variable).expect(0));
    assert_eq!(note.head().size, 3);
    // Another key is not the store's, and a file that is none is bad input.
    keyed.key("foreign");
    assert!(keyed.checkpoint(&["--key", &keyed.path("foreign")]).expect(8).err.contains("signs with the key"));
    assert!(keyed.checkpoint(&["--key", &keyed.path("foreign.pub")]).expect(8).err.contains("foreign.pub"));
}

/// An older copy of the store, put back while the signer's memory stayed what it was.
#[test]
fn a_store_that_was_put_back_gets_no_signature_and_no_line() {
    let keyed = Keyed::new();
    let copy = |from: &str, to: &str| {
        let done = std::process::Command::new("cp").args(["-a", &keyed.path(from), &keyed.path(to)]).status().unwrap();
        assert!(done.success());
    };
    copy("store", "backup");
    keyed.ingest("two\n", &[]).expect(0);
    fs::remove_dir_all(keyed.path("store")).unwrap();
    copy("backup", "store");
    let refused = keyed.ingest("three\n", &[]).expect(1);
    assert!(refused.err.contains("held"), "{}", refused.err);
    assert_eq!(refused.acknowledged(), None);
    keyed.checkpoint(&[]).expect(1);
}

#[test]
fn a_key_is_rotated_with_the_one_before() {
    let keyed = Keyed::new();
    let (store, new) = (keyed.path("store"), keyed.path("new"));
    let verifier = keyed.key("new");
    let rotated = bulla(&["key", "rotate", &store, "--key", &new]).expect(0);
    assert_eq!(rotated.text().trim_end(), verifier.to_string());
    // The new one is found by itself, and the old one is none of the store's any more.
    keyed.ingest("two\n", &[]).expect(0);
    assert!(is_by(&shown(&keyed.checkpoint(&[]).expect(0)), &verifier));
    keyed.checkpoint(&["--key", &keyed.path("key")]).expect(8);
    keyed.key("third");
    let third = keyed.path("third");
    bulla(&["key", "rotate", &store, "--key", &third, "--old", &keyed.path("key")]).expect(8);
    bulla(&["key", "rotate", &store, "--key", &third, "--old", &new]).expect(0);
    bulla(&["verify", &store]).expect(0);
}

/// A key that others can read signs, and whoever uses it is told.
#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let keyed = Keyed::new();
    assert_eq!(keyed.checkpoint(&[]).expect(0).err, "");
    fs::set_permissions(keyed.path("key"), fs::Permissions::from_mode(0o640)).unwrap();
    keyed.ingest("two\n", &[]).expect(0);
    let err = keyed.checkpoint(&[]).expect(0).err;
    assert!(err.contains("can be read by others"), "{err}");
}

/// A key vouches for the store it names, so a store whose key cannot be its name would never be signed.
#[test]
fn a_key_that_cannot_name_a_store_makes_none() {
    let keyed = Keyed::new();
    bulla(&["key", "new", &keyed.path("odd"), "--name", "Acme Ltd."]).expect(2);
    bulla(&["key", "new", &keyed.path("odd"), "--name", "ACME"]).expect(0);
    let ran = bulla(&["init", &keyed.path("other"), "--key", &keyed.path("odd")]).expect(8);
    assert!(ran.err.contains("cannot name a store"), "{}", ran.err);
    assert!(!std::path::Path::new(&keyed.path("other")).exists());
}
