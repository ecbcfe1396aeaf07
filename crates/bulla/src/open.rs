//! Opening a store: finding out what is there, taking the lock, finishing what a crash interrupted.
//!
//! # Invariants
//!
//! - O1. The lock is taken before anything is changed, and what was found before it is looked at again after.
//! - O2. An unfinished creation is finished; anything else without a journal, or with one that lost its records, is
//!   refused.
//! - O3. What is made after the journal's genesis and first row proves both to be durable: without them the journal is
//!   damaged, and recovery must not take the rest of it for a torn tail.

use crate::error::{Error, io};
use crate::held;
use crate::journal::{Journal, JournalRow};
use crate::layout::{
    Found, Layout, LogDir, NameOf, check_name, create_dirs_durably, is_blank, journal_origin, name_from, parent,
    remove_blank, sync_dir,
};
use crate::lock::StoreLock;
use crate::options::Options;
use bulla_log::{LogError, LogReader, RecoveryReport, TailKind};
use bulla_vfs::Host;
use bulla_wire::{LogId, Position};
use std::path::Path;
use std::sync::Arc;

/// The position after a journal's genesis and first row.
const FIRST_ROW_END: Position = Position(2);

/// Takes the lock and opens the journal, or makes both where nothing is and that is wanted.
pub(crate) fn open_or_create(layout: &Layout, options: &Options) -> Result<(Arc<StoreLock>, Journal), Error> {
    let (host, dir) = (&options.host, &layout.dir);
    let name = match &options.name {
        Some(name) => {
            check_name(NameOf::Store, name)?;
            name.clone()
        }
        None => name_from(dir),
    };
    if refuse_foreign(layout, layout.probe(host)?)? == Found::Nothing {
        if !(options.create || options.create_new) {
            return Err(Error::NoSuchStore { dir: dir.clone() });
        }
        held::known_end(options, &layout.journal(), &journal_origin(&name))?;
        create_dirs_durably(host, dir)?;
    }
    let lock = StoreLock::acquire(host, layout)?;
    let journal = match refuse_foreign(layout, layout.probe(host)?)? {
        Found::Journal => open_journal(layout, &name, &lock, options)?,
        _ => create_journal(layout, &name, &lock, options)?,
    };
    Ok((lock, journal))
}

fn refuse_foreign(layout: &Layout, found: Found) -> Result<Found, Error> {
    match found {
        Found::Foreign => Err(Error::NotAStore { dir: layout.dir.clone() }),
        Found::JournalMissing => Err(Error::JournalMissing { dir: layout.dir.clone() }),
        found => Ok(found),
    }
}

fn open_journal(layout: &Layout, name: &str, lock: &Arc<StoreLock>, options: &Options) -> Result<Journal, Error> {
    let is_unfinished = !layout.has_later_parts(&options.host)?;
    // O3.
    let known = if is_unfinished { Position::ZERO } else { FIRST_ROW_END };
    // What cannot be read here is told by the opening below.
    let origin = LogReader::open(&options.host, &layout.journal()).and_then(|log| log.snapshot()?.genesis());
    let known = match origin {
        Ok(genesis) => known.max(held::known_end(options, &layout.journal(), &genesis.origin)?),
        Err(_) => known,
    };
    let mut journal = match Journal::open(layout, known, lock, options) {
        // Not even its genesis was written.
        Err(Error::Log(LogError::NotFound { .. })) if is_unfinished => {
            return create_journal(layout, name, lock, options);
        }
        opened => opened?,
    };
    report_recovery(&layout.journal(), journal.log.recovery());
    if journal.state.is_created() {
        if options.create_new {
            return Err(Error::AlreadyAStore { dir: layout.dir.clone() });
        }
    } else if is_unfinished {
        // Its genesis was written, so the name is settled.
        let name = journal.store.clone();
        journal.append(layout, options, created(name, options))?;
    } else {
        return Err(Error::JournalMissing { dir: layout.dir.clone() });
    }
    Ok(journal)
}

fn create_journal(layout: &Layout, name: &str, lock: &Arc<StoreLock>, options: &Options) -> Result<Journal, Error> {
    held::known_end(options, &layout.journal(), &journal_origin(name))?;
    let id = new_log_id(&options.host, layout)?;
    let mut journal = Journal::create(layout, name, id, lock, options)?;
    sync_dir(&options.host, &layout.dir)?;
    journal.append(layout, options, created(name.to_owned(), options))?;
    tracing::info!(store = %layout.dir.display(), name, journal = %id, "store created");
    Ok(journal)
}

/// B3. Removes what interrupted creations of tables left. What cannot be removed is in nobody's way.
pub(crate) fn sweep(host: &Host, layout: &Layout, journal: &Journal) {
    let swept = layout.log_dirs(host).and_then(|found| {
        found.iter().filter(|found| !journal.state.names(found)).try_for_each(|found| sweep_one(host, layout, found))
    });
    if let Err(error) = swept {
        tracing::warn!(store = %layout.dir.display(), %error, "the tables were not looked through");
    }
}

fn sweep_one(host: &Host, layout: &Layout, found: &LogDir) -> Result<(), Error> {
    if found.is_ours && is_blank(host, &found.dir)? {
        tracing::info!(dir = %found.dir.display(), "removing what an interrupted creation left");
        remove_blank(host, &found.dir)?;
        let table_dir = parent(&found.dir);
        if table_dir != layout.tables() && is_blank(host, table_dir)? {
            remove_blank(host, table_dir)?;
        }
    } else {
        tracing::warn!(dir = %found.dir.display(), "the journal does not name this");
    }
    Ok(())
}

/// Says in the program's own log what opening found.
pub(crate) fn report_recovery(dir: &Path, report: &RecoveryReport) {
    match report.tail {
        TailKind::Clean => {}
        TailKind::Torn => tracing::warn!(log = %dir.display(), ?report, "a torn tail was cut off"),
        _ => tracing::info!(log = %dir.display(), ?report, "the log was not closed"),
    }
}

/// An id nobody else has.
pub(crate) fn new_log_id(host: &Host, layout: &Layout) -> Result<LogId, Error> {
    let mut id = [0; 16];
    host.random.fill(&mut id).map_err(io("take randomness for a log in", &layout.dir))?;
    Ok(LogId(id))
}

/// The first rows of a journal: the store's creation, and its key if it has one.
fn created(name: String, options: &Options) -> Vec<JournalRow> {
    let mut rows = vec![JournalRow::StoreCreated { name, segment_bytes: options.segment_bytes_max }];
    if let Some(signer) = &options.signer {
        let key = signer.lock().verifier().to_string();
        rows.push(JournalRow::KeySet { key, file: options.key_file.clone(), note: None });
    }
    rows
}
