//! Any bytes as what follows the header of a segment file, and once more under checksums that hold, since no mutation
//! finds one. What is allocated is at most a window and the file, which the limit on memory given to the fuzzer watches.
#![no_main]

use std::path::Path;

use bulla_fuzz::{compare, disk, mend};
use bulla_reference as reference;
use bulla_segment::{Active, SegmentError, SegmentFile, Stop, Tail, Verdict};
use bulla_vfs::{MemVfs, OpenMode};
use bulla_wire::{Epoch, FRAME_HEADER_LEN, LogId, Position, SegmentHeader, SegmentNumber};
use libfuzzer_sys::fuzz_target;

const HEADER_LEN: usize = FRAME_HEADER_LEN as usize;

fuzz_target!(|data: &[u8]| {
    let header = SegmentHeader {
        log: LogId([1; 16]),
        secret: std::array::from_fn(|index| 0x20 + index as u8),
        number: SegmentNumber(1),
        base: Position(0),
        floor: Position(0),
        prune: None,
        epoch: Epoch(1),
        erasable: false,
        root: [0; 32],
        frontier: vec![],
    };
    let mut image = [header.encode(), data.to_vec()].concat();
    check(&image);
    mend::frames(&mut image, &header.seed());
    check(&image);
});

fn open(bytes: &[u8]) -> SegmentFile {
    let path = Path::new("/00000000000000000000.seg");
    let disk = MemVfs::new();
    disk.write_file(path, bytes).expect("a disk without limits takes every file");
    SegmentFile::open(&disk::host(&disk), path, OpenMode::Read).expect("the header is valid")
}

fn check(bytes: &[u8]) {
    let segment = open(bytes);
    if let Ok(Some(summary)) = segment.read_summary() {
        assert!(summary.footer.data_end <= summary.footer.offset && summary.footer.offset < bytes.len() as u64);
        for page in &summary.footer.pages {
            if let Ok(entries) = segment.read_page(page) {
                assert_eq!(entries.len(), page.entry_count as usize);
            }
        }
        let _ = Active::from_close(segment.clone(), &summary);
    }
    let scanned = Tail::scan(&segment);
    assert_eq!(format!("{scanned:?}"), format!("{:?}", Tail::scan(&segment)), "two scans differ");
    let expected = reference::scan(bytes, &compare::segment_header(segment.header()));
    assert_eq!(scanned.as_ref().map(in_other_words).map_err(class), expected, "{scanned:?}");
    let Ok(tail) = scanned else { return };
    let end_offset = tail.extent.end_offset as usize;
    assert!(end_offset <= bytes.len() && tail.end() <= tail.proven_end(tail.end()));
    assert!(
        tail.extent.tally.caller_count <= tail.end().0 && tail.extent.entries().count() <= bytes.len() / HEADER_LEN
    );
    if let Stop::Invalid(invalid) = &tail.stop {
        assert!(invalid.offset >= tail.extent.end_offset && invalid.non_zero_end <= bytes.len() as u64);
    }

    // The extent is a prefix: the frames alone give the same.
    let prefix = Tail::scan(&open(&bytes[..end_offset])).expect("the frames were read before");
    assert_eq!(format!("{:?}", prefix.extent), format!("{:?}", tail.extent));
    assert!(matches!(prefix.stop, Stop::End) && prefix.verdict(prefix.proven_end(Position(0))) == Verdict::Whole);

    // Who scanned a part of the file and goes on sees what one scan of the whole sees.
    let half = open(&bytes[..bytes.len().midpoint(segment.frames_offset() as usize)]);
    let Ok(half) = Tail::scan(&half) else { return };
    let on = Tail::scan_from(&segment, half.extent, half.sequence).expect("the whole was scanned before");
    assert_eq!(
        format!("{:?} {:?} {:?}", on.extent, on.sequence, on.stop),
        format!("{:?} {:?} {:?}", tail.extent, tail.sequence, tail.stop)
    );
}

fn class(error: &SegmentError) -> reference::Refused {
    match error {
        SegmentError::Unsupported { .. } => reference::Refused::Unsupported,
        _ if error.is_newer() => reference::Refused::Newer,
        _ => reference::Refused::Wrong,
    }
}

fn in_other_words(tail: &Tail) -> reference::Scan {
    let tally = tail.extent.tally;
    reference::Scan {
        end: tail.end().0,
        end_offset: tail.extent.end_offset as usize,
        proven_end: tail.proven_end(Position(0)).0,
        epoch: tail.epoch().0,
        verdict: match tail.verdict(Position(0)) {
            Verdict::Whole => reference::Verdict::Whole,
            Verdict::Closed => reference::Verdict::Closed,
            Verdict::Sealed => reference::Verdict::Sealed,
            Verdict::Torn => reference::Verdict::Torn,
            Verdict::Damaged { .. } => reference::Verdict::Damaged,
        },
        caller_count: tally.caller_count,
        payload_bytes: tally.payload_bytes,
        times: compare::times(tally.times),
        entries: tail.extent.entries().map(compare::page_entry).collect(),
    }
}
