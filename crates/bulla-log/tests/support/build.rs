//! Logs built by hand, segment by segment, from the layers below `bulla-log`, so that their files can be edited.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::missing_panics_doc, clippy::cast_possible_truncation)]
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test uses a part of this")]

use bulla_chain::{Digest, Entry, Frontier, Genesis, Seal, StreamDigest, TreeHead, body_digest, salted_body_digest};
use bulla_segment::{Active, EndFacts, SegmentFile, segment_file_name};
pub use bulla_testkit::Edited;
use bulla_vfs::{Host, ManualClock, MemVfs, SeededRandom};
use bulla_wire::{
    Epoch, Footer, FrameBuilder, FramePlace, Kind, LogId, NewRecord, Position, SchemaId, SegmentHeader, SegmentNumber,
    Time,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where built logs lie.
pub const DIR: &str = "/log";
pub const ORIGIN: &str = "test/log";

/// One of the caller's records.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub kind: Kind,
    pub time: i64,
    pub payload: &'a [u8],
}

/// A row with this time and payload.
pub fn row(time: i64, payload: &[u8]) -> Row<'_> {
    Row { kind: Kind::ROW, time, payload }
}

/// A log under construction on a disk in memory.
#[derive(Debug)]
pub struct LogBuilder {
    pub disk: MemVfs,
    pub host: Host,
    pub frontier: Frontier,
    header: SegmentHeader,
    active: Active,
    durable_end: Position,
    salts: u8,
    /// Heads at the end of each sealed segment.
    pub heads: Vec<TreeHead>,
}

impl LogBuilder {
    /// A log with a genesis record and nothing else.
    pub fn new(id: LogId, erasable: bool) -> Self {
        let disk = MemVfs::new();
        let clock = Arc::new(ManualClock::new(0));
        let host = Host::new(Arc::new(disk.clone()), clock, Arc::new(SeededRandom::new(1)));
        host.fs.create_dir(Path::new(DIR)).unwrap();
        let header = SegmentHeader {
            log: id,
            secret: [9; 16],
            number: SegmentNumber(0),
            base: Position(0),
            floor: Position(0),
            prune: None,
            epoch: Epoch(1),
            erasable,
            root: TreeHead::EMPTY.root.0,
            frontier: Vec::new(),
        };
        let file = SegmentFile::create(&host, Path::new(DIR), header.clone()).unwrap();
        let mut builder = Self {
            disk,
            host,
            frontier: Frontier::new(),
            header,
            active: Active::empty(file),
            durable_end: Position(0),
            salts: 0,
            heads: Vec::new(),
        };
        let genesis =
            Genesis { log: id, origin: ORIGIN.to_owned(), suite: Genesis::SUITE_SHA256, erasable, predecessor: None };
        builder.frame(&[Row { kind: Kind::GENESIS, time: 0, payload: &genesis.encode() }], false);
        builder
    }

    /// Appends one frame of rows, synced; `more` leaves a batch open for the next one.
    pub fn frame(&mut self, rows: &[Row<'_>], more: bool) {
        let mut frame = FrameBuilder::default();
        let (mut caller_count, mut payload_bytes) = (0, 0);
        let base = self.active.extent.end;
        for (row, position) in rows.iter().zip(base.0..) {
            let is_salted = self.header.erasable && !row.kind.is_engine();
            let salt = is_salted.then(|| {
                self.salts = self.salts.wrapping_add(1);
                [self.salts; 16]
            });
            let (kind, time, schema) = (row.kind, Time(row.time), SchemaId(1));
            frame.push(&NewRecord { kind, time, schema, salt, payload: row.payload });
            let body = match &salt {
                Some(salt) => salted_body_digest(salt, row.payload),
                None => body_digest(row.payload),
            };
            let entry = Entry { kind, salted: is_salted, schema, position: Position(position), time, body };
            self.frontier.push(entry.leaf());
            if !kind.is_engine() {
                caller_count += 1;
                payload_bytes += row.payload.len() as u64;
            }
        }
        let offset = self.active.extent.end_offset;
        let (epoch, durable_end) = (self.header.epoch, self.durable_end);
        let place = FramePlace { seed: self.active.file.seed(), offset, epoch, base, durable_end, more };
        let mut bytes = Vec::new();
        let header = frame.finish(&place, &mut bytes);
        self.active.file.write(&bytes, offset).unwrap();
        self.active.file.sync().unwrap();
        self.active.extent.add(&header, caller_count, payload_bytes);
        if !more {
            self.durable_end = self.active.extent.end;
        }
    }

    /// The position of the next record.
    pub fn end(&self) -> Position {
        self.active.extent.end
    }

    /// Seals the active segment and begins the next with its seal.
    pub fn rotate(&mut self) {
        let (footer, head) = self.begin_next();
        let seal = Seal {
            segment: footer.number,
            base: footer.base,
            caller_count: footer.caller_count,
            payload_bytes: footer.payload_bytes,
            times: footer.times,
            head,
            index_digest: Digest(footer.index_digest),
            journal: None,
        };
        self.frame(&[Row { kind: Kind::SEAL, time: 0, payload: &seal.encode() }], false);
    }

    /// Seals the active segment and makes the next without a record in it; gives what the seal is of.
    pub fn begin_next(&mut self) -> (Footer, TreeHead) {
        let footer = self.finish(true);
        let head = self.frontier.head();
        self.header.number.0 += 1;
        self.header.base = Position(head.size);
        self.header.root = head.root.0;
        self.header.frontier = self.frontier.to_bytes();
        let file = SegmentFile::create(&self.host, Path::new(DIR), self.header.clone()).unwrap();
        self.active = Active::empty(file);
        (footer, head)
    }

    /// Writes the index with a footer (`seal`) or close frame behind the last record.
    pub fn finish(&mut self, seal: bool) -> Footer {
        assert_eq!(self.durable_end, self.end(), "a batch is still open");
        let mut digest = StreamDigest::index_column();
        let mut column = Vec::new();
        self.active.extent.entries().for_each(|entry| entry.encode_logical(&mut column));
        digest.update(&column);
        let head = self.frontier.head();
        if seal {
            self.heads.push(head);
        }
        let facts = EndFacts {
            epoch: self.header.epoch,
            floor: self.header.floor,
            prune: None,
            index_digest: digest.finish().0,
            root: head.root.0,
            frontier: self.frontier.to_bytes(),
        };
        self.active.end(&facts, seal).unwrap()
    }

    /// Goes on after [`finish`](Self::finish) wrote a close frame, as the next opening for writing does.
    pub fn reopen(&mut self) {
        self.header.epoch.0 += 1;
        self.active.take_back().unwrap();
        self.active.file.sync().unwrap();
    }

    /// The paths of the segments there are, oldest first.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut names: Vec<_> =
            self.host.fs.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect();
        names.sort();
        names.into_iter().map(|name| Path::new(DIR).join(name)).collect()
    }

    /// The file of the segment with this index, taken apart.
    pub fn edit(&self, index: usize) -> Edited {
        Edited::parse(&self.disk.read_file(&self.paths()[index]).unwrap())
    }

    /// Replaces the file of the segment with this index.
    pub fn put(&self, index: usize, edited: &Edited) {
        let path = self.paths()[index].clone();
        self.host.fs.remove_file(&path).unwrap();
        let name = segment_file_name(edited.header.base);
        self.disk.write_file(&Path::new(DIR).join(name), &edited.bytes()).unwrap();
    }

    /// Removes the segment with this index.
    pub fn remove(&self, index: usize) {
        self.host.fs.remove_file(&self.paths()[index]).unwrap();
    }
}
