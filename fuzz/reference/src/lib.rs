//! A second reader of the format, to hold the first one against.
//!
//! It was written from docs/FORMAT.md, and for the verdict on a tail from docs/DURABILITY.md, without the code of
//! `bulla-wire` and with nothing in common with it. It is meant to be obviously right and may be slow: checksums go bit
//! by bit, everything is copied, and what a rule says of earlier frames is looked up in a list of all of them.
//!
//! # Invariants
//!
//! - P1. It depends on no crate, and on none of those it judges in particular.
//! - P2. It takes any bytes: no panic, and no allocation that the bytes at hand do not justify.
//! - P3. Of what is wrong it tells only what callers act on: newer, unsupported, or wrong. Which rule was broken first is
//!   nobody's promise.

#![forbid(unsafe_code)]

mod bytes;
mod engine;
mod event;
mod frame;
mod index;
mod journal;
mod proof;
mod record;
mod scan;
mod segment_header;
mod texts;

pub use bytes::{Times, crc32, seeded};
pub use engine::{Break, Entry, Genesis, Head, Predecessor, Recovery, Seal};
pub use event::Event;
pub use frame::{Frame, Header, frame};
pub use index::{Footer, Page, PageEntry, page};
pub use journal::{Journal, Row, Table, is_name, row};
pub use proof::{is_consistent, is_included};
pub use record::{Body, Record, records};
pub use scan::{Scan, Verdict, scan};
pub use segment_header::SegmentHeader;
pub use texts::{Checkpoint, Note, Proof, Shown, Signature, checkpoint, consistency, inclusion, note, request};

/// Why bytes are not the structure they were read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// They are no such structure.
    Wrong,
    /// A later version wrote them.
    Newer,
    /// They need a codec that this reader lacks, which is every codec.
    Unsupported,
}

/// What reading gives.
pub type Read<T> = Result<T, Refused>;

fn refuse<T>() -> Read<T> {
    Err(Refused::Wrong)
}

/// Goes on if `holds`.
fn must(holds: bool) -> Read<()> {
    if holds { Ok(()) } else { refuse() }
}
