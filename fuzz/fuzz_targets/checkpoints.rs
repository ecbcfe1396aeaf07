//! Any bytes as the `checkpoints` of a log: reading gives the whole entries and changes nothing, a verdict changes only for
//! what is said of the store's own logs, and what is noted afterwards is read behind what was there.
//!
//! Input: a byte whose lowest bit says whether the checksums are mended, and the next whether there is a store around the
//! file, which costs most of the time; then the file.
#![no_main]

use bulla::{Level, Reader, ShownCheckpoint, Verdict, VerifyOptions, read_checkpoints, verify};
use bulla_fuzz::{disk, store};
use bulla_vfs::MemVfs;
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;

/// The file of table `trail`, and the origins of the store's logs.
static PLACE: LazyLock<(PathBuf, Vec<String>)> = LazyLock::new(|| {
    let host = store::host(&disk::of(&store::CLOSED));
    let reader = Reader::open_on(&host, store::DIR).expect("it is whole");
    let tables = reader.tables().expect("it is whole");
    let trail = tables.iter().find(|table| table.name == "trail").expect("the table");
    let path = format!("{}/tables/trail/{}/checkpoints", store::DIR, trail.log);
    assert!(store::CLOSED.contains_key(&PathBuf::from(&path)), "closing noted no checkpoint in {path}");
    let origins = tables.iter().map(|table| table.origin.clone()).chain(["fuzz/journal".to_owned()]);
    (path.into(), origins.collect())
});

/// With no entry shorter than this: a name, a size, a root, a checksum.
const ENTRY_BYTES_MIN: usize = 2 + 2 + 45 + 15;

fuzz_target!(|data: &[u8]| {
    let [choice, bytes @ ..] = data else { return };
    let bytes = if choice & 1 == 1 { mended(bytes) } else { bytes.to_vec() };
    let held = entries(&bytes);
    if choice & 2 == 2 {
        in_a_store(&bytes, &held);
    }
});

fn in_a_store(bytes: &[u8], held: &[ShownCheckpoint]) {
    let (path, origins) = &*PLACE;
    let disk = disk::of(&store::CLOSED);
    disk.write_file(path, bytes).expect("room");
    let before = disk::image(&disk);
    let reader = Reader::open_on(&store::host(&disk), store::DIR).expect("nothing of the store was changed");
    assert_eq!(reader.checkpoints("trail").expect("it can be read"), held);
    let is_ours = |shown: &&ShownCheckpoint| origins.iter().any(|origin| origin == shown.checkpoint().origin());
    let is_foreign = !held.iter().any(|shown| is_ours(&shown));
    let verdict = verified(&disk, &[]);
    assert!(!is_foreign || verdict == Verdict::Intact, "{verdict} for {held:?}");
    // Held by the caller, each counts, and the store has no log of another's origin.
    if !held.iter().all(|shown| is_ours(&shown)) {
        assert_ne!(verified(&disk, held), Verdict::Intact, "{held:?}");
    }
    disk::assert_same(&disk, &before, "reading changed something");

    let opened = store::options(&disk).create(false).open(store::DIR).expect("nothing of the store was changed");
    let noted = store::append(&opened).and_then(|()| opened.checkpoint("trail"));
    let noted = match noted {
        // What is noted of the log may contradict it, and then it is not written.
        Err(_) if !is_foreign => {
            let _ = opened.close();
            return assert_eq!(reader.checkpoints("trail").expect("it can be read"), held);
        }
        noted => noted.expect("room"),
    };
    opened.close().expect("room");
    let after = reader.checkpoints("trail").expect("it can be read");
    assert!(after.starts_with(held), "{held:?} {after:?}");
    assert!(after[held.len()..].contains(&noted), "{noted} is not in {after:?}");
    if verdict == Verdict::Intact {
        assert_eq!(verified(&disk, std::slice::from_ref(&noted)), Verdict::Intact);
    }
}

/// The whole entries, of which each is in the bytes.
fn entries(bytes: &[u8]) -> Vec<ShownCheckpoint> {
    // One checkpoint alone is no entry.
    if ShownCheckpoint::parse(bytes).is_ok_and(|shown| shown.to_string().as_bytes() == bytes) && !has_entries(bytes) {
        return Vec::new();
    }
    let Ok(held) = read_checkpoints(bytes) else { return Vec::new() };
    assert!(held.checkpoints.len() <= bytes.len() / ENTRY_BYTES_MIN, "{held:?}");
    let mut rest = bytes;
    for shown in &held.checkpoints {
        let text = shown.to_string();
        let entry = format!("{text}crc32 {:08x}\n", crc32fast::hash(text.as_bytes())).into_bytes();
        let at = rest.windows(entry.len()).position(|window| window == entry).expect("an entry that is not there");
        rest = &rest[at + entry.len()..];
    }
    assert!(held.problems.is_sorted_by(|left, right| left.0 < right.0), "{:?}", held.problems);
    assert!(held.problems.iter().all(|problem| problem.0 < bytes.len() as u64), "{:?}", held.problems);
    held.checkpoints
}

fn has_entries(bytes: &[u8]) -> bool {
    // Behind one more entry, all are entries.
    let other = "x\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let other = format!("{other}crc32 {:08x}\n", crc32fast::hash(other.as_bytes()));
    read_checkpoints(&[other.as_bytes(), bytes].concat()).is_ok_and(|held| held.checkpoints.len() > 1)
}

/// Each checksum's line made that of the bytes since the one before.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let (mut mended, mut begin) = (Vec::with_capacity(bytes.len()), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.len() == 15 && line.starts_with(b"crc32 ") {
            mended.extend_from_slice(format!("crc32 {:08x}\n", crc32fast::hash(&mended[begin..])).as_bytes());
            begin = mended.len();
        } else {
            mended.extend_from_slice(line);
        }
    }
    mended
}

fn verified(disk: &MemVfs, held: &[ShownCheckpoint]) -> Verdict {
    let host = store::host(disk);
    let options =
        VerifyOptions { level: Level::Full, host, held: held.to_vec(), workers: 1, ..VerifyOptions::default() };
    verify(store::DIR, &options, &mut |_| {}).expect("nothing of the store was changed").verdict()
}
