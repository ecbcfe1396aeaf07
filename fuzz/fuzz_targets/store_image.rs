//! A store's directory after any edits: reading and verifying change nothing, opening for writing gives a store or a
//! reason, and a store that was opened can be closed, opened and read again.
//!
//! Input: a byte whose lowest bit says whether the store was closed, then edits (`bulla_fuzz::edits`).
#![no_main]

use bulla::{Level, Position, Reader, Verdict, VerifyOptions, verify};
use bulla_fuzz::{disk, edits, store};
use bulla_vfs::MemVfs;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choice, edits @ ..] = data else { return };
    let mut edited = if choice & 1 == 0 { store::CLOSED.clone() } else { store::UNCLOSED.clone() };
    edits::apply(&mut edited, edits);
    let disk = disk::of(&edited);
    let before = disk::image(&disk);
    let rows = read(&disk);
    verified(&disk, Level::Structure);
    let verdict = verified(&disk, Level::Full);
    disk::assert_same(&disk, &before, "reading changed something");

    match store::options(&disk).create(false).open(store::DIR) {
        Ok(opened) => {
            // What was refused of a table or the journal is refused again; nothing is asked but an answer.
            let appended = store::append(&opened);
            let closed = opened.close();
            let after = verified(&disk, Level::Full);
            if verdict == Some(Verdict::Intact) && appended.is_ok() && closed.is_ok() {
                assert_eq!(after, Some(Verdict::Intact), "an intact store was made worse by appending");
                let again = read(&disk);
                let kept = rows.iter().all(|row| again.contains(row));
                assert!(kept, "rows that were there are not: {rows:?}, {again:?}");
            }
        }
        Err(error) if error.is_newer() => {
            disk::assert_same(&disk, &before, &format!("a newer store was changed: {error}"))
        }
        Err(_) => {}
    }
});

fn verified(disk: &MemVfs, level: Level) -> Option<Verdict> {
    let options = VerifyOptions { level, host: store::host(disk), workers: 1, ..VerifyOptions::default() };
    verify(store::DIR, &options, &mut |_| {}).ok().map(|report| report.verdict())
}

/// What is proven of the newest record leads to the head, whatever lies in the spine.
fn prove(reader: &Reader, table: &str) {
    let Ok((_, mut prover)) = reader.prover(table) else { return };
    let head = prover.head();
    let Some(newest) = head.size.checked_sub(1) else { return };
    if let Ok(shown) = prover.inclusion(Position(newest), head.size) {
        assert_eq!(shown.proof.verify(&shown.entry.leaf(), &head), Ok(()));
    }
}

/// Every row of every table that can be read, both ways: table, position and bytes.
fn read(disk: &MemVfs) -> Vec<(String, u64, Vec<u8>)> {
    let mut rows = Vec::new();
    let Ok(reader) = Reader::open_on(&store::host(disk), store::DIR) else { return rows };
    for table in reader.tables().unwrap_or_default() {
        let Ok(view) = reader.raw(&table.name) else { continue };
        let _ = view.len();
        let _ = reader.checkpoints(&table.name);
        prove(&reader, &table.name);
        let Ok(forwards) = view.query().iter() else { continue };
        let seen = forwards.map_while(Result::ok).map(|entry| (table.name.clone(), entry.position.0, entry.row));
        let first = rows.len();
        rows.extend(seen);
        let Ok(backwards) = view.query().descending().iter() else { continue };
        let backwards: Vec<_> = backwards.map_while(Result::ok).map(|entry| entry.position.0).collect();
        assert!(backwards.is_sorted_by(|left, right| left > right), "positions do not fall: {backwards:?}");
        if backwards.len() == rows.len() - first {
            let forwards = rows[first..].iter().rev().map(|row| row.1);
            assert!(backwards.into_iter().eq(forwards), "both ways differ");
        }
    }
    rows
}
