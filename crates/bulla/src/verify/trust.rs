//! What vouches for a log besides the store itself: checkpoints that the caller holds, and those noted beside the log.
//!
//! # Invariants
//!
//! - U1. What to expect comes from the caller and from the store's structure, never from a note: keys, held checkpoints and
//!   witnesses are the caller's, and the origin is the one that a log of this store, table and id must have.
//! - U2. A note found in the store makes a log signed, never anchored, unless every witness that the caller named signed it.
//! - U3. A checkpoint counts only if the log has its root at its size. One that the log contradicts is tampering, and one
//!   above the log's end means missing records, whoever signed: the store's parts disagree. What cannot be compared is
//!   listed, and if the caller holds it, nothing is true without it ([`Trust::is_uncheckable`]).
//! - U4. What is wrong with the file `checkpoints` itself weakens what vouches for the log and never changes its verdict.
//! - U5. Work and report are bounded: at most [`NOTES_MAX`] notes are judged, the newest, and [`FINDINGS_MAX`] findings kept.

use super::{VerifyOptions, note};
use crate::checkpoints::{self, CHECKPOINTS, Noted};
use crate::error::Error;
use crate::report::{Trust, TrustLevel};
use bulla_chain::{Digest, Note, NoteError, ShownCheckpoint, TreeHead};
use bulla_log::{Finding, LogReport, Verdict};
use bulla_wire::Position;
use std::path::Path;

/// Of the notes of one log the newest so many are judged.
pub(crate) const NOTES_MAX: usize = 4096;
/// Findings about the notes of one log that are kept; one more counts the rest.
const FINDINGS_MAX: usize = 100;

/// Everything that says something of one log's tree.
#[derive(Debug, Default)]
pub(super) struct Claims {
    list: Vec<Claim>,
    findings: Vec<Finding>,
    not_checked: Vec<String>,
    /// Whether roots are what headers, footers and seals say, and nobody computed them.
    is_structure: bool,
}

#[derive(Debug)]
struct Claim {
    head: TreeHead,
    place: Place,
    signed: Signed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The caller has it.
    Held,
    /// The caller has it, and the log was read from there on.
    Since,
    /// In the log's `checkpoints`, at this offset.
    Noted(u64),
}

/// What the signatures of a note are worth to the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Signed {
    /// By one of the caller's keys that names the store.
    by_key: bool,
    /// By one that names another store.
    by_other: bool,
    /// By all of the caller's witnesses, of which there is at least one.
    by_witnesses: bool,
    /// When the newest cosignature that was checked was made, in seconds since the Unix epoch.
    time: Option<u64>,
}

/// What the signatures are worth, or which of the keys' signatures is none of its own.
#[cfg(feature = "ed25519")]
fn check_signatures(options: &VerifyOptions, shown: &ShownCheckpoint) -> Result<Signed, NoteError> {
    let Some(note) = shown.note() else { return Ok(Signed::default()) };
    let verified = |keys| match note.verify(keys) {
        Err(NoteError::Untrusted) => Ok(Vec::new()),
        verified => verified,
    };
    let (by_keys, by_witnesses) = (verified(&options.keys)?, verified(&options.witnesses)?);
    let is_by = |witness| by_witnesses.iter().any(|verified| verified.key == witness);
    // A key names the store it is for: what it signed for another one is no part of this one's evidence.
    let store = shown.checkpoint().origin().split('/').next();
    let names_store = |key: usize| options.keys.get(key).is_some_and(|key| Some(key.name()) == store);
    let by_key = by_keys.iter().any(|by| names_store(by.key));
    Ok(Signed {
        by_key,
        by_other: !by_key && !by_keys.is_empty(),
        by_witnesses: !options.witnesses.is_empty() && (0..options.witnesses.len()).all(is_by),
        time: by_keys.iter().chain(&by_witnesses).filter_map(|verified| verified.time).max(),
    })
}

/// Whether a key of the caller's signed the note.
#[cfg(feature = "ed25519")]
pub(super) fn is_by_a_key(options: &VerifyOptions, note: &Note) -> bool {
    note.verify(&options.keys).is_ok_and(|by| !by.is_empty())
}

/// Without the feature there are no keys to check with.
#[cfg(not(feature = "ed25519"))]
pub(super) fn is_by_a_key(_: &VerifyOptions, _: &Note) -> bool {
    false
}

/// Without the feature there are no keys to check with.
#[cfg(not(feature = "ed25519"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature there is something to refuse")]
fn check_signatures(_: &VerifyOptions, _: &ShownCheckpoint) -> Result<Signed, NoteError> {
    Ok(Signed::default())
}

