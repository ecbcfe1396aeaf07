//! The spine, held against the nodes that the records give.
//!
//! # Invariants
//!
//! - N1. A node counts as wrong only if every record below its end was hashed, and a footer or close frame says that the
//!   node was written before it: otherwise a crash may have left anything.
//! - N2. A spine that is missing, too short, or of another log weakens nothing: that is a remark.
//! - N3. Memory is one tile a height.
//! - N4. A node of which some bytes were not written yet is missing: where one was mended, a power cut may leave that.

use crate::report::{Findings, Verdict};
use crate::spine::{Node, SPINE, Spine, TILE_NODES};
use bulla_chain::Digest;
use bulla_vfs::Host;
use bulla_wire::{LogId, Position, spine_offset};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) struct SpineCheck<'a> {
    host: &'a Host,
    dir: &'a Path,
    log: Option<LogId>,
    /// Looked for when the first node is there, and again as long as there is none: a writer may be about to make it.
    spine: Option<Spine>,
    /// The last tile read of each height.
    tiles: BTreeMap<u8, (u64, Vec<Digest>)>,
    missing: u64,
    findings: Findings,
}

impl<'a> SpineCheck<'a> {
    pub(super) fn new(host: &'a Host, dir: &'a Path, log: Option<LogId>) -> Self {
        let findings = Findings::new(SPINE);
        Self { host, dir, log, spine: None, tiles: BTreeMap::new(), missing: 0, findings }
    }

    /// Compares nodes that were computed, in order (N1).
    pub(super) fn compare(&mut self, nodes: &[Node]) {
        // Beside a writer a tile of the segment before may have grown.
        self.tiles.clear();
        for (address, computed) in nodes {
            let offset = spine_offset(address.height, address.index);
            // The last record below the node: what contradicts it in the segment itself comes first.
            let position = ((address.index + 1) << address.height).checked_sub(1).map(Position);
            match self.stored(address.height, address.index) {
                Some(Ok(stored)) if stored == *computed => {}
                Some(Ok(stored)) if !is_unwritten(&stored, computed) => {
                    let what = format!(
                        "the cache disagrees: the node at height {} with index {} is {stored}, must be {computed}",
                        address.height, address.index
                    );
                    self.findings.add(Verdict::Tampered, position, offset, what);
                }
                Some(Ok(_)) | None => self.missing += 1,
                Some(Err(what)) => self.findings.add(Verdict::Unreadable, position, offset, what),
            }
        }
    }

    /// The node in the file, if it reaches that far.
    fn stored(&mut self, height: u8, index: u64) -> Option<Result<Digest, String>> {
        if self.spine.is_none() {
            self.spine = match Spine::open(self.host, self.dir, self.log?) {
                Ok(spine) => spine,
                Err(error) => return Some(Err(error.to_string())),
            };
        }
        let tile = index / TILE_NODES;
        if self.tiles.get(&height).is_none_or(|(found, _)| *found != tile) {
            match self.spine.as_ref()?.tile(height, tile) {
                Ok(nodes) => self.tiles.insert(height, (tile, nodes)),
                Err(error) => return Some(Err(error.to_string())),
            };
        }
        let (_, nodes) = self.tiles.get(&height)?;
        nodes.get(usize::try_from(index % TILE_NODES).ok()?).copied().map(Ok)
    }

    pub(super) fn finish(mut self) -> Findings {
        if self.missing > 0 {
            let what = match self.spine {
                Some(_) => format!("{} nodes are missing; the next writer adds them", self.missing),
                None => "there is no spine of this log; the next writer makes it anew".to_owned(),
            };
            self.findings.add(Verdict::Intact, None, None, what);
        }
        self.findings
    }
}

/// N4. Whether nothing but bytes that were never written keeps a node from being the right one.
fn is_unwritten(stored: &Digest, computed: &Digest) -> bool {
    stored.0.iter().zip(computed.0).all(|(stored, computed)| *stored == 0 || *stored == computed)
}
