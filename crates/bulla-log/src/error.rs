//! What can go wrong with a log, and the questions callers ask of it.

use bulla_chain::{EngineRecordError, TreeHead};
use bulla_segment::SegmentError;
use bulla_wire::Position;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a log could not be opened, read or appended to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum LogError {
    /// One of the log's segments is at fault.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// Positions that were proven durable are gone or wrong. Nothing was changed.
    #[error(
        "damaged log {}: positions {}..{} are lost at offset {offset} of {}; {evidence}",
        dir.display(), lost.start, lost.end, segment.display()
    )]
    Damaged { dir: PathBuf, segment: PathBuf, offset: u64, lost: Range<Position>, evidence: String },
    /// A segment file that must be there is not.
    #[error("segment missing from {}: positions from {position} on are gone", dir.display())]
    Missing { dir: PathBuf, position: Position },
    /// The directory holds no log.
    #[error("no log in {}", dir.display())]
    NotFound { dir: PathBuf },
    /// An engine record's payload is not one.
    #[error("engine record at position {position} of {} cannot be read", dir.display())]
    EngineRecord { dir: PathBuf, position: Position, source: EngineRecordError },
    /// The log is another one than the caller expects, or says something else of itself.
    #[error("log {} is not the one expected: {what}", dir.display())]
    Mismatch { dir: PathBuf, what: String },
    /// An earlier write or sync failed, so nothing can be promised until the log is opened again. Positions in
    /// `indeterminate` may or may not have reached the disk.
    #[error(
        "log {} takes no records until it is opened again: {cause}; positions {}..{} are indeterminate",
        dir.display(), indeterminate.start, indeterminate.end
    )]
    Poisoned { dir: PathBuf, cause: String, indeterminate: Range<Position> },
    /// There was no room. Nothing of this call was written, and the log still takes records.
    #[error("no space for log {}", dir.display())]
    NoSpace { dir: PathBuf, source: io::Error },
    /// The next position is not the one the caller made a condition.
    #[error("expected to append at position {expected}, the next one is {actual}")]
    Conflict { expected: Position, actual: Position },
    /// A record or batch exceeds a limit.
    #[error("{what} is {len}, the limit is {max}")]
    TooLarge { what: &'static str, len: u64, max: u64 },
    /// A kind at or above 128, which only the engine writes.
    #[error("kind {kind} is the engine's own")]
    EngineKind { kind: u8 },
    /// The position lies below the floor: its record was pruned.
    #[error("positions below {below} were pruned")]
    Pruned { below: Position },
    /// The tree head asked for is larger than the log.
    #[error("head of size {asked} asked of a log of size {size}")]
    NoSuchHead { asked: u64, size: u64 },
    /// The record asked for lies at or above the size asked about.
    #[error("no record at position {asked} among the first {size}")]
    NoSuchRecord { asked: Position, size: u64 },
    /// Records contradict the head they must lead to.
    #[error("the records of {} do not lead to head {head}: {what}", dir.display())]
    Unproven { dir: PathBuf, head: TreeHead, what: String },
    /// The log's number line, or another counter of the format, is exhausted.
    #[error("log {} is exhausted: no {what} is left", dir.display())]
    Exhausted { dir: PathBuf, what: &'static str },
    /// The log was closed through another handle.
    #[error("log {} is closed", dir.display())]
    Closed { dir: PathBuf },
    /// The same error as before, from something that does not go on after an error.
    #[error(transparent)]
    Repeated { source: Arc<LogError> },
    /// The caller held a tree head that this log does not continue.
    #[error("log {} does not continue the held head {held}", dir.display())]
    HeldHead { dir: PathBuf, held: TreeHead },
}

impl LogError {
    /// The error itself, whether it is returned for the first time or again.
    pub(crate) fn first(&self) -> &Self {
        match self {
            Self::Repeated { source } => source.first(),
            other => other,
        }
    }

    /// Whether bytes are wrong, or segments missing, where no crash can leave that.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self.first() {
            Self::Segment(source) => source.is_damage(),
            Self::EngineRecord { source, .. } => !source.is_newer(),
            Self::Damaged { .. } | Self::Missing { .. } | Self::Mismatch { .. } | Self::Unproven { .. } => true,
            _ => false,
        }
    }

    /// Whether a segment that must be there is not.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.first(), Self::Missing { .. } | Self::NotFound { .. })
    }

    /// Whether a later version of bulla, or a build with more features, wrote this.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        match self.first() {
            Self::Segment(source) => source.is_newer(),
            Self::EngineRecord { source, .. } => source.is_newer(),
            _ => false,
        }
    }

    /// Whether the disk, a quota or a limit on file size is exhausted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self.first() {
            Self::Segment(source) => source.is_full(),
            Self::Io { source, .. } => bulla_vfs::is_full(source),
            Self::NoSpace { .. } => true,
            _ => false,
        }
    }

    /// Whether an earlier failure stopped the log from taking records.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        matches!(self.first(), Self::Poisoned { .. })
    }

    /// Whether the caller's condition on the next position did not hold.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self.first(), Self::Conflict { .. })
    }

    /// Whether the record asked for was pruned.
    #[must_use]
    pub fn is_pruned(&self) -> bool {
        matches!(self.first(), Self::Pruned { .. })
    }

    /// Whether records contradict a head that they must lead to: all their checksums may hold.
    #[must_use]
    pub fn is_unproven(&self) -> bool {
        matches!(self.first(), Self::Unproven { .. })
    }

    /// The file or directory at fault.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self.first() {
            Self::Segment(source) => Some(source.path()),
            Self::Io { path, .. } => Some(path),
            Self::Damaged { segment, .. } => Some(segment),
            Self::Missing { dir, .. }
            | Self::NotFound { dir }
            | Self::EngineRecord { dir, .. }
            | Self::Mismatch { dir, .. }
            | Self::Poisoned { dir, .. }
            | Self::NoSpace { dir, .. }
            | Self::Exhausted { dir, .. }
            | Self::Closed { dir }
            | Self::Unproven { dir, .. }
            | Self::HeldHead { dir, .. } => Some(dir),
            Self::Repeated { .. }
            | Self::Conflict { .. }
            | Self::TooLarge { .. }
            | Self::EngineKind { .. }
            | Self::Pruned { .. }
            | Self::NoSuchHead { .. }
            | Self::NoSuchRecord { .. } => None,
        }
    }

    /// The position at fault, where there is one.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self.first() {
            Self::Segment(SegmentError::Damaged { position, .. })
            | Self::Missing { position, .. }
            | Self::EngineRecord { position, .. } => Some(*position),
            Self::Damaged { lost, .. } => Some(lost.start),
            Self::Poisoned { indeterminate, .. } => Some(indeterminate.start),
            Self::Conflict { actual, .. } => Some(*actual),
            Self::Pruned { below } => Some(*below),
            Self::NoSuchRecord { asked, .. } => Some(*asked),
            _ => None,
        }
    }

    /// The offset in [`path`](Self::path) at fault, where there is one.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self.first() {
            Self::Segment(source) => source.offset(),
            Self::Damaged { offset, .. } => Some(*offset),
            _ => None,
        }
    }
}

