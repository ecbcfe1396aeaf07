//! `bulla init`: a new, empty store.

use crate::exit::{Exit, Failure};
use crate::operands;
use crate::signing;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Create a store in a missing or empty directory
#[derive(Args)]
#[command(override_usage = "bulla init [OPTIONS] STORE")]
pub(crate) struct Arguments {
    /// The directory; may be left out if $BULLA_STORE is set
    #[arg(value_name = "STORE", num_args = 0..=1)]
    operands: Vec<OsString>,

    /// Bytes at which a segment of this store's tables is sealed and the next begun, 4,096 to 16 GiB
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(4096..=16 << 30))]
    segment_bytes: Option<u64>,

    /// The private key that checkpoints are signed with, which also gives the store its name. Its path and public key go
    /// into the journal; whoever writes to the store later needs it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (store, []) = operands::exactly(&arguments.operands, [])?;
    let mut options = bulla::Options::new().create_new(true);
    if let Some(bytes) = arguments.segment_bytes {
        options = options.segment_bytes_max(bytes);
    }
    if let Some(key) = &arguments.key {
        options = signing::first_key(options, key)?;
    }
    options.open(&store)?.close()?;
    Ok(Exit::Done)
}
