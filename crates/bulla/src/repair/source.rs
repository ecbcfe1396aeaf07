//! The damaged store: which logs it had, and what is left of each.

use super::target::{Copy, Target};
use super::{LogRepair, RepairOptions};
use crate::error::Error;
use crate::journal::{JournalRow, JournalState, StoreKey, TableInfo};
use crate::keys::check_same;
use crate::layout::{
    Layout, LogDir, NameOf, check_name, is_blank, name_from, names_in_origin, store_of_journal_origin, table_origin,
};
use crate::reader::open_journal;
use crate::report::{LogVerdict, VerifyReport};
use crate::verify::verdict;
use bulla_chain::{Predecessor, TreeHead};
use bulla_log::{
    Expectation, Item, Level, LogError, LogReader, Loss, Query, Salvaged, Snapshot, Verdict, salvage, verify_log,
};
use bulla_table::{Codec, Raw};
use bulla_vfs::{Host, VfsLock};
use bulla_wire::{Kind, LogId, Position, Record, Time};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

/// Stands for the id of a journal of which nothing is left.
const NO_LOG: LogId = LogId([0; 16]);

/// What is known of a damaged store.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) segment_bytes: Option<u64>,
    pub(super) journal: SourceLog,
    pub(super) notes: Vec<String>,
    tables: Vec<(TableInfo, SourceLog)>,
}

/// One of its logs.
pub(super) struct SourceLog {
    name: String,
    id: Option<LogId>,
    /// What there is to read, if anything.
    snapshot: Option<Snapshot>,
    /// The head that the journal, or the log itself, claims.
    head: Option<TreeHead>,
    /// Where the journal knows the log to have ended.
    known_end: Option<Position>,
    verdict: Verdict,
    /// What is wrong with it, first of all.
    cause: String,
}

/// R1. Takes the lock of the store in `dir`, if its file is there and may be opened: a read-only medium has no writer.
pub(super) fn keep_writers_out(host: &Host, dir: &Path) -> Result<Option<Box<dyn VfsLock>>, Error> {
    let path = Layout::new(dir).lock();
    if host.fs.metadata(&path).is_err() {
        return Ok(None);
    }
    match host.fs.lock(&path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(Error::Locked { dir: dir.to_owned() }),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "the lock is not tried");
            Ok(None)
        }
    }
}

/// R5.
pub(super) fn check_repairable(dir: &Path, found: &VerifyReport) -> Result<(), Error> {
    let findings = found.logs.iter().flat_map(|log| log.findings.iter().map(move |finding| (log, finding)));
    for (log, finding) in findings {
        let (dir, what) = (dir.to_owned(), format!("{}: {}", log.log, finding.what));
        match finding.verdict {
            Verdict::Tampered => return Err(Error::Tampered { dir, what }),
            Verdict::Newer => return Err(Error::NotRepairable { dir, what, is_newer: true }),
            Verdict::Unreadable => return Err(Error::NotRepairable { dir, what, is_newer: false }),
            _ => {}
        }
    }
    Ok(())
}

/// Nobody but the store's key allows what is done to it.
fn check_signer(dir: &Path, key: Option<&StoreKey>, options: &RepairOptions) -> Result<(), Error> {
    let (Some(key), Some(signer)) = (key, &options.signer) else { return Ok(()) };
    check_same(dir, &key.key, &signer.lock().verifier())
}

impl Source {
    pub(super) fn open(dir: &Path, options: &RepairOptions, found: &VerifyReport) -> Result<Self, Error> {
        let (host, layout) = (&options.host, Layout::new(dir));
        let (state, journal) = read_journal(host, &layout, found)?;
        check_signer(dir, state.key.as_ref(), options)?;
        let mut notes = Vec::new();
        if let Some(key) = &state.key {
            notes.push(format!("the new store has no key: {} signs what continues the old one", key.key));
        }
        let mut tables = Vec::new();
        for table in state.tables.values() {
            let log = SourceLog::open(host, &layout, table, verdict_on(found, &table.name, table.log))?;
            tables.push((table.clone(), log));
        }
        let mut named: BTreeSet<_> = tables.iter().map(|(table, _)| table.name.clone()).collect();
        for place in layout.log_dirs(host)? {
            if state.names(&place) || matches!(is_blank(host, &place.dir), Ok(true)) {
                continue;
            }
            let shown = place.dir.strip_prefix(dir).unwrap_or(&place.dir).display().to_string();
            // A journal that is whole knows its tables: what else lies there, somebody put there.
            let is_new = journal.is_damaged()
                && place.is_ours
                && check_name(NameOf::Table, &place.table).is_ok()
                && !named.contains(&place.table);
            let Some(id) = place.log.filter(|_| is_new) else {
                notes.push(format!("{shown} is not taken along: the journal names no such log"));
                continue;
            };
            let table = unnamed(host, &place, id, options)?;
            let (table_name, codec) = (&table.name, &table.codec);
            notes
                .push(format!("the journal does not name table {table_name} any more; its rows are taken for {codec}"));
            named.insert(table.name.clone());
            // That nothing names it is the journal's damage and not its own.
            let report = verify_log(host, &place.dir, Level::Full, &Expectation::default(), &mut |_| {});
            let log = SourceLog::open(host, &layout, &table, Some(&verdict(&table.name, report)))?;
            tables.push((table, log));
        }
        let mut logs = std::iter::once(&journal).chain(tables.iter().map(|(_, log)| log));
        let name =
            (!state.name.is_empty()).then(|| state.name.clone()).or_else(|| logs.find_map(SourceLog::store_name));
        let name = name.unwrap_or_else(|| {
            let name = name_from(dir);
            notes.push(format!("nothing says what the store was called; it is called {name} from now on"));
            name
        });
        tables.sort_by(|(left, _), (right, _)| left.name.cmp(&right.name));
        Ok(Self { name, segment_bytes: state.segment_bytes, journal, tables, notes })
    }

