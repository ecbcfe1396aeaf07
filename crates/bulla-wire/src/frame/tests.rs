use super::*;
use crate::testing::{Random, frame_seed};
use crate::{SegmentNumber, Time, WireError};

const OFFSET: u64 = 4096;

fn header(role: Role, record_count: u32) -> FrameHeader {
    FrameHeader {
        role,
        codec: Codec::None,
        stored_len: 0,
        plain_len: 0,
        record_count,
        epoch: Epoch(9),
        base: Position(100),
        durable_end: Position(90),
        times: TimeBounds::EMPTY,
        body_checksum: 0,
    }
}

fn random_header(random: &mut Random) -> FrameHeader {
    let roles =
        [Role::Data { more: false }, Role::Data { more: true }, Role::Mark, Role::Index, Role::Footer, Role::Close];
    let role = roles[random.below(6) as usize];
    let is_data = matches!(role, Role::Data { .. });
    let base = random.next_u64() >> random.below(64).max(1);
    let mut times = TimeBounds::EMPTY;
    if is_data && random.below(4) > 0 {
        times.include(Time(random.next_i64()));
        times.include(Time(random.next_i64()));
    }
    FrameHeader {
        record_count: if is_data { 1 + random.below(u64::from(RECORDS_PER_FRAME_MAX)) as u32 } else { 0 },
        epoch: Epoch(random.next_u32()),
        base: Position(base),
        durable_end: Position(base - random.below(base.saturating_add(1).min(1000))),
        times,
        ..header(role, 0)
    }
}

/// Header and body, as a reader that holds the whole frame checks them.
fn read(bytes: &[u8], seed: &FrameSeed, offset: u64) -> Result<(FrameHeader, Vec<u8>), WireError> {
    let header = FrameHeader::decode(bytes, seed, offset)?;
    let frame = bytes.get(..header.frame_len() as usize).ok_or(WireError::Short {
        what: "frame",
        needed: header.frame_len(),
        available: bytes.len() as u64,
    })?;
    let body = header.check_body(&frame[FRAME_HEADER_LEN as usize..], seed, offset)?;
    Ok((header, body.to_vec()))
}

/// A header with one field replaced under a checksum that holds, as only a writer of another version makes it.
fn with_field(base: &FrameHeader, body: &[u8], at: usize, field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    base.encode(body, &frame_seed(), OFFSET, &mut bytes);
    bytes[at..at + field.len()].copy_from_slice(field);
    let checksum = frame_seed().checksum(OFFSET, &bytes[COVERED_FROM..FRAME_HEADER_LEN as usize]);
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// F1, F3 and F4. A failure prints the seed.
#[test]
fn any_frame_round_trips_and_no_flipped_bit_or_cut_survives() {
    for number in 0..128 {
        let mut random = Random::new(number);
        let expected = random_header(&mut random);
        let body = if expected.role == Role::Mark { Vec::new() } else { random.bytes_below(80) };
        let offset = random.below(1 << 40) * FRAME_ALIGNMENT;
        let seed = FrameSeed::new(&[number as u8; 16], SegmentNumber(random.next_u64()));
        let mut bytes = Vec::new();
        expected.encode(&body, &seed, offset, &mut bytes);
        let (decoded, found) = read(&bytes, &seed, offset).unwrap();
        let len = body.len() as u32;
        let checksum = seed.checksum(offset, &body);
        let expected = FrameHeader { stored_len: len, plain_len: len, body_checksum: checksum, ..expected };
        assert_eq!((&decoded, &found), (&expected, &body), "seed {number}");
        assert_eq!(decoded.frame_len(), bytes.len() as u64, "seed {number}");
        assert_eq!(decoded.plain_body(&found), Ok(&body[..]));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped, &seed, offset).is_err(), "seed {number}, bit {bit}");
        }
        for len in 0..bytes.len() {
            let error = read(&bytes[..len], &seed, offset).unwrap_err();
            assert!(matches!(error, WireError::Short { .. }), "seed {number}, cut to {len}: {error}");
        }
    }
}

