//! `bulla get`: one record.

use crate::exit::{Exit, Failure};
use crate::operands;
use crate::output::{Format, Printer};
use crate::reading::{lost_at_end, open_view};
use bulla::{Gap, Item, LogError, Position, Query};
use clap::Args;
use std::ffi::OsString;

/// Print one record, the engine's own included
#[derive(Args)]
#[command(override_usage = "bulla get [OPTIONS] STORE T POSITION")]
pub(crate) struct Arguments {
    /// Store, table and position; STORE may be left out if $BULLA_STORE is set
    #[arg(value_name = "STORE", num_args = 0..=3)]
    operands: Vec<OsString>,

    /// How the record is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (store, [table, position]) = operands::exactly(&arguments.operands, ["T", "POSITION"])?;
    let position = position
        .parse()
        .map(Position)
        .map_err(|_| Failure::new(Exit::Usage, format!("{position:?} is not a position, a number from 0 on")))?;

    let (view, known_end) = open_view(&store, &table)?;
    let snapshot = view.snapshot()?;
    if position < snapshot.floor() {
        return Err(LogError::Pruned { below: snapshot.floor() }.into());
    }
    let mut printer = Printer::new(arguments.format);
    // A walk that names gaps also reaches a record whose neighbours are damaged.
    let query = Query { from: Some(position), to: position.next(), engine: true, gaps: true, ..Query::new() };
    let mut cursor = snapshot.cursor(&query);
    let lost = match cursor.next().transpose()? {
        Some(Item::Record(record)) => {
            printer.whole_record(&record)?;
            None
        }
        Some(Item::Gap(gap)) => Some(gap),
        None => {
            let end = snapshot.end();
            let lost = lost_at_end(&snapshot, known_end, &store).filter(|gap| gap.positions.contains(&position));
            Some(lost.ok_or_else(|| {
                Failure::new(Exit::Input, format!("position {position}: table {table} ends below {end}"))
            })?)
        }
    };
    let exit = if lost.is_some() { Exit::Damaged } else { Exit::Done };
    if let Some(gap) = lost {
        let end = position.next().unwrap_or(position);
        printer.gap(&Gap { positions: position..end, ..gap })?;
    }
    printer.flush()?;
    Ok(exit)
}
