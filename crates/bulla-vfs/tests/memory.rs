//! What the disk in memory promises beyond being a `Vfs`: crashes, capacity, counters.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io;
use std::path::Path;
use std::sync::Arc;

use bulla_vfs::{MemVfs, OpenMode, Vfs, VfsFile, is_full, write_all_at};

fn create(disk: &MemVfs, path: &str, bytes: &[u8]) -> Arc<dyn VfsFile> {
    let file = disk.open(Path::new(path), OpenMode::Create).unwrap();
    write_all_at(&*file, bytes, 0).unwrap();
    file
}

fn read(disk: &MemVfs, path: &str) -> Vec<u8> {
    disk.read_file(Path::new(path)).unwrap()
}

fn names(disk: &MemVfs, dir: &str) -> Vec<String> {
    disk.list(Path::new(dir)).unwrap().into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
}

fn sync_dir(disk: &MemVfs, dir: &str) {
    disk.sync_dir(Path::new(dir)).unwrap();
}

fn rename(disk: &MemVfs, from: &str, to: &str) {
    disk.rename(Path::new(from), Path::new(to)).unwrap();
}

/// M1. Each step says what a crash after it leaves.
#[test]
fn a_crash_leaves_the_bytes_and_length_of_the_last_sync() {
    let disk = MemVfs::new();
    let file = create(&disk, "/file", b"first");
    sync_dir(&disk, "/");
    assert_eq!(read(&disk.crash(), "/file"), b"", "a file never synced is empty");
    file.sync_data().unwrap();
    assert_eq!(read(&disk.crash(), "/file"), b"first");
    write_all_at(&*file, b"FIRST and more", 0).unwrap();
    assert_eq!(read(&disk.crash(), "/file"), b"first");
    file.set_len(2).unwrap();
    assert_eq!(read(&disk.crash(), "/file"), b"first");
    file.sync_all().unwrap();
    assert_eq!(read(&disk.crash(), "/file"), b"FI");
    file.set_len(6).unwrap();
    file.sync_data().unwrap();
    assert_eq!(read(&disk.crash(), "/file"), b"FI\0\0\0\0");
}

/// M1. A sync is of the file, through whichever handle.
#[test]
fn a_sync_through_one_handle_covers_the_writes_of_another() {
    let disk = MemVfs::new();
    let _writer = create(&disk, "/file", b"bytes");
    disk.open(Path::new("/file"), OpenMode::Read).unwrap().sync_data().unwrap();
    sync_dir(&disk, "/");
    assert_eq!(read(&disk.crash(), "/file"), b"bytes");
}

/// M2.
#[test]
fn an_unsynced_name_is_lost_with_its_synced_bytes() {
    let disk = MemVfs::new();
    create(&disk, "/file", b"bytes").sync_all().unwrap();
    assert!(names(&disk.crash(), "/").is_empty());
    sync_dir(&disk, "/");
    assert_eq!(read(&disk.crash(), "/file"), b"bytes");
}

/// M2.
#[test]
fn a_name_survives_only_in_directories_that_do() {
    let disk = MemVfs::new();
    disk.create_dir(Path::new("/a")).unwrap();
    disk.create_dir(Path::new("/a/b")).unwrap();
    create(&disk, "/a/b/file", b"bytes").sync_all().unwrap();
    sync_dir(&disk, "/a/b");
    assert!(names(&disk.crash(), "/").is_empty());
    sync_dir(&disk, "/");
    assert_eq!(names(&disk.crash(), "/"), ["a"]);
    assert!(names(&disk.crash(), "/a").is_empty());
    sync_dir(&disk, "/a");
    assert_eq!(read(&disk.crash(), "/a/b/file"), b"bytes");
}

/// M2.
#[test]
fn an_unsynced_removal_is_undone() {
    let disk = MemVfs::new();
    disk.create_dir(Path::new("/dir")).unwrap();
    disk.write_file(Path::new("/dir/file"), b"bytes").unwrap();
    disk.remove_file(Path::new("/dir/file")).unwrap();
    disk.remove_dir(Path::new("/dir")).unwrap();
    assert!(names(&disk, "/").is_empty());
    assert_eq!(read(&disk.crash(), "/dir/file"), b"bytes");
    sync_dir(&disk, "/");
    assert!(names(&disk.crash(), "/").is_empty());
}

/// M2.
#[test]
fn an_unsynced_rename_is_undone() {
    let disk = MemVfs::new();
    disk.write_file(Path::new("/old"), b"from").unwrap();
    disk.write_file(Path::new("/new"), b"to").unwrap();
    rename(&disk, "/old", "/new");
    let crashed = disk.crash();
    assert_eq!((read(&crashed, "/old"), read(&crashed, "/new")), (b"from".to_vec(), b"to".to_vec()));
    sync_dir(&disk, "/");
    assert_eq!(names(&disk.crash(), "/"), ["new"]);
    assert_eq!(read(&disk.crash(), "/new"), b"from");
}

