//! One thing edited, every checksum made right, and what verification says of it.

use super::*;

/// What is done to segment 1, the lowest bad position and its segment, and whether the structure alone shows it.
const EDITS: &[(&str, Change, u64, u64, bool)] = &[
    ("payload", |s| s.replace(1, b"first", b"forst"), 5, 1, false),
    ("time", |s| rewrite(s, 1, |records| records[0].time = Time(104)), 5, 1, false),
    (
        "time, its frame's bounds as before",
        |s| {
            let times = s.frames[1].0.times;
            rewrite(s, 1, |records| records[0].time = Time(104));
            s.frames[1].0.times = times;
        },
        5,
        1,
        false,
    ),
    ("kind", |s| rewrite(s, 1, |records| records.iter_mut().for_each(|record| record.kind = Kind(7))), 5, 1, false),
    (
        "schema",
        |s| rewrite(s, 1, |records| records.iter_mut().for_each(|record| record.schema = SchemaId(2))),
        5,
        1,
        false,
    ),
    (
        "order of records",
        |s| {
            rewrite(s, 1, |records| {
                let (first, second) = (records[0].payload, records[1].payload);
                records[0].payload = second;
                records[1].payload = first;
            });
        },
        5,
        1,
        false,
    ),
    ("order of frames", |s| s.frames.swap(1, 3), 6, 1, false),
    (
        "a frame taken out",
        |s| {
            s.frames.remove(3);
        },
        9,
        1,
        false,
    ),
    (
        "a frame twice",
        |s| {
            let frame = s.frames[1].clone();
            s.frames.insert(1, frame);
        },
        6,
        1,
        false,
    ),
    ("frame's times", |s| s.frames[1].0.times.max = Time(106), 6, 1, false),
    ("frame's base", |s| s.frames[2].0.base = Position(9), 8, 1, false),
    ("frame's base, far away", |s| s.frames[2].0.base = Position(u64::MAX - 1), 8, 1, false),
    ("frame's epoch", |s| s.frames[1].0.epoch = Epoch(0), 6, 1, false),
    ("frame's durable end", |s| s.frames[1].0.durable_end = Position(1), 6, 1, false),
    ("record count", |s| s.frames[1].0.record_count = 3, 8, 1, false),
    ("a salted record", |s| s.frames[1].1[0] |= 4, 6, 1, false),
    (
        "index page",
        |s| {
            let mut entries = decode_page(&s.frames[4].1).unwrap();
            entries[0].times.max = Time(108);
            s.frames[4].1.clear();
            encode_page(&entries, &mut s.frames[4].1);
        },
        5,
        1,
        false,
    ),
    (
        "index page and all that follows from it",
        |s| {
            let mut entries = decode_page(&s.frames[4].1).unwrap();
            entries[0].times.max = Time(108);
            s.frames[4].1.clear();
            encode_page(&entries, &mut s.frames[4].1);
            s.edit_footer(|footer| {
                footer.times.max = Time(108);
                footer.pages[0].times.max = Time(108);
                let mut column = StreamDigest::index_column();
                let mut bytes = Vec::new();
                entries[0].encode_logical(&mut bytes);
                column.update(&bytes);
                footer.index_digest = column.finish().0;
            });
        },
        5,
        1,
        true,
    ),
    (
        "offset in an index page",
        |s| {
            let mut entries = decode_page(&s.frames[4].1).unwrap();
            entries[0].offset += 8;
            s.frames[4].1.clear();
            encode_page(&entries, &mut s.frames[4].1);
        },
        5,
        1,
        false,
    ),
    ("footer's caller count", |s| s.edit_footer(|footer| footer.caller_count -= 1), 10, 1, true),
    ("footer's payload bytes", |s| s.edit_footer(|footer| footer.payload_bytes += 1), 10, 1, true),
    ("footer's times", |s| s.edit_footer(|footer| footer.times.min = Time(0)), 10, 1, true),
    ("footer's end of data", |s| s.edit_footer(|footer| footer.data_end -= 8), 10, 1, false),
    ("footer's index digest", |s| s.edit_footer(|footer| footer.index_digest[0] ^= 1), 10, 1, true),
    ("footer's root", |s| s.edit_footer(|footer| footer.root[0] ^= 1), 10, 1, true),
    ("footer's frontier", |s| s.edit_footer(|footer| footer.frontier[0][0] ^= 1), 10, 1, true),
    ("footer's floor", |s| s.edit_footer(|footer| footer.floor = Position(5)), 10, 1, true),
    ("footer's prune", |s| s.edit_footer(|footer| footer.prune = Some(Position(5))), 10, 1, true),
    ("footer's pages", |s| s.edit_footer(|footer| footer.pages[0].entry_count = 2), 10, 1, false),
    ("footer as a close frame", |s| s.frames.last_mut().unwrap().0.role = Role::Close, 10, 1, true),
    ("header's root", |s| s.header.root[0] ^= 1, 5, 1, true),
    ("header's frontier", |s| s.header.frontier[0][0] ^= 1, 5, 1, true),
    ("header's number", |s| s.header.number.0 = 7, 5, 1, true),
    ("header's epoch", |s| s.header.epoch = Epoch(0), 5, 1, true),
    ("header's secret", |s| s.header.secret[0] ^= 1, 5, 1, true),
    ("header's erasability", |s| s.header.erasable = true, 5, 1, true),
    ("header's floor", |s| s.header.floor = Position(5), 5, 1, true),
    ("seal's segment", |s| edit_seal(s, |seal| seal.segment.0 = 9), 5, 1, true),
    ("seal's base", |s| edit_seal(s, |seal| seal.base.0 = 1), 5, 1, true),
    ("seal's caller count", |s| edit_seal(s, |seal| seal.caller_count -= 1), 5, 1, true),
    ("seal's payload bytes", |s| edit_seal(s, |seal| seal.payload_bytes += 1), 5, 1, true),
    ("seal's times", |s| edit_seal(s, |seal| seal.times.max = Time(10)), 5, 1, true),
    ("seal's root", |s| edit_seal(s, |seal| seal.head.root = Digest([1; 32])), 5, 1, true),
    ("seal's size", |s| edit_seal(s, |seal| seal.head.size += 1), 5, 1, true),
    ("seal's index digest", |s| edit_seal(s, |seal| seal.index_digest = Digest([1; 32])), 5, 1, true),
    // The journal's head is of no other consequence here, but it is under the tree.
    ("seal's journal", |s| edit_seal(s, |seal| seal.journal = Some(seal.head)), 5, 1, false),
    ("seal as another kind", |s| rewrite(s, 0, |records| records[0].kind = Kind::GENESIS), 5, 1, true),
    (
        "seal's payload",
        |s| rewrite(s, 0, |records| records[0].payload = vec![1; records[0].payload.len()].leak()),
        5,
        1,
        true,
    ),
];

