//! What a reader gives of a damaged log: everything that validates, and exact gaps.
#![allow(clippy::single_range_in_vec_init, clippy::cloned_ref_to_slice_refs, reason = "a list of gaps, often of one")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "support/common.rs"]
mod common;

use bulla_log::{Durability, Item, Log, LogError, LogReader, Order, Query};
use bulla_vfs::MemVfs;
use bulla_wire::{FRAME_HEADER_LEN, FrameHeader, Position, Role};
use common::{create, dir, disk_of, edit, files, host, open_for_reading, options, row, segments, with};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A log of `count` records, each durable before the next, on a disk as a power cut leaves it.
fn unclosed(count: u8, segment_bytes: u64) -> MemVfs {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options().segment_bytes_max(segment_bytes));
    for number in 0..count {
        log.append(&row(&[number; 200]), with(Durability::Durable)).unwrap();
    }
    drop(log);
    disk_of(&files(&disk))
}

fn closed(count: u8, segment_bytes: u64) -> MemVfs {
    let disk = unclosed(count, segment_bytes);
    Log::open(&host(disk.clone()), dir(), &options().segment_bytes_max(segment_bytes)).unwrap().close().unwrap();
    disk
}

/// Where each data frame is, and its positions, as found in an undamaged file.
fn frames(disk: &MemVfs, path: &Path) -> Vec<(Range<usize>, Range<u64>)> {
    let segment = open_for_reading(disk, path);
    let bytes = disk.read_file(path).unwrap();
    let (mut found, mut offset) = (Vec::new(), segment.frames_offset());
    while let Ok(header) = FrameHeader::decode(&bytes[offset as usize..], segment.seed(), offset) {
        let end = offset + header.frame_len();
        if matches!(header.role, Role::Data { .. }) {
            found.push((offset as usize..end as usize, header.base.0..header.end().0));
        }
        offset = end;
    }
    found
}

/// Positions given and gaps, neighbouring ones joined, oldest first whatever the order.
fn read(disk: &MemVfs, order: Order) -> Result<(Vec<u64>, Vec<Range<u64>>), LogError> {
    let snapshot = LogReader::open(&host(disk.clone()), dir())?.snapshot()?;
    let mut cursor = snapshot.cursor(&Query { engine: true, gaps: true, order, ..Query::new() });
    let (mut given, mut gaps): (Vec<u64>, Vec<Range<u64>>) = (Vec::new(), Vec::new());
    while let Some(item) = cursor.next() {
        match item? {
            Item::Record(record) => {
                given.push(record.position.0);
            }
            Item::Gap(gap) => {
                assert!(gap.cause.is_damage(), "{:?}", gap.cause);
                gaps.push(gap.positions.start.0..gap.positions.end.0);
            }
        }
    }
    if order == Order::Descending {
        given.reverse();
        gaps.reverse();
    }
    let mut joined: Vec<Range<u64>> = Vec::new();
    for gap in gaps {
        match joined.last_mut() {
            Some(last) if last.end == gap.start => last.end = gap.end,
            _ => joined.push(gap),
        }
    }
    Ok((given, joined))
}

/// `disk` gives every position below `end` but those in `lost`, which are its gaps, and stays as it is.
fn check(disk: &MemVfs, end: u64, lost: &[Range<u64>], label: &str) {
    let before = files(disk);
    let kept: Vec<u64> = (0..end).filter(|at| !lost.iter().any(|gap| gap.contains(at))).collect();
    for order in [Order::Ascending, Order::Descending] {
        let (given, gaps) = read(disk, order).unwrap_or_else(|error| panic!("{label}, {order:?}: {error:?}"));
        assert_eq!((given, gaps.as_slice()), (kept.clone(), lost), "{label}, {order:?}");
    }
    let snapshot = LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap();
    for position in 0..end {
        let found = snapshot.get(Position(position), |record| record.position.0);
        if kept.contains(&position) {
            assert_eq!(found.unwrap(), Some(position), "{label}");
        } else {
            assert!(found.unwrap_err().is_damage(), "{label}: position {position}");
        }
    }
    assert!(files(disk) == before, "{label}: reading changed the disk");
}

