//! What the fuzz targets have in common: mending checksums, logs and stores to edit, and values as the second reader has
//! them.
//!
//! Each target holds what the crates make of any bytes against `bulla-reference`, which reads docs/FORMAT.md on its own:
//! both must take or refuse the same bytes, and read the same from them.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "nothing outside this folder uses it")]

pub mod anchors;
pub mod compare;
pub mod disk;
pub mod edits;
pub mod log;
pub mod mend;
pub mod plain;
pub mod store;
