//! "Notes, keys and checkpoints" and "Proofs as text".

use crate::engine::Head;
use crate::{Read, must, refuse};

/// One line below a note: name, id, signature.
pub type Signature = (String, [u8; 4], Vec<u8>);

/// A text and who signed it, as they say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the description")]
pub struct Note {
    pub text: String,
    pub signatures: Vec<Signature>,
}

/// The text of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the description")]
pub struct Checkpoint {
    pub origin: String,
    pub head: Head,
    pub further: Vec<String>,
}

/// A checkpoint in a proof, and the note that it is the text of, unless nobody signed.
pub type Shown = (Checkpoint, Option<Note>);

/// Any of the proofs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the description")]
pub struct Proof {
    /// What stands behind `index`, or behind `old`.
    pub number: u64,
    pub extra: Vec<u8>,
    pub hashes: Vec<[u8; 32]>,
    pub checkpoints: Vec<Shown>,
}

/// RFC 4648, section 4, bit by bit, and only the text with zeros for what is left over.
fn base64(text: &str) -> Read<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    must(text.len().is_multiple_of(4) && padding <= 2)?;
    let mut bits = Vec::new();
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return refuse(),
        };
        bits.extend((0..6).rev().map(|bit| value >> bit & 1));
    }
    let (bytes, left) = bits.split_at(bits.len() / 8 * 8);
    must(left.len() == 2 * padding && left.iter().all(|bit| *bit == 0))?;
    Ok(bytes.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit)).collect())
}

fn hash(text: &str) -> Read<[u8; 32]> {
    base64(text)?.try_into().or_else(|_| refuse())
}

fn number(text: &str) -> Read<u64> {
    must(!text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()))?;
    must(text == "0" || !text.starts_with('0'))?;
    text.parse().or_else(|_| refuse())
}

fn text(bytes: &[u8], bytes_max: usize) -> Read<&str> {
    must(bytes.len() <= bytes_max)?;
    str::from_utf8(bytes).or_else(|_| refuse())
}

fn key_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| !letter.is_whitespace() && letter >= ' ' && letter != '+')
}

/// A whole note.
pub fn note(bytes: &[u8]) -> Read<Note> {
    let all = text(bytes, 1_000_000)?;
    let lines: Vec<&str> = all.split('\n').collect();
    // The last line that is blank and has lines before and behind it; what is behind the last newline is no line.
    let (empty, lines) = lines.split_last().ok_or(crate::Refused::Wrong)?;
    must(empty.is_empty())?;
    let blank = lines.iter().rposition(|line| line.is_empty()).ok_or(crate::Refused::Wrong)?;
    let (before, behind) = (&lines[..blank], &lines[blank + 1..]);
    must(!before.is_empty() && !behind.is_empty() && behind.len() <= 100)?;
    let text: String = before.iter().map(|line| format!("{line}\n")).collect();
    must(!text.bytes().any(|byte| byte < 0x20 && byte != b'\n'))?;
    let signature = |line: &&str| -> Read<Signature> {
        let rest = line.strip_prefix("\u{2014} ").ok_or(crate::Refused::Wrong)?;
        let (name, value) = rest.split_once(' ').ok_or(crate::Refused::Wrong)?;
        let bytes = base64(value)?;
        must(key_name(name) && bytes.len() > 4)?;
        let (id, signature) = bytes.split_at(4);
        Ok((name.to_owned(), [id[0], id[1], id[2], id[3]], signature.to_vec()))
    };
    Ok(Note { text, signatures: behind.iter().map(signature).collect::<Read<_>>()? })
}

/// The text of a checkpoint, all of it.
pub fn checkpoint(text: &str) -> Read<Checkpoint> {
    let lines: Vec<&str> = text.split('\n').collect();
    let (empty, lines) = lines.split_last().ok_or(crate::Refused::Wrong)?;
    must(empty.is_empty() && lines.len() >= 3 && lines.iter().all(|line| !line.is_empty()))?;
    must(!text.chars().any(|letter| letter.is_control() && letter != '\n'))?;
    let head = (number(lines[1])?, hash(lines[2])?);
    let further = lines[3..].iter().map(|line| (*line).to_owned()).collect();
    Ok(Checkpoint { origin: lines[0].to_owned(), head, further })
}

/// Exactly one checkpoint, signed or not.
fn shown(text: &str) -> Read<Shown> {
    if text.contains("\n\n") {
        let note = note(text.as_bytes())?;
        return Ok((checkpoint(&note.text)?, Some(note)));
    }
    Ok((checkpoint(text)?, None))
}

/// The lines before the first blank one, and what is behind it.
fn divide(bytes: &[u8]) -> Read<(Vec<&str>, &str)> {
    let all = text(bytes, 2_000_000 + 65_536)?;
    let (lines, rest) = all.split_once("\n\n").ok_or(crate::Refused::Wrong)?;
    Ok((lines.split('\n').collect(), rest))
}

fn hashes(lines: &[&str]) -> Read<Vec<[u8; 32]>> {
    must(lines.len() <= 63)?;
    lines.iter().map(|line| hash(line)).collect()
}

/// C2SP's `tlog-proof`.
pub fn inclusion(bytes: &[u8]) -> Read<Proof> {
    let (lines, rest) = divide(bytes)?;
    let mut lines = &lines[..];
    must(lines.first() == Some(&"c2sp.org/tlog-proof@v1"))?;
    lines = &lines[1..];
    let mut extra = Vec::new();
    if let Some(value) = lines.first().and_then(|line| line.strip_prefix("extra ")) {
        must(!value.is_empty() && value.len() <= 16 << 10)?;
        extra = base64(value)?;
        lines = &lines[1..];
    }
    let index = lines.first().and_then(|line| line.strip_prefix("index ")).ok_or(crate::Refused::Wrong)?;
    let (number, hashes) = (number(index)?, hashes(&lines[1..])?);
    Ok(Proof { number, extra, hashes, checkpoints: vec![shown(rest)?] })
}

/// C2SP's `add-checkpoint`.
pub fn request(bytes: &[u8]) -> Read<Proof> {
    let (lines, rest) = divide(bytes)?;
    let old = lines[0].strip_prefix("old ").ok_or(crate::Refused::Wrong)?;
    let (number, hashes) = (number(old)?, hashes(&lines[1..])?);
    Ok(Proof { number, extra: Vec::new(), hashes, checkpoints: vec![shown(rest)?] })
}

/// A consistency proof with both checkpoints.
pub fn consistency(bytes: &[u8]) -> Read<Proof> {
    let (lines, rest) = divide(bytes)?;
    must(lines[0] == "bulla/consistency/v1")?;
    let hashes = hashes(&lines[1..])?;
    // The earlier checkpoint has a blank line of its own if signatures follow it.
    let pieces: Vec<&str> = rest.split("\n\n").collect();
    let is_signed = pieces.get(1).is_some_and(|piece| piece.starts_with("\u{2014} "));
    let count = if is_signed { 2 } else { 1 };
    must(pieces.len() > count)?;
    let old = pieces[..count].join("\n\n") + "\n";
    let new = pieces[count..].join("\n\n");
    Ok(Proof { number: 0, extra: Vec::new(), hashes, checkpoints: vec![shown(&old)?, shown(&new)?] })
}
