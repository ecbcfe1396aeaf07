//! Checkpoints: when they are made, in which order, who signs them, and what is held against a store that was put back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use bulla::chain::{Checkpoint, Digest};
use bulla::vfs::{SeededRandom, Vfs};
use bulla::{Error, Host, ManualClock, MemVfs, Options, Raw, ShownCheckpoint, Store, Table, TableOptions, TreeHead};
use bulla::{VerifyOptions, verify};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const STORE: &str = "/shop";
const SECOND: i64 = 1_000_000_000;

struct Setting {
    disk: MemVfs,
    clock: ManualClock,
    host: Host,
}

fn on(disk: MemVfs) -> Setting {
    let clock = ManualClock::new(1_700_000_000 * SECOND);
    let random = Arc::new(SeededRandom::new(5));
    let host = Host::new(Arc::new(disk.clone()), Arc::new(clock.clone()), random);
    Setting { disk, clock, host }
}

impl Setting {
    fn options(&self) -> Options {
        Options::new().host(self.host.clone()).segment_bytes_max(4_096)
    }

    fn store(&self) -> Store {
        self.options().open(STORE).unwrap()
    }

    /// What is noted in a log's directory.
    fn noted(&self, dir: &Path) -> Vec<String> {
        let bytes = self.disk.read_file(&dir.join("checkpoints")).unwrap_or_default();
        let text = String::from_utf8(bytes).unwrap();
        let mut entries: Vec<_> = Vec::new();
        let mut entry = String::new();
        for line in text.split_inclusive('\n') {
            if line.starts_with("crc32 ") {
                entries.push(std::mem::take(&mut entry));
            } else {
                entry.push_str(line);
            }
        }
        assert_eq!(entry, "", "an entry was left unfinished");
        entries
    }

    fn table_dir(&self, table: &str) -> PathBuf {
        let table = Path::new(STORE).join("tables").join(table);
        let logs = self.disk.list(&table).unwrap();
        assert_eq!(logs.len(), 1);
        table.join(&logs[0].name)
    }

    fn sizes(&self, table: &str) -> Vec<u64> {
        let parse = |entry: &String| ShownCheckpoint::parse(entry.as_bytes()).unwrap().head().size;
        self.noted(&self.table_dir(table)).iter().map(parse).collect()
    }

    fn is_intact(&self) {
        let options = VerifyOptions { host: self.host.clone(), ..VerifyOptions::default() };
        let report = verify(STORE, &options, &mut |_| {}).unwrap();
        assert_eq!(report.exit_code(), 0, "{report:?}");
    }
}

fn rows(store: &Store) -> Table<Vec<u8>, Raw> {
    store.table_with("rows", &TableOptions::new()).unwrap()
}

#[test]
fn closing_notes_a_checkpoint_of_each_open_log_and_of_the_journal_and_an_unchanged_one_none() {
    let setting = on(MemVfs::new());
    let store = setting.store();
    let table = rows(&store);
    table.append(&b"one".to_vec()).unwrap();
    drop(table);
    store.close().unwrap();
    assert_eq!(setting.sizes("rows"), [2]);
    let journal = setting.noted(&Path::new(STORE).join("journal"));
    assert_eq!(journal.len(), 1);
    assert!(journal[0].starts_with("shop/journal\n"), "{journal:?}");

    // The journal got no row, and neither log a record.
    let store = setting.store();
    assert_eq!(store.tables()[0].checkpointed, Some(2));
    drop(rows(&store));
    store.close().unwrap();
    assert_eq!(setting.sizes("rows"), [2]);
    assert_eq!(setting.noted(&Path::new(STORE).join("journal")), journal);
    setting.is_intact();
}

#[test]
fn a_request_gives_the_checkpoint_that_is_noted_and_the_same_one_again() {
    let setting = on(MemVfs::new());
    let store = setting.store();
    let table = rows(&store);
    table.append(&b"one".to_vec()).unwrap();
    let first = store.checkpoint("rows").unwrap();
    assert_eq!((first.head(), first.note()), (table.head().unwrap(), None));
    assert_eq!(store.checkpoint("rows").unwrap(), first);
    assert_eq!(setting.noted(&setting.table_dir("rows")), [first.to_string()]);
    table.append(&b"two".to_vec()).unwrap();
    assert_eq!(store.checkpoint_lag()[1].records, 1);
    assert_eq!(store.checkpoint("rows").unwrap().head().size, 3);
    assert_eq!(store.checkpoint_lag()[1].records, 0);
    assert!(matches!(store.checkpoint("none"), Err(Error::NoSuchTable { .. })));
    let journal = store.checkpoint_journal().unwrap();
    assert_eq!(setting.noted(&Path::new(STORE).join("journal")), [journal.to_string()]);
}

