//! Cases of somebody who knows the format: every checksum is put right, and structures are made to agree.

use super::harm::{Case, Group, Touched};
use super::store::{Segment, Truth};
use bulla_chain::{Digest, Entry, Frontier, StreamDigest, body_digest, salted_body_digest};
use bulla_testkit::{Edited, mend_frame, mend_segment_header};
use bulla_wire::{
    Codec, Content, Epoch, FRAME_HEADER_LEN, Footer, FrameHeader, IndexEntry, PageRef, Position, Records, Role, Time,
    TimeBounds, decode_page, encode_page,
};
use std::sync::Arc;

/// What is done to each byte under a checksum.
const MASKS: [u8; 2] = [0x01, 0x80];
/// Where in a frame header the first byte lies that is no magic and no checksum.
const FRAME_FIELDS: usize = 12;

/// Every byte that is under a checksum, changed, with the checksums put right.
pub(super) fn mended(truth: &Truth) -> impl Iterator<Item = Case> + '_ {
    truth.segments.iter().flat_map(move |segment| {
        let header = (0..segment.header_len - 8).map(|offset| (offset, None));
        let frames = segment.frames.iter().enumerate().flat_map(|(index, frame)| {
            let fields = frame.bytes.start + FRAME_FIELDS..frame.bytes.start + FRAME_HEADER_LEN as usize;
            fields.chain(frame.body()).map(move |offset| (offset, Some(index)))
        });
        header.chain(frames).flat_map(move |(offset, frame)| {
            MASKS.map(|mask| {
                let name = format!("mend:{offset}:{mask}");
                Case::edit(truth, Group::Mended, &name, &segment.path, offset..offset + 1, |bytes| {
                    bytes[offset] ^= mask;
                    match frame {
                        None => mend_segment_header(bytes, segment.header_len),
                        Some(index) => mend_frame(bytes, &segment.seed, segment.frames[index].bytes.start),
                    }
                })
            })
        })
    })
}

/// What is done to a segment, and whether the index and footer are then written anew from what the frames hold.
type Change = fn(&mut Edited, usize) -> bool;

/// Changes to one frame of a segment; the frame's index is the second argument. Those that give `true` want an index and
/// a footer that agree with the new frames. Where there is nothing to change they leave everything as it is.
const CHANGES: &[(&str, Change)] = &[
    ("remove", |s, at| {
        s.frames.remove(at);
        false
    }),
    ("remove-renumber", |s, at| {
        let gone = s.frames.remove(at).0;
        renumber(s, at, |base| base - u64::from(gone.record_count));
        true
    }),
    ("double", |s, at| {
        let frame = s.frames[at].clone();
        s.frames.insert(at, frame);
        false
    }),
    ("double-renumber", |s, at| {
        let mut frame = s.frames[at].clone();
        let count = u64::from(frame.0.record_count);
        renumber(s, at + 1, |base| base + count);
        frame.0.base.0 += count;
        s.frames.insert(at + 1, frame);
        true
    }),
    ("reorder", |s, at| {
        if at + 1 < s.frames.len() {
            s.frames.swap(at, at + 1);
        }
        false
    }),
    ("reorder-renumber", |s, at| {
        if is_data(s, at) && is_data(s, at + 1) {
            s.frames.swap(at, at + 1);
            let first = s.frames[at + 1].0.base.min(s.frames[at].0.base);
            s.frames[at].0.base = first;
            s.frames[at].0.durable_end = s.frames[at].0.durable_end.min(first);
            s.frames[at + 1].0.base = s.frames[at].0.end();
        }
        true
    }),
    ("cut-here", |s, at| {
        if is_data(s, at) {
            let is_kept = |frame: &FrameHeader, index: usize| index < at || !matches!(frame.role, Role::Data { .. });
            let mut index = 0;
            let end = s.frames[at].0.base;
            s.frames.retain(|(frame, _)| {
                index += 1;
                is_kept(frame, index - 1)
            });
            for (frame, _) in s.frames.iter_mut().skip(at) {
                (frame.base, frame.durable_end) = (end, end);
            }
        }
        true
    }),
    ("payload", |s, at| {
        if is_data(s, at) {
            *s.frames[at].1.last_mut().unwrap() ^= 1;
        }
        true
    }),
    ("times-wider", |s, at| {
        if is_data(s, at) {
            s.frames[at].0.times = TimeBounds { min: Time(-1), max: Time(i64::MAX) };
        }
        false
    }),
    ("durable-end-all", |s, at| {
        s.frames[at].0.durable_end = s.frames[at].0.base;
        false
    }),
    ("epoch-all", |s, at| {
        for (frame, _) in s.frames.iter_mut().skip(at) {
            frame.epoch = Epoch(frame.epoch.0 + 1);
        }
        false
    }),
    ("more", |s, at| {
        if let Role::Data { more } = &mut s.frames[at].0.role {
            *more = !*more;
        }
        false
    }),
    ("records-become-a-mark", |s, at| {
        if is_data(s, at) {
            s.frames[at].0.role = Role::Mark;
            s.frames[at].0.record_count = 0;
            s.frames[at].0.times = TimeBounds::EMPTY;
            s.frames[at].1.clear();
        }
        false
    }),
];

