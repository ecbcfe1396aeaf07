//! Bytes that never change. `BULLA_BLESS=1` writes the files anew; a difference afterwards is a change of the format.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test reads its own files, and the environment says when to write them"
)]

use std::path::{Path, PathBuf};
use std::{env, fs};

use bulla_wire::{
    Codec, Content, Epoch, Footer, FrameBuilder, FrameHeader, FramePlace, FrameSeed, IndexEntry, Kind, LogId,
    NewRecord, PageRef, Position, Record, Records, Role, SchemaId, SegmentHeader, SegmentNumber, SpineHeader, Time,
    TimeBounds, WireError, decode_page, encode_page,
};

/// Where the frames lie, unless a vector says otherwise: right after [`segment_header`].
const OFFSET: u64 = 224;
/// Root of the tree without leaves: SHA-256 of no bytes.
const EMPTY_ROOT: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];
const TIME: i64 = 1_700_000_000_123_456_789;

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The bytes in the hex digits of `text`, without the lines that begin with `#`.
fn unhex(text: &str) -> Vec<u8> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let digits: Vec<u8> = lines.flat_map(str::bytes).filter(|byte| !byte.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "half a byte");
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Compares `bytes` with the golden file `name`, whose first line says what they are.
fn check(name: &str, what: &str, bytes: &[u8]) {
    let path = golden_dir().join(format!("{name}.hex"));
    let lines = bytes.chunks(32).map(|line| line.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")));
    let text = lines.fold(format!("# {what}\n"), |text, line| text + &line + "\n");
    if env::var_os("BULLA_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, &text).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap();
    assert_eq!(text, stored, "{name} is not what {} holds", path.display());
    assert_eq!(unhex(&stored), bytes);
}

fn counted<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|index| first + index as u8)
}

fn segment_header() -> SegmentHeader {
    SegmentHeader {
        log: LogId(counted(0x10)),
        secret: counted(0x20),
        number: SegmentNumber(1),
        base: Position(11),
        floor: Position(4),
        prune: Some(Position(9)),
        epoch: Epoch(2),
        erasable: true,
        root: counted(0x40),
        frontier: vec![counted(0x60), counted(0x80), counted(0xa0)],
    }
}

fn seed() -> FrameSeed {
    segment_header().seed()
}

fn row(salt: Option<[u8; 16]>) -> NewRecord<'static> {
    NewRecord { kind: Kind::ROW, time: Time(TIME), schema: SchemaId(3), salt, payload: b"bulla" }
}

