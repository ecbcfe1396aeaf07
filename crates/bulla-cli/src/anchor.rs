//! `bulla anchor`: hands each log's newest checkpoint to a place that whoever writes the store cannot reach.
//!
//! # Invariants
//!
//! - A1. What was taken is recorded in the store, so the verb takes its lock, and a live writer is exit 3. A program that
//!   keeps the store open hands over itself.
//! - A2. Exit code 0 means that the newest checkpoint of each log asked about was taken, now or before.

use crate::exit::{Exit, Failure};
use crate::output::{json, line, plain_table};
use crate::text::escape;
use crate::{operands, signing};
use bulla::chain::VerifierKey;
use bulla::{AnchorLag, AnchorSink, CommandSink, FileSink, Host, Store, TimestampSink, WitnessFolderSink, WitnessSink};
use clap::Args;
use serde::Serialize;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Hand each log's newest checkpoint to a file, a program, a witness or an authority
#[derive(Args)]
#[command(
    override_usage = "bulla anchor [OPTIONS] STORE [T...] (--file FILE | --command CMD | --witness URL | --witness-dir DIR | --timestamp DIR)",
    after_help = "\
Exits with 0 if everything was taken, with 6 if something is still due, as while an answer is waited for, and with 3 \
beside a live writer. What is due is tried once; run it again for what is left. An anchor that who attacks the store can \
write too gives nothing."
)]
pub(crate) struct Arguments {
    /// The store; may be left out if $BULLA_STORE is set. Then tables; without any, all of them and the journal
    #[arg(value_name = "STORE", num_args = 0..)]
    operands: Vec<OsString>,

    #[command(flatten)]
    sink: Sink,

    #[command(flatten)]
    key: signing::Key,

    /// The public key of the witness: its text, or a file with it
    #[arg(long, value_name = "PUB")]
    witness_key: Option<String>,

    /// What the anchor is called in the store; otherwise after its kind
    #[arg(long)]
    name: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Sink {
    /// Append to a file, which `verify --checkpoint` takes
    #[arg(id = "to_file", long = "file", value_name = "FILE")]
    file: Option<PathBuf>,

    /// Run a program without a shell: CMD is parted at spaces, and quotes mean nothing. The checkpoint is on its stdin, and
    /// exit code 0 means taken. For more, write a script and give `sh FILE`
    #[arg(long, value_name = "CMD")]
    command: Option<String>,

    /// Ask a C2SP witness at a plain http address; needs --witness-key
    #[arg(long, value_name = "URL", requires = "witness_key")]
    witness: Option<String>,

    /// Write requests for a witness into a directory, and take its answers from there; needs --witness-key
    #[arg(long, value_name = "DIR", requires = "witness_key")]
    witness_dir: Option<PathBuf>,

    /// Write requests for an RFC 3161 authority into a directory, and keep the replies put there
    #[arg(long, value_name = "DIR")]
    timestamp: Option<PathBuf>,
}

/// The answer, as machines read it.
#[derive(Serialize)]
struct Report<'a> {
    anchor: &'a str,
    due: bool,
    logs: Vec<Anchor>,
}

/// How far an anchor is with a log; sizes are of checkpoints.
#[derive(Serialize)]
pub(crate) struct Anchor {
    #[serde(rename = "anchor")]
    pub(crate) name: String,
    pub(crate) origin: String,
    pub(crate) confirmed: Option<u64>,
    pub(crate) noted: Option<u64>,
    pub(crate) due: bool,
    pub(crate) error: Option<String>,
    pub(crate) attempts: u64,
    pub(crate) failing_since: Option<String>,
}

impl From<AnchorLag> for Anchor {
    fn from(lag: AnchorLag) -> Self {
        Self {
            due: lag.is_due(),
            failing_since: lag.since.map(|since| crate::times::show(bulla::Time(since))),
            name: lag.sink,
            origin: lag.origin,
            confirmed: lag.confirmed,
            noted: lag.noted,
            error: lag.error,
            attempts: lag.attempts,
        }
    }
}

