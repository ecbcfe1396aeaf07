//! What a segment amounts to, and what others say of it.
//!
//! # Invariants
//!
//! - F1. Facts come from the records if all of them were read, and from the footer otherwise.
//! - F2. If everybody who tells a segment's head tells another one than the records, the records are named; otherwise
//!   whoever tells another one.

use crate::report::{Findings, Verdict};
use bulla_chain::{Digest, Frontier, Seal, StreamDigest, TreeHead};
use bulla_segment::{Extent, Tally};
use bulla_wire::{Footer, Position, SegmentHeader, SegmentNumber, TimeBounds};
use std::fmt;

/// What is logical in a segment, and the tree at its end.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) number: SegmentNumber,
    pub(super) base: Position,
    pub(super) tally: Tally,
    pub(super) index_digest: Digest,
    pub(super) head: TreeHead,
    pub(super) frontier: Vec<[u8; 32]>,
    /// Where the frames with records end. A matter of layout, so a seal says nothing of it.
    data_end: u64,
    pub(super) are_computed: bool,
}

impl Facts {
    pub(super) fn of_records(header: &SegmentHeader, extent: &Extent, frontier: &Frontier) -> Self {
        let mut digest = StreamDigest::index_column();
        let mut bytes = Vec::new();
        for entry in extent.entries() {
            bytes.clear();
            entry.encode_logical(&mut bytes);
            digest.update(&bytes);
        }
        Self {
            number: header.number,
            base: header.base,
            tally: extent.tally,
            index_digest: digest.finish(),
            head: frontier.head(),
            frontier: frontier.to_bytes(),
            data_end: extent.end_offset,
            are_computed: true,
        }
    }

    pub(super) fn of_footer(footer: &Footer) -> Self {
        Self {
            number: footer.number,
            base: footer.base,
            tally: Tally {
                caller_count: footer.caller_count,
                payload_bytes: footer.payload_bytes,
                times: footer.times,
            },
            index_digest: Digest(footer.index_digest),
            head: footer_head(footer),
            frontier: footer.frontier.clone(),
            data_end: footer.data_end,
            are_computed: false,
        }
    }

    pub(super) fn end(&self) -> Position {
        Position(self.head.size)
    }

    /// Holds everything but the head in a footer against these facts.
    fn check_footer(&self, footer: &Footer, findings: &mut Findings) {
        let (stored, tally) = (Self::of_footer(footer), &self.tally);
        let mut differs = Differences::new("footer", footer.end, footer.offset, findings);
        differs.compare("the end position", &footer.end.0, &self.head.size);
        differs.compare("the end of data", &stored.data_end, &self.data_end);
        differs.compare("the caller's count", &stored.tally.caller_count, &tally.caller_count);
        differs.compare("payload bytes", &stored.tally.payload_bytes, &tally.payload_bytes);
        differs.compare_times(stored.tally.times, tally.times);
        differs.compare("the index digest", &stored.index_digest, &self.index_digest);
    }

    /// Holds everything but the head in the seal that follows against these facts.
    fn check_seal(&self, seal: &Seal, offset: u64, findings: &mut Findings) {
        let mut differs = Differences::new("seal", self.end(), offset, findings);
        differs.compare("the segment number", &seal.segment, &self.number);
        differs.compare("the base position", &seal.base, &self.base);
        differs.compare("the end position", &seal.head.size, &self.head.size);
        differs.compare("the caller's count", &seal.caller_count, &self.tally.caller_count);
        differs.compare("payload bytes", &seal.payload_bytes, &self.tally.payload_bytes);
        differs.compare_times(seal.times, self.tally.times);
        differs.compare("the index digest", &seal.index_digest, &self.index_digest);
    }
}

/// The segment after a segment, as far as it speaks of it.
#[derive(Clone, Copy)]
pub(super) struct Follower<'a> {
    pub(super) name: &'a str,
    pub(super) header: &'a SegmentHeader,
    pub(super) seal: Option<&'a Seal>,
    /// Where the seal's frame begins.
    pub(super) offset: u64,
}

/// Who tells the head at a segment's end.
#[derive(Clone, Copy, Debug)]
enum Witness {
    Summary,
    NextHeader,
    NextSeal,
}

impl Witness {
    fn name(self) -> &'static str {
        match self {
            Self::Summary => "its footer or close frame",
            Self::NextHeader => "the next header",
            Self::NextSeal => "the next seal",
        }
    }
}

