//! Any bytes as a frame, and once more under checksums that hold, since no mutation finds one.
#![no_main]

use bulla_wire::limits::FRAME_BODY_MAX;
use bulla_wire::{Codec, FRAME_HEADER_LEN, FrameHeader, FrameSeed, Records, Role, SegmentNumber, find_frame};
use libfuzzer_sys::fuzz_target;

const OFFSET: u64 = 224;
const HEADER_LEN: usize = FRAME_HEADER_LEN as usize;

fuzz_target!(|data: &[u8]| {
    let seed = FrameSeed::new(&std::array::from_fn(|index| 0x20 + index as u8), SegmentNumber(1));
    check(data, &seed);
    check(&sealed(data, &seed), &seed);
});

/// `data` with the checksums that its body, by its own length, and its header need.
fn sealed(data: &[u8], seed: &FrameSeed) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let Some((header, rest)) = bytes.split_first_chunk_mut::<HEADER_LEN>() else { return bytes };
    let stored_len = u32::from_le_bytes([header[16], header[17], header[18], header[19]]);
    if let Some(body) = rest.get(..stored_len as usize) {
        header[8..12].copy_from_slice(&seed.checksum(OFFSET, body).to_le_bytes());
    }
    let checksum = seed.checksum(OFFSET, &header[8..]);
    header[4..8].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn check(bytes: &[u8], seed: &FrameSeed) {
    if let Some((offset, header)) = find_frame(bytes, OFFSET, OFFSET, seed) {
        let place = (offset - OFFSET) as usize;
        assert!(offset.is_multiple_of(8) && place + HEADER_LEN <= bytes.len());
        assert_eq!(FrameHeader::decode(&bytes[place..], seed, offset), Ok(header));
    }
    let Ok(header) = FrameHeader::decode(bytes, seed, OFFSET) else { return };
    assert!(header.stored_len <= FRAME_BODY_MAX && header.plain_len <= FRAME_BODY_MAX);
    assert!(header.durable_end <= header.base && header.base <= header.end());
    let Some(rest) = bytes.get(HEADER_LEN..header.frame_len() as usize) else { return };
    let Ok(stored) = header.check_body(rest, seed, OFFSET) else { return };
    assert_eq!(stored.len(), header.stored_len as usize);
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
