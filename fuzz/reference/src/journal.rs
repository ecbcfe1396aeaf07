//! "Journal records", and the names of "Store".

use crate::bytes::Bytes;
use crate::engine::Head;
use crate::{Read, Refused, must};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub enum Row {
    StoreCreated { name: String, segment_bytes: Option<u64> },
    TableCreated { name: String, log: [u8; 16], codec: String, erasable: bool, schema: u32 },
    SchemaSeen { table: String, schema: u32 },
    HeadSeen { log: [u8; 16], head: Head },
    State { name: String, segment_bytes: Option<u64>, tables: Vec<Table> },
}

/// A table, as a state row has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Table {
    pub name: String,
    pub log: [u8; 16],
    pub codec: String,
    pub erasable: bool,
    pub created: i64,
    pub schemas: Vec<u32>,
    pub head: Option<Head>,
}

/// All of `payload`, under `schema`.
pub fn row(schema: u32, payload: &[u8]) -> Read<Row> {
    if schema != 1 || payload.first().is_some_and(|first| (5..128).contains(first)) {
        return Err(Refused::Newer);
    }
    let mut bytes = Bytes(payload);
    let bytes = &mut bytes;
    let row = match bytes.varint(32)? {
        0 => Row::StoreCreated { name: text(bytes)?, segment_bytes: option(bytes, |bytes| bytes.varint(64))? },
        1 => Row::TableCreated {
            name: text(bytes)?,
            log: bytes.array()?,
            codec: text(bytes)?,
            erasable: truth(bytes)?,
            schema: bytes.varint(32)? as u32,
        },
        2 => Row::SchemaSeen { table: text(bytes)?, schema: bytes.varint(32)? as u32 },
        3 => Row::HeadSeen { log: bytes.array()?, head: head(bytes)? },
        4 => Row::State {
            name: text(bytes)?,
            segment_bytes: option(bytes, |bytes| bytes.varint(64))?,
            tables: list(bytes, table)?,
        },
        _ => return Err(Refused::Wrong),
    };
    bytes.end()?;
    Ok(row)
}

fn table(bytes: &mut Bytes<'_>) -> Read<Table> {
    Ok(Table {
        name: text(bytes)?,
        log: bytes.array()?,
        codec: text(bytes)?,
        erasable: truth(bytes)?,
        created: bytes.signed()?,
        schemas: list(bytes, |bytes| Ok(bytes.varint(32)? as u32))?,
        head: option(bytes, head)?,
    })
}

fn head(bytes: &mut Bytes<'_>) -> Read<Head> {
    Ok((bytes.varint(64)?, bytes.array()?))
}

fn truth(bytes: &mut Bytes<'_>) -> Read<bool> {
    let byte = bytes.u8()?;
    must(byte < 2)?;
    Ok(byte == 1)
}

pub(crate) fn text(bytes: &mut Bytes<'_>) -> Read<String> {
    let len = bytes.varint(64)?;
    String::from_utf8(bytes.take(len)?).map_err(|_| Refused::Wrong)
}

/// Every item takes a byte at least, so a count beyond the bytes at hand ends with them.
pub(crate) fn list<T>(bytes: &mut Bytes<'_>, item: impl Fn(&mut Bytes<'_>) -> Read<T>) -> Read<Vec<T>> {
    let (count, mut items) = (bytes.varint(64)?, Vec::new());
    for _ in 0..count {
        items.push(item(bytes)?);
    }
    Ok(items)
}

pub(crate) fn option<T>(bytes: &mut Bytes<'_>, item: impl Fn(&mut Bytes<'_>) -> Read<T>) -> Read<Option<T>> {
    if truth(bytes)? { item(bytes).map(Some) } else { Ok(None) }
}

/// Whether `name` may be that of a store or table.
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || [b'.', b'_', b'-'].contains(&byte);
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed)
}

/// What rows say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Journal {
    pub name: Option<String>,
    pub segment_bytes: Option<u64>,
    /// In the order of their names.
    pub tables: Vec<Table>,
}

impl Journal {
    /// Takes in a row written at `time`. An error says that it contradicts the rows before it.
    pub fn take(&mut self, row: &Row, time: i64) -> Read<()> {
        // The first row is the store's creation, or the newest state row.
        must(self.name.is_some() || matches!(row, Row::StoreCreated { .. } | Row::State { .. }))?;
        match row {
            Row::StoreCreated { name, segment_bytes } => {
                must(self.name.is_none() && is_name(name))?;
                (self.name, self.segment_bytes) = (Some(name.clone()), *segment_bytes);
            }
            Row::TableCreated { name, log, codec, erasable, schema } => {
                must(is_name(name) && self.tables.iter().all(|table| table.name != *name && table.log != *log))?;
                let (name, codec, schemas) = (name.clone(), codec.clone(), vec![*schema]);
                let created = Table { name, log: *log, codec, erasable: *erasable, created: time, schemas, head: None };
                self.tables.push(created);
                self.tables.sort_by(|left, right| left.name.cmp(&right.name));
            }
            Row::SchemaSeen { table, schema } => {
                let table = self.tables.iter_mut().find(|known| known.name == *table).ok_or(Refused::Wrong)?;
                must(!table.schemas.contains(schema))?;
                table.schemas.push(*schema);
                table.schemas.sort_unstable();
            }
            Row::HeadSeen { log, head } => {
                let table = self.tables.iter_mut().find(|known| known.log == *log).ok_or(Refused::Wrong)?;
                must(table.head.is_none_or(|seen| head.0 > seen.0))?;
                table.head = Some(*head);
            }
            Row::State { name, segment_bytes, tables } => {
                let said = Self { name: Some(name.clone()), segment_bytes: *segment_bytes, tables: tables.clone() };
                must(is_name(name) && said.is_orderly() && (self.name.is_none() || *self == said))?;
                *self = said;
            }
        }
        Ok(())
    }

    fn is_orderly(&self) -> bool {
        let rises = |schemas: &[u32]| schemas.windows(2).all(|pair| pair[0] < pair[1]);
        let logs: std::collections::BTreeSet<_> = self.tables.iter().map(|table| table.log).collect();
        logs.len() == self.tables.len()
            && self.tables.windows(2).all(|pair| pair[0].name < pair[1].name)
            && self.tables.iter().all(|table| is_name(&table.name) && rises(&table.schemas))
    }
}
