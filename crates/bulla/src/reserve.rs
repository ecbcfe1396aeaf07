//! The reserve: room put aside so that a full disk does not keep a store from being opened or closed.
//!
//! # Invariants
//!
//! - V1. The reserve is written, not a hole, so that removing it gives the room back.
//! - V2. Its absence is never an error: it is made when there is ample room, and skipped silently otherwise.
//! - V3. A step that failed for lack of space is tried once more, and only after the reserve was given up.

use crate::error::{Error, io};
use crate::layout::{Layout, sync_dir};
use bulla_log::LogError;
use bulla_vfs::{Host, OpenMode, write_all_at};
use std::path::Path;

/// Bytes of the reserve file.
const RESERVE_BYTES: u64 = 2 << 20;
/// Below this much free space none is made: what little there is belongs to the records.
const FREE_BYTES_MIN: u64 = 8 * RESERVE_BYTES;
const CHUNK_BYTES: usize = 256 << 10;

/// Makes the reserve if it is not whole and there is room (V2).
pub(crate) fn ensure(host: &Host, layout: &Layout) -> Result<(), Error> {
    let path = layout.reserve();
    let is_there = match host.fs.metadata(&path) {
        Ok(found) if found.len == RESERVE_BYTES => return Ok(()),
        found => found.is_ok(),
    };
    if host.fs.free_space(&layout.dir).map_err(io("measure", &layout.dir))? < FREE_BYTES_MIN {
        return Ok(());
    }
    if is_there {
        host.fs.remove_file(&path).map_err(io("remove", &path))?;
    }
    match write(host, &path) {
        Ok(()) => sync_dir(host, &layout.dir),
        Err(error) if error.is_full() => host.fs.remove_file(&path).map_err(io("remove", &path)),
        Err(error) => Err(error),
    }
}

/// V3. Does `step`, and once more if it failed for lack of space and the reserve could be given up.
pub(crate) fn with_reserve<T, E: LacksSpace>(
    host: &Host,
    layout: &Layout,
    mut step: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    match step() {
        Err(error) if error.lacks_space() && give_up(host, layout) => step(),
        done => done,
    }
}

/// An error that room may help.
pub(crate) trait LacksSpace {
    fn lacks_space(&self) -> bool;
}

impl LacksSpace for LogError {
    fn lacks_space(&self) -> bool {
        self.is_full()
    }
}

impl LacksSpace for Error {
    /// A sync that failed is final, whatever it lacked.
    fn lacks_space(&self) -> bool {
        self.is_full() && !matches!(self, Self::Io { action: "sync", .. })
    }
}

/// Removes the reserve; whether that made room. One that cannot be removed makes none, and then what lacked space says
/// so.
pub(crate) fn give_up(host: &Host, layout: &Layout) -> bool {
    let is_removed = host.fs.remove_file(&layout.reserve()).is_ok();
    if is_removed {
        tracing::warn!(store = %layout.dir.display(), "no space left: the reserve was given up");
    }
    is_removed
}

/// V1.
fn write(host: &Host, path: &Path) -> Result<(), Error> {
    let file = host.fs.open(path, OpenMode::Create).map_err(io("create", path))?;
    let zeros = vec![0; CHUNK_BYTES];
    for offset in (0..RESERVE_BYTES).step_by(CHUNK_BYTES) {
        write_all_at(&*file, &zeros, offset).map_err(io("write", path))?;
    }
    file.sync_all().map_err(io("sync", path))
}

const _: () = assert!(RESERVE_BYTES.is_multiple_of(CHUNK_BYTES as u64));

#[cfg(test)]
mod tests {
    use super::*;
    use bulla_vfs::{MemVfs, Vfs};
    use std::sync::Arc;

    fn setting() -> (MemVfs, Host, Layout) {
        let disk = MemVfs::new();
        let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
        (disk, host, Layout::new(Path::new("/")))
    }

    /// V1 and V2.
    #[test]
    fn the_reserve_is_made_whole_or_not_at_all() {
        let (disk, host, layout) = setting();
        ensure(&host, &layout).unwrap();
        assert_eq!(disk.crash().read_file(&layout.reserve()).unwrap(), vec![0; 2 << 20]);

        disk.write_file(&layout.reserve(), b"begun").unwrap();
        ensure(&host, &layout).unwrap();
        assert_eq!(disk.metadata(&layout.reserve()).unwrap().len, RESERVE_BYTES);

        assert!(give_up(&host, &layout) && !give_up(&host, &layout));
        disk.set_capacity(Some(FREE_BYTES_MIN - 1));
        ensure(&host, &layout).unwrap();
        assert!(disk.metadata(&layout.reserve()).is_err());
    }

    /// V3.
    #[test]
    fn a_step_is_tried_again_once_if_there_was_a_reserve() {
        let (_, host, layout) = setting();
        ensure(&host, &layout).unwrap();
        let full = || LogError::NoSpace { dir: layout.dir.clone(), source: std::io::ErrorKind::StorageFull.into() };
        for (has_reserve, expected_count) in [(true, 2), (false, 1)] {
            let mut count = 0;
            let result = with_reserve(&host, &layout, || {
                count += 1;
                Err::<(), _>(full())
            });
            assert!(result.unwrap_err().is_full());
            assert_eq!(count, expected_count, "reserve: {has_reserve}");
        }
        ensure(&host, &layout).unwrap();
        let other = || Err::<(), _>(LogError::Closed { dir: layout.dir.clone() });
        with_reserve(&host, &layout, other).unwrap_err();
        assert!(give_up(&host, &layout), "the reserve went for an error that room does not help");
    }
}
