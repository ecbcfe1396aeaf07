//! What a snapshot says and gives of logs that are pruned, changed by somebody, or gone in part.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "support/build.rs"]
mod build;

use build::{DIR, LogBuilder, row};
use bulla_log::{Item, Log, LogError, LogOptions, LogReader, Order, Query, Snapshot, Source};
use bulla_wire::{
    FRAME_HEADER_LEN, Footer, FrameBuilder, FrameHeader, FramePlace, Kind, LogId, NewRecord, Position, Role, SchemaId,
    Time, TimeBounds,
};
use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

const ID: LogId = LogId([3; 16]);
const ORDERS: [Order; 2] = [Order::Ascending, Order::Descending];

/// Four segments of ten frames or so with a record each, one entry of the index in each; the last one is closed.
fn built() -> LogBuilder {
    let mut log = LogBuilder::new(ID, false);
    for segment in 0..4 {
        if segment > 0 {
            log.rotate();
        }
        for number in 0..10 {
            log.frame(&[row(100 * segment + number, b"a record")], false);
        }
    }
    log.finish(false);
    log
}

fn snapshot(log: &LogBuilder) -> Snapshot {
    LogReader::open(&log.host, Path::new(DIR)).unwrap().snapshot().unwrap()
}

/// The positions of each segment.
fn bounds(log: &LogBuilder) -> Vec<Range<u64>> {
    let bases: Vec<_> = (0..log.paths().len()).map(|index| log.edit(index).header.base.0).collect();
    let ends = bases[1..].iter().copied().chain([log.end().0]);
    bases.iter().copied().zip(ends).map(|(base, end)| base..end).collect()
}

