//! Any bytes as a page of a segment's index.
#![no_main]

use bulla_wire::limits::INDEX_PAGE_ENTRIES_MAX;
use bulla_wire::{PageRef, decode_page, encode_page};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(entries) = decode_page(data) else { return };
    assert!(entries.len() <= INDEX_PAGE_ENTRIES_MAX as usize);
    assert!(entries.is_sorted_by(|left, right| left.first < right.first && left.offset <= right.offset));
    assert!(PageRef::of(&entries, 0).is_some());
    let mut again = Vec::new();
    encode_page(&entries, &mut again);
    assert_eq!(again, data, "another encoding of the same page");
});
