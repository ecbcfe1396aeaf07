//! Any bytes as the body of a data frame.
#![no_main]

use bulla_fuzz::compare;
use bulla_wire::limits::RECORDS_PER_FRAME_MAX;
use bulla_wire::{
    Codec, Content, Epoch, FRAME_HEADER_LEN, FrameBuilder, FrameHeader, FramePlace, FrameSeed, NewRecord, Position,
    Record, Records, Role, SegmentNumber, TimeBounds,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // As many as there are; the count of a header that asks for one more is not met.
    let header = header(RECORDS_PER_FRAME_MAX);
    agree(&header, data);
    let records: Vec<Record<'_>> = Records::new(&header, data).map_while(Result::ok).collect();
    for record_count in [1, records.len() as u32, records.len() as u32 + 1] {
        agree(&FrameHeader { record_count, ..header.clone() }, data);
    }
    let Some(last) = records.last() else { return };
    assert_eq!(last.position.0 + 1, records.len() as u64);
    let mut exact = Records::new(&FrameHeader { record_count: records.len() as u32, ..header }, data);
    for record in &records {
        assert_eq!(exact.next(), Some(Ok(*record)));
    }
    let leftover = exact.next();
    assert!(leftover.is_none_or(|outcome| outcome.is_err()) && exact.next().is_none());
    if let Some(body) = encode(&records) {
        assert!(data.starts_with(&body), "another encoding of the same records");
    }
});

/// Both readers give the same records, and end for the same reason.
fn agree(header: &FrameHeader, body: &[u8]) {
    let (expected, outcome) = bulla_reference::records(&compare::frame_header(header), body);
    let mut records = Records::new(header, body);
    for expected in expected {
        assert_eq!(records.next().map(|record| compare::read(&record, compare::record)), Some(Ok(expected)));
    }
    assert_eq!(records.next().map(|record| compare::read(&record, compare::record)), outcome.err().map(Err));
    assert!(records.next().is_none(), "something follows an error or the end");
}

fn header(record_count: u32) -> FrameHeader {
    FrameHeader {
        role: Role::Data { more: false },
        codec: Codec::None,
        stored_len: 0,
        plain_len: 0,
        record_count,
        epoch: Epoch(1),
        base: Position(0),
        durable_end: Position(0),
        times: TimeBounds::EMPTY,
        body_checksum: 0,
    }
}

/// The body that a writer makes of `records`; none writes erased ones.
fn encode(records: &[Record<'_>]) -> Option<Vec<u8>> {
    let mut builder = FrameBuilder::default();
    for record in records {
        let Content::Payload { salt, bytes: payload } = record.content else { return None };
        let (kind, time, schema) = (record.kind, record.time, record.schema);
        builder.push(&NewRecord { kind, time, schema, salt: salt.copied(), payload });
    }
    let seed = FrameSeed::new(&[0; 16], SegmentNumber(0));
    let place = FramePlace {
        seed: &seed,
        offset: 128,
        epoch: Epoch(1),
        base: Position(0),
        durable_end: Position(0),
        more: false,
    };
    let (body_len, mut bytes) = (builder.body_len(), Vec::new());
    builder.finish(&place, &mut bytes);
    Some(bytes[FRAME_HEADER_LEN as usize..][..body_len].to_vec())
}
