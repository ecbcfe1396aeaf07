//! The segment's own header: a creation that was interrupted, damage, a later version, a wrong name.

use crate::failing::Failing;
use crate::support::{Image, disk, header, path};
use bulla_segment::{NEXT_TEMPORARY, Newest, SegmentError, SegmentFile};
use bulla_vfs::{Host, MemVfs, OpenMode, OsClock, OsRandom};
use std::path::Path;
use std::sync::Arc;

fn newest(bytes: &[u8], base: u64) -> Result<Newest, SegmentError> {
    let (disk, host) = disk();
    disk.write_file(&path(base), bytes).unwrap();
    SegmentFile::open_newest(&host, &path(base), OpenMode::Write)
}

/// The newest file is shorter than a header, or its header is invalid with only zeros or nothing beyond it.
#[test]
fn a_header_cut_short_or_lost_without_bytes_beyond_is_an_interrupted_creation() {
    for base in [0, 5] {
        let whole = header(base).encode();
        for len in 0..whole.len() {
            let found = newest(&whole[..len], base);
            assert!(matches!(found, Ok(Newest::Interrupted)), "base {base}, {len} bytes: {found:?}");
            if len == 8 {
                // The magic and zeros: a header of version 0, which the wire layer answers for.
                continue;
            }
            let mut zeros = whole[..len].to_vec();
            zeros.resize(whole.len() + 5_000, 0);
            let found = newest(&zeros, base);
            // The last four bytes are zeros anyway.
            let is_whole = zeros[..whole.len()] == whole;
            assert_eq!(matches!(found, Ok(Newest::Whole(_))), is_whole, "base {base}, {len} bytes: {found:?}");
            assert_eq!(matches!(found, Ok(Newest::Interrupted)), !is_whole, "base {base}, {len} bytes: {found:?}");
        }
        assert!(matches!(newest(&whole, base), Ok(Newest::Whole(_))));
    }
}

/// The header is invalid with other bytes beyond it.
#[test]
fn a_lost_header_before_other_bytes_is_damage() {
    let image = Image::synced(2);
    for at in [0, 20, 50, 100, 125] {
        let mut bytes = image.bytes.clone();
        bytes[at] ^= 1;
        let error = newest(&bytes, 0).unwrap_err();
        assert!(error.is_damage(), "byte {at}: {error:?}");
        // One byte far behind zeros is enough.
        bytes[128..].fill(0);
        bytes.resize(200_000, 0);
        assert!(matches!(newest(&bytes, 0), Ok(Newest::Interrupted)));
        bytes[199_999] = 1;
        assert!(newest(&bytes, 0).unwrap_err().is_damage());
    }
}

/// For a segment that is not the newest, nothing excuses a header that is none.
#[test]
fn only_the_newest_may_have_been_interrupted() {
    let (disk, host) = disk();
    disk.write_file(&path(0), &header(0).encode()[..50]).unwrap();
    let error = SegmentFile::open(&host, &path(0), OpenMode::Read).unwrap_err();
    assert!(error.is_damage(), "{error:?}");
    let error = SegmentFile::open(&host, &path(8), OpenMode::Read).unwrap_err();
    assert!(error.is_not_found() && !error.is_damage(), "{error:?}");
}

/// Law: an unknown version is newer, never damage, and nothing is concluded from the rest.
#[test]
fn a_later_version_is_newer_with_and_without_bytes_beyond() {
    for mut bytes in [header(0).encode(), Image::synced(2).bytes] {
        bytes[8] = 2;
        let error = newest(&bytes, 0).unwrap_err();
        assert!(error.is_newer() && !error.is_damage(), "{error:?}");
    }
}

/// A whole header under another segment's name passed for an interrupted creation as long as no frames followed: its
/// file would have been written anew in place of a segment that somebody misplaced.
#[test]
fn a_whole_header_under_another_name_is_damage() {
    for (base, name) in [(0, 8), (5, 4), (4, 5)] {
        let error = newest(&header(base).encode(), name).unwrap_err();
        assert!(error.is_damage(), "{base} under the name of {name}: {error:?}");
    }
}

/// S2: the name appears with the header whole and durable, also in place of what an interrupted creation left.
#[test]
fn a_created_segment_survives_power_loss_and_replaces_leftovers() {
    let (disk, host) = disk();
    disk.write_file(&Path::new("/").join(NEXT_TEMPORARY), &[7; 1_000]).unwrap();
    disk.write_file(&path(5), b"half a header").unwrap();
    let segment = SegmentFile::create(&host, Path::new("/"), header(5)).unwrap();
    assert_eq!((segment.path(), segment.header()), (path(5).as_path(), &header(5)));
    assert_eq!(disk.crash().read_file(&path(5)).unwrap(), header(5).encode());
    assert!(disk.crash().read_file(&Path::new("/").join(NEXT_TEMPORARY)).is_err());
}

/// A directory in which no file can be made is reported as what it is. The file that an interrupted creation left may be
/// taken instead only where it is what stands in the way.
#[test]
fn a_creation_that_is_refused_says_why() {
    for has_leftover in [false, true] {
        let disk = MemVfs::new();
        if has_leftover {
            disk.write_file(&Path::new("/").join(NEXT_TEMPORARY), b"half").unwrap();
        }
        let failing = Failing { disk, fails_at: u64::MAX, refuses_creation: true };
        let host = Host::new(Arc::new(failing), Arc::new(OsClock), Arc::new(OsRandom));
        let error = SegmentFile::create(&host, Path::new("/"), header(5)).unwrap_err();
        assert!(error.is_full(), "{error:?}");
    }
}

/// The longest header has a digest for each of 64 bits. Opening reads that much of a file and no more.
#[test]
fn the_longest_header_is_read_and_nothing_behind_it() {
    const LONGEST: u64 = 128 + 64 * 32;
    let (disk, host) = disk();
    for base in [0, u64::MAX] {
        let mut bytes = header(base).encode();
        bytes.resize(600_000, 7);
        disk.write_file(&path(base), &bytes).unwrap();
        let before = disk.operations().bytes_read;
        let segment = SegmentFile::open(&host, &path(base), OpenMode::Read).unwrap();
        assert_eq!(segment.header(), &header(base));
        assert!(disk.operations().bytes_read - before <= LONGEST);
    }
    assert_eq!(header(u64::MAX).encode().len() as u64, LONGEST);
}
