//! Integers, checksums, varints and times: "Conventions and limits", and "Record" for varints.

use crate::{Read, must, refuse};

/// Time bounds as they are stored: least and greatest.
pub type Times = (i64, i64);

/// The bounds of no time at all.
pub(crate) const NO_TIMES: Times = (i64::MAX, i64::MIN);

/// CRC-32/ISO-HDLC, bit by bit: the polynomial 0x04c11db7 reflected.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut register = 0xffff_ffff_u32;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            let low = register & 1;
            register >>= 1;
            if low == 1 {
                register ^= 0xedb8_8320;
            }
        }
    }
    register ^ 0xffff_ffff
}

/// The seeded checksum of `bytes` in the frame at `offset`.
pub fn seeded(secret: &[u8; 16], segment: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut all = secret.to_vec();
    all.extend(segment.to_le_bytes());
    all.extend(offset.to_le_bytes());
    all.extend(bytes);
    crc32(&all)
}

/// Bytes that are taken from the front.
#[derive(Clone)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    pub(crate) fn take(&mut self, count: u64) -> Read<Vec<u8>> {
        if count > self.0.len() as u64 {
            return refuse();
        }
        let (taken, rest) = self.0.split_at(count as usize);
        self.0 = rest;
        Ok(taken.to_vec())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let taken = self.take(N as u64)?;
        Ok(std::array::from_fn(|index| taken[index]))
    }

    /// An unsigned integer of `width` bytes, least significant first.
    fn number(&mut self, width: u32) -> Read<u64> {
        let mut value = 0;
        for place in 0..width {
            value += u64::from(self.u8()?) << (8 * place);
        }
        Ok(value)
    }

    pub(crate) fn u8(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u16(&mut self) -> Read<u16> {
        Ok(self.number(2)? as u16)
    }

    pub(crate) fn u32(&mut self) -> Read<u32> {
        Ok(self.number(4)? as u32)
    }

    pub(crate) fn u64(&mut self) -> Read<u64> {
        self.number(8)
    }

    pub(crate) fn i64(&mut self) -> Read<i64> {
        Ok(self.number(8)? as i64)
    }

    /// Time bounds; of crossed ones only the empty pair is any.
    pub(crate) fn times(&mut self) -> Read<Times> {
        let times = (self.i64()?, self.i64()?);
        must(times.0 <= times.1 || times == NO_TIMES)?;
        Ok(times)
    }

    pub(crate) fn zeros(&mut self, count: u64) -> Read<()> {
        must(self.take(count)?.iter().all(|byte| *byte == 0))
    }

    pub(crate) fn end(&self) -> Read<()> {
        must(self.0.is_empty())
    }

    /// The shortest varint of a value that fits `bits`.
    pub(crate) fn varint(&mut self, bits: u32) -> Read<u64> {
        let (mut value, mut count) = (0_u128, 0);
        loop {
            let byte = self.u8()?;
            value |= u128::from(byte & 0x7f) << (7 * count);
            count += 1;
            if byte & 0x80 == 0 {
                must(byte != 0 || count == 1)?;
                must(value < 1 << bits)?;
                return Ok(value as u64);
            }
            must(count < 10)?;
        }
    }

    /// A signed integer as an unsigned varint: 0, -1, 1, -2 and so on are 0, 1, 2, 3.
    pub(crate) fn signed(&mut self) -> Read<i64> {
        let value = i128::from(self.varint(64)?);
        let signed = if value % 2 == 0 { value / 2 } else { -(value + 1) / 2 };
        Ok(signed as i64)
    }

    pub(crate) fn digests(&mut self, count: u64) -> Read<Vec<[u8; 32]>> {
        (0..count).map(|_| self.array()).collect()
    }
}

/// How many bits of `value` are set.
pub(crate) fn bits_set(value: u64) -> u64 {
    (0..64).map(|bit| value >> bit & 1).sum()
}
