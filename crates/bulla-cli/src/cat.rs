//! `bulla cat`: the records of a table.
//!
//! # Invariants
//!
//! - C1. Pages joined by their cursors give each record once, whatever the records' times, in either order.
//! - C2. Damage stops nothing: what validates is printed, each gap is named, and the exit code is 4.

use crate::exit::{Exit, Failure};
use crate::operands;
use crate::output::{Format, Printer, note, note_undurable};
use crate::reading::{Walk, lost_at_end, open_view, print_all};
use crate::times;
use bulla::{CursorToken, Order, Position, Query, RawView, Snapshot, Time};
use clap::Args;
use std::ffi::OsString;

/// Print the records of a table in the order of their positions
#[derive(Args)]
#[command(
    override_usage = "bulla cat [OPTIONS] STORE T",
    after_help = "\
The last line on stderr is `cursor: TOKEN`. The same call with `--after TOKEN` goes on from there, also after new \
records came, and gives each record exactly once."
)]
pub(crate) struct Arguments {
    /// Store and table; STORE may be left out if $BULLA_STORE is set
    #[arg(value_name = "STORE", num_args = 0..=2)]
    operands: Vec<OsString>,

    /// Only records of this time and later, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = times::from_text)]
    from: Option<Time>,

    /// Only records before this time, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = times::from_text)]
    to: Option<Time>,

    /// Newest first, by position
    #[arg(long)]
    desc: bool,

    /// At most so many records
    #[arg(short, value_name = "N")]
    n: Option<u64>,

    /// Go on where an earlier call with the same order ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,

    /// The engine's own records too
    #[arg(long)]
    all: bool,

    /// How records are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (store, [table]) = operands::exactly(&arguments.operands, ["T"])?;
    let order = if arguments.desc { Order::Descending } else { Order::Ascending };
    let (view, known_end) = open_view(&store, &table)?;
    let begin = match &arguments.after {
        Some(text) => Some(place::read(&view, order, text)?),
        None => None,
    };

    let snapshot = view.snapshot()?;
    let mut query = Query {
        from_time: arguments.from,
        to_time: arguments.to,
        order,
        engine: arguments.all,
        gaps: true,
        ..Query::new()
    };
    match order {
        Order::Ascending => query.from = begin,
        Order::Descending => query.to = begin,
    }
    let mut printer = Printer::new(arguments.format);
    let lost = lost_at_end(&snapshot, known_end, &store);
    let limit = arguments.n.unwrap_or(u64::MAX);
    let is_first_page = begin.is_none();
    if let (Order::Descending, true, Some(gap)) = (order, is_first_page, &lost) {
        printer.gap(gap)?;
    }
    let mut walk = print_all(&mut snapshot.cursor(&query), limit, &mut printer)?;
    if let (Order::Ascending, true, Some(gap)) = (order, walk.has_ended, &lost) {
        printer.gap(gap)?;
    }
    walk.is_damaged |= lost.is_some();
    printer.flush()?;
    note_undurable(snapshot.durable_end(), snapshot.end());
    let token = view.token(order, place::after(&walk, order, begin, &snapshot));
    note(&format!("cursor: {token}"));
    Ok(walk.exit())
}

/// Where a walk stands: the position it goes on with or, newest first, the one above it.
mod place {
    use super::{CursorToken, Failure, Order, Position, RawView, Snapshot, Walk};

    /// The place in a token, which the table refuses if it is another log's or another order's.
    pub(super) fn read(view: &RawView, order: Order, text: &str) -> Result<Position, Failure> {
        let token: CursorToken = text.parse().map_err(|error| Failure::in_field("--after", &error))?;
        Ok(view.place(order, &token)?)
    }

    /// Where `walk` ended, having begun at `begin`. At the end of what there is, oldest first goes on behind what is
    /// durable and not behind what was read: positions that no sync covers may go to other records after a crash.
    pub(super) fn after(walk: &Walk, order: Order, begin: Option<Position>, snapshot: &Snapshot) -> Position {
        match (order, walk.last) {
            (Order::Descending, Some((first, _))) => first,
            (Order::Descending, None) => begin.unwrap_or(snapshot.end()),
            (Order::Ascending, last) => {
                let next = last.and_then(|(_, last)| last.next()).or(begin).unwrap_or(Position::ZERO);
                if walk.has_ended { next.max(snapshot.durable_end()) } else { next }
            }
        }
    }
}
