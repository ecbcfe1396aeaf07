//! What is due to whom, one delivery at a time, and how far each sink is behind.

use super::state::{Failed, LogState, SinkState};
use super::{AnchorError, AnchorSink, Anchored, Receipt, Taken};
use crate::error::Error;
use crate::layout::{NameOf, check_name};
use crate::replace::replace;
use bulla_chain::{ConsistencyProof, NoteError, ShownCheckpoint, TreeHead};
use bulla_vfs::Host;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long after the first failure a sink is tried again (A3).
pub const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// The longest a failing sink is left alone (A3).
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// A log whose checkpoints are handed over: what the outbox asks of the store.
pub trait AnchoredLog {
    /// What the log calls itself.
    fn origin(&self) -> &str;

    /// The head in the newest checkpoint that was noted. Asked often, so it reads no file.
    fn noted_head(&self) -> Option<TreeHead>;

    /// The checkpoints in its `checkpoints`, the oldest first.
    fn noted(&mut self) -> Result<Vec<ShownCheckpoint>, Error>;

    /// That the log of `new` records continues that of `old`.
    fn prove(&mut self, old: u64, new: u64) -> Result<ConsistencyProof, Error>;

    /// Appends a copy of a noted checkpoint with more signatures to its `checkpoints`, durable when this returns.
    fn note(&mut self, shown: &ShownCheckpoint) -> Result<(), Error>;
}

/// How far a sink is with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields say their names")]
pub struct AnchorLag {
    pub sink: String,
    pub origin: String,
    /// The size of the newest checkpoint it took.
    pub confirmed: Option<u64>,
    /// The size of the newest checkpoint there is.
    pub noted: Option<u64>,
    /// What the last attempt met, if it failed.
    pub error: Option<String>,
    /// Attempts without success since the last one with it.
    pub attempts: u64,
    /// When the first of them was, in nanoseconds since the Unix epoch.
    pub since: Option<i64>,
}

impl AnchorLag {
    /// Whether something that was noted has not been taken.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.confirmed != self.noted || self.error.is_some()
    }
}

/// The outbox: sinks, and what each has taken of each log.
pub struct Anchors {
    host: Host,
    dir: PathBuf,
    slots: Vec<Slot>,
    /// Whose turn it is, among sinks times logs, so that one that fails does not keep the others from theirs.
    turn: usize,
}

struct Slot {
    sink: Box<dyn AnchorSink>,
    name: String,
    state: SinkState,
    /// When a log that failed is tried again, on the monotonic clock, and how long it was left alone.
    later: BTreeMap<String, (Duration, Duration)>,
    /// The head at which a log turned out to have nothing new.
    idle: BTreeMap<String, TreeHead>,
}

impl Anchors {
    /// An outbox without sinks, which keeps its state below `dir`: `anchors` in a store.
    #[must_use]
    pub fn new(host: &Host, dir: &Path) -> Self {
        Self { host: host.clone(), dir: dir.to_owned(), slots: Vec::new(), turn: 0 }
    }

    /// Adds a sink, and reads what it has taken so far. One of the same name is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`], and [`Error::Io`] when its state cannot be read. A damaged state is no error: everything is
    /// handed over again.
    pub fn add(&mut self, sink: Box<dyn AnchorSink>) -> Result<(), Error> {
        let name = sink.name().to_owned();
        check_name(NameOf::Anchor, &name)?;
        let (state, _) = SinkState::read(&self.host, &self.dir.join(&name))?;
        self.remove(&name);
        self.slots.push(Slot { sink, name, state, later: BTreeMap::new(), idle: BTreeMap::new() });
        Ok(())
    }

    /// Hands nothing more to the sink of this name. What it has taken stays known.
    pub fn remove(&mut self, name: &str) {
        self.slots.retain(|slot| slot.name != name);
    }

