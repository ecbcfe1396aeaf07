//! Test support for the bulla crates: what several of them need to be tested, and nobody else.
//!
//! - [`Random`]: seeded values, so that a failure names the seed that repeats it.
//! - [`trail`]: audit lines with the difficulties of real ones, and the real ones where there are some.
//! - [`SimDisk`]: a disk that loses, tears, refuses and rots as the seed says, and gives every state a crash may leave.
//! - [`Edited`]: segment files edited with their checksums put right.
//! - [`CountingVfs`]: a file system that counts what is asked of it, file by file.
#![forbid(unsafe_code)]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests build what they index; an index out of place must stop them"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read sample logs from the directory that BULLA_SAMPLES names"
)]

mod counting;
mod edited;
mod random;
mod sim;
pub mod trail;

pub use counting::{CountingVfs, Counts};
pub use edited::{Edited, mend_frame, mend_segment_header};
pub use random::Random;
pub use sim::{
    Call, Change, Crash, CrashPlan, DiskState, Fault, Harm, Image, Operation, Rot, SECTOR, Sectors, SimClock, SimDisk,
};
