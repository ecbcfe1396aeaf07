//! Journal rows as bytes.
//!
//! A row is a postcard enum: the variant's number, then its fields in order, without names. Bytes: docs/FORMAT.md,
//! "Journal records".
//!
//! # Invariants
//!
//! - J1. What `encode` writes, `decode` returns, and no other bytes decode to it.
//! - J2. A variant or schema this version does not know is newer, not damage. Fields are never added to a variant; a
//!   later version adds variants.

use bulla_chain::{Digest, TreeHead};
use bulla_table::{Codec, CodecError, Postcard};
use bulla_wire::SchemaId;
use serde::{Deserialize, Serialize};

/// The schema of every journal record.
pub(crate) const JOURNAL_SCHEMA: SchemaId = SchemaId(1);

/// Something that happened to the store. The order of variants and of their fields is the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum JournalRow {
    /// The store exists from here on. The first row, and never again.
    /// `segment_bytes` is what its tables' segments grow to unless a table or an opening says otherwise.
    StoreCreated { name: String, segment_bytes: Option<u64> },
    /// The table exists from here on, in the log of that id, which lies ready.
    TableCreated { name: String, log: [u8; 16], codec: String, erasable: bool, schema: u32 },
    /// Rows of that schema may follow.
    SchemaSeen { table: String, schema: u32 },
    /// A log was closed with this head. Written where no checkpoint of it could be made.
    HeadSeen { log: [u8; 16], head: Head },
    /// What earlier versions wrote for `StateNow`; says that nothing was checkpointed and there is no key.
    State { name: String, segment_bytes: Option<u64>, tables: Vec<TableRow> },
    /// Never written, and refused as newer: a kept store of an earlier version has it as the row of a later one.
    Reserved,
    /// As `HeadSeen`, and a checkpoint of this head is noted in the log's `checkpoints` from here on, unless a crash came
    /// in between.
    Checkpointed { log: [u8; 16], head: Head },
    /// Checkpoints are signed with this key from here on; `key` is a verifier key's text, `file` where the private one was
    /// said to be, or empty. `note` is the authority for it, signed by the key before; the first key has none.
    KeySet { key: String, file: String, note: Option<String> },
    /// Everything the rows before say, so that opening starts here. Written after the journal began a segment.
    StateNow { name: String, segment_bytes: Option<u64>, tables: Vec<TableNow>, key: Option<KeyNow> },
    /// Whoever signed `note` allowed the engine's record at that position of that log: an authority over the log, its head
    /// right before the record, and the record's payload.
    Allowed { log: [u8; 16], position: u64, note: String },
}

/// Variants above this are a later version's.
const VARIANT_MAX: u8 = 9;
/// Nobody's variant.
const VARIANT_RESERVED: u8 = 5;
/// Where a varint ends: below this a byte is its last.
const VARINT_MORE: u8 = 0x80;

/// One table of a state row. Tables are in the order of their names, schemas in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableRow {
    pub(crate) name: String,
    pub(crate) log: [u8; 16],
    pub(crate) codec: String,
    pub(crate) erasable: bool,
    /// Nanoseconds since the Unix epoch: the time of the record that created it.
    pub(crate) created: i64,
    pub(crate) schemas: Vec<u32>,
    /// The newest head seen.
    pub(crate) head: Option<Head>,
}

/// One table of a `StateNow` row: as before, and what was checkpointed of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableNow {
    pub(crate) table: TableRow,
    /// The size of the newest head of which a checkpoint was noted.
    pub(crate) checkpointed: Option<u64>,
}

/// The key of a `StateNow` row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyNow {
    pub(crate) key: String,
    pub(crate) file: String,
}

/// A tree head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    size: u64,
    root: [u8; 32],
}

impl From<TreeHead> for Head {
    fn from(head: TreeHead) -> Self {
        Self { size: head.size, root: head.root.0 }
    }
}

impl From<Head> for TreeHead {
    fn from(head: Head) -> Self {
        Self { size: head.size, root: Digest(head.root) }
    }
}

/// Why bytes are no row.
#[derive(Debug)]
pub(crate) enum RowError {
    /// A later version wrote them.
    Newer(String),
    /// Nobody wrote them.
    Codec(CodecError),
}

