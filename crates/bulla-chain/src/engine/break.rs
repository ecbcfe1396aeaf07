//! What a repair could not save, so that a repaired log says so for ever.

use bulla_wire::{LogId, Position};
use std::ops::Range;

use super::{Fields, VERSION, assert_writable, check_length, put_text};
use crate::digest::Digest;
use crate::error::EngineRecordError;
use crate::tree::TreeHead;

/// Stands for "nothing follows" in place of a position.
const NOWHERE: u64 = u64::MAX;

/// The payload of a record of kind [`Kind::BREAK`](bulla_wire::Kind::BREAK): positions of a damaged log that its repair
/// did not find, written in the repaired log where they would have been.
///
/// # Examples
///
/// ```
/// use bulla_chain::{Break, TreeHead};
/// use bulla_wire::{LogId, Position};
/// let lost = Break {
///     source: LogId([3; 16]),
///     lost: Position(41)..Position(62),
///     is_open: false,
///     resumes_at: Some(Position(63)),
///     source_root: None,
///     log: LogId([7; 16]),
///     head: TreeHead { size: 40, ..TreeHead::EMPTY },
///     cause: "checksum of frame header".to_owned(),
///     who: "ana".to_owned(),
/// };
/// assert_eq!(Break::decode(&lost.encode())?, lost);
/// # Ok::<(), bulla_chain::EngineRecordError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The damaged log.
    pub source: LogId,
    /// Its positions that are lost; empty if it was damaged and lost none.
    pub lost: Range<Position>,
    /// Whether more may be lost behind them, because nothing tells how far the log went.
    pub is_open: bool,
    /// The position there of the record that was copied next; `None` if none was.
    pub resumes_at: Option<Position>,
    /// The root of the damaged log below what is lost, if it could be computed.
    pub source_root: Option<Digest>,
    /// The log this was written in. A later repair copies it as it is.
    pub log: LogId,
    /// That log's head below this record.
    pub head: TreeHead,
    /// What was found, for people: at most [`CAUSE_BYTES_MAX`](Self::CAUSE_BYTES_MAX) bytes.
    pub cause: String,
    /// Who repaired, as they said: at most [`WHO_BYTES_MAX`](Self::WHO_BYTES_MAX) bytes.
    pub who: String,
}

impl Break {
    /// The longest cause, in bytes of UTF-8.
    pub const CAUSE_BYTES_MAX: u16 = 4096;
    /// The longest name of who repaired, in bytes of UTF-8.
    pub const WHO_BYTES_MAX: u16 = 1024;

