//! A whole segment, from its first frame to the end of the file: the rules of order in "Frame", "Index page" and "Footer
//! and close frame", and the verdict of docs/DURABILITY.md, "Recovery of the active segment".

use crate::bytes::{NO_TIMES, Times};
use crate::frame::{Frame, Header, frame};
use crate::index::{Footer, PageEntry};
use crate::record::{Body, records};
use crate::{Read, Refused, SegmentHeader};

/// What the end of a segment means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Whole frames, and zeros at most.
    Whole,
    /// A close frame ends it.
    Closed,
    /// A footer ends it.
    Sealed,
    /// What a crash leaves behind the last whole frame.
    Torn,
    /// What no crash leaves.
    Damaged,
}

/// What a segment's frames amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the documents")]
pub struct Scan {
    /// s: the first position that is not valid, and where the last whole frame before it ends.
    pub end: u64,
    pub end_offset: usize,
    /// W: the highest durable end that anything in the segment proves.
    pub proven_end: u64,
    /// The highest epoch of any valid header.
    pub epoch: u32,
    pub verdict: Verdict,
    pub caller_count: u64,
    pub payload_bytes: u64,
    pub times: Times,
    pub entries: Vec<PageEntry>,
}

/// Why the frames stop.
enum Stop {
    /// With zeros, or the end of the file.
    Quietly,
    /// With a footer or close frame.
    Summary(Verdict),
    /// With what a crash may leave at this offset, or with what none leaves.
    Torn(usize),
    Nonsense(usize),
}

/// A frame in its place.
struct Placed {
    offset: usize,
    frame: Frame,
    caller_count: u64,
    payload_bytes: u64,
}

/// Scans `file`, whose header is `segment`. An error says that there is no verdict.
pub fn scan(file: &[u8], segment: &SegmentHeader) -> Read<Scan> {
    let mut taken: Vec<Placed> = Vec::new();
    let stop = walk(file, segment, &mut taken)?;
    let mut headers: Vec<Header> = taken.iter().map(|placed| placed.frame.header.clone()).collect();
    if let Stop::Torn(offset) | Stop::Nonsense(offset) = stop {
        headers.extend(valid_headers(file, offset, segment)?);
    }

    // Frames without records may be overwritten, and a run without its last frame is invalid from its first on.
    let last = taken.iter().rposition(|placed| placed.frame.header.flags == 0);
    let (broken, count) = (taken.iter().any(|placed| placed.frame.header.flags == 1), last.map_or(0, |last| last + 1));
    let broken = broken && taken[count..].iter().any(|placed| placed.frame.header.flags == 1);
    taken.truncate(count);

    let (mut end, mut end_offset) = (segment.base, segment.frames_offset());
    if let Some(last) = taken.last() {
        (end, end_offset) = (last.frame.header.end(), last.offset + last.frame.header.frame_len());
    }
    let proven_end = headers.iter().map(|header| header.durable_end).chain([segment.base]).max().unwrap_or_default();
    let proven_end = if matches!(stop, Stop::Summary(_)) { proven_end.max(end) } else { proven_end };
    let verdict = match stop {
        _ if end < proven_end => Verdict::Damaged,
        Stop::Nonsense(_) => Verdict::Damaged,
        Stop::Torn(_) => Verdict::Torn,
        Stop::Quietly if broken => Verdict::Torn,
        Stop::Quietly => Verdict::Whole,
        Stop::Summary(verdict) => verdict,
    };
    let with_times = || taken.iter().map(|placed| placed.frame.header.times).filter(|times| *times != NO_TIMES);
    Ok(Scan {
        end,
        end_offset,
        proven_end,
        epoch: headers.iter().map(|header| header.epoch).chain([segment.epoch]).max().unwrap_or_default(),
        verdict,
        caller_count: taken.iter().map(|placed| placed.caller_count).sum(),
        payload_bytes: taken.iter().map(|placed| placed.payload_bytes).sum(),
        times: with_times().reduce(joined).unwrap_or(NO_TIMES),
        entries: entries(&taken),
    })
}

