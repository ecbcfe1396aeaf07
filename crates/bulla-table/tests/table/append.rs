//! Appending: T2, conditions, limits, durability.

use crate::support::{Disk, Login, NOW, login, table};
use bulla_log::LogError;
use bulla_table::{Durability, Kind, LogReader, Position, RawTable, RowOptions, Table, TableError, Time, View};
use std::time::{Duration, UNIX_EPOCH};

#[test]
fn positions_rise_and_the_next_one_is_known() {
    let table: Table<Login> = table();
    let expected = table.next_position();
    assert_eq!(table.append(&login("ada", 0)).unwrap(), expected);
    let batch = [login("ada", 1), login("ada", 2)];
    assert_eq!(table.append_batch(&batch).unwrap(), Position(expected.0 + 1)..Position(expected.0 + 3));
    let end = table.next_position();
    assert_eq!(table.append_batch(&[]).unwrap(), end..end, "an empty batch takes no position");
    assert_eq!(table.len().unwrap(), 3);
}

#[test]
fn options_say_time_and_kind() {
    let table: Table<u8> = table();
    let options = RowOptions::new().time(UNIX_EPOCH - Duration::from_nanos(7)).kind(127);
    let position = table.append_with(&1, &options).unwrap();
    let entry = table.get(position).unwrap().unwrap();
    assert_eq!((entry.time, entry.kind), (Time(-7), Kind(127)));

    let positions = table.append_batch_at([(Time(3), &1), (Time(1), &2)], &options).unwrap();
    let times: Vec<_> = table.query().positions(positions).iter().unwrap().map(|entry| entry.unwrap().time.0).collect();
    assert_eq!(times, [3, 1]);

    let positions = table.append_batch(&[1, 2]).unwrap();
    assert!(table.query().positions(positions).iter().unwrap().all(|entry| entry.unwrap().time == NOW));
}

#[test]
fn the_kinds_of_the_engine_are_refused() {
    let table: Table<u8> = table();
    for kind in [128, 255] {
        let error = table.append_with(&1, &RowOptions::new().kind(kind)).unwrap_err();
        assert!(matches!(error, TableError::Log(LogError::EngineKind { kind: found }) if found == kind), "{error}");
    }
    assert_eq!(table.len().unwrap(), 0);
}

/// T2. Records of these logs are at most 64 KiB.
#[test]
fn a_batch_with_one_row_too_large_appends_nothing() {
    let table: RawTable = table();
    table.append(&b"before".to_vec()).unwrap();
    let next = table.next_position();
    let rows = [b"small".to_vec(), vec![1; (64 << 10) + 1], b"small".to_vec()];
    let error = table.append_batch(&rows).unwrap_err();
    assert!(matches!(error, TableError::Log(LogError::TooLarge { .. })), "{error}");
    assert_eq!((table.next_position(), table.len().unwrap()), (next, 1));

    table.append(&vec![1; 64 << 10]).expect("the limit itself is allowed");
    assert_eq!(table.len().unwrap(), 2, "and the table still takes rows");
}

#[test]
fn a_batch_without_end_is_refused_before_memory_is() {
    let table: RawTable = table();
    let row = vec![0; 32 << 10];
    let error = table.append_batch(std::iter::repeat(&row)).unwrap_err();
    assert!(matches!(error, TableError::Log(LogError::TooLarge { .. })), "{error}");
    let error = table.append_batch(std::iter::repeat(&Vec::new())).unwrap_err();
    assert!(matches!(error, TableError::Log(LogError::TooLarge { .. })), "{error}");
    assert!(table.is_empty().unwrap());
}

