//! The verdict table: each attack on a store on a real disk, what verification says of it, where, and what that is worth.
#![cfg(feature = "ed25519")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

use bulla::chain::{Checkpoint, Note, NoteSigner, ShownCheckpoint};
use bulla::vfs::SeededRandom;
use bulla::wire::{FRAME_HEADER_LEN, FrameBuilder, FrameHeader, FramePlace, NewRecord, Records, Role};
use bulla::{
    Digest, Error, Host, Level, ManualClock, Options, OsVfs, Raw, Require, RowOptions, Store, Table, TableOptions,
    Time, TreeHead, TrustLevel, Verdict, VerifyOptions, VerifyReport, verify,
};
use bulla_testkit::Edited;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

use TrustLevel::{Anchored, Signed, Structure};
use Verdict::{Intact, Missing, Tampered};

const RESERVE: &str = "reserve";

/// A store under attack, and what somebody kept of it elsewhere.
struct Shop {
    dir: TempDir,
    key: NoteSigner,
    /// The journal as it was before the table `logins` was created and `payments` got its third segment.
    early_journal: Files,
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn host(seed: u64) -> Host {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
    Host::new(Arc::new(OsVfs), clock, Arc::new(SeededRandom::new(seed)))
}

fn signer(seed: u8) -> NoteSigner {
    NoteSigner::from_seed("shop", &[seed; 32]).unwrap()
}

impl Shop {
    /// `payments` with three segments, `logins` with one, closed; ids and secrets follow from `seed`.
    fn new(seed: u64, who: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("shop");
        let store = Options::new().host(host(seed)).open(&path).unwrap();
        let payments = table(&store, "payments");
        let append = |name: &str| {
            let options = RowOptions::new().time(7_000_000);
            payments.append_with(&name.as_bytes().to_vec(), &options).unwrap();
        };
        append(&format!("{who} 10"));
        append("bo 20");
        payments.rotate().unwrap();
        append(&format!("{who} 11"));
        append("bo 21");
        let early_journal = files(&path.join("journal"));
        table(&store, "logins").append(&b"ana".to_vec()).unwrap();
        payments.rotate().unwrap();
        append(&format!("{who} 12"));
        drop(payments);
        store.close().unwrap();
        Self { dir, key: signer(7), early_journal }
    }

    /// The same, with a checkpoint of each log's head noted beside it, signed with the store's key.
    fn signed(seed: u64, who: &str) -> Self {
        let shop = Self::new(seed, who);
        shop.note_all(&shop.key);
        shop
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("shop")
    }

    /// One row more, in the store as it is.
    fn go_on(&self) {
        let store = Options::new().host(host(99)).open(self.path()).unwrap();
        table(&store, "payments").append(&b"cy 30".to_vec()).unwrap();
        store.close().unwrap();
    }

    fn log_dir(&self, log: &str) -> PathBuf {
        if log == "journal" {
            return self.path().join("journal");
        }
        let dir = self.path().join("tables").join(log);
        let inner = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
        dir.join(inner)
    }

    fn segments(&self, log: &str) -> Vec<PathBuf> {
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "seg");
        files(&self.log_dir(log)).into_keys().filter(is_segment).collect()
    }

    fn edit(&self, log: &str, segment: usize, change: impl FnOnce(&mut Edited)) {
        let path = &self.segments(log)[segment];
        let mut edited = Edited::parse(&fs::read(path).unwrap());
        change(&mut edited);
        fs::write(path, edited.bytes()).unwrap();
    }

    /// A checkpoint of each log as it is now, unsigned.
    fn heads(&self) -> BTreeMap<String, Checkpoint> {
        let report = self.check(&VerifyOptions::default());
        let checkpoint = |log: bulla::LogVerdict| {
            let head = TreeHead { size: log.size.unwrap(), root: log.root.unwrap() };
            (log.log, Checkpoint::new(&log.origin.unwrap(), head).unwrap())
        };
        report.logs.into_iter().map(checkpoint).collect()
    }

