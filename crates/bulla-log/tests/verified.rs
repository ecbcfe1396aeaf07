//! Verified reads: only what a trusted head vouches for is given out, whatever the disk says by now.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "support/build.rs"]
mod build;
#[path = "support/common.rs"]
mod common;

use build::{DIR, LogBuilder};
use bulla_log::{Durability, Item, LogError, LogReader, Order, Query, Snapshot, TreeHead};
use bulla_testkit::Edited;
use bulla_vfs::MemVfs;
use bulla_wire::{LogId, Position};
use common::{create, dir, host, options, row, with};
use std::path::Path;

/// A closed log of some segments, and heads of it.
fn filled() -> (MemVfs, Vec<TreeHead>) {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    let mut heads = vec![log.head().unwrap()];
    for batch in 0..30_u8 {
        let payload = [batch; 40];
        log.append_batch(&[row(&payload); 40], with(Durability::Durable)).unwrap();
        heads.push(log.head().unwrap());
    }
    log.close().unwrap();
    (disk, heads)
}

fn snapshot(disk: &MemVfs) -> Snapshot {
    LogReader::open(&host(disk.clone()), dir()).unwrap().snapshot().unwrap()
}

/// Positions given out in this order, and the error that ended it.
fn walk(snapshot: &Snapshot, order: Order) -> (Vec<u64>, Option<LogError>) {
    let mut cursor = snapshot.cursor(&Query { order, engine: true, ..Query::new() });
    let mut given = Vec::new();
    while let Some(item) = cursor.next() {
        match item {
            Ok(Item::Record(record)) => given.push(record.position.0),
            Ok(Item::Gap(gap)) => panic!("{gap:?}"),
            Err(error) => return (given, Some(error)),
        }
    }
    (given, None)
}

/// The same records as without, as far as the head goes, in both directions, one by one, and without a spine.
#[test]
fn an_untouched_log_gives_every_record_up_to_the_head() {
    let (disk, heads) = filled();
    for spine in [true, false] {
        if !spine {
            bulla_vfs::Vfs::remove_file(&disk, &dir().join("spine")).unwrap();
        }
        for head in heads.iter().step_by(7).chain(heads.last()) {
            let verified = snapshot(&disk).verified(*head).unwrap();
            assert_eq!(verified.end(), Position(head.size));
            let every: Vec<u64> = (0..head.size).collect();
            assert_eq!(walk(&verified, Order::Ascending).0, every);
            assert!(walk(&verified, Order::Descending).0.iter().rev().eq(&every));
            for position in every.iter().step_by(37) {
                let found = verified.get(Position(*position), |record| record.position.0).unwrap();
                assert_eq!(found, Some(*position));
            }
            assert_eq!(verified.get(Position(head.size), |_| ()).unwrap(), None);
        }
    }
}

/// A head that the log never had, is too short for, or has another root of.
#[test]
fn a_head_of_another_history_vouches_for_nothing() {
    let (disk, heads) = filled();
    let snapshot = snapshot(&disk);
    let newest = *heads.last().unwrap();
    let above = TreeHead { size: newest.size + 1, ..newest };
    assert!(matches!(snapshot.verified(above), Err(LogError::NoSuchHead { .. })));
    for (size, root) in [(newest.size, heads[3].root), (heads[3].size, newest.root), (0, newest.root), (1, newest.root)]
    {
        let error = snapshot.verified(TreeHead { size, root }).unwrap_err();
        assert!(matches!(error, LogError::Unproven { .. }) && error.is_damage(), "{error}");
    }
    assert_eq!(walk(&snapshot.verified(TreeHead::EMPTY).unwrap(), Order::Ascending).0, [0; 0]);
}

/// A log rebuilt around one changed record, with checksums, index, footers, headers and seals that are right: nothing but
/// the head tells.
#[test]
fn a_record_rewritten_with_everything_after_it_is_not_given_out() {
    let build = |changed: Option<u64>| {
        let mut builder = LogBuilder::new(LogId([3; 16]), false);
        for batch in 0..9_u64 {
            let payloads: Vec<_> = (0..70)
                .map(
                    |index| if changed == Some(batch * 70 + index) { b"changed".to_vec() } else { b"record!".to_vec() },
                )
                .collect();
            let rows: Vec<_> = payloads.iter().map(|payload| build::row(5, payload)).collect();
            builder.frame(&rows, false);
            if batch == 2 || batch == 5 {
                builder.rotate();
            }
        }
        builder.finish(false);
        builder
    };
    let trusted = build(None).frontier.head();
    for changed in [0, 69, 200, 255, 256, 400, 629] {
        let harmed = build(Some(changed));
        let snapshot = LogReader::open(&harmed.host, Path::new(DIR)).unwrap().snapshot().unwrap();
        assert_eq!(walk(&snapshot, Order::Ascending).0.len() as u64, trusted.size, "nothing else tells");
        let error = snapshot.verified(trusted).unwrap_err();
        assert!(matches!(error, LogError::Unproven { .. }), "{error}");
    }
}

/// A1. One record rewritten under right checksums, where the spine still says what was there: records of other blocks are
/// given out, and none of its own.
#[test]
fn a_rewritten_record_ends_the_walk_at_its_block() {
    let (disk, heads) = filled();
    let trusted = *heads.last().unwrap();
    let segments: Vec<_> = common::segments(&disk);
    let path = &segments[1];
    let mut edited = Edited::parse(&disk.read_file(path).unwrap());
    let (place, record) = edited
        .frames
        .iter()
        .enumerate()
        .find_map(|(place, (header, body))| {
            let payload = body.windows(40).find(|window| window.iter().all(|byte| *byte == window[0] && *byte > 0))?;
            Some((place, (header.base.0, payload.to_vec())))
        })
        .unwrap();
    let (base, payload) = record;
    edited.replace(place, &payload, &[0xee; 40]);
    bulla_vfs::Vfs::remove_file(&disk, path).unwrap();
    disk.write_file(path, &edited.bytes()).unwrap();

    let whole = snapshot(&disk);
    assert_eq!(walk(&whole, Order::Ascending).0.len() as u64, trusted.size, "checksums hold");
    let verified = whole.verified(trusted).unwrap();
    let (given, error) = walk(&verified, Order::Ascending);
    let block = given.len() as u64 / 256;
    assert!(matches!(&error, Some(error) if error.is_damage()), "{error:?}");
    assert_eq!((given.len() as u64 % 256, block), (0, base / 256), "the walk ends where its block begins");
    let (given, error) = walk(&verified, Order::Descending);
    assert!(error.is_some_and(|error| error.to_string().contains("do not lead to head")));
    assert_eq!(given.last().copied(), Some((block + 1) * 256));
    // The same, asked for one by one.
    assert!(verified.get(Position(block * 256 + 9), |_| ()).is_err());
    assert_eq!(verified.get(Position((block + 1) * 256), |record| record.position.0).unwrap(), Some((block + 1) * 256));
}