    /// Copies every log, or finds out what copying it would come to.
    pub(super) fn copy(&self, target: Option<&Target>, options: &RepairOptions) -> Result<Vec<LogRepair>, Error> {
        let (journal, allowed) = self.journal.copy(target.map(Target::journal), false, options)?;
        let mut logs = vec![journal];
        if let Some(target) = target {
            target.allow(&allowed)?;
        }
        for (table, log) in &self.tables {
            let copy = target.map(|target| target.create_table(table, log)).transpose()?;
            let (repaired, allowed) = log.copy(copy.as_ref(), true, options)?;
            logs.push(repaired);
            if let (Some(target), Some(copy)) = (target, copy) {
                target.close_table(table, &copy)?;
                target.allow(&allowed)?;
            }
        }
        Ok(logs)
    }
}

impl SourceLog {
    fn open(host: &Host, layout: &Layout, table: &TableInfo, found: Option<&LogVerdict>) -> Result<Self, Error> {
        let dir = layout.log(&table.name, table.log);
        let mut log = Self::of(&table.name, Some(table.log), found);
        log.known_end = table.head.map(|head| Position(head.size));
        log.head = table.head.filter(|head| log.head.is_none_or(|own| own.size < head.size)).or(log.head);
        log.snapshot = read(host, &dir)?;
        Ok(log)
    }

    fn of(name: &str, id: Option<LogId>, found: Option<&LogVerdict>) -> Self {
        let size = found.and_then(|found| found.size.zip(found.root));
        let bad = found.and_then(LogVerdict::first_bad);
        Self {
            name: name.to_owned(),
            id,
            snapshot: None,
            head: size.map(|(size, root)| TreeHead { size, root }),
            known_end: None,
            verdict: found.map_or(Verdict::Missing, LogVerdict::verdict),
            cause: bad.map_or_else(|| "nothing is left of it".to_owned(), |bad| bad.0.what.clone()),
        }
    }

    /// What its genesis says the store is called.
    fn store_name(&self) -> Option<String> {
        let genesis = self.snapshot.as_ref()?.genesis().ok()?;
        let of_table = || names_in_origin(&genesis.origin).map(|(store, _)| store);
        store_of_journal_origin(&genesis.origin).or_else(of_table).map(str::to_owned)
    }

    fn is_damaged(&self) -> bool {
        self.verdict > Verdict::Repaired
    }

    /// R4. What the new log says of this one.
    pub(super) fn predecessor(&self) -> Predecessor {
        let reason = if self.is_damaged() { Predecessor::REPAIR } else { Predecessor::MOVED };
        let head = self.head.unwrap_or(TreeHead::EMPTY);
        // A journal that is gone has no id any more, and still its loss must be told.
        Predecessor { log: self.id.unwrap_or(NO_LOG), head, reason: reason.to_owned() }
    }

    /// Copies what is left into `target`, with a break record for each loss (R3). Of the journal only those are.
    /// Gives the journal rows too that say who allowed them.
    fn copy(
        &self,
        target: Option<&Copy>,
        has_rows: bool,
        options: &RepairOptions,
    ) -> Result<(LogRepair, Vec<JournalRow>), Error> {
        let (source, losses, allowed) = (self.id.unwrap_or(NO_LOG), Vec::new(), Vec::new());
        let mut copied = Copied { target, source, options, records: 0, losses, allowed };
        if let Some(snapshot) = &self.snapshot {
            salvage(snapshot, self.known_end, &mut |salvaged| match salvaged {
                Salvaged::Record(record) if has_rows || record.kind == Kind::BREAK => copied.record(record),
                Salvaged::Record(_) => Ok(()),
                Salvaged::Loss(loss) if has_rows => copied.loss(loss.clone()),
                Salvaged::Loss(loss) => copied.loss(Loss { resumes_at: None, ..loss.clone() }),
            })?;
        } else {
            let end = self.known_end.or(self.head.map(|head| Position(head.size))).unwrap_or_default();
            copied.loss(self.loss(Position::ZERO..end, self.known_end.is_none()))?;
        }
        if copied.losses.is_empty() && self.is_damaged() {
            let end = self.snapshot.as_ref().map_or(Position::ZERO, Snapshot::end);
            copied.loss(self.loss(end..end, false))?;
        }
        let Copied { records, losses, allowed, .. } = copied;
        let target = target.map(Copy::id);
        let log = self.name.clone();
        Ok((LogRepair { log, source: self.id, target, verdict: self.verdict, records, losses }, allowed))
    }

