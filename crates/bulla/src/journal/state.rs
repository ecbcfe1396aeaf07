//! What the journal's rows add up to.
//!
//! # Invariants
//!
//! - J3. Rows are applied in order, each once. One that contradicts those before it is refused and named; whoever reads on
//!   after that, or after a row that could not be read, knows the rest to be partial, and there contradictions mean nothing.
//! - J4. A state row says exactly what the rows before it say.

use super::row::{JournalRow, RowError, TableRow};
use crate::error::Error;
use crate::layout::{LogDir, is_name, table_origin};
use bulla_chain::TreeHead;
use bulla_log::{Item, Order, Query, Snapshot};
use bulla_wire::{Kind, LogId, Position, Record, SchemaId, Time};
use std::collections::BTreeMap;
use std::path::Path;

/// What the journal says of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// Its current generation.
    pub log: LogId,
    /// How rows become bytes: the codec's name.
    pub codec: String,
    /// Whether rows carry salts.
    pub erasable: bool,
    /// When it was created.
    pub created: Time,
    /// What it is called in its genesis record and checkpoints.
    pub origin: String,
    /// The schemas it was opened for writing with, least first.
    pub schemas: Vec<SchemaId>,
    /// The head it had when it was last closed.
    pub head: Option<TreeHead>,
}

/// The sum of the rows up to a position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct JournalState {
    /// The store's name; empty before its creation was recorded.
    pub(crate) name: String,
    /// What its tables' segments grow to, if its creator said so.
    pub(crate) segment_bytes: Option<u64>,
    pub(crate) tables: BTreeMap<String, TableInfo>,
    /// The position after the last record taken in.
    pub(crate) end: Position,
    /// Whether something before `end` could not be read (J3).
    pub(crate) is_partial: bool,
}

/// Hears of what is wrong, and decides whether reading goes on.
pub(crate) type OnProblem<'a> = &'a mut dyn FnMut(Error) -> Result<(), Error>;

impl JournalState {
    /// Whether the store's creation was finished.
    pub(crate) fn is_created(&self) -> bool {
        !self.name.is_empty()
    }

    /// Whether a directory is where a table's log belongs. A named table's own directory is, even without its log in it.
    pub(crate) fn names(&self, found: &LogDir) -> bool {
        self.tables.get(&found.table).is_some_and(|table| match found.log {
            Some(log) => log == table.log,
            None => found.is_ours,
        })
    }

    /// What the journal says at the snapshot's end, read from its newest state row on. `dir` is the store's.
    pub(crate) fn newest(dir: &Path, journal: &Snapshot, on_problem: OnProblem<'_>) -> Result<Self, Error> {
        let query = Query { order: Order::Descending, gaps: true, ..Query::new() };
        let mut state = Self::default();
        let mut rows = Vec::new();
        let mut cursor = journal.cursor(&query);
        while let Some(item) = cursor.next() {
            let is_end = item.is_err();
            match read(dir, item) {
                Ok(row) => {
                    let is_state = matches!(row.row, JournalRow::State { .. });
                    rows.push(row);
                    if is_state {
                        break;
                    }
                }
                Err(problem) => state.stumble(problem, on_problem)?,
            }
            // A cursor that failed says so for ever; only a gap is passed over.
            if is_end {
                break;
            }
        }
        for row in rows.into_iter().rev() {
            state.take(dir, row, on_problem)?;
        }
        state.end = journal.end();
        Ok(state)
    }

    /// Reads on from where this state ends to the end of the snapshot.
    pub(crate) fn follow(&mut self, dir: &Path, journal: &Snapshot, on_problem: OnProblem<'_>) -> Result<(), Error> {
        if journal.end() <= self.end {
            return Ok(());
        }
        let query = Query { from: Some(self.end), gaps: true, ..Query::new() };
        let mut cursor = journal.cursor(&query);
        while let Some(item) = cursor.next() {
            let is_end = item.is_err();
            match read(dir, item) {
                Ok(row) => self.take(dir, row, on_problem)?,
                Err(problem) => self.stumble(problem, on_problem)?,
            }
            // As in `newest`.
            if is_end {
                break;
            }
        }
        self.end = journal.end();
        Ok(())
    }

    fn take(&mut self, dir: &Path, row: Placed, on_problem: OnProblem<'_>) -> Result<(), Error> {
        let Placed { position, time, row } = row;
        match self.apply(row, time) {
            Ok(()) => Ok(()),
            // What it contradicts may be what could not be read.
            Err(_) if self.is_partial => Ok(()),
            Err(what) => self.stumble(Error::JournalContradiction { dir: dir.to_owned(), position, what }, on_problem),
        }
    }

