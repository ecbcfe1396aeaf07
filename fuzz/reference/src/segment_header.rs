//! "Segment header".

use crate::bytes::{Bytes, bits_set, crc32};
use crate::{Read, Refused, must};

/// The fields, in the order of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct SegmentHeader {
    pub erasable: bool,
    pub epoch: u32,
    pub log: [u8; 16],
    pub secret: [u8; 16],
    pub number: u64,
    pub base: u64,
    pub floor: u64,
    pub prune: Option<u64>,
    pub root: [u8; 32],
    pub frontier: Vec<[u8; 32]>,
}

impl SegmentHeader {
    /// The header at the start of `file`.
    pub fn read(file: &[u8]) -> Read<Self> {
        let mut bytes = Bytes(file);
        must(bytes.take(8)? == [0x89, 0x42, 0x55, 0x4c, 0x0d, 0x0a, 0x1a, 0x0a])?;
        match bytes.u16()? {
            0 => return Err(Refused::Wrong),
            1 => {}
            _ => return Err(Refused::Newer),
        }
        // The checksum next: how far it reaches follows from the base alone.
        let base = Bytes(file.get(56..).unwrap_or_default()).u64()?;
        let covered = 120 + 32 * bits_set(base) as usize;
        let stored = Bytes(file.get(covered..).unwrap_or_default()).u32()?;
        must(crc32(&file[..covered]) == stored)?;

        let flags = bytes.u16()?;
        if flags > 1 {
            return Err(Refused::Newer);
        }
        let epoch = bytes.u32()?;
        let (log, secret) = (bytes.array()?, bytes.array()?);
        let (number, base, floor, prune) = (bytes.u64()?, bytes.u64()?, bytes.u64()?, bytes.u64()?);
        must(floor <= base)?;
        let root = bytes.array()?;
        must(u64::from(bytes.u32()?) == bits_set(base))?;
        bytes.zeros(4)?;
        let frontier = bytes.digests(bits_set(base))?;
        bytes.take(4)?;
        bytes.zeros(4)?;
        let prune = if prune == u64::MAX { None } else { Some(prune) };
        Ok(Self { erasable: flags == 1, epoch, log, secret, number, base, floor, prune, root, frontier })
    }

    /// Where the first frame begins.
    pub fn frames_offset(&self) -> usize {
        128 + 32 * self.frontier.len()
    }
}
