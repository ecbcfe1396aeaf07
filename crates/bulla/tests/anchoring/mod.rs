//! A log that is a list of checkpoints over leaves that are numbers.
#![allow(dead_code, reason = "each test file uses its part")]

use bulla::chain::{Checkpoint, ConsistencyProof, Digest, Frontier, NodeAddress, ShownCheckpoint, TreeHead, node};
use bulla::{AnchorLag, AnchorSink, AnchoredLog, Anchors, Error, Host};
use std::convert::Infallible;
use std::path::Path;

pub(crate) struct FakeLog {
    pub(crate) origin: String,
    pub(crate) noted: Vec<ShownCheckpoint>,
    pub(crate) proofs: Vec<(u64, u64)>,
}

impl FakeLog {
    pub(crate) fn new(origin: &str, sizes: &[u64]) -> Self {
        let noted = sizes.iter().map(|size| shown(origin, *size)).collect();
        Self { origin: origin.to_owned(), noted, proofs: Vec::new() }
    }
}

impl AnchoredLog for FakeLog {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn noted_head(&self) -> Option<TreeHead> {
        self.noted.iter().map(ShownCheckpoint::head).max_by_key(|head| head.size)
    }

    fn noted(&mut self) -> Result<Vec<ShownCheckpoint>, Error> {
        Ok(self.noted.clone())
    }

    fn prove(&mut self, old: u64, new: u64) -> Result<ConsistencyProof, Error> {
        self.proofs.push((old, new));
        Ok(ConsistencyProof::prove(old, new, |address| Ok::<_, Infallible>(subtree(address))).unwrap())
    }

    fn note(&mut self, shown: &ShownCheckpoint) -> Result<(), Error> {
        self.noted.push(shown.clone());
        Ok(())
    }
}

/// One attempt, in a process of its own; what came of it.
pub(crate) fn run(host: &Host, log: &mut FakeLog, sink: impl AnchorSink + 'static) -> AnchorLag {
    let mut anchors = Anchors::new(host, Path::new("/anchors"));
    anchors.add(Box::new(sink)).unwrap();
    anchors.try_all(&mut [log], false).unwrap();
    anchors.lag(&[log]).remove(0)
}

pub(crate) fn shown(origin: &str, size: u64) -> ShownCheckpoint {
    shown_with(origin, size, tree_head(size).root.0)
}

pub(crate) fn shown_with(origin: &str, size: u64, root: [u8; 32]) -> ShownCheckpoint {
    ShownCheckpoint::unsigned(Checkpoint::new(origin, TreeHead { size, root: Digest(root) }).unwrap())
}

pub(crate) fn tree_head(size: u64) -> TreeHead {
    let mut frontier = Frontier::new();
    (0..size).for_each(|index| frontier.push(leaf(index)));
    frontier.head()
}

fn leaf(index: u64) -> Digest {
    Digest([index.to_le_bytes()[0]; 32])
}

fn subtree(NodeAddress { height, index }: NodeAddress) -> Digest {
    if height == 0 {
        return leaf(index);
    }
    let child = |index| subtree(NodeAddress { height: height - 1, index });
    node(&child(2 * index), &child(2 * index + 1))
}
