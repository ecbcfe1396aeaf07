//! The first record of every log: which log this is, under which rules, and what it continues.

use bulla_wire::LogId;

use super::{Fields, SUITE, VERSION, assert_writable, check_length, put_text};
use crate::digest::Digest;
use crate::error::EngineRecordError;
use crate::tree::TreeHead;

/// The payload of a log's first record, of kind [`Kind::GENESIS`](bulla_wire::Kind::GENESIS), at position 0.
///
/// The tree binds every later record to it, and so to the log's id and origin.
///
/// # Examples
///
/// ```
/// use bulla_chain::Genesis;
/// use bulla_wire::LogId;
/// let genesis = Genesis {
///     log: LogId([7; 16]),
///     origin: "acme/logins/07070707".to_owned(),
///     suite: Genesis::SUITE_SHA256,
///     erasable: false,
///     predecessor: None,
/// };
/// assert_eq!(Genesis::decode(&genesis.encode())?, genesis);
/// # Ok::<(), bulla_chain::EngineRecordError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The log's name for ever.
    pub log: LogId,
    /// The log's name for people and checkpoints: at most [`ORIGIN_BYTES_MAX`](Self::ORIGIN_BYTES_MAX) bytes without
    /// control characters.
    pub origin: String,
    /// How the log is hashed: [`SUITE_SHA256`](Self::SUITE_SHA256).
    pub suite: u8,
    /// Whether bodies are salted, so that a payload can be erased without leaving a digest to guess it from.
    pub erasable: bool,
    /// The generation this log continues, if it continues one.
    pub predecessor: Option<Predecessor>,
}

/// The log that a generation continues, and where that one ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// The earlier log.
    pub log: LogId,
    /// Its last head.
    pub head: TreeHead,
    /// Why it was not continued, for people: at most [`REASON_BYTES_MAX`](Self::REASON_BYTES_MAX) bytes.
    pub reason: String,
}

impl Predecessor {
    /// The longest reason, in bytes of UTF-8.
    pub const REASON_BYTES_MAX: u16 = 4096;
    /// The reason of a log that a repair wrote because its predecessor was damaged.
    pub const REPAIR: &str = "repair";
    /// The reason of a log that a repair wrote although nothing was wrong with its predecessor: others of the store's were.
    pub const MOVED: &str = "moved by a repair";
}

impl Genesis {
    /// The suite of everything this crate hashes: SHA-256 under the prefixes of version 1.
    pub const SUITE_SHA256: u8 = SUITE;
    /// The longest origin, in bytes of UTF-8.
    pub const ORIGIN_BYTES_MAX: u16 = 1024;

    /// The record's payload.
    ///
    /// # Panics
    ///
    /// When a text is over its limit, the origin holds a control character, or the suite is not
    /// [`SUITE_SHA256`](Self::SUITE_SHA256): whoever fills these fields in checks them first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert_writable(self.check());
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.log.0);
        bytes.extend_from_slice(&[self.suite, u8::from(self.erasable)]);
        put_text(&mut bytes, &self.origin);
        bytes.push(u8::from(self.predecessor.is_some()));
        if let Some(predecessor) = &self.predecessor {
            bytes.extend_from_slice(&predecessor.log.0);
            bytes.extend_from_slice(&predecessor.head.size.to_le_bytes());
            bytes.extend_from_slice(&predecessor.head.root.0);
            put_text(&mut bytes, &predecessor.reason);
        }
        bytes
    }

    /// Reads the payload of a genesis record. Allocates for its two texts, once they are checked.
    ///
    /// # Errors
    ///
    /// [`EngineRecordError`] when `bytes` is not exactly one genesis; `is_newer()` tells a later version or another
    /// hash suite from damage.
    pub fn decode(bytes: &[u8]) -> Result<Self, EngineRecordError> {
        let mut fields = Fields::of_version_1(bytes)?;
        let log = LogId(fields.array("log id")?);
        let suite = fields.u8("hash suite")?;
        // Another suite may mean another layout for what follows, so it is judged before that is read.
        check_suite(suite)?;
        let erasable = fields.flag("erasable")?;
        let origin = fields.text("origin", Self::ORIGIN_BYTES_MAX)?;
        let predecessor = if fields.flag("has predecessor")? {
            Some(Predecessor {
                log: LogId(fields.array("predecessor's log id")?),
                head: TreeHead {
                    size: fields.u64("predecessor's size")?,
                    root: Digest(fields.array("predecessor's root")?),
                },
                reason: fields.text("reason", Predecessor::REASON_BYTES_MAX)?,
            })
        } else {
            None
        };
        fields.end()?;
        let genesis = Self { log, origin, suite, erasable, predecessor };
        genesis.check()?;
        Ok(genesis)
    }

    fn check(&self) -> Result<(), EngineRecordError> {
        check_suite(self.suite)?;
        check_length("origin", self.origin.len() as u64, Self::ORIGIN_BYTES_MAX)?;
        if self.origin.contains(char::is_control) {
            return Err(EngineRecordError::ControlCharacter);
        }
        match &self.predecessor {
            Some(Predecessor { reason, .. }) => {
                check_length("reason", reason.len() as u64, Predecessor::REASON_BYTES_MAX)
            }
            None => Ok(()),
        }
    }
}

