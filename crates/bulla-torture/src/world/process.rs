//! Children of this program: starting, hearing and killing them.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The first argument of a child.
pub(crate) const CHILD: &str = "child";

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

const SIGKILL: i32 = 9;

/// A child that is killed when this goes (K2).
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

/// How a child ended.
pub(crate) struct Ended {
    /// The lines it had left to say.
    pub(crate) lines: Vec<String>,
    pub(crate) status: ExitStatus,
}

impl Ended {
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(SIGKILL)
    }
}

impl Running {
    /// Starts this program again as the child `args`.
    pub(crate) fn start(args: &[OsString]) -> Result<Self, String> {
        Self::start_under(&[], args)
    }

    /// The same below another program: `wrapper` is that program and its arguments.
    pub(crate) fn start_under(wrapper: &[OsString], args: &[OsString]) -> Result<Self, String> {
        let mut words = wrapper.to_vec();
        words.push(this_program()?.into());
        words.push(CHILD.into());
        words.extend_from_slice(args);
        let (program, args) = words.split_first().ok_or("BUG: there is a program to start")?;
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let stdout = child.stdout.take().ok_or("BUG: standard output is a pipe")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            // K1. What does not end in a newline was not said.
            while reader.read_until(b'\n', &mut line).is_ok() && line.pop() == Some(b'\n') {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Ok(Self { child, lines })
    }

    /// Waits for the child to say `wanted`.
    pub(crate) fn wait_for(&mut self, wanted: &str) -> Result<(), String> {
        match self.next_line()? {
            Some(line) if line == wanted => Ok(()),
            line => Err(format!("the child said {line:?} and not {wanted}")),
        }
    }

    /// The next line, or `None` when there will be no more.
    pub(crate) fn next_line(&mut self) -> Result<Option<String>, String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(format!("the child said nothing for {PATIENCE:?}")),
        }
    }

    /// The lines that have come by now.
    pub(crate) fn lines_so_far(&mut self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// Gives the child a line to read.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), String> {
        let stdin = self.child.stdin.as_mut().ok_or("BUG: standard input is a pipe")?;
        stdin.write_all(format!("{line}\n").as_bytes()).map_err(|error| format!("the child does not listen: {error}"))
    }

    /// SIGKILL, and what the child had said by then.
    pub(crate) fn kill(mut self) -> Result<Ended, String> {
        // One that ended by itself cannot be killed, which its status tells.
        let _ = self.child.kill();
        self.end()
    }

    /// Waits for the end, and gives what was said until then.
    pub(crate) fn end(&mut self) -> Result<Ended, String> {
        let started = Instant::now();
        let mut lines = Vec::new();
        while let Some(line) = self.next_line()? {
            lines.push(line);
            if started.elapsed() > PATIENCE {
                return Err(format!("the child went on for {PATIENCE:?}"));
            }
        }
        let status = self.child.wait().map_err(|error| format!("the child cannot be waited for: {error}"))?;
        Ok(Ended { lines, status })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("this program does not know its own path: {error}"))
}

/// K2. A child whose parent is gone ends; children that read lines do that themselves.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        let mut rest = Vec::new();
        // Whatever it is, an answer means that nobody will say more.
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(3);
    });
}

/// Says a line to the parent, whole and at once. A parent that does not listen is gone.
pub(crate) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(3);
    }
}
