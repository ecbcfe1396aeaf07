//! Any bytes where an anchor finds an answer, a request, what it has taken, or the file that it appends to: nothing counts
//! as taken that was not given for this checkpoint, and what is somebody else's stays.
//!
//! Input: a byte that says which, then the bytes.
#![no_main]

use bulla_fuzz::anchors;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choice, bytes @ ..] = data else { return };
    match choice % 6 {
        0 => _ = anchors::timestamp(bytes),
        1 => _ = anchors::request(bytes),
        2 => _ = anchors::witness(bytes),
        3 => anchors::file(bytes),
        even => anchors::state(bytes, even == 4),
    }
});
