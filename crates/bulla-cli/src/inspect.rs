//! `bulla inspect`: one segment file, frame by frame.
//!
//! # Invariants
//!
//! - I1. One pass with one window shows every frame that validates, also behind a bad place.
//! - I2. The exit code is that of the file by itself: 4 for damage, 0 for a torn tail or header, which only a crash
//!   leaves. What the rest of the store knows of it, `bulla verify` says.

use crate::exit::{Exit, Failure};
use crate::output::{json, line, note, plain_table};
use crate::times;
use bulla::segment::{FrameScanner, Newest, Scanned, SegmentFile, Stop, Tail, Verdict, parse_segment_file_name};
use bulla::vfs::OpenMode;
use bulla::wire::{Codec, Footer, FrameHeader, IndexEntry, Role, SegmentHeader, WireError, decode_page};
use bulla::{Host, Position, TimeBounds};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};

const PAGE_ROWS: usize = 256;

/// Print what is in one segment file: header, frames, index, footer
#[derive(Args)]
pub(crate) struct Arguments {
    /// The file, of an active or a sealed segment
    file: PathBuf,

    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object in each line, each with one key that says what it is
    Ndjson,
}

/// One thing in the file, as ndjson has it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Header(HeaderPart),
    Frame(FramePart),
    IndexEntry(EntryPart),
    Footer(FooterPart),
    Bad(BadPart),
    End(EndPart),
}

#[derive(Serialize)]
struct HeaderPart {
    log: String,
    number: u64,
    base: u64,
    floor: u64,
    prune: Option<u64>,
    epoch: u32,
    erasable: bool,
    root: String,
    file_bytes: u64,
}

#[derive(Serialize)]
struct FramePart {
    offset: u64,
    role: &'static str,
    codec: &'static str,
    base: u64,
    end: u64,
    durable_end: u64,
    epoch: u32,
    time_min: Option<String>,
    time_max: Option<String>,
    bytes: u64,
    crc_ok: bool,
}

#[derive(Serialize)]
struct EntryPart {
    first: u64,
    offset: u64,
    time_min: Option<String>,
    time_max: Option<String>,
}

#[derive(Serialize)]
struct FooterPart {
    number: u64,
    base: u64,
    end: u64,
    caller_count: u64,
    payload_bytes: u64,
    time_min: Option<String>,
    time_max: Option<String>,
    floor: u64,
    root: String,
    pages: usize,
    sealed: bool,
}

#[derive(Serialize)]
struct BadPart {
    offset: u64,
    what: String,
}

#[derive(Serialize)]
struct EndPart {
    verdict: &'static str,
    end: u64,
    what: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut dump = Dump { format: arguments.format, rows: Vec::new(), has_header: false };
    let file = match SegmentFile::open_newest(&Host::os(), &arguments.file, OpenMode::Read)? {
        Newest::Whole(file) => file,
        Newest::Interrupted => return interrupted(&arguments.file, &mut dump),
    };
    let file_bytes = file.file_len()?;
    dump.part(Part::Header(header_part(file.header(), file_bytes)))?;

    let mut scanner = FrameScanner::new(&file, file.frames_offset())?;
    loop {
        let offset = scanner.offset();
        let (error, skip) = match scanner.next_frame()? {
            Scanned::Frame { offset, header, stored } => {
                dump.part(Part::Frame(frame_part(&header, offset, true)))?;
                dump.inside(&header, stored, offset)?;
                continue;
            }
            Scanned::End => break,
            Scanned::Zeros => {
                let Some(end) = file.last_non_zero(offset)? else {
                    break;
                };
                dump.bad(offset, format!("zeros, and other bytes behind them up to offset {end}"))?;
                (None, None)
            }
            Scanned::Invalid { error, header } => (Some(error), header),
        };
        if let Some(header) = &skip {
            dump.part(Part::Frame(frame_part(header, offset, false)))?;
        }
        if let Some(error) = error {
            dump.bad(offset, error.to_string())?;
        }
        if !scanner.resync(skip.as_ref())? {
            break;
        }
    }
    end(&file, &mut dump)
}

