//! The second reader reads the vectors of docs/FORMAT.md, and refuses them with any bit flipped or any byte cut off.

use std::collections::BTreeMap;
use std::path::Path;

use bulla_reference::{
    Body, Break, Entry, Event, Footer, Genesis, Header, Journal, Read, Recovery, Refused, Row, Seal, SegmentHeader,
    Verdict, crc32, frame, is_name, page, records, row, scan,
};

/// The blocks of hex digits in docs/FORMAT.md, by name.
fn vectors() -> BTreeMap<String, Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/FORMAT.md");
    let text = std::fs::read_to_string(path).expect("the document is there");
    let mut vectors = BTreeMap::new();
    for block in text.split("```hex ").skip(1) {
        let (name, rest) = block.split_once('\n').expect("a name ends its line");
        let (digits, _) = rest.split_once("```").expect("a block ends");
        vectors.insert(name.to_owned(), unhex(digits));
    }
    vectors
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(&String::from_iter(pair), 16));
    pairs.collect::<Result<_, _>>().expect("hex digits")
}

fn counted<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|index| first + index as u8)
}

/// The vectors of frames lie in the segment of `segment_header`; this is the file up to one at `offset`.
fn file_with(vectors: &BTreeMap<String, Vec<u8>>, name: &str, offset: usize) -> (SegmentHeader, Vec<u8>) {
    let mut file = vectors["segment_header"].clone();
    let segment = SegmentHeader::read(&file).expect("the vector is a header");
    file.resize(offset, 0);
    file.extend(&vectors[name]);
    (segment, file)
}

#[test]
fn the_checksum_is_that_of_the_nine_digits() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn segment_headers_say_what_the_text_says() {
    let vectors = vectors();
    let empty = SegmentHeader::read(&vectors["segment_header_empty"]).expect("a header");
    assert_eq!((empty.log, empty.secret, empty.epoch, empty.base), (counted(0x10), counted(0x20), 1, 0));
    assert_eq!((empty.number, empty.floor, empty.prune, empty.erasable), (0, 0, None, false));
    let header = SegmentHeader::read(&vectors["segment_header"]).expect("a header");
    assert_eq!((header.number, header.base, header.floor, header.prune), (1, 11, 4, Some(9)));
    assert_eq!((header.erasable, header.epoch, header.root), (true, 2, counted(0x40)));
    assert_eq!(header.frontier, [counted(0x60), counted(0x80), counted(0xa0)]);
    every_harm_is_refused(&vectors["segment_header"], SegmentHeader::read);
}

/// Every byte of these is under a checksum or must be zero.
fn every_harm_is_refused<T: std::fmt::Debug>(bytes: &[u8], read: impl Fn(&[u8]) -> Read<T>) {
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        read(&flipped).expect_err("a flipped bit passed");
    }
    for len in 0..bytes.len() {
        read(&bytes[..len]).expect_err("a part passed for the whole");
    }
}

#[test]
fn frames_say_what_the_text_says() {
    let vectors = vectors();
    for (name, offset, flags, record_count) in [
        ("frame_data", 224, 0, 2),
        ("frame_more", 224, 1, 1),
        ("frame_mark", 4416, 2, 0),
        ("frame_index", 4416, 4, 0),
        ("frame_footer", 4544, 8, 0),
        ("frame_close", 4544, 16, 0),
    ] {
        let (segment, file) = file_with(&vectors, name, offset);
        let Header { flags: found, codec, record_count: count, epoch, .. } =
            Header::read(&file, offset, &segment).expect(name);
        assert_eq!((found, codec, count, epoch), (flags, 0, record_count, 2), "{name}");
        every_harm_is_refused(&vectors[name], |bytes| frame(&[&file[..offset], bytes].concat(), offset, &segment));
        frame(&[&file[..offset], &[0; 8], &vectors[name]].concat(), offset + 8, &segment).expect_err("a frame moved");
    }
}

