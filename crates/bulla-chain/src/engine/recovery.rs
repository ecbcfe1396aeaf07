//! What recovery cut off the end of a log, so that nothing vanishes without a record.

use bulla_wire::{Position, SegmentNumber};

use super::{Fields, VERSION, assert_writable};
use crate::digest::Digest;
use crate::error::EngineRecordError;

const LEN: usize = 66;

/// The payload of a record of kind [`Kind::RECOVERY`](bulla_wire::Kind::RECOVERY), appended right after a cut: which
/// positions were free again from then on, and which bytes had claimed them.
///
/// # Examples
///
/// ```
/// use bulla_chain::{Recovery, StreamDigest};
/// use bulla_wire::{Position, SegmentNumber};
/// let cut_off = b"half a frame";
/// let mut quarantine = StreamDigest::quarantine();
/// quarantine.update(cut_off);
/// let recovery = Recovery {
///     segment: SegmentNumber(3),
///     offset: 8192,
///     position: Position(120),
///     quarantined_bytes: cut_off.len() as u64,
///     quarantine: Some(quarantine.finish()),
///     may_have_been_acknowledged: false,
/// };
/// assert_eq!(Recovery::decode(&recovery.encode())?, recovery);
/// # Ok::<(), bulla_chain::EngineRecordError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The segment that was cut.
    pub segment: SegmentNumber,
    /// Where in its file it was cut, in bytes from the start.
    pub offset: u64,
    /// The first position that was cut off; the log goes on from it.
    pub position: Position,
    /// How many bytes were set aside.
    pub quarantined_bytes: u64,
    /// Their digest ([`StreamDigest::quarantine`](crate::StreamDigest::quarantine)); `None` exactly when there were
    /// none.
    pub quarantine: Option<Digest>,
    /// Whether what was cut off may have been acknowledged as durable, which cannot be told from a crash there.
    pub may_have_been_acknowledged: bool,
}

impl Recovery {
    /// The record's payload.
    ///
    /// # Panics
    ///
    /// When there are quarantined bytes without a digest, or a digest without bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert_writable(self.check());
        let mut bytes = Vec::with_capacity(LEN);
        bytes.push(VERSION);
        for number in [self.segment.0, self.offset, self.position.0, self.quarantined_bytes] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(u8::from(self.may_have_been_acknowledged));
        bytes.extend_from_slice(&self.quarantine.unwrap_or(Digest::ZERO).0);
        bytes
    }

    /// Reads the payload of a recovery record.
    ///
    /// # Errors
    ///
    /// [`EngineRecordError`] when `bytes` is not exactly one recovery record; `is_newer()` tells a later version from
    /// damage.
    pub fn decode(bytes: &[u8]) -> Result<Self, EngineRecordError> {
        let mut fields = Fields::of_version_1(bytes)?;
        let segment = SegmentNumber(fields.u64("segment number")?);
        let offset = fields.u64("offset")?;
        let position = Position(fields.u64("position")?);
        let quarantined_bytes = fields.u64("quarantined bytes")?;
        let may_have_been_acknowledged = fields.flag("flags")?;
        let digest = Digest(fields.array("quarantine digest")?);
        fields.end()?;
        let is_absent = quarantined_bytes == 0 && digest == Digest::ZERO;
        let quarantine = if is_absent { None } else { Some(digest) };
        let recovery = Self { segment, offset, position, quarantined_bytes, quarantine, may_have_been_acknowledged };
        recovery.check()?;
        Ok(recovery)
    }

    fn check(&self) -> Result<(), EngineRecordError> {
        match (self.quarantined_bytes, self.quarantine) {
            (0, None) | (1.., Some(_)) => Ok(()),
            (0, Some(_)) => Err(EngineRecordError::QuarantineWithoutBytes),
            (bytes, None) => Err(EngineRecordError::BytesWithoutQuarantine { bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING_SET_ASIDE: Recovery = Recovery {
        segment: SegmentNumber(1),
        offset: 4096,
        position: Position(77),
        quarantined_bytes: 0,
        quarantine: None,
        may_have_been_acknowledged: true,
    };

    /// G2 and G5: a digest is there exactly when there are bytes.
    #[test]
    fn bytes_and_digest_come_together() {
        let digest = Some(Digest([9; 32]));
        for (recovery, expected) in [
            (NOTHING_SET_ASIDE, Ok(())),
            (Recovery { quarantined_bytes: 5, quarantine: digest, ..NOTHING_SET_ASIDE }, Ok(())),
            (Recovery { quarantine: digest, ..NOTHING_SET_ASIDE }, Err(EngineRecordError::QuarantineWithoutBytes)),
            (
                Recovery { quarantined_bytes: 5, ..NOTHING_SET_ASIDE },
                Err(EngineRecordError::BytesWithoutQuarantine { bytes: 5 }),
            ),
        ] {
            assert_eq!(recovery.check(), expected);
            let encoded = std::panic::catch_unwind(|| recovery.encode());
            assert_eq!(encoded.is_ok(), expected.is_ok());
            if let Ok(bytes) = encoded {
                assert_eq!(bytes.len(), LEN);
                assert_eq!(Recovery::decode(&bytes), Ok(recovery));
            }
        }
        let mut bytes = NOTHING_SET_ASIDE.encode();
        bytes[40] = 1;
        assert_eq!(Recovery::decode(&bytes), Err(EngineRecordError::QuarantineWithoutBytes));
    }

    #[test]
    fn only_one_flag_has_a_meaning() {
        let mut bytes = NOTHING_SET_ASIDE.encode();
        for found in 2..=u8::MAX {
            bytes[33] = found;
            assert_eq!(Recovery::decode(&bytes), Err(EngineRecordError::Value { field: "flags", found }));
        }
    }
}