fn with_edit(disk: &MemVfs, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> MemVfs {
    let disk = disk_of(&files(disk));
    edit(&disk, path, change);
    disk
}

/// A flip in a frame of a segment that was never closed once ended the log for readers, although all frames behind it
/// were whole and proven durable.
#[test]
fn frames_behind_a_flipped_bit_are_given_and_one_gap_is_named() {
    let disk = unclosed(100, 1 << 20);
    let path = segments(&disk).pop().unwrap();
    let frames = frames(&disk, &path);
    let end = frames.last().unwrap().1.end;
    assert_eq!((frames.len(), end), (101, 101));
    for index in [0, 3, 50, 99, 100] {
        let (bytes, positions) = frames[index].clone();
        for at in [bytes.start, bytes.start + 20, bytes.start + FRAME_HEADER_LEN as usize] {
            let disk = with_edit(&disk, &path, |bytes| bytes[at] ^= 1);
            check(&disk, end, &[positions.clone()], &format!("frame {index}, byte {at}"));
        }
    }
    let (third, thirtieth) = (frames[3].clone(), frames[30].clone());
    let two = with_edit(&disk, &path, |bytes| {
        bytes[third.0.start] ^= 1;
        bytes[thirtieth.0.end - 9] ^= 1;
    });
    check(&two, end, &[third.1.clone(), thirtieth.1.clone()], "two frames");
    let zeroed = with_edit(&disk, &path, |bytes| bytes[4096..8192].fill(0));
    let hit: Vec<_> = frames.iter().filter(|(bytes, _)| bytes.start < 8192 && bytes.end > 4096).collect();
    check(&zeroed, end, &[hit[0].1.start..hit[hit.len() - 1].1.end], "a block of zeros");
    let cut = with_edit(&disk, &path, |bytes| bytes.truncate(third.0.start));
    // Nothing is left that says how far the log went: that is a torn tail.
    check(&cut, 3, &[], "cut");
}

/// What no sync is known to cover is not given from behind a bad place; where it follows in order it is.
#[test]
fn unsynced_frames_are_given_only_where_they_follow() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options().segment_bytes_max(1 << 20));
    for number in 0..20_u8 {
        let durability = if number < 10 { Durability::Durable } else { Durability::Flushed };
        log.append(&row(&[number; 200]), with(durability)).unwrap();
    }
    let disk = disk_of(&files(&disk));
    drop(log);
    let path = segments(&disk).pop().unwrap();
    let frames = frames(&disk, &path);
    assert_eq!(frames.len(), 21);
    check(&disk, 21, &[], "whole");
    let early = with_edit(&disk, &path, |bytes| bytes[frames[4].0.start] ^= 1);
    check(&early, 21, &[4..5], "below the durable end");
    let late = with_edit(&disk, &path, |bytes| bytes[frames[15].0.start] ^= 1);
    check(&late, 15, &[], "above the durable end");
    let both = with_edit(&disk, &path, |bytes| {
        bytes[frames[4].0.start] ^= 1;
        bytes[frames[15].0.start] ^= 1;
    });
    check(&both, 15, &[4..5], "both");
    let across = with_edit(&disk, &path, |bytes| bytes[frames[9].0.start..frames[13].0.end].fill(0));
    check(&across, 11, &[9..11], "across the durable end");
}

/// The frames of a batch that was durable are given one by one.
#[test]
fn a_batch_with_a_bad_frame_gives_the_others() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options().segment_bytes_max(1 << 20));
    let rows: Vec<_> = (0..90_u8).map(|number| [number; 200]).collect();
    let rows: Vec<_> = rows.iter().map(|payload| row(payload)).collect();
    log.append_batch(&rows, with(Durability::Durable)).unwrap();
    log.append(&row(&[0; 200]), with(Durability::Durable)).unwrap();
    drop(log);
    let disk = disk_of(&files(&disk));
    let path = segments(&disk).pop().unwrap();
    let frames = frames(&disk, &path);
    assert!(frames.len() >= 5, "{frames:?}");
    for index in 1..frames.len() {
        let damaged = with_edit(&disk, &path, |bytes| bytes[frames[index].0.start + 30] ^= 8);
        check(&damaged, 92, &[frames[index].1.clone()], &format!("frame {index}"));
    }
}

