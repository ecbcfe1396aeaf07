//! Plays against the model: drawn ones, and every short one there is with a crash behind it.

use crate::plan::Plan;
use crate::report::Report;
use crate::work;
use bulla_log::Durability::{Buffered, Durable, Flushed};
use bulla_testkit::{CrashPlan, Random, SimDisk};
use bulla_torture::examine::{Depth, examine, host_on};
use bulla_torture::model::{Op, Played, play};
use bulla_torture::script::{Place, Runner, Step, Wrong};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Drawn plays of a quick run.
const PLAYS_LEAST: u64 = 4_000;
/// The length up to which every sequence of [`KINDS`] is played.
const LENGTH_MAX: usize = 4;

/// What a log can be told to do, one of each kind.
const KINDS: [Step; 8] = [
    Step::Append { table: 0, count: 1, size: 120, durability: Durable },
    Step::Append { table: 0, count: 1, size: 900, durability: Flushed },
    Step::Append { table: 0, count: 1, size: 30, durability: Buffered },
    Step::Append { table: 0, count: 4, size: 500, durability: Durable },
    Step::Sync { table: 0 },
    Step::Rotate { table: 0 },
    Step::Reopen,
    Step::Drop,
];

pub(crate) fn run(plan: &Plan) -> Report {
    let report = Mutex::new(Report::default());
    let total = Mutex::new(Played::default());
    let plays = AtomicU64::new(0);
    let draw = |seed: u64| {
        let mut random = Random::new(seed);
        let (place, tables) = if random.below(4) == 0 { (Place::Store { tables: 2 }, 2) } else { (Place::Log, 1) };
        let count = 10 + random.below(40);
        let ops: Vec<_> = (0..count).map(|_| Op::draw(&mut random, tables)).collect();
        match play(place, &ops, seed) {
            Ok(played) => {
                let mut total = total.lock().expect("BUG: a worker panicked");
                total.ops += played.ops;
                total.crashes += played.crashes;
                total.faults += played.faults;
            }
            Err(what) => {
                let text = format!(
                    "play {seed} on {place:?} ({ops:?}): {what}; cargo xtask torture --quick --only play --case {seed}"
                );
                report.lock().expect("BUG: a worker panicked").fail(text);
            }
        }
        plays.fetch_add(1, Ordering::Relaxed);
    };
    if let Some(case) = &plan.case {
        match case.parse() {
            Ok(seed) => draw(seed),
            Err(_) => report.lock().expect("BUG: nobody else is here").fail(format!("no play is called {case}")),
        }
        return report.into_inner().expect("BUG: a worker panicked");
    }
    let first = plan.seed.wrapping_mul(1 << 32);
    work::spread((first..).take_while(|seed| !plan.is_enough(seed - first, PLAYS_LEAST)), draw);
    let images = AtomicU64::new(0);
    let count = every_short_play(&images, &report);
    let total = total.into_inner().expect("BUG: a worker panicked");
    let mut report = report.into_inner().expect("BUG: a worker panicked");
    report.count("plays against the model", plays.into_inner(), PLAYS_LEAST);
    report.count("  operations in them", total.ops, 20 * PLAYS_LEAST);
    report.count("  crashes in them", total.crashes, PLAYS_LEAST);
    report.count("  calls to the disk that went wrong in them", total.faults, PLAYS_LEAST);
    let all = (1..=LENGTH_MAX as u32).map(|length| (KINDS.len() as u64).pow(length)).sum();
    report.count(format!("sequences of up to {LENGTH_MAX} steps of {} kinds, all of them", KINDS.len()), count, all);
    report.count("  crashes behind them", images.into_inner(), 2 * all);
    report
}

/// Small scope, all of it: what a bug needs is rarely more than three steps and a crash.
fn every_short_play(images: &AtomicU64, report: &Mutex<Report>) -> u64 {
    let count = AtomicU64::new(0);
    let sequences = (1..=LENGTH_MAX).flat_map(|length| {
        (0..KINDS.len().pow(length as u32)).map(move |number| -> Vec<Step> {
            (0..length).map(|place| KINDS[number / KINDS.len().pow(place as u32) % KINDS.len()]).collect()
        })
    });
    work::spread(sequences, |steps| {
        count.fetch_add(1, Ordering::Relaxed);
        if let Err(what) = short_play(&steps, images) {
            report.lock().expect("BUG: a worker panicked").fail(format!("short play ({steps:?}): {what}"));
        }
    });
    count.into_inner()
}

fn short_play(steps: &[Step], images: &AtomicU64) -> Result<(), Wrong> {
    let disk = SimDisk::new(1);
    let mut runner = Runner::new(Place::Log, host_on(&disk, 1));
    runner.open()?.map_err(|error| error.to_string())?;
    for step in steps {
        runner.step(*step).map_err(|what| format!("{step:?}: {what}"))?;
    }
    let (state, told) = (disk.state(), runner.ledger.now());
    let plan = CrashPlan { all_subsets_of: 2, subsets: 3, singles: 1, torn: 1, lengths: 0, names: 0 };
    let mut outcome = Ok(());
    state.crashes(&plan, &mut Random::new(steps.len() as u64), &mut |crash| {
        if outcome.is_ok() {
            images.fetch_add(1, Ordering::Relaxed);
            let depth = Depth { read: true, go_on: true, watch: false };
            outcome = examine(Place::Log, &crash.image, &told, crash.is_kill, 1, depth)
                .map(drop)
                .map_err(|what| format!("{}: {what}", crash.label));
        }
    });
    outcome
}
