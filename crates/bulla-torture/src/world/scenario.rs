//! What a child does until it is killed, each step said once it is acknowledged.

use crate::world::chain;
use crate::world::check::{Bytes, bytes_of};
use crate::world::process::say;
use crate::world::rows::Row;
use bulla::{Durability, Options, RowOptions, Store};
use bulla_testkit::Random;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// A way of working on a store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What it is, for the table of counts.
    pub(crate) what: &'static str,
    segment_bytes_max: u64,
    live: fn(&Work) -> Result<(), bulla::Error>,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "single", what: "durable rows, one by one", segment_bytes_max: 64 << 20, live: single },
    Scenario { name: "batch", what: "durable batches across frames", segment_bytes_max: 8 << 20, live: batches },
    Scenario { name: "rotate", what: "rotation every 4 KiB", segment_bytes_max: 4096, live: single },
    Scenario { name: "threads", what: "four writing threads", segment_bytes_max: 64 << 10, live: threads },
    Scenario { name: "buffered", what: "buffered rows and flushes", segment_bytes_max: 256 << 10, live: buffered },
    Scenario { name: "tables", what: "tables being created", segment_bytes_max: 4096, live: tables },
    Scenario { name: "stores", what: "stores being created", segment_bytes_max: 4096, live: stores },
    Scenario { name: "reopen", what: "closing and opening", segment_bytes_max: 16 << 10, live: reopen },
    Scenario {
        name: "unsynced",
        what: "unsynced rows beside synced files",
        segment_bytes_max: 64 << 20,
        live: unsynced,
    },
    Scenario { name: "recover", what: "recovery", segment_bytes_max: 4096, live: recover },
];

impl Scenario {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    pub(crate) fn options(&self) -> Options {
        options(self.segment_bytes_max)
    }
}

/// How stores are opened here: small segments, so that they end often, the journal's too.
pub(crate) fn options(segment_bytes_max: u64) -> Options {
    Options::new().name("torture").segment_bytes_max(segment_bytes_max).journal_segment_bytes_max(4096)
}

/// One life of a child.
struct Work {
    dir: PathBuf,
    options: Options,
    seed: u64,
    life: u32,
    /// How long it rests after each append.
    pace: Duration,
}

