//! Signed notes, as in C2SP's `signed-note`: a text, a blank line, and a line for each signature.
//!
//! The parser is stricter than most: one way to write a note, nothing behind it, limits before anything is allocated.
//! Bytes: docs/FORMAT.md, "Notes and keys".
//!
//! # Invariants
//!
//! - N1. What parses is shown as the bytes that were parsed.
//! - N2. A note is accepted if a key the caller passed signed it, and none of those keys is shown with a signature that is
//!   not its own. Signatures by other keys are ignored, whatever they are.

mod key;
#[cfg(feature = "ed25519")]
mod sign;

use std::fmt;
use std::str::FromStr;

pub use key::{KeyAlgorithm, KeyError, VerifierKey};
#[cfg(feature = "ed25519")]
pub use sign::{NoteSigner, Verified};

/// The longest note, in bytes: what Go's `note` takes. Sixteen signatures of the largest kind C2SP has fit in a quarter.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// The most signatures of one note. C2SP asks readers to take 16.
pub const NOTE_SIGNATURES_MAX: usize = 100;

/// What a signature line begins with: an em dash.
const MARK: &str = "\u{2014} ";

/// A text and its signatures, none of which is believed for being there.
///
/// # Examples
///
/// ```
/// use bulla_chain::Note;
/// let text = "acme/logins\n2\nqWV4fFCbEYRvsSBbJFBNkjYE9EFvlrZ2JsyJrmwxNns=\n\n\u{2014} acme AAAAAAA=\n";
/// let note: Note = text.parse()?;
/// assert_eq!(note.text().lines().next(), Some("acme/logins"));
/// assert_eq!(note.signatures()[0].name(), "acme");
/// assert_eq!(note.to_string(), text);
/// # Ok::<(), bulla_chain::NoteError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One line below a note's text: who signed, as he says, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NoteSignature {
    name: String,
    key_id: [u8; 4],
    signature: Vec<u8>,
}

/// Why bytes are not a note, or a note is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub enum NoteError {
    /// More than a note may have.
    #[error("a note of {bytes} bytes where {NOTE_BYTES_MAX} are allowed")]
    TooLong { bytes: u64 },
    /// Not UTF-8.
    #[error("a note is text, and byte {at} is not")]
    NotText { at: u64 },
    /// A control character other than a newline.
    #[error("a note has no control characters, and byte {at} is one")]
    Control { at: u64 },
    /// No text, or one that does not end with a newline.
    #[error("the text of a note ends with a newline")]
    Text,
    /// Nothing divides text and signatures.
    #[error("a note has a blank line and signatures behind it")]
    Unsigned,
    /// A line below the text that is no signature.
    #[error("signature line {line} of a note is none")]
    Line { line: u64 },
    /// More lines than a note may have.
    #[error("a note has at most {NOTE_SIGNATURES_MAX} signatures")]
    TooMany,
    /// A signature that a key of the caller's did not make, under its name and id.
    #[error("the signature of {name} is not by its key")]
    Forged { name: String },
    /// None of the caller's keys signed.
    #[error("no trusted key has signed this note")]
    Untrusted,
}

impl Note {
    /// A note of this text, which ends with a newline.
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        check_text(&text)?;
        match signatures.len() {
            0 => Err(NoteError::Unsigned),
            more if more > NOTE_SIGNATURES_MAX => Err(NoteError::TooMany),
            _ => Ok(Self { text, signatures }),
        }
    }

    /// Reads a note; equal to parsing it as text, for bytes that may not be text.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes: bytes.len() as u64 });
        }
        let text = str::from_utf8(bytes).map_err(|error| NoteError::NotText { at: error.valid_up_to() as u64 })?;
        // The last blank line, since the text may have some of its own.
        let split = text.rfind("\n\n").ok_or(NoteError::Unsigned)? + 1;
        let (text, rest) = text.split_at(split);
        let lines = rest.strip_prefix('\n').unwrap_or(rest).split_inclusive('\n');
        let mut signatures = Vec::new();
        for (line, signature) in (1..).zip(lines) {
            if signatures.len() == NOTE_SIGNATURES_MAX {
                return Err(NoteError::TooMany);
            }
            let parsed = signature.strip_suffix('\n').and_then(NoteSignature::from_line);
            signatures.push(parsed.ok_or(NoteError::Line { line })?);
        }
        Self::new(text.to_owned(), signatures)
    }

    /// What is signed, with the newline at its end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, as they stand below it: at least one.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature at the end, if it is not there yet.
    pub fn push(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.contains(&signature) {
            return Ok(());
        }
        if self.signatures.len() == NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooMany);
        }
        self.signatures.push(signature);
        Ok(())
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl NoteSignature {
    /// The key's name, as the line says.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id, as the line says.
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    /// The bytes behind the id: at least one.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    fn from_line(line: &str) -> Option<Self> {
        let (name, base64) = line.strip_prefix(MARK)?.split_once(' ')?;
        let bytes = from_base64(base64)?;
        let (key_id, signature) = bytes.split_first_chunk()?;
        let is_whole = is_key_name(name) && !signature.is_empty();
        is_whole.then(|| Self { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
    }
}

/// The line without the newline.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base64 = to_base64(&[&self.key_id[..], &self.signature].concat());
        write!(f, "{MARK}{} {base64}", self.name)
    }
}

/// Whether `line` begins as a signature does, which is what tells signatures from another text.
pub(crate) fn is_signature_line(line: &str) -> bool {
    line.starts_with(MARK)
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if let Some(at) = text.bytes().position(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Control { at: at as u64 });
    }
    if text.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong { bytes: text.len() as u64 });
    }
    if text.ends_with('\n') { Ok(()) } else { Err(NoteError::Text) }
}

/// What can name a key: no spaces, which end the name, no plus, which ends it where keys are written, nothing below 0x20,
/// which no note has.
pub(crate) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c < ' ' || c == '+')
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

/// RFC 4648, section 4, and of each value only the one text that [`to_base64`] gives.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = data_encoding::BASE64.decode(text.as_bytes()).ok()?;
    // The decoder also takes several texts in a row, each with its padding.
    (to_base64(&bytes) == text).then_some(bytes)
}
