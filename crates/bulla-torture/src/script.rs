//! Steps on a log or a store, carried out on any disk, with an oracle that is told what was acknowledged.
//!
//! # Invariants
//!
//! - S1. What is about to be submitted is told before the call, what was acknowledged after it; so at every moment in
//!   between the oracle is right about what may and what must be there.
//! - S2. A call that fails leaves the log as it was, or poisoned; anything else is a wrong answer. After poison nothing
//!   is acknowledged before the log was opened again.

use crate::oracle::{Found, ReadError, Told, read};
use bulla::{Options, Raw, Store, Table, TableOptions};
use bulla_log::{AppendOptions, Durability, Log, LogOptions, NewRow, Snapshot, Ticket};
use bulla_segment::SegmentFile;
use bulla_testkit::Random;
use bulla_vfs::{Host, OpenMode};
use bulla_wire::{FRAME_ALIGNMENT, FrameHeader, Kind, LogId, Position, SchemaId, Time};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a lone log lies.
pub const LOG_DIR: &str = "/log";
/// Where a store lies.
pub const STORE_DIR: &str = "/store";

/// What a script is carried out on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A log by itself.
    Log,
    /// A store with so many tables.
    Store {
        /// Tables.
        tables: u8,
    },
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Append records in one call.
    Append {
        /// To which table; 0 is the log itself.
        table: u8,
        /// How many.
        count: u16,
        /// Bytes of each.
        size: u32,
        /// What the call waits for.
        durability: Durability,
    },
    /// Append a record that holds the last bytes of the newest segment: frames of this very log.
    AppendOwnFrames {
        /// To which table.
        table: u8,
    },
    /// Submit a record and wait for it later, with the next sync.
    Submit {
        /// To which table.
        table: u8,
        /// Bytes of the record.
        size: u32,
    },
    /// Flush.
    Flush {
        /// Which table.
        table: u8,
    },
    /// Sync.
    Sync {
        /// Which table.
        table: u8,
    },
    /// Rotate.
    Rotate {
        /// Which table.
        table: u8,
    },
    /// Take a snapshot, and see later that it is as it was.
    Snapshot {
        /// Of which table.
        table: u8,
    },
    /// Do deferred work.
    Maintain,
    /// Close and open again.
    Reopen,
    /// Drop without closing, and open again.
    Drop,
}

impl Step {
    /// Any step.
    #[must_use]
    pub fn draw(random: &mut Random, tables: u8) -> Self {
        let table = random.below(tables.into()) as u8;
        let durability = [Durability::Durable, Durability::Flushed, Durability::Buffered][random.below(3) as usize];
        let size = |random: &mut Random| match random.below(12) {
            0 => 1,
            1 => 1000 + random.below(3000) as u32,
            2 => 4000 + random.below(20_000) as u32,
            _ => 1 + random.below(700) as u32,
        };
        match random.below(20) {
            0..=7 => Self::Append { table, count: 1, size: size(random), durability },
            8..=10 => {
                let count = 2 + random.below(10) as u16;
                Self::Append { table, count, size: 1 + random.below(600) as u32, durability }
            }
            11 => Self::AppendOwnFrames { table },
            12 | 13 => Self::Submit { table, size: size(random) },
            14 => Self::Flush { table },
            15 => Self::Sync { table },
            16 => Self::Rotate { table },
            17 => Self::Snapshot { table },
            18 if random.below(2) == 0 => Self::Maintain,
            18 => Self::Drop,
            _ => Self::Reopen,
        }
    }
}

/// A wrong answer.
pub type Wrong = String;

enum Opened {
    Log(Log),
    Store { store: Store, tables: Vec<Table<Vec<u8>, Raw>> },
}

impl Opened {
    fn log(&self, table: u8) -> &Log {
        match self {
            Self::Log(log) => log,
            Self::Store { tables, .. } => tables[usize::from(table) % tables.len()].log(),
        }
    }
}

/// What the oracle knows, table by table. Shared with whoever watches the disk.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Vec<Told>>>);

impl Ledger {
    /// What is known now.
    #[must_use]
    pub fn now(&self) -> Vec<Told> {
        self.tables().clone()
    }

    /// Goes on from what is known.
    pub fn set(&self, told: Vec<Told>) {
        *self.tables() = told;
    }

