//! What the journal's rows add up to.
//!
//! # Invariants
//!
//! - J3. Rows are applied in order, each once. One that contradicts those before it is refused and named; whoever reads on
//!   after that, or after a row that could not be read, knows the rest to be partial, and there contradictions mean nothing.
//! - J4. A state row says exactly what the rows before it say.

use super::row::{JournalRow, KeyNow, RowError, TableNow, TableRow};
use crate::error::Error;
use crate::keys::is_signed_by;
use crate::layout::{LogDir, is_name, table_origin};
use bulla_chain::{Authority, Note, TreeHead, VerifierKey};
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
    /// The newest head of it that the journal has: of when it was last closed, or a checkpoint of it was made.
    pub head: Option<TreeHead>,
    /// The size of the newest head of which a checkpoint was noted.
    pub checkpointed: Option<u64>,
}

/// The key that a store's checkpoints are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreKey {
    /// What to check signatures with. Who does not know it from elsewhere knows nothing by it.
    pub key: VerifierKey,
    /// Where the private key was said to be; empty if that was not said.
    pub file: String,
}

/// That one key was followed by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyChange {
    pub(crate) old: VerifierKey,
    pub(crate) new: VerifierKey,
    /// What the old key allowed: the row, right behind the head it names. That this was the journal's head, verification
    /// finds out.
    pub(crate) authority: Authority,
}

/// That somebody allowed a record that excuses what is not there. Whether his key is worth anything is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// The log, its head right before the record, and the record.
    pub(crate) authority: Authority,
    /// Its text, with signatures.
    pub(crate) note: Note,
}

