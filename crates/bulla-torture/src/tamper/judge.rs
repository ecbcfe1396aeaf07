//! What the store says of a case, and whether that is right.
//!
//! # Invariants
//!
//! - J1. Verification says that something is wrong, and where: in the frame that was touched or one beside it after an
//!   accident, in the segment or log after an edit that was meant. Or the case is on the list of [`Reason`]s, and then
//!   every record and head is what it was, or what the reason says.
//! - J2. A reader gives out no record that was not there, unless whoever edited it put the checksums right; and what it
//!   does not give out it calls damaged or missing, or verification does.
//! - J3. Opening for writing takes nothing away: it refuses and changes nothing, or all records are there or are still
//!   reported by whoever reads them.
//! - J4. Nothing panics.

use super::forge::{is_epoch_of_header, is_layout_field};
use super::harm::{Case, Group, Touched};
use super::store::{LogTruth, Read, STORE, Segment, Truth, disk_of, files_of, host_on, read, read_snapshot};
use bulla::segment::parse_segment_file_name;
use bulla::{Finding, Level, LogVerdict, MemVfs, Options, Verdict, VerifyOptions, VerifyReport, verify};
use std::fmt::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Why verification may call a store intact that was touched. docs/TAMPERING.md tells each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// Index and close frame of a log's newest segment say nothing that the records before them do not, and a power cut
    /// while the log is closed leaves the same; the next writer cuts them off.
    CloseFrame,
    /// What lies behind the close frame is where the next writer writes; zeros and torn writes may lie there.
    BehindTheEnd,
    /// The content of the lock file, and names that the format does not know, mean nothing.
    Meaningless,
    /// Epochs, durable ends, the borders of batches and the secret that seeds checksums say how bytes came into the file
    /// and help to find a torn tail. In a log that was closed there is none, and no record depends on them.
    Layout,
    /// Records appended by somebody else, in the form the program would have given them. All that was there before is
    /// there, and who may append is for the system's permissions to say.
    Appended,
    /// The journal's newest rows, back to the newest head of it that a table's seal holds: heads seen at closing, which
    /// a crash before closing would not have left either. All tables are whole.
    NewestJournalRows,
    /// A log was put back together with the journal that knew more of it: an older state of the store, which nothing but
    /// a head kept elsewhere tells from the newest.
    OlderStore,
}

impl Reason {
    pub(super) const ALL: [Self; 7] = [
        Self::CloseFrame,
        Self::BehindTheEnd,
        Self::Meaningless,
        Self::Layout,
        Self::Appended,
        Self::NewestJournalRows,
        Self::OlderStore,
    ];

    pub(super) fn what(self) -> &'static str {
        match self {
            Self::CloseFrame => "index and close frame of the newest segment",
            Self::BehindTheEnd => "bytes behind the end of the newest segment",
            Self::Meaningless => "bytes and names that mean nothing",
            Self::Layout => "epochs, durable ends, borders of batches, seeds of checksums",
            Self::Appended => "records appended by somebody else",
            Self::NewestJournalRows => "heads that the journal learned since the newest seal",
            Self::OlderStore => "an older state of the journal and what it spoke of",
        }
    }
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Found out, and located.
    Detected(Verdict),
    /// Passed as intact, for a good reason.
    Justified(Reason),
}

/// How much is looked at besides verification at level full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub(super) structure: bool,
    pub(super) read: bool,
    pub(super) write: bool,
}

/// Judges a case; the error says what is wrong.
pub(super) fn judge(truth: &Truth, case: &Case, depth: Depth) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| examine(truth, case, depth))).unwrap_or_else(|_| Err("J4: it panics".to_owned()))
}

fn examine(truth: &Truth, case: &Case, depth: Depth) -> Result<Outcome, String> {
    let disk = disk_of(&case.files);
    let host = host_on(&disk);
    let check = |level| {
        let options = VerifyOptions { level, host: host.clone(), workers: 1, ..VerifyOptions::default() };
        verify(STORE, &options, &mut |_| ())
    };
    let full = check(Level::Full);
    let worst = match &full {
        Ok(report) => report.verdict(),
        // Nothing is there that could be verified, which says everything.
        Err(error) if error.is_missing() || error.is_not_a_store() => Verdict::Missing,
        Err(error) => return Err(format!("verification fails: {error}")),
    };
    if depth.structure && full.is_ok() {
        let structure =
            check(Level::Structure).map_err(|error| format!("J1: the structure cannot be verified: {error}"))?;
        if worst == Verdict::Intact && structure.verdict() > worst {
            return Err(format!("J1: intact, but for its structure: {}", findings(&structure)));
        }
    }
    let outcome = if worst > Verdict::Intact {
        if let Ok(report) = &full {
            located(truth, case, report)?;
        }
        Outcome::Detected(worst)
    } else {
        let report = full.as_ref().map_err(ToString::to_string)?;
        Outcome::Justified(justified(truth, case, report)?)
    };
    if depth.read || matches!(outcome, Outcome::Justified(_)) {
        reading(truth, case, &disk, outcome)?;
    }
    if depth.write {
        writing(truth, case, &disk, outcome)?;
    }
    Ok(outcome)
}

