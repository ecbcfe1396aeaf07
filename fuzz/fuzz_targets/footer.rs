//! Any bytes as the body of a footer or close frame.
#![no_main]

use bulla_wire::Footer;
use bulla_wire::limits::{FOOTER_BODY_MAX, FRONTIER_HASHES_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(offset) = data.last_chunk().and_then(Footer::trailer_offset) else { return };
    let Ok(footer) = Footer::decode(data, offset) else { return };
    assert!(footer.base <= footer.end && footer.offset == offset);
    assert!(footer.pages.len() * 40 <= FOOTER_BODY_MAX as usize);
    assert!(footer.frontier.len() <= FRONTIER_HASHES_MAX as usize);
    assert_eq!(footer.encode(), data, "another encoding of the same footer");
});