/// Header, body and encoding of a data frame.
fn data_frame(records: &[NewRecord<'_>], more: bool) -> (FrameHeader, Vec<u8>, Vec<u8>) {
    let mut builder = FrameBuilder::default();
    for record in records {
        builder.push(record);
    }
    let seed = seed();
    let place = FramePlace {
        seed: &seed,
        offset: OFFSET,
        epoch: Epoch(2),
        base: Position(11),
        durable_end: Position(11),
        more,
    };
    let mut bytes = Vec::new();
    let header = builder.finish(&place, &mut bytes);
    let body = check_frame(&bytes, OFFSET, &header);
    (header, body, bytes)
}

/// A frame that holds no records, at `offset` of a segment whose durable end is 13.
fn bare_frame(role: Role, body: &[u8], offset: u64) -> Vec<u8> {
    let header = FrameHeader {
        role,
        codec: Codec::None,
        stored_len: body.len() as u32,
        plain_len: body.len() as u32,
        record_count: 0,
        epoch: Epoch(2),
        base: Position(13),
        durable_end: Position(13),
        times: TimeBounds::EMPTY,
        body_checksum: seed().checksum(offset, body),
    };
    let mut bytes = Vec::new();
    header.encode(body, &seed(), offset, &mut bytes);
    assert_eq!(check_frame(&bytes, offset, &header), body);
    bytes
}

/// Decodes `bytes`, compares the header, and gives the body.
fn check_frame(bytes: &[u8], offset: u64, expected: &FrameHeader) -> Vec<u8> {
    let header = FrameHeader::decode(bytes, &seed(), offset).unwrap();
    assert_eq!((&header, header.frame_len()), (expected, bytes.len() as u64));
    let body = header.check_body(&bytes[64..], &seed(), offset).unwrap();
    header.plain_body(body).unwrap().to_vec()
}

fn index_entries() -> [IndexEntry; 2] {
    let bounds = |min, max| TimeBounds { min: Time(min), max: Time(max) };
    [
        IndexEntry { first: Position(11), times: TimeBounds::EMPTY, offset: OFFSET },
        IndexEntry { first: Position(12), times: bounds(TIME, TIME + 1), offset: 4320 },
    ]
}

fn footer(offset: u64) -> Footer {
    Footer {
        number: SegmentNumber(1),
        base: Position(11),
        end: Position(13),
        data_end: 4416,
        caller_count: 1,
        payload_bytes: 5,
        times: TimeBounds { min: Time(TIME), max: Time(TIME + 1) },
        floor: Position(4),
        prune: Some(Position(9)),
        index_digest: counted(0x50),
        root: counted(0x70),
        pages: vec![PageRef::of(&index_entries(), 4416).unwrap()],
        frontier: vec![counted(0x90), counted(0xb0), counted(0xd0)],
        offset,
    }
}

#[test]
fn segment_headers() {
    let empty = SegmentHeader {
        number: SegmentNumber(0),
        base: Position(0),
        floor: Position(0),
        prune: None,
        epoch: Epoch(1),
        erasable: false,
        root: EMPTY_ROOT,
        frontier: Vec::new(),
        ..segment_header()
    };
    for (name, what, header) in [
        ("segment_header_empty", "header of segment 0 of an empty log", empty),
        ("segment_header", "header of segment 1 of a pruned erasable log, base 11", segment_header()),
    ] {
        let bytes = header.encode();
        check(name, what, &bytes);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
    }
}

#[test]
fn data_frames() {
    let seal = NewRecord { kind: Kind::SEAL, time: Time(TIME - 1), schema: SchemaId(0), salt: None, payload: b"seal" };
    let (header, body, bytes) = data_frame(&[seal, row(None)], false);
    check("frame_data", "frame with a record of kind 129 and one of kind 0, schema 3", &bytes);
    let found: Vec<_> = Records::new(&header, &body).map(Result::unwrap).map(|record| record.kind).collect();
    assert_eq!(found, [Kind::SEAL, Kind::ROW]);
    assert_eq!(header.times, TimeBounds { min: Time(TIME), max: Time(TIME) });
    let (header, _, bytes) = data_frame(&[row(None)], true);
    check("frame_more", "first frame of a run", &bytes);
    assert_eq!(header.role, Role::Data { more: true });
}

#[test]
fn frames_without_records() {
    check("frame_mark", "mark at offset 4416", &bare_frame(Role::Mark, b"", 4416));
    let mut page = Vec::new();
    encode_page(&index_entries(), &mut page);
    assert_eq!(decode_page(&page).unwrap(), index_entries());
    check("frame_index", "index frame at offset 4416 with two entries", &bare_frame(Role::Index, &page, 4416));
    let body = footer(4544).encode();
    assert_eq!(Footer::decode(&body, 4544), Ok(footer(4544)));
    for (name, what, role) in [
        ("frame_footer", "footer frame at offset 4544, the end of a sealed segment", Role::Footer),
        ("frame_close", "close frame at offset 4544, the end of a closed active segment", Role::Close),
    ] {
        let bytes = bare_frame(role, &body, 4544);
        assert_eq!(Footer::trailer_offset(bytes.last_chunk().unwrap()), Some(4544));
        check(name, what, &bytes);
    }
}

#[test]
fn records() {
    let salt = counted(0xa0);
    let digest = counted(0xc0);
    let redacted = [&[12 + 2, 3][..], &body_of(row(None))[2..11], &[5], &digest].concat();
    let plain = Content::Payload { salt: None, bytes: b"bulla" };
    for (name, what, body, content) in [
        ("record_plain", "record of kind 0, schema 3, payload bulla", body_of(row(None)), plain),
        (
            "record_salted",
            "the same with the salt a0 to af",
            body_of(row(Some(salt))),
            Content::Payload { salt: Some(&salt), bytes: b"bulla" },
        ),
        (
            "record_redacted",
            "the same once its payload was erased; body digest c0 to df",
            redacted,
            Content::Redacted { len: 5, digest: &digest },
        ),
    ] {
        check(name, what, &body);
        let (header, ..) = data_frame(&[row(None)], false);
        let expected = Record {
            position: Position(11),
            kind: Kind::ROW,
            time: Time(TIME),
            schema: SchemaId(3),
            salted: name != "record_plain",
            content,
        };
        let found: Vec<Result<Record<'_>, WireError>> = Records::new(&header, &body).collect();
        assert_eq!(found, [Ok(expected)], "{name}");
    }
}

fn body_of(record: NewRecord<'_>) -> Vec<u8> {
    data_frame(&[record], false).1
}

#[test]
fn spine_header_bytes() {
    let header = SpineHeader { log: LogId(counted(0x10)) };
    let bytes = header.encode();
    check("spine", "header of the spine of log 10 to 1f", &bytes);
    assert_eq!(SpineHeader::decode(&bytes), Ok(header));
}

/// Every block ```` ```hex NAME ```` of the description holds what the golden file NAME does, and none is left out.
#[test]
fn the_description_shows_these_bytes() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A package taken out of its repository has no description beside it.
    let Ok(description) = fs::read_to_string(manifest.join("../../docs/FORMAT.md")) else { return };
    let mut shown = Vec::new();
    for block in description.split("```hex ").skip(1) {
        let (name, rest) = block.split_once('\n').unwrap();
        let (digits, _) = rest.split_once("```").unwrap();
        let file = format!("{name}.hex");
        let places = [golden_dir(), manifest.join("../bulla-chain/tests/golden")].map(|folder| folder.join(&file));
        let path = places.iter().find(|path| path.exists()).unwrap_or_else(|| panic!("no golden file {name}"));
        let golden = unhex(&fs::read_to_string(path).unwrap());
        assert_eq!(unhex(digits), golden, "the block {name} of FORMAT.md differs from its golden file");
        shown.push(file);
    }
    for file in fs::read_dir(golden_dir()).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        assert!(shown.contains(&file), "{file} is not in FORMAT.md");
    }
}
