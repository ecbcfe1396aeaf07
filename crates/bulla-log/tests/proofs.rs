//! Proofs made from logs: of every record, against every head, whatever became of the spine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "support/common.rs"]
mod common;
#[path = "support/faulty.rs"]
mod faulty;

use bulla_log::{Durability, Log, LogError, LogOptions, LogReader, Prover, Tile, TreeHead};
use bulla_testkit::CountingVfs;
use bulla_vfs::{Host, MemVfs, OpenMode, Vfs, write_all_at};
use bulla_wire::{LogId, Position, spine_offset};
use common::{ID, create, dir, host, options, row, with};
use faulty::{Fault, Faulty, Operation};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const SLOT: usize = 8192;

fn spine() -> PathBuf {
    dir().join("spine")
}

/// Fills a log with `count` records in batches, buffered; some segments are sealed on the way.
fn fill(log: &Log, count: u64) {
    let payload = [b'r'; 40];
    let batch = [row(&payload); 50];
    for _ in 0..count / 50 {
        log.append_batch(&batch, with(Durability::Buffered)).unwrap();
    }
    log.sync().unwrap();
}

/// A log of about `count` records on a disk of its own.
fn filled(count: u64) -> (MemVfs, Log) {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    fill(&log, count);
    (disk, log)
}

fn reader(disk: &MemVfs) -> Prover {
    LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap().prover().unwrap()
}

/// Everything that can be proven is, and leads to these heads.
fn check(prover: &mut Prover, heads: &[TreeHead], step: usize) {
    let newest = prover.head();
    assert_eq!(heads.last(), Some(&newest));
    for old in heads.iter().step_by(step) {
        assert_eq!(prover.head_at(old.size).unwrap(), *old);
        assert_eq!(prover.consistency(old.size, newest.size).unwrap().verify(old, &newest), Ok(()));
    }
    for position in (0..newest.size).step_by(step) {
        for head in heads.iter().filter(|head| head.size > position).step_by(step).chain([&newest]) {
            let shown = prover.inclusion(Position(position), head.size).unwrap();
            assert_eq!((shown.head, shown.entry.position), (*head, Position(position)));
            assert_eq!(shown.proof.verify(&shown.entry.leaf(), head), Ok(()));
        }
    }
}

/// Heads of a log at every hundredth size, computed from the records.
fn heads(log: &Log) -> Vec<TreeHead> {
    let snapshot = log.snapshot();
    let sizes = (0..snapshot.end().0).step_by(97).chain([snapshot.end().0]);
    sizes.map(|size| snapshot.head_at(Position(size)).unwrap()).collect()
}

#[test]
fn every_record_is_proven_against_earlier_heads_and_the_newest() {
    let (disk, log) = filled(1_500);
    let heads = heads(&log);
    assert!(log.snapshot().segments().unwrap().len() > 5);
    check(&mut log.prover().unwrap(), &heads, 3);
    check(&mut reader(&disk), &heads, 7);
    log.close().unwrap();
    check(&mut reader(&disk), &heads, 7);
    let log = common::open(&disk).unwrap();
    check(&mut log.prover().unwrap(), &heads, 7);
}

/// Small logs, each size once: with no spine, with a block just complete, with one record more.
#[test]
fn logs_of_every_small_size_prove_their_records() {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &LogOptions::new().origin("test/log"));
    let mut heads = vec![log.head().unwrap()];
    for size in 2..=600 {
        log.append(&row(b"row"), with(Durability::Flushed)).unwrap();
        log.sync().unwrap();
        heads.push(log.head().unwrap());
        if size % 64 < 2 {
            check(&mut log.prover().unwrap(), &heads, 17);
        }
    }
    assert!(disk.read_file(&spine()).is_err(), "nothing was sealed or closed");
    log.close().unwrap();
    check(&mut reader(&disk), &heads, 17);
}

