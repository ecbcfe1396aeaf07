//! Runs the real binary.
#![allow(dead_code, reason = "each test file uses its part")]

use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// What a run of the binary gave.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    pub(crate) shown: String,
}

impl Ran {
    /// Fails the test unless the exit code is `code`, and shows what was printed.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        let out = String::from_utf8_lossy(&self.out[..self.out.len().min(4000)]);
        assert_eq!(self.code, Some(code), "{}\nstdout: {out}\nstderr: {}", self.shown, self.err);
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.out.clone()).expect("output is UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).expect("output is JSON")
    }

    pub(crate) fn ndjson(&self) -> Vec<Value> {
        let lines = self.out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("each line is JSON")).collect()
    }

    /// The cursor in the last line on stderr.
    pub(crate) fn cursor(&self) -> String {
        let last = self.err.lines().last().expect("stderr has a last line");
        last.strip_prefix("cursor: ").expect("it is the cursor").to_owned()
    }

    /// The last `acknowledged N`.
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        acknowledged(&self.out)
    }
}

/// The number in the last whole line of acknowledgements.
pub(crate) fn acknowledged(out: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(out);
    let whole = &text[..text.rfind('\n')?];
    whole.lines().last()?.strip_prefix("acknowledged ")?.parse().ok()
}

pub(crate) fn command(arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulla"));
    command.args(arguments).env_remove("BULLA_STORE").env_remove("BULLA_KEY").stdin(Stdio::null());
    command
}

pub(crate) fn ran(mut command: Command) -> Ran {
    let shown = format!("{command:?}");
    let Output { status, stdout, stderr } = command.output().expect("the binary starts");
    Ran { code: status.code(), out: stdout, err: String::from_utf8_lossy(&stderr).into_owned(), shown }
}

pub(crate) fn bulla(arguments: &[impl AsRef<OsStr>]) -> Ran {
    ran(command(arguments))
}

/// Runs with `input` on stdin.
pub(crate) fn bulla_with(arguments: &[impl AsRef<OsStr>], input: &[u8]) -> Ran {
    let mut command = command(arguments);
    let shown = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let input = input.to_vec();
    // A binary that gave up early does not read everything.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the binary ends");
    writer.join().expect("writing does not panic");
    Ran { code: status.code(), out: stdout, err: String::from_utf8_lossy(&stderr).into_owned(), shown }
}

/// A store in a directory that ends with the test.
pub(crate) struct TestStore {
    pub(crate) temporary: tempfile::TempDir,
    pub(crate) dir: PathBuf,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Self {
        let temporary = tempfile::tempdir().expect("there is room for temporary files");
        let dir = temporary.path().join("store");
        let store = Self { temporary, dir };
        store.run("init", options).expect(0);
        store
    }

    pub(crate) fn path(&self) -> &str {
        self.dir.to_str().expect("temporary paths are UTF-8")
    }

    /// `bulla VERB STORE rest`.
    pub(crate) fn run(&self, verb: &str, rest: &[&str]) -> Ran {
        bulla(&[&[verb, self.path()], rest].concat())
    }

    /// Ingests `input` as text, or with other options that `rest` gives.
    pub(crate) fn ingest(&self, table: &str, rest: &[&str], input: &[u8]) -> Ran {
        bulla_with(&[&["ingest", self.path(), "--table", table], rest].concat(), input)
    }

    pub(crate) fn ingest_text(&self, table: &str, input: &[u8]) -> Ran {
        self.ingest(table, &["--format", "text"], input)
    }

    pub(crate) fn raw(&self, table: &str) -> Vec<u8> {
        self.run("cat", &[table, "--format", "raw"]).expect(0).out
    }

    /// The segment files of a table, oldest first.
    pub(crate) fn segments(&self, table: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for log in list(&self.dir.join("tables").join(table)) {
            files.extend(list(&log).into_iter().filter(|path| path.extension().is_some_and(|end| end == "seg")));
        }
        assert!(!files.is_empty(), "table {table} has segments");
        files
    }

    /// The report of `verify --json`, and its exit code.
    pub(crate) fn verify(&self) -> (i32, Value) {
        let ran = self.run("verify", &["--json", "--level", "full"]);
        assert!(!ran.out.is_empty(), "{}: {}", ran.shown, ran.err);
        (ran.code.expect("verify ends by itself"), ran.json())
    }

    #[track_caller]
    pub(crate) fn expect_intact(&self) {
        let (code, report) = self.verify();
        assert_eq!((code, report["verdict"].as_str()), (0, Some("intact")), "{report:#}");
    }
}

/// A directory's entries by name.
pub(crate) fn list(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("the directory is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    paths
}

/// Every file below `dir` with its bytes.
pub(crate) fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for path in list(dir) {
        if path.is_dir() {
            found.push((path.clone(), Vec::new()));
            found.extend(contents(&path));
        } else {
            let bytes = fs::read(&path).expect("the file can be read");
            found.push((path, bytes));
        }
    }
    found
}

/// Copies a directory and all below it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// An ingest that reads from us until we let go of it.
pub(crate) struct Ingesting {
    pub(crate) child: Child,
}

impl Ingesting {
    pub(crate) fn start(store: &TestStore, table: &str) -> Self {
        let mut command = command(&["ingest", store.path(), "--table", table, "--format", "text"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().expect("the binary starts") }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let stdin = self.child.stdin.as_mut().expect("stdin is a pipe");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).expect("ingest reads");
    }
}

impl Drop for Ingesting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A small file system of its own, where the test may mount one.
pub(crate) struct Mount {
    pub(crate) dir: tempfile::TempDir,
}

impl Mount {
    /// `None`, with a message, where mounting is not permitted.
    pub(crate) fn tmpfs(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("there is room for temporary files");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if mounted {
            return Some(Self { dir });
        }
        eprintln!("mounting is not permitted here");
        None
    }

    pub(crate) fn make_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(self.dir.path()).status();
        assert!(status.expect("mount starts").success(), "what was mounted can be mounted again");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}

/// Newlines in `bytes`.
pub(crate) fn line_count(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count() as u64 - 1
}