/// M1 and M2. The mistake this disk is there to find: the new name is durable, the bytes under it are not.
#[test]
fn a_rename_before_the_sync_of_the_file_loses_both_contents() {
    let disk = MemVfs::new();
    disk.write_file(Path::new("/file"), b"old").unwrap();
    create(&disk, "/file.tmp", b"new");
    rename(&disk, "/file.tmp", "/file");
    sync_dir(&disk, "/");
    assert_eq!(read(&disk.crash(), "/file"), b"");
}

/// M2. Between two directories each sync counts by itself.
#[test]
fn a_rename_between_directories_is_durable_in_each_by_itself() {
    let moved = || {
        let disk = MemVfs::new();
        for dir in ["/a", "/b"] {
            disk.create_dir(Path::new(dir)).unwrap();
        }
        sync_dir(&disk, "/");
        disk.write_file(Path::new("/a/file"), b"bytes").unwrap();
        rename(&disk, "/a/file", "/b/file");
        disk
    };
    let (target, source) = (moved(), moved());
    sync_dir(&target, "/b");
    sync_dir(&source, "/a");
    let (target, source) = (target.crash(), source.crash());
    assert_eq!((names(&target, "/a"), names(&target, "/b")), (vec!["file".to_owned()], vec!["file".to_owned()]));
    assert!(names(&source, "/a").is_empty() && names(&source, "/b").is_empty());
    // The two names are two files now.
    target.write_file(Path::new("/a/file"), b"other").unwrap();
    assert_eq!(read(&target, "/b/file"), b"bytes");
}

/// M2. Durable names may lead in a circle when directories trade places and only some are synced.
#[test]
fn directories_that_lie_in_each_other_after_a_crash_do_not_hang_it() {
    let disk = MemVfs::new();
    disk.create_dir(Path::new("/a")).unwrap();
    disk.create_dir(Path::new("/a/b")).unwrap();
    disk.write_file(Path::new("/a/b/file"), b"bytes").unwrap();
    rename(&disk, "/a/b", "/b");
    rename(&disk, "/a", "/b/a");
    sync_dir(&disk, "/b");
    assert_eq!(read(&disk.crash(), "/a/b/file"), b"bytes");
    assert_eq!(names(&disk.crash(), "/a/b"), ["file"]);
}

/// M3 and M4.
#[test]
fn the_disk_after_a_crash_is_its_own() {
    let disk = MemVfs::new();
    disk.write_file(Path::new("/file"), b"bytes").unwrap();
    let lock = disk.lock(Path::new("/file")).unwrap();
    let file = disk.open(Path::new("/file"), OpenMode::Write).unwrap();
    let crashed = disk.crash();
    crashed.lock(Path::new("/file")).unwrap().check().unwrap();
    write_all_at(&*file, b"BYTES", 0).unwrap();
    crashed.remove_file(Path::new("/file")).unwrap();
    assert_eq!(read(&disk, "/file"), b"BYTES");
    lock.check().unwrap();
    assert_eq!(disk.crash().crash().operations(), MemVfs::new().operations());
}

#[test]
fn clones_share_the_disk() {
    let disk = MemVfs::new();
    disk.clone().write_file(Path::new("/file"), b"bytes").unwrap();
    assert_eq!(read(&disk, "/file"), b"bytes");
}

#[test]
fn paths_are_text() {
    let disk = MemVfs::new();
    disk.write_file(Path::new("file"), b"bytes").unwrap();
    for path in ["/file", "./file", "/no/../file", "../file", "//file"] {
        assert_eq!(read(&disk, path), b"bytes", "{path}");
    }
    for root in ["", "/", ".", ".."] {
        assert_eq!(names(&disk, root), ["file"], "{root:?}");
    }
    for result in [disk.create_dir(Path::new("/")), disk.write_file(Path::new("/no/file"), b"")] {
        assert!(result.is_err());
    }
    assert_eq!(disk.read_file(Path::new("/")).unwrap_err().kind(), io::ErrorKind::IsADirectory);
}

/// `write_file` makes its own name durable and takes no other with it.
#[test]
fn write_file_is_durable_and_touches_no_neighbour() {
    let disk = MemVfs::new();
    disk.create_dir(Path::new("/dir")).unwrap();
    create(&disk, "/dir/neighbour", b"");
    disk.write_file(Path::new("/dir/file"), b"longer").unwrap();
    disk.write_file(Path::new("/dir/file"), b"short").unwrap();
    assert_eq!(names(&disk.crash(), "/dir"), ["file"]);
    assert_eq!(read(&disk.crash(), "/dir/file"), b"short");
}

