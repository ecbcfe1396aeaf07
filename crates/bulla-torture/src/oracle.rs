//! What was submitted, what was promised of it, and whether what is found agrees.
//!
//! # Invariants
//!
//! The names are those of the reliability notes behind docs/DURABILITY.md.
//!
//! - I1. What is found is a prefix of what was submitted, in order, nothing invented.
//! - I2. It holds everything that was acknowledged.
//! - I3. A batch is in it whole or not at all.
//! - I4. Positions are dense, and those that were told are kept.

use bulla_log::{Durability, Item, LogError, Query, Snapshot};
use bulla_wire::{Kind, Position};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

/// A record that was handed to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its payload.
    pub payload: Arc<[u8]>,
    /// Which call it came with: records of one call come whole or not at all.
    pub call: u64,
    /// Where it went, once that was told.
    pub position: Option<u64>,
}

/// What is known of one log from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Everything submitted and not refused, in order.
    pub sent: Vec<Sent>,
    /// So many of them were acknowledged as durable.
    pub durable: usize,
    /// So many were acknowledged as flushed, or more.
    pub flushed: usize,
    /// Whether the log's creation was acknowledged.
    pub is_created: bool,
    /// Whether it was closed cleanly, and nothing was written since.
    pub is_closed: bool,
}

impl Told {
    /// A call is about to submit these.
    pub fn submit(&mut self, call: u64, payloads: &[Arc<[u8]>]) {
        self.sent.extend(payloads.iter().map(|payload| Sent { payload: Arc::clone(payload), call, position: None }));
    }

    /// The call's records have these positions.
    pub fn placed(&mut self, call: u64, positions: &Range<Position>) {
        let records = self.sent.iter_mut().filter(|sent| sent.call == call);
        for (sent, position) in records.zip(positions.start.0..) {
            sent.position = Some(position);
        }
    }

    /// Everything submitted so far is as durable as this.
    pub fn reached(&mut self, durability: Durability) {
        let count = self.sent.len();
        match durability {
            Durability::Durable => (self.durable, self.flushed) = (count, count),
            Durability::Flushed => self.flushed = count,
            Durability::Buffered => {}
        }
    }

    /// The call was refused: its records are nowhere.
    pub fn refused(&mut self, call: u64) {
        self.sent.retain(|sent| sent.call != call);
    }

    /// What was found when the log was opened again: that is what there is from now on, and it is durable.
    pub fn settle(&mut self, found: &[Found]) {
        self.sent.truncate(found.len());
        for (sent, found) in self.sent.iter_mut().zip(found) {
            sent.position = Some(found.position);
        }
        (self.durable, self.flushed) = (found.len(), found.len());
        self.is_created = true;
    }

    /// As [`check`](Self::check) where the disk lies: what is missing of the acknowledged must lie at or above `proof`, the
    /// highest durable end that anything on the disk still claims.
    ///
    /// # Errors
    ///
    /// What disagrees, for people.
    pub fn check_against(&self, found: &[Found], proof: Position) -> Result<(), String> {
        self.check(found, 0)?;
        match self.sent.get(found.len()).and_then(|sent| sent.position) {
            Some(missing) if found.len() < self.durable && missing < proof.0 => {
                Err(format!("I2: position {missing} is gone in silence, below {proof}, which the disk still proves"))
            }
            _ => Ok(()),
        }
    }

    /// Holds what was found against what was told; `least` of the records must be there.
    ///
    /// # Errors
    ///
    /// What disagrees, for people.
    pub fn check(&self, found: &[Found], least: usize) -> Result<(), String> {
        if found.len() < least {
            return Err(format!("I2: {} records found, {least} were acknowledged", found.len()));
        }
        if found.len() > self.sent.len() {
            return Err(format!("I1: {} records found, {} were submitted", found.len(), self.sent.len()));
        }
        for (index, (found, sent)) in found.iter().zip(&self.sent).enumerate() {
            if found.payload != sent.payload {
                return Err(format!("I1: record {index} is not the one submitted: {}", excerpt(&found.payload)));
            }
            if sent.position.is_some_and(|position| position != found.position) {
                return Err(format!("I4: record {index} was told {:?} and is at {}", sent.position, found.position));
            }
        }
        let border = found.len();
        if border > 0 && border < self.sent.len() && self.sent[border - 1].call == self.sent[border].call {
            return Err(format!("I3: the batch of record {border} is there in part"));
        }
        Ok(())
    }
}

/// A record of the caller's that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub position: u64,
    /// What it holds.
    pub payload: Arc<[u8]>,
}

/// Reads everything in a snapshot: the caller's records, once their positions and the engine's add up.
///
/// # Errors
///
/// What the log says, or which position is passed over in silence (I4).
pub fn read(snapshot: &Snapshot) -> Result<Vec<Found>, ReadError> {
    let mut cursor = snapshot.cursor(&Query { engine: true, ..Query::new() });
    let mut found = Vec::new();
    let mut expected = snapshot.floor().0;
    while let Some(item) = cursor.next() {
        let Item::Record(record) = item.map_err(ReadError::Log)? else {
            return Err(ReadError::Silent("a gap came although none was asked for".to_owned()));
        };
        if record.position.0 != expected {
            return Err(ReadError::Silent(format!("position {expected} is followed by {}", record.position)));
        }
        if expected == 0 && record.kind != Kind::GENESIS {
            return Err(ReadError::Silent("the log does not begin with its genesis".to_owned()));
        }
        expected += 1;
        if !record.kind.is_engine() {
            let payload = record.payload().unwrap_or_default().into();
            found.push(Found { position: record.position.0, payload });
        }
    }
    if expected != snapshot.end().0 {
        return Err(ReadError::Silent(format!("the records end at {expected}, the snapshot at {}", snapshot.end())));
    }
    Ok(found)
}

/// Why not everything could be read.
#[derive(Debug)]
pub enum ReadError {
    /// The log says so.
    Log(LogError),
    /// It does not.
    Silent(String),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(error) => write!(f, "{error}: {error:?}"),
            Self::Silent(what) => write!(f, "I4: {what}"),
        }
    }
}

fn excerpt(bytes: &[u8]) -> String {
    let mut text = format!("{} bytes", bytes.len());
    for byte in bytes.iter().take(24) {
        write!(text, " {byte:02x}").expect("BUG: a string did not grow");
    }
    text
}