/// J1, where something was found.
fn located(truth: &Truth, case: &Case, report: &VerifyReport) -> Result<(), String> {
    let is_named = report.logs.iter().any(|log| {
        let bad = log.findings.iter().filter(|finding| finding.verdict > Verdict::Intact);
        bad.into_iter().any(|finding| case.touched.iter().any(|touched| is_at(truth, case, log, finding, touched)))
    });
    if is_named { Ok(()) } else { Err(format!("J1: not located: {}", findings(report))) }
}

fn is_at(truth: &Truth, case: &Case, log: &LogVerdict, finding: &Finding, touched: &Touched) -> bool {
    let Some(segment) = truth.segment(&touched.path) else {
        // A file that was not there before, or is no segment: its log is told, or the store's journal.
        return truth.log_of(&touched.path).is_none_or(|at| truth.logs[at].name == log.log);
    };
    let is_same_log = truth.logs[segment.log].name == log.log;
    let is_journal = segment.log == truth.journal();
    let is_whole_log = finding.segment.is_none() && finding.position.is_none();
    if is_same_log && (matches!(case.group, Group::File | Group::Older) || is_journal && is_whole_log) {
        return true;
    }
    // Where journal and table tell different heads, it is the table's end that is named, whoever lies.
    let is_forged = matches!(case.group, Group::Mended | Group::Forged);
    if !is_same_log {
        // A journal that lost rows is told of by what it does not name any more.
        let is_unnamed = finding.what.starts_with("the journal does not name");
        return is_journal && (is_unnamed || is_forged && finding.segment.is_none() && finding.position.is_some());
    }
    // A noted checkpoint tells positions of the log, and stands in a file of its own.
    let is_noted = finding.segment.as_deref() == Some("checkpoints");
    let is_same_file = is_noted || finding.segment.as_deref().is_none_or(|name| name == segment.name());
    let (offsets, positions) = if is_forged {
        (0..usize::MAX, segment.base.0..segment.end().0)
    } else {
        neighbourhood(segment, &touched.bytes)
    };
    // What a segment rewritten whole contradicts is the beginning of the next one.
    let is_at_next = is_forged && finding.position == Some(segment.end());
    let is_offset_near = finding.offset.is_some_and(|at| (offsets.start..=offsets.end).contains(&(at as usize)));
    let is_position_near = finding.position.is_some_and(|at| (positions.start..=positions.end).contains(&at.0));
    is_at_next || is_same_file && (is_offset_near && !is_noted || is_position_near)
}

/// Offsets and positions of the structures that `bytes` touch, and of one more on either side.
fn neighbourhood(segment: &Segment, bytes: &Range<usize>) -> (Range<usize>, Range<u64>) {
    let mut places = vec![(0..segment.header_len, segment.base.0..segment.base.0)];
    places.extend(segment.frames.iter().map(|frame| (frame.bytes.clone(), frame.header.base.0..frame.header.end().0)));
    let touches =
        |(at, _): &(Range<usize>, Range<u64>)| at.start < bytes.end.max(bytes.start + 1) && bytes.start < at.end;
    let first = places.iter().position(touches).unwrap_or(places.len() - 1).saturating_sub(1);
    let last = (places.iter().rposition(touches).unwrap_or(places.len() - 1) + 1).min(places.len() - 1);
    (places[first].0.start..places[last].0.end, places[first].1.start..places[last].1.end)
}

