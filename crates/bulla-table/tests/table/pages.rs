//! Continuing where a walk stood: T3, W2 and W3.

use crate::support::{ModelRow, fill, table};
use bulla_table::{CursorToken, Entry, Order, Position, Raw, RawTable, RowOptions};
use std::collections::BTreeSet;

fn positions(entries: &[Entry<Vec<u8>>]) -> Vec<u64> {
    entries.iter().map(|entry| entry.position.0).collect()
}

/// All pages of `size` rows in a range of times, glued together. Between two pages the token is a text, as it would be
/// in a link.
fn glued(table: &RawTable, order: Order, size: u64, times: (i64, i64)) -> Vec<u64> {
    let (mut all, mut after): (Vec<u64>, Option<String>) = (Vec::new(), None);
    loop {
        let mut query = table.query().order(order).limit(size).from_time(times.0).to_time(times.1);
        if let Some(text) = &after {
            query = query.after(&text.parse().unwrap());
        }
        let page = query.page().unwrap();
        assert!(page.entries.len() as u64 <= size);
        assert!(!page.entries.is_empty() || after.is_none(), "only the first page may be empty");
        all.extend(positions(&page.entries));
        match page.next {
            Some(token) => after = Some(token.to_string()),
            None => return all,
        }
    }
}

/// Many rows share their times, and times run backwards; each row is on one page all the same.
#[test]
fn pages_of_any_size_give_each_row_once_in_both_orders() {
    let table = table();
    let model = fill(&table, 11, 300);
    let times: BTreeSet<i64> = model.iter().map(|row| row.time).collect();
    assert!(times.len() < 15, "300 rows share {} times", times.len());
    for (from, to) in [(i64::MIN, i64::MAX), (-50, 0), (-40, -30), (1_000, 2_000)] {
        let matching = |row: &&ModelRow| (from..to).contains(&row.time);
        let mut expected: Vec<u64> = model.iter().filter(matching).map(|row| row.position.0).collect();
        for order in [Order::Ascending, Order::Descending] {
            for size in [1, 7, 1_000] {
                assert_eq!(glued(&table, order, size, (from, to)), expected, "{order:?} by {size} in {from}..{to}");
            }
            expected.reverse();
        }
    }
}

#[test]
fn the_last_page_says_so_even_if_it_is_full() {
    let table: RawTable = table();
    let rows: Vec<Vec<u8>> = (0..4).map(|byte| vec![byte]).collect();
    table.append_batch(&rows).unwrap();
    table.rotate().unwrap();
    for order in [Order::Ascending, Order::Descending] {
        assert!(table.query().order(order).limit(3).page().unwrap().next.is_some());
        assert_eq!(table.query().order(order).limit(4).page().unwrap().next, None, "only a seal is left");
        assert_eq!(table.query().order(order).limit(5).page().unwrap().next, None);
        let nothing = table.query().order(order).limit(0).page().unwrap();
        let next = table.query().order(order).after(&nothing.next.unwrap()).page().unwrap();
        assert_eq!(next.entries.len(), 4, "a page of no rows is before the first one");
    }
}