/// Refuses what the caller holds if a signature on it is none of the key's whose it says it is.
pub(super) fn check_held(options: &VerifyOptions) -> Result<(), Error> {
    held_in(options).try_for_each(|(_, shown)| {
        let origin = shown.checkpoint().origin();
        check_signatures(options, shown)
            .map(drop)
            .map_err(|source| Error::ForgedCheckpoint { origin: origin.to_owned(), source })
    })
}

/// Origins of what the caller holds.
pub(super) fn held_origins(options: &VerifyOptions) -> impl Iterator<Item = &str> {
    held_in(options).map(|(_, shown)| shown.checkpoint().origin())
}

fn held_in(options: &VerifyOptions) -> impl Iterator<Item = (Place, &ShownCheckpoint)> {
    let held = options.held.iter().map(|held| (Place::Held, held));
    held.chain(options.since.iter().map(|since| (Place::Since, since)))
}

impl Claims {
    /// What the caller holds of the log with this origin.
    pub(super) fn held(options: &VerifyOptions, origin: &str) -> Self {
        let mut claims = Self::default();
        for (place, shown) in held_in(options).filter(|(_, shown)| shown.checkpoint().origin() == origin) {
            // `check_held` has refused what is forged.
            let signed = check_signatures(options, shown).unwrap_or_default();
            claims.list.push(Claim { head: shown.head(), place, signed });
        }
        // Everything above the lowest trusted head is read, so that the others can be compared as any held one.
        let lowest = claims.since();
        for claim in claims.list.iter_mut().filter(|claim| claim.place == Place::Since) {
            if Some(claim.head) != lowest {
                claim.place = Place::Held;
            }
        }
        claims
    }

    /// At level structure a root that agrees is a claim of the store's, and vouches for no record.
    pub(super) fn take_roots_on_trust(&mut self, is_structure: bool) {
        self.is_structure = is_structure;
    }

    /// Adds what is noted beside the log. `noted_size` is the newest size that the journal says was noted.
    pub(super) fn add_noted(&mut self, options: &VerifyOptions, dir: &Path, origin: &str, noted_size: Option<u64>) {
        let notes = match checkpoints::read(&options.host, dir) {
            Ok(notes) => notes,
            Err(error) => return self.findings.push(Finding { segment: Some(named()), ..super::finding(&error) }),
        };
        let newest = notes.iter().flat_map(|notes| &notes.entries).map(|noted| noted.shown.head().size).max();
        if let Some(size) = noted_size.filter(|size| newest < Some(*size)) {
            let what = match notes {
                Some(_) => "the newest ones noted are gone",
                None => "the file is gone",
            };
            let what = format!("the journal says that a checkpoint of size {size} was noted: {what}");
            self.findings.push(Finding { segment: Some(named()), ..note(Verdict::Intact, what) });
        }
        let Some(notes) = notes else { return };
        if notes.skipped > 0 {
            self.not_checked.push(format!("checkpoints noted in the first {} bytes of the file", notes.skipped));
        }
        for (offset, what) in notes.problems {
            self.find(Verdict::Intact, None, offset, format!("no checkpoint: {what}"));
        }
        let older = notes.entries.len().saturating_sub(NOTES_MAX);
        if older > 0 {
            self.not_checked.push(format!("the oldest {older} noted checkpoints; only the newest {NOTES_MAX} were"));
        }
        for noted in notes.entries.iter().skip(older) {
            self.add_note(options, origin, noted);
        }
    }

    fn add_note(&mut self, options: &VerifyOptions, origin: &str, noted: &Noted) {
        let (checkpoint, head) = (noted.shown.checkpoint(), noted.shown.head());
        let position = Some(Position(head.size));
        if checkpoint.origin() != origin {
            let what = format!("a checkpoint of {} is noted here", checkpoint.origin());
            return self.find(Verdict::Intact, position, noted.offset, what);
        }
        match check_signatures(options, &noted.shown) {
            Ok(signed) => self.list.push(Claim { head, place: Place::Noted(noted.offset), signed }),
            Err(error) => {
                let what = format!("the checkpoint {head} counts for nothing: {error}");
                self.find(Verdict::Intact, position, noted.offset, what);
            }
        }
    }

    fn find(&mut self, verdict: Verdict, position: Option<Position>, offset: u64, what: String) {
        self.findings.push(Finding { verdict, position, segment: Some(named()), offset: Some(offset), what });
    }

    /// Sizes at which the log's root is wanted.
    pub(super) fn sizes(&self) -> Vec<u64> {
        self.list.iter().map(|claim| claim.head.size).collect()
    }

