//! Making checkpoints.
//!
//! # Invariants
//!
//! - M1. In this order, each durable before the next: the log's records; the signer's memory; the journal's row; the note.
//!   Only then is a checkpoint given to anybody. So none is above what is durable, and one that was given out and is gone
//!   from the store is missed. The journal's own has no row: tables' seals carry its head.
//! - M2. A head that is noted under the current key gets no second entry.
//! - M3. In a store with a key nothing is noted that the key did not sign.
//! - M4. What nobody asked for waits for no lock, and its failure is nobody's but the checkpoint's: it is kept, told and
//!   tried again.
//! - M5. A head beside the one that the journal has of the log at that size is neither signed nor noted, nor is it said in
//!   the journal, whose rows never contradict each other.
//!
//! # Not here
//!
//! When: `due`. What the file looks like: `checkpoints`.

use crate::checkpoints;
use crate::due::Due;
use crate::error::Error;
use crate::journal::JournalRow;
use crate::keys::is_signed_by;
use crate::layout::journal_origin;
use crate::reserve::with_reserve;
use crate::store::{Inner, State};
use bulla_chain::{AddCheckpoint, Checkpoint, Note, ShownCheckpoint, TreeHead};
use bulla_log::Log;
use bulla_wire::Position;
use std::sync::{TryLockError, Weak};

/// A checkpoint, and whether it has to be noted.
pub(crate) struct Prepared {
    pub(crate) shown: ShownCheckpoint,
    is_noted: bool,
}

/// How far a log is behind its newest checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointLag {
    /// The table's name, or `journal`.
    pub log: String,
    /// Durable records that are under no checkpoint.
    pub records: u64,
    /// Why the last attempt to make one failed, if it did.
    pub failure: Option<String>,
}

impl Inner {
    /// A checkpoint of a table whose log is open, noted (M1).
    pub(crate) fn checkpoint_table(&self, state: &mut State, table: &str, log: &Log) -> Result<ShownCheckpoint, Error> {
        let due = state.dues.get(table).cloned();
        let tried = self.try_table(state, table, log, due.as_deref());
        self.tell(due.as_deref(), table, &tried);
        tried
    }

    fn try_table(
        &self,
        state: &mut State,
        table: &str,
        log: &Log,
        due: Option<&Due>,
    ) -> Result<ShownCheckpoint, Error> {
        if let Some(due) = due {
            due.begin();
        }
        let origin = state.journal.state.tables.get(table).map(|table| table.origin.clone()).unwrap_or_default();
        let prepared = self.prepare(state, log, &origin)?;
        if !prepared.is_noted
            && let Some(row) = row_of(state, table, log, prepared.shown.head())
        {
            state.journal.append(&self.layout, &self.options, vec![row])?;
        }
        self.note(state, log, prepared)
    }

    /// The same for the journal.
    pub(crate) fn checkpoint_journal(&self, state: &mut State) -> Result<ShownCheckpoint, Error> {
        let (log, due) = (state.journal.log.clone(), state.journal.due.clone());
        due.begin();
        let prepared = self.prepare(state, &log, &journal_origin(&self.name));
        let tried = prepared.and_then(|prepared| self.note(state, &log, prepared));
        self.tell(Some(&due), "journal", &tried);
        tried
    }

    fn tell(&self, due: Option<&Due>, log: &str, tried: &Result<ShownCheckpoint, Error>) {
        let clock = &*self.options.host.clock;
        match tried {
            Ok(shown) => {
                if let Some(due) = due {
                    due.made(shown.head().size, clock);
                }
            }
            Err(error) => {
                tracing::warn!(store = %self.layout.dir.display(), log, %error, "no checkpoint could be made");
                if let Some(due) = due {
                    due.failed(error.in_one_line(), clock);
                }
            }
        }
    }

    /// A checkpoint of the log's durable end, signed where there is a key. The log is left open.
    pub(crate) fn prepare(&self, state: &mut State, log: &Log, origin: &str) -> Result<Prepared, Error> {
        let (host, layout) = (&self.options.host, &self.layout);
        if state.signer.is_none()
            && let Some(key) = &state.journal.state.key
        {
            return Err(Error::KeyNeeded { dir: layout.dir.clone(), file: key.file.clone() });
        }
        with_reserve(host, layout, || log.sync())?;
        let head = log.head()?;
        check_seen(state, log, origin, head)?;
        if let Some(shown) = self.noted(state, log, origin, head)? {
            return Ok(Prepared { shown, is_noted: true });
        }
        let text = |what| Error::Checkpoint { path: checkpoints::path(log.dir()), what };
        let checkpoint = Checkpoint::new(origin, head).map_err(|error| text(error.to_string()))?;
        let Some(signer) = &state.signer else {
            return Ok(Prepared { shown: ShownCheckpoint::unsigned(checkpoint), is_noted: false });
        };
        let not_signed = |source| Error::NotSigned { origin: origin.to_owned(), source };
        let mut signer = signer.lock();
        let last = signer.last(origin).map_err(not_signed)?;
        if last.size > head.size {
            return Err(Error::HeldMissing { origin: origin.to_owned(), held: last, size: head.size });
        }
        let proof = log.prover()?.consistency(last.size, head.size)?;
        let unsigned = ShownCheckpoint::unsigned(checkpoint.clone());
        let request = AddCheckpoint { old_size: last.size, proof, checkpoint: unsigned };
        let signature = signer.sign(&request).map_err(not_signed)?;
        let note = Note::new(checkpoint.to_string(), vec![signature]).map_err(|error| text(error.to_string()))?;
        if !is_signed_by(&note, &signer.verifier()) {
            return Err(text(String::from("what the signer gave is no signature of its key")));
        }
        let shown = ShownCheckpoint::signed(note).map_err(|error| text(error.to_string()))?;
        Ok(Prepared { shown, is_noted: false })
    }

