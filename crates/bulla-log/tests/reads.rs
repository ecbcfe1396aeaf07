//! What a cursor reads to answer: the segments, pages, entries and frames that may hold something wanted, each once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "support/build.rs"]
mod build;
#[path = "support/common.rs"]
mod common;

use build::LogBuilder;
use bulla_log::{Durability, Item, LogReader, NewRow, Order, Query, ReadStats, Snapshot};
use bulla_segment::{Salvage, Tail};
use bulla_testkit::{Fault, Harm, SimDisk};
use bulla_vfs::MemVfs;
use bulla_wire::limits::RECORD_BYTES_MAX;
use bulla_wire::{
    FRAME_HEADER_LEN, FrameBuilder, FramePlace, INDEX_ENTRY_LEN, IndexEntry, Kind, NewRecord, Position, SchemaId, Time,
    decode_page, encode_page,
};
use common::{ID, create, dir, edit, host, open_for_reading, options, row, segments, with};
use std::ops::Range;
use std::path::Path;

const FRAME: u64 = 4096;
/// Frames that a cursor reads at once.
const WINDOW: u64 = 16;
const ORDERS: [Order; 2] = [Order::Ascending, Order::Descending];

/// A closed log of sealed segments with this many records, and an empty active one. Each record fills a frame of 4 KiB,
/// which is all that lies under its entry of the index; only a segment's first entry has the engine's record as well. Its
/// time is whether its position is odd, or above 10 from the third page on.
fn log_of(counts: &[u64]) -> MemVfs {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options().segment_bytes_max(64 << 20).frame_target_bytes(1));
    for count in counts {
        for _ in 0..*count {
            let position = log.next_position().0;
            let time = Time((position % 2 + if position < 1_025 { 0 } else { 10 }).cast_signed());
            let row = NewRow { kind: Kind::ROW, time, schema: SchemaId(0), payload: &[7; 4024] };
            log.append(&row, with(Durability::Buffered)).unwrap();
        }
        log.rotate().unwrap();
    }
    log.close().unwrap();
    disk
}

/// The index of a sealed segment, page by page, each with its positions.
fn pages(disk: &MemVfs, path: &Path) -> Vec<(Range<u64>, Vec<IndexEntry>)> {
    let segment = open_for_reading(disk, path);
    let footer = segment.read_summary().unwrap().unwrap().footer;
    let ends = footer.pages.iter().skip(1).map(|page| page.first.0).chain([footer.end.0]);
    footer.pages.iter().zip(ends).map(|(page, end)| (page.first.0..end, segment.read_page(page).unwrap())).collect()
}

fn page_bytes(page: &(Range<u64>, Vec<IndexEntry>)) -> u64 {
    FRAME_HEADER_LEN + page.1.len() as u64 * u64::from(INDEX_ENTRY_LEN)
}

/// The positions that `query` yields, oldest first, and what that read as the cursor counts it. The disk counts the calls,
/// and the same bytes unless something had to be opened.
fn cost(disk: &MemVfs, snapshot: &Snapshot, query: &Query) -> (Vec<u64>, ReadStats, u64, u64) {
    let before = disk.operations();
    let mut cursor = snapshot.cursor(query);
    let mut found = Vec::new();
    while let Some(item) = cursor.next() {
        let Item::Record(record) = item.unwrap() else { panic!("a gap") };
        found.push(record.position.0);
    }
    if query.order == Order::Descending {
        found.reverse();
    }
    let after = disk.operations();
    (found, cursor.stats(), after.reads - before.reads, after.bytes_read - before.bytes_read)
}

fn snapshot_of(disk: &MemVfs) -> Snapshot {
    LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap()
}

fn between(range: &Range<u64>, order: Order) -> Query {
    Query { from: Some(Position(range.start)), to: Some(Position(range.end)), order, ..Query::new() }
}

