//! SIGKILL at random moments of whatever a store can be busy with, recovery from a kill included.

use crate::plan::{Extent, Plan};
use crate::report::Report;
use crate::work::spread;
use crate::world::check::{Found, after_harm};
use crate::world::copy::copy_dir;
use crate::world::machine::{Place, temporary_dir};
use crate::world::oracle::Oracle;
use crate::world::process::{Ended, Running};
use crate::world::scenario::{SCENARIOS, Scenario};
use crate::world::torn::leave_torn;
use crate::world::while_doing;
use bulla_testkit::Random;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// Stores that each scenario begins anew.
const SERIES: u64 = 4;
/// Lives that each of them has, one after the other.
const LIVES: u32 = 8;
/// Stores that one life of the recovery scenario has before it.
const TORN_STORES: u64 = 10;
/// How often each series of that scenario does so.
const ROUNDS: u64 = 3;
/// Kills in a row that recovery suffers before anybody looks.
const DEPTH: u32 = 3;

/// What the lives of one scenario came to.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    kills: u64,
    acked: u64,
    stores: u64,
    found: Found,
}

pub(crate) fn run(plan: &Plan) -> Report {
    let series = if plan.extent == Extent::Quick { SERIES } else { SERIES * 4 };
    let sums: Mutex<BTreeMap<&str, Sum>> = Mutex::default();
    let failures = Mutex::new(Vec::new());
    let cases = SCENARIOS.iter().flat_map(|scenario| (0..series).map(move |number| (scenario, number)));
    spread(cases, |(scenario, number)| {
        // On the disk, and where syncs cost nothing and more happens between two of them.
        let place = if number % 4 == 0 { Place::Disk } else { Place::Memory };
        let mut sum = Sum::default();
        let seed = plan.seed.wrapping_mul(0x9e37_79b9).wrapping_add(number);
        if let Err(failure) = one_series(scenario, place, seed, &mut sum) {
            failures.lock().expect("BUG: a series panicked").push(failure);
        }
        let mut sums = sums.lock().expect("BUG: a series panicked");
        sums.entry(scenario.name).or_default().add(sum);
    });
    let mut report = Report::default();
    let sums = sums.into_inner().expect("BUG: a series panicked");
    for scenario in SCENARIOS {
        let sum = sums.get(scenario.name).copied().unwrap_or_default();
        let lives = if scenario.name == "recover" { DEPTH * ROUNDS as u32 } else { LIVES };
        // Now and then a recovery is done when the kill comes.
        report.count(format!("SIGKILLs: {}", scenario.what), sum.kills, series * u64::from(lives) / 2);
    }
    let total = sums.values().fold(Sum::default(), |mut total, sum| {
        total.add(*sum);
        total
    });
    report.count("SIGKILLs together", total.kills, 200);
    report.count("rows acknowledged before a kill, all found", total.acked, 1000);
    report.count("stores checked after a kill", total.stores, 200);
    report.count("torn tails among them, set aside", total.found.torn, 10);
    failures.into_inner().expect("BUG: a series panicked").into_iter().for_each(|failure| report.fail(failure));
    report
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.acked += other.acked;
        self.stores += other.stores;
        self.found.add(other.found);
    }
}

fn one_series(scenario: &'static Scenario, place: Place, seed: u64, sum: &mut Sum) -> Result<(), String> {
    let dir = temporary_dir(place)?;
    let outcome = match scenario.name {
        "recover" => (0..ROUNDS).try_for_each(|round| {
            let dir = dir.path().join(round.to_string());
            fs::create_dir(&dir).map_err(while_doing("making a directory"))?;
            recovery_series(scenario, &dir, seed.wrapping_mul(ROUNDS).wrapping_add(round), sum)
        }),
        "stores" => stores_series(scenario, dir.path(), seed, sum),
        _ => store_series(scenario, dir.path(), seed, sum),
    };
    outcome.map_err(|failure| {
        let kept = dir.keep();
        format!("kill: {}, seed {seed}: {failure}; the store is kept in {}", scenario.name, kept.display())
    })
}

/// One store, life after life.
fn store_series(scenario: &Scenario, dir: &Path, seed: u64, sum: &mut Sum) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut oracle = Oracle::new(seed);
    let store = dir.join("store");
    for life in 1..=LIVES {
        let before = oracle.acked_count();
        let ended = one_life(scenario, &store, seed, life, &mut random)?;
        sum.kills += u64::from(ended.was_killed());
        for line in &ended.lines {
            if !oracle.hear(life, line) {
                return Err(format!("life {life}: {line}"));
            }
        }
        sum.acked += oracle.acked_count() - before;
        let found = after_harm(&store, &scenario.options(), &mut oracle, life, &mut random);
        sum.found.add(found.map_err(|failure| format!("life {life}: {failure}"))?);
        sum.stores += 1;
    }
    Ok(())
}

