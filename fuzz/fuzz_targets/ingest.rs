//! Any bytes as what the command ingests: lines, JSON, and times in fields and out of numbers and text.
//!
//! Input: the limit on a line, the size of the reader's buffer, then the bytes. The two bytes of [`ENDLESS`] stand for a
//! line that is far larger than the memory that may be taken for it.
#![no_main]
#![allow(missing_docs, dead_code, reason = "a part of the command's modules is tried")]

use std::io::{BufReader, Read, repeat};

use bulla_fuzz::plain;
use libfuzzer_sys::fuzz_target;

// The command is a program and no library, so its modules are compiled into this one.
#[path = "../../crates/bulla-cli/src/lines.rs"]
mod lines;
#[path = "../../crates/bulla-cli/src/time_field.rs"]
mod time_field;
#[path = "../../crates/bulla-cli/src/times.rs"]
mod times;

/// Rare enough that trying it, which takes long, is not most of the work.
const ENDLESS: [u8; 2] = [255, 9];
/// More than the fuzzer lets anything allocate at once.
const LONG_LINE_BYTES: u64 = 160 << 20;

fuzz_target!(|data: &[u8]| {
    let [limit, capacity, data @ ..] = data else { return };
    if [*limit, *capacity] == ENDLESS {
        long_line(data);
        return;
    }
    let limit = usize::from(*limit);
    let found = split(BufReader::with_capacity(usize::from(*capacity) + 1, data), limit);
    assert_eq!(found, plain::lines(data, limit));
    let whole = split(BufReader::new(data), data.len());
    let joined = whole.iter().flatten().map(Vec::as_slice).collect::<Vec<_>>().join(&b'\n');
    assert_eq!(joined, data.strip_suffix(b"\n").unwrap_or(data), "lines are not the input's");

    for line in whole.iter().flatten().filter_map(|line| str::from_utf8(line).ok()) {
        let is_json = plain::is_json(line);
        assert_eq!(time_field::check(line).is_ok(), is_json, "{line:?}");
        for path in ["t", "a.b", ""] {
            assert!(is_json || time_field::time_in(line, path).is_err(), "{line:?} is no JSON and has a time");
        }
        if is_json {
            field(line);
        }
        text(line);
    }
});

fn split(mut input: impl std::io::BufRead, limit: usize) -> Vec<Option<Vec<u8>>> {
    let mut found = Vec::new();
    while let Some(line) = lines::next_line(&mut input, limit).expect("memory does not fail") {
        assert!(
            line.as_ref().is_none_or(|line| line.capacity() <= 2 * limit + 64),
            "room for more than a line may have"
        );
        found.push(line);
    }
    found
}

/// A line without end, with `data` behind it: it is passed over, and the rest is found.
fn long_line(data: &[u8]) {
    let line = repeat(b'x').take(LONG_LINE_BYTES).chain(&b"\n"[..]).chain(data);
    let found = split(BufReader::with_capacity(1 << 16, line), 1 << 10);
    assert_eq!(found[0], None);
    assert_eq!(found[1..], plain::lines(data, 1 << 10));
}

/// A JSON value as a field: a number is an epoch time, a string RFC 3339, anything else no time.
fn field(value: &str) {
    let value = value.trim_matches([' ', '\t', '\n', '\r']);
    let found = time_field::time_in(&format!("{{\"t\":{value}}}"), "t").map(|time| time.0);
    let nested = time_field::time_in(&format!("{{\"t\":[{value}],\"a\":{{\"b\":{value}}}}}"), "a.b").map(|time| time.0);
    assert_eq!(found.as_ref().ok(), nested.as_ref().ok(), "{value}");
    if value.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        assert_eq!(found.as_ref().ok().copied(), plain::epoch(value), "{value}: {found:?}");
    } else {
        assert!(found.is_err() || value.starts_with('"'), "{value} is a time");
    }
}

fn text(text: &str) {
    let found = times::from_text(text).map(|time| time.0);
    match plain::rfc3339(text) {
        // A leap second, or beyond all times.
        Some(None) => {}
        expected => assert_eq!(found.as_ref().ok().copied(), expected.flatten(), "{text:?}: {found:?}"),
    }
    if let Ok(time) = found {
        let shown = times::show(bulla::Time(time));
        assert_eq!(times::from_text(&shown).map(|time| time.0), Ok(time), "{shown}");
        assert_eq!(plain::rfc3339(&shown), Some(Some(time)), "{shown}");
    }
}