fn overlaps(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

/// C1 and C2: wherever a range begins and ends, its own frames are read, in calls of 64 KiB, and its own pages. One page
/// more tells where a page's last frames end.
#[test]
fn a_range_of_positions_costs_its_own_frames_and_pages() {
    let disk = log_of(&[1_100, 3]);
    let path = segments(&disk)[0].clone();
    let pages = pages(&disk, &path);
    let borders: Vec<_> = pages.iter().map(|(positions, _)| positions.clone()).collect();
    assert_eq!(borders, [0..513, 513..1_025, 1_025..1_101]);
    let snapshot = snapshot_of(&disk);
    snapshot.get(Position(5), |_| ()).unwrap();
    let places = [2, 3, 17, 18, 19, 500, 512, 513, 514, 1_024, 1_025, 1_026, 1_100, 1_101];
    for order in ORDERS {
        for range in places.iter().flat_map(|from| places.iter().map(|to| *from..*to)).filter(|range| !range.is_empty())
        {
            let needs = |page: &Range<u64>| overlaps(page, &range);
            let is_asked_where_it_begins = |first: u64| first > 0 && needs(&(first - 1..first));
            let read: Vec<_> = pages
                .iter()
                .filter(|(positions, _)| needs(positions) || is_asked_where_it_begins(positions.start))
                .collect();
            let calls: u64 = borders
                .iter()
                .map(|page| range.end.min(page.end).saturating_sub(range.start.max(page.start)).div_ceil(WINDOW))
                .sum();
            let len = range.end - range.start;
            let (found, stats, reads, bytes) = cost(&disk, &snapshot, &between(&range, order));
            assert_eq!(found, range.clone().collect::<Vec<_>>(), "{order:?}, {range:?}");
            let expected = ReadStats {
                segments_opened: 1,
                segments_salvaged: 0,
                index_pages_read: read.len() as u64,
                frames_read: len,
                bytes_read: len * FRAME + read.iter().map(|page| page_bytes(page)).sum::<u64>(),
            };
            assert_eq!(stats, expected, "{order:?}, {range:?}");
            assert_eq!((reads, bytes), (calls + stats.index_pages_read, stats.bytes_read), "{order:?}, {range:?}");
        }
    }
    // Where the range ends before the page that has the times, nothing meets it.
    for order in ORDERS {
        let query = Query { from_time: Some(Time(10)), ..between(&(2..1_025), order) };
        let (found, stats, ..) = cost(&disk, &snapshot, &query);
        assert_eq!((found.len(), stats.index_pages_read, stats.bytes_read), (0, 0, 0), "{order:?}");
    }
}

/// C2, of frames that share an entry of the index: the bodies of those that hold the range are looked at, no others.
#[test]
fn a_range_of_positions_within_an_entry_costs_its_own_frames() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options().frame_target_bytes(1));
    for number in 0..9 {
        log.append(&row(&[number; 100]), with(Durability::Buffered)).unwrap();
    }
    log.rotate().unwrap();
    log.close().unwrap();
    assert_eq!(pages(&disk, &segments(&disk)[0])[0].1.len(), 1);
    let snapshot = snapshot_of(&disk);
    for order in ORDERS {
        for range in (1..10).flat_map(|from| (from + 1..=10).map(move |to| from..to)) {
            let (found, stats, ..) = cost(&disk, &snapshot, &between(&range, order));
            assert_eq!(found, range.clone().collect::<Vec<_>>(), "{order:?}, {range:?}");
            assert_eq!(stats.frames_read, range.end - range.start, "{order:?}, {range:?}");
        }
    }
}

