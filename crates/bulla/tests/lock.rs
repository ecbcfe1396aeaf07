//! One writer, any number of readers beside it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use bulla::{Durability, Event, Host, Options, Position, Reader, RowOptions, Store};
use std::time::Duration;

fn event(number: u32) -> Event {
    Event::new("ana", "count", number.to_string())
}

#[test]
fn a_second_writer_is_refused_until_the_first_closes() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Host::memory();
    for (host, dir) in [(Host::os(), dir.path()), (memory, "/shop".as_ref())] {
        let options = Options::new().host(host);
        let store = options.open(dir).unwrap();
        let error = options.open(dir).unwrap_err();
        assert!(error.is_locked() && !error.is_damage(), "{error:?}");
        assert_eq!(error.path(), Some(dir));
        store.close().unwrap();
        options.open(dir).unwrap().close().unwrap();
    }
}

/// A table, or a copy of its view, writes or may write as long as it lives.
#[test]
fn a_table_keeps_the_lock_and_a_closed_store_lets_go_of_it() {
    let host = Host::memory();
    let options = Options::new().host(host);
    let store = options.open("/shop").unwrap();
    let view = store.table::<Event>("trail").unwrap().view().clone();
    drop(store);
    assert!(options.open("/shop").unwrap_err().is_locked());
    drop(view);

    let store = options.open("/shop").unwrap();
    let trail = store.table::<Event>("trail").unwrap();
    store.close().unwrap();
    let next = options.open("/shop").unwrap();
    trail.append(&event(1)).unwrap_err();
    next.table::<Event>("trail").unwrap().append(&event(2)).unwrap();
}

#[test]
fn a_replaced_lock_file_stops_the_writer() {
    let host = Host::memory();
    let store = Options::new().host(host.clone()).open("/shop").unwrap();
    let early = store.table::<Event>("early").unwrap();
    early.append(&event(1)).unwrap();
    host.fs.remove_file("/shop/LOCK".as_ref()).unwrap();
    early.rotate().unwrap_err();
    assert!(early.is_poisoned() && store.is_poisoned());
    let errors =
        [store.table::<Event>("trail").unwrap_err(), store.maintain().unwrap_err(), store.close().unwrap_err()];
    for error in errors {
        assert!(error.is_poisoned(), "{error:?}");
    }
}

#[test]
fn a_reader_sees_tables_and_rows_as_they_come() {
    let host = Host::memory();
    let store = Options::new().host(host.clone()).open("/shop").unwrap();
    let reader = Reader::open_on(&host, "/shop").unwrap();
    assert_eq!((reader.name(), reader.tables().unwrap().len()), (String::from("shop"), 0));
    assert!(reader.table::<Event>("trail").unwrap_err().is_missing());

    let trail = store.table::<Event>("trail").unwrap();
    let view = reader.table::<Event>("trail").unwrap();
    assert_eq!(reader.tables().unwrap()[0].name, "trail");
    for number in 0..3 {
        let position = trail.append(&event(number)).unwrap();
        assert_eq!(view.get(position).unwrap().unwrap().row, event(number));
    }
    trail.append_with(&event(3), &RowOptions::new().durability(Durability::Buffered)).unwrap();
    assert_eq!(view.len().unwrap(), 3);
    let mut follower = view.tail(Position(0));
    for number in 0..3 {
        assert_eq!(follower.next_timeout(Duration::from_secs(5)).unwrap().unwrap().row, event(number));
    }
    assert!(!reader.is_damaged());
    store.close().unwrap();
}

/// Reading makes nothing: no lock file, no reserve, not a byte.
#[test]
fn a_reader_and_verification_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.table::<Event>("trail").unwrap().append(&event(1)).unwrap();
    store.close().unwrap();
    for name in ["LOCK", "reserve"] {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    let files = || {
        let mut files = Vec::new();
        let mut dirs = vec![dir.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    dirs.push(entry.path());
                } else {
                    files.push((entry.path(), std::fs::read(entry.path()).unwrap()));
                }
            }
        }
        files.sort();
        files
    };
    let before = files();
    assert_eq!(Reader::open(dir.path()).unwrap().table::<Event>("trail").unwrap().len().unwrap(), 1);
    bulla::verify(dir.path(), &bulla::VerifyOptions::default(), &mut |_| {}).unwrap();
    assert_eq!(files(), before);
}
