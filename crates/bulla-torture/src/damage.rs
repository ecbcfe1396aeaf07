//! What must be said of a log whose durable bytes changed at rest.
//!
//! # Invariants
//!
//! - D1. Damage below what anything left proves durable is refused by opening, which changes nothing, or, where opening
//!   does not look (behind a close frame, in sealed segments), named by reading and by verification.
//! - D2. Only inside the last synced group of a log that was not closed may it pass for a torn tail.

use bulla_log::{Expectation, Level, Log, Verdict, verify_log};
use bulla_segment::{FrameScanner, Scanned, SegmentFile};
use bulla_testkit::{Image, SimDisk};
use bulla_torture::examine::host_on;
use bulla_torture::oracle::{ReadError, Told, read};
use bulla_torture::script::{LOG_DIR, log_options};
use bulla_vfs::OpenMode;
use bulla_wire::{Position, Role};
use std::ops::Range;
use std::path::Path;

/// How the damage was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// For what it is, or it harmed nothing.
    Known,
    /// For a torn tail, where that cannot be told.
    Ambiguous,
}

/// Holds what is said of `rotten` against what was promised; `range` are the bytes of the segment at `path` that changed.
pub(crate) fn judge(
    image: &Image,
    rotten: &Image,
    path: &Path,
    range: &Range<usize>,
    told: &Told,
    seed: u64,
) -> Result<Judged, String> {
    let dir = Path::new(LOG_DIR);
    let disk = SimDisk::of(seed, rotten);
    let host = host_on(&disk, seed);
    let report = verify_log(&host, dir, Level::Full, &Expectation::default(), &mut |_| {});
    let is_reported = report.verdict() > Verdict::Intact;
    let is_last_group = is_in_last_group(image, rotten, path, range, seed);
    if !is_reported && !is_last_group {
        return Err("verify calls it intact".to_owned());
    }
    match Log::open(&host, dir, &log_options()) {
        // Nothing is left that a log's creation would not leave when it is interrupted.
        Err(error) if is_last_group && error.is_missing() => Ok(Judged::Ambiguous),
        Err(error) => {
            if disk.seen() != *rotten {
                return Err(format!("opening is refused, and changed something: {error}"));
            }
            if error.is_damage() || error.is_missing() || error.is_newer() {
                Ok(Judged::Known)
            } else {
                Err(format!("opening says {error} {error:?}"))
            }
        }
        Ok(log) => match read(&log.snapshot()) {
            Err(ReadError::Log(error)) if error.is_damage() || error.is_newer() || error.is_missing() => {
                if log.recovery().cut_from.is_some() {
                    return Err(format!("opening cut a damaged log: {error}"));
                }
                Ok(Judged::Known)
            }
            Err(error) => Err(format!("reading says {error}")),
            Ok(found) if found.len() >= told.durable => {
                told.check(&found, told.durable)?;
                Ok(Judged::Known)
            }
            Ok(found) if is_last_group => {
                told.check(&found, 0)?;
                Ok(Judged::Ambiguous)
            }
            Ok(found) => Err(format!("{} records are left of {} durable ones", found.len(), told.durable)),
        },
    }
}

/// D2. Whether everything the bytes touch lies at or above the highest durable end that the rest of the newest segment
/// proves, so that nothing tells the damage from a torn write.
fn is_in_last_group(image: &Image, rotten: &Image, path: &Path, range: &Range<usize>, seed: u64) -> bool {
    let newest = image.files.keys().filter(|path| path.extension().is_some_and(|extension| extension == "seg")).max();
    if newest.is_none_or(|newest| newest != path) {
        return false;
    }
    let host = host_on(&SimDisk::of(seed, image), seed);
    // Without a header of its own the file was being made.
    let Ok(segment) = SegmentFile::open(&host, path, OpenMode::Read) else { return true };
    if (range.start as u64) < segment.frames_offset() {
        // A lost header with nothing behind it is what an interrupted creation leaves, and nothing else in a log by
        // itself tells the two apart.
        return rotten.files[path].non_zero_end() as u64 <= segment.frames_offset();
    }
    let mut scanner = FrameScanner::new(&segment, segment.frames_offset()).expect("a simulated disk reads");
    let (mut proven, mut first_touched) = (segment.header().base, None);
    while let Scanned::Frame { offset, header, .. } = scanner.next_frame().expect("a simulated disk reads") {
        let is_touched = offset < range.end as u64 && offset + header.frame_len() > range.start as u64;
        if is_touched {
            if first_touched.is_none() && matches!(header.role, Role::Data { .. }) {
                first_touched = Some(header.base);
            }
        } else {
            proven = proven.max(header.durable_end);
        }
    }
    first_touched.is_none_or(|first: Position| first >= proven)
}
