//! The new store, which is none before it is finished.
//!
//! docs/DURABILITY.md, W14, says what a crash behind each step leaves.
//!
//! # Invariants
//!
//! - T1. Nothing in the directory makes it a store, or what is left of one, before the journal has its name.
//! - T2. The journal gets its name once everything in the directory is durable.

use super::source::{Source, SourceLog};
use crate::error::{Error, io};
use crate::journal::{JOURNAL_SCHEMA, JournalRow, TableInfo};
use crate::keys::SharedSigner;
use crate::layout::{Layout, create_dirs, create_dirs_durably, journal_origin, parent, sync_dir, table_origin};
use crate::open::new_log_id;
use bulla_chain::{Authority, Note, SignError};
use bulla_log::{AppendOptions, Durability, Log, LogOptions, Loss, NewRow};
use bulla_vfs::Host;
use bulla_wire::limits::{RECORD_BYTES_MAX, SEGMENT_BYTES_MAX};
use bulla_wire::{Kind, LogId, Record, SchemaId, Time};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const BUFFERED: AppendOptions = AppendOptions { durability: Durability::Buffered, expected: None };

/// A store being written.
pub(super) struct Target {
    host: Host,
    layout: Layout,
    name: String,
    segment_bytes: Option<u64>,
    journal: Copy,
}

/// A log being written.
pub(super) struct Copy {
    log: Log,
}

/// Whether a store may be written into `into`: a directory that is missing or empty, and not inside the old store.
pub(super) fn check<'a>(host: &Host, dir: &Path, into: &'a Path) -> Result<&'a Path, Error> {
    let is_free = match host.fs.list(into) {
        Ok(entries) => entries.is_empty(),
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) if error.kind() == ErrorKind::NotADirectory => false,
        Err(error) => return Err(io("list", into)(error)),
    };
    if is_free && !is_within(host, dir, into)? { Ok(into) } else { Err(Error::NotEmpty { dir: into.to_owned() }) }
}

/// Whether `into`, or what would be made on the way to it, lies in `dir`, whatever links and dots lead there.
fn is_within(host: &Host, dir: &Path, into: &Path) -> Result<bool, Error> {
    let resolve = |path: &Path| match host.fs.resolve(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("look for", path)(error)),
    };
    let Some(dir) = resolve(dir)? else { return Ok(false) };
    let mut place = into;
    loop {
        if let Some(found) = resolve(place)? {
            return Ok(found.starts_with(&dir));
        }
        // What is missing has no links in it; where dots behind it will lead, nobody can say yet.
        if place.file_name().is_none() {
            return Ok(true);
        }
        place = parent(place);
    }
}

impl Target {
    pub(super) fn begin(host: &Host, into: &Path, source: &Source) -> Result<Self, Error> {
        let layout = Layout::new(into);
        create_dirs_durably(host, into)?;
        // Rotating, it would owe state rows; its rows are few.
        let options = LogOptions::new()
            .record_bytes_max(RECORD_BYTES_MAX)
            .segment_bytes_max(SEGMENT_BYTES_MAX)
            .origin(journal_origin(&source.name))
            .predecessor(source.journal.predecessor());
        let log = Log::create(host, &layout.unfinished_journal(), new_log_id(host, &layout)?, &options)?;
        let (name, segment_bytes) = (source.name.clone(), source.segment_bytes);
        let target = Self { host: host.clone(), layout, name: name.clone(), segment_bytes, journal: Copy { log } };
        target.append_row(&JournalRow::StoreCreated { name, segment_bytes }, Time(host.clock.now()))?;
        Ok(target)
    }

    pub(super) fn journal(&self) -> &Copy {
        &self.journal
    }

