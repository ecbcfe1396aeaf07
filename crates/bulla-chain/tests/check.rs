//! What a stranger with a key, an origin and perhaps a record is told of a proof.
#![cfg(feature = "ed25519")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod naive;

use bulla_chain::{
    CheckError, Checkpoint, ConsistencyProof, ConsistencyText, Digest, Entry, Expected, Frontier, InclusionProof,
    InclusionText, NodeAddress, Note, NoteError, NoteSigner, ProofError, ProofTextError, Proven, ShownCheckpoint,
    TreeHead, Verified, VerifierKey, body_digest, check_proof, salted_body_digest,
};
use bulla_wire::{Kind, Position, SchemaId, Time};
use std::convert::Infallible;

const ORIGIN: &str = "acme/logins/07070707";
const SALT: [u8; 16] = [5; 16];

fn signer(name: &str) -> NoteSigner {
    NoteSigner::from_seed(name, &[7; 32]).unwrap()
}

fn payload(position: u64) -> Vec<u8> {
    format!("row {position}").into_bytes()
}

/// Every third record has a salt.
fn entry(position: u64) -> Entry {
    let (kind, schema, salted) = (Kind::ROW, SchemaId(3), position.is_multiple_of(3));
    let payload = payload(position);
    let body = if salted { salted_body_digest(&SALT, &payload) } else { body_digest(&payload) };
    Entry { kind, salted, schema, position: Position(position), time: Time(1_700_000_000), body }
}

fn nodes() -> impl FnMut(NodeAddress) -> Result<Digest, Infallible> {
    naive::nodes_over(|index| entry(index).leaf())
}

fn head(size: u64) -> TreeHead {
    let mut frontier = Frontier::new();
    (0..size).for_each(|position| frontier.push(entry(position).leaf()));
    frontier.head()
}

fn shown(origin: &str, size: u64, by: Option<&NoteSigner>) -> ShownCheckpoint {
    let checkpoint = Checkpoint::new(origin, head(size)).unwrap();
    let Some(signer) = by else { return ShownCheckpoint::unsigned(checkpoint) };
    let text = checkpoint.to_string();
    let signature = signer.sign(&text);
    ShownCheckpoint::signed(Note::new(text, vec![signature]).unwrap()).unwrap()
}

fn inclusion(position: u64, size: u64, checkpoint: ShownCheckpoint) -> InclusionText {
    let salt = if entry(position).salted { &SALT[..] } else { &[] };
    let extra = [&entry(position).encode()[..], salt].concat();
    InclusionText { extra, proof: InclusionProof::prove(position, size, nodes()).unwrap(), checkpoint }
}

fn consistency(old: ShownCheckpoint, new: ShownCheckpoint) -> ConsistencyText {
    let proof = ConsistencyProof::prove(old.head().size, new.head().size, nodes()).unwrap();
    ConsistencyText { proof, old, new }
}

fn check_with(keys: &[VerifierKey], text: &impl ToString, payload: Option<&[u8]>) -> Result<Proven, CheckError> {
    check_proof(text.to_string().as_bytes(), &Expected { origin: ORIGIN, keys, payload })
}

fn check(text: &impl ToString, payload: Option<&[u8]>) -> Result<Proven, CheckError> {
    check_with(&[signer("acme").verifier()], text, payload)
}

#[test]
fn a_record_is_proven_with_and_without_its_payload() {
    let signed = Some(vec![Verified { key: 0, time: None }]);
    for position in 0..20 {
        let text = inclusion(position, 20, shown(ORIGIN, 20, Some(&signer("acme"))));
        let payload = payload(position);
        for payload in [None, Some(&payload[..])] {
            let proven = Proven::Included {
                entry: entry(position),
                head: head(20),
                signed: signed.clone(),
                has_payload: payload.is_some(),
            };
            assert!(proven.is_signed());
            assert_eq!(check(&text, payload), Ok(proven));
        }
        for other in [&b""[..], b"row", &[&payload[..], b"\n"].concat()] {
            assert_eq!(check(&text, Some(other)), Err(CheckError::Payload));
        }
    }
}

#[test]
fn a_log_is_proven_to_continue() {
    for (old, new) in [(0, 0), (0, 20), (7, 20), (16, 20), (20, 20)] {
        let acme = signer("acme");
        let text = consistency(shown(ORIGIN, old, Some(&acme)), shown(ORIGIN, new, Some(&acme)));
        let signed = Some(vec![Verified { key: 0, time: None }]);
        assert_eq!(check(&text, None), Ok(Proven::Consistent { old: head(old), new: head(new), signed }));
        assert_eq!(check(&text, Some(b"row")), Err(CheckError::NoRecord));
        let turned = ConsistencyText { old: text.new.clone(), new: text.old.clone(), ..text };
        let is_refused = matches!(check(&turned, None), Err(CheckError::Proof(ProofError::Shrinks { .. })));
        assert_eq!(is_refused, old != new, "{new} to {old}");
    }
}

