//! Any bytes as a segment header, and once more under a checksum that holds.
#![no_main]

use bulla_fuzz::{compare, mend};
use bulla_wire::SegmentHeader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data);
    let mut mended = data.to_vec();
    mend::segment_header(&mut mended);
    check(&mended);
});

fn check(bytes: &[u8]) {
    let decoded = SegmentHeader::decode(bytes);
    let expected = bulla_reference::SegmentHeader::read(bytes);
    assert_eq!(compare::read(&decoded, compare::segment_header), expected, "{decoded:?}");
    let Ok(header) = decoded else { return };
    let len = SegmentHeader::len_at(header.base) as usize;
    assert_eq!(header.encode(), bytes[..len], "another encoding of the same header");
}
