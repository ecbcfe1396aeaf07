//! A disk that is full to the block: small file systems, filled up before each step that needs room.

use crate::plan::{Extent, Plan};
use crate::report::Report;
use crate::work::spread;
use crate::world::check::{after_harm, bytes_of};
use crate::world::copy::copy_dir;
use crate::world::machine::{Kind, Mount, Place, temporary_dir};
use crate::world::oracle::Oracle;
use crate::world::rows::Row;
use crate::world::torn::leave_torn;
use crate::world::{scenario, while_doing};
use bulla::{Options, Store};
use bulla_testkit::Random;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const MEBIBYTES: u64 = 40;
const BLOCK_BYTES: u64 = 4096;
/// What a store is given to work in: less than what it takes to make a reserve.
const ROOM_BYTES: u64 = 8 << 20;

/// What finds the disk full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Append,
    Rotate,
    Close,
    /// Recovery of torn tails, which sets them aside.
    Open,
}

const STEPS: [(Step, &str); 4] =
    [(Step::Append, "append"), (Step::Rotate, "rotation"), (Step::Close, "close"), (Step::Open, "recovery")];

/// What came of all cases on one file system.
#[derive(Debug, Default)]
struct Sum {
    cases: [u64; 4],
    refused: u64,
    poisoned: u64,
    gave_reserve: u64,
    rebuilt_reserve: u64,
    failures: Vec<String>,
}

pub(crate) fn run(plan: &Plan) -> Report {
    let report = Mutex::new(Report::default());
    spread([Kind::Tmpfs, Kind::Ext4].into_iter(), |kind| {
        let one = on_one(kind, plan);
        report.lock().expect("BUG: a file system panicked").append(one);
    });
    report.into_inner().expect("BUG: a file system panicked")
}

fn on_one(kind: Kind, plan: &Plan) -> Report {
    let mut report = Report::default();
    let mount = match Mount::make(kind, MEBIBYTES) {
        Ok(mount) => mount,
        Err(why) => {
            report.skip(format!("full disk on {}: {why}", kind.name()));
            return report;
        }
    };
    let mut sum = Sum::default();
    if let Err(failure) = all_cases(&mount, plan, &mut sum) {
        sum.failures.push(failure);
    }
    let name = kind.name();
    for ((_, what), count) in STEPS.iter().zip(sum.cases) {
        report.count(format!("full {name} at {what}"), count, 20);
    }
    report.count(format!("full {name}: calls refused, told as lack of space"), sum.refused, 30);
    report.count(format!("full {name}: reserve given up"), sum.gave_reserve, 3);
    report.count(format!("full {name}: reserve made again once there was room"), sum.rebuilt_reserve, 1);
    report.none(format!("full {name}: logs poisoned by a write refused before its sync"), sum.poisoned);
    for failure in sum.failures {
        report.fail(format!("full {name}, seed {}: {failure}", plan.seed));
    }
    report
}

fn all_cases(mount: &Mount, plan: &Plan, sum: &mut Sum) -> Result<(), String> {
    let mut random = Random::new(plan.seed);
    let stride = if plan.extent == Extent::Quick { 4 } else { 1 };
    let base = Ballast::new(mount, "base");
    base.fill(ROOM_BYTES)?;
    for (index, (step, what)) in STEPS.iter().enumerate() {
        // Up to what a group with its zeros ahead takes, or all torn tails and a record for each.
        for blocks in (0..80).step_by(stride) {
            for with_reserve in [true, false] {
                let case = Case { mount, base: &base, step: *step, free: blocks * BLOCK_BYTES, with_reserve };
                if let Err(failure) = case.run(plan.seed, &mut random, sum) {
                    sum.failures.push(format!("{what} with {blocks} blocks, reserve {with_reserve}: {failure}"));
                }
                sum.cases[index] += 1;
            }
        }
    }
    Ok(())
}

/// A file that takes what room there is.
struct Ballast {
    path: PathBuf,
}

impl Ballast {
    fn new(mount: &Mount, name: &str) -> Self {
        Self { path: mount.dir().join(name) }
    }

    /// Fills the disk but for `free` bytes.
    fn fill(&self, free: u64) -> Result<(), String> {
        let filled = self.fill_up().and_then(|(file, len)| {
            file.set_len(len.saturating_sub(free))?;
            // Blocks that were let go of are free once that is in the file system's journal.
            file.sync_all()
        });
        filled.map_err(while_doing("filling the disk"))
    }

    fn fill_up(&self) -> io::Result<(File, u64)> {
        let mut file = File::create(&self.path)?;
        let chunk = vec![0x55; 256 << 10];
        let (mut len, mut piece) = (0, chunk.len());
        while piece >= BLOCK_BYTES as usize {
            match file.write(&chunk[..piece]) {
                Ok(written) => len += written as u64,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => piece /= 2,
                Err(error) => return Err(error),
            }
        }
        Ok((file, len))
    }

