//! Checkpoints handed to anchors: at least once, whatever crashes or fails, and never said to be taken before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod anchoring;

use anchoring::{FakeLog, run, shown, tree_head};
use bulla::chain::ShownCheckpoint;
use bulla::vfs::SeededRandom;
use bulla::{
    AnchorError, AnchorSink, Anchored, Anchors, CommandSink, Error, Event, FileSink, Host, ManualClock, MemVfs,
    Options, RETRY_AFTER_MAX, RETRY_AFTER_MIN, Reader, Receipt, Taken, TimestampSink, read_checkpoints,
};
use bulla_testkit::{CrashPlan, Random, SimDisk};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ANCHORS: &str = "/anchors";
const FILE: &str = "/elsewhere/checkpoints";

fn on(disk: &SimDisk) -> Host {
    Host::new(Arc::new(disk.clone()), Arc::new(ManualClock::new(7)), Arc::new(SeededRandom::new(1)))
}

fn held(host: &Host) -> Vec<ShownCheckpoint> {
    let Ok(file) = host.fs.open(Path::new(FILE), bulla::vfs::OpenMode::Read) else { return Vec::new() };
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    bulla::vfs::read_exact_at(&*file, &mut bytes, 0).unwrap();
    let held = read_checkpoints(&bytes).unwrap();
    // A crash leaves something behind the last whole one at most.
    assert!(held.problems.is_empty(), "{:?}", held.problems);
    held.checkpoints
}

/// Hands over each of these sizes as it is noted; what the outbox said was taken after each.
fn hand_over(host: &Host, sizes: &[u64]) -> Result<Option<u64>, Error> {
    let mut log = FakeLog::new("shop/logins/07070707", &[]);
    let mut anchors = Anchors::new(host, Path::new(ANCHORS));
    anchors.add(Box::new(FileSink::new(host, "file", FILE)))?;
    for size in sizes {
        log.noted.push(shown(&log.origin, *size));
        while anchors.step(&mut [&mut log])? {}
    }
    Ok(anchors.lag(&[&log])[0].confirmed)
}

/// A1: whatever a crash leaves after any operation, what counts as taken is in the file, and the next run brings the
/// newest there, with nothing damaged in between.
#[test]
fn a_crash_at_any_step_leaves_a_repeat_and_nothing_taken_that_is_not_there() {
    let images = Arc::new(Mutex::new(Vec::new()));
    let disk = SimDisk::new(3);
    let taken = Arc::clone(&images);
    let mut random = Random::new(5);
    let plan = CrashPlan { all_subsets_of: 3, subsets: 4, singles: 2, torn: 2, lengths: 3, names: 8 };
    disk.watch(move |state, _| state.crashes(&plan, &mut random, &mut |crash| taken.lock().unwrap().push(crash)));
    assert_eq!(hand_over(&on(&disk), &[2, 5, 9]).unwrap(), Some(9));
    disk.unwatch();
    assert_eq!(held(&on(&disk)).iter().map(|shown| shown.head().size).collect::<Vec<_>>(), [2, 5, 9]);

    let images = images.lock().unwrap();
    assert!(images.len() > 100, "{} crashes", images.len());
    for (number, crash) in images.iter().enumerate() {
        let host = on(&SimDisk::of(number as u64, &crash.image));
        let log = FakeLog::new("shop/logins/07070707", &[]);
        let mut anchors = Anchors::new(&host, Path::new(ANCHORS));
        anchors.add(Box::new(FileSink::new(&host, "file", FILE))).unwrap();
        let lag = &anchors.lag(&[&log])[0];
        let found = held(&host);
        let is_there = |size| found.iter().any(|shown| shown.head().size == size);
        assert!(lag.confirmed.is_none_or(is_there), "{}: {lag:?} and {found:?}", crash.label);
        assert_eq!(hand_over(&host, &[9]).unwrap(), Some(9), "{}", crash.label);
        assert_eq!(held(&host).last().unwrap().head(), tree_head(9), "{}", crash.label);
    }
}

