//! Whether a disk is what a crash may leave, by everything the library says of it.
//!
//! # Invariants
//!
//! - I5. The head is that of the records found.
//! - I6. What is appended and synced after recovery survives the next crash.
//! - I7. A second recovery changes no byte.
//! - I8. No byte that was there is gone without a copy in quarantine.
//! - I9. Reading and verifying change nothing.
//! - I16. Nothing that a crash may leave is called damage.

use crate::oracle::{Told, read};
use crate::script::{LOG_DIR, Place, Runner, STORE_DIR, Step, Wrong};
use bulla::{Reader, Verdict, VerifyOptions};
use bulla_log::{Durability, Expectation, Level, LogError, LogReader, Snapshot, verify_log};
use bulla_segment::{SegmentFile, Stop, Tail};
use bulla_testkit::{Call, DiskState, Image, SimClock, SimDisk};
use bulla_vfs::{Host, OpenMode, SeededRandom};
use bulla_wire::Position;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A host on this disk whose clock jumps. What is drawn depends on what is there, so that no life draws what another
/// drew before it.
#[must_use]
pub fn host_on(disk: &SimDisk, seed: u64) -> Host {
    let random = SeededRandom::new(seed ^ disk.seen().fingerprint());
    Host::new(Arc::new(disk.clone()), Arc::new(SimClock::new(seed)), Arc::new(random))
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Whether readers and verification look at the disk before it is opened.
    pub read: bool,
    /// Whether the disk is opened, written to and opened once more.
    pub go_on: bool,
    /// Whether what the disk was at each step of the recovery is wanted.
    pub watch: bool,
}

/// What recovery did.
#[derive(Debug, Default)]
pub struct Examined {
    /// What the disk was after each of its operations that changed something.
    pub moments: Vec<DiskState>,
    /// Files in quarantine that were not there before.
    pub quarantined: u64,
}

/// Holds what the library makes of `image` against what was told; `flushed` if nothing that the system had is gone.
///
/// # Errors
///
/// A wrong answer.
///
/// # Panics
///
/// When another thread panicked while it watched the same disk.
pub fn examine(
    place: Place,
    image: &Image,
    told: &[Told],
    flushed: bool,
    seed: u64,
    depth: Depth,
) -> Result<Examined, Wrong> {
    // What the system had counts as if it were durable, so far as this look goes.
    let told: Vec<Told> = told
        .iter()
        .map(|told| Told { durable: if flushed { told.flushed } else { told.durable }, ..told.clone() })
        .collect();
    if depth.read {
        look(place, image, &told, seed)?;
    }
    let disk = SimDisk::of(seed, image);
    let moments = Arc::new(Mutex::new(Vec::new()));
    if depth.watch {
        let moments = Arc::clone(&moments);
        disk.watch(move |state, _| moments.lock().expect("BUG: a watcher panicked").push(state.clone()));
    }
    let mut runner = Runner::new(place, host_on(&disk, seed));
    runner.ledger.set(told.clone());
    match runner.open()? {
        Ok(()) => {}
        Err(error) => return Err(format!("opening is refused: {error} {error:?}")),
    }
    disk.unwatch();
    let quarantined = check_quarantine(image, &disk.seen(), &told, seed)?;
    let mut examined = Examined { moments: std::mem::take(&mut moments.lock().expect("as above")), quarantined };
    if examined.quarantined == 0 && !depth.go_on {
        return Ok(examined);
    }
    if depth.go_on {
        go_on(place, &disk, runner, seed)?;
    }
    examined.quarantined = quarantined;
    Ok(examined)
}