/// Bytes of an earlier life of the log that come back are not taken for its records where a later life contradicts them.
#[test]
fn a_later_life_is_believed_over_an_earlier_one() {
    let disk = unclosed(30, 1 << 20);
    let path = segments(&disk).pop().unwrap();
    let old = disk.read_file(&path).unwrap();
    let earlier = frames(&disk, &path);
    // The last ten records are torn away, and longer ones written in their place in the next epoch.
    edit(&disk, &path, |bytes| bytes.truncate(earlier[21].0.start));
    let log = Log::open(&host(disk.clone()), dir(), &options().segment_bytes_max(1 << 20)).unwrap();
    for number in 100..110_u8 {
        log.append(&row(&[number; 700]), with(Durability::Durable)).unwrap();
    }
    drop(log);
    let disk = disk_of(&files(&disk));
    let later = frames(&disk, &path);
    let end = later.last().unwrap().1.end;
    check(&disk, end, &[], "before");
    let stale = |range: Range<usize>, also: usize| {
        with_edit(&disk, &path, |bytes| {
            bytes[range.clone()].copy_from_slice(&old[range.clone()]);
            bytes[also] ^= 1;
        })
    };
    // Behind a frame of the later life the earlier one is refused by its epoch.
    let (from, to) = (earlier[25].0.start, earlier[28].0.end);
    let hit: Vec<_> = later.iter().filter(|(bytes, _)| bytes.start < to && bytes.end > from).collect();
    let lost = hit[0].1.start..hit[hit.len() - 1].1.end;
    check(&stale(from..to, earlier[3].0.start), end, &[3..4, lost], "behind the later life");
    // Behind a bad place that hides where the later life began, by the frames of the later life behind it.
    let (from, to) = (earlier[21].0.start, earlier[24].0.end);
    let hit: Vec<_> = later.iter().filter(|(bytes, _)| bytes.start < to && bytes.end > from).collect();
    assert!(hit[hit.len() - 1].1.end < 25, "the earlier life went further: {hit:?}");
    let lost = 20..hit[hit.len() - 1].1.end;
    check(&stale(from..to, earlier[20].0.start), end, &[lost], "before the later life");
}

/// Sealed segments: the footer, the index, a page of it, the header, and frames in the middle.
#[test]
fn a_sealed_segment_gives_what_validates_whatever_else_of_it_is_damaged() {
    let disk = closed(120, 8 << 10);
    let paths = segments(&disk);
    assert!(paths.len() >= 4);
    let end = LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap().end().0;
    for path in &paths[1..3] {
        let frames = frames(&disk, path);
        let segment = open_for_reading(&disk, path);
        let footer = segment.read_summary().unwrap().unwrap().footer;
        let middle = frames[frames.len() / 2].clone();
        let positions = || [middle.1.clone()];
        let page = footer.pages[0].offset as usize;
        let harms: [(&str, Vec<usize>); 4] = [
            ("footer", vec![footer.offset as usize]),
            ("trailer", vec![disk.read_file(path).unwrap().len() - 1]),
            ("page", vec![page]),
            ("header", vec![20]),
        ];
        for (name, harm) in &harms {
            let damaged = with_edit(&disk, path, |bytes| harm.iter().for_each(|at| bytes[*at] ^= 1));
            check(&damaged, end, &[], name);
            edit(&damaged, path, |bytes| bytes[middle.0.start] ^= 1);
            check(&damaged, end, &positions(), &format!("{name} and a frame"));
        }
        let all = with_edit(&disk, path, |bytes| {
            harms.iter().flat_map(|(_, harm)| harm).for_each(|at| bytes[*at] ^= 1);
            bytes[middle.0.start] ^= 1;
        });
        check(&all, end, &positions(), "everything");
        let none = with_edit(&disk, path, |bytes| bytes.fill(0));
        check(&none, end, &[frames[0].1.start..frames[frames.len() - 1].1.end], "zeros alone");
    }
}

