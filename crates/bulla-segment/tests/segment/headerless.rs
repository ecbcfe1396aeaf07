//! A segment whose header is unreadable, read with the help of its neighbour's.

use crate::support::{Image, disk, header, path};
use bulla_segment::{SegmentError, SegmentFile, Sequence, Tail};
use bulla_wire::{Epoch, Position, SegmentHeader, SegmentNumber};

/// A header of the same log: the segment before or behind.
fn neighbour(floor: u64) -> SegmentHeader {
    SegmentHeader {
        number: SegmentNumber(3),
        floor: Position(floor),
        epoch: Epoch(9),
        root: [4; 32],
        erasable: true,
        ..header(7)
    }
}

fn open(image: &Image, floor: u64) -> Result<Option<SegmentFile>, SegmentError> {
    let (disk, host) = disk();
    let path = path(image.header.base.0);
    disk.write_file(&path, &image.bytes).unwrap();
    SegmentFile::open_without_header(&host, &path, &neighbour(floor), image.header.number)
}

/// A segment from position 5 with two frames and a bit of its header flipped.
fn damaged() -> Image {
    let mut image = Image::new(5);
    image.data(&[b"one", b"two"], false);
    image.data(&[b"three"], false);
    image.bytes[40] ^= 1;
    image
}

/// Number and base are known from elsewhere and the log's own fields from the neighbour; nothing is said of the tree,
/// the floor does not exceed the base, and no epoch is refused. The frames bear it out and are read.
#[test]
fn the_frames_are_read_and_the_header_says_only_what_is_known() {
    for (floor, expected) in [(2, 2), (5, 5), (6, 5)] {
        let image = damaged();
        let segment = open(&image, floor).unwrap().unwrap();
        let made_up = SegmentHeader {
            number: image.header.number,
            base: Position(5),
            floor: Position(expected),
            epoch: Epoch(0),
            root: [0; 32],
            frontier: vec![],
            ..neighbour(floor)
        };
        assert_eq!(segment.header(), &made_up);
        let error = segment.header_error().unwrap();
        assert!(error.is_damage(), "{error:?}");
        assert_eq!((error.offset(), error.path()), (Some(0), path(5).as_path()));
        let tail = Tail::scan(&segment).unwrap();
        assert_eq!((tail.end(), tail.extent.end_offset), (Position(8), image.offset()));
    }
    assert!(Image::synced(1).file().header_error().is_none(), "a header that was read has nothing wrong with it");
}

/// A guess that no frame bears out is none: the file may be anything.
#[test]
fn without_a_frame_there_is_no_segment() {
    let mut image = damaged();
    image.header.number = SegmentNumber(8);
    assert!(open(&image, 0).unwrap().is_none(), "the number is another one");
    let mut image = damaged();
    image.bytes.truncate(image.frames[0].start);
    assert!(open(&image, 0).unwrap().is_none(), "there are no frames");
    image.bytes.extend([7; 5_000]);
    assert!(open(&image, 0).unwrap().is_none(), "there are other bytes");
    let mut image = damaged();
    image.bytes[40] ^= 1;
    assert!(open(&image, 0).unwrap().is_none(), "nothing is wrong with the header");
}

/// Nothing is concluded of what a later version wrote, be it the header or all frames behind a damaged one.
#[test]
fn what_a_later_version_wrote_is_newer() {
    let mut image = damaged();
    image.bytes[8] = 2;
    let error = open(&image, 0).unwrap_err();
    assert!(error.is_newer(), "{error:?}");
    let mut image = damaged();
    image.mend(0, |header| header[12] = 32);
    image.mend(1, |header| header[12] = 32);
    let error = open(&image, 0).unwrap_err();
    assert!(error.is_newer(), "{error:?}");
    assert_eq!(error.offset(), Some(image.frames[0].start as u64));
    // One frame that this version can read is enough.
    image.mend(1, |header| header[12] = 0);
    assert!(open(&image, 0).unwrap().is_some());
}

/// The order that a scan goes on with begins at the epoch that the made-up header has: any frame may be the first.
#[test]
fn any_epoch_may_come_first() {
    let segment = open(&damaged(), 0).unwrap().unwrap();
    assert_eq!(Sequence::new(segment.header()).epoch(), Epoch(0));
}
