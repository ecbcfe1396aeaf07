//! What a store shows to others: checkpoints, the key they are signed with, and who is handed them.

use super::{State, Store};
use crate::anchor::{AnchorLag, AnchorSink, Extent, Place, StoreAnchors, places};
use crate::checkpoints;
use crate::error::Error;
use crate::journal::{JournalRow, StoreKey};
use crate::keys::{SharedSigner, is_signed_by};
use crate::layout::{NameOf, check_name, journal_origin};
use crate::making::{CheckpointLag, lag_of};
use crate::reserve::with_reserve;
use bulla_chain::{Authority, Note, ShownCheckpoint, Signer};
use bulla_wire::Kind;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

impl Store {
    /// Makes a checkpoint of a table's records so far, and notes it in the store. One of the same head, noted before under
    /// the same key, is given again and nothing is written.
    ///
    /// # Durability
    ///
    /// All of the table's records, what the signer remembers, and the checkpoint survive power loss when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::KeyNeeded`] in a store that has a key and was opened without its signer; [`Error::NotSigned`];
    /// [`Error::HeldMissing`] when the signer signed more than there is; what keeps the records from becoming durable.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulla::Store;
    /// let store = Store::in_memory()?;
    /// let logins = store.table::<String>("logins")?;
    /// logins.append(&"ana".to_owned())?;
    /// // The row, and the genesis record. Without a key nobody signs.
    /// let checkpoint = store.checkpoint("logins")?;
    /// assert_eq!((checkpoint.head().size, checkpoint.note()), (2, None));
    /// assert!(checkpoint.to_string().starts_with("store/logins/"));
    /// # Ok::<(), bulla::Error>(())
    /// ```
    pub fn checkpoint(&self, table: &str) -> Result<ShownCheckpoint, Error> {
        check_name(NameOf::Table, table)?;
        let mut state = self.state()?;
        self.inner.lock.check()?;
        let info = state.journal.state.tables.get(table).cloned().ok_or_else(|| self.no_such_table(table))?;
        let log = self.opened(&mut state, &info, None)?;
        self.inner.checkpoint_table(&mut state, table, &log)
    }

    /// Makes a checkpoint of the store's own journal, which has the heads of all tables; otherwise as
    /// [`checkpoint`](Self::checkpoint).
    pub fn checkpoint_journal(&self) -> Result<ShownCheckpoint, Error> {
        let mut state = self.state()?;
        self.inner.lock.check()?;
        self.inner.checkpoint_journal(&mut state)
    }

    /// How far each open log is behind its newest checkpoint, and why the last attempt failed if it did: `journal` first.
    #[must_use]
    pub fn checkpoint_lag(&self) -> Vec<CheckpointLag> {
        lag_of(&self.any_state())
    }

    /// The key that the store's checkpoints are signed with, as its journal says.
    #[must_use]
    pub fn key(&self) -> Option<StoreKey> {
        self.any_state().journal.state.key.clone()
    }

    /// Whether the signer refuses what does not continue what it signed before; `None` without a signer.
    #[must_use]
    pub fn is_rollback_protected(&self) -> Option<bool> {
        self.any_state().signer.as_ref().map(|signer| signer.lock().remembers())
    }

