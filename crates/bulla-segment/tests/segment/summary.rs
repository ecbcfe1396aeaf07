//! The last frame and the pages of the index: what is read to find them, and what is believed.

use crate::support::{Image, damaged, disk, facts, header, open, path};
use bulla_segment::{Active, Extent, SegmentFile, Summary, Tail, Tally, Verdict};
use bulla_vfs::OpenMode;
use bulla_wire::{Epoch, Footer, IndexEntry, PageRef, Position, Role, SegmentNumber, Time, TimeBounds};

/// Y1, for files of very different length.
#[test]
fn finding_the_summary_reads_the_last_bytes_and_that_frame() {
    for frames in [0, 3, 3_000] {
        let mut image = Image::synced(0);
        for _ in 0..frames {
            image.sync();
            image.data(&[&[7; 500]], false);
        }
        image.end(true);
        let (disk, host) = disk();
        disk.write_file(&path(0), &image.bytes).unwrap();
        let segment = SegmentFile::open(&host, &path(0), OpenMode::Read).unwrap();
        let before = disk.operations();
        let summary = segment.read_summary().unwrap().unwrap();
        let after = disk.operations();
        assert_eq!(after.reads - before.reads, 2);
        assert_eq!(after.bytes_read - before.bytes_read, 16 + image.offset() - summary.footer.offset);
        assert!(image.offset() - summary.footer.offset < 1_000);
        assert_eq!(summary.footer.end, Position(frames));
        // Each page is one more read, and no frame of records is looked at.
        let before = disk.operations();
        let active = Active::from_close(segment, &summary).unwrap();
        let after = disk.operations();
        assert_eq!(after.reads - before.reads, summary.footer.pages.len() as u64);
        assert_eq!(after.bytes_read - before.bytes_read, summary.footer.offset - summary.footer.data_end);
        assert_eq!(format!("{:?}", active.extent), format!("{:?}", image.extent));
    }
}

/// A file that ends in other ways has no summary, and nothing is wrong with asking.
#[test]
fn a_file_that_ends_otherwise_has_no_summary() {
    let mut image = Image::synced(3);
    assert!(image.file().read_summary().unwrap().is_none());
    image.end(false);
    let whole = image.bytes.clone();
    assert!(image.file().read_summary().unwrap().is_some());
    for len in 128..whole.len() {
        assert!(open(&whole[..len], 0).unwrap().read_summary().unwrap().is_none(), "cut to {len}");
    }
    image.bytes.push(0);
    assert!(image.file().read_summary().unwrap().is_none());
    // A trailer that names an offset where no summary is.
    for offset in [0, 8, 128, 136, whole.len() as u64 - 16, whole.len() as u64, u64::MAX, u64::MAX - 7] {
        let mut bytes = whole.clone();
        let at = bytes.len() - 16;
        bytes[at..at + 8].copy_from_slice(&offset.to_le_bytes());
        assert!(open(&bytes, 0).unwrap().read_summary().unwrap().is_none(), "{offset}");
    }
    // A whole summary, other bytes, and its trailer once more.
    let bytes = [&whole[..], &[1; 8], &whole[whole.len() - 16..]].concat();
    assert!(open(&bytes, 0).unwrap().read_summary().unwrap().is_none());
    // The summary of another segment of the same log, with the same secret.
    let mut other = Image::synced(3);
    other.header.number.0 += 1;
    let mut bytes = other.header.encode();
    bytes.extend(&whole[128..]);
    assert!(open(&bytes, 0).unwrap().read_summary().unwrap().is_none());
}

/// A summary whose checksums hold, at an offset where no frame can begin.
#[test]
fn a_summary_off_the_grid_is_none() {
    for shift in [0, 1, 4, 7, 8] {
        let mut image = Image::synced(3);
        let mut sealed = image.clone();
        sealed.end(true);
        let footer = sealed.file().read_summary().unwrap().unwrap().footer;
        image.sync();
        image.bytes.resize(image.bytes.len() + shift, 0);
        let footer = Footer { pages: vec![], offset: image.offset(), ..footer };
        image.raw(&image.plain_header(Role::Footer), &footer.encode());
        assert_eq!(image.file().read_summary().unwrap().is_some(), shift % 8 == 0, "{shift} bytes off");
    }
}

/// Y1: a trailer that names an offset further back than any summary reaches is not followed.
#[test]
fn a_summary_longer_than_any_is_not_read() {
    const LONGEST: u64 = 64 + (1 << 20);
    let (disk, host) = disk();
    let len = 128 + LONGEST + 64;
    for (offset, is_followed) in [(128, false), (len - LONGEST - 8, false), (len - LONGEST, true)] {
        let mut bytes = header(0).encode();
        bytes.resize(len as usize - 16, 0);
        bytes.extend(offset.to_le_bytes());
        let mut closed = Image::synced(1);
        closed.end(true);
        bytes.extend(closed.bytes.last_chunk::<8>().unwrap());
        disk.write_file(&path(0), &bytes).unwrap();
        let segment = SegmentFile::open(&host, &path(0), OpenMode::Read).unwrap();
        let before = disk.operations().bytes_read;
        assert!(segment.read_summary().unwrap().is_none());
        let expected = if is_followed { 16 + LONGEST } else { 16 };
        assert_eq!(disk.operations().bytes_read - before, expected, "at {offset} of {len}");
    }
}

