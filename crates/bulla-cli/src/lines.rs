//! Lines of any length, read with bounded memory, by a thread of their own.
//!
//! A thread reads because standard input may pause for ever: what has arrived must be committed all the same.
//!
//! # Invariants
//!
//! - N1. A line holds the bytes before its newline, exactly; the last line needs no newline.
//! - N2. Of a line over the limit no byte is kept beyond it, and the line after it is found.
//! - N3. No complete line waits for bytes that come after it.
//! - N4. At most `BLOCKS_AHEAD + 2` blocks exist, each of at most [`BLOCK_BYTES`] and one line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

const BLOCK_BYTES: usize = 64 << 10;
/// Empty lines have no bytes but cost memory too.
const BLOCK_LINES: usize = 1 << 10;
const BLOCKS_AHEAD: usize = 2;

/// Where lines come from.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// What the messages call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "stdin".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// One line of input.
#[derive(Debug)]
pub(crate) struct Line {
    /// What it came from.
    pub(crate) input: Arc<str>,
    /// Which line of that input, counted from 1.
    pub(crate) number_count: u64,
    /// Its bytes, or `None` if they exceed the limit.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// What the reading thread sends.
pub(crate) type Block = Result<Vec<Line>, (PathBuf, io::Error)>;

/// Reads all `inputs`, one after the other. The channel closes after the last one; an error is the last thing in it.
pub(crate) fn read(inputs: Vec<Input>, line_bytes_max: usize) -> Receiver<Block> {
    let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
    thread::spawn(move || {
        for input in inputs {
            let name: Arc<str> = input.name().into();
            let done = match &input {
                Input::Stdin => Ok(send_lines(io::stdin(), &name, line_bytes_max, &sender)),
                Input::File(path) => File::open(path).map(|file| send_lines(file, &name, line_bytes_max, &sender)),
            };
            // A receiver that went away has its reasons; there is nobody left to tell.
            match done {
                Ok(Ok(Flow::GoOn)) => {}
                Ok(Ok(Flow::Stop)) => return,
                Ok(Err(error)) | Err(error) => {
                    let _ = sender.send(Err((Path::new(&*name).to_owned(), error)));
                    return;
                }
            }
        }
    });
    receiver
}

/// Whether anybody still wants lines.
enum Flow {
    GoOn,
    Stop,
}

fn send_lines(
    input: impl Read,
    name: &Arc<str>,
    line_bytes_max: usize,
    sender: &SyncSender<Block>,
) -> io::Result<Flow> {
    let mut input = BufReader::with_capacity(BLOCK_BYTES, input);
    let mut block = Vec::new();
    let mut block_bytes = 0;
    let mut number_count = 0;
    loop {
        let is_full = block_bytes >= BLOCK_BYTES || block.len() >= BLOCK_LINES;
        // N3: the next line may be a long time coming.
        let may_wait = !input.buffer().contains(&b'\n');
        if !block.is_empty() && (is_full || may_wait) {
            block_bytes = 0;
            if sender.send(Ok(std::mem::take(&mut block))).is_err() {
                return Ok(Flow::Stop);
            }
        }
        let Some(bytes) = next_line(&mut input, line_bytes_max)? else {
            return Ok(Flow::GoOn);
        };
        number_count += 1;
        block_bytes += bytes.as_ref().map_or(0, Vec::len);
        block.push(Line { input: Arc::clone(name), number_count, bytes });
    }
}

/// The next line, `Some(None)` if it exceeds the limit, `None` at the end.
#[expect(clippy::option_option, reason = "the end of the input and a line too long are two things")]
pub(crate) fn next_line(input: &mut impl BufRead, line_bytes_max: usize) -> io::Result<Option<Option<Vec<u8>>>> {
    let mut bytes = Vec::new();
    let room = u64::try_from(line_bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    if input.by_ref().take(room).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else if bytes.len() > line_bytes_max {
        drop(bytes);
        input.skip_until(b'\n')?;
        return Ok(Some(None));
    }
    Ok(Some(Some(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N1 and N2, at every size of the reader's buffer.
    #[test]
    fn lines_are_exact_and_long_ones_are_passed_over() {
        type Case<'a> = (&'a [u8], &'a [Option<&'a [u8]>]);
        let table: [Case<'_>; 8] = [
            (b"", &[]),
            (b"\n", &[Some(b"")]),
            (b"a\r\n\nb", &[Some(b"a\r"), Some(b""), Some(b"b")]),
            (b"1234\n", &[Some(b"1234")]),
            (b"1234", &[Some(b"1234")]),
            (b"12345\nx", &[None, Some(b"x")]),
            (b"12345", &[None]),
            (b"123456789\n\0\xff\n", &[None, Some(b"\0\xff")]),
        ];
        for (text, expected) in table {
            for capacity in 1..8 {
                let mut input = BufReader::with_capacity(capacity, text);
                let mut lines = Vec::new();
                while let Some(line) = next_line(&mut input, 4).expect("memory does not fail") {
                    lines.push(line);
                }
                let expected: Vec<_> = expected.iter().map(|line| line.map(<[u8]>::to_vec)).collect();
                assert_eq!(lines, expected, "{text:?} with {capacity}");
            }
        }
    }

    /// N3: the pipe never closes, and its last line has no end.
    #[test]
    fn a_line_is_sent_before_the_next_one_is_complete() {
        let (reader, mut writer) = io::pipe().expect("the system gives pipes");
        let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
        let reading = thread::spawn(move || send_lines(reader, &"pipe".into(), 10, &sender).map(drop));
        io::Write::write_all(&mut writer, b"first\nsec").expect("the pipe is open");
        let block = receiver.recv().expect("a block comes").expect("reading works");
        assert_eq!(block.len(), 1);
        io::Write::write_all(&mut writer, b"ond\n").expect("the pipe is open");
        drop(writer);
        let block = receiver.recv().expect("a block comes").expect("reading works");
        assert_eq!((block[0].bytes.as_deref(), block[0].number_count), (Some(&b"second"[..]), 2));
        reading.join().expect("no panic").expect("reading works");
    }
}
