//! A record by its place in a buffer, so that a cursor can keep several and lend one.

use bulla_wire::{Content, Kind, Position, Record, SchemaId, Time};

/// A record whose payload is a range of some buffer.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    position: Position,
    kind: Kind,
    time: Time,
    schema: SchemaId,
    salted: bool,
    content: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Payload { salt: Option<usize>, start: usize, len: usize },
    Redacted { len: u32, digest: usize },
}

impl Located {
    /// The place of `record`, which was decoded from `body`, which begins at `start` of the buffer.
    pub(crate) fn new(record: &Record<'_>, start: usize, body: &[u8]) -> Self {
        // Both slices are parts of one allocation, so the difference of their addresses is the distance.
        let place = |part: &[u8]| start + (part.as_ptr().addr() - body.as_ptr().addr());
        let content = match record.content {
            Content::Payload { salt, bytes } => {
                Place::Payload { salt: salt.map(|salt| place(salt)), start: place(bytes), len: bytes.len() }
            }
            Content::Redacted { len, digest } => Place::Redacted { len, digest: place(digest) },
        };
        let Record { position, kind, time, schema, salted, .. } = *record;
        Self { position, kind, time, schema, salted, content }
    }

    /// The record again, borrowed from `buffer`; `None` only if the buffer is another one.
    pub(crate) fn record<'a>(&self, buffer: &'a [u8]) -> Option<Record<'a>> {
        let content = match self.content {
            Place::Payload { salt, start, len } => Content::Payload {
                salt: match salt {
                    Some(salt) => Some(buffer.get(salt..)?.first_chunk()?),
                    None => None,
                },
                bytes: buffer.get(start..)?.get(..len)?,
            },
            Place::Redacted { len, digest } => Content::Redacted { len, digest: buffer.get(digest..)?.first_chunk()? },
        };
        let Self { position, kind, time, schema, salted, .. } = *self;
        Some(Record { position, kind, time, schema, salted, content })
    }
}
