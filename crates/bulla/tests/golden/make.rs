//! How the states were made. A state that is kept stays as it is, whatever becomes of the code here.

use bulla::vfs::{SeededRandom, Vfs};
use bulla::wire::{FRAME_HEADER_LEN, FrameHeader, Kind, Role, SegmentHeader};
use bulla::{
    Durability, Host, ManualClock, MemVfs, Options, Raw, RepairOptions, RowOptions, Store, Table, TableOptions, repair,
};
use bulla_testkit::{Edited, mend_frame, mend_segment_header};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const STORE: &str = "/shop";
/// Too little room for a reserve, whose content means nothing.
const CAPACITY: u64 = 4 << 20;
/// Zeros that are kept of those that a writer writes ahead, where they are not what the state is about.
const ZEROS_KEPT: usize = 96;
/// Where in a frame header its fields begin, and where the last of them ends.
const FRAME_FIELDS: [usize; 14] = [4, 8, 12, 14, 15, 16, 20, 24, 28, 32, 40, 48, 56, 64];

/// The files of a store, by their paths in it.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

type Make = fn() -> Files;
type State = (&'static str, &'static str, Make);

pub(crate) const STATES: &[State] = &[
    ("clean", "two segments, closed", || closed(false)),
    ("clean-erasable", "the same, each row with a salt", || closed(true)),
    ("unclean", "not closed; a mark behind the last frame", || trimmed(unclosed())),
    ("unclean-flushed", "not closed; the last two frames were flushed and never synced", || flushed()),
    ("zero-tail", "not closed, with the first 64 KiB of the zeros that were written ahead", || {
        let mut files = trimmed(unclosed());
        let newest = path(&files, NEWEST);
        files.insert(newest.clone(), unclosed()[&newest][..64 << 10].to_vec());
        files
    }),
    ("closed-zeros-behind", "a close frame, and zeros behind it that its cut did not remove", || {
        edited(closed(false), NEWEST, |bytes| bytes.resize(bytes.len() + 300, 0))
    }),
    ("close-cut", "a power cut while the log was closed: half of the close frame is there", || {
        edited(closed(false), NEWEST, |bytes| bytes.truncate(bytes.len() - 100))
    }),
    ("close-index-lost", "a close frame whose index page is wrong", || {
        edited(closed(false), NEWEST, |bytes| {
            let index = frame_with(bytes, |frame| frame.role == Role::Index);
            bytes[index + 70] ^= 1;
        })
    }),
    ("segment-header-cut-000", "the newest segment is empty", || header_cut(0)),
    ("segment-header-cut-008", "the newest segment ends behind its magic", || header_cut(8)),
    ("segment-header-cut-048", "the newest segment ends behind its secret", || header_cut(48)),
    ("segment-header-cut-064", "the newest segment ends behind its base", || header_cut(64)),
    ("segment-header-cut-120", "the newest segment ends before its frontier", || header_cut(120)),
    ("segment-header-cut-144", "the newest segment ends in its frontier", || header_cut(144)),
    ("segment-header-alone", "the newest segment has a header and no seal", || {
        edited(rotated(), NEWEST, |bytes| bytes.truncate(header_len(bytes)))
    }),
    ("segment-header-zeros", "the newest segment is zeros alone", || {
        edited(rotated(), NEWEST, |bytes| {
            bytes.truncate(512);
            bytes.fill(0);
        })
    }),
    ("frame-cut-004", "the last frame ends behind its magic", || frame_cut(0)),
    ("frame-cut-008", "the last frame ends behind its header checksum", || frame_cut(1)),
    ("frame-cut-012", "the last frame ends behind its body checksum", || frame_cut(2)),
    ("frame-cut-014", "the last frame ends behind its flags", || frame_cut(3)),
    ("frame-cut-015", "the last frame ends behind its codec", || frame_cut(4)),
    ("frame-cut-016", "the last frame ends behind its reserved byte", || frame_cut(5)),
    ("frame-cut-020", "the last frame ends behind its stored length", || frame_cut(6)),
    ("frame-cut-024", "the last frame ends behind its plain length", || frame_cut(7)),
    ("frame-cut-028", "the last frame ends behind its record count", || frame_cut(8)),
    ("frame-cut-032", "the last frame ends behind its epoch", || frame_cut(9)),
    ("frame-cut-040", "the last frame ends behind its base", || frame_cut(10)),
    ("frame-cut-048", "the last frame ends behind its durable end", || frame_cut(11)),
    ("frame-cut-056", "the last frame ends behind its least time", || frame_cut(12)),
    ("frame-cut-064", "the last frame ends behind its header", || frame_cut(13)),
    ("frame-body-cut", "the last frame ends in its body", || {
        edited(flushed(), NEWEST, |bytes| {
            let last = last_data(bytes);
            bytes.truncate(last + FRAME_HEADER_LEN as usize + 5);
        })
    }),
    ("frames-end", "the file ends between two frames", || {
        edited(flushed(), NEWEST, |bytes| bytes.truncate(last_data(bytes)))
    }),
    ("run-cut", "a batch of several frames, of which only the first is there", || {
        edited(with_run(), NEWEST, |bytes| {
            let first = frame_with(bytes, |frame| frame.role == Role::Data { more: true });
            let (frame, ..) = frames(bytes).into_iter().find(|(_, start, _)| *start == first).unwrap();
            bytes.truncate(first + frame.frame_len() as usize);
        })
    }),
    ("reordered-tail", "a hole where a frame must be, and a whole frame behind it; none was proven durable", || {
        edited(flushed(), NEWEST, |bytes| {
            let data = data_frames(bytes);
            let hole = data[data.len() - 2]..data[data.len() - 1];
            bytes[hole].fill(0);
        })
    }),
    ("rotation-footer-cut", "a power cut while a segment was sealed: half of the footer is there", || {
        let mut files = rotated();
        files.remove(Path::new(&path(&files, NEWEST)));
        edited(files, NEWEST, |bytes| bytes.truncate(bytes.len() - 100))
    }),
    ("rotation-sealed", "a sealed segment without a successor", || {
        let mut files = rotated();
        files.remove(Path::new(&path(&files, NEWEST)));
        files
    }),
    ("rotation-zeros-behind", "a sealed segment without a successor, and zeros behind it", || {
        let mut files = rotated();
        files.remove(Path::new(&path(&files, NEWEST)));
        edited(files, NEWEST, |bytes| bytes.resize(bytes.len() + 300, 0))
    }),
    ("rotation-next-tmp", "a segment that was being prepared and not named yet", || {
        let mut files = rotated();
        let newest = path(&files, NEWEST);
        let bytes = files.remove(&newest).unwrap();
        files.insert(newest.with_file_name("next.tmp"), bytes[..100].to_vec());
        files
    }),
    ("store-creation-interrupted", "a journal with its genesis and nothing else", || {
        let mut files = trimmed(unclosed());
        files.retain(|path, _| path.starts_with("journal"));
        edited(files, JOURNAL, |bytes| bytes.truncate(data_frames(bytes)[1]))
    }),
    ("table-creation-interrupted", "a log that no row of the journal names, and that holds no row", || {
        let mut files = closed(false);
        let bytes = files[&path(&files, SEALED)].clone();
        let header = header_len(&bytes);
        let genesis_end = frames(&bytes)[1].1;
        let mut blank = bytes[..genesis_end].to_vec();
        // Another log: its id is in header and genesis.
        blank[16] ^= 1;
        mend_segment_header(&mut blank, header);
        let dir = PathBuf::from("tables/late/00000000000000000000000000000001");
        files.insert(dir.join("00000000000000000000.seg"), blank);
        files
    }),
    ("quarantine-without-record", "recovery set a torn tail aside and cut it, and no record says so yet", || {
        let torn = frame_cut(13);
        let disk = disk_of(&torn);
        let store = Options::new().host(host_on(&disk)).open(STORE).unwrap();
        store.raw_view("rows").unwrap();
        let after = files_of(&disk);
        let mut files = edited(torn, NEWEST, |bytes| bytes.truncate(last_data_end(bytes)));
        files.extend(after.into_iter().filter(|(path, _)| path.parent().unwrap().ends_with("quarantine")));
        files
    }),
    ("recovered", "a torn tail was set aside, and a record says so; closed", || {
        let disk = disk_of(&frame_cut(13));
        let store = Options::new().host(host_on(&disk)).open(STORE).unwrap();
        store.raw_view("rows").unwrap();
        store.close().unwrap();
        files_of(&disk)
    }),
    ("repaired", "what a repair made of a store that had lost a row in a sealed segment", || repaired("damage-sealed")),
    ("checkpointed", "two segments, closed, with a checkpoint at the seal and one at the end", || closed(false)),
    ("checkpointed-erasable", "the same, each row with a salt", || closed(true)),
    ("checkpointed-unclosed", "a checkpoint at the seal, and not closed", || trimmed(unclosed())),
    ("checkpointed-repaired", "what a repair made of a store that had lost a row", || repaired("damage-sealed")),
    ("repaired-tail", "what a repair made of a store that had lost its newest segment", || repaired("missing-newest")),
    ("damage-active", "a flipped bit below the durable end of a segment that was not closed", || {
        edited(trimmed(unclosed()), NEWEST, |bytes| {
            let first = data_frames(bytes)[0];
            bytes[first + 70] ^= 1;
        })
    }),
    ("damage-active-header", "a flipped bit in the header of the newest segment", || {
        edited(closed(false), NEWEST, |bytes| bytes[20] ^= 1)
    }),
    ("damage-sealed", "a flipped bit in a sealed segment", || {
        edited(closed(false), SEALED, |bytes| {
            let second = data_frames(bytes)[1];
            bytes[second + 70] ^= 1;
        })
    }),
    ("damage-sealed-header", "a flipped bit in the header of a sealed segment", || {
        edited(closed(false), SEALED, |bytes| bytes[20] ^= 1)
    }),
    ("damage-footer", "a flipped bit in a footer", || {
        edited(closed(false), SEALED, |bytes| {
            let footer = frame_with(bytes, |frame| frame.role == Role::Footer);
            bytes[footer + 100] ^= 1;
        })
    }),
    ("damage-journal", "a flipped bit in the journal", || {
        edited(closed(false), JOURNAL, |bytes| {
            let first = data_frames(bytes)[1];
            bytes[first + 70] ^= 1;
        })
    }),
    ("missing-middle", "the middle one of three segments is gone", || {
        let mut files = three_segments();
        let paths = table_paths(&files);
        files.remove(&paths[1]);
        files
    }),
    ("missing-oldest", "the oldest of three segments is gone", || {
        let mut files = three_segments();
        let paths = table_paths(&files);
        files.remove(&paths[0]);
        files
    }),
    ("missing-newest", "the newest segment is gone, and the journal holds its head", || {
        let mut files = closed(false);
        files.remove(&path(&files, NEWEST));
        files
    }),
    ("missing-rows", "rows cut off the end, with a close frame's place, and the journal holds their head", || {
        edited(closed(false), NEWEST, |bytes| bytes.truncate(last_data(bytes)))
    }),
    ("missing-journal", "the journal is gone", || {
        let mut files = closed(false);
        files.retain(|path, _| !path.starts_with("journal"));
        files.insert(PathBuf::from("LOCK"), Vec::new());
        files
    }),
    ("missing-table", "a table's directory is gone", || {
        let mut files = closed(false);
        files.retain(|path, _| !path.starts_with("tables"));
        files
    }),
    ("tampered-segment-of-another-log", "a sealed segment of another log in the place of this one's", || {
        edited(closed(false), SEALED, |bytes| {
            let mut edited = Edited::parse(bytes);
            edited.header.log.0[0] ^= 1;
            *bytes = edited.bytes();
        })
    }),
    ("tampered-row", "a row changed and its checksums put right", || {
        edited(closed(false), SEALED, |bytes| {
            let mut edited = Edited::parse(bytes);
            edited.replace(1, b"row 0", b"raw 0");
            *bytes = edited.bytes();
        })
    }),
    ("tampered-footer", "a count in a footer changed and its checksums put right", || {
        edited(closed(false), SEALED, |bytes| {
            let mut edited = Edited::parse(bytes);
            edited.edit_footer(|footer| footer.payload_bytes += 1);
            *bytes = edited.bytes();
        })
    }),
    ("newer-segment", "the newest segment is of a later version", || {
        edited(closed(false), NEWEST, |bytes| {
            bytes[8] = 2;
            let header = header_len(bytes);
            mend_segment_header(bytes, header);
        })
    }),
    ("newer-frame-flag", "a frame with a flag that this version does not know", || {
        mended_frame(|bytes, last| bytes[last + 12] = 32)
    }),
    ("newer-frame-codec", "a frame with a codec that this version does not know", || {
        mended_frame(|bytes, last| bytes[last + 14] = 9)
    }),
    ("newer-kind", "a record of a kind of the engine's that this version does not know", || {
        mended_frame(|bytes, last| {
            // The tag says that a kind follows; it takes the place of the schema, which is as long.
            let body = last + FRAME_HEADER_LEN as usize;
            bytes[body] = 1;
            bytes[body + 1] = Kind::GENESIS.0 + 7;
        })
    }),
    ("newer-tag", "a record with a tag bit that this version does not know", || {
        mended_frame(|bytes, last| bytes[last + FRAME_HEADER_LEN as usize] |= 0x80)
    }),
    ("newer-journal-row", "a journal row of a variant that this version does not know", || {
        edited(trimmed(unclosed()), JOURNAL, |bytes| {
            let seed = SegmentHeader::decode(bytes).unwrap().seed();
            let last = last_data(bytes);
            let (frame, ..) = frames(bytes).into_iter().find(|(_, start, _)| *start == last).unwrap();
            let body =
                last + FRAME_HEADER_LEN as usize..last + (FRAME_HEADER_LEN + u64::from(frame.stored_len)) as usize;
            // The row's first byte comes right before the table's name and its length.
            let name = bytes[body.clone()].windows(4).position(|window| window == b"rows").unwrap();
            bytes[body.start + name - 2] = 5;
            mend_frame(bytes, &seed, last);
        })
    }),
    ("unsupported-codec", "a frame stored with a codec of this version that no build has yet", || {
        mended_frame(|bytes, last| {
            bytes[last + 14] = 1;
            let plain = u32::from_le_bytes(bytes[last + 20..last + 24].try_into().unwrap()) + 1;
            bytes[last + 20..last + 24].copy_from_slice(&plain.to_le_bytes());
        })
    }),
];

