//! What an attacker with a hex editor and our documentation would do: change a byte and make every checksum right again.

use crate::exit::{Exit, Failure};
use bulla::segment::{FrameScanner, Scanned, SegmentFile};
use bulla::vfs::OpenMode;
use bulla::wire::{FRAME_HEADER_LEN, Records};
use bulla::{Host, Position};
use std::fs;
use std::path::{Path, PathBuf};

/// What was changed.
pub(super) struct Forged {
    pub(super) file: PathBuf,
    pub(super) offset: u64,
    pub(super) position: Position,
}

/// Finds `text` in the payloads of the table in `dir`, and replaces the byte `at` places into it.
pub(super) fn change_byte(dir: &Path, text: &[u8], at: usize, byte: u8) -> Result<Forged, Failure> {
    for path in segment_files(dir)? {
        let file = SegmentFile::open(&Host::os(), &path, OpenMode::Write)?;
        let mut scanner = FrameScanner::new(&file, file.frames_offset())?;
        while let Scanned::Frame { offset, header, stored } = scanner.next_frame()? {
            let Some(found) = stored.windows(text.len()).position(|window| window == text) else {
                continue;
            };
            let position = Records::new(&header, stored)
                .filter_map(Result::ok)
                .find(|record| record.payload().is_some_and(|payload| payload.windows(text.len()).any(|w| w == text)))
                .map_or(header.base, |record| record.position);
            let mut body = stored.to_vec();
            let place = found + at;
            if let Some(target) = body.get_mut(place) {
                *target = byte;
            }
            let mut frame = Vec::new();
            header.encode(&body, file.seed(), offset, &mut frame);
            file.write(&frame, offset)?;
            file.sync()?;
            return Ok(Forged { file: path, offset: offset + FRAME_HEADER_LEN + place as u64, position });
        }
    }
    Err(Failure::new(Exit::Negative, "the row to forge is in no segment"))
}

/// The segment files of the table's log, oldest first.
fn segment_files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let list = |dir: &Path| -> Result<Vec<PathBuf>, Failure> {
        let failed = |error| Failure::io("read", dir, &error);
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.sort();
        Ok(paths)
    };
    let mut files = Vec::new();
    for log in list(dir)? {
        files.extend(list(&log)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "seg")));
    }
    Ok(files)
}
