//! Values of the crates as the second reader has them.

use bulla_chain::{Digest, EngineRecordError, TreeHead};
use bulla_reference as reference;
use bulla_wire::{Codec, Content, Footer, FrameHeader, IndexEntry, Record, Role, SegmentHeader, TimeBounds, WireError};
use reference::{Read, Refused};

/// What callers act on of an error.
pub fn class(error: &WireError) -> Refused {
    match error {
        _ if error.is_newer() => Refused::Newer,
        _ if error.is_unsupported() => Refused::Unsupported,
        _ => Refused::Wrong,
    }
}

/// The same of an engine's record.
pub fn engine_class(error: &EngineRecordError) -> Refused {
    if error.is_newer() { Refused::Newer } else { Refused::Wrong }
}

/// What was read, in the second reader's words.
pub fn read<T, U>(outcome: &Result<T, WireError>, value: impl Fn(&T) -> U) -> Read<U> {
    outcome.as_ref().map(value).map_err(class)
}

pub fn times(times: TimeBounds) -> reference::Times {
    (times.min.0, times.max.0)
}

pub fn head(head: TreeHead) -> reference::Head {
    (head.size, head.root.0)
}

pub fn digests(digests: &[Digest]) -> Vec<[u8; 32]> {
    digests.iter().map(|digest| digest.0).collect()
}

pub fn segment_header(header: &SegmentHeader) -> reference::SegmentHeader {
    reference::SegmentHeader {
        erasable: header.erasable,
        epoch: header.epoch.0,
        log: header.log.0,
        secret: header.secret,
        number: header.number.0,
        base: header.base.0,
        floor: header.floor.0,
        prune: header.prune.map(|position| position.0),
        root: header.root,
        frontier: header.frontier.clone(),
    }
}

pub fn frame_header(header: &FrameHeader) -> reference::Header {
    reference::Header {
        body_checksum: header.body_checksum,
        flags: match header.role {
            Role::Data { more: false } => 0,
            Role::Data { more: true } => 1,
            Role::Mark => 2,
            Role::Index => 4,
            Role::Footer => 8,
            Role::Close => 16,
        },
        codec: match header.codec {
            Codec::None => 0,
            Codec::Lz4 => 1,
            Codec::Zstd => 2,
        },
        stored_len: header.stored_len,
        plain_len: header.plain_len,
        record_count: header.record_count,
        epoch: header.epoch.0,
        base: header.base.0,
        durable_end: header.durable_end.0,
        times: times(header.times),
    }
}

pub fn record(record: &Record<'_>) -> reference::Record {
    reference::Record {
        position: record.position.0,
        kind: record.kind.0,
        schema: record.schema.0,
        time: record.time.0,
        salted: record.salted,
        len: record.payload_len(),
        body: match record.content {
            Content::Payload { salt, bytes } => reference::Body::Payload(salt.copied(), bytes.to_vec()),
            Content::Redacted { digest, .. } => reference::Body::Redacted(*digest),
        },
    }
}

pub fn page_entry(entry: &IndexEntry) -> reference::PageEntry {
    reference::PageEntry { first: entry.first.0, times: times(entry.times), offset: entry.offset }
}

pub fn footer(footer: &Footer) -> reference::Footer {
    let page = |page: &bulla_wire::PageRef| reference::Page {
        first: page.first.0,
        times: times(page.times),
        offset: page.offset,
        entry_count: page.entry_count,
    };
    reference::Footer {
        number: footer.number.0,
        base: footer.base.0,
        end: footer.end.0,
        data_end: footer.data_end,
        caller_count: footer.caller_count,
        payload_bytes: footer.payload_bytes,
        times: times(footer.times),
        floor: footer.floor.0,
        prune: footer.prune.map(|position| position.0),
        index_digest: footer.index_digest,
        root: footer.root,
        pages: footer.pages.iter().map(page).collect(),
        frontier: footer.frontier.clone(),
    }
}