    /// M2. What is noted of this head, under the current key if there is one.
    fn noted(
        &self,
        state: &mut State,
        log: &Log,
        origin: &str,
        head: TreeHead,
    ) -> Result<Option<ShownCheckpoint>, Error> {
        let key = state.signer.as_ref().map(|signer| signer.lock().verifier());
        let is_it = |shown: &ShownCheckpoint| {
            let is_by_key = key.as_ref().is_none_or(|key| shown.note().is_some_and(|note| is_signed_by(note, key)));
            shown.head() == head && shown.checkpoint().origin() == origin && is_by_key
        };
        if let Some(shown) = state.shown.get(&log.id()) {
            return Ok(is_it(shown).then(|| shown.clone()));
        }
        let notes = checkpoints::read(&self.options.host, log.dir())?.unwrap_or_default();
        let found = notes.entries.into_iter().rev().map(|noted| noted.shown).find(is_it);
        if let Some(shown) = &found {
            state.shown.insert(log.id(), shown.clone());
        }
        Ok(found)
    }

    /// The last step of M1.
    pub(crate) fn note(&self, state: &mut State, log: &Log, prepared: Prepared) -> Result<ShownCheckpoint, Error> {
        let Prepared { shown, is_noted } = prepared;
        if !is_noted {
            let host = &self.options.host;
            self.lock.check()?;
            // An entry that is not there whole is not there: until it is, this is what is known of the file.
            state.shown.remove(&log.id());
            with_reserve(host, &self.layout, || checkpoints::append(host, log.dir(), &shown))?;
            tracing::debug!(log = %log.dir().display(), size = shown.head().size, "checkpoint noted");
            state.shown.insert(log.id(), shown.clone());
        }
        Ok(shown)
    }

    /// What is due and was not served by an append, as far as it goes; the first failure.
    pub(crate) fn serve_due(&self, state: &mut State) -> Result<(), Error> {
        let (every, clock) = (self.options.checkpoint_every, &*self.options.host.clock);
        let mut result = Ok(());
        let is_due = |due: &Due, log: &Log| !log.is_poisoned() && due.is_due(log.next_position().0, every, clock);
        for (table, log) in state.logs.clone() {
            if state.dues.get(&table).is_some_and(|due| is_due(due, &log)) {
                result = result.and(self.checkpoint_table(state, &table, &log).map(drop));
            }
        }
        if is_due(&state.journal.due, &state.journal.log) {
            result = result.and(self.checkpoint_journal(state).map(drop));
        }
        result
    }
}

/// M5.
fn check_seen(state: &State, log: &Log, origin: &str, head: TreeHead) -> Result<(), Error> {
    let table = state.journal.state.tables.values().find(|table| table.log == log.id());
    match table.and_then(|table| table.head) {
        Some(seen) if seen.size == head.size && seen != head => {
            Err(Error::HeldFork { origin: origin.to_owned(), held: Box::new(seen), found: head.root })
        }
        _ => Ok(()),
    }
}

/// The journal's row of a checkpoint, unless it has it: only the note was lost then, or is made again with another key.
pub(crate) fn row_of(state: &State, table: &str, log: &Log, head: TreeHead) -> Option<JournalRow> {
    let seen = state.journal.state.tables.get(table).and_then(|table| table.checkpointed);
    (seen != Some(head.size)).then(|| JournalRow::Checkpointed { log: log.id().0, head: head.into() })
}

/// How far each open log is behind its newest checkpoint.
pub(crate) fn lag_of(state: &State) -> Vec<CheckpointLag> {
    let lag = |name: &str, log: &Log, due: Option<&Due>, size: Option<u64>| CheckpointLag {
        log: name.to_owned(),
        records: log.durable_end().0.saturating_sub(size.unwrap_or_default()),
        failure: due.and_then(Due::failure),
    };
    let journal = &state.journal.log;
    let size = state.shown.get(&journal.id()).map(|shown| shown.head().size);
    let journal = lag("journal", journal, Some(&state.journal.due), size);
    let tables = state.logs.iter().map(|(name, log)| {
        let size = state.journal.state.tables.get(name).and_then(|table| table.checkpointed);
        lag(name, log, state.dues.get(name).map(|due| &**due), size)
    });
    std::iter::once(journal).chain(tables).collect()
}

/// M4. What each append of a table ends with.
pub(crate) fn after_append(inner: &Weak<Inner>, due: &Due, table: &str, end: Position) {
    let Some(inner) = inner.upgrade() else { return };
    if !due.is_due(end.0, inner.options.checkpoint_every, &*inner.options.host.clock) {
        return;
    }
    let mut state = match inner.state.try_lock() {
        Ok(state) => state,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    if state.is_closed {
        return;
    }
    if let Some(log) = state.logs.get(table).cloned() {
        // Told, and kept for `checkpoint_lag`, by whoever tried.
        drop(inner.checkpoint_table(&mut state, table, &log));
    }
}
