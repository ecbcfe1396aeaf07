//! `bulla repair`: a whole store of what is left of a damaged one.
//!
//! # Invariants
//!
//! - R1. Never in place: the damaged store is read and not changed.
//! - R2. Without `--into` nothing is written, and the exit code says what was found: 0 nothing, 4 damage.

use crate::exit::{Exit, Failure};
use crate::operands;
use crate::output::{json, line, note, plain_table};
use crate::progress::Progress;
use crate::signing;
use crate::text::{count_gaps, escape};
use bulla::{Loss, RepairOptions, RepairReport, SharedSigner};
use clap::Args;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Write what is left of a damaged store as a new one
#[derive(Args)]
#[command(
    override_usage = "bulla repair [OPTIONS] STORE",
    after_help = "\
Without --into it only says what it would do, and exits with 4 if anything is damaged. The new store has a receipt where \
something is lost, and `verify` calls it repaired for ever. A tail that a crash tore is no damage: the next writer \
recovers it."
)]
pub(crate) struct Arguments {
    /// The store; may be left out if $BULLA_STORE is set
    #[arg(value_name = "STORE", num_args = 0..=1)]
    operands: Vec<OsString>,

    /// Where the new store goes: a directory that is missing or empty
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,

    /// Who repairs, for the receipts
    #[arg(long, value_name = "WHO", default_value = "")]
    by: String,

    /// Why, for the receipts
    #[arg(long, value_name = "REASON", default_value = "")]
    reason: String,

    /// The codec of a table that the journal does not name any more; otherwise its rows are taken for `raw`
    #[arg(long = "codec", value_name = "T=CODEC", value_parser = codec)]
    codecs: Vec<(String, String)>,

    /// The store's private key, which signs that the repair is allowed; without it the receipts are self-asserted
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

fn codec(text: &str) -> Result<(String, String), String> {
    let (table, codec) = text.split_once('=').ok_or_else(|| format!("{text:?} is not TABLE=CODEC"))?;
    Ok((table.to_owned(), codec.to_owned()))
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (store, []) = operands::exactly(&arguments.operands, [])?;
    let options = RepairOptions {
        into: arguments.into.clone(),
        dry_run: arguments.dry_run,
        who: arguments.by.clone(),
        reason: arguments.reason.clone(),
        codecs: arguments.codecs.iter().cloned().collect(),
        signer: arguments
            .key
            .as_deref()
            .map(signing::open)
            .transpose()?
            .map(|signer| SharedSigner::new(Box::new(signer))),
        ..RepairOptions::default()
    };
    let mut progress = Progress::new();
    let report = bulla::repair(&store, &options, &mut |so_far| {
        progress.update(so_far.bytes_checked, Some(so_far.bytes_total));
    });
    progress.finish();
    let report = report?;
    if arguments.json {
        json(&report)?;
    } else {
        line(&for_people(&report))?;
    }
    let is_to_write = arguments.into.is_some() && !arguments.dry_run;
    Ok(match (report.is_needed, is_to_write) {
        (true, true) | (false, false) => Exit::Done,
        (true, false) => Exit::Damaged,
        (false, true) => {
            note("bulla: nothing was written");
            Exit::Refused
        }
    })
}

fn for_people(report: &RepairReport) -> String {
    if !report.is_needed {
        return "nothing to repair".to_owned();
    }
    let mut table = plain_table();
    table.set_header(["log", "was", "records", "lost"]);
    for log in &report.logs {
        let lost = if log.losses.is_empty() { "nothing".to_owned() } else { ranges(&log.losses) };
        table.add_row([escape(log.log.as_bytes()), log.verdict.to_string(), log.records.to_string(), lost]);
    }
    let mut text = format!("{}\n\n", table.trim_fmt());
    for log in &report.logs {
        for loss in &log.losses {
            let _ =
                writeln!(text, "{}: {}: {}", escape(log.log.as_bytes()), range(loss), escape(loss.cause.as_bytes()));
        }
    }
    for note in &report.notes {
        let _ = writeln!(text, "{}", escape(note.as_bytes()));
    }
    let gaps = count_gaps(report.gaps());
    match &report.into {
        Some(into) => {
            let _ = write!(text, "repaired into {}, {gaps}", escape(into.display().to_string().as_bytes()));
        }
        None => {
            let _ = write!(text, "would be repaired, {gaps}; nothing was written");
        }
    }
    text
}

fn ranges(losses: &[Loss]) -> String {
    const SHOWN_MAX: usize = 4;
    let shown: Vec<_> = losses.iter().take(SHOWN_MAX).map(range).collect();
    let more = losses.len().saturating_sub(SHOWN_MAX);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn range(loss: &Loss) -> String {
    let Loss { positions, is_open, .. } = loss;
    match (positions.is_empty(), is_open) {
        (true, false) => "no position".to_owned(),
        (_, false) => format!("{}..{}", positions.start, positions.end),
        (_, true) => format!("{}..{} or more", positions.start, positions.end),
    }
}
