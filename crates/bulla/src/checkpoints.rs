//! The `checkpoints` file of a log: the checkpoints noted of it, oldest first.
//!
//! Bytes: docs/FORMAT.md, "Noted checkpoints". This module keeps and finds texts; it believes none of them.
//!
//! # Invariants
//!
//! - N1. What `append` wrote, `read` gives, in the same order; an entry is there whole, under its checksum, or not at all.
//! - N2. What a crash leaves of the newest entry is neither an entry nor a problem, and the next `append` cuts it off.
//! - N3. Whatever one entry became, its neighbours are found: an entry costs at most the one behind it, if the line end
//!   between them is gone.
//! - N4. A reader looks at the newest [`FILE_BYTES_MAX`] bytes and says what it skipped; its work is a fixed multiple of
//!   what it looks at, whatever the bytes.
//! - N5. `append` leaves what it found valid as it is; after a failure the file is what it was, or ends with less than an
//!   entry.
//!
//! # Not here
//!
//! Whether a signature is good, and whether a head is the log's.

use crate::error::{Error, io};
use crate::layout::{parent, sync_dir};
use bulla_chain::{NOTE_BYTES_MAX, ShownCheckpoint};
use bulla_vfs::{Host, OpenMode, VfsFile, read_exact_at, write_all_at};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file's name in a log's directory.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// The newest bytes of the file that a reader looks at.
pub(crate) const FILE_BYTES_MAX: u64 = 16 << 20;

/// What the line behind an entry begins with.
const MARK: &[u8] = b"crc32 ";
/// The line: mark, eight digits, a newline.
const LINE_BYTES: usize = MARK.len() + 9;
/// An entry with its line.
const ENTRY_BYTES_MAX: usize = NOTE_BYTES_MAX + LINE_BYTES;
/// The newest bytes in which a writer looks for the last entry before it looks at as much as a reader.
const TAIL_BYTES: u64 = 64 << 10;
/// Behind a bad entry the next one is looked for at the starts of the last so many lines before its checksum: more than
/// a note has lines. This bounds the work (N4).
const STARTS_MAX: usize = 128;

const _: () = assert!(ENTRY_BYTES_MAX as u64 * 2 <= FILE_BYTES_MAX);

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) shown: ShownCheckpoint,
    /// Where it begins in the file.
    pub(crate) offset: u64,
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Oldest first.
    pub(crate) entries: Vec<Noted>,
    /// Offsets of what is no entry and lies before one, and what is wrong there.
    pub(crate) problems: Vec<(u64, String)>,
    /// The end of the last whole entry: what follows is what a crash left.
    pub(crate) cut_at: u64,
    /// Bytes at the front that were not looked at.
    pub(crate) skipped: u64,
}

/// Reads what is noted of the log in `log_dir`; `None` if there is no such file.
pub(crate) fn read(host: &Host, log_dir: &Path) -> Result<Option<Notes>, Error> {
    read_file(host, &path(log_dir))
}

/// As [`read`], of any file of entries.
pub(crate) fn read_file(host: &Host, path: &Path) -> Result<Option<Notes>, Error> {
    match host.fs.open(path, OpenMode::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("open", path)(error)),
        Ok(file) => read_newest(&*file, path, FILE_BYTES_MAX).map(Some),
    }
}

/// Adds an entry, behind the last whole one (N2).
///
/// # Durability
///
/// The entry, and the file's name, survive power loss when this returns.
pub(crate) fn append(host: &Host, log_dir: &Path, shown: &ShownCheckpoint) -> Result<(), Error> {
    append_to(host, &path(log_dir), shown)
}

