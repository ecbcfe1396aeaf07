//! The first bytes of a segment file.
//!
//! Bytes: docs/FORMAT.md, "Segment header".
//!
//! # Invariants
//!
//! - H1. What `encode` writes, `decode` returns, and nothing else decodes: reserved bytes are zero.
//! - H2. Magic, then version, then checksum: a later format is reported as newer, never as damage.
//! - H3. The length follows from the base position, which the file's name carries too.
//!
//! # Not here
//!
//! Whether the frontier belongs to the log (`bulla-log` compares it with the neighbour's end).

use crate::fields::{Fields, put_u16, put_u32, put_u64};
use crate::{Epoch, FrameSeed, LogId, Position, SegmentNumber, WireError};

/// Begins every segment file. In the manner of PNG: a byte above 127 and both line ends, so that a transfer which
/// strips or translates them is found at once.
pub const SEGMENT_MAGIC: [u8; 8] = *b"\x89BUL\r\n\x1a\n";
/// The format this crate writes.
pub const FORMAT_VERSION: u16 = 1;
/// Length of a header whose frontier is empty.
pub const SEGMENT_HEADER_LEN_MIN: u64 = 128;

const FLAG_ERASABLE: u16 = 1;
const NO_PRUNE: u64 = u64::MAX;
const WHAT: &str = "segment header";

/// What a segment says of itself and of the log below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The log the segment belongs to.
    pub log: LogId,
    /// Random bytes that seed every checksum of the log's frames.
    pub secret: [u8; 16],
    /// The segment's number, counted from 0.
    pub number: SegmentNumber,
    /// The first position in the segment.
    pub base: Position,
    /// The log's floor when the segment was made, at most `base`.
    pub floor: Position,
    /// Where the record that moved the floor there is, if the log was ever pruned.
    pub prune: Option<Position>,
    /// The opening for writing that made the segment.
    pub epoch: Epoch,
    /// Whether the log was created erasable, so that its records carry salts.
    pub erasable: bool,
    /// Root of the history tree over everything below `base`.
    pub root: [u8; 32],
    /// Roots of the complete subtrees below `base`, largest first: one for each bit set in `base`.
    pub frontier: Vec<[u8; 32]>,
}

impl SegmentHeader {
    /// Bytes of the header of a segment that begins at `base`; a multiple of 8.
    #[must_use]
    pub fn len_at(base: Position) -> u64 {
        SEGMENT_HEADER_LEN_MIN + 32 * u64::from(base.0.count_ones())
    }

    /// The seed of this segment's frame checksums.
    #[must_use]
    pub fn seed(&self) -> FrameSeed {
        FrameSeed::new(&self.secret, self.number)
    }