    fn tables(&self) -> MutexGuard<'_, Vec<Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, table: u8, run: impl FnOnce(&mut Told) -> T) -> T {
        let mut tables = self.tables();
        let count = tables.len();
        run(&mut tables[usize::from(table) % count])
    }
}

/// Carries out steps.
pub struct Runner {
    place: Place,
    host: Host,
    opened: Option<Opened>,
    /// What the oracle knows.
    pub ledger: Ledger,
    calls: u64,
    tickets: Vec<(u8, u64, Ticket)>,
    snapshots: Vec<(Snapshot, Vec<Found>)>,
    /// Calls that failed with a typed error.
    pub failed_calls: u64,
    /// The disk may say `Ok` of what never arrives, so that what came with the last sync may look like a torn write.
    pub is_disk_lying: bool,
}

/// The options of every log: segments as small as they may be, so that a script meets many of them.
pub fn log_options() -> LogOptions {
    LogOptions::new().segment_bytes_max(4 << 10).frame_target_bytes(1 << 10).origin("torture/log")
}

fn store_options(host: &Host) -> Options {
    Options::new().name("torture").segment_bytes_max(4 << 10).journal_segment_bytes_max(4 << 10).host(host.clone())
}

fn table_name(table: usize) -> String {
    format!("t{table}")
}

/// How a place is opened, and what it then says of itself.
pub enum Opening {
    /// There is nothing yet, as far as the log is concerned.
    Nothing,
    /// It is open.
    Open,
    /// It is refused.
    Refused(bulla::Error),
}

impl Runner {
    /// Nothing is done yet.
    #[must_use]
    pub fn new(place: Place, host: Host) -> Self {
        let tables = match place {
            Place::Log => 1,
            Place::Store { tables } => usize::from(tables),
        };
        let ledger = Ledger::default();
        ledger.set(vec![Told::default(); tables]);
        Self {
            place,
            host,
            opened: None,
            ledger,
            calls: 0,
            tickets: Vec::new(),
            snapshots: Vec::new(),
            failed_calls: 0,
            is_disk_lying: false,
        }
    }

    /// Puts another disk under the same promises, as a crash does; nothing of the old one is kept open.
    pub fn move_to(&mut self, host: Host) {
        self.snapshots.clear();
        self.tickets.clear();
        self.opened = None;
        self.host = host;
    }

    /// Whether something is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Creates what is missing and opens it all, without looking at what is in it.
    ///
    /// # Errors
    ///
    /// What the library says.
    pub fn create(&mut self) -> Result<(), bulla::Error> {
        match self.place {
            Place::Log => {
                let dir = Path::new(LOG_DIR);
                // A log that was there and is gone is not made again where the disk may have lost it.
                let may_create = !(self.is_disk_lying && self.ledger.tables()[0].is_created);
                let log = match Log::open(&self.host, dir, &log_options()) {
                    Err(error) if may_create && error.is_missing() && !error.is_damage() => {
                        Log::create(&self.host, dir, LogId([7; 16]), &log_options())?
                    }
                    opened => opened?,
                };
                self.host.fs.sync_dir(Path::new("/")).map_err(|source| bulla::Error::Io {
                    action: "sync",
                    path: "/".into(),
                    source,
                })?;
                self.opened = Some(Opened::Log(log));
            }
            Place::Store { tables } => {
                let store = store_options(&self.host).open(STORE_DIR)?;
                let mut opened = Vec::new();
                for table in 0..usize::from(tables) {
                    opened.push(store.table_with::<Vec<u8>, Raw>(&table_name(table), &TableOptions::new())?);
                    // Each is acknowledged by itself.
                    self.ledger.tables()[table].is_created = true;
                }
                self.opened = Some(Opened::Store { store, tables: opened });
            }
        }
        for told in &mut *self.ledger.tables() {
            told.is_created = true;
        }
        Ok(())
    }

