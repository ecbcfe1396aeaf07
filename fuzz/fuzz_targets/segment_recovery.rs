//! A log's directory with any bytes as its newest segment: opening for writing either changes nothing and says why, or
//! gives a log that goes on from a prefix.
//!
//! Input: a byte of choices, a byte of numbers, and the bytes of the newest segment.
#![no_main]

use std::path::{Path, PathBuf};

use bulla_fuzz::disk::{self, Image};
use bulla_fuzz::{compare, log, mend};
use bulla_log::{AppendOptions, Expectation, Level, Log, LogError, LogReader, TailKind, verify_log};
use bulla_reference as reference;
use bulla_vfs::MemVfs;
use bulla_wire::{Position, SegmentHeader};
use libfuzzer_sys::fuzz_target;

/// Choices.
const SECOND: u8 = 1;
const AS_IT_IS: u8 = 2;
const QUARANTINE: u8 = 4;
const TEMPORARY: u8 = 8;
const WITHOUT_HEADER: u8 = 16;
const KNOWN_END: u8 = 32;

fuzz_target!(|data: &[u8]| {
    let [choices, number, data @ ..] = data else { return };
    let (choices, number) = (*choices, *number);
    let (image, newest) = image(choices, number, data);
    let disk = disk::of(&image);
    let image = disk::image(&disk);
    let host = disk::host(&disk);
    let dir = Path::new(log::DIR);

    // Who only reads changes nothing, accounts for every position, and comes to an end.
    let mut readable = None;
    if let Ok(reader) = LogReader::open(&host, dir)
        && let Ok(snapshot) = reader.snapshot()
    {
        readable = Some(log::read(&snapshot));
        let _ = snapshot.head_at(snapshot.end());
    }
    for level in [Level::Structure, Level::Full] {
        verify_log(&host, dir, level, &Expectation::default(), &mut |_| {});
    }
    disk::assert_same(&disk, &image, "reading changed something");

    let known = if choices & KNOWN_END == 0 { 0 } else { u64::from(number) };
    let options = log::options().known_durable_end(Position(known));
    let opened = match Log::open(&host, dir, &options) {
        Ok(opened) => opened,
        // Its creation was interrupted, and what a crash left of its first record was set aside.
        Err(LogError::NotFound { .. }) => return,
        Err(error) if error.is_damage() || error.is_missing() || error.is_newer() => {
            disk::assert_same(&disk, &image, &format!("a refused log was changed: {error}"));
            return;
        }
        Err(_) => return,
    };
    assert!(opened.next_position().0 >= known, "what was known to be durable is gone");
    let tail = opened.recovery().tail;
    let is_sound = judge(&image, &newest, tail);
    let (kept, gaps) = log::read(&opened.snapshot());
    if let Some((readable, _)) = readable {
        let common = readable.len().min(kept.len());
        assert_eq!(readable[..common], kept[..common], "the reader saw other records");
    }
    drop(opened);
    let once = disk::image(&disk);
    let again = Log::open(&host, dir, &options);
    // The first opening may have taken the last epoch there is.
    let is_exhausted = matches!(&again, Err(LogError::Exhausted { .. }));
    assert!(again.is_ok() || is_exhausted || !is_sound, "{:?}", again.err());
    disk::assert_same(&disk, &once, "a second recovery changed something");
    let Ok(opened) = again else { return };
    goes_on(&disk, &opened, &kept, is_sound && gaps.is_empty());
});

/// What lies on the disk, and the path of the newest segment.
fn image(choices: u8, number: u8, data: &[u8]) -> (Image, PathBuf) {
    let mut image = if choices & SECOND == 0 { log::ONE.clone() } else { log::TWO.clone() };
    let (newest, bytes) = image.iter().rfind(|(path, _)| path.extension().is_some()).expect("a segment");
    let header = SegmentHeader::decode(bytes.as_deref().unwrap_or_default()).expect("its header");
    let (newest, base) = (newest.clone(), header.base);
    let mut file = if choices & WITHOUT_HEADER == 0 { header.encode() } else { Vec::new() };
    file.extend(data);
    if choices & AS_IT_IS == 0 {
        mend::segment(&mut file);
    }
    if choices & QUARANTINE != 0 {
        // Nothing was ever cut off further on than the log reaches.
        let header = SegmentHeader::decode(&file).map(|header| compare::segment_header(&header));
        let scan = header.ok().and_then(|header| reference::scan(&file, &header).ok());
        let end = scan.map_or(base.0, |scan| scan.end);
        let name = format!("{:020}-{:020}-0123456789abcdef", base.0, end.saturating_sub(u64::from(number % 4)));
        image.insert(Path::new(log::DIR).join("quarantine").join(name), Some(b"set aside".to_vec()));
    }
    if choices & TEMPORARY != 0 {
        image.insert(Path::new(log::DIR).join("next.tmp"), Some(data.to_vec()));
    }
    image.insert(newest.clone(), Some(file));
    (image, newest)
}

/// Holds the verdict against the second reader's. `false` if a summary that nobody reads behind contradicts its segment:
/// checksums that hold make it the word of whoever wrote it, and only verification asks further.
fn judge(image: &Image, newest: &Path, tail: TailKind) -> bool {
    let bytes = image[newest].as_deref().unwrap_or_default();
    let Ok(header) = SegmentHeader::decode(bytes) else {
        assert_eq!(tail, TailKind::InterruptedCreation);
        return true;
    };
    let scan = reference::scan(bytes, &compare::segment_header(&header));
    let has_trailer = bytes.ends_with(b"bullaend");
    match scan {
        Ok(scan) => {
            let expected = match scan.verdict {
                reference::Verdict::Whole => TailKind::Unclosed,
                reference::Verdict::Closed => TailKind::Clean,
                reference::Verdict::Sealed => TailKind::Sealed,
                reference::Verdict::Torn => TailKind::Torn,
                reference::Verdict::Damaged => {
                    assert!(has_trailer, "a damaged log was opened as {tail:?}: {scan:?}");
                    return false;
                }
            };
            assert!(tail == expected || has_trailer, "{tail:?} is not {scan:?}");
            tail == expected
        }
        Err(refused) => {
            assert!(has_trailer, "a log that is {refused:?} was opened as {tail:?}");
            false
        }
    }
}

/// Appends, closes and opens again: every record that was there is there, and the new one behind them.
fn goes_on(disk: &MemVfs, opened: &Log, kept: &[log::Seen], is_sound: bool) {
    let (host, dir) = (disk::host(disk), Path::new(log::DIR));
    let appended = opened.append(&log::row(b"one more"), AppendOptions::default()).and_then(|position| {
        opened.close()?;
        Ok(position)
    });
    let reopened = Log::open(&host, dir, &log::options());
    if !is_sound {
        return;
    }
    let position = appended.expect("a sound log takes records");
    let reopened = reopened.expect("a closed log opens");
    let (records, gaps) = log::read(&reopened.snapshot());
    assert!(gaps.is_empty(), "gaps {gaps:?}");
    assert_eq!(&records[..kept.len()], kept, "records that were there are not");
    let last = records.last().expect("the record that was appended");
    assert_eq!((last.0, last.3.as_deref()), (position.0, Some(&b"one more"[..])));
}
