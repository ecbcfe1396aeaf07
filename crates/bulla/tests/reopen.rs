//! What was appended is there after closing, dropping and opening again, and cursors go on where they stood.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use bulla::{
    CursorToken, Durability, Event, Host, MemVfs, Options, Position, Raw, Reader, RowOptions, Schema, SchemaId, Store,
    TableOptions, TailKind,
};
use common::Watched;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Login {
    user: String,
    ok: bool,
}

fn login(number: u32) -> Login {
    Login { user: format!("user-{number}"), ok: number.is_multiple_of(2) }
}

fn open(host: &Host) -> Store {
    Options::new().host(host.clone()).open("/var/shop").unwrap()
}

fn users(store: &Store) -> Vec<String> {
    let logins = store.table::<Login>("logins").unwrap();
    logins.query().iter().unwrap().map(|entry| entry.unwrap().row.user).collect()
}

#[test]
fn two_tables_are_there_again_after_a_clean_close() {
    let host = Host::memory();
    let store = open(&host);
    let logins = store.table::<Login>("logins").unwrap();
    let lines = store.table_with::<Vec<u8>, Raw>("lines", &TableOptions::new()).unwrap();
    let first = logins.append(&login(0)).unwrap();
    logins.append_batch(&[login(1), login(2)]).unwrap();
    let line = lines.append(&b"as it came\r".to_vec()).unwrap();
    let (head, infos) = (logins.head().unwrap(), store.tables());
    store.close().unwrap();

    let store = open(&host);
    assert_eq!(store.name(), "shop");
    let names: Vec<_> = store.tables().into_iter().map(|table| (table.name, table.log, table.origin)).collect();
    assert_eq!(names, infos.into_iter().map(|table| (table.name, table.log, table.origin)).collect::<Vec<_>>());
    assert!(names[1].2.starts_with("shop/logins/"), "{names:?}");
    let logins = store.table::<Login>("logins").unwrap();
    assert_eq!(logins.get(first).unwrap().unwrap().row, login(0));
    assert_eq!(users(&store), ["user-0", "user-1", "user-2"]);
    assert!(logins.contains_head(&head).unwrap());
    let lines = store.open_table::<Vec<u8>, Raw>("lines", &TableOptions::new()).unwrap();
    assert_eq!(lines.get(line).unwrap().unwrap().row, b"as it came\r");
    for (name, report) in store.recovery() {
        assert_eq!(report.tail, TailKind::Clean, "{name}");
    }
    store.close().unwrap();
}

#[test]
fn a_token_survives_reopening_and_continues_after_the_last_row() {
    let host = Host::memory();
    let store = open(&host);
    let logins = store.table::<Login>("logins").unwrap();
    for number in 0..5 {
        logins.append(&login(number)).unwrap();
    }
    let page = logins.query().descending().limit(2).page().unwrap();
    let token = page.next.unwrap().to_string();
    store.close().unwrap();

    let store = open(&host);
    let token: CursorToken = token.parse().unwrap();
    let rest = store.table::<Login>("logins").unwrap().query().descending().after(&token).page().unwrap();
    let rest: Vec<_> = rest.entries.into_iter().map(|entry| entry.row).collect();
    assert_eq!(rest, [login(2), login(1), login(0)]);
}

/// The power fails: what was acknowledged as durable is on the disk, what was buffered is not, and no table is lost.
#[test]
fn a_crash_loses_nothing_that_was_acknowledged() {
    let disk = MemVfs::new();
    let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
    let store = open(&host);
    let logins = store.table::<Login>("logins").unwrap();
    logins.append(&login(1)).unwrap();
    logins.append_with(&login(2), &RowOptions::new().durability(Durability::Buffered)).unwrap();
    store.table::<Event>("empty").unwrap();

    let host = Host { fs: Arc::new(disk.crash()), ..Host::memory() };
    let store = open(&host);
    assert_eq!(users(&store), ["user-1"]);
    let names: Vec<_> = store.tables().into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["empty", "logins"]);
    store.close().unwrap();
}

