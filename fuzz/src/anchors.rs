//! A log with one checkpoint, handed to anchors that find any bytes where they look for answers or for what they know.
//!
//! Each says whether the checkpoint was taken where that depends on an answer.
//! What a witness answers over HTTP is read as what one answers through a folder; only the envelope is not reached here.

use std::path::Path;
use std::sync::LazyLock;

use bulla::chain::{Note, NoteSigner, ShownCheckpoint};
use bulla::{AnchorLag, AnchoredLog as _, Anchors, FileSink, Host, TimestampSink, WitnessFolderSink, read_checkpoints};
use bulla_vfs::MemVfs;

use crate::disk;

#[path = "../../crates/bulla/tests/anchoring/mod.rs"]
mod anchoring;
use anchoring::{FakeLog, run, shown};

const ORIGIN: &str = "shop/logins/07070707";
const SIZE: u64 = 5;
const BASE: &str = "/dir/shop+logins+07070707-5";

static WITNESS: LazyLock<NoteSigner> = LazyLock::new(|| NoteSigner::from_seed("w", &[8; 32]).expect("a name"));
static SIGNED: LazyLock<ShownCheckpoint> = LazyLock::new(|| {
    let (key, text) = (NoteSigner::from_seed("shop", &[7; 32]).expect("a name"), shown(ORIGIN, SIZE).to_string());
    let note = Note::new(text.clone(), vec![key.sign(&text)]).expect("a text with a signature");
    ShownCheckpoint::signed(note).expect("a checkpoint")
});
/// The request of the timestamp's anchor, the same in every run.
static REQUEST: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let disk = disk();
    let lag = run(&disk::host(&disk), &mut log(), TimestampSink::new(&disk::host(&disk), "a", "/dir"));
    assert!(lag.error.is_some_and(|error| error.starts_with("waiting for")));
    read(&disk, &format!("{BASE}.tsq")).expect("the request")
});

fn disk() -> MemVfs {
    disk::of(&disk::Image::from([("/dir".into(), None), ("/anchors/a".into(), None)]))
}

fn log() -> FakeLog {
    FakeLog { origin: ORIGIN.to_owned(), noted: vec![SIGNED.clone()], proofs: Vec::new() }
}

fn read(disk: &MemVfs, path: &str) -> Option<Vec<u8>> {
    disk.read_file(Path::new(path)).ok()
}

fn write(disk: &MemVfs, path: &str, bytes: &[u8]) {
    disk.write_file(Path::new(path), bytes).expect("room");
}

