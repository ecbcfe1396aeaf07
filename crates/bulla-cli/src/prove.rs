//! `bulla prove`: proofs for somebody who has no store.
//!
//! # Invariants
//!
//! - P1. A proof is printed only after it was verified, against a checkpoint that the table agrees with.
//! - P2. Works beside a live writer and on a read-only copy, and proves nothing that is not durable.

use crate::exit::{Exit, Failure};
use crate::operands;
use crate::output::{line, note};
use bulla::chain::{Checkpoint, ConsistencyText, InclusionText, ShownCheckpoint};
use bulla::{Inclusion, Position, Prover, Reader, TreeHead};
use clap::Args;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More than any checkpoint takes.
const CHECKPOINT_BYTES_MAX: u64 = 4 << 20;

/// Prove that a record is in a table, or that a table continues what it was, for `bulla check` and other verifiers
#[derive(Args)]
#[command(
    override_usage = "bulla prove STORE T POSITION [--checkpoint FILE]\n       bulla prove STORE T --from FILE --to FILE",
    after_help = "\
Prints the proof as text: C2SP's tlog-proof for a record, with the record's fields and, in an erasable table, its salt; \
both checkpoints with their proof for --from and --to. Without --checkpoint the newest signed checkpoint that the store \
holds of the table is taken, and where none covers the record, an unsigned one of the table as it is."
)]
pub(crate) struct Arguments {
    /// Store, table and position; STORE may be left out if $BULLA_STORE is set
    #[arg(value_name = "STORE", num_args = 0..=3)]
    operands: Vec<OsString>,

    /// The checkpoint that the proof leads to
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to"])]
    checkpoint: Option<PathBuf>,

    /// The earlier of two checkpoints
    #[arg(long, value_name = "FILE", requires = "to")]
    from: Option<PathBuf>,

    /// The later of two checkpoints
    #[arg(long, value_name = "FILE", requires = "from")]
    to: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let text = if let (Some(from), Some(to)) = (&arguments.from, &arguments.to) {
        let (store, [table]) = operands::exactly(&arguments.operands, ["T"])?;
        grown(&store, &table, from, to)?
    } else {
        let (store, [table, position]) = operands::exactly(&arguments.operands, ["T", "POSITION"])?;
        let position = position
            .parse()
            .map(Position)
            .map_err(|_| Failure::new(Exit::Usage, format!("{position:?} is not a position, a number from 0 on")))?;
        included(&store, &table, position, arguments.checkpoint.as_deref())?
    };
    line(text.trim_end_matches('\n'))?;
    Ok(Exit::Done)
}

fn included(store: &Path, name: &str, position: Position, given: Option<&Path>) -> Result<String, Failure> {
    let reader = Reader::open(store)?;
    let (table, mut prover) = reader.prover(name)?;
    let checkpoint = match given {
        Some(file) => agreed(&mut prover, &table.origin, file)?,
        None => newest(&reader, name, &table.origin, prover.head(), position)?,
    };
    let size = checkpoint.head().size;
    if position.0 >= size {
        let what = format!("position {position}: the checkpoint is of {size} records");
        return Err(Failure::new(Exit::Input, what));
    }
    let Inclusion { entry, salt, proof, head } = prover.inclusion(position, size)?;
    check_head(head, &checkpoint, &table.origin)?;
    let mut extra = entry.encode().to_vec();
    extra.extend(salt.iter().flatten());
    Ok(InclusionText { extra, proof, checkpoint }.to_string())
}

fn grown(store: &Path, name: &str, from: &Path, to: &Path) -> Result<String, Failure> {
    let reader = Reader::open(store)?;
    let (table, mut prover) = reader.prover(name)?;
    let (old, new) = (agreed(&mut prover, &table.origin, from)?, agreed(&mut prover, &table.origin, to)?);
    let (old_size, new_size) = (old.head().size, new.head().size);
    if old_size > new_size {
        let what = format!("--from is of {old_size} records and --to of {new_size}: the earlier one comes first");
        return Err(Failure::new(Exit::Input, what));
    }
    let proof = prover.consistency(old_size, new_size)?;
    Ok(ConsistencyText { proof, old, new }.to_string())
}

/// The newest signed checkpoint in the store that covers the record, or one of the table as it is.
pub(crate) fn newest(
    reader: &Reader,
    name: &str,
    origin: &str,
    head: TreeHead,
    position: Position,
) -> Result<ShownCheckpoint, Failure> {
    let covers = |shown: &ShownCheckpoint| {
        let size = shown.head().size;
        shown.note().is_some() && shown.checkpoint().origin() == origin && size > position.0 && size <= head.size
    };
    let noted = reader.checkpoints(name)?;
    if let Some(shown) = noted.into_iter().rev().find(covers) {
        return Ok(shown);
    }
    note("bulla: no signed checkpoint covers this, so the proof leads to one that nobody signed");
    unsigned(origin, head)
}

pub(crate) fn unsigned(origin: &str, head: TreeHead) -> Result<ShownCheckpoint, Failure> {
    let checkpoint = Checkpoint::new(origin, head).map_err(|error| Failure::in_field("origin", &error))?;
    Ok(ShownCheckpoint::unsigned(checkpoint))
}

/// The checkpoint in a file, if it is one of this table and the table agrees with it.
fn agreed(prover: &mut Prover, origin: &str, file: &Path) -> Result<ShownCheckpoint, Failure> {
    let shown = read_checkpoint(file)?;
    let found = shown.checkpoint().origin();
    if found != origin {
        let what = format!("{} is of {found:?}, and the table is {origin:?}", file.display());
        return Err(Failure::new(Exit::Input, what));
    }
    let (size, newest) = (shown.head().size, prover.head().size);
    if size > newest {
        let what = format!("{} is of {size} records, and {newest} are durable in the table", file.display());
        return Err(Failure::new(Exit::Negative, what));
    }
    check_head(prover.head_at(size)?, &shown, origin)?;
    Ok(shown)
}

/// P1.
fn check_head(found: TreeHead, shown: &ShownCheckpoint, origin: &str) -> Result<(), Failure> {
    if found == shown.head() {
        return Ok(());
    }
    let what = format!("{origin} with {} records has root {}, not {}", found.size, found.root, shown.head().root);
    Err(Failure::new(Exit::Negative, format!("the table contradicts the checkpoint: {what}")))
}

/// A checkpoint, signed or not, from a file.
pub(crate) fn read_checkpoint(file: &Path) -> Result<ShownCheckpoint, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(CHECKPOINT_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| Failure::io("read", file, &error))?;
    ShownCheckpoint::parse(&bytes).map_err(|error| Failure::in_field(&file.display().to_string(), &error))
}
