//! What findings say, word by word: one cause is told once, and nothing is told of what is right.

use super::*;
use build::{ORIGIN, Row};
use bulla_chain::{Genesis, Recovery};
use bulla_testkit::mend_frame;
use bulla_wire::{FRAME_HEADER_LEN, SegmentNumber};

fn texts(report: &LogReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.what.as_str()).collect()
}

/// The report on a log whose segment 1 was changed so.
fn edited(change: impl FnOnce(&mut Edited)) -> LogReport {
    let log = closed();
    let mut edited = log.edit(1);
    change(&mut edited);
    log.put(1, &edited);
    check(&log, Level::Full)
}

/// A root and a frontier tell the same tree twice, and each is held against the other and against the records.
#[test]
fn a_tree_told_wrongly_is_told_of_both_ways() {
    let footer = [
        "the footer's root is not that of its frontier",
        "the head of 5..10 in its footer or close frame is not that of the records",
    ];
    let header = [
        "the header's root is not that of its frontier",
        "the head of 0..5 in the next header is not that of the records",
    ];
    let edits: [(Change, [&str; 2]); 4] = [
        (|s| s.edit_footer(|footer| footer.root[0] ^= 1), footer),
        (|s| s.edit_footer(|footer| footer.frontier[0][0] ^= 1), footer),
        (|s| s.header.root[0] ^= 1, header),
        (|s| s.header.frontier[0][0] ^= 1, header),
    ];
    for (change, expected) in edits {
        let report = edited(change);
        for what in expected {
            assert!(texts(&report).contains(&what), "{:?}", report.findings);
        }
    }
    // Records on top of a tree that is not the one computed below them make no head that was computed.
    assert!(!edited(|s| s.header.root[0] ^= 1).is_head_computed);
    assert!(edited(|s| s.edit_footer(|footer| footer.root[0] ^= 1)).is_head_computed);
}

/// A floor rises, comes from a prune record, and does not reach into a segment that is there.
#[test]
fn a_footer_may_raise_the_floor_and_not_lower_it() {
    let what = "the footer's floor contradicts its prune record, the header or the base";
    for (before, after, is_told) in [
        ((0, None), (0, None), false),
        ((0, None), (5, Some(6)), false),
        ((5, Some(6)), (5, Some(6)), false),
        ((3, Some(6)), (5, Some(6)), false),
        ((0, None), (6, Some(6)), true),
        ((5, Some(6)), (4, Some(6)), true),
        ((0, None), (5, None), true),
        ((0, None), (0, Some(6)), true),
    ] {
        let report = edited(|s| {
            (s.header.floor, s.header.prune) = (Position(before.0), before.1.map(Position));
            s.edit_footer(|footer| (footer.floor, footer.prune) = (Position(after.0), after.1.map(Position)));
        });
        assert_eq!(texts(&report).contains(&what), is_told, "{before:?} {after:?}: {:?}", report.findings);
    }
}

/// A floor whose prune record is there is not a lie, though this version cannot read the receipt.
#[test]
fn a_floor_with_a_prune_record_is_newer() {
    let mut log = LogBuilder::new(ID, false);
    log.frame(&[row(1, b"pruned")], false);
    log.rotate();
    log.frame(&[Row { kind: Kind::PRUNE, time: 1, payload: b"?" }], false);
    log.rotate();
    log.finish(false);
    log.remove(0);
    let mut newest = log.edit(1);
    (newest.header.floor, newest.header.prune) = (Position(2), Some(Position(3)));
    newest.edit_footer(|footer| (footer.floor, footer.prune) = (Position(2), Some(Position(3))));
    log.put(1, &newest);
    let report = check(&log, Level::Full);
    assert_eq!((report.verdict(), report.floor), (Verdict::Newer, Position(2)), "{:?}", report.findings);
    assert_eq!(texts(&report)[0], "positions below 2 were pruned by a later version, whose receipt is not read");
    assert!(report.not_checked.contains(&"positions 0..2".to_owned()), "{:?}", report.not_checked);
}

/// A flag of a later version, and a byte that must be zero, under the right checksum: the one is read by a later version,
/// the other by none.
#[test]
fn a_frame_header_of_a_later_version_is_no_tampering() {
    for (at, value, expected) in [(12, 32, Verdict::Newer), (15, 1, Verdict::Tampered)] {
        let log = closed();
        let edited = log.edit(1);
        let (mut bytes, offset) = (edited.bytes(), edited.offset(1) as usize);
        bytes[offset + at] = value;
        mend_frame(&mut bytes, &edited.header.seed(), offset);
        log.disk.write_file(&log.paths()[1], &bytes).unwrap();
        let report = check(&log, Level::Full);
        assert_eq!((report.verdict(), report.findings.len()), (expected, 1), "{:?}", report.findings);
        assert!(texts(&report)[0].starts_with("positions 6..8 cannot be read: frame header"), "{:?}", report.findings);
    }
}

/// Whatever a second genesis or seal says: the first one counts.
#[test]
fn a_second_genesis_or_seal_is_told_and_not_believed() {
    let mut log = LogBuilder::new(ID, false);
    let suite = Genesis::SUITE_SHA256;
    let genesis = Genesis { log: ID, origin: "test/other".to_owned(), suite, erasable: false, predecessor: None };
    log.frame(&[Row { kind: Kind::GENESIS, time: 1, payload: &genesis.encode() }, row(1, b"row")], false);
    log.rotate();
    let first = log.edit(1).frames[0].clone();
    let record = Records::new(&first.0, &first.1).next().unwrap().unwrap();
    let mut seal = Seal::decode(record.payload().unwrap()).unwrap();
    seal.payload_bytes += 1;
    log.frame(&[Row { kind: Kind::SEAL, time: 1, payload: &seal.encode() }], false);
    log.finish(false);
    let report = check(&log, Level::Full);
    assert_eq!(texts(&report), ["a genesis or seal is not a segment's first record"; 2]);
    let positions: Vec<_> = report.findings.iter().map(|finding| finding.position).collect();
    assert_eq!((positions, report.origin.as_deref()), (vec![Some(Position(1)), Some(Position(4))], Some(ORIGIN)));
}

