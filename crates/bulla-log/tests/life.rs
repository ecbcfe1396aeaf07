//! A log's life through its public interface: append, rotate, close, crash, open.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::large_stack_arrays)]

use bulla_log::{AppendOptions, Durability, Item, Log, LogOptions, LogReader, NewRow, Order, Query, TailKind};
use bulla_vfs::{Host, MemVfs};
use bulla_wire::{Kind, LogId, Position, SchemaId, Time};
use std::path::Path;
use std::sync::Arc;

fn host(disk: &MemVfs) -> Host {
    Host { fs: Arc::new(disk.clone()), ..Host::memory() }
}

fn options() -> LogOptions {
    LogOptions::new().segment_bytes_max(4 << 10).origin("test/log")
}

fn row(payload: &[u8], time: i64) -> NewRow<'_> {
    NewRow { kind: Kind::ROW, time: Time(time), schema: SchemaId(1), payload }
}

fn durable() -> AppendOptions {
    AppendOptions::default()
}

fn buffered() -> AppendOptions {
    AppendOptions { durability: Durability::Buffered, ..AppendOptions::default() }
}

fn payloads(log: &bulla_log::Snapshot, query: &Query) -> Vec<(u64, Vec<u8>)> {
    let mut cursor = log.cursor(query);
    let mut found = Vec::new();
    while let Some(item) = cursor.next() {
        match item.unwrap() {
            Item::Record(record) => found.push((record.position.0, record.payload().unwrap().to_vec())),
            Item::Gap(gap) => panic!("gap {gap:?}"),
        }
    }
    found
}

fn filled(disk: &MemVfs, count: u32) -> (Log, Vec<(u64, Vec<u8>)>) {
    let log = Log::create(&host(disk), Path::new("/log"), LogId([7; 16]), &options()).unwrap();
    let mut expected = Vec::new();
    for index in 0..count {
        let payload = format!("record {index} {}", "x".repeat((index as usize * 37) % 300)).into_bytes();
        let options = if index % 3 == 0 { durable() } else { buffered() };
        let position = log.append(&row(&payload, i64::from(index)), options).unwrap();
        expected.push((position.0, payload));
    }
    log.sync().unwrap();
    (log, expected)
}

#[test]
fn what_is_appended_is_read_both_ways_over_many_segments() {
    let disk = MemVfs::new();
    let (log, expected) = filled(&disk, 300);
    assert!(log.rotations() > 5, "{} rotations", log.rotations());
    assert_eq!(payloads(&log.snapshot(), &Query::new()), expected);
    let reversed: Vec<_> = expected.iter().rev().cloned().collect();
    let descending = Query { order: Order::Descending, ..Query::new() };
    assert_eq!(payloads(&log.snapshot(), &descending), reversed);
    let reader = LogReader::open(&host(&disk), Path::new("/log")).unwrap();
    assert_eq!(payloads(&reader.snapshot().unwrap(), &Query::new()), expected);
    for from in [0, 1, 100, 299, 320] {
        for (query, reference) in [
            (Query { from: Some(Position(from)), ..Query::new() }, expected.clone()),
            (Query { from: Some(Position(from)), order: Order::Descending, ..Query::new() }, reversed.clone()),
        ] {
            let reference: Vec<_> = reference.into_iter().filter(|(position, _)| *position >= from).collect();
            assert_eq!(payloads(&log.snapshot(), &query), reference, "from {from}");
        }
    }
    assert_eq!(log.genesis().unwrap().origin, "test/log");
}

#[test]
fn a_closed_log_opens_without_a_write_and_goes_on() {
    let disk = MemVfs::new();
    let (log, mut expected) = filled(&disk, 100);
    let head = log.head().unwrap();
    log.close().unwrap();
    assert!(log.append(&row(b"late", 0), durable()).is_err());
    let writes = disk.operations().writes;
    let log = Log::open(&host(&disk), Path::new("/log"), &options()).unwrap();
    assert_eq!(log.recovery().tail, TailKind::Clean);
    assert_eq!(log.head().unwrap(), head);
    assert_eq!(disk.operations().writes, writes);
    log.close().unwrap();
    assert_eq!(disk.operations().writes, writes, "closing an untouched log writes nothing");
    let log = Log::open(&host(&disk), Path::new("/log"), &options()).unwrap();
    let position = log.append(&row(b"again", 5), durable()).unwrap();
    expected.push((position.0, b"again".to_vec()));
    assert_eq!(payloads(&log.snapshot(), &Query::new()), expected);
    assert_eq!(log.snapshot().head_at(Position(head.size)).unwrap(), head);
    assert_eq!(log.head().unwrap(), log.snapshot().head_at(log.durable_end()).unwrap());
}

#[test]
fn a_power_cut_keeps_what_was_acknowledged() {
    let disk = MemVfs::new();
    let (log, expected) = filled(&disk, 120);
    log.append(&row(b"buffered and lost", 0), buffered()).unwrap();
    bulla_vfs::Vfs::sync_dir(&disk, Path::new("/")).unwrap();
    let after = disk.crash();
    drop(log);
    let log = Log::open(&host(&after), Path::new("/log"), &options()).unwrap();
    assert_eq!(payloads(&log.snapshot(), &Query::new()), expected);
    assert_eq!(log.recovery().tail, TailKind::Unclosed);
    let position = log.append(&row(b"after", 0), durable()).unwrap();
    let again = after.crash();
    let log = Log::open(&host(&again), Path::new("/log"), &options()).unwrap();
    assert_eq!(payloads(&log.snapshot(), &Query::new()).last().unwrap(), &(position.0, b"after".to_vec()));
    assert_eq!(log.head().unwrap(), log.snapshot().head_at(log.durable_end()).unwrap());
}
