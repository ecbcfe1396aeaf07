//! What can be wrong with bytes, without knowing where they were found.

/// Why bytes are not the structure they were read as.
///
/// Whether that is a torn tail or damage depends on where the bytes were found, so the caller decides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum WireError {
    /// Fewer bytes than the structure needs.
    #[error("{what} needs {needed} bytes and {available} are there")]
    Short { what: &'static str, needed: u64, available: u64 },
    /// The bytes do not begin as the structure does.
    #[error("no {what} begins here")]
    Magic { what: &'static str },
    /// A version, flag or kind that a later format defines. Nothing may be concluded from the rest.
    #[error("{what} is of a newer format: {field} is {value}")]
    Newer { what: &'static str, field: &'static str, value: u64 },
    /// The bytes are not those that were written.
    #[error("checksum of {what} is {stored:08x}, computed {computed:08x}")]
    Checksum { what: &'static str, stored: u32, computed: u32 },
    /// A field holds a value the format does not allow.
    #[error("{what} has {field} {value}")]
    Invalid { what: &'static str, field: &'static str, value: u64 },
    /// A frame is compressed with a codec this build lacks; nothing is wrong with it.
    #[error("frame is compressed with {name}, which this build lacks")]
    Unsupported { name: &'static str },
}

impl WireError {
    /// Whether a later version of the format would explain the bytes.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Newer { .. })
    }

    /// Whether the bytes are fine but need a feature that this build lacks.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported { .. })
    }
}