/// I9 and I16 of those who only read.
fn look(place: Place, image: &Image, told: &[Told], seed: u64) -> Result<(), Wrong> {
    let disk = SimDisk::of(seed, image);
    let host = host_on(&disk, seed);
    match place {
        Place::Log => {
            let told = &told[0];
            match LogReader::open(&host, Path::new(LOG_DIR)).and_then(|reader| reader.snapshot()) {
                Ok(snapshot) => {
                    if snapshot.is_damaged() {
                        return Err("I16: a reader calls it damaged".to_owned());
                    }
                    let found = read(&snapshot).map_err(|error| format!("I16: a reader: {error}"))?;
                    told.check(&found, told.durable).map_err(|what| format!("a reader: {what}"))?;
                    let report =
                        verify_log(&host, Path::new(LOG_DIR), Level::Full, &Expectation::default(), &mut |_| {});
                    if report.verdict() != Verdict::Intact {
                        return Err(format!("I16: verify says {} {:?}", report.verdict(), report.findings));
                    }
                    prove(&snapshot).map_err(|error| format!("a proof: {error}"))?;
                    let head = report.head.map(|head| head.size);
                    if head != Some(snapshot.end().0) && snapshot.end().0 > 0 {
                        return Err(format!("I5: verify ends at {head:?}, a reader at {}", snapshot.end()));
                    }
                }
                Err(error) if told.is_created => return Err(format!("I16: a reader: {error} {error:?}")),
                // Before its first segment is durable there is no log.
                Err(error) if error.is_missing() || is_segment_interrupted(image) => {}
                Err(error) => return Err(format!("I16: a reader: {error} {error:?}")),
            }
        }
        Place::Store { .. } => look_at_store(&host, told)?,
    }
    let changes =
        disk.calls().iter().filter(|call| call.is_change() || matches!(call, Call::Lock | Call::OpenWrite)).count();
    if changes > 0 {
        return Err(format!("I9: reading made {changes} changes"));
    }
    Ok(())
}

/// Proves a few records, which is verified on the way, whatever the crash left of the spine.
fn prove(snapshot: &Snapshot) -> Result<(), LogError> {
    let mut prover = snapshot.prover()?;
    let size = prover.head().size;
    for position in [0, size / 2, size.saturating_sub(1)].into_iter().filter(|position| *position < size) {
        prover.inclusion(Position(position), size)?;
        prover.consistency(position, size)?;
    }
    Ok(())
}

/// A log whose only segment has no header yet is none; what says so is an error about that header.
fn is_segment_interrupted(image: &Image) -> bool {
    let segments = image.files.iter().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "seg"));
    segments.count() <= 1
}

fn look_at_store(host: &Host, told: &[Told]) -> Result<(), Wrong> {
    let is_created = told.iter().any(|told| told.is_created);
    let reader = match Reader::open_on(host, STORE_DIR) {
        Ok(reader) => reader,
        Err(error) if is_created => return Err(format!("I16: a reader: {error} {error:?}")),
        Err(error) if error.is_damage() => return Err(format!("I16: a reader: {error} {error:?}")),
        Err(_) => return Ok(()),
    };
    for (index, told) in told.iter().enumerate() {
        let name = format!("t{index}");
        match reader.raw(&name) {
            Ok(view) => {
                let snapshot = view.snapshot().map_err(|error| format!("I16: a reader of {name}: {error}"))?;
                let found = read(&snapshot).map_err(|error| format!("I16: a reader of {name}: {error}"))?;
                told.check(&found, told.durable).map_err(|what| format!("a reader of {name}: {what}"))?;
            }
            Err(error) if told.is_created || error.is_damage() => {
                return Err(format!("I16: a reader of {name}: {error} {error:?}"));
            }
            Err(_) => {}
        }
    }
    let options = VerifyOptions { host: host.clone(), workers: 1, ..VerifyOptions::default() };
    let report = match bulla::verify(STORE_DIR, &options, &mut |_| {}) {
        Ok(report) => report,
        Err(error) => return Err(format!("I16: verify: {error}")),
    };
    if report.verdict() != Verdict::Intact {
        let findings: Vec<_> = report.logs.iter().flat_map(|log| &log.findings).collect();
        return Err(format!("I16: verify says {} {findings:?}", report.verdict()));
    }
    Ok(())
}

