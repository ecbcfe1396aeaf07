//! The loops over files that do less than asked, written once for all callers, and the question whether a disk is full.
//!
//! # Invariants
//!
//! - O1. An interrupted call is made again; any other error ends the loop and comes back untouched.
//! - O2. No loop goes on without progress: a read of 0 is the end of the file, a write of 0 is an error.
//! - O3. A file that claims to have moved more bytes than it was given is refused, since a `Vfs` may come from outside.

use std::io;

use crate::VfsFile;

/// Fills `buffer` from `offset`.
///
/// # Errors
///
/// `UnexpectedEof` when the file ends before; how much of `buffer` was overwritten is then not said.
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use bulla_vfs::{MemVfs, OpenMode, Vfs, read_exact_at};
///
/// let disk = MemVfs::new();
/// disk.write_file(Path::new("/log"), b"0123456789")?;
/// let file = disk.open(Path::new("/log"), OpenMode::Read)?;
/// let mut four = [0; 4];
/// read_exact_at(&*file, &mut four, 3)?;
/// assert_eq!(&four, b"3456");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read_exact_at(file: &dyn VfsFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    if read_up_to_at(file, buffer, offset)? == buffer.len() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before the bytes to read"))
    }
}

/// Reads from `offset` until `buffer` is full or the file ends, and says how many bytes.
///
/// # Errors
///
/// Those of [`VfsFile::read_at`] but `Interrupted`; `InvalidInput` when the offset overflows.
pub fn read_up_to_at(file: &dyn VfsFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, advanced(offset, filled)?) {
            Ok(0) => break,
            Ok(count) => filled += within(count, rest.len())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes all of `bytes` at `offset`.
///
/// # Durability
///
/// None before a sync. After an error any part of `bytes` may be in the file.
///
/// # Errors
///
/// Those of [`VfsFile::write_at`] but `Interrupted`; `WriteZero` when the file takes no more; `InvalidInput` when the
/// offset overflows.
pub fn write_all_at(file: &dyn VfsFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write_at(rest, advanced(offset, written)?) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::WriteZero, "the file takes no more bytes")),
            Ok(count) => written += within(count, rest.len())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether an error means that there is no room: the disk is full, the quota is used up, or the file would pass the
/// largest size the file system or the process allows (ENOSPC, EDQUOT, EFBIG).
///
/// # Examples
///
/// ```
/// use std::io;
/// assert!(bulla_vfs::is_full(&io::ErrorKind::StorageFull.into()));
/// assert!(!bulla_vfs::is_full(&io::ErrorKind::PermissionDenied.into()));
/// ```
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    /// The one code that std gives no kind of its own.
    const WINDOWS_HANDLE_DISK_FULL: i32 = 39;
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
        || (cfg!(windows) && error.raw_os_error() == Some(WINDOWS_HANDLE_DISK_FULL))
}

fn advanced(offset: u64, by: usize) -> io::Result<u64> {
    u64::try_from(by)
        .ok()
        .and_then(|by| offset.checked_add(by))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the offset overflows"))
}

/// O3.
fn within(count: usize, asked: usize) -> io::Result<usize> {
    if count <= asked {
        Ok(count)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "the file claims to have moved more bytes than it was given"))
    }
}
