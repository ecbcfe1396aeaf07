//! Any bytes as rows of a store's journal: what a reader of the store makes of them is what the format says.
//!
//! Input, for each row: two bytes, little-endian, of which the low 12 bits are its length and two of the others choose
//! another schema or kind; then its bytes.
#![no_main]

use std::path::Path;

use bulla::{Error, Reader, TableInfo, Verdict, VerifyOptions, verify};
use bulla_fuzz::{compare, disk, store};
use bulla_log::{AppendOptions, Durability, Log, LogOptions, NewRow};
use bulla_reference::{Journal, Read, Refused, Row, Table, row};
use bulla_vfs::MemVfs;
use bulla_wire::{Kind, LogId, SchemaId, Time};
use libfuzzer_sys::fuzz_target;

const TIME: i64 = -7;
const ROWS_MAX: usize = 64;

/// A row as it is appended.
struct Raw<'a> {
    kind: u8,
    schema: u32,
    bytes: &'a [u8],
}

fuzz_target!(|data: &[u8]| {
    let rows = rows(data);
    let disk = MemVfs::new();
    make(&disk, &rows);
    let before = disk::image(&disk);
    let expected: Vec<Read<Row>> = rows.iter().map(expected).collect();

    let verdict =
        verify(store::DIR, &VerifyOptions { host: store::host(&disk), ..VerifyOptions::default() }, &mut |_| {});
    let verdict = verdict.map(|report| report.verdict());
    if rows.iter().any(is_of_checkpoints) {
        if let Ok(reader) = Reader::open_on(&store::host(&disk), store::DIR) {
            let _ = (reader.tables(), reader.key());
        }
        disk::assert_same(&disk, &before, "reading changed something");
        let _ = store::options(&disk).create(false).open(store::DIR).map(bulla::Store::close);
        return;
    }
    match sum(&expected) {
        // All that is said must be there, and nothing below `tables` is.
        Ok(journal) if journal.tables.is_empty() && journal.name.as_deref() == Some("x") => {
            assert_eq!(verdict.ok(), Some(Verdict::Intact), "{expected:?}");
        }
        Ok(_) | Err(_) => assert_ne!(verdict.ok(), Some(Verdict::Intact), "{expected:?}"),
    }

    // A reader begins at the newest state row that can be read.
    let newest = expected.iter().rposition(|row| matches!(row, Ok(Row::State { .. }))).unwrap_or(0);
    let read = Reader::open_on(&store::host(&disk), store::DIR);
    let summed = sum(&expected[newest..]);
    match (&read, &summed) {
        (Err(error), Err(Refused::Newer)) => assert!(error.is_newer(), "{error}"),
        (Ok(reader), Ok(journal)) => {
            assert!(!reader.is_damaged());
            assert_eq!(Some(reader.name()), journal.name);
            let tables: Vec<Table> = reader.tables().expect("nothing changed").iter().map(in_other_words).collect();
            assert_eq!(tables, journal.tables);
        }
        (Ok(reader), Err(Refused::Wrong)) => {
            assert!(reader.is_damaged(), "{expected:?}");
            let _ = reader.tables();
        }
        (Err(Error::NoSuchStore { .. }), _) => assert!(expected.is_empty(), "{expected:?}"),
        _ => panic!("{read:?} is not {summed:?}"),
    }
    disk::assert_same(&disk, &before, "reading changed something");

    let opened = store::options(&disk).create(false).open(store::DIR);
    if summed.is_err() {
        assert!(opened.is_err(), "a store was opened that has {summed:?} rows");
        disk::assert_same(&disk, &before, "a refused store was changed");
    }
});

fn rows(mut data: &[u8]) -> Vec<Raw<'_>> {
    let mut rows = Vec::new();
    while let Some((head, rest)) = data.split_first_chunk::<2>()
        && rows.len() < ROWS_MAX
    {
        let head = u16::from_le_bytes(*head);
        let (bytes, rest) = rest.split_at(usize::from(head & 0xfff).min(rest.len()));
        let schema = if head & 0x8000 == 0 { 1 } else { 2 };
        let kind = if head & 0x4000 == 0 { 0 } else { 5 };
        rows.push(Raw { kind, schema, bytes });
        data = rest;
    }
    rows
}

/// Rows of checkpoints, keys and what was allowed, which the second reader does not have: nothing is asked of them but an answer.
fn is_of_checkpoints(raw: &Raw<'_>) -> bool {
    raw.kind == 0 && raw.schema == 1 && matches!(raw.bytes, [6..=9, ..])
}

fn expected(raw: &Raw<'_>) -> Read<Row> {
    if raw.kind == 0 { row(raw.schema, raw.bytes) } else { Err(Refused::Newer) }
}

/// What the rows say together; newer if one is, and wrong if one is or contradicts those before it.
fn sum(rows: &[Read<Row>]) -> Read<Journal> {
    if rows.iter().any(|row| matches!(row, Err(Refused::Newer))) {
        return Err(Refused::Newer);
    }
    let mut journal = Journal::default();
    for row in rows {
        journal.take(row.as_ref().map_err(|refused| *refused)?, TIME)?;
    }
    Ok(journal)
}

/// A store that holds a lock file and a journal with these rows.
fn make(disk: &MemVfs, rows: &[Raw<'_>]) {
    let (host, dir) = (store::host(disk), Path::new(store::DIR));
    host.fs.create_dir(dir).expect("an empty disk");
    disk.write_file(&dir.join("LOCK"), b"").expect("room");
    let options = LogOptions::new().origin("x/journal");
    let log = Log::create(&host, &dir.join("journal"), LogId([7; 16]), &options).expect("room");
    let batch: Vec<NewRow<'_>> = rows
        .iter()
        .map(|raw| NewRow { kind: Kind(raw.kind), time: Time(TIME), schema: SchemaId(raw.schema), payload: raw.bytes })
        .collect();
    if !batch.is_empty() {
        let flushed = AppendOptions { durability: Durability::Flushed, ..AppendOptions::default() };
        log.append_batch(&batch, flushed).expect("room");
    }
    log.close().expect("room");
}

fn in_other_words(table: &TableInfo) -> Table {
    Table {
        name: table.name.clone(),
        log: table.log.0,
        codec: table.codec.clone(),
        erasable: table.erasable,
        created: table.created.0,
        schemas: table.schemas.iter().map(|schema| schema.0).collect(),
        head: table.head.map(compare::head),
    }
}
