//! A store open for reading only, beside a live writer or without one.
//!
//! # Invariants
//!
//! - R1. Nothing is created, changed or locked (B4).
//! - R2. A journal that is damaged in places still gives the tables that the rest of it names, and says that it is
//!   partial.

use crate::anchor::{AnchorLag, places, read_lag};
use crate::checkpoints;
use crate::error::Error;
use crate::journal::{JournalState, StoreKey, TableInfo};
use crate::layout::{Found, Layout, NameOf, check_name, journal_origin};
use crate::store::{any_schema, check_codec};
use bulla_chain::{Checkpoint, ShownCheckpoint};
use bulla_log::{LogError, LogReader, Prover, Source};
use bulla_table::{Codec, Postcard, RawView, Schema, View};
use bulla_vfs::Host;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store open for reading only. Clones share it, and may be used from several threads.
///
/// It takes no lock and works on a read-only medium, on a damaged store, and beside a live writer in this process or
/// another, whose tables and rows it sees as they come.
///
/// # Examples
///
/// ```
/// use bulla::{Event, Host, Options, Reader};
/// let host = Host::memory();
/// let store = Options::new().host(host.clone()).open("/audit")?;
/// store.table::<Event>("trail")?.append(&Event::new("ana", "log in", "shop"))?;
///
/// let reader = Reader::open_on(&host, "/audit")?;
/// assert_eq!(reader.table::<Event>("trail")?.len()?, 1);
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone)]
pub struct Reader {
    inner: Arc<Inner>,
}

struct Inner {
    host: Host,
    layout: Layout,
    journal: LogReader,
    state: Mutex<State>,
}

struct State {
    journal: JournalState,
    logs: BTreeMap<String, LogReader>,
}

