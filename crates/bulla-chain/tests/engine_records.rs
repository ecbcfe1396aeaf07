//! What every engine record promises: it round-trips, has one encoding, and says when it is from a later version.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod samples;

use std::fmt::Debug;

use bulla_chain::{Break, Digest, EngineRecordError, Genesis, Predecessor, Recovery, Seal, TreeHead};
use bulla_wire::{LogId, Position, SegmentNumber, Time, TimeBounds};

trait Record: Clone + Debug + PartialEq + Sized {
    fn encode(&self) -> Vec<u8>;
    fn decode(bytes: &[u8]) -> Result<Self, EngineRecordError>;
    fn random(random: &mut Random) -> Self;
}

/// The generator `SplitMix64`: enough to fill fields with.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Small numbers, large ones and everything between come equally often.
    fn number(&mut self) -> u64 {
        let shift = self.next() % 64;
        self.next() >> shift
    }

    fn bool(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }

    fn head(&mut self) -> TreeHead {
        TreeHead { size: self.number().max(1), root: Digest(self.bytes()) }
    }

    /// Up to 49 characters of one to four bytes each, none of them a control character.
    fn text(&mut self) -> String {
        let len = self.next() % 50;
        (0..len).map(|_| ['a', '/', ' ', 'é', '→', '🏺'][self.next() as usize % 6]).collect()
    }
}

impl Record for Genesis {
    fn encode(&self) -> Vec<u8> {
        self.encode()
    }
    fn decode(bytes: &[u8]) -> Result<Self, EngineRecordError> {
        Self::decode(bytes)
    }
    fn random(random: &mut Random) -> Self {
        Self {
            log: LogId(random.bytes()),
            origin: random.text(),
            suite: Self::SUITE_SHA256,
            erasable: random.bool(),
            predecessor: random.bool().then(|| Predecessor {
                log: LogId(random.bytes()),
                head: random.head(),
                reason: random.text(),
            }),
        }
    }
}

impl Record for Seal {
    fn encode(&self) -> Vec<u8> {
        self.encode()
    }
    fn decode(bytes: &[u8]) -> Result<Self, EngineRecordError> {
        Self::decode(bytes)
    }
    fn random(random: &mut Random) -> Self {
        let head = random.head();
        let base = random.next() % head.size;
        let mut times = TimeBounds::EMPTY;
        let caller_count = random.number() % (head.size - base + 1);
        if caller_count > 0 {
            times.include(Time(random.number().cast_signed()));
            times.include(Time(random.number().cast_signed()));
        }
        Self {
            segment: SegmentNumber(random.number()),
            base: Position(base),
            caller_count,
            payload_bytes: random.number(),
            times,
            head,
            index_digest: Digest(random.bytes()),
            journal: random.bool().then(|| random.head()),
        }
    }
}

impl Record for Recovery {
    fn encode(&self) -> Vec<u8> {
        self.encode()
    }
    fn decode(bytes: &[u8]) -> Result<Self, EngineRecordError> {
        Self::decode(bytes)
    }
    fn random(random: &mut Random) -> Self {
        let quarantined_bytes = if random.bool() { 0 } else { random.number() };
        Self {
            segment: SegmentNumber(random.number()),
            offset: random.number(),
            position: Position(random.number()),
            quarantined_bytes,
            quarantine: (quarantined_bytes > 0).then(|| Digest(random.bytes())),
            may_have_been_acknowledged: random.bool(),
        }
    }
}

impl Record for Break {
    fn encode(&self) -> Vec<u8> {
        self.encode()
    }
    fn decode(bytes: &[u8]) -> Result<Self, EngineRecordError> {
        Self::decode(bytes)
    }
    fn random(random: &mut Random) -> Self {
        let from = random.number() / 4;
        let to = from + random.number() / 4;
        Self {
            source: LogId(random.bytes()),
            lost: Position(from)..Position(to),
            is_open: random.bool(),
            resumes_at: random.bool().then(|| Position(to + random.number() / 4)),
            source_root: random.bool().then(|| Digest(random.bytes())),
            log: LogId(random.bytes()),
            head: random.head(),
            cause: random.text(),
            who: random.text(),
        }
    }
}