/// Which file of a store.
const JOURNAL: &str = "journal";
/// The table's oldest segment.
const SEALED: &str = "sealed";
/// The table's newest segment.
const NEWEST: &str = "newest";

fn table_paths(files: &Files) -> Vec<PathBuf> {
    let is_segment = |path: &&PathBuf| path.starts_with("tables") && path.extension().is_some_and(|end| end == "seg");
    files.keys().filter(is_segment).cloned().collect()
}

fn path(files: &Files, which: &str) -> PathBuf {
    match which {
        JOURNAL => PathBuf::from("journal/00000000000000000000.seg"),
        SEALED => table_paths(files)[0].clone(),
        _ => table_paths(files).pop().unwrap(),
    }
}

fn edited(mut files: Files, which: &str, change: impl FnOnce(&mut Vec<u8>)) -> Files {
    let path = path(&files, which);
    change(files.get_mut(&path).unwrap());
    files
}

/// A store as it lies on the disk while it is open, and what is wanted of it is done with it.
struct Open {
    disk: MemVfs,
    store: Store,
    rows: Table<Vec<u8>, Raw>,
}

impl Open {
    fn new(erasable: bool) -> Self {
        let disk = MemVfs::new();
        disk.set_capacity(Some(CAPACITY));
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
        let host = Host::new(Arc::new(disk.clone()), clock, Arc::new(SeededRandom::new(1)));
        let store = Options::new().host(host).name("shop").open(STORE).unwrap();
        let rows = store.table_with("rows", &TableOptions::new().erasable(erasable)).unwrap();
        Self { disk, store, rows }
    }

