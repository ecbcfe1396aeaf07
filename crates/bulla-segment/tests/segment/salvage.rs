//! What is read of a damaged segment: the frames behind a bad place, and exact holes.

use crate::support::{FRAME, Image};
use bulla_segment::{Salvage, Tail};
use bulla_wire::{Epoch, FrameHeader, Position, Role, WireError};
use std::ops::Range;

/// Makes a frame invalid.
type Spoiler = fn(&mut Image, usize);

fn try_salvage(image: &Image, proven: u64) -> Result<Salvage, bulla_segment::SegmentError> {
    let file = image.file();
    Salvage::scan(&file, &Tail::scan(&file)?, Position(proven))
}

/// Salvages, and holds G2: below the end each position is in the index, and what is missing there is in a hole.
#[track_caller]
fn salvage(image: &Image, proven: u64) -> Salvage {
    let salvage = try_salvage(image, proven).unwrap();
    let entries: Vec<_> = salvage.extent.entries().map(|entry| entry.first).collect();
    assert!(entries.is_sorted_by(|one, next| one < next), "{entries:?}");
    for hole in salvage.holes.iter().filter(|hole| !hole.positions.is_empty()) {
        assert!(entries.contains(&hole.positions.start), "{hole:?} in {entries:?}");
    }
    salvage
}

/// Where the holes are, in positions and in the file.
fn holes(salvage: &Salvage) -> Vec<(Range<u64>, Range<u64>)> {
    let hole = |hole: &bulla_segment::Hole| (hole.positions.start.0..hole.positions.end.0, hole.offsets.clone());
    salvage.holes.iter().map(hole).collect()
}

fn field(error: &WireError) -> &'static str {
    let WireError::Invalid { field, .. } = error else { panic!("{error:?}") };
    field
}

fn start(image: &Image, index: usize) -> u64 {
    image.frames[index].start as u64
}

const SPOILERS: [Spoiler; 3] = [Image::spoil_header, Image::spoil_body, |image, index| {
    let range = image.frames[index].clone();
    image.bytes[range].fill(0);
}];

/// G1 and G2: frames of three records, the second and the fourth bad. What is proven durable behind them is there, in
/// islands, and what lies between in holes that begin and end where the frames do.
#[test]
fn a_bad_frame_is_a_hole_between_the_frames_that_hold() {
    for spoil in SPOILERS {
        let mut image = Image::synced(7);
        spoil(&mut image, 1);
        spoil(&mut image, 3);
        let found = salvage(&image, 21);
        let (first, second) = (start(&image, 1)..start(&image, 2), start(&image, 3)..start(&image, 4));
        assert_eq!(holes(&found), [(3..6, first.clone()), (9..12, second.clone())]);
        assert_eq!([found.holes[0].bad.0, found.holes[1].bad.0], [first.start, second.start]);
        assert_eq!((found.extent.end, found.extent.end_offset), (Position(21), image.offset()));
        assert_eq!(found.extent.tally.caller_count, 5 * 3);
        // The tail ends before the first bad place, and the rest is read from there.
        assert_eq!(found.bytes_read, image.offset() - first.start);
    }
}

/// G1: without a bad place there is nothing to add to the tail.
#[test]
fn a_whole_segment_has_no_holes() {
    for zeros in [0, 64, 5_000] {
        let mut image = Image::synced(3);
        image.bytes.resize(image.bytes.len() + zeros, 0);
        let found = salvage(&image, 0);
        assert_eq!(format!("{:?}", found.extent), format!("{:?}", image.extent));
        assert_eq!(holes(&found), []);
    }
}

/// G4: frame 4 begins at position 12, behind a bad place. It counts from the proof on that its first record was durable,
/// and what follows it without a bad place between counts with it, proven or not.
#[test]
fn what_is_not_proven_counts_only_right_behind_what_counts() {
    let mut image = Image::synced(6);
    image.spoil_body(3);
    for (proven, end) in [(0, 9), (9, 9), (12, 9), (13, 18), (15, 18), (18, 18)] {
        let found = salvage(&image, proven);
        assert_eq!(found.extent.end, Position(end), "{proven} proven");
        let expected = [(9..12, start(&image, 3)..start(&image, 4))];
        assert_eq!(holes(&found), if end == 9 { &[][..] } else { &expected }, "{proven} proven");
    }
    // Bytes that hold no frame are a bad place as well, although no position is missing there.
    let mut image = Image::synced(2);
    image.bytes.extend([0xa5; 64]);
    let at = image.offset() - 64;
    image.extent.end_offset = image.offset();
    image.data(&[b"behind"], false);
    assert_eq!(salvage(&image, 6).extent.end, Position(6));
    let found = salvage(&image, 7);
    assert_eq!((found.extent.end, holes(&found)), (Position(7), vec![(6..6, at..at + 64)]));
}

