//! Bytes that never change. `BULLA_BLESS=1` writes the files anew; a difference afterwards is a change of the format.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test reads its own files, and the environment says when to write them"
)]

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
