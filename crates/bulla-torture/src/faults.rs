//! An error at every call that a script makes of the system, of every kind, once and for good.
//!
//! # Invariants
//!
//! - F1. Every call of the library gives `Ok`, or a typed error with the log as before, or a typed error and poison; no
//!   later `Ok` before the log is opened again (S2 of the script).
//! - F2. Nothing acknowledged is lost: not when it is opened again on the same system, where reads may still show what a
//!   failed sync dropped, and not after a power cut.
//! - F3. Once the cause is gone and the log is open again, it takes records, and they last.

use crate::plan::Plan;
use crate::report::Report;
use crate::work;
use bulla_log::Durability::{Buffered, Durable, Flushed};
use bulla_testkit::{Crash, CrashPlan, Fault, Harm, Random, SimDisk};
use bulla_torture::examine::{Depth, examine, host_on};
use bulla_torture::script::{Place, Runner, Step, Wrong};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Injected errors that a quick run makes.
const ERRORS_LEAST: u64 = 50_000;

/// A short life that meets every path of the writer.
fn scripts() -> Vec<(Place, Vec<Step>)> {
    use Step::{Drop, Flush, Maintain, Reopen, Rotate, Snapshot, Submit, Sync};
    let at = |table, count, size, durability| Step::Append { table, count, size, durability };
    let table = 0;
    vec![
        (
            Place::Log,
            vec![
                at(0, 1, 100, Durable),
                at(0, 1, 10, Buffered),
                at(0, 2, 700, Flushed),
                Snapshot { table },
                at(0, 12, 300, Durable),
                Rotate { table },
                at(0, 1, 50, Buffered),
                Submit { table, size: 60 },
                Sync { table },
                at(0, 1, 5000, Durable),
                at(0, 1, 50, Durable),
                Flush { table },
                Reopen,
                at(0, 1, 1, Durable),
                Drop,
                at(0, 1, 2, Durable),
                Reopen,
            ],
        ),
        (
            Place::Store { tables: 2 },
            vec![
                at(0, 1, 100, Durable),
                at(1, 3, 900, Flushed),
                Rotate { table: 0 },
                at(1, 1, 30, Buffered),
                Maintain,
                Reopen,
                at(1, 2, 2000, Durable),
                at(0, 1, 30, Durable),
                Drop,
                at(0, 1, 30, Durable),
                Reopen,
            ],
        ),
    ]
}

struct Harness {
    errors: AtomicU64,
    failed_calls: AtomicU64,
    report: Mutex<Report>,
}

pub(crate) fn run(plan: &Plan) -> Report {
    let harness = Harness { errors: AtomicU64::new(0), failed_calls: AtomicU64::new(0), report: Mutex::default() };
    for seed in plan.seed.. {
        for (place, steps) in scripts() {
            harness.every_call(place, &steps, seed);
        }
        for number in 0..8 {
            let mut random = Random::new(seed << 8 | number);
            let (place, tables) = if random.below(4) == 0 { (Place::Store { tables: 2 }, 2) } else { (Place::Log, 1) };
            let steps: Vec<_> = (0..8).map(|_| Step::draw(&mut random, tables)).collect();
            harness.every_call(place, &steps, seed);
        }
        if plan.is_enough(harness.errors.load(Ordering::Relaxed), ERRORS_LEAST) {
            break;
        }
    }
    let mut report = harness.report.into_inner().expect("BUG: a worker panicked");
    report.count("injected errors, each at a call of its own", harness.errors.into_inner(), ERRORS_LEAST);
    report.count("  calls of the library that failed of them", harness.failed_calls.into_inner(), 10_000);
    report
}