    fn loss(&self, positions: Range<Position>, is_open: bool) -> Loss {
        let root = (positions.start == Position::ZERO).then_some(TreeHead::EMPTY.root);
        Loss { positions, is_open, resumes_at: None, root, cause: self.cause.clone() }
    }
}

/// What one log's copy has come to so far.
struct Copied<'a> {
    target: Option<&'a Copy>,
    source: LogId,
    options: &'a RepairOptions,
    records: u64,
    losses: Vec<Loss>,
    allowed: Vec<JournalRow>,
}

impl Copied<'_> {
    fn record(&mut self, record: &Record<'_>) -> Result<(), Error> {
        self.records += 1;
        self.target.map_or(Ok(()), |target| target.append(record))
    }

    fn loss(&mut self, mut loss: Loss) -> Result<(), Error> {
        let RepairOptions { who, reason, signer, .. } = self.options;
        if !reason.is_empty() {
            loss.cause = format!("{reason}: {}", loss.cause);
        }
        if let Some(target) = self.target {
            self.allowed.extend(target.append_break(self.source, &loss, who, signer.as_ref())?);
        }
        self.losses.push(loss);
        Ok(())
    }
}

/// The state that the rest of the journal adds up to, and the journal as a log.
fn read_journal(host: &Host, layout: &Layout, found: &VerifyReport) -> Result<(JournalState, SourceLog), Error> {
    let mut state = JournalState::default();
    let mut log = SourceLog::of("journal", None, found.logs.first());
    match open_journal(host, layout) {
        Ok(reader) => {
            let snapshot = reader.snapshot()?;
            state.follow(&layout.dir, &snapshot, &mut |problem| {
                if problem.is_damage() { Ok(()) } else { Err(problem) }
            })?;
            (log.id, log.snapshot) = (Some(reader.id()), Some(snapshot));
        }
        Err(error) if error.is_damage() => {}
        Err(error) => return Err(error),
    }
    Ok((state, log))
}

/// What there is to read of the log in `dir`.
fn read(host: &Host, dir: &Path) -> Result<Option<Snapshot>, Error> {
    match LogReader::open(host, dir).and_then(|log| log.snapshot()) {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(LogError::NotFound { .. }) => Ok(None),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a log that no row names says of the table it belongs to.
fn unnamed(host: &Host, found: &LogDir, id: LogId, options: &RepairOptions) -> Result<TableInfo, Error> {
    let (mut created, mut erasable) = (Time(host.clock.now()), false);
    let mut schemas = BTreeSet::new();
    if let Some(snapshot) = read(host, &found.dir)? {
        erasable = snapshot.genesis().is_ok_and(|genesis| genesis.erasable);
        let mut cursor = snapshot.cursor(&Query { engine: true, gaps: true, ..Query::new() });
        while let Some(item) = cursor.next() {
            let Item::Record(record) = item? else { continue };
            erasable |= record.salted;
            match record.kind {
                Kind::GENESIS => created = record.time,
                kind if kind.is_engine() => {}
                _ => drop(schemas.insert(record.schema)),
            }
        }
    }
    let (name, log) = (found.table.clone(), id);
    let codec = options.codecs.get(&name).cloned().unwrap_or_else(|| <Raw as Codec<Vec<u8>>>::NAME.to_owned());
    let origin = table_origin("", &name, log);
    let schemas = schemas.into_iter().collect();
    Ok(TableInfo { name, log, codec, erasable, created, origin, schemas, head: None, checkpointed: None })
}

/// The verdict on the table's log.
fn verdict_on<'a>(found: &'a VerifyReport, table: &str, id: LogId) -> Option<&'a LogVerdict> {
    // The first entry is the journal's. A table's name may stand there twice, once for a log that nobody names.
    let mut logs = found.logs.iter().skip(1).filter(|log| log.log == table);
    let ending = table_origin("", table, id);
    let own = logs.clone().find(|log| log.origin.as_ref().is_some_and(|origin| origin.ends_with(&ending)));
    own.or_else(|| logs.next())
}