    /// Appends rows whose times go up and down, the last of them waiting for no more than `last` says.
    fn append(&self, numbers: std::ops::Range<i64>, durability: Durability) {
        for number in numbers {
            let options = RowOptions::new().time(1_000 + number % 3).durability(durability);
            self.rows.append_with(&format!("row {number}, and some more of it").into_bytes(), &options).unwrap();
        }
    }

    fn files(&self) -> Files {
        files_of(&self.disk)
    }

    fn close(self) -> Files {
        let Self { disk, store, rows } = self;
        drop(rows);
        store.close().unwrap();
        files_of(&disk)
    }
}

/// A sealed segment with rows 0 to 3 and a batch, and one with row 3 behind the seal.
fn two_segments(erasable: bool) -> Open {
    let open = Open::new(erasable);
    open.append(0..3, Durability::Durable);
    open.rows.append_batch(&[b"one".to_vec(), b"two".to_vec()]).unwrap();
    open.rows.rotate().unwrap();
    open.append(3..5, Durability::Durable);
    open
}

fn closed(erasable: bool) -> Files {
    two_segments(erasable).close()
}

fn unclosed() -> Files {
    two_segments(false).files()
}

fn flushed() -> Files {
    let open = two_segments(false);
    open.append(5..7, Durability::Flushed);
    trimmed(open.files())
}