impl JournalRow {
    /// # Panics
    ///
    /// Never: texts, numbers and lists of them always have bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        Postcard::encode(self, &mut bytes).expect("BUG: a journal row has no bytes");
        bytes
    }

    /// J1 and J2.
    pub(crate) fn decode(schema: SchemaId, bytes: &[u8]) -> Result<Self, RowError> {
        if schema != JOURNAL_SCHEMA {
            return Err(RowError::Newer(format!("schema {}", schema.0)));
        }
        match bytes.first() {
            Some(&first) if first == VARIANT_RESERVED || (VARIANT_MAX + 1..VARINT_MORE).contains(&first) => {
                Err(RowError::Newer(format!("variant {first}")))
            }
            _ => Postcard::decode(bytes).map_err(RowError::Codec),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "acme+d21bfac3+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";

    fn every_variant() -> [(JournalRow, &'static str); 9] {
        let head = Head { size: 300, root: [0xee; 32] };
        let table = TableRow {
            name: "t".into(),
            log: [0xaa; 16],
            codec: "raw".into(),
            erasable: false,
            created: -1,
            schemas: vec![1, 2],
            head: Some(head),
        };
        [
            (JournalRow::StoreCreated { name: "shop".into(), segment_bytes: None }, "00 04 73686f70 00"),
            (
                JournalRow::TableCreated {
                    name: "logins".into(),
                    log: [0xaa; 16],
                    codec: "postcard".into(),
                    erasable: true,
                    schema: 1,
                },
                "01 06 6c6f67696e73 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 08 706f737463617264 01 01",
            ),
            (JournalRow::SchemaSeen { table: "t".into(), schema: 300 }, "02 01 74 ac02"),
            (
                JournalRow::HeadSeen { log: [0xaa; 16], head },
                "03 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ac02
                 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
            ),
            (
                JournalRow::State { name: "shop".into(), segment_bytes: Some(65_536), tables: vec![table.clone()] },
                "04 04 73686f70 01808004 01 01 74 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 03 726177 00 01 02 01 02 01 ac02
                 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
            ),
            (
                JournalRow::Checkpointed { log: [0xaa; 16], head },
                "06 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ac02
                 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
            ),
            (
                JournalRow::KeySet { key: KEY.into(), file: "k".into(), note: Some("n".into()) },
                "07 3a 61636d652b64323162666163332b4165704b624750696e46494b76765651
                 65784d7578666d5652336175767235376b6b4965366d6b5552744973 01 6b 01 01 6e",
            ),
            (
                JournalRow::StateNow {
                    name: "shop".into(),
                    segment_bytes: None,
                    tables: vec![TableNow { table, checkpointed: Some(300) }],
                    key: Some(KeyNow { key: "k".into(), file: String::new() }),
                },
                "08 04 73686f70 00 01 01 74 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 03 726177 00 01 02 01 02 01 ac02
                 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee 01 ac02 01 01 6b 00",
            ),
            (
                JournalRow::Allowed { log: [0xaa; 16], position: 300, note: "n".into() },
                "09 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ac02 01 6e",
            ),
        ]
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }

    /// J1. The vectors are docs/FORMAT.md's, and never change.
    #[test]
    fn each_row_has_the_bytes_of_the_format() {
        for (row, hex) in every_variant() {
            let bytes = unhex(hex);
            assert_eq!(row.encode(), bytes, "{row:?}");
            assert_eq!(JournalRow::decode(JOURNAL_SCHEMA, &bytes).unwrap(), row);
        }
    }

    /// J1. Left-over and missing bytes, an overlong number.
    #[test]
    fn other_bytes_are_refused() {
        for (row, hex) in every_variant() {
            let bytes = unhex(hex);
            let longer = [bytes.as_slice(), &[0]].concat();
            for wrong in [&longer[..], &bytes[..bytes.len() - 1]] {
                assert!(matches!(JournalRow::decode(JOURNAL_SCHEMA, wrong), Err(RowError::Codec(_))), "{row:?}");
            }
        }
        for wrong in [&[][..], &unhex("02 01 74 818000"), &unhex("84 00 04 73686f70 00 00")] {
            assert!(matches!(JournalRow::decode(JOURNAL_SCHEMA, wrong), Err(RowError::Codec(_))), "{wrong:?}");
        }
    }

    /// J2.
    #[test]
    fn an_unknown_variant_or_schema_is_newer() {
        let known = unhex("00 04 73686f70 00");
        let later = [[VARIANT_MAX + 1, 9, 9], [VARIANT_RESERVED, 9, 9]];
        for (schema, bytes) in [(JOURNAL_SCHEMA, &later[0][..]), (JOURNAL_SCHEMA, &later[1]), (SchemaId(2), &known)] {
            assert!(matches!(JournalRow::decode(schema, bytes), Err(RowError::Newer(_))), "{bytes:?}");
        }
    }
}
