//! Ed25519: making signatures of notes, and checking them strictly.
//!
//! # Invariants
//!
//! - S1. A signature is checked as RFC 8032 says and stricter: no second encoding of a key or signature, no key of small
//!   order. So one signed note cannot be turned into another by who lacks the key.
//! - S2. A private key is never shown by `Debug`, and is wiped when it is dropped.

use super::{KeyAlgorithm, KeyError, Note, NoteError, NoteSignature, VerifierKey, from_base64, to_base64};
use ed25519_dalek::{Signature, SignatureError, Signer as _, SigningKey, VerifyingKey};
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// A signature of a note that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which of the keys that were passed made it.
    pub key: usize,
    /// When, if it is a cosignature: seconds since the Unix epoch, as the witness's clock had it.
    pub time: Option<u64>,
}

impl Note {
    /// Checks the signatures that the caller's `keys` made; at least one must be there, and each must be good.
    ///
    /// [`NoteError::Forged`] and [`NoteError::Untrusted`].
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Vec<Verified>, NoteError> {
        let mut verified = Vec::new();
        for signature in &self.signatures {
            let is_by = |key: &VerifierKey| key.name() == signature.name && key.id() == signature.key_id;
            // Two keys with one name and id are two chances; whoever passed both trusts both.
            let mut known = keys.iter().enumerate().filter(|(_, key)| is_by(key)).peekable();
            if known.peek().is_none() {
                continue;
            }
            let made = known.find_map(|(key, public)| {
                let time = check(public, &self.text, &signature.signature).ok()?;
                Some(Verified { key, time })
            });
            verified.push(made.ok_or_else(|| NoteError::Forged { name: signature.name.clone() })?);
        }
        if verified.is_empty() { Err(NoteError::Untrusted) } else { Ok(verified) }
    }
}

/// Whether `key` made `signature` of `text`, and when, if that is part of it.
fn check(key: &VerifierKey, text: &str, signature: &[u8]) -> Result<Option<u64>, SignatureError> {
    let public = VerifyingKey::from_bytes(key.public())?;
    match key.algorithm() {
        KeyAlgorithm::Ed25519 => {
            public.verify_strict(text.as_bytes(), &Signature::from_slice(signature)?)?;
            Ok(None)
        }
        KeyAlgorithm::CosignatureV1 => {
            let (time, signature) = signature.split_first_chunk().ok_or_else(SignatureError::new)?;
            let time = u64::from_be_bytes(*time);
            public.verify_strict(cosigned(text, time).as_bytes(), &Signature::from_slice(signature)?)?;
            // A time is below 2^63.
            if i64::try_from(time).is_ok() { Ok(Some(time)) } else { Err(SignatureError::new()) }
        }
    }
}

/// What a witness signs: C2SP's `tlog-cosignature`, version 1.
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// A private key that signs notes. Parsed from, and shown only on request as, Go's "skey":
/// `PRIVATE+KEY+name+id+base64(type || seed)`.
///
/// It signs whatever text it gets. A log's own key belongs behind something that remembers what it signed.
///
/// # Examples
///
/// ```
/// use bulla_chain::{Note, NoteSigner};
/// // 32 bytes from the system's random source; the same ones would be the same key.
/// let signer = NoteSigner::from_seed("acme", &[7; 32])?;
/// let text = "acme/logins\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n".to_owned();
/// let note = Note::new(text.clone(), vec![signer.sign(&text)])?;
/// assert_eq!(note.verify(&[signer.verifier()])?[0].key, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct NoteSigner {
    name: String,
    key: SigningKey,
}

impl NoteSigner {
    /// The key that this seed, which must be random and secret, stands for.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        if !super::is_key_name(name) {
            return Err(KeyError::Name);
        }
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// The name its signatures carry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What to check [`sign`](Self::sign)'s signatures with.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        self.public(KeyAlgorithm::Ed25519)
    }

    /// What to check [`cosign`](Self::cosign)'s signatures with.
    #[must_use]
    pub fn cosigner(&self) -> VerifierKey {
        self.public(KeyAlgorithm::CosignatureV1)
    }

    /// Signs the text of a note.
    #[must_use]
    pub fn sign(&self, text: &str) -> NoteSignature {
        let signature = self.key.sign(text.as_bytes()).to_bytes().to_vec();
        NoteSignature { name: self.name.clone(), key_id: self.verifier().id(), signature }
    }

    /// Signs a checkpoint as a witness does at `time`, in seconds since the Unix epoch and below 2^63.
    #[must_use]
    pub fn cosign(&self, text: &str, time: u64) -> NoteSignature {
        let signature = self.key.sign(cosigned(text, time).as_bytes()).to_bytes();
        let signature = [&time.to_be_bytes()[..], &signature].concat();
        NoteSignature { name: self.name.clone(), key_id: self.cosigner().id(), signature }
    }

    /// The text of the private key: whoever has it can sign.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let typed = [&[1][..], &self.key.to_bytes()].concat();
        let mut text = format!("PRIVATE+KEY+{}+", self.name);
        write!(text, "{:08x}+{}", u32::from_be_bytes(self.verifier().id()), to_base64(&typed))
            .expect("BUG: a string refused to grow");
        text
    }

    fn public(&self, algorithm: KeyAlgorithm) -> VerifierKey {
        VerifierKey::of(self.name.clone(), algorithm, self.key.verifying_key().to_bytes())
    }
}

impl FromStr for NoteSigner {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let parts: Vec<&str> = text.strip_prefix("PRIVATE+KEY+").ok_or(KeyError::Form)?.splitn(3, '+').collect();
        let [name, id, base64] = parts[..] else { return Err(KeyError::Form) };
        let typed = from_base64(base64).ok_or(KeyError::Form)?;
        let (1, seed) = typed.split_first().map(|(code, seed)| (*code, seed)).ok_or(KeyError::Form)? else {
            return Err(KeyError::Algorithm);
        };
        let signer = Self::from_seed(name, seed.try_into().map_err(|_| KeyError::Form)?)?;
        if format!("{:08x}", u32::from_be_bytes(signer.verifier().id())) == id { Ok(signer) } else { Err(KeyError::Id) }
    }
}

/// S2: the name and nothing else.
impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner").field("name", &self.name).finish_non_exhaustive()
    }
}
