//! Proofs as text: the one way to write each, and that no bit of a signed one may change.
#![cfg(feature = "ed25519")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod naive;

use bulla_chain::{
    AddCheckpoint, Checkpoint, CheckpointError, ConsistencyProof, ConsistencyText, Digest, InclusionProof,
    InclusionText, Note, NoteSigner, PROOF_HASHES_MAX, ProofError, ProofTextError, Refusal, ShownCheckpoint, TreeHead,
};
use naive::{Tree, leaf};

const ORIGIN: &str = "acme/logins/07070707";

fn signer() -> NoteSigner {
    NoteSigner::from_seed("acme", &[7; 32]).unwrap()
}

fn signed(head: TreeHead) -> ShownCheckpoint {
    let text = Checkpoint::new(ORIGIN, head).unwrap().to_string();
    let signature = signer().sign(&text);
    ShownCheckpoint::signed(Note::new(text, vec![signature]).unwrap()).unwrap()
}

fn unsigned(head: TreeHead) -> ShownCheckpoint {
    ShownCheckpoint::unsigned(Checkpoint::new(ORIGIN, head).unwrap())
}

fn inclusion(tree: &Tree, index: u64, size: u64) -> InclusionText {
    let proof = InclusionProof::prove(index, size, tree.nodes(size)).unwrap();
    InclusionText { extra: naive::entry(index), proof, checkpoint: signed(tree.head(size)) }
}

fn consistency(tree: &Tree, old: u64, new: u64) -> ConsistencyText {
    let proof = ConsistencyProof::prove(old, new, tree.nodes(new)).unwrap();
    ConsistencyText { proof, old: signed(tree.head(old)), new: signed(tree.head(new)) }
}

/// What whoever checks a proof with a key and an origin does, and nothing else.
fn is_trusted(shown: &ShownCheckpoint) -> bool {
    let by_key = shown.note().is_some_and(|note| note.verify(&[signer().verifier()]).is_ok());
    by_key && shown.checkpoint().origin() == ORIGIN
}

fn holds(text: &[u8]) -> bool {
    let Ok(text) = InclusionText::parse(text) else { return false };
    let leaf = naive::hash(&[&[0], &text.extra]);
    is_trusted(&text.checkpoint) && text.proof.verify(&leaf, &text.checkpoint.head()).is_ok()
}

fn is_consistent(text: &[u8]) -> bool {
    let Ok(text) = ConsistencyText::parse(text) else { return false };
    is_trusted(&text.old) && is_trusted(&text.new) && text.proof.verify(&text.old.head(), &text.new.head()).is_ok()
}

#[test]
fn a_proof_is_shown_as_it_was_parsed() {
    let tree = Tree::of(300);
    for (index, size) in [(0, 1), (0, 2), (17, 237), (299, 300)] {
        let mut text = inclusion(&tree, index, size);
        for extra in [text.extra.clone(), Vec::new()] {
            text.extra = extra;
            assert_eq!(InclusionText::parse(text.to_string().as_bytes()), Ok(text.clone()));
        }
        text.checkpoint = unsigned(tree.head(size));
        assert_eq!(InclusionText::parse(text.to_string().as_bytes()), Ok(text));
    }
    for (old, new) in [(0, 0), (0, 5), (5, 5), (100, 237)] {
        let text = consistency(&tree, old, new);
        for (first, second) in [(true, true), (true, false), (false, true), (false, false)] {
            let of = |is_signed, head| if is_signed { signed(head) } else { unsigned(head) };
            let text =
                ConsistencyText { old: of(first, tree.head(old)), new: of(second, tree.head(new)), ..text.clone() };
            assert_eq!(ConsistencyText::parse(text.to_string().as_bytes()), Ok(text));
        }
        let request = AddCheckpoint { old_size: old, proof: text.proof, checkpoint: text.new };
        assert_eq!(AddCheckpoint::parse(request.to_string().as_bytes()), Ok(request));
    }
    let (signed, unsigned) = (signed(tree.head(9)), unsigned(tree.head(9)));
    for shown in [signed, unsigned] {
        assert_eq!(shown.to_string().parse(), Ok(shown));
    }
}

