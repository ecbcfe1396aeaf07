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

#[cfg(test)]
mod tests {
    use super::*;

    /// Newer and unsupported are told from everything else, and the text names what was read and what was found.
    #[test]
    fn an_error_is_newer_unsupported_or_neither_and_says_what_it_found() {
        let what = "footer";
        for (error, is_newer, is_unsupported, text) in [
            (WireError::Short { what, needed: 8, available: 3 }, false, false, "footer needs 8 bytes and 3 are there"),
            (WireError::Magic { what }, false, false, "no footer begins here"),
            (
                WireError::Newer { what, field: "flags", value: 32 },
                true,
                false,
                "footer is of a newer format: flags is 32",
            ),
            (
                WireError::Checksum { what, stored: 0xab, computed: 1 },
                false,
                false,
                "checksum of footer is 000000ab, computed 00000001",
            ),
            (WireError::Invalid { what, field: "page count", value: 7 }, false, false, "footer has page count 7"),
            (
                WireError::Unsupported { name: "lz4" },
                false,
                true,
                "frame is compressed with lz4, which this build lacks",
            ),
        ] {
            assert_eq!((error.is_newer(), error.is_unsupported()), (is_newer, is_unsupported), "{error:?}");
            assert_eq!(error.to_string(), text);
        }
    }
}
