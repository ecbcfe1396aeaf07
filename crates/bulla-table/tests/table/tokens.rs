//! Tokens as texts: E1, E2, and what they refuse.

use crate::support::{Disk, fill, table};
use bulla_log::LogOptions;
use bulla_table::{CursorToken, Log, Order, ParseTokenError, Position, RawTable, Schema, TableError};

/// Log id 1 sixteen times, descending, edge 0x0102.
const GOLDEN: &str = "0101010101010101010101010101010101010201000000000000";

fn token(table: &RawTable, order: Order) -> CursorToken {
    table.query().order(order).limit(3).page().unwrap().next.unwrap()
}

#[test]
fn a_token_is_one_text_and_a_string_under_serde() {
    let table = table();
    fill(&table, 1, 20);
    for order in [Order::Ascending, Order::Descending] {
        let token = token(&table, order);
        let text = token.to_string();
        assert!(text.bytes().all(|character| character.is_ascii_alphanumeric()), "{text} is safe in URLs");
        assert_eq!(text.parse(), Ok(token));
        let json = serde_json::to_string(&token).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<CursorToken>(&json).unwrap(), token);
    }
    let error = serde_json::from_str::<CursorToken>("\"01\"").unwrap_err();
    assert!(error.to_string().contains("a cursor is 60 digits"), "{error}");
}

#[test]
fn the_text_stays_what_it_is() {
    let table: RawTable = table();
    table.append_batch(&vec![vec![0]; 0x110]).unwrap();
    let range = Position(0)..Position(0x103);
    let mut rows = table.query().positions(range).descending().iter().unwrap();
    rows.next().unwrap().unwrap();
    let text = rows.token().to_string();
    assert_eq!((&text[..52], text.len()), (GOLDEN, 60));
}

/// E2.
#[test]
fn no_mistyped_character_passes() {
    let table = table();
    fill(&table, 2, 20);
    let text = token(&table, Order::Descending).to_string();
    for at in 0..text.len() {
        for replacement in "0123456789abcdefA g".chars() {
            let mut mistyped = text.clone();
            mistyped.replace_range(at..=at, &replacement.to_string());
            if mistyped == text {
                continue;
            }
            let error = mistyped.parse::<CursorToken>().expect_err(&mistyped);
            let expected = match at {
                0..2 => matches!(error, ParseTokenError::Newer { .. } | ParseTokenError::NotAToken),
                _ if "A g".contains(replacement) => error == ParseTokenError::NotAToken,
                _ => matches!(error, ParseTokenError::Checksum { stored, computed } if stored != computed),
            };
            assert!(expected, "{mistyped}: {error:?}");
        }
    }
    let swapped = format!("{}{}{}{}", &text[..34], &text[36..38], &text[34..36], &text[38..]);
    assert_ne!(swapped, text);
    for other in ["", "01", "0", &text[1..], &text[..59], &format!("{text}0"), &format!(" {text}"), &swapped, "ÄÖÜ"]
    {
        assert!(other.parse::<CursorToken>().is_err(), "{other:?}");
    }
    assert_eq!(format!("02{}", "0".repeat(80)).parse::<CursorToken>(), Err(ParseTokenError::Newer { version: 2 }));
}

#[test]
fn tokens_of_another_log_or_direction_are_refused() {
    let disk = Disk::new();
    let (one, other): (RawTable, RawTable) = (disk.table(1), disk.table(2));
    fill(&one, 3, 20);
    fill(&other, 3, 20);
    let token = token(&one, Order::Descending);
    let error = other.query().descending().after(&token).page().unwrap_err();
    assert!(
        matches!(&error, TableError::TokenOfOtherLog { found, expected, .. } if found.0 == [1; 16] && expected.0 == [2; 16]),
        "{error}"
    );
    let error = one.query().after(&token).iter().map(drop).unwrap_err();
    assert!(
        matches!(error, TableError::TokenOfOtherOrder { found: Order::Descending, expected: Order::Ascending, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("newest first"), "{error}");
    assert!(one.query().after(&token).descending().rows().is_ok(), "the order may be given after the token");
}

/// For those who walk by themselves: the same token as a query's, and the way back.
#[test]
fn a_token_is_made_of_a_place_and_gives_it_back() {
    let disk = Disk::new();
    let (one, other): (RawTable, RawTable) = (disk.table(1), disk.table(2));
    fill(&one, 5, 20);
    for (order, place) in [(Order::Ascending, Position(4)), (Order::Descending, one.next_position())] {
        let token = one.token(order, place);
        assert_eq!(one.place(order, &token).unwrap(), place);
        assert!(matches!(other.place(order, &token), Err(TableError::TokenOfOtherLog { .. })));
        let nothing = one.query().order(order).after(&token).limit(0).rows().unwrap();
        assert_eq!(nothing.token(), token);
    }
    let token = one.token(Order::Ascending, Position(4));
    assert!(matches!(one.place(Order::Descending, &token), Err(TableError::TokenOfOtherOrder { .. })));
}

#[test]
fn a_token_is_good_after_reopening() {
    let disk = Disk::new();
    let table: RawTable = disk.table(1);
    let model = fill(&table, 4, 30);
    let tokens = [Order::Ascending, Order::Descending].map(|order| (order, token(&table, order).to_string()));
    table.log().close().unwrap();

    let log = Log::open(&disk.host, &Disk::dir(1), &LogOptions::new()).unwrap();
    let table: RawTable = crate::support::table_on(log, Schema::default());
    for (order, text) in tokens {
        let rest = table.query().order(order).after(&text.parse().unwrap()).page().unwrap();
        assert_eq!((rest.entries.len(), rest.next), (model.len() - 3, None), "{order:?}");
    }
}
