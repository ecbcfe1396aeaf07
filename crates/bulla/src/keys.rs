//! Who signs a store's checkpoints, as the store holds him.

use crate::error::Error;
use bulla_chain::{Note, Signer, VerifierKey};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A signer that several handles share. It is asked with the store locked, so it must not call the store.
#[derive(Clone)]
pub struct SharedSigner(Arc<Mutex<Box<dyn Signer>>>);

impl SharedSigner {
    /// Shares a signer.
    #[must_use]
    pub fn new(signer: Box<dyn Signer>) -> Self {
        Self(Arc::new(Mutex::new(signer)))
    }

    /// A panic of a signer is the signer's; what it remembers is durable or not.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Box<dyn Signer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SharedSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSigner").finish_non_exhaustive()
    }
}

/// Refuses a signer of another key than the store's.
pub(crate) fn check_same(dir: &Path, found: &VerifierKey, asked: &VerifierKey) -> Result<(), Error> {
    if found == asked {
        return Ok(());
    }
    Err(Error::OtherKey { dir: dir.to_owned(), found: found.to_string(), asked: asked.to_string() })
}

/// Whether `key` signed the note; in a build without `ed25519`, whether the note says so.
pub(crate) fn is_signed_by(note: &Note, key: &VerifierKey) -> bool {
    #[cfg(feature = "ed25519")]
    return note.verify(std::slice::from_ref(key)).is_ok();
    #[cfg(not(feature = "ed25519"))]
    return note.signatures().iter().any(|by| by.name() == key.name() && by.key_id() == key.id());
}
