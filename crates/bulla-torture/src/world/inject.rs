//! System calls that fail one after the other, and a SIGKILL at each of them: strace counts them and steps in.

use crate::plan::Plan;
use crate::report::Report;
use crate::work::spread;
use crate::world::check::{Bytes, after_harm, bytes_of};
use crate::world::copy::copy_dir;
use crate::world::machine::{Place, call, has, temporary_dir};
use crate::world::oracle::Oracle;
use crate::world::process::{Running, say};
use crate::world::rows::Row;
use crate::world::torn::leave_torn;
use crate::world::{chain, scenario, while_doing};
use bulla::{Options, Store};
use bulla_testkit::Random;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) const SCRIPT: &str = "script";

/// What happens to the n-th call of each of several kinds, and on what: strace counts each kind by itself. Where the
/// machine has two names for one call, the program uses one of them.
struct Harm {
    what: &'static str,
    calls: &'static [&'static str],
    does: &'static str,
    on: Workload,
    /// How many calls at least there are to be met.
    least: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Workload {
    /// Creation, appends, rotation, close, and the same again.
    Life,
    /// Recovery of torn tails.
    Recovery,
}

const SYNCS: &[&str] = &["fsync", "fdatasync"];
const WRITES: &[&str] = &["pwrite64"];
const NAMES: &[&str] = &["rename,renameat,renameat2", "unlink,unlinkat", "mkdir,mkdirat"];
const LENGTHS: &[&str] = &["ftruncate"];
const ALL: &[&[&str]] = &[SYNCS, WRITES, NAMES, LENGTHS];

#[rustfmt::skip]
const HARMS: &[Harm] = &[
    Harm { what: "each sync fails", calls: SYNCS, does: "error=EIO", on: Workload::Life, least: 50 },
    Harm { what: "each sync of recovery fails", calls: SYNCS, does: "error=EIO", on: Workload::Recovery, least: 20 },
    Harm { what: "each sync lacks space", calls: SYNCS, does: "error=ENOSPC", on: Workload::Life, least: 50 },
    Harm { what: "each write fails", calls: WRITES, does: "error=EIO", on: Workload::Life, least: 60 },
    Harm { what: "each write of recovery fails", calls: WRITES, does: "error=EIO", on: Workload::Recovery, least: 5 },
    Harm { what: "each write lacks space", calls: WRITES, does: "error=ENOSPC", on: Workload::Life, least: 60 },
    Harm { what: "each write exceeds a quota", calls: WRITES, does: "error=EDQUOT", on: Workload::Life, least: 60 },
    Harm { what: "each change of a name fails", calls: NAMES, does: "error=EIO", on: Workload::Life, least: 15 },
    Harm { what: "each change of a length fails", calls: LENGTHS, does: "error=EIO", on: Workload::Life, least: 15 },
    Harm { what: "SIGKILL at each call", calls: &[], does: "signal=KILL", on: Workload::Life, least: 150 },
    Harm { what: "SIGKILL at each call of recovery", calls: &[], does: "signal=KILL", on: Workload::Recovery, least: 40 },
];

impl Harm {
    /// The kinds of calls; all of them, if none is named.
    fn kinds(&self) -> Vec<&'static str> {
        if self.calls.is_empty() { ALL.concat() } else { self.calls.to_vec() }
    }
}

pub(crate) fn run(plan: &Plan) -> Report {
    let mut report = Report::default();
    if !has("strace") {
        report.skip("failing system calls: there is no strace here");
        return report;
    }
    if let Err(why) = try_strace() {
        report.skip(format!("failing system calls: {why}"));
        return report;
    }
    let failures = Mutex::new(Vec::new());
    for harm in HARMS {
        let count = AtomicU64::new(0);
        for calls in harm.kinds() {
            // Every core takes the next number, until there is no call of that number.
            let is_over = AtomicBool::new(false);
            let numbers = (1_u64..2000).take_while(|_| !is_over.load(Ordering::Relaxed));
            spread(numbers, |number| match one_case(harm, calls, number, plan) {
                Ok(true) => drop(count.fetch_add(1, Ordering::Relaxed)),
                Ok(false) => is_over.store(true, Ordering::Relaxed),
                Err(failure) => {
                    count.fetch_add(1, Ordering::Relaxed);
                    let failure = format!("strace: {}, {calls} {number}, seed {}: {failure}", harm.what, plan.seed);
                    failures.lock().expect("BUG: a case panicked").push(failure);
                }
            });
        }
        report.count(format!("strace: {}", harm.what), count.into_inner(), harm.least);
    }
    failures.into_inner().expect("BUG: a case panicked").into_iter().for_each(|failure| report.fail(failure));
    report
}

