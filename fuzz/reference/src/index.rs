//! "Index page", and "Footer and close frame".

use crate::bytes::{Bytes, NO_TIMES, Times, bits_set};
use crate::{Read, must};

/// One entry of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct PageEntry {
    pub first: u64,
    pub times: Times,
    pub offset: u64,
}

/// The entries of an index frame's body.
pub fn page(body: &[u8]) -> Read<Vec<PageEntry>> {
    let count = body.len() / 32;
    must(body.len() == 32 * count && (1..=512).contains(&count))?;
    let (mut logical, mut physical) = (Bytes(&body[..24 * count]), Bytes(&body[24 * count..]));
    let mut entries: Vec<PageEntry> = Vec::new();
    for _ in 0..count {
        let entry = PageEntry { first: logical.u64()?, times: logical.times()?, offset: physical.u64()? };
        if let Some(before) = entries.last() {
            must(entry.first > before.first && entry.offset >= before.offset)?;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// A page reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Page {
    pub first: u64,
    pub times: Times,
    pub offset: u64,
    pub entry_count: u32,
}

impl Page {
    /// Whether the page at the reference's offset may hold `entries`.
    pub fn is_of(&self, entries: &[PageEntry]) -> bool {
        let mut times = NO_TIMES;
        for entry in entries {
            times = (times.0.min(entry.times.0), times.1.max(entry.times.1));
        }
        entries.len() == self.entry_count as usize && entries[0].first == self.first && times == self.times
    }
}

/// The body of a footer or close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub struct Footer {
    pub number: u64,
    pub base: u64,
    pub end: u64,
    pub data_end: u64,
    pub caller_count: u64,
    pub payload_bytes: u64,
    pub times: Times,
    pub floor: u64,
    pub prune: Option<u64>,
    pub index_digest: [u8; 32],
    pub root: [u8; 32],
    pub pages: Vec<Page>,
    pub frontier: Vec<[u8; 32]>,
}

impl Footer {
    /// The body of the frame at `offset`.
    pub fn read(body: &[u8], offset: u64) -> Read<Self> {
        let mut bytes = Bytes(body);
        let (number, base, end, data_end) = (bytes.u64()?, bytes.u64()?, bytes.u64()?, bytes.u64()?);
        must(end >= base)?;
        let (caller_count, payload_bytes) = (bytes.u64()?, bytes.u64()?);
        must(caller_count <= end - base)?;
        let times = bytes.times()?;
        let (floor, prune) = (bytes.u64()?, bytes.u64()?);
        let (index_digest, root) = (bytes.array()?, bytes.array()?);
        let (page_count, frontier_count) = (bytes.u32()?, bytes.u32()?);
        must(page_count <= 26_214)?;
        must(u64::from(frontier_count) == bits_set(end))?;
        let mut pages: Vec<Page> = Vec::new();
        for _ in 0..page_count {
            let page =
                Page { first: bytes.u64()?, times: bytes.times()?, offset: bytes.u64()?, entry_count: bytes.u32()? };
            bytes.zeros(4)?;
            must((base..end).contains(&page.first) && (data_end..offset).contains(&page.offset))?;
            if let Some(before) = pages.last() {
                must(page.first > before.first && page.offset > before.offset)?;
            }
            must((1..=512).contains(&page.entry_count))?;
            pages.push(page);
        }
        let frontier = bytes.digests(frontier_count.into())?;
        must(bytes.u64()? == offset)?;
        must(bytes.take(8)? == *b"bullaend")?;
        bytes.end()?;
        let prune = if prune == u64::MAX { None } else { Some(prune) };
        Ok(Self {
            number,
            base,
            end,
            data_end,
            caller_count,
            payload_bytes,
            times,
            floor,
            prune,
            index_digest,
            root,
            pages,
            frontier,
        })
    }
}