impl Anchor {
    /// One line's worth for people.
    pub(crate) fn text(&self) -> String {
        let size = |size: Option<u64>| size.map_or_else(|| "none".to_owned(), |size| size.to_string());
        let mut text = match (self.noted, self.due) {
            (None, _) => "no checkpoint".to_owned(),
            (_, false) => format!("taken through {}", size(self.confirmed)),
            (noted, true) => format!("taken through {}, due {}", size(self.confirmed), size(noted)),
        };
        if let Some(error) = &self.error {
            let times = if self.attempts == 1 { "attempt" } else { "attempts" };
            let since = self.failing_since.as_deref().unwrap_or("unknown");
            let _ = write!(text, " ({} {times} since {since}: {})", self.attempts, escape(error.as_bytes()));
        }
        text
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (store, tables) = operands::any(&arguments.operands, "[T...]", |operands| {
        operands.first().is_some_and(|first| first.to_string_lossy().contains(std::path::is_separator))
    })?;
    let tables = tables.iter().map(|table| operands::text(table)).collect::<Result<Vec<_>, _>>()?;
    let sink = sink(arguments)?;
    let name = sink.name().to_owned();
    let store = arguments.key.options(&store)?.create(false).open(&store)?;
    let done = hand_over(&store, sink, &tables);
    let closed = store.close().map_err(Failure::from);
    let logs = done?;
    closed?;
    let due = logs.iter().any(|log| log.due);
    let printed = if arguments.json {
        json(&Report { anchor: &name, due, logs })
    } else {
        let mut rows = plain_table();
        for log in &logs {
            rows.add_row([escape(log.origin.as_bytes()), log.text()]);
        }
        line(&rows.trim_fmt())
    };
    (if due { Exit::Below } else { Exit::Done }).once(printed)
}

fn hand_over(store: &Store, sink: Box<dyn AnchorSink>, tables: &[String]) -> Result<Vec<Anchor>, Failure> {
    let known = store.tables();
    let mut wanted = Vec::new();
    for table in tables {
        let missing = || bulla::Error::NoSuchTable { dir: store.dir().to_owned(), table: table.clone() };
        wanted.push(known.iter().find(|known| known.name == *table).ok_or_else(missing)?.origin.clone());
    }
    let name = sink.name().to_owned();
    store.add_anchor(sink)?;
    let lags = store.anchor_now(&wanted);
    // Closing would hand over once more, and of every log.
    store.remove_anchor(&name);
    let lags = lags?;
    Ok(lags.into_iter().map(Anchor::from).collect())
}

fn sink(arguments: &Arguments) -> Result<Box<dyn AnchorSink>, Failure> {
    let Sink { file, command, witness, witness_dir, timestamp } = &arguments.sink;
    let host = Host::os();
    let name = |kind: &str| arguments.name.clone().unwrap_or_else(|| kind.to_owned());
    let key = || -> Result<VerifierKey, Failure> {
        crate::check::read_key("--witness-key", arguments.witness_key.as_deref().unwrap_or_default())
    };
    Ok(match (file, command, witness, witness_dir, timestamp) {
        (Some(file), ..) => Box::new(FileSink::new(&host, &name("file"), file)),
        (_, Some(command), ..) => {
            let mut words = command.split_whitespace();
            let program = words.next().ok_or_else(|| Failure::new(Exit::Usage, "--command names no program"))?;
            Box::new(CommandSink::new(&name("command"), program, words))
        }
        (_, _, Some(url), ..) => Box::new(WitnessSink::new(&name("witness"), url, key()?)),
        (_, _, _, Some(dir), _) => Box::new(WitnessFolderSink::new(&host, &name("witness"), dir, key()?)),
        (_, _, _, _, Some(dir)) => Box::new(TimestampSink::new(&host, &name("timestamp"), dir)),
        _ => return Err(Failure::new(Exit::Usage, "anchor needs to know where; see --help")),
    })
}
