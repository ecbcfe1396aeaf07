//! Growing, ending and taking up a segment: writer, scan and index agree on what it holds.

use crate::support::{Image, Random, disk, facts, path};
use bulla_segment::{Active, Extent, SegmentFile, Sequence, Stop, Tail, Verdict};
use bulla_vfs::OpenMode;
use bulla_wire::{Epoch, FrameHeader, Position, Role};

/// A segment with frames and runs of random sizes, over several syncs and epochs. Within a run durable end and
/// epoch rise too, which no rule forbids.
fn random_image(seed: u64, frames: u64) -> Image {
    let mut random = Random(seed);
    let mut image = Image::new(random.below(3) * 5);
    for _ in 0..frames {
        let run = if random.below(4) == 0 { random.below(4) } else { 0 };
        for left in (0..=run).rev() {
            if random.below(3) == 0 {
                image.sync();
            }
            let lens: Vec<u64> = (0..=random.below(5)).map(|_| random.below(1_500)).collect();
            let payloads: Vec<Vec<u8>> = lens.iter().map(|len| random.bytes(*len as usize)).collect();
            let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
            image.data(&payloads, left > 0);
            if random.below(9) == 0 {
                image.epoch = Epoch(image.epoch.0 + 1);
            }
        }
    }
    image
}

#[track_caller]
fn assert_same(what: &str, left: &Extent, right: &Extent) {
    assert_eq!(format!("{left:?}"), format!("{right:?}"), "{what}");
}

/// The invariant that `Extent` exists for.
#[test]
fn writer_scan_and_close_frame_agree() {
    for seed in 0..24 {
        let mut image = random_image(seed, 5 + seed * 4);
        let what = format!("seed {seed}");
        assert_same(&what, &image.scan().extent, &image.extent);
        image.end(seed % 2 == 0);
        let tail = image.scan();
        assert_same(&what, &tail.extent, &image.extent);
        let file = image.file();
        let summary = file.read_summary().unwrap().unwrap();
        let Stop::Summary(scanned) = &tail.stop else { panic!("{:?}", tail.stop) };
        assert_eq!(scanned.footer, summary.footer, "{what}");
        let footer = &summary.footer;
        assert_eq!((footer.end, footer.data_end), (image.extent.end, image.extent.end_offset));
        assert_eq!((footer.caller_count, footer.times), (image.extent.tally.caller_count, image.extent.tally.times));
        let active = Active::from_close(file, &summary).unwrap();
        assert_same(&what, &active.extent, &image.extent);
        assert_eq!(active.zero_end, image.extent.end_offset);
    }
}

/// A reader that scans on after growth sees what one scan of the whole sees, wherever the file ended in between.
#[test]
fn scanning_on_equals_one_scan() {
    for seed in 0..6 {
        let mut image = random_image(seed, 8);
        match seed % 3 {
            0 => image.end(false),
            1 => {
                image.sync();
                image.mark();
            }
            _ => {}
        }
        let whole = image.scan();
        let mut random = Random(seed);
        let borders: Vec<usize> = image.frames.iter().map(|range| range.end).collect();
        let cuts: Vec<usize> =
            (0..60).map(|_| 128 + 32 * 4 + random.below(image.offset() - 256) as usize).chain(borders).collect();
        for cut in cuts {
            let mut part = image.clone();
            part.bytes.truncate(cut);
            let first = part.scan();
            assert!(first.end() <= whole.end() && first.extent.end_offset <= whole.extent.end_offset);
            let second = Tail::scan_from(&image.file(), first.extent, first.sequence).unwrap();
            let what = format!("seed {seed}, cut at {cut}");
            assert_same(&what, &second.extent, &whole.extent);
            assert_eq!(format!("{:?}", second.sequence), format!("{:?}", whole.sequence), "{what}");
            assert_eq!(format!("{:?}", second.stop), format!("{:?}", whole.stop), "{what}");
            assert_eq!(second.verdict(Position(0)), whole.verdict(Position(0)), "{what}");
        }
    }
}

/// A reader met a run whose last frame had not come yet and whose durable end rises within. What the run proved became
/// the floor for its own first frame, which was then refused as fallen when the reader scanned on.
#[test]
fn a_run_is_read_again_from_its_first_frame() {
    let mut image = Image::synced(1);
    image.data(&[b"first"], true);
    image.sync();
    image.data(&[b"second"], true);
    let first = image.scan();
    assert_eq!((first.end(), first.proven_end(Position(0))), (Position(3), Position(4)));
    image.data(&[b"last"], false);
    let second = Tail::scan_from(&image.file(), first.extent, first.sequence).unwrap();
    assert_eq!((second.end(), second.verdict(Position(0))), (Position(6), Verdict::Whole));
}

/// A mark that the writer's next frame overwrote, seen by a reader before and after.
#[test]
fn an_overwritten_mark_does_not_stop_a_reader() {
    let mut image = Image::synced(2);
    image.sync();
    let mut marked = image.clone();
    marked.mark();
    let first = marked.scan();
    image.data(&[b"over the mark"], false);
    let second = Tail::scan_from(&image.file(), first.extent, first.sequence).unwrap();
    assert_eq!((second.end(), second.verdict(Position(0))), (Position(7), Verdict::Whole));
}