/// J1, where nothing was found: the reason, if there is one, with the heads that verification computed compared.
fn justified(truth: &Truth, case: &Case, report: &VerifyReport) -> Result<Reason, String> {
    let reason = reason(truth, case).ok_or_else(|| format!("J1: SILENT: {}", findings(report)))?;
    for log in &truth.logs {
        let may_differ = match reason {
            Reason::NewestJournalRows => log.name == "journal",
            Reason::OlderStore => true,
            _ => false,
        };
        let found = report.logs.iter().find(|found| found.log == log.name);
        let is_same = found.is_some_and(|found| {
            let root = found.root.map(|root| root.to_string());
            let is_longer = reason == Reason::Appended && found.size > Some(log.records.len() as u64);
            is_longer || found.size == Some(log.records.len() as u64) && root.as_ref() == Some(&log.root)
        });
        if !is_same && !may_differ {
            return Err(format!("J1: called {reason:?}, and {} has another head: {}", log.name, findings(report)));
        }
    }
    let is_told = report.logs.iter().any(|log| {
        // A log cut where its close frame began is one that was not closed, and the report does not vouch for its end.
        !log.not_checked.is_empty()
            || log.findings.iter().any(|finding| {
                case.touched.iter().any(|touched| {
                    truth
                        .segment(&touched.path)
                        .is_some_and(|segment| finding.segment.as_deref() == Some(segment.name()))
                })
            })
    });
    if matches!(reason, Reason::CloseFrame | Reason::BehindTheEnd) && !is_told {
        return Err(format!("J1: {reason:?}, without a remark on it"));
    }
    Ok(reason)
}

/// Forgeries of nothing but what [`Reason::Layout`] speaks of.
const LAYOUT: [&str; 5] =
    ["forge:durable-end-all", "forge:epoch-all", "forge:more", "forge:header-epoch", "forge:header-secret"];

/// The reason that may excuse a case, by what it touched and nothing else.
fn reason(truth: &Truth, case: &Case) -> Option<Reason> {
    let mut reasons = case.touched.iter().map(|touched| reason_of(truth, case, touched));
    let first = reasons.next()??;
    // Several places are excused only if each of them is.
    reasons.try_fold(first, |worst, reason| Some(worst.max(reason?)))
}

fn reason_of(truth: &Truth, case: &Case, touched: &Touched) -> Option<Reason> {
    let Some(segment) = truth.segment(&touched.path) else {
        let name = touched.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_segment = parse_segment_file_name(name.as_ref()).is_some() && truth.log_of(&touched.path).is_some();
        return (!is_segment).then_some(Reason::Meaningless);
    };
    let is_journal = segment.log == truth.journal();
    let start = touched.bytes.start;
    match case.group {
        Group::Mended | Group::Forged => {
            let in_header = start < segment.header_len && is_epoch_of_header(start);
            let frame = segment.frames.iter().find(|frame| frame.bytes.contains(&start));
            let in_frame =
                case.group == Group::Mended && frame.is_some_and(|frame| is_layout_field(start - frame.bytes.start));
            if in_header || in_frame || LAYOUT.iter().any(|name| case.name.starts_with(name)) {
                Some(Reason::Layout)
            } else if segment.is_newest && start >= segment.data_end {
                Some(if case.name.starts_with("forge:double-renumber-agreed") {
                    Reason::Appended
                } else {
                    Reason::CloseFrame
                })
            } else {
                (is_journal && start >= newest_unheld(segment)).then_some(Reason::NewestJournalRows)
            }
        }
        Group::Older => {
            let now_older =
                case.touched.iter().any(|touched| touched.path.starts_with(&truth.logs[truth.journal()].dir));
            if is_journal {
                Some(Reason::NewestJournalRows)
            } else if now_older {
                Some(Reason::OlderStore)
            } else if segment.is_newest
                && case.files.get(&touched.path).is_some_and(|now| keeps_data(truth, segment, now))
            {
                Some(Reason::CloseFrame)
            } else {
                None
            }
        }
        Group::File => None,
        _ if !segment.is_newest => None,
        Group::Extension => Some(Reason::BehindTheEnd),
        _ if start >= truth.files[&touched.path].len() => Some(Reason::BehindTheEnd),
        _ if start >= segment.data_end => Some(Reason::CloseFrame),
        // Everything behind it is gone as well, the close frame first of all.
        _ if is_journal && start >= newest_unheld(segment) => Some(Reason::NewestJournalRows),
        _ => None,
    }
}

/// Whether `now` has all frames with records that the segment has.
fn keeps_data(truth: &Truth, segment: &Segment, now: &[u8]) -> bool {
    now.get(..segment.data_end) == truth.files[&segment.path].get(..segment.data_end)
}

/// Where the journal's rows begin of which no table's seal holds a head: the last frame of the last closing.
fn newest_unheld(segment: &Segment) -> usize {
    let last = segment.frames.iter().rfind(|frame| frame.bytes.end <= segment.data_end);
    last.map_or(segment.header_len, |frame| frame.bytes.start)
}