/// The sum of the rows up to a position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct JournalState {
    /// The store's name; empty before its creation was recorded.
    pub(crate) name: String,
    /// What its tables' segments grow to, if its creator said so.
    pub(crate) segment_bytes: Option<u64>,
    pub(crate) tables: BTreeMap<String, TableInfo>,
    /// Which log the rows are read from, once they are.
    pub(crate) log: Option<LogId>,
    /// What checkpoints are signed with.
    pub(crate) key: Option<StoreKey>,
    /// The changes of that key in the rows read; those before the first state row read are not among them.
    pub(crate) key_changes: Vec<KeyChange>,
    /// What was allowed in the rows read; what state rows stand for is not among it.
    pub(crate) allowed: Vec<Allowed>,
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
        let mut state = Self { log: Some(journal.log_id()), ..Self::default() };
        let mut rows = Vec::new();
        let mut cursor = journal.cursor(&query);
        while let Some(item) = cursor.next() {
            let is_end = item.is_err();
            match read(dir, item) {
                Ok(row) => {
                    let is_state = matches!(row.row, JournalRow::State { .. } | JournalRow::StateNow { .. });
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
        self.log = Some(journal.log_id());
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
                self.insert(TableRow { name, log, codec, erasable, created, schemas, head: None }, None)?;
            }
            JournalRow::SchemaSeen { table, schema } => {
                let table = self.tables.get_mut(&table).ok_or_else(|| format!("no table {table} has schemas"))?;
                match table.schemas.binary_search(&SchemaId(schema)) {
                    Ok(_) => return Err(format!("schema {schema} of table {} is seen again", table.name)),
                    Err(place) => table.schemas.insert(place, SchemaId(schema)),
                }
            }
            JournalRow::HeadSeen { log, head } => {
                let (table, head) = self.table_of(LogId(log), head.into())?;
                if table.head.is_some_and(|seen| head.size == seen.size) {
                    return Err(format!("the head of table {} stays at {}", table.name, head.size));
                }
                table.head = Some(head);
            }
            JournalRow::Checkpointed { log, head } => {
                let (table, head) = self.table_of(LogId(log), head.into())?;
                if table.checkpointed == Some(head.size) {
                    return Err(format!("the checkpoint of table {} stays at {}", table.name, head.size));
                }
                table.head = Some(head);
                table.checkpointed = Some(head.size);
            }
            JournalRow::Reserved => return Err(String::from("nobody writes such a row")),
            JournalRow::KeySet { key, file, note } => self.apply_key(&key, file, note)?,
            JournalRow::Allowed { log, position, note } => {
                let note: Note = note.parse().map_err(|error| format!("an authority is no note: {error}"))?;
                let authority: Authority = note.text().parse().map_err(|error| format!("{error}"))?;
                if (authority.log, authority.head.size) != (LogId(log), position) {
                    return Err(format!("an authority for position {position} of log {} is over another", LogId(log)));
                }
                self.allowed.push(Allowed { authority, note });
            }
            JournalRow::State { name, segment_bytes, tables } => {
                let tables = tables.into_iter().map(|table| TableNow { table, checkpointed: None }).collect();
                return self.apply_state(name, segment_bytes, tables, None);
            }
            JournalRow::StateNow { name, segment_bytes, tables, key } => {
                return self.apply_state(name, segment_bytes, tables, key);
            }
        }
        Ok(())
    }

    /// The table with that log, if the head may follow the newest one seen of it.
    fn table_of(&mut self, log: LogId, head: TreeHead) -> Result<(&mut TableInfo, TreeHead), String> {
        let table = self.tables.values_mut().find(|table| table.log == log);
        let table = table.ok_or_else(|| format!("no table has the log {log}"))?;
        match table.head {
            Some(seen) if head.size < seen.size => {
                Err(format!("the head of table {} falls to {}", table.name, head.size))
            }
            Some(seen) if head.size == seen.size && head != seen => {
                Err(format!("table {} has two heads at {}", table.name, head.size))
            }
            _ => Ok((table, head)),
        }
    }

    /// The first key comes alone, each other with what the one before it signed.
    fn apply_key(&mut self, key: &str, file: String, note: Option<String>) -> Result<(), String> {
        let new = store_key(key, file)?;
        match (&self.key, note) {
            (None, None) => {}
            (None, Some(_)) => {
                return Err(String::from("the first key has an authority, and nobody can have signed it"));
            }
            (Some(_), None) => return Err(String::from("the key changes without an authority")),
            (Some(old), Some(note)) => {
                let note: Note = note.parse().map_err(|error| format!("the authority of a key is no note: {error}"))?;
                let authority: Authority = note.text().parse().map_err(|error| format!("{error}"))?;
                let action = JournalRow::KeySet { key: key.to_owned(), file: new.file.clone(), note: None }.encode();
                if authority != Authority::over(authority.log, authority.head, Kind::ROW, &action) {
                    return Err(String::from("the authority of a key is over something else"));
                }
                if self.log.is_some_and(|log| log != authority.log) {
                    return Err(format!("the authority of a key is over log {}", authority.log));
                }
                if !is_signed_by(&note, &old.key) {
                    return Err(String::from("the authority of a key is not signed by the one before"));
                }
                let change = KeyChange { old: old.key.clone(), new: new.key.clone(), authority };
                self.key_changes.push(change);
            }
        }
        self.key = Some(new);
        Ok(())
    }

    /// J4. What a state row says counts from here on, even if it contradicts what was read before.
    fn apply_state(
        &mut self,
        name: String,
        segment_bytes: Option<u64>,
        tables: Vec<TableNow>,
        key: Option<KeyNow>,
    ) -> Result<(), String> {
        let (name, end, is_partial) = (checked(name)?, self.end, self.is_partial);
        let key = key.map(|KeyNow { key, file }| store_key(&key, file)).transpose()?;
        let (key_changes, allowed) = (self.key_changes.clone(), self.allowed.clone());
        let (tables_said, log) = (BTreeMap::new(), self.log);
        let mut said =
            Self { name, segment_bytes, tables: tables_said, log, key, key_changes, allowed, end, is_partial };
        let is_sorted = tables.is_sorted_by(|left, right| left.table.name < right.table.name);
        for TableNow { table, checkpointed } in tables {
            if checkpointed > table.head.map(|head| TreeHead::from(head).size) {
                return Err(format!("a checkpoint of table {} above its head", table.name));
            }
            said.insert(table, checkpointed)?;
        }
        let agrees = !self.is_created() || self.is_partial || *self == said;
        *self = said;
        match (agrees, is_sorted) {
            (true, true) => Ok(()),
            (false, _) => Err(String::from("the state is not what the records before it add up to")),
            (_, false) => Err(String::from("the state's tables are not in order")),
        }
    }

    fn insert(&mut self, row: TableRow, checkpointed: Option<u64>) -> Result<(), String> {
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
            checkpointed,
            name: name.clone(),
        };
        self.tables.insert(name, table);
        Ok(())
    }

    /// J4. The row that says all this.
    pub(crate) fn to_row(&self) -> JournalRow {
        let table = |table: &TableInfo| TableNow {
            table: TableRow {
                name: table.name.clone(),
                log: table.log.0,
                codec: table.codec.clone(),
                erasable: table.erasable,
                created: table.created.0,
                schemas: table.schemas.iter().map(|schema| schema.0).collect(),
                head: table.head.map(Into::into),
            },
            checkpointed: table.checkpointed,
        };
        JournalRow::StateNow {
            name: self.name.clone(),
            segment_bytes: self.segment_bytes,
            tables: self.tables.values().map(table).collect(),
            key: self.key.as_ref().map(|key| KeyNow { key: key.key.to_string(), file: key.file.clone() }),
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
    matches!(row, JournalRow::StoreCreated { .. } | JournalRow::State { .. } | JournalRow::StateNow { .. })
}

fn store_key(key: &str, file: String) -> Result<StoreKey, String> {
    let key = key.parse().map_err(|error| format!("the store's key is none: {error}"))?;
    Ok(StoreKey { key, file })
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

    fn checkpointed(log: u8, size: u64, root: u8) -> JournalRow {
        let head = Head::from(TreeHead { size, root: Digest([root; 32]) });
        JournalRow::Checkpointed { log: [log; 16], head }
    }

    const KEY: &str = "acme+d21bfac3+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
    const OTHER_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    fn key(key: &str, note: Option<String>) -> JournalRow {
        JournalRow::KeySet { key: key.into(), file: "k".into(), note }
    }

    /// What the key before signs for `row`. A build without signatures looks at the key's id alone.
    fn authority_for(row: &JournalRow) -> String {
        let head = TreeHead { size: 9, root: Digest([9; 32]) };
        let text = Authority::over(LogId([3; 16]), head, Kind::ROW, &row.encode()).to_string();
        #[cfg(feature = "ed25519")]
        let note = {
            let signer = bulla_chain::NoteSigner::from_seed("acme", &[7; 32]).unwrap();
            Note::new(text.clone(), vec![signer.sign(&text)]).unwrap().to_string()
        };
        #[cfg(not(feature = "ed25519"))]
        let note = format!("{text}\n\u{2014} acme 0hv6wwAA\n");
        note
    }

    /// The right text, and another's signature.
    fn forged() -> String {
        let authority = authority_for(&key(OTHER_KEY, None));
        let (text, _) = authority.split_once("\n\n").unwrap();
        format!("{text}\n\n\u{2014} acme AAAAAAA=\n")
    }

    fn example() -> JournalState {
        let mut state = JournalState::default();
        let store = JournalRow::StoreCreated { name: "shop".into(), segment_bytes: Some(65_536) };
        let rows = [created("b", 1), created("a", 2), schema("b", 2), head(1, 10), head(1, 12), checkpointed(1, 12, 1)];
        for row in [vec![store, key(KEY, None)], rows.to_vec()].concat() {
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
        assert_eq!((table.head.map(|head| head.size), table.checkpointed), (Some(12), Some(12)));
        assert_eq!(state.key, Some(StoreKey { key: KEY.parse().unwrap(), file: "k".into() }));
        assert_eq!(state.key_changes, []);
    }

    #[test]
    fn a_key_is_followed_by_the_one_it_allows() {
        let mut state = example();
        let note = authority_for(&key(OTHER_KEY, None));
        state.apply(key(OTHER_KEY, Some(note.clone())), Time(8)).unwrap();
        assert_eq!(state.key.as_ref().map(|key| key.key.to_string()), Some(OTHER_KEY.into()));
        let change = &state.key_changes[0];
        assert_eq!((change.old.to_string(), change.new.to_string()), (KEY.into(), OTHER_KEY.into()));
        assert_eq!(change.authority.log, LogId([3; 16]));
        // It is for this store's journal alone.
        let mut other = JournalState { log: Some(LogId([4; 16])), ..example() };
        assert!(other.apply(key(OTHER_KEY, Some(note)), Time(8)).unwrap_err().contains("over log 0303"));
    }

    /// J4. What an earlier version wrote: nothing was checkpointed, and there is no key.
    #[test]
    fn an_old_state_row_still_counts() {
        let JournalRow::StateNow { name, segment_bytes, tables, .. } = example().to_row() else { panic!() };
        let old = JournalRow::State { name, segment_bytes, tables: tables.into_iter().map(|now| now.table).collect() };
        let mut state = JournalState::default();
        state.apply(old.clone(), Time(0)).unwrap();
        assert_eq!((state.key.clone(), state.tables["b"].checkpointed), (None, None));
        assert_eq!(state.tables["b"].head.map(|head| head.size), Some(12));
        state.apply(old.clone(), Time(0)).unwrap();
        // It cannot take back what was said since.
        assert!(example().apply(old, Time(0)).is_err());
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
            (head(1, 11), "falls to 11"),
            (head(1, 12), "stays at 12"),
            (checkpointed(9, 1, 1), "no table has the log"),
            (checkpointed(1, 11, 1), "falls to 11"),
            (checkpointed(1, 12, 1), "stays at 12"),
            (checkpointed(1, 12, 2), "two heads at 12"),
            (key(OTHER_KEY, None), "without an authority"),
            (key("acme", Some(authority_for(&key("acme", None)))), "key is none"),
            (key(OTHER_KEY, Some("nothing".into())), "no note"),
            (key(OTHER_KEY, Some(authority_for(&key(KEY, None)))), "over something else"),
            (key(OTHER_KEY, Some(forged())), "not signed by the one before"),
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
