//! Frames: the envelope that records travel in, and the unit of one write.
//!
//! A frame is a 64-byte header, a body, and zeros up to a multiple of 8. Bytes: docs/FORMAT.md, "Frame".
//!
//! # Invariants
//!
//! - F1. What `encode` writes, `decode` and `check_body` accept.
//! - F2. One value, one encoding: reserved bytes and padding are zero, or the frame is refused.
//! - F3. No single flipped bit passes: each byte is under a checksum or a zero check.
//! - F4. A length is believed only after the header checksum and only up to a named limit; nothing is allocated.
//! - F5. No header vouches for positions at or above its own base.
//!
//! # Not here
//!
//! Which frame may follow which (`bulla-segment`), and what a record hashes to (`bulla-chain`).

use crate::fields::{Fields, put_times, put_u16, put_u32, put_u64};
use crate::limits::{FOOTER_BODY_MAX, FRAME_BODY_MAX, INDEX_PAGE_ENTRIES_MAX, RECORDS_PER_FRAME_MAX};
use crate::{Epoch, FrameSeed, INDEX_ENTRY_LEN, Position, TimeBounds, WireError};

/// Begins every frame.
pub const FRAME_MAGIC: [u8; 4] = *b"\xb1FRM";
/// Bytes of a frame header.
pub const FRAME_HEADER_LEN: u64 = 64;
/// Frames begin at multiples of this.
pub const FRAME_ALIGNMENT: u64 = 8;

const WHAT: &str = "frame header";
const COVERED_FROM: usize = 8;
const FLAG_MORE: u16 = 1;
const FLAG_MARK: u16 = 2;
const FLAG_INDEX: u16 = 4;
const FLAG_FOOTER: u16 = 8;
const FLAG_CLOSE: u16 = 16;

const _: () = assert!(FRAME_HEADER_LEN.is_multiple_of(FRAME_ALIGNMENT));

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Records.
    Data {
        /// Whether the batch goes on in the next frame; a run without its last frame counts for nothing.
        more: bool,
    },
    /// Nothing: the header alone carries a newer durable end, and the next frame overwrites it.
    Mark,
    /// One page of the segment's index.
    Index,
    /// The summary that ends a sealed segment.
    Footer,
    /// The same summary, left at the end of the active segment by a clean close.
    Close,
}

/// How a frame's body is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As it is.
    None,
    /// An LZ4 block.
    Lz4,
    /// A Zstandard frame.
    Zstd,
}

/// What a frame says before its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame holds.
    pub role: Role,
    /// How the body is stored.
    pub codec: Codec,
    /// Bytes of the body in the file, without padding.
    pub stored_len: u32,
    /// Bytes of the body once decoded.
    pub plain_len: u32,
    /// Records in the body.
    pub record_count: u32,
    /// The opening for writing that wrote the frame.
    pub epoch: Epoch,
    /// Position of the first record, or where the next one goes if the frame holds none.
    pub base: Position,
    /// Everything below this was synced before the frame was written; at most `base`.
    pub durable_end: Position,
    /// Bounds of the caller's records in the frame; engine records do not count.
    pub times: TimeBounds,
    /// Checksum of the stored body.
    pub body_checksum: u32,
}

impl FrameHeader {
    /// Whether `bytes` begin with a header of zeros, which ends a log for readers.
    #[must_use]
    pub fn is_zero(bytes: &[u8]) -> bool {
        bytes.iter().take(FRAME_HEADER_LEN as usize).all(|byte| *byte == 0)
    }

    /// Bytes of the whole frame: header, body and padding.
    #[must_use]
    pub fn frame_len(&self) -> u64 {
        (FRAME_HEADER_LEN + u64::from(self.stored_len)).next_multiple_of(FRAME_ALIGNMENT)
    }

    /// The position after the frame's last record.
    #[must_use]
    pub fn end(&self) -> Position {
        // `decode` and the writer refuse a frame whose end overflows.
        Position(self.base.0.saturating_add(u64::from(self.record_count)))
    }

