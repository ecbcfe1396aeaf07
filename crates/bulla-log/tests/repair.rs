//! What a repair takes from a damaged log, and what it writes into the new one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![allow(clippy::single_range_in_vec_init, reason = "a list of gaps, often of one")]

#[path = "support/common.rs"]
mod common;

use bulla_chain::{Break, TreeHead};
use bulla_log::{Durability, Log, LogError, LogReader, Loss, Salvaged, Snapshot, salvage};
use bulla_testkit::Edited;
use bulla_vfs::MemVfs;
use bulla_wire::{Content, FRAME_HEADER_LEN, Kind, LogId, Position, Record, SchemaId, Time};
use common::{
    ID, all, create, dir, disk_of, edit, files, host, open_for_reading, options, remove, row, segments, with,
};
use std::ops::Range;

/// A log whose rows are frames of their own, closed: the genesis and rows at 0..5, a seal and rows at 5..9, and as much
/// at 9..13.
fn closed() -> MemVfs {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    for (number, segment) in [(1, 0), (2, 0), (3, 0), (4, 0), (6, 1), (7, 1), (8, 1), (10, 2), (11, 2), (12, 2_u64)] {
        if segment > log.snapshot().segments().unwrap().len() as u64 - 1 {
            log.rotate().unwrap();
        }
        let position = log.append(&row(&[number; 50]), with(Durability::Durable)).unwrap();
        assert_eq!(position, Position(number.into()));
    }
    log.close().unwrap();
    disk_of(&files(&disk))
}

/// Flips a bit in the frame with this index of the segment with that one.
fn break_frame(disk: &MemVfs, segment: usize, frame: usize) {
    let path = segments(disk)[segment].clone();
    let offset = Edited::parse(&disk_of(&files(&closed())).read_file(&path).unwrap()).offset(frame) as usize;
    edit(disk, &path, |bytes| bytes[offset + FRAME_HEADER_LEN as usize] ^= 1);
}

fn snapshot(disk: &MemVfs) -> Snapshot {
    LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap()
}

/// What salvaging hands on: records by position and losses, in order.
#[derive(Debug, PartialEq)]
enum Handed {
    Record(u64),
    Loss(Loss),
}

fn salvaged_with(disk: &MemVfs, known_end: Option<u64>) -> Vec<Handed> {
    let mut handed = Vec::new();
    let loss_count = salvage::<LogError>(&snapshot(disk), known_end.map(Position), &mut |salvaged| {
        handed.push(match salvaged {
            Salvaged::Record(record) => Handed::Record(record.position.0),
            Salvaged::Loss(loss) => Handed::Loss(loss.clone()),
        });
        Ok(())
    });
    let losses = handed.iter().filter(|handed| matches!(handed, Handed::Loss(_)));
    assert_eq!(loss_count.unwrap(), losses.count() as u64, "{handed:?}");
    handed
}

fn losses(handed: &[Handed]) -> Vec<&Loss> {
    handed.iter().filter_map(|handed| if let Handed::Loss(loss) = handed { Some(loss) } else { None }).collect()
}

/// Positions that are lost, whether more may be, and the record that follows.
type Hole = (Range<u64>, bool, Option<u64>);

/// What is handed on is the rows at `kept`, with each of `lost` right before the record that it says follows.
#[track_caller]
fn check(handed: &[Handed], kept: &[u64], lost: &[Hole]) {
    let mut expected: Vec<Result<u64, Hole>> = kept.iter().copied().map(Ok).collect();
    for hole in lost {
        let at = hole.2.and_then(|next| expected.iter().position(|item| *item == Ok(next)));
        expected.insert(at.unwrap_or(expected.len()), Err(hole.clone()));
    }
    let found: Vec<_> = handed
        .iter()
        .map(|handed| match handed {
            Handed::Record(position) => Ok(*position),
            Handed::Loss(Loss { positions, is_open, resumes_at, .. }) => {
                Err((positions.start.0..positions.end.0, *is_open, resumes_at.map(|at| at.0)))
            }
        })
        .collect();
    assert_eq!(found, expected);
}

const ROWS: [u64; 10] = [1, 2, 3, 4, 6, 7, 8, 10, 11, 12];

fn rows_but(lost: Range<u64>) -> Vec<u64> {
    ROWS.into_iter().filter(|at| !lost.contains(at)).collect()
}

/// R1: of a whole log every row is handed on once; genesis and seals speak of that log alone and stay behind.
#[test]
fn a_whole_log_is_handed_on_row_by_row() {
    for known_end in [None, Some(5), Some(13)] {
        check(&salvaged_with(&closed(), known_end), &ROWS, &[]);
    }
}