impl Reader {
    /// Opens the store in `dir`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchStore`], [`is_not_a_store`](Error::is_not_a_store), [`Error::JournalMissing`],
    /// [`is_newer`](Error::is_newer), or what opening the journal meets. Damage inside the journal is no error:
    /// [`is_damaged`](Self::is_damaged).
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_on(&Host::os(), dir)
    }

    /// As [`open`](Self::open), with another host's files and clock.
    pub fn open_on(host: &Host, dir: impl AsRef<Path>) -> Result<Self, Error> {
        let layout = Layout::new(dir.as_ref());
        let journal = open_journal(host, &layout)?;
        let state = JournalState::newest(&layout.dir, &journal.snapshot()?, &mut go_on)?;
        if !state.is_created() && !state.is_partial {
            return Err(unfinished(host, &layout)?);
        }
        let state = Mutex::new(State { journal: state, logs: BTreeMap::new() });
        Ok(Self { inner: Arc::new(Inner { host: host.clone(), layout, journal, state }) })
    }

    /// The table called `name`: postcard rows under schema 1.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchTable`], [`Error::TableMissing`], [`Error::TableDiffers`] when it was created with another codec,
    /// or what opening its log meets.
    pub fn table<T>(&self, name: &str) -> Result<View<T>, Error>
    where
        Postcard: Codec<T>,
    {
        self.view(name, Schema::default())
    }

    /// As [`table`](Self::table), with another codec or schema.
    pub fn view<T, C: Codec<T>>(&self, name: &str, schema: Schema<T>) -> Result<View<T, C>, Error> {
        let (table, log) = self.log(name)?;
        check_codec(&table, C::NAME)?;
        Ok(View::new(Source::Reader(log), name, schema))
    }

    /// The rows of any table as they are stored, whatever its codec and schemas.
    pub fn raw(&self, name: &str) -> Result<RawView, Error> {
        let (_, log) = self.log(name)?;
        Ok(View::new(Source::Reader(log), name, any_schema()))
    }

    /// The table whose origin `checkpoint` names, as far as the checkpoint goes: every row is held against it before it is
    /// given out ([`View::verified`]). Whether the checkpoint is signed, and by whom, the caller has found out before.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchOrigin`] when no table of this store has that origin; otherwise as [`view`](Self::view) and
    /// [`View::verified`].
    ///
    /// # Examples
    ///
    /// ```
    /// use bulla::chain::Checkpoint;
    /// use bulla::{Event, Host, Options, Postcard, Reader, Schema};
    /// let host = Host::memory();
    /// let store = Options::new().host(host.clone()).open("/audit")?;
    /// let trail = store.table::<Event>("trail")?;
    /// trail.append(&Event::new("ana", "log in", "shop"))?;
    /// let origin = store.tables().remove(0).origin;
    /// let held = Checkpoint::new(&origin, trail.head()?).expect("an origin"); // As it was signed and kept elsewhere.
    ///
    /// let reader = Reader::open_on(&host, "/audit")?;
    /// let proven = reader.verified::<Event, Postcard>(&held, Schema::default())?;
    /// assert_eq!(proven.query().iter()?.count(), 1);
    /// # Ok::<(), bulla::Error>(())
    /// ```
    pub fn verified<T, C: Codec<T>>(&self, checkpoint: &Checkpoint, schema: Schema<T>) -> Result<View<T, C>, Error> {
        let table = self.tables()?.into_iter().find(|table| table.origin == checkpoint.origin());
        let no_such = || Error::NoSuchOrigin { dir: self.dir().to_owned(), origin: checkpoint.origin().to_owned() };
        let table = table.ok_or_else(no_such)?;
        Ok(self.view(&table.name, schema)?.verified(checkpoint.head())?)
    }

    /// The checkpoints noted of a table, oldest first; of a long list the newest. They are texts: who signed them, and
    /// whether the table agrees, is another question.
    ///
    /// # Errors
    ///
    /// As [`table`](Self::table), and I/O failures.
    pub fn checkpoints(&self, name: &str) -> Result<Vec<ShownCheckpoint>, Error> {
        let (table, _) = self.log(name)?;
        let notes = checkpoints::read(&self.inner.host, &self.inner.layout.log(name, table.log))?;
        Ok(notes.unwrap_or_default().entries.into_iter().map(|noted| noted.shown).collect())
    }

    /// Makes proofs of a table's records, and its tiles, as of now.
    ///
    /// # Errors
    ///
    /// As [`table`](Self::table), and [`Snapshot::prover`](bulla_log::Snapshot::prover).
    pub fn prover(&self, name: &str) -> Result<(TableInfo, Prover), Error> {
        let (table, log) = self.log(name)?;
        Ok((table, log.snapshot()?.prover()?))
    }

    /// What the store's own journal calls itself, and a maker of proofs of its records as of now.
    ///
    /// # Errors
    ///
    /// [`Snapshot::prover`](bulla_log::Snapshot::prover).
    pub fn journal_prover(&self) -> Result<(String, Prover), Error> {
        Ok((journal_origin(&self.name()), self.inner.journal.snapshot()?.prover()?))
    }

    /// The checkpoints noted of the journal, as [`checkpoints`](Self::checkpoints) gives a table's.
    ///
    /// # Errors
    ///
    /// I/O failures.
    pub fn journal_checkpoints(&self) -> Result<Vec<ShownCheckpoint>, Error> {
        let notes = checkpoints::read(&self.inner.host, &self.inner.layout.journal())?;
        Ok(notes.unwrap_or_default().entries.into_iter().map(|noted| noted.shown).collect())
    }

    /// All tables there are now, in the order of their names.
    pub fn tables(&self) -> Result<Vec<TableInfo>, Error> {
        Ok(self.refreshed()?.journal.tables.values().cloned().collect())
    }

    /// How far each anchor is with each log, the journal's first: every anchor that has been given anything.
    pub fn anchors(&self) -> Result<Vec<AnchorLag>, Error> {
        let (host, layout) = (&self.inner.host, &self.inner.layout);
        let (name, tables) = (self.name(), self.tables()?.into_iter().map(|table| (table, None)));
        read_lag(host, layout, places(layout, &name, None, tables))
    }

    /// The key that the store's checkpoints are signed with, as its journal says. Whoever can write the directory can
    /// write that too.
    pub fn key(&self) -> Result<Option<StoreKey>, Error> {
        Ok(self.refreshed()?.journal.key.clone())
    }

    /// The store's directory, as it was given.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.layout.dir
    }

    /// The store's name; empty when the part of the journal that says it cannot be read.
    #[must_use]
    pub fn name(&self) -> String {
        self.state().journal.name.clone()
    }

    /// Whether a part of the journal could not be read, so that there may be tables this reader does not know.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.state().journal.is_partial
    }

    fn log(&self, name: &str) -> Result<(TableInfo, LogReader), Error> {
        check_name(NameOf::Table, name)?;
        let mut state = self.refreshed()?;
        let (host, layout) = (&self.inner.host, &self.inner.layout);
        let table = state.journal.tables.get(name).cloned();
        let table = table.ok_or_else(|| Error::NoSuchTable { dir: layout.dir.clone(), table: name.to_owned() })?;
        if let Some(log) = state.logs.get(name) {
            return Ok((table, log.clone()));
        }
        let log = match LogReader::open(host, &layout.log(name, table.log)) {
            Err(LogError::NotFound { dir }) => return Err(Error::TableMissing { table: table.name, dir }),
            opened => opened?,
        };
        if log.id() != table.log {
            let what = format!("its id is {}, the journal says {}", log.id(), table.log);
            return Err(LogError::Mismatch { dir: log.dir().to_owned(), what }.into());
        }
        state.logs.insert(name.to_owned(), log.clone());
        Ok((table, log))
    }

    /// The state after the journal's newest records were read.
    fn refreshed(&self) -> Result<MutexGuard<'_, State>, Error> {
        let journal = self.inner.journal.snapshot()?;
        let mut state = self.state();
        state.journal.follow(&self.inner.layout.dir, &journal, &mut go_on)?;
        Ok(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("dir", &self.inner.layout.dir).finish_non_exhaustive()
    }
}

/// R2. What is newer is not for this version to guess at; around damage there may be more.
fn go_on(problem: Error) -> Result<(), Error> {
    if !problem.is_damage() {
        return Err(problem);
    }
    tracing::warn!(%problem, "a part of the journal cannot be read");
    Ok(())
}

/// Opens a store's journal to read, or says why there is none.
pub(crate) fn open_journal(host: &Host, layout: &Layout) -> Result<LogReader, Error> {
    let dir = layout.dir.clone();
    match layout.probe(host)? {
        Found::Nothing => return Err(Error::NoSuchStore { dir }),
        Found::Foreign => return Err(Error::NotAStore { dir }),
        Found::JournalMissing => return Err(Error::JournalMissing { dir }),
        Found::Journal => {}
    }
    match LogReader::open(host, &layout.journal()) {
        Err(LogError::NotFound { .. }) => Err(unfinished(host, layout)?),
        opened => Ok(opened?),
    }
}

/// What an empty journal means: the store was never finished, or it was, and the journal's records are gone.
pub(crate) fn unfinished(host: &Host, layout: &Layout) -> Result<Error, Error> {
    let dir = layout.dir.clone();
    Ok(if layout.has_later_parts(host)? { Error::JournalMissing { dir } } else { Error::NoSuchStore { dir } })
}
