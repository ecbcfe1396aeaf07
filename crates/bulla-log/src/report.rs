//! What the verification of one log says.
//!
//! # Invariants
//!
//! - P1. The verdict of a report is that of its worst finding; a remark (a finding with [`Verdict::Intact`]) changes
//!   nothing.
//! - P2. Of one segment at most [`FINDINGS_PER_SEGMENT_MAX`] findings are kept, and one more that counts the rest and has
//!   the worst verdict among them, so that a report is bounded and no verdict is lost.

use bulla_chain::TreeHead;
use bulla_wire::{LogId, Position};
use std::fmt;

/// Findings kept of one segment.
pub(crate) const FINDINGS_PER_SEGMENT_MAX: usize = 100;

/// How thorough a verification is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Headers, footers, seals and the end of the log: what the segments say of themselves and of each other.
    Structure,
    /// Every byte: everything that can be computed from the records is, and is compared.
    #[default]
    Full,
}

/// What a log must be, as far as the caller knows from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// The log's id.
    pub id: Option<LogId>,
    /// The origin in its genesis record.
    pub origin: Option<String>,
    /// Heads held elsewhere, each of which the log must continue.
    pub heads: Vec<TreeHead>,
    /// A head that is trusted: it must be the log's own, and of what lies below it only segment headers are read, but for
    /// the segment that its size falls into.
    pub since: Option<TreeHead>,
    /// Sizes at which the caller wants to know the root, for [`LogReport::roots`]. They expect nothing of the log.
    pub sizes: Vec<u64>,
}

impl Expectation {
    /// Whether nothing is known of the log.
    pub(crate) fn is_nothing(&self) -> bool {
        let Self { id, origin, heads, since, sizes: _ } = self;
        id.is_none() && origin.is_none() && heads.is_empty() && since.is_none()
    }
}

/// How far a verification has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes looked at.
    pub bytes_checked: u64,
    /// Bytes of the log's segments; a verification of the structure skips most of them.
    pub bytes_total: u64,
    /// Records decoded.
    pub records_checked: u64,
}

/// What one finding means, or a whole report; the worse, the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing is wrong. As the verdict of a finding: a remark.
    #[default]
    Intact,
    /// The log is whole, and says that it continues a damaged one of which something may be missing.
    Repaired,
    /// A later version wrote something this one cannot judge.
    Newer,
    /// The system refused to read.
    Unreadable,
    /// A checksum does not hold, or bytes are gone, where no crash leaves that.
    Damaged,
    /// Positions or whole segments are absent.
    Missing,
    /// All checksums hold and the content contradicts itself, or what the caller expected.
    Tampered,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intact => "intact",
            Self::Repaired => "repaired",
            Self::Newer => "newer",
            Self::Unreadable => "unreadable",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
            Self::Tampered => "tampered",
        })
    }
}

/// One thing that verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it means.
    pub verdict: Verdict,
    /// The first position concerned.
    pub position: Option<Position>,
    /// The name of the segment's file.
    pub segment: Option<String>,
    /// Where in that file, in bytes.
    pub offset: Option<u64>,
    /// What it is, for people.
    pub what: String,
}

/// What the verification of one log found and what it did not look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// The log's id, as most of its segments have it.
    pub id: Option<LogId>,
    /// The origin in the genesis record, if that could be read.
    pub origin: Option<String>,
    /// The first position the log claims to keep.
    pub floor: Position,
    /// The tree head at the end of the log.
    pub head: Option<TreeHead>,
    /// Whether the head was computed from every record up to it, or every one behind [`Expectation::since`], none taken on
    /// trust. Otherwise it is what the log says of itself.
    pub is_head_computed: bool,
    /// The heads at [`Expectation::sizes`], in order of size, as far as they are known: computed, or where the records
    /// below were not all read, what the log says of itself.
    pub roots: Vec<TreeHead>,
    /// Segment files.
    pub segments: u64,
    /// Records decoded, the engine's included.
    pub records_checked: u64,
    /// Those of them that are the caller's.
    pub caller_records: u64,
    /// Break records, each the receipt of a repair, those that earlier ones left included.
    pub breaks: u64,
    /// Those of them that say that positions were lost.
    pub gaps: u64,
    /// Bytes looked at.
    pub bytes_checked: u64,
    /// What was found, in order of position; what has none comes last.
    pub findings: Vec<Finding>,
    /// What the report does not vouch for, for people.
    pub not_checked: Vec<String>,
}

