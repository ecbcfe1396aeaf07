//! The journal: the store's own log, which says which tables there are.
//!
//! # Invariants
//!
//! - J5. A row counts once it is durable, and not before: `append` changes the state only after the sync.
//! - J6. After the journal began a segment, a state row follows, so that opening reads back to it and no further.
//!   Without one, as after a crash in between, opening reads further back and finds the same.

mod row;
mod state;

pub(crate) use row::{JOURNAL_SCHEMA, JournalRow};
pub(crate) use state::JournalState;
pub use state::{StoreKey, TableInfo};

use crate::due::Due;
use crate::error::Error;
use crate::layout::{Layout, journal_origin, store_of_journal_origin};
use crate::lock::{StoreLock, bound_to_store};
use crate::options::Options;
use crate::reserve::with_reserve;
use bulla_log::{AppendOptions, Durability, Log, LogError, LogOptions, NewRow};
use bulla_wire::limits::BATCH_BYTES_MAX;
use bulla_wire::{Kind, LogId, Position, Time};
use std::sync::Arc;

/// Rows are small but for the state row, which takes about a hundred bytes for each table.
const ROW_BYTES_MAX: u32 = 16 << 20;
const _: () = assert!(ROW_BYTES_MAX as u64 <= BATCH_BYTES_MAX);

/// The journal, open for writing.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) log: Log,
    pub(crate) state: JournalState,
    /// The store's name, as the journal's genesis has it.
    pub(crate) store: String,
    /// What its own next checkpoint waits for.
    pub(crate) due: Arc<Due>,
    /// The log's count of rotations when the last state row was considered (J6).
    rotations_seen: u64,
}

impl Journal {
    /// Creates the journal, with nothing in it but its genesis.
    pub(crate) fn create(
        layout: &Layout,
        name: &str,
        id: LogId,
        lock: &Arc<StoreLock>,
        options: &Options,
    ) -> Result<Self, Error> {
        let due = Arc::new(Due::new(0, &*options.host.clock));
        let log_options = log_options(layout, lock, options, &due).origin(journal_origin(name));
        let log = Log::create(&options.host, &layout.journal(), id, &log_options)?;
        Ok(Self { log, state: JournalState::default(), store: name.to_owned(), due, rotations_seen: 0 })
    }

    /// Opens the journal, whose first `known` records are known to be durable. Its state may be that of a store whose
    /// creation was interrupted.
    pub(crate) fn open(
        layout: &Layout,
        known: Position,
        lock: &Arc<StoreLock>,
        options: &Options,
    ) -> Result<Self, Error> {
        let dir = layout.journal();
        let due = Arc::new(Due::new(0, &*options.host.clock));
        let log_options = log_options(layout, lock, options, &due).known_durable_end(known);
        let log = Log::open(&options.host, &dir, &log_options)?;
        let origin = log.genesis()?.origin;
        let state = JournalState::newest(&layout.dir, &log.snapshot(), &mut Err)?;
        match store_of_journal_origin(&origin) {
            Some(name) if !state.is_created() || state.name == name => {
                let (store, rotations_seen) = (name.to_owned(), log.rotations());
                Ok(Self { log, state, store, due, rotations_seen })
            }
            _ => Err(LogError::Mismatch { dir, what: format!("its origin is {origin}") }.into()),
        }
    }

    /// J5 and J6. All rows or none; durable when this returns.
    pub(crate) fn append(&mut self, layout: &Layout, options: &Options, rows: Vec<JournalRow>) -> Result<(), Error> {
        let time = Time(options.host.clock.now());
        self.write(layout, options, &rows, time)?;
        for row in rows {
            if let Err(what) = self.state.apply(row, time) {
                panic!("BUG: a journal row that contradicts the others was written: {what}");
            }
        }
        let rotations = self.log.rotations();
        if rotations != self.rotations_seen {
            tracing::info!(store = %layout.dir.display(), rotations, "the journal began a segment");
            // What the caller asked for is durable already, and no answer depends on the state row.
            if let Err(error) = self.write(layout, options, &[self.state.to_row()], time) {
                tracing::warn!(store = %layout.dir.display(), %error, "the journal's state was not written");
            }
            // The state row itself may have begun a segment; another state row would not make that better.
            self.rotations_seen = self.log.rotations();
        }
        self.state.end = self.log.next_position();
        Ok(())
    }

    fn write(&self, layout: &Layout, options: &Options, rows: &[JournalRow], time: Time) -> Result<(), Error> {
        let payloads: Vec<_> = rows.iter().map(JournalRow::encode).collect();
        let batch: Vec<_> = payloads
            .iter()
            .map(|payload| NewRow { kind: Kind::ROW, time, schema: row::JOURNAL_SCHEMA, payload })
            .collect();
        let durable = AppendOptions { durability: Durability::Durable, expected: None };
        with_reserve(&options.host, layout, || self.log.append_batch(&batch, durable))?;
        Ok(())
    }
}

fn log_options(layout: &Layout, lock: &Arc<StoreLock>, options: &Options, due: &Arc<Due>) -> LogOptions {
    bound_to_store(layout, lock, &options.host, None, due)
        .segment_bytes_max(options.journal_segment_bytes_max)
        .record_bytes_max(ROW_BYTES_MAX)
}