/// Bytes that go bad are damage of what lay there, not of an index that fits what was there.
#[test]
fn lost_records_do_not_condemn_the_index() {
    let mut log = LogBuilder::new(ID, false);
    log.rotate();
    log.finish(false);
    let edited = log.edit(0);
    let mut bytes = edited.bytes();
    bytes[(edited.offset(0) + FRAME_HEADER_LEN) as usize] ^= 1;
    log.disk.write_file(&log.paths()[0], &bytes).unwrap();
    let report = check(&log, Level::Full);
    assert_eq!((report.verdict(), report.findings.len()), (Verdict::Damaged, 1), "{:?}", report.findings);
    assert!(texts(&report)[0].starts_with("positions 0..1 cannot be read: checksum"), "{:?}", report.findings);
}

/// A bad page of the index loses no position, and says so of none.
#[test]
fn a_bad_index_page_loses_no_position() {
    let log = closed();
    let edited = log.edit(1);
    let mut bytes = edited.bytes();
    bytes[(edited.offset(4) + FRAME_HEADER_LEN) as usize] ^= 1;
    log.disk.write_file(&log.paths()[1], &bytes).unwrap();
    let report = check(&log, Level::Full);
    assert_eq!((report.verdict(), report.findings.len()), (Verdict::Damaged, 1), "{:?}", report.findings);
    assert_eq!(report.findings[0].position, Some(Position(10)));
    assert!(texts(&report)[0].starts_with("checksum of frame body is"), "{:?}", report.findings);
}

/// A segment closed without a record has no index either, so that nothing is wrong with where that begins.
#[test]
fn a_segment_closed_without_a_record_is_told_once() {
    let mut log = LogBuilder::new(ID, false);
    log.frame(&[row(5, b"first")], false);
    log.begin_next();
    log.finish(false);
    for level in [Level::Structure, Level::Full] {
        assert_eq!(texts(&check(&log, level)), ["the segment was closed without a record"]);
    }
}

/// A header and nothing behind it: nobody knows of such a log yet, unless somebody expects one.
#[test]
fn a_log_without_its_genesis_was_being_created() {
    let log = LogBuilder::new(ID, false);
    let mut alone = log.edit(0);
    alone.frames.clear();
    log.put(0, &alone);
    let what = "the log has no genesis record: its creation was interrupted";
    for (id, expected) in [(None, Verdict::Intact), (Some(ID), Verdict::Missing)] {
        let expect = Expectation { id, ..Expectation::default() };
        let report = verify_log(&log.host, Path::new(DIR), Level::Full, &expect, &mut |_| {});
        assert_eq!(report.verdict(), expected, "{:?}", report.findings);
        let found = report.findings.iter().find(|finding| finding.what == what);
        assert_eq!(found.map(|finding| finding.verdict), Some(expected), "{:?}", report.findings);
    }
}

/// The record of a recovery is one that this version reads, and nothing bad.
#[test]
fn the_record_of_a_recovery_is_nothing_to_tell_of() {
    let recovery = Recovery {
        segment: SegmentNumber(0),
        offset: 200,
        position: Position(1),
        quarantined_bytes: 10,
        quarantine: Some(Digest([5; 32])),
        may_have_been_acknowledged: true,
    };
    let mut log = LogBuilder::new(ID, false);
    log.frame(&[Row { kind: Kind::RECOVERY, time: 1, payload: &recovery.encode() }], false);
    log.finish(false);
    assert_eq!(texts(&check(&log, Level::Full)), [""; 0]);
}

/// A break record is the receipt of a repair, and the finding says what it says.
#[test]
fn a_break_record_is_told_in_words() {
    let source = LogId([9; 16]);
    for (lost, is_open, who, is_own, expected, gaps) in [
        (3..5, false, "ana", true, "lost positions 3..5: bit rot; repaired by ana, as they say", 1),
        (3..5, true, "", true, "lost positions 3..5 and perhaps more: bit rot; repaired by somebody unnamed", 1),
        (3..3, true, "", true, "lost positions 3..3 and perhaps more: bit rot; repaired by somebody unnamed", 1),
        (3..3, false, "", false, "was damaged and lost no position: bit rot; repaired by somebody unnamed", 0),
    ] {
        let mut log = LogBuilder::new(ID, false);
        let broken = Break {
            source,
            lost: Position(lost.start)..Position(lost.end),
            is_open,
            resumes_at: None,
            source_root: None,
            log: if is_own { ID } else { LogId([8; 16]) },
            head: log.frontier.head(),
            cause: "bit rot".to_owned(),
            who: who.to_owned(),
        };
        log.frame(&[Row { kind: Kind::BREAK, time: 1, payload: &broken.encode() }], false);
        log.finish(false);
        let report = check(&log, Level::Full);
        let earlier = if is_own { "" } else { "an earlier repair: " };
        assert_eq!(texts(&report), [format!("{earlier}log {source} {expected}")]);
        assert_eq!((report.verdict(), report.breaks, report.gaps), (Verdict::Repaired, 1, gaps));
    }
}
