//! What verification found, in the form people and machines read.
//!
//! # Invariants
//!
//! - P1. The verdict of a log is that of its worst finding, and the report's that of its worst log, in the order of exit
//!   codes: tampered and missing, damaged, unreadable, newer, repaired, intact.
//! - P2. A finding of the verdict intact is a remark: it changes neither verdict nor exit code.
//! - P3. Trust is another question than the verdict: what vouches for a log besides the store, and up to which size. What is
//!   demanded of it comes from whoever verifies, and falls short with exit code 6, behind every code of a verdict.

use bulla_chain::Digest;
use bulla_log::{Finding, Verdict};
use bulla_wire::Position;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::fmt;

/// The report of [`verify`](crate::verify()). Serialises as what `bulla verify --json` prints: `verdict`, `trust`, `logs`
/// and `elapsed_ms`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// One entry per log, the journal's first.
    pub logs: Vec<LogVerdict>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

impl VerifyReport {
    /// The worst log's verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.logs.iter().map(LogVerdict::verdict).max().unwrap_or_default()
    }

    /// What vouches for the weakest log.
    #[must_use]
    pub fn trust(&self) -> TrustLevel {
        self.logs.iter().map(|log| log.trust.level()).min().unwrap_or_default()
    }

    /// Receipts of repairs that say that positions were lost, of all logs together.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.logs.iter().map(|log| log.gaps).sum()
    }

    /// The exit code of a command that ends with this verdict: 0 intact or repaired, 1 tampered or missing, 3 newer, 4 damaged,
    /// 5 unreadable. Of two findings the worse one's, in the order 1, 4, 5, 3, 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        exit_code(self.verdict())
    }

    /// As [`exit_code`](Self::exit_code), and 6 if that would be 0 and something falls [`short`](Self::short) of `require`.
    #[must_use]
    pub fn exit_code_for(&self, require: Require) -> u8 {
        match self.exit_code() {
            0 if !self.short(require).is_empty() => 6,
            code => code,
        }
    }

    /// What falls short of `require`, for people: which positions of which logs nothing vouches for as demanded, and what
    /// could not be compared with a checkpoint that is held, without which nothing is true whatever is required.
    #[must_use]
    pub fn short(&self, require: Require) -> Vec<String> {
        self.logs.iter().flat_map(|log| log.short(require)).collect()
    }
}

/// What must vouch for every log, to its head, for a verification to end well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Require {
    /// Nothing but the store itself; what repairs lost is named.
    #[default]
    Structure,
    /// A checkpoint signed by a key of the caller's, or one held elsewhere; and no receipt that anybody can have written.
    Signed,
    /// A checkpoint held elsewhere, or one that all of the caller's witnesses cosigned; and no receipt that anybody can
    /// have written.
    Anchored,
    /// No repair has left a receipt.
    Complete,
}

/// What vouches for a log; the more, the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrustLevel {
    /// The store agrees with itself, and nothing outside it says so.
    #[default]
    Structure,
    /// A key of the caller's signed what the log was at some size.
    Signed,
    /// A checkpoint held elsewhere, or one that all of the caller's witnesses cosigned, says what it was.
    Anchored,
}

impl fmt::Display for TrustLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Structure => "structure",
            Self::Signed => "signed",
            Self::Anchored => "anchored",
        })
    }
}

/// What vouches for one log, and how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trust {
    /// The greatest size of a checkpoint that a key of the caller's signed and the log continues.
    pub signed_through: Option<u64>,
    /// The greatest size of a checkpoint that is held elsewhere, or that all of the caller's witnesses cosigned, and that
    /// the log continues.
    pub anchored_through: Option<u64>,
    /// When the newest cosignature of a witness or key of the caller's was made, in seconds since the Unix epoch. Nothing
    /// else tells how old a checkpoint is.
    pub cosigned_at: Option<u64>,
    /// Whether a checkpoint that is held could not be compared with the log.
    pub is_uncheckable: bool,
}

