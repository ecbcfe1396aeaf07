//! Digests, and what is hashed into one under which prefix.
//!
//! # Invariants
//!
//! - D1. Each function hashes under a prefix of its own, so no two of them agree on any input that can be found.
//! - D2. A digest has one text: 64 lower-case hex digits. Nothing else parses.
//! - D3. A streamed digest depends on the bytes, not on how they were cut into pieces.

use std::fmt;
use std::str::FromStr;

use crate::error::ParseDigestError;
use crate::sha256::{self, Hasher};

/// The first byte of everything that is hashed; the table with all of them is at the head of the crate.
pub(crate) mod prefix {
    pub(crate) const LEAF: u8 = 0x00;
    pub(crate) const NODE: u8 = 0x01;
    pub(crate) const BODY: u8 = 0x10;
    pub(crate) const SALTED_BODY: u8 = 0x11;
    pub(crate) const INDEX_COLUMN: u8 = 0x12;
    pub(crate) const QUARANTINE: u8 = 0x13;
    pub(crate) const ACTION: u8 = 0x14;
}

/// A SHA-256 digest. Shown, and parsed, as 64 lower-case hex digits.
///
/// # Examples
///
/// ```
/// use bulla_chain::{Digest, body_digest};
/// let digest = body_digest(b"door opened");
/// let text = digest.to_string();
/// assert_eq!(text.len(), 64);
/// assert_eq!(text.parse(), Ok(digest));
/// assert!(text.to_uppercase().parse::<Digest>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// 32 zero bytes: what the format stores where there is no digest. No known input hashes to it.
    pub const ZERO: Self = Self([0; 32]);
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(ParseDigestError::Length { found: text.len() as u64 });
        };
        let mut digest = [0; 32];
        if pairs.len() != digest.len() {
            return Err(ParseDigestError::Length { found: text.len() as u64 });
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(digest))
    }
}

/// The digest of a plain record's payload: SHA-256(0x10 || payload).
///
/// In object logs this is the content address as well. Anybody who can guess the payload can check the guess; where
/// that matters, use [`salted_body_digest`]. Cost: one pass, no allocation.
///
/// # Examples
///
/// ```
/// use bulla_chain::body_digest;
/// let digest = body_digest(b"");
/// assert_eq!(digest.to_string(), "c555eab45d08845ae9f10d452a99bfcb06f74a50b988fe7e48dd323789b88ee3");
/// ```
#[must_use]
pub fn body_digest(payload: &[u8]) -> Digest {
    Digest(sha256::digest_parts(&[&[prefix::BODY], payload]))
}

/// The digest of a record's payload in an erasable log: SHA-256(0x11 || salt || payload).
///
/// Once salt and payload are gone, the digest left behind tells nothing about the payload. The salt is random, one
/// for each record, and disclosed only together with the payload.
///
/// # Examples
///
/// ```
/// use bulla_chain::{body_digest, salted_body_digest};
/// let payload = b"born 1 April 1980";
/// assert_ne!(salted_body_digest(&[1; 16], payload), salted_body_digest(&[2; 16], payload));
/// assert_ne!(salted_body_digest(&[0; 16], payload), body_digest(payload));
/// ```
#[must_use]
pub fn salted_body_digest(salt: &[u8; 16], payload: &[u8]) -> Digest {
    Digest(sha256::digest_parts(&[&[prefix::SALTED_BODY], salt, payload]))
}

/// A digest over data that is never in one piece in memory.
///
/// # Examples
///
/// ```
/// use bulla_chain::StreamDigest;
/// let mut pieces = StreamDigest::quarantine();
/// pieces.update(b"what was ");
/// pieces.update(b"cut off");
/// let mut whole = StreamDigest::quarantine();
/// whole.update(b"what was cut off");
/// assert_eq!(pieces.finish(), whole.finish());
/// ```
#[derive(Clone)]
#[must_use = "a digest is only made by `finish`"]
pub struct StreamDigest(Hasher);

impl StreamDigest {
    /// For the logical column of a segment's index (first position, least and greatest time of every entry): what a
    /// [`Seal`](crate::Seal) carries, so that a query by time can check the index it trusts.
    pub fn index_column() -> Self {
        Self::with_prefix(prefix::INDEX_COLUMN)
    }

    /// For the bytes that recovery set aside: what a [`Recovery`](crate::Recovery) carries.
    pub fn quarantine() -> Self {
        Self::with_prefix(prefix::QUARANTINE)
    }

    /// Adds `bytes` at the end.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of the prefix and everything added.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finish())
    }

    fn with_prefix(prefix: u8) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(&[prefix]);
        Self(hasher)
    }
}

impl fmt::Debug for StreamDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamDigest").finish_non_exhaustive()
    }
}

fn nibble(digit: u8) -> Result<u8, ParseDigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParseDigestError::NotHex),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D1: the prefix alone tells the five kinds of data apart, also where one's salt is another's first bytes.
    #[test]
    fn every_use_has_its_own_prefix() {
        let salt = [7; 16];
        let payload = b"the same bytes";
        let joined = [&salt[..], payload].concat();
        let mut column = StreamDigest::index_column();
        let mut quarantine = StreamDigest::quarantine();
        column.update(&joined);
        quarantine.update(&joined);
        let digests = [body_digest(&joined), salted_body_digest(&salt, payload), column.finish(), quarantine.finish()];
        for (prefix, digest) in (0x10..).zip(digests) {
            assert_eq!(digest.0, sha256::digest_parts(&[&[prefix], &joined]), "prefix {prefix:#x}");
        }
    }

    /// D2.
    #[test]
    fn only_64_lower_case_hex_digits_parse() {
        let digest = Digest(std::array::from_fn(|i| u8::try_from(i * 8 + 3).unwrap()));
        let text = digest.to_string();
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(format!("{digest:?}"), text);
        for wrong in [&text[..63], &text[..62], &format!("{text}0"), &format!("{text}00"), ""] {
            assert_eq!(wrong.parse::<Digest>(), Err(ParseDigestError::Length { found: wrong.len() as u64 }));
        }
        let not_hex = [
            text.to_uppercase(),
            format!(" {}", &text[..63]),
            format!("+{}", &text[..63]),
            format!("0x{}", &text[..62]),
            "é".repeat(32),
            format!("{}g", &text[..63]),
        ];
        for wrong in not_hex {
            assert_eq!(wrong.parse::<Digest>(), Err(ParseDigestError::NotHex), "{wrong}");
        }
    }
}
