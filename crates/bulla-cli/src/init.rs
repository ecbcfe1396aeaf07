//! `bulla init`: a new, empty store.

use crate::exit::{Exit, Failure};
use crate::operands;
use clap::Args;
use std::ffi::OsString;

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
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (store, []) = operands::exactly(&arguments.operands, [])?;
    let mut options = bulla::Options::new().create_new(true);
    if let Some(bytes) = arguments.segment_bytes {
        options = options.segment_bytes_max(bytes);
    }
    options.open(&store)?.close()?;
    Ok(Exit::Done)
}