    /// Opens, creates what is missing, and holds what is there against what was told, which is settled by it.
    ///
    /// # Errors
    ///
    /// A wrong answer. A refusal of the library's is `Ok(Err(..))`.
    pub fn open(&mut self) -> Result<Result<(), bulla::Error>, Wrong> {
        // Looked for before opening, which cuts.
        let proof = self.is_disk_lying.then(|| proof(&self.host));
        if let Err(error) = self.create() {
            if error.is_damage() {
                return Err(format!("called damage: {error} {error:?}"));
            }
            self.failed_calls += 1;
            return Ok(Err(error));
        }
        // What comes now must not be taken for a call of an earlier life.
        let calls = self.ledger.tables().iter().flat_map(|told| &told.sent).map(|sent| sent.call).max();
        self.calls = self.calls.max(calls.unwrap_or_default());
        let opened = self.opened.as_ref().ok_or("BUG: it was just opened")?;
        let count = self.ledger.tables().len();
        for table in 0..count as u8 {
            let found = match read(&opened.log(table).snapshot()) {
                Ok(found) => found,
                Err(ReadError::Log(error)) if !error.is_damage() => {
                    self.failed_calls += 1;
                    self.opened = None;
                    return Ok(Err(error.into()));
                }
                Err(error) => return Err(format!("table {table}: {error}")),
            };
            self.ledger.with(table, |told| -> Result<(), Wrong> {
                let checked = match proof {
                    Some(proof) => told.check_against(&found, proof),
                    None => told.check(&found, told.durable),
                };
                checked.map_err(|what| format!("table {table}: {what}"))?;
                told.settle(&found);
                Ok(())
            })?;
        }
        Ok(Ok(()))
    }

    /// Carries out one step, if anything is open.
    ///
    /// # Errors
    ///
    /// A wrong answer.
    pub fn step(&mut self, step: Step) -> Result<(), Wrong> {
        if self.opened.is_none() {
            return self.open().map(drop);
        }
        match step {
            Step::Append { table, count, size, durability } => {
                let payloads: Vec<Arc<[u8]>> = (0..count).map(|index| self.payload(index, size)).collect();
                self.append(table, &payloads, durability)
            }
            Step::AppendOwnFrames { table } => {
                let payload = self.own_frames(table);
                self.append(table, &[payload], Durability::Durable)
            }
            Step::Submit { table, size } => self.submit(table, size),
            Step::Flush { table } => self.settle(table, Durability::Flushed, Log::flush),
            Step::Sync { table } => self.settle(table, Durability::Durable, Log::sync),
            Step::Rotate { table } => self.settle(table, Durability::Durable, Log::rotate),
            Step::Snapshot { table } => self.snapshot(table),
            Step::Maintain => self.maintain(),
            Step::Reopen => {
                self.close()?;
                self.open().map(drop)
            }
            Step::Drop => {
                self.drop_all()?;
                self.open().map(drop)
            }
        }
    }

    fn payload(&self, index: u16, size: u32) -> Arc<[u8]> {
        let mut bytes = format!("call {} record {index} ", self.calls).into_bytes();
        let mut random = Random::new(self.calls << 16 | u64::from(index));
        // Bytes of every value, so that a payload may look like anything.
        while bytes.len() < size as usize {
            bytes.extend(random.next_u64().to_le_bytes());
        }
        bytes.truncate((size as usize).max(1));
        bytes.into()
    }

    /// The last bytes of the newest segment, zeros written ahead left out.
    fn own_frames(&self, table: u8) -> Arc<[u8]> {
        let Some(opened) = &self.opened else { return Arc::default() };
        let dir = opened.log(table).dir();
        let names = self.host.fs.list(dir).unwrap_or_default();
        let newest =
            names.iter().map(|entry| &entry.name).filter(|name| name.to_string_lossy().ends_with(".seg")).max();
        let mut bytes = vec![0; 1 << 20];
        let read = newest.and_then(|name| {
            let file = self.host.fs.open(&dir.join(name), OpenMode::Read).ok()?;
            bulla_vfs::read_up_to_at(&*file, &mut bytes, 0).ok()
        });
        bytes.truncate(read.unwrap_or_default());
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let mut payload = format!("call {} ", self.calls).into_bytes();
        // Frames begin at multiples of eight, so the copies shall too, as far as one can tell.
        payload.resize(payload.len().next_multiple_of(8), b' ');
        payload.extend(&bytes[(end.saturating_sub(1500) / 8 * 8)..end]);
        payload.into()
    }