/// A mark that a lost writer left between two frames holds no record: a hole in the file, and none in the positions.
#[test]
fn a_mark_between_frames_is_a_hole_without_positions() {
    let mut image = Image::synced(2);
    image.sync();
    image.mark();
    image.data(&[b"behind"], false);
    let found = salvage(&image, 0);
    assert_eq!((found.extent.end, found.extent.end_offset), (Position(7), image.offset()));
    assert_eq!(holes(&found), [(6..6, start(&image, 2)..start(&image, 3))]);
    assert_eq!(found.holes[0].bad.0, start(&image, 2));
}

/// Frames that are gone without a trace leave a hole without bytes.
#[test]
fn positions_without_bytes_are_a_hole() {
    let mut image = Image::synced(2);
    let at = image.offset();
    image.extent.end = Position(9);
    image.data(&[b"behind"], false);
    assert_eq!(salvage(&image, 9).extent.end, Position(6));
    let found = salvage(&image, 10);
    assert_eq!((found.extent.end, holes(&found)), (Position(10), vec![(6..9, at..at)]));
    assert_eq!((found.holes[0].bad.0, field(&found.holes[0].bad.1)), (at, "no frame for position"));
}

/// G3, behind a bad place as within the tail: equal epochs and durable ends may follow, higher ones may, lower ones not.
#[test]
fn epochs_and_durable_ends_rise_across_a_bad_place() {
    // Of the frame before the bad place and of the one behind it: epoch and durable end.
    for (before, behind, holds) in [
        ((5, 3), (5, 3), true),
        ((5, 3), (6, 3), true),
        ((5, 3), (5, 6), true),
        ((5, 3), (4, 6), false),
        ((5, 3), (6, 2), false),
    ] {
        let mut image = Image::synced(1);
        (image.epoch, image.durable) = (Epoch(before.0), Position(before.1));
        image.data(&[b"one", b"two", b"three"], false);
        image.data(&[b"bad"], false);
        image.spoil_header(2);
        (image.epoch, image.durable) = (Epoch(behind.0), Position(behind.1));
        image.data(&[b"behind"], false);
        // What was taken behind the bad place binds what follows there.
        image.data(&[b"next"], false);
        (image.epoch, image.durable) = (Epoch(behind.0 - 1), Position(behind.1));
        image.data(&[b"fallen"], false);
        let found = salvage(&image, 20);
        let expected = if holds { Position(9) } else { Position(6) };
        assert_eq!(found.extent.end, expected, "{before:?} before {behind:?}");
    }
}

/// A life that went on from position `base` in epoch 2, behind a first life in epoch 1 with frames of three records, of
/// which those in `spoiled` are bad.
fn two_lives(spoiled: &[usize], epoch: u32, base: u64) -> Image {
    let mut image = Image::synced(5);
    for index in spoiled {
        image.spoil_body(*index);
    }
    image.extent.end = Position(base);
    image.epoch = Epoch(epoch);
    image.sync();
    image.data(&[b"later"], false);
    image
}