/// A1 and A3: every call fails once; nothing is taken that is not there, and the next run mends it.
#[test]
fn a_disk_that_fails_at_any_call_leaves_a_repeat_too() {
    let disk = SimDisk::new(4);
    hand_over(&on(&disk), &[2, 5]).unwrap();
    let calls = disk.call_count();
    let mut failures = 0;
    for at in 0..calls {
        let disk = SimDisk::new(4);
        disk.set_fault(Some(bulla_testkit::Fault { at, harm: bulla_testkit::Harm::Io, for_good: false }));
        failures += u64::from(hand_over(&on(&disk), &[2, 5]).ok() != Some(Some(5)));
        disk.set_fault(None);
        assert_eq!(hand_over(&on(&disk), &[5]).unwrap(), Some(5), "call {at}");
        assert_eq!(held(&on(&disk)).last().unwrap().head(), tree_head(5), "call {at}");
    }
    assert!(failures > calls / 2, "{failures} of {calls}");
}

/// A sink that does as it is told, and counts.
struct Told {
    name: &'static str,
    works: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

impl AnchorSink for Told {
    fn name(&self) -> &str {
        self.name
    }

    fn deliver(&mut self, anchored: &mut Anchored<'_>) -> Result<Taken, AnchorError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.works.load(Ordering::Relaxed) {
            return Ok(Taken { shown: anchored.shown().clone(), receipt: Receipt::None });
        }
        Err(AnchorError::Failed { what: "no paper\nleft".to_owned() })
    }
}

/// A3: what fails is counted, seen by whoever only reads, left alone for longer and longer, and forgotten with success.
/// A sink that fails keeps no other from its turn.
#[test]
fn a_failing_sink_is_retried_with_growing_waits_and_seen() {
    let clock = ManualClock::new(1_000);
    let host = Host { clock: Arc::new(clock.clone()), ..Host::memory() };
    let (works, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let told = |name, works: &Arc<AtomicBool>, asked: &Arc<AtomicU64>| {
        Box::new(Told { name, works: Arc::clone(works), asked: Arc::clone(asked) })
    };
    let mut log = FakeLog::new("shop/journal", &[4]);
    let mut anchors = Anchors::new(&host, Path::new(ANCHORS));
    anchors.add(told("printer", &works, &asked)).unwrap();
    let other = Arc::new(AtomicU64::new(0));
    anchors.add(told("other", &Arc::new(AtomicBool::new(true)), &other)).unwrap();

    assert!(anchors.step(&mut [&mut log]).unwrap(), "the other sink is due");
    assert!(!anchors.step(&mut [&mut log]).unwrap());
    assert_eq!((asked.load(Ordering::Relaxed), other.load(Ordering::Relaxed)), (1, 1));
    let mut wait = RETRY_AFTER_MIN;
    for attempt in 2..20 {
        clock.advance(wait.checked_sub(Duration::from_nanos(1)).unwrap());
        assert!(!anchors.step(&mut [&mut log]).unwrap());
        assert_eq!(asked.load(Ordering::Relaxed), attempt - 1, "too early");
        clock.advance(Duration::from_nanos(1));
        assert!(!anchors.step(&mut [&mut log]).unwrap());
        assert_eq!(asked.load(Ordering::Relaxed), attempt);
        wait = (wait * 2).min(RETRY_AFTER_MAX);
    }
    let lag = &anchors.lag(&[&log])[0];
    assert_eq!((lag.confirmed, lag.noted, lag.attempts, lag.since), (None, Some(4), 19, Some(1_000)));
    assert_eq!(lag.error.as_deref(), Some("no paper left"));
    assert!(lag.is_due());

    // A new process tries at once, and knows what happened before.
    let mut anchors = Anchors::new(&host, Path::new(ANCHORS));
    works.store(true, Ordering::Relaxed);
    anchors.add(told("printer", &works, &asked)).unwrap();
    assert_eq!(anchors.lag(&[&log])[0].attempts, 19);
    anchors.step(&mut [&mut log]).unwrap();
    let lag = &anchors.lag(&[&log])[0];
    assert_eq!((lag.confirmed, lag.attempts, lag.since, lag.is_due()), (Some(4), 0, None, false));
    let before = asked.load(Ordering::Relaxed);
    anchors.step(&mut [&mut log]).unwrap();
    anchors.try_all(&mut [&mut log], true).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), before, "what was taken is not handed over again");
}

