//! The loops over short and interrupted calls, and what counts as a full disk.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;

use bulla_vfs::{VfsFile, is_full, read_exact_at, read_up_to_at, write_all_at};

/// What one call does.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Moves at most so many bytes.
    Move(usize),
    /// Fails.
    Fail(io::ErrorKind),
    /// Claims to have moved so many bytes.
    Claim(usize),
}
use Step::{Claim, Fail, Move};

/// A file that follows a script, and panics when it is called more often than the script says.
#[derive(Debug)]
struct Scripted {
    state: Mutex<(Vec<u8>, VecDeque<Step>)>,
}

impl Scripted {
    fn new(bytes: &[u8], steps: &[Step]) -> Scripted {
        Scripted { state: Mutex::new((bytes.to_vec(), steps.iter().copied().collect())) }
    }

    /// The bytes, once the script was played to its end.
    fn finish(self) -> Vec<u8> {
        let (bytes, steps) = self.state.into_inner().unwrap();
        assert!(steps.is_empty(), "not played: {steps:?}");
        bytes
    }
}

impl VfsFile for Scripted {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (bytes, steps) = &mut *self.state.lock().unwrap();
        match steps.pop_front().expect("one call too many") {
            Move(most) => {
                let rest = &bytes[usize::try_from(offset).unwrap().min(bytes.len())..];
                let count = rest.len().min(buffer.len()).min(most);
                buffer[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
            Fail(kind) => Err(kind.into()),
            Claim(count) => Ok(count),
        }
    }

    fn write_at(&self, from: &[u8], offset: u64) -> io::Result<usize> {
        let (bytes, steps) = &mut *self.state.lock().unwrap();
        match steps.pop_front().expect("one call too many") {
            Move(most) => {
                let (start, count) = (usize::try_from(offset).unwrap(), from.len().min(most));
                bytes.resize(bytes.len().max(start + count), 0);
                bytes[start..start + count].copy_from_slice(&from[..count]);
                Ok(count)
            }
            Fail(kind) => Err(kind.into()),
            Claim(count) => Ok(count),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().unwrap().0.len() as u64)
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        unreachable!("BUG: the loops do not change lengths")
    }

    fn sync_data(&self) -> io::Result<()> {
        unreachable!("BUG: the loops do not sync")
    }

    fn sync_all(&self) -> io::Result<()> {
        unreachable!("BUG: the loops do not sync")
    }

    fn drop_cache(&self) -> io::Result<()> {
        unreachable!("BUG: the loops do not drop caches")
    }
}

const INTERRUPTED: Step = Fail(io::ErrorKind::Interrupted);

/// O1.
#[test]
fn reads_go_on_after_short_and_interrupted_calls() {
    let file = Scripted::new(b"0123456789", &[Move(1), INTERRUPTED, INTERRUPTED, Move(3), Move(9)]);
    let mut buffer = [0; 7];
    read_exact_at(&file, &mut buffer, 2).unwrap();
    assert_eq!(&buffer, b"2345678");
    file.finish();
}

/// O2. The end is asked for once, and not taken from a short read.
#[test]
fn reads_end_at_the_end_of_the_file() {
    let script = [INTERRUPTED, Move(1), Move(9), Move(9)];
    let (up_to, exact) = (Scripted::new(b"0123", &script), Scripted::new(b"0123", &script));
    let mut buffer = [b'.'; 5];
    assert_eq!(read_up_to_at(&up_to, &mut buffer, 1).unwrap(), 3);
    assert_eq!(&buffer, b"123..");
    let error = read_exact_at(&exact, &mut buffer, 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    up_to.finish();
    exact.finish();
}

/// O1.
#[test]
fn writes_go_on_after_short_and_interrupted_calls() {
    let file = Scripted::new(b"..........", &[INTERRUPTED, Move(2), Move(1), INTERRUPTED, Move(9)]);
    write_all_at(&file, b"abcdefg", 2).unwrap();
    assert_eq!(file.finish(), b"..abcdefg.");
}

/// O2.
#[test]
fn a_write_of_nothing_is_an_error_and_leaves_what_was_written() {
    let file = Scripted::new(b"", &[Move(2), Move(0)]);
    assert_eq!(write_all_at(&file, b"abc", 0).unwrap_err().kind(), io::ErrorKind::WriteZero);
    assert_eq!(file.finish(), b"ab");
}

/// O1.
#[test]
fn other_errors_end_the_loops_untouched() {
    let script = [Move(1), Fail(io::ErrorKind::StorageFull)];
    let results = [
        read_exact_at(&Scripted::new(b"abc", &script), &mut [0; 3], 0),
        read_up_to_at(&Scripted::new(b"abc", &script), &mut [0; 3], 0).map(drop),
        write_all_at(&Scripted::new(b"abc", &script), b"xyz", 0),
    ];
    for result in results {
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}

/// O3.
#[test]
fn a_claim_of_too_many_bytes_is_refused() {
    let script = [Move(1), Claim(3)];
    let results = [
        read_exact_at(&Scripted::new(b"abc", &script), &mut [0; 3], 0),
        write_all_at(&Scripted::new(b"abc", &script), b"xyz", 0),
    ];
    for result in results {
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn offsets_past_the_end_of_numbers_are_refused() {
    let script = [Claim(1)];
    let results = [
        read_exact_at(&Scripted::new(b"", &script), &mut [0; 2], u64::MAX),
        write_all_at(&Scripted::new(b"", &script), b"xy", u64::MAX),
    ];
    for result in results {
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn empty_buffers_call_nothing() {
    let file = Scripted::new(b"", &[]);
    read_exact_at(&file, &mut [], 5).unwrap();
    write_all_at(&file, b"", 5).unwrap();
    file.finish();
}

#[test]
fn no_room_is_known_by_its_kind() {
    use io::ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, ReadOnlyFilesystem, StorageFull, WriteZero};
    let table = [(StorageFull, true), (QuotaExceeded, true), (FileTooLarge, true)];
    let others = [(OutOfMemory, false), (ReadOnlyFilesystem, false), (WriteZero, false)];
    for (kind, expected) in table.into_iter().chain(others) {
        assert_eq!(is_full(&kind.into()), expected, "{kind}");
    }
}

/// ENOSPC, EDQUOT and EFBIG as Linux numbers them, between neighbours that mean something else.
#[cfg(target_os = "linux")]
#[test]
fn no_room_is_known_by_its_code() {
    let table = [(28, true), (122, true), (27, true), (5, false), (4, false), (30, false), (13, false)];
    for (code, expected) in table {
        assert_eq!(is_full(&io::Error::from_raw_os_error(code)), expected, "code {code}");
    }
}