/// G3: what the later life wrote anew is believed, and of the earlier one nothing from there on; the hole begins where
/// the earlier one became bad.
#[test]
fn a_later_life_takes_the_place_of_an_earlier_one() {
    // In epoch 2 from position 9: the island of the first life from 6 to 15 had been cut off.
    let image = two_lives(&[1], 2, 9);
    let found = salvage(&image, 30);
    assert_eq!(holes(&found), [(3..9, start(&image, 1)..start(&image, 5))]);
    assert_eq!((found.extent.end, found.extent.tally.caller_count), (Position(10), 3 + 1));
    assert_eq!(found.holes[0].bad.0, start(&image, 1));

    // Two islands of the first life, 6..9 and 12..15. From 14 only the second had been cut off, from 7 both.
    for (base, expected) in [(14, vec![(3..6, 1, 2), (9..14, 3, 5)]), (7, vec![(3..7, 1, 5)])] {
        let image = two_lives(&[1, 3], 2, base);
        let found = salvage(&image, 30);
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(positions, from, to)| (positions, start(&image, from)..start(&image, to)))
            .collect();
        assert_eq!(holes(&found), expected, "from {base}");
        assert_eq!(found.extent.end, Position(base + 1));
    }

    // From 15, right where the first life ended, nothing contradicts.
    let image = two_lives(&[1], 2, 15);
    let found = salvage(&image, 30);
    assert_eq!(holes(&found), [(3..6, start(&image, 1)..start(&image, 2))]);
    assert_eq!(found.extent.end, Position(16));

    // Within one life a position does not come twice: the second frame is nonsense.
    let image = two_lives(&[1], 1, 9);
    let found = salvage(&image, 30);
    assert_eq!(holes(&found), [(3..6, start(&image, 1)..start(&image, 2))]);
    assert_eq!(found.extent.end, Position(15));

    // What the tail holds no later life takes back.
    let image = two_lives(&[4], 2, 9);
    let found = salvage(&image, 30);
    assert_eq!((found.extent.end, holes(&found)), (Position(12), vec![]));
}

/// G3: with the island of the earlier life goes the order it set. The first life had come to durable end 12 on its
/// island; the later one goes on from 6 and proves less.
#[test]
fn the_order_of_an_island_goes_with_it() {
    let mut image = two_lives(&[1], 2, 6);
    let found = salvage(&image, 30);
    assert_eq!((found.extent.end, holes(&found)[0].0.clone()), (Position(7), 3..6));
    image.sync();
    image.data(&[b"more"], false);
    assert_eq!(salvage(&image, 30).extent.end, Position(8));
}

/// Records that are none make their frame a bad place, and those behind it are found.
#[test]
fn a_frame_with_nonsense_under_sound_checksums_is_a_hole() {
    let mut image = Image::synced(2);
    let header = FrameHeader { record_count: 2, ..image.plain_header(Role::Data { more: false }) };
    image.raw(&header, &[0; 1]);
    image.extent.end = Position(8);
    image.extent.end_offset = image.offset();
    image.data(&[b"behind"], false);
    let found = salvage(&image, 9);
    assert_eq!((found.extent.end, holes(&found)), (Position(9), vec![(6..8, start(&image, 2)..start(&image, 3))]));
    assert_eq!(found.holes[0].bad.0, start(&image, 2));
}

/// What another build or a later version can read is never a hole: whoever gave the rest would lose it in silence.
#[test]
fn what_another_version_can_read_is_no_hole() {
    // A codec, behind a bad place.
    let mut image = Image::synced(5);
    image.spoil_header(1);
    image.mend(3, |header| (header[14], header[20]) = (1, header[20] + 9));
    let error = try_salvage(&image, 15).unwrap_err();
    assert!(matches!(error, bulla_segment::SegmentError::Unsupported { .. }), "{error:?}");
    assert_eq!(error.offset(), Some(start(&image, 3)));

    // A record tag, behind a bad place.
    let mut image = Image::synced(5);
    image.spoil_header(1);
    let range = image.frames[3].clone();
    image.bytes[range.start + FRAME] |= 0x80;
    let len = u32::from_le_bytes(image.bytes[range.start + 16..][..4].try_into().unwrap()) as usize;
    let checksum = image.seed().checksum(range.start as u64, &image.bytes[range.start + FRAME..][..len]);
    image.mend(3, |header| header[8..12].copy_from_slice(&checksum.to_le_bytes()));
    let error = try_salvage(&image, 15).unwrap_err();
    assert!(matches!(error, bulla_segment::SegmentError::Newer { .. }), "{error:?}");
    assert_eq!(error.offset(), Some(start(&image, 3)));

    // A flag of the frame, which a later version appended since the tail was scanned.
    let mut image = Image::synced(2);
    let tail = image.scan();
    image.data(&[b"later"], false);
    image.data(&[b"more"], false);
    image.mend(2, |header| header[12] = 32);
    let error = Salvage::scan(&image.file(), &tail, Position(6)).unwrap_err();
    assert!(matches!(error, bulla_segment::SegmentError::Newer { .. }), "{error:?}");
    assert_eq!(error.offset(), Some(start(&image, 2)));
}
