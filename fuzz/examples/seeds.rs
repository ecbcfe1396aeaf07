//! Writes the seeds that are made and not typed: the log directories of `segment_recovery`, the edits of `store_image`,
//! the rows of `journal`, the files of `checkpoints`, the answers of `anchors`. `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.
#![allow(missing_docs)]

use std::path::Path;

use bulla_fuzz::disk::{self, Image};
use bulla_fuzz::{anchors, log, store};
use bulla_log::Log;
use bulla_wire::{FRAME_MAGIC, SegmentHeader};

fn main() -> std::io::Result<()> {
    recovery()?;
    store_image()?;
    journal()?;
    checkpoints()?;
    anchors()
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join(name), bytes)
}

/// What follows the header of the newest segment.
fn frames(image: &Image) -> Vec<u8> {
    let (_, file) = image.iter().rfind(|(path, _)| path.extension().is_some()).expect("a segment");
    let file = file.as_deref().expect("a file");
    file[SegmentHeader::len_at(SegmentHeader::decode(file).expect("its header").base) as usize..].to_vec()
}

fn closed(image: &Image) -> Vec<u8> {
    let disk = disk::of(image);
    let opened = Log::open(&disk::host(&disk), Path::new(log::DIR), &log::options()).expect("it is whole");
    opened.append(&log::row(b"last"), bulla_log::AppendOptions::default()).expect("room");
    opened.close().expect("room");
    frames(&disk::image(&disk))
}

fn recovery() -> std::io::Result<()> {
    for (of, choices, image) in [("one", 0_u8, &log::ONE), ("two", 1, &log::TWO)] {
        let whole = frames(image);
        let seed = |choices: u8, number: u8, bytes: &[u8]| [&[choices, number], bytes].concat();
        let write = |what: &str, bytes: &[u8]| write("segment_recovery", &format!("{of}_{what}"), bytes);
        write("whole", &seed(choices, 0, &whole))?;
        write("zeros", &seed(choices, 0, &[&whole[..], &[0; 72]].concat()))?;
        write("empty", &seed(choices, 0, &[]))?;
        write("closed", &seed(choices, 0, &closed(image)))?;
        // The payload bytes that a close frame counts are any number.
        let mut counted = closed(image);
        let frame = counted.windows(4).rposition(|window| window == FRAME_MAGIC).expect("a close frame");
        counted[frame + 64 + 40..frame + 64 + 48].fill(0xff);
        write("counted", &seed(choices, 0, &counted))?;
        write("torn", &seed(choices | 2, 0, &whole[..whole.len() - 64 - 40]))?;
        write("torn_again", &seed(choices | 2 | 4 | 8, 5, &whole[..whole.len() - 64 - 40]))?;
        write("known", &seed(choices | 2 | 32, 200, &whole))?;
        let mut damaged = whole.clone();
        damaged[70] ^= 1;
        write("damaged", &seed(choices | 2, 0, &damaged))?;
        write("without_header", &seed(choices | 16, 0, &[]))?;
        write(
            "foreign_header",
            &seed(choices | 16, 0, log::ONE[Path::new(log::FIRST)].as_deref().unwrap_or_default()),
        )?;
    }
    Ok(())
}

fn store_image() -> std::io::Result<()> {
    let closed = &*store::CLOSED;
    let which = |end: &str| closed.keys().position(|path| path.to_string_lossy().contains(end)).expect(end) as u8;
    let newest = |of: &str| {
        let is = |path: &std::path::PathBuf| path.to_string_lossy().contains(of) && path.extension().is_some();
        closed.keys().rposition(is).expect(of) as u8
    };
    let (lock, journal) = (which("LOCK"), which("journal"));
    let (first, last) = (which("trail/") + 1, newest("trail/"));
    let journal_file = newest("journal/");
    for (name, edits) in [
        ("whole", vec![]),
        ("flipped", vec![0, last, 200, 0, 1]),
        ("flipped_and_mended", vec![0, last, 210, 0, 1, 9, 0]),
        ("journal_flipped", vec![0, journal_file, 250, 0, 1]),
        ("journal_flipped_and_mended", vec![0, journal_file, 250, 0, 1, 9, 0]),
        ("cut", vec![1, last, 0, 1]),
        ("replaced", vec![2, last, 160, 0, 4, 1, 2, 3, 4]),
        ("first_gone", vec![3, first, 0]),
        ("journal_gone", vec![3, journal, 0]),
        ("lock_gone", vec![3, lock, 0]),
        ("renamed", vec![4, last, 2]),
        ("doubled", vec![5, last, 3]),
        ("foreign_file", vec![6, last, 4, 3, 1, 2, 3]),
        ("foreign_directory", vec![7, first, 3]),
        ("zeroed", vec![8, last, 128, 0, 20]),
        ("zeroed_and_mended", vec![8, last, 184, 0, 2, 9, 0]),
    ] {
        write("store_image", &format!("closed_{name}"), &[&[0][..], &edits].concat())?;
        write("store_image", &format!("unclosed_{name}"), &[&[1][..], &edits].concat())?;
    }
    Ok(())
}