    /// From now on checkpoints are signed with another key. The signer so far signs that this is allowed; the first key of
    /// a store that has none is allowed by nobody. `file` is where the private key is, or empty.
    ///
    /// # Durability
    ///
    /// The change survives power loss when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::KeyNeeded`] without the signer of the store's key, [`Error::NotSigned`] if it does not allow the change.
    pub fn set_key(&self, signer: Box<dyn Signer>, file: &str) -> Result<(), Error> {
        let (layout, options) = (&self.inner.layout, &self.inner.options);
        let mut state = self.state()?;
        self.inner.lock.check()?;
        let key = signer.verifier().to_string();
        let row = |note| JournalRow::KeySet { key: key.clone(), file: file.to_owned(), note };
        let note = match &state.journal.state.key {
            None => None,
            Some(old) => {
                let needed = || Error::KeyNeeded { dir: layout.dir.clone(), file: old.file.clone() };
                let mut before = state.signer.as_ref().ok_or_else(needed)?.lock();
                let log = &state.journal.log;
                with_reserve(&options.host, layout, || log.sync())?;
                let authority = Authority::over(log.id(), log.head()?, Kind::ROW, &row(None).encode());
                let not_signed = |source| Error::NotSigned { origin: journal_origin(&self.inner.name), source };
                let signature = before.authorise(&authority).map_err(not_signed)?;
                let note = Note::new(authority.to_string(), vec![signature]);
                let by_old = note.ok().filter(|note| is_signed_by(note, &old.key)).ok_or_else(needed)?;
                Some(by_old.to_string())
            }
        };
        state.journal.append(layout, options, vec![row(note)])?;
        tracing::info!(store = %layout.dir.display(), key, "the key was set");
        state.signer = Some(SharedSigner::new(signer));
        Ok(())
    }

    /// Hands each log's newest checkpoint to `sink` from now on: one with each [`maintain`](Self::maintain), and the last
    /// ones when the store is closed. What it has taken already, in this program or another, is not handed over again.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`], and [`Error::Io`] when the state kept in `anchors` cannot be read.
    pub fn add_anchor(&self, sink: Box<dyn AnchorSink>) -> Result<(), Error> {
        drop(self.state()?);
        self.anchors().anchors.add(sink)
    }

    /// Hands nothing more to the anchor of this name, not at [`close`](Self::close) either.
    pub fn remove_anchor(&self, name: &str) {
        self.anchors().anchors.remove(name);
    }

    /// Hands over everything that is due of the logs with these origins, of all logs if there are none, once, whatever
    /// failed before; then says how far each anchor is with them.
    ///
    /// # Errors
    ///
    /// When the outcome cannot be kept in `anchors`. That a sink failed is no error but in what is returned.
    pub fn anchor_now(&self, origins: &[String]) -> Result<Vec<AnchorLag>, Error> {
        drop(self.state()?);
        let is_asked = |origin: &String| origins.is_empty() || origins.contains(origin);
        self.hand_over(Extent::All, is_asked)?;
        Ok(self.anchor_lag()?.into_iter().filter(|lag| is_asked(&lag.origin)).collect())
    }

    /// How far each anchor that was added is with each log.
    pub fn anchor_lag(&self) -> Result<Vec<AnchorLag>, Error> {
        let places = self.places(&*self.state()?);
        self.anchors().lag(&self.inner.options.host, places)
    }

    /// Hands over what is due of the logs asked about; with [`Extent::Step`] whether more is.
    pub(super) fn hand_over(&self, extent: Extent, is_asked: impl Fn(&String) -> bool) -> Result<bool, Error> {
        if self.anchors().anchors.is_empty() {
            return Ok(false);
        }
        let mut places = self.places(&self.any_state());
        places.retain(|(origin, ..)| is_asked(origin));
        let (host, lock) = (&self.inner.options.host, &self.inner.lock);
        // Nobody appends to the file meanwhile who has the state.
        let note = |dir: &Path, shown: &_| {
            let _state = self.any_state();
            lock.check()?;
            checkpoints::append(host, dir, shown)
        };
        lock.check()?;
        self.anchors().run(host, places, &note, extent)
    }

    fn places(&self, state: &State) -> Vec<Place> {
        let log = |name: &str| state.logs.get(name).cloned();
        let tables = state.journal.state.tables.values().map(|table| (table.clone(), log(&table.name)));
        places(&self.inner.layout, &self.inner.name, Some(&state.journal.log), tables)
    }

    fn anchors(&self) -> MutexGuard<'_, StoreAnchors> {
        self.inner.anchors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
