//! One engine record of each kind, the ones docs/FORMAT.md shows.

use bulla_chain::{Break, Digest, Genesis, Predecessor, Recovery, Seal, TreeHead};
use bulla_wire::{LogId, Position, SegmentNumber, Time, TimeBounds};

/// Bytes that count up from `first`, so that a swapped or shifted field shows.
pub(crate) fn counted<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|i| first + i as u8)
}

pub(crate) fn genesis() -> Genesis {
    Genesis {
        log: LogId(counted(0x10)),
        origin: "acme/logins/10111213".to_owned(),
        suite: Genesis::SUITE_SHA256,
        erasable: false,
        predecessor: Some(Predecessor {
            log: LogId(counted(0x30)),
            head: TreeHead { size: 41, root: Digest(counted(0x40)) },
            reason: "repaired".to_owned(),
        }),
    }
}

pub(crate) fn seal() -> Seal {
    Seal {
        segment: SegmentNumber(1),
        base: Position(41),
        caller_count: 20,
        payload_bytes: 4000,
        times: TimeBounds { min: Time(1_700_000_000_000_000_000), max: Time(1_700_000_000_999_999_999) },
        head: TreeHead { size: 62, root: Digest(counted(0x40)) },
        index_digest: Digest(counted(0x60)),
        journal: Some(TreeHead { size: 5, root: Digest(counted(0x80)) }),
    }
}

pub(crate) fn recovery() -> Recovery {
    Recovery {
        segment: SegmentNumber(1),
        offset: 8192,
        position: Position(62),
        quarantined_bytes: 300,
        quarantine: Some(Digest(counted(0x90))),
        may_have_been_acknowledged: true,
    }
}

pub(crate) fn broken() -> Break {
    Break {
        source: LogId(counted(0x30)),
        lost: Position(41)..Position(62),
        is_open: true,
        resumes_at: None,
        source_root: Some(Digest(counted(0x40))),
        log: LogId(counted(0x10)),
        head: TreeHead { size: 7, root: Digest(counted(0x60)) },
        cause: "bit rot".to_owned(),
        who: "ana".to_owned(),
    }
}
