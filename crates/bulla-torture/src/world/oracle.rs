//! What was acknowledged, and what a table must therefore hold.

use crate::world::rows::Row;
use bulla::Position;
use std::collections::{BTreeMap, BTreeSet};

/// The thread number under which the parent itself appends.
pub(crate) const PROBE: u32 = u32::MAX;

/// Rows that one life of a writer acknowledged: ordinals from `from`, below `to`.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    life: u32,
    from: u64,
    to: u64,
}

/// Everything that was acknowledged of one store.
#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    pub(crate) seed: u64,
    is_store_acked: bool,
    /// Rows of which a child said that the kernel has them.
    pub(crate) flushed: u64,
    tables: BTreeSet<String>,
    rows: BTreeMap<(String, u32), Vec<Stretch>>,
}

impl Oracle {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, is_store_acked: false, flushed: 0, tables: BTreeSet::new(), rows: BTreeMap::new() }
    }

    /// Takes a line of a child's: `store`, `table NAME`, `ack TABLE WRITER FROM TO`, or `flushed COUNT`. Whether it was
    /// one of these.
    pub(crate) fn hear(&mut self, life: u32, said: &str) -> bool {
        let words: Vec<_> = said.split(' ').collect();
        match *words.as_slice() {
            ["store"] => self.is_store_acked = true,
            ["table", name] => self.ack_table(name),
            ["ack", table, writer, from, to] => {
                let numbers = (writer.parse(), from.parse(), to.parse());
                let (Ok(writer), Ok(from), Ok(to)) = numbers else { return false };
                self.ack(table, writer, life, from, to);
            }
            ["flushed", count] => match count.parse() {
                Ok(count) => self.flushed = count,
                Err(_) => return false,
            },
            _ => return false,
        }
        true
    }

    pub(crate) fn ack_table(&mut self, table: &str) {
        self.is_store_acked = true;
        self.tables.insert(table.to_owned());
    }

    pub(crate) fn ack(&mut self, table: &str, writer: u32, life: u32, from: u64, to: u64) {
        self.ack_table(table);
        let stretches = self.rows.entry((table.to_owned(), writer)).or_default();
        match stretches.last_mut() {
            Some(last) if last.life == life && last.to == from => last.to = to,
            _ => stretches.push(Stretch { life, from, to }),
        }
    }

    /// Whether the store must be there.
    pub(crate) fn has_store(&self) -> bool {
        self.is_store_acked
    }

    /// Tables that must be there.
    pub(crate) fn tables(&self) -> &BTreeSet<String> {
        &self.tables
    }

    /// Rows acknowledged so far.
    pub(crate) fn acked_count(&self) -> u64 {
        self.rows.values().flatten().map(|stretch| stretch.to - stretch.from).sum()
    }

    /// Whether these rows of a table, in order, are a prefix of what each writer submitted, each batch whole, with
    /// everything acknowledged among them. Gives how many each writer has.
    pub(crate) fn check<'a>(
        &self,
        table: &str,
        rows: impl Iterator<Item = (Position, &'a [u8])>,
    ) -> Result<BTreeMap<u32, u64>, String> {
        let mut lives: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut open: Option<(Row, Position)> = None;
        for (position, bytes) in rows {
            let row = Row::read(bytes, self.seed)
                .ok_or_else(|| format!("table {table}: nobody submitted what is at position {position}"))?;
            let seen = lives.entry(row.writer).or_default();
            if row.ordinal != seen.len() as u64 || seen.last().is_some_and(|last| *last > row.life) {
                return Err(format!("table {table}, position {position}: {row:?} behind {} others", seen.len()));
            }
            seen.push(row.life);
            let expected = match open {
                Some((before, at)) => Row { ordinal: before.ordinal + 1, ..before } == row && at.0 + 1 == position.0,
                None => row.ordinal == row.batch_first,
            };
            if !expected {
                return Err(format!("table {table}, position {position}: {row:?} is not where its batch is"));
            }
            let is_last = row.ordinal + 1 == row.batch_first + row.batch_len;
            open = (!is_last).then_some((row, position));
        }
        if let Some((row, _)) = open {
            return Err(format!("table {table}: the batch of {row:?} is not whole"));
        }
        for ((_, writer), stretches) in self.rows.iter().filter(|((name, _), _)| name == table) {
            let seen = lives.get(writer).map_or(&[][..], Vec::as_slice);
            for &Stretch { life, from, to } in stretches {
                let is_there =
                    seen.get(from as usize..to as usize).is_some_and(|lives| lives.iter().all(|seen| *seen == life));
                if !is_there {
                    let there = seen.len();
                    return Err(format!(
                        "table {table}: rows {from}..{to} of writer {writer} were acknowledged to life {life} and are \
                         not all there; it has {there}"
                    ));
                }
            }
        }
        Ok(lives.into_iter().map(|(writer, seen)| (writer, seen.len() as u64)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(oracle: &Oracle, rows: &[Vec<u8>]) -> Result<BTreeMap<u32, u64>, String> {
        oracle.check("t", rows.iter().enumerate().map(|(at, row)| (Position(at as u64), row.as_slice())))
    }

    #[test]
    fn lost_rows_torn_batches_and_strangers_are_noticed() {
        let mut oracle = Oracle::new(9);
        assert!(oracle.hear(1, "ack t 0 0 5") && !oracle.hear(1, "ack t 0 0 x") && !oracle.hear(1, "ready"));
        let mut rows = Row::batch(9, 0, 1, 0, 5);
        assert_eq!(check(&oracle, &rows).unwrap(), BTreeMap::from([(0, 5)]));
        rows.extend(Row::batch(9, 0, 2, 5, 2));
        assert_eq!(check(&oracle, &rows).unwrap(), BTreeMap::from([(0, 7)]));

        assert!(check(&oracle, &rows[..6]).unwrap_err().contains("not whole"));
        assert!(check(&oracle, &rows[..0]).unwrap_err().contains("not all there"));
        assert!(check(&oracle, &rows[1..]).unwrap_err().contains("behind 0 others"));
        let mut swapped = rows.clone();
        swapped.swap(5, 6);
        assert!(check(&oracle, &swapped).unwrap_err().contains("behind 5 others"));
        rows.push(b"from elsewhere".to_vec());
        assert!(check(&oracle, &rows).unwrap_err().contains("nobody submitted"));
        // Lost and submitted again is lost.
        assert!(check(&oracle, &Row::batch(9, 0, 2, 0, 5)).unwrap_err().contains("life 1"));
    }
}
