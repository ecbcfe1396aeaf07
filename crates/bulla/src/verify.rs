//! Verification of a whole store: every log by itself, and the logs against each other.
//!
//! # Invariants
//!
//! - Y1. Nothing is created, changed or locked, and verification never ends at the first thing it finds: what cannot be
//!   read is a finding too.
//! - Y2. Every table the journal names is accounted for, and everything that lies where tables lie is named or found.
//! - Y3. The heads the journal holds of its tables must be in them, and the journal heads in the tables' seals must be in
//!   the journal: neither can be rolled back without the other.
//! - Y4. Beside a live writer nothing is found that is only young: the journal is read before the tables, again before an
//!   unnamed log is reported, and verified after them.
//! - Y5. What vouches for a log besides the store is another question than whether the store agrees with itself
//!   ([`trust`]).

mod trust;

use crate::error::Error;
use crate::journal::{JournalState, TableInfo};
use crate::layout::{Layout, LogDir, NameOf, check_name, is_blank, journal_origin};
use crate::reader::{open_journal, unfinished};
use crate::report::{LogVerdict, Trust, VerifyReport};
#[cfg(feature = "ed25519")]
use bulla_chain::VerifierKey;
use bulla_chain::{Authority, Break, Seal, ShownCheckpoint, TreeHead};
use bulla_log::{Expectation, Finding, Level, LogReader, LogReport, Progress, Verdict, verify_log_with};
use bulla_vfs::{Host, parallelism};
use bulla_wire::{Kind, Position};
use std::collections::BTreeSet;
use std::path::Path;
use trust::Claims;

/// What is verified, and how thoroughly.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// How thoroughly: every byte, unless set.
    pub level: Level,
    /// Which tables; all when empty. The journal always is.
    pub tables: Vec<String>,
    /// How many segments are checked at a time, each by a thread that ends before verification does: as many as the
    /// machine runs at once, unless set. The report is the same.
    pub workers: usize,
    /// Whose signatures are believed. Keys come from whoever verifies, never from the store.
    #[cfg(feature = "ed25519")]
    pub keys: Vec<VerifierKey>,
    /// Witnesses: a checkpoint that all of them cosigned counts as one held elsewhere.
    #[cfg(feature = "ed25519")]
    pub witnesses: Vec<VerifierKey>,
    /// Checkpoints kept elsewhere, each of which a log of the store must continue. Origins tell which log.
    pub held: Vec<ShownCheckpoint>,
    /// Checkpoints kept elsewhere that are trusted, one for a log: what lies below is not read, and listed as not checked.
    /// Logs without one are verified whole.
    pub since: Vec<ShownCheckpoint>,
    /// Where files and time come from.
    pub host: Host,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            level: Level::Full,
            tables: Vec::new(),
            workers: parallelism(),
            #[cfg(feature = "ed25519")]
            keys: Vec::new(),
            #[cfg(feature = "ed25519")]
            witnesses: Vec::new(),
            held: Vec::new(),
            since: Vec::new(),
            host: Host::os(),
        }
    }
}

/// Verifies the store in `dir`, without a lock and without changing anything, beside a live writer or not.
///
/// `progress` hears of every piece of work, counted over the whole store; the total is an estimate while a writer is at
/// work. Memory is bounded, whatever the store's size.
///
/// # Errors
///
/// Only when there is nothing to verify: [`Error::NoSuchStore`], [`Error::NotAStore`], [`Error::NoSuchTable`] for a table
/// in `options` that neither the journal nor the disk knows, or a directory that cannot be listed; and
/// [`Error::ForgedCheckpoint`] for a held checkpoint that cannot be what it says. Everything else is in the report.
///
/// # Examples
///
/// ```
/// use bulla::{Event, Host, Options, Verdict, VerifyOptions, verify};
/// let host = Host::memory();
/// let store = Options::new().host(host.clone()).open("/audit")?;
/// store.table::<Event>("trail")?.append(&Event::new("ana", "log in", "shop"))?;
/// store.close()?;
///
/// let report = verify("/audit", &VerifyOptions { host, ..VerifyOptions::default() }, &mut |_| {})?;
/// assert_eq!((report.verdict(), report.exit_code()), (Verdict::Intact, 0));
/// # Ok::<(), bulla::Error>(())
/// ```
pub fn verify(
    dir: impl AsRef<Path>,
    options: &VerifyOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<VerifyReport, Error> {
    trust::check_held(options)?;
    let start = options.host.clock.monotonic();
    let layout = Layout::new(dir.as_ref());
    let done = Progress { bytes_checked: 0, bytes_total: 0, records_checked: 0 };
    let mut verifier = Verifier { layout, options, progress, done, journal_heads: BTreeSet::new() };
    let logs = verifier.run()?;
    let elapsed = options.host.clock.monotonic().saturating_sub(start);
    Ok(VerifyReport { logs, elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) })
}

