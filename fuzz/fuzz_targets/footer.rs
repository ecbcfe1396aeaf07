//! Any bytes as the body of a footer or close frame.
#![no_main]

use bulla_fuzz::compare;
use bulla_wire::Footer;
use bulla_wire::limits::FOOTER_BODY_MAX;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let named = data.last_chunk().and_then(Footer::trailer_offset);
    assert_eq!(named.is_some(), data.len() >= 16 && data.ends_with(b"bullaend"));
    for offset in [named.unwrap_or(4544), 4544] {
        let decoded = Footer::decode(data, offset);
        let expected = bulla_reference::Footer::read(data, offset);
        assert_eq!(compare::read(&decoded, compare::footer), expected, "{decoded:?}");
        let Ok(footer) = decoded else { continue };
        assert_eq!(footer.offset, offset);
        assert!(footer.pages.len() * 40 <= FOOTER_BODY_MAX as usize);
        assert_eq!(footer.encode(), data, "another encoding of the same footer");
    }
});
