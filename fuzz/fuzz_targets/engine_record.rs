//! Any bytes as an entry or as the payload of an engine record: what decodes has one encoding.
#![no_main]

use bulla_chain::{Break, Digest, Entry, Genesis, Recovery, Seal};
use bulla_fuzz::compare;
use bulla_reference as reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let genesis = Genesis::decode(data);
    let found = genesis.as_ref().map(in_other_words).map_err(compare::engine_class);
    assert_eq!(found, reference::Genesis::read(data), "{genesis:?}");
    if let Ok(genesis) = genesis {
        assert_eq!(genesis.encode(), data);
    }

    let seal = Seal::decode(data);
    let found = seal.as_ref().map(|seal| reference::Seal {
        segment: seal.segment.0,
        base: seal.base.0,
        end: seal.end().0,
        caller_count: seal.caller_count,
        payload_bytes: seal.payload_bytes,
        times: compare::times(seal.times),
        root: seal.head.root.0,
        index_digest: seal.index_digest.0,
        journal: seal.journal.map(compare::head),
    });
    assert_eq!(found.map_err(compare::engine_class), reference::Seal::read(data), "{seal:?}");
    if let Ok(seal) = seal {
        assert_eq!(seal.encode(), data);
    }

    let recovery = Recovery::decode(data);
    let found = recovery.as_ref().map(|recovery| reference::Recovery {
        segment: recovery.segment.0,
        offset: recovery.offset,
        position: recovery.position.0,
        quarantined_bytes: recovery.quarantined_bytes,
        may_have_been_acknowledged: recovery.may_have_been_acknowledged,
        digest: recovery.quarantine.unwrap_or(Digest([0; 32])).0,
    });
    assert_eq!(found.map_err(compare::engine_class), reference::Recovery::read(data), "{recovery:?}");
    if let Ok(recovery) = recovery {
        assert_eq!(recovery.encode(), data);
    }

    let broken = Break::decode(data);
    let found = broken.as_ref().map(|broken| reference::Break {
        source: broken.source.0,
        lost: (broken.lost.start.0, broken.lost.end.0),
        more: broken.is_open,
        resumes_at: broken.resumes_at.map_or(u64::MAX, |position| position.0),
        source_root: broken.source_root.unwrap_or(Digest([0; 32])).0,
        log: broken.log.0,
        head: compare::head(broken.head),
        cause: broken.cause.clone(),
        who: broken.who.clone(),
    });
    assert_eq!(found.map_err(compare::engine_class), reference::Break::read(data), "{broken:?}");
    if let Ok(broken) = broken {
        assert_eq!(broken.encode(), data);
    }

    let Some(bytes) = data.first_chunk::<{ Entry::LEN }>() else { return };
    let entry = Entry::decode(bytes);
    let found = entry.as_ref().map(|entry| reference::Entry {
        kind: entry.kind.0,
        salted: entry.salted,
        schema: entry.schema.0,
        position: entry.position.0,
        time: entry.time.0,
        body: entry.body.0,
    });
    let newer = |error: &bulla_chain::EntryError| {
        if error.is_newer() { reference::Refused::Newer } else { reference::Refused::Wrong }
    };
    assert_eq!(found.map_err(newer), reference::Entry::read(bytes), "{entry:?}");
    if let Ok(entry) = entry {
        assert_eq!(&entry.encode(), bytes);
    }
});

fn in_other_words(genesis: &Genesis) -> reference::Genesis {
    assert_eq!(genesis.suite, Genesis::SUITE_SHA256);
    reference::Genesis {
        log: genesis.log.0,
        erasable: genesis.erasable,
        origin: genesis.origin.clone(),
        predecessor: genesis.predecessor.as_ref().map(|predecessor| reference::Predecessor {
            log: predecessor.log.0,
            head: compare::head(predecessor.head),
            reason: predecessor.reason.clone(),
        }),
    }
}
