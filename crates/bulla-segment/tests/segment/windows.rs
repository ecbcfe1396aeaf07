//! The scanner's window: 256 KiB, and what lies across its borders.

use crate::support::{FRAME, Image, Random, damaged};
use bulla_segment::{FrameScanner, Scanned, Stop, Verdict};
use bulla_wire::{FrameHeader, Position, Role};

const WINDOW: usize = 256 << 10;

/// N1, and a bad place before, at and behind every border, found from frames before and behind it.
#[test]
fn a_bad_place_is_found_on_both_sides_of_a_border() {
    let mut image = Image::new(0);
    let mut random = Random(1);
    while image.bytes.len() < 3 * WINDOW {
        image.sync();
        let payload = random.bytes(900 + 8 * (image.frames.len() % 7));
        image.data(&[&payload], false);
    }
    let count = image.frames.len();
    let tail = image.check(count as u64, &Verdict::Whole);
    assert_eq!(tail.bytes_read, image.offset() - 128, "each byte is read once");
    let border = |range: &std::ops::Range<usize>| (range.end + 1_000) % WINDOW < 3_000 + 128;
    let places: Vec<usize> = (0..count - 1).filter(|index| border(&image.frames[*index])).collect();
    assert!(places.len() >= 6, "{places:?}");
    for index in places {
        for spoil in [Image::spoil_header, Image::spoil_body] {
            let mut bad = image.clone();
            spoil(&mut bad, index);
            let tail = bad.check(index as u64, &damaged(index as u64..count as u64 - 1));
            assert_eq!(tail.extent.end_offset, image.frames[index].start as u64);
        }
    }
}

/// N1: the only frame behind the bad place has its header at every multiple of eight around two borders.
#[test]
fn the_next_header_is_found_wherever_it_lies() {
    let start = 128;
    for around in [WINDOW, 2 * WINDOW - FRAME] {
        for at in (start + around - 160..start + around + 160).step_by(8) {
            let mut image = Image::new(0);
            image.bytes.resize(at, 0x5a);
            let position = Position(77);
            let header = FrameHeader { base: position, durable_end: position, ..image.plain_header(Role::Mark) };
            image.raw(&header, &[]);
            image.check(0, &damaged(0..77));
            let file = image.file();
            let mut scanner = FrameScanner::new(&file, start as u64).unwrap();
            assert!(matches!(scanner.next_frame().unwrap(), Scanned::Invalid { header: None, .. }));
            assert!(scanner.resync(None).unwrap(), "at {at}");
            assert_eq!(scanner.offset(), at as u64);
            assert!(matches!(scanner.next_frame().unwrap(), Scanned::Frame { offset, .. } if offset == at as u64));
            assert!(!scanner.resync(None).unwrap());
            assert!(matches!(scanner.next_frame().unwrap(), Scanned::End));
            // The file ends in the middle of that header.
            image.bytes.truncate(at + FRAME - 1);
            image.check(0, &Verdict::Torn);
        }
    }
}

/// Frames larger than the window, whole, cut and flipped; the window then holds one of them.
#[test]
fn frames_larger_than_the_window_are_read_whole() {
    let mut image = Image::synced(1);
    for len in [600_000, 10, WINDOW - FRAME, WINDOW, 300_000] {
        image.sync();
        image.data(&[&vec![0xc3; len]], false);
    }
    let tail = image.check(8, &Verdict::Whole);
    assert_eq!(tail.bytes_read, image.offset() - 128);
    assert_eq!(tail.extent.tally.payload_bytes, image.extent.tally.payload_bytes);
    for (index, end) in [(1, 3), (3, 5), (4, 6)] {
        let range = image.frames[index].clone();
        for at in [range.start + 40, range.start + FRAME + 9, usize::midpoint(range.start, range.end), range.end - 20] {
            let mut bad = image.clone();
            bad.bytes[at] ^= 4;
            bad.check(end, &damaged(end..7));
        }
        for cut in [range.start + 1, range.start + FRAME, range.start + WINDOW / 2, range.end - 1] {
            let mut cut_short = image.clone();
            cut_short.bytes.truncate(cut);
            let tail = cut_short.check(end, &Verdict::Torn);
            assert!(matches!(tail.stop, Stop::Invalid(invalid) if invalid.offset == range.start as u64));
        }
    }
}

/// A header whose checksum holds and that promises more than the file has reads no more than the file has.
#[test]
fn a_length_beyond_the_file_is_a_torn_frame() {
    let mut image = Image::synced(2);
    image.data(&[b"short"], false);
    image.mend(2, |header| {
        header[16..20].copy_from_slice(&(64_u32 << 20).to_le_bytes());
        header[20..24].copy_from_slice(&(64_u32 << 20).to_le_bytes());
    });
    image.data(&[b"inside"], false);
    let tail = image.check(6, &Verdict::Torn);
    assert!(tail.bytes_read <= image.offset(), "{}", tail.bytes_read);
}

/// A scan from an offset where no frame can begin, near the end of the file, ends as any other.
#[test]
fn a_scan_from_an_offset_off_the_grid_ends() {
    let mut image = Image::new(0);
    image.bytes.extend([7; 5]);
    let file = image.file();
    for offset in 129..=136 {
        let mut scanner = FrameScanner::new(&file, offset).unwrap();
        assert!(!scanner.resync(None).unwrap(), "from {offset}");
        assert!(matches!(scanner.next_frame().unwrap(), Scanned::End), "from {offset}");
        assert_eq!(scanner.offset(), 133, "from {offset}");
    }
}

/// What a cut would destroy is found on both sides of the borders of what is read at a time.
#[test]
fn the_last_byte_that_is_not_zero_is_found_wherever_it_lies() {
    let len = 300_000;
    let image = Image::new(0);
    assert_eq!(image.file().last_non_zero(128).unwrap(), None);
    for border in [128, 128 + (64 << 10), 128 + (128 << 10), len - 1] {
        for at in (border - 2..border + 3).filter(|at| (128..len).contains(at)) {
            let mut image = image.clone();
            image.bytes.resize(len, 0);
            assert_eq!(image.file().last_non_zero(128).unwrap(), None);
            image.bytes[at] = 1;
            assert_eq!(image.file().last_non_zero(128).unwrap(), Some(at as u64 + 1));
            assert_eq!(image.file().last_non_zero(at as u64 + 1).unwrap(), None);
        }
    }
}
