//! A segment file whose header has been read: the place where frames are read and written.
//!
//! # Invariants
//!
//! - S1. A file of this type has a valid header whose base position is the one in its name; or, opened by
//!   [`SegmentFile::open_without_header`] for reading alone, one made up from its neighbour's, and says so.
//! - S2. A segment appears under its name only with its header whole and synced.
//! - S3. Writes are positional; nothing is ever appended by the system's choice of place.

use crate::error::{SegmentError, io};
use crate::names::{NEXT_TEMPORARY, parse_segment_file_name, segment_file_name};
use crate::scan::FrameScanner;
use bulla_vfs::{Host, OpenMode, VfsFile, read_up_to_at, write_all_at};
use bulla_wire::limits::FRONTIER_HASHES_MAX;
use bulla_wire::{Epoch, FrameSeed, Position, SEGMENT_HEADER_LEN_MIN, SegmentHeader, SegmentNumber, WireError};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

const HEADER_LEN_MAX: usize = SEGMENT_HEADER_LEN_MIN as usize + 32 * FRONTIER_HASHES_MAX as usize;

/// A segment file and its header. Clones share the file.
#[derive(Clone, Debug)]
pub struct SegmentFile {
    path: Arc<Path>,
    file: Arc<dyn VfsFile>,
    header: Arc<SegmentHeader>,
    seed: FrameSeed,
    /// What is wrong with the header in the file, if the one here was made up for it.
    header_error: Option<WireError>,
}

/// What opening the newest segment of a log found.
#[derive(Debug)]
pub enum Newest {
    /// A segment.
    Whole(SegmentFile),
    /// A file that a crash left before its header was durable; it holds no record.
    Interrupted,
}

impl SegmentFile {
    /// Creates the segment with `header` in `dir`, in place of a file whose creation was interrupted if there is one.
    ///
    /// # Durability
    ///
    /// Header and name survive power loss when this returns. A crash before that leaves `next.tmp`, which means
    /// nothing, or the whole segment.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`]; the segment may then exist nevertheless, without records.
    pub fn create(host: &Host, dir: &Path, header: SegmentHeader) -> Result<Self, SegmentError> {
        let temporary = dir.join(NEXT_TEMPORARY);
        let path = dir.join(segment_file_name(header.base));
        let file = match host.fs.open(&temporary, OpenMode::Create) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => host.fs.open(&temporary, OpenMode::Write),
            other => other,
        }
        .map_err(io("create", &temporary))?;
        file.set_len(0).map_err(io("create", &temporary))?;
        write_all_at(&*file, &header.encode(), 0).map_err(io("write", &temporary))?;
        file.sync_all().map_err(io("sync", &temporary))?;
        host.fs.rename(&temporary, &path).map_err(io("name", &path))?;
        host.fs.sync_dir(dir).map_err(io("sync", dir))?;
        Ok(Self::new(path.into(), file, header))
    }

    /// Opens the segment at `path`.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`], or [`SegmentError::Damaged`] or [`SegmentError::Newer`] for its header.
    pub fn open(host: &Host, path: &Path, mode: OpenMode) -> Result<Self, SegmentError> {
        let (file, header) = open_and_decode(host, path, mode)?;
        match header {
            Ok(header) => Self::named(path, file, header),
            Err(error) => Err(header_error(path, error)),
        }
    }

    /// Opens the newest segment of a log, whose creation a crash may have interrupted.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); a header that is no header is damage only if bytes other than zeros follow it.
    pub fn open_newest(host: &Host, path: &Path, mode: OpenMode) -> Result<Newest, SegmentError> {
        let (file, header) = open_and_decode(host, path, mode)?;
        let error = match header {
            // A whole header under another segment's name is nothing that a crash leaves.
            Ok(header) => return Self::named(path, file, header).map(Newest::Whole),
            Err(error) => header_error(path, error),
        };
        let beyond = SegmentHeader::len_at(base_in_name(path).unwrap_or_default());
        if error.is_damage() && last_non_zero(&*file, beyond).map_err(io("read", path))?.is_none() {
            return Ok(Newest::Interrupted);
        }
        Err(error)
    }

    /// Opens a segment whose header is unreadable for reading: what its frames are checked against is taken from
    /// `neighbour`, a header of the same log, the segment's `number` and its name. Floor, epoch and tree are then not
    /// known. `None` unless the header is damaged and a frame bears the guess out.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`], or [`SegmentError::Newer`] for what a later version wrote.
    pub fn open_without_header(
        host: &Host,
        path: &Path,
        neighbour: &SegmentHeader,
        number: SegmentNumber,
    ) -> Result<Option<Self>, SegmentError> {
        let (file, header) = open_and_decode(host, path, OpenMode::Read)?;
        let (Err(error), Some(base)) = (header, base_in_name(path)) else { return Ok(None) };
        if error.is_newer() || error.is_unsupported() {
            return Err(header_error(path, error));
        }
        let made_up = SegmentHeader {
            number,
            base,
            floor: neighbour.floor.min(base),
            epoch: Epoch(0),
            root: [0; 32],
            frontier: Vec::new(),
            ..neighbour.clone()
        };
        let mut segment = Self::new(path.into(), file, made_up);
        segment.header_error = Some(error);
        Ok(segment.holds_frames()?.then_some(segment))
    }

    /// S1.
    fn named(path: &Path, file: Arc<dyn VfsFile>, header: SegmentHeader) -> Result<Self, SegmentError> {
        if base_in_name(path).is_some_and(|base| base != header.base) {
            let value = header.base.0;
            let error = WireError::Invalid { what: "segment header", field: "base unlike its name", value };
            return Err(header_error(path, error));
        }
        Ok(Self::new(path.into(), file, header))
    }

    fn new(path: Arc<Path>, file: Arc<dyn VfsFile>, header: SegmentHeader) -> Self {
        let seed = header.seed();
        Self { path, file, header: Arc::new(header), seed, header_error: None }
    }

    /// What is wrong with the header in the file, if it was opened
    /// [without one](Self::open_without_header).
    #[must_use]
    pub fn header_error(&self) -> Option<SegmentError> {
        self.header_error.clone().map(|error| self.error_at(0, self.header.base, error))
    }

    /// Whether a valid frame header lies anywhere where frames may.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`], or [`SegmentError::Newer`] if only a later version's was found.
    pub fn holds_frames(&self) -> Result<bool, SegmentError> {
        let mut scanner = FrameScanner::new(self, self.frames_offset())?;
        if scanner.resync(None)? {
            return Ok(true);
        }
        scanner.passed_newer().map_or(Ok(false), Err)
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the segment says of itself.
    #[must_use]
    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// The seed of the segment's checksums.
    #[must_use]
    pub fn seed(&self) -> &FrameSeed {
        &self.seed
    }

    /// Where the first frame begins.
    #[must_use]
    pub fn frames_offset(&self) -> u64 {
        SegmentHeader::len_at(self.header.base)
    }

    /// Bytes of the file now.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`].
    pub fn file_len(&self) -> Result<u64, SegmentError> {
        self.file.len().map_err(io("measure", &self.path))
    }

    /// Reads into `buffer` what there is from `offset` on; gives the number of bytes.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`].
    pub fn read_up_to(&self, buffer: &mut [u8], offset: u64) -> Result<usize, SegmentError> {
        read_up_to_at(&*self.file, buffer, offset).map_err(io("read", &self.path))
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`]; some of the bytes may then be in the file.
    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<(), SegmentError> {
        write_all_at(&*self.file, bytes, offset).map_err(io("write", &self.path))
    }

    /// Cuts or extends the file.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`].
    pub fn set_len(&self, len: u64) -> Result<(), SegmentError> {
        self.file.set_len(len).map_err(io("set the length of", &self.path))
    }

    /// Makes what was written durable, the length included.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`]. The system may have dropped what it could not write, so a second sync proves nothing.
    pub fn sync(&self) -> Result<(), SegmentError> {
        self.file.sync_data().map_err(io("sync", &self.path))
    }

    /// Syncs everything and drops cached pages, so that what is read next is what the disk holds. The second part is
    /// best effort.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`] if the sync failed.
    pub fn sync_and_drop_cache(&self) -> Result<(), SegmentError> {
        self.file.sync_all().map_err(io("sync", &self.path))?;
        if let Err(error) = self.file.drop_cache() {
            tracing::debug!(path = %self.path.display(), %error, "cached pages stay");
        }
        Ok(())
    }

    /// The end of the last byte at or after `from` that is not zero, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Io`].
    pub fn last_non_zero(&self, from: u64) -> Result<Option<u64>, SegmentError> {
        last_non_zero(&*self.file, from).map_err(io("read", &self.path))
    }

    /// The error for wrong bytes of this file: newer and unsupported ones are told from damage.
    #[must_use]
    pub fn error_at(&self, offset: u64, position: Position, source: WireError) -> SegmentError {
        SegmentError::at(&self.path, offset, position, source)
    }
}