    fn stumble(&mut self, problem: Error, on_problem: OnProblem<'_>) -> Result<(), Error> {
        self.is_partial = true;
        on_problem(problem)
    }

    /// J3. Takes a row in, or says what it contradicts.
    pub(crate) fn apply(&mut self, row: JournalRow, time: Time) -> Result<(), String> {
        if !self.is_created() && !self.is_partial && !is_first(&row) {
            return Err(String::from("the journal does not begin with the store's creation"));
        }
        match row {
            JournalRow::StoreCreated { name, segment_bytes } => {
                if self.is_created() {
                    return Err(String::from("the store is created again"));
                }
                self.name = checked(name)?;
                self.segment_bytes = segment_bytes;
            }
            JournalRow::TableCreated { name, log, codec, erasable, schema } => {
                let schemas = vec![schema];
                let created = time.0;
                self.insert(TableRow { name, log, codec, erasable, created, schemas, head: None })?;
            }
            JournalRow::SchemaSeen { table, schema } => {
                let table = self.tables.get_mut(&table).ok_or_else(|| format!("no table {table} has schemas"))?;
                match table.schemas.binary_search(&SchemaId(schema)) {
                    Ok(_) => return Err(format!("schema {schema} of table {} is seen again", table.name)),
                    Err(place) => table.schemas.insert(place, SchemaId(schema)),
                }
            }
            JournalRow::HeadSeen { log, head } => {
                let (log, head) = (LogId(log), TreeHead::from(head));
                let table = self.tables.values_mut().find(|table| table.log == log);
                let table = table.ok_or_else(|| format!("no table has the log {log}"))?;
                if table.head.is_some_and(|seen| head.size <= seen.size) {
                    return Err(format!("the head of table {} falls to {}", table.name, head.size));
                }
                table.head = Some(head);
            }
            JournalRow::State { name, segment_bytes, tables } => {
                return self.apply_state(name, segment_bytes, tables);
            }
        }
        Ok(())
    }

    /// J4. What a state row says counts from here on, even if it contradicts what was read before.
    fn apply_state(&mut self, name: String, segment_bytes: Option<u64>, tables: Vec<TableRow>) -> Result<(), String> {
        let (name, end, is_partial) = (checked(name)?, self.end, self.is_partial);
        let mut said = Self { name, segment_bytes, tables: BTreeMap::new(), end, is_partial };
        let is_sorted = tables.is_sorted_by(|left, right| left.name < right.name);
        for table in tables {
            said.insert(table)?;
        }
        let agrees = !self.is_created() || self.is_partial || *self == said;
        *self = said;
        match (agrees, is_sorted) {
            (true, true) => Ok(()),
            (false, _) => Err(String::from("the state is not what the records before it add up to")),
            (_, false) => Err(String::from("the state's tables are not in order")),
        }
    }

    fn insert(&mut self, row: TableRow) -> Result<(), String> {
        let name = checked(row.name)?;
        let log = LogId(row.log);
        if self.tables.contains_key(&name) {
            return Err(format!("table {name} is created again"));
        }
        if self.tables.values().any(|table| table.log == log) {
            return Err(format!("log {log} belongs to two tables"));
        }
        if !row.schemas.is_sorted_by(|left, right| left < right) {
            return Err(format!("the schemas of table {name} are not in order"));
        }
        let table = TableInfo {
            log,
            codec: row.codec,
            erasable: row.erasable,
            created: Time(row.created),
            origin: table_origin(&self.name, &name, log),
            schemas: row.schemas.into_iter().map(SchemaId).collect(),
            head: row.head.map(TreeHead::from),
            name: name.clone(),
        };
        self.tables.insert(name, table);
        Ok(())
    }

    /// J4. The row that says all this.
    pub(crate) fn to_row(&self) -> JournalRow {
        let table = |table: &TableInfo| TableRow {
            name: table.name.clone(),
            log: table.log.0,
            codec: table.codec.clone(),
            erasable: table.erasable,
            created: table.created.0,
            schemas: table.schemas.iter().map(|schema| schema.0).collect(),
            head: table.head.map(Into::into),
        };
        JournalRow::State {
            name: self.name.clone(),
            segment_bytes: self.segment_bytes,
            tables: self.tables.values().map(table).collect(),
        }
    }
}