struct Verifier<'a> {
    layout: Layout,
    options: &'a VerifyOptions,
    progress: &'a mut dyn FnMut(Progress),
    /// What the logs verified so far add up to; the total is the whole store's.
    done: Progress,
    /// Y3. The journal heads that tables' seals carry, as (size, root).
    journal_heads: BTreeSet<(u64, [u8; 32])>,
}

/// The journal's content, and what is wrong with it.
struct JournalContent {
    state: JournalState,
    findings: Vec<Finding>,
}

impl Verifier<'_> {
    fn run(&mut self) -> Result<Vec<LogVerdict>, Error> {
        let host = &self.options.host;
        let mut journal = self.read_journal()?;
        let found = self.layout.log_dirs(host).unwrap_or_else(|error| {
            journal.findings.push(finding(&error));
            Vec::new()
        });
        for asked in &self.options.tables {
            if !journal.state.tables.contains_key(asked) && !found.iter().any(|found| &found.table == asked) {
                check_name(NameOf::Table, asked)?;
                return Err(Error::NoSuchTable { dir: self.layout.dir.clone(), table: asked.clone() });
            }
        }
        let tables: Vec<_> =
            journal.state.tables.values().filter(|table| self.is_asked(&table.name)).cloned().collect();
        self.done.bytes_total = self.bytes_of(&self.layout.journal());
        for table in &tables {
            self.done.bytes_total += self.bytes_of(&self.layout.log(&table.name, table.log));
        }
        let mut logs = Vec::new();
        for table in &tables {
            logs.push(self.verify_table(table, &journal.state));
        }
        for found in &found {
            if self.is_asked(&found.table) && !journal.state.names(found) {
                logs.extend(self.verify_unnamed(&mut journal, found));
            }
        }
        logs.sort_by(|left, right| left.log.cmp(&right.log));
        logs.insert(0, self.verify_journal(journal));
        Ok(logs)
    }

    fn is_asked(&self, table: &str) -> bool {
        self.options.tables.is_empty() || self.options.tables.iter().any(|asked| asked == table)
    }

    /// Reads the whole journal, state rows compared with what they follow (J4).
    fn read_journal(&self) -> Result<JournalContent, Error> {
        let (host, layout) = (&self.options.host, &self.layout);
        let mut content = JournalContent { state: JournalState::default(), findings: Vec::new() };
        match open_journal(host, layout) {
            Ok(journal) => {
                self.follow(&journal, &mut content);
                if !content.state.is_created() && content.findings.is_empty() {
                    content.add(unfinished(host, layout)?)?;
                }
            }
            Err(error) => content.add(error)?,
        }
        Ok(content)
    }

    fn follow(&self, journal: &LogReader, content: &mut JournalContent) {
        let JournalContent { state, findings } = content;
        let followed = journal.snapshot().map_err(Error::from).and_then(|snapshot| {
            state.follow(&self.layout.dir, &snapshot, &mut |problem| {
                findings.push(finding(&problem));
                Ok(())
            })
        });
        if let Err(error) = followed {
            findings.push(finding(&error));
            state.is_partial = true;
        }
    }

    fn verify_table(&mut self, table: &TableInfo, journal: &JournalState) -> LogVerdict {
        let dir = self.layout.log(&table.name, table.log);
        if let Some(missing) = self.missing(&dir) {
            let origin = Some(table.origin.clone());
            return LogVerdict { log: table.name.clone(), origin, findings: vec![missing], ..LogVerdict::default() };
        }
        // Origins begin with the store's name, which a journal that cannot be read whole may not say.
        let origin = journal.is_created().then(|| table.origin.clone());
        let claims = self.claims(&dir, origin.as_deref(), table.checkpointed);
        let expect = Expectation { id: Some(table.log), origin, ..Expectation::default() };
        self.collect_journal_heads(&dir, claims.since());
        let heads = table.head.into_iter();
        let (report, trust) = self.verify_claims(&dir, expect, heads, claims);
        let is_authorised = self.is_authorised(&dir, &report, journal);
        LogVerdict { trust, is_authorised, ..verdict(&table.name, report) }
    }

    /// Y2. A log the journal does not name: what a crash may leave is a remark, anything else is missing from the journal.
    fn verify_unnamed(&mut self, journal: &mut JournalContent, found: &LogDir) -> Option<LogVerdict> {
        let host = &self.options.host;
        let blank = is_blank(host, &found.dir);
        if blank.as_ref().is_ok_and(|&is_blank| !is_blank) {
            // Y4. It got its first record after the journal was read, and its name in the journal before that.
            if let Ok(reader) = open_journal(host, &self.layout) {
                self.follow(&reader, journal);
            }
            if journal.state.names(found) {
                let table = journal.state.tables.get(&found.table)?;
                return Some(self.verify_table(table, &journal.state));
            }
        }
        let place = found.dir.strip_prefix(&self.layout.dir).unwrap_or(&found.dir).display().to_string();
        if matches!(blank, Ok(true)) {
            let what =
                if found.is_ours { "what an interrupted creation left" } else { "no table's, and holds no record" };
            journal.findings.push(note(Verdict::Intact, format!("{place} is {what}")));
            return None;
        }
        let mut report = self.verify_log(&found.dir, &Expectation::default());
        if journal.state.is_partial {
            report
                .not_checked
                .push(String::from("whether the journal names this log, because it cannot be read whole"));
        } else {
            // A log that the journal knows, in a place that is not its own, was put there.
            let owner = journal.state.tables.values().find(|table| Some(table.log) == found.log);
            let odd = match owner {
                Some(owner) => note(Verdict::Tampered, format!("{place} is the log of table {}", owner.name)),
                None => note(Verdict::Missing, format!("the journal does not name {place}, which is not empty")),
            };
            report.findings.push(blank.map_or_else(|error| finding(&error), |_| odd));
        }
        Some(verdict(&found.table, report))
    }

    fn verify_journal(&mut self, journal: JournalContent) -> LogVerdict {
        let dir = self.layout.journal();
        if let Some(missing) = self.missing(&dir) {
            let findings = [vec![missing], journal.findings].concat();
            return LogVerdict { log: String::from("journal"), findings, ..LogVerdict::default() };
        }
        let origin = journal.state.is_created().then(|| journal_origin(&journal.state.name));
        let heads = std::mem::take(&mut self.journal_heads).into_iter();
        let heads = heads.map(|(size, root)| TreeHead { size, root: bulla_chain::Digest(root) });
        // Each key was followed by another right behind the head that the authority for it names.
        let heads = heads.chain(journal.state.key_changes.iter().map(|change| change.authority.head));
        let claims = self.claims(&dir, origin.as_deref(), None);
        let expect = Expectation { origin, ..Expectation::default() };
        let (mut report, mut trust) = self.verify_claims(&dir, expect, heads, claims);
        self.match_held(&journal.state, &mut report, &mut trust);
        let is_authorised = self.is_authorised(&dir, &report, &journal.state);
        // The log's own findings say more about the same bytes.
        let places: BTreeSet<_> = report.findings.iter().filter_map(|finding| finding.position).collect();
        let is_new = |finding: &Finding| finding.position.is_none_or(|position| !places.contains(&position));
        report.findings.extend(journal.findings.into_iter().filter(is_new));
        LogVerdict { trust, is_authorised, ..verdict("journal", report) }
    }

    /// Whether a key of the caller's signed for each break record that this log has, and nobody copied one from elsewhere.
    fn is_authorised(&self, dir: &Path, report: &LogReport, journal: &JournalState) -> bool {
        let repaired = report.findings.iter().filter(|finding| finding.verdict == Verdict::Repaired);
        let places: BTreeSet<_> = repaired.filter_map(|finding| finding.position).collect();
        // A report of very many receipts does not name each.
        if report.breaks == 0 || places.len() as u64 != report.breaks {
            return false;
        }
        let log = LogReader::open(&self.options.host, dir).and_then(|log| log.snapshot());
        let Ok(log) = log else { return false };
        places.into_iter().all(|position| {
            let payload = log.get(position, |record| record.payload().map(<[u8]>::to_vec));
            let Ok(Some(Some(payload))) = payload else { return false };
            let Ok(broken) = Break::decode(&payload) else { return false };
            let expected = Authority::over(log.log_id(), broken.head, Kind::BREAK, &payload);
            broken.log == log.log_id()
                && broken.head.size == position.0
                && journal
                    .allowed
                    .iter()
                    .any(|allowed| allowed.authority == expected && trust::is_by_a_key(self.options, &allowed.note))
        })
    }

    /// What is known of the log in `dir`, if it is known how it calls itself.
    fn claims(&self, dir: &Path, origin: Option<&str>, noted_size: Option<u64>) -> Claims {
        let Some(origin) = origin else { return Claims::default() };
        let mut claims = Claims::held(self.options, origin);
        claims.take_roots_on_trust(self.options.level == Level::Structure);
        claims.add_noted(self.options, dir, origin, noted_size);
        claims
    }

    /// Verifies a log, and holds claims and the heads that the rest of the store knows against it.
    fn verify_claims(
        &mut self,
        dir: &Path,
        mut expect: Expectation,
        heads: impl Iterator<Item = TreeHead>,
        claims: Claims,
    ) -> (LogReport, Trust) {
        expect.since = claims.since();
        expect.sizes = claims.sizes();
        // What lies below a trusted head is not looked at, heads there included.
        expect.heads = heads.filter(|head| expect.since.is_none_or(|since| head.size >= since.size)).collect();
        let mut report = self.verify_log(dir, &expect);
        // The genesis is not read where a trusted checkpoint stands for it, and that is of this origin.
        report.origin = report.origin.or_else(|| expect.since.and(expect.origin));
        let trust = claims.judge(&mut report);
        (report, trust)
    }

    /// Y2. A checkpoint that is held of a log that the store does not have is a log that is missing.
    fn match_held(&self, journal: &JournalState, report: &mut LogReport, trust: &mut Trust) {
        let own = journal_origin(&journal.name);
        let table_of = |origin: &str| journal.tables.values().find(|table| table.origin == origin);
        for origin in trust::held_origins(self.options).collect::<BTreeSet<_>>() {
            match table_of(origin) {
                _ if journal.is_created() && origin == own => {}
                Some(table) if journal.is_created() => {
                    if !self.is_asked(&table.name) {
                        report.not_checked.push(format!("the checkpoint of {origin}, which was not to be verified"));
                    }
                }
                _ if journal.is_partial || !journal.is_created() => {
                    trust.is_uncheckable = true;
                    report.not_checked.push(format!("the checkpoint of {origin}, because the journal cannot be read"));
                }
                _ => {
                    let what = format!("a checkpoint of {origin} is held, and the store has no such log");
                    report.findings.push(note(Verdict::Missing, what));
                }
            }
        }
    }

    fn verify_log(&mut self, dir: &Path, expect: &Expectation) -> LogReport {
        let (done, options, progress) = (self.done, self.options, &mut *self.progress);
        let mut add = |log: Progress| {
            progress(Progress {
                bytes_checked: done.bytes_checked + log.bytes_checked,
                bytes_total: done.bytes_total.max(done.bytes_checked + log.bytes_checked),
                records_checked: done.records_checked + log.records_checked,
            });
        };
        let report = verify_log_with(options.workers, &options.host, dir, options.level, expect, &mut add);
        self.done.bytes_checked += report.bytes_checked;
        self.done.records_checked += report.records_checked;
        report
    }

    /// Y3. Seals that cannot be read are the log's own findings, so they are passed over here.
    fn collect_journal_heads(&mut self, dir: &Path, since: Option<TreeHead>) {
        let from = Position(since.map_or(0, |head| head.size));
        let Ok(log) = LogReader::open(&self.options.host, dir).and_then(|log| log.snapshot()) else { return };
        for segment in log.segments().unwrap_or_default().iter().filter(|segment| segment.positions.start >= from) {
            let seal = log.get(segment.positions.start, |record| match record.kind {
                Kind::SEAL => record.payload().and_then(|payload| Seal::decode(payload).ok()),
                _ => None,
            });
            if let Ok(Some(Some(Seal { journal: Some(head), .. }))) = seal {
                self.journal_heads.insert((head.size, head.root.0));
            }
        }
    }

    /// A finding if there is no directory `dir`.
    fn missing(&self, dir: &Path) -> Option<Finding> {
        let is_there = self.options.host.fs.metadata(dir);
        let is_missing = is_there.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        let place = dir.strip_prefix(&self.layout.dir).unwrap_or(dir).display();
        is_missing.then(|| note(Verdict::Missing, format!("{place} is gone")))
    }

    /// Bytes of the files in `dir`, as far as they can be asked for.
    fn bytes_of(&self, dir: &Path) -> u64 {
        let fs = &self.options.host.fs;
        let entries = fs.list(dir).unwrap_or_default();
        entries.iter().filter_map(|entry| fs.metadata(&dir.join(&entry.name)).ok()).map(|found| found.len).sum()
    }
}

