//! Records inside a frame body.
//!
//! A record is a tag, what differs from the record before it, the length, and the payload.
//! Bytes: docs/FORMAT.md, "Record".
//!
//! # Invariants
//!
//! - R1. What [`FrameBuilder`] takes, [`Records`] returns.
//! - R2. One sequence of records, one body: integers are shortest, a kind or schema is written exactly when it differs
//!   from the one before.
//! - R3. [`Records`] returns exactly as many records as the header counts and refuses leftovers.
//! - R4. [`Records`] never allocates, and after an error ends.

use crate::fields::Fields;
use crate::limits::{RECORD_BYTES_MAX, RECORD_OVERHEAD_MAX, RECORDS_PER_FRAME_MAX};
use crate::varint::{self, VARINT_LEN_MAX};
use crate::{Codec, Epoch, FrameHeader, FrameSeed, Kind, Position, Role, SchemaId, Time, TimeBounds, WireError};

const WHAT: &str = "record";
const TAG_KIND: u8 = 1;
const TAG_SCHEMA: u8 = 2;
const TAG_SALTED: u8 = 4;
const TAG_REDACTED: u8 = 8;

const _: () = assert!(
    RECORD_OVERHEAD_MAX as usize >= 1 + 1 + 3 * VARINT_LEN_MAX + 32,
    "a record's header must fit the room the frame limit leaves"
);

/// A record about to be appended; its position follows from where it lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRecord<'a> {
    /// What the record is.
    pub kind: Kind,
    /// Its logical time.
    pub time: Time,
    /// The shape of the payload.
    pub schema: SchemaId,
    /// Random bytes that keep the payload from being guessed from its digest; only in erasable logs.
    pub salt: Option<[u8; 16]>,
    /// The payload as it is stored and hashed.
    pub payload: &'a [u8],
}

/// What is stored of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// The payload itself, with its salt in an erasable log.
    Payload {
        /// The salt, if the record has one.
        salt: Option<&'a [u8; 16]>,
        /// The bytes as they were appended.
        bytes: &'a [u8],
    },
    /// The payload was erased; its body digest was kept, so that the leaf is what it was.
    Redacted {
        /// Length of the payload that was there.
        len: u32,
        /// The body digest, as it stands in the record's entry.
        digest: &'a [u8; 32],
    },
}

/// A record as read from a frame body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its ordinal in the log.
    pub position: Position,
    /// What the record is.
    pub kind: Kind,
    /// Its logical time.
    pub time: Time,
    /// The shape of the payload.
    pub schema: SchemaId,
    /// Whether the body digest is over a salt too. Part of the entry, so it outlives redaction.
    pub salted: bool,
    /// The payload, or what is left of it.
    pub content: Content<'a>,
}

impl<'a> Record<'a> {
    /// The payload, or `None` if it was redacted.
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        match self.content {
            Content::Payload { bytes, .. } => Some(bytes),
            Content::Redacted { .. } => None,
        }
    }

    /// Length of the payload as it was appended, in bytes.
    #[must_use]
    pub fn payload_len(&self) -> u32 {
        match self.content {
            // A payload came out of a frame body, whose length is a `u32`.
            Content::Payload { bytes, .. } => bytes.len() as u32,
            Content::Redacted { len, .. } => len,
        }
    }
}

/// What a record is written as a difference from.
#[derive(Clone, Copy, Debug, Default)]
struct Previous {
    kind: Kind,
    schema: SchemaId,
    time: Time,
}

/// Where a finished frame goes and what its header says besides the records.
#[derive(Clone, Debug)]
pub struct FramePlace<'a> {
    /// The seed of the segment.
    pub seed: &'a FrameSeed,
    /// Where in the segment the frame begins.
    pub offset: u64,
    /// The writer's epoch.
    pub epoch: Epoch,
    /// The position of the first record.
    pub base: Position,
    /// What the last good sync covered.
    pub durable_end: Position,
    /// Whether the batch goes on in the next frame.
    pub more: bool,
}

/// Gathers records into the body of one frame.
#[derive(Debug, Default)]
pub struct FrameBuilder {
    body: Vec<u8>,
    count: u32,
    times: TimeBounds,
    previous: Previous,
}

