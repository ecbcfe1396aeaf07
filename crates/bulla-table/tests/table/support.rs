//! A host, tables on it, and seeded values, for all tests of this folder.

use bulla_log::LogOptions;
use bulla_table::{Codec, Durability, Log, LogId, Position, RowOptions, Schema, Table, Time};
use bulla_vfs::{Host, Random as _, SeededRandom};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the clock of every table here shows.
pub(crate) const NOW: Time = Time(1_700_000_000_000_000_000);

/// A row with something of everything in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) attempts: u32,
    pub(crate) outcome: Outcome,
    pub(crate) address: Option<[u8; 4]>,
    pub(crate) tags: Vec<(String, i64)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Granted,
    Refused(String),
    Locked { until: i64 },
}

pub(crate) fn login(user: &str, attempts: u32) -> Login {
    Login {
        user: user.to_owned(),
        attempts,
        outcome: match attempts {
            0 => Outcome::Granted,
            1 => Outcome::Refused("password".to_owned()),
            _ => Outcome::Locked { until: i64::MIN },
        },
        address: (attempts > 1).then_some([127, 0, 0, 1]),
        tags: vec![("zone".to_owned(), -1)],
    }
}

/// A disk in memory with one directory for each log.
pub(crate) struct Disk {
    pub(crate) host: Host,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self { host: Host::memory() }
    }

    pub(crate) fn dir(number: u8) -> PathBuf {
        Path::new("/").join(format!("log{number}"))
    }

    /// A new log of small segments, so that a test sees several of them, and of records of at most 64 KiB.
    pub(crate) fn create(&self, number: u8) -> Log {
        let options = LogOptions::new().segment_bytes_max(4 << 10).record_bytes_max(64 << 10);
        Log::create(&self.host, &Self::dir(number), LogId([number; 16]), &options).unwrap()
    }

    /// A new table on a new log.
    pub(crate) fn table<T, C>(&self, number: u8) -> Table<T, C> {
        table_on(self.create(number), Schema::default())
    }
}

/// A table of a log, durable unless a call says otherwise.
pub(crate) fn table_on<T, C>(log: Log, schema: Schema<T>) -> Table<T, C> {
    Table::new(log, "tested", schema, Arc::new(|| NOW), Durability::Durable)
}

/// A new table on a disk of its own.
pub(crate) fn table<T, C>() -> Table<T, C> {
    Disk::new().table(1)
}

/// Values that repeat for a seed.
pub(crate) struct Seeded(SeededRandom);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes) % end
    }

    pub(crate) fn maybe(&mut self, end: u64) -> Option<u64> {
        (self.below(2) == 0).then(|| self.below(end))
    }
}

/// A row of a model: what a table must give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelRow {
    pub(crate) position: Position,
    pub(crate) time: i64,
    pub(crate) kind: u8,
    pub(crate) row: Vec<u8>,
}

/// Fills a table with `count` rows of few times, mostly rising and often falling back, of three kinds and lengths of 0
/// to 99 bytes, with rotations here and there; and says what is in it.
pub(crate) fn fill<C: Codec<Vec<u8>>>(table: &Table<Vec<u8>, C>, seed: u64, count: u64) -> Vec<ModelRow> {
    let mut random = Seeded::new(seed);
    let mut model = Vec::new();
    while (model.len() as u64) < count {
        let time = i64::try_from(model.len() as u64 / 40 * 10 + random.below(3) * 10).unwrap() - 50;
        let kind = u8::try_from(random.below(3)).unwrap();
        let rows: Vec<Vec<u8>> = (0..=random.below(6))
            .map(|_| vec![u8::try_from(random.below(256)).unwrap(); usize::try_from(random.below(100)).unwrap()])
            .collect();
        let options = RowOptions::new().time(time).kind(kind);
        let positions = table.append_batch_with(&rows, &options).unwrap();
        for (position, row) in (positions.start.0..positions.end.0).zip(rows) {
            model.push(ModelRow { position: Position(position), time, kind, row });
        }
        if random.below(40) == 0 {
            table.rotate().unwrap();
        }
    }
    model
}
