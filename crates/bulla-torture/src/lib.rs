//! The part of the torture program that others drive too: scripts of steps on a log or a store, and the oracle that
//! says what must be there afterwards.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a harness that meets what it did not foresee must stop"
)]
#![allow(clippy::cast_possible_truncation, reason = "what is built here is small")]

pub mod examine;
pub mod model;
pub mod oracle;
pub mod script;
