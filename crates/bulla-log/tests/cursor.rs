//! Cursors against a naive model, and what they read to answer.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::large_stack_arrays)]

#[path = "support/common.rs"]
mod common;

use bulla_log::{
    AppendOptions, Durability, Item, Log, LogOptions, LogReader, NewRow, Order, Query, ReadStats, Snapshot,
};
use bulla_vfs::{MemVfs, Random, SeededRandom};
use bulla_wire::{Kind, Position, SchemaId, Time};
use common::{all, create, dir, host, open, options, row, with};

/// A record of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Modelled {
    position: u64,
    kind: Kind,
    time: i64,
    len: usize,
}

struct Dice(SeededRandom);

impl Dice {
    fn below(&self, limit: u64) -> u64 {
        let mut word = [0; 8];
        self.0.fill(&mut word).unwrap();
        u64::from_le_bytes(word) % limit
    }

    fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A log of `count` records: times equal, backward, negative and extreme, kinds, sizes, batches and rotations.
fn seeded(dice: &Dice, count: usize, segment_bytes: u64, frame_target: u32) -> (MemVfs, Log, Vec<Modelled>) {
    let disk = MemVfs::new();
    let options = options().segment_bytes_max(segment_bytes).frame_target_bytes(frame_target);
    let log = create(disk.clone(), &options);
    let (mut model, mut clock) = (Vec::new(), 1000_i64);
    while model.len() < count {
        let len = if dice.below(8) == 0 { 1 + dice.below(30) as usize } else { 1 };
        let specs: Vec<_> = (0..len)
            .map(|_| {
                clock += dice.pick(&[0, 0, 1, 3, 10, -4, -50]);
                let time = if dice.below(60) == 0 { dice.pick(&[i64::MIN, i64::MAX, -1, 0]) } else { clock };
                let size = match dice.below(40) {
                    0 => 64 << 10,
                    1..4 => 5_000,
                    _ => dice.below(300) as usize,
                };
                (Kind(dice.pick(&[0, 0, 0, 1, 127])), time, vec![model.len() as u8; size])
            })
            .collect();
        let rows: Vec<_> = specs
            .iter()
            .map(|(kind, time, payload)| NewRow { kind: *kind, time: Time(*time), schema: SchemaId(2), payload })
            .collect();
        let durability = dice.pick(&[Durability::Buffered, Durability::Flushed, Durability::Durable]);
        let positions = log.append_batch(&rows, with(durability)).unwrap();
        for (position, (kind, time, payload)) in (positions.start.0..).zip(specs) {
            model.push(Modelled { position, kind, time, len: payload.len() });
        }
        if dice.below(40) == 0 {
            log.rotate().unwrap();
        }
    }
    log.sync().unwrap();
    (disk, log, model)
}

fn collect(snapshot: &Snapshot, query: &Query) -> (Vec<Modelled>, ReadStats) {
    let mut cursor = snapshot.cursor(query);
    let mut found = Vec::new();
    while let Some(item) = cursor.next() {
        let Item::Record(record) = item.unwrap() else { panic!("a gap") };
        let (position, len) = (record.position.0, record.payload_len() as usize);
        found.push(Modelled { position, kind: record.kind, time: record.time.0, len });
    }
    (found, cursor.stats())
}

fn expected(model: &[Modelled], query: &Query) -> Vec<Modelled> {
    let mut wanted: Vec<_> = model
        .iter()
        .filter(|record| {
            query.from.is_none_or(|from| record.position >= from.0)
                && query.to.is_none_or(|to| record.position < to.0)
                && query.from_time.is_none_or(|from| record.time >= from.0)
                && query.to_time.is_none_or(|to| record.time < to.0)
                && query.kind.is_none_or(|kind| record.kind == kind)
                && (query.engine || !record.kind.is_engine())
        })
        .cloned()
        .collect();
    if query.order == Order::Descending {
        wanted.reverse();
    }
    wanted
}

fn random_query(dice: &Dice, end: u64) -> Query {
    let some = |value| if dice.below(3) > 0 { Some(value) } else { None };
    let time = || {
        Time(
            dice.pick(&[i64::MIN, i64::MAX, -1, 0, 1, 900, 1000, 1001, 1100])
                .wrapping_add(dice.below(200).cast_signed()),
        )
    };
    Query {
        from: some(Position(dice.below(end + 5))),
        to: some(Position(dice.below(end + 5))),
        from_time: if dice.below(2) == 0 { Some(time()) } else { None },
        to_time: if dice.below(2) == 0 { Some(time()) } else { None },
        kind: if dice.below(4) == 0 { Some(Kind(dice.pick(&[0, 1, 127, 5]))) } else { None },
        order: dice.pick(&[Order::Ascending, Order::Descending]),
        engine: dice.below(4) == 0,
        gaps: dice.below(4) == 0,
    }
}

/// C3: what a cursor yields is what a filter over all records does. A failure prints the seed.
#[test]
fn any_query_yields_what_a_filter_over_everything_does() {
    for seed in 0..12 {
        let dice = Dice(SeededRandom::new(seed));
        let (segment_bytes, target) =
            dice.pick(&[(4 << 10, 4096), (64 << 10, 4096), (1 << 20, 64), (16 << 10, 16 << 10)]);
        let (disk, log, rows) = seeded(&dice, 400, segment_bytes, target);
        // The engine's records are in no model, so they are taken from a plain walk.
        let (model, _) = collect(&log.snapshot(), &Query { engine: true, ..Query::new() });
        assert_eq!(expected(&model, &Query::new()), rows, "seed {seed}");
        all(&log.snapshot());
        let reader = LogReader::open(&host(disk.clone()), dir()).unwrap();
        let check = |snapshot: &Snapshot, what: &str| {
            for number in 0..60 {
                let query = random_query(&dice, model.len() as u64);
                let (found, _) = collect(snapshot, &query);
                assert_eq!(found, expected(&model, &query), "seed {seed}, {what}, query {number}: {query:?}");
            }
        };
        check(&log.snapshot(), "writer");
        check(&reader.snapshot().unwrap(), "reader");
        log.close().unwrap();
        check(&open(&disk).unwrap().snapshot(), "reopened");
    }
}

/// Resuming: a new cursor from the last position yielded goes on without a repetition or a hole.
#[test]
fn a_walk_may_be_resumed_at_every_position() {
    let dice = Dice(SeededRandom::new(77));
    let (_, log, model) = seeded(&dice, 250, 8 << 10, 512);
    let snapshot = log.snapshot();
    for order in [Order::Ascending, Order::Descending] {
        let base = Query { order, from_time: Some(Time(950)), ..Query::new() };
        let whole = expected(&model, &base);
        for (index, record) in whole.iter().enumerate() {
            let query = match order {
                Order::Ascending => Query { from: Position(record.position).next(), ..base.clone() },
                Order::Descending => Query { to: Some(Position(record.position)), ..base.clone() },
            };
            let mut cursor = snapshot.cursor(&query);
            for wanted in whole[index + 1..].iter().take(5) {
                let Some(Ok(Item::Record(found))) = cursor.next() else { panic!("after {record:?}: nothing") };
                assert_eq!(found.position.0, wanted.position, "{order:?} after {record:?}");
            }
        }
    }
}

#[test]
fn records_of_a_mebibyte_and_many_tiny_frames_are_read_both_ways() {
    let disk = MemVfs::new();
    let log = create(disk, &options().segment_bytes_max(8 << 20).frame_target_bytes(1));
    let mut expected = Vec::new();
    for number in 0..12_000_usize {
        let payload = if number % 3_000 == 2_000 { vec![9; 1 << 20] } else { vec![number as u8; number % 7] };
        let position = log.append(&row(&payload), with(Durability::Buffered)).unwrap();
        expected.push((position.0, payload.len()));
    }
    log.sync().unwrap();
    for order in [Order::Ascending, Order::Descending] {
        let (found, stats) = collect(&log.snapshot(), &Query { order, ..Query::new() });
        let mut found: Vec<_> = found.into_iter().map(|record| (record.position, record.len)).collect();
        if order == Order::Descending {
            found.reverse();
        }
        assert_eq!(found, expected, "{order:?}");
        let size = log.snapshot().segments().unwrap().iter().map(|segment| segment.file_bytes).sum::<u64>();
        assert!(stats.bytes_read < size + size / 10, "{order:?}: {stats:?} of {size} bytes");
    }
}

/// A log with `segments` sealed segments of `bytes`, its times rising, closed and opened again.
fn big(segments: u64, bytes: u64) -> (MemVfs, Log, LogOptions) {
    let disk = MemVfs::new();
    let options = options().segment_bytes_max(bytes);
    let log = create(disk.clone(), &options);
    let mut time = 0;
    while log.rotations() < segments {
        let payload = [7; 200];
        let row = NewRow { kind: Kind::ROW, time: Time(time), schema: SchemaId(0), payload: &payload };
        log.append(&row, AppendOptions { durability: Durability::Buffered, ..AppendOptions::default() }).unwrap();
        time += 1;
    }
    log.close().unwrap();
    let log = Log::open(&host(disk.clone()), dir(), &options).unwrap();
    (disk, log, options)
}

/// C1 and C2.
#[test]
fn a_descending_walk_reads_the_data_once_in_small_steps() {
    let (disk, log, _) = big(1, 8 << 20);
    let snapshot = log.snapshot();
    let size: u64 = snapshot.segments().unwrap().iter().map(|segment| segment.file_bytes).sum();
    for order in [Order::Descending, Order::Ascending] {
        let mut cursor = snapshot.cursor(&Query { order, ..Query::new() });
        let (mut before, mut count) = (0, 0_u64);
        while let Some(item) = cursor.next() {
            item.unwrap();
            count += 1;
            let now = cursor.stats().bytes_read;
            // A window, two pages of the index, and on the first step the footer.
            assert!(now - before <= (64 << 10) + (64 << 10), "{order:?}: {} bytes in a step", now - before);
            before = now;
        }
        let stats = cursor.stats();
        assert_eq!(count, snapshot.caller_count().unwrap());
        assert!(stats.bytes_read <= size + size / 10, "{order:?}: {stats:?} of {size} bytes");
        assert!(stats.segments_opened <= 2, "{stats:?}");
    }
    let reads = disk.operations().bytes_read;
    collect(&snapshot, &Query { order: Order::Descending, ..Query::new() });
    assert!(disk.operations().bytes_read - reads <= size + size / 10, "the counts are those of the disk");
}

#[test]
fn what_lies_outside_a_query_is_not_read() {
    let (disk, log, options) = big(12, 64 << 10);
    let end = log.next_position().0;
    drop(log);
    let log = Log::open(&host(disk.clone()), dir(), &options).unwrap();
    let snapshot = log.snapshot();
    // Times no record has: footers alone are read.
    for (from, to) in [(i64::MIN, 0), (1 << 40, i64::MAX), (500, 500), (600, 500)] {
        let query = Query { from_time: Some(Time(from)), to_time: Some(Time(to)), ..Query::new() };
        let (found, stats) = collect(&snapshot, &query);
        assert!(found.is_empty());
        assert_eq!((stats.frames_read, stats.index_pages_read), (0, 0), "{from}..{to}: {stats:?}");
    }
    // A time range in the middle.
    let query = Query { from_time: Some(Time(1000)), to_time: Some(Time(1020)), ..Query::new() };
    let (found, stats) = collect(&snapshot, &query);
    assert_eq!(found.len(), 20);
    assert!(stats.segments_opened <= 2 && stats.index_pages_read <= 4 && stats.frames_read <= 4, "{stats:?}");
    // A range of positions: no other segment is opened.
    let log = Log::open(&host(disk.clone()), dir(), &options).unwrap();
    let query = Query { from: Some(Position(end / 2)), to: Some(Position(end / 2 + 3)), ..Query::new() };
    let (found, stats) = collect(&log.snapshot(), &query);
    assert!(found.len() >= 2 && stats.segments_opened == 1 && stats.frames_read <= 2, "{stats:?}");
    // One record costs the frames of one entry; the second time the segment is open already.
    for position in [0, 1, end / 3, end / 2, end - 2] {
        let snapshot = log.snapshot();
        snapshot.get(Position(position), |_| ()).unwrap().unwrap();
        let before = disk.operations().bytes_read;
        let len = snapshot.get(Position(position), |record| u64::from(record.payload_len())).unwrap().unwrap();
        let read = disk.operations().bytes_read - before;
        assert!(read <= 2 * 32 * 512 + 2 * (8 << 10), "position {position} of {len} bytes: {read} bytes read");
    }
    assert_eq!(log.snapshot().get(Position(end), |_| ()).unwrap(), None);
    assert_eq!(log.snapshot().get(Position(u64::MAX), |_| ()).unwrap(), None);
}

/// L8: opening after a clean close reads headers and summaries, whatever the number of records.
#[test]
fn opening_reads_no_records() {
    let mut costs = Vec::new();
    for segments in [3, 24] {
        let (disk, log, options) = big(segments, 64 << 10);
        drop(log);
        let before = disk.operations();
        let log = Log::open(&host(disk.clone()), dir(), &options).unwrap();
        let after = disk.operations();
        assert_eq!(after.writes, before.writes);
        costs.push(after.bytes_read - before.bytes_read);
        assert!(log.head().unwrap().size > 0);
    }
    assert!(costs[1] <= costs[0] + 4096 && costs[0] < 16 << 10, "{costs:?} bytes");
}
