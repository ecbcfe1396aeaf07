//! What the tests of this crate have in common: options, rows, and reading a log whole.
#![allow(dead_code, reason = "each test file uses a part of it")]

use bulla_log::{AppendOptions, Durability, Item, Log, LogError, LogOptions, NewRow, Query, Snapshot};
use bulla_vfs::{Host, ManualClock, MemVfs, OpenMode, SeededRandom, Vfs};
use bulla_wire::{FrameHeader, Kind, LogId, Position, SchemaId, Time};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const ID: LogId = LogId([7; 16]);

pub(crate) fn dir() -> &'static Path {
    Path::new("/log")
}

/// A host whose clock and randomness repeat.
pub(crate) fn host(fs: impl Vfs + 'static) -> Host {
    Host::new(Arc::new(fs), Arc::new(ManualClock::new(1_000)), Arc::new(SeededRandom::new(1)))
}

pub(crate) fn options() -> LogOptions {
    LogOptions::new().segment_bytes_max(4 << 10).origin("test/log")
}

pub(crate) fn row(payload: &[u8]) -> NewRow<'_> {
    NewRow { kind: Kind::ROW, time: Time(5), schema: SchemaId(1), payload }
}

pub(crate) fn with(durability: Durability) -> AppendOptions {
    AppendOptions { durability, ..AppendOptions::default() }
}

/// Creates the log on a disk that keeps the name of its directory.
pub(crate) fn create(fs: impl Vfs + 'static, options: &LogOptions) -> Log {
    let host = host(fs);
    let log = Log::create(&host, dir(), ID, options).unwrap();
    host.fs.sync_dir(Path::new("/")).unwrap();
    log
}

pub(crate) fn open(disk: &MemVfs) -> Result<Log, LogError> {
    Log::open(&host(disk.clone()), dir(), &options())
}

/// A record as the tests compare it.
pub(crate) type Row = (u64, Kind, Vec<u8>);

/// Every record that `query` asks for.
pub(crate) fn read(snapshot: &Snapshot, query: &Query) -> Result<Vec<Row>, LogError> {
    let mut cursor = snapshot.cursor(query);
    let mut rows = Vec::new();
    while let Some(item) = cursor.next() {
        match item? {
            Item::Record(record) => {
                rows.push((record.position.0, record.kind, record.payload().unwrap_or_default().to_vec()));
            }
            Item::Gap(gap) => panic!("gap {gap:?}"),
        }
    }
    Ok(rows)
}

/// The caller's records.
pub(crate) fn rows(snapshot: &Snapshot) -> Vec<(u64, Vec<u8>)> {
    let rows = read(snapshot, &Query::new()).unwrap();
    rows.into_iter().map(|(position, _, payload)| (position, payload)).collect()
}

/// All records, the engine's too; their positions must be dense.
pub(crate) fn all(snapshot: &Snapshot) -> Vec<Row> {
    let rows = read(snapshot, &Query { engine: true, ..Query::new() }).unwrap();
    for (expected, (position, ..)) in (snapshot.floor().0..).zip(&rows) {
        assert_eq!(*position, expected, "positions are dense");
    }
    assert_eq!(Position(snapshot.floor().0 + rows.len() as u64), snapshot.end());
    rows
}

/// Every file below the root, by path.
pub(crate) fn files(disk: &MemVfs) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut files, mut todo) = (BTreeMap::new(), vec![PathBuf::from("/")]);
    while let Some(dir) = todo.pop() {
        for entry in disk.list(&dir).unwrap() {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                todo.push(path);
            } else {
                files.insert(path.clone(), disk.read_file(&path).unwrap());
            }
        }
    }
    files
}

/// A disk with these files, all of them durable.
pub(crate) fn disk_of(files: &BTreeMap<PathBuf, Vec<u8>>) -> MemVfs {
    let disk = MemVfs::new();
    for (path, bytes) in files {
        let mut parents: Vec<_> = path.ancestors().skip(1).filter(|parent| parent.file_name().is_some()).collect();
        parents.reverse();
        for parent in parents {
            match disk.create_dir(parent) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => panic!("{error}"),
                Ok(()) | Err(_) => {}
            }
        }
        disk.write_file(path, bytes).unwrap();
    }
    disk
}

/// The segment files of the log, oldest first.
pub(crate) fn segments(disk: &MemVfs) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "seg");
    files(disk).into_keys().filter(is_segment).collect()
}

/// Changes a file in place.
pub(crate) fn edit(disk: &MemVfs, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = disk.read_file(path).unwrap();
    change(&mut bytes);
    disk.write_file(path, &bytes).unwrap();
}

/// Removes a file durably.
pub(crate) fn remove(disk: &MemVfs, path: &Path) {
    disk.remove_file(path).unwrap();
    disk.sync_dir(dir()).unwrap();
}

pub(crate) fn open_for_reading(disk: &MemVfs, path: &Path) -> bulla_segment::SegmentFile {
    bulla_segment::SegmentFile::open(&host(disk.clone()), path, OpenMode::Read).unwrap()
}

/// The frames of a segment, by offset.
pub(crate) fn frames(disk: &MemVfs, path: &Path) -> Vec<(u64, FrameHeader)> {
    let segment = open_for_reading(disk, path);
    let bytes = disk.read_file(path).unwrap();
    let (mut found, mut offset) = (Vec::new(), segment.frames_offset());
    while let Ok(header) = FrameHeader::decode(&bytes[usize::try_from(offset).unwrap()..], segment.seed(), offset) {
        found.push((offset, header.clone()));
        offset += header.frame_len();
    }
    found
}