#[test]
fn each_seal_is_followed_by_a_checkpoint_above_it() {
    let setting = on(MemVfs::new());
    let store = setting.store();
    let table = rows(&store);
    let mut ends = Vec::new();
    while ends.len() < 3 {
        let before = store.tables()[0].checkpointed;
        let position = table.append(&vec![7; 500]).unwrap();
        if store.tables()[0].checkpointed != before {
            ends.push(position.0 + 1);
        }
    }
    assert_eq!(setting.sizes("rows"), ends);
    assert!(ends[1] - ends[0] > 4 && ends[2] - ends[1] > 4, "{ends:?}");
    store.close().unwrap();
    setting.is_intact();
}

#[test]
fn records_and_time_make_one_due_for_the_next_append_or_for_maintain() {
    let setting = on(MemVfs::new());
    let every = |records, time| setting.options().segment_bytes_max(1 << 20).checkpoint_every(records, time);
    let store = every(Some(10), None).open(STORE).unwrap();
    let table = rows(&store);
    for _ in 0..30 {
        table.append(&b"row".to_vec()).unwrap();
    }
    // At most one a second.
    assert_eq!(setting.disk.read_file(&setting.table_dir("rows").join("checkpoints")).ok(), None);
    setting.clock.advance(Duration::from_secs(1));
    table.append(&b"row".to_vec()).unwrap();
    assert_eq!(setting.sizes("rows"), [32]);
    setting.clock.advance(Duration::from_secs(1));
    for _ in 0..10 {
        table.append(&b"row".to_vec()).unwrap();
    }
    assert_eq!(setting.sizes("rows"), [32, 42]);
    drop(table);
    store.close().unwrap();

    let store = every(None, Some(Duration::from_secs(60))).open(STORE).unwrap();
    let table = rows(&store);
    table.append(&b"row".to_vec()).unwrap();
    setting.clock.advance(Duration::from_secs(59));
    store.maintain().unwrap();
    assert_eq!(setting.sizes("rows"), [32, 42]);
    setting.clock.advance(Duration::from_secs(1));
    store.maintain().unwrap();
    store.maintain().unwrap();
    assert_eq!(setting.sizes("rows"), [32, 42, 43]);
}

/// Nothing vouches for what is not durable.
#[test]
fn a_poisoned_log_gets_no_checkpoint_and_its_append_fails_alone() {
    let watched = common::Watched::new(1);
    let store = Options::new().host(watched.host()).open(STORE).unwrap();
    let table = rows(&store);
    table.append(&b"one".to_vec()).unwrap();
    watched.fail_syncs(Some("rows"));
    table.append(&b"two".to_vec()).unwrap_err();
    watched.fail_syncs(None);
    assert!(store.checkpoint("rows").unwrap_err().is_poisoned());
    assert!(store.close().unwrap_err().is_poisoned());
    let found = on(watched.disk.clone());
    assert_eq!(found.noted(&found.table_dir("rows")), Vec::<String>::new());
    assert_eq!(found.noted(&Path::new(STORE).join("journal")).len(), 1);
}

/// A checkpoint that nobody asked for and that fails is told by `checkpoint_lag` and by `maintain`, and tried again.
#[test]
fn an_append_does_not_fail_for_its_checkpoint() {
    let watched = common::Watched::new(1);
    let clock = ManualClock::new(SECOND);
    let host = Host { clock: Arc::new(clock.clone()), ..watched.host() };
    let store = Options::new().host(host).checkpoint_every(Some(1), None).open(STORE).unwrap();
    let table = rows(&store);
    clock.advance(Duration::from_secs(1));
    // Only the table's syncs count for the append.
    watched.fail_syncs(Some("journal"));
    table.append(&b"one".to_vec()).unwrap();
    watched.fail_syncs(None);
    let lag = store.checkpoint_lag().remove(1);
    assert_eq!((lag.log.as_str(), lag.records), ("rows", 2));
    assert!(lag.failure.unwrap().contains("journal"));
    table.append(&b"two".to_vec()).unwrap();
    // The journal is poisoned, so it cannot succeed; after the pause it is tried, and `maintain` says why not.
    clock.advance(Duration::from_secs(10));
    assert!(store.maintain().is_err());
    assert_eq!(table.head().unwrap().size, 3);
}