/// Whether one process may trace another here.
fn try_strace() -> Result<(), String> {
    call("strace", &["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "true"])
}

/// One run with the `number`-th of `calls` harmed; whether there was one.
fn one_case(harm: &Harm, calls: &str, number: u64, plan: &Plan) -> Result<bool, String> {
    let home = temporary_dir(Place::Memory)?;
    let (store, trace) = (home.path().join("store"), home.path().join("trace"));
    let seed = plan.seed.wrapping_mul(31).wrapping_add(number);
    let (mut oracle, mut random) = (Oracle::new(seed), Random::new(seed));
    if harm.on == Workload::Recovery {
        let made = home.path().join("made");
        // The same tails for every number, so that each call is met.
        oracle = Oracle::new(plan.seed);
        leave_torn(&made, &options(), 3, &mut oracle, &mut Random::new(plan.seed))?;
        // Without the reserve, since making it again is none of this.
        copy_dir(&made, &store, false).map_err(while_doing("copying a store"))?;
        fs::write(store.join("reserve"), vec![0; 2 << 20]).map_err(while_doing("writing a reserve"))?;
    }
    let wrapper: Vec<OsString> = [
        "strace".into(),
        "-f".into(),
        "-qq".into(),
        "-y".into(),
        "-o".into(),
        trace.clone().into_os_string(),
        "-e".into(),
        format!("trace={calls}").into(),
        "-e".into(),
        format!("inject={calls}:{}:when={number}", harm.does).into(),
    ]
    .to_vec();
    let on = if harm.on == Workload::Life { "life" } else { "recovery" };
    let args = [SCRIPT.into(), on.into(), store.clone().into(), oracle.seed.to_string().into()];
    let ended = Running::start_under(&wrapper, &args)?.end()?;
    let mut was_told = false;
    for line in &ended.lines {
        match line.split_once(' ') {
            Some(("told", _)) => was_told = true,
            _ if oracle.hear(1, line) => {}
            _ => return Err(line.clone()),
        }
    }
    let trace = fs::read_to_string(&trace).map_err(while_doing("reading the trace"))?;
    if harm.does.starts_with("signal") {
        if !ended.was_killed() {
            return Ok(false);
        }
    } else {
        let Some(at) = trace.lines().position(|line| line.contains("(INJECTED)")) else { return Ok(false) };
        let is_of_reserve = trace.lines().skip(at.saturating_sub(1)).take(2).any(|line| line.contains("/reserve>"));
        let harmed = trace.lines().nth(at).unwrap_or_default();
        if !ended.status.success() {
            return Err(format!("it ended with {} after {harmed}", ended.status));
        }
        // Nobody misses a reserve, nor the sync of its name. A write that lacks space once is tried again once the
        // reserve was given up, or is a mark or zeros ahead.
        let may_be_kept_quiet = is_of_reserve || (calls == WRITES[0] && harm.does != "error=EIO");
        if !was_told && !may_be_kept_quiet {
            return Err(format!("nobody was told of {harmed}"));
        }
    }
    after_harm(&store, &options(), &mut oracle, 2, &mut random)?;
    Ok(true)
}

fn options() -> Options {
    scenario::options(4096)
}

/// The child: `life|recovery DIR SEED`. It says what was acknowledged, and `told WHAT` at the first error; then it tries
/// to go on where that must not be, ends, and leaves the rest to its parent.
pub(crate) fn script(args: &[String]) -> ExitCode {
    let [on, dir, seed] = args else { return ExitCode::from(2) };
    let Ok(seed) = seed.parse() else { return ExitCode::from(2) };
    let mut script = Script { seed, next: 0 };
    let outcome = match on.as_str() {
        "life" => script.life(Path::new(dir)),
        _ => script.recovery(Path::new(dir)),
    };
    if let Err(error) = outcome {
        say(&format!("told {}", chain(&error)));
    }
    ExitCode::SUCCESS
}

struct Script {
    seed: u64,
    next: u64,
}

impl Script {
    fn life(&mut self, dir: &Path) -> Result<(), bulla::Error> {
        for life in 0..2 {
            let store = options().open(dir)?;
            say("store");
            bytes_of(&store, "t")?;
            say("table t");
            for _ in 0..3 {
                self.append(&store, 1)?;
            }
            self.or_never_again(&store, Bytes::rotate)?;
            self.append(&store, 4)?;
            bytes_of(&store, &format!("u{life}"))?;
            say(&format!("table u{life}"));
            self.append(&store, 12)?;
            store.close()?;
        }
        Ok(())
    }

    fn recovery(&self, dir: &Path) -> Result<(), bulla::Error> {
        let store = options().open(dir)?;
        for table in store.tables() {
            let opened = bytes_of(&store, &table.name)?;
            // A failure that opening could live with is told by now.
            opened.append_batch(&Row::batch(self.seed, 1, 1, 0, 1))?;
            say(&format!("ack {} 1 0 1", table.name));
        }
        store.close()
    }

    fn append(&mut self, store: &Store, len: u64) -> Result<(), bulla::Error> {
        let rows = Row::batch(self.seed, 0, 1, self.next, len);
        self.or_never_again(store, |table| table.append_batch(&rows))?;
        say(&format!("ack t 0 {} {}", self.next, self.next + len));
        self.next += len;
        // A checkpoint that nobody asked for fails no append.
        if let Some(failure) = store.checkpoint_lag().into_iter().find_map(|lag| lag.failure) {
            say(&format!("told {failure}"));
        }
        Ok(())
    }

    /// Does something to the table. After a failure other than lack of space nothing more is acknowledged; after lack of
    /// space, which is over by then, everything is.
    fn or_never_again<T>(
        &mut self,
        store: &Store,
        act: impl Fn(&Bytes) -> Result<T, bulla::TableError>,
    ) -> Result<(), bulla::Error> {
        let table = bytes_of(store, "t")?;
        let Err(error) = act(&table) else { return Ok(()) };
        let was_refused = error.is_full() && !table.is_poisoned();
        for _ in 0..3 {
            let row = Row::batch(self.seed, 0, 1, self.next, 1);
            match (table.append_batch(&row), was_refused) {
                (Ok(_), true) => {
                    say(&format!("ack t 0 {} {}", self.next, self.next + 1));
                    self.next += 1;
                }
                (Err(_), false) => {}
                (Ok(_), false) => say(&format!("an Ok after {}", chain(&error))),
                (Err(second), true) => say(&format!("no going on after {}: {}", chain(&error), chain(&second))),
            }
        }
        Err(error.into())
    }
}
