//! Edits that hide behind what a crash may leave, or behind what readers and verification might read differently.

use super::*;

/// A closed store, its close frame taken off and its frames made to vouch for nothing, looked like a crash to a
/// predecessor, which then called everything in it a remark: a payload blanked under its unchanged leaf, and times that
/// hide a row from queries. No crash leaves wrong content under a right checksum.
#[test]
fn without_its_close_frame_a_log_still_tells_on_its_content() {
    type Edit = fn(&mut Edited);
    let edits: [(&str, Edit); 2] = [
        ("payload missing without a redaction record", |edited| {
            let body = &mut edited.frames[1].1;
            let digest = body_digest(&[7; 32]);
            let at = body.windows(32).position(|window| window == [7; 32]).unwrap();
            body[at..at + 32].copy_from_slice(&digest.0);
            body[0] |= 8;
        }),
        ("times in the frame header are 50..=50, those of its records 5..=5", |edited| {
            edited.frames[1].0.times = TimeBounds { min: Time(50), max: Time(50) };
        }),
    ];
    for (what, edit) in edits {
        let mut log = LogBuilder::new(ID, false);
        log.frame(&[row(5, &[7; 32])], false);
        log.finish(false);
        let mut edited = log.edit(0);
        edited.frames.truncate(2);
        edited.frames.iter_mut().for_each(|(header, _)| header.durable_end = Position(0));
        edit(&mut edited);
        log.put(0, &edited);
        let expect = Expectation { heads: vec![log.frontier.head()], ..Expectation::default() };
        let report = verify_log(&log.host, Path::new(DIR), Level::Full, &expect, &mut |_| {});
        let found = report.findings.iter().find(|finding| finding.what == what);
        assert_eq!(found.map(|finding| finding.verdict), Some(Verdict::Tampered), "{:?}", report.findings);
        assert_eq!(report.verdict(), Verdict::Tampered, "{what}");
    }
}

/// Two rows each with an entry of its own, closed; `forged` is the index with their times exchanged, which hides both
/// from a query for the time of either.
fn with_two_entries() -> (LogBuilder, Vec<u8>) {
    let mut log = LogBuilder::new(ID, false);
    log.frame(&[row(5, &[7; 5000])], false);
    log.frame(&[row(9, &[8; 5000])], false);
    log.finish(false);
    let mut entries = decode_page(&log.edit(0).frames[3].1).unwrap();
    let last = entries.len() - 1;
    (entries[0].times, entries[last].times) = (entries[last].times, entries[0].times);
    let mut forged = Vec::new();
    encode_page(&entries, &mut forged);
    (log, forged)
}

/// Moves the footer's pages and the footer itself to where the last frames of `edited` are now.
fn move_footer(edited: &mut Edited, old_offset: u64, page: usize) {
    let index = edited.frames.len() - 1;
    let mut footer = Footer::decode(&edited.frames[index].1, old_offset).unwrap();
    footer.offset = edited.offset(index);
    footer.pages[0].offset = edited.offset(page);
    edited.frames[index].1 = footer.encode();
}

/// A predecessor ended its walk at the first summary, while readers believe the last one: an index forged behind a true
/// close frame was never looked at.
#[test]
fn a_second_summary_does_not_hide_behind_the_first() {
    let (log, forged) = with_two_entries();
    let mut edited = log.edit(0);
    let old_offset = edited.offset(4);
    let (mut index, summary) = (edited.frames[3].clone(), edited.frames[4].clone());
    index.1 = forged;
    edited.frames.push(index);
    edited.frames.push(summary);
    move_footer(&mut edited, old_offset, 5);
    log.put(0, &edited);
    let report = check(&log, Level::Full);
    assert_eq!(report.verdict(), Verdict::Tampered, "{:?}", report.findings);
}

/// Bad bytes before the index are what a crash during closing may leave. To a predecessor they excused the index from
/// being compared, though readers believe it.
#[test]
fn bytes_before_the_index_do_not_excuse_it() {
    let (log, forged) = with_two_entries();
    let mut edited = log.edit(0);
    let old_offset = edited.offset(4);
    edited.frames[3].1 = forged;
    let page_at_old = edited.offset(3);
    // A whole frame of its own, broken below.
    edited.frames.insert(3, edited.frames[3].clone());
    move_footer(&mut edited, old_offset, 4);
    log.put(0, &edited);
    let mut bytes = edited.bytes();
    bytes[page_at_old as usize] ^= 1;
    log.disk.write_file(&log.paths()[0], &bytes).unwrap();
    let report = check(&log, Level::Full);
    assert_eq!(report.verdict(), Verdict::Tampered, "{:?}", report.findings);
}