/// As [`append`], to any file of entries.
pub(crate) fn append_to(host: &Host, path: &Path, shown: &ShownCheckpoint) -> Result<(), Error> {
    let entry = encode(shown).map_err(|what| Error::Checkpoint { path: path.to_owned(), what })?;
    let file = match host.fs.open(path, OpenMode::Write) {
        Err(error) if error.kind() == ErrorKind::NotFound => host.fs.open(path, OpenMode::Create),
        opened => opened,
    };
    let file = file.map_err(io("open", path))?;
    // What a failed sync left in the cache must not pass for what is on the disk. A wish, so a refusal means nothing.
    let _ = file.drop_cache();
    let end = end_of_entries(&*file, path)?;
    // Whoever wrote an entry has made the file's name durable.
    let name = || if end == 0 { sync_dir(host, parent(path)) } else { Ok(()) };
    let written = write(&*file, path, end, &entry).and_then(|()| name());
    if written.is_err() {
        // N5. What cannot be taken back is cut off by the next writer.
        let _ = file.set_len(end);
    }
    written
}

fn write(file: &dyn VfsFile, path: &Path, end: u64, entry: &[u8]) -> Result<(), Error> {
    if file.len().map_err(io("measure", path))? > end {
        tracing::warn!(path = %path.display(), end, "cutting off what a crash left of a checkpoint");
        file.set_len(end).map_err(io("cut", path))?;
    }
    write_all_at(file, entry, end).map_err(io("write", path))?;
    file.sync_data().map_err(io("sync", path))
}

/// Where the next entry goes.
fn end_of_entries(file: &dyn VfsFile, path: &Path) -> Result<u64, Error> {
    let len = file.len().map_err(io("measure", path))?;
    for window in [TAIL_BYTES, FILE_BYTES_MAX] {
        let notes = read_newest(file, path, window)?;
        if !notes.entries.is_empty() || notes.skipped == 0 {
            return Ok(notes.cut_at);
        }
    }
    // So much without an entry is nothing that a crash leaves, and there may be entries before it.
    Ok(len)
}

fn read_newest(file: &dyn VfsFile, path: &Path, window: u64) -> Result<Notes, Error> {
    let len = file.len().map_err(io("measure", path))?;
    let skipped = len.saturating_sub(window);
    let mut bytes = vec![0; usize::try_from(len - skipped).unwrap_or(usize::MAX)];
    match read_exact_at(file, &mut bytes, skipped) {
        // A writer cut off the tail meanwhile: what was read before that is no entry.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
        done => done.map_err(io("read", path))?,
    }
    Ok(parse(&bytes, skipped))
}

pub(crate) fn encode(shown: &ShownCheckpoint) -> Result<Vec<u8>, String> {
    let mut bytes = shown.to_string().into_bytes();
    if bytes.len() > NOTE_BYTES_MAX {
        return Err(format!("a note of {} bytes where {NOTE_BYTES_MAX} are allowed", bytes.len()));
    }
    if bytes.split_inclusive(|byte| *byte == b'\n').any(|line| checksum_of(line).is_some()) {
        return Err(String::from("a line of its text reads like the checksum of an entry"));
    }
    bytes.extend_from_slice(checksum_line(&bytes).as_bytes());
    Ok(bytes)
}

/// The line that says the checksum of the text above it.
pub(crate) fn checksum_line(text: &[u8]) -> String {
    format!("crc32 {:08x}\n", crc32fast::hash(text))
}

/// The text above the checksum's line that `bytes` end with, if it is that text's.
pub(crate) fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (text, line) = bytes.split_at_checked(bytes.len().checked_sub(LINE_BYTES)?)?;
    (line == checksum_line(text).as_bytes()).then_some(text)
}

/// The checksum that a line, its end included, is the line of.
fn checksum_of(line: &[u8]) -> Option<u32> {
    let digits = line.strip_prefix(MARK)?.strip_suffix(b"\n")?;
    let is_plain = digits.len() == 8 && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if is_plain { u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok() } else { None }
}

