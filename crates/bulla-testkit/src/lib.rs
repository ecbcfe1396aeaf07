//! Test support for the bulla crates: what several of them need to be tested, and nobody else.
//!
//! - [`Random`]: seeded values, so that a failure names the seed that repeats it.
//! - [`trail`]: audit lines with the difficulties of real ones, and the real ones where there are some.
//! - [`CountingVfs`]: a file system that counts what is asked of it, file by file.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read sample logs from the directory that BULLA_SAMPLES names"
)]

mod counting;
mod random;
pub mod trail;

pub use counting::{CountingVfs, Counts};
pub use random::Random;