/// The newest segment holds its seal and nothing else.
fn rotated() -> Files {
    let open = Open::new(false);
    open.append(0..3, Durability::Durable);
    open.rows.rotate().unwrap();
    trimmed(open.files())
}

fn three_segments() -> Files {
    let open = two_segments(false);
    open.rows.rotate().unwrap();
    open.append(5..7, Durability::Durable);
    open.close()
}

fn with_run() -> Files {
    let open = two_segments(false);
    let large: Vec<Vec<u8>> = (0..3_u8).map(|number| vec![b'a' + number; 2_100]).collect();
    let options = RowOptions::new().durability(Durability::Flushed);
    open.rows.append_batch_with(large.iter(), &options).unwrap();
    trimmed(open.files())
}

/// The newest segment cut inside its header, before anything else of it was durable.
fn header_cut(len: usize) -> Files {
    edited(rotated(), NEWEST, |bytes| bytes.truncate(len))
}

/// The last frame, never synced, cut where a field of its header ends.
fn frame_cut(field: usize) -> Files {
    edited(flushed(), NEWEST, |bytes| bytes.truncate(last_data(bytes) + FRAME_FIELDS[field]))
}

/// What a repair makes of another state.
fn repaired(state: &str) -> Files {
    let (.., make) = STATES.iter().find(|(name, ..)| *name == state).unwrap();
    let disk = disk_of(&make());
    disk.rename(Path::new(STORE), Path::new("/damaged")).unwrap();
    let options = RepairOptions {
        into: Some(STORE.into()),
        who: "an operator".to_owned(),
        reason: "a bad disk".to_owned(),
        host: host_on(&disk),
        ..RepairOptions::default()
    };
    assert!(repair("/damaged", &options, &mut |_| {}).unwrap().into.is_some(), "{state} needs no repair");
    files_of(&disk)
}

