//! A reader in another process that polls a store while it is being written.

use crate::plan::{Extent, Plan};
use crate::report::Report;
use crate::work::spread;
use crate::world::copy::contents;
use crate::world::machine::{Place, temporary_dir};
use crate::world::oracle::Oracle;
use crate::world::process::{Running, say};
use crate::world::rows::Row;
use crate::world::scenario::Scenario;
use crate::world::{check, while_doing};
use bulla::{Position, Raw, Reader, Schema};
use bulla_testkit::Random;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

pub(crate) const POLLER: &str = "poller";

/// Microseconds that a writer rests after each append.
const PACE: &str = "200";

/// What a reader is set beside, how often it polls each store, and how many stores there are. A poll costs a look at every
/// segment, so that beside a writer who rotates all the time there are more stores with fewer polls.
const SCENARIOS: [(&str, u64, u64); 4] =
    [("single", 6000, 2), ("batch", 2000, 2), ("rotate", 800, 5), ("threads", 800, 5)];

/// What the polls of one reader came to.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    polls: u64,
    rows: u64,
    advances: u64,
    still: u64,
}

pub(crate) fn run(plan: &Plan) -> Report {
    let mut report = Report::default();
    let factor = if plan.extent == Extent::Quick { 1 } else { 10 };
    let sum = Mutex::new(Sum::default());
    let failures = Mutex::new(Vec::new());
    let stores =
        SCENARIOS.iter().flat_map(|&(name, polls, stores)| (0..stores * factor).map(move |store| (name, polls, store)));
    spread(stores, |(name, polls, store)| {
        let seed = plan.seed.wrapping_mul(1009).wrapping_add(store);
        let mut one = Sum::default();
        if let Err(failure) = beside(name, seed, polls, &mut one) {
            let failure = format!("poll: beside {name}, store {store}, seed {}: {failure}", plan.seed);
            failures.lock().expect("BUG: a poll panicked").push(failure);
        }
        let mut sum = sum.lock().expect("BUG: a poll panicked");
        sum.polls += one.polls;
        sum.rows += one.rows;
        sum.advances += one.advances;
        sum.still += one.still;
    });
    let sum = sum.into_inner().expect("BUG: a poll panicked");
    failures.into_inner().expect("BUG: a poll panicked").into_iter().for_each(|failure| report.fail(failure));
    report.count("polls of a reader in another process, beside a live writer", sum.polls, 20_000 * factor);
    report.count("polls that found the durable end moved on", sum.advances, 300);
    report.count("durable rows given to a tail, each once and in order", sum.rows, 2_000);
    report.count("polls of a store that stood still, and in which nothing was created", sum.still, 400);
    report
}

fn beside(name: &str, seed: u64, polls: u64, sum: &mut Sum) -> Result<(), String> {
    let home = temporary_dir(Place::Memory)?;
    let store = home.path().join("store");
    let scenario = Scenario::named(name).ok_or("BUG: no such scenario")?;
    let args = [name.into(), store.clone().into(), seed.to_string().into(), "1".into(), PACE.into()];
    let mut writer = Running::start(&args)?;
    for line in ["ready", "store", "table t"] {
        writer.wait_for(line)?;
    }
    let mut oracle = Oracle::new(seed);
    oracle.ack_table("t");
    let mut reader = start_poller(&store, seed, polls)?;
    let mut heard = hear(&mut reader)?;
    let ended = writer.kill()?;
    if !ended.was_killed() {
        return Err(format!("the writer ended by itself: {:?}", ended.lines.last()));
    }
    for line in &ended.lines {
        if !oracle.hear(1, line) {
            return Err(line.clone());
        }
    }
    sum.polls += heard.polls;
    sum.rows += heard.rows;
    sum.advances += heard.advances;

    // The writer is dead and its store stands still: whatever changes now, the reader did.
    let before = contents(&store).map_err(while_doing("listing the store"))?;
    heard = hear(&mut start_poller(&store, seed, 100)?)?;
    sum.still += heard.polls;
    if contents(&store).map_err(while_doing("listing the store"))? != before {
        return Err(String::from("a reader changed the store"));
    }
    check::after_harm(&store, &scenario.options(), &mut oracle, 2, &mut Random::new(seed)).map(drop)
}

fn start_poller(store: &Path, seed: u64, polls: u64) -> Result<Running, String> {
    Running::start(&[POLLER.into(), store.into(), seed.to_string().into(), polls.to_string().into()])
}

fn hear(reader: &mut Running) -> Result<Sum, String> {
    let ended = reader.end()?;
    let last = ended.lines.last().map_or("", String::as_str);
    let numbers: Vec<u64> = last.split(' ').filter_map(|word| word.parse().ok()).collect();
    match (ended.status.success(), numbers.as_slice()) {
        (true, &[polls, rows, advances]) => Ok(Sum { polls, rows, advances, still: 0 }),
        _ => Err(format!("the reader ended with {}: {last}", ended.status)),
    }
}

/// The reader: `DIR SEED POLLS`.
pub(crate) fn poll(args: &[String]) -> ExitCode {
    let [dir, seed, polls] = args else { return ExitCode::from(2) };
    let (Ok(seed), Ok(polls)) = (seed.parse(), polls.parse()) else { return ExitCode::from(2) };
    match poll_all(Path::new(dir), seed, polls) {
        Ok(Sum { polls, rows, advances, .. }) => {
            say(&format!("{polls} {rows} {advances}"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            say(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Looks again and again: the durable end never falls, rows come in order, each once and none that nobody submitted.
fn poll_all(dir: &Path, seed: u64, polls: u64) -> Result<Sum, String> {
    let open = || {
        let reader = Reader::open(dir).map_err(while_doing("opening to read"))?;
        reader.view::<Vec<u8>, Raw>("t", Schema::default()).map_err(while_doing("opening a table to read"))
    };
    let mut view = open()?;
    let mut tail = view.tail(Position::ZERO);
    let (mut sum, mut end) = (Sum::default(), Position::ZERO);
    let mut counts = std::collections::BTreeMap::new();
    let mut last = None;
    for number in 0..polls {
        // Now and then somebody comes who knows nothing.
        if number % 500 == 499 {
            let from = tail.position();
            view = open()?;
            tail = view.tail(from);
        }
        let now = view.durable_end().map_err(while_doing("polling"))?;
        if now < end {
            return Err(format!("the durable end fell from {end} to {now}"));
        }
        sum.advances += u64::from(now > end);
        end = now;
        // Not to the end, since a fast writer would never let one get there.
        for _ in 0..200 {
            let Some(entry) = tail.next_timeout(Duration::ZERO).map_err(while_doing("following"))? else { break };
            let row = Row::read(&entry.row, seed).ok_or("nobody submitted what a tail gave")?;
            let count = counts.entry(row.writer).or_insert(0);
            if row.ordinal != *count || last.is_some_and(|last| entry.position <= last) {
                return Err(format!("a tail gave {row:?} at {}, behind {count} others", entry.position));
            }
            *count += 1;
            last = Some(entry.position);
            sum.rows += 1;
        }
        sum.polls += 1;
    }
    Ok(sum)
}
