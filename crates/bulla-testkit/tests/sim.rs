//! The simulated disk keeps what A1 promises, and loses everything that A2 and A3 let it lose.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use bulla_testkit::{Call, Crash, CrashPlan, Fault, Harm, Image, Random, Sectors, SimDisk};
use bulla_vfs::{OpenMode, Vfs, VfsFile, read_up_to_at, write_all_at};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

const PLAN: CrashPlan = CrashPlan { all_subsets_of: 8, subsets: 500, singles: 64, torn: 50, lengths: 8, names: 50 };

fn path() -> &'static Path {
    Path::new("/dir/file")
}

/// A file that is durable with its name, and holds `bytes`.
fn with_file(seed: u64, bytes: &[u8]) -> (SimDisk, Arc<dyn VfsFile>) {
    let disk = SimDisk::new(seed);
    disk.create_dir(Path::new("/dir")).unwrap();
    let file = disk.open(path(), OpenMode::Create).unwrap();
    write_all_at(&*file, bytes, 0).unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(Path::new("/dir")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    (disk, file)
}

fn crashes(disk: &SimDisk) -> Vec<Image> {
    let mut images = Vec::new();
    disk.state().crashes(&PLAN, &mut Random::new(1), &mut |Crash { image, is_kill, .. }| {
        if !is_kill {
            images.push(image);
        }
    });
    images
}

/// The bytes that a file has in some crash or other.
fn fates(disk: &SimDisk) -> BTreeSet<Vec<u8>> {
    crashes(disk).iter().filter_map(|image| image.files.get(path())).map(Sectors::to_vec).collect()
}

/// A1.
#[test]
fn what_was_synced_is_in_every_crash() {
    let (disk, file) = with_file(1, &[7; 2000]);
    write_all_at(&*file, &[9; 3000], 2000).unwrap();
    for bytes in fates(&disk) {
        assert_eq!(bytes[..2000], [7; 2000]);
    }
    file.sync_data().unwrap();
    assert_eq!(fates(&disk), BTreeSet::from([[&[7; 2000][..], &[9; 3000]].concat()]));
}

/// A2: any subset of the sectors, and a sector torn within.
#[test]
fn sectors_on_their_way_arrive_in_any_subset() {
    let (disk, file) = with_file(2, &[1; 2048]);
    write_all_at(&*file, &[2; 2048], 0).unwrap();
    let fates = fates(&disk);
    for bits in 0..16_u32 {
        let expected: Vec<u8> = (0..2048).map(|at| if bits >> (at / 512) & 1 == 1 { 2 } else { 1 }).collect();
        assert!(fates.contains(&expected), "{bits:b} is missing");
    }
    let is_torn = |bytes: &Vec<u8>| bytes[..512].contains(&1) && bytes[..512].contains(&2);
    assert!(fates.iter().any(is_torn), "no sector was torn");
}

/// A2: the length is old, new or between, and what is missing reads as zeros, as ones or as what was cut off there.
#[test]
fn a_grown_file_may_be_of_any_length_and_hold_what_was_there_before() {
    let (disk, file) = with_file(3, &[5; 4096]);
    file.set_len(512).unwrap();
    file.sync_data().unwrap();
    write_all_at(&*file, &[6; 3584], 512).unwrap();
    let fates = fates(&disk);
    let lens: BTreeSet<_> = fates.iter().map(Vec::len).collect();
    assert!(lens.contains(&512) && lens.contains(&4096) && lens.iter().any(|len| (513..4096).contains(len)));
    for byte in [0, 5, 6, 0xff] {
        assert!(fates.iter().any(|bytes| bytes.len() == 4096 && bytes[512..].iter().all(|found| *found == byte)));
    }
    assert!(fates.iter().all(|bytes| bytes[..512] == [5; 512]), "C1");
}

/// A3: fsync fails once, drops its pages while reads still show them, and the next one says `Ok`.
#[test]
fn a_failed_sync_drops_what_readers_still_see() {
    let mut were_lost = 0;
    for seed in 0..20 {
        let (disk, file) = with_file(seed, b"kept");
        write_all_at(&*file, b"lost", 4).unwrap();
        disk.set_fault(Some(Fault { at: 0, harm: Harm::Io, for_good: false }));
        assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
        file.sync_data().unwrap();
        let read = |file: &dyn VfsFile| {
            let mut buffer = [0; 16];
            let len = read_up_to_at(file, &mut buffer, 0).unwrap();
            buffer[..len].to_vec()
        };
        assert_eq!(read(&*file), b"keptlost");
        file.drop_cache().unwrap();
        were_lost += u32::from(read(&*file) == b"kept");
        assert_eq!(fates(&disk), BTreeSet::from([read(&*file)]));
    }
    assert!(were_lost >= 10, "{were_lost}");
}

/// A1 and C4: names are durable with their directory, and before that lost each by itself.
#[test]
fn names_are_lost_each_by_itself_until_their_directory_is_synced() {
    let (disk, _) = with_file(5, b"older");
    let new = disk.open(Path::new("/dir/new"), OpenMode::Create).unwrap();
    write_all_at(&*new, b"new", 0).unwrap();
    new.sync_all().unwrap();
    disk.rename(Path::new("/dir/new"), path()).unwrap();
    let names = |image: &Image| (image.files.contains_key(Path::new("/dir/new")), image.files[path()].len());
    let found: BTreeSet<_> = crashes(&disk).iter().map(names).collect();
    assert_eq!(found, BTreeSet::from([(false, 3), (false, 5), (true, 3), (true, 5)]));
    disk.sync_dir(Path::new("/dir")).unwrap();
    assert_eq!(fates(&disk), BTreeSet::from([b"new".to_vec()]));
    disk.remove_file(path()).unwrap();
    let are_there: BTreeSet<_> = crashes(&disk).iter().map(|image| image.files.contains_key(path())).collect();
    assert_eq!(are_there, BTreeSet::from([true, false]));
}

/// Every kind of error comes at the call it is set for, once or for good, and at no call it cannot befall.
#[test]
fn harm_comes_when_it_is_told_to() {
    for harm in Harm::TOLD {
        for for_good in [false, true].into_iter().filter(|for_good| !for_good || harm.may_be_for_good()) {
            let (disk, file) = with_file(6, b"kept");
            disk.set_fault(Some(Fault { at: 0, harm, for_good }));
            let run = || -> Vec<io::Result<usize>> {
                let mut buffer = [0; 4];
                vec![
                    file.read_at(&mut buffer, 0),
                    file.write_at(b"more", 4),
                    file.sync_data().map(|()| 4),
                    disk.open(path(), OpenMode::Read).map(|_| 4),
                    disk.sync_dir(Path::new("/dir")).map(|()| 4),
                ]
            };
            let mut touched = 0;
            for _ in 0..2 {
                touched += run().iter().filter(|result| !matches!(result, Ok(4))).count();
            }
            assert!(touched >= if for_good { 2 } else { 1 }, "{harm:?}, for good {for_good}");
            assert_eq!(disk.fault_count() as usize, touched, "{harm:?}");
            if !for_good {
                assert_eq!(touched, 1, "{harm:?}");
            }
        }
    }
}

#[test]
fn writes_that_lie_say_ok() {
    let (disk, file) = with_file(7, &[1; 2048]);
    for harm in [Harm::LostWrite, Harm::MisdirectedWrite] {
        disk.set_fault(Some(Fault { at: 0, harm, for_good: false }));
        assert_eq!(file.write_at(&[2; 100], 1024).unwrap(), 100);
    }
    assert_eq!(disk.calls().iter().filter(|call| **call == Call::Write).count(), 3);
    let mut there = [0; 100];
    assert_eq!(file.read_at(&mut there, 1024).unwrap(), 100);
    assert!(there == [1; 100] || there == [2; 100]);
}

/// D1.
#[test]
fn one_seed_is_one_disk() {
    let run = |seed| {
        let (disk, file) = with_file(seed, b"kept");
        for name in ["a", "b", "c", "d", "e"] {
            disk.open(&Path::new("/dir").join(name), OpenMode::Create).unwrap();
        }
        write_all_at(&*file, &[3; 5000], 4).unwrap();
        let listed = disk.list(Path::new("/dir")).unwrap();
        (listed, crashes(&disk).iter().map(Image::fingerprint).collect::<Vec<_>>())
    };
    assert_eq!(run(8), run(8));
    let orders: BTreeSet<_> = (0..8).map(|seed| run(seed).0).collect();
    assert!(orders.len() > 1, "listings come in one order only");
}
