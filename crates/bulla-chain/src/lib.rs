//! The history tree of a bulla log: what is hashed, and how the hashes add up to one root.
//!
//! Every record becomes one leaf of an [RFC 6962] tree over the whole log, in two steps. The payload is hashed alone
//! ([`body_digest`], [`salted_body_digest`]); the [`Entry`], 54 bytes that hold every other field of the record and
//! that digest, is hashed into the leaf. So a payload can be erased or withheld later while its leaf, and every proof
//! over it, stays what it was. [`Frontier`] takes leaves one after another and gives the [`TreeHead`], the pair of
//! size and root that commits to everything appended so far.
//!
//! The engine's own records ([`Genesis`], [`Seal`], [`Recovery`], [`Break`]) are payloads like any other, and so under the tree
//! as well; their bytes are defined here because what they commit to is.
//!
//! What others are shown is C2SP's: an [`InclusionProof`] or [`ConsistencyProof`] leads to the head in a [`Checkpoint`],
//! which is the text of a signed [`Note`]; [`Tile`]s are the tree itself. All of them parse from any bytes, within limits.
//!
//! Bytes: docs/FORMAT.md, from "Hashing" to "Engine records".
//!
//! # Prefixes
//!
//! Everything hashed begins with one byte that says what it is, so that nothing hashed in one role can be presented
//! in another. This is the whole table; the values 0x00 to 0x1f belong to the format.
//!
//! | prefix | what follows it | here |
//! | --- | --- | --- |
//! | 0x00 | entry, 54 bytes: a leaf | [`Entry::leaf`] |
//! | 0x01 | left and right child, 64 bytes: an inner node | [`node`] |
//! | 0x10 | payload: the body of a plain record | [`body_digest`] |
//! | 0x11 | salt of 16 bytes, payload: the body of a salted record | [`salted_body_digest`] |
//! | 0x12 | logical column of a segment's index | [`StreamDigest::index_column`] |
//! | 0x13 | bytes that recovery set aside | [`StreamDigest::quarantine`] |
//! | 0x14 | an action that somebody allowed | [`Authority::over`] |
//!
//! The one hash without a prefix is the root of the empty tree, SHA-256 of nothing, because RFC 6962 says so.
//!
//! # Invariants
//!
//! - C1. Pure: no clock, no I/O, no randomness. Equal arguments give equal results on every machine.
//! - C2. Sizes, positions and counts are `u64`, so that a 32-bit build accepts exactly the logs a 64-bit build does.
//! - C3. Hashing and the frontier never allocate; a decoder allocates only what it has already checked.
//!
//! # Not here
//!
//! Frames, files and checksums: a digest is over the bytes of a record, wherever they lie.
//!
//! # Example
//!
//! ```
//! use bulla_chain::{Entry, Frontier, body_digest};
//! use bulla_wire::{Kind, Position, SchemaId, Time};
//!
//! let mut frontier = Frontier::new();
//! for (position, payload) in [(0, "door opened"), (1, "door closed")] {
//!     let entry = Entry {
//!         kind: Kind::ROW,
//!         salted: false,
//!         schema: SchemaId(1),
//!         position: Position(position),
//!         time: Time(1_700_000_000_000_000_000),
//!         body: body_digest(payload.as_bytes()),
//!     };
//!     frontier.push(entry.leaf());
//! }
//! let head = frontier.head();
//! assert_eq!(head.size, 2);
//! assert_eq!(head.to_string().parse(), Ok(head));
//! ```
//!
//! [RFC 6962]: https://www.rfc-editor.org/rfc/rfc6962#section-2.1
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod authority;
#[cfg(feature = "ed25519")]
mod check;
mod checkpoint;
mod digest;
mod engine;
mod entry;
mod error;
mod frontier;
mod note;
mod proof;
mod sha256;
mod signer;
mod tile;
mod tree;

pub use authority::{Authority, AuthorityError};
#[cfg(feature = "ed25519")]
pub use check::{CheckError, Expected, Proven, check_proof};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use digest::{Digest, StreamDigest, body_digest, salted_body_digest};
pub use engine::{Break, Genesis, Predecessor, Recovery, Seal};
pub use entry::Entry;
pub use error::{EngineRecordError, EntryError, FrontierError, ParseDigestError, ParseHeadError};
pub use frontier::Frontier;
pub use note::{
    KeyAlgorithm, KeyError, NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, Note, NoteError, NoteSignature, VerifierKey,
};
#[cfg(feature = "ed25519")]
pub use note::{NoteSigner, Verified};
pub use proof::{
    AddCheckpoint, ConsistencyProof, ConsistencyText, InclusionProof, InclusionText, NodeAddress, PROOF_HASHES_MAX,
    ProofError, ProofTextError, ProveError, ShownCheckpoint,
};
pub use signer::{Refusal, SignError, Signer};
pub use tile::{Tile, TileError, TileReader};
pub use tree::{TreeHead, node};

/// The example of README.md, kept true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
