//! The engine's own records: what a log says about itself.
//!
//! Each is the payload of a record of its own kind, so the tree commits to it as to any other. A payload does not
//! repeat the kind; whoever decodes it has read that from the record. Bytes: docs/FORMAT.md, "Engine records".
//!
//! # Invariants
//!
//! - G1. What `encode` writes, `decode` returns.
//! - G2. One value, one encoding: no bytes are left over, absent parts are zero, flags are 0 or 1, or `decode` refuses.
//! - G3. The version is read first, so that a later version is reported as newer, whatever its layout.
//! - G4. A length is checked against its limit and against the bytes at hand before anything is allocated.
//! - G5. What `decode` refuses in a value, `encode` refuses to write.
//!
//! # Not here
//!
//! Where such a record must stand and whether it agrees with its neighbours (`bulla-log`). Receipts for pruned and
//! erased records and freezes have kinds already, but version 1 of this crate does not write them.

mod r#break;
mod genesis;
mod recovery;
mod seal;

pub use r#break::Break;
pub use genesis::{Genesis, Predecessor};
pub use recovery::Recovery;
pub use seal::Seal;

use crate::error::EngineRecordError;

/// The one version of every layout here so far.
pub(crate) const VERSION: u8 = 1;
/// SHA-256, the one hash suite so far.
pub(crate) const SUITE: u8 = 1;

/// What is left to read of a payload.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Starts reading, past a version byte that must be 1.
    fn of_version_1(bytes: &'a [u8]) -> Result<Self, EngineRecordError> {
        let mut fields = Self { rest: bytes };
        match fields.u8("version")? {
            VERSION => Ok(fields),
            found => Err(EngineRecordError::Version { found }),
        }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], EngineRecordError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(EngineRecordError::Short { field })?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, EngineRecordError> {
        self.array(field).map(u8::from_le_bytes)
    }

    fn u64(&mut self, field: &'static str) -> Result<u64, EngineRecordError> {
        self.array(field).map(u64::from_le_bytes)
    }

    fn i64(&mut self, field: &'static str) -> Result<i64, EngineRecordError> {
        self.array(field).map(i64::from_le_bytes)
    }

    /// A byte that is 0 or 1.
    fn flag(&mut self, field: &'static str) -> Result<bool, EngineRecordError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(EngineRecordError::Value { field, found }),
        }
    }

    /// A length of two bytes and as many bytes of UTF-8.
    fn text(&mut self, field: &'static str, bytes_max: u16) -> Result<String, EngineRecordError> {
        let bytes = u16::from_le_bytes(self.array(field)?);
        check_length(field, bytes.into(), bytes_max)?;
        let (text, rest) = self.rest.split_at_checked(bytes.into()).ok_or(EngineRecordError::Short { field })?;
        self.rest = rest;
        let text = str::from_utf8(text).map_err(|source| EngineRecordError::NotText { field, source })?;
        Ok(text.to_owned())
    }

    /// Ends reading: nothing may be left.
    fn end(self) -> Result<(), EngineRecordError> {
        if self.rest.is_empty() { Ok(()) } else { Err(EngineRecordError::Leftover { bytes: self.rest.len() as u64 }) }
    }
}

fn check_length(field: &'static str, bytes: u64, bytes_max: u16) -> Result<(), EngineRecordError> {
    let bytes_max = u64::from(bytes_max);
    if bytes <= bytes_max { Ok(()) } else { Err(EngineRecordError::TooLong { field, bytes, bytes_max }) }
}

/// Appends a text that has passed [`check_length`], as [`Fields::text`] reads it.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).expect("BUG: a text of an engine record is longer than its limit");
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// G5: a value no reader would accept must not reach the log.
fn assert_writable(checked: Result<(), EngineRecordError>) {
    if let Err(error) = checked {
        panic!("BUG: engine record that cannot be read back: {error}");
    }
}