/// After each operation that writes: what is noted is the log's, the store opens, and the next checkpoint goes on.
#[test]
fn a_kill_or_crash_anywhere_leaves_a_store_that_goes_on() {
    let watched = common::Watched::new(1);
    let store = Options::new().host(watched.host()).open(STORE).unwrap();
    let table = rows(&store);
    watched.watch_kills();
    for round in 0..3 {
        table.append(&vec![round; 10]).unwrap();
        store.checkpoint("rows").unwrap();
        store.checkpoint_journal().unwrap();
    }
    drop(table);
    store.close().unwrap();
    let disks = [watched.kills(), watched.crashes()].concat();
    assert!(disks.len() > 40, "{}", disks.len());
    let mut lost = 0;
    for (index, disk) in disks.into_iter().enumerate() {
        let setting = on(disk.crash());
        let Ok(store) = setting.options().create(false).open(STORE) else { continue };
        let Some(before) = store.tables().first().cloned() else { continue };
        let noted = ShownCheckpoint::parse;
        let entries = setting.disk.read_file(&setting.table_dir("rows").join("checkpoints")).unwrap_or_default();
        let whole = entries.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"crc32 ")).count();
        let table = rows(&store);
        table.append(&b"more".to_vec()).unwrap();
        let made = store.checkpoint("rows").unwrap();
        drop(table);
        store.close().unwrap();
        let after = setting.noted(&setting.table_dir("rows"));
        assert_eq!(after.len(), whole + 1, "{index}");
        assert_eq!(noted(after.last().unwrap().as_bytes()).unwrap(), made, "{index}");
        // The journal's row comes first.
        let sizes = setting.sizes("rows");
        let newest = sizes[..whole].last().copied();
        assert!(newest <= before.checkpointed, "{index}: {newest:?} {before:?}");
        lost += u32::from(newest < before.checkpointed);
        setting.is_intact();
    }
    assert!(lost > 0, "no crash came between the row and the note");
}

/// What is noted in the store is proof of an end that was durable, as the journal's head is.
#[test]
fn rows_cut_off_below_a_noted_checkpoint_are_missed_although_the_log_was_not_closed() {
    let setting = on(MemVfs::new());
    let store = setting.store();
    let table = rows(&store);
    table.append(&b"one".to_vec()).unwrap();
    let segment = setting.table_dir("rows").join("00000000000000000000.seg");
    let before = setting.disk.read_file(&segment).unwrap();
    let journal = Path::new(STORE).join("journal").join("00000000000000000000.seg");
    let journal_before = setting.disk.read_file(&journal).unwrap();
    for row in 0..5 {
        table.append(&vec![row; 10]).unwrap();
    }
    store.checkpoint("rows").unwrap();
    let copy = on(setting.disk.crash());
    copy.disk.write_file(&segment, &before).unwrap();
    copy.disk.write_file(&journal, &journal_before).unwrap();
    let store = copy.store();
    let error = store.table_with::<Vec<u8>, Raw>("rows", &TableOptions::new()).unwrap_err();
    assert!(error.is_damage(), "{error:?}");
    assert_eq!(copy.disk.read_file(&segment).unwrap(), before);
}

