//! Any bytes as a row: decoding never panics, and what it accepts is the one encoding of the row it gives; as an event,
//! also what the format says of one.
#![no_main]

use bulla::Event;
use bulla_table::{Codec, Postcard, Raw};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};

/// Something of everything postcard knows, but for maps, whose entries it takes in any order, and for types within
/// themselves, which it would follow to any depth.
#[derive(Serialize, Deserialize)]
enum Row {
    Unit,
    Integers(u8, i8, u16, i16, u32, i32, u64, i64, u128, i128),
    Others { truth: bool, letter: char, small: f32, large: f64 },
    Text(String),
    Nested(Option<Box<Inner>>, Vec<Inner>),
    Fixed([u16; 3], (bool, String)),
    Inner(Inner),
}

#[derive(Serialize, Deserialize)]
enum Inner {
    Nothing,
    Bytes(Vec<u8>),
    Choice(Result<u64, String>),
}

fuzz_target!(|bytes: &[u8]| {
    let mut again = Vec::new();
    if let Ok(row) = <Postcard as Codec<Row>>::decode(bytes) {
        Postcard::encode(&row, &mut again).expect("a decoded row can be encoded");
        assert_eq!(again, bytes, "two byte strings are one row");
        again.clear();
    }
    let event = <Postcard as Codec<Event>>::decode(bytes);
    let expected = bulla_reference::Event::read(bytes);
    assert_eq!(event.as_ref().ok().map(in_other_words), expected.ok(), "{event:?}");
    if let Ok(event) = event {
        Postcard::encode(&event, &mut again).expect("a decoded event can be encoded");
        assert_eq!(again, bytes, "two byte strings are one event");
        again.clear();
    }
    let row = <Raw as Codec<Vec<u8>>>::decode(bytes).expect("any bytes are a raw row");
    Raw::encode(&row, &mut again).expect("a raw row is its bytes");
    assert_eq!(again, bytes);
});

fn in_other_words(event: &Event) -> bulla_reference::Event {
    bulla_reference::Event {
        actor: event.actor.clone(),
        action: event.action.clone(),
        object: event.object.clone(),
        outcome: event.outcome.clone(),
        origin: event.origin.clone(),
        detail: event.detail.clone(),
        extra: event.extra.clone().into_iter().collect(),
    }
}
