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
use std::path::PathBuf;
use std::time::Duration;

/// How long a witness may take to answer unless [`time_max`](WitnessSink::time_max) says otherwise.
pub const WITNESS_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest answer taken, in bytes: some signature lines.
const ANSWER_BYTES_MAX: usize = 64 << 10;
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
            if has > shown.head().size {
                return Err(refused(&format!(
                    "the witness has {has} records of this log, which has {}",
                    shown.head().size
                )));
            }
            response = self.ask(&url, &request(anchored, has)?)?;
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
            422 => Err(refused(&format!("{}: the witness saw another history of this log", said()))),
            400 | 403 | 404 => Err(refused(&said())),
            _ => Err(AnchorError::Failed { what: said() }),
        }
    }
}

/// A witness reached through a folder, by somebody who carries files. In it, for each checkpoint, named
/// `<origin with + for />-<size>`: `.add-checkpoint`, the body of the request, and, once it is brought back,
/// `.cosignature`, the body of the answer.
///
/// Until it is there the checkpoint counts as due. Of one log, one request waits at a time; a witness that has another
/// size than the request says is asked anew once the request is removed and [`old_size`](Self::old_size) is set.
#[derive(Debug)]
pub struct WitnessFolderSink {
    name: String,
    host: Host,
    dir: PathBuf,
    key: VerifierKey,
    old_size: Option<u64>,
}

impl WitnessFolderSink {
    /// A sink of this name whose requests and answers are in `dir`.
    #[must_use]
    pub fn new(host: &Host, name: &str, dir: impl Into<PathBuf>, key: VerifierKey) -> Self {
        Self { name: name.to_owned(), host: host.clone(), dir: dir.into(), key, old_size: None }
    }

    /// How much of the log the witness has, if it is not what this sink knows.
    #[must_use]
    pub fn old_size(mut self, size: u64) -> Self {
        self.old_size = Some(size);
        self
    }
}

impl AnchorSink for WitnessFolderSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, anchored: &mut Anchored<'_>) -> Result<Taken, AnchorError> {
        const ASKED: &str = "add-checkpoint";
        let Some((shown, asked)) = folder::pending(&self.host, &self.dir, ASKED, anchored)? else {
            let base = folder::base_name(anchored.shown());
            if anchored.shown().note().is_none() {
                return Err(AnchorError::Refused {
                    what: "a witness takes no checkpoint that nobody signed".to_owned(),
                });
            }
            let old = self.old_size.or(anchored.confirmed().map(|head| head.size)).unwrap_or_default();
            let request = request(anchored, old)?.to_string();
            folder::write(&self.host, &self.dir, &format!("{base}.{ASKED}"), request.as_bytes())?;
            return Err(AnchorError::Waiting { path: self.dir.join(format!("{base}.cosignature")) });
        };
        let answer = asked.with_extension("cosignature");
        let Some(bytes) = folder::read(&self.host, &answer, ANSWER_BYTES_MAX)? else {
            return Err(AnchorError::Waiting { path: answer });
        };
        let unsigned = || AnchorError::BadReceipt { what: "the checkpoint asked about is not signed".to_owned() };
        let cosignatures = cosignatures(&bytes, shown.note().ok_or_else(unsigned)?, &self.key)?;
        Ok(Taken { shown, receipt: Receipt::Cosigned(cosignatures) })
    }
}

fn request(anchored: &mut Anchored<'_>, old_size: u64) -> Result<AddCheckpoint, AnchorError> {
    let proof = anchored.proof_from(old_size)?;
    Ok(AddCheckpoint { old_size, proof, checkpoint: anchored.shown().clone() })
}

/// The size the witness has, if it says that ours is not it.
fn conflict(response: &Response) -> Option<u64> {
    if response.status != 409 || response.media_type != SIZE_TYPE {
        return None;
    }
    let text = str::from_utf8(&response.body).ok()?.strip_suffix('\n')?;
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