    fn held(&self) -> Vec<ShownCheckpoint> {
        self.heads().into_values().map(ShownCheckpoint::unsigned).collect()
    }

    fn note_all(&self, key: &NoteSigner) {
        for (log, checkpoint) in self.heads() {
            self.note(&log, &sign(&checkpoint, &[key]));
        }
    }

    /// Writes an entry into the log's `checkpoints`, and says where it begins.
    fn note(&self, log: &str, shown: &ShownCheckpoint) -> u64 {
        self.note_text(log, &shown.to_string())
    }

    fn note_text(&self, log: &str, text: &str) -> u64 {
        let path = self.log_dir(log).join("checkpoints");
        let mut bytes = fs::read(&path).unwrap_or_default();
        let offset = bytes.len() as u64;
        bytes.extend_from_slice(format!("{text}crc32 {:08x}\n", crc32fast::hash(text.as_bytes())).as_bytes());
        fs::write(path, bytes).unwrap();
        offset
    }

    fn check(&self, options: &VerifyOptions) -> VerifyReport {
        verify(self.path(), &VerifyOptions { host: host(1), ..options.clone() }, &mut |_| {}).unwrap()
    }

    fn with_key(&self) -> VerifyReport {
        self.check(&VerifyOptions { keys: vec![self.key.verifier()], ..VerifyOptions::default() })
    }

    fn with_held(&self, held: &[ShownCheckpoint]) -> VerifyReport {
        self.check(&VerifyOptions { held: held.to_vec(), ..VerifyOptions::default() })
    }
}

fn table(store: &Store, name: &str) -> Table<Vec<u8>, Raw> {
    store.table_with(name, &TableOptions::new()).unwrap()
}

fn sign(checkpoint: &Checkpoint, keys: &[&NoteSigner]) -> ShownCheckpoint {
    let text = checkpoint.to_string();
    let signatures = keys.iter().map(|key| key.sign(&text)).collect();
    ShownCheckpoint::signed(Note::new(text, signatures).unwrap()).unwrap()
}

fn cosign(checkpoint: &Checkpoint, key: &NoteSigner, witnesses: &[(&NoteSigner, u64)]) -> ShownCheckpoint {
    let text = checkpoint.to_string();
    let cosigned = witnesses.iter().map(|(witness, time)| witness.cosign(&text, *time));
    let signatures = [key.sign(&text)].into_iter().chain(cosigned).collect();
    ShownCheckpoint::signed(Note::new(text, signatures).unwrap()).unwrap()
}

