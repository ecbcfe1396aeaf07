//! What can go wrong with a table, and the questions callers ask of it.

use crate::{CodecError, CursorToken};
use bulla_log::{LogError, Order};
use bulla_wire::{LogId, Position, SchemaId};
use std::path::Path;
use std::sync::Arc;

/// Why a row could not be appended, read or waited for.
///
/// Damage of the log ([`is_damage`](Self::is_damage)) and a row that the program cannot make sense of
/// ([`Decode`](Self::Decode), [`UnknownSchema`](Self::UnknownSchema)) are different things: the latter passed every
/// check on its way from the disk, so the bytes are what was appended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum TableError {
    /// The log below the table.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A row cannot be turned into bytes. Nothing was appended.
    #[error("a row for table {table} cannot be encoded")]
    Encode { table: Arc<str>, source: CodecError },
    /// A row's bytes are not a row of the type it is read as.
    #[error("the row at position {position} of table {table}, schema {}, cannot be decoded", schema.0)]
    Decode { table: Arc<str>, position: Position, schema: SchemaId, source: CodecError },
    /// A row has another schema than the table writes, and there is no upgrade from it.
    #[error(
        "the row at position {position} of table {table} has schema {}, this program knows {}",
        found.0, expected.0
    )]
    UnknownSchema { table: Arc<str>, position: Position, found: SchemaId, expected: SchemaId },
    /// The payload of the row asked for was erased; its place, time, kind and digest were kept.
    #[error("the payload at position {position} of table {table} was erased")]
    Redacted { table: Arc<str>, position: Position },
    /// The token continues a walk over another log.
    #[error("the cursor {token} is of log {found}, table {table} is log {expected}")]
    TokenOfOtherLog { table: Arc<str>, token: CursorToken, found: LogId, expected: LogId },
    /// The token continues a walk in the other direction.
    #[error("the cursor {token} is of a walk {}, this one goes {}", direction(*found), direction(*expected))]
    TokenOfOtherOrder { token: CursorToken, found: Order, expected: Order },
}

impl TableError {
    /// Whether bytes are wrong, or segments missing, where no crash can leave that.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        self.log().is_some_and(LogError::is_damage)
    }

    /// Whether a segment that must be there is not.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.log().is_some_and(LogError::is_missing)
    }

    /// Whether a later version of bulla, or a build with more features, wrote what was read.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        self.log().is_some_and(LogError::is_newer)
    }

    /// Whether the disk, a quota or a limit on file size is exhausted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.log().is_some_and(LogError::is_full)
    }

    /// Whether an earlier failure stopped the log from taking rows.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.log().is_some_and(LogError::is_poisoned)
    }

    /// Whether the caller's condition on the next position did not hold.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.log().is_some_and(LogError::is_conflict)
    }

    /// Whether the row asked for was pruned.
    #[must_use]
    pub fn is_pruned(&self) -> bool {
        self.log().is_some_and(LogError::is_pruned)
    }

    /// The file or directory at fault.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.log().and_then(LogError::path)
    }

    /// The position at fault, where there is one.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Log(source) => source.position(),
            Self::Decode { position, .. } | Self::UnknownSchema { position, .. } | Self::Redacted { position, .. } => {
                Some(*position)
            }
            Self::Encode { .. } | Self::TokenOfOtherLog { .. } | Self::TokenOfOtherOrder { .. } => None,
        }
    }

    /// The offset in [`path`](Self::path) at fault, in bytes, where there is one.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.log().and_then(LogError::offset)
    }

    /// The same error again, where it is about a row; `None` for those of the log, which its cursors repeat themselves.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Decode { table, position, schema, source } => Some(Self::Decode {
                table: Arc::clone(table),
                position: *position,
                schema: *schema,
                source: source.clone(),
            }),
            Self::UnknownSchema { table, position, found, expected } => Some(Self::UnknownSchema {
                table: Arc::clone(table),
                position: *position,
                found: *found,
                expected: *expected,
            }),
            _ => None,
        }
    }

    fn log(&self) -> Option<&LogError> {
        match self {
            Self::Log(source) => Some(source),
            _ => None,
        }
    }
}

fn direction(order: Order) -> &'static str {
    match order {
        Order::Ascending => "oldest first",
        Order::Descending => "newest first",
    }
}