    /// From where on the log is to be read.
    pub(super) fn since(&self) -> Option<TreeHead> {
        let since = self.list.iter().filter(|claim| claim.place == Place::Since).map(|claim| claim.head);
        since.min_by_key(|head| head.size)
    }

    /// Holds all of it against what was found out of the log, and adds to the report what follows.
    pub(super) fn judge(mut self, report: &mut LogReport) -> Trust {
        let mut trust = Trust::default();
        let (mut unknown_notes, mut taken_on_trust, mut by_others) = (0_u64, 0_u64, 0_u64);
        for Claim { head, place, signed } in std::mem::take(&mut self.list) {
            let size = head.size;
            let root = match size {
                0 => Some(TreeHead::EMPTY.root),
                _ => root_at(&report.roots, size),
            };
            let whose = place.whose(signed);
            by_others += u64::from(signed.by_other);
            if root == Some(head.root) && self.is_structure {
                taken_on_trust += 1;
                continue;
            }
            if root == Some(head.root) {
                trust.add(size, place.is_held() || signed.by_witnesses, signed.by_key, signed.time);
                continue;
            }
            let (verdict, position, what) = match (root, report.head) {
                (Some(root), _) => {
                    (Verdict::Tampered, size, format!("the checkpoint {head}, {whose}, has the root {root} here"))
                }
                (None, Some(end)) if end.size < size => {
                    let end = end.size;
                    let what = format!("positions {end}..{size} are missing: there is a checkpoint {head}, {whose}");
                    (Verdict::Missing, end, what)
                }
                (None, _) => {
                    trust.is_uncheckable |= place.is_held();
                    if place.is_held() {
                        let what = format!("the checkpoint {head}, {whose}: the root there could not be computed");
                        self.not_checked.push(what);
                    } else {
                        unknown_notes += 1;
                    }
                    continue;
                }
            };
            match place {
                // Verification of the log has said it already.
                Place::Since => {}
                Place::Held => {
                    self.findings.push(Finding { position: Some(Position(position)), ..note(verdict, what) });
                }
                Place::Noted(offset) => self.find(verdict, Some(Position(position)), offset, what),
            }
        }
        if taken_on_trust > 0 {
            let what = "checkpoints against the records: the roots that headers, footers and seals claim agree with";
            self.not_checked.push(format!("{what} {taken_on_trust} of them"));
        }
        if by_others > 0 {
            let what = "checkpoints signed by a key that names another store, which count for nothing:";
            self.not_checked.push(format!("{what} {by_others}"));
        }
        if unknown_notes > 0 {
            self.not_checked.push(format!("{unknown_notes} noted checkpoints, whose roots could not be computed"));
        }
        if trust.level() > TrustLevel::Structure && trust.cosigned_at.is_none() {
            let what = "how fresh the newest checkpoint is: no witness says when it saw it";
            self.not_checked.push(what.to_owned());
        }
        report.findings.append(&mut bounded(self.findings));
        report.findings.sort_by_key(|finding| finding.position.map_or(u64::MAX, |position| position.0));
        report.not_checked.append(&mut self.not_checked);
        trust
    }
}

impl Place {
    fn is_held(self) -> bool {
        matches!(self, Self::Held | Self::Since)
    }

    fn whose(self, signed: Signed) -> &'static str {
        match self {
            Self::Held | Self::Since => "held elsewhere",
            Self::Noted(_) if signed.by_key => "validly signed and noted",
            Self::Noted(_) if signed.by_witnesses => "validly cosigned and noted",
            Self::Noted(_) => "noted, and signed by no key that is known here",
        }
    }
}

fn root_at(roots: &[TreeHead], size: u64) -> Option<Digest> {
    let index = roots.binary_search_by_key(&size, |head| head.size).ok()?;
    roots.get(index).map(|head| head.root)
}

fn named() -> String {
    CHECKPOINTS.to_owned()
}

/// U5. The first findings, and one that counts the rest and has the worst verdict among them.
fn bounded(mut findings: Vec<Finding>) -> Vec<Finding> {
    if findings.len() <= FINDINGS_MAX {
        return findings;
    }
    let rest = findings.split_off(FINDINGS_MAX);
    let verdict = rest.iter().map(|finding| finding.verdict).max().unwrap_or_default();
    let count = rest.len();
    if let Some(first) = rest.into_iter().next() {
        let what = format!("{count} more about checkpoints, the first of them: {}", first.what);
        findings.push(Finding { verdict, what, ..first });
    }
    findings
}
