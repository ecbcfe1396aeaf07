//! A limit on the size of files, moved byte by byte across everything that a store writes.
//!
//! The system writes up to the limit and then answers EFBIG, so a write ends in the middle of a frame, a footer or a
//! header, and really so. A worker, which ignores the signal that would otherwise end it, sets its own limit before each
//! step and lifts it after.

use crate::plan::{Extent, Plan};
use crate::report::Report;
use crate::world::check::{after_harm, bytes_of};
use crate::world::copy::{copy_dir, end_of_frames, newest_segments, overwrite, segments};
use crate::world::machine::{Place, call, has, temporary_dir};
use crate::world::oracle::Oracle;
use crate::world::process::{Running, say};
use crate::world::rows::Row;
use crate::world::{scenario, while_doing};
use bulla::{Options, Store};
use bulla_testkit::Random;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;

pub(crate) const WORKER: &str = "limits";

/// What a store goes through under the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Append,
    Rotate,
    Close,
    CreateTable,
    CreateStore,
}

/// Something that is written, and where the limit goes.
struct Sweep {
    what: &'static str,
    /// The store before the step; none is there if it is created.
    template: &'static str,
    step: Step,
    limits: Range<u64>,
    /// Every so many bytes in a quick run.
    stride: usize,
}

pub(crate) fn run(plan: &Plan) -> Report {
    let mut report = Report::default();
    if let Some(tool) = ["prlimit", "sh"].into_iter().find(|tool| !has(tool)) {
        report.skip(format!("limits on file size: there is no {tool} here"));
        return report;
    }
    let stride = if plan.extent == Extent::Quick { "quick" } else { "full" };
    let parts = std::thread::available_parallelism().map_or(1, usize::from);
    let mut workers = Vec::new();
    for part in 0..parts {
        // Ignoring the signal makes the system answer EFBIG.
        let wrapper = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"].map(Into::into);
        let args = [WORKER.into(), plan.seed.to_string(), stride.into(), part.to_string(), parts.to_string()];
        match Running::start_under(&wrapper, &args.map(Into::into)) {
            Ok(worker) => workers.push(worker),
            Err(failure) => report.fail(failure),
        }
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for mut worker in workers {
        loop {
            match worker.next_line() {
                Err(failure) => {
                    report.fail(format!("limits: {failure}"));
                    break;
                }
                Ok(None) => break,
                Ok(Some(line)) => match line.split_once(' ') {
                    Some(("count", what)) => *counts.entry(what.to_owned()).or_default() += 1,
                    Some(("done", _)) => *counts.entry(String::from("workers done")).or_default() += 1,
                    _ => report.fail(format!("limits: {line}")),
                },
            }
        }
    }
    if counts.remove("workers done") != Some(parts as u64) {
        report.fail("limits: a worker ended before its work did");
    }
    let refused = counts.remove("refused").unwrap_or_default();
    let poisoned = counts.remove("poisoned").unwrap_or_default();
    for (what, count) in counts {
        report.count(format!("limits on file size: {what}"), count, 30);
    }
    report.count("steps that a limit refused, told as lack of space", refused, 300);
    report.none("logs poisoned by a limit, which refuses before the sync", poisoned);
    report
}

/// The worker: `SEED quick|full PART PARTS`.
pub(crate) fn work(args: &[String]) -> ExitCode {
    let [seed, extent, part, parts] = args else { return ExitCode::from(2) };
    let (Ok(seed), Ok(part), Ok(parts)) = (seed.parse(), part.parse(), parts.parse()) else {
        return ExitCode::from(2);
    };
    match all_sweeps(seed, extent == "quick", part, parts) {
        Ok(()) => {
            say("done .");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            say(&format!("failed: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn all_sweeps(seed: u64, is_quick: bool, part: usize, parts: usize) -> Result<(), String> {
    let home = temporary_dir(Place::Memory)?;
    let home = home.path();
    let mut random = Random::new(seed);
    let mut templates = BTreeMap::new();
    for name in ["open", "sealed", "torn", "young"] {
        let mut oracle = Oracle::new(seed);
        make_template(&home.join(name), name, &mut oracle, &mut random)?;
        templates.insert(name, oracle);
    }
    templates.insert("none", Oracle::new(seed));
    let mut number = 0;
    for sweep in sweeps(home)? {
        let stride = if is_quick { sweep.stride } else { 1 };
        for limit in sweep.limits.clone().step_by(stride) {
            number += 1;
            if number % parts != part {
                continue;
            }
            let case = home.join("case");
            let mut oracle = templates[sweep.template].clone();
            if let Err(failure) = one_case(home, &case, &sweep, limit, &mut oracle, &mut random) {
                set_limit(None)?;
                say(&format!("failed: {}, limit {limit}, seed {seed}: {failure}", sweep.what));
            }
            say(&format!("count {}", sweep.what));
            if case.exists() {
                fs::remove_dir_all(&case).map_err(while_doing("removing a case"))?;
            }
        }
    }
    Ok(())
}

/// Lets files grow no further than `bytes`; `None` lifts the limit.
fn set_limit(bytes: Option<u64>) -> Result<(), String> {
    let soft = bytes.map_or_else(|| String::from("unlimited"), |bytes| bytes.to_string());
    let pid = std::process::id().to_string();
    call("prlimit", &["--pid", &pid, &format!("--fsize={soft}:unlimited")])
}

fn options() -> Options {
    // The journal of these stores never rotates, so that each sweep crosses one thing.
    scenario::options(8 << 20).journal_segment_bytes_max(1 << 20)
}

/// Rows without the occasional large one, so that a few hundred bytes hold several.
fn append(store: &Store, oracle: &mut Oracle, life: u32, next: &mut u64, count: u64) -> Result<(), bulla::Error> {
    let table = bytes_of(store, "t")?;
    oracle.ack_table("t");
    for _ in 0..count {
        table.append_batch(&Row::batch(oracle.seed, 0, life, *next, 1))?;
        oracle.ack("t", 0, life, *next, *next + 1);
        *next += 1;
    }
    Ok(())
}

fn make_template(dir: &Path, name: &str, oracle: &mut Oracle, random: &mut Random) -> Result<(), String> {
    let make = || while_doing::<bulla::Error>("making a template");
    let store = options().open(dir).map_err(make())?;
    // The journal of a young store is longer than its table, that of the others is shorter.
    let rows = if name == "young" { 1 } else { 40 };
    let mut next = 0;
    append(&store, oracle, 0, &mut next, rows).map_err(make())?;
    if name == "young" {
        for number in 0..6 {
            bytes_of(&store, &format!("other{number}")).map_err(make())?;
        }
    }
    if name == "sealed" {
        bytes_of(&store, "t").and_then(|table| Ok(table.rotate()?)).map_err(make())?;
    }
    drop(store);
    let tables = dir.join("tables").join("t");
    let newest = newest_segments(&tables).map_err(while_doing("listing segments"))?.pop().ok_or("BUG: no segment")?;
    match name {
        // As a crash after the footer's sync leaves it.
        "sealed" => fs::remove_file(newest).map_err(while_doing("removing a segment"))?,
        "torn" => {
            let end = end_of_frames(&newest, false).map_err(while_doing("reading a segment"))?;
            let garbage: Vec<u8> = (0..300).map(|_| random.next_u64() as u8 | 1).collect();
            overwrite(&newest, end, &garbage).map_err(while_doing("tearing a segment"))?;
        }
        _ => {}
    }
    Ok(())
}

fn sweeps(home: &Path) -> Result<Vec<Sweep>, String> {
    let end = |template: &str, below: &str| {
        let found = segments(&home.join(template).join(below)).map_err(while_doing("listing segments"))?;
        let newest = found.last().ok_or("BUG: a log has segments")?;
        end_of_frames(newest, true).map_err(while_doing("reading a segment"))
    };
    let (table, journal) = (end("open", "tables/t")?, end("young", "journal")?);
    let sweep = |what, template, step, limits, stride| Sweep { what, template, step, limits, stride };
    Ok(vec![
        sweep("frames of an append", "open", Step::Append, table..table + 420, 1),
        sweep("index and footer", "open", Step::Rotate, table..table + 420, 1),
        sweep("index and close frame", "open", Step::Close, table..table + 420, 1),
        sweep("a new segment's header and seal", "sealed", Step::Append, 0..700, 5),
        sweep("a quarantine file", "torn", Step::Append, 0..440, 5),
        sweep("a recovery record", "torn", Step::Append, table..table + 420, 3),
        sweep("a journal row and the first rows of a table", "young", Step::CreateTable, journal..journal + 420, 5),
        sweep("the journal's heads and close frame", "young", Step::Close, journal..journal + 600, 5),
        sweep("a store being created", "none", Step::CreateStore, 0..1500, 7),
    ])
}

fn one_case(
    home: &Path,
    case: &Path,
    sweep: &Sweep,
    limit: u64,
    oracle: &mut Oracle,
    random: &mut Random,
) -> Result<(), String> {
    if sweep.step != Step::CreateStore {
        copy_dir(&home.join(sweep.template), case, false).map_err(while_doing("copying a template"))?;
    }
    let mut next = oracle.acked_count();
    set_limit(Some(limit))?;
    let met = step_under_limit(case, sweep.step, oracle, &mut next);
    set_limit(None)?;
    let store = match met {
        Met::Done => None,
        Met::Refused(error, store) => {
            if !error.is_full() {
                return Err(while_doing("under the limit, not for lack of space")(error));
            }
            say("count refused");
            store
        }
    };
    // Half of the stores go on as they are, the others are opened anew.
    if let Some(store) = store.filter(|_| limit.is_multiple_of(2)) {
        if store.is_poisoned() {
            say("count poisoned");
        } else {
            append(&store, oracle, 2, &mut next, 2).map_err(while_doing("going on once there was room"))?;
        }
        drop(store);
    }
    after_harm(case, &options(), oracle, 3, random).map(drop)
}

/// What came of a step.
enum Met {
    Done,
    /// The first refusal, and the store if it can go on.
    Refused(bulla::Error, Option<Store>),
}

fn step_under_limit(case: &Path, step: Step, oracle: &mut Oracle, next: &mut u64) -> Met {
    let store = match options().open(case) {
        Ok(store) => store,
        Err(error) => return Met::Refused(error, None),
    };
    oracle.hear(1, "store");
    let stepped = match step {
        Step::Append | Step::CreateStore => append(&store, oracle, 1, next, 3),
        Step::Rotate => bytes_of(&store, "t").and_then(|table| Ok(table.rotate()?)),
        Step::CreateTable => bytes_of(&store, "new").map(|_| oracle.ack_table("new")),
        Step::Close => {
            let opened = bytes_of(&store, "t").map(drop);
            return match opened.and_then(|()| store.close()) {
                Ok(()) => Met::Done,
                Err(error) => Met::Refused(error, None),
            };
        }
    };
    match stepped {
        Ok(()) => Met::Done,
        Err(error) => Met::Refused(error, Some(store)),
    }
}
