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
    let is_offset = ["Z", "z", "+00:00", "-00:00"].iter().any(|form| has_form(offset, form))
        && offset.get(1..3).is_none_or(|hours| hours < "24");
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
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (is_negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |mantissa| (true, mantissa));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // The value is 0.DIGITS × 10^point, and DIGITS do not begin with a zero.
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(Time(0));
    }
    // An exponent too large to be read is beyond all times on the side its sign says.
    let far = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
    let before_point = i64::try_from(whole.len()).map_err(|_| bad())?;
    let zeros = i64::try_from(digits.len() - significant.len()).map_err(|_| bad())?;
    let point = exponent.parse().unwrap_or(far).saturating_add(before_point - zeros);

    let unit_digits = match point {
        ..=11 => 9,
        12..=14 => 6,
        15..=17 => 3,
        _ => 0,
    };
    // i64 nanoseconds have nineteen digits.
    let Ok(count @ 1..=19) = usize::try_from(point.saturating_add(unit_digits)) else {
        return if point > 0 { in_range(i128::MAX, text) } else { Ok(Time(0)) };
    };
    let nanoseconds: String = significant.chars().chain(std::iter::repeat('0')).take(count).collect();
    let nanoseconds: i128 = nanoseconds.parse().map_err(|_| bad())?;
    in_range(if is_negative { -nanoseconds } else { nanoseconds }, text)
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
            ("1e99999999999999999999", None),
            ("1e-999999999", Some(0)),
            ("-1.5", Some(-1_500_000_000)),
            ("0.0000000009", Some(0)),
            ("1E+9", Some(1_000_000_000_000_000_000)),
            ("123456789012345678901234567890123456789012", None),
        ];
        for (text, expected) in table {
            assert_eq!(from_number(text).ok().map(|time| time.0), expected, "{text}");
        }
    }

    /// M2. Digits behind the eighteenth after the point were dropped before the exponent was looked at, so that a small
    /// fraction with a large exponent was the year 1970; and many digits, or a zero with a large exponent, were refused.
    #[test]
    fn a_number_is_exact_however_it_is_written() {
        let table = [
            ("0.00000000000000000016889904e28", Some(1_688_990_400_000_000_000)),
            ("16889904000000000000000000000000000000000000e-34", Some(1_688_990_400_000_000_000)),
            ("0.000000000000000000000000000000e99999999999", Some(0)),
            ("-0e-99999999999999999999", Some(0)),
            ("1e-99999999999999999999", Some(0)),
            ("0.00000000001688990400123e23", Some(1_688_990_400_123_000_000)),
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
            ("2023-07-10T12:00:00+23:59", Some(1_688_904_060_000_000_000)),
            ("2023-07-10T12:00:00+24:00", None),
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
