//! A C2SP witness, which signs only what continues the newest checkpoint it has seen: asked over plain HTTP, or through a
//! folder.
//!
//! # Invariants
//!
//! - W1. A cosignature counts only if it verifies, over our checkpoint, under the key of the witness that the caller gave.
//! - W2. A witness that has another size is asked once more with a proof from there; one that has seen another history is
//!   a fork, reported until a person has looked.

use super::http::{Response, Url};
use super::{AnchorError, AnchorSink, Anchored, Receipt, Taken, folder};
use bulla_chain::{AddCheckpoint, Note, NoteSignature, ShownCheckpoint, VerifierKey};
use bulla_vfs::{Host, exchange};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a witness may take to answer unless [`time_max`](WitnessSink::time_max) says otherwise.
pub const WITNESS_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest answer taken, in bytes: some signature lines.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The longest request read back, in bytes: 63 hashes, a line each, and a note.
const REQUEST_BYTES_MAX: usize = bulla_chain::NOTE_BYTES_MAX + (8 << 10);
/// What a request and its answer end with in a folder.
const ASKED: &str = "add-checkpoint";
const ANSWERED: &str = "cosignature";
/// How much of an answer that refuses is kept, in bytes.
const REASON_BYTES_MAX: usize = 200;
/// The type of the answer that says how much of the log the witness has.
const SIZE_TYPE: &str = "text/x.tlog.size";

/// A witness asked with `add-checkpoint` at a plain `http` address, as one on this machine or behind a proxy has.
#[derive(Debug)]
pub struct WitnessSink {
    name: String,
    url: String,
    key: VerifierKey,
    time_max: Duration,
}

impl WitnessSink {
    /// A sink of this name that asks `url`, to which `/add-checkpoint` is added, for cosignatures under `key`.
    #[must_use]
    pub fn new(name: &str, url: &str, key: VerifierKey) -> Self {
        Self { name: name.to_owned(), url: url.to_owned(), key, time_max: WITNESS_TIME_MAX }
    }

    /// How long it may take to answer one question.
    #[must_use]
    pub fn time_max(mut self, limit: Duration) -> Self {
        self.time_max = limit;
        self
    }

    fn ask(&self, url: &Url, request: &AddCheckpoint) -> Result<Response, AnchorError> {
        let question = url.post("add-checkpoint", &request.to_string());
        let answer = exchange(&url.address, &question, ANSWER_BYTES_MAX, self.time_max);
        let unreachable = |source| AnchorError::Unreachable { what: self.url.clone(), source };
        let answer = answer.map_err(unreachable)?;
        Response::parse(&answer)
            .ok_or_else(|| unreachable(io::Error::new(io::ErrorKind::InvalidData, "no whole answer")))
    }
}

impl AnchorSink for WitnessSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, anchored: &mut Anchored<'_>) -> Result<Taken, AnchorError> {
        let refused = |what: &str| AnchorError::Refused { what: what.to_owned() };
        let url = Url::parse(&self.url).ok_or_else(|| refused("its address is not http://host[:port][/path]"))?;
        let shown = anchored.shown().clone();
        let note = shown.note().ok_or_else(|| refused("a witness takes no checkpoint that nobody signed"))?;
        let old = anchored.confirmed().map_or(0, |head| head.size);
        let mut response = self.ask(&url, &request(anchored, old)?)?;
        // W2.
        if let Some(has) = conflict(&response) {
            not_more(has, &shown)?;
            response = self.ask(&url, &request(anchored, has)?)?;
            if conflict(&response) == Some(shown.head().size) {
                return Err(other_root(&shown));
            }
        }
        let said = || {
            let text =
                String::from_utf8_lossy(response.body.get(..REASON_BYTES_MAX).unwrap_or(&response.body)).into_owned();
            format!("status {} {}", response.status, text.trim())
        };
        match response.status {
            200 => {
                let cosignatures = cosignatures(&response.body, note, &self.key)?;
                Ok(Taken { shown, receipt: Receipt::Cosigned(cosignatures) })
            }
            422 => Err(AnchorError::Fork { what: said() }),
            400 | 403 | 404 => Err(refused(&said())),
            _ => Err(AnchorError::Failed { what: said() }),
        }
    }
}

/// A witness reached through a folder, by somebody who carries files. In it, for each checkpoint, named
/// `<origin with + for />-<size>`: `.add-checkpoint`, the body of the request, and, once it is brought back,
/// `.cosignature`, the body of the answer: cosignatures, or, from a witness that has another size of the log than the
/// request says, that size. The latter is taken away, and a request with the proof from there lies in the folder then.
///
/// Until cosignatures are there the checkpoint counts as due. Of one log, one request waits at a time.
#[derive(Debug)]
pub struct WitnessFolderSink {
    name: String,
    host: Host,
    dir: PathBuf,
    key: VerifierKey,
}

impl WitnessFolderSink {
    /// A sink of this name whose requests and answers are in `dir`.
    #[must_use]
    pub fn new(host: &Host, name: &str, dir: impl Into<PathBuf>, key: VerifierKey) -> Self {
        Self { name: name.to_owned(), host: host.clone(), dir: dir.into(), key }
    }