/// The entries in `bytes`, which lie at `base` in the file.
pub(crate) fn parse(bytes: &[u8], base: u64) -> Notes {
    let mut notes = Notes { cut_at: base, skipped: base, ..Notes::default() };
    // Where what is no entry begins, where the next entry does, as no entry has such a line in it, and the lines since.
    let (mut begin, mut next, mut starts) = (0, 0, Vec::new());
    let mut line_end = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line_begin = line_end;
        line_end += line.len();
        let Some(checksum) = checksum_of(line) else {
            starts.push(line_begin);
            continue;
        };
        if let Some((at, shown)) = find(bytes, next, &starts, line_begin, checksum) {
            if notes.entries.is_empty() && base > 0 {
                // The window begins within an entry.
                notes.skipped = base + at as u64;
            } else if at > begin {
                let what = format!("{} bytes are no checkpoint", at - begin);
                notes.problems.push((base + begin as u64, what));
            }
            notes.entries.push(Noted { shown, offset: base + at as u64 });
            notes.cut_at = base + line_end as u64;
            begin = line_end;
        }
        next = line_end;
        starts.clear();
    }
    notes
}

/// The entry that ends at `end` with this checksum, and where it begins: at `next` if nothing before it is bad.
fn find(bytes: &[u8], next: usize, starts: &[usize], end: usize, checksum: u32) -> Option<(usize, ShownCheckpoint)> {
    let newest = starts.get(starts.len().saturating_sub(STARTS_MAX)..).unwrap_or_default();
    // A checksum's line that lost its end has the next entry behind it.
    let behind = newest.iter().filter(|at| bytes.get(**at..).is_some_and(|line| line.starts_with(MARK)));
    let candidates = std::iter::once(next).chain(newest.iter().copied()).chain(behind.map(|at| at + LINE_BYTES));
    candidates.filter(|at| *at < end && end - at <= NOTE_BYTES_MAX).find_map(|at| {
        let text = bytes.get(at..end).filter(|text| crc32fast::hash(text) == checksum)?;
        Some((at, ShownCheckpoint::parse(text).ok()?))
    })
}

