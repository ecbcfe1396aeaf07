//! The store that is tampered with, and all that is known of it before that.

use bulla::vfs::SeededRandom;
use bulla::{
    Host, Item, LogId, LogReader, ManualClock, MemVfs, Options, Query, Raw, RowOptions, Store, Table, TableOptions,
};
use bulla_testkit::Random;
use bulla_wire::{FRAME_HEADER_LEN, FrameHeader, FrameSeed, Position, Role, SegmentHeader};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const STORE: &str = "/shop";
/// Too little room for a reserve, whose content means nothing.
const CAPACITY: u64 = 4 << 20;
/// Bytes of zeros written ahead that are kept in a store that is not closed.
const ZEROS_KEPT: usize = 96;

/// The files of a store, by path. Copies share the bytes.
pub(super) type Files = BTreeMap<PathBuf, Arc<Vec<u8>>>;

/// A record as a reader sees it, without its position, which is its place in a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    kind: u8,
    schema: u32,
    time: i64,
    payload: Option<Vec<u8>>,
}

/// A store, and what is in it.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) files: Files,
    pub(super) logs: Vec<LogTruth>,
    pub(super) segments: Vec<Segment>,
    /// What the files were at earlier moments.
    pub(super) moments: Vec<(&'static str, Files)>,
}

/// What is in a log.
#[derive(Clone, Debug)]
pub(super) struct LogTruth {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) records: Vec<Seen>,
    pub(super) root: String,
    pub(super) id: LogId,
}

/// Where everything lies in a segment file.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// Which of [`Truth::logs`] it belongs to.
    pub(super) log: usize,
    pub(super) is_newest: bool,
    pub(super) seed: FrameSeed,
    pub(super) base: Position,
    pub(super) header_len: usize,
    pub(super) frames: Vec<Frame>,
    /// Where the last frame with records ends.
    pub(super) data_end: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) bytes: Range<usize>,
    pub(super) body_len: usize,
    pub(super) header: FrameHeader,
}

/// How a store is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) seed: u64,
    pub(super) erasable: bool,
    /// Rows appended at a time.
    pub(super) rows: u64,
    /// Payload bytes of a row, at most.
    pub(super) row_bytes: u64,
    /// Whether it is closed in the end, or lies on the disk as it is while a writer has it open.
    pub(super) is_closed: bool,
}

impl Truth {
    /// A journal, a table of three segments, the middle one with a batch of several frames and an index of more than one
    /// entry, and a table of one; closed once in between, so that there are two epochs.
    pub(super) fn build(shape: Shape) -> Self {
        let disk = MemVfs::new();
        disk.set_capacity(Some(CAPACITY));
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
        let host = Host::new(Arc::new(disk.clone()), clock, Arc::new(SeededRandom::new(shape.seed)));
        let options = Options::new().host(host.clone()).name("shop").segment_bytes_max(1 << 20);
        let mut random = Random::new(shape.seed);
        let mut moments = Vec::new();
        let open = |store: &Store, name| -> Table<Vec<u8>, Raw> {
            store.table_with(name, &TableOptions::new().erasable(shape.erasable)).unwrap()
        };

        let store = options.open(STORE).unwrap();
        let (main, side) = (open(&store, "main"), open(&store, "side"));
        moments.push(("created", files_of(&disk)));
        append(&main, &mut random, shape);
        append(&side, &mut random, Shape { rows: 2, ..shape });
        main.rotate().unwrap();
        drop((main, side));
        store.close().unwrap();
        moments.push(("closed-once", files_of(&disk)));

        let store = options.open(STORE).unwrap();
        let (main, side) = (open(&store, "main"), open(&store, "side"));
        append(&main, &mut random, shape);
        // The second fills a frame, so that the third has one of its own.
        let batch = [2_100, 2_100, 200].map(|len| random_bytes(&mut random, len));
        main.append_batch(batch.iter()).unwrap();
        append(&main, &mut random, Shape { rows: 1, ..shape });
        moments.push(("before-rotation", files_of(&disk)));
        main.rotate().unwrap();
        append(&main, &mut random, shape);
        append(&side, &mut random, Shape { rows: 1, ..shape });
        moments.push(("before-close", files_of(&disk)));
        if !shape.is_closed {
            return Self::of(trimmed(files_of(&disk)), Vec::new());
        }
        drop((main, side));
        store.close().unwrap();
        Self::of(files_of(&disk), moments)
    }

