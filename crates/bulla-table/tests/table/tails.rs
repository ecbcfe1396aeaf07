//! Tails: T4 and F1 to F3.

use crate::support::{Disk, table, table_on};
use bulla_log::{AppendOptions, NewRow};
use bulla_table::{
    Durability, Kind, LogReader, Position, RowOptions, Schema, SchemaId, Source, Table, TableError, Time, View,
};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a slow machine, and never waited for when all is well.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough that a row would have come.
const MOMENT: Duration = Duration::from_millis(150);

fn reader(disk: &Disk) -> View<u32> {
    let reader = LogReader::open(&disk.host, &Disk::dir(1)).unwrap();
    View::new(Source::Reader(reader), "read", Schema::default())
}

/// Appends 600 numbers, one by one and in batches, while segments are sealed every 4 KiB and by hand.
fn write(table: &Table<u32>) {
    for number in (0..600).step_by(3) {
        table.append(&number).unwrap();
        table.append_batch(&[number + 1, number + 2]).unwrap();
        if number % 150 == 0 {
            table.rotate().unwrap();
        }
    }
}

/// Follows `view` to the last of the numbers while they are written.
fn follow(view: &View<u32>, table: &Table<u32>) {
    let mut tail = view.tail(Position::ZERO).timeout(PATIENCE);
    thread::scope(|scope| {
        scope.spawn(|| write(table));
        let mut last = Position::ZERO;
        for number in 0..600 {
            let entry = tail.next().expect("a row in time").unwrap();
            assert_eq!(entry.row, number);
            assert!(entry.position > last || last == Position::ZERO);
            assert_eq!(Some(tail.position()), entry.position.next());
            last = entry.position;
        }
    });
    assert!(tail.next_timeout(MOMENT).unwrap().is_none());
    assert!(table.segments().unwrap().len() > 4);
}

#[test]
fn a_tail_in_the_process_gives_each_row_once_across_rotation() {
    let table: Table<u32> = table();
    follow(table.view(), &table);
}

#[test]
fn a_tail_beside_the_writer_gives_each_row_once_across_rotation() {
    let disk = Disk::new();
    let table: Table<u32> = disk.table(1);
    follow(&reader(&disk), &table);
}

/// F1.
#[test]
fn rows_come_when_they_are_durable_and_not_before() {
    let disk = Disk::new();
    let table: Table<u32> = disk.table(1);
    table.append(&1).unwrap();
    let inside = table.view().clone();
    for view in [inside, reader(&disk)] {
        let number = u32::try_from(table.len().unwrap()).unwrap();
        let mut tail = view.tail(table.durable_end().unwrap());
        let flushed = RowOptions::new().durability(Durability::Flushed);
        let position = table.append_with(&number, &flushed).unwrap();
        assert!(tail.next_timeout(MOMENT).unwrap().is_none(), "no sync covers the row");
        assert!(tail.position() <= position);
        let mut behind = view.tail(Position::ZERO).timeout(MOMENT);
        let last = behind.by_ref().last().expect("the rows before it").unwrap();
        assert!(last.position < position && behind.position() <= position, "those it covers, and no more");
        table.sync().unwrap();
        let entry = tail.next_timeout(PATIENCE).unwrap().expect("it is durable now");
        assert_eq!((entry.position, entry.row), (position, number));
        assert!(tail.next_timeout(Duration::ZERO).unwrap().is_none());
    }
}

/// Within 100 ms, as the table says; the writer notes when it was done.
#[test]
fn a_tail_beside_the_writer_hears_of_a_row_soon() {
    let disk = Disk::new();
    let table: Table<u32> = disk.table(1);
    let mut tail = reader(&disk).tail(table.durable_end().unwrap());
    let mut delays: Vec<Duration> = (0..5)
        .map(|number| {
            thread::scope(|scope| {
                let writer = scope.spawn(|| {
                    thread::sleep(Duration::from_millis(30));
                    table.append(&number).unwrap();
                    Instant::now()
                });
                assert_eq!(tail.next_timeout(PATIENCE).unwrap().unwrap().row, number);
                let heard = Instant::now();
                heard.saturating_duration_since(writer.join().unwrap())
            })
        })
        .collect();
    // A busy machine may hold up one of them; not most.
    delays.sort();
    assert!(delays[2] <= Duration::from_millis(100), "{delays:?}");
}

#[test]
fn a_tail_that_ended_for_want_of_rows_goes_on() {
    let table: Table<u32> = table();
    let mut tail = table.tail(table.floor().unwrap()).timeout(Duration::from_millis(1));
    for number in 0..3 {
        assert!(tail.next().is_none());
        table.append(&number).unwrap();
        assert_eq!(tail.by_ref().map(|entry| entry.unwrap().row).collect::<Vec<_>>(), [number]);
    }
    assert_eq!(tail.position(), table.durable_end().unwrap());
    let from_the_middle: Vec<_> =
        table.tail(Position(2)).timeout(Duration::ZERO).map(|entry| entry.unwrap().row).collect();
    assert_eq!(from_the_middle, [1, 2]);
}

/// T5: a row that cannot be read is neither lost nor stepped over.
#[test]
fn a_row_that_cannot_be_read_fails_until_it_is_left_out() {
    let log = Disk::new().create(1);
    let table: Table<u32> = table_on(log.clone(), Schema::default());
    table.append(&1).unwrap();
    let bad = NewRow { kind: Kind::ROW, time: Time(0), schema: SchemaId(1), payload: &[1, 2, 3] };
    let position = log.append(&bad, AppendOptions::default()).unwrap();
    table.append(&2).unwrap();

    let mut tail = table.tail(Position::ZERO).timeout(Duration::ZERO);
    assert_eq!(tail.next().unwrap().unwrap().row, 1);
    for _ in 0..3 {
        let error = tail.next().unwrap().unwrap_err();
        assert!(matches!(error, TableError::Decode { position: found, .. } if found == position), "{error}");
        assert_eq!(tail.position(), position);
    }
    let mut tail = table.tail(position.next().unwrap()).timeout(Duration::ZERO);
    assert_eq!(tail.next().unwrap().unwrap().row, 2);
}