/// The records of a newest segment once were lost with its header, although secret and log id are in every segment's and
/// its number and base follow from the one before.
#[test]
fn a_lost_header_of_the_newest_segment_loses_no_record() {
    for disk in [closed(60, 4 << 10), unclosed(60, 4 << 10)] {
        let end = LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap().end().0;
        let path = segments(&disk).pop().unwrap();
        let frames = frames(&disk, &path);
        let header_len = frames[0].0.start;
        for at in [0, 8 + 4, 20, 40, 50, 57, header_len - 8] {
            let damaged = with_edit(&disk, &path, |bytes| bytes[at] ^= 0x40);
            check(&damaged, end, &[], &format!("byte {at} of the header"));
            let snapshot = LogReader::open(&host(damaged.clone()), dir()).unwrap().snapshot().unwrap();
            assert!(snapshot.is_damaged(), "byte {at}");
            let mut cursor = snapshot.cursor(&Query { engine: true, ..Query::new() });
            let error = loop {
                if let Err(error) = cursor.next().expect("the damage was passed over") {
                    break error;
                }
            };
            assert!(error.is_damage(), "{error:?}");
            assert!(Log::open(&host(damaged.clone()), dir(), &options()).unwrap_err().is_damage());
            edit(&damaged, &path, |bytes| bytes[frames[1].0.start] ^= 1);
            check(&damaged, end, &[frames[1].1.clone()], &format!("byte {at} of the header, and a frame"));
        }
        let zeroed = with_edit(&disk, &path, |bytes| bytes[..header_len].fill(0));
        check(&zeroed, end, &[], "no header");
        // The two newest at once, the segment before them being sound.
        let older = segments(&disk).into_iter().rev().nth(1).unwrap();
        edit(&zeroed, &older, |bytes| bytes[..64].fill(0));
        check(&zeroed, end, &[], "two headers");
    }
    // Alone there is nothing to make a header from.
    let alone = closed(3, 1 << 20);
    let path = segments(&alone).pop().unwrap();
    edit(&alone, &path, |bytes| bytes[20] ^= 1);
    assert!(LogReader::open(&host(alone.clone()), dir()).unwrap_err().is_damage());
}

/// A frame of a later version directly behind a bad header once showed as damage to a reader that asked for gaps.
#[test]
fn a_newer_frame_behind_a_bad_header_is_newer_in_every_segment() {
    for disk in [closed(60, 4 << 10), unclosed(60, 4 << 10)] {
        for path in segments(&disk) {
            let frames = frames(&disk, &path);
            let (bad, newer) = (frames[1].0.start, frames[2].0.start);
            for flip in [bad, bad + 70] {
                let damaged = with_edit(&disk, &path, |bytes| {
                    bytes[newer + 12] = 64;
                    let seed = open_for_reading(&disk, &path).seed().clone();
                    let checksum = seed.checksum(newer as u64, &bytes[newer + 8..newer + 64]);
                    bytes[newer + 4..newer + 8].copy_from_slice(&checksum.to_le_bytes());
                    bytes[flip] ^= 1;
                });
                for order in [Order::Ascending, Order::Descending] {
                    let error = read(&damaged, order).unwrap_err();
                    assert!(error.is_newer() && !error.is_damage(), "{}, {order:?}: {error:?}", path.display());
                }
            }
        }
    }
}

/// A payload may hold whole frames of its own segment; nothing looks into the body of a valid header for them.
#[test]
fn frames_carried_in_a_payload_are_never_given() {
    let disk = unclosed(10, 1 << 20);
    let path = segments(&disk).pop().unwrap();
    let frames = frames(&disk, &path);
    let segment = open_for_reading(&disk, &path);
    let bytes = disk.read_file(&path).unwrap();
    // The last frame's body is replaced by a frame that is valid right there, claiming positions behind the last one.
    let last = frames.last().unwrap().clone();
    let at = last.0.start as u64 + FRAME_HEADER_LEN;
    let mut carried = Vec::new();
    let mut header = FrameHeader::decode(&bytes[last.0.start..], segment.seed(), last.0.start as u64).unwrap();
    header.base = Position(9);
    header.durable_end = Position(9);
    header.stored_len = 100;
    header.plain_len = 100;
    header.encode(&[0; 100], segment.seed(), at, &mut carried);
    let damaged = with_edit(&disk, &path, |bytes| {
        bytes[frames[5].0.start] ^= 1;
        bytes[at as usize..at as usize + carried.len()].copy_from_slice(&carried);
    });
    check(&damaged, 11, &[5..6, 10..11], "carried");
}

