//! What is asked for wrongly is refused with a typed error, and nothing is touched.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use bulla::{Error, Event, Host, MemVfs, Options, Raw, Reader, Store, TableOptions, VerifyOptions, verify};
use std::sync::Arc;

fn open(host: &Host) -> Store {
    Options::new().host(host.clone()).open("/shop").unwrap()
}

#[test]
fn a_directory_of_other_things_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("diary.txt"), "dear diary").unwrap();
    let errors = [
        Store::open(dir.path()).unwrap_err(),
        Options::new().create_new(true).open(dir.path()).unwrap_err(),
        Reader::open(dir.path()).unwrap_err(),
        verify(dir.path(), &VerifyOptions::default(), &mut |_| {}).unwrap_err(),
        Store::open(dir.path().join("diary.txt")).unwrap_err(),
    ];
    for error in errors {
        assert!(error.is_not_a_store() && !error.is_damage(), "{error:?}");
    }
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["diary.txt"]);
}

#[test]
fn a_missing_store_is_missing_and_not_made_by_reading() {
    let host = Host::memory();
    let create = Options::new().host(host.clone()).create(false);
    let options = VerifyOptions { host: host.clone(), ..VerifyOptions::default() };
    let errors = [
        create.open("/shop").unwrap_err(),
        Reader::open_on(&host, "/shop").unwrap_err(),
        verify("/shop", &options, &mut |_| {}).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::NoSuchStore { .. }) && error.is_missing(), "{error:?}");
    }
    assert!(host.fs.metadata("/shop".as_ref()).is_err());
}

#[test]
fn a_new_store_is_not_made_over_an_old_one() {
    let host = Host::memory();
    open(&host).close().unwrap();
    let error = Options::new().host(host.clone()).create_new(true).open("/shop").unwrap_err();
    assert!(matches!(error, Error::AlreadyAStore { .. }), "{error:?}");
    open(&host).close().unwrap();
}

#[test]
fn names_that_break_the_rules_are_refused() {
    let store = Store::in_memory().unwrap();
    let long = "x".repeat(65);
    for name in ["", ".", "..", ".hidden", "Logins", "a/b", "a b", "../x", &long] {
        let error = store.table::<Event>(name).unwrap_err();
        assert!(matches!(error, Error::BadName { .. }), "{name}: {error:?}");
        let error = Options::new().host(Host::memory()).name(name).open("/shop").unwrap_err();
        assert!(matches!(error, Error::BadName { .. }), "{name}: {error:?}");
    }
    let error = store.table::<Event>("journal").unwrap_err();
    assert!(matches!(error, Error::BadName { .. }), "a report could not tell it from the journal: {error:?}");
    assert!(store.tables().is_empty());
}

#[test]
fn a_table_is_opened_as_it_was_created() {
    let host = Host::memory();
    let store = open(&host);
    store.table_with::<Event, bulla::Postcard>("trail", &TableOptions::new().erasable(true)).unwrap();
    let wrong_codec = store.table_with::<Vec<u8>, Raw>("trail", &TableOptions::new()).unwrap_err();
    assert_eq!(wrong_codec.to_string(), "table trail was created with codec postcard, not raw");
    let options = TableOptions::new().erasable(false);
    let wrong_salt = store.table_with::<Event, bulla::Postcard>("trail", &options).unwrap_err();
    assert!(matches!(wrong_salt, Error::TableDiffers { what: "erasable", .. }), "{wrong_salt:?}");
    store.table::<Event>("trail").unwrap();
    let reader = Reader::open_on(&host, "/shop").unwrap();
    assert!(matches!(reader.view::<Vec<u8>, Raw>("trail", bulla::Schema::default()), Err(Error::TableDiffers { .. })));
    reader.raw("trail").unwrap();
}

#[test]
fn a_table_that_is_not_there_is_named_and_not_created() {
    let store = Store::in_memory().unwrap();
    let error = store.open_table::<Event, bulla::Postcard>("trail", &TableOptions::new()).unwrap_err();
    assert!(matches!(&error, Error::NoSuchTable { table, .. } if table == "trail"), "{error:?}");
    assert!(store.raw_view("trail").unwrap_err().is_missing());
    assert!(store.tables().is_empty());
}

#[test]
fn closing_is_loud_while_other_handles_are_alive_and_closes_all_the_same() {
    let host = Host::memory();
    let store = open(&host);
    let trail = store.table::<Event>("trail").unwrap();
    let clone = store.clone();
    assert!(matches!(store.close(), Err(Error::StillShared { .. })));
    trail.append(&Event::default()).unwrap_err();
    assert!(matches!(clone.table::<Event>("trail"), Err(Error::Closed { .. })));
    assert!(matches!(clone.close(), Err(Error::Closed { .. })));
    open(&host).close().unwrap();
}

/// A disk that fills up: the append says so, and once there is room again everything goes on.
#[test]
fn a_full_disk_is_said_to_be_full_and_nothing_is_lost() {
    let disk = MemVfs::new();
    let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
    let store = open(&host);
    let trail = store.table::<Event>("trail").unwrap();
    trail.append(&Event::new("ana", "first", "")).unwrap();
    disk.set_capacity(Some(0));
    let error = trail.append(&Event::new("ana", "second", "x".repeat(900_000))).map_err(Error::from).unwrap_err();
    assert!(error.is_full() && !error.is_poisoned(), "{error:?}");
    // The reserve is what makes the close frame fit.
    disk.set_capacity(Some(2 << 20));
    store.close().unwrap();
    assert!(host.fs.metadata("/shop/reserve".as_ref()).is_err());

    disk.set_capacity(None);
    let store = open(&host);
    assert_eq!(store.table::<Event>("trail").unwrap().len().unwrap(), 1);
    assert!(host.fs.metadata("/shop/reserve".as_ref()).is_ok());
    store.close().unwrap();
}
