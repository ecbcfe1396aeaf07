//! "Frame".

use crate::bytes::{Bytes, NO_TIMES, Times, seeded};
use crate::{Read, Refused, SegmentHeader, must};

/// The fields of a frame's header, in the order of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Header {
    pub body_checksum: u32,
    /// 0, 1, 2, 4, 8 or 16.
    pub flags: u16,
    /// 0, 1 or 2.
    pub codec: u8,
    pub stored_len: u32,
    pub plain_len: u32,
    pub record_count: u32,
    pub epoch: u32,
    pub base: u64,
    pub durable_end: u64,
    pub times: Times,
}

/// A frame whose checksums hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// Its body as stored.
    pub body: Vec<u8>,
}

impl Header {
    /// The header at `offset` of `file`, a segment with `segment`'s secret and number.
    pub fn read(file: &[u8], offset: usize, segment: &SegmentHeader) -> Read<Self> {
        let all = Bytes(file.get(offset..).unwrap_or_default()).take(64)?;
        let mut bytes = Bytes(&all);
        must(bytes.take(4)? == [0xb1, 0x46, 0x52, 0x4d])?;
        must(bytes.u32()? == seeded(&segment.secret, segment.number, offset as u64, &all[8..]))?;
        let body_checksum = bytes.u32()?;
        let (flags, codec) = (bytes.u16()?, bytes.u8()?);
        // What is newer is newer, whatever a later version puts into the other fields.
        if ![0, 1, 2, 4, 8, 16].contains(&flags) || codec > 2 {
            return Err(Refused::Newer);
        }
        bytes.zeros(1)?;
        let (stored_len, plain_len, record_count) = (bytes.u32()?, bytes.u32()?, bytes.u32()?);
        let epoch = bytes.u32()?;
        let (base, durable_end) = (bytes.u64()?, bytes.u64()?);
        let times = bytes.times()?;

        let is_data = flags < 2;
        must(codec == 0 || is_data)?;
        must(if codec == 0 { stored_len == plain_len } else { stored_len < plain_len })?;
        let plain_max = match flags {
            0 | 1 => 67_108_928,
            2 => 0,
            4 => 16_384,
            _ => 1_048_576,
        };
        must(plain_len <= plain_max)?;
        must(if is_data { (1..=65_536).contains(&record_count) } else { record_count == 0 && times == NO_TIMES })?;
        must(u128::from(base) + u128::from(record_count) < 1 << 64)?;
        must(durable_end <= base)?;
        Ok(Self { body_checksum, flags, codec, stored_len, plain_len, record_count, epoch, base, durable_end, times })
    }

    /// Header, body and padding.
    pub fn frame_len(&self) -> usize {
        let unpadded = 64 + self.stored_len as usize;
        unpadded + (8 - unpadded % 8) % 8
    }

    /// Whether the frame holds records.
    pub fn is_data(&self) -> bool {
        self.flags < 2
    }

    /// The position after its records.
    pub fn end(&self) -> u64 {
        self.base + u64::from(self.record_count)
    }
}

/// The whole frame at `offset` of `file`.
pub fn frame(file: &[u8], offset: usize, segment: &SegmentHeader) -> Read<Frame> {
    let header = Header::read(file, offset, segment)?;
    let mut bytes = Bytes(&file[offset + 64..]);
    let body = bytes.take(header.stored_len.into())?;
    must(seeded(&segment.secret, segment.number, offset as u64, &body) == header.body_checksum)?;
    bytes.zeros((header.frame_len() - 64 - body.len()) as u64)?;
    Ok(Frame { header, body })
}