/// What is done to a segment, without index and footer being written anew.
type StructureChange = fn(&mut Edited);

/// Changes to the segment header, index pages and footer that leave the records as they are.
const STRUCTURES: &[(&str, StructureChange)] = &[
    ("header-epoch", |s| s.header.epoch = Epoch(s.header.epoch.0.wrapping_sub(1))),
    ("header-secret", |s| s.header.secret[0] ^= 1),
    ("header-number", |s| s.header.number.0 ^= 1),
    ("header-log", |s| s.header.log.0[0] ^= 1),
    ("header-erasable", |s| s.header.erasable = !s.header.erasable),
    ("header-root", |s| s.header.root[0] ^= 1),
    ("header-frontier-and-root", |s| {
        if let Some(hash) = s.header.frontier.first_mut() {
            hash[0] ^= 1;
            s.header.root = Frontier::from_parts(s.header.base.0, &s.header.frontier).unwrap().root().0;
        }
    }),
    ("header-floor-and-prune", |s| (s.header.floor, s.header.prune) = (s.header.base, Some(s.header.base))),
    ("header-and-footer-floor", |s| {
        let floor = s.header.base;
        (s.header.floor, s.header.prune) = (floor, Some(floor));
        on_footer(s, |footer| (footer.floor, footer.prune) = (floor, Some(floor)));
    }),
    ("footer-counts", |s| on_footer(s, |footer| footer.caller_count = footer.caller_count.saturating_sub(1))),
    ("footer-payload", |s| on_footer(s, |footer| footer.payload_bytes += 1)),
    ("footer-root", |s| on_footer(s, |footer| footer.root[0] ^= 1)),
    ("footer-frontier-and-root", |s| {
        on_footer(s, |footer| {
            footer.frontier[0][0] ^= 1;
            footer.root = Frontier::from_parts(footer.end.0, &footer.frontier).unwrap().root().0;
        });
    }),
    ("footer-digest", |s| on_footer(s, |footer| footer.index_digest[0] ^= 1)),
    ("footer-data-end", |s| on_footer(s, |footer| footer.data_end -= 8)),
    ("footer-role", |s| {
        if let Some((frame, _)) = s.frames.last_mut() {
            frame.role = if frame.role == Role::Footer { Role::Close } else { Role::Footer };
        }
    }),
    // An index and a footer that agree with each other and say that nothing lies in the times asked for.
    ("index-and-footer-times", |s| hide(s, |times| *times = TimeBounds { min: Time(5), max: Time(5) })),
    ("index-and-footer-no-times", |s| hide(s, |times| *times = TimeBounds::EMPTY)),
    ("index-offset", |s| {
        for (frame, body) in s.frames.iter_mut().filter(|(frame, _)| frame.role == Role::Index) {
            let mut entries = decode_page(body).unwrap();
            entries.last_mut().unwrap().offset += 8;
            frame.plain_len = body.len() as u32;
            body.clear();
            encode_page(&entries, body);
        }
    }),
    ("index-first", |s| {
        for (_, body) in s.frames.iter_mut().filter(|(frame, _)| frame.role == Role::Index) {
            let mut entries = decode_page(body).unwrap();
            entries.last_mut().unwrap().first.0 += 1;
            body.clear();
            encode_page(&entries, body);
        }
    }),
    ("no-index", |s| {
        s.frames.retain(|(frame, _)| frame.role != Role::Index);
        let offset = s.offset(s.frames.len() - 1);
        let last = s.frames.len() - 1;
        let mut footer = footer_of(&s.frames[last].1);
        footer.pages.clear();
        footer.offset = offset;
        s.frames[last].1 = footer.encode();
    }),
    ("codec-unknown", |s| s.frames[0].0.codec = Codec::Lz4),
    ("seal", |s| {
        // The first record of a later segment is its seal; its last 32 bytes are the root of the journal's head.
        if s.header.base > Position::ZERO && s.frames[0].0.record_count == 1 {
            let body = &mut s.frames[0].1;
            let journal_root = body.len() - 1;
            body[journal_root] ^= 1;
        }
    }),
];

