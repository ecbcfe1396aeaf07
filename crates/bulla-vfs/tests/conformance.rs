//! What every `Vfs` promises, asked of the machine's file system and of the one in memory alike.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the seam is what is tested")]

use std::io;
use std::path::Path;

use bulla_vfs::{
    DirEntry, MemVfs, Metadata, OpenMode, OsVfs, Vfs, VfsFile, is_full, read_exact_at, read_up_to_at, write_all_at,
};

/// Runs a check in an empty directory of each file system.
fn check(property: impl Fn(&dyn Vfs, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    property(&OsVfs, dir.path());
    let memory = MemVfs::new();
    memory.create_dir(Path::new("/store")).unwrap();
    property(&memory, Path::new("/store"));
}

fn create(fs: &dyn Vfs, path: &Path, bytes: &[u8]) {
    write_all_at(&*fs.open(path, OpenMode::Create).unwrap(), bytes, 0).unwrap();
}

fn content(file: &dyn VfsFile) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    read_exact_at(file, &mut bytes, 0).unwrap();
    bytes
}

fn content_of(fs: &dyn Vfs, path: &Path) -> Vec<u8> {
    content(&*fs.open(path, OpenMode::Read).unwrap())
}

fn names(fs: &dyn Vfs, dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs.list(dir).unwrap().into_iter().map(|entry| entry.name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    match result {
        Ok(_) => panic!("succeeded where an error was expected"),
        Err(error) => error.kind(),
    }
}

#[test]
fn reads_stop_at_the_end_of_the_file() {
    check(|fs, dir| {
        let path = dir.join("file");
        create(fs, &path, b"0123456789");
        let file = fs.open(&path, OpenMode::Read).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(file.read_at(&mut buffer, 6).unwrap(), 4);
        assert_eq!(&buffer[..4], b"6789");
        for offset in [10, 11, 1 << 40] {
            assert_eq!(file.read_at(&mut buffer, offset).unwrap(), 0, "offset {offset}");
        }
        assert_eq!(file.read_at(&mut [], 0).unwrap(), 0);
        assert_eq!(read_up_to_at(&*file, &mut buffer, 7).unwrap(), 3);
        assert_eq!(&buffer[..3], b"789");
        assert_eq!(kind(read_exact_at(&*file, &mut buffer, 3)), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn writes_go_where_they_are_told_and_gaps_are_zeros() {
    check(|fs, dir| {
        let file = fs.open(&dir.join("file"), OpenMode::Create).unwrap();
        assert_eq!(file.len().unwrap(), 0);
        assert_eq!(file.write_at(b"", 100).unwrap(), 0);
        assert_eq!(file.len().unwrap(), 0, "an empty write extended the file");
        write_all_at(&*file, b"tail", 6).unwrap();
        write_all_at(&*file, b"head", 0).unwrap();
        assert_eq!(content(&*file), b"head\0\0tail");
        write_all_at(&*file, b"XY", 5).unwrap();
        assert_eq!(content(&*file), b"head\0XYail");
    });
}

#[test]
fn set_len_cuts_and_extends_with_zeros() {
    check(|fs, dir| {
        let path = dir.join("file");
        let file = fs.open(&path, OpenMode::Create).unwrap();
        write_all_at(&*file, b"0123456789", 0).unwrap();
        file.set_len(4).unwrap();
        assert_eq!(content(&*file), b"0123");
        file.set_len(8).unwrap();
        assert_eq!(content(&*file), b"0123\0\0\0\0", "the bytes that were cut came back");
        assert_eq!(fs.metadata(&path).unwrap(), Metadata { len: 8, is_dir: false });
    });
}

#[test]
fn open_modes_ask_for_a_file_or_for_none() {
    check(|fs, dir| {
        let path = dir.join("file");
        assert_eq!(kind(fs.open(&path, OpenMode::Read)), io::ErrorKind::NotFound);
        assert_eq!(kind(fs.open(&path, OpenMode::Write)), io::ErrorKind::NotFound);
        assert!(names(fs, dir).is_empty(), "a failed open made a file");
        create(fs, &path, b"kept");
        assert_eq!(kind(fs.open(&path, OpenMode::Create)), io::ErrorKind::AlreadyExists);
        let file = fs.open(&path, OpenMode::Write).unwrap();
        assert_eq!(content(&*file), b"kept");
        write_all_at(&*file, b"K", 0).unwrap();
        assert_eq!(content_of(fs, &path), b"Kept", "handles of one file differ");
        assert_eq!(kind(fs.open(&dir.join("no").join("file"), OpenMode::Create)), io::ErrorKind::NotFound);
        assert_eq!(kind(fs.open(&path.join("below"), OpenMode::Create)), io::ErrorKind::NotADirectory);
        assert!(fs.open(dir, OpenMode::Write).is_err());
    });
}

#[test]
fn a_handle_opened_to_read_does_not_write() {
    check(|fs, dir| {
        let path = dir.join("file");
        create(fs, &path, b"kept");
        let file = fs.open(&path, OpenMode::Read).unwrap();
        for error in [file.write_at(b"x", 0).unwrap_err(), file.set_len(0).unwrap_err()] {
            assert!(!is_full(&error), "{error:?}");
        }
        assert_eq!(content(&*file), b"kept");
    });
}

#[test]
fn syncs_and_cache_drops_change_nothing_that_is_read() {
    check(|fs, dir| {
        let path = dir.join("file");
        let file = fs.open(&path, OpenMode::Create).unwrap();
        write_all_at(&*file, b"bytes", 0).unwrap();
        file.sync_data().unwrap();
        file.sync_all().unwrap();
        file.drop_cache().unwrap();
        fs.sync_dir(dir).unwrap();
        assert_eq!(content_of(fs, &path), b"bytes");
        fs.open(&path, OpenMode::Read).unwrap().drop_cache().unwrap();
        assert_eq!(kind(fs.sync_dir(&dir.join("no"))), io::ErrorKind::NotFound);
    });
}

#[test]
fn list_names_files_and_directories() {
    check(|fs, dir| {
        assert!(fs.list(dir).unwrap().is_empty());
        create(fs, &dir.join("b"), b"");
        fs.create_dir(&dir.join("a")).unwrap();
        create(fs, &dir.join("a").join("inner"), b"");
        let mut entries = fs.list(dir).unwrap();
        entries.sort();
        let expected = [("a", true), ("b", false)].map(|(name, is_dir)| DirEntry { name: name.into(), is_dir });
        assert_eq!(entries, expected);
        assert!(fs.metadata(&dir.join("a")).unwrap().is_dir);
        assert_eq!(kind(fs.list(&dir.join("no"))), io::ErrorKind::NotFound);
        assert_eq!(kind(fs.list(&dir.join("b"))), io::ErrorKind::NotADirectory);
        assert_eq!(kind(fs.metadata(&dir.join("no"))), io::ErrorKind::NotFound);
    });
}

#[test]
fn directories_are_made_one_at_a_time_and_removed_empty() {
    check(|fs, dir| {
        let (outer, inner) = (dir.join("outer"), dir.join("outer").join("inner"));
        assert_eq!(kind(fs.create_dir(&inner)), io::ErrorKind::NotFound);
        fs.create_dir(&outer).unwrap();
        assert_eq!(kind(fs.create_dir(&outer)), io::ErrorKind::AlreadyExists);
        fs.create_dir(&inner).unwrap();
        assert_eq!(kind(fs.remove_dir(&outer)), io::ErrorKind::DirectoryNotEmpty);
        assert!(fs.remove_file(&inner).is_err());
        fs.remove_dir(&inner).unwrap();
        fs.remove_dir(&outer).unwrap();
        assert!(names(fs, dir).is_empty());
        assert_eq!(kind(fs.remove_dir(&outer)), io::ErrorKind::NotFound);
        create(fs, &outer, b"");
        assert_eq!(kind(fs.remove_dir(&outer)), io::ErrorKind::NotADirectory);
    });
}

#[test]
fn rename_replaces_and_handles_stay_with_their_file() {
    check(|fs, dir| {
        let (old, new) = (dir.join("old"), dir.join("new"));
        create(fs, &old, b"from");
        create(fs, &new, b"to");
        let replaced = fs.open(&new, OpenMode::Read).unwrap();
        let moved = fs.open(&old, OpenMode::Write).unwrap();
        fs.rename(&old, &new).unwrap();
        assert_eq!(names(fs, dir), ["new"]);
        write_all_at(&*moved, b"F", 0).unwrap();
        assert_eq!(content_of(fs, &new), b"From");
        assert_eq!(content(&*replaced), b"to");
        fs.rename(&new, &new).unwrap();
        assert_eq!(content_of(fs, &new), b"From");
        assert_eq!(kind(fs.rename(&old, &new)), io::ErrorKind::NotFound);
        assert_eq!(kind(fs.rename(&new, &dir.join("no").join("new"))), io::ErrorKind::NotFound);
        assert_eq!(content_of(fs, &new), b"From", "a failed rename moved the file");
    });
}

#[test]
fn directories_are_renamed_with_all_that_is_in_them() {
    check(|fs, dir| {
        let (old, new) = (dir.join("old"), dir.join("new"));
        fs.create_dir(&old).unwrap();
        create(fs, &old.join("file"), b"bytes");
        assert!(fs.rename(&old, &old.join("below")).is_err());
        fs.rename(&old, &new).unwrap();
        assert_eq!(content_of(fs, &new.join("file")), b"bytes");
        fs.create_dir(&old).unwrap();
        assert_eq!(kind(fs.rename(&old, &new)), io::ErrorKind::DirectoryNotEmpty);
        assert!(fs.rename(&old, &new.join("file")).is_err());
        assert!(fs.rename(&new.join("file"), &old).is_err());
        assert_eq!(names(fs, dir), ["new", "old"]);
    });
}

#[test]
fn a_removed_file_lives_as_long_as_its_handles() {
    check(|fs, dir| {
        let path = dir.join("file");
        create(fs, &path, b"old");
        let file = fs.open(&path, OpenMode::Write).unwrap();
        fs.remove_file(&path).unwrap();
        assert_eq!(kind(fs.remove_file(&path)), io::ErrorKind::NotFound);
        create(fs, &path, b"new");
        write_all_at(&*file, b"er", 3).unwrap();
        file.sync_all().unwrap();
        assert_eq!(content(&*file), b"older");
        assert_eq!(content_of(fs, &path), b"new");
    });
}

/// V4.
#[test]
fn a_lock_excludes_another_and_drop_releases_it() {
    check(|fs, dir| {
        let path = dir.join("LOCK");
        let lock = fs.lock(&path).unwrap();
        lock.check().unwrap();
        assert_eq!(kind(fs.lock(&path)), io::ErrorKind::WouldBlock);
        fs.lock(&dir.join("OTHER")).unwrap();
        drop(lock);
        assert_eq!(names(fs, dir), ["LOCK", "OTHER"], "a lock file was unlinked");
        fs.lock(&path).unwrap().check().unwrap();
    });
}

/// Locking neither empties the file nor hides it from readers.
#[test]
fn a_lock_leaves_the_file_as_it_is() {
    check(|fs, dir| {
        let path = dir.join("LOCK");
        create(fs, &path, b"bytes");
        let _lock = fs.lock(&path).unwrap();
        assert_eq!(content_of(fs, &path), b"bytes");
    });
}

#[test]
fn a_lock_needs_a_directory_to_be_in() {
    check(|fs, dir| {
        assert_eq!(kind(fs.lock(&dir.join("no").join("LOCK"))), io::ErrorKind::NotFound);
        assert!(fs.lock(dir).is_err());
    });
}

/// docs/DURABILITY.md, W7.
#[cfg(unix)]
#[test]
fn a_lock_notices_that_its_file_lost_the_name() {
    check(|fs, dir| {
        let path = dir.join("LOCK");
        let first = fs.lock(&path).unwrap();
        fs.rename(&path, &dir.join("AWAY")).unwrap();
        assert!(first.check().is_err());
        fs.rename(&dir.join("AWAY"), &path).unwrap();
        first.check().unwrap();
        fs.remove_file(&path).unwrap();
        assert!(first.check().is_err());
        let second = fs.lock(&path).unwrap();
        assert!(first.check().is_err());
        second.check().unwrap();
        drop(first);
        second.check().unwrap();
        assert_eq!(kind(fs.lock(&path)), io::ErrorKind::WouldBlock, "dropping the lost lock released the new one");
    });
}

/// The lock stays with the file also for who asks under another spelling of its name.
#[test]
fn a_lock_excludes_under_every_spelling_of_the_path() {
    check(|fs, dir| {
        fs.create_dir(&dir.join("sub")).unwrap();
        let _lock = fs.lock(&dir.join("LOCK")).unwrap();
        assert_eq!(kind(fs.lock(&dir.join("sub").join("..").join("LOCK"))), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn there_is_free_space() {
    check(|fs, dir| {
        assert!(fs.free_space(dir).unwrap() > 0);
        assert_eq!(kind(fs.free_space(&dir.join("no"))), io::ErrorKind::NotFound);
    });
}

/// A lock file that may not be written is an error of the system, not a lock. Permissions do not stop the superuser, so
/// a symbolic link to a place that does not exist stands in for a medium that cannot be written where it must be made.
#[cfg(unix)]
#[test]
fn a_lock_file_that_cannot_be_opened_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("LOCK");
    std::os::unix::fs::symlink(dir.path().join("no").join("LOCK"), &path).unwrap();
    assert_eq!(kind(OsVfs.lock(&path)), io::ErrorKind::NotFound);
}

/// On Linux, `/proc` is a medium nobody may write: the error of opening comes through.
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_medium_refuses_the_lock() {
    let error = OsVfs.lock(Path::new("/proc/bulla-LOCK")).unwrap_err();
    assert_ne!(error.kind(), io::ErrorKind::WouldBlock);
}

/// The device that is always full. Where a container hides it there is nothing to ask.
#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_full() {
    if let Ok(file) = OsVfs.open(Path::new("/dev/full"), OpenMode::Write) {
        assert!(is_full(&write_all_at(&*file, b"x", 0).unwrap_err()));
    }
}
