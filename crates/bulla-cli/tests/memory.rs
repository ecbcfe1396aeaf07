//! Memory stays bounded however much the store holds and however long its records are.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use support::{TestStore, command};

const MEMORY_KIB_MAX: u64 = 64 << 10;
const SHORT_ROWS: u32 = 50_000;
/// Together more than the limit, so that holding them all would show.
const LONG_ROWS: u32 = 70;

/// Runs to the end and gives the peak of resident memory, as last seen.
fn peak_kib(mut command: Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        // The peak never falls, so that the last look before the end is the one that counts.
        let text = fs::read_to_string(&status).unwrap_or_default();
        if let Some(line) = text.lines().find(|line| line.starts_with("VmHWM:")) {
            peak = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{command:?}: {status}");
            return peak;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn no_verb_holds_more_than_a_window() {
    let store = TestStore::new();
    let input = store.temporary.path().join("input");
    let mut file = BufWriter::new(File::create(&input).unwrap());
    for row in 0..SHORT_ROWS {
        writeln!(file, "{row:0200}").unwrap();
    }
    for row in 0..LONG_ROWS {
        let digit = char::from_digit(row % 10, 10).unwrap();
        writeln!(file, "{}", digit.to_string().repeat(1 << 20)).unwrap();
    }
    writeln!(file, "{}", "\n".repeat(20_000)).unwrap();
    file.into_inner().unwrap().sync_all().unwrap();
    let path = input.to_str().unwrap();
    for arguments in [
        &["ingest", store.path(), "--table", "t", "--format", "text", path][..],
        &["cat", store.path(), "t", "--format", "raw"],
        &["cat", store.path(), "t", "--format", "ndjson"],
        &["cat", store.path(), "t", "--desc"],
        &["tail", store.path(), "t", "-n", "50000"],
        &["stat", store.path()],
        &["verify", store.path()],
    ] {
        let peak = peak_kib(command(arguments));
        assert!(peak > 0 && peak < MEMORY_KIB_MAX, "{arguments:?} took {peak} KiB");
    }
    // One byte of a record in the middle, so that there is something to repair.
    let middle = &store.segments("t")[0];
    let at = fs::read(middle).unwrap().len() / 2;
    flip(middle, at);
    let into = store.temporary.path().join("repaired");
    let arguments = ["repair", store.path(), "--into", into.to_str().unwrap()];
    let peak = peak_kib(command(&arguments));
    assert!(peak > 0 && peak < MEMORY_KIB_MAX, "{arguments:?} took {peak} KiB");
    flip(middle, at);
    for segment in store.segments("t") {
        let peak = peak_kib(command(&["inspect", segment.to_str().unwrap()]));
        assert!(peak < MEMORY_KIB_MAX, "inspect took {peak} KiB");
    }
}

/// The million rows that a busy service writes in a day or two, between two of the largest records allowed.
#[test]
fn a_million_rows_are_ingested_read_and_verified_in_little_memory() {
    let store = TestStore::new();
    let input = store.temporary.path().join("input");
    let mut file = BufWriter::new(File::create(&input).unwrap());
    let longest = "x".repeat(1 << 20);
    writeln!(file, "{longest}").unwrap();
    for row in 0..1_000_000 {
        writeln!(file, "{row:0200}").unwrap();
    }
    writeln!(file, "{longest}").unwrap();
    file.into_inner().unwrap().sync_all().unwrap();
    for arguments in [
        &["ingest", store.path(), "--table", "t", "--format", "text", input.to_str().unwrap()][..],
        &["cat", store.path(), "t", "--format", "raw"],
        &["verify", store.path(), "--level", "full"],
    ] {
        let peak = peak_kib(command(arguments));
        assert!(peak > 0 && peak < MEMORY_KIB_MAX, "{arguments:?} took {peak} KiB");
    }
    let records = &store.run("stat", &["t", "--json"]).expect(0).json()["tables"][0]["records"];
    assert_eq!(*records, 1_000_002);
}
