//! Unsigned integers in groups of seven bits, least significant first (LEB128), in the one shortest form.

use crate::WireError;
use crate::fields::Fields;

/// Bytes of the longest encoding, that of `u64::MAX`.
pub(crate) const VARINT_LEN_MAX: usize = 10;

pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn take(fields: &mut Fields<'_>, field: &'static str) -> Result<u64, WireError> {
    let mut value = 0_u64;
    for index in 0..VARINT_LEN_MAX {
        let byte = fields.u8()?;
        let bits = u64::from(byte & 0x7f);
        // The tenth group has room for one bit.
        if index == VARINT_LEN_MAX - 1 && bits > 1 {
            return Err(fields.invalid(field, u64::from(byte)));
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            // A last group of zero would make a second encoding of the same value.
            return if byte == 0 && index > 0 { Err(fields.invalid(field, 0)) } else { Ok(value) };
        }
    }
    Err(fields.invalid(field, value))
}

pub(crate) fn take_u32(fields: &mut Fields<'_>, field: &'static str) -> Result<u32, WireError> {
    let value = take(fields, field)?;
    u32::try_from(value).map_err(|_| fields.invalid(field, value))
}

/// Maps small differences of either sign to small numbers.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_round_trips_and_no_longer_form_is_taken() {
        let samples = (0..64).flat_map(|shift| [1_u64 << shift, (1 << shift) - 1, !(1 << shift)]).chain([u64::MAX]);
        for value in samples {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            let mut fields = Fields::new("test", &bytes);
            assert_eq!(take(&mut fields, "value"), Ok(value));
            assert!(fields.end().is_ok());
            if bytes.len() < VARINT_LEN_MAX {
                *bytes.last_mut().unwrap() |= 0x80;
                bytes.push(0);
                assert!(take(&mut Fields::new("test", &bytes), "value").is_err(), "overlong {value}");
            }
            assert_eq!(zigzag(unzigzag(value)), value);
        }
        assert_eq!([0, -1, 1, -2].map(zigzag), [0, 1, 2, 3]);
        assert!(take(&mut Fields::new("test", &[0xff; 10]), "value").is_err());
        assert!(take(&mut Fields::new("test", &[0x80; 3]), "value").is_err());
    }
}