/// The last frame changed, with its checksums put right.
fn mended_frame(change: impl FnOnce(&mut [u8], usize)) -> Files {
    edited(flushed(), NEWEST, |bytes| {
        let (seed, last) = (SegmentHeader::decode(bytes).unwrap().seed(), last_data(bytes));
        change(bytes, last);
        mend_frame(bytes, &seed, last);
    })
}

/// Without most of the zeros that a writer writes ahead.
fn trimmed(mut files: Files) -> Files {
    for bytes in files.values_mut() {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(bytes.len().min(end.next_multiple_of(8) + ZEROS_KEPT));
    }
    files
}

fn header_len(bytes: &[u8]) -> usize {
    SegmentHeader::len_at(bulla::Position(u64::from_le_bytes(bytes[56..64].try_into().unwrap()))) as usize
}

/// The frames at the beginning of a segment file, with where each begins and ends.
fn frames(bytes: &[u8]) -> Vec<(FrameHeader, usize, usize)> {
    let seed = SegmentHeader::decode(bytes).unwrap().seed();
    let (mut offset, mut found) = (header_len(bytes), Vec::new());
    while let Some(Ok(header)) = bytes.get(offset..).map(|rest| FrameHeader::decode(rest, &seed, offset as u64)) {
        let end = offset + header.frame_len() as usize;
        found.push((header, offset, end));
        offset = end;
    }
    found
}

