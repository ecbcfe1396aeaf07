//! Which key a writing verb signs with.
//!
//! # Invariants
//!
//! - G1. A store that has a key is not opened for writing without it: what was to be signed is not left unsigned, and
//!   nobody learns so only at the end.

use crate::exit::{Exit, Failure};
use crate::output::note;
use bulla::{FileSigner, Options, Reader, Signer};
use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Names a key for the verbs that are given none.
pub(crate) const KEY_VARIABLE: &str = "BULLA_KEY";

/// The key of a verb that makes checkpoints.
#[derive(Args)]
pub(crate) struct Key {
    /// The private key to sign checkpoints with; without it $BULLA_KEY, or else the file that the store was created with
    #[arg(long = "key", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Key {
    /// The key in `file`, as if it had been named.
    pub(crate) fn of(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// How to open the store in `dir`, which must exist, for writing (G1).
    pub(crate) fn options(&self, dir: &Path) -> Result<Options, Failure> {
        let options = Options::new().create(false);
        // What cannot be read is told by who opens it.
        let of_store = Reader::open(dir).and_then(|reader| reader.key()).ok().flatten();
        let variable = std::env::var_os(KEY_VARIABLE).filter(|file| !file.is_empty()).map(PathBuf::from);
        let noted = of_store.as_ref().map(|key| &key.file).filter(|file| !file.is_empty()).map(PathBuf::from);
        match (self.file.clone().or(variable).or(noted), of_store) {
            (Some(file), _) => Ok(options.signer(Box::new(open(&file)?))),
            (None, Some(key)) => {
                let what = format!("the store signs with {}; name its file with --key or ${KEY_VARIABLE}", key.key);
                Err(Failure::new(Exit::Io, what))
            }
            (None, None) => Ok(options),
        }
    }
}

/// The private key in `file`; a file that is not there is exit 5.
pub(crate) fn open(file: &Path) -> Result<FileSigner, Failure> {
    let signer = FileSigner::open(file)?;
    if is_readable_by_others(file) {
        note(&format!("bulla: {} can be read by others, who can sign with it", file.display()));
    }
    Ok(signer)
}

#[cfg(unix)]
fn is_readable_by_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|found| found.permissions().mode() & 0o044 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Path) -> bool {
    false
}

/// Makes the key in `file` that of the store to be created, and the store's name the key's: verification believes a key
/// of no store with another name.
pub(crate) fn first_key(options: Options, file: &Path) -> Result<Options, Failure> {
    let signer = open(file)?;
    let verifier = signer.verifier();
    if !is_store_name(verifier.name()) {
        let what = format!(
            "--key {}: {:?} cannot name a store, which is called as its key is",
            file.display(),
            verifier.name()
        );
        return Err(Failure::new(Exit::Input, what));
    }
    let options = options.name(verifier.name());
    Ok(options.signer(Box::new(signer)).key_file(absolute(file)?))
}

/// A path that leads there from everywhere, as the journal keeps it.
pub(crate) fn absolute(file: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(file).map_err(|error| Failure::io("find", file, &error))?;
    let not_text = |path: OsString| {
        Failure::new(Exit::Usage, format!("--key {}: the store cannot keep a path that is not UTF-8", path.display()))
    };
    path.into_os_string().into_string().map_err(not_text)
}

fn is_store_name(name: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(is_plain) && !name.starts_with('.') && name != "journal"
}
