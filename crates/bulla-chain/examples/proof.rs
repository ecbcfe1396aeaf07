//! Makes a tree over the lines of a file, and proves one of them, with nothing but this crate and no storage engine.
//!
//! `cargo run -p bulla-chain --example proof -- FILE LINE`

use bulla_chain::{
    Checkpoint, Digest, Entry, Frontier, InclusionProof, InclusionText, NodeAddress, ShownCheckpoint, body_digest,
};
use bulla_wire::{Kind, Position, SchemaId, Time};
use std::collections::BTreeMap;
use std::error::Error;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let path = arguments.next().ok_or("which file?")?;
    let wanted: u64 = arguments.next().and_then(|line| line.into_string().ok()).ok_or("which line?")?.parse()?;

    // Whoever makes proofs keeps nodes; whoever only appends needs the frontier.
    let (mut frontier, mut nodes) = (Frontier::new(), BTreeMap::<(u8, u64), Digest>::new());
    let mut entries = Vec::new();
    for (line, position) in fs::read_to_string(path)?.lines().zip(0..) {
        let entry = Entry {
            kind: Kind::ROW,
            salted: false,
            schema: SchemaId(1),
            position: Position(position),
            time: Time(0),
            body: body_digest(line.as_bytes()),
        };
        nodes.insert((0, position), entry.leaf());
        frontier.push_with(entry.leaf(), |at, digest| {
            nodes.insert((at.height, at.index), digest);
        });
        entries.push(entry);
    }
    let head = frontier.head();
    let node = |at: NodeAddress| nodes.get(&(at.height, at.index)).copied().ok_or(std::fmt::Error);
    let proof = InclusionProof::prove(wanted, head.size, node)?;

    // What somebody without the file checks: `InclusionText::parse`, then the signature, which is not here, and the way.
    let entry = usize::try_from(wanted).ok().and_then(|at| entries.get(at)).ok_or("no such line")?;
    proof.verify(&entry.leaf(), &head)?;
    let checkpoint = ShownCheckpoint::unsigned(Checkpoint::new("example/lines/00000000", head)?);
    print!("{}", InclusionText { extra: entry.encode().to_vec(), proof, checkpoint });
    Ok(())
}
