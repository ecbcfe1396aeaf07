//! `bulla verify`: whether a store still is what was written.

use crate::check::{read, read_key};
use crate::exit::{Exit, Failure};
use crate::operands;
use crate::output::{json, line, note, plain_table};
use crate::progress::Progress;
use crate::text::{count_gaps, escape};
use crate::times;
use bulla::chain::{ShownCheckpoint, VerifierKey};
use bulla::{Level, LogVerdict, Require, Time, Verdict, VerifyOptions, VerifyReport};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The largest file of checkpoints taken: as much as is read of a log's own.
const HELD_BYTES_MAX: u64 = 16 << 20;

/// Check a store, its journal and its tables, and report everything found
#[derive(Args)]
#[command(
    override_usage = "bulla verify [OPTIONS] STORE [T...]",
    after_help = "\
If $BULLA_STORE is set it stands in for STORE, and all operands are tables, unless the first one has a path separator \
in it, which no table's name has.

A checkpoint found in the store makes a log signed, if one of the keys signed it, and never anchored, unless all witnesses \
cosigned it. Without a checkpoint kept elsewhere nothing tells a store that was rebuilt, or put back whole to an earlier \
state, from the true one. Where a checkpoint given with --checkpoint or --since cannot be compared the exit code is 6, and \
where the store has no log of its origin, 1."
)]
pub(crate) struct Arguments {
    /// The store, then the tables to check; without them all. The journal always is
    #[arg(value_name = "STORE")]
    operands: Vec<OsString>,

    /// How thoroughly: headers, footers, seals and counts, or every byte
    #[arg(long, value_enum, default_value_t = Depth::Full)]
    level: Depth,

    /// A public key whose signatures are believed: a file that `key new` wrote, or the key itself. More than once for
    /// several keys
    #[arg(long = "key", value_name = "PUB")]
    keys: Vec<String>,

    /// A checkpoint that was kept elsewhere, or a file that `anchor --file` appended several to: their logs must continue
    /// them. More than once for several
    #[arg(long = "checkpoint", value_name = "FILE")]
    held: Vec<PathBuf>,

    /// The key of a witness: a checkpoint noted in the store that all of them cosigned counts as one kept elsewhere. More
    /// than once for several
    #[arg(long = "witness", value_name = "PUB")]
    witnesses: Vec<String>,

    /// A checkpoint that is trusted: what its log has below it is not read. More than once, for several logs; of several
    /// of one log the oldest counts, and the others are compared
    #[arg(long = "since", value_name = "FILE")]
    since: Vec<PathBuf>,

    /// What must be true of every log, to its head, for exit code 0: otherwise it is 6
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
    /// A checkpoint signed by one of the keys, or one kept elsewhere, says the same
    Signed,
    /// A checkpoint kept elsewhere, or cosigned by all witnesses, says the same
    Anchored,
    /// No repair left a receipt
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
    let options = VerifyOptions {
        level,
        tables,
        keys: keys("--key", &arguments.keys)?,
        witnesses: keys("--witness", &arguments.witnesses)?,
        held: checkpoints("--checkpoint", &arguments.held)?,
        since: checkpoints("--since", &arguments.since)?,
        ..VerifyOptions::default()
    };
    let require = match arguments.require {
        Demand::Structure => Require::Structure,
        Demand::Signed => Require::Signed,
        Demand::Anchored => Require::Anchored,
        Demand::Complete => Require::Complete,
    };
    let report = check(&store, &options)?;
    let printed = if arguments.json { json(&report) } else { line(&for_people(&report, require)) };
    exit_of(&report, require).once(printed)
}

fn keys(option: &str, given: &[String]) -> Result<Vec<VerifierKey>, Failure> {
    given.iter().map(|key| read_key(option, key)).collect()
}

