//! Checkpoints: a tree head as the text of a note, as in C2SP's `tlog-checkpoint`.
//!
//! # Invariants
//!
//! - K1. A checkpoint has one text, and nothing else parses as it.

use crate::digest::Digest;
use crate::note::{from_base64, to_base64};
use crate::tree::TreeHead;
use std::fmt;
use std::str::FromStr;

/// A head of the log that an origin names: what a note about it says.
///
/// # Examples
///
/// ```
/// use bulla_chain::{Checkpoint, TreeHead};
/// let checkpoint = Checkpoint::new("acme/logins/07070707", TreeHead::EMPTY)?;
/// let text = "acme/logins/07070707\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
/// assert_eq!(checkpoint.to_string(), text);
/// assert_eq!(text.parse(), Ok(checkpoint));
/// # Ok::<(), bulla_chain::CheckpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    origin: String,
    head: TreeHead,
    extensions: String,
}

/// Why a text is not a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not three lines, or an empty one among them, or the last one not ended.
    #[error("a checkpoint is an origin, a size and a root, each on a line of its own")]
    Lines,
    /// An origin that does not fit on its line.
    #[error("the origin of a checkpoint is one line of text")]
    Origin,
    /// Not a plain decimal number below 2^64.
    #[error("the size in a checkpoint is a decimal number below 2^64 without sign or leading zeros")]
    Size,
    /// Not 32 bytes.
    #[error("the root in a checkpoint is 32 bytes in base64")]
    Root,
}

impl Checkpoint {
    /// The head of the log with this origin.
    pub fn new(origin: &str, head: TreeHead) -> Result<Self, CheckpointError> {
        if origin.is_empty() || origin.contains(char::is_control) {
            return Err(CheckpointError::Origin);
        }
        Ok(Self { origin: origin.to_owned(), head, extensions: String::new() })
    }

    /// Which log, as it calls itself.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How much of it, and the root over that.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.head
    }

    /// Further lines of the text, which nobody can check; bulla writes none.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.extensions.lines()
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, head: TreeHead { size, root }, extensions } = self;
        write!(f, "{origin}\n{size}\n{}\n{extensions}", to_base64(&root.0))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?;
        if body.split('\n').any(str::is_empty) {
            return Err(CheckpointError::Lines);
        }
        let mut lines = text.splitn(4, '\n');
        let (Some(origin), Some(size), Some(root), Some(extensions)) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Lines);
        };
        let size = plain_number(size).ok_or(CheckpointError::Size)?;
        let root = digest_from_base64(root).ok_or(CheckpointError::Root)?;
        if extensions.contains(|c: char| c.is_control() && c != '\n') {
            return Err(CheckpointError::Lines);
        }
        let checkpoint = Self::new(origin, TreeHead { size, root })?;
        Ok(Self { extensions: extensions.to_owned(), ..checkpoint })
    }
}

/// A number in the one way it is written: decimal digits, no sign, no leading zeros.
pub(crate) fn plain_number(text: &str) -> Option<u64> {
    let is_plain = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
    // The number parser takes a sign and leading zeros too.
    if is_plain { text.parse().ok() } else { None }
}

pub(crate) fn digest_from_base64(text: &str) -> Option<Digest> {
    from_base64(text)?.try_into().ok().map(Digest)
}
