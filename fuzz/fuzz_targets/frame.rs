//! Any bytes as a frame, and once more under checksums that hold.
#![no_main]

use bulla_fuzz::{compare, mend};
use bulla_reference::Refused;
use bulla_wire::limits::FRAME_BODY_MAX;
use bulla_wire::{
    Codec, Epoch, FRAME_HEADER_LEN, FrameHeader, FrameSeed, LogId, Position, Records, Role, SegmentHeader,
    SegmentNumber, find_frame,
};
use libfuzzer_sys::fuzz_target;

const OFFSET: u64 = 224;
const HEADER_LEN: usize = FRAME_HEADER_LEN as usize;

fuzz_target!(|data: &[u8]| {
    let segment = segment();
    let seed = segment.seed();
    let segment = compare::segment_header(&segment);
    check(data, &seed, &segment);
    let mut mended = data.to_vec();
    mend::frame(&mut mended, &seed, OFFSET);
    check(&mended, &seed, &segment);
});

/// The segment of the vectors, as far as a frame's checksums depend on it.
fn segment() -> SegmentHeader {
    SegmentHeader {
        log: LogId([0; 16]),
        secret: std::array::from_fn(|index| 0x20 + index as u8),
        number: SegmentNumber(1),
        base: Position(0),
        floor: Position(0),
        prune: None,
        epoch: Epoch(0),
        erasable: false,
        root: [0; 32],
        frontier: Vec::new(),
    }
}

fn check(bytes: &[u8], seed: &FrameSeed, segment: &bulla_reference::SegmentHeader) {
    if let Some((offset, header)) = find_frame(bytes, OFFSET, OFFSET, seed) {
        let place = (offset - OFFSET) as usize;
        assert!(offset.is_multiple_of(8) && place + HEADER_LEN <= bytes.len());
        assert_eq!(FrameHeader::decode(&bytes[place..], seed, offset), Ok(header));
    }
    let file = [&[0; OFFSET as usize], bytes].concat();
    let decoded = FrameHeader::decode(bytes, seed, OFFSET);
    let expected = bulla_reference::Header::read(&file, OFFSET as usize, segment);
    assert_eq!(compare::read(&decoded, compare::frame_header), expected, "{decoded:?}");
    let Ok(header) = decoded else { return };
    assert!(header.stored_len <= FRAME_BODY_MAX && header.plain_len <= FRAME_BODY_MAX);

    let expected = bulla_reference::frame(&file, OFFSET as usize, segment);
    let Some(rest) = bytes.get(HEADER_LEN..header.frame_len() as usize) else {
        assert_eq!(expected, Err(Refused::Wrong), "a frame beyond the end of the bytes");
        return;
    };
    let stored = header.check_body(rest, seed, OFFSET);
    assert_eq!(compare::read(&stored, |body| body.to_vec()), expected.map(|frame| frame.body), "{stored:?}");
    let Ok(stored) = stored else { return };
    let Ok(body) = header.plain_body(stored) else {
        assert_ne!(header.codec, Codec::None);
        return;
    };
    let mut again = Vec::new();
    header.encode(body, seed, OFFSET, &mut again);
    assert_eq!(again, bytes[..HEADER_LEN + rest.len()], "another encoding of the same frame");
    if matches!(header.role, Role::Data { .. }) {
        assert!(Records::new(&header, body).count() <= header.record_count as usize + 1);
    }
}