/// The file at `path`, and what its first bytes are.
type Opened = (Arc<dyn VfsFile>, Result<SegmentHeader, WireError>);

fn open_and_decode(host: &Host, path: &Path, mode: OpenMode) -> Result<Opened, SegmentError> {
    let file = host.fs.open(path, mode).map_err(io("open", path))?;
    let mut bytes = [0; HEADER_LEN_MAX];
    let len = read_up_to_at(&*file, &mut bytes, 0).map_err(io("read", path))?;
    let header = SegmentHeader::decode(bytes.get(..len).unwrap_or_default());
    Ok((file, header))
}

fn header_error(path: &Path, error: WireError) -> SegmentError {
    SegmentError::at(path, 0, base_in_name(path).unwrap_or_default(), error)
}

fn base_in_name(path: &Path) -> Option<Position> {
    path.file_name().and_then(parse_segment_file_name)
}

fn last_non_zero(file: &dyn VfsFile, from: u64) -> std::io::Result<Option<u64>> {
    let mut buffer = vec![0; 64 << 10];
    let (mut offset, mut last) = (from, None);
    loop {
        let len = read_up_to_at(file, &mut buffer, offset)?;
        let bytes = buffer.get(..len).unwrap_or_default();
        if let Some(end) = non_zero_end(bytes) {
            last = Some(offset + end as u64);
        }
        if len < buffer.len() {
            return Ok(last);
        }
        offset += len as u64;
    }
}

/// The end of the last byte that is not zero. Whole blocks first: what is looked at here is mostly zeros written ahead.
fn non_zero_end(bytes: &[u8]) -> Option<usize> {
    const BLOCK: [u8; 512] = [0; 512];
    let mut rest = bytes;
    while let Some((before, block)) = rest.split_last_chunk::<{ BLOCK.len() }>() {
        // Compared as slices, which goes by whole words.
        if block[..] != BLOCK[..] {
            break;
        }
        rest = before;
    }
    rest.iter().rposition(|byte| *byte != 0).map(|index| index + 1)
}