impl LogError {
    /// Whether a step lacked space before anything of it was synced, so that it may be taken back or tried again. A sync
    /// that fails is final, whatever it fails of.
    pub(crate) fn is_refused_for_space(&self) -> bool {
        match self.first() {
            Self::Segment(SegmentError::Io { action, source, .. }) | Self::Io { action, source, .. } => {
                *action != "sync" && bulla_vfs::is_full(source)
            }
            Self::NoSpace { .. } => true,
            _ => false,
        }
    }

    /// The same as [`LogError::NoSpace`], if the step was refused for lack of space.
    pub(crate) fn or_no_space(self, dir: &Path) -> Self {
        match self {
            Self::Segment(SegmentError::Io { action, source, .. }) | Self::Io { action, source, .. }
                if action != "sync" && bulla_vfs::is_full(&source) =>
            {
                Self::NoSpace { dir: dir.to_owned(), source }
            }
            other => other,
        }
    }
}

/// Makes the closure that turns an I/O error into a [`LogError::Io`].
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    move |source| LogError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulla_wire::WireError;
    use std::io::ErrorKind;

    /// What callers ask of an error, and what to call it.
    type Question = (&'static str, fn(&LogError) -> bool);

    const QUESTIONS: [Question; 8] = [
        ("damage", LogError::is_damage),
        ("missing", LogError::is_missing),
        ("newer", LogError::is_newer),
        ("full", LogError::is_full),
        ("poisoned", LogError::is_poisoned),
        ("conflict", LogError::is_conflict),
        ("pruned", LogError::is_pruned),
        ("refused", LogError::is_refused_for_space),
    ];

    /// An error, what is true of it, and the path, position and offset it names.
    type Case = (LogError, &'static [&'static str], Option<&'static str>, Option<u64>, Option<u64>);

    fn cases() -> Vec<Case> {
        let dir = || PathBuf::from("/log");
        let segment = || PathBuf::from("/log/0.seg");
        let damaged = |source| SegmentError::Damaged { path: segment(), offset: 8, position: Position(5), source };
        let magic = || WireError::Magic { what: "frame header" };
        let lost = Position(3)..Position(9);
        let io = |action, kind: ErrorKind| LogError::Io { action, path: segment(), source: kind.into() };
        let inner = |action, kind: ErrorKind| SegmentError::Io { action, path: segment(), source: kind.into() };
        let engine_record = |source| LogError::EngineRecord { dir: dir(), position: Position(6), source };
        let head = TreeHead::EMPTY;
        vec![
            (damaged(magic()).into(), &["damage"], Some("/log/0.seg"), Some(5), Some(8)),
            (
                SegmentError::Newer { path: segment(), offset: 8, source: magic() }.into(),
                &["newer"],
                Some("/log/0.seg"),
                None,
                Some(8),
            ),
            (inner("write", ErrorKind::Other).into(), &[], Some("/log/0.seg"), None, None),
            (inner("write", ErrorKind::StorageFull).into(), &["full", "refused"], Some("/log/0.seg"), None, None),
            (inner("sync", ErrorKind::StorageFull).into(), &["full"], Some("/log/0.seg"), None, None),
            (io("write", ErrorKind::Other), &[], Some("/log/0.seg"), None, None),
            (io("write", ErrorKind::StorageFull), &["full", "refused"], Some("/log/0.seg"), None, None),
            (io("sync", ErrorKind::StorageFull), &["full"], Some("/log/0.seg"), None, None),
            (
                LogError::Damaged {
                    dir: dir(),
                    segment: segment(),
                    offset: 8,
                    lost: lost.clone(),
                    evidence: String::new(),
                },
                &["damage"],
                Some("/log/0.seg"),
                Some(3),
                Some(8),
            ),
            (
                LogError::Missing { dir: dir(), position: Position(4) },
                &["damage", "missing"],
                Some("/log"),
                Some(4),
                None,
            ),
            (engine_record(EngineRecordError::Short { field: "log" }), &["damage"], Some("/log"), Some(6), None),
            (engine_record(EngineRecordError::Version { found: 99 }), &["newer"], Some("/log"), Some(6), None),
            (LogError::NotFound { dir: dir() }, &["missing"], Some("/log"), None, None),
            (LogError::Mismatch { dir: dir(), what: String::new() }, &["damage"], Some("/log"), None, None),
            (
                LogError::Poisoned { dir: dir(), cause: String::new(), indeterminate: lost },
                &["poisoned"],
                Some("/log"),
                Some(3),
                None,
            ),
            (
                LogError::NoSpace { dir: dir(), source: ErrorKind::StorageFull.into() },
                &["full", "refused"],
                Some("/log"),
                None,
                None,
            ),
            (LogError::Conflict { expected: Position(1), actual: Position(2) }, &["conflict"], None, Some(2), None),
            (LogError::TooLarge { what: "batch", len: 2, max: 1 }, &[], None, None, None),
            (LogError::EngineKind { kind: 128 }, &[], None, None, None),
            (LogError::Pruned { below: Position(7) }, &["pruned"], None, Some(7), None),
            (LogError::NoSuchHead { asked: 2, size: 1 }, &[], None, None, None),
            (LogError::Exhausted { dir: dir(), what: "position" }, &[], Some("/log"), None, None),
            (LogError::Closed { dir: dir() }, &[], Some("/log"), None, None),
            (LogError::HeldHead { dir: dir(), held: head }, &[], Some("/log"), None, None),
        ]
    }

    #[track_caller]
    fn check(error: &LogError, (_, truths, path, position, offset): &Case) {
        let found: Vec<_> = QUESTIONS.iter().filter(|(_, ask)| ask(error)).map(|(name, _)| *name).collect();
        assert_eq!(&found, truths, "{error:?}");
        assert_eq!(error.path(), path.map(Path::new), "{error:?}");
        assert_eq!((error.position(), error.offset()), (position.map(Position), *offset), "{error:?}");
    }

    /// Each question is answered of the error itself, and alike of one that is told again.
    #[test]
    fn an_error_answers_for_itself_and_for_what_it_repeats() {
        for case in cases() {
            check(&case.0, &case);
        }
        for mut case in cases() {
            let first = std::mem::replace(&mut case.0, LogError::EngineKind { kind: 128 });
            let again = LogError::Repeated { source: Arc::new(LogError::Repeated { source: Arc::new(first) }) };
            check(&again, &case);
        }
    }

    /// What was refused for lack of space before a sync becomes `NoSpace`; everything else stays what it is.
    #[test]
    fn only_a_refusal_for_space_becomes_no_space() {
        for (error, truths, ..) in cases() {
            let (was, is_refused) = (format!("{error:?}"), truths.contains(&"refused"));
            let now = error.or_no_space(Path::new("/log"));
            assert_eq!(matches!(now, LogError::NoSpace { .. }), is_refused, "{now:?}");
            assert!(is_refused || format!("{now:?}") == was, "{was} became {now:?}");
        }
    }
}
