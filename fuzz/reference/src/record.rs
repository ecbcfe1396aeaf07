//! "Record".

use crate::bytes::Bytes;
use crate::frame::Header;
use crate::{Read, Refused, must};

/// One record of a frame's body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Record {
    pub position: u64,
    pub kind: u8,
    pub schema: u32,
    pub time: i64,
    pub salted: bool,
    /// Of the payload as it was appended.
    pub len: u32,
    pub body: Body,
}

/// What is stored of the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it, behind its salt if it has one.
    Payload(Option<[u8; 16]>, Vec<u8>),
    /// Its body digest alone.
    Redacted([u8; 32]),
}

/// The records of `body`, plain, of the frame with `header`, up to the first that is refused, and why it is.
pub fn records(header: &Header, body: &[u8]) -> (Vec<Record>, Read<()>) {
    let mut bytes = Bytes(body);
    let mut all: Vec<Record> = Vec::new();
    for ordinal in 0..u64::from(header.record_count) {
        let (kind, schema, time) = all.last().map_or((0, 0, 0), |last| (last.kind, last.schema, last.time));
        match record(&mut bytes, header.base.wrapping_add(ordinal), kind, schema, time) {
            Ok(record) => all.push(record),
            Err(refused) => return (all, Err(refused)),
        }
    }
    (all, bytes.end())
}

fn record(bytes: &mut Bytes<'_>, position: u64, kind: u8, schema: u32, time: i64) -> Read<Record> {
    let tag = bytes.u8()?;
    if tag > 15 {
        return Err(Refused::Newer);
    }
    let has = |bit: u32| tag >> bit & 1 == 1;
    let (before_kind, before_schema) = (kind, schema);
    let mut record = Record { position, kind, schema, time, salted: has(2), len: 0, body: Body::Redacted([0; 32]) };
    if has(0) {
        record.kind = bytes.u8()?;
        must(record.kind != before_kind)?;
        if record.kind > 134 {
            return Err(Refused::Newer);
        }
    }
    if has(1) {
        record.schema = bytes.varint(32)? as u32;
        must(record.schema != before_schema)?;
    }
    record.time = time.wrapping_add(bytes.signed()?);
    record.len = bytes.varint(32)? as u32;
    must(record.len <= 67_108_864)?;
    record.body = if has(3) {
        Body::Redacted(bytes.array()?)
    } else {
        let salt = if has(2) { Some(bytes.array()?) } else { None };
        Body::Payload(salt, bytes.take(record.len.into())?)
    };
    Ok(record)
}
