//! Where a walk stands, as a text to hand out and take back.
//!
//! A token is 30 bytes, shown as 60 lower-case hex digits, so that it goes into URLs and shells as it is.
//!
//! ```text
//! offset  size  field      valid values                                      otherwise
//!      0     1  version    1                                                 another version: newer
//!      1     1  order      0 = oldest first, 1 = newest first                refused
//!      2    16  log        any log id
//!     18     8  edge       any position, little-endian: the first one to look at, or, newest first,
//!                          the one after it
//!     26     4  checksum   CRC-32 over bytes 0..26, little-endian            refused
//! ```
//!
//! # Invariants
//!
//! - E1. What `Display` writes, `FromStr` reads, and nothing else: one token, one text.
//! - E2. No single mistyped character passes.
//!
//! # Not here
//!
//! Secrecy. Whoever holds a token can read a position off it and can make another; it says where to go on, and grants
//! nothing.

use bulla_log::Order;
use bulla_wire::{LogId, Position};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

const VERSION: u8 = 1;
const TOKEN_LEN: usize = 30;
const CHECKED_LEN: usize = 26;

/// Where a walk is to be continued: after the last row it gave. A plain text to the outside (`Display`, `FromStr`, and a
/// string under serde), good for as long as the log lives, across reopening and across processes.
///
/// It knows the log and the direction and refuses others. It does not know the filters: continue with the same ones, or
/// the pages will not fit together. It stands between two positions, so rows of equal time are neither lost nor repeated.
///
/// # Examples
///
/// ```
/// # use bulla_table::{Durability, Log, LogId, Schema, Table, Time};
/// # use std::{path::Path, sync::Arc};
/// # let host = bulla_vfs::Host::memory();
/// # let log = Log::create(&host, Path::new("/log"), LogId([1; 16]), &Default::default())?;
/// # let table: Table<u32> = Table::new(log, "numbers", Schema::default(), Arc::new(|| Time(0)), Durability::Durable);
/// use bulla_table::CursorToken;
///
/// table.append_batch(&[10, 20, 30])?;
/// let page = table.query().descending().limit(2).page()?;
/// let link = format!("/numbers?after={}", page.next.expect("a row is left"));
///
/// let token: CursorToken = link.split_once('=').expect("a parameter").1.parse()?;
/// let rest = table.query().descending().after(&token).page()?;
/// assert_eq!(rest.entries[0].row, 10);
/// assert_eq!(rest.next, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CursorToken {
    pub(crate) log: LogId,
    pub(crate) order: Order,
    /// The first position to look at; newest first, the one after it.
    pub(crate) edge: Position,
}

/// Why a text is not a [`CursorToken`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum ParseTokenError {
    /// Another length, or other characters.
    #[error("a cursor is {} digits of 0-9 and a-f", 2 * TOKEN_LEN)]
    NotAToken,
    /// A later version of bulla wrote it, or its first two digits are mistyped.
    #[error("a cursor of version {version}, this program knows {VERSION}")]
    Newer { version: u8 },
    /// Something in it is mistyped.
    #[error("a mistyped cursor: checksum {stored:08x}, computed {computed:08x}")]
    Checksum { stored: u32, computed: u32 },
}

impl CursorToken {
    fn to_bytes(self) -> [u8; TOKEN_LEN] {
        let order = match self.order {
            Order::Ascending => 0,
            Order::Descending => 1,
        };
        let mut bytes = [0; TOKEN_LEN];
        let checked = [VERSION, order].into_iter().chain(self.log.0).chain(self.edge.0.to_le_bytes());
        bytes.iter_mut().zip(checked).for_each(|(byte, value)| *byte = value);
        let (checked, checksum) = bytes.split_at_mut(CHECKED_LEN);
        checksum.copy_from_slice(&crc32fast::hash(checked).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; TOKEN_LEN]) -> Result<Self, ParseTokenError> {
        let malformed = ParseTokenError::NotAToken;
        let (checked, checksum) = bytes.split_last_chunk().ok_or(malformed.clone())?;
        let (&[version, order], places) = checked.split_first_chunk().ok_or(malformed.clone())?;
        if version != VERSION {
            return Err(ParseTokenError::Newer { version });
        }
        let (stored, computed) = (u32::from_le_bytes(*checksum), crc32fast::hash(checked));
        if stored != computed {
            return Err(ParseTokenError::Checksum { stored, computed });
        }
        let order = match order {
            0 => Order::Ascending,
            1 => Order::Descending,
            _ => return Err(malformed),
        };
        let (log, edge) = places.split_first_chunk().ok_or(malformed.clone())?;
        let edge = <[u8; 8]>::try_from(edge).map_err(|_| malformed)?;
        Ok(Self { log: LogId(*log), order, edge: Position(u64::from_le_bytes(edge)) })
    }
}

impl fmt::Display for CursorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for CursorToken {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        let digit = |character: u8| match character {
            b'0'..=b'9' => Some(character - b'0'),
            b'a'..=b'f' => Some(character - b'a' + 10),
            _ => None,
        };
        let (pairs, odd) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != TOKEN_LEN || !odd.is_empty() {
            // A later version may be longer, and then says so where all versions do.
            return Err(match pairs.first().map(|&[high, low]| (digit(high), digit(low))) {
                Some((Some(high), Some(low)))
                    if high << 4 | low > VERSION && text.bytes().all(|c| digit(c).is_some()) =>
                {
                    ParseTokenError::Newer { version: high << 4 | low }
                }
                _ => ParseTokenError::NotAToken,
            });
        }
        let mut bytes = [0; TOKEN_LEN];
        for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = digit(high).zip(digit(low)).ok_or(ParseTokenError::NotAToken)?;
            *byte = high << 4 | low;
        }
        Self::from_bytes(&bytes)
    }
}

impl Serialize for CursorToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CursorToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
