//! A store open for writing.
//!
//! # Invariants
//!
//! - S1. A table's directory and first segment are durable before the journal names them (B3).
//! - S2. A log is opened once, and all handles of a table share it.
//! - S3. A head reaches the journal only after the sync that covers it returned.
//! - S4. What an append calls back has the store weakly, and waits for none of its locks.

mod evidence;

use crate::anchor::{Extent, StoreAnchors};
use crate::due::Due;
use crate::error::Error;
use crate::held;
use crate::journal::{Journal, JournalRow, TableInfo};
use crate::keys::{SharedSigner, check_same};
use crate::layout::{Layout, NameOf, check_name, create_dirs, journal_origin, sync_dir, table_origin};
use crate::lock::{StoreLock, bound_to_store};
use crate::making::{Prepared, after_append, row_of};
use crate::open::{new_log_id, open_or_create, report_recovery, sweep};
use crate::options::{Options, TableOptions};
use crate::report::VerifyReport;
use crate::reserve::{self, with_reserve};
use crate::verify::{VerifyOptions, verify};
use bulla_chain::{ShownCheckpoint, TreeHead};
use bulla_log::{Log, LogError, LogOptions, Progress, RecoveryReport, Source};
use bulla_table::{Codec, Postcard, RawView, Schema, Table, View};
use bulla_vfs::Host;
use bulla_wire::{LogId, Position, SchemaId, Time};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store open for writing. Clones share it, and may be used from several threads.
///
/// A store that is dropped without [`close`](Self::close) loses nothing that was acknowledged; the next open has more
/// to do. Tables may outlive the store they came from: they keep writing, and keep other writers out, until they are
/// dropped too.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// Counts the handles; appends hold `inner` for a moment.
    handles: Arc<()>,
}

pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) options: Options,
    pub(crate) name: String,
    pub(crate) lock: Arc<StoreLock>,
    pub(crate) state: Mutex<State>,
    /// Never asked for by who holds `state`: a receipt is noted under both, in this order.
    anchors: Mutex<StoreAnchors>,
}

pub(crate) struct State {
    pub(crate) journal: Journal,
    pub(crate) logs: BTreeMap<String, Log>,
    /// What the checkpoints of these logs wait for.
    pub(crate) dues: BTreeMap<String, Arc<Due>>,
    /// The checkpoint noted last, as far as this process knows.
    pub(crate) shown: BTreeMap<LogId, ShownCheckpoint>,
    pub(crate) signer: Option<SharedSigner>,
    pub(crate) is_closed: bool,
}

/// What closing a log gives: its head, and the checkpoint that it is left with.
type Closed = (TreeHead, Result<Prepared, Error>);

/// What a caller wants of a table, without its types.
struct Request<'a> {
    name: &'a str,
    codec: &'static str,
    schema: SchemaId,
    erasable: Option<bool>,
    segment_bytes_max: Option<u64>,
    create: bool,
}