fn frame_with(bytes: &[u8], is_wanted: impl Fn(&FrameHeader) -> bool) -> usize {
    frames(bytes).into_iter().find(|(header, ..)| is_wanted(header)).unwrap().1
}

fn data_frames(bytes: &[u8]) -> Vec<usize> {
    let is_data = |header: &FrameHeader| matches!(header.role, Role::Data { .. });
    frames(bytes).into_iter().filter(|(header, ..)| is_data(header)).map(|(_, start, _)| start).collect()
}

fn last_data(bytes: &[u8]) -> usize {
    data_frames(bytes).pop().unwrap()
}

/// Where the last whole frame with records ends.
fn last_data_end(bytes: &[u8]) -> usize {
    let whole = frames(bytes)
        .into_iter()
        .rfind(|(header, _, end)| matches!(header.role, Role::Data { .. }) && *end <= bytes.len());
    whole.unwrap().2
}

/// A host on this disk, whose clock stands still.
pub(crate) fn host_on(disk: &MemVfs) -> Host {
    let clock = Arc::new(ManualClock::new(1_800_000_000_000_000_000));
    Host::new(Arc::new(disk.clone()), clock, Arc::new(SeededRandom::new(2)))
}

pub(crate) fn disk_of(files: &Files) -> MemVfs {
    let disk = MemVfs::new();
    disk.set_capacity(Some(CAPACITY));
    for (path, bytes) in files {
        let path = Path::new(STORE).join(path);
        let above: Vec<_> = path.ancestors().skip(1).collect();
        for dir in above.into_iter().rev().filter(|dir| disk.metadata(dir).is_err()) {
            disk.create_dir(dir).unwrap();
        }
        disk.write_file(&path, bytes).unwrap();
    }
    disk
}

/// What is on a disk, but for the lock file, whose content means nothing.
fn files_of(disk: &MemVfs) -> Files {
    fn collect(disk: &MemVfs, dir: &Path, files: &mut Files) {
        for entry in disk.list(dir).unwrap() {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                collect(disk, &path, files);
            } else if entry.name != "LOCK" {
                let bytes = disk.read_file(&path).unwrap();
                files.insert(path.strip_prefix(STORE).unwrap().to_owned(), bytes);
            }
        }
    }
    let mut files = Files::new();
    collect(disk, Path::new(STORE), &mut files);
    files
}