impl JournalContent {
    /// Takes a reason why the journal cannot be read as a finding, unless there is no store at all.
    fn add(&mut self, error: Error) -> Result<(), Error> {
        // Where the journal is gone altogether, so are the tables' names, and that is what each of them is told.
        self.state.is_partial = !error.is_missing();
        match error {
            Error::NoSuchStore { .. } | Error::NotAStore { .. } => Err(error),
            error => {
                self.findings.push(finding(&error));
                Ok(())
            }
        }
    }
}

pub(crate) fn verdict(log: &str, report: LogReport) -> LogVerdict {
    LogVerdict {
        log: log.to_owned(),
        origin: report.origin,
        floor: report.floor,
        size: report.head.map(|head| head.size),
        root: report.head.map(|head| head.root),
        gaps: report.gaps,
        segments: report.segments,
        records_checked: report.records_checked,
        bytes_checked: report.bytes_checked,
        findings: report.findings,
        not_checked: report.not_checked,
        is_authorised: false,
        trust: Trust::default(),
    }
}

fn note(verdict: Verdict, what: String) -> Finding {
    Finding { verdict, position: None, segment: None, offset: None, what }
}

/// What an error means for the store. The texts of its causes are part of it, since a report keeps no sources.
fn finding(error: &Error) -> Finding {
    let verdict = match error {
        Error::JournalContradiction { .. } => Verdict::Tampered,
        _ if error.is_missing() => Verdict::Missing,
        _ if error.is_newer() => Verdict::Newer,
        _ if error.is_damage() => Verdict::Damaged,
        _ => Verdict::Unreadable,
    };
    let mut what = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        what = format!("{what}: {error}");
        cause = error.source();
    }
    Finding { verdict, position: error.position(), segment: None, offset: error.offset(), what }
}
