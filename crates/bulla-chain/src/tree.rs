//! The history tree's inner nodes and its heads.
//!
//! The tree is that of RFC 6962, section 2.1, over the leaves of all records ever appended: its left subtree holds
//! the largest power of two of leaves smaller than the size, its right subtree the rest. Nodes are never stored
//! here; [`Frontier`](crate::Frontier) holds the few that appending needs.
//!
//! # Invariants
//!
//! - T1. A head of size n commits to leaves 0 to n - 1, in that order, and to nothing else.
//! - T2. A head has one text, and nothing else parses as it.

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::plain_number;
use crate::digest::Digest;
use crate::error::ParseHeadError;
use crate::sha256;

/// The inner node over two children: SHA-256(0x01 || left || right). Cost: two compressions.
///
/// # Examples
///
/// ```
/// use bulla_chain::{Digest, Frontier, node};
/// let (left, right) = (Digest([1; 32]), Digest([2; 32]));
/// let mut frontier = Frontier::new();
/// frontier.push(left);
/// frontier.push(right);
/// assert_eq!(frontier.root(), node(&left, &right));
/// ```
#[must_use]
pub fn node(left: &Digest, right: &Digest) -> Digest {
    Digest(sha256::node(&left.0, &right.0))
}

/// The root over a power of two of hashes, each of them the root of a complete subtree of one size.
pub(crate) fn complete_root(hashes: &[Digest]) -> Digest {
    match hashes {
        [one] => *one,
        [left, right] => node(left, right),
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            node(&complete_root(left), &complete_root(right))
        }
    }
}

/// The root over a row of complete subtrees, the largest first: that of the empty tree if there are none.
pub(crate) fn row_root(hashes: &[Digest]) -> Digest {
    let root = hashes.iter().copied().rev().reduce(|right, left| node(&left, &right));
    root.unwrap_or(TreeHead::EMPTY.root)
}

/// How many leaves a tree has, and its root: with these two, everything appended so far is fixed.
///
/// Shown, and parsed, as the size in decimal, a colon and the root in hex; size and root are parsed as they are, so
/// whether some log ever had this head is for that log to say.
///
/// # Examples
///
/// ```
/// use bulla_chain::TreeHead;
/// let text = "0:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// assert_eq!(text.parse(), Ok(TreeHead::EMPTY));
/// assert_eq!(TreeHead::EMPTY.to_string(), text);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeHead {
    /// How many leaves, which is also the position of the next record.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

impl TreeHead {
    /// The head of the tree without leaves; its root is SHA-256 of nothing, as RFC 6962 says.
    pub const EMPTY: Self = Self {
        size: 0,
        root: Digest([
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
            0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
        ]),
    };
}

impl fmt::Display for TreeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.size, self.root)
    }
}

impl FromStr for TreeHead {
    type Err = ParseHeadError;

    fn from_str(text: &str) -> Result<Self, ParseHeadError> {
        let (size_text, root) = text.split_once(':').ok_or(ParseHeadError::NoColon)?;
        let size = plain_number(size_text).ok_or(ParseHeadError::Size)?;
        Ok(Self { size, root: root.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ParseDigestError;

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(TreeHead::EMPTY.root.0, sha256::digest_parts(&[]));
    }

    /// T2.
    #[test]
    fn a_head_has_one_text() {
        let root = Digest([0xab; 32]);
        for size in [0, 1, 10, u64::MAX] {
            let head = TreeHead { size, root };
            assert_eq!(head.to_string().parse(), Ok(head));
        }
        let hex = root.to_string();
        for size in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "0x1", "1.0", "18446744073709551616"] {
            assert_eq!(format!("{size}:{hex}").parse::<TreeHead>(), Err(ParseHeadError::Size), "{size:?}");
        }
        assert_eq!(hex.parse::<TreeHead>(), Err(ParseHeadError::NoColon));
        for (text, source) in [
            (format!("1:{hex}:"), ParseDigestError::Length { found: 65 }),
            (format!("1:{}", hex.to_uppercase()), ParseDigestError::NotHex),
        ] {
            assert_eq!(text.parse::<TreeHead>(), Err(ParseHeadError::Root(source)), "{text}");
        }
    }
}
