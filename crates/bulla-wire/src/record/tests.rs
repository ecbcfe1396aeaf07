use super::*;
use crate::testing::{Random, frame_seed};

const OFFSET: u64 = 128;

/// A record as its owner holds it: kind, time, schema, salt, payload.
type Owned = (u8, i64, u32, Option<[u8; 16]>, Vec<u8>);

fn place(seed: &FrameSeed) -> FramePlace<'_> {
    FramePlace { seed, offset: OFFSET, epoch: Epoch(1), base: Position(40), durable_end: Position(40), more: false }
}

fn encode(records: &[Owned]) -> (FrameHeader, Vec<u8>) {
    let mut builder = FrameBuilder::default();
    for (kind, time, schema, salt, payload) in records {
        let record =
            NewRecord { kind: Kind(*kind), time: Time(*time), schema: SchemaId(*schema), salt: *salt, payload };
        builder.push(&record);
    }
    assert_eq!(builder.record_count() as usize, records.len());
    let body_len = builder.body_len();
    let (seed, mut bytes) = (frame_seed(), Vec::new());
    let header = builder.finish(&place(&seed), &mut bytes);
    assert_eq!((builder.record_count(), builder.body_len()), (0, 0));
    assert_eq!(FrameHeader::decode(&bytes, &seed, OFFSET).as_ref(), Ok(&header));
    let body = header.check_body(&bytes[64..], &seed, OFFSET).unwrap();
    assert_eq!(body.len(), body_len);
    (header, body.to_vec())
}

/// What a body that no writer of ours makes is read as.
fn read(count: u32, body: &[u8]) -> Vec<Result<Record<'_>, WireError>> {
    let (header, _) = encode(&[(0, 0, 0, None, Vec::new())]);
    Records::new(&FrameHeader { record_count: count, ..header }, body).collect()
}

/// The only outcome of reading `body` as one record is this error.
fn refused(body: &[u8]) -> WireError {
    let mut outcomes = read(1, body);
    assert_eq!(outcomes.len(), 1, "{body:?} has more than one outcome: {outcomes:?}");
    outcomes.remove(0).expect_err("the body was taken")
}

/// R1, and the extremes of time, whose differences wrap.
#[test]
fn any_records_round_trip() {
    let times = [i64::MIN, i64::MAX, -1, 0, 1];
    for number in 0..256 {
        let mut random = Random::new(number);
        let mut expected: Vec<Owned> = Vec::new();
        for _ in 0..=random.below(20) {
            let kind = [0, 0, 0, 127, 128, 134][random.below(6) as usize];
            let time = if random.below(2) == 0 { random.next_i64() } else { times[random.below(5) as usize] };
            let schema = if random.below(3) == 0 { random.next_u32() } else { 7 };
            let salt = (random.below(2) == 0).then(|| [random.next_u64() as u8; 16]);
            expected.push((kind, time, schema, salt, random.bytes_below(300)));
        }
        let (header, body) = encode(&expected);
        let mut bounds = TimeBounds::EMPTY;
        let mut found = Vec::new();
        for (index, record) in Records::new(&header, &body).enumerate() {
            let record = record.unwrap();
            let Content::Payload { salt, bytes } = record.content else { panic!("seed {number}: {record:?}") };
            assert_eq!(record.position.0, 40 + index as u64);
            assert_eq!((record.payload(), record.payload_len() as usize), (Some(bytes), bytes.len()));
            assert_eq!(record.salted, salt.is_some());
            if !record.kind.is_engine() {
                bounds.include(record.time);
            }
            found.push((record.kind.0, record.time.0, record.schema.0, salt.copied(), bytes.to_vec()));
        }
        assert_eq!(found, expected, "seed {number}");
        assert_eq!(header.times, bounds, "seed {number}");
    }
}

/// R3 and R4: whatever a body is cut to, the records before the cut come, then one error, then nothing.
#[test]
fn a_cut_body_ends_in_one_error() {
    let records = [(0, 5, 0, None, b"one".to_vec()), (1, 9, 3, Some([2; 16]), b"two".to_vec())];
    let (header, body) = encode(&records);
    for len in 0..body.len() {
        let mut iterator = Records::new(&header, &body[..len]);
        let outcomes: Vec<_> = iterator.by_ref().collect();
        let (last, earlier) = outcomes.split_last().unwrap();
        assert!(matches!(last, Err(WireError::Short { .. })), "cut to {len}: {last:?}");
        assert!(earlier.iter().all(Result::is_ok) && earlier.len() < 2, "cut to {len}");
        assert!(iterator.next().is_none());
    }
}

/// R3.
#[test]
fn the_count_of_the_header_is_the_count_of_the_body() {
    let records = [(0, 5, 0, None, b"one".to_vec()), (0, 9, 0, None, b"two".to_vec())];
    let (_, body) = encode(&records);
    assert!(read(2, &body).iter().all(Result::is_ok));
    let outcomes = read(1, &body);
    assert!(matches!(outcomes[..], [Ok(_), Err(WireError::Invalid { field: "leftover bytes", .. })]), "{outcomes:?}");
    let outcomes = read(3, &body);
    assert!(matches!(outcomes[..], [Ok(_), Ok(_), Err(WireError::Short { .. })]), "{outcomes:?}");
    let longer = [body, vec![0]].concat();
    let outcomes = read(2, &longer);
    assert!(matches!(outcomes[..], [Ok(_), Ok(_), Err(WireError::Invalid { .. })]), "{outcomes:?}");
}

