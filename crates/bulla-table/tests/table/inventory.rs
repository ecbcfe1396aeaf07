//! What there is: counts, bounds, heads.

use crate::support::{Disk, fill, table};
use bulla_table::{Digest, Durability, LogReader, Position, RawTable, RawView, RowOptions, Schema, Source, TreeHead};

fn reader(disk: &Disk) -> RawView {
    RawView::new(Source::Reader(LogReader::open(&disk.host, &Disk::dir(1)).unwrap()), "read", Schema::default())
}

#[test]
fn a_new_table_is_empty() {
    let table: RawTable = table();
    assert!(table.is_empty().unwrap());
    assert_eq!((table.len().unwrap(), table.floor().unwrap()), (0, Position::ZERO));
    assert_eq!(table.durable_end().unwrap(), table.next_position());
    assert!(table.query().iter().unwrap().next().is_none());
    assert_eq!(table.query().descending().page().unwrap().next, None);
}

#[test]
fn the_writer_and_a_reader_beside_it_count_the_same() {
    let disk = Disk::new();
    let table: RawTable = disk.table(1);
    let model = fill(&table, 21, 300);
    for view in [table.view().clone(), reader(&disk)] {
        assert_eq!(view.len().unwrap(), model.len() as u64);
        assert_eq!(view.durable_end().unwrap(), table.next_position());
        assert_eq!(view.floor().unwrap(), Position::ZERO);
        assert_eq!(view.head().unwrap(), table.head().unwrap());

        let segments = view.segments().unwrap();
        assert!(segments.len() > 2);
        assert_eq!(segments.iter().map(|segment| segment.caller_count).sum::<u64>(), model.len() as u64);
        let payload_bytes: u64 = model.iter().map(|row| row.row.len() as u64).sum();
        assert_eq!(segments.iter().map(|segment| segment.payload_bytes).sum::<u64>(), payload_bytes);
        assert!(view.disk_bytes().unwrap() > payload_bytes);
        let mut next = Position::ZERO;
        for (number, segment) in segments.iter().enumerate() {
            assert_eq!((segment.number.0, segment.positions.start), (number as u64, next));
            next = segment.positions.end;
            assert_eq!(segment.is_sealed, number + 1 < segments.len());
            let times = model.iter().filter(|row| segment.positions.contains(&row.position)).map(|row| row.time);
            let (min, max) = (times.clone().min(), times.max());
            let bounds = (!segment.times.is_empty()).then_some((segment.times.min.0, segment.times.max.0));
            assert_eq!(bounds, min.zip(max), "segment {number}");
        }
        assert_eq!(next, table.next_position());
    }
}

#[test]
fn the_head_covers_what_is_durable_and_nothing_else() {
    let disk = Disk::new();
    let table: RawTable = disk.table(1);
    fill(&table, 22, 30);
    let head = table.head().unwrap();
    assert_eq!(Position(head.size), table.durable_end().unwrap());
    table.append_with(&vec![1], &RowOptions::new().durability(Durability::Flushed)).unwrap();
    for view in [table.view().clone(), reader(&disk)] {
        let found = view.head().unwrap();
        assert!(found.size <= head.size, "no sync covers the row");
        assert!(table.contains_head(&found).unwrap());
    }
    assert_eq!(table.head().unwrap(), head);
    table.sync().unwrap();
    let later = table.head().unwrap();
    assert_eq!(later.size, head.size + 1);
    assert_ne!(later.root, head.root);
}

#[test]
fn a_log_contains_its_own_heads_and_no_others() {
    let disk = Disk::new();
    let (table, other): (RawTable, RawTable) = (disk.table(1), disk.table(2));
    let mut heads = vec![TreeHead::EMPTY];
    for seed in 0..5 {
        heads.push(table.head().unwrap());
        fill(&table, seed, 40);
    }
    fill(&other, 0, 300);
    for view in [table.view().clone(), reader(&disk)] {
        for head in &heads {
            assert!(view.contains_head(head).unwrap(), "{head}");
            let forged = TreeHead { size: head.size, root: Digest([7; 32]) };
            assert!(!view.contains_head(&forged).unwrap(), "{forged}");
        }
        let larger = TreeHead { size: view.durable_end().unwrap().0 + 1, root: Digest([7; 32]) };
        assert!(!view.contains_head(&larger).unwrap(), "a log that is shorter now");
        assert!(!view.contains_head(&other.head().unwrap()).unwrap());
    }
}