/// A file with no more than a part of a header: only its name tells whether it was to become a segment.
fn interrupted(path: &Path, dump: &mut Dump) -> Result<Exit, Failure> {
    let base = path.file_name().and_then(parse_segment_file_name);
    let base = base.ok_or_else(|| Failure::new(Exit::Input, format!("{} is not a segment", path.display())))?;
    let verdict = "interrupted creation, as a crash leaves it";
    dump.part(Part::End(EndPart { verdict, end: base.0, what: None }))?;
    Ok(Exit::Done)
}

/// What the file's end means, by the file alone.
fn end(file: &SegmentFile, dump: &mut Dump) -> Result<Exit, Failure> {
    let tail = Tail::scan(file)?;
    let (verdict, exit) = match tail.verdict(Position::ZERO) {
        Verdict::Whole => ("active, not closed", Exit::Done),
        Verdict::Closed => ("active, closed", Exit::Done),
        Verdict::Sealed => ("sealed", Exit::Done),
        Verdict::Torn => ("torn tail, as a crash leaves it", Exit::Done),
        Verdict::Damaged { .. } => ("damaged", Exit::Damaged),
    };
    let what = match tail.stop {
        Stop::Invalid(invalid) => Some(format!("not valid from offset {} on: {}", invalid.offset, invalid.error)),
        Stop::End | Stop::Summary(_) => None,
    };
    dump.part(Part::End(EndPart { verdict, end: tail.extent.end.0, what }))?;
    Ok(exit)
}

/// Prints parts as they come.
struct Dump {
    format: Format,
    /// Rows of the table that wait for their page.
    rows: Vec<[String; 7]>,
    has_header: bool,
}

impl Dump {
    fn part(&mut self, part: Part) -> Result<(), Failure> {
        if self.format == Format::Ndjson {
            return json(&part);
        }
        match part {
            Part::Frame(frame) => self.row([
                frame.offset.to_string(),
                frame.role.to_owned(),
                format!("{}..{}", frame.base, frame.end),
                span(frame.time_min, frame.time_max),
                frame.bytes.to_string(),
                if frame.crc_ok { "ok" } else { "bad" }.to_owned(),
                format!("epoch {}, durable below {}, codec {}", frame.epoch, frame.durable_end, frame.codec),
            ]),
            Part::IndexEntry(entry) => self.row([
                entry.offset.to_string(),
                "entry".to_owned(),
                format!("{}..", entry.first),
                span(entry.time_min, entry.time_max),
                String::new(),
                String::new(),
                String::new(),
            ]),
            Part::Header(header) => self.block(&[
                ("log", header.log),
                ("segment", header.number.to_string()),
                ("base", header.base.to_string()),
                ("floor", header.floor.to_string()),
                ("prune", header.prune.map_or_else(|| "none".to_owned(), |position| position.to_string())),
                ("epoch", header.epoch.to_string()),
                ("erasable", if header.erasable { "yes" } else { "no" }.to_owned()),
                ("root at base", header.root),
                ("file", format!("{} bytes", header.file_bytes)),
            ]),
            Part::Footer(footer) => self.block(&[
                (if footer.sealed { "footer" } else { "close frame" }, format!("segment {}", footer.number)),
                ("positions", format!("{}..{}", footer.base, footer.end)),
                ("caller's records", footer.caller_count.to_string()),
                ("payload", format!("{} bytes", footer.payload_bytes)),
                ("times", span(footer.time_min, footer.time_max)),
                ("floor", footer.floor.to_string()),
                ("index pages", footer.pages.to_string()),
                ("root at end", footer.root),
            ]),
            Part::Bad(bad) => {
                self.print_rows()?;
                line(&format!("bad at offset {}: {}", bad.offset, bad.what))
            }
            Part::End(end) => {
                self.print_rows()?;
                let what = end.what.map_or_else(String::new, |what| format!("; {what}"));
                line(&format!("{}: records below position {}{what}", end.verdict, end.end))
            }
        }
    }

    fn bad(&mut self, offset: u64, what: String) -> Result<(), Failure> {
        note(&format!("bulla: bad at offset {offset}: {what}"));
        self.part(Part::Bad(BadPart { offset, what }))
    }

