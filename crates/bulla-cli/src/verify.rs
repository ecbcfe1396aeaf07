//! `bulla verify`: whether a store still is what was written.

use crate::exit::{Exit, Failure};
use crate::operands;
use crate::output::{json, line, plain_table};
use crate::progress::Progress;
use crate::text::{count_gaps, escape};
use bulla::{Level, LogVerdict, Verdict, VerifyOptions, VerifyReport};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

/// Check a store, its journal and its tables, and report everything found
#[derive(Args)]
#[command(
    override_usage = "bulla verify [OPTIONS] STORE [T...]",
    after_help = "\
If $BULLA_STORE is set it stands in for STORE, and all operands are tables, unless the first one has a path separator \
in it, which no table's name has."
)]
pub(crate) struct Arguments {
    /// The store, then the tables to check; without them all. The journal always is
    #[arg(value_name = "STORE")]
    operands: Vec<OsString>,

    /// How thoroughly: headers, footers, seals and counts, or every byte
    #[arg(long, value_enum, default_value_t = Depth::Full)]
    level: Depth,

    /// What must be true for exit code 0: that the store agrees with itself, or also that no repair lost a record
    #[arg(long, value_enum, default_value_t = Demand::Structure)]
    require: Demand,

    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Depth {
    Structure,
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Demand {
    /// The store agrees with itself; what repairs lost is named
    Structure,
    /// No repair left a receipt either: otherwise exit code 6
    Complete,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (store, tables) = operands::any(&arguments.operands, "[T...]", |operands| {
        operands.first().is_some_and(|first| first.to_string_lossy().contains(std::path::is_separator))
    })?;
    let tables = tables.iter().map(|table| operands::text(table)).collect::<Result<_, _>>()?;
    let level = match arguments.level {
        Depth::Structure => Level::Structure,
        Depth::Full => Level::Full,
    };
    let report = check(&store, level, tables)?;
    let printed = if arguments.json { json(&report) } else { line(&for_people(&report)) };
    let exit = match (report.verdict(), arguments.require) {
        (Verdict::Repaired, Demand::Complete) => Exit::Below,
        _ => exit_of(&report),
    };
    exit.once(printed)
}

/// Verifies with a progress bar.
pub(crate) fn check(store: &Path, level: Level, tables: Vec<String>) -> Result<VerifyReport, Failure> {
    let options = VerifyOptions { level, tables, ..VerifyOptions::default() };
    let mut progress = Progress::new();
    let report = bulla::verify(store, &options, &mut |so_far| {
        progress.update(so_far.bytes_checked, Some(so_far.bytes_total));
    });
    progress.finish();
    Ok(report?)
}

/// The exit code of a report.
pub(crate) fn exit_of(report: &VerifyReport) -> Exit {
    match report.verdict() {
        Verdict::Intact | Verdict::Repaired => Exit::Done,
        Verdict::Newer => Exit::Store,
        Verdict::Unreadable => Exit::Io,
        Verdict::Damaged => Exit::Damaged,
        Verdict::Missing | Verdict::Tampered => Exit::Negative,
    }
}

/// The report as a table of logs, everything found, and one line that sums it up.
pub(crate) fn for_people(report: &VerifyReport) -> String {
    let mut table = plain_table();
    table.set_header(["log", "verdict", "trust", "floor", "size", "segments", "records checked", "bytes checked"]);
    for log in &report.logs {
        table.add_row([
            escape(log.log.as_bytes()),
            log.verdict().to_string(),
            report.trust().to_owned(),
            log.floor.to_string(),
            log.size.map_or_else(|| "unknown".to_owned(), |size| size.to_string()),
            log.segments.to_string(),
            log.records_checked.to_string(),
            log.bytes_checked.to_string(),
        ]);
    }
    let mut text = format!("{}\n\n", table.trim_fmt());
    for log in &report.logs {
        describe(log, &mut text);
    }
    let seconds = std::time::Duration::from_millis(report.elapsed_ms).as_secs_f64();
    let is_repaired = report.gaps() > 0 || report.verdict() == Verdict::Repaired;
    let gaps = if is_repaired { format!(", {}", count_gaps(report.gaps())) } else { String::new() };
    let _ = write!(text, "{}{gaps}, trust {}, {seconds:.1} s", report.verdict(), report.trust());
    text
}

fn describe(log: &LogVerdict, text: &mut String) {
    let name = escape(log.log.as_bytes());
    if let Some(root) = &log.root {
        let _ = writeln!(text, "{name}: root {root}");
    }
    for finding in &log.findings {
        let _ = write!(text, "{name}: {}: {}", finding.verdict, escape(finding.what.as_bytes()));
        if let Some(position) = finding.position {
            let _ = write!(text, ", position {position}");
        }
        if let Some(segment) = &finding.segment {
            let _ = write!(text, ", segment {}", escape(segment.as_bytes()));
        }
        if let Some(offset) = finding.offset {
            let _ = write!(text, ", offset {offset}");
        }
        text.push('\n');
    }
    for what in &log.not_checked {
        let _ = writeln!(text, "{name}: not checked: {}", escape(what.as_bytes()));
    }
}
