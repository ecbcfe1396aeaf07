//! Attacks by somebody who knows the format and puts every checksum right: all of them are tampering, and located.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "../support/build.rs"]
mod build;
mod edits;
mod hidden;
mod told;

use build::{DIR, Edited, LogBuilder, row};
use bulla_chain::{Break, Digest, Entry, Frontier, Seal, StreamDigest, TreeHead, body_digest};
use bulla_log::{
    Expectation, Item, Level, Log, LogOptions, LogReader, LogReport, Order, Query, Verdict, verify_log, verify_log_with,
};
use bulla_segment::segment_file_name;
use bulla_wire::{
    Epoch, Footer, FrameBuilder, FrameHeader, FramePlace, IndexEntry, Kind, LogId, NewRecord, PageRef, Position,
    Record, Records, Role, SchemaId, Time, TimeBounds, decode_page, encode_page,
};
use std::path::Path;

const ID: LogId = LogId([3; 16]);

/// Three segments with records at 0..5, 5..10 and 10..15; the frames of a segment begin at its first, second, fourth
/// and fifth position.
fn closed() -> LogBuilder {
    let mut log = LogBuilder::new(ID, false);
    for segment in 0..3 {
        if segment > 0 {
            log.rotate();
        }
        let time = 100 * segment;
        log.frame(&[row(time + 5, b"first"), row(time - 7, b"second")], false);
        log.frame(&[row(time, b"begins a batch")], true);
        log.frame(&[row(time + 9, b"ends it")], false);
    }
    log.finish(false);
    log
}

/// The report, which is the same whatever the number of workers.
fn check(log: &LogBuilder, level: Level) -> LogReport {
    let [report, two, five] = [1, 2, 5].map(|workers| {
        verify_log_with(workers, &log.host, Path::new(DIR), level, &Expectation::default(), &mut |_| {})
    });
    assert_eq!((&report, &report), (&two, &five));
    report
}

/// Decodes the records of a frame, lets `change` at them, and encodes them again.
fn rewrite(edited: &mut Edited, index: usize, change: impl FnOnce(&mut Vec<NewRecord<'_>>)) {
    let (header, body) = edited.frames[index].clone();
    let mut records: Vec<_> = Records::new(&header, &body)
        .map(|record| {
            let record = record.unwrap();
            let (kind, time, schema, payload) = (record.kind, record.time, record.schema, record.payload().unwrap());
            NewRecord { kind, time, schema, salt: None, payload }
        })
        .collect();
    change(&mut records);
    let mut builder = FrameBuilder::default();
    for record in &records {
        builder.push(record);
    }
    let seed = edited.header.seed();
    let (base, durable_end) = (header.base, header.durable_end);
    let place = FramePlace { seed: &seed, offset: 0, epoch: header.epoch, base, durable_end, more: false };
    let mut bytes = Vec::new();
    let new = builder.finish(&place, &mut bytes);
    let body = bytes[64..][..new.stored_len as usize].to_vec();
    assert_eq!(new.frame_len(), header.frame_len(), "the frames behind must stay where they are");
    edited.frames[index] = (FrameHeader { role: header.role, ..new }, body);
}

/// Changes the seal at the beginning of a later segment.
fn edit_seal(edited: &mut Edited, change: impl FnOnce(&mut Seal)) {
    rewrite(edited, 0, |records| {
        let mut seal = Seal::decode(records[0].payload).unwrap();
        change(&mut seal);
        records[0].payload = seal.encode().leak();
    });
}

type Change = fn(&mut Edited);

/// Replaces segment 1; where frames came or went, its footer is told where everything is now.
fn put(log: &LogBuilder, mut edited: Edited) {
    let (before, index) = (log.edit(1), edited.frames.len() - 1);
    let old = before.offset(before.frames.len() - 1);
    let new = edited.offset(index);
    if old != new {
        let moved = |offset: &mut u64| *offset = *offset + new - old;
        let mut footer = Footer::decode(&edited.frames[index].1, old).unwrap();
        moved(&mut footer.offset);
        moved(&mut footer.data_end);
        moved(&mut footer.pages[0].offset);
        edited.frames[index].1 = footer.encode();
    }
    log.put(1, &edited);
}

/// The frontier over the records of a segment, on top of that in its header.
fn recompute(edited: &Edited) -> Frontier {
    let mut frontier = Frontier::from_parts(edited.header.base.0, &edited.header.frontier).unwrap();
    for (header, body) in edited.frames.iter().filter(|(header, _)| matches!(header.role, Role::Data { .. })) {
        for record in Records::new(header, body).map(Result::unwrap) {
            let (Record { kind, schema, position, time, salted, .. }, payload) = (record, record.payload().unwrap());
            let body = body_digest(payload);
            frontier.push(Entry { kind, salted, schema, position, time, body }.leaf());
        }
    }
    frontier
}

fn tell(footer: &mut Footer, frontier: &Frontier) {
    footer.end = Position(frontier.size());
    footer.root = frontier.root().0;
    footer.frontier = frontier.to_bytes();
}