/// A row, where it stands and when it was written.
struct Placed {
    position: Position,
    time: Time,
    row: JournalRow,
}

fn read(dir: &Path, item: Result<Item<'_>, bulla_log::LogError>) -> Result<Placed, Error> {
    match item? {
        Item::Record(record) => decode(dir, &record),
        Item::Gap(gap) => Err(gap.cause.into()),
    }
}

fn decode(dir: &Path, record: &Record<'_>) -> Result<Placed, Error> {
    let position = record.position;
    let payload = record.payload().ok_or_else(|| Error::JournalContradiction {
        dir: dir.to_owned(),
        position,
        what: String::from("a journal record is erased"),
    })?;
    if record.kind != Kind::ROW {
        let what = format!("kind {}", record.kind.0);
        return Err(Error::JournalNewer { dir: dir.to_owned(), position, what });
    }
    match JournalRow::decode(record.schema, payload) {
        Ok(row) => Ok(Placed { position, time: record.time, row }),
        Err(RowError::Newer(what)) => Err(Error::JournalNewer { dir: dir.to_owned(), position, what }),
        Err(RowError::Codec(source)) => Err(Error::JournalRecord { dir: dir.to_owned(), position, source }),
    }
}

fn is_first(row: &JournalRow) -> bool {
    matches!(row, JournalRow::StoreCreated { .. } | JournalRow::State { .. })
}

fn checked(name: String) -> Result<String, String> {
    if is_name(&name) { Ok(name) } else { Err(format!("{name:?} is no name")) }
}

#[cfg(test)]
mod tests {
    use super::super::row::Head;
    use super::*;
    use bulla_chain::Digest;

    fn created(name: &str, log: u8) -> JournalRow {
        JournalRow::TableCreated { name: name.into(), log: [log; 16], codec: "raw".into(), erasable: false, schema: 5 }
    }

    fn head(log: u8, size: u64) -> JournalRow {
        JournalRow::HeadSeen { log: [log; 16], head: Head::from(TreeHead { size, root: Digest([1; 32]) }) }
    }

    fn schema(table: &str, schema: u32) -> JournalRow {
        JournalRow::SchemaSeen { table: table.into(), schema }
    }

    fn example() -> JournalState {
        let mut state = JournalState::default();
        let store = JournalRow::StoreCreated { name: "shop".into(), segment_bytes: Some(65_536) };
        for row in [store, created("b", 1), created("a", 2), schema("b", 2), head(1, 10), head(1, 12)] {
            state.apply(row, Time(7)).unwrap();
        }
        state
    }

    #[test]
    fn rows_add_up() {
        let state = example();
        assert_eq!(state.tables.keys().collect::<Vec<_>>(), ["a", "b"]);
        let table = &state.tables["b"];
        assert_eq!((table.log, table.created, table.origin.as_str()), (LogId([1; 16]), Time(7), "shop/b/01010101"));
        assert_eq!(table.schemas, [SchemaId(2), SchemaId(5)]);
        assert_eq!(table.head.map(|head| head.size), Some(12));
    }

    /// J4.
    #[test]
    fn a_state_row_stands_for_all_rows_before_it() {
        let state = example();
        let mut alone = JournalState::default();
        alone.apply(state.to_row(), Time(0)).unwrap();
        assert_eq!(alone, state);
        let mut again = state.clone();
        again.apply(state.to_row(), Time(0)).unwrap();
        assert_eq!(again, state);

        let mut more = example();
        more.apply(created("c", 3), Time(0)).unwrap();
        assert!(more.apply(state.to_row(), Time(0)).is_err());
        assert_eq!(more, state);
    }

    /// J3.
    #[test]
    fn a_row_that_contradicts_is_refused_and_changes_nothing() {
        let table = [
            (JournalRow::StoreCreated { name: "shop".into(), segment_bytes: Some(65_536) }, "created again"),
            (created("a", 9), "table a is created again"),
            (created("c", 1), "belongs to two tables"),
            (created("C", 9), "no name"),
            (schema("c", 1), "no table c"),
            (schema("b", 5), "seen again"),
            (head(9, 1), "no table has the log"),
            (head(1, 12), "falls to 12"),
        ];
        for (row, expected) in table {
            let mut state = example();
            let what = state.apply(row, Time(0)).unwrap_err();
            assert!(what.contains(expected), "{what}");
            assert_eq!(state, example(), "{expected}");
        }
        let what = JournalState::default().apply(created("a", 1), Time(0)).unwrap_err();
        assert!(what.contains("does not begin"), "{what}");
    }
}
