//! Entries: everything about a record that is hashed into its leaf.
//!
//! 54 bytes, so that prefix, entry and padding are one block of SHA-256. Bytes: docs/FORMAT.md, "Hashing".
//!
//! # Invariants
//!
//! - E1. What `encode` writes, `decode` returns.
//! - E2. One value, one encoding: reserved flag bits are zero, or `decode` refuses.
//! - E3. Every field of a record that a reader sees is in the entry. The payload's length is bound by its digest; how
//!   the record was stored (codec, frame borders, redacted or not) is left out, so that it may change.
//! - E4. The hash version is read first, so that a later version is reported as newer.
//!
//! # Not here
//!
//! How a record is stored: that form is compact and belongs to bulla-wire. An entry is rebuilt to be hashed.

use bulla_wire::{Kind, Position, SchemaId, Time};

use crate::digest::Digest;
use crate::error::EntryError;
use crate::sha256;

/// The one version of the hashing rules so far, kept in the high four bits of an entry's flags.
pub(crate) const HASH_VERSION: u8 = 1;
const SALTED: u8 = 0b0001;
const RESERVED: u8 = 0b1110;

/// A record without its payload, which the body digest stands for.
///
/// # Examples
///
/// ```
/// use bulla_chain::{Entry, body_digest};
/// use bulla_wire::{Kind, Position, SchemaId, Time};
/// let entry = Entry {
///     kind: Kind::ROW,
///     salted: false,
///     schema: SchemaId(1),
///     position: Position(7),
///     time: Time(0),
///     body: body_digest(b"door opened"),
/// };
/// assert_eq!(Entry::decode(&entry.encode())?, entry);
/// // Another position is another leaf, though nothing else changed.
/// assert_ne!(entry.leaf(), Entry { position: Position(8), ..entry }.leaf());
/// # Ok::<(), bulla_chain::EntryError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What the record is.
    pub kind: Kind,
    /// Whether `body` is over a salt and the payload, rather than over the payload alone.
    pub salted: bool,
    /// The caller's name for the payload's shape.
    pub schema: SchemaId,
    /// Where the record stands in its log, which is also the leaf's index in the tree.
    pub position: Position,
    /// The record's logical time.
    pub time: Time,
    /// The payload's digest: [`body_digest`](crate::body_digest) or
    /// [`salted_body_digest`](crate::salted_body_digest), as `salted` says.
    pub body: Digest,
}

impl Entry {
    /// The length of an encoded entry in bytes.
    pub const LEN: usize = 54;

    /// The entry's bytes: what is hashed, and what a proof discloses.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0] = self.kind.0;
        bytes[1] = HASH_VERSION << 4 | if self.salted { SALTED } else { 0 };
        bytes[2..6].copy_from_slice(&self.schema.0.to_le_bytes());
        bytes[6..14].copy_from_slice(&self.position.0.to_le_bytes());
        bytes[14..22].copy_from_slice(&self.time.0.to_le_bytes());
        bytes[22..].copy_from_slice(&self.body.0);
        bytes
    }

    /// Reads an encoded entry.
    ///
    /// # Errors
    ///
    /// [`EntryError::HashVersion`] when the rules it was hashed under are not version 1;
    /// [`EntryError::ReservedFlags`] when a bit is set that version 1 keeps zero.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Result<Self, EntryError> {
        let flags = bytes[1];
        let hash_version = flags >> 4;
        if hash_version != HASH_VERSION {
            return Err(EntryError::HashVersion { found: hash_version });
        }
        if flags & RESERVED != 0 {
            return Err(EntryError::ReservedFlags { found: flags & RESERVED });
        }
        let [kind, _, rest @ ..] = bytes;
        let [s0, s1, s2, s3, rest @ ..] = rest;
        let [p0, p1, p2, p3, p4, p5, p6, p7, rest @ ..] = rest;
        let [t0, t1, t2, t3, t4, t5, t6, t7, body @ ..] = rest;
        Ok(Self {
            kind: Kind(*kind),
            salted: flags & SALTED != 0,
            schema: SchemaId(u32::from_le_bytes([*s0, *s1, *s2, *s3])),
            position: Position(u64::from_le_bytes([*p0, *p1, *p2, *p3, *p4, *p5, *p6, *p7])),
            time: Time(i64::from_le_bytes([*t0, *t1, *t2, *t3, *t4, *t5, *t6, *t7])),
            body: Digest(*body),
        })
    }

    /// The record's leaf in the history tree: SHA-256(0x00 || entry). Cost: one compression.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        Digest(sha256::leaf(&self.encode()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: Entry = Entry {
        kind: Kind(0x81),
        salted: true,
        schema: SchemaId(0x0403_0201),
        position: Position(0x1817_1615_1413_1211),
        time: Time(-2),
        body: Digest([0xbb; 32]),
    };

    #[test]
    fn every_field_has_its_place() {
        let bytes = ENTRY.encode();
        assert_eq!(bytes[..2], [0x81, 0x11], "kind; version 1, salted");
        assert_eq!(bytes[2..6], [1, 2, 3, 4], "schema");
        assert_eq!(bytes[6..14], [0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18], "position");
        assert_eq!(bytes[14..22], [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "time");
        assert_eq!(bytes[22..], [0xbb; 32], "body");
    }

    /// E1, E2, E3: every bit is either refused or part of the value, and so part of the leaf.
    #[test]
    fn every_flipped_bit_is_refused_or_another_entry() {
        let bytes = ENTRY.encode();
        assert_eq!(Entry::decode(&bytes), Ok(ENTRY));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            match Entry::decode(&flipped) {
                Ok(other) => {
                    assert_eq!(other.encode(), flipped, "bit {bit}");
                    assert_ne!(other, ENTRY, "bit {bit}");
                    assert_ne!(other.leaf(), ENTRY.leaf(), "bit {bit}");
                }
                Err(error) => assert!((9..16).contains(&bit), "bit {bit}: {error}"),
            }
        }
    }

    /// E4: version 2 may give the low bits a meaning, so they are not looked at.
    #[test]
    fn the_hash_version_is_checked_before_the_flags() {
        for flags in 0..=u8::MAX {
            let mut bytes = ENTRY.encode();
            bytes[1] = flags;
            let expected = match (flags >> 4, flags & 0b1110) {
                (1, 0) => Ok(Entry { salted: flags & 1 == 1, ..ENTRY }),
                (1, found) => Err(EntryError::ReservedFlags { found }),
                (found, _) => Err(EntryError::HashVersion { found }),
            };
            let decoded = Entry::decode(&bytes);
            assert_eq!(decoded, expected);
            assert_eq!(decoded.is_err_and(|error| error.is_newer()), flags >= 0x20, "flags {flags:#04x}");
        }
    }
}