/// The examples that C2SP's pages show, whose hashes and signatures they cut short, with whole ones.
#[test]
fn the_texts_are_those_of_c2sp() {
    let tree = Tree::of(5);
    let mut text = inclusion(&tree, 3, 5);
    text.extra = b"hi".to_vec();
    let shown = text.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[..3], ["c2sp.org/tlog-proof@v1", "extra aGk=", "index 3"]);
    assert!(lines[3..6].iter().all(|line| line.len() == 44 && line.ends_with('=')));
    assert_eq!(lines[6..9], ["", ORIGIN, "5"]);
    assert!(lines[11].starts_with("\u{2014} acme ") && lines.len() == 12);

    let proof = ConsistencyProof::prove(2, 5, tree.nodes(5)).unwrap();
    let shown = AddCheckpoint { old_size: 2, proof, checkpoint: signed(tree.head(5)) }.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!((lines[0], lines[3], lines[4]), ("old 2", "", ORIGIN));
}

/// Every bit of a signed proof: index, hashes, entry, origin, size, root, signature, and the words between them.
///
/// The key's name and id are no part of what is proven: with one of them changed, the key did not sign.
#[test]
fn no_bit_of_a_proof_may_be_flipped() {
    let tree = Tree::of(300);
    for (index, size) in [(0, 1), (0, 3), (17, 237)] {
        let text = inclusion(&tree, index, size).to_string().into_bytes();
        assert!(holds(&text));
        for bit in 0..text.len() * 8 {
            let mut forged = text.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!holds(&forged), "bit {bit} of {}", String::from_utf8_lossy(&text));
        }
    }
    let text = consistency(&tree, 100, 237).to_string().into_bytes();
    assert!(is_consistent(&text));
    for bit in 0..text.len() * 8 {
        let mut forged = text.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(!is_consistent(&forged), "bit {bit} of {}", String::from_utf8_lossy(&text));
    }
}

/// A flipped bit of the size is refused by the signature, for every size: with the root alone, trees of several sizes can
/// be read into one proof.
#[test]
fn a_flipped_size_is_refused() {
    let tree = Tree::of(300);
    let mut accepted_without_signature = 0;
    for size in 1..=300 {
        let honest = signed(tree.head(size));
        let proofs = [0, size / 2, size - 1].map(|index| inclusion(&tree, index, size).proof);
        for bit in (0..10).chain([31, 32, 63]) {
            let head = TreeHead { size: size ^ 1 << bit, ..tree.head(size) };
            let text = Checkpoint::new(ORIGIN, head).unwrap().to_string();
            let signatures = honest.note().unwrap().signatures().to_vec();
            let forged = ShownCheckpoint::signed(Note::new(text, signatures).unwrap()).unwrap();
            assert!(!is_trusted(&forged), "bit {bit} of {size}");
            let verifies = |proof: &&InclusionProof| proof.verify(&leaf(proof.index), &head).is_ok();
            accepted_without_signature += proofs.iter().filter(verifies).count();
        }
    }
    assert!(accepted_without_signature > 0, "P2 says why a size must be signed");
}