/// An error and what caused it.
fn chain(error: &(dyn Error + 'static)) -> String {
    error.source().map_or(error.to_string(), |source| format!("{error}; {}", chain(source)))
}

/// The positions that a walk gives and those it names as gaps, both oldest first, and what it names as their causes.
type Walked = (Vec<u64>, Vec<u64>, Vec<String>);

/// A walk; an error ends it.
fn walk(snapshot: &Snapshot, query: &Query) -> Result<Walked, (Vec<u64>, LogError)> {
    let mut cursor = snapshot.cursor(query);
    let (mut found, mut lost, mut causes) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(item) = cursor.next() {
        match item {
            Ok(Item::Record(record)) => found.push(record.position.0),
            Ok(Item::Gap(gap)) => {
                lost.extend(gap.positions.start.0..gap.positions.end.0);
                causes.push(chain(&gap.cause));
            }
            Err(error) => return Err((found, error)),
        }
    }
    found.sort_unstable();
    lost.sort_unstable();
    Ok((found, lost, causes))
}

/// Every record or gap, the engine's too, in both orders.
fn walk_over(snapshot: &Snapshot) -> Walked {
    let [one, other] = ORDERS.map(|order| {
        let query = Query { engine: true, gaps: true, order, ..Query::new() };
        walk(snapshot, &query).unwrap()
    });
    assert_eq!((&one.0, &one.1), (&other.0, &other.1));
    one
}

/// A prune whose unlinks were lost leaves files below the floor. A log shows nothing below its floor, whether they are
/// there or not, and knows the tree from there on.
#[test]
fn a_pruned_log_begins_at_its_floor() {
    for is_unlinked in [false, true] {
        let log = built();
        let bounds = bounds(&log);
        let (floor, end) = (Position(bounds[2].start), log.end());
        let mut newest = log.edit(3);
        (newest.header.floor, newest.header.prune) = (floor, Some(Position(bounds[3].start + 1)));
        newest.edit_footer(|footer| (footer.floor, footer.prune) = (floor, Some(Position(bounds[3].start + 1))));
        log.put(3, &newest);
        if is_unlinked {
            log.remove(0);
            log.remove(0);
        }
        let check = |snapshot: &Snapshot| {
            assert_eq!((snapshot.floor(), snapshot.end()), (floor, end));
            let infos: Vec<_> = snapshot.segments().unwrap().into_iter().map(|info| info.positions.start.0).collect();
            assert_eq!(infos, [bounds[2].start, bounds[3].start]);
            let below = Position(floor.0 - 1);
            for order in ORDERS {
                let query = Query { from: Some(below), engine: true, order, ..Query::new() };
                assert_eq!(walk(snapshot, &query).unwrap().0, (floor.0..end.0).collect::<Vec<_>>());
            }
            let pruned = |error| matches!(error, LogError::Pruned { below } if below == floor);
            assert!(pruned(snapshot.get(below, |_| ()).unwrap_err()));
            assert!(pruned(snapshot.head_at(below).unwrap_err()));
            assert!(pruned(snapshot.genesis().unwrap_err()));
            assert_eq!(snapshot.get(floor, |record| record.kind).unwrap(), Some(Kind::SEAL));
            assert_eq!(snapshot.head_at(floor).unwrap(), log.heads[1]);
            assert_eq!(snapshot.head_at(end).unwrap(), log.frontier.head());
        };
        check(&snapshot(&log));
        let written = Log::open(&log.host, Path::new(DIR), &LogOptions::new()).unwrap();
        check(&written.snapshot());
    }
}

#[test]
fn a_log_without_a_genesis_record_says_so() {
    let log = built();
    assert_eq!(snapshot(&log).genesis().unwrap().origin, build::ORIGIN);
    let mut first = log.edit(0);
    let payload = snapshot(&log).get(Position(0), |record| record.payload().unwrap().to_vec()).unwrap().unwrap();
    let mut frame = FrameBuilder::default();
    frame.push(&NewRecord { kind: Kind::ROW, time: Time(0), schema: SchemaId(1), salt: None, payload: &payload });
    let (seed, offset, epoch) = (&first.header.seed(), first.offset(0), first.header.epoch);
    let place = FramePlace { seed, offset, epoch, base: Position(0), durable_end: Position(0), more: false };
    let mut bytes = Vec::new();
    let header = frame.finish(&place, &mut bytes);
    assert_eq!(header.frame_len(), first.frames[0].0.frame_len());
    let body = bytes[FRAME_HEADER_LEN as usize..][..header.stored_len as usize].to_vec();
    first.frames[0] = (header, body);
    log.put(0, &first);
    let error = snapshot(&log).genesis().unwrap_err();
    assert!(error.to_string().contains("it begins without a genesis record"), "{error}");
}

#[test]
fn the_bytes_of_a_log_are_those_of_its_files() {
    let log = built();
    let lens = log.paths().iter().map(|path| log.disk.read_file(path).unwrap().len() as u64).sum::<u64>();
    assert_eq!(snapshot(&log).disk_bytes().unwrap(), lens);
}

/// The record at a position is durable once the end is above it.
#[test]
fn a_reader_waits_for_the_record_at_a_position_and_no_longer() {
    let log = built();
    let source = Source::Reader(LogReader::open(&log.host, Path::new(DIR)).unwrap());
    let (end, timeout) = (log.end(), Duration::from_millis(130));
    for (position, waited) in [(end.0 - 1, Duration::ZERO), (end.0, timeout), (end.0 + 1, timeout)] {
        let before = log.host.clock.monotonic();
        assert_eq!(source.wait_durable(Position(position), timeout).unwrap(), end);
        assert_eq!(log.host.clock.monotonic().saturating_sub(before), waited, "position {position}");
    }
}

/// A segment that is gone since the snapshot was made is missing, not an error of the disk.
#[test]
fn a_segment_that_vanished_is_missing() {
    let log = built();
    let bounds = bounds(&log);
    let snapshot = snapshot(&log);
    log.remove(1);
    for query in [Query::new(), Query { from_time: Some(Time(0)), ..Query::new() }] {
        let (found, error) = walk(&snapshot, &query).unwrap_err();
        assert_eq!(found, (1..bounds[0].end).collect::<Vec<_>>());
        assert!(error.is_missing() && error.is_damage(), "{error:?}");
    }
    let (found, lost, _) = walk_over(&snapshot);
    assert_eq!(lost, bounds[1].clone().collect::<Vec<_>>());
    assert_eq!(found.len() + lost.len(), log.end().0 as usize);
}

/// A segment is believed only if its footer ends where the next one begins: who asks for no gaps is given nothing of it.
#[test]
fn a_walk_without_gaps_gives_nothing_of_a_segment_whose_header_or_end_is_wrong() {
    let log = built();
    let bounds = bounds(&log);
    let flip = |at: fn(&[u8]) -> usize| {
        let log = built();
        let path = &log.paths()[1];
        let mut bytes = log.disk.read_file(path).unwrap();
        let at = at(&bytes);
        bytes[at] ^= 1;
        log.disk.write_file(path, &bytes).unwrap();
        log
    };
    log.remove(2);
    for (log, what) in [
        (log, "end position unlike the next base"),
        (flip(|_| 20), "segment header"),
        (flip(|bytes| bytes.len() - 1), "footer"),
    ] {
        let snapshot = snapshot(&log);
        for _ in 0..2 {
            let (found, error) = walk(&snapshot, &Query { engine: true, ..Query::new() }).unwrap_err();
            assert_eq!(found, (0..bounds[0].end).collect::<Vec<_>>(), "{what}");
            assert!(error.is_damage() && chain(&error).contains(what), "{what}: {error:?}");
            // Having been read with gaps does not make it whole.
            let (found, ..) = walk_over(&snapshot);
            assert!(bounds[1].clone().all(|position| found.contains(&position)), "{what}");
        }
    }
}

/// Whoever reads all records of the caller's has checked the engine's as well, unless a range of times leaves them out.
#[test]
fn a_walk_over_everything_finds_damage_in_the_records_it_filters_out() {
    for is_sealed in [false, true] {
        let mut log = LogBuilder::new(ID, false);
        log.frame(&[row(1, b"a record")], false);
        log.rotate();
        // A segment with a seal alone.
        if is_sealed {
            log.rotate();
        }
        log.finish(false);
        let path = &log.paths()[1];
        let mut bytes = log.disk.read_file(path).unwrap();
        let body = log.edit(1).offset(0) + FRAME_HEADER_LEN;
        bytes[body as usize + 9] ^= 1;
        log.disk.write_file(path, &bytes).unwrap();
        for order in ORDERS {
            let query = Query { order, ..Query::new() };
            assert!(walk(&snapshot(&log), &query).unwrap_err().1.is_damage());
            let query = Query { from_time: Some(Time(0)), ..query };
            assert_eq!(walk(&snapshot(&log), &query).unwrap().0, [1]);
        }
    }
}

/// One bad frame costs its own records, also the first under an entry of the index.
#[test]
fn each_bad_frame_of_a_sealed_segment_is_one_gap() {
    let log = built();
    let (path, edited) = (log.paths()[1].clone(), log.edit(1));
    let whole = log.disk.read_file(&path).unwrap();
    for (index, (header, _)) in edited.frames.iter().enumerate() {
        let Role::Data { .. } = header.role else { continue };
        let mut bytes = whole.clone();
        bytes[edited.offset(index) as usize + 3] ^= 1;
        log.disk.write_file(&path, &bytes).unwrap();
        let (found, lost, _) = walk_over(&snapshot(&log));
        assert_eq!(lost, (header.base.0..header.end().0).collect::<Vec<_>>());
        assert_eq!(found.len() + lost.len(), log.end().0 as usize);
    }
}

/// Bytes that are no frame between frames that follow each other cost no position, wherever they are; nor does a footer
/// that is gone.
#[test]
fn bytes_between_frames_are_no_gap_where_no_position_is_missing() {
    let log = built();
    let edited = log.edit(1);
    let count = edited.frames.iter().filter(|(header, _)| matches!(header.role, Role::Data { .. })).count();
    for at in 0..count {
        for more in [at, count] {
            let mut bytes = edited.header.encode();
            for (index, (header, body)) in edited.frames[..count].iter().enumerate() {
                if index == at || index == more {
                    bytes.extend([0xAB; 72]);
                }
                header.encode(body, &edited.header.seed(), bytes.len() as u64, &mut bytes);
            }
            log.disk.write_file(&log.paths()[1], &bytes).unwrap();
            let snapshot = snapshot(&log);
            let (found, lost, _) = walk_over(&snapshot);
            assert_eq!((found.len(), lost), (log.end().0 as usize, vec![]), "before frame {at}");
            for position in 0..log.end().0 {
                assert!(snapshot.get(Position(position), |_| ()).unwrap().is_some(), "{position}, before frame {at}");
            }
        }
    }
}

/// Shifts what lies behind the data of a segment, as its footer says it.
fn shift(footer: &mut Footer, by: i64) {
    footer.data_end = footer.data_end.wrapping_add_signed(by);
    footer.offset = footer.offset.wrapping_add_signed(by);
    footer.pages.iter_mut().for_each(|page| page.offset = page.offset.wrapping_add_signed(by));
}

/// Only frames with records say where positions are.
#[test]
fn a_frame_without_records_among_the_others_hides_none() {
    let log = built();
    let mut edited = log.edit(1);
    edited.edit_footer(|footer| shift(footer, FRAME_HEADER_LEN.cast_signed()));
    let at = edited.frames[3].0.clone();
    let mark = FrameHeader {
        role: Role::Mark,
        stored_len: 0,
        plain_len: 0,
        record_count: 0,
        times: TimeBounds::EMPTY,
        base: Position(at.base.0 + 2),
        ..at
    };
    edited.frames.insert(3, (mark, Vec::new()));
    log.put(1, &edited);
    for order in ORDERS {
        let query = Query { engine: true, order, ..Query::new() };
        let mut found = walk(&snapshot(&log), &query).unwrap().0;
        found.sort_unstable();
        assert_eq!(found, (0..log.end().0).collect::<Vec<_>>(), "{order:?}");
    }
}

/// An index that promises more than the frames hold: what is missing is named, and that nothing is there.
#[test]
fn a_position_without_a_frame_is_named_as_one() {
    let log = built();
    let mut edited = log.edit(1);
    let at = edited.frames.iter().rposition(|(header, _)| matches!(header.role, Role::Data { .. })).unwrap();
    let header = edited.frames[at].0.clone();
    edited.edit_footer(|footer| shift(footer, -header.frame_len().cast_signed()));
    edited.frames.remove(at);
    log.put(1, &edited);
    let (found, lost, causes) = walk_over(&snapshot(&log));
    assert_eq!((found.len() as u64, lost), (log.end().0 - 1, vec![header.base.0]));
    assert!(causes[0].contains("no frame for position"), "{causes:?}");
}

/// What is lost at the end lies behind what is durable, and so do the records between.
#[test]
fn a_durable_snapshot_of_a_damaged_log_ends_where_it_was_durable() {
    let mut log = LogBuilder::new(ID, false);
    for number in 0..3 {
        log.frame(&[row(number, b"a record")], false);
    }
    // Nothing says of the last frame that it is durable. What follows is no frame that any writer writes, and no torn one.
    let mut edited = log.edit(0);
    let (header, body) = edited.frames.last().unwrap().clone();
    let (durable_end, end) = (header.durable_end, log.end());
    assert_eq!(durable_end.0 + 1, end.0);
    edited.frames.push((FrameHeader { base: end, record_count: 2, ..header }, body));
    log.put(0, &edited);
    let snapshot = snapshot(&log);
    assert_eq!((snapshot.is_damaged(), snapshot.end(), snapshot.durable_end()), (true, end, durable_end));
    let (found, lost, _) = walk_over(&snapshot);
    assert_eq!((found, lost), ((0..end.0).collect(), vec![end.0]));
    let (found, lost, _) = walk_over(&snapshot.durable());
    assert_eq!((found, lost), ((0..durable_end.0).collect(), vec![]));
}