#[test]
fn records_say_what_the_text_says() {
    let vectors = vectors();
    let (segment, file) = file_with(&vectors, "frame_data", 224);
    let data = frame(&file, 224, &segment).expect("a frame");
    let (both, outcome) = records(&data.header, &data.body);
    assert_eq!((both.len(), outcome), (2, Ok(())));
    assert_eq!((both[0].position, both[0].kind, both[0].time), (11, 129, 1_700_000_000_123_456_788));
    assert_eq!((both[1].position, both[1].kind, both[1].schema, both[1].time), (12, 0, 3, 1_700_000_000_123_456_789));
    assert_eq!(both[1].body, Body::Payload(None, b"bulla".to_vec()));

    let one = Header { record_count: 1, ..data.header };
    for (name, salted, body) in [
        ("record_plain", false, Body::Payload(None, b"bulla".to_vec())),
        ("record_salted", true, Body::Payload(Some(counted(0xa0)), b"bulla".to_vec())),
        ("record_redacted", true, Body::Redacted(counted(0xc0))),
    ] {
        let (records, outcome) = records(&one, &vectors[name]);
        assert_eq!(
            (outcome, records[0].salted, records[0].len, &records[0].body),
            (Ok(()), salted, 5, &body),
            "{name}"
        );
        assert!(bulla_reference::records(&one, &[&vectors[name][..], &[0]].concat()).1.is_err());
    }
}

#[test]
fn index_and_summary_say_what_the_text_says() {
    let vectors = vectors();
    let (segment, file) = file_with(&vectors, "frame_index", 4416);
    let entries = page(&frame(&file, 4416, &segment).expect("a frame").body).expect("a page");
    assert_eq!([(entries[0].first, entries[0].offset), (entries[1].first, entries[1].offset)], [(11, 224), (12, 4320)]);
    for name in ["frame_footer", "frame_close"] {
        let (segment, file) = file_with(&vectors, name, 4544);
        let footer = Footer::read(&frame(&file, 4544, &segment).expect("a frame").body, 4544).expect("a footer");
        assert_eq!((footer.base, footer.end, footer.caller_count, footer.payload_bytes), (11, 13, 1, 5));
        assert_eq!((footer.floor, footer.prune, footer.data_end), (4, Some(9), 4416));
        assert!(footer.pages.len() == 1 && footer.pages[0].is_of(&entries));
        assert_eq!(footer.frontier.len(), 3);
    }
}

#[test]
fn engine_records_and_entries_say_what_the_text_says() {
    let vectors = vectors();
    let genesis = Genesis::read(&vectors["genesis"]).expect("a genesis");
    assert_eq!((genesis.log, genesis.origin.as_str()), (counted(0x10), "acme/logins/10111213"));
    let predecessor = genesis.predecessor.expect("it continues a log");
    assert_eq!((predecessor.head.0, predecessor.reason.as_str()), (41, "repaired"));
    let seal = Seal::read(&vectors["seal"]).expect("a seal");
    assert_eq!((seal.segment, seal.base, seal.end, seal.caller_count, seal.payload_bytes), (1, 41, 62, 20, 4000));
    assert_eq!(seal.journal, Some((5, counted(0x80))));
    let recovery = Recovery::read(&vectors["recovery"]).expect("a recovery record");
    assert_eq!((recovery.segment, recovery.offset, recovery.position), (1, 8192, 62));
    assert_eq!((recovery.quarantined_bytes, recovery.may_have_been_acknowledged), (300, true));
    let broken = Break::read(&vectors["break"]).expect("a break record");
    assert_eq!((broken.source, broken.lost, broken.more), (counted(0x30), (41, 62), true));
    assert_eq!((broken.resumes_at, broken.head.0, broken.head.1), (u64::MAX, 7, counted(0x60)));
    assert_eq!((broken.cause.as_str(), broken.who.as_str()), ("bit rot", "ana"));
    let entry = Entry::read(vectors["entry"].first_chunk().expect("54 bytes")).expect("an entry");
    assert_eq!((entry.kind, entry.salted, entry.schema, entry.position), (0, false, 3, 7));

    for version in [0, 2, 255] {
        let expected = if version == 0 { Refused::Wrong } else { Refused::Newer };
        let with_version = |name: &str| [&[version], &vectors[name][1..]].concat();
        assert_eq!(Genesis::read(&with_version("genesis")).err(), Some(expected));
        assert_eq!(Seal::read(&with_version("seal")).err(), Some(expected));
        assert_eq!(Recovery::read(&with_version("recovery")).err(), Some(expected));
        assert_eq!(Break::read(&with_version("break")).err(), Some(expected));
    }
}