/// Whoever takes may refuse: its error ends the salvage.
#[test]
fn a_refusal_ends_the_salvage() {
    let disk = closed();
    break_frame(&disk, 0, 2);
    let mut taken = 0;
    let error = salvage(&snapshot(&disk), None, &mut |_| {
        taken += 1;
        if taken == 2 { Err(LogError::Closed { dir: dir().to_owned() }) } else { Ok(()) }
    });
    assert!(matches!(error, Err(LogError::Closed { .. })));
    assert_eq!(taken, 2);
}

/// R2, and the root of the records before the first loss: what comes behind one has no root that could be computed.
#[test]
fn a_loss_comes_right_before_the_record_found_next() {
    let disk = closed();
    let head = |size| snapshot(&closed()).head_at(Position(size)).unwrap().root;
    break_frame(&disk, 0, 2);
    break_frame(&disk, 2, 2);
    let handed = salvaged_with(&disk, None);
    let kept: Vec<_> = rows_but(2..3).into_iter().filter(|at| *at != 11).collect();
    check(&handed, &kept, &[(2..3, false, Some(3)), (11..12, false, Some(12))]);
    let found = losses(&handed);
    assert_eq!((found[0].root, found[1].root), (Some(head(2)), None));
    // The genesis can be lost like any other record; below it lies the empty tree.
    let disk = closed();
    break_frame(&disk, 0, 0);
    let handed = salvaged_with(&disk, None);
    check(&handed, &ROWS, &[(0..1, false, Some(1))]);
    assert_eq!(losses(&handed)[0].root, Some(TreeHead::EMPTY.root));
}

/// R1: neighbouring losses are one, though one is of a segment that is gone and the other of a frame behind it; those
/// with a record of the engine between them are two, and the same row follows both.
#[test]
fn neighbouring_losses_are_one() {
    let disk = closed();
    remove(&disk, &segments(&disk)[1]);
    let path = &segments(&disk)[1];
    let offset = Edited::parse(&disk.read_file(path).unwrap()).offset(0) as usize;
    edit(&disk, path, |bytes| bytes[offset] ^= 1);
    let handed = salvaged_with(&disk, None);
    check(&handed, &rows_but(5..10), &[(5..10, false, Some(10))]);

    let disk = closed();
    remove(&disk, &segments(&disk)[0]);
    let handed = salvaged_with(&disk, None);
    check(&handed, &rows_but(0..5), &[(0..5, false, Some(6))]);
    assert_eq!(losses(&handed)[0].cause, "no segment holds them");

    let disk = closed();
    break_frame(&disk, 0, 4);
    break_frame(&disk, 1, 1);
    check(&salvaged_with(&disk, None), &rows_but(4..7), &[(4..5, false, Some(7)), (6..7, false, Some(7))]);
}

/// Where the log ends in a loss and nothing says how far it went, more may be lost; a close frame or a journal says.
#[test]
fn a_loss_at_the_end_is_open_if_nothing_says_how_far_the_log_went() {
    // The close frame says.
    let disk = closed();
    break_frame(&disk, 2, 3);
    check(&salvaged_with(&disk, None), &rows_but(12..13), &[(12..13, false, None)]);
    // Nothing of the newest segment is left: that there was one position in it is the least.
    let disk = closed();
    edit(&disk, &segments(&disk)[2], |bytes| bytes.fill(0xff));
    check(&salvaged_with(&disk, None), &rows_but(9..13), &[(9..10, true, None)]);
    check(&salvaged_with(&disk, Some(10)), &rows_but(9..13), &[(9..10, false, None)]);
    check(&salvaged_with(&disk, Some(13)), &rows_but(9..13), &[(9..13, false, None)]);
    // The newest segment is gone without a trace, but for what the journal knew.
    let disk = closed();
    remove(&disk, &segments(&disk)[2]);
    check(&salvaged_with(&disk, None), &rows_but(9..13), &[]);
    let handed = salvaged_with(&disk, Some(13));
    check(&handed, &rows_but(9..13), &[(9..13, false, None)]);
    let found = losses(&handed)[0];
    assert_eq!(found.root, Some(snapshot(&closed()).head_at(Position(9)).unwrap().root));
    assert_eq!(found.cause, "no segment holds them");
    // A loss before the end is never open, however the log ends.
    let disk = closed();
    break_frame(&disk, 0, 2);
    edit(&disk, &segments(&disk)[2], |bytes| bytes[20] ^= 1);
    assert!(snapshot(&disk).is_damaged());
    check(&salvaged_with(&disk, None), &rows_but(2..3), &[(2..3, false, Some(3))]);
}

