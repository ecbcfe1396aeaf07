//! `check` and `key new`: what a stranger without a store is told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use bulla::chain::{InclusionText, NoteSigner, ShownCheckpoint, VerifierKey};
use std::fs;
use std::path::{Path, PathBuf};
use support::{bulla, bulla_with};

const ORIGIN: &str = "acme/logins/07070707";
/// The payload of every record of the kept proofs.
const PAYLOAD: &[u8] = b"bulla";

/// A file that the description of the format shows.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bulla-chain/tests/golden").join(name)
}

fn check(proof: &Path, more: &[&str]) -> support::Ran {
    let (proof, key) = (proof.to_str().unwrap(), kept("key.pub"));
    bulla(&[&["check", proof, "--key", key.to_str().unwrap()], more].concat())
}

#[test]
fn a_proof_is_checked_with_key_and_origin_alone() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    fs::write(&record, PAYLOAD).unwrap();
    let inclusion = kept("inclusion.tlog-proof");
    let ran = check(&inclusion, &["--origin", ORIGIN, "--record", record.to_str().unwrap(), "--json"]).expect(0);
    let report = ran.json();
    assert_eq!(
        (&report["verdict"], &report["kind"], &report["trust"]),
        (&"proven".into(), &"inclusion".into(), &"signed".into())
    );
    assert_eq!((&report["size"], &report["record"]["position"]), (&7.into(), &4.into()));
    assert_eq!(report["record"]["payload"], "matches");
    assert!(check(&inclusion, &["--origin", ORIGIN]).expect(0).text().starts_with("proven: record 4 of "));

    let consistency = check(&kept("consistency"), &["--origin", ORIGIN, "--json"]).expect(0).json();
    assert_eq!((&consistency["old_size"], &consistency["size"]), (&3.into(), &7.into()));
    // From a pipe, and with the key itself in the place of its file.
    let key = fs::read_to_string(kept("key.pub")).unwrap();
    let proof = fs::read(&inclusion).unwrap();
    bulla_with(&["check", "-", "--key", key.trim_end(), "--origin", ORIGIN], &proof).expect(0);
}

/// `get --format raw` ends what it prints with a newline; the record does not have it, and the answer says so.
#[test]
fn a_record_may_have_the_newline_of_whoever_printed_it() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("record");
    for (bytes, code, said) in [
        (&b"bulla\n"[..], 0, "matches without the newline at its end"),
        (b"bulla\n\n", 1, ""),
        (b"bull", 1, ""),
        (b"", 1, ""),
        (b"\n", 1, ""),
    ] {
        fs::write(&record, bytes).unwrap();
        let ran =
            check(&kept("inclusion.tlog-proof"), &["--origin", ORIGIN, "--record", record.to_str().unwrap(), "--json"]);
        let report = ran.expect(code).json();
        assert_eq!(report["record"]["payload"].as_str().unwrap_or_default(), said);
        assert_eq!(report["reason"].is_string(), code == 1);
    }
}

/// Every bit of a kept proof, and every place where it may end: a verdict, never a crash, and never proven.
#[test]
fn no_forged_proof_is_proven() {
    let dir = tempfile::tempdir().unwrap();
    let proof = dir.path().join("proof");
    let honest = fs::read(kept("inclusion.tlog-proof")).unwrap();
    // A process for each bit would take minutes: `crates/bulla-chain/tests/texts.rs` has all of them.
    for at in (0..honest.len()).step_by(23) {
        let mut forged = honest.clone();
        forged[at] ^= 1;
        fs::write(&proof, &forged).unwrap();
        check(&proof, &["--origin", ORIGIN]).expect(1);
        fs::write(&proof, &honest[..at]).unwrap();
        check(&proof, &["--origin", ORIGIN]).expect(1);
    }
    for bytes in [&b""[..], b"\xff\xfe", &vec![b'a'; 5_000_000]] {
        fs::write(&proof, bytes).unwrap();
        check(&proof, &["--origin", ORIGIN]).expect(1);
    }
    check(&kept("checkpoint"), &["--origin", ORIGIN]).expect(1);
    for origin in ["acme/logins", "acme/logins/07070708", ""] {
        let reason = check(&kept("inclusion.tlog-proof"), &["--origin", origin, "--json"]).expect(1).json();
        assert!(reason["reason"].as_str().unwrap().contains("is of"), "{reason}");
    }
}

