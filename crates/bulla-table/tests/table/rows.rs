//! Rows to bytes and back: T1, K1 to K4, upgrades.

use crate::support::{Disk, Login, NOW, Outcome, Seeded, login, table, table_on};
use bulla_log::NewRow;
use bulla_table::{
    Codec, CodecError, Entry, Kind, Postcard, Raw, RawTable, Schema, SchemaId, Table, TableError, Time, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[test]
fn a_row_comes_back_with_its_position_time_kind_and_schema() {
    let table: Table<Login> = table();
    for attempts in 0..3 {
        let row = login("ada", attempts);
        let position = table.append(&row).unwrap();
        let expected = Entry { position, time: NOW, kind: Kind::ROW, schema: SchemaId(1), row };
        assert_eq!(table.get(position).unwrap(), Some(expected));
    }
}

#[test]
fn get_knows_neither_engine_records_nor_what_is_still_to_come() {
    let table: Table<Login> = table();
    assert_eq!(table.get(bulla_table::Position::ZERO).unwrap(), None, "the genesis record");
    assert_eq!(table.get(table.next_position()).unwrap(), None);
    assert_eq!(table.get(bulla_table::Position(u64::MAX)).unwrap(), None);
}

#[test]
fn raw_rows_keep_every_byte() {
    let table: RawTable = table();
    let all: Vec<u8> = (0..=255).collect();
    for row in [b"".to_vec(), b"{\"a\": 1}\r".to_vec(), vec![0; 10_000], all] {
        let position = table.append(&row).unwrap();
        assert_eq!(table.get(position).unwrap().unwrap().row, row);
    }
    assert_eq!((<Raw as Codec<Vec<u8>>>::NAME, <Postcard as Codec<u8>>::NAME), ("raw", "postcard"));
}

#[derive(Debug, Serialize, Deserialize)]
struct LoginV1 {
    user: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct LoginV2 {
    user: String,
    attempts: u32,
}

fn upgrade(schema: SchemaId, bytes: &[u8]) -> Result<Login, CodecError> {
    match schema {
        SchemaId(1) => Postcard::decode(bytes).map(|LoginV1 { user }| login(&user, 0)),
        SchemaId(2) => Postcard::decode(bytes).map(|LoginV2 { user, attempts }| login(&user, attempts)),
        _ => Err(CodecError::UnknownSchema),
    }
}

/// One log, written by three versions of a program and then by one from the future.
#[test]
fn rows_of_three_versions_are_read_as_the_newest() {
    let log = Disk::new().create(1);
    let first: Table<LoginV1> = table_on(log.clone(), Schema::new(SchemaId(1)));
    let second: Table<LoginV2> = table_on(log.clone(), Schema::new(SchemaId(2)));
    let third: Table<Login> = table_on(log.clone(), Schema::new(SchemaId(3)).upgrade(upgrade));
    first.append(&LoginV1 { user: "ada".to_owned() }).unwrap();
    second.append(&LoginV2 { user: "grace".to_owned(), attempts: 1 }).unwrap();
    third.append(&login("eve", 7)).unwrap();
    first.append(&LoginV1 { user: "alan".to_owned() }).unwrap();

    let rows: Vec<_> =
        third.query().iter().unwrap().map(|entry| entry.map(|entry| (entry.schema.0, entry.row)).unwrap()).collect();
    assert_eq!(rows, [(1, login("ada", 0)), (2, login("grace", 1)), (3, login("eve", 7)), (1, login("alan", 0))]);

    let future: Table<u8> = table_on(log, Schema::new(SchemaId(9)));
    let position = future.append(&1).unwrap();
    for (error, knows) in [(third.get(position).unwrap_err(), 3), (first.get(position).unwrap_err(), 1)] {
        assert!(
            matches!(error, TableError::UnknownSchema { found: SchemaId(9), expected: SchemaId(id), .. } if id == knows),
            "{error}"
        );
        assert_eq!(error.position(), Some(position));
        assert!(!error.is_damage() && !error.is_newer());
    }
}

/// K2 and K3: (what is wrong, the bytes). The right ones are `[1, 97, 3]`.
#[test]
fn bytes_that_are_not_exactly_one_row_are_refused_with_their_position() {
    let log = Disk::new().create(1);
    let table: Table<(String, u32)> = table_on(log.clone(), Schema::default());
    let right = table.append(&("a".to_owned(), 3)).unwrap();
    assert_eq!(table.query().rows().unwrap().next().unwrap().unwrap().payload(), Some(&[1, 97, 3][..]));
    let wrong: [(&str, &[u8]); 7] = [
        ("Leftover", &[1, 97, 3, 0]),
        ("Overlong", &[1, 97, 0x83, 0]),
        ("Overlong", &[0x81, 0, 97, 3]),
        ("Refused", &[1, 97]),
        ("Refused", &[]),
        ("Refused", &[1, 0xff, 3]),
        ("Refused", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ];
    for (what, payload) in wrong {
        let row = NewRow { kind: Kind::ROW, time: NOW, schema: SchemaId(1), payload };
        let position = log.append(&row, bulla_log::AppendOptions::default()).unwrap();
        let error = table.get(position).unwrap_err();
        assert!(matches!(&error, TableError::Decode { schema: SchemaId(1), .. }), "{error:?}");
        assert_eq!((error.position(), error.is_damage()), (Some(position), false));
        assert!(format!("{:?}", error.source().unwrap()).contains(what), "{payload:?}: {error:?}");
    }
    // The walk gives the row before them and then fails at the first of them, again and again (T5).
    let mut rows = table.query().iter().unwrap();
    assert_eq!(rows.next().unwrap().unwrap().position, right);
    let token = rows.token();
    for _ in 0..3 {
        let error = rows.next().unwrap().unwrap_err();
        assert_eq!(error.position(), right.next());
        assert!(matches!(error, TableError::Decode { .. }), "{error}");
        assert_eq!(rows.token(), token, "a row that was not given is still to come");
    }
}

/// K4, and that one row without maps has one encoding. A failure prints the bytes.
#[test]
fn no_bytes_panic_and_what_is_accepted_is_what_would_be_written() {
    let mut accepted = 0;
    for seed in 0..4_000 {
        let mut random = Seeded::new(seed);
        let mut bytes = Vec::new();
        Postcard::encode(&login("ada", u32::try_from(random.below(4)).unwrap() * 50), &mut bytes).unwrap();
        for _ in 0..=random.below(2) {
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            match random.below(4) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                2 => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
                _ => drop(bytes.drain(at..)),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        if let Ok(row) = <Postcard as Codec<Login>>::decode(&bytes) {
            accepted += 1;
            let mut again = Vec::new();
            Postcard::encode(&row, &mut again).unwrap();
            assert_eq!(again, bytes, "seed {seed}");
        }
    }
    assert!((500..3_500).contains(&accepted), "{accepted} were accepted");
}

/// A map has no order of its own; a row must not become unreadable for it.
#[test]
fn rows_with_maps_are_read_whatever_order_they_were_written_in() {
    let table: Table<HashMap<String, u64>> = table();
    for size in 0..40 {
        let row: HashMap<String, u64> = (0..size).map(|key| (format!("key {key}"), key)).collect();
        let position = table.append(&row).unwrap();
        assert_eq!(table.get(position).unwrap().unwrap().row, row);
    }
    // But a key given twice is lost on reading, so such bytes are not a row.
    let twice = [2, 1, b'a', 1, 1, b'a', 2];
    let error = <Postcard as Codec<BTreeMap<String, u64>>>::decode(&twice).unwrap_err();
    assert!(matches!(error, CodecError::Overlong { found: 7, needed: 4 }), "{error}");
}

#[test]
fn borrowed_rows_are_decoded_in_place() {
    let table: Table<(String, Outcome)> = table();
    table.append(&("ada".to_owned(), Outcome::Granted)).unwrap();
    let mut rows = table.query().rows().unwrap();
    let row = rows.next().unwrap().unwrap();
    let (user, outcome): (&str, Outcome) = row.decode().unwrap();
    assert_eq!((user, outcome), ("ada", Outcome::Granted));
    assert!(row.payload().unwrap().as_ptr_range().contains(&user.as_ptr()));
    assert!(matches!(row.decode::<&str>(), Err(TableError::Decode { source: CodecError::Leftover { bytes: 1 }, .. })));
    assert!(rows.next().is_none() && rows.next().is_none());

    let other: Table<(String, Outcome)> = table_on(table.log().clone(), Schema::new(SchemaId(2)));
    let mut rows = other.query().rows().unwrap();
    let error = rows.next().unwrap().unwrap().decode::<(&str, Outcome)>().unwrap_err();
    assert!(matches!(error, TableError::UnknownSchema { found: SchemaId(1), expected: SchemaId(2), .. }), "{error}");
}

struct Even;

/// A codec of the caller's own, with reasons of its own.
impl Codec<u8> for Even {
    const NAME: &'static str = "even";

    fn encode(row: &u8, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.push(*row);
        if row.is_multiple_of(2) { Ok(()) } else { Err(CodecError::refused("odd")) }
    }

    fn decode(bytes: &[u8]) -> Result<u8, CodecError> {
        bytes.first().copied().ok_or_else(|| CodecError::refused("empty"))
    }
}

#[test]
fn a_row_that_its_codec_refuses_is_not_appended() {
    let table: Table<u8, Even> = table();
    let next = table.next_position();
    for error in [table.append(&1).unwrap_err(), table.append_batch(&[2, 3, 4]).unwrap_err()] {
        assert!(matches!(error, TableError::Encode { .. }), "{error}");
        assert_eq!(error.source().unwrap().source().unwrap().to_string(), "odd");
    }
    assert_eq!((table.next_position(), table.len().unwrap()), (next, 0));
    let positions = table.append_batch(&[2, 4]).unwrap();
    assert_eq!(table.get(positions.start).unwrap().unwrap().row, 2);
}

#[test]
fn system_times_before_the_epoch_are_negative_and_far_ones_saturate() {
    let table: [(SystemTime, i64); 6] = [
        (UNIX_EPOCH, 0),
        (UNIX_EPOCH + Duration::new(1, 2), 1_000_000_002),
        (UNIX_EPOCH - Duration::new(1, 2), -1_000_000_002),
        (UNIX_EPOCH + Duration::from_nanos(i64::MAX.unsigned_abs()), i64::MAX),
        (UNIX_EPOCH + Duration::from_secs(1 << 40), i64::MAX),
        (UNIX_EPOCH - Duration::from_secs(1 << 40), i64::MIN),
    ];
    for (time, expected) in table {
        assert_eq!(Time::from(Timestamp::from(time)), Time(expected), "{time:?}");
    }
}
