//! A million rows: what opening and querying them read, counted in bytes and frames, never timed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use bulla::{Durability, Host, Options, OsVfs, Raw, RowOptions, Store, TableOptions, Time};
use bulla_testkit::CountingVfs;
use std::path::Path;
use std::sync::Arc;

const ROWS: u64 = 1_000_000;
const PAYLOAD: [u8; 200] = [b'r'; 200];
/// Nothing happened between the two halves.
const PAUSE: i64 = 1_000_000_000_000;

fn time_of(row: u64) -> Time {
    Time(row.cast_signed() + if row < ROWS / 2 { 0 } else { PAUSE })
}

fn filled(store: &Store) {
    let table = store.table_with::<Vec<u8>, Raw>("rows", &TableOptions::new()).unwrap();
    let payload = PAYLOAD.to_vec();
    let options = RowOptions::new().durability(Durability::Buffered);
    for batch in (0..ROWS).step_by(1_000) {
        table.append_batch_at((batch..batch + 1_000).map(|row| (time_of(row), &payload)), &options).unwrap();
    }
}

/// Whether a path is a segment of the table, not of the journal.
fn is_of_table(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "seg") && path.components().any(|part| part.as_os_str() == "tables")
}

#[test]
fn a_million_rows_are_opened_and_queried_without_reading_them() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("store");
    let counting = CountingVfs::new(Arc::new(OsVfs));
    let host = Host { fs: Arc::new(counting.clone()), ..Host::os() };
    let options = Options::new().host(host);
    let store = options.open(&dir).unwrap();
    filled(&store);
    store.close().unwrap();

    // Opening after a clean close: headers, the footer before the newest segment, the close frame and its index.
    let _ = counting.take();
    let store = options.open(&dir).unwrap();
    let table = store.table_with::<Vec<u8>, Raw>("rows", &TableOptions::new()).unwrap();
    let counts: Vec<_> = counting.take().into_iter().filter(|(path, _)| is_of_table(path)).collect();
    let counts_len = counts.len();
    for (index, (path, counts)) in counts.iter().enumerate() {
        let len = std::fs::metadata(path).unwrap().len();
        // 32 bytes for each 4 KiB of the newest segment; footers and the close frame list the pages of that.
        let most = if index + 1 == counts_len { (8 << 10) + len / 4096 * 36 } else { 16 << 10 };
        assert!(counts.bytes_read < most, "{} of {len} bytes of {} were read", counts.bytes_read, path.display());
        assert_eq!((counts.writes, counts.syncs), (0, 0), "{}", path.display());
    }
    let segments = table.segments().unwrap();
    assert!(segments.len() >= 3 && counts.len() <= 3, "{} segments, {} opened", segments.len(), counts.len());
    assert_eq!(table.len().unwrap(), ROWS);

    // A time range without hits reads no frame, neither outside all segments nor between two rows of one.
    for (from, to) in [(-10, 0), (i64::MAX - 1, i64::MAX), ((ROWS / 2).cast_signed(), PAUSE)] {
        let mut rows = table.query().from_time(Time(from)).to_time(Time(to)).rows().unwrap();
        assert!(rows.next().is_none());
        assert_eq!(rows.stats().frames_read, 0, "{from}..{to}");
        assert!(rows.stats().segments_opened <= 1, "{from}..{to}: {:?}", rows.stats());
    }

    // A narrow range reads what it spans and little more.
    let mut rows = table.query().from_time(Time(1_000)).to_time(Time(1_100)).descending().rows().unwrap();
    let mut found = 0;
    while let Some(row) = rows.next() {
        assert_eq!(row.unwrap().payload().unwrap(), PAYLOAD);
        found += 1;
    }
    assert_eq!(found, 100);
    assert!(rows.stats().frames_read <= 8 && rows.stats().segments_opened == 1, "{:?}", rows.stats());

    // The newest ten read one window, whichever way the whole is as long.
    let mut newest = table.query().descending().limit(10).rows().unwrap();
    while let Some(row) = newest.next() {
        row.unwrap();
    }
    assert!(newest.stats().bytes_read < 256 << 10, "{:?}", newest.stats());
    for query in [table.query(), table.query().descending()] {
        let (mut rows, mut count) = (query.rows().unwrap(), 0);
        while let Some(row) = rows.next() {
            row.unwrap();
            count += 1;
        }
        assert_eq!(count, ROWS);
        let disk: u64 = segments.iter().map(|segment| segment.file_bytes).sum();
        assert!(rows.stats().bytes_read <= disk + disk / 20, "{:?} of {disk} bytes", rows.stats());
    }
    let payload = ROWS * PAYLOAD.len() as u64;
    let disk = table.disk_bytes().unwrap();
    assert!(disk * 100 <= payload * 107, "{disk} bytes on disk for {payload} of payload");
    store.close().unwrap();
}
