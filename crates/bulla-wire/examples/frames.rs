//! Lists the frames and records of a segment file, with nothing but this crate: the smallest second reader there is.
//!
//! `cargo run -p bulla-wire --example frames -- FILE.seg`, where a store keeps its segments below `tables/`.
//!
//! It reads the whole file and stops at the first frame that does not validate; bulla-segment is the reader that goes on,
//! and that can tell a torn tail from damage.

use bulla_wire::{Content, FRAME_HEADER_LEN, FrameHeader, Records, Role, SegmentHeader, WireError};
use std::error::Error;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("which segment file?")?;
    let bytes = fs::read(path)?;
    let segment = SegmentHeader::decode(&bytes)?;
    println!("segment {} of log {}, from position {}", segment.number, segment.log, segment.base);

    // Checksums are seeded with the log's secret, the segment's number and the frame's place.
    let seed = segment.seed();
    let mut offset = SegmentHeader::len_at(segment.base);
    while let Some(rest) = usize::try_from(offset).ok().and_then(|start| bytes.get(start..)) {
        if FrameHeader::is_zero(rest) {
            break;
        }
        let frame = FrameHeader::decode(rest, &seed, offset)?;
        let behind = usize::try_from(FRAME_HEADER_LEN).ok().and_then(|start| rest.get(start..)).unwrap_or_default();
        let body = frame.plain_body(frame.check_body(behind, &seed, offset)?)?;
        println!("offset {offset}: {:?}, {} bytes, durable below {}", frame.role, body.len(), frame.durable_end);
        if let Role::Data { .. } = frame.role {
            records(&frame, body)?;
        }
        offset += frame.frame_len();
    }
    Ok(())
}

fn records(frame: &FrameHeader, body: &[u8]) -> Result<(), WireError> {
    for record in Records::new(frame, body) {
        let record = record?;
        let content = match record.content {
            Content::Payload { bytes, .. } => String::from_utf8_lossy(bytes).escape_debug().take(60).collect(),
            Content::Redacted { len, .. } => format!("{len} bytes, erased"),
        };
        println!("  {}: kind {}, time {}, {content}", record.position, record.kind.0, record.time.0);
    }
    Ok(())
}
