//! A disk that lies: a write that says `Ok` and never arrives, or arrives elsewhere in the file.
//!
//! # Invariants
//!
//! - E1. What is read back is what was submitted, in order, or an error; never other bytes, and never less than was
//!   acknowledged without somebody saying so: opening, reading or verification. Only what nothing
//!   on the disk proves any more may pass for a torn write.

use crate::plan::Plan;
use crate::report::Report;
use crate::work;
use bulla_log::Durability::{Buffered, Durable, Flushed};
use bulla_testkit::{Call, Fault, Harm, Random, SimDisk};
use bulla_torture::examine::host_on;
use bulla_torture::script::{Place, Runner, Step};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lies of a quick run.
const LIES_LEAST: u64 = 2_000;

/// How a lie was taken.
enum Taken {
    /// Nothing that mattered was in it.
    Harmless,
    /// Somebody said so.
    Noticed,
    /// For a torn write, where that cannot be told.
    Ambiguous,
}

pub(crate) fn run(plan: &Plan) -> Report {
    let (lies, noticed, ambiguous) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let report = Mutex::new(Report::default());
    for seed in plan.seed.. {
        for number in 0..16 {
            let mut random = Random::new(seed << 8 | number);
            let steps: Vec<_> = (0..10).map(|_| Step::draw(&mut random, 1)).chain(last_steps()).collect();
            let disk = SimDisk::new(seed);
            if let Err(what) = live(&disk, &steps, seed) {
                report.lock().expect("BUG: a worker panicked").fail(format!("without a lie: {what}"));
                continue;
            }
            let calls = disk.calls();
            let writes = calls.iter().enumerate().filter(|(_, call)| **call == Call::Write).map(|(at, _)| at as u64);
            let all = writes.flat_map(|at| [Harm::LostWrite, Harm::MisdirectedWrite].map(|harm| (at, harm)));
            work::spread(all.collect::<Vec<_>>().into_iter(), |(at, harm)| {
                lies.fetch_add(1, Ordering::Relaxed);
                match one(&steps, seed, Fault { at, harm, for_good: false }) {
                    Ok(Taken::Harmless) => {}
                    Ok(Taken::Noticed) => {
                        noticed.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(Taken::Ambiguous) => {
                        ambiguous.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(what) => {
                        let replay = format!("cargo xtask torture --quick --only lies --seed {seed}");
                        let text = format!("{harm:?} at call {at} ({steps:?}): {what}; {replay}");
                        report.lock().expect("BUG: a worker panicked").fail(text);
                    }
                }
            });
        }
        if plan.is_enough(lies.load(Ordering::Relaxed), LIES_LEAST) {
            break;
        }
    }
    let mut report = report.into_inner().expect("BUG: a worker panicked");
    report.count("writes that said Ok and did not arrive, or elsewhere", lies.into_inner(), LIES_LEAST);
    report.count("  of these, noticed for what they are", noticed.into_inner(), LIES_LEAST / 10);
    report.count(
        "  of these, taken for a torn write, where nothing left on the disk says otherwise",
        ambiguous.into_inner(),
        0,
    );
    report
}

/// Behind these nothing is left that only the last write could vouch for.
fn last_steps() -> [Step; 3] {
    let append = |size, durability| Step::Append { table: 0, count: 1, size, durability };
    [append(200, Flushed), append(50, Buffered), append(100, Durable)]
}

/// Carries the steps out; a lie may be noticed on the way, and then the rest is left.
fn live(disk: &SimDisk, steps: &[Step], seed: u64) -> Result<Runner, String> {
    let mut runner = Runner::new(Place::Log, host_on(disk, seed));
    let _refused = runner.open()?;
    for step in steps {
        runner.step(*step)?;
    }
    runner.drop_all()?;
    Ok(runner)
}

fn one(steps: &[Step], seed: u64, fault: Fault) -> Result<Taken, String> {
    let disk = SimDisk::new(seed);
    disk.set_fault(Some(fault));
    let mut runner = Runner::new(Place::Log, host_on(&disk, seed));
    runner.is_disk_lying = true;
    let mut noticed = None;
    let opened = runner.open().map(drop);
    for result in std::iter::once(opened).chain(steps.iter().map(|step| runner.step(*step))) {
        if let Err(what) = result {
            // The script takes every word of damage for a wrong answer; here it is the right one.
            if !speaks_of_damage(&what) {
                return Err(what);
            }
            noticed = Some(what);
            break;
        }
    }
    let told = runner.ledger.now().remove(0);
    if let Err(what) = runner.drop_all()
        && !speaks_of_damage(&what)
    {
        return Err(what);
    }
    if noticed.is_some() {
        return Ok(Taken::Noticed);
    }
    match runner.open() {
        Err(what) if speaks_of_damage(&what) => Ok(Taken::Noticed),
        Err(what) => Err(what),
        Ok(Err(error)) if error.is_missing() => Ok(Taken::Noticed),
        Ok(Err(error)) => Err(format!("opening says {error} {error:?}")),
        Ok(Ok(())) if runner.ledger.now()[0].sent.len() < told.durable => Ok(Taken::Ambiguous),
        Ok(Ok(())) => Ok(Taken::Harmless),
    }
}

fn speaks_of_damage(what: &str) -> bool {
    ["damage", "Damaged", "Missing", "Mismatch"].iter().any(|word| what.contains(word))
}
