//! Every state that a crash may leave, at every operation of a set of workloads, and at every operation of the
//! recoveries from these, two deep.
//!
//! The other way round as well: what was durable rots, and must not be taken for what a crash left.

use crate::plan::{Extent, Plan};
use crate::report::Report;
use crate::work;
use bulla_log::Durability::{self, Buffered, Durable, Flushed};
use bulla_testkit::{CrashPlan, DiskState, Operation, Random, Rot, SimDisk};
use bulla_torture::examine::{Depth, examine, host_on};
use bulla_torture::oracle::Told;
use bulla_torture::script::{Place, Runner, Step};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Distinct images that a quick run makes.
const IMAGES_LEAST: u64 = 200_000;

/// A workload with a name.
struct Workload {
    name: String,
    /// What decides over its disk; with it as the seed of a run the workload comes up again.
    seed: u64,
    place: Place,
    steps: Vec<Step>,
}

fn append(count: u16, size: u32, durability: Durability) -> Step {
    Step::Append { table: 0, count, size, durability }
}

/// Everything that writes.
fn workloads(seed: u64) -> Vec<Workload> {
    use Step::{AppendOwnFrames, Drop, Flush, Maintain, Reopen, Rotate, Submit, Sync};
    let table = 0;
    let log = |name: &str, steps| Workload { name: name.to_owned(), seed, place: Place::Log, steps };
    let mut all = vec![
        log(
            "append",
            vec![
                append(1, 60, Durable),
                append(1, 300, Buffered),
                append(1, 300, Buffered),
                append(1, 40, Flushed),
                append(1, 700, Flushed),
                append(1, 900, Durable),
                Submit { table, size: 200 },
                Submit { table, size: 900 },
                Sync { table },
                append(1, 100, Flushed),
                append(1, 1, Durable),
            ],
        ),
        log(
            "batch",
            vec![
                append(5, 100, Durable),
                append(9, 400, Durable),
                append(3, 900, Flushed),
                append(2, 20, Buffered),
                append(12, 200, Durable),
                append(2, 3000, Durable),
                append(4, 700, Flushed),
            ],
        ),
        log(
            "rotate",
            vec![
                append(1, 900, Durable),
                Rotate { table },
                append(3, 900, Flushed),
                append(1, 900, Durable),
                append(1, 900, Durable),
                Rotate { table },
                append(1, 30, Durable),
                append(6, 600, Flushed),
                Flush { table },
            ],
        ),
        log(
            "reopen",
            vec![
                append(1, 200, Durable),
                Reopen,
                append(1, 200, Durable),
                Drop,
                append(1, 1, Durable),
                append(2, 300, Flushed),
                Reopen,
                Reopen,
                append(1, 800, Flushed),
                Rotate { table },
                Reopen,
                append(1, 2, Durable),
            ],
        ),
        log(
            "own frames",
            vec![
                append(2, 200, Durable),
                AppendOwnFrames { table },
                append(1, 20, Flushed),
                AppendOwnFrames { table },
                append(1, 700, Durable),
                AppendOwnFrames { table },
                append(1, 20, Flushed),
            ],
        ),
        log("large", vec![append(1, 20_000, Durable), append(1, 70_000, Durable), append(1, 10, Durable)]),
    ];
    let tables = 2;
    let at = |table, count, size, durability| Step::Append { table, count, size, durability };
    all.push(Workload {
        name: "store".to_owned(),
        seed,
        place: Place::Store { tables },
        steps: vec![
            at(0, 1, 200, Durable),
            at(1, 3, 300, Flushed),
            Rotate { table: 0 },
            at(0, 2, 100, Durable),
            Reopen,
            at(1, 1, 900, Durable),
            Maintain,
            Rotate { table: 1 },
            Drop,
            at(0, 1, 20, Durable),
            at(1, 2, 20, Flushed),
            Reopen,
        ],
    });
    all.push(completing_blocks(seed));
    all
}

/// Blocks of 256 records are completed, so that seals and closes write nodes.
fn completing_blocks(seed: u64) -> Workload {
    let table = 0;
    let steps = vec![
        append(200, 1, Durable),
        append(100, 1, Flushed),
        Step::Rotate { table },
        append(250, 1, Durable),
        Step::Reopen,
        append(240, 1, Flushed),
        Step::Maintain,
        Step::Rotate { table },
    ];
    Workload { name: "spine".to_owned(), seed, place: Place::Log, steps }
}

/// Any steps, on a log or on a store.
fn drawn(seed: u64, number: u64) -> Workload {
    let mut random = Random::new(seed << 8 | number);
    let (place, tables) = match random.below(4) {
        0 => (Place::Store { tables: 2 }, 2),
        _ => (Place::Log, 1),
    };
    let count = 4 + random.below(12);
    let steps = (0..count).map(|_| Step::draw(&mut random, tables)).collect();
    Workload { name: format!("drawn {number}"), seed, place, steps }
}