#[test]
fn what_is_no_proof_says_where() {
    let tree = Tree::of(300);
    let good = inclusion(&tree, 17, 237).to_string();
    let hash = good.lines().nth(3).unwrap();
    let line = |line, expected| ProofTextError::Line { line, expected };
    let (index, hash_wanted) = ("an index", "a hash in base64");
    let extra = "extra data in base64, at most 16 KiB of it";
    for (text, expected) in [
        (String::new(), ProofTextError::Kind),
        (good.replace("@v1", "@v2"), ProofTextError::Kind),
        (good.replace("extra ", "extra  "), line(2, extra)),
        (good.replace("extra ", "Extra "), line(2, index)),
        (good.replace("index 17", "index 017"), line(3, index)),
        (good.replace("index 17", "index +17"), line(3, index)),
        (good.replace("index 17", "index 17 "), line(3, index)),
        (good.replace("index 17\n", ""), line(3, index)),
        (good.replace(hash, &hash[1..]), line(4, hash_wanted)),
        (good.replace(hash, &format!(" {hash}")), line(4, hash_wanted)),
        (good.replace(hash, "AAAA"), line(4, hash_wanted)),
        (good.replace(hash, ""), ProofTextError::Checkpoint(CheckpointError::Size)),
        (good[..=good.find("\n\n").unwrap()].to_owned(), ProofTextError::Checkpoints { expected: 1 }),
        (format!("{good}\nmore\n"), ProofTextError::Checkpoints { expected: 1 }),
        (good.replace(hash, &vec![hash; PROOF_HASHES_MAX].join("\n")), ProofTextError::TooManyHashes),
    ] {
        assert_eq!(InclusionText::parse(text.as_bytes()), Err(expected), "{text}");
    }
    assert!(matches!(InclusionText::parse(b"c2sp\xff"), Err(ProofTextError::NotText { at: 4 })));
    assert!(matches!(InclusionText::parse(&vec![b'a'; 3_000_000]), Err(ProofTextError::TooLong { bytes: 3_000_000 })));
    let long = good.replacen("extra ", &format!("extra {}", "AAAA".repeat(4 << 10)), 1);
    assert_eq!(InclusionText::parse(long.as_bytes()), Err(line(2, extra)));

    let two = consistency(&tree, 100, 237).to_string();
    let one = InclusionText::parse(two.as_bytes());
    assert_eq!(one, Err(ProofTextError::Kind));
    let cut = two.rfind("\n\nacme").unwrap() + 1;
    assert_eq!(ConsistencyText::parse(&two.as_bytes()[..cut]), Err(ProofTextError::Checkpoints { expected: 2 }));
    let more = format!("{two}\n{}", signed(tree.head(300)));
    assert_eq!(ConsistencyText::parse(more.as_bytes()), Err(ProofTextError::Checkpoints { expected: 2 }));
    assert_eq!(AddCheckpoint::parse(b"old 01\n\n"), Err(line(1, "a size")));
    assert_eq!(AddCheckpoint::parse(b"new 1\n\n"), Err(ProofTextError::Kind));
    assert_eq!(AddCheckpoint::parse(b"old 1\n\n"), Err(ProofTextError::Checkpoint(CheckpointError::Lines)));
}

/// What a witness, and a signer that remembers, says to each request.
#[test]
fn a_signer_takes_continuations_alone() {
    let tree = Tree::of(300);
    let last = tree.head(100);
    let request = |old, new, head| AddCheckpoint {
        old_size: old,
        proof: ConsistencyProof::prove(old, new, tree.nodes(300)).unwrap(),
        checkpoint: signed(head),
    };
    assert_eq!(request(100, 237, tree.head(237)).continues(&last), Ok(()));
    assert_eq!(request(100, 100, last).continues(&last), Ok(()));
    assert_eq!(request(0, 5, tree.head(5)).continues(&TreeHead::EMPTY), Ok(()));
    // Somebody is behind: the size to prove from comes back.
    let behind = request(50, 237, tree.head(237)).continues(&last).unwrap_err();
    assert_eq!(behind, Refusal::Conflict { last, asked: 50 });
    assert!(!behind.is_fork());
    // Rolled back, and rebuilt: of the same size with another root, and larger with another beginning.
    let shrinks =
        AddCheckpoint { old_size: 100, proof: ConsistencyProof::default(), checkpoint: signed(tree.head(99)) };
    assert_eq!(shrinks.continues(&last), Err(Refusal::Fork(ProofError::Shrinks { old: 100, new: 99 })));
    let other = TreeHead { root: Digest([1; 32]), ..last };
    assert!(request(100, 100, other).continues(&last).unwrap_err().is_fork());
    assert!(request(100, 237, tree.head(237)).continues(&other).unwrap_err().is_fork());
}
