//! Running another program: a text in, an exit code out, within a time.
//!
//! Not a part of [`Host`](crate::Host): nothing a store's integrity rests on is asked of a program, and who tests what is
//! above puts another anchor in its place rather than another system.
//!
//! # Invariants
//!
//! - X1. Whatever the program does, `run` returns soon after the time limit, and keeps at most [`STDERR_BYTES_MAX`].
//! - X2. The two threads that feed and listen end with the program's pipes, and hold nothing of the caller's.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What is kept of what a program says on stderr, in bytes; the rest is read and dropped.
pub const STDERR_BYTES_MAX: usize = 4096;
/// How often we look whether the program has ended.
const POLL: Duration = Duration::from_millis(5);
/// How long a program that has ended may keep its stderr open, in the hands of a child of its own.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A program to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program: a path, or a name that is looked up as the system does.
    pub program: OsString,
    /// Its arguments, handed over as they are; no shell sees them.
    pub arguments: Vec<OsString>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; `None` when a signal ended it, or we did because it took too long.
    pub code: Option<i32>,
    /// The beginning of what it said on stderr.
    pub stderr: Vec<u8>,
    /// Whether it was ended because its time was over.
    pub is_late: bool,
}

impl Program {
    /// Runs it with `input` on stdin and nothing to write to on stdout.
    ///
    /// A program that ends without reading its input is no error. One that is not over after `limit` is killed; what it
    /// started is not.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulla_vfs::Program;
    /// use std::time::Duration;
    /// # if cfg!(unix) {
    /// let program = Program { program: "sh".into(), arguments: vec!["-c".into(), "test \"$(cat)\" = \"$WORD\"".into()] };
    /// let ran = program.run(b"seal", &[("WORD", "seal")], Duration::from_secs(10))?;
    /// assert_eq!((ran.code, ran.is_late), (Some(0), false));
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn run(&self, input: &[u8], variables: &[(&str, &str)], limit: Duration) -> io::Result<Ran> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(variables.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value))));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            let input = input.to_vec();
            // It may not want to read; that is its business.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let said = Arc::new(Mutex::new(Vec::new()));
        let listener = child.stderr.take().map(|stderr| {
            let said = Arc::clone(&said);
            thread::spawn(move || listen(stderr, &said))
        });
        let status = wait(&mut child, limit)?;
        let start = Instant::now();
        while listener.as_ref().is_some_and(|listener| !listener.is_finished()) && start.elapsed() < LAST_WORDS {
            thread::sleep(POLL);
        }
        let stderr = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Ran { code: status.and_then(|status| status.code()), stderr, is_late: status.is_none() })
    }
}

/// X1. `None` when the time was over.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Reads to the end, so that the program never waits for us, and keeps the beginning.
fn listen(mut stderr: impl Read, said: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => return,
            Ok(len) => {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                let room = STDERR_BYTES_MAX - said.len();
                said.extend_from_slice(buffer.get(..len.min(room)).unwrap_or_default());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str, input: &[u8], limit: Duration) -> Ran {
        let program = Program { program: "sh".into(), arguments: vec!["-c".into(), script.into()] };
        program.run(input, &[], limit).unwrap()
    }

    /// X1.
    #[test]
    fn a_program_is_heard_within_limits_and_ended_in_time() {
        let long = Duration::from_secs(20);
        let ran = sh("cat >/dev/null; echo no >&2; exit 3", &vec![b'x'; 1 << 20], long);
        assert_eq!(ran, Ran { code: Some(3), stderr: b"no\n".to_vec(), is_late: false });
        let ran = sh("exit 0", &vec![b'x'; 1 << 20], long);
        assert_eq!(ran.code, Some(0), "it did not read, and ended well");
        let ran = sh("yes no | head -c 300000 >&2", b"", long);
        assert_eq!((ran.code, ran.stderr.len()), (Some(0), STDERR_BYTES_MAX));

        let start = Instant::now();
        let ran = sh("echo late >&2; exec sleep 30", b"", Duration::from_millis(300));
        assert_eq!((ran.code, ran.is_late), (None, true));
        assert!(start.elapsed() < Duration::from_secs(10));
        let start = Instant::now();
        assert_eq!(sh("sleep 30 & exit 0", b"", long).code, Some(0), "a child it left holds the pipe");
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
