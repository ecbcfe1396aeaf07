//! What can be wrong with bytes and texts that claim to be digests, heads, entries or engine records.

use std::str::Utf8Error;

use crate::engine;
use crate::entry;

/// Why a text is not a [`Digest`](crate::Digest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum ParseDigestError {
    /// Another length than that of 32 bytes in hex.
    #[error("a digest has 64 hex digits, not {found} bytes of text")]
    Length { found: u64 },
    /// The right length, but something else than `0` to `9` and `a` to `f` in it.
    #[error("a digest is written in lower-case hex digits only")]
    NotHex,
}

/// Why a text is not a [`TreeHead`](crate::TreeHead).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseHeadError {
    /// Nothing separates a size from a root.
    #[error("a tree head is written as size, colon, root")]
    NoColon,
    /// What stands before the colon is not a plain decimal number below 2^64.
    #[error("the size of a tree head is a decimal number below 2^64 without sign or leading zeros")]
    Size,
    /// What stands after the colon is not a digest.
    #[error("the root of a tree head is not a digest")]
    Root(#[from] ParseDigestError),
}

/// Why bytes are not an [`Entry`](crate::Entry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum EntryError {
    /// The record was hashed under rules this build does not have.
    #[error("hash version {found} where this build knows version {}", entry::HASH_VERSION)]
    HashVersion { found: u8 },
    /// Bits that version 1 keeps zero are set.
    #[error("reserved flags {found:#06b} are set in an entry")]
    ReservedFlags { found: u8 },
}

impl EntryError {
    /// Whether a later version wrote this, so that it is not damage.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::HashVersion { found } if *found > entry::HASH_VERSION)
    }
}

/// Why there can be no [`Frontier`](crate::Frontier) of these parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frontier of {size} leaves has {} hashes, not {found}", size.count_ones())]
#[expect(missing_docs, reason = "the fields say their names")]
pub struct FrontierError {
    pub size: u64,
    pub found: u64,
}

/// Why a payload is not the engine record it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum EngineRecordError {
    /// The layout is not version 1.
    #[error("engine record of version {found} where this build knows version {}", engine::VERSION)]
    Version { found: u8 },
    /// The log is hashed with something else than SHA-256.
    #[error("hash suite {found} where this build knows suite {}", engine::SUITE)]
    Suite { found: u8 },
    /// The bytes end before the record does.
    #[error("engine record ends within its {field}")]
    Short { field: &'static str },
    /// The record ends before the bytes do.
    #[error("engine record is followed by {bytes} bytes that do not belong to it")]
    Leftover { bytes: u64 },
    /// A byte with only some legal values has another.
    #[error("value {found} is not allowed for {field} of an engine record")]
    Value { field: &'static str, found: u8 },
    /// A text longer than the format allows; found before anything is allocated.
    #[error("{field} of {bytes} bytes where {bytes_max} are allowed")]
    TooLong { field: &'static str, bytes: u64, bytes_max: u64 },
    /// A text that is not UTF-8.
    #[error("{field} is not text")]
    NotText { field: &'static str, source: Utf8Error },
    /// An origin with control characters, which could not stand on one line of a checkpoint.
    #[error("the origin holds control characters")]
    ControlCharacter,
    /// A segment that ends at or before its first position.
    #[error("the sealed segment would reach from position {base} to position {end}")]
    Extent { base: u64, end: u64 },
    /// More of the caller's records than records.
    #[error("{caller_count} caller's records among the positions {base} to {end}")]
    CallerCount { caller_count: u64, base: u64, end: u64 },
    /// Time bounds that are neither the empty value nor in order, or of another emptiness than the count.
    #[error("time bounds {min} to {max} for {caller_count} caller's records")]
    Times { min: i64, max: i64, caller_count: u64 },
    /// A journal head of size 0 where only its absence, all zeros, may have that size.
    #[error("a journal head of size 0")]
    EmptyJournal,
    /// A digest of bytes set aside although there are none.
    #[error("a digest of quarantined bytes although there are none")]
    QuarantineWithoutBytes,
    /// Lost positions that fall, or lie behind what follows them.
    #[error("positions {from} to {to} would be lost before position {resumes_at}")]
    Lost { from: u64, to: u64, resumes_at: u64 },
    /// Bytes set aside without the digest of them. Only a writer can get this wrong.
    #[error("{bytes} quarantined bytes without their digest")]
    BytesWithoutQuarantine { bytes: u64 },
}

impl EngineRecordError {
    /// Whether a later version wrote this, so that it is not damage.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        match self {
            Self::Version { found } => *found > engine::VERSION,
            Self::Suite { found } => *found > engine::SUITE,
            _ => false,
        }
    }
}