/// The disk between two calls, and what had been promised by then.
#[derive(Clone)]
struct Moment {
    state: DiskState,
    operation: Operation,
    told: Arc<Vec<Told>>,
}

/// Carries a workload out and keeps every moment of it.
fn live(workload: &Workload) -> Result<Vec<Moment>, String> {
    let seed = workload.seed;
    let disk = SimDisk::new(seed);
    // Too little room for a reserve, whose zeros would be most of every image.
    disk.set_capacity(Some(15 << 20));
    let mut runner = Runner::new(workload.place, host_on(&disk, seed));
    let moments: Arc<Mutex<Vec<Moment>>> = Arc::default();
    let (kept, ledger) = (Arc::clone(&moments), runner.ledger.clone());
    disk.watch(move |state, operation| {
        let told = Arc::new(ledger.now());
        kept.lock().expect("BUG: a watcher panicked").push(Moment {
            state: state.clone(),
            operation: operation.clone(),
            told,
        });
    });
    runner.open()?.map_err(|error| format!("cannot create: {error}"))?;
    for step in &workload.steps {
        runner.step(*step).map_err(|what| format!("{step:?}: {what}"))?;
    }
    runner.drop_all()?;
    if runner.failed_calls > 0 {
        return Err("a call failed on a disk without faults".to_owned());
    }
    disk.unwatch();
    let moments = std::mem::take(&mut *moments.lock().expect("BUG: a watcher panicked"));
    Ok(moments)
}