#[test]
fn pages_are_bounded_by_bytes_and_without_limits_by_both() {
    let table: RawTable = table();
    let rows: Vec<Vec<u8>> = (1..=30).map(|length| vec![0; length * 10]).collect();
    table.append_batch(&rows).unwrap();
    let (mut lengths, mut after): (Vec<usize>, Option<CursorToken>) = (Vec::new(), None);
    loop {
        let query = table.query().limit_bytes(250);
        let page = match after {
            Some(token) => query.after(&token).page().unwrap(),
            None => query.page().unwrap(),
        };
        let bytes: usize = page.entries.iter().map(|entry| entry.row.len()).sum();
        assert!(bytes <= 250 || page.entries.len() == 1, "{bytes} bytes in {} rows", page.entries.len());
        lengths.extend(page.entries.iter().map(|entry| entry.row.len()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(lengths, (1..=30).map(|length| length * 10).collect::<Vec<_>>());

    table.append_batch(&vec![Vec::new(); 1_000]).unwrap();
    let page = table.query().page().unwrap();
    assert_eq!((page.entries.len(), page.next.is_some()), (1_000, true));
    let large = vec![0; 64 << 10];
    table.append_batch(std::iter::repeat_n(&large, 250)).unwrap();
    table.append_batch(std::iter::repeat_n(&large, 10)).unwrap();
    let page = table.query().descending().page().unwrap();
    assert_eq!((page.entries.len(), page.next.is_some()), (256, true), "16 MiB");
}

/// Newest first, what is appended later is above where the walk began; oldest first, it comes at the end.
#[test]
fn rows_appended_between_pages_neither_repeat_nor_move_any() {
    let table: RawTable = table();
    let before = fill(&table, 12, 40);
    let newest = table.query().descending().limit(10).page().unwrap();
    let oldest = table.query().limit(10).page().unwrap();
    let after = fill(&table, 13, 40);

    let all = |model: &[ModelRow]| -> Vec<u64> { model.iter().map(|row| row.position.0).collect() };
    let rest = table.query().descending().after(&newest.next.unwrap()).page().unwrap();
    let mut seen = [positions(&newest.entries), positions(&rest.entries)].concat();
    seen.reverse();
    assert_eq!(seen, all(&before));
    let rest = table.query().after(&oldest.next.unwrap()).page().unwrap();
    assert_eq!([positions(&oldest.entries), positions(&rest.entries)].concat(), [all(&before), all(&after)].concat());
}

/// W3: at its end an ascending walk stands behind everything durable, matching or not.
#[test]
fn a_walk_that_reached_the_end_continues_with_what_comes() {
    let table: RawTable = table();
    fill(&table, 14, 30);
    let mut rows = table.query().from_time(1_000).iter().unwrap();
    assert!(rows.by_ref().next().is_none());
    let token = rows.token();
    assert_eq!(table.place(Order::Ascending, &token).unwrap(), table.durable_end().unwrap());
    let position = table.append_with(&vec![1], &RowOptions::new().time(2_000)).unwrap();
    let mut rows = table.query().from_time(1_000).after(&token).rows().unwrap();
    assert_eq!(rows.next().unwrap().unwrap().position(), position);
    assert!(rows.next().is_none());
    let flushed = RowOptions::new().durability(bulla_table::Durability::Flushed);
    table.append_with(&vec![2], &flushed).unwrap();
    let mut rows = table.query().to_time(0).after(&rows.token()).rows().unwrap();
    assert!(rows.next().is_none());
    let last = table.query().after(&rows.token()).page().unwrap();
    assert_eq!(last.entries.len(), 1, "what no sync covers is not behind anybody");
}

/// The token lies within the positions that were asked for, and the filters are combined with it.
#[test]
fn a_token_and_a_range_of_positions_are_both_obeyed() {
    let table: RawTable = table();
    table.append_batch(&vec![vec![0]; 20]).unwrap();
    let range = Position(5)..Position(15);
    for (order, first, rest) in [(Order::Ascending, vec![5, 6, 7], 8..15), (Order::Descending, vec![14, 13, 12], 5..12)]
    {
        let page = table.query().positions(range.clone()).order(order).limit(3).page().unwrap();
        assert_eq!(positions(&page.entries), first);
        let page = table.query().positions(range.clone()).order(order).after(&page.next.unwrap()).page().unwrap();
        let mut found = positions(&page.entries);
        found.sort_unstable();
        assert_eq!(found, rest.collect::<Vec<_>>());
        assert_eq!(page.next, None);
    }
    // Also where the token lies outside, and before the first row.
    for (order, outside, first, start) in
        [(Order::Ascending, Position(2), 5, Position(5)), (Order::Descending, Position(18), 14, Position(15))]
    {
        let query = || table.query().positions(range.clone()).order(order);
        let page = query().after(&table.token(order, outside)).limit(1).page().unwrap();
        assert_eq!(positions(&page.entries), [first]);
        let token = query().limit(0).rows().unwrap().token();
        assert_eq!(table.place(order, &token).unwrap(), start);
    }
}

/// The lending walk counts and stands exactly as the owned one.
#[test]
fn borrowed_and_owned_walks_have_the_same_token() {
    let table: bulla_table::Table<Vec<u8>, Raw> = table();
    fill(&table, 15, 60);
    for order in [Order::Ascending, Order::Descending] {
        let (mut owned, mut borrowed) = (table.query().order(order).limit(20), table.query().order(order).limit(20));
        for _ in 0..4 {
            let (mut rows, mut walk) = (owned.iter().unwrap(), borrowed.rows().unwrap());
            loop {
                assert_eq!(rows.token(), walk.token());
                let (entry, row) = (rows.next(), walk.next());
                assert_eq!(entry.map(|entry| entry.unwrap().position), row.map(|row| row.unwrap().position()));
                if rows.next().is_none() {
                    while walk.next().is_some() {}
                    break;
                }
                walk.next().unwrap().unwrap();
            }
            (owned, borrowed) =
                (table.query().order(order).after(&rows.token()), table.query().order(order).after(&walk.token()));
        }
    }
}