    fn remove(&self) -> Result<(), String> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(while_doing("making room")(error)),
            _ => Ok(()),
        }
    }
}

struct Case<'a> {
    mount: &'a Mount,
    base: &'a Ballast,
    step: Step,
    free: u64,
    with_reserve: bool,
}

impl Case<'_> {
    fn run(&self, seed: u64, random: &mut Random, sum: &mut Sum) -> Result<(), String> {
        let dir = self.mount.dir().join("store");
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(while_doing("removing a store"))?;
        }
        let (options, mut oracle) = (scenario::options(64 << 10), Oracle::new(seed));
        let ballast = Ballast::new(self.mount, "rest");
        self.prepare(&dir, &options, &mut oracle, random)?;
        let refused = if self.step == Step::Open {
            ballast.fill(self.free)?;
            step(Step::Open, &dir, &options, None, &mut oracle, 1)
        } else {
            let store = options.open(&dir).map_err(while_doing("opening before the disk is full"))?;
            append(&store, &mut oracle, 1, 30).map_err(while_doing("appending before the disk is full"))?;
            ballast.fill(self.free)?;
            step(self.step, &dir, &options, Some(store), &mut oracle, 2)
        };
        if self.with_reserve && !dir.join("reserve").exists() {
            sum.gave_reserve += 1;
        }
        ballast.remove()?;
        if let Some((error, store)) = refused {
            if !error.is_full() {
                return Err(while_doing("on a full disk, not for lack of space")(error));
            }
            sum.refused += 1;
            if let Some(store) = store {
                if store.is_poisoned() {
                    sum.poisoned += 1;
                } else {
                    append(&store, &mut oracle, 3, 2).map_err(while_doing("going on once there was room"))?;
                    self.ample_room(&dir, &store, sum)?;
                }
            }
        }
        after_harm(&dir, &options, &mut oracle, 4, random).map(drop)
    }

    /// A store that the step finds, with a reserve or without.
    fn prepare(&self, dir: &Path, options: &Options, oracle: &mut Oracle, random: &mut Random) -> Result<(), String> {
        // Made where there is ample room, so that it has a reserve.
        let home = temporary_dir(Place::Memory)?;
        let made = home.path().join("store");
        leave_torn(&made, options, if self.step == Step::Open { 4 } else { 1 }, oracle, random)?;
        copy_dir(&made, dir, self.with_reserve).map_err(while_doing("copying a store"))
    }

    /// Now and then there is room for a reserve too, and `maintain` makes one.
    fn ample_room(&self, dir: &Path, store: &Store, sum: &mut Sum) -> Result<(), String> {
        let is_due = self.free.is_multiple_of(16 * BLOCK_BYTES);
        if !is_due || dir.join("reserve").exists() {
            return Ok(());
        }
        self.base.remove()?;
        store.maintain().map_err(while_doing("maintaining once there was room"))?;
        if !dir.join("reserve").exists() {
            return Err(String::from("there was room, and no reserve was made"));
        }
        sum.rebuilt_reserve += 1;
        fs::remove_file(dir.join("reserve")).map_err(while_doing("removing the reserve"))?;
        self.base.fill(ROOM_BYTES)
    }
}

/// Durable rows in batches, so that a few dozen fill many blocks.
fn append(store: &Store, oracle: &mut Oracle, life: u32, batches: u64) -> Result<(), bulla::Error> {
    let table = bytes_of(store, "t")?;
    oracle.ack_table("t");
    let mut next = 0;
    for entry in table.query().iter()? {
        next += u64::from(Row::read(&entry?.row, oracle.seed).is_some_and(|row| row.writer == 1));
    }
    for _ in 0..batches {
        table.append_batch(&Row::batch(oracle.seed, 1, life, next, 5))?;
        oracle.ack("t", 1, life, next, next + 5);
        next += 5;
    }
    Ok(())
}

/// Does what the disk has no room for; the refusal, if it came to that, and the store if it can go on.
fn step(
    step: Step,
    dir: &Path,
    options: &Options,
    store: Option<Store>,
    oracle: &mut Oracle,
    life: u32,
) -> Option<(bulla::Error, Option<Store>)> {
    let store = match store.map_or_else(|| options.open(dir), Ok) {
        Ok(store) => store,
        Err(error) => return Some((error, None)),
    };
    let done = match step {
        Step::Append => append(&store, oracle, life, 300),
        Step::Rotate => bytes_of(&store, "t").and_then(|table| Ok(table.rotate()?)),
        Step::Open => store.tables().iter().try_for_each(|table| bytes_of(&store, &table.name).map(drop)),
        Step::Close => return store.close().err().map(|error| (error, None)),
    };
    done.err().map(|error| (error, Some(store)))
}