/// F2 and F3: which check catches which byte.
#[test]
fn every_byte_is_guarded_by_its_own_check() {
    let mut bytes = Vec::new();
    header(Role::Data { more: false }, 1).encode(b"bulla", &frame_seed(), OFFSET, &mut bytes);
    assert_eq!(bytes.len(), 72);
    for (places, expected) in [
        (0..4, "no frame header"),
        (4..64, "checksum of frame header"),
        (64..69, "checksum of frame body"),
        (69..72, "frame body has padding"),
    ] {
        for place in places {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let error = read(&changed, &frame_seed(), OFFSET).expect_err("a flipped bit passed").to_string();
            assert!(error.starts_with(expected), "byte {place}: {error}");
        }
    }
}

/// What a later version may write is newer, what none may write is invalid; neither is taken for a bad checksum.
#[test]
fn fields_outside_the_format_are_newer_or_invalid() {
    let data = header(Role::Data { more: false }, 1);
    let close = header(Role::Close, 0);
    let both = |value: u32| [value.to_le_bytes(), value.to_le_bytes()].concat();
    for (frame, at, field, expected) in [
        (&data, 12, vec![32, 0], "newer"),
        (&data, 12, vec![0, 128], "newer"),
        (&data, 12, vec![3, 0], "newer"),
        (&data, 12, vec![24, 0], "newer"),
        (&data, 14, vec![3], "newer"),
        (&data, 14, vec![255], "newer"),
        (&data, 15, vec![1], "reserved"),
        (&data, 16, both(FRAME_BODY_MAX + 1), "body length"),
        (&data, 16, both(u32::MAX), "body length"),
        (&data, 16, vec![4, 0, 0, 0], "stored length"),
        (&data, 14, vec![1], "stored length"),
        (&data, 24, vec![0, 0, 0, 0], "record count"),
        (&data, 24, (RECORDS_PER_FRAME_MAX + 1).to_le_bytes().to_vec(), "record count"),
        (&data, 32, u64::MAX.to_le_bytes().to_vec(), "base position"),
        (&data, 40, 101_u64.to_le_bytes().to_vec(), "durable end"),
        (&data, 48, vec![0; 8], "crossed time bounds"),
        (&close, 14, vec![1, 0, 4, 0, 0, 0], "stored length"),
        (&close, 16, both(FOOTER_BODY_MAX + 1), "body length"),
        (&close, 24, vec![1, 0, 0, 0], "record count"),
        (&close, 48, vec![0; 16], "times without records"),
        (&close, 12, vec![2, 0], "body length"),
        (&close, 12, vec![4, 0, 0, 0, 1, 64, 0, 0, 1, 64, 0, 0], "body length"),
    ] {
        let bytes = with_field(frame, b"bulla", at, &field);
        let error = FrameHeader::decode(&bytes, &frame_seed(), OFFSET).unwrap_err();
        assert_eq!(error.is_newer(), expected == "newer", "{at} {field:?}: {error}");
        assert!(expected == "newer" || error.to_string().contains(expected), "{at} {field:?}: {error}");
    }
}

/// A frame of a later version that also put something into the byte that is reserved today was called wrong, which at
/// the end of a log is a torn tail, and recovery would have cut it off. What is newer is newer, whatever else it holds.
#[test]
fn flags_and_codecs_of_a_later_version_are_newer_whatever_the_reserved_byte() {
    let data = header(Role::Data { more: false }, 1);
    for (at, field) in [(12, vec![32, 0, 0, 1]), (12, vec![3, 0, 0, 255]), (14, vec![3, 1])] {
        let bytes = with_field(&data, b"bulla", at, &field);
        let error = FrameHeader::decode(&bytes, &frame_seed(), OFFSET).unwrap_err();
        assert!(error.is_newer(), "{field:?}: {error}");
    }
}

/// F5, for the writer: what a reader refuses, `encode` refuses to write.
#[test]
#[should_panic(expected = "BUG: frame breaks a rule of the format")]
fn a_header_that_vouches_for_its_own_records_is_not_written() {
    let header = FrameHeader { durable_end: Position(101), ..header(Role::Data { more: false }, 1) };
    header.encode(b"bulla", &frame_seed(), OFFSET, &mut Vec::new());
}