impl Store {
    /// Opens the store in `dir`, and creates it when `dir` is missing or empty.
    ///
    /// What an interrupted creation left is finished, what a crash left at the end of the journal is recovered, and
    /// tables whose creation was interrupted are removed. Tables are opened, and recovered, when they are asked for.
    /// [`Options`] has everything that can be chosen.
    ///
    /// # Durability
    ///
    /// A store that was created survives power loss when this returns, its directory and those above it included.
    ///
    /// # Errors
    ///
    /// [`is_locked`](Error::is_locked) when another writer has the store, [`is_not_a_store`](Error::is_not_a_store) when
    /// something else is in the directory, which is then left as it is, [`is_damage`](Error::is_damage) when the journal
    /// lost something that was durable, [`is_newer`](Error::is_newer) when a later version wrote it.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulla::Store;
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let dir = dir.path().join("audit");
    /// let store = Store::open(&dir)?;
    /// assert!(Store::open(&dir).is_err_and(|error| error.is_locked()));
    /// store.close()?;
    /// Store::open(&dir)?.close()?;
    /// # Ok::<(), bulla::Error>(())
    /// ```
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Options::new().open(dir)
    }

    /// A new store in memory, named `store`, which ends with its last handle.
    pub fn in_memory() -> Result<Self, Error> {
        Options::new().host(Host::memory()).open("/store")
    }

    pub(crate) fn open_with(dir: &Path, options: &Options) -> Result<Self, Error> {
        let (host, layout) = (&options.host, Layout::new(dir));
        let (lock, journal) = open_or_create(&layout, options)?;
        check_key(&layout, &journal, options)?;
        check_held_tables(&journal, options)?;
        // Should this fail, taking the lock makes the name durable the next time.
        create_dirs(host, &layout.tables())?;
        if let Err(error) = reserve::ensure(host, &layout) {
            tracing::warn!(store = %dir.display(), %error, "the reserve could not be made");
        }
        sweep(host, &layout, &journal);
        let (name, tables) = (journal.state.name.clone(), journal.state.tables.len());
        tracing::info!(store = %dir.display(), name, tables, "store opened");
        let state = State {
            journal,
            logs: BTreeMap::new(),
            dues: BTreeMap::new(),
            shown: BTreeMap::new(),
            signer: options.signer.clone(),
            is_closed: false,
        };
        let anchors = Mutex::new(StoreAnchors::new(host, &layout));
        let (options, state) = (options.clone(), Mutex::new(state));
        let inner = Inner { layout, options, name, lock, state, anchors };
        Ok(Self { inner: Arc::new(inner), handles: Arc::new(()) })
    }

    /// The table called `name`, created when there is none: postcard rows under schema 1.
    ///
    /// # Durability
    ///
    /// A table that was created survives power loss when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`], [`Error::TableDiffers`] when it was created with another codec,
    /// [`Error::TableMissing`] when the journal names it and its directory is gone, or what opening its log meets.
    pub fn table<T>(&self, name: &str) -> Result<Table<T>, Error>
    where
        Postcard: Codec<T>,
    {
        self.table_with(name, &TableOptions::new())
    }

    /// As [`table`](Self::table), with another codec, schema or limits.
    ///
    /// # Examples
    ///
    /// Lines kept as they came:
    ///
    /// ```
    /// use bulla::{Raw, Store, TableOptions};
    /// let store = Store::in_memory()?;
    /// let lines = store.table_with::<Vec<u8>, Raw>("lines", &TableOptions::new())?;
    /// lines.append(&b"{\"who\": \"ana\"}".to_vec())?;
    /// # Ok::<(), bulla::Error>(())
    /// ```
    pub fn table_with<T, C: Codec<T>>(&self, name: &str, options: &TableOptions<T>) -> Result<Table<T, C>, Error> {
        self.typed_table(name, options, true)
    }

    /// As [`table_with`](Self::table_with), but a table that does not exist is [`Error::NoSuchTable`].
    pub fn open_table<T, C: Codec<T>>(&self, name: &str, options: &TableOptions<T>) -> Result<Table<T, C>, Error> {
        self.typed_table(name, options, false)
    }

    fn typed_table<T, C: Codec<T>>(
        &self,
        name: &str,
        options: &TableOptions<T>,
        create: bool,
    ) -> Result<Table<T, C>, Error> {
        let (schema, codec) = (options.schema.clone(), C::NAME);
        let &TableOptions { erasable, segment_bytes_max, .. } = options;
        let log = self.log(&Request { name, codec, schema: schema.id(), erasable, segment_bytes_max, create })?;
        let clock = Arc::clone(&self.inner.options.host.clock);
        let clock = Arc::new(move || Time(clock.now()));
        Ok(Table::new(log, name, schema, clock, self.inner.options.durability))
    }

    /// The rows of any table as they are stored, whatever its codec and schemas.
    pub fn raw_view(&self, name: &str) -> Result<RawView, Error> {
        check_name(NameOf::Table, name)?;
        let mut state = self.state()?;
        let table = state.journal.state.tables.get(name).cloned();
        let table = table.ok_or_else(|| self.no_such_table(name))?;
        let log = self.opened(&mut state, &table, None)?;
        Ok(View::new(Source::Writer(log), name, any_schema()))
    }

    /// All tables, in the order of their names.
    #[must_use]
    pub fn tables(&self) -> Vec<TableInfo> {
        self.any_state().journal.state.tables.values().cloned().collect()
    }

    /// What opening found at the end of each log, and did about it: `journal` first, then the tables opened so far.
    #[must_use]
    pub fn recovery(&self) -> Vec<(String, RecoveryReport)> {
        let state = self.any_state();
        let journal = (String::from("journal"), state.journal.log.recovery().clone());
        let tables = state.logs.iter().map(|(name, log)| (name.clone(), log.recovery().clone()));
        std::iter::once(journal).chain(tables).collect()
    }

    /// Whether the journal or a table opened so far takes no more records, because an earlier write or sync failed.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        let state = self.any_state();
        state.journal.log.is_poisoned() || state.logs.values().any(Log::is_poisoned)
    }

    /// Does one bounded step of deferred work for each open log; whether more is left. Call it when there is time. A
    /// checkpoint that is due and that no append made is made here; what keeps it from being made is the error, after the
    /// rest was done.
    pub fn maintain(&self) -> Result<bool, Error> {
        let logs: Vec<_> = {
            let state = self.state()?;
            std::iter::once(state.journal.log.clone()).chain(state.logs.values().cloned()).collect()
        };
        self.inner.lock.check()?;
        reserve::ensure(&self.inner.options.host, &self.inner.layout)?;
        let mut is_more = false;
        for log in logs {
            is_more |= log.maintain()?;
        }
        // Only then are the anchors' newest checkpoints what is newest.
        let served = self.inner.serve_due(&mut *self.state()?);
        is_more |= self.hand_over(Extent::Step, |_| true)?;
        served.map(|()| is_more)
    }

    /// The store's directory, as it was given.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.layout.dir
    }

    /// The store's name, which begins the origin of each of its logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Verifies what is on the disk: [`verify`](crate::verify()) on this store's host, whatever `options` say of that.
    /// Rows that were not flushed are not there yet.
    pub fn verify(&self, options: &VerifyOptions, progress: &mut dyn FnMut(Progress)) -> Result<VerifyReport, Error> {
        let options = VerifyOptions { host: self.inner.options.host.clone(), ..options.clone() };
        verify(self.dir(), &options, progress)
    }

    /// Closes every log and lets the next writer in. Tables, and other handles of this store, refuse from then on.
    ///
    /// # Durability
    ///
    /// Everything appended, buffered rows included, is durable when this returns `Ok`, and the next open reads no row. The
    /// journal then holds each table's head, so that rows cut off later are missed, and a checkpoint of each log that was
    /// open, and of the journal, is noted.
    ///
    /// Anchors that are not left alone after a failure are tried once before the lock is given up, as long as each may
    /// take. One that fails is no error here: what it has not taken stays due, is seen in `bulla stat` and
    /// [`Reader::anchors`](crate::Reader::anchors), and is handed over after the next opening.
    ///
    /// # Errors
    ///
    /// The first failure; the other logs are closed all the same, and a checkpoint that could not be made is one:
    /// [`Error::KeyNeeded`], [`Error::NotSigned`]. [`Error::LockLost`] when nothing was closed, because
    /// somebody else may be writing. [`Error::StillShared`] when everything was closed and
    /// clones of this store are alive: somebody may be about to be surprised.
    pub fn close(self) -> Result<(), Error> {
        let is_shared = Arc::strong_count(&self.handles) > 1;
        let mut state = self.state()?;
        state.is_closed = true;
        let result = self.close_logs(&mut state);
        drop(state);
        // What an anchor cannot take now is due at the next opening; it never keeps a store from closing.
        if let Err(error) = self.hand_over(Extent::Due, |_| true) {
            tracing::warn!(store = %self.dir().display(), %error, "the state of the anchors could not be kept");
        }
        self.inner.lock.release();
        let dir = self.dir();
        match &result {
            Ok(()) => tracing::info!(store = %dir.display(), "store closed"),
            Err(error) => tracing::warn!(store = %dir.display(), %error, "store closed, not cleanly"),
        }
        match result {
            Ok(()) if is_shared => Err(Error::StillShared { dir: dir.to_owned() }),
            result => result,
        }
    }

    fn close_logs(&self, state: &mut State) -> Result<(), Error> {
        let (layout, options) = (&self.inner.layout, &self.inner.options);
        // Whoever has the lock now may be writing, so not even a close frame is.
        self.inner.lock.check()?;
        let mut result = Ok(());
        let (mut rows, mut notes) = (Vec::new(), Vec::new());
        for (name, log) in std::mem::take(&mut state.logs) {
            let table = state.journal.state.tables.get(&name).cloned();
            let origin = table.as_ref().map(|table| table.origin.clone()).unwrap_or_default();
            match self.close_log(state, &log, &origin) {
                Ok((head, prepared)) => {
                    let seen = table.and_then(|table| table.head);
                    match prepared {
                        Ok(prepared) => {
                            rows.extend(row_of(state, &name, &log, head));
                            notes.push((name, log, prepared));
                        }
                        Err(error) => {
                            tracing::warn!(table = name, %error, "table closed without a checkpoint");
                            result = result.and(Err(error));
                            if seen.is_none_or(|seen| seen.size < head.size) {
                                rows.push(JournalRow::HeadSeen { log: log.id().0, head: head.into() });
                            }
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(table = name, %error, is_poisoned = log.is_poisoned(), "table closed, not cleanly");
                    result = result.and(Err(error.into()));
                }
            }
        }
        let is_recorded = if rows.is_empty() { Ok(()) } else { state.journal.append(layout, options, rows) };
        if is_recorded.is_ok() {
            for (table, log, prepared) in notes {
                if let Err(error) = self.inner.note(state, &log, prepared) {
                    tracing::warn!(table, %error, "table closed without a checkpoint");
                    result = result.and(Err(error));
                }
            }
        }
        result = result.and(is_recorded);
        let journal = state.journal.log.clone();
        let closed = self.close_log(state, &journal, &journal_origin(&self.inner.name));
        let (_, prepared) = match closed {
            Ok(closed) => closed,
            Err(error) => return result.and(Err(error.into())),
        };
        result.and(prepared.and_then(|prepared| self.inner.note(state, &journal, prepared).map(drop)))
    }

    /// S3. Closes a log and gives its last head, and a checkpoint of it that is not noted yet.
    fn close_log(&self, state: &mut State, log: &Log, origin: &str) -> Result<Closed, LogError> {
        let (host, layout) = (&self.inner.options.host, &self.inner.layout);
        with_reserve(host, layout, || log.sync())?;
        let head = log.head()?;
        // Before it is closed, since a proof may have to be made of it.
        let prepared = self.inner.prepare(state, log, origin);
        with_reserve(host, layout, || log.close())?;
        Ok((head, prepared))
    }

    fn log(&self, request: &Request<'_>) -> Result<Log, Error> {
        check_name(NameOf::Table, request.name)?;
        let mut state = self.state()?;
        let Some(table) = state.journal.state.tables.get(request.name).cloned() else {
            return if request.create {
                self.created(&mut state, request)
            } else {
                Err(self.no_such_table(request.name))
            };
        };
        check_created_as(&table, request)?;
        let log = self.opened(&mut state, &table, request.segment_bytes_max)?;
        if !table.schemas.contains(&request.schema) {
            let row = JournalRow::SchemaSeen { table: table.name, schema: request.schema.0 };
            state.journal.append(&self.inner.layout, &self.inner.options, vec![row])?;
        }
        Ok(log)
    }

    /// S2. The log of a table the journal names.
    fn opened(&self, state: &mut State, table: &TableInfo, segment_bytes_max: Option<u64>) -> Result<Log, Error> {
        if let Some(log) = state.logs.get(&table.name) {
            return Ok(log.clone());
        }
        self.inner.lock.check()?;
        let (host, layout) = (&self.inner.options.host, &self.inner.layout);
        let dir = layout.log(&table.name, table.log);
        let durable_end = table.head.map_or(Position::ZERO, |head| Position(head.size));
        let held = Options { signer: state.signer.clone(), ..self.inner.options.clone() };
        let durable_end = durable_end.max(held::known_end(&held, &dir, &table.origin)?);
        let due = self.due_of(table.checkpointed);
        let options = self.log_options(state, &table.name, segment_bytes_max, &due).known_durable_end(durable_end);
        let log = match Log::open(host, &dir, &options) {
            Err(LogError::NotFound { dir }) => {
                return Err(Error::TableMissing { table: table.name.clone(), dir });
            }
            opened => opened?,
        };
        // The id in its headers is enough here: verification compares what the genesis record says.
        if log.id() != table.log {
            let what = format!("its segments say that it is {}", log.id());
            return Err(LogError::Mismatch { dir, what }.into());
        }
        report_recovery(&dir, log.recovery());
        state.dues.insert(table.name.clone(), due);
        state.logs.insert(table.name.clone(), log.clone());
        Ok(log)
    }

    /// S1.
    fn created(&self, state: &mut State, request: &Request<'_>) -> Result<Log, Error> {
        self.inner.lock.check()?;
        let (host, layout) = (&self.inner.options.host, &self.inner.layout);
        let &Request { name, codec, schema, .. } = request;
        let erasable = request.erasable.unwrap_or_default();
        let id = new_log_id(host, layout)?;
        create_dirs(host, &layout.table(name))?;
        // It may have been there, and not durably: whoever made it may have failed before he could sync.
        sync_dir(host, &layout.tables())?;
        let due = self.due_of(None);
        let options = self
            .log_options(state, name, request.segment_bytes_max, &due)
            .origin(table_origin(&self.inner.name, name, id))
            .erasable(erasable);
        let log = Log::create(host, &layout.log(name, id), id, &options)?;
        sync_dir(host, &layout.table(name))?;
        let codec = codec.to_owned();
        let row = JournalRow::TableCreated { name: name.to_owned(), log: id.0, codec, erasable, schema: schema.0 };
        state.journal.append(layout, &self.inner.options, vec![row])?;
        tracing::info!(store = %layout.dir.display(), table = name, log = %id, "table created");
        state.dues.insert(name.to_owned(), due);
        state.logs.insert(name.to_owned(), log.clone());
        Ok(log)
    }

    fn due_of(&self, checkpointed: Option<u64>) -> Arc<Due> {
        Arc::new(Due::new(checkpointed.unwrap_or_default(), &*self.inner.options.host.clock))
    }

    fn log_options(&self, state: &State, table: &str, segment_bytes_max: Option<u64>, due: &Arc<Due>) -> LogOptions {
        let (options, journal) = (&self.inner.options, &state.journal);
        let mut log_options =
            bound_to_store(&self.inner.layout, &self.inner.lock, &options.host, Some(&journal.log), due);
        // S4.
        let (inner, due, table) = (Arc::downgrade(&self.inner), Arc::clone(due), table.to_owned());
        log_options = log_options.after_append(Arc::new(move |end| after_append(&inner, &due, &table, end)));
        if let Some(bytes) = segment_bytes_max.or(options.segment_bytes_max).or(journal.state.segment_bytes) {
            log_options = log_options.segment_bytes_max(bytes);
        }
        if let Some(bytes) = options.record_bytes_max {
            log_options = log_options.record_bytes_max(bytes);
        }
        log_options
    }

    fn no_such_table(&self, name: &str) -> Error {
        Error::NoSuchTable { dir: self.dir().to_owned(), table: name.to_owned() }
    }

    /// The state of a store that was not closed.
    fn state(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.any_state();
        if state.is_closed { Err(Error::Closed { dir: self.dir().to_owned() }) } else { Ok(state) }
    }

    /// A panic under the lock leaves at worst a log that is open and not listed.
    fn any_state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.inner.layout.dir)
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

/// Whether the caller's signer has the store's key, if both are there.
fn check_key(layout: &Layout, journal: &Journal, options: &Options) -> Result<(), Error> {
    let Some(signer) = &options.signer else { return Ok(()) };
    let asked = signer.lock().verifier();
    if asked.name() != journal.state.name {
        let (store, key) = (&journal.state.name, asked.name());
        tracing::warn!(store, key, "the key names another store, so that verification will not believe what it signs");
    }
    journal.state.key.as_ref().map_or(Ok(()), |found| check_same(&layout.dir, &found.key, &asked))
}

/// A table that somebody holds a checkpoint of must be one of the store's.
fn check_held_tables(journal: &Journal, options: &Options) -> Result<(), Error> {
    let tables = &journal.state.tables;
    for held in &options.held {
        let origin = held.checkpoint().origin();
        let is_ours = origin.split_once('/').is_some_and(|(store, _)| store == journal.state.name);
        let is_known =
            origin == journal_origin(&journal.state.name) || tables.values().any(|table| table.origin == origin);
        if is_ours && !is_known && held.head().size > 0 {
            return Err(Error::HeldMissing { origin: origin.to_owned(), held: held.head(), size: 0 });
        }
    }
    Ok(())
}

/// A schema that takes rows of every schema, as they are.
pub(crate) fn any_schema() -> Schema<Vec<u8>> {
    Schema::default().upgrade(|_, bytes| Ok(bytes.to_vec()))
}

/// Whether a table is what the caller asks for.
fn check_created_as(table: &TableInfo, request: &Request<'_>) -> Result<(), Error> {
    check_codec(table, request.codec)?;
    match request.erasable {
        Some(asked) if asked != table.erasable => Err(Error::TableDiffers {
            table: table.name.clone(),
            what: "erasable",
            found: table.erasable.to_string(),
            asked: asked.to_string(),
        }),
        _ => Ok(()),
    }
}

pub(crate) fn check_codec(table: &TableInfo, codec: &str) -> Result<(), Error> {
    if table.codec == codec {
        return Ok(());
    }
    let (found, asked) = (table.codec.clone(), codec.to_owned());
    Err(Error::TableDiffers { table: table.name.clone(), what: "codec", found, asked })
}
