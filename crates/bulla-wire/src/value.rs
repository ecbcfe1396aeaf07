//! The words every layer shares: positions, times, kinds, ids.
//!
//! They are plain values without rules of their own, so their fields are public; which value is legal where is said
//! by the structure that holds it.

use std::fmt;

/// A record's ordinal in its log, counted from 0. It never changes: cursors, proofs and references use it, never an
/// offset in a file, so that it survives rotation, compression and redaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// The first position of every log, which holds its genesis record.
    pub const ZERO: Self = Self(0);

    /// The position after this one, or `None` at the end of the number line.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A record's logical time: nanoseconds since the Unix epoch, UTC. Records need not be in time order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// The least and greatest time of some records, both inclusive; empty when there were none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeBounds {
    /// The least time; greater than `max` when there is none.
    pub min: Time,
    /// The greatest time.
    pub max: Time,
}

impl TimeBounds {
    /// The bounds of no record at all, the one empty value the format allows.
    pub const EMPTY: Self = Self { min: Time(i64::MAX), max: Time(i64::MIN) };

    /// Whether no record has been included.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.min > self.max
    }

    /// Widens the bounds so that they hold `time`.
    pub fn include(&mut self, time: Time) {
        self.min = self.min.min(time);
        self.max = self.max.max(time);
    }

    /// Widens the bounds so that they hold everything `other` holds.
    pub fn merge(&mut self, other: Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Whether some time in the half-open range `from..to` may lie within the bounds; `None` is unbounded.
    #[must_use]
    pub fn meets(self, from: Option<Time>, to: Option<Time>) -> bool {
        !self.is_empty() && from.is_none_or(|from| from <= self.max) && to.is_none_or(|to| self.min < to)
    }
}

impl Default for TimeBounds {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Names one log for ever: 16 random bytes chosen when it was created. Shown as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub [u8; 16]);

impl LogId {
    /// The id that is shown as `text`; `None` for any other text, upper case and signs included.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        // `from_str_radix` would take a sign or upper case as well.
        let id = Self(u128::from_str_radix(text, 16).ok()?.to_be_bytes());
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

/// Which opening for writing wrote a frame: one above the highest in the log at that time. It never falls along a
/// file, so that bytes of an earlier life cannot come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

/// A segment's number in its log, counted from 0 without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentNumber(pub u64);

impl fmt::Display for SegmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What shape the caller gave a payload; its meaning belongs to the view that wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId(pub u32);

/// What a record is: below 128 the caller's own, from 128 on the engine's, which views skip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u8);

impl Kind {
    /// The caller's record when the caller makes no difference between kinds.
    pub const ROW: Self = Self(0);
    /// The first record of a log: its identity, origin and hash suite.
    pub const GENESIS: Self = Self(128);
    /// The first record of every later segment: commits to what is logical in the segment before it.
    pub const SEAL: Self = Self(129);
    /// What recovery cut off, and where the bytes are.
    pub const RECOVERY: Self = Self(130);
    /// The receipt for everything below the floor.
    pub const PRUNE: Self = Self(131);
    /// The receipt for one erased payload.
    pub const REDACTION: Self = Self(132);
    /// The last record of a generation.
    pub const FREEZE: Self = Self(133);
    /// What a repair could not save.
    pub const BREAK: Self = Self(134);

    /// Whether the engine, not the caller, writes records of this kind.
    #[must_use]
    pub fn is_engine(self) -> bool {
        self.0 >= Self::GENESIS.0
    }

    /// Whether format version 1 names this kind. Kinds of the caller always are; a log with an unnamed engine kind
    /// was written by a later version.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.0 <= Self::BREAK.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_bounds_meet_nothing_and_a_bound_is_half_open() {
        assert!(!TimeBounds::EMPTY.meets(None, None));
        let mut bounds = TimeBounds::EMPTY;
        bounds.include(Time(10));
        bounds.include(Time(20));
        for (from, to, expected) in [
            (None, None, true),
            (Some(20), None, true),
            (Some(21), None, false),
            (None, Some(10), false),
            (None, Some(11), true),
        ] {
            assert_eq!(bounds.meets(from.map(Time), to.map(Time)), expected, "{from:?}..{to:?}");
        }
    }

    /// Numbers are shown as numbers, padded as whoever shows them asks, and a log as 32 hex digits.
    #[test]
    fn values_are_shown_as_people_write_them() {
        assert_eq!(format!("{} {:>4}", Position(17), Position(3)), "17    3");
        assert_eq!(format!("{} {:03}", SegmentNumber(17), SegmentNumber(3)), "17 003");
        let log = LogId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xff]);
        assert_eq!(log.to_string(), "000102030405060708090a0b0c0d0eff");
        assert_eq!(LogId::from_hex("000102030405060708090a0b0c0d0eff"), Some(log));
        for other in [
            "",
            "000102030405060708090A0B0C0D0EFF",
            "+00102030405060708090a0b0c0d0eff",
            "0102030405060708090a0b0c0d0eff",
            "0000102030405060708090a0b0c0d0eff",
            "000102030405060708090a0b0c0d0efg",
            "é00102030405060708090a0b0c0d0ef",
        ] {
            assert_eq!(LogId::from_hex(other), None, "{other}");
        }
    }

    #[test]
    fn the_next_position_is_one_above() {
        for position in [0, 1, u64::MAX - 1] {
            assert_eq!(Position(position).next(), Some(Position(position + 1)));
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(Position(u64::MAX).next(), None);
        let mut bounds = TimeBounds::EMPTY;
        bounds.include(Time(i64::MAX));
        assert!(!bounds.is_empty() && bounds.meets(Some(Time(i64::MAX)), None));
    }
}
