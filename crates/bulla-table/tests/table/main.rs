//! Tables on a log in memory, through the public API alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests may start threads and look at the clock")]

mod append;
mod inventory;
mod pages;
mod queries;
mod rows;
mod support;
mod tails;
mod tokens;
