//! The header of a spine file, and where in it a node of the history tree lies.
//!
//! Bytes: docs/FORMAT.md, "Spine".
//!
//! # Invariants
//!
//! - S1. What `encode` writes, `decode` returns, and nothing else decodes.
//! - S2. No two nodes share a byte, and none shares one with the header.
//!
//! # Not here
//!
//! The nodes themselves: what is hashed is `bulla-chain`'s business, and they are 32 bytes to this crate.

use crate::fields::{Fields, put_u16, put_u32};
use crate::{LogId, WireError};

/// Begins every spine file, in the manner of [`SEGMENT_MAGIC`](crate::SEGMENT_MAGIC).
pub const SPINE_MAGIC: [u8; 8] = *b"\x89BUS\r\n\x1a\n";
/// Bytes of a tile, and of the slot that the header is in.
pub const SPINE_TILE_LEN: u64 = 8192;
/// Bytes of the header; the rest of its slot is padding.
pub const SPINE_HEADER_LEN: usize = 36;
/// The heights of the nodes that a spine holds.
pub const SPINE_HEIGHTS: [u8; 3] = [8, 16, 24];

const VERSION: u16 = 1;
const WHAT: &str = "spine header";
/// Nodes in a tile.
const TILE_NODES: u64 = 256;
const NODE_LEN: u64 = SPINE_TILE_LEN / TILE_NODES;

/// What a spine file says of itself.
///
/// # Examples
///
/// ```
/// use bulla_wire::{LogId, SpineHeader, spine_offset};
/// let header = SpineHeader { log: LogId([7; 16]) };
/// assert_eq!(SpineHeader::decode(&header.encode())?, header);
///
/// // The first node of height 8 lies behind the header and the first tiles of heights 24 and 16.
/// assert_eq!(spine_offset(8, 0), Some(3 * 8192));
/// assert_eq!(spine_offset(9, 0), None);
/// # Ok::<(), bulla_wire::WireError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpineHeader {
    /// The log whose tree it is.
    pub log: LogId,
}

impl SpineHeader {
    /// The header as bytes, without the padding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SPINE_HEADER_LEN);
        out.extend_from_slice(&SPINE_MAGIC);
        put_u16(&mut out, VERSION);
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&self.log.0);
        let checksum = crc32fast::hash(&out);
        put_u32(&mut out, checksum);
        out
    }

    /// Reads a header from the beginning of a file.
    ///
    /// # Errors
    ///
    /// [`WireError::Newer`] for a later version; anything else means that there is no spine.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(WHAT, bytes);
        if fields.array()? != SPINE_MAGIC {
            return Err(WireError::Magic { what: WHAT });
        }
        match fields.u16()? {
            VERSION => {}
            0 => return Err(fields.invalid("version", 0)),
            version => {
                return Err(WireError::Newer { what: WHAT, field: "version", value: u64::from(version) });
            }
        }
        fields.zeros(6, "reserved bytes")?;
        let log = LogId(fields.array()?);
        let covered = bytes.len() - fields.rest().len();
        let (stored, computed) = (fields.u32()?, crc32fast::hash(bytes.get(..covered).unwrap_or_default()));
        if stored != computed {
            return Err(WireError::Checksum { what: WHAT, stored, computed });
        }
        Ok(Self { log })
    }
}

/// Where in the file the node with this height and index lies: [`None`] for a height that a spine does not hold, and
/// where no file reaches.
#[must_use]
pub fn spine_offset(height: u8, index: u64) -> Option<u64> {
    let tile = index / TILE_NODES;
    let slot = match height {
        8 => tile.checked_add(tile / 256 + tile / 65_536 + 3)?,
        16 => tile.checked_mul(257)?.checked_add(tile / 256 + 2)?,
        24 => tile.checked_mul(65_793)?.checked_add(1)?,
        _ => return None,
    };
    slot.checked_mul(SPINE_TILE_LEN)?.checked_add(index % TILE_NODES * NODE_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// S1.
    #[test]
    fn a_header_has_one_encoding() {
        let header = SpineHeader { log: LogId([0xa5; 16]) };
        let bytes = header.encode();
        assert_eq!(bytes.len(), SPINE_HEADER_LEN);
        assert_eq!(SpineHeader::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let error = SpineHeader::decode(&wrong).unwrap_err();
            // Version 1 with another bit set is a later one; without its bit it is none.
            assert_eq!(error.is_newer(), (64..80).contains(&bit) && bit != 64, "bit {bit}: {error}");
        }
        for len in 0..bytes.len() {
            assert!(SpineHeader::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    /// S2, for all nodes of a tree of 2^25 and some more records.
    #[test]
    fn every_node_has_a_place_of_its_own() {
        let mut places = BTreeSet::from([0]);
        for (height, count) in [(8, 132_000), (16, 516), (24, 3)] {
            for index in 0..count {
                let offset = spine_offset(height, index).unwrap();
                assert!(offset >= SPINE_TILE_LEN && offset.is_multiple_of(NODE_LEN));
                assert!(places.insert(offset), "{height}, {index}");
            }
        }
        // Every slot up to the last node is in use: header, 3 tiles of height 24 (one node each), and so on.
        let slots: BTreeSet<_> = places.iter().map(|offset| offset / SPINE_TILE_LEN).collect();
        assert_eq!(slots.len() as u64, 1 + 1 + 3 + 516);
        assert_eq!(slots.last().copied(), Some(slots.len() as u64 - 1));
    }

    #[test]
    fn the_number_line_ends_without_overflow() {
        assert_eq!(spine_offset(8, u64::MAX), None);
        assert_eq!(spine_offset(16, u64::MAX), None);
        assert_eq!(spine_offset(24, u64::MAX), None);
        assert_eq!(spine_offset(0, 0), None);
        assert!(spine_offset(24, 1 << 39).is_none_or(|offset| offset > 1 << 60));
    }
}
