//! Tampering: a small store, closed, and everything that is done to its files one case at a time.
//!
//! [`harm`] and [`forge`] make the cases, [`judge`] says what must come of each.

mod forge;
mod harm;
mod judge;
mod store;

use crate::plan::{Extent, Plan};
use crate::report::Report;
use crate::work::spread;
use harm::{Case, Group};
use judge::{Depth, Outcome, Reason, judge};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;
use store::{Shape, Truth};

/// Cases of the quick run, at least.
const CASES_MIN: u64 = 100_000;
/// One in so many of the bytes changed is also looked at by everything besides verification.
const DEEP: u64 = 4;

#[derive(Default)]
struct Tally {
    cases: BTreeMap<Group, u64>,
    verdicts: BTreeMap<String, u64>,
    justified: BTreeMap<Reason, u64>,
    silent: u64,
    reads: u64,
    writes: u64,
    report: Report,
}

pub(crate) fn run(plan: &Plan) -> Report {
    let tally = Mutex::new(Tally::default());
    match plan.extent {
        Extent::Quick => run_shape(plan, shape(plan.seed), None, &tally),
        Extent::Full { until } => {
            for round in 0.. {
                if Instant::now() >= until && round > 0 {
                    break;
                }
                let shape = shape(plan.seed + round);
                run_shape(plan, shape, Some(until), &tally);
                run_shape(plan, Shape { is_closed: false, ..shape }, Some(until), &tally);
            }
        }
    }
    let Tally { cases, verdicts, justified, silent, reads, writes, mut report } =
        tally.into_inner().expect("BUG: a worker panicked");
    // Otherwise a single case is wanted, or as many as there is time for.
    let is_all = plan.case.is_none() && plan.extent == Extent::Quick;
    let cases_min = if is_all { CASES_MIN } else { u64::from(plan.case.is_some()) };
    for group in Group::ALL {
        report.count(
            format!("tamper: {}", group.what()),
            cases.get(&group).copied().unwrap_or_default(),
            u64::from(is_all),
        );
    }
    report.count("tamper: cases in all", cases.values().sum(), cases_min);
    for (verdict, count) in verdicts {
        report.count(format!("tamper: found to be {verdict}, and located"), count, 0);
    }
    for reason in Reason::ALL {
        report.count(
            format!("tamper: intact, justified: {}", reason.what()),
            justified.get(&reason).copied().unwrap_or_default(),
            0,
        );
    }
    report.count("tamper: read record by record", reads, u64::from(is_all));
    report.count("tamper: opened for writing", writes, u64::from(is_all));
    report.none("tamper: silent", silent);
    report
}

/// The store of a seed: every second one erasable, of several sizes.
fn shape(seed: u64) -> Shape {
    Shape {
        seed,
        erasable: seed.is_multiple_of(2),
        rows: 5 + seed % 3,
        row_bytes: 48 + 16 * (seed % 4),
        is_closed: true,
    }
}

fn run_shape(plan: &Plan, shape: Shape, until: Option<Instant>, tally: &Mutex<Tally>) {
    let truth = Truth::build(shape);
    let bytes: usize = truth.files.values().map(|bytes| bytes.len()).sum();
    let state = if shape.is_closed { "closed" } else { "not closed" };
    println!("seed {}: {} files, {bytes} bytes, {state}", shape.seed, truth.files.len());
    // What was synced last in a log that was not closed has no witness but the mark behind it: of such a store only bytes
    // are changed, since a cut leaves what was there before the last appends, and mended bytes have no hash against them.
    let is_for_unclosed = |case: &Case| matches!(case.group, Group::Flip | Group::Set);
    let cases: Box<dyn Iterator<Item = Case> + Send + '_> = if shape.is_closed {
        Box::new(harm::accidents(&truth).chain(forge::mended(&truth)).chain(forge::forged(&truth)))
    } else {
        Box::new(harm::accidents(&truth).filter(is_for_unclosed))
    };
    let wanted = cases
        .enumerate()
        .filter(|(_, case)| plan.case.as_ref().is_none_or(|name| *name == case.name))
        .take_while(|_| until.is_none_or(|until| Instant::now() < until));
    spread(wanted, |(ordinal, case)| {
        let is_byte = matches!(case.group, Group::Flip | Group::Set | Group::Mended | Group::Cut);
        let is_deep = plan.case.is_some() || !is_byte || (ordinal as u64 + shape.seed).is_multiple_of(DEEP);
        let depth = Depth { structure: is_deep, read: is_deep, write: is_deep };
        let outcome = judge(&truth, &case, depth);
        let mut tally = tally.lock().expect("BUG: a worker panicked");
        *tally.cases.entry(case.group).or_default() += 1;
        tally.reads += u64::from(depth.read);
        tally.writes += u64::from(depth.write);
        match outcome {
            Ok(Outcome::Detected(verdict)) => *tally.verdicts.entry(verdict.to_string()).or_default() += 1,
            Ok(Outcome::Justified(reason)) => *tally.justified.entry(reason).or_default() += 1,
            Err(what) => {
                tally.silent += u64::from(what.contains("SILENT"));
                let extent = if shape.is_closed { "--quick" } else { "--full 1" };
                let replay = format!("{extent} --only tamper --seed {} --case {}", shape.seed, case.name);
                tally.report.fail(format!("{what}\n  again: {replay}"));
            }
        }
    });
}