/// A4: a store that was put back, or rewritten, has a newest checkpoint below what was anchored, or beside it. Once it is
/// the one that was anchored, nothing is wrong any more.
#[test]
fn a_log_below_what_was_anchored_is_reported_and_not_handed_over() {
    let host = Host::memory();
    run(&host, &mut FakeLog::new("a/b/c", &[3, 8]), FileSink::new(&host, "file", FILE));
    let mut beside = FakeLog::new("a/b/c", &[]);
    beside.noted.push(anchoring::shown_with("a/b/c", 8, [9; 32]));
    for mut log in [FakeLog::new("a/b/c", &[3]), beside] {
        let lag = run(&host, &mut log, FileSink::new(&host, "file", FILE));
        assert!(lag.error.as_ref().is_some_and(|error| error.contains("was anchored before")), "{lag:?}");
        assert_eq!(lag.confirmed, Some(8));
        assert_eq!(held(&host).len(), 1);
    }
    let lag = run(&host, &mut FakeLog::new("a/b/c", &[3, 8]), FileSink::new(&host, "file", FILE));
    assert_eq!((lag.error, lag.attempts, held(&host).len()), (None, 0, 1));
}

#[test]
fn somebody_elses_file_is_not_cut_and_a_damaged_state_means_a_repeat() {
    let disk = MemVfs::new();
    let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
    host.fs.create_dir(Path::new("/elsewhere")).unwrap();
    disk.write_file(Path::new(FILE), b"my diary\n").unwrap();
    let lag = run(&host, &mut FakeLog::new("a/b/c", &[3]), FileSink::new(&host, "file", FILE));
    assert!(lag.error.unwrap().contains("something else"), "refused");
    assert_eq!(disk.read_file(Path::new(FILE)).unwrap(), b"my diary\n");

    disk.write_file(Path::new(FILE), b"").unwrap();
    run(&host, &mut FakeLog::new("a/b/c", &[3]), FileSink::new(&host, "file", FILE));
    let state = Path::new("/anchors/file/state");
    let mut bytes = disk.read_file(state).unwrap();
    bytes[20] ^= 1;
    disk.write_file(state, &bytes).unwrap();
    let lag = run(&host, &mut FakeLog::new("a/b/c", &[3]), FileSink::new(&host, "file", FILE));
    assert_eq!((lag.confirmed, held(&host).len()), (Some(3), 2));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let host = Host::memory();
    for name in ["", "..", "a/b", "A", ".hidden"] {
        let mut anchors = Anchors::new(&host, Path::new(ANCHORS));
        let error = anchors.add(Box::new(FileSink::new(&host, name, FILE))).unwrap_err();
        assert!(matches!(error, Error::BadName { .. }), "{name:?}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_program_takes_the_checkpoint_or_says_why_not() {
    let host = Host::memory();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let sh = |script: &str| CommandSink::new("sh", "sh", ["-c", script, "sh", out.to_str().unwrap()]);
    let late = sh("exec sleep 30").time_max(Duration::from_millis(100));
    for (sink, expected) in
        [(sh("echo no paper >&2; exit 7"), "ended with 7: no paper"), (late, "took more than 100ms")]
    {
        let lag = run(&host, &mut FakeLog::new("a/b/c", &[3]), sink);
        assert!(lag.error.as_ref().is_some_and(|error| error.contains(expected)), "{lag:?}");
    }
    let missing = CommandSink::new("sh", "/no/such/program", [""; 0]);
    let lag = run(&host, &mut FakeLog::new("a/b/c", &[3]), missing);
    assert!(lag.error.unwrap().contains("/no/such/program cannot be reached"));
    let lag = run(&host, &mut FakeLog::new("a/b/c", &[3]), sh("cat > $1; echo $BULLA_ORIGIN $BULLA_SIZE >> $1"));
    assert_eq!((lag.confirmed, lag.attempts), (Some(3), 0));
    assert_eq!(std::fs::read_to_string(out).unwrap(), format!("{}a/b/c 3\n", shown("a/b/c", 3)));
}

/// The oldest request waits for its answer, though newer checkpoints are noted meanwhile; one that dates something else
/// is no receipt.
#[test]
fn a_timestamp_is_asked_for_and_waited_for() {
    let host = Host::memory();
    let mut log = FakeLog::new("a/b/c", &[3]);
    let sink = || TimestampSink::new(&host, "tsa", "/tsa");
    assert!(run(&host, &mut log, sink()).error.unwrap().contains("waiting for /tsa/a+b+c-3.tsr"));
    log.noted.push(shown("a/b/c", 5));
    assert!(run(&host, &mut log, sink()).error.unwrap().contains("waiting for /tsa/a+b+c-3.tsr"));
    assert_eq!(host.fs.metadata(Path::new("/tsa/a+b+c-3.tsq")).unwrap().len, 69);
    let reply = host.fs.open(Path::new("/tsa/a+b+c-3.tsr"), bulla::vfs::OpenMode::Create).unwrap();
    bulla::vfs::write_all_at(&*reply, b"\x30\x03\x02\x01\x00", 0).unwrap();
    let lag = run(&host, &mut log, sink());
    assert!(lag.error.as_ref().is_some_and(|error| error.contains("worth nothing")), "{lag:?}");
    assert_eq!((lag.confirmed, lag.attempts), (None, 3));
}

/// The store hands over with `maintain` and at `close`, and a reader beside it sees how far that went.
#[test]
fn a_store_hands_over_what_is_noted_and_closes_whatever_the_anchor_does() {
    let disk = MemVfs::new();
    let clock = Arc::new(ManualClock::new(7));
    let host = Host { fs: Arc::new(disk.clone()), clock, ..Host::memory() };
    let store = Options::new().host(host.clone()).name("shop").open("/shop").unwrap();
    let table = store.table::<Event>("logins").unwrap();
    table.append(&Event::new("ana", "log in", "shop")).unwrap();
    let info = store.tables().remove(0);
    let head = table.view().head().unwrap();
    let text = format!("{}", anchoring::shown_with(&info.origin, head.size, head.root.0));
    let entry = format!("{text}crc32 {:08x}\n", crc32fast::hash(text.as_bytes()));
    let path = format!("/shop/tables/logins/{}/checkpoints", info.log);
    disk.write_file(Path::new(&path), entry.as_bytes()).unwrap();

    let asked = Arc::new(AtomicU64::new(0));
    let never = Told { name: "never", works: Arc::default(), asked: Arc::clone(&asked) };
    store.add_anchor(Box::new(never)).unwrap();
    store.add_anchor(Box::new(FileSink::new(&host, "file", FILE))).unwrap();
    while store.maintain().unwrap() {}
    let of = |lags: &[bulla::AnchorLag], sink: &str| {
        let lag = lags.iter().find(|lag| lag.sink == sink && lag.origin == info.origin).unwrap();
        (lag.confirmed, lag.attempts)
    };
    let lags = store.anchor_lag().unwrap();
    assert_eq!((of(&lags, "file"), of(&lags, "never")), ((Some(head.size), 0), (None, 1)));
    let beside = Reader::open_on(&host, "/shop").unwrap();
    let seen = beside.anchors().unwrap();
    assert_eq!((of(&seen, "file"), of(&seen, "never")), ((Some(head.size), 0), (None, 1)));
    assert_eq!(held(&host).iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
    // Closing notes one more of each log, and hands them over.
    table.append(&Event::new("ana", "log out", "shop")).unwrap();
    drop(table);
    store.close().unwrap();
    let seen = beside.anchors().unwrap();
    assert_eq!(of(&seen, "never"), (None, 1), "it was left alone");
    let files: Vec<_> = seen.iter().filter(|lag| lag.sink == "file").collect();
    assert!(files.len() == 2 && files.iter().all(|lag| lag.confirmed.is_some() && !lag.is_due()), "{files:?}");
    assert!(of(&seen, "file").0 > Some(head.size));
    assert_eq!(
        bulla::verify(Path::new("/shop"), &bulla::VerifyOptions { host, ..Default::default() }, &mut |_| {})
            .unwrap()
            .exit_code(),
        0
    );
}

/// A file with a name that is no UTF-8 was written under another name, made of what of it is text, and so was never found:
/// each checkpoint replaced the file with the ones before it.
#[cfg(unix)]
#[test]
fn a_file_of_any_name_has_all_checkpoints() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let host = Host::memory();
    let path = Path::new("/elsewhere").join(OsStr::from_bytes(b"heads-\xff"));
    let mut log = FakeLog::new("shop/logins/07070707", &[]);
    let mut anchors = Anchors::new(&host, Path::new(ANCHORS));
    anchors.add(Box::new(FileSink::new(&host, "file", &path))).unwrap();
    for size in [3, 5] {
        log.noted.push(shown(&log.origin, size));
        anchors.step(&mut [&mut log]).unwrap();
    }
    let file = host.fs.open(&path, bulla::vfs::OpenMode::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    bulla::vfs::read_exact_at(&*file, &mut bytes, 0).unwrap();
    assert_eq!(read_checkpoints(&bytes).unwrap().checkpoints.len(), 2);
}