/// Takes frames as long as each is valid in its place.
fn walk(file: &[u8], segment: &SegmentHeader, taken: &mut Vec<Placed>) -> Read<Stop> {
    let mut offset = segment.frames_offset();
    loop {
        let rest = &file[offset.min(file.len())..];
        if rest.iter().take(64).all(|byte| *byte == 0) {
            return Ok(if is_zero(rest) { Stop::Quietly } else { Stop::Torn(offset) });
        }
        let frame = match frame(file, offset, segment) {
            Ok(frame) => frame,
            Err(Refused::Newer) => return Err(Refused::Newer),
            Err(_) => return Ok(Stop::Torn(offset)),
        };
        if !follows(&frame.header, taken, segment) {
            return Ok(Stop::Torn(offset));
        }
        let next = offset + frame.header.frame_len();
        let (mut caller_count, mut payload_bytes) = (0, 0);
        if frame.header.is_data() {
            if frame.header.codec > 0 {
                return Err(Refused::Unsupported);
            }
            match tally(&frame) {
                Ok(tally) => (caller_count, payload_bytes) = tally,
                Err(Refused::Wrong) => return Ok(Stop::Nonsense(offset)),
                Err(other) => return Err(other),
            }
        }
        let flags = frame.header.flags;
        if flags >= 8 {
            match Footer::read(&frame.body, offset as u64) {
                Ok(footer) if belongs(&footer, &frame.header, taken, segment) => {}
                _ => return Ok(Stop::Nonsense(offset)),
            }
        }
        taken.push(Placed { offset, frame, caller_count, payload_bytes });
        if flags >= 8 {
            let verdict = if flags == 8 { Verdict::Sealed } else { Verdict::Closed };
            // Whatever follows is no part of the segment, unless it is nothing.
            return Ok(if is_zero(&file[next..]) { Stop::Summary(verdict) } else { Stop::Torn(next) });
        }
        offset = next;
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// "Order", "Runs", "Epoch" and "Durable end".
fn follows(header: &Header, taken: &[Placed], segment: &SegmentHeader) -> bool {
    let before = || taken.iter().map(|placed| &placed.frame.header);
    let next = before().filter(|header| header.is_data()).map(Header::end).next_back().unwrap_or(segment.base);
    let may_stand = match taken.last().map(|placed| placed.frame.header.flags) {
        None | Some(0) => true,
        Some(1) => header.is_data(),
        Some(4) => [4, 8, 16].contains(&header.flags),
        Some(_) => false,
    };
    may_stand
        && header.base == next
        && header.epoch >= segment.epoch
        && header.durable_end >= segment.base
        && before().all(|earlier| header.epoch >= earlier.epoch && header.durable_end >= earlier.durable_end)
}

/// How many records are the caller's, and the bytes of their payloads.
fn tally(frame: &Frame) -> Read<(u64, u64)> {
    let (records, outcome) = records(&frame.header, &frame.body);
    outcome?;
    let callers: Vec<_> = records.iter().filter(|record| record.kind < 128).collect();
    crate::must(callers.is_empty() == (frame.header.times == NO_TIMES))?;
    for record in &callers {
        if let Body::Payload(_, payload) = &record.body {
            assert_eq!(payload.len(), record.len as usize, "the reference read another length than it was told");
        }
    }
    Ok((callers.len() as u64, callers.iter().map(|record| u64::from(record.len)).sum()))
}

/// Whether the footer or close frame with `header` is one of this segment, behind the frames in `taken`.
fn belongs(footer: &Footer, header: &Header, taken: &[Placed], segment: &SegmentHeader) -> bool {
    let data = taken.iter().rfind(|placed| placed.frame.header.is_data());
    let data_end = data.map_or(segment.frames_offset(), |last| last.offset + last.frame.header.frame_len());
    footer.number == segment.number
        && footer.base == segment.base
        && footer.end == header.base
        && footer.data_end == data_end as u64
}

/// "Finding back": the valid headers from `offset` on.
fn valid_headers(file: &[u8], mut offset: usize, segment: &SegmentHeader) -> Read<Vec<Header>> {
    let mut headers = Vec::new();
    while offset < file.len() {
        match Header::read(file, offset, segment) {
            Ok(header) => {
                offset += header.frame_len();
                headers.push(header);
            }
            Err(Refused::Newer) => return Err(Refused::Newer),
            Err(_) => offset += 8,
        }
    }
    Ok(headers)
}

/// "Which frames share an entry".
fn entries(taken: &[Placed]) -> Vec<PageEntry> {
    let mut entries: Vec<PageEntry> = Vec::new();
    let mut covered = 0;
    for Placed { offset, frame: Frame { header, .. }, .. } in taken {
        match entries.last_mut() {
            Some(last) if covered < 4096 => last.times = joined(last.times, header.times),
            _ => {
                entries.push(PageEntry { first: header.base, times: header.times, offset: *offset as u64 });
                covered = 0;
            }
        }
        covered += header.frame_len();
    }
    entries
}

fn joined(left: Times, right: Times) -> Times {
    (left.0.min(right.0), left.1.max(right.1))
}