#[test]
#[should_panic(expected = "BUG: frame breaks a rule of the format")]
fn a_mark_with_a_body_is_not_written() {
    header(Role::Mark, 0).encode(b"bulla", &frame_seed(), OFFSET, &mut Vec::new());
}

#[test]
fn a_base_and_durable_end_at_their_limits_are_taken() {
    for (role, record_count, base) in
        [(Role::Data { more: false }, RECORDS_PER_FRAME_MAX, u64::MAX - 65536), (Role::Mark, 0, u64::MAX)]
    {
        let expected = FrameHeader { base: Position(base), durable_end: Position(base), ..header(role, record_count) };
        let mut bytes = Vec::new();
        expected.encode(b"", &frame_seed(), OFFSET, &mut bytes);
        let decoded = FrameHeader::decode(&bytes, &frame_seed(), OFFSET).unwrap();
        assert_eq!((decoded.durable_end.0, decoded.end().0), (base, u64::MAX));
    }
}

/// The body is stored as it is given, whatever codec the header was copied from.
#[test]
fn a_frame_is_written_without_a_codec() {
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let mut bytes = Vec::new();
        let given = FrameHeader { codec, stored_len: 3, body_checksum: 9, ..header(Role::Data { more: false }, 1) };
        given.encode(b"bulla", &frame_seed(), OFFSET, &mut bytes);
        let (found, body) = read(&bytes, &frame_seed(), OFFSET).unwrap();
        assert_eq!((found.codec, found.plain_body(&body)), (Codec::None, Ok(&b"bulla"[..])), "{codec:?}");
    }
}

/// The longest body of each role is taken; one byte more is no frame.
#[test]
fn the_longest_body_of_each_role_is_taken() {
    let longest = [
        (Role::Data { more: false }, 1, FRAME_BODY_MAX),
        (Role::Mark, 0, 0),
        (Role::Index, 0, 512 * 32),
        (Role::Footer, 0, FOOTER_BODY_MAX),
        (Role::Close, 0, FOOTER_BODY_MAX),
    ];
    for (role, record_count, longest) in longest {
        for (len, holds) in [(longest, true), (longest + 1, false)] {
            let both = [len.to_le_bytes(), len.to_le_bytes()].concat();
            let bytes = with_field(&header(role, record_count), b"", 16, &both);
            let decoded = FrameHeader::decode(&bytes, &frame_seed(), OFFSET);
            assert_eq!(decoded.is_ok(), holds, "{role:?} of {len} bytes: {decoded:?}");
        }
    }
}

/// What lies behind a frame is not looked at, so that whoever holds more of the file need not measure.
#[test]
fn a_body_check_leaves_what_follows_alone() {
    let mut bytes = Vec::new();
    header(Role::Data { more: false }, 1).encode(b"bulla", &frame_seed(), OFFSET, &mut bytes);
    bytes.extend([0xff; 64]);
    let header = FrameHeader::decode(&bytes, &frame_seed(), OFFSET).unwrap();
    assert_eq!(header.check_body(&bytes[FRAME_HEADER_LEN as usize..], &frame_seed(), OFFSET), Ok(&b"bulla"[..]));
}

#[test]
fn a_codec_this_build_lacks_is_unsupported_and_nothing_else() {
    for (codec, name) in [(1, "lz4"), (2, "zstd")] {
        let longer = [codec, 0, 5, 0, 0, 0, 6, 0, 0, 0];
        let bytes = with_field(&header(Role::Data { more: false }, 1), b"bulla", 14, &longer);
        let (header, body) = read(&bytes, &frame_seed(), OFFSET).unwrap();
        let error = header.plain_body(&body).unwrap_err();
        assert!(error.is_unsupported() && !error.is_newer());
        assert_eq!(error, WireError::Unsupported { name });
    }
}

#[test]
fn zeros_end_a_log_for_readers() {
    assert!(FrameHeader::is_zero(&[0; 64]));
    let mut bytes = [0; 65];
    bytes[64] = 1;
    assert!(FrameHeader::is_zero(&bytes), "what follows a header is not looked at");
    bytes[63] = 1;
    assert!(!FrameHeader::is_zero(&bytes));
    assert!(FrameHeader::is_zero(&[]), "so does the end of a file");
}

