//! Bytes that no crash leaves: opening for writing refuses and changes nothing, and a reader yields what validates.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::large_stack_arrays)]

#[path = "support/common.rs"]
mod common;

use bulla_chain::{Recovery, StreamDigest};
use bulla_log::{Durability, Item, Log, LogError, LogReader, Order, Query, Snapshot, TailKind};
use bulla_vfs::MemVfs;
use bulla_wire::{FRAME_HEADER_LEN, FrameHeader, Kind, Position, Time};
use common::{
    ID, all, create, dir, disk_of, edit, files, frames, host, open, open_for_reading, options, remove, row, rows,
    segments, with,
};
use std::ops::Range;
use std::path::PathBuf;

/// A log with `count` durable records of 200 bytes; its segments hold 15 or so.
fn filled(count: usize) -> (MemVfs, Log) {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    for index in 0..count {
        log.append(&row(&[index as u8; 200]), with(Durability::Durable)).unwrap();
    }
    (disk, log)
}

fn copy(disk: &MemVfs) -> MemVfs {
    disk_of(&files(disk))
}

/// What a cursor that steps over damage yields: positions of records, and gaps.
fn with_gaps(snapshot: &Snapshot, order: Order) -> (Vec<u64>, Vec<Range<u64>>) {
    let query = Query { engine: true, gaps: true, order, ..Query::new() };
    let mut cursor = snapshot.cursor(&query);
    let (mut found, mut gaps) = (Vec::new(), Vec::new());
    while let Some(item) = cursor.next() {
        match item.unwrap() {
            Item::Record(record) => found.push(record.position.0),
            Item::Gap(gap) => {
                assert!(gap.cause.is_damage(), "{gap:?}");
                gaps.push(gap.positions.start.0..gap.positions.end.0);
            }
        }
    }
    if order == Order::Descending {
        found.reverse();
        gaps.reverse();
    }
    (found, gaps)
}

/// A reader opens `disk` and yields everything but `lost`, in both orders; without gaps it fails there for good.
fn check_reader(disk: &MemVfs, end: u64, lost: Range<u64>, label: &str) {
    let before = files(disk);
    let reader = LogReader::open(&host(disk.clone()), dir()).unwrap_or_else(|error| panic!("{label}: {error:?}"));
    let snapshot = reader.snapshot().unwrap();
    let kept: Vec<_> = (0..end).filter(|position| !lost.contains(position)).collect();
    for order in [Order::Ascending, Order::Descending] {
        let (found, gaps) = with_gaps(&snapshot, order);
        assert_eq!(found, kept, "{label}, {order:?}");
        assert_eq!(gaps, vec![lost.clone()], "{label}, {order:?}");
        // A time range that no record meets still owes an account of what could not be read.
        let query = Query { from_time: Some(Time(i64::MAX)), engine: false, gaps: true, order, ..Query::new() };
        let mut cursor = snapshot.cursor(&query);
        while let Some(item) = cursor.next() {
            let Item::Gap(gap) = item.unwrap() else { panic!("{label}: a record out of time") };
            assert!(gap.positions.start.0 >= lost.start && gap.positions.end.0 <= lost.end, "{label}: {gap:?}");
        }
        let mut cursor = snapshot.cursor(&Query { engine: true, order, ..Query::new() });
        let error = loop {
            match cursor.next() {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("{label}, {order:?}: the loss was passed over"),
            }
        };
        assert!(error.is_damage(), "{label}: {error:?}");
        let text = error.to_string();
        drop(error);
        for _ in 0..3 {
            assert_eq!(cursor.next().unwrap().unwrap_err().to_string(), text, "{label}: R4 of readers");
        }
    }
    // What lies beside the loss can be read without asking for gaps.
    for position in [lost.start.checked_sub(1), Some(lost.end)].into_iter().flatten().filter(|at| *at < end) {
        assert!(snapshot.get(Position(position), |_| ()).unwrap().is_some(), "{label}: position {position}");
    }
    assert!(before == files(disk), "{label}: a reader changed the disk");
}

fn refuses(disk: &MemVfs, label: &str) -> LogError {
    let before = files(disk);
    let Err(error) = open(disk) else { panic!("{label}: it opened") };
    assert!(before == files(disk), "{label}: a refused opening changed the disk");
    error
}