/// P1, and what was asked for that does not exist.
#[test]
fn nothing_is_proven_of_what_is_not_durable_or_not_there() {
    let (_, log) = filled(300);
    let durable = log.durable_end();
    log.append(&row(b"flushed"), with(Durability::Flushed)).unwrap();
    let mut prover = log.prover().unwrap();
    assert_eq!(prover.head().size, durable.0);
    let above = prover.inclusion(durable, durable.0 + 1).unwrap_err();
    assert!(matches!(above, LogError::NoSuchHead { asked, size } if asked == size + 1), "{above}");
    let beside = prover.inclusion(Position(5), 5).unwrap_err();
    assert!(matches!(beside, LogError::NoSuchRecord { asked: Position(5), size: 5 }), "{beside}");
    assert!(matches!(prover.consistency(9, 8).unwrap_err(), LogError::NoSuchHead { asked: 9, size: 8 }));
    let tile = Tile::full(1, 9);
    assert!(matches!(prover.tile(&tile).unwrap_err(), LogError::NoSuchHead { .. }));
    log.sync().unwrap();
    assert_eq!(log.prover().unwrap().inclusion(durable, durable.0 + 1).unwrap().entry.position, durable);
}

/// P3. Deleted, cut, empty, of another log, or with any node changed: the same proofs, and after `maintain` the same spine.
#[test]
fn a_spine_that_is_wrong_or_gone_changes_no_proof_and_is_written_anew() {
    let (disk, log) = filled(2_000);
    let heads = heads(&log);
    log.close().unwrap();
    let whole = disk.read_file(&spine()).unwrap();
    // Header, tiles of heights 24 and 16, and seven nodes of height 8.
    assert_eq!(whole.len(), 3 * SLOT + 7 * 32);
    let mut harmed: Vec<Option<Vec<u8>>> = vec![None, Some(Vec::new()), Some(whole[..whole.len() - 1].to_vec())];
    harmed.push(Some(whole[..3 * SLOT + 40].to_vec()));
    harmed.push(Some([&whole[..16], &[0xee; 16], &whole[32..]].concat()));
    // The last one is in the frontier too, so that nobody misses it yet.
    for node in 0..6 {
        for wrong in [[0; 32], [0xee; 32]] {
            let mut bytes = whole.clone();
            bytes[3 * SLOT + node * 32..][..32].copy_from_slice(&wrong);
            harmed.push(Some(bytes));
        }
    }
    for (case, bytes) in harmed.iter().enumerate() {
        disk.remove_file(&spine()).unwrap();
        if let Some(bytes) = bytes {
            disk.write_file(&spine(), bytes).unwrap();
        }
        check(&mut reader(&disk), &heads, 83);
        let log = common::open(&disk).unwrap();
        check(&mut log.prover().unwrap(), &heads, 83);
        while log.maintain().unwrap() {}
        assert!(disk.read_file(&spine()).unwrap() == whole, "case {case}");
        assert!(!log.maintain().unwrap());
        log.close().unwrap();
    }
}

/// Bits rot in a cache as anywhere. A spine that could not be opened or read failed every proof, and with it every signed
/// checkpoint; and the next rotation or close poisoned the log, whose records had nothing to do with it.
#[test]
fn a_spine_that_cannot_be_read_costs_time_and_nothing_else() {
    let (disk, log) = filled(1_500);
    log.close().unwrap();
    let heads = heads_of(&disk);
    let faulty = Faulty::new(disk.crash());
    let refuse = |path: &Path| if path == spine() { Err(ErrorKind::Other.into()) } else { Ok(()) };
    faulty.before_open(refuse);
    let reader = LogReader::open(&host(faulty.clone()), dir()).unwrap();
    check(&mut reader.snapshot().unwrap().prover().unwrap(), &heads, 97);
    reader.snapshot().unwrap().verified(heads[3]).unwrap();
    let before = disk.read_file(&spine()).unwrap();
    live(&faulty).unwrap();
    let log = Log::open(&host(faulty.clone()), dir(), &options()).unwrap();
    log.prover().unwrap().head_at(300).unwrap();
    while log.maintain().unwrap() {}
    log.close().unwrap();
    assert_eq!(faulty.disk.read_file(&spine()).unwrap(), before);

    // As soon as it can be read again it gets what it lacks.
    let log = common::open(&faulty.disk).unwrap();
    while log.maintain().unwrap() {}
    log.close().unwrap();
    let heads = heads_of(&faulty.disk);
    check(&mut self::reader(&faulty.disk), &heads, 97);
    assert!(faulty.disk.read_file(&spine()).unwrap().len() > before.len());
}