    /// Appends a frame with `body` to `out`; it is valid at `offset` of the segment of `seed` only.
    ///
    /// `codec`, `stored_len` and `body_checksum` of `self` are not looked at: the body is stored as it is.
    ///
    /// # Panics
    ///
    /// If the header breaks a rule of the format.
    pub fn encode(&self, body: &[u8], seed: &FrameSeed, offset: u64, out: &mut Vec<u8>) {
        self.append(body, seed, offset, out);
    }

    /// What [`encode`](Self::encode) does; returns the header as [`decode`](Self::decode) would.
    pub(crate) fn append(&self, body: &[u8], seed: &FrameSeed, offset: u64, out: &mut Vec<u8>) -> Self {
        let stored_len = u32::try_from(body.len()).expect("BUG: frame body of 4 GiB");
        let header = Self {
            codec: Codec::None,
            stored_len,
            plain_len: stored_len,
            body_checksum: seed.checksum(offset, body),
            ..self.clone()
        };
        header.check().expect("BUG: frame breaks a rule of the format");
        let start = out.len();
        out.extend_from_slice(&FRAME_MAGIC);
        put_u32(out, 0);
        put_u32(out, header.body_checksum);
        put_u16(out, header.flags());
        out.push(0);
        out.push(0);
        put_u32(out, stored_len);
        put_u32(out, stored_len);
        put_u32(out, header.record_count);
        put_u32(out, header.epoch.0);
        put_u64(out, header.base.0);
        put_u64(out, header.durable_end.0);
        put_times(out, header.times);
        let covered = out.get(start + COVERED_FROM..).unwrap_or_default();
        let checksum = seed.checksum(offset, covered);
        if let Some(place) = out.get_mut(start + 4..start + COVERED_FROM) {
            place.copy_from_slice(&checksum.to_le_bytes());
        }
        out.extend_from_slice(body);
        out.resize(start + header.frame_len() as usize, 0);
        header
    }

    /// Decodes the header at the start of `bytes`, found at `offset` of the segment of `seed`.
    ///
    /// # Errors
    ///
    /// [`WireError::Magic`] and [`WireError::Checksum`] when there is no frame here; [`WireError::Newer`] and
    /// [`WireError::Invalid`] only for a header whose checksum holds.
    pub fn decode(bytes: &[u8], seed: &FrameSeed, offset: u64) -> Result<Self, WireError> {
        let mut whole = Fields::new(WHAT, bytes);
        let mut fields = Fields::new(WHAT, whole.bytes(FRAME_HEADER_LEN as usize)?);
        if fields.array()? != FRAME_MAGIC {
            return Err(WireError::Magic { what: WHAT });
        }
        let stored = fields.u32()?;
        let computed = seed.checksum(offset, fields.rest());
        if stored != computed {
            return Err(WireError::Checksum { what: WHAT, stored, computed });
        }
        let body_checksum = fields.u32()?;
        let flags = fields.u16()?;
        let codec = fields.u8()?;
        let newer = |field, value| WireError::Newer { what: WHAT, field, value };
        let role = match flags {
            0 => Role::Data { more: false },
            FLAG_MORE => Role::Data { more: true },
            FLAG_MARK => Role::Mark,
            FLAG_INDEX => Role::Index,
            FLAG_FOOTER => Role::Footer,
            FLAG_CLOSE => Role::Close,
            _ => return Err(newer("flags", u64::from(flags))),
        };
        let codec = match codec {
            0 => Codec::None,
            1 => Codec::Lz4,
            2 => Codec::Zstd,
            _ => return Err(newer("codec", u64::from(codec))),
        };
        // Only now: a version that has other flags or codecs may have a use for the reserved byte too.
        fields.zeros(1, "reserved")?;
        let header = Self {
            role,
            codec,
            stored_len: fields.u32()?,
            plain_len: fields.u32()?,
            record_count: fields.u32()?,
            epoch: Epoch(fields.u32()?),
            base: fields.position()?,
            durable_end: fields.position()?,
            times: fields.times()?,
            body_checksum,
        };
        header.check()?;
        Ok(header)
    }