#[test]
fn a_held_head_above_or_beside_the_log_refuses_to_write_and_changes_nothing() {
    let setting = on(MemVfs::new());
    let store = setting.store();
    let table = rows(&store);
    table.append(&b"one".to_vec()).unwrap();
    let held = store.checkpoint("rows").unwrap();
    drop(table);
    store.close().unwrap();
    let origin = held.checkpoint().origin().to_owned();
    let newest = held.head();
    let shown = |origin: &str, head| ShownCheckpoint::unsigned(Checkpoint::new(origin, head).unwrap());
    let above = shown(&origin, TreeHead { size: 9, ..newest });
    let beside = shown(&origin, TreeHead { size: 2, root: Digest([9; 32]) });
    let segment = setting.table_dir("rows").join("00000000000000000000.seg");
    let before = setting.disk.read_file(&segment).unwrap();
    for (wrong, is_missing) in [(above, true), (beside, false)] {
        let store = setting.options().held(held.clone()).held(wrong).open(STORE).unwrap();
        let error = store.table_with::<Vec<u8>, Raw>("rows", &TableOptions::new()).unwrap_err();
        assert_eq!((error.is_missing(), error.is_tampered()), (is_missing, !is_missing), "{error:?}");
        assert!(matches!(error, Error::HeldMissing { .. } | Error::HeldFork { .. }));
        assert_eq!(setting.disk.read_file(&segment).unwrap(), before);
        store.close().unwrap();
    }
    let journal = shown("shop/journal", TreeHead { size: 1_000, ..newest });
    assert!(setting.options().held(journal.clone()).open(STORE).is_err_and(|error| error.is_missing()));
    let gone = shown("shop/other/01020304", newest);
    assert!(setting.options().held(gone).open(STORE).is_err_and(|error| error.is_missing()));
    // A store made anew under the old name has nothing of what is held.
    let anew = on(MemVfs::new());
    let error = anew.options().name("shop").held(journal).open("/anew").unwrap_err();
    assert!(matches!(error, Error::HeldMissing { size: 0, .. }), "{error:?}");
    assert!(anew.disk.list(Path::new("/")).unwrap().is_empty());
    // What is the log's, and what is of no concern to this store, keeps nobody out.
    let store = setting.options().held(held).held(shown("else/rows/01020304", newest)).open(STORE).unwrap();
    drop(rows(&store));
    store.close().unwrap();
}

#[test]
fn a_full_disk_keeps_the_records_and_says_that_there_is_no_checkpoint() {
    let setting = on(MemVfs::new());
    let store = setting.store();
    let table = rows(&store);
    table.append(&b"one".to_vec()).unwrap();
    table.append(&b"two".to_vec()).unwrap();
    // No reserve, and no byte.
    setting.disk.remove_file(&Path::new(STORE).join("reserve")).unwrap();
    setting.disk.set_capacity(Some(0));
    let error = store.checkpoint("rows").unwrap_err();
    assert!(error.is_full(), "{error:?}");
    setting.disk.set_capacity(None);
    assert_eq!(store.checkpoint("rows").unwrap().head().size, 3);
    drop(table);
    store.close().unwrap();
    assert_eq!(setting.sizes("rows"), [3]);
    setting.is_intact();
}

#[cfg(feature = "ed25519")]
mod signed {
    use super::*;
    use bulla::FileSigner;
    use bulla::chain::NoteSigner;
    use bulla::chain::SignError;

    const KEY: &str = "/keys/shop.key";

    /// A key file on a disk of its own, which is not copied with the store.
    fn key(seed: u8) -> (MemVfs, Host) {
        let disk = MemVfs::new();
        disk.create_dir(Path::new("/keys")).unwrap();
        let secret = NoteSigner::from_seed("shop", &[seed; 32]).unwrap().to_secret_text();
        disk.write_file(Path::new(KEY), format!("{secret}\n").as_bytes()).unwrap();
        let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
        (disk, host)
    }

    fn signer(host: &Host) -> Box<FileSigner> {
        Box::new(FileSigner::open_on(host, KEY).unwrap())
    }

    /// One key for two stores: verification took the second one, whole and signed, for the first, since the name of the
    /// store came from the store alone. A key vouches for the store it names.
    #[test]
    fn another_store_of_the_same_key_is_not_signed() {
        for (name, code) in [("shop", 0), ("else", 6)] {
            let setting = on(MemVfs::new());
            let (_, keys) = key(7);
            let store = setting.options().name(name).signer(signer(&keys)).open(STORE).unwrap();
            let verifier = store.key().unwrap().key;
            rows(&store).append(&b"one".to_vec()).unwrap();
            store.close().unwrap();
            let options =
                VerifyOptions { keys: vec![verifier], host: setting.host.clone(), ..VerifyOptions::default() };
            let report = verify(STORE, &options, &mut |_| {}).unwrap();
            assert_eq!(report.exit_code_for(bulla::Require::Signed), code, "{name}: {report:#?}");
            let is_told = |log: &bulla::LogVerdict| log.not_checked.iter().any(|what| what.contains("another store"));
            assert_eq!(report.logs.iter().all(is_told), code == 6, "{name}");
        }
    }