/// A2: zeros and an old mark behind the records do not outlive the end.
#[test]
fn an_end_cuts_what_lies_beyond_and_survives_power_loss() {
    for seal in [false, true] {
        let mut image = Image::synced(3);
        image.sync();
        image.mark();
        let mut bytes = image.bytes.clone();
        bytes.resize(bytes.len() + 100_000, 0);
        let (disk, host) = disk();
        disk.write_file(&path(0), &bytes).unwrap();
        let file = SegmentFile::open(&host, &path(0), OpenMode::Write).unwrap();
        let mut active = Active::new(file, image.extent.clone());
        active.zero_end = bytes.len() as u64;
        let footer = active.end(&facts(Position(9), Epoch(2)), seal).unwrap();
        let after = disk.crash().read_file(&path(0)).unwrap();
        assert_eq!(after, disk.read_file(&path(0)).unwrap());
        let segment = crate::support::open(&after, 0).unwrap();
        let summary = segment.read_summary().unwrap().unwrap();
        assert_eq!((&summary.footer, summary.is_sealed, summary.epoch), (&footer, seal, Epoch(2)));
        let verdict = if seal { Verdict::Sealed } else { Verdict::Closed };
        assert_eq!(Tail::scan(&segment).unwrap().verdict(Position(9)), verdict);
    }
}

/// W6: at every amount of room that is too little, the end is taken back and the records stay.
#[test]
fn an_end_without_room_is_taken_back() {
    let mut image = Image::synced(3);
    let records = image.bytes.clone();
    image.end(true);
    let needed = image.bytes.len() - records.len();
    for room in 0..=needed {
        let (disk, host) = disk();
        disk.write_file(&path(0), &records).unwrap();
        disk.set_capacity(Some((records.len() + room) as u64));
        let file = SegmentFile::open(&host, &path(0), OpenMode::Write).unwrap();
        let mut active = Active::new(file, image.extent.clone());
        let ended = active.end(&facts(Position(9), Epoch(1)), true);
        if room == needed {
            ended.unwrap();
            continue;
        }
        assert!(ended.unwrap_err().is_full(), "{room} bytes of room");
        let torn = Tail::scan(&active.file).unwrap();
        assert_eq!(torn.end(), Position(9));
        assert!(!matches!(torn.verdict(Position(9)), Verdict::Damaged { .. } | Verdict::Sealed), "{room}");
        active.take_back().unwrap();
        assert_eq!(disk.read_file(&path(0)).unwrap(), records);
        assert_eq!(Tail::scan(&active.file).unwrap().verdict(Position(9)), Verdict::Whole);
        // With room again the same end works.
        disk.set_capacity(None);
        active.end(&facts(Position(9), Epoch(1)), true).unwrap();
        assert_eq!(disk.read_file(&path(0)).unwrap(), image.bytes, "{room} bytes of room");
    }
}

/// The first step of recovery: what was written is durable before anything is concluded from reading it.
#[test]
fn what_is_synced_before_a_scan_survives_power_loss() {
    let image = Image::synced(2);
    let (disk, host) = disk();
    disk.write_file(&path(0), &image.bytes[..128]).unwrap();
    let file = SegmentFile::open(&host, &path(0), OpenMode::Write).unwrap();
    file.write(&image.bytes[128..], 128).unwrap();
    assert_eq!(disk.crash().read_file(&path(0)).unwrap().len(), 128);
    file.sync_and_drop_cache().unwrap();
    assert_eq!(disk.crash().read_file(&path(0)).unwrap(), image.bytes);
}

/// A closed segment goes on: its next frame overwrites index and close frame, in a higher epoch.
#[test]
fn a_closed_segment_takes_further_records() {
    let mut image = Image::synced(3);
    image.end(false);
    let file = image.file();
    let summary = file.read_summary().unwrap().unwrap();
    let active = Active::from_close(file, &summary).unwrap();
    // Who knows the segment from its close frame alone scans on from there.
    let sequence = Sequence::after_close(summary.footer.end, summary.epoch);
    let tail = Tail::scan_from(&active.file, active.extent.clone(), sequence.clone()).unwrap();
    assert_eq!((tail.end(), tail.verdict(Position(0))), (Position(9), Verdict::Closed));
    active.file.set_len(active.extent.end_offset).unwrap();
    image.bytes.truncate(active.extent.end_offset as usize);
    image.sync();
    image.epoch = Epoch(7);
    image.data(&[b"again"], false);
    let offset = image.frames[3].start;
    active.file.write(&image.bytes[offset..], offset as u64).unwrap();
    let tail = Tail::scan(&active.file).unwrap();
    assert_eq!((tail.end(), tail.epoch(), tail.verdict(Position(0))), (Position(10), Epoch(7), Verdict::Whole));
    assert_same("after a close", &tail.extent, &image.extent);
    let read_on = Tail::scan_from(&active.file, active.extent, sequence).unwrap();
    assert_eq!((read_on.verdict(Position(0)), read_on.epoch()), (Verdict::Whole, Epoch(7)));
    assert_same("scanned on", &read_on.extent, &image.extent);
}

/// `Sequence` by itself: what it refuses leaves it where it was.
#[test]
fn a_refused_frame_changes_nothing() {
    let image = Image::synced(2);
    let mut sequence = Sequence::new(&image.header);
    let mark = FrameHeader { base: Position(0), durable_end: Position(0), ..image.plain_header(Role::Mark) };
    let before = format!("{sequence:?}");
    sequence.take(&FrameHeader { base: Position(1), ..mark.clone() }).unwrap_err();
    sequence.take(&FrameHeader { epoch: Epoch(0), ..mark.clone() }).unwrap_err();
    assert_eq!(format!("{sequence:?}"), before);
    sequence.take(&mark).unwrap();
    sequence.take(&mark).unwrap_err();
}
