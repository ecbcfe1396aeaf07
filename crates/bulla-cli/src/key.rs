//! `bulla key`: the keys that checkpoints are signed with.
//!
//! # Invariants
//!
//! - K1. A file that is there is never overwritten: a lost private key cannot be made again.
//! - K2. A private key is readable by its owner alone from the moment its file exists, and durable when the verb ends.

use crate::exit::{Exit, Failure};
use crate::output::line;
use crate::{operands, signing};
use bulla::chain::NoteSigner;
use bulla::{Host, Signer};
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Make keys to sign checkpoints with
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    New(New),
    Rotate(Rotate),
}

/// Make an Ed25519 key: FILE, which is secret, and FILE.pub, which others check signatures with
#[derive(Args)]
struct New {
    /// Where the private key goes; it must not be there yet
    file: PathBuf,

    /// The store that the key signs for: what its signatures are found by
    #[arg(long, value_name = "STORE")]
    name: String,
}

/// Sign a store's checkpoints with another key from now on; the key so far must be there, and allows it. A store that has
/// no key gets its first one
#[derive(Args)]
#[command(override_usage = "bulla key rotate STORE --key NEW [--old OLD]")]
struct Rotate {
    /// The store; may be left out if $BULLA_STORE is set
    #[arg(value_name = "STORE", num_args = 0..=1)]
    operands: Vec<OsString>,

    /// The new private key
    #[arg(long, value_name = "NEW")]
    key: PathBuf,

    /// The private key so far; without it $BULLA_KEY, or else the file that the store was told of
    #[arg(long, value_name = "OLD")]
    old: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.verb {
        Verb::New(new) => make(new),
        Verb::Rotate(rotate) => self::rotate(rotate),
    }
}

/// The change is on the disk when the new key is printed.
fn rotate(Rotate { operands, key, old }: &Rotate) -> Result<Exit, Failure> {
    let (dir, []) = operands::exactly(operands, [])?;
    let (new, file) = (signing::open(key)?, signing::absolute(key)?);
    let verifier = new.verifier().to_string();
    let store = signing::Key::of(old.clone()).options(&dir)?.open(&dir)?;
    let set = store.set_key(Box::new(new), &file);
    let closed = store.close();
    set?;
    line(&verifier)?;
    closed?;
    Ok(Exit::Done)
}

fn make(New { file, name }: &New) -> Result<Exit, Failure> {
    let mut seed = [0; 32];
    let host = Host::os();
    host.random.fill(&mut seed).map_err(|error| Failure::io("get random bytes for", file, &error))?;
    let signer = NoteSigner::from_seed(name, &seed)
        .map_err(|error| Failure::new(Exit::Usage, format!("--name {name:?}: {error}")))?;
    let mut public_file = OsString::from(file);
    public_file.push(".pub");
    let public_file = PathBuf::from(public_file);
    if public_file.symlink_metadata().is_ok() {
        return Err(is_there(&public_file));
    }
    write_new(&host, file, &signer.to_secret_text(), 0o600)?;
    write_new(&host, &public_file, &signer.verifier().to_string(), 0o644)?;
    line(&signer.verifier().to_string())?;
    Ok(Exit::Done)
}

/// K1 and K2: one line in a file that was not there.
fn write_new(host: &Host, path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let write = |mut file: File| writeln!(file, "{text}").and_then(|()| file.sync_all());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match options.open(path).and_then(write).and_then(|()| host.fs.sync_dir(parent)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(is_there(path)),
        written => written.map_err(|error| Failure::io("write", path, &error)),
    }
}

fn is_there(path: &Path) -> Failure {
    Failure::new(Exit::Input, format!("{} is there already, and no key is overwritten", path.display()))
}
