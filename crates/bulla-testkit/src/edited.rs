//! Segment files edited as somebody who knows the format would: with every checksum put right again.

use bulla_wire::{FRAME_HEADER_LEN, Footer, FrameHeader, FrameSeed, Role, SegmentHeader};

/// Where the checksums of a frame header lie, and what they cover begins.
const HEADER_CHECKSUM: usize = 4;
const BODY_CHECKSUM: usize = 8;
const STORED_LEN: usize = 16;

/// A segment file taken apart, to be changed and put together again with right checksums.
#[derive(Clone, Debug)]
pub struct Edited {
    /// The segment header.
    pub header: SegmentHeader,
    /// Headers and bodies.
    pub frames: Vec<(FrameHeader, Vec<u8>)>,
}

impl Edited {
    /// Takes a whole file apart, footer and close frame included.
    ///
    /// # Panics
    ///
    /// If `bytes` are anything but one whole frame after another.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let header = SegmentHeader::decode(bytes).expect("a file with a whole header");
        let mut offset = SegmentHeader::len_at(header.base);
        let mut frames = Vec::new();
        while (offset as usize) < bytes.len() {
            let rest = &bytes[offset as usize..];
            let frame = FrameHeader::decode(rest, &header.seed(), offset).expect("one whole frame after another");
            let body = &rest[FRAME_HEADER_LEN as usize..][..frame.stored_len as usize];
            offset += frame.frame_len();
            frames.push((frame, body.to_vec()));
        }
        Self { header, frames }
    }

    /// The file, put together again.
    ///
    /// # Panics
    ///
    /// If a header breaks a rule of the format that the writer keeps too.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.header.encode();
        for (header, body) in &self.frames {
            let offset = out.len() as u64;
            header.encode(body, &self.header.seed(), offset, &mut out);
        }
        out
    }

    /// Where the frame with this index begins.
    #[must_use]
    pub fn offset(&self, index: usize) -> u64 {
        let frames = self.frames[..index].iter();
        SegmentHeader::len_at(self.header.base) + frames.map(|(header, _)| header.frame_len()).sum::<u64>()
    }

    /// Changes the footer or close frame, which must keep its length.
    ///
    /// # Panics
    ///
    /// If the last frame is neither.
    pub fn edit_footer(&mut self, change: impl FnOnce(&mut Footer)) {
        let index = self.frames.len() - 1;
        let offset = self.offset(index);
        let (header, body) = &mut self.frames[index];
        assert!(matches!(header.role, Role::Footer | Role::Close));
        let mut footer = Footer::decode(body, offset).expect("the frame holds a footer");
        change(&mut footer);
        header.base = footer.end;
        header.durable_end = footer.end;
        *body = footer.encode();
    }

    /// Replaces `from` by `to`, which is as long, in the body of the frame with this index.
    ///
    /// # Panics
    ///
    /// If `from` is not there, or not as long as `to`.
    pub fn replace(&mut self, index: usize, from: &[u8], to: &[u8]) {
        assert_eq!(from.len(), to.len());
        let body = &mut self.frames[index].1;
        let at = body.windows(from.len()).position(|window| window == from).expect("the bytes to replace are there");
        body[at..at + to.len()].copy_from_slice(to);
    }
}

/// Puts the checksum of the segment header at the start of `bytes` right, over the `len` bytes that it is long.
///
/// # Panics
///
/// If the file is shorter.
pub fn mend_segment_header(bytes: &mut [u8], len: usize) {
    let checksum = crc32fast::hash(&bytes[..len - 8]);
    bytes[len - 8..len - 4].copy_from_slice(&checksum.to_le_bytes());
}

/// Puts both checksums of the frame at `offset` of the file `bytes` right. Its body is as long as the header says, as far
/// as the file reaches.
///
/// # Panics
///
/// If the file has no room for a frame header there.
pub fn mend_frame(bytes: &mut [u8], seed: &FrameSeed, offset: usize) {
    let frame = &mut bytes[offset..];
    let stored_len = u32::from_le_bytes(frame[STORED_LEN..STORED_LEN + 4].try_into().expect("BUG: four bytes"));
    let header_len = FRAME_HEADER_LEN as usize;
    let end = frame.len().min(header_len.saturating_add(stored_len as usize));
    let checksum = seed.checksum(offset as u64, &frame[header_len..end]);
    frame[BODY_CHECKSUM..BODY_CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
    let checksum = seed.checksum(offset as u64, &frame[BODY_CHECKSUM..header_len]);
    frame[HEADER_CHECKSUM..HEADER_CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulla_wire::{Codec, Epoch, LogId, Position, SegmentNumber, TimeBounds};

    fn edited() -> Edited {
        let header = SegmentHeader {
            log: LogId([1; 16]),
            secret: [2; 16],
            number: SegmentNumber(0),
            base: Position(0),
            floor: Position(0),
            prune: None,
            epoch: Epoch(1),
            erasable: false,
            root: [0; 32],
            frontier: Vec::new(),
        };
        let frame = FrameHeader {
            role: Role::Data { more: false },
            codec: Codec::None,
            stored_len: 4,
            plain_len: 4,
            record_count: 1,
            epoch: Epoch(1),
            base: Position(0),
            durable_end: Position(0),
            times: TimeBounds::EMPTY,
            body_checksum: 0,
        };
        Edited { header, frames: vec![(frame, b"body".to_vec())] }
    }

    #[test]
    fn what_was_taken_apart_is_put_together_again() {
        let bytes = edited().bytes();
        assert_eq!(Edited::parse(&bytes).bytes(), bytes);
    }

    #[test]
    fn mended_bytes_are_those_that_would_have_been_written() {
        let mut changed = edited();
        changed.header.epoch = Epoch(0);
        changed.replace(0, b"bo", b"to");
        let (mut bytes, offset) = (edited().bytes(), changed.offset(0) as usize);
        bytes[12] = 0;
        bytes[offset + 64] = b't';
        mend_segment_header(&mut bytes, offset);
        mend_frame(&mut bytes, &changed.header.seed(), offset);
        assert_eq!(bytes, changed.bytes());
    }
}
