//! What one record may be in this version, whatever surrounds it.

use crate::report::Verdict;
use bulla_chain::{Break, EngineRecordError, Genesis, Recovery, Seal};
use bulla_wire::{Content, Kind, Record};

/// A record of the engine that this version reads.
#[derive(Debug)]
pub(super) enum Engine {
    Genesis(Genesis),
    Seal(Box<Seal>),
    Break(Box<Break>),
    /// One that nothing else depends on, or a record of the caller's.
    Other,
}

/// What the record's own fields say that they must not, in a log created `erasable` or not.
pub(super) fn check(record: &Record<'_>, erasable: bool) -> impl Iterator<Item = (Verdict, &'static str)> {
    let is_redacted = matches!(record.content, Content::Redacted { .. });
    // The engine's records hold no personal data, so they carry no salt in any log.
    let is_salted_wrongly = record.salted != (erasable && !record.kind.is_engine());
    let table = [
        (is_redacted, "payload missing without a redaction record"),
        (is_salted_wrongly, "salted where the log's records are plain, or plain where they are salted"),
    ];
    table.into_iter().filter(|(holds, _)| *holds).map(|(_, what)| (Verdict::Tampered, what))
}

/// Decodes an engine record, or says what is wrong with it.
pub(super) fn read_engine(record: &Record<'_>) -> Result<Engine, (Verdict, String)> {
    let Some(payload) = record.payload() else { return Ok(Engine::Other) };
    let judge = |error: EngineRecordError| {
        let verdict = if error.is_newer() { Verdict::Newer } else { Verdict::Tampered };
        (verdict, format!("engine record of kind {}: {error}", record.kind.0))
    };
    match record.kind {
        Kind::GENESIS => Genesis::decode(payload).map(Engine::Genesis).map_err(judge),
        Kind::SEAL => Seal::decode(payload).map(|seal| Engine::Seal(Box::new(seal))).map_err(judge),
        Kind::RECOVERY => Recovery::decode(payload).map(|_| Engine::Other).map_err(judge),
        Kind::BREAK => Break::decode(payload).map(|broken| Engine::Break(Box::new(broken))).map_err(judge),
        kind if kind.is_engine() => {
            Err((Verdict::Newer, format!("engine record of kind {}, which this version does not read", kind.0)))
        }
        _ => Ok(Engine::Other),
    }
}

/// What a break record says, for people.
pub(super) fn describe_break(broken: &Break, is_own: bool) -> String {
    let Break { source, lost, is_open, cause, who, .. } = broken;
    let lost = if lost.is_empty() && !is_open {
        "was damaged and lost no position".to_owned()
    } else {
        let more = if *is_open { " and perhaps more" } else { "" };
        format!("lost positions {}..{}{more}", lost.start, lost.end)
    };
    let who = if who.is_empty() { "somebody unnamed".to_owned() } else { format!("{who}, as they say") };
    let earlier = if is_own { "" } else { "an earlier repair: " };
    format!("{earlier}log {source} {lost}: {cause}; repaired by {who}")
}
