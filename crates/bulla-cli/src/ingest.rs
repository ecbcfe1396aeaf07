//! `bulla ingest`: a record per line.
//!
//! # Invariants
//!
//! - G1. A payload is its line's bytes exactly as received, without the newline.
//! - G2. `acknowledged N` is printed only after the first N input lines, but for skipped ones, are durable.
//! - G3. A bad line that stops us takes nothing with it: the lines before it are committed and acknowledged first.
//! - G4. A line waits at most [`BATCH_TIME`] for its commit, however slowly its successors come.
//! - G5. Memory is bounded by [`BATCH_BYTES`] and the limit on a line, whatever the input.

use crate::exit::{Exit, Failure};
use crate::lines::{self, Block, Input, Line};
use crate::output::{line, note};
use crate::progress::Progress;
use crate::{operands, signing, time_field};
use bulla::wire::limits::RECORD_BYTES_MAX_DEFAULT;
use bulla::{Durability, Raw, RawTable, RowOptions, TableOptions, Time};
use clap::{Args, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

const BATCH_BYTES: usize = 1 << 20;
const BATCH_TIME: Duration = Duration::from_secs(1);
/// Short lines cost more memory than their bytes.
const BATCH_LINES: usize = 1 << 14;

/// Append a record for each line of the input
#[derive(Args)]
#[command(
    override_usage = "bulla ingest [OPTIONS] --table T STORE [FILE...|-]",
    after_help = "\
After each durable batch `acknowledged N` is printed: the first N lines of the input are safe. N counts the lines of \
all FILEs together, skipped ones included, so a sender that was interrupted goes on with line N + 1.\n\n\
STORE must exist. If $BULLA_STORE is set it stands in for STORE, and all operands are FILEs."
)]
pub(crate) struct Arguments {
    /// The store, then the files to read; `-` or none is stdin
    #[arg(value_name = "STORE")]
    operands: Vec<OsString>,

    /// The table, created if there is none of that name
    #[arg(long, value_name = "T")]
    table: String,

    /// What a line may hold: jsonl takes one JSON value, text takes any bytes
    #[arg(long, value_enum, default_value_t = LineFormat::Jsonl)]
    format: LineFormat,

    /// The field of a JSON line that holds its time, with dots between nested names: RFC 3339, or an epoch number
    /// (below 10^11 seconds, 10^14 milliseconds, 10^17 microseconds, else nanoseconds). Without it the store's clock
    /// gives the time
    #[arg(long, value_name = "F")]
    time_field: Option<String>,

    /// What a bad line does: end with exit code 8 after the lines before it were committed, or be passed over
    #[arg(long, value_enum, default_value_t = OnBadLine::Stop)]
    on_bad_line: OnBadLine,

    /// What a batch survives before the next is read: power loss, the end of this process, nothing yet. All is durable,
    /// and acknowledged, at the end in any case
    #[arg(long, value_enum, default_value_t = Survives::Durable)]
    durability: Survives,

    /// Give each record of a new table a salt, so that it cannot be guessed from its digest once it was erased
    #[arg(long)]
    erasable: bool,

    #[command(flatten)]
    key: signing::Key,

    /// Acknowledge in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LineFormat {
    Jsonl,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnBadLine {
    Stop,
    Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Survives {
    Durable,
    Flushed,
    Buffered,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    // With $BULLA_STORE set every operand is a file: nothing about a path tells a store from an input.
    let (dir, files) = operands::any(&arguments.operands, "[FILE...|-]", |_| false)?;
    if arguments.time_field.is_some() && arguments.format == LineFormat::Text {
        return Err(Failure::new(Exit::Usage, "--time-field needs --format jsonl: text has no fields"));
    }
    let (inputs, input_bytes) = inputs(&files)?;

    let store = arguments.key.options(&dir)?.open(&dir)?;
    let mut options = TableOptions::new();
    if arguments.erasable {
        options = options.erasable(true);
    }
    let table: RawTable = store.table_with::<Vec<u8>, Raw>(&arguments.table, &options)?;
    let blocks = lines::read(inputs, RECORD_BYTES_MAX_DEFAULT as usize);
    let mut ingest = Ingest::new(arguments, table, input_bytes);
    let done = ingest.take_all(&blocks);
    let ended = ingest.end(done);
    // Leaves a close frame whatever happened, so that the next open reads little. What failed first is what is told.
    let closed = store.close();
    let exit = ended?;
    closed?;
    Ok(exit)
}

/// The inputs, and how many bytes they have if they all say so. A name that cannot be read is refused before anything is
/// written.
fn inputs(files: &[OsString]) -> Result<(Vec<Input>, Option<u64>), Failure> {
    if files.is_empty() {
        return Ok((vec![Input::Stdin], None));
    }
    let mut inputs = Vec::with_capacity(files.len());
    let mut bytes = Some(0_u64);
    for file in files {
        if file == OsStr::new("-") {
            bytes = None;
            inputs.push(Input::Stdin);
            continue;
        }
        let path = PathBuf::from(file);
        let metadata = fs::metadata(&path).and_then(|metadata| {
            if metadata.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(metadata) }
        });
        let metadata = metadata.map_err(|error| Failure::io("read", &path, &error))?;
        bytes = bytes.filter(|_| metadata.is_file()).and_then(|bytes| bytes.checked_add(metadata.len()));
        inputs.push(Input::File(path));
    }
    Ok((inputs, bytes))
}

/// Lines on their way into the table.
struct Ingest<'a> {
    arguments: &'a Arguments,
    table: RawTable,
    batch: Vec<(Option<Time>, Vec<u8>)>,
    batch_bytes: usize,
    /// When the first line of the batch came.
    batch_since: Instant,
    /// Lines taken out of the channel, bad ones included.
    line_count: u64,
    /// What was last acknowledged.
    acknowledged_count: u64,
    skipped_count: u64,
    input_bytes: Option<u64>,
    bytes_done: u64,
    progress: Progress,
}