    fn append(&mut self, table: u8, payloads: &[Arc<[u8]>], durability: Durability) -> Result<(), Wrong> {
        let call = self.next_call();
        self.ledger.with(table, |told| {
            told.submit(call, payloads);
            told.is_closed = false;
        });
        let rows: Vec<NewRow<'_>> = payloads.iter().map(|payload| row(payload)).collect();
        let options = AppendOptions { durability, ..AppendOptions::default() };
        let log = self.log(table)?;
        let (before, was_poisoned) = (log.next_position(), log.is_poisoned());
        let result = log.append_batch(&rows, options);
        match result {
            Ok(positions) => {
                if was_poisoned {
                    return Err("S2: a poisoned log acknowledged an append".to_owned());
                }
                if positions.end.0 - positions.start.0 != payloads.len() as u64 || positions.start < before {
                    return Err(format!("I4: {} records at {before} became {positions:?}", payloads.len()));
                }
                self.ledger.with(table, |told| {
                    told.placed(call, &positions);
                    told.reached(durability);
                });
                Ok(())
            }
            Err(error) => self.failed(table, call, before, was_poisoned, &error),
        }
    }

    /// S2.
    fn failed(
        &mut self,
        table: u8,
        call: u64,
        before: Position,
        was_poisoned: bool,
        error: &bulla_log::LogError,
    ) -> Result<(), Wrong> {
        self.failed_calls += 1;
        let log = self.log(table)?;
        if error.is_damage() {
            return Err(format!("S2: a failed call speaks of damage: {error} {error:?}"));
        }
        if was_poisoned && !error.is_poisoned() {
            return Err(format!("S2: a poisoned log says {error}"));
        }
        let (is_poisoned, next) = (log.is_poisoned(), log.next_position());
        if let bulla_log::LogError::Poisoned { indeterminate, .. } = error
            && (indeterminate.start != log.durable_end() || indeterminate.end != log.next_position())
        {
            return Err(format!("S2: {indeterminate:?} are said to be indeterminate"));
        }
        // What a poisoned log refuses, and what a living one took back, is nowhere.
        if was_poisoned || !is_poisoned {
            self.ledger.with(table, |told| told.refused(call));
        }
        let taken_back = self.drop_refused_tickets(table);
        // A rotation may have come to pass before the call failed: its seal takes one position.
        let is_as_before = next == before || next == Position(before.0 + 1) || (taken_back > 0 && next < before);
        if !is_poisoned && !is_as_before {
            return Err(format!("S2: {error} moved the next position from {before} to {next}"));
        }
        Ok(())
    }

    /// Forgets what submitted records were taken back, and says how many.
    fn drop_refused_tickets(&mut self, table: u8) -> usize {
        let ledger = self.ledger.clone();
        let count = self.tickets.len();
        self.tickets.retain(|(of, call, ticket)| {
            let is_gone = *of == table && ticket.outcome() == bulla_log::Outcome::NotWritten;
            if is_gone {
                ledger.with(table, |told| told.refused(*call));
            }
            !is_gone
        });
        count - self.tickets.len()
    }

    fn submit(&mut self, table: u8, size: u32) -> Result<(), Wrong> {
        let payload = self.payload(0, size);
        let call = self.next_call();
        self.ledger.with(table, |told| {
            told.submit(call, std::slice::from_ref(&payload));
            told.is_closed = false;
        });
        let log = self.log(table)?;
        let (before, was_poisoned) = (log.next_position(), log.is_poisoned());
        match log.submit(&[row(&payload)], AppendOptions::default()) {
            Ok(ticket) if was_poisoned => Err(format!("S2: a poisoned log gave a ticket: {ticket:?}")),
            Ok(ticket) => {
                self.ledger.with(table, |told| told.placed(call, &ticket.positions()));
                self.tickets.push((table, call, ticket));
                Ok(())
            }
            Err(error) => self.failed(table, call, before, was_poisoned, &error),
        }
    }

    fn settle(
        &mut self,
        table: u8,
        durability: Durability,
        run: impl FnOnce(&Log) -> Result<(), bulla_log::LogError>,
    ) -> Result<(), Wrong> {
        let call = self.next_call();
        let log = self.log(table)?;
        let (before, was_poisoned) = (log.next_position(), log.is_poisoned());
        self.ledger.with(table, |told| told.is_closed = false);
        match run(log) {
            Ok(()) if was_poisoned => Err("S2: a poisoned log said that all is durable".to_owned()),
            Ok(()) => {
                self.drop_refused_tickets(table);
                self.ledger.with(table, |told| told.reached(durability));
                Ok(())
            }
            Err(error) => {
                self.drop_refused_tickets(table);
                let before = before.min(self.log(table)?.next_position());
                self.failed(table, call, before, was_poisoned, &error)
            }
        }
    }