    /// The record's payload.
    ///
    /// # Panics
    ///
    /// When a text is over its limit, or the positions fall.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert_writable(self.check());
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.source.0);
        bytes.extend_from_slice(&self.lost.start.0.to_le_bytes());
        bytes.extend_from_slice(&self.lost.end.0.to_le_bytes());
        bytes.push(u8::from(self.is_open));
        bytes.extend_from_slice(&self.resumes_at.map_or(NOWHERE, |position| position.0).to_le_bytes());
        bytes.extend_from_slice(&self.source_root.unwrap_or(Digest::ZERO).0);
        bytes.extend_from_slice(&self.log.0);
        bytes.extend_from_slice(&self.head.size.to_le_bytes());
        bytes.extend_from_slice(&self.head.root.0);
        put_text(&mut bytes, &self.cause);
        put_text(&mut bytes, &self.who);
        bytes
    }

    /// Reads the payload of a break record. Allocates for its two texts, once they are checked.
    ///
    /// # Errors
    ///
    /// [`EngineRecordError`] when `bytes` is not exactly one break record; `is_newer()` tells a later version from
    /// damage.
    pub fn decode(bytes: &[u8]) -> Result<Self, EngineRecordError> {
        let mut fields = Fields::of_version_1(bytes)?;
        let source = LogId(fields.array("source's log id")?);
        let lost = Position(fields.u64("first lost position")?)..Position(fields.u64("end of the lost")?);
        let is_open = fields.flag("flags")?;
        let resumes_at = fields.u64("position it resumes at")?;
        let source_root = Digest(fields.array("source's root")?);
        let log = LogId(fields.array("log id")?);
        let head = TreeHead { size: fields.u64("size")?, root: Digest(fields.array("root")?) };
        let cause = fields.text("cause", Self::CAUSE_BYTES_MAX)?;
        let who = fields.text("who", Self::WHO_BYTES_MAX)?;
        fields.end()?;
        let decoded = Self {
            source,
            lost,
            is_open,
            resumes_at: (resumes_at != NOWHERE).then_some(Position(resumes_at)),
            source_root: (source_root != Digest::ZERO).then_some(source_root),
            log,
            head,
            cause,
            who,
        };
        decoded.check()?;
        Ok(decoded)
    }

    fn check(&self) -> Result<(), EngineRecordError> {
        let resumes_at = self.resumes_at.map_or(NOWHERE, |position| position.0);
        if self.lost.start > self.lost.end || self.lost.end.0 > resumes_at {
            let (from, to) = (self.lost.start.0, self.lost.end.0);
            return Err(EngineRecordError::Lost { from, to, resumes_at });
        }
        check_length("cause", self.cause.len() as u64, Self::CAUSE_BYTES_MAX)?;
        check_length("who", self.who.len() as u64, Self::WHO_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Break {
        Break {
            source: LogId([1; 16]),
            lost: Position(5)..Position(9),
            is_open: false,
            resumes_at: Some(Position(10)),
            source_root: Some(Digest([2; 32])),
            log: LogId([3; 16]),
            head: TreeHead { size: 4, root: Digest([4; 32]) },
            cause: "found\nin two lines".to_owned(),
            who: "ana".to_owned(),
        }
    }

    /// G2 and G5: ranges that fall are neither written nor read.
    #[test]
    fn positions_rise_and_nothing_may_be_lost() {
        let at = Position;
        for (lost, resumes_at, is_right) in [
            (at(5)..at(5), Some(at(5)), true),
            (at(0)..at(9), None, true),
            (at(5)..at(4), None, false),
            (at(5)..at(9), Some(at(8)), false),
            (at(5)..at(u64::MAX), None, true),
        ] {
            let record = Break { lost, resumes_at, ..sample() };
            assert_eq!(record.check().is_ok(), is_right, "{record:?}");
            let encoded = std::panic::catch_unwind(|| record.encode());
            assert_eq!(encoded.is_ok(), is_right);
            if let Ok(bytes) = encoded {
                assert_eq!(Break::decode(&bytes), Ok(record));
            }
        }
        let mut bytes = sample().encode();
        bytes[17] = 10;
        assert_eq!(Break::decode(&bytes), Err(EngineRecordError::Lost { from: 10, to: 9, resumes_at: 10 }));
    }

    /// G4.
    #[test]
    fn texts_end_at_their_limits() {
        let longest = Break { cause: "c".repeat(4096), who: "w".repeat(1024), ..sample() };
        let bytes = longest.encode();
        assert_eq!(Break::decode(&bytes), Ok(longest));
        for (at, field, over, bytes_max) in [(130, "cause", 4097_u16, 4096), (132 + 4096, "who", 1025, 1024)] {
            let mut bytes = bytes.clone();
            bytes.splice(at..at + 2, over.to_le_bytes());
            let expected = EngineRecordError::TooLong { field, bytes: over.into(), bytes_max };
            assert_eq!(Break::decode(&bytes[..at + 2]), Err(expected), "{field} judged before it is there");
        }
        for found in 2..=u8::MAX {
            let mut bytes = sample().encode();
            bytes[33] = found;
            assert_eq!(Break::decode(&bytes), Err(EngineRecordError::Value { field: "flags", found }));
        }
    }
}
