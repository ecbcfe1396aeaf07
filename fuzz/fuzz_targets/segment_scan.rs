//! Any bytes as what follows the header of a segment file, and once more under checksums that hold, since no mutation
//! finds one. What is allocated is at most a window and the file, which the limit on memory given to the fuzzer watches.
#![no_main]

use std::path::Path;

use bulla_segment::{Active, SegmentFile, Stop, Tail, Verdict};
use bulla_vfs::{Host, MemVfs, OpenMode, OsClock, OsRandom};
use bulla_wire::{
    Epoch, FRAME_ALIGNMENT, FRAME_HEADER_LEN, FRAME_MAGIC, FrameSeed, LogId, Position, SegmentHeader, SegmentNumber,
};
use libfuzzer_sys::fuzz_target;

const HEADER_LEN: usize = FRAME_HEADER_LEN as usize;
/// In place of the checksum of a header, this keeps `mended` away, so that broken frames are among whole ones.
const LEFT_BROKEN: [u8; 4] = [0xff; 4];

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
    let image = [header.encode(), data.to_vec()].concat();
    check(&image);
    check(&mended(image, &header.seed()));
});

/// `bytes` with the checksums that everything which begins as a frame needs, inner frames before those around them.
fn mended(mut bytes: Vec<u8>, seed: &FrameSeed) -> Vec<u8> {
    let places = (0..bytes.len()).step_by(FRAME_ALIGNMENT as usize).rev();
    for offset in places {
        let Some((header, rest)) = bytes[offset..].split_first_chunk_mut::<HEADER_LEN>() else { continue };
        if !header.starts_with(&FRAME_MAGIC) || header[4..8] == LEFT_BROKEN {
            continue;
        }
        let stored_len = u32::from_le_bytes([header[16], header[17], header[18], header[19]]);
        if let Some(body) = rest.get(..stored_len as usize) {
            header[8..12].copy_from_slice(&seed.checksum(offset as u64, body).to_le_bytes());
        }
        let checksum = seed.checksum(offset as u64, &header[8..]);
        header[4..8].copy_from_slice(&checksum.to_le_bytes());
    }
    bytes
}

fn open(bytes: &[u8]) -> SegmentFile {
    let path = Path::new("/00000000000000000000.seg");
    let disk = MemVfs::new();
    disk.write_file(path, bytes).expect("a disk without limits takes every file");
    let host = Host::new(std::sync::Arc::new(disk), std::sync::Arc::new(OsClock), std::sync::Arc::new(OsRandom));
    SegmentFile::open(&host, path, OpenMode::Read).expect("the header is valid")
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
