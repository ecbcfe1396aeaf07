//! The first record of every segment but the first: a commitment to the segment before it.

use bulla_wire::{Position, SegmentNumber, Time, TimeBounds};

use super::{Fields, VERSION, assert_writable};
use crate::digest::Digest;
use crate::error::EngineRecordError;
use crate::tree::TreeHead;

const LEN: usize = 161;

/// What is logical in a sealed segment: the payload of a record of kind
/// [`Kind::SEAL`](bulla_wire::Kind::SEAL), always the first of the next segment.
///
/// File offsets, compression, checksums and layout are left out: they may change without touching what was recorded.
/// Counts, times and payload bytes are of the caller's records; the engine's own are in the extent and the head only.
///
/// # Examples
///
/// ```
/// use bulla_chain::{Digest, Seal, StreamDigest, TreeHead};
/// use bulla_wire::{Position, SegmentNumber, Time, TimeBounds};
/// let seal = Seal {
///     segment: SegmentNumber(0),
///     base: Position(0),
///     caller_count: 2,
///     payload_bytes: 400,
///     times: TimeBounds { min: Time(10), max: Time(20) },
///     head: TreeHead { size: 3, root: Digest([7; 32]) }, // A genesis and two of the caller's.
///     index_digest: StreamDigest::index_column().finish(),
///     journal: None,
/// };
/// assert_eq!(Seal::decode(&seal.encode())?, seal);
/// assert_eq!(seal.end(), Position(3));
/// # Ok::<(), bulla_chain::EngineRecordError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The sealed segment.
    pub segment: SegmentNumber,
    /// Its first position.
    pub base: Position,
    /// How many of its records are the caller's.
    pub caller_count: u64,
    /// How many bytes of payload it holds.
    pub payload_bytes: u64,
    /// The times of the caller's records; [`TimeBounds::EMPTY`] exactly when there are none.
    pub times: TimeBounds,
    /// The tree head at the segment's end. Its size is the position after the segment's last record.
    pub head: TreeHead,
    /// The digest of the logical column of the segment's index
    /// ([`StreamDigest::index_column`](crate::StreamDigest::index_column)).
    pub index_digest: Digest,
    /// The store journal's head at that time, never of size 0; `None` where there is no journal to name.
    pub journal: Option<TreeHead>,
}

impl Seal {
    /// The position after the segment's last record: where the next segment begins.
    #[must_use]
    pub fn end(&self) -> Position {
        Position(self.head.size)
    }

    /// The record's payload.
    ///
    /// # Panics
    ///
    /// When the fields contradict each other, as their comments say they must not: the sealed segment was counted
    /// wrong.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert_writable(self.check());
        let journal = self.journal.unwrap_or(NO_JOURNAL);
        let mut bytes = Vec::with_capacity(LEN);
        bytes.push(VERSION);
        for number in [self.segment.0, self.base.0, self.head.size, self.caller_count, self.payload_bytes] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.times.min.0.to_le_bytes());
        bytes.extend_from_slice(&self.times.max.0.to_le_bytes());
        bytes.extend_from_slice(&self.head.root.0);
        bytes.extend_from_slice(&self.index_digest.0);
        bytes.extend_from_slice(&journal.size.to_le_bytes());
        bytes.extend_from_slice(&journal.root.0);
        bytes
    }

    /// Reads the payload of a seal.
    ///
    /// # Errors
    ///
    /// [`EngineRecordError`] when `bytes` is not exactly one seal, or one whose fields contradict each other;
    /// `is_newer()` tells a later version from damage.
    pub fn decode(bytes: &[u8]) -> Result<Self, EngineRecordError> {
        let mut fields = Fields::of_version_1(bytes)?;
        let segment = SegmentNumber(fields.u64("segment number")?);
        let base = Position(fields.u64("base")?);
        let end = fields.u64("end")?;
        let caller_count = fields.u64("caller count")?;
        let payload_bytes = fields.u64("payload bytes")?;
        let times = TimeBounds { min: Time(fields.i64("least time")?), max: Time(fields.i64("greatest time")?) };
        let head = TreeHead { size: end, root: Digest(fields.array("root")?) };
        let index_digest = Digest(fields.array("index digest")?);
        let journal = TreeHead { size: fields.u64("journal size")?, root: Digest(fields.array("journal root")?) };
        fields.end()?;
        let journal = if journal == NO_JOURNAL { None } else { Some(journal) };
        let seal = Self { segment, base, caller_count, payload_bytes, times, head, index_digest, journal };
        seal.check()?;
        Ok(seal)
    }

    fn check(&self) -> Result<(), EngineRecordError> {
        let (base, end, caller_count) = (self.base.0, self.head.size, self.caller_count);
        // A segment holds at least its own first record, a genesis or a seal.
        if base >= end {
            return Err(EngineRecordError::Extent { base, end });
        }
        if caller_count > end - base {
            return Err(EngineRecordError::CallerCount { caller_count, base, end });
        }
        // Of all bounds that hold no time only one is allowed, so that there is one encoding.
        let are_valid = if caller_count == 0 { self.times == TimeBounds::EMPTY } else { !self.times.is_empty() };
        if !are_valid {
            return Err(EngineRecordError::Times { min: self.times.min.0, max: self.times.max.0, caller_count });
        }
        if self.journal.is_some_and(|journal| journal.size == 0) {
            return Err(EngineRecordError::EmptyJournal);
        }
        Ok(())
    }
}

