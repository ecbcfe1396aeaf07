use super::*;
use crate::Time;
use crate::testing::Random;

const OFFSET: u64 = 1 << 20;
/// Where fields of the body begin.
const END: usize = 16;
const CALLER_COUNT: usize = 32;
const TIMES: usize = 48;
const PAGE_COUNT: usize = 144;
const FRONTIER_COUNT: usize = 148;
const PAGES: usize = 152;

fn footer(page_count: u64, end: u64) -> Footer {
    let page = |index: u64| PageRef {
        first: Position(100 + 10 * index),
        times: TimeBounds { min: Time(-3), max: Time(index.cast_signed()) },
        offset: 4096 + 64 * index,
        entry_count: 1 + index as u32,
    };
    Footer {
        number: SegmentNumber(4),
        base: Position(100),
        end: Position(end),
        data_end: 4096,
        caller_count: (end - 100) / 2,
        payload_bytes: 12_345,
        times: TimeBounds { min: Time(-3), max: Time(9) },
        floor: Position(50),
        prune: (page_count > 0).then_some(Position(60)),
        index_digest: [0xd1; 32],
        root: [0x77; 32],
        pages: (0..page_count).map(page).collect(),
        frontier: (0..end.count_ones()).map(|index| [index as u8; 32]).collect(),
        offset: OFFSET,
    }
}

/// T1 and T3.
#[test]
fn footers_round_trip_and_their_length_is_a_multiple_of_8() {
    for (page_count, end) in [(0, 100), (1, 101), (3, 255), (300, u64::MAX)] {
        let expected = footer(page_count, end);
        let body = expected.encode();
        assert_eq!(body.len() % 8, 0);
        assert_eq!(Footer::decode(&body, OFFSET), Ok(expected));
        let last = body.last_chunk().unwrap();
        assert_eq!(Footer::trailer_offset(last), Some(OFFSET));
    }
}

#[test]
fn sixteen_bytes_without_the_magic_are_no_trailer() {
    let mut last = [0; 16];
    last[8..].copy_from_slice(&TRAILER_MAGIC);
    assert_eq!(Footer::trailer_offset(&last), Some(0));
    for place in 8..16 {
        let mut changed = last;
        changed[place] ^= 1;
        assert_eq!(Footer::trailer_offset(&changed), None, "byte {place}");
    }
}

#[test]
fn a_cut_or_longer_body_is_refused() {
    let body = footer(3, 255).encode();
    for len in 0..body.len() {
        let error = Footer::decode(&body[..len], OFFSET).unwrap_err();
        assert!(matches!(error, WireError::Short { .. }), "cut to {len}: {error}");
    }
    assert!(Footer::decode(&[body, vec![0; 8]].concat(), OFFSET).is_err());
}

