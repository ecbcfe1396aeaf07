//! What must hold of a store after anything that is no damage.

use crate::world::copy::contents;
use crate::world::oracle::{Oracle, PROBE};
use crate::world::rows::Row;
use crate::world::while_doing;
use bulla::chain::Recovery;
use bulla::{Host, Item, Kind, LogReader, Options, Raw, Reader, RecoveryReport, Schema, Store, Table, TableOptions};
use bulla::{TailKind, Verdict, VerifyOptions};
use bulla_testkit::Random;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A table of rows as they are.
pub(crate) type Bytes = Table<Vec<u8>, Raw>;

/// What opening after harm found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    /// Logs with a torn tail that was set aside.
    pub(crate) torn: u64,
}

impl Found {
    pub(crate) fn add(&mut self, other: Self) {
        self.torn += other.torn;
    }
}

pub(crate) fn bytes_of(store: &Store, name: &str) -> Result<Bytes, bulla::Error> {
    store.table_with(name, &TableOptions::new())
}

/// Holds the store in `dir` against the oracle, and then goes on with it: everything acknowledged is there, nothing else
/// is but what was submitted, a second recovery changes nothing, and what is appended now stays. The oracle learns what
/// that was.
pub(crate) fn after_harm(
    dir: &Path,
    options: &Options,
    oracle: &mut Oracle,
    life: u32,
    random: &mut Random,
) -> Result<Found, String> {
    no_false_alarm(dir, oracle)?;
    let store = match options.clone().create(false).open(dir) {
        Err(error) if !oracle.has_store() && error.is_missing() && !error.is_damage() => {
            return finish_creation(dir, options, oracle, life, random);
        }
        opened => opened.map_err(while_doing("opening after harm"))?,
    };
    recover(&store, oracle)?;
    let mut found = Found::default();
    for (name, report) in store.recovery() {
        found.torn += u64::from(report.tail == TailKind::Torn);
        check_report(&name, &report)?;
    }
    drop(store);
    second_recovery(dir, options)?;
    named_in_records(dir)?;
    go_on(dir, options, oracle, life, random)?;
    Ok(found)
}

/// No crash is called damage, also not before recovery has seen it.
fn no_false_alarm(dir: &Path, oracle: &Oracle) -> Result<(), String> {
    match bulla::verify(dir, &VerifyOptions::default(), &mut |_| {}) {
        Ok(report) if report.verdict() == Verdict::Intact => Ok(()),
        Ok(report) => Err(format!("a false alarm before recovery: {report:?}")),
        Err(error) if !oracle.has_store() && error.is_missing() => Ok(()),
        Err(error) => Err(while_doing("verifying before recovery")(error)),
    }
}

/// Opens every table, and finds those that were acknowledged.
fn recover(store: &Store, oracle: &Oracle) -> Result<(), String> {
    let names: Vec<_> = store.tables().into_iter().map(|table| table.name).collect();
    if let Some(lost) = oracle.tables().iter().find(|name| !names.contains(name)) {
        return Err(format!("table {lost} was acknowledged and is gone"));
    }
    for name in names {
        bytes_of(store, &name).map_err(while_doing("opening a table after harm"))?;
    }
    Ok(())
}

/// A torn tail is in quarantine, whole.
fn check_report(name: &str, report: &RecoveryReport) -> Result<(), String> {
    let is_torn = report.tail == TailKind::Torn;
    let Some(path) = &report.quarantine else {
        return if is_torn { Err(format!("{name}: a tail was cut off and not set aside")) } else { Ok(()) };
    };
    let len = fs::metadata(path).map_err(while_doing("looking into the quarantine"))?.len();
    if !is_torn || len != report.quarantined_bytes || report.cut_from.is_none() {
        return Err(format!("{name}: {len} bytes in quarantine, and the report says {report:?}"));
    }
    Ok(())
}

fn second_recovery(dir: &Path, options: &Options) -> Result<(), String> {
    let look = || contents(dir).map_err(while_doing("listing the store"));
    let before = look()?;
    let store = options.open(dir).map_err(while_doing("opening a second time"))?;
    for table in store.tables() {
        bytes_of(&store, &table.name).map_err(while_doing("opening a table a second time"))?;
    }
    drop(store);
    let after = look()?;
    let changed = before.iter().find(|(path, bytes)| after.get(*path) != Some(bytes));
    match changed.map(|(path, _)| path).or_else(|| after.keys().find(|path| !before.contains_key(*path))) {
        Some(path) => Err(format!("a second recovery changed {}", path.display())),
        None => Ok(()),
    }
}

