//! Several processes that want to write one store.

use crate::plan::{Extent, Plan};
use crate::report::Report;
use crate::world::check::{after_harm, bytes_of};
use crate::world::machine::{Place, temporary_dir};
use crate::world::oracle::Oracle;
use crate::world::process::{Running, say};
use crate::world::rows::Row;
use crate::world::scenario::Scenario;
use crate::world::{chain, scenario, while_doing};
use bulla_testkit::Random;
use std::path::Path;
use std::process::ExitCode;

pub(crate) const RACER: &str = "racer";
const RACERS: usize = 4;

pub(crate) fn run(plan: &Plan) -> Report {
    let mut report = Report::default();
    let factor = if plan.extent == Extent::Quick { 1 } else { 20 };
    let (mut turned_away, mut races) = (0, 0);
    let outcome = killed_holders(plan.seed, 20 * factor, &mut turned_away)
        .and_then(|()| race_all(plan.seed, 200 * factor, &mut races));
    report.count(
        "writers turned away by the lock, and let in right after its holder's SIGKILL",
        turned_away,
        20 * factor,
    );
    report.count(format!("races of {RACERS} processes for the lock, each won by one"), races, 200 * factor);
    if let Err(failure) = outcome {
        report.fail(format!("lock, seed {}: {failure}", plan.seed));
    }
    report
}

/// While a process writes, nobody else does; once it was killed, the next one does at once.
fn killed_holders(seed: u64, rounds: u64, turned_away: &mut u64) -> Result<(), String> {
    let home = temporary_dir(Place::Memory)?;
    let store = home.path().join("store");
    let scenario = Scenario::named("single").ok_or("BUG: there is no scenario single")?;
    let (mut oracle, mut random) = (Oracle::new(seed), Random::new(seed));
    for round in 1..=rounds {
        let life = round as u32;
        let args = ["single".into(), store.clone().into(), seed.to_string().into(), life.to_string().into()];
        let mut holder = Running::start(&args)?;
        for line in ["ready", "store"] {
            holder.wait_for(line)?;
        }
        match scenario.options().open(&store) {
            Err(error) if error.is_locked() => *turned_away += 1,
            Err(error) => return Err(while_doing("opening what another process writes")(error)),
            Ok(_) => return Err(String::from("two processes have one store open for writing")),
        }
        let ended = holder.kill()?;
        if !ended.was_killed() {
            return Err(format!("the holder ended by itself: {:?}", ended.lines.last()));
        }
        for line in &ended.lines {
            oracle.hear(life, line);
        }
        after_harm(&store, &scenario.options(), &mut oracle, life, &mut random)?;
    }
    Ok(())
}

/// Processes that all try at the same moment, round after round: exactly one wins, and appends a row.
fn race_all(seed: u64, rounds: u64, won: &mut u64) -> Result<(), String> {
    let home = temporary_dir(Place::Memory)?;
    let store = home.path().join("store");
    // Created before, so that they meet at the lock and not before it.
    drop(options().open(&store).map_err(while_doing("creating a store to race for"))?);
    let args = [RACER.into(), store.clone().into(), seed.to_string().into()];
    let mut racers = (0..RACERS).map(|_| Running::start(&args)).collect::<Result<Vec<_>, _>>()?;
    let mut oracle = Oracle::new(seed);
    for round in 0..rounds {
        for racer in &mut racers {
            racer.tell(&format!("go {round}"))?;
        }
        let mut winners = 0;
        for racer in &mut racers {
            match racer.next_line()?.as_deref() {
                Some("locked") => {}
                Some(line) if oracle.hear(1, line) => winners += 1,
                line => return Err(format!("round {round}: a racer said {line:?}")),
            }
        }
        for racer in &mut racers {
            racer.tell("done")?;
            racer.wait_for("released")?;
        }
        if winners != 1 {
            return Err(format!("round {round}: {winners} processes had the lock"));
        }
        *won += 1;
    }
    drop(racers);
    after_harm(&store, &options(), &mut oracle, 2, &mut Random::new(seed)).map(drop)
}

fn options() -> bulla::Options {
    scenario::options(1 << 20)
}

/// The racer: `DIR SEED`. At `go N` it tries to get the store, appends row N if it does, and keeps it until `done`.
pub(crate) fn race(args: &[String]) -> ExitCode {
    let [dir, seed] = args else { return ExitCode::from(2) };
    let Ok(seed) = seed.parse::<u64>() else { return ExitCode::from(2) };
    let mut held = None;
    // Its parent's end is the end of these lines.
    for line in std::io::stdin().lines() {
        let Ok(line) = line else { return ExitCode::FAILURE };
        if let Some(round) = line.strip_prefix("go ").and_then(|round| round.parse().ok()) {
            held = try_for(Path::new(dir), seed, round);
        } else {
            drop(held.take());
            say("released");
        }
    }
    ExitCode::SUCCESS
}

fn try_for(dir: &Path, seed: u64, round: u64) -> Option<bulla::Store> {
    let store = match options().open(dir) {
        Ok(store) => store,
        Err(error) => {
            say(if error.is_locked() { "locked" } else { "neither locked nor open" });
            return None;
        }
    };
    let appended = bytes_of(&store, "t").and_then(|table| Ok(table.append_batch(&Row::batch(seed, 0, 1, round, 1))?));
    match appended {
        Ok(_) => say(&format!("ack t 0 {round} {}", round + 1)),
        Err(error) => say(&chain(&error)),
    }
    Some(store)
}
