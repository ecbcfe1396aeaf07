//! `bulla stat`: what is in a store, without reading its records.

use crate::anchor::Anchor;
use crate::exit::{Exit, Failure, chain};
use crate::output::{json, line, note, plain_table};
use crate::reading::{known_end, lost_at_end, raw_view};
use crate::text::escape;
use crate::{operands, times};
use bulla::{Gap, Item, LogError, Query, Reader, SegmentInfo, ShownCheckpoint, Snapshot, TableInfo, TimeBounds};
use clap::Args;
use serde::Serialize;
use std::ffi::OsString;
use std::path::Path;

/// Print what each table holds
#[derive(Args)]
#[command(
    override_usage = "bulla stat [OPTIONS] STORE [T]",
    after_help = "\
If $BULLA_STORE is set it stands in for STORE, and a single operand is the table."
)]
pub(crate) struct Arguments {
    /// The store, then the table; without it all
    #[arg(value_name = "STORE", num_args = 0..=2)]
    operands: Vec<OsString>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct StoreStat {
    store: String,
    tables: Vec<TableStat>,
    anchors: Vec<Anchor>,
}

/// What is known of one table. Counts and bytes are of what is still kept and can be read; `size` counts every position
/// ever given. Damage leaves `null` for what cannot be told without what it took.
#[derive(Serialize)]
struct TableStat {
    table: String,
    log: String,
    origin: String,
    codec: String,
    erasable: bool,
    records: u64,
    size: u64,
    bytes: u64,
    floor: u64,
    durable_end: u64,
    head: Option<String>,
    time_min: Option<String>,
    time_max: Option<String>,
    segments: Option<u64>,
    last_checkpoint: Option<LastCheckpoint>,
    holds: u64,
    disk_bytes: Option<u64>,
}

/// The newest checkpoint that the store holds of a table.
#[derive(Clone, Copy, Serialize)]
struct LastCheckpoint {
    size: u64,
    /// By the key that the journal names, if it names one, otherwise by anybody.
    signed: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (store, tables) = operands::any(&arguments.operands, "[T]", |operands| operands.len() == 2)?;
    let wanted = match tables.as_slice() {
        [] => None,
        [table] => Some(operands::text(table)?),
        _ => return Err(Failure::new(Exit::Usage, "stat takes one table at most; see --help")),
    };
    let reader = Reader::open(&store)?;
    let mut exit = if reader.is_damaged() { Exit::Damaged } else { Exit::Done };
    if reader.is_damaged() {
        note("bulla: a part of the journal cannot be read: tables may be missing from this list");
    }
    if let Some(table) = &wanted {
        // Says so if there is none.
        raw_view(&reader, table)?;
    }
    let mut stats = Vec::new();
    for table in reader.tables()? {
        if wanted.as_ref().is_some_and(|wanted| *wanted != table.name) {
            continue;
        }
        let stat = reader
            .raw(&table.name)
            .map_err(Failure::from)
            .and_then(|view| measure(table.clone(), &view.snapshot()?, newest_noted(&reader, &table.name)?, &store));
        match stat {
            Ok((stat, has_gaps)) => {
                exit = exit.worse(if has_gaps { Exit::Damaged } else { Exit::Done });
                stats.push(stat);
            }
            // One table's trouble does not hide the others.
            Err(failure) => {
                failure.report();
                exit = exit.worse(failure.exit);
            }
        }
    }
    let mut anchors: Vec<_> = reader.anchors()?.into_iter().map(Anchor::from).collect();
    if wanted.is_some() {
        anchors.retain(|anchor| stats.iter().any(|table| table.origin == anchor.origin));
    }
    let stat = StoreStat { store: store.display().to_string(), tables: stats, anchors };
    if arguments.json {
        json(&stat)?;
    } else {
        line(&for_people(&stat))?;
    }
    Ok(exit)
}

fn newest_noted(reader: &Reader, table: &str) -> Result<Option<LastCheckpoint>, Failure> {
    let key = reader.key()?.map(|key| key.key);
    let is_signed = |shown: &ShownCheckpoint| {
        let note = shown.note();
        note.is_some_and(|note| key.as_ref().is_none_or(|key| note.verify(std::slice::from_ref(key)).is_ok()))
    };
    let noted = reader.checkpoints(table)?;
    let newest = noted.iter().map(|shown| (shown.head().size, is_signed(shown))).max();
    Ok(newest.map(|(size, signed)| LastCheckpoint { size, signed }))
}

fn last_checkpoint(last: Option<LastCheckpoint>) -> String {
    let said =
        |last: LastCheckpoint| format!("size {}, {}", last.size, if last.signed { "signed" } else { "unsigned" });
    last.map_or_else(|| "none".to_owned(), said)
}

/// The caller's records: how many, their bytes and their times.
struct Tally {
    records: u64,
    bytes: u64,
    times: TimeBounds,
}

/// What a table holds, and whether anything of it is lost. Records are read only if something is.
fn measure(
    table: TableInfo,
    snapshot: &Snapshot,
    last_checkpoint: Option<LastCheckpoint>,
    store: &Path,
) -> Result<(TableStat, bool), Failure> {
    let segments = unless_damaged(snapshot.segments())?;
    // A head is shown only for what is durable.
    let head = unless_damaged(snapshot.head_at(snapshot.durable_end()))?;
    let lost = lost_at_end(snapshot, known_end(&table), store);
    let is_whole = head.is_some() && !snapshot.is_damaged() && segments.as_deref().is_some_and(|s| covers(s, snapshot));
    let mut tally = Tally { records: 0, bytes: 0, times: TimeBounds::EMPTY };
    if is_whole {
        for segment in segments.iter().flatten() {
            tally.records += segment.caller_count;
            tally.bytes += segment.payload_bytes;
            tally.times.merge(segment.times);
        }
    } else {
        let mut cursor = snapshot.cursor(&Query { gaps: true, ..Query::new() });
        while let Some(item) = cursor.next() {
            match item? {
                Item::Record(record) => {
                    tally.records += 1;
                    tally.bytes += u64::from(record.payload_len());
                    tally.times.include(record.time);
                }
                Item::Gap(gap) => name_gap(&table.name, &gap),
            }
        }
        if cursor.stats().segments_salvaged > 0 {
            note(&format!("bulla: table {}: a segment's header or index cannot be read", table.name));
        }
    }
    if let Some(gap) = &lost {
        name_gap(&table.name, gap);
    }
    let shown = |time| (!tally.times.is_empty()).then(|| times::show(time));
    let stat = TableStat {
        table: table.name,
        log: table.log.to_string(),
        origin: table.origin,
        codec: table.codec,
        erasable: table.erasable,
        records: tally.records,
        size: snapshot.end().0,
        bytes: tally.bytes,
        floor: snapshot.floor().0,
        durable_end: snapshot.durable_end().0,
        head: head.filter(|_| is_whole).map(|head| head.root.to_string()),
        time_min: shown(tally.times.min),
        time_max: shown(tally.times.max),
        segments: segments.as_ref().map(|segments| segments.len() as u64),
        last_checkpoint,
        holds: 0,
        disk_bytes: segments.map(|segments| segments.iter().map(|segment| segment.file_bytes).sum()),
    };
    Ok((stat, lost.is_some() || !is_whole))
}

/// `None` where damage keeps us from knowing.
fn unless_damaged<T>(asked: Result<T, LogError>) -> Result<Option<T>, Failure> {
    match asked {
        Err(error) if error.is_damage() => Ok(None),
        asked => Ok(Some(asked?)),
    }
}

/// Whether `segments` hold every position that `snapshot` has.
fn covers(segments: &[SegmentInfo], snapshot: &Snapshot) -> bool {
    let mut next = snapshot.floor();
    segments.iter().all(|segment| std::mem::replace(&mut next, segment.positions.end) == segment.positions.start)
        && next >= snapshot.end()
}

fn name_gap(table: &str, gap: &Gap) {
    let (from, to, cause) = (gap.positions.start, gap.positions.end, chain(&gap.cause));
    note(&format!("bulla: table {table}: gap: positions {from}..{to} cannot be read: {cause}"));
}

fn for_people(stat: &StoreStat) -> String {
    let unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let number =
        |known: Option<u64>, unit| known.map_or_else(|| "unknown".to_owned(), |number| format!("{number}{unit}"));
    let mut blocks = Vec::new();
    for table in &stat.tables {
        let mut rows = plain_table();
        for (name, value) in [
            ("table", escape(table.table.as_bytes())),
            ("records", table.records.to_string()),
            ("size", format!("{} positions, durable below {}", table.size, table.durable_end)),
            ("bytes", table.bytes.to_string()),
            ("floor", table.floor.to_string()),
            ("head", unknown(&table.head)),
            ("times", format!("{} to {}", unknown(&table.time_min), unknown(&table.time_max))),
            ("segments", number(table.segments, "")),
            ("last checkpoint", last_checkpoint(table.last_checkpoint)),
            ("holds", table.holds.to_string()),
            ("disk use", number(table.disk_bytes, " bytes")),
            ("codec", escape(table.codec.as_bytes())),
            ("erasable", if table.erasable { "yes" } else { "no" }.to_owned()),
            ("origin", escape(table.origin.as_bytes())),
        ] {
            rows.add_row([name.to_owned(), value]);
        }
        for anchor in stat.anchors.iter().filter(|anchor| anchor.origin == table.origin) {
            rows.add_row([format!("anchor {}", anchor.name), anchor.text()]);
        }
        blocks.push(rows.trim_fmt());
    }
    // The journal has no block of its own but for this.
    let is_table = |anchor: &Anchor| stat.tables.iter().any(|table| table.origin == anchor.origin);
    let mut rows = plain_table();
    for anchor in stat.anchors.iter().filter(|anchor| !is_table(anchor) && anchor.noted.is_some()) {
        rows.add_row([
            format!("anchor {}", anchor.name),
            format!("{}: {}", escape(anchor.origin.as_bytes()), anchor.text()),
        ]);
    }
    if !rows.is_empty() {
        blocks.push(rows.trim_fmt());
    }
    if blocks.is_empty() { "no tables".to_owned() } else { blocks.join("\n\n") }
}
