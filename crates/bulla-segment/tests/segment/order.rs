//! Which frame may follow which: runs, marks, epochs, durable ends, and frames that no writer of ours writes.

use crate::support::{FRAME, Image, damaged};
use bulla_segment::{Stop, Verdict};
use bulla_wire::{Epoch, FrameHeader, Position, Role, WireError};

/// A change to a segment, and what to call it.
type Step = (&'static str, fn(&mut Image));

#[track_caller]
fn field(stop: &Stop) -> &'static str {
    match stop {
        Stop::Invalid(invalid) => match &invalid.error {
            WireError::Invalid { field, .. } => field,
            error => panic!("{error:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// T1: without its last frame a run counts for nothing, however its end got lost.
#[test]
fn a_run_without_its_last_frame_is_invalid_from_its_first_on() {
    let mut whole = Image::synced(2);
    whole.sync();
    for more in [true, true, false] {
        whole.data(&[b"of", b"a", b"run"], more);
    }
    whole.check(15, &Verdict::Whole);
    let (first, last) = (whole.frames[2].clone(), whole.frames[4].clone());
    for cut in last.clone() {
        for zeros in [0, 3_000] {
            let mut image = whole.clone();
            image.bytes.truncate(cut);
            image.bytes.resize(image.bytes.len() + zeros, 0);
            if image.bytes.starts_with(&whole.bytes) {
                continue;
            }
            let tail = image.check(6, &Verdict::Torn);
            assert_eq!(tail.extent.end_offset, first.start as u64, "cut at {cut}");
            assert_eq!(tail.sequence.next(), Position(6));
            let Stop::Invalid(invalid) = &tail.stop else { panic!("{:?}", tail.stop) };
            let last = image.bytes.iter().rposition(|byte| *byte != 0).unwrap();
            assert_eq!(invalid.non_zero_end, last as u64 + 1, "what a cut would destroy");
        }
    }
    // Another role before the last one.
    for role in [Role::Mark, Role::Index] {
        let mut image = whole.clone();
        image.bytes.truncate(last.start);
        let header = FrameHeader { base: Position(12), ..image.plain_header(role) };
        image.raw(&header, &[]);
        let tail = image.check(6, &Verdict::Torn);
        assert_eq!(field(&tail.stop), "role out of order at position");
    }
}

/// T2: what the headers of a broken run say was durable stays said.
#[test]
fn the_claims_of_a_broken_run_count() {
    let mut image = Image::synced(2);
    image.data(&[b"first"], true);
    image.sync();
    image.data(&[b"second"], true);
    image.check(6, &damaged(6..7));
    // A valid frame before the place that proves it, too: the run began after a sync that covered frame 1.
    let mut image = Image::synced(2);
    image.sync();
    image.data(&[b"first"], true);
    image.spoil_body(1);
    image.check(3, &damaged(3..6));
}

/// A mark says more than the frames before it: damage in the last synced group is then no tail.
#[test]
fn a_mark_is_evidence_for_the_last_group() {
    let mut image = Image::synced(3);
    let mut without = image.clone();
    without.spoil_body(2);
    without.check(6, &Verdict::Torn);
    image.sync();
    image.mark();
    let tail = image.check(9, &Verdict::Whole);
    assert_eq!(tail.extent.end_offset, image.frames[2].end as u64, "the next frame overwrites the mark");
    image.spoil_body(2);
    image.check(6, &damaged(6..9));
    // The mark at the end of the valid part counts as well, here for a group that is gone with its frame.
    let mut image = Image::synced(1);
    let header = FrameHeader { durable_end: Position(3), ..image.plain_header(Role::Mark) };
    image.raw(&header, &[]);
    assert_eq!(image.check(3, &Verdict::Whole).proven_end(Position(0)), Position(3));
}

/// Q3: the next frame overwrites a mark, and none follows it.
#[test]
fn a_frame_after_a_mark_is_invalid() {
    let mut image = Image::synced(2);
    image.mark();
    image.data(&[b"behind"], false);
    let tail = image.check(6, &Verdict::Torn);
    assert_eq!(field(&tail.stop), "role out of order at position");
    // Had it been durable, its loss would be damage.
    image.sync();
    image.mark();
    image.check(6, &damaged(6..7));
}

/// Q3.
#[test]
fn records_and_marks_after_the_index_are_invalid() {
    for role in [Role::Data { more: false }, Role::Mark] {
        let mut image = Image::synced(2);
        image.raw(&image.plain_header(Role::Index), &[1; 32]);
        image.check(6, &Verdict::Whole);
        match role {
            Role::Data { .. } => image.data(&[b"behind"], false),
            _ => image.mark(),
        }
        let tail = image.check(6, &Verdict::Torn);
        assert_eq!(field(&tail.stop), "role out of order at position");
        let Stop::Invalid(invalid) = &tail.stop else { panic!("{:?}", tail.stop) };
        assert_eq!(invalid.offset, image.frames[3].start as u64);
        assert_eq!(tail.extent.end_offset, image.frames[1].end as u64, "the index holds no record");
    }
}

/// Q2: bytes of an earlier life do not come back.
#[test]
fn epochs_and_durable_ends_never_fall() {
    let mut image = Image::new(0);
    image.epoch = Epoch(5);
    image.data(&[b"fifth"], false);
    let mut fallen = image.clone();
    fallen.epoch = Epoch(4);
    fallen.data(&[b"fourth"], false);
    assert_eq!(field(&fallen.check(1, &Verdict::Torn).stop), "fallen epoch");
    image.data(&[b"fifth"], false);
    image.epoch = Epoch(6);
    image.data(&[b"sixth"], false);
    assert_eq!(image.check(3, &Verdict::Whole).epoch(), Epoch(6));

    // Below the epoch of the segment itself.
    let mut image = Image::new(0);
    image.epoch = Epoch(0);
    image.data(&[b"before"], false);
    assert_eq!(field(&image.check(0, &Verdict::Torn).stop), "fallen epoch");

    let mut image = Image::synced(3);
    image.durable = Position(5);
    image.data(&[b"less"], false);
    assert_eq!(field(&image.check(9, &Verdict::Torn).stop), "fallen durable end");

    // That the segment exists proves everything below its base.
    let mut image = Image::new(5);
    image.durable = Position(4);
    image.data(&[b"less"], false);
    assert_eq!(field(&image.check(5, &Verdict::Torn).stop), "fallen durable end");
}

/// Q1.
#[test]
fn positions_are_dense() {
    for (base, end) in [(5, "below"), (7, "above")] {
        let mut image = Image::synced(2);
        image.mark();
        image.bytes.truncate(image.frames[2].start);
        let header = FrameHeader { base: Position(base), ..image.plain_header(Role::Mark) };
        image.raw(&header, &[]);
        let tail = image.check(6, &Verdict::Torn);
        assert_eq!(field(&tail.stop), "base position out of order", "{end}");
    }
}

/// T2: a frame that is valid but may not stand where it does proves what it says as well.
#[test]
fn the_claim_of_a_frame_behind_a_gap_counts() {
    let mut image = Image::synced(2);
    let header = FrameHeader { base: Position(9), durable_end: Position(8), ..image.plain_header(Role::Mark) };
    image.raw(&header, &[]);
    image.check(6, &damaged(6..8));
}

/// The epoch of a frame in a broken run, behind a bad place, or of a mark was forgotten, so the next writer took it
/// again: frames of that lost life, still on the blocks, could then follow its own and pass for written by it.
#[test]
fn the_highest_epoch_is_known_although_its_frames_are_cut() {
    let add: [Step; 4] = [
        ("broken run", |image| image.data(&[b"run"], true)),
        ("mark", Image::mark),
        ("behind a bad header", |image| {
            image.data(&[b"bad"], false);
            image.spoil_header(2);
            image.data(&[b"good"], false);
        }),
        ("body bad", |image| {
            image.data(&[b"bad"], false);
            image.spoil_body(2);
        }),
    ];
    for (what, add) in add {
        let mut image = Image::synced(2);
        image.epoch = Epoch(9);
        add(&mut image);
        let tail = image.scan();
        assert_eq!((tail.end(), tail.epoch()), (Position(6), Epoch(9)), "{what}");
    }
    for seal in [false, true] {
        let mut image = Image::synced(2);
        image.epoch = Epoch(9);
        image.end(seal);
        assert_eq!(image.scan().epoch(), Epoch(9));
    }
}

/// Sound checksums vouch for what is there, so records that are none were written so: no crash leaves that, and what
/// looks like a tail may be a writer's mistake that must be looked at.
#[test]
fn nonsense_under_sound_checksums_is_always_damage() {
    let data = |image: &Image, count, body: &[u8]| {
        let mut image = image.clone();
        let header = FrameHeader { record_count: count, ..image.plain_header(Role::Data { more: false }) };
        image.raw(&header, body);
        image
    };
    let sound = Image::synced(3);
    let range = sound.frames[2].clone();
    let len = u32::from_le_bytes(sound.bytes[range.start + 16..][..4].try_into().unwrap()) as usize;
    let body = &sound.bytes[range.start + FRAME..][..len];
    let bodies: [(&str, u32, Vec<u8>); 5] = [
        ("one record too few", 2, body.to_vec()),
        ("one record too many", 4, body.to_vec()),
        ("leftover bytes", 3, [body, &[0]].concat()),
        ("cut short", 3, body[..len - 1].to_vec()),
        ("no body", 1, Vec::new()),
    ];
    for (what, count, body) in bodies {
        let mut image = data(&sound, count, &body);
        let tail = image.check(9, &damaged(9..10));
        assert!(matches!(&tail.stop, Stop::Invalid(invalid) if invalid.is_written), "{what}");
        // Evidence for more makes more of it.
        assert_eq!(tail.verdict(Position(12)), damaged(9..12), "{what}");
        image.bytes.resize(image.bytes.len() + 1_000, 0);
        image.check(9, &damaged(9..10));
    }
    let mut in_a_run = sound.clone();
    in_a_run.data(&[b"run"], true);
    let header = FrameHeader { record_count: 1, ..in_a_run.plain_header(Role::Data { more: false }) };
    in_a_run.raw(&header, &[]);
    in_a_run.check(9, &damaged(9..10));
    // A footer that speaks of another segment.
    let mut sealed = Image::synced(3);
    sealed.end(true);
    let start = sealed.bytes.len() - 16;
    let offset = u64::from_le_bytes(sealed.bytes[start..][..8].try_into().unwrap()) as usize;
    let mut body = sealed.bytes[offset + FRAME..].to_vec();
    body[0] ^= 1;
    sealed.bytes.truncate(offset);
    sealed.sync();
    sealed.raw(&sealed.plain_header(Role::Footer), &body);
    sealed.check(9, &damaged(9..10));
}