#[test]
fn an_append_at_another_position_than_expected_is_a_conflict() {
    let table: Table<u8> = table();
    let seen = table.next_position();
    let first = table.append_with(&1, &RowOptions::new().expect_next(seen)).unwrap();
    assert_eq!(first, seen);
    let late = RowOptions::new().expect_next(seen);
    let errors = [table.append_with(&2, &late).unwrap_err(), table.append_batch_with(&[2, 3], &late).unwrap_err()];
    for error in errors {
        assert!(error.is_conflict() && !error.is_damage(), "{error}");
        assert!(matches!(error, TableError::Log(LogError::Conflict { expected, .. }) if expected == seen), "{error}");
    }
    assert_eq!(table.len().unwrap(), 1);
    table.append_with(&2, &RowOptions::new().expect_next(table.next_position())).unwrap();
}

#[test]
fn what_each_durability_lets_others_see() {
    let table: Table<u8> = table();
    let start = table.durable_end().unwrap();
    let buffered = RowOptions::new().durability(Durability::Buffered);
    let flushed = RowOptions::new().durability(Durability::Flushed);

    table.append_with(&1, &buffered).unwrap();
    table.flush().unwrap();
    table.append_with(&2, &flushed).unwrap();
    assert_eq!(table.len().unwrap(), 2, "flushed rows are read");
    assert_eq!(table.durable_end().unwrap(), start, "but no sync covers them");
    table.sync().unwrap();
    assert_eq!(table.durable_end().unwrap(), table.next_position());
    table.append(&3).unwrap();
    assert_eq!(table.durable_end().unwrap(), table.next_position(), "the default of this table is durable");
}

#[test]
fn a_submitted_row_is_there_once_its_ticket_says_so() {
    let table: Table<u8> = table();
    let next = table.next_position();
    let ticket = table.submit(&7, &RowOptions::new().time(5)).unwrap();
    assert_eq!(ticket.positions(), next..Position(next.0 + 1));
    ticket.wait(Durability::Durable).unwrap();
    assert!(table.durable_end().unwrap() > next);
    let entry = table.get(next).unwrap().unwrap();
    assert_eq!((entry.row, entry.time), (7, Time(5)));
}

#[test]
fn clones_append_from_many_threads_and_every_row_is_there_once() {
    let table: Table<(u8, u32)> = table();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let table = table.clone();
            scope.spawn(move || {
                for number in 0..50 {
                    table.append(&(thread, number)).unwrap();
                }
            });
        }
    });
    let rows: Vec<_> = table.query().iter().unwrap().map(|entry| entry.unwrap().row).collect();
    for thread in 0..4 {
        let own: Vec<_> = rows.iter().filter(|row| row.0 == thread).map(|row| row.1).collect();
        assert_eq!(own, (0..50).collect::<Vec<_>>(), "thread {thread}");
    }
    assert_eq!(rows.len(), 200);
}

#[test]
fn what_was_appended_is_there_after_closing_and_opening() {
    let disk = Disk::new();
    let table: Table<Login> = disk.table(1);
    let position = table.append(&login("ada", 2)).unwrap();
    table.log().close().unwrap();
    assert!(table.append(&login("eve", 0)).is_err(), "the log is closed through every handle");

    let log = bulla_table::Log::open(&disk.host, &Disk::dir(1), &bulla_log::LogOptions::new()).unwrap();
    let table: Table<Login> = crate::support::table_on(log, bulla_table::Schema::default());
    assert_eq!(table.get(position).unwrap().unwrap().row, login("ada", 2));
    assert!(!table.is_poisoned());

    let reader = LogReader::open(&disk.host, &Disk::dir(1)).unwrap();
    let view: View<Login> = View::new(bulla_table::Source::Reader(reader), "read", bulla_table::Schema::default());
    assert_eq!(view.get(position).unwrap().unwrap().row, login("ada", 2));
    assert_eq!((view.name(), view.schema().id().0), ("read", 1));
}

/// Handles cross threads whatever the row is: they hold none.
#[test]
fn handles_are_shared_between_threads() {
    fn is_shared<T: Clone + Send + Sync>() {}
    is_shared::<Table<std::rc::Rc<u8>>>();
    is_shared::<View<std::rc::Rc<u8>>>();
}