/// Whole structures changed, each of every segment.
pub(super) fn forged(truth: &Truth) -> impl Iterator<Item = Case> + '_ {
    truth.segments.iter().flat_map(move |segment| {
        let original = Edited::parse(&truth.files[&segment.path]);
        let frames = original.clone();
        let by_frame = (0..frames.frames.len()).flat_map(move |at| {
            let frames = frames.clone();
            CHANGES.iter().flat_map(move |(name, change)| {
                let mut edited = frames.clone();
                let wants_agreement = change(&mut edited, at);
                let plain = forgery(truth, segment, &format!("{name}:{at}"), &edited);
                let agreed = wants_agreement
                    .then(|| agree(edited))
                    .flatten()
                    .and_then(|edited| forgery(truth, segment, &format!("{name}-agreed:{at}"), &edited));
                [plain, agreed].into_iter().flatten()
            })
        });
        let by_structure = STRUCTURES.iter().filter_map(move |(name, change)| {
            let mut edited = original.clone();
            change(&mut edited);
            forgery(truth, segment, name, &edited)
        });
        by_frame.chain(by_structure)
    })
}

/// The case in which `segment` is what `edited` is, if that is anything else than before.
fn forgery(truth: &Truth, segment: &Segment, name: &str, edited: &Edited) -> Option<Case> {
    let bytes = edited.bytes();
    let old = &truth.files[&segment.path];
    if bytes == **old {
        return None;
    }
    let same_start = bytes.iter().zip(old.iter()).take_while(|(new, old)| new == old).count();
    let mut files = truth.files.clone();
    files.insert(segment.path.clone(), Arc::new(bytes));
    let touched = vec![Touched { path: segment.path.clone(), bytes: same_start..old.len() }];
    let name = format!("forge:{name}@{}", segment.path.display());
    Some(Case { name, group: Group::Forged, files, touched })
}

fn is_data(edited: &Edited, at: usize) -> bool {
    edited.frames.get(at).is_some_and(|(frame, _)| matches!(frame.role, Role::Data { .. }))
}

/// Moves the positions of all frames from `at` on.
fn renumber(edited: &mut Edited, at: usize, new: impl Fn(u64) -> u64) {
    for (frame, _) in edited.frames.iter_mut().skip(at) {
        frame.base.0 = new(frame.base.0);
        frame.durable_end = frame.durable_end.min(frame.base);
    }
}

fn footer_of(body: &[u8]) -> Footer {
    let at = body.len() - 16;
    let offset = u64::from_le_bytes(body[at..at + 8].try_into().expect("BUG: eight bytes"));
    Footer::decode(body, offset).unwrap()
}

fn on_footer(edited: &mut Edited, change: impl FnOnce(&mut Footer)) {
    edited.edit_footer(change);
}