/// What decides over a moment.
fn draw(workload: &Workload, number: usize) -> u64 {
    let name = workload.name.bytes().fold(workload.seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    Random::new(name ^ (number as u64) << 40).next_u64()
}

/// What was counted.
#[derive(Default)]
struct Counts {
    images: AtomicU64,
    nested: AtomicU64,
    false_alarms: AtomicU64,
    damages: AtomicU64,
    ambiguous: AtomicU64,
    missed: AtomicU64,
}

impl Counts {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

struct Torture<'a> {
    plan: &'a Plan,
    counts: Counts,
    seen: Vec<Mutex<HashSet<u64>>>,
    report: Mutex<Report>,
}

pub(crate) fn run(plan: &Plan) -> Report {
    let torture = Torture {
        plan,
        counts: Counts::default(),
        seen: (0..64).map(|_| Mutex::default()).collect(),
        report: Mutex::default(),
    };
    torture.round(workloads(plan.seed));
    for seed in plan.seed.. {
        let is_enough = plan.is_enough(torture.counts.images.load(Ordering::Relaxed), IMAGES_LEAST);
        if is_enough || torture.is_failed() {
            break;
        }
        torture.round((0..8).map(|number| drawn(seed, number)).collect());
        println!("{} images", torture.counts.images.load(Ordering::Relaxed));
    }
    let counts = &torture.counts;
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut report = torture.report.into_inner().expect("BUG: a worker panicked");
    report.count("distinct crash images, recovered and held against the oracle", get(&counts.images), IMAGES_LEAST);
    report.count("  of these, made by crashes of a recovery", get(&counts.nested), 10_000);
    report.none("legal crash states that were refused, called damage or misread", get(&counts.false_alarms));
    report.count("kinds of damage to what was durable", get(&counts.damages), 10_000);
    report.none("damage outside the last synced group that passed for a tail", get(&counts.missed));
    report
}

impl Torture<'_> {
    fn is_failed(&self) -> bool {
        let counts = &self.counts;
        counts.false_alarms.load(Ordering::Relaxed) + counts.missed.load(Ordering::Relaxed) > 0
    }

    fn round(&self, workloads: Vec<Workload>) {
        for workload in workloads {
            match live(&workload) {
                Ok(moments) => {
                    work::spread(moments.into_iter().enumerate(), |(number, moment)| {
                        self.moment(&workload, number, &moment);
                    });
                }
                Err(what) => self.fail(&workload, 0, &what),
            }
        }
    }

    fn crash_plan(&self) -> CrashPlan {
        match self.plan.extent {
            Extent::Quick => {
                CrashPlan { all_subsets_of: 7, subsets: 300, singles: 40, torn: 40, lengths: 6, names: 16 }
            }
            Extent::Full { .. } => {
                CrashPlan { all_subsets_of: 10, subsets: 1024, singles: 1000, torn: 200, lengths: 16, names: 64 }
            }
        }
    }

    fn moment(&self, workload: &Workload, number: usize, moment: &Moment) {
        let draw = draw(workload, number);
        let mut random = Random::new(draw);
        let mut index = 0;
        moment.state.crashes(&self.crash_plan(), &mut random, &mut |crash| {
            index += 1;
            let fingerprint = crash.image.fingerprint() ^ u64::from(crash.is_kill);
            if !self.is_new(fingerprint, &moment.told) {
                return;
            }
            Counts::add(&self.counts.images);
            // Every image is opened and read; a part of them is looked at in every way.
            let depth = Depth { read: fingerprint % 4 == 0, go_on: fingerprint % 8 == 1, watch: fingerprint % 64 == 2 };
            match examine(workload.place, &crash.image, &moment.told, crash.is_kill, draw, depth) {
                Ok(examined) => self.nested(workload, &examined.moments, &moment.told, draw, 1),
                Err(what) => {
                    Counts::add(&self.counts.false_alarms);
                    let operation = &moment.operation;
                    let path = operation.path.display();
                    let what = format!("image {index} ({}) after {:?} of {path}: {what}", crash.label, operation.call);
                    self.fail(workload, number, &what);
                }
            }
        });
        if workload.place == Place::Log {
            self.damage(workload, number, moment, &mut random);
        }
    }

    /// Crashes of a recovery, at each of its operations; `depth` says how many crashes came before.
    fn nested(&self, workload: &Workload, moments: &[DiskState], told: &[Told], draw: u64, depth: u32) {
        let plan = CrashPlan { all_subsets_of: 3, subsets: 6, singles: 3, torn: 3, lengths: 1, names: 4 };
        let mut random = Random::new(draw);
        for (number, state) in moments.iter().enumerate() {
            state.crashes(&plan, &mut random, &mut |crash| {
                let fingerprint = crash.image.fingerprint() ^ u64::from(crash.is_kill);
                if !self.is_new(fingerprint, told) {
                    return;
                }
                Counts::add(&self.counts.images);
                Counts::add(&self.counts.nested);
                // A killed recovery leaves what it had made of the image, of which only what was durable is promised.
                let depths =
                    Depth { read: true, go_on: fingerprint % 8 == 1, watch: depth < 2 && fingerprint % 16 == 2 };
                match examine(workload.place, &crash.image, told, false, draw, depths) {
                    Ok(examined) => self.nested(workload, &examined.moments, told, draw, depth + 1),
                    Err(what) => {
                        Counts::add(&self.counts.false_alarms);
                        let what =
                            format!("crash {depth} of a recovery at its change {number} ({}): {what}", crash.label);
                        self.fail(workload, number, &what);
                    }
                }
            });
        }
    }

    /// Lets what is on the disk rot, and sees that it is not taken for what a crash left.
    fn damage(&self, workload: &Workload, number: usize, moment: &Moment, random: &mut Random) {
        let image = moment.state.seen();
        let segments: Vec<_> =
            image.files.keys().filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect();
        if segments.is_empty() || !moment.told[0].is_created {
            return;
        }
        for _ in 0..match self.plan.extent {
            Extent::Quick => 60,
            Extent::Full { .. } => 600,
        } {
            let path = segments[random.below(segments.len() as u64) as usize];
            let rot = Rot::ALL[random.below(Rot::ALL.len() as u64) as usize];
            let mut rotten = image.clone();
            let end = image.files[path].non_zero_end();
            if end == 0 {
                continue;
            }
            let Some(range) = rotten.rot(path, end, rot, random) else { continue };
            Counts::add(&self.counts.damages);
            match crate::damage::judge(&image, &rotten, path, &range, &moment.told[0], random.next_u64()) {
                Ok(crate::damage::Judged::Known) => {}
                Ok(crate::damage::Judged::Ambiguous) => Counts::add(&self.counts.ambiguous),
                Err(what) => {
                    Counts::add(&self.counts.missed);
                    let what = format!("{rot:?} at bytes {range:?} of {}: {what}", path.display());
                    self.fail(workload, number, &what);
                }
            }
        }
    }

    fn is_new(&self, fingerprint: u64, told: &[Told]) -> bool {
        let promised = told.iter().fold(fingerprint, |sum, told| {
            sum.rotate_left(7) ^ (told.durable as u64) << 20 ^ (told.flushed as u64) << 8 ^ told.sent.len() as u64
        });
        let shard = &self.seen[(promised % 64) as usize];
        shard.lock().expect("BUG: a worker panicked").insert(promised)
    }

    fn fail(&self, workload: &Workload, number: usize, what: &str) {
        let replay = format!("cargo xtask torture --quick --only crash --seed {}", workload.seed);
        let text = format!("workload {}, moment {number}: {what}; {replay}", workload.name);
        self.report.lock().expect("BUG: a worker panicked").fail(text);
    }
}