/// The third row of the recovery table.
#[test]
fn a_flipped_bit_below_the_durable_end_refuses_to_open() {
    let (disk, log) = filled(10);
    drop(log);
    let path = segments(&disk).pop().unwrap();
    let frames = frames(&disk, &path);
    // The last record's frame is proven durable by the mark behind it.
    let end = 11;
    for (offset, header) in frames.iter().filter(|(_, header)| header.record_count > 0) {
        for at in [*offset, offset + 8, offset + FRAME_HEADER_LEN, offset + header.frame_len() - 16] {
            let disk = copy(&disk);
            edit(&disk, &path, |bytes| bytes[at as usize] ^= 4);
            let label = format!("frame at {offset}, byte {at}");
            let error = refuses(&disk, &label);
            let LogError::Damaged { lost, offset: found, .. } = &error else { panic!("{label}: {error:?}") };
            assert_eq!((lost.clone(), *found), (header.base..Position(end), *offset), "{label}");
            let reader = LogReader::open(&host(disk.clone()), dir()).unwrap();
            assert!(reader.snapshot().unwrap().is_damaged(), "{label}");
            check_reader(&disk, end, header.base.0..header.end().0, &label);
        }
    }
}

/// After a clean close nothing is ambiguous: a flip anywhere in the data is found, at the latest when it is read.
#[test]
fn a_flip_after_a_clean_close_is_found() {
    let (disk, log) = filled(6);
    let expected = rows(&log.snapshot());
    log.close().unwrap();
    let path = segments(&disk).pop().unwrap();
    let frames = frames(&disk, &path);
    let data_end = frames.iter().filter(|(_, header)| header.record_count > 0).map(|(at, h)| at + h.frame_len()).max();
    let len = disk.read_file(&path).unwrap().len();
    for at in 0..len {
        let disk = copy(&disk);
        edit(&disk, &path, |bytes| bytes[at] ^= 0x10);
        let result = open(&disk).and_then(|log| {
            let query = Query { engine: true, ..Query::new() };
            let found = common::read(&log.snapshot(), &query)?;
            Ok((found.len(), log.recovery().tail))
        });
        let is_data = at >= frames[0].0 as usize && at < data_end.unwrap() as usize;
        match result {
            Err(error) => assert!(error.is_damage() || error.is_newer() || error.is_missing(), "byte {at}: {error:?}"),
            Ok((count, tail)) => {
                assert!(!is_data, "byte {at} of the data");
                assert_eq!(count, expected.len() + 1 + usize::from(tail == TailKind::Torn), "byte {at}: {tail:?}");
            }
        }
    }
}

#[test]
fn a_known_durable_end_above_the_end_is_damage() {
    for is_closed in [true, false] {
        let (disk, log) = filled(3);
        if is_closed {
            log.close().unwrap();
        }
        drop(log);
        let before = files(&disk);
        let known = |end| Log::open(&host(disk.clone()), dir(), &options().known_durable_end(Position(end)));
        let error = known(6).unwrap_err();
        let LogError::Damaged { lost, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*lost, Position(4)..Position(6));
        assert!(before == files(&disk));
        assert!(known(4).is_ok());
    }
}

#[test]
fn a_missing_segment_refuses_and_is_a_gap_for_readers() {
    let (disk, log) = filled(60);
    let end = log.next_position().0;
    log.close().unwrap();
    let paths = segments(&disk);
    let bases: Vec<_> = paths.iter().map(|path| open_for_reading(&disk, path).header().base.0).collect();
    assert!(paths.len() >= 4);
    for index in 0..paths.len() - 1 {
        let disk = copy(&disk);
        remove(&disk, &paths[index]);
        let error = refuses(&disk, &format!("segment {index}"));
        if index + 2 == paths.len() {
            assert!(error.is_damage(), "{error:?}");
        } else {
            let LogError::Missing { position, .. } = error else { panic!("{error:?}") };
            assert_eq!(position.0, bases[index]);
        }
        check_reader(&disk, end, bases[index]..bases[index + 1], &format!("segment {index} missing"));
    }
}

#[test]
fn an_older_segment_without_footer_refuses_and_is_read_by_scanning() {
    let (disk, log) = filled(40);
    let end = log.next_position().0;
    log.close().unwrap();
    let paths = segments(&disk);
    let older = &paths[paths.len() - 2];
    let frames = frames(&disk, older);
    let last = frames.iter().rev().find(|(_, header)| header.record_count > 0).unwrap().clone();
    let cut = copy(&disk);
    edit(&cut, older, |bytes| bytes.truncate(last.0 as usize));
    assert!(refuses(&cut, "footer gone").is_damage());
    check_reader(&cut, end, last.1.base.0..last.1.end().0, "footer and last frame gone");
    // A bad frame in a sealed segment is a finding of reads; the log goes on.
    let flipped = copy(&disk);
    edit(&flipped, older, |bytes| bytes[last.0 as usize + 70] ^= 1);
    check_reader(&flipped, end, last.1.base.0..last.1.end().0, "flipped");
    let log = open(&flipped).unwrap();
    log.append(&row(b"on"), with(Durability::Durable)).unwrap();
    assert!(common::read(&log.snapshot(), &Query::new()).unwrap_err().is_damage());
}

