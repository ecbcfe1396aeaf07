//! A row for those who want no type of their own: who did what to what, from where, and how it went.
//!
//! # Invariants
//!
//! - E1. The six fields keep their places and meaning for ever under [`EVENT_SCHEMA`]. What a later version adds goes
//!   into `extra` by name, so that every version reads every other's events and gives back what it does not know.
//! - E2. One event has one encoding: the names in `extra` rise, or the row is refused.

use bulla_wire::SchemaId;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The schema of [`Event`] rows, which is the one tables have when nothing else is asked for.
pub const EVENT_SCHEMA: SchemaId = SchemaId(1);

/// One thing somebody did. When it happened is the row's time, not a field.
///
/// Forward-compatible: postcard rows name no fields, so the fields here never change, and [`extra`](Self::extra) takes
/// whatever a later version, or the caller, has to add. Rows of another shape belong under another schema id, with an
/// [`Upgrade`](crate::Upgrade) that turns the older ones into the newer.
///
/// # Examples
///
/// ```
/// use bulla::{Event, Store};
///
/// let store = Store::in_memory()?;
/// let trail = store.table::<Event>("trail")?;
/// let event = Event::new("ana", "delete", "invoice/17")
///     .outcome("denied")
///     .origin("10.0.0.7")
///     .detail(r#"{"reason":"no right"}"#)
///     .extra("request", "a1b2");
/// let position = trail.append(&event)?;
/// assert_eq!(trail.get(position)?.map(|entry| entry.row), Some(event));
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// Who: a user, a service, a key.
    pub actor: String,
    /// What they did: a verb.
    pub action: String,
    /// To what.
    pub object: String,
    /// How it went, `ok` unless something else is said.
    pub outcome: String,
    /// From where: an address, a host, a session. Empty when unknown.
    pub origin: String,
    /// Anything more, as JSON text. Kept as given; nothing here parses it.
    pub detail: Option<String>,
    /// Named texts that later versions, or the caller, add.
    #[serde(deserialize_with = "rising")]
    pub extra: BTreeMap<String, String>,
}

impl Event {
    /// An event with the outcome `ok` and nothing more.
    #[must_use]
    pub fn new(actor: impl Into<String>, action: impl Into<String>, object: impl Into<String>) -> Self {
        Self {
            actor: actor.into(),
            action: action.into(),
            object: object.into(),
            outcome: String::from("ok"),
            ..Self::default()
        }
    }

    /// Says how it went.
    #[must_use]
    pub fn outcome(mut self, outcome: impl Into<String>) -> Self {
        self.outcome = outcome.into();
        self
    }

    /// Says from where.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Adds JSON text.
    #[must_use]
    pub fn detail(mut self, json: impl Into<String>) -> Self {
        self.detail = Some(json.into());
        self
    }

    /// Adds one named text, in place of one of the same name.
    #[must_use]
    pub fn extra(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.extra.insert(name.into(), text.into());
        self
    }
}

/// E2. A map takes its entries in any order, so the same event would have several byte strings.
fn rising<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Rising;

    impl<'de> Visitor<'de> for Rising {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("texts under names that rise")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((name, text)) = entries.next_entry::<String, String>()? {
                if map.last_key_value().is_some_and(|(last, _)| *last >= name) {
                    return Err(A::Error::custom("the names in `extra` do not rise"));
                }
                map.insert(name, text);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Rising)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulla_table::{Codec, Postcard};

    /// E1. Written down once and never changed: an event of this version, and one with a field of a later one.
    #[test]
    fn the_bytes_of_an_event_never_change() {
        let table = [
            (Event::new("a", "b", "c"), &b"\x01a\x01b\x01c\x02ok\0\0\0"[..]),
            (
                Event::new("a", "b", "c").outcome("no").origin("d").detail("{}").extra("later", "x"),
                &b"\x01a\x01b\x01c\x02no\x01d\x01\x02{}\x01\x05later\x01x"[..],
            ),
        ];
        for (event, expected) in table {
            let mut bytes = Vec::new();
            Postcard::encode(&event, &mut bytes).unwrap();
            assert_eq!(bytes, expected);
            let read: Event = Postcard::decode(&bytes).unwrap();
            assert_eq!(read, event);
        }
    }

    /// E2. An event whose names in `extra` fell was read as the event in which they rise, so that two rows with other
    /// bytes, and other leaves in the tree, were the same event. A fuzzer found it.
    #[test]
    fn names_that_do_not_rise_are_refused() {
        let row = |extra: &[u8]| [b"\x01a\x01b\x01c\x02ok\0\0\x02", extra].concat();
        Postcard::decode(&row(b"\x01x\0\x01y\0")).map(|_: Event| ()).unwrap();
        for fallen in [b"\x01y\0\x01x\0", b"\x01x\0\x01x\0"] {
            assert!(<Postcard as Codec<Event>>::decode(&row(fallen)).is_err(), "{fallen:?}");
        }
    }
}
