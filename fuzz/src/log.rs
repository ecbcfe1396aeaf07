//! A small log to edit: made once, the same in every run.

use std::path::Path;
use std::sync::LazyLock;

use bulla_log::{AppendOptions, Item, Log, LogOptions, NewRow, Query, Snapshot};
use bulla_vfs::MemVfs;
use bulla_wire::{Kind, LogId, Position, SchemaId, Time};

use crate::disk::{self, Image};

pub const DIR: &str = "/log";
/// The newest segment of [`ONE`], and the older one of [`TWO`].
pub const FIRST: &str = "/log/00000000000000000000.seg";

/// A log of one segment, not closed.
pub static ONE: LazyLock<Image> = LazyLock::new(|| made(false));
/// A log of a sealed segment and a newer one, not closed.
pub static TWO: LazyLock<Image> = LazyLock::new(|| made(true));

pub fn options() -> LogOptions {
    LogOptions::new().segment_bytes_max(64 << 10).record_bytes_max(1 << 16).origin("fuzz/log")
}

pub fn row(payload: &[u8]) -> NewRow<'_> {
    NewRow { kind: Kind::ROW, time: Time(5), schema: SchemaId(1), payload }
}

fn made(of_two_segments: bool) -> Image {
    let disk = MemVfs::new();
    let log = Log::create(&disk::host(&disk), Path::new(DIR), LogId([7; 16]), &options()).expect("an empty disk");
    let append = |payload: &[u8]| log.append(&row(payload), AppendOptions::default()).expect("room");
    append(b"first");
    append(&[b'a'; 40]);
    if of_two_segments {
        log.rotate().expect("room");
    }
    append(b"second");
    log.append_batch(&[row(b"in"), row(b"one"), row(b"batch")], AppendOptions::default()).expect("room");
    append(&[b'z'; 30]);
    drop(log);
    let mut image = disk::image(&disk);
    // Zeros that were written ahead say nothing, and are most of the file.
    for bytes in image.values_mut().flatten() {
        let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| (last + 1).next_multiple_of(8));
        bytes.truncate(len);
    }
    image
}

/// A record as it is compared: position, kind, time, and payload if it has one.
pub type Seen = (u64, u8, i64, Option<Vec<u8>>);

/// Every record of `snapshot`, and the gaps between them, which together account for every position (law L1).
pub fn read(snapshot: &Snapshot) -> (Vec<Seen>, Vec<std::ops::Range<u64>>) {
    let query = Query { engine: true, gaps: true, ..Query::new() };
    let (mut records, mut gaps, mut next) = (Vec::new(), Vec::new(), snapshot.floor().0);
    let mut cursor = snapshot.cursor(&query);
    while let Some(item) = cursor.next() {
        match item {
            Ok(Item::Record(record)) => {
                assert_eq!(record.position.0, next, "a position is not accounted for");
                next += 1;
                records.push((record.position.0, record.kind.0, record.time.0, record.payload().map(<[u8]>::to_vec)));
            }
            Ok(Item::Gap(gap)) => {
                assert_eq!(gap.positions.start.0, next, "a position is not accounted for");
                assert!(gap.positions.start < gap.positions.end, "an empty gap");
                next = gap.positions.end.0;
                gaps.push(gap.positions.start.0..gap.positions.end.0);
            }
            // Newer or unsupported frames, or an engine record that cannot be read.
            Err(error) => {
                assert!(!error.is_damage(), "damage was to be a gap: {error}");
                return (records, gaps);
            }
        }
    }
    assert!(Position(next) >= snapshot.end(), "the walk ended at {next}, the log at {}", snapshot.end());
    (records, gaps)
}