/// A close frame is no footer, although it ends where the next segment begins; nor is the footer of a longer life of the
/// same segment.
#[test]
fn an_older_segment_that_ends_otherwise_refuses() {
    for is_sealed in [false, true] {
        let (disk, log) = filled(5);
        let other = copy(&disk);
        log.rotate().unwrap();
        drop(log);
        let log = open(&other).unwrap();
        if is_sealed {
            log.append(&row(b"one more"), with(Durability::Durable)).unwrap();
            log.rotate().unwrap();
        }
        log.close().unwrap();
        let older = &segments(&disk)[0];
        edit(&disk, older, |bytes| *bytes = other.read_file(older).unwrap());
        assert!(refuses(&disk, "another end").is_damage());
    }
}

/// A torn tail of any length is set aside byte by byte as it was, and the record of it says so.
#[test]
fn a_long_torn_tail_is_set_aside_whole() {
    let (disk, log) = filled(5);
    drop(log);
    let path = segments(&disk).pop().unwrap();
    let (last, header) = frames(&disk, &path).into_iter().rfind(|(_, header)| header.record_count > 0).unwrap();
    let end = (last + header.frame_len()) as usize;
    let torn: Vec<u8> = (1..=200_000_u32).map(|index| (index % 251) as u8 + 1).collect();
    edit(&disk, &path, |bytes| {
        bytes.truncate(end);
        bytes.extend(&torn);
    });
    let log = open(&disk).unwrap();
    let report = log.recovery();
    assert_eq!((report.tail, report.quarantined_bytes), (TailKind::Torn, 200_000));
    assert!(disk.read_file(report.quarantine.as_ref().unwrap()).unwrap() == torn);
    let (_, _, record) = all(&log.snapshot()).into_iter().rfind(|(_, kind, _)| *kind == Kind::RECOVERY).unwrap();
    let record = Recovery::decode(&record).unwrap();
    let mut digest = StreamDigest::quarantine();
    digest.update(&torn);
    assert_eq!((record.quarantined_bytes, record.quarantine), (200_000, Some(digest.finish())));
}

/// An error says where the proof comes from: whoever was told more than the file says looks elsewhere for the rest.
#[test]
fn damage_names_who_knows_of_it() {
    let (disk, log) = filled(5);
    drop(log);
    let path = segments(&disk).pop().unwrap();
    let first = frames(&disk, &path)[1].0 as usize;
    edit(&disk, &path, |bytes| bytes[first] ^= 4);
    for (known, source) in
        [(0, "frames of the segment prove"), (5, "frames of the segment prove"), (9, "the caller knows")]
    {
        let options = options().known_durable_end(Position(known));
        let error = Log::open(&host(disk.clone()), dir(), &options).unwrap_err();
        let LogError::Damaged { evidence, .. } = &error else { panic!("{error:?}") };
        assert!(evidence.contains(source), "{known}: {evidence}");
    }
}

#[test]
fn a_newest_segment_with_nothing_valid_in_it_refuses_and_ends_the_log_for_readers() {
    let (disk, log) = filled(40);
    let end = log.next_position().0;
    log.close().unwrap();
    let path = segments(&disk).pop().unwrap();
    let base = open_for_reading(&disk, &path).header().base.0;
    assert!(end > base + 1);
    edit(&disk, &path, |bytes| bytes.fill(7));
    assert!(refuses(&disk, "no header").is_damage());
    let snapshot = LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap();
    assert!(snapshot.is_damaged() && snapshot.end().0 == base && snapshot.durable_end().0 == base);
    check_reader(&disk, base, base..base + 1, "no header");
}

