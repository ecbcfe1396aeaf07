//! Directories as a whole: copied, compared, and made room in.

use bulla::wire::{FRAME_ALIGNMENT, FRAME_HEADER_LEN};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Files that take part in nothing: the reserve is two megabytes of zeros that any opening may write again.
const RESERVE: &str = "reserve";

/// Every file and directory below `dir`, but for the reserve.
pub(crate) fn contents(dir: &Path) -> io::Result<BTreeMap<PathBuf, Option<Vec<u8>>>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(path.clone());
                found.insert(path, None);
            } else if path.file_name().is_none_or(|name| name != RESERVE) {
                let bytes = fs::read(&path)?;
                found.insert(path, Some(bytes));
            }
        }
    }
    Ok(found)
}

/// Copies `from` to `to`, which does not exist. The reserve comes along if `with_reserve`.
pub(crate) fn copy_dir(from: &Path, to: &Path, with_reserve: bool) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target, with_reserve)?;
        } else if with_reserve || entry.file_name() != RESERVE {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The segment files below `dir`, in the order of their paths.
pub(crate) fn segments(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "seg");
    Ok(contents(dir)?.into_keys().filter(is_segment).collect())
}

/// The last segment of each log below `dir`.
pub(crate) fn newest_segments(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let newest: BTreeMap<_, _> =
        segments(dir)?.into_iter().map(|path| (path.parent().map(Path::to_owned), path)).collect();
    Ok(newest.into_values().collect())
}

/// Where the frames of a segment end, zeros and marks behind them not counted; right for files whose records end in
/// something else than zero, and that end with a mark if `has_mark`.
pub(crate) fn end_of_frames(segment: &Path, has_mark: bool) -> io::Result<u64> {
    let bytes = fs::read(segment)?;
    let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
    let end = len.next_multiple_of(FRAME_ALIGNMENT);
    Ok(if has_mark { end.saturating_sub(FRAME_HEADER_LEN) } else { end })
}

/// Writes `bytes` at `offset`, beyond the end or not.
pub(crate) fn overwrite(path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::options().write(true).open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

/// Flips a bit of the byte at `offset`.
pub(crate) fn flip(path: &Path, offset: u64) -> io::Result<()> {
    let mut byte = [0];
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut byte)?;
    overwrite(path, offset, &[byte[0] ^ 0x10])
}