/// M5.
#[test]
fn a_write_past_the_capacity_is_short_and_then_refused() {
    let disk = MemVfs::new();
    disk.set_capacity(Some(10));
    let first = create(&disk, "/first", b"0123");
    let second = create(&disk, "/second", b"");
    assert_eq!(disk.free_space(Path::new("/")).unwrap(), 6);
    assert_eq!(second.write_at(b"abcdefgh", 0).unwrap(), 6);
    assert_eq!(read(&disk, "/second"), b"abcdef");
    assert_eq!(second.write_at(b"g", 6).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(is_full(&write_all_at(&*second, b"g", 6).unwrap_err()));
    assert_eq!(disk.free_space(Path::new("/")).unwrap(), 0);
    assert_eq!(first.write_at(b"3210", 0).unwrap(), 4, "overwriting in place needs no room");
    assert_eq!(first.write_at(b"xyz", 3).unwrap(), 1, "only the last byte fits in place");
    assert_eq!(read(&disk, "/first"), b"321x");
    assert_eq!(first.set_len(5).unwrap_err().kind(), io::ErrorKind::StorageFull);
    second.set_len(4).unwrap();
    first.set_len(6).unwrap();
    assert_eq!(first.write_at(b"z", 8).unwrap_err().kind(), io::ErrorKind::StorageFull, "a gap takes room as well");
    assert!(is_full(&disk.write_file(Path::new("/third"), b"1").unwrap_err()));
    disk.set_capacity(None);
    assert_eq!(disk.free_space(Path::new("/")).unwrap(), u64::MAX);
    assert_eq!(first.write_at(b"z", 8).unwrap(), 1);
}

/// M5. A crash gives back what was only cached, and keeps the limit.
#[test]
fn a_disk_made_smaller_than_it_holds_keeps_what_is_there() {
    let disk = MemVfs::new();
    let file = create(&disk, "/file", b"0123");
    file.sync_all().unwrap();
    sync_dir(&disk, "/");
    write_all_at(&*file, b"456789", 4).unwrap();
    disk.set_capacity(Some(6));
    assert_eq!(disk.free_space(Path::new("/")).unwrap(), 0);
    assert_eq!(read(&disk, "/file"), b"0123456789");
    assert_eq!(disk.crash().free_space(Path::new("/")).unwrap(), 2);
}

/// M3 and M5. The room of a removed file comes back with its last handle, and the file is forgotten only when a crash
/// cannot bring it back.
#[test]
fn room_comes_back_when_the_last_handle_of_a_removed_file_goes() {
    let disk = MemVfs::new();
    disk.set_capacity(Some(10));
    disk.write_file(Path::new("/file"), b"0123").unwrap();
    let file = disk.open(Path::new("/file"), OpenMode::Read).unwrap();
    disk.remove_file(Path::new("/file")).unwrap();
    assert_eq!(disk.free_space(Path::new("/")).unwrap(), 6);
    drop(file);
    assert_eq!(disk.free_space(Path::new("/")).unwrap(), 10);
    assert!(format!("{disk:?}").contains("node_count: 2"), "the durable name keeps it: {disk:?}");
    assert_eq!(read(&disk.crash(), "/file"), b"0123");
    sync_dir(&disk, "/");
    assert!(format!("{disk:?}").contains("node_count: 1"), "nothing keeps it: {disk:?}");
}

/// M5. A file that a rename replaced is removed as well.
#[test]
fn room_comes_back_when_a_rename_replaces_a_file() {
    let disk = MemVfs::new();
    disk.set_capacity(Some(10));
    disk.write_file(Path::new("/file"), b"0123").unwrap();
    disk.write_file(Path::new("/file.tmp"), b"01").unwrap();
    rename(&disk, "/file.tmp", "/file");
    assert_eq!(disk.free_space(Path::new("/")).unwrap(), 8);
}

#[test]
fn every_call_is_counted() {
    let disk = MemVfs::new();
    disk.write_file(Path::new("/seen"), b"helpers are not counted").unwrap();
    assert_eq!(disk.operations(), MemVfs::new().operations());
    let file = create(&disk, "/file", b"0123456789");
    file.write_at(b"ab", 2).unwrap();
    let mut buffer = [0; 4];
    for offset in [0, 8, 10] {
        file.read_at(&mut buffer, offset).unwrap();
    }
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    sync_dir(&disk, "/");
    let counted = disk.operations();
    assert_eq!((counted.reads, counted.bytes_read), (3, 6));
    assert_eq!((counted.writes, counted.bytes_written), (2, 12));
    assert_eq!((counted.syncs, counted.dir_syncs), (2, 1));
}
