//! Creating and opening a log for writing: what recovery found becomes a writer.
//!
//! # Invariants
//!
//! - O1. A log begins with its genesis record; a creation that was interrupted before it is gone on with, never opened.
//! - O2. After a clean close opening writes nothing.
//! - O3. What recovery owes the log is durable before the log is handed out.

use crate::error::{LogError, io};
use crate::log::{Inner, Log, Tree};
use crate::options::LogOptions;
use crate::publish::Published;
use crate::recovery::{self, RecoveryReport, TailKind};
use crate::rotate::seal_of;
use crate::tree::Hasher;
use crate::view::Shared;
use crate::writer::Writer;
use bulla_chain::{Frontier, Genesis, Predecessor, Recovery};
use bulla_segment::{Active, SegmentFile};
use bulla_vfs::Host;
use bulla_vfs::sync::{Condvar, Mutex};
use bulla_wire::{Epoch, Kind, LogId, Position, SegmentHeader, SegmentNumber};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

impl Log {
    /// Creates a log in `dir`, with a genesis record. `dir` is created too, if need be; its parent must exist.
    ///
    /// # Durability
    ///
    /// The log, its names included, survives power loss when this returns; the name of `dir` itself does once the caller
    /// has synced the directory it is in.
    ///
    /// # Errors
    ///
    /// [`LogError::Mismatch`] if `dir` holds a log already, [`LogError::TooLarge`] for the origin or the reason, and I/O failures.
    pub fn create(host: &Host, dir: &Path, id: LogId, options: &LogOptions) -> Result<Self, LogError> {
        let reason = options.predecessor.as_ref().map_or("", |predecessor| &predecessor.reason);
        for (what, text, max) in [
            ("origin in bytes", options.origin.as_str(), Genesis::ORIGIN_BYTES_MAX),
            ("reason in bytes", reason, Predecessor::REASON_BYTES_MAX),
        ] {
            if text.len() > usize::from(max) {
                return Err(LogError::TooLarge { what, len: text.len() as u64, max: u64::from(max) });
            }
        }
        match host.fs.create_dir(dir) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io("create", dir)(error)),
            Ok(()) | Err(_) => {}
        }
        let owed = match recovery::open(host, dir, options) {
            Err(LogError::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(error),
            // A creation that was interrupted before its genesis is gone on with.
            Ok(opened) if opened.end == Position::ZERO => opened.owed,
            Ok(_) => {
                return Err(LogError::Mismatch { dir: dir.to_owned(), what: "it exists already".to_owned() });
            }
        };
        let mut secret = [0; 16];
        host.random.fill(&mut secret).map_err(io("draw a secret for", dir))?;
        let header = SegmentHeader {
            log: id,
            secret,
            number: SegmentNumber(0),
            base: Position::ZERO,
            floor: Position::ZERO,
            prune: None,
            epoch: Epoch(1),
            erasable: options.erasable,
            root: Frontier::new().root().0,
            frontier: Vec::new(),
        };
        let file =
            SegmentFile::create(host, dir, header.clone()).map_err(|error| LogError::from(error).or_no_space(dir))?;
        let writer = Writer::new(Some(Active::empty(file)), header, Arc::default(), Epoch(1), Position::ZERO);
        let log = Self::start(host, dir, options, writer, Frontier::new(), RecoveryReport::default());
        let genesis = Genesis {
            log: id,
            origin: options.origin.clone(),
            suite: Genesis::SUITE_SHA256,
            erasable: options.erasable,
            predecessor: options.predecessor.clone(),
        };
        log.append_engine((Kind::GENESIS, genesis.encode()), &owed)?;
        Ok(log)
    }

    /// Opens the log in `dir` for writing, and recovers what a crash left: docs/DURABILITY.md has every case.
    ///
    /// # Durability
    ///
    /// What recovery did is durable when this returns. After a clean close nothing is written.
    ///
    /// # Errors
    ///
    /// [`LogError::NotFound`]; [`LogError::Damaged`] or [`LogError::Missing`] if positions that were proven durable are
    /// gone, in which case nothing was changed; a newer format; I/O failures.
    pub fn open(host: &Host, dir: &Path, options: &LogOptions) -> Result<Self, LogError> {
        let opened = recovery::open(host, dir, options)?;
        if opened.end == Position::ZERO {
            // Creation was interrupted between the segment and its genesis record: there is no log yet.
            return Err(LogError::NotFound { dir: dir.to_owned() });
        }
        let epoch = opened.epoch.0.checked_add(1).map(Epoch);
        let epoch = epoch.ok_or_else(|| LogError::Exhausted { dir: dir.to_owned(), what: "epoch" })?;
        let sealed_end = opened.active.as_ref().map_or(opened.end, |active| active.file.header().base);
        let sealed = opened.inventory.sealed(sealed_end);
        let mut writer = Writer::new(opened.active, opened.header, sealed, epoch, opened.end);
        writer.cut_before_write = opened.cut_before_write;
        writer.ends_with_summary = opened.report.tail == TailKind::Clean;
        let is_empty = writer.active.as_ref().is_none_or(|active| active.file.header().base == opened.end);
        if let Some(summary) = opened.predecessor.filter(|_| is_empty) {
            writer.seal_due = Some(seal_of(&summary.footer));
        }
        // What a crash interrupted is hashed again, and its nodes written with the next footer or close frame.
        let spine_end = if writer.ends_with_summary { opened.end } else { sealed_end };
        let log = Self::start(host, dir, options, writer, opened.frontier, opened.report);
        log.inner.look_at_spine(spine_end);
        if !opened.owed.is_empty() {
            let seal = log.inner.lock().seal_due.take();
            log.append_engine(seal.map(|seal| log.inner.seal_record(&seal)), &opened.owed)?;
        }
        Ok(log)
    }

    fn start(
        host: &Host,
        dir: &Path,
        options: &LogOptions,
        writer: Writer,
        frontier: Frontier,
        report: RecoveryReport,
    ) -> Self {
        let shared = Shared::new(host.clone(), dir.to_owned(), writer.header.log);
        let view = writer.view(&shared);
        let inner = Inner {
            shared,
            options: options.clone(),
            erasable: writer.header.erasable,
            writer: Mutex::new(writer),
            changed: Condvar::new(),
            tree: Mutex::new(Tree { hasher: Hasher::new(frontier.clone()), durable: frontier }),
            published: Published::new(view),
            spine: Mutex::new(None),
            report,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Appends what comes first in a segment, if anything, and the records of recoveries, durably and in one piece: a
    /// record whose quarantine file lies at the position before it would not be missed.
    fn append_engine(
        &self,
        first: impl Into<Option<(Kind, Vec<u8>)>>,
        recoveries: &[Recovery],
    ) -> Result<(), LogError> {
        let recoveries = recoveries.iter().map(|recovery| (Kind::RECOVERY, recovery.encode()));
        let records: Vec<_> = first.into().into_iter().chain(recoveries).collect();
        self.inner.push_engine(&mut self.inner.lock(), &records);
        self.inner.options.with_room(|| self.sync())
    }
}