/// The power fails after each sync of creating a store and a table in it: each time the next open succeeds, a table is
/// there with its rows or not at all, and nothing else is left behind.
#[test]
fn creation_can_be_interrupted_anywhere_and_is_finished() {
    let watched = Watched::new(1);
    let store = open(&watched.host());
    store.table::<Login>("logins").unwrap().append(&login(7)).unwrap();
    store.close().unwrap();
    let crashes = watched.crashes();
    assert!(crashes.len() > 10, "{}", crashes.len());
    for (index, disk) in crashes.into_iter().enumerate() {
        let host = Host { fs: Arc::new(disk), ..Host::memory() };
        let open = || Options::new().host(host.clone()).open("/var/shop");
        let store = open().unwrap_or_else(|error| panic!("{index}: {error:?}"));
        let names: Vec<_> = store.tables().into_iter().map(|table| table.name).collect();
        assert!(names.is_empty() || names == ["logins"], "{index}: {names:?}");
        assert_eq!(host.fs.list(Path::new("/var/shop/tables")).unwrap().len(), names.len(), "{index}");
        assert_eq!(store.name(), "shop", "{index}");
        let users = users(&store);
        assert!(users.is_empty() || users == ["user-7"], "{index}: {users:?}");
        store.close().unwrap_or_else(|error| panic!("{index}: {error:?}"));
        open().unwrap_or_else(|error| panic!("{index}: {error:?}")).close().unwrap();
    }
}

/// After a failed sync nobody knows what is on the disk, so nothing is acknowledged any more; opening again finds out.
#[test]
fn a_failed_sync_stops_the_store_until_it_is_opened_again() {
    let watched = Watched::new(1);
    let host = watched.host();
    let store = open(&host);
    let (logins, other) = (store.table::<Login>("logins").unwrap(), store.table::<Login>("other").unwrap());
    logins.append(&login(1)).unwrap();
    watched.fail_syncs(Some("logins"));
    logins.append(&login(2)).unwrap_err();
    watched.fail_syncs(None);
    assert!(logins.append(&login(3)).unwrap_err().is_poisoned() && store.is_poisoned());
    other.append(&login(4)).unwrap();
    let error = store.close().unwrap_err();
    assert!(error.is_poisoned(), "{error:?}");

    let store = open(&host);
    let users = users(&store);
    assert_eq!(users[0], "user-1");
    assert!(users.len() == 1 || users[1..] == ["user-2"], "{users:?}");
    assert_eq!(store.table::<Login>("other").unwrap().len().unwrap(), 1);
    store.close().unwrap();
}

#[test]
fn an_open_table_is_shared_and_outlives_its_store() {
    let host = Host::memory();
    let store = open(&host);
    let (first, second) = (store.table::<Login>("logins").unwrap(), store.clone().table::<Login>("logins").unwrap());
    let position = first.append(&login(1)).unwrap();
    assert_eq!(second.append(&login(2)).unwrap(), Position(position.0 + 1));
    drop(store);
    first.append(&login(3)).unwrap();
    let locked = Options::new().host(host.clone()).open("/var/shop").unwrap_err();
    assert!(locked.is_locked(), "{locked:?}");
    drop((first, second));
    assert_eq!(users(&open(&host)).len(), 3);
}

#[test]
fn schemas_are_recorded_and_a_raw_view_reads_them_all() {
    let host = Host::memory();
    let store = open(&host);
    store.table::<Login>("logins").unwrap().append(&login(1)).unwrap();
    let newer = TableOptions::new().schema(Schema::<Event>::new(SchemaId(2)));
    store.table_with::<Event, bulla::Postcard>("logins", &newer).unwrap().append(&Event::default()).unwrap();
    assert_eq!(store.tables()[0].schemas, [SchemaId(1), SchemaId(2)]);
    assert_eq!(store.raw_view("logins").unwrap().len().unwrap(), 2);
    store.close().unwrap();

    let reader = Reader::open_on(&host, "/var/shop").unwrap();
    assert_eq!(reader.tables().unwrap()[0].schemas, [SchemaId(1), SchemaId(2)]);
    let rows: Vec<_> = reader.raw("logins").unwrap().query().iter().unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.iter().map(|entry| entry.schema).collect::<Vec<_>>(), [SchemaId(1), SchemaId(2)]);
}

#[test]
fn a_store_in_a_real_directory_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("a").join("b");
    let store = Store::open(&dir).unwrap();
    store.table::<Login>("logins").unwrap().append(&login(1)).unwrap();
    store.close().unwrap();
    assert!(dir.join("LOCK").exists() && dir.join("reserve").metadata().unwrap().len() == 2 << 20);
    let store = Store::open(&dir).unwrap();
    assert_eq!((store.name(), users(&store).len()), ("b", 1));
    store.close().unwrap();
}