impl Trust {
    /// How much vouches for the log, however far.
    #[must_use]
    pub fn level(&self) -> TrustLevel {
        match (self.signed_through, self.anchored_through) {
            (_, Some(_)) => TrustLevel::Anchored,
            (Some(_), None) => TrustLevel::Signed,
            (None, None) => TrustLevel::Structure,
        }
    }

    /// Takes in a checkpoint that the log continues. One of size 0 says nothing of it.
    pub(crate) fn add(&mut self, size: u64, is_anchor: bool, is_signed: bool, time: Option<u64>) {
        if size == 0 {
            return;
        }
        if is_signed {
            self.signed_through = self.signed_through.max(Some(size));
        }
        if is_anchor {
            self.anchored_through = self.anchored_through.max(Some(size));
        }
        self.cosigned_at = self.cosigned_at.max(time);
    }

    /// Up to which size what is demanded vouches for the log; `None` if nothing is to.
    fn through(&self, require: Require) -> Option<u64> {
        match require {
            Require::Structure | Require::Complete => None,
            Require::Signed => Some(self.signed_through.max(self.anchored_through).unwrap_or(0)),
            Require::Anchored => Some(self.anchored_through.unwrap_or(0)),
        }
    }
}

/// What was found about one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogVerdict {
    /// The table's name, or `journal`; `origin` tells a table of that name from the store's journal.
    pub log: String,
    /// What the log calls itself, if that could be read, or else what the journal calls it.
    pub origin: Option<String>,
    /// The first position still kept.
    pub floor: Position,
    /// Positions from 0 to the head, pruned ones included.
    pub size: Option<u64>,
    /// The tree's root over them.
    pub root: Option<Digest>,
    /// Break records of repairs that say that positions were lost.
    pub gaps: u64,
    /// Segment files.
    pub segments: u64,
    /// Records looked at.
    pub records_checked: u64,
    /// Bytes looked at.
    pub bytes_checked: u64,
    /// Everything found, remarks included.
    pub findings: Vec<Finding>,
    /// What the report does not vouch for.
    pub not_checked: Vec<String>,
    /// What vouches for the log besides the store.
    pub trust: Trust,
    /// Whether a key of the caller's allowed every repair that the log has a receipt of.
    pub is_authorised: bool,
}

impl LogVerdict {
    /// The worst finding's verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or_default()
    }

    /// What the receipts of repairs in the log are worth: `none` if there are none, `authorised` if a key of the caller's
    /// signed for each of them, otherwise `self-asserted`, since whoever can write the directory can write them.
    #[must_use]
    pub fn receipt(&self) -> &'static str {
        match (self.is_repaired(), self.is_authorised) {
            (false, _) => "none",
            (true, true) => "authorised",
            (true, false) => "self-asserted",
        }
    }

    /// Whether what is there is what was written: the worst finding's verdict, missing records and receipts of repairs
    /// left out.
    #[must_use]
    pub fn integrity(&self) -> Verdict {
        let verdicts = self.findings.iter().map(|finding| finding.verdict);
        verdicts.filter(|verdict| !matches!(verdict, Verdict::Missing | Verdict::Repaired)).max().unwrap_or_default()
    }

    /// Whether everything is there: [`Verdict::Missing`], [`Verdict::Repaired`] where only receipts stand for what is gone,
    /// or [`Verdict::Intact`].
    #[must_use]
    pub fn completeness(&self) -> Verdict {
        let verdicts = self.findings.iter().map(|finding| finding.verdict);
        verdicts.filter(|verdict| matches!(verdict, Verdict::Missing | Verdict::Repaired)).max().unwrap_or_default()
    }

    fn short(&self, require: Require) -> Vec<String> {
        let Self { log, trust, .. } = self;
        let mut short = Vec::new();
        if trust.is_uncheckable {
            short.push(format!("log {log} could not be compared with a checkpoint that is held"));
        }
        if let Some(through) = trust.through(require) {
            let word = if require == Require::Anchored { "anchored" } else { "signed" };
            match self.size {
                Some(size) if through >= size => {}
                Some(size) => short.push(format!("positions {through}..{size} of log {log} are not {word}")),
                None => short.push(format!("log {log} is not {word}, and its size is unknown")),
            }
            if self.receipt() == "self-asserted" {
                short.push(format!("the receipts of repairs in log {log} are self-asserted"));
            }
        }
        if require == Require::Complete && self.is_repaired() {
            short.push(format!("log {log} was repaired"));
        }
        short
    }

    fn is_repaired(&self) -> bool {
        self.findings.iter().any(|finding| finding.verdict == Verdict::Repaired)
    }

    /// The first thing wrong, receipts of repairs left out: the finding at the lowest position, or the first one if none has a position.
    #[must_use]
    pub fn first_bad(&self) -> Option<FirstBad<'_>> {
        self.findings
            .iter()
            .filter(|finding| finding.verdict > Verdict::Repaired)
            .min_by_key(|finding| finding.position.map_or(u64::MAX, |position| position.0))
            .map(FirstBad)
    }
}

