//! Any bytes as a page of a segment's index.
#![no_main]

use bulla_fuzz::compare;
use bulla_wire::{PageRef, decode_page, encode_page};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let decoded = decode_page(data);
    let expected = bulla_reference::page(data);
    let found = compare::read(&decoded, |entries| entries.iter().map(compare::page_entry).collect::<Vec<_>>());
    assert_eq!(found, expected, "{decoded:?}");
    let (Ok(entries), Ok(expected)) = (decoded, expected) else { return };
    let page = PageRef::of(&entries, 0).expect("a page has entries");
    let page = bulla_reference::Page {
        first: page.first.0,
        times: compare::times(page.times),
        offset: page.offset,
        entry_count: page.entry_count,
    };
    assert!(page.is_of(&expected), "the reference to a page is not the page's");
    let mut again = Vec::new();
    encode_page(&entries, &mut again);
    assert_eq!(again, data, "another encoding of the same page");
});