/// An outbox that knows what is on the disk, with an anchor that appends to `/dir/file`.
fn to_file(host: &Host) -> Anchors {
    let mut anchors = Anchors::new(host, Path::new("/anchors"));
    anchors.add(Box::new(FileSink::new(host, "a", "/dir/file"))).expect("what is damaged is no error");
    anchors
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The imprint and the nonce in the request; it has one length and one order.
fn asked() -> (&'static [u8], &'static [u8]) {
    (&REQUEST[24..56], &REQUEST[58..66])
}

/// Bytes as the reply of a timestamping authority: taken only if the digest and the nonce of the request are in it, and
/// kept as they came.
pub fn timestamp(reply: &[u8]) -> bool {
    let disk = disk();
    let host = disk::host(&disk);
    let sink = || TimestampSink::new(&host, "a", "/dir");
    write(&disk, &format!("{BASE}.tsq"), &REQUEST);
    write(&disk, &format!("{BASE}.note"), SIGNED.to_string().as_bytes());
    write(&disk, &format!("{BASE}.tsr"), reply);
    let lag = run(&host, &mut log(), sink());
    let (imprint, nonce) = asked();
    let kept = read(&disk, "/anchors/a/shop+logins+07070707-5.tsr");
    if lag.confirmed.is_some() {
        assert!(has(reply, imprint) && has(reply, nonce), "it dates something else");
        assert_eq!(kept.as_deref(), Some(reply));
    } else {
        assert_eq!(kept, None, "{lag:?}");
    }
    lag.confirmed.is_some()
}

/// Bytes as the request that a reply is compared with: none but ours has that reply's nonce where we put it.
pub fn request(bytes: &[u8]) -> bool {
    let disk = disk();
    let host = disk::host(&disk);
    write(&disk, &format!("{BASE}.tsq"), bytes);
    write(&disk, &format!("{BASE}.note"), SIGNED.to_string().as_bytes());
    write(&disk, &format!("{BASE}.tsr"), &reply());
    let lag = run(&host, &mut log(), TimestampSink::new(&host, "a", "/dir"));
    assert!(lag.confirmed.is_none() || has(bytes, asked().1), "{lag:?}");
    lag.confirmed.is_some()
}

/// Bytes as what is brought back from a witness: a cosignature that verifies, a size from which a proof is made, or
/// nothing that counts.
pub fn witness(answer: &[u8]) -> bool {
    let disk = disk();
    let (host, mut log) = (disk::host(&disk), log());
    let sink = || WitnessFolderSink::new(&host, "a", "/dir", WITNESS.cosigner());
    let lag = run(&host, &mut log, sink());
    assert!(lag.error.is_some_and(|error| error.starts_with("waiting for")));
    write(&disk, &format!("{BASE}.cosignature"), answer);
    let lag = run(&host, &mut log, sink());
    if lag.confirmed.is_none() {
        assert_eq!(log.noted.len(), 1, "{lag:?}");
        let is_gone = read(&disk, &format!("{BASE}.cosignature")).is_none();
        // A size, which is answered with another request.
        assert_eq!(is_gone, str::from_utf8(answer).is_ok_and(is_size), "{lag:?}");
        return false;
    }
    let note = log.noted.last().and_then(ShownCheckpoint::note).expect("the copy that was noted");
    assert_eq!(note.verify(&[WITNESS.cosigner()]).map(|by| !by.is_empty()), Ok(true));
    true
}

fn is_size(text: &str) -> bool {
    (0..=SIZE).any(|size| text == format!("{size}\n"))
}

/// Bytes as what an anchor has taken, as they are or under their checksum: believed or not, what is handed over then is
/// what the next process knows.
pub fn state(bytes: &[u8], is_mended: bool) {
    let disk = disk();
    let (host, mut log) = (disk::host(&disk), log());
    let line = format!("crc32 {:08x}\n", crc32fast::hash(bytes));
    let state = if is_mended { [bytes, line.as_bytes()].concat() } else { bytes.to_vec() };
    write(&disk, "/anchors/a/state", &state);
    let mut anchors = to_file(&host);
    let known = anchors.lag(&[&log]).remove(0);
    assert!(known.confirmed.is_none() || has(bytes, ORIGIN.as_bytes()), "{known:?}");
    anchors.try_all(&mut [&mut log], false).expect("room");
    let told = |anchors: &Anchors| -> Vec<AnchorLag> { anchors.lag(&[&log]) };
    assert_eq!(told(&anchors), told(&to_file(&host)));
    let lag = told(&anchors).remove(0);
    let is_taken = read(&disk, "/dir/file").is_some();
    assert!(is_taken || lag.error.is_some() || known.confirmed == Some(SIZE), "{known:?} {lag:?}");
}

/// Bytes as the file that an anchor appends to: it is somebody else's and stays as it is, or what was held in it is, with
/// the checkpoint behind.
pub fn file(bytes: &[u8]) {
    let disk = disk();
    let (host, mut log) = (disk::host(&disk), log());
    write(&disk, "/dir/file", bytes);
    let before = read_checkpoints(bytes).map(|held| held.checkpoints).unwrap_or_default();
    to_file(&host).try_all(&mut [&mut log], false).expect("room");
    let after = read(&disk, "/dir/file").expect("it was there");
    if to_file(&host).lag(&[&log]).remove(0).confirmed.is_none() {
        assert_eq!(after, bytes);
        return;
    }
    let held = read_checkpoints(&after).expect("entries").checkpoints;
    assert_eq!(held.split_last(), log.noted().expect("a list").first().map(|last| (last, &before[..])));
}

/// What a witness answers if all is well.
pub fn cosignature() -> String {
    format!("{}\n", WITNESS.cosign(SIGNED.note().expect("it is signed").text(), 1_700_000_000))
}

/// The request, for a seed.
pub fn sent() -> Vec<u8> {
    REQUEST.clone()
}

/// A state in which the checkpoint was taken, without its checksum, for a seed.
pub fn taken() -> String {
    let head = SIGNED.head();
    format!("bulla/anchor/v1\nlog {ORIGIN}\ntaken {} {}\nfailed 3 -5 no paper\n", head.size, head.root)
}

/// The file of an anchor with the checkpoint in it, for a seed.
pub fn entry() -> String {
    let text = SIGNED.to_string();
    format!("{text}crc32 {:08x}\n", crc32fast::hash(text.as_bytes()))
}

/// A reply to the request with the fewest fields, whose signature nobody looks at.
pub fn reply() -> Vec<u8> {
    let der = |tag: u8, value: &[u8]| -> Vec<u8> {
        let len = u8::try_from(value.len()).expect("it is short");
        let head = if len < 0x80 { vec![tag, len] } else { vec![tag, 0x81, len] };
        [&head, value].concat()
    };
    let (_, nonce) = asked();
    let number = |value: u8| der(0x02, &[value]);
    // Version, policy, imprint as in the request, serial number, time, accuracy, nonce.
    let info =
        [number(1), der(0x06, &[0x2a]), REQUEST[5..56].to_vec(), number(9), der(0x18, b"20260101000000Z")].concat();
    let info = der(0x30, &[info, der(0x30, &number(1)), der(0x02, nonce)].concat());
    let tst_info = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
    let content = [der(0x06, &tst_info), der(0xa0, &der(0x04, &info))].concat();
    let signed = [number(3), der(0x31, &[]), der(0x30, &content)].concat();
    let signed_data = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    let token = [der(0x06, &signed_data), der(0xa0, &der(0x30, &signed))].concat();
    der(0x30, &[der(0x30, &number(0)), der(0x30, &token)].concat())
}