impl LogReport {
    /// The worst finding's verdict (P1).
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or_default()
    }

    /// The finding at the lowest position, remarks and receipts of repairs left out; the first one without a position if
    /// none has one.
    #[must_use]
    pub fn first_bad(&self) -> Option<&Finding> {
        let bad = self.findings.iter().filter(|finding| finding.verdict > Verdict::Repaired);
        bad.min_by_key(|finding| finding.position.map_or(u64::MAX, |position| position.0))
    }
}

/// The findings of one segment (P2).
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    segment: String,
    kept: Vec<Finding>,
    rest: Option<(u64, Finding)>,
}

impl Findings {
    pub(crate) fn new(segment: &str) -> Self {
        Self { segment: segment.to_owned(), kept: Vec::new(), rest: None }
    }

    pub(crate) fn add(
        &mut self,
        verdict: Verdict,
        position: impl Into<Option<Position>>,
        offset: impl Into<Option<u64>>,
        what: impl Into<String>,
    ) {
        let (position, offset) = (position.into(), offset.into());
        let finding = Finding { verdict, position, segment: Some(self.segment.clone()), offset, what: what.into() };
        if self.kept.len() < FINDINGS_PER_SEGMENT_MAX {
            self.kept.push(finding);
            return;
        }
        let (count, rest) = self.rest.get_or_insert((0, finding));
        *count += 1;
        rest.verdict = rest.verdict.max(verdict);
    }

    pub(crate) fn worst(&self) -> Verdict {
        self.iter().map(|finding| finding.verdict).max().unwrap_or_default()
    }

    fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.kept.iter().chain(self.rest.as_ref().map(|(_, finding)| finding))
    }

    pub(crate) fn into_vec(mut self) -> Vec<Finding> {
        if let Some((count, rest)) = self.rest {
            let what = format!("{count} more in this segment, the first of them: {}", rest.what);
            self.kept.push(Finding { what, ..rest });
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P2.
    #[test]
    fn findings_are_capped_and_the_worst_verdict_survives() {
        let mut findings = Findings::new("name");
        for index in 0..250 {
            let verdict = if index == 200 { Verdict::Tampered } else { Verdict::Damaged };
            findings.add(verdict, Position(index), None, format!("no. {index}"));
        }
        assert_eq!(findings.worst(), Verdict::Tampered);
        let findings = findings.into_vec();
        assert_eq!(findings.len(), FINDINGS_PER_SEGMENT_MAX + 1);
        let last = findings.last().unwrap();
        assert_eq!((last.verdict, last.position), (Verdict::Tampered, Some(Position(100))));
        assert_eq!(last.what, "150 more in this segment, the first of them: no. 100");
    }

    /// P1, the order of exit codes, and the words that people read.
    #[test]
    fn the_worst_finding_decides_and_the_lowest_bad_one_is_named() {
        let finding = |verdict, position: Option<u64>| Finding {
            verdict,
            position: position.map(Position),
            segment: None,
            offset: None,
            what: String::new(),
        };
        let order = [
            Verdict::Intact,
            Verdict::Repaired,
            Verdict::Newer,
            Verdict::Unreadable,
            Verdict::Damaged,
            Verdict::Missing,
            Verdict::Tampered,
        ];
        assert!(order.is_sorted());
        let words = order.map(|verdict| verdict.to_string());
        assert_eq!(words, ["intact", "repaired", "newer", "unreadable", "damaged", "missing", "tampered"]);
        let mut report = LogReport::default();
        assert_eq!((report.verdict(), report.first_bad()), (Verdict::Intact, None));
        report.findings = vec![
            finding(Verdict::Intact, Some(1)),
            finding(Verdict::Repaired, Some(2)),
            finding(Verdict::Newer, None),
            finding(Verdict::Missing, Some(7)),
            finding(Verdict::Damaged, Some(5)),
        ];
        assert_eq!(report.verdict(), Verdict::Missing);
        assert_eq!(report.first_bad(), report.findings.get(4));
    }
}