/// Runs a child until some moment.
fn one_life(scenario: &Scenario, dir: &Path, seed: u64, life: u32, random: &mut Random) -> Result<Ended, String> {
    let args = [scenario.name.into(), dir.into(), seed.to_string().into(), life.to_string().into()];
    let mut child = Running::start(&args)?;
    child.wait_for("ready")?;
    // Short lives end in the middle of creation and opening, long ones in that of work.
    let bound = if random.below(3) == 0 { 5_000 } else { 60_000 };
    thread::sleep(Duration::from_micros(random.below(bound)));
    child.kill()
}

/// Many stores in each life, of which the last four are checked: those before them were closed or left in peace.
fn stores_series(scenario: &Scenario, dir: &Path, seed: u64, sum: &mut Sum) -> Result<(), String> {
    let mut random = Random::new(seed);
    for life in 1..=LIVES {
        let ended = one_life(scenario, dir, seed, life, &mut random)?;
        sum.kills += u64::from(ended.was_killed());
        let mut oracles: Vec<(String, Oracle)> = Vec::new();
        for line in &ended.lines {
            if let Some(name) = line.strip_prefix("in ") {
                oracles.push((name.to_owned(), Oracle::new(seed)));
            } else if !oracles.last_mut().is_some_and(|(_, oracle)| oracle.hear(life, line)) {
                return Err(format!("life {life}: {line}"));
            }
        }
        for (name, oracle) in oracles.iter_mut().rev().take(4) {
            sum.acked += oracle.acked_count();
            let found = after_harm(&dir.join(&*name), &scenario.options(), oracle, life, &mut random);
            sum.found.add(found.map_err(|failure| format!("life {life}, {name}: {failure}"))?);
            sum.stores += 1;
        }
        for entry in fs::read_dir(dir).map_err(while_doing("listing stores"))? {
            let path = entry.map_err(while_doing("listing stores"))?.path();
            fs::remove_dir_all(path).map_err(while_doing("removing a store"))?;
        }
    }
    Ok(())
}

/// Torn stores, whose recovery is killed, and the recovery of that, and the recovery of that.
fn recovery_series(scenario: &Scenario, dir: &Path, seed: u64, sum: &mut Sum) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut oracles = Vec::new();
    for number in 0..TORN_STORES {
        let mut oracle = Oracle::new(seed + number);
        let store = dir.join(format!("s{number}"));
        leave_torn(&store, &scenario.options(), 1 + random.below(5), &mut oracle, &mut random)?;
        oracles.push((store, oracle));
    }
    let copies = dir.join("copies");
    fs::create_dir(&copies).map_err(while_doing("making a directory"))?;
    for (store, _) in &oracles {
        let name = store.file_name().ok_or("BUG: a store has a name")?;
        copy_dir(store, &copies.join(name), true).map_err(while_doing("copying a store"))?;
    }
    let whole = recovery_of(scenario, &copies, seed)?;
    for depth in 1..=DEPTH {
        let args = [scenario.name.into(), dir.into(), seed.to_string().into(), depth.to_string().into()];
        let mut child = Running::start(&args)?;
        child.wait_for("ready")?;
        // What was recovered once takes less time when it is met again.
        let micros = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX) / u64::from(depth);
        thread::sleep(Duration::from_micros(random.below(micros.max(1))));
        let ended = child.kill()?;
        sum.kills += u64::from(ended.was_killed());
        if let Some(line) = ended.lines.first() {
            return Err(format!("depth {depth}: {line}"));
        }
    }
    for (store, oracle) in &mut oracles {
        sum.acked += oracle.acked_count();
        let found = after_harm(store, &scenario.options(), oracle, DEPTH + 1, &mut random);
        sum.found.add(found.map_err(|failure| format!("{}: {failure}", store.display()))?);
        sum.stores += 1;
    }
    Ok(())
}

/// How long the recovery of all stores in `dir` takes when nobody interrupts it.
fn recovery_of(scenario: &Scenario, dir: &Path, seed: u64) -> Result<Duration, String> {
    let mut child = Running::start(&[scenario.name.into(), dir.into(), seed.to_string().into(), "0".into()])?;
    child.wait_for("ready")?;
    let started = Instant::now();
    let ended = child.end()?;
    match ended.lines.first() {
        None if ended.status.success() => Ok(started.elapsed()),
        line => Err(format!("recovery that nobody killed: {line:?}, {}", ended.status)),
    }
}