/// R2: other bytes for the same records are refused.
#[test]
fn one_sequence_of_records_has_one_body() {
    // Tag, time, length: a record of kind 0, schema 0, time 0 and no payload.
    assert!(matches!(read(1, &[0, 0, 0])[..], [Ok(_)]));
    for (body, field) in [
        (vec![1, 0, 0, 0], "repeated kind"),
        (vec![2, 0, 0, 0], "repeated schema"),
        (vec![2, 0x80, 0, 0, 0], "schema"),
        (vec![2, 0xff, 0xff, 0xff, 0xff, 0x1f, 0, 0], "schema"),
        (vec![0, 0x80, 0, 0], "time"),
        (vec![0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0], "time"),
        (vec![0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0, 0], "time"),
        (vec![0, 0, 0x80, 0], "length"),
        (vec![0, 0, 0x81, 0x80, 0x80, 0x20], "length"),
        (vec![0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "length"),
    ] {
        let error = refused(&body);
        assert!(matches!(error, WireError::Invalid { field: found, .. } if found == field), "{body:?}: {error}");
    }
    // A kind and a schema that differ from the record before are taken; written again, they are refused.
    let first = [3, 1, 1, 0, 0];
    assert!(matches!(read(2, &[&first[..], &[3, 0, 0, 0, 0]].concat())[..], [Ok(_), Ok(_)]));
    assert!(matches!(read(2, &[&first[..], &[1, 1, 0, 0]].concat())[..], [Ok(_), Err(_)]));
    assert!(matches!(read(2, &[&first[..], &[2, 1, 0, 0]].concat())[..], [Ok(_), Err(_)]));
}

#[test]
fn a_later_tag_or_engine_kind_is_newer() {
    for body in [vec![16, 0, 0], vec![128, 0, 0], vec![1, 135, 0, 0], vec![1, 255, 0, 0]] {
        assert!(refused(&body).is_newer(), "{body:?}");
    }
    assert!(matches!(read(1, &[1, 134, 0, 0])[..], [Ok(Record { kind: Kind::BREAK, .. })]));
}

/// A record whose payload was erased keeps its length and digest, and none of its salt.
#[test]
fn a_redacted_record_keeps_what_its_entry_needs() {
    for (tag, salted) in [(8, false), (12, true)] {
        let mut body = vec![tag, 10, 0xc8, 1];
        body.extend([0xd1; 32]);
        body.extend([0, 1, 1, b'x']);
        let expected = Record {
            position: Position(40),
            kind: Kind::ROW,
            time: Time(5),
            schema: SchemaId(0),
            salted,
            content: Content::Redacted { len: 200, digest: &[0xd1; 32] },
        };
        assert_eq!((expected.payload(), expected.payload_len()), (None, 200));
        let outcomes = read(2, &body);
        assert_eq!(outcomes[0], Ok(expected));
        let second = outcomes[1].as_ref().unwrap();
        assert_eq!((second.time, second.payload()), (Time(4), Some(&b"x"[..])));
        assert!(matches!(read(1, &body[..35])[..], [Err(WireError::Short { .. })]));
    }
}

#[test]
fn the_longest_record_header_fits_its_limit() {
    let (_, body) = encode(&[(127, i64::MIN, u32::MAX, Some([0; 16]), vec![1])]);
    assert!(body.len() < RECORD_OVERHEAD_MAX as usize);
}

#[test]
#[should_panic(expected = "BUG: record over the limit")]
fn a_payload_over_the_limit_is_not_taken() {
    encode(&[(0, 0, 0, None, vec![0; RECORD_BYTES_MAX as usize + 1])]);
}

#[test]
#[should_panic(expected = "BUG: record of a kind")]
fn a_kind_of_a_later_format_is_not_taken() {
    encode(&[(135, 0, 0, None, Vec::new())]);
}

#[test]
fn the_largest_record_fits_a_frame_and_a_full_builder_says_so() {
    let (header, body) = encode(&[(0, 0, 0, Some([1; 16]), vec![9; RECORD_BYTES_MAX as usize])]);
    assert_eq!(Records::new(&header, &body).next().unwrap().unwrap().payload_len(), RECORD_BYTES_MAX);
    let record = NewRecord { kind: Kind::ROW, time: Time(0), schema: SchemaId(0), salt: None, payload: b"" };
    let mut builder = FrameBuilder::default();
    for _ in 0..RECORDS_PER_FRAME_MAX {
        assert!(!builder.is_full());
        builder.push(&record);
    }
    assert!(builder.is_full());
    builder.clear();
    assert!(!builder.is_full() && builder.body_len() == 0);
}
