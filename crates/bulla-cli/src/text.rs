//! Text of records made safe for a terminal.
//!
//! # Invariants
//!
//! - S1. What `escape` gives holds no control character, no character that turns the direction of writing around, and
//!   none that is invisible: whoever wrote the record cannot move the cursor, forge a line or hide a word.
//! - S2. Everything else stays as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `bytes` as text, with `\n`, `\xff` and `\u{1b}` in place of what a terminal must not see.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_unsafe(character) {
                out.extend(character.escape_default());
            } else {
                out.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// So many gaps, in words.
pub(crate) fn count_gaps(count: u64) -> String {
    format!("{count} {}", if count == 1 { "gap" } else { "gaps" })
}

/// JSON text with the same characters as `\u` escapes, which leaves its meaning alone: outside strings JSON has none
/// of them.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    // Nearly all JSON is plain, and this look at it is much cheaper than the other.
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for character in json.chars() {
        if is_unsafe(character) {
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

fn is_unsafe(character: char) -> bool {
    let is_invisible = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    );
    character.is_control() || is_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S1 and S2.
    #[test]
    fn nothing_reaches_a_terminal_that_it_would_obey() {
        let table: [(&[u8], &str); 6] = [
            ("plain \\ \"text\" é 文".as_bytes(), "plain \\ \"text\" é 文"),
            (b"a\x1b[2Jb", "a\\u{1b}[2Jb"),
            (b"a\r\n\tb\0", "a\\r\\n\\tb\\u{0}"),
            (b"\xff\xc3", "\\xff\\xc3"),
            ("\u{202e}\u{9b}".as_bytes(), "\\u{202e}\\u{9b}"),
            ("\u{e0041}".as_bytes(), "\\u{e0041}"),
        ];
        for (bytes, expected) in table {
            assert_eq!(escape(bytes), expected);
        }
    }

    #[test]
    fn escaped_json_says_the_same() {
        let value = serde_json::json!({ "t": "\u{7f}\u{9b}\u{202e}\u{e0041}\u{1b}é" });
        let json = value.to_string();
        let escaped = escape_json(&json);
        assert!(!escaped.chars().any(is_unsafe), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).expect("JSON"), value);
    }
}
