//! How a store is opened and how a table is.

use crate::error::Error;
use crate::store::Store;
use bulla_log::Durability;
use bulla_table::Schema;
use bulla_vfs::Host;
use std::fmt;
use std::path::Path;

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
