//! What a sink has taken, and what went wrong, on disk: `anchors/<sink>/state`.
//!
//! Bytes: docs/FORMAT.md, "Anchors".
//!
//! # Invariants
//!
//! - S1. The file is replaced whole, so a crash leaves the one before or the one after.
//! - S2. It only saves repeats: lost or damaged, everything noted is handed over again.

use crate::checkpoints;
use crate::error::{Error, io};
use crate::layout::create_dirs;
use crate::replace::replace;
use bulla_chain::{Digest, TreeHead};
use bulla_vfs::{Host, OpenMode, read_exact_at};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;

const FIRST_LINE: &str = "bulla/anchor/v1";
const STATE: &str = "state";
const UNFINISHED: &str = "state.tmp";
/// What is read of a state at most: some ten thousand logs, each with an error.
const STATE_BYTES_MAX: u64 = 16 << 20;
/// What is kept of an error's text, in bytes.
const ERROR_BYTES_MAX: usize = 1000;

/// What one sink has of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogState {
    /// The newest head taken.
    pub(crate) taken: Option<TreeHead>,
    /// What has gone wrong since.
    pub(crate) failed: Option<Failed>,
}

/// Attempts without success since the last one with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) attempts: u64,
    /// When the first of them was, in nanoseconds since the epoch.
    pub(crate) since: i64,
    /// What the last one met: one line.
    pub(crate) what: String,
}

/// What one sink has of each log, by origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SinkState {
    pub(crate) logs: BTreeMap<String, LogState>,
}

impl Failed {
    pub(crate) fn line(what: &str) -> String {
        let mut line = String::new();
        for letter in what.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
            if line.len() + letter.len_utf8() > ERROR_BYTES_MAX {
                break;
            }
            line.push(letter);
        }
        line
    }
}

impl SinkState {
    /// Reads the state in a sink's directory; the empty one when there is none, and, with `false`, when it is damaged
    /// (S2).
    pub(crate) fn read(host: &Host, dir: &Path) -> Result<(Self, bool), Error> {
        let path = dir.join(STATE);
        let file = match host.fs.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Self::default(), true)),
            Err(error) => return Err(io("open", &path)(error)),
        };
        let len = file.len().map_err(io("measure", &path))?;
        let Some(len) = usize::try_from(len).ok().filter(|_| len <= STATE_BYTES_MAX) else {
            return Ok((Self::default(), false));
        };
        let mut bytes = vec![0; len];
        read_exact_at(&*file, &mut bytes, 0).map_err(io("read", &path))?;
        let parsed = Self::parse(&bytes);
        if parsed.is_none() {
            tracing::warn!(path = %path.display(), "the state of an anchor is damaged: all is handed over again");
        }
        Ok(parsed.map_or_else(|| (Self::default(), false), |state| (state, true)))
    }

    /// S1.
    pub(crate) fn write(&self, host: &Host, dir: &Path) -> Result<(), Error> {
        create_dirs(host, dir)?;
        replace(host, &dir.join(STATE), &dir.join(UNFINISHED), self.text().as_bytes())
    }

    fn text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        for (origin, LogState { taken, failed }) in &self.logs {
            let _ = writeln!(text, "log {origin}");
            if let Some(TreeHead { size, root }) = taken {
                let _ = writeln!(text, "taken {size} {root}");
            }
            if let Some(Failed { attempts, since, what }) = failed {
                let _ = writeln!(text, "failed {attempts} {since} {what}");
            }
        }
        text.push_str(&checkpoints::checksum_line(text.as_bytes()));
        text
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = str::from_utf8(checkpoints::checked(bytes)?).ok()?;
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let mut state = Self::default();
        let mut log: Option<&mut LogState> = None;
        for line in lines {
            let (word, rest) = line.split_once(' ')?;
            match (word, &mut log) {
                ("log", _) => log = Some(state.logs.entry(rest.to_owned()).or_default()),
                ("taken", Some(log)) => {
                    let (size, root) = rest.split_once(' ')?;
                    log.taken = Some(TreeHead { size: size.parse().ok()?, root: root.parse::<Digest>().ok()? });
                }
                ("failed", Some(log)) => {
                    let mut parts = rest.splitn(3, ' ');
                    let (attempts, since) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
                    log.failed = Some(Failed { attempts, since, what: parts.next()?.to_owned() });
                }
                _ => return None,
            }
        }
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S2: any flipped bit, and any cut, is a state that is not believed.
    #[test]
    fn a_state_is_read_as_it_was_written_or_not_at_all() {
        let mut state = SinkState::default();
        let taken = Some(TreeHead { size: 9, root: Digest([3; 32]) });
        let failed = Some(Failed { attempts: 2, since: -5, what: Failed::line("no\nway\u{1b}") });
        state.logs.insert("a/b/c".to_owned(), LogState { taken, failed });
        state.logs.insert("a/journal".to_owned(), LogState::default());
        let bytes = state.text().into_bytes();
        assert_eq!(SinkState::parse(&bytes), Some(state));
        for len in 0..bytes.len() {
            assert_eq!(SinkState::parse(&bytes[..len]), None);
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SinkState::parse(&flipped), None, "bit {bit}");
        }
        assert_eq!(Failed::line(&"\u{e4}".repeat(2000)).len(), ERROR_BYTES_MAX);
    }
}