impl<'a> Ingest<'a> {
    fn new(arguments: &'a Arguments, table: RawTable, input_bytes: Option<u64>) -> Self {
        Self {
            arguments,
            table,
            batch: Vec::new(),
            batch_bytes: 0,
            batch_since: Instant::now(),
            line_count: 0,
            acknowledged_count: 0,
            skipped_count: 0,
            input_bytes,
            bytes_done: 0,
            progress: Progress::new(),
        }
    }

    /// Takes lines until there are no more, or one of them stops us.
    fn take_all(&mut self, blocks: &Receiver<Block>) -> Result<(), Failure> {
        loop {
            let block = if self.batch.is_empty() {
                blocks.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                blocks.recv_timeout(BATCH_TIME.saturating_sub(self.batch_since.elapsed()))
            };
            match block {
                Ok(Ok(lines)) => {
                    for line in lines {
                        self.take(line)?;
                    }
                }
                Ok(Err((path, error))) => return Err(Failure::io("read", &path, &error)),
                Err(RecvTimeoutError::Timeout) => self.commit()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if !self.batch.is_empty() && self.batch_since.elapsed() >= BATCH_TIME {
                self.commit()?;
            }
            self.progress.update(self.bytes_done, self.input_bytes);
        }
    }

    /// Puts one line into the batch, and commits what it does not fit with.
    fn take(&mut self, line: Line) -> Result<(), Failure> {
        let Line { input, number_count, bytes } = line;
        let checked = match bytes {
            Some(bytes) => self.check(&bytes).map(|time| (time, bytes)),
            None => Err(format!("longer than the limit of {RECORD_BYTES_MAX_DEFAULT} bytes")),
        };
        match checked {
            Ok((time, bytes)) => {
                if self.batch_bytes + bytes.len() > BATCH_BYTES || self.batch.len() == BATCH_LINES {
                    self.commit()?;
                }
                if self.batch.is_empty() {
                    self.batch_since = Instant::now();
                }
                self.batch_bytes += bytes.len();
                self.bytes_done += bytes.len() as u64 + 1;
                self.batch.push((time, bytes));
            }
            Err(what) if self.arguments.on_bad_line == OnBadLine::Stop => {
                return Err(Failure::new(Exit::Input, format!("{input}: line {number_count}: {what}")));
            }
            Err(_) => self.skipped_count += 1,
        }
        self.line_count += 1;
        Ok(())
    }

    /// The time of a line, if its field gives it, or why the line is bad.
    fn check(&self, bytes: &[u8]) -> Result<Option<Time>, String> {
        if self.arguments.format == LineFormat::Text {
            return Ok(None);
        }
        let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
        match &self.arguments.time_field {
            Some(path) => time_field::time_in(text, path).map(Some),
            None => time_field::check(text).map(|()| None),
        }
    }

    /// Appends the batch and, where that made it durable, acknowledges every line so far.
    fn commit(&mut self) -> Result<(), Failure> {
        let durability = match self.arguments.durability {
            Survives::Durable => Durability::Durable,
            Survives::Flushed => Durability::Flushed,
            Survives::Buffered => Durability::Buffered,
        };
        let options = RowOptions::new().durability(durability);
        if !self.batch.is_empty() {
            if self.arguments.time_field.is_some() {
                let rows = self.batch.iter().filter_map(|(time, bytes)| Some(((*time)?, bytes)));
                self.table.append_batch_at(rows, &options)?;
            } else {
                self.table.append_batch_with(self.batch.iter().map(|(_, bytes)| bytes), &options)?;
            }
            self.batch.clear();
            self.batch_bytes = 0;
            if durability == Durability::Durable {
                self.acknowledge()?;
            }
        }
        Ok(())
    }

    /// Commits what is left, whatever stopped us, and says what became of the input.
    fn end(mut self, done: Result<(), Failure>) -> Result<Exit, Failure> {
        if !self.table.is_poisoned() {
            self.commit()?;
            self.table.sync()?;
            // Lines skipped after the last batch count too.
            if self.acknowledged_count < self.line_count {
                self.acknowledge()?;
            }
        }
        self.progress.finish();
        if self.skipped_count > 0 {
            let lines = if self.skipped_count == 1 { "line" } else { "lines" };
            note(&format!("bulla: {} bad {lines} skipped", self.skipped_count));
        }
        done.map(|()| Exit::Done)
    }

    fn acknowledge(&mut self) -> Result<(), Failure> {
        self.acknowledged_count = self.line_count;
        let count = self.line_count;
        line(&if self.arguments.json {
            format!(r#"{{"acknowledged":{count}}}"#)
        } else {
            format!("acknowledged {count}")
        })
    }
}