/// Two bad places in a row before the close frame. A predecessor took the second for the loss of records, gave up
/// hashing, believed the root in the close frame, and called an edited record intact.
#[test]
fn breaking_the_index_twice_hides_no_edit() {
    let log = closed();
    let mut edited = log.edit(2);
    edited.replace(1, b"first", b"forst");
    let old_offset = edited.offset(5);
    edited.frames.insert(4, edited.frames[4].clone());
    move_footer(&mut edited, old_offset, 5);
    let (no_header, no_body) = (edited.offset(4) as usize, edited.offset(5) as usize + 70);
    let mut bytes = edited.bytes();
    (bytes[no_header], bytes[no_body]) = (bytes[no_header] ^ 1, bytes[no_body] ^ 1);
    log.disk.write_file(&log.paths()[2], &bytes).unwrap();
    let report = check(&log, Level::Full);
    assert_eq!(report.verdict(), Verdict::Tampered, "{:?}", report.findings);
    assert_eq!(report.first_bad().unwrap().position, Some(Position(10)));
}

/// A close frame whose checksum holds and whose counts contradict each other once brought the writer down at the next
/// rotation, when it was to be repeated in a seal. Opening refuses it, and so it does frames of that kind.
#[test]
fn counts_that_no_seal_can_repeat_are_refused_at_the_opening() {
    for is_closed in [true, false] {
        let log = closed();
        let mut edited = log.edit(2);
        if is_closed {
            edited.edit_footer(|footer| footer.caller_count = 0);
        } else {
            edited.frames.truncate(1);
            edited.frames[0].0.times = TimeBounds { min: Time(1), max: Time(1) };
        }
        log.put(2, &edited);
        let opened = Log::open(&log.host, Path::new(DIR), &LogOptions::new());
        assert!(opened.is_err_and(|error| error.is_damage()), "closed: {is_closed}");
    }
}

/// A close frame that counts 2^64 - 1 bytes of payload is one like any other until somebody counts again. The next append
/// added to them: a panic where overflow is one, and a small count elsewhere.
#[test]
fn a_count_without_room_for_more_takes_records_and_is_found_out() {
    let log = closed();
    let mut edited = log.edit(2);
    edited.edit_footer(|footer| footer.payload_bytes = u64::MAX);
    log.put(2, &edited);
    let opened = Log::open(&log.host, Path::new(DIR), &LogOptions::new()).unwrap();
    let row = bulla_log::NewRow { kind: Kind::ROW, time: Time(1), schema: SchemaId(1), payload: b"one more" };
    opened.append(&row, bulla_log::AppendOptions::default()).unwrap();
    opened.rotate().unwrap();
    opened.close().unwrap();
    assert_eq!(check(&log, Level::Full).verdict(), Verdict::Tampered);
}

/// A frame that claims a far position once carried the walk there, past the frames in between, without a gap.
#[test]
fn a_frame_that_claims_a_far_position_hides_no_other() {
    for order in [Order::Ascending, Order::Descending] {
        let mut log = LogBuilder::new(ID, false);
        for time in 1..5 {
            log.frame(&[row(time, &[7; 5000])], false);
        }
        log.finish(false);
        let mut edited = log.edit(0);
        edited.frames[2].0.base = Position(4);
        log.put(0, &edited);
        let snapshot = LogReader::open(&log.host, Path::new(DIR)).unwrap().snapshot().unwrap();
        let mut cursor = snapshot.cursor(&Query { engine: true, gaps: true, order, ..Query::new() });
        let mut seen = Vec::new();
        while let Some(item) = cursor.next() {
            match item.unwrap() {
                Item::Record(record) => seen.push(record.position.0),
                Item::Gap(gap) => seen.extend(gap.positions.start.0..gap.positions.end.0),
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4], "{order:?}");
    }
}

/// An index with an entry less, or a page more, would lead readers elsewhere as well as one with a wrong entry.
#[test]
fn an_index_of_another_length_is_tampering() {
    let texts =
        |log: &LogBuilder| check(log, Level::Full).findings.into_iter().map(|finding| finding.what).collect::<Vec<_>>();
    let (log, _) = with_two_entries();
    let mut edited = log.edit(0);
    let old_offset = edited.offset(4);
    let mut entries = decode_page(&edited.frames[3].1).unwrap();
    let whole = entries.len();
    entries.pop();
    edited.frames[3].1.clear();
    encode_page(&entries, &mut edited.frames[3].1);
    let mut footer = Footer::decode(&edited.frames[4].1, old_offset).unwrap();
    footer.offset = edited.offset(4);
    footer.pages = vec![PageRef::of(&entries, edited.offset(3)).unwrap()];
    edited.frames[4].1 = footer.encode();
    log.put(0, &edited);
    let what = format!("index page has {} entries, must have {whole}", whole - 1);
    assert!(texts(&log).contains(&what), "{:?}", texts(&log));

    let (log, _) = with_two_entries();
    let mut edited = log.edit(0);
    edited.frames.insert(4, edited.frames[3].clone());
    move_footer(&mut edited, old_offset, 3);
    log.put(0, &edited);
    let what = format!("index page has {whole} entries, must have 0");
    assert!(texts(&log).contains(&what), "{:?}", texts(&log));
}