/// Holds what the footer of segment `name` and the segment after it say against `facts`. Gives the findings about the
/// segment, and those about the one after it.
pub(super) fn settle(
    name: &str,
    facts: &Facts,
    frames_offset: u64,
    footer: Option<&Footer>,
    follower: Option<Follower<'_>>,
) -> (Findings, Findings) {
    let mut own = Findings::new(name);
    let mut next = Findings::new(follower.map_or(name, |follower| follower.name));
    // Every witness, whether it agrees, and where it stands.
    let mut told = Vec::new();
    if let Some(footer) = footer.filter(|_| facts.are_computed) {
        facts.check_footer(footer, &mut own);
        let agrees = footer_head(footer) == facts.head && footer.frontier == facts.frontier;
        told.push((Witness::Summary, agrees, footer.offset));
    }
    if let Some(Follower { header, seal, offset, .. }) = follower {
        let agrees = head_below(header) == facts.head && header.frontier == facts.frontier;
        told.push((Witness::NextHeader, agrees, 0));
        if let Some(seal) = seal {
            facts.check_seal(seal, offset, &mut next);
            told.push((Witness::NextSeal, seal.head == facts.head, offset));
        }
    }
    let range = format!("{}..{}", facts.base, facts.end());
    if facts.are_computed && !told.is_empty() && told.iter().all(|(_, agrees, _)| !agrees) {
        let names: Vec<_> = told.iter().map(|(witness, ..)| witness.name()).collect();
        let what = format!("records {range} do not hash to the head in {}", names.join(", "));
        own.add(Verdict::Tampered, facts.base, frames_offset, what);
        return (own, next);
    }
    let source = if facts.are_computed { "records" } else { "footer" };
    for (witness, _, offset) in told.into_iter().filter(|(_, agrees, _)| !agrees) {
        let what = format!("the head of {range} in {} is not that of the {source}", witness.name());
        let findings = if matches!(witness, Witness::Summary) { &mut own } else { &mut next };
        findings.add(Verdict::Tampered, facts.end(), offset, what);
    }
    (own, next)
}

/// What a footer contradicts in itself; nothing else is read.
pub(super) fn check_footer_alone(footer: &Footer, header: &SegmentHeader, findings: &mut Findings) {
    let mut wrong = |what: &str| findings.add(Verdict::Tampered, footer.end, footer.offset, what);
    if !is_head_of(&footer.frontier, footer_head(footer)) {
        wrong("the footer's root is not that of its frontier");
    }
    if (footer.caller_count == 0) != footer.times.is_empty() {
        wrong("the footer has times without records or records without times");
    }
    let mut times = TimeBounds::EMPTY;
    footer.pages.iter().for_each(|page| times.merge(page.times));
    if times != footer.times {
        wrong("the times in the footer are not those of the index pages it names");
    }
    if footer.pages.first().map(|page| page.first) != (footer.base < footer.end).then_some(footer.base) {
        wrong("the index does not begin where the segment does");
    }
    if !is_floor(footer.floor, footer.prune) || footer.floor < header.floor || footer.floor > footer.base {
        wrong("the footer's floor contradicts its prune record, the header or the base");
    }
}

/// What a segment header contradicts in itself.
pub(super) fn check_header_alone(header: &SegmentHeader, findings: &mut Findings) {
    let mut wrong = |what: &str| findings.add(Verdict::Tampered, header.base, 0, what);
    if !is_head_of(&header.frontier, head_below(header)) {
        wrong("the header's root is not that of its frontier");
    }
    if (header.number.0 == 0) != (header.base == Position::ZERO) {
        wrong("only the segment with the number 0 begins at position 0");
    }
    if !is_floor(header.floor, header.prune) {
        wrong("the header's floor and prune record contradict each other");
    }
}

/// A floor above 0 needs a prune record, and a prune record makes one.
fn is_floor(floor: Position, prune: Option<Position>) -> bool {
    (floor == Position::ZERO) == prune.is_none()
}

fn is_head_of(frontier: &[[u8; 32]], head: TreeHead) -> bool {
    Frontier::from_parts(head.size, frontier).is_ok_and(|frontier| frontier.head() == head)
}

pub(super) fn footer_head(footer: &Footer) -> TreeHead {
    TreeHead { size: footer.end.0, root: Digest(footer.root) }
}

/// The tree head over everything below a segment, as its header tells it.
pub(super) fn head_below(header: &SegmentHeader) -> TreeHead {
    TreeHead { size: header.base.0, root: Digest(header.root) }
}

/// Reports fields that are not what they must be.
struct Differences<'a> {
    who: &'static str,
    position: Position,
    offset: u64,
    findings: &'a mut Findings,
}

impl<'a> Differences<'a> {
    fn new(who: &'static str, position: Position, offset: u64, findings: &'a mut Findings) -> Self {
        Self { who, position, offset, findings }
    }

    fn compare<T: PartialEq + fmt::Display>(&mut self, field: &str, stored: &T, expected: &T) {
        if stored != expected {
            let what = format!("{field} in the {} is {stored}, must be {expected}", self.who);
            self.findings.add(Verdict::Tampered, self.position, self.offset, what);
        }
    }

    fn compare_times(&mut self, stored: TimeBounds, expected: TimeBounds) {
        if stored != expected {
            let (min, max) = (expected.min.0, expected.max.0);
            let (stored_min, stored_max) = (stored.min.0, stored.max.0);
            let what = format!("times in the {} are {stored_min}..={stored_max}, must be {min}..={max}", self.who);
            self.findings.add(Verdict::Tampered, self.position, self.offset, what);
        }
    }
}
