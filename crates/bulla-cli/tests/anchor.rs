//! `bulla anchor`, and what `stat` says of it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use bulla::TreeHead;
use bulla::chain::{Checkpoint, NoteSigner};
use std::fs;
use support::{Ingesting, TestStore};

/// Notes a checkpoint of what table `t` holds, as the store does.
fn note(store: &TestStore) -> (String, String) {
    let stat = store.run("stat", &["t", "--json"]).expect(0).json()["tables"][0].clone();
    let text = |field: &str| stat[field].as_str().unwrap().to_owned();
    let (origin, size) = (text("origin"), stat["size"].as_u64().unwrap());
    let head = TreeHead { size, root: text("head").parse().unwrap() };
    let text = Checkpoint::new(&origin, head).unwrap().to_string();
    let entry = format!("{text}crc32 {:08x}\n", crc32(text.as_bytes()));
    fs::write(store.segments("t")[0].with_file_name("checkpoints"), &entry).unwrap();
    (origin, entry)
}

/// CRC-32 as in zlib, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

#[test]
fn a_checkpoint_is_handed_over_once_and_stat_says_how_far() {
    let store = TestStore::new();
    store.ingest_text("t", b"one\ntwo\n").expect(0);
    let (origin, entry) = note(&store);
    let elsewhere = store.temporary.path().join("elsewhere");
    let file = elsewhere.to_str().unwrap();
    for _ in 0..2 {
        let text = store.run("anchor", &["t", "--file", file]).expect(0).text();
        assert!(text.trim_start().starts_with(&format!("{origin}  taken through ")), "{text}");
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), entry);
    }
    let stat = store.run("stat", &["t", "--json"]).expect(0).json();
    let anchor = &stat["anchors"][0];
    assert_eq!((anchor["anchor"].as_str(), anchor["due"].as_bool()), (Some("file"), Some(false)), "{stat:#}");
    assert_eq!(anchor["confirmed"], anchor["noted"]);
    let text = store.run("stat", &["t"]).expect(0).text();
    assert!(
        text.lines().any(|line| line.trim_start().starts_with("anchor file") && line.contains("taken through")),
        "{text}"
    );
    store.expect_intact();
}

#[test]
fn what_a_program_does_not_take_is_due_and_its_words_are_kept() {
    let store = TestStore::new();
    store.ingest_text("t", b"one\n").expect(0);
    let (_, entry) = note(&store);
    let script = store.temporary.path().join("take");
    let out = store.temporary.path().join("out");
    let command = format!("sh {} {}", script.display(), out.display());
    fs::write(&script, "printf 'no \\033[1mpaper' >&2; exit 9").unwrap();
    let ran = store.run("anchor", &["t", "--command", &command, "--name", "printer", "--json"]).expect(6);
    let log = &ran.json()["logs"][0];
    assert_eq!(
        (log["due"].as_bool(), log["confirmed"].as_u64(), log["attempts"].as_u64()),
        (Some(true), None, Some(1))
    );
    assert!(log["error"].as_str().unwrap().contains("ended with 9: no  [1mpaper"), "{log:#}");
    let text = store.run("stat", &["t"]).expect(0).text();
    assert!(text.contains("anchor printer") && text.contains("attempt") && text.contains("since 20"), "{text}");

    fs::write(&script, "cat > $1").unwrap();
    let ran = store.run("anchor", &["t", "--command", &command, "--name", "printer", "--json"]).expect(0);
    assert_eq!(ran.json()["logs"][0]["attempts"], 0);
    assert!(entry.starts_with(&fs::read_to_string(&out).unwrap()));
}

#[test]
fn a_live_writer_and_bad_arguments_have_their_exit_codes() {
    let store = TestStore::new();
    store.ingest_text("t", b"one\n").expect(0);
    note(&store);
    let file = store.temporary.path().join("elsewhere");
    let file = file.to_str().unwrap();
    let mut writer = Ingesting::start(&store, "t");
    writer.send(b"more\n");
    // Its row is there once it has the lock; asking before that would keep it out.
    for _ in 0..1000 {
        if store.raw("t").ends_with(b"more\n") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    store.run("anchor", &["--file", file]).expect(3);
    store.run("stat", &["t"]).expect(0);
    drop(writer);
    store.run("anchor", &["--file", file, "--command", "true"]).expect(2);
    store.run("anchor", &["--witness", "http://127.0.0.1:1"]).expect(2);
    store.run("anchor", &["--file", file, "--name", "../x"]).expect(2);
    store.run("anchor", &["u", "--file", file]).expect(3);
    let key = NoteSigner::from_seed("w", &[1; 32]).unwrap().cosigner().to_string();
    let refused = store.run("anchor", &["t", "--witness", "http://127.0.0.1:1", "--witness-key", &key]).expect(6);
    assert!(refused.text().contains("nobody signed"), "{}", refused.text());
    let dir = store.temporary.path().join("tsa");
    let waiting = store.run("anchor", &["t", "--timestamp", dir.to_str().unwrap()]).expect(6);
    assert!(waiting.text().contains("waiting for"), "{}", waiting.text());
    assert_eq!(support::list(&dir).len(), 2);
}