    #[test]
    fn a_store_with_a_key_notes_what_the_key_signed_and_nothing_without_it() {
        let setting = on(MemVfs::new());
        let (_, keys) = key(7);
        let store = setting.options().signer(signer(&keys)).key_file(KEY).open(STORE).unwrap();
        let verifier = store.key().unwrap().key;
        assert_eq!(store.key().unwrap().file, KEY);
        assert_eq!(store.is_rollback_protected(), Some(true));
        let table = rows(&store);
        table.append(&b"one".to_vec()).unwrap();
        let shown = store.checkpoint("rows").unwrap();
        assert!(shown.note().unwrap().verify(std::slice::from_ref(&verifier)).is_ok());
        drop(table);
        store.close().unwrap();
        let journal = setting.noted(&Path::new(STORE).join("journal"));
        let journal = ShownCheckpoint::parse(journal[0].as_bytes()).unwrap();
        assert!(journal.note().unwrap().verify(&[verifier]).is_ok());

        // Without its signer: rows are taken, and closing says that there is no checkpoint.
        let store = setting.store();
        let table = rows(&store);
        table.append(&b"two".to_vec()).unwrap();
        assert!(matches!(store.checkpoint("rows"), Err(Error::KeyNeeded { file, .. }) if file == KEY));
        drop(table);
        assert!(matches!(store.close(), Err(Error::KeyNeeded { .. })));
        assert_eq!(setting.sizes("rows"), [2]);
        let (_, others) = key(8);
        let error = setting.options().signer(signer(&others)).open(STORE).unwrap_err();
        assert!(matches!(error, Error::OtherKey { .. }), "{error:?}");
        // The row is there, and the next checkpoint has it.
        let store = setting.options().signer(signer(&keys)).open(STORE).unwrap();
        assert_eq!(store.checkpoint("rows").unwrap().head().size, 3);
        store.close().unwrap();
        setting.is_intact();
    }

    /// The attack of a restored backup: an older copy of the whole store, opened with a signer that has signed more.
    #[test]
    fn a_restored_backup_is_not_written_with_the_signer_that_signed_more() {
        let setting = on(MemVfs::new());
        let (_, keys) = key(7);
        let store = setting.options().signer(signer(&keys)).open(STORE).unwrap();
        let table = rows(&store);
        table.append(&b"one".to_vec()).unwrap();
        store.checkpoint("rows").unwrap();
        store.checkpoint_journal().unwrap();
        let backup = setting.disk.crash();
        table.append(&b"two".to_vec()).unwrap();
        let newest = store.checkpoint("rows").unwrap();
        drop(table);
        drop(store);
        let restored = on(backup.clone());
        let store = restored.options().signer(signer(&keys)).open(STORE).unwrap();
        let error = store.table_with::<Vec<u8>, Raw>("rows", &TableOptions::new()).unwrap_err();
        assert!(matches!(error, Error::HeldMissing { held, size: 2, .. } if held == newest.head()), "{error:?}");
        drop(store);
        // Written on without the key to the same size, it is another history.
        let forged = on(backup);
        let store = forged.store();
        rows(&store).append(&b"forged".to_vec()).unwrap();
        drop(store);
        let store = forged.options().signer(signer(&keys)).open(STORE).unwrap();
        let error = store.table_with::<Vec<u8>, Raw>("rows", &TableOptions::new()).unwrap_err();
        assert!(error.is_tampered(), "{error:?}");
    }

