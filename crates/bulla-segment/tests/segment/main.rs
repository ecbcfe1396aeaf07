//! One segment file from outside: what a crash, a failing disk, damage or a later version leaves, and what is made of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod ending;
mod evidence;
mod failing;
mod headerless;
mod headers;
mod order;
mod recovery;
mod salvage;
mod summary;
mod support;
mod windows;
