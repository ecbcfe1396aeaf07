//! A key in a file, and beside it what was signed with it.
//!
//! Bytes: docs/FORMAT.md, "The memory of a key".
//!
//! # Invariants
//!
//! - F1. The memory is durable before a signature is given out, and is replaced whole.
//! - F2. A memory that cannot be read is an error, and never taken for an empty one.
//! - F3. One signer at a time has a key file, in this process and others, whatever links lead to it; one that lost the
//!   lock signs no more.
//!
//! # Not here
//!
//! A file of the memory that was put back to an older state, or removed, together with the store: keep the key on
//! another machine or medium than the store, or an anchor.

use crate::checkpoints::checksum_line;
use crate::error::{Error, io};
use crate::replace::replace;
use bulla_chain::{AddCheckpoint, Authority, NoteSignature, NoteSigner, SignError, Signer, TreeHead, VerifierKey};
use bulla_vfs::{Host, OpenMode, VfsLock, read_exact_at};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Longest text of a key, in bytes.
const KEY_BYTES_MAX: u64 = 4 << 10;
/// Longest memory, in bytes: tens of thousands of logs.
const STATE_BYTES_MAX: u64 = 16 << 20;
const FIRST_LINE: &str = "bulla/signer/v1";

/// Signs with an Ed25519 key that `bulla key new` wrote, and remembers what it signed in a file beside it, so that a store
/// that was put back to an older state gets no signature over a second history.
///
/// The key file is FILE, the memory FILE.state, and FILE.lock keeps two signers from using one key at a time. Where FILE is
/// a link, they are beside what it leads to.
///
/// # Examples
///
/// ```no_run
/// use bulla::{FileSigner, Options};
/// let signer = FileSigner::open("/secrets/audit.key")?;
/// let store = Options::new().signer(Box::new(signer)).key_file("/secrets/audit.key").open("audit")?;
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Debug)]
pub struct FileSigner {
    host: Host,
    path: PathBuf,
    key: NoteSigner,
    heads: BTreeMap<String, TreeHead>,
    /// Whether what is on the disk may differ from `heads`.
    is_spent: bool,
    lock: Box<dyn VfsLock>,
}

impl FileSigner {
    /// The key in the file at `path`, on the machine's disk.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read, [`Error::KeyFile`] when it holds no key or what is remembered cannot be
    /// understood, [`is_locked`](Error::is_locked) when another signer has it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_on(&Host::os(), path)
    }

    /// As [`open`](Self::open), on a host of the caller's.
    pub fn open_on(host: &Host, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        // F3. The memory is the key's, not that of a name it has.
        let path = &host.fs.resolve(path).map_err(io("find", path))?;
        let text = read_text(host, path, KEY_BYTES_MAX)?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let key = line.parse::<NoteSigner>().map_err(|error| wrong(path, &error.to_string()))?;
        let lock_path = beside(path, ".lock");
        let lock = host.fs.lock(&lock_path).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => Error::KeyInUse { path: path.to_owned() },
            _ => io("lock", &lock_path)(error),
        })?;
        let state = beside(path, ".state");
        let heads = match read_text(host, &state, STATE_BYTES_MAX) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => BTreeMap::new(),
            text => {
                parse(&text?).ok_or_else(|| wrong(&state, "what was signed cannot be read; it is never forgotten"))?
            }
        };
        Ok(Self { host: host.clone(), path: path.to_owned(), key, heads, is_spent: false, lock })
    }

    /// F1 and F3.
    fn remember(&self, heads: &BTreeMap<String, TreeHead>) -> Result<(), Error> {
        self.lock.check().map_err(io("keep the lock on", &self.path))?;
        let (path, temporary) = (beside(&self.path, ".state"), beside(&self.path, ".state.tmp"));
        replace(&self.host, &path, &temporary, to_text(heads).as_bytes())
    }
}

impl Signer for FileSigner {
    fn verifier(&self) -> VerifierKey {
        self.key.verifier()
    }

    fn remembers(&self) -> bool {
        true
    }

    fn last(&self, origin: &str) -> Result<TreeHead, SignError> {
        if self.is_spent {
            let what = "an earlier signature could not be remembered; open the key file again";
            return Err(SignError::Failed(Box::new(wrong(&self.path, what))));
        }
        Ok(self.heads.get(origin).copied().unwrap_or(TreeHead::EMPTY))
    }

    fn sign(&mut self, request: &AddCheckpoint) -> Result<NoteSignature, SignError> {
        let checkpoint = request.checkpoint.checkpoint();
        let last = self.last(checkpoint.origin())?;
        request.continues(&last)?;
        if last != checkpoint.head() {
            let mut heads = self.heads.clone();
            heads.insert(checkpoint.origin().to_owned(), checkpoint.head());
            if let Err(error) = self.remember(&heads) {
                // The rename may have happened or not.
                self.is_spent = true;
                return Err(SignError::Failed(Box::new(error)));
            }
            self.heads = heads;
        }
        Ok(self.key.sign(&checkpoint.to_string()))
    }

    fn authorise(&mut self, authority: &Authority) -> Result<NoteSignature, SignError> {
        Ok(self.key.sign(&authority.to_string()))
    }
}

fn wrong(path: &Path, what: &str) -> Error {
    Error::KeyFile { path: path.to_owned(), what: what.to_owned() }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

fn read_text(host: &Host, path: &Path, bytes_max: u64) -> Result<String, Error> {
    let file = host.fs.open(path, OpenMode::Read).map_err(io("open", path))?;
    let len = file.len().map_err(io("measure", path))?;
    if len > bytes_max {
        return Err(wrong(path, &format!("{len} bytes, and at most {bytes_max} are expected")));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    read_exact_at(&*file, &mut bytes, 0).map_err(io("read", path))?;
    String::from_utf8(bytes).map_err(|_| wrong(path, "not text"))
}

fn to_text(heads: &BTreeMap<String, TreeHead>) -> String {
    let mut text = format!("{FIRST_LINE}\n");
    for (origin, head) in heads {
        writeln!(text, "{head} {origin}").expect("BUG: a string refused to grow");
    }
    text.push_str(&checksum_line(text.as_bytes()));
    text
}

/// F2. `None` for every other text than one that was written.
fn parse(text: &str) -> Option<BTreeMap<String, TreeHead>> {
    let body = text.strip_suffix('\n')?;
    let (lines, _) = body.rsplit_once('\n')?;
    let mut heads = BTreeMap::new();
    for line in lines.strip_prefix(FIRST_LINE)?.lines().skip(1) {
        let (head, origin) = line.split_once(' ')?;
        heads.insert(origin.to_owned(), head.parse().ok()?);
    }
    (to_text(&heads) == text).then_some(heads)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of docs/FORMAT.md; that no other text is taken, the tests of the store try.
    #[test]
    fn the_memory_has_the_text_of_the_format() {
        let text = "bulla/signer/v1\n\
            7:93573c681961ec39f8704540aab7232244306ca14b8a61908d7f3f2855cabbb2 acme/logins/07070707\n\
            crc32 d7c8ce3b\n";
        let heads = parse(text).unwrap();
        assert_eq!(heads["acme/logins/07070707"].size, 7);
        assert_eq!(to_text(&heads), text);
        assert_eq!(parse(&to_text(&BTreeMap::new())), Some(BTreeMap::new()));
        assert_eq!(parse(""), None);
    }
}