/// C2, of times, also where the query has one bound alone: what lies between the frames that are wanted is not read.
#[test]
fn a_range_of_times_costs_the_frames_that_meet_it() {
    let disk = log_of(&[600]);
    let snapshot = snapshot_of(&disk);
    let pages = pages(&disk, &segments(&disk)[0]);
    cost(&disk, &snapshot, &Query::new());
    for order in ORDERS {
        for (from_time, to_time, time) in
            [(Some(1), None, 1), (None, Some(1), 0), (Some(1), Some(2), 1), (Some(0), Some(1), 0)]
        {
            let bounds = Query { from_time: from_time.map(Time), to_time: to_time.map(Time), ..Query::new() };
            let query = Query { from: Some(Position(2)), order, ..bounds };
            let (found, stats, reads, bytes) = cost(&disk, &snapshot, &query);
            assert_eq!(found, (2..601).filter(|position| position % 2 == time).collect::<Vec<_>>(), "{query:?}");
            let frames = found.len() as u64;
            assert_eq!((stats.frames_read, stats.index_pages_read), (frames, 2), "{query:?}");
            assert_eq!(stats.bytes_read, frames * FRAME + pages.iter().map(page_bytes).sum::<u64>(), "{query:?}");
            assert_eq!((reads, bytes), (frames + 2, stats.bytes_read), "{query:?}");
        }
    }
}

/// A segment is opened once for all walks that follow each other, whatever else they read.
#[test]
fn segments_stay_open_from_one_walk_to_the_next() {
    let disk = log_of(&[20, 30, 40]);
    let paths = segments(&disk);
    let snapshot = snapshot_of(&disk);
    let (mut ends, mut rest) = (0, 0);
    for path in &paths[..3] {
        let segment = open_for_reading(&disk, path);
        let footer = segment.read_summary().unwrap().unwrap().footer;
        ends += segment.frames_offset() + segment.file_len().unwrap() - footer.offset;
        rest += footer.data_end - segment.frames_offset() + pages(&disk, path).iter().map(page_bytes).sum::<u64>();
    }
    let active = open_for_reading(&disk, &paths[3]);
    rest += active.read_summary().unwrap().unwrap().footer.data_end - active.frames_offset();
    for gaps in [false, true, false] {
        let query = Query { gaps, ..Query::new() };
        let (_, stats, _, bytes) = cost(&disk, &snapshot, &query);
        let opened = std::mem::take(&mut ends);
        assert_eq!((stats.segments_opened, stats.bytes_read), (4, opened + rest));
        assert!(opened > 0 || bytes == rest, "{bytes} bytes read of {rest}");
    }
}

