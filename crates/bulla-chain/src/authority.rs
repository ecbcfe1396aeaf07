//! Authority notes: who allowed an action that excuses absence or lifts protection.
//!
//! Whoever can write a store's directory can append a record to it. So a record that says why something is not there any
//! more is believed only as far as the note beside it is: a signed text over the log, its head before the action, and the
//! action's bytes. Bytes: docs/FORMAT.md, "Authority notes".
//!
//! # Invariants
//!
//! - A1. An authority has one text, and nothing else parses as it.
//! - A2. No text is both an authority and a checkpoint: the second line of one is a log, that of the other a number. So
//!   no signature of a checkpoint can be shown as one of an action, nor the other way round.

use crate::checkpoint::{digest_from_base64, plain_number};
use crate::digest::{Digest, prefix};
use crate::note::to_base64;
use crate::sha256;
use crate::tree::TreeHead;
use bulla_wire::{Kind, LogId};
use std::fmt;
use std::str::FromStr;

const FIRST_LINE: &str = "bulla/authority/v1";

/// What is allowed: one action, once, on one log as it is.
///
/// # Examples
///
/// ```
/// use bulla_chain::{Authority, TreeHead};
/// use bulla_wire::{Kind, LogId};
/// let authority = Authority::over(LogId([7; 16]), TreeHead::EMPTY, Kind::PRUNE, b"the record's payload");
/// assert_eq!(authority.to_string().parse(), Ok(authority));
/// assert_eq!(authority.to_string().lines().nth(1), Some("log 07070707070707070707070707070707"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// The log that the action is taken on.
    pub log: LogId,
    /// Its head right before the record of the action.
    pub head: TreeHead,
    /// The kind of that record.
    pub kind: Kind,
    /// SHA-256(0x14 || action).
    pub action: Digest,
}

/// Why a text is not an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of an authority note is not {expected}")]
#[expect(missing_docs, reason = "the fields say their names")]
pub struct AuthorityError {
    pub line: u8,
    pub expected: &'static str,
}

impl Authority {
    /// The authority for the action that these bytes describe: the record's payload without the note.
    #[must_use]
    pub fn over(log: LogId, head: TreeHead, kind: Kind, action: &[u8]) -> Self {
        let action = Digest(sha256::digest_parts(&[&[prefix::ACTION], action]));
        Self { log, head, kind, action }
    }
}

/// The text of the note, with the newline at its end.
impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, head: TreeHead { size, root }, kind, action } = self;
        let (root, action) = (to_base64(&root.0), to_base64(&action.0));
        write!(f, "{FIRST_LINE}\nlog {log}\nsize {size}\nroot {root}\nkind {}\naction {action}\n", kind.0)
    }
}

impl FromStr for Authority {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        let error = |line, expected| AuthorityError { line, expected };
        let mut lines = text.split('\n');
        let mut field = |line, name: &str, expected| {
            let value = lines.next().and_then(|line| line.strip_prefix(name));
            value.ok_or(error(line, expected))
        };
        let first = field(1, FIRST_LINE, FIRST_LINE)?;
        if !first.is_empty() {
            return Err(error(1, FIRST_LINE));
        }
        let (log, size) = (field(2, "log ", "a log")?, field(3, "size ", "a size")?);
        let (root, kind) = (field(4, "root ", "a root")?, field(5, "kind ", "a kind")?);
        let action = field(6, "action ", "an action")?;
        if !field(7, "", "the end")?.is_empty() || lines.next().is_some() {
            return Err(error(7, "the end"));
        }
        let log = LogId::from_hex(log).ok_or(error(2, "a log"))?;
        let size = plain_number(size).ok_or(error(3, "a size"))?;
        let root = digest_from_base64(root).ok_or(error(4, "a root"))?;
        let kind = plain_number(kind).and_then(|kind| kind.try_into().ok()).map(Kind).ok_or(error(5, "a kind"))?;
        let action = digest_from_base64(action).ok_or(error(6, "an action"))?;
        Ok(Self { log, head: TreeHead { size, root }, kind, action })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;

    fn sample() -> Authority {
        let head = TreeHead { size: 1_000, root: Digest([9; 32]) };
        Authority::over(LogId([0xa5; 16]), head, Kind::PRUNE, b"prune below 900")
    }

    /// A1, and every field is in it.
    #[test]
    fn an_authority_has_one_text() {
        let authority = sample();
        let text = authority.to_string();
        assert_eq!(text.parse(), Ok(authority));
        assert_eq!(authority.action.0, sha256::digest_parts(&[&[0x14], b"prune below 900"]));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Another digit is another authority; everything else is none.
            if let Ok(Ok(other)) = str::from_utf8(&bytes).map(str::parse::<Authority>) {
                assert_ne!(other, authority);
                assert_eq!(other.to_string().as_bytes(), bytes);
            }
        }
        for (wrong, line) in [
            (text.replace("/v1", "/v2"), 1),
            (text.replace("/v1\n", "/v1 \n"), 1),
            (text.replace("log a5", "log A5"), 2),
            (text.replace("log a5", "log "), 2),
            (text.replace("size 1000", "size 01000"), 3),
            (text.replace("size 1000\n", ""), 3),
            (text.replace("root ", "root  "), 4),
            (text.replace("kind 131", "kind 300"), 5),
            (text.replace("action ", "Action "), 6),
            (text.trim_end().to_owned(), 7),
            (format!("{text}\n"), 7),
            (text.replace('\n', "\r\n"), 1),
        ] {
            assert_eq!(wrong.parse::<Authority>().map_err(|error| error.line), Err(line), "{wrong}");
        }
    }

    /// A2, for whatever log, head, kind and action.
    #[test]
    fn no_authority_is_a_checkpoint() {
        for byte in 0..=255_u8 {
            let head = TreeHead { size: byte.into(), root: Digest([byte; 32]) };
            let authority = Authority::over(LogId([byte; 16]), head, Kind(byte), &[byte]);
            assert!(authority.to_string().parse::<Checkpoint>().is_err());
            let checkpoint = Checkpoint::new(FIRST_LINE, head).unwrap();
            assert!(checkpoint.to_string().parse::<Authority>().is_err());
        }
    }
}