/// A medium that cannot be written gives the same.
#[test]
fn a_damaged_log_is_read_where_nothing_can_be_written() {
    let disk = unclosed(70, 4 << 10);
    let paths: Vec<PathBuf> = segments(&disk);
    let newest = paths.last().unwrap();
    let frames = frames(&disk, newest);
    edit(&disk, newest, |bytes| {
        bytes[20] ^= 1;
        bytes[frames[1].0.start] ^= 1;
    });
    common::remove(&disk, &paths[1]);
    let lost = open_for_reading(&disk, &paths[2]).header().base.0;
    let from = open_for_reading(&disk, &paths[0]).read_summary().unwrap().unwrap().footer.end.0;
    let end = frames.last().unwrap().1.end;
    check(&disk, end, &[from..lost, frames[1].1.clone()], "a missing segment, a lost header and a bad frame");
}

/// Harm of any sort anywhere, several places at once: both directions agree, every position is given once or in a gap, and
/// what is given is what was written.
#[test]
fn whatever_is_harmed_every_position_is_given_as_it_was_or_named() {
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut read_count, mut gap_count) = (0, 0);
    for (disk, rounds) in [(closed(90, 8 << 10), 150), (unclosed(90, 8 << 10), 150), (unclosed(60, 1 << 20), 150)] {
        let expected = common::all(&LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap());
        let paths = segments(&disk);
        for round in 0..rounds {
            let harmed = disk_of(&files(&disk));
            let mut label = format!("round {round}");
            for _ in 0..=random(3) {
                let path = &paths[random(paths.len())];
                let Ok(len) = harmed.read_file(path).map(|bytes| bytes.len()) else { continue };
                if len == 0 {
                    continue;
                }
                let (sort, at, block) = (random(6), random(len), 8 << random(10));
                label = format!("{label}, {sort} at {at} of {} by {block}", path.display());
                edit(&harmed, path, |bytes| {
                    let end = (at + block).min(len);
                    match sort {
                        0 | 1 => bytes[at] ^= 1 << random(8),
                        2 => bytes[at..end].fill(0),
                        3 => bytes.truncate(at),
                        // A misplaced piece of the same file.
                        4 => {
                            let from = random(len - (end - at) + 1);
                            bytes.copy_within(from..from + (end - at), at);
                        }
                        _ => bytes[at..end].fill(0xff),
                    }
                });
            }
            let ascending = match read(&harmed, Order::Ascending) {
                Ok(read) => read,
                Err(error) => {
                    // A version byte is looked at before any checksum; with every header gone there is no log.
                    assert!(error.is_newer() || error.is_damage(), "{label}: {error:?}");
                    continue;
                }
            };
            assert_eq!(read(&harmed, Order::Descending).unwrap(), ascending, "{label}");
            let (given, gaps) = ascending;
            read_count += 1;
            gap_count += gaps.len();
            let mut seen: Vec<u64> = given.iter().copied().chain(gaps.into_iter().flatten()).collect();
            seen.sort_unstable();
            let end = seen.len() as u64;
            assert_eq!(seen, (0..end).collect::<Vec<_>>(), "{label}");
            let snapshot = LogReader::open(&host(harmed), dir()).unwrap().snapshot().unwrap();
            for position in given {
                let found = snapshot.get(Position(position), |record| {
                    (record.position.0, record.kind, record.payload().unwrap().to_vec())
                });
                assert_eq!(found.unwrap().as_ref(), expected.get(position as usize), "{label}");
            }
        }
    }
    assert!(read_count > 350 && gap_count > 200, "{read_count} read, {gap_count} gaps");
}