fn check_suite(suite: u8) -> Result<(), EngineRecordError> {
    if suite == SUITE { Ok(()) } else { Err(EngineRecordError::Suite { found: suite }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Genesis {
        Genesis {
            log: LogId([1; 16]),
            origin: "acme/logins/01010101".to_owned(),
            suite: 1,
            erasable: true,
            predecessor: Some(Predecessor {
                log: LogId([2; 16]),
                head: TreeHead { size: 9, root: Digest([3; 32]) },
                reason: "rewritten\nin two lines".to_owned(),
            }),
        }
    }

    /// G4: the limits are of bytes, and one more is refused before the text itself is looked at.
    #[test]
    fn texts_end_at_their_limits() {
        let mut longest = sample();
        longest.origin = "é".repeat(512);
        longest.predecessor.as_mut().unwrap().reason = "r".repeat(4096);
        let bytes = longest.encode();
        assert_eq!(Genesis::decode(&bytes), Ok(longest));

        for (at, field, over, bytes_max) in [(19, "origin", 1025_u16, 1024), (78 + 1024, "reason", 4097, 4096)] {
            let mut bytes = bytes.clone();
            bytes.splice(at..at + 2, over.to_le_bytes());
            let expected = EngineRecordError::TooLong { field, bytes: over.into(), bytes_max };
            assert_eq!(Genesis::decode(&bytes), Err(expected));
            assert_eq!(Genesis::decode(&bytes[..at + 2]), Err(expected), "{field} judged before it is there");
        }
    }

    #[test]
    fn texts_are_texts_and_an_origin_is_one_line() {
        let bytes = sample().encode();
        let mut broken = bytes.clone();
        broken[21] = 0xff;
        let error = Genesis::decode(&broken).unwrap_err();
        assert!(matches!(error, EngineRecordError::NotText { field: "origin", .. }), "{error}");
        for control in [b'\n', 0, 0x1b, 0x7f] {
            let mut broken = bytes.clone();
            broken[21] = control;
            assert_eq!(Genesis::decode(&broken), Err(EngineRecordError::ControlCharacter));
        }
    }

    #[test]
    fn another_suite_is_newer_whatever_follows_it() {
        let mut bytes = sample().encode();
        bytes[17] = 2;
        for len in 18..=bytes.len() {
            let error = Genesis::decode(&bytes[..len]).unwrap_err();
            assert_eq!(error, EngineRecordError::Suite { found: 2 });
            assert!(error.is_newer());
        }
        bytes[17] = 0;
        assert!(!Genesis::decode(&bytes).unwrap_err().is_newer(), "there never was a suite 0");
    }

    /// G5, a table of what a writer may get wrong.
    #[test]
    fn a_genesis_that_cannot_be_read_is_not_written() {
        let unreadable = [
            Genesis { origin: "o".repeat(1025), ..sample() },
            Genesis { origin: "two\nlines".to_owned(), ..sample() },
            Genesis { suite: 2, ..sample() },
            Genesis {
                predecessor: Some(Predecessor { reason: "r".repeat(4097), ..sample().predecessor.unwrap() }),
                ..sample()
            },
        ];
        for genesis in unreadable {
            assert!(genesis.check().is_err(), "{genesis:?}");
            assert!(std::panic::catch_unwind(|| genesis.encode()).is_err(), "{genesis:?}");
        }
    }
}
