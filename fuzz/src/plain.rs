//! What the command's page says of lines, JSON and times, done slowly and apart from the command.

/// The lines of `input`, each `None` if it is longer than `bytes_max`.
pub fn lines(input: &[u8], bytes_max: usize) -> Vec<Option<Vec<u8>>> {
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    for byte in input {
        match byte {
            b'\n' => lines.push(Vec::new()),
            other => lines.last_mut().expect("there is always one").push(*other),
        }
    }
    // What follows the last newline is a line only if it is something.
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    lines.into_iter().map(|line| (line.len() <= bytes_max).then_some(line)).collect()
}

/// Whether `text` is one JSON value (RFC 8259) between white space, of any depth. A `\u` escape may be half of a
/// character, as in the RFC's grammar.
pub fn is_json(text: &str) -> bool {
    let mut rest = text.as_bytes();
    // The brackets that are open, the innermost last.
    let mut open: Vec<u8> = Vec::new();
    let mut may_close = false;
    loop {
        // A value, or the end of an empty array or object.
        rest = rest.trim_ascii_start_json();
        let Some((first, after)) = rest.split_first() else { return false };
        let mut is_done = true;
        match first {
            b']' if may_close && open.last() == Some(&b'[') => {
                open.pop();
                rest = after;
            }
            b'[' => {
                open.push(b'[');
                (rest, may_close, is_done) = (after, true, false);
            }
            b'{' => {
                rest = after.trim_ascii_start_json();
                if let Some(after) = rest.strip_prefix(b"}") {
                    rest = after;
                } else {
                    let Some(after) = name(rest) else { return false };
                    open.push(b'{');
                    (rest, may_close, is_done) = (after, false, false);
                }
            }
            _ => match scalar(rest) {
                Some(after) => rest = after,
                None => return false,
            },
        }
        if !is_done {
            continue;
        }
        // What follows a value: brackets that end, and then a comma or nothing.
        loop {
            rest = rest.trim_ascii_start_json();
            match (open.last(), rest.split_first()) {
                (None, rest) => return rest.is_none(),
                (Some(b'['), Some((b']', after))) | (Some(b'{'), Some((b'}', after))) => {
                    open.pop();
                    rest = after;
                }
                (Some(bracket), Some((b',', after))) => {
                    rest = after;
                    if *bracket == b'{' {
                        let Some(after) = name(rest.trim_ascii_start_json()) else { return false };
                        rest = after;
                    }
                    may_close = false;
                    break;
                }
                _ => return false,
            }
        }
    }
}

trait Trim {
    fn trim_ascii_start_json(&self) -> &Self;
}

impl Trim for [u8] {
    fn trim_ascii_start_json(&self) -> &Self {
        let end = self.iter().position(|byte| ![b' ', b'\t', b'\n', b'\r'].contains(byte)).unwrap_or(self.len());
        &self[end..]
    }
}

/// What follows a string and a colon.
fn name(rest: &[u8]) -> Option<&[u8]> {
    string(rest)?.trim_ascii_start_json().strip_prefix(b":")
}

fn scalar(rest: &[u8]) -> Option<&[u8]> {
    for word in [&b"true"[..], b"false", b"null"] {
        if let Some(rest) = rest.strip_prefix(word) {
            return Some(rest);
        }
    }
    if rest.first() == Some(&b'"') { string(rest) } else { number(rest) }
}

fn string(rest: &[u8]) -> Option<&[u8]> {
    let mut rest = rest.strip_prefix(b"\"")?;
    loop {
        let (first, after) = rest.split_first()?;
        rest = match first {
            b'"' => return Some(after),
            b'\\' => match after.split_first()? {
                (b'u', hex) => {
                    let (digits, after) = hex.split_at_checked(4)?;
                    digits.iter().all(u8::is_ascii_hexdigit).then_some(after)?
                }
                (letter, after) => b"\"\\/bfnrt".contains(letter).then_some(after)?,
            },
            0..0x20 => return None,
            _ => after,
        }
    }
}

fn digits(rest: &[u8]) -> Option<&[u8]> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then(|| &rest[count..])
}

fn number(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let mut rest = match rest.strip_prefix(b"0") {
        Some(rest) => rest,
        None => digits(rest)?,
    };
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = digits(fraction)?;
    }
    if let Some((b'e' | b'E', exponent)) = rest.split_first() {
        let unsigned = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        rest = digits(unsigned)?;
    }
    Some(rest)
}

/// Nanoseconds that the JSON number `text` is as an epoch time, if any time is.
pub fn epoch(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |text| ("-", text));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if (whole.to_owned() + fraction).chars().all(|digit| digit == '0') {
        return Some(0);
    }
    // Once every digit is well beyond all times, on either side of the point, going on makes no difference.
    let zeros_max = text.len() as i64 + 40;
    let exponent = exponent.parse().unwrap_or(if exponent.starts_with('-') { -zeros_max } else { zeros_max });
    // The point is moved digit by digit.
    let (mut whole, mut fraction) = (whole.to_owned(), fraction.to_owned());
    for _ in 0..i64::clamp(exponent, -zeros_max, zeros_max).abs() {
        if exponent > 0 {
            whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
        } else {
            fraction.insert(0, whole.pop().unwrap_or('0'));
        }
    }
    let whole = whole.trim_start_matches('0');
    let shift = match whole.len() {
        0..=11 => 9,
        12..=14 => 6,
        15..=17 => 3,
        _ => 0,
    };
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(shift).collect();
    let nanoseconds = format!("{whole}{fraction}");
    let nanoseconds = nanoseconds.trim_start_matches('0');
    if nanoseconds.is_empty() { Some(0) } else { format!("{sign}{nanoseconds}").parse().ok() }
}

/// Nanoseconds of an RFC 3339 time, if `text` is one; `None` inside for one that lies outside all times, or that names a
/// leap second, of which the page says nothing.
pub fn rfc3339(text: &str) -> Option<Option<i64>> {
    let bytes = text.as_bytes();
    let number = |range: std::ops::Range<usize>| -> Option<i128> {
        let digits = bytes.get(range)?;
        digits.iter().all(u8::is_ascii_digit).then(|| String::from_utf8_lossy(digits).parse().ok())?
    };
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|byte| any.contains(byte));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let mut at = 19;
    let mut fraction = String::new();
    if is(at, b".") {
        at += 1;
        while is(at, b"0123456789") {
            fraction.push(char::from(bytes[at]));
            at += 1;
        }
        if fraction.is_empty() {
            return None;
        }
    }
    let offset_minutes = match bytes.get(at)? {
        b'Z' | b'z' if bytes.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == at + 6 && is(at + 3, b":") => {
            let (hours, minutes) = (number(at + 1..at + 3)?, number(at + 4..at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let minutes = 60 * hours + minutes;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let is_leap = |year: i128| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if !(1..=12).contains(&month) || !(1..=month_days[month as usize - 1]).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if second == 60 {
        return Some(None);
    }
    let year_days = |year| if is_leap(year) { 366 } else { 365 };
    let mut days = day - 1 + month_days[..month as usize - 1].iter().sum::<i128>();
    days += (1970..year).map(year_days).sum::<i128>() - (year..1970).map(year_days).sum::<i128>();
    let seconds = ((days * 24 + hour) * 60 + minute - offset_minutes) * 60 + second;
    let nanoseconds: i128 = fraction.chars().chain(std::iter::repeat('0')).take(9).collect::<String>().parse().ok()?;
    Some(i64::try_from(seconds * 1_000_000_000 + nanoseconds).ok())
}
