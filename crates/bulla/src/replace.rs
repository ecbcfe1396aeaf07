//! Small files that are replaced whole.
//!
//! # Invariants
//!
//! - W1. Whatever a crash or failure leaves, the file is what it was or what it was to be, and beside it may lie a
//!   temporary one, which the next replacement removes.

use crate::error::{Error, io};
use crate::layout::{parent, sync_dir};
use bulla_vfs::{Host, OpenMode, write_all_at};
use std::io::ErrorKind;
use std::path::Path;

/// Puts `bytes` into the file at `path`, durable when this returns; written to `temporary` first, in the same directory.
pub(crate) fn replace(host: &Host, path: &Path, temporary: &Path, bytes: &[u8]) -> Result<(), Error> {
    match host.fs.remove_file(temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io("remove", temporary)(error)),
        _ => {}
    }
    let file = host.fs.open(temporary, OpenMode::Create).map_err(io("create", temporary))?;
    write_all_at(&*file, bytes, 0).map_err(io("write", temporary))?;
    file.sync_all().map_err(io("sync", temporary))?;
    host.fs.rename(temporary, path).map_err(io("rename", temporary))?;
    sync_dir(host, parent(path))
}