impl Harness {
    /// Every kind of harm at every call it can befall.
    fn every_call(&self, place: Place, steps: &[Step], seed: u64) {
        let calls = match live(place, steps, seed, None) {
            Ok((disk, _)) => disk.calls(),
            Err(what) => return self.fail(place, steps, seed, None, &what),
        };
        let faults = Harm::TOLD.into_iter().flat_map(|harm| {
            let places = calls.iter().enumerate().filter(move |(_, call)| harm.befalls(**call));
            places.flat_map(move |(at, _)| {
                let once = Fault { at: at as u64, harm, for_good: false };
                [Some(once), harm.may_be_for_good().then_some(Fault { for_good: true, ..once })].into_iter().flatten()
            })
        });
        let faults: Vec<_> = faults.collect();
        work::spread(faults.into_iter(), |fault| {
            if let Err(what) = self.one(place, steps, seed, fault) {
                self.fail(place, steps, seed, Some(fault), &what);
            }
        });
    }

    fn one(&self, place: Place, steps: &[Step], seed: u64, fault: Fault) -> Result<(), Wrong> {
        let (disk, mut runner) = live(place, steps, seed, Some(fault))?;
        // A call may have been reached on another path than the one that was measured; then there was no error.
        if disk.fault_count() == 0 {
            return Ok(());
        }
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.failed_calls.fetch_add(runner.failed_calls, Ordering::Relaxed);
        runner.drop_all()?;
        disk.set_fault(None);
        let told = runner.ledger.now();
        // F2, after a power cut: the worst one, and one that kept what it could.
        let plan = CrashPlan { all_subsets_of: 0, subsets: 1, singles: 0, torn: 0, lengths: 0, names: 0 };
        let mut crashes = Vec::new();
        disk.state().crashes(&plan, &mut Random::new(fault.at), &mut |crash: Crash| {
            if !crash.is_kill && (crash.label == "nothing arrived" || crash.label.starts_with("drawn")) {
                crashes.push(crash);
            }
        });
        let depth = Depth { read: false, go_on: fault.at.is_multiple_of(8), watch: false };
        for crash in crashes {
            examine(place, &crash.image, &told, false, seed, depth)
                .map_err(|what| format!("after a power cut ({}): {what}", crash.label))?;
        }
        // F2, on the same system, and F3.
        match runner.open().map_err(|what| format!("opened again: {what}"))? {
            Ok(()) => {}
            Err(error) => return Err(format!("F3: opening is refused once all is well: {error} {error:?}")),
        }
        let failed_calls = runner.failed_calls;
        for table in 0..told.len() as u8 {
            runner.step(Step::Append { table, count: 1, size: 30, durability: Durable })?;
        }
        if runner.failed_calls > failed_calls {
            return Err("F3: nothing can be appended once all is well".to_owned());
        }
        let told = runner.ledger.now();
        runner.drop_all()?;
        let mut last = None;
        disk.state().crashes(&plan, &mut Random::new(fault.at), &mut |crash: Crash| {
            if crash.label == "nothing arrived" {
                last = Some(crash.image);
            }
        });
        let image = last.ok_or("BUG: a crash leaves nothing")?;
        examine(place, &image, &told, false, seed, Depth { read: false, go_on: false, watch: false })
            .map_err(|what| format!("F3: after the next power cut: {what}"))?;
        Ok(())
    }

    fn fail(&self, place: Place, steps: &[Step], seed: u64, fault: Option<Fault>, what: &str) {
        let replay = format!("cargo xtask torture --quick --only faults --seed {seed}");
        let text = format!("{place:?}, {fault:?} ({steps:?}): {what}; {replay}");
        self.report.lock().expect("BUG: a worker panicked").fail(text);
    }
}

/// Carries the script out, whatever fails.
fn live(place: Place, steps: &[Step], seed: u64, fault: Option<Fault>) -> Result<(SimDisk, Runner), Wrong> {
    let disk = SimDisk::new(seed);
    disk.set_capacity(Some(15 << 20));
    disk.set_fault(fault);
    let mut runner = Runner::new(place, host_on(&disk, seed));
    // What cannot be created or opened is tried again with the next step.
    let _refused = runner.open()?;
    for step in steps {
        runner.step(*step).map_err(|what| format!("{step:?}: {what}"))?;
    }
    Ok((disk, runner))
}