#[test]
fn what_nobody_signed_is_true_below_the_trust_demanded() {
    let dir = tempfile::tempdir().unwrap();
    let proof = dir.path().join("proof");
    let mut text = InclusionText::parse(&fs::read(kept("inclusion.tlog-proof")).unwrap()).unwrap();
    text.checkpoint = ShownCheckpoint::unsigned(text.checkpoint.checkpoint().clone());
    fs::write(&proof, text.to_string()).unwrap();
    let report = check(&proof, &["--origin", ORIGIN, "--json"]).expect(6).json();
    assert_eq!((&report["verdict"], &report["trust"]), (&"proven".into(), &"structure".into()));
    text.proof.hashes[0].0[0] ^= 1;
    fs::write(&proof, text.to_string()).unwrap();
    check(&proof, &["--origin", ORIGIN]).expect(1);
}

#[test]
fn what_a_witness_adds_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (proof, key) = (dir.path().join("proof"), dir.path().join("witness"));
    let cosignature = fs::read_to_string(kept("cosignature")).unwrap();
    let honest = fs::read_to_string(kept("inclusion.tlog-proof")).unwrap();
    fs::write(&proof, honest + &cosignature).unwrap();
    let witness = NoteSigner::from_seed("witness.example", &[8; 32]).unwrap();
    fs::write(&key, witness.cosigner().to_string()).unwrap();
    let more = ["--key", key.to_str().unwrap(), "--origin", ORIGIN];
    let report = check(&proof, &[&more[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(report["cosigned_at"], "2023-11-14T22:13:20Z");
    assert!(check(&proof, &more).expect(0).text().contains("a witness says before 2023-11-14"));
    assert_eq!(check(&proof, &["--origin", ORIGIN, "--json"]).expect(0).json()["cosigned_at"], serde_json::Value::Null);
}

#[test]
fn what_cannot_be_read_is_no_verdict() {
    let proof = kept("inclusion.tlog-proof");
    let nowhere = Path::new("nowhere/proof");
    check(nowhere, &["--origin", ORIGIN]).expect(5);
    check(&proof, &["--origin", ORIGIN, "--record", "nowhere/record"]).expect(5);
    let proof = proof.to_str().unwrap();
    bulla(&["check", proof, "--key", "nowhere/key", "--origin", ORIGIN]).expect(5);
    bulla(&["check", proof, "--key", proof, "--origin", ORIGIN]).expect(8);
    bulla(&["check", proof, "--origin", ORIGIN]).expect(2);
    bulla(&["check", proof, "--key", "k"]).expect(2);
}

#[test]
fn a_new_key_is_two_files_and_overwrites_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("acme.key");
    let public = dir.path().join("acme.key.pub");
    let make = |file: &Path, name| bulla(&["key", "new", file.to_str().unwrap(), "--name", name]);
    let shown = make(&file, "acme").expect(0).text();
    let key: VerifierKey = shown.trim_end().parse().unwrap();
    assert_eq!((key.name(), fs::read_to_string(&public).unwrap()), ("acme", shown));
    let secret = fs::read_to_string(&file).unwrap();
    assert_eq!(secret.trim_end().parse::<NoteSigner>().unwrap().verifier(), key);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    make(&file, "acme").expect(8);
    fs::remove_file(&file).unwrap();
    make(&file, "acme").expect(8);
    assert!(!file.exists(), "its public part is there, so a private one was");
    fs::remove_file(&public).unwrap();
    make(&file, "acme").expect(0);
    assert_ne!(fs::read_to_string(&file).unwrap(), secret);
    for name in ["", "a b", "a+b", "a\nb"] {
        make(&dir.path().join("other"), name).expect(2);
    }
    make(&dir.path().join("missing/other"), "acme").expect(5);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}
