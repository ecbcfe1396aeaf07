//! Checksums that hold over bytes that were changed, since no mutation finds one.

use bulla_wire::{FRAME_ALIGNMENT, FRAME_HEADER_LEN, FRAME_MAGIC, FrameSeed, Position, SegmentHeader};

const HEADER_LEN: usize = FRAME_HEADER_LEN as usize;
/// In place of the checksum of a header, this keeps [`frames`] away, so that broken frames are among whole ones.
pub const LEFT_BROKEN: [u8; 4] = [0xff; 4];

/// Gives the frame at the start of `bytes`, which lie at `offset`, the checksums that its body, by its own length, and
/// its header need.
pub fn frame(bytes: &mut [u8], seed: &FrameSeed, offset: u64) {
    let Some((header, rest)) = bytes.split_first_chunk_mut::<HEADER_LEN>() else { return };
    let stored_len = u32::from_le_bytes([header[16], header[17], header[18], header[19]]);
    if let Some(body) = rest.get(..stored_len as usize) {
        header[8..12].copy_from_slice(&seed.checksum(offset, body).to_le_bytes());
    }
    let checksum = seed.checksum(offset, &header[8..]);
    header[4..8].copy_from_slice(&checksum.to_le_bytes());
}

/// Mends everything in `file` that begins as a frame, inner frames before those around them.
pub fn frames(file: &mut [u8], seed: &FrameSeed) {
    for offset in (0..file.len()).step_by(FRAME_ALIGNMENT as usize).rev() {
        let place = &mut file[offset..];
        if place.starts_with(&FRAME_MAGIC) && place.get(4..8) != Some(&LEFT_BROKEN) {
            frame(place, seed, offset as u64);
        }
    }
}

/// Gives the segment header at the start of `file` its checksum, where its base says that it is.
pub fn segment_header(file: &mut [u8]) {
    let Some(base) = file.get(56..64) else { return };
    let base = Position(u64::from_le_bytes(base.try_into().expect("eight bytes")));
    let covered = SegmentHeader::len_at(base) as usize - 8;
    if let Some((bytes, rest)) = file.split_at_mut_checked(covered)
        && let Some(checksum) = rest.get_mut(..4)
    {
        checksum.copy_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    }
}

/// Mends a whole segment file: header, then frames, if the header then is one.
pub fn segment(file: &mut [u8]) {
    segment_header(file);
    if let Ok(header) = SegmentHeader::decode(file) {
        frames(file, &header.seed());
    }
}
