//! A real audit trail in, and the same out again: byte for byte, counted, and paged newest first.
//!
//! `BULLA_SAMPLES` names a directory with real logs; without it a generated trail with the same difficulties is used:
//! many equal times, and times that run backwards.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use bulla_testkit::trail::{self, Trail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use support::TestStore;

struct Sample {
    path: PathBuf,
    options: Vec<&'static str>,
}

/// The samples as files, in a directory that lives as long as they are needed.
fn samples() -> (Vec<Sample>, tempfile::TempDir) {
    let made = tempfile::tempdir().unwrap();
    let sample = |trail: Trail| {
        let path = made.path().join(trail.name);
        fs::write(&path, trail.bytes).unwrap();
        let options = match trail.time_field {
            Some(field) => vec!["--time-field", field],
            None => vec!["--format", "text"],
        };
        Sample { path, options }
    };
    (trail::trails().into_iter().map(sample).collect(), made)
}

#[test]
fn what_goes_in_comes_out_byte_for_byte_and_is_counted() {
    let (samples, _made) = samples();
    for sample in &samples {
        let input = fs::read(&sample.path).unwrap();
        let line_count = support::line_count(&input);
        assert_eq!(input.last(), Some(&b'\n'), "the sample ends with a newline");
        let store = TestStore::with(&["--segment-bytes", "262144"]);
        let rest = [&["ingest", store.path(), "--table", "trail", sample.path.to_str().unwrap()][..], &sample.options];
        let ingested = support::bulla(&rest.concat()).expect(0);
        assert_eq!(ingested.acknowledged(), Some(line_count));
        assert!(store.raw("trail") == input, "{} came back otherwise", sample.path.display());

        let (code, report) = store.verify();
        assert_eq!((code, report["verdict"].as_str()), (0, Some("intact")), "{report:#}");
        let log = report["logs"].as_array().unwrap().iter().find(|log| log["log"] == "trail").unwrap();
        assert_eq!(log["records_checked"], log["size"], "{log:#}");
        assert_eq!(store.run("stat", &["trail", "--json"]).expect(0).json()["tables"][0]["records"], line_count);
        let engine_count = store.run("cat", &["trail", "--all", "--format", "ndjson"]).expect(0).ndjson().len() as u64;
        assert_eq!(log["size"], engine_count, "the caller's records and the engine's are all there is");
    }
}

#[test]
fn pages_newest_first_give_every_record_of_a_time_range_once() {
    let (samples, _made) = samples();
    for sample in samples.iter().filter(|sample| sample.options.contains(&"--time-field")) {
        let store = TestStore::with(&["--segment-bytes", "262144"]);
        let rest = [&["ingest", store.path(), "--table", "trail", sample.path.to_str().unwrap()][..], &sample.options];
        support::bulla(&rest.concat()).expect(0);
        let rows = rows(&store.run("cat", &["trail", "--format", "ndjson"]).expect(0).ndjson());

        // Everything but the first and the last tenth of the times: record by record where that takes seconds, otherwise
        // in pages that share no factor with anything.
        let page = if rows.len() <= 3_000 { 1 } else { 97 };
        let mut times: Vec<_> = rows.iter().map(|(_, time)| time.clone()).collect();
        times.sort();
        check_pages(&store, &rows, &times[times.len() / 10], &times[times.len() * 9 / 10], page);

        // The busiest second, record by record.
        let mut counts = BTreeMap::new();
        for time in &times {
            *counts.entry(time.clone()).or_insert(0) += 1;
        }
        let busiest = counts.iter().filter(|(_, count)| **count <= 60).max_by_key(|(_, count)| **count).unwrap().0;
        let after = times.iter().find(|time| *time > busiest).unwrap_or(busiest);
        check_pages(&store, &rows, busiest, after, 1);
    }
}

/// Positions and times. RFC 3339 in UTC with the same number of digits sorts as text; `times` compares parsed ones.
fn rows(records: &[Value]) -> Vec<(u64, Stamp)> {
    records.iter().map(|row| (row["position"].as_u64().unwrap(), Stamp::new(row["time"].as_str().unwrap()))).collect()
}

/// A time as it was printed, ordered as times are: a whole second is printed without a point, which sorts as text in the
/// wrong place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    second: String,
    fraction: String,
    text: String,
}

impl Stamp {
    fn new(text: &str) -> Self {
        let bare = text.strip_suffix('Z').expect("times are in UTC");
        let (second, fraction) = bare.split_once('.').unwrap_or((bare, ""));
        Self { second: second.to_owned(), fraction: fraction.to_owned(), text: text.to_owned() }
    }
}

fn check_pages(store: &TestStore, rows: &[(u64, Stamp)], from: &Stamp, to: &Stamp, page: u64) {
    let wanted = rows.iter().rev().filter(|(_, time)| from <= time && time < to).map(|(position, _)| *position);
    let expected: Vec<_> = wanted.collect();
    assert!(!expected.is_empty(), "the range holds records");
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let size = page.to_string();
        let mut rest =
            vec!["trail", "--desc", "-n", &size, "--format", "ndjson", "--from", &from.text, "--to", &to.text];
        if let Some(cursor) = &cursor {
            rest.extend(["--after", cursor]);
        }
        let ran = store.run("cat", &rest).expect(0);
        let positions: Vec<_> = ran.ndjson().iter().map(|row| row["position"].as_u64().unwrap()).collect();
        if positions.is_empty() {
            break;
        }
        assert!(positions.len() as u64 <= page);
        found.extend(positions);
        assert!(found.len() <= expected.len(), "pages repeat records");
        cursor = Some(ran.cursor());
    }
    assert_eq!(found, expected);
}
