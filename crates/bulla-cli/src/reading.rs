//! What the verbs that only read share: opening a table beside a live writer, and walking it in spite of damage.

use crate::exit::{Exit, Failure};
use crate::output::{Printer, note};
use bulla::{Cursor, Gap, Item, LogError, Position, Query, RawView, Reader, Snapshot, TableInfo};
use std::path::Path;

/// The table `name` of the store in `store`, with no lock taken and nothing created.
pub(crate) fn open_view(store: &Path, name: &str) -> Result<(RawView, Position), Failure> {
    let reader = Reader::open(store)?;
    let view = raw_view(&reader, name)?;
    let table = reader.tables()?.into_iter().find(|table| table.name == name);
    Ok((view, table.map_or(Position::ZERO, |table| known_end(&table))))
}

/// The table `name`. Where a part of the journal cannot be read, one that is not found may be named there: that is damage.
pub(crate) fn raw_view(reader: &Reader, name: &str) -> Result<RawView, Failure> {
    reader.raw(name).map_err(|error| match error {
        bulla::Error::NoSuchTable { .. } if reader.is_damaged() => {
            Failure::new(Exit::Damaged, format!("{error}, as far as its journal can be read"))
        }
        error => error.into(),
    })
}

/// The end that the journal knows the table to have had.
pub(crate) fn known_end(table: &TableInfo) -> Position {
    table.head.map_or(Position::ZERO, |head| Position(head.size))
}

/// What the journal knows of and the log has lost without a trace of its own: it was cut off.
pub(crate) fn lost_at_end(snapshot: &Snapshot, known_end: Position, store: &Path) -> Option<Gap> {
    let mut begin = snapshot.end();
    // What the log itself sees missing there, a walk names.
    let mut rest = snapshot.cursor(&Query { from: Some(begin), engine: true, gaps: true, ..Query::new() });
    while let Some(Ok(Item::Gap(gap))) = rest.next() {
        begin = gap.positions.end;
    }
    let cause = || LogError::Missing { dir: store.to_owned(), position: begin };
    (begin < known_end).then(|| Gap { positions: begin..known_end, cause: cause() })
}

/// What a walk came across.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Records printed.
    pub(crate) record_count: u64,
    /// The last record printed or gap named: its first and its last position.
    pub(crate) last: Option<(Position, Position)>,
    /// Whether nothing is left, as far as the walk could see.
    pub(crate) has_ended: bool,
    /// Whether there were gaps, or segments of which not everything could be read although all records were.
    pub(crate) is_damaged: bool,
}

impl Walk {
    /// The exit code of what was seen.
    pub(crate) fn exit(&self) -> Exit {
        if self.is_damaged { Exit::Damaged } else { Exit::Done }
    }
}

/// Prints at most `limit` records of `cursor`, and names the gaps between them, neighbouring ones as one.
pub(crate) fn print_all(cursor: &mut Cursor, limit: u64, printer: &mut Printer) -> Result<Walk, Failure> {
    let mut walk = Walk::default();
    let mut pending: Option<Gap> = None;
    while walk.record_count < limit {
        let Some(item) = cursor.next() else {
            walk.has_ended = true;
            break;
        };
        // What was lost is named before what comes next, an error included.
        if !matches!(item, Ok(Item::Gap(_)))
            && let Some(gap) = pending.take()
        {
            printer.gap(&gap)?;
        }
        match item? {
            Item::Record(record) => {
                printer.record(&record)?;
                walk.record_count += 1;
                walk.last = Some((record.position, record.position));
            }
            Item::Gap(gap) => {
                walk.is_damaged = true;
                let last = Position(gap.positions.end.0.saturating_sub(1).max(gap.positions.start.0));
                walk.last = Some((gap.positions.start, last));
                pending = Some(match pending {
                    Some(before) if before.positions.end == gap.positions.start => {
                        Gap { positions: before.positions.start..gap.positions.end, ..before }
                    }
                    Some(before) if before.positions.start == gap.positions.end => {
                        Gap { positions: gap.positions.start..before.positions.end, ..gap }
                    }
                    Some(before) => {
                        printer.gap(&before)?;
                        gap
                    }
                    None => gap,
                });
            }
        }
    }
    if let Some(gap) = pending {
        printer.gap(&gap)?;
    }
    walk.is_damaged |= note_salvaged(cursor, printer)?;
    Ok(walk)
}

/// Names segments whose records were found without the header or index that should have led to them.
fn note_salvaged(cursor: &Cursor, printer: &mut Printer) -> Result<bool, Failure> {
    let is_salvaged = cursor.stats().segments_salvaged > 0;
    if is_salvaged {
        printer.flush()?;
        note("bulla: a segment's header or index cannot be read; its records were looked for without");
    }
    Ok(is_salvaged)
}
