//! Making a whole store of what is left of a damaged one.
//!
//! # Invariants
//!
//! - R1. The damaged store is read and never changed, not even when its lock is tried.
//! - R2. The new one is no store before it is finished: its journal gets its name last, when everything is durable.
//! - R3. Nothing is left out in silence: what a log lost is in its break records, and a log that was damaged in any way has
//!   at least one. What is not taken along at all is in the report.
//! - R4. Each log is copied into one with an id of its own, whose genesis names the old one.
//! - R5. Only damage is repaired. Tampering is not given a new face, and what a later version wrote is left alone.
//! - R6. Memory is bounded: records go from a cursor to a log one by one.
//!
//! # Not here
//!
//! Which records of a log are left (`bulla_log::salvage`), and what the report of a later verification says of them.

mod source;
mod target;

use crate::error::Error;
use crate::keys::SharedSigner;
use crate::verify::{VerifyOptions, verify};
use bulla_log::{Loss, Progress, Verdict};
use bulla_vfs::Host;
use bulla_wire::LogId;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use source::Source;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use target::Target;

/// How a store is repaired.
#[derive(Clone, Debug)]
pub struct RepairOptions {
    /// Where the new store goes: a directory that is missing or empty. Without it nothing is written, and the report says
    /// what would be.
    pub into: Option<PathBuf>,
    /// Only reports, `into` or not.
    pub dry_run: bool,
    /// Who repairs, for the receipts; nobody checks it.
    pub who: String,
    /// Why, for the receipts, in addition to what was found.
    pub reason: String,
    /// The codecs of tables that a lost journal does not name any more. Without one a table's rows are taken for `raw`.
    pub codecs: BTreeMap<String, String>,
    /// Who allows the repair: the store's key. Without it, receipts are self-asserted. The new store has no key of its own:
    /// its journal is another history under the old name, which a signer that remembers does not sign.
    pub signer: Option<SharedSigner>,
    /// Where files, time and randomness come from.
    pub host: Host,
}

impl Default for RepairOptions {
    fn default() -> Self {
        Self {
            into: None,
            dry_run: false,
            who: String::new(),
            reason: String::new(),
            codecs: BTreeMap::new(),
            signer: None,
            host: Host::os(),
        }
    }
}

/// What a repair found and did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Whether anything is damaged. Nothing was written if not.
    pub is_needed: bool,
    /// Where the new store is, if one was written.
    pub into: Option<PathBuf>,
    /// The logs, the journal first.
    pub logs: Vec<LogRepair>,
    /// What is not in the new store, or not for certain what it was; one line each.
    pub notes: Vec<String>,
}

/// What a repair made of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRepair {
    /// The table's name, or `journal`.
    pub log: String,
    /// The id of the old log, as far as it is known.
    pub source: Option<LogId>,
    /// The id of the new one, if it was written.
    pub target: Option<LogId>,
    /// What verification found the old one to be.
    pub verdict: Verdict,
    /// Records copied, break records of earlier repairs included.
    pub records: u64,
    /// What is lost, in positions of the old log; one entry for each break record.
    pub losses: Vec<Loss>,
}

/// Reads the damaged store in `dir` and writes what is left of it as a new store; see [`RepairOptions::into`].
///
/// The old store is not changed, and may be on a medium that cannot be written. Its writer is kept out while the repair
/// reads, as long as its lock file is there and can be opened.
///
/// # Durability
///
/// The new store survives power loss when this returns. A crash before that leaves a directory that is no store.
///
/// # Errors
///
/// [`is_locked`](Error::is_locked) when a writer has the store, [`Error::Tampered`], [`Error::NotRepairable`] or
/// [`is_newer`](Error::is_newer) where a repair could only do harm, [`Error::NotEmpty`] for the new directory, and whatever
/// keeps the old one from being read or the new one from being written.
///
/// # Examples
///
/// ```
/// use bulla::{Host, Options, RepairOptions, repair};
/// let host = Host::memory();
/// Options::new().host(host.clone()).open("/audit")?.close()?;
/// let report = repair("/audit", &RepairOptions { host, ..RepairOptions::default() }, &mut |_| {})?;
/// assert!(!report.is_needed);
/// # Ok::<(), bulla::Error>(())
/// ```
pub fn repair(
    dir: impl AsRef<Path>,
    options: &RepairOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<RepairReport, Error> {
    let (dir, host) = (dir.as_ref(), &options.host);
    let into = options.into.as_deref().map(|into| target::check(host, dir, into)).transpose()?;
    let _lock = source::keep_writers_out(host, dir)?;
    let verify_options = VerifyOptions { host: host.clone(), ..VerifyOptions::default() };
    let found = verify(dir, &verify_options, progress)?;
    source::check_repairable(dir, &found)?;
    if found.verdict() <= Verdict::Repaired {
        return Ok(RepairReport::default());
    }
    let source = Source::open(dir, options, &found)?;
    let mut report = RepairReport { is_needed: true, notes: source.notes.clone(), ..RepairReport::default() };
    let target = match into.filter(|_| !options.dry_run) {
        Some(into) => Some(Target::begin(host, into, &source)?),
        None => None,
    };
    report.logs = source.copy(target.as_ref(), options)?;
    if let Some(target) = target {
        report.into = Some(target.finish()?);
    }
    Ok(report)
}

impl RepairReport {
    /// Ranges of positions that are lost, of all logs together.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        let losses = self.logs.iter().flat_map(|log| &log.losses);
        losses.filter(|loss| loss.is_open || !loss.positions.is_empty()).count() as u64
    }
}

impl Serialize for RepairReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("RepairReport", 4)?;
        object.serialize_field("needed", &self.is_needed)?;
        object.serialize_field("into", &self.into.as_ref().map(|into| into.display().to_string()))?;
        object.serialize_field("logs", &self.logs)?;
        object.serialize_field("notes", &self.notes)?;
        object.end()
    }
}

impl Serialize for LogRepair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("LogRepair", 6)?;
        object.serialize_field("log", &self.log)?;
        object.serialize_field("source", &self.source.map(|id| id.to_string()))?;
        object.serialize_field("target", &self.target.map(|id| id.to_string()))?;
        object.serialize_field("verdict", &self.verdict.to_string())?;
        object.serialize_field("records", &self.records)?;
        let losses: Vec<_> = self.losses.iter().map(Lost).collect();
        object.serialize_field("lost", &losses)?;
        object.end()
    }
}

/// A loss as machines read it.
struct Lost<'a>(&'a Loss);

impl Serialize for Lost<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Loss { positions, is_open, resumes_at, cause, .. } = self.0;
        let mut object = serializer.serialize_struct("Lost", 5)?;
        object.serialize_field("from", &positions.start.0)?;
        object.serialize_field("to", &positions.end.0)?;
        object.serialize_field("or_more", is_open)?;
        object.serialize_field("resumes_at", &resumes_at.map(|position| position.0))?;
        object.serialize_field("cause", cause)?;
        object.end()
    }
}
