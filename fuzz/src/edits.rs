//! Edits of the files on a disk, read from any bytes.
//!
//! An edit is a byte that says what, a byte that says which file, in the order of their paths, and what it needs: offsets
//! and lengths in two bytes, little-endian, taken modulo what there is; bytes behind a length of one byte; names out of
//! [`NAMES`] by number.

use std::path::{Path, PathBuf};

use crate::disk::Image;
use crate::mend;

/// What a file or directory may be called after an edit, below its directory.
const NAMES: [&str; 14] = [
    "00000000000000000000.seg",
    "00000000000000000001.seg",
    "00000000000000000043.seg",
    "18446744073709551615.seg",
    "checkpoints",
    "spine",
    "next.tmp",
    "quarantine",
    "LOCK",
    "journal",
    "tables",
    "reserve",
    "0123456789abcdef0123456789abcdef",
    "\u{fffd} not a name of ours",
];
/// More than any run needs, and few enough to be quick.
const EDITS_MAX: usize = 16;

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> Option<usize> {
        Some(usize::from(u16::from_le_bytes([self.byte()?, self.byte()?])) % bound)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.byte()?).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        Some(taken)
    }
}

/// Carries out the edits that `data` says, up to the first that is not whole.
pub fn apply(image: &mut Image, data: &[u8]) {
    let mut input = Input(data);
    for _ in 0..EDITS_MAX {
        if image.is_empty() || edit(image, &mut input).is_none() {
            return;
        }
    }
}

fn edit(image: &mut Image, input: &mut Input<'_>) -> Option<()> {
    let (what, which) = (input.byte()?, input.byte()?);
    let path = image.keys().nth(usize::from(which) % image.len())?.clone();
    let beside = |input: &mut Input<'_>| {
        let name = NAMES[usize::from(input.byte()?) % NAMES.len()];
        Some(path.parent().unwrap_or(Path::new("/")).join(name))
    };
    match what % 10 {
        0 => {
            let bytes = image.get_mut(&path)?.as_mut();
            if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
                let at = input.below(bytes.len())?;
                bytes[at] ^= input.byte()?.max(1);
            }
        }
        1 => {
            if let Some(bytes) = image.get_mut(&path)? {
                bytes.truncate(input.below(bytes.len() + 1)?);
            }
        }
        2 => {
            if let Some(bytes) = image.get_mut(&path)? {
                let (at, new) = (input.below(bytes.len() + 1)?, input.bytes()?);
                let end = bytes.len().min(at + new.len());
                bytes.splice(at..end, new.iter().copied());
            }
        }
        3 => {
            let _ = input.byte()?;
            take(image, &path);
        }
        4 => {
            let to = beside(input)?;
            let moved = take(image, &path);
            put(image, &path, &to, moved);
        }
        5 => {
            let to = beside(input)?;
            let copied = below(image, &path).map(|key| (key.clone(), image[&key].clone())).collect();
            put(image, &path, &to, copied);
        }
        6 => {
            let to = beside(input)?;
            image.insert(to, Some(input.bytes()?.to_vec()));
        }
        7 => {
            let to = beside(input)?;
            image.insert(to, None);
        }
        8 => {
            if let Some(bytes) = image.get_mut(&path)? {
                let (at, len) = (input.below(bytes.len() + 1)?, usize::from(input.byte()?) * 8);
                let end = bytes.len().min(at + len);
                bytes[at..end].fill(0);
            }
        }
        // With right checksums, an edit gets past them.
        _ => image.values_mut().flatten().for_each(|bytes| mend::segment(bytes)),
    }
    Some(())
}

/// `path` and what lies below it.
fn below(image: &Image, path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    image.keys().filter(|key| key.starts_with(path)).cloned().collect::<Vec<_>>().into_iter()
}

fn take(image: &mut Image, path: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    below(image, path).filter_map(|key| image.remove(&key).map(|bytes| (key, bytes))).collect()
}

/// Puts what lay at `from` at `to`.
fn put(image: &mut Image, from: &Path, to: &Path, entries: Vec<(PathBuf, Option<Vec<u8>>)>) {
    for (path, bytes) in entries {
        if let Ok(rest) = path.strip_prefix(from) {
            let path = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            image.insert(path, bytes);
        }
    }
}