/// The child itself: `SCENARIO DIR SEED LIFE`, and perhaps for how many microseconds it rests after each append. It ends only by a failure, or when there is nothing left to recover.
pub(crate) fn live(name: &str, args: &[String]) -> ExitCode {
    let (Some(scenario), [dir, seed, life, rest @ ..]) = (Scenario::named(name), args) else {
        return ExitCode::from(2);
    };
    let (Ok(seed), Ok(life), Ok(rest)) = (seed.parse(), life.parse(), rest.first().map_or(Ok(0), |rest| rest.parse()))
    else {
        return ExitCode::from(2);
    };
    let work = Work { dir: dir.into(), options: scenario.options(), seed, life, pace: Duration::from_micros(rest) };
    say("ready");
    match (scenario.live)(&work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("failed {}", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

impl Work {
    fn random(&self) -> Random {
        Random::new(self.seed ^ (u64::from(self.life) << 32))
    }

    fn open(&self) -> Result<Store, bulla::Error> {
        let store = self.options.open(&self.dir)?;
        say("store");
        Ok(store)
    }

    /// Where `writer` goes on in a table.
    fn next(table: &Bytes, writer: u32, seed: u64) -> Result<u64, bulla::Error> {
        for entry in table.query().descending().iter()? {
            match Row::read(&entry?.row, seed) {
                Some(row) if row.writer == writer => return Ok(row.ordinal + 1),
                _ => {}
            }
        }
        Ok(0)
    }

    /// Appends a batch, as durable as the table is, and says so.
    fn append(&self, table: &Bytes, writer: u32, next: &mut u64, len: u64) -> Result<(), bulla::Error> {
        let rows = Row::batch(self.seed, writer, self.life, *next, len);
        if let [row] = rows.as_slice() {
            table.append(row)?;
        } else {
            table.append_batch(&rows)?;
        }
        say(&format!("ack {} {writer} {next} {}", table.name(), *next + len));
        *next += len;
        if self.pace > Duration::ZERO {
            thread::sleep(self.pace);
        }
        Ok(())
    }
}

fn single(work: &Work) -> Result<(), bulla::Error> {
    let (store, mut random) = (work.open()?, work.random());
    let table = bytes_of(&store, "t")?;
    say("table t");
    let mut next = Work::next(&table, 0, work.seed)?;
    loop {
        let len = if random.below(6) == 0 { 1 + random.below(5) } else { 1 };
        work.append(&table, 0, &mut next, len)?;
    }
}

fn batches(work: &Work) -> Result<(), bulla::Error> {
    let (store, mut random) = (work.open()?, work.random());
    let table = bytes_of(&store, "t")?;
    say("table t");
    let mut next = Work::next(&table, 0, work.seed)?;
    loop {
        // A large one takes long enough to be killed in the middle of its write.
        let len = if random.below(3) == 0 { 1000 + random.below(3000) } else { 2 + random.below(60) };
        work.append(&table, 0, &mut next, len)?;
    }
}

fn threads(work: &Work) -> Result<(), bulla::Error> {
    let store = work.open()?;
    let table = bytes_of(&store, "t")?;
    say("table t");
    let write = |writer: u32| {
        let mut random = Random::new(work.seed ^ u64::from(writer));
        let mut next = Work::next(&table, writer, work.seed)?;
        loop {
            let len = if random.below(4) == 0 { 2 + random.below(20) } else { 1 };
            work.append(&table, writer, &mut next, len)?;
        }
    };
    thread::scope(|scope| {
        let write = &write;
        let writers: Vec<_> = (0..4).map(|writer| scope.spawn(move || write(writer))).collect();
        let mut ended = writers.into_iter().map(|writer| writer.join().expect("BUG: a writer panicked"));
        ended.next().expect("BUG: there are writers")
    })
}

fn buffered(work: &Work) -> Result<(), bulla::Error> {
    let (store, mut random) = (work.open()?, work.random());
    let table = bytes_of(&store, "t")?;
    say("table t");
    let mut next = Work::next(&table, 0, work.seed)?;
    let mut flushed = next;
    loop {
        for _ in 0..random.below(40) {
            let rows = Row::batch(work.seed, 0, work.life, next, 1);
            table.append_with(&rows[0], &RowOptions::new().durability(Durability::Buffered))?;
            next += 1;
        }
        if random.below(2) == 0 {
            table.flush()?;
        } else {
            let rows = Row::batch(work.seed, 0, work.life, next, 1);
            table.append_with(&rows[0], &RowOptions::new().durability(Durability::Flushed))?;
            next += 1;
        }
        // What the kernel has survives the process.
        say(&format!("ack t 0 {flushed} {next}"));
        flushed = next;
    }
}

fn tables(work: &Work) -> Result<(), bulla::Error> {
    let (store, mut random) = (work.open()?, work.random());
    let mut count = store.tables().len() as u64;
    loop {
        let number = if count < 60 { count } else { random.below(count) };
        let table = bytes_of(&store, &format!("t{number}"))?;
        count = count.max(number + 1);
        say(&format!("table {}", table.name()));
        let mut next = Work::next(&table, 0, work.seed)?;
        work.append(&table, 0, &mut next, 1)?;
    }
}

/// Stores `s0`, `s1` and so on; the one that the last life may not have finished comes first.
fn stores(work: &Work) -> Result<(), bulla::Error> {
    let mut random = work.random();
    for number in 0_u64.. {
        let dir = work.dir.join(format!("s{number}"));
        if dir.with_file_name(format!("s{}", number + 1)).exists() {
            continue;
        }
        say(&format!("in s{number}"));
        let store = Work { dir, options: work.options.clone(), ..*work }.open()?;
        let table = bytes_of(&store, "t")?;
        say("table t");
        let mut next = Work::next(&table, 0, work.seed)?;
        work.append(&table, 0, &mut next, 1)?;
        drop(table);
        if random.below(2) == 0 {
            store.close()?;
        }
    }
    Ok(())
}

fn reopen(work: &Work) -> Result<(), bulla::Error> {
    let mut random = work.random();
    loop {
        let store = work.open()?;
        let table = bytes_of(&store, "t")?;
        say("table t");
        let mut next = Work::next(&table, 0, work.seed)?;
        for _ in 0..random.below(4) {
            let len = 1 + random.below(3);
            work.append(&table, 0, &mut next, len)?;
        }
        if random.below(4) == 0 {
            table.rotate()?;
        }
        drop(table);
        if random.below(4) > 0 {
            store.close()?;
        }
    }
}

/// Rows that only the kernel has, and a sync of another file behind them, which may bring the length of the segment to
/// the disk and its bytes not. Only what a sync of the table covers is acknowledged.
fn unsynced(work: &Work) -> Result<(), bulla::Error> {
    let (store, mut random) = (work.open()?, work.random());
    let table = bytes_of(&store, "t")?;
    say("table t");
    let mut next = Work::next(&table, 0, work.seed)?;
    let mut synced = next;
    let mut other = work.dir.clone();
    other.set_extension("other");
    loop {
        for _ in 0..=random.below(4) {
            let len = 1 + random.below(800);
            let rows = Row::batch(work.seed, 0, work.life, next, len);
            table.append_batch_with(&rows, &RowOptions::new().durability(Durability::Flushed))?;
            next += len;
            say(&format!("flushed {next}"));
            sync_other(&other, next).map_err(|source| bulla::Error::Io {
                action: "sync",
                path: other.clone(),
                source,
            })?;
        }
        if random.below(4) == 0 {
            table.sync()?;
            say(&format!("ack t 0 {synced} {next}"));
            synced = next;
        }
    }
}

fn sync_other(path: &Path, number: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&number.to_le_bytes())?;
    file.sync_all()
}

/// Opens what was prepared, store by store, and nothing else.
fn recover(work: &Work) -> Result<(), bulla::Error> {
    for number in 0_u64.. {
        let dir = work.dir.join(format!("s{number}"));
        if !dir.exists() {
            break;
        }
        let store = work.options.open(&dir)?;
        for table in store.tables() {
            bytes_of(&store, &table.name)?;
        }
    }
    Ok(())
}