impl FrameBuilder {
    /// Records gathered so far.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.count
    }

    /// Bytes of body gathered so far.
    #[must_use]
    pub fn body_len(&self) -> usize {
        self.body.len()
    }

    /// Whether the frame takes no further record, whatever its size.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count == RECORDS_PER_FRAME_MAX
    }

    /// Adds a record.
    ///
    /// # Panics
    ///
    /// If the payload exceeds [`RECORD_BYTES_MAX`], the frame is full, or format version 1 does not name the kind: the
    /// layers above check all three.
    pub fn push(&mut self, record: &NewRecord<'_>) {
        assert!(record.payload.len() <= RECORD_BYTES_MAX as usize, "BUG: record over the limit");
        assert!(!self.is_full(), "BUG: frame over the limit");
        assert!(record.kind.is_known(), "BUG: record of a kind that no reader of this version takes");
        let previous = self.previous;
        let mut tag = 0;
        for (bit, holds) in [
            (TAG_KIND, record.kind != previous.kind),
            (TAG_SCHEMA, record.schema != previous.schema),
            (TAG_SALTED, record.salt.is_some()),
        ] {
            tag |= if holds { bit } else { 0 };
        }
        self.body.push(tag);
        if tag & TAG_KIND != 0 {
            self.body.push(record.kind.0);
        }
        if tag & TAG_SCHEMA != 0 {
            varint::put(&mut self.body, u64::from(record.schema.0));
        }
        varint::put(&mut self.body, varint::zigzag(record.time.0.wrapping_sub(previous.time.0)));
        varint::put(&mut self.body, record.payload.len() as u64);
        if let Some(salt) = &record.salt {
            self.body.extend_from_slice(salt);
        }
        self.body.extend_from_slice(record.payload);
        if !record.kind.is_engine() {
            self.times.include(record.time);
        }
        self.count += 1;
        self.previous = Previous { kind: record.kind, schema: record.schema, time: record.time };
    }

    /// Appends the frame to `out`, returns its header, and starts over.
    ///
    /// # Panics
    ///
    /// If the frame holds no record.
    pub fn finish(&mut self, place: &FramePlace<'_>, out: &mut Vec<u8>) -> FrameHeader {
        let len = self.body.len() as u32;
        let header = FrameHeader {
            role: Role::Data { more: place.more },
            codec: Codec::None,
            stored_len: len,
            plain_len: len,
            record_count: self.count,
            epoch: place.epoch,
            base: place.base,
            durable_end: place.durable_end,
            times: self.times,
            body_checksum: 0,
        };
        let header = header.append(&self.body, place.seed, place.offset, out);
        self.clear();
        header
    }

    /// Forgets the records gathered so far.
    pub fn clear(&mut self) {
        self.body.clear();
        self.count = 0;
        self.times = TimeBounds::EMPTY;
        self.previous = Previous::default();
    }
}

/// The records of one frame body, in order.
#[derive(Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    next: Position,
    remaining: u32,
    previous: Previous,
    is_done: bool,
}

impl<'a> Records<'a> {
    /// The records in `body`, the plain body of the frame with `header`.
    #[must_use]
    pub fn new(header: &FrameHeader, body: &'a [u8]) -> Self {
        Self {
            rest: body,
            next: header.base,
            remaining: header.record_count,
            previous: Previous::default(),
            is_done: false,
        }
    }

    fn take(&mut self) -> Result<Record<'a>, WireError> {
        let mut fields = Fields::new(WHAT, self.rest);
        let tag = fields.u8()?;
        if tag & !(TAG_KIND | TAG_SCHEMA | TAG_SALTED | TAG_REDACTED) != 0 {
            return Err(WireError::Newer { what: WHAT, field: "tag", value: u64::from(tag) });
        }
        let mut seen = self.previous;
        if tag & TAG_KIND != 0 {
            seen.kind = Kind(fields.u8()?);
            if seen.kind == self.previous.kind {
                return Err(fields.invalid("repeated kind", u64::from(seen.kind.0)));
            }
            if !seen.kind.is_known() {
                return Err(WireError::Newer { what: WHAT, field: "kind", value: u64::from(seen.kind.0) });
            }
        }
        if tag & TAG_SCHEMA != 0 {
            seen.schema = SchemaId(varint::take_u32(&mut fields, "schema")?);
            if seen.schema == self.previous.schema {
                return Err(fields.invalid("repeated schema", u64::from(seen.schema.0)));
            }
        }
        let difference = varint::unzigzag(varint::take(&mut fields, "time")?);
        seen.time = Time(self.previous.time.0.wrapping_add(difference));
        let len = varint::take_u32(&mut fields, "length")?;
        if len > RECORD_BYTES_MAX {
            return Err(fields.invalid("length", u64::from(len)));
        }
        let salted = tag & TAG_SALTED != 0;
        let content = if tag & TAG_REDACTED != 0 {
            Content::Redacted { len, digest: Self::array(&mut fields)? }
        } else {
            let salt = if salted { Some(Self::array(&mut fields)?) } else { None };
            Content::Payload { salt, bytes: fields.bytes(len as usize)? }
        };
        let position = self.next;
        self.rest = fields.rest();
        self.previous = seen;
        // The header's end does not overflow, so neither does any position below it.
        self.next = Position(position.0.saturating_add(1));
        Ok(Record { position, kind: seen.kind, time: seen.time, schema: seen.schema, salted, content })
    }

    fn array<const N: usize>(fields: &mut Fields<'a>) -> Result<&'a [u8; N], WireError> {
        fields.bytes(N)?.try_into().map_err(|_| fields.invalid("length", N as u64))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        if self.remaining == 0 {
            self.is_done = true;
            return Fields::new("frame body", self.rest).end().err().map(Err);
        }
        self.remaining -= 1;
        let taken = self.take();
        self.is_done = taken.is_err();
        Some(taken)
    }
}

#[cfg(test)]
mod tests;