    /// What an index page or a footer holds. A body whose checksum holds may still be nonsense.
    fn inside(&mut self, header: &FrameHeader, stored: &[u8], offset: u64) -> Result<(), Failure> {
        let decoded: Result<(), WireError> = match header.role {
            Role::Data { .. } | Role::Mark => Ok(()),
            Role::Index => match decode_page(stored) {
                Ok(entries) => {
                    for entry in entries {
                        self.part(Part::IndexEntry(entry_part(&entry)))?;
                    }
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Role::Footer | Role::Close => match Footer::decode(stored, offset) {
                Ok(footer) => {
                    self.part(Part::Footer(footer_part(&footer, header.role == Role::Footer)))?;
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        decoded.or_else(|error| self.bad(offset, error.to_string()))
    }

    fn row(&mut self, row: [String; 7]) -> Result<(), Failure> {
        self.rows.push(row);
        if self.rows.len() < PAGE_ROWS { Ok(()) } else { self.print_rows() }
    }

    fn block(&mut self, facts: &[(&str, String)]) -> Result<(), Failure> {
        self.print_rows()?;
        self.has_header = false;
        let mut table = plain_table();
        table.add_rows(facts.iter().map(|(name, value)| [*name, value.as_str()]));
        line(&format!("{}\n", table.trim_fmt()))
    }

    fn print_rows(&mut self) -> Result<(), Failure> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut table = plain_table();
        if !self.has_header {
            table.set_header(["offset", "role", "positions", "times", "bytes", "crc", ""]);
            self.has_header = true;
        }
        table.add_rows(self.rows.drain(..));
        line(&table.trim_fmt())
    }
}

fn header_part(header: &SegmentHeader, file_bytes: u64) -> HeaderPart {
    HeaderPart {
        log: header.log.to_string(),
        number: header.number.0,
        base: header.base.0,
        floor: header.floor.0,
        prune: header.prune.map(|position| position.0),
        epoch: header.epoch.0,
        erasable: header.erasable,
        root: hex(&header.root),
        file_bytes,
    }
}

fn frame_part(header: &FrameHeader, offset: u64, crc_ok: bool) -> FramePart {
    let (time_min, time_max) = times_of(header.times);
    FramePart {
        offset,
        role: match header.role {
            Role::Data { more: false } => "data",
            Role::Data { more: true } => "data, more",
            Role::Mark => "mark",
            Role::Index => "index",
            Role::Footer => "footer",
            Role::Close => "close",
        },
        codec: match header.codec {
            Codec::None => "none",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        },
        base: header.base.0,
        end: header.end().0,
        durable_end: header.durable_end.0,
        epoch: header.epoch.0,
        time_min,
        time_max,
        bytes: header.frame_len(),
        crc_ok,
    }
}

fn entry_part(entry: &IndexEntry) -> EntryPart {
    let (time_min, time_max) = times_of(entry.times);
    EntryPart { first: entry.first.0, offset: entry.offset, time_min, time_max }
}

fn footer_part(footer: &Footer, sealed: bool) -> FooterPart {
    let (time_min, time_max) = times_of(footer.times);
    FooterPart {
        number: footer.number.0,
        base: footer.base.0,
        end: footer.end.0,
        caller_count: footer.caller_count,
        payload_bytes: footer.payload_bytes,
        time_min,
        time_max,
        floor: footer.floor.0,
        root: hex(&footer.root),
        pages: footer.pages.len(),
        sealed,
    }
}

fn times_of(times: TimeBounds) -> (Option<String>, Option<String>) {
    let shown = |time| (!times.is_empty()).then(|| times::show(time));
    (shown(times.min), shown(times.max))
}

fn span(min: Option<String>, max: Option<String>) -> String {
    match (min, max) {
        (Some(min), Some(max)) if min == max => min,
        (Some(min), Some(max)) => format!("{min} to {max}"),
        _ => "none".to_owned(),
    }
}

fn hex(digest: &[u8; 32]) -> String {
    data_encoding::HEXLOWER.encode(digest)
}