/// Finding the frames of a segment without its index costs reading it, once; and a walk says that it did so.
#[test]
fn a_segment_without_its_footer_is_scanned_once_for_all_walks() {
    let disk = log_of(&[20, 30, 40]);
    let path = segments(&disk)[1].clone();
    let segment = open_for_reading(&disk, &path);
    let end = segment.read_summary().unwrap().unwrap().footer.end;
    edit(&disk, &path, |bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
    let tail = Tail::scan(&segment).unwrap();
    let scans = tail.bytes_read + Salvage::scan(&segment, &tail, end).unwrap().bytes_read;
    let snapshot = snapshot_of(&disk);
    let query = Query { gaps: true, ..between(&(segment.header().base.0..end.0), Order::Ascending) };
    let first = cost(&disk, &snapshot, &query);
    let second = cost(&disk, &snapshot, &query);
    assert_eq!((first.1.segments_salvaged, first.0.len()), (1, 30));
    assert_eq!(second.1, ReadStats { bytes_read: first.1.bytes_read - scans - segment.frames_offset(), ..first.1 });
    assert_eq!(second.3, second.1.bytes_read);
    // Whoever asks for no gaps is not given it.
    let mut cursor = snapshot.cursor(&Query { gaps: false, ..query });
    assert!(cursor.next().unwrap().unwrap_err().is_damage());
    assert_eq!(cursor.stats().segments_salvaged, 0);
}

/// What the disk fails to give is no damage, so that it is no gap either, and nothing else is tried in its place.
#[test]
fn an_error_of_the_disk_ends_a_walk_that_asks_for_gaps_too() {
    let disk = SimDisk::new(1);
    let log = create(disk.clone(), &options());
    for number in 0..30 {
        log.append(&row(&[number; 200]), with(Durability::Buffered)).unwrap();
    }
    log.close().unwrap();
    let query = Query { gaps: true, ..Query::new() };
    let walk = |fault: Option<u64>| {
        // A new reader has no segment open.
        let snapshot = LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap();
        let begin = disk.call_count();
        disk.set_fault(fault.map(|at| Fault { at: begin + at, harm: Harm::Io, for_good: false }));
        let mut cursor = snapshot.cursor(&query);
        let mut given = 0;
        let error = loop {
            match cursor.next() {
                Some(Ok(Item::Record(_))) => given += 1,
                Some(Ok(Item::Gap(gap))) => panic!("{fault:?}: {gap:?}"),
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        disk.set_fault(None);
        (given, error, disk.call_count() - begin)
    };
    let (whole, error, calls) = walk(None);
    assert!(whole == 30 && error.is_none() && calls >= 8, "{calls} calls");
    for at in 0..calls {
        let (given, error, _) = walk(Some(at));
        let error = error.unwrap_or_else(|| panic!("call {at} failed, and nobody was told"));
        assert!(given < whole && !error.is_damage() && !error.is_missing(), "call {at}: {error:?}");
    }
}

/// The largest record may follow small ones under its entry of the index. What is longer than that cannot be an entry, and
/// is not read.
#[test]
fn the_longest_entry_is_read_and_a_longer_one_is_not() {
    let mut log = LogBuilder::new(ID, false);
    // The frames before the third record leave 8 bytes to be an entry without it.
    let filler = vec![1; (4024 - log.edit(0).frames[0].0.frame_len() - 8) as usize];
    for payload in [filler.as_slice(), &[2; 100], &[3], &[4]] {
        log.frame(&[build::row(5, payload)], false);
    }
    log.rotate();
    log.finish(false);
    let mut edited = log.edit(0);
    let base = edited.frames[2].0.base;
    let index = edited.frames.len() - 2;
    let mut entries = decode_page(&edited.frames[index].1).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.first.0).collect::<Vec<_>>(), [0, base.0 + 1]);
    let mut frame = FrameBuilder::default();
    let payload = vec![2; RECORD_BYTES_MAX as usize];
    frame.push(&NewRecord { kind: Kind::ROW, time: Time(5), schema: SchemaId(1), salt: None, payload: &payload });
    let (seed, offset, epoch) = (&edited.header.seed(), edited.offset(2), edited.header.epoch);
    let mut bytes = Vec::new();
    let header = frame.finish(&FramePlace { seed, offset, epoch, base, durable_end: base, more: false }, &mut bytes);
    let body = bytes[FRAME_HEADER_LEN as usize..][..header.stored_len as usize].to_vec();
    let longer = header.frame_len() - edited.frames[2].0.frame_len();
    edited.edit_footer(|footer| {
        footer.data_end += longer;
        footer.offset += longer;
        footer.pages[0].offset += longer;
    });
    edited.frames[2] = (header, body);
    // At last the next entry is said to begin later than any entry can end.
    for (more, is_read) in [(longer, true), (128, false)] {
        entries[1].offset += more;
        edited.frames[index].1.clear();
        encode_page(&entries, &mut edited.frames[index].1);
        log.put(0, &edited);
        let mut cursor = snapshot_of(&log.disk).cursor(&Query { from: Some(base), ..Query::new() });
        match cursor.next().unwrap() {
            Ok(Item::Record(record)) => assert!(is_read && record.payload() == Some(&payload[..])),
            Ok(Item::Gap(gap)) => panic!("{gap:?}"),
            Err(error) => assert!(!is_read && error.is_damage() && cursor.stats().bytes_read < 4096, "{error:?}"),
        }
    }
}
