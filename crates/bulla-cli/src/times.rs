//! Times: text and numbers to nanoseconds since the Unix epoch, and back.
//!
//! # Invariants
//!
//! - M1. What `show` writes, `from_text` reads back exactly.
//! - M2. A number is exact: no rounding through floating point; digits below a nanosecond are dropped.
//! - M3. A time that i64 nanoseconds cannot hold (1677-09-21 to 2262-04-11) is refused, never clamped.

use bulla::Time;

/// The time as RFC 3339 in UTC, with as many digits of a second as it has.
pub(crate) fn show(time: Time) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time.0))
        .expect("BUG: i64 nanoseconds lie within jiff's years")
        .to_string()
}

/// An RFC 3339 time, with any offset.
pub(crate) fn from_text(text: &str) -> Result<Time, String> {
    let bad = || format!("{:?} is not an RFC 3339 time", shortened(text));
    let (second, fraction, offset) = parts(text).ok_or_else(bad)?;
    let fraction = fraction.get(..NANOSECOND_DIGITS).unwrap_or(fraction);
    let timestamp: jiff::Timestamp = format!("{second}{fraction}{offset}").parse().map_err(|_| bad())?;
    in_range(timestamp.as_nanosecond(), text)
}

/// A time up to its second, the fraction with its point, and the offset, if `text` has the form of RFC 3339: jiff takes
/// other forms of ISO 8601 as well.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let (second, rest) = text.split_at_checked("0000-00-00T00:00:00".len())?;
    let digits = rest.strip_prefix('.').map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let (fraction, offset) = rest.split_at_checked(rest.len() - digits.len())?;
    let has_form = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't' | b' '),
                _ => byte == form,
            })
    };
    let is_offset = ["Z", "z", "+00:00", "-00:00"].iter().any(|form| has_form(offset, form));
    (has_form(second, "0000-00-00T00:00:00") && is_offset && fraction != ".").then_some((second, fraction, offset))
}

/// The point and the digits of a fraction that say something about nanoseconds.
const NANOSECOND_DIGITS: usize = 10;

/// What a message quotes of a line that may be long.
fn shortened(text: &str) -> &str {
    text.char_indices().nth(80).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// A JSON number as an epoch time; its magnitude tells the unit: below 10^11 seconds, below 10^14 milliseconds, below
/// 10^17 microseconds, else nanoseconds.
pub(crate) fn from_number(text: &str) -> Result<Time, String> {
    let bad = || format!("{} is not an epoch time", shortened(text));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| bad())?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.get(..fraction.len().min(FRACTION_DIGITS_MAX)).ok_or_else(bad)?;
    let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| bad())?;
    let fraction_digits = i32::try_from(fraction.len()).map_err(|_| bad())?;
    let exponent = exponent.checked_sub(fraction_digits).ok_or_else(bad)?;

    let reaches =
        |power: i32| scaled(digits, exponent).is_none_or(|value| value.abs() >= 10_i128.pow(power.unsigned_abs()));
    let nanoseconds_digits = match () {
        () if !reaches(11) => 9,
        () if !reaches(14) => 6,
        () if !reaches(17) => 3,
        () => 0,
    };
    let nanoseconds = scaled(digits, exponent.saturating_add(nanoseconds_digits));
    in_range(nanoseconds.unwrap_or(i128::MAX), text)
}

/// More digits after the point than this say nothing about nanoseconds.
const FRACTION_DIGITS_MAX: usize = 18;

/// `digits` × 10^`exponent`, cut towards zero; `None` if it is beyond all times.
fn scaled(digits: i128, exponent: i32) -> Option<i128> {
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    if exponent < 0 { Some(power.map_or(0, |power| digits / power)) } else { digits.checked_mul(power?) }
}

fn in_range(nanoseconds: i128, text: &str) -> Result<Time, String> {
    let outside = |_| format!("time {} lies outside 1677-09-21 to 2262-04-11", shortened(text));
    i64::try_from(nanoseconds).map(Time).map_err(outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_magnitude_of_a_number_tells_its_unit() {
        let table = [
            ("0", Some(0)),
            ("-1", Some(-1_000_000_000)),
            ("1688990400", Some(1_688_990_400_000_000_000)),
            ("1688990400.123456789", Some(1_688_990_400_123_456_789)),
            ("1688990400.1234567899999999999999999", Some(1_688_990_400_123_456_789)),
            ("1.6889904e9", Some(1_688_990_400_000_000_000)),
            ("99999999999", None),
            ("9223372036", Some(9_223_372_036_000_000_000)),
            ("9223372037", None),
            ("100000000000", Some(100_000_000_000_000_000)),
            ("1688990400123", Some(1_688_990_400_123_000_000)),
            ("1688990400123.5", Some(1_688_990_400_123_500_000)),
            ("1688990400123456", Some(1_688_990_400_123_456_000)),
            ("1688990400123456789", Some(1_688_990_400_123_456_789)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1e999999999", None),
            ("1e99999999999", None),
            ("1e-999999999", Some(0)),
            ("123456789012345678901234567890123456789012", None),
        ];
        for (text, expected) in table {
            assert_eq!(from_number(text).ok().map(|time| time.0), expected, "{text}");
        }
    }

    /// M1 and M3.
    #[test]
    fn text_is_rfc_3339_with_an_offset() {
        let table = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T02:00:00.000000001+02:00", Some(1)),
            ("2023-07-10T12:00:00.25-00:30", Some(1_688_992_200_250_000_000)),
            ("2023-07-10T12:00:00", None),
            ("2023-07-10", None),
            ("2023-07-10 12:00:00z", Some(1_688_990_400_000_000_000)),
            ("2023-07-10T12:00:00.1234567899999Z", Some(1_688_990_400_123_456_789)),
            ("2023-07-10T12:00:00.Z", None),
            ("2023-07-10T12:00:00,5Z", None),
            ("2023-07-10T12Z", None),
            ("20230710T120000Z", None),
            ("+002023-07-10T12:00:00Z", None),
            ("2023-07-10T12:00:00+0200", None),
            ("2023-07-10T12:00:00+02:00[Europe/Rome]", None),
            ("2023-07-10T12:00:0\u{e9}Z", None),
            ("yesterday", None),
            ("", None),
            ("2300-01-01T00:00:00Z", None),
            ("0001-01-01T00:00:00Z", None),
        ];
        for (text, expected) in table {
            assert_eq!(from_text(text).ok().map(|time| time.0), expected, "{text}");
        }
        for nanoseconds in [i64::MIN, -1, 0, 1, 1_500_000_000, i64::MAX] {
            assert_eq!(from_text(&show(Time(nanoseconds))), Ok(Time(nanoseconds)));
        }
    }
}