/// H2: nobody signed, somebody else did, or somebody wrote the key's name below it.
#[test]
fn only_the_callers_keys_make_it_signed() {
    let (acme, other) = (signer("acme"), signer("other"));
    let unsigned = check(&inclusion(4, 20, shown(ORIGIN, 20, None)), None).unwrap();
    assert!(!unsigned.is_signed());
    let by_other = inclusion(4, 20, shown(ORIGIN, 20, Some(&other)));
    assert_eq!(check(&by_other, None), Err(CheckError::Note(NoteError::Untrusted)));
    assert!(check_with(&[acme.verifier(), other.verifier()], &by_other, None).unwrap().is_signed());
    assert_eq!(check_with(&[], &by_other, None), Err(CheckError::Note(NoteError::Untrusted)));
    let lines = shown(ORIGIN, 19, Some(&acme)).note().unwrap().signatures().to_vec();
    let forged = Note::new(Checkpoint::new(ORIGIN, head(20)).unwrap().to_string(), lines).unwrap();
    let forged = inclusion(4, 20, ShownCheckpoint::signed(forged).unwrap());
    assert_eq!(check(&forged, None), Err(CheckError::Note(NoteError::Forged { name: "acme".to_owned() })));
    // Half signed is not signed.
    for (old, new) in [(Some(&acme), None), (None, Some(&acme)), (None, None)] {
        let half = consistency(shown(ORIGIN, 7, old), shown(ORIGIN, 20, new));
        assert!(!check(&half, None).unwrap().is_signed());
    }
}

/// The key is good for another log of the same store; its checkpoint is not.
#[test]
fn a_checkpoint_of_another_log_is_refused() {
    let acme = signer("acme");
    let (other, ours) = (shown("acme/orders/01010101", 20, Some(&acme)), shown(ORIGIN, 7, Some(&acme)));
    let expected = CheckError::Origin { expected: ORIGIN.to_owned(), found: "acme/orders/01010101".to_owned() };
    assert_eq!(check(&inclusion(4, 20, other.clone()), None), Err(expected.clone()));
    assert_eq!(check(&consistency(ours.clone(), other.clone()), None), Err(expected.clone()));
    assert_eq!(
        check(&consistency(shown("acme/orders/01010101", 7, Some(&acme)), shown(ORIGIN, 20, None)), None),
        Err(expected)
    );
}

#[test]
fn the_record_beside_a_proof_is_the_proven_one() {
    let honest = inclusion(4, 20, shown(ORIGIN, 20, Some(&signer("acme"))));
    let with = |extra: &[u8]| check(&InclusionText { extra: extra.to_vec(), ..honest.clone() }, None);
    let entry_of = |position: u64| entry(position).encode();
    assert_eq!(with(&[]), Err(CheckError::Extra { bytes: 0 }));
    assert_eq!(with(&entry_of(4)[1..]), Err(CheckError::Extra { bytes: 53 }));
    assert_eq!(with(&[&entry_of(4)[..], &SALT].concat()), Err(CheckError::Extra { bytes: 70 }), "it has no salt");
    assert_eq!(with(&entry_of(5)), Err(CheckError::Position { index: 4, found: Position(5) }));
    let mut edited = entry(4);
    edited.time = Time(1_700_000_001);
    assert!(matches!(with(&edited.encode()), Err(CheckError::Proof(ProofError::Root { .. }))));
    let mut newer = entry_of(4);
    newer[1] = 0x20;
    assert!(matches!(with(&newer), Err(CheckError::Entry(error)) if error.is_newer()));

    let salted = inclusion(3, 20, shown(ORIGIN, 20, Some(&signer("acme"))));
    let row = payload(3);
    let with = |extra: &[u8], payload| check(&InclusionText { extra: extra.to_vec(), ..salted.clone() }, payload);
    assert!(with(&entry_of(3), None).is_ok(), "a salt may be withheld");
    assert_eq!(with(&entry_of(3), Some(&row)), Err(CheckError::NoSalt));
    assert_eq!(with(&[&entry_of(3)[..], &[6; 16]].concat(), Some(&row)), Err(CheckError::Payload));
    assert_eq!(with(&[&entry_of(3)[..], &SALT[1..]].concat(), None), Err(CheckError::Extra { bytes: 69 }));
}

#[test]
fn what_is_no_proof_is_refused() {
    for text in ["", "trust me", "bulla/consistency/v2\n\n", "c2sp.org/tlog-proof@v2\n"] {
        assert_eq!(check(&text, None), Err(CheckError::Text(ProofTextError::Kind)), "{text:?}");
    }
    let swapped = inclusion(4, 20, shown(ORIGIN, 20, Some(&signer("acme"))));
    let swapped = InclusionText { proof: InclusionProof { index: 5, ..swapped.proof.clone() }, ..swapped };
    assert_eq!(check(&swapped, None), Err(CheckError::Position { index: 5, found: Position(4) }));
    let older = inclusion(4, 20, shown(ORIGIN, 19, Some(&signer("acme"))));
    assert!(matches!(check(&older, None), Err(CheckError::Proof(_))));
}