/// I8. Every byte of a segment that is there no more must lie in a quarantine file that was not there before, but for
/// index, footer and close frame, which are made again from the records, and marks.
fn check_quarantine(before: &Image, after: &Image, told: &[Told], seed: u64) -> Result<u64, Wrong> {
    let is_quarantine = |path: &Path| path.parent().is_some_and(|dir| dir.ends_with("quarantine"));
    let fresh: Vec<(&PathBuf, Vec<u8>)> = after
        .files
        .iter()
        .filter(|(path, bytes)| is_quarantine(path) && before.files.get(*path) != Some(bytes))
        .map(|(path, bytes)| (path, bytes.to_vec()))
        .collect();
    for (path, bytes) in &before.files {
        if is_quarantine(path) && after.files.get(path) != Some(bytes) && !is_temporary(path) {
            return Err(format!("I8: {} changed in quarantine", path.display()));
        }
        if path.extension().is_none_or(|extension| extension != "seg") {
            continue;
        }
        let (old, new) =
            (bytes.to_vec(), after.files.get(path).map(bulla_testkit::Sectors::to_vec).unwrap_or_default());
        let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let end = bytes.non_zero_end();
        if same >= end {
            continue;
        }
        // The cut is at the start of a frame, of which the record that follows may repeat some bytes.
        let lost = &old[same..end];
        let is_kept = fresh.iter().any(|(_, copy)| copy.ends_with(lost));
        let is_known = before.files.iter().any(|(path, copy)| is_quarantine(path) && copy.to_vec().ends_with(lost));
        if !is_kept && !is_known && !is_recreated(path, &old, told) && !is_summary(before, path, seed) {
            return Err(format!("I8: bytes {same}..{end} of {} are gone without a copy", path.display()));
        }
    }
    Ok(fresh.iter().filter(|(path, _)| !is_temporary(path)).count() as u64)
}

fn is_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tmp")
}

/// A segment that was being made holds no record, and is made anew in its place; so is a log that was.
fn is_recreated(path: &Path, old: &[u8], told: &[Told]) -> bool {
    let is_first = path.file_stem().is_some_and(|stem| stem == "00000000000000000000");
    bulla_wire::SegmentHeader::decode(old).is_err() || (is_first && told.iter().any(|told| !told.is_created))
}

/// Whether all that follows the records of a segment is valid, and so no record: a mark, an index, a close frame.
fn is_summary(before: &Image, path: &Path, seed: u64) -> bool {
    let host = host_on(&SimDisk::of(seed, before), seed);
    let scanned = SegmentFile::open(&host, path, OpenMode::Read).and_then(|segment| Tail::scan(&segment));
    scanned.is_ok_and(|tail| !matches!(tail.stop, Stop::Invalid(_)))
}

/// I5 to I7.
fn go_on(place: Place, disk: &SimDisk, mut runner: Runner, seed: u64) -> Result<(), Wrong> {
    runner.drop_all()?;
    let before = disk.seen();
    match runner.open()? {
        Ok(()) => {}
        Err(error) => return Err(format!("I7: a second opening is refused: {error} {error:?}")),
    }
    if disk.seen() != before {
        return Err("I7: a second recovery changed something".to_owned());
    }
    let tables = runner.ledger.now().len() as u8;
    for table in 0..tables {
        runner.step(Step::Append { table, count: 1, size: 40, durability: Durability::Durable })?;
    }
    if runner.failed_calls > 0 {
        return Err("I6: nothing can be appended after recovery".to_owned());
    }
    let told = runner.ledger.now();
    // Power fails now, and takes all that was not synced with it.
    let plan = bulla_testkit::CrashPlan { all_subsets_of: 0, subsets: 0, singles: 0, torn: 0, lengths: 0, names: 0 };
    let mut images = Vec::new();
    disk.state().crashes(&plan, &mut bulla_testkit::Random::new(seed), &mut |crash| {
        if images.is_empty() && crash.label == "nothing arrived" {
            images.push(crash.image);
        }
    });
    for image in images {
        look(place, &image, &told, seed).map_err(|what| format!("I6: {what}"))?;
        let disk = SimDisk::of(seed, &image);
        let mut runner = Runner::new(place, host_on(&disk, seed));
        runner.ledger.set(told.clone());
        match runner.open().map_err(|what| format!("I6: {what}"))? {
            Ok(()) => {}
            Err(error) => return Err(format!("I6: opening is refused: {error} {error:?}")),
        }
    }
    Ok(())
}