/// A file that a later version wrote is neither used nor changed.
#[test]
fn a_spine_of_a_later_version_is_left_alone() {
    let (disk, log) = filled(600);
    log.close().unwrap();
    let mut newer = disk.read_file(&spine()).unwrap();
    newer[8] = 2;
    disk.write_file(&spine(), &newer).unwrap();
    let log = common::open(&disk).unwrap();
    let heads = heads(&log);
    check(&mut log.prover().unwrap(), &heads, 31);
    fill(&log, 600);
    while log.maintain().unwrap() {}
    log.close().unwrap();
    assert_eq!(disk.read_file(&spine()).unwrap(), newer);
}

/// What a life does after a clean close: some segments, and a close.
fn live(faulty: &Faulty) -> Result<(), LogError> {
    let log = Log::open(&host(faulty.clone()), dir(), &options())?;
    let payload = [b's'; 40];
    for _ in 0..8 {
        log.append_batch(&[row(&payload); 50], with(Durability::Durable))?;
    }
    log.close()
}

/// S2 and S3. Power is lost after any call of a life: what the next life leaves has every node.
#[test]
fn a_crash_at_any_step_leaves_a_spine_that_is_right_or_mended() {
    let (disk, log) = filled(400);
    log.close().unwrap();
    let faulty = Faulty::new(disk.crash());
    let images = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&images);
    faulty.watch(move |disk, _| kept.lock().unwrap().push(disk.crash()));
    live(&faulty).unwrap();
    let images = std::mem::take(&mut *images.lock().unwrap());
    assert!(images.len() > 50);
    for (call, left) in images.into_iter().enumerate() {
        let log = common::open(&left).unwrap();
        let mut prover = log.prover().unwrap();
        let (head, snapshot) = (prover.head(), log.snapshot());
        for size in (1..=head.size).step_by(61) {
            assert_eq!(prover.head_at(size).unwrap(), snapshot.head_at(Position(size)).unwrap(), "call {call}");
        }
        log.rotate().unwrap();
        log.close().unwrap();
        let bytes = left.read_file(&spine()).unwrap();
        for block in 0..head.size / 256 {
            let offset = spine_offset(8, block).unwrap() as usize;
            assert_ne!(bytes[offset..offset + 32], [0; 32], "call {call}, block {block}");
        }
        check(&mut reader(&left), &heads_of(&left), 61);
    }
}

fn heads_of(disk: &MemVfs) -> Vec<TreeHead> {
    let snapshot = LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap();
    (0..=snapshot.end().0)
        .step_by(97)
        .chain([snapshot.end().0])
        .map(|s| snapshot.head_at(Position(s)).unwrap())
        .collect()
}

/// S2. A disk that is full when a node is written costs that node, and neither the rotation nor a record; a disk that
/// fails poisons the log, as for any other write.
#[test]
fn a_full_disk_costs_the_spine_and_nothing_else() {
    let (disk, log) = filled(300);
    log.close().unwrap();
    let before = disk.read_file(&spine()).unwrap();
    let dry = Faulty::new(disk.crash());
    live(&dry).unwrap();
    let is_node = |operation: &Operation| matches!(operation, Operation::Write { path, .. } if path.ends_with("spine"));
    let at = dry.done().iter().position(is_node).unwrap() as u64;
    for quarters_written in 0..4 {
        let faulty = Faulty::new(disk.crash());
        faulty.set_fault(Some(Fault { at, kind: ErrorKind::StorageFull, for_good: false, quarters_written }));
        live(&faulty).unwrap();
        let spine_then = faulty.disk.read_file(&spine()).unwrap();
        assert!(spine_then.len() == before.len() || spine_then[before.len()..][..32] == [0; 32], "taken back");
        let heads = heads_of(&faulty.disk);
        check(&mut reader(&faulty.disk), &heads, 41);
        let log = common::open(&faulty.disk).unwrap();
        check(&mut log.prover().unwrap(), &heads, 41);
        while log.maintain().unwrap() {}
        let mended = faulty.disk.read_file(&spine()).unwrap();
        assert_eq!(mended.len() as u64, 3 * SLOT as u64 + log.head().unwrap().size / 256 * 32);
        assert!(mended[3 * SLOT..].chunks(32).all(|node| node != [0; 32]));

        let faulty = Faulty::new(disk.crash());
        faulty.set_fault(Some(Fault { at, kind: ErrorKind::Other, for_good: false, quarters_written }));
        assert!(live(&faulty).is_err());
    }
}

