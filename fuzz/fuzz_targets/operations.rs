//! Operations of a log or a store against the model that `cargo xtask torture --only play` plays against: appends,
//! rotations and openings on a disk that loses, tears and refuses, with everything acknowledged found in the end.
//!
//! Input: a byte that chooses between a log and a store, then two bytes for each of at most 64 operations.
#![no_main]

use bulla_torture::model::{from_bytes, play};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (place, ops) = from_bytes(data);
    if let Err(what) = play(place, &ops, 1) {
        panic!("{place:?} {ops:?}: {what}");
    }
});
