//! The outbox of a store: its logs as what is handed over.

use super::{AnchorLag, AnchoredLog, Anchors, lags};
use crate::checkpoints;
use crate::error::Error;
use crate::journal::TableInfo;
use crate::layout::{Layout, journal_origin};
use bulla_chain::{Checkpoint, ConsistencyProof, ShownCheckpoint, TreeHead};
use bulla_log::{Log, LogReader};
use bulla_vfs::Host;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// How much is handed over at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// One checkpoint.
    Step,
    /// All that is due, but for what failed and is left alone.
    Due,
    /// All that is due.
    All,
}

/// Appends to a log's `checkpoints`, in the log's directory, while nobody else does.
pub(crate) type Note<'a> = dyn Fn(&Path, &ShownCheckpoint) -> Result<(), Error> + 'a;

/// A log of the store: its origin, its directory, and the log itself where it is open.
pub(crate) type Place = (String, PathBuf, Option<Log>);

/// Anchors, and what is known of each log's `checkpoints`, so that a file is read only once it has changed.
#[derive(Debug)]
pub(crate) struct StoreAnchors {
    pub(crate) anchors: Anchors,
    heads: BTreeMap<PathBuf, (u64, Option<TreeHead>)>,
}

struct StoreLog<'a> {
    host: &'a Host,
    note: &'a Note<'a>,
    place: Place,
    noted: Option<TreeHead>,
}

/// What there is to hand over: the journal, and every table.
pub(crate) fn places(
    layout: &Layout,
    store: &str,
    journal: Option<&Log>,
    tables: impl IntoIterator<Item = (TableInfo, Option<Log>)>,
) -> Vec<Place> {
    let tables = tables.into_iter().map(|(table, log)| (table.origin, layout.log(&table.name, table.log), log));
    std::iter::once((journal_origin(store), layout.journal(), journal.cloned())).chain(tables).collect()
}

impl StoreAnchors {
    pub(crate) fn new(host: &Host, layout: &Layout) -> Self {
        Self { anchors: Anchors::new(host, &layout.anchors()), heads: BTreeMap::new() }
    }

    /// Hands over; with [`Extent::Step`] whether more is due now.
    pub(crate) fn run(
        &mut self,
        host: &Host,
        places: Vec<Place>,
        note: &Note<'_>,
        extent: Extent,
    ) -> Result<bool, Error> {
        let mut logs = self.logs(host, places, note)?;
        let mut logs: Vec<_> = logs.iter_mut().map(|log| log as &mut dyn AnchoredLog).collect();
        match extent {
            Extent::Step => self.anchors.step(&mut logs),
            Extent::Due => self.anchors.try_all(&mut logs, false).map(|()| false),
            Extent::All => self.anchors.try_all(&mut logs, true).map(|()| false),
        }
    }

    pub(crate) fn lag(&mut self, host: &Host, places: Vec<Place>) -> Result<Vec<AnchorLag>, Error> {
        let nobody = |_: &Path, _: &ShownCheckpoint| Ok(());
        let logs = self.logs(host, places, &nobody)?;
        Ok(self.anchors.lag(&logs.iter().map(|log| log as &dyn AnchoredLog).collect::<Vec<_>>()))
    }

    fn logs<'a>(&mut self, host: &'a Host, places: Vec<Place>, note: &'a Note<'a>) -> Result<Vec<StoreLog<'a>>, Error> {
        let mut logs = Vec::with_capacity(places.len());
        for place in places {
            let noted = self.noted_head(host, &place.0, &place.1)?;
            logs.push(StoreLog { host, note, place, noted });
        }
        Ok(logs)
    }

    fn noted_head(&mut self, host: &Host, origin: &str, dir: &Path) -> Result<Option<TreeHead>, Error> {
        let path = checkpoints::path(dir);
        let len = match host.fs.metadata(&path) {
            Ok(found) => found.len,
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(crate::error::io("look for", &path)(error)),
        };
        match self.heads.get(&path) {
            Some((known, head)) if *known == len => Ok(*head),
            _ => {
                let head = newest_head(host, origin, dir)?;
                self.heads.insert(path, (len, head));
                Ok(head)
            }
        }
    }
}

fn newest_head(host: &Host, origin: &str, dir: &Path) -> Result<Option<TreeHead>, Error> {
    let entries = checkpoints::read(host, dir)?.map(|notes| notes.entries).unwrap_or_default();
    let of_log = entries.iter().map(|noted| noted.shown.checkpoint()).filter(|noted| noted.origin() == origin);
    Ok(of_log.map(Checkpoint::head).max_by_key(|head| head.size))
}

/// How far each anchor is, as whoever only reads sees it.
pub(crate) fn read_lag(host: &Host, layout: &Layout, places: Vec<Place>) -> Result<Vec<AnchorLag>, Error> {
    let mut logs = Vec::new();
    for (origin, dir, _) in places {
        let head = newest_head(host, &origin, &dir)?;
        logs.push((origin, head));
    }
    lags(host, &layout.anchors(), &logs)
}

impl AnchoredLog for StoreLog<'_> {
    fn origin(&self) -> &str {
        &self.place.0
    }

    fn noted_head(&self) -> Option<TreeHead> {
        self.noted
    }

    fn noted(&mut self) -> Result<Vec<ShownCheckpoint>, Error> {
        let notes = checkpoints::read(self.host, &self.place.1)?.unwrap_or_default();
        Ok(notes.entries.into_iter().map(|noted| noted.shown).collect())
    }

    fn prove(&mut self, old: u64, new: u64) -> Result<ConsistencyProof, Error> {
        // A log that was closed meanwhile is read like one that never was open.
        if let Some(Ok(mut prover)) = self.place.2.as_ref().map(Log::prover) {
            return Ok(prover.consistency(old, new)?);
        }
        let mut prover = LogReader::open(self.host, &self.place.1)?.snapshot()?.prover()?;
        Ok(prover.consistency(old, new)?)
    }

    fn note(&mut self, shown: &ShownCheckpoint) -> Result<(), Error> {
        (self.note)(&self.place.1, shown)
    }
}