/// What stands for the journal's head where there is none.
const NO_JOURNAL: TreeHead = TreeHead { size: 0, root: Digest::ZERO };

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: Seal = Seal {
        segment: SegmentNumber(4),
        base: Position(100),
        caller_count: 20,
        payload_bytes: 5000,
        times: TimeBounds { min: Time(-5), max: Time(5) },
        head: TreeHead { size: 121, root: Digest([6; 32]) },
        index_digest: Digest([7; 32]),
        journal: Some(TreeHead { size: 3, root: Digest([8; 32]) }),
    };

    /// G5: each of these is refused by `encode`, and by `decode` when the bytes are put together by hand.
    #[test]
    fn fields_that_contradict_each_other_are_refused_both_ways() {
        let times = |min, max| TimeBounds { min: Time(min), max: Time(max) };
        let head = |size| TreeHead { size, ..SEAL.head };
        let table = [
            (Seal { head: head(100), ..SEAL }, EngineRecordError::Extent { base: 100, end: 100 }),
            (Seal { head: head(99), ..SEAL }, EngineRecordError::Extent { base: 100, end: 99 }),
            (
                Seal { caller_count: 22, ..SEAL },
                EngineRecordError::CallerCount { caller_count: 22, base: 100, end: 121 },
            ),
            (Seal { caller_count: 0, ..SEAL }, EngineRecordError::Times { min: -5, max: 5, caller_count: 0 }),
            (
                Seal { caller_count: 0, times: times(6, 5), ..SEAL },
                EngineRecordError::Times { min: 6, max: 5, caller_count: 0 },
            ),
            (Seal { times: times(6, 5), ..SEAL }, EngineRecordError::Times { min: 6, max: 5, caller_count: 20 }),
            (
                Seal { times: TimeBounds::EMPTY, ..SEAL },
                EngineRecordError::Times { min: i64::MAX, max: i64::MIN, caller_count: 20 },
            ),
            (Seal { journal: Some(TreeHead::EMPTY), ..SEAL }, EngineRecordError::EmptyJournal),
        ];
        for (seal, expected) in table {
            assert!(std::panic::catch_unwind(|| seal.encode()).is_err(), "{seal:?}");
            let mut bytes = SEAL.encode();
            bytes.splice(17..25, seal.head.size.to_le_bytes());
            bytes.splice(25..33, seal.caller_count.to_le_bytes());
            bytes.splice(41..49, seal.times.min.0.to_le_bytes());
            bytes.splice(49..57, seal.times.max.0.to_le_bytes());
            bytes.splice(121..129, seal.journal.unwrap().size.to_le_bytes());
            bytes.splice(129..161, seal.journal.unwrap().root.0);
            assert_eq!(Seal::decode(&bytes), Err(expected));
        }
    }

    #[test]
    fn the_edges_of_what_is_allowed_round_trip() {
        let one_time = TimeBounds { min: Time(i64::MAX), max: Time(i64::MAX) };
        let table = [
            SEAL,
            Seal { caller_count: 0, times: TimeBounds::EMPTY, ..SEAL },
            Seal { caller_count: 21, times: one_time, ..SEAL },
            Seal {
                base: Position(u64::MAX - 1),
                caller_count: 1,
                head: TreeHead { size: u64::MAX, ..SEAL.head },
                ..SEAL
            },
            Seal { journal: None, ..SEAL },
            Seal { journal: Some(TreeHead { size: 1, root: Digest::ZERO }), ..SEAL },
        ];
        for seal in table {
            let bytes = seal.encode();
            assert_eq!(bytes.len(), LEN);
            assert_eq!(Seal::decode(&bytes), Ok(seal));
        }
    }
}