#[test]
fn every_edit_is_tampering_and_located() {
    let mut failures = Vec::new();
    for (name, change, position, segment, shows_in_structure) in EDITS {
        let log = closed();
        let mut edited = log.edit(1);
        change(&mut edited);
        put(&log, edited);
        let full = check(&log, Level::Full);
        let structure = check(&log, Level::Structure);
        let bad = full.first_bad();
        let is_located = bad.is_some_and(|bad| {
            bad.position == Some(Position(*position)) && bad.segment == Some(segment_file_name(Position(segment * 5)))
        });
        let is_right = full.verdict() == Verdict::Tampered
            && is_located
            && (!full.is_head_computed || full.head == Some(log.frontier.head()))
            && (structure.verdict() == Verdict::Tampered) == *shows_in_structure;
        if !is_right {
            failures.push(format!("{name}: {:#?}, structure {:#?}", full.findings, structure.findings));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The records agree with their footer, and the header and seal after them do not.
#[test]
fn a_segment_rewritten_whole_contradicts_the_next_one() {
    let log = closed();
    let mut edited = log.edit(1);
    edited.replace(1, b"first", b"forst");
    let frontier = recompute(&edited);
    edited.edit_footer(|footer| tell(footer, &frontier));
    log.put(1, &edited);
    for level in [Level::Structure, Level::Full] {
        let report = check(&log, level);
        let bad = report.first_bad().unwrap();
        assert_eq!((report.verdict(), bad.position), (Verdict::Tampered, Some(Position(10))), "{:?}", report.findings);
    }
}

/// A frame of an epoch below the one before it is tampering, and the records in it are where they belong: they are checked,
/// and nothing behind them is out of order.
#[test]
fn a_fallen_epoch_is_one_finding_and_hides_no_record() {
    let log = closed();
    let mut edited = log.edit(1);
    edited.frames[1].0.epoch = Epoch(0);
    log.put(1, &edited);
    let report = check(&log, Level::Full);
    assert_eq!((report.verdict(), report.findings.len()), (Verdict::Tampered, 1), "{:?}", report.findings);
    assert_eq!((report.findings[0].position, report.records_checked), (Some(Position(6)), 15));
}

/// Times in a frame header that its records do not have are one finding: the index is held against the records.
#[test]
fn wrong_bounds_of_a_frame_do_not_condemn_the_index() {
    let log = closed();
    let mut edited = log.edit(1);
    edited.frames[1].0.times.include(Time(i64::MAX));
    log.put(1, &edited);
    let report = check(&log, Level::Full);
    assert_eq!((report.verdict(), report.findings.len()), (Verdict::Tampered, 1), "{:?}", report.findings);
    assert!(report.findings[0].what.starts_with("times in the frame header"), "{:?}", report.findings);
}

/// A segment begins with the seal of the one before, so none is closed without a record: its seal was taken out with
/// whatever came after it.
#[test]
fn a_segment_closed_without_its_seal_is_tampering() {
    let mut log = LogBuilder::new(ID, false);
    log.frame(&[row(5, b"first")], false);
    log.begin_next();
    log.finish(false);
    for level in [Level::Structure, Level::Full] {
        let report = check(&log, level);
        let bad = report.first_bad().unwrap();
        assert_eq!((report.verdict(), bad.position), (Verdict::Tampered, Some(Position(2))), "{:?}", report.findings);
        assert!(
            report.findings.iter().any(|finding| finding.what.contains("without a record")),
            "{:?}",
            report.findings
        );
    }
}

/// A predecessor took a sealed segment with its last row cut off and the footer made to fit for whole.
#[test]
fn the_last_row_of_a_sealed_segment_cannot_be_cut() {
    let log = closed();
    let mut edited = log.edit(1);
    edited.frames.truncate(3);
    edited.frames[2].0.role = Role::Data { more: false };
    let times = TimeBounds { min: Time(93), max: Time(105) };
    let entries = [IndexEntry { first: Position(5), times, offset: edited.offset(0) }];
    let (frontier, mut column, mut page) = (recompute(&edited), Vec::new(), Vec::new());
    assert_eq!(frontier.size(), 9);
    entries[0].encode_logical(&mut column);
    encode_page(&entries, &mut page);
    let mut digest = StreamDigest::index_column();
    digest.update(&column);
    let data_end = edited.offset(3);
    let mut index = log.edit(1).frames[4].0.clone();
    (index.base, index.durable_end) = (Position(9), Position(9));
    edited.frames.push((index, page));
    let before = log.edit(1);
    let (mut summary, body) = before.frames[5].clone();
    let mut footer = Footer::decode(&body, before.offset(5)).unwrap();
    tell(&mut footer, &frontier);
    footer.offset = edited.offset(4);
    footer.data_end = data_end;
    footer.times = times;
    footer.caller_count = 3;
    footer.payload_bytes -= b"ends it".len() as u64;
    footer.index_digest = digest.finish().0;
    footer.pages = vec![PageRef::of(&entries, data_end).unwrap()];
    (summary.base, summary.durable_end) = (Position(9), Position(9));
    edited.frames.push((summary, footer.encode()));
    log.put(1, &edited);
    for level in [Level::Structure, Level::Full] {
        let report = check(&log, level);
        assert_eq!(report.verdict(), Verdict::Tampered);
        let whats: Vec<_> = report.findings.iter().map(|finding| &finding.what).collect();
        assert_eq!(whats, ["the segment before ends at position 9"]);
    }
}

#[test]
fn segments_of_other_logs_and_under_other_names_are_tampering() {
    let log = closed();
    let mut foreign = log.edit(1);
    foreign.header.log = LogId([4; 16]);
    for (bytes, name) in [(foreign.bytes(), "another log's"), (log.edit(2).bytes(), "another place's")] {
        let log = closed();
        log.disk.write_file(&log.paths()[1], &bytes).unwrap();
        for level in [Level::Structure, Level::Full] {
            let report = check(&log, level);
            assert_eq!(report.verdict(), Verdict::Tampered, "{name}");
            let bad = report.first_bad().unwrap();
            assert_eq!((bad.position, bad.offset), (Some(Position(5)), Some(0)), "{name}");
            assert_eq!(report.findings.len(), 1, "{name}: {:?}", report.findings);
        }
    }
}

/// Nobody vouches for the last records of a log that was not closed: the report says so, and a held head tells.
#[test]
fn an_edit_after_the_last_seal_needs_a_close_frame_or_a_held_head() {
    for is_closed in [false, true] {
        let mut log = LogBuilder::new(ID, false);
        log.frame(&[row(1, b"first")], false);
        if is_closed {
            log.finish(false);
        }
        let mut edited = log.edit(0);
        edited.replace(1, b"first", b"forst");
        log.put(0, &edited);
        let report = check(&log, Level::Full);
        let expected = if is_closed { Verdict::Tampered } else { Verdict::Intact };
        assert_eq!(report.verdict(), expected);
        if is_closed {
            assert_eq!(
                report.first_bad().unwrap().what,
                "records 0..2 do not hash to the head in its footer or close frame"
            );
        } else {
            assert_eq!(report.not_checked, ["positions 0..2 are covered by no seal or close frame"]);
        }
        let expect = Expectation { heads: vec![log.frontier.head()], ..Expectation::default() };
        let report = verify_log(&log.host, Path::new(DIR), Level::Full, &expect, &mut |_| {});
        assert_eq!(report.verdict(), Verdict::Tampered);
    }
}

/// A broken index page does not stop the close frame from telling on the records.
#[test]
fn breaking_the_index_hides_no_edit() {
    let log = closed();
    let mut edited = log.edit(2);
    edited.replace(1, b"first", b"forst");
    let offset = edited.offset(4) as usize;
    let mut bytes = edited.bytes();
    bytes[offset + 70] ^= 1;
    log.disk.write_file(&log.paths()[2], &bytes).unwrap();
    let report = check(&log, Level::Full);
    assert_eq!((report.verdict(), report.first_bad().unwrap().position), (Verdict::Tampered, Some(Position(10))));
}

/// A break record of the log's own says what the log was below it, so it cannot be put elsewhere, or made up without
/// the tree. One of an earlier generation speaks of a log that is not here.
#[test]
fn a_break_record_that_contradicts_its_log_is_tampering() {
    let broken = |log: LogId, size: u64, root: Digest| Break {
        source: LogId([9; 16]),
        lost: Position(3)..Position(5),
        is_open: false,
        resumes_at: Some(Position(5)),
        source_root: None,
        log,
        head: TreeHead { size, root },
        cause: "bit rot".to_owned(),
        who: String::new(),
    };
    let mut log = LogBuilder::new(ID, false);
    log.frame(&[row(1, b"before")], false);
    let root = log.frontier.root();
    for (own, size, root, expected) in [
        (true, 2, root, Verdict::Repaired),
        (true, 1, root, Verdict::Tampered),
        (true, 2, Digest([7; 32]), Verdict::Tampered),
        (false, 77, Digest([7; 32]), Verdict::Repaired),
    ] {
        let mut log = LogBuilder::new(ID, false);
        log.frame(&[row(1, b"before")], false);
        let payload = broken(if own { ID } else { LogId([8; 16]) }, size, root).encode();
        log.frame(&[build::Row { kind: Kind::BREAK, time: 1, payload: &payload }, row(2, b"after")], false);
        log.finish(false);
        let report = check(&log, Level::Full);
        assert_eq!((report.verdict(), report.gaps), (expected, 1), "{:?}", report.findings);
        assert_eq!(report.findings.last().unwrap().position, Some(Position(2)));
    }
    let mut log = LogBuilder::new(ID, false);
    let mut payload = broken(ID, 1, root).encode();
    payload.push(0);
    log.frame(&[build::Row { kind: Kind::BREAK, time: 1, payload: &payload }], false);
    log.finish(false);
    assert_eq!(check(&log, Level::Full).verdict(), Verdict::Tampered);
}

#[test]
fn another_log_or_origin_than_expected_is_tampering() {
    let expectations = [
        Expectation { id: Some(LogId([4; 16])), ..Expectation::default() },
        Expectation { origin: Some("test/other".to_owned()), ..Expectation::default() },
    ];
    for expect in expectations {
        for level in [Level::Structure, Level::Full] {
            let report = verify_log(&closed().host, Path::new(DIR), level, &expect, &mut |_| {});
            assert_eq!((report.verdict(), report.findings.len()), (Verdict::Tampered, 1));
        }
    }
}

/// A floor needs a prune record, which this version cannot judge; without one it is a lie.
#[test]
fn a_forged_floor_does_not_excuse_missing_segments() {
    let log = closed();
    log.remove(0);
    for index in 0..2 {
        let mut edited = log.edit(index);
        (edited.header.floor, edited.header.prune) = (Position(5), Some(Position(6)));
        edited.edit_footer(|footer| (footer.floor, footer.prune) = (Position(5), Some(Position(6))));
        log.put(index, &edited);
    }
    let report = check(&log, Level::Full);
    let verdicts: Vec<_> = report.findings.iter().map(|finding| finding.verdict).collect();
    assert_eq!(verdicts, [Verdict::Missing, Verdict::Tampered], "{:?}", report.findings);
    // The structure cannot tell; what it says is not that all is well.
    assert_eq!(check(&log, Level::Structure).verdict(), Verdict::Newer);
}

#[test]
fn what_a_later_version_writes_is_newer_and_a_redacted_record_needs_a_receipt() {
    for kind in [Kind::PRUNE, Kind::REDACTION, Kind::FREEZE, Kind::BREAK] {
        let mut log = LogBuilder::new(ID, false);
        log.frame(&[build::Row { kind, time: 1, payload: b"?" }, row(2, b"after it")], false);
        log.finish(false);
        let report = check(&log, Level::Full);
        assert_eq!((report.verdict(), report.findings.len()), (Verdict::Newer, 1), "{:?}", report.findings);
        assert_eq!((report.first_bad().unwrap().position, report.records_checked), (Some(Position(1)), 3));
    }
    let redacted = "payload missing without a redaction record";
    let table = [
        (1, 135, Verdict::Newer, "record is of a newer format: kind is 135"),
        (16, 5, Verdict::Newer, "record is of a newer format: tag is 19"),
        (8, 5, Verdict::Tampered, redacted),
    ];
    for (tag, kind, expected, what) in table {
        let mut log = LogBuilder::new(ID, false);
        // Long enough to hold the digest of a redacted payload.
        log.frame(&[build::Row { kind: Kind(5), time: 1, payload: &[0; 32] }], false);
        log.finish(false);
        let mut edited = log.edit(0);
        let body = &mut edited.frames[1].1;
        (body[0], body[1]) = (body[0] | tag, kind);
        log.put(0, &edited);
        let report = check(&log, Level::Full);
        let found = report.findings.iter().find(|finding| finding.what == what);
        let found = found.unwrap_or_else(|| panic!("{what}: {:?}", report.findings));
        assert_eq!((report.verdict(), found.verdict, found.position), (expected, expected, Some(Position(1))));
    }
}
