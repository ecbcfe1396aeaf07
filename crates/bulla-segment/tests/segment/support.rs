//! Builds segments as a writer does, and as none may.

use bulla_segment::{Active, EndFacts, Extent, SegmentError, SegmentFile, Tail, Verdict, segment_file_name};
use bulla_vfs::{Host, MemVfs, OpenMode, OsClock, OsRandom};
use bulla_wire::{
    Codec, Epoch, FRAME_HEADER_LEN, FrameBuilder, FrameHeader, FramePlace, FrameSeed, Kind, LogId, NewRecord, Position,
    Role, SchemaId, SegmentHeader, SegmentNumber, Time, TimeBounds,
};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const FRAME: usize = FRAME_HEADER_LEN as usize;

/// Splitmix64: the same numbers for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

pub(crate) fn header(base: u64) -> SegmentHeader {
    SegmentHeader {
        log: LogId([1; 16]),
        secret: [2; 16],
        number: SegmentNumber(4),
        base: Position(base),
        floor: Position(0),
        prune: None,
        epoch: Epoch(1),
        erasable: false,
        root: [0; 32],
        frontier: vec![[9; 32]; base.count_ones() as usize],
    }
}

pub(crate) fn facts(end: Position, epoch: Epoch) -> EndFacts {
    EndFacts {
        epoch,
        floor: Position(0),
        prune: None,
        index_digest: [5; 32],
        root: [6; 32],
        frontier: vec![[7; 32]; end.0.count_ones() as usize],
    }
}

/// A disk in memory with a host over it.
pub(crate) fn disk() -> (MemVfs, Host) {
    let disk = MemVfs::new();
    let host = Host::new(Arc::new(disk.clone()), Arc::new(OsClock), Arc::new(OsRandom));
    (disk, host)
}

pub(crate) fn path(base: u64) -> PathBuf {
    PathBuf::from("/").join(segment_file_name(Position(base)))
}

/// Opens `bytes` as the segment that begins at `base`, on a disk of its own.
pub(crate) fn open(bytes: &[u8], base: u64) -> Result<SegmentFile, SegmentError> {
    let (disk, host) = disk();
    disk.write_file(&path(base), bytes).unwrap();
    SegmentFile::open(&host, &path(base), OpenMode::Write)
}

/// A segment under construction. What is public is there to be tampered with.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) header: SegmentHeader,
    pub(crate) bytes: Vec<u8>,
    /// What a writer of these frames would have.
    pub(crate) extent: Extent,
    /// Where each frame lies.
    pub(crate) frames: Vec<Range<usize>>,
    pub(crate) epoch: Epoch,
    /// What the next frame says is durable.
    pub(crate) durable: Position,
}

impl Image {
    pub(crate) fn new(base: u64) -> Self {
        let header = header(base);
        let bytes = header.encode();
        let extent = Extent::new(header.base, bytes.len() as u64);
        Self { durable: header.base, epoch: header.epoch, header, bytes, extent, frames: Vec::new() }
    }

    /// A segment with `count` frames of three records, each synced before the next one was written.
    pub(crate) fn synced(count: usize) -> Self {
        let mut image = Self::new(0);
        for index in 0..count {
            image.sync();
            image.data(&[b"login", b"read", &vec![index as u8 + 1; 20 + index * 11]], false);
        }
        image
    }

    pub(crate) fn seed(&self) -> FrameSeed {
        self.header.seed()
    }

