//! One field of a JSON line, found without building the rest.
//!
//! # Invariants
//!
//! - J1. The whole line is validated, whether or not the field is found early; nothing may follow the value.
//! - J2. No recursion deeper than the path has dots, whatever the line holds.

use crate::times;
use bulla::Time;
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The time in the field that `path` names, with dots between the names of nested fields.
///
/// A field whose own name has dots in it is found too. Of two fields with the same name the last counts.
pub(crate) fn time_in(line: &str, path: &str) -> Result<Time, String> {
    let field = find(line, path).map_err(|error| not_json(&error))?;
    let value = field.ok_or_else(|| format!("no time field {path:?}"))?.get();
    let time = match value.as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(value).map_err(|error| not_json(&error))?;
            times::from_text(&text)
        }
        Some(b'-' | b'0'..=b'9') => times::from_number(value),
        _ => Err("neither a string nor a number".to_owned()),
    };
    time.map_err(|what| format!("time field {path:?}: {what}"))
}

/// Whether `line` is one JSON value and nothing else.
pub(crate) fn check(line: &str) -> Result<(), String> {
    serde_json::from_str::<IgnoredAny>(line).map(drop).map_err(|error| not_json(&error))
}

/// serde_json counts lines; ours are counted elsewhere, so only the column is left in the message.
fn not_json(error: &serde_json::Error) -> String {
    format!("not JSON: {}", error.to_string().replace(" at line 1 column ", " at column "))
}

fn find<'a>(text: &'a str, path: &str) -> Result<Option<&'a RawValue>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    if !text.trim_start().starts_with('{') {
        IgnoredAny::deserialize(&mut deserializer)?;
        deserializer.end()?;
        return Ok(None);
    }
    let found = deserializer.deserialize_map(Object { path })?;
    deserializer.end()?;
    Ok(found)
}

/// Walks one object and hands back the field at `path` below it.
struct Object<'p> {
    path: &'p str,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key_seed(Name { path: self.path })? {
            match name {
                Match::Whole => found = Some(map.next_value()?),
                Match::Below(path) => {
                    let value: &RawValue = map.next_value()?;
                    found = find(value.get(), path).map_err(A::Error::custom)?.or(found);
                }
                Match::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// How a field's name stands to the path.
enum Match<'p> {
    Whole,
    Below(&'p str),
    Other,
}

/// Compares a field's name with the path as it is read, so that no name is copied.
struct Name<'p> {
    path: &'p str,
}

impl<'de, 'p> DeserializeSeed<'de> for Name<'p> {
    type Value = Match<'p>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Name<'p> {
    type Value = Match<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(match self.path.strip_prefix(name) {
            Some("") => Match::Whole,
            Some(rest) => rest.strip_prefix('.').map_or(Match::Other, Match::Below),
            None => Match::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_found_however_deep_and_whatever_its_name() {
        let table = [
            (r#"{"t":1}"#, "t", Some(1)),
            (r#"{"@timestamp":1}"#, "@timestamp", Some(1)),
            (r#"{"a":{"b":{"c":2}}}"#, "a.b.c", Some(2)),
            (r#"{"a.b":{"c":2}}"#, "a.b.c", Some(2)),
            (r#"{"a.b.c":2}"#, "a.b.c", Some(2)),
            (r#"{"a":[{"b":9}],"a.b":3}"#, "a.b", Some(3)),
            (r#"{"t":1,"t":2}"#, "t", Some(2)),
            (r#"{"\u0074":4}"#, "t", Some(4)),
            (r#" {"x":{"t":7},"t" : 5 } "#, "t", Some(5)),
            (r#"{"t":null}"#, "t", None),
            (r#"{"t":true}"#, "t", None),
            (r#"{"a":{"b":1}}"#, "a", None),
            (r#"{"time":1}"#, "t", None),
            (r#"{"t":1}"#, "t.x", None),
            ("[1]", "t", None),
            ("5", "t", None),
        ];
        for (line, path, expected) in table {
            let found = time_in(line, path).ok().map(|time| time.0 / 1_000_000_000);
            assert_eq!(found, expected, "{path} in {line}");
        }
        assert_eq!(time_in(r#"{"t":"1970-01-01T00:00:01Z"}"#, "t"), Ok(Time(1_000_000_000)));
        assert!(time_in(r#"{"t":"1688990400"}"#, "t").is_err(), "a number in quotes is neither form");
    }

    /// J1 and J2.
    #[test]
    fn the_whole_line_must_be_one_json_value() {
        for line in ["", " ", "{", r#"{"t":1}}"#, r#"{"t":1} 2"#, r#"{"t":1,}"#, r#"{"t":1,"u":tru}"#, r#"{"t":01}"#] {
            assert!(check(line).is_err(), "{line}");
            assert!(time_in(line, "t").is_err(), "{line}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(check(&deep).is_ok());
        assert_eq!(time_in(&format!(r#"{{"u":{deep},"t":1}}"#), "t"), Ok(Time(1_000_000_000)));
        assert!(time_in(&format!(r#"{{"t":{deep}}}"#), "t").is_err());
    }
}
