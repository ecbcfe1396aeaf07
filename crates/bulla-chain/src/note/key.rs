//! The public keys of notes, and their text.

use super::{from_base64, is_key_name, to_base64};
use crate::sha256;
use std::fmt;
use std::str::FromStr;

/// What a key's signatures are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// Ed25519 (RFC 8032) over the text: type 0x01 of `signed-note`.
    Ed25519,
    /// A witness's Ed25519 signature over a time and a checkpoint: type 0x04, `tlog-cosignature`.
    CosignatureV1,
}

/// A key that notes are checked with: a name, an algorithm and 32 bytes. Shown, and parsed, as C2SP's "vkey".
///
/// # Examples
///
/// ```
/// use bulla_chain::{KeyAlgorithm, VerifierKey};
/// // The example key of Go's `note` package.
/// let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// let key: VerifierKey = text.parse()?;
/// assert_eq!((key.name(), key.algorithm()), ("PeterNeumann", KeyAlgorithm::Ed25519));
/// assert_eq!(key.to_string(), text);
/// # Ok::<(), bulla_chain::KeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    algorithm: KeyAlgorithm,
    public: [u8; 32],
}

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not written as a key is.
    #[error("a key is written as name, plus sign, id in hex, plus sign, key in base64")]
    Form,
    /// A name that no key may have.
    #[error("the name of a key is not empty and has no spaces, plus signs or control characters")]
    Name,
    /// An algorithm this build does not have.
    #[error("a key of a kind that this build cannot check")]
    Algorithm,
    /// An id that is not that of this key.
    #[error("the id of this key is another one")]
    Id,
}

impl KeyAlgorithm {
    fn code(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::CosignatureV1 => 4,
        }
    }
}

impl VerifierKey {
    /// A key from its parts; whether the bytes can be a key is seen when a signature is checked.
    pub fn new(name: &str, algorithm: KeyAlgorithm, public: [u8; 32]) -> Result<Self, KeyError> {
        if is_key_name(name) { Ok(Self::of(name.to_owned(), algorithm, public)) } else { Err(KeyError::Name) }
    }

    pub(super) fn of(name: String, algorithm: KeyAlgorithm, public: [u8; 32]) -> Self {
        Self { name, algorithm, public }
    }

    /// Who signs with it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its signatures are made of.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The public key as RFC 8032 encodes it.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// What its signatures are found by: the first bytes of SHA-256(name || newline || type || key).
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let digest = sha256::digest_parts(&[self.name.as_bytes(), b"\n", &[self.algorithm.code()], &self.public]);
        let [first, second, third, fourth, ..] = digest;
        [first, second, third, fourth]
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = [&[self.algorithm.code()][..], &self.public].concat();
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id()), to_base64(&typed))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::Form)?;
        // What follows is base64, in which a plus sign is a digit.
        let (id, base64) = rest.split_once('+').ok_or(KeyError::Form)?;
        let typed = from_base64(base64).ok_or(KeyError::Form)?;
        let (code, public) = typed.split_first().ok_or(KeyError::Form)?;
        let algorithm = match code {
            1 => KeyAlgorithm::Ed25519,
            4 => KeyAlgorithm::CosignatureV1,
            _ => return Err(KeyError::Algorithm),
        };
        let key = Self::new(name, algorithm, public.try_into().map_err(|_| KeyError::Form)?)?;
        // Only the text that it is shown with has the id, in lower-case digits.
        if format!("{:08x}", u32::from_be_bytes(key.id())) == id { Ok(key) } else { Err(KeyError::Id) }
    }
}
