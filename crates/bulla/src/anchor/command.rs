//! A program that takes a checkpoint wherever it likes: mail, an object store, a printer.

use super::{AnchorError, AnchorSink, Anchored, Receipt, Taken};
use bulla_vfs::Program;
use std::ffi::OsString;
use std::time::Duration;

/// How long a program may take unless [`time_max`](CommandSink::time_max) says otherwise.
pub const COMMAND_TIME_MAX: Duration = Duration::from_secs(60);

/// Runs a program with the checkpoint on stdin, and the log's name and size in `BULLA_ORIGIN` and `BULLA_SIZE`. Exit code
/// 0 means that it was taken; the beginning of what it says on stderr is kept otherwise. A program that takes too long is
/// ended.
#[derive(Debug)]
pub struct CommandSink {
    name: String,
    program: Program,
    time_max: Duration,
}

impl CommandSink {
    /// A sink of this name that runs `program` with `arguments`, which no shell sees.
    #[must_use]
    pub fn new(
        name: &str,
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        let program = Program { program: program.into(), arguments };
        Self { name: name.to_owned(), program, time_max: COMMAND_TIME_MAX }
    }

    /// How long it may take.
    #[must_use]
    pub fn time_max(mut self, limit: Duration) -> Self {
        self.time_max = limit;
        self
    }
}

impl AnchorSink for CommandSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, anchored: &mut Anchored<'_>) -> Result<Taken, AnchorError> {
        let (shown, program) = (anchored.shown(), self.program.program.to_string_lossy());
        let size = shown.head().size.to_string();
        let variables = [("BULLA_ORIGIN", anchored.origin()), ("BULLA_SIZE", size.as_str())];
        let ran = self.program.run(shown.to_string().as_bytes(), &variables, self.time_max);
        let ran = ran.map_err(|source| AnchorError::Unreachable { what: program.clone().into_owned(), source })?;
        let how = match ran.code {
            Some(0) => return Ok(Taken { shown: shown.clone(), receipt: Receipt::None }),
            _ if ran.is_late => format!("took more than {:?}", self.time_max),
            Some(code) => format!("ended with {code}"),
            None => "was ended by a signal".to_owned(),
        };
        let stderr = String::from_utf8_lossy(&ran.stderr);
        let stderr = stderr.trim();
        let said = if stderr.is_empty() { String::new() } else { format!(": {stderr}") };
        Err(AnchorError::Failed { what: format!("{program} {how}{said}") })
    }
}