/// J2.
fn reading(truth: &Truth, case: &Case, disk: &MemVfs, outcome: Outcome) -> Result<(), String> {
    let host = host_on(disk);
    for log in &truth.logs {
        let found = read(&host, log, true);
        check_read("J2: reading", log, case, &found, outcome)?;
    }
    Ok(())
}

fn check_read(who: &str, log: &LogTruth, case: &Case, found: &Read, outcome: Outcome) -> Result<(), String> {
    let name = &log.name;
    for (position, seen) in &found.records {
        let is_right = log.records.get(*position as usize) == Some(seen);
        // Whoever makes checksums right, or puts other logs' files in place, deceives a reader, and verification tells.
        if !is_right && !case.group.is_meant() {
            return Err(format!("{who} {name} gives a wrong record at {position}"));
        }
    }
    let is_excused = match outcome {
        Outcome::Detected(_) | Outcome::Justified(Reason::OlderStore) => true,
        Outcome::Justified(Reason::NewestJournalRows) => name == "journal",
        Outcome::Justified(_) => false,
    };
    let seen = found.records.range(..log.records.len() as u64).map(|(_, seen)| seen);
    let is_whole = found.wrong.is_none() && seen.eq(&log.records);
    if is_whole || is_excused { Ok(()) } else { Err(format!("{who} {name} is not what it was: {:?}", found.wrong)) }
}

/// J3.
fn writing(truth: &Truth, case: &Case, disk: &MemVfs, outcome: Outcome) -> Result<(), String> {
    let host = host_on(disk);
    let store = match Options::new().create(false).host(host).open(STORE) {
        Ok(store) => store,
        Err(error) => {
            let mut after = files_of(disk);
            let mut before = case.files.clone();
            // Taking the lock makes its file.
            let lock = Path::new(STORE).join("LOCK");
            before.remove(&lock);
            after.remove(&lock);
            // A log in another one's place is recognised by its records, once a torn tail behind them was set aside.
            let is_set_aside = case.touched.len() > 1 && after.keys().any(|path| is_quarantined(path));
            return if before == after || is_set_aside {
                Ok(())
            } else {
                Err(format!("J3: refused, and changed something: {error}"))
            };
        }
    };
    let listed = store.tables();
    for log in truth.logs.iter().filter(|log| log.name != "journal") {
        let untouched = |why: &str| {
            let after = files_of(disk);
            let same = |path: &Path| path.starts_with(&log.dir);
            let is_same =
                case.files.iter().filter(|(path, _)| same(path)).eq(after.iter().filter(|(path, _)| same(path)));
            if is_same { Ok(()) } else { Err(format!("J3: {} {why}, and something changed", log.name)) }
        };
        if !listed.iter().any(|table| table.name == log.name) {
            untouched("is not listed")?;
            if !matches!(outcome, Outcome::Detected(_) | Outcome::Justified(Reason::OlderStore)) {
                return Err(format!("J3: {} is gone from the journal", log.name));
            }
            continue;
        }
        match store.raw_view(&log.name) {
            Err(_) => untouched("is refused")?,
            Ok(view) => {
                let snapshot = view.snapshot().map_err(|error| error.to_string())?;
                // Damage in one place leaves a witness of where the log ended. After more, a torn tail may be what it is
                // taken for, and recovery says what it cut.
                let recovery = store.recovery().into_iter().find(|(name, _)| *name == log.name);
                let cut = recovery.and_then(|(_, report)| report.cut_from).map_or(u64::MAX, |cut| cut.0);
                let end = log.records.len() as u64;
                if cut < end && case.touched.len() == 1 && !case.group.is_meant() {
                    return Err(format!("J3: {} is open for writing and was cut at {cut}", log.name));
                }
                let mut found = read_snapshot(&snapshot, true);
                found.records.retain(|position, _| *position < end.min(cut));
                let is_silent = found.wrong.is_none() && (found.records.len() as u64) < end.min(cut);
                if is_silent && !case.group.is_meant() {
                    return Err(format!("J3: a writer of {} reads {} records, no gap", log.name, found.records.len()));
                }
                check_read("J3: a writer of", log, case, &found, outcome)?;
            }
        }
    }
    Ok(())
}

fn is_quarantined(path: &Path) -> bool {
    path.parent().is_some_and(|dir| dir.ends_with("quarantine"))
}

fn findings(report: &VerifyReport) -> String {
    let mut text = String::new();
    for log in &report.logs {
        for Finding { verdict, position, segment, offset, what } in &log.findings {
            let position = position.map(|position| position.0);
            write!(text, "\n    {}: {verdict} {position:?} {segment:?} {offset:?} {what}", log.log)
                .expect("BUG: a string did not grow");
        }
    }
    text
}