    pub(crate) fn offset(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// From here on frames say that all before them is durable.
    pub(crate) fn sync(&mut self) {
        self.durable = self.extent.end;
    }

    /// Adds a frame with these payloads.
    pub(crate) fn data(&mut self, payloads: &[&[u8]], more: bool) {
        let mut builder = FrameBuilder::default();
        for (index, payload) in payloads.iter().enumerate() {
            // Each fourth record is the engine's, so that both are counted apart.
            let kind = if index % 4 == 3 { Kind::RECOVERY } else { Kind::ROW };
            let time = Time(self.extent.end.0.cast_signed() * 10 + i64::try_from(index).unwrap());
            builder.push(&NewRecord { kind, time, schema: SchemaId(1), salt: None, payload });
        }
        let seed = self.seed();
        let place = FramePlace {
            seed: &seed,
            offset: self.offset(),
            epoch: self.epoch,
            base: self.extent.end,
            durable_end: self.durable,
            more,
        };
        let start = self.bytes.len();
        let header = builder.finish(&place, &mut self.bytes);
        let callers = payloads.iter().enumerate().filter(|(index, _)| index % 4 != 3);
        let (count, len) = callers.fold((0, 0), |(count, len), (_, payload)| (count + 1, len + payload.len() as u64));
        self.extent.add(&header, count, len);
        self.frames.push(start..self.bytes.len());
    }

    /// A header that may follow, for a frame of another kind.
    pub(crate) fn plain_header(&self, role: Role) -> FrameHeader {
        FrameHeader {
            role,
            codec: Codec::None,
            stored_len: 0,
            plain_len: 0,
            record_count: 0,
            epoch: self.epoch,
            base: self.extent.end,
            durable_end: self.durable,
            times: TimeBounds::EMPTY,
            body_checksum: 0,
        }
    }

    /// Adds a frame that the writer's extent does not count.
    pub(crate) fn raw(&mut self, header: &FrameHeader, body: &[u8]) {
        let (seed, start) = (self.seed(), self.bytes.len());
        header.encode(body, &seed, start as u64, &mut self.bytes);
        self.frames.push(start..self.bytes.len());
    }

    pub(crate) fn mark(&mut self) {
        self.raw(&self.plain_header(Role::Mark), &[]);
    }

    /// Ends the segment as the writer does, with a footer or a close frame.
    pub(crate) fn end(&mut self, seal: bool) {
        let (disk, host) = disk();
        let path = path(self.header.base.0);
        disk.write_file(&path, &self.bytes).unwrap();
        let file = SegmentFile::open(&host, &path, OpenMode::Write).unwrap();
        Active::new(file, self.extent.clone()).end(&facts(self.extent.end, self.epoch), seal).unwrap();
        self.bytes = disk.read_file(&path).unwrap();
    }

    /// Changes header bytes of frame `index`, and makes its checksum hold again.
    pub(crate) fn mend(&mut self, index: usize, change: impl FnOnce(&mut [u8])) {
        let (seed, start) = (self.seed(), self.frames[index].start);
        let header = &mut self.bytes[start..start + FRAME];
        change(header);
        let checksum = seed.checksum(start as u64, &header[8..]);
        header[4..8].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Makes the header of frame `index` invalid.
    pub(crate) fn spoil_header(&mut self, index: usize) {
        let start = self.frames[index].start;
        self.bytes[start + 33] ^= 0x10;
    }

    /// Makes the body of frame `index` invalid.
    pub(crate) fn spoil_body(&mut self, index: usize) {
        let start = self.frames[index].start;
        self.bytes[start + FRAME + 2] ^= 0x10;
    }

    pub(crate) fn file(&self) -> SegmentFile {
        open(&self.bytes, self.header.base.0).unwrap()
    }

    pub(crate) fn try_scan(&self) -> Result<Tail, SegmentError> {
        Tail::scan(&self.file())
    }

    pub(crate) fn scan(&self) -> Tail {
        self.try_scan().unwrap()
    }

    /// Scans and holds end and verdict against what is expected.
    #[track_caller]
    pub(crate) fn check(&self, end: u64, verdict: &Verdict) -> Tail {
        let tail = self.scan();
        assert_eq!((tail.end(), &tail.verdict(Position(0))), (Position(end), verdict), "{:?}", tail.stop);
        tail
    }
}

pub(crate) fn damaged(lost: Range<u64>) -> Verdict {
    Verdict::Damaged { lost: Position(lost.start)..Position(lost.end) }
}