/// The cause names what is wrong, the segment and the place in it, and not where the store lay.
#[test]
fn the_cause_of_a_loss_names_the_place() {
    let disk = closed();
    break_frame(&disk, 1, 2);
    let path = &segments(&disk)[1];
    let offset = Edited::parse(&closed().read_file(path).unwrap()).offset(2);
    let name = path.file_name().unwrap().to_str().unwrap();
    let handed = salvaged_with(&disk, None);
    let cause = &losses(&handed)[0].cause;
    assert!(cause.ends_with(&format!(", segment {name}, offset {offset}")), "{cause}");
    assert!(cause.contains("checksum") && !cause.contains('/'), "{cause}");
}

/// A segment of another log in the place of one's own was told with the whole path of its file, which the break record then
/// kept for ever, and anybody who was shown the records learned where the store lay.
#[test]
fn the_cause_of_a_foreign_segment_does_not_say_where_the_store_lay() {
    let disk = closed();
    let path = &segments(&disk)[1];
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut foreign = Edited::parse(&disk.read_file(path).unwrap());
    foreign.header.log = SOURCE;
    edit(&disk, path, |bytes| *bytes = foreign.bytes());
    let handed = salvaged_with(&disk, None);
    check(&handed, &rows_but(5..9), &[(5..9, false, Some(10))]);
    assert_eq!(losses(&handed)[0].cause, format!("segment {name} belongs to log {SOURCE}"));
}

fn loss(positions: Range<u64>) -> Loss {
    Loss {
        positions: Position(positions.start)..Position(positions.end),
        is_open: false,
        resumes_at: Some(Position(positions.end)),
        root: None,
        cause: "found so".to_owned(),
    }
}

/// The break record at `position`.
fn break_at(snapshot: &Snapshot, position: u64) -> Break {
    let found = snapshot.get(Position(position), |record| {
        assert_eq!(record.kind, Kind::BREAK);
        Break::decode(record.payload().unwrap()).unwrap()
    });
    found.unwrap().expect("a record at that position")
}

const SOURCE: LogId = LogId([8; 16]);

/// R3, and everything a break record says; it is durable, and so is what waited before it.
#[test]
fn a_break_record_says_what_was_lost_and_what_the_log_was_below_it() {
    let log = create(MemVfs::new(), &options());
    log.append(&row(b"waits"), with(Durability::Buffered)).unwrap();
    let lost = Loss { is_open: true, resumes_at: None, root: Some(log.head().unwrap().root), ..loss(5..9) };
    assert_eq!(log.append_break(SOURCE, &lost, "ana").unwrap(), Position(2));
    let snapshot = log.snapshot();
    assert_eq!((snapshot.end(), snapshot.durable_end()), (Position(3), Position(3)));
    let expected = Break {
        source: SOURCE,
        lost: lost.positions,
        is_open: true,
        resumes_at: None,
        source_root: lost.root,
        log: ID,
        head: snapshot.head_at(Position(2)).unwrap(),
        cause: "found so".to_owned(),
        who: "ana".to_owned(),
    };
    assert_eq!(break_at(&snapshot, 2), expected);
    let resumed = loss(5..9);
    log.append_break(SOURCE, &resumed, "").unwrap();
    let found = break_at(&log.snapshot(), 3);
    assert_eq!((found.resumes_at, found.is_open, found.source_root), (resumed.resumes_at, false, None));
}

/// Others may append at any time: still the head in a break record is that of everything below it.
#[test]
fn a_break_record_among_other_writers_says_what_the_log_was_below_it() {
    let log = create(MemVfs::new(), &options().segment_bytes_max(64 << 10));
    let positions = std::thread::scope(|scope| {
        let other = log.clone();
        scope.spawn(move || {
            for _ in 0..200 {
                other.append(&row(b"x"), with(Durability::Buffered)).unwrap();
            }
        });
        (0..50).map(|at| log.append_break(SOURCE, &loss(at..at + 1), "").unwrap().0).collect::<Vec<_>>()
    });
    let snapshot = log.snapshot();
    for position in positions {
        assert_eq!(break_at(&snapshot, position).head, snapshot.head_at(Position(position)).unwrap());
    }
}

/// Texts longer than a break record takes are cut between two characters.
#[test]
fn long_texts_are_cut() {
    let log = create(MemVfs::new(), &options().segment_bytes_max(64 << 10));
    let lost = Loss { cause: format!("a{}", "\u{e9}".repeat(3000)), ..loss(0..1) };
    log.append_break(SOURCE, &lost, &"\u{20ac}".repeat(500)).unwrap();
    let found = break_at(&log.snapshot(), 1);
    assert_eq!(found.cause, format!("a{}", "\u{e9}".repeat(2047)));
    assert_eq!(found.who, "\u{20ac}".repeat(341));
    let exact = Loss { cause: "c".repeat(4096), ..loss(0..1) };
    log.append_break(SOURCE, &exact, &"w".repeat(1024)).unwrap();
    let found = break_at(&log.snapshot(), 2);
    assert_eq!((found.cause, found.who), (exact.cause, "w".repeat(1024)));
}

