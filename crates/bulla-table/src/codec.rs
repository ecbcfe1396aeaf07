//! Rows to bytes and back.
//!
//! # Invariants
//!
//! - K1. What a codec encodes it decodes to an equal row.
//! - K2. Decoding takes every byte or refuses: nothing may follow the row.
//! - K3. [`Postcard`] refuses bytes that are longer than the row it read from them needs, so that an overlong integer, a
//!   map with a key twice or a `char` with more behind it does not pass for the row. The price is one pass of encoding that writes
//!   nothing and allocates nothing.
//! - K4. What comes from the log is never believed further than K2 and K3 say: no panic, whatever the bytes.
//!
//! # Not here
//!
//! Which shape of the type the bytes have: that is the schema id beside them (`schema.rs`). Whether they are the bytes
//! that were appended: reading checks checksums, and verification checks the tree, over the bytes as they are stored.

use postcard::ser_flavors::{Flavor, Size};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::sync::Arc;

/// How rows of type `T` become bytes and back.
///
/// Implement it on an empty type to bring a format of your own. Two tables of the same rows under different codecs are
/// different types, so one cannot be handed out as the other.
pub trait Codec<T>: Send + Sync + 'static {
    /// What the codec is called where a table says how it is written. Never change it once tables exist.
    const NAME: &'static str;

    /// Appends the bytes of `row` to `out`, which may hold other rows already.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the row has no such bytes. What was appended to `out` until then is not used.
    fn encode(row: &T, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads a row that takes up the whole of `bytes`.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the bytes are not exactly one row.
    fn decode(bytes: &[u8]) -> Result<T, CodecError>;
}

/// Why bytes and row do not correspond.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum CodecError {
    /// The codec, or the row's own serialisation, refused.
    #[error("the row and its type do not agree")]
    Refused { source: Arc<dyn Error + Send + Sync> },
    /// Bytes follow the row.
    #[error("{bytes} bytes follow the row")]
    Leftover { bytes: usize },
    /// The row needs fewer bytes than it was read from: some integer is overlong, or something was not read.
    #[error("the row takes {found} bytes where {needed} would do")]
    Overlong { found: usize, needed: usize },
    /// An [`Upgrade`](crate::Upgrade) does not know the schema it was asked to upgrade from.
    #[error("the schema is not known")]
    UnknownSchema,
}

impl CodecError {
    /// Wraps the error of a codec or upgrade of your own; a plain text will do.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulla_table::CodecError;
    /// let error = CodecError::refused("an amount cannot be negative");
    /// assert_eq!(std::error::Error::source(&error).map(ToString::to_string).as_deref(), Some("an amount cannot be negative"));
    /// ```
    pub fn refused(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Refused { source: source.into().into() }
    }
}

/// The postcard format: compact binary, for any type of serde's that is not
/// self-describing. Field names are not stored, so a changed type is a new schema (see [`Schema`](crate::Schema)).
///
/// Decoding is strict (K2, K3). A type must therefore serialise as many bytes as it was read from: one that drops
/// something while it deserialises cannot be read back. A row is read by recursion and loops as its type asks for: keep
/// types that contain themselves, and collections of values that take no bytes, out of rows that hostile hands may have
/// written, since a few bytes can ask for any depth or count of them. Fields under `skip_serializing_if`, and representations that
/// ask what comes next (`untagged`, `flatten`), do not work with postcard at all.
#[derive(Clone, Copy, Debug)]
pub enum Postcard {}

impl<T: Serialize + DeserializeOwned> Codec<T> for Postcard {
    const NAME: &'static str = "postcard";

    fn encode(row: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        postcard::serialize_with_flavor(row, Append(out)).map_err(CodecError::refused)
    }

    fn decode(bytes: &[u8]) -> Result<T, CodecError> {
        let row = from_postcard::<T>(bytes)?;
        let needed = postcard::serialize_with_flavor(&row, Size::default()).map_err(CodecError::refused)?;
        if needed == bytes.len() { Ok(row) } else { Err(CodecError::Overlong { found: bytes.len(), needed }) }
    }
}

/// Reads a row that may borrow from `bytes`. Without the check of K3, since such a row need not know how to serialise.
pub(crate) fn from_postcard<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(bytes).map_err(CodecError::refused)? {
        (row, []) => Ok(row),
        (_, rest) => Err(CodecError::Leftover { bytes: rest.len() }),
    }
}

/// Appends to a vector in place, whole slices at a time.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Bytes kept as they were received: lines of JSON, text, anything. Every byte string is a row.
#[derive(Clone, Copy, Debug)]
pub enum Raw {}

impl Codec<Vec<u8>> for Raw {
    const NAME: &'static str = "raw";

    fn encode(row: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(row);
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(bytes.to_vec())
    }
}