/// G1 and G2: no bit of the bytes is without meaning, and each way to write a value is the way it is written.
fn check_every_bit<T: Record>(record: &T, context: &str) {
    let bytes = record.encode();
    assert_eq!(T::decode(&bytes).as_ref(), Ok(record), "{context}");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = T::decode(&flipped) {
            assert_ne!(&other, record, "{context}, bit {bit}");
            assert_eq!(other.encode(), flipped, "{context}, bit {bit}");
        }
    }
}

/// G2 and G3 for any record: cut short, followed by more, of another version.
fn check_refusals<T: Record>(record: &T) {
    let bytes = record.encode();
    for len in 0..bytes.len() {
        let error = T::decode(&bytes[..len]).unwrap_err();
        assert!(matches!(error, EngineRecordError::Short { .. }), "{len} bytes: {error}");
    }
    for extra in 1..=3 {
        let longer = [&bytes[..], &vec![0; extra]].concat();
        assert_eq!(T::decode(&longer), Err(EngineRecordError::Leftover { bytes: extra as u64 }));
    }
    for found in (0..=u8::MAX).filter(|version| *version != 1) {
        for len in 1..=bytes.len() {
            let mut other = bytes[..len].to_vec();
            other[0] = found;
            let error = T::decode(&other).unwrap_err();
            assert_eq!(error, EngineRecordError::Version { found });
            assert_eq!(error.is_newer(), found > 1);
        }
    }
}

fn check_random<T: Record>() {
    for seed in 0..256 {
        check_every_bit(&T::random(&mut Random(seed)), &format!("seed {seed}"));
    }
}

#[test]
fn every_genesis_has_one_encoding() {
    check_every_bit(&samples::genesis(), "sample");
    check_every_bit(&Genesis { predecessor: None, ..samples::genesis() }, "without predecessor");
    check_random::<Genesis>();
}

#[test]
fn every_seal_has_one_encoding() {
    check_every_bit(&samples::seal(), "sample");
    check_every_bit(&Seal { journal: None, ..samples::seal() }, "without journal");
    check_every_bit(&Seal { caller_count: 0, times: TimeBounds::EMPTY, ..samples::seal() }, "engine records only");
    check_random::<Seal>();
}

#[test]
fn every_recovery_has_one_encoding() {
    check_every_bit(&samples::recovery(), "sample");
    check_every_bit(&Recovery { quarantined_bytes: 0, quarantine: None, ..samples::recovery() }, "nothing set aside");
    check_random::<Recovery>();
}

#[test]
fn every_break_has_one_encoding() {
    check_every_bit(&samples::broken(), "sample");
    check_every_bit(&Break { source_root: None, lost: Position(3)..Position(3), ..samples::broken() }, "nothing lost");
    check_random::<Break>();
}

#[test]
fn other_lengths_and_versions_are_refused() {
    check_refusals(&samples::genesis());
    check_refusals(&Genesis { predecessor: None, ..samples::genesis() });
    check_refusals(&samples::seal());
    check_refusals(&samples::recovery());
    check_refusals(&samples::broken());
}

/// Bytes of no record at all: whatever they are, the answer is an error or a value that is written the same way.
#[test]
fn noise_never_panics() {
    fn check<T: Record>(bytes: &[u8]) {
        if let Ok(record) = T::decode(bytes) {
            assert_eq!(record.encode(), bytes);
        }
    }
    let mut random = Random(1);
    for _ in 0..20_000 {
        let mut noise: [u8; 170] = random.bytes();
        noise[0] = 1;
        // Often a legal suite and small lengths, so that the later fields are reached.
        noise[17] = 1;
        noise[18] &= 1;
        noise[20] = 0;
        let len = random.next() as usize % noise.len();
        check::<Genesis>(&noise[..len]);
        check::<Seal>(&noise[..161]);
        check::<Recovery>(&noise[..66]);
        noise[33] &= 1;
        (noise[131], noise[133]) = (0, 0);
        check::<Break>(&noise[..len]);
    }
}