/// Damage and interruption once changed the disk before they were told apart: the segment before a creation that was
/// interrupted was cut although its footer was gone, which no crash leaves.
#[test]
fn an_interrupted_creation_is_made_again_only_behind_a_sealed_segment() {
    let (disk, log) = filled(5);
    log.rotate().unwrap();
    let expected = rows(&log.snapshot());
    drop(log);
    let newest = segments(&disk).pop().unwrap();
    for header in [vec![], vec![0; 4096], disk.read_file(&newest).unwrap()[..40].to_vec(), vec![7; 100]] {
        let disk = copy(&disk);
        edit(&disk, &newest, |bytes| bytes.clone_from(&header));
        let reader = LogReader::open(&host(disk.clone()), dir()).unwrap();
        assert_eq!(rows(&reader.snapshot().unwrap()), expected);
        let log = open(&disk).unwrap();
        assert_eq!(log.recovery().tail, TailKind::InterruptedCreation);
        log.append(&row(b"on"), with(Durability::Durable)).unwrap();
        assert_eq!(rows(&open(&disk.crash()).unwrap().snapshot()).len(), expected.len() + 1);

        let disk = copy(&disk);
        edit(&disk, &newest, |bytes| bytes.clone_from(&header));
        let older = &segments(&disk)[0];
        edit(&disk, older, |bytes| bytes.truncate(bytes.len() - 4));
        assert!(refuses(&disk, "no footer before an interrupted creation").is_damage());
    }
    // An empty file whose name does not follow was left by nobody.
    let (disk, log) = filled(5);
    log.close().unwrap();
    disk.write_file(&PathBuf::from("/log/00000000000000000099.seg"), b"").unwrap();
    assert!(refuses(&disk, "foreign file").is_damage());
    // Nor is one whose name follows a close frame, or does not follow a footer.
    for (is_sealed, name) in [(false, 6), (true, 99)] {
        let (disk, log) = filled(5);
        if is_sealed {
            log.rotate().unwrap();
            drop(log);
            remove(&disk, &segments(&disk)[1]);
        } else {
            assert_eq!(log.next_position(), Position(name));
            log.close().unwrap();
        }
        disk.write_file(&PathBuf::from(format!("/log/{name:020}.seg")), b"").unwrap();
        assert!(refuses(&disk, "no footer that ends there").is_damage());
    }
}

/// A version above ours, in each place that has one, is newer for both and never damage.
#[test]
fn a_newer_version_is_refused_by_both() {
    let (disk, log) = filled(40);
    log.close().unwrap();
    let paths = segments(&disk);
    let newest = paths.last().unwrap();
    let later = |bytes: &mut Vec<u8>| bytes[8] = 9;
    for path in [&paths[0], newest] {
        let disk = copy(&disk);
        edit(&disk, path, later);
        let before = files(&disk);
        let error = open(&disk).unwrap_err();
        assert!(error.is_newer() && !error.is_damage(), "{error:?}");
        let read = LogReader::open(&host(disk.clone()), dir())
            .and_then(|reader| common::read(&reader.snapshot()?, &Query { gaps: true, ..Query::new() }).map(drop));
        let error = read.unwrap_err();
        assert!(error.is_newer() && !error.is_damage(), "{error:?}");
        assert!(before == files(&disk));
    }
    // A frame with a flag of a later version, in an active segment that was not closed.
    let (disk, log) = filled(3);
    drop(log);
    let path = segments(&disk).pop().unwrap();
    let (offset, _) = frames(&disk, &path)[1].clone();
    edit(&disk, &path, |bytes| {
        let at = offset as usize;
        bytes[at + 12] = 64;
        let checksum = open_for_reading(&disk, &path).seed().checksum(offset, &bytes[at + 8..at + 64]);
        bytes[at + 4..at + 8].copy_from_slice(&checksum.to_le_bytes());
    });
    let error = refuses(&disk, "newer frame");
    assert!(error.is_newer() && !error.is_damage(), "{error:?}");
    let error = LogReader::open(&host(disk.clone()), dir()).unwrap_err();
    assert!(error.is_newer() && !error.is_damage(), "{error:?}");
}

#[test]
fn segments_of_two_logs_do_not_make_one() {
    let (disk, log) = filled(40);
    log.close().unwrap();
    let other = MemVfs::new();
    let log = Log::create(&host(other.clone()), dir(), bulla_wire::LogId([8; 16]), &options()).unwrap();
    assert_ne!(log.id(), ID);
    drop(log);
    let first = &segments(&disk)[0];
    let bytes = other.read_file(first).unwrap();
    edit(&disk, first, |old| old.clone_from(&bytes));
    assert!(matches!(refuses(&disk, "two logs"), LogError::Mismatch { .. }));
}

