//! Any bytes as an entry or as the payload of an engine record: what decodes has one encoding.
#![no_main]

use bulla_chain::{Entry, Genesis, Recovery, Seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(genesis) = Genesis::decode(data) {
        assert_eq!(genesis.encode(), data);
    }
    if let Ok(seal) = Seal::decode(data) {
        assert_eq!(seal.encode(), data);
    }
    if let Ok(recovery) = Recovery::decode(data) {
        assert_eq!(recovery.encode(), data);
    }
    if let Some(bytes) = data.first_chunk::<{ Entry::LEN }>()
        && let Ok(entry) = Entry::decode(bytes)
    {
        assert_eq!(&entry.encode(), bytes);
    }
});