/// The finding a person should look at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstBad<'a>(pub &'a Finding);

impl Serialize for VerifyReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("VerifyReport", 4)?;
        object.serialize_field("verdict", &self.verdict().to_string())?;
        object.serialize_field("trust", &self.trust().to_string())?;
        object.serialize_field("logs", &self.logs)?;
        object.serialize_field("elapsed_ms", &self.elapsed_ms)?;
        object.end()
    }
}

impl Serialize for LogVerdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object =
            serializer.serialize_struct("LogVerdict", 16 + usize::from(self.trust.cosigned_at.is_some()))?;
        object.serialize_field("log", &self.log)?;
        object.serialize_field("origin", &self.origin)?;
        object.serialize_field("verdict", &self.verdict().to_string())?;
        object.serialize_field("trust", &self.trust.level().to_string())?;
        object.serialize_field("signed_through", &self.trust.signed_through)?;
        object.serialize_field("anchored_through", &self.trust.anchored_through)?;
        if let Some(at) = self.trust.cosigned_at {
            object.serialize_field("cosigned_at", &at)?;
        }
        object.serialize_field("floor", &self.floor.0)?;
        object.serialize_field("receipt", self.receipt())?;
        object.serialize_field("size", &self.size)?;
        object.serialize_field("root", &self.root.map(|root| root.to_string()))?;
        object.serialize_field("segments", &self.segments)?;
        object.serialize_field("records_checked", &self.records_checked)?;
        object.serialize_field("bytes_checked", &self.bytes_checked)?;
        object.serialize_field("first_bad", &self.first_bad())?;
        let findings: Vec<_> = self.findings.iter().map(Located).collect();
        object.serialize_field("findings", &findings)?;
        object.serialize_field("not_checked", &self.not_checked)?;
        object.end()
    }
}

impl Serialize for FirstBad<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Finding { position, segment, offset, what, .. } = self.0;
        let mut object = serializer.serialize_struct("FirstBad", 4)?;
        object.serialize_field("position", &position.map(|position| position.0))?;
        object.serialize_field("segment", segment)?;
        object.serialize_field("offset", offset)?;
        object.serialize_field("what", what)?;
        object.end()
    }
}

/// A finding with its verdict.
struct Located<'a>(&'a Finding);

impl Serialize for Located<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Finding { verdict, position, segment, offset, what } = self.0;
        let mut object = serializer.serialize_struct("Finding", 5)?;
        object.serialize_field("verdict", &verdict.to_string())?;
        object.serialize_field("position", &position.map(|position| position.0))?;
        object.serialize_field("segment", segment)?;
        object.serialize_field("offset", offset)?;
        object.serialize_field("what", what)?;
        object.end()
    }
}

fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Intact | Verdict::Repaired => 0,
        Verdict::Newer => 3,
        Verdict::Unreadable => 5,
        Verdict::Damaged => 4,
        Verdict::Missing | Verdict::Tampered => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(findings: &[(Verdict, Option<u64>)]) -> LogVerdict {
        let finding = |&(verdict, position): &(Verdict, Option<u64>)| {
            let what = format!("{verdict:?}");
            Finding { verdict, position: position.map(Position), segment: None, offset: None, what }
        };
        LogVerdict { findings: findings.iter().map(finding).collect(), ..LogVerdict::default() }
    }

    /// P1, in the order of exit codes, worst first.
    #[test]
    fn of_two_verdicts_the_worse_one_counts() {
        use Verdict::{Damaged, Intact, Missing, Newer, Repaired, Tampered, Unreadable};
        let worst_first =
            [(Tampered, 1), (Missing, 1), (Damaged, 4), (Unreadable, 5), (Newer, 3), (Repaired, 0), (Intact, 0)];
        for (index, &(verdict, code)) in worst_first.iter().enumerate() {
            for &(milder, _) in &worst_first[index..] {
                let logs = vec![log(&[(milder, None)]), log(&[(milder, None), (verdict, None)])];
                let report = VerifyReport { logs, elapsed_ms: 0 };
                assert_eq!((report.verdict(), report.exit_code()), (verdict, code), "{verdict:?} and {milder:?}");
            }
        }
        assert_eq!(VerifyReport::default().exit_code(), 0);
    }

    /// What is gone and what is wrong are two questions, and the verdict is the worse answer.
    #[test]
    fn integrity_and_completeness_are_told_apart() {
        use Verdict::{Damaged, Intact, Missing, Repaired};
        for (findings, integrity, completeness, verdict) in [
            (vec![], Intact, Intact, Intact),
            (vec![(Damaged, None)], Damaged, Intact, Damaged),
            (vec![(Missing, None), (Damaged, None)], Damaged, Missing, Missing),
            (vec![(Repaired, None), (Intact, None)], Intact, Repaired, Repaired),
        ] {
            let log = log(&findings);
            assert_eq!((log.integrity(), log.completeness(), log.verdict()), (integrity, completeness, verdict));
        }
    }

    /// P3. Only what vouches through the head is enough, and a verdict comes first.
    #[test]
    fn what_is_demanded_reaches_to_the_head_or_falls_short() {
        let codes = |trust, findings: &[(Verdict, Option<u64>)]| {
            let log = LogVerdict { size: Some(8), trust, ..log(findings) };
            let report = VerifyReport { logs: vec![log], elapsed_ms: 0 };
            [Require::Structure, Require::Signed, Require::Anchored, Require::Complete]
                .map(|require| report.exit_code_for(require))
        };
        let (none, trust) = (Trust::default(), |signed_through, anchored_through| Trust {
            signed_through,
            anchored_through,
            ..Trust::default()
        });
        assert_eq!(codes(none, &[]), [0, 6, 6, 0]);
        assert_eq!(codes(trust(Some(7), None), &[]), [0, 6, 6, 0]);
        assert_eq!(codes(trust(Some(8), None), &[]), [0, 0, 6, 0]);
        assert_eq!(codes(trust(Some(8), Some(7)), &[]), [0, 0, 6, 0]);
        assert_eq!(codes(trust(None, Some(8)), &[]), [0, 0, 0, 0]);
        assert_eq!(codes(trust(Some(8), Some(8)), &[(Verdict::Repaired, None)]), [0, 6, 6, 6]);
        assert_eq!(codes(none, &[(Verdict::Damaged, None)]), [4; 4]);
        assert_eq!(codes(Trust { is_uncheckable: true, ..trust(Some(8), Some(8)) }, &[]), [6; 4]);
    }

    /// P2.
    #[test]
    fn the_first_bad_place_is_the_lowest_position_and_never_a_remark() {
        let first = |findings| log(findings).first_bad().map(|bad| bad.0.position);
        assert_eq!(first(&[(Verdict::Intact, Some(1))]), None);
        assert_eq!(first(&[(Verdict::Repaired, Some(1))]), None);
        assert_eq!(first(&[(Verdict::Missing, None)]), Some(None));
        let findings = [
            (Verdict::Intact, Some(1)),
            (Verdict::Missing, None),
            (Verdict::Damaged, Some(9)),
            (Verdict::Damaged, Some(4)),
        ];
        assert_eq!(first(&findings), Some(Some(Position(4))));
    }
}