    fn snapshot(&mut self, table: u8) -> Result<(), Wrong> {
        let snapshot = self.log(table)?.snapshot();
        match read(&snapshot) {
            Ok(found) => self.snapshots.push((snapshot, found)),
            Err(ReadError::Log(error)) if !error.is_damage() => self.failed_calls += 1,
            Err(error) => return Err(format!("a snapshot cannot be read: {error}")),
        }
        Ok(())
    }

    /// Snapshots are as they were when they were taken.
    fn check_snapshots(&mut self) -> Result<(), Wrong> {
        for (snapshot, expected) in std::mem::take(&mut self.snapshots) {
            match read(&snapshot) {
                Ok(found) if found == expected => {}
                Ok(found) => {
                    return Err(format!("I13: a snapshot had {} records and has {}", expected.len(), found.len()));
                }
                Err(ReadError::Log(error)) if !error.is_damage() => self.failed_calls += 1,
                Err(error) => return Err(format!("I13: {error}")),
            }
        }
        Ok(())
    }

    fn maintain(&mut self) -> Result<(), Wrong> {
        let result = match self.opened.as_ref() {
            Some(Opened::Log(log)) => log.maintain().map(drop).map_err(bulla::Error::from),
            Some(Opened::Store { store, .. }) => store.maintain().map(drop),
            None => Ok(()),
        };
        if let Err(error) = result {
            self.failed_calls += 1;
            if error.is_damage() {
                return Err(format!("S2: maintain speaks of damage: {error}"));
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Wrong> {
        self.check_snapshots()?;
        self.tickets.clear();
        let Some(opened) = self.opened.take() else { return Ok(()) };
        let (result, was_poisoned) = match opened {
            Opened::Log(log) => {
                let was_poisoned = log.is_poisoned();
                (log.close().map_err(bulla::Error::from), was_poisoned)
            }
            Opened::Store { store, tables } => {
                let was_poisoned = store.is_poisoned();
                let result = store.close();
                drop(tables);
                (result, was_poisoned)
            }
        };
        match result {
            Ok(()) if was_poisoned => Err("S2: a poisoned log was closed".to_owned()),
            Ok(()) => {
                for told in &mut *self.ledger.tables() {
                    told.reached(Durability::Durable);
                    told.is_closed = true;
                }
                Ok(())
            }
            Err(error) if error.is_damage() => Err(format!("S2: closing speaks of damage: {error}")),
            Err(_) => {
                self.failed_calls += 1;
                Ok(())
            }
        }
    }

    /// What is buffered reaches the kernel at best, so nothing is promised of it.
    ///
    /// # Errors
    ///
    /// A wrong answer.
    pub fn drop_all(&mut self) -> Result<(), Wrong> {
        self.check_snapshots()?;
        self.tickets.clear();
        self.opened = None;
        Ok(())
    }

    fn log(&self, table: u8) -> Result<&Log, Wrong> {
        self.opened.as_ref().map(|opened| opened.log(table)).ok_or_else(|| "BUG: nothing is open".to_owned())
    }

    fn next_call(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }
}

/// The highest durable end that any valid frame header claims, wherever it lies in the newest segment: looked for at
/// every place where a frame may begin, so that nothing the library passes over is passed over here.
fn proof(host: &Host) -> Position {
    let dir = Path::new(LOG_DIR);
    let names = host.fs.list(dir).unwrap_or_default().into_iter().map(|entry| entry.name);
    let newest = names.filter(|name| name.to_string_lossy().ends_with(".seg")).max();
    let segment = newest.and_then(|name| SegmentFile::open(host, &dir.join(name), OpenMode::Read).ok());
    let Some(segment) = segment else { return Position::ZERO };
    let mut bytes = vec![0; segment.file_len().unwrap_or_default() as usize];
    let len = segment.read_up_to(&mut bytes, 0).unwrap_or_default();
    let mut proof = segment.header().base;
    for offset in (segment.frames_offset() as usize..len).step_by(FRAME_ALIGNMENT as usize) {
        if let Ok(header) = FrameHeader::decode(&bytes[offset..len], segment.seed(), offset as u64) {
            proof = proof.max(header.durable_end);
        }
    }
    proof
}

fn row(payload: &[u8]) -> NewRow<'_> {
    NewRow { kind: Kind::ROW, time: Time(5), schema: SchemaId(1), payload }
}