/// A million records: the bytes that a proof reads, counted.
#[test]
fn a_proof_of_one_in_a_million_reads_one_block_and_a_tile_a_height() {
    let memory = MemVfs::new();
    let counting = CountingVfs::new(Arc::new(memory.clone()));
    let host = Host { fs: Arc::new(counting.clone()), ..host(memory) };
    let log = Log::create(&host, dir(), LogId([7; 16]), &LogOptions::new().segment_bytes_max(32 << 20)).unwrap();
    let payload = [b'r'; 200];
    let batch = vec![row(&payload); 1_000];
    for _ in 0..1_000 {
        log.append_batch(&batch, with(Durability::Buffered)).unwrap();
    }
    log.close().unwrap();

    // 256 records of 200 bytes, the rest of the first and last frames, what one look at the index costs.
    let block = 256 * 212 + 3 * (4096 + 512);
    let index = 64 << 10;
    let reader = LogReader::open(&host, dir()).unwrap();
    let head = reader.snapshot().unwrap().prover().unwrap().head();
    assert!(head.size > 1_000_000);
    for position in [0, 1, 255, 256, 65_535, 65_536, 500_000, 999_999, head.size - 1] {
        for (size, blocks) in [(head.size, 1), (position + 1, 2), ((position + 130_000).min(head.size), 2)] {
            let mut prover = reader.snapshot().unwrap().prover().unwrap();
            let _ = counting.take();
            let shown = prover.inclusion(Position(position), size).unwrap();
            assert_eq!(shown.proof.verify(&shown.entry.leaf(), &shown.head), Ok(()));
            let stats = prover.stats();
            let what = format!("record {position} of {size}: {stats:?}");
            assert!(stats.blocks_read <= blocks, "{what}");
            // Heights 8 and 16: a tile for the record, and for an earlier head one at its edge.
            assert!(stats.tiles_read <= 2 * blocks && stats.tile_bytes_read <= 2 * blocks * 8192, "{what}");
            assert!(stats.segment_bytes_read <= blocks * (block + index), "{what}");
            let read: u64 = counting.take().iter().filter(|(path, _)| is_of_log(path)).map(|(_, c)| c.bytes_read).sum();
            assert!(read <= blocks * (block + index) + stats.tile_bytes_read, "{read} bytes, {what}");
        }
    }
}

fn is_of_log(path: &Path) -> bool {
    path.starts_with(dir())
}

/// A node is where the format says, and nothing else is.
#[test]
fn the_spine_holds_the_nodes_that_the_format_says() {
    let (disk, log) = filled(1_000);
    log.close().unwrap();
    let bytes = disk.read_file(&spine()).unwrap();
    let mut prover = reader(&disk);
    for block in 0..3 {
        let tile = Tile::full(0, block);
        let leaves = prover.tile(&tile).unwrap();
        let mut frontier = bulla_chain::Frontier::new();
        leaves.as_chunks::<32>().0.iter().for_each(|leaf| frontier.push(bulla_chain::Digest(*leaf)));
        let offset = spine_offset(8, block).unwrap() as usize;
        assert_eq!(bytes[offset..offset + 32], frontier.root().0);
    }
    let header = bulla_wire::SpineHeader { log: ID }.encode();
    assert_eq!(bytes[..header.len()], header);
    assert!(bytes[header.len()..3 * SLOT].iter().all(|byte| *byte == 0));
}

/// P3. What changes while a prover is open is met by it too.
#[test]
fn a_node_that_changes_under_a_prover_changes_no_proof() {
    let (disk, log) = filled(300);
    log.close().unwrap();
    let mut prover = reader(&disk);
    let file = disk.open(&spine(), OpenMode::Write).unwrap();
    write_all_at(&*file, &[0xee; 32], spine_offset(8, 0).unwrap()).unwrap();
    let head = prover.head();
    assert_eq!(prover.inclusion(Position(299), head.size).unwrap().head, head);
}