/// The last frame of a later version is an error: that there is no summary would send whoever asks to a scan, and what
/// that version ended the file with is not known.
#[test]
fn a_summary_of_a_later_version_is_newer() {
    let mut image = Image::synced(3);
    image.end(true);
    let offset = image.file().read_summary().unwrap().unwrap().footer.offset;
    image.frames.push(offset as usize..image.bytes.len());
    image.mend(3, |header| header[12] = 32);
    let error = image.file().read_summary().unwrap_err();
    assert!(error.is_newer(), "{error:?}");
    assert_eq!(error.offset(), Some(offset));
}

/// A file that was cut to less than a trailer after it had been opened ends in no summary.
#[test]
fn a_file_shorter_than_a_trailer_has_no_summary() {
    let image = Image::synced(1);
    let file = image.file();
    for len in [16, 15, 0] {
        file.set_len(len).unwrap();
        assert!(file.read_summary().unwrap().is_none(), "{len} bytes");
    }
}

/// Y2.
#[test]
fn a_page_unlike_its_footer_is_damage() {
    let mut image = Image::new(0);
    for _ in 0..1_100 {
        image.sync();
        image.data(&[&[3; 4_100]], false);
    }
    image.end(true);
    let segment = image.file();
    let pages = segment.read_summary().unwrap().unwrap().footer.pages;
    assert_eq!(pages.len(), 3);
    let page = pages[1];
    assert_eq!(segment.read_page(&page).unwrap().len(), 512);
    let mut times = page.times;
    times.include(Time(i64::MAX));
    let wrong = [
        PageRef { first: Position(page.first.0 + 1), ..page },
        PageRef { times, ..page },
        PageRef { offset: pages[2].offset, ..page },
        PageRef { offset: page.offset + 8, ..page },
        PageRef { offset: 128, ..page },
        PageRef { offset: image.offset(), ..page },
        PageRef { entry_count: page.entry_count - 1, ..page },
        PageRef { entry_count: page.entry_count + 1, ..page },
        PageRef { entry_count: 0, ..page },
        PageRef { entry_count: u32::MAX, ..page },
    ];
    for wrong in wrong {
        let error = segment.read_page(&wrong).unwrap_err();
        assert!(error.is_damage(), "{wrong:?}: {error:?}");
    }
}

/// A summary whose checksums hold and that does not speak of this segment, or of what lies before it.
#[test]
fn a_summary_of_something_else_is_none_and_damage() {
    let mut image = Image::synced(3);
    let mut sealed = image.clone();
    sealed.end(true);
    let footer = sealed.file().read_summary().unwrap().unwrap().footer;
    image.sync();
    let offset = image.offset();
    let fitting = Footer { pages: vec![], caller_count: 0, offset, ..footer };
    let cases = [
        ("fitting", fitting.clone()),
        ("number", Footer { number: SegmentNumber(5), ..fitting.clone() }),
        ("base", Footer { base: Position(1), ..fitting.clone() }),
        ("end", Footer { end: Position(10), ..fitting.clone() }),
        ("data within the header", Footer { data_end: 120, ..fitting.clone() }),
        ("data behind it", Footer { data_end: offset + 8, ..fitting.clone() }),
        ("offset", Footer { offset: offset - 8, ..fitting }),
    ];
    for (what, footer) in cases {
        for role in [Role::Footer, Role::Close] {
            let mut image = image.clone();
            image.raw(&image.plain_header(role), &footer.encode());
            let is_fitting = what == "fitting";
            assert_eq!(image.file().read_summary().unwrap().is_some(), is_fitting, "{what}");
            let verdict = image.scan().verdict(Position(0));
            assert_eq!(matches!(verdict, Verdict::Sealed | Verdict::Closed), is_fitting, "{what}: {verdict:?}");
            assert_eq!(verdict == damaged(9..10), !is_fitting, "{what}: {verdict:?}");
        }
    }
}

/// An index larger than what is written at a time.
#[test]
fn a_large_index_is_written_in_few_pieces_and_reads_back() {
    let (disk, host) = disk();
    disk.write_file(&path(0), &header(0).encode()).unwrap();
    let file = SegmentFile::open(&host, &path(0), OpenMode::Write).unwrap();
    let entry = |index| IndexEntry { first: Position(index), times: TimeBounds::EMPTY, offset: 128 };
    let extent = Extent::from_index(Position(20_000), 128, Tally::default(), (0..20_000).map(entry).collect());
    let before = disk.operations().writes;
    Active::new(file.clone(), extent.clone()).end(&facts(Position(20_000), Epoch(1)), true).unwrap();
    assert_eq!(disk.operations().writes - before, 3);
    let summary = file.read_summary().unwrap().unwrap();
    assert_eq!(summary.footer.pages.len(), 40);
    let active = Active::from_close(file, &summary).unwrap();
    assert_eq!(format!("{:?}", active.extent), format!("{extent:?}"));
}

