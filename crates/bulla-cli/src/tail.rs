//! `bulla tail`: the newest records, then new ones as they become durable.

use crate::exit::{Exit, Failure};
use crate::operands;
use crate::output::{Format, Printer};
use crate::reading::{lost_at_end, open_view, print_all};
use bulla::{Content, Item, Order, Position, Query, Record, Snapshot};
use clap::Args;
use std::ffi::OsString;
use std::time::Duration;

/// How long one look at the store may take when nothing happens.
const LOOK: Duration = Duration::from_secs(1);

/// Print the newest records of a table, then new ones as they become durable
#[derive(Args)]
#[command(override_usage = "bulla tail [OPTIONS] STORE T")]
pub(crate) struct Arguments {
    /// Store and table; STORE may be left out if $BULLA_STORE is set
    #[arg(value_name = "STORE", num_args = 0..=2)]
    operands: Vec<OsString>,

    /// Go on with new records, whichever process writes them, until stopped
    #[arg(short, long)]
    follow: bool,

    /// How many of the newest records come first
    #[arg(short, value_name = "N", default_value_t = 10)]
    n: u64,

    /// How records are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (store, [table]) = operands::exactly(&arguments.operands, ["T"])?;
    let (view, known_end) = open_view(&store, &table)?;
    let snapshot = view.snapshot()?;
    let lost = lost_at_end(&snapshot, known_end, &store);
    let snapshot = snapshot.durable();
    let end = snapshot.end();
    let mut printer = Printer::new(arguments.format);
    let query = Query { from: Some(newest(&snapshot, arguments.n)?), gaps: true, ..Query::new() };
    let mut walk = print_all(&mut snapshot.cursor(&query), u64::MAX, &mut printer)?;
    if let Some(gap) = &lost {
        printer.gap(gap)?;
        walk.is_damaged = true;
    }
    printer.flush()?;
    if !arguments.follow {
        return Ok(walk.exit());
    }

    let mut tail = view.tail(end);
    loop {
        let Some(entry) = tail.next_timeout(LOOK)? else {
            // Nothing new: what was printed has been flushed.
            continue;
        };
        printer.record(&Record {
            position: entry.position,
            kind: entry.kind,
            time: entry.time,
            schema: entry.schema,
            salted: false,
            content: Content::Payload { salt: None, bytes: &entry.row },
        })?;
        printer.flush()?;
    }
}

/// Where the newest `count` records begin, found from the end so that none is kept in memory.
fn newest(snapshot: &Snapshot, count: u64) -> Result<Position, Failure> {
    let query = Query { order: Order::Descending, gaps: true, ..Query::new() };
    let mut cursor = snapshot.cursor(&query);
    let mut begin = snapshot.end();
    let mut seen_count = 0;
    while seen_count < count
        && let Some(item) = cursor.next()
    {
        match item? {
            Item::Record(record) => {
                begin = record.position;
                seen_count += 1;
            }
            Item::Gap(gap) => begin = gap.positions.start,
        }
    }
    Ok(begin)
}