/// Each file in quarantine has a recovery record that says how long it is and which position it begins at.
fn named_in_records(dir: &Path) -> Result<(), String> {
    let mut records: BTreeMap<_, Vec<(u64, u64)>> = BTreeMap::new();
    for (path, bytes) in contents(dir).map_err(while_doing("listing the store"))? {
        let (Some(home), Some(bytes)) = (path.parent(), bytes) else { continue };
        let Some(log) = home.parent().filter(|_| home.ends_with("quarantine")) else { continue };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(position) = name.split('-').nth(1).and_then(|position| position.parse().ok()) else { continue };
        if !records.contains_key(log) {
            records.insert(log.to_owned(), recovery_records(log)?);
        }
        if !records.get(log).is_some_and(|records| records.contains(&(position, bytes.len() as u64))) {
            return Err(format!("no recovery record names {}, {} bytes", path.display(), bytes.len()));
        }
    }
    Ok(())
}

/// Position and length of what each recovery record of a log names.
fn recovery_records(log: &Path) -> Result<Vec<(u64, u64)>, String> {
    let opened = LogReader::open(&Host::os(), log).and_then(|reader| reader.snapshot());
    let snapshot = opened.map_err(while_doing("reading a log with a quarantine"))?;
    let query = bulla::Query { engine: true, kind: Some(Kind::RECOVERY), ..bulla::Query::new() };
    let (mut cursor, mut found) = (snapshot.cursor(&query), Vec::new());
    while let Some(item) = cursor.next() {
        if let Item::Record(record) = item.map_err(while_doing("reading recovery records"))? {
            let payload = record.payload().ok_or("a recovery record without payload")?;
            let recovery = Recovery::decode(payload).map_err(while_doing("reading a recovery record"))?;
            found.push((recovery.position.0, recovery.quarantined_bytes));
        }
    }
    Ok(found)
}

/// Appends to every table, closes or does not, and finds everything again.
fn go_on(dir: &Path, options: &Options, oracle: &mut Oracle, life: u32, random: &mut Random) -> Result<(), String> {
    let store = options.open(dir).map_err(while_doing("opening to go on"))?;
    let counts = read_all(dir, oracle)?;
    for table in store.tables() {
        // Of many tables a few will do.
        if counts.len() > 8 && random.below(4) > 0 {
            continue;
        }
        let first = counts.get(&table.name).and_then(|counts| counts.get(&PROBE)).copied().unwrap_or(0);
        let len = 1 + random.below(3);
        let rows = Row::batch(oracle.seed, PROBE, life, first, len);
        let opened = bytes_of(&store, &table.name).map_err(while_doing("opening a table to go on"))?;
        opened.append_batch(&rows).map_err(while_doing("appending after harm"))?;
        oracle.ack(&table.name, PROBE, life, first, first + len);
    }
    if random.below(2) == 0 {
        store.close().map_err(while_doing("closing after harm"))?;
    } else {
        drop(store);
    }
    read_all(dir, oracle)?;
    let report = bulla::verify(dir, &VerifyOptions::default(), &mut |_| {});
    let report = report.map_err(while_doing("verifying after harm"))?;
    if report.verdict() == Verdict::Intact { Ok(()) } else { Err(format!("not intact after harm: {report:?}")) }
}

/// Reads every table and holds it against the oracle; gives how many rows of each writer there are.
pub(crate) fn read_all(dir: &Path, oracle: &Oracle) -> Result<BTreeMap<String, BTreeMap<u32, u64>>, String> {
    let reader = Reader::open(dir).map_err(while_doing("opening to read"))?;
    let mut counts = BTreeMap::new();
    for table in reader.tables().map_err(while_doing("listing tables"))? {
        let view = reader.view::<Vec<u8>, Raw>(&table.name, Schema::default());
        let view = view.map_err(while_doing("opening a table to read"))?;
        let rows = view.query().iter().map_err(while_doing("reading"))?;
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(while_doing("reading rows"))?;
        let rows = rows.iter().map(|entry| (entry.position, entry.row.as_slice()));
        counts.insert(table.name.clone(), oracle.check(&table.name, rows)?);
    }
    match oracle.tables().iter().find(|name| !counts.contains_key(*name)) {
        Some(lost) => Err(format!("table {lost} was acknowledged and is not there to be read")),
        None => Ok(counts),
    }
}

/// A creation that was never acknowledged is finished by the next opening, in a directory that held nothing else.
fn finish_creation(
    dir: &Path,
    options: &Options,
    oracle: &mut Oracle,
    life: u32,
    random: &mut Random,
) -> Result<Found, String> {
    let store = options.open(dir).map_err(while_doing("finishing a creation"))?;
    bytes_of(&store, "t").map_err(while_doing("creating a table after an interrupted creation"))?;
    oracle.ack_table("t");
    drop(store);
    second_recovery(dir, options)?;
    go_on(dir, options, oracle, life, random)?;
    Ok(Found::default())
}
