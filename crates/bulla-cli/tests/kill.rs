//! SIGKILL at random moments: what was acknowledged is there, and the next ingest goes on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::format_collect, reason = "short inputs, plainly written")]

mod support;

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;
use support::{Ingesting, TestStore};

const ROUNDS: u64 = 10;

fn line(number: u64) -> String {
    format!("{number:08} {}\n", "payload ".repeat(1 + (number % 60) as usize))
}

#[test]
fn ten_kills_lose_no_acknowledged_line() {
    let store = TestStore::with(&["--segment-bytes", "4194304"]);
    let mut stored_count = 0;
    let mut acknowledged_total = 0;
    for round in 0..ROUNDS {
        let mut ingesting = Ingesting::start(&store, "trail");
        let mut stdin = ingesting.child.stdin.take().unwrap();
        let mut stdout = ingesting.child.stdout.take().unwrap();
        let begin = stored_count;
        let sending = thread::spawn(move || {
            let mut next = begin;
            loop {
                let burst: String = (next..next + 100).map(line).collect();
                // The pipe breaks when the reader was killed.
                if stdin.write_all(burst.as_bytes()).is_err() {
                    return;
                }
                next += 100;
                thread::sleep(Duration::from_millis(2));
            }
        });
        let reading = thread::spawn(move || {
            let mut out = Vec::new();
            stdout.read_to_end(&mut out).unwrap();
            out
        });
        // Spread over the batch time, at moments that no commit is tied to.
        thread::sleep(Duration::from_millis(130 + round * 7919 % 1100));
        ingesting.child.kill().unwrap();
        ingesting.child.wait().unwrap();
        sending.join().unwrap();
        let acknowledged = support::acknowledged(&reading.join().unwrap()).unwrap_or(0);
        acknowledged_total += acknowledged;

        let raw = store.run("cat", &["trail", "--format", "raw"]);
        // A kill before the table was there leaves none.
        if raw.code == Some(3) {
            assert_eq!((acknowledged, stored_count), (0, 0), "round {round}");
            continue;
        }
        let raw = raw.expect(0).out;
        let after = support::line_count(&raw);
        assert!(
            after >= begin + acknowledged,
            "round {round}: {acknowledged} acknowledged after {begin}, {after} there"
        );
        let expected: String = (0..after).map(line).collect();
        assert!(raw == expected.as_bytes(), "round {round}: what is there is a prefix of what was sent");
        store.expect_intact();
        stored_count = after;
    }
    assert!(acknowledged_total > 0, "no round lived long enough to acknowledge anything");

    let rest: String = (stored_count..stored_count + 10).map(line).collect();
    assert_eq!(store.ingest_text("trail", rest.as_bytes()).expect(0).acknowledged(), Some(10));
    let expected: String = (0..stored_count + 10).map(line).collect();
    assert!(store.raw("trail") == expected.as_bytes());
    store.expect_intact();
}
