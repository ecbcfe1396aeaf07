//! Any bytes as a segment header, and once more under a checksum that holds, since no mutation finds one.
#![no_main]

use bulla_wire::{Position, SegmentHeader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data);
    let mut sealed = data.to_vec();
    if let Some(base) = sealed.get(56..64) {
        let base = Position(u64::from_le_bytes(base.try_into().expect("eight bytes")));
        let covered = SegmentHeader::len_at(base) as usize - 8;
        if let Some((bytes, rest)) = sealed.split_at_mut_checked(covered)
            && let Some(checksum) = rest.get_mut(..4)
        {
            checksum.copy_from_slice(&crc32fast::hash(bytes).to_le_bytes());
        }
    }
    check(&sealed);
});

fn check(bytes: &[u8]) {
    let Ok(header) = SegmentHeader::decode(bytes) else { return };
    assert!(header.frontier.len() <= 64 && header.floor <= header.base);
    let len = SegmentHeader::len_at(header.base) as usize;
    assert_eq!(header.encode(), bytes[..len], "another encoding of the same header");
}