    /// The header as bytes, [`len_at`](Self::len_at)`(base)` of them.
    ///
    /// # Panics
    ///
    /// If the frontier has not one digest for each bit set in `base`, or the floor lies above it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.frontier.len() == self.base.0.count_ones() as usize, "BUG: frontier does not fit the base");
        assert!(self.floor <= self.base, "BUG: floor above the base");
        let mut out = Vec::with_capacity(Self::len_at(self.base) as usize);
        out.extend_from_slice(&SEGMENT_MAGIC);
        put_u16(&mut out, FORMAT_VERSION);
        put_u16(&mut out, if self.erasable { FLAG_ERASABLE } else { 0 });
        put_u32(&mut out, self.epoch.0);
        out.extend_from_slice(&self.log.0);
        out.extend_from_slice(&self.secret);
        put_u64(&mut out, self.number.0);
        put_u64(&mut out, self.base.0);
        put_u64(&mut out, self.floor.0);
        put_u64(&mut out, self.prune.map_or(NO_PRUNE, |position| position.0));
        out.extend_from_slice(&self.root);
        put_u32(&mut out, self.frontier.len() as u32);
        put_u32(&mut out, 0);
        out.extend_from_slice(self.frontier.as_flattened());
        let checksum = crc32fast::hash(&out);
        put_u32(&mut out, checksum);
        put_u32(&mut out, 0);
        out
    }

    /// Decodes the header at the start of `bytes`; what follows it is left alone.
    ///
    /// # Errors
    ///
    /// [`WireError::Magic`], [`WireError::Newer`], [`WireError::Short`], [`WireError::Checksum`] or
    /// [`WireError::Invalid`], looked for in this order.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(WHAT, bytes);
        if fields.array()? != SEGMENT_MAGIC {
            return Err(WireError::Magic { what: WHAT });
        }
        let version = fields.u16()?;
        if version == 0 {
            return Err(fields.invalid("version", 0));
        }
        if version != FORMAT_VERSION {
            return Err(WireError::Newer { what: WHAT, field: "version", value: u64::from(version) });
        }
        let flags = fields.u16()?;
        let epoch = Epoch(fields.u32()?);
        let log = LogId(fields.array()?);
        let secret = fields.array()?;
        let number = SegmentNumber(fields.u64()?);
        let base = fields.position()?;
        let floor = fields.position()?;
        let prune = fields.u64()?;
        let root = fields.array()?;
        let frontier_count = fields.u32()?;
        let reserved = fields.u32()?;
        // The count is believed only as far as the base allows, so a damaged one cannot make us read on.
        let frontier = fields.bytes(32 * base.0.count_ones() as usize)?;
        let covered = bytes.len() - fields.rest().len();
        let stored = fields.u32()?;
        let computed = crc32fast::hash(bytes.get(..covered).unwrap_or_default());
        if stored != computed {
            return Err(WireError::Checksum { what: WHAT, stored, computed });
        }
        if flags & !FLAG_ERASABLE != 0 {
            return Err(WireError::Newer { what: WHAT, field: "flags", value: u64::from(flags) });
        }
        fields.zeros(4, "padding")?;
        if frontier_count != base.0.count_ones() {
            return Err(fields.invalid("frontier count", u64::from(frontier_count)));
        }
        if reserved != 0 {
            return Err(fields.invalid("reserved", u64::from(reserved)));
        }
        if floor > base {
            return Err(fields.invalid("floor above base", floor.0));
        }
        Ok(Self {
            log,
            secret,
            number,
            base,
            floor,
            prune: (prune != NO_PRUNE).then_some(Position(prune)),
            epoch,
            erasable: flags & FLAG_ERASABLE != 0,
            root,
            frontier: frontier.as_chunks().0.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(base: u64) -> SegmentHeader {
        SegmentHeader {
            log: LogId([1; 16]),
            secret: [2; 16],
            number: SegmentNumber(3),
            base: Position(base),
            floor: Position(base / 2),
            prune: (base > 4).then_some(Position(4)),
            epoch: Epoch(5),
            erasable: base % 2 == 1,
            root: [6; 32],
            frontier: (0..base.count_ones()).map(|index| [index as u8; 32]).collect(),
        }
    }

    /// H1 and H3.
    #[test]
    fn headers_round_trip_and_no_flipped_bit_survives() {
        for base in [0, 1, 0b1011, u64::MAX] {
            let bytes = header(base).encode();
            assert_eq!(bytes.len() as u64, SegmentHeader::len_at(Position(base)));
            assert_eq!(bytes.len() % 8, 0);
            assert_eq!(SegmentHeader::decode(&bytes), Ok(header(base)));
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(SegmentHeader::decode(&flipped).is_err(), "base {base}, bit {bit}");
            }
            for len in 0..bytes.len() {
                assert!(SegmentHeader::decode(&bytes[..len]).is_err(), "base {base}, cut to {len}");
            }
        }
    }

    /// H2: a later version changes what the checksum covers, so it is looked at first.
    #[test]
    fn a_later_version_is_newer_whatever_its_checksum() {
        let mut bytes = header(3).encode();
        bytes[8] = 2;
        assert!(SegmentHeader::decode(&bytes).unwrap_err().is_newer());
        bytes[0] = 0;
        assert_eq!(SegmentHeader::decode(&bytes), Err(WireError::Magic { what: WHAT }));
    }

    /// A header with flags of a later version and bytes in its padding was called wrong, and a newest segment with
    /// nothing behind such a header would have been taken for an interrupted creation and made again. What a later version
    /// does with bytes that are zero today is not known, so its flags come first.
    #[test]
    fn flags_of_a_later_version_are_newer_whatever_the_padding() {
        let mut bytes = header(3).encode();
        bytes[10] = 2;
        let covered = bytes.len() - 8;
        let checksum = crc32fast::hash(&bytes[..covered]);
        bytes[covered..covered + 4].copy_from_slice(&checksum.to_le_bytes());
        bytes[covered + 4] = 1;
        assert!(SegmentHeader::decode(&bytes).unwrap_err().is_newer());
    }

    /// H1, where the checksum holds, as only a writer of another version or a forger makes it.
    #[test]
    fn fields_outside_the_format_are_newer_or_invalid() {
        for (at, field, expected) in [
            (10, vec![2, 0], "newer"),
            (10, vec![1, 128], "newer"),
            (64, vec![12], "floor above base"),
            (112, vec![2], "frontier count"),
            (112, vec![255, 255, 255, 255], "frontier count"),
            (116, vec![1], "reserved"),
            (119, vec![1], "reserved"),
        ] {
            let mut bytes = header(11).encode();
            bytes[at..at + field.len()].copy_from_slice(&field);
            let covered = bytes.len() - 8;
            let checksum = crc32fast::hash(&bytes[..covered]);
            bytes[covered..covered + 4].copy_from_slice(&checksum.to_le_bytes());
            let error = SegmentHeader::decode(&bytes).unwrap_err();
            assert_eq!(error.is_newer(), expected == "newer", "{at} {field:?}: {error}");
            assert!(expected == "newer" || error.to_string().contains(expected), "{at} {field:?}: {error}");
        }
    }

    #[test]
    #[should_panic(expected = "BUG: floor above the base")]
    fn a_floor_above_the_base_is_not_written() {
        let _ = SegmentHeader { floor: Position(12), ..header(11) }.encode();
    }
}