/// The file that closing left, whole and otherwise.
fn checkpoints() -> std::io::Result<()> {
    let is_ours = |path: &Path| path.ends_with("checkpoints") && path.to_string_lossy().contains("trail/");
    let (_, file) = store::CLOSED.iter().find(|(path, _)| is_ours(path)).expect("a checkpoint at closing");
    let text = String::from_utf8(file.clone().expect("a file")).expect("text").trim_end_matches('\0').to_owned();
    let foreign = text.replace("trail", "other");
    let signed = text.replacen("crc32", "\n\u{2014} fuzz AAAAAAA=\ncrc32", 1);
    for (name, choice, text) in [
        ("none", 0, String::new()),
        ("whole", 0, text.clone()),
        ("twice", 0, text.repeat(2)),
        ("torn", 0, format!("{text}{}", &text[..text.len() / 2])),
        ("nonsense_between", 0, format!("{text}nonsense\n{text}")),
        ("bare", 0, text[..text.find("crc32").expect("a checksum")].to_owned()),
        ("foreign", 1, foreign.clone()),
        ("foreign_between", 1, format!("{text}{foreign}{text}")),
        ("signed", 1, signed),
        ("other_size", 1, text.replacen("\n", "\n9", 1)),
    ] {
        write("checkpoints", name, &[&[choice][..], text.as_bytes()].concat())?;
        write("checkpoints", &format!("store_{name}"), &[&[choice | 2][..], text.as_bytes()].concat())?;
    }
    Ok(())
}

fn anchors() -> std::io::Result<()> {
    let is_taken = [
        anchors::timestamp(&anchors::reply()),
        anchors::request(&anchors::sent()),
        anchors::witness(anchors::cosignature().as_bytes()),
    ];
    assert_eq!(is_taken, [true; 3], "a seed is worth what it leads to");
    let other = anchors::entry().replace("logins", "others");
    for (name, choice, bytes) in [
        ("reply", 0, anchors::reply()),
        ("reply_refused", 0, vec![0x30, 5, 0x30, 3, 2, 1, 2]),
        ("request", 1, anchors::sent()),
        ("cosignature", 2, anchors::cosignature().into_bytes()),
        ("cosignatures", 2, anchors::cosignature().repeat(2).into_bytes()),
        ("size", 2, b"3\n".to_vec()),
        ("size_too_large", 2, b"9\n".to_vec()),
        ("file", 3, anchors::entry().into_bytes()),
        ("file_torn", 3, format!("{}{other}", anchors::entry()).into_bytes()),
        ("file_foreign", 3, b"a diary\n".to_vec()),
        ("state", 4, anchors::taken().into_bytes()),
        ("state_of_nothing", 4, b"bulla/anchor/v1\n".to_vec()),
        ("state_unmended", 5, anchors::taken().into_bytes()),
    ] {
        write("anchors", name, &[&[choice][..], &bytes].concat())?;
    }
    Ok(())
}

fn journal() -> std::io::Result<()> {
    let id = [0xaa; 16];
    let root = [0xee; 32];
    let created = vec![0, 1, b'x', 0];
    let table = [&[1, 1, b't'][..], &id, &[3], b"raw", &[0, 1]].concat();
    let schema = vec![2, 1, b't', 0xac, 2];
    let head = [&[3][..], &id, &[0xac, 2], &root].concat();
    let listed = [&[1, b't'][..], &id, &[3], b"raw", &[0, 13, 2, 1, 0xac, 2, 1, 0xac, 2], &root].concat();
    let state = [&[4, 1, b'x', 0, 1][..], &listed].concat();
    let bare = vec![4, 1, b'x', 0, 0];
    let rows = |rows: &[(u16, &Vec<u8>)]| {
        let row = |(flags, row): &(u16, &Vec<u8>)| [&(flags | row.len() as u16).to_le_bytes()[..], row].concat();
        rows.iter().flat_map(row).collect::<Vec<u8>>()
    };
    write("journal", "none", &[])?;
    write("journal", "created", &rows(&[(0, &created)]))?;
    write("journal", "all", &rows(&[(0, &created), (0, &table), (0, &schema), (0, &head), (0, &state)]))?;
    write("journal", "bare_state", &rows(&[(0, &created), (0, &bare)]))?;
    write("journal", "state_first", &rows(&[(0, &state), (0, &head)]))?;
    write("journal", "created_twice", &rows(&[(0, &created), (0, &created)]))?;
    write("journal", "other_schema", &rows(&[(0, &created), (0x8000, &table)]))?;
    write("journal", "other_kind", &rows(&[(0, &created), (0x4000, &table)]))?;
    write("journal", "newer_variant", &rows(&[(0, &created), (0, &vec![5, 9])]))?;
    let checkpointed = [&[6][..], &id, &[0xac, 2], &root].concat();
    write("journal", "checkpointed", &rows(&[(0, &created), (0, &table), (0, &checkpointed)]))?;
    write("journal", "state_now", &rows(&[(0, &vec![8, 1, b'x', 0, 0, 0])]))?;
    write("journal", "wrong", &rows(&[(0, &created), (0, &vec![2, 1, b't', 0x81, 0x80, 0])]))?;
    Ok(())
}
