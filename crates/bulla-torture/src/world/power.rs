//! A power cut, as the file system itself does it: the shutdown ioctl of ext4 and XFS stops it at once, without writing
//! its log, and what had not reached the image by then is gone.

use crate::plan::{Extent, Plan};
use crate::report::Report;
use crate::work::spread;
use crate::world::check::{after_harm, read_all};
use crate::world::copy::newest_segments;
use crate::world::machine::{Kind, Mount, call, has};
use crate::world::oracle::Oracle;
use crate::world::process::Running;
use crate::world::scenario::Scenario;
use crate::world::while_doing;
use bulla_testkit::Random;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// Large enough for either file system.
const MEBIBYTES: u64 = 320;

/// What came of all cuts on one file system.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    cuts: u64,
    acked: u64,
    zero_tails: u64,
}

pub(crate) fn run(plan: &Plan) -> Report {
    let mut report = Report::default();
    if !has("xfs_io") {
        report.skip("power cuts: there is no xfs_io here (package xfsprogs)");
        return report;
    }
    let reports = Mutex::new(report);
    spread([Kind::Ext4, Kind::Xfs].into_iter(), |kind| {
        let one = on_one(kind, plan);
        reports.lock().expect("BUG: a file system panicked").append(one);
    });
    reports.into_inner().expect("BUG: a file system panicked")
}

fn on_one(kind: Kind, plan: &Plan) -> Report {
    let mut report = Report::default();
    let (name, cuts) = (kind.name(), if plan.extent == Extent::Quick { 24 } else { 200 });
    let mut mount = match Mount::make(kind, MEBIBYTES) {
        Ok(mount) => mount,
        Err(why) => {
            report.skip(format!("power cuts on {name}: {why}"));
            return report;
        }
    };
    let mut sum = Sum::default();
    let mut random = Random::new(plan.seed);
    for cut in 0..cuts {
        // The same scenarios for several lives of a store, then the next one with a new store.
        let scenario = ["unsynced", "rotate", "threads", "tables", "reopen", "batch"][(cut / 4 % 6) as usize];
        let Some(scenario) = Scenario::named(scenario) else {
            report.fail(format!("BUG: no scenario {scenario}"));
            return report;
        };
        if let Err(failure) = series(&mut mount, scenario, plan.seed + cut, &mut random, &mut sum) {
            report.fail(format!("power cut on {name}: {}, seed {}, cut {cut}: {failure}", scenario.name, plan.seed));
        }
    }
    report.count(format!("power cuts on {name}"), sum.cuts, cuts);
    report.count(format!("power cuts on {name}: rows acknowledged as durable, all found"), sum.acked, 100);
    if kind == Kind::Ext4 {
        report.count("power cuts on ext4: zeros for unsynced rows, taken for no damage", sum.zero_tails, 1);
    }
    report
}

/// One new store, two lives, a power cut at the end of each.
fn series(mount: &mut Mount, scenario: &Scenario, seed: u64, random: &mut Random, sum: &mut Sum) -> Result<(), String> {
    let store = mount.dir().join("store");
    if store.exists() {
        fs::remove_dir_all(&store).map_err(while_doing("removing a store"))?;
    }
    let mut oracle = Oracle::new(seed);
    for life in 1..=2 {
        let before = oracle.acked_count();
        let args = [scenario.name.into(), store.clone().into(), seed.to_string().into(), life.to_string().into()];
        let mut child = Running::start(&args)?;
        child.wait_for("ready")?;
        thread::sleep(Duration::from_micros(1_000 + random.below(40_000)));
        // What is said later may rest on a sync that the cut met, of which ext4 forgets the failure.
        let lines = child.lines_so_far();
        call("xfs_io", &["-x".into(), "-c".into(), "shutdown".into(), mount.dir().into_os_string()])?;
        drop(child);
        for line in &lines {
            if !oracle.hear(life, line) {
                return Err(format!("life {life}: {line}"));
            }
        }
        mount.unmount()?;
        mount.mount()?;
        sum.cuts += 1;
        sum.acked += oracle.acked_count() - before;
        if scenario.name == "unsynced" {
            sum.zero_tails += u64::from(has_zero_tail(&store, &oracle)?);
        }
        let found = after_harm(&store, &scenario.options(), &mut oracle, life, random);
        found.map_err(|failure| format!("life {life}: {failure}"))?;
    }
    Ok(())
}

/// Whether rows that the kernel had are gone, and zeros are where they were.
fn has_zero_tail(store: &Path, oracle: &Oracle) -> Result<bool, String> {
    if oracle.flushed == 0 {
        return Ok(false);
    }
    let newest = newest_segments(&store.join("tables")).map_err(while_doing("listing segments"))?;
    let counts = read_all(store, oracle)?;
    let there = counts.get("t").and_then(|counts| counts.get(&0)).copied().unwrap_or_default();
    let bytes = newest.last().map(fs::read).transpose().map_err(while_doing("reading a segment"))?.unwrap_or_default();
    Ok(there < oracle.flushed && bytes.ends_with(&[0; 64]))
}
