//! What the command answers with: exit codes, and how an error becomes one.
//!
//! # Invariants
//!
//! - E1. The exit code says the same in every output format.
//! - E2. A failure is one line on stderr, `bulla: what: cause: cause`, with no control character in it.

use bulla::TableError;
use bulla::segment::SegmentError;
use bulla::wire::WireError;
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Exit codes. `bulla help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for checks: true at the trust level printed.
    Done,
    /// Negative verdict: tampered, proof false, or records missing.
    Negative,
    /// The command line is not one.
    Usage,
    /// Store or table missing, locked by another writer, or of a newer format.
    Store,
    /// Wrong checksums where no crash leaves them.
    Damaged,
    /// The system refused, a full disk included.
    Io,
    /// True, and below what was demanded.
    Below,
    /// Refused: there is nothing to do, or it would only do harm.
    Refused,
    /// Bad input.
    Input,
    /// Nobody reads our output any more. What a shell shows for a tool that ended on SIGPIPE.
    Pipe,
}

impl Exit {
    /// The number that the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Negative => 1,
            Self::Usage => 2,
            Self::Store => 3,
            Self::Damaged => 4,
            Self::Io => 5,
            Self::Below => 6,
            Self::Refused => 7,
            Self::Input => 8,
            Self::Pipe => 141,
        }
    }

    /// Of two findings the one that weighs more, in the order 1, 4, 5, 3, 6, 0.
    pub(crate) fn worse(self, other: Self) -> Self {
        const ORDER: [Exit; 5] = [Exit::Negative, Exit::Damaged, Exit::Io, Exit::Store, Exit::Below];
        ORDER.into_iter().find(|exit| [self, other].contains(exit)).unwrap_or(self)
    }

    /// The end of a verb that gives a verdict, once it is printed: a bad one reaches the exit code though nobody reads it.
    pub(crate) fn once(self, printed: Result<(), Failure>) -> Result<Self, Failure> {
        match printed {
            Err(failure) if self == Self::Done => Err(failure),
            Err(failure) => {
                failure.report();
                Ok(self.worse(failure.exit))
            }
            Ok(()) => Ok(self),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a verb gave up.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
}

impl Failure {
    /// A failure in our own words.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// The system refused `action` on `path`.
    pub(crate) fn io(action: &str, path: &Path, source: &io::Error) -> Self {
        Self::new(Exit::Io, format!("cannot {action} {}: {source}", path.display()))
    }

    /// What was given for `name` on the command line means nothing.
    pub(crate) fn in_field(name: &str, error: &dyn Error) -> Self {
        Self::new(Exit::Input, format!("{name}: {}", chain(error)))
    }

    /// Standard output takes no more. A reader that went away is no news to anybody.
    pub(crate) fn stdout(source: &io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Pipe, "");
        }
        Self::new(Exit::Io, format!("cannot write to stdout: {source}"))
    }

    /// Says on stderr what happened.
    pub(crate) fn report(&self) {
        if !self.message.is_empty() {
            crate::output::note(&format!("bulla: {}", self.message));
        }
    }
}

impl From<bulla::Error> for Failure {
    fn from(error: bulla::Error) -> Self {
        Self::new(exit_of(&error), chain(&error))
    }
}

impl From<TableError> for Failure {
    fn from(error: TableError) -> Self {
        bulla::Error::from(error).into()
    }
}

impl From<bulla::LogError> for Failure {
    fn from(error: bulla::LogError) -> Self {
        bulla::Error::from(error).into()
    }
}

impl From<SegmentError> for Failure {
    fn from(error: SegmentError) -> Self {
        let exit = match &error {
            // A file that does not even begin as one is not a damaged segment but something else.
            SegmentError::Damaged { source: WireError::Magic { .. }, offset: 0, .. } => Exit::Input,
            error if error.is_newer() => Exit::Store,
            error if error.is_damage() => Exit::Damaged,
            _ => Exit::Io,
        };
        Self::new(exit, chain(&error))
    }
}

/// Damage comes before missing: a missing segment is damage to whoever reads, and only `verify` gives verdicts.
fn exit_of(error: &bulla::Error) -> Exit {
    let is_input = match error {
        bulla::Error::BadName { .. } => return Exit::Usage,
        bulla::Error::Tampered { .. } | bulla::Error::HeldMissing { .. } | bulla::Error::HeldFork { .. } => {
            return Exit::Negative;
        }
        bulla::Error::Log(source) if source.is_unproven() => return Exit::Negative,
        bulla::Error::TableDiffers { .. }
        | bulla::Error::AlreadyAStore { .. }
        | bulla::Error::NotEmpty { .. }
        | bulla::Error::ForgedCheckpoint { .. }
        | bulla::Error::OtherKey { .. }
        | bulla::Error::KeyFile { .. }
        | bulla::Error::Log(bulla::LogError::NoSuchRecord { .. }) => true,
        bulla::Error::Table(source) => {
            matches!(source, TableError::TokenOfOtherLog { .. } | TableError::TokenOfOtherOrder { .. })
        }
        _ => error.is_pruned() || error.is_conflict(),
    };
    if is_input {
        Exit::Input
    } else if error.is_newer() || error.is_not_a_store() || error.is_locked() {
        Exit::Store
    } else if error.is_damage() {
        Exit::Damaged
    } else if error.is_missing() {
        Exit::Store
    } else {
        Exit::Io
    }
}

/// An error and its causes in one line. A cause whose words the line already ends with is not said twice.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !line.ends_with(&words) {
            let _ = write!(line, ": {words}");
        }
        cause = error.source();
    }
    line
}