    /// Asks about the newest checkpoint, with the proof from `old_size`; the answer is waited for.
    fn ask(&self, anchored: &mut Anchored<'_>, old_size: u64) -> Result<AnchorError, AnchorError> {
        let base = folder::base_name(anchored.shown());
        let request = request(anchored, old_size)?.to_string();
        folder::write(&self.host, &self.dir.join(format!("{base}.{ASKED}")), request.as_bytes())?;
        Ok(AnchorError::Waiting { path: self.dir.join(format!("{base}.{ANSWERED}")) })
    }

    /// W2. The answer to the request in `asked`, about `shown`, is the size that the witness has. A crash at any step
    /// leaves a request to which the witness says the same again.
    fn ask_from(
        &self,
        anchored: &mut Anchored<'_>,
        shown: &ShownCheckpoint,
        asked: &Path,
        has: u64,
    ) -> Result<AnchorError, AnchorError> {
        not_more(has, anchored.shown())?;
        let request = folder::read(&self.host, asked, REQUEST_BYTES_MAX)?.unwrap_or_default();
        if has == shown.head().size && AddCheckpoint::parse(&request).is_ok_and(|request| request.old_size == has) {
            return Err(other_root(shown));
        }
        let answer = asked.with_extension(ANSWERED);
        self.host.fs.remove_file(&answer).map_err(super::io("remove", &answer))?;
        let waiting = self.ask(anchored, has)?;
        if shown.head().size != anchored.shown().head().size {
            self.host.fs.remove_file(asked).map_err(super::io("remove", asked))?;
        }
        Ok(waiting)
    }
}

impl AnchorSink for WitnessFolderSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, anchored: &mut Anchored<'_>) -> Result<Taken, AnchorError> {
        let Some((shown, asked)) = folder::pending(&self.host, &self.dir, ASKED, anchored)? else {
            if anchored.shown().note().is_none() {
                return Err(AnchorError::Refused {
                    what: "a witness takes no checkpoint that nobody signed".to_owned(),
                });
            }
            let old = anchored.confirmed().map_or(0, |head| head.size);
            return Err(self.ask(anchored, old)?);
        };
        let answer = asked.with_extension(ANSWERED);
        let Some(bytes) = folder::read(&self.host, &answer, ANSWER_BYTES_MAX)? else {
            return Err(AnchorError::Waiting { path: answer });
        };
        if let Some(has) = size(&bytes) {
            return Err(self.ask_from(anchored, &shown, &asked, has)?);
        }
        let unsigned = || AnchorError::BadReceipt { what: "the checkpoint asked about is not signed".to_owned() };
        let cosignatures = cosignatures(&bytes, shown.note().ok_or_else(unsigned)?, &self.key)?;
        Ok(Taken { shown, receipt: Receipt::Cosigned(cosignatures) })
    }
}

fn request(anchored: &mut Anchored<'_>, old_size: u64) -> Result<AddCheckpoint, AnchorError> {
    let proof = anchored.proof_from(old_size)?;
    Ok(AddCheckpoint { old_size, proof, checkpoint: anchored.shown().clone() })
}

/// W2. That the witness has no more of the log than there is.
fn not_more(has: u64, shown: &ShownCheckpoint) -> Result<(), AnchorError> {
    match shown.head().size {
        size if has > size => {
            let what = format!("the witness has {has} records of this log, which has {size}");
            Err(AnchorError::Refused { what })
        }
        _ => Ok(()),
    }
}

/// W2. A witness says so with its size, where that is the size in the question and the checkpoint's.
fn other_root(shown: &ShownCheckpoint) -> AnchorError {
    AnchorError::Fork { what: format!("the witness has another head with {} records", shown.head().size) }
}

/// The size the witness has, if it says that ours is not it.
fn conflict(response: &Response) -> Option<u64> {
    if response.status == 409 && response.media_type == SIZE_TYPE { size(&response.body) } else { None }
}

/// The body of such an answer: a number in decimal and a newline.
fn size(body: &[u8]) -> Option<u64> {
    let text = str::from_utf8(body).ok()?.strip_suffix('\n')?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// W1. The lines in an answer that the witness's key made; at least one.
fn cosignatures(lines: &[u8], note: &Note, key: &VerifierKey) -> Result<Vec<NoteSignature>, AnchorError> {
    let bad = |what: &str| AnchorError::BadReceipt { what: what.to_owned() };
    let lines = str::from_utf8(lines).map_err(|_| bad("it is no text"))?;
    let answer = ShownCheckpoint::parse(format!("{}\n{lines}", note.text()).as_bytes());
    let answer = answer.map_err(|error| bad(&format!("it is no cosignature: {error}")))?;
    let answer = answer.note().ok_or_else(|| bad("there is no cosignature in it"))?;
    let by_witness = |signature: &&NoteSignature| signature.name() == key.name() && signature.key_id() == key.id();
    let signatures: Vec<_> = answer.signatures().iter().filter(by_witness).cloned().collect();
    let named = Note::new(note.text().to_owned(), signatures.clone());
    let named = named.map_err(|_| bad("there is no cosignature of this witness in it"))?;
    named.verify(std::slice::from_ref(key)).map_err(|error| bad(&error.to_string()))?;
    Ok(signatures)
}