    fn of(files: Files, moments: Vec<(&'static str, Files)>) -> Self {
        let host = host_on(&disk_of(&files));
        let mut logs: Vec<LogTruth> = Vec::new();
        let mut segments = Vec::new();
        for (path, bytes) in files.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "seg")) {
            let dir = path.parent().expect("BUG: a file lies in a directory");
            if logs.last().is_none_or(|log| log.dir != dir) {
                let snapshot = LogReader::open(&host, dir).unwrap().snapshot().unwrap();
                let root = snapshot.head_at(snapshot.durable_end()).unwrap().root.to_string();
                let Read { records, wrong: None } = read_snapshot(&snapshot, false) else {
                    panic!("BUG: damaged already")
                };
                let records = records.into_values().collect();
                let name = match dir.strip_prefix(Path::new(STORE).join("tables")) {
                    Ok(table) => table.parent().and_then(Path::to_str).unwrap_or_default().to_owned(),
                    Err(_) => "journal".to_owned(),
                };
                logs.push(LogTruth { name, dir: dir.to_owned(), records, root, id: snapshot.log_id() });
            }
            segments.push(Segment::parse(path, bytes, logs.len() - 1));
        }
        for index in 0..segments.len() {
            let next = segments.get(index + 1).map(|next| next.log);
            segments[index].is_newest = next != Some(segments[index].log);
        }
        Self { files, logs, segments, moments }
    }

    pub(super) fn segment(&self, path: &Path) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.path == path)
    }

    pub(super) fn journal(&self) -> usize {
        self.logs.iter().position(|log| log.name == "journal").expect("BUG: a store without a journal")
    }

    /// The log whose directory `path` lies in.
    pub(super) fn log_of(&self, path: &Path) -> Option<usize> {
        self.logs.iter().position(|log| path.starts_with(&log.dir))
    }
}

impl Segment {
    fn parse(path: &Path, bytes: &[u8], log: usize) -> Self {
        let header = SegmentHeader::decode(bytes).unwrap();
        let (seed, base, header_len) = (header.seed(), header.base, SegmentHeader::len_at(header.base) as usize);
        let (mut frames, mut data_end, mut offset) = (Vec::new(), header_len, header_len);
        while offset < bytes.len() && !FrameHeader::is_zero(&bytes[offset..]) {
            let header = FrameHeader::decode(&bytes[offset..], &seed, offset as u64).unwrap();
            let end = offset + header.frame_len() as usize;
            if matches!(header.role, Role::Data { .. }) {
                data_end = end;
            }
            frames.push(Frame { bytes: offset..end, body_len: header.stored_len as usize, header });
            offset = end;
        }
        Self { path: path.to_owned(), log, is_newest: false, seed, base, header_len, frames, data_end }
    }

    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).expect("BUG: a segment has a name")
    }

    pub(super) fn end(&self) -> Position {
        self.frames.last().map_or(self.base, |frame| frame.header.base)
    }
}

impl Frame {
    pub(super) fn body(&self) -> Range<usize> {
        let start = self.bytes.start + FRAME_HEADER_LEN as usize;
        start..start + self.body_len
    }
}

fn append(table: &Table<Vec<u8>, Raw>, random: &mut Random, shape: Shape) {
    for row in 0..shape.rows {
        let len = 1 + random.below(shape.row_bytes);
        let time = 1_700_000_000 + i64::try_from(row % 5).expect("BUG: below 5");
        table.append_with(&random_bytes(random, len), &RowOptions::new().time(time)).unwrap();
    }
}