    /// R4 of the repair.
    pub(super) fn create_table(&self, table: &TableInfo, source: &SourceLog) -> Result<Copy, Error> {
        let (host, layout) = (&self.host, &self.layout);
        let id = new_log_id(host, layout)?;
        create_dirs(host, &layout.table(&table.name))?;
        let journal = self.journal.log.clone();
        let mut options = LogOptions::new()
            .record_bytes_max(RECORD_BYTES_MAX)
            .erasable(table.erasable)
            .origin(table_origin(&self.name, &table.name, id))
            .predecessor(source.predecessor())
            .journal_head(Arc::new(move || journal.head().ok()));
        if let Some(bytes) = self.segment_bytes {
            options = options.segment_bytes_max(bytes);
        }
        let log = Log::create(host, &layout.log(&table.name, id), id, &options)?;
        sync_dir(host, &layout.table(&table.name))?;
        Ok(Copy { log })
    }

    /// Makes a table's log durable, and names it in the journal.
    pub(super) fn close_table(&self, table: &TableInfo, copy: &Copy) -> Result<(), Error> {
        copy.log.sync()?;
        let (log, head) = (copy.log.id().0, copy.log.head()?.into());
        copy.log.close()?;
        let (first, others) = table.schemas.split_first().unwrap_or((&SchemaId(1), &[]));
        let (name, codec, erasable) = (table.name.clone(), table.codec.clone(), table.erasable);
        let schema = first.0;
        self.append_row(&JournalRow::TableCreated { name, log, codec, erasable, schema }, table.created)?;
        let now = Time(self.host.clock.now());
        for schema in others {
            self.append_row(&JournalRow::SchemaSeen { table: table.name.clone(), schema: schema.0 }, now)?;
        }
        self.append_row(&JournalRow::HeadSeen { log, head }, now)
    }

    /// Keeps what was allowed.
    pub(super) fn allow(&self, rows: &[JournalRow]) -> Result<(), Error> {
        rows.iter().try_for_each(|row| self.append_row(row, Time(self.host.clock.now())))
    }

    /// T2. Gives the directory of what is a store from now on.
    pub(super) fn finish(self) -> Result<PathBuf, Error> {
        let Self { host, layout, name, journal, .. } = self;
        journal.log.close()?;
        // Some systems do not rename a directory while a file in it is open.
        drop(journal);
        sync_dir(&host, &layout.dir)?;
        let path = layout.journal();
        host.fs.rename(&layout.unfinished_journal(), &path).map_err(io("name", &path))?;
        sync_dir(&host, &layout.dir)?;
        tracing::info!(store = %layout.dir.display(), name, "a repaired store was written");
        Ok(layout.dir)
    }

    fn append_row(&self, row: &JournalRow, time: Time) -> Result<(), Error> {
        let payload = row.encode();
        let row = NewRow { kind: Kind::ROW, time, schema: JOURNAL_SCHEMA, payload: &payload };
        self.journal.log.append(&row, BUFFERED)?;
        Ok(())
    }
}

impl Copy {
    pub(super) fn id(&self) -> LogId {
        self.log.id()
    }

    /// Appends what was a record of the old log.
    pub(super) fn append(&self, record: &Record<'_>) -> Result<(), Error> {
        self.log.append_copy(record)?;
        Ok(())
    }

    /// Appends the receipt of a loss; what `signer` allows of it is to be kept in the journal.
    pub(super) fn append_break(
        &self,
        source: LogId,
        loss: &Loss,
        who: &str,
        signer: Option<&SharedSigner>,
    ) -> Result<Option<JournalRow>, Error> {
        let position = self.log.append_break(source, loss, who)?;
        let Some(signer) = signer else { return Ok(None) };
        let payload = self.log.snapshot().get(position, |record| record.payload().map(<[u8]>::to_vec))?.flatten();
        let payload = payload.expect("BUG: a break record that was just written has no payload");
        let head = self.log.snapshot().head_at(position)?;
        let authority = Authority::over(self.log.id(), head, Kind::BREAK, &payload);
        let not_signed = |source| Error::NotSigned { origin: self.log.id().to_string(), source };
        let signature = signer.lock().authorise(&authority).map_err(not_signed)?;
        let note = Note::new(authority.to_string(), vec![signature])
            .map_err(|error| not_signed(SignError::Failed(error.into())))?;
        let note = note.to_string();
        Ok(Some(JournalRow::Allowed { log: self.log.id().0, position: position.0, note }))
    }
}