/// The frames of the document, one behind the other as in its examples.
#[test]
fn a_segment_is_scanned_to_its_verdict() {
    let vectors = vectors();
    let (segment, file) = file_with(&vectors, "frame_data", 224);
    let whole = scan(&file, &segment).expect("nothing newer");
    assert_eq!((whole.end, whole.end_offset, whole.proven_end, whole.epoch), (13, 320, 11, 2));
    assert_eq!((whole.verdict, whole.caller_count, whole.payload_bytes), (Verdict::Whole, 1, 5));
    assert_eq!(whole.entries.len(), 1);

    let verdict = |tail: &[u8]| scan(&[&file[..], tail].concat(), &segment).map(|scan| (scan.verdict, scan.end));
    assert_eq!(verdict(&[0; 100]), Ok((Verdict::Whole, 13)));
    assert_eq!(verdict(b"torn"), Ok((Verdict::Torn, 13)));
    let cut = scan(&file[..file.len() - 1], &segment).expect("nothing newer");
    assert_eq!((cut.verdict, cut.end, cut.end_offset), (Verdict::Torn, 11, 224));

    // The mark at 4416 says that everything below 13 was durable.
    let (_, mut marked) = file_with(&vectors, "frame_mark", 4416);
    let lost = scan(&marked, &segment).expect("nothing newer");
    assert_eq!((lost.verdict, lost.end, lost.proven_end), (Verdict::Damaged, 11, 13));
    marked[4416] ^= 1;
    assert_eq!(scan(&marked, &segment).expect("nothing newer").verdict, Verdict::Torn);

    // A run without its last frame.
    let (_, run) = file_with(&vectors, "frame_more", 224);
    let run = scan(&run, &segment).expect("nothing newer");
    assert_eq!((run.verdict, run.end, run.end_offset), (Verdict::Torn, 11, 224));
}

#[test]
fn journal_rows_are_those_of_the_text_and_add_up() {
    let (id, root) = ("aa".repeat(16), "ee".repeat(32));
    let rows = [
        "00 04 73686f70 00".to_owned(),
        format!("01 06 6c6f67696e73 {id} 08 706f737463617264 01 01"),
        "02 01 74 ac02".to_owned(),
        format!("03 {id} ac02 {root}"),
        format!("04 04 73686f70 01 808004 01 01 74 {id} 03 726177 00 01 02 01 02 01 ac02 {root}"),
    ];
    let rows: Vec<Row> = rows.iter().map(|hex| row(1, &unhex(hex)).expect(hex)).collect();
    assert!(matches!(&rows[2], Row::SchemaSeen { schema: 300, .. }));
    let Row::State { tables, segment_bytes: Some(65_536), .. } = &rows[4] else { panic!("{:?}", rows[4]) };
    assert_eq!((tables[0].created, &tables[0].schemas[..]), (-1, &[1, 2][..]));

    let mut journal = Journal::default();
    journal.take(&rows[1], 5).expect_err("no store yet");
    journal.take(&rows[0], 5).expect("the store");
    journal.take(&rows[1], 5).expect("the table");
    journal.take(&rows[2], 5).expect_err("no table t");
    journal.take(&rows[3], 5).expect("a head");
    journal.take(&rows[3], 5).expect_err("the same head");
    journal.take(&rows[4], 5).expect_err("another sum");
    Journal::default().take(&rows[4], 5).expect("a beginning");

    assert_eq!(row(2, &unhex("00 04 73686f70 00")), Err(Refused::Newer));
    assert_eq!(row(1, &[5, 9]), Err(Refused::Newer));
    assert_eq!(row(1, &unhex("84 00 04 73686f70 00 00")), Err(Refused::Wrong));
    assert!(is_name("a-1._") && !is_name(".a") && !is_name("A") && !is_name("") && !is_name(&"a".repeat(65)));
}

#[test]
fn an_event_row_is_that_of_the_text() {
    let bytes = unhex("01 61 01 62 01 63 02 6e6f 01 64 01 02 7b7d 01 05 6c61746572 01 78");
    let event = Event::read(&bytes).expect("an event");
    assert_eq!((event.actor.as_str(), event.outcome.as_str(), event.detail.as_deref()), ("a", "no", Some("{}")));
    assert_eq!(event.extra, [("later".to_owned(), "x".to_owned())]);
    Event::read(&[&bytes[..], &[0]].concat()).expect_err("a byte is left over");
    let unordered = unhex("00 00 00 00 00 00 02 01 62 00 01 61 00");
    Event::read(&unordered).expect_err("names out of order");
}
