//! `bulla check`: whether a proof proves anything to somebody who has no store.
//!
//! # Invariants
//!
//! - C1. Key and origin come from the command line, never from the proof.
//! - C2. Whatever the proof's bytes are, the answer is a verdict: 0 proven and signed, 6 proven by a checkpoint that nobody
//!   signed, 1 not proven.

use crate::exit::{Exit, Failure, chain};
use crate::output::{json, line};
use crate::text::escape;
use crate::times;
use bulla::chain::{CheckError, Expected, Proven, VerifierKey, check_proof};
use bulla::{Time, TreeHead};
use clap::Args;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// More than any proof or key takes; what is longer is no proof.
pub(crate) const PROOF_BYTES_MAX: u64 = 4 << 20;
/// The largest payload a record has.
const RECORD_BYTES_MAX: u64 = bulla::wire::limits::RECORD_BYTES_MAX as u64;

/// Check a proof that a record is in a log, or that a log continues what it was; needs no store
#[derive(Args)]
#[command(after_help = "\
Exits with 0 if the proof holds and the checkpoint in it is signed by the key, with 6 if it holds and nobody signed, and \
with 1 otherwise. Take key and origin from whom you trust, not from whom the proof comes from.")]
pub(crate) struct Arguments {
    /// The proof, a file, or - for standard input
    proof: PathBuf,

    /// The public key: a file that `key new` wrote, or the key itself. More than once for several keys
    #[arg(long = "key", value_name = "PUB", required = true)]
    keys: Vec<String>,

    /// The log's origin: the first line of its checkpoints
    #[arg(long)]
    origin: String,

    /// A file with the record's payload, to be compared with the proven one
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Print the verdict as one JSON object
    #[arg(long)]
    json: bool,
}

/// The verdict, as machines read it.
#[derive(Serialize)]
struct Report<'a> {
    verdict: &'static str,
    kind: Option<&'static str>,
    trust: Option<&'static str>,
    origin: &'a str,
    old_size: Option<u64>,
    size: Option<u64>,
    root: Option<String>,
    cosigned_at: Option<String>,
    record: Option<Record>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Record {
    position: u64,
    time: String,
    kind: u8,
    schema: u32,
    body: String,
    payload: &'static str,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let keys = arguments.keys.iter().map(|key| read_key("--key", key)).collect::<Result<Vec<_>, _>>()?;
    let payload = arguments.record.as_deref().map(|file| read(file, RECORD_BYTES_MAX)).transpose()?;
    let proof = read(&arguments.proof, PROOF_BYTES_MAX)?;
    let expected = Expected { origin: &arguments.origin, keys: &keys, payload: payload.as_deref() };
    let mut checked = check_proof(&proof, &expected);
    let mut compared = "matches";
    // `get --format raw` ends a record with a newline that is not part of it.
    if let (Err(CheckError::Payload), Some((b'\n', shorter))) =
        (&checked, payload.as_deref().and_then(<[u8]>::split_last))
    {
        checked = check_proof(&proof, &Expected { payload: Some(shorter), ..expected });
        compared = "matches without the newline at its end";
    }
    let exit = match &checked {
        Ok(proven) if proven.is_signed() => Exit::Done,
        Ok(_) => Exit::Below,
        Err(_) => Exit::Negative,
    };
    let report = match &checked {
        Ok(proven) => of_proven(&arguments.origin, proven, compared),
        Err(error) => Report { reason: Some(chain(error)), ..Report::none(&arguments.origin) },
    };
    let printed = if arguments.json { json(&report) } else { line(&for_people(&report)) };
    exit.once(printed)
}

impl<'a> Report<'a> {
    fn none(origin: &'a str) -> Self {
        Self {
            verdict: "refused",
            kind: None,
            trust: None,
            origin,
            old_size: None,
            size: None,
            root: None,
            cosigned_at: None,
            record: None,
            reason: None,
        }
    }
}

fn of_proven<'a>(origin: &'a str, proven: &Proven, compared: &'static str) -> Report<'a> {
    let trust = Some(if proven.is_signed() { "signed" } else { "structure" });
    let times = proven.signed().unwrap_or_default().iter().filter_map(|signed| signed.time);
    let cosigned_at = times.max().and_then(|time| i64::try_from(time).ok()?.checked_mul(1_000_000_000));
    let of = |kind, TreeHead { size, root }: &TreeHead| Report {
        verdict: "proven",
        kind: Some(kind),
        trust,
        size: Some(*size),
        root: Some(root.to_string()),
        cosigned_at: cosigned_at.map(|time| times::show(Time(time))),
        ..Report::none(origin)
    };
    match proven {
        Proven::Included { entry, head, has_payload, .. } => Report {
            record: Some(Record {
                position: entry.position.0,
                time: times::show(entry.time),
                kind: entry.kind.0,
                schema: entry.schema.0,
                body: entry.body.to_string(),
                payload: if *has_payload { compared } else { "not given" },
            }),
            ..of("inclusion", head)
        },
        Proven::Consistent { old, new, .. } => Report { old_size: Some(old.size), ..of("consistency", new) },
        // The library may learn further kinds of proofs before this does.
        _ => Report::none(origin),
    }
}

fn for_people(report: &Report<'_>) -> String {
    let origin = escape(report.origin.as_bytes());
    if let Some(reason) = &report.reason {
        return format!("not proven: {}", escape(reason.as_bytes()));
    }
    let size = report.size.unwrap_or_default();
    let what = match (&report.record, report.old_size) {
        (Some(record), _) => {
            let Record { position, time, payload, .. } = record;
            format!("record {position} of {time} is in {origin}, among {size}; payload {payload}")
        }
        (None, Some(old)) => format!("{origin} with {size} records continues what it was with {old}"),
        (None, None) => "nothing".to_owned(),
    };
    let trust = match report.trust {
        Some("signed") => "the checkpoint is signed by the key",
        _ => "nobody signed the checkpoint, so anybody can have made it",
    };
    let time = report.cosigned_at.as_ref().map_or(String::new(), |time| format!(", a witness says before {time}"));
    format!("proven: {what}\n{trust}{time}")
}

/// A key's text, or a file that holds one, given with `option`.
pub(crate) fn read_key(option: &str, given: &str) -> Result<VerifierKey, Failure> {
    if let Ok(key) = given.parse() {
        return Ok(key);
    }
    let bytes = read(Path::new(given), PROOF_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    line.parse().map_err(|error| Failure::in_field(&format!("{option} {given}"), &error))
}

/// All of a file, or of standard input, up to one byte more than is allowed, which no parser takes.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let done = if path == Path::new("-") {
        io::stdin().lock().take(bytes_max + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes))
    };
    match done {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::io("read", path, &error)),
    }
}
