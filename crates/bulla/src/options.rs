//! How a store is opened and how a table is.

use crate::due::Every;
use crate::error::Error;
use crate::keys::SharedSigner;
use crate::store::Store;
use bulla_chain::{ShownCheckpoint, Signer};
use bulla_log::Durability;
use bulla_table::Schema;
use bulla_vfs::Host;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// How a store is opened, for those who want other than [`Store::open`] gives.
///
/// # Examples
///
/// ```
/// use bulla::{Durability, Host, Options};
/// let store = Options::new()
///     .create_new(true)
///     .name("payments")
///     .segment_bytes_max(16 << 20)
///     .durability(Durability::Flushed)
///     .host(Host::memory())
///     .open("/payments")?;
/// assert_eq!(store.name(), "payments");
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `open`"]
pub struct Options {
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) name: Option<String>,
    pub(crate) segment_bytes_max: Option<u64>,
    pub(crate) journal_segment_bytes_max: u64,
    pub(crate) record_bytes_max: Option<u32>,
    pub(crate) durability: Durability,
    pub(crate) host: Host,
    pub(crate) signer: Option<SharedSigner>,
    pub(crate) key_file: String,
    pub(crate) held: Vec<ShownCheckpoint>,
    pub(crate) checkpoint_every: Every,
}

impl Options {
    /// Opens or creates, on the machine's disk, durable, with the limits of
    /// the log below.
    pub fn new() -> Self {
        Self {
            create: true,
            create_new: false,
            name: None,
            segment_bytes_max: None,
            journal_segment_bytes_max: 1 << 20,
            record_bytes_max: None,
            durability: Durability::Durable,
            host: Host::os(),
            signer: None,
            key_file: String::new(),
            held: Vec::new(),
            checkpoint_every: Every::default(),
        }
    }

    /// Whether a store is created where there is none. True unless set.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Whether a store that is there already is an error. Implies [`create`](Self::create).
    pub fn create_new(mut self, create_new: bool) -> Self {
        self.create_new = create_new;
        self
    }

    /// What a new store is called, in the origins of its logs: `[a-z0-9._-]+`, at most 64 bytes, not beginning with a
    /// dot. Otherwise the directory's name is taken, with other characters replaced. A store keeps its name; an existing
    /// one takes no notice of this.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// File bytes at which a table's segment is sealed and the next begun, for tables that set nothing else. A store keeps
    /// what it was created with; what an opening says here holds for that opening.
    pub fn segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = Some(bytes);
        self
    }

    /// The same for the store's own journal, 1 MiB unless set. Opening reads at most about two journal segments.
    pub fn journal_segment_bytes_max(mut self, bytes: u64) -> Self {
        self.journal_segment_bytes_max = bytes;
        self
    }

    /// Largest row taken, in bytes as encoded, at most 64 MiB.
    pub fn record_bytes_max(mut self, bytes: u32) -> Self {
        self.record_bytes_max = Some(bytes);
        self
    }

    /// What appends wait for when the call says nothing else.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Where files, time and randomness come from.
    pub fn host(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// Who signs the store's checkpoints, with a key that is named as the store is: verification believes it of no other
    /// store. A store that is created gets this key as its own, and takes signatures of no
    /// other from then on, but for [`Store::set_key`]; what the signer remembers of a log is held against it when it is
    /// opened. The signer is asked with the store locked, and so must not call it. Without one a store that has no key
    /// makes checkpoints that nobody signed, and one that has a key makes none.
    pub fn signer(mut self, signer: Box<dyn Signer>) -> Self {
        self.signer = Some(SharedSigner::new(signer));
        self
    }

    /// Where the signer's private key is, for the journal of a store that is created: so that commands find it.
    pub fn key_file(mut self, path: impl Into<String>) -> Self {
        self.key_file = path.into();
        self
    }

    /// A checkpoint kept elsewhere, to be held against the log of its origin; may be called for several. A log that does
    /// not continue it is not opened for writing: [`Error::HeldMissing`], [`Error::HeldFork`]. Its signatures are the
    /// caller's to check.
    pub fn held(mut self, checkpoint: ShownCheckpoint) -> Self {
        self.held.push(checkpoint);
        self
    }

    /// Makes a checkpoint of a table also once so many records, or so much time, went by since the newest: on the thread
    /// of the append that finds it due, or in [`Store::maintain`]. Of each log at most one a second. Unless set, only
    /// sealing a segment, closing, and [`Store::checkpoint`] make one.
    pub fn checkpoint_every(mut self, records: Option<u64>, time: Option<Duration>) -> Self {
        self.checkpoint_every = Every::new(records, time);
        self
    }

    /// Opens the store in `dir`; see [`Store::open`].
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<Store, Error> {
        Store::open_with(dir.as_ref(), self)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// How a table is created or opened.
#[must_use = "options do nothing until a table is opened with them"]
pub struct TableOptions<T> {
    pub(crate) schema: Schema<T>,
    pub(crate) erasable: Option<bool>,
    pub(crate) segment_bytes_max: Option<u64>,
}

impl<T> TableOptions<T> {
    /// Schema 1 without an upgrade; not erasable when the table is created, whatever it is when it exists; segments as
    /// the store has them.
    pub fn new() -> Self {
        Self { schema: Schema::default(), erasable: None, segment_bytes_max: None }
    }

    /// Which schema rows are written under, and how older ones are read.
    pub fn schema(mut self, schema: Schema<T>) -> Self {
        self.schema = schema;
        self
    }

    /// Whether each row carries a salt, so that a short one cannot be guessed from its digest once it was erased.
    /// Settled when the table is created: asking otherwise of an existing table is an error.
    pub fn erasable(mut self, erasable: bool) -> Self {
        self.erasable = Some(erasable);
        self
    }

    /// File bytes at which a segment of this table is sealed. Counts for the first handle of a table that a store gives.
    pub fn segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = Some(bytes);
        self
    }
}

impl<T> Default for TableOptions<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for TableOptions<T> {
    fn clone(&self) -> Self {
        Self { schema: self.schema.clone(), erasable: self.erasable, segment_bytes_max: self.segment_bytes_max }
    }
}

impl<T> fmt::Debug for TableOptions<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableOptions")
            .field("erasable", &self.erasable)
            .field("segment_bytes_max", &self.segment_bytes_max)
            .finish_non_exhaustive()
    }
}