/// Where each flipped bit of a sealed segment is noticed: in the header by `open`, in the frames of records by the
/// scan (and as damage, since the footer vouches for them), in the index by `read_page`, in the footer by
/// `read_summary`.
#[test]
fn every_flipped_bit_is_noticed() {
    for seal in [true, false] {
        let mut image = Image::synced(3);
        image.end(seal);
        let footer = image.file().read_summary().unwrap().unwrap().footer;
        let (data_end, footer_offset) = (footer.data_end as usize, footer.offset as usize);
        assert!(data_end < footer_offset);
        for bit in 0..image.bytes.len() * 8 {
            let mut bytes = image.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let opened = open(&bytes, 0);
            let Ok(segment) = opened else {
                assert!(bit / 8 < 128, "bit {bit}: {opened:?}");
                continue;
            };
            assert!(bit / 8 >= 128, "bit {bit} of the header passed");
            let summary = segment.read_summary().unwrap();
            assert_eq!(summary.is_some(), bit / 8 < footer_offset, "bit {bit}");
            let tail = Tail::scan(&segment).unwrap();
            let verdict = tail.verdict(Position(0));
            if bit / 8 < data_end {
                assert!(matches!(verdict, Verdict::Damaged { ref lost } if lost.end == Position(9)), "bit {bit}");
            } else {
                // Index and summary are rebuilt from the frames, which are whole.
                assert_eq!((tail.end(), verdict), (Position(9), Verdict::Torn), "bit {bit}");
            }
            if let Some(summary) = summary {
                let is_page = bit / 8 >= data_end;
                let read = segment.read_page(&summary.footer.pages[0]);
                assert_eq!(read.is_err(), is_page, "bit {bit}");
                assert!(read.err().is_none_or(|error| error.is_damage()), "bit {bit}");
            }
        }
    }
}

/// Index and summary are written and synced together, so a crash may leave the summary whole behind a page that never
/// reached the disk. The close frame is then found and its page is not: a scan, which finds all records and a torn
/// tail, is what such a file needs.
#[test]
fn a_whole_summary_behind_a_lost_page_leaves_all_records() {
    for seal in [true, false] {
        let mut image = Image::synced(3);
        image.end(seal);
        let summary = image.file().read_summary().unwrap().unwrap();
        let (from, to) = (summary.footer.data_end as usize, summary.footer.offset as usize);
        image.bytes[from..to].fill(0);
        let segment = image.file();
        assert!(segment.read_summary().unwrap().is_some());
        assert!(Active::from_close(segment, &summary).unwrap_err().is_damage());
        let tail = image.check(9, &Verdict::Torn);
        assert_eq!(format!("{:?}", tail.extent), format!("{:?}", image.extent));
    }
}

/// A forged close frame that named an end of data of its own was believed by whoever opened the log: the first write cut
/// there, within records, and the next frame lay where a scan does not look for one, so that what was acknowledged then
/// was gone at the next opening. An index that does not fill the file up to the summary sends the opening to the scan.
#[test]
fn nobody_goes_on_from_a_summary_that_names_another_end_of_data() {
    let mut image = Image::synced(3);
    image.end(false);
    let summary = image.file().read_summary().unwrap().unwrap();
    let page = summary.footer.pages[0];
    let with = |footer: Footer| Summary { footer, ..summary.clone() };
    let moved = |by: i64| summary.footer.data_end.saturating_add_signed(by);
    let wrong = [
        Footer { data_end: moved(-3), ..summary.footer.clone() },
        Footer { data_end: moved(-64), ..summary.footer.clone() },
        Footer { data_end: moved(8), ..summary.footer.clone() },
        Footer { pages: vec![], ..summary.footer.clone() },
        Footer { pages: vec![PageRef { entry_count: page.entry_count + 1, ..page }], ..summary.footer.clone() },
        Footer { pages: vec![PageRef { offset: page.offset + 8, ..page }], ..summary.footer.clone() },
    ];
    Active::from_close(image.file(), &summary).unwrap();
    for footer in wrong {
        let what = format!("{footer:?}");
        let error = Active::from_close(image.file(), &with(footer)).unwrap_err();
        assert!(error.is_damage(), "{what}: {error}");
    }

    // To a scan, which knows where the frames end, it is nonsense that somebody wrote.
    let mut image = Image::synced(3);
    image.sync();
    let offset = image.offset();
    let forged = Footer { pages: vec![], caller_count: 0, data_end: offset - 8, offset, ..summary.footer };
    image.raw(&image.plain_header(Role::Close), &forged.encode());
    image.check(9, &damaged(9..10));
}