/// K1: a frame counts at its own place only.
#[test]
fn a_frame_copied_elsewhere_does_not_validate() {
    let mut bytes = Vec::new();
    header(Role::Data { more: false }, 1).encode(b"bulla", &frame_seed(), OFFSET, &mut bytes);
    assert!(read(&bytes, &frame_seed(), OFFSET).is_ok());
    for (seed, offset) in [
        (frame_seed(), OFFSET + 8),
        (FrameSeed::new(&[7; 16], SegmentNumber(4)), OFFSET),
        (FrameSeed::new(&[8; 16], SegmentNumber(3)), OFFSET),
    ] {
        let error = read(&bytes, &seed, offset).unwrap_err();
        assert!(matches!(error, WireError::Checksum { .. }), "{error}");
        assert_eq!(find_frame(&bytes, offset, offset, &seed), None);
    }
}

/// Frames one after the other from [`OFFSET`] on, each with a body of five bytes.
fn frames(count: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for index in 0..count {
        let offset = OFFSET + bytes.len() as u64;
        let header = FrameHeader { base: Position(100 + index), ..header(Role::Data { more: false }, 1) };
        header.encode(b"bulla", &frame_seed(), offset, &mut bytes);
    }
    bytes
}

#[test]
fn the_next_frame_is_found_after_a_bad_header_and_garbage() {
    let mut bytes = frames(3);
    let find =
        |bytes: &[u8], from| find_frame(bytes, OFFSET, from, &frame_seed()).map(|(at, header)| (at, header.base.0));
    assert_eq!(find(&bytes, 0), Some((OFFSET, 100)));
    assert_eq!(find(&bytes, OFFSET), Some((OFFSET, 100)));
    assert_eq!(find(&bytes, OFFSET + 1), Some((OFFSET + 72, 101)));
    for bad in [0, 4, 8, 63] {
        bytes[bad] ^= 0xff;
        assert_eq!(find(&bytes, OFFSET), Some((OFFSET + 72, 101)), "byte {bad}");
        bytes[bad] ^= 0xff;
    }
    // A header counts even if its body does not.
    bytes[64] ^= 1;
    assert_eq!(find(&bytes, OFFSET), Some((OFFSET, 100)));
    bytes[..144].fill(0xb1);
    assert_eq!(find(&bytes, OFFSET), Some((OFFSET + 144, 102)));
    assert_eq!(find(&bytes[..144 + 63], OFFSET), None);
    for from in [OFFSET + 145, OFFSET + 216, OFFSET + 1000, u64::MAX] {
        assert_eq!(find(&bytes, from), None, "from {from}");
    }
    assert_eq!(find_frame(&frames(1), OFFSET, u64::MAX - 7, &frame_seed()), None);
}

#[test]
fn frames_that_are_not_aligned_are_not_found() {
    for shift in 0..9 {
        let mut bytes = vec![0; shift];
        // Valid where it lies, but for the alignment.
        header(Role::Data { more: false }, 1).encode(b"bulla", &frame_seed(), OFFSET + shift as u64, &mut bytes);
        let found = find_frame(&bytes, OFFSET, OFFSET, &frame_seed()).map(|(at, _)| at);
        assert_eq!(found, shift.is_multiple_of(8).then_some(OFFSET + shift as u64), "shift {shift}");
    }
}

/// K1: a payload may hold frames of this very segment, as when a log is backed up into itself.
#[test]
fn frames_inside_a_payload_are_not_found() {
    let carried = frames(3);
    let mut bytes = Vec::new();
    header(Role::Data { more: false }, 1).encode(&carried, &frame_seed(), OFFSET, &mut bytes);
    let end = OFFSET + bytes.len() as u64;
    header(Role::Mark, 0).encode(b"", &frame_seed(), end, &mut bytes);
    let (at, found) = find_frame(&bytes, OFFSET, OFFSET, &frame_seed()).unwrap();
    assert_eq!((at, at + found.frame_len()), (OFFSET, end));
    // Even when the outer header is lost and one has to look through its body.
    bytes[5] ^= 1;
    let (at, found) = find_frame(&bytes, OFFSET, OFFSET, &frame_seed()).unwrap();
    assert_eq!((at, found.role), (end, Role::Mark));
}