/// What is in the files: each a checkpoint, or entries as an anchor appends them. Evidence that is not whole is refused, as
/// nobody knows what the rest said.
fn checkpoints(option: &str, files: &[PathBuf]) -> Result<Vec<ShownCheckpoint>, Failure> {
    let mut checkpoints = Vec::new();
    for file in files {
        let name = format!("{option} {}", file.display());
        let bad = |what: &str| Failure::new(Exit::Input, format!("{name}: {what}"));
        let bytes = read(file, HELD_BYTES_MAX)?;
        if bytes.len() as u64 > HELD_BYTES_MAX {
            return Err(bad(&format!("it has more than {HELD_BYTES_MAX} bytes: give the newest entries of it")));
        }
        let held = bulla::read_checkpoints(&bytes).map_err(|error| Failure::in_field(&name, &error))?;
        if let Some((offset, what)) = held.problems.first() {
            return Err(bad(&format!("at offset {offset}: {what}")));
        }
        if let Some(offset) = held.torn_at {
            note(&format!("bulla: {name}: at offset {offset}: no whole checkpoint follows the last one"));
        }
        checkpoints.extend(held.checkpoints);
    }
    Ok(checkpoints)
}

/// Verifies with a progress bar.
fn check(store: &Path, options: &VerifyOptions) -> Result<VerifyReport, Failure> {
    let mut progress = Progress::new();
    let report = bulla::verify(store, options, &mut |so_far| {
        progress.update(so_far.bytes_checked, Some(so_far.bytes_total));
    });
    progress.finish();
    Ok(report?)
}

/// The exit code of a report.
fn exit_of(report: &VerifyReport, require: Require) -> Exit {
    match report.verdict() {
        Verdict::Intact | Verdict::Repaired if report.exit_code_for(require) != 0 => Exit::Below,
        Verdict::Intact | Verdict::Repaired => Exit::Done,
        Verdict::Newer => Exit::Store,
        Verdict::Unreadable => Exit::Io,
        Verdict::Damaged => Exit::Damaged,
        Verdict::Missing | Verdict::Tampered => Exit::Negative,
    }
}

/// The report as a table of logs, everything found, and one line that sums it up.
fn for_people(report: &VerifyReport, require: Require) -> String {
    let mut table = plain_table();
    table.set_header([
        "log",
        "integrity",
        "completeness",
        "trust",
        "floor",
        "size",
        "segments",
        "records checked",
        "bytes checked",
    ]);
    for log in &report.logs {
        table.add_row([
            escape(log.log.as_bytes()),
            log.integrity().to_string(),
            match log.completeness() {
                Verdict::Intact => "complete".to_owned(),
                incomplete => incomplete.to_string(),
            },
            trust_of(log),
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
    for short in report.short(require) {
        let _ = writeln!(text, "below what is demanded: {}", escape(short.as_bytes()));
    }
    if report.logs.iter().all(|log| log.trust.anchored_through.is_none()) {
        text.push_str(UNTOLD);
    }
    let seconds = std::time::Duration::from_millis(report.elapsed_ms).as_secs_f64();
    let is_repaired = report.gaps() > 0 || report.verdict() == Verdict::Repaired;
    let gaps = if is_repaired { format!(", {}", count_gaps(report.gaps())) } else { String::new() };
    let _ = write!(text, "{}{gaps}, trust {}, {seconds:.1} s", report.verdict(), report.trust());
    text
}

/// What nothing in a store can tell.
const UNTOLD: &str = "\
No checkpoint kept elsewhere was compared: a store rebuilt, or put back whole to an earlier state, cannot be told without.
";

/// How far something outside vouches for the log.
fn trust_of(log: &LogVerdict) -> String {
    let bulla::Trust { signed_through, anchored_through, .. } = log.trust;
    let through = |word: &str, size: Option<u64>| size.map(|size| format!("{word} through {size}"));
    let told: Vec<_> =
        [through("signed", signed_through), through("anchored", anchored_through)].into_iter().flatten().collect();
    if told.is_empty() { log.trust.level().to_string() } else { told.join(", ") }
}

/// When a witness last saw a checkpoint of the log, as he says.
fn seen_at(log: &LogVerdict) -> Option<Time> {
    i64::try_from(log.trust.cosigned_at?).ok()?.checked_mul(1_000_000_000).map(Time)
}

fn describe(log: &LogVerdict, text: &mut String) {
    let name = escape(log.log.as_bytes());
    if let Some(root) = &log.root {
        let _ = writeln!(text, "{name}: root {root}");
    }
    if let Some(at) = seen_at(log) {
        let _ = writeln!(text, "{name}: a witness saw the newest checkpoint at {}", times::show(at));
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
