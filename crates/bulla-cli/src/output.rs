//! Records on standard output, in the formats that `cat`, `get` and `tail` share; notes on standard error.
//!
//! # Invariants
//!
//! - O1. `raw` gives a pipe or file every record's bytes exactly, each followed by one newline. Only a terminal gets
//!   them escaped.
//! - O2. `table` and `ndjson` hold no unescaped control character, wherever they go.
//! - O3. Memory is bounded: a table is laid out in pages, and a payload is cut to what its page has room for.

use crate::exit::{Failure, chain};
use crate::text::{escape, escape_json};
use crate::times;
use bulla::wire::{Kind, Record};
use bulla::{Gap, Position};
use clap::ValueEnum;
use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width};
use data_encoding::BASE64;
use serde::Serialize;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

/// Rows that are laid out together. Widths are fixed, so one page looks like the next.
const PAGE_ROWS: usize = 256;
/// Width of a table that goes to no terminal.
const WIDTH_ELSEWHERE: u16 = 160;
/// Narrower than this nothing of a payload would be seen.
const WIDTH_MIN: u16 = 80;
/// Most bytes of a payload that a row of a table shows anything of.
const PAYLOAD_BYTES_SHOWN: usize = 400;

/// How records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line for each record, cut to the width of the terminal
    Table,
    /// One JSON object in each line
    Ndjson,
    /// The records' bytes, each followed by a newline
    Raw,
}

/// Says something on stderr. Nobody can be told if that fails.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{}", escape(line.as_bytes()));
}

/// Prints one JSON object, for `--json`.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).expect("BUG: a report has keys that are no strings");
    line(&escape_json(&text))
}

/// Prints one line and hands it on at once.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| Failure::stdout(&error))
}

/// What the engine's kinds are called; the caller's are numbers.
pub(crate) fn kind_name(kind: Kind) -> String {
    match kind {
        Kind::GENESIS => "genesis".to_owned(),
        Kind::SEAL => "seal".to_owned(),
        Kind::RECOVERY => "recovery".to_owned(),
        Kind::PRUNE => "prune".to_owned(),
        Kind::REDACTION => "redaction".to_owned(),
        Kind::FREEZE => "freeze".to_owned(),
        Kind::BREAK => "break".to_owned(),
        Kind(number) => number.to_string(),
    }
}

/// A record as ndjson has it.
#[derive(Serialize)]
struct JsonRecord<'a> {
    position: u64,
    time: String,
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted_bytes: Option<u32>,
}

#[derive(Serialize)]
struct JsonGap {
    gap: JsonRange,
}

#[derive(Serialize)]
struct JsonRange {
    from: u64,
    to: u64,
}

/// Prints records one after the other.
pub(crate) struct Printer {
    format: Format,
    out: BufWriter<Stdout>,
    is_terminal: bool,
    page: Vec<[String; 4]>,
    has_header: bool,
}

impl Printer {
    /// A printer to standard output.
    pub(crate) fn new(format: Format) -> Self {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        Self { format, out: BufWriter::with_capacity(64 << 10, out), is_terminal, page: Vec::new(), has_header: false }
    }

    /// Prints a record, now or with its page.
    pub(crate) fn record(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Table => {
                self.page.push([
                    record.position.to_string(),
                    times::show(record.time),
                    kind_name(record.kind),
                    payload_text(record, PAYLOAD_BYTES_SHOWN),
                ]);
                if self.page.len() < PAGE_ROWS { Ok(()) } else { self.print_page() }
            }
            Format::Ndjson => self.json_line(&json_record(record)),
            Format::Raw => {
                let payload = record.payload().unwrap_or_default();
                let written = if self.is_terminal {
                    self.out.write_all(escape(payload).as_bytes())
                } else {
                    self.out.write_all(payload)
                };
                written.and_then(|()| self.out.write_all(b"\n")).map_err(|error| Failure::stdout(&error))
            }
        }
    }

    /// One record, with nothing cut away.
    pub(crate) fn whole_record(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        if self.format != Format::Table {
            return self.record(record);
        }
        let mut table = plain_table();
        table.add_row(["position", &record.position.to_string()]);
        table.add_row(["time", &times::show(record.time)]);
        table.add_row(["kind", &kind_name(record.kind)]);
        table.add_row(["schema", &record.schema.0.to_string()]);
        table.add_row(["bytes", &record.payload_len().to_string()]);
        self.print(&format!("{}\n{}\n", table.trim_fmt(), payload_text(record, usize::MAX)))
    }

    /// Names positions that could not be read, on stderr and, for machines, in their place.
    pub(crate) fn gap(&mut self, gap: &Gap) -> Result<(), Failure> {
        let (from, to) = (gap.positions.start, gap.positions.end);
        // What came before the gap is shown before it.
        self.flush()?;
        note(&format!("bulla: gap: positions {from}..{to} cannot be read: {}", chain(&gap.cause)));
        if self.format == Format::Ndjson {
            self.json_line(&JsonGap { gap: JsonRange { from: from.0, to: to.0 } })?;
        }
        Ok(())
    }

    /// Hands everything printed so far to whoever reads it.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.print_page()?;
        self.out.flush().map_err(|error| Failure::stdout(&error))
    }

    fn print_page(&mut self) -> Result<(), Failure> {
        if self.page.is_empty() {
            return Ok(());
        }
        let mut table = plain_table();
        let width = if self.is_terminal { table.width() } else { Some(WIDTH_ELSEWHERE) };
        // A terminal that does not know its width, or is too narrow for a payload, gets lines that it wraps itself.
        table.set_width(width.filter(|width| *width >= WIDTH_MIN).unwrap_or(WIDTH_MIN));
        if !self.has_header {
            table.set_header(["position", "time", "kind", "payload"]);
            self.has_header = true;
        }
        for cells in self.page.drain(..) {
            let mut row = Row::from(cells);
            row.max_height(1);
            table.add_row(row);
        }
        let fixed = |width: u16| ColumnConstraint::Absolute(Width::Fixed(width));
        // Twelve digits of position, the longest time and the longest name of a kind, each between two spaces, the same on
        // every page.
        table.set_constraints([fixed(14), fixed(32), fixed(11)]);
        self.print(&format!("{}\n", table.trim_fmt()))
    }

    fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).expect("BUG: a record's keys are strings");
        self.print(&format!("{}\n", escape_json(&text)))
    }

    fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))
    }
}

/// A table without lines, as wide as the terminal at most.
pub(crate) fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// Names a range of positions that a writer in another process has not yet called durable.
pub(crate) fn note_undurable(durable_end: Position, end: Position) {
    if durable_end < end {
        note(&format!("bulla: positions {durable_end}..{end} are not known to be durable"));
    }
}

fn json_record<'a>(record: &Record<'a>) -> JsonRecord<'a> {
    let bytes = record.payload();
    let payload = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
    JsonRecord {
        position: record.position.0,
        time: times::show(record.time),
        kind: record.kind.0,
        payload,
        payload_base64: bytes.filter(|_| payload.is_none()).map(|bytes| BASE64.encode(bytes)),
        redacted_bytes: bytes.is_none().then(|| record.payload_len()),
    }
}

fn payload_text(record: &Record<'_>, bytes_max: usize) -> String {
    match record.payload() {
        // An engine record is binary: its bytes say little to people, and `inspect` has the rest.
        Some(payload) if record.kind.is_engine() => format!("({} bytes)", payload.len()),
        Some(payload) => escape(payload.get(..bytes_max).unwrap_or(payload)),
        None => format!("(redacted, {} bytes)", record.payload_len()),
    }
}