fn files(dir: &Path) -> Files {
    let mut found = Files::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with(RESERVE) {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// Makes the files below `dir` what they were, wherever they were then.
fn put_back(dir: &Path, then: &Files) {
    for path in files(dir).into_keys() {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in then {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Exit codes where structure, signed and anchored are demanded.
fn codes(report: &VerifyReport) -> [u8; 3] {
    [Require::Structure, Require::Signed, Require::Anchored].map(|require| report.exit_code_for(require))
}

/// Verdict, trust and exit codes of the store.
fn worth(report: &VerifyReport) -> (Verdict, TrustLevel, [u8; 3]) {
    (report.verdict(), report.trust(), codes(report))
}

/// Verdict, position, file and offset of what a person should look at first in this log.
fn place<'a>(report: &'a VerifyReport, log: &str) -> (Verdict, Option<u64>, Option<&'a str>, Option<u64>) {
    let log = report.logs.iter().find(|found| found.log == log).unwrap();
    let bad = log.first_bad().unwrap_or_else(|| panic!("nothing is wrong: {log:#?}")).0;
    (bad.verdict, bad.position.map(|position| position.0), bad.segment.as_deref(), bad.offset)
}

/// The remarks on a log's `checkpoints`.
fn remarks<'a>(report: &'a VerifyReport, log: &str) -> Vec<(&'a str, Option<u64>)> {
    let log = report.logs.iter().find(|found| found.log == log).unwrap();
    let on_notes = log.findings.iter().filter(|finding| finding.segment.as_deref() == Some("checkpoints"));
    on_notes
        .filter(|finding| finding.verdict == Verdict::Intact)
        .map(|finding| (finding.what.as_str(), finding.offset))
        .collect()
}

fn through(report: &VerifyReport, log: &str) -> (Option<u64>, Option<u64>) {
    let trust = report.logs.iter().find(|found| found.log == log).unwrap().trust;
    (trust.signed_through, trust.anchored_through)
}

fn segment_name(base: u64) -> String {
    format!("{base:020}.seg")
}

#[test]
fn what_vouches_for_a_true_store_is_what_the_caller_brought() {
    let shop = Shop::signed(1, "ana");
    assert_eq!(worth(&shop.check(&VerifyOptions::default())), (Intact, Structure, [0, 6, 6]), "no key");
    let other = VerifyOptions { keys: vec![signer(8).verifier()], ..VerifyOptions::default() };
    assert_eq!(worth(&shop.check(&other)), (Intact, Structure, [0, 6, 6]), "another key");
    let report = shop.with_key();
    assert_eq!((worth(&report), through(&report, "payments")), ((Intact, Signed, [0, 0, 6]), (Some(8), None)));
    let held = shop.held();
    let report = shop.with_held(&held);
    assert_eq!((worth(&report), through(&report, "payments")), ((Intact, Anchored, [0, 0, 0]), (None, Some(8))));
    // The journal is a log like the others: without its checkpoint it is the weakest.
    let tables: Vec<_> = held.into_iter().filter(|held| !held.checkpoint().origin().ends_with("/journal")).collect();
    let report = shop.with_held(&tables);
    assert_eq!(worth(&report), (Intact, Structure, [0, 6, 6]));
    let short = report.short(Require::Anchored);
    assert!(matches!(&short[..], [one] if one.starts_with("positions 0..") && one.contains("journal")), "{short:?}");
    // Records behind the newest checkpoint are named.
    shop.go_on();
    let short = shop.with_key().short(Require::Signed);
    assert!(short.contains(&"positions 8..9 of log payments are not signed".to_owned()), "{short:?}");
}

#[test]
fn cosignatures_anchor_if_every_witness_named_has_signed() {
    let shop = Shop::new(1, "ana");
    let (first, second) = (signer(21), signer(22));
    for (log, checkpoint) in shop.heads() {
        shop.note(&log, &cosign(&checkpoint, &shop.key, &[(&first, 1_800_000_000), (&second, 1_800_000_007)]));
    }
    let with = |witnesses: &[&NoteSigner]| {
        let witnesses = witnesses.iter().map(|witness| witness.cosigner()).collect();
        shop.check(&VerifyOptions { keys: vec![shop.key.verifier()], witnesses, ..VerifyOptions::default() })
    };
    let report = with(&[&first, &second]);
    assert_eq!(worth(&report), (Intact, Anchored, [0, 0, 0]));
    assert!(report.logs.iter().all(|log| log.trust.cosigned_at == Some(1_800_000_007)));
    assert!(report.logs.iter().all(|log| log.not_checked.is_empty()), "{report:#?}");
    assert_eq!(worth(&with(&[&first, &signer(23)])), (Intact, Signed, [0, 0, 6]), "one witness is missing");
    let report = with(&[]);
    assert_eq!(worth(&report), (Intact, Signed, [0, 0, 6]), "found in the store it is signed, never anchored");
    assert!(report.logs.iter().all(|log| log.trust.cosigned_at.is_none()));
    assert!(report.logs.iter().all(|log| log.not_checked.iter().any(|what| what.starts_with("how fresh"))));
}

/// At level structure roots are what footers claim: a store whose every record was overwritten was called signed.
#[test]
fn the_structure_alone_is_never_signed_or_anchored() {
    let shop = Shop::signed(1, "ana");
    let options =
        VerifyOptions { level: Level::Structure, keys: vec![shop.key.verifier()], ..VerifyOptions::default() };
    let report = shop.check(&VerifyOptions { held: shop.held(), ..options });
    assert_eq!(worth(&report), (Intact, Structure, [0, 6, 6]));
    let is_told = |what: &String| what.starts_with("checkpoints against the records");
    assert!(report.logs.iter().all(|log| log.not_checked.iter().any(is_told)), "{report:#?}");
}

#[test]
fn the_oldest_or_a_middle_segment_gone_is_missing() {
    for (index, at) in [(0, 0), (1, 3)] {
        let shop = Shop::signed(1, "ana");
        fs::remove_file(&shop.segments("payments")[index]).unwrap();
        let report = shop.with_key();
        assert_eq!((report.verdict(), codes(&report)), (Missing, [1, 1, 1]));
        assert_eq!(place(&report, "payments"), (Missing, Some(at), Some(&*segment_name(at)), None));
    }
}

#[test]
fn the_newest_segment_gone_is_missing_as_long_as_anything_above_it_is_left() {
    let shop = Shop::signed(1, "ana");
    let held = shop.held();
    fs::remove_file(&shop.segments("payments")[2]).unwrap();
    let report = shop.check(&VerifyOptions::default());
    assert_eq!((codes(&report), place(&report, "payments").0), ([1, 1, 1], Missing));
    assert_eq!(place(&report, "payments").1, Some(6));
    // The journal cut too, to what it was before: a noted checkpoint is left.
    put_back(&shop.path().join("journal"), &shop.early_journal);
    fs::remove_dir_all(shop.path().join("tables/logins")).unwrap();
    let report = shop.check(&VerifyOptions::default());
    assert_eq!((worth(&report), through(&report, "payments")), ((Missing, Structure, [1, 1, 1]), (None, None)));
    let notes = fs::read_to_string(shop.log_dir("payments").join("checkpoints")).unwrap();
    let above = notes[..notes.find("\n8\n").unwrap()].rfind('\n').map_or(0, |end| end + 1);
    assert_eq!(place(&report, "payments"), (Missing, Some(6), Some("checkpoints"), Some(above as u64)));
    // And the checkpoints: only what is kept elsewhere tells.
    fs::remove_file(shop.log_dir("payments").join("checkpoints")).unwrap();
    let report = shop.with_key();
    assert_eq!(worth(&report), (Intact, Structure, [0, 6, 6]), "{report:#?}");
    let report = shop.with_held(&held);
    assert_eq!(codes(&report), [1, 1, 1]);
    assert_eq!(place(&report, "payments"), (Missing, Some(6), None, None));
}

#[test]
fn half_of_the_newest_segment_is_missing() {
    let shop = Shop::signed(1, "ana");
    let newest = &shop.segments("payments")[2];
    let bytes = fs::read(newest).unwrap();
    fs::write(newest, &bytes[..bytes.len() / 2]).unwrap();
    let report = shop.with_key();
    assert_eq!((report.verdict(), codes(&report)), (Missing, [1, 1, 1]));
    // The seal at 6 is left, the row behind it is not.
    let (verdict, position, _, _) = place(&report, "payments");
    assert_eq!((verdict, position), (Missing, Some(7)));
}

#[test]
fn a_table_gone_and_a_journal_gone_are_missing_and_swapped_directories_are_tampering() {
    let shop = Shop::signed(1, "ana");
    fs::remove_dir_all(shop.path().join("tables/payments")).unwrap();
    let report = shop.with_key();
    assert_eq!((codes(&report), place(&report, "payments")), ([1, 1, 1], (Missing, None, None, None)));

    let shop = Shop::signed(1, "ana");
    fs::remove_dir_all(shop.path().join("journal")).unwrap();
    let report = shop.with_key();
    assert_eq!((report.verdict(), codes(&report)), (Missing, [1, 1, 1]));
    assert_eq!(place(&report, "journal").0, Missing);
    // Nobody says how the logs must be called, so no note counts.
    assert_eq!(report.trust(), Structure);

    let shop = Shop::signed(1, "ana");
    let (left, right) = (shop.log_dir("payments"), shop.log_dir("logins"));
    let aside = shop.path().join("aside");
    for (from, to) in [(&left, &aside), (&right, &left), (&aside, &right)] {
        fs::rename(from, to).unwrap();
    }
    let report = shop.with_key();
    assert_eq!((report.verdict(), codes(&report)), (Tampered, [1, 1, 1]));
    for log in ["payments", "logins"] {
        assert_eq!((place(&report, log).0, place(&report, log).1), (Tampered, Some(0)));
    }
}

#[test]
fn a_journal_rolled_back_alone_is_missing_what_a_seal_says_of_it() {
    let shop = Shop::new(1, "ana");
    put_back(&shop.path().join("journal"), &shop.early_journal);
    let report = shop.check(&VerifyOptions::default());
    assert_eq!((report.verdict(), codes(&report)), (Missing, [1, 1, 1]));
    let (verdict, position, _, _) = place(&report, "journal");
    assert_eq!((verdict, position.is_some()), (Missing, true));
}

/// Losing them weakens and never alters.
#[test]
fn without_its_checkpoints_a_store_is_intact_and_not_signed() {
    let shop = Shop::signed(1, "ana");
    shop.go_on();
    shop.note_all(&shop.key);
    let cut = |log: &str, is_gone: bool| {
        let path = shop.log_dir(log).join("checkpoints");
        let bytes = fs::read(&path).unwrap();
        let first = bytes.windows(6).position(|window| window == b"crc32 ").unwrap() + b"crc32 12345678\n".len();
        // With the newest entry goes what a crash could have left of it.
        if is_gone { fs::remove_file(path).unwrap() } else { fs::write(path, &bytes[..first + 9]).unwrap() }
    };
    assert_eq!(worth(&shop.with_key()), (Intact, Signed, [0, 0, 6]));
    cut("payments", false);
    let report = shop.with_key();
    assert_eq!((report.verdict(), codes(&report)), (Intact, [0, 6, 6]));
    assert!(through(&report, "payments").0.is_none_or(|size| size < 9), "{report:#?}");
    assert!(remarks(&report, "payments").iter().any(|(what, _)| what.ends_with("the newest ones noted are gone")));
    cut("payments", true);
    let report = shop.with_key();
    assert_eq!((worth(&report), through(&report, "payments")), ((Intact, Structure, [0, 6, 6]), (None, None)));
    assert!(remarks(&report, "payments").iter().any(|(what, _)| what.ends_with("the file is gone")), "{report:#?}");
}

#[test]
fn an_older_copy_is_signed_and_its_freshness_is_unknown() {
    let shop = Shop::signed(1, "ana");
    let then = files(&shop.path());
    shop.go_on();
    shop.note_all(&shop.key);
    let held = shop.held();
    put_back(&shop.path(), &then);
    let report = shop.with_key();
    assert_eq!((worth(&report), through(&report, "payments")), ((Intact, Signed, [0, 0, 6]), (Some(8), None)));
    assert!(report.logs.iter().all(|log| log.not_checked.iter().any(|what| what.starts_with("how fresh"))));
    let report = shop.with_held(&held);
    assert_eq!((report.verdict(), codes(&report)), (Missing, [1, 1, 1]));
    assert_eq!(place(&report, "payments"), (Missing, Some(8), None, None));
    assert_eq!(place(&report, "journal").0, Missing);
}

/// With the ids and secrets of the first, which whoever has the directory can copy.
#[test]
fn a_store_rebuilt_without_the_key_is_told_by_the_key_or_by_a_held_head() {
    let (first, rebuilt) = (Shop::signed(1, "ana"), Shop::new(1, "eve"));
    let held = first.held();
    assert_eq!(worth(&rebuilt.check(&VerifyOptions::default())), (Intact, Structure, [0, 6, 6]));
    assert_eq!(worth(&rebuilt.with_key()), (Intact, Structure, [0, 6, 6]));
    let report = rebuilt.with_held(&held);
    assert_eq!((report.verdict(), codes(&report)), (Tampered, [1, 1, 1]));
    assert_eq!(place(&report, "payments"), (Tampered, Some(8), None, None));
    // Signed with a key of his own, it is not signed.
    rebuilt.note_all(&signer(66));
    assert_eq!(worth(&rebuilt.with_key()), (Intact, Structure, [0, 6, 6]));
    // The true checkpoint left in place contradicts what was rebuilt around it.
    let offset = rebuilt.note("payments", &sign(&first.heads()["payments"], &[&first.key]));
    let report = rebuilt.with_key();
    assert_eq!((report.verdict(), codes(&report)), (Tampered, [1, 1, 1]));
    assert_eq!(place(&report, "payments"), (Tampered, Some(8), Some("checkpoints"), Some(offset)));

    // With ids of its own it has none of the logs that a checkpoint is held of.
    let report = Shop::new(2, "eve").with_held(&held);
    assert_eq!((report.verdict(), codes(&report)), (Tampered, [1, 1, 1]));
    let journal = &report.logs[0];
    let is_missed = |finding: &bulla::Finding| finding.verdict == Missing && finding.what.contains("shop/payments/");
    assert!(journal.findings.iter().any(is_missed), "{journal:#?}");
}

#[test]
fn a_store_rebuilt_with_the_key_is_signed_and_only_a_held_head_tells() {
    let (first, rebuilt) = (Shop::signed(1, "ana"), Shop::signed(1, "eve"));
    assert_eq!(worth(&rebuilt.with_key()), (Intact, Signed, [0, 0, 6]));
    let report = rebuilt.with_held(&first.held());
    assert_eq!((report.verdict(), codes(&report)), (Tampered, [1, 1, 1]));
    assert_eq!(place(&report, "payments"), (Tampered, Some(8), None, None));
}

#[test]
fn a_segment_of_another_generation_is_tampering() {
    let (shop, other) = (Shop::signed(1, "ana"), Shop::signed(2, "ana"));
    fs::copy(&other.segments("payments")[1], &shop.segments("payments")[1]).unwrap();
    let report = shop.with_key();
    assert_eq!((report.verdict(), codes(&report)), (Tampered, [1, 1, 1]));
    assert_eq!(place(&report, "payments"), (Tampered, Some(3), Some(&*segment_name(3)), Some(0)));
}

/// Each edit has its checksums put right. Level structure reads no records, and says so.
#[test]
fn edits_are_tampering_where_they_are() {
    type Edit = fn(&mut Edited);
    let edits: [(&str, Edit, u64, usize); 5] = [
        ("a payload", |edited| edited.replace(1, b"ana 11", b"eve 11"), 3, 0),
        // The index, which tells the times too, is the first to contradict.
        ("a record's time", |edited| date_back(edited, 1), 3, 3),
        ("the times in a frame header", |edited| edited.frames[1].0.times.max.0 += 1, 4, 1),
        ("the index", |edited| *edited.frames[3].1.last_mut().unwrap() ^= 1, 3, 3),
        ("the footer", |edited| edited.edit_footer(|footer| footer.payload_bytes += 1), 6, 4),
    ];
    for (name, edit, position, frame) in edits {
        let shop = Shop::signed(1, "ana");
        let mut offset = 0;
        shop.edit("payments", 1, |edited| {
            // A seal and two rows, the index, the footer.
            let roles = [Role::Index, Role::Footer];
            assert_eq!(edited.frames[3..].iter().map(|(header, _)| header.role).collect::<Vec<_>>(), roles);
            edit(edited);
            offset = edited.offset(frame);
        });
        let report = shop.with_key();
        assert_eq!((report.verdict(), codes(&report)), (Tampered, [1, 1, 1]), "{name}: {report:#?}");
        let expected = (Tampered, Some(position), Some(&*segment_name(3)), Some(offset));
        assert_eq!(place(&report, "payments"), expected, "{name}");
        let structure = VerifyOptions { level: Level::Structure, ..VerifyOptions::default() };
        let report = shop.check(&structure);
        assert!(report.logs.iter().all(|log| log.not_checked.iter().any(|what| what.contains("were not read"))));
    }
}

/// Makes the records of a frame older, in the frame's own times as well.
fn date_back(edited: &mut Edited, index: usize) {
    let (header, body) = edited.frames[index].clone();
    let mut builder = FrameBuilder::default();
    for record in Records::new(&header, &body) {
        let record = record.unwrap();
        let (kind, schema, payload) = (record.kind, record.schema, record.payload().unwrap());
        builder.push(&NewRecord { kind, schema, time: Time(record.time.0 - 1), salt: None, payload });
    }
    let seed = edited.header.seed();
    let FrameHeader { epoch, base, durable_end, .. } = header;
    let mut bytes = Vec::new();
    let place = FramePlace { seed: &seed, offset: 0, epoch, base, durable_end, more: false };
    let new = builder.finish(&place, &mut bytes);
    assert_eq!(new.frame_len(), header.frame_len(), "what follows must stay where it is");
    let start = FRAME_HEADER_LEN as usize;
    edited.frames[index] = (new.clone(), bytes[start..][..new.stored_len as usize].to_vec());
}

/// Whatever `checkpoints` holds that is no true checkpoint of the log weakens at most; what contradicts the log is found.
#[test]
fn what_is_wrong_in_checkpoints_is_located() {
    let shop = Shop::signed(1, "ana");
    let heads = shop.heads();
    let mine = &heads["payments"];
    let head = mine.head();
    let start = fs::read(shop.log_dir("payments").join("checkpoints")).unwrap();
    let restore = || fs::write(shop.log_dir("payments").join("checkpoints"), &start).unwrap();

    // Of another log, forged in the key's name, not a checkpoint at all.
    let foreign = shop.note("payments", &sign(&heads["logins"], &[&shop.key]));
    let mut forged = sign(mine, &[&shop.key]).to_string().replace('\u{2014}', "-");
    let signature = forged.rfind(' ').unwrap() + 12;
    let letter = if forged.as_bytes()[signature] == b'A' { "B" } else { "A" };
    forged.replace_range(signature..=signature, letter);
    let forged = shop.note_text("payments", &forged.replace("\n- ", "\n\u{2014} "));
    let nonsense = shop.note_text("payments", "nonsense\n");
    shop.note("payments", &sign(mine, &[&shop.key]));
    let report = shop.with_key();
    assert_eq!(worth(&report), (Intact, Signed, [0, 0, 6]), "{report:#?}");
    let mut offsets: Vec<_> = remarks(&report, "payments").into_iter().filter_map(|(_, offset)| offset).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [foreign, forged, nonsense]);
    restore();

    // Another root, and a size above the log's end, with the key and without.
    let other = Checkpoint::new(mine.origin(), TreeHead { root: Digest([9; 32]), ..head }).unwrap();
    let above = Checkpoint::new(mine.origin(), TreeHead { size: 50, ..head }).unwrap();
    for (checkpoint, verdict) in [(&other, Tampered), (&above, Missing)] {
        for shown in [sign(checkpoint, &[&shop.key]), ShownCheckpoint::unsigned(checkpoint.clone())] {
            let offset = shop.note("payments", &shown);
            let report = shop.with_key();
            assert_eq!((report.verdict(), codes(&report)), (verdict, [1, 1, 1]));
            assert_eq!(place(&report, "payments"), (verdict, Some(8), Some("checkpoints"), Some(offset)));
            restore();
        }
    }
}

#[test]
fn what_is_held_and_cannot_be_compared_is_never_true() {
    let shop = Shop::signed(1, "ana");
    let held = shop.held();
    shop.go_on();
    // The structure names heads where segments end, and the log went on behind the one that is held.
    let structure = VerifyOptions { level: Level::Structure, held: held.clone(), ..VerifyOptions::default() };
    let report = shop.check(&structure);
    assert_eq!((report.verdict(), codes(&report)), (Intact, [6, 6, 6]), "{report:#?}");
    assert_eq!(worth(&shop.with_held(&held)), (Intact, Anchored, [0, 6, 6]));

    // Of a log that was never in this store; and of one that the caller did not ask for.
    let stranger = Checkpoint::new("mill/grain/01234567", TreeHead { size: 3, root: Digest([1; 32]) }).unwrap();
    let report = shop.with_held(&[ShownCheckpoint::unsigned(stranger)]);
    assert_eq!((codes(&report), place(&report, "journal")), ([1, 1, 1], (Missing, None, None, None)));
    let some = VerifyOptions { tables: vec!["logins".into()], held: held.clone(), ..VerifyOptions::default() };
    let report = shop.check(&some);
    assert_eq!((report.verdict(), report.exit_code_for(Require::Structure)), (Intact, 0));
    let journal = &report.logs[0];
    assert!(journal.not_checked.iter().any(|what| what.contains("shop/payments/")), "{journal:#?}");

    // Signed in the name of a key of the caller's by somebody else.
    let payments = held.iter().find(|held| held.checkpoint().origin().contains("payments")).unwrap();
    let text = payments.to_string();
    let other = Checkpoint::new("shop/journal", TreeHead::EMPTY).unwrap().to_string();
    let forged = Note::new(text, vec![shop.key.sign(&other)]).unwrap();
    let options = VerifyOptions {
        keys: vec![shop.key.verifier()],
        held: vec![ShownCheckpoint::signed(forged).unwrap()],
        host: host(1),
        ..VerifyOptions::default()
    };
    let refused = verify(shop.path(), &options, &mut |_| {});
    assert!(matches!(refused, Err(Error::ForgedCheckpoint { .. })), "{refused:?}");
}

#[test]
fn since_a_held_checkpoint_only_what_follows_it_is_read() {
    let shop = Shop::signed(1, "ana");
    let since = shop.held();
    shop.go_on();
    let now = shop.held();
    let options = VerifyOptions { since: since.clone(), held: now, ..VerifyOptions::default() };
    let report = shop.check(&options);
    assert_eq!(worth(&report), (Intact, Anchored, [0, 0, 0]), "{report:#?}");
    let payments = report.logs.iter().find(|log| log.log == "payments").unwrap();
    assert_eq!((payments.records_checked, payments.not_checked[0].starts_with("records 0..6")), (3, true));
    assert_eq!(payments.origin.as_deref(), since.iter().map(|s| s.checkpoint().origin()).find(|o| o.contains("pay")));
    // An edit below is passed over.
    shop.edit("payments", 0, |edited| edited.replace(1, b"ana 10", b"eve 10"));
    assert_eq!(shop.check(&options).verdict(), Intact);
    let other = Checkpoint::new(payments.origin.as_deref().unwrap(), TreeHead { size: 8, root: Digest([2; 32]) });
    let wrong = VerifyOptions { since: vec![ShownCheckpoint::unsigned(other.unwrap())], ..VerifyOptions::default() };
    let report = shop.check(&wrong);
    assert_eq!((report.verdict(), codes(&report)), (Tampered, [1, 1, 1]));
    assert_eq!(place(&report, "payments"), (Tampered, Some(8), None, None));
}
