//! Frames that a payload carries are no evidence.
//!
//! Whoever can read a log file and append to the log knows secret, segment and offset, and can put a frame into a
//! payload whose checksums hold right there. Its durable end would turn a torn tail into damage, or its records would
//! come back as others.
//!
//! What remains: if the header of the enclosing frame is itself destroyed, nothing says that its body was a body, and
//! a frame within that was made for its very offset counts as a claim (the last test). It errs to the side that changes
//! nothing: the log refuses to open for writing, and a reader gets every record before the place.

use crate::support::{Image, damaged};
use bulla_segment::Verdict;
use bulla_wire::{FrameBuilder, FramePlace, Kind, NewRecord, Position, SchemaId, Time};

/// A valid frame for `offset` of the segment of `image`, which says that positions below 1000 were durable.
fn forged(image: &Image, offset: u64) -> Vec<u8> {
    let mut builder = FrameBuilder::default();
    builder.push(&NewRecord { kind: Kind::ROW, time: Time(1), schema: SchemaId(0), salt: None, payload: b"forged" });
    let seed = image.seed();
    let position = Position(1_000);
    let place =
        FramePlace { seed: &seed, offset, epoch: image.epoch, base: position, durable_end: position, more: false };
    let mut bytes = Vec::new();
    builder.finish(&place, &mut bytes);
    bytes
}

/// Three synced frames, an unsynced one whose payload carries frames made for `shift` bytes beyond where they lie, at
/// every multiple of eight, and an unsynced frame behind it.
fn carrying(shift: u64) -> Image {
    let mut image = Image::synced(3);
    let sample = forged(&image, 0);
    // Tag, kind or schema, time and length come before the payload; the first eight bytes are found again.
    let mut probe = image.clone();
    probe.data(&[&[0xee; 4_000]], false);
    let payload = probe.bytes.windows(8).position(|bytes| bytes == [0xee; 8]).unwrap();
    let mut bytes = vec![0; payload.next_multiple_of(8) - payload];
    while bytes.len() + sample.len() <= 4_000 {
        let offset = (payload + bytes.len()) as u64;
        assert!(offset.is_multiple_of(8));
        bytes.extend(forged(&image, offset + shift));
    }
    bytes.resize(4_000, 0);
    image.data(&[&bytes], false);
    image.data(&[b"behind"], false);
    image
}

#[test]
fn carried_frames_of_other_offsets_are_never_evidence() {
    for shift in [8, 4096] {
        carrying(shift).check(11, &Verdict::Whole);
        for spoil in [Image::spoil_header, Image::spoil_body] {
            let mut image = carrying(shift);
            spoil(&mut image, 3);
            let tail = image.check(9, &Verdict::Torn);
            assert_eq!(tail.proven_end(Position(0)), Position(6));
            // Cut in the middle of the payload.
            image.bytes.truncate(image.frames[3].start + 2_000);
            image.check(9, &Verdict::Torn);
        }
    }
}

/// N2: made for its very offset, but inside the body of a valid header.
#[test]
fn nothing_looks_for_frames_inside_the_body_of_a_valid_header() {
    carrying(0).check(11, &Verdict::Whole);
    let mut image = carrying(0);
    image.spoil_body(3);
    let tail = image.check(9, &Verdict::Torn);
    assert_eq!(tail.proven_end(Position(0)), Position(6));
    image.bytes.truncate(image.frames[3].start + 2_000);
    image.check(9, &Verdict::Torn);

    // Behind a bad place as well, whether the enclosing frame is whole or only its header is.
    for spoil in [|_: &mut Image, _| {}, Image::spoil_body] {
        let mut image = carrying(0);
        image.spoil_header(2);
        spoil(&mut image, 3);
        let tail = image.check(6, &Verdict::Torn);
        assert_eq!(tail.proven_end(Position(0)), Position(6));
    }
}

/// The enclosing frame is valid in itself but out of order: it is passed as a whole.
#[test]
fn nothing_looks_inside_a_frame_that_is_out_of_order() {
    let mut image = carrying(0);
    // With the epoch of the frame before it raised, the enclosing frame falls behind.
    image.mend(2, |header| header[28] += 1);
    let tail = image.check(9, &Verdict::Torn);
    assert_eq!(tail.proven_end(Position(0)), Position(6));
}

/// The limit that the head of this file names.
#[test]
fn under_a_destroyed_header_a_frame_made_for_its_offset_is_taken_for_a_claim() {
    let mut image = carrying(0);
    image.spoil_header(3);
    image.check(9, &damaged(9..1_000));
}

/// A frame whose header claims more than its base allows is no header at all, so no claim exceeds what it can know.
#[test]
fn a_claim_above_its_own_base_is_not_counted() {
    let mut image = Image::synced(3);
    image.data(&[b"bad"], false);
    image.data(&[b"claims"], false);
    image.spoil_header(3);
    image.mend(4, |header| header[40..48].copy_from_slice(&11_u64.to_le_bytes()));
    image.check(9, &Verdict::Torn);
    image.mend(4, |header| header[40..48].copy_from_slice(&10_u64.to_le_bytes()));
    image.check(9, &damaged(9..10));
}
