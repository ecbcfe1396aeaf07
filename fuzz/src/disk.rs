//! Disks in memory: what is on them, and hosts whose clock and randomness repeat.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulla_vfs::{Host, ManualClock, MemVfs, SeededRandom, Vfs};

/// Every file by its path, and every directory without bytes.
pub type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// A host on `disk`.
pub fn host(disk: &MemVfs) -> Host {
    Host::new(Arc::new(disk.clone()), Arc::new(ManualClock::new(1_000)), Arc::new(SeededRandom::new(1)))
}

/// Everything on `disk`.
pub fn image(disk: &MemVfs) -> Image {
    let (mut image, mut todo) = (Image::new(), vec![PathBuf::from("/")]);
    while let Some(dir) = todo.pop() {
        for entry in disk.list(&dir).expect("the directory was listed") {
            let path = dir.join(&entry.name);
            let bytes = if entry.is_dir {
                todo.push(path.clone());
                None
            } else {
                Some(disk.read_file(&path).expect("the file was listed"))
            };
            image.insert(path, bytes);
        }
    }
    image
}

/// A disk that holds `image`, durably, and the directories that it leaves out.
pub fn of(image: &Image) -> MemVfs {
    let disk = MemVfs::new();
    for (path, bytes) in image {
        let mut dirs: Vec<&Path> = path.ancestors().skip(usize::from(bytes.is_some())).collect();
        dirs.reverse();
        for dir in dirs.into_iter().filter(|dir| dir.file_name().is_some()) {
            // It is there already, or a file of that name is, and then what belongs below it is left out.
            let _ = disk.create_dir(dir);
        }
        if let Some(bytes) = bytes {
            let _ = disk.write_file(path, bytes);
        }
    }
    disk
}

/// Nothing on a disk that held `before` may have changed: the paths that did are named.
pub fn assert_same(disk: &MemVfs, before: &Image, why: &str) {
    let after = image(disk);
    let paths = before.keys().chain(after.keys());
    let changed: std::collections::BTreeSet<_> = paths.filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "{why}: {changed:?}");
}