    /// Somebody exchanged a closed log's records for others, of the same number and with sound checksums. The next
    /// checkpoint wrote its row into the journal, where the head of the old records was, and only then found that the two
    /// contradict each other: the program panicked, and the store could not be opened any more. Where a checkpoint had been
    /// noted before, a second one beside it was signed.
    #[test]
    fn other_records_below_the_head_in_the_journal_are_refused_before_anything_is_written() {
        for is_checkpointed in [false, true] {
            let (_, keys) = key(7);
            let disks = [&b"one"[..], b"two"].map(|row| {
                let setting = on(MemVfs::new());
                setting.options().signer(signer(&key(7).1)).open(STORE).unwrap().close().unwrap();
                let store = setting.store();
                rows(&store).append(&row.to_vec()).unwrap();
                // Nobody signs, so that the journal gets a head alone.
                assert!(matches!(store.close(), Err(Error::KeyNeeded { .. })));
                setting
            });
            let [setting, other] = disks;
            if is_checkpointed {
                let store = setting.options().signer(signer(&key(7).1)).open(STORE).unwrap();
                drop(rows(&store));
                store.close().unwrap();
            }
            let segment = setting.table_dir("rows").join("00000000000000000000.seg");
            let forged = other.disk.read_file(&other.table_dir("rows").join("00000000000000000000.seg")).unwrap();
            assert_eq!(setting.disk.read_file(&segment).unwrap().len(), forged.len());
            setting.disk.write_file(&segment, &forged).unwrap();
            let noted = setting.noted(&setting.table_dir("rows"));

            let store = setting.options().signer(signer(&keys)).open(STORE).unwrap();
            drop(rows(&store));
            let error = store.checkpoint("rows").unwrap_err();
            assert!(matches!(&error, Error::HeldFork { held, .. } if held.size == 2), "{error:?}");
            assert!(store.close().unwrap_err().is_tampered());
            assert_eq!(setting.noted(&setting.table_dir("rows")), noted);
            setting.store().close().unwrap_err();
        }
    }