    /// Whether there is nobody to hand anything to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Hands over one checkpoint, if one is due to a sink that need not be left alone; whether more is.
    ///
    /// # Errors
    ///
    /// Only when the outcome could not be kept in `anchors`. What went wrong with the sink or the log is kept there, and in
    /// [`lag`](Self::lag).
    pub fn step(&mut self, logs: &mut [&mut dyn AnchoredLog]) -> Result<bool, Error> {
        let (count, first) = (self.slots.len() * logs.len(), self.turn);
        let now = self.host.clock.monotonic();
        let mut is_tried = false;
        for step in 0..count {
            let turn = (first + step) % count;
            let (slot, log) = (turn / logs.len(), turn % logs.len());
            let (Some(slot), Some(log)) = (self.slots.get_mut(slot), logs.get_mut(log)) else { continue };
            if !slot.is_due(&**log) || slot.is_waiting(log.origin(), now) {
                continue;
            }
            if is_tried {
                return Ok(true);
            }
            slot.attempt(&self.host, &self.dir, &mut **log)?;
            (self.turn, is_tried) = ((turn + 1) % count, true);
            // The same one may have more, if its sink answered for an earlier checkpoint.
            if slot.is_due(&**log) && !slot.later.contains_key(log.origin()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tries everything that is due once; what failed and is being left alone only if `even_waiting`.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub fn try_all(&mut self, logs: &mut [&mut dyn AnchoredLog], even_waiting: bool) -> Result<(), Error> {
        let now = self.host.clock.monotonic();
        for slot in &mut self.slots {
            for log in &mut *logs {
                if !even_waiting && slot.is_waiting(log.origin(), now) {
                    continue;
                }
                // A sink that answers for an earlier checkpoint moves on with each round.
                let mut before = None;
                while slot.is_due(&**log) && before != Some(slot.taken(log.origin())) {
                    before = Some(slot.taken(log.origin()));
                    slot.attempt(&self.host, &self.dir, &mut **log)?;
                }
            }
        }
        Ok(())
    }

    /// How far each sink is with each of `logs`.
    #[must_use]
    pub fn lag(&self, logs: &[&dyn AnchoredLog]) -> Vec<AnchorLag> {
        let of_sink = |slot: &Slot| -> Vec<_> {
            logs.iter().map(|log| lag_of(&slot.name, log.origin(), log.noted_head(), &slot.state)).collect()
        };
        self.slots.iter().flat_map(of_sink).collect()
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.slots.iter().map(|slot| &slot.name);
        f.debug_struct("Anchors")
            .field("dir", &self.dir)
            .field("sinks", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Slot {
    fn taken(&self, origin: &str) -> Option<TreeHead> {
        self.state.logs.get(origin)?.taken
    }

    /// Whether it failed, and is left alone (A3).
    fn is_waiting(&self, origin: &str, now: Duration) -> bool {
        self.later.get(origin).is_some_and(|(when, _)| *when > now)
    }

    fn is_due(&self, log: &dyn AnchoredLog) -> bool {
        let of_log = self.state.logs.get(log.origin());
        let is_settled = |head| of_log.is_some_and(|state| state.taken == Some(head) && state.failed.is_none());
        log.noted_head().is_some_and(|head| !is_settled(head) && self.idle.get(log.origin()) != Some(&head))
    }

    /// A1 and A3. One attempt, its outcome kept.
    fn attempt(&mut self, host: &Host, dir: &Path, log: &mut dyn AnchoredLog) -> Result<(), Error> {
        let dir = dir.join(&self.name);
        let (origin, head) = (log.origin().to_owned(), log.noted_head());
        let confirmed = self.taken(&origin);
        let outcome = self.deliver(host, &dir, log, confirmed);
        let mut of_log = self.state.logs.get(&origin).cloned().unwrap_or_default();
        match outcome {
            Ok(None) => {
                self.idle.extend(head.map(|head| (origin.clone(), head)));
                if of_log.failed.take().is_none() {
                    return Ok(());
                }
            }
            Ok(Some(head)) => {
                tracing::info!(anchor = self.name, origin, %head, "checkpoint taken");
                of_log = LogState { taken: Some(head), failed: None };
            }
            Err(error) => {
                let what = Failed::line(&chain(&error));
                tracing::warn!(anchor = self.name, origin, what, "checkpoint not taken");
                let before = of_log.failed.take();
                let attempts = before.as_ref().map_or(0, |failed| failed.attempts).saturating_add(1);
                let since = before.map_or_else(|| host.clock.now(), |failed| failed.since);
                of_log.failed = Some(Failed { attempts, since, what });
                let waited = self.later.get(&origin).map(|(_, waited)| *waited);
                let wait = match waited {
                    _ if error.needs_a_person() => RETRY_AFTER_MAX,
                    Some(waited) => waited.saturating_mul(2).min(RETRY_AFTER_MAX),
                    None => RETRY_AFTER_MIN,
                };
                self.later.insert(origin.clone(), (host.clock.monotonic().saturating_add(wait), wait));
            }
        }
        let is_taken = of_log.failed.is_none();
        let mut state = self.state.clone();
        state.logs.insert(origin.clone(), of_log);
        let kept = if is_taken { state.write(host, &dir) } else { self.keep_failure(&state, host, &dir) };
        if let Err(error) = kept {
            // What cannot be kept is not believed, or a crash now would know less than we do; and it waits like a failure.
            self.later
                .entry(origin)
                .or_insert((host.clock.monotonic().saturating_add(RETRY_AFTER_MIN), RETRY_AFTER_MIN));
            return Err(error);
        }
        if is_taken {
            self.later.remove(&origin);
        }
        self.state = state;
        Ok(())
    }

    /// A failure is known in memory though the disk does not take it.
    fn keep_failure(&mut self, state: &SinkState, host: &Host, dir: &Path) -> Result<(), Error> {
        self.state = state.clone();
        state.write(host, dir)
    }

    /// `None` when everything noted was taken.
    fn deliver(
        &mut self,
        host: &Host,
        dir: &Path,
        log: &mut dyn AnchoredLog,
        confirmed: Option<TreeHead>,
    ) -> Result<Option<TreeHead>, AnchorError> {
        let mut noted = log.noted().map_err(store_failed)?;
        noted.retain(|shown| shown.checkpoint().origin() == log.origin());
        // Of several with one size the last has the most signatures.
        let Some(shown) = noted.iter().max_by_key(|shown| shown.head().size) else { return Ok(None) };
        match confirmed {
            Some(taken) if taken == shown.head() => return Ok(None),
            // A4.
            Some(taken) if taken.size >= shown.head().size => {
                return Err(AnchorError::Behind { taken, noted: shown.head() });
            }
            _ => {}
        }
        let mut anchored = Anchored { log, noted: &noted, shown, confirmed };
        let Taken { shown: taken, receipt } = self.sink.deliver(&mut anchored)?;
        let is_newer = confirmed.is_none_or(|confirmed| confirmed.size < taken.head().size);
        // A4.
        if !is_newer || !noted.iter().any(|noted| noted.checkpoint() == taken.checkpoint()) {
            return Err(AnchorError::BadReceipt { what: format!("it is for {}, which was not asked", taken.head()) });
        }
        keep_receipt(host, dir, log, &taken, receipt)?;
        Ok(Some(taken.head()))
    }
}

fn store_failed(error: Error) -> AnchorError {
    AnchorError::Store(Box::new(error))
}

/// A1: durable before the checkpoint counts as taken.
fn keep_receipt(
    host: &Host,
    dir: &Path,
    log: &mut dyn AnchoredLog,
    taken: &ShownCheckpoint,
    receipt: Receipt,
) -> Result<(), AnchorError> {
    match receipt {
        Receipt::None => Ok(()),
        Receipt::Cosigned(signatures) => {
            let bad = |error: NoteError| AnchorError::BadReceipt { what: error.to_string() };
            let unsigned =
                || AnchorError::BadReceipt { what: "a checkpoint that nobody signed has no room".to_owned() };
            let mut note = taken.note().ok_or_else(unsigned)?.clone();
            for signature in signatures {
                note.push(signature).map_err(bad)?;
            }
            let cosigned =
                ShownCheckpoint::signed(note).map_err(|error| AnchorError::BadReceipt { what: error.to_string() })?;
            log.note(&cosigned).map_err(store_failed)
        }
        Receipt::Token(bytes) => {
            let name = format!("{}.tsr", super::folder::base_name(taken));
            crate::layout::create_dirs(host, dir)
                .and_then(|()| replace(host, &dir.join(&name), &dir.join("receipt.tmp"), &bytes))
                .map_err(store_failed)
        }
    }
}

fn lag_of(sink: &str, origin: &str, noted: Option<TreeHead>, state: &SinkState) -> AnchorLag {
    let of_log = state.logs.get(origin);
    let failed = of_log.and_then(|log| log.failed.as_ref());
    AnchorLag {
        sink: sink.to_owned(),
        origin: origin.to_owned(),
        confirmed: of_log.and_then(|log| log.taken).map(|head| head.size),
        noted: noted.map(|head| head.size),
        error: failed.map(|failed| failed.what.clone()),
        attempts: failed.map_or(0, |failed| failed.attempts),
        since: failed.map(|failed| failed.since),
    }
}

/// How far each sink that ever had something to say is with each of `logs`, origin and head of the newest checkpoint;
/// read from `anchors` beside a live writer, changing nothing.
pub(crate) fn lags(host: &Host, dir: &Path, logs: &[(String, Option<TreeHead>)]) -> Result<Vec<AnchorLag>, Error> {
    let entries = match host.fs.list(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(crate::error::io("list", dir)(error)),
    };
    let names = entries.into_iter().filter(|entry| entry.is_dir).filter_map(|entry| entry.name.into_string().ok());
    let mut sinks: Vec<_> = names.filter(|name| check_name(NameOf::Anchor, name).is_ok()).collect();
    sinks.sort_unstable();
    let mut found = Vec::new();
    for name in sinks {
        let (state, is_whole) = SinkState::read(host, &dir.join(&name))?;
        for (origin, noted) in logs {
            let mut lag = lag_of(&name, origin, *noted, &state);
            if !is_whole {
                lag.error = Some("its state is damaged: everything will be handed over again".to_owned());
            }
            found.push(lag);
        }
    }
    Ok(found)
}

/// An error and its causes in one line.
fn chain(error: &AnchorError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !line.ends_with(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        cause = error.source();
    }
    line
}
