//! A folder that carries questions out and answers in: each is a file named after log and size.

use super::{AnchorError, Anchored, io};
use crate::layout::{create_dirs, parent};
use crate::replace::replace;
use bulla_chain::ShownCheckpoint;
use bulla_vfs::{Host, OpenMode, read_exact_at};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What files about a checkpoint are called: `<origin with + for />-<size>`.
pub(super) fn base_name(shown: &ShownCheckpoint) -> String {
    let origin: String =
        shown.checkpoint().origin().chars().map(|letter| if is_plain(letter) { letter } else { '+' }).collect();
    format!("{origin}-{}", shown.head().size)
}

/// The alphabet of names; what else there is in an origin does not reach a path.
fn is_plain(letter: char) -> bool {
    matches!(letter, 'a'..='z' | '0'..='9' | '.' | '_' | '-')
}

/// A file that is there whole, and has at most `bytes_max` bytes.
pub(super) fn read(host: &Host, path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, AnchorError> {
    let file = match host.fs.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("open", path)(error)),
    };
    let len = file.len().map_err(io("measure", path))?;
    let Some(len) = usize::try_from(len).ok().filter(|len| *len <= bytes_max) else {
        return Err(AnchorError::BadReceipt { what: format!("{} has {len} bytes", path.display()) });
    };
    let mut bytes = vec![0; len];
    read_exact_at(&*file, &mut bytes, 0).map_err(io("read", path))?;
    Ok(Some(bytes))
}

/// Writes a file whole and durable, in place of what was there.
pub(super) fn write(host: &Host, path: &Path, bytes: &[u8]) -> Result<(), AnchorError> {
    let store = |error| AnchorError::Store(Box::new(error));
    create_dirs(host, parent(path)).map_err(store)?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".tmp");
    replace(host, path, Path::new(&unfinished), bytes).map_err(store)
}

/// The oldest checkpoint of this log for which a question lies in the folder and no answer was taken; `None` when the
/// newest is to be asked about. So a busy log waits for one answer at a time and not for ever.
pub(super) fn pending(
    host: &Host,
    dir: &Path,
    extension: &str,
    anchored: &Anchored<'_>,
) -> Result<Option<(ShownCheckpoint, PathBuf)>, AnchorError> {
    let confirmed = anchored.confirmed().map(|head| head.size);
    for shown in anchored.noted().iter().filter(|shown| confirmed.is_none_or(|size| shown.head().size > size)) {
        let path = dir.join(format!("{}.{extension}", base_name(shown)));
        match host.fs.metadata(&path) {
            Ok(_) => return Ok(Some((shown.clone(), path))),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(io("look for", &path)(error)),
        }
    }
    Ok(None)
}
