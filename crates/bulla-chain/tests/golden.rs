//! Bytes that never change. `BULLA_BLESS=1` writes the files anew; a difference afterwards is a change of the format.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test reads its own files, and the environment says when to write them"
)]

#[cfg(feature = "ed25519")]
mod naive;
mod samples;

use std::path::Path;
use std::{env, fs};

use bulla_chain::{Break, Digest, Entry, Frontier, Genesis, Recovery, Seal, body_digest, salted_body_digest};
use bulla_wire::{Kind, Position, SchemaId, Time};

const PAYLOAD: &[u8] = b"bulla";

/// Compares `bytes` with the golden file `name`, and gives what the file holds.
fn check(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.hex"));
    let lines = bytes.chunks(32).map(|line| line.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")));
    let hex = lines.fold(String::new(), |hex, line| hex + &line + "\n");
    if env::var_os("BULLA_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, &hex).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap();
    assert_eq!(hex, stored, "{name} is not what {} holds", path.display());
    let digits: Vec<u8> = stored.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn bodies() {
    check("body_plain", &body_digest(PAYLOAD).0);
    check("body_salted", &salted_body_digest(&samples::counted(0xa0), PAYLOAD).0);
}

#[test]
fn entry_and_leaf() {
    let entry = Entry {
        kind: Kind::ROW,
        salted: false,
        schema: SchemaId(3),
        position: Position(7),
        time: Time(1_700_000_000_123_456_789),
        body: body_digest(PAYLOAD),
    };
    let stored = check("entry", &entry.encode());
    assert_eq!(Entry::decode(stored.as_slice().try_into().unwrap()), Ok(entry));
    check("leaf", &entry.leaf().0);
}

/// Of seven leaves, each 32 equal bytes 0 to 6.
#[test]
fn frontier_and_root() {
    let mut frontier = Frontier::new();
    for leaf in 0..7 {
        frontier.push(Digest([leaf; 32]));
    }
    let stored = check("frontier", &frontier.to_bytes().concat());
    let (hashes, _) = stored.as_chunks();
    assert_eq!(Frontier::from_parts(7, hashes), Ok(frontier.clone()));
    check("root", &frontier.root().0);
}

#[test]
fn genesis() {
    let genesis = samples::genesis();
    assert_eq!(Genesis::decode(&check("genesis", &genesis.encode())), Ok(genesis));
}

#[test]
fn seal() {
    let seal = samples::seal();
    assert_eq!(Seal::decode(&check("seal", &seal.encode())), Ok(seal));
}

#[test]
fn recovery() {
    let recovery = samples::recovery();
    assert_eq!(Recovery::decode(&check("recovery", &recovery.encode())), Ok(recovery));
}

#[test]
fn broken() {
    let broken = samples::broken();
    assert_eq!(Break::decode(&check("break", &broken.encode())), Ok(broken));
}

/// Texts, as FORMAT.md shows them.
#[cfg(feature = "ed25519")]
mod texts {
    use super::*;
    use bulla_chain::{
        AddCheckpoint, Authority, Checkpoint, ConsistencyProof, ConsistencyText, InclusionProof, InclusionText,
        NodeAddress, Note, NoteSigner, ShownCheckpoint, TreeHead,
    };
    use bulla_wire::LogId;
    use std::convert::Infallible;

    const ORIGIN: &str = "acme/logins/07070707";

    /// Compares `text` with the golden file `name`, and with what the description shows under that name.
    fn check_text(name: &str, text: &str) {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = manifest.join("tests/golden").join(name);
        if env::var_os("BULLA_BLESS").is_some_and(|value| value == "1") {
            fs::write(&path, text).unwrap();
        }
        assert_eq!(text, fs::read_to_string(&path).unwrap(), "{name}");
        // A package taken out of its repository has no description beside it.
        let Ok(description) = fs::read_to_string(manifest.join("../../docs/FORMAT.md")) else { return };
        assert!(description.contains(&format!("```text {name}\n{text}```\n")), "{name} is not in FORMAT.md");
    }

    fn signer() -> NoteSigner {
        NoteSigner::from_seed("acme", &[7; 32]).unwrap()
    }

    fn entry(position: u64) -> Entry {
        let (kind, schema, time) = (Kind::ROW, SchemaId(3), Time(1_700_000_000_123_456_789));
        Entry { kind, salted: false, schema, position: Position(position), time, body: body_digest(PAYLOAD) }
    }

    fn nodes() -> impl FnMut(NodeAddress) -> Result<Digest, Infallible> {
        naive::nodes_over(|index| entry(index).leaf())
    }

    fn head(size: u64) -> TreeHead {
        let mut frontier = Frontier::new();
        (0..size).for_each(|position| frontier.push(entry(position).leaf()));
        frontier.head()
    }

    fn checkpoint(size: u64) -> ShownCheckpoint {
        let text = Checkpoint::new(ORIGIN, head(size)).unwrap().to_string();
        let signature = signer().sign(&text);
        ShownCheckpoint::signed(Note::new(text, vec![signature]).unwrap()).unwrap()
    }

    #[test]
    fn keys() {
        check_text("key", &format!("{}\n", signer().to_secret_text()));
        check_text("key.pub", &format!("{}\n", signer().verifier()));
    }

    #[test]
    fn a_checkpoint_and_its_cosignature() {
        let mut note = checkpoint(7).note().unwrap().clone();
        check_text("checkpoint", &note.to_string());
        let witness = NoteSigner::from_seed("witness.example", &[8; 32]).unwrap();
        let cosignature = witness.cosign(note.text(), 1_700_000_000);
        note.push(cosignature.clone()).unwrap();
        check_text("cosignature", &format!("{cosignature}\n"));
    }

    #[test]
    fn an_authority() {
        let authority = Authority::over(LogId([7; 16]), head(7), Kind::PRUNE, PAYLOAD);
        check_text("authority", &authority.to_string());
    }

    #[test]
    fn an_inclusion_proof() {
        let proof = InclusionProof::prove(4, 7, nodes()).unwrap();
        let text = InclusionText { extra: entry(4).encode().to_vec(), proof, checkpoint: checkpoint(7) };
        check_text("inclusion.tlog-proof", &text.to_string());
    }

    #[test]
    fn consistency_proofs() {
        let proof = ConsistencyProof::prove(3, 7, nodes()).unwrap();
        let request = AddCheckpoint { old_size: 3, proof: proof.clone(), checkpoint: checkpoint(7) };
        check_text("add-checkpoint", &request.to_string());
        let text = ConsistencyText { proof, old: checkpoint(3), new: checkpoint(7) };
        check_text("consistency", &text.to_string());
    }
}