fn random_bytes(random: &mut Random, len: u64) -> Vec<u8> {
    (0..len).map(|_| random.below(256) as u8).collect()
}

/// Without most of the zeros that a writer writes ahead.
fn trimmed(mut files: Files) -> Files {
    for bytes in files.values_mut() {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let kept = bytes.len().min(end.next_multiple_of(8) + ZEROS_KEPT);
        *bytes = Arc::new(bytes[..kept].to_vec());
    }
    files
}

/// A host on this disk, whose clock stands still.
pub(super) fn host_on(disk: &MemVfs) -> Host {
    let clock = Arc::new(ManualClock::new(1_800_000_000_000_000_000));
    Host::new(Arc::new(disk.clone()), clock, Arc::new(SeededRandom::new(9)))
}

/// A disk with these files.
pub(super) fn disk_of(files: &Files) -> MemVfs {
    let disk = MemVfs::new();
    disk.set_capacity(Some(CAPACITY));
    let host = host_on(&disk);
    let mut made = std::collections::BTreeSet::from([PathBuf::from("/")]);
    // The two directories of a store are there, whatever is in them.
    let dirs = [Path::new(STORE).join("tables"), Path::new(STORE).join("journal")];
    let parents = files.keys().filter_map(|path| path.parent());
    for dir in dirs.iter().map(PathBuf::as_path).filter(|_| !files.is_empty()).chain(parents) {
        for above in dir.ancestors().collect::<Vec<_>>().into_iter().rev() {
            if made.insert(above.to_owned()) {
                host.fs.create_dir(above).unwrap();
            }
        }
    }
    for (path, bytes) in files {
        disk.write_file(path, bytes).unwrap();
    }
    disk
}

/// The files on a disk.
pub(super) fn files_of(disk: &MemVfs) -> Files {
    fn collect(disk: &MemVfs, host: &Host, dir: &Path, files: &mut Files) {
        for entry in host.fs.list(dir).unwrap() {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                collect(disk, host, &path, files);
            } else {
                files.insert(path.clone(), Arc::new(disk.read_file(&path).unwrap()));
            }
        }
    }
    let mut files = Files::new();
    collect(disk, &host_on(disk), Path::new("/"), &mut files);
    files
}

/// What a reader got out of a log.
#[derive(Debug)]
pub(super) struct Read {
    /// By position.
    pub(super) records: BTreeMap<u64, Seen>,
    /// What kept it from getting everything, if something did.
    pub(super) wrong: Option<String>,
}

/// Reads all there is in a log, stepping over damage if that is wanted. Another log in its place is not read, as a
/// store does not.
pub(super) fn read(host: &Host, log: &LogTruth, gaps: bool) -> Read {
    match LogReader::open(host, &log.dir).and_then(|reader| reader.snapshot()) {
        Ok(snapshot) if snapshot.log_id() != log.id => {
            Read { records: BTreeMap::new(), wrong: Some(format!("it is log {}", snapshot.log_id())) }
        }
        Ok(snapshot) => read_snapshot(&snapshot, gaps),
        Err(error) => Read { records: BTreeMap::new(), wrong: Some(error.to_string()) },
    }
}

pub(super) fn read_snapshot(snapshot: &bulla::Snapshot, gaps: bool) -> Read {
    let mut found = Read { records: BTreeMap::new(), wrong: None };
    let mut cursor = snapshot.cursor(&Query { engine: true, gaps, ..Query::new() });
    loop {
        match cursor.next() {
            None => return found,
            Some(Ok(Item::Record(record))) => {
                let payload = record.payload().map(<[u8]>::to_vec);
                let seen = Seen { kind: record.kind.0, schema: record.schema.0, time: record.time.0, payload };
                found.records.insert(record.position.0, seen);
            }
            Some(Ok(Item::Gap(gap))) => found.wrong = Some(gap.cause.to_string()),
            Some(Err(error)) => {
                found.wrong = Some(error.to_string());
                return found;
            }
        }
    }
}
