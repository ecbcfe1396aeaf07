//! Reading and writing the fixed-width fields of a structure, little-endian.

use crate::{Position, Time, TimeBounds, WireError};

/// Takes fields off the front of a slice; every error names the structure.
pub(crate) struct Fields<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(WireError::Short {
            what: self.what,
            needed: len as u64,
            available: self.rest.len() as u64,
        })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.bytes(N)?.try_into().map_err(|_| self.invalid("length", N as u64))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn position(&mut self) -> Result<Position, WireError> {
        self.u64().map(Position)
    }

    /// Two times; crossed ones must be the one empty value.
    pub(crate) fn times(&mut self) -> Result<TimeBounds, WireError> {
        let min = Time(self.array().map(i64::from_le_bytes)?);
        let max = Time(self.array().map(i64::from_le_bytes)?);
        let times = TimeBounds { min, max };
        if times.is_empty() && times != TimeBounds::EMPTY {
            return Err(self.invalid("crossed time bounds from", min.0.cast_unsigned()));
        }
        Ok(times)
    }

    /// Reserved bytes: zero, or the structure is refused.
    pub(crate) fn zeros(&mut self, len: usize, field: &'static str) -> Result<(), WireError> {
        match self.bytes(len)?.iter().find(|byte| **byte != 0) {
            Some(byte) => Err(self.invalid(field, u64::from(*byte))),
            None => Ok(()),
        }
    }

    /// No byte is left.
    pub(crate) fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.invalid("leftover bytes", self.rest.len() as u64)) }
    }

    pub(crate) fn invalid(&self, field: &'static str, value: u64) -> WireError {
        WireError::Invalid { what: self.what, field, value }
    }
}

pub(crate) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_times(out: &mut Vec<u8>, times: TimeBounds) {
    out.extend_from_slice(&times.min.0.to_le_bytes());
    out.extend_from_slice(&times.max.0.to_le_bytes());
}