/// Changes the times in the index and everything that follows from it.
fn hide(edited: &mut Edited, change: impl Fn(&mut TimeBounds)) {
    let mut pages = Vec::new();
    let mut digest = StreamDigest::index_column();
    let offsets: Vec<_> = (0..edited.frames.len()).map(|index| edited.offset(index)).collect();
    for ((frame, body), offset) in edited.frames.iter_mut().zip(offsets) {
        if frame.role == Role::Index {
            let mut entries = decode_page(body).unwrap();
            for entry in &mut entries {
                change(&mut entry.times);
                let mut column = Vec::new();
                entry.encode_logical(&mut column);
                digest.update(&column);
            }
            body.clear();
            encode_page(&entries, body);
            pages.extend(PageRef::of(&entries, offset));
        }
    }
    let digest = digest.finish().0;
    edited.edit_footer(|footer| {
        change(&mut footer.times);
        footer.pages = pages;
        footer.index_digest = digest;
        if footer.times.is_empty() {
            footer.caller_count = 0;
        }
    });
}

/// Writes index and footer anew, so that they say what the frames hold; `None` where no frame with records is left, or
/// what is there cannot be read.
fn agree(mut edited: Edited) -> Option<Edited> {
    let summary = edited.frames.last().filter(|(frame, _)| matches!(frame.role, Role::Footer | Role::Close))?.clone();
    let old = footer_of(&summary.1);
    let index = edited.frames.iter().find(|(frame, _)| frame.role == Role::Index)?.0.clone();
    edited.frames.retain(|(frame, _)| matches!(frame.role, Role::Data { .. }));
    let mut frontier = Frontier::from_parts(edited.header.base.0, &edited.header.frontier).ok()?;
    let (mut caller_count, mut payload_bytes, mut times) = (0, 0, TimeBounds::EMPTY);
    let mut entries: Vec<IndexEntry> = Vec::new();
    let mut under_entry = u64::MAX;
    for at in 0..edited.frames.len() {
        let offset = edited.offset(at);
        let (frame, body) = &edited.frames[at];
        if under_entry >= 4096 {
            entries.push(IndexEntry { first: frame.base, times: TimeBounds::EMPTY, offset });
            under_entry = 0;
        }
        under_entry += frame.frame_len();
        entries.last_mut()?.times.merge(frame.times);
        for record in Records::new(frame, body) {
            let record = record.ok()?;
            let payload = record.payload()?;
            let digest = match record.content {
                Content::Payload { salt: Some(salt), bytes } => salted_body_digest(salt, bytes),
                _ => body_digest(payload),
            };
            let entry = Entry {
                kind: record.kind,
                salted: record.salted,
                schema: record.schema,
                position: record.position,
                time: record.time,
                body: digest,
            };
            frontier.push(entry.leaf());
            if !record.kind.is_engine() {
                caller_count += 1;
                payload_bytes += payload.len() as u64;
                times.include(record.time);
            }
        }
    }
    let data_end = edited.offset(edited.frames.len());
    let end = Position(frontier.size());
    let mut column = StreamDigest::index_column();
    for entry in &entries {
        let mut bytes = Vec::new();
        entry.encode_logical(&mut bytes);
        column.update(&bytes);
    }
    let mut page = Vec::new();
    encode_page(&entries, &mut page);
    let header = FrameHeader { base: end, durable_end: end, stored_len: page.len() as u32, ..index };
    edited.frames.push((header, page));
    let offset = edited.offset(edited.frames.len());
    let Digest(index_digest) = column.finish();
    let footer = Footer {
        end,
        data_end,
        caller_count,
        payload_bytes,
        times,
        index_digest,
        root: frontier.root().0,
        frontier: frontier.to_bytes(),
        pages: PageRef::of(&entries, data_end).into_iter().collect(),
        offset,
        ..old
    };
    let header = FrameHeader { base: end, durable_end: end, ..summary.0 };
    edited.frames.push((header, footer.encode()));
    Some(edited)
}

/// A segment header's bytes, to say which field an offset belongs to.
pub(super) fn is_epoch_of_header(offset: usize) -> bool {
    (12..16).contains(&offset)
}

/// Which fields of a frame header say how bytes came into the file and nothing of what they are: role flags, epoch,
/// durable end.
pub(super) fn is_layout_field(offset_in_frame: usize) -> bool {
    (12..14).contains(&offset_in_frame) || (28..32).contains(&offset_in_frame) || (40..48).contains(&offset_in_frame)
}
