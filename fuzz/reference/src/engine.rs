//! "Engine records", and "Entry".

use crate::bytes::{Bytes, NO_TIMES, Times};
use crate::{Read, Refused, must};

/// A tree head: size and root.
pub type Head = (u64, [u8; 32]);

/// Checks a version that must be 1.
fn version(found: u8) -> Read<()> {
    match found {
        0 => Err(Refused::Wrong),
        1 => Ok(()),
        _ => Err(Refused::Newer),
    }
}

/// UTF-8 of at most `bytes_max` behind its length.
fn text(bytes: &mut Bytes<'_>, bytes_max: u16) -> Read<String> {
    let len = bytes.u16()?;
    must(len <= bytes_max)?;
    String::from_utf8(bytes.take(len.into())?).map_err(|_| Refused::Wrong)
}

fn flag(byte: u8) -> Read<bool> {
    must(byte < 2)?;
    Ok(byte == 1)
}

/// The payload of a record of kind 128.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Genesis {
    pub log: [u8; 16],
    pub erasable: bool,
    pub origin: String,
    pub predecessor: Option<Predecessor>,
}

/// The log that another one continues.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Predecessor {
    pub log: [u8; 16],
    pub head: Head,
    pub reason: String,
}

impl Genesis {
    /// All of `payload`.
    pub fn read(payload: &[u8]) -> Read<Self> {
        let mut bytes = Bytes(payload);
        version(bytes.u8()?)?;
        let log = bytes.array()?;
        version(bytes.u8()?)?;
        let erasable = flag(bytes.u8()?)?;
        let origin = text(&mut bytes, 1024)?;
        // Category Cc: U+0000 to U+001F and U+007F to U+009F.
        must(!origin.chars().any(|letter| matches!(letter, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}')))?;
        let predecessor = if flag(bytes.u8()?)? {
            let (log, head) = (bytes.array()?, (bytes.u64()?, bytes.array()?));
            Some(Predecessor { log, head, reason: text(&mut bytes, 4096)? })
        } else {
            None
        };
        bytes.end()?;
        Ok(Self { log, erasable, origin, predecessor })
    }
}

/// The payload of a record of kind 129.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Seal {
    pub segment: u64,
    pub base: u64,
    pub end: u64,
    pub caller_count: u64,
    pub payload_bytes: u64,
    pub times: Times,
    pub root: [u8; 32],
    pub index_digest: [u8; 32],
    pub journal: Option<Head>,
}

impl Seal {
    /// All of `payload`.
    pub fn read(payload: &[u8]) -> Read<Self> {
        let mut bytes = Bytes(payload);
        version(bytes.u8()?)?;
        let (segment, base, end) = (bytes.u64()?, bytes.u64()?, bytes.u64()?);
        must(base < end)?;
        let (caller_count, payload_bytes) = (bytes.u64()?, bytes.u64()?);
        must(caller_count <= end - base)?;
        let times = (bytes.i64()?, bytes.i64()?);
        must(if caller_count == 0 { times == NO_TIMES } else { times.0 <= times.1 })?;
        let (root, index_digest) = (bytes.array()?, bytes.array()?);
        let journal = (bytes.u64()?, bytes.array()?);
        must(journal.0 > 0 || journal.1 == [0; 32])?;
        bytes.end()?;
        let journal = if journal.0 > 0 { Some(journal) } else { None };
        Ok(Self { segment, base, end, caller_count, payload_bytes, times, root, index_digest, journal })
    }
}

/// The payload of a record of kind 130.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Recovery {
    pub segment: u64,
    pub offset: u64,
    pub position: u64,
    pub quarantined_bytes: u64,
    pub may_have_been_acknowledged: bool,
    pub digest: [u8; 32],
}

impl Recovery {
    /// All of `payload`.
    pub fn read(payload: &[u8]) -> Read<Self> {
        let mut bytes = Bytes(payload);
        version(bytes.u8()?)?;
        let (segment, offset, position) = (bytes.u64()?, bytes.u64()?, bytes.u64()?);
        let quarantined_bytes = bytes.u64()?;
        let may_have_been_acknowledged = flag(bytes.u8()?)?;
        let digest = bytes.array()?;
        must(quarantined_bytes > 0 || digest == [0; 32])?;
        bytes.end()?;
        Ok(Self { segment, offset, position, quarantined_bytes, may_have_been_acknowledged, digest })
    }
}

/// The payload of a record of kind 134.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Break {
    pub source: [u8; 16],
    pub lost: (u64, u64),
    pub more: bool,
    pub resumes_at: u64,
    pub source_root: [u8; 32],
    pub log: [u8; 16],
    pub head: Head,
    pub cause: String,
    pub who: String,
}

impl Break {
    /// All of `payload`.
    pub fn read(payload: &[u8]) -> Read<Self> {
        let mut bytes = Bytes(payload);
        version(bytes.u8()?)?;
        let source = bytes.array()?;
        let lost = (bytes.u64()?, bytes.u64()?);
        must(lost.0 <= lost.1)?;
        let (more, resumes_at) = (flag(bytes.u8()?)?, bytes.u64()?);
        must(resumes_at >= lost.1)?;
        let (source_root, log) = (bytes.array()?, bytes.array()?);
        let head = (bytes.u64()?, bytes.array()?);
        let (cause, who) = (text(&mut bytes, 4096)?, text(&mut bytes, 1024)?);
        bytes.end()?;
        Ok(Self { source, lost, more, resumes_at, source_root, log, head, cause, who })
    }
}

/// What a leaf is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Entry {
    pub kind: u8,
    pub salted: bool,
    pub schema: u32,
    pub position: u64,
    pub time: i64,
    pub body: [u8; 32],
}

impl Entry {
    /// The 54 bytes of an entry.
    pub fn read(entry: &[u8; 54]) -> Read<Self> {
        let mut bytes = Bytes(entry);
        let (kind, flags) = (bytes.u8()?, bytes.u8()?);
        version(flags >> 4)?;
        must(flags & 0b1110 == 0)?;
        let (schema, position, time) = (bytes.u32()?, bytes.u64()?, bytes.i64()?);
        // Of the engine's kinds, those without a name are newer.
        Ok(Self { kind, salted: flags & 1 == 1, schema, position, time, body: bytes.array()? })
    }
}