/// The file of the log in `log_dir`.
pub(crate) fn path(log_dir: &Path) -> PathBuf {
    log_dir.join(CHECKPOINTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulla_chain::{Checkpoint, Digest, Note, TreeHead};
    use bulla_vfs::{MemVfs, Vfs};
    use std::sync::Arc;

    const DIR: &str = "/log";
    #[expect(clippy::cast_possible_truncation, reason = "it is 16 MiB")]
    const MAX: usize = FILE_BYTES_MAX as usize;

    fn setting() -> (MemVfs, Host) {
        let disk = MemVfs::new();
        disk.create_dir(Path::new(DIR)).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
        (disk, host)
    }

    fn unsigned(size: u64) -> ShownCheckpoint {
        let head = TreeHead { size, root: Digest([size.to_le_bytes()[0]; 32]) };
        ShownCheckpoint::unsigned(Checkpoint::new("shop/logins/07070707", head).unwrap())
    }

    fn signed(size: u64) -> ShownCheckpoint {
        let note = format!("{}\n\u{2014} shop AAAAAAA=\n\u{2014} w AAAAAAA=\n", unsigned(size));
        ShownCheckpoint::signed(note.parse::<Note>().unwrap()).unwrap()
    }

    fn three() -> (Vec<u8>, Vec<usize>) {
        let entries = [signed(7), unsigned(9), signed(9)].map(|shown| encode(&shown).unwrap());
        let mut ends = vec![0];
        for entry in &entries {
            ends.push(ends[ends.len() - 1] + entry.len());
        }
        (entries.concat(), ends)
    }

    fn shown(notes: &Notes) -> Vec<ShownCheckpoint> {
        notes.entries.iter().map(|noted| noted.shown.clone()).collect()
    }

    /// N1, and the vector of docs/FORMAT.md.
    #[test]
    fn what_is_appended_is_read_and_survives_a_crash() {
        let (disk, host) = setting();
        assert_eq!(read(&host, Path::new(DIR)).unwrap(), None);
        for entry in [signed(7), unsigned(9), signed(9)] {
            append(&host, Path::new(DIR), &entry).unwrap();
        }
        let after = Host { fs: Arc::new(disk.crash()), ..host };
        let notes = read(&after, Path::new(DIR)).unwrap().unwrap();
        let (bytes, ends) = three();
        assert_eq!(disk.read_file(&path(Path::new(DIR))).unwrap(), bytes);
        assert_eq!(shown(&notes), [signed(7), unsigned(9), signed(9)]);
        assert_eq!(notes.entries[1].offset, ends[1] as u64);
        assert_eq!((notes.cut_at, notes.skipped, notes.problems), (bytes.len() as u64, 0, vec![]));

        let head = TreeHead { size: 7, root: Digest([7; 32]) };
        let vector = ShownCheckpoint::unsigned(Checkpoint::new("acme/logins/07070707", head).unwrap());
        let text = "acme/logins/07070707\n7\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\ncrc32 13f2ab7e\n";
        assert_eq!(String::from_utf8(encode(&vector).unwrap()).unwrap(), text);
    }

    /// N2. The reader gives the whole entries, and the writer goes on behind them.
    #[test]
    fn cut_anywhere_the_whole_entries_are_left() {
        let (bytes, ends) = three();
        for cut in 0..=bytes.len() {
            let notes = parse(&bytes[..cut], 0);
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(notes.entries.len(), whole, "cut at {cut}");
            assert_eq!((notes.cut_at, notes.problems), (ends[whole] as u64, vec![]), "cut at {cut}");

            for tail in [&[][..], &[0; 99]] {
                let (disk, host) = setting();
                disk.write_file(&path(Path::new(DIR)), &[&bytes[..cut], tail].concat()).unwrap();
                append(&host, Path::new(DIR), &unsigned(11)).unwrap();
                let expected = [&bytes[..ends[whole]], &encode(&unsigned(11)).unwrap()].concat();
                assert_eq!(disk.read_file(&path(Path::new(DIR))).unwrap(), expected, "cut at {cut}");
            }
        }
    }

    /// N3. No bit passes, and no other entry is lost but the one that hangs on the lost line end.
    #[test]
    fn a_flipped_bit_costs_its_entry_and_no_other() {
        let (bytes, ends) = three();
        let all = [signed(7), unsigned(9), signed(9)];
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let hit = ends.iter().filter(|end| **end <= bit / 8).count() - 1;
            let notes = parse(&flipped, 0);
            let expected: Vec<_> = (0..3).filter(|entry| *entry != hit).map(|entry| all[entry].clone()).collect();
            assert_eq!(shown(&notes), expected, "bit {bit}");
            let problems: Vec<_> = notes.problems.iter().map(|(offset, _)| *offset).collect();
            let expected = if hit < 2 { vec![ends[hit] as u64] } else { vec![] };
            assert_eq!(problems, expected, "bit {bit}");
        }
    }

    #[test]
    fn a_bad_entry_between_good_ones_is_named_and_passed_over() {
        let (bytes, ends) = three();
        for garbage in [&b"nonsense"[..], b"a line\n", b"crc32 00000000\n", &[0; 5_000], b"\xff\n\ncrc32 12345678\n\n"]
        {
            let mut with = bytes[..ends[1]].to_vec();
            with.extend_from_slice(garbage);
            with.push(b'\n');
            with.extend_from_slice(&bytes[ends[1]..]);
            let notes = parse(&with, 0);
            assert_eq!(notes.entries.len(), 3, "{garbage:?}");
            assert_eq!(notes.problems.len(), 1, "{garbage:?}");
            assert_eq!(notes.problems[0].0, ends[1] as u64, "{garbage:?}");
        }
    }

    #[test]
    fn what_no_reader_would_take_is_not_written() {
        let (disk, host) = setting();
        let head = TreeHead { size: 7, root: Digest([7; 32]) };
        let fooling = ShownCheckpoint::unsigned(Checkpoint::new("crc32 00000000", head).unwrap());
        let long = "x".repeat(NOTE_BYTES_MAX);
        let long = ShownCheckpoint::unsigned(Checkpoint::new(&long, head).unwrap());
        for wrong in [fooling, long] {
            let error = append(&host, Path::new(DIR), &wrong).unwrap_err();
            assert!(matches!(error, Error::Checkpoint { .. }), "{error:?}");
            assert!(disk.list(Path::new(DIR)).unwrap().is_empty());
        }
        // The same with a sound checksum, as somebody else may write it.
        let entry = format!("{}\n7\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n", "x".repeat(NOTE_BYTES_MAX));
        let line = format!("crc32 {:08x}\n", crc32fast::hash(entry.as_bytes()));
        let notes = parse(&[entry.into_bytes(), line.into_bytes(), encode(&unsigned(9)).unwrap()].concat(), 0);
        assert_eq!((shown(&notes), notes.problems.len()), (vec![unsigned(9)], 1));
    }

    /// N4.
    #[test]
    fn of_a_huge_file_the_newest_part_is_read() {
        let (disk, host) = setting();
        let entry = encode(&signed(7)).unwrap();
        let count = MAX / entry.len() + 10;
        disk.write_file(&path(Path::new(DIR)), &entry.repeat(count)).unwrap();
        let notes = read(&host, Path::new(DIR)).unwrap().unwrap();
        let len = (entry.len() * count) as u64;
        assert_eq!(notes.cut_at, len);
        assert_eq!(notes.problems, []);
        assert_eq!(notes.skipped, notes.entries[0].offset);
        assert_eq!(notes.skipped + (notes.entries.len() * entry.len()) as u64, len);
        assert!(len - notes.skipped <= FILE_BYTES_MAX && len - notes.skipped > FILE_BYTES_MAX - entry.len() as u64);
        append(&host, Path::new(DIR), &unsigned(9)).unwrap();
        let notes = read(&host, Path::new(DIR)).unwrap().unwrap();
        assert_eq!((notes.problems.len(), notes.entries.last().unwrap().offset), (0, len));
    }

    /// N4 and N5: nothing but nonsense, more than a reader looks at, is left as it is, and the entry behind it is found.
    #[test]
    fn nonsense_without_an_end_is_not_cut_off() {
        let (disk, host) = setting();
        let nonsense = b"crc32 00000000\n".repeat((MAX + (1 << 20)) / LINE_BYTES);
        disk.write_file(&path(Path::new(DIR)), &nonsense).unwrap();
        append(&host, Path::new(DIR), &unsigned(9)).unwrap();
        let notes = read(&host, Path::new(DIR)).unwrap().unwrap();
        assert_eq!(shown(&notes), [unsigned(9)]);
        assert_eq!(notes.entries[0].offset, nonsense.len() as u64);
    }

    /// N5.
    #[test]
    fn a_full_disk_takes_the_entry_back() {
        let (disk, host) = setting();
        append(&host, Path::new(DIR), &signed(7)).unwrap();
        let before = disk.read_file(&path(Path::new(DIR))).unwrap();
        for room in 0..encode(&signed(9)).unwrap().len() as u64 {
            disk.set_capacity(Some(before.len() as u64 + room));
            let error = append(&host, Path::new(DIR), &signed(9)).unwrap_err();
            assert!(error.is_full(), "{error:?}");
            assert_eq!(disk.read_file(&path(Path::new(DIR))).unwrap(), before, "room for {room} bytes");
        }
        disk.set_capacity(None);
        append(&host, Path::new(DIR), &signed(9)).unwrap();
        assert_eq!(read(&host, Path::new(DIR)).unwrap().unwrap().entries.len(), 2);
    }
}