/// Counts that promise more than the body holds are refused before anything of their size is allocated: the largest
/// page count taken needs as many bytes as a footer may have.
#[test]
fn an_edited_field_is_refused() {
    let (end, most) = (255, FOOTER_BODY_MAX / PAGE_LEN as u32);
    let page = |at: usize| PAGES + PAGE_LEN + at;
    for (at, field, expected) in [
        (END, 99_u64.to_le_bytes().to_vec(), "end below its base"),
        (END, 256_u64.to_le_bytes().to_vec(), "frontier count"),
        (CALLER_COUNT, (end - 99_u64).to_le_bytes().to_vec(), "caller count"),
        (CALLER_COUNT, u64::MAX.to_le_bytes().to_vec(), "caller count"),
        (TIMES, 10_u64.to_le_bytes().to_vec(), "crossed time bounds"),
        (PAGE_COUNT, (most + 1).to_le_bytes().to_vec(), "page count"),
        (PAGE_COUNT, u32::MAX.to_le_bytes().to_vec(), "page count"),
        (PAGE_COUNT, most.to_le_bytes().to_vec(), "needs"),
        (PAGE_COUNT, 4_u32.to_le_bytes().to_vec(), ""),
        (PAGE_COUNT, 2_u32.to_le_bytes().to_vec(), ""),
        (FRONTIER_COUNT, 7_u32.to_le_bytes().to_vec(), "frontier count"),
        (FRONTIER_COUNT, u32::MAX.to_le_bytes().to_vec(), "frontier count"),
        (page(0), 100_u64.to_le_bytes().to_vec(), "page out of order"),
        (page(0), 99_u64.to_le_bytes().to_vec(), "page out of order"),
        (page(0), 255_u64.to_le_bytes().to_vec(), "page out of order"),
        (page(8), 2_u64.to_le_bytes().to_vec(), "crossed time bounds"),
        (page(24), 4095_u64.to_le_bytes().to_vec(), "page out of order"),
        (page(24), 4096_u64.to_le_bytes().to_vec(), "page out of order"),
        (page(PAGE_LEN + 24), OFFSET.to_le_bytes().to_vec(), "page out of order"),
        (page(32), 0_u32.to_le_bytes().to_vec(), "entry count"),
        (page(32), (INDEX_PAGE_ENTRIES_MAX + 1).to_le_bytes().to_vec(), "entry count"),
        (page(36), vec![1], "reserved"),
    ] {
        let mut body = footer(3, end).encode();
        body[at..at + field.len()].copy_from_slice(&field);
        let error = Footer::decode(&body, OFFSET).expect_err("an edited field passed").to_string();
        assert!(error.contains(expected), "{at} {field:?}: {error}");
    }
    let error = Footer::decode(&footer(3, end).encode(), OFFSET + 8).unwrap_err().to_string();
    assert!(error.contains("offset"), "{error}");
}

/// Each bound of a page by itself, on a footer whose one page has no other to be out of order with: records from the
/// base on and below the end, bytes from the end of data on and below the footer, entries from one to a full page.
#[test]
fn a_page_lies_within_the_segment_and_before_its_footer() {
    let decode = |page: PageRef| {
        let footer = Footer { pages: vec![page], ..footer(1, 255) };
        Footer::decode(&footer.encode(), OFFSET)
    };
    let page = footer(1, 255).pages[0];
    for (page, holds) in [
        (PageRef { first: Position(99), ..page }, false),
        (PageRef { first: Position(100), ..page }, true),
        (PageRef { first: Position(254), ..page }, true),
        (PageRef { first: Position(255), ..page }, false),
        (PageRef { offset: 4095, ..page }, false),
        (PageRef { offset: 4096, ..page }, true),
        (PageRef { offset: OFFSET - 1, ..page }, true),
        (PageRef { offset: OFFSET, ..page }, false),
        (PageRef { entry_count: 0, ..page }, false),
        (PageRef { entry_count: 1, ..page }, true),
        (PageRef { entry_count: INDEX_PAGE_ENTRIES_MAX, ..page }, true),
        (PageRef { entry_count: INDEX_PAGE_ENTRIES_MAX + 1, ..page }, false),
    ] {
        let decoded = decode(page);
        assert_eq!(decoded.is_ok(), holds, "{page:?}: {decoded:?}");
    }
}

/// L6: any bytes are refused or decode, and then encode to themselves.
#[test]
fn random_damage_is_refused_or_means_something_else() {
    for number in 0..2000 {
        let mut random = Random::new(number);
        let mut body = footer(random.below(4), 200 + random.below(100)).encode();
        for _ in 0..=random.below(3) {
            let place = random.below(body.len() as u64) as usize;
            body[place] = random.next_u64() as u8;
        }
        if let Ok(footer) = Footer::decode(&body, OFFSET) {
            assert_eq!(footer.encode(), body, "seed {number}");
        }
    }
}

#[test]
fn a_page_reference_spans_its_entries() {
    assert_eq!(PageRef::of(&[], 8), None);
    let entry = |first, min, max| IndexEntry {
        first: Position(first),
        times: TimeBounds { min: Time(min), max: Time(max) },
        offset: 128,
    };
    let entries = [entry(3, 5, 6), IndexEntry { times: TimeBounds::EMPTY, ..entry(4, 0, 0) }, entry(5, -1, 0)];
    let expected =
        PageRef { first: Position(3), times: TimeBounds { min: Time(-1), max: Time(6) }, offset: 512, entry_count: 3 };
    assert_eq!(PageRef::of(&entries, 512), Some(expected));
}
