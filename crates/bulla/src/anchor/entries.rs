//! Checkpoints that were kept elsewhere, and texts under a checksum.
//!
//! Bytes: docs/FORMAT.md, "Noted checkpoints" and "Anchors".

use crate::checkpoints;
use bulla_chain::{ProofTextError, ShownCheckpoint};

/// Checkpoints that somebody kept outside the store, read from bytes that may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldCheckpoints {
    /// The whole ones, in the order of the file.
    pub checkpoints: Vec<ShownCheckpoint>,
    /// Offsets of what is no entry and lies before one, and why.
    pub problems: Vec<(u64, String)>,
    /// Where less than an entry follows the last one: what a crash left of one, or the newest, damaged.
    pub torn_at: Option<u64>,
}

/// Reads what was kept elsewhere: one checkpoint, as `bulla checkpoint` prints it or a witness gives it back, or a file
/// of entries, as [`FileSink`](super::FileSink) writes it and a log's `checkpoints` is.
///
/// Whether any signature is good, and whose log it is, is for the caller to check.
///
/// # Errors
///
/// When it is neither: why it is no checkpoint.
///
/// # Examples
///
/// ```
/// let text = "acme/journal\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
/// assert_eq!(bulla::read_checkpoints(text.as_bytes())?.checkpoints.len(), 1);
/// # Ok::<(), bulla::chain::ProofTextError>(())
/// ```
pub fn read_checkpoints(bytes: &[u8]) -> Result<HeldCheckpoints, ProofTextError> {
    let notes = checkpoints::parse(bytes, 0);
    // An unsigned entry would also parse as one checkpoint with a further line, so entries come first.
    if notes.entries.is_empty() {
        let checkpoints = vec![ShownCheckpoint::parse(bytes)?];
        return Ok(HeldCheckpoints { checkpoints, problems: Vec::new(), torn_at: None });
    }
    let torn_at = (notes.cut_at < bytes.len() as u64).then_some(notes.cut_at);
    let checkpoints = notes.entries.into_iter().map(|noted| noted.shown).collect();
    Ok(HeldCheckpoints { checkpoints, problems: notes.problems, torn_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulla_chain::{Checkpoint, Digest, TreeHead};

    fn shown(size: u64) -> ShownCheckpoint {
        ShownCheckpoint::unsigned(Checkpoint::new("a/b/c", TreeHead { size, root: Digest([7; 32]) }).unwrap())
    }

    #[test]
    fn a_held_file_is_one_checkpoint_or_many_entries() {
        let one = shown(4).to_string();
        assert_eq!(read_checkpoints(one.as_bytes()).unwrap().checkpoints, [shown(4)]);
        let entry = |size| checkpoints::encode(&shown(size)).unwrap();
        let many = [entry(4), entry(5), b"a/b".to_vec()].concat();
        let held = read_checkpoints(&many).unwrap();
        assert_eq!(held.checkpoints, [shown(4), shown(5)]);
        let end = (many.len() - 3) as u64;
        assert_eq!((held.problems, held.torn_at), (Vec::new(), Some(end)));
        for garbage in [&b""[..], b"\n", b"crc32 00000000\n", b"\xff\xff", b"a\nb\nc\n"] {
            assert!(read_checkpoints(garbage).is_err(), "{garbage:?}");
        }
    }
}
