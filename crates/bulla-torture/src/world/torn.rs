//! Stores as a process that died leaves them at worst, for recovery to work on.

use crate::world::check::bytes_of;
use crate::world::copy::{end_of_frames, flip, newest_segments, overwrite};
use crate::world::oracle::Oracle;
use crate::world::rows::Row;
use crate::world::while_doing;
use bulla::{Durability, Options, RowOptions, Store};
use bulla_testkit::Random;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A segment, and where what was never synced begins in it.
struct Unsynced {
    segment: PathBuf,
    offset: u64,
}

/// Makes a store in `dir` with so many tables, each with rows that are durable and some that only the kernel had, a part
/// of which is torn. The oracle learns what was durable.
pub(crate) fn leave_torn(
    dir: &Path,
    options: &Options,
    tables: u64,
    oracle: &mut Oracle,
    random: &mut Random,
) -> Result<(), String> {
    let store = options.open(dir).map_err(while_doing("making a store to tear"))?;
    oracle.hear(0, "store");
    let mut all = Vec::new();
    for number in 0..tables {
        all.extend(fill(dir, &store, &format!("t{number}"), oracle, random)?);
    }
    drop(store);
    all.iter().try_for_each(|unsynced| tear(unsynced, random)).map_err(while_doing("tearing a segment"))
}

fn fill(
    dir: &Path,
    store: &Store,
    name: &str,
    oracle: &mut Oracle,
    random: &mut Random,
) -> Result<Option<Unsynced>, String> {
    let seed = oracle.seed;
    let append = |durability, first: u64, len: u64| {
        let options = RowOptions::new().durability(durability);
        let appended = bytes_of(store, name)
            .and_then(|table| Ok(table.append_batch_with(&Row::batch(seed, 0, 0, first, len), &options)?));
        appended.map(drop).map_err(while_doing("filling a table to tear"))
    };
    let newest = || {
        let segments = newest_segments(&dir.join("tables").join(name)).map_err(while_doing("listing segments"))?;
        segments.into_iter().last().ok_or_else(|| String::from("BUG: a table has segments"))
    };
    let (durable, flushed) = (1 + random.below(12), random.below(8));
    append(Durability::Durable, 0, durable)?;
    oracle.ack(name, 0, 0, 0, durable);
    let segment = newest()?;
    // The mark behind them is not synced.
    let offset = end_of_frames(&segment, true).map_err(while_doing("reading a segment"))?;
    if flushed > 0 {
        append(Durability::Flushed, durable, flushed)?;
    }
    // A rotation in between made everything before it durable.
    Ok((newest()? == segment).then_some(Unsynced { segment, offset }))
}

/// Tears what was never synced, as a crash may.
fn tear(unsynced: &Unsynced, random: &mut Random) -> io::Result<()> {
    let Unsynced { segment, offset } = unsynced;
    let end = end_of_frames(segment, false)?.max(*offset);
    let place = offset + random.below(end - offset + 1);
    match random.below(4) {
        0 => File::options().write(true).open(segment)?.set_len(place),
        1 => overwrite(segment, place, &vec![0; random.below(400) as usize]),
        2 if place < end => flip(segment, place),
        _ => {
            let garbage: Vec<u8> = (0..=random.below(1500)).map(|_| random.next_u64() as u8).collect();
            overwrite(segment, end, &garbage)
        }
    }
}