/// A log with a row of this length, so that little room may be left in its first segment.
fn with_row_of(len: usize) -> (MemVfs, Log) {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    log.append(&row(&vec![1; len]), with(Durability::Durable)).unwrap();
    (disk, log)
}

/// Segments end where the options say, whatever is appended, and no sooner than they must.
#[test]
fn break_records_and_their_copies_keep_segments_at_their_size() {
    let payload = break_of(LogId([9; 16]));
    let copy = |log: &Log| log.append_copy(&record_of(Kind::BREAK, &payload)).unwrap();
    let append = |log: &Log| {
        log.append_break(SOURCE, &loss(0..1), "ana").unwrap();
    };
    let calls: [&dyn Fn(&Log); 2] = [&copy, &append];
    for call in calls {
        let mut rotated = 0;
        for len in (3400..3780).step_by(20) {
            let (disk, log) = with_row_of(len);
            call(&log);
            log.sync().unwrap();
            let paths = segments(&disk);
            log.close().unwrap();
            let summary = open_for_reading(&disk, &paths[0]).read_summary().unwrap().unwrap();
            assert!(summary.footer.data_end <= 4 << 10, "{} bytes", summary.footer.data_end);
            rotated += u32::from(paths.len() > 1);
        }
        assert!((1..19).contains(&rotated), "{rotated}");
        let (disk, log) = with_row_of(100);
        call(&log);
        call(&log);
        log.sync().unwrap();
        assert_eq!(segments(&disk).len(), 1);
    }
}

/// The payload of a break record that was written in this log.
fn break_of(log: LogId) -> Vec<u8> {
    let broken = Break {
        source: SOURCE,
        lost: Position(3)..Position(4),
        is_open: false,
        resumes_at: None,
        source_root: None,
        log,
        head: TreeHead { size: 3, ..TreeHead::EMPTY },
        cause: "an earlier one".to_owned(),
        who: String::new(),
    };
    broken.encode()
}

fn record_of(kind: Kind, payload: &[u8]) -> Record<'_> {
    let content = Content::Payload { salt: None, bytes: payload };
    Record { position: Position(77), kind, time: Time(-3), schema: SchemaId(9), salted: false, content }
}

/// A copy is the record as it was, at the next position; it waits in memory.
#[test]
fn a_copy_is_the_record_as_it_was() {
    for erasable in [false, true] {
        let disk = MemVfs::new();
        let log = create(disk.clone(), &options().erasable(erasable));
        let before = files(&disk);
        let earlier = break_of(LogId([9; 16]));
        let copied = [(Kind(7), &b"payload"[..]), (Kind::ROW, b""), (Kind::BREAK, &earlier)];
        for (kind, payload) in copied {
            log.append_copy(&record_of(kind, payload)).unwrap();
        }
        assert_eq!(files(&disk), before, "it waits in memory");
        log.sync().unwrap();
        let snapshot = log.snapshot();
        let found = all(&snapshot);
        for ((kind, payload), position) in copied.into_iter().zip(1..) {
            assert_eq!(found[position as usize], (position, kind, payload.to_vec()));
            let rest = snapshot.get(Position(position), |record| (record.time, record.schema, record.salted));
            assert_eq!(rest.unwrap(), Some((Time(-3), SchemaId(9), erasable && kind != Kind::BREAK)));
        }
    }
}

/// What speaks of another log, or of this one already, is not copied; nor is what is gone.
#[test]
fn what_would_lie_in_the_copy_is_refused() {
    let log = create(MemVfs::new(), &options());
    for (kind, payload) in [(Kind::SEAL, b"seal".to_vec()), (Kind::GENESIS, vec![1]), (Kind::BREAK, break_of(ID))] {
        let error = log.append_copy(&record_of(kind, &payload)).unwrap_err();
        assert!(matches!(error, LogError::EngineKind { kind: found } if found == kind.0), "{error:?}");
    }
    let redacted = Content::Redacted { len: 5, digest: &[1; 32] };
    let error = log.append_copy(&Record { content: redacted, ..record_of(Kind::ROW, b"") }).unwrap_err();
    assert!(matches!(error, LogError::Mismatch { .. }) && error.to_string().contains("position 77"), "{error:?}");
    log.sync().unwrap();
    assert_eq!(log.snapshot().end(), Position(1));
}

/// Break records of earlier repairs are handed on with the rows, so that no receipt is lost.
#[test]
fn break_records_are_handed_on() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    log.append_break(SOURCE, &loss(0..1), "ana").unwrap();
    log.append(&row(b"row"), with(Durability::Durable)).unwrap();
    log.close().unwrap();
    check(&salvaged_with(&disk, None), &[1, 2], &[]);
}