    /// Memory and lock were beside the name that was given: under a link's name the key had signed nothing yet, and a
    /// second signer took it meanwhile.
    #[cfg(unix)]
    #[test]
    fn a_key_has_one_memory_whatever_leads_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("key"), dir.path().join("link"));
        let secret = NoteSigner::from_seed("shop", &[7; 32]).unwrap().to_secret_text();
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let setting = on(MemVfs::new());
        let store = setting.options().signer(Box::new(FileSigner::open(&link).unwrap())).open(STORE).unwrap();
        assert!(FileSigner::open(&file).unwrap_err().is_locked());
        let shown = store.checkpoint_journal().unwrap();
        drop(store);
        let signer = FileSigner::open(&file).unwrap();
        assert_eq!(bulla::Signer::last(&signer, "shop/journal").unwrap(), shown.head());
    }

    /// The lock file was removed, and another signer took the key: the first one went on, and wrote what it remembered over
    /// what the other had signed since.
    #[cfg(unix)]
    #[test]
    fn a_signer_that_lost_its_lock_signs_nothing_and_changes_no_memory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let secret = NoteSigner::from_seed("shop", &[7; 32]).unwrap().to_secret_text();
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let setting = on(MemVfs::new());
        let store = setting.options().signer(Box::new(FileSigner::open(&file).unwrap())).open(STORE).unwrap();
        store.checkpoint_journal().unwrap();
        drop(rows(&store));
        let state = dir.path().join("key.state");
        let before = std::fs::read(&state).unwrap();
        std::fs::remove_file(dir.path().join("key.lock")).unwrap();
        let second = FileSigner::open(&file).unwrap();
        assert!(matches!(store.checkpoint("rows"), Err(Error::NotSigned { .. })));
        assert_eq!(std::fs::read(&state).unwrap(), before);
        drop(second);
    }

    #[test]
    fn the_memory_of_a_signer_survives_a_crash_and_damage_to_it_is_an_error() {
        let (disk, host) = key(7);
        let setting = on(MemVfs::new());
        let store = setting.options().signer(signer(&host)).open(STORE).unwrap();
        drop(rows(&store));
        let shown = store.checkpoint("rows").unwrap();
        let origin = shown.checkpoint().origin().to_owned();
        let after = Host { fs: Arc::new(disk.crash()), ..host.clone() };
        assert_eq!(bulla::Signer::last(&*signer(&after), &origin).unwrap(), shown.head());
        // While one has the key file nobody else gets it.
        assert!(FileSigner::open_on(&host, KEY).unwrap_err().is_locked());
        drop(store);
        let state = Path::new("/keys/shop.key.state");
        let bytes = disk.read_file(state).unwrap();
        for cut in 0..bytes.len() {
            disk.write_file(state, &bytes[..cut]).unwrap();
            let error = FileSigner::open_on(&host, KEY).unwrap_err();
            assert!(matches!(error, Error::KeyFile { .. }), "{cut}: {error:?}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            disk.write_file(state, &flipped).unwrap();
            let error = FileSigner::open_on(&host, KEY).unwrap_err();
            assert!(matches!(error, Error::KeyFile { .. }), "{bit}: {error:?}");
        }
        disk.write_file(state, &bytes).unwrap();
        drop(signer(&host));
        disk.write_file(Path::new(KEY), b"no key\n").unwrap();
        assert!(matches!(FileSigner::open_on(&host, KEY), Err(Error::KeyFile { .. })));
        disk.remove_file(Path::new(KEY)).unwrap();
        assert!(matches!(FileSigner::open_on(&host, KEY), Err(Error::Io { .. })));
    }

    #[test]
    fn a_key_is_followed_by_the_one_it_allows_and_each_signs_its_time() {
        let setting = on(MemVfs::new());
        let ((_, old), (_, new)) = (key(7), key(8));
        let store = setting.options().signer(signer(&old)).open(STORE).unwrap();
        let first = store.key().unwrap().key;
        let table = rows(&store);
        table.append(&b"one".to_vec()).unwrap();
        store.checkpoint("rows").unwrap();
        store.set_key(signer(&new), "/elsewhere").unwrap();
        let second = store.key().unwrap();
        assert_eq!(second.file, "/elsewhere");
        assert_ne!(second.key, first);
        // The same head, and another key.
        let shown = store.checkpoint("rows").unwrap();
        assert!(shown.note().unwrap().verify(std::slice::from_ref(&second.key)).is_ok());
        assert_eq!(setting.sizes("rows"), [2, 2]);
        drop(table);
        store.close().unwrap();
        setting.is_intact();
        // The old one is not the store's any more, and whoever comes without a signer changes nothing.
        assert!(matches!(setting.options().signer(signer(&old)).open(STORE), Err(Error::OtherKey { .. })));
        let store = setting.store();
        assert!(matches!(store.set_key(signer(&old), ""), Err(Error::KeyNeeded { .. })));
        assert_eq!(store.key().unwrap().key, second.key);
    }

    /// A store that had no key gets one, which nobody allows.
    #[test]
    fn the_first_key_needs_nobody() {
        let setting = on(MemVfs::new());
        let (_, keys) = key(7);
        let store = setting.store();
        assert_eq!((store.key(), store.is_rollback_protected()), (None, None));
        drop(rows(&store));
        assert_eq!(store.checkpoint("rows").unwrap().note(), None);
        store.set_key(signer(&keys), KEY).unwrap();
        assert!(store.checkpoint("rows").unwrap().note().is_some());
        store.close().unwrap();
        setting.is_intact();
    }

    struct Refusing(NoteSigner);

    impl bulla::Signer for Refusing {
        fn verifier(&self) -> bulla::VerifierKey {
            self.0.verifier()
        }

        fn remembers(&self) -> bool {
            false
        }

        fn last(&self, _: &str) -> Result<TreeHead, SignError> {
            Ok(TreeHead::EMPTY)
        }

        fn sign(&mut self, _: &bulla::chain::AddCheckpoint) -> Result<bulla::chain::NoteSignature, SignError> {
            Err(SignError::Failed("the card is not in the reader".into()))
        }

        fn authorise(&mut self, _: &bulla::chain::Authority) -> Result<bulla::chain::NoteSignature, SignError> {
            Err(SignError::NotAllowed)
        }
    }

    /// A signer that fails keeps nothing from being closed, and its failure is told.
    #[test]
    fn a_signer_that_fails_is_told_of_at_closing() {
        let setting = on(MemVfs::new());
        let refusing = || Box::new(Refusing(NoteSigner::from_seed("shop", &[7; 32]).unwrap()));
        let store = setting.options().signer(refusing()).open(STORE).unwrap();
        assert_eq!(store.is_rollback_protected(), Some(false));
        let table = rows(&store);
        table.append(&b"one".to_vec()).unwrap();
        drop(table);
        assert!(matches!(store.set_key(refusing(), ""), Err(Error::NotSigned { .. })));
        let error = store.close().unwrap_err();
        assert!(matches!(error, Error::NotSigned { .. }), "{error:?}");
        let store = setting.options().signer(refusing()).open(STORE).unwrap();
        assert_eq!(store.tables()[0].head.map(|head| head.size), Some(2));
        assert_eq!(store.tables()[0].checkpointed, None);
        assert_eq!(rows(&store).head().unwrap().size, 2);
    }
}
