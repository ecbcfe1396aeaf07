//! `bulla prove` and `bulla tiles`: what they print is what `bulla check`, and a reader of tiles, take.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use bulla::Reader;
use bulla::chain::{
    Checkpoint, Digest, Entry, NodeAddress, Note, NoteSigner, ShownCheckpoint, Tile, TileReader, TreeHead,
};
use bulla_testkit::Edited;
use std::fs;
use std::path::{Path, PathBuf};
use support::{Ran, TestStore, bulla};

/// A store of one table, and a key that nobody else has.
struct Kept {
    store: TestStore,
    folder: tempfile::TempDir,
    signer: NoteSigner,
    origin: String,
}

impl Kept {
    fn new(lines: usize) -> Self {
        let (store, folder) = (TestStore::new(), tempfile::tempdir().unwrap());
        let text: Vec<_> = (0..lines).map(|line| format!("line {line:04}\n")).collect();
        store.ingest_text("events", text.concat().as_bytes()).expect(0);
        let origin = Reader::open(store.path()).unwrap().tables().unwrap()[0].origin.clone();
        let signer = NoteSigner::from_seed("store", &[7; 32]).unwrap();
        fs::write(folder.path().join("key.pub"), signer.verifier().to_string()).unwrap();
        Self { store, folder, signer, origin }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn head_at(&self, size: u64) -> TreeHead {
        let (_, mut prover) = Reader::open(self.store.path()).unwrap().prover("events").unwrap();
        prover.head_at(size).unwrap()
    }

    /// A file with a signed checkpoint of any head.
    fn signed(&self, name: &str, origin: &str, head: TreeHead) -> PathBuf {
        let text = Checkpoint::new(origin, head).unwrap().to_string();
        let note = Note::new(text.clone(), vec![self.signer.sign(&text)]).unwrap();
        let path = self.path(name);
        fs::write(&path, ShownCheckpoint::signed(note).unwrap().to_string()).unwrap();
        path
    }

    fn prove(&self, arguments: &[&str]) -> Ran {
        self.store.run("prove", &[&["events"], arguments].concat())
    }

    /// What `check` says of a proof.
    fn check(&self, proof: &[u8], more: &[&str]) -> Ran {
        let file = self.path("proof");
        fs::write(&file, proof).unwrap();
        let key = self.path("key.pub");
        let fixed = ["check", file.to_str().unwrap(), "--key", key.to_str().unwrap(), "--origin", &self.origin];
        bulla(&[&fixed, more].concat())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_record_is_proven_to_somebody_without_the_store() {
    let kept = Kept::new(1_000);
    let checkpoint = kept.signed("checkpoint", &kept.origin, kept.head_at(900));
    let record = kept.path("record");
    for position in ["1", "255", "899"] {
        let proof = kept.prove(&[position, "--checkpoint", text(&checkpoint)]).expect(0);
        let payload = kept.store.run("get", &["events", position, "--format", "raw"]).expect(0).out;
        fs::write(&record, &payload).unwrap();
        let report = kept.check(&proof.out, &["--record", text(&record), "--json"]).expect(0).json();
        assert_eq!((&report["verdict"], &report["trust"]), (&"proven".into(), &"signed".into()));
        assert_eq!(report["record"]["position"].to_string(), position);
        fs::write(&record, b"line 9999").unwrap();
        kept.check(&proof.out, &["--record", text(&record)]).expect(1);
    }
    // Without a checkpoint anywhere: true, and nobody vouches for it.
    let proof = kept.prove(&["950"]).expect(0);
    assert!(proof.err.contains("nobody signed"), "{}", proof.err);
    kept.check(&proof.out, &[]).expect(6);
}

#[test]
fn a_table_is_proven_to_continue_what_it_was() {
    let kept = Kept::new(700);
    let old = kept.signed("old", &kept.origin, kept.head_at(300));
    let new = kept.signed("new", &kept.origin, kept.head_at(650));
    let proof = kept.prove(&["--from", text(&old), "--to", text(&new)]).expect(0);
    let report = kept.check(&proof.out, &["--json"]).expect(0).json();
    assert_eq!(
        (&report["kind"], &report["old_size"], &report["size"]),
        (&"consistency".into(), &300.into(), &650.into())
    );
    kept.prove(&["--from", text(&new), "--to", text(&old)]).expect(8);
}

/// P1. Checkpoints of another log, another history, a longer table, or none.
#[test]
fn nothing_is_proven_to_a_checkpoint_the_table_contradicts() {
    let kept = Kept::new(300);
    let head = kept.head_at(200);
    let other = kept.signed("other", "store/events/00000000", head);
    kept.prove(&["5", "--checkpoint", text(&other)]).expect(8);
    let forged = kept.signed("forged", &kept.origin, TreeHead { root: Digest([9; 32]), ..head });
    kept.prove(&["5", "--checkpoint", text(&forged)]).expect(1);
    let above = kept.signed("above", &kept.origin, TreeHead { size: 5_000, ..head });
    kept.prove(&["5", "--checkpoint", text(&above)]).expect(1);
    let good = kept.signed("good", &kept.origin, head);
    kept.prove(&["200", "--checkpoint", text(&good)]).expect(8);
    kept.prove(&["9000"]).expect(8);
    kept.prove(&["no"]).expect(2);
    kept.prove(&["5", "--from", text(&good)]).expect(2);
    fs::write(kept.path("none"), "no checkpoint").unwrap();
    kept.prove(&["5", "--checkpoint", text(&kept.path("none"))]).expect(8);
    kept.prove(&["5", "--checkpoint", text(&kept.path("missing"))]).expect(5);
    kept.store.run("prove", &["nothing", "5"]).expect(3);
}

/// An edit with right checksums: no proof of the record, or of its neighbours, is made.
#[test]
fn an_edited_record_is_not_proven() {
    let kept = Kept::new(600);
    let checkpoint = kept.signed("checkpoint", &kept.origin, kept.head_at(600));
    let segment = kept.store.segments("events").remove(0);
    let mut edited = Edited::parse(&fs::read(&segment).unwrap());
    let frame =
        edited.frames.iter().position(|(_, body)| body.windows(9).any(|window| window == b"line 0300")).unwrap();
    edited.replace(frame, b"line 0300", b"line 9999");
    fs::write(&segment, edited.bytes()).unwrap();
    kept.prove(&["301", "--checkpoint", text(&checkpoint)]).expect(1);
    kept.prove(&["290", "--checkpoint", text(&checkpoint)]).expect(1);
}

/// T1 and T2: what is exported is a tree whose every leaf a tile reader finds, and a later export continues it.
#[test]
fn an_export_is_read_by_a_reader_of_tiles() {
    let kept = Kept::new(600);
    let export = kept.path("export");
    let tiles = || kept.store.run("tiles", &["events", text(&export)]);
    tiles().expect(0);
    check_export(&export, &kept.origin);
    kept.store.ingest_text("events", "one more line\n".repeat(500).as_bytes()).expect(0);
    tiles().expect(0);
    let head = check_export(&export, &kept.origin);
    assert_eq!(head.size, 1_101);
    tiles().expect(0);

    // A tile that somebody changed, and an export of another table.
    let tile = export.join(Tile::full(0, 1).to_string());
    let mut bytes = fs::read(&tile).unwrap();
    bytes[5] ^= 1;
    fs::write(&tile, &bytes).unwrap();
    tiles().expect(1);
    kept.store.ingest_text("others", b"a line\n").expect(0);
    kept.store.run("tiles", &["others", text(&export)]).expect(1);
}

fn check_export(export: &Path, origin: &str) -> TreeHead {
    let shown = ShownCheckpoint::parse(&fs::read(export.join("checkpoint")).unwrap()).unwrap();
    assert_eq!(shown.checkpoint().origin(), origin);
    let head = shown.head();
    let mut reader = TileReader::open(head, |tile: &Tile| fs::read(export.join(tile.to_string()))).unwrap();
    for index in 0..head.size {
        let leaf = reader.node(NodeAddress { height: 0, index }).unwrap();
        let tile = Tile::all(head.size)
            .find(|tile| tile.nodes().any(|node| node == NodeAddress { height: 0, index }))
            .unwrap();
        let bundle = fs::read(export.join(tile.entries_path())).unwrap();
        let at = usize::try_from(index % 256).unwrap() * 56;
        assert_eq!(bundle[at..at + 2], [0, 54]);
        assert_eq!(Entry::decode(bundle[at + 2..at + 56].try_into().unwrap()).unwrap().leaf(), leaf);
    }
    head
}
