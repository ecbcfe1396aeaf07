//! `bulla checkpoint`: a head of a table in a form to keep elsewhere.
//!
//! # Invariants
//!
//! - C1. What is printed without `--print` is noted in the store, durably, before it is printed.
//! - C2. With `--print` nothing is locked or changed, and no head above the durable end is shown.

use crate::exit::{Exit, Failure};
use crate::output::line;
use crate::{operands, signing};
use bulla::chain::Checkpoint;
use bulla::{Reader, ShownCheckpoint};
use clap::Args;
use std::ffi::OsString;
use std::path::Path;

/// Make and print a checkpoint of a table: a signed note, or without a key an unsigned head
#[derive(Args)]
#[command(
    override_usage = "bulla checkpoint [OPTIONS] STORE T",
    after_help = "\
Keep what is printed where whoever can change the store cannot change it: `verify --checkpoint FILE` holds it against the \
store. T may be `journal`, whose checkpoints stand for the heads of all tables.\n\n\
If $BULLA_STORE is set it stands in for STORE."
)]
pub(crate) struct Arguments {
    /// The store, then the table; STORE may be left out if $BULLA_STORE is set
    #[arg(value_name = "STORE", num_args = 0..=2)]
    operands: Vec<OsString>,

    /// Beside a live writer: print the durable head, with the signatures it has if it was checkpointed, and record nothing
    #[arg(long, conflicts_with = "file")]
    print: bool,

    #[command(flatten)]
    key: signing::Key,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (dir, [table]) = operands::exactly(&arguments.operands, ["T"])?;
    if arguments.print {
        print(&shown(&dir, &table)?)?;
        return Ok(Exit::Done);
    }
    let store = arguments.key.options(&dir)?.open(&dir)?;
    let made = if table == "journal" { store.checkpoint_journal() } else { store.checkpoint(&table) };
    let closed = store.close();
    print(&made?)?;
    closed?;
    Ok(Exit::Done)
}

/// The text as it is: its last newline is the line's.
fn print(shown: &ShownCheckpoint) -> Result<(), Failure> {
    let text = shown.to_string();
    line(text.strip_suffix('\n').unwrap_or(&text))
}

/// C2.
fn shown(dir: &Path, table: &str) -> Result<ShownCheckpoint, Failure> {
    let reader = Reader::open(dir)?;
    let (origin, head, noted) = if table == "journal" {
        let (origin, prover) = reader.journal_prover()?;
        (origin, prover.head(), reader.journal_checkpoints()?)
    } else {
        let (info, prover) = reader.prover(table)?;
        (info.origin, prover.head(), reader.checkpoints(table)?)
    };
    let is_it = |shown: &ShownCheckpoint| shown.head() == head && shown.checkpoint().origin() == origin;
    if let Some(noted) = noted.into_iter().rev().find(is_it) {
        return Ok(noted);
    }
    let checkpoint = Checkpoint::new(&origin, head).map_err(|error| Failure::in_field("T", &error))?;
    Ok(ShownCheckpoint::unsigned(checkpoint))
}