/// Bytes of an index that lie are an adversary's: a cursor once computed the length of what to read from offsets that
/// fall from one page to the next, and read as much as one entry claimed. Asked for gaps, it once gave up all records of
/// the newest segment, closed with such an index, although it did without the index of any other.
#[test]
fn an_index_that_lies_about_offsets_is_damage() {
    use bulla_wire::{Footer, PageRef, decode_page, encode_page};
    let (disk, log) = filled(30);
    log.close().unwrap();
    let paths = segments(&disk);
    for path in [&paths[0], paths.last().unwrap()] {
        let disk = copy(&disk);
        let segment = open_for_reading(&disk, path);
        let footer: Footer = segment.read_summary().unwrap().unwrap().footer;
        let page = footer.pages[0];
        let mut entries = segment.read_page(&page).unwrap();
        let last = entries.last_mut().unwrap();
        // The last entry begins behind the end of the data.
        last.offset = footer.data_end + 8;
        edit(&disk, path, |bytes| {
            let at = page.offset as usize;
            let header = FrameHeader::decode(&bytes[at..], segment.seed(), page.offset).unwrap();
            let (mut body, mut frame) = (Vec::new(), Vec::new());
            encode_page(&entries, &mut body);
            assert_eq!(decode_page(&body).unwrap(), entries);
            header.encode(&body, segment.seed(), page.offset, &mut frame);
            bytes[at..at + frame.len()].copy_from_slice(&frame);
        });
        assert_eq!(PageRef::of(&entries, page.offset).unwrap().first, page.first);
        let reader = LogReader::open(&host(disk.clone()), dir()).unwrap();
        for order in [Order::Ascending, Order::Descending] {
            let snapshot = reader.snapshot().unwrap();
            let mut cursor = snapshot.cursor(&Query { order, ..Query::new() });
            let error = loop {
                if let Err(error) = cursor.next().expect("the lie was passed over") {
                    break error;
                }
            };
            assert!(error.is_damage(), "{error:?}");
            // Asked for gaps, a reader does without the index.
            let (found, gaps) = with_gaps(&snapshot, order);
            assert_eq!((found, gaps), ((0..snapshot.end().0).collect(), vec![]), "{}", path.display());
        }
    }
}

/// A foreign file under a name inside a segment's range ends that segment for a reader. An entry of its index behind that
/// end once took the walk there, past rows of the frames in between. Each position is given or named as a gap.
#[test]
fn a_file_in_the_middle_of_another_segment_hides_nothing() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    for number in 0..20_u8 {
        log.append_batch(&[row(&[number; 90]), row(&[number; 5_000]), row(&[1])], with(Durability::Durable)).unwrap();
        log.append(&row(&[number; 120]), with(Durability::Durable)).unwrap();
        log.append(&row(&[number; 80]), with(Durability::Buffered)).unwrap();
        if number % 6 == 5 {
            log.rotate().unwrap();
        }
    }
    log.close().unwrap();
    let end = log.next_position().0;
    let paths = segments(&disk);
    let original = files(&disk);
    // A foreign file behind the newest segment's base would be the newest itself, and the log would end there.
    let newest = open_for_reading(&disk, paths.last().unwrap()).header().base.0;
    for from in &paths {
        for place in 1..newest {
            let foreign = dir().join(bulla_segment::segment_file_name(Position(place)));
            if original.contains_key(&foreign) {
                continue;
            }
            let disk = common::disk_of(&original);
            disk.write_file(&foreign, &original[from]).unwrap();
            let Ok(reader) = LogReader::open(&host(disk), dir()) else { continue };
            let Ok(snapshot) = reader.snapshot() else { continue };
            for order in [Order::Ascending, Order::Descending] {
                let (rows, gaps) = with_gaps(&snapshot, order);
                let mut seen: Vec<_> = rows.into_iter().chain(gaps.into_iter().flatten()).collect();
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen, (0..end).collect::<Vec<_>>(), "{} at {place}, {order:?}", from.display());
            }
        }
    }
}

/// A frame cut out of a sealed segment, with every checksum put right, leaves positions without bytes: the hole begins
/// and ends where the frames before it do. They were once taken for the hole, and what they hold was not read.
#[test]
fn a_frame_that_was_cut_out_hides_none_of_those_before_it() {
    let (disk, log) = filled(3);
    log.rotate().unwrap();
    log.close().unwrap();
    let path = segments(&disk)[0].clone();
    let mut edited = bulla_testkit::Edited::parse(&disk.read_file(&path).unwrap());
    let end = edited.frames.last().unwrap().0.base.0;
    let (cut, _) = edited.frames.remove(2);
    let lost = cut.base.0..cut.end().0;
    let mut bytes = edited.bytes();
    // Without its footer the segment is scanned.
    *bytes.last_mut().unwrap() ^= 1;
    disk.write_file(&path, &bytes).unwrap();
    let snapshot = LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap();
    for order in [Order::Ascending, Order::Descending] {
        let (found, gaps) = with_gaps(&snapshot, order);
        let found: Vec<_> = found.into_iter().filter(|position| *position < end).collect();
        let kept: Vec<_> = (0..end).filter(|at| !lost.contains(at)).collect();
        assert_eq!((found, gaps), (kept, vec![lost.clone()]), "{order:?}");
    }
}
