//! The table of docs/DURABILITY.md, "Recovery of the active segment", as far as one file goes.

use crate::failing::Failing;
use crate::support::{FRAME, Image, damaged};
use bulla_segment::{SegmentError, SegmentFile, Stop, Tail, Verdict};
use bulla_vfs::{Host, MemVfs, OpenMode, OsClock, OsRandom};
use bulla_wire::{FrameHeader, Kind, Position, Role};
use std::path::Path;
use std::sync::Arc;

/// Makes a frame invalid, and what to call it.
type Spoiler = (&'static str, fn(&mut Image, usize));
/// A change to a segment, and what to call it.
type Change<'a> = (&'static str, &'a dyn Fn(&mut Image));

/// s at or above W, only zeros follow.
#[test]
fn a_zero_tail_is_whole() {
    for zeros in [0, 1, 63, 64, 65, 4096, 300_000] {
        let mut image = Image::synced(3);
        let end_offset = image.offset();
        image.bytes.resize(image.bytes.len() + zeros, 0);
        let tail = image.check(9, &Verdict::Whole);
        assert!(matches!(tail.stop, Stop::End), "{zeros} zeros");
        assert_eq!(tail.extent.end_offset, end_offset);
    }
}

/// s at or above W, anything else follows: the last write stopped at any byte, and the rest is missing or zeros.
#[test]
fn a_torn_tail_is_found_at_every_byte_of_the_last_frame() {
    let mut whole = Image::synced(3);
    whole.sync();
    whole.data(&[b"last", b"frame"], false);
    let last = whole.frames[3].clone();
    for cut in last.clone() {
        let mut image = whole.clone();
        image.bytes.truncate(cut);
        let tail = image.check(9, if cut == last.start { &Verdict::Whole } else { &Verdict::Torn });
        assert_eq!(tail.extent.end_offset, last.start as u64);
        image.bytes.resize(last.end + 100, 0);
        if image.bytes[..last.end] == whole.bytes {
            image.check(11, &Verdict::Whole);
        } else {
            let zeros_only = image.bytes[last.start..].iter().all(|byte| *byte == 0);
            let tail = image.check(9, if zeros_only { &Verdict::Whole } else { &Verdict::Torn });
            if let Stop::Invalid(invalid) = &tail.stop {
                let written = &image.bytes[..invalid.non_zero_end as usize];
                assert!(written.last().is_some_and(|byte| *byte != 0), "cut at {cut}");
                assert!(image.bytes[written.len()..].iter().all(|byte| *byte == 0), "cut at {cut}");
            }
        }
    }
}

/// Unsynced writes reach the disk in any order, so a valid frame behind a bad one proves nothing by itself.
#[test]
fn a_valid_frame_behind_a_bad_one_is_damage_only_if_it_says_that_the_bad_one_was_durable() {
    let spoilers: [Spoiler; 4] = [
        ("header", Image::spoil_header),
        ("body", Image::spoil_body),
        ("zeros", |image, index| {
            let range = image.frames[index].clone();
            image.bytes[range].fill(0);
        }),
        ("other bytes", |image, index| {
            let range = image.frames[index].clone();
            image.bytes[range].fill(0xa5);
        }),
    ];
    for (what, spoil) in spoilers {
        let mut image = Image::synced(3);
        for _ in 0..3 {
            image.data(&[b"not", b"synced"], false);
        }
        spoil(&mut image, 3);
        let tail = image.check(9, &Verdict::Torn);
        assert_eq!(tail.proven_end(Position(0)), Position(6), "{what}: what the frames said was durable");

        let mut image = Image::synced(6);
        spoil(&mut image, 3);
        let tail = image.check(9, &damaged(9..15));
        assert_eq!(tail.extent.end_offset, image.frames[3].start as u64, "{what}");
        // A header counts although its body is bad.
        image.spoil_body(5);
        image.check(9, &damaged(9..15));
        // Without the frames that prove it, nothing is known to be missing.
        image.bytes.truncate(image.frames[4].start);
        image.check(9, if what == "zeros" { &Verdict::Whole } else { &Verdict::Torn });
    }
}

/// What is known from elsewhere (later segments, checkpoints, the journal, the caller) is evidence as well.
#[test]
fn outside_evidence_turns_any_tail_into_damage() {
    let mut closed = Image::synced(3);
    closed.end(false);
    let mut sealed = Image::synced(3);
    sealed.end(true);
    let mut torn = Image::synced(3);
    torn.bytes.extend([1; 9]);
    for (image, verdict) in [
        (Image::synced(3), Verdict::Whole),
        (closed, Verdict::Closed),
        (sealed, Verdict::Sealed),
        (torn, Verdict::Torn),
    ] {
        let tail = image.check(9, &verdict);
        assert_eq!(tail.verdict(Position(9)), verdict);
        assert_eq!(tail.verdict(Position(10)), damaged(9..10));
        assert_eq!(tail.verdict(Position(70)), damaged(9..70));
    }
}

/// The newest file has a valid footer or close frame; zeros written ahead may follow, nothing else may.
#[test]
fn a_summary_ends_the_file_but_for_zeros() {
    for (seal, verdict) in [(true, Verdict::Sealed), (false, Verdict::Closed)] {
        for records in [0, 4] {
            let mut image = Image::synced(records);
            image.end(seal);
            let end = 3 * records as u64;
            let tail = image.check(end, &verdict);
            let Stop::Summary(summary) = &tail.stop else { panic!("{:?}", tail.stop) };
            assert_eq!((summary.is_sealed, summary.footer.end), (seal, Position(end)));
            for zeros in [8, 64, 5_000] {
                let mut longer = image.clone();
                longer.bytes.resize(image.bytes.len() + zeros, 0);
                longer.check(end, &verdict);
                // A crash may leave them while the segment is taken up again, so they are cut off.
                *longer.bytes.last_mut().unwrap() = 1;
                let tail = longer.check(end, &Verdict::Torn);
                assert_eq!(tail.proven_end(Position(0)), Position(end));
            }
        }
    }
}

/// An unknown flag or engine kind is of a newer format; a codec this build lacks is unsupported; neither is a tail.
#[test]
fn newer_and_unsupported_frames_are_neither_tail_nor_damage() {
    let body_of = |image: &mut Image, change: fn(&mut [u8])| {
        let range = image.frames[2].clone();
        change(&mut image.bytes[range.start + FRAME..range.end]);
        let len = u32::from_le_bytes(image.bytes[range.start + 16..range.start + 20].try_into().unwrap()) as usize;
        let body = image.seed().checksum(range.start as u64, &image.bytes[range.start + FRAME..][..len]);
        image.mend(2, |header| header[8..12].copy_from_slice(&body.to_le_bytes()));
    };
    let cases: [Change<'_>; 6] = [
        ("flag", &|image| image.mend(2, |header| header[12] = 32)),
        ("two flags", &|image| image.mend(2, |header| header[12] = 3)),
        ("codec 3", &|image| image.mend(2, |header| header[14] = 3)),
        ("record tag", &|image| body_of(image, |body| body[0] |= 0x80)),
        ("lz4", &|image| image.mend(2, |header| (header[14], header[20]) = (1, header[20] + 9))),
        ("zstd", &|image| image.mend(2, |header| (header[14], header[20]) = (2, header[20] + 9))),
    ];
    for (what, change) in cases {
        let mut image = Image::synced(4);
        change(&mut image);
        let error = image.try_scan().unwrap_err();
        assert_eq!(error.offset(), Some(image.frames[2].start as u64), "{what}: {error:?}");
        assert!(error.is_newer() && !error.is_damage(), "{what}: {error:?}");
        let is_unsupported = matches!(error, SegmentError::Unsupported { .. });
        assert_eq!(is_unsupported, ["lz4", "zstd"].contains(&what), "{what}: {error:?}");
    }
    // An engine kind that version 1 does not name. Tag, kind, time 0, no payload.
    let mut image = Image::synced(2);
    let header = FrameHeader { record_count: 1, ..image.plain_header(Role::Data { more: false }) };
    image.raw(&header, &[1, Kind::BREAK.0 + 1, 0, 0]);
    let error = image.try_scan().unwrap_err();
    assert!(error.is_newer(), "{error:?}");
}

/// A frame of a later version behind a bad place was passed over: it decodes as no header of this version. The tail
/// was then called torn and would have been cut, and with it what the later version wrote and proved durable.
#[test]
fn a_newer_frame_behind_a_bad_place_is_no_tail_either() {
    for spoil in [Image::spoil_header, Image::spoil_body] {
        let mut image = Image::synced(4);
        image.mend(3, |header| header[12] = 32);
        spoil(&mut image, 1);
        let error = image.try_scan().unwrap_err();
        assert!(error.is_newer(), "{error:?}");
        assert_eq!(error.offset(), Some(image.frames[3].start as u64));
    }
}

/// A read error is no damage, wherever it strikes.
#[test]
fn a_read_error_is_an_io_error() {
    let mut torn = Image::synced(4);
    torn.spoil_body(1);
    let mut closed = Image::synced(4);
    closed.end(false);
    for image in [Image::synced(4), torn, closed] {
        for fails_at in [0, 100, 128, 200, 300, image.offset() - 1] {
            let disk = MemVfs::new();
            let path = Path::new("/00000000000000000000.seg");
            disk.write_file(path, &image.bytes).unwrap();
            let failing = Arc::new(Failing { disk, fails_at, refuses_creation: false });
            let host = Host::new(failing, Arc::new(OsClock), Arc::new(OsRandom));
            let error = match SegmentFile::open(&host, path, OpenMode::Read) {
                Ok(segment) => {
                    let summary = segment.read_summary();
                    assert!(matches!(summary, Ok(None) | Err(SegmentError::Io { .. })), "{summary:?}");
                    Tail::scan(&segment).unwrap_err()
                }
                Err(error) => error,
            };
            assert!(matches!(error, SegmentError::Io { .. }), "{error:?}");
            assert!(!error.is_damage() && !error.is_newer(), "{error:?}");
        }
    }
}