    /// Checks the bytes that follow the header: body, checksum and padding. What `rest` holds behind the frame is left
    /// alone; the stored body comes back.
    ///
    /// # Errors
    ///
    /// [`WireError::Short`], [`WireError::Checksum`], or [`WireError::Invalid`] for padding that is not zero.
    pub fn check_body<'a>(&self, rest: &'a [u8], seed: &FrameSeed, offset: u64) -> Result<&'a [u8], WireError> {
        const WHAT: &str = "frame body";
        let mut fields = Fields::new(WHAT, rest);
        let body = fields.bytes(self.stored_len as usize)?;
        let computed = seed.checksum(offset, body);
        if computed != self.body_checksum {
            return Err(WireError::Checksum { what: WHAT, stored: self.body_checksum, computed });
        }
        let padding = self.frame_len() - FRAME_HEADER_LEN - u64::from(self.stored_len);
        fields.zeros(padding as usize, "padding")?;
        Ok(body)
    }

    /// The body as records or entries are read from it.
    ///
    /// # Errors
    ///
    /// [`WireError::Unsupported`] when this build lacks the frame's codec.
    pub fn plain_body<'a>(&self, stored: &'a [u8]) -> Result<&'a [u8], WireError> {
        match self.codec {
            Codec::None => Ok(stored),
            Codec::Lz4 => Err(WireError::Unsupported { name: "lz4" }),
            Codec::Zstd => Err(WireError::Unsupported { name: "zstd" }),
        }
    }

    fn flags(&self) -> u16 {
        match self.role {
            Role::Data { more: false } => 0,
            Role::Data { more: true } => FLAG_MORE,
            Role::Mark => FLAG_MARK,
            Role::Index => FLAG_INDEX,
            Role::Footer => FLAG_FOOTER,
            Role::Close => FLAG_CLOSE,
        }
    }

    /// The rules that hold between fields, for the writer and the reader alike.
    fn check(&self) -> Result<(), WireError> {
        let invalid = |field, value: u64| Err(WireError::Invalid { what: WHAT, field, value });
        let is_data = matches!(self.role, Role::Data { .. });
        let body_max = match self.role {
            Role::Data { .. } => FRAME_BODY_MAX,
            Role::Mark => 0,
            Role::Index => INDEX_PAGE_ENTRIES_MAX * INDEX_ENTRY_LEN,
            Role::Footer | Role::Close => FOOTER_BODY_MAX,
        };
        if self.plain_len > body_max {
            return invalid("body length", u64::from(self.plain_len));
        }
        let fits = match self.codec {
            Codec::None => self.stored_len == self.plain_len,
            Codec::Lz4 | Codec::Zstd => is_data && self.stored_len < self.plain_len,
        };
        if !fits {
            return invalid("stored length", u64::from(self.stored_len));
        }
        let counts = if is_data { 1..=RECORDS_PER_FRAME_MAX } else { 0..=0 };
        if !counts.contains(&self.record_count) {
            return invalid("record count", u64::from(self.record_count));
        }
        if !is_data && !self.times.is_empty() {
            return invalid("times without records from", self.times.min.0.cast_unsigned());
        }
        if self.base.0.checked_add(u64::from(self.record_count)).is_none() {
            return invalid("base position", self.base.0);
        }
        if self.durable_end > self.base {
            return invalid("durable end above its base", self.durable_end.0);
        }
        Ok(())
    }
}

/// The first offset at or after `from` where a valid frame header begins, with that header.
///
/// `bytes` lie at `start`, a multiple of 8, in the segment of `seed`. Linear: only multiples of 8 that carry the magic
/// are looked at, so this is how one finds back after a bad header. Nothing may look for frames inside the body of a
/// valid one: continue after [`FrameHeader::frame_len`].
#[must_use]
pub fn find_frame(bytes: &[u8], start: u64, from: u64, seed: &FrameSeed) -> Option<(u64, FrameHeader)> {
    let mut offset = from.max(start).checked_next_multiple_of(FRAME_ALIGNMENT)?;
    loop {
        let rest = bytes.get(usize::try_from(offset - start).ok()?..)?;
        let candidate = rest.get(..FRAME_HEADER_LEN as usize)?;
        if candidate.starts_with(&FRAME_MAGIC)
            && let Ok(header) = FrameHeader::decode(candidate, seed, offset)
        {
            return Some((offset, header));
        }
        offset = offset.checked_add(FRAME_ALIGNMENT)?;
    }
}

#[cfg(test)]
mod tests;
